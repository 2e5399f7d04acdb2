/*
 * store_suite_search.c: searching, in the same words for each store.
 *
 * Without it a message could be found on SQLite and not on MongoDB, come in
 * another order or on two pages, or be found by somebody who has left.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>

#include "common/wrt_bus.h"

/* STORE_TEST_T0 and so many milliseconds. */
#define AT(ms)  (STORE_TEST_T0 + (ms))

typedef struct {
    store_search_t  q;
    const char     *ids;        /* of the results */
    int             more;
} search_case_t;


/* The ids of results; drops them. */
static const char *
found(json_t *list)
{
    size_t   i;
    json_t  *r, *ids;

    ids = json_array();
    assert_true(json_is_array(list));

    json_array_foreach(list, i, r) {
        json_array_append(ids, json_object_get(r, "message"));
    }

    json_decref(list);

    return ids_of(ids);
}


static void
expect_found(const search_case_t *c, size_t n)
{
    int          more;
    size_t       i;
    json_t      *list;
    const char  *ids;
    store_rc_t   rc;

    for (i = 0; i < n; i++) {
        rc = store_search(st, &c[i].q, &list, &more);

        if (rc != STORE_OK) {
            print_error("%s: %s\n", c[i].q.q, store_error(st));
        }

        assert_int_equal(rc, STORE_OK);
        ids = found(list);

        if (strcmp(ids, c[i].ids) != 0 || more != c[i].more) {
            fail_msg("case %zu, %s: found %s (more: %d), expected %s (%d)",
                     i, c[i].q.q, ids, more, c[i].ids, c[i].more);
        }
    }
}


static void
say(events_t *l, const char *conversation, int64_t seq, const char *id,
    const char *sender, const char *text, int64_t at)
{
    events_message(l, conversation, seq, id, sender, text, NULL, at);
}


/* Two rooms of s1; t1 is in the first, t2 in the second one. */
static void
put_talk(void)
{
    events_t  l = { 0 };

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s1 t2", 0);

    say(&l, "c1", 1, "m01", "s1", "Selamat pagi, Bu! Saya mau tanya tentang"
        " metode penelitian.", 1000);
    say(&l, "c1", 2, "m02", "t1", "Silakan. Metodologi apa yang dipakai?",
        2000);
    say(&l, "c1", 3, "m03", "s1", "Uji coba pada 30 siswa; buku-buku saya"
        " ada di caf\xC3\xA9.", 3000);
    say(&l, "c2", 1, "m04", "s1", "METODE KUALITATIF, coba diuji dulu", 4000);
    say(&l, "c2", 2, "m05", "t2", "The tutor's method won't change: see"
        " Jum'at notes (cafe\xCC\x81).", 5000);
    say(&l, "c1", 4, "m06", "t1", "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E"
        " metode", 6000);
    say(&l, "c2", 3, "m07", "t2", "metode metode metode", 6000);
    say(&l, "c1", 5, "m08", "s1", "\xF0\x9F\x91\x8D !!!", 7000);

    events_put(st, &l);
}


#define Q(q)         WISH("s1", q, NULL, NULL, NULL, -1, -1, 1, 20)
#define IN(c, q)     WISH("s1", q, c, NULL, NULL, -1, -1, 1, 20)

static void
words(void **state)
{
    static const search_case_t  list[] = {
        /* one word, newest first; at the same time by room, descending */
        { Q("metode"), "m07 m06 m04 m01", 0 },
        { Q("Metode"), "m07 m06 m04 m01", 0 },
        { IN("c1", "metode"), "m06 m01", 0 },
        { IN("c2", "metode"), "m07 m04", 0 },

        /* words in any order, anywhere in the message */
        { Q("penelitian metode"), "m01", 0 },
        { Q("saya pagi"), "m01", 0 },
        { Q("saya"), "m03 m01", 0 },
        { Q("metode kuantitatif"), "", 0 },

        /* whole words only; beginnings with a star */
        { Q("metod"), "", 0 },
        { Q("metod*"), "m07 m06 m04 m02 m01", 0 },
        { Q("meto* apa"), "m02", 0 },
        { Q("me*"), "m07 m06 m05 m04 m02 m01", 0 },
        { IN("c1", "me*"), "m06 m02 m01", 0 },
        { Q("3*"), "m03", 0 },
        { Q("uji* coba"), "m03", 0 },
        { Q("x*"), "", 0 },

        /* phrases */
        { Q("\"uji coba\""), "m03", 0 },
        { Q("\"coba uji\""), "", 0 },
        { Q("uji coba"), "m03", 0 },
        { Q("coba"), "m04 m03", 0 },
        { Q("\"metode penel*\""), "m01", 0 },
        { Q("\"metode metode\""), "m07", 0 },
        { Q("buku-buku"), "m03", 0 },
        { Q("buku"), "m03", 0 },

        /* accents, apostrophes, other scripts */
        { Q("cafe"), "m05 m03", 0 },
        { Q("CAF\xC3\x89"), "m05 m03", 0 },
        { Q("jumat"), "m05", 0 },
        { Q("Jum\xE2\x80\x99""at tutor wont"), "m05", 0 },
        { Q("\xE6\x9C\xAC"), "m06", 0 },
        { Q("\xE6\x97\xA5\xE6\x9C\xAC"), "m06", 0 },
        { Q("\xE6\x9C\xAC\xE6\x97\xA5"), "", 0 }
    };

    (void) state;
    put_talk();
    expect_found(list, UNIT_COUNT(list));
}


static void
filters(void **state)
{
    events_t  l = { 0 };

    static const search_case_t  list[] = {
        { WISH("s1", "metode", NULL, "t1", NULL, -1, -1, 1, 20), "m06", 0 },
        { WISH("s1", "metode", NULL, "s1", NULL, -1, -1, 1, 20),
          "m04 m01", 0 },
        { WISH("s1", "metode", NULL, "nobody", NULL, -1, -1, 1, 20), "", 0 },
        { WISH("s1", "laporan", NULL, NULL, "sticker", -1, -1, 1, 20),
          "f1", 0 },
        { WISH("s1", "laporan", NULL, NULL, "text", -1, -1, 1, 20), "", 0 },
        { WISH("s1", "akhir laporan", NULL, NULL, NULL, -1, -1, 1, 20),
          "f1", 0 },
        { WISH("s1", "metode", NULL, NULL, "sticker", -1, -1, 1, 20), "", 0 },

        /* neither bound is included */
        { WISH("s1", "metode", NULL, NULL, NULL, AT(6000), -1, 1, 20),
          "m04 m01", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, AT(6001), -1, 1, 20),
          "m07 m06 m04 m01", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, AT(4000), 1, 20),
          "m07 m06", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, AT(3999), 1, 20),
          "m07 m06 m04", 0 },
        { WISH("s1", "metode", "c2", "s1", "text", AT(4001), AT(3999), 1, 20),
          "m04", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, AT(1000), AT(6000), 1, 20),
          "", 0 },
        { WISH("s1", "met*", NULL, "t1", "text", AT(6001), AT(1000), 1, 20),
          "m06 m02", 0 }
    };

    (void) state;
    put_talk();

    /* by the name of a file; of whatever type */
    events_content(&l, "c1", 6, "f1", "s1", "sticker",
                   json_pack("{s:{s:s}}", "fileInfo", "fileName",
                             "Laporan_Akhir-2024.pdf"), 8000);
    events_put(st, &l);

    expect_found(list, UNIT_COUNT(list));
}


static void
pages(void **state)
{
    int       i;
    char      id[16];
    json_t   *v;
    events_t  l = { 0 };

    store_search_t  q = WISH("s1", "satu", NULL, NULL, NULL, -1, -1, 1, 200);

    static const search_case_t  list[] = {
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 1, 1), "m07", 1 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 2, 1), "m06", 1 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 4, 1), "m01", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 5, 1), "", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 1, 3),
          "m07 m06 m04", 1 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 2, 3), "m01", 0 },
        { WISH("s1", "met*", NULL, NULL, NULL, -1, -1, 2, 2), "m05 m04", 1 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 2000000000, 200),
          "", 0 }
    };

    (void) state;
    put_talk();
    expect_found(list, UNIT_COUNT(list));

    /* paging ends at WRT_SEARCH_DEPTH_MAX */

    for (i = 0; i < WRT_SEARCH_DEPTH_MAX + 50; i++) {
        sprintf(id, "n%05d", i);
        say(&l, "c1", 6 + i, id, "s1", "satu", 10000 + i);
    }

    events_put(st, &l);

    for (q.page = 1; q.page <= WRT_SEARCH_DEPTH_MAX / 200; q.page++) {
        assert_int_equal(store_search(st, &q, &v, &i), STORE_OK);
        assert_int_equal(i, q.page < WRT_SEARCH_DEPTH_MAX / 200);
        assert_int_equal(json_array_size(v), 200);
        json_decref(v);
    }

    assert_int_equal(store_search(st, &q, &v, &i), STORE_OK);
    assert_int_equal(json_array_size(v), 0);
    assert_int_equal(i, 0);
    json_decref(v);

    q.limit = 150;
    q.page = 7;
    assert_int_equal(store_search(st, &q, &v, &i), STORE_OK);
    assert_string_equal(json_string_value(json_object_get(json_object_get(
                            json_array_get(v, 99), "message"), "id")),
                        "n00050");
    assert_int_equal(json_array_size(v), 100);
    assert_int_equal(i, 0);
    json_decref(v);
}


/* Of one millisecond, with ids by nodes that say nothing of the order: a client
 * that goes on with beforeSeq would lose what stood on the wrong page. */
static void
same_time(void **state)
{
    events_t        l = { 0 };
    search_case_t   part;

    static const search_case_t  list[] = {
        { Q("metode"), "a5 b4 c3 d2 e1", 0 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 1, 2), "a5 b4", 1 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 2, 2), "c3 d2", 1 },
        { WISH("s1", "metode", NULL, NULL, NULL, -1, -1, 3, 2), "e1", 0 },
        { Q("metod*"), "a5 b4 c3 d2 e1", 0 }
    };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    say(&l, "c1", 1, "e1", "s1", "metode", 1000);
    say(&l, "c1", 2, "d2", "t1", "metode", 1000);
    say(&l, "c1", 3, "c3", "s1", "metode", 1000);
    say(&l, "c1", 4, "b4", "t1", "metode", 1000);
    say(&l, "c1", 5, "a5", "s1", "metode", 1000);
    events_put(st, &l);

    expect_found(list, UNIT_COUNT(list));

    part = (search_case_t) { IN("c1", "metode"), "b4 c3", 1 };
    part.q.before_seq = 5;
    part.q.limit = 2;
    expect_found(&part, 1);
}


/* Only who is there now and may read. */
static void
members(void **state)
{
    int       more;
    json_t   *v;
    events_t  l = { 0 };

    static const search_case_t  before[] = {
        { WISH("t1", "metode", NULL, NULL, NULL, -1, -1, 1, 20),
          "m06 m01", 0 },
        { WISH("t2", "metode", NULL, NULL, NULL, -1, -1, 1, 20),
          "m07 m04", 0 },
        { WISH("nobody", "metode", NULL, NULL, NULL, -1, -1, 1, 20), "", 0 },
        { WISH(NULL, "metode", "c1", NULL, NULL, -1, -1, 1, 20),
          "m06 m01", 0 }
    };

    static const search_case_t  after[] = {
        { WISH("t1", "metode", NULL, NULL, NULL, -1, -1, 1, 20), "", 0 },
        { WISH("t3", "metode", NULL, NULL, NULL, -1, -1, 1, 20),
          "m07 m04", 0 },
        { WISH("t4", "metode", NULL, NULL, NULL, -1, -1, 1, 20), "", 0 }
    };

    static const store_search_t  refused[] = {
        WISH("t1", "metode", "c1", NULL, NULL, -1, -1, 1, 20),
        WISH("t4", "metode", "c2", NULL, NULL, -1, -1, 1, 20),
        WISH("t2", "metode", "c1", NULL, NULL, -1, -1, 1, 20),
        WISH("t2", "metode", "c3", NULL, NULL, -1, -1, 1, 20),
        WISH(NULL, "metode", "c3", NULL, NULL, -1, -1, 1, 20)
    };

    (void) state;
    put_talk();
    expect_found(before, UNIT_COUNT(before));

    /* t1 leaves; t3 joins and may read, t4 may only write */

    events_member(&l, WRT_EV_LEAVE, "c1", 6, "x1", "t1", "t1", 8000, NULL);
    events_member(&l, WRT_EV_JOIN, "c2", 4, "x2", "t2", "t3", 8000,
                  json_pack("{s:s, s:[s]}", "role", "tutor", "permissions",
                            "read"));
    events_member(&l, WRT_EV_JOIN, "c2", 5, "x3", "t2", "t4", 8000,
                  json_pack("{s:s, s:[s]}", "role", "tutor", "permissions",
                            "write"));
    events_put(st, &l);
    expect_found(after, UNIT_COUNT(after));

    for (more = 0; more < (int) UNIT_COUNT(refused); more++) {
        int  unused;

        assert_int_equal(store_search(st, &refused[more], &v, &unused),
                         STORE_NOT_FOUND);
        assert_null(v);
    }
}


static void
refused(void **state)
{
    int             more;
    size_t          i;
    json_t         *v;
    store_search_t  q = Q("");

    static const char *const  list[] = { "", "  ", "?!", "\"\"", "*" };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        q.q = list[i];
        assert_int_equal(store_search(st, &q, &v, &more), STORE_REJECTED);
        assert_null(v);
        assert_non_null(strstr(store_error(st), "must have a letter"));
    }
}


static void
result(void **state)
{
    int             more;
    json_t         *v, *history;
    store_search_t  q = IN("c2", "coba metode");

    (void) state;
    put_talk();
    history = get_msgs("c2");

    assert_int_equal(store_search(st, &q, &v, &more), STORE_OK);
    assert_int_equal(json_array_size(v), 1);
    expect_equal(json_object_get(json_array_get(v, 0), "message"),
                 json_array_get(history, 2), "as in history");
    json_decref(history);

    expect_json(json_incref(json_object_get(json_array_get(v, 0),
                                            "conversation")),
                "{'id': 'c2', 'title': null}");
    expect_json(json_incref(json_object_get(json_array_get(v, 0),
                                            "highlights")),
                "['<mark>METODE</mark> KUALITATIF, <mark>coba</mark> diuji"
                " dulu']");
    json_decref(v);
}


/* A batch that comes again does not make a message be found twice. */
static void
again(void **state)
{
    size_t    bad;
    events_t  l = { 0 };

    static const search_case_t  list[] = { { Q("metode"), "a1", 0 } };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    say(&l, "c1", 1, "a1", "s1", "metode", 1000);

    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_OK);
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_OK);
    events_free(&l);

    expect_found(list, 1);
}


/* An edited message is found by what it says now, a deleted one by nothing. */
static void
changed(void **state)
{
    events_t  l = { 0 };

    static const search_case_t  list[] = {
        { Q("metode"), "m07 m06 m05", 0 },
        { Q("meto*"), "m07 m06 m05 m02", 0 },
        { Q("kualitatif"), "", 0 },
        { Q("angket"), "m01", 0 },
        { Q("penelitian"), "", 0 },
        { Q("tutor"), "", 0 },
        { IN("c2", "baru"), "m05", 0 }
    };

    (void) state;
    put_talk();

    events_edit(&l, "c1", 6, "m01", "s1", "Saya pakai angket.", 8000);
    events_delete(&l, "c2", 4, "m04", "s1", 8000);
    events_edit(&l, "c2", 5, "m05", "t2", "a first try", 8000);
    events_edit(&l, "c2", 6, "m05", "t2", "Metode baru", 9000);
    events_put(st, &l);

    expect_found(list, UNIT_COUNT(list));
}


const struct CMUnitTest  suite_search[] = {
    SUITE_TEST(words),
    SUITE_TEST(filters),
    SUITE_TEST(pages),
    SUITE_TEST(same_time),
    SUITE_TEST(members),
    SUITE_TEST(refused),
    SUITE_TEST(result),
    SUITE_TEST(again),
    SUITE_TEST(changed)
};

const size_t  suite_search_count = UNIT_COUNT(suite_search);
