/*
 * ngx_http_writeen_link.c: a session in a room, and its catching up.
 *
 * States of a link:
 *
 *     WAIT   the room's subscription, or where the room stands, is coming
 *     HELD   connected with &resume=1: nothing is sent before the resume event
 *     CATCH  what was missed is being read; live events pass by (the room keeps
 *            them in `recent`)
 *     LIVE   gets every event above l->seq
 *
 * l->seq is the last event given to this connection (-1: unknown, all are
 * welcome), l->first the number from which on it has had all of them.
 *
 * A catch is one walk through these steps, for one link or for somebody who
 * is not in the room yet:
 *
 *     CHECK  may he? (no link yet)         -> PEEK.. | not_found
 *     PEEK   where does the room stand, is he a member: opening a connection
 *     NOW    the same with cursors, live from there
 *     INFO   the same for a link that is live already
 *     FLOOR  all that the log holds (the room was not in Redis when we came)
 *     CATCH  everything after a number, then live
 *     REPLAY what a live link missed before it became live
 *
 * with side steps: LOAD when the conversation is not in Redis, STORE when the
 * log does not reach back, FENCE when the client knows more than Redis.  What
 * can not be asked now is asked again when Redis is back.
 */

#include "ngx_http_writeen.h"


typedef enum {
    CATCH_CHECK = 0,
    CATCH_PEEK,
    CATCH_NOW,
    CATCH_INFO,
    CATCH_FLOOR,
    CATCH_CATCH,
    CATCH_REPLAY
} ngx_http_writeen_catch_mode_t;


#define NGX_HTTP_WRITEEN_CATCH_TRIES   4     /* of the store, 5 s each */
#define NGX_HTTP_WRITEEN_CATCH_CHAIN   8     /* joins waiting for one link */
#define NGX_HTTP_WRITEEN_ONLINE_MAX    100


struct ngx_http_writeen_catch_s {
    ngx_http_writeen_op_t          op;       /* first: in session->ops */
    ngx_queue_t                    retry;    /* in worker->retries */
    ngx_http_writeen_worker_t     *worker;
    ngx_http_writeen_link_t       *link;
    ngx_http_writeen_catch_t      *next;     /* the link's next join */
    ngx_http_writeen_load_wait_t   wait;
    ngx_http_writeen_catch_mode_t  mode;
    int64_t                        asked;    /* afterSeq, -1 none */
    int64_t                        after;    /* read from here */
    int64_t                        limit;    /* REPLAY: up to here */
    u_char                        *cursors;  /* JSON array, malloc'd */
    size_t                         cursors_len;
    ngx_uint_t                     tries;
    ngx_uint_t                     missed;
    size_t                         echo_len;
    size_t                         len;
    u_char                         echo[WRT_CLIENT_ID_MAX];
    u_char                         id[WRT_ID_MAX];
    unsigned                       answer:1;  /* conversation_joined wanted */
    unsigned                       joined:1;  /* and sent */
    unsigned                       compact:1;
    unsigned                       resync:1;
    unsigned                       fenced:1;
    unsigned                       inflight:1; /* an answer will come */
    unsigned                       reading:1; /* counted in room->catching */
};


static ngx_http_writeen_catch_t *ngx_http_writeen_catch_create(
    ngx_http_writeen_session_t *s, const char *id, size_t n);
static void ngx_http_writeen_catch_free(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_abandon(ngx_http_writeen_op_t *data);
static void ngx_http_writeen_catch_begin(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_run(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_later(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_ok(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_peeked(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_live(ngx_http_writeen_catch_t *op,
    int64_t seq);
static void ngx_http_writeen_catch_done(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_refuse(ngx_http_writeen_catch_t *op,
    const char *code);
static void ngx_http_writeen_catch_load(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_catch_store(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_store_reply(void *data, ngx_uint_t status,
    ngx_str_t *body, ngx_uint_t retry);
static void ngx_http_writeen_catch_fence(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_fence_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_give_up(ngx_http_writeen_catch_t *op);
static ngx_int_t ngx_http_writeen_catch_event(ngx_http_writeen_catch_t *op,
    ngx_str_t *payload);
static void ngx_http_writeen_catch_cursors(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_joined(ngx_http_writeen_catch_t *op,
    int64_t seq);
static void ngx_http_writeen_link_opened(ngx_http_writeen_link_t *l);


static const wrt_slice_t  ngx_http_writeen_join_name =
    { "join_conversation", sizeof("join_conversation") - 1 };


/* -- links -- */

ngx_http_writeen_link_t *
ngx_http_writeen_link_find(ngx_http_writeen_session_t *s, const char *id,
    size_t n)
{
    ngx_queue_t              *q;
    ngx_http_writeen_link_t  *l;
    ngx_http_writeen_room_t  *rm;

    rm = ngx_http_writeen_room_get(ngx_http_writeen_worker, id, n, 0);

    if (rm == NULL) {
        return NULL;
    }

    /* the shorter way: a room may have thousands, a user some dozens */

    if (rm->nlinks <= s->nlinks) {

        for (q = ngx_queue_head(&rm->links);
             q != ngx_queue_sentinel(&rm->links);
             q = ngx_queue_next(q))
        {
            l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

            if (l->session == s) {
                return l;
            }
        }

        return NULL;
    }

    for (q = ngx_queue_head(&s->links);
         q != ngx_queue_sentinel(&s->links);
         q = ngx_queue_next(q))
    {
        l = ngx_queue_data(q, ngx_http_writeen_link_t, session_queue);

        if (l->room == rm) {
            return l;
        }
    }

    return NULL;
}


static ngx_http_writeen_link_t *
ngx_http_writeen_link_new(ngx_http_writeen_session_t *s, const char *id,
    size_t n)
{
    ngx_http_writeen_link_t    *l;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;

    rm = ngx_http_writeen_room_get(wk, id, n, 1);
    if (rm == NULL) {
        return NULL;
    }

    l = ngx_calloc(sizeof(ngx_http_writeen_link_t), wk->log);
    if (l == NULL) {
        return NULL;
    }

    l->room = rm;
    l->session = s;
    l->seq = -1;
    l->first = -1;

    if (ngx_queue_empty(&rm->links)) {
        ngx_queue_remove(&rm->idle);
        ngx_queue_init(&rm->idle);
    }

    ngx_queue_insert_tail(&rm->links, &l->room_queue);
    ngx_queue_insert_tail(&s->links, &l->session_queue);
    rm->nlinks++;
    s->nlinks++;

    if (rm->midway && rm->cursor == ngx_queue_sentinel(&rm->links)) {
        /* a walk at its end must not go on with the newcomer */
        return l;
    }

    return l;
}


ngx_http_writeen_link_t *
ngx_http_writeen_link_create(ngx_http_writeen_session_t *s, const char *id,
    size_t n, int64_t after)
{
    ngx_http_writeen_link_t   *l;
    ngx_http_writeen_catch_t  *op;

    l = ngx_http_writeen_link_new(s, id, n);
    if (l == NULL) {
        return NULL;
    }

    op = ngx_http_writeen_catch_create(s, id, n);
    if (op == NULL) {
        ngx_http_writeen_link_free(l);
        return NULL;
    }

    op->mode = (after >= 0) ? CATCH_CATCH : CATCH_PEEK;
    op->asked = after;
    op->after = after;
    op->link = l;
    l->catch_op = op;

    if (l->room->sub == NGX_HTTP_WRITEEN_SUB_READY) {
        ngx_http_writeen_catch_run(op);
    }

    return l;
}


void
ngx_http_writeen_link_free(ngx_http_writeen_link_t *l)
{
    ngx_http_writeen_room_t     *rm;
    ngx_http_writeen_catch_t    *op;
    ngx_http_writeen_session_t  *s;

    rm = l->room;
    s = l->session;

    while (l->catch_op != NULL) {
        op = l->catch_op;
        l->catch_op = op->next;

        if (op->reading) {
            op->reading = 0;

            if (--rm->catching == 0) {
                ngx_http_writeen_room_clear_recent(rm);
            }
        }

        op->link = NULL;
        op->next = NULL;

        ngx_queue_remove(&op->op.queue);
        ngx_queue_init(&op->op.queue);
        op->op.session = NULL;
        ngx_http_writeen_catch_abandon(&op->op);
    }

    if (rm->midway && rm->cursor == &l->room_queue) {
        rm->cursor = ngx_queue_next(&l->room_queue);
    }

    ngx_queue_remove(&l->room_queue);
    ngx_queue_remove(&l->session_queue);
    rm->nlinks--;
    s->nlinks--;

    if (ngx_queue_empty(&rm->links)) {
        rm->idle_since = ngx_current_msec;
        ngx_queue_insert_tail(&ngx_http_writeen_worker->idle_rooms,
                              &rm->idle);
    }

    if (l->opening) {
        s->opening--;
    }

    ngx_free(l);
}


void
ngx_http_writeen_link_ready(ngx_http_writeen_link_t *l)
{
    if (l->catch_op != NULL && !l->catch_op->inflight) {
        ngx_http_writeen_catch_run(l->catch_op);
    }
}


void
ngx_http_writeen_link_leave(ngx_http_writeen_room_t *rm, ngx_str_t *uid)
{
    ngx_queue_t              *q, *next;
    ngx_http_writeen_link_t  *l;
    ngx_http_writeen_user_t  *u;

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = next)
    {
        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);
        u = l->session->user;

        if (u->node.str.len == uid->len
            && ngx_memcmp(u->uid, uid->data, uid->len) == 0)
        {
            ngx_http_writeen_link_free(l);
        }
    }
}


void
ngx_http_writeen_link_resync(ngx_http_writeen_link_t *l, int64_t seq)
{
    u_char  *p, buf[WRT_ID_MAX + 256];

    ngx_http_writeen_count(ngx_http_writeen_worker, resyncs_total);

    p = ngx_sprintf(buf, "{\"event\":\"resync_required\",\"data\":{"
                    "\"conversationId\":\"%V\"", &l->room->node.str);

    if (seq >= 0) {
        p = ngx_sprintf(p, ",\"seq\":%L", seq);
    }

    p = ngx_sprintf(p, ",\"afterSeq\":%L}}", ngx_max(l->seq, 0));

    ngx_http_writeen_output_text(l->session, buf, p - buf);

    l->seq = seq;
    l->first = seq;
}


/* One room less to wait for before `connected`. */

static void
ngx_http_writeen_link_opened(ngx_http_writeen_link_t *l)
{
    ngx_http_writeen_session_t  *s;

    s = l->session;

    if (l->opening) {
        l->opening = 0;
        s->opening--;
        ngx_http_writeen_session_opened(s);
    }
}


/* -- what clients ask for -- */

void
ngx_http_writeen_join(ngx_http_writeen_session_t *s,
    wrt_slice_t conversation, int64_t after, wrt_slice_t id)
{
    ngx_uint_t                  n;
    ngx_http_writeen_link_t    *l;
    ngx_http_writeen_catch_t   *op, **last;

    op = ngx_http_writeen_catch_create(s, conversation.p, conversation.n);
    if (op == NULL) {
        ngx_http_writeen_session_close(s, WRT_CLOSE_INTERNAL, "no memory");
        return;
    }

    op->answer = 1;
    op->asked = after;
    op->after = after;
    op->echo_len = id.n;
    ngx_memcpy(op->echo, id.p, id.n);

    l = ngx_http_writeen_link_find(s, conversation.p, conversation.n);

    if (l == NULL) {
        op->mode = CATCH_CHECK;
        ngx_http_writeen_catch_run(op);
        return;
    }

    op->link = l;

    for (n = 0, last = &l->catch_op; *last != NULL; last = &(*last)->next) {
        n++;
    }

    if (n > NGX_HTTP_WRITEEN_CATCH_CHAIN) {
        ngx_http_writeen_catch_refuse(op, "rate_limited");
        return;
    }

    *last = op;

    if (l->catch_op == op) {
        ngx_http_writeen_catch_begin(op);
    }
}


void
ngx_http_writeen_link_release(ngx_http_writeen_session_t *s)
{
    ngx_queue_t               *q, *next;
    ngx_http_writeen_link_t   *l;
    ngx_http_writeen_room_t   *rm;
    ngx_http_writeen_catch_t  *op;

    s->resuming = 0;

    for (q = ngx_queue_head(&s->links);
         q != ngx_queue_sentinel(&s->links);
         q = next)
    {
        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, session_queue);
        rm = l->room;

        if (l->state != NGX_HTTP_WRITEEN_LINK_HELD || l->catch_op != NULL) {
            continue;
        }

        if (rm->seq == l->seq) {
            l->state = NGX_HTTP_WRITEEN_LINK_LIVE;
            continue;
        }

        /* not named: it goes on where `connected` found it */

        op = ngx_http_writeen_catch_create(s, (char *) rm->id,
                                           rm->node.str.len);
        if (op == NULL) {
            l->state = NGX_HTTP_WRITEEN_LINK_LIVE;
            continue;
        }

        op->link = l;
        l->catch_op = op;
        ngx_http_writeen_catch_begin(op);
    }
}


/* -- catching up -- */

static ngx_http_writeen_catch_t *
ngx_http_writeen_catch_create(ngx_http_writeen_session_t *s, const char *id,
    size_t n)
{
    ngx_http_writeen_catch_t  *op;

    op = ngx_calloc(sizeof(ngx_http_writeen_catch_t),
                    ngx_http_writeen_worker->log);
    if (op == NULL) {
        return NULL;
    }

    op->op.session = s;
    op->op.abandon = ngx_http_writeen_catch_abandon;
    ngx_queue_insert_tail(&s->ops, &op->op.queue);
    ngx_queue_init(&op->retry);

    op->worker = ngx_http_writeen_worker;
    op->asked = -1;
    op->after = -1;
    op->len = n;
    ngx_memcpy(op->id, id, n);

    return op;
}


static void
ngx_http_writeen_catch_free(ngx_http_writeen_catch_t *op)
{
    ngx_queue_remove(&op->op.queue);
    ngx_queue_remove(&op->retry);

    if (op->cursors != NULL) {
        ngx_free(op->cursors);
    }

    ngx_free(op);
}


/* Session or link is going: an answer under way frees it, else we do. */

static void
ngx_http_writeen_catch_abandon(ngx_http_writeen_op_t *data)
{
    ngx_http_writeen_catch_t  *op = (ngx_http_writeen_catch_t *) data;

    if (!op->inflight) {
        ngx_http_writeen_catch_free(op);
    }
}


/* The link is known: which way leads from where it is to what is asked? */

static void
ngx_http_writeen_catch_begin(ngx_http_writeen_catch_t *op)
{
    ngx_http_writeen_link_t  *l;

    l = op->link;

    switch (l->state) {

    case NGX_HTTP_WRITEEN_LINK_LIVE:

        if (l->seq == -1) {
            op->mode = (op->asked >= 0) ? CATCH_CATCH : CATCH_FLOOR;

        } else if (op->asked < 0 || op->asked >= l->seq) {
            op->mode = CATCH_INFO;

        } else if (l->seq == l->first) {
            /* nothing live was sent yet: one unbroken row is possible */
            op->mode = CATCH_CATCH;

        } else if (op->asked >= l->first) {
            op->mode = CATCH_INFO;

        } else {
            op->mode = CATCH_REPLAY;
            op->limit = l->first;
        }

        break;

    case NGX_HTTP_WRITEEN_LINK_HELD:

        if (op->asked >= 0) {
            op->mode = CATCH_CATCH;

        } else if (l->seq >= 0) {
            op->mode = CATCH_CATCH;
            op->after = l->seq;

        } else {
            op->mode = CATCH_FLOOR;
        }

        break;

    default: /* a link that has just been made */
        op->mode = (op->asked >= 0) ? CATCH_CATCH : CATCH_NOW;
    }

    ngx_http_writeen_catch_run(op);
}


static void
ngx_http_writeen_catch_run(ngx_http_writeen_catch_t *op)
{
    ngx_str_t                   uid;
    ngx_uint_t                  k;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_args_t     a;
    char                        conv[WRT_NAME_BUF], log[WRT_NAME_BUF];
    char                        member[WRT_ID_MAX + 2];

    rm = op->link ? op->link->room : NULL;

    if (rm != NULL && rm->sub != NGX_HTTP_WRITEEN_SUB_READY) {
        /* room_subscribed calls us again */
        if (op->link->state != NGX_HTTP_WRITEEN_LINK_LIVE) {
            op->link->state = NGX_HTTP_WRITEEN_LINK_WAIT;
            return;
        }

        if (op->mode != CATCH_INFO && op->mode != CATCH_REPLAY) {
            ngx_http_writeen_catch_later(op);
            return;
        }
    }

    uid = op->op.session->user->node.str;
    k = wrt_shard(&op->worker->names, (char *) op->id, op->len);

    a.n = 0;
    a.nnum = 0;

    if (op->mode == CATCH_PEEK) {
        ngx_memcpy(member, WRT_F_MEMBER, 2);
        ngx_memcpy(member + 2, uid.data, uid.len);

        ngx_http_writeen_arg_lit(&a, "HMGET");
        ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, k, (char *) op->id,
                                                    op->len));
        ngx_http_writeen_arg_lit(&a, WRT_F_SEQ);
        ngx_http_writeen_arg(&a, member, uid.len + 2);

    } else {
        ngx_http_writeen_arg_lit(&a, "FCALL");
        ngx_http_writeen_arg_lit(&a, WRT_FN_CATCH);
        ngx_http_writeen_arg_lit(&a, "2");
        ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, k, (char *) op->id,
                                                    op->len));
        ngx_http_writeen_arg(&a, log, wrt_key_log(log, k, (char *) op->id,
                                                  op->len));
        ngx_http_writeen_arg(&a, uid.data, uid.len);
        ngx_http_writeen_arg_num(&a, (op->mode == CATCH_CATCH
                                      || op->mode == CATCH_REPLAY)
                                     ? op->after : -1);
        ngx_http_writeen_arg_num(&a, WRT_RESUME_MAX);
        ngx_http_writeen_arg(&a, (op->answer && !op->joined
                                  && op->mode != CATCH_CHECK) ? "1" : "0", 1);
    }

    if (ngx_http_writeen_bus_call(op->worker,
                                  ngx_http_writeen_bus_server(op->worker, k),
                                  &a, ngx_http_writeen_catch_reply, op)
        != NGX_OK)
    {
        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;

    if (op->mode == CATCH_NOW || op->mode == CATCH_FLOOR
        || op->mode == CATCH_CATCH)
    {
        op->link->state = NGX_HTTP_WRITEEN_LINK_CATCH;

        if (!op->reading) {
            op->reading = 1;
            rm->catching++;
        }
    }
}


static void
ngx_http_writeen_catch_later(ngx_http_writeen_catch_t *op)
{
    ngx_queue_remove(&op->retry);
    ngx_queue_insert_tail(&op->worker->retries, &op->retry);
}


/* Redis is back, or a second has passed. */

void
ngx_http_writeen_catch_retry(ngx_http_writeen_worker_t *wk)
{
    ngx_queue_t                todo, *q;
    ngx_http_writeen_catch_t  *op;

    if (ngx_queue_empty(&wk->retries)) {
        return;
    }

    ngx_queue_init(&todo);
    ngx_queue_add(&todo, &wk->retries);
    ngx_queue_init(&wk->retries);

    while (!ngx_queue_empty(&todo)) {
        q = ngx_queue_head(&todo);
        op = ngx_queue_data(q, ngx_http_writeen_catch_t, retry);

        ngx_queue_remove(q);
        ngx_queue_init(q);

        ngx_http_writeen_catch_run(op);
    }
}


/* An answer came.  0: session or link are gone, and so is op now. */

static ngx_uint_t
ngx_http_writeen_catch_arrived(ngx_http_writeen_catch_t *op)
{
    op->inflight = 0;

    if (op->op.session == NULL
        || (op->link == NULL
            && op->op.session->state != NGX_HTTP_WRITEEN_OPEN))
    {
        ngx_http_writeen_catch_free(op);
        return 0;
    }

    return 1;
}


static void
ngx_http_writeen_catch_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_catch_t  *op = data;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    switch (res->rc) {

    case NGX_HTTP_WRITEEN_R_OK:
        if (op->mode == CATCH_PEEK) {
            ngx_http_writeen_catch_peeked(op, res);
            return;
        }

        ngx_http_writeen_catch_ok(op, res);
        return;

    case NGX_HTTP_WRITEEN_R_OLD:
        ngx_http_writeen_catch_cursors(op, res);
        ngx_http_writeen_catch_store(op);
        return;

    case NGX_HTTP_WRITEEN_R_MANY:
        ngx_http_writeen_catch_cursors(op, res);
        ngx_http_writeen_catch_give_up(op);
        return;

    case NGX_HTTP_WRITEEN_R_NOLOAD:
        ngx_http_writeen_catch_load(op);
        return;

    case NGX_HTTP_WRITEEN_R_DENIED:
        ngx_http_writeen_catch_refuse(op, "not_found");
        return;

    default:
        ngx_http_writeen_catch_later(op);
    }
}


/* Opening a connection: is he a member, and where does the room stand? */

static void
ngx_http_writeen_catch_peeked(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    int64_t                      seq;
    ngx_str_t                    text, member;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_room_t     *rm;
    ngx_http_writeen_session_t  *s;

    l = op->link;
    rm = l->room;
    s = op->op.session;

    if (ngx_http_writeen_result_str(res, 0, &text) == NGX_OK) {

        if (ngx_http_writeen_result_str(res, 1, &member) != NGX_OK) {
            /* the list of rooms was behind: he has left */
            l->catch_op = NULL;
            op->link = NULL;
            ngx_http_writeen_catch_free(op);

            ngx_http_writeen_link_opened(l);
            ngx_http_writeen_link_free(l);
            return;
        }

        seq = ngx_http_writeen_result_num(res, 0);

        /*
         * A room that nobody is live in takes the number over.  Otherwise it
         * stands where its live links stand, which may be less (the bus lags)
         * or more (we asked earlier).
         */

        if (rm->seq == -1 && rm->nlinks == 1) {
            rm->seq = seq;
        }

        l->seq = ngx_max(seq, rm->seq);
        l->first = l->seq;
    }

    l->state = s->resuming ? NGX_HTTP_WRITEEN_LINK_HELD
                           : NGX_HTTP_WRITEEN_LINK_LIVE;

    ngx_http_writeen_catch_done(op);
    ngx_http_writeen_link_opened(l);
}


static void
ngx_http_writeen_catch_ok(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    int64_t                      seq, floor;
    ngx_str_t                    payload;
    ngx_uint_t                   i, n;
    ngx_http_writeen_link_t     *l;

    seq = ngx_http_writeen_result_num(res, 0);
    floor = ngx_http_writeen_result_num(res, 2);

    if (op->mode == CATCH_CHECK) {
        l = ngx_http_writeen_link_find(op->op.session, (char *) op->id,
                                       op->len);

        if (l == NULL) {
            l = ngx_http_writeen_link_new(op->op.session, (char *) op->id,
                                          op->len);
        }

        if (l == NULL || l->catch_op != NULL) {
            ngx_http_writeen_catch_refuse(op, "unavailable");
            return;
        }

        op->link = l;
        l->catch_op = op;
        ngx_http_writeen_catch_begin(op);
        return;
    }

    if (op->asked > seq && !op->fenced && op->mode != CATCH_PEEK) {
        ngx_http_writeen_catch_fence(op);
        return;
    }

    l = op->link;

    if (op->mode == CATCH_FLOOR) {
        op->after = floor;
        op->mode = CATCH_CATCH;

        if (floor < seq) {
            ngx_http_writeen_catch_run(op);
            return;
        }
    }

    ngx_http_writeen_catch_cursors(op, res);

    n = ngx_http_writeen_result_count(res, 3);

    if (op->answer && !op->joined) {

        for (i = 0; i < n; i++) {
            /* what a replay skips was not missed */
            if (ngx_http_writeen_result_sub(res, 3, i, &payload) == NGX_OK
                && (op->mode != CATCH_REPLAY
                    || ngx_http_writeen_payload_seq(&payload) <= op->limit))
            {
                op->missed++;
            }
        }

        ngx_http_writeen_catch_joined(op, (op->mode == CATCH_INFO) ? l->seq
                                                                   : seq);
    }

    for (i = 0; i < n; i++) {
        if (ngx_http_writeen_result_sub(res, 3, i, &payload) == NGX_OK
            && ngx_http_writeen_catch_event(op, &payload) != NGX_OK)
        {
            return;
        }
    }

    if (n != 0) {
        ngx_http_writeen_count(op->worker, catchups_total);
    }

    if (op->mode == CATCH_REPLAY) {
        l->first = op->asked;
        ngx_http_writeen_catch_done(op);
        return;
    }

    if (op->mode == CATCH_INFO) {
        ngx_http_writeen_catch_done(op);
        return;
    }

    ngx_http_writeen_catch_live(op, seq);
}


/* Everything up to seq is sent: add what came meanwhile, and be live. */

static void
ngx_http_writeen_catch_live(ngx_http_writeen_catch_t *op, int64_t seq)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_held_t     *held;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_room_t     *rm;
    ngx_http_writeen_session_t  *s;

    l = op->link;
    rm = l->room;
    s = op->op.session;

    if (rm->lost) {
        /* more came than the room keeps: read on from here */
        op->reading = 0;

        if (--rm->catching == 0) {
            ngx_http_writeen_room_clear_recent(rm);
        }

        op->mode = CATCH_CATCH;
        op->after = seq;
        ngx_http_writeen_catch_run(op);
        return;
    }

    if (rm->seq == -1 && rm->nlinks == 1) {
        rm->seq = seq;
    }

    l->seq = seq;
    l->first = (op->asked >= 0 && !op->resync) ? ngx_min(op->asked, seq)
                                               : seq;
    l->state = NGX_HTTP_WRITEEN_LINK_LIVE;

    for (q = ngx_queue_head(&rm->recent);
         q != ngx_queue_sentinel(&rm->recent);
         q = ngx_queue_next(q))
    {
        held = ngx_queue_data(q, ngx_http_writeen_held_t, queue);
        msg = held->msg;

        if (msg->seq > 0) {
            if (msg->seq <= l->seq) {
                continue;
            }

            l->seq = msg->seq;
        }

        ngx_http_writeen_output(s, msg);

        if (s->state != NGX_HTTP_WRITEEN_OPEN
            && s->state != NGX_HTTP_WRITEEN_OPENING)
        {
            /* too slow: closed, and the link gone with it */
            return;
        }
    }

    ngx_http_writeen_catch_done(op);
    ngx_http_writeen_link_opened(l);
}


static void
ngx_http_writeen_catch_done(ngx_http_writeen_catch_t *op)
{
    ngx_http_writeen_link_t  *l;

    l = op->link;

    if (op->reading && --l->room->catching == 0) {
        ngx_http_writeen_room_clear_recent(l->room);
    }

    l->catch_op = op->next;
    ngx_http_writeen_catch_free(op);

    if (l->catch_op != NULL) {
        ngx_http_writeen_catch_begin(l->catch_op);
    }
}


/* No: unknown, not his, or not possible now. */

static void
ngx_http_writeen_catch_refuse(ngx_http_writeen_catch_t *op, const char *code)
{
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_error_t     e;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;
    l = op->link;

    if (op->answer) {
        ngx_memzero(&e, sizeof(ngx_http_writeen_error_t));

        e.id.p = (char *) op->echo;
        e.id.n = op->echo_len;
        e.event = ngx_http_writeen_join_name;
        e.conversation.p = (char *) op->id;
        e.conversation.n = op->len;
        e.code = code;

        if (ngx_strcmp(code, "not_found") == 0) {
            e.message = "There is no such conversation.";

        } else {
            e.message = "This is not possible right now, try again.";
            e.retryable = 1;
            e.retry_ms = 1000;
        }

        ngx_http_writeen_event_error(s, &e);
    }

    if (l == NULL || l->catch_op != op) {
        ngx_http_writeen_catch_free(op);
        return;
    }

    if (ngx_strcmp(code, "not_found") != 0) {
        if (l->state != NGX_HTTP_WRITEEN_LINK_LIVE) {
            l->state = NGX_HTTP_WRITEEN_LINK_LIVE;
        }

        ngx_http_writeen_catch_done(op);
        ngx_http_writeen_link_opened(l);
        return;
    }

    ngx_http_writeen_link_opened(l);
    ngx_http_writeen_link_free(l);
}


/* -- side steps -- */

static void
ngx_http_writeen_catch_load(ngx_http_writeen_catch_t *op)
{
    wrt_slice_t  id;

    id.p = (char *) op->id;
    id.n = op->len;

    op->wait.handler = ngx_http_writeen_catch_loaded;
    op->wait.data = op;

    if (ngx_http_writeen_load(op->worker, id, &op->wait) != NGX_OK) {

        if (op->tries++ >= NGX_HTTP_WRITEEN_CATCH_TRIES) {
            ngx_http_writeen_catch_refuse(op, "unavailable");
            return;
        }

        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_catch_loaded(void *data, ngx_int_t ok)
{
    ngx_http_writeen_catch_t  *op = data;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (ok == 1) {
        ngx_http_writeen_catch_run(op);
        return;
    }

    ngx_http_writeen_catch_refuse(op, ok == 0 ? "not_found" : "unavailable");
}


static void
ngx_http_writeen_catch_store(ngx_http_writeen_catch_t *op)
{
    u_char                   seq[NGX_INT64_LEN];
    ngx_http_writeen_call_t  call;

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_CHANGES);
    call.path.data = op->id;
    call.path.len = op->len;
    call.query.data = seq;
    call.query.len = ngx_sprintf(seq, "%L", op->after) - seq;
    call.timeout = WRT_RPC_TIMEOUT_MS;

    if (ngx_http_writeen_rpc_call(op->worker, &call,
                                  ngx_http_writeen_catch_store_reply, op)
        == NULL)
    {
        if (op->tries++ >= NGX_HTTP_WRITEEN_CATCH_TRIES) {
            ngx_http_writeen_catch_give_up(op);
            return;
        }

        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_catch_store_reply(void *data, ngx_uint_t status,
    ngx_str_t *body, ngx_uint_t retry)
{
    int64_t                    upto;
    ngx_str_t                  payload;
    ngx_http_writeen_catch_t  *op = data;
    ngx_http_writeen_lines_t   lines;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (status != 200
        || ngx_http_writeen_lines_first(&lines, body, &upto) != NGX_OK)
    {
        if (status == 413 || status == 404
            || op->tries++ >= NGX_HTTP_WRITEEN_CATCH_TRIES)
        {
            ngx_http_writeen_catch_give_up(op);
            return;
        }

        ngx_http_writeen_catch_later(op);
        return;
    }

    ngx_http_writeen_count(op->worker, catchups_store_total);

    if (op->answer && !op->joined) {
        op->compact = 1;
        op->missed = lines.n;
        ngx_http_writeen_catch_joined(op, upto);
    }

    while (ngx_http_writeen_lines_next(&lines, &payload) == NGX_OK) {
        if (ngx_http_writeen_catch_event(op, &payload) != NGX_OK) {
            return;
        }
    }

    op->after = ngx_max(op->after, upto);

    if (op->mode == CATCH_REPLAY && op->after >= op->limit) {
        op->link->first = op->asked;
        ngx_http_writeen_catch_done(op);
        return;
    }

    ngx_http_writeen_catch_run(op);
}


/* The client saw a number that Redis has not given (a lost second). */

static void
ngx_http_writeen_catch_fence(ngx_http_writeen_catch_t *op)
{
    op->fenced = 1;

    if (ngx_http_writeen_fence(op->worker, (char *) op->id, op->len,
                               op->asked, WRT_FENCE_MAX,
                               ngx_http_writeen_catch_fence_reply, op)
        != NGX_OK)
    {
        op->fenced = 0;
        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_catch_fence_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_catch_t  *op = data;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (res->rc == NGX_HTTP_WRITEEN_R_OK) {
        ngx_http_writeen_catch_run(op);

    } else if (res->rc == NGX_HTTP_WRITEEN_R_MANY) {
        /* not a lost second: nonsense */
        ngx_http_writeen_catch_give_up(op);

    } else {
        op->fenced = 0;
        ngx_http_writeen_catch_later(op);
    }
}


/* It can not be recovered: say so, and be live from now on. */

static void
ngx_http_writeen_catch_give_up(ngx_http_writeen_catch_t *op)
{
    op->resync = 1;
    op->asked = -1;
    op->after = -1;
    op->mode = (op->mode == CATCH_REPLAY
                || op->link->state == NGX_HTTP_WRITEEN_LINK_LIVE)
               ? CATCH_INFO : CATCH_NOW;

    ngx_http_writeen_catch_run(op);
}


ngx_int_t
ngx_http_writeen_fence(ngx_http_writeen_worker_t *wk, const char *id,
    size_t n, int64_t known, int64_t max, ngx_http_writeen_bus_pt handler,
    void *data)
{
    char                      conv[WRT_NAME_BUF], log[WRT_NAME_BUF];
    char                      ingest[WRT_NAME_BUF], chan[WRT_NAME_BUF];
    char                      at[WRT_TIME_LEN + 1];
    ngx_uint_t                k;
    ngx_http_writeen_args_t   a;

    k = wrt_shard(&wk->names, id, n);
    ngx_http_writeen_now(at);

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_FENCE);
    ngx_http_writeen_arg_lit(&a, "3");
    ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, k, id, n));
    ngx_http_writeen_arg(&a, log, wrt_key_log(log, k, id, n));
    ngx_http_writeen_arg(&a, ingest, wrt_key_ingest(ingest, k));
    ngx_http_writeen_arg(&a, chan, ngx_http_writeen_bus_room(wk, chan, k, id,
                                                             n));
    ngx_http_writeen_arg(&a, id, n);
    ngx_http_writeen_arg_num(&a, known);
    ngx_http_writeen_arg(&a, at, WRT_TIME_LEN);
    ngx_http_writeen_arg_num(&a, max);

    return ngx_http_writeen_bus_call(wk, ngx_http_writeen_bus_server(wk, k),
                                     &a, handler, data);
}


/* -- what goes to the client -- */

/* An event that was missed.  NGX_DONE: that was his own leaving, or the
 * session is being closed; link and op are gone. */

static ngx_int_t
ngx_http_writeen_catch_event(ngx_http_writeen_catch_t *op, ngx_str_t *payload)
{
    wrt_bus_header_t             h;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;
    l = op->link;

    if (wrt_bus_parse(&h, (char *) payload->data, payload->len) != 0
        || h.kind == WRT_EV_FENCE
        || (op->mode == CATCH_REPLAY && h.num[0] > op->limit))
    {
        return NGX_OK;
    }

    msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, h.body.p, h.body.n);
    if (msg == NULL) {
        ngx_http_writeen_session_drop(s);
        return NGX_DONE;
    }

    msg->seq = ngx_max(h.num[0], 0);
    msg->kind = h.kind;

    ngx_http_writeen_output(s, msg);
    ngx_http_writeen_msg_unref(msg);

    if (s->state != NGX_HTTP_WRITEEN_OPEN
        && s->state != NGX_HTTP_WRITEEN_OPENING)
    {
        return NGX_DONE;
    }

    if (h.kind == WRT_EV_LEAVE && h.f[2].n == s->user->node.str.len
        && ngx_memcmp(h.f[2].p, s->user->uid, h.f[2].n) == 0)
    {
        ngx_http_writeen_link_opened(l);
        ngx_http_writeen_link_free(l);
        return NGX_DONE;
    }

    return NGX_OK;
}


static void
ngx_http_writeen_catch_cursors(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    u_char      *p;
    ngx_str_t    uid, r, d;
    ngx_uint_t   i, n;

    if (!op->answer || op->joined || op->cursors != NULL) {
        return;
    }

    n = ngx_http_writeen_result_count(res, 4);

    op->cursors = ngx_alloc(2 + (n / 3) * (WRT_ID_MAX
                            + sizeof("{\"userId\":\"\",\"readSeq\":,"
                                     "\"deliveredSeq\":},")
                            + 2 * NGX_INT64_LEN), op->worker->log);
    if (op->cursors == NULL) {
        return;
    }

    p = op->cursors;
    *p++ = '[';

    for (i = 0; i + 2 < n; i += 3) {

        if (ngx_http_writeen_result_sub(res, 4, i, &uid) != NGX_OK
            || ngx_http_writeen_result_sub(res, 4, i + 1, &r) != NGX_OK
            || ngx_http_writeen_result_sub(res, 4, i + 2, &d) != NGX_OK
            || uid.len > WRT_ID_MAX || r.len > NGX_INT64_LEN
            || d.len > NGX_INT64_LEN)
        {
            continue;
        }

        p = ngx_sprintf(p, "%s{\"userId\":\"%V\",\"readSeq\":%V,"
                        "\"deliveredSeq\":%V}",
                        (p[-1] == '[') ? "" : ",", &uid, &r, &d);
    }

    *p++ = ']';
    op->cursors_len = p - op->cursors;
}


static void
ngx_http_writeen_catch_joined(ngx_http_writeen_catch_t *op, int64_t seq)
{
    u_char                      *p, *buf;
    ngx_uint_t                   i;
    wrt_slice_t                  id;
    ngx_queue_t                 *q, *prev;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_user_t     *u;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;
    op->joined = 1;

    id.p = (char *) op->echo;
    id.n = op->echo_len;
    ngx_http_writeen_event_ack(s, id, ngx_http_writeen_join_name);

    buf = ngx_alloc(512 + WRT_ID_MAX + 6 * WRT_CLIENT_ID_MAX
                    + NGX_HTTP_WRITEEN_ONLINE_MAX * (WRT_ID_MAX + 3)
                    + op->cursors_len, op->worker->log);
    if (buf == NULL) {
        return;
    }

    p = ngx_sprintf(buf, "{\"event\":\"conversation_joined\",\"data\":{");

    if (op->echo_len != 0) {
        p = ngx_cpymem(p, "\"id\":\"", 6);
        p += wrt_json_escape((char *) p, (char *) op->echo, op->echo_len);
        p = ngx_cpymem(p, "\",", 2);
    }

    p = ngx_sprintf(p, "\"conversationId\":\"%*s\",\"seq\":%L,"
                    "\"recovered\":%s,\"missed\":%ui,%s\"online\":[",
                    op->len, op->id, ngx_max(seq, 0),
                    op->resync ? "false" : "true", op->missed,
                    op->compact ? "\"compact\":true," : "");

    /* users of this room on this worker, each once */

    i = 0;

    for (q = ngx_queue_head(&op->link->room->links);
         q != ngx_queue_sentinel(&op->link->room->links)
         && i < NGX_HTTP_WRITEEN_ONLINE_MAX;
         q = ngx_queue_next(q))
    {
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);
        u = l->session->user;

        for (prev = ngx_queue_prev(q);
             prev != ngx_queue_sentinel(&op->link->room->links);
             prev = ngx_queue_prev(prev))
        {
            l = ngx_queue_data(prev, ngx_http_writeen_link_t, room_queue);

            if (l->session->user == u) {
                break;
            }
        }

        if (prev == ngx_queue_sentinel(&op->link->room->links)) {
            p = ngx_sprintf(p, "%s\"%V\"", i++ ? "," : "", &u->node.str);
        }
    }

    p = ngx_cpymem(p, "],\"cursors\":", sizeof("],\"cursors\":") - 1);

    if (op->cursors != NULL) {
        p = ngx_cpymem(p, op->cursors, op->cursors_len);

    } else {
        p = ngx_cpymem(p, "[]", 2);
    }

    p = ngx_cpymem(p, "}}", 2);

    ngx_http_writeen_output_text(s, buf, p - buf);

    if (op->resync) {
        u_char  text[256 + WRT_ID_MAX];

        ngx_http_writeen_count(op->worker, resyncs_total);

        p = ngx_sprintf(text, "{\"event\":\"resync_required\",\"data\":{"
                        "\"conversationId\":\"%*s\",\"seq\":%L}}",
                        op->len, op->id, ngx_max(seq, 0));

        ngx_http_writeen_output_text(s, text, p - text);
    }

    ngx_free(buf);
}


/* -- the body of a CHANGES reply -- */

static ngx_int_t
ngx_http_writeen_lines_line(ngx_http_writeen_lines_t *ln, ngx_str_t *line)
{
    u_char  *p;

    p = ngx_strlchr(ln->pos, ln->last, '\n');
    if (p == NULL) {
        return NGX_DECLINED;
    }

    line->data = ln->pos;
    line->len = p - ln->pos;
    ln->pos = p + 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_writeen_lines_first(ngx_http_writeen_lines_t *ln, ngx_str_t *body,
    int64_t *upto)
{
    u_char     *p, *last;
    ngx_int_t   n;
    ngx_str_t   line;

    ln->pos = body->data;
    ln->last = body->data + body->len;

    if (ngx_http_writeen_lines_line(ln, &line) != NGX_OK) {
        return NGX_DECLINED;
    }

    last = line.data + line.len;
    p = ngx_strlchr(line.data, last, ' ');

    if (p == NULL) {
        return NGX_DECLINED;
    }

    *upto = ngx_atoof(line.data, p - line.data);
    n = ngx_atoi(p + 1, last - p - 1);

    if (*upto < 0 || n < 0) {
        return NGX_DECLINED;
    }

    ln->n = n;

    return NGX_OK;
}


ngx_int_t
ngx_http_writeen_lines_next(ngx_http_writeen_lines_t *ln, ngx_str_t *payload)
{
    ngx_str_t  head, json;

    if (ngx_http_writeen_lines_line(ln, &head) != NGX_OK
        || ngx_http_writeen_lines_line(ln, &json) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    payload->data = head.data;
    payload->len = json.data + json.len - head.data;

    return NGX_OK;
}


int64_t
ngx_http_writeen_payload_seq(ngx_str_t *payload)
{
    wrt_bus_header_t  h;

    if (wrt_bus_parse(&h, (char *) payload->data, payload->len) != 0) {
        return -1;
    }

    return h.num[0];
}
