/*
 * api_presence.c: GET /api/users/:id/presence, PUT /api/presence.
 *
 * Presence lives on the hub alone (docs/redis.md).  What is said of a user:
 *
 *                          himself   service, admin   shares a conversation
 *   status, lastSeen       yes       yes              as he wants to be seen
 *   currentConversations   all       all              those that are shared
 *   typingIn               yes       yes              if it is shared
 *   deviceInfo             yes       yes              null
 *
 * For everybody else there is no such user.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

static const char *const  presence_statuses[] = {
    "online", "away", "busy", "offline", NULL
};

/* What the hub has of a user. */
typedef struct {
    int64_t    now;                 /* by its clock */
    int64_t    online;              /* until when; 0 not at all */
    int64_t    hidden;
    reply_t   *conns;               /* node, until when... */
    reply_t   *fields;
} presence_t;

/* His devices, taken together; what can be said of one only is said of the one
 * where he types, else of one with a room on screen. */
typedef struct {
    json_t    *rooms;               /* on screen, each once */
    json_t    *info;                /* or NULL */
    json_t    *typing;              /* or NULL */
    int        rank;                /* of that device */
} devices_t;


static void
presence_free(presence_t *p)
{
    reply_free(p->conns);
    reply_free(p->fields);
}


/* A field that is there and not empty, or NULL. */
static const char *
presence_field(const presence_t *p, const char *name)
{
    const reply_t  *r;

    r = reply_field(p->fields, name);

    return reply_len(r) > 0 ? reply_text(r) : NULL;
}


/* 0, or -1: answered.  presence_free() in any case. */
static int
presence_ask(api_t *a, call_t *c, const char *user, presence_t *p)
{
    char      key[WRT_NAME_BUF];
    rds_t    *hub;
    size_t    n;
    reply_t  *r;

    memset(p, 0, sizeof(*p));
    n = strlen(user);
    hub = api_redis(a, 0);

    if (hub == NULL) {
        api_unavailable(c);
        return -1;
    }

    rds_queue(hub, "TIME");
    rds_queue(hub, "ZSCORE", WRT_KEY_ONLINE, user);
    rds_queue(hub, "ZSCORE", WRT_KEY_HIDDEN, user);
    wrt_key_user_conns(key, user, n);
    rds_queue(hub, "ZRANGE", key, "0", "-1", "WITHSCORES");
    wrt_key_user_presence(key, user, n);
    rds_queue(hub, "HGETALL", key);

    r = rds_pull(hub);
    p->now = reply_int(reply_at(r, 0), 0) * 1000
             + reply_int(reply_at(r, 1), 0) / 1000;
    reply_free(r);

    r = rds_pull(hub);
    p->online = reply_int(r, 0);
    reply_free(r);

    r = rds_pull(hub);
    p->hidden = reply_int(r, 0);
    reply_free(r);

    p->conns = rds_pull(hub);
    p->fields = rds_pull(hub);

    if (p->fields == NULL || reply_is_error(p->fields)) {
        rds_fail(hub, reply_text(p->fields));
        api_unavailable(c);
        return -1;
    }

    return 0;
}


/* -- who may know -- */

/*
 * A user's rooms as an object's keys.  Redis mostly has the list; where it
 * does not, the store is asked and nothing is written: who asks for users that
 * never were shall not fill the memory.  NULL: answered.
 */
static json_t *
presence_rooms(api_t *a, call_t *c, const char *user)
{
    char         key[WRT_NAME_BUF];
    rds_t       *hub;
    json_t      *rooms;
    size_t       i;
    reply_t     *r;
    store_t     *st;
    store_rc_t   rc;

    hub = api_redis(a, 0);
    if (hub == NULL) {
        api_unavailable(c);
        return NULL;
    }

    wrt_key_user_convs(key, user, strlen(user));
    r = rds_call(hub, "HKEYS", key);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        api_unavailable(c);
        return NULL;
    }

    rooms = json_object();

    for (i = 0; i < reply_count(r); i++) {
        json_object_set_new(rooms, reply_text(reply_at(r, i)), json_true());
    }

    reply_free(r);

    if (json_object_get(rooms, WRT_F_LOADED)) {
        json_object_del(rooms, WRT_F_LOADED);
        json_object_del(rooms, WRT_F_PROFILE);
        return rooms;
    }

    json_decref(rooms);

    st = api_store(a, c);
    if (st == NULL) {
        return NULL;
    }

    rc = store_user_rooms(st, user, &rooms);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return NULL;
    }

    return rooms;
}


/* The rooms that both are in; NULL: answered, also when there are none. */
static json_t *
presence_shared(api_t *a, call_t *c, const char *user)
{
    void        *next;
    json_t      *mine, *his, *v;
    const char  *id;

    mine = presence_rooms(a, c, c->user);
    his = mine ? presence_rooms(a, c, user) : NULL;

    if (his == NULL) {
        json_decref(mine);
        return NULL;
    }

    json_object_foreach_safe(his, next, id, v) {
        if (json_object_get(mine, id) == NULL) {
            json_object_del(his, id);
        }
    }

    json_decref(mine);

    if (json_object_size(his) == 0) {
        json_decref(his);
        api_not_found(c);
        return NULL;
    }

    return his;
}


/* Has anybody ever heard of him?  For those who may ask for all.  0, or -1:
 * answered. */
static int
presence_known(api_t *a, call_t *c, const char *user, const presence_t *p)
{
    size_t       n;
    json_t      *v;
    store_t     *st;
    store_rc_t   rc;

    if (reply_count(p->fields) > 0) {
        return 0;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_user(st, user, &v, NULL);
    role_store_result(a->role, rc);

    if (rc == STORE_OK) {
        json_decref(v);
        return 0;
    }

    if (rc != STORE_NOT_FOUND) {
        api_store_error(a, c, rc);
        return -1;
    }

    /* somebody's participant who has never been here */
    v = presence_rooms(a, c, user);

    if (v == NULL) {
        return -1;
    }

    n = json_object_size(v);
    json_decref(v);

    if (n == 0) {
        api_not_found(c);
        return -1;
    }

    return 0;
}


/* -- what is said -- */

/* Does the lease of that nginx worker still count? */
static int
presence_node(const presence_t *p, const char *node, size_t n)
{
    size_t          i;
    const reply_t  *name;

    for (i = 0; i + 1 < reply_count(p->conns); i += 2) {
        name = reply_at(p->conns, i);

        if (reply_len(name) == n && memcmp(reply_text(name), node, n) == 0) {
            return reply_int(reply_at(p->conns, i + 1), 0) > p->now;
        }
    }

    return 0;
}


static void
devices_free(devices_t *d)
{
    json_decref(d->rooms);
    json_decref(d->info);
    json_decref(d->typing);
}


/* An id of a room that may be told, or NULL. */
static json_t *
devices_room(const json_t *v, const char *name, const json_t *shared)
{
    json_t      *room;
    const char  *id;

    room = json_object_get(v, name);
    id = json_string_value(room);

    return id && (shared == NULL || json_object_get(shared, id)) ? room
                                                                 : NULL;
}


/* One more device. */
static void
devices_add(devices_t *d, const json_t *v, const char *session,
    const json_t *shared)
{
    int      rank;
    size_t   i;
    json_t  *room, *typing, *known;

    room = devices_room(v, "conversationId", shared);
    typing = devices_room(v, "typingIn", shared);
    rank = 1 + (room != NULL) + 2 * (typing != NULL);

    json_array_foreach(d->rooms, i, known) {
        if (room && json_equal(known, room)) {
            room = NULL;
        }
    }

    if (room) {
        json_array_append(d->rooms, room);
    }

    if (rank <= d->rank) {
        return;
    }

    json_decref(d->typing);
    json_decref(d->info);

    d->rank = rank;
    d->typing = json_incref(typing);
    d->info = json_pack("{s:O?, s:O?, s:s}", "platform",
                        json_object_get(v, "platform"), "version",
                        json_object_get(v, "version"), "socketId", session);
}


/* The devices of nodes that live.  shared: only these rooms; NULL: all. */
static void
devices_read(devices_t *d, const presence_t *p, const json_t *shared)
{
    size_t       i, n;
    json_t      *v;
    const char  *name, *value;

    memset(d, 0, sizeof(*d));
    d->rooms = json_array();
    n = strlen(WRT_F_DEVICE);

    for (i = 0; i + 1 < reply_count(p->fields); i += 2) {
        name = reply_text(reply_at(p->fields, i));
        value = reply_text(reply_at(p->fields, i + 1));

        if (strncmp(name, WRT_F_DEVICE, n) != 0
            || !presence_node(p, value, strcspn(value, " ")))
        {
            continue;
        }

        v = json_loads(value + strcspn(value, " "), 0, NULL);

        if (v) {
            devices_add(d, v, name + n, shared);
            json_decref(v);
        }
    }
}


static const char *
presence_status(const presence_t *p)
{
    const char  *chosen;

    if (p->online <= p->now) {
        return "offline";
    }

    chosen = presence_field(p, WRT_F_CHOSEN);

    return chosen ? chosen : "online";
}


api_rc_t
presence_get(api_t *a, call_t *c)
{
    int           hidden, own;
    json_t       *shared, *data;
    devices_t     d;
    presence_t    p;
    const char   *user, *seen;

    user = c->ids[0];
    own = strcmp(user, c->user) == 0;
    shared = NULL;

    if (!own && c->rights == 0) {
        shared = presence_shared(a, c, user);

        if (shared == NULL) {
            return API_DONE;
        }
    }

    if (presence_ask(a, c, user, &p) != 0
        || (!own && c->rights != 0 && presence_known(a, c, user, &p) != 0))
    {
        goto done;
    }

    /* who looks offline to the others has gone when he chose that */
    hidden = shared && p.hidden > p.now;
    seen = presence_field(&p, hidden ? WRT_F_HID : WRT_F_SEEN);

    devices_read(&d, &p, shared);

    if (hidden) {
        json_array_clear(d.rooms);
    }

    data = json_pack("{s:s, s:s, s:s?, s:O, s:O?, s:O?}",
                     "userId", user, "status", presence_status(&p),
                     "lastSeen", seen, "currentConversations", d.rooms,
                     "typingIn", hidden ? NULL : d.typing,
                     "deviceInfo", shared ? NULL : d.info);
    devices_free(&d);
    (void) api_ok(c, 200, NULL, data);

done:

    presence_free(&p);
    json_decref(shared);

    return API_DONE;
}


/* -- choosing -- */

/* {"status"}; NULL: answered. */
static const char *
presence_body(call_t *c)
{
    int              i, rc;
    const char      *status;
    wrt_slice_t      s;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    status = NULL;

    if (wrt_envelope_parse_body(&e, c->body, c->body_len, &why) != 0) {
        body_refused(c, &why);
        wrt_envelope_free(&e);
        return NULL;
    }

    rc = wrt_envelope_string(&e, "status", WRT_ID_MAX, &s, &why);

    for (i = 0; rc == 1 && presence_statuses[i]; i++) {
        if (strcmp(presence_statuses[i], s.p) == 0) {
            status = presence_statuses[i];
        }
    }

    wrt_envelope_free(&e);

    if (status == NULL) {
        api_error(c, 400, "invalid_request", "status",
                  "status must be online, away, busy or offline");
    }

    return status;
}


/* FCALL wrt_status */
static reply_t *
presence_call(api_t *a, rds_t *hub, const char *user, const char *status)
{
    char    key[WRT_NAME_BUF];
    cmd_t  *cmd;
    size_t  n;

    cmd = &a->cmd;
    n = strlen(user);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_STATUS);
    cmd_num(cmd, 5);
    cmd_text(cmd, WRT_KEY_ONLINE);
    cmd_text(cmd, WRT_KEY_HIDDEN);
    cmd_mem(cmd, key, wrt_key_user_conns(key, user, n));
    cmd_mem(cmd, key, wrt_key_user_presence(key, user, n));
    cmd_mem(cmd, key, wrt_key_user_convs(key, user, n));
    cmd_mem(cmd, key, wrt_chan_presence(key, &a->cf->names));
    cmd_text(cmd, user);
    cmd_text(cmd, status);

    return rds_run(hub, cmd);
}


/* The status that he has then: offline when he is not connected, for there is
 * nothing to choose.  A choice ends with his last connection. */
api_rc_t
presence_put(api_t *a, call_t *c)
{
    char         key[WRT_NAME_BUF];
    rds_t       *hub;
    json_t      *data;
    reply_t     *r, *seen;
    const char  *status;

    status = presence_body(c);
    if (status == NULL) {
        return API_DONE;
    }

    hub = api_redis(a, 0);
    if (hub == NULL) {
        return api_unavailable(c);
    }

    r = presence_call(a, hub, c->user, status);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return api_unavailable(c);
    }

    wrt_key_user_presence(key, c->user, strlen(c->user));
    seen = rds_call(hub, "HGET", key, WRT_F_SEEN);

    data = json_pack("{s:s, s:s, s:s?}", "userId", c->user, "status",
                     reply_text(reply_at(r, 1)), "lastSeen",
                     reply_len(seen) > 0 ? reply_text(seen) : NULL);
    reply_free(r);
    reply_free(seen);

    return api_ok(c, 200, NULL, data);
}
