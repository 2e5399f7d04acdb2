/*
 * thumb_jail.c: what the child that decodes pictures may not do (see thumb.h);
 * the only file that knows libseccomp.
 *
 *   memory, processor time, size and number of files     rlimits
 *   being root, or becoming it                           nobody, no_new_privs
 *   outliving the role                                   PR_SET_PDEATHSIG
 *   network, other programs and processes, changing      seccomp
 *   anything in the file system, opening for writing
 *
 * It may read what anybody may: fonts are looked up when a page needs them.
 * RLIMIT_NPROC is left alone: it counts all threads of a user, libvips has
 * some, and root is not bound by it; a filter forbids new processes to all.
 */

#define _GNU_SOURCE                 /* close_range(), setresuid() */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <seccomp.h>

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

/* Refused.  Names that this kernel's headers do not know are passed over:
 * nobody could call them by number, either, where they do not exist. */
static const char  *jail_calls[] = {
    /* network */
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4",
    "sendto", "sendmsg", "sendmmsg", "recvmsg", "recvmmsg",

    /* programs, processes */
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv",
    "process_vm_writev", "kill", "tkill", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
    "kcmp", "setpriority", "sched_setaffinity",

    /* the file system */
    "creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir",
    "mkdirat", "rmdir", "link", "linkat", "symlink", "symlinkat", "mknod",
    "mknodat", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown",
    "lchown", "fchownat", "truncate", "utime", "utimes", "utimensat",
    "futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "lremovexattr", "fremovexattr", "chroot", "pivot_root", "mount",
    "umount2", "open_by_handle_at", "name_to_handle_at", "fsopen", "fsmount",
    "move_mount", "open_tree", "mount_setattr",

    /* the kernel */
    "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "personality", "modify_ldt", "init_module",
    "finit_module", "kexec_load", "iopl", "ioperm", "swapon", "acct",
    "quotactl", "syslog", "vmsplice", "splice", "tee",

    /* to other processes */
    "shmget", "shmat", "msgget", "msgsnd", "semget", "mq_open",

    NULL
};

/* In the flags of open(): any of these means to write. */
static const uint64_t  jail_flags[] = {
    O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND
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


static int
jail_rules(scmp_filter_ctx ctx)
{
    int     rc, call;
    size_t  i;

    rc = 0;

    for (i = 0; rc == 0 && jail_calls[i]; i++) {
        call = seccomp_syscall_resolve_name(jail_calls[i]);

        if (call != __NR_SCMP_ERROR) {
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0);
        }
    }

    for (i = 0; rc == 0 && i < sizeof(jail_flags) / sizeof(jail_flags[0]);
         i++)
    {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, jail_flags[i],
                                      jail_flags[i]));

        if (rc == 0) {
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
                                  SCMP_SYS(openat), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, jail_flags[i],
                                          jail_flags[i]));
        }
    }

    /* threads, but no processes: clone3() has its flags where no filter sees
     * them, so it does not exist; the same goes for openat2() */
    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    }

    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
                              0);
    }

    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2),
                              0);
    }

    /* abort() signals itself */
    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_NE, (scmp_datum_t) getpid(),
                                      0));
    }

    return rc;
}


int
thumb_jail_enter(char *err, size_t size)
{
    int              rc;
    scmp_filter_ctx  ctx;

    if (jail_leave_root(err, size) != 0) {
        return -1;
    }

    ctx = seccomp_init(SCMP_ACT_ALLOW);

    if (ctx == NULL) {
        snprintf(err, size, "seccomp: no memory");
        return -1;
    }

    /* threads that are there, too */
    rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

    if (rc == 0) {
        rc = jail_rules(ctx);
    }

    if (rc == 0) {
        rc = seccomp_load(ctx);
    }

    seccomp_release(ctx);

    if (rc != 0) {
        snprintf(err, size, "seccomp: %s", strerror(-rc));
        return -1;
    }

    return 0;
}
