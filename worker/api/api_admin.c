/*
 * api_admin.c: legal holds and the log of administrative acts, for admins.
 *
 *   POST   /api/admin/holds {type, id, reason}   201
 *   GET    /api/admin/holds?type=&id=&active=
 *   DELETE /api/admin/holds/:id
 *   GET    /api/admin/audit?actor=&action=&target=&before=&after=
 *
 * A hold takes the call's id, so that a call that is made again by another
 * process makes the same one.
 */

#include <string.h>

#include "worker/api/api.h"

static const char *const  hold_types[] = { "conversation", "user", NULL };
static const char  hold_type_text[] = "conversation or user";


static actor_t
admin_actor(const call_t *c)
{
    actor_t  who;

    who.user = c->user;
    who.role = c->role;
    who.from = c->address[0] && strlen(c->address) <= WRT_AUDIT_SOURCE_MAX
               ? c->address : "-";

    return who;
}


/* Queue it.  0, or -1: answered. */
static int
admin_record(api_t *a, call_t *c, const char *place, json_t *body)
{
    rds_t  *shard;

    shard = api_shard(a, wrt_shard(&a->cf->names, place, strlen(place)));

    if (shard == NULL) {
        json_decref(body);
        api_unavailable(c);
        return -1;
    }

    if (life_record(shard, &a->cmd, a->cf, WRT_EV_LIFE, place, "-", c->user,
                    body)
        != 0)
    {
        api_unavailable(c);
        return -1;
    }

    return 0;
}


/* page and limit; 0, -1: answered. */
static int
admin_page(call_t *c, int *page, int *limit)
{
    int64_t  p, n;

    p = 1;
    n = WRT_PAGE_AUDIT;

    if (api_param_int(c, "page", 1, INT32_MAX, &p) != 0
        || api_param_int(c, "limit", 1, WRT_PAGE_AUDIT_MAX, &n) != 0)
    {
        return -1;
    }

    *page = (int) p;
    *limit = (int) n;

    return 0;
}


/* -- holds -- */

/* What the body asks for; the strings live as long as the envelope.  0, or -1:
 * answered. */
typedef struct {
    wrt_envelope_t   envelope;
    const char      *type;
    const char      *target;
    const char      *reason;
} wish_t;


static int
hold_type(call_t *c, wish_t *w)
{
    int          i;
    const char  *s;

    s = json_string_value(json_object_get(w->envelope.data, "type"));

    for (i = 0; s && hold_types[i]; i++) {
        if (strcmp(s, hold_types[i]) == 0) {
            w->type = hold_types[i];
            return 0;
        }
    }

    api_error(c, 400, "invalid_request", "type",
              "type must be conversation or user");

    return -1;
}


static int
hold_wish(call_t *c, wish_t *w)
{
    int             rc;
    wrt_slice_t     id, reason;
    wrt_refusal_t   why;

    if (wrt_envelope_parse_body(&w->envelope, c->body, c->body_len, &why)
        != 0)
    {
        body_refused(c, &why);
        return -1;
    }

    if (hold_type(c, w) != 0) {
        return -1;
    }

    rc = wrt_envelope_id(&w->envelope, "id", &id, &why);

    if (rc == 0) {
        api_error(c, 400, "invalid_request", "id",
                  "id must say which conversation or user");
        return -1;
    }

    if (rc == 1) {
        rc = wrt_envelope_string(&w->envelope, "reason", WRT_REASON_MAX,
                                 &reason, &why);
    }

    if (rc < 0) {
        body_refused(c, &why);
        return -1;
    }

    if (rc == 0 || wrt_is_blank(reason)) {
        api_error(c, 400, "invalid_request", "reason",
                  "a reason is required: it stands in the log");
        return -1;
    }

    w->target = id.p;
    w->reason = reason.p;

    return 0;
}


/* 1: queued, to be waited for; -1: answered. */
static int
hold_queue(api_t *a, call_t *c, const wish_t *w)
{
    actor_t    who;
    access_t   x;
    json_t    *audit;

    /* of a user nothing needs to be known yet */
    if (strcmp(w->type, "conversation") == 0
        && api_access(a, c, w->target, &x) != 0)
    {
        return -1;
    }

    who = admin_actor(c);
    audit = life_audit(c->id, &who, "hold_created", w->type, w->target,
                       json_pack("{s:s, s:s}", "holdId", c->id, "reason",
                                 w->reason));

    if (admin_record(a, c, w->target,
                     life_hold(c->id, &who, w->type, w->target, w->reason,
                               audit))
        != 0)
    {
        return -1;
    }

    return api_wait_shard(a, c, w->target) < 0 ? -1 : 1;
}


/* What the store has of a hold, as the answer. */
static api_rc_t
hold_answer(api_t *a, call_t *c, const char *id, int status,
    const char *said)
{
    json_t      *hold;
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_hold(st, id, &hold);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    return api_ok(c, status, said, json_pack("{s:o}", "hold", hold));
}


api_rc_t
hold_create(api_t *a, call_t *c)
{
    int     rc;
    wish_t  w;

    if (may_administer(c) != 0) {
        return API_DONE;
    }

    if (c->step > 0) {
        return hold_answer(a, c, c->id, 201, "Hold created successfully");
    }

    memset(&w, 0, sizeof(w));
    rc = hold_wish(c, &w) == 0 ? hold_queue(a, c, &w) : -1;
    wrt_envelope_free(&w.envelope);

    return rc > 0 ? API_WAIT : API_DONE;
}


api_rc_t
hold_list(api_t *a, call_t *c)
{
    json_t         *list;
    int64_t         total;
    store_t        *st;
    store_rc_t      rc;
    store_holds_t   q;

    memset(&q, 0, sizeof(q));

    if (may_administer(c) != 0
        || api_param_one_of(c, "type", hold_types, hold_type_text, &q.type)
           != 0
        || api_param_id(c, "id", &q.target) != 0
        || api_param_bool(c, "active", &q.active) != 0
        || admin_page(c, &q.page, &q.limit) != 0)
    {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_holds(st, &q, &list, &total);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    return api_ok(c, 200, NULL,
                  json_pack("{s:o, s:{s:i, s:i, s:I, s:I}}", "holds", list,
                            "pagination", "page", q.page, "limit", q.limit,
                            "total", (json_int_t) total, "totalPages",
                            (json_int_t) ((total + q.limit - 1) / q.limit)));
}


/* 1: queued, to be waited for; 0: it is released already; -1: answered. */
static int
hold_end(api_t *a, call_t *c, store_t *st)
{
    int          rc;
    char         id[WRT_ID_MAX + 1];
    json_t      *hold, *audit;
    actor_t      who;
    store_rc_t   src;
    const char  *target;

    src = store_hold(st, c->ids[0], &hold);
    role_store_result(a->role, src);

    if (src != STORE_OK) {
        api_store_error(a, c, src);
        return -1;
    }

    rc = 0;
    target = json_string_value(json_object_get(hold, "targetId"));
    text_copy(id, sizeof(id), target ? target : "-");

    if (!json_is_string(json_object_get(hold, "releasedAt"))) {
        who = admin_actor(c);
        audit = life_audit(c->id, &who, "hold_released",
                           json_string_value(json_object_get(hold, "type")),
                           id, json_pack("{s:s}", "holdId", c->ids[0]));
        rc = admin_record(a, c, id, life_release(c->ids[0], &who, audit));
        rc = rc == 0 && api_wait_shard(a, c, id) >= 0 ? 1 : -1;
    }

    json_decref(hold);

    return rc;
}


api_rc_t
hold_release(api_t *a, call_t *c)
{
    int       rc;
    store_t  *st;

    if (may_administer(c) != 0) {
        return API_DONE;
    }

    if (c->step == 0) {
        st = api_store(a, c);
        rc = st ? hold_end(a, c, st) : -1;

        if (rc != 0) {
            return rc < 0 ? API_DONE : API_WAIT;
        }
    }

    return hold_answer(a, c, c->ids[0], 200, "Hold released successfully");
}


/* -- the log -- */

api_rc_t
audit_list(api_t *a, call_t *c)
{
    int             more;
    json_t         *list;
    store_t        *st;
    store_rc_t      rc;
    store_audit_t   q;

    memset(&q, 0, sizeof(q));
    q.before_ms = -1;
    q.after_ms = -1;

    if (may_administer(c) != 0
        || api_param_id(c, "actor", &q.actor) != 0
        || api_param_text(c, "action", WRT_AUDIT_ACTION_MAX, &q.action) != 0
        || api_param_id(c, "target", &q.target) != 0
        || api_param_time(c, "before", &q.before_ms) != 0
        || api_param_time(c, "after", &q.after_ms) != 0
        || admin_page(c, &q.page, &q.limit) != 0)
    {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_audit(st, &q, &list, &more);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    return api_ok(c, 200, NULL,
                  json_pack("{s:o, s:{s:i, s:i, s:b}}", "audit", list,
                            "pagination", "page", q.page, "limit", q.limit,
                            "hasMore", more));
}
