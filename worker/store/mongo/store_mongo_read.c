/*
 * store_mongo_read.c: conversations, participants and users out of MongoDB.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/mongo/store_mongo.h"

#define UNREAD_ROOMS  200       /* counted in one query */


/* A set of strings as the keys of an object. */
static void
set_add(json_t *set, const char *s)
{
    if (s) {
        store_doc_set(set, s, json_null());
    }
}


json_t *
mg_users(store_mongo_t *st, const json_t *ids)
{
    size_t   i;
    bson_t   query;
    json_t  *rows, *row, *users;

    if (json_object_size(ids) == 0) {
        return json_object();
    }

    bson_init(&query);
    mg_append_in(&query, "_id", ids);

    rows = mg_find(st, st->users, &query, NULL);
    if (rows == NULL) {
        return NULL;
    }

    users = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(users, mg_text(row, "_id"), json_incref(row));
    }

    json_decref(rows);

    return users;
}


store_rc_t
store_mongo_user(store_t *base, const char *id, json_t **out, int *managed)
{
    json_t         *rows, *row;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->users, BCON_NEW("_id", BCON_UTF8(id)), NULL);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    row = json_array_get(rows, 0);

    if (row) {
        *out = store_doc_user(mg_text(row, "_id"), mg_text(row, "name"),
                              mg_text(row, "avatar"), mg_text(row, "role"));
        *managed = json_is_true(json_object_get(row, "managed"));
    }

    json_decref(rows);

    return *out ? STORE_OK : STORE_NOT_FOUND;
}


static int64_t
conv_seq(const json_t *row)
{
    return mg_int(json_object_get(row, "metadata"), "seq");
}


store_rc_t
mg_find_seq(store_mongo_t *st, const char *id, int64_t *seq, int *consults)
{
    json_t      *rows;
    store_rc_t   rc;

    rows = mg_find(st, st->conversations, BCON_NEW("_id", BCON_UTF8(id)),
                   BCON_NEW("projection", "{", "metadata.seq",
                            BCON_INT32(1), "consultationId",
                            BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_NOT_FOUND;

    if (json_array_size(rows)) {
        *seq = conv_seq(json_array_get(rows, 0));

        if (consults) {
            *consults = mg_text(json_array_get(rows, 0), "consultationId")
                        != NULL;
        }

        rc = STORE_OK;
    }

    json_decref(rows);

    return rc;
}


/* Strings of the result live as long as the rows. */
static void
read_member(const json_t *row, const json_t *user, store_member_row_t *m)
{
    m->user = mg_text(row, "userId");
    m->role = mg_text(row, "role");
    m->permissions = store_permissions_parse(json_object_get(row,
                                                             "permissions"));
    m->joined_at = mg_time(row, "joinedAt");
    m->left_at = mg_time(row, "leftAt");
    m->join_seq = mg_int(row, "joinSeq");
    m->read_seq = mg_int(row, "readSeq");
    m->read_at = mg_time(row, "readAt");
    m->delivered_seq = mg_int(row, "deliveredSeq");
    m->delivered_at = mg_time(row, "deliveredAt");
    m->name = mg_text(user, "name");
    m->avatar = mg_text(user, "avatar");
    m->user_role = mg_text(user, "role");
    m->blocked_by = mg_text(row, "blockedBy");
}


static void
read_conv(json_t *row, store_conv_row_t *c)
{
    const json_t  *meta, *last;

    meta = json_object_get(row, "metadata");
    last = json_object_get(meta, "lastMessage");

    memset(c, 0, sizeof(store_conv_row_t));

    c->id = mg_text(row, "_id");
    c->type = mg_text(row, "type");
    c->title = mg_text(row, "title");
    c->consultation = mg_text(row, "consultationId");
    c->consult_status = mg_text(json_object_get(row, "consultation"),
                                "status");
    c->session = mg_text(row, "session");
    c->created_by = mg_text(meta, "createdBy");
    c->settings = json_incref(json_object_get(row, "settings"));
    c->context = json_incref(json_object_get(row, "context"));
    c->created_at = mg_time(row, "createdAt");
    c->updated_at = mg_time(row, "updatedAt");
    c->archived_at = mg_time(meta, "archivedAt");
    c->seq = mg_int(meta, "seq");
    c->message_count = mg_int(meta, "messageCount");
    c->last_at = mg_time(last, "sentAt");
    c->last_content = mg_text(last, "content");
    c->last_sender = mg_text(last, "senderId");
    c->last_type = mg_text(last, "type");
    c->unread = -1;
}


/* The participants of some conversations: {id: [document...]}. */
static json_t *
participants(store_mongo_t *st, const json_t *conversations)
{
    size_t               i;
    bson_t               query;
    json_t              *ids, *rows, *row, *users, *all, *list;
    const char          *id;
    store_member_row_t   m;

    ids = json_object();

    json_array_foreach(conversations, i, row) {
        set_add(ids, mg_text(row, "_id"));
    }

    bson_init(&query);
    mg_append_in(&query, "conversationId", ids);
    json_decref(ids);

    rows = mg_find(st, st->participants, &query,
                   BCON_NEW("sort", "{", "conversationId", BCON_INT32(1),
                            "position", BCON_INT32(1),
                            "userId", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return NULL;
    }

    ids = json_object();

    json_array_foreach(rows, i, row) {
        set_add(ids, mg_text(row, "userId"));
    }

    users = mg_users(st, ids);
    json_decref(ids);
    all = users ? json_object() : NULL;

    for (i = 0; users && i < json_array_size(rows); i++) {
        row = json_array_get(rows, i);
        id = mg_text(row, "conversationId");
        list = json_object_get(all, id);

        if (list == NULL) {
            list = json_array();
            store_doc_set(all, id, list);
        }

        read_member(row, json_object_get(users, mg_text(row, "userId")), &m);
        store_doc_append(list, store_doc_participant(&m));
    }

    json_decref(users);
    json_decref(rows);

    return all;
}


static json_t *
conv_doc(json_t *row, json_t *members, int64_t unread)
{
    json_t            *list;
    store_conv_row_t   c;

    read_conv(row, &c);
    c.unread = unread;

    list = json_object_get(members, c.id);

    return store_doc_conversation(&c, list ? json_incref(list)
                                           : json_array());
}


store_rc_t
store_mongo_state(store_t *base, const char *id, json_t **out)
{
    size_t               i;
    json_t              *convs, *rows, *row, *members;
    store_mongo_t       *st;
    store_conv_row_t     c;
    store_member_row_t   m;

    st = (store_mongo_t *) base;

    convs = mg_find(st, st->conversations, BCON_NEW("_id", BCON_UTF8(id)),
                    NULL);
    if (convs == NULL) {
        return STORE_DOWN;
    }

    if (json_array_size(convs) == 0) {
        json_decref(convs);
        return STORE_NOT_FOUND;
    }

    rows = mg_find(st, st->participants,
                   BCON_NEW("conversationId", BCON_UTF8(id),
                            "leftAt", BCON_NULL),
                   BCON_NEW("sort", "{", "position", BCON_INT32(1),
                            "userId", BCON_INT32(1), "}"));
    if (rows == NULL) {
        json_decref(convs);
        return STORE_DOWN;
    }

    members = json_array();

    json_array_foreach(rows, i, row) {
        read_member(row, NULL, &m);
        store_doc_append(members, store_doc_state_member(&m));
    }

    read_conv(json_array_get(convs, 0), &c);
    *out = store_doc_state(&c, members);

    json_decref(c.settings);
    json_decref(c.context);
    json_decref(rows);
    json_decref(convs);

    return STORE_OK;
}


/* Where a user is now: rows of conversationId, joinSeq, readSeq. */
static json_t *
memberships(store_mongo_t *st, const char *user)
{
    return mg_find(st, st->participants,
                   BCON_NEW("userId", BCON_UTF8(user), "leftAt", BCON_NULL),
                   BCON_NEW("projection", "{",
                            "conversationId", BCON_INT32(1),
                            "joinSeq", BCON_INT32(1),
                            "readSeq", BCON_INT32(1), "}"));
}


/* The numbers above which messages count as unread: {conversation: number} of
 * memberships. */
static json_t *
read_to(const json_t *rooms)
{
    size_t    i;
    json_t   *row, *after;
    int64_t   join_seq, read_seq;

    after = json_object();

    json_array_foreach(rooms, i, row) {
        join_seq = mg_int(row, "joinSeq");
        read_seq = mg_int(row, "readSeq");
        store_doc_set(after, mg_text(row, "conversationId"),
                      json_integer(join_seq > read_seq ? join_seq
                                                       : read_seq));
    }

    return after;
}


/* A room whose creation is under way may be among them already. */
store_rc_t
store_mongo_user_rooms(store_t *base, const char *user, json_t **out)
{
    size_t   i;
    json_t  *rows, *row;

    rows = memberships((store_mongo_t *) base, user);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(*out, mg_text(row, "conversationId"),
                      json_integer(mg_int(row, "joinSeq")));
    }

    json_decref(rows);

    return STORE_OK;
}


/*
 * Unread messages of some conversations: {id: count}; after: {id: number}
 * above which they count.  Answered by the index "unread" alone.
 */
static json_t *
count_unread(store_mongo_t *st, const json_t *conversations,
    const json_t *after, const char *user)
{
    char         buf[16];
    size_t       i;
    bson_t       pipeline, stage, match, either, one, cond;
    json_t      *row, *rows, *counts;
    int64_t      above;
    uint32_t     n;
    const char  *id, *index;

    n = 0;

    bson_init(&pipeline);
    BSON_APPEND_ARRAY_BEGIN(&pipeline, "pipeline", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "0", &one);
    BSON_APPEND_DOCUMENT_BEGIN(&one, "$match", &match);
    BSON_APPEND_ARRAY_BEGIN(&match, "$or", &either);

    json_array_foreach(conversations, i, row) {
        bson_t  branch;

        id = mg_text(row, "_id");
        above = mg_int(after, id);

        if (above >= conv_seq(row)) {
            continue;
        }

        bson_uint32_to_string(n++, &index, buf, sizeof(buf));
        BSON_APPEND_DOCUMENT_BEGIN(&either, index, &branch);
        BSON_APPEND_UTF8(&branch, "conversationId", id);
        BSON_APPEND_DOCUMENT_BEGIN(&branch, "seq", &cond);
        BSON_APPEND_INT64(&cond, "$gt", above);
        BSON_APPEND_INT64(&cond, "$lte", conv_seq(row));
        bson_append_document_end(&branch, &cond);
        BSON_APPEND_DOCUMENT_BEGIN(&branch, "senderId", &cond);
        BSON_APPEND_UTF8(&cond, "$ne", user);
        bson_append_document_end(&branch, &cond);
        BSON_APPEND_BOOL(&branch, "deleted", false);
        bson_append_document_end(&either, &branch);
    }

    bson_append_array_end(&match, &either);
    bson_append_document_end(&one, &match);
    bson_append_document_end(&stage, &one);
    BCON_APPEND(&stage, "1", "{", "$group", "{",
                "_id", BCON_UTF8("$conversationId"),
                "n", "{", "$sum", BCON_INT32(1), "}", "}", "}");
    bson_append_array_end(&pipeline, &stage);

    if (n == 0) {
        bson_destroy(&pipeline);
        return json_object();
    }

    rows = mg_aggregate(st, st->messages, &pipeline,
                        BCON_NEW("hint", BCON_UTF8("unread")));
    if (rows == NULL) {
        return NULL;
    }

    counts = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(counts, mg_text(row, "_id"),
                      json_integer(mg_int(row, "n")));
    }

    json_decref(rows);

    return counts;
}


/* What is unread by a member: -1 of somebody else; -2 on error. */
static int64_t
unread_of(store_mongo_t *st, const json_t *rows, const char *user)
{
    char         key[MG_KEY_MAX];
    json_t      *list, *after, *counts;
    int64_t      n;
    const char  *id;

    id = mg_text(json_array_get(rows, 0), "_id");
    snprintf(key, sizeof(key), "%s/%s", id, user);

    list = mg_find(st, st->participants,
                   BCON_NEW("_id", BCON_UTF8(key), "leftAt", BCON_NULL),
                   NULL);
    if (list == NULL) {
        return -2;
    }

    n = -1;

    if (json_array_size(list)) {
        after = read_to(list);
        counts = count_unread(st, rows, after, user);
        n = counts ? mg_int(counts, id) : -2;
        json_decref(counts);
        json_decref(after);
    }

    json_decref(list);

    return n;
}


store_rc_t
store_mongo_conversation(store_t *base, const char *id, const char *user,
    json_t **out)
{
    json_t         *rows, *members;
    int64_t         unread;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->conversations, BCON_NEW("_id", BCON_UTF8(id)),
                   NULL);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_NOT_FOUND;

    if (json_array_size(rows)) {
        members = participants(st, rows);
        unread = members && user ? unread_of(st, rows, user) : -1;
        rc = STORE_DOWN;

        if (members && unread != -2) {
            *out = conv_doc(json_array_get(rows, 0), members, unread);
            rc = STORE_OK;
        }

        json_decref(members);
    }

    json_decref(rows);

    return rc;
}


/* The rooms in which something is above where the user is, newest activity
 * first. */
static json_t *
rooms_ahead(store_mongo_t *st, const json_t *after)
{
    size_t   i;
    bson_t   query;
    json_t  *rows, *row, *ahead;

    if (json_object_size(after) == 0) {
        return json_array();
    }

    bson_init(&query);
    mg_append_in(&query, "_id", after);

    rows = mg_find(st, st->conversations, &query,
                   BCON_NEW("projection", "{", "metadata.seq",
                            BCON_INT32(1), "}",
                            "sort", "{", "metadata.activityAt",
                            BCON_INT32(-1), "_id", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return NULL;
    }

    ahead = json_array();

    json_array_foreach(rows, i, row) {
        if (conv_seq(row) > mg_int(after, mg_text(row, "_id"))) {
            store_doc_append(ahead, json_incref(row));
        }
    }

    json_decref(rows);

    return ahead;
}


/* In portions: each room is a branch of the query. */
static store_rc_t
unread_docs(store_mongo_t *st, const json_t *rows, const json_t *after,
    const char *user, json_t *out)
{
    size_t       i, from, n;
    json_t      *part, *counts;
    int64_t      unread;
    const char  *id;

    n = json_array_size(rows);

    for (from = 0; from < n; from += UNREAD_ROOMS) {
        part = json_array();

        for (i = from; i < n && i < from + UNREAD_ROOMS; i++) {
            store_doc_append(part, json_incref(json_array_get(rows, i)));
        }

        counts = count_unread(st, part, after, user);

        for (i = 0; counts && i < json_array_size(part); i++) {
            id = mg_text(json_array_get(part, i), "_id");
            unread = mg_int(counts, id);

            if (unread) {
                store_doc_append(out, store_doc_unread(id, unread));
            }
        }

        json_decref(part);

        if (counts == NULL) {
            return STORE_DOWN;
        }

        json_decref(counts);
    }

    return STORE_OK;
}


store_rc_t
store_mongo_unread(store_t *base, const char *user, json_t **out)
{
    json_t         *rooms, *after, *rows;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rooms = memberships(st, user);
    if (rooms == NULL) {
        return STORE_DOWN;
    }

    after = read_to(rooms);
    json_decref(rooms);

    rows = rooms_ahead(st, after);
    rc = STORE_DOWN;

    if (rows) {
        *out = json_array();
        rc = unread_docs(st, rows, after, user, *out);
    }

    json_decref(rows);
    json_decref(after);

    return rc;
}


/* The page's rows, and how many there are on all pages. */
static json_t *
list_rows(store_mongo_t *st, const store_list_t *q, const json_t *ids,
    int64_t *total)
{
    bson_t        query;
    json_t       *rows;
    bson_error_t  error;

    bson_init(&query);
    mg_append_in(&query, "_id", ids);
    BSON_APPEND_BOOL(&query, "metadata.isArchived", q->archived != 0);

    if (q->type) {
        BSON_APPEND_UTF8(&query, "type", q->type);
    }

    *total = mongoc_collection_count_documents(st->conversations, &query,
                                               NULL, NULL, NULL, &error);
    if (*total < 0) {
        *total = 0;
        mg_down(st, "count conversations", &error);
        bson_destroy(&query);
        return NULL;
    }

    rows = mg_find(st, st->conversations, &query,
                   BCON_NEW("sort", "{",
                            "metadata.activityAt", BCON_INT32(-1),
                            "_id", BCON_INT32(1), "}",
                            "skip", BCON_INT64((int64_t) (q->page - 1)
                                               * q->limit),
                            "limit", BCON_INT64(q->limit)));

    return rows;
}


store_rc_t
store_mongo_conversations(store_t *base, const store_list_t *q, json_t **out,
    int64_t *total)
{
    size_t          i;
    json_t         *rooms, *row, *after, *rows, *members, *counts;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rooms = memberships(st, q->user);
    if (rooms == NULL) {
        return STORE_DOWN;
    }

    after = read_to(rooms);
    members = NULL;
    counts = NULL;

    rows = list_rows(st, q, after, total);

    if (rows && json_array_size(rows)) {
        members = participants(st, rows);
        counts = members ? count_unread(st, rows, after, q->user) : NULL;
    }

    if (counts || (rows && json_array_size(rows) == 0)) {
        *out = json_array();

        json_array_foreach(rows, i, row) {
            store_doc_append(*out, conv_doc(row, members,
                                            mg_int(counts,
                                                   mg_text(row, "_id"))));
        }
    }

    json_decref(counts);
    json_decref(members);
    json_decref(rows);
    json_decref(after);
    json_decref(rooms);

    return *out ? STORE_OK : STORE_DOWN;
}


store_rc_t
store_mongo_ends(store_t *base, const char *after, int limit, json_t **out)
{
    size_t          i;
    json_t         *rows, *row;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    rows = mg_find(st, st->conversations,
                   BCON_NEW("_id", "{", "$gt", BCON_UTF8(after), "}"),
                   BCON_NEW("projection", "{", "metadata.seq", BCON_INT32(1),
                            "}", "sort", "{", "_id", BCON_INT32(1), "}",
                            "limit", BCON_INT64(limit)));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(*out,
            store_doc_end(mg_text(row, "_id"),
                          mg_int(json_object_get(row, "metadata"), "seq")));
    }

    json_decref(rows);

    return STORE_OK;
}
