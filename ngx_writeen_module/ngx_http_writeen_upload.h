/*
 * ngx_http_writeen_upload.h: uploads between their files: upload.c has the way
 * of a request, upload_body.c the reading of its body and its refusal,
 * upload_spool.c the directory and its files.  Nobody else needs it.
 */

#ifndef _NGX_HTTP_WRITEEN_UPLOAD_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_UPLOAD_H_INCLUDED_


#include "ngx_http_writeen.h"


/* A directory; lives in the configuration. */
struct ngx_http_writeen_spool_s {
    ngx_path_t                *path;
    char                       id[WRT_OID_LEN + 1];
    char                       key[WRT_NAME_BUF];  /* its stream */
    size_t                     key_len;
};


/* A body on its way into it; zeroed before it is opened. */
typedef struct {
    ngx_temp_file_t            temp;
    ngx_pool_cleanup_t        *cleanup;    /* removes it; NULL: not open */
    off_t                      size;
} ngx_http_writeen_spooled_t;


typedef struct ngx_http_writeen_upload_s  ngx_http_writeen_upload_t;

typedef ngx_int_t (*ngx_http_writeen_upload_pt)(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res);

/* Asked of Redis.  Freed when the command is through. */
typedef struct {
    ngx_event_t                   timer;
    ngx_http_writeen_upload_t    *upload;   /* NULL: wants it no more */
    ngx_http_writeen_upload_pt    next;     /* res NULL: no answer */
} ngx_http_writeen_question_t;


struct ngx_http_writeen_upload_s {
    ngx_queue_t                   queue;    /* in worker->uploads */
    ngx_http_request_t           *request;
    ngx_http_writeen_spool_t     *spool;
    ngx_http_writeen_identity_t  *identity;
    ngx_http_writeen_rpc_t       *rpc;      /* under way, or NULL */
    ngx_http_writeen_question_t  *question; /* likewise */
    ngx_http_writeen_spooled_t    spooled;
    ngx_str_t                     conversation;
    ngx_str_t                     begun;    /* what a 202 says at least */
    off_t                         limit;    /* bytes of the body */
    ngx_msec_t                    deadline; /* for all of them */
    char                          id[WRT_OID_LEN + 1];
    unsigned                      allowed:1; /* to send the body */
    unsigned                      reading:1; /* counted as such */
    unsigned                      waiting:1; /* likewise */
    unsigned                      starting:1; /* body's first bytes */
    unsigned                      started:1;
};


/* ngx_http_writeen_upload.c */

/* The body is in the spool. */
ngx_int_t ngx_http_writeen_upload_whole(ngx_http_writeen_upload_t *up);


/* ngx_http_writeen_upload_body.c; all return what finalizes the request */

/* Read the body, with a file of at most max bytes in it; NGX_DONE: goes on. */
ngx_int_t ngx_http_writeen_upload_begin(ngx_http_writeen_upload_t *up,
    int64_t max);

/* Answer as the worker pool did; as ngx_http_writeen_api_error() does; and as
 * ngx_http_writeen_unavailable().  The file is removed, if there is one that
 * was not kept. */
ngx_int_t ngx_http_writeen_upload_pass(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_reply_t *reply);
ngx_int_t ngx_http_writeen_upload_refuse(ngx_http_request_t *r,
    ngx_uint_t status, const char *code, const char *field,
    const char *message);
ngx_int_t ngx_http_writeen_upload_too_large(ngx_http_request_t *r);
ngx_int_t ngx_http_writeen_upload_too_many(ngx_http_request_t *r);
ngx_int_t ngx_http_writeen_upload_unavailable(ngx_http_request_t *r);


/* ngx_http_writeen_upload_spool.c */

/* Make the file.  NGX_OK or NGX_ERROR (logged).  It goes with the pool unless
 * it was kept. */
ngx_int_t ngx_http_writeen_spool_open(ngx_http_writeen_spooled_t *sp,
    ngx_http_writeen_spool_t *spool, ngx_pool_t *pool, ngx_log_t *log);
/* Append the buffers, and mark them as read. */
ngx_int_t ngx_http_writeen_spool_write(ngx_http_writeen_spooled_t *sp,
    ngx_chain_t *in);
/* Give it its name, which is also that of the upload, and close it. */
ngx_int_t ngx_http_writeen_spool_keep(ngx_http_writeen_spooled_t *sp,
    ngx_http_writeen_spool_t *spool, const char *id);
/* Remove it: before it was kept, and after. */
void ngx_http_writeen_spool_drop(ngx_http_writeen_spooled_t *sp);
void ngx_http_writeen_spool_remove(ngx_http_writeen_spool_t *spool,
    const char *id, ngx_log_t *log);


#endif /* _NGX_HTTP_WRITEEN_UPLOAD_H_INCLUDED_ */
