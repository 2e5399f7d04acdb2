/*
 * ngx_http_writeen_body.c: the body of a request: what it says it is, and its
 * bytes, which are the request's.
 */

#include "ngx_http_writeen.h"


/* application/json, parameters do not matter */

ngx_uint_t
ngx_http_writeen_body_json(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *value;

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    value = &r->headers_in.content_type->value;

    if (value->len < sizeof("application/json") - 1
        || ngx_strncasecmp(value->data, (u_char *) "application/json",
                           sizeof("application/json") - 1)
           != 0)
    {
        return 0;
    }

    p = value->data + sizeof("application/json") - 1;
    last = value->data + value->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p == last || *p == ';';
}


/* The body in one piece.  NGX_DECLINED: too large, which only a chunked one can
 * still be.  What is larger than client_body_buffer_size is in a temporary file
 * just written, so that reading it back does not wait for a disk. */

ngx_int_t
ngx_http_writeen_body(ngx_http_request_t *r, ngx_str_t *body)
{
    off_t         size;
    u_char       *p;
    size_t        n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > WRT_BODY_MAX) {
        return NGX_DECLINED;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && ngx_buf_in_memory_only(cl->buf)) {
        body->data = cl->buf->pos;
        body->len = (size_t) size;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, (size_t) size);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->data = p;
    body->len = (size_t) size;

    for ( /* void */ ; cl; cl = cl->next) {
        b = cl->buf;
        n = (size_t) ngx_buf_size(b);

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, n);
            continue;
        }

        /* the last buffer of a chunked body holds nothing */
        if (n && ngx_read_file(b->file, p, n, b->file_pos) != (ssize_t) n) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}
