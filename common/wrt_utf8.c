/*
 * wrt_utf8.c: incremental UTF-8 check.
 *
 * The state says what the next byte must be: how many continuation bytes are
 * still due and between which two values the next one lies.  Only the first
 * continuation byte has other bounds than 80..BF; that is where overlong
 * forms, surrogates and what is above U+10FFFF are caught, at the first byte
 * that gives them away (Table 3-7 of the Unicode standard).
 */

#include <string.h>

#include "common/wrt_utf8.h"

#define WRT_UTF8_STATE(need, lo, hi)                                          \
    ((uint32_t) (need) << 16 | (uint32_t) (hi) << 8 | (uint32_t) (lo))
#define WRT_UTF8_NEED(state)  ((state) >> 16)
#define WRT_UTF8_HI(state)    ((state) >> 8 & 0xFF)
#define WRT_UTF8_LO(state)    ((state) & 0xFF)

#define WRT_UTF8_HIGH_BITS    0x8080808080808080ULL


/* What must follow a lead byte; 0: this is none. */
static uint32_t
wrt_utf8_lead(uint8_t c)
{
    if (c < 0xC2) {
        return 0;
    }

    if (c < 0xE0) {
        return WRT_UTF8_STATE(1, 0x80, 0xBF);
    }

    if (c < 0xF0) {
        switch (c) {

        case 0xE0:  /* below: overlong */
            return WRT_UTF8_STATE(2, 0xA0, 0xBF);

        case 0xED:  /* above: surrogates */
            return WRT_UTF8_STATE(2, 0x80, 0x9F);

        default:
            return WRT_UTF8_STATE(2, 0x80, 0xBF);
        }
    }

    switch (c) {

    case 0xF0:      /* below: overlong */
        return WRT_UTF8_STATE(3, 0x90, 0xBF);

    case 0xF1:
    case 0xF2:
    case 0xF3:
        return WRT_UTF8_STATE(3, 0x80, 0xBF);

    case 0xF4:      /* above: more than U+10FFFF */
        return WRT_UTF8_STATE(3, 0x80, 0x8F);

    default:
        return 0;
    }
}


/* Skip whole ASCII words, the bulk of most text. */
static const uint8_t *
wrt_utf8_skip_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t  a, b;

    while (end - p >= 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);

        if ((a | b) & WRT_UTF8_HIGH_BITS) {
            break;
        }

        p += 16;
    }

    return p;
}


int
wrt_utf8_feed(wrt_utf8_t *u, const uint8_t *p, size_t n)
{
    uint8_t         c;
    uint32_t        state, need;
    const uint8_t  *end;

    if (n == 0) {
        return 0;   /* p may be NULL */
    }

    state = u->state;
    end = p + n;

    while (p < end) {
        c = *p;

        if (state == 0) {
            if (c < 0x80) {
                p++;
                p = wrt_utf8_skip_ascii(p, end);
                continue;
            }

            state = wrt_utf8_lead(c);
            if (state == 0) {
                return -1;
            }

            p++;
            continue;
        }

        if (c < WRT_UTF8_LO(state) || c > WRT_UTF8_HI(state)) {
            return -1;
        }

        need = WRT_UTF8_NEED(state) - 1;
        state = need ? WRT_UTF8_STATE(need, 0x80, 0xBF) : 0;
        p++;
    }

    u->state = state;

    return 0;
}


int
wrt_utf8_done(const wrt_utf8_t *u)
{
    return u->state == 0;
}


int
wrt_utf8_valid(const uint8_t *p, size_t n)
{
    wrt_utf8_t  u;

    u.state = 0;

    return wrt_utf8_feed(&u, p, n) == 0 && u.state == 0;
}


size_t
wrt_utf8_cut(const uint8_t *p, size_t n, size_t max)
{
    if (n <= max) {
        return n;
    }

    n = max;

    /* p[n] would be the first byte left out: it must start a character */
    while (n > 0 && (p[n] & 0xC0) == 0x80) {
        n--;
    }

    return n;
}
