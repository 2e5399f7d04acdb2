/*
 * session_questions.c: questions that nobody answered.
 *
 * A question is a sentence with a question mark, or one that opens as only a
 * question does (apakah, how many); a request is none.  The other side answers
 * it with a message that
 *
 *   1. replies to it (replyTo), or
 *   2. stands in its next turn, says something of its own, and
 *      a. has a word of the question, or
 *      b. has a number or a day, when the question asks for one, or
 *      c. the question was the last one of its turn, and this turn does not
 *         open as one that only takes note (baik, ok), or
 *   3. comes later, WRT_SESSION_ANSWER_MAX messages at most, and has two
 *      words of the question.
 *
 * A message says something of its own unless it is thanks and the like, puts
 * off (nanti saya cek) or asks back.  A question without a word of its own
 * (ada lagi?) is answered by whatever comes in the next turn but thanks.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/session/session_internal.h"

#define STEMS_MAX  48           /* of one message, of one question */

/* A message as a possible answer. */
typedef struct {
    uint32_t   stem;            /* of all stems, as hashes */
    uint32_t   nstems;
    int        side;
    unsigned   says:1;          /* something of its own */
    unsigned   thanks:1;        /* and nothing else */
    unsigned   figure:1;        /* a number or a day */
    unsigned   notes:1;         /* opens as one that takes note */
} answer_t;

typedef struct {
    size_t     message;
    uint32_t   from;
    uint32_t   to;
    uint32_t   stem[STEMS_MAX];
    uint32_t   nstems;
    unsigned   figure:1;        /* asks for a number or a day */
    unsigned   last:1;          /* of its turn */
} question_t;

typedef struct {
    answer_t    *answer;        /* one for each message */
    uint32_t    *stem;
    size_t       nstems;
    size_t       stems_cap;
    question_t  *question;
    size_t       n;
    size_t       cap;
} table_t;


static uint32_t
stem_hash(const session_t *s, size_t i)
{
    char      stem[WRT_SEARCH_WORD_MAX + 1], *p;
    uint32_t  h;

    session_stem(session_fold(s, i), stem);

    for (h = 2166136261u, p = stem; *p; p++) {
        h = (h ^ (unsigned char) *p) * 16777619u;
    }

    return h;
}


/* Does word i say what it is about? */
static int
is_content(const session_t *s, size_t i)
{
    return !(session_flags(s, i) & (SESSION_STOP | SESSION_TITLE
                                    | SESSION_ACK | SESSION_WH
                                    | SESSION_PAST | SESSION_NOT))
           && !session_is_name(s, session_fold(s, i))
           && s->words.word[i].len > 1;
}


/* The different stems of n words from i on. */
static uint32_t
take_stems(const session_t *s, size_t i, size_t n, uint32_t stem[STEMS_MAX])
{
    size_t    end;
    uint32_t  k, count, h;

    count = 0;

    for (end = i + n; i < end && count < STEMS_MAX; i++) {
        if (!is_content(s, i)) {
            continue;
        }

        h = stem_hash(s, i);

        for (k = 0; k < count && stem[k] != h; k++) {
            continue;
        }

        if (k == count) {
            stem[count++] = h;
        }
    }

    return count;
}


/* Does it ask for a number or a day? */
static int
asks_figure(const session_t *s, const session_sentence_t *t)
{
    size_t             i, k, end;

    static const char  *list[] = {
        "berapa", "seberapa", "kapan", "when", "how many", "how much",
        "how long", "how often", "what time", "jam berapa", "bulan apa",
        "hari apa"
    };

    end = t->first + t->n;

    for (i = t->first; i < end; i++) {
        for (k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
            if (session_fits(s, i, end, list[k])) {
                return 1;
            }
        }
    }

    return 0;
}


/* Without a question mark: does it open as a question? */
static int
opens_question(const session_t *s, const session_sentence_t *t)
{
    size_t             i, k, end;

    static const char  *list[] = {
        "apakah", "bagaimana dengan", "bagaimana cara", "bagaimana kalau",
        "gimana kalau", "kenapa", "mengapa", "berapa", "bolehkah",
        "bisakah saya", "how many", "how much", "how long", "how often",
        "how do", "how does", "how can", "how should", "what is", "what are",
        "what does", "what should", "where is", "where can", "where should",
        "when is", "when should", "when do", "why is", "why do", "why does",
        "which one", "should i", "can i", "may i", "could i", "do i"
    };

    end = t->first + t->n;
    i = t->first;

    while (i < end && (session_flags(s, i) & (SESSION_OPEN | SESSION_TITLE))
           && !(session_flags(s, i) & SESSION_WH))
    {
        i++;
    }

    for (k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
        if (session_fits(s, i, end, list[k])) {
            return t->n > 2;
        }
    }

    return 0;
}


static int
is_thanks(const session_t *s, size_t i)
{
    return (session_flags(s, i) & (SESSION_ACK | SESSION_TITLE))
           || session_is_name(s, session_fold(s, i));
}


static int
is_question(const session_t *s, const session_sentence_t *t)
{
    size_t  i, end;

    if (!t->asks) {
        return opens_question(s, t);
    }

    /* ya? ok, Pak? */

    end = t->first + t->n;

    for (i = t->first; i < end && is_thanks(s, i); i++) {
        continue;
    }

    return i < end && !session_is_request(s, t);
}


static void
add_question(table_t *t, const session_t *s, size_t message,
    const session_sentence_t *st)
{
    question_t  *q;

    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 32;
        t->question = session_grow(t->question, t->cap * sizeof(question_t));
    }

    q = &t->question[t->n++];
    q->message = message;
    q->from = st->from;
    q->to = st->to;
    q->nstems = take_stems(s, st->first, st->n, q->stem);
    q->figure = asks_figure(s, st);
    q->last = 0;
}


static int
has_figure(const session_t *s)
{
    size_t         i;
    session_due_t  due;

    for (i = 0; i < s->words.n; i++) {
        if (strpbrk(session_fold(s, i), "0123456789")) {
            return 1;
        }
    }

    return session_due(s, 0, s->words.n, &due);
}


/* The message that was cut, as an answer; its questions. */
static void
look_at(table_t *t, const session_t *s, size_t message)
{
    size_t                     i;
    answer_t                  *a;
    unsigned                   flags;
    const session_sentence_t  *st;

    a = &t->answer[message];
    a->side = s->person[s->cut->person].side;
    a->says = s->words.n == 0;          /* a file, a sign: who knows */
    a->thanks = 0;
    a->notes = 0;

    for (i = 0; i < s->words.n && is_thanks(s, i); i++) {
        continue;
    }

    if (i == s->words.n) {
        /* "ya", "sure": thanks to a statement, an answer to a question */
        a->thanks = i > 0 && !(session_flags(s, 0) & SESSION_ANSWER);
        a->says = !a->thanks;
    }

    if (s->words.n) {
        /* baik, thanks; not "saya", which "saya catat" has, too */
        flags = session_flags(s, 0);
        a->notes = (flags & SESSION_ACK) && (flags & SESSION_OPEN)
                   && !(flags & SESSION_ANSWER);
    }

    for (i = 0; i < s->nsentences; i++) {
        st = &s->sentence[i];

        if (is_question(s, st)) {
            add_question(t, s, message, st);

        } else if (!session_is_deferral(s, st) && !a->thanks) {
            a->says = 1;
        }
    }

    a->figure = has_figure(s);

    if (t->stems_cap - t->nstems < STEMS_MAX) {
        t->stems_cap = (t->stems_cap + STEMS_MAX) * 2;
        t->stem = session_grow(t->stem, t->stems_cap * sizeof(uint32_t));
    }

    a->stem = (uint32_t) t->nstems;
    a->nstems = take_stems(s, 0, s->words.n, t->stem + t->nstems);
    t->nstems += a->nstems;
}


/* Which questions were the last ones of their turn? */
static void
set_last(table_t *t)
{
    int     side;
    size_t  i, k;

    for (i = 0; i < t->n; i++) {
        side = t->answer[t->question[i].message].side;

        if (i + 1 == t->n) {
            t->question[i].last = 1;
            continue;
        }

        for (k = t->question[i].message;
             k < t->question[i + 1].message && t->answer[k].side == side; k++)
        {
            continue;
        }

        t->question[i].last = t->answer[k].side != side;
    }
}


static unsigned
in_common(const table_t *t, const question_t *q, const answer_t *a)
{
    unsigned  n;
    uint32_t  i, k;

    n = 0;

    for (i = 0; i < q->nstems; i++) {
        for (k = 0; k < a->nstems; k++) {
            if (q->stem[i] == t->stem[a->stem + k]) {
                n++;
                break;
            }
        }
    }

    return n;
}


/* Rule 2; notes: the turn opened as one that takes note. */
static int
answers_next(const table_t *t, const question_t *q, const answer_t *a,
    int notes)
{
    if (q->nstems == 0) {
        return !a->thanks;
    }

    return a->says && (in_common(t, q, a) > 0 || (q->figure && a->figure)
                       || (q->last && !notes));
}


static int
is_answered(const session_t *s, const table_t *t, const question_t *q)
{
    int                       turn, notes;
    size_t                    k, end;
    const answer_t           *a;
    const session_message_t  *m;

    end = q->message + 1 + WRT_SESSION_ANSWER_MAX;
    end = end < s->n ? end : s->n;
    turn = 0;                   /* 1: the other side's next one; 2: later */
    notes = 0;

    for (k = q->message + 1; k < end; k++) {
        a = &t->answer[k];
        m = &s->message[k];

        if (a->side == t->answer[q->message].side) {
            turn = turn ? 2 : 0;
            continue;
        }

        if (m->reply_to && strcmp(m->reply_to, s->message[q->message].id) == 0)
        {
            return 1;
        }

        if (turn == 0) {
            turn = 1;
            notes = a->notes;
        }

        if (turn == 1 ? answers_next(t, q, a, notes)
                      : a->says && in_common(t, q, a) >= 2)
        {
            return 1;
        }
    }

    return 0;
}


json_t *
session_questions(session_t *s)
{
    size_t                    i;
    json_t                   *list, *o;
    table_t                   t;
    const question_t         *q;
    const session_message_t  *m;

    memset(&t, 0, sizeof(t));
    t.answer = session_grow(NULL, s->n * sizeof(answer_t));

    for (i = 0; i < s->n; i++) {
        session_cut(s, &s->message[i]);
        look_at(&t, s, i);
    }

    set_last(&t);
    list = json_array();

    for (i = 0; i < t.n && json_array_size(list) < WRT_SESSION_ITEMS_MAX;
         i++)
    {
        q = &t.question[i];

        if (is_answered(s, &t, q)) {
            continue;
        }

        m = &s->message[q->message];
        o = json_object();
        session_set(o, "text",
                    session_clean_json(m->text + q->from, q->to - q->from,
                                       WRT_SESSION_ITEM_MAX));
        session_set(o, "userId", session_string(s->person[m->person].id));
        session_set(o, "messageId", session_string(m->id));
        session_set(o, "at", session_time(m->at));
        session_append(list, o);
    }

    free(t.answer);
    free(t.stem);
    free(t.question);

    return list;
}
