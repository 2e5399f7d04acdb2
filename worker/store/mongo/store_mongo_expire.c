/*
 * store_mongo_expire.c: what has had its time, in MongoDB: finding it, and
 * taking it out (step 5 of store_mongo_apply.c, after the conversations).
 *
 * What goes is gone from every collection: the message with its edits and
 * words, the record of its file (whose bytes are removed when nobody counts
 * them any more).  Numbers of what is left stay.
 *
 * Everything may be done twice.  So a conversation's messages are counted anew
 * and not counted down: that needs an index alone.
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"


void
mg_append_ids(bson_t *b, const char *key, const json_t *ids)
{
    char         buf[16];
    size_t       i;
    bson_t       in, list;
    json_t      *v;
    const char  *index;

    BSON_APPEND_DOCUMENT_BEGIN(b, key, &in);
    BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);

    json_array_foreach(ids, i, v) {
        bson_uint32_to_string((uint32_t) i, &index, buf, sizeof(buf));
        BSON_APPEND_UTF8(&list, index, json_string_value(v));
    }

    bson_append_array_end(&in, &list);
    bson_append_document_end(b, &in);
}


/* Is there a participant among these whose users are held?  1, 0, -1. */
static int
held_user(store_mongo_t *st, const char *conversation, const json_t *holds)
{
    int      found;
    char     key[MG_KEY_MAX];
    size_t   i;
    bson_t   query;
    json_t  *v, *ids, *rows;

    ids = json_array();

    json_array_foreach(holds, i, v) {
        snprintf(key, sizeof(key), "%s/%s", conversation,
                 mg_text(v, "targetId"));
        store_doc_append(ids, json_string(key));
    }

    bson_init(&query);
    mg_append_ids(&query, "_id", ids);
    json_decref(ids);

    rows = mg_find(st, st->participants, bson_copy(&query),
                   BCON_NEW("limit", BCON_INT64(1), "projection", "{",
                            "_id", BCON_INT32(1), "}"));
    bson_destroy(&query);

    found = rows ? json_array_size(rows) > 0 : -1;
    json_decref(rows);

    return found;
}


int
mg_held(store_mongo_t *st, const char *conversation)
{
    int      is;
    json_t  *rows;

    rows = mg_find(st, st->holds,
                   BCON_NEW("type", BCON_UTF8("conversation"),
                            "targetId", BCON_UTF8(conversation),
                            "releasedAt", BCON_NULL),
                   BCON_NEW("limit", BCON_INT64(1)));
    is = rows ? json_array_size(rows) > 0 : -1;
    json_decref(rows);

    if (is != 0) {
        return is;
    }

    rows = mg_find(st, st->holds,
                   BCON_NEW("type", BCON_UTF8("user"),
                            "releasedAt", BCON_NULL),
                   BCON_NEW("projection", "{", "targetId", BCON_INT32(1),
                            "}", "hint", BCON_UTF8("target")));
    if (rows == NULL) {
        return -1;
    }

    is = json_array_size(rows) ? held_user(st, conversation, rows) : 0;
    json_decref(rows);

    return is;
}


/* -- finding -- */

json_t *
mg_due_message(const json_t *row)
{
    size_t    i;
    json_t   *numbers, *edit;

    numbers = json_array();
    store_doc_append(numbers, json_integer(mg_int(row, "seq")));

    if (mg_int(row, "changeSeq") > mg_int(row, "seq")) {
        store_doc_append(numbers, json_integer(mg_int(row, "changeSeq")));
    }

    json_array_foreach(json_object_get(row, "editHistory"), i, edit) {
        store_doc_append(numbers, json_integer(mg_int(edit, "seq")));
    }

    return store_doc_due_message(mg_text(row, "_id"), numbers);
}


/* A room's first messages that are older than that; NULL: down. */
static json_t *
due_messages(store_mongo_t *st, const char *id, int64_t before, int limit)
{
    size_t   i;
    json_t  *rows, *row, *list;

    rows = mg_find(st, st->messages,
                   BCON_NEW("conversationId", BCON_UTF8(id),
                            "createdAt", "{", "$lt", BCON_DATE_TIME(before),
                            "}"),
                   BCON_NEW("sort", "{", "createdAt", BCON_INT32(1),
                            "seq", BCON_INT32(1), "}",
                            "hint", BCON_UTF8("time"),
                            "limit", BCON_INT64(limit),
                            "projection", "{", "seq", BCON_INT32(1),
                            "changeSeq", BCON_INT32(1),
                            "editHistory.seq", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return NULL;
    }

    list = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(list, mg_due_message(row));
    }

    json_decref(rows);

    return list;
}


static store_rc_t
due_room(store_mongo_t *st, const store_due_t *q, const json_t *row,
    json_t *out)
{
    int            idle, is;
    json_t        *messages;
    int64_t        before;
    const char    *id;
    const json_t  *settings, *meta;

    id = mg_text(row, "_id");
    meta = json_object_get(row, "metadata");
    settings = json_object_get(row, "settings");
    before = store_due_before(q, json_integer_value(
                                     json_object_get(settings,
                                                     "retention")));

    /* it stays where it is: archived is not deleted */
    idle = json_is_true(json_object_get(settings, "autoArchive"))
           && !json_is_true(json_object_get(meta, "isArchived"))
           && q->idle_ms >= 0 && mg_time(meta, "activityAt") < q->idle_ms;

    messages = before >= 0 ? due_messages(st, id, before, q->limit)
                           : json_array();

    if (messages == NULL) {
        return STORE_DOWN;
    }

    if (json_array_size(messages)) {
        is = mg_held(st, id);

        if (is != 0) {
            json_array_clear(messages);
        }

        if (is < 0) {
            json_decref(messages);
            return STORE_DOWN;
        }
    }

    if (json_array_size(messages) == 0 && !idle) {
        json_decref(messages);
        return STORE_OK;
    }

    store_doc_append(out, store_doc_due(id, mg_int(meta, "seq"), before,
                                        messages, idle));

    return STORE_OK;
}


store_rc_t
store_mongo_due(store_t *base, const store_due_t *q, json_t **out,
    char *next)
{
    size_t          i;
    json_t         *rows, *row;
    store_rc_t      rc;
    const char     *id;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->conversations,
                   BCON_NEW("_id", "{", "$gt", BCON_UTF8(q->after), "}"),
                   BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}",
                            "limit", BCON_INT64(q->look),
                            "projection", "{",
                            "settings.retention", BCON_INT32(1),
                            "settings.autoArchive", BCON_INT32(1),
                            "metadata.seq", BCON_INT32(1),
                            "metadata.isArchived", BCON_INT32(1),
                            "metadata.activityAt", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();
    rc = STORE_OK;

    json_array_foreach(rows, i, row) {
        rc = due_room(st, q, row, *out);

        if (rc != STORE_OK) {
            break;
        }

        id = mg_text(row, "_id");

        if (strlen(id) <= WRT_ID_MAX) {
            memcpy(next, id, strlen(id) + 1);
        }

        if (json_array_size(*out) == (size_t) q->max) {
            break;
        }
    }

    /* that were all of them */
    if (i == json_array_size(rows) && i < (size_t) q->look) {
        next[0] = '\0';
    }

    json_decref(rows);

    return rc;
}


/* -- taking out -- */

store_rc_t
mg_delete_many(store_mongo_t *st, mongoc_collection_t *c, const char *what,
    bson_t *query)
{
    bool          ok;
    bson_error_t  error;

    ok = mongoc_collection_delete_many(c, query, NULL, NULL, &error);
    bson_destroy(query);

    return ok ? STORE_OK : mg_down(st, what, &error);
}


json_t *
mg_listed(store_mongo_t *st, const store_op_t *op, int64_t before)
{
    size_t    i;
    bson_t   *query;
    json_t   *rows, *row, *ids;

    query = bson_new();
    mg_append_ids(query, "_id", op->body);
    BSON_APPEND_UTF8(query, "conversationId", op->conv->id);

    if (before >= 0) {
        BCON_APPEND(query, "createdAt", "{", "$lt", BCON_DATE_TIME(before),
                    "}");
    }

    rows = mg_find(st, st->messages, query,
                   BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return NULL;
    }

    ids = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(ids, json_string(mg_text(row, "_id")));
    }

    json_decref(rows);

    return ids;
}


/* Moves of cursors that no message that is left needs for its status. */
static store_rc_t
expire_moves(store_mongo_t *st, const char *id)
{
    int64_t     least;
    json_t     *rows;

    rows = mg_find(st, st->messages,
                   BCON_NEW("conversationId", BCON_UTF8(id)),
                   BCON_NEW("sort", "{", "seq", BCON_INT32(1), "}",
                            "limit", BCON_INT64(1),
                            "projection", "{", "seq", BCON_INT32(1),
                            "_id", BCON_INT32(0), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    least = mg_int(json_array_get(rows, 0), "seq");
    json_decref(rows);

    if (least == 0) {
        return STORE_OK;
    }

    return mg_delete_many(st, st->cursors, "expire cursor moves",
                       BCON_NEW("conversationId", BCON_UTF8(id), "seq",
                                "{", "$lt", BCON_INT64(least), "}"));
}


static int64_t
count_messages(store_mongo_t *st, const store_conv_t *c,
    bson_error_t *error)
{
    bson_t   *query, *opts;
    int64_t   n;

    query = BCON_NEW("conversationId", BCON_UTF8(c->id), "seq", "{", "$lte",
                     BCON_INT64(c->seq), "}");
    opts = BCON_NEW("hint", BCON_UTF8("seq"));
    n = mongoc_collection_count_documents(st->messages, query, opts, NULL,
                                          NULL, error);
    bson_destroy(query);
    bson_destroy(opts);

    return n;
}


/* As long as the conversation is where this batch left it: who has moved it on
 * was another projector, and everything is looked at anew. */
store_rc_t
mg_recount(store_mongo_t *st, store_plan_t *p, store_conv_t *c, int *again)
{
    bson_t                   *update, set, last;
    int64_t                   n;
    store_rc_t                rc;
    mg_result_t               res;
    bson_error_t              error;
    mongoc_bulk_operation_t  *bulk;

    rc = mg_find_last(st, p, c);
    if (rc != STORE_OK) {
        return rc;
    }

    n = count_messages(st, c, &error);
    if (n < 0) {
        return mg_down(st, "count messages", &error);
    }

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
    BSON_APPEND_INT64(&set, "metadata.messageCount", n);
    mg_append_time(&set, "metadata.lastMessageAt", c->last.at);
    BSON_APPEND_DATE_TIME(&set, "metadata.activityAt",
                          c->last.at >= 0 ? c->last.at
                          : c->create ? c->create->at : c->stored_at);

    if (c->last.at >= 0) {
        BSON_APPEND_DOCUMENT_BEGIN(&set, "metadata.lastMessage", &last);
        mg_append_last(&last, c);
        bson_append_document_end(&set, &last);

    } else {
        BSON_APPEND_NULL(&set, "metadata.lastMessage");
    }

    bson_append_document_end(update, &set);

    bulk = mg_bulk(st->conversations, true);
    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(c->id), "metadata.seq",
                                  BCON_INT64(c->seq)), update, false);
    rc = mg_bulk_run(st, bulk, "recount messages", &res, NULL);
    *again = *again || (rc == STORE_OK && res.matched == 0);

    return rc;
}


store_rc_t
mg_expire(store_mongo_t *st, store_plan_t *p, const store_op_t *op,
    int *again)
{
    int          is;
    bson_t      *query;
    json_t      *ids;
    store_rc_t   rc;

    is = op->conv->seq < 0 ? 1 : mg_held(st, op->conv->id);

    if (is != 0) {
        return is < 0 ? STORE_DOWN : STORE_OK;
    }

    ids = mg_listed(st, op, op->at);
    if (ids == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_OK;

    /* the message is the last to go: as long as it is there, the rest is
     * found by it */

    if (json_array_size(ids)) {
        query = bson_new();
        mg_append_ids(query, "messageId", ids);
        rc = mg_delete_many(st, st->files, "expire files", query);
    }

    if (rc == STORE_OK && json_array_size(ids)) {
        query = bson_new();
        mg_append_ids(query, "_id", ids);
        rc = mg_delete_many(st, st->messages, "expire messages", query);
    }

    json_decref(ids);

    if (rc == STORE_OK) {
        rc = expire_moves(st, op->conv->id);
    }

    return rc == STORE_OK ? mg_recount(st, p, op->conv, again) : rc;
}
