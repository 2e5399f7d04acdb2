/*
 * test_command.c: what the WebSocket door makes of a client's event for a
 * REST route, and of the route's answer.
 *
 * Without it a slash in an emoji could lead to another route, a member that
 * nobody checks could reach the worker, or an answer cut in half break the
 * error that a client gets.
 */

#include "tests/unit/unit.h"
#include <stdio.h>
#include <jansson.h>
#include "common/wrt_envelope.h"
#include "tests/unit/refusal.h"

#define A16   "aaaaaaaaaaaaaaaa"
#define A64   A16 A16 A16 A16
#define A128  A64 A64


static void
segments(void **state)
{
    int              rc;
    size_t           i;
    wrt_slice_t      s;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    static const struct {
        const char  *json, *want, *word;
    } cases[] = {
        { "{\"s\":\"a b\"}", "a b", NULL },
        { "{\"s\":\"\\u2764\"}", "\xe2\x9d\xa4", NULL },
        { "{\"s\":\"\\u00a9\"}", "\xc2\xa9", NULL },
        { "{\"s\":\"12345678\"}", "12345678", NULL },
        { "{\"s\":\"123456789\"}", NULL, "limit" },
        { "{\"s\":\"\"}", NULL, "empty" },
        { "{}", NULL, "empty" },
        { "{\"s\":null}", NULL, "empty" },
        { "{\"s\":1}", NULL, "string" },
        { "{\"s\":\"a/b\"}", NULL, "slash" },
        { "{\"s\":\"\\n\"}", NULL, "control" },
        { "{\"s\":\"\\u007f\"}", NULL, "control" },
        { "{\"s\":\"\\u0080\"}", NULL, "control" },
        { "{\"s\":\"x\\u009f\"}", NULL, "control" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(wrt_envelope_parse_body(&e, cases[i].json,
                                                 strlen(cases[i].json), &why),
                         0);

        rc = wrt_envelope_segment(&e, "s", 8, &s, &why);

        if (cases[i].want) {
            assert_int_equal(rc, 1);
            check_slice(s, cases[i].want);

        } else {
            assert_int_equal(rc, -1);
            check_refusal(&why, "invalid_request", "s", cases[i].word);
        }

        wrt_envelope_free(&e);
    }
}


static void
dumped(const char *json, const char *const *names, const char *want)
{
    char            *text;
    size_t           n;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    assert_int_equal(wrt_envelope_parse_body(&e, json, strlen(json), &why), 0);

    text = wrt_envelope_dump(&e, names, &n);
    assert_non_null(text);

    if (n != strlen(want) || memcmp(text, want, n) != 0) {
        fail_msg("%.*s, not %s", (int) n, text, want);
    }

    free(text);
    wrt_envelope_free(&e);
}


static void
dumps(void **state)
{
    static const char *const  none[] = { NULL };
    static const char *const  text[] = { "content.text", NULL };
    static const char *const  many[] = { "b", "o.x", "a", "o.y", NULL };
    static const char *const  far[] = {
        "a_name_that_is_longer_than_any_that_we_have.x", NULL
    };

    (void) state;

    dumped("{\"a\":1}", none, "{}");
    dumped("{\"content\":{\"text\":\"a\\n\\\"\\u00e9\",\"html\":1},\"x\":1}",
           text, "{\"content\":{\"text\":\"a\\n\\\"\xc3\xa9\"}}");
    dumped("{\"content\":{\"text\":{\"x\":1}}}", text, "{}");
    dumped("{\"content\":\"text\"}", text, "{}");
    dumped("{\"content\":null}", text, "{}");
    dumped("{\"o\":{\"z\":0,\"y\":true,\"x\":1.5},\"c\":1,\"a\":[1],\"b\":-3}",
           many, "{\"b\":-3,\"o\":{\"x\":1.5,\"y\":true}}");
    dumped("{\"a_name_that_is_longer_than_any_that_we_have\":{\"x\":1}}",
           far, "{}");
}


static void
replies(void **state)
{
    size_t        i;
    wrt_reply_t   r;

    static const struct {
        const char  *json, *code, *field, *message;
    } cases[] = {
        { "{\"success\":false,\"message\":\"m \\\"\\u00e9\","
          "\"error\":{\"code\":\"not_found\",\"field\":\"content.text\"}}",
          "not_found", "content.text", "m \"\xc3\xa9" },
        { "{\"message\":\"m\",\"error\":{\"code\":\"conflict\"}}",
          "conflict", "", "m" },
        { "{\"error\":{\"code\":\"conflict\",\"field\":null}}",
          "conflict", "", "" },
        { "{\"message\":1,\"error\":{\"code\":\"x\",\"field\":\"a\\\"b\"}}",
          "x", "", "" },
        { "{\"message\":\"m\",\"error\":{\"code\":\"x\",\"field\":"
          "\"" A64 "\"}}", "x", "", "m" },
        { "{\"error\":{\"code\":\"Not Found\"}}", NULL, NULL, NULL },
        { "{\"error\":{\"code\":\"" A16 A16 "\"}}", NULL, NULL, NULL },
        { "{\"error\":{\"code\":\"\"}}", NULL, NULL, NULL },
        { "{\"error\":{}}", NULL, NULL, NULL },
        { "{\"error\":\"not_found\"}", NULL, NULL, NULL },
        { "{\"success\":false,\"message\":\"m\"}", NULL, NULL, NULL },
        { "[]", NULL, NULL, NULL },
        { "no JSON", NULL, NULL, NULL },
        { "", NULL, NULL, NULL },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&r, 'x', sizeof(r));

        assert_int_equal(wrt_reply_parse(&r, cases[i].json,
                                         strlen(cases[i].json)),
                         cases[i].code ? 0 : -1);

        assert_string_equal(r.code, cases[i].code ? cases[i].code : "");
        assert_string_equal(r.field, cases[i].field ? cases[i].field : "");
        assert_string_equal(r.message,
                            cases[i].message ? cases[i].message : "");
    }
}


/* A message is cut between two characters. */
static void
long_reply(void **state)
{
    size_t        i;
    wrt_reply_t   r;

    static const char  json[] =
        "{\"error\":{\"code\":\"x\"},\"message\":\"" A128 A64 A16 A16 A16
        "aaaaaaaaaaaaa\xe2\x9d\xa4\"}";

    (void) state;

    assert_int_equal(wrt_reply_parse(&r, json, sizeof(json) - 1), 0);
    assert_int_equal(strlen(r.message), 253);

    for (i = 0; i < 253; i++) {
        assert_int_equal(r.message[i], 'a');
    }
}


static void
reply_number(void **state)
{
    size_t  i;

    static const struct {
        const char  *json;
        int64_t      want;
    } cases[] = {
        { "{\"success\":true,\"data\":{\"n\":10485760}}", 10485760 },
        { "{\"data\":{\"n\":0}}", 0 },
        { "{\"data\":{\"n\":9007199254740991}}", 9007199254740991 },
        { "{\"data\":{\"n\":9007199254740992}}", -1 },
        { "{\"data\":{\"n\":-1}}", -1 },
        { "{\"data\":{\"n\":1.5}}", -1 },
        { "{\"data\":{\"n\":\"1\"}}", -1 },
        { "{\"data\":{\"n\":true}}", -1 },
        { "{\"data\":{\"m\":1}}", -1 },
        { "{\"data\":[1]}", -1 },
        { "{\"n\":1}", -1 },
        { "[1]", -1 },
        { "{\"data\":{\"n\":1}", -1 },
        { "", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (wrt_reply_number(cases[i].json, strlen(cases[i].json), "n")
            != cases[i].want)
        {
            fail_msg("of %s", cases[i].json);
        }
    }
}


/* What is inside data, and nothing beside it. */
static void
data(void **state)
{
    size_t           i;
    wrt_slice_t      s;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    static const char  good[] =
        "{\"success\":true,\"tail\":\"out\",\"data\":{\"tail\":\"in\"}}";

    static const char *const  bad[] = {
        "{\"success\":true}", "{\"data\":null}", "{\"data\":[1]}",
        "{\"data\":\"x\"}", "[]", "no JSON", ""
    };

    (void) state;

    assert_int_equal(wrt_reply_data(&e, good, sizeof(good) - 1), 0);
    assert_int_equal(wrt_envelope_string(&e, "tail", 8, &s, &why), 1);
    check_slice(s, "in");
    assert_int_equal(wrt_envelope_string(&e, "success", 8, &s, &why), 0);
    wrt_envelope_free(&e);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(wrt_reply_data(&e, bad[i], strlen(bad[i])), -1);
        assert_int_not_equal(wrt_envelope_string(&e, "tail", 8, &s, &why), 1);
        wrt_envelope_free(&e);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(segments),
        cmocka_unit_test(dumps),
        cmocka_unit_test(replies),
        cmocka_unit_test(long_reply),
        cmocka_unit_test(reply_number),
        cmocka_unit_test(data)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
