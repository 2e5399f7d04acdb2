/*
 * files_scanner.c: the scanner role (see files_scanner.h).  It answers one
 * question at a time, and looks for new signatures while nobody asks.
 */

#define _GNU_SOURCE                 /* struct ucred, accept4() */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/files/files_scanner.h"
#include "worker/files/spool.h"
#include "worker/worker.h"

#define SCANNER_BACKLOG     64
#define SCANNER_IDLE_MS     1000
#define SCANNER_REFRESH_MS  30000   /* look for new signatures */
#define SCANNER_ASK_MS      2000    /* for a question to come */
/* loading the signatures, those before us, and ourselves */
#define SCANNER_ANSWER_MS   (4 * WRT_SCAN_MS)

typedef union {
    struct cmsghdr  head;
    char            space[CMSG_SPACE(sizeof(int))];
} scanner_control_t;


int
scanner_listen(void)
{
    int                 s;
    struct sockaddr_un  addr;

    s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (s < 0) {
        return -1;
    }

    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;

    /* the family alone: the kernel picks a name (unix(7), autobind) */
    if (bind(s, (struct sockaddr *) &addr, sizeof(sa_family_t)) != 0
        || listen(s, SCANNER_BACKLOG) != 0)
    {
        close(s);
        return -1;
    }

    return s;
}


/* Anybody on this machine may know an abstract name. */
static int
scanner_is_ours(int s)
{
    socklen_t     n;
    struct ucred  who;

    n = sizeof(who);

    return getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0
           && who.uid == geteuid();
}


/* The descriptor that came; -1: none. */
static int
scanner_receive(int s)
{
    int                 fd;
    char                byte;
    struct iovec        iov;
    struct msghdr       msg;
    struct cmsghdr     *c;
    scanner_control_t   control;

    iov.iov_base = &byte;
    iov.iov_len = 1;

    memset(&msg, 0, sizeof(msg));
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control);

    if (recvmsg(s, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1) {
        return -1;
    }

    c = CMSG_FIRSTHDR(&msg);

    if (c == NULL || c->cmsg_level != SOL_SOCKET
        || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
    {
        return -1;
    }

    memcpy(&fd, CMSG_DATA(c), sizeof(fd));

    return fd;
}


static void
scanner_answer(scan_t *scan, int s)
{
    int            fd;
    scan_answer_t  a;
    struct pollfd  p;

    p.fd = s;
    p.events = POLLIN;

    if (!scanner_is_ours(s) || role_poll(&p, 1, SCANNER_ASK_MS) != 1) {
        return;
    }

    fd = scanner_receive(s);
    if (fd < 0) {
        return;
    }

    memset(&a, 0, sizeof(a));
    a.rc = scan_file(scan, fd);
    close(fd);

    text_copy(a.text, sizeof(a.text), scan_text(scan));
    text_copy(a.about, sizeof(a.about), scan_about(scan));

    (void) send(s, &a, sizeof(a), MSG_NOSIGNAL | MSG_DONTWAIT);
}


/* Log when it comes and goes, and what it goes by. */
static void
scanner_prepare(role_t *r, scan_t *scan, scan_rc_t *last, char *about)
{
    scan_rc_t  rc;

    rc = scan_prepare(scan);
    count_set(r->slot->counters.scanner_up, rc == SCAN_CLEAN);

    if (rc != SCAN_CLEAN) {
        if (*last != rc) {
            log_error("scanner_down", "error=\"%s\" retry=yes",
                      scan_text(scan));
        }

    } else if (strcmp(about, scan_about(scan)) != 0) {
        text_copy(about, SCAN_ABOUT_SIZE, scan_about(scan));

        if (scan_bare(scan)) {
            log_warn("scanner", "engine=\"%s\"", about);

        } else {
            log_info("scanner", "engine=\"%s\"", about);
        }
    }

    *last = rc;
}


/* Where it unpacks: beside the uploads, so that what it leaves behind when a
 * file kills it is removed with its next start. */
static scan_t *
scanner_open(role_t *r, int *scratch, scan_conf_t *cf)
{
    *cf = r->cf->scan;
    *scratch = spool_scratch(r->cf->spool, cf->tmp, sizeof(cf->tmp));

    if (*scratch < 0) {
        log_error("scanner", "error=\"SPOOL: no directory to unpack into can "
                  "be made in %s: %s\"", r->cf->spool, strerror(errno));
        return NULL;
    }

    return scan_open(cf);
}


/* Has that directory gone, with a spool that somebody removed or put another
 * one over?  What came meanwhile waits for the one who is started instead. */
static int
scanner_homeless(role_t *r, const char *scratch)
{
    struct stat  st;

    if (stat(scratch, &st) == 0 || stat(r->cf->spool, &st) != 0) {
        return 0;
    }

    log_error("scanner", "error=\"SPOOL: %s is gone, another one is made\"",
              scratch);

    return 1;
}


int
scanner_run(role_t *r)
{
    int            s, scratch, status;
    char           about[SCAN_ABOUT_SIZE], why[256];
    scan_t        *scan;
    int64_t        next;
    scan_rc_t      last;
    scan_conf_t    cf;
    struct pollfd  p;

    scan = scanner_open(r, &scratch, &cf);
    if (scan == NULL) {
        return EXIT_FAILURE;
    }

    about[0] = '\0';
    last = SCAN_OFF;
    next = 0;
    status = EXIT_SUCCESS;

    /* A clamd takes files apart by itself.  Where the kernel has no filters,
     * files are scanned all the same: they have to be. */
    if (cf.kind == SCAN_LIBCLAMAV && scan_jail(why, sizeof(why)) != 0) {
        log_warn("scanner_jail", "error=\"%s\"", why);
    }

    p.fd = r->scanner;
    p.events = POLLIN;

    while (!role_stopping()) {

        if (scanner_homeless(r, cf.tmp)) {
            status = EXIT_FAILURE;
            break;
        }

        if (mono_ms() >= next) {
            scanner_prepare(r, scan, &last, about);
            next = mono_ms() + (last == SCAN_CLEAN ? SCANNER_REFRESH_MS
                                                   : SCANNER_IDLE_MS);
        }

        if (role_poll(&p, 1, SCANNER_IDLE_MS) != 1) {
            continue;
        }

        s = accept4(r->scanner, NULL, NULL, SOCK_CLOEXEC);

        if (s >= 0) {
            scanner_answer(scan, s);
            close(s);
        }
    }

    scan_close(scan);
    spool_scratch_end(scratch, cf.tmp);

    return status;
}


static int
scanner_connect(int listener)
{
    int                 s;
    socklen_t           n;
    struct sockaddr_un  addr;

    n = sizeof(addr);

    if (getsockname(listener, (struct sockaddr *) &addr, &n) != 0) {
        return -1;
    }

    s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    /* EAGAIN: too many wait already */
    if (s >= 0 && connect(s, (struct sockaddr *) &addr, n) != 0) {
        close(s);
        s = -1;
    }

    return s;
}


static int
scanner_send(int s, int fd)
{
    char                byte;
    struct iovec        iov;
    struct msghdr       msg;
    struct cmsghdr     *c;
    scanner_control_t   control;

    byte = 0;
    iov.iov_base = &byte;
    iov.iov_len = 1;

    memset(&msg, 0, sizeof(msg));
    memset(&control, 0, sizeof(control));
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = &control;
    msg.msg_controllen = sizeof(control);

    c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));

    return sendmsg(s, &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}


void
scanner_ask(int listener, int fd, scan_answer_t *out)
{
    int            s, ended;
    int64_t        end, left;
    ssize_t        n;
    struct pollfd  p;

    memset(out, 0, sizeof(*out));
    n = -1;
    ended = 0;

    s = scanner_connect(listener);

    if (s >= 0 && scanner_send(s, fd) == 0) {
        p.fd = s;
        p.events = POLLIN;
        end = mono_ms() + SCANNER_ANSWER_MS;

        while (!role_stopping() && (left = end - mono_ms()) > 0) {
            if (role_poll(&p, 1, (int) left) == 1) {
                n = recv(s, out, sizeof(*out), 0);
                /* what nobody has accepted waits for the next one */
                ended = n <= 0;
                break;
            }
        }
    }

    if (s >= 0) {
        close(s);
    }

    if (n != (ssize_t) sizeof(*out)) {
        memset(out, 0, sizeof(*out));
        out->rc = SCAN_DOWN;
        out->died = ended && !role_stopping();
        text_copy(out->text, sizeof(out->text),
                  "the scanner gave no answer");
    }
}
