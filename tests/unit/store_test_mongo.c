/*
 * store_test_mongo.c: MongoDB as a store under test: a database of this
 * process on the server that WRT_TEST_MONGODB_URI names.
 */

#include "tests/unit/store_test_mongo.h"

#include <stdio.h>
#include <unistd.h>

mongoc_client_t  *mongo_client;
char              mongo_db[64];


void
mongo_command(const char *db, bson_t *cmd, bson_t *reply)
{
    bool          ok;
    bson_t        own;
    bson_error_t  error;

    ok = mongoc_client_command_simple(mongo_client, db, cmd, NULL,
                                      reply ? reply : &own, &error);
    if (!ok) {
        print_error("%s\n", error.message);
    }
    assert_true(ok);

    if (reply == NULL) {
        bson_destroy(&own);
    }
    bson_destroy(cmd);
}


static void
wipe(void)
{
    bson_error_t        error;
    mongoc_database_t  *db;

    db = mongoc_client_get_database(mongo_client, mongo_db);
    assert_true(mongoc_database_drop(db, &error));
    mongoc_database_destroy(db);
}


static void
empty(void)
{
    char                **names;
    size_t                i;
    bson_t                all = BSON_INITIALIZER;
    bson_error_t          error;
    mongoc_database_t    *db;
    mongoc_collection_t  *c;

    db = mongoc_client_get_database(mongo_client, mongo_db);
    names = mongoc_database_get_collection_names_with_opts(db, NULL, &error);
    assert_non_null(names);

    for (i = 0; names[i]; i++) {
        if (strcmp(names[i], "schema") == 0) {
            continue;
        }

        c = mongoc_database_get_collection(db, names[i]);
        assert_true(mongoc_collection_delete_many(c, &all, NULL, NULL,
                                                  &error));
        mongoc_collection_destroy(c);
    }

    bson_strfreev(names);
    mongoc_database_destroy(db);
}


backend_t  mongo_backend = {
    "mongo", "", wipe, empty
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

    snprintf(mongo_db, sizeof(mongo_db), "writeen_test_%d", (int) getpid());
    query = strchr(env, '?');
    uri = mongoc_uri_new(env);
    assert_non_null(uri);

    snprintf(mongo_backend.url, sizeof(mongo_backend.url),
             "mongodb://%s/%s%s",
             mongoc_uri_get_hosts(uri)->host_and_port, mongo_db,
             query ? query : "");

    mongo_client = mongoc_client_new_from_uri(uri);
    assert_non_null(mongo_client);
    mongoc_client_set_error_api(mongo_client, MONGOC_ERROR_API_VERSION_2);
    mongoc_uri_destroy(uri);
}


void
mongo_backend_done(void)
{
    wipe();
    mongoc_client_destroy(mongo_client);
    mongoc_cleanup();
}
