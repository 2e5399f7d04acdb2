/*
 * wrt_frame.h: WebSocket framing (RFC 6455), without I/O or allocation.
 *
 * The module feeds it bytes and owns the buffers; nothing here keeps a
 * pointer.  Errors are close codes (section 7.4.1), so that the caller can
 * fail the connection with what it got.
 */

#ifndef WRT_FRAME_H
#define WRT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define WRT_OP_CONTINUATION  0x0
#define WRT_OP_TEXT          0x1
#define WRT_OP_BINARY        0x2
#define WRT_OP_CLOSE         0x8
#define WRT_OP_PING          0x9
#define WRT_OP_PONG          0xA

#define WRT_FRAME_CLIENT_HEADER_MAX  14  /* 2 + 8 + mask 4 */
#define WRT_FRAME_SERVER_HEADER_MAX  10
#define WRT_FRAME_CONTROL_MAX        125 /* section 5.5 */

#define WRT_CLOSE_NORMAL         1000
#define WRT_CLOSE_GOING_AWAY     1001
#define WRT_CLOSE_PROTOCOL       1002
#define WRT_CLOSE_UNSUPPORTED    1003
#define WRT_CLOSE_NO_STATUS      1005    /* never on the wire */
#define WRT_CLOSE_INVALID_DATA   1007
#define WRT_CLOSE_TOO_BIG        1009
#define WRT_CLOSE_INTERNAL       1011
#define WRT_CLOSE_RESTART        1012
#define WRT_CLOSE_BAD_EVENT      4400
#define WRT_CLOSE_TOKEN          4401
#define WRT_CLOSE_REVOKED        4403
#define WRT_CLOSE_SLOW           4408
#define WRT_CLOSE_FLOOD          4429

/* One frame header as read from a client. */
typedef struct {
    uint64_t  len;          /* payload, bytes */
    uint8_t   mask[4];
    uint8_t   opcode;
    uint8_t   fin;          /* 0 or 1 */
    uint8_t   rsv1;         /* 0 or 1: the message is compressed */
    uint8_t   header_len;   /* bytes of header consumed */
} wrt_frame_t;

/* Where a connection stands inside a fragmented message.  Zero it first. */
typedef struct {
    uint64_t  len;          /* payload bytes announced so far, this message */
    uint8_t   opcode;       /* of the message under way; 0: none */
    uint8_t   compressed;   /* its first frame had RSV1 */
} wrt_message_state_t;

/*
 * Parse a client's frame header from p[0..n).
 * Returns > 0: header length, *f filled; 0: more bytes are needed (never asked
 * once WRT_FRAME_CLIENT_HEADER_MAX are there); < 0: minus the close code.
 * Refused: no mask, RSV2/RSV3, RSV1 unless `deflate` was negotiated, unknown
 * opcodes, control frames fragmented or above 125, lengths not minimal or
 * with the top bit set (sections 5.2, 5.5).
 */
int wrt_frame_parse(wrt_frame_t *f, const uint8_t *p, size_t n, int deflate);

/*
 * Admit the frame into the message under way (section 5.4): continuation
 * rules, RSV1 on first data frames only, and the sum of lengths against `max`
 * (bytes) before anything is allocated.  Control frames pass untouched.
 * Returns 0, or the close code (1002, 1009).  After a FIN data frame is fully
 * read call wrt_message_done().
 */
int wrt_message_admit(wrt_message_state_t *st, const wrt_frame_t *f,
    uint64_t max);
void wrt_message_done(wrt_message_state_t *st);

/*
 * Unmask in place; `off` is how many payload bytes of this frame came before
 * p (section 5.3).  Any alignment.
 */
void wrt_frame_unmask(uint8_t *p, size_t n, const uint8_t mask[4],
    uint64_t off);

/*
 * Write a server's (unmasked, FIN) frame header for `len` payload bytes into
 * out, which has WRT_FRAME_SERVER_HEADER_MAX bytes.  Returns its length.
 */
size_t wrt_frame_header(uint8_t *out, unsigned opcode, int rsv1,
    uint64_t len);

/* Of such a header, how long it is, by its second byte. */
size_t wrt_frame_header_len(uint8_t second);

/*
 * Build a whole Close frame: code and reason (cut to 123 bytes at a UTF-8
 * boundary).  out has 2 + 125 bytes.  Returns the length.  A code that must
 * not be on the wire (1005) gives an empty Close.
 */
size_t wrt_frame_close(uint8_t *out, unsigned code, const char *reason);

/*
 * Read the payload of a Close frame (already unmasked, n <= 125).
 * *code is the peer's code, WRT_CLOSE_NO_STATUS when empty.  Returns 0, or the
 * close code to answer with: 1002 (one byte, a code not allowed on the wire),
 * 1007 (reason not UTF-8).
 */
int wrt_close_parse(const uint8_t *p, size_t n, unsigned *code);

/* May this code be sent on the wire?  (7.4.1, 7.4.2: 1000-1003, 1007-1014,
 * 3000-4999.) */
int wrt_close_code_valid(unsigned code);

#endif
