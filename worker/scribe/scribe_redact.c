/*
 * scribe_redact.c: what was deleted since, out of a session that is written up
 * (scribe.h).
 *
 * The projector notes the numbers of what is deleted (effects.c), before
 * anybody can see that it is.  Whoever finds a note that touches a session
 * looks what of it the store no longer has: a message's content and the summary
 * go out of the transcript, whose chain stays (docs/sessions.md), and the texts
 * of the summary are made anew of what is left.  Figures stay as they were when
 * it ended.  Of the transcript a piece is in memory at a time.
 *
 * Two may do so at once: the first record counts, the store keeps the pieces of
 * its transcript alone.  A note is taken away by who finds nothing to do.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/scribe/scribe.h"

#define REDACT_NOTES  1000          /* of a room, at a time */

typedef struct {
    const scribe_t        *w;
    const json_t          *kept;    /* messages of now, by seq */
    size_t                 at;      /* of the next one */
    transcript_eraser_t   *er;
} redact_t;


static int64_t
redact_int(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}


/* -- notes -- */

reply_t *
scribe_gone(rds_t *hub, const char *conversation)
{
    char      from[WRT_ID_MAX + 3], to[WRT_ID_MAX + 3], max[16];
    reply_t  *r;

    /* "<conversation> ...": what follows a blank is an exclamation mark */
    snprintf(from, sizeof(from), "[%s ", conversation);
    snprintf(to, sizeof(to), "(%s!", conversation);
    snprintf(max, sizeof(max), "%d", REDACT_NOTES);

    r = rds_call(hub, "ZRANGE", WRT_KEY_SESSIONS_REDACT, from, to, "BYLEX",
                 "LIMIT", "0", max);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return NULL;
    }

    return r;
}


int
scribe_gone_span(const char *member, int64_t *from, int64_t *to)
{
    char        *end;
    const char  *p;

    p = strchr(member, ' ');
    if (p == NULL) {
        return -1;
    }

    *from = strtoll(p, &end, 10);
    *to = strtoll(end, NULL, 10);

    return 0;
}


int
scribe_gone_touches(const reply_t *gone, const json_t *session)
{
    size_t   i;
    int64_t  lo, hi;

    /* who knows what the others are */
    if (reply_count(gone) >= REDACT_NOTES) {
        return 1;
    }

    for (i = 0; i < reply_count(gone); i++) {
        if (scribe_gone_span(reply_text(reply_at(gone, i)), &lo, &hi) == 0
            && lo <= redact_int(session, "endSeq")
            && hi >= redact_int(session, "startSeq"))
        {
            return 1;
        }
    }

    return 0;
}


/* -- summaries -- */

/* Does it say anything?  That of somebody who was erased says nothing more. */
static int
redact_speaks(const json_t *summary)
{
    const char *const  *key;
    const json_t       *v;

    for (key = scribe_quotes; *key; key++) {
        v = json_object_get(summary, *key);

        if (json_array_size(v) > 0 || json_string_length(v) > 0) {
            return 1;
        }
    }

    return 0;
}


/* The summary with its texts made anew; NULL: they are the same. */
static json_t *
redact_summary(const scribe_t *w, const json_t *session, const json_t *room,
    const json_t *kept)
{
    json_t             *out, *v;
    const json_t       *now, *was;
    scribe_made_t       made;
    const char *const  *key;

    was = json_object_get(session, "summary");

    if (!redact_speaks(was)) {
        return NULL;
    }

    scribe_make(w->cf, session, room, kept, &made);
    now = json_object_get(made.document, "summary");
    out = json_deep_copy(was);

    for (key = scribe_quotes; *key; key++) {
        v = json_object_get(now, *key);
        v = v ? json_incref(v) : scribe_quote_none(*key);
        json_object_set_new(out, *key, v);
    }

    scribe_made_free(&made);

    if (json_equal(out, was)) {
        json_decref(out);
        return NULL;
    }

    return out;
}


/* -- transcripts -- */

/* Is this message, asked for by seq, deleted or not there? */
static int
redact_gone(void *data, const char *id, json_int_t seq)
{
    redact_t      *d;
    const json_t  *m;
    const char    *is;

    d = data;
    m = json_array_get(d->kept, d->at);

    while (m && redact_int(m, "seq") < seq) {
        m = json_array_get(d->kept, ++d->at);
    }

    is = scribe_text(m, "id");

    return m == NULL || redact_int(m, "seq") != seq || is == NULL
           || strcmp(is, id) != 0
           || json_is_string(json_object_get(m, "deletedAt"));
}


static int
redact_piece(void *data, const char *p, size_t n)
{
    redact_t  *d;

    d = data;

    if (d->w->beat) {
        d->w->beat(d->w->data);
    }

    return transcript_erase_add(d->er, p, n);
}


/* The stored transcript without what is gone, to the sink (NULL: nowhere);
 * *erased: entries that lost their content. */
static store_rc_t
redact_transcript(redact_t *d, const json_t *session, int summary,
    transcript_sink_pt sink, void *data, size_t *erased)
{
    int         ended;
    store_rc_t  rc;

    *erased = 0;

    if (!json_is_object(json_object_get(session, "transcript"))) {
        return STORE_OK;
    }

    d->at = 0;
    d->er = transcript_erase_begin(redact_gone, d, summary, sink, data);
    rc = scribe_parts_each(d->w->st, session, redact_piece, d);
    ended = transcript_erase_end(d->er, erased) == 0;

    return rc == STORE_OK && !ended ? STORE_REJECTED : rc;
}


/* Queue the record that comes after this one; summary: the new one, or NULL;
 * erased: its transcript has to lose something. */
static store_rc_t
redact_put(redact_t *d, const json_t *session, json_t *summary, int erased)
{
    size_t           n;
    json_t          *record, *parts;
    store_rc_t       rc;
    const char      *head;
    scribe_parts_t   p;

    record = scribe_next(session);

    if (summary) {
        json_object_set(record, "summary", summary);
    }

    if (erased) {
        head = scribe_text(json_object_get(session, "transcript"), "head");
        scribe_parts_begin(&p, d->w, session, redact_int(record, "rev"));
        rc = redact_transcript(d, session, summary != NULL, scribe_parts_add,
                               &p, &n);
        parts = scribe_parts_end(&p, rc == STORE_OK && head ? head : "");

        if (rc != STORE_OK || !json_is_object(parts)) {
            json_decref(parts);
            json_decref(record);
            return rc == STORE_OK ? STORE_REJECTED : rc;
        }

        json_object_set_new(record, "transcript", parts);
    }

    return scribe_record(d->w, scribe_text(session, "conversationId"),
                         json_pack("{s:s, s:o}", "op", "put", "session",
                                   record))
           == 0 ? STORE_OK : STORE_REJECTED;
}


store_rc_t
scribe_redact(const scribe_t *w, const json_t *session, int *queued)
{
    size_t           erased;
    json_t          *room, *summary;
    redact_t         d;
    store_rc_t       rc;
    session_keep_t   keep;

    *queued = 0;

    if (!json_is_object(json_object_get(session, "transcript"))
        && !redact_speaks(json_object_get(session, "summary")))
    {
        return STORE_OK;
    }

    rc = scribe_gather(w, session, &room, &keep);
    if (rc != STORE_OK) {
        return rc;
    }

    memset(&d, 0, sizeof(d));
    d.w = w;
    d.kept = session_kept(&keep);

    summary = redact_summary(w, session, room, d.kept);
    rc = redact_transcript(&d, session, summary != NULL, NULL, NULL, &erased);

    if (rc == STORE_OK && (summary || erased > 0)) {
        rc = redact_put(&d, session, summary, erased > 0);
        *queued = rc == STORE_OK;
    }

    if (*queued) {
        log_info("session_redacted", "session=%s conversation=%s entries=%zu",
                 scribe_text(session, "id"),
                 scribe_text(session, "conversationId"), erased);
    }

    json_decref(summary);
    session_keep_free(&keep);
    json_decref(room);

    return rc;
}
