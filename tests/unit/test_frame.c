/*
 * test_frame.c: the WebSocket codec, rule by rule.
 *
 * Without it a frame that RFC 6455 forbids could get in, a length could be
 * misread (and with it everything that follows on the connection), or a
 * browser could be cut off for something that is allowed.  One case at least
 * per rule of sections 5.2 to 5.5 and 7.4, exhaustive where that is cheap.
 * test_frame_wslay.c compares whole streams with another implementation.
 */

#include "tests/unit/unit.h"

#include "common/wrt_frame.h"
#include "tests/unit/wire.h"


/* Section 5.2 as a predicate on the first two bytes: 1 good so far. */
static int
first_two_good(unsigned b0, unsigned b1, int deflate)
{
    unsigned  opcode = b0 & 15;
    int       fin = b0 >> 7, rsv1 = b0 >> 6 & 1;

    if (b0 & 0x30) {
        return 0;       /* RSV2, RSV3: no extension uses them */
    }

    if (rsv1 && !(deflate && (opcode == 1 || opcode == 2))) {
        return 0;
    }

    if ((opcode >= 3 && opcode <= 7) || opcode >= 11) {
        return 0;       /* reserved opcodes */
    }

    if (opcode >= 8 && (!fin || (b1 & 127) > 125)) {
        return 0;       /* 5.5: control frames whole and short */
    }

    return b1 >> 7;     /* 5.1: clients mask */
}


static void
every_first_two_bytes(void **state)
{
    int           deflate, rc, want;
    uint8_t       b[14], *p;
    unsigned      b0, b1;
    wrt_frame_t   f;

    (void) state;

    for (deflate = 0; deflate <= 1; deflate++) {
        for (b0 = 0; b0 < 256; b0++) {
            for (b1 = 0; b1 < 256; b1++) {
                b[0] = (uint8_t) b0;
                b[1] = (uint8_t) b1;
                /* good as a 16 and as a 64 bit length */
                memcpy(b + 2, "\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF" "abcd", 12);

                want = !first_two_good(b0, b1, deflate) ? -1002
                       : (b1 & 127) == 126 ? 8
                       : (b1 & 127) == 127 ? 14 : 6;

                p = (uint8_t *) unit_edge(b, 14);
                rc = wrt_frame_parse(&f, p, 14, deflate);

                if (rc != want) {
                    fail_msg("%02x %02x deflate %d: %d, not %d", b0, b1,
                             deflate, rc, want);
                }

                /* as soon as they are there */
                p = (uint8_t *) unit_edge(b, 2);
                assert_int_equal(wrt_frame_parse(&f, p, 2, deflate),
                                 want < 0 ? -1002 : 0);

                if (rc < 0) {
                    continue;
                }

                assert_int_equal(wrt_frame_parse(&f, b, 14, deflate), want);
                assert_int_equal(f.opcode, b0 & 15);
                assert_int_equal(f.fin, b0 >> 7);
                assert_int_equal(f.rsv1, b0 >> 6 & 1);
                assert_int_equal(f.header_len, want);
                assert_true(f.len == (want == 6 ? (b1 & 127u)
                            : want == 8 ? 255 : UINT64_C(0xFFFFFFFFFFFFFF)));
                assert_memory_equal(f.mask, b + want - 4, 4);
            }
        }
    }
}


/* A header with the length written in a given width: 7, 16 or 64 bits. */
static size_t
header(uint8_t *out, unsigned b0, int width, uint64_t len)
{
    size_t  n, i;

    n = width == 7 ? 0 : width == 16 ? 2 : 8;
    out[0] = (uint8_t) b0;
    out[1] = (uint8_t) (0x80 | (n == 0 ? len : n == 2 ? 126 : 127));

    for (i = 0; i < n; i++) {
        out[2 + i] = (uint8_t) (len >> 8 * (n - 1 - i));
    }

    memcpy(out + 2 + n, "\x11\x22\x33\x44", 4);

    return 2 + n + 4;
}


static void
lengths(void **state)
{
    int          rc;
    size_t       i, n, k;
    uint8_t      b[14], *p;
    wrt_frame_t  f;

    static const struct {
        int       width;
        uint64_t  len;
        int       good;
    } t[] = {
        { 7, 0, 1 }, { 7, 1, 1 }, { 7, 124, 1 }, { 7, 125, 1 },
        { 16, 0, 0 }, { 16, 1, 0 }, { 16, 125, 0 }, { 16, 126, 1 },
        { 16, 127, 1 }, { 16, 255, 1 }, { 16, 256, 1 }, { 16, 65534, 1 },
        { 16, 65535, 1 },
        { 64, 0, 0 }, { 64, 125, 0 }, { 64, 126, 0 }, { 64, 65535, 0 },
        { 64, 65536, 1 }, { 64, 65537, 1 }, { 64, UINT64_C(1) << 31, 1 },
        { 64, UINT32_MAX, 1 }, { 64, UINT64_C(1) << 32, 1 },
        { 64, INT64_MAX, 1 }, { 64, UINT64_C(1) << 63, 0 },
        { 64, UINT64_MAX, 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        n = header(b, 0x82, t[i].width, t[i].len);
        p = (uint8_t *) unit_edge(b, n);
        rc = wrt_frame_parse(&f, p, n, 0);
        assert_int_equal(rc, t[i].good ? (int) n : -1002);

        if (t[i].good) {
            assert_true(f.len == t[i].len);
        }

        /* no byte less is enough, and a bad length is never asked for more
         * than its own bytes */
        for (k = 0; k < n; k++) {
            p = (uint8_t *) unit_edge(b, k);
            rc = wrt_frame_parse(&f, p, k, 0);

            if (t[i].good || k < 3) {
                assert_int_equal(rc, 0);

            } else if (k >= n - 4) {
                assert_int_equal(rc, -1002);
            }
        }
    }

    /* the top bit is seen in the third byte */
    header(b, 0x82, 64, UINT64_C(1) << 63);
    assert_int_equal(wrt_frame_parse(&f, b, 3, 0), -1002);

    /* a bad first byte needs no second */
    assert_int_equal(wrt_frame_parse(&f, (const uint8_t *) "\x83", 1, 0),
                     -1002);
    assert_int_equal(wrt_frame_parse(&f, (const uint8_t *) "\x09", 1, 0),
                     -1002);
    assert_int_equal(wrt_frame_parse(&f, (const uint8_t *) "\xC1", 1, 0),
                     -1002);
    assert_int_equal(wrt_frame_parse(&f, (const uint8_t *) "\xC1", 1, 1), 0);
    assert_int_equal(wrt_frame_parse(&f, NULL, 0, 0), 0);
}


/* 5.3, byte by byte; nothing around the payload is touched. */
static void
unmasking(void **state)
{
    size_t    n, at, i;
    uint8_t   in[128], out[128];
    uint64_t  off, seed;

    const uint8_t  mask[4] = { 0x37, 0xFA, 0x21, 0x3D };

    (void) state;

    seed = unit_seed();

    for (at = 0; at < 16; at++) {
        for (n = 0; n <= 100; n++) {
            for (off = 0; off < 8; off++) {
                for (i = 0; i < sizeof(in); i++) {
                    in[i] = out[i] = (uint8_t) unit_random(&seed);
                }

                wrt_frame_unmask(out + at, n, mask,
                                 off < 7 ? off : UINT64_C(0x7FFFFFFFFFFFFFF1));

                for (i = 0; i < sizeof(in); i++) {
                    if (i >= at && i < at + n) {
                        in[i] ^= mask[((off < 7 ? off : 1) + i - at) & 3];
                    }
                }

                assert_memory_equal(in, out, sizeof(in));
            }
        }
    }

    wrt_frame_unmask(NULL, 0, mask, 3);
}


/* The examples of section 5.7 that a client may send. */
static void
examples_of_the_rfc(void **state)
{
    wire_t  w;

    (void) state;

    wire_init(&w, 0, 1000);
    wire_feed(&w, (const uint8_t *) "\x81\x85\x37\xFA\x21\x3D"
                  "\x7F\x9F\x4D\x51\x58", 11);
    wire_feed(&w, (const uint8_t *) "\x89\x85\x37\xFA\x21\x3D"
                  "\x7F\x9F\x4D\x51\x58", 11);
    assert_int_equal(w.verdict, WIRE_OPEN);
    assert_int_equal(w.log.n, 22);
    assert_memory_equal(w.log.p, "\1\0\0\0\0\5Hello\x9\0\0\0\0\5Hello", 22);
    wire_free(&w);
}


/* 5.4: frames in order, by their first byte and length, and how it ends. */
static void
fragmentation(void **state)
{
    size_t               i, j;
    int                  rc;
    wrt_frame_t          f;
    wrt_message_state_t  st;

    enum { F = 0x80, Z = 0x40, MAX = 100 };

    static const struct {
        struct {
            unsigned  b0;
            uint64_t  len;
        } frames[6];
        size_t  n;
        int     want;
    } t[] = {
        { { { F | 1, 100 } }, 1, 0 },
        { { { F | 1, 101 } }, 1, 1009 },
        { { { F | 2, UINT64_MAX } }, 1, 1009 },
        { { { F | 0, 1 } }, 1, 1002 },
        { { { 0, 0 } }, 1, 1002 },
        { { { 1, 5 }, { 0, 5 }, { F | 0, 5 } }, 3, 0 },
        { { { 1, 5 }, { F | 1, 5 } }, 2, 1002 },
        { { { 2, 5 }, { F | 1, 5 } }, 2, 1002 },
        { { { 1, 5 }, { 2, 0 } }, 2, 1002 },
        { { { 1, 5 }, { F | 0, 5 }, { F | 0, 5 } }, 3, 1002 },
        { { { 1, 5 }, { F | 0, 5 }, { F | 1, 5 }, { 2, 0 }, { F, 0 } }, 5,
          0 },
        /* control frames in between, and they do not count */
        { { { 1, 90 }, { F | 9, 125 }, { F | 10, 125 }, { F | 8, 125 },
            { F | 0, 10 } }, 5, 0 },
        { { { F | 9, 125 }, { F | 0, 0 } }, 2, 1002 },
        /* the sum, also where adding would wrap */
        { { { 1, 60 }, { 0, 40 }, { F | 0, 0 } }, 3, 0 },
        { { { 1, 60 }, { 0, 41 } }, 2, 1009 },
        { { { 1, 60 }, { 0, UINT64_MAX - 10 } }, 2, 1009 },
        { { { 1, 0 }, { 0, 0 }, { 0, 0 }, { 0, 100 }, { 0, 0 },
            { F | 0, 1 } }, 6, 1009 },
        /* protocol first: a client that is both wrong and long is told so */
        { { { F | 0, 1000 } }, 1, 1002 },
        /* RSV1 on the first frame only */
        { { { Z | 1, 5 }, { F | 0, 5 } }, 2, 0 },
        { { { F | Z | 2, 5 } }, 1, 0 },
        { { { Z | 1, 5 }, { F | Z | 0, 5 } }, 2, 1002 },
        { { { 1, 5 }, { F | Z | 0, 5 } }, 2, 1002 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        memset(&st, 0, sizeof(st));
        memset(&f, 0, sizeof(f));

        for (j = 0, rc = 0; j < t[i].n; j++) {
            assert_int_equal(rc, 0);
            f.opcode = t[i].frames[j].b0 & 15;
            f.fin = t[i].frames[j].b0 >> 7;
            f.rsv1 = t[i].frames[j].b0 >> 6 & 1;
            f.len = t[i].frames[j].len;

            rc = wrt_message_admit(&st, &f, MAX);

            if (rc == 0 && f.opcode < 8) {
                assert_true(st.opcode != 0 && st.len <= MAX);

                if (f.opcode) {
                    assert_int_equal(st.opcode, f.opcode);
                    assert_int_equal(st.compressed, f.rsv1);
                }

                if (f.fin) {
                    wrt_message_done(&st);
                    assert_int_equal(st.opcode, 0);
                    assert_true(st.len == 0 && st.compressed == 0);
                }
            }
        }

        if (rc != t[i].want) {
            fail_msg("case %zu: %d, not %d", i, rc, t[i].want);
        }
    }

    /* a limit that became smaller (reload) under way */
    memset(&st, 0, sizeof(st));
    memset(&f, 0, sizeof(f));
    f.opcode = 1;
    f.len = 50;
    assert_int_equal(wrt_message_admit(&st, &f, 100), 0);
    f.opcode = 0;
    f.len = 0;
    assert_int_equal(wrt_message_admit(&st, &f, 40), 1009);
}


static void
server_headers(void **state)
{
    size_t   i, n;
    uint8_t  out[WRT_FRAME_SERVER_HEADER_MAX];

    static const struct {
        unsigned     opcode;
        int          rsv1;
        uint64_t     len;
        const char  *want;
        size_t       n;
    } t[] = {
        { 1, 0, 0, "\x81\0", 2 },
        { 2, 0, 125, "\x82\x7D", 2 },
        { 1, 1, 126, "\xC1\x7E\0\x7E", 4 },
        { 1, 0, 256, "\x81\x7E\1\0", 4 },
        { 1, 0, 65535, "\x81\x7E\xFF\xFF", 4 },
        { 1, 0, 65536, "\x81\x7F\0\0\0\0\0\1\0\0", 10 },
        { 2, 1, INT64_MAX, "\xC2\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10 },
        { 9, 0, 4, "\x89\4", 2 },
        { 10, 0, 125, "\x8A\x7D", 2 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        n = wrt_frame_header(out, t[i].opcode, t[i].rsv1, t[i].len);
        assert_int_equal(n, t[i].n);
        assert_memory_equal(out, t[i].want, n);
        assert_int_equal(wrt_frame_header_len(out[1]), n);
    }
}


/* 7.4.1 and 7.4.2, every number. */
static void
close_codes(void **state)
{
    int       good, rc;
    uint8_t   b[2];
    unsigned  c, code;

    (void) state;

    for (c = 0; c <= 65535; c++) {
        good = c == 1000 || c == 1001 || c == 1002 || c == 1003 || c == 1007
               || c == 1008 || c == 1009 || c == 1010 || c == 1011
               || c == 1012 || c == 1013 || c == 1014
               || (c >= 3000 && c <= 4999);

        assert_int_equal(wrt_close_code_valid(c), good);

        b[0] = (uint8_t) (c >> 8);
        b[1] = (uint8_t) c;
        rc = wrt_close_parse(b, 2, &code);
        assert_int_equal(rc, good ? 0 : 1002);
        assert_int_equal(code, c);
    }

    assert_false(wrt_close_code_valid(65536 + 1000));
    assert_false(wrt_close_code_valid(UINT32_MAX));
}


static void
close_payloads(void **state)
{
    uint8_t   b[125];
    unsigned  code;

    (void) state;

    assert_int_equal(wrt_close_parse(NULL, 0, &code), 0);
    assert_int_equal(code, WRT_CLOSE_NO_STATUS);
    assert_int_equal(wrt_close_parse((const uint8_t *) "\3", 1, &code), 1002);

    memcpy(b, "\3\xE8", 2);
    memset(b + 2, 'r', 123);
    assert_int_equal(wrt_close_parse((uint8_t *) unit_edge(b, 125), 125,
                                     &code), 0);
    assert_int_equal(code, 1000);

    b[124] = 0xC3;
    assert_int_equal(wrt_close_parse(b, 125, &code), 1007);
    b[123] = 0xC3;
    b[124] = 0xA9;
    assert_int_equal(wrt_close_parse(b, 125, &code), 0);
    b[50] = 0xFF;
    assert_int_equal(wrt_close_parse(b, 125, &code), 1007);
}


static void
close_frames(void **state)
{
    char      reason[200];
    size_t    n, len;
    uint8_t   out[2 + 125];
    unsigned  code;

    (void) state;

    n = wrt_frame_close(out, 1001, "bye");
    assert_int_equal(n, 7);
    assert_memory_equal(out, "\x88\5\3\xE9" "bye", 7);

    n = wrt_frame_close(out, 1002, "x");
    assert_int_equal(n, 5);
    assert_memory_equal(out, "\x88\3\3\xEAx", 5);

    n = wrt_frame_close(out, 4408, "");
    assert_int_equal(n, 4);
    assert_memory_equal(out, "\x88\2\x11\x38", 4);

    n = wrt_frame_close(out, 1000, NULL);
    assert_int_equal(n, 4);

    /* not on the wire, or no code at all */
    static const unsigned  none[] = { 1005, 1006, 1015, 0, 999, 5000, 70000 };

    for (len = 0; len < UNIT_COUNT(none); len++) {
        n = wrt_frame_close(out, none[len], "x");
        assert_int_equal(n, 2);
        assert_memory_equal(out, "\x88\0", 2);
    }

    /* cut to 123 bytes, never inside a character: what we send we accept */
    for (len = 100; len < 150; len++) {
        memset(reason, 'a', len);
        strcpy(reason + len, "\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA9");

        n = wrt_frame_close(out, 1008, reason);
        assert_int_equal(out[1], n - 2);
        assert_true(n >= 2 + 2 + 120 || len < 120);
        assert_in_range(n, 4, 127);
        assert_int_equal(wrt_close_parse(out + 2, n - 2, &code), 0);
        assert_int_equal(code, 1008);
        assert_memory_equal(out + 4, reason, n - 4);
    }

    /* a reason that would make the peer fail us */
    n = wrt_frame_close(out, 1000, "\xFF");
    assert_int_equal(n, 4);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(every_first_two_bytes),
        cmocka_unit_test(lengths),
        cmocka_unit_test(unmasking),
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(fragmentation),
        cmocka_unit_test(server_headers),
        cmocka_unit_test(close_codes),
        cmocka_unit_test(close_payloads),
        cmocka_unit_test(close_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
