/*
 * log.c: one line per event to stderr: time level role[pid] event key=value …
 *
 * A line leaves in one write(), so that lines of several processes do not
 * mix.  Values may come from outside (a Redis error, a path): control
 * characters never reach the log.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/worker.h"

#define LOG_LINE_MAX  2048

static int   log_threshold = LOG_LEVEL_INFO;
static char  log_role[16] = "main";

static const char  *log_names[] = { "error", "warn", "info", "debug" };


int
log_level(const char *name)
{
    int  i;

    for (i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        if (strcmp(name, log_names[i]) == 0) {
            return i;
        }
    }

    return -1;
}


void
log_setup(int level, const char *role)
{
    log_threshold = level;
    snprintf(log_role, sizeof(log_role), "%s", role);
}


void
log_at(int level, const char *event, const char *fmt, ...)
{
    int      n;
    char     line[LOG_LINE_MAX], at[WRT_TIME_LEN + 1], *p, *last;
    va_list  args;

    if (level > log_threshold) {
        return;
    }

    wrt_time_format(now_ms(), at);
    last = line + sizeof(line) - 2;

    n = snprintf(line, sizeof(line), "%s %s %s[%d] %s ", at, log_names[level],
                 log_role, (int) getpid(), event);

    if (n < 0 || n >= LOG_LINE_MAX - 2) {
        return;
    }

    p = line + n;

    va_start(args, fmt);
    n = vsnprintf(p, (size_t) (last - p), fmt, args);
    va_end(args);

    if (n < 0) {
        return;
    }

    for ( ; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7F) {
            *p = ' ';
        }
    }

    *p++ = '\n';

    /* nobody is left to tell when stderr is gone */
    if (write(STDERR_FILENO, line, (size_t) (p - line)) < 0) {
        return;
    }
}
