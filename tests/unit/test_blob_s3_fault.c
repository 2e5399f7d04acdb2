/*
 * test_blob_s3_fault.c: a MinIO that hangs, is busy, is cut off or killed.
 *
 * Without it an upload could be lost when the server dies under it, a damaged
 * answer be taken for a file, parts of what failed stay for ever, or a process
 * that shall stop wait for a server that does not answer.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/blob_minio.h"
#include "tests/unit/blob_proxy.h"
#include "tests/unit/blob_suite.h"
#include "worker/files/blob/blob_s3.h"

#define SWEEPS_MAX  10000

#define BUSY  "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"  \
              "Content-Length: 52\r\nConnection: close\r\n\r\n"              \
              "<Error><Code>SlowDown</Code><Message/></Error>      "

#define LIMIT  "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n"     \
               "Connection: close\r\n\r\n"


static pid_t
minio_pid(void)
{
    int    pid;
    FILE  *f;

    f = fopen(getenv("WRT_TEST_MINIO_PIDFILE"), "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);

    return pid;
}


/* Through a proxy, or straight when fault is NULL. */
static blob_t *
proxied(proxy_t **fault, int deadline_ms)
{
    int          port;
    blob_conf_t  cf;

    *fault = proxy_start(minio_port, &port);
    cf = minio_conf(port);
    cf.deadline_ms = deadline_ms;
    cf.stall_ms = 1000;

    return minio_open(&cf);
}


static void
nobody_there(void **state)
{
    int          port;
    blob_t      *b;
    proxy_t     *p;
    blob_conf_t  cf;

    (void) state;

    /* a port that was free a moment ago */
    p = proxy_start(minio_port, &port);
    proxy_stop(p);

    cf = minio_conf(port);
    cf.deadline_ms = 700;
    b = minio_open(&cf);
    suite_fails(b, blob_prepare(b), BLOB_DOWN, "tries)");
    assert_null(strstr(blob_error(b), "(1 tries)"));
    suite_fails(b, blob_ping(b), BLOB_DOWN, "(1 tries)");
    blob_close(b);
}


static void
hangs(void **state)
{
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    b = proxied(&p, 3500);
    suite_ok(b, blob_prepare(b));

    path = suite_file(1000, 45, key);
    atomic_store(&p->mute, 1);
    suite_fails(b, suite_put(b, key, path, 1000, &st), BLOB_DOWN,
                "does not answer");
    assert_true(atomic_load(&p->requests) > 2);
    suite_fails(b, blob_ping(b), BLOB_DOWN, "does not answer");

    /* and when it speaks again, all is well */
    atomic_store(&p->mute, 0);
    suite_ok(b, suite_put(b, key, path, 1000, &st));
    suite_same(b, key, path);
    suite_ok(b, blob_delete(b, key));

    blob_close(b);
    proxy_stop(p);
}


static int
stop_now(void *data)
{
    return ++*(int *) data > 3;
}


static void
stopped(void **state)
{
    int          asked;
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    b = proxied(&p, 600000);
    suite_ok(b, blob_prepare(b));
    path = suite_file(1000, 46, key);

    /* in a request, and between two */
    asked = 0;
    blob_on_wait(b, stop_now, &asked);
    atomic_store(&p->mute, 1);
    suite_fails(b, suite_put(b, key, path, 1000, &st), BLOB_DOWN, "stopped");

    asked = 0;
    atomic_store(&p->mute, 0);
    snprintf(p->answer, sizeof(p->answer), "%s", BUSY);
    atomic_store(&p->busy, 1000000);
    suite_fails(b, suite_put(b, key, path, 1000, &st), BLOB_DOWN, "stopped");

    blob_close(b);
    proxy_stop(p);
}


static void
busy(void **state)
{
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    b = proxied(&p, 20000);
    suite_ok(b, blob_prepare(b));
    path = suite_file(WRT_S3_PART + 1000, 47, key);

    snprintf(p->answer, sizeof(p->answer), "%s", BUSY);
    atomic_store(&p->busy, 3);
    suite_ok(b, suite_put(b, key, path, WRT_S3_PART + 1000, &st));
    assert_int_equal(atomic_load(&p->busy), 0);

    snprintf(p->answer, sizeof(p->answer), "%s", LIMIT);
    atomic_store(&p->busy, 2);
    suite_same(b, key, path);
    assert_int_equal(atomic_load(&p->busy), 0);

    suite_ok(b, blob_delete(b, key));
    blob_close(b);

    /* for ever is not waited for */
    proxy_stop(p);
    b = proxied(&p, 800);
    snprintf(p->answer, sizeof(p->answer), "%s", BUSY);
    atomic_store(&p->busy, 1000000);
    suite_fails(b, blob_prepare(b), BLOB_DOWN, "503 SlowDown");
    blob_close(b);
    proxy_stop(p);
}


/* An answer that ends too early is none, of a file or of a listing. */
static void
truncated(void **state)
{
    int          n, fd;
    long         after;
    char         key[BLOB_KEY_SIZE], copy[PATH_MAX];
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    path = suite_file(300000, 48, key);
    suite_ok(suite.b, suite_put(suite.b, key, path, 300000, &st));

    for (after = 0; after < 290000; after = after * 3 + 60) {
        b = proxied(&p, 20000);
        atomic_store(&p->cut_after, after);
        atomic_store(&p->cut, 2);
        suite_same(b, key, path);
        assert_int_equal(atomic_load(&p->cut), 0);
        blob_close(b);
        proxy_stop(p);
    }

    for (after = 100; after < 500; after += 130) {
        b = proxied(&p, 20000);
        atomic_store(&p->cut_after, after);
        atomic_store(&p->cut, 1);
        n = 0;
        suite_ok(b, blob_each(b, minio_count, &n));
        assert_int_equal(n, 1);
        blob_close(b);
        proxy_stop(p);
    }

    /* always cut: it ends as a failure, not as a short file */
    b = proxied(&p, 700);
    atomic_store(&p->cut_after, 200000);
    atomic_store(&p->cut, 1000000);
    snprintf(copy, sizeof(copy), "%s/short", suite.dir);
    fd = open(copy, O_RDWR | O_CREAT, 0600);
    suite_fails(b, blob_get(b, key, fd, &st), BLOB_DOWN, "tries)");
    close(fd);
    blob_close(b);
    proxy_stop(p);

    suite_ok(suite.b, blob_delete(suite.b, key));
}


/* The server dies in the middle of the second part, and comes back. */
static void
killed_in_a_part(void **state)
{
    pid_t        pid;
    char         key[BLOB_KEY_SIZE];
    size_t       size;
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    size = 2 * WRT_S3_PART + 4321;
    path = suite_file(size, 49, key);

    b = proxied(&p, 60000);
    suite_ok(b, blob_prepare(b));

    pid = minio_pid();
    atomic_store(&p->kill_after, WRT_S3_PART + WRT_S3_PART / 2);
    atomic_store(&p->kill_pid, pid);

    suite_ok(b, suite_put(b, key, path, size, &st));
    assert_int_equal(atomic_load(&p->kill_pid), 0);
    assert_true(minio_pid() != pid);
    assert_int_equal(st.size, size);
    assert_true(st.encrypted);

    suite_same(b, key, path);
    suite_ok(b, blob_delete(b, key));
    assert_int_equal(minio_uploads(), 0);

    blob_close(b);
    proxy_stop(p);
}


#define REFUSED  "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n"            \
                 "Connection: close\r\n\r\n"

/* What fails for good leaves no parts behind. */
static void
tidied_up(void **state)
{
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    path = suite_file(2 * WRT_S3_PART, 50, key);
    b = proxied(&p, 5000);
    suite_ok(b, blob_prepare(b));

    /* the beginning and one part pass, the other part does not */
    snprintf(p->answer, sizeof(p->answer), "%s", REFUSED);
    atomic_store(&p->pass, 2);
    atomic_store(&p->busy, 1);
    suite_fails(b, suite_put(b, key, path, 2 * WRT_S3_PART, &st),
                BLOB_REFUSED, "a part");
    assert_int_equal(atomic_load(&p->busy), 0);

    assert_int_equal(minio_uploads(), 0);
    assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);

    blob_close(b);
    proxy_stop(p);
}


/* What a process that died could not tidy up, a sweep does, later. */
static void
swept(void **state)
{
    unsigned     n, i;
    char         key[BLOB_KEY_SIZE];
    s3_call_t    call;
    s3_answer_t  answer;

    (void) state;

    (void) suite_file(10, 53, key);
    s3_begin(&call, "POST", key);
    s3_query(&call, "uploads", "");
    assert_int_equal(s3_ask(s3_of(suite.b), &call, &answer), BLOB_OK);
    assert_int_equal(answer.status, 200);
    assert_true(s3_of(suite.b)->doc.upload[0] != '\0');

    suite_ok(suite.b, blob_sweep(suite.b, 3600, &n));
    assert_int_equal(n, 0);

    /* it has to lie in the past by the clock, which both may still show as
     * one and the same tick */
    for (i = 0, n = 0; n == 0 && i < SWEEPS_MAX; i++) {
        suite_ok(suite.b, blob_sweep(suite.b, 0, &n));
    }

    assert_int_equal(n, 1);
    assert_int_equal(minio_uploads(), 0);
}


/* The server has forgotten the upload when it is to be completed: it begins
 * anew. */
static void
forgotten(void **state)
{
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    proxy_t     *p;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    path = suite_file(2 * WRT_S3_PART, 54, key);
    b = proxied(&p, 5000);
    suite_ok(b, blob_prepare(b));

    snprintf(p->answer, sizeof(p->answer), "HTTP/1.1 404 Not Found\r\n"
             "Content-Length: 40\r\nConnection: close\r\n\r\n"
             "<Error><Code>NoSuchUpload</Code></Error>");
    atomic_store(&p->pass, 3);
    atomic_store(&p->busy, 1);
    suite_ok(b, suite_put(b, key, path, 2 * WRT_S3_PART, &st));
    assert_int_equal(atomic_load(&p->busy), 0);
    suite_same(b, key, path);
    assert_int_equal(minio_uploads(), 0);

    suite_ok(b, blob_delete(b, key));
    blob_close(b);
    proxy_stop(p);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(hangs),
        cmocka_unit_test(stopped),
        cmocka_unit_test(busy),
        cmocka_unit_test(truncated),
        cmocka_unit_test(killed_in_a_part),
        cmocka_unit_test(tidied_up),
        cmocka_unit_test(swept),
        cmocka_unit_test(forgotten)
    };

    return cmocka_run_group_tests(tests, minio_setup, minio_teardown);
}
