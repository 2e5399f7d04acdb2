/*
 * ngx_http_writeen_token.c: where a request's token is, and its removal from
 * everything that could be logged.
 *
 * A token in the query string is copied and its bytes are overwritten before
 * any other phase runs, so that neither the access log ($request,
 * $request_uri, $args) nor an error message shows it.  Those in Authorization
 * and Sec-WebSocket-Protocol are overwritten once they are read, for logs with
 * $http_*.  The copies live in the request's pool.
 *
 * What this can not cover: with error_log at level "info", what nginx itself
 * says of a request that it could not parse to its end.
 */

#include "ngx_http_writeen.h"


static ngx_int_t ngx_http_writeen_token_phase(ngx_conf_t *cf, ngx_uint_t phase,
    ngx_http_handler_pt handler);
static ngx_int_t ngx_http_writeen_scrub_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_elsewhere_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_unscrub_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_token_log_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_token_scrub(ngx_http_request_t *r);
static ngx_uint_t ngx_http_writeen_token_find(u_char **pos, u_char *last,
    ngx_str_t *value);
static void ngx_http_writeen_token_blank(ngx_str_t *s, u_char *start);
static ngx_int_t ngx_http_writeen_token_bearer(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx);
static ngx_int_t ngx_http_writeen_token_protocols(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx);
static ngx_int_t ngx_http_writeen_token_offers(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx, ngx_str_t *value);
static ngx_int_t ngx_http_writeen_token_keep(ngx_http_request_t *r,
    ngx_str_t *kept, u_char *p, size_t n);


/* Called once, at postconfiguration. */

ngx_int_t
ngx_http_writeen_token_init(ngx_conf_t *cf)
{
    if (ngx_http_writeen_token_phase(cf, NGX_HTTP_POST_READ_PHASE,
                                     ngx_http_writeen_scrub_handler)
        != NGX_OK
        || ngx_http_writeen_token_phase(cf, NGX_HTTP_SERVER_REWRITE_PHASE,
                                        ngx_http_writeen_elsewhere_handler)
           != NGX_OK
        || ngx_http_writeen_token_phase(cf, NGX_HTTP_REWRITE_PHASE,
                                        ngx_http_writeen_unscrub_handler)
           != NGX_OK
        || ngx_http_writeen_token_phase(cf, NGX_HTTP_LOG_PHASE,
                                        ngx_http_writeen_token_log_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Before all others: handlers of a phase run from the last that was added to
 * the first, but in the log phase, where the access log is written too, from
 * the first to the last. */

static ngx_int_t
ngx_http_writeen_token_phase(ngx_conf_t *cf, ngx_uint_t phase,
    ngx_http_handler_pt handler)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    handlers = &cmcf->phases[phase].handlers;

    h = ngx_array_push(handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    if (phase == NGX_HTTP_LOG_PHASE) {
        h = handlers->elts;
        ngx_memmove(h + 1, h, (handlers->nelts - 1) * sizeof(*h));
    }

    *h = handler;

    return NGX_OK;
}


/*
 * The ctx hangs on the request's pool too: an internal redirect clears the
 * module's slot, but the token is nowhere else any more.
 */

static void
ngx_http_writeen_ctx_cleanup(void *data)
{
    /* a mark to be found by; what it holds is the pool's */
}


ngx_http_writeen_ctx_t *
ngx_http_writeen_get_ctx(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_writeen_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_writeen_module);

    if (ctx != NULL) {
        return ctx;
    }

    if (r->internal || r->filter_finalize) {
        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_writeen_ctx_cleanup) {
                ngx_http_set_ctx(r, cln->data, ngx_http_writeen_module);
                return cln->data;
            }
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_writeen_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_writeen_ctx_t));

    cln->handler = ngx_http_writeen_ctx_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_writeen_module);

    return ctx;
}


/*
 * In the post-read phase, so that not even a message of the next phase shows
 * a token.  Server and location are not looked at yet; the two handlers after
 * this one repair what was none of ours.
 */

static ngx_int_t
ngx_http_writeen_scrub_handler(ngx_http_request_t *r)
{
    if (ngx_http_writeen_token_scrub(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/* The request's arguments as they came, unless something else stands there by
 * now. */

static void
ngx_http_writeen_token_restore(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx)
{
    if (r->args.data == ctx->at && r->args.len == ctx->args.len) {
        ngx_memcpy(ctx->at, ctx->args.data, ctx->args.len);
        ctx->at = NULL;
    }
}


/* Does what looks like a JWT begin with "eyJ", which is {" in base64? */

static ngx_uint_t
ngx_http_writeen_token_jwt(ngx_http_writeen_ctx_t *ctx)
{
    return ctx->token.len > 3 && ngx_strncmp(ctx->token.data, "eyJ", 3) == 0;
}


/* Has the request's server a location of ours? */

static ngx_uint_t
ngx_http_writeen_token_ours(ngx_http_request_t *r)
{
    void                          **server;
    ngx_uint_t                      i;
    ngx_http_core_srv_conf_t       *cscf;
    ngx_http_writeen_main_conf_t   *wmcf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    wmcf = ngx_http_get_module_main_conf(r, ngx_http_writeen_module);
    server = wmcf->servers.elts;

    for (i = 0; i < wmcf->servers.nelts; i++) {
        if (server[i] == cscf) {
            return 1;
        }
    }

    return 0;
}


/*
 * Another site's ?token= reaches what its server does before there is a
 * location, a redirect to https for one.
 */

static ngx_int_t
ngx_http_writeen_elsewhere_handler(ngx_http_request_t *r)
{
    ngx_http_writeen_ctx_t  *ctx;

    ctx = ngx_http_writeen_get_ctx(r, 0);

    if (ctx != NULL && ctx->at != NULL && !ngx_http_writeen_token_ours(r)) {
        ngx_http_writeen_token_restore(r, ctx);
    }

    return NGX_DECLINED;
}


/*
 * Where another module answers (proxy_pass and the like), its own ?token= must
 * reach it as it came.  Where nothing of the kind does, a mistyped address for
 * one, what looks like a JWT stays out of the log.
 */

static ngx_int_t
ngx_http_writeen_unscrub_handler(ngx_http_request_t *r)
{
    ngx_http_writeen_ctx_t       *ctx;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_writeen_loc_conf_t  *wlcf;

    ctx = ngx_http_writeen_get_ctx(r, 0);

    if (ctx == NULL || ctx->at == NULL) {
        return NGX_DECLINED;
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if ((clcf->handler == NULL && ngx_http_writeen_token_jwt(ctx))
        || wlcf->websocket == 1 || wlcf->api == 1
        || wlcf->health == 1 || wlcf->metrics == 1)
    {
        return NGX_DECLINED;
    }

    ngx_http_writeen_token_restore(r, ctx);

    return NGX_DECLINED;
}


/*
 * A request that nginx refused while it read the head saw no other phase than
 * this.  Where it did not get far enough, the line is taken as nginx's own log
 * takes it: as far as it came.
 */

static ngx_int_t
ngx_http_writeen_token_log_handler(ngx_http_request_t *r)
{
    u_char                  *p;
    ngx_http_writeen_ctx_t  *ctx;

    ctx = ngx_http_writeen_get_ctx(r, 0);

    if (ctx != NULL && ctx->args.len && ctx->at == NULL
        && (ngx_http_writeen_token_ours(r)
            || !ngx_http_writeen_token_jwt(ctx)))
    {
        /*
         * another module's; but a JWT on a server that only redirects to ours
         * may be one of ours
         */

        return NGX_DECLINED;
    }

    if (r->request_line.data == NULL && r->request_start != NULL) {

        for (p = r->request_start; p < r->header_in->last; p++) {
            if (*p == CR || *p == LF) {
                break;
            }
        }

        r->request_line.data = r->request_start;
        r->request_line.len = p - r->request_start;
    }

    if (r->args.len) {
        ngx_http_writeen_token_blank(&r->args, r->args.data);
    }

    ngx_http_writeen_token_blank(&r->unparsed_uri, NULL);
    ngx_http_writeen_token_blank(&r->request_line, NULL);

    return NGX_DECLINED;
}


/*
 * Keep the token of the query string and overwrite its bytes in the request
 * buffer.  With HTTP/1 r->args, r->unparsed_uri and r->request_line are parts
 * of the same line; with HTTP/2 the line is a copy, so each is gone through.
 * Only what looks like a JWT (it has a dot) is taken, which what was
 * overwritten does not.
 */

static ngx_int_t
ngx_http_writeen_token_scrub(ngx_http_request_t *r)
{
    u_char                  *p, *last;
    ngx_str_t                value;
    ngx_http_writeen_ctx_t  *ctx;

    p = r->args.data;
    last = p + r->args.len;

    if (r->args.len == 0
        || !ngx_http_writeen_token_find(&p, last, &value))
    {
        return NGX_OK;
    }

    ctx = ngx_http_writeen_get_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->args.data = ngx_pstrdup(r->pool, &r->args);
    if (ctx->args.data == NULL) {
        return NGX_ERROR;
    }

    ctx->args.len = r->args.len;
    ctx->at = r->args.data;

    ctx->token.data = ctx->args.data + (value.data - r->args.data);
    ctx->token.len = value.len;

    ngx_http_writeen_token_blank(&r->args, r->args.data);
    ngx_http_writeen_token_blank(&r->unparsed_uri, NULL);
    ngx_http_writeen_token_blank(&r->request_line, NULL);

    return NGX_OK;
}


/*
 * Find the next argument "token" with a dot in its value in [*pos, last),
 * where *pos is at the beginning of an argument.  *pos moves behind it.
 */

static ngx_uint_t
ngx_http_writeen_token_find(u_char **pos, u_char *last, ngx_str_t *value)
{
    u_char      *p, *arg;
    ngx_uint_t   dot;

    p = *pos;

    while (p < last) {
        arg = p;
        dot = 0;

        while (p < last && *p != '&' && *p != ' ' && *p != '#') {
            if (*p == '.') {
                dot = 1;
            }

            p++;
        }

        *pos = p;

        if (dot
            && p - arg > 6
            && ngx_strncasecmp(arg, (u_char *) "token=", 6) == 0)
        {
            value->data = arg + 6;
            value->len = p - value->data;
            return 1;
        }

        p++;
    }

    return 0;
}


/* Overwrite every token in s.  start: where its arguments begin, NULL: behind
 * the first question mark. */

static void
ngx_http_writeen_token_blank(ngx_str_t *s, u_char *start)
{
    u_char     *p, *last;
    ngx_str_t   value;

    if (s->len == 0) {
        return;
    }

    p = start;
    last = s->data + s->len;

    if (p == NULL) {
        p = ngx_strlchr(s->data, last, '?');
        if (p == NULL) {
            return;
        }

        p++;
    }

    while (ngx_http_writeen_token_find(&p, last, &value)) {
        ngx_memset(value.data, 'x', value.len);

        if (p < last) {
            p++;
        }
    }
}


ngx_int_t
ngx_http_writeen_auth_token(ngx_http_request_t *r, ngx_uint_t websocket,
    ngx_str_t *token, ngx_uint_t *protocol)
{
    ngx_http_writeen_ctx_t  *ctx;

    ngx_str_null(token);
    *protocol = 0;

    ctx = ngx_http_writeen_get_ctx(r, 1);
    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_writeen_token_bearer(r, ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (websocket) {

        /* an internal rewrite may have made new arguments */

        if (ngx_http_writeen_token_scrub(r) != NGX_OK
            || ngx_http_writeen_token_protocols(r, ctx) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        *protocol = ctx->protocol;
    }

    if (ctx->bearer.len) {
        *token = ctx->bearer;

    } else if (websocket && ctx->token.len) {
        *token = ctx->token;

    } else if (websocket && ctx->offered.len) {
        *token = ctx->offered;
    }

    return token->len ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_writeen_token_bearer(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx)
{
    u_char     *p, *last;
    ngx_str_t  *value;

    if (r->headers_in.authorization == NULL) {
        return NGX_OK;
    }

    value = &r->headers_in.authorization->value;

    if (value->len < sizeof("Bearer ") - 1
        || ngx_strncasecmp(value->data, (u_char *) "Bearer ", 7) != 0)
    {
        return NGX_OK;
    }

    p = value->data + 7;
    last = value->data + value->len;

    while (p < last && *p == ' ') {
        p++;
    }

    return ngx_http_writeen_token_keep(r, &ctx->bearer, p, last - p);
}


static ngx_int_t
ngx_http_writeen_token_protocols(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    /* there may be several such headers, and nginx keeps no list of them */

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("Sec-WebSocket-Protocol") - 1
                && ngx_strncasecmp(h[i].key.data,
                                   (u_char *) "Sec-WebSocket-Protocol",
                                   h[i].key.len)
                   == 0
                && ngx_http_writeen_token_offers(r, ctx, &h[i].value)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* writeen.v1, bearer.<JWT> */

static ngx_int_t
ngx_http_writeen_token_offers(ngx_http_request_t *r,
    ngx_http_writeen_ctx_t *ctx, ngx_str_t *value)
{
    u_char  *p, *q, *end, *last;

    last = value->data + value->len;

    for (p = value->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        for (q = end; q > p && (q[-1] == ' ' || q[-1] == '\t'); q--) {
            /* void */
        }

        if (q - p == sizeof("writeen.v1") - 1
            && ngx_strncmp(p, "writeen.v1", q - p) == 0)
        {
            ctx->protocol = 1;

        } else if (q - p > 7
                   && ngx_strncmp(p, "bearer.", 7) == 0
                   && ngx_http_writeen_token_keep(r, &ctx->offered, p + 7,
                                                  q - p - 7)
                      != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Take p[0..n) into *kept and overwrite it; what has no dot is no token, or
 * was overwritten before. */

static ngx_int_t
ngx_http_writeen_token_keep(ngx_http_request_t *r, ngx_str_t *kept, u_char *p,
    size_t n)
{
    ngx_str_t  s;

    s.data = p;
    s.len = n;

    if (ngx_strlchr(p, p + n, '.') == NULL) {
        return NGX_OK;
    }

    kept->data = ngx_pstrdup(r->pool, &s);
    if (kept->data == NULL) {
        return NGX_ERROR;
    }

    kept->len = n;
    ngx_memset(p, 'x', n);

    return NGX_OK;
}
