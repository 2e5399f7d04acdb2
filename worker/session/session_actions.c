/*
 * session_actions.c: what somebody is to do, by patterns of words; one item a
 * sentence.  docs/sessions.md has the patterns with examples.
 *
 *   request   the one it is said to: his name before it, who is replied to, or
 *             the only one of the other side; else nobody in particular
 *   promise   the sender
 *   shared    all (kita harus, we need to)
 *
 * What hangs on a condition (kalau, if) before the pattern, what is denied and
 * what is already done is none; neither is a question, except one that asks
 * somebody to do something.
 */

#include <stdio.h>
#include <string.h>

#include "worker/session/session_internal.h"

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

typedef enum {
    NONE = 0,
    REQUEST,
    PROMISE,
    SHARED
} kind_t;

typedef struct {
    kind_t   kind;
    size_t   at;                /* word where the pattern begins */
} found_t;

/* Wherever they stand. */
static const char  *requests[] = {
    "tolong", "mohon", "jangan lupa", "please", "kindly", "dont forget",
    "do not forget", "make sure", "pastikan", "remember to"
};

static const char  *obligations[] = {
    "you should", "you must", "you need to", "you need a", "you need an",
    "you need the", "you have to", "you ought to", "kamu harus",
    "kamu perlu", "kamu wajib", "kamu sebaiknya", "sebaiknya kamu",
    "anda harus", "anda perlu", "anda wajib", "anda sebaiknya",
    "sebaiknya anda", "kalian harus", "kalian perlu"
};

/* Of things; the thing is not who is to do it. */
static const char  *passives[] = {
    "perlu di*", "harus di*", "wajib di*"
};

static const char  *passives_ed[] = {
    "needs to be", "need to be", "should be", "must be", "has to be",
    "have to be"
};

static const char  *promises[] = {
    "saya akan", "aku akan", "akan saya", "akan aku", "i will", "i shall",
    "im going to", "i am going to", "im planning to", "i am planning to",
    "i plan to", "i promise to", "saya harus", "saya perlu", "saya wajib",
    "aku harus", "i need to", "i have to", "i must"
};

static const char  *shared[] = {
    "kita harus", "kita perlu", "kita akan", "we need to", "we must",
    "we should", "we have to", "we will"
};

static const char  *deferrals[] = {
    "nanti saya", "nanti aku", "saya cek", "saya lihat dulu", "saya tanyakan",
    "sebentar", "let me", "ill check", "ill ask", "ill think", "ill look",
    "i will check", "i will ask", "i will think", "i will look",
    "get back to you", "one moment", "hold on", "just a second"
};

static const char  *polite[] = {
    "mohon maaf", "mohon izin", "mohon ijin", "mohon maklum", "mohon doa"
};


/* Where the first of the patterns stands; end: nowhere. */
static size_t
find_any(const session_t *s, size_t from, size_t end, const char **list,
    size_t n, size_t *words)
{
    size_t  i, k;

    for (i = from; i < end; i++) {
        for (k = 0; k < n; k++) {
            *words = session_fits(s, i, end, list[k]);

            if (*words) {
                return i;
            }
        }
    }

    *words = 0;

    return end;
}


/* Does one of the words from..to have one of the flags? */
static int
has_flag(const session_t *s, size_t from, size_t to, unsigned flags)
{
    size_t  i;

    for (i = from; i < to; i++) {
        if (session_flags(s, i) & flags) {
            return 1;
        }
    }

    return 0;
}


/* Behind what may stand before: ok, Pak, besok, a name. */
static size_t
skip_openers(const session_t *s, size_t i, size_t end)
{
    while (i < end && ((session_flags(s, i) & (SESSION_OPEN | SESSION_TITLE))
                       || session_is_name(s, session_fold(s, i))))
    {
        i++;
    }

    return i;
}


/* Is there a word from i on that is no form of address? */
static int
goes_on(const session_t *s, size_t i, size_t end)
{
    for ( ; i < end; i++) {
        if (!(session_flags(s, i) & (SESSION_TITLE | SESSION_YOU))
            && !session_is_name(s, session_fold(s, i)))
        {
            return 1;
        }
    }

    return 0;
}


static int
ends_with(const char *word, const char *tail)
{
    size_t  n, m;

    n = strlen(word);
    m = strlen(tail);

    return n > m + 2 && strcmp(word + n - m, tail) == 0;
}


/* Apakah Bapak bisa bantu ...?  Can you send ...? */
int
session_is_request(const session_t *s, const session_sentence_t *t)
{
    size_t    i, k, end, used;
    unsigned  flags;

    static const char  *starts[] = {
        "could you", "can you", "would you please", "will you please",
        "would you mind"
    };
    static const char  *able[] = { "bisa", "bisakah", "dapatkah" };

    end = t->first + t->n;

    if (!t->asks) {
        return 0;
    }

    if (find_any(s, t->first, end, requests, COUNT(requests), &used) < end) {
        return 1;
    }

    i = skip_openers(s, t->first, end);

    for (k = 0; k < COUNT(starts); k++) {
        used = session_fits(s, i, end, starts[k]);

        if (used) {
            return goes_on(s, i + used, end)
                   && !(session_flags(s, i + used) & SESSION_INCHAT);
        }
    }

    i = find_any(s, t->first, end, able, COUNT(able), &used);

    if (i == end) {
        return 0;
    }

    /* the other one is named beside it, and something to do follows */

    k = i + 1;

    if (k < end && (session_flags(s, k) & SESSION_YOU)) {
        k++;

    } else if (i == t->first || !(session_flags(s, i - 1) & SESSION_YOU)) {
        return 0;
    }

    if (k >= end) {
        return 0;
    }

    flags = session_flags(s, k);

    return (flags & SESSION_INCHAT) == 0
           && ((flags & SESSION_DOID) || session_fits(s, k, end, "bantu")
               || session_fits(s, k, end, "mem*")
               || session_fits(s, k, end, "men*"));
}


int
session_is_deferral(const session_t *s, const session_sentence_t *t)
{
    size_t  used, end;

    end = t->first + t->n;

    return find_any(s, t->first, end, deferrals, COUNT(deferrals), &used)
           < end;
}


/* I'll and we'll, which are folded to words of their own. */
static int
is_short_will(const session_t *s, size_t i, const char *fold)
{
    const word_t  *w;

    w = &s->words.word[i];

    return strcmp(session_fold(s, i), fold) == 0
           && w->to - w->from > w->len;
}


/* Does word i, said of oneself, promise something? */
static int
is_promised(const session_t *s, size_t i)
{
    unsigned  flags;

    flags = session_flags(s, i);

    return (flags & SESSION_SELFID)
           || (!(flags & SESSION_NOTSELF)
               && ends_with(session_fold(s, i), "kan")
               && !(flags & SESSION_STOP));
}


/*
 * Nanti aku tulis, saya pinjam besok: any verb, when it is said that it is yet
 * to be done.  Tutors call themselves Bapak and Ibu: nanti Ibu carikan.
 */
static int
is_later(const session_t *s, size_t first, size_t i, size_t end)
{
    int              self;
    size_t           k;
    session_due_t    due;
    const char      *role;

    role = s->person[s->cut->person].role;
    self = session_fits(s, i, end, "saya") || session_fits(s, i, end, "aku");

    if ((!self && !(strcmp(role, "tutor") == 0
                    && (session_fits(s, i, end, "ibu")
                        || session_fits(s, i, end, "bapak"))))
        || i + 1 >= end
        || (session_flags(s, i + 1) & (SESSION_STOP | SESSION_PAST
                                       | SESSION_NOT | SESSION_NOTSELF
                                       | SESSION_WH | SESSION_ACK))
        || session_is_name(s, session_fold(s, i + 1))
        || has_flag(s, first, i, SESSION_PAST | SESSION_NOT))
    {
        return 0;
    }

    for (k = first; k < i; k++) {
        if (session_fits(s, k, end, "nanti")) {
            return 1;
        }
    }

    return self && session_due(s, first, end, &due);
}


/* saya kirim, I'll, let me ask: words that decide; 0: no promise at i. */
static size_t
promise_at(const session_t *s, size_t first, size_t i, size_t end)
{
    size_t  n;

    if (is_short_will(s, i, "ill")) {
        return 1;
    }

    n = session_fits(s, i, end, "let me");
    n = n ? n : session_fits(s, i, end, "i can");

    if (n && i + n < end
        && (session_flags(s, i + n) & (SESSION_LETEN | SESSION_DOEN)))
    {
        return n;
    }

    if ((session_fits(s, i, end, "saya") || session_fits(s, i, end, "aku"))
        && i + 1 < end && is_promised(s, i + 1)
        && !has_flag(s, i > first + 1 ? i - 2 : first, i,
                     SESSION_PAST | SESSION_NOT))
    {
        return 1;
    }

    return is_later(s, first, i, end);
}


/* What is denied, or only so under a condition, is none. */
static int
holds(const session_t *s, size_t first, size_t at, size_t next, size_t end)
{
    return !has_flag(s, first, at, SESSION_IF)
           && !(next < end && (session_flags(s, next) & SESSION_NOT));
}


static int
find_promise(const session_t *s, size_t first, size_t end, found_t *f)
{
    size_t  i, n;

    i = find_any(s, first, end, promises, COUNT(promises), &n);

    if (i < end && goes_on(s, i + n, end) && holds(s, first, i, i + n, end)) {
        f->kind = PROMISE;
        f->at = i;
        return 1;
    }

    for (i = first; i < end; i++) {
        n = promise_at(s, first, i, end);

        if (n && i + n < end && holds(s, first, i, i + n, end)) {
            f->kind = PROMISE;
            f->at = i;
            return 1;
        }
    }

    return 0;
}


static int
find_shared(const session_t *s, size_t first, size_t end, found_t *f)
{
    size_t  i, n;

    i = find_any(s, first, end, shared, COUNT(shared), &n);

    if (i == end) {
        for (i = first, n = 1; i < end; i++) {
            if (is_short_will(s, i, "well")) {
                break;
            }
        }
    }

    if (i == end || !goes_on(s, i + n, end)
        || !holds(s, first, i, i + n, end))
    {
        return 0;
    }

    f->kind = SHARED;
    f->at = i;

    return 1;
}


static int
find_obligation(const session_t *s, size_t first, size_t end, found_t *f)
{
    size_t  i, n;

    f->kind = REQUEST;
    i = find_any(s, first, end, obligations, COUNT(obligations), &n);

    if (i < end && goes_on(s, i + n, end)
        && !has_flag(s, first, i, SESSION_IF)
        && !session_fits(s, i + n, end, "have"))
    {
        f->at = i;
        return 1;
    }

    i = find_any(s, first, end, passives, COUNT(passives), &n);

    if (i < end && !has_flag(s, first, i, SESSION_IF | SESSION_NOT)) {
        f->at = i;
        return 1;
    }

    i = find_any(s, first, end, passives_ed, COUNT(passives_ed), &n);

    if (i < end && i + n < end && ends_with(session_fold(s, i + n), "ed")
        && !has_flag(s, first, i, SESSION_IF | SESSION_NOT))
    {
        f->at = i;
        return 1;
    }

    f->kind = NONE;

    return 0;
}


/*
 * Kumpulkan, usahakan: a verb in -kan without a prefix asks, when it comes
 * first.
 */
static int
is_bare_kan(const session_t *s, size_t i)
{
    size_t             k;
    const char        *word;

    static const char  *prefixes[] = { "me", "di", "ter", "ber", "pe", "se" };

    word = session_fold(s, i);

    if (!ends_with(word, "kan") || strlen(word) < sizeof("masukan")
        || (session_word(word) & SESSION_STOP) || session_is_name(s, word))
    {
        return 0;
    }

    for (k = 0; k < COUNT(prefixes); k++) {
        if (strncmp(word, prefixes[k], strlen(prefixes[k])) == 0) {
            return 0;
        }
    }

    return 1;
}


/* A verb that comes first. */
static int
find_imperative(const session_t *s, size_t first, size_t end, found_t *f)
{
    size_t    i, n;
    unsigned  flags;

    i = skip_openers(s, first, end);

    if (i >= end) {
        return 0;
    }

    f->at = i;
    n = session_fits(s, i, end, "try to");
    n = n ? n : session_fits(s, i, end, "coba");
    n = n ? n : session_fits(s, i, end, "harap");
    n = n ? n : session_fits(s, i, end, "silakan");
    n = n ? n : session_fits(s, i, end, "silahkan");

    if (n && session_fits(s, i, end, "sila*") && i + n < end
        && !(session_flags(s, i + n) & SESSION_DOID))
    {
        return 0;
    }

    flags = session_flags(s, i);

    if (n == 0 && !(flags & (SESSION_DOID | SESSION_DOEN))
        && !is_bare_kan(s, i))
    {
        return 0;
    }

    i += n ? n : 1;

    if (!goes_on(s, i, end) || session_fits(s, i, end, "saya")
        || session_fits(s, i, end, "aku"))
    {
        return 0;
    }

    f->kind = REQUEST;

    return 1;
}


static int
find_action(const session_t *s, const session_sentence_t *t, found_t *f)
{
    size_t  i, n, first, end;

    first = t->first;
    end = first + t->n;
    f->kind = NONE;
    f->at = first;

    if (t->asks) {
        f->kind = session_is_request(s, t) ? REQUEST : NONE;
        return f->kind != NONE;
    }

    i = find_any(s, first, end, requests, COUNT(requests), &n);

    if (i < end && goes_on(s, i + n, end)
        && find_any(s, i, i + 2 < end ? i + 2 : end, polite, COUNT(polite),
                    &n) != i)
    {
        f->kind = REQUEST;
        f->at = i;
        return 1;
    }

    return find_imperative(s, first, end, f)
           || find_promise(s, first, end, f) || find_shared(s, first, end, f)
           || find_obligation(s, first, end, f);
}


/* Whose name is this?  npersons: nobody's, or that of several. */
static size_t
named(const session_t *s, const char *word)
{
    size_t    i, found;
    uint32_t  k;

    found = s->npersons;

    for (i = 0; i < s->npersons; i++) {
        for (k = 0; k < s->person[i].nnames; k++) {
            if (strcmp(s->names.fold
                       + s->names.word[s->person[i].names + k].at, word) == 0)
            {
                if (found < s->npersons && found != i) {
                    return s->npersons;
                }

                found = i;
            }
        }
    }

    return found;
}


/* Who is to do what the sender asks for?  npersons: nobody in particular. */
static size_t
addressed(const session_t *s, const session_sentence_t *t, const found_t *f)
{
    size_t                    i, who, n;
    const session_message_t  *m;

    m = s->cut;

    for (i = t->first; i < f->at; i++) {
        if (session_is_name(s, session_fold(s, i))) {
            who = named(s, session_fold(s, i));

            if (who < s->npersons && who != m->person) {
                return who;
            }
        }
    }

    for (i = 0; m->reply_to && i < s->n && s->message[i].seq < m->seq; i++) {
        if (strcmp(s->message[i].id, m->reply_to) == 0
            && s->message[i].person != m->person)
        {
            return s->message[i].person;
        }
    }

    who = s->npersons;
    n = 0;

    for (i = 0; i < s->npersons; i++) {
        if (s->person[i].side != s->person[m->person].side) {
            who = i;
            n++;
        }
    }

    return n == 1 ? who : s->npersons;
}


/* The day: in the sentence, or alone in the next one. */
static json_t *
due_json(const session_t *s, size_t k, uint32_t *to)
{
    size_t                     i, end;
    json_t                    *o;
    uint32_t                   from;
    session_due_t              due;
    const session_sentence_t  *t;

    t = &s->sentence[k];

    if (!session_due(s, t->first, t->first + t->n, &due)) {
        if (k + 1 == s->nsentences) {
            return json_null();
        }

        t++;
        end = t->first + t->n;

        if (t->asks || !session_due(s, t->first, end, &due)) {
            return json_null();
        }

        for (i = t->first; i < end; i++) {
            if ((i < due.from || i >= due.from + due.n)
                && !(session_flags(s, i) & (SESSION_STOP | SESSION_TITLE)))
            {
                return json_null();
            }
        }

        *to = t->to;
    }

    from = s->words.word[due.from].from;
    o = json_object();
    session_set(o, "text",
                session_clean_json(s->cut->text + from,
                                   s->words.word[due.from + due.n - 1].to
                                   - from, WRT_SESSION_ITEM_MAX));
    session_set(o, "date", session_string(due.date));

    return o;
}


/* Was it said before, by the same one in the same words? */
static int
is_repeated(const json_t *list, const json_t *text, const char *user)
{
    size_t         i;
    const json_t  *v;

    json_array_foreach(list, i, v) {
        if (json_equal(json_object_get(v, "text"), text)
            && strcmp(json_string_value(json_object_get(v, "byUserId")),
                      user) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
add_item(const session_t *s, json_t *list, size_t k, const found_t *f)
{
    size_t                     who;
    json_t                    *o, *due, *text;
    uint32_t                   to;
    const char                *by;
    const session_sentence_t  *t;

    static const char         *kinds[] = {
        "", "request", "promise", "shared"
    };

    t = &s->sentence[k];
    to = t->to;
    due = due_json(s, k, &to);
    text = session_clean_json(s->cut->text + t->from, to - t->from,
                              WRT_SESSION_ITEM_MAX);
    by = s->person[s->cut->person].id;

    if (is_repeated(list, text, by)) {
        json_decref(due);
        json_decref(text);
        return;
    }

    who = f->kind == REQUEST ? addressed(s, t, f)
          : f->kind == PROMISE ? s->cut->person : s->npersons;

    o = json_object();
    session_set(o, "text", text);
    session_set(o, "kind", session_string(kinds[f->kind]));
    session_set(o, "userId", session_string(who < s->npersons
                                            ? s->person[who].id : NULL));
    session_set(o, "byUserId", session_string(by));
    session_set(o, "messageId", session_string(s->cut->id));
    session_set(o, "at", session_time(s->cut->at));
    session_set(o, "due", due);
    session_append(list, o);
}


json_t *
session_actions(session_t *s)
{
    size_t   i, k;
    json_t  *list;
    found_t  f;

    list = json_array();

    for (i = 0; i < s->n; i++) {
        session_cut(s, &s->message[i]);

        for (k = 0; k < s->nsentences; k++) {
            if (find_action(s, &s->sentence[k], &f)) {
                add_item(s, list, k, &f);

                if (json_array_size(list) == WRT_SESSION_ITEMS_MAX) {
                    return list;
                }
            }
        }
    }

    return list;
}
