/*
 * store_suite_session.c: consultations and sessions.  See store_suite.c.
 *
 * Without these a summary that comes late could undo a later one, a transcript
 * be put together of two attempts, or a message be told to belong to another
 * consultation than the one it was sent in.
 */

#include "tests/unit/store_suite.h"

#include "common/wrt_bus.h"


static json_t *
get_session(const char *id)
{
    json_t  *v;

    assert_int_equal(store_session(st, id, &v), STORE_OK);

    return v;
}


static json_t *
get_consult(const char *id)
{
    json_t  *v;

    assert_int_equal(store_consultation(st, id, &v), STORE_OK);

    return v;
}


static const char *
listed(const char *user, const char *conversation, const char *consultation,
    const char *type, const char *status)
{
    json_t            *v;
    int64_t            total;
    store_sessions_t   q = { user, conversation, consultation, type, status,
                             0, 1, 100, 0, 0 };

    assert_int_equal(store_sessions(st, &q, &v, &total), STORE_OK);
    assert_int_equal(total, json_array_size(v));

    return ids_of(v);
}


/* Those of a room that have some of these numbers. */
static const char *
listed_at(const char *conversation, int64_t from, int64_t to)
{
    json_t            *v;
    int64_t            total;
    store_sessions_t   q = { NULL, conversation, NULL, NULL, NULL, 1, 1, 100,
                             from, to };

    assert_int_equal(store_sessions(st, &q, &v, &total), STORE_OK);
    assert_int_equal(total, json_array_size(v));

    return ids_of(v);
}


/* {"consultation": ..., "session": ...} */
static json_t *
set_of(json_t *consult, json_t *session)
{
    json_t  *set;

    set = json_object();

    if (consult) {
        json_object_set_new(set, "consultation", consult);
    }

    if (session) {
        json_object_set_new(set, "session", session);
    }

    return set;
}


static json_t *
session_of(const char *id, int rev, const char *status, int64_t from,
    int64_t to, int64_t start, int64_t end)
{
    json_t  *s;

    s = events_session("c1", id, rev, status, from, to, start, end);
    json_object_set_new(s, "consultationId", json_string("k1"));
    json_object_set_new(s, "sessionType", json_string("consultation"));

    return s;
}


/* From its confirmation to its end, and the room afterwards. */
static void
life(void **state)
{
    int       i;
    events_t  l = { 0 };

    (void) state;

    events_consultation(&l, "c1", "k1", 0);
    events_put(st, &l);

    expect_json(pick(get_conv("c1"), "consultationId", NULL), "'k1'");
    expect_json(pick(get_conv("c1"), "consultationStatus", NULL),
                "'confirmed'");
    expect_json(pick(get_conv("c1"), "sessionId", NULL), "null");
    expect_json(pick(get_state("c1"), "consultationId", NULL), "'k1'");
    expect_json(get_consult("k1"),
                "{'id':'k1','conversationId':'c1','status':'confirmed',"
                "'fromSeq':0,'context':{'topic':'first'},"
                "'createdAt':'2024-01-15T10:00:00.000Z',"
                "'updatedAt':'2024-01-15T10:00:00.000Z'}");

    events_started(&l, "c1", 1, "m1", "t1",
                   set_of(events_consult("k1", "started", "c", 1000),
                          session_of("x1", 1, "active", 1, -1, 1000, 0)),
                   1000);
    events_message(&l, "c1", 2, "m2", "s1", "hello", NULL, 2000);

    for (i = 0; i < 2; i++) {
        assert_int_equal(events_apply(st, &l, 0, l.n), 0);
        expect_json(pick(get_conv("c1"), "sessionId", NULL), "'x1'");
        expect_json(pick(get_conv("c1"), "consultationStatus", NULL),
                    "'started'");
        expect_json(pick(get_session("x1"), "status", NULL), "'active'");
        expect_json(pick(get_session("x1"), "endTime", NULL), "null");
        expect_json(pick(get_consult("k1"), "context", "topic"), "'first'");
        assert_string_equal(listed_at("c1", 1, 1), "x1");
        assert_string_equal(listed_at("c1", 900, 901), "x1");
    }

    events_free(&l);
    events_set(&l, "c1", 3, "t1",
               set_of(events_consult("k1", "ended", "c", 3000),
                      session_of("x1", 2, "ended", 1, 3, 1000, 3000)), 3000);
    events_put(st, &l);

    expect_json(pick(get_conv("c1"), "sessionId", NULL), "null");
    expect_json(pick(get_conv("c1"), "consultationStatus", NULL), "'ended'");
    expect_json(pick(get_session("x1"), "endTime", NULL),
                "'2024-01-15T10:00:03.000Z'");
    expect_json(pick(get_session("x1"), "startTime", NULL),
                "'2024-01-15T10:00:01.000Z'");
    expect_json(pick(get_session("x1"), "sessionType", NULL),
                "'consultation'");
    assert_string_equal(listed(NULL, NULL, NULL, NULL, "ended"), "x1");
    assert_string_equal(listed("s1", NULL, "k1", NULL, NULL), "x1");
    assert_string_equal(listed("s9", NULL, "k1", NULL, NULL), "");
    assert_string_equal(listed(NULL, "c2", NULL, NULL, NULL), "");
    assert_string_equal(listed(NULL, NULL, NULL, "general", NULL), "");
    assert_string_equal(listed_at("c1", 3, 3), "x1");
    assert_string_equal(listed_at("c1", 0, 1), "x1");
    assert_string_equal(listed_at("c1", 2, (int64_t) 1 << 53), "x1");
    assert_string_equal(listed_at("c1", 4, 9), "");
    assert_string_equal(listed_at("c2", 1, 3), "");
}


/* A follow-up in the same room: whose are the messages? */
static void
follow_up(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_consultation(&l, "c1", "k1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    v = events_consult("k2", "confirmed", "fc", 2000);
    json_object_set_new(v, "context", json_pack("{s:s}", "topic", "second"));
    events_set(&l, "c1", 2, "t1", set_of(v, NULL), 2000);
    events_message(&l, "c1", 3, "m3", "s1", "three", NULL, 3000);
    /* of the first one, afterwards */
    events_set(&l, "c1", 4, "t1",
               set_of(events_consult("k1", "cancelled", "", 4000), NULL),
               4000);
    events_put(st, &l);

    expect_json(pick(get_conv("c1"), "consultationId", NULL), "'k2'");
    expect_json(pick(get_conv("c1"), "consultationStatus", NULL),
                "'confirmed'");
    expect_json(pick(get_conv("c1"), "context", "topic"), "'second'");
    expect_json(pick(get_consult("k1"), "status", NULL), "'cancelled'");
    expect_json(pick(get_consult("k1"), "context", "topic"), "'first'");
    expect_json(pick(get_consult("k2"), "fromSeq", NULL), "2");
    expect_json(pick(get_msg("c1", "m1"), "consultationId", NULL), "'k1'");
    expect_json(pick(get_msg("c1", "m3"), "consultationId", NULL), "'k2'");

    /* no room takes another's, and what nobody began is none */
    events_create(&l, "c2", "group", "s1 t1", 0);
    events_set(&l, "c2", 1, "t1",
               set_of(events_consult("k2", "ended", "f", 5000), NULL), 5000);
    events_set(&l, "c2", 2, "t1",
               set_of(events_consult("k3", "ended", "", 5000), NULL), 5000);
    events_message(&l, "c2", 3, "n3", "s1", "x", NULL, 6000);
    events_put(st, &l);

    expect_json(pick(get_consult("k2"), "conversationId", NULL), "'c1'");
    expect_json(pick(get_consult("k2"), "status", NULL), "'confirmed'");
    assert_int_equal(store_consultation(st, "k3", &v), STORE_NOT_FOUND);
    v = get_msg("c2", "n3");
    assert_null(json_object_get(v, "consultationId"));
    json_decref(v);
}


static void
put_part(events_t *l, const char *run, int part, int rev, const char *text)
{
    events_record(l, "c1",
                  json_pack("{s:s, s:s, s:s, s:i, s:i, s:s}", "op", "part",
                            "sessionId", "g1", "run", run, "part", part,
                            "rev", rev, "text", text));
}


static void
put_run(events_t *l, const char *run, int rev)
{
    json_t  *s;

    s = events_session("c1", "g1", rev, "completed", 1, 3, 1000, 3000);
    json_object_set_new(s, "transcript",
                        json_pack("{s:s, s:i}", "run", run, "parts", 2));
    events_record(l, "c1",
                  json_pack("{s:s, s:o}", "op", "put", "session", s));
}


static const char *
part_text(const char *run, int part)
{
    static char   text[64];
    json_t       *v;

    if (store_session_part(st, "g1", run, part, &v) != STORE_OK) {
        return NULL;
    }

    strcpy(text, json_string_value(v));
    json_decref(v);

    return text;
}


/* Two make it at the same time; later it is made anew. */
static void
transcripts(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    put_part(&l, "ra", 0, 3, "a0");
    put_part(&l, "rb", 0, 3, "b0");
    put_part(&l, "rb", 1, 3, "b1");
    put_run(&l, "rb", 3);
    put_part(&l, "ra", 1, 3, "a1");
    put_run(&l, "ra", 3);
    events_put(st, &l);

    expect_json(pick(get_session("g1"), "transcript", "run"), "'rb'");
    assert_string_equal(part_text("rb", 0), "b0");
    assert_string_equal(part_text("rb", 1), "b1");
    assert_null(part_text("rb", 2));
    assert_null(part_text("ra", 0));
    assert_null(part_text("ra", 1));

    put_part(&l, "rc", 0, 4, "c0");
    put_run(&l, "rc", 4);
    put_run(&l, "rb", 3);
    events_put(st, &l);

    expect_json(pick(get_session("g1"), "transcript", "run"), "'rc'");
    assert_string_equal(part_text("rc", 0), "c0");
    assert_null(part_text("rb", 0));
}


static void
rate(events_t *l, const char *user, int n, const char *comment, int at)
{
    json_t  *v;

    v = events_consult("x", "ended", "", at);
    events_record(l, "c1",
                  json_pack("{s:s, s:s, s:s, s:i, s:s?, s:O}", "op", "rate",
                            "sessionId", "g1", "userId", user, "rating", n,
                            "comment", comment, "at",
                            json_object_get(v, "at")));
    json_decref(v);
}


/* Each once, and the mean of all. */
static void
satisfaction(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    put_run(&l, "r1", 3);
    events_put(st, &l);
    expect_json(pick(get_session("g1"), "analytics", "satisfaction"), "null");

    rate(&l, "s1", 5, "good", 1000);
    rate(&l, "s1", 1, NULL, 2000);
    rate(&l, "t1", 4, NULL, 3000);
    rate(&l, "s2", 4, NULL, 4000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);

    expect_json(pick(get_session("g1"), "analytics", "satisfaction"), "4.33");
    expect_json(pick(get_session("g1"), "analytics", "engagement"), "0.75");
    expect_json(pick(get_session("g1"), "ratings", NULL),
                "[{'userId':'s1','rating':5,'comment':'good',"
                "'at':'2024-01-15T10:00:01.000Z'},"
                "{'userId':'t1','rating':4,'comment':null,"
                "'at':'2024-01-15T10:00:03.000Z'},"
                "{'userId':'s2','rating':4,'comment':null,"
                "'at':'2024-01-15T10:00:04.000Z'}]");

    /* a record that comes later keeps them */
    put_run(&l, "r2", 4);
    events_put(st, &l);
    expect_json(pick(get_session("g1"), "analytics", "satisfaction"), "4.33");
}


/* Nothing of a refused event is there, and the others are. */
static void
refused(void **state)
{
    json_t       *s;
    size_t        i, bad;
    events_t      l = { 0 };

    static const char *const  records[] = {
        "{'op':'put'}",
        "{'op':'drop'}",
        "{'op':'part','sessionId':'g1','run':'r','part':0,'text':'x'}",
        "{'op':'part','sessionId':'g 1','run':'r','part':0,'rev':1,"
            "'text':'x'}",
        "{'op':'rate','sessionId':'g1','userId':'s1','rating':6,"
            "'at':'2024-01-15T10:00:01.000Z'}",
        "{'op':'rate','sessionId':'g1','userId':'s1','rating':1}"
    };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_put(st, &l);

    for (i = 0; i < UNIT_COUNT(records); i++) {
        events_record(&l, "c1", json_of(records[i]));
        assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
        events_free(&l);
    }

    s = events_session("c1", "g1", 1, "asleep", 1, -1, 1000, 0);
    events_started(&l, "c1", 1, "m1", "t1",
                   set_of(events_consult("k1", "started", "fc", 1000), s),
                   1000);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    assert_int_equal(bad, 0);
    events_free(&l);

    assert_int_equal(store_consultation(st, "k1", &s), STORE_NOT_FOUND);
    assert_int_equal(store_message(st, "c1", "m1", &s), STORE_NOT_FOUND);
    expect_json(pick(get_conv("c1"), "seq", NULL), "0");

    s = events_session("c9", "g1", 1, "active", 1, -1, 1000, 0);
    events_started(&l, "c1", 1, "m1", "t1", set_of(NULL, s), 1000);
    events_fence(&l, "c1", 2);
    assert_int_equal(events_apply(st, &l, 0, l.n), 1);
    events_free(&l);
    expect_json(pick(get_conv("c1"), "seq", NULL), "2");
    expect_json(pick(get_conv("c1"), "sessionId", NULL), "null");
}


/* What is kept of a room that is archived until somebody writes. */
static void
reopens(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_set(&l, "c1", 1, "t1",
               json_of("{'archived':true,"
                       "'settings':{'reopenOnMessage':true}}"), 1000);
    events_put(st, &l);
    expect_json(pick(get_state("c1"), "state", NULL), "'reopen'");

    events_set(&l, "c1", 2, "t1",
               json_of("{'settings':{'reopenOnMessage':false}}"), 2000);
    events_put(st, &l);
    expect_json(pick(get_state("c1"), "state", NULL), "'archived'");
}


const struct CMUnitTest  suite_session[] = {
    SUITE_TEST(life),
    SUITE_TEST(follow_up),
    SUITE_TEST(transcripts),
    SUITE_TEST(satisfaction),
    SUITE_TEST(refused),
    SUITE_TEST(reopens)
};

const size_t  suite_session_count = UNIT_COUNT(suite_session);
