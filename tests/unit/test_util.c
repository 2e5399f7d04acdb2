/*
 * test_util.c: JSON as text, which goes into every answer and event.
 */

#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/worker.h"


/* The same bytes as jansson's, whatever the value is (but see reals()). */
static void
same_text(void **state)
{
    int      i;
    char    *expected;
    buf_t    b = { 0 };
    json_t  *v;

    static const char *const  values[] = {
        "{}", "[]", "[{}]", "{\"a\":{}}", "[[],[[]]]", "{\"\":\"\"}",
        "[null,true,false]", "[0,-1,9223372036854775807]",
        "[-9223372036854775808]", "[0.5,-2.25,1.0]",
        "{\"b\":1,\"a\":[2,{\"c\":\"d\"}],\"z\":null}",
        "\"alone\"", "7", "null",
        "[\"\\\"\\\\/\\b\\f\\n\\r\\t\\u007f\"]",
        "{\"quoted \\\" key\\n\":\"\\u00e9\\u20ac\\ud83d\\ude00\"}"
    };

    (void) state;

    for (i = 0; i < (int) UNIT_COUNT(values); i++) {
        v = json_loads(values[i], JSON_DECODE_ANY, NULL);
        assert_non_null(v);

        expected = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        buf_clear(&b);
        buf_json(&b, v);
        assert_string_equal(b.p, expected);
        assert_int_equal(b.n, strlen(expected));

        free(expected);
        json_decref(v);
    }

    buf_free(&b);
}


/* Numbers as they were written, and none that is another one. */
static void
reals(void **state)
{
    size_t   i;
    buf_t    b = { 0 };
    json_t  *v;

    enum { SAME = 7 };      /* of these the first come back as they are */

    static const char *const  values[] = {
        "0.563", "0.1", "-12.034", "86400.007", "3.141592653589793",
        "0.30000000000000004", "-1e300",
        "1e-07", "0.1000000000000000055", "1e+22"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(values); i++) {
        v = json_loads(values[i], JSON_DECODE_ANY, NULL);
        assert_non_null(v);

        buf_clear(&b);
        buf_json(&b, v);
        assert_false(islessgreater(strtod(b.p, NULL), json_real_value(v)));

        if (i < SAME) {
            assert_string_equal(b.p, values[i]);
        }

        json_decref(v);
    }

    buf_free(&b);
}


/* Strings of every length with every byte of one in them come back. */
static void
every_byte(void **state)
{
    int      c, n;
    char     text[64];
    buf_t    b = { 0 };
    json_t  *v, *back;

    (void) state;

    for (n = 1; n < 40; n++) {
        for (c = 0; c < 0x80; c++) {
            memset(text, 'x', sizeof(text));
            text[n - 1] = (char) c;
            text[n / 2] = (char) c;

            v = json_stringn(text, (size_t) n);
            buf_clear(&b);
            buf_json(&b, v);

            back = json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                              NULL);
            assert_true(json_equal(back, v));
            json_decref(back);
            json_decref(v);
        }
    }

    buf_free(&b);
}


/* It is appended to what is there. */
static void
appends(void **state)
{
    buf_t    b = { 0 };
    json_t  *v;

    (void) state;

    v = json_pack("{s:[i, s]}", "a", 1, "two");
    buf_text(&b, "x ");
    buf_json(&b, v);
    buf_json(&b, v);
    assert_string_equal(b.p, "x {\"a\":[1,\"two\"]}{\"a\":[1,\"two\"]}");

    json_decref(v);
    buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(same_text),
        cmocka_unit_test(reals),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(appends)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
