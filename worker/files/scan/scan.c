/*
 * scan.c: one scanner or the other, and what its findings mean (see scan.h).
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker/files/scan/scan_internal.h"

/* A clamd may be started anew with other settings without our noticing. */
#define SCAN_TRY_MS  60000

/* Findings that tell of what was not looked at.  They come only when nothing
 * was found in the rest. */
static const struct {
    const char  *prefix;
    const char  *why;
} scan_unread[] = {
    { "Heuristics.Encrypted", "it is encrypted" },
    { "Heuristics.Limits.Exceeded", "it exceeds the limits of scanning" },
    { NULL, NULL }
};


int64_t
scan_mono_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


scan_rc_t
scan_say(scan_t *s, scan_rc_t rc, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(s->text, sizeof(s->text), fmt, args);
    va_end(args);

    return rc;
}


scan_rc_t
scan_finding(scan_t *s, const char *name)
{
    size_t  i;

    for (i = 0; scan_unread[i].prefix; i++) {
        if (strncmp(name, scan_unread[i].prefix,
                    strlen(scan_unread[i].prefix)) == 0)
        {
            return scan_say(s, SCAN_ERROR, "%s (%.120s)", scan_unread[i].why,
                            name);
        }
    }

    return scan_say(s, SCAN_INFECTED, "%.200s", name);
}


scan_t *
scan_open(const scan_conf_t *cf)
{
    scan_t  *s;

    s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }

    s->cf = *cf;

    switch (cf->kind) {

    case SCAN_LIBCLAMAV:
        s->ops = &scan_libclamav_ops;
        break;

    case SCAN_CLAMD:
        s->ops = &scan_clamd_ops;
        break;

    default:
        snprintf(s->about, sizeof(s->about), "off: files are not scanned");
    }

    return s;
}


void
scan_close(scan_t *s)
{
    if (s == NULL) {
        return;
    }

    if (s->ops) {
        s->ops->close(s);
    }

    free(s);
}


void
scan_on_wait(scan_t *s, scan_stop_pt stop, void *data)
{
    s->stop = stop;
    s->stop_data = data;
}


int
scan_stopping(scan_t *s)
{
    return s->stop && s->stop(s->stop_data);
}


scan_rc_t
scan_prepare(scan_t *s)
{
    int        changed;
    scan_rc_t  rc;

    s->text[0] = '\0';

    if (s->ops == NULL) {
        return scan_say(s, SCAN_OFF, "scanning is off");
    }

    changed = 0;
    rc = s->ops->prepare(s, &changed);

    if (rc == SCAN_CLEAN
        && (changed || !s->tried
            || scan_mono_ms() - s->tried_at >= SCAN_TRY_MS))
    {
        rc = scan_probe(s, s->ops->foreign && (changed || !s->tried));
        s->tried_at = scan_mono_ms();
    }

    s->tried = rc == SCAN_CLEAN;

    return rc;
}


scan_rc_t
scan_file(scan_t *s, int fd)
{
    scan_rc_t  rc;

    rc = scan_prepare(s);
    s->died = 0;

    if (rc != SCAN_CLEAN) {
        return rc;
    }

    s->text[0] = '\0';
    rc = s->ops->file(s, fd);

    /* whoever comes up again is another one */
    if (rc == SCAN_DOWN) {
        s->tried = 0;
    }

    return rc;
}


int
scan_died(const scan_t *s)
{
    return s->died;
}


const char *
scan_text(const scan_t *s)
{
    return s->text;
}


const char *
scan_about(const scan_t *s)
{
    return s->about;
}


int
scan_bare(const scan_t *s)
{
    return s->bare;
}
