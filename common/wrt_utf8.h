/*
 * wrt_utf8.h: incremental UTF-8 check (RFC 3629: no surrogates, no overlong
 * forms, nothing above U+10FFFF).
 */

#ifndef WRT_UTF8_H
#define WRT_UTF8_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t  state;        /* zero: between characters */
} wrt_utf8_t;

/*
 * Feed n bytes.  Returns 0 while all is well, -1 at the first byte that can
 * not continue valid text (fail fast; the state is then useless).
 */
int wrt_utf8_feed(wrt_utf8_t *u, const uint8_t *p, size_t n);

/* Is the text whole here?  1: at a character boundary. */
int wrt_utf8_done(const wrt_utf8_t *u);

/* Is p[0..n) valid, whole UTF-8?  1 or 0. */
int wrt_utf8_valid(const uint8_t *p, size_t n);

/* The longest prefix of valid text p[0..n) of at most `max` bytes that ends
 * at a character boundary. */
size_t wrt_utf8_cut(const uint8_t *p, size_t n, size_t max);

#endif
