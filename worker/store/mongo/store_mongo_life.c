/*
 * store_mongo_life.c: legal holds and the log of administrative acts in
 * MongoDB; store_mongo_expire.c has what goes.
 *
 * The end of step 5 of store_mongo_apply.c.  Each of these operations may be
 * done twice.
 */


#include "worker/store/mongo/store_mongo.h"


/* One update; *again = 1 when two upserts met. */
static store_rc_t
update_one(store_mongo_t *st, mongoc_collection_t *c, const char *what,
    bson_t *query, bson_t *update, bool upsert, int *again)
{
    store_rc_t                rc;
    mg_result_t               res;
    mongoc_bulk_operation_t  *bulk;

    bulk = mg_bulk(c, true);
    mg_bulk_update(bulk, query, update, upsert);
    rc = mg_bulk_run(st, bulk, what, &res, NULL);
    *again = *again || res.repeats;

    return rc;
}


/* An act that is there already is the same. */
static store_rc_t
add_audit(store_mongo_t *st, const json_t *audit, int *again)
{
    bson_t             *update, set;
    store_audit_row_t   a;

    store_audit_row(audit, &a);

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$setOnInsert", &set);
    BSON_APPEND_DATE_TIME(&set, "at", a.at);
    BSON_APPEND_UTF8(&set, "action", a.action);
    BCON_APPEND(&set,
                "actor", "{", "userId", BCON_UTF8(a.actor),
                    "role", BCON_UTF8(a.role), "}",
                "target", "{", "type", BCON_UTF8(a.target_type),
                    "id", BCON_UTF8(a.target), "}",
                "from", BCON_UTF8(a.source));

    if (a.details) {
        mg_append_json(&set, "details", a.details);
    }

    bson_append_document_end(update, &set);

    return update_one(st, st->audit, "write audit",
                      BCON_NEW("_id", BCON_UTF8(a.id)), update, true, again);
}


static store_rc_t
add_hold(store_mongo_t *st, const store_op_t *op, int *again)
{
    bson_t            *update, set;
    store_hold_row_t   h;

    store_hold_row(op->body, &h);

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$setOnInsert", &set);
    BSON_APPEND_UTF8(&set, "type", h.type);
    BSON_APPEND_UTF8(&set, "targetId", h.target);
    BSON_APPEND_UTF8(&set, "reason", h.reason);
    BSON_APPEND_UTF8(&set, "createdBy", h.created_by);
    BSON_APPEND_DATE_TIME(&set, "createdAt", h.created_at);
    BSON_APPEND_NULL(&set, "releasedBy");
    BSON_APPEND_NULL(&set, "releasedAt");
    bson_append_document_end(update, &set);

    return update_one(st, st->holds, "write a hold",
                      BCON_NEW("_id", BCON_UTF8(h.id)), update, true, again);
}


/* The first one to release it has. */
static store_rc_t
release_hold(store_mongo_t *st, const store_op_t *op, int *again)
{
    return update_one(st, st->holds, "release a hold",
                      BCON_NEW("_id", BCON_UTF8(op->id), "releasedAt",
                               BCON_NULL),
                      BCON_NEW("$set", "{", "releasedBy",
                                   BCON_UTF8(op->user), "releasedAt",
                                   BCON_DATE_TIME(op->at), "}"),
                      false, again);
}


static store_rc_t
write_op(store_mongo_t *st, store_plan_t *p, const store_op_t *op,
    int *again)
{
    store_rc_t  rc;

    rc = op->audit ? add_audit(st, op->audit, again) : STORE_OK;

    if (rc != STORE_OK) {
        return rc;
    }

    switch (op->kind) {

    case STORE_OP_HOLD:
        return add_hold(st, op, again);

    case STORE_OP_RELEASE:
        return release_hold(st, op, again);

    case STORE_OP_EXPIRE:
        return mg_expire(st, p, op, again);

    case STORE_OP_ERASE:
    case STORE_OP_SCRUB:
    case STORE_OP_FORGET:
    case STORE_OP_ERASED:
        return mg_erase(st, p, op, again);

    default:
        return STORE_OK;
    }
}


store_rc_t
mg_write_life(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t      i;
    store_rc_t  rc;

    rc = STORE_OK;

    for (i = 0; i < p->nops && rc == STORE_OK && !*again; i++) {
        if (store_op_is_life(&p->ops[i])) {
            rc = write_op(st, p, &p->ops[i], again);
        }
    }

    return rc;
}


static json_t *
read_hold(const json_t *row)
{
    store_hold_row_t  h;

    h.id = mg_text(row, "_id");
    h.type = mg_text(row, "type");
    h.target = mg_text(row, "targetId");
    h.reason = mg_text(row, "reason");
    h.created_by = mg_text(row, "createdBy");
    h.created_at = mg_time(row, "createdAt");
    h.released_by = mg_text(row, "releasedBy");
    h.released_at = mg_time(row, "releasedAt");

    return store_doc_hold(&h);
}


store_rc_t
store_mongo_hold(store_t *base, const char *id, json_t **out)
{
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    return mg_read(st, st->holds, id, read_hold, out);
}


static bson_t *
hold_query(const store_holds_t *q)
{
    bson_t  *b;

    b = bson_new();

    if (q->type) {
        BSON_APPEND_UTF8(b, "type", q->type);
    }

    if (q->target) {
        BSON_APPEND_UTF8(b, "targetId", q->target);
    }

    if (q->active) {
        BSON_APPEND_NULL(b, "releasedAt");
    }

    return b;
}


store_rc_t
store_mongo_holds(store_t *base, const store_holds_t *q, json_t **out,
    int64_t *total)
{
    size_t          i;
    bson_t         *query;
    json_t         *rows, *row;
    bson_error_t    error;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    query = hold_query(q);
    *total = mongoc_collection_count_documents(st->holds, query, NULL, NULL,
                                               NULL, &error);
    bson_destroy(query);

    if (*total < 0) {
        *total = 0;
        return mg_down(st, "count holds", &error);
    }

    rows = mg_find(st, st->holds, hold_query(q),
                   BCON_NEW("sort", "{", "createdAt", BCON_INT32(-1),
                            "_id", BCON_INT32(-1), "}",
                            "skip", BCON_INT64((int64_t) (q->page - 1)
                                               * q->limit),
                            "limit", BCON_INT64(q->limit)));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(*out, read_hold(row));
    }

    json_decref(rows);

    return STORE_OK;
}


/* Takes the row's details. */
static json_t *
read_audit(const json_t *row)
{
    json_t             *v;
    const json_t       *actor, *target;
    store_audit_row_t   a;

    actor = json_object_get(row, "actor");
    target = json_object_get(row, "target");

    a.id = mg_text(row, "_id");
    a.at = mg_time(row, "at");
    a.action = mg_text(row, "action");
    a.actor = mg_text(actor, "userId");
    a.role = mg_text(actor, "role");
    a.target_type = mg_text(target, "type");
    a.target = mg_text(target, "id");
    a.source = mg_text(row, "from");

    v = json_object_get(row, "details");
    a.details = json_is_object(v) ? json_incref(v) : NULL;

    return store_doc_audit(&a);
}


static bson_t *
audit_query(const store_audit_t *q)
{
    bson_t  *b, at;

    b = bson_new();

    if (q->actor) {
        BSON_APPEND_UTF8(b, "actor.userId", q->actor);
    }

    if (q->action) {
        BSON_APPEND_UTF8(b, "action", q->action);
    }

    if (q->target) {
        BSON_APPEND_UTF8(b, "target.id", q->target);
    }

    if (q->before_ms >= 0 || q->after_ms >= 0) {
        BSON_APPEND_DOCUMENT_BEGIN(b, "at", &at);

        if (q->before_ms >= 0) {
            BSON_APPEND_DATE_TIME(&at, "$lt", q->before_ms);
        }

        if (q->after_ms >= 0) {
            BSON_APPEND_DATE_TIME(&at, "$gt", q->after_ms);
        }

        bson_append_document_end(b, &at);
    }

    return b;
}


store_rc_t
store_mongo_audit(store_t *base, const store_audit_t *q, json_t **out,
    int *more)
{
    size_t          i;
    json_t         *rows, *row;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->audit, audit_query(q),
                   BCON_NEW("sort", "{", "at", BCON_INT32(-1),
                            "_id", BCON_INT32(-1), "}",
                            "skip", BCON_INT64((int64_t) (q->page - 1)
                                               * q->limit),
                            "limit", BCON_INT64(q->limit + 1)));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        if (i == (size_t) q->limit) {
            *more = 1;
            break;
        }

        store_doc_append(*out, read_audit(row));
    }

    json_decref(rows);

    return STORE_OK;
}
