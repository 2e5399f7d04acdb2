/*
 * store_life.c: how long things live: what events of kinds 'x' and 'a' mean,
 * and how holds and administrative acts look as documents.  The same for both
 * stores.
 *
 * An act stands in the event that does what it says ("audit" in its body), so
 * that neither is without the other; or alone, in one of kind 'a', when nothing
 * in the store changes by it.
 */

#include <string.h>

#include "worker/store/store_internal.h"


static const char *const  life_types[] = { "conversation", "user", NULL };


int
store_op_is_life(const store_op_t *op)
{
    switch (op->kind) {

    case STORE_OP_AUDIT:
    case STORE_OP_HOLD:
    case STORE_OP_RELEASE:
    case STORE_OP_EXPIRE:
    case STORE_OP_ERASE:
    case STORE_OP_SCRUB:
    case STORE_OP_FORGET:
    case STORE_OP_ERASED:
        return 1;

    default:
        return 0;
    }
}


/* A text of 1 to max bytes. */
static int
life_text(const json_t *object, const char *key, size_t max)
{
    const json_t  *v;

    v = json_object_get(object, key);

    return json_is_string(v) && json_string_length(v) > 0
           && json_string_length(v) <= max
           && strlen(json_string_value(v)) == json_string_length(v);
}


static int
life_type(const char *s)
{
    int  i;

    for (i = 0; s && life_types[i]; i++) {
        if (strcmp(s, life_types[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


static const char *
life_audit(const json_t *v)
{
    int64_t        at;
    const json_t  *actor, *target;

    actor = json_object_get(v, "actor");
    target = json_object_get(v, "target");

    if (!store_plan_id(store_plan_text(v, "id"))) {
        return "audit.id is not an id";
    }

    if (store_plan_time(v, "at", &at) != 0) {
        return "audit.at is not a time";
    }

    if (!life_text(v, "action", WRT_AUDIT_ACTION_MAX)
        || !life_text(v, "from", WRT_AUDIT_SOURCE_MAX))
    {
        return "audit.action or audit.from is missing or too long";
    }

    if (!life_text(actor, "userId", WRT_ID_MAX)
        || !life_text(actor, "role", WRT_ID_MAX)
        || !life_text(target, "type", WRT_ID_MAX)
        || !life_text(target, "id", WRT_ID_MAX))
    {
        return "audit.actor or audit.target is incomplete";
    }

    return store_plan_optional(v, "details", JSON_OBJECT)
           ? NULL : "audit.details is not an object";
}


static const char *
life_hold(store_op_t *op, const json_t *hold)
{
    op->kind = STORE_OP_HOLD;
    op->body = (json_t *) hold;
    op->id = store_plan_text(hold, "id");

    if (!store_plan_id(op->id)) {
        return "hold.id is not an id";
    }

    if (!life_type(store_plan_text(hold, "type"))) {
        return "hold.type is neither conversation nor user";
    }

    if (!store_plan_id(store_plan_text(hold, "targetId"))
        || !store_plan_id(store_plan_text(hold, "createdBy")))
    {
        return "hold.targetId or hold.createdBy is not an id";
    }

    if (!life_text(hold, "reason", WRT_REASON_MAX)) {
        return "hold.reason is missing or too long";
    }

    return store_plan_time(hold, "createdAt", &op->at) == 0
           ? NULL : "hold.createdAt is not a time";
}


static const char *
life_release(store_op_t *op, const json_t *body)
{
    op->kind = STORE_OP_RELEASE;
    op->id = store_plan_text(body, "holdId");
    op->user = store_plan_text(body, "by");

    if (!store_plan_id(op->id) || !store_plan_id(op->user)) {
        return "holdId or by is not an id";
    }

    return store_plan_time(body, "at", &op->at) == 0
           ? NULL : "at is not a time";
}


/* Ids of messages, no more than one event takes. */
static const char *
life_messages(store_op_t *op, const event_t *ev)
{
    size_t   i;
    json_t  *v;

    op->body = json_object_get(ev->body, "messages");

    if (op->conv == NULL) {
        return "not a conversation id";
    }

    if (!json_is_array(op->body)
        || json_array_size(op->body) > WRT_EXPIRE_BATCH)
    {
        return "messages is no list, or too long";
    }

    json_array_foreach(op->body, i, v) {
        if (!store_plan_id(json_string_value(v))) {
            return "messages has what is not an id";
        }
    }

    return NULL;
}


static const char *
life_expire(store_op_t *op, const event_t *ev)
{
    op->kind = STORE_OP_EXPIRE;

    if (store_plan_time(ev->body, "before", &op->at) != 0) {
        return "before is not a time";
    }

    return life_messages(op, ev);
}


/* op->user becomes op->by. */
static const char *
life_erase(store_op_t *op, const event_t *ev, const char *what)
{
    op->user = store_plan_text(ev->body, "userId");
    op->by = store_plan_text(ev->body, "alias");

    if (!store_plan_id(op->user) || !store_plan_id(op->by)) {
        return "userId or alias is not an id";
    }

    if (store_plan_time(ev->body, "at", &op->at) != 0) {
        return "at is not a time";
    }

    if (strcmp(what, "scrub") == 0) {
        op->kind = STORE_OP_SCRUB;
        return life_messages(op, ev);
    }

    if (strcmp(what, "forget") == 0) {
        op->kind = STORE_OP_FORGET;
        return op->conv ? NULL : "not a conversation id";
    }

    if (strcmp(what, "erased") == 0) {
        op->kind = STORE_OP_ERASED;
        return NULL;
    }

    op->kind = STORE_OP_ERASE;
    op->sender = store_plan_text(ev->body, "by");

    return store_plan_id(op->sender) ? NULL : "by is not an id";
}


const char *
store_plan_life(store_op_t *op, const event_t *ev)
{
    const char  *what, *why;

    op->audit = json_object_get(ev->body, "audit");

    if (op->audit || ev->kind == WRT_EV_AUDIT) {
        why = life_audit(op->audit);
        if (why) {
            return why;
        }
    }

    if (ev->kind == WRT_EV_AUDIT) {
        op->kind = STORE_OP_AUDIT;
        return NULL;
    }

    what = store_plan_text(ev->body, "op");
    what = what ? what : "";

    if (strcmp(what, "hold") == 0) {
        return life_hold(op, json_object_get(ev->body, "hold"));
    }

    if (strcmp(what, "release") == 0) {
        return life_release(op, ev->body);
    }

    if (strcmp(what, "expire") == 0) {
        return life_expire(op, ev);
    }

    if (strcmp(what, "erase") == 0 || strcmp(what, "scrub") == 0
        || strcmp(what, "forget") == 0 || strcmp(what, "erased") == 0)
    {
        return life_erase(op, ev, what);
    }

    return "op is none that this program knows";
}


int64_t
store_due_before(const store_due_t *q, int64_t days)
{
    int64_t  before;

    if (days < 1 || days > WRT_RETENTION_DAYS_MAX) {
        return STORE_NO_TIME;
    }

    before = q->now_ms - days * 86400 * 1000;

    return before > 0 ? before : STORE_NO_TIME;
}


json_t *
store_doc_end(const char *id, int64_t seq)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "conversationId", store_doc_string(id));
    store_doc_set(o, "seq", json_integer(seq));

    return o;
}


json_t *
store_doc_trace(const char *id, int64_t seq, int present, const char *role,
    const char *type, int held)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "conversationId", store_doc_string(id));
    store_doc_set(o, "seq", json_integer(seq));
    store_doc_set(o, "present", json_boolean(present));
    store_doc_set(o, "role", store_doc_string(role));
    store_doc_set(o, "type", store_doc_string(type));
    store_doc_set(o, "held", json_boolean(held));

    return o;
}


json_t *
store_doc_erasure(const char *user, const char *alias, const char *by,
    int64_t at)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "userId", store_doc_string(user));
    store_doc_set(o, "alias", store_doc_string(alias));
    store_doc_set(o, "requestedBy", store_doc_string(by));
    store_doc_set(o, "requestedAt", store_doc_time(at));

    return o;
}


json_t *
store_doc_due_message(const char *id, json_t *numbers)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "id", store_doc_string(id));
    store_doc_set(o, "numbers", numbers);

    return o;
}


json_t *
store_doc_due(const char *id, int64_t seq, int64_t before, json_t *messages,
    int idle)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "conversationId", store_doc_string(id));
    store_doc_set(o, "seq", json_integer(seq));
    store_doc_set(o, "before", store_doc_time(before));
    store_doc_set(o, "messages", messages);
    store_doc_set(o, "idle", json_boolean(idle));

    return o;
}


void
store_hold_row(const json_t *hold, store_hold_row_t *out)
{
    memset(out, 0, sizeof(*out));

    out->id = store_plan_text(hold, "id");
    out->type = store_plan_text(hold, "type");
    out->target = store_plan_text(hold, "targetId");
    out->reason = store_plan_text(hold, "reason");
    out->created_by = store_plan_text(hold, "createdBy");
    out->released_at = STORE_NO_TIME;
    store_plan_time(hold, "createdAt", &out->created_at);
}


void
store_audit_row(const json_t *audit, store_audit_row_t *out)
{
    const json_t  *actor, *target;

    memset(out, 0, sizeof(*out));

    actor = json_object_get(audit, "actor");
    target = json_object_get(audit, "target");

    out->id = store_plan_text(audit, "id");
    out->action = store_plan_text(audit, "action");
    out->actor = store_plan_text(actor, "userId");
    out->role = store_plan_text(actor, "role");
    out->target_type = store_plan_text(target, "type");
    out->target = store_plan_text(target, "id");
    out->source = store_plan_text(audit, "from");
    out->details = json_object_get(audit, "details");
    store_plan_time(audit, "at", &out->at);
}


json_t *
store_doc_hold(const store_hold_row_t *h)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "id", store_doc_string(h->id));
    store_doc_set(o, "type", store_doc_string(h->type));
    store_doc_set(o, "targetId", store_doc_string(h->target));
    store_doc_set(o, "reason", store_doc_string(h->reason));
    store_doc_set(o, "createdBy", store_doc_string(h->created_by));
    store_doc_set(o, "createdAt", store_doc_time(h->created_at));
    store_doc_set(o, "releasedBy", store_doc_string(h->released_by));
    store_doc_set(o, "releasedAt", store_doc_time(h->released_at));

    return o;
}


json_t *
store_doc_audit(store_audit_row_t *a)
{
    json_t  *o, *v;

    o = json_object();
    store_doc_set(o, "id", store_doc_string(a->id));
    store_doc_set(o, "at", store_doc_time(a->at));
    store_doc_set(o, "action", store_doc_string(a->action));

    v = json_object();
    store_doc_set(v, "userId", store_doc_string(a->actor));
    store_doc_set(v, "role", store_doc_string(a->role));
    store_doc_set(o, "actor", v);

    v = json_object();
    store_doc_set(v, "type", store_doc_string(a->target_type));
    store_doc_set(v, "id", store_doc_string(a->target));
    store_doc_set(o, "target", v);

    store_doc_set(o, "from", store_doc_string(a->source));
    store_doc_set(o, "details", a->details ? a->details : json_object());

    return o;
}
