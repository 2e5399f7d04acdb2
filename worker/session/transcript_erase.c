/*
 * transcript_erase.c: takes content out of a transcript; its chain stays.
 *
 * A user out of one that is in memory.  Messages out of a file of which only
 * an entry at a time is: an automaton finds where entries begin and end, and
 * what is not touched is passed on as it is spelled.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/session/transcript_internal.h"

#define ERASE_HEAD      "{\"entries\":["
#define ERASE_TAIL_MAX  1024        /* what comes behind the entries */

typedef enum {
    ERASE_AT_HEAD = 0,
    ERASE_BETWEEN,                  /* "{" of an entry, or "," or "]" */
    ERASE_IN_ENTRY,
    ERASE_AT_TAIL,
    ERASE_FAILED
} erase_state_t;

struct transcript_eraser_s {
    transcript_gone_pt  gone;
    void               *gone_data;
    int                 summary;    /* is to go, too */
    transcript_sink_pt  sink;       /* NULL: it is only counted */
    void               *data;
    erase_state_t       state;
    session_buf_t       text;       /* read, and not passed on yet */
    session_buf_t       out;        /* an entry without its content */
    unsigned            depth;
    unsigned            quoted:1;   /* inside of a string */
    unsigned            escaped:1;
    size_t              erased;
};


static const char *
text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}


static int
is_kind(const json_t *entry, const char *kind)
{
    const char  *is;

    is = text_of(entry, "kind");

    return is && strcmp(is, kind) == 0;
}


static size_t
erase(json_t *entry)
{
    size_t  n;

    n = !json_is_null(json_object_get(entry, "content"));
    session_set(entry, "content", json_null());
    session_set(entry, "salt", json_null());

    return n;
}


/* Does one of the strings in it say so?  (What a system message is about.) */
static int
names(const json_t *v, const char *text)
{
    int           found;
    void         *it;
    size_t        i;
    const json_t *e;

    found = json_is_string(v) && strcmp(json_string_value(v), text) == 0;

    if (json_is_array(v)) {
        json_array_foreach(v, i, e) {
            found |= names(e, text);
        }
    }

    if (json_is_object(v)) {
        for (it = json_object_iter((json_t *) v); it;
             it = json_object_iter_next((json_t *) v, it))
        {
            found |= names(json_object_iter_value(it), text);
        }
    }

    return found;
}


size_t
transcript_erase_user(json_t *transcript, const char *user_id)
{
    size_t         i, n;
    json_t        *e;
    json_int_t     number;
    const char    *id;
    const json_t  *v;

    n = 0;
    number = -1;

    json_array_foreach(json_object_get(transcript, "entries"), i, e) {
        v = json_object_get(e, "content");
        id = text_of(v, "userId");

        if (is_kind(e, "participant") && id && strcmp(id, user_id) == 0) {
            number = json_integer_value(json_object_get(e, "number"));
            n += erase(e);
            continue;
        }

        if (number < 0) {
            continue;
        }

        if (is_kind(e, "closed")
            || (is_kind(e, "message")
                && (json_integer_value(json_object_get(e, "participant"))
                    == number || names(v, user_id))))
        {
            n += erase(e);
        }
    }

    return n;
}


transcript_eraser_t *
transcript_erase_begin(transcript_gone_pt gone, void *gone_data, int summary,
    transcript_sink_pt sink, void *data)
{
    transcript_eraser_t  *er;

    er = session_grow(NULL, sizeof(transcript_eraser_t));
    memset(er, 0, sizeof(*er));
    er->gone = gone;
    er->gone_data = gone_data;
    er->summary = summary;
    er->sink = sink;
    er->data = data;

    return er;
}


static int
eraser_give(transcript_eraser_t *er, const session_buf_t *b)
{
    return er->sink ? er->sink(er->data, b->p, b->n) : 0;
}


/* Is the content of this entry to go? */
static int
eraser_wants(transcript_eraser_t *er, const json_t *e)
{
    const char  *id;

    if (json_is_null(json_object_get(e, "content"))) {
        return 0;
    }

    if (is_kind(e, "closed")) {
        /* it may quote a message */
        return er->summary || er->erased > 0;
    }

    id = text_of(e, "messageId");

    return is_kind(e, "message") && id
           && er->gone(er->gone_data, id,
                       json_integer_value(json_object_get(e, "seq")));
}


/* An entry is there as a whole.  0, -1. */
static int
eraser_entry(transcript_eraser_t *er)
{
    int      rc;
    json_t  *e;

    e = json_loadb(er->text.p, er->text.n, JSON_REJECT_DUPLICATES, NULL);

    if (e == NULL) {
        return -1;
    }

    if (eraser_wants(er, e)) {
        er->erased += erase(e);
        er->out.n = 0;
        rc = transcript_canon_entry(&er->out, e);
        rc = rc ? rc : eraser_give(er, &er->out);

    } else {
        rc = eraser_give(er, &er->text);
    }

    json_decref(e);
    er->text.n = 0;

    return rc;
}


/* A byte of an entry.  1: that was its last one. */
static int
eraser_in_entry(transcript_eraser_t *er, char c)
{
    if (er->quoted) {
        if (er->escaped) {
            er->escaped = 0;

        } else if (c == '\\') {
            er->escaped = 1;

        } else if (c == '"') {
            er->quoted = 0;
        }

        return 0;
    }

    if (c == '"') {
        er->quoted = 1;

    } else if (c == '{') {
        er->depth++;

    } else if (c == '}') {
        er->depth--;
    }

    return er->depth == 0;
}


/* A byte that is in text already. */
static erase_state_t
eraser_byte(transcript_eraser_t *er, char c)
{
    size_t  n;

    n = er->text.n;

    switch (er->state) {

    case ERASE_AT_HEAD:
        return c != ERASE_HEAD[n - 1] ? ERASE_FAILED
               : n < sizeof(ERASE_HEAD) - 1 ? ERASE_AT_HEAD : ERASE_BETWEEN;

    case ERASE_BETWEEN:
        if (c == ']') {
            return ERASE_AT_TAIL;
        }

        if (c == '{') {
            /* what stands before it is nothing of the entry's */
            er->text.n--;
            if (eraser_give(er, &er->text) != 0) {
                return ERASE_FAILED;
            }

            er->text.p[0] = c;
            er->text.n = 1;
            er->depth = 1;
            return ERASE_IN_ENTRY;
        }

        return c == ',' ? ERASE_BETWEEN : ERASE_FAILED;

    case ERASE_IN_ENTRY:
        return !eraser_in_entry(er, c) ? ERASE_IN_ENTRY
               : eraser_entry(er) == 0 ? ERASE_BETWEEN : ERASE_FAILED;

    case ERASE_AT_TAIL:
        return n <= ERASE_TAIL_MAX ? ERASE_AT_TAIL : ERASE_FAILED;

    default:
        return ERASE_FAILED;
    }
}


int
transcript_erase_add(void *data, const char *p, size_t n)
{
    size_t                i;
    transcript_eraser_t  *er;

    er = data;

    for (i = 0; i < n && er->state != ERASE_FAILED; i++) {
        session_add(&er->text, &p[i], 1);
        er->state = eraser_byte(er, p[i]);
    }

    return er->state == ERASE_FAILED ? -1 : 0;
}


int
transcript_erase_end(transcript_eraser_t *er, size_t *erased)
{
    int  rc;

    rc = er->state == ERASE_AT_TAIL ? eraser_give(er, &er->text) : -1;
    *erased = er->erased;

    free(er->text.p);
    free(er->out.p);
    free(er);

    return rc;
}
