/*
 * test_store_schema.c: MongoDB's schema: opening it, bringing it up to date,
 * and that every query goes by an index.
 */

#include "tests/unit/store_test_mongo.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/wrt_bus.h"


static double
now_s(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static void
refused(const char *url, const char *scripts, int migrate, const char *a,
    const char *b)
{
    char      err[1024] = "";
    double    t;
    store_t  *st;

    t = now_s();
    st = store_open(url, scripts, migrate, err, sizeof(err));
    assert_null(st);
    assert_true(now_s() - t < 5);

    if (strstr(err, a) == NULL || strstr(err, b) == NULL) {
        print_error("'%s' lacks '%s' or '%s'\n", err, a, b);
        fail();
    }
}


static void
open_errors(void **state)
{
    (void) state;

    mongo_backend.wipe();

    refused("mongodb://127.0.0.1:1/x", STORE_TEST_SCRIPTS, 1, "MONGODB_URI",
            "is mongod running");
    refused("mongodb://", STORE_TEST_SCRIPTS, 1, "MONGODB_URI",
            "mongodb://[user:password@]host");
    refused("mongodb://h/?replicaSet=", STORE_TEST_SCRIPTS, 1, "MONGODB_URI",
            "");
    refused(mongo_backend.url, "/nowhere", 1, "SCRIPTS_DIR",
            "sql_or_mongo_scripts");
    refused(mongo_backend.url, STORE_TEST_SCRIPTS, 0, "has version 0",
            "start writeen-worker");

    store_close(backend_open(&mongo_backend));
    mongo_command(mongo_db, BCON_NEW("update", "schema", "updates", "[", "{",
                              "q", "{", "}", "u", "{", "$set", "{",
                              "version", BCON_INT32(999), "}", "}", "}",
                              "]"), NULL);
    refused(mongo_backend.url, STORE_TEST_SCRIPTS, 1, "has version 999",
            "newer one");
    refused(mongo_backend.url, STORE_TEST_SCRIPTS, 0, "has version 999",
            "newer one");
    mongo_backend.wipe();
}


/* Interrupted and run again: what is there already is no error. */
static void
migrations(void **state)
{
    char       dir[] = "/tmp/writeen-scripts-XXXXXX", sub[256], file[300];
    char       err[1024];
    FILE      *f;
    store_t   *st;

    (void) state;

    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/mongo", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    snprintf(file, sizeof(file), "%s/001_first.json", sub);
    mongo_backend.wipe();

    f = fopen(file, "w");
    fputs("{\"commands\": [{\"create\": \"a\"}, {\"sing\": \"b\"}]}", f);
    fclose(f);
    refused(mongo_backend.url, dir, 1, "001_first.json", "sing");
    refused(mongo_backend.url, dir, 0, "has version 0", "");

    f = fopen(file, "w");
    fputs("{\"commands\": [{\"create\": \"a\"}, {\"create\": \"b\"}]}", f);
    fclose(f);
    st = store_open(mongo_backend.url, dir, 1, err, sizeof(err));
    assert_non_null(st);
    store_close(st);
    st = store_open(mongo_backend.url, dir, 0, err, sizeof(err));
    assert_non_null(st);
    store_close(st);

    f = fopen(file, "w");
    fputs("{\"commands\": 5}", f);
    fclose(f);
    mongo_backend.wipe();
    refused(mongo_backend.url, dir, 1, "001_first.json", "commands");

    f = fopen(file, "w");
    fputs("{\"commands\": [", f);
    fclose(f);
    refused(mongo_backend.url, dir, 1, "001_first.json", "");

    unlink(file);
    rmdir(sub);
    rmdir(dir);
    mongo_backend.wipe();
}


/* An older program did not write which message the last one is. */
static void
upgrade(void **state)
{
    int        k;
    json_t    *v;
    store_t   *st;
    events_t   l = { 0 };

    static const char *const  expected[] = { "'two'", "'Two'", "'one'" };

    (void) state;

    for (k = 0; k < 3; k++) {
        st = backend_open(&mongo_backend);
        events_create(&l, "c1", "direct", "s1 t1", 0);
        events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
        events_message(&l, "c1", 2, "m2", "s1", "two", NULL, 2000);
        events_put(st, &l);

        mongo_command(mongo_db, BCON_NEW("update", "conversations",
                                         "updates", "[", "{", "q", "{", "}",
                                         "u", "{", "$unset", "{",
                                         "metadata.lastMessage.id", "", "}",
                                         "}", "}", "]"), NULL);

        if (k == 0) {
            events_edit(&l, "c1", 3, "m1", "s1", "One", 3000);

        } else if (k == 1) {
            events_edit(&l, "c1", 3, "m2", "s1", "Two", 3000);

        } else {
            events_delete(&l, "c1", 3, "m2", "s1", 3000);
        }

        events_put(st, &l);
        assert_int_equal(store_conversation(st, "c1", NULL, &v), STORE_OK);
        expect_json(json_incref(json_object_get(json_object_get(v,
                                    "lastMessage"), "content")),
                    expected[k]);
        json_decref(v);
        store_close(st);
    }
}


/* The profiler's entries: what each query of the calls below looked at. */
static void
check_profile(void)
{
    int                   n, covered;
    int64_t               examined, returned;
    const char           *plan, *ns;
    bson_t               *query;
    bson_iter_t           it;
    const bson_t         *doc;
    mongoc_cursor_t      *cursor;
    mongoc_collection_t  *c;

    c = mongoc_client_get_collection(mongo_client, mongo_db, "system.profile");
    query = BCON_NEW("op", "{", "$in", "[", "query", "command", "]", "}",
                     "ns", "{", "$ne", BCON_UTF8(""), "}");
    cursor = mongoc_collection_find_with_opts(c, query, NULL, NULL);
    n = 0;
    covered = 0;

    while (mongoc_cursor_next(cursor, &doc)) {
        plan = ns = "";
        examined = returned = -1;

        if (bson_iter_init_find(&it, doc, "ns")) {
            ns = bson_iter_utf8(&it, NULL);
        }
        if (bson_iter_init_find(&it, doc, "planSummary")) {
            plan = bson_iter_utf8(&it, NULL);
        }
        if (bson_iter_init_find(&it, doc, "docsExamined")) {
            examined = bson_iter_as_int64(&it);
        }
        if (bson_iter_init_find(&it, doc, "nreturned")) {
            returned = bson_iter_as_int64(&it);
        }

        if (plan[0] == '\0' || strstr(ns, "system.profile")) {
            continue;
        }

        n++;

        if (strstr(plan, "COLLSCAN")
            || (strstr(ns, ".messages") && examined > returned))
        {
            print_error("%s: %s, %lld examined for %lld\n", ns, plan,
                        (long long) examined, (long long) returned);
            fail();
        }

        /* what is unread is counted without reading a message */
        covered += strstr(ns, ".messages") && returned == 1 && examined == 0;
    }

    assert_true(n > 10);
    assert_int_equal(covered, 3);

    mongoc_cursor_destroy(cursor);
    bson_destroy(query);
    mongoc_collection_destroy(c);
}


static void
plans(void **state)
{
    int           i, more;
    char          id[16];
    json_t       *v;
    int64_t       n;
    store_t      *st;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 5, -1, -1, -1, NULL, 0, 0 };
    store_list_t  list = { "t1", NULL, 0, 1, 20 };

    (void) state;

    st = backend_open(&mongo_backend);
    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s2 t2", 0);

    for (i = 1; i <= 400; i++) {
        sprintf(id, "m%d", i);
        events_reply(&l, i % 2 ? "c1" : "c2", i, id, "s1", "x",
                     i > 100 && i % 20 == 1 ? "m1" : NULL, i * 1000);
        if (i % 10 == 0) {
            events_cursor(&l, "c1", "t1", 'r', i / 4, i * 1000 + 1);
        }
    }
    events_put(st, &l);

    mongo_command(mongo_db, BCON_NEW("profile", BCON_INT32(2)), NULL);

    for (i = 0; i < 8; i++) {
        if (i == 3) {
            continue;   /* a thread before a time: its replies are read */
        }

        q.thread_of = i & 1 ? "m1" : NULL;
        q.before_ms = i >> 1 == 1 ? STORE_TEST_T0 + 250000 : -1;
        q.before_seq = i >> 1 == 2 ? 250 : -1;
        q.after_seq = i >> 1 == 3 ? 50 : -1;
        assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
        assert_int_equal(json_array_size(v), 5);
        json_decref(v);
    }

    assert_int_equal(store_message_full(st, "c1", "m201", &v), STORE_OK);
    json_decref(v);
    events_edit(&l, "c1", 401, "m201", "s1", "y", 401000);
    events_react(&l, "c1", 402, "m203", "s1", "+1", 1, 402000);
    events_delete(&l, "c1", 403, "m399", "s1", 403000);
    events_put(st, &l);
    assert_int_equal(store_changes(st, "c1", 400, 10, &v, &n), STORE_OK);
    assert_string_equal(ids_of(v), "m201 m203 m399");
    assert_int_equal(store_conversation(st, "c1", "t1", &v), STORE_OK);
    assert_int_equal(json_integer_value(json_object_get(v, "unreadCount")),
                     149);
    json_decref(v);
    assert_int_equal(store_unread(st, "t1", &v), STORE_OK);
    assert_int_equal(json_array_size(v), 1);
    json_decref(v);
    assert_int_equal(store_conversations(st, &list, &v, &n), STORE_OK);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(v, 0),
                                                        "unreadCount")),
                     149);
    json_decref(v);
    assert_int_equal(store_conversation_state(st, "c1", &v), STORE_OK);
    json_decref(v);
    assert_int_equal(store_user_rooms(st, "s1", &v), STORE_OK);
    json_decref(v);

    mongo_command(mongo_db, BCON_NEW("profile", BCON_INT32(0)), NULL);
    check_profile();

    store_close(st);
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(open_errors),
        cmocka_unit_test(migrations),
        cmocka_unit_test(upgrade),
        cmocka_unit_test(plans)
    };

    mongo_backend_init();
    failed = cmocka_run_group_tests_name("schema", tests, NULL, NULL);
    mongo_backend_done();

    return failed;
}
