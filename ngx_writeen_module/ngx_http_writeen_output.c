/*
 * ngx_http_writeen_output.c: a session's queue and the writing of it.
 *
 * Frames are queued while events are handled and written once at the end of
 * the loop turn, so that an acknowledgement and the echo of the same message,
 * or a burst, leave in one system call.  With more than a quarter of
 * writeen_send_queue in it, a queue takes no typing and no presence any more;
 * what would go beyond writeen_send_queue closes an open session with 4408:
 * memory stays bounded.  One large frame that finds the queue nearly empty does
 * not count: how many members a room has is not the client's doing.
 *
 * With TLS a frame that got NGX_AGAIN must be offered again from the same
 * address with the same length, so the first frame stays first once it has
 * been tried, even when the rest of the queue is dropped.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_IOVS         64
#define NGX_HTTP_WRITEEN_FREE_OUT     4096   /* places kept for reuse */
#define NGX_HTTP_WRITEEN_FLUSH_TURN   256    /* sessions written in a turn, */
#define NGX_HTTP_WRITEEN_LATE_TURN    64     /* and of those of large rooms */


static void ngx_http_writeen_output_some(ngx_queue_t *list, ngx_uint_t n);
static void ngx_http_writeen_output_shift(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_session_t *s);
static ssize_t ngx_http_writeen_output_chain(ngx_http_writeen_session_t *s);


void
ngx_http_writeen_output(ngx_http_writeen_session_t *s,
    ngx_http_writeen_msg_t *msg)
{
    ngx_http_writeen_worker_t  *wk;

    if (s->close_sent || s->state == NGX_HTTP_WRITEEN_DEAD) {
        return;
    }

    wk = ngx_http_writeen_worker;

    if ((msg->kind == WRT_EV_TYPING || msg->kind == WRT_EV_PRESENCE)
        && s->out_bytes > s->conf->send_queue / 4)
    {
        return;
    }

    msg = ngx_http_writeen_deflate(s, msg);

    if (s->out_bytes <= s->conf->send_queue / 4) {
        s->large = (msg->len > s->conf->send_queue / 4) ? msg->len : 0;
    }

    if (s->out_bytes + msg->len > s->conf->send_queue + s->large
        && s->state == NGX_HTTP_WRITEEN_OPEN)
    {
        ngx_http_writeen_count(wk, slow_closed_total);
        ngx_http_writeen_session_close(s, WRT_CLOSE_SLOW, "slow_consumer");
        return;
    }

    if (ngx_http_writeen_output_append(s, msg) != NGX_OK) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    ngx_http_writeen_count(wk, frames_out_total);

    if (s->flushing && (!s->late || wk->crowd)) {
        return;
    }

    /* he waits with a thousand others, and has something of his own now */

    ngx_queue_remove(&s->flush);

    s->flushing = 1;
    s->late = wk->crowd;
    ngx_queue_insert_tail(s->late ? &wk->flush_late : &wk->flush, &s->flush);

    if (!wk->flusher.posted) {
        ngx_post_event(&wk->flusher, &ngx_posted_events);
    }
}


ngx_int_t
ngx_http_writeen_output_append(ngx_http_writeen_session_t *s,
    ngx_http_writeen_msg_t *msg)
{
    ngx_http_writeen_out_t     *out;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    out = wk->free_out;

    if (out != NULL) {
        wk->free_out = out->next;
        wk->nfree_out--;

    } else {
        out = ngx_alloc(sizeof(ngx_http_writeen_out_t), wk->log);
        if (out == NULL) {
            return NGX_ERROR;
        }
    }

    msg->refs++;
    out->msg = msg;
    out->next = NULL;

    *s->out_last = out;
    s->out_last = &out->next;
    s->out_bytes += msg->len;
    ngx_http_writeen_count_n(wk, queue_bytes, msg->len);

    return NGX_OK;
}


void
ngx_http_writeen_output_text(ngx_http_writeen_session_t *s, u_char *p,
    size_t n)
{
    ngx_http_writeen_msg_t  *msg;

    msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, p, n);
    if (msg == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    ngx_http_writeen_output(s, msg);
    ngx_http_writeen_msg_unref(msg);
}


/* Posted once per turn in which something was queued. */

void
ngx_http_writeen_flusher_handler(ngx_event_t *ev)
{
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;

    ngx_http_writeen_output_some(&wk->flush, NGX_HTTP_WRITEEN_FLUSH_TURN);
    ngx_http_writeen_output_some(&wk->flush_late, NGX_HTTP_WRITEEN_LATE_TURN);

    /* let others have their turn, and what they say overtake a large room */

    if (!ngx_queue_empty(&wk->flush) || !ngx_queue_empty(&wk->flush_late)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


static void
ngx_http_writeen_output_some(ngx_queue_t *list, ngx_uint_t n)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_session_t  *s;

    for ( ; n > 0 && !ngx_queue_empty(list); n--) {
        q = ngx_queue_head(list);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, flush);

        ngx_queue_remove(q);
        ngx_queue_init(q);
        s->flushing = 0;

        ngx_http_writeen_output_flush(s);
    }
}


void
ngx_http_writeen_output_flush(ngx_http_writeen_session_t *s)
{
    ssize_t                     n;
    ngx_connection_t           *c;
    ngx_http_writeen_out_t     *out;
    ngx_http_writeen_worker_t  *wk;

    c = s->connection;
    wk = ngx_http_writeen_worker;

    while (s->out != NULL && c->write->ready
           && s->state != NGX_HTTP_WRITEEN_DEAD)
    {
        out = s->out;

        if (out->next == NULL || c->ssl) {
            n = c->send(c, out->msg->data + s->sent, out->msg->len - s->sent);

        } else {
            n = ngx_http_writeen_output_chain(s);
        }

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_writeen_session_drop(s);
            return;
        }

        ngx_http_writeen_count_n(wk, bytes_out_total, n);
        ngx_http_writeen_count_n(wk, queue_bytes, -n);

        s->sent += n;
        s->out_bytes -= n;

        while (s->out != NULL && s->sent >= s->out->msg->len) {
            s->sent -= s->out->msg->len;
            ngx_http_writeen_output_shift(wk, s);
        }
    }

    if (s->state == NGX_HTTP_WRITEEN_DEAD) {
        return;
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    if (!ngx_queue_empty(&s->paused)) {
        ngx_http_writeen_catch_next(s);
    }

    if (s->out != NULL || !s->close_sent) {
        return;
    }

    if (s->close_received) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    if (s->failed && !s->shut) {
        /* the peer's answer may be anything: let EOF tell it we are done */
        s->shut = 1;

        if (c->ssl) {
            ngx_http_writeen_session_drop(s);
            return;
        }

        (void) ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN);
    }
}


/* Write several frames at once.  Returns bytes, NGX_AGAIN or NGX_ERROR. */

static ssize_t
ngx_http_writeen_output_chain(ngx_http_writeen_session_t *s)
{
    off_t                    before;
    ngx_buf_t                bufs[NGX_HTTP_WRITEEN_IOVS];
    ngx_uint_t               i;
    ngx_chain_t              chain[NGX_HTTP_WRITEEN_IOVS];
    ngx_connection_t        *c;
    ngx_http_writeen_out_t  *out;

    c = s->connection;
    before = c->sent;

    for (i = 0, out = s->out;
         out != NULL && i < NGX_HTTP_WRITEEN_IOVS;
         out = out->next, i++)
    {
        ngx_memzero(&bufs[i], sizeof(ngx_buf_t));

        bufs[i].pos = out->msg->data + (i == 0 ? s->sent : 0);
        bufs[i].last = out->msg->data + out->msg->len;
        bufs[i].memory = 1;

        chain[i].buf = &bufs[i];
        chain[i].next = &chain[i + 1];
    }

    bufs[i - 1].flush = 1;
    chain[i - 1].next = NULL;

    if (c->send_chain(c, chain, 0) == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    return (c->sent == before) ? NGX_AGAIN : (ssize_t) (c->sent - before);
}


static void
ngx_http_writeen_output_shift(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_session_t *s)
{
    ngx_http_writeen_out_t  *out;

    out = s->out;

    s->out = out->next;
    if (s->out == NULL) {
        s->out_last = &s->out;
    }

    ngx_http_writeen_msg_unref(out->msg);

    if (wk->nfree_out >= NGX_HTTP_WRITEEN_FREE_OUT) {
        ngx_free(out);
        return;
    }

    out->next = wk->free_out;
    wk->free_out = out;
    wk->nfree_out++;
}


/*
 * Drop what is queued.  keep_first: not the frame that has been tried, which
 * must go out whole before anything else may.
 */

void
ngx_http_writeen_output_clear(ngx_http_writeen_session_t *s,
    ngx_uint_t keep_first)
{
    ngx_http_writeen_out_t     *rest;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    ngx_http_writeen_count_n(wk, queue_bytes, -s->out_bytes);

    if (keep_first && s->out != NULL
        && (s->sent != 0 || !s->connection->write->ready))
    {
        rest = s->out->next;
        s->out->next = NULL;
        s->out_last = &s->out->next;
        s->out_bytes = s->out->msg->len - s->sent;
        ngx_http_writeen_count_n(wk, queue_bytes, s->out_bytes);

        while (rest != NULL) {
            ngx_http_writeen_out_t  *out = rest;

            rest = out->next;
            ngx_http_writeen_msg_unref(out->msg);
            ngx_free(out);
        }

        return;
    }

    while (s->out != NULL) {
        ngx_http_writeen_output_shift(wk, s);
    }

    s->sent = 0;
    s->out_bytes = 0;
}


void
ngx_http_writeen_output_handler(ngx_event_t *wev)
{
    ngx_connection_t            *c;
    ngx_http_writeen_session_t  *s;

    c = wev->data;
    s = c->data;

    if (s->state == NGX_HTTP_WRITEEN_DEAD) {
        return;
    }

    ngx_http_writeen_output_flush(s);
}


void
ngx_http_writeen_output_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_out_t  *out;

    while (wk->free_out != NULL) {
        out = wk->free_out;
        wk->free_out = out->next;
        ngx_free(out);
    }
}
