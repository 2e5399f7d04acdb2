/*
 * mongo_ready.c: make a fresh mongod usable.
 *
 *   mongo_ready <host:port> [replica set name]
 *
 * Waits until the server answers, initiates the replica set if a name is
 * given, and waits until writes are taken.  There is no shell of MongoDB in
 * Debian, and the driver is here already.  Used by with_mongod.sh.
 */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <mongoc/mongoc.h>

#define TRIES    150        /* of 200 ms */
#define PAUSE_NS 200000000

#define CODE_ALREADY_INITIALIZED  23


static bool
command(mongoc_client_t *client, bson_t *cmd, bson_t *reply,
    bson_error_t *error)
{
    bool  ok;

    ok = mongoc_client_command_simple(client, "admin", cmd, NULL, reply,
                                      error);
    bson_destroy(cmd);

    return ok;
}


static bool
initiate(mongoc_client_t *client, const char *host, const char *set,
    bson_error_t *error)
{
    return command(client,
                   BCON_NEW("replSetInitiate", "{",
                            "_id", BCON_UTF8(set), "members", "[", "{",
                            "_id", BCON_INT32(0), "host", BCON_UTF8(host),
                            "}", "]", "}"),
                   NULL, error)
           || error->code == CODE_ALREADY_INITIALIZED;
}


static bool
writable(mongoc_client_t *client, bson_error_t *error)
{
    bool         ok;
    bson_t       reply;
    bson_iter_t  it;

    ok = command(client, BCON_NEW("hello", BCON_INT32(1)), &reply, error)
         && bson_iter_init_find(&it, &reply, "isWritablePrimary")
         && bson_iter_bool(&it);
    bson_destroy(&reply);

    return ok;
}


int
main(int argc, char **argv)
{
    int               i, up, done;
    char              uri[256];
    bson_error_t      error;
    struct timespec   pause = { 0, PAUSE_NS };
    mongoc_client_t  *client;

    if (argc < 2) {
        fprintf(stderr, "usage: mongo_ready <host:port> [replica set]\n");
        return 2;
    }

    mongoc_init();
    mongoc_log_set_handler(NULL, NULL);
    memset(&error, 0, sizeof(error));

    up = 0;
    done = 0;

    for (i = 0; i < TRIES && !done; i++) {

        /* a new client each time: one that failed pauses for 5 s */

        snprintf(uri, sizeof(uri), "mongodb://%s/?directConnection=true"
                 "&serverSelectionTimeoutMS=500", argv[1]);
        client = mongoc_client_new(uri);

        if (client == NULL) {
            fprintf(stderr, "mongo_ready: %s is no host:port\n", argv[1]);
            return 2;
        }

        mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);

        if (!up) {
            up = argc < 3 || initiate(client, argv[1], argv[2], &error);
        }

        done = up && writable(client, &error);
        mongoc_client_destroy(client);

        if (!done) {
            nanosleep(&pause, NULL);
        }
    }

    if (!done) {
        fprintf(stderr, "mongo_ready: %s: %s\n", argv[1], error.message);
    }

    mongoc_cleanup();

    return done ? 0 : 1;
}
