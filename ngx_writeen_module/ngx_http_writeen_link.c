/*
 * ngx_http_writeen_link.c: a session in a room.
 *
 * States of a link:
 *
 *     WAIT   the room's subscription, or where the room stands, is coming
 *     HELD   nothing is sent before `connected`, nor, with &resume=1, before
 *            the resume event
 *     CATCH  what was missed is being read; live events pass by (the room keeps
 *            them in `recent`)
 *     LIVE   gets every event above l->seq
 *
 * l->seq is the last event given to this connection (-1: unknown, all are
 * welcome), l->first the number from which on it has had all of them.
 */

#include "ngx_http_writeen_catch.h"


#define NGX_HTTP_WRITEEN_CATCH_CHAIN   8     /* joins waiting for one link */


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


ngx_http_writeen_link_t *
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
    l->member = -1;

    if (ngx_queue_empty(&rm->links)) {
        ngx_queue_remove(&rm->idle);
        ngx_queue_init(&rm->idle);
    }

    ngx_queue_insert_tail(&rm->links, &l->room_queue);
    ngx_queue_insert_tail(&s->links, &l->session_queue);
    rm->nlinks++;
    s->nlinks++;

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

        ngx_http_writeen_catch_release(op, s);

        s->nchecks -= op->checks;
        op->checks = 0;

        op->link = NULL;
        op->next = NULL;

        ngx_queue_remove(&op->op.queue);
        ngx_queue_init(&op->op.queue);
        op->op.session = NULL;
        ngx_http_writeen_catch_abandon(&op->op);
    }

    ngx_http_writeen_typing_stop(s, l);

    if (s->screen == l) {
        s->screen = NULL;
        ngx_http_writeen_presence_news(s);
    }

    if (rm->midway && rm->cursor == &l->room_queue) {
        rm->cursor = ngx_queue_next(&l->room_queue);
    }

    ngx_queue_remove(&l->room_queue);
    ngx_queue_remove(&l->session_queue);
    rm->nlinks--;
    s->nlinks--;

    if (ngx_queue_empty(&rm->links)) {
        ngx_http_writeen_typist_clear(rm);
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
    ngx_http_writeen_catch_t  *op;

    op = l->catch_op;

    if (op != NULL && !op->inflight) {
        /* it may be in worker->retries: it is not to be run by that, too */
        ngx_queue_remove(&op->retry);
        ngx_queue_init(&op->retry);

        ngx_http_writeen_catch_run(op);
    }
}


/* Was he a member, or will he be asked whether he is, at that number? */

static ngx_uint_t
ngx_http_writeen_link_newer(ngx_http_writeen_link_t *l, int64_t seq)
{
    if (l->state == NGX_HTTP_WRITEEN_LINK_LIVE
        || l->state == NGX_HTTP_WRITEEN_LINK_HELD)
    {
        return l->member >= seq;
    }

    return l->catch_op != NULL && l->catch_op->after >= seq;
}


void
ngx_http_writeen_link_leave(ngx_http_writeen_room_t *rm, ngx_str_t *uid,
    ngx_http_writeen_msg_t *msg)
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
            && ngx_memcmp(u->uid, uid->data, uid->len) == 0
            && !ngx_http_writeen_link_newer(l, msg->seq))
        {
            ngx_http_writeen_link_left(l, msg);
        }
    }
}


/*
 * What his channel said of it came while the old link was there, or not at
 * all: the event itself tells him.
 */

void
ngx_http_writeen_link_enter(ngx_http_writeen_room_t *rm, ngx_str_t *uid,
    int64_t seq)
{
    ngx_queue_t                 *q, *next;
    ngx_http_writeen_user_t     *u;
    ngx_http_writeen_session_t  *s;

    u = ngx_http_writeen_user_find(ngx_http_writeen_worker,
                                   (char *) uid->data, uid->len);
    if (u == NULL) {
        return;
    }

    for (q = ngx_queue_head(&u->sessions);
         q != ngx_queue_sentinel(&u->sessions);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);

        if (s->state == NGX_HTTP_WRITEEN_OPENING) {
            /* as with what his channel says */
            s->relist = 1;

        } else if (s->state == NGX_HTTP_WRITEEN_OPEN
                   && ngx_http_writeen_link_find(s, (char *) rm->id,
                                                 rm->node.str.len) == NULL)
        {
            (void) ngx_http_writeen_link_create(s, (char *) rm->id,
                                                rm->node.str.len, seq - 1);
        }
    }
}


void
ngx_http_writeen_link_left(ngx_http_writeen_link_t *l,
    ngx_http_writeen_msg_t *msg)
{
    ngx_http_writeen_catch_t    *op;
    ngx_http_writeen_session_t  *s;

    s = l->session;
    op = l->catch_op;

    if (msg != NULL && op != NULL && op->joined
        && l->state != NGX_HTTP_WRITEEN_LINK_LIVE)
    {
        /* nothing of what lies in between is his any more */
        ngx_http_writeen_output(s, msg);

        if (s->state >= NGX_HTTP_WRITEEN_CLOSING) {
            return;
        }
    }

    for ( ; op != NULL; op = op->next) {
        if (op->answer && !op->joined
            && ngx_http_writeen_catch_error(op, "not_found") != NGX_OK)
        {
            return;
        }
    }

    ngx_http_writeen_link_free(l);
    ngx_http_writeen_session_opened(s);
}


void
ngx_http_writeen_link_expel(ngx_http_writeen_link_t *l)
{
    ngx_http_writeen_session_t  *s;

    s = l->session;

    ngx_http_writeen_link_resync(l, -1);

    if (s->state < NGX_HTTP_WRITEEN_CLOSING) {
        ngx_http_writeen_link_left(l, NULL);
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

    l->seq = seq;
    l->first = seq;

    /* may close the session, and free the link */
    ngx_http_writeen_output_text(l->session, buf, p - buf);
}


/* One room less to wait for before `connected`. */

void
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
    wrt_slice_t conversation, int64_t after, wrt_slice_t id,
    ngx_uint_t screen)
{
    ngx_http_writeen_link_t   *l;
    ngx_http_writeen_catch_t  *op;

    op = ngx_http_writeen_catch_create(s, conversation.p, conversation.n);
    if (op == NULL) {
        ngx_http_writeen_session_close(s, WRT_CLOSE_INTERNAL, "no memory");
        return;
    }

    op->answer = 1;
    op->screen = screen;
    op->asked = after;
    op->after = after;
    op->echo_len = id.n;
    ngx_memcpy(op->echo, id.p, id.n);

    l = ngx_http_writeen_link_find(s, conversation.p, conversation.n);

    if (l == NULL) {
        if (s->nchecks >= WRT_CHECKS_MAX) {
            ngx_http_writeen_catch_refuse(op, "rate_limited");
            return;
        }

        op->checks = 1;
        s->nchecks++;

        op->mode = CATCH_CHECK;
        ngx_http_writeen_catch_run(op);
        return;
    }

    ngx_http_writeen_link_join(l, op);
}


void
ngx_http_writeen_link_join(ngx_http_writeen_link_t *l,
    ngx_http_writeen_catch_t *op)
{
    ngx_uint_t                  n;
    ngx_http_writeen_catch_t  **last;

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

        if (rm->seq <= l->seq && !rm->filling) {
            /* nothing came in between, and nobody was taken out */
            l->state = NGX_HTTP_WRITEEN_LINK_LIVE;
            continue;
        }

        /* not named: it goes on where it was found when it was opened */

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
