/*
 * ngx_http_writeen_session.c: one WebSocket connection.
 *
 *     OPENING --all rooms there--> OPEN --close--> CLOSING --done--> DEAD
 *        |                                            ^                ^
 *        +-------------- close or error --------------+---- error -----+
 *
 * The session owns its nginx connection: the HTTP request is freed as soon as
 * the 101 is written (the access log line is written then), so that an idle
 * session costs no request, no pool of it and no header buffers.
 *
 * Invariants:
 *
 * 1. session_close() is how a session ends politely: it leaves the rooms, says
 *    Close and waits.  session_drop() is the one way out: only it leaves user
 *    and lists, and ends what is under way.  Memory and socket go in the
 *    reaper, after the events of this turn, so callers up the stack may still
 *    look at the state.
 * 2. While OPENING nothing is read: client events come after `connected`.
 * 3. One receive buffer for all sessions: a session owns input memory only
 *    while a frame or message is incomplete, and only for bytes that came.
 * 4. A session's timer is not cancelable: nginx waits for its clients while it
 *    drains (at most writeen_drain).
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_DRAIN_TICK   50     /* ms */
#define NGX_HTTP_WRITEEN_PART_MAX     16     /* dropped, and freed, at once */


static void ngx_http_writeen_session_timer_handler(ngx_event_t *ev);
static void ngx_http_writeen_session_leave(ngx_http_writeen_session_t *s);
static void ngx_http_writeen_session_free(ngx_http_writeen_session_t *s);
static void ngx_http_writeen_session_reap(ngx_http_writeen_worker_t *wk,
    ngx_uint_t max);


void
ngx_http_writeen_now(char out[WRT_TIME_LEN + 1])
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    wrt_time_format((int64_t) tp->sec * 1000 + tp->msec, out);
}


ngx_http_writeen_session_t *
ngx_http_writeen_session_create(ngx_http_writeen_worker_t *wk,
    ngx_connection_t *c, ngx_http_writeen_loc_conf_t *wlcf,
    ngx_http_writeen_identity_t *id)
{
    ngx_uint_t                   i;
    ngx_http_writeen_session_t  *s;

    s = ngx_calloc(sizeof(ngx_http_writeen_session_t) + c->addr_text.len,
                   wk->log);
    if (s == NULL) {
        return NULL;
    }

    /* realip takes its own back when the request ends, which is now */

    s->addr.data = (u_char *) (s + 1);
    s->addr.len = c->addr_text.len;
    ngx_memcpy(s->addr.data, c->addr_text.data, s->addr.len);

    s->connection = c;
    s->conf = wlcf;
    s->out_last = &s->out;

    for (i = 0; i < NGX_HTTP_WRITEEN_RATES; i++) {
        ngx_http_writeen_rate_fill(&s->buckets[i]);
    }

    ngx_queue_init(&s->queue);
    ngx_queue_init(&s->user_queue);
    ngx_queue_init(&s->flush);
    ngx_queue_init(&s->links);
    ngx_queue_init(&s->ops);
    ngx_queue_init(&s->commands);
    ngx_queue_init(&s->paused);
    ngx_queue_init(&s->typists);
    ngx_queue_init(&s->parting);

    wrt_oid_next(&wk->oid, ngx_time(), s->id);

    if (ngx_http_writeen_session_identity(s, id) != NGX_OK) {
        ngx_free(s);
        return NULL;
    }

    return s;
}


ngx_int_t
ngx_http_writeen_session_identity(ngx_http_writeen_session_t *s,
    ngx_http_writeen_identity_t *id)
{
    u_char  *p;

    p = ngx_alloc(id->uid.len + id->role.len + id->name.len + id->avatar.len,
                  ngx_http_writeen_worker->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (s->identity != NULL) {
        ngx_free(s->identity);
    }

    s->identity = p;

    s->uid.data = p;
    s->uid.len = id->uid.len;
    p = ngx_cpymem(p, id->uid.data, id->uid.len);

    s->role.data = p;
    s->role.len = id->role.len;
    p = ngx_cpymem(p, id->role.data, id->role.len);

    s->name.data = p;
    s->name.len = id->name.len;
    p = ngx_cpymem(p, id->name.data, id->name.len);

    s->avatar.data = p;
    s->avatar.len = id->avatar.len;
    ngx_memcpy(p, id->avatar.data, id->avatar.len);

    s->exp = id->exp;
    s->warned = 0;

    return NGX_OK;
}


/* Not started yet: nothing but memory is to be undone. */

void
ngx_http_writeen_session_abort(ngx_http_writeen_session_t *s)
{
    if (s->timer.posted) {
        ngx_delete_posted_event(&s->timer);
    }

    ngx_http_writeen_session_free(s);
}


void
ngx_http_writeen_session_start(ngx_http_writeen_session_t *s, u_char *early,
    size_t early_len)
{
    ngx_connection_t           *c;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    c = s->connection;

    c->data = s;
    c->read->handler = ngx_http_writeen_session_read_handler;
    c->write->handler = ngx_http_writeen_output_handler;
    c->log->action = "talking WebSocket";

    /* nginx calls our read handler with c->close when it quits */
    c->idle = 1;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    s->timer.handler = ngx_http_writeen_session_timer_handler;
    s->timer.data = s;
    s->timer.log = c->log;

    s->next_ping = ngx_current_msec + s->conf->ping_interval;
    s->deadline = ngx_current_msec + WRT_OPEN_MS;
    s->has_deadline = 1;

    ngx_queue_insert_tail(&wk->sessions, &s->queue);
    ngx_http_writeen_count(wk, connections);
    ngx_http_writeen_count(wk, accepted_total);

    s->early = early;
    s->early_len = early_len;

    if (s->conf->raw != NULL) {
        s->state = NGX_HTTP_WRITEEN_OPEN;
        s->has_deadline = 0;
        ngx_post_event(c->read, &ngx_posted_events);
    }

    ngx_http_writeen_session_timer(s);
    ngx_http_writeen_output_flush(s);

    if (s->state == NGX_HTTP_WRITEEN_OPENING
        && ngx_http_writeen_user_attach(wk, s, &s->uid) != NGX_OK)
    {
        ngx_http_writeen_session_drop(s);
    }
}


/* All of the user's rooms are there (or have none left to wait for). */

void
ngx_http_writeen_session_opened(ngx_http_writeen_session_t *s)
{
    char     now[WRT_TIME_LEN + 1];
    u_char  *p, buf[512 + 2 * WRT_ID_MAX];

    if (s->state != NGX_HTTP_WRITEEN_OPENING || !s->listed
        || s->opening != 0)
    {
        return;
    }

    s->state = NGX_HTTP_WRITEEN_OPEN;
    s->has_deadline = 0;

    if (s->resuming) {
        s->deadline = ngx_current_msec + s->conf->resume_wait;
        s->has_deadline = 1;
    }

    ngx_http_writeen_now(now);

    p = ngx_sprintf(buf, "{\"event\":\"connected\",\"data\":{"
                    "\"userId\":\"%V\",\"connectionId\":\"%s\","
                    "\"role\":\"%V\",\"serverTime\":\"%s\",\"resume\":%s,"
                    "\"conversations\":%ui,\"pingInterval\":%M}}",
                    &s->user->node.str, s->id, &s->role, now,
                    s->resuming ? "true" : "false", s->nlinks,
                    s->conf->ping_interval);

    ngx_http_writeen_output_text(s, buf, p - buf);
    ngx_http_writeen_session_timer(s);

    if (ngx_exiting) {
        ngx_http_writeen_drain_start(ngx_http_writeen_worker);
    }

    if (s->relist && s->state == NGX_HTTP_WRITEEN_OPEN) {
        s->relist = 0;
        ngx_http_writeen_user_list(s);
    }

    if (s->state != NGX_HTTP_WRITEEN_OPEN) {
        return;
    }

    /* what the client sent meanwhile: in an event of its own */

    ngx_post_event(s->connection->read, &ngx_posted_events);

    if (!s->resuming) {
        ngx_http_writeen_link_release(s);
    }
}


/* -- the end -- */

void
ngx_http_writeen_session_close(ngx_http_writeen_session_t *s,
    ngx_uint_t code, const char *reason)
{
    size_t                   n;
    uint8_t                  frame[2 + WRT_FRAME_CONTROL_MAX];
    ngx_http_writeen_msg_t  *msg;

    if (s->state >= NGX_HTTP_WRITEEN_CLOSING) {
        return;
    }

    s->state = NGX_HTTP_WRITEEN_CLOSING;

    /* To wait for the Close of one who floods would be to read all that
     * comes before it: the kernel's buffer is to hold him up instead. */
    s->muted = (code == WRT_CLOSE_FLOOD);

    if (code == WRT_CLOSE_SLOW) {
        /* it will not read what is queued */
        ngx_http_writeen_output_clear(s, 1);
    }

    n = wrt_frame_close(frame, code, reason);
    msg = ngx_http_writeen_msg_raw(frame, n);

    if (msg == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    ngx_http_writeen_output(s, msg);
    ngx_http_writeen_msg_unref(msg);
    s->close_sent = 1;

    ngx_http_writeen_session_leave(s);

    /* The kernel's buffers are full for one who is slow: our Close has to
     * wait until he reads, or he would never know why. */
    s->deadline = ngx_current_msec + (code == WRT_CLOSE_SLOW
                                      ? WRT_CLOSE_SLOW_MS
                                      : WRT_CLOSE_WAIT_MS);
    s->has_deadline = 1;
    ngx_http_writeen_session_timer(s);
}


/* Out of all rooms: nothing more is sent to it. */

static void
ngx_http_writeen_session_leave(ngx_http_writeen_session_t *s)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&s->links)) {
        q = ngx_queue_head(&s->links);
        ngx_http_writeen_link_free(
            ngx_queue_data(q, ngx_http_writeen_link_t, session_queue));
    }
}


void
ngx_http_writeen_session_drop(ngx_http_writeen_session_t *s)
{
    ngx_queue_t                *q;
    ngx_http_writeen_op_t      *op;
    ngx_http_writeen_worker_t  *wk;

    if (s->state == NGX_HTTP_WRITEEN_DEAD) {
        return;
    }

    wk = ngx_http_writeen_worker;
    s->state = NGX_HTTP_WRITEEN_DEAD;

    ngx_http_writeen_session_leave(s);

    while (!ngx_queue_empty(&s->ops)) {
        q = ngx_queue_head(&s->ops);
        op = ngx_queue_data(q, ngx_http_writeen_op_t, queue);

        ngx_queue_remove(q);
        ngx_queue_init(q);

        op->session = NULL;
        op->abandon(op);
    }

    if (s->user != NULL) {
        ngx_http_writeen_user_detach(s);
    }

    if (s->timer.timer_set) {
        ngx_del_timer(&s->timer);
    }

    ngx_queue_remove(&s->flush);
    ngx_queue_init(&s->flush);
    s->flushing = 0;

    ngx_queue_remove(&s->parting);
    ngx_queue_init(&s->parting);

    ngx_queue_remove(&s->queue);
    ngx_queue_insert_tail(&wk->doomed, &s->queue);

    if (!wk->reaper.posted && !wk->reaper.timer_set) {
        ngx_post_event(&wk->reaper, &ngx_posted_events);
    }
}


void
ngx_http_writeen_session_lost(ngx_http_writeen_session_t *s)
{
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;

    if (wk->parted < NGX_HTTP_WRITEEN_PART_MAX) {
        wk->parted++;
        ngx_http_writeen_session_drop(s);
        return;
    }

    /* the reaper is to come: those dropped before have seen to that */

    ngx_queue_insert_tail(&wk->parting, &s->parting);
}


void
ngx_http_writeen_reaper_handler(ngx_event_t *ev)
{
    ngx_uint_t                  n;
    ngx_queue_t                *q;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;

    ngx_http_writeen_session_reap(wk, NGX_HTTP_WRITEEN_PART_MAX);

    /* first, so that session_drop() finds it set */

    if (!ngx_queue_empty(&wk->doomed) || !ngx_queue_empty(&wk->parting)) {
        ngx_add_timer(ev, NGX_HTTP_WRITEEN_PAUSE);
    }

    for (n = 0; n < NGX_HTTP_WRITEEN_PART_MAX; n++) {

        if (ngx_queue_empty(&wk->parting)) {
            break;
        }

        q = ngx_queue_head(&wk->parting);
        ngx_http_writeen_session_drop(
            ngx_queue_data(q, ngx_http_writeen_session_t, parting));
    }

    wk->parted = n;
}


/* Its memory, not the connection. */

static void
ngx_http_writeen_session_free(ngx_http_writeen_session_t *s)
{
    ngx_http_writeen_output_clear(s, 0);

    if (s->in != NULL) {
        ngx_free(s->in);
    }

    if (s->early != NULL) {
        ngx_free(s->early);
    }

    if (s->device != NULL) {
        ngx_free(s->device);
    }

    ngx_free(s->identity);
    ngx_free(s);
}


/* Free those that were dropped, at most so many. */

static void
ngx_http_writeen_session_reap(ngx_http_writeen_worker_t *wk, ngx_uint_t max)
{
    ngx_queue_t                 *q;
    ngx_connection_t            *c;
    ngx_http_writeen_session_t  *s;

    while (max-- && !ngx_queue_empty(&wk->doomed)) {
        q = ngx_queue_head(&wk->doomed);
        ngx_queue_remove(q);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, queue);
        c = s->connection;

        ngx_http_writeen_session_free(s);
        ngx_http_writeen_count_n(wk, connections, -1);
        ngx_http_close_connection(c);
    }
}


/* -- time -- */

/* Arm the timer for whatever comes first. */

void
ngx_http_writeen_session_timer(ngx_http_writeen_session_t *s)
{
    time_t      left;
    ngx_msec_t  next, t;

    if (s->state == NGX_HTTP_WRITEEN_DEAD) {
        return;
    }

    next = s->next_ping - ngx_current_msec;

    if (s->has_deadline) {
        t = s->deadline - ngx_current_msec;
        next = ((ngx_msec_int_t) t < (ngx_msec_int_t) next) ? t : next;
    }

    if (s->state == NGX_HTTP_WRITEEN_OPEN) {
        left = s->exp - ngx_time() - (s->warned ? 0 : WRT_TOKEN_WARN_S);
        t = (left <= 0) ? 1 : (ngx_msec_t) ngx_min(left, 86400) * 1000;
        next = ((ngx_msec_int_t) t < (ngx_msec_int_t) next) ? t : next;
    }

    if ((ngx_msec_int_t) next < 1) {
        next = 1;
    }

    ngx_add_timer(&s->timer, next);
}


static void
ngx_http_writeen_session_timer_handler(ngx_event_t *ev)
{
    u_char                      *p, buf[256];
    time_t                       now;
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_session_t  *s;

    s = ev->data;

    if (s->has_deadline
        && (ngx_msec_int_t) (ngx_current_msec - s->deadline) >= 0)
    {
        s->has_deadline = 0;

        switch (s->state) {

        case NGX_HTTP_WRITEEN_CLOSING:
            ngx_http_writeen_session_drop(s);
            return;

        case NGX_HTTP_WRITEEN_OPENING:
            ngx_http_writeen_session_close(s, WRT_CLOSE_INTERNAL,
                                           "unavailable, try again");
            return;

        default: /* no resume event came */
            ngx_http_writeen_link_release(s);
        }
    }

    now = ngx_time();

    if (s->state == NGX_HTTP_WRITEEN_OPEN) {

        if (now >= s->exp) {
            ngx_http_writeen_session_close(s, WRT_CLOSE_TOKEN,
                                           "token expired");
            return;
        }

        if (!s->warned && s->exp - now <= WRT_TOKEN_WARN_S) {
            s->warned = 1;

            p = ngx_sprintf(buf, "{\"event\":\"token_expiring\",\"data\":{"
                            "\"expiresIn\":%T}}", s->exp - now);
            ngx_http_writeen_output_text(s, buf, p - buf);
        }
    }

    if ((ngx_msec_int_t) (ngx_current_msec - s->next_ping) >= 0) {

        if (s->unanswered >= 2) {
            ngx_http_writeen_count(ngx_http_writeen_worker,
                                   ping_closed_total);
            ngx_http_writeen_session_drop(s);
            return;
        }

        s->unanswered++;
        s->next_ping = ngx_current_msec + s->conf->ping_interval;

        msg = ngx_http_writeen_msg_create(WRT_OP_PING, NULL, 0);

        if (msg != NULL) {
            ngx_http_writeen_output(s, msg);
            ngx_http_writeen_msg_unref(msg);
        }
    }

    ngx_http_writeen_session_timer(s);
}


/* -- draining -- */

/* The worker quits (reload, shutdown): close all, spread over writeen_drain. */

void
ngx_http_writeen_drain_start(ngx_http_writeen_worker_t *wk)
{
    if (!wk->draining) {
        wk->draining = 1;
        wk->drain_left = wk->conf->drain / NGX_HTTP_WRITEEN_DRAIN_TICK + 1;
    }

    if (!wk->drainer.timer_set && !wk->drainer.posted) {
        ngx_post_event(&wk->drainer, &ngx_posted_events);
    }
}


void
ngx_http_writeen_drain_handler(ngx_event_t *ev)
{
    char                         reason[64];
    ngx_uint_t                   n, total;
    ngx_queue_t                 *q, *next;
    ngx_http_writeen_worker_t   *wk;
    ngx_http_writeen_session_t  *s;

    wk = ev->data;
    total = 0;

    for (q = ngx_queue_head(&wk->sessions);
         q != ngx_queue_sentinel(&wk->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_writeen_session_t, queue);
        total += (s->state < NGX_HTTP_WRITEEN_CLOSING);
    }

    if (total == 0) {
        return;
    }

    n = wk->drain_left > 1 ? total / wk->drain_left + 1 : total;

    if (wk->drain_left > 1) {
        wk->drain_left--;
    }

    for (q = ngx_queue_head(&wk->sessions);
         q != ngx_queue_sentinel(&wk->sessions) && n > 0;
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, queue);

        if (s->state < NGX_HTTP_WRITEEN_CLOSING) {
            /* the hint spreads the clients once more */
            (void) ngx_snprintf((u_char *) reason, sizeof(reason),
                                "restart, reconnect in %ui ms%Z",
                                (ngx_uint_t) (ngx_random() % 1000));

            ngx_http_writeen_session_close(s, WRT_CLOSE_RESTART, reason);
            n--;
        }
    }

    ngx_add_timer(ev, NGX_HTTP_WRITEEN_DRAIN_TICK);
}


/* The process ends with sessions open (TERM). */

void
ngx_http_writeen_session_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&wk->sessions)) {
        q = ngx_queue_head(&wk->sessions);
        ngx_http_writeen_session_drop(
            ngx_queue_data(q, ngx_http_writeen_session_t, queue));
    }

    ngx_http_writeen_session_reap(wk, NGX_MAX_INT_T_VALUE);
}
