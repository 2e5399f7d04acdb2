/*
 * ngx_http_writeen_command.c: events that are REST routes.
 *
 * A change that is decided by what the store has is made by the worker pool,
 * in one place for both doors: the event becomes a call of exactly that route,
 * with the identity of the session, and its answer becomes ack or error with
 * the same code.
 *
 *     event --> waiting --call--> under way --answer--> ack, error
 *               (an earlier one      |
 *                for the same        +--none--> error unavailable, for those
 *                message)                       behind it, too
 *
 * The pool takes calls side by side.  So that of one session's commands for
 * one message the last one wins, each waits for the one before it; those for
 * other messages leave in the order they came.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_COMMAND_CONV  "/api/conversations/"
#define NGX_HTTP_WRITEEN_COMMAND_PATH                                         \
    (sizeof(NGX_HTTP_WRITEEN_COMMAND_CONV "/messages//reactions/")            \
     + 2 * WRT_ID_MAX + WRT_EMOJI_MAX)

#define NGX_HTTP_WRITEEN_COMMAND_STATUS_MAX  32  /* bytes of a presence */


/* Where a command goes. */
typedef enum {
    NGX_HTTP_WRITEEN_COMMAND_MESSAGE = 0,
    NGX_HTTP_WRITEEN_COMMAND_REACTION,
    NGX_HTTP_WRITEEN_COMMAND_PRESENCE
} ngx_http_writeen_command_place_t;


typedef struct {
    ngx_str_t                          event;
    ngx_str_t                          method;
    ngx_http_writeen_command_place_t   place;
    const char                        *members[2]; /* of data, in the body */
} ngx_http_writeen_command_route_t;


typedef struct {
    ngx_http_writeen_op_t              op;
    ngx_queue_t                        queue;      /* in session->commands */
    ngx_http_writeen_rpc_t            *rpc;        /* NULL: waiting */
    const ngx_http_writeen_command_route_t  *route;
    char                              *body;       /* until it is called */
    size_t                             body_len;
    size_t                             path_len;
    size_t                             target_len; /* of path: the message */
    size_t                             conv_len;
    size_t                             id_len;
    u_char                             path[NGX_HTTP_WRITEEN_COMMAND_PATH];
    u_char                             id[WRT_CLIENT_ID_MAX];
} ngx_http_writeen_command_t;


static ngx_int_t ngx_http_writeen_command_parse(
    ngx_http_writeen_command_t *cmd, ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, wrt_refusal_t *why);
static ngx_http_writeen_command_t *ngx_http_writeen_command_first(
    ngx_http_writeen_session_t *s, ngx_http_writeen_command_t *like);
static ngx_int_t ngx_http_writeen_command_call(
    ngx_http_writeen_command_t *cmd);
static void ngx_http_writeen_command_called(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_command_next(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *done, ngx_uint_t status);
static void ngx_http_writeen_command_take(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *cmd);
static void ngx_http_writeen_command_tell(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *cmd, ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_command_many(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
static void ngx_http_writeen_command_free(ngx_http_writeen_command_t *cmd);
static void ngx_http_writeen_command_abandon(ngx_http_writeen_op_t *op);


static const ngx_http_writeen_command_route_t
    ngx_http_writeen_command_routes[] =
{
    { ngx_string("edit_message"), ngx_string("PATCH"),
      NGX_HTTP_WRITEEN_COMMAND_MESSAGE, { "content.text", NULL } },

    { ngx_string("delete_message"), ngx_string("DELETE"),
      NGX_HTTP_WRITEEN_COMMAND_MESSAGE, { NULL, NULL } },

    { ngx_string("add_reaction"), ngx_string("PUT"),
      NGX_HTTP_WRITEEN_COMMAND_REACTION, { NULL, NULL } },

    { ngx_string("remove_reaction"), ngx_string("DELETE"),
      NGX_HTTP_WRITEEN_COMMAND_REACTION, { NULL, NULL } },

    { ngx_string("set_presence"), ngx_string("PUT"),
      NGX_HTTP_WRITEEN_COMMAND_PRESENCE, { "status", NULL } },

    { ngx_null_string, ngx_null_string, 0, { NULL, NULL } }
};


void
ngx_http_writeen_command(ngx_http_writeen_session_t *s, wrt_envelope_t *e)
{
    wrt_slice_t                              none;
    wrt_refusal_t                            why;
    ngx_http_writeen_reply_t                 late;
    ngx_http_writeen_command_t              *cmd;
    const ngx_http_writeen_command_route_t  *route;

    for (route = ngx_http_writeen_command_routes;
         route->event.len != e->event.n
         || ngx_memcmp(route->event.data, e->event.p, e->event.n) != 0;
         route++)
    {
        if (route->event.len == 0) {
            return;
        }
    }

    if (s->ncommands == WRT_COMMANDS_MAX) {
        ngx_http_writeen_command_many(s, e);
        return;
    }

    cmd = ngx_calloc(sizeof(ngx_http_writeen_command_t),
                     ngx_http_writeen_worker->log);
    if (cmd == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    cmd->route = route;

    if (ngx_http_writeen_command_parse(cmd, s, e, &why) != NGX_OK) {
        none.p = "";
        none.n = 0;

        ngx_free(cmd);
        ngx_http_writeen_event_refuse(s, e, &why, none);
        return;
    }

    cmd->id_len = e->id.n;
    ngx_memcpy(cmd->id, e->id.p, e->id.n);

    cmd->body = wrt_envelope_dump(e, route->members, &cmd->body_len);

    if (cmd->body == NULL) {
        ngx_free(cmd);
        ngx_http_writeen_session_drop(s);
        return;
    }

    ngx_http_writeen_count(ngx_http_writeen_worker, commands_total);

    cmd->op.session = s;
    cmd->op.abandon = ngx_http_writeen_command_abandon;
    ngx_queue_insert_tail(&s->ops, &cmd->op.queue);
    ngx_queue_insert_tail(&s->commands, &cmd->queue);
    s->ncommands++;

    if (ngx_http_writeen_command_first(s, cmd) == cmd
        && ngx_http_writeen_command_call(cmd) != NGX_OK)
    {
        ngx_memzero(&late, sizeof(ngx_http_writeen_reply_t));
        late.status = NGX_HTTP_WRITEEN_RPC_LATE;

        ngx_http_writeen_command_called(cmd, &late);
    }
}


/* Path and target; the body's members are checked. */

static ngx_int_t
ngx_http_writeen_command_parse(ngx_http_writeen_command_t *cmd,
    ngx_http_writeen_session_t *s, wrt_envelope_t *e, wrt_refusal_t *why)
{
    u_char       *p;
    wrt_slice_t   conv, mid, text;

    p = cmd->path;

    if (cmd->route->place == NGX_HTTP_WRITEEN_COMMAND_PRESENCE) {

        if (ngx_http_writeen_event_required(
                wrt_envelope_string(e, "status",
                                    NGX_HTTP_WRITEEN_COMMAND_STATUS_MAX,
                                    &text, why),
                "status", why) != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = ngx_sprintf(p, "/api/presence");
        cmd->path_len = p - cmd->path;
        cmd->target_len = cmd->path_len;

        return NGX_OK;
    }

    if (ngx_http_writeen_event_required(
            wrt_envelope_id(e, "conversationId", &conv, why),
            "conversationId", why) != NGX_OK
        || ngx_http_writeen_event_required(
               wrt_envelope_id(e, "messageId", &mid, why),
               "messageId", why) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_sprintf(p, NGX_HTTP_WRITEEN_COMMAND_CONV "%*s/messages/%*s",
                    conv.n, conv.p, mid.n, mid.p);

    cmd->conv_len = conv.n;
    cmd->target_len = p - cmd->path;

    if (cmd->route->place == NGX_HTTP_WRITEEN_COMMAND_REACTION) {

        if (wrt_envelope_segment(e, "emoji", WRT_EMOJI_MAX, &text, why)
            != 1)
        {
            return NGX_ERROR;
        }

        /* decoded, as a path is in a request that nginx has read */

        p = ngx_sprintf(p, "/reactions/%*s", text.n, text.p);

    } else if (cmd->route->members[0] != NULL
               && wrt_envelope_text(e, s->conf->max_text, &text, why) != 0)
    {
        return NGX_ERROR;
    }

    cmd->path_len = p - cmd->path;

    return NGX_OK;
}


/* The first of the session's commands for the same message, or NULL. */

static ngx_http_writeen_command_t *
ngx_http_writeen_command_first(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *like)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_command_t  *cmd;

    for (q = ngx_queue_head(&s->commands);
         q != ngx_queue_sentinel(&s->commands);
         q = ngx_queue_next(q))
    {
        cmd = ngx_queue_data(q, ngx_http_writeen_command_t, queue);

        if (cmd->target_len == like->target_len
            && ngx_memcmp(cmd->path, like->path, like->target_len) == 0)
        {
            return cmd;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_writeen_command_call(ngx_http_writeen_command_t *cmd)
{
    ngx_http_writeen_call_t      call;
    ngx_http_writeen_session_t  *s;
    ngx_http_writeen_identity_t  id;

    s = cmd->op.session;

    id.uid = s->user->node.str;
    id.role = s->role;
    id.name = s->name;
    id.avatar = s->avatar;
    id.exp = s->exp;

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    call.method = cmd->route->method;
    call.path.data = cmd->path;
    call.path.len = cmd->path_len;

    if (cmd->route->members[0] != NULL) {
        call.body.data = (u_char *) cmd->body;
        call.body.len = cmd->body_len;
    }

    call.identity = &id;
    call.timeout = s->conf->api_timeout;

    cmd->rpc = ngx_http_writeen_rpc_call(ngx_http_writeen_worker, &call,
                                         ngx_http_writeen_command_called,
                                         cmd);
    if (cmd->rpc == NULL) {
        return NGX_ERROR;
    }

    free(cmd->body);
    cmd->body = NULL;

    return NGX_OK;
}


static void
ngx_http_writeen_command_called(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_command_t *cmd = data;

    ngx_http_writeen_session_t  *s;

    s = cmd->op.session;

    ngx_http_writeen_command_take(s, cmd);
    ngx_http_writeen_command_tell(s, cmd, reply);
    ngx_http_writeen_command_next(s, cmd, reply->status);
    ngx_http_writeen_command_free(cmd);
}


/*
 * Those that waited for this one.  Was it not answered, nobody knows what was
 * done, and those behind it would wait as long, one after the other: they are
 * not tried.
 */

static void
ngx_http_writeen_command_next(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *done, ngx_uint_t status)
{
    ngx_http_writeen_command_t  *cmd;

    /* telling may end the session; it has no commands then */

    while ((cmd = ngx_http_writeen_command_first(s, done)) != NULL
           && cmd->rpc == NULL)
    {
        if (ngx_http_writeen_rpc_answered(status)) {

            if (ngx_http_writeen_command_call(cmd) == NGX_OK) {
                return;
            }

            status = NGX_HTTP_WRITEEN_RPC_LATE;
        }

        ngx_http_writeen_command_take(s, cmd);
        ngx_http_writeen_command_tell(s, cmd, NULL);
        ngx_http_writeen_command_free(cmd);
    }
}


static void
ngx_http_writeen_command_take(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *cmd)
{
    cmd->rpc = NULL;

    ngx_queue_remove(&cmd->op.queue);
    ngx_queue_remove(&cmd->queue);
    s->ncommands--;
}


static void
ngx_http_writeen_command_tell(ngx_http_writeen_session_t *s,
    ngx_http_writeen_command_t *cmd, ngx_http_writeen_reply_t *reply)
{
    wrt_reply_t               said;
    ngx_http_writeen_error_t  e;

    ngx_memzero(&e, sizeof(ngx_http_writeen_error_t));

    e.id.p = (char *) cmd->id;
    e.id.n = cmd->id_len;
    e.event.p = (char *) cmd->route->event.data;
    e.event.n = cmd->route->event.len;

    if (reply != NULL && reply->status >= 200 && reply->status < 300) {
        ngx_http_writeen_event_ack(s, e.id, e.event);
        return;
    }

    e.conversation.p = (char *) cmd->path
                       + sizeof(NGX_HTTP_WRITEEN_COMMAND_CONV) - 1;
    e.conversation.n = cmd->conv_len;

    if (reply == NULL
        || !ngx_http_writeen_rpc_answered(reply->status)
        || wrt_reply_parse(&said, (char *) reply->body.data, reply->body.len)
           != 0)
    {
        e.code = "unavailable";
        e.message = "This is not possible right now, try again.";
        e.retryable = 1;

    } else {
        e.code = said.code;
        e.field = said.field[0] ? said.field : NULL;
        e.message = said.message[0] ? said.message : "This is not possible.";
        e.retryable = (reply->status == NGX_HTTP_TOO_MANY_REQUESTS
                       || reply->status == NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    if (e.retryable) {
        e.retry_ms = ((reply && reply->retry) ? reply->retry : 1) * 1000;
    }

    ngx_http_writeen_event_error(s, &e);
}


/* More than may be unanswered. */

static void
ngx_http_writeen_command_many(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e)
{
    wrt_refusal_t             why;
    ngx_http_writeen_error_t  err;

    ngx_http_writeen_count(ngx_http_writeen_worker, rate_limited_total);

    ngx_memzero(&err, sizeof(ngx_http_writeen_error_t));

    err.id = e->id;
    err.event = e->event;
    err.code = "rate_limited";
    err.message = "Too many commands are under way, wait for their answers.";
    err.retryable = 1;
    err.retry_ms = 1000;

    (void) wrt_envelope_id(e, "conversationId", &err.conversation, &why);

    ngx_http_writeen_event_error(s, &err);
}


static void
ngx_http_writeen_command_free(ngx_http_writeen_command_t *cmd)
{
    free(cmd->body);
    ngx_free(cmd);
}


/* The session goes first: what has left goes its way, nobody is told; what
 * waits was never acknowledged and does not leave any more. */

static void
ngx_http_writeen_command_abandon(ngx_http_writeen_op_t *op)
{
    ngx_http_writeen_command_t *cmd = (ngx_http_writeen_command_t *) op;

    ngx_queue_remove(&cmd->queue);

    if (cmd->rpc != NULL) {
        ngx_http_writeen_rpc_cancel(cmd->rpc);
    }

    ngx_http_writeen_command_free(cmd);
}
