/*
 * test_store_pair.c: thousands of random events into both stores, each in its
 * own batches, some of them repeated as after a crash.
 *
 * The suite tests what somebody thought of.  Here every document of the two
 * stores has to be the same at any time, and what is derived (who has read
 * what and when, what is unread, how many there are) has to be what a plain
 * model says, which keeps lists and counts by hand.
 */

#include "tests/unit/store_test.h"

#include <stdio.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"

#define ROOMS     12
#define USERS     9
#define EVENTS    3000
#define CHECKS    5
#define MSGS      EVENTS

typedef struct {
    int      here;              /* is a member now */
    int      ever;
    int64_t  join_seq;
    int64_t  read_seq;
    int64_t  delivered_seq;
    size_t   nmoves;
    struct {
        int64_t  seq;
        int64_t  at;
    }        move[MSGS];
} member_t;

typedef struct {
    int64_t  seq;
    int64_t  at;
    int      sender;
    int      client;            /* -1: none */
    char     id[32];
} msg_t;

typedef struct {
    int       exists;
    int64_t   seq;
    int64_t   at;
    size_t    nmsgs;
    msg_t     msg[MSGS];
    member_t  member[USERS];
} room_t;

static room_t    room[ROOMS];
static events_t  list;
static uint64_t  seed;
static int64_t   clock_ms;

static const char  room_names[] = "r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11";
static const char  user_names[] = "u0 u1 u2 u3 u4 u5 u6 u7 u8 nobody";


static int
below(int n)
{
    return (int) unit_below(&seed, (uint64_t) n);
}


/* Good for four more calls. */
static const char *
name(char letter, int i)
{
    static int   n;
    static char  buf[4][16];

    n = (n + 1) % 4;
    sprintf(buf[n], "%c%d", letter, i);

    return buf[n];
}


/* The model takes the event, too. */
static void
store_message_in_model(room_t *r, const char *id, int sender, int client)
{
    size_t  i;

    for (i = 0; client >= 0 && i < r->nmsgs; i++) {
        if (r->msg[i].sender == sender && r->msg[i].client == client) {
            return;
        }
    }

    r->msg[r->nmsgs].seq = r->seq;
    r->msg[r->nmsgs].at = r->at;
    r->msg[r->nmsgs].sender = sender;
    r->msg[r->nmsgs].client = client;
    strcpy(r->msg[r->nmsgs].id, id);
    r->nmsgs++;
}


static void
make_room(int k)
{
    int   i, n, u;
    char  users[128] = "";

    n = 1 + below(4);

    for (i = 0; i < n; i++) {
        u = below(USERS);
        sprintf(users + strlen(users), "%s%s", i ? " " : "", name('u', u));
        room[k].member[u].here = 1;
        room[k].member[u].ever = 1;
    }

    room[k].exists = 1;
    room[k].at = clock_ms;
    events_create(&list, name('r', k), n == 2 ? "direct" : "group", users,
                  clock_ms);
}


static void
make_message(int k)
{
    int      sender, client;
    char     id[32], cmid[16], text[32];
    room_t  *r;

    r = &room[k];
    r->seq += 1 + (below(12) == 0);     /* now and then a hole */
    r->at = clock_ms;
    sender = below(USERS);
    client = below(4) ? below(400) : -1;

    sprintf(id, "m%zu", list.n);
    sprintf(cmid, "k%d", client);
    sprintf(text, "text \xc3\xa4 %d", below(1000));

    if (client < 0 && r->nmsgs && below(2)) {
        events_reply(&list, name('r', k), r->seq, id, name('u', sender),
                     text, r->msg[below((int) r->nmsgs)].id, r->at);

    } else {
        events_message(&list, name('r', k), r->seq, id, name('u', sender),
                       text, client < 0 ? NULL : cmid, r->at);
    }

    store_message_in_model(r, id, sender, client);
}


static void
make_membership(int k)
{
    int        actor, target, in;
    char       id[32];
    json_t    *extra;
    room_t    *r;
    member_t  *m;

    r = &room[k];
    actor = below(USERS);
    target = below(USERS);
    m = &r->member[target];
    in = m->here ? below(4) == 0 : below(4) != 0;

    r->seq++;
    r->at = clock_ms;
    sprintf(id, "m%zu", list.n);

    extra = in && below(2)
            ? json_pack("{s:s, s:[s]}", "role", "tutor", "permissions",
                        below(2) ? "read" : "write")
            : NULL;
    events_member(&list, in ? WRT_EV_JOIN : WRT_EV_LEAVE, name('r', k),
                  r->seq, id, name('u', actor), name('u', target), r->at,
                  extra);

    if (in) {
        m->here = 1;
        m->ever = 1;
        m->join_seq = r->seq;

    } else {
        m->here = 0;
    }

    store_message_in_model(r, id, actor, -1);
}


static void
make_move(int k)
{
    char       kind;
    int        u;
    int64_t    seq, *at;
    room_t    *r;
    member_t  *m;

    r = &room[k];
    u = below(USERS);
    m = &r->member[u];

    if (!m->ever) {
        return;
    }

    kind = below(2) ? 'r' : 'd';
    seq = below((int) r->seq + 1);
    events_cursor(&list, name('r', k), name('u', u), kind, seq, clock_ms);

    at = kind == 'r' ? &m->read_seq : &m->delivered_seq;
    if (seq <= *at) {
        return;
    }

    if (kind == 'r') {
        m->move[m->nmoves].seq = seq;
        m->move[m->nmoves].at = clock_ms;
        m->nmoves++;
        m->read_seq = seq;
    }

    if (seq > m->delivered_seq) {
        m->delivered_seq = seq;
    }
}


static void
make_bad(void)
{
    switch (below(4)) {

    case 0:
        events_message(&list, "nowhere", 1, "m", "u1", "x", NULL, clock_ms);
        break;

    case 1:
        events_cursor(&list, "r0", "stranger", 'r', 1, clock_ms);
        break;

    case 2:
        events_create(&list, "nowhere", "party", "u1", clock_ms);
        break;

    default:
        events_add(&list, WRT_EV_CHANGE, "nowhere", 1, "u1", "",
                   json_pack("{s:s}", "event", "message_sung"), NULL);
    }
}


static void
make_event(void)
{
    int  k, what;

    clock_ms += below(3000);
    k = below(ROOMS);
    what = below(100);

    if (!room[k].exists) {
        make_room(k);

    } else if (what < 55) {
        make_message(k);

    } else if (what < 85) {
        make_move(k);

    } else if (what < 92) {
        make_membership(k);

    } else if (what < 94) {
        room[k].seq += 1 + below(5);
        events_fence(&list, name('r', k), room[k].seq);

    } else if (what < 97) {
        events_profile(&list, name('u', below(USERS)), name('N', below(99)),
                       below(2) ? "https://cdn/a.png" : NULL, "student");

    } else if (what < 98) {
        /* known already: passed over */
        events_create(&list, name('r', k), "direct", "u0 stranger",
                      clock_ms);

    } else {
        make_bad();
    }
}


/* Batches of random length up to the event `to`; sometimes it goes back and
 * everything from there on comes again. */
static void
feed(store_t *st, size_t from, size_t to, uint64_t *rnd)
{
    size_t  n;

    while (from < to) {
        n = 1 + unit_below(rnd, 60);
        n = n < to - from ? n : to - from;

        events_apply(st, &list, from, from + n);
        from += n;

        if (unit_below(rnd, 5) == 0) {
            n = unit_below(rnd, 90);
            from -= n < from ? n : from;
        }
    }
}


static int
cmp_entry(const void *a, const void *b)
{
    json_t *const  *x = a, *const  *y = b;
    int             c;

    c = strcmp(json_string_value(json_object_get(*x, "readAt")),
               json_string_value(json_object_get(*y, "readAt")));

    return c != 0
           ? c
           : strcmp(json_string_value(json_object_get(*x, "userId")),
                    json_string_value(json_object_get(*y, "userId")));
}


static json_t *
expected_read_by(const room_t *r, const msg_t *m)
{
    int              u, n;
    char             at[WRT_TIME_LEN + 1];
    size_t           i;
    json_t          *by, *entry[USERS];
    const member_t  *who;

    n = 0;

    for (u = 0; u < USERS; u++) {
        who = &r->member[u];

        for (i = 0; u != m->sender && i < who->nmoves; i++) {
            if (who->move[i].seq >= m->seq) {
                wrt_time_format(STORE_TEST_T0 + who->move[i].at, at);
                entry[n++] = json_pack("{s:s, s:s}", "userId", name('u', u),
                                       "readAt", at);
                break;
            }
        }
    }

    qsort(entry, (size_t) n, sizeof(json_t *), cmp_entry);
    by = json_array();

    for (u = 0; u < n; u++) {
        json_array_append_new(by, entry[u]);
    }

    return by;
}


static const char *
expected_status(const room_t *r, const msg_t *m, const json_t *by)
{
    int  u;

    if (json_array_size(by)) {
        return "read";
    }

    for (u = 0; u < USERS; u++) {
        if (u != m->sender && r->member[u].delivered_seq >= m->seq) {
            return "delivered";
        }
    }

    return "sent";
}


static void
check_messages(store_t *st, int k)
{
    int           more;
    size_t        i, n;
    char          id[16];
    json_t       *page, *doc, *by;
    room_t       *r;
    store_page_t  q = { id, 1, 37, -1, -1, -1, NULL };

    strcpy(id, name('r', k));
    r = &room[k];
    n = r->nmsgs;

    do {
        assert_int_equal(store_messages(st, &q, &page, &more), STORE_OK);
        q.page++;

        json_array_foreach(page, i, doc) {
            assert_true(n > 0);
            n--;
            assert_string_equal(json_string_value(json_object_get(doc,
                                                                  "id")),
                                r->msg[n].id);
            by = expected_read_by(r, &r->msg[n]);
            expect_equal(json_object_get(doc, "readBy"), by, r->msg[n].id);
            assert_string_equal(json_string_value(json_object_get(doc,
                                                                  "status")),
                                expected_status(r, &r->msg[n], by));
            json_decref(by);
        }

        json_decref(page);
    } while (more);

    assert_int_equal(n, 0);
}


static void
check_lists(store_t *st, int u)
{
    int           k, rooms;
    size_t        i, j;
    json_t       *page, *doc;
    char          id[16];
    int64_t       total, above, unread;
    room_t       *r;
    store_list_t  q = { id, NULL, 0, 1, 100 };

    strcpy(id, name('u', u));
    assert_int_equal(store_conversations(st, &q, &page, &total), STORE_OK);

    json_array_foreach(page, i, doc) {
        k = atoi(json_string_value(json_object_get(doc, "id")) + 1);
        r = &room[k];
        above = r->member[u].join_seq > r->member[u].read_seq
                ? r->member[u].join_seq : r->member[u].read_seq;
        unread = 0;

        for (j = 0; j < r->nmsgs; j++) {
            unread += r->msg[j].seq > above && r->msg[j].sender != u;
        }

        assert_true(r->member[u].here);
        assert_int_equal(json_integer_value(json_object_get(doc, "seq")),
                         r->seq);
        assert_int_equal(json_integer_value(json_object_get(doc,
                             "unreadCount")), unread);
        assert_int_equal(json_integer_value(json_object_get(
                             json_object_get(doc, "metadata"),
                             "messageCount")), (int64_t) r->nmsgs);
    }

    for (rooms = 0, k = 0; k < ROOMS; k++) {
        rooms += room[k].exists && room[k].member[u].here;
    }

    assert_int_equal(total, rooms);
    assert_int_equal(json_array_size(page), rooms);
    json_decref(page);
}


static void
random_events(void **state)
{
    int        k, check;
    size_t     from;
    json_t    *a, *b;
    store_t   *sqlite, *mongo;
    uint64_t   rnd_a, rnd_b;

    (void) state;

    seed = unit_seed();
    rnd_a = unit_random(&seed);
    rnd_b = unit_random(&seed);

    sqlite = backend_open(&sqlite_backend);
    mongo = backend_open(&mongo_backend);
    from = 0;

    for (check = 0; check < CHECKS; check++) {
        while (list.n < (size_t) EVENTS / CHECKS * (check + 1)) {
            make_event();
        }

        feed(sqlite, from, list.n, &rnd_a);
        feed(mongo, from, list.n, &rnd_b);
        from = list.n;

        a = snapshot(sqlite, room_names, user_names);
        b = snapshot(mongo, room_names, user_names);
        expect_equal(b, a, "MongoDB (got) and SQLite (expected)");
        json_decref(a);
        json_decref(b);

        for (k = 0; k < ROOMS; k++) {
            check_messages(sqlite, k);
        }

        for (k = 0; k < USERS; k++) {
            check_lists(sqlite, k);
        }
    }

    /* the events do make what is tested */

    for (k = 0; k < ROOMS; k++) {
        assert_true(room[k].nmsgs > 2 * 37);
        assert_true((int64_t) room[k].nmsgs < room[k].seq - 5);
    }

    store_close(sqlite);
    store_close(mongo);
    events_free(&list);
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
