/*
 * wire.h: a receiver in miniature on top of the frame codec.
 *
 * It does with the codec what a session does (header, admission, unmasking,
 * UTF-8, Close), for any cut of the stream into reads, and writes down what
 * it got.  test_frame.c compares that with libwslay, fuzz_frame.c with itself
 * on other cuts.
 */

#ifndef WRT_UNIT_WIRE_H
#define WRT_UNIT_WIRE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/wrt_frame.h"
#include "common/wrt_utf8.h"

#define WIRE_OPEN    0      /* no verdict yet */
#define WIRE_CLOSED  1      /* the peer's Close was good */
                            /* else the close code of the failure */

/* What was received: for each message <opcode> <rsv1> <length, 4> <bytes>. */
typedef struct {
    uint8_t  *p;
    size_t    n;
    size_t    size;
} wire_log_t;

typedef struct {
    int                  deflate;
    uint64_t             max;
    int                  verdict;
    unsigned             code;      /* of the peer's Close */
    wrt_message_state_t  st;
    wrt_utf8_t           utf8;
    wrt_frame_t          f;
    uint8_t              head[WRT_FRAME_CLIENT_HEADER_MAX];
    size_t               head_n;
    int                  in_frame;
    uint64_t             got;       /* payload bytes of this frame */
    wire_log_t           data;      /* message under way */
    wire_log_t           control;   /* control frame under way */
    wire_log_t           log;
} wire_t;


static inline void
wire_append(wire_log_t *l, const void *p, size_t n)
{
    if (l->n + n > l->size) {
        l->size = 2 * (l->n + n);
        l->p = realloc(l->p, l->size);
        if (l->p == NULL) {
            abort();
        }
    }

    if (n > 0) {
        memcpy(l->p + l->n, p, n);
        l->n += n;
    }
}


static inline void
wire_record(wire_log_t *l, uint8_t opcode, uint8_t rsv1, const void *p,
    size_t n)
{
    uint8_t  head[6] = { opcode, rsv1, (uint8_t) (n >> 24),
                         (uint8_t) (n >> 16), (uint8_t) (n >> 8),
                         (uint8_t) n };

    wire_append(l, head, sizeof(head));
    wire_append(l, p, n);
}


static inline void
wire_init(wire_t *w, int deflate, uint64_t max)
{
    memset(w, 0, sizeof(*w));
    w->deflate = deflate;
    w->max = max;
}


static inline void
wire_free(wire_t *w)
{
    free(w->data.p);
    free(w->control.p);
    free(w->log.p);
}


/* A frame is whole. */
static inline void
wire_frame_done(wire_t *w)
{
    int  rc;

    w->in_frame = 0;
    w->head_n = 0;

    if (w->f.opcode & 8) {
        if (w->f.opcode == WRT_OP_CLOSE) {
            rc = wrt_close_parse(w->control.p, w->control.n, &w->code);
            w->verdict = rc ? rc : WIRE_CLOSED;
            if (rc) {
                return;
            }
        }

        wire_record(&w->log, w->f.opcode, 0, w->control.p, w->control.n);
        return;
    }

    if (!w->f.fin) {
        return;
    }

    if (w->st.opcode == WRT_OP_TEXT && !w->st.compressed
        && !wrt_utf8_done(&w->utf8))
    {
        w->verdict = WRT_CLOSE_INVALID_DATA;
        return;
    }

    wire_record(&w->log, w->st.opcode, w->st.compressed, w->data.p,
                w->data.n);
    wrt_message_done(&w->st);
}


/* Up to n bytes of a header.  Returns how many were taken. */
static inline size_t
wire_header(wire_t *w, const uint8_t *p, size_t n)
{
    int     rc;
    size_t  take, had;

    had = w->head_n;
    take = sizeof(w->head) - had;
    take = take < n ? take : n;
    memcpy(w->head + had, p, take);

    rc = wrt_frame_parse(&w->f, w->head, had + take, w->deflate);

    if (rc < 0) {
        w->verdict = -rc;
        return 0;
    }

    if (rc == 0) {
        if (had + take == sizeof(w->head)) {
            abort();    /* never asked for more than this */
        }

        w->head_n += take;
        return take;
    }

    if ((size_t) rc <= had || rc != w->f.header_len) {
        abort();        /* it had been there before */
    }

    rc = wrt_message_admit(&w->st, &w->f, w->max);
    if (rc) {
        w->verdict = rc;
        return 0;
    }

    if (w->st.len > w->max) {
        abort();
    }

    w->in_frame = 1;
    w->got = 0;
    w->control.n = 0;

    if (w->f.opcode == WRT_OP_TEXT || w->f.opcode == WRT_OP_BINARY) {
        w->data.n = 0;
        w->utf8.state = 0;
    }

    return w->f.header_len - had;
}


static inline void
wire_feed(wire_t *w, const uint8_t *p, size_t n)
{
    size_t       take, at;
    wire_log_t  *to;

    while (w->verdict == WIRE_OPEN && n > 0) {

        if (!w->in_frame) {
            take = wire_header(w, p, n);

        } else {
            take = w->f.len - w->got < n ? (size_t) (w->f.len - w->got) : n;
            to = w->f.opcode & 8 ? &w->control : &w->data;
            at = to->n;
            wire_append(to, p, take);

            wrt_frame_unmask(to->p + at, take, w->f.mask, w->got);
            w->got += take;

            if (to == &w->data && w->st.opcode == WRT_OP_TEXT
                && !w->st.compressed
                && wrt_utf8_feed(&w->utf8, to->p + at, take) != 0)
            {
                w->verdict = WRT_CLOSE_INVALID_DATA;
            }
        }

        p += take;
        n -= take;

        if (w->in_frame && w->got == w->f.len && w->verdict == WIRE_OPEN) {
            wire_frame_done(w);
        }
    }
}

#endif
