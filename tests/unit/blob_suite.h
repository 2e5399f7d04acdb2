/*
 * blob_suite.h: what both kinds of storage must do, and what their tests share.
 */

#ifndef BLOB_SUITE_H
#define BLOB_SUITE_H

#include "tests/unit/unit.h"

#include "worker/files/blob/blob_internal.h"

/* One storage, made before a test program's tests and used by all. */
typedef struct {
    blob_t      *b;
    int          encrypted;         /* what a stored blob must say */
    const char  *dir;               /* for files of the tests */
} suite_t;

extern suite_t  suite;

/* A temporary directory for suite.dir, and its end. */
void suite_dir_make(void);
void suite_dir_remove(void);

/* A file of n bytes made from seed; its key.  Returned until the next call. */
const char *suite_file(size_t n, uint64_t seed, char key[BLOB_KEY_SIZE]);

blob_rc_t suite_put(blob_t *b, const char *key, const char *path, size_t n,
    blob_stat_t *st);

/* Get it and compare with the file. */
void suite_same(blob_t *b, const char *key, const char *path);

/* Fails with the text of the storage. */
#define suite_ok(b, rc)                                                      \
    do {                                                                     \
        if ((rc) != BLOB_OK) {                                               \
            fail_msg("line %d: %s", __LINE__, blob_error(b));                \
        }                                                                    \
    } while (0)

/* Is this rc, with this word in the text? */
#define suite_fails(b, rc, want, word)                                       \
    do {                                                                     \
        assert_int_equal(rc, want);                                          \
        if (strstr(blob_error(b), word) == NULL) {                           \
            fail_msg("line %d: no \"%s\" in: %s", __LINE__, word,            \
                     blob_error(b));                                         \
        }                                                                    \
    } while (0)

/* The tests. */
void suite_round_trip(void **state);
void suite_many_sizes(void **state);
void suite_again(void **state);
void suite_wrong_content(void **state);
void suite_wrong_calls(void **state);
void suite_absent(void **state);
void suite_from_fd(void **state);
void suite_suffixes(void **state);
void suite_each(void **state);

#define SUITE_TESTS                                                          \
    cmocka_unit_test(suite_round_trip),                                      \
    cmocka_unit_test(suite_many_sizes),                                      \
    cmocka_unit_test(suite_again),                                           \
    cmocka_unit_test(suite_wrong_content),                                   \
    cmocka_unit_test(suite_wrong_calls),                                     \
    cmocka_unit_test(suite_absent),                                          \
    cmocka_unit_test(suite_from_fd),                                         \
    cmocka_unit_test(suite_suffixes),                                        \
    cmocka_unit_test(suite_each)

#endif
