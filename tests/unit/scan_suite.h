/*
 * scan_suite.h: what any scanner must say of which file.
 */

#ifndef SCAN_SUITE_H
#define SCAN_SUITE_H

#include "tests/unit/unit.h"

#include "worker/files/scan/scan.h"

/* A file in memory. */
int scan_file_of(const void *p, size_t n);
int scan_file_eicar(void);

/* scan_file() of it, which it closes. */
scan_rc_t scan_once(scan_t *s, int fd);

/* The tests; *state is the scanner. */
void scan_suite_clean(void **state);
void scan_suite_eicar(void **state);
void scan_suite_encrypted(void **state);
void scan_suite_deep(void **state);
void scan_suite_bombs(void **state);
void scan_suite_damaged(void **state);

#define SCAN_SUITE                                                            \
    cmocka_unit_test(scan_suite_clean),                                      \
    cmocka_unit_test(scan_suite_eicar),                                      \
    cmocka_unit_test(scan_suite_encrypted),                                  \
    cmocka_unit_test(scan_suite_deep),                                       \
    cmocka_unit_test(scan_suite_bombs),                                      \
    cmocka_unit_test(scan_suite_damaged)

#endif
