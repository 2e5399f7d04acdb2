/*
 * session_due.c: the day by which something is to be done, out of words.
 *
 * Counted from the local day of the message.  A span (this week, next month)
 * is its last day; weeks begin on Monday.  A weekday alone is the next one
 * after that day; with depan, next: the one of next week.  A date without a
 * year is the next one that is not past.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/session/session_internal.h"

#define DAY_MS  86400000

typedef struct {
    const char  *word;
    int          value;
} due_word_t;

/* Days from the message's own, or more: see span(). */
enum {
    WEEK_THIS = 1000,
    WEEK_NEXT,
    MONTH_THIS,
    MONTH_NEXT
};

static const due_word_t  phrases[] = {
    { "hari ini", 0 }, { "malam ini", 0 }, { "sore ini", 0 },
    { "siang ini", 0 }, { "pagi ini", 0 }, { "nanti malam", 0 },
    { "nanti sore", 0 }, { "today", 0 }, { "tonight", 0 },
    { "this afternoon", 0 }, { "this evening", 0 },
    { "the day after tomorrow", 2 }, { "besok lusa", 2 },
    { "besok", 1 }, { "tomorrow", 1 }, { "lusa", 2 },
    { "minggu ini", WEEK_THIS }, { "pekan ini", WEEK_THIS },
    { "akhir minggu", WEEK_THIS }, { "akhir pekan", WEEK_THIS },
    { "this week", WEEK_THIS }, { "this weekend", WEEK_THIS },
    { "the weekend", WEEK_THIS }, { "minggu depan", WEEK_NEXT },
    { "pekan depan", WEEK_NEXT }, { "next week", WEEK_NEXT },
    { "bulan ini", MONTH_THIS }, { "akhir bulan", MONTH_THIS },
    { "this month", MONTH_THIS }, { "bulan depan", MONTH_NEXT },
    { "next month", MONTH_NEXT }
};

/* Monday is 0 */
static const due_word_t  weekdays[] = {
    { "senin", 0 }, { "selasa", 1 }, { "rabu", 2 }, { "kamis", 3 },
    { "jumat", 4 }, { "sabtu", 5 }, { "hari minggu", 6 }, { "monday", 0 },
    { "tuesday", 1 }, { "wednesday", 2 }, { "thursday", 3 },
    { "friday", 4 }, { "saturday", 5 }, { "sunday", 6 }
};

static const due_word_t  months[] = {
    { "januari", 1 }, { "februari", 2 }, { "maret", 3 }, { "april", 4 },
    { "mei", 5 }, { "juni", 6 }, { "juli", 7 }, { "agustus", 8 },
    { "september", 9 }, { "oktober", 10 }, { "november", 11 },
    { "desember", 12 }, { "january", 1 }, { "february", 2 },
    { "march", 3 }, { "may", 5 }, { "june", 6 }, { "july", 7 },
    { "august", 8 }, { "october", 10 }, { "december", 12 }
};

static const due_word_t  numbers[] = {
    { "satu", 1 }, { "dua", 2 }, { "tiga", 3 }, { "empat", 4 },
    { "lima", 5 }, { "enam", 6 }, { "tujuh", 7 }, { "sepuluh", 10 },
    { "a", 1 }, { "one", 1 }, { "two", 2 }, { "three", 3 }, { "four", 4 },
    { "five", 5 }, { "six", 6 }, { "seven", 7 }, { "ten", 10 }
};

static const due_word_t  units[] = {
    { "hari", 1 }, { "minggu", 7 }, { "pekan", 7 }, { "day", 1 },
    { "days", 1 }, { "week", 7 }, { "weeks", 7 }
};

/* What may stand before a day and is shown with it. */
static const char  *before[] = {
    "paling", "lambat", "lama", "sebelum", "sampai", "hingga", "pada", "hari",
    "tanggal", "maksimal", "by", "before", "until", "on", "not", "later",
    "than", "at", "the", "latest"
};

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))


/* Days since 1970 of a day of the Gregorian calendar, and back (H. Hinnant's
 * algorithms). */
static int64_t
days_of(int64_t y, int m, int d)
{
    int64_t  era, yoe, doy;

    y -= m <= 2;
    era = y / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}


static void
date_of(int64_t days, int *y, int *m, int *d)
{
    int64_t  z, era, doe, yoe, doy, mp;

    z = days + 719468;
    era = z / 146097;
    doe = z - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;

    *d = (int) (doy - (153 * mp + 2) / 5 + 1);
    *m = (int) (mp < 10 ? mp + 3 : mp - 9);
    *y = (int) (yoe + era * 400 + (*m <= 2));
}


/* Is there such a day? */
static int
is_date(int y, int m, int d)
{
    int  yy, mm, dd;

    if (y < 1970 || y > 9999 || m < 1 || m > 12 || d < 1 || d > 31) {
        return 0;
    }

    date_of(days_of(y, m, d), &yy, &mm, &dd);

    return yy == y && mm == m && dd == d;
}


static int64_t
span(int64_t day, int what)
{
    int  y, m, d, more;

    switch (what) {

    case WEEK_THIS:
    case WEEK_NEXT:
        return day + 6 - (day + 3) % 7 + (what == WEEK_NEXT ? 7 : 0);

    case MONTH_THIS:
    case MONTH_NEXT:
        date_of(day, &y, &m, &d);
        more = m + (what == MONTH_NEXT ? 2 : 1);

        return days_of(y + (more > 12), more > 12 ? more - 12 : more, 1) - 1;

    default:
        return day + what;
    }
}


/* Which entry fits the words from i on?  Words used; 0: none. */
static size_t
look_up(const session_t *s, size_t i, size_t end, const due_word_t *list,
    size_t n, int *value)
{
    size_t  k, used;

    for (k = 0; k < n; k++) {
        used = session_fits(s, i, end, list[k].word);

        if (used) {
            *value = list[k].value;
            return used;
        }
    }

    return 0;
}


/* A number of at most four digits; -1: it is none. */
static int
digits(const session_t *s, size_t i, size_t end)
{
    size_t       n;
    const char  *word;

    if (i >= end) {
        return -1;
    }

    word = session_fold(s, i);
    n = strspn(word, "0123456789");

    return n >= 1 && n <= 4 && word[n] == '\0' ? atoi(word) : -1;
}


/* Rabu, Jumat depan, next Friday */
static size_t
weekday(const session_t *s, size_t i, size_t end, int64_t day, int64_t *out)
{
    int     next, want, now;
    size_t  lead, n;

    lead = session_fits(s, i, end, "next");
    next = lead > 0;
    lead += lead ? 0 : session_fits(s, i, end, "this");
    n = look_up(s, i + lead, end, weekdays, COUNT(weekdays), &want);

    if (n == 0) {
        return 0;
    }

    n += lead;

    if (session_fits(s, i + n, end, "depan")) {
        next = 1;
        n++;

    } else {
        n += session_fits(s, i + n, end, "ini");
    }

    now = (int) ((day + 3) % 7);

    if (next) {
        *out = day - now + 7 + want;

    } else {
        *out = day + (want > now ? want - now : want - now + 7);
    }

    return n;
}


/* in two weeks, 3 hari lagi */
static size_t
after(const session_t *s, size_t i, size_t end, int64_t day, int64_t *out)
{
    int     n, unit;
    size_t  lead, used;

    lead = session_fits(s, i, end, "in");
    lead += lead ? 0 : session_fits(s, i, end, "within");
    lead += lead ? 0 : session_fits(s, i, end, "dalam");
    used = lead;
    n = digits(s, i + used, end);

    if (n < 0 && !look_up(s, i + used, end, numbers, COUNT(numbers), &n)) {
        return 0;
    }

    used++;

    if (!look_up(s, i + used, end, units, COUNT(units), &unit)) {
        return 0;
    }

    used++;

    if (!lead) {
        if (!session_fits(s, i + used, end, "lagi")) {
            return 0;
        }

        used++;
    }

    *out = day + (int64_t) n * unit;

    return used;
}


/* The next such day from `day` on.  0: never. */
static int
next_date(int64_t day, int y, int m, int d, int64_t *out)
{
    int  i, now, mm, dd;

    date_of(day, &now, &mm, &dd);

    if (y > 0) {
        if (!is_date(y, m, d)) {
            return 0;
        }

        *out = days_of(y, m, d);
        return 1;
    }

    /* 29 February may be eight years away */

    for (i = 0; i <= 8; i++) {
        if (is_date(now + i, m, d) && days_of(now + i, m, d) >= day) {
            *out = days_of(now + i, m, d);
            return 1;
        }
    }

    return 0;
}


/* 2026-12-07, 7 Desember [2026], December 7 */
static size_t
date(const session_t *s, size_t i, size_t end, int64_t day, int64_t *out)
{
    int     a, b, y, m;
    size_t  n;

    a = digits(s, i, end);
    b = digits(s, i + 1, end);

    if (a >= 1970 && b > 0 && digits(s, i + 2, end) > 0) {
        return next_date(day, a, b, digits(s, i + 2, end), out) ? 3 : 0;
    }

    n = 0;

    if (a > 0 && look_up(s, i + 1, end, months, COUNT(months), &m)) {
        n = 2;

    } else if (b > 0 && look_up(s, i, end, months, COUNT(months), &m)) {
        a = b;
        n = 2;
    }

    if (n == 0) {
        return 0;
    }

    y = digits(s, i + n, end);
    y = y >= 1970 ? y : 0;

    return next_date(day, y, m, a, out) ? n + (y > 0) : 0;
}


/* The same with its word before it: tanggal 7 Desember. */
static size_t
full_date(const session_t *s, size_t i, size_t end, int64_t day, int64_t *out)
{
    size_t  n, skip;

    skip = session_fits(s, i, end, "tanggal");
    n = date(s, i + skip, end, day, out);

    return n ? n + skip : 0;
}


/* tanggal 15 */
static size_t
day_of_month(const session_t *s, size_t i, size_t end, int64_t day,
    int64_t *out)
{
    int  k, y, m, d, want;

    want = digits(s, i + 1, end);

    if (want < 1 || !session_fits(s, i, end, "tanggal")) {
        return 0;
    }

    date_of(day, &y, &m, &d);

    for (k = 0; k < 3; k++) {
        if (is_date(y, m, want) && days_of(y, m, want) >= day) {
            *out = days_of(y, m, want);
            return 2;
        }

        y += m == 12;
        m = m == 12 ? 1 : m + 1;
    }

    return 0;
}


static size_t
due_at(const session_t *s, size_t i, size_t end, int64_t day, int64_t *out)
{
    int     value;
    size_t  n;

    n = look_up(s, i, end, phrases, COUNT(phrases), &value);

    if (n) {
        *out = span(day, value);
        return n;
    }

    n = after(s, i, end, day, out);
    n = n ? n : full_date(s, i, end, day, out);
    n = n ? n : weekday(s, i, end, day, out);

    return n ? n : day_of_month(s, i, end, day, out);
}


/* May the word stand before a day? */
static int
leads(const char *word)
{
    size_t  k;

    for (k = 0; k < COUNT(before); k++) {
        if (strcmp(word, before[k]) == 0) {
            return 1;
        }
    }

    return 0;
}


int
session_due(const session_t *s, size_t from, size_t end, session_due_t *due)
{
    int      y, m, d;
    size_t   i, n;
    int64_t  day, then;

    day = (s->cut->at + (int64_t) s->utc_offset * 60000) / DAY_MS;

    for (i = from, n = 0; i < end; i++) {
        n = due_at(s, i, end, day, &then);

        if (n) {
            break;
        }
    }

    if (n == 0) {
        return 0;
    }

    /* a weekday and its date are one: Tuesday, December 1 */

    n += full_date(s, i + n, end, day, &then);

    while (i > from && leads(session_fold(s, i - 1))) {
        i--;
        n++;
    }

    date_of(then, &y, &m, &d);

    if (y < 1970 || y > 9999) {
        return 0;
    }

    due->from = i;
    due->n = n;
    snprintf(due->date, sizeof(due->date), "%04d-%02d-%02d", y, m, d);

    return 1;
}
