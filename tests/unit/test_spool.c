/*
 * test_spool.c: the directory of uploads.
 *
 * Without it two processes could work on one body, what a killed nginx left
 * could stay for ever, or a sweep could take a body that is on its way.
 */

#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/files/spool.h"

static char  root[64];
static int   dir = -1;
static char  id[WRT_OID_LEN + 1];


static int
setup(void **state)
{
    char  err[512];

    (void) state;

    strcpy(root, "/tmp/wrt-spool-XXXXXX");
    assert_non_null(mkdtemp(root));
    dir = spool_open(root, id, err, sizeof(err));
    assert_true(dir >= 0);

    return 0;
}


static int
teardown(void **state)
{
    char  command[128];

    (void) state;

    close(dir);
    snprintf(command, sizeof(command), "rm -rf %s", root);

    return system(command);
}


static void
put(const char *name, int age)
{
    int              fd;
    struct timespec  at[2];

    fd = openat(dir, name, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    clock_gettime(CLOCK_REALTIME, &at[0]);
    at[0].tv_sec -= age;
    at[1] = at[0];
    assert_int_equal(futimens(fd, at), 0);
    close(fd);
}


static int
there(const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}


static void
identity(void **state)
{
    int    again, fd;
    char   err[512], other[WRT_OID_LEN + 1];

    (void) state;

    assert_int_equal(strlen(id), WRT_OID_LEN);
    assert_int_equal(strspn(id, "0123456789abcdef"), WRT_OID_LEN);

    again = spool_open(root, other, err, sizeof(err));
    assert_true(again >= 0);
    assert_string_equal(other, id);
    close(again);

    /* as nginx writes it: without a newline */
    fd = openat(dir, "id", O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "0123456789abcdef01234567", 24), 24);
    close(fd);
    again = spool_open(root, other, err, sizeof(err));
    assert_true(again >= 0);
    assert_string_equal(other, "0123456789abcdef01234567");
    close(again);

    fd = openat(dir, "id", O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "nonsense\n", 9), 9);
    close(fd);
    assert_int_equal(spool_open(root, other, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "SPOOL"));
    assert_non_null(strstr(err, root));

    assert_int_equal(spool_open("/nowhere/spool", other, err, sizeof(err)),
                     -1);
    assert_non_null(strstr(err, "/nowhere/spool"));
}


/* A compromised nginx, which may write there as well, lays no link for us to
 * follow into a file of ours. */
static void
no_link_is_followed(void **state)
{
    int          i;
    char         err[512], link[64], name[WRT_OID_LEN + 1], out[80];
    FILE        *f;
    struct stat  st;

    (void) state;

    snprintf(out, sizeof(out), "%s.out", root);
    f = fopen(out, "w");
    assert_non_null(f);
    assert_true(fputs("precious", f) >= 0);
    assert_int_equal(fclose(f), 0);

    for (i = 0; i < 2; i++) {
        snprintf(link, sizeof(link), i ? ".id-%ld" : ".id.%ld",
                 (long) getpid());
        assert_int_equal(symlinkat(out, dir, link), 0);
    }

    assert_int_equal(unlinkat(dir, "id", 0), 0);
    i = spool_open(root, name, err, sizeof(err));
    assert_true(i >= 0);
    close(i);

    assert_int_equal(stat(out, &st), 0);
    assert_int_equal(st.st_size, 8);
    assert_int_equal(unlink(out), 0);
}


/* Who makes the name at the same moment agrees on it. */
static void
made_at_once(void **state)
{
    int      i, fd[2];
    char     err[512], name[WRT_OID_LEN + 1], first[WRT_OID_LEN + 1];
    pid_t    pid;

    enum { MANY = 16 };

    (void) state;

    assert_int_equal(unlinkat(dir, "id", 0), 0);
    assert_int_equal(pipe(fd), 0);

    for (i = 0; i < MANY; i++) {
        pid = fork();
        assert_true(pid >= 0);

        if (pid == 0) {
            if (spool_open(root, name, err, sizeof(err)) < 0) {
                _exit(1);
            }
            _exit(write(fd[1], name, WRT_OID_LEN) != WRT_OID_LEN);
        }
    }

    first[0] = '\0';
    close(fd[1]);

    for (i = 0; i < MANY; i++) {
        assert_int_equal(read(fd[0], name, WRT_OID_LEN), WRT_OID_LEN);
        name[WRT_OID_LEN] = '\0';

        if (first[0]) {
            assert_string_equal(name, first);
        }

        strcpy(first, name);
    }

    close(fd[0]);

    while (wait(&i) > 0) {
        assert_int_equal(i, 0);
    }
}


static void
locks(void **state)
{
    int         fd, other, pipes[2];
    char        byte;
    pid_t       pid;

    (void) state;

    put("a1", 0);
    assert_int_equal(spool_lock(dir, "a1", &fd), SPOOL_OK);
    assert_int_equal(spool_lock(dir, "a1", &other), SPOOL_BUSY);
    assert_int_equal(other, -1);
    close(fd);
    assert_int_equal(spool_lock(dir, "a1", &fd), SPOOL_OK);
    close(fd);

    /* a lock ends with its process, whatever way */
    assert_int_equal(pipe(pipes), 0);
    pid = fork();

    if (pid == 0) {
        if (spool_lock(dir, "a1", &fd) == SPOOL_OK
            && write(pipes[1], "x", 1) == 1)
        {
            pause();
        }
        _exit(1);
    }

    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(spool_lock(dir, "a1", &fd), SPOOL_BUSY);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(spool_lock(dir, "a1", &fd), SPOOL_OK);

    /* opened before the holder removed it */
    assert_int_equal(unlinkat(dir, "a1", 0), 0);
    assert_int_equal(spool_lock(dir, "a1", &other), SPOOL_GONE);
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}


/* Only a body is one: what a name could lead to elsewhere is not. */
static void
names(void **state)
{
    int  fd;

    (void) state;

    assert_int_equal(symlinkat("/etc/passwd", dir, "link"), 0);
    assert_int_equal(mkdirat(dir, "folder", 0700), 0);

    assert_int_equal(spool_lock(dir, "link", &fd), SPOOL_GONE);
    assert_int_not_equal(spool_lock(dir, "folder", &fd), SPOOL_OK);
    assert_int_equal(spool_lock(dir, "../etc/passwd", &fd), SPOOL_GONE);
    assert_int_equal(spool_lock(dir, "", &fd), SPOOL_GONE);
    assert_int_equal(spool_lock(dir, "none", &fd), SPOOL_GONE);
    assert_int_equal(fd, -1);
}


static int
scratches(void)
{
    int             n;
    DIR            *d;
    struct dirent  *e;

    n = 0;
    d = opendir(root);
    assert_non_null(d);

    while ((e = readdir(d)) != NULL) {
        n += strncmp(e->d_name, ".scratch-", 9) == 0;
    }

    closedir(d);

    return n;
}


static int
known(void *data, const char *name)
{
    (*(int *) data)++;

    return strcmp(name, "known") == 0 ? 1 : strcmp(name, "unsure") == 0 ? -1
                                                                       : 0;
}


static void
sweep(void **state)
{
    int  fd, asked;

    (void) state;

    asked = 0;
    put("old", 100);
    put("0000000007", 100);             /* nginx's, half written */
    put("young", 5);
    put("known", 100);
    put("unsure", 100);
    put("held", 100);
    assert_int_equal(symlinkat("/etc/passwd", dir, "link"), 0);
    assert_int_equal(mkdirat(dir, "folder", 0700), 0);
    assert_int_equal(spool_lock(dir, "held", &fd), SPOOL_OK);

    assert_int_equal(spool_sweep(dir, 60, known, &asked), 2);
    assert_false(there("old"));
    assert_false(there("0000000007"));
    assert_true(there("young"));
    assert_true(there("known"));
    assert_true(there("unsure"));
    assert_true(there("held"));
    assert_true(there("link"));
    assert_true(there("folder"));
    assert_true(there("id"));
    assert_int_equal(asked, 4);

    close(fd);
    assert_int_equal(spool_sweep(dir, 60, known, &asked), 1);
    assert_false(there("held"));
}


/* What a killed process had unpacked goes; not what another one has in hand,
 * nor what a link of a stranger's leads to. */
static void
scratch(void **state)
{
    int    mine, other, status;
    char   path[256], theirs[256], deep[512];
    pid_t  pid;

    (void) state;

    other = spool_scratch(root, theirs, sizeof(theirs));
    assert_true(other >= 0);
    assert_int_equal(strncmp(theirs, root, strlen(root)), 0);
    assert_int_equal(access(theirs, W_OK), 0);

    pid = fork();

    if (pid == 0) {
        if (spool_scratch(root, path, sizeof(path)) >= 0
            && snprintf(deep, sizeof(deep), "%s/a", path) > 0
            && mkdir(deep, 0700) == 0
            && snprintf(deep, sizeof(deep), "%s/a/file", path) > 0
            && close(open(deep, O_CREAT | O_WRONLY, 0400)) == 0
            && snprintf(deep, sizeof(deep), "%s/a/out", path) > 0
            && symlink(theirs, deep) == 0)
        {
            kill(getpid(), SIGKILL);
        }
        _exit(1);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    snprintf(deep, sizeof(deep), "%s/in-hand", theirs);
    assert_int_equal(close(open(deep, O_CREAT | O_WRONLY, 0600)), 0);

    mine = spool_scratch(root, path, sizeof(path));
    assert_true(mine >= 0);
    assert_string_not_equal(path, theirs);
    assert_int_equal(scratches(), 2);
    assert_int_equal(access(deep, W_OK), 0);

    spool_scratch_end(mine, path);
    spool_scratch_end(other, theirs);
    assert_int_equal(scratches(), 0);

    assert_int_equal(spool_scratch("/nowhere/spool", path, sizeof(path)), -1);
}


/* Another directory in its place is found, and has the same name. */
static void
made_again(void **state)
{
    int   fd;
    char  moved[80], err[512], other[WRT_OID_LEN + 1];

    (void) state;

    assert_false(spool_moved(dir, root));

    snprintf(moved, sizeof(moved), "%s-moved", root);
    assert_int_equal(rename(root, moved), 0);
    /* nothing is there: nobody is to make it but who may */
    assert_false(spool_moved(dir, root));
    assert_int_equal(mkdir(root, 0700), 0);
    assert_true(spool_moved(dir, root));

    fd = spool_reopen(root, id, err, sizeof(err));
    assert_true(fd >= 0);
    assert_string_equal(err, "");
    assert_false(spool_moved(fd, root));
    close(fd);

    fd = spool_open(root, other, err, sizeof(err));
    assert_true(fd >= 0);
    assert_string_equal(other, id);
    close(fd);

    /* one that has a name of its own */
    fd = spool_reopen(root, "0123456789abcdef01234567", err, sizeof(err));
    assert_true(fd >= 0);
    assert_non_null(strstr(err, "another spool"));
    close(fd);

    snprintf(err, sizeof(err), "rm -r %s", moved);
    assert_int_equal(system(err), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(no_link_is_followed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(made_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(locks, setup, teardown),
        cmocka_unit_test_setup_teardown(names, setup, teardown),
        cmocka_unit_test_setup_teardown(sweep, setup, teardown),
        cmocka_unit_test_setup_teardown(scratch, setup, teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
