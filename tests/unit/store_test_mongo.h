/*
 * store_test_mongo.h: the server of mongo_backend, past store.h.
 */

#ifndef STORE_TEST_MONGO_H
#define STORE_TEST_MONGO_H

#include <mongoc/mongoc.h>

#include "tests/unit/store_test.h"

extern mongoc_client_t  *mongo_client;
extern char              mongo_db[64];      /* the database under test */

/* Run and drop a command; the reply is the caller's if he wants it. */
void mongo_command(const char *db, bson_t *cmd, bson_t *reply);

#endif
