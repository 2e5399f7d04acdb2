/*
 * store_mongo_readers.c: who got how far in a conversation, for the status
 * and readBy of messages.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store_mongo.h"

/* Asked for one by one; the server takes longer to plan a $lookup than to
 * answer some finds. */
#define READERS_FEW  4


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


/* One reader's moves; 0, or -1 with the error. */
static int
add_moves(store_mongo_t *st, json_t *row, int64_t lo, int64_t hi)
{
    char         first[MG_KEY_MAX], end[MG_KEY_MAX];
    json_t      *moves;
    const char  *id;

    id = mg_text(row, "_id");
    snprintf(first, sizeof(first), "%s" MG_MOVE_FORMAT, id, 'r',
             (unsigned long long) lo);
    snprintf(end, sizeof(end), "%s/s", id);

    moves = mg_find(st, st->cursors,
                    BCON_NEW("_id", "{", "$gte", BCON_UTF8(first),
                             "$lt", BCON_UTF8(end), "}"),
                    BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}",
                             "limit", BCON_INT64(hi - lo + 1),
                             "projection", "{", "_id", BCON_INT32(0),
                             "seq", BCON_INT32(1), "at", BCON_INT32(1),
                             "}"));
    if (moves == NULL) {
        return -1;
    }

    store_doc_set(row, "moves", moves);

    return 0;
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
    int        rc;
    size_t     i, n;
    json_t    *rows, *row;

    rows = participants(st, conversation, lo);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    n = 0;

    json_array_foreach(rows, i, row) {
        n += mg_int(row, "readSeq") >= lo;
    }

    rc = 0;

    if (n > READERS_FEW) {
        json_decref(rows);
        rows = participants_moves(st, conversation, lo, hi);
        rc = rows ? 0 : -1;

    } else {
        json_array_foreach(rows, i, row) {
            if (rc == 0 && mg_int(row, "readSeq") >= lo) {
                rc = add_moves(st, row, lo, hi);
            }
        }
    }

    if (rc == 0) {
        read_readers(st, rows, out);
    }

    json_decref(rows);

    return rc == 0 ? STORE_OK : STORE_DOWN;
}
