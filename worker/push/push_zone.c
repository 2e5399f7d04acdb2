/*
 * push_zone.c: quiet hours in a user's own time zone.
 *
 * GLib's time zones, because libc has one zone for a process, in its
 * environment, which threads of a resolver read.
 */

#include <glib.h>
#include <string.h>

#include "worker/push/push.h"

#define ZONE_DAY  1440


/* Of a name of IANA's, and nothing that could be another file. */
static int
zone_name_ok(const char *s)
{
    size_t  n;

    n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                  "0123456789_+-/");

    return s[n] == '\0' && n > 0 && n <= WRT_PUSH_ZONE_MAX
           && g_ascii_isalpha(s[0]);
}


int
push_zone_known(const char *name)
{
    GTimeZone  *zone;

    zone = zone_name_ok(name) ? g_time_zone_new_identifier(name) : NULL;

    if (zone == NULL) {
        return 0;
    }

    g_time_zone_unref(zone);

    return 1;
}


int
push_zone_clock(const char *s)
{
    int  h, m;

    if (strlen(s) != 5 || s[2] != ':' || !g_ascii_isdigit(s[0])
        || !g_ascii_isdigit(s[1]) || !g_ascii_isdigit(s[3])
        || !g_ascii_isdigit(s[4]))
    {
        return -1;
    }

    h = (s[0] - '0') * 10 + s[1] - '0';
    m = (s[3] - '0') * 10 + s[4] - '0';

    return h < 24 && m < 60 ? h * 60 + m : -1;
}


int64_t
push_zone_quiet(const char *name, int start, int end, int64_t now_ms)
{
    int         m, in, days;
    int64_t     until;
    GDateTime  *utc, *local, *day, *ends;
    GTimeZone  *zone;

    zone = g_time_zone_new_identifier(name);

    if (zone == NULL) {
        return 0;
    }

    utc = g_date_time_new_from_unix_utc(now_ms / 1000);
    local = utc ? g_date_time_to_timezone(utc, zone) : NULL;
    until = 0;

    if (local) {
        m = g_date_time_get_hour(local) * 60 + g_date_time_get_minute(local);
        in = start < end ? m >= start && m < end : m >= start || m < end;
        days = start >= end && m >= start ? 1 : 0;
        day = g_date_time_add_days(local, days);
        ends = in && day
               ? g_date_time_new(zone, g_date_time_get_year(day),
                                 g_date_time_get_month(day),
                                 g_date_time_get_day_of_month(day),
                                 end % ZONE_DAY / 60, end % 60, 0.0)
               : NULL;

        if (ends) {
            until = g_date_time_to_unix(ends) * 1000;
            g_date_time_unref(ends);
        }

        if (day) {
            g_date_time_unref(day);
        }

        g_date_time_unref(local);
    }

    if (utc) {
        g_date_time_unref(utc);
    }

    g_time_zone_unref(zone);

    /* an hour that does not exist today: never behind us */
    return until > now_ms ? until : 0;
}
