/*
 * api_internal.c: what nginx asks for itself: a conversation or a user's list
 * of rooms into Redis, what a client missed long ago, one message.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

/* Membership may change between reading the store and writing the list. */
#define INTERNAL_USER_TRIES  5
/* The store may go on between reading the changes and the conversation. */
#define CHANGES_TRIES        4


/* LOAD <conversation> */
api_rc_t
internal_load(api_t *a, call_t *c)
{
    rds_t       *shard;
    store_t     *st;
    unsigned     k;
    store_rc_t   rc;

    k = wrt_shard(&a->cf->names, c->ids[0], strlen(c->ids[0]));
    shard = api_shard(a, k);

    if (shard == NULL) {
        return api_unavailable(c);
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = load_conversation(st, shard, a->cf, c->ids[0]);

    if (rc == STORE_REJECTED) {
        return api_unavailable(c);
    }

    role_store_result(a->role, rc);

    return rc == STORE_OK ? api_ok(c, 200, NULL, NULL)
                          : api_store_error(a, c, rc);
}


/* Write a user's list, without the rooms of `before` that are not in `now`. */
static int
internal_user_write(api_t *a, rds_t *hub, const char *user, json_t *now,
    json_t *before)
{
    char         key[WRT_NAME_BUF];
    json_t      *v;
    const char  *id;

    wrt_key_user_convs(key, user, strlen(user));

    cmd_begin(&a->cmd, "HSET");
    cmd_text(&a->cmd, key);

    json_object_foreach(now, id, v) {
        cmd_text(&a->cmd, id);
        cmd_num(&a->cmd, json_integer_value(v));
    }

    cmd_text(&a->cmd, WRT_F_LOADED);
    cmd_text(&a->cmd, "1");
    rds_push(hub, &a->cmd);

    json_object_foreach(before, id, v) {
        if (json_object_get(now, id) == NULL) {
            rds_queue(hub, "HDEL", key, id);
        }
    }

    cmd_begin(&a->cmd, "EXPIRE");
    cmd_text(&a->cmd, key);
    cmd_num(&a->cmd, WRT_USER_IDLE_S);
    rds_push(hub, &a->cmd);

    return rds_drain(hub);
}


/*
 * What a service calls him goes along with the list, before it counts as whole.
 * What is there already is newer: the projector put it there (effects.c) after
 * the store had it.
 */
static store_rc_t
internal_user_profile(api_t *a, rds_t *hub, store_t *st, const char *user)
{
    int          managed;
    char         key[WRT_NAME_BUF];
    buf_t        text;
    json_t      *v;
    store_rc_t   rc;

    rc = store_user(st, user, &v, &managed);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? STORE_OK : rc;
    }

    if (managed) {
        memset(&text, 0, sizeof(text));
        json_object_del(v, "id");
        buf_json(&text, v);

        wrt_key_user_convs(key, user, strlen(user));
        rds_queue(hub, "HSETNX", key, WRT_F_PROFILE, text.p);
        buf_free(&text);

        cmd_begin(&a->cmd, "EXPIRE");
        cmd_text(&a->cmd, key);
        cmd_num(&a->cmd, WRT_USER_IDLE_S);
        rds_push(hub, &a->cmd);

        if (rds_drain(hub) != 0) {
            rds_fail(hub, rds_error(hub));
            rc = STORE_REJECTED;
        }
    }

    json_decref(v);

    return rc;
}


/*
 * A user's list whole in Redis.  The projector changes the store first and
 * the list after it; so what was read is written, and then the store is read
 * again: if it says the same, nothing that we wrote can have been out of
 * date.  STORE_REJECTED: Redis failed, or the list would not stand still.
 */
store_rc_t
internal_user_load(api_t *a, rds_t *hub, store_t *st, const char *user)
{
    int          i, same;
    char         key[WRT_NAME_BUF];
    json_t      *rooms, *before;
    reply_t     *r;
    store_rc_t   rc;

    wrt_key_user_convs(key, user, strlen(user));
    r = rds_call(hub, "HEXISTS", key, WRT_F_LOADED);
    same = reply_int(r, 0) == 1;
    reply_free(r);

    before = NULL;
    rc = STORE_OK;

    if (!same) {
        rc = internal_user_profile(a, hub, st, user);
    }

    for (i = 0; i < INTERNAL_USER_TRIES && !same && rc == STORE_OK; i++) {
        rc = store_user_rooms(st, user, &rooms);
        role_store_result(a->role, rc);

        if (rc != STORE_OK) {
            break;
        }

        same = before && json_equal(rooms, before);

        if (!same && internal_user_write(a, hub, user, rooms, before) != 0) {
            rds_fail(hub, rds_error(hub));
            json_decref(rooms);
            break;
        }

        json_decref(before);
        before = rooms;
    }

    json_decref(before);

    return same || rc != STORE_OK ? rc : STORE_REJECTED;
}


/* USER <user> */
api_rc_t
internal_user(api_t *a, call_t *c)
{
    rds_t       *hub;
    store_t     *st;
    store_rc_t   rc;

    hub = api_redis(a, 0);
    if (hub == NULL) {
        return api_unavailable(c);
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = internal_user_load(a, hub, st, c->ids[0]);

    return rc == STORE_OK ? api_ok(c, 200, NULL, NULL)
           : rc == STORE_REJECTED ? api_unavailable(c)
           : api_store_error(a, c, rc);
}


/* One message, or its end, as the event that a client gets for it. */
static void
internal_change(buf_t *out, json_t *m, int64_t after)
{
    int          created, deleted;
    json_t      *event, *data;
    int64_t      seq;
    const char  *id, *sender;

    id = json_string_value(json_object_get(m, "conversationId"));
    sender = json_string_value(json_object_get(m, "senderId"));
    seq = json_integer_value(json_object_get(m, "changeSeq"));
    created = json_integer_value(json_object_get(m, "seq")) > after;
    deleted = json_is_string(json_object_get(m, "deletedAt"));

    json_object_del(m, "changeSeq");

    data = json_pack("{s:s?, s:I}", "conversationId", id, "seq",
                     (json_int_t) seq);

    if (deleted || !created) {
        json_object_set(data, "messageId", json_object_get(m, "id"));
    }

    if (deleted) {
        json_object_set(data, "deletedAt", json_object_get(m, "deletedAt"));

    } else if (created && json_object_get(m, "clientMessageId")) {
        json_object_set(data, "clientMessageId",
                        json_object_get(m, "clientMessageId"));
    }

    /* who has it knows better who has read it */

    if (!created) {
        json_object_del(m, "status");
        json_object_del(m, "readBy");
    }

    /* a deleted one is told whole as well: who never saw it needs its place
     * in the order */
    json_object_set(data, "message", m);

    event = json_pack("{s:s, s:o}", "event",
                      created ? "message_received"
                      : deleted ? "message_deleted" : "message_updated",
                      "data", data);

    buf_fmt(out, "%c %lld %s -\n", created ? WRT_EV_MESSAGE : WRT_EV_CHANGE,
            (long long) seq, sender && sender[0] ? sender : "-");
    buf_json(out, event);
    buf_text(out, "\n");

    json_decref(event);
}


/* "<after> <origin> <bytes>" of a CHANGES call; 0, or -1 when it is not. */
static int
internal_changes_query(const char *q, int64_t *after, int64_t *origin,
    int64_t *bytes)
{
    char  *end;

    *after = strtoll(q, &end, 10);

    if (end == q || *end != ' ') {
        return -1;
    }

    q = end + 1;
    *origin = strtoll(q, &end, 10);

    if (end == q || *end != ' ') {
        return -1;
    }

    q = end + 1;
    *bytes = strtoll(q, &end, 10);

    if (end == q || *end != '\0' || *origin < 0 || *after < *origin
        || *bytes < 0)
    {
        return -1;
    }

    return 0;
}


/*
 * What was changed, and the conversation as it stands: who catches up in
 * compact form does not get the events that made it so, on later pages
 * neither.  The two are to be of one moment, else a room is shown archived
 * before it is; when the store goes on too fast the conversation is the later
 * one.
 */
static store_rc_t
internal_changes_read(store_t *st, const char *id, int64_t after,
    json_t **list, json_t **doc, int64_t *upto)
{
    int         tries;
    store_rc_t  rc;

    for (tries = 0; ; tries++) {
        rc = store_changes(st, id, after, WRT_RESUME_MAX, list, upto);

        if (rc != STORE_OK) {
            return rc;
        }

        rc = store_conversation(st, id, NULL, doc);

        if (rc != STORE_OK) {
            json_decref(*list);
            return rc;
        }

        if (tries == CHANGES_TRIES
            || json_integer_value(json_object_get(*doc, "seq")) == *upto)
        {
            return STORE_OK;
        }

        json_decref(*list);
        json_decref(*doc);
    }
}


/* Payloads until they are `bytes`, one at least; the last one's number is
 * then where the next page begins. */
static void
internal_changes_page(buf_t *out, json_t *list, const json_t *doc,
    int64_t origin, int64_t bytes, int64_t upto)
{
    buf_t    page;
    size_t   i;
    json_t  *m;
    int64_t  seq, next;

    memset(&page, 0, sizeof(page));
    seq = next = upto;

    json_array_foreach(list, i, m) {
        if (i > 0 && page.n >= (size_t) bytes) {
            next = seq;
            break;
        }

        seq = json_integer_value(json_object_get(m, "changeSeq"));
        internal_change(&page, m, origin);
    }

    buf_fmt(out, "%lld %zu %lld\n", (long long) next, json_array_size(list),
            (long long) upto);
    buf_json(out, doc);
    buf_text(out, "\n");
    buf_add(out, page.p, page.n);
    buf_free(&page);
}


/*
 * CHANGES <conversation> ? <after> <origin> <bytes>: compact catch-up, a page
 * at a time.  origin is where the client began: what was made above it is new
 * to him, whatever page it comes with.
 */
api_rc_t
internal_changes(api_t *a, call_t *c)
{
    int          waits;
    buf_t        out;
    json_t      *list, *doc;
    int64_t      after, origin, bytes, upto;
    store_t     *st;
    access_t     access;
    store_rc_t   rc;

    if (internal_changes_query(c->query, &after, &origin, &bytes) != 0) {
        return api_error(c, 400, "invalid_request", "query",
                         "two sequence numbers and a size are required");
    }

    if (api_access(a, c, c->ids[0], &access) != 0) {
        return API_DONE;
    }

    if (c->step == 0) {
        waits = api_wait_state(a, c, c->ids[0], &access);

        if (waits != 0) {
            return waits < 0 ? API_DONE : API_WAIT;
        }
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = internal_changes_read(st, c->ids[0], after, &list, &doc, &upto);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    memset(&out, 0, sizeof(out));
    internal_changes_page(&out, list, doc, origin, bytes, upto);
    json_decref(doc);
    json_decref(list);

    return api_text(c, &out);
}


/* MESSAGE <conversation>/<message>, its clientMessageId: the answer to a send
 * that was repeated.  When Redis had forgotten the first one the store may have
 * taken what Redis knows now for a retry, too: then it has the first one. */
api_rc_t
internal_message(api_t *a, call_t *c)
{
    json_t      *m;
    store_t     *st;
    access_t     access;
    store_rc_t   rc;

    if (api_access(a, c, c->ids[0], &access) != 0) {
        return API_DONE;
    }

    if (c->step == 0
        && api_wait_conv(c, c->ids[0], access.seq, access.applied))
    {
        return API_WAIT;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_message(st, c->ids[0], c->ids[1], &m);

    if (rc == STORE_NOT_FOUND && c->body_len) {
        rc = store_message_sent(st, c->ids[0], c->user, c->body, &m);
    }

    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    return api_ok(c, 200, "Message sent successfully",
                  json_pack("{s:o}", "message", m));
}
