/*
 * scan_clamd.c: the protocol of clamd (see scan.h).
 *
 *   we:    zINSTREAM NUL, then pieces: length in 4 bytes, bytes; length 0
 *   clamd: "stream: OK" NUL                              clean
 *          "stream: <name> FOUND" NUL                    found
 *          "stream: <text> ERROR" NUL                    cannot be judged
 *          "INSTREAM size limit exceeded. ERROR" NUL     StreamMaxLength
 *
 * One connection for each command.  Whatever else happens (no connection, an
 * end in the middle, another answer, no answer in time) is no verdict on the
 * file: the scanner is down.
 */

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/files/scan/scan_internal.h"

#define CLAMD_REPLY    1024
#define CLAMD_SLACK_MS 5000         /* clamd's own limit comes first */
#define CLAMD_STOP_MS  200          /* between two looks at whether to stop */

/* Errors of clamd that are not the file's (cl_strerror()). */
static const char  *clamd_trouble[] = {
    "Can't create", "Can't open", "Can't read", "Can't write",
    "Can't allocate", "Can't get file status", "Can't map", "Can't unlink",
    "Can't set file offset", "Can't duplicate", "Access denied", NULL
};

typedef struct {
    scan_t   *s;
    int       fd;
    int64_t   deadline;             /* mono, ms */
} clamd_t;


static scan_rc_t
clamd_down(clamd_t *c, const char *what, const char *why)
{
    char  where[SCAN_HOST_SIZE + 16];

    if (c->s->cf.path[0]) {
        snprintf(where, sizeof(where), "%s", c->s->cf.path);

    } else {
        snprintf(where, sizeof(where), "%s:%u", c->s->cf.host,
                 c->s->cf.port);
    }

    return scan_say(c->s, SCAN_DOWN, "clamd at %.100s: %s: %s", where, what,
                    why);
}


/* 0: ready; -1 with errno set. */
static int
clamd_wait(clamd_t *c, short events)
{
    int            n;
    int64_t        left;
    struct pollfd  pfd;

    pfd.fd = c->fd;
    pfd.events = events;

    do {
        left = c->deadline - scan_mono_ms();

        if (left <= 0) {
            errno = ETIMEDOUT;
            return -1;
        }

        if (scan_stopping(c->s)) {
            errno = ECANCELED;
            return -1;
        }

        n = poll(&pfd, 1, left < CLAMD_STOP_MS ? (int) left : CLAMD_STOP_MS);
    } while (n == 0 || (n < 0 && errno == EINTR));

    return n < 0 ? -1 : 0;
}


static int
clamd_dial(clamd_t *c, const struct sockaddr *sa, socklen_t len, int family)
{
    int        err;
    socklen_t  n;

    c->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (c->fd < 0) {
        return -1;
    }

    if (connect(c->fd, sa, len) == 0) {
        return 0;
    }

    err = errno;
    n = sizeof(err);

    /* a socket of a path says EAGAIN when too many wait: no use to poll */
    if (err == EINPROGRESS) {

        if (clamd_wait(c, POLLOUT) != 0
            || getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
        {
            err = errno;
        }

        if (err == 0) {
            return 0;
        }
    }

    close(c->fd);
    c->fd = -1;
    errno = err;

    return -1;
}


static scan_rc_t
clamd_connect(clamd_t *c)
{
    int                 rc;
    char                port[16];
    struct addrinfo     hints, *list, *ai;
    struct sockaddr_un  un;

    c->fd = -1;
    c->deadline = scan_mono_ms() + WRT_CLAMD_CONNECT_MS;

    if (c->s->cf.path[0]) {
        memset(&un, 0, sizeof(un));
        un.sun_family = AF_UNIX;
        memcpy(un.sun_path, c->s->cf.path, strlen(c->s->cf.path) + 1);

        if (clamd_dial(c, (struct sockaddr *) &un, sizeof(un), AF_UNIX) != 0) {
            return clamd_down(c, "connecting", strerror(errno));
        }

        return SCAN_CLEAN;
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    snprintf(port, sizeof(port), "%u", c->s->cf.port);

    rc = getaddrinfo(c->s->cf.host, port, &hints, &list);

    if (rc != 0) {
        return clamd_down(c, "looking up", gai_strerror(rc));
    }

    for (ai = list; ai; ai = ai->ai_next) {
        if (clamd_dial(c, ai->ai_addr, ai->ai_addrlen, ai->ai_family) == 0) {
            break;
        }
    }

    freeaddrinfo(list);

    return c->fd >= 0 ? SCAN_CLEAN
           : clamd_down(c, "connecting", strerror(errno));
}


static int
clamd_send(clamd_t *c, const unsigned char *p, size_t n)
{
    ssize_t  done;

    while (n > 0) {
        done = send(c->fd, p, n, MSG_NOSIGNAL);

        if (done < 0) {

            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                if (clamd_wait(c, POLLOUT) != 0) {
                    return -1;
                }

            } else if (errno != EINTR) {
                return -1;
            }

            continue;
        }

        p += done;
        n -= (size_t) done;
    }

    return 0;
}


/* One reply with its NUL; -1 with errno set. */
static int
clamd_reply(clamd_t *c, char out[CLAMD_REPLY])
{
    size_t   n;
    ssize_t  got;

    for (n = 0; n < CLAMD_REPLY; ) {
        got = recv(c->fd, out + n, CLAMD_REPLY - n, 0);

        if (got < 0) {

            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                if (clamd_wait(c, POLLIN) != 0) {
                    return -1;
                }

            } else if (errno != EINTR) {
                return -1;
            }

            continue;
        }

        if (got == 0) {
            errno = ECONNRESET;
            return -1;
        }

        n += (size_t) got;

        if (out[n - 1] == '\0') {

            /* one, and nothing after it */
            if (strlen(out) == n - 1) {
                return 0;
            }

            break;
        }
    }

    errno = EPROTO;

    return -1;
}


/* Does the text end so?  Cut it there. */
static int
clamd_cut(char *text, const char *end)
{
    size_t  n, k;

    n = strlen(text);
    k = strlen(end);

    if (n <= k || strcmp(text + n - k, end) != 0) {
        return 0;
    }

    text[n - k] = '\0';

    return 1;
}


static scan_rc_t
clamd_verdict(clamd_t *c, char *reply)
{
    size_t   i;
    char    *text;
    scan_t  *s;

    s = c->s;

    if (strcmp(reply, "INSTREAM size limit exceeded. ERROR") == 0) {
        return scan_say(s, SCAN_ERROR, "it is larger than clamd takes "
                        "(StreamMaxLength)");
    }

    text = strncmp(reply, "stream: ", 8) == 0 ? reply + 8 : NULL;

    for (i = 0; text && text[i]; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7F) {
            text = NULL;
            break;
        }
    }

    if (text && strcmp(text, "OK") == 0) {
        return SCAN_CLEAN;
    }

    if (text && clamd_cut(text, " FOUND")) {
        return scan_finding(s, text);
    }

    if (text && clamd_cut(text, " ERROR")) {

        for (i = 0; clamd_trouble[i]; i++) {
            if (strncmp(text, clamd_trouble[i], strlen(clamd_trouble[i]))
                == 0)
            {
                return clamd_down(c, "scanning", text);
            }
        }

        return scan_say(s, SCAN_ERROR, "%.200s", text);
    }

    return clamd_down(c, "scanning", "it does not answer like clamd");
}


/* Has it answered already?  It wants no more of the file, then. */
static int
clamd_answered(clamd_t *c)
{
    struct pollfd  pfd;

    pfd.fd = c->fd;
    pfd.events = POLLIN;

    return poll(&pfd, 1, 0) == 1;
}


/* The whole file; 0, -1: the connection failed, -2: reading it did. */
static int
clamd_stream(clamd_t *c, int fd)
{
    off_t           at;
    size_t          n;
    ssize_t         got;
    unsigned char  *p;

    p = malloc(4 + WRT_CLAMD_CHUNK);

    if (p == NULL) {
        return -2;
    }

    if (clamd_send(c, (const unsigned char *) "zINSTREAM", 10) != 0) {
        free(p);
        return -1;
    }

    at = 0;

    do {
        got = pread(fd, p + 4, WRT_CLAMD_CHUNK, at);

        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }

            free(p);
            return -2;
        }

        n = (size_t) got;
        p[0] = (unsigned char) (n >> 24);
        p[1] = (unsigned char) (n >> 16);
        p[2] = (unsigned char) (n >> 8);
        p[3] = (unsigned char) n;
        at += got;

        if (clamd_send(c, p, 4 + n) != 0) {
            free(p);
            return -1;
        }
    } while (got != 0 && !clamd_answered(c));

    free(p);

    return 0;
}


static scan_rc_t
clamd_file(scan_t *s, int fd)
{
    int        rc, err;
    char       reply[CLAMD_REPLY];
    clamd_t    c;
    scan_rc_t  result;

    c.s = s;
    result = clamd_connect(&c);

    if (result != SCAN_CLEAN) {
        return result;
    }

    c.deadline = scan_mono_ms() + WRT_SCAN_MS + CLAMD_SLACK_MS;
    rc = clamd_stream(&c, fd);
    err = errno;

    if (rc == -2) {
        close(c.fd);
        return scan_say(s, SCAN_DOWN, "reading the file: %s", strerror(err));
    }

    /* one that does not want more says why, and ends */
    if (clamd_reply(&c, reply) == 0) {
        result = clamd_verdict(&c, reply);

    } else {
        err = rc == 0 ? errno : err;
        s->died = err != ECANCELED;
        result = clamd_down(&c, rc == 0 ? "waiting for the answer"
                            : "sending the file", strerror(err));
    }

    close(c.fd);

    return result;
}


/* Its version has that of its signatures: what changes, changes there. */
static scan_rc_t
clamd_prepare(scan_t *s, int *changed)
{
    char       reply[CLAMD_REPLY], about[SCAN_ABOUT_SIZE];
    clamd_t    c;
    scan_rc_t  rc;

    c.s = s;
    rc = clamd_connect(&c);

    if (rc != SCAN_CLEAN) {
        return rc;
    }

    if (clamd_send(&c, (const unsigned char *) "zVERSION", 9) != 0
        || clamd_reply(&c, reply) != 0)
    {
        rc = clamd_down(&c, "asking its version", strerror(errno));

    } else if (strncmp(reply, "ClamAV ", 7) != 0) {
        rc = clamd_down(&c, "asking its version", "it does not answer like "
                        "clamd");
    }

    close(c.fd);

    if (rc != SCAN_CLEAN) {
        return rc;
    }

    snprintf(about, sizeof(about), "clamd, %.200s", reply);

    if (strcmp(about, s->about) != 0) {
        memcpy(s->about, about, sizeof(s->about));
        *changed = 1;
    }

    return SCAN_CLEAN;
}


static void
clamd_close(scan_t *s)
{
    (void) s;
}


const scan_ops_t  scan_clamd_ops = {
    1, clamd_prepare, clamd_file, clamd_close
};
