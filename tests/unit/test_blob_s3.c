/*
 * test_blob_s3.c: blobs in a real MinIO (with_minio.sh).
 *
 * Without it a wrong key could look like an outage, a link for one file open
 * another, or large files and many files need memory without end.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/unit/blob_minio.h"
#include "tests/unit/blob_suite.h"
#include "worker/files/blob/blob_s3.h"


static void
bucket_is_made(void **state)
{
    blob_t       *b;
    blob_conf_t   cf;
    s3_call_t     call;
    s3_answer_t   answer;

    (void) state;

    cf = minio_conf(minio_port);
    snprintf(cf.bucket, sizeof(cf.bucket), "made-at-start");
    b = minio_open(&cf);

    suite_fails(b, blob_ping(b), BLOB_DOWN, "no bucket made-at-start");
    suite_ok(b, blob_prepare(b));
    suite_ok(b, blob_ping(b));
    suite_ok(b, blob_prepare(b));

    /* another process had the same thought */
    s3_begin(&call, "PUT", NULL);
    assert_int_equal(s3_ask(s3_of(b), &call, &answer), BLOB_OK);
    assert_int_equal(answer.status, 409);
    assert_string_equal(s3_of(b)->doc.code, "BucketAlreadyOwnedByYou");

    blob_close(b);
}


/* Somebody removed the bucket: the put that finds out fails, the next one
 * makes it again. */
static void
bucket_is_lost(void **state)
{
    char          key[BLOB_KEY_SIZE];
    blob_t       *b;
    s3_call_t     call;
    const char   *path;
    s3_answer_t   answer;
    blob_conf_t   cf;
    blob_stat_t   st;

    (void) state;

    cf = minio_conf(minio_port);
    snprintf(cf.bucket, sizeof(cf.bucket), "lost");
    b = minio_open(&cf);
    suite_ok(b, blob_prepare(b));

    s3_begin(&call, "DELETE", NULL);
    assert_int_equal(s3_ask(s3_of(b), &call, &answer), BLOB_OK);
    assert_int_equal(answer.status, 204);

    path = suite_file(50, 40, key);
    suite_fails(b, suite_put(b, key, path, 50, &st), BLOB_DOWN, "no bucket");
    suite_ok(b, suite_put(b, key, path, 50, &st));
    suite_same(b, key, path);

    blob_close(b);
}


static void
host_style(void **state)
{
    char          key[BLOB_KEY_SIZE], want[128];
    blob_t       *b;
    const char   *path;
    blob_ask_t    ask;
    blob_conf_t   cf;
    blob_link_t   link;
    blob_stat_t   st;

    (void) state;

    cf = minio_conf(minio_port);
    cf.host_style = 1;
    snprintf(cf.endpoint, sizeof(cf.endpoint), "http://localhost:%d",
             minio_port);
    snprintf(cf.bucket, sizeof(cf.bucket), "by-host");
    b = minio_open(&cf);

    suite_ok(b, blob_prepare(b));
    path = suite_file(WRT_S3_PART + 5, 41, key);
    suite_ok(b, suite_put(b, key, path, WRT_S3_PART + 5, &st));
    assert_true(st.encrypted);
    suite_same(b, key, path);

    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    ask.seconds = 60;
    suite_ok(b, blob_link(b, &ask, &link));
    snprintf(want, sizeof(want), "http://by-host.localhost:%d/%s?",
             minio_port, key);
    assert_int_equal(strncmp(link.where, want, strlen(want)), 0);

    suite_ok(b, blob_delete(b, key));
    blob_close(b);
}


/* ---- links ---- */

typedef struct {
    char    head[4096];
    char    body[4096];
    size_t  nhead;
    size_t  nbody;
} page_t;


static size_t
page_head(char *p, size_t size, size_t n, void *data)
{
    page_t  *page = data;

    assert_true(page->nhead + size * n < sizeof(page->head));
    memcpy(page->head + page->nhead, p, size * n);
    page->nhead += size * n;

    return size * n;
}


static size_t
page_body(char *p, size_t size, size_t n, void *data)
{
    page_t  *page = data;

    assert_true(page->nbody + size * n < sizeof(page->body));
    memcpy(page->body + page->nbody, p, size * n);
    page->nbody += size * n;

    return size * n;
}


/* What somebody with this link gets. */
static long
follow(const char *url, const char *range, page_t *page)
{
    CURL  *c;
    long   status;

    memset(page, 0, sizeof(*page));
    c = curl_easy_init();
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_RANGE, range);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, page_head);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, page);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, page_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, page);
    assert_int_equal(curl_easy_perform(c), CURLE_OK);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);

    return status;
}


static void
links(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE], content[100], *p, url[BLOB_LINK_SIZE];
    page_t       page;
    const char  *path;
    blob_ask_t   ask;
    blob_link_t  link;
    blob_stat_t  st;

    (void) state;

    path = suite_file(100, 42, key);
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, content, 100), 100);
    close(fd);
    suite_ok(suite.b, suite_put(suite.b, key, path, 100, &st));

    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    ask.seconds = 900;
    ask.type = "image/png";
    ask.cache_control = "private, max-age=0";
    ask.disposition = "attachment; filename=\"a b;+%.png\"; "
                      "filename*=UTF-8''%E1%88%B4%20x.png";
    suite_ok(suite.b, blob_link(suite.b, &ask, &link));
    assert_int_equal(link.remote, 1);
    assert_int_equal(link.tail[0], '/');
    assert_ptr_equal(strstr(link.where, "/writeen/"), link.tail);

    assert_int_equal(follow(link.where, NULL, &page), 200);
    assert_int_equal(page.nbody, 100);
    assert_memory_equal(page.body, content, 100);
    assert_non_null(strstr(page.head, "Content-Type: image/png\r\n"));
    assert_non_null(strstr(page.head, "private, max-age=0\r\n"));
    assert_non_null(strstr(page.head, ask.disposition));

    assert_int_equal(follow(link.where, "10-19", &page), 206);
    assert_int_equal(page.nbody, 10);
    assert_memory_equal(page.body, content + 10, 10);

    /* for this file only, and nothing in it may be changed */
    memcpy(url, link.where, sizeof(url));
    p = strstr(url, key);
    *p = *p == 'a' ? 'b' : 'a';
    assert_int_equal(follow(url, NULL, &page), 403);

    memcpy(url, link.where, sizeof(url));
    p = strstr(url, "png");
    *p = 'P';
    assert_int_equal(follow(url, NULL, &page), 403);

    /* without one the bucket is closed */
    memcpy(url, link.where, sizeof(url));
    *strchr(url, '?') = '\0';
    assert_int_equal(follow(url, NULL, &page), 403);

    ask.seconds = 0;
    assert_int_equal(blob_link(suite.b, &ask, &link), BLOB_BAD);
    ask.seconds = SIGV4_EXPIRES_MAX + 1;
    suite_fails(suite.b, blob_link(suite.b, &ask, &link), BLOB_BAD, "604800");

    suite_ok(suite.b, blob_delete(suite.b, key));
}


/* The longest texts fit, one byte more is refused and not cut. */
static void
long_links(void **state)
{
    char         key[BLOB_KEY_SIZE], text[BLOB_HEADER_MAX + 2];
    blob_ask_t   ask;
    blob_link_t  link;

    (void) state;

    (void) suite_file(1, 43, key);
    memset(text, '"', sizeof(text));
    text[BLOB_HEADER_MAX] = '\0';
    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    ask.seconds = 60;
    ask.disposition = text;
    suite_ok(suite.b, blob_link(suite.b, &ask, &link));

    text[BLOB_HEADER_MAX] = '"';
    text[BLOB_HEADER_MAX + 1] = '\0';
    assert_int_equal(blob_link(suite.b, &ask, &link), BLOB_BAD);
}


/* ---- settings that are wrong ---- */

static void
wrong_keys(void **state)
{
    char         key[BLOB_KEY_SIZE];
    blob_t      *b;
    const char  *path;
    blob_conf_t  cf;
    blob_stat_t  st;

    (void) state;

    path = suite_file(60, 44, key);

    cf = minio_conf(minio_port);
    snprintf(cf.access_key, sizeof(cf.access_key), "nobody");
    b = minio_open(&cf);
    suite_fails(b, blob_prepare(b), BLOB_REFUSED, "check MINIO_ACCESS_KEY");
    suite_fails(b, suite_put(b, key, path, 60, &st), BLOB_REFUSED,
                "check MINIO_ACCESS_KEY");
    suite_fails(b, blob_ping(b), BLOB_REFUSED, "MINIO_ACCESS_KEY");
    suite_fails(b, blob_stat(b, key, &st), BLOB_REFUSED, "MINIO_ACCESS_KEY");
    blob_close(b);

    cf = minio_conf(minio_port);
    snprintf(cf.secret_key, sizeof(cf.secret_key), "not-the-secret");
    b = minio_open(&cf);
    suite_fails(b, blob_prepare(b), BLOB_REFUSED, "check MINIO_SECRET_KEY");
    assert_null(strstr(blob_error(b), "not-the-secret"));
    suite_fails(b, suite_put(b, key, path, 60, &st), BLOB_REFUSED,
                "check MINIO_SECRET_KEY");
    assert_int_equal(blob_delete(b, key), BLOB_REFUSED);
    blob_close(b);

    assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);
}


static void
wrong_bucket(void **state)
{
    blob_t       *b;
    blob_conf_t   cf;

    (void) state;

    cf = minio_conf(minio_port);
    snprintf(cf.bucket, sizeof(cf.bucket), "Not_A_Bucket");
    b = minio_open(&cf);
    suite_fails(b, blob_prepare(b), BLOB_REFUSED, "MINIO_BUCKET");
    blob_close(b);
}


static void
wrong_region(void **state)
{
    blob_t       *b;
    blob_conf_t   cf;

    (void) state;

    cf = minio_conf(minio_port);
    snprintf(cf.region, sizeof(cf.region), "eu-central-1");
    b = minio_open(&cf);
    suite_fails(b, blob_prepare(b), BLOB_REFUSED, "MINIO_REGION");
    blob_close(b);
}


/* More than one page of objects; others' names are passed over. */
static void
pages(void **state)
{
    int           i, n;
    char          key[BLOB_KEY_SIZE], name[BLOB_KEY_SIZE];
    blob_t       *b;
    s3_call_t     call;
    const char   *path;
    blob_conf_t   cf;
    s3_answer_t   answer;
    blob_stat_t   st;

    (void) state;

    cf = minio_conf(minio_port);
    snprintf(cf.bucket, sizeof(cf.bucket), "pages");
    b = minio_open(&cf);
    suite_ok(b, blob_prepare(b));
    path = suite_file(0, 51, key);

    for (i = 0; i < 2 * S3_PAGE + 3; i++) {
        snprintf(name, sizeof(name), "%.64s-%d", key, i);
        suite_ok(b, suite_put(b, name, path, 0, &st));
    }

    s3_begin(&call, "PUT", "somebody-elses.txt");
    assert_int_equal(s3_ask(s3_of(b), &call, &answer), BLOB_OK);
    assert_int_equal(answer.status, 200);

    n = 0;
    suite_ok(b, blob_each(b, minio_count, &n));
    assert_int_equal(n, 2 * S3_PAGE + 3);

    blob_close(b);
}


/* What is held does not grow with the file. */
static void
memory(void **state)
{
    char           key[BLOB_KEY_SIZE];
    size_t         size;
    const char    *path;
    blob_stat_t    st;
    struct rusage  before, after;

    (void) state;

    size = 96 * 1024 * 1024;
    path = suite_file(size, 52, key);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    suite_ok(suite.b, suite_put(suite.b, key, path, size, &st));
    suite_same(suite.b, key, path);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    suite_ok(suite.b, blob_delete(suite.b, key));

    /* KiB */
    assert_true(after.ru_maxrss - before.ru_maxrss < 8192);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        SUITE_TESTS,
        cmocka_unit_test(bucket_is_made),
        cmocka_unit_test(bucket_is_lost),
        cmocka_unit_test(host_style),
        cmocka_unit_test(links),
        cmocka_unit_test(long_links),
        cmocka_unit_test(wrong_keys),
        cmocka_unit_test(wrong_bucket),
        cmocka_unit_test(wrong_region),
        cmocka_unit_test(pages),
        cmocka_unit_test(memory)
    };

    return cmocka_run_group_tests(tests, minio_setup, minio_teardown);
}
