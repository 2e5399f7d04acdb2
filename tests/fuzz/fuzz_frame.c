/*
 * fuzz_frame.c: any bytes from a client through the frame codec.
 *
 * First byte: bit 0 permessage-deflate, bits 1 and 2 the message limit; the
 * second byte seeds the pieces.  The rest is the stream.  What holds:
 *   - however the stream is cut, the same messages and the same end;
 *   - a header is never longer than 14 bytes, never asked for twice, and a
 *     message never longer than the limit (wire.h aborts otherwise);
 *   - what was received, framed anew, is received again, byte for byte;
 *   - what we would send ourselves (headers, Close) is what we accept.
 */

#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire.h"

static const uint64_t  limits[4] = { 16, 125, 70000, UINT64_MAX };


/* Cut by the bytes of a little generator. */
static void
receive(wire_t *w, const uint8_t *p, size_t n, uint32_t cut)
{
    size_t   take;
    uint8_t  *piece;

    while (n > 0) {
        cut = cut * 1103515245 + 12345;
        take = 1 + (cut >> 16) % 19;
        take = take < n ? take : n;

        /* its own allocation: reading over the end of a piece is seen */
        piece = malloc(take);
        FUZZ_CHECK(piece != NULL);
        memcpy(piece, p, take);
        wire_feed(w, piece, take);
        free(piece);

        p += take;
        n -= take;
    }
}


static void
check_same(const wire_t *a, const wire_t *b)
{
    FUZZ_CHECK(a->verdict == b->verdict);
    FUZZ_CHECK(a->code == b->code);
    FUZZ_CHECK(a->log.n == b->log.n);
    FUZZ_CHECK(a->log.n == 0 || memcmp(a->log.p, b->log.p, a->log.n) == 0);
}


/* A client's frame made of our own server header: mask bit and mask added. */
static void
append_frame(wire_log_t *out, unsigned opcode, int rsv1, const uint8_t *p,
    size_t n)
{
    size_t   head, at;
    uint8_t  b[WRT_FRAME_SERVER_HEADER_MAX];

    const uint8_t  mask[4] = { 0xA5, 0x00, 0xFF, 0x5A };

    head = wrt_frame_header(b, opcode, rsv1, n);
    FUZZ_CHECK(head <= sizeof(b));
    b[1] |= 0x80;

    wire_append(out, b, head);
    wire_append(out, mask, 4);
    at = out->n;
    wire_append(out, p, n);

    if (n) {
        /* in two parts, as reads would come */
        wrt_frame_unmask(out->p + at, n / 3, mask, 0);
        wrt_frame_unmask(out->p + at + n / 3, n - n / 3, mask, n / 3);
    }
}


static void
frame_anew(const wire_t *w)
{
    wire_t      again;
    size_t      at, n;
    uint8_t    *p;
    wire_log_t  out;

    memset(&out, 0, sizeof(out));

    for (at = 0; at < w->log.n; at += 6 + n) {
        p = w->log.p + at;
        n = (size_t) p[2] << 24 | (size_t) p[3] << 16 | (size_t) p[4] << 8
            | p[5];
        append_frame(&out, p[0], p[1], p + 6, n);
    }

    wire_init(&again, w->deflate, w->max);
    wire_feed(&again, out.p, out.n);

    FUZZ_CHECK(again.verdict == (w->verdict == WIRE_CLOSED ? WIRE_CLOSED
                                 : WIRE_OPEN));
    FUZZ_CHECK(again.log.n == w->log.n);
    FUZZ_CHECK(w->log.n == 0
               || memcmp(again.log.p, w->log.p, w->log.n) == 0);
    FUZZ_CHECK(again.st.opcode == 0 && again.st.len == 0);

    wire_free(&again);
    free(out.p);
}


/* A Close with this code and reason is one that we would accept. */
static void
close_with(const uint8_t *p, size_t n)
{
    char      reason[300];
    size_t    len;
    uint8_t   out[2 + WRT_FRAME_CONTROL_MAX];
    unsigned  code, got;

    if (n < 2) {
        return;
    }

    code = (unsigned) p[0] << 8 | p[1];
    len = n - 2 < sizeof(reason) - 1 ? n - 2 : sizeof(reason) - 1;
    memcpy(reason, p + 2, len);
    reason[len] = '\0';

    len = wrt_frame_close(out, code, reason);
    FUZZ_CHECK(len >= 2 && len <= sizeof(out) && out[1] == len - 2);
    FUZZ_CHECK(wrt_close_parse(out + 2, len - 2, &got) == 0);
    FUZZ_CHECK(got == (wrt_close_code_valid(code) ? code
                       : WRT_CLOSE_NO_STATUS));
    FUZZ_CHECK(len == 2 || memcmp(out + 4, reason, len - 4) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int       deflate;
    wire_t    whole, bytes, pieces;
    size_t    i;
    uint64_t  max;

    if (n < 2) {
        return 0;
    }

    deflate = p[0] & 1;
    max = limits[p[0] >> 1 & 3];

    close_with(p + 2, n - 2);

    wire_init(&whole, deflate, max);
    wire_init(&bytes, deflate, max);
    wire_init(&pieces, deflate, max);

    wire_feed(&whole, p + 2, n - 2);

    for (i = 2; i < n; i++) {
        wire_feed(&bytes, p + i, 1);
    }

    receive(&pieces, p + 2, n - 2, p[1]);

    check_same(&whole, &bytes);
    check_same(&whole, &pieces);
    frame_anew(&whole);

    wire_free(&whole);
    wire_free(&bytes);
    wire_free(&pieces);

    return 0;
}
