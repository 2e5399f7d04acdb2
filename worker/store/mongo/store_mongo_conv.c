/*
 * store_mongo_conv.c: what a batch leaves in its conversations: step 4 of
 * store_mongo_apply.c.
 *
 * $max compares documents field by field, so the number, which stands first,
 * decides: metadata only ever moves to that of a later event.  What it holds
 * follows from the events up to that number, so that of two projectors which
 * both believe to own the shard neither can count twice or put back the
 * other's work.  A filter {_id, seq} would say the same, but costs MongoDB
 * three times as much (80 us an update instead of 26): it then plans each
 * update instead of going straight to the document.  It is for those updates
 * only that set more than metadata: title, settings, consultation.
 *
 * Which message is the last one follows from the events, too, until that one
 * is deleted: then it is looked up.  That may tell of a deletion above the
 * number already, by another batch that has not come to its step 4; it will,
 * or comes again, and looks, too.
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"


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


void
mg_append_last(bson_t *b, const store_conv_t *c)
{
    mg_append_slice(b, "content", c->last.text, c->last.n);
    BSON_APPEND_UTF8(b, "senderId", c->last.sender);
    BSON_APPEND_DATE_TIME(b, "sentAt", c->last.at);
    BSON_APPEND_UTF8(b, "type", c->last.type);
    mg_append_text(b, "id", c->last.id);
}


/* The conversation's state after its event c->seq.  The number has to stand
 * first: it decides which of two states is the later one. */
static void
append_metadata(bson_t *b, const store_conv_t *c)
{
    bson_t  meta, last;

    BSON_APPEND_DOCUMENT_BEGIN(b, "metadata", &meta);
    BSON_APPEND_INT64(&meta, "seq", c->seq);
    BSON_APPEND_INT64(&meta, "messageCount", stored_count(c) + c->added);

    if (c->archive) {
        BSON_APPEND_BOOL(&meta, "isArchived", c->archived_at >= 0);
        mg_append_time(&meta, "archivedAt", c->archived_at);

    } else if (c->create) {
        BSON_APPEND_BOOL(&meta, "isArchived", false);
        BSON_APPEND_NULL(&meta, "archivedAt");

    } else {
        keep(&meta, c, "isArchived");
        keep(&meta, c, "archivedAt");
    }

    if (c->create) {
        mg_append_text(&meta, "createdBy", c->create->user);

    } else {
        keep(&meta, c, "createdBy");
    }

    if (c->last_moved && c->last.at >= 0) {
        BSON_APPEND_DATE_TIME(&meta, "activityAt", c->last.at);
        BSON_APPEND_DATE_TIME(&meta, "lastMessageAt", c->last.at);
        BSON_APPEND_DOCUMENT_BEGIN(&meta, "lastMessage", &last);
        mg_append_last(&last, c);
        bson_append_document_end(&meta, &last);

    } else if (c->last_moved || c->create) {
        BSON_APPEND_DATE_TIME(&meta, "activityAt",
                              c->create ? c->create->at : c->stored_at);
        BSON_APPEND_NULL(&meta, "lastMessageAt");
        BSON_APPEND_NULL(&meta, "lastMessage");

    } else {
        keep(&meta, c, "activityAt");
        keep(&meta, c, "lastMessageAt");
        keep(&meta, c, "lastMessage");
    }

    bson_append_document_end(b, &meta);
}


/* What never changes by a message; what conversation_updated has set already
 * is not put here, too. */
static void
append_creation(bson_t *update, const store_conv_t *c)
{
    bson_t             set, sub;
    json_t            *settings;
    const store_op_t  *op;

    op = c->create;
    settings = json_object_get(op->body, "settings");

    BSON_APPEND_DOCUMENT_BEGIN(update, "$setOnInsert", &set);
    BSON_APPEND_UTF8(&set, "type", op->type);

    if (c->consultation) {
        BSON_APPEND_UTF8(&set, "consultationId", c->consultation->id);
        BSON_APPEND_DOCUMENT_BEGIN(&set, "consultation", &sub);
        BSON_APPEND_UTF8(&sub, "status", c->consultation->type);
        bson_append_document_end(&set, &sub);

    } else {
        BSON_APPEND_NULL(&set, "consultationId");
    }

    mg_append_text(&set, "session", c->session);

    if (c->title == NULL) {
        mg_append_json(&set, "title", json_object_get(op->body, "title"));
    }

    if (c->settings) {
        /* by conversation_updated */

    } else if (json_is_object(settings)) {
        mg_append_json(&set, "settings", settings);

    } else {
        BSON_APPEND_DOCUMENT_BEGIN(&set, "settings", &sub);
        bson_append_document_end(&set, &sub);
    }

    mg_append_json(&set, "context",
                   c->context ? c->context
                              : json_object_get(op->body, "context"));
    BSON_APPEND_DATE_TIME(&set, "createdAt", op->at);
    bson_append_document_end(update, &set);
}


/* The last change of its own, or message. */
static int64_t
updated_at(const store_conv_t *c)
{
    int64_t  at;

    at = c->changed_at;

    if (c->create && c->create->at > at) {
        at = c->create->at;
    }

    if (c->last_moved && c->last.at > at) {
        at = c->last.at;
    }

    return at;
}


/* Its consultation and session; a new conversation has them from the
 * beginning. */
static void
append_sessions(bson_t *set, const store_conv_t *c)
{
    bson_t  sub;

    if (c->consultation) {
        BSON_APPEND_UTF8(set, "consultationId", c->consultation->id);
        BSON_APPEND_DOCUMENT_BEGIN(set, "consultation", &sub);
        BSON_APPEND_UTF8(&sub, "status", c->consultation->type);
        bson_append_document_end(set, &sub);
    }

    if (c->context) {
        mg_append_json(set, "context", c->context);
    }

    if (c->session_set) {
        mg_append_text(set, "session", c->session);
    }
}


static void
set_conv(mongoc_bulk_operation_t *bulk, const store_conv_t *c)
{
    int       more, sessions;
    bson_t   *update, *query, set, max;
    int64_t   at;

    sessions = c->create == NULL && (c->consultation || c->session_set);
    more = c->title || c->settings || sessions;
    query = BCON_NEW("_id", BCON_UTF8(c->id));
    update = bson_new();

    if (c->create) {
        append_creation(update, c);
    }

    if (more) {
        BCON_APPEND(query, "metadata.seq", "{", "$lt", BCON_INT64(c->seq),
                    "}");

        BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
        append_metadata(&set, c);

        if (c->title) {
            mg_append_json(&set, "title", c->title);
        }

        if (c->settings) {
            mg_append_json(&set, "settings", c->settings);
        }

        if (sessions) {
            append_sessions(&set, c);
        }

        bson_append_document_end(update, &set);
    }

    at = updated_at(c);

    BSON_APPEND_DOCUMENT_BEGIN(update, "$max", &max);

    if (!more) {
        append_metadata(&max, c);
    }

    if (at >= 0) {
        BSON_APPEND_DATE_TIME(&max, "updatedAt", at);
    }

    bson_append_document_end(update, &max);

    mg_bulk_update(bulk, query, update, c->create != NULL);
}


static const char *
copy(const store_plan_t *p, const char *s)
{
    return store_strndup(p->arena, s, strlen(s));
}


store_rc_t
mg_find_last(store_mongo_t *st, store_plan_t *p, store_conv_t *c)
{
    json_t  *rows, *row;

    rows = mg_find(st, st->messages,
                   BCON_NEW("conversationId", BCON_UTF8(c->id),
                            "seq", "{", "$lte", BCON_INT64(c->seq), "}",
                            "deleted", BCON_BOOL(false)),
                   BCON_NEW("sort", "{", "seq", BCON_INT32(-1), "}",
                            "limit", BCON_INT64(1),
                            "hint", BCON_UTF8("unread"),
                            "projection", "{", "senderId", BCON_INT32(1),
                            "type", BCON_INT32(1), "content", BCON_INT32(1),
                            "createdAt", BCON_INT32(1), "}"));
    if (rows == NULL) {
        return STORE_DOWN;
    }

    c->last_moved = 1;
    c->last.at = STORE_NO_TIME;
    row = json_array_get(rows, 0);

    if (row) {
        store_plan_last(c, copy(p, mg_text(row, "_id")),
                        copy(p, mg_text(row, "senderId")),
                        copy(p, mg_text(row, "type")),
                        json_object_get(row, "content"),
                        mg_time(row, "createdAt"));
        c->last.text = store_strndup(p->arena, c->last.text, c->last.n);
    }

    json_decref(rows);

    return STORE_OK;
}


/* The last message before the batch, all but its text. */
static void
stored_last(const store_plan_t *p, store_conv_t *c)
{
    bson_t         stored;
    const char    *s;
    uint32_t       len;
    bson_iter_t    it, sub;

    c->last.at = STORE_NO_TIME;

    if (c->stored == NULL
        || !bson_init_static(&stored, c->stored, c->stored_len)
        || !bson_iter_init_find(&it, &stored, "lastMessage")
        || !BSON_ITER_HOLDS_DOCUMENT(&it) || !bson_iter_recurse(&it, &sub))
    {
        return;
    }

    while (bson_iter_next(&sub)) {
        if (BSON_ITER_HOLDS_DATE_TIME(&sub)) {
            c->last.at = bson_iter_date_time(&sub);

        } else if (BSON_ITER_HOLDS_UTF8(&sub)) {
            s = bson_iter_utf8(&sub, &len);

            if (strcmp(bson_iter_key(&sub), "id") == 0) {
                c->last.id = store_strndup(p->arena, s, len);

            } else if (strcmp(bson_iter_key(&sub), "senderId") == 0) {
                c->last.sender = store_strndup(p->arena, s, len);

            } else if (strcmp(bson_iter_key(&sub), "type") == 0) {
                c->last.type = store_strndup(p->arena, s, len);
            }
        }
    }
}


/* An edit or a deletion: of the last message? */
static void
follow_change(store_conv_t *c, const store_op_t *op)
{
    /* without an id it was written by an older program */

    if (c->last.at < 0
        || (c->last.id && strcmp(c->last.id, op->id) != 0))
    {
        return;
    }

    if (op->kind == STORE_OP_DELETE || c->last.id == NULL) {
        c->last_gone = 1;

    } else {
        store_plan_last(c, c->last.id, c->last.sender, c->last.type,
                        op->content, c->last.at);
    }
}


/* Anew, from the one before the batch on, where some were edited. */
static void
follow_last(store_plan_t *p)
{
    size_t             i;
    store_conv_t      *c;
    const store_op_t  *op;

    for (i = 0; i < p->nconvs; i++) {
        if (p->convs[i]->edited) {
            p->convs[i]->last_moved = 0;
            stored_last(p, p->convs[i]);
        }
    }

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];
        c = op->conv;

        if (c == NULL || !c->edited) {
            continue;
        }

        if (op->kind == STORE_OP_MESSAGE && op->stored) {
            c->last_gone = 0;
            store_plan_last(c, op->id, op->sender, op->type, op->content,
                            op->at);

        } else if ((op->kind == STORE_OP_EDIT || op->kind == STORE_OP_DELETE)
                   && !c->last_gone)
        {
            follow_change(c, op);
        }
    }
}


store_rc_t
mg_write_convs(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t                    i;
    int64_t                   n;
    store_rc_t                rc;
    mg_result_t               res;
    store_conv_t             *c;
    mongoc_bulk_operation_t  *bulk;

    follow_last(p);

    for (i = 0; i < p->nconvs; i++) {
        c = p->convs[i];

        if (c->last_gone && mg_find_last(st, p, c) != STORE_OK) {
            return STORE_DOWN;
        }
    }

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

    /* two creations met, or somebody else was faster */
    *again = *again || res.matched + res.upserted != n;

    return rc;
}
