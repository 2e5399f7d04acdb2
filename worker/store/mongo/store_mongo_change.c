/*
 * store_mongo_change.c: edits, deletions and reactions into MongoDB: part of
 * step 3 of store_mongo_apply.c.
 *
 * Each is one update that changes the message only as long as its last change,
 * changeSeq, is an earlier one, and moves that number along: repeated, or too
 * late, it changes nothing.  That is said in the update, as a filter of more
 * than _id costs three times as much (store_mongo_conv.c).
 *
 * It is written before the conversation's number moves, and can not be hidden
 * until then as a new message can.  stableSeq is the last number that counted
 * when the change was made: as long as changeSeq is above the conversation's
 * number, that one is told to those who catch up, so that what the change says
 * they get when its own number comes.
 *
 * When Redis has lost its last second with the power, after a batch had stopped
 * here, a change that nobody knows any more stays, and one that got its number
 * and is of the same message is passed over.
 */


#include "worker/store/mongo/store_mongo.h"


/* {"$literal": value}: nothing in it is an expression. */
static void
append_literal(bson_t *b, const char *key, const json_t *v)
{
    bson_t  literal;

    BSON_APPEND_DOCUMENT_BEGIN(b, key, &literal);
    mg_append_json(&literal, "$literal", v);
    bson_append_document_end(b, &literal);
}


/* What every change sets. */
static void
append_numbers(bson_t *set, const store_op_t *op)
{
    BCON_APPEND(set,
                "stableSeq", "{", "$cond", "[",
                    "{", "$lte", "[", BCON_UTF8("$changeSeq"),
                        BCON_INT64(op->conv->stored_seq), "]", "}",
                    BCON_UTF8("$changeSeq"),
                    "{", "$ifNull", "[", BCON_UTF8("$stableSeq"),
                        BCON_UTF8("$seq"), "]", "}",
                "]", "}",
                "changeSeq", BCON_INT64(op->seq),
                "changed", BCON_BOOL(true));
}


/* The text that was goes into the history, of which the newest are kept. */
static void
append_edit(store_mongo_t *st, bson_t *set, const store_op_t *op)
{
    BCON_APPEND(set,
                "editHistory", "{", "$slice", "[",
                    "{", "$concatArrays", "[",
                        "{", "$ifNull", "[", BCON_UTF8("$editHistory"),
                            "[", "]", "]", "}",
                        "[", "{",
                            "editedAt", BCON_DATE_TIME(op->at),
                            "previousContent", "{", "$ifNull", "[",
                                BCON_UTF8("$content.text"), BCON_UTF8(""),
                                "]", "}",
                            "editedBy", BCON_UTF8(op->user),
                            "seq", BCON_INT64(op->seq),
                        "}", "]",
                    "]", "}",
                    BCON_INT32(-WRT_EDITS_MAX),
                "]", "}",
                "editedAt", BCON_DATE_TIME(op->at),
                "updatedAt", BCON_DATE_TIME(op->at));

    append_literal(set, "content", op->content);

    /* words are letters and digits: nothing in them means anything here */

    if (mg_append_words(st, set, op->content) == 0) {
        BSON_APPEND_UTF8(set, "words", "$$REMOVE");
    }
}


/* Of a file's message: nobody edited it. */
static void
append_file(store_mongo_t *st, bson_t *set, const store_op_t *op)
{
    append_literal(set, "content", op->content);

    if (mg_append_words(st, set, op->content) == 0) {
        BSON_APPEND_UTF8(set, "words", "$$REMOVE");
    }
}


/* Its text stays in the document, out of reach. */
static void
append_delete(bson_t *set, const store_op_t *op)
{
    BCON_APPEND(set,
                "deleted", BCON_BOOL(true),
                "deletedAt", BCON_DATE_TIME(op->at),
                "deletedBy", BCON_UTF8(op->user),
                "updatedAt", BCON_DATE_TIME(op->at),
                "words", BCON_UTF8("$$REMOVE"));
}


/* Is the reaction "$$r" the op's?  {"$and": [...]} */
static void
append_same(bson_t *b, const store_op_t *op)
{
    BCON_APPEND(b, "$and", "[",
                "{", "$eq", "[", BCON_UTF8("$$r.userId"),
                    BCON_UTF8(op->user), "]", "}",
                "{", "$eq", "[", BCON_UTF8("$$r.emoji"),
                    "{", "$literal", BCON_UTF8(op->emoji), "}", "]", "}",
                "]");
}


/* {"$filter": ...}: the op's reaction alone, or all but it. */
static void
append_filter(bson_t *b, const char *key, const store_op_t *op, int same)
{
    bson_t  doc, filter, cond, not, one;

    BSON_APPEND_DOCUMENT_BEGIN(b, key, &doc);
    BSON_APPEND_DOCUMENT_BEGIN(&doc, "$filter", &filter);
    BCON_APPEND(&filter,
                "input", "{", "$ifNull", "[", BCON_UTF8("$reactions"),
                    "[", "]", "]", "}",
                "as", BCON_UTF8("r"));
    BSON_APPEND_DOCUMENT_BEGIN(&filter, "cond", &cond);

    if (same) {
        append_same(&cond, op);

    } else {
        BSON_APPEND_ARRAY_BEGIN(&cond, "$not", &not);
        BSON_APPEND_DOCUMENT_BEGIN(&not, "0", &one);
        append_same(&one, op);
        bson_append_document_end(&not, &one);
        bson_append_array_end(&cond, &not);
    }

    bson_append_document_end(&filter, &cond);
    bson_append_document_end(&doc, &filter);
    bson_append_document_end(b, &doc);
}


/* One of each user and emoji: one that is there stays as it is. */
static void
append_react(bson_t *set, const store_op_t *op)
{
    bson_t  doc, cond, eq, size, list;

    if (!op->on) {
        append_filter(set, "reactions", op, 0);
        return;
    }

    BSON_APPEND_DOCUMENT_BEGIN(set, "reactions", &doc);
    BSON_APPEND_ARRAY_BEGIN(&doc, "$cond", &cond);

    BSON_APPEND_DOCUMENT_BEGIN(&cond, "0", &eq);
    BSON_APPEND_ARRAY_BEGIN(&eq, "$eq", &list);
    BSON_APPEND_DOCUMENT_BEGIN(&list, "0", &size);
    append_filter(&size, "$size", op, 1);
    bson_append_document_end(&list, &size);
    BSON_APPEND_INT32(&list, "1", 0);
    bson_append_array_end(&eq, &list);
    bson_append_document_end(&cond, &eq);

    BCON_APPEND(&cond, "1", "{", "$concatArrays", "[",
                "{", "$ifNull", "[", BCON_UTF8("$reactions"), "[", "]", "]",
                "}",
                "[", "{", "userId", BCON_UTF8(op->user),
                    "emoji", "{", "$literal", BCON_UTF8(op->emoji), "}",
                    "addedAt", BCON_DATE_TIME(op->at), "}", "]",
                "]", "}",
                "2", BCON_UTF8("$reactions"));

    bson_append_array_end(&doc, &cond);
    bson_append_document_end(set, &doc);
}


/* Is it this conversation's message, not deleted, and not past the op? */
static void
append_guard(bson_t *b, const char *key, const store_op_t *op)
{
    BCON_APPEND(b, key, "{", "$and", "[",
                "{", "$lt", "[", BCON_UTF8("$changeSeq"),
                    BCON_INT64(op->seq), "]", "}",
                "{", "$eq", "[", BCON_UTF8("$conversationId"),
                    BCON_UTF8(op->conv->id), "]", "}",
                "{", "$eq", "[", BCON_UTF8("$deleted"), BCON_BOOL(false),
                    "]", "}",
                "]", "}");
}


static void
add_change(store_mongo_t *st, mongoc_bulk_operation_t *bulk,
    const store_op_t *op)
{
    bson_t  *update, stage, with, cond, merged, list, set;

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$replaceWith", &with);
    BSON_APPEND_ARRAY_BEGIN(&with, "$cond", &cond);
    append_guard(&cond, "0", op);
    BSON_APPEND_DOCUMENT_BEGIN(&cond, "1", &merged);
    BSON_APPEND_ARRAY_BEGIN(&merged, "$mergeObjects", &list);
    BSON_APPEND_UTF8(&list, "0", "$$ROOT");
    BSON_APPEND_DOCUMENT_BEGIN(&list, "1", &set);
    append_numbers(&set, op);

    switch (op->kind) {

    case STORE_OP_EDIT:
        if (op->on) {
            append_file(st, &set, op);

        } else {
            append_edit(st, &set, op);
        }
        break;

    case STORE_OP_DELETE:
        append_delete(&set, op);
        break;

    default:
        append_react(&set, op);
    }

    bson_append_document_end(&list, &set);
    bson_append_array_end(&merged, &list);
    bson_append_document_end(&cond, &merged);
    BSON_APPEND_UTF8(&cond, "2", "$$ROOT");
    bson_append_array_end(&with, &cond);
    bson_append_document_end(&stage, &with);
    bson_append_document_end(update, &stage);

    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->id)), update, false);
}


store_rc_t
mg_write_changes(store_mongo_t *st, store_plan_t *p, size_t *bad)
{
    size_t                     i, n;
    bson_t                     reply;
    store_rc_t                 rc;
    store_op_t                *op, **ops;
    mg_result_t                res;
    mongoc_bulk_operation_t   *bulk;

    n = 0;
    bulk = NULL;
    ops = NULL;

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];

        if (op->kind != STORE_OP_EDIT && op->kind != STORE_OP_DELETE
            && op->kind != STORE_OP_REACT)
        {
            continue;
        }

        if (bulk == NULL) {
            bulk = mg_bulk(st->messages, true);
            ops = store_alloc(p->arena, p->nops * sizeof(store_op_t *));
        }

        add_change(st, bulk, op);
        ops[n++] = op;
    }

    if (bulk == NULL) {
        return STORE_OK;
    }

    rc = mg_bulk_run(st, bulk, "change messages", &res, &reply);

    if (rc == STORE_DOWN) {
        rc = mg_find_bad(st, ops, n, &reply, bad);
    }

    bson_destroy(&reply);

    return rc;
}
