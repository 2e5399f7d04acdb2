/*
 * test_node.c: the name of a worker pool, and whether it has ended.
 *
 * Without it a living pool could lose its shards to another one of its host
 * again and again, or a dead one's shards stand still until the leases end.
 */

#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/worker.h"


static int
gone(const char *name)
{
    return node_gone(unit_edge(name, strlen(name)), strlen(name));
}


static void
self(void **state)
{
    char  name[NODE_SIZE], again[NODE_SIZE];

    (void) state;

    node_name(name);
    node_name(again);

    assert_string_equal(name, again);
    assert_true(strlen(name) < NODE_SIZE - 1);
    assert_int_equal(gone(name), 0);
}


/* A child tells its name; it lives, is a zombie, is gone. */
static void
child(void **state)
{
    int      fds[2], status;
    char     name[NODE_SIZE];
    pid_t    pid;
    ssize_t  n;

    (void) state;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        node_name(name);
        n = write(fds[1], name, sizeof(name));
        pause();
        _exit(n != sizeof(name));
    }

    assert_int_equal(read(fds[0], name, sizeof(name)), sizeof(name));
    assert_int_equal(gone(name), 0);

    kill(pid, SIGKILL);

    /* dead, but not waited for: it does nothing any more */
    while (!gone(name)) {
        usleep(1000);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(gone(name), 1);

    close(fds[0]);
    close(fds[1]);
}


/* Of other hosts, and of what is no name, nothing is known. */
static void
others(void **state)
{
    char    name[NODE_SIZE], other[2 * NODE_SIZE];
    size_t  i;

    static const char  *odd[] = {
        "", "-", "x", "0000000000000000-1-1", "0000000000000000--1-1",
        "0000000000000000-99999999999999999999-1", "p", "a/b"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(odd); i++) {
        assert_int_equal(gone(odd[i]), 0);
    }

    /* the same process number, started at another time: that one has ended */
    node_name(name);
    snprintf(other, sizeof(other), "%.*s-%ld-1", 16, name, (long) getpid());
    assert_int_equal(gone(other), 1);

    /* trailing bytes */
    snprintf(other, sizeof(other), "%s/p0", name);
    assert_int_equal(gone(other), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(self),
        cmocka_unit_test(child),
        cmocka_unit_test(others)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
