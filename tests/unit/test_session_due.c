/*
 * test_session_due.c: the day that words name, said on Monday 23 November
 * 2026, 09:00 in Jakarta.
 *
 * Without it "Jumat depan" could be this Friday, a week could begin on Sunday,
 * or what is said at 23:00 be counted from the day of London.
 */

#include "tests/unit/session_fixture.h"

#include "worker/session/session_internal.h"


/* "date=text"; "": no day. */
static const char *
due(const char *text, int64_t at)
{
    json_t         *doc;
    session_t      *s;
    const char     *line;
    session_due_t   d;
    static char     buf[256];
    char            with[256];

    snprintf(with, sizeof(with), "a:%s", text);
    line = with;
    doc = fixture_talk(&line, 1);
    s = fixture_open(doc);
    s->message[0].at = at;
    session_cut(s, &s->message[0]);
    buf[0] = '\0';

    if (session_due(s, 0, s->words.n, &d)) {
        snprintf(buf, sizeof(buf), "%s=%.*s", d.date,
                 (int) (s->words.word[d.from + d.n - 1].to
                        - s->words.word[d.from].from),
                 s->message[0].text + s->words.word[d.from].from);
    }

    session_close(s);
    json_decref(doc);

    return buf;
}


static void
days(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *due;
    } list[] = {
        { "kirim hari ini", "2026-11-23=hari ini" },
        { "besok", "2026-11-24=besok" },
        { "besok lusa", "2026-11-25=besok lusa" },
        { "tomorrow", "2026-11-24=tomorrow" },
        { "the day after tomorrow", "2026-11-25=the day after tomorrow" },
        { "Rabu pagi", "2026-11-25=Rabu" },
        { "hari Senin", "2026-11-30=hari Senin" },
        { "Monday", "2026-11-30=Monday" },
        { "Jum'at ini", "2026-11-27=Jum'at ini" },
        { "Jumat depan", "2026-12-04=Jumat depan" },
        { "next Friday", "2026-12-04=next Friday" },
        { "this Friday", "2026-11-27=this Friday" },
        { "hari Minggu", "2026-11-29=hari Minggu" },
        { "minggu ini", "2026-11-29=minggu ini" },
        { "minggu depan", "2026-12-06=minggu depan" },
        { "dua minggu lagi", "2026-12-07=dua minggu lagi" },
        { "dalam 3 hari", "2026-11-26=dalam 3 hari" },
        { "in two weeks", "2026-12-07=in two weeks" },
        { "within a week", "2026-11-30=within a week" },
        { "akhir bulan", "2026-11-30=akhir bulan" },
        { "bulan depan", "2026-12-31=bulan depan" },
        { "paling lambat tanggal 15", "2026-12-15=paling lambat tanggal 15" },
        { "tanggal 10 Januari", "2027-01-10=tanggal 10 Januari" },
        { "Kamis tanggal 3 Desember", "2026-12-03=Kamis tanggal 3 Desember" },
        { "tanggal 23", "2026-11-23=tanggal 23" },
        { "tanggal 31", "2026-12-31=tanggal 31" },
        { "7 Desember", "2026-12-07=7 Desember" },
        { "December 7", "2026-12-07=December 7" },
        { "by 5 January 2028", "2028-01-05=by 5 January 2028" },
        { "22 November", "2027-11-22=22 November" },
        { "29 Februari", "2028-02-29=29 Februari" },
        { "2026-12-07", "2026-12-07=2026-12-07" },
        { "Tuesday, December 1", "2026-12-01=Tuesday, December 1" },
        { "not later than Friday", "2026-11-27=not later than Friday" },

        { "satu minggu", "" },
        { "selama dua minggu", "" },
        { "30 Februari", "" },
        { "2026-13-01", "" },
        { "tanggal 32", "" },
        { "tahun 2019", "" },
        { "bab 3", "" },
        { "", "" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        if (strcmp(due(list[i].text, FIXTURE_MONDAY), list[i].due) != 0) {
            fail_msg("%s: \"%s\", not \"%s\"", list[i].text,
                     due(list[i].text, FIXTURE_MONDAY), list[i].due);
        }
    }
}


static void
local_day(void **state)
{
    (void) state;

    /* 23:30 in Jakarta, and half an hour later */
    assert_string_equal(due("besok", FIXTURE_MONDAY + 52200000),
                        "2026-11-24=besok");
    assert_string_equal(due("besok", FIXTURE_MONDAY + 54000000),
                        "2026-11-25=besok");

    /* the ends of time */
    assert_string_equal(due("hari ini", 0), "1970-01-01=hari ini");
    assert_string_equal(due("minggu depan", 253402300799000), "");
}


/* Every day of 60 years: weeks end on Sunday, and tomorrow is another day. */
static void
calendar(void **state)
{
    int          y, m, d, i;
    int64_t      at;

    static const int  length[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };
    char         want[64];

    (void) state;

    y = 2020;
    m = 1;
    d = 1;
    at = 1577836800000;         /* 2020-01-01 00:00 UTC: 07:00 there */

    for (i = 0; i < 60 * 365; i += 17) {
        snprintf(want, sizeof(want), "%04d-%02d-%02d=hari ini", y, m, d);
        assert_string_equal(due("hari ini", at + (int64_t) i * 86400000),
                            want);

        for (d += 17; d > length[m - 1] + (m == 2 && y % 4 == 0); ) {
            d -= length[m - 1] + (m == 2 && y % 4 == 0);
            y += m == 12;
            m = m == 12 ? 1 : m + 1;
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(days),
        cmocka_unit_test(local_day),
        cmocka_unit_test(calendar)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
