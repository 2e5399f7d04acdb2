/*
 * store_mongo_device.c: devices that are reached by push, quiet hours and
 * mutes in MongoDB.
 *
 * Step 5 of store_mongo_apply.c.  Each of these operations may be done twice.
 */


#include "worker/store/mongo/store_mongo.h"

/* "<user>:<conversation>": no id has a colon */
#define MUTE_ID_SIZE  (2 * (WRT_ID_MAX + 1))


/* One write; *again = 1 when two upserts met. */
static store_rc_t
run(store_mongo_t *st, mongoc_bulk_operation_t *bulk, int *again)
{
    store_rc_t   rc;
    mg_result_t  res;

    rc = mg_bulk_run(st, bulk, "write devices", &res, NULL);
    *again = *again || res.repeats;

    return rc;
}


static store_rc_t
update_one(store_mongo_t *st, mongoc_collection_t *c, bson_t *query,
    bson_t *update, int *again)
{
    mongoc_bulk_operation_t  *bulk;

    bulk = mg_bulk(c, true);
    mg_bulk_update(bulk, query, update, true);

    return run(st, bulk, again);
}


/* Takes over the query. */
static store_rc_t
delete_all(store_mongo_t *st, mongoc_collection_t *c, bson_t *query)
{
    bool          ok;
    bson_error_t  error;

    ok = mongoc_collection_delete_many(c, query, NULL, NULL, &error);
    bson_destroy(query);

    return ok ? STORE_OK : mg_down(st, "delete devices", &error);
}


/* Of a user's devices the oldest go. */
static store_rc_t
drop_oldest(store_mongo_t *st, const char *user)
{
    size_t       i;
    bson_t      *query;
    json_t      *rows, *row, *ids;
    store_rc_t   rc;

    rows = mg_find(st, st->devices, BCON_NEW("userId", BCON_UTF8(user)),
                   BCON_NEW("sort", "{", "at", BCON_INT32(-1), "_id",
                            BCON_INT32(-1), "}", "skip",
                            BCON_INT64(WRT_PUSH_DEVICES_MAX),
                            "projection", "{", "_id", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    ids = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(ids, mg_text(row, "_id"), json_true());
    }

    rc = STORE_OK;

    if (json_object_size(ids) > 0) {
        query = BCON_NEW("userId", BCON_UTF8(user));
        mg_append_in(query, "_id", ids);
        rc = delete_all(st, st->devices, query);
    }

    json_decref(ids);
    json_decref(rows);

    return rc;
}


/* Who registered it last has it. */
static store_rc_t
put_device(store_mongo_t *st, const store_op_t *op, int *again)
{
    bson_t      *update, stage, with, cond, literal, value;
    store_rc_t   rc;

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$replaceWith", &with);
    BSON_APPEND_ARRAY_BEGIN(&with, "$cond", &cond);

    BCON_APPEND(&cond, "0", "{", "$lte", "[",
                "{", "$ifNull", "[", BCON_UTF8("$at"), BCON_DATE_TIME(0),
                "]", "}", BCON_DATE_TIME(op->at), "]", "}");

    BSON_APPEND_DOCUMENT_BEGIN(&cond, "1", &literal);
    BSON_APPEND_DOCUMENT_BEGIN(&literal, "$literal", &value);
    BSON_APPEND_UTF8(&value, "_id", op->id);
    BSON_APPEND_UTF8(&value, "userId", op->user);
    mg_append_text(&value, "platform", store_plan_text(op->body,
                                                       "platform"));
    mg_append_text(&value, "token", store_plan_text(op->body, "token"));
    mg_append_text(&value, "locale", store_plan_text(op->body, "locale"));
    BSON_APPEND_DATE_TIME(&value, "at", op->at);
    bson_append_document_end(&literal, &value);
    bson_append_document_end(&cond, &literal);

    BSON_APPEND_UTF8(&cond, "2", "$$ROOT");
    bson_append_array_end(&with, &cond);
    bson_append_document_end(&stage, &with);
    bson_append_document_end(update, &stage);

    rc = update_one(st, st->devices, BCON_NEW("_id", BCON_UTF8(op->id)),
                    update, again);

    return rc == STORE_OK && !*again ? drop_oldest(st, op->user) : rc;
}


/* What was registered since then stays. */
static store_rc_t
device_gone(store_mongo_t *st, const store_op_t *op)
{
    bson_t  *query;

    query = BCON_NEW("_id", BCON_UTF8(op->id), "at", "{", "$lte",
                     BCON_DATE_TIME(op->at), "}");

    if (op->user) {
        BSON_APPEND_UTF8(query, "userId", op->user);
    }

    return delete_all(st, st->devices, query);
}


static store_rc_t
set_quiet(store_mongo_t *st, const store_op_t *op, int *again)
{
    bson_t  *update, set;

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);

    if (op->body) {
        mg_append_json(&set, "quietHours", op->body);
    } else {
        BSON_APPEND_NULL(&set, "quietHours");
    }

    bson_append_document_end(update, &set);

    return update_one(st, st->push, BCON_NEW("_id", BCON_UTF8(op->user)),
                      update, again);
}


static store_rc_t
set_mute(store_mongo_t *st, const store_op_t *op, int *again)
{
    char     id[MUTE_ID_SIZE];
    bson_t  *update, set;

    snprintf(id, sizeof(id), "%s:%s", op->user, op->id);

    if (!op->on) {
        return delete_all(st, st->mutes, BCON_NEW("_id", BCON_UTF8(id)));
    }

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
    BSON_APPEND_UTF8(&set, "userId", op->user);
    BSON_APPEND_UTF8(&set, "conversationId", op->id);
    mg_append_time(&set, "until", op->at);
    bson_append_document_end(update, &set);

    return update_one(st, st->mutes, BCON_NEW("_id", BCON_UTF8(id)), update,
                      again);
}


static store_rc_t
forget(store_mongo_t *st, const store_op_t *op)
{
    store_rc_t  rc;

    rc = delete_all(st, st->devices,
                    BCON_NEW("userId", BCON_UTF8(op->user)));

    if (rc == STORE_OK) {
        rc = delete_all(st, st->push, BCON_NEW("_id", BCON_UTF8(op->user)));
    }

    return rc == STORE_OK
           ? delete_all(st, st->mutes,
                        BCON_NEW("userId", BCON_UTF8(op->user)))
           : rc;
}


static store_rc_t
write_op(store_mongo_t *st, const store_op_t *op, int *again)
{
    switch (op->kind) {

    case STORE_OP_DEVICE:
        return put_device(st, op, again);

    case STORE_OP_DEVICE_GONE:
        return device_gone(st, op);

    case STORE_OP_QUIET:
        return set_quiet(st, op, again);

    case STORE_OP_MUTE:
        return set_mute(st, op, again);

    default:
        return forget(st, op);
    }
}


store_rc_t
mg_write_devices(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t      i;
    store_rc_t  rc;

    rc = STORE_OK;

    for (i = 0; i < p->nops && rc == STORE_OK && !*again; i++) {
        if (store_op_is_device(&p->ops[i])) {
            rc = write_op(st, &p->ops[i], again);
        }
    }

    return rc;
}


static bson_t *
of_users(const char *key, const json_t *names)
{
    bson_t  *b;

    b = bson_new();
    mg_append_in(b, key, names);

    return b;
}


static store_rc_t
read_devices(store_mongo_t *st, const json_t *names, json_t *out)
{
    size_t   i;
    json_t  *rows, *row;

    rows = mg_find(st, st->devices, of_users("userId", names),
                   BCON_NEW("sort", "{", "at", BCON_INT32(-1), "_id",
                            BCON_INT32(-1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    json_array_foreach(rows, i, row) {
        store_doc_device(json_object_get(out, mg_text(row, "userId")),
                         mg_text(row, "_id"), mg_text(row, "platform"),
                         mg_text(row, "token"), mg_text(row, "locale"),
                         mg_time(row, "at"));
    }

    json_decref(rows);

    return STORE_OK;
}


static store_rc_t
read_quiet(store_mongo_t *st, const json_t *names, json_t *out)
{
    size_t   i;
    json_t  *rows, *row, *quiet;

    rows = mg_find(st, st->push, of_users("_id", names), NULL);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    json_array_foreach(rows, i, row) {
        quiet = json_object_get(row, "quietHours");

        if (json_is_object(quiet)) {
            store_doc_set(json_object_get(out, mg_text(row, "_id")),
                          "quietHours", json_incref(quiet));
        }
    }

    json_decref(rows);

    return STORE_OK;
}


static store_rc_t
read_mutes(store_mongo_t *st, const json_t *names, const char *conversation,
    json_t *out)
{
    size_t   i;
    bson_t  *query;
    json_t  *rows, *row;

    query = of_users("userId", names);

    if (conversation) {
        BSON_APPEND_UTF8(query, "conversationId", conversation);
    }

    rows = mg_find(st, st->mutes, query,
                   BCON_NEW("sort", "{", "userId", BCON_INT32(1),
                            "conversationId", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    json_array_foreach(rows, i, row) {
        store_doc_mute(json_object_get(out, mg_text(row, "userId")),
                       mg_text(row, "conversationId"),
                       mg_time(row, "until"));
    }

    json_decref(rows);

    return STORE_OK;
}


store_rc_t
store_mongo_push(store_t *base, const char *const *users, size_t n,
    const char *conversation, json_t **out)
{
    size_t          i;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    *out = json_object();

    for (i = 0; i < n; i++) {
        store_doc_push(*out, users[i]);
    }

    if (n == 0) {
        return STORE_OK;
    }

    rc = read_devices(st, *out, *out);

    if (rc == STORE_OK) {
        rc = read_quiet(st, *out, *out);
    }

    return rc == STORE_OK ? read_mutes(st, *out, conversation, *out) : rc;
}
