/*
 * store_test_sqlite.c: SQLite as a store under test.
 */

#include "tests/unit/store_test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

static char  dir[] = "/tmp/writeen-store-XXXXXX";
static char  path[64];


static void
run(const char *sql)
{
    char     *err;
    sqlite3  *db;

    err = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);

    if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK) {
        print_error("%s: %s\n", sql, err);
        fail();
    }

    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}


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


static void
change(const char *id, int64_t change_seq, int64_t deleted_at)
{
    char  sql[512];

    if (deleted_at < 0) {
        snprintf(sql, sizeof(sql), "UPDATE message SET change_seq = %lld"
                 " WHERE id = '%s'", (long long) change_seq, id);

    } else {
        snprintf(sql, sizeof(sql), "UPDATE message SET change_seq = %lld,"
                 " deleted_at = %lld WHERE id = '%s'",
                 (long long) change_seq, (long long) deleted_at, id);
    }

    run(sql);
}


static void
archive(const char *conversation, int64_t at)
{
    char  sql[512];

    snprintf(sql, sizeof(sql), "UPDATE conversation SET archived_at = %lld"
             " WHERE id = '%s'", (long long) at, conversation);
    run(sql);
}


backend_t  sqlite_backend = {
    "sqlite", "", wipe, change, archive
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
