/*
 * ngx_http_writeen_input.c: from bytes to frames to messages.
 *
 * Frames are taken apart in the worker's shared receive buffer and unmasked in
 * place; only what is incomplete when the bytes end is copied into memory of
 * the session's own, which grows with what came, not with what was announced.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_READ_TURN    65536  /* bytes before others' turn */


static ngx_int_t ngx_http_writeen_session_input(
    ngx_http_writeen_session_t *s, u_char *p, size_t n);
static ngx_uint_t ngx_http_writeen_session_idles(
    ngx_http_writeen_session_t *s);
static ngx_int_t ngx_http_writeen_session_payload(
    ngx_http_writeen_session_t *s, u_char *p, size_t n);
static ngx_int_t ngx_http_writeen_session_store(ngx_http_writeen_session_t *s,
    u_char *p, size_t n);
static ngx_int_t ngx_http_writeen_session_frame(ngx_http_writeen_session_t *s,
    u_char *p, size_t n);
static ngx_int_t ngx_http_writeen_session_message(
    ngx_http_writeen_session_t *s, wrt_message_state_t *message, u_char *p,
    size_t n);
static ngx_int_t ngx_http_writeen_session_fail(ngx_http_writeen_session_t *s,
    ngx_uint_t code, const char *reason);
static void ngx_http_writeen_session_control(ngx_http_writeen_session_t *s,
    u_char *p, size_t n);


void
ngx_http_writeen_session_read_handler(ngx_event_t *rev)
{
    u_char                      *early;
    ssize_t                      n;
    ngx_int_t                    rc;
    size_t                       turn;
    ngx_connection_t            *c;
    ngx_http_writeen_worker_t   *wk;
    ngx_http_writeen_session_t  *s;

    c = rev->data;
    s = c->data;
    wk = ngx_http_writeen_worker;

    if (s->state == NGX_HTTP_WRITEEN_DEAD || !ngx_queue_empty(&s->parting)) {
        return;
    }

    if (c->close) {

        if (c->error) {
            /* worker_shutdown_timeout */
            ngx_http_writeen_session_drop(s);
            return;
        }

        /* the worker quits: say good-bye, but not to all at once */
        c->close = 0;
        ngx_http_writeen_drain_start(wk);
    }

    if (s->state == NGX_HTTP_WRITEEN_OPENING || s->muted) {
        /* level-triggered methods would call us again and again */
        if (ngx_handle_read_event(rev, 0) != NGX_OK) {
            ngx_http_writeen_session_drop(s);
        }

        return;
    }

    if (s->early != NULL) {
        early = s->early;
        s->early = NULL;

        rc = ngx_http_writeen_session_input(s, early, s->early_len);
        ngx_free(early);

        if (rc != NGX_OK) {
            return;
        }
    }

    for (turn = 0; rev->ready; turn += n) {

        if (turn >= NGX_HTTP_WRITEEN_READ_TURN) {
            ngx_post_event(rev, &ngx_posted_next_events);
            return;
        }

        n = c->recv(c, wk->recv, NGX_HTTP_WRITEEN_RECV_SIZE);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_writeen_session_lost(s);
            return;
        }

        s->unanswered = 0;

        if (s->failed) {
            continue;
        }

        /* one that failed is read on until its end, if there was memory for
         * our Close */

        if (ngx_http_writeen_session_input(s, wk->recv, n) != NGX_OK
            && (!s->failed || s->state == NGX_HTTP_WRITEEN_DEAD))
        {
            return;
        }

        if (s->muted) {
            break;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_writeen_session_drop(s);
    }
}


/*
 * Take n bytes apart.  NGX_OK, or NGX_DONE when the session is not to be
 * touched any more.
 */

static ngx_int_t
ngx_http_writeen_session_input(ngx_http_writeen_session_t *s, u_char *p,
    size_t n)
{
    int     rc;
    size_t  take;

    while (n != 0) {

        if (s->close_received) {
            /* section 5.5.1: nothing after a Close counts */
            return NGX_OK;
        }

        if (!s->in_payload) {

            if (s->header_len == 0) {
                rc = wrt_frame_parse(&s->frame, p, n, s->window);
                take = 0;

            } else {
                take = ngx_min(n, WRT_FRAME_CLIENT_HEADER_MAX
                                  - (size_t) s->header_len);
                ngx_memcpy(s->header + s->header_len, p, take);
                rc = wrt_frame_parse(&s->frame, s->header,
                                     s->header_len + take, s->window);
            }

            if (rc < 0) {
                return ngx_http_writeen_session_fail(s, -rc,
                                                     "protocol error");
            }

            if (rc == 0) {
                if (take == 0) {
                    take = ngx_min(n, WRT_FRAME_CLIENT_HEADER_MAX);
                    ngx_memcpy(s->header, p, take);
                }

                s->header_len += take;
                p += take;
                n -= take;
                continue;
            }

            take = rc - s->header_len;
            p += take;
            n -= take;

            s->header_len = 0;
            s->frame_got = 0;
            s->in_payload = 1;

            if (ngx_http_writeen_session_idles(s)) {
                ngx_http_writeen_count(ngx_http_writeen_worker,
                                       flood_closed_total);
                return ngx_http_writeen_session_fail(s, WRT_CLOSE_FLOOD,
                                                     "flood");
            }

            rc = wrt_message_admit(&s->message, &s->frame,
                                   s->conf->max_message);
            if (rc != 0) {
                return ngx_http_writeen_session_fail(s, rc,
                                                     rc == WRT_CLOSE_TOO_BIG
                                                     ? "message too big"
                                                     : "protocol error");
            }

            if (s->frame.opcode == WRT_OP_BINARY && s->conf->raw == NULL) {
                return ngx_http_writeen_session_fail(s, WRT_CLOSE_UNSUPPORTED,
                                                     "text only");
            }
        }

        take = (size_t) ngx_min((uint64_t) n, s->frame.len - s->frame_got);

        if (take == 0 && s->frame.len != 0) {
            return NGX_OK;
        }

        if (ngx_http_writeen_session_payload(s, p, take) != NGX_OK) {
            return NGX_DONE;
        }

        p += take;
        n -= take;
    }

    return NGX_OK;
}


/* Rates are those of events: is this one of too many frames that bring none,
 * and so cost us more than the client? */

static ngx_uint_t
ngx_http_writeen_session_idles(ngx_http_writeen_session_t *s)
{
    if (!(s->frame.opcode & 0x8) && (s->frame.len != 0 || s->frame.fin)) {
        return 0;
    }

    if (s->control_at != ngx_time()) {
        s->control_at = ngx_time();
        s->ncontrol = 0;
    }

    return ++s->ncontrol > WRT_CONTROL_RATE;
}


/* n bytes of the present frame's payload (0 for an empty frame). */

static ngx_int_t
ngx_http_writeen_session_payload(ngx_http_writeen_session_t *s, u_char *p,
    size_t n)
{
    ngx_uint_t  control, text, whole;

    control = s->frame.opcode & 0x8;
    text = !control && s->message.opcode == WRT_OP_TEXT
           && !s->message.compressed;

    wrt_frame_unmask(p, n, s->frame.mask, s->frame_got);

    if (text && !s->close_sent && wrt_utf8_feed(&s->utf8, p, n) != 0) {
        return ngx_http_writeen_session_fail(s, WRT_CLOSE_INVALID_DATA,
                                             "not UTF-8");
    }

    whole = (s->frame_got == 0 && n == s->frame.len);
    s->frame_got += n;

    if (whole && (control || (s->frame.fin && s->in_len == 0))) {
        /* the usual case: no copy */
        return ngx_http_writeen_session_frame(s, p, n);
    }

    if (control) {
        ngx_memcpy(s->control + s->frame_got - n, p, n);

    } else if (ngx_http_writeen_session_store(s, p, n) != NGX_OK) {
        ngx_http_writeen_session_drop(s);
        return NGX_DONE;
    }

    if (s->frame_got < s->frame.len) {
        return NGX_OK;
    }

    return ngx_http_writeen_session_frame(s, control ? s->control : s->in,
                                          control ? (size_t) s->frame.len
                                                  : s->in_len);
}


/* Keep part of a message; memory grows with what came, not with what was
 * announced. */

static ngx_int_t
ngx_http_writeen_session_store(ngx_http_writeen_session_t *s, u_char *p,
    size_t n)
{
    size_t   size;
    u_char  *in;

    if (n == 0) {
        return NGX_OK;
    }

    if (s->in_len + n > s->in_size) {
        size = ngx_max(s->in_len + n, 2 * s->in_size);
        size = ngx_max(size, 256);

        in = ngx_alloc(size, ngx_http_writeen_worker->log);
        if (in == NULL) {
            return NGX_ERROR;
        }

        if (s->in != NULL) {
            ngx_memcpy(in, s->in, s->in_len);
            ngx_free(s->in);
        }

        s->in = in;
        s->in_size = size;
    }

    ngx_memcpy(s->in + s->in_len, p, n);
    s->in_len += n;

    return NGX_OK;
}


/* A frame is complete; p[0..n) is its payload, or the whole message so far. */

static ngx_int_t
ngx_http_writeen_session_frame(ngx_http_writeen_session_t *s, u_char *p,
    size_t n)
{
    ngx_uint_t           state;
    wrt_message_state_t  message;

    s->in_payload = 0;
    state = s->state;

    if (s->frame.opcode & 0x8) {
        ngx_http_writeen_session_control(s, p, n);

    } else if (s->frame.fin) {

        message = s->message;
        wrt_message_done(&s->message);

        if (s->state == NGX_HTTP_WRITEEN_OPEN
            && ngx_http_writeen_session_message(s, &message, p, n) != NGX_OK)
        {
            return NGX_DONE;
        }

        ngx_memzero(&s->utf8, sizeof(wrt_utf8_t));

        if (s->in != NULL && s->state != NGX_HTTP_WRITEEN_DEAD) {
            ngx_free(s->in);
            s->in = NULL;
            s->in_len = 0;
            s->in_size = 0;
        }
    }

    if (s->state == NGX_HTTP_WRITEEN_DEAD) {
        return NGX_DONE;
    }

    /* a close that we began: go on only for the peer's Close */

    return (s->state != state && s->close_received) ? NGX_DONE : NGX_OK;
}


/* A whole message, as it came. */

static ngx_int_t
ngx_http_writeen_session_message(ngx_http_writeen_session_t *s,
    wrt_message_state_t *message, u_char *p, size_t n)
{
    ngx_uint_t  rc, valid;

    if (message->compressed) {
        rc = ngx_http_writeen_inflate(s, &p, &n);

        if (rc != 0) {
            return ngx_http_writeen_session_fail(s, rc,
                                                 rc == WRT_CLOSE_TOO_BIG
                                                 ? "message too big"
                                                 : "compression error");
        }

        valid = (message->opcode != WRT_OP_TEXT || wrt_utf8_valid(p, n));

    } else {
        /* fed as it came */
        valid = wrt_utf8_done(&s->utf8);
    }

    if (!valid) {
        return ngx_http_writeen_session_fail(s, WRT_CLOSE_INVALID_DATA,
                                             "not UTF-8");
    }

    if (s->conf->raw != NULL) {
        s->conf->raw(s, message->opcode, p, n);

    } else {
        ngx_http_writeen_event(s, p, n);
    }

    return NGX_OK;
}


/*
 * Fail the connection (RFC 6455, 7.1.7): the framing can not be trusted any
 * more, so what still comes is thrown away, and our side is shut as soon as
 * the Close is out.
 */

static ngx_int_t
ngx_http_writeen_session_fail(ngx_http_writeen_session_t *s, ngx_uint_t code,
    const char *reason)
{
    s->failed = 1;
    ngx_http_writeen_session_close(s, code, reason);

    return NGX_DONE;
}


static void
ngx_http_writeen_session_control(ngx_http_writeen_session_t *s, u_char *p,
    size_t n)
{
    int                      rc;
    unsigned                 code;
    ngx_http_writeen_msg_t  *msg;

    switch (s->frame.opcode) {

    case WRT_OP_PING:
        msg = ngx_http_writeen_msg_create(WRT_OP_PONG, p, n);

        if (msg != NULL) {
            ngx_http_writeen_output(s, msg);
            ngx_http_writeen_msg_unref(msg);
        }

        return;

    case WRT_OP_PONG:
        return;
    }

    rc = wrt_close_parse(p, n, &code);

    s->close_received = 1;
    s->failed = (rc != 0);

    if (s->close_sent) {
        /* the answer to ours */
        if (s->out == NULL) {
            ngx_http_writeen_session_drop(s);
        }

        return;
    }

    ngx_http_writeen_session_close(s, rc ? (unsigned) rc : code,
                                   rc ? "protocol error" : "");
}
