/*
 * ngx_http_writeen_event.c: what clients say, and what they are told.
 *
 * Every event is parsed, checked and counted against the rates here, then
 * handed to room, link or send.  One table has all events; one function
 * makes all errors.
 */

#include "ngx_http_writeen.h"


typedef void (*ngx_http_writeen_event_pt)(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);


/* A send_message on its way. */
typedef struct {
    ngx_http_writeen_op_t      op;
    ngx_http_writeen_send_t   *send;
    size_t                     id_len;
    size_t                     client_len;
    size_t                     conv_len;
    u_char                     id[WRT_CLIENT_ID_MAX];
    u_char                     client[WRT_CLIENT_MSG_ID_MAX];
    u_char                     conv[WRT_ID_MAX];
} ngx_http_writeen_event_send_t;


static void ngx_http_writeen_event_join(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static void ngx_http_writeen_event_leave(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static void ngx_http_writeen_event_send(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static void ngx_http_writeen_event_sent(void *data,
    ngx_http_writeen_sent_t *sent);
static void ngx_http_writeen_event_send_abandon(ngx_http_writeen_op_t *data);
static void ngx_http_writeen_event_send_later(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, wrt_slice_t client, wrt_slice_t conversation);
static void ngx_http_writeen_event_resume(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static int ngx_http_writeen_event_resume_room(void *data, wrt_slice_t id,
    int64_t seq);
static void ngx_http_writeen_event_refresh(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static void ngx_http_writeen_event_ping(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static void ngx_http_writeen_event_limited(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, ngx_int_t parsed, ngx_msec_t wait);


/* What a client may say.  The last one is everything else. */
static const struct {
    const char                 *name;
    ngx_http_writeen_event_pt   handler;
    ngx_uint_t                  kind;      /* of rate */
} ngx_http_writeen_events[] = {
    { "send_message", ngx_http_writeen_event_send,
      NGX_HTTP_WRITEEN_RATE_MESSAGE },
    { "join_conversation", ngx_http_writeen_event_join,
      NGX_HTTP_WRITEEN_RATE_JOIN },
    { "leave_conversation", ngx_http_writeen_event_leave,
      NGX_HTTP_WRITEEN_RATE_JOIN },
    { "typing", ngx_http_writeen_typing,
      NGX_HTTP_WRITEEN_RATE_TYPING },
    { "mark_read", ngx_http_writeen_receipt_read,
      NGX_HTTP_WRITEEN_RATE_RECEIPT },
    { "mark_delivered", ngx_http_writeen_receipt_delivered,
      NGX_HTTP_WRITEEN_RATE_RECEIPT },
    { "edit_message", ngx_http_writeen_command,
      NGX_HTTP_WRITEEN_RATE_CHANGE },
    { "delete_message", ngx_http_writeen_command,
      NGX_HTTP_WRITEEN_RATE_CHANGE },
    { "add_reaction", ngx_http_writeen_command,
      NGX_HTTP_WRITEEN_RATE_CHANGE },
    { "remove_reaction", ngx_http_writeen_command,
      NGX_HTTP_WRITEEN_RATE_CHANGE },
    { "set_presence", ngx_http_writeen_command,
      NGX_HTTP_WRITEEN_RATE_PRESENCE },
    { "resume", ngx_http_writeen_event_resume,
      NGX_HTTP_WRITEEN_RATE_JOIN },
    { "refresh_token", ngx_http_writeen_event_refresh,
      NGX_HTTP_WRITEEN_RATE_OTHER },
    { "ping", ngx_http_writeen_event_ping,
      NGX_HTTP_WRITEEN_RATE_OTHER },
    { NULL, NULL, NGX_HTTP_WRITEEN_RATE_OTHER }
};


static const wrt_slice_t  ngx_http_writeen_nothing = { "", 0 };


void
ngx_http_writeen_event(ngx_http_writeen_session_t *s, u_char *p, size_t n)
{
    ngx_int_t       rc;
    ngx_uint_t      i;
    ngx_msec_t      wait;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    ngx_http_writeen_count(ngx_http_writeen_worker, events_in_total);

    /* parsed even when it is too much: the client must know which one it was,
     * and each kind has a rate of its own */

    rc = wrt_envelope_parse(&e, (char *) p, n, &why);

    for (i = 0; ngx_http_writeen_events[i].name != NULL; i++) {

        if (rc == 0
            && ngx_strlen(ngx_http_writeen_events[i].name) == e.event.n
            && ngx_strncmp(ngx_http_writeen_events[i].name, e.event.p,
                           e.event.n)
               == 0)
        {
            break;
        }
    }

    wait = ngx_http_writeen_rate_event(s, ngx_http_writeen_events[i].kind);

    if (wait != 0) {
        ngx_http_writeen_event_limited(s, &e, rc, wait);
        wrt_envelope_free(&e);
        return;
    }

    if (s->floods > 0) {
        s->floods--;
    }

    if (rc == 0 && ngx_http_writeen_events[i].handler != NULL) {
        ngx_http_writeen_events[i].handler(s, &e);
        wrt_envelope_free(&e);
        return;
    }

    if (rc == 0) {
        why.code = "invalid_request";
        why.field = "event";
        why.message = "There is no such event.";
    }

    ngx_http_writeen_event_refuse(s, &e, &why, ngx_http_writeen_nothing);
    wrt_envelope_free(&e);
}


static void
ngx_http_writeen_event_limited(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, ngx_int_t parsed, ngx_msec_t wait)
{
    wrt_refusal_t             why;
    ngx_http_writeen_error_t  err;

    if (++s->floods > WRT_FLOODS_MAX) {
        ngx_http_writeen_count(ngx_http_writeen_worker, flood_closed_total);
        ngx_http_writeen_session_close(s, WRT_CLOSE_FLOOD, "flood");
        return;
    }

    ngx_memzero(&err, sizeof(ngx_http_writeen_error_t));

    if (parsed == 0) {
        err.id = e->id;
        err.event = e->event;

        (void) wrt_envelope_string(e, "clientMessageId",
                                   WRT_CLIENT_MSG_ID_MAX, &err.client_id,
                                   &why);
        (void) wrt_envelope_id(e, "conversationId", &err.conversation, &why);
    }

    err.code = "rate_limited";
    err.message = "Too many events, slow down.";
    err.retryable = 1;
    err.retry_ms = wait;

    ngx_http_writeen_event_error(s, &err);
}


/* -- errors -- */

void
ngx_http_writeen_event_error(ngx_http_writeen_session_t *s,
    ngx_http_writeen_error_t *e)
{
    u_char       *p, *buf;
    wrt_slice_t   message;

    message.p = e->message;
    message.n = ngx_strlen(e->message);

    buf = ngx_alloc(512 + 6 * (e->id.n + e->event.n + e->client_id.n
                               + message.n)
                    + e->conversation.n, ngx_http_writeen_worker->log);
    if (buf == NULL) {
        return;
    }

    p = ngx_sprintf(buf, "{\"event\":\"error\",\"data\":{");

#define ngx_http_writeen_error_field(name, slice)                             \
    if ((slice).n != 0) {                                                     \
        p = ngx_cpymem(p, "\"" name "\":\"", sizeof(name) + 3);               \
        p += wrt_json_escape((char *) p, (slice).p, (slice).n);               \
        p = ngx_cpymem(p, "\",", 2);                                          \
    }

    ngx_http_writeen_error_field("id", e->id)
    ngx_http_writeen_error_field("event", e->event)
    ngx_http_writeen_error_field("clientMessageId", e->client_id)
    ngx_http_writeen_error_field("conversationId", e->conversation)
    ngx_http_writeen_error_field("message", message)

#undef ngx_http_writeen_error_field

    if (e->field != NULL) {
        p = ngx_sprintf(p, "\"field\":\"%s\",", e->field);
    }

    p = ngx_sprintf(p, "\"code\":\"%s\",\"retryable\":%s", e->code,
                    e->retryable ? "true" : "false");

    if (e->retry_ms != 0) {
        p = ngx_sprintf(p, ",\"retryAfterMs\":%M", e->retry_ms);
    }

    p = ngx_cpymem(p, "}}", 2);

    ngx_http_writeen_output_text(s, buf, p - buf);
    ngx_free(buf);
}


/* A malformed event: after ten of them nobody is listening. */

void
ngx_http_writeen_event_refuse(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, wrt_refusal_t *why, wrt_slice_t client_id)
{
    ngx_http_writeen_error_t  err;

    ngx_http_writeen_count(ngx_http_writeen_worker, events_bad_total);

    ngx_memzero(&err, sizeof(ngx_http_writeen_error_t));

    err.id = e->id;
    err.event = e->event;
    err.client_id = client_id;
    err.field = why->field;
    err.code = why->code;
    err.message = why->message;

    ngx_http_writeen_event_error(s, &err);

    if (++s->bad_events >= WRT_BAD_EVENTS_MAX) {
        ngx_http_writeen_session_close(s, WRT_CLOSE_BAD_EVENT,
                                       "too many bad events");
    }
}


void
ngx_http_writeen_event_ack(ngx_http_writeen_session_t *s, wrt_slice_t id,
    wrt_slice_t event)
{
    u_char  *p, buf[128 + 6 * (WRT_CLIENT_ID_MAX + 64)];

    if (id.n == 0) {
        return;
    }

    p = ngx_sprintf(buf, "{\"event\":\"ack\",\"data\":{\"id\":\"");
    p += wrt_json_escape((char *) p, id.p, id.n);
    p = ngx_sprintf(p, "\",\"event\":\"%*s\"}}", event.n, event.p);

    ngx_http_writeen_output_text(s, buf, p - buf);
}


ngx_int_t
ngx_http_writeen_event_required(int found, const char *field,
    wrt_refusal_t *why)
{
    if (found == 1) {
        return NGX_OK;
    }

    if (found == 0) {
        why->code = "invalid_request";
        why->field = field;
        why->message = "This member of data is required.";
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_writeen_event_is(ngx_str_t *room, wrt_slice_t id)
{
    return room->len == id.n && ngx_memcmp(room->data, id.p, id.n) == 0;
}


/* -- the events -- */

static void
ngx_http_writeen_event_join(ngx_http_writeen_session_t *s, wrt_envelope_t *e)
{
    int64_t        after;
    wrt_slice_t    id;
    wrt_refusal_t  why;

    after = -1;

    if (ngx_http_writeen_event_required(
            wrt_envelope_id(e, "conversationId", &id, &why),
            "conversationId", &why) != NGX_OK
        || wrt_envelope_seq(e, "afterSeq", &after, &why) < 0)
    {
        ngx_http_writeen_event_refuse(s, e, &why, ngx_http_writeen_nothing);
        return;
    }

    if (s->typing != NULL
        && !ngx_http_writeen_event_is(&s->typing->room->node.str, id))
    {
        ngx_http_writeen_typing_stop(s, NULL);
    }

    ngx_http_writeen_join(s, id, after, e->id, 1);
}


static void
ngx_http_writeen_event_leave(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e)
{
    wrt_slice_t                id;
    wrt_refusal_t              why;
    ngx_http_writeen_link_t   *l;
    ngx_http_writeen_error_t   err;

    if (ngx_http_writeen_event_required(
            wrt_envelope_id(e, "conversationId", &id, &why),
            "conversationId", &why) != NGX_OK)
    {
        ngx_http_writeen_event_refuse(s, e, &why, ngx_http_writeen_nothing);
        return;
    }

    l = ngx_http_writeen_link_find(s, id.p, id.n);

    if (l == NULL) {
        ngx_memzero(&err, sizeof(ngx_http_writeen_error_t));

        err.id = e->id;
        err.event = e->event;
        err.conversation = id;
        err.code = "not_found";
        err.message = "There is no such conversation.";

        ngx_http_writeen_event_error(s, &err);
        return;
    }

    /* off the screen; its events keep coming, as for all of his rooms */

    ngx_http_writeen_typing_stop(s, l);

    if (s->screen == l) {
        s->screen = NULL;
        ngx_http_writeen_presence_news(s);
    }

    ngx_http_writeen_event_ack(s, e->id, e->event);
}


static void
ngx_http_writeen_event_send(ngx_http_writeen_session_t *s, wrt_envelope_t *e)
{
    u_char                         *p;
    ngx_str_t                       extra;
    wrt_send_t                      m;
    wrt_slice_t                     client;
    wrt_refusal_t                   why;
    ngx_http_writeen_identity_t     id;
    ngx_http_writeen_event_send_t  *op;
    u_char                          buf[128 + NGX_SOCKADDR_STRLEN];

    client = ngx_http_writeen_nothing;
    (void) wrt_envelope_string(e, "clientMessageId", WRT_CLIENT_MSG_ID_MAX,
                               &client, &why);

    if (wrt_send_parse(&m, e, 1, s->conf->max_text, &why) != 0) {
        ngx_http_writeen_event_refuse(s, e, &why, client);
        return;
    }

    if (s->nsends >= WRT_SENDS_MAX) {
        /* with writeen_ack store they wait for it, however long it is away */
        ngx_http_writeen_event_send_later(s, e, client, m.conversation);
        return;
    }

    op = ngx_alloc(sizeof(ngx_http_writeen_event_send_t),
                   ngx_http_writeen_worker->log);
    if (op == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    op->op.session = s;
    op->op.abandon = ngx_http_writeen_event_send_abandon;
    ngx_queue_insert_tail(&s->ops, &op->op.queue);

    op->id_len = e->id.n;
    ngx_memcpy(op->id, e->id.p, e->id.n);
    op->client_len = m.client_id.n;
    ngx_memcpy(op->client, m.client_id.p, m.client_id.n);
    op->conv_len = m.conversation.n;
    ngx_memcpy(op->conv, m.conversation.p, m.conversation.n);

    id.uid = s->user->node.str;
    id.role = s->role;
    id.name = *ngx_http_writeen_profile_name(s);
    id.avatar = *ngx_http_writeen_profile_avatar(s);

    p = ngx_sprintf(buf, "{\"metadata\":{\"ipAddress\":\"%V\"}}",
                    &s->addr);
    extra.data = buf;
    extra.len = p - buf;

    if (s->typing != NULL
        && ngx_http_writeen_event_is(&s->typing->room->node.str,
                                     m.conversation))
    {
        /* the message tells the others */
        ngx_http_writeen_typing_forget(s);
    }

    op->send = ngx_http_writeen_send(ngx_http_writeen_worker, s->conf, &m,
                                     m.conversation, &id, &extra,
                                     ngx_http_writeen_event_sent, op);
    if (op->send != NULL) {
        s->nsends++;
        return;
    }

    ngx_queue_remove(&op->op.queue);
    ngx_free(op);

    ngx_http_writeen_event_send_later(s, e, client, m.conversation);
}


static void
ngx_http_writeen_event_send_later(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, wrt_slice_t client, wrt_slice_t conversation)
{
    ngx_http_writeen_error_t  err;

    ngx_memzero(&err, sizeof(ngx_http_writeen_error_t));

    err.id = e->id;
    err.event = e->event;
    err.client_id = client;
    err.conversation = conversation;
    err.code = "unavailable";
    err.message = "The message was not taken, try again.";
    err.retryable = 1;
    err.retry_ms = 1000;

    ngx_http_writeen_event_error(s, &err);
}


/* The session went first: the message goes its way, nobody is told. */

static void
ngx_http_writeen_event_send_abandon(ngx_http_writeen_op_t *data)
{
    ngx_http_writeen_event_send_t  *op = (ngx_http_writeen_event_send_t *) data;

    ngx_http_writeen_send_cancel(op->send);
    ngx_free(op);
}


static void
ngx_http_writeen_event_sent(void *data, ngx_http_writeen_sent_t *sent)
{
    u_char                         *p;
    ngx_http_writeen_error_t        e;
    ngx_http_writeen_session_t     *s;
    ngx_http_writeen_event_send_t  *op = data;
    u_char                          buf[512 + WRT_ID_MAX
                                        + 6 * (WRT_CLIENT_ID_MAX
                                               + WRT_CLIENT_MSG_ID_MAX)];

    s = op->op.session;
    s->nsends--;

    ngx_queue_remove(&op->op.queue);

    ngx_memzero(&e, sizeof(ngx_http_writeen_error_t));

    e.id.p = (char *) op->id;
    e.id.n = op->id_len;
    e.event.p = "send_message";
    e.event.n = sizeof("send_message") - 1;

    if (sent->rc == NGX_HTTP_WRITEEN_R_OK
        || sent->rc == NGX_HTTP_WRITEEN_R_DUP)
    {
        p = ngx_sprintf(buf, "{\"event\":\"message_status\",\"data\":{");

        if (op->id_len != 0) {
            p = ngx_cpymem(p, "\"id\":\"", 6);
            p += wrt_json_escape((char *) p, (char *) op->id, op->id_len);
            p = ngx_cpymem(p, "\",", 2);
        }

        if (op->client_len != 0) {
            p = ngx_sprintf(p, "\"clientMessageId\":\"");
            p += wrt_json_escape((char *) p, (char *) op->client,
                                 op->client_len);
            p = ngx_cpymem(p, "\",", 2);
        }

        p = ngx_sprintf(p, "\"messageId\":\"%V\",\"conversationId\":\"%*s\","
                        "\"seq\":%L,\"status\":\"sent\","
                        "\"durability\":\"%s\",\"createdAt\":\"%V\"}}",
                        &sent->message_id, op->conv_len, op->conv, sent->seq,
                        sent->stored ? "store" : "log", &sent->created_at);

        ngx_http_writeen_output_text(s, buf, p - buf);
        ngx_http_writeen_event_ack(s, e.id, e.event);
        ngx_free(op);
        return;
    }

    e.client_id.p = (char *) op->client;
    e.client_id.n = op->client_len;
    e.conversation.p = (char *) op->conv;
    e.conversation.n = op->conv_len;

    switch (sent->rc) {

    case NGX_HTTP_WRITEEN_R_DENIED:
        e.code = "not_found";
        e.message = "There is no such conversation.";
        break;

    case NGX_HTTP_WRITEEN_R_FORBIDDEN:
        e.code = "forbidden";
        e.message = "You may not write in this conversation.";
        break;

    case NGX_HTTP_WRITEEN_R_ARCHIVED:
        e.code = "conversation_archived";
        e.message = "This conversation is archived.";
        break;

    default:
        e.code = "unavailable";
        e.message = "The message was not taken, try again.";
        e.retryable = 1;
        e.retry_ms = 1000;
    }

    ngx_http_writeen_event_error(s, &e);
    ngx_free(op);
}


/* Where the client stands in its rooms; each is answered like a join. */

static void
ngx_http_writeen_event_resume(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e)
{
    wrt_refusal_t  why;

    if (wrt_envelope_pairs(e, "conversations",
                           ngx_http_writeen_event_resume_room, s, &why) != 0)
    {
        ngx_http_writeen_event_refuse(s, e, &why, ngx_http_writeen_nothing);
        return;
    }

    if (s->state != NGX_HTTP_WRITEEN_OPEN) {
        return;
    }

    ngx_http_writeen_event_ack(s, e->id, e->event);

    if (s->resuming) {
        s->has_deadline = 0;
        ngx_http_writeen_link_release(s);
    }
}


static int
ngx_http_writeen_event_resume_room(void *data, wrt_slice_t id, int64_t seq)
{
    ngx_http_writeen_session_t  *s = data;

    ngx_http_writeen_join(s, id, seq, ngx_http_writeen_nothing, 0);

    return s->state != NGX_HTTP_WRITEEN_OPEN;
}


static void
ngx_http_writeen_event_refresh(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e)
{
    ngx_int_t                     rc;
    ngx_str_t                     token;
    ngx_pool_t                   *pool;
    const char                   *reason;
    wrt_slice_t                   text;
    wrt_refusal_t                 why;
    ngx_http_writeen_error_t      err;
    ngx_http_writeen_identity_t   id;

    if (ngx_http_writeen_event_required(
            wrt_envelope_string(e, "token", WRT_TOKEN_MAX, &text, &why),
            "token", &why) != NGX_OK)
    {
        ngx_http_writeen_event_refuse(s, e, &why, ngx_http_writeen_nothing);
        return;
    }

    pool = ngx_create_pool(1024, s->connection->log);
    if (pool == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    token.data = (u_char *) text.p;
    token.len = text.n;

    rc = ngx_http_writeen_auth_verify(s->conf, &token, &id, pool, &reason);

    if (rc == NGX_OK
        && (id.uid.len != s->user->node.str.len
            || ngx_memcmp(id.uid.data, s->user->uid, id.uid.len) != 0))
    {
        reason = "another user's token";
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {

        if (ngx_http_writeen_session_identity(s, &id) == NGX_OK) {
            ngx_destroy_pool(pool);
            ngx_http_writeen_session_timer(s);
            ngx_http_writeen_event_ack(s, e->id, e->event);
            return;
        }

        reason = "no memory";
    }

    ngx_destroy_pool(pool);

    ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                  "writeen: refresh_token refused: %s", reason);

    ngx_memzero(&err, sizeof(ngx_http_writeen_error_t));

    err.id = e->id;
    err.event = e->event;
    err.field = "token";
    err.code = "unauthorized";
    err.message = "The token is not valid.";

    ngx_http_writeen_event_error(s, &err);
}


static void
ngx_http_writeen_event_ping(ngx_http_writeen_session_t *s, wrt_envelope_t *e)
{
    char     now[WRT_TIME_LEN + 1];
    u_char  *p, buf[256 + 6 * WRT_CLIENT_ID_MAX];

    ngx_http_writeen_now(now);

    p = ngx_sprintf(buf, "{\"event\":\"pong\",\"data\":{");

    if (e->id.n != 0) {
        p = ngx_cpymem(p, "\"id\":\"", 6);
        p += wrt_json_escape((char *) p, e->id.p, e->id.n);
        p = ngx_cpymem(p, "\",", 2);
    }

    p = ngx_sprintf(p, "\"serverTime\":\"%s\"}}", now);

    ngx_http_writeen_output_text(s, buf, p - buf);
}
