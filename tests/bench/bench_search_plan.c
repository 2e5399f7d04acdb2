/*
 * bench_search_plan.c: how a search was carried out, and whether by an index.
 *
 * SQLite: the query plan of each statement of a search, once, and what was
 * asked of the index of words last.  MongoDB: what its profiler has of each
 * command of a search: the index, and how many keys and documents were looked
 * at for it.  And how much of the store the index of words takes.
 *
 * With few messages a search through everything is fast as well, so it is the
 * plan that tells: one without an index is counted, and the benchmark fails.
 */

#include <stdio.h>
#include <string.h>

#include "tests/bench/bench_search.h"
#include "worker/store/mongo/store_mongo.h"
#include "worker/store/sqlite/store_sqlite.h"

#define SUMMARY        100      /* bytes; a merge names its index often */
#define PROFILE_BYTES  (64 * 1024 * 1024)

/* The statements of a search. */
static const sq_id_t  searches[] = {
    SQ_SEARCH_ROOM, SQ_SEARCH_ROOMS, SQ_SEARCH, SQ_SEARCH_WALK,
    SQ_SEARCH_MESSAGE, SQ_READERS, SQ_MOVES
};


/* Of plans: how many there were, and how many used no index. */
static unsigned  seen, bad;


static int
is_sqlite(store_t *st)
{
    return strcmp(store_name(st), "sqlite") == 0;
}


/* "SCAN w VIRTUAL TABLE INDEX 0:M2" asks FTS5 for words, the last 0 and the
 * rest of it nothing or for a rowid; any other SCAN reads a whole table.  The
 * newest messages have to come first by themselves. */
static int
sqlite_is_bad(const char *plan, int newest)
{
    const char  *p;

    if (newest && strstr(plan, "TEMP B-TREE FOR ORDER BY")) {
        return 1;
    }

    if (strncmp(plan, "SCAN ", 5) != 0 || strstr(plan, "CONSTANT ROW")) {
        return 0;
    }

    p = strstr(plan, "VIRTUAL TABLE INDEX ");
    p = p ? strchr(p, ':') : NULL;

    return p == NULL || strchr(p, 'M') == NULL;
}


static void
sqlite_plan(store_sqlite_t *st, sqlite3_stmt *of, int newest)
{
    int            is_bad;
    char           sql[4096];
    const char    *plan;
    sqlite3_stmt  *s;

    snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(of));

    if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK) {
        die("explain", sqlite3_errmsg(st->db));
    }

    printf("    %s\n", sqlite3_sql(of));

    seen++;

    while (sqlite3_step(s) == SQLITE_ROW) {
        plan = (const char *) sqlite3_column_text(s, 3);
        is_bad = sqlite_is_bad(plan, newest);
        bad += is_bad != 0;
        printf("      %s%s\n", plan, is_bad ? "  <-- NO INDEX" : "");
    }

    sqlite3_finalize(s);
}


/* How often a statement ran since this was asked last. */
static int
sqlite_runs(sqlite3_stmt *s)
{
    return s ? sqlite3_stmt_status(s, SQLITE_STMTSTATUS_RUN, 1) : 0;
}


static void
sqlite_asked(store_sqlite_t *st, const char *title)
{
    int    runs, walks;
    char  *sql, *p, *end;

    walks = sqlite_runs(st->stmt[SQ_SEARCH_WALK]);
    runs = sqlite_runs(st->stmt[SQ_SEARCH]);

    /* of a statement that did not run the parameters are gone */
    sql = runs ? sqlite3_expanded_sql(st->stmt[SQ_SEARCH]) : NULL;
    p = sql ? strstr(sql, "MATCH '") : NULL;
    end = p ? strchr(p + 7, '\'') : NULL;

    printf("    %-40s %s%4d times %.*s\n", title, walks ? "by time, " : "",
           runs, end ? (int) (end - p + 1) : 0, end ? p : "");

    sqlite3_free(sql);
}


static mongoc_collection_t *
profile(store_mongo_t *st)
{
    return mongoc_client_get_collection(st->client, st->db_name,
                                        "system.profile");
}


static void
set_profile(store_mongo_t *st, int level)
{
    bson_t        *cmd;
    bson_error_t   error;

    cmd = BCON_NEW("profile", BCON_INT32(level));

    if (!mongoc_client_command_simple(st->client, st->db_name, cmd, NULL,
                                      NULL, &error))
    {
        die("profile", error.message);
    }

    bson_destroy(cmd);
}


/* By itself it holds 1 MB: a search of 2,000 rooms writes more. */
static void
new_profile(store_mongo_t *st)
{
    bson_t               *opts;
    bson_error_t          error;
    mongoc_database_t    *db;
    mongoc_collection_t  *c;

    c = profile(st);
    mongoc_collection_drop(c, NULL);
    mongoc_collection_destroy(c);

    opts = BCON_NEW("capped", BCON_BOOL(true), "size",
                    BCON_INT64(PROFILE_BYTES));
    db = mongoc_client_get_database(st->client, st->db_name);
    c = mongoc_database_create_collection(db, "system.profile", opts, &error);
    mongoc_database_destroy(db);

    if (c == NULL) {
        die("system.profile", error.message);
    }

    mongoc_collection_destroy(c);
    bson_destroy(opts);
}


/* IXSCAN { ... }, IDHACK; several, if the query has branches. */
static int
mongo_is_bad(const char *summary)
{
    return summary == NULL || strstr(summary, "COLLSCAN")
           || (strstr(summary, "IXSCAN") == NULL
               && strstr(summary, "IDHACK") == NULL
               && strstr(summary, "EXPRESS") == NULL);
}


static void
mongo_done(store_mongo_t *st, const char *title)
{
    int                   sorted;
    size_t                i, commands;
    int64_t               keys, docs;
    json_t               *rows, *row;
    const char           *summary, *s;
    mongoc_collection_t  *c;

    set_profile(st, 0);
    c = profile(st);

    rows = mg_find(st, c, BCON_NEW("op", "{", "$in", "[",
                                   BCON_UTF8("query"), BCON_UTF8("getmore"),
                                   BCON_UTF8("command"), "]", "}",
                                   "docsExamined", "{",
                                   "$exists", BCON_BOOL(true), "}"), NULL);
    if (rows == NULL) {
        die("profile", store_error(&st->base));
    }

    commands = 0;
    keys = 0;
    docs = 0;
    sorted = 0;
    summary = "";

    json_array_foreach(rows, i, row) {
        s = mg_text(row, "planSummary");
        seen++;

        if (mongo_is_bad(s)) {
            bad++;
            printf("    %s: %s  <-- NO INDEX\n", mg_text(row, "ns"),
                   s ? s : "no plan");
        }

        if (json_object_get(json_object_get(row, "command"), "hint")) {
            commands++;
            keys += mg_int(row, "keysExamined");
            docs += mg_int(row, "docsExamined");
            sorted |= json_is_true(json_object_get(row, "hasSortStage"));
            summary = s ? s : "";
        }
    }

    printf("    %-40s %2zu commands, %6lld keys, %6lld documents%s\n"
           "      %.*s\n", title, commands, (long long) keys,
           (long long) docs, sorted ? ", sorted" : "", SUMMARY, summary);

    json_decref(rows);
    mongoc_collection_destroy(c);
}


static void
sqlite_sizes(store_sqlite_t *st)
{
    sqlite3_stmt  *s;

    if (sqlite3_prepare_v2(st->db, "SELECT sum(pgsize), sum(iif(name GLOB"
                           " 'message_words*', pgsize, 0)) FROM dbstat",
                           -1, &s, NULL) != SQLITE_OK
        || sqlite3_step(s) != SQLITE_ROW)
    {
        die("dbstat", sqlite3_errmsg(st->db));
    }

    printf("  %.0f MB, of them words %.0f MB\n",
           sqlite3_column_double(s, 0) / 1e6,
           sqlite3_column_double(s, 1) / 1e6);

    sqlite3_finalize(s);
}


static void
mongo_sizes(store_mongo_t *st)
{
    bson_t        *cmd, reply;
    json_t        *row;
    bson_error_t   error;

    /* sizes are those of the files */
    cmd = BCON_NEW("fsync", BCON_INT32(1));

    if (!mongoc_client_command_simple(st->client, "admin", cmd, NULL, NULL,
                                      &error))
    {
        die("fsync", error.message);
    }

    bson_destroy(cmd);
    cmd = BCON_NEW("collStats", BCON_UTF8("messages"));

    if (!mongoc_client_command_simple(st->client, st->db_name, cmd, NULL,
                                      &reply, &error))
    {
        die("collStats", error.message);
    }

    row = mg_row(&reply);

    printf("  messages %.0f MB, their indexes %.0f MB, of them words"
           " %.0f MB\n", (double) mg_int(row, "storageSize") / 1e6,
           (double) mg_int(row, "totalIndexSize") / 1e6,
           (double) mg_int(json_object_get(row, "indexSizes"), "words")
           / 1e6);

    json_decref(row);
    bson_destroy(&reply);
    bson_destroy(cmd);
}


void
sizes_print(store_t *st)
{
    if (is_sqlite(st)) {
        sqlite_sizes((store_sqlite_t *) st);

    } else {
        mongo_sizes((store_mongo_t *) st);
    }
}


void
plan_begin(store_t *st)
{
    size_t           i;
    sqlite3_stmt    *s;
    store_sqlite_t  *sq;

    if (!is_sqlite(st)) {
        return;
    }

    sq = (store_sqlite_t *) st;

    for (i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
        s = sq->stmt[searches[i]];

        if (s) {
            sqlite_plan(sq, s, searches[i] == SQ_SEARCH
                               || searches[i] == SQ_SEARCH_WALK);
        }
    }
}


void
plan_before(store_t *st)
{
    store_mongo_t   *mg;
    store_sqlite_t  *sq;

    if (is_sqlite(st)) {
        sq = (store_sqlite_t *) st;
        (void) sqlite_runs(sq->stmt[SQ_SEARCH_WALK]);
        (void) sqlite_runs(sq->stmt[SQ_SEARCH]);

    } else {
        mg = (store_mongo_t *) st;
        new_profile(mg);
        set_profile(mg, 2);
    }
}


void
plan_print(store_t *st, const char *title)
{
    if (is_sqlite(st)) {
        sqlite_asked((store_sqlite_t *) st, title);

    } else {
        mongo_done((store_mongo_t *) st, title);
    }
}


int
plan_end(store_t *st)
{
    if (!is_sqlite(st)) {
        set_profile((store_mongo_t *) st, 0);
    }

    printf("  %u plans, %u without an index\n", seen, bad);

    return seen > 0 && bad == 0 ? 0 : -1;
}
