/*
 * test_router.c: which handler answers a call, and its query's parameters.
 *
 * Without it an unknown path could reach a handler with an id that is none,
 * a wrong parameter could be taken for its default, or somebody without a
 * token be taken for nginx itself.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/api/api.h"

static int          answered;       /* status of the last answer, 0 none */
static const char  *answered_code;
static char         answered_field[64];


/* Stand-ins for api_call.c and the handlers; the router only points at them */

api_rc_t
api_error(call_t *c, int status, const char *code, const char *field,
    const char *message)
{
    (void) c;

    assert_true(message[0] != '\0');
    answered = status;
    answered_code = code;
    snprintf(answered_field, sizeof(answered_field), "%s",
             field ? field : "");

    return API_DONE;
}


api_rc_t
api_not_found(call_t *c)
{
    return api_error(c, 404, "not_found", NULL, "not found");
}


#define HANDLER(name)                                                         \
    api_rc_t name(api_t *a, call_t *c)                                        \
    {                                                                         \
        (void) a;                                                             \
        (void) c;                                                             \
        return API_DONE;                                                      \
    }

HANDLER(conv_list)
HANDLER(conv_get)
HANDLER(conv_create)
HANDLER(message_list)
HANDLER(message_get)
HANDLER(message_edit)
HANDLER(message_delete)
HANDLER(message_history)
HANDLER(reaction_put)
HANDLER(reaction_delete)
HANDLER(conv_update)
HANDLER(conv_archive)
HANDLER(conv_unarchive)
HANDLER(conv_block)
HANDLER(conv_unblock)
HANDLER(member_add)
HANDLER(member_remove)
HANDLER(receipt_read)
HANDLER(receipt_delivered)
HANDLER(consult_confirm)
HANDLER(consult_get)
HANDLER(consult_start)
HANDLER(consult_end)
HANDLER(consult_cancel)
HANDLER(consult_no_show)
HANDLER(consult_reschedule)
HANDLER(consult_summary)
HANDLER(consult_messages)
HANDLER(consult_transcript)
HANDLER(consult_rate)
HANDLER(session_list)
HANDLER(session_get)
HANDLER(session_transcript)
HANDLER(session_rate)
HANDLER(unread_list)
HANDLER(search)
HANDLER(user_put)
HANDLER(presence_get)
HANDLER(presence_put)
HANDLER(internal_load)
HANDLER(internal_user)
HANDLER(internal_changes)
HANDLER(internal_message)
HANDLER(internal_upload)
HANDLER(upload_get)
HANDLER(internal_file)
HANDLER(file_get)
HANDLER(file_update)
HANDLER(file_link)
HANDLER(file_list)
HANDLER(hold_create)
HANDLER(hold_list)
HANDLER(hold_release)
HANDLER(audit_list)
HANDLER(user_erase)
HANDLER(user_export)
HANDLER(device_list)
HANDLER(device_put)
HANDLER(device_delete)
HANDLER(push_get)
HANDLER(push_put)
HANDLER(push_mute)


static void
call_make(call_t *c, const char *method, const char *path, const char *query,
    const char *user)
{
    memset(c, 0, sizeof(*c));
    c->method = mem_text(method, strlen(method));
    c->path = mem_text(path, strlen(path));
    c->query = mem_text(query, strlen(query));
    c->user = user;
    answered = 0;
    answered_code = "";
    answered_field[0] = '\0';
}


static void
call_drop(call_t *c)
{
    unsigned  i;

    for (i = 0; i < c->nparams; i++) {
        free(c->params[i].name);
        free(c->params[i].value);
    }

    free(c->method);
    free(c->path);
    free(c->query);
}


static void
found(void **state)
{
    size_t  i;
    call_t  c;

    static const struct {
        const char      *method, *path;
        api_handler_pt   handler;
        const char      *id0, *id1;
    } t[] = {
        { "GET", "/api/conversations", conv_list, "", "" },
        { "HEAD", "/api/conversations", conv_list, "", "" },
        { "POST", "/api/conversations", conv_create, "", "" },
        { "GET", "/api/conversations/abc_-9", conv_get, "abc_-9", "" },
        { "GET", "/api/conversations/a/messages", message_list, "a", "" },
        { "GET", "/api/conversations/messages/messages", message_list,
          "messages", "" },
        { "POST", "/api/conversations/a/read", receipt_read, "a", "" },
        { "POST", "/api/conversations/a/delivered", receipt_delivered, "a",
          "" },
        { "GET", "/api/unread", unread_list, "", "" },
        { "PUT", "/api/users/u2", user_put, "u2", "" },
        { "GET", "/api/users/u2/presence", presence_get, "u2", "" },
        { "GET", "/api/users/presence/presence", presence_get, "presence",
          "" },
        { "PUT", "/api/presence", presence_put, "", "" },
        { "LOAD", "room1", internal_load, "room1", "" },
        { "USER", "u1", internal_user, "u1", "" },
        { "CHANGES", "room1", internal_changes, "room1", "" },
        { "MESSAGE", "room1/m1", internal_message, "room1", "m1" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        call_make(&c, t[i].method, t[i].path, "", "u1");
        assert_int_equal(api_route(&c), 0);
        assert_int_equal(answered, 0);
        assert_true(api_routes[c.route].handler == t[i].handler);
        assert_string_equal(c.ids[0], t[i].id0);
        assert_string_equal(c.ids[1], t[i].id1);
        assert_non_null(api_route_name(c.route));
        call_drop(&c);
    }
}


static void
not_found(void **state)
{
    char    path[128];
    size_t  i;
    call_t  c;

    static const struct {
        const char  *method, *path;
        int          status;
        const char  *allow;
    } t[] = {
        { "GET", "", 404, "" },
        { "GET", "/", 404, "" },
        { "GET", "/api", 404, "" },
        { "GET", "/api/conversation", 404, "" },
        { "GET", "/api/conversationsx", 404, "" },
        { "GET", "/api/conversations/", 404, "" },
        { "GET", "/api/conversations/a/", 404, "" },
        { "GET", "/api/conversations/a b", 404, "" },
        { "GET", "/api/conversations/a%20b", 404, "" },
        { "GET", "/api/conversations/../x", 404, "" },
        { "GET", "/api/conversations/a/messages/", 404, "" },
        { "GET", "/api/conversations/a/message", 404, "" },
        { "GET", "/api/conversations//messages", 404, "" },
        { "DELETE", "/api/conversations", 405, "GET,HEAD,POST" },
        { "get", "/api/conversations", 405, "GET,HEAD,POST" },
        { "POST", "/api/conversations/a", 405, "GET,HEAD,PATCH" },
        { "PUT", "/api/conversations/a/messages", 405, "GET,HEAD,POST" },
        { "GET", "/api/conversations/a/read", 405, "POST" },
        { "GET", "/api/users/u2", 405, "PUT" },
        { "PUT", "/api/users/", 404, "" },
        { "PUT", "/api/users/u2/presence", 405, "GET,HEAD" },
        { "GET", "/api/presence", 405, "PUT" },
        { "POST", "/api/unread", 405, "GET,HEAD" },
        { "LOAD", "/api/conversations", 405, "GET,HEAD,POST" },
        { "PATCH", "/api/devices", 405, "GET,HEAD,POST,DELETE" },
        { "POST", "/api/conversations/a/messages/b/reactions/x", 405,
          "PUT,DELETE" },
        { "PUT", "/api/conversations/a/upload", 405, "POST" },
        { "PATCH", "/api/files/f/download", 405, "GET,HEAD" },
        { "POST", "/api/files/f/thumbnails/150", 405, "GET,HEAD" },
        /* nginx's own, which it has not answered for its reasons */
        { "POST", "/api/conversations/a/upload", 404, "" },
        { "POST", "/api/conversations/a/messages", 404, "" },
        { "GET", "/api/files/f/download", 404, "" },
        { "HEAD", "/api/files/f/download", 404, "" },
        { "LOAD", "/room1", 404, "" },
        { "LOAD", "", 404, "" },
        { "LOAD", "a/b/c", 404, "" },
        { "MESSAGE", "a", 405, "" },
        { "MESSAGE", "a/", 404, "" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        call_make(&c, t[i].method, t[i].path, "", "u1");
        assert_int_equal(api_route(&c), -1);
        assert_int_equal(answered, t[i].status);
        assert_string_equal(answered_code, t[i].status == 404
                            ? "not_found" : "method_not_allowed");
        assert_string_equal(c.allow, t[i].allow);
        /* figures have a place for it */
        assert_non_null(api_route_name(c.route));
        call_drop(&c);
    }

    /* 64 bytes are an id, 65 are none */
    memcpy(path, "/api/conversations/", 19);
    memset(path + 19, 'a', 65);
    path[19 + 64] = '\0';
    call_make(&c, "GET", path, "", "u1");
    assert_int_equal(api_route(&c), 0);
    call_drop(&c);

    path[19 + 64] = 'a';
    path[19 + 65] = '\0';
    call_make(&c, "GET", path, "", "u1");
    assert_int_equal(api_route(&c), -1);
    call_drop(&c);
}


/* No user is nginx itself, which asks in its own words only. */
static void
anonymous(void **state)
{
    call_t  c;

    (void) state;

    call_make(&c, "GET", "/api/conversations", "", "");
    assert_int_equal(api_route(&c), -1);
    assert_int_equal(answered, 401);
    call_drop(&c);

    call_make(&c, "CHANGES", "room1", "12", "");
    assert_int_equal(api_route(&c), 0);
    call_drop(&c);
}


static void
integers(void **state)
{
    size_t   i;
    call_t   c;
    int64_t  v;

    static const struct {
        const char  *query;
        int64_t      value;         /* -1: refused, 7: the default */
    } t[] = {
        { "", 7 }, { "limit=", 7 }, { "limit", 7 }, { "other=5", 7 },
        { "Limit=5", 7 }, { "limit=5", 5 }, { "&&limit=5&", 5 },
        { "limit=200", 200 }, { "limit=1", 1 }, { "%6Cimit=%35", 5 },
        { "limit=5&limit=6", 5 }, { "a=b=c&limit=9", 9 },
        { "limit=0", -1 }, { "limit=201", -1 }, { "limit=-5", -1 },
        { "limit=5.0", -1 }, { "limit=+5", -1 }, { "limit=5x", -1 },
        { "limit=0x5", -1 }, { "limit=99999999999999999999", -1 }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        call_make(&c, "GET", "/", t[i].query, "u1");
        v = 7;
        assert_int_equal(api_params(&c), 0);

        if (t[i].value < 0) {
            assert_int_equal(api_param_int(&c, "limit", 1, 200, &v), -1);
            assert_int_equal(answered, 400);
            assert_string_equal(answered_code, "invalid_request");
            assert_string_equal(answered_field, "limit");

        } else {
            assert_int_equal(api_param_int(&c, "limit", 1, 200, &v), 0);
            assert_true(v == t[i].value);
            assert_int_equal(answered, 0);
        }

        call_drop(&c);
    }
}


static void
encoding(void **state)
{
    char    query[256];
    size_t  i;
    call_t  c;

    static const char  *bad[] = {
        "a=%", "a=%4", "a=%4g", "a=%00", "a=%C3", "a=%C3%28", "%FF=1",
        "a=\xC3", "a=%ED%A0%80"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        call_make(&c, "GET", "/", bad[i], "u1");
        assert_int_equal(api_params(&c), -1);
        assert_int_equal(answered, 400);
        call_drop(&c);
    }

    call_make(&c, "GET", "/", "q=a+b%2Bc%c3%A9&x=%26%3D", "u1");
    assert_int_equal(api_params(&c), 0);
    assert_int_equal(c.nparams, 2);
    assert_string_equal(c.params[0].value, "a b+c\xC3\xA9");
    assert_string_equal(c.params[1].value, "&=");
    call_drop(&c);

    /* as many as are taken, and one more */
    for (i = 0; i <= API_PARAMS_MAX; i++) {
        memcpy(query + 4 * i, "a=1&", 5);
    }

    call_make(&c, "GET", "/", query, "u1");
    assert_int_equal(api_params(&c), -1);
    call_drop(&c);

    query[4 * API_PARAMS_MAX] = '\0';
    call_make(&c, "GET", "/", query, "u1");
    assert_int_equal(api_params(&c), 0);
    call_drop(&c);
}


/* The last part of a path may be any text, but not another part. */
static void
rest(void **state)
{
    call_t  c;

    (void) state;

    call_make(&c, "PUT", "/api/conversations/r1/messages/m1/reactions/\xf0\x9f"
              "\x91\x8d", "", "u1");
    assert_int_equal(api_route(&c), 0);
    assert_string_equal(c.ids[0], "r1");
    assert_string_equal(c.ids[1], "m1");
    assert_string_equal(c.rest, "\xf0\x9f\x91\x8d");
    call_drop(&c);

    call_make(&c, "PUT", "/api/conversations/r1/messages/m1/reactions/", "",
              "u1");
    assert_int_equal(api_route(&c), -1);
    assert_int_equal(answered, 404);
    call_drop(&c);

    call_make(&c, "DELETE", "/api/conversations/r1/messages/m1/reactions/a/b",
              "", "u1");
    assert_int_equal(api_route(&c), -1);
    assert_int_equal(answered, 404);
    call_drop(&c);
}


static void
times(void **state)
{
    size_t   i;
    call_t   c;
    int64_t  ms;

    static const struct {
        const char  *query;
        int64_t      ms;            /* -1: refused */
    } t[] = {
        { "before=2024-01-15T14:30:00Z", 1705329000000 },
        { "before=2024-01-15T14:30:00.250Z", 1705329000250 },
        { "before=2024-01-15T21:30:00%2B07:00", 1705329000000 },
        { "before=2024-01-15T21:30:00+07:00", 1705329000000 },
        { "before=2024-01-15", 1705276800000 },
        { "before=yesterday", -1 },
        { "before=2024-13-01", -1 },
        { "before=1960-01-01", -1 }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        call_make(&c, "GET", "/", t[i].query, "u1");
        assert_int_equal(api_params(&c), 0);
        ms = -2;

        if (t[i].ms < 0) {
            assert_int_equal(api_param_time(&c, "before", &ms), -1);
            assert_string_equal(answered_field, "before");

        } else {
            assert_int_equal(api_param_time(&c, "before", &ms), 0);
            assert_true(ms == t[i].ms);
        }

        call_drop(&c);
    }
}


static void
words(void **state)
{
    int          b;
    call_t       c;
    const char  *s;

    static const char *const  list[] = { "direct", "group", NULL };

    (void) state;

    call_make(&c, "GET", "/", "type=group&archived=true&t=a_-1&x=a/b&y=TRUE",
              "u1");
    assert_int_equal(api_params(&c), 0);

    s = NULL;
    assert_int_equal(api_param_one_of(&c, "type", list, "these", &s), 0);
    assert_string_equal(s, "group");
    assert_int_equal(api_param_one_of(&c, "none", list, "these", &s), 0);
    assert_string_equal(s, "group");
    assert_int_equal(api_param_one_of(&c, "t", list, "these", &s), -1);

    b = 0;
    assert_int_equal(api_param_bool(&c, "archived", &b), 0);
    assert_int_equal(b, 1);
    assert_int_equal(api_param_bool(&c, "y", &b), -1);

    assert_int_equal(api_param_id(&c, "t", &s), 0);
    assert_string_equal(s, "a_-1");
    assert_int_equal(api_param_id(&c, "x", &s), -1);
    assert_string_equal(answered_field, "x");

    call_drop(&c);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(found),
        cmocka_unit_test(not_found),
        cmocka_unit_test(anonymous),
        cmocka_unit_test(integers),
        cmocka_unit_test(encoding),
        cmocka_unit_test(rest),
        cmocka_unit_test(times),
        cmocka_unit_test(words)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
