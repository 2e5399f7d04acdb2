/*
 * words_query.c: what somebody asks for, and whether a text has it; see
 * words.h.
 */

#include <string.h>

#include "worker/store/words.h"

#define TEXT(x)     #x
#define NUMBER(x)   TEXT(x)


/* Bytes of a quotation mark at p, straight or curly; 0: none. */
static size_t
quote(const char *p)
{
    if (*p == '"') {
        return 1;
    }

    /* U+201C, U+201D, U+201E; U+00AB, U+00BB */

    if (strncmp(p, "\xE2\x80", 2) == 0
        && (unsigned char) p[2] >= 0x9C && (unsigned char) p[2] <= 0x9E)
    {
        return 3;
    }

    return strncmp(p, "\xC2\xAB", 2) == 0 || strncmp(p, "\xC2\xBB", 2) == 0
           ? 2 : 0;
}


/* A star right behind a word, and nothing of a word behind the star. */
static int
star(const char *p, size_t n, const words_t *w, size_t i)
{
    size_t  to;

    to = w->word[i].to;

    return to < n && p[to] == '*'
           && (i + 1 == w->n || w->word[i + 1].blank);
}


/* The words of w from..to as one term. */
static int
add_term(words_query_t *q, const words_t *w, size_t from, size_t to,
    int prefix)
{
    size_t         i;
    words_term_t  *t;

    if (q->n == WRT_SEARCH_WORDS_MAX) {
        return -1;
    }

    t = &q->term[q->n++];
    t->first = (uint32_t) q->words.n;
    t->n = (uint32_t) (to - from);
    t->prefix = prefix != 0;

    for (i = from; i < to; i++) {
        words_copy(&q->words, w, i);
    }

    return 0;
}


/* What stands between two quotation marks, or outside of them. */
static int
add_piece(words_query_t *q, words_t *w, const char *p, size_t n, int quoted)
{
    size_t  i, from;

    words_cut(w, p, n);

    for (from = 0; from < w->n; from = i) {
        i = from + 1;

        while (i < w->n && (quoted || !w->word[i].blank)) {
            i++;
        }

        if (add_term(q, w, from, i, star(p, n, w, i - 1)) != 0) {
            return -1;
        }
    }

    return 0;
}


int
words_query(words_query_t *q, const char *text, const char **why)
{
    int          rc, quoted;
    size_t       n;
    words_t      w;
    const char  *p;

    if (strlen(text) > WRT_SEARCH_MAX) {
        *why = "be at most " NUMBER(WRT_SEARCH_MAX) " bytes";
        return -1;
    }

    rc = 0;
    quoted = 0;
    memset(&w, 0, sizeof(w));

    for (p = text; rc == 0 && *p; p += n + quote(p + n)) {
        for (n = 0; p[n] && quote(p + n) == 0; n++) { /* void */ }

        rc = add_piece(q, &w, p, n, quoted);
        quoted = !quoted;
    }

    words_free(&w);

    if (rc != 0) {
        *why = "have at most " NUMBER(WRT_SEARCH_WORDS_MAX)
               " words and phrases";

    } else if (q->n == 0) {
        *why = "have a letter or a digit: words, \"a phrase\", the beginning"
               " of a word like meto*";
        rc = -1;
    }

    if (rc != 0) {
        words_query_free(q);
    }

    return rc;
}


void
words_query_free(words_query_t *q)
{
    words_free(&q->words);
    memset(q, 0, sizeof(words_query_t));
}


/* Is word i of w word k of the query (or does it begin so)? */
static int
words_same(const words_query_t *q, uint32_t k, int prefix, const words_t *w,
    size_t i)
{
    const word_t  *a, *b;

    a = &q->words.word[k];
    b = &w->word[i];

    return (prefix ? b->len >= a->len : b->len == a->len)
           && memcmp(w->fold + b->at, q->words.fold + a->at, a->len) == 0;
}


int
words_fit(const words_query_t *q, const words_term_t *t, const words_t *w,
    size_t i)
{
    uint32_t  k;

    if (i + t->n > w->n) {
        return 0;
    }

    for (k = 0; k < t->n; k++) {
        if (!words_same(q, t->first + k, t->prefix && k + 1 == t->n, w,
                        i + k))
        {
            return 0;
        }
    }

    return 1;
}


uint32_t
words_all(const words_query_t *q)
{
    return (1u << q->n) - 1;
}


uint32_t
words_find(const words_query_t *q, const words_t *w)
{
    size_t     i;
    unsigned   k;
    uint32_t   found;

    found = 0;

    for (k = 0; k < q->n; k++) {
        for (i = 0; i < w->n; i++) {
            if (words_fit(q, &q->term[k], w, i)) {
                found |= 1u << k;
                break;
            }
        }
    }

    return found;
}
