/*
 * ngx_http_writeen_room.c: conversations in this nginx worker, and fan-out.
 *
 * A room exists while a session is in it, and some seconds longer.  It owns the
 * subscription to the conversation's channel:
 *
 *     NONE --bus_subscribe--> SENT --acknowledged--> READY --idle--> LEAVING
 *      ^                                               |                |
 *      +------------------- bus lost ------------------+----------------+
 *
 * Invariants:
 *
 * 1. rm->seq is the last numbered event accepted, -1 while unknown: it is not
 *    above any live link's number when it becomes known.  What is accepted
 *    goes to every live link, in order, once.
 * 2. An event that is not above rm->seq is a repeat and dropped.  One that
 *    leaves a hole is held, and so is everything after it, until the hole has
 *    been filled from the log (or from the store when the log is shorter).
 *    A number missing inside what the log still holds was taken out of it.
 * 3. Having lost the bus, a room fills before it accepts anything live.
 * 4. If Redis stands lower than the room, a link of it or what is held (a lost
 *    second), the room raises it (wrt_fence) before it goes on: a number is
 *    never used twice.
 * 5. While a link reads its catch-up, accepted events are kept in `recent`,
 *    those above rm->lost at least, so that nothing falls between its snapshot
 *    and its going live: who has read less than rm->lost reads on.
 *
 * A large room is walked in slices; what comes meanwhile queues behind.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_WALK_TURN   1024      /* links given a frame a turn */
#define NGX_HTTP_WRITEEN_CROWD       128       /* links: others go before */
#define NGX_HTTP_WRITEEN_ROOM_IDLE   5000      /* ms kept without links */


static void ngx_http_writeen_room_subscribe(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_clear(ngx_queue_t *list);
static void ngx_http_writeen_room_give(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_held_t *held);
static ngx_int_t ngx_http_writeen_room_walk(ngx_http_writeen_room_t *rm,
    ngx_uint_t *budget);
static void ngx_http_writeen_room_deliver(ngx_http_writeen_link_t *l,
    ngx_http_writeen_held_t *held);


ngx_http_writeen_room_t *
ngx_http_writeen_room_get(ngx_http_writeen_worker_t *wk, const char *id,
    size_t n, ngx_uint_t create)
{
    uint32_t                  hash;
    ngx_str_t                 key;
    ngx_str_node_t           *node;
    ngx_http_writeen_room_t  *rm;

    key.data = (u_char *) id;
    key.len = n;
    hash = ngx_crc32_short(key.data, key.len);

    node = ngx_str_rbtree_lookup(&wk->rooms, &key, hash);

    if (node != NULL) {
        return (ngx_http_writeen_room_t *)
                   ((u_char *) node - offsetof(ngx_http_writeen_room_t, node));
    }

    if (!create) {
        return NULL;
    }

    rm = ngx_calloc(sizeof(ngx_http_writeen_room_t) + n, wk->log);
    if (rm == NULL) {
        return NULL;
    }

    ngx_memcpy(rm->id, id, n);

    rm->node.node.key = hash;
    rm->node.str.data = rm->id;
    rm->node.str.len = n;
    rm->seq = -1;
    rm->origin = -1;
    rm->shard = wrt_shard(&wk->names, id, n);

    ngx_queue_init(&rm->links);
    ngx_queue_init(&rm->hold);
    ngx_queue_init(&rm->recent);
    ngx_queue_init(&rm->walk);
    ngx_queue_init(&rm->acks);
    ngx_queue_init(&rm->typists);
    ngx_queue_init(&rm->walking);

    rm->idle_since = ngx_current_msec;
    ngx_queue_insert_tail(&wk->idle_rooms, &rm->idle);
    ngx_rbtree_insert(&wk->rooms, &rm->node.node);

    ngx_http_writeen_count(wk, rooms);

    ngx_http_writeen_room_subscribe(wk, rm);

    return rm;
}


static void
ngx_http_writeen_room_free(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_http_writeen_room_clear(&rm->hold);
    ngx_http_writeen_room_clear(&rm->recent);
    ngx_http_writeen_room_clear(&rm->walk);
    ngx_http_writeen_typist_clear(rm);

    if (rm->last != NULL) {
        ngx_http_writeen_msg_unref(rm->last);
    }

    ngx_queue_remove(&rm->walking);
    ngx_queue_remove(&rm->idle);
    ngx_rbtree_delete(&wk->rooms, &rm->node.node);

    ngx_http_writeen_count_n(wk, rooms, -1);

    ngx_free(rm);
}


/* -- subscription -- */

static void
ngx_http_writeen_room_subscribe(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    char    name[WRT_NAME_BUF];
    size_t  n;

    rm->sub = NGX_HTTP_WRITEEN_SUB_SENT;

    n = ngx_http_writeen_bus_room(wk, name, rm->shard, (char *) rm->id,
                                  rm->node.str.len);
    ngx_http_writeen_bus_subscribe(wk,
                                   ngx_http_writeen_bus_server(wk, rm->shard),
                                   name, n);
}


void
ngx_http_writeen_room_subscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_queue_t              *q, *next;
    ngx_http_writeen_link_t  *l;

    rm->sub = NGX_HTTP_WRITEEN_SUB_READY;

    if (rm->unseen) {
        rm->unseen = 0;

        if (ngx_queue_empty(&rm->links)) {
            rm->seq = -1;
            rm->origin = -1;

        } else {
            ngx_http_writeen_room_fill(wk, rm);
        }
    }

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = next)
    {
        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

        if (l->state == NGX_HTTP_WRITEEN_LINK_WAIT) {
            ngx_http_writeen_link_ready(l);
        }
    }
}


/* Its subscription is gone.  1: and so is the room now; 0: somebody came in the
 * meantime, if only a message that waits for the store: nothing known is sure
 * any more. */

static ngx_uint_t
ngx_http_writeen_room_left(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    if (ngx_queue_empty(&rm->links)) {

        if (ngx_queue_empty(&rm->acks)) {
            ngx_http_writeen_room_free(wk, rm);
            return 1;
        }

        rm->idle_since = ngx_current_msec;
        ngx_queue_remove(&rm->idle);
        ngx_queue_insert_tail(&wk->idle_rooms, &rm->idle);
    }

    rm->seq = -1;
    rm->origin = -1;

    return 0;
}


void
ngx_http_writeen_room_unsubscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    if (rm->sub != NGX_HTTP_WRITEEN_SUB_LEAVING) {
        return;
    }

    if (!ngx_http_writeen_room_left(wk, rm)) {
        ngx_http_writeen_room_subscribe(wk, rm);
    }
}


typedef void (*ngx_http_writeen_room_each_pt)(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);


static void
ngx_http_writeen_room_each(ngx_http_writeen_worker_t *wk, ngx_int_t server,
    ngx_http_writeen_room_each_pt fn)
{
    ngx_rbtree_node_t        *node, *next;
    ngx_http_writeen_room_t  *rm;

    if (wk->rooms.root == wk->rooms.sentinel) {
        return;
    }

    node = ngx_rbtree_min(wk->rooms.root, wk->rooms.sentinel);

    while (node != NULL) {
        next = ngx_rbtree_next(&wk->rooms, node);
        rm = (ngx_http_writeen_room_t *) node;

        if (server == -1
            || (ngx_uint_t) server
               == ngx_http_writeen_bus_server(wk, rm->shard))
        {
            fn(wk, rm);
        }

        node = next;
    }
}


static void
ngx_http_writeen_room_lost(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    if (rm->sub == NGX_HTTP_WRITEEN_SUB_LEAVING
        && ngx_http_writeen_room_left(wk, rm))
    {
        return;
    }

    /* links that wait for the first subscription go on waiting for this one */

    if (rm->sub == NGX_HTTP_WRITEEN_SUB_READY) {
        rm->unseen = 1;
    }

    rm->sub = NGX_HTTP_WRITEEN_SUB_NONE;
}


static void
ngx_http_writeen_room_refill(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    if (!rm->retry) {
        return;
    }

    if (rm->sub != NGX_HTTP_WRITEEN_SUB_READY) {
        /* if nobody is in it then, room_subscribed does not */
        wk->refill = 1;
        return;
    }

    ngx_http_writeen_room_fill(wk, rm);
}


void
ngx_http_writeen_room_bus_lost(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server)
{
    ngx_http_writeen_room_each(wk, server, ngx_http_writeen_room_lost);
}


void
ngx_http_writeen_room_resubscribe(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server)
{
    ngx_http_writeen_room_each(wk, server, ngx_http_writeen_room_subscribe);
}


void
ngx_http_writeen_room_retry(ngx_http_writeen_worker_t *wk)
{
    if (wk->refill) {
        wk->refill = 0;
        ngx_http_writeen_room_each(wk, -1, ngx_http_writeen_room_refill);
    }
}


ngx_int_t
ngx_http_writeen_room_leave(ngx_http_writeen_worker_t *wk, ngx_uint_t *budget)
{
    char                      name[WRT_NAME_BUF];
    size_t                    n;
    ngx_queue_t              *q;
    ngx_http_writeen_room_t  *rm;

    while (!ngx_queue_empty(&wk->idle_rooms)) {
        q = ngx_queue_head(&wk->idle_rooms);
        rm = ngx_queue_data(q, ngx_http_writeen_room_t, idle);

        if (ngx_current_msec - rm->idle_since < NGX_HTTP_WRITEEN_ROOM_IDLE) {
            break;
        }

        if (*budget == 0) {
            return NGX_AGAIN;
        }

        (*budget)--;

        if (!ngx_queue_empty(&rm->acks)) {
            ngx_queue_remove(q);
            rm->idle_since = ngx_current_msec;
            ngx_queue_insert_tail(&wk->idle_rooms, q);
            continue;
        }

        if (rm->sub == NGX_HTTP_WRITEEN_SUB_NONE) {
            ngx_http_writeen_room_free(wk, rm);
            continue;
        }

        if (rm->sub == NGX_HTTP_WRITEEN_SUB_SENT) {
            /* UNSUBSCRIBE only what has been acknowledged */
            break;
        }

        /* out of the idle list: LEAVING ends in unsubscribed or lost */
        ngx_queue_remove(q);
        ngx_queue_init(q);

        rm->sub = NGX_HTTP_WRITEEN_SUB_LEAVING;
        n = ngx_http_writeen_bus_room(wk, name, rm->shard, (char *) rm->id,
                                      rm->node.str.len);
        ngx_http_writeen_bus_unsubscribe(wk,
            ngx_http_writeen_bus_server(wk, rm->shard), name, n);
    }

    return NGX_OK;
}


/* Each second: fill what could not be filled. */

void
ngx_http_writeen_room_sweep(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_room_retry(wk);

    if (wk->conf->ack_store) {
        ngx_http_writeen_room_each(wk, -1, ngx_http_writeen_send_sweep);
    }
}


/* The process ends, the bus is gone: nobody waits for a room any more. */

void
ngx_http_writeen_room_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_room_each(wk, -1, ngx_http_writeen_send_give_up);
    ngx_http_writeen_room_each(wk, -1, ngx_http_writeen_room_free);
}


/* -- events -- */

void
ngx_http_writeen_room_event(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, wrt_bus_header_t *h)
{
    int64_t                   seq;
    ngx_uint_t                repeat, hole;
    ngx_http_writeen_held_t  *held;

    if (ngx_queue_empty(&rm->links)) {
        /* lingering: only the number is kept up */
        if (h->num[0] > 0 && h->num[0] > rm->seq && !rm->filling) {
            rm->seq = (rm->seq == -1 || h->num[0] == rm->seq + 1)
                      ? h->num[0] : -1;
        }

        return;
    }

    seq = h->num[0];
    if (h->kind == WRT_EV_TYPING
        && !ngx_http_writeen_typist_heard(wk, rm, h))
    {
        return;
    }

    repeat = (seq > 0 && rm->seq >= 0 && seq <= rm->seq);

    if (repeat && !rm->filling) {
        return;
    }

    held = ngx_http_writeen_room_held(h);
    if (held == NULL) {
        /* the hole that this makes will be found and filled */
        return;
    }

    if (seq <= 0) {
        ngx_http_writeen_room_accept(rm, held);
        return;
    }

    hole = (rm->seq >= 0 && seq > rm->seq + 1
            && !(h->kind == WRT_EV_FENCE && held->before <= rm->seq));

    if (!rm->filling && !hole) {
        ngx_http_writeen_room_accept(rm, held);
        return;
    }

    if (rm->nhold >= WRT_ROOM_HOLD_MAX
        || rm->hold_bytes + held->msg->len > WRT_ROOM_RECENT_MAX)
    {
        /* it is in the log: the fill, or the next one, brings it */
        ngx_http_writeen_room_held_free(held);
        return;
    }

    ngx_queue_insert_tail(&rm->hold, &held->queue);
    rm->nhold++;
    rm->hold_bytes += held->msg->len;

    if (!rm->filling) {
        ngx_http_writeen_count(wk, bus_gaps_total);
        ngx_http_writeen_room_fill(wk, rm);
    }
}


ngx_http_writeen_held_t *
ngx_http_writeen_room_held(wrt_bus_header_t *h)
{
    u_char                   *p;
    ngx_http_writeen_held_t  *held;

    held = ngx_alloc(sizeof(ngx_http_writeen_held_t) + h->f[1].n + h->f[2].n,
                     ngx_cycle->log);
    if (held == NULL) {
        return NULL;
    }

    held->msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, h->body.p,
                                            h->body.n);
    if (held->msg == NULL) {
        ngx_free(held);
        return NULL;
    }

    held->msg->kind = h->kind;
    held->msg->seq = ngx_max(h->num[0], 0);
    held->before = h->num[1];
    held->filled = 0;

    p = (u_char *) held + sizeof(ngx_http_writeen_held_t);

    held->actor.data = p;
    held->actor.len = h->f[1].n;
    p = ngx_cpymem(p, h->f[1].p, h->f[1].n);

    held->target.data = p;
    held->target.len = h->f[2].n;
    ngx_memcpy(p, h->f[2].p, h->f[2].n);

    return held;
}


void
ngx_http_writeen_room_held_free(ngx_http_writeen_held_t *held)
{
    ngx_http_writeen_msg_unref(held->msg);
    ngx_free(held);
}


static void
ngx_http_writeen_room_clear(ngx_queue_t *list)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(list)) {
        q = ngx_queue_head(list);
        ngx_queue_remove(q);
        ngx_http_writeen_room_held_free(
            ngx_queue_data(q, ngx_http_writeen_held_t, queue));
    }
}


void
ngx_http_writeen_room_clear_recent(ngx_http_writeen_room_t *rm)
{
    ngx_http_writeen_room_clear(&rm->recent);
    rm->nrecent = 0;
    rm->recent_bytes = 0;
    rm->lost = 0;
}


/* Keep a copy for links that are catching up; what is too much goes first. */

static void
ngx_http_writeen_room_remember(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_held_t *held)
{
    ngx_http_writeen_held_t  *copy, *old;

    copy = ngx_alloc(sizeof(ngx_http_writeen_held_t), ngx_cycle->log);

    if (copy == NULL) {
        ngx_http_writeen_room_clear_recent(rm);
        ngx_http_writeen_room_unkept(rm, rm->seq);
        return;
    }

    while (rm->nrecent != 0
           && (rm->nrecent >= WRT_ROOM_HOLD_MAX
               || rm->recent_bytes + held->msg->len > WRT_ROOM_RECENT_MAX))
    {
        old = ngx_queue_data(ngx_queue_head(&rm->recent),
                             ngx_http_writeen_held_t, queue);

        ngx_http_writeen_room_unkept(rm, old->msg->seq);
        ngx_queue_remove(&old->queue);
        rm->nrecent--;
        rm->recent_bytes -= old->msg->len;
        ngx_http_writeen_room_held_free(old);
    }

    ngx_str_null(&copy->actor);
    ngx_str_null(&copy->target);
    copy->msg = held->msg;
    copy->msg->refs++;

    ngx_queue_insert_tail(&rm->recent, &copy->queue);
    rm->nrecent++;
    rm->recent_bytes += copy->msg->len;
}


void
ngx_http_writeen_room_unkept(ngx_http_writeen_room_t *rm, int64_t seq)
{
    if (rm->catching) {
        rm->lost = ngx_max(rm->lost, seq);
    }
}


/* The event is the next one of this room: give it to all (takes held). */

void
ngx_http_writeen_room_accept(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_held_t *held)
{
    u_char      buf[WRT_ID_MAX];
    ngx_str_t   uid;

    if (held->msg->seq > 0) {
        rm->seq = held->msg->seq;
    }

    if (held->msg->kind == WRT_EV_FENCE) {
        ngx_http_writeen_room_held_free(held);
        return;
    }

    uid.len = 0;

    if (rm->ntypists != 0 && (held->msg->kind == WRT_EV_MESSAGE
                              || held->msg->kind == WRT_EV_LEAVE))
    {
        uid = (held->msg->kind == WRT_EV_MESSAGE) ? held->actor
                                                  : held->target;
        uid.len = ngx_min(uid.len, WRT_ID_MAX);
        ngx_memcpy(buf, uid.data, uid.len);
        uid.data = buf;
    }

    ngx_http_writeen_room_give(rm, held);

    if (uid.len != 0) {
        ngx_http_writeen_typist_over(rm, &uid);
    }
}


static void
ngx_http_writeen_room_give(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_held_t *held)
{
    ngx_uint_t                  budget;
    ngx_http_writeen_worker_t  *wk;

    /* not conversation_joined: who catches up gets his own */

    if (rm->catching && held->msg->kind != WRT_EV_TYPING
        && held->msg->kind != 0)
    {
        ngx_http_writeen_room_remember(rm, held);
    }

    ngx_queue_insert_tail(&rm->walk, &held->queue);

    wk = ngx_http_writeen_worker;
    wk->talked = ngx_current_msec;

    if (!ngx_queue_empty(&rm->walking)) {
        return;
    }

    budget = NGX_HTTP_WRITEEN_WALK_TURN;

    if (ngx_http_writeen_room_walk(rm, &budget) == NGX_AGAIN) {
        ngx_queue_insert_tail(&wk->walking, &rm->walking);

        if (!wk->walker.posted) {
            ngx_post_event(&wk->walker, &ngx_posted_next_events);
        }
    }
}


void
ngx_http_writeen_walker_handler(ngx_event_t *ev)
{
    ngx_uint_t                  budget;
    ngx_queue_t                *q;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;
    budget = NGX_HTTP_WRITEEN_WALK_TURN;

    while (!ngx_queue_empty(&wk->walking)) {
        q = ngx_queue_head(&wk->walking);
        rm = ngx_queue_data(q, ngx_http_writeen_room_t, walking);

        if (ngx_http_writeen_room_walk(rm, &budget) == NGX_AGAIN) {
            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        ngx_queue_remove(q);
        ngx_queue_init(q);
    }
}


/*
 * Give the waiting events to the links.  rm->cursor is always the next link to
 * visit, so that closing the present one, or any other, does no harm.
 */

static ngx_int_t
ngx_http_writeen_room_walk(ngx_http_writeen_room_t *rm, ngx_uint_t *budget)
{
    ngx_queue_t                *q, *end;
    ngx_http_writeen_link_t    *l;
    ngx_http_writeen_held_t    *held;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    end = ngx_queue_sentinel(&rm->links);

    while (!ngx_queue_empty(&rm->walk)) {
        held = ngx_queue_data(ngx_queue_head(&rm->walk),
                              ngx_http_writeen_held_t, queue);

        if (!rm->midway) {
            rm->midway = 1;
            rm->cursor = ngx_queue_head(&rm->links);
            ngx_http_writeen_deflate_begin(rm, held->msg);
        }

        while (rm->cursor != end) {

            if (*budget == 0) {
                return NGX_AGAIN;
            }

            (*budget)--;

            q = rm->cursor;
            rm->cursor = ngx_queue_next(q);
            l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

            wk->crowd = rm->nlinks > NGX_HTTP_WRITEEN_CROWD;
            ngx_http_writeen_room_deliver(l, held);
            wk->crowd = 0;
        }

        rm->midway = 0;
        ngx_http_writeen_deflate_end(rm, held->msg);

        if (held->msg->kind == WRT_EV_LEAVE) {
            ngx_http_writeen_link_leave(rm, &held->target, held->msg);

        } else if (held->msg->kind == WRT_EV_JOIN && held->filled) {
            ngx_http_writeen_link_enter(rm, &held->target, held->msg->seq);
        }

        ngx_queue_remove(&held->queue);
        ngx_http_writeen_room_held_free(held);
    }

    return NGX_OK;
}


static void
ngx_http_writeen_room_deliver(ngx_http_writeen_link_t *l,
    ngx_http_writeen_held_t *held)
{
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_session_t  *s;

    if (l->state != NGX_HTTP_WRITEEN_LINK_LIVE) {
        return;
    }

    msg = held->msg;
    s = l->session;

    if (msg->seq > 0) {
        if (msg->seq <= l->seq) {
            return;
        }

        if (l->seq == -1) {
            /* it was not known: what is below was not given here */
            l->first = msg->seq - 1;
        }

        l->seq = msg->seq;

    } else if (msg->kind == WRT_EV_TYPING
               && held->actor.len == s->user->node.str.len
               && ngx_memcmp(held->actor.data, s->user->uid, held->actor.len)
                  == 0)
    {
        return;
    }

    ngx_http_writeen_output(s, msg);
}
