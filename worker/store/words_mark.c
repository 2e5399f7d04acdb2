/*
 * words_mark.c: excerpts of a text with what was found marked; see words.h.
 *
 * An excerpt begins and ends between words, or in the middle of one that is
 * longer than an excerpt.
 */

#include <stdlib.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/store/store_internal.h"
#include "worker/store/words.h"

#define BEFORE      60          /* bytes of text before the first find */
#define EXCERPT     200         /* bytes of text in all */

#define ELLIPSIS    "\xE2\x80\xA6"
#define MARK        "<mark>"
#define MARK_END    "</mark>"

typedef struct {
    char     *p;
    size_t    n;
    size_t    size;
} out_t;

/* Where something was found: words first..last of the text. */
typedef struct {
    size_t    first;
    size_t    last;
} find_t;


static void
put(out_t *o, const char *p, size_t n)
{
    if (o->size - o->n <= n) {
        o->size = (o->n + n + 1) * 2;
        o->p = realloc(o->p, o->size);

        if (o->p == NULL) {
            store_oom();
        }
    }

    memcpy(o->p + o->n, p, n);
    o->n += n;
    o->p[o->n] = '\0';
}


static void
put_html(out_t *o, const char *p, size_t n)
{
    static const struct {
        char         c;
        const char  *entity;
    } list[] = {
        { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" },
        { '"', "&quot;" }, { '\'', "&#39;" }
    };

    size_t  i, k, from;

    for (i = 0, from = 0; i < n; i++) {
        for (k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
            if (p[i] == list[k].c) {
                put(o, p + from, i - from);
                put(o, list[k].entity, strlen(list[k].entity));
                from = i + 1;
            }
        }
    }

    put(o, p + from, n - from);
}


/* The next find at or behind word i: the longest that begins there.  0: there
 * is none. */
static int
next_find(const words_query_t *q, const words_t *w, size_t i, find_t *f)
{
    size_t    n;
    unsigned  k;

    for ( ; i < w->n; i++) {
        for (n = 0, k = 0; k < q->n; k++) {
            if (q->term[k].n > n && words_fit(q, &q->term[k], w, i)) {
                n = q->term[k].n;
            }
        }

        if (n) {
            f->first = i;
            f->last = i + n - 1;
            return 1;
        }
    }

    return 0;
}


/* Where does the excerpt around a find begin?  Not before `least`. */
static size_t
begin(const words_t *w, const find_t *f, size_t least)
{
    size_t  i, from;

    from = w->word[f->first].from;

    for (i = f->first; i > 0; i--) {
        if (w->word[i - 1].from < least
            || w->word[f->first].from - w->word[i - 1].from > BEFORE)
        {
            return from;
        }

        from = w->word[i - 1].from;
    }

    /* before the first word: a quotation mark, a picture */
    return least == 0 && from <= BEFORE ? 0 : from;
}


/* And where does it end? */
static size_t
end(const words_t *w, const find_t *f, size_t from, const char *text,
    size_t n)
{
    size_t  i, to;

    if (n - from <= EXCERPT) {
        return n;
    }

    to = from + EXCERPT;

    for (i = f->last; i < w->n && w->word[i].to <= to; i++) { /* void */ }

    if (i == f->last) {
        return from + wrt_utf8_cut((const uint8_t *) text + from, n - from,
                                   EXCERPT);
    }

    return w->word[i - 1].to;
}


/* Text from..to with every find in it from f on marked; f becomes the first
 * one behind it.  Returns whether there is one. */
static int
write(out_t *o, const words_query_t *q, const words_t *w, const char *text,
    size_t from, size_t to, find_t *f)
{
    int     more;
    size_t  a, b;

    do {
        a = w->word[f->first].from;
        b = w->word[f->last].to;
        a = a < from ? from : a;
        b = b < to ? b : to;

        /* one character may have become two words, both found */

        if (a < b) {
            put_html(o, text + from, a - from);
            put(o, MARK, sizeof(MARK) - 1);
            put_html(o, text + a, b - a);
            put(o, MARK_END, sizeof(MARK_END) - 1);
            from = b;
        }

        more = next_find(q, w, f->last + 1, f);

    } while (more && w->word[f->first].from < to);

    put_html(o, text + from, to - from);

    return more;
}


size_t
words_mark(const words_query_t *q, const words_t *w, const char *text,
    size_t n, char **out, size_t max)
{
    int     more;
    out_t   o;
    size_t  count, from, to;
    find_t  f;

    count = 0;
    to = 0;
    more = next_find(q, w, 0, &f);

    while (more && count < max) {
        memset(&o, 0, sizeof(o));

        from = begin(w, &f, to);
        to = end(w, &f, from, text, n);

        if (from > 0) {
            put(&o, ELLIPSIS, sizeof(ELLIPSIS) - 1);
        }

        more = write(&o, q, w, text, from, to, &f);

        if (to < n) {
            put(&o, ELLIPSIS, sizeof(ELLIPSIS) - 1);
        }

        out[count++] = o.p;
    }

    return count;
}
