/*
 * session_topics.c: what a session was about: the C-value of Frantzi and
 * Ananiadou over phrases between stop words.
 *
 * A candidate is one to WRT_SESSION_TOPIC_WORDS words in a row, one blank or
 * hyphen between them, none of them a stop word, a polite word, a verb that
 * asks for something or a participant's name, and not beginning with a number.
 * Words are compared by their stems.  Its frequency f is in how many messages
 * it stands: who repeats himself does not make a topic.
 *
 *   C(a) = log2(|a| + 1) f(a)                          not in a longer one
 *   C(a) = log2(|a| + 1) (f(a) - mean of f(b))         b: the longer ones
 *                                                      that contain a
 *
 * half as much again when both sides said it.  Only what stands in two
 * messages at least is a candidate, and of two of which one contains the other
 * the better one is taken.  Ties: what came first, then by bytes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/session/session_internal.h"

#define KEY_MAX    (WRT_SESSION_TOPIC_WORDS * (WRT_SEARCH_WORD_MAX + 1))
#define SLOTS_MIN  1024
#define NO_SIDE    (-1)

typedef struct {
    uint32_t   key;             /* stems: bytes of table_t.keys */
    uint32_t   hash;
    uint32_t   words;
    uint32_t   f;
    uint32_t   last;            /* the message it was counted in last, + 1 */
    uint32_t   order;           /* which one came first */
    uint32_t   longer;          /* candidates that contain it */
    uint32_t   longer_f;
    int        side;            /* who said it first */
    unsigned   both:1;
    unsigned   inside:1;        /* as it stands inside of a sentence */
    uint32_t   from;            /* how it is written: bytes of that message */
    uint32_t   to;
    uint32_t   message;
    double     score;
} phrase_t;

/* Phrases by their stems; open addressing, no removal. */
typedef struct {
    phrase_t       *phrase;
    size_t          n;
    size_t          cap;
    uint32_t       *slot;       /* index + 1; 0: free */
    size_t          slots;      /* a power of two */
    session_buf_t   keys;
} table_t;


/* FNV-1a */
static uint32_t
hash_of(const char *key)
{
    uint32_t  h;

    for (h = 2166136261u; *key; key++) {
        h = (h ^ (unsigned char) *key) * 16777619u;
    }

    return h;
}


static uint32_t *
slot_of(const table_t *t, const char *key, uint32_t hash)
{
    size_t           i;
    const phrase_t  *p;

    for (i = hash & (t->slots - 1); t->slot[i]; i = (i + 1) & (t->slots - 1)) {
        p = &t->phrase[t->slot[i] - 1];

        if (p->hash == hash && strcmp(t->keys.p + p->key, key) == 0) {
            break;
        }
    }

    return &t->slot[i];
}


static void
resize(table_t *t)
{
    size_t  i, k;

    t->slots = t->slots ? t->slots * 2 : SLOTS_MIN;
    free(t->slot);
    t->slot = session_grow(NULL, t->slots * sizeof(uint32_t));
    memset(t->slot, 0, t->slots * sizeof(uint32_t));

    for (i = 0; i < t->n; i++) {
        k = t->phrase[i].hash & (t->slots - 1);

        while (t->slot[k]) {
            k = (k + 1) & (t->slots - 1);
        }

        t->slot[k] = (uint32_t) i + 1;
    }
}


static phrase_t *
find(const table_t *t, const char *key)
{
    uint32_t  *slot;

    slot = slot_of(t, key, hash_of(key));

    return *slot ? &t->phrase[*slot - 1] : NULL;
}


/* The phrase, new if need be; NULL: there are too many. */
static phrase_t *
take(table_t *t, const char *key, uint32_t words)
{
    uint32_t   hash, *slot;
    phrase_t  *p;

    if (t->n * 2 >= t->slots) {
        resize(t);
    }

    hash = hash_of(key);
    slot = slot_of(t, key, hash);

    if (*slot) {
        return &t->phrase[*slot - 1];
    }

    if (t->n == WRT_SESSION_PHRASES_MAX) {
        return NULL;
    }

    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : SLOTS_MIN;
        t->phrase = session_grow(t->phrase, t->cap * sizeof(phrase_t));
    }

    p = &t->phrase[t->n];
    memset(p, 0, sizeof(phrase_t));
    p->key = (uint32_t) t->keys.n;
    p->hash = hash;
    p->words = words;
    p->order = (uint32_t) t->n;
    p->side = NO_SIDE;
    session_add(&t->keys, key, strlen(key) + 1);
    *slot = (uint32_t) ++t->n;

    return p;
}


static int
is_number(const char *word)
{
    return word[strspn(word, "0123456789")] == '\0';
}


/* May word i be part of a topic? */
static int
is_content(const session_t *s, size_t i)
{
    const char    *word;
    const word_t  *w;

    w = &s->words.word[i];
    word = session_fold(s, i);

    return !(session_flags(s, i) & (SESSION_STOP | SESSION_TITLE | SESSION_DOID
                                    | SESSION_DOEN | SESSION_PAST
                                    | SESSION_NOT | SESSION_ACK))
           && !session_is_name(s, word)
           && (w->len > 2 || (unsigned char) word[0] >= 0x80
               || is_number(word))
           && w->len < WRT_SEARCH_WORD_MAX
           && w->to - w->from < WRT_SEARCH_WORD_MAX;
}


/* Does word i go on where word i - 1 ended? */
static int
is_joined(const session_t *s, size_t i)
{
    size_t       from, n;
    const char  *text;

    text = s->cut->text;
    from = s->words.word[i - 1].to;
    n = s->words.word[i].from > from ? s->words.word[i].from - from : 0;

    return n == 0 || (n == 1 && (text[from] == ' ' || text[from] == '-'));
}


/* buku-buku is buku, and no phrase */
static int
is_doubled(const session_t *s, size_t i)
{
    return strcmp(session_fold(s, i), session_fold(s, i - 1)) == 0
           && s->cut->text[s->words.word[i - 1].to] == '-';
}


/* The stems of n words from i on, a blank between them. */
static void
key_of(const session_t *s, size_t i, size_t n, char *key)
{
    size_t  k;

    for (k = i; k < i + n; k++) {
        if (k > i) {
            *key++ = ' ';
        }

        session_stem(session_fold(s, k), key);
        key += strlen(key);
    }
}


static void
count(const session_t *s, table_t *t, size_t message, size_t i, size_t n,
    int inside)
{
    int        side;
    char       key[KEY_MAX];
    phrase_t  *p;

    key_of(s, i, n, key);
    p = take(t, key, (uint32_t) n);

    if (p == NULL) {
        return;
    }

    side = s->person[s->cut->person].side;

    if (p->f == 0 || (inside && !p->inside)) {
        p->inside = inside != 0;
        p->message = (uint32_t) message;
        p->from = s->words.word[i].from;
        p->to = s->words.word[i + n - 1].to;
    }

    if (p->last != message + 1) {
        p->last = (uint32_t) message + 1;
        p->f++;
    }

    if (p->side == NO_SIDE) {
        p->side = side;
    }

    p->both |= p->side != side;
}


/* All candidates that begin at word i of a sentence. */
static void
count_from(const session_t *s, table_t *t, size_t message,
    const session_sentence_t *st, size_t i)
{
    size_t  n, end;

    end = st->first + st->n;

    if (!is_content(s, i) || is_number(session_fold(s, i))
        || (i > st->first && is_doubled(s, i)))
    {
        return;
    }

    for (n = 1; n <= WRT_SESSION_TOPIC_WORDS && i + n <= end; n++) {
        if (n > 1 && (!is_joined(s, i + n - 1) || !is_content(s, i + n - 1)
                      || is_doubled(s, i + n - 1)))
        {
            return;
        }

        count(s, t, message, i, n, i > st->first);
    }
}


/* Parts of a longer phrase learn of it. */
static void
tell_parts(table_t *t, const phrase_t *p)
{
    char        key[KEY_MAX], *word[WRT_SESSION_TOPIC_WORDS], *end, held;
    size_t      i, k, n;
    phrase_t   *part;

    snprintf(key, sizeof(key), "%s", t->keys.p + p->key);
    n = 0;

    for (end = key; n < p->words; end++) {
        word[n++] = end;
        end += strcspn(end, " ");
    }

    for (i = 0; i < n; i++) {
        for (k = i; k < n; k++) {
            if (k - i + 1 == n) {
                continue;
            }

            end = word[k] + strcspn(word[k], " ");
            held = *end;
            *end = '\0';
            part = find(t, word[i]);
            *end = held;

            if (part) {
                part->longer++;
                part->longer_f += p->f;
            }
        }
    }
}


static void
set_scores(table_t *t)
{
    size_t               i;
    double               f;
    phrase_t            *p;

    /* log2(n + 1) */
    static const double  weight[] = { 0, 1.0, 1.5849625, 2.0 };

    for (i = 0; i < t->n; i++) {
        if (t->phrase[i].words > 1 && t->phrase[i].f > 1) {
            tell_parts(t, &t->phrase[i]);
        }
    }

    for (i = 0; i < t->n; i++) {
        p = &t->phrase[i];
        f = p->f;

        if (p->longer) {
            f -= (double) p->longer_f / p->longer;
        }

        p->score = p->f > 1 ? weight[p->words] * f * (p->both ? 1.5 : 1.0)
                            : 0.0;
    }
}


static int
cmp_phrase(const void *a, const void *b)
{
    const phrase_t  *x = a, *y = b;

    if (x->score < y->score || x->score > y->score) {
        return x->score > y->score ? -1 : 1;
    }

    return x->order < y->order ? -1 : x->order > y->order;
}


/* Is one of them, word for word, part of the other? */
static int
overlap(const table_t *t, const phrase_t *a, const phrase_t *b)
{
    size_t       n;
    const char  *x, *y, *at;

    x = t->keys.p + (a->words < b->words ? a->key : b->key);
    y = t->keys.p + (a->words < b->words ? b->key : a->key);
    n = strlen(x);

    for (at = y; (at = strstr(at, x)) != NULL; at++) {
        if ((at == y || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) {
            return 1;
        }
    }

    return 0;
}


static json_t *
best(const session_t *s, table_t *t, size_t max)
{
    size_t                    i, k, n;
    json_t                   *list;
    const phrase_t           *p;
    const session_message_t  *m;

    if (t->n > 0) {
        qsort(t->phrase, t->n, sizeof(phrase_t), cmp_phrase);
    }

    list = json_array();
    n = 0;

    for (i = 0; i < t->n && n < max && t->phrase[i].score > 0.0; i++) {
        p = &t->phrase[i];

        for (k = 0; k < n; k++) {
            if (overlap(t, &t->phrase[k], p)) {
                break;
            }
        }

        if (k < n) {
            continue;
        }

        m = &s->message[p->message];
        session_append(list, session_clean_json(m->text + p->from,
                                                p->to - p->from,
                                                WRT_SESSION_TOPIC_MAX));
        t->phrase[n++] = *p;
    }

    return list;
}


json_t *
session_topics(session_t *s, size_t max)
{
    size_t                     i, k, w;
    json_t                    *list;
    table_t                    t;
    const session_sentence_t  *st;

    memset(&t, 0, sizeof(t));
    resize(&t);

    for (i = 0; i < s->n; i++) {
        session_cut(s, &s->message[i]);

        for (k = 0; k < s->nsentences; k++) {
            st = &s->sentence[k];

            for (w = st->first; w < st->first + st->n; w++) {
                count_from(s, &t, i, st, w);
            }
        }
    }

    set_scores(&t);
    list = best(s, &t, max);

    free(t.phrase);
    free(t.slot);
    free(t.keys.p);

    return list;
}
