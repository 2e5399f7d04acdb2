/*
 * test_session_stats.c: counts and times to an answer, against figures worked
 * out by hand.
 *
 * Without it a median could be taken of an unsorted list, a deleted message
 * counted, or a system message taken for an answer: figures that look right.
 */

#include "tests/unit/session_fixture.h"


static void
number_is(const json_t *o, const char *key, const json_t *want)
{
    double         is, should;
    const json_t  *v;

    v = json_object_get(o, key);
    is = json_number_value(v);
    should = json_number_value(want);

    if (!json_is_number(v) || !json_is_number(want) || is < should
        || is > should)
    {
        fail_msg("%s is %g, not %g", key, is, should);
    }
}


static void
figures_of(const char *name)
{
    size_t         i, k;
    json_t        *doc, *stats;
    session_t     *s;
    const char    *key;
    const json_t  *want, *v, *people, *analytics, *p, *is;

    static const char *const  person[] = {
        "messageCount", "filesShared", "responses", "responseTime"
    };

    doc = fixture_load(name);
    want = json_object_get(json_object_get(doc, "judged"), "figures");
    s = fixture_open(doc);
    stats = session_stats(s);
    analytics = json_object_get(stats, "analytics");

    json_object_foreach((json_t *) want, key, v) {
        if (json_is_number(v)) {
            number_is(json_object_get(stats, key) ? stats : analytics, key,
                      v);
        }
    }

    people = json_object_get(want, "participants");
    assert_int_equal(json_array_size(people), 2);

    json_array_foreach(people, i, p) {
        is = json_array_get(json_object_get(stats, "participants"), i);
        assert_string_equal(json_string_value(json_object_get(is, "userId")),
                            json_string_value(json_object_get(p, "userId")));

        for (k = 0; k < UNIT_COUNT(person); k++) {
            number_is(is, person[k], json_object_get(p, person[k]));
        }
    }

    json_decref(stats);
    session_close(s);
    json_decref(doc);
}


static void
indonesian(void **state)
{
    (void) state;

    figures_of("session_id.json");
}


static void
english(void **state)
{
    (void) state;

    figures_of("session_en.json");
}


/* The list of waits beside the figures is that of the messages. */
static void
waits_are_those(void **state)
{
    size_t         f, i;
    json_t        *doc;
    int64_t        sum, at;
    json_int_t     from, to, ms;
    const json_t  *messages, *w;

    static const char *const  files[] = {
        "session_id.json", "session_en.json"
    };
    static const int          total[] = { 2555, 2492 };

    (void) state;

    for (f = 0; f < 2; f++) {
        doc = fixture_load(files[f]);
        messages = json_object_get(doc, "messages");
        sum = 0;

        json_array_foreach(json_object_get(json_object_get(doc, "judged"),
                                           "waits"), i, w)
        {
            from = json_integer_value(json_array_get(w, 0));
            to = json_integer_value(json_array_get(w, 1));
            ms = json_integer_value(json_array_get(w, 2)) * 1000;
            at = fixture_time(json_array_get(messages, (size_t) from - 1),
                              "createdAt");
            assert_int_equal(fixture_time(json_array_get(messages,
                                                         (size_t) to - 1),
                                          "createdAt") - at, ms);
            sum += ms / 1000;
        }

        assert_int_equal(i, 47);
        assert_int_equal(sum, total[f]);
        json_decref(doc);
    }
}


/* Any order in, the same out. */
static void
order_is_by_seq(void **state)
{
    size_t       i;
    json_t      *doc, *turned, *a, *b;
    session_t   *s;

    (void) state;

    doc = fixture_load("session_en.json");
    s = fixture_open(doc);
    a = session_document(s);
    session_close(s);

    turned = json_array();

    for (i = json_array_size(json_object_get(doc, "messages")); i > 0; i--) {
        json_array_append(turned,
                          json_array_get(json_object_get(doc, "messages"),
                                         i - 1));
    }

    json_object_set_new(doc, "messages", turned);
    s = fixture_open(doc);
    b = session_document(s);
    session_close(s);

    assert_true(json_equal(a, b));

    json_decref(a);
    json_decref(b);
    json_decref(doc);
}


static json_t *
stats_of(const char *const *lines, size_t n)
{
    json_t     *doc, *stats;
    session_t  *s;

    doc = fixture_talk(lines, n);
    s = fixture_open(doc);
    stats = session_stats(s);
    session_close(s);
    json_decref(doc);

    return stats;
}


static double
analytics(const json_t *stats, const char *key)
{
    return json_number_value(json_object_get(json_object_get(stats,
                                                             "analytics"),
                                             key));
}


static void
turns(void **state)
{
    json_t                   *stats;

    /* waits: 2 (from the first of the turn), 1, 3 minutes */
    static const char *const  lines[] = {
        "a:1", "a:2", "b:3", "a:4", "a:5", "a:6", "b:7"
    };
    /* two students are one side: Citra does not answer Ani */
    static const char *const  three[] = { "a:1", "c:2", "b:3", "c:4" };

    (void) state;

    stats = stats_of(lines, UNIT_COUNT(lines));
    assert_true(analytics(stats, "responses") == 3);
    assert_true(analytics(stats, "responseTime") == 120);
    assert_true(analytics(stats, "responseTimeMedian") == 120);
    assert_true(analytics(stats, "responseTimeP90") == 180);
    json_decref(stats);

    stats = stats_of(three, UNIT_COUNT(three));
    assert_true(analytics(stats, "responses") == 2);
    assert_true(analytics(stats, "responseTime") == 90);
    assert_true(analytics(stats, "responseTimeMedian") == 90);
    json_decref(stats);
}


/* Ten waits of 1 to 10 minutes: the smallest that is not less than nine of
 * them is the ninth, and the middle lies between two. */
static void
ranks(void **state)
{
    size_t       i, k, n;
    json_t      *stats;
    const char  *lines[56];

    (void) state;

    for (n = 0, k = 1; k <= 10; k++) {
        for (i = 0; i < k; i++) {
            lines[n++] = k % 2 ? "a:1" : "b:2";
        }
    }

    lines[n++] = "a:1";
    assert_int_equal(n, UNIT_COUNT(lines));

    stats = stats_of(lines, n);
    assert_true(analytics(stats, "responses") == 10);
    assert_true(analytics(stats, "responseTimeMedian") == 330);
    assert_true(analytics(stats, "responseTimeP90") == 540);
    json_decref(stats);
}


static void
nothing_said(void **state)
{
    json_t     *doc, *o, *analytics_, *summary;
    session_t  *s;

    (void) state;

    doc = fixture_talk(NULL, 0);
    s = fixture_open(doc);
    o = session_document(s);
    analytics_ = json_object_get(o, "analytics");
    summary = json_object_get(o, "summary");

    assert_true(json_is_null(json_object_get(analytics_, "responseTime")));
    assert_true(json_is_null(json_object_get(analytics_,
                                             "responseTimeMedian")));
    assert_true(json_is_null(json_object_get(analytics_, "responseTimeP90")));
    assert_int_equal(json_integer_value(json_object_get(analytics_,
                                                        "engagement")), 0);
    assert_int_equal(json_integer_value(json_object_get(o, "duration")), 60);
    assert_int_equal(json_array_size(json_object_get(summary, "keyTopics")),
                     0);
    assert_string_equal(json_string_value(json_object_get(summary,
                                                          "sessionNotes")),
                        "");

    json_decref(o);
    session_close(s);
    json_decref(doc);
}


/* What is refused, and how it is told. */
static void
refused(void **state)
{
    char              err[SESSION_ERROR_SIZE];
    size_t            i;
    json_t           *messages, *people;
    session_input_t   in;

    static const struct {
        const char  *messages;
        const char  *participants;
        const char  *err;
    } list[] = {
        { "{}", "[]", "messages must be an array of at most 20000" },
        { "[]", "{}", "participants must be an array of at most 1000" },
        { "[]", "[{\"userId\":\"a b\"}]",
          "participants[0].userId must be an id that is not there yet" },
        { "[]", "[{\"userId\":\"a\"},{\"userId\":\"a\"}]",
          "participants[1].userId must be an id that is not there yet" },
        { "[]", "[{\"userId\":\"a\",\"leftAt\":1}]",
          "participants[0].leftAt must be a time or null" },
        { "[1]", "[]", "messages[0].id must be an id" },
        { "[{\"id\":\"m\",\"seq\":\"1\"}]", "[]",
          "messages[0].seq must be a number from 0 on" },
        { "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"\"}]", "[]",
          "messages[0].senderId must be an id" },
        { "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\"}]", "[]",
          "messages[0].type must be a string" },
        { "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
          "\"content\":[]}]", "[]",
          "messages[0].content must be an object" },
        { "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
          "\"content\":{},\"createdAt\":\"now\"}]", "[]",
          "messages[0].createdAt must be a time" },
        { "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
          "\"content\":{\"text\":1},\"createdAt\":\"2026-11-23\"}]", "[]",
          "messages[0].content.text must be a string" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        messages = json_loads(list[i].messages, 0, NULL);
        people = json_loads(list[i].participants, 0, NULL);
        memset(&in, 0, sizeof(in));
        in.messages = messages;
        in.participants = people;

        assert_null(session_open(&in, err));
        assert_string_equal(err, list[i].err);

        json_decref(messages);
        json_decref(people);
    }

    memset(&in, 0, sizeof(in));
    in.utc_offset = 10000;
    assert_null(session_open(&in, err));
    assert_string_equal(err, "utc_offset must be from -840 to 840 minutes");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(indonesian),
        cmocka_unit_test(english),
        cmocka_unit_test(waits_are_those),
        cmocka_unit_test(order_is_by_seq),
        cmocka_unit_test(turns),
        cmocka_unit_test(ranks),
        cmocka_unit_test(nothing_said),
        cmocka_unit_test(refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
