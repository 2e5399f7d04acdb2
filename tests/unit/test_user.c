/*
 * test_user.c: the pool's way from root to a user of its own.
 *
 * Without it a pool that was told to drop root could keep a group, a saved id
 * or a capability of it, or go on as root when the user does not exist.
 */

#define _GNU_SOURCE                 /* getresuid() */

#include "tests/unit/unit.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/worker.h"

#define USER_NAME   "nobody"
#define USER_OTHER  "daemon"


/* What a test does, in a process of its own: 0 when all was right, else the
 * number of the line. */
typedef int (*user_pt)(void);

#define want(what)                                                            \
    if (!(what)) {                                                            \
        return __LINE__;                                                      \
    }


static void
apart(user_pt f)
{
    int    status, line;
    int    fds[2];
    pid_t  pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        line = f();
        _exit(write(fds[1], &line, sizeof(line)) != sizeof(line));
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], &line, sizeof(line)), sizeof(line));
    close(fds[0]);
    close(fds[1]);

    if (line) {
        fail_msg("line %d of the child", line);
    }
}


static int
refused(const char *name, const char *text)
{
    char  err[512];

    err[0] = '\0';

    return user_become(name, err, sizeof(err)) == -1
           && strncmp(err, "WORKER_USER", 11) == 0 && strstr(err, text);
}


/* None of the capabilities is left: permitted, effective, inheritable. */
static int
powerless(void)
{
    char                line[256];
    FILE               *f;
    int                 n;
    unsigned long long  caps;

    f = fopen("/proc/self/status", "re");
    n = 0;

    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "CapPrm: %llx", &caps) == 1
            || sscanf(line, "CapEff: %llx", &caps) == 1)
        {
            n += caps == 0;
        }
    }

    if (f) {
        fclose(f);
    }

    return n == 2;
}


static int
becomes(void)
{
    char            err[512];
    int             i, n;
    gid_t           gid[3], groups[64];
    uid_t           uid[3];
    gid_t           extra[] = { 0, 4 };
    struct passwd  *pw;

    pw = getpwnam(USER_NAME);
    want(pw != NULL);

    /* as a root with groups of its own */
    want(setgroups(2, extra) == 0);

    want(user_become(USER_NAME, err, sizeof(err)) == 0);

    want(getresuid(&uid[0], &uid[1], &uid[2]) == 0);
    want(getresgid(&gid[0], &gid[1], &gid[2]) == 0);

    for (i = 0; i < 3; i++) {
        want(uid[i] == pw->pw_uid);
        want(gid[i] == pw->pw_gid);
    }

    n = getgroups((int) UNIT_COUNT(groups), groups);
    want(n >= 0);

    for (i = 0; i < n; i++) {
        want(groups[i] != 0 && groups[i] != 4);
    }

    want(powerless());
    want(setuid(0) == -1 && setgid(0) == -1 && setgroups(0, NULL) == -1);
    want(prctl(PR_GET_DUMPABLE) == 1);

    /* once more is no mistake; from here to another one there is no way */
    want(user_become(USER_NAME, err, sizeof(err)) == 0);
    want(user_become(NULL, err, sizeof(err)) == 0);
    want(refused(USER_OTHER, "only root can"));

    return 0;
}


static int
stays(void)
{
    char   err[512];
    uid_t  uid;

    uid = geteuid();
    want(user_become(NULL, err, sizeof(err)) == 0 && geteuid() == uid);
    want(user_become("", err, sizeof(err)) == 0 && geteuid() == uid);
    want(refused("writeen-no-such-user", "there is no such user"));
    want(refused("root", "without rights"));
    want(geteuid() == uid);

    return 0;
}


/* Without root there is no way to anybody. */
static int
not_allowed(void)
{
    want(refused(USER_OTHER, "only root can"));

    return 0;
}


static void
to_a_user(void **state)
{
    (void) state;

    apart(geteuid() == 0 ? becomes : not_allowed);
}


static void
nobody_named(void **state)
{
    (void) state;

    apart(stays);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(to_a_user),
        cmocka_unit_test(nobody_named)
    };

    return cmocka_run_group_tests_name("user", tests, NULL, NULL);
}
