/*
 * test_event.c: entries of the ingest streams.
 *
 * Without it an entry that is not what it should be could get into the
 * store, or crash the projector each time it reads it, or a good one could
 * end as a dead letter.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/worker.h"

#define BODY  "{\"event\":\"message_received\",\"data\":{}}"


static wrt_slice_t
slice(const char *s)
{
    wrt_slice_t  v;

    v.n = strlen(s);
    v.p = mem_text(s, v.n);

    return v;
}


static const char *
decode_as(entry_t *e, const char *entry, const char *conversation,
    const char *payload, const char *extra)
{
    const char   *why;
    wrt_slice_t   c, p, x;

    c = slice(conversation);
    p = slice(payload);
    x = slice(extra);

    why = event_decode(e, entry, c, p, x, 1);

    free((char *) c.p);
    free((char *) p.p);
    free((char *) x.p);

    return why;
}


static const char *
decode(entry_t *e, const char *conversation, const char *payload,
    const char *extra)
{
    return decode_as(e, "1700000000000-0", conversation, payload, extra);
}


static void
good(void **state)
{
    size_t       i;
    entry_t      e;
    const char  *why;

    static const struct {
        const char  *conversation, *payload, *extra;
        char         kind;
        int64_t      seq;
        const char  *actor, *target;
        int          body, has_extra;
    } t[] = {
        { "room1", "m 1 u1 -\n" BODY, "", 'm', 1, "u1", "", 1, 0 },
        { "room1", "m 9007199254740992 u1 -\n" BODY, "{\"metadata\":{}}",
          'm', 9007199254740992, "u1", "", 1, 1 },
        { "room1", "c 0 u1 -\n{}", "{\"event\":\"conversation_created\"}",
          'c', 0, "u1", "", 1, 0 },
        { "room1", "c 0 u1 -\n{}", "", 'c', 0, "u1", "", 1, 0 },
        { "r", "j 7 u1 u2\n{}", "{\"role\":\"tutor\"}", 'j', 7, "u1", "u2",
          1, 1 },
        { "r", "l 8 - u2\n{}", "", 'l', 8, "", "u2", 1, 0 },
        { "r", "e 3 u1 -\n{}", "", 'e', 3, "u1", "", 1, 0 },
        { "r", "e 3 - -\n{}", "", 'e', 3, "", "", 1, 0 },
        { "r", "f 12 - -\n", "", 'f', 12, "", "", 0, 0 },
        { "r", "s 0 u1 -\n{}", "{\"kind\":\"r\"}", 's', 0, "u1", "", 1, 1 },
        { "-", "u 0 u1 -\n{\"name\":\"A\"}", "", 'u', 0, "u1", "", 1, 0 },
        { "-", "x 0 u1 -\n{}", "", 'x', 0, "u1", "", 1, 0 },
        { "r", "x 0 - -\n{}", "", 'x', 0, "", "", 1, 0 },
        { "-", "a 0 u1 -\n{}", "", 'a', 0, "u1", "", 1, 0 }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        why = decode(&e, t[i].conversation, t[i].payload, t[i].extra);

        assert_null(why);
        assert_int_equal(e.ev.kind, t[i].kind);
        assert_true(e.ev.seq == t[i].seq);
        assert_string_equal(e.ev.conversation, t[i].conversation);
        assert_string_equal(e.ev.actor, t[i].actor);
        assert_string_equal(e.ev.target, t[i].target);
        assert_string_equal(e.ev.entry_id, "1700000000000-0");
        assert_int_equal(e.ev.body != NULL, t[i].body);
        assert_int_equal(e.ev.extra != NULL, t[i].has_extra);
        assert_int_equal(event_numbered(&e), t[i].seq > 0);
        assert_int_equal(e.x_len, strlen(t[i].extra));

        event_free(&e);
        assert_null(e.ev.body);
        assert_null(e.ev.extra);
    }
}


static void
bad(void **state)
{
    size_t   i;
    entry_t  e;

    static const struct {
        const char  *conversation, *payload, *extra;
        int64_t      seq;       /* known all the same: its number is taken */
    } t[] = {
        { "room1", "", "", 0 },
        { "room1", "m 1 u1 -", "", 0 },
        { "room1", "m broken", "", 0 },
        { "room1", "m 1 u1\n{}", "", 0 },
        { "room1", "m 1 u1 - x\n{}", "", 0 },
        { "room1", "q 1 u1 -\n{}", "", 0 },
        { "room1", "t 0 u1 -\n{}", "", 0 },
        { "room1", "p 0 u1 -\n{}", "", 0 },
        { "room1", "m 0 u1 -\n{}", "", 0 },
        { "room1", "m -1 u1 -\n{}", "", 0 },
        { "room1", "m 01 u1 -\n{}", "", 0 },
        { "room1", "m x u1 -\n{}", "", 0 },
        { "room1", "s 1 u1 -\n{}", "", 0 },
        { "room1", "c 1 u1 -\n{}", "", 0 },
        { "room1", "m 1 - -\n{}", "", 0 },
        { "room1", "m 1 u!1 -\n{}", "", 0 },
        { "room1", "s 0 - -\n{}", "", 0 },
        { "room1", "j 1 u1 -\n{}", "", 0 },
        { "room1", "l 1 u1 u/2\n{}", "", 0 },
        { "room1", "u 0 u1 -\n{}", "", 0 },
        { "-", "u 0 - -\n{}", "", 0 },
        { "room1", "a 0 u1 -\n{}", "", 0 },
        { "-", "a 0 u1 -\n", "", 0 },
        { "-", "x 1 u1 -\n{}", "", 0 },
        { "-", "m 1 u1 -\n{}", "", 0 },
        { "", "m 1 u1 -\n{}", "", 0 },
        { "room 1", "m 1 u1 -\n{}", "", 0 },

        { "room1", "m 5 u1 -\n", "", 5 },
        { "room1", "m 5 u1 -\n[]", "", 5 },
        { "room1", "m 5 u1 -\n1", "", 5 },
        { "room1", "m 5 u1 -\n{", "", 5 },
        { "room1", "m 5 u1 -\n{} {}", "", 5 },
        { "room1", "m 5 u1 -\n{\"a\":1,\"a\":2}", "", 5 },
        { "room1", "m 5 u1 -\n{\"a\":\"\xC3\"}", "", 5 },
        { "room1", "f 5 - -\n{}", "", 5 },
        { "room1", "m 5 u1 -\n{}", "[]", 5 },
        { "room1", "m 5 u1 -\n{}", "nonsense", 5 }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_non_null(decode(&e, t[i].conversation, t[i].payload,
                               t[i].extra));
        assert_true(e.ev.seq == t[i].seq);
        assert_int_equal(event_numbered(&e), t[i].seq > 0);
        event_free(&e);
    }
}


static void
fence(void **state)
{
    entry_t  e;

    (void) state;

    assert_null(decode(&e, "room1", "j 7 u1 u2\n{}", "{\"role\":\"x\"}"));

    event_to_fence(&e);

    assert_int_equal(e.ev.kind, 'f');
    assert_true(e.ev.seq == 7);
    assert_string_equal(e.ev.conversation, "room1");
    assert_string_equal(e.ev.actor, "");
    assert_string_equal(e.ev.target, "");
    assert_null(e.ev.body);
    assert_null(e.ev.extra);
}


static void
long_ids(void **state)
{
    char     payload[256], id[WRT_ID_MAX + 2], entry[128];
    entry_t  e;

    (void) state;

    memset(id, 'a', sizeof(id));
    id[WRT_ID_MAX] = '\0';
    snprintf(payload, sizeof(payload), "m 1 %s %s\n{}", id, id);

    assert_null(decode(&e, id, payload, ""));
    assert_string_equal(e.ev.actor, id);
    assert_string_equal(e.ev.conversation, id);
    event_free(&e);

    id[WRT_ID_MAX] = 'a';
    id[WRT_ID_MAX + 1] = '\0';
    assert_non_null(decode(&e, id, payload, ""));
    event_free(&e);

    memset(entry, '1', sizeof(entry));
    entry[sizeof(entry) - 1] = '\0';
    assert_non_null(decode_as(&e, entry, "r", "f 1 - -\n", ""));
}


/* Anything at all: no crash, and what is taken has the form. */
static void
random_entries(void **state)
{
    char         payload[128], id[8];
    size_t       i, k, n;
    entry_t      e;
    uint64_t     seed;
    wrt_slice_t  c, p, x;

    static const char  alphabet[] = "mcejlfsuaxn 0123-\n{}\"a:,[]u1\xC3\x28";

    (void) state;

    seed = unit_seed();

    for (i = 0; i < 200000; i++) {
        n = unit_below(&seed, sizeof(payload));

        for (k = 0; k < n; k++) {
            payload[k] = alphabet[unit_below(&seed, sizeof(alphabet) - 1)];
        }

        if (unit_below(&seed, 2) && n > 12) {
            memcpy(payload, "m 1 u1 -\n", 9);
        }

        snprintf(id, sizeof(id), "%u-0", (unsigned) (i % 1000));

        c.p = "room";
        c.n = 4;
        p.p = unit_edge(payload, n);
        p.n = n;
        x.p = payload + n / 2;
        x.n = unit_below(&seed, 3) ? 0 : n - n / 2;

        if (event_decode(&e, id, c, p, x, (int) (i & 1)) == NULL) {
            assert_true(strchr("mcejlfsubaxn", e.ev.kind) != NULL);
            assert_true(wrt_id_valid(e.ev.conversation,
                                     strlen(e.ev.conversation)));
        }

        event_free(&e);
    }
}


/* JSON with ' in place of " */
static wrt_slice_t
quoted(const char *text)
{
    char         *p;
    wrt_slice_t   s;

    s = slice(text);

    for (p = (char *) s.p; *p; p++) {
        *p = *p == '\'' ? '"' : *p;
    }

    return s;
}


static json_t *
pick(const char *text)
{
    json_t       *v;
    wrt_slice_t   s;

    s = quoted(text);
    v = event_pick(s);
    free((char *) s.p);

    return v;
}


#define MESSAGE(inside)                                                      \
    "{'event':'message_received','data':{'seq':7,'message':{" inside "}}}"

/* Of a message what the store wants, as it stands there. */
static void
picked(void **state)
{
    size_t       i;
    json_t      *got, *want;
    wrt_slice_t  s;

    static const struct {
        const char  *text, *want;
    } t[] = {
        { "{'event':'message_received','data':{'conversationId':'r',"
          "'clientMessageId':'c1','seq':7,'message':{'id':'m1',"
          "'conversationId':'r','senderId':'u','sender':{'name':'A',"
          "'avatar':null},'type':'text','content':{'text':'say \\'hi\\' "
          "\xC3\xA9','a':[1,-2.5,true,false,null,{'b':[]}]},'status':'sent',"
          "'readBy':[{'x':[{}]}],'replyTo':null,'reactions':[],"
          "'createdAt':'2026-01-01T00:00:00.000Z'}}}",
          "{'data':{'clientMessageId':'c1','message':{'id':'m1',"
          "'senderId':'u','type':'text','content':{'text':'say \\'hi\\' "
          "\xC3\xA9','a':[1,-2.5,true,false,null,{'b':[]}]},"
          "'replyTo':null,'createdAt':'2026-01-01T00:00:00.000Z'}}}" },
        { "{}", "{}" },
        { "{'x':{'data':1},'data':5}", "{'data':5}" },
        { "{'data':[{'x':{'id':1}}]}", "{'data':[{'x':{'id':1}}]}" },
        { "{'data':{'message':[{'x':1}],'y':[{'id':2}]}}",
          "{'data':{'message':[{'x':1}]}}" },
        /* names that are wanted elsewhere */
        { MESSAGE("'message':{'id':3},'id':{'sender':4}"),
          "{'data':{'message':{'id':{'sender':4}}}}" },
        { MESSAGE("'content':{'data':{'message':{'z':1}}}"),
          "{'data':{'message':{'content':{'data':{'message':{'z':1}}}}}}" }
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        s = quoted(t[i].want);
        got = pick(t[i].text);
        want = json_loadb(s.p, s.n, 0, NULL);

        assert_non_null(got);
        assert_non_null(want);
        assert_true(json_equal(got, want));

        json_decref(got);
        json_decref(want);
        free((char *) s.p);
    }
}


/* Where yajl may see it otherwise, jansson is to say. */
static void
not_picked(void **state)
{
    char     text[512];
    size_t   i;
    json_t  *v;

    static const char *const  t[] = {
        "", "1", "[]", "[{}]", "null", "{", "{}{}", "{} x", "{'data':}",
        "{'data':1,'data':1}",
        MESSAGE("'id':'a','id':'a'"),
        MESSAGE("'content':{'a':1,'a':2}"),
        MESSAGE("'content':{'text':'\\u0041'}"),
        MESSAGE("'content':{'text':'\\ud800'}"),
        MESSAGE("'content':{'text':'\xFF'}"),
        MESSAGE("'content':{'text':'\xC0\x80'}"),
        MESSAGE("'content':{'text':'\xED\xA0\x80'}"),
        MESSAGE("'content':{'\xC0\x80':1}"),
        MESSAGE("'content':{'n':123456789012345678901234567890}"),
        MESSAGE("'content':{'n':1e999}"),
        MESSAGE("'content':{'n':01}"),
        MESSAGE("'content':{'text':'a\nb'}")
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        assert_null(pick(t[i]));
    }

    /* good, but too deep, and with too long a name */

    snprintf(text, sizeof(text), "{\"data\":%200s%200s}", "", "");
    memset(text + strlen("{\"data\":"), '[', 200);
    memset(strchr(text, ' '), ']', 200);

    assert_non_null(v = json_loads(text, 0, NULL));
    json_decref(v);
    assert_null(pick(text));

    snprintf(text, sizeof(text), "{\"data\":{\"message\":{\"content\":"
             "{\"%0200d\":1}}}}", 1);

    assert_non_null(v = json_loads(text, 0, NULL));
    json_decref(v);
    assert_null(pick(text));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(picked),
        cmocka_unit_test(not_picked),
        cmocka_unit_test(bad),
        cmocka_unit_test(fence),
        cmocka_unit_test(long_ids),
        cmocka_unit_test(random_entries)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
