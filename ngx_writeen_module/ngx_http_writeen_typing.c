/*
 * ngx_http_writeen_typing.c: who types.
 *
 * The sender's side: a session types in one room at a time.  That it does is
 * told at most once a second a user and room, however often the client says
 * so; what is held back is told by the next sweep.  It stops when the client
 * says so, leaves or switches the room, or goes.
 *
 * The receivers' side: each room remembers who types, as it was heard on the
 * bus, and itself says that it is over when WRT_TYPING_MS have passed without
 * another word.  So nobody types for ever, whatever has died in between.
 * A message of his ends it, too.  What a room has said already is not said
 * again, and of more than WRT_TYPING_ROOM_MAX users nothing is said.
 *
 * Typing is not kept, never caught up with, and left out for a client whose
 * queue is filling (output.c).
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_TYPING_TEXT  4096  /* bytes of an event, at most */
#define NGX_HTTP_WRITEEN_TYPING_TURN  256   /* ended in a turn */

#define NGX_HTTP_WRITEEN_TYPING_ON    "\"isTyping\":true}}"
#define NGX_HTTP_WRITEEN_TYPING_OFF   "\"isTyping\":false}}"


/* A publication that somebody waits for. */
typedef struct {
    ngx_http_writeen_op_t         op;
    ngx_http_writeen_load_wait_t  wait;
    ngx_uint_t                    loads;
    size_t                        id_len;
    size_t                        conv_len;
    unsigned                      on:1;
    u_char                        id[WRT_CLIENT_ID_MAX];
    u_char                        conv[WRT_ID_MAX];
} ngx_http_writeen_typing_t;


/* Who types in a room. */
typedef struct {
    ngx_queue_t                   queue;      /* in worker->typists */
    ngx_queue_t                   room_queue; /* in room->typists */
    ngx_http_writeen_room_t      *room;
    ngx_msec_t                    heard;
    ngx_str_t                     uid;
    ngx_str_t                     text;       /* the event: he does */
} ngx_http_writeen_typist_t;


static ngx_uint_t ngx_http_writeen_typing_told(ngx_http_writeen_link_t *l,
    ngx_str_t *uid);
static void ngx_http_writeen_typing_tell(ngx_http_writeen_session_t *s);
static void ngx_http_writeen_typing_start(ngx_http_writeen_session_t *s,
    ngx_http_writeen_link_t *l);
static ngx_int_t ngx_http_writeen_typing_publish(
    ngx_http_writeen_session_t *s, ngx_str_t *room, ngx_uint_t on,
    ngx_http_writeen_bus_pt handler, void *data);
static void ngx_http_writeen_typing_call(ngx_http_writeen_session_t *s,
    ngx_str_t *room, ngx_uint_t on, wrt_slice_t id);
static void ngx_http_writeen_typing_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_typing_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_typing_abandon(ngx_http_writeen_op_t *data);
static void ngx_http_writeen_typing_done(ngx_http_writeen_typing_t *op,
    const char *code);
static ngx_http_writeen_typist_t *ngx_http_writeen_typist_find(
    ngx_http_writeen_room_t *rm, const void *uid, size_t n);
static void ngx_http_writeen_typist_free(ngx_http_writeen_typist_t *t);
static void ngx_http_writeen_typist_end(ngx_http_writeen_typist_t *t);


static void
ngx_http_writeen_typing_error(ngx_http_writeen_session_t *s, wrt_slice_t id,
    wrt_slice_t conversation, const char *code)
{
    ngx_http_writeen_error_t  e;

    ngx_memzero(&e, sizeof(ngx_http_writeen_error_t));

    e.id = id;
    e.event.p = "typing";
    e.event.n = 6;
    e.conversation = conversation;
    e.code = code;

    if (ngx_strcmp(code, "not_found") == 0) {
        e.message = "There is no such conversation.";

    } else if (ngx_strcmp(code, "forbidden") == 0) {
        e.message = "You may not write in this conversation.";

    } else if (ngx_strcmp(code, "conversation_archived") == 0) {
        e.message = "This conversation is archived.";

    } else {
        e.message = "This is not possible right now, try again.";
        e.retryable = 1;
        e.retry_ms = 1000;
    }

    ngx_http_writeen_event_error(s, &e);
}


void
ngx_http_writeen_typing(ngx_http_writeen_session_t *s, wrt_envelope_t *e)
{
    int                       on;
    wrt_slice_t               conv, none;
    wrt_refusal_t             why;
    ngx_http_writeen_link_t  *l;

    if (ngx_http_writeen_event_required(
            wrt_envelope_id(e, "conversationId", &conv, &why),
            "conversationId", &why) != NGX_OK
        || ngx_http_writeen_event_required(
               wrt_envelope_bool(e, "isTyping", &on, &why),
               "isTyping", &why) != NGX_OK)
    {
        none.p = "";
        none.n = 0;
        ngx_http_writeen_event_refuse(s, e, &why, none);
        return;
    }

    l = ngx_http_writeen_link_find(s, conv.p, conv.n);

    if (l == NULL) {
        ngx_http_writeen_typing_error(s, e->id, conv, "not_found");
        return;
    }

    if (!on) {
        if (s->typing != l) {
            ngx_http_writeen_event_ack(s, e->id, e->event);
            return;
        }

        ngx_http_writeen_typing_forget(s);
        ngx_http_writeen_typing_call(s, &l->room->node.str, 0, e->id);
        return;
    }

    ngx_http_writeen_typing_start(s, l);

    if (ngx_http_writeen_typing_told(l, &s->user->node.str)) {
        s->typing_late = 1;
        ngx_http_writeen_event_ack(s, e->id, e->event);
        return;
    }

    ngx_http_writeen_typing_tell(s);
    ngx_http_writeen_typing_call(s, &l->room->node.str, 1, e->id);
}


/* -- what a session does -- */

/* Was it told within the last second, from here or another device? */

static ngx_uint_t
ngx_http_writeen_typing_told(ngx_http_writeen_link_t *l, ngx_str_t *uid)
{
    ngx_http_writeen_typist_t  *t;

    if (l->typing_at != 0
        && ngx_current_msec - l->typing_at < WRT_TYPING_EVERY_MS)
    {
        return 1;
    }

    t = ngx_http_writeen_typist_find(l->room, uid->data, uid->len);

    return t != NULL && ngx_current_msec - t->heard < WRT_TYPING_EVERY_MS;
}


/* It is being told: what his other devices say of this room goes with it. */

static void
ngx_http_writeen_typing_tell(ngx_http_writeen_session_t *s)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_session_t  *other;

    for (q = ngx_queue_head(&s->user->sessions);
         q != ngx_queue_sentinel(&s->user->sessions);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);

        if (other->typing != NULL && other->typing->room == s->typing->room) {
            other->typing->typing_at = ngx_current_msec;
            other->typing_late = 0;
        }
    }
}


static void
ngx_http_writeen_typing_start(ngx_http_writeen_session_t *s,
    ngx_http_writeen_link_t *l)
{
    if (s->typing != l) {
        ngx_http_writeen_typing_stop(s, NULL);

        s->typing = l;
        ngx_queue_insert_tail(&ngx_http_writeen_worker->typing, &s->typists);
        ngx_http_writeen_presence_news(s);
    }

    s->typed = ngx_current_msec;
    s->typing_late = 0;
}


void
ngx_http_writeen_typing_forget(ngx_http_writeen_session_t *s)
{
    if (s->typing == NULL) {
        return;
    }

    s->typing = NULL;
    s->typing_late = 0;

    ngx_queue_remove(&s->typists);
    ngx_queue_init(&s->typists);
    ngx_http_writeen_presence_news(s);
}


void
ngx_http_writeen_typing_stop(ngx_http_writeen_session_t *s,
    ngx_http_writeen_link_t *l)
{
    ngx_http_writeen_link_t  *typing;

    typing = s->typing;

    if (typing == NULL || (l != NULL && l != typing)) {
        return;
    }

    ngx_http_writeen_typing_forget(s);

    /* nobody waits for it, and should it get lost, they stop by themselves */

    (void) ngx_http_writeen_typing_publish(s, &typing->room->node.str, 0,
                                           NULL, NULL);
}


/* Each second: what was held back, and who has fallen silent. */

void
ngx_http_writeen_typing_sweep(ngx_http_writeen_worker_t *wk)
{
    ngx_str_t                   *uid;
    ngx_queue_t                 *q, *next;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_session_t  *s;

    for (q = ngx_queue_head(&wk->typing);
         q != ngx_queue_sentinel(&wk->typing);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, typists);

        if (ngx_current_msec - s->typed >= WRT_TYPING_MS) {
            ngx_http_writeen_typing_forget(s);
            continue;
        }

        l = s->typing;
        uid = &s->user->node.str;

        if (s->typing_late && !ngx_http_writeen_typing_told(l, uid)) {
            ngx_http_writeen_typing_tell(s);

            (void) ngx_http_writeen_typing_publish(s, &l->room->node.str, 1,
                                                   NULL, NULL);
        }
    }
}


/* -- publishing -- */

static ngx_int_t
ngx_http_writeen_typing_publish(ngx_http_writeen_session_t *s,
    ngx_str_t *room, ngx_uint_t on, ngx_http_writeen_bus_pt handler,
    void *data)
{
    char                        conv[WRT_NAME_BUF], chan[WRT_NAME_BUF];
    u_char                     *p, *text;
    ngx_int_t                   rc;
    ngx_str_t                  *uid;
    ngx_uint_t                  k;
    const char                 *id;
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    uid = &s->user->node.str;
    id = (char *) room->data;
    k = wrt_shard(&wk->names, id, room->len);

    text = ngx_alloc(256 + 2 * WRT_ID_MAX + 6 * s->name.len, wk->log);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "{\"event\":\"user_typing\",\"data\":{"
                    "\"conversationId\":\"%V\",\"userId\":\"%V\","
                    "\"userName\":", room, uid);

    if (s->name.len != 0) {
        *p++ = '"';
        p += wrt_json_escape((char *) p, (char *) s->name.data, s->name.len);
        *p++ = '"';

    } else {
        p = ngx_cpymem(p, "null", 4);
    }

    p = ngx_sprintf(p, ",%s", on ? NGX_HTTP_WRITEEN_TYPING_ON
                                 : NGX_HTTP_WRITEEN_TYPING_OFF);

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_TYPING);
    ngx_http_writeen_arg_lit(&a, "1");
    ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, k, id, room->len));
    ngx_http_writeen_arg(&a, chan, ngx_http_writeen_bus_room(wk, chan, k, id,
                                                             room->len));
    ngx_http_writeen_arg(&a, uid->data, uid->len);
    ngx_http_writeen_arg(&a, text, p - text);

    rc = ngx_http_writeen_bus_call(wk, ngx_http_writeen_bus_server(wk, k), &a,
                                   handler, data);
    ngx_free(text);

    if (rc == NGX_OK) {
        ngx_http_writeen_count(wk, typing_total);
    }

    return rc;
}


static void
ngx_http_writeen_typing_call(ngx_http_writeen_session_t *s, ngx_str_t *room,
    ngx_uint_t on, wrt_slice_t id)
{
    ngx_http_writeen_typing_t  *op;

    op = ngx_calloc(sizeof(ngx_http_writeen_typing_t),
                    ngx_http_writeen_worker->log);
    if (op == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    op->op.session = s;
    op->op.abandon = ngx_http_writeen_typing_abandon;
    ngx_queue_insert_tail(&s->ops, &op->op.queue);

    op->on = on;
    op->id_len = id.n;
    ngx_memcpy(op->id, id.p, id.n);
    op->conv_len = room->len;
    ngx_memcpy(op->conv, room->data, room->len);

    op->wait.handler = ngx_http_writeen_typing_loaded;
    op->wait.data = op;

    if (ngx_http_writeen_typing_publish(s, room, on,
                                        ngx_http_writeen_typing_reply, op)
        != NGX_OK)
    {
        ngx_http_writeen_typing_done(op, "unavailable");
    }
}


/* The answer frees it. */

static void
ngx_http_writeen_typing_abandon(ngx_http_writeen_op_t *data)
{
    /* void */
}


static void
ngx_http_writeen_typing_reply(void *data, ngx_http_writeen_result_t *res)
{
    wrt_slice_t                 id;
    ngx_http_writeen_typing_t  *op = data;

    switch (res->rc) {

    case NGX_HTTP_WRITEEN_R_OK:
        ngx_http_writeen_typing_done(op, NULL);
        return;

    case NGX_HTTP_WRITEEN_R_NOLOAD:
        id.p = (char *) op->conv;
        id.n = op->conv_len;

        if (op->op.session != NULL && op->loads++ == 0
            && ngx_http_writeen_load(ngx_http_writeen_worker, id, &op->wait)
               == NGX_OK)
        {
            return;
        }

        ngx_http_writeen_typing_done(op, "unavailable");
        return;

    case NGX_HTTP_WRITEEN_R_DENIED:
        ngx_http_writeen_typing_done(op, "not_found");
        return;

    case NGX_HTTP_WRITEEN_R_FORBIDDEN:
        ngx_http_writeen_typing_done(op, "forbidden");
        return;

    case NGX_HTTP_WRITEEN_R_ARCHIVED:
        ngx_http_writeen_typing_done(op, "conversation_archived");
        return;

    default:
        ngx_http_writeen_typing_done(op, "unavailable");
    }
}


static void
ngx_http_writeen_typing_loaded(void *data, ngx_int_t ok)
{
    ngx_str_t                   room;
    ngx_http_writeen_typing_t  *op = data;

    room.data = op->conv;
    room.len = op->conv_len;

    if (ok == 1 && op->op.session != NULL
        && ngx_http_writeen_typing_publish(op->op.session, &room, op->on,
                                           ngx_http_writeen_typing_reply, op)
           == NGX_OK)
    {
        return;
    }

    ngx_http_writeen_typing_done(op, ok == 0 ? "not_found" : "unavailable");
}


static void
ngx_http_writeen_typing_done(ngx_http_writeen_typing_t *op, const char *code)
{
    wrt_slice_t                  id, event, conv;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;

    if (s != NULL) {
        ngx_queue_remove(&op->op.queue);

        id.p = (char *) op->id;
        id.n = op->id_len;
        conv.p = (char *) op->conv;
        conv.n = op->conv_len;
        event.p = "typing";
        event.n = 6;

        if (code == NULL) {
            ngx_http_writeen_event_ack(s, id, event);

        } else if (id.n != 0 || ngx_strcmp(code, "unavailable") != 0) {
            /* that nobody sees it now is not worth a word */
            ngx_http_writeen_typing_error(s, id, conv, code);
        }
    }

    ngx_free(op);
}


/* -- what a room hears -- */

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
ngx_http_writeen_typing_ends(wrt_slice_t *body, const char *end)
{
    size_t  n;

    n = ngx_strlen(end);

    return body->n >= n && ngx_memcmp(body->p + body->n - n, end, n) == 0;
}


ngx_uint_t
ngx_http_writeen_typing_heard(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, wrt_bus_header_t *h)
{
    ngx_http_writeen_typist_t  *t;

    t = ngx_http_writeen_typist_find(rm, h->f[1].p, h->f[1].n);

    if (!ngx_http_writeen_typing_ends(&h->body, NGX_HTTP_WRITEEN_TYPING_ON)) {

        if (t == NULL) {
            /* nobody has been told that he does */
            return 0;
        }

        ngx_http_writeen_typist_free(t);
        return 1;
    }

    if (t == NULL) {

        if (rm->ntypists >= WRT_TYPING_ROOM_MAX
            || h->body.n > NGX_HTTP_WRITEEN_TYPING_TEXT)
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
ngx_http_writeen_typing_over(ngx_http_writeen_room_t *rm, ngx_str_t *uid)
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
    u_char                   *p, buf[NGX_HTTP_WRITEEN_TYPING_TEXT + 8];
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

        if (n == NGX_HTTP_WRITEEN_TYPING_TURN) {
            ngx_add_timer(ev, 1);
            return;
        }

        ngx_http_writeen_count(wk, typing_expired_total);
        ngx_http_writeen_typist_end(t);
    }
}


void
ngx_http_writeen_typing_show(ngx_http_writeen_link_t *l)
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
ngx_http_writeen_typing_clear(ngx_http_writeen_room_t *rm)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&rm->typists)) {
        q = ngx_queue_head(&rm->typists);
        ngx_http_writeen_typist_free(
            ngx_queue_data(q, ngx_http_writeen_typist_t, room_queue));
    }
}
