/*
 * words.h: text as the words that are searched, the same for all stores.
 *
 *   words.c        text -> folded words; the only file that knows utf8proc.h
 *   words_query.c  what somebody asks for -> terms; does a text have them?
 *   words_mark.c   excerpts of a text with what was found marked
 *
 * A word is a run of letters and digits (any script), compatibility forms
 * taken apart (NFKD), case folded, accents and other marks left out.  What
 * follows from that, and what is decided here:
 *
 *   buku-buku       is buku, buku; so are all words between which something
 *                   else stands
 *   Jum'at, don't   an apostrophe inside is left out: jumat, dont
 *   tutor's         its 's is left out: tutor
 *   CJK and other   scripts written without blanks: each character is a word
 *   long words      are cut at WRT_SEARCH_WORD_MAX bytes
 *   long texts      are searched up to their WRT_SEARCH_TEXT_WORDS-th word
 *
 * When malloc() fails the process ends (store_oom()).
 */

#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/wrt_limits.h"

typedef struct {
    uint32_t   at;              /* the folded word: bytes of words_t.fold */
    uint32_t   len;
    uint32_t   from;            /* the word as it was written: bytes of the */
    uint32_t   to;              /* text, from..to */
    unsigned   blank:1;         /* white space stands before it */
} word_t;

/* Zero it first; used again it keeps its memory. */
typedef struct {
    char      *fold;            /* the words, each with a NUL behind it */
    size_t     len;
    size_t     size;
    word_t    *word;
    size_t     n;
    size_t     cap;
    const char **list;          /* of words_distinct() */
} words_t;

/* Any bytes; what is not UTF-8 stands between words. */
void words_cut(words_t *w, const char *text, size_t n);
/* The words of one more text, behind those that are there. */
void words_more(words_t *w, const char *text, size_t n);
/* Each different word once, sorted by bytes; good until w changes. */
size_t words_distinct(words_t *w, const char *const **out);
/* One more word: a copy of word i of another text. */
void words_copy(words_t *w, const words_t *from, size_t i);
void words_free(words_t *w);


/* One thing asked for: a word, or words one after the other. */
typedef struct {
    uint32_t   first;           /* of words_query_t.words */
    uint32_t   n;
    unsigned   prefix:1;        /* the last one is the beginning of a word */
} words_term_t;

/* Zero it first. */
typedef struct {
    words_t        words;
    words_term_t   term[WRT_SEARCH_WORDS_MAX];
    unsigned       n;
} words_query_t;

/*
 * Words in any order; "words in quotes" in this order, as are words written
 * together (buku-buku, a@b.id); meto* begins so.  Returns 0, or -1 with what
 * is allowed in *why, to follow "must".
 */
int words_query(words_query_t *q, const char *text, const char **why);
void words_query_free(words_query_t *q);

/* The terms that a text has, one bit each; all of them: words_all(). */
uint32_t words_find(const words_query_t *q, const words_t *w);
uint32_t words_all(const words_query_t *q);

/* Do the words of w from i on fit the term? */
int words_fit(const words_query_t *q, const words_term_t *t,
    const words_t *w, size_t i);


/*
 * At most max excerpts of a text in which something was found: HTML, that is
 * with & < > " ' written as entities and <mark></mark> around each find; "..."
 * (one character) where something was left out.  The caller frees each.
 * Returns their number.
 */
size_t words_mark(const words_query_t *q, const words_t *w, const char *text,
    size_t n, char **out, size_t max);

#endif
