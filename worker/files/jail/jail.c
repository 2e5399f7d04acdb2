/*
 * jail.c: a filter for system calls (see jail.h); the only file that knows
 * libseccomp, and Landlock.
 */

#define _GNU_SOURCE                 /* CLONE_THREAD */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>
#include <seccomp.h>

#include "worker/files/jail/jail.h"

static const char *const  jail_calls[] = {
    /* programs, processes */
    "execve", "execveat", "fork", "vfork", "process_vm_readv",
    "process_vm_writev", "kill", "tkill", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
    "kcmp",

    /* the kernel; io_uring could make sockets, too */
    "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "personality", "modify_ldt", "init_module",
    "finit_module", "kexec_load", "iopl", "ioperm", "swapon", "acct",
    "quotactl", "chroot", "pivot_root", "mount", "umount2",
    "open_by_handle_at", "fsopen", "fsmount", "move_mount", "open_tree",
    "mount_setattr",

    /* to other processes */
    "shmget", "shmat", "msgget", "msgsnd", "semget", "mq_open",

    NULL
};

/* Calls that name somebody to talk to, or wait for somebody. */
static const char *const  jail_strangers[] = {
    "connect", "bind", "listen", "sendmsg", "sendmmsg", NULL
};

/* In the flags of open(): any of these means to write. */
static const uint64_t  jail_flags[] = {
    O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND
};


static int
jail_names(scmp_filter_ctx ctx, const char *const *names)
{
    int     rc, call;
    size_t  i;

    for (i = 0, rc = 0; rc == 0 && names[i]; i++) {
        call = seccomp_syscall_resolve_name(names[i]);

        if (call != __NR_SCMP_ERROR) {
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0);
        }
    }

    return rc;
}


static int
jail_processes(scmp_filter_ctx ctx)
{
    int  rc;

    rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));

    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
                              0);
    }

    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ptrace),
                              0);
    }

    return rc;
}


static int
jail_writes(scmp_filter_ctx ctx)
{
    int     rc;
    size_t  i;

    rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);

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

    return rc;
}


/* send() is sendto() to nobody. */
static int
jail_meetings(scmp_filter_ctx ctx)
{
    int  rc;

    rc = jail_names(ctx, jail_strangers);

    return rc ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
                                      SCMP_SYS(sendto), 1,
                                      SCMP_A4(SCMP_CMP_NE, 0, 0));
}


/* A key pushed into the terminal is read by the shell that started us. */
static int
jail_terminal(scmp_filter_ctx ctx)
{
    int  rc;

    rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                          SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI));

    return rc ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM),
                                      SCMP_SYS(ioctl), 1,
                                      SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX,
                                              TIOCLINUX));
}


static int
jail_rules(scmp_filter_ctx ctx, const char *const *calls, unsigned rules)
{
    int  rc;

    /* threads that are there, too */
    rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

    if (rc == 0) {
        rc = jail_names(ctx, jail_calls);
    }

    if (rc == 0) {
        rc = jail_names(ctx, calls);
    }

    /* abort() signals itself */
    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_NE, (scmp_datum_t) getpid(),
                                      0));
    }

    if (rc == 0) {
        rc = jail_terminal(ctx);
    }

    if (rc == 0 && (rules & JAIL_STRANGERS)) {
        rc = jail_meetings(ctx);
    }

    if (rc == 0 && (rules & JAIL_SOCKETS)) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket),
                              1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
    }

    if (rc == 0 && (rules & JAIL_PROCESSES)) {
        rc = jail_processes(ctx);
    }

    if (rc == 0 && (rules & JAIL_WRITES)) {
        rc = jail_writes(ctx);
    }

    return rc;
}


/* One of the places that may be read.  -1: not possible. */
static int
jail_read(int ruleset, const char *path)
{
    int                                fd, rc;
    struct stat                        st;
    struct landlock_path_beneath_attr  attr;

    fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }

    memset(&attr, 0, sizeof(attr));
    attr.parent_fd = fd;
    attr.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
    rc = fstat(fd, &st);

    if (rc == 0 && S_ISDIR(st.st_mode)) {
        attr.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    }

    if (rc == 0) {
        rc = (int) syscall(SYS_landlock_add_rule, ruleset,
                           LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
    }

    close(fd);

    return rc;
}


/*
 * /proc/<pid>/mem is ptrace() by another name, and no filter sees names.  Who
 * is in a Landlock domain may not trace anybody outside of it.  There is none
 * without something that it forbids: devices.  Files are not moved from one
 * directory into another in it, either.
 *
 * Kernels without it, and containers that keep it from us, have what is left.
 */
static int
jail_apart(const char *const *reads)
{
    int                           fd, rc;
    struct landlock_ruleset_attr  attr;

    memset(&attr, 0, sizeof(attr));
    attr.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK
                             | LANDLOCK_ACCESS_FS_MAKE_CHAR;

    if (reads) {
        attr.handled_access_fs |= LANDLOCK_ACCESS_FS_READ_FILE
                                  | LANDLOCK_ACCESS_FS_READ_DIR;
    }

    fd = (int) syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

    if (fd < 0) {
        return 0;
    }

    for (rc = 0; rc == 0 && reads && *reads; reads++) {
        rc = jail_read(fd, *reads);
    }

    if (rc == 0) {
        rc = (int) syscall(SYS_landlock_restrict_self, fd, 0);
    }

    close(fd);

    return rc;
}


int
jail_enter(const jail_t *jail, char *err, size_t size)
{
    int              rc;
    scmp_filter_ctx  ctx;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(err, size, "no_new_privs: %s", strerror(errno));
        return -1;
    }

    if (jail_apart(jail->reads) != 0) {
        snprintf(err, size, "landlock: %s", strerror(errno));
        return -1;
    }

    ctx = seccomp_init(SCMP_ACT_ALLOW);

    if (ctx == NULL) {
        snprintf(err, size, "seccomp: no memory");
        return -1;
    }

    rc = jail_rules(ctx, jail->calls, jail->rules);

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
