/*
 * ngx_http_writeen_api.c: the REST front door.
 *
 * nginx decides what it can by itself: origin, token, method, sizes and
 * content type.  The rest is the worker pool's, which gets the request as a
 * call (rpc.c) and gives status and JSON back.  One route is answered here:
 * POST /api/conversations/<id>/messages goes the way of the socket's
 * send_message (send.c), so that both doors have one order and one truth.
 * POST .../upload goes its own way from the token on (upload.c).
 *
 *     handler -> body -+-> call -> answer
 *                      +-> named -> send -> sent -+-> answer (201)
 *                                                 +-> call MESSAGE (200)
 *
 * The bytes of files have a door of their own (file.c), which is asked first.
 *
 * What is under way for a request is in its ctx->api and ends with it: a
 * cleanup cancels question, call and send, so that none can call back for a
 * request that is gone.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_PATH_MAX   2048


typedef struct {
    ngx_http_request_t           *request;
    ngx_http_writeen_rpc_t       *rpc;      /* under way, or NULL */
    ngx_http_writeen_profile_ask_t *ask;    /* under way, or NULL */
    ngx_http_writeen_send_t      *send;     /* under way, or NULL */
    ngx_http_writeen_identity_t   identity;
    ngx_str_t                     body;
    ngx_str_t                     conversation; /* of a send */
} ngx_http_writeen_api_t;


static ngx_http_writeen_api_t *ngx_http_writeen_api_create(
    ngx_http_request_t *r);
static void ngx_http_writeen_api_cleanup(void *data);
static ngx_int_t ngx_http_writeen_api_refuse(ngx_http_request_t *r);
static void ngx_http_writeen_api_body(ngx_http_request_t *r);
static ngx_uint_t ngx_http_writeen_api_is_send(ngx_http_request_t *r,
    ngx_str_t *conversation);
static ngx_int_t ngx_http_writeen_api_call(ngx_http_writeen_api_t *api,
    ngx_str_t *method, ngx_str_t *path, ngx_str_t *query, ngx_str_t *body);
static void ngx_http_writeen_api_called(void *data,
    ngx_http_writeen_reply_t *reply);
static ngx_int_t ngx_http_writeen_api_name(ngx_http_writeen_api_t *api);
static void ngx_http_writeen_api_named(void *data, ngx_str_t *name,
    ngx_str_t *avatar);
static ngx_int_t ngx_http_writeen_api_send(ngx_http_writeen_api_t *api);
static ngx_int_t ngx_http_writeen_api_extra(ngx_http_request_t *r,
    ngx_str_t *extra);
static void ngx_http_writeen_api_sent(void *data,
    ngx_http_writeen_sent_t *sent);
static ngx_int_t ngx_http_writeen_api_sent_rc(ngx_http_writeen_api_t *api,
    ngx_http_writeen_sent_t *sent);
static ngx_int_t ngx_http_writeen_api_created(ngx_http_request_t *r,
    ngx_str_t *event);
static ngx_int_t ngx_http_writeen_api_again(ngx_http_writeen_api_t *api,
    ngx_http_writeen_sent_t *sent);


/*
 * writeen_api on;
 * location; default: off
 *
 * Answers the REST routes below /api/.  Every answer is the envelope
 * {"success",...} in JSON and is not to be cached.  Without a valid token: 401.
 * A body has to be application/json and at most 128 KB; more is refused
 * before it is read when Content-Length tells.  Uploads have their own rules.
 * Without an answer of the worker pool within writeen_api_timeout: 503 with
 * Retry-After.
 */
ngx_int_t
ngx_http_writeen_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_writeen_api_t  *api;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (ngx_http_writeen_worker == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    rc = ngx_http_writeen_file_handler(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    ngx_http_writeen_count(ngx_http_writeen_worker, api_requests_total);

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_writeen_preflight(r);
    }

    api = ngx_http_writeen_api_create(r);
    if (api == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_writeen_api_auth(r, &api->identity);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_writeen_rate_request(r, &api->identity);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_writeen_upload_is(r, &api->conversation)) {
        return ngx_http_writeen_upload(r, &api->identity, &api->conversation);
    }

    rc = ngx_http_writeen_api_refuse(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {

        /* a body would have no meaning */

        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        r->main->count++;
        ngx_http_writeen_api_body(r);

        return NGX_DONE;
    }

    r->request_body_in_single_buf = 1;

    rc = (ngx_http_writeen_conf_chunked(r) == NGX_OK)
             ? ngx_http_read_client_request_body(r, ngx_http_writeen_api_body)
             : NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static ngx_http_writeen_api_t *
ngx_http_writeen_api_create(ngx_http_request_t *r)
{
    ngx_http_cleanup_t      *cln;
    ngx_http_writeen_ctx_t  *ctx;
    ngx_http_writeen_api_t  *api;

    ctx = ngx_http_writeen_get_ctx(r, 1);
    if (ctx == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_writeen_api_t));
    if (cln == NULL) {
        return NULL;
    }

    api = cln->data;
    ngx_memzero(api, sizeof(ngx_http_writeen_api_t));
    api->request = r;

    cln->handler = ngx_http_writeen_api_cleanup;
    ctx->api = api;

    return api;
}


static void
ngx_http_writeen_api_cleanup(void *data)
{
    ngx_http_writeen_api_t *api = data;

    ngx_http_writeen_rpc_t          *rpc;
    ngx_http_writeen_send_t         *send;
    ngx_http_writeen_profile_ask_t  *ask;

    rpc = api->rpc;
    ask = api->ask;
    send = api->send;

    api->rpc = NULL;
    api->ask = NULL;
    api->send = NULL;

    if (rpc != NULL) {
        ngx_http_writeen_rpc_cancel(rpc);
    }

    if (ask != NULL) {
        ngx_http_writeen_profile_cancel(ask);
    }

    if (send != NULL) {
        ngx_http_writeen_send_cancel(send);
    }
}


ngx_int_t
ngx_http_writeen_api_auth(ngx_http_request_t *r,
    ngx_http_writeen_identity_t *id)
{
    ngx_str_t                     token;
    ngx_uint_t                    protocol;
    const char                   *why;
    ngx_http_writeen_loc_conf_t  *wlcf;

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    if (ngx_http_writeen_auth_token(r, 0, &token, &protocol) != NGX_OK) {
        why = NULL;

    } else if (ngx_http_writeen_auth_verify(wlcf, &token, id, r->pool, &why)
               == NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_writeen_unauthorized(r, why);
}


/* What needs no look at the body.  NGX_DECLINED: go on. */

static ngx_int_t
ngx_http_writeen_api_refuse(ngx_http_request_t *r)
{
    if (!(r->method & NGX_HTTP_WRITEEN_METHOD_BITS)) {
        return ngx_http_writeen_not_allowed(r, NGX_HTTP_WRITEEN_METHOD_BITS,
                                            "this method is not supported");
    }

    if (r->uri.len > NGX_HTTP_WRITEEN_PATH_MAX
        || !wrt_utf8_valid(r->uri.data, r->uri.len))
    {
        return ngx_http_writeen_api_error(r, NGX_HTTP_BAD_REQUEST,
                                          "invalid_request", NULL,
                                          "the path is too long or not UTF-8",
                                          0);
    }

    if (r->args.len > WRT_QUERY_MAX) {
        return ngx_http_writeen_api_error(r, NGX_HTTP_BAD_REQUEST,
                                          "invalid_request", NULL,
                                          "the query string is too long", 0);
    }

    if (r->headers_in.content_length_n > WRT_BODY_MAX) {
        return ngx_http_writeen_api_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                          "too_large", NULL,
                                          "the body is too large", 0);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && (r->headers_in.content_length_n > 0 || r->headers_in.chunked)
        && !ngx_http_writeen_body_json(r))
    {
        return ngx_http_writeen_api_error(r,
                                          NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                          "unsupported_type", NULL,
                                          "the body must be application/json",
                                          0);
    }

    return NGX_DECLINED;
}


/* The body is here; from now on the answer comes in an event of its own or at
 * once, and the request is finalized here. */

static void
ngx_http_writeen_api_body(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_writeen_ctx_t  *ctx;
    ngx_http_writeen_api_t  *api;

    ctx = ngx_http_writeen_get_ctx(r, 0);
    api = ctx->api;

    ngx_http_writeen_conf_back(r);

    rc = ngx_http_writeen_body(r, &api->body);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_writeen_api_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                        "too_large", NULL,
                                        "the body is too large", 0);

    } else if (rc == NGX_OK) {
        rc = ngx_http_writeen_api_is_send(r, &api->conversation)
                 ? ngx_http_writeen_api_name(api)
                 : ngx_http_writeen_api_call(api, &r->method_name, &r->uri,
                                             &r->args, &api->body);
    }

    if (rc != NGX_AGAIN
        || (api->rpc == NULL && api->ask == NULL && api->send == NULL))
    {
        ngx_http_finalize_request(r, rc);
        return;
    }

    /* waiting: notice when the client goes */

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }
}


/* POST /api/conversations/<id>/messages; what is no id is for the pool */

static ngx_uint_t
ngx_http_writeen_api_is_send(ngx_http_request_t *r, ngx_str_t *conversation)
{
    return r->method == NGX_HTTP_POST
           && ngx_http_writeen_api_tail(r, "/messages", conversation)
           && wrt_id_valid((char *) conversation->data, conversation->len);
}


ngx_uint_t
ngx_http_writeen_api_tail(ngx_http_request_t *r, const char *tail,
    ngx_str_t *conversation)
{
    size_t   hn, tn;
    u_char  *p, *last;

    static u_char  head[] = "/api/conversations/";

    hn = sizeof(head) - 1;
    tn = ngx_strlen(tail);

    if (r->uri.len <= hn + tn
        || ngx_memcmp(r->uri.data, head, hn) != 0
        || ngx_memcmp(r->uri.data + r->uri.len - tn, tail, tn) != 0)
    {
        return 0;
    }

    p = r->uri.data + hn;
    last = r->uri.data + r->uri.len - tn;

    if (ngx_strlchr(p, last, '/') != NULL) {
        return 0;
    }

    conversation->data = p;
    conversation->len = last - p;

    return 1;
}


/* NGX_AGAIN with api->rpc (or ask or send, below) set: wait for it. */

static ngx_int_t
ngx_http_writeen_api_call(ngx_http_writeen_api_t *api, ngx_str_t *method,
    ngx_str_t *path, ngx_str_t *query, ngx_str_t *body)
{
    ngx_http_request_t           *r;
    ngx_http_writeen_call_t       call;
    ngx_http_writeen_loc_conf_t  *wlcf;

    r = api->request;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    call.method = *method;
    call.path = *path;
    call.query = *query;
    call.body = *body;
    call.identity = &api->identity;
    call.address = r->connection->addr_text;
    call.timeout = wlcf->api_timeout;

    api->rpc = ngx_http_writeen_rpc_call(ngx_http_writeen_worker, &call,
                                         ngx_http_writeen_api_called, api);

    if (api->rpc == NULL) {
        return ngx_http_writeen_unavailable(r);
    }

    return NGX_AGAIN;
}


static void
ngx_http_writeen_api_called(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_api_t *api = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = api->request;
    api->rpc = NULL;

    c = ngx_http_writeen_api_resume(r);

    rc = ngx_http_writeen_rpc_answered(reply->status)
             ? ngx_http_writeen_answer_reply(r, reply)
             : ngx_http_writeen_unavailable(r);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


ngx_connection_t *
ngx_http_writeen_api_resume(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (!r->discard_body) {
        r->read_event_handler = ngx_http_block_reading;
    }

    return c;
}


/* Who sends is called what a service has called him, if one has. */

static ngx_int_t
ngx_http_writeen_api_name(ngx_http_writeen_api_t *api)
{
    ngx_int_t                     rc;
    ngx_str_t                     name, avatar;
    ngx_http_writeen_identity_t  *id;

    /* he may never connect, nor ask for anything: history is to know him */

    id = &api->identity;
    ngx_http_writeen_profile_put(&id->uid, &id->name, &id->avatar, &id->role);

    rc = ngx_http_writeen_profile_ask(ngx_http_writeen_worker,
                                      &id->uid, &name, &avatar,
                                      ngx_http_writeen_api_named, api,
                                      &api->ask);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_OK
        && ngx_http_writeen_profile_copy(api->request->pool, id, &name,
                                         &avatar)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_writeen_api_send(api);
}


static void
ngx_http_writeen_api_named(void *data, ngx_str_t *name, ngx_str_t *avatar)
{
    ngx_http_writeen_api_t *api = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = api->request;
    api->ask = NULL;

    if (ngx_http_writeen_worker->rpc == NULL) {

        /* the process ends, no request is touched any more */

        return;
    }

    c = ngx_http_writeen_api_resume(r);

    rc = (name == NULL
          || ngx_http_writeen_profile_copy(r->pool, &api->identity, name,
                                           avatar)
             == NGX_OK)
             ? ngx_http_writeen_api_send(api)
             : NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (api->send == NULL) {
        ngx_http_finalize_request(r, rc);

    } else if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_writeen_api_send(ngx_http_writeen_api_t *api)
{
    wrt_send_t                    m;
    ngx_str_t                     extra;
    ngx_uint_t                    status;
    wrt_slice_t                   conversation;
    wrt_refusal_t                 why;
    wrt_envelope_t                envelope;
    ngx_http_request_t           *r;
    ngx_http_writeen_loc_conf_t  *wlcf;

    r = api->request;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    ngx_memzero(&why, sizeof(wrt_refusal_t));

    if (wrt_envelope_parse_body(&envelope, (char *) api->body.data,
                                api->body.len, &why)
        != 0
        || wrt_send_parse(&m, &envelope, 0, wlcf->max_text, &why) != 0)
    {
        wrt_envelope_free(&envelope);

        if (ngx_strcmp(why.code, "unavailable") == 0) {
            return ngx_http_writeen_unavailable(r);
        }

        status = (ngx_strcmp(why.code, "too_large") == 0)
                     ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                     : NGX_HTTP_BAD_REQUEST;

        ngx_http_writeen_count(ngx_http_writeen_worker,
                               messages_refused_total);

        return ngx_http_writeen_api_error(r, status, why.code, why.field,
                                          why.message, 0);
    }

    if (ngx_http_writeen_api_extra(r, &extra) != NGX_OK) {
        wrt_envelope_free(&envelope);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    conversation.p = (char *) api->conversation.data;
    conversation.n = api->conversation.len;

    api->send = ngx_http_writeen_send(ngx_http_writeen_worker, wlcf, &m,
                                      conversation, &api->identity, &extra,
                                      ngx_http_writeen_api_sent, api);

    wrt_envelope_free(&envelope);

    if (api->send == NULL) {
        return ngx_http_writeen_unavailable(r);
    }

    return NGX_AGAIN;
}


/* {"metadata":{"deviceInfo","ipAddress"}} */

static ngx_int_t
ngx_http_writeen_api_extra(ngx_http_request_t *r, ngx_str_t *extra)
{
    ngx_str_t  device;

    if (ngx_http_writeen_body_device(r, &device) != NGX_OK) {
        return NGX_ERROR;
    }

    extra->data = ngx_pnalloc(r->pool, sizeof("{\"metadata\":}")
                                       + device.len);
    if (extra->data == NULL) {
        return NGX_ERROR;
    }

    extra->len = ngx_sprintf(extra->data, "{\"metadata\":%V}", &device)
                 - extra->data;

    return NGX_OK;
}


static void
ngx_http_writeen_api_sent(void *data, ngx_http_writeen_sent_t *sent)
{
    ngx_http_writeen_api_t *api = data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = api->request;
    api->send = NULL;

    if (ngx_http_writeen_worker->rpc == NULL) {

        /* the process ends, no request is touched any more */

        return;
    }

    c = ngx_http_writeen_api_resume(r);

    rc = ngx_http_writeen_api_sent_rc(api, sent);

    if (api->rpc == NULL) {
        ngx_http_finalize_request(r, rc);

    } else if (!r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_writeen_api_sent_rc(ngx_http_writeen_api_t *api,
    ngx_http_writeen_sent_t *sent)
{
    ngx_http_request_t  *r;

    r = api->request;

    switch (sent->rc) {

    case NGX_HTTP_WRITEEN_R_OK:
        return ngx_http_writeen_api_created(r, &sent->event);

    case NGX_HTTP_WRITEEN_R_DUP:
        return ngx_http_writeen_api_again(api, sent);

    case NGX_HTTP_WRITEEN_R_DENIED:
        return ngx_http_writeen_api_error(r, NGX_HTTP_NOT_FOUND, "not_found",
                                          NULL, "no such conversation", 0);

    case NGX_HTTP_WRITEEN_R_FORBIDDEN:
        return ngx_http_writeen_api_error(r, NGX_HTTP_FORBIDDEN, "forbidden",
                                          NULL, "you may not write in this "
                                          "conversation", 0);

    case NGX_HTTP_WRITEEN_R_ARCHIVED:
        return ngx_http_writeen_api_error(r, NGX_HTTP_CONFLICT,
                                          "conversation_archived", NULL,
                                          "the conversation is archived", 0);

    default:
        return ngx_http_writeen_unavailable(r);
    }
}


/*
 * 201 with the message as its readers get it.  The event is of our own making
 * (wrt_send_build): {"event":...,"data":{...,"message":{...}}}; quotes inside
 * strings are escaped, so the first `,"message":{` is the member, and the two
 * last braces close data and the event.
 */

static ngx_int_t
ngx_http_writeen_api_created(ngx_http_request_t *r, ngx_str_t *event)
{
    u_char     *p, *last;
    ngx_str_t   json;

    static u_char  member[] = ",\"message\":{";
    static char    format[] = "{\"success\":true,"
                              "\"message\":\"Message sent successfully\","
                              "\"data\":{\"message\":%*s}}";

    last = event->data + event->len - 2;

    p = (event->len < sizeof(member))
            ? NULL
            : ngx_strlcasestrn(event->data, last, member,
                               sizeof(member) - 1 - 1);

    if (p == NULL) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "writeen: a message was sent, but its event has no "
                      "message");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p += sizeof(member) - 2;

    json.data = ngx_pnalloc(r->pool, sizeof(format) + (last - p));
    if (json.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json.len = ngx_sprintf(json.data, format, (size_t) (last - p), p)
               - json.data;

    return ngx_http_writeen_answer(r, NGX_HTTP_CREATED, &json, 0);
}


/* A retry: the first message is what the answer shows, as it is now. */

static ngx_int_t
ngx_http_writeen_api_again(ngx_http_writeen_api_t *api,
    ngx_http_writeen_sent_t *sent)
{
    ngx_str_t  method, path, none;

    path.data = ngx_pnalloc(api->request->pool, api->conversation.len + 1
                                                + sent->message_id.len);
    if (path.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    path.len = ngx_sprintf(path.data, "%V/%V", &api->conversation,
                           &sent->message_id)
               - path.data;

    ngx_str_set(&method, WRT_RPC_MESSAGE);
    ngx_str_null(&none);

    return ngx_http_writeen_api_call(api, &method, &path, &none,
                                     &sent->client_id);
}
