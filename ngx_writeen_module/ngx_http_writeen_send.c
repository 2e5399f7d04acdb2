/*
 * ngx_http_writeen_send.c: a message's way into Redis, for both doors
 * (WebSocket and REST).
 *
 *     built --> wrt_send --ok, dup--> answered   (writeen_ack store: when the
 *       ^          |                              applied channel says so)
 *       |          +--noload--> LOAD by the worker pool --> again
 *       +-- behind a LOAD under way for the same conversation
 *
 * Order: commands of one worker to one shard keep their order, and a send for a
 * conversation that is being loaded queues behind those that wait already.
 * Loads are shared: one call for all who ask at a time.
 */

#include "ngx_http_writeen.h"


struct ngx_http_writeen_send_s {
    ngx_queue_t                    acks;      /* in room->acks */
    ngx_http_writeen_worker_t     *worker;
    ngx_http_writeen_load_wait_t   wait;
    ngx_http_writeen_sent_pt       handler;   /* NULL: cancelled */
    void                          *data;
    char                          *text;      /* malloc'd pre and head */
    size_t                         pre_len;
    size_t                         head_len;
    ngx_str_t                      conversation;
    ngx_str_t                      uid;
    ngx_str_t                      client_id;
    ngx_str_t                      extra;
    int64_t                        seq;
    ngx_uint_t                     shard;
    ngx_uint_t                     rc;
    ngx_uint_t                     loads;
    ngx_event_t                    timer;     /* REST waiting for the store */
    ngx_msec_t                     timeout;
    char                           mid[WRT_OID_LEN + 1];
    char                           at[WRT_TIME_LEN + 1];
    char                           consult[WRT_ID_MAX];
    size_t                         consult_len;
    unsigned                       ack_store:1;
    unsigned                       stored:1;
    unsigned                       want_event:1;
    unsigned                       checking:1; /* HMGET under way */
    u_char                         buf[1];
};


/* A conversation being brought into Redis. */
typedef struct {
    ngx_queue_t                    queue;     /* in worker->loads */
    ngx_queue_t                    waiting;   /* of load_wait */
    ngx_http_writeen_worker_t     *worker;
    size_t                         len;
    u_char                         id[WRT_ID_MAX];
} ngx_http_writeen_load_t;


static void ngx_http_writeen_send_run(ngx_http_writeen_send_t *m);
static void ngx_http_writeen_send_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_send_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_send_timeout(ngx_event_t *ev);
static void ngx_http_writeen_send_wait(ngx_http_writeen_send_t *m);
static void ngx_http_writeen_send_checked(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_send_done(ngx_http_writeen_send_t *m,
    ngx_http_writeen_rc_t rc);
static ngx_http_writeen_load_t *ngx_http_writeen_load_find(
    ngx_http_writeen_worker_t *wk, wrt_slice_t id);
static void ngx_http_writeen_load_reply(void *data,
    ngx_http_writeen_reply_t *reply);


ngx_http_writeen_send_t *
ngx_http_writeen_send(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_loc_conf_t *wlcf, wrt_send_t *msg,
    wrt_slice_t conversation, ngx_http_writeen_identity_t *id,
    ngx_str_t *extra, ngx_http_writeen_sent_pt handler, void *data)
{
    u_char                   *p;
    ngx_uint_t                shard;
    wrt_sender_t              from;
    ngx_http_writeen_send_t  *m;

    shard = wrt_shard(&wk->names, conversation.p, conversation.n);

    if (!ngx_http_writeen_bus_ready(wk,
                                    ngx_http_writeen_bus_server(wk, shard)))
    {
        return NULL;
    }

    m = ngx_calloc(sizeof(ngx_http_writeen_send_t) + conversation.n
                   + id->uid.len + msg->client_id.n + extra->len, wk->log);
    if (m == NULL) {
        return NULL;
    }

    p = m->buf;

#define ngx_http_writeen_send_keep(str, from, n)                              \
    (str)->data = p; (str)->len = n; p = ngx_cpymem(p, from, n)

    ngx_http_writeen_send_keep(&m->conversation, conversation.p,
                               conversation.n);
    ngx_http_writeen_send_keep(&m->uid, id->uid.data, id->uid.len);
    ngx_http_writeen_send_keep(&m->client_id, msg->client_id.p,
                               msg->client_id.n);
    ngx_http_writeen_send_keep(&m->extra, extra->data, extra->len);

#undef ngx_http_writeen_send_keep

    m->worker = wk;
    m->handler = handler;
    m->data = data;
    m->shard = shard;
    m->ack_store = wlcf->ack_store;
    m->want_event = wlcf->api;
    m->timeout = wlcf->api_timeout;
    m->wait.order = ++wk->sends;
    ngx_queue_init(&m->acks);

    wrt_oid_next(&wk->oid, ngx_time(), m->mid);
    ngx_http_writeen_now(m->at);

    from.uid.p = (char *) id->uid.data;
    from.uid.n = id->uid.len;
    from.role.p = (char *) id->role.data;
    from.role.n = id->role.len;
    from.name.p = (char *) id->name.data;
    from.name.n = id->name.len;
    from.avatar.p = (char *) id->avatar.data;
    from.avatar.n = id->avatar.len;

    m->text = wrt_send_build(msg, conversation, &from, m->mid, &m->pre_len,
                             &m->head_len);
    if (m->text == NULL) {
        ngx_free(m);
        return NULL;
    }

    /* behind those that wait for the load, to keep their order */

    if (ngx_http_writeen_load_find(wk, conversation) != NULL) {
        m->wait.handler = ngx_http_writeen_send_loaded;
        m->wait.data = m;

        if (ngx_http_writeen_load(wk, conversation, &m->wait) == NGX_OK) {
            return m;
        }
    }

    ngx_http_writeen_send_run(m);

    if (m->rc == NGX_HTTP_WRITEEN_R_LOST) {
        free(m->text);
        ngx_free(m);
        return NULL;
    }

    return m;
}


void
ngx_http_writeen_send_cancel(ngx_http_writeen_send_t *m)
{
    m->handler = NULL;

    /* what Redis or a load has still to say frees it; a store may take hours */

    if (!ngx_queue_empty(&m->acks) && !m->checking) {
        ngx_http_writeen_send_done(m, m->rc);
    }
}


static void
ngx_http_writeen_send_run(ngx_http_writeen_send_t *m)
{
    char                        keys[4][WRT_NAME_BUF], once[WRT_NAME_BUF];
    char                        chan[WRT_NAME_BUF];
    const char                 *id;
    size_t                      n;
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_worker_t  *wk;

    wk = m->worker;
    id = (char *) m->conversation.data;
    n = m->conversation.len;

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_SEND);
    ngx_http_writeen_arg(&a, m->client_id.len ? "5" : "4", 1);
    ngx_http_writeen_arg_room(&a, keys, m->shard, id, n);

    if (m->client_id.len != 0) {
        ngx_http_writeen_arg(&a, once,
                             wrt_key_once(once, m->shard, id, n,
                                          (char *) m->uid.data, m->uid.len,
                                          (char *) m->client_id.data,
                                          m->client_id.len));
    }

    ngx_http_writeen_arg(&a, chan, ngx_http_writeen_bus_room(wk, chan,
                                                             m->shard, id, n));
    ngx_http_writeen_arg(&a, id, n);
    ngx_http_writeen_arg(&a, m->uid.data, m->uid.len);
    ngx_http_writeen_arg(&a, m->mid, WRT_OID_LEN);
    ngx_http_writeen_arg(&a, m->text, m->pre_len);
    ngx_http_writeen_arg(&a, m->text + m->pre_len, m->head_len);
    ngx_http_writeen_arg(&a, m->extra.data, m->extra.len);
    ngx_http_writeen_arg(&a, m->at, WRT_TIME_LEN);
    ngx_http_writeen_arg_num(&a, WRT_BACKLOG_MAX);

    m->rc = NGX_HTTP_WRITEEN_R_OK;

    if (ngx_http_writeen_bus_call(wk,
                                  ngx_http_writeen_bus_server(wk, m->shard),
                                  &a, ngx_http_writeen_send_reply, m)
        != NGX_OK)
    {
        m->rc = NGX_HTTP_WRITEEN_R_LOST;
    }
}


static void
ngx_http_writeen_send_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_str_t                 mid, at, consult;
    wrt_slice_t               id;
    ngx_http_writeen_send_t  *m = data;

    if (res->rc == NGX_HTTP_WRITEEN_R_NOLOAD && m->loads++ < 3) {

        id.p = (char *) m->conversation.data;
        id.n = m->conversation.len;

        m->wait.handler = ngx_http_writeen_send_loaded;
        m->wait.data = m;

        if (ngx_http_writeen_load(m->worker, id, &m->wait) == NGX_OK) {
            return;
        }

        ngx_http_writeen_send_done(m, NGX_HTTP_WRITEEN_R_LOST);
        return;
    }

    if (res->rc != NGX_HTTP_WRITEEN_R_OK
        && res->rc != NGX_HTTP_WRITEEN_R_DUP)
    {
        ngx_http_writeen_send_done(m, res->rc == NGX_HTTP_WRITEEN_R_NOLOAD
                                      ? NGX_HTTP_WRITEEN_R_LOST : res->rc);
        return;
    }

    m->seq = ngx_http_writeen_result_num(res, 0);

    if (ngx_http_writeen_result_str(res, 1, &mid) != NGX_OK
        || ngx_http_writeen_result_str(res, 2, &at) != NGX_OK
        || mid.len != WRT_OID_LEN || at.len != WRT_TIME_LEN)
    {
        ngx_http_writeen_send_done(m, NGX_HTTP_WRITEEN_R_ERROR);
        return;
    }

    ngx_memcpy(m->mid, mid.data, mid.len);
    ngx_memcpy(m->at, at.data, at.len);

    if (m->want_event
        && ngx_http_writeen_result_str(res, 3, &consult) == NGX_OK
        && consult.len <= WRT_ID_MAX)
    {
        ngx_memcpy(m->consult, consult.data, consult.len);
        m->consult_len = consult.len;
    }

    if (m->ack_store && m->handler != NULL) {
        m->rc = res->rc;

        if (!m->want_event) {
            /* the store may stand still for hours, and many wait */
            free(m->text);
            m->text = NULL;

        } else {
            m->timer.handler = ngx_http_writeen_send_timeout;
            m->timer.data = m;
            m->timer.log = m->worker->log;
            ngx_add_timer(&m->timer, m->timeout);
        }

        ngx_http_writeen_send_wait(m);
        return;
    }

    ngx_http_writeen_send_done(m, res->rc);
}


/*
 * A REST call does not wait for ever: it is told to try again.  The message is
 * in the log all the same, and the retry finds it.
 */

static void
ngx_http_writeen_send_timeout(ngx_event_t *ev)
{
    ngx_http_writeen_send_t  *m;
    ngx_http_writeen_sent_t   sent;

    m = ev->data;

    if (m->handler != NULL) {
        ngx_memzero(&sent, sizeof(ngx_http_writeen_sent_t));
        sent.rc = NGX_HTTP_WRITEEN_R_LOST;

        m->handler(m->data, &sent);
        ngx_http_writeen_send_cancel(m);
    }
}


static void
ngx_http_writeen_send_loaded(void *data, ngx_int_t ok)
{
    ngx_http_writeen_send_t  *m = data;

    if (ok != 1) {
        ngx_http_writeen_send_done(m, ok == 0 ? NGX_HTTP_WRITEEN_R_DENIED
                                              : NGX_HTTP_WRITEEN_R_LOST);
        return;
    }

    ngx_http_writeen_send_run(m);

    if (m->rc == NGX_HTTP_WRITEEN_R_LOST) {
        ngx_http_writeen_send_done(m, NGX_HTTP_WRITEEN_R_LOST);
    }
}


/* writeen_ack store: answer when the database has it. */

static void
ngx_http_writeen_send_wait(ngx_http_writeen_send_t *m)
{
    char                        conv[WRT_NAME_BUF];
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_worker_t  *wk;

    wk = m->worker;

    rm = ngx_http_writeen_room_get(wk, (char *) m->conversation.data,
                                   m->conversation.len, 1);
    if (rm == NULL) {
        ngx_http_writeen_send_done(m, NGX_HTTP_WRITEEN_R_LOST);
        return;
    }

    ngx_queue_insert_tail(&rm->acks, &m->acks);

    /*
     * The applied message may have passed before we were in the list, or get
     * lost with the bus: ask where the store stands, now and from the sweep.
     */

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "HMGET");
    ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, m->shard,
                                       (char *) m->conversation.data,
                                       m->conversation.len));
    ngx_http_writeen_arg_lit(&a, WRT_F_APPLIED);

    if (ngx_http_writeen_bus_call(wk,
                                  ngx_http_writeen_bus_server(wk, m->shard),
                                  &a, ngx_http_writeen_send_checked, m)
        == NGX_OK)
    {
        m->checking = 1;
    }
}


static void
ngx_http_writeen_send_checked(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_send_t  *m = data;

    m->checking = 0;

    if (m->stored || m->handler == NULL
        || (res->rc == NGX_HTTP_WRITEEN_R_OK
            && ngx_http_writeen_result_num(res, 0) >= m->seq))
    {
        m->stored = 1;
        ngx_http_writeen_send_done(m, m->rc);
        return;
    }

    /* the applied channel tells, or the sweep asks again */
}


/* Each second: has the bus swallowed a watermark that a send waits for? */

void
ngx_http_writeen_send_sweep(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_queue_t              *q, *next;
    ngx_http_writeen_send_t  *m;

    for (q = ngx_queue_head(&rm->acks);
         q != ngx_queue_sentinel(&rm->acks);
         q = next)
    {
        next = ngx_queue_next(q);
        m = ngx_queue_data(q, ngx_http_writeen_send_t, acks);

        if (!m->checking) {
            ngx_queue_remove(q);
            ngx_queue_init(q);
            ngx_http_writeen_send_wait(m);
            break;
        }
    }
}


/* The process ends: whether the store has them will be seen by the retry. */

void
ngx_http_writeen_send_give_up(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&rm->acks)) {
        q = ngx_queue_head(&rm->acks);
        ngx_http_writeen_send_done(
            ngx_queue_data(q, ngx_http_writeen_send_t, acks),
            NGX_HTTP_WRITEEN_R_LOST);
    }
}


void
ngx_http_writeen_send_applied(ngx_http_writeen_worker_t *wk, const char *p,
    size_t n)
{
    u_char                   *pos, *last, *eol;
    ngx_queue_t              *q, *next, done;
    wrt_bus_header_t          h;
    ngx_http_writeen_room_t  *rm;
    ngx_http_writeen_send_t  *m;

    pos = (u_char *) p;
    last = pos + n;
    ngx_queue_init(&done);

    for ( /* void */ ; pos < last; pos = eol + 1) {

        eol = ngx_strlchr(pos, last, '\n');
        if (eol == NULL) {
            return;
        }

        if (wrt_bus_parse(&h, (char *) pos, eol + 1 - pos) != 0
            || h.kind != WRT_BUS_APPLIED)
        {
            continue;
        }

        rm = ngx_http_writeen_room_get(wk, h.f[0].p, h.f[0].n, 0);
        if (rm == NULL) {
            continue;
        }

        for (q = ngx_queue_head(&rm->acks);
             q != ngx_queue_sentinel(&rm->acks);
             q = next)
        {
            next = ngx_queue_next(q);
            m = ngx_queue_data(q, ngx_http_writeen_send_t, acks);

            if (m->seq > h.num[1]) {
                continue;
            }

            m->stored = 1;

            if (!m->checking) {
                ngx_queue_remove(q);
                ngx_queue_insert_tail(&done, q);
            }
        }

        /* a session that ends meanwhile takes its others along */

        while (!ngx_queue_empty(&done)) {
            q = ngx_queue_head(&done);
            m = ngx_queue_data(q, ngx_http_writeen_send_t, acks);

            ngx_http_writeen_send_done(m, m->rc);
        }
    }
}


/* Tell who asked, and end. */

static void
ngx_http_writeen_send_done(ngx_http_writeen_send_t *m,
    ngx_http_writeen_rc_t rc)
{
    u_char                   *event, *p;
    ngx_http_writeen_sent_t   sent;

    ngx_queue_remove(&m->acks);
    ngx_queue_init(&m->acks);

    if (m->timer.timer_set) {
        ngx_del_timer(&m->timer);
    }

    ngx_memzero(&sent, sizeof(ngx_http_writeen_sent_t));
    sent.rc = rc;
    event = NULL;

    if (rc == NGX_HTTP_WRITEEN_R_OK || rc == NGX_HTTP_WRITEEN_R_DUP) {
        ngx_http_writeen_count(m->worker, messages_sent_total);

        sent.seq = m->seq;
        sent.message_id.data = (u_char *) m->mid;
        sent.message_id.len = WRT_OID_LEN;
        sent.created_at.data = (u_char *) m->at;
        sent.created_at.len = WRT_TIME_LEN;
        sent.stored = m->stored;

        if (m->want_event) {
            sent.client_id = m->client_id;
        }

    } else {
        ngx_http_writeen_count(m->worker, messages_refused_total);
    }

    if (m->handler != NULL) {

        if (rc == NGX_HTTP_WRITEEN_R_OK && m->want_event) {
            /* the same bytes as wrt_send made (see writeen.lua) */

            event = ngx_alloc(m->pre_len + m->head_len + WRT_TIME_LEN
                              + 2 * NGX_INT64_LEN + m->consult_len + 48,
                              m->worker->log);

            if (event != NULL) {
                p = ngx_cpymem(event, m->text, m->pre_len);
                p = ngx_sprintf(p, "%L", m->seq);
                p = ngx_cpymem(p, m->text + m->pre_len, m->head_len);
                p = ngx_sprintf(p, "%s\",\"seq\":%L", m->at, m->seq);

                if (m->consult_len) {
                    p = ngx_sprintf(p, ",\"consultationId\":\"%*s\"",
                                    m->consult_len, m->consult);
                }

                p = ngx_cpymem(p, "}}}", 3);

                sent.event.data = event;
                sent.event.len = p - event;
            }
        }

        m->handler(m->data, &sent);
    }

    if (event != NULL) {
        ngx_free(event);
    }

    free(m->text);
    ngx_free(m);
}


/* -- loading -- */

static ngx_http_writeen_load_t *
ngx_http_writeen_load_find(ngx_http_writeen_worker_t *wk, wrt_slice_t id)
{
    ngx_queue_t              *q;
    ngx_http_writeen_load_t  *ld;

    for (q = ngx_queue_head(&wk->loads);
         q != ngx_queue_sentinel(&wk->loads);
         q = ngx_queue_next(q))
    {
        ld = ngx_queue_data(q, ngx_http_writeen_load_t, queue);

        if (ld->len == id.n && ngx_memcmp(ld->id, id.p, id.n) == 0) {
            return ld;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_writeen_load(ngx_http_writeen_worker_t *wk, wrt_slice_t id,
    ngx_http_writeen_load_wait_t *w)
{
    ngx_queue_t                   *q;
    ngx_http_writeen_call_t        call;
    ngx_http_writeen_load_t       *ld;
    ngx_http_writeen_load_wait_t  *before;

    ld = ngx_http_writeen_load_find(wk, id);

    if (ld != NULL) {
        /* one that Redis has sent back goes before those that came since */

        for (q = ngx_queue_last(&ld->waiting);
             w->order != 0 && q != ngx_queue_sentinel(&ld->waiting);
             q = ngx_queue_prev(q))
        {
            before = ngx_queue_data(q, ngx_http_writeen_load_wait_t, queue);

            if (before->order < w->order) {
                break;
            }
        }

        ngx_queue_insert_after(q, &w->queue);
        return NGX_OK;
    }

    ld = ngx_alloc(sizeof(ngx_http_writeen_load_t), wk->log);
    if (ld == NULL) {
        return NGX_ERROR;
    }

    ld->worker = wk;
    ld->len = id.n;
    ngx_memcpy(ld->id, id.p, id.n);
    ngx_queue_init(&ld->waiting);

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_LOAD);
    call.path.data = ld->id;
    call.path.len = ld->len;
    call.timeout = WRT_RPC_TIMEOUT_MS;

    if (ngx_http_writeen_rpc_call(wk, &call, ngx_http_writeen_load_reply, ld)
        == NULL)
    {
        ngx_free(ld);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&ld->waiting, &w->queue);
    ngx_queue_insert_tail(&wk->loads, &ld->queue);

    return NGX_OK;
}


static void
ngx_http_writeen_load_reply(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_int_t                      ok;
    ngx_queue_t                   *q;
    ngx_http_writeen_load_t       *ld = data;
    ngx_http_writeen_load_wait_t  *w;

    ok = (reply->status == 200) ? 1 : (reply->status == 404) ? 0 : -1;

    ngx_queue_remove(&ld->queue);

    /* first come, first served: their commands go out in this order */

    while (!ngx_queue_empty(&ld->waiting)) {
        q = ngx_queue_head(&ld->waiting);
        w = ngx_queue_data(q, ngx_http_writeen_load_wait_t, queue);

        ngx_queue_remove(q);
        w->handler(w->data, ok);
    }

    ngx_free(ld);
}
