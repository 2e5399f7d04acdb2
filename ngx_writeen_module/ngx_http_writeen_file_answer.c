/*
 * ngx_http_writeen_file_answer.c: what the worker pool has said of a file, what
 * of it the client knows already, and the headers that follow from it.
 *
 * The ETag is the pool's: it is made of what is in the file, so it is the same
 * on every nginx and in every storage, whose own tags are not.  Conditions on
 * it are decided here and taken out of the request, so that nobody looks at
 * them again.
 */

#include "ngx_http_writeen_file.h"


static ngx_int_t ngx_http_writeen_file_member(ngx_http_writeen_file_t *file,
    wrt_envelope_t *e, const char *name, size_t max, ngx_str_t *out);
static ngx_int_t ngx_http_writeen_file_target(ngx_http_writeen_file_t *file,
    ngx_str_t *tail);
static ngx_int_t ngx_http_writeen_file_tag(ngx_http_writeen_file_t *file,
    ngx_str_t *etag);
static void ngx_http_writeen_file_forget(ngx_table_elt_t **h);
static ngx_uint_t ngx_http_writeen_file_match(ngx_table_elt_t *h,
    ngx_str_t *etag, ngx_uint_t weak);


ngx_int_t
ngx_http_writeen_file_read(ngx_http_writeen_file_t *file, ngx_str_t *body)
{
    ngx_int_t        rc;
    ngx_str_t        tail, etag;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    rc = NGX_ERROR;

    if (wrt_reply_data(&e, (char *) body->data, body->len) == 0
        && ngx_http_writeen_file_member(file, &e, "tail", WRT_FILE_TAIL_MAX,
                                        &tail)
           == NGX_OK
        && ngx_http_writeen_file_member(file, &e, "etag", WRT_NAME_MAX, &etag)
           == NGX_OK
        && ngx_http_writeen_file_member(file, &e, "contentType",
                                        WRT_FILE_SAYS_MAX, &file->type)
           == NGX_OK
        && ngx_http_writeen_file_member(file, &e, "disposition",
                                        WRT_FILE_SAYS_MAX, &file->disposition)
           == NGX_OK
        && ngx_http_writeen_file_member(file, &e, "scanStatus", WRT_NAME_MAX,
                                        &file->scanned)
           == NGX_OK
        && wrt_envelope_seq(&e, "size", &file->size, &why) == 1
        && ngx_http_writeen_file_target(file, &tail) == NGX_OK
        && ngx_http_writeen_file_tag(file, &etag) == NGX_OK)
    {
        rc = NGX_OK;
    }

    wrt_envelope_free(&e);

    return rc;
}


/* A copy that ends in a NUL; it goes into a header, so that it may have no
 * line breaks. */

static ngx_int_t
ngx_http_writeen_file_member(ngx_http_writeen_file_t *file, wrt_envelope_t *e,
    const char *name, size_t max, ngx_str_t *out)
{
    u_char         *p;
    size_t          i;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    if (wrt_envelope_string(e, name, max, &s, &why) != 1 || s.n == 0) {
        return NGX_ERROR;
    }

    for (i = 0; i < s.n; i++) {
        if ((u_char) s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return NGX_ERROR;
        }
    }

    p = ngx_pnalloc(file->request->pool, s.n + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;
    out->len = s.n;
    *ngx_cpymem(p, s.p, s.n) = '\0';

    return NGX_OK;
}


/* /path, or /path?arguments of a signed request.  Keys of blobs and names of
 * buckets need no escapes, and nothing leads up. */

static ngx_int_t
ngx_http_writeen_file_target(ngx_http_writeen_file_t *file, ngx_str_t *tail)
{
    u_char     *p, *last, *end;
    ngx_str_t  *prefix;

    last = tail->data + tail->len;
    end = ngx_strlchr(tail->data, last, '?');

    if (end == NULL) {
        end = last;

    } else {
        file->target_args.data = end + 1;
        file->target_args.len = last - end - 1;
    }

    if (end - tail->data < 2 || tail->data[0] != '/') {
        return NGX_ERROR;
    }

    for (p = tail->data; p < end; p++) {
        if (((*p | 0x20) < 'a' || (*p | 0x20) > 'z')
            && (*p < '0' || *p > '9')
            && ngx_strchr("/-_.~", *p) == NULL)
        {
            return NGX_ERROR;
        }

        if (*p == '/' && (p + 1 == end || p[1] == '/' || p[1] == '.')) {
            return NGX_ERROR;
        }
    }

    for ( /* void */ ; p < last; p++) {
        if (*p <= 0x20 || *p >= 0x7f || *p == '#') {
            return NGX_ERROR;
        }
    }

    prefix = &file->conf->files;

    p = ngx_pnalloc(file->request->pool, prefix->len + (end - tail->data));
    if (p == NULL) {
        return NGX_ERROR;
    }

    file->target.data = p;
    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, tail->data + 1, end - tail->data - 1);
    file->target.len = p - file->target.data;

    return NGX_OK;
}


/* With its quotes. */

static ngx_int_t
ngx_http_writeen_file_tag(ngx_http_writeen_file_t *file, ngx_str_t *etag)
{
    u_char     *p;
    ngx_str_t   s;

    s = *etag;

    if (s.len > 2 && s.data[0] == '"' && s.data[s.len - 1] == '"') {
        s.data++;
        s.len -= 2;
    }

    if (ngx_strlchr(s.data, s.data + s.len, '"') != NULL
        || ngx_strlchr(s.data, s.data + s.len, ' ') != NULL
        || ngx_strlchr(s.data, s.data + s.len, ',') != NULL)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(file->request->pool, s.len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    file->etag.data = p;
    file->etag.len = s.len + 2;
    *ngx_sprintf(p, "\"%V\"", &s) = '\0';

    return NGX_OK;
}


/* Nobody shall see it any more, not as a variable either. */

static void
ngx_http_writeen_file_forget(ngx_table_elt_t **h)
{
    if (*h != NULL) {
        (*h)->hash = 0;
        *h = NULL;
    }
}


ngx_int_t
ngx_http_writeen_file_known(ngx_http_writeen_file_t *file)
{
    ngx_str_t               *value;
    ngx_uint_t               match;
    ngx_http_request_t      *r;
    ngx_http_headers_in_t   *in;

    r = file->request;
    in = &r->headers_in;

    if (in->if_match != NULL) {

        if (!ngx_http_writeen_file_match(in->if_match, &file->etag, 0)) {
            return ngx_http_writeen_api_error(r,
                                              NGX_HTTP_PRECONDITION_FAILED,
                                              "conflict", "If-Match",
                                              "the file is another one", 0);
        }

        /* which makes the other one void (RFC 9110, 13.2.2) */

        ngx_http_writeen_file_forget(&in->if_match);
        ngx_http_writeen_file_forget(&in->if_unmodified_since);
    }

    if (in->if_none_match != NULL) {
        match = ngx_http_writeen_file_match(in->if_none_match, &file->etag, 1);

        ngx_http_writeen_file_forget(&in->if_none_match);
        ngx_http_writeen_file_forget(&in->if_modified_since);

        if (match) {
            if (ngx_http_writeen_file_headers(file) != NGX_OK) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            r->headers_out.status = NGX_HTTP_NOT_MODIFIED;
            r->header_only = 1;

            return ngx_http_send_header(r);
        }
    }

    if (in->if_range != NULL && in->if_range->value.len > 0) {
        value = &in->if_range->value;

        if (value->data[value->len - 1] == '"') {

            if (!ngx_http_writeen_file_match(in->if_range, &file->etag, 0)) {
                ngx_http_writeen_file_forget(&in->range);
            }

            ngx_http_writeen_file_forget(&in->if_range);
        }
    }

    return NGX_DECLINED;
}


/* Is the tag in the list (RFC 9110, 8.8.3.2)?  Ours is a strong one. */

static ngx_uint_t
ngx_http_writeen_file_match(ngx_table_elt_t *h, ngx_str_t *etag,
    ngx_uint_t weak)
{
    u_char      *p, *last, *tag;
    ngx_uint_t   skip;

    p = h->value.data;
    last = p + h->value.len;

    if (h->value.len == 1 && *p == '*') {
        return 1;
    }

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        skip = 0;

        if (last - p > 2 && p[0] == 'W' && p[1] == '/') {
            p += 2;
            skip = !weak;
        }

        tag = p;

        if (p == last || *p != '"') {
            return 0;
        }

        p = ngx_strlchr(p + 1, last, '"');

        if (p == NULL) {
            return 0;
        }

        p++;

        if (!skip
            && (size_t) (p - tag) == etag->len
            && ngx_memcmp(tag, etag->data, etag->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Whatever the file is, a browser shall take it for what we say it is, run
 * nothing in it, and not give it to others. */

ngx_int_t
ngx_http_writeen_file_headers(ngx_http_writeen_file_t *file)
{
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = file->request;

    if (ngx_http_writeen_cors(r, "Content-Disposition, Content-Range, ETag, "
                                 "X-File-Scan-Status, Retry-After")
        != NGX_OK
        || ngx_http_writeen_header(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK
        || ngx_http_writeen_header(r, "Content-Security-Policy",
                                   "default-src 'none'; sandbox")
           != NGX_OK
        || ngx_http_writeen_header(r, "Cache-Control", "private") != NGX_OK
        || ngx_http_writeen_header(r, "X-File-Scan-Status",
                                   (char *) file->scanned.data)
           != NGX_OK
        || ngx_http_writeen_header(r, "Content-Disposition",
                                   (char *) file->disposition.data)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = file->etag;

    r->headers_out.etag = h;

    return NGX_OK;
}
