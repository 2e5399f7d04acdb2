/*
 * blob.c: the blobs that callers see: dispatch by kind, argument checks, and
 * hashing (see blob.h).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/wrt_id.h"
#include "worker/files/blob/blob_internal.h"


blob_t *
blob_create(const blob_ops_t *ops, size_t size, const blob_conf_t *cf)
{
    blob_t  *b;

    b = calloc(1, size);

    if (b == NULL) {
        return NULL;
    }

    b->ops = ops;
    b->cf = *cf;
    b->buffer = malloc(BLOB_BUFFER);

    if (b->buffer == NULL) {
        free(b);
        return NULL;
    }

    return b;
}


void
blob_destroy(blob_t *b)
{
    free(b->buffer);
    free(b);
}


blob_rc_t
blob_fail(blob_t *b, blob_rc_t rc, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(b->err, sizeof(b->err), fmt, args);
    va_end(args);

    return rc;
}


int
blob_stopping(blob_t *b)
{
    return b->stop && b->stop(b->stop_data);
}


static int64_t
blob_clock(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int64_t
blob_now_ms(void)
{
    return blob_clock(CLOCK_REALTIME);
}


int64_t
blob_mono_ms(void)
{
    return blob_clock(CLOCK_MONOTONIC);
}


static int
blob_write(int fd, const char *p, size_t n)
{
    ssize_t  k;

    while (n > 0) {
        k = write(fd, p, n);

        if (k < 0 && errno == EINTR) {
            continue;
        }

        if (k <= 0) {
            return -1;
        }

        p += k;
        n -= (size_t) k;
    }

    return 0;
}


/* The loop of blob_hash(). */
static int
blob_digest(blob_t *b, EVP_MD_CTX *md, int fd, int64_t offset, int64_t n,
    int to, int *writing)
{
    size_t   want;
    ssize_t  k;

    while (n > 0) {
        want = n < BLOB_BUFFER ? (size_t) n : BLOB_BUFFER;
        k = pread(fd, b->buffer, want, offset);

        if (k < 0 && errno == EINTR) {
            continue;
        }

        if (k <= 0 || EVP_DigestUpdate(md, b->buffer, (size_t) k) != 1) {
            errno = k < 0 ? errno : EIO;
            return -1;
        }

        if (to >= 0 && blob_write(to, b->buffer, (size_t) k) != 0) {
            *writing = 1;
            return -1;
        }

        offset += k;
        n -= k;
    }

    return 0;
}


int
blob_hash_text(const char *text, size_t n, char out[BLOB_HASH_LEN + 1])
{
    unsigned       len;
    unsigned char  raw[EVP_MAX_MD_SIZE];

    if (EVP_Digest(text, n, raw, &len, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    wrt_hex(raw, BLOB_HASH_LEN / 2, out);

    return 0;
}


int
blob_hash(blob_t *b, int fd, int64_t offset, int64_t n, int to,
    char out[BLOB_HASH_LEN + 1], int *writing)
{
    int            rc;
    unsigned       len;
    EVP_MD_CTX    *md;
    unsigned char  raw[EVP_MAX_MD_SIZE];

    *writing = 0;
    md = EVP_MD_CTX_new();

    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        errno = ENOMEM;
        return -1;
    }

    rc = blob_digest(b, md, fd, offset, n, to, writing);

    if (rc == 0 && EVP_DigestFinal_ex(md, raw, &len) != 1) {
        errno = EIO;
        rc = -1;
    }

    EVP_MD_CTX_free(md);

    if (rc == 0) {
        wrt_hex(raw, BLOB_HASH_LEN / 2, out);
    }

    return rc;
}


int
blob_fits(const char *key, const char *hash)
{
    return key[BLOB_HASH_LEN] != '\0'
           || memcmp(key, hash, BLOB_HASH_LEN) == 0;
}


int
blob_key_ok(const char *key)
{
    size_t  n;

    if (strspn(key, "0123456789abcdef") < BLOB_HASH_LEN) {
        return 0;
    }

    key += BLOB_HASH_LEN;

    if (*key == '\0') {
        return 1;
    }

    n = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789.-");

    return (*key == '-' || *key == '.') && key[n] == '\0'
           && n <= BLOB_SUFFIX_MAX;
}


static blob_rc_t
blob_bad_key(blob_t *b)
{
    return blob_fail(b, BLOB_BAD, "a blob's key is 64 digits of hex in lower "
                     "case, and at most a suffix of %d characters",
                     BLOB_SUFFIX_MAX);
}


blob_t *
blob_open(const blob_conf_t *cf, char *err, size_t size)
{
    blob_t  *b;

    b = cf->kind == BLOB_S3 ? blob_s3_open(cf) : blob_local_open(cf);

    if (b == NULL) {
        snprintf(err, size, "no memory for the storage of files");
    }

    return b;
}


void
blob_close(blob_t *b)
{
    if (b) {
        b->ops->close(b);
    }
}


const char *
blob_name(const blob_t *b)
{
    return b->ops->name;
}


const char *
blob_error(const blob_t *b)
{
    return b->err;
}


void
blob_on_wait(blob_t *b, blob_stop_pt stop, void *data)
{
    b->stop = stop;
    b->stop_data = data;
}


blob_rc_t
blob_prepare(blob_t *b)
{
    return b->ops->prepare(b);
}


blob_rc_t
blob_ping(blob_t *b)
{
    return b->ops->ping(b);
}


/* Text for a header: printable, or UTF-8; no way out of the line. */
static int
blob_header_ok(const char *s)
{
    size_t         n;
    unsigned char  c;

    for (n = 0; s && s[n]; n++) {
        c = (unsigned char) s[n];

        if (c < ' ' || c == 0x7F || n == BLOB_HEADER_MAX) {
            return 0;
        }
    }

    return 1;
}


/* Only a regular file of the size that was told is what it was told to be. */
static blob_rc_t
blob_source(blob_t *b, const blob_put_t *put, int fd)
{
    struct stat  st;

    if (fstat(fd, &st) != 0) {
        return blob_fail(b, BLOB_DOWN, "the file to store: %s",
                         strerror(errno));
    }

    if (!S_ISREG(st.st_mode) || st.st_size != put->size) {
        return blob_fail(b, BLOB_BAD, "the file to store is no regular file "
                         "of %lld bytes", (long long) put->size);
    }

    return BLOB_OK;
}


blob_rc_t
blob_put(blob_t *b, const blob_put_t *put, blob_stat_t *st)
{
    int         fd;
    blob_rc_t   rc;
    blob_src_t  src;

    memset(st, 0, sizeof(*st));

    if (!blob_key_ok(put->key)) {
        return blob_bad_key(b);
    }

    if (!blob_header_ok(put->type)) {
        return blob_fail(b, BLOB_BAD, "the file's type has control "
                         "characters, or more than %d bytes",
                         BLOB_HEADER_MAX);
    }

    fd = put->path ? open(put->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                   : put->fd;

    if (fd < 0) {
        return blob_fail(b, put->path == NULL || errno == ENOENT ? BLOB_BAD
                                                                 : BLOB_DOWN,
                         "the file to store cannot be read: %s",
                         put->path ? strerror(errno) : "no file");
    }

    rc = blob_source(b, put, fd);

    if (rc == BLOB_OK) {
        src.key = put->key;
        src.type = put->type;
        src.fd = fd;
        src.size = put->size;

        rc = b->ops->put(b, &src, st);
    }

    if (put->path) {
        close(fd);
    }

    return rc;
}


blob_rc_t
blob_stat(blob_t *b, const char *key, blob_stat_t *st)
{
    memset(st, 0, sizeof(*st));

    return blob_key_ok(key) ? b->ops->stat(b, key, st) : blob_bad_key(b);
}


blob_rc_t
blob_get(blob_t *b, const char *key, int fd, blob_stat_t *st)
{
    memset(st, 0, sizeof(*st));

    return blob_key_ok(key) ? b->ops->get(b, key, fd, st) : blob_bad_key(b);
}


blob_rc_t
blob_link(blob_t *b, const blob_ask_t *ask, blob_link_t *out)
{
    memset(out, 0, sizeof(*out));
    out->tail = out->where;

    if (!blob_key_ok(ask->key)) {
        return blob_bad_key(b);
    }

    if (!blob_header_ok(ask->type) || !blob_header_ok(ask->disposition)
        || !blob_header_ok(ask->cache_control))
    {
        return blob_fail(b, BLOB_BAD, "a header in a link has control "
                         "characters, or more than %d bytes",
                         BLOB_HEADER_MAX);
    }

    return b->ops->link(b, ask, out);
}


blob_rc_t
blob_delete(blob_t *b, const char *key)
{
    return blob_key_ok(key) ? b->ops->del(b, key) : blob_bad_key(b);
}


blob_rc_t
blob_each(blob_t *b, blob_each_pt each, void *data)
{
    return b->ops->each(b, each, data);
}


blob_rc_t
blob_sweep(blob_t *b, unsigned seconds, unsigned *n)
{
    *n = 0;

    return b->ops->sweep(b, blob_now_ms() - (int64_t) seconds * 1000, n);
}
