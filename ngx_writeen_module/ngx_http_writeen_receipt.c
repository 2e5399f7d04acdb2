/*
 * ngx_http_writeen_receipt.c: mark_read and mark_delivered.
 *
 * In a large room everybody reads the same message at the same moment, and
 * every cursor that moves is told to everybody.  So marks of one kind for one
 * conversation gather: the first goes at once; what comes while it is under
 * way, or within a time that grows with the room, goes together in as few
 * calls as hold it, and all who moved to the same message are told of in one
 * event (wrt_cursor).
 *
 *     mark --> waiting --flush--> wrt_cursor --moved, same--> ack
 *                ^   ^                |  \----denied--------> error not_found
 *                |   +--LOAD--noload--+   \---unknown-------> the worker pool,
 *                |                                            which asks the
 *                +-- window, or a call under way              store
 *
 * A gather is there while marks wait, calls are under way or its window is
 * open.  A mark whose session has gone is made all the same; nobody is told.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_RECEIPT_CALL    64     /* marks in one call */
#define NGX_HTTP_WRITEEN_RECEIPT_WAIT    10000  /* marks waiting in a gather */
#define NGX_HTTP_WRITEEN_RECEIPT_WINDOW  1000   /* ms at most */
#define NGX_HTTP_WRITEEN_RECEIPT_LOADS   3


/* Marks of one kind for one conversation. */
typedef struct {
    ngx_str_node_t                node;       /* in worker->gathers */
    ngx_event_t                   timer;      /* the window */
    ngx_http_writeen_worker_t    *worker;
    ngx_http_writeen_load_wait_t  wait;
    ngx_queue_t                   marks;      /* waiting */
    ngx_uint_t                    n;
    ngx_uint_t                    calls;      /* under way */
    unsigned                      loading:1;
    u_char                        id[1 + WRT_ID_MAX]; /* kind, conversation */
} ngx_http_writeen_gather_t;


typedef struct {
    ngx_http_writeen_op_t         op;
    ngx_queue_t                   queue;      /* in gather or call */
    ngx_http_writeen_rpc_t       *rpc;        /* the store is asked */
    ngx_uint_t                    loads;
    size_t                        conv_len;
    size_t                        uid_len;
    size_t                        mid_len;
    size_t                        id_len;
    u_char                        kind;
    u_char                        conv[WRT_ID_MAX];
    u_char                        uid[WRT_ID_MAX];
    u_char                        mid[WRT_ID_MAX];
    u_char                        id[WRT_CLIENT_ID_MAX];
} ngx_http_writeen_mark_t;


/* One wrt_cursor under way. */
typedef struct {
    ngx_http_writeen_gather_t    *gather;
    ngx_queue_t                   marks;      /* in the order of the call */
} ngx_http_writeen_cursor_t;


static void ngx_http_writeen_receipt_mark(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, u_char kind);
static void ngx_http_writeen_receipt_abandon(ngx_http_writeen_op_t *data);
static void ngx_http_writeen_gather_go(ngx_http_writeen_gather_t *g);
static void ngx_http_writeen_gather_timer(ngx_event_t *ev);
static void ngx_http_writeen_gather_free(ngx_http_writeen_gather_t *g);
static ngx_int_t ngx_http_writeen_gather_call(ngx_http_writeen_gather_t *g);
static void ngx_http_writeen_gather_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_gather_load(ngx_http_writeen_gather_t *g,
    ngx_queue_t *marks);
static void ngx_http_writeen_gather_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_receipt_store(ngx_http_writeen_mark_t *m);
static void ngx_http_writeen_receipt_stored(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_receipt_done(ngx_http_writeen_mark_t *m,
    const char *code);


void
ngx_http_writeen_receipt_read(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e)
{
    ngx_http_writeen_receipt_mark(s, e, 'r');
}


void
ngx_http_writeen_receipt_delivered(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e)
{
    ngx_http_writeen_receipt_mark(s, e, 'd');
}


static ngx_http_writeen_gather_t *
ngx_http_writeen_gather_get(ngx_http_writeen_worker_t *wk, u_char kind,
    wrt_slice_t conv)
{
    u_char                      id[1 + WRT_ID_MAX];
    uint32_t                    hash;
    ngx_str_t                   key;
    ngx_http_writeen_gather_t  *g;

    id[0] = kind;
    ngx_memcpy(id + 1, conv.p, conv.n);

    key.data = id;
    key.len = conv.n + 1;
    hash = ngx_crc32_short(key.data, key.len);

    /* the node is the gather's first member */

    g = (ngx_http_writeen_gather_t *)
            ngx_str_rbtree_lookup(&wk->gathers, &key, hash);

    if (g != NULL) {
        return g;
    }

    g = ngx_calloc(sizeof(ngx_http_writeen_gather_t), wk->log);
    if (g == NULL) {
        return NULL;
    }

    ngx_memcpy(g->id, id, key.len);

    g->node.node.key = hash;
    g->node.str.data = g->id;
    g->node.str.len = key.len;
    g->worker = wk;
    ngx_queue_init(&g->marks);

    /* not cancelable: what a client has read is made before we leave */

    g->timer.handler = ngx_http_writeen_gather_timer;
    g->timer.data = g;
    g->timer.log = wk->log;

    g->wait.handler = ngx_http_writeen_gather_loaded;
    g->wait.data = g;

    ngx_rbtree_insert(&wk->gathers, &g->node.node);

    return g;
}


static void
ngx_http_writeen_receipt_mark(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, u_char kind)
{
    ngx_str_t                  *uid;
    wrt_slice_t                 conv, mid, none;
    wrt_refusal_t               why;
    ngx_http_writeen_mark_t    *m;
    ngx_http_writeen_gather_t  *g;

    none.p = "";
    none.n = 0;

    if (ngx_http_writeen_event_required(
            wrt_envelope_id(e, "conversationId", &conv, &why),
            "conversationId", &why) != NGX_OK
        || ngx_http_writeen_event_required(
               wrt_envelope_id(e, "messageId", &mid, &why),
               "messageId", &why) != NGX_OK)
    {
        ngx_http_writeen_event_refuse(s, e, &why, none);
        return;
    }

    ngx_http_writeen_count(ngx_http_writeen_worker, receipts_total);

    m = ngx_calloc(sizeof(ngx_http_writeen_mark_t),
                   ngx_http_writeen_worker->log);
    if (m == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    m->op.session = s;
    m->op.abandon = ngx_http_writeen_receipt_abandon;
    ngx_queue_insert_tail(&s->ops, &m->op.queue);

    uid = &s->user->node.str;

    m->kind = kind;
    m->conv_len = conv.n;
    ngx_memcpy(m->conv, conv.p, conv.n);
    m->mid_len = mid.n;
    ngx_memcpy(m->mid, mid.p, mid.n);
    m->uid_len = uid->len;
    ngx_memcpy(m->uid, uid->data, uid->len);
    m->id_len = e->id.n;
    ngx_memcpy(m->id, e->id.p, e->id.n);

    g = ngx_http_writeen_gather_get(ngx_http_writeen_worker, kind, conv);

    if (g == NULL || g->n >= NGX_HTTP_WRITEEN_RECEIPT_WAIT) {
        ngx_http_writeen_receipt_done(m, "unavailable");
        return;
    }

    ngx_queue_insert_tail(&g->marks, &m->queue);
    g->n++;

    ngx_http_writeen_gather_go(g);
}


/* The session goes first; unless the store is being asked for it, its mark
 * goes its way and is freed by the answer. */

static void
ngx_http_writeen_receipt_abandon(ngx_http_writeen_op_t *data)
{
    ngx_http_writeen_mark_t  *m = (ngx_http_writeen_mark_t *) data;

    if (m->rpc != NULL) {
        ngx_http_writeen_rpc_cancel(m->rpc);
        ngx_free(m);
    }
}


/* -- gathering -- */

/* Something has come, or is through: send what waits, if it is time. */

static void
ngx_http_writeen_gather_go(ngx_http_writeen_gather_t *g)
{
    ngx_msec_t                  window;
    ngx_queue_t                *q;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_mark_t    *m;

    if (g->calls != 0 || g->loading || g->timer.timer_set) {
        return;
    }

    if (ngx_queue_empty(&g->marks)) {
        ngx_http_writeen_gather_free(g);
        return;
    }

    while (!ngx_queue_empty(&g->marks)) {

        if (ngx_http_writeen_gather_call(g) == NGX_OK) {
            continue;
        }

        q = ngx_queue_head(&g->marks);
        m = ngx_queue_data(q, ngx_http_writeen_mark_t, queue);

        ngx_queue_remove(q);
        g->n--;
        ngx_http_writeen_receipt_done(m, "unavailable");
    }

    rm = ngx_http_writeen_room_get(g->worker, (char *) g->id + 1,
                                   g->node.str.len - 1, 0);

    /* half a millisecond a connection that will be told */

    window = (rm == NULL) ? 0 : rm->nlinks / 2;
    window = ngx_min(window, NGX_HTTP_WRITEEN_RECEIPT_WINDOW);

    if (window != 0) {
        ngx_add_timer(&g->timer, window);

    } else if (g->calls == 0) {
        ngx_http_writeen_gather_free(g);
    }
}


static void
ngx_http_writeen_gather_timer(ngx_event_t *ev)
{
    ngx_http_writeen_gather_go(ev->data);
}


static void
ngx_http_writeen_gather_free(ngx_http_writeen_gather_t *g)
{
    ngx_rbtree_delete(&g->worker->gathers, &g->node.node);
    ngx_free(g);
}


/* One call, of as many marks as it holds. */

static ngx_int_t
ngx_http_writeen_gather_call(ngx_http_writeen_gather_t *g)
{
    char                        conv[WRT_NAME_BUF], ingest[WRT_NAME_BUF];
    char                        log[WRT_NAME_BUF], chan[WRT_NAME_BUF];
    char                        at[WRT_TIME_LEN + 1];
    size_t                      n;
    ngx_uint_t                  i, k;
    const char                 *id;
    ngx_queue_t                *q;
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_mark_t    *m;
    ngx_http_writeen_cursor_t  *call;

    call = ngx_alloc(sizeof(ngx_http_writeen_cursor_t), g->worker->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    id = (char *) g->id + 1;
    n = g->node.str.len - 1;
    k = wrt_shard(&g->worker->names, id, n);
    ngx_http_writeen_now(at);

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_CURSOR);
    ngx_http_writeen_arg_lit(&a, "3");
    ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, k, id, n));
    ngx_http_writeen_arg(&a, ingest, wrt_key_ingest(ingest, k));
    ngx_http_writeen_arg(&a, log, wrt_key_log(log, k, id, n));
    ngx_http_writeen_arg(&a, chan, ngx_http_writeen_bus_room(g->worker, chan,
                                                             k, id, n));
    ngx_http_writeen_arg(&a, id, n);
    ngx_http_writeen_arg(&a, g->id, 1);
    ngx_http_writeen_arg(&a, at, WRT_TIME_LEN);
    ngx_http_writeen_arg_num(&a, WRT_BACKLOG_MAX);

    for (i = 0, q = ngx_queue_head(&g->marks);
         q != ngx_queue_sentinel(&g->marks)
         && i < NGX_HTTP_WRITEEN_RECEIPT_CALL;
         q = ngx_queue_next(q), i++)
    {
        m = ngx_queue_data(q, ngx_http_writeen_mark_t, queue);

        ngx_http_writeen_arg(&a, m->uid, m->uid_len);
        ngx_http_writeen_arg(&a, m->mid, m->mid_len);
        ngx_http_writeen_arg_lit(&a, "");
    }

    if (ngx_http_writeen_bus_call(g->worker,
                                  ngx_http_writeen_bus_server(g->worker, k),
                                  &a, ngx_http_writeen_gather_reply, call)
        != NGX_OK)
    {
        ngx_free(call);
        return NGX_ERROR;
    }

    ngx_http_writeen_count(g->worker, receipt_calls_total);

    call->gather = g;
    g->calls++;
    g->n -= i;
    ngx_queue_init(&call->marks);

    while (i-- > 0) {
        q = ngx_queue_head(&g->marks);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&call->marks, q);
    }

    return NGX_OK;
}


/* Is the answer's text at i this one? */

static ngx_uint_t
ngx_http_writeen_gather_said(ngx_http_writeen_result_t *res, ngx_uint_t i,
    const char *what)
{
    ngx_str_t  text;

    return ngx_http_writeen_result_str(res, i, &text) == NGX_OK
           && text.len == ngx_strlen(what)
           && ngx_memcmp(text.data, what, text.len) == 0;
}


static void
ngx_http_writeen_gather_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q;
    ngx_http_writeen_mark_t    *m;
    ngx_http_writeen_gather_t  *g;
    ngx_http_writeen_cursor_t  *call = data;

    g = call->gather;
    g->calls--;

    if (res->rc == NGX_HTTP_WRITEEN_R_NOLOAD) {
        ngx_http_writeen_gather_load(g, &call->marks);
    }

    for (i = 0; !ngx_queue_empty(&call->marks); i += 3) {
        q = ngx_queue_head(&call->marks);
        m = ngx_queue_data(q, ngx_http_writeen_mark_t, queue);
        ngx_queue_remove(q);

        if (res->rc != NGX_HTTP_WRITEEN_R_OK) {
            ngx_http_writeen_receipt_done(m, "unavailable");

        } else if (ngx_http_writeen_gather_said(res, i + 1, "moved")
                   || ngx_http_writeen_gather_said(res, i + 1, "same"))
        {
            ngx_http_writeen_receipt_done(m, NULL);

        } else if (ngx_http_writeen_gather_said(res, i + 1, "unknown")) {
            ngx_http_writeen_receipt_store(m);

        } else {
            ngx_http_writeen_receipt_done(m, "not_found");
        }
    }

    ngx_free(call);
    ngx_http_writeen_gather_go(g);
}


/* The conversation is not in Redis: its marks wait once more. */

static void
ngx_http_writeen_gather_load(ngx_http_writeen_gather_t *g, ngx_queue_t *marks)
{
    wrt_slice_t               id;
    ngx_queue_t              *q;
    ngx_http_writeen_mark_t  *m;

    if (!g->loading) {
        id.p = (char *) g->id + 1;
        id.n = g->node.str.len - 1;

        if (ngx_http_writeen_load(g->worker, id, &g->wait) != NGX_OK) {
            return;
        }

        g->loading = 1;
    }

    while (!ngx_queue_empty(marks)) {
        q = ngx_queue_last(marks);
        m = ngx_queue_data(q, ngx_http_writeen_mark_t, queue);
        ngx_queue_remove(q);

        if (m->loads++ == NGX_HTTP_WRITEEN_RECEIPT_LOADS) {
            ngx_http_writeen_receipt_done(m, "unavailable");
            continue;
        }

        ngx_queue_insert_head(&g->marks, q);
        g->n++;
    }
}


static void
ngx_http_writeen_gather_loaded(void *data, ngx_int_t ok)
{
    ngx_queue_t                *q;
    ngx_http_writeen_mark_t    *m;
    ngx_http_writeen_gather_t  *g = data;

    g->loading = 0;

    while (ok != 1 && !ngx_queue_empty(&g->marks)) {
        q = ngx_queue_head(&g->marks);
        m = ngx_queue_data(q, ngx_http_writeen_mark_t, queue);

        ngx_queue_remove(q);
        g->n--;
        ngx_http_writeen_receipt_done(m, ok == 0 ? "not_found"
                                                 : "unavailable");
    }

    ngx_http_writeen_gather_go(g);
}


/* -- the message is older than the log: the store knows its number -- */

static void
ngx_http_writeen_receipt_store(ngx_http_writeen_mark_t *m)
{
    u_char                       path[WRT_ID_MAX + 64];
    u_char                       body[WRT_ID_MAX + 64];
    ngx_http_writeen_call_t      call;
    ngx_http_writeen_session_t  *s;
    ngx_http_writeen_identity_t  id;

    s = m->op.session;

    if (s == NULL) {
        ngx_free(m);
        return;
    }

    id.uid = s->user->node.str;
    id.role = s->role;
    id.name = s->name;
    id.avatar = s->avatar;
    id.exp = s->exp;

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, "POST");
    call.path.data = path;
    call.path.len = ngx_sprintf(path, "/api/conversations/%*s/%s",
                                m->conv_len, m->conv,
                                m->kind == 'r' ? "read" : "delivered")
                    - path;
    call.body.data = body;
    call.body.len = ngx_sprintf(body, "{\"messageId\":\"%*s\"}", m->mid_len,
                                m->mid)
                    - body;
    call.identity = &id;
    call.timeout = s->conf->api_timeout;

    m->rpc = ngx_http_writeen_rpc_call(ngx_http_writeen_worker, &call,
                                       ngx_http_writeen_receipt_stored, m);

    if (m->rpc == NULL) {
        ngx_http_writeen_receipt_done(m, "unavailable");
    }
}


static void
ngx_http_writeen_receipt_stored(void *data, ngx_http_writeen_reply_t *reply)
{
    const char               *code;
    ngx_http_writeen_mark_t  *m = data;

    m->rpc = NULL;

    switch (reply->status) {

    case 200:
        code = NULL;
        break;

    case 403:
        code = "forbidden";
        break;

    case 404:
        code = "not_found";
        break;

    default:
        code = "unavailable";
    }

    ngx_http_writeen_receipt_done(m, code);
}


/* Tell the client, if it is still there.  code NULL: all is well. */

static void
ngx_http_writeen_receipt_done(ngx_http_writeen_mark_t *m, const char *code)
{
    ngx_http_writeen_error_t     e;
    ngx_http_writeen_session_t  *s;

    s = m->op.session;

    if (s == NULL) {
        ngx_free(m);
        return;
    }

    ngx_queue_remove(&m->op.queue);

    ngx_memzero(&e, sizeof(ngx_http_writeen_error_t));

    e.id.p = (char *) m->id;
    e.id.n = m->id_len;
    e.event.p = (m->kind == 'r') ? "mark_read" : "mark_delivered";
    e.event.n = ngx_strlen(e.event.p);

    if (code == NULL) {
        ngx_http_writeen_event_ack(s, e.id, e.event);
        ngx_free(m);
        return;
    }

    e.conversation.p = (char *) m->conv;
    e.conversation.n = m->conv_len;
    e.code = code;

    if (ngx_strcmp(code, "unavailable") == 0) {
        e.message = "This is not possible right now, try again.";
        e.retryable = 1;
        e.retry_ms = 1000;

    } else if (ngx_strcmp(code, "forbidden") == 0) {
        e.message = "You may not read this conversation.";

    } else {
        e.message = "There is no such message in a conversation of yours.";
    }

    ngx_http_writeen_event_error(s, &e);
    ngx_free(m);
}


/* The process ends; who marked is gone, the bus is, too. */

void
ngx_http_writeen_receipt_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_queue_t                *q;
    ngx_rbtree_node_t          *node;
    ngx_http_writeen_gather_t  *g;

    while (wk->gathers.root != wk->gathers.sentinel) {
        node = ngx_rbtree_min(wk->gathers.root, wk->gathers.sentinel);
        g = (ngx_http_writeen_gather_t *) node;

        while (!ngx_queue_empty(&g->marks)) {
            q = ngx_queue_head(&g->marks);
            ngx_queue_remove(q);
            ngx_free(ngx_queue_data(q, ngx_http_writeen_mark_t, queue));
        }

        if (g->timer.timer_set) {
            ngx_del_timer(&g->timer);
        }

        ngx_http_writeen_gather_free(g);
    }
}
