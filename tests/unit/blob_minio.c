/*
 * blob_minio.c: what the tests against a MinIO share (see blob_minio.h).
 */

#include <stdio.h>

#include "tests/unit/blob_minio.h"
#include "tests/unit/blob_suite.h"

int  minio_port;


blob_conf_t
minio_conf(int port)
{
    blob_conf_t  cf;

    memset(&cf, 0, sizeof(cf));
    cf.kind = BLOB_S3;
    cf.sse = 1;
    snprintf(cf.endpoint, sizeof(cf.endpoint), "http://127.0.0.1:%d", port);
    snprintf(cf.access_key, sizeof(cf.access_key), "writeen");
    snprintf(cf.secret_key, sizeof(cf.secret_key), "writeen-test-secret");
    snprintf(cf.bucket, sizeof(cf.bucket), "writeen");
    snprintf(cf.region, sizeof(cf.region), "us-east-1");

    return cf;
}


blob_t *
minio_open(const blob_conf_t *cf)
{
    char     err[128];
    blob_t  *b;

    b = blob_open(cf, err, sizeof(err));
    assert_non_null(b);

    return b;
}


int
minio_count(void *data, const char *key, const blob_stat_t *st)
{
    (void) key;
    (void) st;

    ++*(int *) data;

    return 0;
}


unsigned
minio_uploads(void)
{
    unsigned  n;

    suite_ok(suite.b, blob_sweep(suite.b, 0, &n));

    return n;
}


int
minio_setup(void **state)
{
    blob_conf_t  cf;

    (void) state;

    assert_non_null(getenv("WRT_TEST_MINIO_PORT"));
    minio_port = atoi(getenv("WRT_TEST_MINIO_PORT"));

    suite_dir_make();
    cf = minio_conf(minio_port);
    suite.b = minio_open(&cf);
    suite.encrypted = 1;
    suite_ok(suite.b, blob_prepare(suite.b));

    return 0;
}


int
minio_teardown(void **state)
{
    int  n;

    (void) state;

    n = 0;
    suite_ok(suite.b, blob_each(suite.b, minio_count, &n));
    assert_int_equal(n, 0);
    assert_int_equal(minio_uploads(), 0);

    blob_close(suite.b);
    suite_dir_remove();

    return 0;
}
