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


const struct CMUnitTest  suite_life[] = {
    SUITE_TEST(holds_come_and_go),
    SUITE_TEST(pages_of_holds),
    SUITE_TEST(log_of_acts),
    SUITE_TEST(bad_acts)
};

const size_t  suite_life_count = UNIT_COUNT(suite_life);
