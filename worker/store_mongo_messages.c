/*
 * store_mongo_messages.c: messages out of MongoDB: pages, one message, what
 * changed since.  No message above the conversation's number is shown: it may
 * belong to a batch under way.  A change of an older one may be seen (see
 * store_mongo_change.c).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store_mongo.h"


/* The message that another one replies to, if it is there. */
static void
read_parent(const json_t *row, const json_t *users, store_parent_row_t *p)
{
    const json_t  *user;

    if (row == NULL) {
        return;
    }

    p->id = mg_text(row, "_id");
    p->sender = mg_text(row, "senderId");
    p->type = mg_text(row, "type");
    p->content = json_incref(json_object_get(row, "content"));
    p->deleted_at = mg_time(row, "deletedAt");

    user = json_object_get(users, p->sender);
    p->name = mg_text(user, "name");
    p->avatar = mg_text(user, "avatar");
}


static void
read_message(json_t *row, const json_t *parents, const json_t *users,
    store_msg_row_t *m)
{
    const json_t  *user;

    memset(m, 0, sizeof(store_msg_row_t));

    m->id = mg_text(row, "_id");
    m->conversation = mg_text(row, "conversationId");
    m->sender = mg_text(row, "senderId");
    m->type = mg_text(row, "type");
    m->client_id = mg_text(json_object_get(row, "metadata"),
                           "clientMessageId");
    m->reply_to = mg_text(row, "replyTo");
    m->content = json_incref(json_object_get(row, "content"));
    m->reactions = json_incref(json_object_get(row, "reactions"));
    m->history = json_incref(json_object_get(row, "editHistory"));
    m->deleted_by = mg_text(row, "deletedBy");
    m->seq = mg_int(row, "seq");
    m->change_seq = mg_int(row, "changeSeq");
    m->created_at = mg_time(row, "createdAt");
    m->updated_at = mg_time(row, "updatedAt");
    m->edited_at = mg_time(row, "editedAt");
    m->deleted_at = mg_time(row, "deletedAt");

    user = json_object_get(users, m->sender);
    m->name = mg_text(user, "name");
    m->avatar = mg_text(user, "avatar");

    if (m->reply_to) {
        read_parent(json_object_get(parents, m->reply_to), users,
                    &m->parent);
    }
}


/*
 * Participants who have something of lo.. and their read moves: from the
 * first that reaches lo to the first that reaches hi.  Their numbers differ,
 * so that hi - lo + 1 of them are enough.
 */
static json_t *
reader_rows(store_mongo_t *st, const char *conversation, int64_t lo,
    int64_t hi)
{
    char     first[32];
    bson_t  *pipeline;

    snprintf(first, sizeof(first), MG_MOVE_FORMAT, 'r',
             (unsigned long long) lo);

    pipeline = BCON_NEW("pipeline", "[",
        "{", "$match", "{",
            "conversationId", BCON_UTF8(conversation),
            "deliveredSeq", "{", "$gte", BCON_INT64(lo), "}",
        "}", "}",
        "{", "$lookup", "{",
            "from", BCON_UTF8("cursors"),
            "as", BCON_UTF8("moves"),
            "let", "{",
                "first", "{", "$concat", "[", BCON_UTF8("$_id"),
                    BCON_UTF8(first), "]", "}",
                "end", "{", "$concat", "[", BCON_UTF8("$_id"),
                    BCON_UTF8("/s"), "]", "}",
            "}",
            "pipeline", "[",
                "{", "$match", "{", "$expr", "{", "$and", "[",
                    "{", "$gte", "[", BCON_UTF8("$_id"),
                        BCON_UTF8("$$first"), "]", "}",
                    "{", "$lt", "[", BCON_UTF8("$_id"),
                        BCON_UTF8("$$end"), "]", "}",
                "]", "}", "}", "}",
                "{", "$sort", "{", "_id", BCON_INT32(1), "}", "}",
                "{", "$limit", BCON_INT64(hi - lo + 1), "}",
                "{", "$project", "{", "_id", BCON_INT32(0),
                    "seq", BCON_INT32(1), "at", BCON_INT32(1), "}", "}",
            "]",
        "}", "}",
        "{", "$project", "{", "userId", BCON_INT32(1),
            "deliveredSeq", BCON_INT32(1), "moves", BCON_INT32(1), "}", "}",
    "]");

    return mg_aggregate(st, st->participants, pipeline, NULL);
}


/* Strings of the result live as long as the rows. */
static store_reader_t *
read_readers(store_mongo_t *st, const json_t *rows)
{
    size_t           i, k;
    json_t          *row, *moves, *move;
    store_reader_t  *list, *r;

    list = store_alloc(&st->base.arena,
                       (json_array_size(rows) + 1) * sizeof(store_reader_t));

    json_array_foreach(rows, i, row) {
        moves = json_object_get(row, "moves");

        r = &list[i];
        r->user = mg_text(row, "userId");
        r->delivered_seq = mg_int(row, "deliveredSeq");
        r->nmoves = json_array_size(moves);
        r->moves = store_alloc(&st->base.arena,
                               (r->nmoves + 1) * sizeof(store_move_t));

        json_array_foreach(moves, k, move) {
            r->moves[k].seq = mg_int(move, "seq");
            r->moves[k].at = mg_time(move, "at");
        }
    }

    return list;
}


/* What may be far longer than the message itself. */
bson_t *
mg_message_opts(void)
{
    return BCON_NEW("projection", "{", "editHistory", BCON_INT32(0),
                    "words", BCON_INT32(0), "}");
}


/* The messages that the rows reply to, as {id: row}; NULL on error. */
static json_t *
parent_rows(store_mongo_t *st, const char *conversation, const json_t *rows)
{
    size_t       i;
    bson_t       query;
    json_t      *row, *ids, *list, *parents;
    const char  *id;

    ids = json_object();

    json_array_foreach(rows, i, row) {
        id = mg_text(row, "replyTo");

        if (id) {
            store_doc_set(ids, id, json_null());
        }
    }

    if (json_object_size(ids) == 0) {
        return ids;
    }

    bson_init(&query);
    mg_append_in(&query, "_id", ids);
    BSON_APPEND_UTF8(&query, "conversationId", conversation);
    json_decref(ids);

    list = mg_find(st, st->messages, &query,
                   BCON_NEW("projection", "{", "senderId", BCON_INT32(1),
                            "type", BCON_INT32(1), "content", BCON_INT32(1),
                            "deletedAt", BCON_INT32(1), "}"));
    if (list == NULL) {
        return NULL;
    }

    parents = json_object();

    json_array_foreach(list, i, row) {
        store_doc_set(parents, mg_text(row, "_id"), json_incref(row));
    }

    json_decref(list);

    return parents;
}


/* Rows -> documents. */
static store_rc_t
msg_docs(store_mongo_t *st, const char *conversation, const json_t *rows,
    int consults, unsigned with, json_t **out)
{
    size_t            i, n;
    json_t           *row, *ids, *users, *readers, *parents;
    int64_t           seq, lo, hi;
    const char       *id;
    store_docs_t      d;
    store_msg_row_t  *list;

    memset(&d, 0, sizeof(d));

    if (consults && mg_spans(st, conversation, &d) != STORE_OK) {
        return STORE_DOWN;
    }

    n = json_array_size(rows);

    if (n == 0) {
        *out = json_array();
        return STORE_OK;
    }

    parents = parent_rows(st, conversation, rows);
    if (parents == NULL) {
        return STORE_DOWN;
    }

    lo = INT64_MAX;
    hi = 0;
    ids = json_object();

    json_array_foreach(rows, i, row) {
        seq = mg_int(row, "seq");
        lo = seq < lo ? seq : lo;
        hi = seq > hi ? seq : hi;
        store_doc_set(ids, mg_text(row, "senderId"), json_null());
    }

    json_object_foreach(parents, id, row) {
        store_doc_set(ids, mg_text(row, "senderId"), json_null());
    }

    users = mg_users(st, ids);
    json_decref(ids);

    readers = users ? reader_rows(st, conversation, lo, hi) : NULL;

    if (readers) {
        list = store_alloc(&st->base.arena, n * sizeof(store_msg_row_t));

        json_array_foreach(rows, i, row) {
            read_message(row, parents, users, &list[i]);
        }

        d.readers = read_readers(st, readers);
        d.nreaders = json_array_size(readers);
        *out = store_doc_messages(list, n, &d, with);
    }

    json_decref(parents);
    json_decref(readers);
    json_decref(users);

    return readers ? STORE_OK : STORE_DOWN;
}


store_rc_t
mg_message_docs(store_mongo_t *st, const char *conversation,
    const json_t *rows, json_t **out)
{
    int      consults;
    int64_t  seq;

    consults = 0;

    return mg_find_seq(st, conversation, &seq, &consults) == STORE_DOWN
           ? STORE_DOWN : msg_docs(st, conversation, rows, consults, 0, out);
}


static bson_t *
page_query(const store_page_t *q, int64_t upto)
{
    bson_t  *query, cond;

    query = bson_new();
    BSON_APPEND_UTF8(query, "conversationId", q->conversation);

    BSON_APPEND_DOCUMENT_BEGIN(query, "seq", &cond);

    if (q->after_seq >= 0) {
        BSON_APPEND_INT64(&cond, "$gt", q->after_seq);
        BSON_APPEND_INT64(&cond, "$lte", upto);

    } else if (q->before_seq >= 0 && q->before_seq <= upto) {
        BSON_APPEND_INT64(&cond, "$lt", q->before_seq);

    } else {
        BSON_APPEND_INT64(&cond, "$lte", upto);
    }

    bson_append_document_end(query, &cond);

    if (q->before_ms >= 0) {
        BSON_APPEND_DOCUMENT_BEGIN(query, "createdAt", &cond);
        BSON_APPEND_DATE_TIME(&cond, "$lt", q->before_ms);
        bson_append_document_end(query, &cond);
    }

    if (q->thread_of) {
        BSON_APPEND_UTF8(query, "replyTo", q->thread_of);
    }

    return query;
}


static json_t *
page_rows(store_mongo_t *st, const store_page_t *q, int64_t upto)
{
    bson_t  *opts, sort;

    opts = mg_message_opts();
    BSON_APPEND_DOCUMENT_BEGIN(opts, "sort", &sort);

    if (q->before_ms >= 0) {
        BSON_APPEND_INT32(&sort, "createdAt", -1);
    }

    BSON_APPEND_INT32(&sort, "seq", q->after_seq >= 0 ? 1 : -1);
    bson_append_document_end(opts, &sort);

    BSON_APPEND_INT64(opts, "skip", (int64_t) (q->page - 1) * q->limit);
    BSON_APPEND_INT64(opts, "limit", (int64_t) q->limit + 1);

    return mg_find(st, st->messages, page_query(q, upto), opts);
}


static json_t *
reversed(json_t *rows)
{
    size_t   i;
    json_t  *list;

    list = json_array();

    for (i = json_array_size(rows); i > 0; i--) {
        store_doc_append(list, json_incref(json_array_get(rows, i - 1)));
    }

    json_decref(rows);

    return list;
}


store_rc_t
store_mongo_messages(store_t *base, const store_page_t *q, json_t **out,
    int *more)
{
    int             consults;
    json_t         *rows;
    int64_t         upto;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rc = mg_find_seq(st, q->conversation, &upto, &consults);
    if (rc != STORE_OK) {
        return rc;
    }

    rows = page_rows(st, q, upto);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    /* one more than the page tells whether there are more */

    if (json_array_size(rows) > (size_t) q->limit) {
        *more = 1;
        json_array_remove(rows, (size_t) q->limit);
    }

    if (q->after_seq >= 0) {
        rows = reversed(rows);
    }

    rc = msg_docs(st, q->conversation, rows, consults, 0, out);
    json_decref(rows);

    return rc;
}


store_rc_t
store_mongo_message(store_t *base, const char *conversation, const char *id,
    unsigned with, json_t **out)
{
    int             consults;
    json_t         *rows, *list;
    int64_t         upto;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rc = mg_find_seq(st, conversation, &upto, &consults);
    if (rc != STORE_OK) {
        return rc;
    }

    rows = mg_find(st, st->messages,
                   BCON_NEW("_id", BCON_UTF8(id),
                            "conversationId", BCON_UTF8(conversation),
                            "seq", "{", "$lte", BCON_INT64(upto), "}"),
                   with & STORE_WITH_HISTORY ? NULL : mg_message_opts());
    if (rows == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_NOT_FOUND;

    if (json_array_size(rows)) {
        list = NULL;
        rc = msg_docs(st, conversation, rows, consults, with, &list);
        *out = json_incref(json_array_get(list, 0));
        json_decref(list);
    }

    json_decref(rows);

    return rc;
}


static int
cmp_change(const void *a, const void *b)
{
    int64_t         x, y;
    json_t *const  *r = a, *const  *s = b;

    x = mg_int(*r, "changeSeq");
    y = mg_int(*s, "changeSeq");

    return x < y ? -1 : x > y;
}


/* The last change that counts. */
static int64_t
change_seq(const json_t *row, int64_t upto)
{
    int64_t  seq;

    seq = mg_int(row, "changeSeq");

    return seq <= upto ? seq : mg_int(row, "stableSeq");
}


/* Takes over both; in the order of the last change that counts, those that
 * have none above `after` left out. */
static json_t *
merged(store_mongo_t *st, json_t *a, json_t *b, int64_t after, int64_t upto)
{
    size_t    i, n;
    json_t   *row, **list;
    int64_t   seq;

    if (b == NULL || json_array_extend(a, b) != 0) {
        json_decref(a);
        json_decref(b);
        return NULL;
    }

    json_decref(b);

    n = 0;
    list = store_alloc(&st->base.arena,
                       (json_array_size(a) + 1) * sizeof(json_t *));

    json_array_foreach(a, i, row) {
        seq = change_seq(row, upto);

        if (seq > after) {
            store_doc_set(row, "changeSeq", json_integer(seq));
            list[n++] = json_incref(row);
        }
    }

    qsort(list, n, sizeof(json_t *), cmp_change);
    json_array_clear(a);

    for (i = 0; i < n; i++) {
        store_doc_append(a, list[i]);
    }

    return a;
}


/* New ones by their number; older ones changed since by the index "changed",
 * which has no others; a change above the number may hide one that counts.
 * More than the limit of the first are too many already. */
static json_t *
change_rows(store_mongo_t *st, const char *conversation, int64_t after,
    int64_t upto, int64_t limit)
{
    json_t  *fresh;

    fresh = mg_find(st, st->messages,
                    BCON_NEW("conversationId", BCON_UTF8(conversation),
                             "seq", "{", "$gt", BCON_INT64(after),
                             "$lte", BCON_INT64(upto), "}"),
                    BCON_NEW("sort", "{", "seq", BCON_INT32(1), "}",
                             "limit", BCON_INT64(limit),
                             "projection", "{", "editHistory",
                             BCON_INT32(0), "}"));

    if (fresh == NULL || json_array_size(fresh) == (size_t) limit) {
        return fresh;
    }

    return merged(st, fresh,
                  mg_find(st, st->messages,
                          BCON_NEW("conversationId", BCON_UTF8(conversation),
                                   "changed", BCON_BOOL(true),
                                   "changeSeq", "{",
                                   "$gt", BCON_INT64(after), "}",
                                   "seq", "{", "$lte", BCON_INT64(after),
                                   "}"),
                          BCON_NEW("limit", BCON_INT64(limit),
                                   "hint", BCON_UTF8("changed"),
                                   "projection", "{", "editHistory",
                                   BCON_INT32(0), "}")),
                  after, upto);
}


store_rc_t
store_mongo_changes(store_t *base, const char *conversation, int64_t after,
    int max, json_t **out, int64_t *upto)
{
    int             consults;
    json_t         *rows;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rc = mg_find_seq(st, conversation, upto, &consults);
    if (rc != STORE_OK) {
        return rc;
    }

    rows = change_rows(st, conversation, after, *upto, (int64_t) max + 1);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    rc = json_array_size(rows) > (size_t) max
         ? STORE_TOO_MANY
         : msg_docs(st, conversation, rows, consults, STORE_WITH_CHANGE,
                    out);

    json_decref(rows);

    return rc;
}
