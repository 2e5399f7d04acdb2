/*
 * store_session.c: consultations and sessions: checked when they come, as
 * documents when they go.  The same for both stores.
 *
 * They come in two ways.  What changes with a numbered event of the room
 * (started, ended...) stands in that event's extra field, in "set", and is one
 * with it.  What is found out afterwards (summary, transcript, ratings) is an
 * event of kind 'g'.
 */

#include <string.h>

#include "worker/store/store_internal.h"

static const char *const  consult_states[] = {
    "confirmed", "started", "ended", "cancelled", "no_show", NULL
};

static const char *const  session_states[] = {
    "active", "ended", "completed", NULL
};

static const char *const  session_types[] = {
    "consultation", "general", NULL
};

/* Of a record, all but its id and its times. */
const char *const  store_session_keys[] = {
    "rev", "conversationId", "consultationId", "sessionType", "status",
    "startSeq", "endSeq", "duration", "title", "context", "participants",
    "summary", "analytics", "transcript", NULL
};


static const char *
session_word(const char *const *list, const char *s)
{
    for (; s && *list; list++) {
        if (strcmp(*list, s) == 0) {
            return *list;
        }
    }

    return NULL;
}


/* A time, or null: 0, else -1. */
static int
session_time(const json_t *object, const char *key, int64_t *ms)
{
    const json_t  *v;

    v = json_object_get(object, key);
    *ms = STORE_NO_TIME;

    return v == NULL || json_is_null(v) ? 0 : store_plan_time(object, key, ms);
}


static const char *
session_put(store_op_t *op, const json_t *s)
{
    int64_t      at;
    const char  *conversation, *consultation;

    op->kind = STORE_OP_SESSION;
    op->body = (json_t *) s;
    op->id = store_plan_text(s, "id");
    op->seq = json_integer_value(json_object_get(s, "rev"));
    conversation = store_plan_text(s, "conversationId");
    consultation = store_plan_text(s, "consultationId");

    if (!store_plan_id(op->id) || op->seq < 1) {
        return "session.id is not an id, or rev not a number from 1 on";
    }

    if (conversation == NULL || strcmp(conversation, op->conv->id) != 0) {
        return "session.conversationId is another conversation";
    }

    if (consultation && !store_plan_id(consultation)) {
        return "session.consultationId is not an id";
    }

    if (!session_word(session_types, store_plan_text(s, "sessionType"))
        || !session_word(session_states, store_plan_text(s, "status")))
    {
        return "session.sessionType or status is none that this program knows";
    }

    if (!json_is_integer(json_object_get(s, "startSeq"))
        || !store_plan_optional(s, "endSeq", JSON_INTEGER)
        || !store_plan_optional(s, "context", JSON_OBJECT)
        || !store_plan_optional(s, "participants", JSON_ARRAY)
        || !store_plan_optional(s, "summary", JSON_OBJECT)
        || !store_plan_optional(s, "analytics", JSON_OBJECT)
        || !store_plan_optional(s, "transcript", JSON_OBJECT))
    {
        return "a member of session is missing or of the wrong type";
    }

    if (store_plan_time(s, "startTime", &at) != 0
        || session_time(s, "endTime", &at) != 0
        || store_plan_time(s, "createdAt", &at) != 0
        || store_plan_time(s, "updatedAt", &at) != 0)
    {
        return "a time of session is none";
    }

    return NULL;
}


static const char *
session_part(store_op_t *op, const json_t *body)
{
    const json_t  *part;

    op->kind = STORE_OP_PART;
    op->id = store_plan_text(body, "sessionId");
    op->name = store_plan_text(body, "run");
    op->type = store_plan_text(body, "text");
    part = json_object_get(body, "part");

    if (!store_plan_id(op->id) || !store_plan_id(op->name)) {
        return "sessionId or run is not an id";
    }

    op->at = json_integer_value(json_object_get(body, "rev"));

    if (op->type == NULL || !json_is_integer(part)
        || json_integer_value(part) < 0 || op->at < 1)
    {
        return "text, part or rev is missing";
    }

    op->seq = json_integer_value(part);

    return NULL;
}


static const char *
session_rate(store_op_t *op, const json_t *body)
{
    json_int_t     n;
    const char    *comment;
    const json_t  *rating;

    op->kind = STORE_OP_RATE;
    op->id = store_plan_text(body, "sessionId");
    op->user = store_plan_text(body, "userId");
    rating = json_object_get(body, "rating");
    n = json_integer_value(rating);
    comment = store_plan_text(body, "comment");

    if (!store_plan_id(op->id) || !store_plan_id(op->user)) {
        return "sessionId or userId is not an id";
    }

    if (!json_is_integer(rating) || n < 1 || n > WRT_RATING_MAX
        || (comment && strlen(comment) > WRT_RATING_TEXT_MAX))
    {
        return "rating or comment is out of bounds";
    }

    op->seq = n;
    op->name = comment;

    return store_plan_time(body, "at", &op->at) != 0
           ? "at is not a time" : NULL;
}


const char *
store_plan_session(store_op_t *op, const event_t *ev)
{
    const char  *what;

    if (op->conv == NULL) {
        return "not a conversation id";
    }

    what = store_plan_text(ev->body, "op");

    if (what && strcmp(what, "put") == 0) {
        return session_put(op, json_object_get(ev->body, "session"));
    }

    if (what && strcmp(what, "part") == 0) {
        return session_part(op, ev->body);
    }

    if (what && strcmp(what, "rate") == 0) {
        return session_rate(op, ev->body);
    }

    return "op is not put, part or rate";
}


const char *
store_plan_consult(store_op_t *op, const json_t *v, int64_t seq)
{
    op->kind = STORE_OP_CONSULT;
    op->id = store_plan_text(v, "id");
    op->type = session_word(consult_states, store_plan_text(v, "status"));
    op->body = json_object_get(v, "context");
    op->on = json_is_true(json_object_get(v, "first"));
    op->seq = seq;

    if (!store_plan_id(op->id)) {
        return "set.consultation.id is not an id";
    }

    if (op->type == NULL) {
        return "set.consultation.status is none that this program knows";
    }

    if (!store_plan_optional(v, "context", JSON_OBJECT)) {
        return "set.consultation.context is not an object";
    }

    if (json_is_null(op->body)) {
        op->body = NULL;
    }

    if (store_plan_time(v, "at", &op->at) != 0) {
        return "set.consultation.at is not a time";
    }

    if (json_is_true(json_object_get(v, "current"))) {
        op->conv->consultation = op;
        op->conv->context = op->body ? op->body : op->conv->context;
    }

    return NULL;
}


const char *
store_plan_session_set(store_op_t *op, const json_t *s)
{
    const char  *why;

    why = session_put(op, s);

    if (why == NULL) {
        op->conv->session_set = 1;
        op->conv->session = strcmp(store_plan_text(s, "status"), "active")
                            == 0 ? op->id : NULL;
    }

    return why;
}


void
store_session_row(const json_t *s, store_session_row_t *out)
{
    memset(out, 0, sizeof(*out));

    out->id = store_plan_text(s, "id");
    out->body = (json_t *) s;
    out->rev = json_integer_value(json_object_get(s, "rev"));
    out->conversation = store_plan_text(s, "conversationId");
    out->consultation = store_plan_text(s, "consultationId");
    out->type = store_plan_text(s, "sessionType");
    out->status = store_plan_text(s, "status");
    out->start_seq = json_integer_value(json_object_get(s, "startSeq"));
    out->end_seq = json_is_integer(json_object_get(s, "endSeq"))
                   ? json_integer_value(json_object_get(s, "endSeq")) : -1;

    (void) store_plan_time(s, "startTime", &out->start_at);
    (void) session_time(s, "endTime", &out->end_at);
    (void) store_plan_time(s, "createdAt", &out->created_at);
    (void) store_plan_time(s, "updatedAt", &out->updated_at);
}


const char *
store_session_run(const json_t *s)
{
    return store_plan_text(json_object_get(s, "transcript"), "run");
}


/* The mean of all, two decimals; null when nobody has said anything. */
static json_t *
session_satisfaction(const json_t *ratings)
{
    size_t   i;
    double   sum;
    json_t  *r;

    if (json_array_size(ratings) == 0) {
        return json_null();
    }

    sum = 0;

    json_array_foreach(ratings, i, r) {
        sum += (double) json_integer_value(json_object_get(r, "rating"));
    }

    return json_real((double) (long long)
                     (100 * sum / (double) json_array_size(ratings) + 0.5)
                     / 100);
}


json_t *
store_doc_session(const store_session_row_t *s, json_t *ratings)
{
    size_t               i;
    json_t              *o, *v, *analytics;
    const char *const   *key;

    o = json_object();
    store_doc_set(o, "id", store_doc_string(s->id));

    for (key = store_session_keys; *key; key++) {
        v = json_object_get(s->body, *key);
        store_doc_set(o, *key, v ? json_deep_copy(v) : json_null());
    }

    store_doc_set(o, "startTime", store_doc_time(s->start_at));
    store_doc_set(o, "endTime", store_doc_time(s->end_at));
    store_doc_set(o, "createdAt", store_doc_time(s->created_at));
    store_doc_set(o, "updatedAt", store_doc_time(s->updated_at));

    analytics = json_object_get(o, "analytics");

    if (!json_is_object(analytics)) {
        analytics = json_object();
        store_doc_set(o, "analytics", analytics);
    }

    store_doc_set(analytics, "satisfaction", session_satisfaction(ratings));

    json_array_foreach(ratings, i, v) {
        store_doc_set(v, "at",
                      store_doc_time(json_integer_value(
                                         json_object_get(v, "at"))));
    }

    store_doc_set(o, "ratings", ratings);

    return o;
}


json_t *
store_doc_rating(const char *user, int64_t rating, const char *comment,
    int64_t at)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "userId", store_doc_string(user));
    store_doc_set(o, "rating", json_integer(rating));
    store_doc_set(o, "comment", store_doc_string(comment));
    store_doc_set(o, "at", json_integer(at));

    return o;
}


json_t *
store_doc_consult(const store_consult_row_t *c)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "id", store_doc_string(c->id));
    store_doc_set(o, "conversationId", store_doc_string(c->conversation));
    store_doc_set(o, "status", store_doc_string(c->status));
    store_doc_set(o, "fromSeq", json_integer(c->from_seq));
    store_doc_set(o, "context", c->context ? c->context : json_null());
    store_doc_set(o, "createdAt", store_doc_time(c->created_at));
    store_doc_set(o, "updatedAt", store_doc_time(c->updated_at));

    return o;
}
