/*
 * session_stats.c: counts, times to an answer, engagement.
 *
 * A turn is what one side says until the other one speaks.  A time to an
 * answer is that from the first message of a turn to the first message of the
 * next one.  The median of an even number of times is the mean of the two in
 * the middle; p90 is the ceil(0.9 n)-th smallest (nearest rank).  All is
 * counted in whole milliseconds and rounded once, at the end.
 */

#include <stdlib.h>

#include "worker/session/session_internal.h"

#define MINUTE_MS  60000


/* n / d, rounded half up; both are not negative. */
static int64_t
rounded(int64_t n, int64_t d)
{
    return (n + d / 2) / d;
}


/* A number of thousandths. */
static json_t *
milli(int64_t n)
{
    return n % 1000 ? json_real((double) n / 1000.0)
                    : json_integer(n / 1000);
}


static json_t *
hundredths(int64_t n)
{
    return milli(n * 10);
}


static int
cmp_wait(const void *a, const void *b)
{
    const int64_t  *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}


/* All times to an answer; their number. */
static size_t
find_waits(session_t *s, int64_t *wait)
{
    int                 side;
    size_t              i, n;
    int64_t             since;
    session_person_t   *p;
    session_message_t  *m;

    n = 0;
    side = -1;
    since = 0;

    for (i = 0; i < s->n; i++) {
        m = &s->message[i];
        p = &s->person[m->person];

        if (p->side == side) {
            continue;
        }

        if (side >= 0) {
            /* clocks of two servers may differ */
            wait[n] = m->at > since ? m->at - since : 0;
            p->responses++;
            p->waited += wait[n++];
        }

        side = p->side;
        since = m->at;
    }

    return n;
}


static json_t *
analytics(const session_t *s, int64_t *wait, size_t n)
{
    size_t    i;
    int64_t   sum, ms;
    json_t   *o;

    qsort(wait, n, sizeof(int64_t), cmp_wait);
    sum = 0;

    for (i = 0; i < n; i++) {
        sum += wait[i];
    }

    o = json_object();
    session_set(o, "responseTime",
                n ? milli(rounded(sum, (int64_t) n)) : json_null());
    session_set(o, "responseTimeMedian",
                n ? milli(rounded(wait[(n - 1) / 2] + wait[n / 2], 2))
                  : json_null());
    session_set(o, "responseTimeP90",
                n ? milli(wait[(n * 9 + 9) / 10 - 1]) : json_null());
    session_set(o, "responses", json_integer((json_int_t) n));

    /* less than a minute counts as one */

    ms = s->end - s->start;
    ms = ms < MINUTE_MS ? MINUTE_MS : ms;
    session_set(o, "engagement",
                hundredths(rounded((int64_t) s->n * 100 * MINUTE_MS, ms)));
    session_set(o, "satisfaction", json_null());

    return o;
}


static json_t *
participants(const session_t *s)
{
    size_t                   i;
    json_t                  *list, *o;
    const session_person_t  *p;

    list = json_array();

    for (i = 0; i < s->npersons; i++) {
        p = &s->person[i];
        o = json_object();
        session_set(o, "userId", session_string(p->id));
        session_set(o, "role", session_string(p->role));
        session_set(o, "joinedAt", session_time(p->joined_at));
        session_set(o, "leftAt", session_time(p->left_at));
        session_set(o, "messageCount", json_integer(p->messages));
        session_set(o, "filesShared", json_integer(p->files));
        session_set(o, "responses", json_integer(p->responses));
        session_set(o, "responseTime",
                    p->responses ? milli(rounded(p->waited, p->responses))
                                 : json_null());
        session_append(list, o);
    }

    return list;
}


json_t *
session_stats(session_t *s)
{
    size_t             i, n, files;
    json_t            *o;
    int64_t           *wait;
    session_person_t  *p;

    for (i = 0; i < s->npersons; i++) {
        p = &s->person[i];
        p->messages = 0;
        p->files = 0;
        p->responses = 0;
        p->waited = 0;
    }

    files = 0;

    for (i = 0; i < s->n; i++) {
        p = &s->person[s->message[i].person];
        p->messages++;
        p->files += s->message[i].file;
        files += s->message[i].file;
    }

    wait = session_grow(NULL, s->n * sizeof(int64_t));
    n = find_waits(s, wait);

    o = json_object();
    session_set(o, "startTime", session_time(s->start));
    session_set(o, "endTime", session_time(s->end));
    session_set(o, "duration",
                hundredths(rounded((s->end - s->start) * 100, MINUTE_MS)));
    session_set(o, "participants", participants(s));
    session_set(o, "totalMessages", json_integer((json_int_t) s->n));
    session_set(o, "filesShared", json_integer((json_int_t) files));
    session_set(o, "analytics", analytics(s, wait, n));

    free(wait);

    return o;
}
