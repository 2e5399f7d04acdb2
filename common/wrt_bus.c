/*
 * wrt_bus.c: the routing header of a bus message.
 *
 * What arrives comes from Redis, where other programs can publish too, so
 * everything is checked and nothing is assumed to end with NUL.
 */

#include "common/wrt_bus.h"

#define WRT_BUS_FIELDS     3
#define WRT_BUS_FIELD_MAX  64
#define WRT_BUS_NUMBER_MAX ((int64_t) 1 << 53)  /* what a JSON number holds */


/* The field as a number as it is written on the bus (no sign, no leading
 * zeros), else -1: ids of digits are no numbers by accident that way. */
static int64_t
wrt_bus_number(const char *p, size_t n)
{
    size_t   i;
    int64_t  v;

    if (n == 0 || n > 16 || (n > 1 && p[0] == '0')) {
        return -1;
    }

    v = 0;

    for (i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        v = v * 10 + (p[i] - '0');
    }

    return v <= WRT_BUS_NUMBER_MAX ? v : -1;
}


/* One field, which ends before `until`.  Returns what follows it, or NULL. */
static const char *
wrt_bus_field(wrt_slice_t *f, const char *p, const char *end, char until)
{
    unsigned char  c;
    const char    *start;

    for (start = p; p < end; p++) {
        c = (unsigned char) *p;

        if (c <= ' ' || c == 0x7F) {
            break;
        }
    }

    if (p == end || *p != until || p == start
        || p - start > WRT_BUS_FIELD_MAX)
    {
        return NULL;
    }

    f->p = start;
    f->n = (size_t) (p - start);

    return p + 1;
}


int
wrt_bus_parse(wrt_bus_header_t *h, const char *p, size_t n)
{
    int           i;
    const char   *end;
    wrt_slice_t  *f;

    if (n < 2 || p[1] != ' '
        || !((p[0] >= 'a' && p[0] <= 'z') || (p[0] >= 'A' && p[0] <= 'Z')))
    {
        return -1;
    }

    end = p + n;
    h->kind = p[0];
    p += 2;

    for (i = 0; i < WRT_BUS_FIELDS; i++) {
        f = &h->f[i];

        p = wrt_bus_field(f, p, end, i == WRT_BUS_FIELDS - 1 ? '\n' : ' ');
        if (p == NULL) {
            return -1;
        }

        h->num[i] = wrt_bus_number(f->p, f->n);

        if (f->n == 1 && f->p[0] == '-') {
            f->n = 0;
        }
    }

    h->body.p = p;
    h->body.n = (size_t) (end - p);

    return 0;
}
