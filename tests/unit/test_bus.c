/*
 * test_bus.c: the routing header of bus messages.
 *
 * Each nginx worker routes every event by this header alone, before anything
 * else looks at it.  Without this test a header that is a little off could
 * send an event to nobody, to its own sender, or read behind the message.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/wrt_bus.h"

#define ID_16  "aaaaaaaaaaaaaaaa"
#define ID_64  ID_16 ID_16 ID_16 ID_16


static int
parse(wrt_bus_header_t *h, const char *text)
{
    return wrt_bus_parse(h, unit_edge(text, strlen(text)), strlen(text));
}


static void
check_slice(wrt_slice_t s, const char *want)
{
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p, want, s.n);
}


static void
good(void **state)
{
    int               j;
    size_t            i;
    wrt_bus_header_t  h;

    static const struct {
        const char  *text;
        char         kind;
        const char  *f[3];
        int64_t      num[3];
        const char  *body;
    } t[] = {
        { "m 12 u1 -\n{\"event\":1}", 'm', { "12", "u1", "" },
          { 12, -1, -1 }, "{\"event\":1}" },
        { "j 13 u1 u2\n{}", 'j', { "13", "u1", "u2" }, { 13, -1, -1 }, "{}" },
        { "f 5 - -\n", 'f', { "5", "", "" }, { 5, -1, -1 }, "" },
        { "t 0 u1 -\n{}", 't', { "0", "u1", "" }, { 0, -1, -1 }, "{}" },
        { "j conv 0 -\n{}", 'j', { "conv", "0", "" }, { -1, 0, -1 }, "{}" },
        { "k - - -\n", 'k', { "", "", "" }, { -1, -1, -1 }, "" },
        { "R 65a5421f010203fefffffffe 201 -\n{}", 'R',
          { "65a5421f010203fefffffffe", "201", "" }, { -1, 201, -1 }, "{}" },
        { "R x 429 3\n", 'R', { "x", "429", "3" }, { -1, 429, 3 }, "" },
        { "R x 405 GET,PUT\n{}", 'R', { "x", "405", "GET,PUT" },
          { -1, 405, -1 }, "{}" },
        { "C 77 - -\n", 'C', { "77", "", "" }, { 77, -1, -1 }, "" },
        /* one line of several: the rest is the body */
        { "A c1 5 -\nA c2 6 -\n", 'A', { "c1", "5", "" }, { -1, 5, -1 },
          "A c2 6 -\n" },
        { "m 9007199254740992 u -\n", 'm', { "9007199254740992", "u", "" },
          { 9007199254740992, -1, -1 }, "" },
        /* not numbers: too big, signs, leading zeros, text */
        { "m 9007199254740993 -1 +1\n", 'm',
          { "9007199254740993", "-1", "+1" }, { -1, -1, -1 }, "" },
        { "m 99999999999999999999999999 007 1x\n", 'm',
          { "99999999999999999999999999", "007", "1x" }, { -1, -1, -1 }, "" },
        { "m -- -a 1.5\n\n", 'm', { "--", "-a", "1.5" }, { -1, -1, -1 },
          "\n" },
        { "m " ID_64 " " ID_64 " " ID_64 "\n", 'm', { ID_64, ID_64, ID_64 },
          { -1, -1, -1 }, "" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (parse(&h, t[i].text) != 0) {
            fail_msg("%s", t[i].text);
        }

        assert_int_equal(h.kind, t[i].kind);
        check_slice(h.body, t[i].body);

        for (j = 0; j < 3; j++) {
            check_slice(h.f[j], t[i].f[j]);
            assert_true(h.num[j] == t[i].num[j]);
        }
    }
}


/* Kinds are letters, any of them: a newer node may know more than we do. */
static void
kinds(void **state)
{
    int               c;
    char              text[] = "m 1 u -\n";
    wrt_bus_header_t  h;

    (void) state;

    for (c = 0; c < 256; c++) {
        text[0] = (char) c;

        assert_int_equal(wrt_bus_parse(&h, text, sizeof(text) - 1),
                         c && strchr("abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ", c)
                         ? 0 : -1);
    }
}


static void
bad(void **state)
{
    size_t            i;
    wrt_bus_header_t  h;

    static const char  *t[] = {
        "", "m", "m ", "m 1", "m 1 ", "m 1 u", "m 1 u ", "m 1 u -", "m 1 u -\r",
        "m 1 u -\r\n", "m 1 u - \n", "m 1 u\n", "m 1\n", "m\n", "m 1 u - -\n",
        " m 1 u -\n", "mm 1 u -\n", "m  1 u -\n", "m 1  u -\n", "m 1 u  -\n",
        "m\t1 u -\n", "m 1\tu -\n", "1 1 u -\n", "\n 1 u -\n", "- 1 u -\n",
        "{\"event\":\"x\"}", "m 1 u \n", "m  u -\n", "m 1\nu -\n",
        "m 1 u\x7F -\n", "m 1 " ID_64 "x -\n", "m " ID_64 "x u -\n",
        "m 1 u " ID_64 "x\n", NULL
    };

    (void) state;

    for (i = 0; t[i]; i++) {
        if (parse(&h, t[i]) != -1) {
            fail_msg("\"%s\" was read", t[i]);
        }
    }

    assert_int_equal(wrt_bus_parse(&h, "m 1 \0 -\nx", 9), -1);
    assert_int_equal(wrt_bus_parse(&h, NULL, 0), -1);
}


/* Each cut of a good message is good from the newline on and bad before. */
static void
every_cut(void **state)
{
    size_t            n, head;
    wrt_bus_header_t  h;

    const char  *text = "m 123 user-1 target_2\n{\"event\":\"x\",\"data\":{}}";

    (void) state;

    head = strcspn(text, "\n") + 1;

    for (n = 0; n <= strlen(text); n++) {
        assert_int_equal(wrt_bus_parse(&h, unit_edge(text, n), n),
                         n >= head ? 0 : -1);

        if (n >= head) {
            assert_int_equal(h.body.n, n - head);
        }
    }
}


/* What is accepted comes out again when it is written. */
static void
random_round_trip(void **state)
{
    int               i, j, good;
    char              buf[64], again[256];
    size_t            k, n, len;
    uint64_t          seed;
    wrt_bus_header_t  h;

    static const char  chars[] = "aZ09--  \n\n mu12";

    (void) state;

    seed = unit_seed();
    good = 0;

    for (i = 0; i < 500000; i++) {
        n = unit_below(&seed, 24);

        for (k = 0; k < n; k++) {
            buf[k] = chars[unit_below(&seed, sizeof(chars) - 1)];
        }

        if (n > 2 && unit_below(&seed, 2)) {
            buf[0] = 'm';
            buf[1] = ' ';
        }

        if (wrt_bus_parse(&h, unit_edge(buf, n), n) != 0) {
            continue;
        }

        good++;
        len = 1;
        again[0] = h.kind;

        for (j = 0; j < 3; j++) {
            len += (size_t) snprintf(again + len, sizeof(again) - len,
                                     " %.*s", h.f[j].n ? (int) h.f[j].n : 1,
                                     h.f[j].n ? h.f[j].p : "-");

            if (h.num[j] >= 0) {
                assert_true((int64_t) strtoll(h.f[j].p, NULL, 10)
                            == h.num[j]);
            }
        }

        again[len++] = '\n';
        memcpy(again + len, h.body.p, h.body.n);
        len += h.body.n;

        assert_int_equal(len, n);
        assert_memory_equal(again, buf, n);
    }

    /* the generator must have hit */
    assert_true(good > 1000);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(kinds),
        cmocka_unit_test(bad),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(random_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
