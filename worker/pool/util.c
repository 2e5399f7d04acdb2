/*
 * util.c: clocks, memory and growing buffers.
 *
 * Memory is never handled as a failure further up: a process that gets none
 * says so and ends, the pool starts it anew, and what it had in hand is still
 * in Redis.
 */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/wrt_envelope.h"
#include "worker/worker.h"

#define BUF_START  256


static int64_t
clock_ms(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int64_t
now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}


int64_t
mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}


int64_t
mono_us(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void *
mem_grow(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);

    if (p == NULL) {
        log_error("no_memory", "bytes=%zu", n);
        _exit(EXIT_FAILURE);
    }

    return p;
}


void *
mem_zero(size_t n)
{
    return memset(mem_grow(NULL, n), 0, n);
}


char *
mem_text(const char *p, size_t n)
{
    char  *s;

    s = mem_grow(NULL, n + 1);

    if (n > 0) {
        memcpy(s, p, n);
    }

    s[n] = '\0';

    return s;
}


/* What does not fit is no part of it: a name that was cut could be
 * somebody else's. */
void
text_copy(char *out, size_t size, const char *s)
{
    size_t  n;

    n = strlen(s);
    n = n < size ? n : 0;
    memcpy(out, s, n);
    out[n] = '\0';
}


/* Room for n more bytes and a NUL. */
static void
buf_room(buf_t *b, size_t n)
{
    size_t  cap;

    if (b->cap - b->n > n) {
        return;
    }

    for (cap = b->cap ? b->cap : BUF_START; cap - b->n <= n; cap *= 2) {
        /* void */
    }

    b->p = mem_grow(b->p, cap);
    b->cap = cap;
}


void
buf_add(buf_t *b, const void *p, size_t n)
{
    buf_room(b, n);

    if (n > 0) {
        memcpy(b->p + b->n, p, n);
    }

    b->n += n;
    b->p[b->n] = '\0';
}


void
buf_text(buf_t *b, const char *s)
{
    buf_add(b, s, strlen(s));
}


void
buf_fmt(buf_t *b, const char *fmt, ...)
{
    int      n;
    size_t   room;
    va_list  args;

    /* mostly it fits at once */
    buf_room(b, BUF_START / 2);

    for ( ;; ) {
        room = b->cap - b->n;

        va_start(args, fmt);
        n = vsnprintf(b->p + b->n, room, fmt, args);
        va_end(args);

        if (n < 0) {
            b->p[b->n] = '\0';
            return;
        }

        if ((size_t) n < room) {
            b->n += (size_t) n;
            return;
        }

        buf_room(b, (size_t) n);
    }
}


static void
buf_json_text(buf_t *b, const char *s, size_t n)
{
    buf_room(b, 6 * n + 2);
    b->p[b->n++] = '"';
    b->n += wrt_json_escape(b->p + b->n, s, n);
    buf_add(b, "\"", 1);
}


static void
buf_json_object(buf_t *b, json_t *o)
{
    void        *it;
    const char  *key, *comma;

    comma = "{";

    for (it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        key = json_object_iter_key(it);

        buf_add(b, comma, 1);
        buf_json_text(b, key, strlen(key));
        buf_add(b, ":", 1);
        buf_json(b, json_object_iter_value(it));
        comma = ",";
    }

    buf_text(b, json_object_size(o) ? "}" : "{}");
}


static void
buf_json_array(buf_t *b, const json_t *list)
{
    size_t         i;
    const json_t  *v;

    buf_add(b, "[", 1);

    json_array_foreach(list, i, v) {
        if (i > 0) {
            buf_add(b, ",", 1);
        }

        buf_json(b, v);
    }

    buf_add(b, "]", 1);
}


/* In as few digits as say which number it is: 0.563 and not
 * 0.56299999999999994. */
static void
buf_json_real(buf_t *b, const json_t *v)
{
    char    real[64];
    size_t  n, digits;

    n = 0;

    for (digits = 15; digits <= 17; digits++) {
        n = json_dumpb(v, real, sizeof(real) - 1,
                       JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        n = n < sizeof(real) ? n : 0;
        real[n] = '\0';

        if (!islessgreater(strtod(real, NULL), json_real_value(v))) {
            break;
        }
    }

    buf_add(b, real, n);
}


/* jansson's own dumping looks for loops, which takes longer than all the rest:
 * a page of history has hundreds of objects. */
void
buf_json(buf_t *b, const json_t *v)
{
    if (v == NULL) {
        /* jansson got no memory when the value was made */
        log_error("no_memory", "what=json");
        _exit(EXIT_FAILURE);
    }

    switch (json_typeof(v)) {

    case JSON_OBJECT:
        /* only read; jansson lacks const here */
        buf_json_object(b, (json_t *) v);
        break;

    case JSON_ARRAY:
        buf_json_array(b, v);
        break;

    case JSON_STRING:
        buf_json_text(b, json_string_value(v), json_string_length(v));
        break;

    case JSON_INTEGER:
        buf_fmt(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;

    case JSON_REAL:
        buf_json_real(b, v);
        break;

    case JSON_TRUE:
        buf_add(b, "true", 4);
        break;

    case JSON_FALSE:
        buf_add(b, "false", 5);
        break;

    case JSON_NULL:
        buf_add(b, "null", 4);
        break;
    }
}


void
buf_clear(buf_t *b)
{
    b->n = 0;
}


void
buf_free(buf_t *b)
{
    free(b->p);
    memset(b, 0, sizeof(*b));
}
