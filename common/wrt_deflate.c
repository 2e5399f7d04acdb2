/*
 * wrt_deflate.c: permessage-deflate (RFC 7692).
 *
 * Offers are a list of extensions with parameters (RFC 6455, 9.1):
 *
 *     name *( ";" param [ "=" token | "=" <"> token <"> ] ) *( "," ... )
 *
 * Message data is raw DEFLATE whose last four bytes, 00 00 ff ff, are left out
 * on the wire (section 7.2).
 */

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/wrt_deflate.h"
#include "common/wrt_frame.h"

#define WRT_DEFLATE_LEVEL   1     /* chat is short: more finds little more */
#define WRT_DEFLATE_MEMORY  6     /* of zlib's 1 to 9: 16 KiB to clear */

/* Set in z_stream.data_type right after the end of a block. */
#define WRT_DEFLATE_BLOCK_END  128


struct wrt_deflate_s {
    z_stream  in;
    z_stream  out[2];         /* WRT_DEFLATE_WINDOW, WRT_DEFLATE_WINDOW_SMALL */
    uint8_t   in_ready;
    uint8_t   out_ready[2];
};


static const uint8_t  wrt_deflate_tail[4] = { 0x00, 0x00, 0xFF, 0xFF };


/* -- offers -- */

typedef struct {
    const char  *p;
    const char  *end;
} wrt_deflate_text_t;

typedef struct {
    const char  *p;
    size_t       n;
} wrt_deflate_word_t;


static void
wrt_deflate_blanks(wrt_deflate_text_t *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t')) {
        t->p++;
    }
}


/* Is c the next character?  Takes it, and blanks on both sides. */
static int
wrt_deflate_next(wrt_deflate_text_t *t, char c)
{
    wrt_deflate_blanks(t);

    if (t->p == t->end || *t->p != c) {
        return 0;
    }

    t->p++;
    wrt_deflate_blanks(t);

    return 1;
}


/* A token (RFC 9110, 5.6.2).  0: there is none. */
static int
wrt_deflate_word(wrt_deflate_text_t *t, wrt_deflate_word_t *w)
{
    unsigned char  c;

    w->p = t->p;

    for ( /* void */ ; t->p < t->end; t->p++) {
        c = (unsigned char) *t->p;

        if ((c >= '0' && c <= '9')
            || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL))
        {
            continue;
        }

        break;
    }

    w->n = (size_t) (t->p - w->p);

    return w->n != 0;
}


/* After "=": a token, quoted or not. */
static int
wrt_deflate_value(wrt_deflate_text_t *t, wrt_deflate_word_t *w)
{
    if (t->p < t->end && *t->p == '"') {
        t->p++;

        if (!wrt_deflate_word(t, w) || t->p == t->end || *t->p != '"') {
            return 0;
        }

        t->p++;
        return 1;
    }

    return wrt_deflate_word(t, w);
}


static int
wrt_deflate_is(const wrt_deflate_word_t *w, const char *name)
{
    return w->n == strlen(name) && memcmp(w->p, name, w->n) == 0;
}


/* 8 to 15, without leading zeros; else 0. */
static unsigned
wrt_deflate_bits(const wrt_deflate_word_t *w)
{
    if (w->n == 1 && (w->p[0] == '8' || w->p[0] == '9')) {
        return (unsigned) (w->p[0] - '0');
    }

    if (w->n == 2 && w->p[0] == '1' && w->p[1] >= '0' && w->p[1] <= '5') {
        return 10 + (unsigned) (w->p[1] - '0');
    }

    return 0;
}


/* One parameter of an offer, value.n 0 without one.  0: it spoils the offer.
 * *seen has a bit for each that was there. */
static int
wrt_deflate_param(const wrt_deflate_word_t *name,
    const wrt_deflate_word_t *value, unsigned *seen, wrt_deflate_agreed_t *a)
{
    size_t    i;
    unsigned  bits;

    static const char *const  names[] = {
        "server_no_context_takeover", "client_no_context_takeover",
        "server_max_window_bits", "client_max_window_bits"
    };

    for (i = 0; i < 4 && !wrt_deflate_is(name, names[i]); i++) {
        /* void */
    }

    if (i == 4 || (*seen & 1u << i)) {
        return 0;
    }

    *seen |= 1u << i;

    if (i == 0) {
        a->takeover = 0;
    }

    if (i < 2) {
        return value->n == 0;
    }

    bits = wrt_deflate_bits(value);

    if (i == 3) {
        /* whatever it is, we read it */
        return value->n == 0 || bits != 0;
    }

    if (bits < WRT_DEFLATE_WINDOW_SMALL) {
        return 0;
    }

    a->asked = 1;

    if (bits < WRT_DEFLATE_WINDOW) {
        /* what it keeps is hardly a message */
        a->window = WRT_DEFLATE_WINDOW_SMALL;
        a->takeover = 0;
    }

    return 1;
}


int
wrt_deflate_offer(const char *p, size_t n, wrt_deflate_agreed_t *a)
{
    int                 ok;
    unsigned            seen;
    wrt_deflate_text_t  t;
    wrt_deflate_word_t  name, value;

    t.p = p;
    t.end = p + n;

    a->window = 0;
    a->asked = 0;
    a->takeover = 0;

    for ( ;; ) {

        /* a list may have empty places */
        wrt_deflate_blanks(&t);

        if (wrt_deflate_next(&t, ',')) {
            continue;
        }

        if (!wrt_deflate_word(&t, &name)) {
            return 0;
        }

        ok = wrt_deflate_is(&name, "permessage-deflate");
        a->window = WRT_DEFLATE_WINDOW;
        a->asked = 0;
        a->takeover = 1;
        seen = 0;

        while (wrt_deflate_next(&t, ';')) {

            value.p = "";
            value.n = 0;

            if (!wrt_deflate_word(&t, &name)
                || (wrt_deflate_next(&t, '=')
                    && !wrt_deflate_value(&t, &value)))
            {
                a->window = 0;
                return 0;
            }

            ok = ok && wrt_deflate_param(&name, &value, &seen, a);
        }

        if (t.p < t.end && *t.p != ',') {
            a->window = 0;
            return 0;
        }

        if (ok) {
            return 1;
        }

        a->window = 0;
    }
}


size_t
wrt_deflate_answer(const wrt_deflate_agreed_t *a,
    char out[WRT_DEFLATE_ANSWER_MAX])
{
    size_t  n;

    static const char  answer[] = "permessage-deflate; "
                                  "client_no_context_takeover",
                       alone[] = "; server_no_context_takeover",
                       bits[] = "; server_max_window_bits=";

    n = sizeof(answer) - 1;
    memcpy(out, answer, n);

    if (!a->takeover) {
        memcpy(out + n, alone, sizeof(alone) - 1);
        n += sizeof(alone) - 1;
    }

    if (a->asked) {
        memcpy(out + n, bits, sizeof(bits) - 1);
        n += sizeof(bits) - 1;

        if (a->window >= 10) {
            out[n++] = '1';
        }

        out[n++] = (char) ('0' + a->window % 10);
    }

    out[n] = '\0';

    return n;
}


/* -- messages -- */

wrt_deflate_t *
wrt_deflate_create(void)
{
    return calloc(1, sizeof(wrt_deflate_t));
}


void
wrt_deflate_free(wrt_deflate_t *d)
{
    int  i;

    if (d == NULL) {
        return;
    }

    if (d->in_ready) {
        (void) inflateEnd(&d->in);
    }

    for (i = 0; i < 2; i++) {
        if (d->out_ready[i]) {
            (void) deflateEnd(&d->out[i]);
        }
    }

    free(d);
}


static int
wrt_deflate_inflate_begin(wrt_deflate_t *d)
{
    if (d->in_ready) {
        return inflateReset(&d->in);
    }

    memset(&d->in, 0, sizeof(z_stream));

    if (inflateInit2(&d->in, -WRT_DEFLATE_WINDOW) != Z_OK) {
        return Z_MEM_ERROR;
    }

    d->in_ready = 1;

    return Z_OK;
}


/* 0, or a close code; *end: there was a last block. */
static int
wrt_deflate_feed(z_stream *z, const uint8_t *p, size_t n, size_t rest,
    int *end)
{
    *end = 0;

    z->next_in = (Bytef *) (uintptr_t) p;
    z->avail_in = (uInt) n;

    switch (inflate(z, Z_SYNC_FLUSH)) {

    case Z_OK:
    case Z_BUF_ERROR:

        if (z->avail_out == 0) {
            return WRT_CLOSE_TOO_BIG;
        }

        return z->avail_in == 0 ? 0 : WRT_CLOSE_INVALID_DATA;

    case Z_STREAM_END:
        *end = 1;
        return z->avail_in <= rest ? 0 : WRT_CLOSE_INVALID_DATA;

    case Z_MEM_ERROR:
        return WRT_CLOSE_INTERNAL;

    default:
        return WRT_CLOSE_INVALID_DATA;
    }
}


int
wrt_deflate_inflate(wrt_deflate_t *d, const uint8_t *p, size_t n,
    uint8_t *out, size_t max, size_t *len)
{
    int  rc, end;

    if (n == 0) {
        /* the beginning of a block should be there, but some leave it out */
        *len = 0;
        return 0;
    }

    if (wrt_deflate_inflate_begin(d) != Z_OK) {
        return WRT_CLOSE_INTERNAL;
    }

    /* one byte more than may be: when it is written, it is too much */

    d->in.next_out = out;
    d->in.avail_out = (uInt) max + 1;

    /* after a last block (section 7.2.3.4) comes only what begins the empty
     * one whose end is left out */

    rc = wrt_deflate_feed(&d->in, p, n, 1, &end);

    if (rc == 0 && !end) {
        rc = wrt_deflate_feed(&d->in, wrt_deflate_tail,
                              sizeof(wrt_deflate_tail), 0, &end);

        if (rc == 0 && !end && !(d->in.data_type & WRT_DEFLATE_BLOCK_END)) {
            rc = WRT_CLOSE_INVALID_DATA;
        }
    }

    *len = (size_t) d->in.total_out;

    return rc == 0 && *len > max ? WRT_CLOSE_TOO_BIG : rc;
}


size_t
wrt_deflate_compress(wrt_deflate_t *d, unsigned window, const uint8_t *base,
    size_t base_n, const uint8_t *p, size_t n, uint8_t *out, size_t max)
{
    int        small;
    size_t     len;
    z_stream  *z;

    if (n == 0) {
        return 0;
    }

    small = window < WRT_DEFLATE_WINDOW;
    z = &d->out[small];

    if (d->out_ready[small]) {
        (void) deflateReset(z);

    } else {
        memset(z, 0, sizeof(z_stream));

        if (deflateInit2(z, WRT_DEFLATE_LEVEL, Z_DEFLATED,
                         small ? -WRT_DEFLATE_WINDOW_SMALL
                               : -WRT_DEFLATE_WINDOW,
                         WRT_DEFLATE_MEMORY, Z_DEFAULT_STRATEGY)
            != Z_OK)
        {
            return 0;
        }

        d->out_ready[small] = 1;
    }

    if (base_n != 0
        && deflateSetDictionary(z, (const Bytef *) base, (uInt) base_n)
           != Z_OK)
    {
        return 0;
    }

    z->next_in = (Bytef *) (uintptr_t) p;
    z->avail_in = (uInt) n;
    z->next_out = out;
    z->avail_out = (uInt) max;

    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_out == 0) {
        return 0;
    }

    len = max - z->avail_out;

    return len > sizeof(wrt_deflate_tail)
           && memcmp(out + len - sizeof(wrt_deflate_tail), wrt_deflate_tail,
                     sizeof(wrt_deflate_tail)) == 0
           ? len - sizeof(wrt_deflate_tail) : 0;
}
