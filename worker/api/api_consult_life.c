/*
 * api_consult_life.c: a consultation after its confirmation: started, ended,
 * cancelled, nobody came, put off.
 *
 *   confirmed --start--> started --end--> ended
 *       |  ^                |               |
 *       |  +--reschedule    |               +--start--> started (another
 *       +--cancel, no-show--+                           session)
 *
 * Each is one numbered event of the room: the session is opened or closed, the
 * status changed and the room archived by the same event, or not at all.
 * Asking for what is so already changes nothing and is answered 200.  A start
 * is the system message consultation_started, the others are
 * conversation_updated.
 */

#include <string.h>

#include "worker/api/api.h"
#include "worker/scribe/scribe.h"


static const char *
life_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}


int
consult_find(api_t *a, call_t *c)
{
    char         room[WRT_OID_LEN + 1];
    json_t      *doc;
    store_t     *st;
    store_rc_t   rc;

    if (c->ids[1][0]) {
        return 0;                   /* found before a wait */
    }

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_consultation(st, c->ids[0], &doc);
    role_store_result(a->role, rc);

    if (rc != STORE_OK && rc != STORE_NOT_FOUND) {
        api_store_error(a, c, rc);
        return -1;
    }

    /* its confirmation may be on its way into the store */
    if (rc == STORE_NOT_FOUND && consult_room(room, c->ids[0]) != 0) {
        api_unavailable(c);
        return -1;
    }

    memcpy(c->ids[1], c->ids[0], sizeof(c->ids[1]));
    text_copy(c->ids[0], sizeof(c->ids[0]),
              rc == STORE_OK ? life_text(doc, "conversationId") : room);

    if (rc == STORE_OK) {
        json_decref(doc);
    }

    return 0;
}


/* The room, if the caller may do this and it is about this consultation;
 * NULL: answered. */
static json_t *
life_room(api_t *a, call_t *c, store_t *st, const access_t *x)
{
    json_t      *doc;
    const char  *current;

    if (may_lead(c, x) != 0 || conv_read(a, c, st, &doc) != 0) {
        return NULL;
    }

    current = life_text(doc, "consultationId");

    if (current && strcmp(current, c->ids[1]) == 0) {
        return doc;
    }

    if (current) {
        api_error(c, 409, "conflict", NULL,
                  "another consultation has taken over this room");

    } else {
        api_not_found(c);
    }

    json_decref(doc);

    return NULL;
}


static int
life_is(const json_t *doc, const char *status)
{
    const char  *s;

    s = life_text(doc, "consultationStatus");

    return s && strcmp(s, status) == 0;
}


static json_t *
life_consult(const call_t *c, const char *status)
{
    return json_pack("{s:s, s:s, s:o, s:b}", "id", c->ids[1], "status", status,
                     "at", emit_at(c), "current", 1);
}


/* -- start -- */

/* Who is in the room now. */
static json_t *
life_people(const call_t *c, const json_t *doc)
{
    size_t   i;
    json_t  *list, *p;

    list = json_array();

    json_array_foreach(json_object_get(doc, "participants"), i, p) {
        if (!json_is_string(json_object_get(p, "leftAt"))) {
            json_array_append_new(list,
                json_pack("{s:O, s:O, s:o, s:n, s:i, s:i}",
                          "userId", json_object_get(p, "userId"),
                          "role", json_object_get(p, "role"),
                          "joinedAt", emit_at(c), "leftAt",
                          "messageCount", 0, "filesShared", 0));
        }
    }

    return list;
}


static json_t *
life_session(const call_t *c, const json_t *doc)
{
    json_t  *s;

    s = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:o, s:n, s:O, s:O}",
                  "id", c->id, "rev", 1, "conversationId", c->ids[0],
                  "consultationId", c->ids[1], "sessionType", "consultation",
                  "status", "active", "startSeq", emit_seq(c), "endSeq",
                  "title", json_object_get(doc, "title"),
                  "context", json_object_get(doc, "context"));

    json_object_set_new(s, "startTime", emit_at(c));
    json_object_set_new(s, "endTime", json_null());
    json_object_set_new(s, "participants", life_people(c, doc));
    json_object_set_new(s, "createdAt", emit_at(c));
    json_object_set_new(s, "updatedAt", emit_at(c));

    return s;
}


/* Out of the archive first: an event of its own, then it is looked at anew. */
static emit_rc_t
life_unarchive(api_t *a, call_t *c, const access_t *x, const json_t *doc)
{
    emit_t      e;
    int64_t     seq;
    emit_rc_t   rc;

    settings_event(c, &e, doc, settings_shown(c, doc), json_object());
    settings_archive(c, &e, doc, 0);
    rc = settings_emit(a, c, x, &e, &seq);

    return rc == EMIT_OK ? EMIT_STALE : rc;
}


static emit_rc_t
start_emit(api_t *a, call_t *c, store_t *st, const access_t *x,
    const json_t *doc, int64_t *seq)
{
    emit_t      e;
    emit_rc_t   rc;

    if (user_named(a, c, st) != 0) {
        return EMIT_ANSWERED;
    }

    memset(&e, 0, sizeof(e));
    e.conversation = c->ids[0];
    e.kind = "m";
    e.target = "-";
    e.need = "m";
    e.live = 1;
    e.message = EMIT_ROOM;
    e.expect = json_integer_value(json_object_get(doc, "seq"));
    e.event = emit_system(c, doc, "consultation_started",
                          json_pack("{s:s, s:s}", "consultationId", c->ids[1],
                                    "sessionId", c->id));
    e.extra = json_pack("{s:{s:o, s:o}}", "set", "consultation",
                        life_consult(c, "started"), "session",
                        life_session(c, doc));

    rc = api_emit(a, c, x, &e, seq);
    json_decref(e.event);
    json_decref(e.extra);

    return rc;
}


static emit_rc_t
start_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    json_t     *doc;
    emit_rc_t   rc;

    doc = life_room(a, c, st, x);
    if (doc == NULL) {
        return EMIT_ANSWERED;
    }

    if (json_is_string(json_object_get(doc, "sessionId"))) {
        rc = EMIT_EXISTS;

    } else if (life_is(doc, "cancelled")) {
        api_error(c, 409, "conflict", NULL,
                  "the consultation was cancelled; confirm it again first");
        rc = EMIT_ANSWERED;

    } else if (json_is_true(json_object_get(doc, "isArchived"))) {
        rc = life_unarchive(a, c, x, doc);

    } else {
        rc = start_emit(a, c, st, x, doc, seq);
    }

    json_decref(doc);

    return rc;
}


/* -- the others -- */

/* The record of the session under way, closed; NULL: answered. */
static json_t *
life_closed(api_t *a, call_t *c, store_t *st, const json_t *doc)
{
    json_t      *s;
    store_rc_t   rc;

    rc = store_session(st, life_text(doc, "sessionId"), &s);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return NULL;
    }

    json_object_del(s, "ratings");
    json_object_set_new(s, "rev", json_integer(
        json_integer_value(json_object_get(s, "rev")) + 1));
    json_object_set_new(s, "status", json_string("ended"));
    json_object_set_new(s, "endSeq", emit_seq(c));
    json_object_set_new(s, "endTime", emit_at(c));
    json_object_set_new(s, "updatedAt", emit_at(c));

    return s;
}


/* The status is another one; a session under way ends; where the settings say
 * so and it is over, the room is archived.  context: the new one, or NULL;
 * taken over. */
static emit_rc_t
life_emit(api_t *a, call_t *c, store_t *st, const access_t *x,
    const json_t *doc, const char *status, json_t *context, int64_t *seq)
{
    int       archived, over;
    emit_t    e;
    json_t   *shown, *set, *session, *consult;

    session = NULL;

    if (json_is_string(json_object_get(doc, "sessionId"))) {
        session = life_closed(a, c, st, doc);

        if (session == NULL) {
            json_decref(context);
            return EMIT_ANSWERED;
        }
    }

    shown = settings_shown(c, doc);
    json_object_set_new(shown, "consultationStatus", json_string(status));
    json_object_set_new(shown, "sessionId", json_null());

    consult = life_consult(c, status);
    set = json_pack("{s:o}", "consultation", consult);

    if (context) {
        json_object_set(shown, "context", context);
        json_object_set_new(consult, "context", context);
    }

    if (session) {
        json_object_set_new(set, "session", session);
    }

    settings_event(c, &e, doc, shown, set);

    archived = json_is_true(json_object_get(doc, "isArchived"));
    over = strcmp(status, "confirmed") != 0;

    if (over && !archived
        && json_is_true(json_object_get(json_object_get(doc, "settings"),
                                        "autoArchive")))
    {
        settings_archive(c, &e, doc, 1);

    } else if (!over && archived) {
        settings_archive(c, &e, doc, 0);
    }

    return settings_emit(a, c, x, &e, seq);
}


static emit_rc_t
end_decide(api_t *a, call_t *c, store_t *st, const access_t *x, int64_t *seq)
{
    json_t     *doc;
    emit_rc_t   rc;

    doc = life_room(a, c, st, x);
    if (doc == NULL) {
        return EMIT_ANSWERED;
    }

    if (json_is_string(json_object_get(doc, "sessionId"))) {
        rc = life_emit(a, c, st, x, doc, "ended", NULL, seq);

    } else if (life_is(doc, "ended")) {
        rc = EMIT_EXISTS;

    } else {
        api_error(c, 409, "conflict", NULL,
                  "the consultation was not started");
        rc = EMIT_ANSWERED;
    }

    json_decref(doc);

    return rc;
}


/* Cancelled, or nobody came. */
static emit_rc_t
off_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    const char *status, int64_t *seq)
{
    json_t     *doc;
    emit_rc_t   rc;

    doc = life_room(a, c, st, x);
    if (doc == NULL) {
        return EMIT_ANSWERED;
    }

    if (life_is(doc, status)) {
        rc = EMIT_EXISTS;

    } else if (life_is(doc, "ended")) {
        api_error(c, 409, "conflict", NULL, "the consultation has ended");
        rc = EMIT_ANSWERED;

    } else {
        rc = life_emit(a, c, st, x, doc, status, NULL, seq);
    }

    json_decref(doc);

    return rc;
}


static emit_rc_t
cancel_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return off_decide(a, c, st, x, "cancelled", seq);
}


static emit_rc_t
no_show_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return off_decide(a, c, st, x, "no_show", seq);
}


static emit_rc_t
reschedule_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    json_t     *doc, *context;
    emit_rc_t   rc;

    doc = life_room(a, c, st, x);
    if (doc == NULL) {
        return EMIT_ANSWERED;
    }

    rc = EMIT_ANSWERED;

    if (json_is_string(json_object_get(doc, "sessionId"))) {
        api_error(c, 409, "conflict", NULL, "the consultation is under way");
        json_decref(doc);
        return rc;
    }

    context = consult_context(c, json_object_get(doc, "context"));

    if (context && !json_is_string(json_object_get(context, "scheduledAt"))) {
        api_error(c, 400, "invalid_request", "scheduledAt",
                  "a time like 2024-01-15T14:30:00Z is required");
        json_decref(context);

    } else if (context
               && json_equal(context, json_object_get(doc, "context"))
               && life_is(doc, "confirmed"))
    {
        json_decref(context);
        rc = EMIT_EXISTS;

    } else if (context) {
        rc = life_emit(a, c, st, x, doc, "confirmed", context, seq);
    }

    json_decref(doc);

    return rc;
}


/* -- answers -- */

static api_rc_t
life_answer(api_t *a, call_t *c, store_t *st, const char *said)
{
    int      rc;
    json_t  *doc, *list, *session;

    rc = session_newest(a, c, &session);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    if (conv_read(a, c, st, &doc) != 0) {
        json_decref(session);
        return API_DONE;
    }

    list = json_array();
    json_array_append(list, doc);
    conv_finish(a, c->user, list);
    json_decref(list);

    return api_ok(c, 200, said,
                  json_pack("{s:o, s:o}", "conversation", doc, "session",
                            session ? session : json_null()));
}


static api_rc_t
changed_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    return life_answer(a, c, st, changed ? "Consultation updated"
                                         : "Nothing to change");
}


/* A session that has ended is written up before it is answered; but when the
 * store does not have that by the deadline, it is told as ended. */
static api_rc_t
end_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    int          rc, ended;
    json_t      *session;
    scribe_t     w;
    store_rc_t   src;
    const char  *status;

    if (c->late) {
        return changed_answer(a, c, st, changed);
    }

    rc = session_newest(a, c, &session);
    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    status = life_text(session, "status");
    ended = status && strcmp(status, "ended") == 0;
    src = STORE_OK;

    if (ended) {
        api_scribe(a, st, c->ids[0], &w);
        src = w.shard ? scribe_complete(&w, session) : STORE_REJECTED;
    }

    json_decref(session);

    if (!ended) {
        return changed_answer(a, c, st, changed);
    }

    c->settled = 1;

    if (src == STORE_REJECTED) {
        return api_unavailable(c);
    }

    role_store_result(a->role, src);

    if (src != STORE_OK) {
        return api_store_error(a, c, src);
    }

    rc = api_wait_shard(a, c, c->ids[0]);

    return rc < 0 ? API_DONE : rc > 0 ? API_WAIT
                                      : changed_answer(a, c, st, changed);
}


static api_rc_t
life_change(api_t *a, call_t *c, emit_decide_pt decide, emit_answer_pt answer)
{
    if (consult_find(a, c) != 0) {
        return API_DONE;
    }

    return api_change(a, c, decide, answer);
}


api_rc_t
consult_start(api_t *a, call_t *c)
{
    return life_change(a, c, start_decide, changed_answer);
}


api_rc_t
consult_end(api_t *a, call_t *c)
{
    return life_change(a, c, end_decide, end_answer);
}


api_rc_t
consult_cancel(api_t *a, call_t *c)
{
    return life_change(a, c, cancel_decide, end_answer);
}


api_rc_t
consult_no_show(api_t *a, call_t *c)
{
    return life_change(a, c, no_show_decide, end_answer);
}


api_rc_t
consult_reschedule(api_t *a, call_t *c)
{
    return life_change(a, c, reschedule_decide, changed_answer);
}


api_rc_t
consult_get(api_t *a, call_t *c)
{
    int        waits;
    store_t   *st;
    access_t   access;

    if (consult_find(a, c) != 0
        || api_access(a, c, c->ids[0], &access) != 0)
    {
        return API_DONE;
    }

    if (c->step == 0) {
        waits = api_wait_state(a, c, c->ids[0], &access);

        if (waits != 0) {
            return waits < 0 ? API_DONE : API_WAIT;
        }
    }

    st = api_store(a, c);

    return st ? life_answer(a, c, st, NULL) : API_DONE;
}
