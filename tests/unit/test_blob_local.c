/*
 * test_blob_local.c: blobs in a directory.
 *
 * Without it a full or a forbidden disk could leave half a file under a name
 * that promises the whole, temporary files could pile up, or nginx be given a
 * path it cannot serve.
 */

/* for unshare() */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/blob_suite.h"

static char  root[PATH_MAX / 2 + 16];


static blob_t *
open_at(const char *path)
{
    char         err[128];
    blob_t      *b;
    blob_conf_t  cf;

    memset(&cf, 0, sizeof(cf));
    cf.kind = BLOB_LOCAL;
    snprintf(cf.path, sizeof(cf.path), "%s", path);
    b = blob_open(&cf, err, sizeof(err));
    assert_non_null(b);

    return b;
}


/* How many files wait in tmp/? */
static int
temps(const char *at)
{
    int    n;
    char   command[PATH_MAX];
    FILE  *f;

    snprintf(command, sizeof(command), "ls -A '%s/tmp' | wc -l", at);
    f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);

    return n;
}


/* As another user where we are root: root may write everywhere. */
static int
in_child(void (*run)(void))
{
    int    status;
    pid_t  pid;

    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        run();
        _exit(99);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}


static void
prepared(void **state)
{
    char         path[PATH_MAX];
    blob_t      *b;
    struct stat  st;

    (void) state;

    /* again does no harm */
    suite_ok(suite.b, blob_prepare(suite.b));
    assert_string_equal(blob_name(suite.b), "local");
    assert_int_equal(stat(root, &st), 0);
    assert_int_equal(st.st_mode & 07, 0);
    assert_int_equal(temps(root), 0);

    snprintf(path, sizeof(path), "%s/no/such/parent", root);
    b = open_at(path);
    suite_fails(b, blob_prepare(b), BLOB_DOWN, "STORAGE_PATH");
    assert_int_equal(blob_ping(b), BLOB_DOWN);
    blob_close(b);

    b = open_at("/dev/null/files");
    suite_fails(b, blob_prepare(b), BLOB_REFUSED, "STORAGE_PATH");
    blob_close(b);
}


static void
links(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE], want[PATH_MAX], tail[256];
    const char  *path;
    blob_ask_t   ask;
    blob_link_t  link;
    blob_stat_t  st;
    struct stat  info;

    (void) state;

    path = suite_file(3000, 20, key);
    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    assert_int_equal(blob_link(suite.b, &ask, &link), BLOB_NOT_FOUND);

    suite_ok(suite.b, suite_put(suite.b, key, path, 3000, &st));
    suite_ok(suite.b, blob_link(suite.b, &ask, &link));

    snprintf(tail, sizeof(tail), "/%.2s/%.2s/%s", key, key + 2, key);
    snprintf(want, sizeof(want), "%s%s", root, tail);
    assert_int_equal(link.remote, 0);
    assert_string_equal(link.where, want);
    assert_string_equal(link.tail, tail);

    fd = open(link.where, O_RDONLY);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, 3000);
    assert_int_equal(info.st_mode & 0777, 0640);
    close(fd);

    suite_ok(suite.b, blob_delete(suite.b, key));
    assert_int_equal(blob_link(suite.b, &ask, &link), BLOB_NOT_FOUND);
}


/* Put again: not old any more, so that nobody collects it just then. */
static void
young_again(void **state)
{
    char             key[BLOB_KEY_SIZE];
    const char      *path;
    blob_ask_t       ask;
    blob_link_t      link;
    blob_stat_t      st;
    struct timespec  old[2] = { { 1000000, 0 }, { 1000000, 0 } };

    (void) state;

    path = suite_file(30, 21, key);
    memset(&ask, 0, sizeof(ask));
    ask.key = key;

    suite_ok(suite.b, suite_put(suite.b, key, path, 30, &st));
    suite_ok(suite.b, blob_link(suite.b, &ask, &link));
    assert_int_equal(utimensat(AT_FDCWD, link.where, old, 0), 0);
    suite_ok(suite.b, blob_stat(suite.b, key, &st));
    assert_int_equal(st.changed_ms, 1000000000);

    suite_ok(suite.b, suite_put(suite.b, key, path, 30, &st));
    assert_true(blob_now_ms() - st.changed_ms < 600000);

    /* one that was cut short is replaced */
    assert_int_equal(truncate(link.where, 5), 0);
    suite_ok(suite.b, suite_put(suite.b, key, path, 30, &st));
    assert_int_equal(st.size, 30);
    suite_same(suite.b, key, path);

    suite_ok(suite.b, blob_delete(suite.b, key));
}


static void
damaged(void **state)
{
    int          fd;
    char         key[BLOB_KEY_SIZE];
    const char  *path;
    blob_ask_t   ask;
    blob_link_t  link;
    blob_stat_t  st;

    (void) state;

    path = suite_file(30, 22, key);
    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    suite_ok(suite.b, suite_put(suite.b, key, path, 30, &st));
    suite_ok(suite.b, blob_link(suite.b, &ask, &link));

    fd = open(link.where, O_WRONLY);
    assert_int_equal(write(fd, "!", 1), 1);
    close(fd);

    fd = open(path, O_RDWR);
    suite_fails(suite.b, blob_get(suite.b, key, fd, &st), BLOB_DOWN,
                "damaged");
    close(fd);
    suite_ok(suite.b, blob_delete(suite.b, key));
}


static void
sweeps(void **state)
{
    int              fd;
    char             path[PATH_MAX];
    unsigned         n;
    struct timespec  old[2];

    (void) state;

    snprintf(path, sizeof(path), "%s/tmp/put-dead01", root);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    old[0].tv_sec = old[1].tv_sec = time(NULL) - 7200;
    old[0].tv_nsec = old[1].tv_nsec = 0;
    assert_int_equal(futimens(fd, old), 0);
    close(fd);

    snprintf(path, sizeof(path), "%s/tmp/put-alive1", root);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);

    suite_ok(suite.b, blob_sweep(suite.b, 3600, &n));
    assert_int_equal(n, 1);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(temps(root), 1);
    assert_int_equal(unlink(path), 0);
}


static int
count(void *data, const char *key, const blob_stat_t *st)
{
    (void) key;
    (void) st;

    ++*(int *) data;

    return 0;
}


/* What is not ours, or lies in the wrong place, is none of our business. */
static void
strangers(void **state)
{
    int          n;
    char         command[4 * PATH_MAX], key[BLOB_KEY_SIZE];

    (void) state;

    (void) suite_file(3, 23, key);
    snprintf(command, sizeof(command),
             "cd '%s' && mkdir -p lost+found 00/00 01 && echo a > README && "
             "echo b > 00/00/README && echo c > 00/00/%s && "
             "mkdir 00/00/%.60s0000 && echo d > 01/00", root, key, key);
    assert_int_equal(system(command), 0);

    n = 0;
    suite_ok(suite.b, blob_each(suite.b, count, &n));
    assert_int_equal(n, 0);
}


/* In a child a check that fails may not jump back into cmocka. */
#define must(cond)                                                           \
    do {                                                                     \
        if (!(cond)) {                                                       \
            fprintf(stderr, "line %d: %s\n", __LINE__, #cond);               \
            _exit(1);                                                        \
        }                                                                    \
    } while (0)


static void
put_into_small_disk(void)
{
    int          i, n, kind;
    char         key[BLOB_KEY_SIZE], at[PATH_MAX];
    blob_t      *b;
    blob_rc_t    rc;
    const char  *path;
    blob_stat_t  st;

    snprintf(at, sizeof(at), "%s/small", suite.dir);
    must(mkdir(at, 0700) == 0);

    /* a mount of our own; without root one in a user namespace */
    kind = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
    must(unshare(kind) == 0);
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    must(mount("none", at, "tmpfs", 0, "size=1m") == 0);

    b = open_at(at);
    must(blob_prepare(b) == BLOB_OK);
    rc = BLOB_OK;

    for (i = 0; rc == BLOB_OK && i < 100; i++) {
        path = suite_file(50000, 500 + (uint64_t) i, key);
        rc = suite_put(b, key, path, 50000, &st);
    }

    must(rc == BLOB_DOWN);
    must(strstr(blob_error(b), "make room") != NULL);
    must(temps(at) == 0);
    must(blob_stat(b, key, &st) == BLOB_NOT_FOUND);

    /* all others are whole; one goes, the next fits */
    n = 0;
    must(blob_each(b, count, &n) == BLOB_OK);
    must(n == i - 1 && n > 5);

    (void) suite_file(50000, 500, key);
    must(blob_delete(b, key) == BLOB_OK);
    path = suite_file(50000, 500 + (uint64_t) i - 1, key);
    must(suite_put(b, key, path, 50000, &st) == BLOB_OK);
    must(st.size == 50000);
    blob_close(b);
    _exit(0);
}


static void
full_disk(void **state)
{
    (void) state;

    assert_int_equal(in_child(put_into_small_disk), 0);
}


static void
put_where_forbidden(void)
{
    char         key[BLOB_KEY_SIZE];
    blob_put_t   put;
    const char  *path;
    blob_stat_t  st;

    path = suite_file(40, 24, key);
    put = (blob_put_t) { key, NULL, open(path, O_RDONLY), 40, NULL };

    if (geteuid() == 0) {
        must(setgid(65534) == 0 && setuid(65534) == 0);
    }

    must(blob_put(suite.b, &put, &st) == BLOB_REFUSED);
    must(strstr(blob_error(suite.b), "Permission denied") != NULL);
    must(blob_prepare(suite.b) == BLOB_REFUSED);
    must(strstr(blob_error(suite.b), "STORAGE_PATH") != NULL);
    must(blob_ping(suite.b) == BLOB_REFUSED);
    _exit(0);
}


static void
forbidden(void **state)
{
    char  tmp[PATH_MAX];

    (void) state;

    snprintf(tmp, sizeof(tmp), "%s/tmp", root);
    assert_int_equal(chmod(suite.dir, 0755), 0);
    assert_int_equal(chmod(root, 0555), 0);
    assert_int_equal(chmod(tmp, 0555), 0);

    assert_int_equal(in_child(put_where_forbidden), 0);

    assert_int_equal(chmod(tmp, 0750), 0);
    assert_int_equal(chmod(root, 0750), 0);
}


static int
group_setup(void **state)
{
    (void) state;

    suite_dir_make();
    snprintf(root, sizeof(root), "%s/files", suite.dir);
    suite.b = open_at(root);
    suite_ok(suite.b, blob_prepare(suite.b));

    return 0;
}


static int
group_teardown(void **state)
{
    (void) state;

    assert_int_equal(temps(root), 0);
    blob_close(suite.b);
    suite_dir_remove();

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        SUITE_TESTS,
        cmocka_unit_test(prepared),
        cmocka_unit_test(links),
        cmocka_unit_test(young_again),
        cmocka_unit_test(damaged),
        cmocka_unit_test(sweeps),
        cmocka_unit_test(strangers),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(forbidden)
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
