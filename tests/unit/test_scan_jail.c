/*
 * test_scan_jail.c: what the scanner role may not do, and what it must be able
 * to do.
 *
 * Without it a filter that lost a rule would be noticed by nobody but whoever
 * has found a hole in libclamav; and one with a rule too many would make
 * libclamav fail, with files of some type only.
 */

#define _GNU_SOURCE

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "worker/files/scan/scan.h"

/* In the child, where cmocka has no say. */
#define NEED(what)                                                            \
    do {                                                                      \
        if (!(what)) {                                                        \
            fprintf(stderr, "line %d: %s: errno %d\n", __LINE__, #what,       \
                    errno);                                                   \
            _exit(1);                                                         \
        }                                                                     \
    } while (0)

#define REFUSED(what, code)  NEED((errno = 0, (what) == -1 && errno == code))


static void *
thread(void *data)
{
    *(int *) data = 1;

    return NULL;
}


/* What /proc has of another process is that process; for kernels that can keep
 * us from it. */
static void
others(pid_t parent)
{
    char    path[64];
    size_t  i;

    static const char *const  names[] = { "environ", "maps" };

    if (syscall(SYS_landlock_create_ruleset, NULL, 0L,
                LANDLOCK_CREATE_RULESET_VERSION) < 1)
    {
        return;
    }

    snprintf(path, sizeof(path), "/proc/%d/mem", (int) parent);
    REFUSED(open(path, O_RDWR), EACCES);
    REFUSED(open(path, O_RDONLY), EACCES);

    /* root may look at these for measurements (CAP_PERFMON) */

    for (i = 0; geteuid() != 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "/proc/%d/%s", (int) parent, names[i]);
        REFUSED(open(path, O_RDONLY), EACCES);
    }

    /* but its own: sanitizers read it */
    NEED(open("/proc/self/maps", O_RDONLY) >= 0);
}


/* Redis may listen on this machine, and ask nobody for a password. */
static void
strangers(const struct sockaddr_un *redis)
{
    int            s;
    struct iovec   iov;
    struct msghdr  msg;

    s = socket(AF_UNIX, SOCK_STREAM, 0);
    NEED(s >= 0);
    REFUSED(connect(s, (const struct sockaddr *) redis, sizeof(*redis)),
            EPERM);
    REFUSED(bind(s, (const struct sockaddr *) redis, sizeof(sa_family_t)),
            EPERM);
    REFUSED(listen(s, 1), EPERM);
    close(s);

    s = socket(AF_UNIX, SOCK_DGRAM, 0);
    NEED(s >= 0);
    iov.iov_base = "x";
    iov.iov_len = 1;
    memset(&msg, 0, sizeof(msg));
    msg.msg_name = (void *) (uintptr_t) redis;
    msg.msg_namelen = sizeof(*redis);
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    REFUSED(sendto(s, "x", 1, 0, (const struct sockaddr *) redis,
                   sizeof(*redis)), EPERM);
    REFUSED(sendmsg(s, &msg, 0), EPERM);
    close(s);

    REFUSED(ioctl(0, TIOCSTI, "x"), EPERM);
}


static void
refused(pid_t parent)
{
    char *const  argv[] = { "true", NULL };

    REFUSED(socket(AF_INET, SOCK_STREAM, 0), EACCES);
    REFUSED(socket(AF_INET6, SOCK_DGRAM, 0), EACCES);
    REFUSED(socket(AF_NETLINK, SOCK_RAW, 0), EACCES);
    REFUSED(socket(AF_PACKET, SOCK_RAW, 0), EACCES);
    REFUSED(execve("/bin/true", argv, NULL), EPERM);
    REFUSED(kill(parent, 0), EPERM);
    REFUSED(syscall(SYS_tgkill, parent, parent, 0), EPERM);
    REFUSED(syscall(SYS_unshare, 0), EPERM);
    REFUSED(syscall(SYS_io_uring_setup, 1, NULL), EPERM);
    REFUSED(syscall(SYS_process_vm_readv, parent, NULL, 0L, NULL, 0L, 0L),
            EPERM);
#ifndef __SANITIZE_ADDRESS__
    REFUSED(fork(), EPERM);
    REFUSED(ptrace(PTRACE_ATTACH, parent, NULL, NULL), EPERM);
    REFUSED(syscall(SYS_clone3, NULL, 0L), ENOSYS);
#endif
}


static void
allowed(void)
{
    int        fd, ran, s[2];
    char       name[] = "/tmp/scan-jail-XXXXXX";
    pthread_t  t;

    fd = mkstemp(name);
    NEED(fd >= 0 && write(fd, "x", 1) == 1 && unlink(name) == 0);
    close(fd);

    NEED(mkdir(name, 0700) == 0 && rmdir(name) == 0);
    NEED(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
    NEED(send(s[0], "x", 1, 0) == 1 && recv(s[1], name, 1, 0) == 1);

    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    NEED(fd >= 0);

    ran = 0;
    NEED(pthread_create(&t, NULL, thread, &ran) == 0);
    NEED(pthread_join(t, NULL) == 0 && ran);
}


static void
jail(void **state)
{
    int                 s, status;
    char                err[256];
    pid_t               child, parent;
    socklen_t           n;
    struct sockaddr_un  redis;

    (void) state;

    /* as Redis does, under a name of the kernel's choice */
    s = socket(AF_UNIX, SOCK_STREAM, 0);
    memset(&redis, 0, sizeof(redis));
    redis.sun_family = AF_UNIX;
    assert_int_equal(bind(s, (struct sockaddr *) &redis, sizeof(sa_family_t)),
                     0);
    assert_int_equal(listen(s, 1), 0);
    n = sizeof(redis);
    assert_int_equal(getsockname(s, (struct sockaddr *) &redis, &n), 0);

    parent = getpid();
    child = fork();
    assert_true(child >= 0);

    if (child == 0) {
        if (scan_jail(err, sizeof(err)) != 0) {
            fprintf(stderr, "%s\n", err);
            _exit(1);
        }

        refused(parent);
        others(parent);
        strangers(&redis);
        allowed();
        _exit(0);
    }

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(s);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(jail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
