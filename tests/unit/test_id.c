/*
 * test_id.c: ids and times.
 *
 * Without it an id with a space or a colon could get into a Redis key or a
 * bus header and mean something else there, two messages could get the same
 * ObjectId, and a time could be off by a day once in a leap year: times are
 * computed by our own calendar here, so it is compared with the C library's.
 */

#define _GNU_SOURCE

#include "tests/unit/unit.h"

#include <stdio.h>
#include <time.h>

#include "common/wrt_id.h"


static void
ids(void **state)
{
    int     c;
    char    buf[WRT_ID_MAX + 1], one[3] = "a?b";
    size_t  n;

    (void) state;

    memset(buf, 'x', sizeof(buf));

    for (n = 0; n <= sizeof(buf); n++) {
        assert_int_equal(wrt_id_valid(unit_edge(buf, n), n),
                         n >= 1 && n <= 64);
    }

    for (c = 0; c < 256; c++) {
        one[1] = (char) c;
        assert_int_equal(wrt_id_valid(one, 3),
                         c != 0
                         && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz"
                                   "0123456789_-", c) != NULL);
    }

    assert_true(wrt_id_valid("test_conversation_1", 19));
    assert_true(wrt_id_valid("_", 1));
    assert_true(wrt_id_valid("--", 2));
    /* stands for nothing on the bus */
    assert_false(wrt_id_valid("-", 1));
    assert_false(wrt_id_valid(NULL, 0));
}


static void
hex(void **state)
{
    char  out[10];

    (void) state;

    memset(out, '?', sizeof(out));
    wrt_hex("\x00\x9f\xa0\xff", 4, out);
    assert_memory_equal(out, "009fa0ff\0?", 10);

    wrt_hex("x", 0, out);
    assert_string_equal(out, "");
}


static void
oid_layout(void **state)
{
    char            out[WRT_OID_LEN + 1];
    wrt_oid_gen_t   g;
    const uint8_t   seed[8] = { 1, 2, 3, 0xFE, 0xFF, 0xFF, 0xFF, 0xFE };

    (void) state;

    wrt_oid_init(&g, seed);

    wrt_oid_next(&g, 0x65A5421F, out);
    assert_string_equal(out, "65a5421f010203fefffffffe");
    wrt_oid_next(&g, 0x65A5421F, out);
    assert_string_equal(out, "65a5421f010203feffffffff");
    /* the counter wraps within its 24 bits */
    wrt_oid_next(&g, 0x65A54220, out);
    assert_string_equal(out, "65a54220010203feff000000");
    wrt_oid_next(&g, INT64_C(0x1FFFFFFFF), out);
    assert_string_equal(out, "ffffffff010203feff000001");
}


static int
compare_oids(const void *a, const void *b)
{
    return memcmp(a, b, WRT_OID_LEN);
}


static void
oids_differ(void **state)
{
    char           *all, out[WRT_OID_LEN + 1];
    size_t          i;
    wrt_oid_gen_t   a, b;

    enum { EACH = 100000 };

    (void) state;

    /* same second, two processes */
    wrt_oid_init(&a, (const uint8_t *) "01234567");
    wrt_oid_init(&b, (const uint8_t *) "01235567");

    all = malloc(2 * EACH * WRT_OID_LEN);
    assert_non_null(all);

    for (i = 0; i < 2 * EACH; i++) {
        wrt_oid_next(i & 1 ? &b : &a, 1700000000, out);
        assert_true(wrt_id_valid(out, WRT_OID_LEN));
        memcpy(all + i * WRT_OID_LEN, out, WRT_OID_LEN);
    }

    qsort(all, 2 * EACH, WRT_OID_LEN, compare_oids);

    for (i = 1; i < 2 * EACH; i++) {
        assert_memory_not_equal(all + (i - 1) * WRT_OID_LEN,
                                all + i * WRT_OID_LEN, WRT_OID_LEN);
    }

    free(all);
}


/* The C library's opinion. */
static void
format_libc(int64_t ms, char *out, size_t size)
{
    time_t     t;
    struct tm  tm;

    t = (time_t) (ms / 1000);
    assert_non_null(gmtime_r(&t, &tm));
    snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (int) (ms % 1000));
}


static void
check_time(int64_t ms)
{
    char     got[WRT_TIME_LEN + 1], want[128];
    int64_t  back;

    wrt_time_format(ms, got);
    format_libc(ms, want, sizeof(want));

    if (strcmp(got, want) != 0) {
        fail_msg("%lld: %s, not %s", (long long) ms, got, want);
    }

    assert_int_equal(wrt_time_parse(got, WRT_TIME_LEN, &back), 0);

    if (back != ms) {
        fail_msg("%s read as %lld", got, (long long) back);
    }
}


static void
times_agree_with_libc(void **state)
{
    int       i;
    int64_t   day;
    uint64_t  seed;

    (void) state;

    /* each day's first and last millisecond, 1970 to 2470 */
    for (day = 0; day < 365 * 500 + 121; day++) {
        check_time(day * 86400000);
        check_time(day * 86400000 + 86399999);
    }

    /* the borders of each minute of a day */
    for (i = 0; i < 1440; i++) {
        check_time(INT64_C(1705276800000) + i * 60000);
        check_time(INT64_C(1705276800000) + i * 60000 + 59999);
    }

    seed = unit_seed();

    for (i = 0; i < 200000; i++) {
        check_time((int64_t) unit_below(&seed, 253402300800000));
    }

    check_time(253402300799999);
}


static void
time_out_of_range(void **state)
{
    char  out[WRT_TIME_LEN + 1];

    (void) state;

    wrt_time_format(-1, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    wrt_time_format(INT64_MIN, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    wrt_time_format(253402300800000, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
    wrt_time_format(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}


static void
times_read(void **state)
{
    size_t   i;
    int64_t  ms;

    static const struct {
        const char  *text;
        int64_t      ms;
    } good[] = {
        { "2024-01-15T14:30:00.000Z",       1705329000000 },
        { "2024-01-15T14:30:00Z",           1705329000000 },
        { "2024-01-15T14:30:00",            1705329000000 },
        { "2024-01-15T14:30Z",              1705329000000 },
        { "2024-01-15T14:30",               1705329000000 },
        { "2024-01-15t14:30:00z",           1705329000000 },
        { "2024-01-15",                     1705276800000 },
        { "2024-01-15T14:30:00.5Z",         1705329000500 },
        { "2024-01-15T14:30:00.5",          1705329000500 },
        { "2024-01-15T14:30:00.05Z",        1705329000050 },
        { "2024-01-15T14:30:00.1239999Z",   1705329000123 },
        { "2024-01-15T14:30:00.000000000000000000001Z", 1705329000000 },
        { "2024-01-15T16:30:00+02:00",      1705329000000 },
        { "2024-01-15T07:00:00.000-07:30",  1705329000000 },
        { "2024-01-15T16:30+02:00",         1705329000000 },
        { "2024-01-15T14:30:00-00:00",      1705329000000 },
        { "1970-01-01T00:00:00Z",           0 },
        { "1969-12-31T23:59:59.999Z",       -1 },
        { "1970-01-01T00:00:00+00:01",      -60000 },
        { "0000-01-01",                     -62167219200000 },
        { "1600-02-29",                     -11670998400000 },
        { "2000-02-29",                     951782400000 },
        { "2016-12-31T23:59:60Z",           1483228800000 },
        { "9999-12-31T23:59:59.999Z",       253402300799999 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(good); i++) {
        ms = 12345;

        if (wrt_time_parse(unit_edge(good[i].text, strlen(good[i].text)),
                           strlen(good[i].text), &ms) != 0
            || ms != good[i].ms)
        {
            fail_msg("%s: %lld", good[i].text, (long long) ms);
        }
    }
}


static void
times_refused(void **state)
{
    size_t   i;
    int64_t  ms;

    static const char  *bad[] = {
        "", "2", "2024", "2024-01", "2024-1-15", "2024-01-1", "24-01-15",
        "2024-00-15", "2024-13-15", "2024-01-00", "2024-01-32", "2024-02-30",
        "2023-02-29", "1900-02-29", "2100-02-29", "2024-04-31", "2024/01/15",
        "2024-01-15Z", "2024-01-15+02:00", "2024-01-15T", "2024-01-15 14:30",
        "2024-01-15T14", "2024-01-15T14Z", "2024-01-15T14:", "2024-01-15T1:30",
        "2024-01-15T24:00:00Z", "2024-01-15T14:60:00Z", "2024-01-15T14:30:61Z",
        "2024-01-15T14:30:", "2024-01-15T14:30:0", "2024-01-15T14:30.5Z",
        "2024-01-15T14:30:00.Z", "2024-01-15T14:30:00.",
        "2024-01-15T14:30:00,5Z", "2024-01-15T14:30:00ZZ",
        "2024-01-15T14:30:00Z ", " 2024-01-15", "2024-01-15T14:30:00+",
        "2024-01-15T14:30:00+2", "2024-01-15T14:30:00+02",
        "2024-01-15T14:30:00+0200", "2024-01-15T14:30:00+02:",
        "2024-01-15T14:30:00+24:00", "2024-01-15T14:30:00+02:60",
        "2024-01-15T14:30:00 02:00", "2024-01-15T14:30:00x02:00",
        "+024-01-15", "-024-01-15", "20240115", "1705329000000",
        "now", NULL
    };

    (void) state;

    for (i = 0; bad[i]; i++) {
        if (wrt_time_parse(unit_edge(bad[i], strlen(bad[i])), strlen(bad[i]),
                           &ms) != -1)
        {
            fail_msg("\"%s\" was read", bad[i]);
        }
    }

    assert_int_equal(wrt_time_parse("2024-01-15\0", 11, &ms), -1);
    assert_int_equal(wrt_time_parse(NULL, 0, &ms), -1);
}


/* Each day that there is, and none that there is not. */
static void
dates(void **state)
{
    int      i, month, day, there;
    char     text[32], back[WRT_TIME_LEN + 1];
    int64_t  ms;

    static const int  years[] = { 1970, 1999, 2000, 2023, 2024, 2100, 2400 };
    static const int  last[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                 31 };

    (void) state;

    for (i = 0; i < (int) UNIT_COUNT(years); i++) {
        for (month = 0; month <= 99; month++) {
            for (day = 0; day <= 99; day++) {
                there = month >= 1 && month <= 12 && day >= 1
                        && day <= last[month - 1];

                if (month == 2 && day == 29) {
                    there = years[i] == 2000 || years[i] == 2024
                            || years[i] == 2400;
                }

                snprintf(text, sizeof(text), "%04d-%02d-%02d", years[i],
                         month, day);

                if (wrt_time_parse(text, 10, &ms) != (there ? 0 : -1)) {
                    fail_msg("%s", text);
                }

                if (there) {
                    wrt_time_format(ms, back);
                    assert_memory_equal(text, back, 10);
                }
            }
        }
    }
}


/* Every prefix of a time, and every time with one byte changed: in bounds,
 * and never a time that is not the same when it is written. */
static void
times_damaged(void **state)
{
    int       c;
    char      buf[30];
    size_t    i, n;
    int64_t   ms;

    const char  *text = "2024-02-29T23:59:59.123+05:45";

    (void) state;

    n = strlen(text);

    for (i = 0; i <= n; i++) {
        (void) wrt_time_parse(unit_edge(text, i), i, &ms);
    }

    for (i = 0; i < n; i++) {
        for (c = 0; c < 256; c++) {
            memcpy(buf, text, n);
            buf[i] = (char) c;

            if (wrt_time_parse(unit_edge(buf, n), n, &ms) == 0) {
                /* digits are digits, and signs are signs */
                if (text[i] >= '0' && text[i] <= '9') {
                    assert_in_range(c, '0', '9');

                } else if (c != text[i]) {
                    assert_true((text[i] == 'T' && c == 't')
                                || (text[i] == '+' && c == '-'));
                }

                assert_true(ms >= -62167305600000 && ms < 253402387200000);

                if (ms >= 0 && ms <= 253402300799999) {
                    check_time(ms);
                }
            }
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(hex),
        cmocka_unit_test(oid_layout),
        cmocka_unit_test(oids_differ),
        cmocka_unit_test(times_agree_with_libc),
        cmocka_unit_test(time_out_of_range),
        cmocka_unit_test(times_read),
        cmocka_unit_test(times_refused),
        cmocka_unit_test(dates),
        cmocka_unit_test(times_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
