/*
 * wrt_id.c: identifiers and times as they look outside.
 *
 * Times are computed here instead of with gmtime() and timegm(): those read
 * the time zone and are slow, and a time of every message passes here.
 */

#include <string.h>

#include "common/wrt_id.h"

#define WRT_DAY_MS        86400000
#define WRT_TIME_MAX_MS   253402300799999  /* 9999-12-31T23:59:59.999Z */
#define WRT_ERA_DAYS      146097           /* days in 400 years */
#define WRT_EPOCH_DAYS    719468           /* 0000-03-01 to 1970-01-01 */
#define WRT_OID_COUNTER   0xFFFFFF

/* A place in the text being read; p becomes NULL with the first misfit. */
typedef struct {
    const char  *p;
    const char  *end;
} wrt_time_reader_t;


int
wrt_id_valid(const char *p, size_t n)
{
    char    c;
    size_t  i;

    if (n == 0 || n > WRT_ID_MAX) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        c = p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '-'))
        {
            return 0;
        }
    }

    /* on the bus a lone "-" stands for nothing */
    return !(n == 1 && p[0] == '-');
}


void
wrt_hex(const void *p, size_t n, char *out)
{
    size_t          i;
    const uint8_t  *raw = p;

    static const char  hex[] = "0123456789abcdef";

    for (i = 0; i < n; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }

    out[2 * n] = '\0';
}


void
wrt_oid_init(wrt_oid_gen_t *g, const uint8_t seed[8])
{
    memcpy(g->random, seed, 5);
    g->counter = (uint32_t) seed[5] << 16 | (uint32_t) seed[6] << 8 | seed[7];
}


void
wrt_oid_next(wrt_oid_gen_t *g, int64_t now_s, char out[WRT_OID_LEN + 1])
{
    uint8_t   raw[WRT_OID_LEN / 2];
    uint32_t  c, t;

    t = (uint32_t) now_s;
    c = g->counter;
    g->counter = (c + 1) & WRT_OID_COUNTER;

    raw[0] = (uint8_t) (t >> 24);
    raw[1] = (uint8_t) (t >> 16);
    raw[2] = (uint8_t) (t >> 8);
    raw[3] = (uint8_t) t;
    memcpy(raw + 4, g->random, 5);
    raw[9] = (uint8_t) (c >> 16);
    raw[10] = (uint8_t) (c >> 8);
    raw[11] = (uint8_t) c;

    wrt_hex(raw, sizeof(raw), out);
}


static char *
wrt_time_digits(char *p, unsigned v, unsigned n)
{
    unsigned  i;

    for (i = n; i > 0; i--) {
        p[i - 1] = (char) ('0' + v % 10);
        v /= 10;
    }

    return p + n;
}


void
wrt_time_format(int64_t ms, char out[WRT_TIME_LEN + 1])
{
    char     *p;
    int64_t   day, era;
    unsigned  doe, yoe, doy, mp, t, year, month;

    if (ms < 0) {
        ms = 0;
    }

    if (ms > WRT_TIME_MAX_MS) {
        ms = WRT_TIME_MAX_MS;
    }

    t = (unsigned) (ms % WRT_DAY_MS);

    /* the year begins in March here: the leap day is its last */
    day = ms / WRT_DAY_MS + WRT_EPOCH_DAYS;
    era = day / WRT_ERA_DAYS;
    doe = (unsigned) (day - era * WRT_ERA_DAYS);
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    month = mp < 10 ? mp + 3 : mp - 9;
    year = (unsigned) era * 400 + yoe + (month <= 2);

    p = wrt_time_digits(out, year, 4);
    *p++ = '-';
    p = wrt_time_digits(p, month, 2);
    *p++ = '-';
    p = wrt_time_digits(p, doy - (153 * mp + 2) / 5 + 1, 2);
    *p++ = 'T';
    p = wrt_time_digits(p, t / 3600000, 2);
    *p++ = ':';
    p = wrt_time_digits(p, t / 60000 % 60, 2);
    *p++ = ':';
    p = wrt_time_digits(p, t / 1000 % 60, 2);
    *p++ = '.';
    p = wrt_time_digits(p, t % 1000, 3);
    *p++ = 'Z';
    *p = '\0';
}


/* Days from 1970-01-01 to a date. */
static int64_t
wrt_time_days(int year, int month, int day)
{
    int      y, yoe, doy;
    int64_t  era;

    y = month <= 2 ? year - 1 : year;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = (int) (y - era * 400);
    doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * WRT_ERA_DAYS + (365 * yoe + yoe / 4 - yoe / 100 + doy)
           - WRT_EPOCH_DAYS;
}


static int
wrt_time_month_days(int year, int month)
{
    static const char  days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
                                  31 };

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) {
        return 29;
    }

    return days[month - 1];
}


/* n digits between lo and hi. */
static int
wrt_time_read(wrt_time_reader_t *r, int n, int lo, int hi)
{
    int  v;

    if (r->p == NULL || r->end - r->p < n) {
        r->p = NULL;
        return lo;
    }

    for (v = 0; n > 0; n--, r->p++) {
        if (*r->p < '0' || *r->p > '9') {
            r->p = NULL;
            return lo;
        }

        v = v * 10 + (*r->p - '0');
    }

    if (v < lo || v > hi) {
        r->p = NULL;
        return lo;
    }

    return v;
}


/* One of two characters, must be there. */
static void
wrt_time_expect(wrt_time_reader_t *r, char a, char b)
{
    if (r->p == NULL || r->p == r->end || (*r->p != a && *r->p != b)) {
        r->p = NULL;
        return;
    }

    r->p++;
}


/* Is this one of two characters next?  Then take it. */
static int
wrt_time_take(wrt_time_reader_t *r, char a, char b)
{
    if (r->p == NULL || r->p == r->end || (*r->p != a && *r->p != b)) {
        return 0;
    }

    r->p++;

    return 1;
}


/* The digits after the point, as milliseconds; finer ones are cut off. */
static int
wrt_time_fraction(wrt_time_reader_t *r)
{
    int  ms, unit;

    ms = wrt_time_read(r, 1, 0, 9) * 100;
    unit = 10;

    while (r->p && r->p < r->end && *r->p >= '0' && *r->p <= '9') {
        ms += (*r->p++ - '0') * unit;
        unit /= 10;
    }

    return ms;
}


int
wrt_time_parse(const char *p, size_t n, int64_t *ms)
{
    int                year, month, day, hour, min, frac, sign;
    int64_t            t;
    wrt_time_reader_t  r;

    if (n == 0) {
        return -1;
    }

    r.p = p;
    r.end = p + n;

    year = wrt_time_read(&r, 4, 0, 9999);
    wrt_time_expect(&r, '-', '-');
    month = wrt_time_read(&r, 2, 1, 12);
    wrt_time_expect(&r, '-', '-');
    day = wrt_time_read(&r, 2, 1, wrt_time_month_days(year, month));

    t = wrt_time_days(year, month, day) * WRT_DAY_MS;

    if (wrt_time_take(&r, 'T', 't')) {
        hour = wrt_time_read(&r, 2, 0, 23);
        wrt_time_expect(&r, ':', ':');
        min = wrt_time_read(&r, 2, 0, 59);
        t += (int64_t) (hour * 60 + min) * 60000;

        if (wrt_time_take(&r, ':', ':')) {
            /* 60: a leap second, the same as the next minute's first */
            t += (int64_t) wrt_time_read(&r, 2, 0, 60) * 1000;

            if (wrt_time_take(&r, '.', '.')) {
                frac = wrt_time_fraction(&r);
                t += frac;
            }
        }

        if (r.p && r.p < r.end && !wrt_time_take(&r, 'Z', 'z')) {
            sign = *r.p == '-' ? 1 : -1;
            wrt_time_expect(&r, '+', '-');
            hour = wrt_time_read(&r, 2, 0, 23);
            wrt_time_expect(&r, ':', ':');
            min = wrt_time_read(&r, 2, 0, 59);
            t += (int64_t) sign * (hour * 60 + min) * 60000;
        }
    }

    if (r.p == NULL || r.p != r.end) {
        return -1;
    }

    *ms = t;

    return 0;
}
