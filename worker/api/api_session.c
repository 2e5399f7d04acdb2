/*
 * api_session.c: sessions as they are read: lists, summaries, transcripts, and
 * how satisfied people were.
 *
 * Members of the room see them, and those who run the place.  What a path
 * with a consultation's number asks for is its newest session.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"
#include "worker/scribe/scribe.h"
#include "worker/session/transcript.h"

static const char *const  session_types[] = {
    "consultation", "general", NULL
};

static const char *const  session_states[] = {
    "active", "ended", "completed", NULL
};

static const char *const  session_formats[] = { "json", "markdown", NULL };


static const char *
session_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}


int
session_newest(api_t *a, call_t *c, json_t **out)
{
    int                waits;
    json_t            *list;
    reply_t           *gone;
    int64_t            total;
    store_t           *st;
    store_rc_t         rc;
    store_sessions_t   q;

    *out = NULL;

    st = api_store(a, c);
    if (st == NULL || api_gone(a, c, c->ids[0], &gone) != 0) {
        return -1;
    }

    memset(&q, 0, sizeof(q));
    q.consultation = c->ids[1];
    q.limit = 1;

    rc = store_sessions(st, &q, &list, &total);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        reply_free(gone);
        api_store_error(a, c, rc);
        return -1;
    }

    waits = 0;

    if (json_array_size(list)) {
        waits = api_redact(a, c, gone, json_array_get(list, 0));
        *out = waits ? NULL : json_incref(json_array_get(list, 0));
    }

    json_decref(list);
    reply_free(gone);

    return waits;
}


/* What the caller may see of a room, as the store has it.  1: it is to be
 * waited for, -1: answered. */
static int
session_room(api_t *a, call_t *c, const char *room, access_t *x)
{
    int  waits;

    if (api_access(a, c, room, x) != 0 || may_read(c, x) != 0) {
        return -1;
    }

    if (c->step > 0) {
        return 0;
    }

    waits = api_wait_state(a, c, room, x);

    return waits;
}


/* The newest session of the path's consultation; 1, -1: as above. */
static int
session_of_consult(api_t *a, call_t *c, access_t *x, json_t **out)
{
    int  rc;

    rc = consult_find(a, c) == 0 ? session_room(a, c, c->ids[0], x) : -1;

    if (rc != 0) {
        return rc;
    }

    rc = session_newest(a, c, out);

    if (rc == 0 && *out == NULL) {
        api_error(c, 404, "not_found", NULL,
                  "the consultation has no session yet");
        rc = -1;
    }

    return rc;
}


/* That of the path, as the store has it.  0, or -1: answered. */
static int
session_read(api_t *a, call_t *c, json_t **out)
{
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_session(st, c->ids[0], out);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    return 0;
}


/* The session of the path; read once for its room, and once more when all of
 * the room is in the store. */
static int
session_of_path(api_t *a, call_t *c, access_t *x, json_t **out)
{
    int        rc;
    char       room[WRT_ID_MAX + 1];
    reply_t   *gone;

    *out = NULL;

    if (session_read(a, c, out) != 0) {
        return -1;
    }

    text_copy(room, sizeof(room), session_text(*out, "conversationId"));
    json_decref(*out);
    *out = NULL;

    rc = session_room(a, c, room, x);

    if (rc != 0 || api_gone(a, c, room, &gone) != 0) {
        return rc != 0 ? rc : -1;
    }

    rc = session_read(a, c, out) == 0 ? api_redact(a, c, gone, *out) : -1;
    reply_free(gone);

    if (rc != 0) {
        json_decref(*out);
        *out = NULL;
    }

    return rc;
}


typedef int (*session_find_pt)(api_t *a, call_t *c, access_t *x,
    json_t **out);


static api_rc_t
session_show(api_t *a, call_t *c, session_find_pt find)
{
    int        rc;
    json_t    *s;
    access_t   x;

    rc = find(a, c, &x, &s);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    return api_ok(c, 200, NULL,
                  json_pack("{s:O, s:O, s:o}",
                            "summary", json_object_get(s, "summary"),
                            "analytics", json_object_get(s, "analytics"),
                            "session", s));
}


api_rc_t
consult_summary(api_t *a, call_t *c)
{
    return session_show(a, c, session_of_consult);
}


api_rc_t
session_get(api_t *a, call_t *c)
{
    return session_show(a, c, session_of_path);
}


/* -- lists -- */

/* Until the store has all of the rooms in question.  1, 0, -1: answered. */
static int
list_wait(api_t *a, call_t *c, const char *room)
{
    access_t  x;

    if (room) {
        return session_room(a, c, room, &x);
    }

    return c->step > 0 ? 0 : api_wait_user(a, c, c->rights ? NULL : c->user);
}


/* 0, or -1: answered. */
static int
list_read(api_t *a, call_t *c, const store_sessions_t *q, json_t **out,
    int64_t *total)
{
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_sessions(st, q, out, total);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    return 0;
}


/* Of these sessions none says what is gone.  1: it is to be waited for, -1:
 * answered. */
static int
list_clean(api_t *a, call_t *c, const store_sessions_t *q, json_t **out,
    int64_t *total)
{
    int      rc, any;
    json_t  *seen;

    *out = NULL;
    any = api_any_gone(a, c);

    if (any < 0 || list_read(a, c, q, out, total) != 0) {
        return -1;
    }

    if (any == 0) {
        return 0;
    }

    /* notes first, then what is answered; one that was written up in between
     * was not looked at */
    seen = *out;
    *out = NULL;
    rc = api_redact_all(a, c, seen);
    rc = rc ? rc : list_read(a, c, q, out, total);

    if (rc == 0 && !json_equal(seen, *out)) {
        json_decref(*out);
        *out = NULL;
        rc = 1;
    }

    json_decref(seen);

    return rc;
}


api_rc_t
session_list(api_t *a, call_t *c)
{
    int                rc;
    json_t            *list;
    int64_t            page, limit, total;
    store_sessions_t   q;

    memset(&q, 0, sizeof(q));
    page = 1;
    limit = WRT_PAGE_SESSIONS;

    if (api_param_int(c, "page", 1, INT32_MAX, &page) != 0
        || api_param_int(c, "limit", 1, WRT_PAGE_SESSIONS_MAX, &limit) != 0
        || api_param_id(c, "conversationId", &q.conversation) != 0
        || api_param_id(c, "consultationId", &q.consultation) != 0
        || api_param_one_of(c, "type", session_types,
                            "consultation or general", &q.type) != 0
        || api_param_one_of(c, "status", session_states,
                            "active, ended or completed", &q.status) != 0)
    {
        return API_DONE;
    }

    q.user = q.conversation || c->rights ? NULL : c->user;
    q.page = (int) page;
    q.limit = (int) limit;

    rc = list_wait(a, c, q.conversation);
    rc = rc ? rc : list_clean(a, c, &q, &list, &total);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    return api_ok(c, 200, NULL,
                  json_pack("{s:o, s:{s:I, s:I, s:I, s:I}}", "sessions", list,
                            "pagination", "page", (json_int_t) page,
                            "limit", (json_int_t) limit,
                            "total", (json_int_t) total, "totalPages",
                            (json_int_t) ((total + limit - 1) / limit)));
}


/* Those of the next consultation in the same room are not its own. */
static void
messages_cut(json_t *list, const char *consultation, int *more)
{
    size_t       i;
    const char  *id;

    for (i = json_array_size(list); i > 0; i--) {
        id = session_text(json_array_get(list, i - 1), "consultationId");

        if (id == NULL || strcmp(id, consultation) != 0) {
            json_array_remove(list, i - 1);
            *more = 0;
        }
    }
}


api_rc_t
consult_messages(api_t *a, call_t *c)
{
    int            rc, more;
    json_t        *doc, *list;
    int64_t        limit, from;
    store_t       *st;
    access_t       x;
    store_rc_t     src;
    store_page_t   q;

    memset(&q, 0, sizeof(q));
    q.page = 1;
    q.before_ms = -1;
    q.before_seq = -1;
    q.after_seq = -1;
    limit = WRT_PAGE_MESSAGES;

    if (api_param_int(c, "limit", 1, WRT_PAGE_MESSAGES_MAX, &limit) != 0
        || api_param_int(c, "afterSeq", 0, (int64_t) 1 << 53, &q.after_seq)
           != 0)
    {
        return API_DONE;
    }

    rc = consult_find(a, c) == 0 ? session_room(a, c, c->ids[0], &x) : -1;

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    src = store_consultation(st, c->ids[1], &doc);

    if (src == STORE_OK) {
        from = json_integer_value(json_object_get(doc, "fromSeq")) - 1;
        json_decref(doc);

        q.conversation = c->ids[0];
        q.limit = (int) limit;
        q.after_seq = q.after_seq > from ? q.after_seq : from < 0 ? 0 : from;
        src = store_messages(st, &q, &list, &more);
    }

    role_store_result(a->role, src);

    if (src != STORE_OK) {
        return api_store_error(a, c, src);
    }

    messages_cut(list, c->ids[1], &more);

    return api_ok(c, 200, NULL,
                  json_pack("{s:o, s:{s:I, s:b}}", "messages", list,
                            "pagination", "limit", (json_int_t) limit,
                            "hasMore", more));
}


/* -- satisfaction -- */

/* {"rating","comment"} of the body; NULL: answered. */
static json_t *
rate_body(call_t *c)
{
    int              rc;
    char             at[WRT_TIME_LEN + 1];
    json_t          *v, *out;
    wrt_slice_t      comment;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    out = NULL;

    if (wrt_envelope_parse_body(&e, c->body, c->body_len, &why) != 0
        || (rc = wrt_envelope_string(&e, "comment", WRT_RATING_TEXT_MAX,
                                     &comment, &why)) < 0)
    {
        body_refused(c, &why);
        wrt_envelope_free(&e);
        return NULL;
    }

    v = json_object_get(e.data, "rating");

    if (!json_is_integer(v) || json_integer_value(v) < 1
        || json_integer_value(v) > WRT_RATING_MAX)
    {
        api_error(c, 400, "invalid_request", "rating",
                  "rating must be a whole number from 1 to 5");

    } else {
        wrt_time_format(now_ms(), at);
        out = json_pack("{s:s, s:s, s:O, s:s}", "op", "rate", "userId",
                        c->user, "rating", v, "at", at);
        json_object_set_new(out, "comment",
                            rc == 1 && comment.n > 0
                            ? json_stringn(comment.p, comment.n)
                            : json_null());
    }

    wrt_envelope_free(&e);

    return out;
}


/* Who of them he is; NULL: none. */
static json_t *
rate_among(const json_t *list, const char *user)
{
    size_t       i;
    json_t      *p;
    const char  *id;

    json_array_foreach(list, i, p) {
        id = session_text(p, "userId");

        if (id && strcmp(id, user) == 0) {
            return p;
        }
    }

    return NULL;
}


/* Has he said just this?  A process that died may have put it down for him; of
 * two calls at once the store keeps the first. */
static int
rate_stands(const call_t *c, const json_t *mine, const json_t *body)
{
    return (c->claimed || c->state)
           && json_equal(json_object_get(mine, "rating"),
                         json_object_get(body, "rating"))
           && json_equal(json_object_get(mine, "comment"),
                         json_object_get(body, "comment"));
}


/* 1: queued, to be waited for; 0: it stands already; -1: answered. */
static int
rate_queue(api_t *a, call_t *c, const access_t *x, const json_t *s)
{
    json_t      *body, *mine;
    scribe_t     w;
    const char  *room, *status;

    room = session_text(s, "conversationId");
    status = session_text(s, "status");

    if (!x->member
        && !rate_among(json_object_get(s, "participants"), c->user))
    {
        api_error(c, 403, "forbidden", NULL,
                  "only a participant may say how satisfied he was");
        return -1;
    }

    if (status && strcmp(status, "active") == 0) {
        api_error(c, 409, "conflict", NULL, "the session is still under way");
        return -1;
    }

    body = rate_body(c);
    if (body == NULL) {
        return -1;
    }

    mine = rate_among(json_object_get(s, "ratings"), c->user);

    if (mine ? rate_stands(c, mine, body) : c->state != NULL) {
        json_decref(body);
        return 0;
    }

    if (mine) {
        json_decref(body);
        api_error(c, 409, "conflict", NULL,
                  "you have said already how satisfied you were");
        return -1;
    }

    json_object_set(body, "sessionId", json_object_get(s, "id"));
    api_scribe(a, NULL, room, &w);

    if (w.shard == NULL) {
        json_decref(body);
        api_unavailable(c);
        return -1;
    }

    if (scribe_record(&w, room, body) != 0) {
        api_unavailable(c);
        return -1;
    }

    return api_wait_shard(a, c, room) < 0 ? -1 : 1;
}


static api_rc_t
rate(api_t *a, call_t *c, session_find_pt find)
{
    int        rc;
    json_t    *s;
    access_t   x;

    rc = find(a, c, &x, &s);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    rc = rate_queue(a, c, &x, s);

    if (rc > 0) {
        c->state = mem_zero(1);             /* it was said */
        c->state_free = free;
    }

    if (rc != 0) {
        json_decref(s);
        return rc < 0 ? API_DONE : API_WAIT;
    }

    return api_ok(c, 201, "Thank you",
                  json_pack("{s:O, s:o}",
                            "analytics", json_object_get(s, "analytics"),
                            "session", s));
}


api_rc_t
consult_rate(api_t *a, call_t *c)
{
    return rate(a, c, session_of_consult);
}


api_rc_t
session_rate(api_t *a, call_t *c)
{
    return rate(a, c, session_of_path);
}


/* -- transcripts -- */

#define TRANSCRIPT_LARGE  1         /* larger than max */
#define TRANSCRIPT_AGAIN  2         /* made anew meanwhile: another look */

/* The file that was written when the session ended, into text.  0, -1:
 * answered, or one of these. */
static int
transcript_stored(api_t *a, call_t *c, store_t *st, const json_t *s,
    size_t max, buf_t *text)
{
    int         large;
    store_rc_t  rc;

    rc = scribe_parts_read(st, s, max, text, &large);
    role_store_result(a->role, rc);

    if (rc == STORE_NOT_FOUND && c->step <= API_REDACT_STEPS) {
        return TRANSCRIPT_AGAIN;
    }

    if (rc != STORE_OK) {
        (void) (rc == STORE_NOT_FOUND ? api_unavailable(c)
                                      : api_store_error(a, c, rc));
        return -1;
    }

    return large ? TRANSCRIPT_LARGE : 0;
}


/* That of a session of which none is kept, as of now. */
static int
transcript_now(api_t *a, call_t *c, store_t *st, const json_t *s, size_t max,
    buf_t *text)
{
    int          large;
    scribe_t     w;
    store_rc_t   rc;

    api_scribe(a, st, session_text(s, "conversationId"), &w);
    rc = scribe_transcript_now(&w, s, max, text, &large);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    if (text->n == 0 && !large) {
        api_unavailable(c);
        return -1;
    }

    return large ? TRANSCRIPT_LARGE : 0;
}


/* The answer: a file in a string, so that its bytes stay as they are. */
static api_rc_t
transcript_answer(api_t *a, call_t *c, const json_t *s, const buf_t *text,
    int markdown)
{
    char         err[TRANSCRIPT_ERROR_SIZE], *md;
    json_t      *t, *content;
    size_t       size;
    api_rc_t     rc;

    t = transcript_read(text->p, text->n, err);
    md = t && markdown ? transcript_markdown(t, a->cf->utc_offset, &size)
                       : NULL;
    content = markdown ? (md ? json_stringn(md, size) : NULL)
                       : json_stringn(text->p, text->n);

    if (t == NULL || content == NULL) {
        log_error("transcript", "session=%s error=\"%s\"",
                  session_text(s, "id"), t ? "no Markdown" : err);
        json_decref(content);
        rc = api_unavailable(c);

    } else {
        rc = api_ok(c, 200, NULL,
                    json_pack("{s:O, s:s, s:o, s:s, s:O, s:o}",
                              "sessionId", json_object_get(s, "id"),
                              "format", markdown ? "markdown" : "json",
                              "fileName",
                              json_sprintf("session-%s.%s",
                                           session_text(s, "id"),
                                           markdown ? "md" : "json"),
                              "mimeType", markdown ? "text/markdown"
                                                   : "application/json",
                              "head", json_object_get(t, "head"),
                              "content", content));
    }

    free(md);
    json_decref(t);

    return rc;
}


/* Of a session that is written up. */
static api_rc_t
transcript_of(api_t *a, call_t *c, const json_t *s, int markdown)
{
    int        rc;
    buf_t      text;
    size_t     max;
    store_t   *st;
    api_rc_t   arc;

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    memset(&text, 0, sizeof(text));
    max = markdown ? WRT_TRANSCRIPT_TOLD_MAX : WRT_REPLY_MAX;

    rc = json_is_object(json_object_get(s, "transcript"))
         ? transcript_stored(a, c, st, s, max, &text)
         : transcript_now(a, c, st, s, max, &text);

    arc = rc < 0 ? API_DONE
          : rc == TRANSCRIPT_AGAIN ? API_WAIT
          : rc == TRANSCRIPT_LARGE
            ? api_error(c, 413, "too_large", NULL,
                        "the transcript is too large to be answered")
            : transcript_answer(a, c, s, &text, markdown);
    buf_free(&text);

    return arc;
}


static api_rc_t
transcript(api_t *a, call_t *c, session_find_pt find)
{
    int          rc;
    json_t      *s;
    access_t     x;
    api_rc_t     arc;
    const char  *status, *format;

    format = session_formats[0];

    if (api_param_one_of(c, "format", session_formats, "json or markdown",
                         &format) != 0)
    {
        return API_DONE;
    }

    rc = find(a, c, &x, &s);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    status = session_text(s, "status");

    arc = status && strcmp(status, "completed") == 0
          ? transcript_of(a, c, s, strcmp(format, "markdown") == 0)
          : api_error(c, 409, "conflict", NULL,
                      "the session is not written up yet");
    json_decref(s);

    return arc;
}


api_rc_t
consult_transcript(api_t *a, call_t *c)
{
    return transcript(a, c, session_of_consult);
}


api_rc_t
session_transcript(api_t *a, call_t *c)
{
    return transcript(a, c, session_of_path);
}
