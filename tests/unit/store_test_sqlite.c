/*
 * store_test_sqlite.c: SQLite as a store under test.
 */

#include "tests/unit/store_test.h"

#include <stdio.h>
#include <unistd.h>

static char  dir[] = "/tmp/writeen-store-XXXXXX";
static char  path[64];


static void
wipe(void)
{
    char  name[80];

    unlink(path);
    snprintf(name, sizeof(name), "%s-wal", path);
    unlink(name);
    snprintf(name, sizeof(name), "%s-shm", path);
    unlink(name);
}


backend_t  sqlite_backend = {
    "sqlite", "", wipe, wipe
};


void
sqlite_backend_init(void)
{
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/store.db", dir);
    snprintf(sqlite_backend.url, sizeof(sqlite_backend.url), "sqlite:%s",
             path);
}


void
sqlite_backend_done(void)
{
    wipe();
    rmdir(dir);
}
