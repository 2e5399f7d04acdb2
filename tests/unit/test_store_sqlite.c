/*
 * test_store_sqlite.c: the SQLite store.  store_suite.c has what every store
 * must do; here is what only this one has.
 */

#include "tests/unit/store_test.h"


int
main(void)
{
    int  failed;

    sqlite_backend_init();
    failed = store_suite(&sqlite_backend);
    sqlite_backend_done();

    return failed;
}
