/*
 * ngx_http_writeen_file.c: GET and HEAD of a file's bytes.
 *
 *     /api/files/<id>/download
 *     /api/files/<id>/thumbnails/<small|medium|large>
 *
 * Who may have a file, and where its bytes are, the worker pool says (the call
 * FILE); the bytes never pass through it.  Whoever can send no header, as a
 * picture's tag in a page can not, comes with the query of a signed link
 * instead of a token; the pool knows the key.
 *
 *     handler -> call -> called -+-> answer (refused)
 *                                +-> 304, 412 (file_answer.c)
 *                                +-> send (file_sent.c)
 *
 * Links cost an attacker nothing to invent.  So before a link's call it is only
 * looked whether its address and its user may ask; afterwards the one that it
 * was charged to is known: the user, when the signature was good, else the
 * address.  Nobody can use up what belongs to another.
 */

#include "ngx_http_writeen_file.h"


static ngx_int_t ngx_http_writeen_file_route(ngx_http_request_t *r,
    ngx_str_t *id, ngx_str_t *what);
static ngx_http_writeen_file_t *ngx_http_writeen_file_create(
    ngx_http_request_t *r, ngx_str_t *id, ngx_str_t *what);
static void ngx_http_writeen_file_cleanup(void *data);
static ngx_int_t ngx_http_writeen_file_admit(ngx_http_writeen_file_t *file);
static ngx_int_t ngx_http_writeen_file_link(ngx_http_writeen_file_t *file);
static ngx_uint_t ngx_http_writeen_file_digits(ngx_str_t *s, size_t max,
    ngx_uint_t hex);
static void ngx_http_writeen_file_hide(ngx_http_request_t *r);
static void ngx_http_writeen_file_blank(ngx_str_t *s, u_char *p);
static ngx_int_t ngx_http_writeen_file_query(ngx_http_writeen_file_t *file,
    ngx_str_t *what);
static ngx_uint_t ngx_http_writeen_file_first(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_file_call(ngx_http_writeen_file_t *file);
static void ngx_http_writeen_file_called(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_file_charge(ngx_http_writeen_file_t *file,
    ngx_uint_t status);


ngx_int_t
ngx_http_writeen_file_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_str_t                 id, what;
    ngx_http_writeen_ctx_t   *ctx;
    ngx_http_writeen_file_t  *file;

    ctx = ngx_http_writeen_get_ctx(r, 0);

    if (ctx != NULL && ctx->file != NULL) {

        /* back from the internal location, or where that should have been */

        return ngx_http_writeen_file_failed(ctx->file);
    }

    if (ngx_http_writeen_file_route(r, &id, &what) != NGX_OK) {
        ngx_http_writeen_file_hide(r);
        return NGX_DECLINED;
    }

    ngx_http_writeen_count(ngx_http_writeen_worker, api_requests_total);

    if (r->args.len > WRT_QUERY_MAX) {
        ngx_http_writeen_file_hide(r);
        return ngx_http_writeen_api_error(r, NGX_HTTP_BAD_REQUEST,
                                          "invalid_request", NULL,
                                          "the query string is too long", 0);
    }

    file = ngx_http_writeen_file_create(r, &id, &what);
    if (file == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_writeen_file_admit(file);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (file->conf->files.len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "writeen: a file is asked for, but there is no "
                      "\"writeen_files\" that says where files are");
        return ngx_http_writeen_unavailable(r);
    }

    if (ngx_http_writeen_file_query(file, &what) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_writeen_file_call(file);
}


/* NGX_OK: it is one of these routes; what: as the call FILE names it. */

static ngx_int_t
ngx_http_writeen_file_route(ngx_http_request_t *r, ngx_str_t *id,
    ngx_str_t *what)
{
    u_char      *p, *last;
    size_t       n;
    ngx_uint_t   i;

    static u_char  prefix[] = "/api/files/";

    static const struct {
        ngx_str_t  tail;
        ngx_str_t  what;
    } routes[] = {
        { ngx_string("/download"), ngx_string("original") },
        { ngx_string("/thumbnails/small"), ngx_string("small") },
        { ngx_string("/thumbnails/medium"), ngx_string("medium") },
        { ngx_string("/thumbnails/large"), ngx_string("large") }
    };

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        || r->uri.len < sizeof(prefix)
        || ngx_memcmp(r->uri.data, prefix, sizeof(prefix) - 1) != 0)
    {
        return NGX_DECLINED;
    }

    p = r->uri.data + sizeof(prefix) - 1;
    last = r->uri.data + r->uri.len;

    id->data = p;
    p = ngx_strlchr(p, last, '/');

    if (p == NULL) {
        return NGX_DECLINED;
    }

    id->len = p - id->data;
    n = last - p;

    if (!wrt_id_valid((char *) id->data, id->len)) {
        return NGX_DECLINED;
    }

    for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (routes[i].tail.len == n
            && ngx_memcmp(routes[i].tail.data, p, n) == 0)
        {
            *what = routes[i].what;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_http_writeen_file_t *
ngx_http_writeen_file_create(ngx_http_request_t *r, ngx_str_t *id,
    ngx_str_t *what)
{
    ngx_http_cleanup_t       *cln;
    ngx_http_writeen_ctx_t   *ctx;
    ngx_http_writeen_file_t  *file;

    ctx = ngx_http_writeen_get_ctx(r, 1);
    if (ctx == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_writeen_file_t));
    if (cln == NULL) {
        return NULL;
    }

    file = cln->data;
    ngx_memzero(file, sizeof(ngx_http_writeen_file_t));

    file->request = r;
    file->conf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);
    file->uri = r->uri;
    file->args = r->args;

    file->path.data = ngx_pnalloc(r->pool, id->len + 1 + what->len);
    if (file->path.data == NULL) {
        return NULL;
    }

    file->path.len = ngx_sprintf(file->path.data, "%V/%V", id, what)
                     - file->path.data;

    cln->handler = ngx_http_writeen_file_cleanup;
    ctx->file = file;

    return file;
}


static void
ngx_http_writeen_file_cleanup(void *data)
{
    ngx_http_writeen_file_t *file = data;

    ngx_http_writeen_rpc_t  *rpc;

    rpc = file->rpc;
    file->rpc = NULL;

    if (rpc != NULL) {
        ngx_http_writeen_rpc_cancel(rpc);
    }
}


/* Who asks, and may he ask so often?  NGX_DECLINED: go on. */

static ngx_int_t
ngx_http_writeen_file_admit(ngx_http_writeen_file_t *file)
{
    ngx_int_t            rc;
    ngx_msec_t           wait, w;
    ngx_http_request_t  *r;

    r = file->request;

    rc = (r->headers_in.authorization == NULL)
             ? ngx_http_writeen_file_link(file) : NGX_DECLINED;

    ngx_http_writeen_file_hide(r);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!file->link) {
        rc = ngx_http_writeen_api_auth(r, &file->identity);

        return (rc == NGX_DECLINED)
                   ? ngx_http_writeen_rate_request(r, &file->identity)
                   : rc;
    }

    ngx_http_writeen_count(ngx_http_writeen_worker,
                           asked[NGX_HTTP_WRITEEN_RATE_READ]);

    wait = ngx_http_writeen_rate_read(file->conf, &file->address, 0);
    w = ngx_http_writeen_rate_read(file->conf, &file->owner, 0);
    wait = ngx_max(wait, w);

    return wait ? ngx_http_writeen_rate_refuse(r, NGX_HTTP_WRITEEN_RATE_READ,
                                               wait)
                : NGX_DECLINED;
}


/*
 * A link has u=<user>, e=<seconds> and s=<signature>, each in the form that the
 * pool gives it; what is no link is no token either.
 */

static ngx_int_t
ngx_http_writeen_file_link(ngx_http_writeen_file_t *file)
{
    ngx_str_t            user, expires, sign, *addr;
    ngx_http_request_t  *r;

    r = file->request;

    if (ngx_http_arg(r, (u_char *) "u", 1, &user) != NGX_OK
        || ngx_http_arg(r, (u_char *) "e", 1, &expires) != NGX_OK
        || ngx_http_arg(r, (u_char *) "s", 1, &sign) != NGX_OK
        || !wrt_id_valid((char *) user.data, user.len)
        || !ngx_http_writeen_file_digits(&expires, 16, 0)
        || !ngx_http_writeen_file_digits(&sign, 128, 1))
    {
        return NGX_DECLINED;
    }

    addr = &r->connection->addr_text;

    file->owner.len = user.len;
    file->owner.data = ngx_pstrdup(r->pool, &user);
    file->query.data = ngx_pnalloc(r->pool, sizeof("u=&e=&s=") + user.len
                                            + expires.len + sign.len);
    file->address.data = ngx_pnalloc(r->pool, addr->len + 1);

    if (file->owner.data == NULL
        || file->query.data == NULL
        || file->address.data == NULL)
    {
        return NGX_ERROR;
    }

    file->query.len = ngx_sprintf(file->query.data, "u=%V&e=%V&s=%V", &user,
                                  &expires, &sign)
                      - file->query.data;
    file->address.len = ngx_sprintf(file->address.data, "@%V", addr)
                        - file->address.data;

    file->link = 1;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_writeen_file_digits(ngx_str_t *s, size_t max, ngx_uint_t hex)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < s->len; i++) {
        ch = (u_char) (s->data[i] | 0x20);

        if ((s->data[i] < '0' || s->data[i] > '9')
            && !(hex && ch >= 'a' && ch <= 'f'))
        {
            return 0;
        }
    }

    return s->len > 0 && s->len <= max;
}


/*
 * A signature opens the file to whoever reads it: it is overwritten, like a
 * token, before anything is logged; also where it is not asked for, because
 * there is a token, too, or the method or the rest of the path is another one.
 */

static void
ngx_http_writeen_file_hide(ngx_http_request_t *r)
{
    static u_char  prefix[] = "/api/files/";

    if (r->uri.len < sizeof(prefix) - 1
        || ngx_memcmp(r->uri.data, prefix, sizeof(prefix) - 1) != 0)
    {
        return;
    }

    /* with HTTP/1 these are parts of the same bytes */

    ngx_http_writeen_file_blank(&r->args, r->args.data);
    ngx_http_writeen_file_blank(&r->unparsed_uri, NULL);
    ngx_http_writeen_file_blank(&r->request_line, NULL);
}


/* Overwrite each signature; p: where arguments begin, NULL: behind the first
 * question mark. */

static void
ngx_http_writeen_file_blank(ngx_str_t *s, u_char *p)
{
    u_char  *last, *arg;

    if (s->len == 0) {
        return;
    }

    last = s->data + s->len;

    if (p == NULL) {
        p = ngx_strlchr(s->data, last, '?');
        if (p == NULL) {
            return;
        }

        p++;
    }

    for ( /* void */ ; p < last; p++) {

        for (arg = p; p < last && *p != '&' && *p != ' ' && *p != '#'; p++) {
            /* void */
        }

        if (p - arg > 2 && (arg[0] | 0x20) == 's' && arg[1] == '=') {
            ngx_memset(arg + 2, 'x', p - arg - 2);
        }
    }
}


/* Of a client's arguments only a link's mean something; "first" before them
 * counts the download. */

static ngx_int_t
ngx_http_writeen_file_query(ngx_http_writeen_file_t *file, ngx_str_t *what)
{
    u_char     *p;
    ngx_str_t   link;

    if (what->len != sizeof("original") - 1
        || !ngx_http_writeen_file_first(file->request))
    {
        return NGX_OK;
    }

    link = file->query;

    p = ngx_pnalloc(file->request->pool, sizeof("first&") + link.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    file->query.data = p;
    file->query.len = ngx_sprintf(p, "first&%V", &link) - p;

    return NGX_OK;
}


/* A download in parts counts by the one that has its first byte; whoever has a
 * copy and asks whether that is still good counts not again. */

static ngx_uint_t
ngx_http_writeen_file_first(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *range;

    if (r->method != NGX_HTTP_GET
        || r->headers_in.if_none_match != NULL
        || r->headers_in.if_modified_since != NULL)
    {
        return 0;
    }

    if (r->headers_in.range == NULL) {
        return 1;
    }

    range = &r->headers_in.range->value;
    p = range->data;
    last = p + range->len;

    if (range->len < 6 || ngx_strncasecmp(p, (u_char *) "bytes=", 6) != 0) {
        return 1;
    }

    for (p += 6; p < last && (*p == ' ' || *p == '0'); p++) {
        /* void */
    }

    return p < last && *p == '-' && p[-1] == '0';
}


static ngx_int_t
ngx_http_writeen_file_call(ngx_http_writeen_file_t *file)
{
    ngx_http_request_t       *r;
    ngx_http_writeen_call_t   call;

    r = file->request;

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_FILE);
    call.path = file->path;
    call.query = file->query;
    call.identity = file->link ? NULL : &file->identity;
    call.timeout = file->conf->api_timeout;

    file->rpc = ngx_http_writeen_rpc_call(ngx_http_writeen_worker, &call,
                                          ngx_http_writeen_file_called, file);

    if (file->rpc == NULL) {
        return ngx_http_writeen_unavailable(r);
    }

    /* waiting: notice when the client goes */

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_writeen_file_called(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_file_t *file = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = file->request;
    file->rpc = NULL;

    if (ngx_http_writeen_worker->rpc == NULL) {

        /* the process ends, no request is touched any more */

        return;
    }

    c = ngx_http_writeen_api_resume(r);

    ngx_http_writeen_file_charge(file, reply->status);

    if (reply->status == NGX_HTTP_OK) {
        rc = ngx_http_writeen_file_read(file, &reply->body);

        if (rc == NGX_OK) {
            rc = ngx_http_writeen_file_known(file);

            if (rc == NGX_DECLINED) {
                rc = ngx_http_writeen_file_send(file);
            }

        } else {
            ngx_log_error(NGX_LOG_ERR, c->log, 0,
                          "writeen: the worker pool's answer about file %V "
                          "can not be used", &file->path);
            rc = ngx_http_writeen_unavailable(r);
        }

    } else if (!ngx_http_writeen_rpc_answered(reply->status)) {
        rc = ngx_http_writeen_unavailable(r);

    } else {
        rc = ngx_http_writeen_answer_reply(r, reply);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* Now it is known whose link it was. */

static void
ngx_http_writeen_file_charge(ngx_http_writeen_file_t *file, ngx_uint_t status)
{
    if (!file->link) {
        return;
    }

    if (status == NGX_HTTP_OK) {
        (void) ngx_http_writeen_rate_read(file->conf, &file->owner, 1);

    } else if (status >= NGX_HTTP_BAD_REQUEST
               && status < NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        (void) ngx_http_writeen_rate_read(file->conf, &file->address, 1);
    }
}
