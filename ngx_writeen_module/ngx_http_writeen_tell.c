/*
 * ngx_http_writeen_tell.c: others come and go.
 *
 * A change of presence is one message on a channel that every nginx worker
 * hears, however many rooms the user is in (docs/redis.md): the event and the
 * names of his rooms.  Each session that is in one of them gets it, once: it
 * remembers the number of the last change that it was given.  Rooms with more
 * than WRT_PRESENCE_ROOM_MAX sessions here are passed over.  What there is to
 * do is done in slices, one change after the other, so that a thousand people
 * who come back at once hold nobody up.
 *
 * What happens while the bus is away is not told afterwards: it is what
 * conversation_joined.online and REST say.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_TELL_TURN  1024     /* links and rooms in a turn */
#define NGX_HTTP_WRITEEN_TELL_MAX   10000    /* changes that wait */


typedef struct {
    ngx_queue_t                queue;        /* in worker->tells */
    ngx_http_writeen_msg_t    *msg;
    uint64_t                   number;
    u_char                    *pos;          /* in rooms */
    u_char                    *last;
    u_char                     rooms[1];
} ngx_http_writeen_tell_t;


static ngx_uint_t ngx_http_writeen_tell_slice(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_tell_t *t, ngx_uint_t budget);
static void ngx_http_writeen_tell_room(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_tell_t *t);


void
ngx_http_writeen_tell(ngx_http_writeen_worker_t *wk, wrt_bus_header_t *h)
{
    size_t                    n;
    u_char                   *p, *last, *eol;
    ngx_http_writeen_tell_t  *t;

    ngx_http_writeen_count(wk, presence_total);

    p = (u_char *) h->body.p;
    last = p + h->body.n;
    eol = ngx_strlchr(p, last, LF);

    if (eol == NULL || eol == p || ngx_queue_empty(&wk->sessions)) {
        return;
    }

    if (wk->told - wk->telling >= NGX_HTTP_WRITEEN_TELL_MAX) {
        ngx_http_writeen_count(wk, presence_dropped_total);
        return;
    }

    n = last - eol - 1;

    t = ngx_alloc(sizeof(ngx_http_writeen_tell_t) + n, wk->log);
    if (t == NULL) {
        return;
    }

    t->msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, p, eol - p);
    if (t->msg == NULL) {
        ngx_free(t);
        return;
    }

    t->msg->kind = WRT_EV_PRESENCE;
    t->number = ++wk->told;
    t->pos = t->rooms;
    t->last = ngx_cpymem(t->rooms, eol + 1, n);

    ngx_queue_insert_tail(&wk->tells, &t->queue);

    if (!wk->teller.posted) {
        ngx_post_event(&wk->teller, &ngx_posted_events);
    }
}


void
ngx_http_writeen_teller_handler(ngx_event_t *ev)
{
    ngx_uint_t                  budget;
    ngx_queue_t                *q;
    ngx_http_writeen_tell_t    *t;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;
    budget = NGX_HTTP_WRITEEN_TELL_TURN;

    while (!ngx_queue_empty(&wk->tells)) {

        if (budget == 0) {
            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        q = ngx_queue_head(&wk->tells);
        t = ngx_queue_data(q, ngx_http_writeen_tell_t, queue);

        budget = ngx_http_writeen_tell_slice(wk, t, budget);

        if (t->pos < t->last) {
            continue;
        }

        wk->telling = t->number;
        ngx_queue_remove(q);
        ngx_http_writeen_msg_unref(t->msg);
        ngx_free(t);
    }
}


/* Rooms as far as the budget goes; a room is always told whole.  Returns what
 * is left of it. */

static ngx_uint_t
ngx_http_writeen_tell_slice(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_tell_t *t, ngx_uint_t budget)
{
    u_char                   *end;
    ngx_uint_t                cost;
    ngx_http_writeen_room_t  *rm;

    while (t->pos < t->last && budget > 0) {

        end = ngx_strlchr(t->pos, t->last, ' ');
        if (end == NULL) {
            end = t->last;
        }

        cost = 1;
        rm = NULL;

        if (wrt_id_valid((char *) t->pos, end - t->pos)) {
            rm = ngx_http_writeen_room_get(wk, (char *) t->pos, end - t->pos,
                                           0);
        }

        if (rm != NULL && rm->nlinks <= WRT_PRESENCE_ROOM_MAX) {
            cost += rm->nlinks;
            ngx_http_writeen_tell_room(rm, t);
        }

        t->pos = ngx_min(end + 1, t->last);
        budget -= ngx_min(cost, budget);
    }

    return budget;
}


static void
ngx_http_writeen_tell_room(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_tell_t *t)
{
    ngx_queue_t                 *q, *next;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_session_t  *s;

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = next)
    {
        /* a session that is closed for it takes its own link along only */

        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);
        s = l->session;

        if (s->told == t->number || s->state != NGX_HTTP_WRITEEN_OPEN
            || l->state == NGX_HTTP_WRITEEN_LINK_HELD)
        {
            continue;
        }

        s->told = t->number;
        ngx_http_writeen_output(s, t->msg);
    }
}


void
ngx_http_writeen_tell_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_queue_t              *q;
    ngx_http_writeen_tell_t  *t;

    while (!ngx_queue_empty(&wk->tells)) {
        q = ngx_queue_head(&wk->tells);
        t = ngx_queue_data(q, ngx_http_writeen_tell_t, queue);

        ngx_queue_remove(q);
        ngx_http_writeen_msg_unref(t->msg);
        ngx_free(t);
    }
}
