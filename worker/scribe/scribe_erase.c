/*
 * scribe_erase.c: a user out of a session that is written up (scribe.h).
 *
 * The transcript loses what says who he is and what he said; its chain covers
 * hashes of that, so that its head stays and it can be verified still
 * (docs/sessions.md).  It goes into the store in pieces of a run of its own, as
 * when it was made; the record that names that run comes last.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/scribe/scribe.h"


/* The transcript as it is stored; NULL: there is none, or (*down) not now. */
static json_t *
erase_read(store_t *st, const json_t *session, int *down)
{
    int      large;
    char     err[TRANSCRIPT_ERROR_SIZE];
    buf_t    text;
    json_t  *t;

    memset(&text, 0, sizeof(text));

    *down = scribe_parts_read(st, session, SIZE_MAX, &text, &large)
            != STORE_OK;
    t = !*down && text.n ? transcript_read(text.p, text.n, err) : NULL;
    buf_free(&text);

    return t;
}


/* Who took part, without him.  Was he there? */
static int
erase_people(json_t *record, const char *user, const char *alias)
{
    int          there;
    size_t       i;
    json_t      *p;
    const char  *id;

    there = 0;

    json_array_foreach(json_object_get(record, "participants"), i, p) {
        id = json_string_value(json_object_get(p, "userId"));

        if (id && strcmp(id, user) == 0) {
            json_object_set_new(p, "userId", json_string(alias));
            there = 1;
        }
    }

    return there;
}


/* What is left of a summary in which he may be named. */
static void
erase_summary(json_t *record)
{
    json_t             *summary;
    const char *const  *key;

    summary = json_object_get(record, "summary");

    if (!json_is_object(summary)) {
        return;
    }

    for (key = scribe_quotes; *key; key++) {
        json_object_set_new(summary, *key, scribe_quote_none(*key));
    }
}


/* The transcript as it is now. */
static json_t *
erase_parts(const scribe_t *w, const json_t *session, int64_t rev,
    const json_t *t)
{
    char            *text;
    size_t           n;
    scribe_parts_t   p;

    text = transcript_write(t, &n);

    if (text == NULL) {
        return json_null();
    }

    scribe_parts_begin(&p, w, session, rev);
    (void) scribe_parts_add(&p, text, n);
    free(text);

    return scribe_parts_end(&p, json_string_value(json_object_get(t,
                                                                  "head")));
}


int
scribe_erase(const scribe_t *w, const json_t *session, const char *user,
    const char *alias)
{
    int       rc, down;
    json_t   *record, *t, *parts;
    int64_t   rev;

    record = scribe_next(session);

    if (!erase_people(record, user, alias)) {
        json_decref(record);
        return 0;
    }

    t = erase_read(w->st, session, &down);

    if (down) {
        json_decref(record);
        return -1;
    }

    rev = json_integer_value(json_object_get(record, "rev"));
    erase_summary(record);

    if (t) {
        (void) transcript_erase_user(t, user);
        parts = erase_parts(w, session, rev, t);
        json_decref(t);

        if (parts == NULL) {
            json_decref(record);
            return -1;
        }

        json_object_set_new(record, "transcript", parts);
    }

    rc = scribe_record(w, json_string_value(
                           json_object_get(session, "conversationId")),
                       json_pack("{s:s, s:o}", "op", "put", "session",
                                 record));

    return rc == 0 ? 1 : -1;
}
