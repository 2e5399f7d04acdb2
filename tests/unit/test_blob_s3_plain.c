/*
 * test_blob_s3_plain.c: a MinIO that has no key to encrypt with, in a region
 * that has to be named when a bucket is made.
 *
 * Without it a file could be called encrypted because we asked for it, or the
 * operator not be told which of the two sides to change.
 */

#include <stdio.h>

#include "tests/unit/blob_minio.h"
#include "tests/unit/blob_suite.h"


static blob_t *
opened(int sse)
{
    blob_conf_t  cf;

    cf = minio_conf(atoi(getenv("WRT_TEST_MINIO_PORT")));
    cf.sse = sse;
    snprintf(cf.bucket, sizeof(cf.bucket), "plain");
    snprintf(cf.region, sizeof(cf.region), "eu-central-1");

    return minio_open(&cf);
}


static void
refused(void **state)
{
    char                 key[BLOB_KEY_SIZE];
    size_t               i;
    blob_t              *b;
    const char          *path;
    blob_stat_t          st;

    static const size_t  sizes[] = { 100, WRT_S3_PART + 1 };

    (void) state;

    b = opened(1);
    suite_ok(b, blob_prepare(b));

    for (i = 0; i < UNIT_COUNT(sizes); i++) {
        path = suite_file(sizes[i], 60, key);
        suite_fails(b, suite_put(b, key, path, sizes[i], &st), BLOB_REFUSED,
                    "S3_SSE=off");
        assert_int_equal(blob_stat(b, key, &st), BLOB_NOT_FOUND);
    }

    blob_close(b);
}


static void
not_encrypted(void **state)
{
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    b = opened(0);
    suite_ok(b, blob_prepare(b));

    path = suite_file(100, 61, key);
    suite_ok(b, suite_put(b, key, path, 100, &st));
    assert_int_equal(st.encrypted, 0);
    suite_same(b, key, path);
    suite_ok(b, blob_delete(b, key));
    blob_close(b);
}


static int
group_setup(void **state)
{
    (void) state;

    assert_non_null(getenv("WRT_TEST_MINIO_PORT"));
    suite_dir_make();

    return 0;
}


static int
group_teardown(void **state)
{
    (void) state;

    suite_dir_remove();

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(not_encrypted)
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
