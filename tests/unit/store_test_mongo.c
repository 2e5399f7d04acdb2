/*
 * store_test_mongo.c: MongoDB as a store under test: a database of this
 * process on the server that WRT_TEST_MONGODB_URI names.
 */

#include "tests/unit/store_test.h"

#include <mongoc/mongoc.h>
#include <stdio.h>
#include <unistd.h>

static mongoc_client_t  *client;
static char              db_name[64];


static void
wipe(void)
{
    bson_error_t        error;
    mongoc_database_t  *db;

    db = mongoc_client_get_database(client, db_name);
    assert_true(mongoc_database_drop(db, &error));
    mongoc_database_destroy(db);
}


/* Exactly one document has to change; takes over both. */
static void
update(const char *name, bson_t *query, bson_t *set)
{
    bson_t                reply;
    bson_iter_t           it;
    bson_error_t          error;
    mongoc_collection_t  *c;

    c = mongoc_client_get_collection(client, db_name, name);
    assert_true(mongoc_collection_update_one(c, query, set, NULL, &reply,
                                             &error));
    assert_true(bson_iter_init_find(&it, &reply, "modifiedCount"));
    assert_int_equal(bson_iter_as_int64(&it), 1);

    mongoc_collection_destroy(c);
    bson_destroy(&reply);
    bson_destroy(query);
    bson_destroy(set);
}


static void
change(const char *id, int64_t change_seq, int64_t deleted_at)
{
    update("messages", BCON_NEW("_id", BCON_UTF8(id)),
           BCON_NEW("$set", "{", "changeSeq", BCON_INT64(change_seq),
                    "changed", BCON_BOOL(true), "}"));

    if (deleted_at >= 0) {
        update("messages", BCON_NEW("_id", BCON_UTF8(id)),
               BCON_NEW("$set", "{", "deletedAt", BCON_DATE_TIME(deleted_at),
                        "deleted", BCON_BOOL(true), "}"));
    }
}


static void
archive(const char *conversation, int64_t at)
{
    update("conversations", BCON_NEW("_id", BCON_UTF8(conversation)),
           BCON_NEW("$set", "{", "metadata.isArchived", BCON_BOOL(true),
                    "metadata.archivedAt", BCON_DATE_TIME(at), "}"));
}


backend_t  mongo_backend = {
    "mongo", "", wipe, change, archive
};


void
mongo_backend_init(void)
{
    const char         *env, *query;
    mongoc_uri_t       *uri;

    env = getenv("WRT_TEST_MONGODB_URI");
    if (env == NULL) {
        print_error("WRT_TEST_MONGODB_URI is not set; tests/unit/"
                    "with_mongod.sh sets it\n");
        exit(1);
    }

    mongoc_init();
    mongoc_log_set_handler(NULL, NULL);

    /* a database of our own: mongodb://host/<name>?options */

    snprintf(db_name, sizeof(db_name), "writeen_test_%d", (int) getpid());
    query = strchr(env, '?');
    uri = mongoc_uri_new(env);
    assert_non_null(uri);

    snprintf(mongo_backend.url, sizeof(mongo_backend.url),
             "mongodb://%s/%s%s",
             mongoc_uri_get_hosts(uri)->host_and_port, db_name,
             query ? query : "");

    client = mongoc_client_new_from_uri(uri);
    assert_non_null(client);
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    mongoc_uri_destroy(uri);
}


void
mongo_backend_done(void)
{
    wipe();
    mongoc_client_destroy(client);
    mongoc_cleanup();
}
