/*
 * session_internal.h: what the session_*.c files share and nobody else sees.
 */

#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/wrt_id.h"
#include "common/wrt_limits.h"
#include "worker/session/session.h"
#include "worker/store/words.h"

/* A word's part in a conversation: bits of session_word(). */
#define SESSION_STOP     0x00001    /* no part of a topic */
#define SESSION_TITLE    0x00002    /* Pak, Dr. */
#define SESSION_OPEN     0x00004    /* may stand before what is asked for */
#define SESSION_ACK      0x00008    /* oke, thanks: heard, no more */
#define SESSION_ANSWER   0x00010    /* belum, yes: opens an answer */
#define SESSION_WH       0x00020    /* kapan, which: asks */
#define SESSION_PAST     0x00040    /* sudah: it is done */
#define SESSION_NOT      0x00080
#define SESSION_IF       0x00100    /* kalau, when: only then */
#define SESSION_YOU      0x00200
#define SESSION_DOID     0x00400    /* kirim: asks when it comes first */
#define SESSION_DOEN     0x00800    /* send: the same */
#define SESSION_SELFID   0x01000    /* saya kirim: a promise */
#define SESSION_NOTSELF  0x02000    /* saya sarankan: none */
#define SESSION_LETEN    0x04000    /* let me ask: a promise */
#define SESSION_INCHAT   0x08000    /* explain: done by an answer */
#define SESSION_LATER    0x10000    /* nanti: no answer yet */

typedef struct {
    const char  *id;
    const char  *name;
    const char  *role;
    int          side;          /* those of one side do not answer each other */
    uint32_t     names;         /* words of session_t.names, from here */
    uint32_t     nnames;
    int64_t      joined_at;     /* -1: unknown */
    int64_t      left_at;

    unsigned     messages;
    unsigned     files;
    unsigned     responses;
    int64_t      waited;        /* ms, all responses */
} session_person_t;

typedef struct {
    const char  *id;
    const char  *reply_to;      /* NULL: none */
    const char  *text;          /* "": a file without one */
    size_t       len;
    int64_t      seq;
    int64_t      at;
    size_t       person;
    unsigned     file:1;
} session_message_t;

/* A sentence of the text that was cut last. */
typedef struct {
    uint32_t   from;            /* bytes of the text */
    uint32_t   to;
    uint32_t   first;           /* words of session_t.words */
    uint32_t   n;
    unsigned   asks:1;          /* ends with a question mark */
} session_sentence_t;

struct session_s {
    session_person_t    *person;
    size_t               npersons;
    session_message_t   *message;   /* by seq; those that count */
    size_t               n;
    int64_t              start;
    int64_t              end;
    int                  utc_offset;

    words_t              names;     /* words of the participants' names */
    const char *const   *name;      /* each once, sorted */
    size_t               nnames;

    /* of session_cut() */
    const session_message_t  *cut;
    words_t                   words;
    unsigned                 *flags;        /* of each word */
    size_t                    flags_cap;
    session_sentence_t       *sentence;
    size_t                    nsentences;
    size_t                    sentences_cap;
};

/* Text with an end that grows; zero it first. */
typedef struct {
    char    *p;
    size_t   n;
    size_t   cap;
} session_buf_t;


/* session_text.c */

void *session_grow(void *p, size_t n);
void session_add(session_buf_t *b, const char *p, size_t n);
void session_print(session_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Words and sentences of a message, good until the next call. */
void session_cut(session_t *s, const session_message_t *m);
const char *session_fold(const session_t *s, size_t i);
/* Flags of word i. */
unsigned session_flags(const session_t *s, size_t i);
/* Do the words from i on, before end, fit "i will"?  How many; 0: no.  A
 * word of the pattern may be a beginning: "di*". */
size_t session_fits(const session_t *s, size_t i, size_t end,
    const char *pattern);
int session_is_name(const session_t *s, const char *word);
/* The word without -nya and plural s; out has room for it. */
void session_stem(const char *word, char out[WRT_SEARCH_WORD_MAX + 1]);
/*
 * p[0..n) as one line to show: no control characters, direction marks and
 * other characters that are not seen; at most max bytes, then "...".
 */
void session_clean(session_buf_t *b, const char *p, size_t n, size_t max);
json_t *session_clean_json(const char *p, size_t n, size_t max);

void session_set(json_t *object, const char *key, json_t *value);
void session_append(json_t *array, json_t *value);
json_t *session_time(int64_t ms);           /* -1: null */
json_t *session_string(const char *text);   /* NULL: null */


/* session_lexicon.c */

unsigned session_word(const char *word);
const char *session_lexicon(size_t i);      /* NULL: there are no more */


/* session_actions.c */

/* Is a sentence with a question mark one that asks to do something? */
int session_is_request(const session_t *s, const session_sentence_t *t);
int session_is_deferral(const session_t *s, const session_sentence_t *t);


/* session_due.c */

typedef struct {
    size_t  from;               /* words */
    size_t  n;
    char    date[11];           /* YYYY-MM-DD */
} session_due_t;

/* The first day named by words from..end of the text that was cut; 0: none. */
int session_due(const session_t *s, size_t from, size_t end,
    session_due_t *due);

#endif
