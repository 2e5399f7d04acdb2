/*
 * test_deflate.c: permessage-deflate, against zlib used the plain way.
 *
 * Without it an offer could be answered with something that was not in it, so
 * that browsers fail the connection; a few bytes could become more memory than
 * a message may have; or a message cut in the middle could be taken for whole.
 */

#include "tests/unit/unit.h"

#include <stdio.h>
#include <zlib.h>

#include "common/wrt_deflate.h"
#include "common/wrt_frame.h"

#define MAX  65536


static void
offers(void **state)
{
    size_t                i;
    wrt_deflate_agreed_t  a;

    /* window, asked, takeover */
    static const struct {
        const char  *value;
        unsigned     window, asked, takeover;
    } t[] = {
        { "permessage-deflate", 15, 0, 1 },
        { " \tpermessage-deflate\t", 15, 0, 1 },
        { "permessage-deflate; client_max_window_bits", 15, 0, 1 },
        { "permessage-deflate;client_max_window_bits=8", 15, 0, 1 },
        { "permessage-deflate; client_max_window_bits=\"15\"", 15, 0, 1 },
        { "permessage-deflate ; server_no_context_takeover ; "
          "client_no_context_takeover", 15, 0, 0 },
        { "permessage-deflate; client_no_context_takeover", 15, 0, 1 },
        { "permessage-deflate; server_no_context_takeover; odd, "
          "permessage-deflate", 15, 0, 1 },
        { "permessage-deflate; server_max_window_bits=15", 15, 1, 1 },
        { "permessage-deflate; server_max_window_bits = \"14\"", 9, 1, 0 },
        { "permessage-deflate; server_max_window_bits=9", 9, 1, 0 },
        { "x, permessage-deflate", 15, 0, 1 },
        { "x; y=1; z=\"2\", permessage-deflate", 15, 0, 1 },
        { ",, permessage-deflate", 15, 0, 1 },
        /* the first one that can be met */
        { "permessage-deflate; server_max_window_bits=8, "
          "permessage-deflate; server_max_window_bits=10, "
          "permessage-deflate", 9, 1, 0 },
        { "permessage-deflate; server_max_window_bits=12; odd, "
          "permessage-deflate", 15, 0, 1 },
        { "permessage-deflate, \"", 15, 0, 1 },

        { "", 0, 0, 0 },
        { "permessage-deflat", 0, 0, 0 },
        { "permessage-deflates", 0, 0, 0 },
        { "Permessage-Deflate", 0, 0, 0 },
        { "x-webkit-deflate-frame", 0, 0, 0 },
        { "permessage-deflate; server_max_window_bits=8", 0, 0, 0 },
        { "permessage-deflate; server_max_window_bits", 0, 0, 0 },
        { "permessage-deflate; server_max_window_bits=16", 0, 0, 0 },
        { "permessage-deflate; server_max_window_bits=09", 0, 0, 0 },
        { "permessage-deflate; server_max_window_bits=7", 0, 0, 0 },
        { "permessage-deflate; server_max_window_bits=150", 0, 0, 0 },
        { "permessage-deflate; client_max_window_bits=16", 0, 0, 0 },
        { "permessage-deflate; client_max_window_bits=x", 0, 0, 0 },
        { "permessage-deflate; server_no_context_takeover=1", 0, 0, 0 },
        { "permessage-deflate; client_no_context_takeover=true", 0, 0, 0 },
        { "permessage-deflate; client_max_window_bits; "
          "client_max_window_bits", 0, 0, 0 },
        { "permessage-deflate; server_no_context_takeover; "
          "server_no_context_takeover", 0, 0, 0 },
        { "permessage-deflate; unknown", 0, 0, 0 },
        /* malformed: nothing that follows counts */
        { "permessage-deflate;", 0, 0, 0 },
        { "permessage-deflate; =1", 0, 0, 0 },
        { "permessage-deflate; client_max_window_bits=", 0, 0, 0 },
        { "permessage-deflate; client_max_window_bits=\"15", 0, 0, 0 },
        { "permessage-deflate; client_max_window_bits=\"\"", 0, 0, 0 },
        { "permessage-deflate client_max_window_bits", 0, 0, 0 },
        { "permessage-deflate; \xC3\xA9", 0, 0, 0 },
        { "x=1, permessage-deflate", 0, 0, 0 },
        { "\"x\", permessage-deflate", 0, 0, 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        size_t  n = strlen(t[i].value);
        int     rc = wrt_deflate_offer(unit_edge(t[i].value, n), n, &a);

        if (rc != (t[i].window != 0) || a.window != t[i].window
            || (rc && (a.asked != t[i].asked || a.takeover != t[i].takeover)))
        {
            fail_msg("%s: %d, window %u, asked %u, takeover %u", t[i].value,
                     rc, a.window, a.asked, a.takeover);
        }
    }

    assert_int_equal(wrt_deflate_offer("permessage-deflate\0", 19, &a), 0);
}


static void
answers(void **state)
{
    size_t  i, n;
    char    out[WRT_DEFLATE_ANSWER_MAX];

    static const struct {
        wrt_deflate_agreed_t  a;
        const char           *rest;
    } t[] = {
        { { 15, 0, 1 }, "" },
        { { 15, 1, 1 }, "; server_max_window_bits=15" },
        { { 15, 0, 0 }, "; server_no_context_takeover" },
        { { 9, 1, 0 }, "; server_no_context_takeover"
                       "; server_max_window_bits=9" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        n = wrt_deflate_answer(&t[i].a, out);
        assert_int_equal(n, strlen(out));
        assert_memory_equal(out, "permessage-deflate; "
                            "client_no_context_takeover", 46);
        assert_string_equal(out + 46, t[i].rest);
    }
}


/* Plain zlib, as a peer would: raw DEFLATE of p with a flush, less its tail. */
static size_t
peer_deflate(const uint8_t *p, size_t n, int bits, int flush, uint8_t *out,
    size_t size)
{
    z_stream  z;
    size_t    len;

    memset(&z, 0, sizeof(z));
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -bits, 8,
                                  Z_DEFAULT_STRATEGY), Z_OK);

    z.next_in = (Bytef *) (uintptr_t) p;
    z.avail_in = (uInt) n;
    z.next_out = out;
    z.avail_out = (uInt) size;

    (void) deflate(&z, flush);
    assert_int_equal(z.avail_in, 0);
    assert_int_not_equal(z.avail_out, 0);
    len = size - z.avail_out;
    (void) deflateEnd(&z);

    return flush == Z_FINISH ? len : len - 4;
}


/* Plain zlib, with the window that was agreed on and no larger one. */
static size_t
peer_inflate(const uint8_t *p, size_t n, int bits, uint8_t *out, size_t size)
{
    int       rc;
    size_t    len;
    uint8_t   in[MAX + 1024];
    z_stream  z;

    memcpy(in, p, n);
    memcpy(in + n, "\0\0\xff\xff", 4);

    memset(&z, 0, sizeof(z));
    assert_int_equal(inflateInit2(&z, -bits), Z_OK);

    z.next_in = in;
    z.avail_in = (uInt) n + 4;
    z.next_out = out;
    z.avail_out = (uInt) size;

    rc = inflate(&z, Z_SYNC_FLUSH);
    assert_true(rc == Z_OK || rc == Z_BUF_ERROR);
    assert_int_equal(z.avail_in, 0);
    len = z.total_out;
    (void) inflateEnd(&z);

    return len;
}


static void
text(uint8_t *p, size_t n, uint64_t *seed)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        p[i] = (uint8_t) ("etaoin shrdlu{}\":"[unit_below(seed, 17)]);
    }
}


static void
round_trips(void **state)
{
    int             bits;
    size_t          i, n, len, got;
    uint64_t        seed;
    uint8_t        *p, *out, *back;
    wrt_deflate_t  *d;

    (void) state;

    seed = unit_seed();
    d = wrt_deflate_create();
    p = malloc(MAX);
    out = malloc(2 * MAX);
    back = malloc(2 * MAX);
    assert_true(d && p && out && back);

    for (i = 0; i < 400; i++) {
        n = 1 + unit_below(&seed, i % 8 ? 2000 : MAX - 1);
        bits = i & 1 ? WRT_DEFLATE_WINDOW : WRT_DEFLATE_WINDOW_SMALL;
        text(p, n, &seed);

        /* ours, with a window as agreed */
        len = wrt_deflate_compress(d, bits, NULL, 0, p, n, out, n);

        if (len != 0) {
            assert_true(len < n);
            assert_int_equal(peer_inflate(out, len, bits, back, 2 * MAX), n);
            assert_memory_equal(back, p, n);

        } else {
            assert_true(n < 200);
        }

        /* theirs */
        bits = 9 + (int) unit_below(&seed, 7);
        len = peer_deflate(p, n, bits, i % 3 ? Z_SYNC_FLUSH : Z_FULL_FLUSH,
                           out, 2 * MAX);
        assert_int_equal(wrt_deflate_inflate(d, out, len, back, n, &got), 0);
        assert_int_equal(got, n);
        assert_memory_equal(back, p, n);

        /* a byte less is allowed */
        assert_int_equal(wrt_deflate_inflate(d, out, len, back, n - 1, &got),
                         WRT_CLOSE_TOO_BIG);

        /* with a last block */
        len = peer_deflate(p, n, bits, Z_FINISH, out, 2 * MAX);
        out[len] = 0;
        assert_int_equal(wrt_deflate_inflate(d, out, len + 1, back, n, &got),
                         0);
        assert_int_equal(got, n);
        assert_memory_equal(back, p, n);
    }

    /* what does not get shorter stays as it is */
    for (i = 0; i < 1000; i++) {
        p[i] = (uint8_t) unit_random(&seed);
    }

    assert_int_equal(wrt_deflate_compress(d, 15, NULL, 0, p, 1000, out, 1000),
                     0);
    assert_int_equal(wrt_deflate_compress(d, 15, NULL, 0, p, 0, out, 1000), 0);

    free(p);
    free(out);
    free(back);
    wrt_deflate_free(d);
    wrt_deflate_free(NULL);
}


/* A peer that keeps its window reads what was compressed on the message before
 * and what was not, in any order; the former is less than half as long. */
static void
on_the_last(void **state)
{
    int             based;
    char            msg[2][600];
    size_t          i, n, len, last, alone, sum[2];
    uint8_t         out[600], back[600];
    uint64_t        seed;
    z_stream        z;
    wrt_deflate_t  *d;

    (void) state;

    seed = unit_seed();
    sum[0] = sum[1] = last = 0;
    d = wrt_deflate_create();
    assert_non_null(d);

    memset(&z, 0, sizeof(z));
    assert_int_equal(inflateInit2(&z, -15), Z_OK);

    for (i = 0; i < 500; i++) {
        n = (size_t) snprintf(msg[i & 1], sizeof(msg[0]),
                "{\"event\":\"message_received\",\"data\":{\"conversationId\":"
                "\"room-1\",\"seq\":%zu,\"message\":{\"_id\":\"%016llx\","
                "\"senderId\":\"student-%u\",\"content\":{\"text\":\"%08llx\"},"
                "\"status\":\"sent\",\"readBy\":[],\"reactions\":[]}}}", i,
                (unsigned long long) unit_random(&seed),
                (unsigned) unit_below(&seed, 20),
                (unsigned long long) unit_random(&seed) & 0xFFFFFFFF);
        assert_true(n < sizeof(msg[0]));

        alone = wrt_deflate_compress(d, 15, NULL, 0, (uint8_t *) msg[i & 1], n,
                                     out, n);
        assert_true(alone != 0);

        based = (i % 7 != 0);
        len = alone;

        if (based) {
            len = wrt_deflate_compress(d, 15, (uint8_t *) msg[~i & 1], last,
                                       (uint8_t *) msg[i & 1], n, out, n);
            assert_true(len != 0);

            sum[0] += alone;
            sum[1] += len;
        }

        memcpy(out + len, "\0\0\xff\xff", 4);

        z.next_in = out;
        z.avail_in = (uInt) len + 4;
        z.next_out = back;
        z.avail_out = sizeof(back);

        assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(z.avail_in, 0);
        assert_int_equal(sizeof(back) - z.avail_out, n);
        assert_memory_equal(back, msg[i & 1], n);

        last = n;
    }

    assert_true(2 * sum[1] < sum[0]);

    (void) inflateEnd(&z);
    wrt_deflate_free(d);
}


static void
empty(void **state)
{
    size_t          got;
    uint8_t         out[1];
    wrt_deflate_t  *d;

    (void) state;

    d = wrt_deflate_create();

    assert_int_equal(wrt_deflate_inflate(d, (uint8_t *) "\0", 1, out, 0,
                                         &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(wrt_deflate_inflate(d, (uint8_t *) "", 0, out, 0, &got),
                     0);
    assert_int_equal(got, 0);
    assert_int_equal(wrt_deflate_inflate(d, (uint8_t *) "\x03\0\0", 3, out,
                                         0, &got), 0);
    assert_int_equal(got, 0);

    wrt_deflate_free(d);
}


/* Nothing but a whole message is one. */

static void
damaged(void **state)
{
    int             rc;
    size_t          i, n, len, cut, got, whole;
    uint64_t        seed;
    uint8_t         p[3000], z[8192], out[3001];
    wrt_deflate_t  *d;

    (void) state;

    seed = unit_seed();
    d = wrt_deflate_create();
    whole = 0;

    for (i = 0; i < 200; i++) {
        n = 100 + unit_below(&seed, sizeof(p) - 100);
        text(p, n, &seed);
        len = peer_deflate(p, n, 15, Z_SYNC_FLUSH, z, sizeof(z));

        cut = unit_below(&seed, len - 2);
        rc = wrt_deflate_inflate(d, (uint8_t *) unit_edge(z, cut), cut, out,
                                 3000, &got);
        assert_true(rc == 0 || rc == WRT_CLOSE_INVALID_DATA);

        /* the tail can complete a block by chance, seldom */
        whole += (rc == 0 && cut != 0);
    }

    assert_true(whole < 10);

    /* data after the last block: 1007, and not what a proxy might see in it */
    len = peer_deflate(p, 100, 15, Z_FINISH, z, sizeof(z));
    memcpy(z + len, "\0\0\0", 3);
    assert_int_equal(wrt_deflate_inflate(d, z, len + 2, out, 3000, &got),
                     WRT_CLOSE_INVALID_DATA);

    /* a block type that does not exist, a distance before the beginning */
    assert_int_equal(wrt_deflate_inflate(d, (uint8_t *) "\x07", 1, out, 3000,
                                         &got), WRT_CLOSE_INVALID_DATA);
    assert_int_equal(wrt_deflate_inflate(d, (uint8_t *) "\x02\x06\0", 3, out,
                                         3000, &got),
                     WRT_CLOSE_INVALID_DATA);

    /* and the next message is read as if nothing had been */
    len = peer_deflate(p, 100, 15, Z_SYNC_FLUSH, z, sizeof(z));
    assert_int_equal(wrt_deflate_inflate(d, z, len, out, 3000, &got), 0);
    assert_int_equal(got, 100);
    assert_memory_equal(out, p, 100);

    wrt_deflate_free(d);
}


/* 64 KiB of zeros compressed a thousandfold, repeated: refused when the limit
 * is passed, whatever would come after. */

static void
bomb(void **state)
{
    size_t          len, got;
    uint8_t        *p, *z, *out;
    wrt_deflate_t  *d;

    (void) state;

    d = wrt_deflate_create();
    p = calloc(1, 32 * 1024 * 1024);
    z = malloc(MAX);
    out = malloc(MAX + 1);
    assert_true(d && p && z && out);

    len = peer_deflate(p, 32 * 1024 * 1024, 15, Z_SYNC_FLUSH, z, MAX);
    assert_true(len < 40000);

    assert_int_equal(wrt_deflate_inflate(d, z, len, out, MAX, &got),
                     WRT_CLOSE_TOO_BIG);
    assert_int_equal(got, MAX + 1);

    free(p);
    free(z);
    free(out);
    wrt_deflate_free(d);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers),
        cmocka_unit_test(answers),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(on_the_last),
        cmocka_unit_test(empty),
        cmocka_unit_test(damaged),
        cmocka_unit_test(bomb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
