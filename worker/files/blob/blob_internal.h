/*
 * blob_internal.h: what the blob_*.c files share and nobody else sees.
 *
 *   blob.c           dispatch, argument checks, hashing
 *   blob_local.c     a directory
 *   blob_s3.c        S3: what is asked, and what the answers mean
 *   blob_s3_put.c    how a blob gets there, whole or in parts
 *   blob_s3_http.c   one signed request, its tries and time limits; the only
 *                    file that knows curl.h
 *   blob_s3_xml.c    answers in XML; the only file that knows expat.h
 *   blob_sigv4.c     signatures
 *
 * Memory: a blob_t and one buffer, allocated at blob_open(); libcurl and expat
 * have theirs.  Nothing grows with the size of a file.
 */

#ifndef BLOB_INTERNAL_H
#define BLOB_INTERNAL_H

#include "worker/files/blob/blob.h"

#define BLOB_BUFFER  (256 * 1024)

/* A put whose file is open and has the size that was told. */
typedef struct {
    const char  *key;
    const char  *type;
    int          fd;
    int64_t      size;
} blob_src_t;

typedef struct {
    const char  *name;
    void       (*close)(blob_t *b);
    blob_rc_t  (*prepare)(blob_t *b);
    blob_rc_t  (*ping)(blob_t *b);
    blob_rc_t  (*put)(blob_t *b, const blob_src_t *src, blob_stat_t *st);
    blob_rc_t  (*stat)(blob_t *b, const char *key, blob_stat_t *st);
    blob_rc_t  (*get)(blob_t *b, const char *key, int fd, blob_stat_t *st);
    blob_rc_t  (*link)(blob_t *b, const blob_ask_t *ask, blob_link_t *out);
    blob_rc_t  (*del)(blob_t *b, const char *key);
    blob_rc_t  (*each)(blob_t *b, blob_each_pt each, void *data);
    blob_rc_t  (*sweep)(blob_t *b, int64_t before_ms, unsigned *n);
} blob_ops_t;

struct blob_s {
    const blob_ops_t  *ops;
    blob_conf_t        cf;
    blob_stop_pt       stop;        /* NULL: never */
    void              *stop_data;
    char              *buffer;      /* BLOB_BUFFER bytes */
    char               err[BLOB_ERROR_SIZE];
};

/* Allocate size bytes, zeroed, that begin with a blob_t.  NULL: no memory. */
blob_t *blob_create(const blob_ops_t *ops, size_t size, const blob_conf_t *cf);
void blob_destroy(blob_t *b);

/* Note the text, return rc. */
blob_rc_t blob_fail(blob_t *b, blob_rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int blob_stopping(blob_t *b);
int64_t blob_now_ms(void);
int64_t blob_mono_ms(void);

/*
 * SHA-256 in hex of n bytes of a file from offset; with to >= 0 they are
 * appended there, too.  0, or -1 with errno set: EIO when the file ended early
 * or OpenSSL failed; *writing tells which side failed.
 */
int blob_hash(blob_t *b, int fd, int64_t offset, int64_t n, int to,
    char out[BLOB_HASH_LEN + 1], int *writing);

/* The same of a text.  0, or -1: no memory. */
int blob_hash_text(const char *text, size_t n, char out[BLOB_HASH_LEN + 1]);

/* Is this the hash that the key promises?  A suffix promises nothing. */
int blob_fits(const char *key, const char *hash);

blob_t *blob_local_open(const blob_conf_t *cf);
blob_t *blob_s3_open(const blob_conf_t *cf);

#endif
