/*
 * ngx_http_writeen_deflate.c: permessage-deflate on a session's messages.
 *
 * A message is compressed when the first session wants it so, and once for all
 * who want it in the same way: the compressed twin hangs on the msg.  One set
 * of zlib streams and one buffer serve the whole nginx worker.
 *
 *     ALONE  for everybody
 *     SMALL  for who keeps a small window
 *     BASED  on the event before it in the room, for those who were given that
 *            as their last compressed message, and may be expected to keep it
 *
 * Events of a room are much alike, so BASED has a third of ALONE's bytes, still
 * the same for all members whose last message came from this room.  A
 * session has no window here: all it takes is the number of its last one.
 *
 * What one client may not see is never in one window with what he is sent: the
 * base has been sent to him.  From the length of a message somebody on the way
 * may guess how much it is like the one before.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_DEFLATE_ALONE  0
#define NGX_HTTP_WRITEEN_DEFLATE_SMALL  1
#define NGX_HTTP_WRITEEN_DEFLATE_BASED  2

#define NGX_HTTP_WRITEEN_DEFLATE_BASE_MAX  4096   /* bytes kept by a room */


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
    ngx_http_writeen_msg_t *msg, ngx_uint_t how)
{
    size_t                   n, head, base_n;
    u_char                  *p, *buf, *base;
    uint8_t                  header[WRT_FRAME_SERVER_HEADER_MAX];
    wrt_deflate_t           *d;
    ngx_http_writeen_msg_t  *twin;

    d = ngx_http_writeen_deflate_get(wk);
    if (d == NULL) {
        return NULL;
    }

    base = NULL;
    base_n = 0;

    if (how == NGX_HTTP_WRITEEN_DEFLATE_BASED) {
        head = wrt_frame_header_len(msg->base->data[1]);
        base = msg->base->data + head;
        base_n = msg->base->len - head;
    }

    head = wrt_frame_header_len(msg->data[1]);
    n = msg->len - head;

    buf = ngx_alloc(WRT_FRAME_SERVER_HEADER_MAX + n, wk->log);
    if (buf == NULL) {
        return NULL;
    }

    twin = NULL;
    p = buf + WRT_FRAME_SERVER_HEADER_MAX;
    n = wrt_deflate_compress(d, how == NGX_HTTP_WRITEEN_DEFLATE_SMALL
                                ? WRT_DEFLATE_WINDOW_SMALL
                                : WRT_DEFLATE_WINDOW,
                             base, base_n, msg->data + head, n, p, n);

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
    ngx_uint_t                  how;
    ngx_http_writeen_worker_t  *wk;

    /* whole data messages; not the 101, not control frames */

    if (s->window == 0 || msg->len < s->conf->deflate_min
        || (msg->data[0] != (0x80 | WRT_OP_TEXT)
            && msg->data[0] != (0x80 | WRT_OP_BINARY)))
    {
        return msg;
    }

    wk = ngx_http_writeen_worker;

    if (s->window != WRT_DEFLATE_WINDOW) {
        how = NGX_HTTP_WRITEEN_DEFLATE_SMALL;

    } else if (s->takeover && msg->base != NULL
               && msg->base->serial == s->deflated)
    {
        how = NGX_HTTP_WRITEEN_DEFLATE_BASED;

    } else {
        how = NGX_HTTP_WRITEEN_DEFLATE_ALONE;
    }

    if (!(msg->tried & 1 << how)) {
        msg->tried |= 1 << how;
        msg->deflated[how] = ngx_http_writeen_deflate_twin(wk, msg, how);

        if (msg->serial == 0) {
            msg->serial = ++wk->serials;
        }
    }

    if (msg->deflated[how] == NULL) {
        return msg;
    }

    s->deflated = msg->serial;

    return msg->deflated[how];
}


void
ngx_http_writeen_deflate_begin(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_msg_t *msg)
{
    if (rm->last != NULL) {
        msg->base = rm->last;
        msg->base->refs++;
    }
}


void
ngx_http_writeen_deflate_end(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_msg_t *msg)
{
    if (msg->serial == 0) {
        /* nobody has it compressed: what they had is still their last */
        return;
    }

    if (rm->last != NULL) {
        ngx_http_writeen_msg_unref(rm->last);
        rm->last = NULL;
    }

    /* its own base goes, or each would keep the one before it */

    ngx_http_writeen_msg_forget(msg);

    if (msg->len <= NGX_HTTP_WRITEEN_DEFLATE_BASE_MAX) {
        rm->last = msg;
        msg->refs++;
    }
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
