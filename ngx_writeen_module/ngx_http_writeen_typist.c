/*
 * ngx_http_writeen_typist.c: who types in a room, as it was heard on the bus.
 *
 * The room itself says that it is over when WRT_TYPING_MS have passed without
 * another word.  So nobody types for ever, whatever has died in between.
 * A message of his ends it, too.  What a room has said already is not said
 * again, and of more than WRT_TYPING_ROOM_MAX users nothing is said.
 *
 * Typing is not kept, never caught up with, and left out for a client whose
 * queue is filling (output.c).
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_TYPIST_TEXT  4096  /* bytes of an event, at most */
#define NGX_HTTP_WRITEEN_TYPIST_TURN  256   /* ended in a turn */


typedef struct {
    ngx_queue_t                   queue;      /* in worker->typists */
    ngx_queue_t                   room_queue; /* in room->typists */
    ngx_http_writeen_room_t      *room;
    ngx_msec_t                    heard;
    ngx_str_t                     uid;
    ngx_str_t                     text;       /* the event: he does */
} ngx_http_writeen_typist_t;


static ngx_http_writeen_typist_t *ngx_http_writeen_typist_find(
    ngx_http_writeen_room_t *rm, const void *uid, size_t n);
static void ngx_http_writeen_typist_free(ngx_http_writeen_typist_t *t);
static void ngx_http_writeen_typist_end(ngx_http_writeen_typist_t *t);


static ngx_http_writeen_typist_t *
ngx_http_writeen_typist_find(ngx_http_writeen_room_t *rm, const void *uid,
    size_t n)
{
    ngx_queue_t                *q;
    ngx_http_writeen_typist_t  *t;

    for (q = ngx_queue_head(&rm->typists);
         q != ngx_queue_sentinel(&rm->typists);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_writeen_typist_t, room_queue);

        if (t->uid.len == n && ngx_memcmp(t->uid.data, uid, n) == 0) {
            return t;
        }
    }

    return NULL;
}


static void
ngx_http_writeen_typist_free(ngx_http_writeen_typist_t *t)
{
    ngx_queue_remove(&t->queue);
    ngx_queue_remove(&t->room_queue);
    t->room->ntypists--;
    ngx_free(t);
}


/* Does the event end like this? */

static ngx_uint_t
ngx_http_writeen_typist_says(wrt_slice_t *body, const char *end)
{
    size_t  n;

    n = ngx_strlen(end);

    return body->n >= n && ngx_memcmp(body->p + body->n - n, end, n) == 0;
}


ngx_uint_t
ngx_http_writeen_typist_within(ngx_http_writeen_room_t *rm, ngx_str_t *uid,
    ngx_msec_t ms)
{
    ngx_http_writeen_typist_t  *t;

    t = ngx_http_writeen_typist_find(rm, uid->data, uid->len);

    return t != NULL && ngx_current_msec - t->heard < ms;
}


ngx_uint_t
ngx_http_writeen_typist_heard(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, wrt_bus_header_t *h)
{
    ngx_http_writeen_typist_t  *t;

    t = ngx_http_writeen_typist_find(rm, h->f[1].p, h->f[1].n);

    if (!ngx_http_writeen_typist_says(&h->body, NGX_HTTP_WRITEEN_TYPING_ON)) {

        if (t == NULL) {
            /* nobody has been told that he does */
            return 0;
        }

        ngx_http_writeen_typist_free(t);
        return 1;
    }

    if (t == NULL) {

        if (rm->ntypists >= WRT_TYPING_ROOM_MAX
            || h->body.n > NGX_HTTP_WRITEEN_TYPIST_TEXT)
        {
            return 0;
        }

        t = ngx_alloc(sizeof(ngx_http_writeen_typist_t) + h->f[1].n
                      + h->body.n, wk->log);
        if (t == NULL) {
            return 0;
        }

        t->room = rm;
        t->uid.data = (u_char *) t + sizeof(ngx_http_writeen_typist_t);
        t->uid.len = h->f[1].n;
        t->text.data = ngx_cpymem(t->uid.data, h->f[1].p, h->f[1].n);
        t->text.len = h->body.n;
        ngx_memcpy(t->text.data, h->body.p, h->body.n);

        ngx_queue_insert_tail(&rm->typists, &t->room_queue);
        rm->ntypists++;

    } else {
        ngx_queue_remove(&t->queue);
    }

    /* all have the same time, so the last heard of is the last to stop */

    t->heard = ngx_current_msec;
    ngx_queue_insert_tail(&wk->typists, &t->queue);

    if (!wk->typer.timer_set) {
        ngx_add_timer(&wk->typer, WRT_TYPING_MS);
    }

    return 1;
}


/* Say that he does not any more, unless that is known. */

void
ngx_http_writeen_typist_over(ngx_http_writeen_room_t *rm, ngx_str_t *uid)
{
    ngx_http_writeen_typist_t  *t;

    t = ngx_http_writeen_typist_find(rm, uid->data, uid->len);

    if (t != NULL) {
        ngx_http_writeen_typist_end(t);
    }
}


static void
ngx_http_writeen_typist_end(ngx_http_writeen_typist_t *t)
{
    u_char                   *p, buf[NGX_HTTP_WRITEEN_TYPIST_TEXT + 8];
    wrt_bus_header_t          h;
    ngx_http_writeen_held_t  *held;
    ngx_http_writeen_room_t  *rm;

    rm = t->room;

    p = ngx_cpymem(buf, t->text.data,
                   t->text.len - (sizeof(NGX_HTTP_WRITEEN_TYPING_ON) - 1));
    p = ngx_cpymem(p, NGX_HTTP_WRITEEN_TYPING_OFF,
                   sizeof(NGX_HTTP_WRITEEN_TYPING_OFF) - 1);

    ngx_memzero(&h, sizeof(wrt_bus_header_t));

    h.kind = WRT_EV_TYPING;
    h.f[1].p = (char *) t->uid.data;
    h.f[1].n = t->uid.len;
    h.f[2].p = "";
    h.body.p = (char *) buf;
    h.body.n = p - buf;

    held = ngx_http_writeen_room_held(&h);
    ngx_http_writeen_typist_free(t);

    if (held != NULL) {
        ngx_http_writeen_room_accept(rm, held);
    }
}


void
ngx_http_writeen_typer_handler(ngx_event_t *ev)
{
    ngx_uint_t                  n;
    ngx_msec_t                  gone;
    ngx_queue_t                *q;
    ngx_http_writeen_typist_t  *t;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;

    for (n = 0; !ngx_queue_empty(&wk->typists); n++) {

        q = ngx_queue_head(&wk->typists);
        t = ngx_queue_data(q, ngx_http_writeen_typist_t, queue);
        gone = ngx_current_msec - t->heard;

        if (gone < WRT_TYPING_MS) {
            ngx_add_timer(ev, WRT_TYPING_MS - gone);
            return;
        }

        if (n == NGX_HTTP_WRITEEN_TYPIST_TURN) {
            ngx_add_timer(ev, 1);
            return;
        }

        ngx_http_writeen_count(wk, typing_expired_total);
        ngx_http_writeen_typist_end(t);
    }
}


void
ngx_http_writeen_typist_show(ngx_http_writeen_link_t *l)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_session_t  *s;
    ngx_http_writeen_typist_t   *t;

    s = l->session;

    for (q = ngx_queue_head(&l->room->typists);
         q != ngx_queue_sentinel(&l->room->typists);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_writeen_typist_t, room_queue);

        if (t->uid.len == s->user->node.str.len
            && ngx_memcmp(t->uid.data, s->user->uid, t->uid.len) == 0)
        {
            continue;
        }

        msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, t->text.data,
                                          t->text.len);
        if (msg == NULL) {
            return;
        }

        msg->kind = WRT_EV_TYPING;
        ngx_http_writeen_output(s, msg);
        ngx_http_writeen_msg_unref(msg);

        if (s->state >= NGX_HTTP_WRITEEN_CLOSING) {
            /* its links are gone, and maybe this room's typists */
            return;
        }
    }
}


void
ngx_http_writeen_typist_clear(ngx_http_writeen_room_t *rm)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&rm->typists)) {
        q = ngx_queue_head(&rm->typists);
        ngx_http_writeen_typist_free(
            ngx_queue_data(q, ngx_http_writeen_typist_t, room_queue));
    }
}
