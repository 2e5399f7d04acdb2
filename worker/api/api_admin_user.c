/*
 * api_admin_user.c: what an admin may do with all of a user's data.
 *
 *   POST /api/admin/users/:id/erase                      202
 *   GET  /api/admin/users/:id/export?after=&afterSeq=    a piece of it
 *
 * Erasure is begun here and done by the janitor (erase.c).  It is refused as
 * long as the user, or a room that he is or was in, is held.
 */

#include <string.h>

#include "worker/api/api.h"

#define EXPORT_BYTES  (1024 * 1024)     /* of an answer, about */


static actor_t
user_actor(const call_t *c)
{
    actor_t  who;

    who.user = c->user;
    who.role = c->role;
    who.from = c->address[0] && strlen(c->address) <= WRT_AUDIT_SOURCE_MAX
               ? c->address : "-";

    return who;
}


/* Queue an event in the user's shard; takes the body.  0, or -1: answered. */
static int
user_record(api_t *a, call_t *c, char kind, json_t *body)
{
    rds_t       *shard;
    const char  *user;

    user = c->ids[0];
    shard = api_shard(a, wrt_shard(&a->cf->names, user, strlen(user)));

    if (shard == NULL) {
        json_decref(body);
        api_unavailable(c);
        return -1;
    }

    if (life_record(shard, &a->cmd, a->cf, kind, user, "-", c->user, body)
        != 0)
    {
        api_unavailable(c);
        return -1;
    }

    return 0;
}


/* The erasure of the user, if one is under way; NULL: none (or *rc). */
static json_t *
user_erasure(store_t *st, const char *user, store_rc_t *rc)
{
    size_t   i;
    json_t  *list, *e, *found;

    found = NULL;
    *rc = store_erasures(st, &list);

    json_array_foreach(list, i, e) {
        if (strcmp(json_string_value(json_object_get(e, "userId")), user)
            == 0)
        {
            found = json_incref(e);
            json_object_del(found, "alias");
        }
    }

    json_decref(list);

    return found;
}


/* -- erasure -- */

/* 0, or -1: answered. */
static int
erase_not_held(api_t *a, call_t *c, store_t *st)
{
    char         why[160];
    store_rc_t   rc;

    rc = life_held(st, c->ids[0], why, sizeof(why));

    if (rc == STORE_NOT_FOUND) {
        return 0;
    }

    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    api_error(c, 409, "conflict", NULL, why);

    return -1;
}


static int
erase_begin(api_t *a, call_t *c)
{
    char      alias[WRT_OID_LEN + 8];
    json_t   *body;
    actor_t   who;

    who = user_actor(c);
    life_alias(alias);
    body = life_erase("erase", c->ids[0], alias,
                      life_audit(c->id, &who, "erasure_requested", "user",
                                 c->ids[0], NULL));
    json_object_set_new(body, "by", json_string(c->user));

    if (user_record(a, c, WRT_EV_LIFE, body) != 0) {
        return -1;
    }

    return api_wait_shard(a, c, c->ids[0]) < 0 ? -1 : 0;
}


api_rc_t
user_erase(api_t *a, call_t *c)
{
    json_t      *e;
    store_t     *st;
    store_rc_t   rc;

    if (may_administer(c) != 0) {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    e = user_erasure(st, c->ids[0], &rc);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    if (e == NULL && c->step == 0) {
        if (erase_not_held(a, c, st) != 0) {
            return API_DONE;
        }

        return erase_begin(a, c) == 0 ? API_WAIT : API_DONE;
    }

    /* done already, when there was little to do */
    if (e == NULL) {
        e = json_pack("{s:s}", "userId", c->ids[0]);
    }

    return api_ok(c, 202, "Erasure requested",
                  json_pack("{s:o}", "erasure", e));
}


/* -- export -- */

static void
export_append(void *data, json_t *record)
{
    json_array_append(data, record);
}


api_rc_t
user_export(api_t *a, call_t *c)
{
    json_t      *list;
    actor_t      who;
    store_t     *st;
    export_t     x;
    store_rc_t   rc;
    const char  *after;

    memset(&x, 0, sizeof(x));
    after = "";

    if (may_administer(c) != 0
        || api_param_id(c, "after", &after) != 0
        || api_param_int(c, "afterSeq", 0, INT64_C(1) << 53, &x.seq) != 0)
    {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    if (after[0] == '\0') {
        who = user_actor(c);

        if (user_record(a, c, WRT_EV_AUDIT,
                        json_pack("{s:o}", "audit",
                                  life_audit(c->id, &who, "user_exported",
                                             "user", c->ids[0], NULL)))
            != 0)
        {
            return API_DONE;
        }
    }

    list = json_array();
    x.user = c->ids[0];
    x.limit = EXPORT_BYTES;
    x.add = export_append;
    x.data = list;
    text_copy(x.after, sizeof(x.after), after);

    rc = life_export(&x, st);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        json_decref(list);
        return api_store_error(a, c, rc);
    }

    return api_ok(c, 200, NULL,
                  json_pack("{s:o, s:o}", "records", list, "next",
                            x.after[0]
                            ? json_pack("{s:s, s:I}", "after", x.after,
                                        "afterSeq", (json_int_t) x.seq)
                            : json_null()));
}
