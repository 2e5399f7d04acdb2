/*
 * ngx_http_writeen_file.h: a file that is being asked for; shared by file.c,
 * file_answer.c and file_sent.c.
 */

#ifndef _NGX_HTTP_WRITEEN_FILE_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_FILE_H_INCLUDED_


#include "ngx_http_writeen.h"


/* Lives in the request's pool, at its ctx->file. */
typedef struct {
    ngx_http_request_t           *request;
    ngx_http_writeen_rpc_t       *rpc;        /* under way, or NULL */
    ngx_http_writeen_loc_conf_t  *conf;       /* of the REST door */
    ngx_http_writeen_identity_t   identity;   /* not of a link's */

    ngx_str_t                     uri;        /* as it was asked for, */
    ngx_str_t                     args;       /* signature overwritten */
    ngx_str_t                     path;       /* of the call FILE */
    ngx_str_t                     query;
    ngx_str_t                     owner;      /* whom a link names */
    ngx_str_t                     address;    /* whence a link's request came,
                                                 as no user can be called */

    /* the answer; the first four end in a NUL */
    ngx_str_t                     type;
    ngx_str_t                     disposition;
    ngx_str_t                     etag;       /* with its quotes */
    ngx_str_t                     scanned;
    ngx_str_t                     target;     /* behind writeen_files */
    ngx_str_t                     target_args;
    int64_t                       size;

    unsigned                      link:1;     /* no token, but a signature */
    unsigned                      sent:1;     /* to the internal location */
    unsigned                      done:1;     /* which has it */
} ngx_http_writeen_file_t;


/* ngx_http_writeen_file_answer.c */

/* Read what the worker pool has said.  NGX_ERROR: it can not be used. */
ngx_int_t ngx_http_writeen_file_read(ngx_http_writeen_file_t *file,
    ngx_str_t *body);
/* NGX_DECLINED: the client needs the bytes; else it was answered. */
ngx_int_t ngx_http_writeen_file_known(ngx_http_writeen_file_t *file);
/* The headers of an answer with (or instead of, 304) its bytes. */
ngx_int_t ngx_http_writeen_file_headers(ngx_http_writeen_file_t *file);


/* ngx_http_writeen_file_sent.c */

/* Let the internal location answer.  Returns what a content handler does. */
ngx_int_t ngx_http_writeen_file_send(ngx_http_writeen_file_t *file);
/* It could not: r->err_status says why. */
ngx_int_t ngx_http_writeen_file_failed(ngx_http_writeen_file_t *file);


#endif /* _NGX_HTTP_WRITEEN_FILE_H_INCLUDED_ */
