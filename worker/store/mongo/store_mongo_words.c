/*
 * store_mongo_words.c: the index of words of MongoDB.
 *
 * messages.words has each folded word of a message once; the index "words"
 * (conversationId, words, createdAt) leads to the newest message of a
 * conversation with a word.  It has no _id: store_search.c puts messages of one
 * millisecond in order, and each byte of a key is paid for with every word.
 * MongoDB's own text index knows neither prefixes nor the order of time, and
 * not our folding.
 */

#include <stdio.h>

#include "worker/store/mongo/store_mongo.h"

#define BACKFILL_BATCH  1000


size_t
mg_append_words(store_mongo_t *st, bson_t *b, const json_t *content)
{
    char                buf[16];
    size_t              i, n;
    bson_t              list;
    const char         *index;
    const char *const  *word;

    n = store_search_words(&st->base, content, &word);
    if (n == 0) {
        return 0;
    }

    BSON_APPEND_ARRAY_BEGIN(b, "words", &list);

    for (i = 0; i < n; i++) {
        bson_uint32_to_string((uint32_t) i, &index, buf, sizeof(buf));
        mg_append_text(&list, index, word[i]);
    }

    bson_append_array_end(b, &list);

    return n;
}


/* How far an earlier run got: the id of a message, "" for none. */
static int
read_progress(store_mongo_t *st, mongoc_collection_t *schema, char *after,
    size_t size)
{
    json_t      *rows;
    const char  *id;

    rows = mg_find(st, schema, BCON_NEW("_id", BCON_UTF8("words")), NULL);
    if (rows == NULL) {
        return -1;
    }

    id = mg_text(json_array_get(rows, 0), "after");
    snprintf(after, size, "%s", id ? id : "");
    json_decref(rows);

    return 0;
}


static int
write_progress(mongoc_collection_t *schema, const char *after,
    bson_error_t *error)
{
    bool     ok;
    bson_t  *query, *update, *opts;

    query = BCON_NEW("_id", BCON_UTF8("words"));
    update = BCON_NEW("$set", "{", "after", BCON_UTF8(after), "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));

    ok = mongoc_collection_update_one(schema, query, update, opts, NULL,
                                      error);
    bson_destroy(opts);
    bson_destroy(update);
    bson_destroy(query);

    return ok ? 0 : -1;
}


static int
write_words(store_mongo_t *st, mongoc_collection_t *messages,
    const json_t *rows)
{
    size_t                    i, n, words;
    bson_t                   *update, set;
    json_t                   *row;
    mg_result_t               res;
    mongoc_bulk_operation_t  *bulk;

    n = 0;
    bulk = mg_bulk(messages, false);

    json_array_foreach(rows, i, row) {
        update = bson_new();
        BSON_APPEND_DOCUMENT_BEGIN(update, "$set", &set);
        words = mg_append_words(st, &set, json_object_get(row, "content"));
        bson_append_document_end(update, &set);

        if (words == 0 || json_is_true(json_object_get(row, "deleted"))) {
            bson_destroy(update);
            continue;
        }

        mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(mg_text(row, "_id"))),
                       update, false);
        n++;
    }

    if (n == 0) {
        mongoc_bulk_operation_destroy(bulk);
        return 0;
    }

    return mg_bulk_run(st, bulk, "write words", &res, NULL) == STORE_OK
           ? 0 : -1;
}


int
mg_backfill_words(store_mongo_t *st, bson_error_t *error)
{
    int                   rc;
    char                  after[WRT_ID_MAX + 1];
    json_t               *rows;
    size_t                n;
    mongoc_collection_t  *messages, *schema;

    messages = mongoc_client_get_collection(st->client, st->db_name,
                                            "messages");
    schema = mongoc_client_get_collection(st->client, st->db_name, "schema");

    rc = read_progress(st, schema, after, sizeof(after));
    n = BACKFILL_BATCH;

    while (rc == 0 && n == BACKFILL_BATCH) {
        rows = mg_find(st, messages,
                       BCON_NEW("_id", "{", "$gt", BCON_UTF8(after), "}"),
                       BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}",
                                "limit", BCON_INT64(BACKFILL_BATCH),
                                "projection", "{", "content", BCON_INT32(1),
                                "deleted", BCON_INT32(1), "}"));
        n = json_array_size(rows);
        rc = rows ? write_words(st, messages, rows) : -1;

        if (rc == 0 && n > 0) {
            snprintf(after, sizeof(after), "%s",
                     mg_text(json_array_get(rows, n - 1), "_id"));
            rc = write_progress(schema, after, error) == 0 ? 0 : -2;
        }

        json_decref(rows);
    }

    if (rc == -1) {
        bson_set_error(error, 0, 0, "%s", st->base.err);
    }

    mongoc_collection_destroy(schema);
    mongoc_collection_destroy(messages);

    return rc == 0 ? 0 : -1;
}
