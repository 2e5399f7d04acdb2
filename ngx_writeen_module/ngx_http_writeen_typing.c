/*
 * ngx_http_writeen_typing.c: a session that types.
 *
 * It types in one room at a time.  That it does is told at most once a second
 * a user and room, however often the client says so; what is held back is told
 * by the next sweep.  It stops when the client says so, leaves or switches the
 * room, or goes.  What was refused was never told: it holds nothing back, and
 * who says it again is refused again.
 *
 * What the others in the room hear of it, and until when: typist.c.
 */

#include "ngx_http_writeen.h"


/* A publication whose answer matters, or who waits for one under way. */
typedef struct {
    ngx_http_writeen_op_t         op;
    ngx_http_writeen_load_wait_t  wait;
    ngx_uint_t                    loads;
    size_t                        id_len;
    size_t                        conv_len;
    unsigned                      on:1;
    unsigned                      late:1;     /* acknowledged already */
    unsigned                      behind:1;   /* answered like the one before
                                                 it, nothing is published */
    u_char                        id[WRT_CLIENT_ID_MAX];
    u_char                        conv[WRT_ID_MAX];
} ngx_http_writeen_typing_t;


static ngx_uint_t ngx_http_writeen_typing_told(ngx_http_writeen_link_t *l,
    ngx_str_t *uid);
static void ngx_http_writeen_typing_tell(ngx_http_writeen_session_t *s);
static void ngx_http_writeen_typing_start(ngx_http_writeen_session_t *s,
    ngx_http_writeen_link_t *l);
static ngx_int_t ngx_http_writeen_typing_publish(
    ngx_http_writeen_session_t *s, ngx_str_t *room, ngx_uint_t on,
    ngx_http_writeen_bus_pt handler, void *data);
static ngx_http_writeen_typing_t *ngx_http_writeen_typing_asking(
    ngx_http_writeen_session_t *s, const void *conv, size_t n,
    ngx_uint_t behind);
static ngx_http_writeen_typing_t *ngx_http_writeen_typing_op(
    ngx_http_writeen_session_t *s, ngx_str_t *room, ngx_uint_t on,
    wrt_slice_t id);
static void ngx_http_writeen_typing_call(ngx_http_writeen_typing_t *op);
static void ngx_http_writeen_typing_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_typing_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_typing_abandon(ngx_http_writeen_op_t *data);
static void ngx_http_writeen_typing_done(ngx_http_writeen_typing_t *op,
    const char *code);
static void ngx_http_writeen_typing_answer(ngx_http_writeen_typing_t *op,
    const char *code);
static void ngx_http_writeen_typing_untold(ngx_http_writeen_session_t *s,
    wrt_slice_t conv);


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
    int                         on;
    wrt_slice_t                 conv, none;
    wrt_refusal_t               why;
    ngx_http_writeen_link_t    *l;
    ngx_http_writeen_typing_t  *op;

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

        op = ngx_http_writeen_typing_op(s, &l->room->node.str, 0, e->id);

        if (op != NULL) {
            ngx_http_writeen_typing_call(op);
        }

        return;
    }

    ngx_http_writeen_typing_start(s, l);

    if (ngx_http_writeen_typing_told(l, &s->user->node.str)) {
        s->typing_late = 1;

        if (ngx_http_writeen_typing_asking(s, conv.p, conv.n, 0) == NULL) {
            ngx_http_writeen_event_ack(s, e->id, e->event);
            return;
        }

        /* it may be refused yet, and then this one is, too */

        op = ngx_http_writeen_typing_op(s, &l->room->node.str, 1, e->id);

        if (op != NULL) {
            op->behind = 1;
        }

        return;
    }

    ngx_http_writeen_typing_tell(s);

    op = ngx_http_writeen_typing_op(s, &l->room->node.str, 1, e->id);

    if (op != NULL) {
        ngx_http_writeen_typing_call(op);
    }
}


/* -- what a session does -- */

/* Was it told within the last second, from here or another device? */

static ngx_uint_t
ngx_http_writeen_typing_told(ngx_http_writeen_link_t *l, ngx_str_t *uid)
{
    if (l->typing_at != 0
        && ngx_current_msec - l->typing_at < WRT_TYPING_EVERY_MS)
    {
        return 1;
    }

    return ngx_http_writeen_typist_within(l->room, uid, WRT_TYPING_EVERY_MS);
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
    wrt_slice_t                  none;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_typing_t   *op;
    ngx_http_writeen_session_t  *s;

    none.p = "";
    none.n = 0;

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

            op = ngx_http_writeen_typing_op(s, &l->room->node.str, 1, none);

            if (op != NULL) {
                op->late = 1;
                ngx_http_writeen_typing_call(op);
            }
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
    ngx_str_t                  *uid, *name;
    ngx_uint_t                  k;
    const char                 *id;
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    uid = &s->user->node.str;
    name = ngx_http_writeen_profile_name(s);
    id = (char *) room->data;
    k = wrt_shard(&wk->names, id, room->len);

    text = ngx_alloc(256 + 2 * WRT_ID_MAX + 6 * name->len, wk->log);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "{\"event\":\"user_typing\",\"data\":{"
                    "\"conversationId\":\"%V\",\"userId\":\"%V\","
                    "\"userName\":", room, uid);

    if (name->len != 0) {
        *p++ = '"';
        p += wrt_json_escape((char *) p, (char *) name->data, name->len);
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


/* The session's first one of the room that is under way, or behind it. */

static ngx_http_writeen_typing_t *
ngx_http_writeen_typing_asking(ngx_http_writeen_session_t *s,
    const void *conv, size_t n, ngx_uint_t behind)
{
    ngx_queue_t                *q;
    ngx_http_writeen_op_t      *op;
    ngx_http_writeen_typing_t  *t;

    for (q = ngx_queue_head(&s->ops);
         q != ngx_queue_sentinel(&s->ops);
         q = ngx_queue_next(q))
    {
        op = ngx_queue_data(q, ngx_http_writeen_op_t, queue);

        if (op->abandon != ngx_http_writeen_typing_abandon) {
            continue;
        }

        t = (ngx_http_writeen_typing_t *) op;

        if (t->on && t->behind == behind && t->conv_len == n
            && ngx_memcmp(t->conv, conv, n) == 0)
        {
            return t;
        }
    }

    return NULL;
}


static ngx_http_writeen_typing_t *
ngx_http_writeen_typing_op(ngx_http_writeen_session_t *s, ngx_str_t *room,
    ngx_uint_t on, wrt_slice_t id)
{
    ngx_http_writeen_typing_t  *op;

    op = ngx_calloc(sizeof(ngx_http_writeen_typing_t),
                    ngx_http_writeen_worker->log);
    if (op == NULL) {
        ngx_http_writeen_session_drop(s);
        return NULL;
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

    return op;
}


static void
ngx_http_writeen_typing_call(ngx_http_writeen_typing_t *op)
{
    ngx_str_t  room;

    room.data = op->conv;
    room.len = op->conv_len;

    if (ngx_http_writeen_typing_publish(op->op.session, &room, op->on,
                                        ngx_http_writeen_typing_reply, op)
        != NGX_OK)
    {
        ngx_http_writeen_typing_done(op, "unavailable");
    }
}


/* The answer frees it, where there will be one. */

static void
ngx_http_writeen_typing_abandon(ngx_http_writeen_op_t *data)
{
    ngx_http_writeen_typing_t  *op = (ngx_http_writeen_typing_t *) data;

    if (op->behind) {
        ngx_free(op);
    }
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
    wrt_slice_t                  conv;
    ngx_http_writeen_session_t  *s;
    ngx_http_writeen_typing_t   *next;

    s = op->op.session;

    if (s == NULL) {
        ngx_free(op);
        return;
    }

    ngx_queue_remove(&op->op.queue);

    conv.p = (char *) op->conv;
    conv.n = op->conv_len;

    if (op->on && code != NULL) {
        ngx_http_writeen_typing_untold(s, conv);
    }

    ngx_http_writeen_typing_answer(op, code);

    /* an answer may have ended the session: then nothing is behind any more */

    while (op->on) {
        next = ngx_http_writeen_typing_asking(s, conv.p, conv.n, 1);

        if (next == NULL) {
            break;
        }

        ngx_queue_remove(&next->op.queue);
        ngx_http_writeen_typing_answer(next, code);
        ngx_free(next);
    }

    ngx_free(op);
}


static void
ngx_http_writeen_typing_answer(ngx_http_writeen_typing_t *op,
    const char *code)
{
    wrt_slice_t                  id, event, conv;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;

    id.p = (char *) op->id;
    id.n = op->id_len;
    conv.p = (char *) op->conv;
    conv.n = op->conv_len;
    event.p = "typing";
    event.n = 6;

    if (code == NULL || op->late) {
        ngx_http_writeen_event_ack(s, id, event);

    } else if (id.n != 0 || ngx_strcmp(code, "unavailable") != 0) {
        /* that nobody sees it now is not worth a word */
        ngx_http_writeen_typing_error(s, id, conv, code);
    }
}


/* It was refused: nobody has been told that he types there. */

static void
ngx_http_writeen_typing_untold(ngx_http_writeen_session_t *s,
    wrt_slice_t conv)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_session_t  *other;

    for (q = ngx_queue_head(&s->user->sessions);
         q != ngx_queue_sentinel(&s->user->sessions);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);
        l = ngx_http_writeen_link_find(other, conv.p, conv.n);

        if (l != NULL) {
            l->typing_at = 0;
        }
    }

    if (s->typing != NULL && s->typing->room->node.str.len == conv.n
        && ngx_memcmp(s->typing->room->node.str.data, conv.p, conv.n) == 0)
    {
        ngx_http_writeen_typing_forget(s);
    }
}
