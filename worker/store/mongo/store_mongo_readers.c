/*
 * store_mongo_readers.c: who got how far in a conversation, for the status
 * and readBy of messages.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/mongo/store_mongo.h"

/* A stage of the pipeline for each; for more the server joins, which takes it
 * longer for each of them, but is one stage. */
#define READERS_FEW  16


static json_t *
participants(store_mongo_t *st, const char *conversation, int64_t lo)
{
    return mg_find(st, st->participants,
                   BCON_NEW("conversationId", BCON_UTF8(conversation),
                            "deliveredSeq", "{", "$gte", BCON_INT64(lo),
                            "}"),
                   BCON_NEW("projection", "{", "userId", BCON_INT32(1),
                            "readSeq", BCON_INT32(1),
                            "deliveredSeq", BCON_INT32(1), "}"));
}


/* The stages that find one reader's moves: a range of keys. */
static void
append_stages(bson_t *list, const char *id, int64_t lo, int64_t hi)
{
    char  first[MG_KEY_MAX], end[MG_KEY_MAX];

    snprintf(first, sizeof(first), "%s" MG_MOVE_FORMAT, id, 'r',
             (unsigned long long) lo);
    snprintf(end, sizeof(end), "%s/s", id);

    BCON_APPEND(list,
                "0", "{", "$match", "{", "_id", "{",
                    "$gte", BCON_UTF8(first), "$lt", BCON_UTF8(end),
                "}", "}", "}",
                "1", "{", "$sort", "{", "_id", BCON_INT32(1), "}", "}",
                "2", "{", "$limit", BCON_INT64(hi - lo + 1), "}");
}


/* The moves of those who have read lo, one after the other. */
static json_t *
few_moves(store_mongo_t *st, const json_t *rows, int64_t lo, int64_t hi)
{
    char         buf[16];
    size_t       i;
    bson_t       pipeline, stages, stage, more, inner;
    json_t      *row;
    uint32_t     n;
    const char  *index;

    n = 0;

    bson_init(&pipeline);
    BSON_APPEND_ARRAY_BEGIN(&pipeline, "pipeline", &stages);

    json_array_foreach(rows, i, row) {
        if (mg_int(row, "readSeq") < lo) {
            continue;
        }

        if (n == 0) {
            append_stages(&stages, mg_text(row, "_id"), lo, hi);
            n = 3;
            continue;
        }

        bson_uint32_to_string(n++, &index, buf, sizeof(buf));
        BSON_APPEND_DOCUMENT_BEGIN(&stages, index, &stage);
        BSON_APPEND_DOCUMENT_BEGIN(&stage, "$unionWith", &more);
        BSON_APPEND_UTF8(&more, "coll", "cursors");
        BSON_APPEND_ARRAY_BEGIN(&more, "pipeline", &inner);
        append_stages(&inner, mg_text(row, "_id"), lo, hi);
        bson_append_array_end(&more, &inner);
        bson_append_document_end(&stage, &more);
        bson_append_document_end(&stages, &stage);
    }

    bson_append_array_end(&pipeline, &stages);

    return mg_aggregate(st, st->cursors, &pipeline, NULL);
}


/* Is it a key <id>/...? */
static int
is_of(const char *key, const char *id)
{
    size_t  n;

    n = strlen(id);

    return strncmp(key, id, n) == 0 && key[n] == '/';
}


/* Into the rows of those whose they are, which are in the same order. */
static void
add_moves(json_t *rows, const json_t *moves)
{
    size_t       i, k;
    json_t      *row, *move, *list;
    const char  *key;

    k = 0;

    json_array_foreach(moves, i, move) {
        key = mg_text(move, "_id");

        while ((row = json_array_get(rows, k)) != NULL
               && !is_of(key, mg_text(row, "_id")))
        {
            k++;
        }

        list = json_object_get(row, "moves");

        if (row && list == NULL) {
            list = json_array();
            store_doc_set(row, "moves", list);
        }

        if (row) {
            store_doc_append(list, json_incref(move));
        }
    }
}


/* Many readers with their moves. */
static json_t *
participants_moves(store_mongo_t *st, const char *conversation, int64_t lo,
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


static void
read_readers(store_mongo_t *st, const json_t *rows, store_docs_t *out)
{
    size_t           i, k;
    json_t          *row, *moves, *move;
    const char      *user;
    store_reader_t  *r;

    out->nreaders = json_array_size(rows);
    out->readers = store_alloc(&st->base.arena,
                               (out->nreaders + 1) * sizeof(store_reader_t));

    json_array_foreach(rows, i, row) {
        moves = json_object_get(row, "moves");

        user = mg_text(row, "userId");

        r = &out->readers[i];
        r->user = store_strndup(&st->base.arena, user, strlen(user));
        r->delivered_seq = mg_int(row, "deliveredSeq");
        r->nmoves = json_array_size(moves);
        r->moves = store_alloc(&st->base.arena,
                               (r->nmoves + 1) * sizeof(store_move_t));

        json_array_foreach(moves, k, move) {
            r->moves[k].seq = mg_int(move, "seq");
            r->moves[k].at = mg_time(move, "at");
        }
    }
}


/*
 * Participants who have something of lo.. and their read moves: from the
 * first that reaches lo to the first that reaches hi.  Their numbers differ,
 * so that hi - lo + 1 of them are enough.
 */
store_rc_t
mg_readers(store_mongo_t *st, const char *conversation, int64_t lo,
    int64_t hi, store_docs_t *out)
{
    size_t   i, n;
    json_t  *rows, *row, *moves;

    rows = participants(st, conversation, lo);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    n = 0;

    json_array_foreach(rows, i, row) {
        n += mg_int(row, "readSeq") >= lo;
    }

    if (n > READERS_FEW) {
        json_decref(rows);
        rows = participants_moves(st, conversation, lo, hi);

    } else if (n > 0) {
        moves = few_moves(st, rows, lo, hi);

        if (moves) {
            add_moves(rows, moves);

        } else {
            json_decref(rows);
            rows = NULL;
        }

        json_decref(moves);
    }

    if (rows == NULL) {
        return STORE_DOWN;
    }

    read_readers(st, rows, out);
    json_decref(rows);

    return STORE_OK;
}
