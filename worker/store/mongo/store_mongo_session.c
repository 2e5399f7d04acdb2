/*
 * store_mongo_session.c: consultations and sessions in MongoDB.
 *
 * chatSessions has the members of a record as they are, and its times as
 * dates.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/mongo/store_mongo.h"

#define RATING_KEY_MAX  (2 * WRT_ID_MAX + 2)
#define PART_KEY_MAX    (2 * WRT_ID_MAX + 32)


/* [{"$replaceWith": {"$cond": [{"$lt": ["$rev", rev]}, {"$mergeObjects":
 * ["$$ROOT", {"$literal": ...}]}, "$$ROOT"]}}]: a later rev wins.  literal()
 * appends the document. */
static bson_t *
newer(int64_t rev, void (*literal)(bson_t *b, const void *data),
    const void *data)
{
    bson_t  *update, stage, with, cond, merged, list, part, doc;

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$replaceWith", &with);
    BSON_APPEND_ARRAY_BEGIN(&with, "$cond", &cond);

    BCON_APPEND(&cond, "0", "{", "$lt", "[", "{", "$ifNull", "[",
                BCON_UTF8("$rev"), BCON_INT64(-1), "]", "}",
                BCON_INT64(rev), "]", "}");

    BSON_APPEND_DOCUMENT_BEGIN(&cond, "1", &merged);
    BSON_APPEND_ARRAY_BEGIN(&merged, "$mergeObjects", &list);
    BSON_APPEND_UTF8(&list, "0", "$$ROOT");
    BSON_APPEND_DOCUMENT_BEGIN(&list, "1", &part);
    BSON_APPEND_DOCUMENT_BEGIN(&part, "$literal", &doc);
    literal(&doc, data);
    bson_append_document_end(&part, &doc);
    bson_append_document_end(&list, &part);
    bson_append_array_end(&merged, &list);
    bson_append_document_end(&cond, &merged);

    BSON_APPEND_UTF8(&cond, "2", "$$ROOT");
    bson_append_array_end(&with, &cond);
    bson_append_document_end(&stage, &with);
    bson_append_document_end(update, &stage);

    return update;
}


static void
append_consult(bson_t *b, const void *data)
{
    const store_op_t  *op = data;

    BSON_APPEND_UTF8(b, "conversationId", op->conv->id);
    BSON_APPEND_INT64(b, "rev", op->seq);
    BSON_APPEND_UTF8(b, "status", op->type);
    BSON_APPEND_DATE_TIME(b, "updatedAt", op->at);

    if (op->body) {
        mg_append_json(b, "context", op->body);
    }

    if (op->on) {
        BSON_APPEND_INT64(b, "fromSeq", op->seq);
        BSON_APPEND_DATE_TIME(b, "createdAt", op->at);
    }
}


/* It stays in the room it was first said to be in: an upsert elsewhere meets
 * the _id, and that is the end of it. */
static void
put_consult(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->id),
                                  "conversationId", BCON_UTF8(op->conv->id)),
                   newer(op->seq, append_consult, op), op->on);
}


static void
append_session(bson_t *b, const void *data)
{
    const json_t               *v;
    const char *const          *key;
    const store_session_row_t  *f = data;

    for (key = store_session_keys; *key; key++) {
        v = json_object_get(f->body, *key);

        if (v) {
            mg_append_json(b, *key, v);

        } else {
            BSON_APPEND_NULL(b, *key);
        }
    }

    BSON_APPEND_DATE_TIME(b, "startTime", f->start_at);
    mg_append_time(b, "endTime", f->end_at);
    BSON_APPEND_DATE_TIME(b, "createdAt", f->created_at);
    BSON_APPEND_DATE_TIME(b, "updatedAt", f->updated_at);
}


static void
put_session(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    store_session_row_t  f;

    store_session_row(op->body, &f);

    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->id)),
                   newer(f.rev, append_session, &f), true);
}


/* The writes of one collection in a bulk of their own. */
static store_rc_t
write_kind(store_mongo_t *st, store_plan_t *p, store_op_kind_t kind,
    mongoc_collection_t *c,
    void (*write)(mongoc_bulk_operation_t *, const store_op_t *),
    mg_result_t *res)
{
    size_t                    i;
    mongoc_bulk_operation_t  *bulk;

    bulk = NULL;
    memset(res, 0, sizeof(*res));

    for (i = 0; i < p->nops; i++) {
        if (p->ops[i].kind == kind) {
            if (bulk == NULL) {
                /* in order, each whatever becomes of those before */
                bulk = mg_bulk(c, kind == STORE_OP_SESSION);
            }

            write(bulk, &p->ops[i]);
        }
    }

    return bulk ? mg_bulk_run(st, bulk, "write sessions", res, NULL)
                : STORE_OK;
}


static json_t *
find_record(store_mongo_t *st, const char *id)
{
    return mg_find(st, st->sessions, BCON_NEW("_id", BCON_UTF8(id)),
                   BCON_NEW("projection", "{", "rev", BCON_INT32(1),
                            "transcript", BCON_INT32(1), "}"));
}


/* Not when another run was faster. */
static store_rc_t
put_part(store_mongo_t *st, const store_op_t *op)
{
    bool           ok;
    char           key[PART_KEY_MAX];
    bson_t        *query, *update, *opts;
    json_t        *rows;
    int64_t        rev;
    bson_error_t   error;

    rows = find_record(st, op->id);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    rev = json_array_size(rows) ? mg_int(json_array_get(rows, 0), "rev") : 0;
    json_decref(rows);

    if (rev >= op->at) {
        return STORE_OK;
    }

    snprintf(key, sizeof(key), "%s/%s/%lld", op->id, op->name,
             (long long) op->seq);

    query = BCON_NEW("_id", BCON_UTF8(key));
    update = BCON_NEW("$set", "{", "sessionId", BCON_UTF8(op->id),
                      "run", BCON_UTF8(op->name), "part", BCON_INT64(op->seq),
                      "text", BCON_UTF8(op->type), "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));

    ok = mongoc_collection_update_one(st->parts, query, update, opts, NULL,
                                      &error);
    bson_destroy(query);
    bson_destroy(update);
    bson_destroy(opts);

    return ok ? STORE_OK : mg_down(st, "write a transcript", &error);
}


/* Pieces of other runs than that of the record that is there now. */
static store_rc_t
drop_parts(store_mongo_t *st, const store_op_t *op)
{
    bool           ok;
    bson_t        *query;
    json_t        *rows;
    const char    *run;
    bson_error_t   error;

    if (store_session_run(op->body) == NULL) {
        return STORE_OK;
    }

    rows = find_record(st, op->id);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    ok = true;
    run = store_session_run(json_array_get(rows, 0));

    if (run) {
        query = BCON_NEW("sessionId", BCON_UTF8(op->id),
                         "run", "{", "$ne", BCON_UTF8(run), "}");
        ok = mongoc_collection_delete_many(st->parts, query, NULL, NULL,
                                           &error);
        bson_destroy(query);
    }

    json_decref(rows);

    return ok ? STORE_OK : mg_down(st, "drop a transcript", &error);
}


/* The first word of a user counts: the second finds the _id taken. */
static void
put_rating(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    char    key[RATING_KEY_MAX];
    bson_t  doc;

    snprintf(key, sizeof(key), "%s/%s", op->id, op->user);

    bson_init(&doc);
    BSON_APPEND_UTF8(&doc, "_id", key);
    BSON_APPEND_UTF8(&doc, "sessionId", op->id);
    BSON_APPEND_UTF8(&doc, "userId", op->user);
    BSON_APPEND_INT64(&doc, "rating", op->seq);
    mg_append_text(&doc, "comment", op->name);
    BSON_APPEND_DATE_TIME(&doc, "at", op->at);
    mg_bulk_insert(bulk, &doc);
    bson_destroy(&doc);
}


store_rc_t
mg_write_sessions(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t       i;
    store_rc_t   rc;
    mg_result_t  res;

    rc = write_kind(st, p, STORE_OP_CONSULT, st->consultations, put_consult,
                    &res);

    for (i = 0; rc == STORE_OK && i < p->nops; i++) {
        if (p->ops[i].kind == STORE_OP_PART) {
            rc = put_part(st, &p->ops[i]);
        }
    }

    if (rc == STORE_OK) {
        rc = write_kind(st, p, STORE_OP_SESSION, st->sessions, put_session,
                        &res);
        /* two upserts met; an ordered bulk write stopped there */
        *again = *again || res.repeats;
    }

    for (i = 0; rc == STORE_OK && !*again && i < p->nops; i++) {
        if (p->ops[i].kind == STORE_OP_SESSION) {
            rc = drop_parts(st, &p->ops[i]);
        }
    }

    if (rc == STORE_OK && !*again) {
        rc = write_kind(st, p, STORE_OP_RATE, st->ratings, put_rating, &res);
    }

    return rc;
}


/* {session: [rating...]} of some sessions. */
static json_t *
ratings(store_mongo_t *st, const json_t *sessions)
{
    size_t   i;
    bson_t   query;
    json_t  *ids, *rows, *row, *all, *list;

    ids = json_object();

    json_array_foreach(sessions, i, row) {
        store_doc_set(ids, mg_text(row, "_id"), json_null());
    }

    bson_init(&query);
    mg_append_in(&query, "sessionId", ids);
    json_decref(ids);

    rows = mg_find(st, st->ratings, &query,
                   BCON_NEW("sort", "{", "at", BCON_INT32(1),
                            "userId", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return NULL;
    }

    all = json_object();

    json_array_foreach(rows, i, row) {
        list = json_object_get(all, mg_text(row, "sessionId"));

        if (list == NULL) {
            list = json_array();
            store_doc_set(all, mg_text(row, "sessionId"), list);
        }

        store_doc_append(list, store_doc_rating(mg_text(row, "userId"),
                                                mg_int(row, "rating"),
                                                mg_text(row, "comment"),
                                                mg_time(row, "at")));
    }

    json_decref(rows);

    return all;
}


/* Takes over the rows (NULL: they could not be read). */
static store_rc_t
session_docs(store_mongo_t *st, json_t *rows, json_t **out)
{
    size_t                i;
    json_t               *row, *all, *list;
    store_session_row_t   f;

    all = rows && json_array_size(rows) ? ratings(st, rows) : json_object();

    if (rows == NULL || all == NULL) {
        json_decref(rows);
        json_decref(all);
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        memset(&f, 0, sizeof(f));
        f.id = mg_text(row, "_id");
        f.body = row;
        f.start_at = mg_time(row, "startTime");
        f.end_at = mg_time(row, "endTime");
        f.created_at = mg_time(row, "createdAt");
        f.updated_at = mg_time(row, "updatedAt");

        list = json_object_get(all, f.id);
        store_doc_append(*out, store_doc_session(
                             &f, list ? json_incref(list) : json_array()));
    }

    json_decref(all);
    json_decref(rows);

    return STORE_OK;
}


store_rc_t
store_mongo_session(store_t *base, const char *id, json_t **out)
{
    json_t         *list;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    list = NULL;

    rc = session_docs(st, mg_find(st, st->sessions,
                                  BCON_NEW("_id", BCON_UTF8(id)), NULL),
                      &list);
    if (rc != STORE_OK) {
        return rc;
    }

    *out = json_incref(json_array_get(list, 0));
    json_decref(list);

    return *out ? STORE_OK : STORE_NOT_FOUND;
}


/* The rooms that a user may read, as the keys of an object; NULL on error. */
static json_t *
rooms_of(store_mongo_t *st, const char *user)
{
    size_t   i;
    json_t  *rows, *row, *ids;

    rows = mg_find(st, st->participants,
                   BCON_NEW("userId", BCON_UTF8(user), "leftAt", BCON_NULL,
                            "permissions", BCON_UTF8("read")),
                   BCON_NEW("projection", "{", "conversationId",
                            BCON_INT32(1), "}"));
    if (rows == NULL) {
        return NULL;
    }

    ids = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(ids, mg_text(row, "conversationId"), json_null());
    }

    json_decref(rows);

    return ids;
}


static bson_t *
query(const store_sessions_t *q, const json_t *rooms)
{
    bson_t  *b, both, one;

    b = bson_new();

    if (q->conversation) {
        BSON_APPEND_UTF8(b, "conversationId", q->conversation);
    }

    if (rooms) {
        BSON_APPEND_ARRAY_BEGIN(b, "$and", &both);
        BSON_APPEND_DOCUMENT_BEGIN(&both, "0", &one);
        mg_append_in(&one, "conversationId", rooms);
        bson_append_document_end(&both, &one);
        bson_append_array_end(b, &both);
    }

    if (q->consultation) {
        BSON_APPEND_UTF8(b, "consultationId", q->consultation);
    }

    if (q->type) {
        BSON_APPEND_UTF8(b, "sessionType", q->type);
    }

    if (q->status) {
        BSON_APPEND_UTF8(b, "status", q->status);
    }

    if (q->to_seq) {
        BCON_APPEND(b, "startSeq", "{", "$lte", BCON_INT64(q->to_seq), "}",
                    "$or", "[", "{", "endSeq", BCON_NULL, "}",
                    "{", "endSeq", "{", "$gte", BCON_INT64(q->from_seq), "}",
                    "}", "]");
    }

    return b;
}


static store_rc_t
count(store_mongo_t *st, bson_t *b, int64_t *n)
{
    bson_error_t  error;

    *n = mongoc_collection_count_documents(st->sessions, b, NULL, NULL, NULL,
                                           &error);
    bson_destroy(b);

    if (*n < 0) {
        *n = 0;
        return mg_down(st, "count sessions", &error);
    }

    return STORE_OK;
}


store_rc_t
store_mongo_sessions(store_t *base, const store_sessions_t *q,
    json_t **out, int64_t *total)
{
    int             way;
    json_t         *rooms;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    rooms = NULL;

    if (q->user) {
        rooms = rooms_of(st, q->user);

        if (rooms == NULL) {
            return STORE_DOWN;
        }
    }

    rc = count(st, query(q, rooms), total);

    if (rc == STORE_OK) {
        way = q->oldest ? 1 : -1;
        rc = session_docs(st,
            mg_find(st, st->sessions, query(q, rooms),
                    BCON_NEW("sort", "{", "startTime", BCON_INT32(way),
                             "_id", BCON_INT32(way), "}",
                             "skip", BCON_INT64((int64_t) (q->page - 1)
                                                * q->limit),
                             "limit", BCON_INT64(q->limit))), out);
    }

    json_decref(rooms);

    return rc;
}


static json_t *
read_part(const json_t *row)
{
    return store_doc_string(mg_text(row, "text"));
}


store_rc_t
store_mongo_session_part(store_t *base, const char *session,
    const char *run, int64_t part, json_t **out)
{
    char            key[PART_KEY_MAX];
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    snprintf(key, sizeof(key), "%s/%s/%lld", session, run, (long long) part);

    return mg_read(st, st->parts, key, read_part, out);
}


static json_t *
read_consult(const json_t *row)
{
    store_consult_row_t  c;

    memset(&c, 0, sizeof(c));
    c.id = mg_text(row, "_id");
    c.conversation = mg_text(row, "conversationId");
    c.status = mg_text(row, "status");
    c.from_seq = mg_int(row, "fromSeq");
    c.context = json_incref(json_object_get(row, "context"));
    c.created_at = mg_time(row, "createdAt");
    c.updated_at = mg_time(row, "updatedAt");

    return store_doc_consult(&c);
}


store_rc_t
store_mongo_consult(store_t *base, const char *id, json_t **out)
{
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    return mg_read(st, st->consultations, id, read_consult, out);
}


store_rc_t
mg_spans(store_mongo_t *st, const char *conversation, store_docs_t *out)
{
    size_t       i;
    json_t      *rows, *row;
    const char  *id;

    rows = mg_find(st, st->consultations,
                   BCON_NEW("conversationId", BCON_UTF8(conversation)),
                   BCON_NEW("sort", "{", "fromSeq", BCON_INT32(-1), "}",
                            "limit", BCON_INT64(WRT_CONSULTS_MAX),
                            "projection", "{", "fromSeq", BCON_INT32(1),
                            "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    out->nspans = json_array_size(rows);
    out->spans = store_alloc(&st->base.arena,
                             (out->nspans + 1) * sizeof(store_span_t));

    json_array_foreach(rows, i, row) {
        id = mg_text(row, "_id");
        out->spans[i].id = store_strndup(&st->base.arena, id, strlen(id));
        out->spans[i].from = mg_int(row, "fromSeq");
    }

    json_decref(rows);

    return STORE_OK;
}
