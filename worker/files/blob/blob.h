/*
 * blob.h: where the bytes of files are.  Two implementations, blob_local.c (a
 * directory) and blob_s3*.c (MinIO, AWS S3 and alike); blob_internal.h says
 * which file does what.
 *
 * A blob never changes.  Its key is the SHA-256 of its content in hex, or that
 * of the file it was made from and a suffix ("-small.jpg": a thumbnail).  What
 * files exist, who may see them and how many refer to one blob is for the
 * store to know: this is a pure library, without Redis, store, HTTP server or
 * log.  A blob_t belongs to one process and one thread, and may not be taken
 * through a fork.
 *
 * Orphans: a blob may be put before anything refers to it, so whoever collects
 * those without a reference (blob_each()) must let them get old first.  A put
 * of what is there makes it young again.
 */

#ifndef BLOB_H
#define BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <limits.h>

#include "common/wrt_limits.h"

#define BLOB_HASH_LEN      64       /* SHA-256 in hex, lower case */
#define BLOB_SUFFIX_MAX    32       /* [-.] and then [a-z0-9.-] */
#define BLOB_KEY_SIZE      (BLOB_HASH_LEN + BLOB_SUFFIX_MAX + 1)
#define BLOB_PATH_SIZE     (PATH_MAX - 128)     /* leaves room for a key */
#define BLOB_ENDPOINT_SIZE 272
#define BLOB_SECRET_SIZE   129      /* access key, secret key */
#define BLOB_BUCKET_SIZE   64
#define BLOB_REGION_SIZE   33
#define BLOB_LINK_SIZE     6144     /* blob_link_t.where */
#define BLOB_HEADER_MAX    1024     /* disposition and alike in a link, bytes */
#define BLOB_ERROR_SIZE    512

typedef enum {
    BLOB_OK = 0,
    BLOB_NOT_FOUND,
    BLOB_BAD,                       /* this call can never succeed */
    BLOB_REFUSED,                   /* not before an operator acts: wrong keys,
                                       no permission; blob_error() says what */
    BLOB_DOWN                       /* try again later; nothing was lost */
} blob_rc_t;

typedef enum {
    BLOB_LOCAL = 0,
    BLOB_S3
} blob_kind_t;

/* conf.c fills and checks it; plain data. */
typedef struct {
    blob_kind_t  kind;

    char         path[BLOB_PATH_SIZE];          /* local: absolute */

    char         endpoint[BLOB_ENDPOINT_SIZE];  /* http[s]://host[:port] */
    char         access_key[BLOB_SECRET_SIZE];
    char         secret_key[BLOB_SECRET_SIZE];
    char         bucket[BLOB_BUCKET_SIZE];
    char         region[BLOB_REGION_SIZE];
    int          host_style;        /* bucket.host/key, else host/bucket/key */
    int          sse;               /* ask for SSE-S3 */

    int          deadline_ms;       /* 0: WRT_S3_DEADLINE_MS */
    int          stall_ms;          /* 0: WRT_S3_STALL_MS; whole seconds */
} blob_conf_t;

typedef struct blob_s  blob_t;

/* What to put: the file at path, or if that is NULL the one open as fd, from
 * its beginning.  size must be its size. */
typedef struct {
    const char  *key;
    const char  *path;
    int          fd;
    int64_t      size;
    const char  *type;              /* Content-Type, NULL: not known */
} blob_put_t;

typedef struct {
    int64_t      size;
    int64_t      changed_ms;        /* wall clock: last put */
    int          encrypted;         /* the stored object says so (S3: its
                                       x-amz-server-side-encryption) */
} blob_stat_t;

/* A link for nginx.  The header texts (NULL: none) are what the S3 server
 * shall answer with; for a local file nginx sends its own. */
typedef struct {
    const char  *key;
    unsigned     seconds;           /* good for so long, 1 to 604800 */
    const char  *type;              /* Content-Type */
    const char  *disposition;       /* Content-Disposition */
    const char  *cache_control;
} blob_ask_t;

typedef struct {
    int          remote;            /* 1: where is a URL, 0: a path */
    char         where[BLOB_LINK_SIZE];
    const char  *tail;              /* in where: what follows scheme and host
                                       of a URL, or the root directory: begins
                                       with a slash */
} blob_link_t;

/* 0: go on; else blob_each() ends. */
typedef int (*blob_each_pt)(void *data, const char *key,
    const blob_stat_t *st);

/* Asked several times a second while a call waits; not 0: give up. */
typedef int (*blob_stop_pt)(void *data);

/* cf is copied.  Nothing is touched yet.  NULL: no memory, text in err. */
blob_t *blob_open(const blob_conf_t *cf, char *err, size_t size);
void blob_close(blob_t *b);
const char *blob_name(const blob_t *b);         /* "local" | "s3" */
const char *blob_error(const blob_t *b);        /* text of the last failure,
                                                   without secrets */
void blob_on_wait(blob_t *b, blob_stop_pt stop, void *data);

/* Have the directory or the bucket; may be called again. */
blob_rc_t blob_prepare(blob_t *b);

/* Is it there and does it let us in?  Within about 2 s. */
blob_rc_t blob_ping(blob_t *b);

/*
 * Durable and whole when it returns BLOB_OK, else not there (or still as it
 * was).  *st is what was stored.  A key without suffix must be the content's
 * hash: BLOB_BAD if it is not, so that a file changed on its way (or a wrong
 * caller) never gets in.
 */
blob_rc_t blob_put(blob_t *b, const blob_put_t *put, blob_stat_t *st);

blob_rc_t blob_stat(blob_t *b, const char *key, blob_stat_t *st);

/* The content into a regular file, which is truncated first; checked against
 * a key without suffix (BLOB_DOWN when it came damaged).  For scanning again
 * and for thumbnails; downloads go by blob_link(). */
blob_rc_t blob_get(blob_t *b, const char *key, int fd, blob_stat_t *st);

/* Local: BLOB_NOT_FOUND when there is none.  S3: signed without asking. */
blob_rc_t blob_link(blob_t *b, const blob_ask_t *ask, blob_link_t *out);

/* BLOB_OK when there was none, too. */
blob_rc_t blob_delete(blob_t *b, const char *key);

/* All blobs, in no order; the callback may delete the one it is given.  What
 * others keep in the directory or bucket is passed over. */
blob_rc_t blob_each(blob_t *b, blob_each_pt each, void *data);

/* Remove what puts left behind that did not end (their process died) more
 * than so many seconds ago.  *n: how many. */
blob_rc_t blob_sweep(blob_t *b, unsigned seconds, unsigned *n);

/* Has a key the right form? */
int blob_key_ok(const char *key);

#endif
