/*
 * store_suite_page.c: pages of messages, by number, time and thread.  See
 * store_suite.c.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>


static void
page(const store_page_t *q, const char *ids, int expect_more)
{
    int      more;
    json_t  *v;

    assert_int_equal(store_messages(st, q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), ids);
    assert_int_equal(more, expect_more);
}


/* m1..m8; 4 is a hole, m5 and m6 have the same time, m3, m5 and m7 reply to
 * m1. */
static void
put_pages(void)
{
    int       i;
    char      id[16];
    events_t  l = { 0 };

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s1 t1", 0);
    events_message(&l, "c2", 1, "n1", "s1", "elsewhere", NULL, 500);

    for (i = 1; i <= 9; i++) {
        sprintf(id, "m%d", i - (i > 4));
        if (i != 4) {
            events_reply(&l, "c1", i, id, "s1", "x",
                         i == 3 || i == 6 || i == 8 ? "m1" : NULL,
                         i == 7 ? 6000 : i * 1000);
        }
    }
    events_put(st, &l);
}


static void
paging(void **state)
{
    store_page_t  q = { "c1", 1, 3, -1, -1, -1, NULL, 0, 0 };

    (void) state;
    put_pages();

    page(&q, "m8 m7 m6", 1);
    q.page = 2;
    page(&q, "m5 m4 m3", 1);
    q.page = 3;
    page(&q, "m2 m1", 0);
    q.page = 4;
    page(&q, "", 0);

    q.page = 1;
    q.limit = 8;
    page(&q, "m8 m7 m6 m5 m4 m3 m2 m1", 0);

    q.limit = 2;
    q.before_seq = 7;
    page(&q, "m5 m4", 1);
    q.before_seq = 3;
    page(&q, "m2 m1", 0);
    q.before_seq = 1;
    page(&q, "", 0);
    q.before_seq = 1000000;
    page(&q, "m8 m7", 1);

    q.before_seq = -1;
    q.after_seq = 2;
    page(&q, "m4 m3", 1);
    q.after_seq = 7;
    page(&q, "m8 m7", 0);
    q.after_seq = 9;
    page(&q, "", 0);
    q.after_seq = 0;
    page(&q, "m2 m1", 1);

    q.after_seq = -1;
    q.before_ms = STORE_TEST_T0 + 6000;
    page(&q, "m4 m3", 1);
    q.before_ms = STORE_TEST_T0 + 6001;
    page(&q, "m6 m5", 1);
    q.before_ms = STORE_TEST_T0 + 2000;
    page(&q, "m1", 0);
    q.before_ms = 0;
    page(&q, "", 0);

    /* a thread */
    q.before_ms = -1;
    q.thread_of = "m1";
    page(&q, "m7 m5", 1);
    q.page = 2;
    page(&q, "m3", 0);
    q.page = 1;
    q.before_seq = 6;
    page(&q, "m3", 0);
    q.before_seq = -1;
    q.after_seq = 3;
    page(&q, "m7 m5", 0);
    q.after_seq = -1;
    q.before_ms = STORE_TEST_T0 + 7000;
    page(&q, "m5 m3", 0);
    q.thread_of = "m2";
    page(&q, "", 0);
}


/* What is used together all counts. */
static void
paging_together(void **state)
{
    store_page_t  q = { "c1", 2, 2, STORE_TEST_T0 + 6001, -1, -1, NULL, 0, 0 };

    (void) state;
    put_pages();

    page(&q, "m4 m3", 1);
    q.page = 3;
    page(&q, "m2 m1", 0);

    q.before_ms = -1;
    q.before_seq = 7;
    q.page = 2;
    page(&q, "m3 m2", 1);

    q.before_seq = -1;
    q.after_seq = 2;
    page(&q, "m6 m5", 1);
    q.page = 3;
    page(&q, "m8 m7", 0);

    q.before_seq = 7;
    q.page = 1;
    page(&q, "m4 m3", 1);
    q.page = 2;
    page(&q, "m5", 0);

    q.page = 1;
    q.before_ms = STORE_TEST_T0 + 6001;
    q.after_seq = 3;
    page(&q, "m5 m4", 0);
    q.before_seq = -1;
    q.before_ms = STORE_TEST_T0 + 6000;
    page(&q, "m4", 0);
    q.thread_of = "m1";
    page(&q, "", 0);
    q.after_seq = 2;
    page(&q, "m3", 0);

    q.thread_of = NULL;
    q.after_seq = -1;
    q.before_seq = 4;
    page(&q, "m3 m2", 1);
    q.before_seq = 9;
    q.before_ms = STORE_TEST_T0 + 2000;
    page(&q, "m1", 0);
}


/* Each time that a room knows, and those between: the newest message before it,
 * however numbers have holes and messages share a millisecond. */
static void
paging_times(void **state)
{
    enum { MESSAGES = 70, SPAN = 120 };

    int           i, k, seq, at[MESSAGES];
    char          id[16], newest[16];
    unsigned      noise;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 1, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);

    for (i = 0, k = 10, seq = 0, noise = 7; i < MESSAGES; i++) {
        noise = noise * 1103515245 + 12345;
        seq += 1 + (noise >> 16) % 4;
        noise = noise * 1103515245 + 12345;
        k += (noise >> 16) % 3;
        at[i] = k;

        sprintf(id, "m%d", i);
        events_message(&l, "c1", seq, id, "s1", "x", NULL, k);
    }
    events_put(st, &l);
    assert_true(k < SPAN);

    for (k = 0; k <= SPAN; k++) {
        newest[0] = '\0';

        for (i = 0; i < MESSAGES && at[i] < k; i++) {
            sprintf(newest, "m%d", i);
        }

        q.before_ms = STORE_TEST_T0 + k;
        page(&q, newest, i > 1);
    }
}


/* limit and page out of bounds are put right, not obeyed. */
static void
bounds(void **state)
{
    int           i, more;
    char          id[16];
    json_t       *v;
    int64_t       total;
    events_t      l = { 0 };
    store_page_t  q = { "c1", -5, 100000, -1, -1, -1, NULL, 0, 0 };
    store_list_t  list = { "s1", NULL, 0, -1, 100000 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    for (i = 1; i <= WRT_PAGE_MESSAGES_MAX + 1; i++) {
        sprintf(id, "m%d", i);
        events_message(&l, "c1", i, id, "s1", "x", NULL, i);
    }
    for (i = 1; i <= WRT_PAGE_CONVERSATIONS_MAX; i++) {
        sprintf(id, "x%d", i);
        events_create(&l, id, "direct", "s1 t1", 0);
    }
    events_put(st, &l);

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_int_equal(json_array_size(v), WRT_PAGE_MESSAGES_MAX);
    assert_int_equal(more, 1);
    json_decref(v);

    q.limit = 0;
    page(&q, "m201", 1);

    assert_int_equal(store_conversations(st, &list, &v, &total), STORE_OK);
    assert_int_equal(json_array_size(v), WRT_PAGE_CONVERSATIONS_MAX);
    assert_int_equal(total, WRT_PAGE_CONVERSATIONS_MAX + 1);
    json_decref(v);

    list.page = 2147483647;
    assert_int_equal(store_conversations(st, &list, &v, &total), STORE_OK);
    assert_int_equal(json_array_size(v), 0);
    json_decref(v);
}


const struct CMUnitTest  suite_page[] = {
    SUITE_TEST(paging),
    SUITE_TEST(paging_together),
    SUITE_TEST(paging_times),
    SUITE_TEST(bounds)
};

const size_t  suite_page_count = UNIT_COUNT(suite_page);
