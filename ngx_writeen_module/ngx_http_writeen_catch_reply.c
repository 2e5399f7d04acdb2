/*
 * ngx_http_writeen_catch_reply.c: what a client gets while it catches up:
 * conversation_joined, the events it missed, resync_required.
 */

#include "ngx_http_writeen_catch.h"


const wrt_slice_t  ngx_http_writeen_join_name =
    { "join_conversation", sizeof("join_conversation") - 1 };


/* An event that was missed.  If it is his own leaving, he has come back since:
 * Redis was asked whether he may read this.  NGX_DONE: the session is being
 * closed; link and op are gone. */

ngx_int_t
ngx_http_writeen_catch_event(ngx_http_writeen_catch_t *op, ngx_str_t *payload)
{
    wrt_bus_header_t             h;
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;

    if (wrt_bus_parse(&h, (char *) payload->data, payload->len) != 0
        || h.kind == WRT_EV_FENCE
        || (op->mode == CATCH_REPLAY && h.num[0] > op->limit))
    {
        return NGX_OK;
    }

    msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, h.body.p, h.body.n);
    if (msg == NULL) {
        ngx_http_writeen_session_drop(s);
        return NGX_DONE;
    }

    msg->seq = ngx_max(h.num[0], 0);
    msg->kind = h.kind;

    ngx_http_writeen_output(s, msg);
    ngx_http_writeen_msg_unref(msg);

    if (s->state != NGX_HTTP_WRITEEN_OPEN
        && s->state != NGX_HTTP_WRITEEN_OPENING)
    {
        return NGX_DONE;
    }

    return NGX_OK;
}


/* Keep the events of an answer: a length and the bytes of each. */

ngx_int_t
ngx_http_writeen_catch_keep(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    size_t      size;
    u_char     *p;
    ngx_str_t   payload;
    ngx_uint_t  i, n;

    size = 0;
    n = ngx_http_writeen_result_count(res, 3);

    for (i = 0; i < n; i++) {
        if (ngx_http_writeen_result_sub(res, 3, i, &payload) == NGX_OK) {
            size += sizeof(size_t) + payload.len;
        }
    }

    op->npage = 0;

    if (size == 0) {
        return NGX_OK;
    }

    ngx_http_writeen_count(op->worker, catchups_total);

    op->page = ngx_alloc(size, op->worker->log);
    if (op->page == NULL) {
        return NGX_ERROR;
    }

    p = op->page;

    for (i = 0; i < n; i++) {
        if (ngx_http_writeen_result_sub(res, 3, i, &payload) == NGX_OK) {
            p = ngx_cpymem(p, &payload.len, sizeof(size_t));
            p = ngx_cpymem(p, payload.data, payload.len);
            op->npage++;
        }
    }

    return NGX_OK;
}


/* Send the events that were kept; *upto becomes the last one's number.
 * NGX_DONE: op is gone. */

ngx_int_t
ngx_http_writeen_catch_page(ngx_http_writeen_catch_t *op, int64_t *upto)
{
    u_char      *p, *page;
    ngx_str_t    payload;
    ngx_uint_t   n;

    /* op may go with an event: the page is ours */

    page = op->page;
    op->page = NULL;

    for (p = page, n = op->npage; n > 0; n--) {
        ngx_memcpy(&payload.len, p, sizeof(size_t));
        payload.data = p + sizeof(size_t);
        p = payload.data + payload.len;

        *upto = ngx_http_writeen_payload_seq(&payload);

        if (ngx_http_writeen_catch_event(op, &payload) != NGX_OK) {
            ngx_free(page);
            return NGX_DONE;
        }
    }

    if (page != NULL) {
        ngx_free(page);
    }

    return NGX_OK;
}


/* ,"<name>":"<time>", if there is one */

static u_char *
ngx_http_writeen_catch_time(u_char *p, const char *name, ngx_str_t *at)
{
    return at->len ? ngx_sprintf(p, ",\"%s\":\"%V\"", name, at) : p;
}


void
ngx_http_writeen_catch_cursors(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    if (op->answer && !op->joined && op->cursors.data == NULL) {
        ngx_http_writeen_cursors(res, &op->cursors);
    }
}


void
ngx_http_writeen_cursors(ngx_http_writeen_result_t *res, ngx_str_t *out)
{
    u_char      *p;
    ngx_str_t    v[5];             /* user, read, delivered, and when */
    ngx_uint_t   i, j, n;

    n = ngx_http_writeen_result_count(res, 4);

    out->len = 0;
    out->data = ngx_alloc(2 + (n / 5) * (WRT_ID_MAX
                          + sizeof("{\"userId\":\"\",\"readSeq\":,"
                                   "\"deliveredSeq\":,\"readAt\":\"\","
                                   "\"deliveredAt\":\"\"},")
                          + 2 * NGX_INT64_LEN + 2 * WRT_TIME_LEN),
                          ngx_cycle->log);
    if (out->data == NULL) {
        return;
    }

    p = out->data;
    *p++ = '[';

    for (i = 0; i + 4 < n; i += 5) {

        for (j = 0; j < 5; j++) {
            if (ngx_http_writeen_result_sub(res, 4, i + j, &v[j]) != NGX_OK) {
                break;
            }
        }

        if (j == 5 && v[0].len != 0 && v[0].data[0] == '!') {
            /* somebody who has left: what he read he has read */
            v[0].data++;
            v[0].len--;
        }

        if (j < 5 || v[0].len > WRT_ID_MAX || v[1].len > NGX_INT64_LEN
            || v[2].len > NGX_INT64_LEN || v[3].len > WRT_TIME_LEN
            || v[4].len > WRT_TIME_LEN)
        {
            continue;
        }

        p = ngx_sprintf(p, "%s{\"userId\":\"%V\",\"readSeq\":%V,"
                        "\"deliveredSeq\":%V",
                        (p[-1] == '[') ? "" : ",", &v[0], &v[1], &v[2]);
        p = ngx_http_writeen_catch_time(p, "readAt", &v[3]);
        p = ngx_http_writeen_catch_time(p, "deliveredAt", &v[4]);
        *p++ = '}';
    }

    *p++ = ']';
    out->len = p - out->data;
}


size_t
ngx_http_writeen_joined_size(ngx_http_writeen_joined_t *j)
{
    return 512 + j->id.len + 6 * j->echo.len + j->online.len + j->cursors.len
           + j->conversation.len;
}


u_char *
ngx_http_writeen_joined_text(u_char *p, ngx_http_writeen_joined_t *j)
{
    p = ngx_sprintf(p, "{\"event\":\"conversation_joined\",\"data\":{");

    if (j->echo.len != 0) {
        p = ngx_cpymem(p, "\"id\":\"", 6);
        p += wrt_json_escape((char *) p, (char *) j->echo.data, j->echo.len);
        p = ngx_cpymem(p, "\",", 2);
    }

    p = ngx_sprintf(p, "\"conversationId\":\"%V\",\"seq\":%L,"
                    "\"recovered\":%s,\"missed\":%ui,%s\"online\":[%V],"
                    "\"cursors\":",
                    &j->id, ngx_max(j->seq, 0),
                    j->recovered ? "true" : "false", j->missed,
                    j->compact ? "\"compact\":true," : "", &j->online);

    if (j->cursors.len != 0) {
        p = ngx_cpymem(p, j->cursors.data, j->cursors.len);

    } else {
        p = ngx_cpymem(p, "[]", 2);
    }

    if (j->conversation.len != 0) {
        p = ngx_sprintf(p, ",\"conversation\":%V", &j->conversation);
    }

    return ngx_cpymem(p, "}}", 2);
}


/*
 * NGX_DONE: the client was too slow for it, or memory short; session, link and
 * op are not to be touched any more.
 */

ngx_int_t
ngx_http_writeen_catch_joined(ngx_http_writeen_catch_t *op, int64_t seq,
    ngx_str_t *conversation)
{
    u_char                      *p, *r, *buf;
    wrt_slice_t                  id;
    ngx_http_writeen_joined_t    j;
    ngx_http_writeen_session_t  *s;
    u_char                       resync[128 + WRT_ID_MAX];

    s = op->op.session;
    op->joined = 1;

    if (op->screen && s->screen != op->link) {
        s->screen = op->link;
        ngx_http_writeen_presence_news(s);
    }

    j.id.data = op->id;
    j.id.len = op->len;
    j.echo.data = op->echo;
    j.echo.len = op->echo_len;
    j.online = op->online;
    j.cursors = op->cursors;
    j.conversation = *conversation;
    j.seq = seq;
    j.missed = op->missed;
    j.recovered = !op->resync;
    j.compact = op->compact;

    buf = ngx_alloc(ngx_http_writeen_joined_size(&j), op->worker->log);
    if (buf == NULL) {
        ngx_http_writeen_session_drop(s);
        return NGX_DONE;
    }

    p = ngx_http_writeen_joined_text(buf, &j);

    r = resync;

    if (op->resync) {
        ngx_http_writeen_count(op->worker, resyncs_total);

        r = ngx_sprintf(resync, "{\"event\":\"resync_required\",\"data\":{"
                        "\"conversationId\":\"%*s\",\"seq\":%L}}",
                        op->len, op->id, ngx_max(seq, 0));
    }

    /* any of these may end the session, and op with it */

    id.p = (char *) op->echo;
    id.n = op->echo_len;
    ngx_http_writeen_event_ack(s, id, ngx_http_writeen_join_name);
    ngx_http_writeen_output_text(s, buf, p - buf);

    if (r != resync) {
        ngx_http_writeen_output_text(s, resync, r - resync);
    }

    ngx_free(buf);

    return (s->state < NGX_HTTP_WRITEEN_CLOSING) ? NGX_OK : NGX_DONE;
}


/* What was asked can not be done: the same returns. */

ngx_int_t
ngx_http_writeen_catch_error(ngx_http_writeen_catch_t *op, const char *code)
{
    ngx_http_writeen_error_t     e;
    ngx_http_writeen_session_t  *s;

    s = op->op.session;
    op->joined = 1;

    ngx_memzero(&e, sizeof(ngx_http_writeen_error_t));

    e.id.p = (char *) op->echo;
    e.id.n = op->echo_len;
    e.event = ngx_http_writeen_join_name;
    e.conversation.p = (char *) op->id;
    e.conversation.n = op->len;
    e.code = code;

    if (ngx_strcmp(code, "not_found") == 0) {
        e.message = "There is no such conversation.";

    } else {
        e.message = "This is not possible right now, try again.";
        e.retryable = 1;
        e.retry_ms = 1000;
    }

    ngx_http_writeen_event_error(s, &e);

    return (s->state < NGX_HTTP_WRITEEN_CLOSING) ? NGX_OK : NGX_DONE;
}
