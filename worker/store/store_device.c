/*
 * store_device.c: devices that are reached by push, quiet hours, mutes: what
 * events of kind 'n' mean, and how they look as documents.  The same for both
 * stores.
 */

#include <string.h>

#include "worker/store/store_internal.h"


static const char *const  device_platforms[] = {
    "android", "ios", "web", NULL
};


int
store_op_is_device(const store_op_t *op)
{
    return op->kind >= STORE_OP_DEVICE && op->kind <= STORE_OP_NO_PUSH;
}


/* A text of 1 to max bytes. */
static int
device_text(const json_t *object, const char *key, size_t max)
{
    const json_t  *v;

    v = json_object_get(object, key);

    return json_is_string(v) && json_string_length(v) > 0
           && json_string_length(v) <= max
           && strlen(json_string_value(v)) == json_string_length(v);
}


static const char *
device_put(store_op_t *op, const event_t *ev)
{
    int            i;
    const char    *s;
    const json_t  *d;

    d = json_object_get(ev->body, "device");

    op->kind = STORE_OP_DEVICE;
    op->body = (json_t *) d;
    op->id = store_plan_text(d, "id");

    if (!store_plan_id(op->id)) {
        return "device.id is not an id";
    }

    s = store_plan_text(d, "platform");

    for (i = 0; s && device_platforms[i]; i++) {
        if (strcmp(s, device_platforms[i]) == 0) {
            break;
        }
    }

    if (s == NULL || device_platforms[i] == NULL) {
        return "device.platform is none that this program knows";
    }

    if (!device_text(d, "token", WRT_PUSH_TOKEN_MAX)) {
        return "device.token is missing or too long";
    }

    if (!store_plan_optional(d, "locale", JSON_STRING)
        || (store_plan_text(d, "locale")
            && !device_text(d, "locale", WRT_PUSH_LOCALE_MAX)))
    {
        return "device.locale is empty or too long";
    }

    return store_plan_time(ev->body, "at", &op->at) == 0
           ? NULL : "at is not a time";
}


static const char *
device_gone(store_op_t *op, const event_t *ev)
{
    op->kind = STORE_OP_DEVICE_GONE;
    op->id = store_plan_text(ev->body, "deviceId");

    if (!store_plan_id(op->id)) {
        return "deviceId is not an id";
    }

    return store_plan_time(ev->body, "at", &op->at) == 0
           ? NULL : "at is not a time";
}


static const char *
device_settings(store_op_t *op, const event_t *ev)
{
    const json_t  *v;

    v = json_object_get(ev->body, "quietHours");

    op->kind = STORE_OP_QUIET;
    op->body = json_is_null(v) ? NULL : (json_t *) v;

    if (v == NULL || (op->body
                      && (!device_text(v, "start", 5)
                          || !device_text(v, "end", 5)
                          || !device_text(v, "timezone",
                                          WRT_PUSH_ZONE_MAX))))
    {
        return "quietHours is neither null nor start, end and timezone";
    }

    return NULL;
}


static const char *
device_mute(store_op_t *op, const event_t *ev)
{
    const json_t  *v;

    v = json_object_get(ev->body, "muted");

    op->kind = STORE_OP_MUTE;
    op->id = store_plan_text(ev->body, "conversationId");
    op->at = STORE_NO_TIME;
    op->on = json_is_true(v);

    if (!store_plan_id(op->id)) {
        return "conversationId is not an id";
    }

    if (!json_is_boolean(v)) {
        return "muted is neither true nor false";
    }

    v = json_object_get(ev->body, "until");

    return v == NULL || json_is_null(v)
           || store_plan_time(ev->body, "until", &op->at) == 0
           ? NULL : "until is not a time";
}


const char *
store_plan_device(store_op_t *op, const event_t *ev)
{
    const char  *what;

    what = store_plan_text(ev->body, "op");
    what = what ? what : "";
    op->user = ev->actor;

    if (strcmp(what, "gone") == 0) {
        /* of a service that does not know it any more: whoever has it */
        op->user = op->user && op->user[0] ? op->user : NULL;
        return device_gone(op, ev);
    }

    if (!store_plan_id(op->user)) {
        return "the actor is not an id";
    }

    if (strcmp(what, "device") == 0) {
        return device_put(op, ev);
    }

    if (strcmp(what, "settings") == 0) {
        return device_settings(op, ev);
    }

    if (strcmp(what, "mute") == 0) {
        return device_mute(op, ev);
    }

    if (strcmp(what, "forget") == 0) {
        op->kind = STORE_OP_NO_PUSH;
        return NULL;
    }

    return "op is none that this program knows";
}


json_t *
store_doc_push(json_t *out, const char *user)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "devices", json_array());
    store_doc_set(o, "quietHours", json_null());
    store_doc_set(o, "mutes", json_array());
    store_doc_set(out, user, o);

    return o;
}


void
store_doc_device(json_t *push, const char *id, const char *platform,
    const char *token, const char *locale, int64_t at)
{
    json_t  *o;

    if (json_array_size(json_object_get(push, "devices"))
        >= WRT_PUSH_DEVICES_MAX)
    {
        return;
    }

    o = json_object();
    store_doc_set(o, "id", store_doc_string(id));
    store_doc_set(o, "platform", store_doc_string(platform));
    store_doc_set(o, "token", store_doc_string(token));
    store_doc_set(o, "locale", store_doc_string(locale));
    store_doc_set(o, "registeredAt", store_doc_time(at));
    store_doc_append(json_object_get(push, "devices"), o);
}


void
store_doc_mute(json_t *push, const char *conversation, int64_t until)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "conversationId", store_doc_string(conversation));
    store_doc_set(o, "until", store_doc_time(until));
    store_doc_append(json_object_get(push, "mutes"), o);
}


int
store_mute_lasts(const json_t *mute, int64_t now)
{
    int64_t      until;
    const char  *s;

    s = json_string_value(json_object_get(mute, "until"));

    return s == NULL || wrt_time_parse(s, strlen(s), &until) != 0
           || until > now;
}
