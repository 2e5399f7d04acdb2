/*
 * store_sqlite.c: the embedded store: opening, schema, statements.
 *
 * One file in WAL mode: the projector writes, any number of api processes
 * read at the same time without waiting.  synchronous=FULL: what a commit
 * returned survives a power loss.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "worker/store/sqlite/store_sqlite.h"

#define SETTING  "SQLITE_PATH"

/* Each connection.  The WAL is checkpointed every 16 MiB, not every 4: a
 * checkpoint writes each page once however often it changed since. */
#define CONNECTION_SQL  \
    "PRAGMA synchronous = FULL;" \
    "PRAGMA secure_delete = ON;" \
    "PRAGMA temp_store = MEMORY;" \
    "PRAGMA cache_size = -32768;" \
    "PRAGMA wal_autocheckpoint = 4096;" \
    "PRAGMA journal_size_limit = 67108864;"


static void sqlite_close(store_t *base);
static store_rc_t sqlite_ping(store_t *base);

static const store_ops_t  sqlite_ops = {
    "sqlite",
    sqlite_close,
    sqlite_ping,
    store_sqlite_apply,
    store_sqlite_state,
    store_sqlite_user_rooms,
    store_sqlite_conversation,
    store_sqlite_conversations,
    store_sqlite_messages,
    store_sqlite_message,
    store_sqlite_message_sent,
    store_sqlite_unread,
    store_sqlite_changes,
    store_sqlite_user,
    store_sqlite_file,
    store_sqlite_files,
    store_sqlite_file_refs,
    store_sqlite_hold,
    store_sqlite_holds,
    store_sqlite_audit,
    store_sqlite_push,
    store_sqlite_session,
    store_sqlite_sessions,
    store_sqlite_session_part,
    store_sqlite_consult,
    store_sqlite_ends,
    store_sqlite_erasures,
    store_sqlite_traces,
    store_sqlite_said,
    store_sqlite_user_held,
    store_sqlite_tidy,
    store_sqlite_due,
    store_sqlite_search
};


store_rc_t
sq_down(store_sqlite_t *st, const char *what)
{
    return store_fail(&st->base, STORE_DOWN, "SQLite: %s: %s", what,
                      sqlite3_errmsg(st->db));
}


sqlite3_stmt *
sq_get(store_sqlite_t *st, sq_id_t id, const char *sql)
{
    if (st->stmt[id] == NULL
        && sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                              &st->stmt[id], NULL)
           != SQLITE_OK)
    {
        sq_down(st, "prepare");
        return NULL;
    }

    return st->stmt[id];
}


store_rc_t
sq_run(store_sqlite_t *st, sqlite3_stmt *s)
{
    int  rc;

    rc = sqlite3_step(s);

    if (rc != SQLITE_DONE) {
        sq_down(st, sqlite3_sql(s));
    }

    sqlite3_reset(s);

    return rc == SQLITE_DONE ? STORE_OK : STORE_DOWN;
}


store_rc_t
sq_simple(store_sqlite_t *st, sq_id_t id, const char *sql)
{
    sqlite3_stmt  *s;

    s = sq_get(st, id, sql);

    return s ? sq_run(st, s) : STORE_DOWN;
}


void
sq_bind_text(sqlite3_stmt *s, int i, const char *text)
{
    if (text) {
        sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);

    } else {
        sqlite3_bind_null(s, i);
    }
}


void
sq_bind_time(sqlite3_stmt *s, int i, int64_t ms)
{
    if (ms >= 0) {
        sqlite3_bind_int64(s, i, ms);

    } else {
        sqlite3_bind_null(s, i);
    }
}


char *
sq_scratch(store_sqlite_t *st, size_t n)
{
    if (n > st->json_size) {
        st->json = realloc(st->json, n * 2);
        st->json_size = n * 2;

        if (st->json == NULL) {
            store_oom();
        }
    }

    return st->json;
}


void
sq_bind_json(store_sqlite_t *st, sqlite3_stmt *s, int i, const json_t *v)
{
    size_t  n;

    if (v == NULL || json_is_null(v)) {
        sqlite3_bind_null(s, i);
        return;
    }

    for ( ;; ) {
        n = json_dumpb(v, st->json, st->json_size, JSON_COMPACT);

        if (n <= st->json_size) {
            break;
        }

        sq_scratch(st, n);
    }

    sqlite3_bind_text(s, i, st->json, (int) n, SQLITE_TRANSIENT);
}


store_rc_t
sq_begin(store_sqlite_t *st)
{
    return sq_simple(st, SQ_BEGIN_READ, "BEGIN");
}


store_rc_t
sq_end(store_sqlite_t *st, store_rc_t rc)
{
    if (sq_simple(st, SQ_COMMIT, "COMMIT") != STORE_OK && rc == STORE_OK) {
        return STORE_DOWN;
    }

    return rc;
}


/* A column's text in the arena, NULL for NULL. */
const char *
sq_text(store_sqlite_t *st, sqlite3_stmt *s, int i)
{
    const char  *p;

    p = (const char *) sqlite3_column_text(s, i);

    return p ? store_strndup(&st->base.arena, p,
                             (size_t) sqlite3_column_bytes(s, i))
             : NULL;
}


int64_t
sq_time(sqlite3_stmt *s, int i)
{
    return sqlite3_column_type(s, i) == SQLITE_NULL
           ? STORE_NO_TIME : sqlite3_column_int64(s, i);
}


/* A column's JSON, NULL for NULL; -1: it is none. */
int
sq_json(store_sqlite_t *st, sqlite3_stmt *s, int i, json_t **out)
{
    const char  *p;

    p = (const char *) sqlite3_column_text(s, i);

    if (p == NULL) {
        *out = NULL;
        return 0;
    }

    *out = json_loadb(p, (size_t) sqlite3_column_bytes(s, i), 0, NULL);

    if (*out == NULL) {
        store_fail(&st->base, STORE_DOWN, "SQLite: a column that should be"
                   " JSON is not (%s)", sqlite3_column_name(s, i));
        return -1;
    }

    return 0;
}


/* The rest of a statement: what step() said last, and reset it. */
store_rc_t
sq_done(store_sqlite_t *st, sqlite3_stmt *s, int step)
{
    if (step != SQLITE_DONE && step != SQLITE_ROW) {
        sq_down(st, sqlite3_sql(s));
    }

    sqlite3_reset(s);

    return step == SQLITE_DONE || step == SQLITE_ROW ? STORE_OK : STORE_DOWN;
}


/* Only key and number: what most queries need of a conversation. */
store_rc_t
sq_find_conv(store_sqlite_t *st, const char *id, int64_t *row, int64_t *seq)
{
    int            step;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_FIND_CONV,
               "SELECT n, seq FROM conversation WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);
    rc = STORE_NOT_FOUND;

    if (step == SQLITE_ROW) {
        *row = sqlite3_column_int64(s, 0);
        *seq = sqlite3_column_int64(s, 1);
        rc = STORE_OK;
    }

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


static int
open_error(store_sqlite_t *st, const char *path, const char *cure,
    char *err, size_t err_size)
{
    snprintf(err, err_size, SETTING ": %s: %s; %s", path,
             st->db ? sqlite3_errmsg(st->db) : "out of memory", cure);

    return -1;
}


/* The first column of a statement's first row, -1 on error. */
static int64_t
query_int(sqlite3 *db, const char *sql)
{
    int64_t        v;
    sqlite3_stmt  *s;

    v = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK) {
        if (sqlite3_step(s) == SQLITE_ROW) {
            v = sqlite3_column_int64(s, 0);
        }

        sqlite3_finalize(s);
    }

    return v;
}


/* One script and the new version number, in one transaction: a crash leaves
 * the database before or behind it. */
static int
run_script(sqlite3 *db, const store_script_t *script, char *err,
    size_t err_size)
{
    int      ok;
    char    *sql, version[64];
    size_t   len;

    sql = store_scripts_read(script, &len, err, err_size);
    if (sql == NULL) {
        return -1;
    }

    snprintf(version, sizeof(version), "PRAGMA user_version = %d",
             script->version);

    ok = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;

    /* another process may have been faster */

    if (ok && query_int(db, "PRAGMA user_version") < script->version) {
        ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK
             && sqlite3_exec(db, version, NULL, NULL, NULL) == SQLITE_OK;
    }

    ok = ok && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;

    if (!ok) {
        snprintf(err, err_size, SETTING ": migration %s: %s", script->name,
                 sqlite3_errmsg(db));
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }

    free(sql);

    return ok ? 0 : -1;
}


static int
migrate_schema(store_sqlite_t *st, const char *path, const char *scripts_dir,
    int migrate, char *err, size_t err_size)
{
    int              i, n, rc, found;
    store_script_t  *scripts;

    n = store_scripts_list(scripts_dir, "sqlite", "sql", &scripts, err,
                           err_size);
    if (n < 0) {
        return -1;
    }

    found = (int) query_int(st->db, "PRAGMA user_version");

    if (found < 0) {
        rc = open_error(st, path, "is it a database of this program?", err,
                        err_size);

    } else {
        rc = store_scripts_judge(SETTING, path, found, n, migrate, err,
                                 err_size);
    }

    if (rc == 0 && migrate
        && (sqlite3_exec(st->db, "PRAGMA journal_mode = WAL", NULL, NULL,
                         NULL)
            != SQLITE_OK
            || query_int(st->db, "SELECT journal_mode = 'wal'"
                                 " FROM pragma_journal_mode")
               != 1))
    {
        rc = open_error(st, path, "no WAL mode; the file and its directory"
                        " must be writable and on a local disk", err,
                        err_size);
    }

    for (i = found; rc == 0 && i < n; i++) {
        rc = run_script(st->db, &scripts[i], err, err_size);
    }

    store_scripts_free(scripts, n);

    return rc;
}


static int
open_database(store_sqlite_t *st, const char *path, const char *scripts_dir,
    int migrate, char *err, size_t err_size)
{
    int          flags;
    const char  *vfs;

    if (path[0] == '\0') {
        snprintf(err, err_size, SETTING ": empty; name a file, for example"
                 " /var/lib/writeen/writeen.db");
        return -1;
    }

    flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX
            | (migrate ? SQLITE_OPEN_CREATE : 0);

    vfs = sq_vfs_init(st);
    if (vfs == NULL) {
        store_oom();
    }

    if (sqlite3_open_v2(path, &st->db, flags, vfs) != SQLITE_OK) {
        return open_error(st, path, "the directory must exist and be"
                          " writable", err, err_size);
    }

    sqlite3_busy_timeout(st->db, STORE_BUSY_MS);

    if (sqlite3_exec(st->db, CONNECTION_SQL, NULL, NULL, NULL) != SQLITE_OK
        || sq_add_functions(st) != 0)
    {
        return open_error(st, path, sqlite3_errcode(st->db) == SQLITE_CORRUPT
                          ? "it is damaged: restore it from a backup, see"
                            " docs/operations.md"
                          : "it must be a database of this program",
                          err, err_size);
    }

    return migrate_schema(st, path, scripts_dir, migrate, err, err_size);
}


store_t *
store_sqlite_open(const char *path, const char *scripts_dir, int migrate,
    char *err, size_t err_size)
{
    int              rc;
    mode_t           mask;
    store_sqlite_t  *st;

    st = calloc(1, sizeof(store_sqlite_t));
    if (st == NULL) {
        store_oom();
    }

    st->base.ops = &sqlite_ops;

    /* a new file holds other people's messages: nobody else's business */

    mask = umask(077);
    rc = open_database(st, path, scripts_dir, migrate, err, err_size);
    umask(mask);

    if (rc != 0) {
        sqlite_close(&st->base);
        return NULL;
    }

    return &st->base;
}


static void
sqlite_close(store_t *base)
{
    int              i;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    for (i = 0; i < SQ_MAX; i++) {
        sqlite3_finalize(st->stmt[i]);
    }

    sqlite3_close(st->db);
    sq_vfs_free(st);

    store_arena_reset(&base->arena);
    free(base->arena.chunk);
    words_free(&base->words);
    free(st->json);
    free(st);
}


static store_rc_t
sqlite_ping(store_t *base)
{
    int              rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_PING, "SELECT n FROM conversation LIMIT 1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_busy_timeout(st->db, STORE_PING_MS);
    rc = sqlite3_step(s);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        sq_down(st, "ping");
    }

    sqlite3_reset(s);
    sqlite3_busy_timeout(st->db, STORE_BUSY_MS);

    return rc == SQLITE_ROW || rc == SQLITE_DONE ? sq_vfs_check(st)
                                                 : STORE_DOWN;
}
