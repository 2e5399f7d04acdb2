/*
 * store_mongo_apply.c: a batch of events into MongoDB.
 *
 * Without transactions.  The order of the writes makes up for them:
 *
 *   1. conversations' metadata and members' cursors are read
 *   2. messages are inserted; which ones are stored is known then
 *   3. cursor moves, participants and users: each write may be repeated, and
 *      one that comes too late changes nothing (memberSeq, readSeq below)
 *   4. conversations: the whole metadata, number first, by $max
 *
 * Step 4 is what makes a batch count.  A crash before it leaves the number as
 * it was: the batch comes again, finds its messages, and counts them then.
 * Readers do not show messages above the conversation's number.
 *
 * $max compares documents field by field, so the number decides: metadata
 * only ever moves to that of a later event.  What it holds follows from the
 * events up to that number alone, so that of two projectors which both
 * believe to own the shard neither can count twice or put back the other's
 * work.  A filter {_id, seq} would say the same, but costs MongoDB three
 * times as much (80 us an update instead of 26): it then plans each update
 * instead of going straight to the document.
 */

#include <string.h>

#include "worker/store_mongo.h"

#define APPLY_TRIES  8      /* others may have been faster so many times */


/* What a try ended with besides its store_rc_t. */
typedef struct {
    int  again;         /* somebody else was faster: read anew */
    int  refused;       /* the server refused a message: what came before it
                           in the batch is not written yet */
} outcome_t;


static size_t
member_key(char *out, const char *conversation, const char *user)
{
    size_t  n, len;

    n = strlen(conversation);
    len = strlen(user);

    memcpy(out, conversation, n);
    out[n] = '/';
    memcpy(out + n + 1, user, len + 1);

    return n + 1 + len;
}


/* Every row of a query, given to fn. */
static store_rc_t
each(store_mongo_t *st, mongoc_collection_t *c, const bson_t *query,
    const bson_t *opts, void (*fn)(store_plan_t *, const bson_t *),
    store_plan_t *p)
{
    store_rc_t        rc;
    bson_error_t      error;
    const bson_t     *doc;
    mongoc_cursor_t  *cursor;

    rc = STORE_OK;
    cursor = mongoc_collection_find_with_opts(c, query, opts, NULL);

    while (mongoc_cursor_next(cursor, &doc)) {
        fn(p, doc);
    }

    if (mongoc_cursor_error(cursor, &error)) {
        rc = mg_down(st, "read before write", &error);
    }

    mongoc_cursor_destroy(cursor);

    return rc;
}


static void
got_conv(store_plan_t *p, const bson_t *doc)
{
    uint32_t        len;
    const char     *id;
    bson_iter_t     it, sub;
    store_conv_t   *conv;
    const uint8_t  *data;

    if (!bson_iter_init_find(&it, doc, "_id") || !BSON_ITER_HOLDS_UTF8(&it)) {
        return;
    }

    id = bson_iter_utf8(&it, &len);
    conv = store_map_get(&p->conv_map, id, len);

    if (conv == NULL || !bson_iter_init_find(&it, doc, "metadata")
        || !BSON_ITER_HOLDS_DOCUMENT(&it))
    {
        return;
    }

    bson_iter_document(&it, &len, &data);
    conv->stored = (uint8_t *) store_strndup(p->arena, (const char *) data,
                                             len);
    conv->stored_len = len;

    if (bson_iter_recurse(&it, &sub) && bson_iter_find(&sub, "seq")) {
        conv->stored_seq = bson_iter_as_int64(&sub);
    }
}


static void
got_cursor(store_plan_t *p, const bson_t *doc)
{
    char             key[MG_KEY_MAX];
    uint32_t         len;
    const char      *id, *slash;
    bson_iter_t      it;
    store_member_t  *m;

    if (!bson_iter_init_find(&it, doc, "_id") || !BSON_ITER_HOLDS_UTF8(&it)) {
        return;
    }

    id = bson_iter_utf8(&it, &len);
    slash = memchr(id, '/', len);

    if (slash == NULL || len >= MG_KEY_MAX) {
        return;
    }

    /* the plan's keys have a NUL between the two ids and one at the end */

    memcpy(key, id, len + 1);
    key[slash - id] = '\0';

    m = store_map_get(&p->member_map, key, len + 1);
    if (m == NULL) {
        return;
    }

    m->exists = 1;

    if (bson_iter_init_find(&it, doc, "readSeq")) {
        m->read_seq = bson_iter_as_int64(&it);
    }

    if (bson_iter_init_find(&it, doc, "deliveredSeq")) {
        m->delivered_seq = bson_iter_as_int64(&it);
    }
}


/* {"_id": {"$in": [...]}} of n keys made by fn. */
static void
in_keys(bson_t *query, store_plan_t *p, size_t n,
    const char *(*fn)(store_plan_t *, size_t, char *))
{
    char         buf[16], key[MG_KEY_MAX];
    size_t       i;
    bson_t       sub, list;
    const char  *index;

    bson_init(query);
    BSON_APPEND_DOCUMENT_BEGIN(query, "_id", &sub);
    BSON_APPEND_ARRAY_BEGIN(&sub, "$in", &list);

    for (i = 0; i < n; i++) {
        bson_uint32_to_string((uint32_t) i, &index, buf, sizeof(buf));
        BSON_APPEND_UTF8(&list, index, fn(p, i, key));
    }

    bson_append_array_end(&sub, &list);
    bson_append_document_end(query, &sub);
}


static const char *
conv_id(store_plan_t *p, size_t i, char *buf)
{
    (void) buf;

    return p->convs[i]->id;
}


static const char *
cursor_id(store_plan_t *p, size_t i, char *buf)
{
    member_key(buf, p->members[i]->conv->id, p->members[i]->user);

    return buf;
}


static store_rc_t
load(store_mongo_t *st, store_plan_t *p)
{
    bson_t       query, *opts;
    store_rc_t   rc;

    rc = STORE_OK;

    if (p->nconvs) {
        in_keys(&query, p, p->nconvs, conv_id);
        opts = BCON_NEW("projection", "{", "metadata", BCON_INT32(1), "}",
                        "batchSize", BCON_INT64((int64_t) p->nconvs + 1));
        rc = each(st, st->conversations, &query, opts, got_conv, p);
        bson_destroy(opts);
        bson_destroy(&query);
    }

    if (rc == STORE_OK && p->nmembers) {
        in_keys(&query, p, p->nmembers, cursor_id);
        opts = BCON_NEW("projection", "{", "readSeq", BCON_INT32(1),
                        "deliveredSeq", BCON_INT32(1), "}",
                        "batchSize", BCON_INT64((int64_t) p->nmembers + 1));
        rc = each(st, st->participants, &query, opts, got_cursor, p);
        bson_destroy(opts);
        bson_destroy(&query);
    }

    return rc;
}


static store_rc_t
write_moves(store_mongo_t *st, store_plan_t *p)
{
    char                      key[MG_KEY_MAX];
    size_t                    i, len;
    bson_t                    doc;
    mg_result_t               res;
    const store_op_t         *op;
    mongoc_bulk_operation_t  *bulk;

    bulk = NULL;

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];

        if (op->kind != STORE_OP_MOVE) {
            continue;
        }

        if (bulk == NULL) {
            bulk = mg_bulk(st->cursors, false);
        }

        len = member_key(key, op->conv->id, op->user);
        snprintf(key + len, sizeof(key) - len, MG_MOVE_FORMAT, op->cursor,
                 (unsigned long long) op->seq);

        bson_init(&doc);
        BSON_APPEND_UTF8(&doc, "_id", key);
        BSON_APPEND_UTF8(&doc, "conversationId", op->conv->id);
        BSON_APPEND_INT64(&doc, "seq", op->seq);
        BSON_APPEND_DATE_TIME(&doc, "at", op->at);
        mg_bulk_insert(bulk, &doc);
        bson_destroy(&doc);
    }

    /* one that is there was the first to get so far: it stays */

    return bulk ? mg_bulk_run(st, bulk, "insert cursor moves", &res, NULL)
                : STORE_OK;
}


/* A participant's document as it is inserted: all but key and conversation,
 * which the filter has. */
static bson_t *
new_member(const char *user, const char *role, unsigned permissions,
    int64_t position, int64_t at, int64_t seq)
{
    bson_t  *update, set;

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$setOnInsert", &set);
    BSON_APPEND_UTF8(&set, "userId", user);
    BSON_APPEND_UTF8(&set, "role", role);
    mg_append_permissions(&set, "permissions", permissions);
    BSON_APPEND_INT64(&set, "position", position);
    BSON_APPEND_DATE_TIME(&set, "joinedAt", at);
    BSON_APPEND_NULL(&set, "leftAt");
    BSON_APPEND_INT64(&set, "joinSeq", seq);
    BSON_APPEND_INT64(&set, "memberSeq", seq);
    BSON_APPEND_INT64(&set, "readSeq", 0);
    BSON_APPEND_NULL(&set, "readAt");
    BSON_APPEND_INT64(&set, "deliveredSeq", 0);
    BSON_APPEND_NULL(&set, "deliveredAt");
    bson_append_document_end(update, &set);

    return update;
}


static void
add_members(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    int                   i;
    char                  key[MG_KEY_MAX];
    store_participant_t   who;

    for (i = 0; store_plan_participant(op, (size_t) i, &who) == 0; i++) {
        member_key(key, op->conv->id, who.user);
        mg_bulk_update(bulk,
                       BCON_NEW("_id", BCON_UTF8(key), "conversationId",
                                BCON_UTF8(op->conv->id)),
                       new_member(who.user, who.role, who.permissions, i,
                                  who.joined_at, 0),
                       true);
    }
}


/* memberSeq: the number of the participant's last change.  A lower one comes
 * too late and finds nothing to change. */
static void
join(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    char     key[MG_KEY_MAX];
    bson_t  *update, set;

    member_key(key, op->conv->id, op->user);

    mg_bulk_update(bulk,
                   BCON_NEW("_id", BCON_UTF8(key), "conversationId",
                            BCON_UTF8(op->conv->id)),
                   new_member(op->user, op->role, op->permissions,
                              STORE_POSITION_JOINED + op->seq, op->at,
                              op->seq),
                   true);

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
    BSON_APPEND_UTF8(&set, "role", op->role);
    mg_append_permissions(&set, "permissions", op->permissions);
    BSON_APPEND_DATE_TIME(&set, "joinedAt", op->at);
    BSON_APPEND_NULL(&set, "leftAt");
    BSON_APPEND_INT64(&set, "joinSeq", op->seq);
    BSON_APPEND_INT64(&set, "memberSeq", op->seq);
    bson_append_document_end(update, &set);

    mg_bulk_update(bulk,
                   BCON_NEW("_id", BCON_UTF8(key), "memberSeq",
                            "{", "$lt", BCON_INT64(op->seq), "}"),
                   update, false);
}


static void
leave(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    char  key[MG_KEY_MAX];

    member_key(key, op->conv->id, op->user);

    mg_bulk_update(bulk,
                   BCON_NEW("_id", BCON_UTF8(key), "memberSeq",
                            "{", "$lt", BCON_INT64(op->seq), "}",
                            "leftAt", BCON_NULL),
                   BCON_NEW("$set", "{", "leftAt", BCON_DATE_TIME(op->at),
                            "memberSeq", BCON_INT64(op->seq), "}"),
                   false);
}


static void
set_cursor(mongoc_bulk_operation_t *bulk, const store_member_t *m)
{
    char  key[MG_KEY_MAX];

    member_key(key, m->conv->id, m->user);

    if (m->read_moved) {
        mg_bulk_update(bulk,
                       BCON_NEW("_id", BCON_UTF8(key), "readSeq",
                                "{", "$lt", BCON_INT64(m->read_seq), "}"),
                       BCON_NEW("$set", "{",
                                "readSeq", BCON_INT64(m->read_seq),
                                "readAt", BCON_DATE_TIME(m->read_at), "}"),
                       false);
    }

    if (m->delivered_moved) {
        mg_bulk_update(bulk,
                       BCON_NEW("_id", BCON_UTF8(key), "deliveredSeq",
                                "{", "$lt", BCON_INT64(m->delivered_seq),
                                "}"),
                       BCON_NEW("$set", "{",
                                "deliveredSeq", BCON_INT64(m->delivered_seq),
                                "deliveredAt",
                                BCON_DATE_TIME(m->delivered_at), "}"),
                       false);
    }
}


/* Participants in the order of the events, then where cursors stand. */
static store_rc_t
write_members(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t                    i, n;
    store_rc_t                rc;
    mg_result_t               res;
    const store_op_t         *op;
    mongoc_bulk_operation_t  *bulk;

    n = 0;
    bulk = mg_bulk(st->participants, true);

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];

        if (op->kind == STORE_OP_CREATE) {
            add_members(bulk, op);
            n++;

        } else if (op->kind == STORE_OP_MESSAGE && op->member) {
            if (op->member == WRT_EV_JOIN) {
                join(bulk, op);

            } else {
                leave(bulk, op);
            }
            n++;
        }
    }

    for (i = 0; i < p->nmembers; i++) {
        if (p->members[i]->read_moved || p->members[i]->delivered_moved) {
            set_cursor(bulk, p->members[i]);
            n++;
        }
    }

    if (n == 0) {
        mongoc_bulk_operation_destroy(bulk);
        return STORE_OK;
    }

    rc = mg_bulk_run(st, bulk, "write participants", &res, NULL);

    /* two upserts met; an ordered bulk write stopped there */
    *again = *again || res.repeats;

    return rc;
}


static store_rc_t
write_users(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t                    i;
    bson_t                   *update, set;
    store_rc_t                rc;
    mg_result_t               res;
    const store_op_t         *op;
    mongoc_bulk_operation_t  *bulk;

    bulk = NULL;

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];

        if (op->kind != STORE_OP_PROFILE) {
            continue;
        }

        if (bulk == NULL) {
            bulk = mg_bulk(st->users, true);
        }

        update = bson_new();
        BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
        BSON_APPEND_UTF8(&set, "name", op->name);
        mg_append_text(&set, "avatar", op->avatar);
        BSON_APPEND_UTF8(&set, "role", op->role);
        bson_append_document_end(update, &set);

        mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->user)), update,
                       true);
    }

    if (bulk == NULL) {
        return STORE_OK;
    }

    rc = mg_bulk_run(st, bulk, "write users", &res, NULL);
    *again = *again || res.repeats;

    return rc;
}


/* A member of a stored document as it is. */
static void
keep(bson_t *b, const store_conv_t *c, const char *key)
{
    bson_t       stored;
    bson_iter_t  it;

    if (c->stored == NULL
        || !bson_init_static(&stored, c->stored, c->stored_len)
        || !bson_iter_init_find(&it, &stored, key)
        || !bson_append_iter(b, key, -1, &it))
    {
        BSON_APPEND_NULL(b, key);
    }
}


static int64_t
stored_count(const store_conv_t *c)
{
    bson_t       stored;
    bson_iter_t  it;

    if (c->stored && bson_init_static(&stored, c->stored, c->stored_len)
        && bson_iter_init_find(&it, &stored, "messageCount"))
    {
        return bson_iter_as_int64(&it);
    }

    return 0;
}


/* The conversation's state after its event c->seq.  The number has to stand
 * first: it decides which of two states is the later one. */
static void
append_metadata(bson_t *b, const store_conv_t *c)
{
    size_t             n;
    bson_t             meta, last;
    const char        *preview;
    const store_op_t  *op;

    BSON_APPEND_DOCUMENT_BEGIN(b, "metadata", &meta);
    BSON_APPEND_INT64(&meta, "seq", c->seq);
    BSON_APPEND_INT64(&meta, "messageCount", stored_count(c) + c->added);

    if (c->create) {
        BSON_APPEND_BOOL(&meta, "isArchived", false);
        BSON_APPEND_NULL(&meta, "archivedAt");
        mg_append_text(&meta, "createdBy", c->create->user);

    } else {
        keep(&meta, c, "isArchived");
        keep(&meta, c, "archivedAt");
        keep(&meta, c, "createdBy");
    }

    op = c->last;

    if (op) {
        preview = store_plan_preview(op->type, op->content, &n);

        BSON_APPEND_DATE_TIME(&meta, "activityAt", op->at);
        BSON_APPEND_DATE_TIME(&meta, "lastMessageAt", op->at);
        BSON_APPEND_DOCUMENT_BEGIN(&meta, "lastMessage", &last);
        mg_append_slice(&last, "content", preview, n);
        BSON_APPEND_UTF8(&last, "senderId", op->sender);
        BSON_APPEND_DATE_TIME(&last, "sentAt", op->at);
        BSON_APPEND_UTF8(&last, "type", op->type);
        bson_append_document_end(&meta, &last);

    } else if (c->create) {
        BSON_APPEND_DATE_TIME(&meta, "activityAt", c->create->at);
        BSON_APPEND_NULL(&meta, "lastMessageAt");
        BSON_APPEND_NULL(&meta, "lastMessage");

    } else {
        keep(&meta, c, "activityAt");
        keep(&meta, c, "lastMessageAt");
        keep(&meta, c, "lastMessage");
    }

    bson_append_document_end(b, &meta);
}


/* What never changes by a message. */
static void
append_creation(bson_t *update, const store_op_t *op)
{
    bson_t   set, empty;
    json_t  *settings;

    settings = json_object_get(op->body, "settings");

    BSON_APPEND_DOCUMENT_BEGIN(update, "$setOnInsert", &set);
    BSON_APPEND_UTF8(&set, "type", op->type);
    mg_append_json(&set, "consultationId",
                   json_object_get(op->body, "consultationId"));
    mg_append_json(&set, "title", json_object_get(op->body, "title"));

    if (json_is_object(settings)) {
        mg_append_json(&set, "settings", settings);

    } else {
        BSON_APPEND_DOCUMENT_BEGIN(&set, "settings", &empty);
        bson_append_document_end(&set, &empty);
    }

    mg_append_json(&set, "context", json_object_get(op->body, "context"));
    BSON_APPEND_DATE_TIME(&set, "createdAt", op->at);
    bson_append_document_end(update, &set);
}


static void
set_conv(mongoc_bulk_operation_t *bulk, const store_conv_t *c)
{
    bson_t   *update, max;
    int64_t   at;

    update = bson_new();
    at = STORE_NO_TIME;

    if (c->create) {
        append_creation(update, c->create);
        at = c->create->at;
    }

    if (c->last && c->last->at > at) {
        at = c->last->at;
    }

    BSON_APPEND_DOCUMENT_BEGIN(update, "$max", &max);
    append_metadata(&max, c);

    if (at != STORE_NO_TIME) {
        BSON_APPEND_DATE_TIME(&max, "updatedAt", at);
    }

    bson_append_document_end(update, &max);

    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(c->id)), update,
                   c->create != NULL);
}


/* Step 4. */
static store_rc_t
write_convs(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t                    i;
    int64_t                   n;
    store_rc_t                rc;
    mg_result_t               res;
    store_conv_t             *c;
    mongoc_bulk_operation_t  *bulk;

    n = 0;
    bulk = mg_bulk(st->conversations, false);

    for (i = 0; i < p->nconvs; i++) {
        c = p->convs[i];

        if (c->seq != c->stored_seq) {
            set_conv(bulk, c);
            n++;
        }
    }

    if (n == 0) {
        mongoc_bulk_operation_destroy(bulk);
        return STORE_OK;
    }

    rc = mg_bulk_run(st, bulk, "write conversations", &res, NULL);

    /* two creations met */
    *again = *again || res.matched + res.upserted != n;

    return rc;
}


static store_rc_t
apply_once(store_mongo_t *st, const event_t *ev, size_t n, size_t *bad,
    outcome_t *o)
{
    store_rc_t    rc, verdict;
    store_plan_t  plan;

    store_plan_collect(&plan, &st->base.arena, ev, n);

    rc = load(st, &plan);
    if (rc != STORE_OK) {
        return rc;
    }

    verdict = store_plan_build(&plan, &st->base, bad);
    rc = mg_write_messages(st, &plan, bad);
    o->refused = (rc == STORE_REJECTED);

    if (rc == STORE_OK) {
        store_plan_sum(&plan);
        rc = write_moves(st, &plan);
    }

    if (rc == STORE_OK) {
        rc = write_members(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = write_users(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = write_convs(st, &plan, &o->again);
    }

    return rc == STORE_OK ? verdict : rc;
}


static store_rc_t
apply(store_mongo_t *st, const event_t *ev, size_t n, size_t *bad,
    outcome_t *o)
{
    int         i;
    store_rc_t  rc;

    for (i = 0; i < APPLY_TRIES; i++) {
        memset(o, 0, sizeof(outcome_t));
        rc = apply_once(st, ev, n, bad, o);

        if (rc == STORE_DOWN || !o->again) {
            return rc;
        }
    }

    return store_fail(&st->base, STORE_DOWN, "MongoDB: another process"
                      " changes the same conversations; is there a second"
                      " projector?");
}


store_rc_t
store_mongo_apply(store_t *base, const event_t *ev, size_t n, size_t *bad)
{
    char            why[STORE_ERR_MAX];
    size_t          first;
    outcome_t       o;
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    rc = apply(st, ev, n, bad, &o);

    /* write what comes before the refused one; that may hold another one */

    while (rc == STORE_REJECTED && o.refused) {
        memcpy(why, base->err, sizeof(why));
        first = *bad;

        if (first == 0) {
            return rc;
        }

        rc = apply(st, ev, first, bad, &o);

        if (rc == STORE_OK) {
            memcpy(base->err, why, sizeof(why));
            *bad = first;
            return STORE_REJECTED;
        }
    }

    if (rc == STORE_DOWN) {
        *bad = n;
    }

    return rc;
}
