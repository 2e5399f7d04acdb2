/*
 * ngx_http_writeen_deflate.c: permessage-deflate on a session's messages.
 *
 * Neither side keeps its window (common/wrt_deflate.h), so a message is
 * compressed when the first session wants it so, and once for all of them: the
 * compressed twin hangs on the msg.  One set of zlib streams and one buffer
 * serve the whole nginx worker.
 *
 * Each message is compressed by itself: what one client writes is never in one
 * window with what another may not see, and its length tells nothing of other
 * messages.
 */

#include "ngx_http_writeen.h"


static wrt_deflate_t *
ngx_http_writeen_deflate_get(ngx_http_writeen_worker_t *wk)
{
    if (wk->deflate == NULL) {
        wk->deflate = wrt_deflate_create();
    }

    return wk->deflate;
}


/* NULL: it does not get shorter. */

static ngx_http_writeen_msg_t *
ngx_http_writeen_deflate_twin(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_msg_t *msg, ngx_uint_t window)
{
    size_t                   n, head;
    u_char                  *p, *buf;
    uint8_t                  header[WRT_FRAME_SERVER_HEADER_MAX];
    wrt_deflate_t           *d;
    ngx_http_writeen_msg_t  *twin;

    d = ngx_http_writeen_deflate_get(wk);
    if (d == NULL) {
        return NULL;
    }

    head = wrt_frame_header_len(msg->data[1]);
    n = msg->len - head;

    buf = ngx_alloc(WRT_FRAME_SERVER_HEADER_MAX + n, wk->log);
    if (buf == NULL) {
        return NULL;
    }

    twin = NULL;
    p = buf + WRT_FRAME_SERVER_HEADER_MAX;
    n = wrt_deflate_compress(d, window, msg->data + head, n, p, n);

    if (n != 0) {
        head = wrt_frame_header(header, msg->data[0] & 0x0F, 1, n);
        p -= head;
        ngx_memcpy(p, header, head);

        twin = ngx_http_writeen_msg_raw(p, head + n);
    }

    ngx_free(buf);

    if (twin != NULL) {
        twin->seq = msg->seq;
        twin->kind = msg->kind;
    }

    return twin;
}


ngx_http_writeen_msg_t *
ngx_http_writeen_deflate(ngx_http_writeen_session_t *s,
    ngx_http_writeen_msg_t *msg)
{
    ngx_uint_t  i;

    /* whole data messages; not the 101, not control frames */

    if (s->window == 0 || msg->len < s->conf->deflate_min
        || (msg->data[0] != (0x80 | WRT_OP_TEXT)
            && msg->data[0] != (0x80 | WRT_OP_BINARY)))
    {
        return msg;
    }

    i = (s->window != WRT_DEFLATE_WINDOW);

    if (!(msg->tried & 1 << i)) {
        msg->tried |= 1 << i;
        msg->deflated[i] = ngx_http_writeen_deflate_twin(
                               ngx_http_writeen_worker, msg, s->window);
    }

    return msg->deflated[i] != NULL ? msg->deflated[i] : msg;
}


ngx_uint_t
ngx_http_writeen_inflate(ngx_http_writeen_session_t *s, u_char **p, size_t *n)
{
    int                         rc;
    size_t                      max;
    wrt_deflate_t              *d;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    max = s->conf->max_message;

    d = ngx_http_writeen_deflate_get(wk);
    if (d == NULL) {
        return WRT_CLOSE_INTERNAL;
    }

    if (wk->plain_size < max + 1) {

        if (wk->plain != NULL) {
            ngx_free(wk->plain);
            wk->plain_size = 0;
        }

        wk->plain = ngx_alloc(max + 1, wk->log);
        if (wk->plain == NULL) {
            return WRT_CLOSE_INTERNAL;
        }

        wk->plain_size = max + 1;
    }

    rc = wrt_deflate_inflate(d, *p, *n, wk->plain, max, n);
    *p = wk->plain;

    return rc;
}


void
ngx_http_writeen_deflate_exit(ngx_http_writeen_worker_t *wk)
{
    wrt_deflate_free(wk->deflate);
    wk->deflate = NULL;

    if (wk->plain != NULL) {
        ngx_free(wk->plain);
        wk->plain = NULL;
    }
}
