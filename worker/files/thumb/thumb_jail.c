/*
 * thumb_jail.c: what the child that decodes pictures may not do (see thumb.h).
 *
 *   memory, processor time, size and number of files     rlimits
 *   being root, or becoming it                           nobody, no_new_privs
 *   outliving the role                                   PR_SET_PDEATHSIG
 *   network, other programs and processes, changing      seccomp
 *   anything in the file system, opening for writing
 *
 * Of files it may read those of the system: fonts are looked up when a page
 * needs them.  The user of a pool that is not root can read the database, and a
 * picture could be made of it.
 * RLIMIT_NPROC is left alone: it counts all threads of a user, libvips has
 * some, and root is not bound by it; a filter forbids new processes to all.
 */

#define _GNU_SOURCE                 /* close_range(), setresuid() */

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "worker/files/jail/jail.h"
#include "worker/files/thumb/thumb_wire.h"

#define JAIL_NOBODY  65534
#define JAIL_FILES   64

/* An address sanitizer reserves terabytes of address space. */
#ifdef __SANITIZE_ADDRESS__
#define JAIL_MEMORY  RLIM_INFINITY
#else
#define JAIL_MEMORY  WRT_THUMB_MEMORY
#endif

static const struct {
    int     what;
    rlim_t  value;
} jail_limits[] = {
    { RLIMIT_AS, JAIL_MEMORY },
    { RLIMIT_CPU, WRT_THUMB_CPU_S },
    { RLIMIT_FSIZE, WRT_THUMB_OUT_MAX },
    { RLIMIT_NOFILE, JAIL_FILES },
    { RLIMIT_CORE, 0 },
    { RLIMIT_MSGQUEUE, 0 }
};

/* Besides what jail.h names. */
static const char *const  jail_calls[] = {
    /* network */
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
    "sendto", "sendmsg", "sendmmsg", "recvmsg", "recvmmsg",

    /* the file system */
    "creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir",
    "mkdirat", "rmdir", "link", "linkat", "symlink", "symlinkat", "mknod",
    "mknodat", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown",
    "lchown", "fchownat", "truncate", "utime", "utimes", "utimensat",
    "futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "lremovexattr", "fremovexattr", "name_to_handle_at",

    /* the kernel */
    "setpriority", "sched_setaffinity", "syslog", "vmsplice", "splice", "tee",

    NULL
};


/* What libraries look at.  /proc/self is what it is at the time. */
static const char *const  jail_reads[] = {
    "/usr", "/lib", "/lib64", "/etc/fonts", "/etc/ld.so.cache",
    "/etc/localtime", "/etc/passwd", "/var/cache/fontconfig", "/dev/null",
    "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/sys/devices/system/cpu", NULL
};


int
thumb_jail_limits(char *err, size_t size)
{
    size_t         i;
    struct rlimit  rl;

    for (i = 0; i < sizeof(jail_limits) / sizeof(jail_limits[0]); i++) {
        rl.rlim_cur = jail_limits[i].value;
        rl.rlim_max = jail_limits[i].value;

        /* a lower one that is there already stays */
        if (setrlimit((__rlimit_resource_t) jail_limits[i].what, &rl) != 0
            && errno != EPERM)
        {
            snprintf(err, size, "setrlimit: %s", strerror(errno));
            return -1;
        }
    }

    /* whoever started it closed them already; twice is cheap */
    if (close_range(THUMB_FD_FIRST + THUMB_SIZES, ~0U, 0) != 0
        && errno != ENOSYS)
    {
        snprintf(err, size, "close_range: %s", strerror(errno));
        return -1;
    }

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0
        || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    {
        snprintf(err, size, "prctl: %s", strerror(errno));
        return -1;
    }

    return 0;
}


static int
jail_leave_root(char *err, size_t size)
{
    if (geteuid() != 0) {
        return 0;
    }

    if (setgroups(0, NULL) != 0
        || setresgid(JAIL_NOBODY, JAIL_NOBODY, JAIL_NOBODY) != 0
        || setresuid(JAIL_NOBODY, JAIL_NOBODY, JAIL_NOBODY) != 0)
    {
        snprintf(err, size, "becoming nobody: %s", strerror(errno));
        return -1;
    }

    /* it is gone when the user changes */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        snprintf(err, size, "prctl: %s", strerror(errno));
        return -1;
    }

    return 0;
}


int
thumb_jail_enter(char *err, size_t size)
{
    static const jail_t  jail = { jail_calls, jail_reads,
                                  JAIL_PROCESSES | JAIL_WRITES };

    if (jail_leave_root(err, size) != 0) {
        return -1;
    }

    return jail_enter(&jail, err, size);
}
