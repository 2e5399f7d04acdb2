/*
 * wrt_frame.c: WebSocket framing (RFC 6455).
 *
 * Pure functions over the caller's bytes.  What is wrong is said as soon as
 * the byte that makes it wrong is there, so that a bad peer never gets us to
 * wait for the rest of a frame that will be refused anyway.
 *
 *   1002  no mask, reserved bits, unknown opcode, fragmented or long control
 *         frame, length not minimal or above 2^63 - 1, continuation without
 *         a start, a start inside a message, bad close code or length
 *   1007  reason of a Close that is not UTF-8
 *   1009  message longer than the limit
 *
 * A message (wrt_message_state_t) is either not under way (opcode 0) or
 * started by a text or binary frame; it ends with wrt_message_done().
 */

#include <string.h>

#include "common/wrt_frame.h"
#include "common/wrt_utf8.h"

#define WRT_FIN           0x80
#define WRT_RSV1          0x40
#define WRT_RSV23         0x30
#define WRT_OPCODE        0x0F
#define WRT_CONTROL       0x08
#define WRT_MASK          0x80
#define WRT_LEN           0x7F
#define WRT_LEN_16        126
#define WRT_LEN_64        127
#define WRT_REASON_MAX    (WRT_FRAME_CONTROL_MAX - 2)


static uint64_t
wrt_frame_read_be(const uint8_t *p, size_t n)
{
    uint64_t  v;

    for (v = 0; n > 0; n--) {
        v = v << 8 | *p++;
    }

    return v;
}


static void
wrt_frame_write_be(uint8_t *p, size_t n, uint64_t v)
{
    while (n > 0) {
        p[--n] = (uint8_t) v;
        v >>= 8;
    }
}


/* The first byte alone: reserved bits, opcode, FIN of control frames. */
static int
wrt_frame_check_first(uint8_t b, int deflate)
{
    uint8_t  opcode;

    opcode = b & WRT_OPCODE;

    if (b & WRT_RSV23) {
        return -WRT_CLOSE_PROTOCOL;
    }

    switch (opcode) {

    case WRT_OP_TEXT:
    case WRT_OP_BINARY:
        if ((b & WRT_RSV1) && !deflate) {
            return -WRT_CLOSE_PROTOCOL;
        }

        return 0;

    case WRT_OP_CONTINUATION:
        /* RSV1 stands on the first frame of a message only (RFC 7692, 6) */
        return b & WRT_RSV1 ? -WRT_CLOSE_PROTOCOL : 0;

    case WRT_OP_CLOSE:
    case WRT_OP_PING:
    case WRT_OP_PONG:
        return (b & WRT_RSV1) || !(b & WRT_FIN) ? -WRT_CLOSE_PROTOCOL : 0;

    default:
        return -WRT_CLOSE_PROTOCOL;
    }
}


int
wrt_frame_parse(wrt_frame_t *f, const uint8_t *p, size_t n, int deflate)
{
    int       rc;
    size_t    pos;
    uint64_t  len;

    if (n < 1) {
        return 0;
    }

    rc = wrt_frame_check_first(p[0], deflate);
    if (rc != 0) {
        return rc;
    }

    if (n < 2) {
        return 0;
    }

    len = p[1] & WRT_LEN;

    if (!(p[1] & WRT_MASK)) {
        return -WRT_CLOSE_PROTOCOL;
    }

    if ((p[0] & WRT_CONTROL) && len > WRT_FRAME_CONTROL_MAX) {
        return -WRT_CLOSE_PROTOCOL;
    }

    pos = 2;

    if (len == WRT_LEN_16) {
        if (n < 4) {
            return 0;
        }

        len = wrt_frame_read_be(p + 2, 2);
        if (len < WRT_LEN_16) {
            return -WRT_CLOSE_PROTOCOL;
        }

        pos = 4;

    } else if (len == WRT_LEN_64) {
        if (n >= 3 && (p[2] & 0x80)) {
            return -WRT_CLOSE_PROTOCOL;
        }

        if (n < 10) {
            return 0;
        }

        len = wrt_frame_read_be(p + 2, 8);
        if (len <= UINT16_MAX) {
            return -WRT_CLOSE_PROTOCOL;
        }

        pos = 10;
    }

    if (n < pos + 4) {
        return 0;
    }

    f->len = len;
    memcpy(f->mask, p + pos, 4);
    f->opcode = p[0] & WRT_OPCODE;
    f->fin = (p[0] & WRT_FIN) != 0;
    f->rsv1 = (p[0] & WRT_RSV1) != 0;
    f->header_len = (uint8_t) (pos + 4);

    return f->header_len;
}


int
wrt_message_admit(wrt_message_state_t *st, const wrt_frame_t *f, uint64_t max)
{
    if (f->opcode & WRT_CONTROL) {
        return 0;
    }

    if (f->opcode == WRT_OP_CONTINUATION) {
        if (st->opcode == 0 || f->rsv1) {
            return WRT_CLOSE_PROTOCOL;
        }

    } else if (st->opcode != 0) {
        return WRT_CLOSE_PROTOCOL;
    }

    /* no sum that could overflow; st->len may be above a max that shrank */
    if (st->len > max || f->len > max - st->len) {
        return WRT_CLOSE_TOO_BIG;
    }

    if (f->opcode != WRT_OP_CONTINUATION) {
        st->opcode = f->opcode;
        st->compressed = f->rsv1;
    }

    st->len += f->len;

    return 0;
}


void
wrt_message_done(wrt_message_state_t *st)
{
    st->len = 0;
    st->opcode = 0;
    st->compressed = 0;
}


void
wrt_frame_unmask(uint8_t *p, size_t n, const uint8_t mask[4], uint64_t off)
{
    size_t    i;
    uint8_t   key[8];
    uint64_t  k, v[4];

    /* the mask as it falls on p[0], twice: 8 bytes keep its phase */
    for (i = 0; i < 8; i++) {
        key[i] = mask[(off + i) & 3];
    }

    memcpy(&k, key, 8);

    /* memcpy: p has any alignment, and becomes plain loads and stores */
    while (n >= 32) {
        memcpy(v, p, 32);
        v[0] ^= k;
        v[1] ^= k;
        v[2] ^= k;
        v[3] ^= k;
        memcpy(p, v, 32);
        p += 32;
        n -= 32;
    }

    while (n >= 8) {
        memcpy(v, p, 8);
        v[0] ^= k;
        memcpy(p, v, 8);
        p += 8;
        n -= 8;
    }

    for (i = 0; i < n; i++) {
        p[i] ^= key[i];
    }
}


size_t
wrt_frame_header(uint8_t *out, unsigned opcode, int rsv1, uint64_t len)
{
    out[0] = (uint8_t) (WRT_FIN | (rsv1 ? WRT_RSV1 : 0)
                        | (opcode & WRT_OPCODE));

    if (len < WRT_LEN_16) {
        out[1] = (uint8_t) len;
        return 2;
    }

    if (len <= UINT16_MAX) {
        out[1] = WRT_LEN_16;
        wrt_frame_write_be(out + 2, 2, len);
        return 4;
    }

    out[1] = WRT_LEN_64;
    wrt_frame_write_be(out + 2, 8, len);

    return 10;
}


size_t
wrt_frame_header_len(uint8_t second)
{
    switch (second & WRT_LEN) {

    case WRT_LEN_16:
        return 4;

    case WRT_LEN_64:
        return 10;

    default:
        return 2;
    }
}


size_t
wrt_frame_close(uint8_t *out, unsigned code, const char *reason)
{
    size_t  n, head;

    if (!wrt_close_code_valid(code)) {
        return wrt_frame_header(out, WRT_OP_CLOSE, 0, 0);
    }

    if (reason == NULL) {
        reason = "";
    }

    n = strlen(reason);

    /* a reason that is no UTF-8 would make the peer fail the connection */
    if (!wrt_utf8_valid((const uint8_t *) reason, n)) {
        n = 0;
    }

    n = wrt_utf8_cut((const uint8_t *) reason, n, WRT_REASON_MAX);

    head = wrt_frame_header(out, WRT_OP_CLOSE, 0, 2 + n);
    wrt_frame_write_be(out + head, 2, code);

    if (n > 0) {
        memcpy(out + head + 2, reason, n);
    }

    return head + 2 + n;
}


int
wrt_close_parse(const uint8_t *p, size_t n, unsigned *code)
{
    *code = WRT_CLOSE_NO_STATUS;

    if (n == 0) {
        return 0;
    }

    if (n < 2) {
        return WRT_CLOSE_PROTOCOL;
    }

    *code = (unsigned) wrt_frame_read_be(p, 2);

    if (!wrt_close_code_valid(*code)) {
        return WRT_CLOSE_PROTOCOL;
    }

    if (!wrt_utf8_valid(p + 2, n - 2)) {
        return WRT_CLOSE_INVALID_DATA;
    }

    return 0;
}


int
wrt_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003)
           || (code >= 1007 && code <= 1014)
           || (code >= 3000 && code <= 4999);
}
