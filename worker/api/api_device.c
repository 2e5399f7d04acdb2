/*
 * api_device.c: how the caller is reached when he is away.
 *
 *   GET    /api/devices
 *   POST   /api/devices {platform, token, locale?}     200
 *   DELETE /api/devices {token} (or {platform, token})
 *   GET    /api/push/settings
 *   PUT    /api/push/settings {quietHours: {start, end, timezone} | null}
 *   PUT    /api/conversations/:id/mute {muted, until?}
 *
 * A device's id follows from its token, so that one token is one device,
 * whoever registers it and how often; who registered it last has it.  Tokens
 * are shown to nobody.
 */

#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "worker/api/api.h"

static const char *const  device_platforms[] = {
    "android", "ios", "web", NULL
};


/* The first digits of SHA-256 over the token. */
static void
device_id(char out[WRT_OID_LEN + 1], const char *token)
{
    unsigned char  sum[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *) token, strlen(token), sum);

    wrt_hex(sum, WRT_OID_LEN / 2, out);
}


/* Queue it in the shard of that place.  0, or -1: answered. */
static int
device_record(api_t *a, call_t *c, const char *place, json_t *body)
{
    rds_t  *shard;

    shard = api_shard(a, wrt_shard(&a->cf->names, place, strlen(place)));

    if (shard == NULL) {
        json_decref(body);

    } else if (life_record(shard, &a->cmd, a->cf, WRT_EV_DEVICE, place, "-",
                           c->user, body) == 0)
    {
        return 0;
    }

    api_unavailable(c);

    return -1;
}


/* What the store has of the caller; NULL: answered. */
static json_t *
device_read(api_t *a, call_t *c)
{
    json_t      *all, *v;
    store_t     *st;
    store_rc_t   rc;
    const char  *users[1];

    st = api_store(a, c);
    if (st == NULL) {
        return NULL;
    }

    users[0] = c->user;
    rc = store_push(st, users, 1, NULL, &all);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return NULL;
    }

    v = json_incref(json_object_get(all, c->user));
    json_decref(all);

    return v;
}


/* Wait, in the first step, for what was queued there.  1: come again, 0 go
 * on, -1: answered. */
static int
device_wait(api_t *a, call_t *c, const char *place)
{
    return c->step == 0 ? api_wait_shard(a, c, place) : 0;
}


/* -- devices -- */

static api_rc_t
device_answer(api_t *a, call_t *c, const char *said)
{
    size_t   i;
    json_t  *push, *v;

    push = device_read(a, c);
    if (push == NULL) {
        return API_DONE;
    }

    json_array_foreach(json_object_get(push, "devices"), i, v) {
        json_object_del(v, "token");
    }

    v = json_incref(json_object_get(push, "devices"));
    json_decref(push);

    return api_ok(c, 200, said, json_pack("{s:o}", "devices", v));
}


api_rc_t
device_list(api_t *a, call_t *c)
{
    return device_answer(a, c, NULL);
}


/* One of the platforms, NULL: answered. */
static const char *
device_platform(call_t *c, const wrt_envelope_t *e)
{
    int          i;
    const char  *s;

    s = json_string_value(json_object_get(e->data, "platform"));

    for (i = 0; s && device_platforms[i]; i++) {
        if (strcmp(device_platforms[i], s) == 0) {
            return device_platforms[i];
        }
    }

    api_error(c, 400, "invalid_request", "platform",
              "platform must be android, ios or web");

    return NULL;
}


/* 0, or -1: answered. */
static int
device_token(call_t *c, const wrt_envelope_t *e, const char **out)
{
    int             rc;
    size_t          i;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    rc = wrt_envelope_string(e, "token", WRT_PUSH_TOKEN_MAX, &s, &why);

    if (rc < 0) {
        return body_refused(c, &why);
    }

    for (i = 0; rc && i < s.n && s.p[i] > ' ' && s.p[i] < 0x7F; i++) {
        /* void */
    }

    if (rc == 0 || s.n == 0 || i < s.n) {
        api_error(c, 400, "invalid_request", "token",
                  "token must be what the push service has given to the "
                  "device: printable ASCII without blanks");
        return -1;
    }

    *out = s.p;

    return 0;
}


/* As in id, en-GB, zh_Hant_TW.  0, or -1: answered. */
static int
device_locale(call_t *c, const wrt_envelope_t *e, const char **out)
{
    int             rc;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    *out = NULL;
    rc = wrt_envelope_string(e, "locale", WRT_PUSH_LOCALE_MAX, &s, &why);

    if (rc < 0) {
        return body_refused(c, &why);
    }

    if (rc == 1) {
        if (s.n < 2 || strspn(s.p, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
                       != s.n)
        {
            api_error(c, 400, "invalid_request", "locale",
                      "locale must be one like id or en-GB");
            return -1;
        }

        *out = s.p;
    }

    return 0;
}


/* The event; its device's id in id.  NULL: answered. */
static json_t *
device_event(call_t *c, const wrt_envelope_t *e, char id[WRT_OID_LEN + 1])
{
    char         at[WRT_TIME_LEN + 1];
    const char  *platform, *token, *locale;

    platform = device_platform(c, e);

    if (platform == NULL || device_token(c, e, &token) != 0
        || device_locale(c, e, &locale) != 0)
    {
        return NULL;
    }

    device_id(id, token);
    wrt_time_format(now_ms(), at);

    return json_pack("{s:s, s:{s:s, s:s, s:s, s:s*}, s:s}", "op", "device",
                     "device", "id", id, "platform", platform, "token", token,
                     "locale", locale, "at", at);
}


/* The event that ends it.  NULL: answered. */
static json_t *
device_end(call_t *c, const wrt_envelope_t *e, char id[WRT_OID_LEN + 1])
{
    char         at[WRT_TIME_LEN + 1];
    const char  *token;

    if (device_token(c, e, &token) != 0) {
        return NULL;
    }

    device_id(id, token);
    wrt_time_format(now_ms(), at);

    return json_pack("{s:s, s:s, s:s}", "op", "gone", "deviceId", id, "at",
                     at);
}


static api_rc_t
device_change(api_t *a, call_t *c,
    json_t *(*event)(call_t *c, const wrt_envelope_t *e,
                     char id[WRT_OID_LEN + 1]), const char *said)
{
    int              rc;
    char             id[WRT_OID_LEN + 1];
    json_t          *body;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    if (c->step == 0) {
        body = NULL;

        if (wrt_envelope_parse_body(&e, c->body, c->body_len, &why) != 0) {
            body_refused(c, &why);
        } else {
            body = event(c, &e, id);
        }

        wrt_envelope_free(&e);

        if (body == NULL || device_record(a, c, id, body) != 0) {
            return API_DONE;
        }

        rc = device_wait(a, c, id);

        if (rc != 0) {
            return rc < 0 ? API_DONE : API_WAIT;
        }
    }

    return device_answer(a, c, said);
}


api_rc_t
device_put(api_t *a, call_t *c)
{
    return device_change(a, c, device_event,
                         "Device registered successfully");
}


api_rc_t
device_delete(api_t *a, call_t *c)
{
    return device_change(a, c, device_end, "Device removed successfully");
}


/* -- settings -- */

static api_rc_t
push_answer(api_t *a, call_t *c, const char *said)
{
    json_t  *push;

    push = device_read(a, c);
    if (push == NULL) {
        return API_DONE;
    }

    json_object_del(push, "devices");

    return api_ok(c, 200, said, json_pack("{s:o}", "settings", push));
}


api_rc_t
push_get(api_t *a, call_t *c)
{
    return push_answer(a, c, NULL);
}


static int
push_refuse(call_t *c, const char *field, const char *text)
{
    api_error(c, 400, "invalid_request", field, text);

    return -1;
}


/* 0, or -1: answered. */
static int
push_quiet(call_t *c, const json_t *v)
{
    int          start, end;
    const char  *s;

    if (json_is_null(v)) {
        return 0;
    }

    if (!json_is_object(v)) {
        return push_refuse(c, "quietHours", "quietHours must be an object "
                           "with start, end and timezone, or null");
    }

    s = json_string_value(json_object_get(v, "start"));
    start = s ? push_zone_clock(s) : -1;

    if (start < 0) {
        return push_refuse(c, "quietHours.start", "quietHours.start must be "
                           "a time of the day like 22:00");
    }

    s = json_string_value(json_object_get(v, "end"));
    end = s ? push_zone_clock(s) : -1;

    if (end < 0 || end == start) {
        return push_refuse(c, "quietHours.end", "quietHours.end must be a "
                           "time of the day like 06:00, another than start");
    }

    s = json_string_value(json_object_get(v, "timezone"));

    if (s == NULL || !push_zone_known(s)) {
        return push_refuse(c, "quietHours.timezone", "quietHours.timezone "
                           "must be the name of a time zone like "
                           "Asia/Jakarta");
    }

    return 0;
}


/* The event, NULL: answered. */
static json_t *
push_settings(call_t *c, const wrt_envelope_t *e)
{
    json_t  *v;

    v = json_object_get(e->data, "quietHours");

    if (v == NULL) {
        push_refuse(c, "quietHours", "quietHours is required: an object with "
                    "start, end and timezone, or null");
        return NULL;
    }

    if (push_quiet(c, v) != 0) {
        return NULL;
    }

    return json_is_null(v)
           ? json_pack("{s:s, s:n}", "op", "settings", "quietHours")
           : json_pack("{s:s, s:{s:O, s:O, s:O}}", "op", "settings",
                       "quietHours", "start", json_object_get(v, "start"),
                       "end", json_object_get(v, "end"), "timezone",
                       json_object_get(v, "timezone"));
}


/* muted, until.  The event, NULL: answered. */
static json_t *
push_mute_event(call_t *c, const wrt_envelope_t *e)
{
    int             rc, muted;
    char            at[WRT_TIME_LEN + 1];
    int64_t         ms;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    rc = wrt_envelope_bool(e, "muted", &muted, &why);

    if (rc == 0) {
        push_refuse(c, "muted", "muted must be true or false");
        return NULL;
    }

    if (rc == 1) {
        rc = wrt_envelope_string(e, "until", 64, &s, &why);
    }

    if (rc < 0) {
        body_refused(c, &why);
        return NULL;
    }

    if (rc == 1) {
        if (wrt_time_parse(s.p, s.n, &ms) != 0 || ms < 0) {
            push_refuse(c, "until", "until must be a time like "
                        "2024-01-15T14:30:00Z");
            return NULL;
        }

        if (muted && ms <= now_ms()) {
            push_refuse(c, "until", "until must be in the future; leave it "
                        "out to mute without an end");
            return NULL;
        }

        wrt_time_format(ms, at);
    }

    return json_pack("{s:s, s:s, s:b, s:s*}", "op", "mute", "conversationId",
                     c->ids[0], "muted", muted, "until",
                     rc == 1 && muted ? at : NULL);
}


static api_rc_t
push_change(api_t *a, call_t *c,
    json_t *(*event)(call_t *c, const wrt_envelope_t *e), const char *said)
{
    int              rc;
    json_t          *body;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    if (c->step == 0) {
        body = NULL;

        if (wrt_envelope_parse_body(&e, c->body, c->body_len, &why) != 0) {
            body_refused(c, &why);
        } else {
            body = event(c, &e);
        }

        wrt_envelope_free(&e);

        if (body == NULL || device_record(a, c, c->user, body) != 0) {
            return API_DONE;
        }

        rc = device_wait(a, c, c->user);

        if (rc != 0) {
            return rc < 0 ? API_DONE : API_WAIT;
        }
    }

    return push_answer(a, c, said);
}


api_rc_t
push_put(api_t *a, call_t *c)
{
    return push_change(a, c, push_settings, "Settings updated successfully");
}


api_rc_t
push_mute(api_t *a, call_t *c)
{
    access_t  x;

    if (c->step == 0) {
        if (api_access(a, c, c->ids[0], &x) != 0) {
            return API_DONE;
        }

        /* who runs the place sees it, but gets nothing from it */
        if (!x.member) {
            return api_not_found(c);
        }
    }

    return push_change(a, c, push_mute_event, "Settings updated successfully");
}
