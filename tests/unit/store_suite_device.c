/*
 * store_suite_device.c: devices, quiet hours and mutes, in every store.
 *
 * Without it a phone that was sold could go on showing what its old owner
 * gets, a token that is none could be kept or one that was registered again
 * be lost, or somebody be woken who had asked not to be.
 */

#include "tests/unit/store_suite.h"

#include "common/wrt_bus.h"


static void
add(events_t *l, const char *user, const char *body)
{
    events_add(l, WRT_EV_DEVICE, "-", 0, user, "", json_of(body), NULL);
}


static void
device(events_t *l, const char *user, const char *id, const char *at)
{
    events_add(l, WRT_EV_DEVICE, "-", 0, user, "",
               json_pack("{s:s, s:{s:s, s:s, s:s}, s:s}", "op", "device",
                         "device", "id", id, "platform", "android", "token",
                         id, "at", at),
               NULL);
}


static json_t *
push(const char *user, const char *conversation)
{
    json_t      *v, *mine;
    const char  *users[1];

    users[0] = user;
    assert_int_equal(store_push(st, users, 1, conversation, &v), STORE_OK);
    mine = json_incref(json_object_get(v, user));
    assert_non_null(mine);
    json_decref(v);

    return mine;
}


static const char *
devices(const char *user)
{
    json_t  *v, *list;

    v = push(user, NULL);
    list = json_incref(json_object_get(v, "devices"));
    json_decref(v);

    return ids_of(list);
}


static void
devices_come_and_go(void **state)
{
    events_t  l = { 0 };

    (void) state;

    assert_string_equal(devices("s1"), "");

    add(&l, "s1", "{'op':'device','device':{'id':'d1','platform':'ios',"
        "'token':'t1','locale':'en-GB'},'at':'2024-01-15T10:00:00.000Z'}");
    device(&l, "s1", "d2", "2024-01-15T10:00:01.000Z");
    device(&l, "s2", "d3", "2024-01-15T10:00:02.000Z");
    events_put(st, &l);

    expect_json(push("s1", NULL), "{'devices':["
                "{'id':'d2','platform':'android','token':'d2','locale':null,"
                "'registeredAt':'2024-01-15T10:00:01.000Z'},"
                "{'id':'d1','platform':'ios','token':'t1','locale':'en-GB',"
                "'registeredAt':'2024-01-15T10:00:00.000Z'}],"
                "'quietHours':null,'mutes':[]}");

    /* another one's now; what was before that is passed over */
    device(&l, "s2", "d1", "2024-01-15T10:00:03.000Z");
    device(&l, "s1", "d1", "2024-01-15T10:00:02.000Z");
    add(&l, "s1", "{'op':'gone','deviceId':'d1',"
        "'at':'2024-01-15T10:00:09.000Z'}");
    add(&l, "", "{'op':'gone','deviceId':'d1',"
        "'at':'2024-01-15T10:00:02.500Z'}");
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 1, l.n), 0);
    events_free(&l);
    assert_string_equal(devices("s1"), "d2");
    assert_string_equal(devices("s2"), "d1 d3");

    /* by its user, and by the service, who names none */
    add(&l, "s1", "{'op':'gone','deviceId':'d2',"
        "'at':'2024-01-15T10:00:09.000Z'}");
    add(&l, "", "{'op':'gone','deviceId':'d3',"
        "'at':'2024-01-15T10:00:09.000Z'}");
    events_put(st, &l);
    assert_string_equal(devices("s1"), "");
    assert_string_equal(devices("s2"), "d1");
}


static void
not_too_many(void **state)
{
    int        i;
    char       id[8], at[32];
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    for (i = 0; i < WRT_PUSH_DEVICES_MAX + 3; i++) {
        snprintf(id, sizeof(id), "d%02d", i);
        snprintf(at, sizeof(at), "2024-01-15T10:00:%02d.000Z", i);
        device(&l, "s1", id, at);
    }

    device(&l, "s2", "other", "2024-01-15T09:00:00.000Z");
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 2, l.n), 0);
    events_free(&l);

    v = push("s1", NULL);
    assert_int_equal(json_array_size(json_object_get(v, "devices")),
                     WRT_PUSH_DEVICES_MAX);
    json_decref(v);
    assert_null(strstr(devices("s1"), "d02"));
    assert_non_null(strstr(devices("s1"), "d03"));
    assert_string_equal(devices("s2"), "other");
}


static void
mutes_last(void **state)
{
    size_t   i;
    json_t  *v;

    static const struct {
        const char  *mute;
        int          lasts;
    } t[] = {
        { "{\"until\":null}", 1 },
        { "{}", 1 },
        { "{\"until\":\"2024-01-15T10:00:00.001Z\"}", 1 },
        { "{\"until\":\"2024-01-15T10:00:00.000Z\"}", 0 },
        { "{\"until\":\"2023-01-15T10:00:00.000Z\"}", 0 },
    };

    (void) state;

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        v = json_loads(t[i].mute, 0, NULL);
        assert_int_equal(store_mute_lasts(v, INT64_C(1705312800000)),
                         t[i].lasts);
        json_decref(v);
    }
}


static void
quiet_and_mute(void **state)
{
    json_t      *v;
    events_t     l = { 0 };
    const char  *users[] = { "s1", "s2", "nobody" };

    (void) state;

    add(&l, "s1", "{'op':'settings','quietHours':{'start':'22:00',"
        "'end':'06:00','timezone':'Asia/Jakarta'}}");
    add(&l, "s1", "{'op':'mute','conversationId':'c1','muted':true}");
    add(&l, "s1", "{'op':'mute','conversationId':'c2','muted':true,"
        "'until':'2024-01-16T00:00:00.000Z'}");
    add(&l, "s2", "{'op':'mute','conversationId':'c2','muted':true}");
    add(&l, "s2", "{'op':'mute','conversationId':'c2','muted':false}");
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    events_free(&l);

    assert_int_equal(store_push(st, users, 3, NULL, &v), STORE_OK);
    expect_json(v, "{'s1':{'devices':[],'quietHours':{'start':'22:00',"
                "'end':'06:00','timezone':'Asia/Jakarta'},'mutes':["
                "{'conversationId':'c1','until':null},"
                "{'conversationId':'c2','until':'2024-01-16T00:00:00.000Z'}]},"
                "'s2':{'devices':[],'quietHours':null,'mutes':[]},"
                "'nobody':{'devices':[],'quietHours':null,'mutes':[]}}");
    expect_json(push("s1", "c2"), "{'devices':[],'quietHours':{"
                "'start':'22:00','end':'06:00','timezone':'Asia/Jakarta'},"
                "'mutes':[{'conversationId':'c2',"
                "'until':'2024-01-16T00:00:00.000Z'}]}");

    /* changed, taken back, and nothing left */
    add(&l, "s1", "{'op':'mute','conversationId':'c2','muted':true}");
    add(&l, "s1", "{'op':'settings','quietHours':null}");
    device(&l, "s1", "d1", "2024-01-15T10:00:00.000Z");
    events_put(st, &l);
    expect_json(push("s1", "c2"), "{'devices':[{'id':'d1','platform':"
                "'android','token':'d1','locale':null,'registeredAt':"
                "'2024-01-15T10:00:00.000Z'}],'quietHours':null,"
                "'mutes':[{'conversationId':'c2','until':null}]}");

    add(&l, "s1", "{'op':'settings','quietHours':{'start':'22:00',"
        "'end':'06:00','timezone':'UTC'}}");
    add(&l, "s1", "{'op':'forget'}");
    events_put(st, &l);
    expect_json(push("s1", NULL),
                "{'devices':[],'quietHours':null,'mutes':[]}");
}


static void
bad_devices(void **state)
{
    size_t     i, bad;
    events_t   l = { 0 };

    static const struct {
        const char  *user;
        const char  *body;
    } t[] = {
        { "s1", "{}" },
        { "s1", "{'op':'dance'}" },
        { "", "{'op':'forget'}" },
        { "", "{'op':'device','device':{'id':'d1','platform':'web',"
          "'token':'t'},'at':'2024-01-15T10:00:00.000Z'}" },
        { "s1", "{'op':'device','device':{'id':'d 1','platform':'web',"
          "'token':'t'},'at':'2024-01-15T10:00:00.000Z'}" },
        { "s1", "{'op':'device','device':{'id':'d1','platform':'palm',"
          "'token':'t'},'at':'2024-01-15T10:00:00.000Z'}" },
        { "s1", "{'op':'device','device':{'id':'d1','platform':'web',"
          "'token':''},'at':'2024-01-15T10:00:00.000Z'}" },
        { "s1", "{'op':'device','device':{'id':'d1','platform':'web',"
          "'token':'t','locale':5},'at':'2024-01-15T10:00:00.000Z'}" },
        { "s1", "{'op':'device','device':{'id':'d1','platform':'web',"
          "'token':'t'}}" },
        { "s1", "{'op':'gone','deviceId':'d1'}" },
        { "s1", "{'op':'settings'}" },
        { "s1", "{'op':'settings','quietHours':{'start':'22:00'}}" },
        { "s1", "{'op':'mute','conversationId':'c1'}" },
        { "s1", "{'op':'mute','muted':true}" },
        { "s1", "{'op':'mute','conversationId':'c1','muted':true,"
          "'until':'soon'}" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        add(&l, t[i].user, t[i].body);
        assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
        assert_int_equal(bad, 0);
        events_free(&l);
    }

    expect_json(push("s1", NULL),
                "{'devices':[],'quietHours':null,'mutes':[]}");
}


const struct CMUnitTest  suite_device[] = {
    SUITE_TEST(devices_come_and_go),
    SUITE_TEST(not_too_many),
    SUITE_TEST(mutes_last),
    SUITE_TEST(quiet_and_mute),
    SUITE_TEST(bad_devices)
};

const size_t  suite_device_count = UNIT_COUNT(suite_device);
