/*
 * words.c: text -> folded words; see words.h.  The only file that knows
 * utf8proc.h.
 *
 * Each character is folded by itself: what a neighbour could change (the
 * order of marks) is left out anyway.  ASCII, most of all text, is folded
 * without asking the library.
 */

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "worker/store/store_internal.h"
#include "worker/store/words.h"

#define FOLD_MAX  32            /* one character becomes 18 at most */
#define ADD_MAX   8             /* bytes of a character and a NUL, and more */

#define FOLD_OPTIONS                                                          \
    (UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD                 \
     | UTF8PROC_IGNORE | UTF8PROC_STRIPMARK)

#define ZERO_WIDTH_SPACE  0x200B

/* A word under construction; it ends at words_t.len. */
typedef struct {
    words_t   *w;
    size_t     max;             /* words */
    uint32_t   at;
    uint32_t   from;
    uint32_t   to;
    uint32_t   apostrophe;      /* length when the last one came; 0: none */
    uint32_t   before;          /* its `to` then */
    unsigned   open:1;
    unsigned   blank:1;         /* white space since the last word */
    unsigned   waits:1;         /* an apostrophe came: does the word go on? */
} cut_t;

/* Written without blanks between words (after folding). */
static const struct {
    uint32_t  first;
    uint32_t  last;
} single[] = {
    { 0x0E00, 0x0EFF },         /* Thai, Lao */
    { 0x1000, 0x109F },         /* Myanmar */
    { 0x1780, 0x17FF },         /* Khmer */
    { 0x2E80, 0x31FF },         /* Kana, Bopomofo */
    { 0x3400, 0x4DBF },         /* Han */
    { 0x4E00, 0x9FFF },
    { 0x20000, 0x3FFFF }
};


static void *
grown(void *p, size_t n)
{
    p = realloc(p, n);
    if (p == NULL) {
        store_oom();
    }

    return p;
}


static int
is_single(uint32_t c)
{
    size_t  i;

    for (i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        if (c >= single[i].first && c <= single[i].last) {
            return 1;
        }
    }

    return 0;
}


/* Those of keyboards, and those of transliterated Arabic (Jum`at). */
static int
is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0x2018 || c == 0x2019
           || (c >= 0x02BB && c <= 0x02BF);
}


static int
is_blank(uint32_t c)
{
    utf8proc_category_t  k;

    if (c < 0x80) {
        return c == ' ' || (c >= '\t' && c <= '\r');
    }

    k = utf8proc_category((utf8proc_int32_t) c);

    return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL
           || k == UTF8PROC_CATEGORY_ZP || c == 0x85;
}


static int
is_word(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t) c)) {

    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return 1;

    default:
        return 0;
    }
}


static word_t *
new_word(words_t *w)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->word = grown(w->word, w->cap * sizeof(word_t));
    }

    return &w->word[w->n++];
}


/* Room for n bytes more. */
static void
reserve(words_t *w, size_t n)
{
    while (w->size - w->len < n) {
        w->size = w->size ? w->size * 2 : 1024;
        w->fold = grown(w->fold, w->size);
    }
}


static void
end_word(cut_t *c)
{
    words_t  *w;
    word_t   *word;

    w = c->w;

    if (!c->open) {
        return;
    }

    /* tutor's: tutor */

    if (c->apostrophe && w->len == c->apostrophe + 1
        && w->fold[c->apostrophe] == 's')
    {
        w->len = c->apostrophe;
        c->to = c->before;
    }

    word = new_word(w);
    word->at = c->at;
    word->len = (uint32_t) w->len - c->at;
    word->from = c->from;
    word->to = c->to;
    word->blank = c->blank;

    w->fold[w->len++] = '\0';

    c->open = 0;
    c->blank = 0;
    c->waits = 0;
    c->apostrophe = 0;
}


/* A folded character of a word; the text's bytes from..to became it. */
static void
add(cut_t *c, uint32_t code, uint32_t from, uint32_t to)
{
    int       one;
    size_t    n;
    words_t  *w;

    w = c->w;
    one = code >= 0x80 && is_single(code);

    if (one) {
        end_word(c);
    }

    if (!c->open) {
        if (w->n == c->max) {
            return;
        }

        c->open = 1;
        c->at = (uint32_t) w->len;
        c->from = from;
    }

    if (c->waits) {
        c->waits = 0;
        c->apostrophe = (uint32_t) w->len;
        c->before = c->to;
    }

    c->to = to;

    reserve(w, ADD_MAX);

    if (code < 0x80) {
        n = 1;
        w->fold[w->len] = (char) code;

    } else {
        n = (size_t) utf8proc_encode_char((utf8proc_int32_t) code,
                                          (utf8proc_uint8_t *) w->fold
                                          + w->len);
    }

    if (w->len + n - c->at <= WRT_SEARCH_WORD_MAX) {
        w->len += n;
    }

    if (one) {
        end_word(c);
    }
}


static void
apostrophe(cut_t *c)
{
    if (c->open && !c->waits) {
        c->waits = 1;

    } else {
        end_word(c);
    }
}


/* A character that is not ASCII. */
static void
fold(cut_t *c, utf8proc_int32_t code, uint32_t from, uint32_t to)
{
    int                i, boundary;
    utf8proc_int32_t   out[FOLD_MAX];
    utf8proc_ssize_t   n;

    if (is_apostrophe((uint32_t) code)) {
        apostrophe(c);
        return;
    }

    if (is_blank((uint32_t) code) || code == ZERO_WIDTH_SPACE) {
        end_word(c);
        c->blank = 1;
        return;
    }

    n = utf8proc_decompose_char(code, out, FOLD_MAX, FOLD_OPTIONS,
                                &boundary);

    for (i = 0; i < n && i < FOLD_MAX; i++) {
        if (is_apostrophe((uint32_t) out[i])) {
            apostrophe(c);

        } else if (is_word((uint32_t) out[i])) {
            add(c, (uint32_t) out[i], from, to);

        } else {
            end_word(c);
        }
    }
}


void
words_cut(words_t *w, const char *text, size_t n)
{
    w->n = 0;
    w->len = 0;

    words_more(w, text, n);
}


void
words_more(words_t *w, const char *text, size_t n)
{
    cut_t                   c;
    size_t                  i, len;
    unsigned char           b;
    utf8proc_int32_t        code;
    utf8proc_ssize_t        k;
    const utf8proc_uint8_t *p;

    memset(&c, 0, sizeof(c));
    c.w = w;
    c.max = w->n + WRT_SEARCH_TEXT_WORDS;

    p = (const utf8proc_uint8_t *) text;

    for (i = 0; i < n; i += len) {
        b = p[i];
        len = 1;

        if (b >= 0x80) {
            k = utf8proc_iterate(p + i, (utf8proc_ssize_t) (n - i), &code);

            if (k > 0) {
                len = (size_t) k;
                fold(&c, code, (uint32_t) i, (uint32_t) (i + len));

            } else {
                end_word(&c);
            }

        } else if ((b >= 'a' && b <= 'z') || (b >= '0' && b <= '9')) {
            add(&c, b, (uint32_t) i, (uint32_t) i + 1);

        } else if (b >= 'A' && b <= 'Z') {
            add(&c, b | 0x20u, (uint32_t) i, (uint32_t) i + 1);

        } else if (b == '\'') {
            apostrophe(&c);

        } else {
            end_word(&c);
            c.blank |= is_blank(b) != 0;
        }
    }

    end_word(&c);
}


static int
cmp_word(const void *a, const void *b)
{
    const char *const  *x = a, *const  *y = b;

    return strcmp(*x, *y);
}


size_t
words_distinct(words_t *w, const char *const **out)
{
    size_t  i, n;

    w->list = grown(w->list, (w->n + 1) * sizeof(char *));

    for (i = 0; i < w->n; i++) {
        w->list[i] = w->fold + w->word[i].at;
    }

    qsort(w->list, w->n, sizeof(char *), cmp_word);

    for (i = 0, n = 0; i < w->n; i++) {
        if (n == 0 || strcmp(w->list[n - 1], w->list[i]) != 0) {
            w->list[n++] = w->list[i];
        }
    }

    *out = w->list;

    return n;
}


void
words_copy(words_t *w, const words_t *from, size_t i)
{
    word_t        *copy;
    const word_t  *word;

    word = &from->word[i];
    copy = new_word(w);
    *copy = *word;
    copy->at = (uint32_t) w->len;

    reserve(w, (size_t) word->len + 1);
    memcpy(w->fold + w->len, from->fold + word->at, (size_t) word->len + 1);
    w->len += (size_t) word->len + 1;
}


void
words_free(words_t *w)
{
    free(w->fold);
    free(w->word);
    free(w->list);
    memset(w, 0, sizeof(words_t));
}
