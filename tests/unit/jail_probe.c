/*
 * jail_probe.c: tries what the jail of thumb_jail.c forbids, and what it must
 * leave (run by test_thumb.c).  Exit status 0, or the line of the first try
 * that ended in another way than it should.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "worker/files/thumb/thumb_wire.h"

#define NEED(what)                                                            \
    do {                                                                      \
        if (!(what)) {                                                        \
            printf("line %d: %s: errno %d\n", __LINE__, #what, errno);        \
            fflush(stdout);                                                   \
            _exit(1 + __LINE__ % 250);                                        \
        }                                                                     \
    } while (0)

/* Refused by the filter, not for another reason. */
#define REFUSED(what)  NEED((errno = 0, (what) == -1 && errno == EPERM))


static void *
thread(void *data)
{
    *(int *) data = 1;

    return NULL;
}


static void
files(const char *path)
{
    int   fd;
    char  c;

    fd = open("/etc/passwd", O_RDONLY);
    NEED(fd >= 0 && read(fd, &c, 1) == 1);
    close(fd);

    /* but nothing that is not the system's, whoever may read it */
    NEED(syscall(SYS_landlock_create_ruleset, NULL, 0L,
                 LANDLOCK_CREATE_RULESET_VERSION) < 1
         || (open("/etc/group", O_RDONLY) == -1 && errno == EACCES
             && open("/tmp", O_RDONLY) == -1 && errno == EACCES));

    NEED(open(path, O_WRONLY) == -1 && errno == EACCES);
    NEED(open(path, O_RDWR) == -1 && errno == EACCES);
    NEED(open(path, O_RDONLY | O_TRUNC) == -1 && errno == EACCES);
    NEED(open("/tmp/x", O_RDONLY | O_CREAT, 0600) == -1 && errno == EACCES);
    NEED(open("/tmp", O_TMPFILE | O_RDWR, 0600) == -1 && errno == EACCES);
    NEED(syscall(SYS_open, path, O_WRONLY) == -1 && errno == EACCES);
    NEED(syscall(SYS_openat2, AT_FDCWD, path, NULL, 0) == -1
         && errno == ENOSYS);
    REFUSED(unlink(path));
    REFUSED(rename(path, "/tmp/x"));
    REFUSED(link(path, "/tmp/x"));
    REFUSED(symlink(path, "/tmp/x"));
    REFUSED(mkdir("/tmp/x", 0700));
    REFUSED(chmod(path, 0777));
    REFUSED(truncate(path, 0));
    REFUSED(chroot("/tmp"));
}


static void
processes(void)
{
    int        done;
    char      *argv[] = { "true", NULL }, path[64];
    pthread_t  id;

    /* its passwords, for a picture that shows them: of a pool that is not
     * root's the same user's */
    snprintf(path, sizeof(path), "/proc/%d/environ", (int) getppid());
    NEED(syscall(SYS_landlock_create_ruleset, NULL, 0L,
                 LANDLOCK_CREATE_RULESET_VERSION) < 1
         || (open(path, O_RDONLY) == -1 && errno == EACCES));

    REFUSED(fork());
    REFUSED(vfork());
    NEED(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
    REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    REFUSED(execve("/bin/true", argv, NULL));
    REFUSED(kill(getppid(), SIGTERM));
    REFUSED(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM));
    REFUSED(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
    REFUSED(ioctl(0, TIOCSTI, "x"));
    REFUSED(socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
    REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));

    /* but threads */
    done = 0;
    NEED(pthread_create(&id, NULL, thread, &done) == 0);
    NEED(pthread_join(id, NULL) == 0);
    NEED(done == 1);
}


static void
limits(void)
{
    int            i;
    struct rlimit  rl;

#ifndef __SANITIZE_ADDRESS__
    char          *p;
#endif

    NEED(getrlimit(RLIMIT_CPU, &rl) == 0);
    NEED(rl.rlim_max <= WRT_THUMB_CPU_S);
    NEED(getrlimit(RLIMIT_FSIZE, &rl) == 0);
    NEED(rl.rlim_max <= WRT_THUMB_OUT_MAX);

#ifndef __SANITIZE_ADDRESS__
    p = malloc((size_t) WRT_THUMB_MEMORY);
    NEED(p == NULL);
    free(p);
#endif

    rl.rlim_cur = rl.rlim_max = RLIM_INFINITY;
    REFUSED(setrlimit(RLIMIT_FSIZE, &rl));
    NEED(getuid() != 0 && geteuid() != 0 && setuid(0) == -1);

    /* what it was not given is closed */
    for (i = THUMB_FD_FIRST + THUMB_SIZES; i < 64; i++) {
        NEED(fcntl(i, F_GETFD) == -1 && errno == EBADF);
    }
}


int
main(int argc, char **argv)
{
    char  err[128];

    NEED(argc == 2);

    if (thumb_jail_limits(err, sizeof(err)) != 0
        || thumb_jail_enter(err, sizeof(err)) != 0)
    {
        printf("%s\n", err);
        return EXIT_FAILURE;
    }

    limits();
    files(argv[1]);
    processes();
    fflush(stdout);

    /* the last one: abort() must work */
    abort();
}
