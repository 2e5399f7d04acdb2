/*
 * test_store_sqlite.c: the SQLite store.  store_suite.c has what every store
 * must do; here is what only this one has: a file that several processes
 * open, its schema's versions, plans of its queries, and the text index that
 * must stay in step.
 */

#include "tests/unit/store_test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/store/sqlite/store_sqlite.h"

static char  dir[] = "/tmp/writeen-scripts-XXXXXX";


static const char *
path(void)
{
    return sqlite_backend.url + strlen("sqlite:");
}


static sqlite3 *
raw(void)
{
    sqlite3  *db;

    assert_int_equal(sqlite3_open(path(), &db), SQLITE_OK);

    return db;
}


static void
run(sqlite3 *db, const char *sql)
{
    char  *err;

    err = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &err) != SQLITE_OK) {
        print_error("%s: %s\n", sql, err);
        fail();
    }
}


static int
number(sqlite3 *db, const char *sql)
{
    int            n;
    sqlite3_stmt  *s;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);

    return n;
}


static double
now_s(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


/* Opening fails, and the text has these words. */
static void
refused(const char *url, const char *scripts, int migrate, const char *a,
    const char *b)
{
    char      err[1024] = "";
    store_t  *st;

    st = store_open(url, scripts, migrate, err, sizeof(err));
    assert_null(st);

    if (strstr(err, a) == NULL || strstr(err, b) == NULL) {
        print_error("'%s' lacks '%s' or '%s'\n", err, a, b);
        fail();
    }
}


static void
open_errors(void **state)
{
    FILE     *f;
    sqlite3  *db;

    (void) state;

    sqlite_backend.wipe();

    refused("sqlite:/nowhere/at/all.db", STORE_TEST_SCRIPTS, 1,
            "SQLITE_PATH: /nowhere/at/all.db", "directory must exist");
    refused("sqlite:", STORE_TEST_SCRIPTS, 1, "SQLITE_PATH", "name a file");
    refused("sqlite:/tmp", STORE_TEST_SCRIPTS, 1, "SQLITE_PATH: /tmp",
            "unable to open");
    refused("postgres://x", STORE_TEST_SCRIPTS, 1, "STORE", "sqlite:");
    refused(sqlite_backend.url, "/nowhere", 1, "SCRIPTS_DIR",
            "sql_or_mongo_scripts");
    refused(sqlite_backend.url, "/", 1, "SCRIPTS_DIR: cannot read",
            "sql_or_mongo_scripts");

    /* without migrating: no file, no schema */

    sqlite_backend.wipe();
    refused(sqlite_backend.url, STORE_TEST_SCRIPTS, 0, "SQLITE_PATH",
            "unable to open");
    assert_int_not_equal(access(path(), F_OK), 0);

    db = raw();
    run(db, "CREATE TABLE other (x)");
    refused(sqlite_backend.url, STORE_TEST_SCRIPTS, 0, "has version 0",
            "start writeen-worker");
    run(db, "PRAGMA user_version = 999");
    refused(sqlite_backend.url, STORE_TEST_SCRIPTS, 1, "has version 999",
            "newer one");
    sqlite3_close(db);

    sqlite_backend.wipe();
    f = fopen(path(), "w");
    fputs("This is not a database, however long the text may be. It only"
          " has to be longer than a header of one hundred bytes.", f);
    fclose(f);
    refused(sqlite_backend.url, STORE_TEST_SCRIPTS, 1, "SQLITE_PATH",
            "database of this program");

    /* its header is good, what comes after it is not */

    sqlite_backend.wipe();
    db = raw();
    run(db, "CREATE TABLE other (x)");
    sqlite3_close(db);
    f = fopen(path(), "r+");
    assert_int_equal(fseek(f, 100, SEEK_SET), 0);
    fputs("damage", f);
    fclose(f);
    refused(sqlite_backend.url, STORE_TEST_SCRIPTS, 1, "SQLITE_PATH",
            "restore it from a backup");

    sqlite_backend.wipe();
}


static void
script(const char *name, const char *text)
{
    FILE  *f;
    char   file[256];

    snprintf(file, sizeof(file), "%s/sqlite/%s", dir, name);
    f = fopen(file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}


static void
remove_script(const char *name)
{
    char  file[256];

    snprintf(file, sizeof(file), "%s/sqlite/%s", dir, name);
    assert_int_equal(unlink(file), 0);
}


static void
migrations(void **state)
{
    char       err[1024], sub[256];
    sqlite3   *db;
    store_t   *st;

    (void) state;

    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/sqlite", dir);
    assert_int_equal(mkdir(sub, 0700), 0);

    sqlite_backend.wipe();
    refused(sqlite_backend.url, dir, 1, "SCRIPTS_DIR", "NNN_name.sql");

    script("001_first.sql", "CREATE TABLE conversation (n);"
                            "CREATE TABLE first (x);");
    script("003_third.sql", "CREATE TABLE third (x);");
    script("README.sql", "not a migration");
    script("01_short.sql", "not one either");
    refused(sqlite_backend.url, dir, 1, "expected number 002",
            "003_third.sql");

    /* the second one fails half-way: nothing of it stays */

    script("002_second.sql", "CREATE TABLE second (x); SELECT nonsense;");
    refused(sqlite_backend.url, dir, 1, "002_second.sql", "nonsense");

    db = raw();
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE"
                                " name IN ('first', 'second')"), 1);

    /* put right: it goes on where it stopped */

    script("002_second.sql", "CREATE TABLE second (x);");
    st = store_open(sqlite_backend.url, dir, 1, err, sizeof(err));
    assert_non_null(st);
    store_close(st);

    assert_int_equal(number(db, "PRAGMA user_version"), 3);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE"
                                " name IN ('first', 'second', 'third')"), 3);
    sqlite3_close(db);

    /* an older program does not touch it */

    remove_script("003_third.sql");
    refused(sqlite_backend.url, dir, 1, "has version 3", "knows up to 2");

    remove_script("001_first.sql");
    remove_script("002_second.sql");
    remove_script("README.sql");
    remove_script("01_short.sql");
    rmdir(sub);
    rmdir(dir);
    sqlite_backend.wipe();
}


/* The first schema, with somebody's messages. */
static void
make_first_schema(void)
{
    char      sql[16384];
    FILE     *f;
    size_t    n;
    sqlite3  *db;

    f = fopen(STORE_TEST_SCRIPTS "/sqlite/001_initial.sql", "r");
    assert_non_null(f);
    n = fread(sql, 1, sizeof(sql) - 1, f);
    assert_true(n > 1000 && n < sizeof(sql) - 1);
    sql[n] = '\0';
    fclose(f);

    sqlite_backend.wipe();
    db = raw();
    run(db, sql);
    run(db, "INSERT INTO conversation VALUES (1, 'c1', 'direct', NULL, NULL,"
            " '{}', NULL, 's1', 1705312800000, 1705312802000, NULL,"
            " 1705312802000, 2, 2, 1705312802000, 't1', 'text', 'two');"
            "INSERT INTO member (conversation, user, role, permissions,"
            " position, joined_at, join_seq) VALUES (1, 's1', 'student', 15,"
            " 0, 1705312800000, 0), (1, 't1', 'tutor', 15, 1,"
            " 1705312800000, 0);"
            "INSERT INTO message (n, conversation, seq, change_seq, id,"
            " sender, type, content, created_at, updated_at) VALUES"
            " (1, 1, 1, 1, 'm1', 's1', 'text', '{\"text\":\"one\"}',"
            " 1705312801000, 1705312801000),"
            " (2, 1, 2, 2, 'm2', 't1', 'text', '{\"text\":\"two\"}',"
            " 1705312802000, 1705312802000);"
            "INSERT INTO message_fts (rowid, text) VALUES (1, 'one'),"
            " (2, 'two');"
            "INSERT INTO user VALUES ('s1', 'Ani', NULL, 'student');"
            "PRAGMA user_version = 1");
    sqlite3_close(db);
}


/* What an older program wrote can be read, and changed. */
static void
upgrade(void **state)
{
    char       err[1024];
    json_t    *v;
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    make_first_schema();
    st = store_open(sqlite_backend.url, STORE_TEST_SCRIPTS, 1, err,
                    sizeof(err));
    assert_non_null(st);

    events_edit(&l, "c1", 3, "m2", "t1", "Two", 3000);
    events_delete(&l, "c1", 4, "m1", "s1", 4000);
    events_set(&l, "c1", 5, "s1", json_of("{'block':{'userId':'t1','by':"
                                          "'s1','on':true}}"), 5000);
    events_profile(&l, "s1", "Ani W.", NULL, "student");
    events_put(st, &l);

    assert_int_equal(store_message_full(st, "c1", "m2", &v), STORE_OK);
    expect_json(json_incref(json_object_get(v, "editHistory")),
                "[{'editedAt':'2024-01-15T10:00:03.000Z',"
                "'previousContent':'two','editedBy':'t1','seq':3}]");
    json_decref(v);
    assert_int_equal(store_conversation(st, "c1", "s1", &v), STORE_OK);
    expect_json(json_incref(json_object_get(json_object_get(v,
                                                "lastMessage"), "content")),
                "'Two'");
    expect_json(json_incref(json_object_get(v, "unreadCount")), "1");
    json_decref(v);
    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_OK);
    expect_json(v, "{'id':'s1','name':'Ani W.','avatar':null,"
                "'role':'student'}");

    store_close(st);
    sqlite_backend.wipe();
}


typedef struct {
    off_t     size;     /* of the WAL */
    unsigned  grown;    /* so often it was another one */
} growth_t;


static void
watch_wal(void *data)
{
    char         file[1024];
    growth_t    *g;
    struct stat  sb;

    g = data;
    snprintf(file, sizeof(file), "%s-wal", path());

    if (stat(file, &sb) == 0 && sb.st_size != g->size) {
        g->size = sb.st_size;
        g->grown++;
    }
}


/* Who wants to rest while a batch is stored may do so within the commit, too:
 * all pages are written there. */
static void
rests_in_a_commit(void **state)
{
    store_t   *st;
    events_t   l = { 0 };
    growth_t   g = { 0 };

    (void) state;

    st = backend_open(&sqlite_backend);
    watch_wal(&g);
    g.grown = 0;

    store_on_work(st, watch_wal, &g);
    events_story(&l, 500);
    events_put(st, &l);
    assert_in_range(g.grown, 20, 10000);

    store_close(st);
    sqlite_backend.wipe();
}


/* A reader sees the last commit while somebody writes, and does not wait. */
static void
readers_do_not_wait(void **state)
{
    double     t;
    json_t    *before, *during;
    sqlite3   *db;
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    st = backend_open(&sqlite_backend);
    events_story(&l, 50);
    events_put(st, &l);
    before = snapshot(st, "c1 c2", "s1 t1");

    db = raw();
    run(db, "BEGIN IMMEDIATE; DELETE FROM message; DELETE FROM member;");

    t = now_s();
    during = snapshot(st, "c1 c2", "s1 t1");
    assert_int_equal(store_ping(st), STORE_OK);
    assert_true(now_s() - t < 1.0);
    expect_equal(during, before, "while another process writes");

    run(db, "ROLLBACK");
    sqlite3_close(db);
    json_decref(before);
    json_decref(during);
    store_close(st);
}


static void
tidy_all(store_t *st)
{
    int  more;

    do {
        assert_int_equal(store_tidy(st, &more), STORE_OK);
    } while (more);
}


/* Do these bytes stand anywhere in the database's files? */
static int
on_disk(const char *text)
{
    int          found;
    char         file[1024], *p;
    FILE        *f;
    size_t       n;
    struct stat  info;

    static const char *const  tails[] = { "", "-wal" };

    found = 0;

    for (unsigned i = 0; i < 2; i++) {
        snprintf(file, sizeof(file), "%s%s", path(), tails[i]);
        f = fopen(file, "r");
        assert_non_null(f);
        assert_int_equal(fstat(fileno(f), &info), 0);
        p = malloc((size_t) info.st_size + 1);
        n = fread(p, 1, (size_t) info.st_size, f);

        for (size_t k = 0; k + strlen(text) <= n; k++) {
            found |= memcmp(p + k, text, strlen(text)) == 0;
        }

        free(p);
        fclose(f);
    }

    return found;
}


/* A user's profile is the last of him that goes, long after his messages were
 * tidied away: it does not stay in the file's old pages either. */
static void
erased_on_disk(void **state)
{
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    st = backend_open(&sqlite_backend);
    events_profile(&l, "s1", "Markernama", NULL, "student");
    events_add(&l, WRT_EV_LIFE, "-", 0, "", "",
               json_of("{'op':'erase','userId':'s1','alias':'erased-1',"
                       "'by':'adm','at':'2024-01-16T10:00:00.000Z'}"), NULL);
    events_put(st, &l);
    tidy_all(st);
    assert_true(on_disk("Markernama"));

    events_add(&l, WRT_EV_LIFE, "-", 0, "", "",
               json_of("{'op':'erased','userId':'s1','alias':'erased-1',"
                       "'by':'adm','at':'2024-01-16T10:00:01.000Z'}"), NULL);
    events_put(st, &l);
    tidy_all(st);
    assert_false(on_disk("Markernama"));

    store_close(st);
}


static void
writer_waits(void **state)
{
    int        status;
    size_t     bad;
    pid_t      pid;
    int        ready[2];
    char       c;
    sqlite3   *db;
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    st = backend_open(&sqlite_backend);
    events_story(&l, 20);

    /* a short lock is waited for */

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        db = raw();
        run(db, "BEGIN IMMEDIATE");
        if (write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        usleep(300000);
        run(db, "COMMIT");
        sqlite3_close(db);
        _exit(0);
    }

    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);

    /* a long one is an answer: try again later */

    db = raw();
    run(db, "BEGIN IMMEDIATE");
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_DOWN);
    assert_non_null(strstr(store_error(st), "locked"));
    run(db, "COMMIT");
    sqlite3_close(db);

    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);
    store_close(st);
}


/* synchronous=FULL in WAL mode, seen from inside; nobody else may read. */
static void
durable(void **state)
{
    store_t         *base;
    struct stat      sb;
    store_sqlite_t  *st;

    (void) state;

    base = backend_open(&sqlite_backend);
    st = (store_sqlite_t *) base;
    assert_int_equal(stat(path(), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_int_equal(number(st->db, "PRAGMA synchronous"), 2);
    assert_int_equal(number(st->db, "SELECT journal_mode = 'wal'"
                                    " FROM pragma_journal_mode"), 1);
    store_close(base);
}


static void
text_index(void **state)
{
    sqlite3   *db;
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    st = backend_open(&sqlite_backend);
    events_create(&l, "c1", "group", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "Please review it", "k1", 1000);
    events_message(&l, "c1", 2, "m2", "s1", "Please review it", "k1", 2000);
    events_message(&l, "c1", 3, "m3", "t1", "Caf\xc3\xa9 review", NULL, 3000);
    events_member(&l, 'j', "c1", 4, "m4", "t1", "s2", 4000, NULL);
    events_message(&l, "c1", 5, "m5", "t1", "review", NULL, 5000);
    events_message(&l, "c1", 6, "m6", "t1", "other review", NULL, 6000);
    events_edit(&l, "c1", 7, "m5", "t1", "nothing", 7000);
    events_edit(&l, "c1", 8, "m5", "t1", "nothing of it", 8000);
    events_edit(&l, "c1", 9, "m4", "t1", "nothing either", 9000);
    events_delete(&l, "c1", 10, "m6", "t1", 10000);
    events_put(st, &l);
    store_close(st);

    db = raw();
    assert_int_equal(number(db, "SELECT count(*) FROM message_words"
                                " WHERE message_words MATCH 'review'"), 2);
    assert_int_equal(number(db, "SELECT m.seq FROM message_words f"
                                " JOIN message m ON m.n = f.rowid"
                                " WHERE f.message_words MATCH 'cafe'"), 3);
    assert_int_equal(number(db, "SELECT count(*) FROM message_words"
                                " WHERE message_words MATCH 'nothing'"), 2);
    sqlite3_close(db);
}


/* By room, in one room, and by time: a short beginning of a word, for somebody
 * who is in many rooms. */
static void
search_everywhere(store_t *base)
{
    int              i, more;
    char             id[32];
    json_t          *v;
    events_t         l = { 0 };
    store_search_t   q = WISH("s1", "x", NULL, NULL, NULL, -1, -1, 1, 20);

    assert_int_equal(store_search(base, &q, &v, &more), STORE_OK);
    json_decref(v);

    q.conversation = "c1";
    assert_int_equal(store_search(base, &q, &v, &more), STORE_OK);
    json_decref(v);

    for (i = 0; i < 350; i++) {
        snprintf(id, sizeof(id), "many_%d", i);
        events_create(&l, id, "group", "s1", 0);
    }

    events_put(base, &l);

    q.conversation = NULL;
    q.q = "x*";
    assert_int_equal(store_search(base, &q, &v, &more), STORE_OK);
    assert_int_equal(json_array_size(v), 20);
    json_decref(v);
}


/* Every statement that the suite's calls prepare goes by an index. */
static void
plans(void **state)
{
    int              i, n, covered;
    char             sql[4096];
    json_t          *v;
    store_t         *base;
    events_t         l = { 0 };
    const char      *detail;
    sqlite3_stmt    *s;
    store_page_t     q = { "c1", 1, 5, -1, -1, -1, NULL, 0, 0 };
    store_sqlite_t  *st;

    (void) state;

    base = backend_open(&sqlite_backend);
    st = (store_sqlite_t *) base;

    events_story(&l, 100);
    events_sessions(&l, "c1", "s1");
    events_consultation(&l, "c9", "k9", 0);
    events_message(&l, "c9", 1, "m9", "s1", "x", "k1", 0);
    events_message(&l, "c9", 2, "m10", "s1", "y", "k1", 0);
    events_gone(&l, "c3");
    events_erased(&l, "c3");
    events_put(base, &l);
    json_decref(snapshot(base, "c1", "s1"));

    for (i = 0; i < 8; i++) {
        q.thread_of = i & 1 ? "m1" : NULL;
        q.before_ms = i >> 1 == 1 ? STORE_TEST_T0 + 500 : -1;
        q.before_seq = i >> 1 == 2 ? 20 : -1;
        q.after_seq = i >> 1 == 3 ? 20 : -1;
        assert_int_equal(store_messages(base, &q, &v, &n), STORE_OK);
        json_decref(v);
    }

    assert_int_equal(store_message_full(base, "c1", "m1", &v), STORE_OK);
    json_decref(v);
    assert_int_equal(store_message_sent(base, "c1", "s1", "k0", &v),
                     STORE_OK);
    json_decref(v);
    assert_int_equal(store_conversation(base, "c1", "s1", &v), STORE_OK);
    json_decref(v);
    assert_int_equal(store_consultation(base, "k9", &v), STORE_OK);
    json_decref(v);

    search_everywhere(base);

    covered = 0;

    for (i = 0; i < SQ_MAX; i++) {
        if (st->stmt[i] == NULL || i == SQ_PING) {
            continue;
        }

        snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s",
                 sqlite3_sql(st->stmt[i]));
        assert_int_equal(sqlite3_prepare_v2(st->db, sql, -1, &s, NULL),
                         SQLITE_OK);

        while (sqlite3_step(s) == SQLITE_ROW) {
            detail = (const char *) sqlite3_column_text(s, 3);

            /* the two short lists of store_changes() are scanned, as is the
             * one row of sq_new_key(), and rooms and ratings are put in order,
             * as no index can; what FTS5 scans is its index */

            if ((strncmp(detail, "SCAN", 4) == 0 && i != SQ_CHANGES
                 && i != SQ_KEY && !strstr(detail, "VIRTUAL TABLE INDEX")
                 && strcmp(detail, "SCAN CONSTANT ROW") != 0)
                || (strstr(detail, "TEMP B-TREE") && i != SQ_CONVS
                    && i != SQ_UNREAD_ALL && i != SQ_SEARCH_ROOMS
                    && i != SQ_MEMBERS && i != SQ_STATE_MEMBERS
                    && i != SQ_CHANGES && i != SQ_RATINGS
                    && i != SQ_TRACES))
            {
                print_error("%s: %s\n", sql, detail);
                fail();
            }

            /* what is unread is counted without reading a message */

            covered += (i == SQ_UNREAD || i == SQ_UNREAD_ALL)
                       && strstr(detail, "COVERING INDEX message_seq");
        }

        sqlite3_finalize(s);
    }

    /* all but the one for a conversation that only its number moves */
    for (n = 0, i = 0; i < SQ_MAX; i++) {
        n += st->stmt[i] != NULL;
    }
    assert_in_range(n, SQ_MAX - 3, SQ_MAX);
    assert_int_equal(covered, 2);

    store_close(base);
}


static void
killed(void **state)
{
    (void) state;
    store_killed(&sqlite_backend);
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(open_errors),
        cmocka_unit_test(migrations),
        cmocka_unit_test(upgrade),
        cmocka_unit_test(rests_in_a_commit),
        cmocka_unit_test(readers_do_not_wait),
        cmocka_unit_test(erased_on_disk),
        cmocka_unit_test(writer_waits),
        cmocka_unit_test(durable),
        cmocka_unit_test(text_index),
        cmocka_unit_test(plans),
        cmocka_unit_test(killed)
    };

    sqlite_backend_init();
    failed = store_suite(&sqlite_backend, tests, UNIT_COUNT(tests));
    sqlite_backend_done();

    return failed;
}
