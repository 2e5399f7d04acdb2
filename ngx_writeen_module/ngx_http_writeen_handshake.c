/*
 * ngx_http_writeen_handshake.c: from HTTP to WebSocket (RFC 6455, section 4).
 *
 * Everything is checked before the upgrade; refusals are ordinary HTTP answers
 * with the REST error envelope.  The 101 goes out through the session's own
 * queue, not through the filters: none of them has anything to add, and the
 * request is freed right after, with its pool and header buffers, as
 * nginx's HTTP/2 does with an idle connection.
 */

#include "ngx_http_writeen.h"
#include <ngx_sha1.h>


#define NGX_HTTP_WRITEEN_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define NGX_HTTP_WRITEEN_KEY_LEN     24      /* base64 of 16 bytes */
#define NGX_HTTP_WRITEEN_ACCEPT_LEN  28      /* base64 of 20 bytes */

/* Seconds; one that is lost has mostly been missed by then. */
#define NGX_HTTP_WRITEEN_MANY_RETRY  30

/*
 * Handshakes at once, then a pause: few while people talk, twice as many each
 * time when nobody has for a while; and more the more are waiting, so that the
 * last of them is up after seconds, before he gives up and comes again.
 */
#define NGX_HTTP_WRITEEN_SHAKE_MIN   2
#define NGX_HTTP_WRITEEN_SHAKE_MAX   32
#define NGX_HTTP_WRITEEN_SHAKE_QUIET 250     /* ms */
#define NGX_HTTP_WRITEEN_SHAKE_WAIT  2500    /* waiting, for one more at once */


/* One that is put off. */
typedef struct {
    ngx_queue_t           queue;             /* in worker->waiting */
    ngx_http_request_t   *request;
} ngx_http_writeen_waiting_t;


typedef struct {
    ngx_str_t    key;
    ngx_str_t    version;
    ngx_uint_t   keys;          /* how often the header came */
    ngx_uint_t   upgrade;
    ngx_uint_t   connection;
    wrt_deflate_agreed_t  deflate;
} ngx_http_writeen_handshake_t;


static ngx_int_t ngx_http_writeen_handshake(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_handshake_wait(ngx_http_request_t *r);
static void ngx_http_writeen_handshake_gone(void *data);
static void ngx_http_writeen_handshake_headers(ngx_http_request_t *r,
    ngx_http_writeen_handshake_t *hs);
static ngx_uint_t ngx_http_writeen_handshake_token(ngx_str_t *list,
    const char *token, size_t n);
static ngx_int_t ngx_http_writeen_handshake_upgrade(ngx_http_request_t *r,
    ngx_http_writeen_session_t *s, ngx_http_writeen_handshake_t *hs,
    ngx_uint_t protocol);
static void ngx_http_writeen_handshake_takeover(ngx_event_t *ev);
static void ngx_http_writeen_handshake_cleanup(void *data);
static void ngx_http_writeen_handshake_release(ngx_connection_t *c,
    ngx_http_connection_t *hc);


/* What is wrong with the handshake itself (sections 4.1, 4.2.1). */
typedef struct {
    ngx_uint_t   status;
    const char  *code;
    const char  *message;
    const char  *hint[2];       /* a header that says what would do (RFC 9110,
                                   15.5.6, 15.5.22; RFC 6455, 4.4), or NULL */
} ngx_http_writeen_handshake_error_t;


/* NULL: nothing is. */

static const ngx_http_writeen_handshake_error_t *
ngx_http_writeen_handshake_check(ngx_http_request_t *r,
    ngx_http_writeen_handshake_t *hs)
{
    u_char     buf[NGX_HTTP_WRITEEN_KEY_LEN];
    ngx_str_t  nonce;

    static const ngx_http_writeen_handshake_error_t
        method = { NGX_HTTP_NOT_ALLOWED, "method_not_allowed",
                   "A WebSocket begins with GET.", { "Allow", "GET" } },
        upgrade = { 426, "invalid_request",
                    "This is a WebSocket: HTTP/1.1 with Upgrade: websocket.",
                    { "Upgrade", "websocket" } },
        version = { 426, "invalid_request",
                    "Sec-WebSocket-Version must be 13.",
                    { "Sec-WebSocket-Version", "13" } },
        body = { NGX_HTTP_BAD_REQUEST, "invalid_request",
                 "A WebSocket handshake has no body.", { NULL, NULL } },
        key = { NGX_HTTP_BAD_REQUEST, "invalid_request",
                "Sec-WebSocket-Key must be 16 bytes in base64.",
                { NULL, NULL } };

    if (!(r->method & NGX_HTTP_GET)) {
        return &method;
    }

    /* HTTP/2 has no Upgrade, and nginx no RFC 8441 */

    if (r->http_version != NGX_HTTP_VERSION_11 || !hs->upgrade
        || !hs->connection)
    {
        return &upgrade;
    }

    if (hs->version.len != 2 || ngx_memcmp(hs->version.data, "13", 2) != 0) {
        return &version;
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        return &body;
    }

    nonce.data = buf;

    if (hs->keys != 1 || hs->key.len != NGX_HTTP_WRITEEN_KEY_LEN
        || ngx_decode_base64(&nonce, &hs->key) != NGX_OK || nonce.len != 16)
    {
        return &key;
    }

    return NULL;
}


static ngx_int_t
ngx_http_writeen_handshake_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *message, ngx_uint_t retry)
{
    ngx_http_writeen_count(ngx_http_writeen_worker, refused_total);

    return ngx_http_writeen_api_error(r, status, code, NULL, message, retry);
}


/* Has he as many connections as he may? */

static ngx_uint_t
ngx_http_writeen_handshake_many(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_loc_conf_t *wlcf, ngx_http_writeen_identity_t *id)
{
    ngx_http_writeen_user_t  *u;

    u = ngx_http_writeen_user_find(wk, (char *) id->uid.data, id->uid.len);

    return u != NULL && u->nsessions >= (ngx_uint_t) wlcf->user_connections;
}


/* A signature to check, a list of rooms to ask for: when thousands come back at
 * once, some of them wait. */

ngx_int_t
ngx_http_writeen_websocket_handler(ngx_http_request_t *r)
{
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;

    if (r != r->main || wk == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!wk->shaker.timer_set) {
        ngx_add_timer(&wk->shaker, NGX_HTTP_WRITEEN_PAUSE);
    }

    if (wk->shaken >= ngx_max(wk->shake_max, NGX_HTTP_WRITEEN_SHAKE_MIN)) {
        return ngx_http_writeen_handshake_wait(r);
    }

    wk->shaken++;

    return ngx_http_writeen_handshake(r);
}


static ngx_int_t
ngx_http_writeen_handshake_wait(ngx_http_request_t *r)
{
    ngx_http_cleanup_t          *cln;
    ngx_http_writeen_waiting_t  *w;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_writeen_waiting_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_writeen_handshake_gone;

    w = cln->data;
    w->request = r;
    ngx_queue_insert_tail(&ngx_http_writeen_worker->waiting, &w->queue);
    ngx_http_writeen_worker->nwaiting++;

    r->read_event_handler = ngx_http_test_reading;
    r->main->count++;

    return NGX_DONE;
}


/* Its time has come, or the request ends. */

static void
ngx_http_writeen_handshake_gone(void *data)
{
    ngx_http_writeen_waiting_t  *w = data;

    if (!ngx_queue_empty(&w->queue)) {
        ngx_queue_remove(&w->queue);
        ngx_queue_init(&w->queue);
        ngx_http_writeen_worker->nwaiting--;
    }
}


/* A pause later, and as long as some wait. */

void
ngx_http_writeen_shaker_handler(ngx_event_t *ev)
{
    ngx_uint_t                   max;
    ngx_queue_t                 *q;
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_writeen_worker_t   *wk;
    ngx_http_writeen_waiting_t  *w;

    wk = ev->data;

    max = NGX_HTTP_WRITEEN_SHAKE_MIN;

    if (ngx_current_msec - wk->talked > NGX_HTTP_WRITEEN_SHAKE_QUIET) {
        max = ngx_min(ngx_max(max, 2 * wk->shaken),
                      NGX_HTTP_WRITEEN_SHAKE_MAX);
    }

    wk->shake_max = max + wk->nwaiting / NGX_HTTP_WRITEEN_SHAKE_WAIT;

    if (!ngx_queue_empty(&wk->waiting)) {
        ngx_add_timer(ev, NGX_HTTP_WRITEEN_PAUSE);
    }

    for (wk->shaken = 0; wk->shaken < wk->shake_max; wk->shaken++) {

        if (ngx_queue_empty(&wk->waiting)) {
            break;
        }

        q = ngx_queue_head(&wk->waiting);
        w = ngx_queue_data(q, ngx_http_writeen_waiting_t, queue);
        ngx_http_writeen_handshake_gone(w);

        r = w->request;
        c = r->connection;

        ngx_http_set_log_request(c->log, r);
        ngx_http_finalize_request(r, ngx_http_writeen_handshake(r));
        ngx_http_run_posted_requests(c);
    }
}


static ngx_int_t
ngx_http_writeen_handshake(ngx_http_request_t *r)
{
    ngx_str_t                      token, resume;
    ngx_int_t                      rc;
    ngx_uint_t                     protocol;
    const char                    *why;
    ngx_http_writeen_worker_t     *wk;
    ngx_http_writeen_session_t    *s;
    ngx_http_writeen_identity_t    id;
    ngx_http_writeen_handshake_t   hs;
    ngx_http_writeen_loc_conf_t   *wlcf;
    const ngx_http_writeen_handshake_error_t  *error;

    wk = ngx_http_writeen_worker;

    ngx_http_writeen_handshake_headers(r, &hs);
    error = ngx_http_writeen_handshake_check(r, &hs);

    if (error != NULL) {
        if (error->hint[0] != NULL
            && ngx_http_writeen_header(r, error->hint[0], error->hint[1])
               != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_writeen_handshake_refuse(r, error->status,
                                                 error->code, error->message,
                                                 0);
    }

    if (!ngx_http_writeen_origin_allowed(r)) {
        return ngx_http_writeen_handshake_refuse(r, NGX_HTTP_FORBIDDEN,
                   "forbidden", "This origin is not allowed.", 0);
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);
    why = NULL;

    rc = ngx_http_writeen_auth_token(r, 1, &token, &protocol);

    if (rc == NGX_OK) {
        rc = ngx_http_writeen_auth_verify(wlcf, &token, &id, r->pool, &why);
    }

    if (rc != NGX_OK) {
        ngx_http_writeen_count(wk, refused_total);

        return ngx_http_writeen_unauthorized(r, why);
    }

    if (!wk->health.redis || ngx_exiting || ngx_terminate) {
        return ngx_http_writeen_handshake_refuse(r,
                   NGX_HTTP_SERVICE_UNAVAILABLE, "unavailable",
                   "Chat is not available right now, try again.", 1);
    }

    if (ngx_http_writeen_handshake_many(wk, wlcf, &id)) {
        return ngx_http_writeen_handshake_refuse(r,
                   NGX_HTTP_TOO_MANY_REQUESTS, "rate_limited",
                   "This user has too many connections.",
                   NGX_HTTP_WRITEEN_MANY_RETRY);
    }

    s = ngx_http_writeen_session_create(wk, r->connection, wlcf, &id);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_arg(r, (u_char *) "resume", 6, &resume) == NGX_OK
        && resume.len == 1 && resume.data[0] == '1')
    {
        s->resuming = 1;
    }

    rc = ngx_http_writeen_presence_device(r, s, &why);

    if (rc == NGX_DECLINED) {
        ngx_http_writeen_session_abort(s);
        ngx_http_writeen_count(wk, refused_total);
        return ngx_http_writeen_api_error(r, NGX_HTTP_BAD_REQUEST,
                   "invalid_request", why,
                   "This must be at most 32 printable ASCII characters.", 0);
    }

    if (rc != NGX_OK
        || ngx_http_writeen_handshake_upgrade(r, s, &hs, protocol) != NGX_OK)
    {
        ngx_http_writeen_session_abort(s);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* keep the request until the phases above us have let go of it */

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_writeen_handshake_headers(ngx_http_request_t *r,
    ngx_http_writeen_handshake_t *hs)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(hs, sizeof(ngx_http_writeen_handshake_t));

    part = &r->headers_in.headers.part;
    h = part->elts;

    /* names of headers are not ended by NUL, but their lengths are known */

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        switch (h[i].key.len) {

        case sizeof("Upgrade") - 1:
            if (ngx_memcmp(h[i].lowcase_key, "upgrade", 7) == 0) {
                hs->upgrade |= ngx_http_writeen_handshake_token(&h[i].value,
                                                                "websocket",
                                                                9);
            }
            break;

        case sizeof("Connection") - 1:
            if (ngx_memcmp(h[i].lowcase_key, "connection", 10) == 0) {
                hs->connection |= ngx_http_writeen_handshake_token(
                                      &h[i].value, "upgrade", 7);
            }
            break;

        case sizeof("Sec-WebSocket-Key") - 1:
            if (ngx_memcmp(h[i].lowcase_key, "sec-websocket-key", 17) == 0) {
                hs->key = h[i].value;
                hs->keys++;
            }
            break;

        case sizeof("Sec-WebSocket-Extensions") - 1:
            if (hs->deflate.window == 0
                && ngx_memcmp(h[i].lowcase_key, "sec-websocket-extensions",
                              24) == 0)
            {
                (void) wrt_deflate_offer((char *) h[i].value.data,
                                         h[i].value.len, &hs->deflate);
            }
            break;

        case sizeof("Sec-WebSocket-Version") - 1:
            if (ngx_memcmp(h[i].lowcase_key, "sec-websocket-version", 21)
                == 0)
            {
                hs->version = h[i].value;
            }
            break;
        }
    }
}


/* Is the token in the comma-separated list, in any case? */

static ngx_uint_t
ngx_http_writeen_handshake_token(ngx_str_t *list, const char *token, size_t n)
{
    u_char  *p, *last, *start, *end;

    p = list->data;
    last = p + list->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',') {
            p++;
        }

        end = p;

        while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        if ((size_t) (end - start) == n
            && ngx_strncasecmp(start, (u_char *) token, n) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_writeen_handshake_upgrade(ngx_http_request_t *r,
    ngx_http_writeen_session_t *s, ngx_http_writeen_handshake_t *hs,
    ngx_uint_t protocol)
{
    char                     extension[WRT_DEFLATE_ANSWER_MAX];
    u_char                  *p, buf[512], sha[20];
    u_char                   accept[NGX_HTTP_WRITEEN_ACCEPT_LEN];
    ngx_str_t                src, dst;
    ngx_sha1_t               ctx;
    ngx_connection_t        *c;
    ngx_http_cleanup_t      *cln;
    ngx_http_writeen_msg_t  *msg;

    c = r->connection;

    ngx_sha1_init(&ctx);
    ngx_sha1_update(&ctx, hs->key.data, hs->key.len);
    ngx_sha1_update(&ctx, NGX_HTTP_WRITEEN_GUID,
                    sizeof(NGX_HTTP_WRITEEN_GUID) - 1);
    ngx_sha1_final(sha, &ctx);

    src.data = sha;
    src.len = sizeof(sha);
    dst.data = accept;
    ngx_encode_base64(&dst, &src);

    p = ngx_sprintf(buf, "HTTP/1.1 101 Switching Protocols" CRLF
                    "Upgrade: websocket" CRLF
                    "Connection: Upgrade" CRLF
                    "Sec-WebSocket-Accept: %V" CRLF "%s",
                    &dst, protocol ? "Sec-WebSocket-Protocol: writeen.v1" CRLF
                                   : "");

    if (s->conf->deflate && hs->deflate.window != 0) {
        s->window = hs->deflate.window;
        s->takeover = hs->deflate.takeover;

        (void) wrt_deflate_answer(&hs->deflate, extension);
        p = ngx_sprintf(p, "Sec-WebSocket-Extensions: %s" CRLF, extension);
    }

    p = ngx_cpymem(p, CRLF, 2);

    msg = ngx_http_writeen_msg_raw(buf, p - buf);
    if (msg == NULL) {
        return NGX_ERROR;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        ngx_http_writeen_msg_unref(msg);
        return NGX_ERROR;
    }

    /* frames are small and somebody waits for each of them */

    if (ngx_tcp_nodelay(c) != NGX_OK) {
        ngx_http_writeen_msg_unref(msg);
        return NGX_ERROR;
    }

    if (ngx_http_writeen_output_append(s, msg) != NGX_OK) {
        ngx_http_writeen_msg_unref(msg);
        return NGX_ERROR;
    }

    ngx_http_writeen_msg_unref(msg);

    cln->handler = ngx_http_writeen_handshake_cleanup;
    cln->data = s;

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    r->header_sent = 1;
    r->keepalive = 0;
    r->lingering_close = 0;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    s->request = r;
    s->timer.handler = ngx_http_writeen_handshake_takeover;
    s->timer.data = s;
    s->timer.log = c->log;

    ngx_post_event(&s->timer, &ngx_posted_events);

    return NGX_OK;
}


/* The request is ours alone now: end it, keep the connection. */

static void
ngx_http_writeen_handshake_takeover(ngx_event_t *ev)
{
    size_t                       n;
    u_char                      *early;
    ngx_buf_t                   *b;
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_connection_t       *hc;
    ngx_http_writeen_session_t  *s;

    s = ev->data;
    r = s->request;

    c = r->connection;
    hc = r->http_connection;

    /* frames pipelined with the handshake were read with its headers */

    b = r->header_in;
    n = b->last - b->pos;
    early = NULL;

    if (n != 0) {
        early = ngx_alloc(n, c->log);
        if (early == NULL) {
            /* the cleanup handler ends the session */
            ngx_http_finalize_request(r, NGX_ERROR);
            return;
        }

        ngx_memcpy(early, b->pos, n);
    }

    s->request = NULL;
    ngx_http_free_request(r, 0);
    c->destroyed = 0;

    ngx_http_writeen_handshake_release(c, hc);
    ngx_http_writeen_session_start(s, early, n);
}


/* The request ends; when that is before the takeover, so does the session. */

static void
ngx_http_writeen_handshake_cleanup(void *data)
{
    ngx_http_writeen_session_t  *s = data;

    if (s->request != NULL) {
        ngx_http_writeen_session_abort(s);
    }
}


/* Header buffers are of no use any more (as ngx_http_set_keepalive does). */

static void
ngx_http_writeen_handshake_release(ngx_connection_t *c,
    ngx_http_connection_t *hc)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *next;

    b = c->buffer;

    if (b != NULL && ngx_pfree(c->pool, b->start) == NGX_OK) {
        b->pos = NULL;
        b->last = NULL;
    }

    for (cl = hc->free; cl != NULL; cl = next) {
        next = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
        ngx_free_chain(c->pool, cl);
    }

    for (cl = hc->busy; cl != NULL; cl = next) {
        next = cl->next;
        (void) ngx_pfree(c->pool, cl->buf->start);
        ngx_free_chain(c->pool, cl);
    }

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;

#if (NGX_HTTP_SSL)
    if (c->ssl) {
        /* frames are written one by one, without nginx's own buffer */
        ngx_ssl_free_buffer(c);
        c->ssl->buffer = 0;
    }
#endif
}
