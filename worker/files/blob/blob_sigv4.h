/*
 * blob_sigv4.h: AWS Signature Version 4, in a header or in the query.
 *
 * Pure: bytes in, bytes out; the time is an argument.  What goes over the wire
 * is made by sigv4_target() of the same request, so that it cannot differ from
 * what was signed.  Paths are taken as they are (S3 resolves no "..") and
 * encoded once.
 */

#ifndef BLOB_SIGV4_H
#define BLOB_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#define SIGV4_HASH_LEN      64      /* SHA-256 in hex */
#define SIGV4_DATE_SIZE     sizeof("20130524T000000Z")
#define SIGV4_PAIRS_MAX     24      /* headers, or query arguments */
#define SIGV4_EXPIRES_MAX   604800  /* seconds, of a signed URL */
#define SIGV4_UNSIGNED      "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_HASH    "e3b0c44298fc1c149afbf4c8996fb924"               \
                            "27ae41e4649b934ca495991b7852b855"

typedef struct {
    const char  *access;
    const char  *secret;
    const char  *region;
    const char  *service;           /* "s3" */
} sigv4_key_t;

typedef struct {
    const char  *name;
    const char  *value;
} sigv4_pair_t;

typedef struct {
    const char          *method;
    const char          *path;      /* not encoded, begins with a slash */
    const sigv4_pair_t  *query;     /* not encoded, in any order */
    size_t               nquery;
    const sigv4_pair_t  *headers;   /* all of them are signed; has Host */
    size_t               nheaders;
    const char          *hash;      /* of the body, or SIGV4_UNSIGNED */
    char                 date[SIGV4_DATE_SIZE];
} sigv4_request_t;

/* 20130524T000000Z: of x-amz-date and sigv4_request_t. */
void sigv4_date(int64_t ms, char out[SIGV4_DATE_SIZE]);

/* The next three return 0, or -1 when out or SIGV4_PAIRS_MAX is too small. */

/* The value of the Authorization header. */
int sigv4_header(const sigv4_key_t *key, const sigv4_request_t *r, char *out,
    size_t size);

/* Path and query of a URL that is good for so many seconds. */
int sigv4_presign(const sigv4_key_t *key, const sigv4_request_t *r,
    unsigned seconds, char *out, size_t size);

/* Path and query as they were signed. */
int sigv4_target(const sigv4_request_t *r, char *out, size_t size);

#endif
