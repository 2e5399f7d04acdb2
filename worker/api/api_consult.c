/*
 * api_consult.c: POST /api/consultations/:id/confirm.
 *
 * A confirmed consultation has a room, which is made once, whoever confirms
 * it and how often: POST /api/conversations with the type and the number given
 * by the route.  Or it is a follow-up in the room that the body names.  Its
 * academic context may stand beside the participants, as a scheduling system
 * has it.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"


/* The body as an object; NULL: answered. */
static json_t *
consult_object(call_t *c)
{
    json_t  *v;

    if (c->body_len == 0) {
        return json_object();
    }

    v = json_loadb(c->body, c->body_len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(v)) {
        json_decref(v);
        api_error(c, 400, "invalid_request", NULL,
                  "the body must be a JSON object");
        return NULL;
    }

    return v;
}


/* "context", and its members beside it. */
static json_t *
consult_about(const json_t *from)
{
    json_t    *context, *v;
    unsigned   i;

    static const char *const  about[] = {
        "topic", "course", "scheduledAt", "agenda", "documentIds", NULL
    };

    v = json_object_get(from, "context");
    context = v == NULL || json_is_null(v) ? json_object() : json_copy(v);

    for (i = 0; about[i] && json_is_object(context); i++) {
        v = json_object_get(from, about[i]);

        if (v && !json_is_null(v)) {
            json_object_set(context, about[i], v);
        }
    }

    return context;
}


json_t *
consult_context(call_t *c, const json_t *old)
{
    json_t      *from, *given, *whole, *v, *to;
    const char  *name;

    from = consult_object(c);
    if (from == NULL) {
        return NULL;
    }

    given = consult_about(from);
    whole = json_is_object(old) && json_is_object(given)
            ? json_copy((json_t *) old) : json_incref(given);

    if (whole != given) {
        json_object_foreach(given, name, v) {
            json_object_set(whole, name, v);
        }
    }

    to = body_context(c, whole);

    json_decref(whole);
    json_decref(given);
    json_decref(from);

    return to;
}


/* The body of POST /api/conversations in place of this one's.  0, or -1:
 * answered. */
static int
consult_body(call_t *c)
{
    buf_t        text;
    json_t      *from, *to, *context;
    unsigned     i;

    static const char *const  plain[] = {
        "title", "participants", "participantIds", "settings", "id", NULL
    };

    from = consult_object(c);
    if (from == NULL) {
        return -1;
    }

    to = json_pack("{s:s, s:s}", "type", "consultation", "consultationId",
                   c->ids[0]);

    for (i = 0; plain[i]; i++) {
        json_object_set(to, plain[i], json_object_get(from, plain[i]));
    }

    context = consult_about(from);

    if (!json_is_object(context) || json_object_size(context) > 0) {
        json_object_set(to, "context", context);
    }

    json_decref(context);
    json_decref(from);

    memset(&text, 0, sizeof(text));
    buf_json(&text, to);
    json_decref(to);

    free(c->body);
    c->body = text.p;
    c->body_len = text.n;

    return 0;
}


/* The room that the body names, if any: ids[0].  1, 0: none, -1: answered. */
static int
consult_named(call_t *c)
{
    json_t      *from, *v;
    const char  *s;

    from = consult_object(c);
    if (from == NULL) {
        return -1;
    }

    v = json_object_get(from, "conversationId");
    s = json_string_value(v);

    if (v == NULL || json_is_null(v)) {
        json_decref(from);
        return 0;
    }

    if (s == NULL || !wrt_id_valid(s, strlen(s))) {
        json_decref(from);
        api_error(c, 400, "invalid_request", "conversationId",
                  "an id of 1 to 64 letters, digits, underscores or hyphens"
                  " is required");
        return -1;
    }

    memcpy(c->ids[1], c->ids[0], sizeof(c->ids[1]));
    text_copy(c->ids[0], sizeof(c->ids[0]), s);
    json_decref(from);

    return 1;
}


/* Those whom the body names, as the keys of an object; *field: the member of it
 * that names one who was never in the room, else NULL.  NULL: answered. */
static json_t *
consult_named_people(call_t *c, const json_t *doc, const char **field)
{
    json_t      *from, *named, *list, *v, *id;
    size_t       i;
    unsigned     k;
    const char  *user;

    static const char *const  lists[] = { "participantIds", "participants" };

    from = consult_object(c);
    if (from == NULL) {
        return NULL;
    }

    named = json_object();
    *field = NULL;

    for (k = 0; k < 2; k++) {
        list = json_object_get(from, lists[k]);

        json_array_foreach(list, i, v) {
            id = json_is_object(v) ? json_object_get(v, "userId") : v;
            user = json_string_value(id);

            if (user) {
                json_object_set_new(named, user, json_true());
                *field = member_known(doc, user) ? *field : lists[k];
            }
        }
    }

    json_decref(from);

    return named;
}


/*
 * Anybody may make a room with a number.  Is it to be believed?  Yes, when who
 * made it is named, or confirms it, or acts for others and is no member; else
 * all who are in it have to be named.
 */
static int
consult_believed(const call_t *c, const json_t *doc, const json_t *named)
{
    size_t       i;
    json_t      *p;
    const char  *maker, *user;

    maker = json_string_value(json_object_get(json_object_get(doc, "metadata"),
                                              "createdBy"));

    if (json_object_size(named) == 0 || maker == NULL
        || !member_known(doc, maker) || strcmp(maker, c->user) == 0
        || json_object_get(named, maker))
    {
        return 1;
    }

    json_array_foreach(json_object_get(doc, "participants"), i, p) {
        user = json_string_value(json_object_get(p, "userId"));

        if (user && !json_is_string(json_object_get(p, "leftAt"))
            && strcmp(user, c->user) != 0 && !json_object_get(named, user))
        {
            return 0;
        }
    }

    return 1;
}


/* The room has this number.  Is it that of the people whom the body names?  If
 * not, somebody was there first with the number, and who confirms it has to
 * know.  0, or -1: answered. */
static int
consult_people(call_t *c, const json_t *doc)
{
    json_t      *named;
    const char  *field;

    named = consult_named_people(c, doc, &field);
    if (named == NULL) {
        return -1;
    }

    if (field) {
        api_error(c, 409, "conflict", field,
                  "this consultation has a room already, without them");

    } else if (!consult_believed(c, doc, named)) {
        field = "participants";
        api_error(c, 409, "conflict", field,
                  "this consultation has a room already, made by somebody "
                  "else and with others in it");
    }

    json_decref(named);

    return field ? -1 : 0;
}


/* Confirmed in this room: for the first time, or again.  Takes the context
 * over; NULL: answered. */
static emit_rc_t
consult_emit(api_t *a, call_t *c, const access_t *x, const json_t *doc,
    int first, json_t *context, int64_t *seq)
{
    emit_t    e;
    json_t   *shown, *set;

    if (context == NULL) {
        return EMIT_ANSWERED;
    }

    shown = settings_shown(c, doc);
    json_object_set_new(shown, "consultationId", json_string(c->ids[1]));
    json_object_set_new(shown, "consultationStatus",
                        json_string("confirmed"));
    json_object_set_new(shown, "sessionId", json_null());
    json_object_set(shown, "context", context);

    set = json_pack("{s:{s:s, s:s, s:o, s:b, s:b, s:o}}", "consultation",
                    "id", c->ids[1], "status", "confirmed", "at", emit_at(c),
                    "current", 1, "first", first, "context", context);

    settings_event(c, &e, doc, shown, set);

    if (json_is_true(json_object_get(doc, "isArchived"))) {
        settings_archive(c, &e, doc, 0);
    }

    if (first) {
        emit_op(&e, "S", WRT_F_CONSULT, c->ids[1]);
    }

    return settings_emit(a, c, x, &e, seq);
}


/*
 * It is confirmed already.  What is not known of its context is added, for a
 * room that was made by POST /api/conversations; what is known stays, so that a
 * confirmation that comes twice does not undo a reschedule between them.
 */
static emit_rc_t
consult_again(api_t *a, call_t *c, const access_t *x, const json_t *doc,
    int64_t *seq)
{
    json_t      *context, *old, *v;
    const char  *name;

    context = consult_context(c, NULL);
    if (context == NULL) {
        return EMIT_ANSWERED;
    }

    old = json_object_get(doc, "context");

    json_object_foreach(old, name, v) {
        json_object_set(context, name, v);
    }

    if (json_object_size(context) == json_object_size(old)) {
        json_decref(context);
        return EMIT_EXISTS;
    }

    return consult_emit(a, c, x, doc, 0, context, seq);
}


static emit_rc_t
consult_decide_doc(api_t *a, call_t *c, const access_t *x, const json_t *doc,
    int64_t *seq)
{
    const char  *type, *current, *status;

    type = json_string_value(json_object_get(doc, "type"));
    current = json_string_value(json_object_get(doc, "consultationId"));
    status = json_string_value(json_object_get(doc, "consultationStatus"));

    if (may_manage(c, x, doc) != 0) {
        return EMIT_ANSWERED;
    }

    if ((c->rest || (current && strcmp(current, c->ids[1]) == 0))
        && consult_people(c, doc) != 0)
    {
        return EMIT_ANSWERED;
    }

    if (current && strcmp(current, c->ids[1]) == 0) {
        if (status && (strcmp(status, "cancelled") == 0
                       || strcmp(status, "no_show") == 0))
        {
            return consult_emit(a, c, x, doc, 0,
                                consult_context(c, json_object_get(doc,
                                                                "context")),
                                seq);
        }

        return status && strcmp(status, "confirmed") == 0
               ? consult_again(a, c, x, doc, seq) : EMIT_EXISTS;
    }

    if (c->rest) {
        return EMIT_EXISTS;         /* it was here, and another one is now */
    }

    if (type == NULL || strcmp(type, "consultation") != 0) {
        api_error(c, 409, "conflict", "conversationId",
                  "the conversation is none of a consultation");
        return EMIT_ANSWERED;
    }

    if (json_is_string(json_object_get(doc, "sessionId"))) {
        api_error(c, 409, "conflict", "conversationId",
                  "a session of another consultation is under way there");
        return EMIT_ANSWERED;
    }

    return consult_emit(a, c, x, doc, 1, consult_context(c, NULL), seq);
}


static emit_rc_t
consult_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    json_t     *doc;
    emit_rc_t   rc;

    if (conv_read(a, c, st, &doc) != 0) {
        return EMIT_ANSWERED;
    }

    rc = consult_decide_doc(a, c, x, doc, seq);
    json_decref(doc);

    return rc;
}


/* Is it known, or said to be in a room that is there?  1: ids[0] is the room;
 * 0: it needs one; -1: answered. */
static int
consult_known(api_t *a, call_t *c)
{
    json_t      *doc;
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_consultation(st, c->ids[0], &doc);
    role_store_result(a->role, rc);

    if (rc == STORE_NOT_FOUND) {
        return consult_named(c);
    }

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    memcpy(c->ids[1], c->ids[0], sizeof(c->ids[1]));
    text_copy(c->ids[0], sizeof(c->ids[0]),
              json_string_value(json_object_get(doc, "conversationId")));
    c->rest = "known";
    json_decref(doc);

    return 1;
}


/* The store has its room by now: one that somebody else has made meanwhile is
 * looked at as if it had been known before.  As consult_known(). */
static int
consult_made(api_t *a, call_t *c)
{
    int  rc;

    rc = conv_existed(c) ? consult_known(a, c) : 0;

    if (rc > 0) {
        c->state_free(c->state);
        c->state = NULL;
    }

    return rc;
}


api_rc_t
consult_confirm(api_t *a, call_t *c)
{
    int  rc;

    rc = 0;

    if (c->step == 0) {
        if (may_consult(c) != 0) {
            return API_DONE;
        }

        rc = consult_known(a, c);
        rc = rc == 0 ? consult_body(c) : rc;

    } else if (c->ids[1][0] == '\0') {
        rc = consult_made(a, c);
    }

    if (rc < 0) {
        return API_DONE;
    }

    return c->ids[1][0] ? api_change(a, c, consult_decide, settings_answer)
                        : conv_create(a, c);
}
