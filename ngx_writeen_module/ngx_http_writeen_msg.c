/*
 * ngx_http_writeen_msg.c: shared frames.
 *
 * A msg is one server frame, header and payload in one piece, made once and
 * written to any number of sockets.  It belongs to whoever holds references;
 * the last one to let go frees it.  What is shared are bytes, never ngx_buf_t:
 * the send path moves a buffer's pos.
 */

#include "ngx_http_writeen.h"


static ngx_http_writeen_msg_t *
ngx_http_writeen_msg_alloc(size_t len)
{
    ngx_http_writeen_msg_t  *msg;

    msg = ngx_alloc(offsetof(ngx_http_writeen_msg_t, data) + len,
                    ngx_cycle->log);
    if (msg == NULL) {
        return NULL;
    }

    msg->refs = 1;
    msg->seq = 0;
    msg->len = len;
    msg->kind = 0;
    msg->tried = 0;
    msg->serial = 0;
    msg->base = NULL;
    ngx_memzero(msg->deflated, sizeof(msg->deflated));

    return msg;
}


ngx_http_writeen_msg_t *
ngx_http_writeen_msg_create(ngx_uint_t opcode, const void *p, size_t n)
{
    size_t                   len;
    uint8_t                  header[WRT_FRAME_SERVER_HEADER_MAX];
    ngx_http_writeen_msg_t  *msg;

    len = wrt_frame_header(header, opcode, 0, n);

    msg = ngx_http_writeen_msg_alloc(len + n);
    if (msg == NULL) {
        return NULL;
    }

    ngx_memcpy(msg->data, header, len);

    if (n != 0) {
        ngx_memcpy(msg->data + len, p, n);
    }

    return msg;
}


ngx_http_writeen_msg_t *
ngx_http_writeen_msg_raw(const void *p, size_t n)
{
    ngx_http_writeen_msg_t  *msg;

    msg = ngx_http_writeen_msg_alloc(n);
    if (msg != NULL) {
        ngx_memcpy(msg->data, p, n);
    }

    return msg;
}


void
ngx_http_writeen_msg_forget(ngx_http_writeen_msg_t *msg)
{
    ngx_uint_t  i;

    if (msg->base != NULL) {
        ngx_http_writeen_msg_unref(msg->base);
        msg->base = NULL;
    }

    for (i = 0; i < NGX_HTTP_WRITEEN_DEFLATED; i++) {
        if (msg->deflated[i] != NULL) {
            ngx_http_writeen_msg_unref(msg->deflated[i]);
            msg->deflated[i] = NULL;
        }
    }

    msg->tried = 0;
}


void
ngx_http_writeen_msg_unref(ngx_http_writeen_msg_t *msg)
{
    if (--msg->refs != 0) {
        return;
    }

    ngx_http_writeen_msg_forget(msg);
    ngx_free(msg);
}
