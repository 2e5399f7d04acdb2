/*
 * test_store_mongo.c: the MongoDB store.  store_suite.c has what every store
 * must do; here is what only this one has: there is no transaction, so a
 * batch may stop between any two writes, meet the remains of another one, or
 * run beside a second projector; the server may go away, hang, or refuse a
 * document.  Schema and query plans: test_store_schema.c.
 */

#include "tests/unit/store_test_mongo.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/wrt_bus.h"


/* From the (skip + 1)-th of these commands on the server fails, of clients
 * with this name only; NULL: all.  block_ms: it waits instead. */
static void
fail_from(const char *what, const char *app, int skip, int block_ms)
{
    bson_t  *cmd, data;

    cmd = BCON_NEW("configureFailPoint", "failCommand",
                   "mode", "{", "skip", BCON_INT32(skip), "}");
    BSON_APPEND_DOCUMENT_BEGIN(cmd, "data", &data);
    BCON_APPEND(&data, "failCommands", "[", BCON_UTF8(what), "]");

    if (app) {
        BSON_APPEND_UTF8(&data, "appName", app);
    }

    if (block_ms) {
        BSON_APPEND_BOOL(&data, "blockConnection", true);
        BSON_APPEND_INT32(&data, "blockTimeMS", block_ms);

    } else {
        BSON_APPEND_BOOL(&data, "closeConnection", true);
    }

    bson_append_document_end(cmd, &data);
    mongo_command("admin", cmd, NULL);
}


static void
fail_never(void)
{
    mongo_command("admin", BCON_NEW("configureFailPoint", "failCommand",
                              "mode", "off"), NULL);
}


static double
now_s(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static json_t *
look(store_t *st)
{
    return snapshot(st, "c1 c2 c3", "s1 s2 t1");
}


/* What the story must end in, whatever happened on the way. */
static json_t *
expected_of(void (*story)(events_t *))
{
    json_t    *v;
    store_t   *st;
    events_t   l = { 0 };

    st = backend_open(&mongo_backend);
    story(&l);
    events_put(st, &l);
    v = look(st);
    store_close(st);

    return v;
}


/* All in a batch that stops before each of its writes of a kind in turn, and
 * comes again, in two pieces (0: in one).  Returns how many there were. */
static int
stop_each(const events_t *l, const json_t *expected, const char *command,
    size_t piece)
{
    int          skip, stopped;
    char         err[512];
    size_t       bad;
    json_t      *got;
    store_t     *st;
    store_rc_t   rc;

    for (skip = 0, stopped = 1; stopped; skip++) {
        st = backend_open(&mongo_backend);

        fail_from(command, NULL, skip, 0);
        rc = store_apply(st, l->ev, l->n, &bad);
        fail_never();

        stopped = (rc != STORE_OK);
        if (stopped) {
            assert_int_equal(rc, STORE_DOWN);
            assert_non_null(strstr(store_error(st), "MongoDB"));

            /* comes again as another process: a client that was cut off
             * waits before it connects, which `killed` and others see */
            store_close(st);
            st = store_open(mongo_backend.url, STORE_TEST_SCRIPTS, 0, err,
                            sizeof(err));
            assert_non_null(st);
        }

        assert_int_equal(events_apply(st, l, 0, piece), 0);
        assert_int_equal(events_apply(st, l, piece, l->n), 0);

        got = look(st);
        expect_equal(got, expected, command);
        json_decref(got);
        store_close(st);
    }

    return skip;
}


static void
stopped_anywhere(void **state)
{
    size_t     c, piece;
    json_t    *expected;
    events_t   l = { 0 };

    static const char *const  commands[] = {
        "insert", "update", "find", "delete", "aggregate"
    };

    (void) state;

    expected = expected_of(events_all);
    events_all(&l);

    for (c = 0; c < UNIT_COUNT(commands); c++) {
        for (piece = 0; piece <= 5; piece += 5) {

            /* it was really stopped in several places; counted is once */
            assert_true(stop_each(&l, expected, commands[c], piece)
                        > (c + 1 < UNIT_COUNT(commands) ? 2 : 1));
        }
    }

    json_decref(expected);
    events_free(&l);
}


/* What is stored without its clientMessageId is known again. */
static void
stopped_once(void **state)
{
    size_t     piece;
    json_t    *expected;
    events_t   l = { 0 };

    (void) state;

    expected = expected_of(events_once);
    events_once(&l);

    for (piece = 0; piece <= 8; piece += 8) {
        assert_true(stop_each(&l, expected, "insert", piece) > 4);
        assert_true(stop_each(&l, expected, "update", piece) > 2);
        assert_true(stop_each(&l, expected, "find", piece) > 4);
    }

    json_decref(expected);
    events_free(&l);
}


/* What a batch under way has written is not shown before it counts. */
static void
under_way(void **state)
{
    int           more;
    size_t        bad;
    json_t       *v;
    int64_t       upto;
    store_t      *st;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    st = backend_open(&mongo_backend);
    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "x", NULL, 1000);
    events_put(st, &l);

    events_message(&l, "c1", 2, "m2", "s1", "x", NULL, 2000);
    fail_from("update", NULL, 0, 0);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_DOWN);
    fail_never();

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m1");
    q.after_seq = 0;
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m1");
    q.after_seq = -1;
    q.before_seq = 99;
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m1");
    q.before_ms = STORE_TEST_T0 + 99999;
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m1");
    assert_int_equal(store_message(st, "c1", "m2", &v), STORE_NOT_FOUND);
    assert_int_equal(store_changes(st, "c1", 0, 10, &v, &upto), STORE_OK);
    assert_string_equal(ids_of(v), "m1");
    assert_int_equal(upto, 1);

    q.before_ms = -1;
    q.before_seq = -1;
    q.applied = 1;
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m1");
    q.applied = 0;

    events_put(st, &l);
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m2 m1");
    store_close(st);
}


static void
change_is(store_t *st, int64_t after, const char *id, int64_t seq,
    const char *content)
{
    size_t    i;
    json_t   *list, *m;
    int64_t   upto;

    assert_int_equal(store_changes(st, "c1", after, 10, &list, &upto),
                     STORE_OK);
    assert_int_equal(upto, 3);

    json_array_foreach(list, i, m) {
        if (strcmp(json_string_value(json_object_get(m, "id")), id) == 0) {
            assert_int_equal(json_integer_value(json_object_get(m,
                                 "changeSeq")), seq);
            expect_json(json_incref(json_object_get(m, "content")), content);
            break;
        }
    }

    assert_int_equal(i < json_array_size(list), seq > after);
    json_decref(list);
}


/* A change under way is seen, but under the number of the last one that
 * counts: who catches up is told of its own later. */
static void
change_under_way(void **state)
{
    int        k;
    size_t     bad;
    json_t    *v;
    int64_t    upto;
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    st = backend_open(&mongo_backend);
    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "s1", "two", NULL, 2000);
    events_react(&l, "c1", 3, "m1", "t1", "+1", 1, 3000);
    events_put(st, &l);

    events_edit(&l, "c1", 4, "m1", "s1", "One", 4000);
    events_edit(&l, "c1", 5, "m1", "s1", "ONE", 5000);
    events_delete(&l, "c1", 6, "m2", "s1", 6000);
    events_message(&l, "c1", 7, "m7", "s1", "seven", NULL, 7000);
    events_edit(&l, "c1", 8, "m7", "s1", "Seven", 8000);

    /* twice: stopped, and stopped again */

    for (k = 0; k < 2; k++) {
        fail_from("update", NULL, 1, 0);
        assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_DOWN);
        fail_never();

        change_is(st, 0, "m1", 3, "{'text':'ONE'}");
        change_is(st, 0, "m2", 2, "{}");
        change_is(st, 0, "m7", 0, "");
        change_is(st, 2, "m1", 3, "{'text':'ONE'}");
        change_is(st, 2, "m2", 2, "");
        change_is(st, 3, "m1", 3, "");
    }

    assert_int_equal(store_message_full(st, "c1", "m1", &v), STORE_OK);
    assert_int_equal(json_integer_value(json_object_get(v, "changeSeq")), 5);
    assert_int_equal(json_array_size(json_object_get(v, "editHistory")), 2);
    json_decref(v);

    events_put(st, &l);
    assert_int_equal(store_changes(st, "c1", 3, 10, &v, &upto), STORE_OK);
    assert_int_equal(upto, 8);
    assert_string_equal(ids_of(v), "m1 m2 m7");
    store_close(st);
}


/*
 * Redis lost its last second with the power, after a batch had stopped half
 * way: other messages get the numbers, the clientMessageId or even the id of
 * what that batch left behind.
 */
static void
remnants(void **state)
{
    int           more;
    size_t        bad;
    json_t       *v;
    store_t      *st;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    st = backend_open(&mongo_backend);
    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "stays", "k1", 1000);
    events_put(st, &l);

    events_message(&l, "c1", 2, "lost2", "s1", "lost", "k2", 2000);
    events_message(&l, "c1", 3, "lost3", "s1", "lost", "k3", 2000);
    events_message(&l, "c1", 4, "same4", "s1", "lost", "k4", 2000);
    events_message(&l, "c1", 5, "lost5", "s1", "lost", "k5", 2000);
    events_message(&l, "c1", 6, "far6", "s1", "lost", "k6", 2000);
    fail_from("update", NULL, 0, 0);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_DOWN);
    fail_never();
    events_free(&l);

    events_message(&l, "c1", 2, "new2", "t1", "number taken", NULL, 3000);
    events_message(&l, "c1", 3, "new3", "s1", "k5 taken", "k5", 3100);
    events_message(&l, "c1", 4, "new4", "s1", "k1 is used", "k1", 3200);
    events_message(&l, "c1", 5, "same4", "s1", "id taken", "k4", 3300);
    events_put(st, &l);

    assert_int_equal(store_conversation(st, "c1", NULL, &v), STORE_OK);
    assert_int_equal(json_integer_value(json_object_get(v, "seq")), 5);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(v, "metadata"), "messageCount")),
                     5);
    json_decref(v);

    events_message(&l, "c1", 6, "new6", "s1", "x", "k7", 4000);
    events_put(st, &l);

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    expect_json(json_incref(json_object_get(json_array_get(v, 1),
                                            "content")),
                "{'text':'id taken'}");
    assert_string_equal(ids_of(v), "new6 same4 new4 new3 new2 m1");

    store_close(st);
}


/* A projector that lost its shard but does not know: its writes hang and
 * arrive when the new owner is far ahead. */
static void
late_projector(void **state)
{
    int        skip, status;
    char       url[600], err[1024];
    size_t     bad;
    pid_t      pid;
    json_t    *expected, *got;
    store_t   *st;
    events_t   l = { 0 };

    (void) state;

    expected = expected_of(events_long);
    events_long(&l);
    snprintf(url, sizeof(url), "%s%sappName=late", mongo_backend.url,
             strchr(mongo_backend.url, '?') ? "&" : "?");

    for (skip = 0; skip < 4; skip++) {
        store_close(backend_open(&mongo_backend));

        fail_from("update", "late", skip, 500);
        pid = fork();
        assert_true(pid >= 0);

        if (pid == 0) {
            /* he knows the first events only */
            st = store_open(url, STORE_TEST_SCRIPTS, 0, err, sizeof(err));
            _exit(st == NULL
                  || store_apply(st, l.ev, 15, &bad) != STORE_OK);
        }

        usleep(150000);
        st = store_open(mongo_backend.url, STORE_TEST_SCRIPTS, 0, err,
                        sizeof(err));
        assert_non_null(st);
        assert_int_equal(events_apply(st, &l, 0, 6), 0);
        assert_int_equal(events_apply(st, &l, 6, l.n), 0);

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        fail_never();

        got = look(st);
        expect_equal(got, expected, "after the late one");
        json_decref(got);
        store_close(st);
    }

    json_decref(expected);
    events_free(&l);
}


/* A document that the server refuses for good must not stop the shard. */
static void
poison(void **state)
{
    int           more;
    size_t        bad;
    json_t       *v;
    store_t      *st;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    st = backend_open(&mongo_backend);
    mongo_command(mongo_db, BCON_NEW("collMod", "messages", "validator", "{",
                              "content.text", "{", "$ne", "poison", "}",
                              "}"), NULL);

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "x", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "s1", "poison", NULL, 2000);
    events_message(&l, "c1", 3, "m3", "s1", "x", NULL, 3000);
    events_message(&l, "c1", 4, "m4", "s1", "poison", NULL, 4000);
    events_message(&l, "c1", 5, "m5", "s1", "x", NULL, 5000);

    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    assert_int_equal(bad, 2);
    assert_non_null(strstr(store_error(st), "m2"));

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m1");

    assert_int_equal(events_apply(st, &l, 3, l.n), 1);
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m5 m3 m1");

    assert_int_equal(store_conversation(st, "c1", NULL, &v), STORE_OK);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(v, "metadata"), "messageCount")),
                     3);
    json_decref(v);

    /* the very first one of a batch */
    assert_int_equal(store_apply(st, l.ev + 4, 1, &bad), STORE_OK);
    events_free(&l);
    events_message(&l, "c1", 6, "m6", "s1", "poison", NULL, 6000);
    assert_int_equal(store_apply(st, l.ev, 1, &bad), STORE_REJECTED);
    assert_int_equal(bad, 0);
    events_free(&l);

    /* one that waits for another with its clientMessageId */
    events_message(&l, "c1", 6, "m6", "t1", "x", "k1", 6000);
    events_message(&l, "c1", 7, "m7", "t1", "poison", "k1", 6000);
    events_message(&l, "c1", 8, "m8", "t1", "y", "k1", 6000);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    assert_int_equal(bad, 1);
    assert_int_equal(events_apply(st, &l, 2, l.n), 0);
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m8 m6 m5 m3 m1");
    events_free(&l);

    /* an edit */
    events_edit(&l, "c1", 9, "m1", "s1", "fine", 7000);
    events_edit(&l, "c1", 10, "m3", "s1", "poison", 8000);
    events_edit(&l, "c1", 11, "m1", "s1", "finer", 9000);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    assert_int_equal(bad, 1);
    assert_non_null(strstr(store_error(st), "m3"));
    assert_int_equal(store_conversation_state(st, "c1", &v), STORE_OK);
    assert_int_equal(json_integer_value(json_object_get(v, "seq")), 9);
    json_decref(v);
    assert_int_equal(events_apply(st, &l, 2, l.n), 0);
    assert_int_equal(store_message_full(st, "c1", "m1", &v), STORE_OK);
    assert_int_equal(json_array_size(json_object_get(v, "editHistory")), 2);
    json_decref(v);

    events_free(&l);
    store_close(st);
    mongo_backend.wipe();       /* with the validator */
}


/* SIGSTOP takes its time with a program of many threads. */
static void
wait_stopped(pid_t pid)
{
    int    i;
    char   path[64], what;
    FILE  *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);

    for (i = 0, what = '?'; what != 'T' && i < 200; i++) {
        usleep(10000);
        f = fopen(path, "r");

        if (f) {
            if (fscanf(f, "%*d %*s %c", &what) != 1) {
                what = '?';
            }
            fclose(f);
        }
    }
}


static void
server_hangs(void **state)
{
    double       t;
    pid_t        pid;
    store_t     *st;
    store_rc_t   rc;
    const char  *env;

    (void) state;

    env = getenv("WRT_TEST_MONGOD_PID");
    assert_non_null(env);
    pid = (pid_t) atoi(env);
    assert_true(pid > 1);

    st = backend_open(&mongo_backend);
    assert_int_equal(store_ping(st), STORE_OK);

    assert_int_equal(kill(pid, SIGSTOP), 0);
    wait_stopped(pid);
    t = now_s();
    rc = store_ping(st);
    t = now_s() - t;
    assert_int_equal(kill(pid, SIGCONT), 0);

    assert_int_equal(rc, STORE_DOWN);
    assert_true(t < 4.5);
    assert_non_null(strstr(store_error(st), "ping"));

    /* it is found again by itself */

    t = now_s();
    while (store_ping(st) != STORE_OK) {
        assert_true(now_s() - t < 15);
        usleep(100000);
    }

    store_close(st);
}


static void
killed(void **state)
{
    (void) state;
    store_killed(&mongo_backend);
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(stopped_anywhere),
        cmocka_unit_test(stopped_once),
        cmocka_unit_test(under_way),
        cmocka_unit_test(change_under_way),
        cmocka_unit_test(remnants),
        cmocka_unit_test(late_projector),
        cmocka_unit_test(poison),
        cmocka_unit_test(killed),
        cmocka_unit_test(server_hangs)
    };

    mongo_backend_init();

    failed = store_suite(&mongo_backend, tests, UNIT_COUNT(tests));

    mongo_backend_done();

    return failed;
}
