/*
 * test_store_pair.c: thousands of random events into both stores, each in its
 * own batches, some of them repeated as after a crash.
 *
 * The suite tests what somebody thought of.  Here every document of the two
 * stores has to be the same at any time, and what is derived (who has read
 * what and when, what is unread, how many there are) has to be what a plain
 * model says, which keeps lists and counts by hand.
 */

#include "tests/unit/store_model.h"

#define EVENTS  6000
#define CHECKS  60
#define FULL    20      /* each so many-th looks at every message, too */

static const char  room_names[] = "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11";
static const char  user_names[] = "u0 u1 u2 u3 u4 u5 u6 u7 u8 nobody";


/* Batches of random length up to the event `to`; sometimes it goes back and
 * everything from there on comes again. */
static void
feed(store_t *st, size_t from, size_t to, uint64_t *rnd)
{
    size_t  n;

    while (from < to) {
        n = 1 + unit_below(rnd, 60);
        n = n < to - from ? n : to - from;

        events_apply(st, &model_events, from, from + n);
        from += n;

        if (unit_below(rnd, 5) == 0) {
            n = unit_below(rnd, 90);
            from -= n < from ? n : from;
        }
    }
}


/* Every document the same in both, and as the model says. */
static void
check_all(store_t *sqlite, store_t *mongo)
{
    int      k;
    json_t  *a, *b;

    a = snapshot(sqlite, room_names, user_names);
    b = snapshot(mongo, room_names, user_names);
    expect_equal(b, a, "MongoDB (got) and SQLite (expected)");
    json_decref(a);
    json_decref(b);

    for (k = 0; k < MODEL_ROOMS; k++) {
        model_check_messages(sqlite, k);
    }
}


/* What lists show of rooms changes with every message. */
static void
check_lists(store_t *st)
{
    int  k;

    for (k = 0; k < MODEL_ROOMS; k++) {
        model_check_room(st, k);
    }

    for (k = 0; k < MODEL_USERS; k++) {
        model_check_user(st, k);
    }
}


static void
random_events(void **state)
{
    int        k, check;
    size_t     from;
    store_t   *sqlite, *mongo;
    uint64_t   rnd_a, rnd_b;

    (void) state;

    model_seed = unit_seed();
    rnd_a = unit_random(&model_seed);
    rnd_b = unit_random(&model_seed);

    sqlite = backend_open(&sqlite_backend);
    mongo = backend_open(&mongo_backend);
    from = 0;

    for (check = 1; check <= CHECKS; check++) {
        while (model_events.n < (size_t) EVENTS / CHECKS * (size_t) check) {
            model_make();
        }

        feed(sqlite, from, model_events.n, &rnd_a);
        feed(mongo, from, model_events.n, &rnd_b);
        from = model_events.n;

        check_lists(sqlite);
        check_lists(mongo);

        if (check % FULL == 0) {
            check_all(sqlite, mongo);
        }
    }

    /* the events do make what is tested */

    for (k = 0; k < MODEL_ROOMS; k++) {
        assert_true(model_room[k].nmsgs > 2 * 37);
        assert_true((int64_t) model_room[k].nmsgs < model_room[k].seq - 5);
    }

    store_close(sqlite);
    store_close(mongo);
    model_free();
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(random_events)
    };

    sqlite_backend_init();
    mongo_backend_init();
    failed = cmocka_run_group_tests_name("pair", tests, NULL, NULL);
    mongo_backend_done();
    sqlite_backend_done();

    return failed;
}
