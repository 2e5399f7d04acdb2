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


backend_t  mongo_backend = {
    "mongo", "", wipe
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
