/*
 * blob_suite.c: what both kinds of storage must do.
 *
 * Without it a file could come back with other bytes on one of them, a file
 * changed on its way get in under its old name, or the janitor miss (or
 * remove) what it should not.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "tests/unit/blob_suite.h"

suite_t  suite;

static char  suite_root[PATH_MAX / 2];
static char  suite_path[PATH_MAX];
static char  suite_copy[PATH_MAX];


void
suite_dir_make(void)
{
    snprintf(suite_root, sizeof(suite_root), "%s/writeen-blob-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(suite_root));

    suite.dir = suite_root;
    snprintf(suite_path, sizeof(suite_path), "%s/file", suite_root);
    snprintf(suite_copy, sizeof(suite_copy), "%s/copy", suite_root);
}


void
suite_dir_remove(void)
{
    char  command[PATH_MAX];

    snprintf(command, sizeof(command), "rm -rf '%s'", suite_root);
    assert_int_equal(system(command), 0);
}


const char *
suite_file(size_t n, uint64_t seed, char key[BLOB_KEY_SIZE])
{
    FILE           *f;
    size_t          i, k;
    unsigned        len;
    uint64_t        block[512];
    EVP_MD_CTX     *md;
    unsigned char   raw[EVP_MAX_MD_SIZE];

    f = fopen(suite_path, "w");
    assert_non_null(f);
    md = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestInit_ex(md, EVP_sha256(), NULL), 1);

    while (n > 0) {
        for (i = 0; i < UNIT_COUNT(block); i++) {
            block[i] = unit_random(&seed);
        }

        k = n < sizeof(block) ? n : sizeof(block);
        assert_int_equal(fwrite(block, 1, k, f), k);
        assert_int_equal(EVP_DigestUpdate(md, block, k), 1);
        n -= k;
    }

    assert_int_equal(fclose(f), 0);
    assert_int_equal(EVP_DigestFinal_ex(md, raw, &len), 1);
    EVP_MD_CTX_free(md);

    for (i = 0; i < len; i++) {
        snprintf(key + 2 * i, 3, "%02x", raw[i]);
    }

    return suite_path;
}


blob_rc_t
suite_put(blob_t *b, const char *key, const char *path, size_t n,
    blob_stat_t *st)
{
    blob_put_t  put = { key, path, -1, (int64_t) n, "text/plain" };

    return blob_put(b, &put, st);
}


static void
same_files(const char *one, const char *two)
{
    int      a, b;
    char     x[65536], y[65536];
    ssize_t  n, m;

    a = open(one, O_RDONLY);
    b = open(two, O_RDONLY);
    assert_true(a >= 0 && b >= 0);

    do {
        n = read(a, x, sizeof(x));
        m = read(b, y, sizeof(y));
        assert_true(n >= 0);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, (size_t) n);
    } while (n > 0);

    close(a);
    close(b);
}


void
suite_same(blob_t *b, const char *key, const char *path)
{
    int          fd;
    blob_stat_t  st;

    /* what was in the file before must be gone */
    fd = open(suite_copy, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 20000), 0);
    suite_ok(b, blob_get(b, key, fd, &st));
    close(fd);

    same_files(path, suite_copy);
}


static void
round_trip(size_t n, uint64_t seed)
{
    char         key[BLOB_KEY_SIZE];
    const char  *path;
    blob_stat_t  put, st;

    path = suite_file(n, seed, key);

    suite_ok(suite.b, suite_put(suite.b, key, path, n, &put));
    suite_ok(suite.b, blob_stat(suite.b, key, &st));

    assert_int_equal(put.size, n);
    assert_int_equal(put.encrypted, suite.encrypted);
    assert_int_equal(st.size, n);
    assert_int_equal(st.encrypted, suite.encrypted);
    assert_int_equal(st.changed_ms, put.changed_ms);
    assert_true(llabs(blob_now_ms() - st.changed_ms) < 600000);

    suite_same(suite.b, key, path);

    suite_ok(suite.b, blob_delete(suite.b, key));
    assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);
}


void
suite_round_trip(void **state)
{
    (void) state;

    suite_ok(suite.b, blob_ping(suite.b));
    round_trip(12345, 1);
}


void
suite_many_sizes(void **state)
{
    size_t               i;

    /* around the buffer, the part, and the largest file of a room */
    static const size_t  sizes[] = {
        0, 1, BLOB_BUFFER - 1, BLOB_BUFFER, BLOB_BUFFER + 1,
        WRT_S3_PART - 1, WRT_S3_PART, WRT_S3_PART + 1, WRT_FILE_MAX,
        3 * WRT_S3_PART + 7
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(sizes); i++) {
        round_trip(sizes[i], 100 + i);
    }
}


void
suite_again(void **state)
{
    char         key[BLOB_KEY_SIZE];
    const char  *path;
    blob_stat_t  st, second;

    (void) state;

    path = suite_file(777, 2, key);
    suite_ok(suite.b, suite_put(suite.b, key, path, 777, &st));
    suite_ok(suite.b, suite_put(suite.b, key, path, 777, &second));
    assert_int_equal(second.size, 777);
    assert_true(second.changed_ms >= st.changed_ms);
    suite_same(suite.b, key, path);

    suite_ok(suite.b, blob_delete(suite.b, key));
    suite_ok(suite.b, blob_delete(suite.b, key));
    assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);
}


/* A file that is not what its key says never gets in. */
void
suite_wrong_content(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE];
    size_t       i;
    const char  *path;
    blob_stat_t  st;

    static const size_t  sizes[] = { 50000, WRT_S3_PART + 1 };

    (void) state;

    for (i = 0; i < UNIT_COUNT(sizes); i++) {
        path = suite_file(sizes[i], 3, key);

        fd = open(path, O_WRONLY);
        assert_int_equal(pwrite(fd, "other", 5, (off_t) sizes[i] - 5), 5);
        close(fd);

        suite_fails(suite.b, suite_put(suite.b, key, path, sizes[i], &st),
                    BLOB_BAD, "another content");
        assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);
    }
}


void
suite_wrong_calls(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE], link[PATH_MAX + 16];
    size_t       i;
    const char  *path;
    blob_ask_t   ask;
    blob_put_t   put;
    blob_stat_t  st;
    blob_link_t  out;

    static const char *const  keys[] = {
        "", "ab", "../../../../../etc/passwd",
        "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855a",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855-/a",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855-A",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855-a b",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        "-23456789012345678901234567890123"
    };

    (void) state;

    path = suite_file(10, 4, key);
    memset(&ask, 0, sizeof(ask));
    ask.seconds = 60;

    for (i = 0; i < UNIT_COUNT(keys); i++) {
        ask.key = keys[i];
        suite_fails(suite.b, suite_put(suite.b, keys[i], path, 10, &st),
                    BLOB_BAD, "64 digits");
        assert_int_equal(blob_stat(suite.b, keys[i], &st), BLOB_BAD);
        assert_int_equal(blob_get(suite.b, keys[i], 1, &st), BLOB_BAD);
        assert_int_equal(blob_delete(suite.b, keys[i]), BLOB_BAD);
        assert_int_equal(blob_link(suite.b, &ask, &out), BLOB_BAD);
    }

    /* another size, no file, no regular file, a header that ends */
    suite_fails(suite.b, suite_put(suite.b, key, path, 11, &st), BLOB_BAD,
                "11 bytes");
    assert_int_equal(suite_put(suite.b, key, path, 9, &st), BLOB_BAD);
    assert_int_equal(suite_put(suite.b, key, suite.dir, 0, &st), BLOB_BAD);
    assert_int_equal(suite_put(suite.b, key, "/dev/null", 0, &st), BLOB_BAD);

    snprintf(link, sizeof(link), "%s/fifo", suite.dir);
    assert_int_equal(mkfifo(link, 0600), 0);
    assert_int_equal(suite_put(suite.b, key, link, 0, &st), BLOB_BAD);
    unlink(link);
    assert_int_equal(suite_put(suite.b, key, link, 10, &st), BLOB_BAD);

    put = (blob_put_t) { key, NULL, -1, 10, NULL };
    assert_int_equal(blob_put(suite.b, &put, &st), BLOB_BAD);

    fd = open(path, O_RDONLY);
    put = (blob_put_t) { key, NULL, fd, 10, "text/plain\r\nX: y" };
    suite_fails(suite.b, blob_put(suite.b, &put, &st), BLOB_BAD, "control");
    close(fd);

    ask.key = key;
    ask.disposition = "attachment\nX: y";
    suite_fails(suite.b, blob_link(suite.b, &ask, &out), BLOB_BAD, "control");

    assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);
}


void
suite_absent(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE];
    blob_stat_t  st;

    (void) state;

    (void) suite_file(99, 5, key);
    assert_int_equal(blob_stat(suite.b, key, &st), BLOB_NOT_FOUND);
    suite_ok(suite.b, blob_delete(suite.b, key));

    fd = open(suite_copy, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(blob_get(suite.b, key, fd, &st), BLOB_NOT_FOUND);
    close(fd);
}


/* From its beginning, wherever the descriptor stands. */
void
suite_from_fd(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE];
    const char  *path;
    blob_put_t   put;
    blob_stat_t  st;

    (void) state;

    path = suite_file(WRT_S3_PART + 100, 6, key);
    fd = open(path, O_RDONLY);
    assert_int_equal(lseek(fd, 50, SEEK_SET), 50);

    put = (blob_put_t) { key, NULL, fd, WRT_S3_PART + 100, NULL };
    suite_ok(suite.b, blob_put(suite.b, &put, &st));
    close(fd);

    suite_same(suite.b, key, path);
    suite_ok(suite.b, blob_delete(suite.b, key));
}


/* Thumbnails: a name of their own, a content that is not the key's. */
void
suite_suffixes(void **state)
{
    char         key[BLOB_KEY_SIZE], small[BLOB_KEY_SIZE];
    const char  *path;
    blob_stat_t  st;

    (void) state;

    (void) suite_file(1000, 7, key);
    snprintf(small, sizeof(small), "%.64s-small.jpg", key);
    path = suite_file(100, 8, key);

    suite_ok(suite.b, suite_put(suite.b, small, path, 100, &st));
    suite_same(suite.b, small, path);
    suite_ok(suite.b, blob_delete(suite.b, small));
    assert_int_equal(blob_stat(suite.b, small, &st), BLOB_NOT_FOUND);
}


#define EACH_N  40

typedef struct {
    char  keys[EACH_N][BLOB_KEY_SIZE];
    int   seen[EACH_N];
    int   others;
    int   stop_after;
    int   delete;
} each_t;


static int
each_one(void *data, const char *key, const blob_stat_t *st)
{
    int      i;
    each_t  *e = data;

    for (i = 0; i < EACH_N; i++) {
        if (strcmp(key, e->keys[i]) == 0) {
            assert_int_equal(st->size, 10 + i);
            assert_true(llabs(blob_now_ms() - st->changed_ms) < 600000);
            e->seen[i]++;
            break;
        }
    }

    e->others += i == EACH_N;

    if (e->delete) {
        suite_ok(suite.b, blob_delete(suite.b, key));
    }

    return --e->stop_after == 0;
}


void
suite_each(void **state)
{
    int          i, n;
    char         small[BLOB_KEY_SIZE];
    each_t       e;
    const char  *path;
    blob_stat_t  st;

    (void) state;

    memset(&e, 0, sizeof(e));

    for (i = 0; i < EACH_N; i++) {
        path = suite_file(10 + (size_t) i, 1000 + (uint64_t) i, e.keys[i]);

        if (i % 4 == 3) {
            snprintf(small, sizeof(small), "%.64s-small.jpg", e.keys[i]);
            memcpy(e.keys[i], small, sizeof(small));
        }

        suite_ok(suite.b, suite_put(suite.b, e.keys[i], path,
                                    10 + (size_t) i, &st));
    }

    suite_ok(suite.b, blob_each(suite.b, each_one, &e));

    for (i = 0; i < EACH_N; i++) {
        assert_int_equal(e.seen[i], 1);
    }

    assert_int_equal(e.others, 0);

    /* the callback ends it */
    memset(e.seen, 0, sizeof(e.seen));
    e.stop_after = 3;
    suite_ok(suite.b, blob_each(suite.b, each_one, &e));

    for (i = 0, n = 0; i < EACH_N; i++) {
        n += e.seen[i];
    }

    assert_int_equal(n, 3);

    /* and may delete */
    e.stop_after = 0;
    e.delete = 1;
    suite_ok(suite.b, blob_each(suite.b, each_one, &e));

    memset(&e.seen, 0, sizeof(e.seen));
    e.delete = 0;
    suite_ok(suite.b, blob_each(suite.b, each_one, &e));

    for (i = 0; i < EACH_N; i++) {
        assert_int_equal(e.seen[i], 0);
    }
}
