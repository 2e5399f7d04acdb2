/*
 * blob_s3.h: what the blob_s3*.c files share.
 */

#ifndef BLOB_S3_H
#define BLOB_S3_H

#include "worker/files/blob/blob_internal.h"
#include "worker/files/blob/blob_sigv4.h"

#define S3_PAGE         500         /* rows asked for in a listing */
#define S3_UPLOAD_SIZE  512         /* id of a multipart upload */
#define S3_TOKEN_SIZE   1200        /* where a listing goes on */
#define S3_ANSWER_MAX   (4 * 1024 * 1024)       /* bytes of XML */
#define S3_PARTS_MAX    10000       /* S3's own limit */

/* A line of a listing: of objects, or of uploads under way. */
typedef struct {
    char         key[BLOB_KEY_SIZE];            /* "": none of ours */
    char         upload[S3_UPLOAD_SIZE];
    int64_t      size;
    int64_t      at_ms;
} s3_row_t;

/* The few things we read, of whatever document came. */
typedef struct {
    char         code[64];          /* <Error> */
    char         message[160];
    char         upload[S3_UPLOAD_SIZE];
    int          truncated;         /* a listing goes on, from: */
    char         token[S3_TOKEN_SIZE];
    char         next_key[S3_TOKEN_SIZE];
    char         next_upload[S3_UPLOAD_SIZE];
    s3_row_t     row;               /* being read */
    s3_row_t    *rows;              /* S3_PAGE, allocated once */
    size_t       nrows;
} s3_doc_t;

typedef struct s3_xml_s   s3_xml_t;
typedef struct s3_http_s  s3_http_t;

typedef struct {
    blob_t       base;              /* first */
    s3_http_t   *http;
    s3_doc_t     doc;               /* of the last answer */
    int          prepared;          /* the bucket is there */
    char         host[BLOB_ENDPOINT_SIZE + BLOB_BUCKET_SIZE];
    char         origin[2 * BLOB_ENDPOINT_SIZE + BLOB_BUCKET_SIZE];
    char         root[BLOB_BUCKET_SIZE + 1];    /* of paths: "" or /bucket */
    sigv4_key_t  sign;
} s3_t;

#define S3_QUERY_MAX    6
#define S3_HEADERS_MAX  4

/* One request.  Zero it; everything is borrowed. */
typedef struct {
    const char   *method;
    const char   *key;              /* NULL: the bucket itself */
    sigv4_pair_t  query[S3_QUERY_MAX];
    size_t        nquery;
    sigv4_pair_t  headers[S3_HEADERS_MAX];
    size_t        nheaders;

    const char   *text;             /* the body, or if NULL ... */
    int           from;             /* ... size bytes of this file */
    int64_t       offset;
    int64_t       size;
    const char   *hash;             /* of the body; NULL: it is empty */

    int           save;             /* the answer goes to the file `to` */
    int           to;
    int           limit_ms;         /* once, within this; 0: with retries */
} s3_call_t;

typedef struct {
    int           status;           /* HTTP */
    int64_t       length;           /* Content-Length, -1: not told */
    int64_t       changed_ms;
    char          etag[128];
    char          sse[32];          /* x-amz-server-side-encryption */
} s3_answer_t;

/* blob_s3.c */
s3_t *s3_of(blob_t *b);
void s3_begin(s3_call_t *call, const char *method, const char *key);
void s3_query(s3_call_t *call, const char *name, const char *value);
void s3_header(s3_call_t *call, const char *name, const char *value);
/* s3_ask(), and what the answer's status means; what: for the error text. */
blob_rc_t s3_run(s3_t *s3, const char *what, const s3_call_t *call,
    s3_answer_t *answer);
blob_rc_t s3_prepare(blob_t *b);
blob_rc_t s3_stat(blob_t *b, const char *key, blob_stat_t *st);
/* Give up an upload; once within limit_ms, 0: with retries. */
void s3_abort(s3_t *s3, const char *key, const char *upload, int limit_ms);

/* blob_s3_put.c */
blob_rc_t s3_put(blob_t *b, const blob_src_t *src, blob_stat_t *st);

/* blob_s3_http.c */
s3_http_t *s3_http_create(s3_doc_t *doc);       /* NULL: no memory */
void s3_http_free(s3_http_t *http);

/*
 * Ask until there is an answer that another try would not better.  BLOB_OK:
 * there is one, of any status; its XML is in s3->doc.  BLOB_DOWN, BLOB_BAD:
 * there is none, the text is set.
 */
blob_rc_t s3_ask(s3_t *s3, const s3_call_t *call, s3_answer_t *answer);

/* blob_s3_xml.c */
s3_xml_t *s3_xml_create(s3_doc_t *doc);         /* NULL: no memory */
void s3_xml_free(s3_xml_t *x);
void s3_xml_begin(s3_xml_t *x);                 /* a new document */
/* 0, or -1: not XML, or with a DOCTYPE.  last: nothing follows p. */
int s3_xml_feed(s3_xml_t *x, const char *p, size_t n, int last);

#endif
