/*
 * store_mongo_write.c: bulk writes, and the messages of a batch.
 *
 * Messages are inserted without asking what is there; the unique indexes
 * refuse repeats.  What a refusal means is found out afterwards:
 *
 *   the same message under the same number   a batch repeated after a crash:
 *                                            it is stored, and counts if its
 *                                            number is above the conversation's
 *   another message above the conversation's  a remnant: written by a batch
 *   number in the store                       that neither finished nor came
 *                                            again (Redis lost its last second
 *                                            with the power); removed, the new
 *                                            one inserted
 *   the sender's clientMessageId is used by   a retry that Redis did not know
 *   a message with the same content           any more: passed over
 *   that of one with other content, or one    another message, whoever gave it
 *   that is deleted                           that clientMessageId once more:
 *                                            inserted without it
 *   anything else                             its id is used: passed over
 *
 * Messages whose clientMessageId an earlier one of the batch has are not
 * inserted with the others, but settled in the same way after them, in order:
 * what is stored does not depend on where a batch begins.  The first message
 * keeps the clientMessageId, so that each repeat is compared with the same one.
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"

#define CODE_DUPLICATE  11000


/* Answers that another try will not change. */
static const int  permanent_codes[] = {
    2,          /* BadValue */
    22,         /* InvalidBSON */
    52,         /* DollarPrefixedFieldName */
    57,         /* DottedFieldName */
    121,        /* DocumentValidationFailure */
    10334,      /* BSONObjectTooLarge */
    0
};


mongoc_bulk_operation_t *
mg_bulk(mongoc_collection_t *c, bool ordered)
{
    bson_t                    opts;
    mongoc_bulk_operation_t  *bulk;

    bson_init(&opts);
    BSON_APPEND_BOOL(&opts, "ordered", ordered);

    bulk = mongoc_collection_create_bulk_operation_with_opts(c, &opts);
    bson_destroy(&opts);

    return bulk;
}


/* Adding fails only for documents that are too large to be sent; the server
 * would refuse them, so that running the rest then reports it. */
void
mg_bulk_update(mongoc_bulk_operation_t *bulk, bson_t *query, bson_t *update,
    bool upsert)
{
    bson_t  opts;

    bson_init(&opts);
    BSON_APPEND_BOOL(&opts, "upsert", upsert);
    mongoc_bulk_operation_update_one_with_opts(bulk, query, update, &opts,
                                               NULL);
    bson_destroy(&opts);
    bson_destroy(update);
    bson_destroy(query);
}


void
mg_bulk_insert(mongoc_bulk_operation_t *bulk, const bson_t *doc)
{
    bson_t  opts;

    /* made by us out of checked JSON */
    bson_init(&opts);
    BSON_APPEND_BOOL(&opts, "validate", false);
    mongoc_bulk_operation_insert_with_opts(bulk, doc, &opts, NULL);
    bson_destroy(&opts);
}


static int64_t
reply_int(const bson_t *reply, const char *key)
{
    bson_iter_t  it;

    return bson_iter_init_find(&it, reply, key) ? bson_iter_as_int64(&it)
                                                : 0;
}


/* An iterator over reply's array of errors; 0 when there is none. */
static int
reply_errors(const bson_t *reply, const char *key, bson_iter_t *out)
{
    bson_iter_t  it;

    return bson_iter_init_find(&it, reply, key)
           && BSON_ITER_HOLDS_ARRAY(&it) && bson_iter_recurse(&it, out);
}


/* One entry of writeErrors. */
static void
read_error(const bson_iter_t *entry, size_t *index, int *code,
    const char **text)
{
    bson_iter_t  it;

    *index = 0;
    *code = 0;
    *text = "unknown";

    if (!bson_iter_recurse(entry, &it)) {
        return;
    }

    while (bson_iter_next(&it)) {
        if (strcmp(bson_iter_key(&it), "index") == 0) {
            *index = (size_t) bson_iter_as_int64(&it);

        } else if (strcmp(bson_iter_key(&it), "code") == 0) {
            *code = (int) bson_iter_as_int64(&it);

        } else if (strcmp(bson_iter_key(&it), "errmsg") == 0
                   && BSON_ITER_HOLDS_UTF8(&it))
        {
            *text = bson_iter_utf8(&it, NULL);
        }
    }
}


/* Writes refused as repeats; -1 when anything else went wrong, too. */
static int
count_repeats(const bson_t *reply, size_t *n)
{
    int           code;
    size_t        index;
    const char   *text;
    bson_iter_t   it;

    *n = 0;

    if (reply_errors(reply, "writeConcernErrors", &it)
        && bson_iter_next(&it))
    {
        return -1;
    }

    if (!reply_errors(reply, "writeErrors", &it)) {
        return -1;
    }

    while (bson_iter_next(&it)) {
        read_error(&it, &index, &code, &text);

        if (code != CODE_DUPLICATE) {
            return -1;
        }

        (*n)++;
    }

    return *n ? 0 : -1;
}


store_rc_t
mg_bulk_run(store_mongo_t *st, mongoc_bulk_operation_t *bulk,
    const char *what, mg_result_t *res, bson_t *reply)
{
    bson_t        own = BSON_INITIALIZER;
    uint32_t      ok;
    store_rc_t    rc;
    bson_error_t  error;

    reply = reply ? reply : &own;
    ok = mongoc_bulk_operation_execute(bulk, reply, &error);
    mongoc_bulk_operation_destroy(bulk);

    rc = STORE_OK;
    memset(res, 0, sizeof(mg_result_t));

    if (!ok && count_repeats(reply, &res->repeats) != 0) {
        rc = mg_down(st, what, &error);
    }

    res->matched = reply_int(reply, "nMatched");
    res->inserted = reply_int(reply, "nInserted");
    res->upserted = reply_int(reply, "nUpserted");

    if (reply == &own) {
        bson_destroy(reply);
    }

    return rc;
}


static void
make_message(store_mongo_t *st, bson_t *b, const store_op_t *op)
{
    bson_t  meta;

    BSON_APPEND_UTF8(b, "_id", op->id);
    BSON_APPEND_UTF8(b, "conversationId", op->conv->id);
    BSON_APPEND_INT64(b, "seq", op->seq);
    BSON_APPEND_INT64(b, "changeSeq", op->seq);
    BSON_APPEND_UTF8(b, "senderId", op->sender);
    BSON_APPEND_UTF8(b, "type", op->type);
    mg_append_json(b, "content", op->content);
    mg_append_words(st, b, op->content);

    if (op->reply_to) {
        BSON_APPEND_UTF8(b, "replyTo", op->reply_to);
    }

    BSON_APPEND_DOCUMENT_BEGIN(b, "metadata", &meta);

    if (op->client_id) {
        BSON_APPEND_UTF8(&meta, "clientMessageId", op->client_id);
    }

    if (op->device) {
        BSON_APPEND_UTF8(&meta, "deviceInfo", op->device);
    }

    if (op->ip) {
        BSON_APPEND_UTF8(&meta, "ipAddress", op->ip);
    }

    bson_append_document_end(b, &meta);

    BSON_APPEND_DATE_TIME(b, "createdAt", op->at);
    BSON_APPEND_DATE_TIME(b, "updatedAt", op->at);
    BSON_APPEND_BOOL(b, "deleted", false);
}


/* `reply` is the caller's to destroy; *bad as mg_write_messages(). */
static store_rc_t
insert(store_mongo_t *st, store_op_t **ops, size_t n, mg_result_t *res,
    bson_t *reply, size_t *bad)
{
    size_t                    i;
    bson_t                    doc;
    store_rc_t                rc;
    mongoc_bulk_operation_t  *bulk;

    bulk = mg_bulk(st->messages, false);
    bson_init(&doc);

    for (i = 0; i < n; i++) {
        bson_reinit(&doc);
        make_message(st, &doc, ops[i]);
        mg_bulk_insert(bulk, &doc);
    }

    bson_destroy(&doc);

    rc = mg_bulk_run(st, bulk, "insert messages", res, reply);

    return rc == STORE_OK ? rc : mg_find_bad(st, ops, n, reply, bad);
}


store_rc_t
mg_find_bad(store_mongo_t *st, store_op_t **ops, size_t n, const bson_t *reply,
    size_t *bad)
{
    int           code, i;
    size_t        index;
    const char   *text;
    store_rc_t    rc;
    bson_iter_t   it;

    rc = STORE_DOWN;

    if (!reply_errors(reply, "writeErrors", &it)) {
        return rc;
    }

    while (bson_iter_next(&it)) {
        read_error(&it, &index, &code, &text);

        for (i = 0; permanent_codes[i]; i++) {
            if (code != permanent_codes[i] || index >= n
                || (rc == STORE_REJECTED && ops[index]->index > *bad))
            {
                continue;
            }

            *bad = ops[index]->index;
            rc = store_fail(&st->base, STORE_REJECTED, "message %s of %s:"
                            " MongoDB: %s", ops[index]->id,
                            ops[index]->conv->id, text);
        }
    }

    return rc;
}


/* Those of these messages that are there under their own number: stored. */
static store_rc_t
find_stored(store_mongo_t *st, store_op_t **ops, size_t n)
{
    size_t    i;
    bson_t    query, *opts;
    json_t   *ids, *rows, *row;

    ids = json_object();

    for (i = 0; i < n; i++) {
        store_doc_set(ids, ops[i]->id, json_null());
    }

    bson_init(&query);
    mg_append_in(&query, "_id", ids);
    json_decref(ids);

    opts = BCON_NEW("projection", "{", "conversationId", BCON_INT32(1),
                    "seq", BCON_INT32(1), "}");

    rows = mg_find(st, st->messages, &query, opts);

    if (rows == NULL) {
        return STORE_DOWN;
    }

    ids = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(ids, mg_text(row, "_id"), json_incref(row));
    }

    for (i = 0; i < n; i++) {
        row = json_object_get(ids, ops[i]->id);
        ops[i]->stored = row
                         && mg_int(row, "seq") == ops[i]->seq
                         && strcmp(mg_text(row, "conversationId"),
                                   ops[i]->conv->id) == 0;
    }

    json_decref(ids);
    json_decref(rows);

    return STORE_OK;
}


/* Is this row a message of the batch that is stored? */
static int
of_batch(const store_plan_t *p, const json_t *row)
{
    size_t             i;
    const store_op_t  *op;

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];

        if (op->kind == STORE_OP_MESSAGE && op->stored
            && op->seq == mg_int(row, "seq")
            && strcmp(op->id, mg_text(row, "_id")) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static store_rc_t
remove_message(store_mongo_t *st, const store_op_t *op, const json_t *row)
{
    bool           ok;
    bson_t        *query;
    bson_error_t   error;

    query = BCON_NEW("_id", BCON_UTF8(mg_text(row, "_id")),
                     "conversationId", BCON_UTF8(op->conv->id),
                     "seq", BCON_INT64(mg_int(row, "seq")));
    ok = mongoc_collection_delete_one(st->messages, query, NULL, NULL,
                                      &error);
    bson_destroy(query);

    return ok ? STORE_OK : mg_down(st, "remove a remnant", &error);
}


/* Remnants that stand in the way of one message. */
static store_rc_t
remove_remnants(store_mongo_t *st, const store_plan_t *p,
    const store_op_t *op)
{
    size_t       i;
    bson_t       query, above, either, one;
    json_t      *rows, *row;
    store_rc_t   rc;

    bson_init(&query);
    BSON_APPEND_UTF8(&query, "conversationId", op->conv->id);
    BSON_APPEND_DOCUMENT_BEGIN(&query, "seq", &above);
    BSON_APPEND_INT64(&above, "$gt", op->conv->stored_seq);
    bson_append_document_end(&query, &above);

    BSON_APPEND_ARRAY_BEGIN(&query, "$or", &either);

    BSON_APPEND_DOCUMENT_BEGIN(&either, "0", &one);
    BSON_APPEND_UTF8(&one, "_id", op->id);
    bson_append_document_end(&either, &one);

    BSON_APPEND_DOCUMENT_BEGIN(&either, "1", &one);
    BSON_APPEND_INT64(&one, "seq", op->seq);
    bson_append_document_end(&either, &one);

    if (op->client_id) {
        BSON_APPEND_DOCUMENT_BEGIN(&either, "2", &one);
        BSON_APPEND_UTF8(&one, "senderId", op->sender);
        BSON_APPEND_UTF8(&one, "metadata.clientMessageId", op->client_id);
        bson_append_document_end(&either, &one);
    }

    bson_append_array_end(&query, &either);

    rows = mg_find(st, st->messages, &query,
                   BCON_NEW("projection", "{", "seq", BCON_INT32(1), "}"));

    if (rows == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_OK;

    json_array_foreach(rows, i, row) {
        if (rc == STORE_OK && !of_batch(p, row)) {
            rc = remove_message(st, op, row);
        }
    }

    json_decref(rows);

    return rc;
}


/* Does the batch delete that message before this one comes?  Changes are
 * written after all messages. */
static int
deleted_before(const store_plan_t *p, const store_op_t *op, const char *id)
{
    const store_op_t  *o;

    for (o = p->ops; o < op; o++) {
        if (o->kind == STORE_OP_DELETE && o->conv == op->conv
            && strcmp(o->id, id) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Is the clientMessageId used?  *again = 1: by the same message; by another
 * one: the op has none any more. */
static store_rc_t
settle_client_id(store_mongo_t *st, const store_plan_t *p, store_op_t *op,
    int *again)
{
    bson_t         *query;
    store_rc_t      rc;
    mg_messages_t   l;

    memset(&l, 0, sizeof(mg_messages_t));

    query = BCON_NEW("conversationId", BCON_UTF8(op->conv->id),
                     "senderId", BCON_UTF8(op->sender),
                     "metadata.clientMessageId", BCON_UTF8(op->client_id));
    rc = mg_find_messages(st, query, NULL, STORE_WITH_HISTORY, &l);

    if (rc == STORE_OK && l.n) {
        *again = store_plan_again(op, &l.row[0])
                 && !deleted_before(p, op, l.row[0].id);

        if (!*again) {
            op->client_id = NULL;
        }
    }

    mg_drop_messages(&l);

    return rc;
}


/* One that is not stored: what does that mean?  See the head of this file. */
static store_rc_t
settle(store_mongo_t *st, const store_plan_t *p, store_op_t *op, size_t *bad)
{
    int          again;
    bson_t       reply;
    store_rc_t   rc;
    mg_result_t  res;

    again = 0;
    rc = remove_remnants(st, p, op);

    if (rc == STORE_OK && op->client_id) {
        rc = settle_client_id(st, p, op, &again);
    }

    if (rc != STORE_OK || again) {
        return rc;
    }

    rc = insert(st, &op, 1, &res, &reply, bad);
    op->stored = rc == STORE_OK && res.inserted == 1;
    bson_destroy(&reply);

    return rc;
}


static store_rc_t
settle_all(store_mongo_t *st, store_plan_t *p, size_t *bad)
{
    size_t        i, n;
    store_op_t  **ops;
    store_rc_t    rc;

    n = 0;
    ops = store_alloc(p->arena, p->nops * sizeof(store_op_t *));

    for (i = 0; i < p->nops; i++) {
        if (p->ops[i].kind == STORE_OP_MESSAGE && !p->ops[i].stored) {
            ops[n++] = &p->ops[i];
        }
    }

    rc = find_stored(st, ops, n);

    for (i = 0; rc == STORE_OK && i < n; i++) {
        if (!ops[i]->stored) {
            rc = settle(st, p, ops[i], bad);
        }
    }

    return rc;
}


store_rc_t
mg_write_messages(store_mongo_t *st, store_plan_t *p, size_t *bad)
{
    int            code, open;
    size_t         i, n, index;
    bson_t         reply;
    store_rc_t     rc;
    const char    *text;
    store_op_t   **ops;
    bson_iter_t    it;
    mg_result_t    res;

    n = 0;
    open = 0;
    ops = store_alloc(p->arena, p->n * sizeof(store_op_t *));

    for (i = 0; i < p->nops; i++) {
        if (p->ops[i].kind != STORE_OP_MESSAGE) {
            continue;
        }

        if (p->ops[i].later) {
            open = 1;
            continue;
        }

        p->ops[i].stored = 1;
        ops[n++] = &p->ops[i];
    }

    if (n == 0) {
        return STORE_OK;
    }

    rc = insert(st, ops, n, &res, &reply, bad);

    if (rc == STORE_OK && (size_t) res.inserted + res.repeats != n) {
        rc = store_fail(&st->base, STORE_DOWN, "MongoDB: insert messages:"
                        " the answer does not add up");
    }

    if (rc == STORE_OK && reply_errors(&reply, "writeErrors", &it)) {
        while (bson_iter_next(&it)) {
            read_error(&it, &index, &code, &text);

            if (index < n) {
                ops[index]->stored = 0;
                open = 1;
            }
        }
    }

    bson_destroy(&reply);

    return rc == STORE_OK && open ? settle_all(st, p, bad) : rc;
}
