/*
 * scan_jail.c: what the scanner role may not do any more once it scans.
 *
 * libclamav takes apart what strangers have sent, in dozens of formats.  Who
 * finds a hole there is in a process that has neither Redis nor the store, and
 * with this filter he gets no further than to its verdicts and to files:
 *
 *   network                  sockets of this machine alone
 *   programs, processes      none can be started, read, written or signalled
 *   the kernel's odd corners closed
 *
 * Files stay: libclamav unpacks into TMPDIR, and reads its signatures anew.
 * What a filter refuses fails with EACCES or EPERM, as a file might.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

#include "worker/files/scan/scan.h"

/* Names that this kernel's headers do not know are passed over: they do not
 * exist there. */
static const char *const  jail_calls[] = {
    "execve", "execveat", "fork", "vfork", "process_vm_readv",
    "process_vm_writev", "kill", "tkill", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd",
    "kcmp",

    "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "personality", "modify_ldt", "init_module",
    "finit_module", "kexec_load", "iopl", "ioperm", "swapon", "acct",
    "quotactl", "chroot", "pivot_root", "mount", "umount2",
    "open_by_handle_at", "fsopen", "fsmount", "move_mount", "open_tree",
    "mount_setattr", "shmget", "shmat", "msgget", "msgsnd", "semget",
    "mq_open",

    NULL
};


/* A leak check is another process that looks at this one. */
#ifndef __SANITIZE_ADDRESS__

static int
jail_processes(scmp_filter_ctx ctx)
{
    int  rc;

    /* threads, but no processes: clone3() has its flags where no filter sees
     * them, so it does not exist */
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

#else

static int
jail_processes(scmp_filter_ctx ctx)
{
    (void) ctx;

    return 0;
}

#endif


static int
jail_rules(scmp_filter_ctx ctx)
{
    int     rc, call;
    size_t  i;

    /* io_uring, which could make sockets, too, is among jail_calls */
    rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
                          SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));

    for (i = 0; rc == 0 && jail_calls[i]; i++) {
        call = seccomp_syscall_resolve_name(jail_calls[i]);

        if (call != __NR_SCMP_ERROR) {
            rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0);
        }
    }

    /* abort() signals itself */
    if (rc == 0) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                              SCMP_A0(SCMP_CMP_NE, (scmp_datum_t) getpid(),
                                      0));
    }

    return rc == 0 ? jail_processes(ctx) : rc;
}


int
scan_jail(char *err, size_t size)
{
    int              rc;
    scmp_filter_ctx  ctx;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(err, size, "no_new_privs: %s", strerror(errno));
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
