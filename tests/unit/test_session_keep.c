/*
 * test_session_keep.c: what is kept of messages that come one by one gives the
 * same document as all of them, and is small.
 *
 * Without it a session in which somebody said a lot would be in memory as a
 * whole, several times, in the process that writes it up.
 */

#include "tests/unit/session_fixture.h"

#define WORDS  12


static json_t *
document(const json_t *messages, const json_t *people)
{
    char              err[SESSION_ERROR_SIZE];
    json_t           *doc;
    session_t        *s;
    session_input_t   in;

    memset(&in, 0, sizeof(in));
    in.messages = messages;
    in.participants = people;
    in.start = -1;
    in.end = -1;
    in.utc_offset = FIXTURE_OFFSET;

    s = session_open(&in, err);

    if (s == NULL) {
        fail_msg("%s", err);
    }

    doc = session_document(s);
    session_close(s);

    return doc;
}


/* Bytes of the texts that are there. */
static size_t
texts(const json_t *messages)
{
    size_t         i, n;
    const json_t  *m;

    n = 0;

    json_array_foreach(messages, i, m) {
        n += json_string_length(json_object_get(json_object_get(m, "content"),
                                                "text"));
    }

    return n;
}


static void
same(const json_t *messages, const json_t *people)
{
    size_t           i;
    json_t          *whole, *kept;
    const json_t    *m;
    session_keep_t   k;

    memset(&k, 0, sizeof(k));

    json_array_foreach(messages, i, m) {
        session_keep(&k, m);

        /* looking for all of them each time would take a minute */
        if (i % 997 == 0) {
            assert_int_equal(texts(k.messages), k.kept);
            assert_true(k.kept <= 2 * WRT_SESSION_TEXT_MAX);
        }
    }

    whole = document(messages, people);
    kept = document(session_kept(&k), people);

    assert_int_equal(json_array_size(session_kept(&k)),
                     json_array_size(messages));
    assert_true(texts(session_kept(&k)) <= WRT_SESSION_TEXT_MAX);
    assert_true(json_equal(whole, kept));

    json_decref(whole);
    json_decref(kept);
    session_keep_free(&k);
}


static void
written(void **state)
{
    size_t   i;
    json_t  *doc;

    static const char *const  files[] = {
        "session_id.json", "session_en.json", "session_unseen.json"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(files); i++) {
        doc = fixture_load(files[i]);
        same(json_object_get(doc, "messages"),
             json_object_get(doc, "participants"));
        json_decref(doc);
    }
}


/* A text of so many bytes, of words and characters of two bytes. */
static json_t *
text_of(unsigned seed, size_t n)
{
    char        *p;
    size_t       i, len;
    json_t      *v;
    const char  *word;

    static const char *const  words[WORDS] = {
        "kuesioner ", "responden ", "tolong kirim bab ", "besok. ", "m\xC3\xA9t"
        "ode ", "\xC3\xA9\xC3\xA9\xC3\xA9 ", "apakah ", "sampel? ", "I will ",
        "send it. ", "data ", "tabel "
    };

    p = malloc(n + 32);
    assert_non_null(p);

    for (i = 0; i < n; i += len) {
        seed = seed * 1103515245u + 12345u;
        word = words[(seed >> 16) % WORDS];
        len = strlen(word);
        memcpy(p + i, word, len);
    }

    v = json_stringn(p, i);
    free(p);
    assert_non_null(v);

    return v;
}


static json_t *
message(unsigned i, size_t len)
{
    char     id[16], at[WRT_TIME_LEN + 1];
    json_t  *m;

    snprintf(id, sizeof(id), "m%u", i);
    wrt_time_format(FIXTURE_MONDAY + (int64_t) i * 1000, at);
    m = json_pack("{s:s, s:i, s:s, s:s, s:{s:o, s:s}, s:s, s:[], s:s}",
                  "id", id, "seq", (int) i, "senderId", i % 3 ? "a" : "b",
                  "type", "text", "content", "text", text_of(i, len), "other",
                  "what is not looked at", "createdAt", at, "readBy",
                  "conversationId", "c");
    assert_non_null(m);

    if (i % 11 == 0) {
        json_object_set_new(m, "deletedAt", json_string(at));

    } else if (i % 13 == 0) {
        json_object_set_new(m, "type", json_string("system"));

    } else if (i % 17 == 0) {
        json_object_set_new(json_object_get(m, "content"), "text",
                            json_string(""));
    }

    return m;
}


static void
long_ones(unsigned n, size_t shortest, size_t longest)
{
    unsigned   i;
    json_t    *list, *people;

    list = json_array();
    people = json_pack("[o, o]", fixture_person("a", "student", "Ani"),
                       fixture_person("b", "tutor", "Budi"));

    for (i = 0; i < n; i++) {
        json_array_append_new(list, message(i, shortest
                                  + i * 7919 % (longest - shortest + 1)));
    }

    same(list, people);
    json_decref(list);
    json_decref(people);
}


static void
of_any_length(void **state)
{
    (void) state;

    long_ones(50, 10, 200);             /* nothing is cut */
    long_ones(140, 16000, 16000);       /* a little more than is looked at */
    long_ones(1200, 1, 16000);
    long_ones(6000, 2000, 2100);
}


/* What would be refused is refused. */
static void
wrong(void **state)
{
    char              err[SESSION_ERROR_SIZE], other[SESSION_ERROR_SIZE];
    size_t            i;
    json_t           *list;
    session_keep_t    k;
    session_input_t   in;

    static const char *const  ones[] = {
        "[{}]",
        "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
        "\"createdAt\":\"2026-11-23T02:00:00Z\"}]",
        "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
        "\"content\":[],\"createdAt\":\"2026-11-23T02:00:00Z\"}]",
        "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
        "\"content\":{\"text\":1},\"createdAt\":\"2026-11-23T02:00:00Z\"}]",
        "[{\"id\":\"m\",\"seq\":1,\"senderId\":\"a\",\"type\":\"text\","
        "\"content\":{},\"createdAt\":\"2026-11-23T02:00:00Z\","
        "\"deletedAt\":\"soon\"}]"
    };

    (void) state;

    memset(&in, 0, sizeof(in));
    in.participants = json_array();

    for (i = 0; i < UNIT_COUNT(ones); i++) {
        list = json_loads(ones[i], 0, NULL);
        assert_non_null(list);
        memset(&k, 0, sizeof(k));
        session_keep(&k, json_array_get(list, 0));

        in.messages = list;
        assert_null(session_open(&in, err));
        in.messages = session_kept(&k);
        assert_null(session_open(&in, other));
        assert_string_equal(err, other);

        session_keep_free(&k);
        json_decref(list);
    }

    json_decref((json_t *) in.participants);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(written),
        cmocka_unit_test(of_any_length),
        cmocka_unit_test(wrong)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
