/*
 * ngx_http_writeen_body.c: the body of a request: what it says it is, where it
 * came from, and its bytes, which are the request's.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_AGENT_MAX  512


static u_char *ngx_http_writeen_body_boundary(u_char *p, u_char *last,
    ngx_str_t *boundary);


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


/*
 * multipart/form-data with a boundary.  NGX_OK, NGX_DECLINED: something else,
 * NGX_ERROR: without one that could be looked for.  What the boundary's bytes
 * are is for who reads the form to judge.
 */

ngx_int_t
ngx_http_writeen_body_form(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *value, boundary;

    static u_char  type[] = "multipart/form-data";

    if (r->headers_in.content_type == NULL) {
        return NGX_DECLINED;
    }

    value = &r->headers_in.content_type->value;
    last = value->data + value->len;

    if (value->len < sizeof(type) - 1
        || ngx_strncasecmp(value->data, type, sizeof(type) - 1) != 0)
    {
        return NGX_DECLINED;
    }

    p = value->data + sizeof(type) - 1;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p < last && *p != ';') {
        return NGX_DECLINED;
    }

    if (value->len > WRT_FORM_TYPE_MAX) {
        return NGX_ERROR;
    }

    ngx_str_null(&boundary);

    while (p < last && boundary.data == NULL) {
        p = ngx_http_writeen_body_boundary(p, last, &boundary);
    }

    if (boundary.len == 0 || boundary.len > WRT_FORM_BOUNDARY_MAX) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* One parameter, from its semicolon on; *boundary is set when it is that one.
 * Returns where it ends. */

static u_char *
ngx_http_writeen_body_boundary(u_char *p, u_char *last, ngx_str_t *boundary)
{
    u_char      *name, *value;
    ngx_uint_t   ours;

    while (p < last && (*p == ';' || *p == ' ' || *p == '\t')) {
        p++;
    }

    name = p;

    while (p < last && *p != '=' && *p != ';') {
        p++;
    }

    if (p == last || *p == ';') {
        return p;
    }

    ours = (p - name == sizeof("boundary") - 1
            && ngx_strncasecmp(name, (u_char *) "boundary",
                               sizeof("boundary") - 1)
               == 0);

    if (ours) {
        boundary->data = p + 1;
    }

    p++;

    if (p < last && *p == '"') {

        for (value = ++p; p < last && *p != '"'; p++) {
            if (*p == '\\' && p + 1 < last) {
                p++;
            }
        }

        if (ours) {
            boundary->data = value;
            boundary->len = (p < last) ? (size_t) (p - value) : 0;
        }

        while (p < last && *p != ';') {
            p++;
        }

        return p;
    }

    for (value = p; p < last && *p != ';' && *p != ' ' && *p != '\t'; p++) {
        /* void */
    }

    if (ours) {
        boundary->len = p - value;
    }

    while (p < last && *p != ';') {
        p++;
    }

    return p;
}


/* {"deviceInfo","ipAddress"}: what the store keeps of where a message came
 * from.  In a header only ASCII has a meaning. */

ngx_int_t
ngx_http_writeen_body_device(ngx_http_request_t *r, ngx_str_t *out)
{
    u_char     *p, *agent;
    size_t      i, n;
    ngx_str_t  *addr, *value;

    static char  head[] = "{\"deviceInfo\":\"";
    static char  middle[] = "\",\"ipAddress\":\"";

    addr = &r->connection->addr_text;
    agent = NULL;
    n = 0;

    if (r->headers_in.user_agent != NULL) {
        value = &r->headers_in.user_agent->value;
        n = ngx_min(value->len, NGX_HTTP_WRITEEN_AGENT_MAX);

        agent = ngx_pnalloc(r->pool, n + 1);
        if (agent == NULL) {
            return NGX_ERROR;
        }

        for (i = 0; i < n; i++) {
            agent[i] = (value->data[i] < 0x80) ? value->data[i] : '?';
        }
    }

    out->data = ngx_pnalloc(r->pool, sizeof(head) + sizeof(middle)
                                     + sizeof("\"}") + 6 * (n + addr->len));
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(out->data, head, sizeof(head) - 1);
    p += wrt_json_escape((char *) p, (char *) agent, n);
    p = ngx_cpymem(p, middle, sizeof(middle) - 1);
    p += wrt_json_escape((char *) p, (char *) addr->data, addr->len);
    p = ngx_cpymem(p, "\"}", 2);

    out->len = p - out->data;

    return NGX_OK;
}
