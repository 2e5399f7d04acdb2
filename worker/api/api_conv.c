/*
 * api_conv.c: GET /api/conversations and GET /api/conversations/:id.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

/* Others of a room that are asked about at a time: one who is there is
 * enough, and mostly found early. */
#define CONV_ONLINE_STEP  16

static const char *const  conv_types[] = {
    "direct", "consultation", "group", NULL
};

/* A room in question: is anybody else there? */
typedef struct {
    json_t  *conversation;
    json_t  *participants;
    size_t   from;                  /* asked about now: from..next */
    size_t   next;
    int      online;                /* -1: not known yet */
} online_t;


/* The i-th participant, if he is somebody else and has not left. */
static const char *
online_other(const online_t *o, size_t i, const char *user)
{
    json_t      *p;
    const char  *who;

    p = json_array_get(o->participants, i);
    who = json_string_value(json_object_get(p, "userId"));

    return who && strcmp(who, user) != 0
           && wrt_id_valid(who, strlen(who))
           && !json_is_string(json_object_get(p, "leftAt")) ? who : NULL;
}


/* Queue the question about those of a room who are not known yet. */
static void
online_ask(online_t *o, const char *user, rds_t *hub, json_t *known,
    json_t *asked)
{
    int          n;
    const char  *who;

    o->from = o->next;

    for (n = 0; n < CONV_ONLINE_STEP; o->next++) {
        if (o->next == json_array_size(o->participants)) {
            break;
        }

        who = online_other(o, o->next, user);

        if (who == NULL) {
            continue;
        }

        n++;

        if (json_object_get(known, who) == NULL) {
            rds_queue(hub, "ZSCORE", WRT_KEY_ONLINE, who);
            json_object_set_new(known, who, json_false());
            json_array_append_new(asked, json_string(who));
        }
    }
}


static void
online_decide(online_t *o, const char *user, const json_t *known)
{
    size_t       i;
    const char  *who;

    for (i = o->from; i < o->next; i++) {
        who = online_other(o, i, user);

        if (who && json_is_true(json_object_get(known, who))) {
            o->online = 1;
            return;
        }
    }

    if (o->next == json_array_size(o->participants)) {
        o->online = 0;
    }
}


/* A user is there while one of his leases counts, by the hub's clock, and he
 * did not choose to look offline: then he is in another set. */
static void
online_find(rds_t *hub, online_t *o, size_t n, const char *user)
{
    size_t    i, left;
    json_t   *known, *asked, *v;
    int64_t   now;
    reply_t  *r;

    r = rds_call(hub, "TIME");
    now = reply_int(reply_at(r, 0), 0) * 1000
          + reply_int(reply_at(r, 1), 0) / 1000;
    reply_free(r);

    known = json_object();

    do {
        asked = json_array();

        for (i = 0; i < n; i++) {
            if (o[i].online < 0) {
                online_ask(&o[i], user, hub, known, asked);
            }
        }

        json_array_foreach(asked, i, v) {
            r = rds_pull(hub);
            json_object_set_new(known, json_string_value(v),
                                json_boolean(reply_int(r, 0) > now));
            reply_free(r);
        }

        for (i = 0, left = 0; i < n; i++) {
            if (o[i].online < 0) {
                online_decide(&o[i], user, known);
                left += o[i].online < 0;
            }
        }

        json_decref(asked);

    } while (left > 0);

    json_decref(known);
}


/* Which of them the user has muted, and until when; of rooms that he is in, as
 * his unread count.  Without a store nothing is said of it. */
static void
conv_mutes(api_t *a, const char *user, json_t *list)
{
    size_t       i, k;
    json_t      *all, *mutes, *conv, *mute, *until;
    store_t     *st;
    store_rc_t   rc;
    const char  *id, *users[1];

    st = json_array_size(list) ? role_store(a->role) : NULL;

    if (st == NULL) {
        return;
    }

    id = json_string_value(json_object_get(json_array_get(list, 0), "id"));
    users[0] = user;

    rc = store_push(st, users, 1, json_array_size(list) == 1 ? id : NULL,
                    &all);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return;
    }

    mutes = json_object();

    json_array_foreach(json_object_get(json_object_get(all, user), "mutes"),
                       k, mute)
    {
        if (store_mute_lasts(mute, now_ms())) {
            id = json_string_value(json_object_get(mute, "conversationId"));
            json_object_set(mutes, id, json_object_get(mute, "until"));
        }
    }

    json_array_foreach(list, i, conv) {
        if (json_object_get(conv, "unreadCount") == NULL) {
            continue;
        }

        id = json_string_value(json_object_get(conv, "id"));
        until = json_object_get(mutes, id);

        json_object_set_new(conv, "muted", json_boolean(until != NULL));
        json_object_set_new(conv, "mutedUntil",
                            until ? json_incref(until) : json_null());
    }

    json_decref(mutes);
    json_decref(all);
}


void
conv_finish(api_t *a, const char *user, json_t *list)
{
    size_t     i, n;
    rds_t     *hub;
    online_t  *o;

    conv_mutes(a, user, list);

    n = json_array_size(list);
    o = mem_zero(n * sizeof(online_t) + 1);

    for (i = 0; i < n; i++) {
        o[i].conversation = json_array_get(list, i);
        o[i].participants = json_object_get(o[i].conversation,
                                            "participants");
        o[i].online = -1;
    }

    hub = api_redis(a, 0);

    if (hub) {
        online_find(hub, o, n, user);
    }

    for (i = 0; i < n; i++) {
        json_object_set_new(o[i].conversation, "isOnline",
                            json_boolean(o[i].online == 1));
    }

    free(o);
}


api_rc_t
conv_list(api_t *a, call_t *c)
{
    int            rc, archived;
    json_t        *list, *data;
    int64_t        page, limit, total;
    store_t       *st;
    store_rc_t     src;
    store_list_t   q;

    memset(&q, 0, sizeof(q));
    page = 1;
    limit = WRT_PAGE_CONVERSATIONS;
    archived = 0;

    if (api_param_int(c, "page", 1, INT32_MAX, &page) != 0
        || api_param_int(c, "limit", 1, WRT_PAGE_CONVERSATIONS_MAX, &limit)
           != 0
        || api_param_one_of(c, "type", conv_types,
                            "direct, consultation or group", &q.type) != 0
        || api_param_bool(c, "archived", &archived) != 0)
    {
        return API_DONE;
    }

    if (c->step == 0) {
        rc = api_wait_user(a, c, c->user);

        if (rc != 0) {
            return rc < 0 ? API_DONE : API_WAIT;
        }
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    q.user = c->user;
    q.archived = archived;
    q.page = (int) page;
    q.limit = (int) limit;

    src = store_conversations(st, &q, &list, &total);
    role_store_result(a->role, src);

    if (src != STORE_OK) {
        return api_store_error(a, c, src);
    }

    conv_finish(a, c->user, list);

    data = json_pack("{s:o, s:{s:I, s:I, s:I, s:I}}",
                     "conversations", list, "pagination",
                     "page", (json_int_t) page,
                     "limit", (json_int_t) limit,
                     "total", (json_int_t) total,
                     "totalPages", (json_int_t) ((total + limit - 1)
                                                 / limit));

    return api_ok(c, 200, NULL, data);
}


int
conv_read(api_t *a, call_t *c, store_t *st, json_t **out)
{
    store_rc_t  rc;

    rc = store_conversation(st, c->ids[0], c->user, out);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    return 0;
}


api_rc_t
conv_answer(api_t *a, call_t *c, int status, const char *said, json_t *doc)
{
    json_t  *list;

    list = json_array();
    json_array_append(list, doc);
    conv_finish(a, c->user, list);
    json_decref(list);

    return api_ok(c, status, said, json_pack("{s:o}", "conversation", doc));
}


api_rc_t
conv_get(api_t *a, call_t *c)
{
    int          waits;
    json_t      *doc;
    store_t     *st;
    access_t     access;

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

    if (st == NULL || conv_read(a, c, st, &doc) != 0) {
        return API_DONE;
    }

    return conv_answer(a, c, 200, NULL, doc);
}
