/*
 * store_mongo_erase.c: a user is erased, in MongoDB (step 5 of
 * store_mongo_apply.c): his messages lose what they say, and everywhere an
 * alias stands in his place.
 *
 * Everything may be done twice.  What is deleted is in no collection any more;
 * the oplog and the journal keep it for as long as they are long.
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"


static store_rc_t
update_many(store_mongo_t *st, mongoc_collection_t *c, const char *what,
    bson_t *query, bson_t *update)
{
    bool          ok;
    bson_error_t  error;

    ok = mongoc_collection_update_many(c, query, update, NULL, NULL, &error);
    bson_destroy(query);
    bson_destroy(update);

    return ok ? STORE_OK : mg_down(st, what, &error);
}


/* One update that reads what is there: an array is a pipeline. */
static bson_t *
scrub_update(const store_op_t *op)
{
    return BCON_NEW("0", "{", "$set", "{",
                        "senderId", "{", "$cond", "[",
                            "{", "$eq", "[", BCON_UTF8("$senderId"),
                                BCON_UTF8(op->user), "]", "}",
                            BCON_UTF8(op->by), BCON_UTF8("$senderId"),
                            "]", "}",
                        "content", "{", "$literal", "{", "}", "}",
                        "metadata", "{", "$literal", "{", "}", "}",
                        "deleted", BCON_BOOL(true),
                        "deletedAt", "{", "$ifNull", "[",
                            BCON_UTF8("$deletedAt"),
                            BCON_DATE_TIME(op->at), "]", "}",
                        "deletedBy", BCON_UTF8(op->by),
                        "updatedAt", BCON_DATE_TIME(op->at),
                        "words", BCON_UTF8("$$REMOVE"),
                        "reactions", BCON_UTF8("$$REMOVE"),
                        "editHistory", BCON_UTF8("$$REMOVE"),
                        "editedAt", BCON_UTF8("$$REMOVE"),
                    "}", "}");
}


static store_rc_t
scrub(store_mongo_t *st, store_plan_t *p, const store_op_t *op, int *again)
{
    bson_t                   *query;
    size_t                    i;
    json_t                   *ids, *id;
    store_rc_t                rc;
    mg_result_t               res;
    mongoc_bulk_operation_t  *bulk;

    ids = mg_listed(st, op, -1);
    if (ids == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_OK;

    if (json_array_size(ids)) {
        query = bson_new();
        mg_append_ids(query, "messageId", ids);
        rc = mg_delete_many(st, st->files, "erase files", query);
    }

    if (rc == STORE_OK && json_array_size(ids)) {
        bulk = mg_bulk(st->messages, true);

        json_array_foreach(ids, i, id) {
            mg_bulk_update(bulk,
                           BCON_NEW("_id", BCON_UTF8(json_string_value(id))),
                           scrub_update(op), false);
        }

        rc = mg_bulk_run(st, bulk, "erase messages", &res, NULL);
    }

    json_decref(ids);

    return rc == STORE_OK ? mg_recount(st, p, op->conv, again) : rc;
}


/* Under the alias's key, then away from his own. */
static store_rc_t
forget_member(store_mongo_t *st, const store_op_t *op)
{
    char           key[MG_KEY_MAX], alias[MG_KEY_MAX];
    json_t        *rows, *row, *v;
    bson_t        *update, set;
    store_rc_t     rc;
    const char    *name;
    mg_result_t    res;
    mongoc_bulk_operation_t  *bulk;

    snprintf(key, sizeof(key), "%s/%s", op->conv->id, op->user);
    snprintf(alias, sizeof(alias), "%s/%s", op->conv->id, op->by);

    rows = mg_find(st, st->participants, BCON_NEW("_id", BCON_UTF8(key)),
                   NULL);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    row = json_array_get(rows, 0);
    rc = STORE_OK;

    if (row) {
        update = bson_new();
        BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
        BSON_APPEND_UTF8(&set, "conversationId", op->conv->id);
        BSON_APPEND_UTF8(&set, "userId", op->by);
        mg_append_time(&set, "joinedAt", mg_time(row, "joinedAt"));
        mg_append_time(&set, "leftAt", mg_time(row, "leftAt") >= 0
                                       ? mg_time(row, "leftAt") : op->at);

        json_object_foreach(row, name, v) {
            if (strcmp(name, "role") == 0 || strcmp(name, "permissions") == 0
                || strcmp(name, "position") == 0
                || strcmp(name, "joinSeq") == 0
                || strcmp(name, "memberSeq") == 0
                || strcmp(name, "blockedBy") == 0)
            {
                mg_append_json(&set, name, v);
            }
        }

        BSON_APPEND_INT64(&set, "readSeq", mg_int(row, "readSeq"));
        BSON_APPEND_NULL(&set, "readAt");
        BSON_APPEND_INT64(&set, "deliveredSeq", mg_int(row, "deliveredSeq"));
        BSON_APPEND_NULL(&set, "deliveredAt");
        bson_append_document_end(update, &set);

        bulk = mg_bulk(st->participants, true);
        mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(alias)), update, true);
        rc = mg_bulk_run(st, bulk, "rename a participant", &res, NULL);
    }

    json_decref(rows);

    return rc == STORE_OK
           ? mg_delete_many(st, st->participants, "forget a participant",
                            BCON_NEW("_id", BCON_UTF8(key))) : rc;
}


/* What he said of the sessions there, under the alias and without words. */
static store_rc_t
forget_ratings(store_mongo_t *st, const store_op_t *op)
{
    char                      key[MG_KEY_MAX];
    size_t                    i;
    json_t                   *rows, *row;
    store_rc_t                rc;
    mg_result_t               res;
    const char               *session;
    mongoc_bulk_operation_t  *bulk;

    rows = mg_find(st, st->sessions,
                   BCON_NEW("conversationId", BCON_UTF8(op->conv->id)),
                   BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_OK;

    json_array_foreach(rows, i, row) {
        session = mg_text(row, "_id");
        snprintf(key, sizeof(key), "%s/%s", session, op->user);

        bulk = mg_bulk(st->ratings, true);
        mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(key)),
                       BCON_NEW("$set", "{", "userId", BCON_UTF8(op->by),
                                "comment", BCON_NULL, "}"),
                       false);
        rc = mg_bulk_run(st, bulk, "forget a rating", &res, NULL);

        if (rc != STORE_OK) {
            break;
        }
    }

    json_decref(rows);

    return rc;
}


static store_rc_t
forget(store_mongo_t *st, store_plan_t *p, const store_op_t *op, int *again)
{
    char         low[MG_KEY_MAX], high[MG_KEY_MAX];
    const char  *id;
    store_rc_t   rc;

    id = op->conv->id;
    snprintf(low, sizeof(low), "%s/%s/", id, op->user);
    snprintf(high, sizeof(high), "%s/%s0", id, op->user);

    rc = update_many(st, st->messages, "forget reactions",
                     BCON_NEW("conversationId", BCON_UTF8(id),
                              "reactions.userId", BCON_UTF8(op->user)),
                     BCON_NEW("$pull", "{", "reactions", "{", "userId",
                              BCON_UTF8(op->user), "}", "}"));

    if (rc == STORE_OK) {
        rc = update_many(st, st->messages, "forget who deleted",
                         BCON_NEW("conversationId", BCON_UTF8(id),
                                  "deletedBy", BCON_UTF8(op->user)),
                         BCON_NEW("$set", "{", "deletedBy",
                                  BCON_UTF8(op->by), "}"));
    }

    if (rc == STORE_OK) {
        rc = mg_delete_many(st, st->cursors, "forget cursor moves",
                            BCON_NEW("_id", "{", "$gte", BCON_UTF8(low),
                                     "$lt", BCON_UTF8(high), "}"));
    }

    if (rc == STORE_OK) {
        rc = update_many(st, st->participants, "forget who blocked",
                         BCON_NEW("conversationId", BCON_UTF8(id),
                                  "blockedBy", BCON_UTF8(op->user)),
                         BCON_NEW("$set", "{", "blockedBy",
                                  BCON_UTF8(op->by), "}"));
    }

    if (rc == STORE_OK) {
        rc = mg_delete_many(st, st->files, "forget files",
                            BCON_NEW("conversationId", BCON_UTF8(id),
                                     "uploadedBy", BCON_UTF8(op->user)));
    }

    if (rc == STORE_OK) {
        rc = update_many(st, st->conversations, "forget who made it",
                         BCON_NEW("_id", BCON_UTF8(id),
                                  "metadata.createdBy", BCON_UTF8(op->user)),
                         BCON_NEW("$set", "{", "metadata.createdBy",
                                  BCON_UTF8(op->by), "}"));
    }

    if (rc == STORE_OK) {
        rc = forget_ratings(st, op);
    }

    if (rc == STORE_OK) {
        rc = mg_recount(st, p, op->conv, again);
    }

    /* the last one: by it the room is found */
    return rc == STORE_OK ? forget_member(st, op) : rc;
}


store_rc_t
mg_erase(store_mongo_t *st, store_plan_t *p, const store_op_t *op, int *again)
{
    int                       is;
    store_rc_t                rc;
    mg_result_t               res;
    mongoc_bulk_operation_t  *bulk;

    if (op->kind == STORE_OP_ERASE) {
        bulk = mg_bulk(st->erasures, true);
        mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->user)),
                       BCON_NEW("$setOnInsert", "{",
                                "alias", BCON_UTF8(op->by),
                                "requestedBy", BCON_UTF8(op->sender),
                                "requestedAt", BCON_DATE_TIME(op->at), "}"),
                       true);
        rc = mg_bulk_run(st, bulk, "write an erasure", &res, NULL);
        *again = *again || res.repeats;

        return rc;
    }

    if (op->kind == STORE_OP_ERASED) {
        rc = mg_delete_many(st, st->users, "erase a user",
                            BCON_NEW("_id", BCON_UTF8(op->user)));

        return rc == STORE_OK
               ? mg_delete_many(st, st->erasures, "end an erasure",
                                BCON_NEW("_id", BCON_UTF8(op->user))) : rc;
    }

    is = op->conv->seq < 0 ? 1 : mg_held(st, op->conv->id);

    if (is != 0) {
        return is < 0 ? STORE_DOWN : STORE_OK;
    }

    return op->kind == STORE_OP_SCRUB ? scrub(st, p, op, again)
                                      : forget(st, p, op, again);
}


/* -- what is to be done -- */

store_rc_t
store_mongo_erasures(store_t *base, json_t **out)
{
    size_t          i;
    json_t         *rows, *row;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->erasures, bson_new(),
                   BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(*out,
            store_doc_erasure(mg_text(row, "_id"), mg_text(row, "alias"),
                              mg_text(row, "requestedBy"),
                              mg_time(row, "requestedAt")));
    }

    json_decref(rows);

    return STORE_OK;
}


/* The conversation of a participant's row. */
static store_rc_t
append_trace(store_mongo_t *st, const json_t *member, json_t *out)
{
    int          is;
    json_t      *rows, *row;
    const char  *id;

    id = mg_text(member, "conversationId");

    rows = mg_find(st, st->conversations, BCON_NEW("_id", BCON_UTF8(id)),
                   BCON_NEW("projection", "{", "type", BCON_INT32(1),
                            "metadata.seq", BCON_INT32(1), "}"));
    is = rows ? mg_held(st, id) : -1;
    row = json_array_get(rows, 0);

    if (is >= 0 && row) {
        store_doc_append(out,
            store_doc_trace(id, mg_int(json_object_get(row, "metadata"),
                                       "seq"),
                            mg_time(member, "leftAt") < 0,
                            mg_text(member, "role"), mg_text(row, "type"),
                            is));
    }

    json_decref(rows);

    return is < 0 ? STORE_DOWN : STORE_OK;
}


store_rc_t
store_mongo_traces(store_t *base, const char *user, const char *after,
    int limit, json_t **out)
{
    size_t          i;
    json_t         *rows, *row;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->participants,
                   BCON_NEW("userId", BCON_UTF8(user), "conversationId",
                            "{", "$gt", BCON_UTF8(after), "}"),
                   BCON_NEW("sort", "{", "conversationId", BCON_INT32(1),
                            "}", "hint", BCON_UTF8("user"),
                            "limit", BCON_INT64(limit)));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();
    rc = STORE_OK;

    json_array_foreach(rows, i, row) {
        rc = append_trace(st, row, *out);

        if (rc != STORE_OK) {
            break;
        }
    }

    json_decref(rows);

    return rc;
}


store_rc_t
store_mongo_said(store_t *base, const char *conversation, const char *user,
    int limit, json_t **out)
{
    size_t          i;
    json_t         *rows, *row;
    int64_t         seq;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rc = mg_find_seq(st, conversation, &seq, NULL);
    if (rc != STORE_OK) {
        return rc;
    }

    rows = mg_find(st, st->messages,
                   BCON_NEW("conversationId", BCON_UTF8(conversation),
                            "$or", "[",
                            "{", "senderId", BCON_UTF8(user), "}",
                            "{", "type", BCON_UTF8("system"),
                                "content.systemMessage.data.userId",
                                BCON_UTF8(user), "}", "]"),
                   BCON_NEW("sort", "{", "seq", BCON_INT32(1), "}",
                            "hint", BCON_UTF8("seq"),
                            "limit", BCON_INT64(limit),
                            "projection", "{", "seq", BCON_INT32(1),
                            "changeSeq", BCON_INT32(1),
                            "editHistory.seq", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(*out, mg_due_message(row));
    }

    json_decref(rows);

    return STORE_OK;
}


store_rc_t
store_mongo_user_held(store_t *base, const char *user)
{
    int             is;
    json_t         *rows;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->holds,
                   BCON_NEW("type", BCON_UTF8("user"), "targetId",
                            BCON_UTF8(user), "releasedAt", BCON_NULL),
                   BCON_NEW("limit", BCON_INT64(1)));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    is = json_array_size(rows) > 0;
    json_decref(rows);

    return is ? STORE_OK : STORE_NOT_FOUND;
}


/* What a collection has lost is gone. */
store_rc_t
store_mongo_tidy(store_t *base, int *more)
{
    (void) base;
    (void) more;

    return STORE_OK;
}
