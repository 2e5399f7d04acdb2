/*
 * store_mongo_apply.c: a batch of events into MongoDB.
 *
 * Without transactions.  The order of the writes makes up for them:
 *
 *   1. conversations' metadata and members' cursors are read
 *   2. messages are inserted; which ones are stored is known then
 *   3. changes of messages, cursor moves, participants, users, files and
 *      sessions: each write may be repeated, and one that comes too late
 *      changes nothing (by changeSeq, memberSeq, readSeq, rev)
 *   4. conversations: the whole metadata
 *   5. what no number counts: devices, holds and acts, what has had its time,
 *      who is erased; all of it may be done twice
 *
 * Step 4 is what makes a batch count.  A crash before it leaves the number as
 * it was: the batch comes again, finds its messages, and counts them then.
 * Readers do not show messages above the conversation's number; a change above
 * it they show, as it can not be taken back, but do not count as one
 * (store_mongo_change.c).
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"

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

    if (conv && bson_iter_init_find(&it, doc, "createdAt")
        && BSON_ITER_HOLDS_DATE_TIME(&it))
    {
        conv->stored_at = bson_iter_date_time(&it);
    }

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
        opts = BCON_NEW("projection", "{", "metadata", BCON_INT32(1),
                        "createdAt", BCON_INT32(1), "}",
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
    BSON_APPEND_NULL(&set, "blockedBy");
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


/* permissions stay as they were given. */
static void
block(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    char     key[MG_KEY_MAX];
    bson_t  *update, set;

    member_key(key, op->conv->id, op->user);

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
    mg_append_text(&set, "blockedBy", op->by);
    BSON_APPEND_INT64(&set, "memberSeq", op->seq);
    bson_append_document_end(update, &set);

    mg_bulk_update(bulk,
                   BCON_NEW("_id", BCON_UTF8(key), "memberSeq",
                            "{", "$lt", BCON_INT64(op->seq), "}"),
                   update, false);
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

        } else if (op->kind == STORE_OP_BLOCK) {
            block(bulk, op);
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


/* {"$cond": [{managed, and this one is not}, as it is, value]} */
static void
append_unmanaged(bson_t *b, const char *key, const char *path,
    const char *value)
{
    bson_t  cond, list, literal;

    BSON_APPEND_DOCUMENT_BEGIN(b, key, &cond);
    BSON_APPEND_ARRAY_BEGIN(&cond, "$cond", &list);
    BSON_APPEND_UTF8(&list, "0", "$managed");
    BSON_APPEND_UTF8(&list, "1", path);
    BSON_APPEND_DOCUMENT_BEGIN(&list, "2", &literal);
    mg_append_text(&literal, "$literal", value);
    bson_append_document_end(&list, &literal);
    bson_append_array_end(&cond, &list);
    bson_append_document_end(b, &cond);
}


/* What a service has set stays when a token says something else. */
static void
set_user(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    bson_t  *update, stage, set;

    update = bson_new();

    if (op->on) {
        BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
        BSON_APPEND_UTF8(&set, "name", op->name);
        mg_append_text(&set, "avatar", op->avatar);
        BSON_APPEND_UTF8(&set, "role", op->role);
        BSON_APPEND_BOOL(&set, "managed", true);
        bson_append_document_end(update, &set);

    } else {
        BSON_APPEND_DOCUMENT_BEGIN(update, "0", &stage);
        BSON_APPEND_DOCUMENT_BEGIN(&stage, "$set", &set);
        append_unmanaged(&set, "name", "$name", op->name);
        append_unmanaged(&set, "avatar", "$avatar", op->avatar);
        append_unmanaged(&set, "role", "$role", op->role);
        bson_append_document_end(&stage, &set);
        bson_append_document_end(update, &stage);
    }

    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->user)), update, true);
}


static store_rc_t
write_users(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t                    i;
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

        set_user(bulk, op);
    }

    if (bulk == NULL) {
        return STORE_OK;
    }

    rc = mg_bulk_run(st, bulk, "write users", &res, NULL);
    *again = *again || res.repeats;

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

    if (rc == STORE_OK) {
        store_plan_sum(&plan);
        rc = mg_write_changes(st, &plan, bad);
    }

    o->refused = (rc == STORE_REJECTED);

    if (rc == STORE_OK) {
        rc = write_moves(st, &plan);
    }

    if (rc == STORE_OK) {
        rc = write_members(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = write_users(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = mg_write_files(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = mg_write_sessions(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = mg_write_convs(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = mg_write_devices(st, &plan, &o->again);
    }

    if (rc == STORE_OK && !o->again) {
        rc = mg_write_life(st, &plan, &o->again);
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
