/*
 * test_store_mongo.c: the MongoDB store.  store_suite.c has what every store
 * must do; here is what only this one has.
 */

#include "tests/unit/store_test.h"


int
main(void)
{
    int  failed;

    mongo_backend_init();
    failed = store_suite(&mongo_backend);
    mongo_backend_done();

    return failed;
}
