/*
 * store_suite_life.c: how long things live, in every store: holds, the log of
 * administrative acts.
 *
 * Without it what a court has asked for could be deleted, an act could be
 * missing in the log or be there twice after a crash.
 */

#include "tests/unit/store_suite.h"

#include "common/wrt_bus.h"


static void
add(events_t *l, char kind, const char *body)
{
    events_add(l, kind, "-", 0, "adm", "", json_of(body), NULL);
}


static void
hold(events_t *l, const char *id, const char *type, const char *target,
    const char *at)
{
    events_add(l, WRT_EV_LIFE, "-", 0, "adm", "",
               json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s}}", "op",
                         "hold", "hold", "id", id, "type", type, "targetId",
                         target, "reason", "case 12", "createdBy", "adm",
                         "createdAt", at),
               NULL);
}


static const char *
holds(const char *type, const char *target, int active)
{
    json_t         *v;
    int64_t         total;
    store_holds_t   q = { type, target, active, 1, 10 };

    assert_int_equal(store_holds(st, &q, &v, &total), STORE_OK);
    assert_int_equal(json_array_size(v), total);

    return ids_of(v);
}


static void
holds_come_and_go(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    hold(&l, "h1", "conversation", "c1", "2024-01-15T10:00:00.000Z");
    hold(&l, "h2", "user", "s1", "2024-01-15T10:00:01.000Z");
    hold(&l, "h3", "user", "s1", "2024-01-15T10:00:02.000Z");
    add(&l, WRT_EV_LIFE, "{'op':'release','holdId':'h2','by':'adm2',"
        "'at':'2024-01-15T11:00:00.000Z'}");
    add(&l, WRT_EV_LIFE, "{'op':'release','holdId':'h9','by':'adm2',"
        "'at':'2024-01-15T11:00:00.000Z'}");
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    /* again, in other boundaries; released is released */
    add(&l, WRT_EV_LIFE, "{'op':'release','holdId':'h2','by':'adm3',"
        "'at':'2024-01-15T12:00:00.000Z'}");
    assert_int_equal(events_apply(st, &l, 0, 2), 0);
    assert_int_equal(events_apply(st, &l, 2, l.n), 0);
    events_free(&l);

    assert_int_equal(store_hold(st, "h2", &v), STORE_OK);
    expect_json(v, "{'id':'h2','type':'user','targetId':'s1',"
                "'reason':'case 12','createdBy':'adm',"
                "'createdAt':'2024-01-15T10:00:01.000Z',"
                "'releasedBy':'adm2',"
                "'releasedAt':'2024-01-15T11:00:00.000Z'}");
    assert_int_equal(store_hold(st, "h1", &v), STORE_OK);
    expect_json(v, "{'id':'h1','type':'conversation','targetId':'c1',"
                "'reason':'case 12','createdBy':'adm',"
                "'createdAt':'2024-01-15T10:00:00.000Z',"
                "'releasedBy':null,'releasedAt':null}");
    assert_int_equal(store_hold(st, "h9", &v), STORE_NOT_FOUND);
    assert_null(v);

    assert_string_equal(holds(NULL, NULL, 0), "h3 h2 h1");
    assert_string_equal(holds(NULL, NULL, 1), "h3 h1");
    assert_string_equal(holds("user", NULL, 0), "h3 h2");
    assert_string_equal(holds("user", "s1", 1), "h3");
    assert_string_equal(holds("conversation", "c1", 1), "h1");
    assert_string_equal(holds("conversation", "s1", 0), "");
}


static void
pages_of_holds(void **state)
{
    int             i;
    char            id[8], at[32];
    json_t         *v;
    int64_t         total;
    events_t        l = { 0 };
    store_holds_t   q = { NULL, NULL, 0, 2, 2 };

    (void) state;

    for (i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "h%d", i);
        snprintf(at, sizeof(at), "2024-01-15T10:00:0%d.000Z", i / 2);
        hold(&l, id, "user", "s1", at);
    }
    events_put(st, &l);

    assert_int_equal(store_holds(st, &q, &v, &total), STORE_OK);
    assert_int_equal(total, 5);
    assert_string_equal(ids_of(v), "h2 h1");
}


static void
act(events_t *l, char kind, const char *id, const char *at,
    const char *action, const char *actor, const char *target)
{
    json_t  *body;

    body = json_pack("{s:{s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}, s:s,"
                     " s:{s:i}}}", "audit", "id", id, "at", at, "action",
                     action, "actor", "userId", actor, "role", "admin",
                     "target", "type", "user", "id", target, "from",
                     "192.0.2.7", "details", "n", 3);
    assert_non_null(body);

    if (kind == WRT_EV_LIFE) {
        json_object_set_new(body, "op", json_string("release"));
        json_object_set_new(body, "holdId", json_string("h1"));
        json_object_set_new(body, "by", json_string(actor));
        json_object_set_new(body, "at", json_string(at));
    }

    events_add(l, kind, "-", 0, "adm", "", body, NULL);
}


static const char *
acts(const char *actor, const char *action, const char *target,
    int64_t before, int64_t after)
{
    int             more;
    json_t         *v;
    store_audit_t   q = { actor, action, target, before, after, 1, 10 };

    assert_int_equal(store_audit(st, &q, &v, &more), STORE_OK);
    assert_int_equal(more, 0);

    return ids_of(v);
}


static void
log_of_acts(void **state)
{
    int             more;
    json_t         *v;
    events_t        l = { 0 };
    store_audit_t   q = { NULL, NULL, NULL, -1, -1, 2, 2 };

    (void) state;

    act(&l, WRT_EV_AUDIT, "a1", "2024-01-15T10:00:01.000Z", "user_exported",
        "adm", "s1");
    act(&l, WRT_EV_AUDIT, "a3", "2024-01-15T10:00:02.000Z", "user_erased",
        "adm", "s1");
    act(&l, WRT_EV_AUDIT, "a2", "2024-01-15T10:00:02.000Z", "user_exported",
        "root", "s2");
    /* with what it did, of which there is nothing here */
    act(&l, WRT_EV_LIFE, "a4", "2024-01-15T10:00:03.000Z", "hold_released",
        "root", "s1");
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 1, 3), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);

    assert_string_equal(acts(NULL, NULL, NULL, -1, -1), "a4 a3 a2 a1");
    assert_string_equal(acts("adm", NULL, NULL, -1, -1), "a3 a1");
    assert_string_equal(acts(NULL, "user_exported", NULL, -1, -1), "a2 a1");
    assert_string_equal(acts(NULL, NULL, "s1", -1, -1), "a4 a3 a1");
    assert_string_equal(acts("adm", "user_erased", "s1", -1, -1), "a3");
    assert_string_equal(acts(NULL, NULL, NULL, STORE_TEST_T0 + 3000,
                             STORE_TEST_T0 + 1000), "a3 a2");
    assert_string_equal(acts("nobody", NULL, NULL, -1, -1), "");

    assert_int_equal(store_audit(st, &q, &v, &more), STORE_OK);
    assert_int_equal(more, 0);
    assert_string_equal(ids_of(v), "a2 a1");
    q.page = 1;
    assert_int_equal(store_audit(st, &q, &v, &more), STORE_OK);
    assert_int_equal(more, 1);
    assert_string_equal(ids_of(v), "a4 a3");

    q.limit = 1;
    q.page = 4;
    assert_int_equal(store_audit(st, &q, &v, &more), STORE_OK);
    expect_json(v, "[{'id':'a1','at':'2024-01-15T10:00:01.000Z',"
                "'action':'user_exported','actor':{'userId':'adm',"
                "'role':'admin'},'target':{'type':'user','id':'s1'},"
                "'from':'192.0.2.7','details':{'n':3}}]");
}


static void
bad_acts(void **state)
{
    size_t     i, bad;
    json_t    *v;
    events_t   l = { 0 };

    static const struct {
        char         kind;
        const char  *body;
    } t[] = {
        { WRT_EV_LIFE, "{}" },
        { WRT_EV_LIFE, "{'op':'dance'}" },
        { WRT_EV_LIFE, "{'op':'hold'}" },
        { WRT_EV_LIFE, "{'op':'hold','hold':{'id':'h1','type':'room',"
          "'targetId':'c1','reason':'x','createdBy':'adm',"
          "'createdAt':'2024-01-15T10:00:00.000Z'}}" },
        { WRT_EV_LIFE, "{'op':'hold','hold':{'id':'h 1','type':'user',"
          "'targetId':'c1','reason':'x','createdBy':'adm',"
          "'createdAt':'2024-01-15T10:00:00.000Z'}}" },
        { WRT_EV_LIFE, "{'op':'hold','hold':{'id':'h1','type':'user',"
          "'targetId':'c1','reason':'','createdBy':'adm',"
          "'createdAt':'2024-01-15T10:00:00.000Z'}}" },
        { WRT_EV_LIFE, "{'op':'hold','hold':{'id':'h1','type':'user',"
          "'targetId':'c1','reason':'x','createdBy':'adm',"
          "'createdAt':'now'}}" },
        { WRT_EV_LIFE, "{'op':'release','holdId':'h1','by':'adm'}" },
        { WRT_EV_LIFE, "{'op':'release','holdId':'h1','by':'adm',"
          "'at':'2024-01-15T10:00:00.000Z','audit':{}}" },
        { WRT_EV_LIFE, "{'op':'expire','messages':[],"
          "'before':'2024-01-15T10:00:00.000Z'}" },
        { WRT_EV_AUDIT, "{}" },
        { WRT_EV_AUDIT, "{'audit':{'id':'a1','at':'x','action':'y',"
          "'actor':{'userId':'u','role':'r'},'target':{'type':'t',"
          "'id':'i'},'from':'f'}}" },
        { WRT_EV_AUDIT, "{'audit':{'id':'a1',"
          "'at':'2024-01-15T10:00:00.000Z','action':'y',"
          "'actor':{'userId':'u'},'target':{'type':'t','id':'i'},"
          "'from':'f'}}" },
        { WRT_EV_AUDIT, "{'audit':{'id':'a1',"
          "'at':'2024-01-15T10:00:00.000Z','action':'y',"
          "'actor':{'userId':'u','role':'r'},'target':{'type':'t',"
          "'id':'i'},'from':'f','details':[]}}" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        add(&l, t[i].kind, t[i].body);
        assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
        assert_int_equal(bad, 0);
        events_free(&l);
    }

    assert_int_equal(store_hold(st, "h1", &v), STORE_NOT_FOUND);
    assert_string_equal(acts(NULL, NULL, NULL, -1, -1), "");
}


/* -- retention -- */

#define DAY  (86400LL * 1000)

/* Rooms a, b, c of s1 and t1: messages of days 0, 1, 2..., one a day. */
static void
rooms(events_t *l, int days)
{
    int          i;
    char         id[16];
    size_t       r;
    const char  *room;

    static const char *const  all[] = { "a", "b", "c" };

    for (r = 0; r < UNIT_COUNT(all); r++) {
        room = all[r];
        events_create(l, room, "group", "s1 t1", 0);

        for (i = 0; i < days; i++) {
            snprintf(id, sizeof(id), "%s%d", room, i);
            events_message(l, room, i + 1, id, i % 2 ? "t1" : "s1",
                           i % 2 ? "ujian besok" : "naskah marker", NULL,
                           i * DAY + (int) r);
        }
    }
}


static void
settings(events_t *l, const char *room, int64_t seq, int retention,
    int archive)
{
    events_set(l, room, seq, "s1",
               json_pack("{s:{s:i, s:b}}", "settings", "retention",
                         retention, "autoArchive", archive),
               100);
}


static json_t *
due_after(const char *after, int64_t days, int look, int max, int limit,
    char next[WRT_ID_MAX + 1])
{
    json_t       *v;
    store_due_t   q = { after, look, max, limit, STORE_TEST_T0 + days * DAY,
                        STORE_TEST_T0 + (days - 30) * DAY };

    assert_int_equal(store_due(st, &q, &v, next), STORE_OK);

    return v;
}


static json_t *
due(int64_t days)
{
    char     next[WRT_ID_MAX + 1];
    json_t  *v;

    v = due_after("", days, 100, 100, 100, next);
    assert_string_equal(next, "");

    return v;
}


/* What was found goes, as the janitor has it. */
static void
expire(json_t *list)
{
    size_t     i, k;
    json_t    *room, *m, *ids;
    events_t   l = { 0 };

    json_array_foreach(list, i, room) {
        ids = json_array();

        json_array_foreach(json_object_get(room, "messages"), k, m) {
            json_array_append(ids, json_object_get(m, "id"));
        }

        events_add(&l, WRT_EV_LIFE, json_string_value(json_object_get(
                       room, "conversationId")), 0, "", "",
                   json_pack("{s:s, s:O, s:o}", "op", "expire", "before",
                             json_object_get(room, "before"), "messages",
                             ids),
                   NULL);
    }

    json_decref(list);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);
}


static const char *
found(const char *q)
{
    int             more;
    char            text[512] = "";
    size_t          i;
    json_t         *v, *hit;
    store_search_t  s = WISH("s1", q, NULL, NULL, NULL, -1, -1, 1, 100);

    static char  out[512];

    assert_int_equal(store_search(st, &s, &v, &more), STORE_OK);

    json_array_foreach(v, i, hit) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 i ? " " : "", json_string_value(json_object_get(
                     json_object_get(hit, "message"), "id")));
    }

    json_decref(v);
    strcpy(out, text);

    return out;
}


static void
what_is_due(void **state)
{
    char       next[WRT_ID_MAX + 1];
    events_t   l = { 0 };

    (void) state;

    rooms(&l, 4);
    settings(&l, "a", 5, 7, 0);
    settings(&l, "b", 5, 8, 1);
    events_edit(&l, "a", 6, "a0", "s1", "new", 200);
    events_react(&l, "a", 7, "a1", "t1", "+1", 1, 300);
    events_put(st, &l);

    /* exactly so many days are not more */
    expect_json(due(7), "[]");
    expect_json(due_after("", 9, 100, 100, 100, next),
                "[{'conversationId':'a','seq':7,"
                "'before':'2024-01-17T10:00:00.000Z','messages':["
                "{'id':'a0','numbers':[1,6,6]},{'id':'a1','numbers':[2,7]}],"
                "'idle':false},"
                "{'conversationId':'b','seq':5,"
                "'before':'2024-01-16T10:00:00.000Z','messages':["
                "{'id':'b0','numbers':[1]}],'idle':false}]");
    assert_string_equal(next, "");

    /* pages */
    expect_json(due_after("", 9, 100, 1, 1, next),
                "[{'conversationId':'a','seq':7,"
                "'before':'2024-01-17T10:00:00.000Z','messages':["
                "{'id':'a0','numbers':[1,6,6]}],'idle':false}]");
    assert_string_equal(next, "a");
    expect_json(due_after("b", 9, 1, 1, 1, next), "[]");
    assert_string_equal(next, "c");
    expect_json(due_after("c", 9, 1, 1, 1, next), "[]");
    assert_string_equal(next, "");

    /* idle since the last message, once it is archived no more */
    settings(&l, "b", 6, 90, 1);
    events_put(st, &l);
    expect_json(due_after("a", 33, 1, 1, 9, next), "[]");
    expect_json(due_after("a", 34, 1, 1, 9, next),
                "[{'conversationId':'b','seq':6,"
                "'before':'2023-11-20T10:00:00.000Z','messages':[],"
                "'idle':true}]");
    events_set(&l, "b", 7, "s1", json_of("{'archived':true}"), 400);
    events_put(st, &l);
    expect_json(due_after("a", 34, 1, 1, 9, next), "[]");
}


static void
retention(void **state)
{
    int        more;
    json_t    *v;
    int64_t    upto;
    events_t   l = { 0 };
    store_page_t  q = { "a", 1, 200, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    rooms(&l, 4);
    settings(&l, "a", 5, 7, 0);
    settings(&l, "b", 5, 7, 0);
    events_edit(&l, "a", 6, "a0", "s1", "naskah marker new", 200);
    events_delete(&l, "a", 7, "a1", "t1", 300);
    events_reply(&l, "a", 8, "a8", "s1", "jawaban", "a0", 5 * DAY);
    events_cursor(&l, "a", "t1", 'r', 1, 5 * DAY);
    events_cursor(&l, "a", "t1", 'r', 3, 5 * DAY + 1);
    events_file(&l, "b", "b0", 2, "s1", "0123456789abcdef0123456789abcdef"
                "0123456789abcdef0123456789abcdef", "clean", 0);
    events_put(st, &l);
    assert_int_equal(store_file(st, "b0", &v), STORE_OK);
    json_decref(v);

    expire(due(9));

    /* numbers of what is left stay */
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "a8 a3 a2");
    assert_int_equal(store_message(st, "a", "a0", &v), STORE_NOT_FOUND);
    assert_int_equal(store_message(st, "a", "a1", &v), STORE_NOT_FOUND);
    expect_json(pick(get_msg("a", "a2"), "seq", NULL), "3");
    expect_json(pick(get_msg("a", "a8"), "replyPreview", NULL), "null");
    expect_json(pick(get_msg("a", "a2"), "status", NULL), "'read'");
    expect_json(pick(get_conv("a"), "metadata", "messageCount"), "3");
    expect_json(pick(get_conv("a"), "lastMessage", "content"), "'jawaban'");
    expect_json(pick(get_conv("a"), "seq", NULL), "8");
    assert_string_equal(found("naskah"), "c2 b2 a2 c0");
    assert_int_equal(store_file(st, "b0", &v), STORE_NOT_FOUND);

    assert_int_equal(store_changes(st, "a", 0, 100, &v, &upto), STORE_OK);
    assert_int_equal(upto, 8);
    assert_string_equal(ids_of(v), "a2 a3 a8");

    /* chat goes on */
    events_message(&l, "a", 9, "a9", "t1", "lanjut", NULL, 9 * DAY);
    events_put(st, &l);
    expect_json(pick(get_conv("a"), "metadata", "messageCount"), "4");

    /* and all of it; the room stays */
    expire(due(400));
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "");
    expect_json(pick(get_conv("a"), "lastMessage", NULL), "null");
    expect_json(pick(get_conv("a"), "metadata", "messageCount"), "0");
    expect_json(pick(get_conv("a"), "seq", NULL), "9");
    expect_json(pick(get_conv("c"), "metadata", "messageCount"), "4");
    expect_json(due(400), "[]");
    events_message(&l, "a", 10, "a10", "t1", "lagi", NULL, 400 * DAY);
    events_put(st, &l);
    expect_json(pick(get_conv("a"), "metadata", "messageCount"), "1");
    expect_json(pick(get_conv("a"), "lastMessage", "content"), "'lagi'");
}


/* In one batch: with what was sent before and after. */
static void
retention_among_others(void **state)
{
    events_t   l = { 0 };

    (void) state;

    rooms(&l, 4);
    events_message(&l, "a", 5, "a5", "s1", "five", NULL, 5 * DAY);
    events_add(&l, WRT_EV_LIFE, "a", 0, "", "",
               json_of("{'op':'expire','before':'2024-01-30T10:00:00.000Z',"
                       "'messages':['a0','a1','a2','a3','a5','b0','nix']}"),
               NULL);
    events_edit(&l, "a", 6, "a5", "s1", "six", 6 * DAY);
    events_message(&l, "a", 7, "a7", "t1", "seven", NULL, 7 * DAY);
    events_add(&l, WRT_EV_LIFE, "nowhere", 0, "", "",
               json_of("{'op':'expire','before':'2024-01-30T10:00:00.000Z',"
                       "'messages':['b0']}"),
               NULL);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);

    expect_json(pick(get_conv("a"), "lastMessage", "content"), "'seven'");
    expect_json(pick(get_conv("a"), "metadata", "messageCount"), "1");
    assert_string_equal(ids_of(get_msgs("a")), "a7");
    expect_json(pick(get_conv("b"), "metadata", "messageCount"), "4");
    expect_json(pick(get_msg("b", "b0"), "seq", NULL), "1");

    /* too young */
    events_add(&l, WRT_EV_LIFE, "b", 0, "", "",
               json_of("{'op':'expire','before':'2024-01-15T10:00:00.001Z',"
                       "'messages':['b0','b1']}"),
               NULL);
    events_put(st, &l);
    assert_string_equal(ids_of(get_msgs("b")), "b3 b2 b1 b0");
}


/* Found before the hold came, taken out after it: not. */
static void
holds_stop_retention(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    rooms(&l, 4);
    settings(&l, "a", 5, 7, 0);
    settings(&l, "b", 5, 7, 0);
    events_create(&l, "d", "group", "s2 t2", 0);
    events_message(&l, "d", 1, "d0", "s2", "naskah", NULL, 0);
    settings(&l, "d", 2, 7, 0);
    events_put(st, &l);
    v = due(100);
    assert_int_equal(json_array_size(v), 3);

    hold(&l, "h1", "conversation", "a", "2024-01-15T10:00:00.000Z");
    events_put(st, &l);
    expire(v);
    assert_string_equal(ids_of(get_msgs("a")), "a3 a2 a1 a0");
    assert_string_equal(ids_of(get_msgs("b")), "");
    assert_string_equal(ids_of(get_msgs("d")), "");
    expect_json(due(100), "[]");

    /* who was in it counts, too */
    add(&l, WRT_EV_LIFE, "{'op':'release','holdId':'h1','by':'adm',"
        "'at':'2024-01-15T11:00:00.000Z'}");
    events_put(st, &l);
    v = due(100);
    assert_int_equal(json_array_size(v), 1);
    hold(&l, "h2", "user", "nobody", "2024-01-15T10:00:00.000Z");
    hold(&l, "h3", "user", "t1", "2024-01-15T10:00:00.000Z");
    events_member(&l, 'l', "a", 6, "a6", "s1", "t1", 90 * DAY, NULL);
    events_put(st, &l);
    expire(v);
    assert_string_equal(ids_of(get_msgs("a")), "a6 a3 a2 a1 a0");
    expect_json(due(100), "[]");

    add(&l, WRT_EV_LIFE, "{'op':'release','holdId':'h3','by':'adm',"
        "'at':'2024-01-15T11:00:00.000Z'}");
    events_put(st, &l);
    expire(due(95));
    assert_string_equal(ids_of(get_msgs("a")), "a6");
}


/* -- erasure -- */

static void
erase(events_t *l, const char *op, const char *room, json_t *messages)
{
    json_t  *body;

    body = json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", op, "userId", "s1",
                     "alias", "erased-1", "by", "adm", "at",
                     "2024-01-16T10:00:00.000Z");

    if (messages) {
        json_object_set_new(body, "messages", messages);
    }

    events_add(l, WRT_EV_LIFE, room, 0, "", "", body, NULL);
}


/* What is his there goes, as the janitor has it; how many messages. */
static size_t
scrub(const char *room)
{
    size_t     i, n;
    json_t    *v, *m, *ids;
    events_t   l = { 0 };

    assert_int_equal(store_said(st, room, "s1", 100, &v), STORE_OK);
    n = json_array_size(v);
    ids = json_array();

    json_array_foreach(v, i, m) {
        json_array_append(ids, json_object_get(m, "id"));
    }

    json_decref(v);
    erase(&l, "scrub", room, ids);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);

    return n;
}


static json_t *
traces(void)
{
    json_t  *v;

    assert_int_equal(store_traces(st, "s1", "", 100, &v), STORE_OK);

    return v;
}


static void
a_life(events_t *l)
{
    rooms(l, 2);
    events_profile(l, "s1", "Marker", NULL, "student");
    events_edit(l, "a", 3, "a0", "s1", "naskah baru", 2 * DAY);
    events_react(l, "a", 4, "a1", "s1", "+1", 1, 2 * DAY);
    events_react(l, "a", 5, "a1", "t1", "+1", 1, 2 * DAY);
    events_member(l, 'j', "a", 6, "a6", "t1", "s2", 3 * DAY, NULL);
    events_cursor(l, "a", "s1", 'r', 2, 3 * DAY);
    events_file(l, "a", "a0", 2, "s1", "0123456789abcdef0123456789abcdef"
                "0123456789abcdef0123456789abcdef", "clean", 0);
    events_member(l, 'l', "a", 7, "a7", "s1", "s1", 4 * DAY, NULL);
}


static void
erasure(void **state)
{
    int            more;
    char          *text;
    json_t        *v;
    events_t       l = { 0 };

    (void) state;

    a_life(&l);
    erase(&l, "erase", "-", NULL);
    events_put(st, &l);
    assert_int_equal(store_erasures(st, &v), STORE_OK);
    expect_json(v, "[{'userId':'s1','alias':'erased-1','requestedBy':'adm',"
                "'requestedAt':'2024-01-16T10:00:00.000Z'}]");
    expect_json(traces(), "[{'conversationId':'a','seq':7,'present':false,"
                "'role':'student','type':'group','held':false},"
                "{'conversationId':'b','seq':2,'present':true,"
                "'role':'student','type':'group','held':false},"
                "{'conversationId':'c','seq':2,'present':true,"
                "'role':'student','type':'group','held':false}]");
    assert_int_equal(store_said(st, "a", "s1", 100, &v), STORE_OK);
    expect_json(v, "[{'id':'a0','numbers':[1,3,3]},"
                "{'id':'a7','numbers':[7]}]");

    assert_int_equal(scrub("a"), 2);
    assert_int_equal(scrub("a"), 0);
    erase(&l, "forget", "a", NULL);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);

    v = get_msg("a", "a0");
    expect_json(json_incref(json_object_get(v, "content")), "{}");
    expect_json(json_incref(json_object_get(v, "senderId")), "'erased-1'");
    expect_json(json_incref(json_object_get(v, "seq")), "1");
    expect_json(json_incref(json_object_get(v, "deletedBy")), "'erased-1'");
    json_decref(v);
    expect_json(pick(get_msg("a", "a1"), "content", "text"),
                "'ujian besok'");
    v = pick(get_msg("a", "a1"), "reactions", NULL);
    assert_int_equal(json_array_size(v), 1);
    expect_json(json_incref(json_object_get(json_array_get(v, 0), "userId")),
                "'t1'");
    json_decref(v);
    assert_int_equal(store_file(st, "a0", &v), STORE_NOT_FOUND);

    /* nothing in the room says who he was */
    v = json_pack("{s:o, s:o, s:o}", "room", get_conv("a"), "messages",
                  get_msgs("a"), "state", get_state("a"));
    text = json_dumps(v, JSON_COMPACT);
    assert_null(strstr(text, "\"s1\""));
    assert_null(strstr(text, "naskah"));
    assert_null(strstr(text, "Marker"));
    assert_non_null(strstr(text, "erased-1"));
    free(text);
    json_decref(v);
    v = traces();
    assert_int_equal(json_array_size(v), 2);
    json_decref(v);

    /* others still chat there */
    events_message(&l, "a", 8, "a8", "t1", "lanjut", NULL, 5 * DAY);
    events_put(st, &l);
    expect_json(pick(get_conv("a"), "metadata", "messageCount"), "5");

    assert_int_equal(scrub("b") + scrub("c"), 2);
    erase(&l, "forget", "b", NULL);
    erase(&l, "forget", "c", NULL);
    erase(&l, "erased", "-", NULL);
    events_put(st, &l);
    expect_json(traces(), "[]");
    assert_int_equal(store_erasures(st, &v), STORE_OK);
    expect_json(v, "[]");
    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_NOT_FOUND);
    assert_string_equal(found("naskah"), "");

    do {
        assert_int_equal(store_tidy(st, &more), STORE_OK);
    } while (more);
}


static void
holds_stop_erasure(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    a_life(&l);
    hold(&l, "h1", "user", "t1", "2024-01-15T10:00:00.000Z");
    erase(&l, "forget", "a", NULL);
    events_put(st, &l);
    assert_int_equal(store_user_held(st, "t1"), STORE_OK);
    assert_int_equal(store_user_held(st, "s1"), STORE_NOT_FOUND);
    v = traces();
    assert_int_equal(json_array_size(v), 3);
    expect_json(json_incref(json_object_get(json_array_get(v, 0), "held")),
                "true");
    json_decref(v);
    assert_int_equal(scrub("a"), 2);
    assert_int_equal(scrub("a"), 2);
    expect_json(pick(get_msg("a", "a0"), "content", "text"),
                "'naskah baru'");

    add(&l, WRT_EV_LIFE, "{'op':'release','holdId':'h1','by':'adm',"
        "'at':'2024-01-15T11:00:00.000Z'}");
    events_put(st, &l);
    assert_int_equal(store_user_held(st, "t1"), STORE_NOT_FOUND);
    assert_int_equal(scrub("a"), 2);
    assert_int_equal(scrub("a"), 0);
}


const struct CMUnitTest  suite_life[] = {
    SUITE_TEST(holds_come_and_go),
    SUITE_TEST(pages_of_holds),
    SUITE_TEST(log_of_acts),
    SUITE_TEST(bad_acts),
    SUITE_TEST(what_is_due),
    SUITE_TEST(retention),
    SUITE_TEST(retention_among_others),
    SUITE_TEST(holds_stop_retention),
    SUITE_TEST(erasure),
    SUITE_TEST(holds_stop_erasure)
};

const size_t  suite_life_count = UNIT_COUNT(suite_life);
