/*
 * ngx_http_writeen_upload.c: POST /api/conversations/<id>/upload.
 *
 * The body is taken only from somebody who may upload it, and goes to a file
 * as it comes: nginx never holds more of it than one buffer.  What is in it is
 * for the files role to find out, to which the file is handed over by an entry
 * in its stream.
 *
 *     upload -> room? -> UPLOAD -> body -> room? -> XADD -> wait -+-> answer
 *       |         |        |        |        |        |           |
 *       |         |        |        |        |        |           +-> shown
 *       +---------+--------+--------+--------+--------+-> refused     (202)
 *
 *     room?     XLEN: too many wait already (or come, at first), 503
 *     UPLOAD    the api role: may he, and how large; nothing is read yet, and
 *               who asked first (Expect: 100-continue) is not told to go on
 *     body      read unbuffered and written at once, counted, a bounded part
 *               in one turn
 *     XADD      the file has its name by then; from here on it is the files
 *               role's, also when the client goes
 *     shown     no answer within writeen_upload_wait: what Redis knows of the
 *               upload is the answer
 *
 * Until the XADD the file goes with the request, whatever ends that.  Whether
 * an entry was made that Redis did not confirm is not known: the file stays
 * then, and the files role removes it when nobody wants it.
 *
 * Steps return what finalizes the request, or NGX_DONE: something is under way
 * (a call, a question to Redis with a time limit, or the client's bytes) and
 * will go on with the next step.
 */

#include "ngx_http_writeen_upload.h"


static ngx_int_t ngx_http_writeen_upload_check(ngx_http_request_t *r,
    ngx_http_writeen_loc_conf_t *wlcf);
static ngx_uint_t ngx_http_writeen_upload_many(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_identity_t *identity);
static void ngx_http_writeen_upload_cleanup(void *data);
static ngx_int_t ngx_http_writeen_upload_ask(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_args_t *args, ngx_http_writeen_upload_pt next);
static void ngx_http_writeen_upload_told(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_upload_untold(ngx_event_t *ev);
static void ngx_http_writeen_upload_go(ngx_http_writeen_upload_t *up,
    ngx_int_t rc);
static ngx_int_t ngx_http_writeen_upload_room(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_upload_pt next);
static ngx_int_t ngx_http_writeen_upload_full(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res, int64_t others);
static ngx_int_t ngx_http_writeen_upload_may(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_upload_allowed(void *data,
    ngx_http_writeen_reply_t *reply);
static ngx_int_t ngx_http_writeen_upload_hand(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_upload_done(void *data,
    ngx_http_writeen_reply_t *reply);
static ngx_int_t ngx_http_writeen_upload_later(ngx_http_writeen_upload_t *up);
static ngx_int_t ngx_http_writeen_upload_begun(ngx_http_writeen_upload_t *up);
static void ngx_http_writeen_upload_note(const char *key, size_t n,
    const char *field, ngx_str_t *value);
static ngx_int_t ngx_http_writeen_upload_shown(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res);


/* -- the door -- */

ngx_uint_t
ngx_http_writeen_upload_is(ngx_http_request_t *r, ngx_str_t *conversation)
{
    return r->method == NGX_HTTP_POST
           && ngx_http_writeen_api_tail(r, "/upload", conversation);
}


/* What needs no look at the body: what it says of itself, then whether there is
 * room for it. */

ngx_int_t
ngx_http_writeen_upload(ngx_http_request_t *r,
    ngx_http_writeen_identity_t *identity, ngx_str_t *conversation)
{
    ngx_int_t                     rc;
    ngx_http_cleanup_t           *cln;
    ngx_http_writeen_ctx_t       *ctx;
    ngx_http_writeen_worker_t    *wk;
    ngx_http_writeen_upload_t    *up;
    ngx_http_writeen_loc_conf_t  *wlcf;

    wk = ngx_http_writeen_worker;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    ngx_http_writeen_count(wk, uploads_total);

    if (!wrt_id_valid((char *) conversation->data, conversation->len)) {
        return ngx_http_writeen_upload_refuse(r, NGX_HTTP_NOT_FOUND,
                                              "not_found", NULL,
                                              "no such conversation");
    }

    rc = ngx_http_writeen_upload_check(r, wlcf);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_writeen_upload_many(wk, identity)) {
        return ngx_http_writeen_upload_too_many(r);
    }

    ctx = ngx_http_writeen_get_ctx(r, 1);
    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_writeen_upload_t));

    if (ctx == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    up = cln->data;
    ngx_memzero(up, sizeof(ngx_http_writeen_upload_t));

    up->request = r;
    up->spool = wlcf->spool;
    up->identity = identity;
    up->conversation = *conversation;

    cln->handler = ngx_http_writeen_upload_cleanup;
    ctx->upload = up;
    ngx_queue_insert_tail(&wk->uploads, &up->queue);

    wrt_oid_next(&wk->oid, ngx_time(), up->id);

    rc = ngx_http_writeen_upload_room(up, ngx_http_writeen_upload_may);

    if (rc != NGX_DONE) {
        return rc;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->main->count++;

    return NGX_DONE;
}


/* NGX_DECLINED: go on. */

static ngx_int_t
ngx_http_writeen_upload_check(ngx_http_request_t *r,
    ngx_http_writeen_loc_conf_t *wlcf)
{
    ngx_int_t  rc;

    rc = ngx_http_writeen_body_form(r);

    if (rc == NGX_DECLINED) {
        return ngx_http_writeen_upload_refuse(r,
                                       NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                       "unsupported_type", NULL,
                                       "the body must be multipart/form-data");
    }

    if (rc == NGX_ERROR) {
        return ngx_http_writeen_upload_refuse(r, NGX_HTTP_BAD_REQUEST,
                                       "invalid_request", "Content-Type",
                                       "multipart/form-data needs a boundary "
                                       "of 1 to 70 characters, and at most "
                                       "1024 bytes in all");
    }

    if (r->headers_in.content_length_n == 0
        || (r->headers_in.content_length_n < 0 && !r->headers_in.chunked))
    {
        return ngx_http_writeen_upload_refuse(r, NGX_HTTP_BAD_REQUEST,
                                       "invalid_request", "file",
                                       "the body is missing");
    }

    if (r->headers_in.content_length_n > WRT_FILE_MAX + WRT_UPLOAD_OVERHEAD) {
        return ngx_http_writeen_upload_too_large(r);
    }

    if (wlcf->spool == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "writeen: no upload is possible without "
                      "\"writeen_spool\" in the configuration");
        return ngx_http_writeen_upload_unavailable(r);
    }

    return NGX_DECLINED;
}


/* Has he as many under way as one may?  What the spool takes would else be what
 * a single one does not send.  They are few enough to be looked through. */

static ngx_uint_t
ngx_http_writeen_upload_many(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_identity_t *identity)
{
    ngx_str_t                  *uid;
    ngx_uint_t                  n;
    ngx_queue_t                *q;
    ngx_http_writeen_upload_t  *up;

    if (ngx_http_writeen_rate_exempt(identity)) {
        return 0;
    }

    n = 0;

    for (q = ngx_queue_head(&wk->uploads);
         q != ngx_queue_sentinel(&wk->uploads);
         q = ngx_queue_next(q))
    {
        up = ngx_queue_data(q, ngx_http_writeen_upload_t, queue);
        uid = &up->identity->uid;

        if (uid->len == identity->uid.len
            && ngx_memcmp(uid->data, identity->uid.data, uid->len) == 0)
        {
            n++;
        }
    }

    return n >= WRT_UPLOADS_USER;
}


static void
ngx_http_writeen_upload_cleanup(void *data)
{
    ngx_http_writeen_upload_t *up = data;

    ngx_http_writeen_rpc_t       *rpc;
    ngx_http_writeen_worker_t    *wk;
    ngx_http_writeen_question_t  *q;

    wk = ngx_http_writeen_worker;
    ngx_queue_remove(&up->queue);

    rpc = up->rpc;
    up->rpc = NULL;

    if (rpc != NULL) {
        ngx_http_writeen_rpc_cancel(rpc);
    }

    q = up->question;
    up->question = NULL;

    if (q != NULL) {
        q->upload = NULL;

        if (q->timer.timer_set) {
            ngx_del_timer(&q->timer);
        }
    }

    if (up->reading) {
        ngx_http_writeen_count_n(wk, uploads_reading, -1);
        up->reading = 0;
    }

    if (up->waiting) {
        ngx_http_writeen_count_n(wk, uploads_waiting, -1);
        up->waiting = 0;
    }
}


/* -- from step to step -- */

/* The timer is not cancelable: a leaving process waits for the answer. */

static ngx_int_t
ngx_http_writeen_upload_ask(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_args_t *args, ngx_http_writeen_upload_pt next)
{
    ngx_http_writeen_worker_t    *wk;
    ngx_http_writeen_question_t  *q;
    ngx_http_writeen_loc_conf_t  *wlcf;

    wk = ngx_http_writeen_worker;
    wlcf = ngx_http_get_module_loc_conf(up->request, ngx_http_writeen_module);

    q = ngx_calloc(sizeof(ngx_http_writeen_question_t), wk->log);
    if (q == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_writeen_bus_call(wk, 0, args, ngx_http_writeen_upload_told, q)
        != NGX_OK)
    {
        ngx_free(q);
        return NGX_ERROR;
    }

    q->upload = up;
    q->next = next;
    q->timer.handler = ngx_http_writeen_upload_untold;
    q->timer.data = q;
    q->timer.log = wk->log;
    ngx_add_timer(&q->timer, wlcf->api_timeout);

    up->question = q;

    return NGX_OK;
}


static void
ngx_http_writeen_upload_told(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_question_t *q = data;

    ngx_http_writeen_upload_t   *up;
    ngx_http_writeen_upload_pt   next;

    up = q->upload;
    next = q->next;

    if (q->timer.timer_set) {
        ngx_del_timer(&q->timer);
    }

    ngx_free(q);

    if (up == NULL) {
        return;
    }

    up->question = NULL;

    if (ngx_http_writeen_worker->rpc == NULL) {

        /* the process ends, no request is touched any more */

        return;
    }

    ngx_http_set_log_request(up->request->connection->log, up->request);

    ngx_http_writeen_upload_go(up, next(up, (res->rc == NGX_HTTP_WRITEEN_R_OK)
                                                ? res : NULL));
}


static void
ngx_http_writeen_upload_untold(ngx_event_t *ev)
{
    ngx_http_writeen_question_t *q = ev->data;

    ngx_http_writeen_upload_t  *up;

    up = q->upload;
    up->question = NULL;
    q->upload = NULL;

    ngx_http_set_log_request(up->request->connection->log, up->request);

    ngx_http_writeen_upload_go(up, q->next(up, NULL));
}


static void
ngx_http_writeen_upload_go(ngx_http_writeen_upload_t *up, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = up->request->connection;

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(up->request, rc);
    }

    ngx_http_run_posted_requests(c);
}


/* -- is there room? -- */

static ngx_int_t
ngx_http_writeen_upload_room(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_upload_pt next)
{
    ngx_http_writeen_args_t  args;

    args.n = 0;
    args.nnum = 0;

    ngx_http_writeen_arg_lit(&args, "XLEN");
    ngx_http_writeen_arg(&args, up->spool->key, up->spool->key_len);

    return (ngx_http_writeen_upload_ask(up, &args, next) == NGX_OK)
               ? NGX_DONE
               : ngx_http_writeen_upload_unavailable(up->request);
}


/* NGX_DECLINED: there is.  others: how many count besides those that wait. */

static ngx_int_t
ngx_http_writeen_upload_full(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res, int64_t others)
{
    if (res == NULL) {
        return ngx_http_writeen_upload_unavailable(up->request);
    }

    if (ngx_http_writeen_result_num(res, 0) + others >= WRT_UPLOADS_MAX) {
        ngx_log_error(NGX_LOG_WARN, up->request->connection->log, 0,
                      "writeen: an upload is refused, %d are under way "
                      "already", WRT_UPLOADS_MAX);
        return ngx_http_writeen_upload_unavailable(up->request);
    }

    return NGX_DECLINED;
}


/* -- may he? -- */

static ngx_int_t
ngx_http_writeen_upload_may(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res)
{
    u_char                        length[NGX_OFF_T_LEN];
    int64_t                       reading;
    ngx_int_t                     rc;
    ngx_http_request_t           *r;
    ngx_http_writeen_call_t       call;
    ngx_http_writeen_loc_conf_t  *wlcf;

    /* those that come now take their part of the disk, too */

    reading = ngx_http_writeen_status_sum(ngx_http_writeen_worker,
                          offsetof(ngx_http_writeen_stats_t, uploads_reading),
                          1);

    rc = ngx_http_writeen_upload_full(up, res, reading);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    r = up->request;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_UPLOAD);
    ngx_str_set(&call.query, "-");
    call.path = up->conversation;
    call.identity = up->identity;
    call.timeout = wlcf->api_timeout;

    if (r->headers_in.content_length_n > 0) {
        call.query.data = length;
        call.query.len = ngx_sprintf(length, "%O",
                                     r->headers_in.content_length_n)
                         - length;
    }

    up->rpc = ngx_http_writeen_rpc_call(ngx_http_writeen_worker, &call,
                                        ngx_http_writeen_upload_allowed, up);

    return (up->rpc != NULL) ? NGX_DONE
                             : ngx_http_writeen_upload_unavailable(r);
}


static void
ngx_http_writeen_upload_allowed(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_upload_t *up = data;

    int64_t              max;
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = up->request;
    up->rpc = NULL;

    ngx_http_set_log_request(r->connection->log, r);

    if (!ngx_http_writeen_rpc_answered(reply->status)) {
        rc = ngx_http_writeen_upload_unavailable(r);

    } else if (reply->status != NGX_HTTP_OK) {
        rc = ngx_http_writeen_upload_pass(up, reply);

    } else {
        max = wrt_reply_number((char *) reply->body.data, reply->body.len,
                               "maxFileSize");
        rc = ngx_http_writeen_upload_begin(up, max);
    }

    ngx_http_writeen_upload_go(up, rc);
}


/* -- to the files role -- */

ngx_int_t
ngx_http_writeen_upload_whole(ngx_http_writeen_upload_t *up)
{
    return ngx_http_writeen_upload_room(up, ngx_http_writeen_upload_hand);
}


static ngx_int_t
ngx_http_writeen_upload_hand(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res)
{
    ngx_int_t                     rc;
    ngx_uint_t                    n;
    ngx_keyval_t                  fields[4];
    ngx_http_request_t           *r;
    ngx_http_writeen_call_t       call;
    ngx_http_writeen_worker_t    *wk;
    ngx_http_writeen_loc_conf_t  *wlcf;

    rc = ngx_http_writeen_upload_full(up, res, 0);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    r = up->request;
    wk = ngx_http_writeen_worker;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    n = sizeof(fields) / sizeof(fields[0]);

    ngx_str_set(&fields[0].key, WRT_F_UP_CONV);
    fields[0].value = up->conversation;

    ngx_str_set(&fields[1].key, WRT_F_UP_FILE);
    fields[1].value.data = (u_char *) up->id;
    fields[1].value.len = WRT_OID_LEN;

    ngx_str_set(&fields[2].key, WRT_F_UP_TYPE);
    fields[2].value = r->headers_in.content_type->value;

    ngx_str_set(&fields[3].key, WRT_F_EXTRA);

    if (ngx_http_writeen_body_device(r, &fields[3].value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    call.stream.data = (u_char *) up->spool->key;
    call.stream.len = up->spool->key_len;
    call.fields = fields;
    call.nfields = n;
    call.id = up->id;
    call.identity = up->identity;
    call.timeout = wlcf->upload_wait;

    if (ngx_http_writeen_spool_keep(&up->spooled, up->spool, up->id)
        != NGX_OK)
    {
        return ngx_http_writeen_upload_unavailable(r);
    }

    up->rpc = ngx_http_writeen_rpc_call(wk, &call,
                                        ngx_http_writeen_upload_done, up);

    if (up->rpc == NULL) {
        ngx_http_writeen_spool_remove(up->spool, up->id, r->connection->log);
        return ngx_http_writeen_upload_unavailable(r);
    }

    up->waiting = 1;
    ngx_http_writeen_count(wk, uploads_waiting);
    ngx_http_writeen_count(wk, uploads_spooled_total);
    ngx_http_writeen_count_n(wk, uploads_bytes_total, up->spooled.size);

    return NGX_DONE;
}


static void
ngx_http_writeen_upload_done(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_upload_t *up = data;

    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = up->request;
    up->rpc = NULL;

    up->waiting = 0;
    ngx_http_writeen_count_n(ngx_http_writeen_worker, uploads_waiting, -1);

    ngx_http_set_log_request(r->connection->log, r);

    switch (reply->status) {

    case NGX_HTTP_WRITEEN_RPC_LATE:
        rc = ngx_http_writeen_upload_later(up);
        break;

    case NGX_HTTP_WRITEEN_RPC_REFUSED:
        ngx_http_writeen_spool_remove(up->spool, up->id, r->connection->log);
        rc = ngx_http_writeen_upload_unavailable(r);
        break;

    case NGX_HTTP_WRITEEN_RPC_LOST:

        /* the entry may be there, then the file is wanted */

        rc = ngx_http_writeen_upload_unavailable(r);
        break;

    default:
        rc = ngx_http_writeen_upload_pass(up, reply);
        break;
    }

    ngx_http_writeen_upload_go(up, rc);
}


/* Not finished in time: say how far it is.  A files role that has not begun has
 * said nothing yet; who asks for the upload then shall find it all the same. */

static ngx_int_t
ngx_http_writeen_upload_later(ngx_http_writeen_upload_t *up)
{
    size_t                   n;
    char                     key[WRT_NAME_BUF];
    ngx_http_writeen_args_t  args;

    if (ngx_http_writeen_upload_begun(up) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = wrt_key_upload(key, up->id, WRT_OID_LEN);

    ngx_http_writeen_upload_note(key, n, WRT_F_UP_OWNER, &up->identity->uid);
    ngx_http_writeen_upload_note(key, n, WRT_F_UP_SHOWN, &up->begun);

    args.n = 0;
    args.nnum = 0;

    ngx_http_writeen_arg_lit(&args, "EXPIRE");
    ngx_http_writeen_arg(&args, key, n);
    ngx_http_writeen_arg_num(&args, WRT_UPLOAD_S);

    (void) ngx_http_writeen_bus_call(ngx_http_writeen_worker, 0, &args, NULL,
                                     NULL);

    args.n = 0;
    args.nnum = 0;

    ngx_http_writeen_arg_lit(&args, "HGET");
    ngx_http_writeen_arg(&args, key, n);
    ngx_http_writeen_arg_lit(&args, WRT_F_UP_SHOWN);

    if (ngx_http_writeen_upload_ask(up, &args, ngx_http_writeen_upload_shown)
        != NGX_OK)
    {
        return ngx_http_writeen_upload_shown(up, NULL);
    }

    return NGX_DONE;
}


/* An upload of which nobody has said anything, as docs/redis.md has it. */

static ngx_int_t
ngx_http_writeen_upload_begun(ngx_http_writeen_upload_t *up)
{
    u_char  *p;
    size_t   len;
    char     now[WRT_TIME_LEN + 1];

    static char  begun[] = "{\"id\":\"%s\",\"conversationId\":\"%V\","
                           "\"status\":\"processing\","
                           "\"stage\":\"received\",\"progress\":0,"
                           "\"fileName\":null,\"fileId\":null,"
                           "\"messageId\":null,\"error\":null,"
                           "\"createdAt\":\"%s\",\"updatedAt\":\"%s\"}";

    len = sizeof(begun) + WRT_OID_LEN + up->conversation.len
          + 2 * WRT_TIME_LEN;

    p = ngx_pnalloc(up->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_writeen_now(now);

    up->begun.data = p;
    up->begun.len = ngx_snprintf(p, len, begun, up->id, &up->conversation,
                                 now, now)
                    - p;

    return NGX_OK;
}


/* Unless the files role has said it. */

static void
ngx_http_writeen_upload_note(const char *key, size_t n, const char *field,
    ngx_str_t *value)
{
    ngx_http_writeen_args_t  args;

    args.n = 0;
    args.nnum = 0;

    ngx_http_writeen_arg_lit(&args, "HSETNX");
    ngx_http_writeen_arg(&args, key, n);
    ngx_http_writeen_arg(&args, field, ngx_strlen(field));
    ngx_http_writeen_arg(&args, value->data, value->len);

    (void) ngx_http_writeen_bus_call(ngx_http_writeen_worker, 0, &args, NULL,
                                     NULL);
}


/* JSON of the files role's making, or ours. */

static ngx_int_t
ngx_http_writeen_upload_shown(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_result_t *res)
{
    ngx_str_t            json, shown;
    ngx_http_request_t  *r;

    static char  format[] = "{\"success\":true,"
                            "\"message\":\"File is being processed\","
                            "\"data\":{\"upload\":%V}}";

    r = up->request;
    ngx_str_null(&shown);

    if (res != NULL) {
        (void) ngx_http_writeen_result_str(res, 0, &shown);
    }

    if (shown.len == 0) {
        shown = up->begun;
    }

    json.data = ngx_pnalloc(r->pool, sizeof(format) + shown.len);
    if (json.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json.len = ngx_sprintf(json.data, format, &shown) - json.data;

    return ngx_http_writeen_answer(r, NGX_HTTP_ACCEPTED, &json, 0);
}
