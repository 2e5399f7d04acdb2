/*
 * wrt_deflate.h: permessage-deflate (RFC 7692): what is agreed on, and the
 * bytes of messages.
 *
 * No zlib stream is kept from one message to the next: a compressed message is
 * the same for all who read it, and a connection costs no memory.  One
 * wrt_deflate_t therefore serves a whole process; its zlib streams are made
 * when they are first needed.
 *
 * Clients are not to use their window (client_no_context_takeover).  Of ours
 * they keep what they have read, unless they ask us not to count on it, so that
 * a message may be compressed on the one before it: those who have read that
 * one last share the result.
 */

#ifndef WRT_DEFLATE_H
#define WRT_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#define WRT_DEFLATE_WINDOW       15   /* bits: what everybody may be sent */
#define WRT_DEFLATE_WINDOW_SMALL 9    /* who asked for less than that */

/* The longest answer, with its NUL. */
#define WRT_DEFLATE_ANSWER_MAX   128

typedef struct wrt_deflate_s  wrt_deflate_t;

/* How a connection is compressed; window 0: it is not. */
typedef struct {
    uint8_t  window;        /* WRT_DEFLATE_WINDOW or _SMALL: ours */
    uint8_t  asked;         /* server_max_window_bits was in the offer */
    uint8_t  takeover;      /* what it has read before may be referred to */
} wrt_deflate_agreed_t;

/*
 * The first offer in a Sec-WebSocket-Extensions header's value that we can
 * meet.  Returns 1 and *a, or 0: none, or what comes before it is malformed.
 * An offer with a parameter unknown, twice, or with a wrong value is no offer
 * (section 7.1), nor is a window of 8 bits, which zlib does not have.
 */
int wrt_deflate_offer(const char *p, size_t n, wrt_deflate_agreed_t *a);

/* The value of the header that answers it.  Returns its length. */
size_t wrt_deflate_answer(const wrt_deflate_agreed_t *a,
    char out[WRT_DEFLATE_ANSWER_MAX]);

wrt_deflate_t *wrt_deflate_create(void);
void wrt_deflate_free(wrt_deflate_t *d);

/*
 * The payload of a whole compressed message into out, which has max + 1 bytes.
 * Returns 0 and *len, or a close code: 1009 when it is longer (as soon as that
 * is known, however much would come), 1007 when it is no such data or ends in
 * the middle, 1011 without memory.
 */
int wrt_deflate_inflate(wrt_deflate_t *d, const uint8_t *p, size_t n,
    uint8_t *out, size_t max, size_t *len);

/*
 * Compress a whole message into out, which has max bytes, with at most `window`
 * bits; for who has read `base` as the last compressed message, when base_n is
 * not 0.  Returns the length, or 0 when it does not fit with its last four
 * bytes (or is empty, or there is no memory): it is then to be sent as it is.
 */
size_t wrt_deflate_compress(wrt_deflate_t *d, unsigned window,
    const uint8_t *base, size_t base_n, const uint8_t *p, size_t n,
    uint8_t *out, size_t max);

#endif
