/*
 * thumb.c: the child that makes thumbnails, from outside (see thumb.h).
 */

#define _GNU_SOURCE                 /* pipe2(), addclosefrom_np() */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/files/thumb/thumb_wire.h"
#include "worker/files/upload/upload_file.h"

/* Descriptors are moved out of the way of those that the child gets. */
#define THUMB_FD_ABOVE  16

static const char  *thumb_names[] = { "small", "medium", "large" };
static const int    thumb_sizes[] = {
    WRT_THUMB_SMALL, WRT_THUMB_MEDIUM, WRT_THUMB_LARGE
};

static const struct {
    const char  *ext;
    const char  *mime;
    const char  *magic;
    size_t       n;
} thumb_formats[] = {
    { ".jpg", "image/jpeg", "\xFF\xD8\xFF", 3 },
    { ".png", "image/png", "\x89PNG\r\n\x1A\n", 8 },
    { NULL, NULL, NULL, 0 }
};


const char *
thumb_name(int size)
{
    return thumb_names[size];
}


static thumb_rc_t __attribute__((format(printf, 3, 4)))
thumb_say(thumb_t *t, thumb_rc_t rc, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(t->text, sizeof(t->text), fmt, args);
    va_end(args);

    return rc;
}


static int64_t
thumb_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static const char *
thumb_kind(type_kind_t kind)
{
    switch (kind) {

    case TYPE_PDF:
        return "pdf";

    case TYPE_JPEG:
        return "jpeg";

    case TYPE_PNG:
        return "png";

    case TYPE_GIF:
        return "gif";

    default:
        return NULL;
    }
}


/* An environment of its own: ours has passwords.  One arena, since each one
 * takes a large part of the address space that it may have. */
static char  *thumb_env[] = {
    "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "MALLOC_ARENA_MAX=1",
    "VIPS_CONCURRENCY=1", "HOME=/nonexistent", NULL
};


/* Start it; its descriptors are in, out and those of t. */
static int
thumb_spawn(thumb_t *t, const char *program, const char *kind, int in,
    int out, pid_t *pid)
{
    int                          i, rc;
    char                        *argv[3];
    sigset_t                     set;
    posix_spawnattr_t            attr;
    posix_spawn_file_actions_t   files;

    argv[0] = (char *) program;
    argv[1] = (char *) kind;
    argv[2] = NULL;

    if (posix_spawn_file_actions_init(&files) != 0) {
        return ENOMEM;
    }

    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }

    rc = posix_spawn_file_actions_adddup2(&files, in, 0);

    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&files, out, THUMB_FD_REPORT);
    }

    /* what libraries complain of is in the words of who sent the picture */
    if (rc == 0) {
        rc = posix_spawn_file_actions_addopen(&files, 2, "/dev/null",
                                              O_WRONLY, 0);
    }

    for (i = 0; rc == 0 && i < THUMB_SIZES; i++) {
        rc = posix_spawn_file_actions_adddup2(&files, t->images[i].fd,
                                              THUMB_FD_FIRST + i);
    }

    if (rc == 0) {
        rc = posix_spawn_file_actions_addclosefrom_np(&files, THUMB_FD_FIRST
                                                              + THUMB_SIZES);
    }

    /* a role has its signals blocked */
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attr, &set);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(&attr, &set);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK
                                    | POSIX_SPAWN_SETSIGDEF);

    if (rc == 0) {
        rc = posix_spawn(pid, program, &files, &attr, argv, thumb_env);
    }

    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);

    return rc;
}


/* All that it says, until it ends or its time is over: 1. */
static int
thumb_listen(int fd, char report[THUMB_REPORT])
{
    int            rc, late;
    size_t         n;
    int64_t        left, deadline;
    ssize_t        got;
    struct pollfd  pfd;

    n = 0;
    late = 0;
    pfd.fd = fd;
    pfd.events = POLLIN;
    deadline = thumb_now() + WRT_THUMB_MS;

    while (n < THUMB_REPORT - 1) {
        left = deadline - thumb_now();
        rc = left > 0 ? poll(&pfd, 1, (int) left) : 0;

        if (rc < 0 && errno == EINTR) {
            continue;
        }

        if (rc <= 0) {
            late = 1;
            break;
        }

        got = read(fd, report + n, THUMB_REPORT - 1 - n);

        if (got < 0 && errno == EINTR) {
            continue;
        }

        if (got <= 0) {
            break;
        }

        n += (size_t) got;
    }

    report[n] = '\0';

    return late;
}


/* Is it what the child says?  It had the picture: do not believe it. */
static int
thumb_check(thumb_t *t, int i, int format)
{
    char            head[8];
    struct stat     st;
    thumb_image_t  *im;

    im = &t->images[i];

    if (fstat(im->fd, &st) != 0 || st.st_size < 16
        || st.st_size > WRT_THUMB_OUT_MAX
        || pread(im->fd, head, sizeof(head), 0) != sizeof(head)
        || memcmp(head, thumb_formats[format].magic, thumb_formats[format].n)
           != 0)
    {
        return -1;
    }

    im->size = st.st_size;

    return im->width >= 1 && im->width <= thumb_sizes[i]
           && im->height >= 1 && im->height <= thumb_sizes[i] ? 0 : -1;
}


static thumb_rc_t
thumb_made(thumb_t *t, const char *line)
{
    int   i, format, wh[2 * THUMB_SIZES];
    char  ext[8];

    ext[0] = '.';

    if (sscanf(line, "made %4[a-z] %d %d %d %d %d %d", ext + 1, &wh[0],
               &wh[1], &wh[2], &wh[3], &wh[4], &wh[5]) != 7)
    {
        return thumb_say(t, THUMB_NONE, "no thumbnails were made of it");
    }

    for (i = 0; i < THUMB_SIZES; i++) {
        t->images[i].width = wh[2 * i];
        t->images[i].height = wh[2 * i + 1];
    }

    for (format = 0; thumb_formats[format].ext; format++) {
        if (strcmp(thumb_formats[format].ext, ext) == 0) {
            break;
        }
    }

    for (i = 0; i < THUMB_SIZES; i++) {
        if (thumb_formats[format].ext == NULL || thumb_check(t, i, format)
            != 0)
        {
            return thumb_say(t, THUMB_NONE, "what was made of it is no "
                             "picture");
        }
    }

    t->mime = thumb_formats[format].mime;
    t->ext = thumb_formats[format].ext;

    return THUMB_OK;
}


/* Text of the child's, for a log: whatever it may be. */
static thumb_rc_t
thumb_quote(thumb_t *t, thumb_rc_t rc, const char *line)
{
    char  *p;

    thumb_say(t, rc, "%.*s", (int) strcspn(line, "\n"), line);

    for (p = t->text; *p; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }

    return rc;
}


static thumb_rc_t
thumb_result(thumb_t *t, const char *report, int late, int status)
{
    int          w, h, pages;
    const char  *line;

    line = report;

    if (sscanf(line, "picture %d %d %d", &w, &h, &pages) == 3
        && w > 0 && h > 0 && pages > 0)
    {
        t->width = w;
        t->height = h;
        t->pages = pages;
        line = strchr(line, '\n');
        line = line ? line + 1 : "";
    }

    if (late) {
        return thumb_say(t, THUMB_NONE, "it took longer than %d ms",
                         WRT_THUMB_MS);
    }

    if (WIFSIGNALED(status)) {
        return thumb_say(t, THUMB_NONE, "decoding it ended by signal %d (%s)",
                         WTERMSIG(status), WTERMSIG(status) == SIGXCPU
                         || WTERMSIG(status) == SIGKILL ? "too much work"
                         : WTERMSIG(status) == SIGXFSZ ? "too much output"
                         : "damaged, or too much memory");
    }

    if (strncmp(line, "failed ", 7) == 0) {
        return thumb_quote(t, THUMB_FAILED, line + 7);
    }

    if (strncmp(line, "none ", 5) == 0) {
        return thumb_quote(t, THUMB_NONE, line + 5);
    }

    if (WEXITSTATUS(status) != 0) {
        return thumb_say(t, THUMB_NONE, "decoding it ended with status %d",
                         WEXITSTATUS(status));
    }

    return thumb_made(t, line);
}


static thumb_rc_t
thumb_run(thumb_t *t, const char *program, const char *kind, int in)
{
    int    rc, late, status, fds[2], out;
    char   report[THUMB_REPORT];
    pid_t  pid;

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return thumb_say(t, THUMB_FAILED, "pipe: %s", strerror(errno));
    }

    out = fcntl(fds[1], F_DUPFD_CLOEXEC, THUMB_FD_ABOVE);
    close(fds[1]);

    rc = out < 0 ? errno
         : thumb_spawn(t, program, kind, in, out, &pid);

    if (out >= 0) {
        close(out);
    }

    if (rc != 0) {
        close(fds[0]);
        return thumb_say(t, THUMB_FAILED, "starting %.150s: %s", program,
                         strerror(rc));
    }

    late = thumb_listen(fds[0], report);
    close(fds[0]);

    /* it is done, hangs, or says more than it should */
    if (late || strlen(report) == THUMB_REPORT - 1) {
        kill(pid, SIGKILL);
    }

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return thumb_say(t, THUMB_FAILED, "waiting for %.150s: %s",
                             program, strerror(errno));
        }
    }

    return thumb_result(t, report, late, status);
}


static int
thumb_out(int dirfd)
{
    int  fd, high;

    fd = upload_file_create(dirfd);

    if (fd < 0) {
        return -1;
    }

    high = fcntl(fd, F_DUPFD_CLOEXEC, THUMB_FD_ABOVE);
    close(fd);

    return high;
}


thumb_rc_t
thumb_make(thumb_t *t, const char *program, type_kind_t kind, int fd,
    int dirfd)
{
    int          i, in;
    char         path[32];
    thumb_rc_t   rc;
    const char  *name;

    memset(t, 0, sizeof(*t));

    for (i = 0; i < THUMB_SIZES; i++) {
        t->images[i].fd = -1;
    }

    name = thumb_kind(kind);

    if (name == NULL) {
        return thumb_say(t, THUMB_NONE, "thumbnails are made of pictures and "
                         "PDF files");
    }

    for (i = 0; i < THUMB_SIZES; i++) {
        t->images[i].fd = thumb_out(dirfd);

        if (t->images[i].fd < 0) {
            rc = thumb_say(t, THUMB_FAILED, "creating a file: %s",
                           strerror(errno));
            thumb_free(t);
            return rc;
        }
    }

    /* opened anew: read only, with a position of its own */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    i = open(path, O_RDONLY | O_CLOEXEC);
    in = i < 0 ? -1 : fcntl(i, F_DUPFD_CLOEXEC, THUMB_FD_ABOVE);

    if (in < 0) {
        rc = thumb_say(t, THUMB_FAILED, "opening the picture: %s",
                       strerror(errno));

    } else {
        rc = thumb_run(t, program, name, in);
        close(in);
    }

    if (i >= 0) {
        close(i);
    }

    if (rc != THUMB_OK) {
        thumb_free(t);
    }

    return rc;
}


void
thumb_free(thumb_t *t)
{
    int  i;

    for (i = 0; i < THUMB_SIZES; i++) {
        if (t->images[i].fd >= 0) {
            close(t->images[i].fd);
            t->images[i].fd = -1;
        }
    }
}
