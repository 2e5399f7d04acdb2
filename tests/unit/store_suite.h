/*
 * store_suite.h: what the files of the stores' common suite share.
 */

#ifndef STORE_SUITE_H
#define STORE_SUITE_H

#include "tests/unit/store_test.h"

#define SUITE_TEST(fn)  \
    cmocka_unit_test_setup_teardown(fn, suite_setup, suite_teardown)

/* The store of the case that runs, emptied before. */
extern const backend_t  *be;
extern store_t          *st;

int suite_setup(void **state);
int suite_teardown(void **state);

/* The documents; each must be there. */
json_t *get_conv(const char *id);
json_t *get_state(const char *id);
json_t *get_msg(const char *conversation, const char *id);
json_t *get_msgs(const char *conversation);

/* A member of a member (or, b NULL, a member) of a document, which is
 * dropped. */
json_t *pick(json_t *doc, const char *a, const char *b);

extern const struct CMUnitTest  suite_write[];
extern const size_t             suite_write_count;
extern const struct CMUnitTest  suite_once[];
extern const size_t             suite_once_count;
extern const struct CMUnitTest  suite_read[];
extern const size_t             suite_read_count;
extern const struct CMUnitTest  suite_page[];
extern const size_t             suite_page_count;
extern const struct CMUnitTest  suite_change[];
extern const size_t             suite_change_count;
extern const struct CMUnitTest  suite_file[];
extern const size_t             suite_file_count;
extern const struct CMUnitTest  suite_life[];
extern const size_t             suite_life_count;
extern const struct CMUnitTest  suite_device[];
extern const size_t             suite_device_count;
extern const struct CMUnitTest  suite_session[];
extern const size_t             suite_session_count;
extern const struct CMUnitTest  suite_search[];
extern const size_t             suite_search_count;
extern const struct CMUnitTest  suite_reject[];
extern const size_t             suite_reject_count;

#endif
