/*
 * store_test_life.c: events about how long things live, for the tests of the
 * stores.
 */

#include "tests/unit/store_test.h"

#include "common/wrt_bus.h"


static void
life(events_t *l, char kind, json_t *body)
{
    assert_non_null(body);
    events_add(l, kind, "-", 0, "adm", "", body, NULL);
}


static json_t *
act(const char *id, const char *action, const char *user)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}, s:s}",
                     "id", id, "at", "2024-01-15T10:00:07.000Z", "action",
                     action, "actor", "userId", "adm", "role", "admin",
                     "target", "type", "user", "id", user, "from",
                     "192.0.2.7");
}


void
events_life(events_t *l, const char *conversation, const char *user)
{
    life(l, WRT_EV_LIFE,
         json_pack("{s:s, s:o, s:{s:s, s:s, s:s, s:s, s:s, s:s}}", "op",
                   "hold", "audit", act("a1", "hold_created", user),
                   "hold", "id", "h1", "type", "user", "targetId", user,
                   "reason", "case 12", "createdBy", "adm", "createdAt",
                   "2024-01-15T10:00:07.000Z"));
    life(l, WRT_EV_LIFE,
         json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s}}", "op", "hold",
                   "hold", "id", "h2", "type", "conversation", "targetId",
                   conversation, "reason", "case 13", "createdBy", "adm",
                   "createdAt", "2024-01-15T10:00:08.000Z"));
    life(l, WRT_EV_LIFE,
         json_pack("{s:s, s:s, s:s, s:s, s:o}", "op", "release", "holdId",
                   "h1", "by", "adm", "at", "2024-01-15T10:00:09.000Z",
                   "audit", act("a2", "hold_released", user)));
    life(l, WRT_EV_AUDIT,
         json_pack("{s:o}", "audit", act("a3", "user_exported", user)));
}


void
events_gone(events_t *l, const char *conversation)
{
    events_create(l, conversation, "group", "s1 t1", 0);
    events_message(l, conversation, 1, "gone1", "s1", "pergi", NULL, 1000);
    events_message(l, conversation, 2, "gone2", "t1", "tinggal", NULL, 9000);
    events_edit(l, conversation, 3, "gone1", "s1", "pergi jauh", 2000);
    events_set(l, conversation, 4, "s1",
               json_pack("{s:{s:i}}", "settings", "retention", 1), 3000);
    events_add(l, WRT_EV_LIFE, conversation, 0, "", "",
               json_pack("{s:s, s:s, s:[s, s]}", "op", "expire", "before",
                         "2024-01-15T10:00:08.000Z", "messages", "gone1",
                         "gone2"),
               NULL);
}


void
events_erased(events_t *l, const char *conversation)
{
    size_t   i;
    json_t  *body;

    static const char *const  ops[] = { "erase", "scrub", "forget",
                                        "erased" };

    for (i = 0; i < UNIT_COUNT(ops); i++) {
        body = json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", ops[i], "userId",
                         "t1", "alias", "erased-1", "by", "adm", "at",
                         "2024-01-16T10:00:00.000Z");

        if (i == 1) {
            json_object_set_new(body, "messages", json_pack("[s]", "gone2"));
        }

        events_add(l, WRT_EV_LIFE, i % 3 ? conversation : "-", 0, "", "",
                   body, NULL);
    }
}


void
events_all(events_t *l)
{
    events_mixed(l);
    events_gone(l, "c3");
    events_erased(l, "c3");
}


json_t *
snapshot_life(store_t *st)
{
    int             more;
    char            next[WRT_ID_MAX + 1];
    json_t         *v, *into;
    int64_t         total;
    store_due_t     late = { "", 1000, 100, 100,
                             STORE_TEST_T0 + 86400LL * 1000 * 1000, -1 };
    store_holds_t   holds = { NULL, NULL, 0, 1, 100 };
    store_audit_t   acts = { NULL, NULL, NULL, -1, -1, 1, 100 };

    into = json_object();
    assert_int_equal(store_holds(st, &holds, &v, &total), STORE_OK);
    json_object_set_new(into, "holds", v);

    if (json_array_size(v) > 0) {
        assert_int_equal(store_hold(st, "h1", &v), STORE_OK);
        json_object_set_new(into, "hold", v);
    }

    assert_int_equal(store_audit(st, &acts, &v, &more), STORE_OK);
    json_object_set_new(into, "audit", v);
    assert_int_equal(store_due(st, &late, &v, next), STORE_OK);
    json_object_set_new(into, "due", v);
    assert_int_equal(store_erasures(st, &v), STORE_OK);
    json_object_set_new(into, "erasures", v);
    assert_int_equal(store_traces(st, "t1", "", 100, &v), STORE_OK);
    json_object_set_new(into, "traces", v);

    if (store_said(st, "c1", "t1", 100, &v) == STORE_OK) {
        json_object_set_new(into, "said", v);
    }

    assert_int_equal(store_user_held(st, "t1"), STORE_NOT_FOUND);
    assert_int_equal(store_tidy(st, &more), STORE_OK);

    return into;
}
