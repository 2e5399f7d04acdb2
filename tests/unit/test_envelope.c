/*
 * test_envelope.c: client JSON parsed and checked.
 *
 * Everything a client says passes here.  Without this test a wrong type could
 * reach code that expects the right one, deep nesting could eat the stack of
 * an nginx worker, or a client could be told nothing useful about what is
 * wrong with its event.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include <jansson.h>

#include "common/wrt_envelope.h"
#include "tests/unit/refusal.h"

#define A16   "aaaaaaaaaaaaaaaa"
#define A64   A16 A16 A16 A16
#define A128  A64 A64


static int
parse(wrt_envelope_t *e, const char *json, wrt_refusal_t *why)
{
    memset(why, 0, sizeof(*why));

    return wrt_envelope_parse(e, unit_edge(json, strlen(json)), strlen(json),
                              why);
}


static void
envelopes(void **state)
{
    size_t          i;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    static const char  *t[][3] = {
        { "{\"event\":\"ping\"}", "ping", "" },
        { " {\"event\" : \"ping\",\r\n\t\"data\":null,\"id\":null} ", "ping",
          "" },
        { "{\"data\":{},\"id\":\"7\",\"event\":\"typing\"}", "typing", "7" },
        { "{\"event\":\"" A64 "\",\"id\":\"" A64 "\"}", A64, A64 },
        { "{\"event\":\"e\",\"id\":\"\"}", "e", "" },
        { "{\"event\":\"e\",\"extra\":[1,2],\"x\":{\"y\":1.5}}", "e", "" },
        { "{\"event\":\"\\u0065\\n\\\"\"}", "e\n\"", "" },
        { "{\"event\":\"e\",\"data\":{\"a\":[[[[[[0]]]]]]}}", "e", "" },
        /* brackets in strings do not nest */
        { "{\"event\":\"e\",\"x\":\"[[[[[[[[[[{{{{{{{{{{\\\"[[[[[\"}", "e",
          "" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (parse(&e, t[i][0], &why) != 0) {
            fail_msg("%s: %s", t[i][0], why.message);
        }

        check_slice(e.event, t[i][1]);
        check_slice(e.id, t[i][2]);
        assert_non_null(e.data);
        wrt_envelope_free(&e);
        assert_null(e.root);
    }
}


static void
refused_envelopes(void **state)
{
    size_t          i;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    /* what can be read of event and id is there all the same */
    static const struct {
        const char  *json, *event, *id, *field, *word;
    } t[] = {
        { "", "", "", NULL, "object" },
        { "  ", "", "", NULL, "object" },
        { "x", "", "", NULL, "object" },
        { "null", "", "", NULL, "object" },
        { "[]", "", "", NULL, "object" },
        { "[{\"event\":\"e\"}]", "", "", NULL, "object" },
        { "\"event\"", "", "", NULL, "object" },
        { "1", "", "", NULL, "object" },
        { "{", "", "", NULL, "object" },
        { "{\"event\":\"e\"", "", "", NULL, "object" },
        { "{\"event\":\"e\"}}", "", "", NULL, "object" },
        { "{\"event\":\"e\"} x", "", "", NULL, "object" },
        { "{\"event\":\"e\",}", "", "", NULL, "object" },
        { "{'event':'e'}", "", "", NULL, "object" },
        { "{\"event\":\"e\",\"n\":1e999}", "", "", NULL, "object" },
        { "{\"event\":\"e\",\"n\":99999999999999999999}", "", "", NULL,
          "object" },
        { "{\"event\":\"e\",\"n\":NaN}", "", "", NULL, "object" },
        { "{\"event\":\"e\\u0000\"}", "", "", NULL, "object" },
        { "{\"event\":\"\\ud800\"}", "", "", NULL, "object" },
        { "{\"event\":\"a\nb\"}", "", "", NULL, "object" },
        { "{\"event\":\"\xC3\"}", "", "", NULL, "UTF-8" },
        { "{\"event\":\"\xED\xA0\x80\"}", "", "", NULL, "UTF-8" },
        { "\xEF\xBB\xBF{\"event\":\"e\"}", "", "", NULL, "object" },

        { "{}", "", "", "event", "1 to 64" },
        { "{\"id\":\"7\"}", "", "7", "event", "1 to 64" },
        { "{\"event\":null,\"id\":\"7\"}", "", "7", "event", "1 to 64" },
        { "{\"event\":1,\"id\":\"7\"}", "", "7", "event", "1 to 64" },
        { "{\"event\":\"\",\"id\":\"7\"}", "", "7", "event", "1 to 64" },
        { "{\"event\":\"" A64 "b\",\"id\":\"7\"}", "", "7", "event",
          "1 to 64" },
        { "{\"event\":[\"e\"]}", "", "", "event", "1 to 64" },

        { "{\"event\":\"e\",\"id\":7}", "e", "", "id", "at most 64" },
        { "{\"event\":\"e\",\"id\":true}", "e", "", "id", "at most 64" },
        { "{\"event\":\"e\",\"id\":{}}", "e", "", "id", "at most 64" },
        { "{\"event\":\"e\",\"id\":\"" A64 "b\"}", "e", "", "id",
          "at most 64" },

        { "{\"event\":\"e\",\"id\":\"7\",\"data\":[]}", "e", "7", "data",
          "object" },
        { "{\"event\":\"e\",\"id\":\"7\",\"data\":\"x\"}", "e", "7", "data",
          "object" },
        { "{\"event\":\"e\",\"id\":\"7\",\"data\":0}", "e", "7", "data",
          "object" },
        { "{\"event\":\"e\",\"id\":\"7\",\"data\":false}", "e", "7", "data",
          "object" },

        { "{\"event\":\"e\",\"id\":\"7\",\"data\":{},\"data\":{}}", "e", "7",
          NULL, "twice" },
        { "{\"event\":\"e\",\"id\":\"7\",\"data\":{\"a\":{\"b\":1,\"b\":1}}}",
          "e", "7", NULL, "twice" },
        { "{\"event\":\"e\",\"id\":\"7\",\"\\u0069d\":\"8\"}", "e", "8", NULL,
          "twice" },

        { "{\"event\":\"e\",\"id\":\"7\",\"data\":{\"a\":[[[[[[[]]]]]]]}}",
          "e", "7", NULL, "8 deep" },
        { "{\"event\":\"e\",\"id\":\"7\",\"data\":"
          "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}",
          "e", "7", NULL, "8 deep" },
        { "[[[[[[[[[]]]]]]]]]", "", "", NULL, "8 deep" },
        { "[[[[[[[[[", "", "", NULL, "8 deep" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (parse(&e, t[i].json, &why) != -1) {
            fail_msg("%s was accepted", t[i].json);
        }

        check_refusal(&why, "invalid_request", t[i].field, t[i].word);
        check_slice(e.event, t[i].event);
        check_slice(e.id, t[i].id);
        assert_null(e.data);
        wrt_envelope_free(&e);
    }
}


/* NUL bytes, and nesting that would take the stack of a recursive parser. */
static void
nul_and_deep_nesting(void **state)
{
    char            *buf;
    size_t           n;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    enum { DEEP = 1000000 };

    (void) state;

    assert_int_equal(wrt_envelope_parse(&e, NULL, 0, &why), -1);
    wrt_envelope_free(&e);
    assert_int_equal(wrt_envelope_parse(&e, "{\"event\":\"e\"}\0", 14, &why),
                     -1);
    wrt_envelope_free(&e);
    assert_int_equal(wrt_envelope_parse(&e, "{\"event\":\"e\0\"}", 14, &why),
                     -1);
    wrt_envelope_free(&e);

    buf = malloc(DEEP);
    assert_non_null(buf);
    memset(buf, '[', DEEP);
    memcpy(buf, "{\"event\":\"e\",\"data\":", 20);

    for (n = 30; n <= DEEP; n = n * 2 + 1) {
        assert_int_equal(wrt_envelope_parse(&e, buf, n, &why), -1);
        check_refusal(&why, "invalid_request", NULL, "8 deep");
        wrt_envelope_free(&e);
    }

    /* the same well-formed: read for its name up to a depth, then not */
    for (n = 1; n <= 200; n++) {
        memset(buf + 20, '[', n);
        memset(buf + 20 + n, ']', n);
        buf[20 + 2 * n] = '}';

        assert_int_equal(wrt_envelope_parse(&e, buf, 21 + 2 * n, &why), -1);
        check_slice(e.event, n < 64 ? "e" : "");
        check_refusal(&why, "invalid_request", n <= 7 ? "data" : NULL,
                      n <= 7 ? "object" : "8 deep");
        wrt_envelope_free(&e);
    }

    free(buf);
}


static void
every_cut_is_refused(void **state)
{
    size_t          n;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    const char  *json = "{\"event\":\"send_message\",\"id\":\"\\\"\\u00e9\","
                        "\"data\":{\"a\":[1,-2.5e3,true,null,{\"b\":\"\\\\\"}"
                        "]}}";

    (void) state;

    for (n = 0; n < strlen(json); n++) {
        assert_int_equal(wrt_envelope_parse(&e, unit_edge(json, n), n, &why),
                         -1);
        check_refusal(&why, "invalid_request", NULL, "");
        wrt_envelope_free(&e);
    }

    assert_int_equal(parse(&e, json, &why), 0);
    wrt_envelope_free(&e);
}


static void
bodies(void **state)
{
    wrt_slice_t      s;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    const char  *json = "{\"title\":\"x\",\"event\":\"e\",\"id\":\"7\"}";

    (void) state;

    assert_int_equal(wrt_envelope_parse_body(&e, json, strlen(json), &why),
                     0);
    assert_int_equal(wrt_envelope_string(&e, "title", 256, &s, &why), 1);
    check_slice(s, "x");
    check_slice(e.event, "");
    check_slice(e.id, "");
    wrt_envelope_free(&e);

    assert_int_equal(wrt_envelope_parse_body(&e, "{}", 2, &why), 0);
    assert_non_null(e.data);
    wrt_envelope_free(&e);

    assert_int_equal(wrt_envelope_parse_body(&e, "[]", 2, &why), -1);
    check_refusal(&why, "invalid_request", NULL, "object");
    wrt_envelope_free(&e);

    assert_int_equal(wrt_envelope_parse_body(&e, "", 0, &why), -1);
    check_refusal(&why, "invalid_request", NULL, "object");
    wrt_envelope_free(&e);

    json = "{\"a\":1,\"a\":2}";
    assert_int_equal(wrt_envelope_parse_body(&e, json, strlen(json), &why),
                     -1);
    check_refusal(&why, "invalid_request", NULL, "twice");
    assert_null(e.data);
    wrt_envelope_free(&e);
}


static const char  members_json[] =
    "{\"event\":\"e\",\"data\":{\"id\":\"room_1\",\"dash\":\"-\","
    "\"bad\":\"a b\",\"empty\":\"\",\"long\":\"" A64 "b\",\"max\":\"" A64 "\","
    "\"null\":null,\"true\":true,\"false\":false,\"zero\":0,\"minus\":-1,"
    "\"big\":9007199254740991,\"bigger\":9007199254740992,"
    "\"huge\":9223372036854775807,\"real\":1.0,\"exp\":1e2,\"nought\":-0,"
    "\"object\":{},\"array\":[1],\"utf8\":\"\\u00e9\xE2\x82\xAC\"}}";


static void
ids_and_strings(void **state)
{
    size_t          i;
    wrt_slice_t     s;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    static const struct {
        const char  *name;
        int          id, string;   /* string: max 8 bytes */
    } t[] = {
        { "id", 1, 1 }, { "dash", -1, 1 }, { "bad", -1, 1 },
        { "empty", -1, 1 }, { "long", -1, -1 }, { "max", 1, -1 },
        { "null", 0, 0 }, { "absent", 0, 0 }, { "true", -1, -1 },
        { "zero", -1, -1 }, { "real", -1, -1 }, { "object", -1, -1 },
        { "array", -1, -1 }, { "utf8", -1, 1 },
    };

    (void) state;

    assert_int_equal(parse(&e, members_json, &why), 0);

    for (i = 0; i < UNIT_COUNT(t); i++) {
        s.p = "untouched";
        s.n = 9;

        assert_int_equal(wrt_envelope_id(&e, t[i].name, &s, &why), t[i].id);

        if (t[i].id == -1) {
            check_refusal(&why, "invalid_request", t[i].name, "1 to 64");
        }

        if (t[i].id != 1) {
            check_slice(s, "untouched");
        }

        if (wrt_envelope_string(&e, t[i].name, 8, &s, &why) != t[i].string) {
            fail_msg("%s", t[i].name);
        }

        if (t[i].string == -1) {
            check_refusal(&why, "invalid_request", t[i].name, "");
        }
    }

    assert_int_equal(wrt_envelope_string(&e, "utf8", 5, &s, &why), 1);
    check_slice(s, "\xC3\xA9\xE2\x82\xAC");
    assert_int_equal(wrt_envelope_string(&e, "utf8", 4, &s, &why), -1);
    check_refusal(&why, "invalid_request", "utf8", "longer");
    assert_int_equal(wrt_envelope_string(&e, "long", 64, &s, &why), -1);
    check_refusal(&why, "invalid_request", "long", "at most 64 bytes");
    assert_int_equal(wrt_envelope_string(&e, "zero", 64, &s, &why), -1);
    check_refusal(&why, "invalid_request", "zero", "string");

    wrt_envelope_free(&e);
}


static void
numbers_and_booleans(void **state)
{
    int             b;
    size_t          i;
    int64_t         n;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    static const struct {
        const char  *name;
        int          seq;
        int64_t      n;
        int          boolean, b;
    } t[] = {
        { "zero", 1, 0, -1, 0 },
        { "nought", 1, 0, -1, 0 },
        { "big", 1, 9007199254740991, -1, 0 },
        { "bigger", -1, 0, -1, 0 },
        { "huge", -1, 0, -1, 0 },
        { "minus", -1, 0, -1, 0 },
        { "real", -1, 0, -1, 0 },
        { "exp", -1, 0, -1, 0 },
        { "id", -1, 0, -1, 0 },
        { "null", 0, 0, 0, 0 },
        { "absent", 0, 0, 0, 0 },
        { "true", -1, 0, 1, 1 },
        { "false", -1, 0, 1, 0 },
        { "object", -1, 0, -1, 0 },
        { "array", -1, 0, -1, 0 },
    };

    (void) state;

    assert_int_equal(parse(&e, members_json, &why), 0);

    for (i = 0; i < UNIT_COUNT(t); i++) {
        n = -7;

        if (wrt_envelope_seq(&e, t[i].name, &n, &why) != t[i].seq
            || n != (t[i].seq == 1 ? t[i].n : -7))
        {
            fail_msg("%s as a number", t[i].name);
        }

        if (t[i].seq == -1) {
            check_refusal(&why, "invalid_request", t[i].name,
                          "0 to 9007199254740991");
        }

        b = -7;

        if (wrt_envelope_bool(&e, t[i].name, &b, &why) != t[i].boolean
            || b != (t[i].boolean == 1 ? t[i].b : -7))
        {
            fail_msg("%s as a boolean", t[i].name);
        }

        if (t[i].boolean == -1) {
            check_refusal(&why, "invalid_request", t[i].name, "true or false");
        }
    }

    wrt_envelope_free(&e);
}


/* Each limit in use is told by its number. */
static void
limits_told(void **state)
{
    char            *json, word[32];
    size_t           max, n;
    wrt_slice_t      s;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    (void) state;

    json = malloc(65536 + 64);
    assert_non_null(json);

    for (max = 32; max <= 65536; max *= 2) {
        strcpy(json, "{\"event\":\"e\",\"data\":{\"s\":\"");
        n = strlen(json);
        memset(json + n, 'x', max + 1);
        strcpy(json + n + max + 1, "\"}}");

        assert_int_equal(wrt_envelope_parse(&e, json, strlen(json), &why), 0);
        assert_int_equal(wrt_envelope_string(&e, "s", max + 1, &s, &why), 1);
        assert_int_equal(s.n, max + 1);

        assert_int_equal(wrt_envelope_string(&e, "s", max, &s, &why), -1);
        snprintf(word, sizeof(word), " %zu bytes", max);
        check_refusal(&why, "invalid_request", "s", word);

        /* one that is no power of two has no number */
        assert_int_equal(wrt_envelope_string(&e, "s", max - 1, &s, &why), -1);
        check_refusal(&why, "invalid_request", "s", "configured limit");
        wrt_envelope_free(&e);
    }

    free(json);
}


/* Collects what wrt_envelope_pairs() gives; stops when `stop` is reached. */
typedef struct {
    char  text[256];
    int   stop;
    int   seen;
} pairs_t;


static int
collect(void *data, wrt_slice_t id, int64_t seq)
{
    pairs_t  *c = data;
    size_t    n;

    n = strlen(c->text);
    snprintf(c->text + n, sizeof(c->text) - n, "%.*s=%lld;", (int) id.n, id.p,
             (long long) seq);

    return ++c->seen == c->stop;
}


static int
walk(const char *json, pairs_t *c, wrt_refusal_t *why)
{
    int             rc;
    wrt_envelope_t  e;

    memset(c->text, 0, sizeof(c->text));
    c->seen = 0;

    assert_int_equal(parse(&e, json, why), 0);
    rc = wrt_envelope_pairs(&e, "conversations", collect, c, why);
    wrt_envelope_free(&e);

    return rc;
}


static void
pairs(void **state)
{
    size_t         i;
    pairs_t        c;
    wrt_refusal_t  why;

    static const char  *bad[][2] = {
        { "null", "object" }, { "[]", "object" }, { "\"x\"", "object" },
        { "{\"a\":1,\"\":2}", "id" }, { "{\"a b\":1}", "id" },
        { "{\"a\":1,\"" A64 "b\":1}", "id" }, { "{\"-\":1}", "id" },
        { "{\"a\":1,\"b\":\"2\"}", "integer" }, { "{\"a\":-1}", "integer" },
        { "{\"a\":1.5}", "integer" }, { "{\"a\":null}", "integer" },
        { "{\"a\":9007199254740992}", "integer" },
    };

    (void) state;

    c.stop = 0;

    /* in the order of the client, which put first what is on screen */
    assert_int_equal(walk("{\"event\":\"e\",\"data\":{\"conversations\":"
                          "{\"z\":3,\"a\":0,\"m_-\":9007199254740991,"
                          "\"b\":1}}}", &c, &why), 0);
    assert_string_equal(c.text, "z=3;a=0;m_-=9007199254740991;b=1;");

    assert_int_equal(walk("{\"event\":\"e\",\"data\":{\"conversations\":{}}}",
                          &c, &why), 0);
    assert_string_equal(c.text, "");

    c.stop = 2;
    assert_int_equal(walk("{\"event\":\"e\",\"data\":{\"conversations\":"
                          "{\"z\":3,\"a\":0,\"b\":1}}}", &c, &why), 0);
    assert_string_equal(c.text, "z=3;a=0;");
    c.stop = 0;

    assert_int_equal(walk("{\"event\":\"e\"}", &c, &why), -1);
    check_refusal(&why, "invalid_request", "conversations", "object");

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        char  json[256];

        snprintf(json, sizeof(json), "{\"event\":\"e\",\"data\":"
                 "{\"conversations\":%s}}", bad[i][0]);

        assert_int_equal(walk(json, &c, &why), -1);
        check_refusal(&why, "invalid_request", "conversations", bad[i][1]);
        /* nothing is done for half of a bad list */
        assert_int_equal(c.seen, 0);
    }
}


static int
count(void *data, wrt_slice_t id, int64_t seq)
{
    (void) id;
    (void) seq;
    ++*(int *) data;

    return 0;
}


static void
pairs_limit(void **state)
{
    int              n, i, seen;
    char            *json;
    size_t           len;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    (void) state;

    json = malloc(200000);
    assert_non_null(json);

    for (n = WRT_RESUME_ROOMS_MAX; n <= WRT_RESUME_ROOMS_MAX + 1; n++) {
        len = (size_t) sprintf(json, "{\"event\":\"e\",\"data\":{\"c\":{");

        for (i = 0; i < n; i++) {
            len += (size_t) sprintf(json + len, "%s\"room-%d\":%d",
                                    i ? "," : "", i, i);
        }

        len += (size_t) sprintf(json + len, "}}}");

        assert_int_equal(wrt_envelope_parse(&e, json, len, &why), 0);
        seen = 0;
        i = wrt_envelope_pairs(&e, "c", count, &seen, &why);

        if (n == WRT_RESUME_ROOMS_MAX) {
            assert_int_equal(i, 0);
            assert_int_equal(seen, n);

        } else {
            assert_int_equal(i, -1);
            assert_int_equal(seen, 0);
            check_refusal(&why, "invalid_request", "c", "5000");
        }

        wrt_envelope_free(&e);
    }

    free(json);
}


/* Allocations left until one fails. */
static long  allocations;


static void *
failing_malloc(size_t n)
{
    return allocations-- > 0 ? malloc(n) : NULL;
}


/* Whichever allocation fails: no crash, no leak, no half an envelope.  (A
 * failure inside jansson's lexer looks like bad JSON even to jansson; all
 * others are told as what they are.) */
static void
out_of_memory(void **state)
{
    int              rc;
    long             n, told;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    const char  *json = "{\"event\":\"join_conversation\",\"id\":\"7\","
                        "\"n\":[1,2.5,{\"a\":\"b\"}]}";

    (void) state;

    json_set_alloc_funcs(failing_malloc, free);

    told = 0;

    for (n = 0, rc = -1; rc != 0; n++) {
        assert_true(n < 1000);
        allocations = n;
        rc = wrt_envelope_parse(&e, json, strlen(json), &why);

        if (rc == 0) {
            assert_non_null(e.data);
            check_slice(e.event, "join_conversation");
            check_slice(e.id, "7");

        } else if (strcmp(why.code, "unavailable") == 0) {
            check_refusal(&why, "unavailable", NULL, "memory");
            assert_null(e.data);
            told++;

        } else {
            check_refusal(&why, "invalid_request", NULL, "object");
            assert_null(e.data);
        }

        wrt_envelope_free(&e);
    }

    json_set_alloc_funcs(malloc, free);

    /* it did fail in many places, in the added "data" too */
    assert_true(n > 20);
    assert_true(told > 10);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(envelopes),
        cmocka_unit_test(refused_envelopes),
        cmocka_unit_test(nul_and_deep_nesting),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(bodies),
        cmocka_unit_test(ids_and_strings),
        cmocka_unit_test(numbers_and_booleans),
        cmocka_unit_test(limits_told),
        cmocka_unit_test(pairs),
        cmocka_unit_test(pairs_limit),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
