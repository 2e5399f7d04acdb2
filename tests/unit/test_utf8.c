/*
 * test_utf8.c: the UTF-8 check against the definition of UTF-8.
 *
 * Without it an overlong form or a surrogate could pass (and then break every
 * client that gets the message, or the database driver), valid text could
 * close a connection, or a check that works on whole strings could miss what
 * is cut between two reads.
 */

#include "tests/unit/unit.h"

#include "common/wrt_utf8.h"

#define CODE_MAX  0x10FFFF

/* Which 1, 2 and 3 bytes begin, and which are, encodings of code points:
 * filled by encoding them all. */
static uint8_t  begins1[1 << 8], begins2[1 << 16], begins3[1 << 24];
static uint8_t  whole1[1 << 8], whole2[1 << 16], whole3[1 << 24];


static size_t
encode(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t) c;
        return 1;
    }

    if (c < 0x800) {
        out[0] = (uint8_t) (0xC0 | c >> 6);
        out[1] = (uint8_t) (0x80 | (c & 63));
        return 2;
    }

    if (c < 0x10000) {
        out[0] = (uint8_t) (0xE0 | c >> 12);
        out[1] = (uint8_t) (0x80 | (c >> 6 & 63));
        out[2] = (uint8_t) (0x80 | (c & 63));
        return 3;
    }

    out[0] = (uint8_t) (0xF0 | c >> 18);
    out[1] = (uint8_t) (0x80 | (c >> 12 & 63));
    out[2] = (uint8_t) (0x80 | (c >> 6 & 63));
    out[3] = (uint8_t) (0x80 | (c & 63));

    return 4;
}


static int
fill_tables(void **state)
{
    size_t    n;
    uint8_t   b[4];
    uint32_t  c;

    (void) state;

    for (c = 0; c <= CODE_MAX; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }

        n = encode(b, c);

        if (n == 1) {
            whole1[b[0]] = 1;
            continue;
        }

        begins1[b[0]] = 1;

        if (n == 2) {
            whole2[b[0] << 8 | b[1]] = 1;
            continue;
        }

        begins2[b[0] << 8 | b[1]] = 1;

        if (n == 3) {
            whole3[b[0] << 16 | b[1] << 8 | b[2]] = 1;
            continue;
        }

        begins3[b[0] << 16 | b[1] << 8 | b[2]] = 1;
    }

    return 0;
}


/* How many bytes are good, by the tables; *done: ends between characters. */
static size_t
good_bytes(const uint8_t *p, size_t n, int *done)
{
    size_t    i, k;
    uint32_t  c;

    *done = 1;

    for (i = 0, k = 0, c = 0; i < n; i++) {
        c = c << 8 | p[i];
        k++;

        if ((k == 1 && whole1[c]) || (k == 2 && whole2[c])
            || (k == 3 && whole3[c])
            || (k == 4 && begins3[c >> 8] && (p[i] & 0xC0) == 0x80))
        {
            k = 0;
            c = 0;
            *done = 1;
            continue;
        }

        if (!((k == 1 && begins1[c]) || (k == 2 && begins2[c])
              || (k == 3 && begins3[c])))
        {
            break;
        }

        *done = 0;
    }

    return i;
}


/* Byte by byte and at once, against the tables. */
static void
check(const uint8_t *p, size_t n)
{
    int         done, rc;
    size_t      i, good;
    wrt_utf8_t  u;

    good = good_bytes(p, n, &done);

    u.state = 0;
    for (i = 0; i < n && wrt_utf8_feed(&u, p + i, 1) == 0; i++) { /* void */ }

    if (i != good || (i == n && wrt_utf8_done(&u) != done)) {
        fail_msg("%02x %02x %02x %02x: %zu bytes good, not %zu", p[0],
                 n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0, i,
                 good);
    }

    u.state = 0;
    rc = wrt_utf8_feed(&u, p, n);

    if (rc != (good == n ? 0 : -1)
        || wrt_utf8_valid(p, n) != (good == n && done))
    {
        fail_msg("%02x %02x %02x %02x: judged otherwise at once", p[0],
                 n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0);
    }
}


static void
all_short_sequences(void **state)
{
    uint8_t   b[4];
    uint32_t  c;

    (void) state;

    for (c = 0; c < 1 << 8; c++) {
        b[0] = (uint8_t) c;
        check(b, 1);
    }

    for (c = 0; c < 1 << 16; c++) {
        b[0] = (uint8_t) (c >> 8);
        b[1] = (uint8_t) c;
        check(b, 2);
    }

    for (c = 0; c < 1 << 24; c++) {
        b[0] = (uint8_t) (c >> 16);
        b[1] = (uint8_t) (c >> 8);
        b[2] = (uint8_t) c;
        check(b, 3);
    }
}


static void
all_four_byte_ends(void **state)
{
    int       i;
    uint8_t   b[4];
    uint32_t  c;

    (void) state;

    for (c = 0; c < 1 << 24; c++) {
        if (!begins3[c]) {
            continue;
        }

        b[0] = (uint8_t) (c >> 16);
        b[1] = (uint8_t) (c >> 8);
        b[2] = (uint8_t) c;

        for (i = 0; i < 256; i++) {
            b[3] = (uint8_t) i;
            check(b, 4);
        }
    }
}


static void
all_code_points(void **state)
{
    size_t    n;
    uint8_t   b[4];
    uint32_t  c;

    (void) state;

    for (c = 0; c <= 0x1FFFFF; c++) {
        n = encode(b, c);

        if (wrt_utf8_valid(b, n)
            != (c <= CODE_MAX && !(c >= 0xD800 && c <= 0xDFFF)))
        {
            fail_msg("U+%04X", c);
        }
    }
}


/* A long text: the fast path must stop for one bad byte wherever it is. */
static void
one_bad_byte_in_ascii(void **state)
{
    char             buf[80];
    size_t           n, i;
    const uint8_t   *p;

    (void) state;

    memset(buf, 'a', sizeof(buf));

    for (n = 1; n <= sizeof(buf); n++) {
        p = (const uint8_t *) unit_edge(buf, n);
        assert_true(wrt_utf8_valid(p, n));

        for (i = 0; i < n; i++) {
            buf[i] = (char) 0x80;
            p = (const uint8_t *) unit_edge(buf, n);

            if (wrt_utf8_valid(p, n)) {
                fail_msg("a bad byte at %zu of %zu passed", i, n);
            }

            buf[i] = 'a';
        }
    }
}


/* Random mixtures, whole and in two and more pieces. */
static void
random_text_in_pieces(void **state)
{
    int         done, rc, round;
    size_t      n, good, at, take;
    uint8_t     buf[256];
    uint32_t    c;
    uint64_t    seed;
    wrt_utf8_t  u;

    (void) state;

    seed = unit_seed();

    for (round = 0; round < 200000; round++) {
        for (n = 0; n < sizeof(buf) - 4; ) {
            c = (uint32_t) unit_below(&seed, 4);
            c = (uint32_t) unit_below(&seed, c == 0 ? CODE_MAX + 1
                                      : c == 1 ? 0x10000 : 0x80);
            n += encode(buf + n, c);

            if (unit_below(&seed, 60) == 0) {
                break;
            }
        }

        if (unit_below(&seed, 2)) {
            buf[unit_below(&seed, n)] ^= (uint8_t) (1 << unit_below(&seed, 8));
        }

        good = good_bytes(buf, n, &done);
        assert_int_equal(wrt_utf8_valid(buf, n), good == n && done);

        u.state = 0;
        rc = 0;

        for (at = 0; at < n && rc == 0; at += take) {
            take = 1 + unit_below(&seed, n - at);
            rc = wrt_utf8_feed(&u, (uint8_t *) unit_edge(buf + at, take),
                               take);
            /* fail fast: with the piece that holds the first bad byte */
            assert_int_equal(rc, at + take > good ? -1 : 0);
        }

        if (rc == 0) {
            assert_int_equal(wrt_utf8_done(&u), done);
        }
    }
}


static void
empty_text(void **state)
{
    wrt_utf8_t  u = { 0 };

    (void) state;

    assert_true(wrt_utf8_valid(NULL, 0));
    assert_int_equal(wrt_utf8_feed(&u, NULL, 0), 0);
    assert_true(wrt_utf8_done(&u));

    assert_int_equal(wrt_utf8_feed(&u, (const uint8_t *) "\xE2", 1), 0);
    assert_int_equal(wrt_utf8_feed(&u, NULL, 0), 0);
    assert_false(wrt_utf8_done(&u));
}


static void
cut(void **state)
{
    /* 1, 2, 3 and 4 bytes */
    const char     *text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
    size_t          max;
    const uint8_t  *p;

    static const size_t  want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11,
                                    11 };

    (void) state;

    p = (const uint8_t *) unit_edge(text, 11);

    for (max = 0; max < UNIT_COUNT(want); max++) {
        assert_int_equal(wrt_utf8_cut(p, 11, max), want[max]);
    }

    assert_int_equal(wrt_utf8_cut(NULL, 0, 0), 0);
    assert_int_equal(wrt_utf8_cut(NULL, 0, 5), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(all_short_sequences),
        cmocka_unit_test(all_four_byte_ends),
        cmocka_unit_test(all_code_points),
        cmocka_unit_test(one_bad_byte_in_ascii),
        cmocka_unit_test(random_text_in_pieces),
        cmocka_unit_test(empty_text),
        cmocka_unit_test(cut),
    };

    return cmocka_run_group_tests(tests, fill_tables, NULL);
}
