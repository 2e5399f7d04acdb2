/*
 * store_test_device.c: events about devices that are reached by push, for the
 * tests of the stores.
 */

#include "tests/unit/store_test.h"

#include "common/wrt_bus.h"


static void
add(events_t *l, const char *user, json_t *body)
{
    assert_non_null(body);
    events_add(l, WRT_EV_DEVICE, "-", 0, user, "", body, NULL);
}


static json_t *
device(const char *id, const char *at)
{
    return json_pack("{s:s, s:{s:s, s:s, s:s, s:s}, s:s}", "op", "device",
                     "device", "id", id, "platform", "android", "token", id,
                     "locale", "id", "at", at);
}


void
events_devices(events_t *l, const char *conversation, const char *user)
{
    add(l, user, device("d1", "2024-01-15T10:00:01.000Z"));
    add(l, user, device("d2", "2024-01-15T10:00:02.000Z"));
    add(l, "moved", device("d3", "2024-01-15T10:00:03.000Z"));
    add(l, user, device("d3", "2024-01-15T10:00:04.000Z"));
    add(l, user, json_pack("{s:s, s:s, s:s}", "op", "gone", "deviceId", "d1",
                           "at", "2024-01-15T10:00:05.000Z"));
    add(l, user, json_pack("{s:s, s:{s:s, s:s, s:s}}", "op", "settings",
                           "quietHours", "start", "22:00", "end", "06:00",
                           "timezone", "Asia/Jakarta"));
    add(l, user, json_pack("{s:s, s:s, s:b}", "op", "mute", "conversationId",
                           conversation, "muted", 1));
    add(l, user, json_pack("{s:s, s:s, s:b}", "op", "mute", "conversationId",
                           "c9", "muted", 1));
    add(l, user, json_pack("{s:s, s:s, s:b}", "op", "mute", "conversationId",
                           "c9", "muted", 0));
    add(l, "moved", json_pack("{s:s}", "op", "forget"));
}


json_t *
snapshot_push(store_t *st, const char *user)
{
    json_t      *v;
    const char  *users[2];

    users[0] = user;
    users[1] = "moved";
    assert_int_equal(store_push(st, users, 2, NULL, &v), STORE_OK);

    return v;
}
