/*
 * spool.c: the directory of uploads (see spool.h).
 */

#define _GNU_SOURCE                 /* getrandom(), nftw() */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/wrt_id.h"
#include "worker/files/spool.h"

#define SPOOL_ID        "id"
#define SPOOL_MODE      0770        /* nginx may be another user of our group */
#define SPOOL_REMOVED   256         /* at most in one sweep */
#define SPOOL_SCRATCH   ".scratch-" /* no id begins so */
#define SPOOL_NFTW_FDS  16
#define SPOOL_TRIES     8


/* 24 hex digits, perhaps a newline.  0, or -1. */
static int
spool_read_id(int dir, char id[WRT_OID_LEN + 1])
{
    int      fd;
    char     text[WRT_OID_LEN + 2];
    ssize_t  n;

    fd = openat(dir, SPOOL_ID, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -1;
    }

    memset(text, 0, sizeof(text));
    n = read(fd, text, sizeof(text) - 1);
    close(fd);

    if (n < WRT_OID_LEN || strspn(text, "0123456789abcdef") < WRT_OID_LEN) {
        errno = EINVAL;
        return -1;
    }

    memcpy(id, text, WRT_OID_LEN);
    id[WRT_OID_LEN] = '\0';

    return 0;
}


static int
spool_new_id(char id[WRT_OID_LEN + 1])
{
    unsigned char   bytes[WRT_OID_LEN / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes)) {
        return -1;
    }

    wrt_hex(bytes, sizeof(bytes), id);

    return 0;
}


/* Written elsewhere and linked into its place: nobody reads half of it, and
 * of two who make it at once the second takes the first's.  Nobody else who may
 * write there knows the name before, to lay a link that leads out. */
static int
spool_make_id(int dir, const char *id)
{
    int   fd, rc;
    char  chance[WRT_OID_LEN + 1], name[WRT_OID_LEN + 8];
    char  text[WRT_OID_LEN + 2];

    if (spool_new_id(chance) != 0) {
        return -1;
    }

    snprintf(text, sizeof(text), "%s\n", id);
    snprintf(name, sizeof(name), ".id.%s", chance);

    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -1;
    }

    rc = write(fd, text, WRT_OID_LEN + 1) == WRT_OID_LEN + 1 ? 0 : -1;
    close(fd);

    if (rc == 0 && linkat(dir, name, dir, SPOOL_ID, 0) != 0
        && errno != EEXIST)
    {
        rc = -1;
    }

    unlinkat(dir, name, 0);

    return rc;
}


/* Its name, which is `fresh` if it has none. */
static int
spool_name(int dir, const char *path, const char *fresh,
    char id[WRT_OID_LEN + 1], char *err, size_t size)
{
    if (spool_read_id(dir, id) == 0
        || (errno == ENOENT && spool_make_id(dir, fresh) == 0
            && spool_read_id(dir, id) == 0))
    {
        return 0;
    }

    snprintf(err, size, "SPOOL: the file \"%s/" SPOOL_ID "\", which names "
             "the spool: %s; it must be readable, or absent in a directory "
             "that is writable", path, strerror(errno));

    return -1;
}


static int
spool_directory(const char *path, char *err, size_t size)
{
    int  dir;

    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0) {
        snprintf(err, size, "SPOOL: \"%s\": %s", path, strerror(errno));
    }

    return dir;
}


int
spool_open(const char *path, char id[WRT_OID_LEN + 1], char *err, size_t size)
{
    int   dir;
    char  fresh[WRT_OID_LEN + 1];

    if (mkdir(path, SPOOL_MODE) != 0 && errno != EEXIST) {
        snprintf(err, size, "SPOOL: \"%s\" can not be made: %s; make it, for "
                 "nginx and the worker to write to", path, strerror(errno));
        return -1;
    }

    dir = spool_directory(path, err, size);

    if (dir >= 0 && spool_new_id(fresh) != 0) {
        snprintf(err, size, "SPOOL: no random bytes: %s", strerror(errno));
        close(dir);
        return -1;
    }

    if (dir >= 0 && spool_name(dir, path, fresh, id, err, size) != 0) {
        close(dir);
        return -1;
    }

    return dir;
}


int
spool_moved(int dir, const char *path)
{
    struct stat  have, want;

    return stat(path, &want) == 0 && S_ISDIR(want.st_mode)
           && fstat(dir, &have) == 0
           && (have.st_dev != want.st_dev || have.st_ino != want.st_ino);
}


int
spool_reopen(const char *path, const char *id, char *err, size_t size)
{
    int   dir;
    char  have[WRT_OID_LEN + 1];

    err[0] = '\0';
    dir = spool_directory(path, err, size);

    if (dir >= 0 && spool_name(dir, path, id, have, err, size) != 0) {
        close(dir);
        return -1;
    }

    if (dir >= 0 && strcmp(have, id) != 0) {
        snprintf(err, size, "SPOOL: \"%s\" is another spool than before; "
                 "start the pool again and reload nginx", path);
    }

    return dir;
}


spool_rc_t
spool_lock(int dir, const char *name, int *fd)
{
    int          e;
    struct stat  st;

    *fd = -1;

    if (!wrt_id_valid(name, strlen(name))) {
        return SPOOL_GONE;
    }

    *fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (*fd < 0) {
        return errno == ENOENT || errno == ELOOP ? SPOOL_GONE : SPOOL_FAILED;
    }

    if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && fstat(*fd, &st) == 0) {
        if (S_ISREG(st.st_mode) && st.st_nlink > 0) {
            return SPOOL_OK;
        }

        /* its last holder was done with it when we opened it */
        close(*fd);
        *fd = -1;
        return SPOOL_GONE;
    }

    e = errno;
    close(*fd);
    *fd = -1;
    errno = e;

    return e == EWOULDBLOCK ? SPOOL_BUSY : SPOOL_FAILED;
}


/* Is this one left over?  Not while somebody has it locked. */
static int
spool_stale(int dir, const char *name, time_t before, spool_known_pt known,
    void *data)
{
    int          fd, stale;
    struct stat  st;

    if (strcmp(name, SPOOL_ID) == 0
        || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0
        || !S_ISREG(st.st_mode) || st.st_mtime > before)
    {
        return 0;
    }

    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return 0;
    }

    stale = flock(fd, LOCK_EX | LOCK_NB) == 0 && known(data, name) == 0;
    close(fd);

    return stale;
}


unsigned
spool_sweep(int dir, unsigned seconds, spool_known_pt known, void *data)
{
    int             fd;
    DIR            *d;
    time_t          before;
    unsigned        n;
    struct dirent  *e;

    fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);

    if (d == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }

    before = time(NULL) - (time_t) seconds;
    n = 0;

    while (n < SPOOL_REMOVED && (e = readdir(d)) != NULL) {
        if (spool_stale(dir, e->d_name, before, known, data)
            && unlinkat(dir, e->d_name, 0) == 0)
        {
            n++;
        }
    }

    closedir(d);

    return n;
}


static int
spool_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void) st;
    (void) kind;
    (void) at;

    (void) remove(path);

    return 0;
}


/* With all that is in it; what a link there leads to stays. */
static void
spool_remove_tree(const char *path)
{
    (void) nftw(path, spool_remove, SPOOL_NFTW_FDS, FTW_DEPTH | FTW_PHYS);
}


/* The directory, locked; -1: somebody else has it, or removed it. */
static int
spool_take(const char *path)
{
    int          fd;
    struct stat  st;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) != 0
                    || fstat(fd, &st) != 0 || st.st_nlink == 0))
    {
        close(fd);
        fd = -1;
    }

    return fd;
}


static void
spool_sweep_scratch(const char *spool)
{
    int             fd;
    DIR            *d;
    char            path[PATH_MAX];
    struct dirent  *e;

    d = opendir(spool);
    if (d == NULL) {
        return;
    }

    while ((e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, SPOOL_SCRATCH, strlen(SPOOL_SCRATCH)) != 0
            || (size_t) snprintf(path, sizeof(path), "%s/%s", spool, e->d_name)
               >= sizeof(path))
        {
            continue;
        }

        fd = spool_take(path);

        if (fd >= 0) {
            spool_remove_tree(path);
            close(fd);
        }
    }

    closedir(d);
}


int
spool_scratch(const char *spool, char *out, size_t size)
{
    int  fd, i;

    if (mkdir(spool, SPOOL_MODE) != 0 && errno != EEXIST) {
        return -1;
    }

    spool_sweep_scratch(spool);
    fd = -1;

    /* another process may sweep it before it is locked */

    for (i = 0; fd < 0 && i < SPOOL_TRIES; i++) {
        if ((size_t) snprintf(out, size, "%s/" SPOOL_SCRATCH "XXXXXX", spool)
            >= size)
        {
            errno = ENAMETOOLONG;
            return -1;
        }

        if (mkdtemp(out) == NULL) {
            return -1;
        }

        fd = spool_take(out);
    }

    return fd;
}


void
spool_scratch_end(int fd, const char *path)
{
    spool_remove_tree(path);
    close(fd);
}
