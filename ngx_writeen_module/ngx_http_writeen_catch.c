/*
 * ngx_http_writeen_catch.c: catching up.
 *
 * A catch is one walk through these modes, for one link or for somebody who
 * is not in the room yet:
 *
 *     CHECK  may he? (no link yet)         -> by the link | not_found
 *     PEEK   where does the room stand, is he a member: opening a connection
 *     NOW    the same with cursors, live from there
 *     INFO   the same for a link that is live already
 *     FLOOR  all that the log holds (the room was not in Redis when we came)
 *     CATCH  everything after a number, then live
 *     REPLAY what a live link missed before it became live
 *
 * Events are read in pages, by one catch-up of a session at a time, and a next
 * page only when the client's queue has drained: catching up never makes a
 * slow client's queue overflow.  An answer with many cursors is such a page,
 * too.
 *
 * There are side steps (catch_step.c): LOAD when the conversation is not in
 * Redis, STORE when the log does not reach back, FENCE when the client knows
 * more than Redis.  What can not be asked now is asked again when Redis is
 * back.
 */

#include "ngx_http_writeen_catch.h"


static void ngx_http_writeen_catch_free(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_ok(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_go(ngx_http_writeen_catch_t *op);
static void ngx_http_writeen_catch_peeked(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_live(ngx_http_writeen_catch_t *op,
    int64_t seq);


ngx_http_writeen_catch_t *
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
    op->began = -1;
    op->len = n;
    ngx_memcpy(op->id, id, n);

    return op;
}


static void
ngx_http_writeen_catch_free(ngx_http_writeen_catch_t *op)
{
    if (op->op.session != NULL) {
        ngx_http_writeen_catch_release(op, op->op.session);
        op->op.session->nchecks -= op->checks;
    }

    ngx_queue_remove(&op->op.queue);
    ngx_queue_remove(&op->retry);

    ngx_http_writeen_catch_forget(op);

    if (op->members != NULL) {
        ngx_free(op->members);
    }

    if (op->page != NULL) {
        ngx_free(op->page);
    }

    ngx_free(op);
}


void
ngx_http_writeen_catch_forget(ngx_http_writeen_catch_t *op)
{
    if (op->cursors.data != NULL) {
        ngx_free(op->cursors.data);
    }

    if (op->online.data != NULL) {
        ngx_free(op->online.data);
    }

    ngx_str_null(&op->cursors);
    ngx_str_null(&op->online);
}


/* Session or link is going: an answer under way frees it, else we do. */

void
ngx_http_writeen_catch_abandon(ngx_http_writeen_op_t *data)
{
    ngx_http_writeen_catch_t  *op = (ngx_http_writeen_catch_t *) data;

    if (!op->inflight) {
        ngx_http_writeen_catch_free(op);
    }
}


/* May the op read now?  0: it waits in the session's queue. */

static ngx_uint_t
ngx_http_writeen_catch_turn(ngx_http_writeen_catch_t *op)
{
    ngx_http_writeen_session_t  *s;

    s = op->op.session;

    if ((op->turn || !s->catching)
        && s->out_bytes <= s->conf->send_queue / 4)
    {
        op->turn = 1;
        s->catching = 1;
        return 1;
    }

    ngx_queue_remove(&op->retry);

    if (op->turn) {
        ngx_queue_insert_head(&s->paused, &op->retry);

    } else {
        ngx_queue_insert_tail(&s->paused, &op->retry);
    }

    return 0;
}


void
ngx_http_writeen_catch_release(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_session_t *s)
{
    if (op->turn) {
        op->turn = 0;
        s->catching = 0;
        ngx_http_writeen_catch_next(s);
    }
}


void
ngx_http_writeen_catch_next(ngx_http_writeen_session_t *s)
{
    ngx_queue_t               *q;
    ngx_http_writeen_catch_t  *op;

    /* one that can not be asked now does not take its turn */

    while (!ngx_queue_empty(&s->paused)
           && s->state < NGX_HTTP_WRITEEN_CLOSING
           && s->out_bytes <= s->conf->send_queue / 4)
    {
        q = ngx_queue_head(&s->paused);
        op = ngx_queue_data(q, ngx_http_writeen_catch_t, retry);

        if (s->catching && !op->turn) {
            return;
        }

        ngx_queue_remove(q);
        ngx_queue_init(q);

        ngx_http_writeen_catch_run(op);
    }
}


/* The link is known: which way leads from where it is to what is asked? */

void
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


void
ngx_http_writeen_catch_run(ngx_http_writeen_catch_t *op)
{
    ngx_str_t                   uid;
    ngx_uint_t                  k;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_args_t     a;
    char                        conv[WRT_NAME_BUF], log[WRT_NAME_BUF];
    char                        member[WRT_ID_MAX + 2];

    rm = op->link ? op->link->room : NULL;

    if (rm != NULL && rm->sub != NGX_HTTP_WRITEEN_SUB_READY
        && op->mode != CATCH_INFO && op->mode != CATCH_REPLAY)
    {
        /* room_subscribed calls us again */
        op->link->state = NGX_HTTP_WRITEEN_LINK_WAIT;
        ngx_http_writeen_catch_release(op, op->op.session);
        return;
    }

    if ((op->mode == CATCH_CATCH || op->mode == CATCH_REPLAY || op->large)
        && !ngx_http_writeen_catch_turn(op))
    {
        if (op->link->state != NGX_HTTP_WRITEEN_LINK_LIVE
            || op->mode == CATCH_CATCH)
        {
            op->link->state = NGX_HTTP_WRITEEN_LINK_CATCH;
        }

        return;
    }

    if (op->began == -1) {
        op->began = op->after;
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
        ngx_http_writeen_arg_num(&a, op->op.session->conf->send_queue / 4);
    }

    if (op->mode == CATCH_NOW || op->mode == CATCH_FLOOR
        || op->mode == CATCH_CATCH)
    {
        /* also if it has to wait: what came live would be read once more */
        op->link->state = NGX_HTTP_WRITEEN_LINK_CATCH;

        if (!op->reading) {
            op->reading = 1;
            rm->catching++;
        }
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
}


void
ngx_http_writeen_catch_later(ngx_http_writeen_catch_t *op)
{
    if (op->turn) {
        /* its server may be away for long: catch_retry lets others read */
        op->turn = 0;
        op->op.session->catching = 0;
    }

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

        ngx_http_writeen_catch_next(op->op.session);
        ngx_http_writeen_catch_run(op);
    }
}


/* An answer came.  0: session or link are gone, and so is op now. */

ngx_uint_t
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

    if (op->partial
        && (res->rc == NGX_HTTP_WRITEEN_R_OK
            || res->rc == NGX_HTTP_WRITEEN_R_MANY))
    {
        /*
         * The log may reach back to this page's end by now, but it says of a
         * message on a later page only what was last done to it: what began
         * compact ends so.
         */
        res->rc = NGX_HTTP_WRITEEN_R_OLD;
    }

    if (!op->answer && (res->rc == NGX_HTTP_WRITEEN_R_OLD
                        || res->rc == NGX_HTTP_WRITEEN_R_MANY))
    {
        /* nobody asked; but what comes is no unbroken row: it has to be said */
        op->answer = 1;
        ngx_http_writeen_catch_run(op);
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
        ngx_http_writeen_catch_ask(op, res, ngx_http_writeen_catch_store);
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

            ngx_http_writeen_link_free(l);
            ngx_http_writeen_session_opened(s);
            return;
        }

        seq = ngx_http_writeen_result_num(res, 0);

        /*
         * A room that nobody is live in takes the number over.  Otherwise it
         * stands where its live links stand, which may be less (the bus lags)
         * or more (we asked earlier).
         */

        ngx_http_writeen_room_known(rm, seq);

        l->seq = ngx_max(seq, rm->seq);
        l->first = l->seq;
        l->member = seq;
    }

    l->state = (s->resuming || s->state == NGX_HTTP_WRITEEN_OPENING)
               ? NGX_HTTP_WRITEEN_LINK_HELD : NGX_HTTP_WRITEEN_LINK_LIVE;

    ngx_http_writeen_catch_done(op);
    ngx_http_writeen_link_opened(l);
}


static void
ngx_http_writeen_catch_ok(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    int64_t                   seq, floor;
    ngx_http_writeen_link_t  *l;

    seq = ngx_http_writeen_result_num(res, 0);
    floor = ngx_http_writeen_result_num(res, 2);

    if (op->mode == CATCH_CHECK) {
        l = ngx_http_writeen_link_find(op->op.session, (char *) op->id,
                                       op->len);

        if (l == NULL) {
            l = ngx_http_writeen_link_new(op->op.session, (char *) op->id,
                                          op->len);
        }

        if (l == NULL) {
            ngx_http_writeen_catch_refuse(op, "unavailable");
            return;
        }

        ngx_http_writeen_link_join(l, op);
        return;
    }

    if (op->asked > seq && !op->fenced) {
        ngx_http_writeen_catch_fence(op);
        return;
    }

    if (op->mode == CATCH_FLOOR) {
        op->after = floor;
        op->mode = CATCH_CATCH;

        if (floor < seq) {
            ngx_http_writeen_catch_run(op);
            return;
        }
    }

    if (ngx_http_writeen_catch_keep(op, res) != NGX_OK) {
        ngx_http_writeen_session_drop(op->op.session);
        return;
    }

    op->stood = seq;
    ngx_http_writeen_catch_cursors(op, res);
    ngx_http_writeen_catch_ask(op, res, ngx_http_writeen_catch_go);
}


/* All is known of what Redis said: tell the client. */

static void
ngx_http_writeen_catch_go(ngx_http_writeen_catch_t *op)
{
    int64_t                   seq, upto;
    ngx_str_t                 none;
    ngx_http_writeen_link_t  *l;

    l = op->link;
    seq = op->stood;

    if (op->mode == CATCH_INFO && op->fenced) {
        /* there is nothing below what the client knew */
        l->seq = ngx_max(l->seq, op->asked);
    }

    if (op->answer && !op->joined) {

        if (op->cursors.len + op->online.len
            > op->op.session->conf->send_queue / 4 && !op->turn)
        {
            op->large = 1;

            if (!ngx_http_writeen_catch_turn(op)) {
                ngx_http_writeen_catch_forget(op);
                return;
            }
        }

        if (op->mode == CATCH_CATCH || op->mode == CATCH_REPLAY) {
            upto = (op->mode == CATCH_REPLAY) ? ngx_min(seq, op->limit) : seq;
            op->missed = ngx_max(upto - op->after, 0);
        }

        ngx_str_null(&none);

        if (ngx_http_writeen_catch_joined(op, (op->mode == CATCH_INFO)
                                              ? l->seq : seq, &none)
            != NGX_OK)
        {
            return;
        }
    }

    upto = seq;

    if (ngx_http_writeen_catch_page(op, &upto) != NGX_OK) {
        return;
    }

    if (upto < seq && (op->mode == CATCH_CATCH || upto < op->limit)) {
        /* the next page */
        op->after = upto;
        ngx_http_writeen_catch_run(op);
        return;
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

    if (seq < rm->lost) {
        /* more came than the room keeps: read on from here */
        op->mode = CATCH_CATCH;

        if (op->after == seq) {
            /* Redis stands lower: the room will raise it */
            ngx_http_writeen_catch_later(op);
            return;
        }

        op->after = seq;
        ngx_http_writeen_catch_run(op);
        return;
    }

    ngx_http_writeen_room_known(rm, seq);

    l->seq = seq;
    l->member = seq;
    l->first = (op->began >= 0) ? ngx_min(op->began, seq) : seq;
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

    if (op->answer) {
        ngx_http_writeen_typist_show(l);

        if (s->state >= NGX_HTTP_WRITEEN_CLOSING) {
            return;
        }
    }

    ngx_http_writeen_catch_done(op);
    ngx_http_writeen_link_opened(l);
}


void
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

void
ngx_http_writeen_catch_refuse(ngx_http_writeen_catch_t *op, const char *code)
{
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;
    l = op->link;

    if (op->answer && ngx_http_writeen_catch_error(op, code) != NGX_OK) {
        /* link and op went with it, or go when it is dropped */
        return;
    }

    if (l == NULL || l->catch_op != op) {
        ngx_http_writeen_catch_free(op);
        return;
    }

    if (ngx_strcmp(code, "not_found") != 0) {
        if (l->state != NGX_HTTP_WRITEEN_LINK_LIVE) {
            /* what passed it by is asked for by the next join */
            l->seq = ngx_max(l->seq, l->room->seq);
            l->first = l->seq;
            l->state = NGX_HTTP_WRITEEN_LINK_LIVE;
        }

        ngx_http_writeen_catch_done(op);
        ngx_http_writeen_link_opened(l);
        return;
    }

    ngx_http_writeen_link_free(l);
    ngx_http_writeen_session_opened(s);
}
