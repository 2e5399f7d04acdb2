/*
 * blob_local.c: blobs in a directory (see blob.h).
 *
 *   <root>/ab/cd/<key>      where abcd begins the key
 *   <root>/tmp/put-XXXXXX   a put under way, or the rest of one that died
 *
 * A put writes a temporary file, syncs it, renames it into place and syncs the
 * directory: under its name a blob is always whole, also after a power
 * failure.  nginx reads the files itself: they are readable for the group, in
 * which nginx's user must be when the worker is another one.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/files/blob/blob_internal.h"

#define LOCAL_DIR_MODE   0750
#define LOCAL_FILE_MODE  0640


/* Of a blob, or cut short of one of its directories; never too long: conf.c
 * keeps the root short enough, blob.c the key. */
static void
local_path(const blob_t *b, const char *key, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%.2s/%.2s/%.96s", b->cf.path, key, key + 2,
             key);
}


static blob_rc_t
local_fail(blob_t *b, const char *what, const char *path)
{
    int        code;
    blob_rc_t  rc;

    code = errno;

    switch (code) {

    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EFBIG:
        rc = BLOB_REFUSED;
        break;

    default:
        rc = BLOB_DOWN;
    }

    return blob_fail(b, rc, "STORAGE_PATH: cannot %s %.300s: %s%s", what,
                     path, strerror(code),
                     code == ENOSPC || code == EDQUOT
                     ? "; make room, nothing is lost" : "");
}


static void
local_close(blob_t *b)
{
    blob_destroy(b);
}


/* Make what was done in a directory durable. */
static int
local_sync_dir(const char *path)
{
    int  fd, rc, code;

    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return -1;
    }

    rc = fsync(fd);
    code = errno;
    close(fd);
    errno = code;

    return rc;
}


/* A directory in `parent`, durable when it was not there. */
static int
local_mkdir(const char *path, const char *parent)
{
    if (mkdir(path, LOCAL_DIR_MODE) == 0) {
        return local_sync_dir(parent);
    }

    return errno == EEXIST ? 0 : -1;
}


/* A new file in tmp/; its name in path. */
static int
local_temp(blob_t *b, char path[PATH_MAX])
{
    int  fd;

    snprintf(path, PATH_MAX, "%s/tmp/put-XXXXXX", b->cf.path);
    fd = mkstemp(path);

    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }

    return fd;
}


static blob_rc_t
local_prepare(blob_t *b)
{
    int   fd;
    char  path[PATH_MAX], *slash;

    snprintf(path, sizeof(path), "%s", b->cf.path);
    slash = strrchr(path, '/');
    slash[slash == path] = '\0';

    if (local_mkdir(b->cf.path, path) != 0) {
        return local_fail(b, "create", b->cf.path);
    }

    snprintf(path, sizeof(path), "%s/tmp", b->cf.path);

    if (local_mkdir(path, b->cf.path) != 0) {
        return local_fail(b, "create", path);
    }

    /* permissions have many forms: try it */
    fd = local_temp(b, path);

    if (fd < 0) {
        return local_fail(b, "write", path);
    }

    close(fd);
    unlink(path);

    return BLOB_OK;
}


static blob_rc_t
local_ping(blob_t *b)
{
    char         path[PATH_MAX];
    struct stat  st;

    snprintf(path, sizeof(path), "%s/tmp", b->cf.path);

    if (stat(path, &st) != 0 || access(path, W_OK | X_OK) != 0) {
        return local_fail(b, "write", path);
    }

    return BLOB_OK;
}


static void
local_stat_of(const struct stat *from, blob_stat_t *st)
{
    st->size = from->st_size;
    st->changed_ms = (int64_t) from->st_mtim.tv_sec * 1000
                     + from->st_mtim.tv_nsec / 1000000;
    st->encrypted = 0;
}


static blob_rc_t
local_stat(blob_t *b, const char *key, blob_stat_t *st)
{
    char         path[PATH_MAX];
    struct stat  info;

    local_path(b, key, path);

    if (stat(path, &info) != 0) {
        if (errno == ENOENT) {
            return blob_fail(b, BLOB_NOT_FOUND, "no blob %s", key);
        }

        return local_fail(b, "look at", path);
    }

    local_stat_of(&info, st);

    return BLOB_OK;
}


/* Is it there already?  Then it is young again. */
static int
local_present(const char *path, int64_t size)
{
    struct stat  info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode)
           && info.st_size == size && utimensat(AT_FDCWD, path, NULL, 0) == 0;
}


/* The directories of a blob; path comes back as the directory. */
static int
local_fan_out(blob_t *b, const char *key, char path[PATH_MAX])
{
    char  upper[PATH_MAX];

    snprintf(upper, sizeof(upper), "%s/%.2s", b->cf.path, key);
    snprintf(path, PATH_MAX, "%s/%.2s/%.2s", b->cf.path, key, key + 2);

    return local_mkdir(upper, b->cf.path) != 0 ? -1
                                               : local_mkdir(path, upper);
}


/* Content into the temporary file, all of it on the disk. */
static blob_rc_t
local_fill(blob_t *b, const blob_src_t *src, int fd, const char *temp)
{
    int   writing;
    char  hash[BLOB_HASH_LEN + 1];

    if (blob_hash(b, src->fd, 0, src->size, fd, hash, &writing) != 0) {
        if (writing) {
            return local_fail(b, "write", temp);
        }

        return blob_fail(b, BLOB_DOWN, "the file to store: %s",
                         strerror(errno));
    }

    if (!blob_fits(src->key, hash)) {
        return blob_fail(b, BLOB_BAD, "the file to store has another content "
                         "(SHA-256 %s)", hash);
    }

    if (fchmod(fd, LOCAL_FILE_MODE) != 0 || fsync(fd) != 0) {
        return local_fail(b, "sync", temp);
    }

    return BLOB_OK;
}


static blob_rc_t
local_put(blob_t *b, const blob_src_t *src, blob_stat_t *st)
{
    int        fd;
    char       path[PATH_MAX], dir[PATH_MAX], temp[PATH_MAX];
    blob_rc_t  rc;

    local_path(b, src->key, path);

    if (local_present(path, src->size)) {
        return local_stat(b, src->key, st);
    }

    fd = local_temp(b, temp);

    if (fd < 0) {
        return local_fail(b, "write", temp);
    }

    rc = local_fill(b, src, fd, temp);

    if (close(fd) != 0 && rc == BLOB_OK) {
        rc = local_fail(b, "write", temp);
    }

    if (rc == BLOB_OK && local_fan_out(b, src->key, dir) != 0) {
        rc = local_fail(b, "create", dir);
    }

    if (rc == BLOB_OK && rename(temp, path) != 0) {
        rc = local_fail(b, "write", path);
    }

    if (rc != BLOB_OK) {
        unlink(temp);
        return rc;
    }

    if (local_sync_dir(dir) != 0) {
        return local_fail(b, "sync", dir);
    }

    return local_stat(b, src->key, st);
}


static blob_rc_t
local_get(blob_t *b, const char *key, int to, blob_stat_t *st)
{
    int          fd, rc, writing;
    char         path[PATH_MAX], hash[BLOB_HASH_LEN + 1];
    struct stat  info;

    local_path(b, key, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return local_stat(b, key, st) == BLOB_NOT_FOUND
               ? BLOB_NOT_FOUND : local_fail(b, "read", path);
    }

    writing = 1;
    rc = fstat(fd, &info) != 0 || ftruncate(to, 0) != 0
         || lseek(to, 0, SEEK_SET) != 0
         || blob_hash(b, fd, 0, info.st_size, to, hash, &writing) != 0;

    if (rc != 0) {
        rc = errno;
        close(fd);
        errno = rc;

        return writing ? blob_fail(b, BLOB_DOWN, "cannot write the copy: %s",
                                   strerror(errno))
                       : local_fail(b, "read", path);
    }

    close(fd);
    local_stat_of(&info, st);

    if (!blob_fits(key, hash)) {
        return blob_fail(b, BLOB_DOWN, "%.300s is damaged on the disk", path);
    }

    return BLOB_OK;
}


static blob_rc_t
local_link(blob_t *b, const blob_ask_t *ask, blob_link_t *out)
{
    char         path[PATH_MAX];
    blob_rc_t    rc;
    blob_stat_t  st;

    rc = local_stat(b, ask->key, &st);

    if (rc == BLOB_OK) {
        local_path(b, ask->key, path);
        snprintf(out->where, sizeof(out->where), "%s", path);
        out->tail = out->where + strlen(b->cf.path);
    }

    return rc;
}


static blob_rc_t
local_delete(blob_t *b, const char *key)
{
    char  path[PATH_MAX], *slash;

    local_path(b, key, path);

    if (unlink(path) != 0) {
        return errno == ENOENT ? BLOB_OK : local_fail(b, "remove", path);
    }

    slash = strrchr(path, '/');
    *slash = '\0';

    return local_sync_dir(path) == 0 ? BLOB_OK : local_fail(b, "sync", path);
}


/* readdir() of a directory that may be gone.  1: an entry, 0: the end. */
static int
local_next(DIR *dir, const char **name)
{
    struct dirent  *entry;

    do {
        entry = readdir(dir);
    } while (entry && entry->d_name[0] == '.');

    *name = entry ? entry->d_name : NULL;

    return entry != NULL;
}


/* The blobs of one directory.  *end: the callback has had enough. */
static blob_rc_t
local_each_in(blob_t *b, const char *dir, const char *begin,
    blob_each_pt each, void *data, int *end)
{
    DIR          *d;
    char          path[PATH_MAX];
    const char   *name;
    blob_stat_t   st;
    struct stat   info;

    d = opendir(dir);

    if (d == NULL) {
        return errno == ENOENT || errno == ENOTDIR ? BLOB_OK
                                                   : local_fail(b, "list",
                                                                dir);
    }

    while (!*end && local_next(d, &name)) {

        if (!blob_key_ok(name) || strncmp(name, begin, 4) != 0) {
            continue;
        }

        local_path(b, name, path);

        /* else somebody has removed it */
        if (lstat(path, &info) == 0 && S_ISREG(info.st_mode)) {
            local_stat_of(&info, &st);
            *end = each(data, name, &st);
        }
    }

    closedir(d);

    return BLOB_OK;
}


static blob_rc_t
local_each(blob_t *b, blob_each_pt each, void *data)
{
    int        end;
    char       dir[PATH_MAX], begin[8];
    unsigned   i;
    blob_rc_t  rc;

    rc = local_ping(b);
    end = 0;

    for (i = 0; i < 0x10000 && rc == BLOB_OK && !end; i++) {

        if ((i & 0xff) == 0) {
            if (blob_stopping(b)) {
                return blob_fail(b, BLOB_DOWN, "stopped");
            }

            snprintf(dir, sizeof(dir), "%s/%02x", b->cf.path, i >> 8);

            if (access(dir, F_OK) != 0 && errno == ENOENT) {
                i |= 0xff;
                continue;
            }
        }

        snprintf(begin, sizeof(begin), "%04x", i);
        snprintf(dir, sizeof(dir), "%s/%02x/%02x", b->cf.path, i >> 8,
                 i & 0xff);
        rc = local_each_in(b, dir, begin, each, data, &end);
    }

    return rc;
}


static blob_rc_t
local_sweep(blob_t *b, int64_t before_ms, unsigned *n)
{
    DIR          *d;
    char          dir[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
    const char   *name;
    blob_stat_t   st;
    struct stat   info;

    snprintf(dir, sizeof(dir), "%s/tmp", b->cf.path);
    d = opendir(dir);

    if (d == NULL) {
        return local_fail(b, "list", dir);
    }

    while (local_next(d, &name)) {
        snprintf(path, sizeof(path), "%s/%s", dir, name);

        /* a put that lives writes all the time */
        if (strncmp(name, "put-", 4) != 0 || lstat(path, &info) != 0) {
            continue;
        }

        local_stat_of(&info, &st);

        if (st.changed_ms < before_ms && unlink(path) == 0) {
            (*n)++;
        }
    }

    closedir(d);

    return BLOB_OK;
}


static const blob_ops_t  local_ops = {
    "local",
    local_close,
    local_prepare,
    local_ping,
    local_put,
    local_stat,
    local_get,
    local_link,
    local_delete,
    local_each,
    local_sweep
};


blob_t *
blob_local_open(const blob_conf_t *cf)
{
    return blob_create(&local_ops, sizeof(blob_t), cf);
}
