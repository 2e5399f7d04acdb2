/*
 * fuzz_deflate.c: any bytes as an offer of permessage-deflate, as a compressed
 * message, and as one to be compressed.
 *
 * What holds:
 *   - an offer that is met has a window of ours, and the answer to it is again
 *     an offer that is met, in the same way;
 *   - what zlib itself, used the plain way, inflates within the limit, comes
 *     out the same; more is refused with 1009, whatever it is, less never is;
 *   - nothing is written behind the limit;
 *   - what is compressed, inflated, is what it was, with the window agreed on,
 *     and after the message that it was compressed on.
 */

#include "tests/fuzz/fuzz.h"

#include <zlib.h>

#include "common/wrt_deflate.h"
#include "common/wrt_frame.h"

#define MAX    4096
#define PLAIN  (64 * 1024)


static void
check_offer(const char *p, size_t n)
{
    size_t                len;
    char                  answer[WRT_DEFLATE_ANSWER_MAX];
    wrt_deflate_agreed_t  a, again;

    if (!wrt_deflate_offer(p, n, &a)) {
        FUZZ_CHECK(a.window == 0);
        return;
    }

    FUZZ_CHECK(a.window == WRT_DEFLATE_WINDOW
               || (a.window == WRT_DEFLATE_WINDOW_SMALL && a.asked));

    len = wrt_deflate_answer(&a, answer);

    FUZZ_CHECK(len == strlen(answer) && len < sizeof(answer));
    FUZZ_CHECK(wrt_deflate_offer(answer, len, &again));
    FUZZ_CHECK(again.window == a.window && again.asked == a.asked
               && again.takeover == a.takeover);
}


/* Plain zlib, given message and tail in one.  How many bytes come out. */
static size_t
plain_inflate(const uint8_t *p, size_t n, uint8_t *out)
{
    size_t    len;
    uint8_t  *in;
    z_stream  z;

    in = malloc(n + 4);
    FUZZ_CHECK(in != NULL);
    memcpy(in, p, n);
    memcpy(in + n, "\0\0\xff\xff", 4);

    memset(&z, 0, sizeof(z));
    FUZZ_CHECK(inflateInit2(&z, -15) == Z_OK);

    z.next_in = in;
    z.avail_in = (uInt) n + 4;
    z.next_out = out;
    z.avail_out = PLAIN;

    (void) inflate(&z, Z_SYNC_FLUSH);

    len = z.total_out;
    (void) inflateEnd(&z);
    free(in);

    return len;
}


static void
check_inflate(wrt_deflate_t *d, const uint8_t *p, size_t n)
{
    int             rc;
    size_t          len, want;
    uint8_t        *out;
    static uint8_t  plain[PLAIN];

    /* its end is watched: one byte more than the limit is its own */
    out = malloc(MAX + 1);
    FUZZ_CHECK(out != NULL);

    rc = wrt_deflate_inflate(d, p, n, out, MAX, &len);
    want = n ? plain_inflate(p, n, plain) : 0;

    FUZZ_CHECK(rc == 0 || rc == WRT_CLOSE_TOO_BIG
               || rc == WRT_CLOSE_INVALID_DATA);
    FUZZ_CHECK(len <= MAX + 1);

    if (rc == 0) {
        FUZZ_CHECK(len <= MAX && len == want);
        FUZZ_CHECK(memcmp(out, plain, len) == 0);
    }

    FUZZ_CHECK(rc != WRT_CLOSE_TOO_BIG || want > MAX);
    FUZZ_CHECK(rc != WRT_CLOSE_INVALID_DATA || len <= MAX);

    free(out);
}


static void
check_compress(wrt_deflate_t *d, unsigned window, const uint8_t *p, size_t n)
{
    size_t    len, got;
    uint8_t  *z, *out;

    z = malloc(n ? n : 1);
    out = malloc(n + 1);
    FUZZ_CHECK(z != NULL && out != NULL);

    len = wrt_deflate_compress(d, window, NULL, 0, p, n, z, n);
    FUZZ_CHECK(len < n || len == 0);

    if (len) {
        FUZZ_CHECK(wrt_deflate_inflate(d, z, len, out, n, &got) == 0);
        FUZZ_CHECK(got == n && memcmp(out, p, n) == 0);
    }

    free(z);
    free(out);
}


/* The second half on the first, as who has read that one inflates it. */
static void
check_based(wrt_deflate_t *d, const uint8_t *p, size_t n)
{
    size_t    len, half;
    uint8_t  *out, *back;
    z_stream  z;

    half = n / 2;
    n -= half;

    out = malloc(n + 4);
    back = malloc(n + 1);
    FUZZ_CHECK(out != NULL && back != NULL);

    len = wrt_deflate_compress(d, WRT_DEFLATE_WINDOW, p, half, p + half, n,
                               out, n);
    FUZZ_CHECK(len < n || len == 0);

    if (len) {
        memcpy(out + len, "\0\0\xff\xff", 4);

        memset(&z, 0, sizeof(z));
        FUZZ_CHECK(inflateInit2(&z, -WRT_DEFLATE_WINDOW) == Z_OK);
        FUZZ_CHECK(half == 0
                   || inflateSetDictionary(&z, p, (uInt) half) == Z_OK);

        z.next_in = out;
        z.avail_in = (uInt) len + 4;
        z.next_out = back;
        z.avail_out = (uInt) n + 1;

        FUZZ_CHECK(inflate(&z, Z_SYNC_FLUSH) == Z_OK);
        FUZZ_CHECK(z.total_out == n && memcmp(back, p + half, n) == 0);
        (void) inflateEnd(&z);
    }

    free(out);
    free(back);
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char                  *text;
    static wrt_deflate_t  *d;

    if (n < 1) {
        return 0;
    }

    if (d == NULL) {
        d = wrt_deflate_create();
        FUZZ_CHECK(d != NULL);
    }

    text = malloc(n - 1 ? n - 1 : 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, p + 1, n - 1);

    switch (p[0] & 7) {

    case 0:
        check_offer(text, n - 1);
        break;

    case 1:
        check_inflate(d, (uint8_t *) text, n - 1);
        break;

    case 2:
        check_based(d, (uint8_t *) text, n - 1);
        break;

    default:
        check_compress(d, p[0] & 1 ? WRT_DEFLATE_WINDOW_SMALL
                                   : WRT_DEFLATE_WINDOW,
                       (uint8_t *) text, n - 1);
    }

    free(text);

    return 0;
}
