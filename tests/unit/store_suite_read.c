/*
 * store_suite_read.c: receipts, lists, what is unread, what has changed.  See
 * store_suite.c.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>

#include "common/wrt_bus.h"


static void
receipts(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 s2 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "t1", "two", NULL, 2000);
    events_message(&l, "c1", 3, "m3", "s1", "three", NULL, 3000);
    events_message(&l, "c1", 4, "m4", "s1", "four", NULL, 4000);
    /* the sender's own cursor tells nothing about his messages */
    events_cursor(&l, "c1", "s1", 'r', 4, 4100);
    events_cursor(&l, "c1", "s2", 'd', 3, 4200);
    events_put(st, &l);

    expect_json(pick(get_msg("c1", "m4"), "status", NULL), "'sent'");
    expect_json(pick(get_msg("c1", "m3"), "status", NULL), "'delivered'");
    expect_json(pick(get_msg("c1", "m3"), "readBy", NULL), "[]");
    expect_json(pick(get_msg("c1", "m2"), "status", NULL), "'read'");
    expect_json(pick(get_msg("c1", "m2"), "readBy", NULL),
                "[{'userId':'s1','readAt':'2024-01-15T10:00:04.100Z'}]");

    /* each message has the time of the first move that reached it */

    events_cursor(&l, "c1", "t1", 'r', 1, 5000);
    events_cursor(&l, "c1", "t1", 'r', 3, 6000);
    events_cursor(&l, "c1", "s2", 'r', 2, 7000);
    /* backwards, and the same again: nothing */
    events_cursor(&l, "c1", "t1", 'r', 2, 8000);
    events_cursor(&l, "c1", "t1", 'r', 3, 8000);
    events_cursor(&l, "c1", "t1", 'd', 1, 8000);
    events_put(st, &l);

    expect_json(pick(get_msg("c1", "m1"), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:05.000Z'},"
                "{'userId':'s2','readAt':'2024-01-15T10:00:07.000Z'}]");
    expect_json(pick(get_msg("c1", "m2"), "readBy", NULL),
                "[{'userId':'s1','readAt':'2024-01-15T10:00:04.100Z'},"
                "{'userId':'s2','readAt':'2024-01-15T10:00:07.000Z'}]");
    expect_json(pick(get_msg("c1", "m3"), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:06.000Z'}]");
    expect_json(pick(get_msg("c1", "m4"), "readBy", NULL), "[]");
    expect_json(pick(get_msg("c1", "m4"), "status", NULL), "'sent'");

    expect_json(pick(get_state("c1"), "members", NULL),
                "[{'userId':'s1','role':'student','permissions':"
                "['read','write','upload','download'],'joinSeq':0,"
                "'readSeq':4,'readAt':'2024-01-15T10:00:04.100Z',"
                "'deliveredSeq':4,'deliveredAt':"
                "'2024-01-15T10:00:04.100Z'},"
                "{'userId':'s2','role':'student','permissions':"
                "['read','write','upload','download'],'joinSeq':0,"
                "'readSeq':2,'readAt':'2024-01-15T10:00:07.000Z',"
                "'deliveredSeq':3,'deliveredAt':"
                "'2024-01-15T10:00:04.200Z'},"
                "{'userId':'t1','role':'tutor','permissions':"
                "['read','write','upload','download'],'joinSeq':0,"
                "'readSeq':3,'readAt':'2024-01-15T10:00:06.000Z',"
                "'deliveredSeq':3,'deliveredAt':"
                "'2024-01-15T10:00:06.000Z'}]");

    /* two at the same moment: by name; one who left still has read it */

    events_cursor(&l, "c1", "t1", 'r', 4, 9000);
    events_cursor(&l, "c1", "s2", 'r', 4, 9000);
    events_member(&l, WRT_EV_LEAVE, "c1", 5, "m5", "s2", "s2", 9500, NULL);
    events_put(st, &l);
    expect_json(pick(get_msg("c1", "m4"), "readBy", NULL),
                "[{'userId':'s2','readAt':'2024-01-15T10:00:09.000Z'},"
                "{'userId':'t1','readAt':'2024-01-15T10:00:09.000Z'}]");
}


/* A long history read in small steps: pages must find the right moves
 * whatever comes before and after them. */
static void
receipts_deep(void **state)
{
    int           i, more;
    char          id[16];
    json_t       *v;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 3, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    for (i = 1; i <= 300; i++) {
        sprintf(id, "m%d", i);
        events_message(&l, "c1", i, id, "s1", "x", NULL, i * 1000);
        if (i % 4 == 0) {
            events_cursor(&l, "c1", "t1", 'r', i, i * 1000 + 500);
        }
    }
    events_put(st, &l);

    q.before_seq = 104;
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_int_equal(more, 1);

    expect_json(pick(json_incref(json_array_get(v, 0)), "id", NULL),
                "'m103'");
    expect_json(pick(json_incref(json_array_get(v, 0)), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:01:44.500Z'}]");
    expect_json(pick(json_incref(json_array_get(v, 2)), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:01:44.500Z'}]");
    json_decref(v);

    q.before_seq = 6;
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    expect_json(pick(json_incref(json_array_get(v, 0)), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:08.500Z'}]");
    expect_json(pick(json_incref(json_array_get(v, 1)), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:04.500Z'}]");
    expect_json(pick(json_incref(json_array_get(v, 2)), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:04.500Z'}]");
    json_decref(v);
}


#define READERS  20


/* Reader i has read up to 2 * i, and even ones all later on: who has read
 * number n, in the order of the time. */
static json_t *
readers_of(int64_t n)
{
    int      i, late;
    char     user[16], at[64];
    json_t  *list;

    list = json_array();

    for (late = 0; late < 2; late++) {
        for (i = 1; i <= READERS; i++) {
            if (late ? 2 * i < n && i % 2 == 0 : 2 * i >= n) {
                sprintf(user, "s%d", i);
                sprintf(at, "2024-01-15T10:%s.%03dZ",
                        late ? "01:00" : "00:50", 10 * i);
                json_array_append_new(list,
                                      json_pack("{s:s, s:s}", "userId", user,
                                                "readAt", at));
            }
        }
    }

    return list;
}


/* Pages that few and that many have read; one nobody has come to. */
static void
receipts_many(void **state)
{
    int           i, more;
    char          id[16], users[256];
    size_t        k;
    json_t       *v, *m, *readers;
    int64_t       seq;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    strcpy(users, "t1");

    for (i = 1; i <= READERS; i++) {
        sprintf(users + strlen(users), " s%d", i);
    }

    events_create(&l, "c1", "group", users, 0);

    for (i = 1; i <= 50; i++) {
        sprintf(id, "m%d", i);
        events_message(&l, "c1", i, id, "t1", "x", NULL, i * 1000);
    }

    for (i = 1; i <= READERS; i++) {
        sprintf(id, "s%d", i);
        events_cursor(&l, "c1", id, 'r', 2 * i, 50000 + 10 * i);
    }

    for (i = 2; i <= READERS; i += 2) {
        sprintf(id, "s%d", i);
        events_cursor(&l, "c1", id, 'r', 40, 60000 + 10 * i);
    }

    events_put(st, &l);

    for (q.before_seq = 51; q.before_seq > 1; q.before_seq -= 10) {
        assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
        assert_int_equal(json_array_size(v), 10);

        json_array_foreach(v, k, m) {
            seq = json_integer_value(json_object_get(m, "seq"));
            readers = seq > 40 ? json_array() : readers_of(seq);
            expect_equal(json_object_get(m, "readBy"), readers, "readBy");
            json_decref(readers);
        }

        json_decref(v);
    }
}


static void
list_is(const store_list_t *q, const char *ids, int64_t expect_total)
{
    json_t   *v;
    int64_t   total;

    assert_int_equal(store_conversations(st, q, &v, &total), STORE_OK);
    assert_string_equal(ids_of(v), ids);
    assert_int_equal(total, expect_total);
}


static void
listing(void **state)
{
    events_t      l = { 0 };
    store_list_t  q = { "s1", NULL, 0, 1, 2 };

    (void) state;

    /* c3 and c4 were active at the same moment; c6 is not his */

    events_create(&l, "c4", "direct", "s1 t4", 3000);
    events_create(&l, "c1", "direct", "s1 t1", 1000);
    events_create(&l, "c2", "group", "s1 t1", 2000);
    events_create(&l, "c3", "group", "s1 t1", 3000);
    events_create(&l, "c5", "direct", "s1 t5", 500);
    events_create(&l, "c6", "direct", "s2 t1", 9000);
    events_put(st, &l);

    list_is(&q, "c3 c4", 5);
    q.page = 2;
    list_is(&q, "c2 c1", 5);
    q.page = 3;
    list_is(&q, "c5", 5);

    /* a message brings it up; a cursor and a fence do not */

    events_message(&l, "c5", 1, "m1", "t5", "x", NULL, 4000);
    events_fence(&l, "c1", 9);
    events_cursor(&l, "c2", "s1", 'd', 1, 8000);
    events_put(st, &l);

    q.page = 1;
    list_is(&q, "c5 c3", 5);
    q.type = "direct";
    list_is(&q, "c5 c4", 3);
    q.type = "consultation";
    list_is(&q, "", 0);

    events_set(&l, "c3", 1, "s1", json_of("{'archived':true}"), 5000);
    events_put(st, &l);
    q.type = NULL;
    list_is(&q, "c5 c4", 4);
    q.archived = 1;
    list_is(&q, "c3", 1);
    q.type = "direct";
    list_is(&q, "", 0);

    expect_json(pick(get_conv("c3"), "isArchived", NULL), "true");
    expect_json(pick(get_conv("c3"), "metadata", "archivedAt"),
                "'2024-01-15T10:00:05.000Z'");
    expect_json(pick(get_state("c3"), "state", NULL), "'archived'");
    expect_json(pick(get_state("c4"), "state", NULL), "'active'");

    /* still archived after another event */

    events_message(&l, "c3", 2, "m2", "t1", "x", NULL, 6000);
    events_put(st, &l);
    expect_json(pick(get_conv("c3"), "metadata", NULL),
                "{'lastMessageAt':'2024-01-15T10:00:06.000Z',"
                "'messageCount':1,'isArchived':true,'archivedAt':"
                "'2024-01-15T10:00:05.000Z','createdBy':'s1'}");

    /* who has left does not see it any more */

    events_member(&l, WRT_EV_LEAVE, "c5", 2, "m3", "s1", "s1", 7000, NULL);
    events_put(st, &l);
    q.type = NULL;
    q.archived = 0;
    list_is(&q, "c4 c2", 3);
    q.user = "nobody";
    list_is(&q, "", 0);
}


static void
unread_is(const char *user, const char *id, json_int_t expected)
{
    size_t        i;
    json_t       *v, *doc, *n;
    int64_t       total;
    store_list_t  q = { user, NULL, 0, 1, 100 };

    assert_int_equal(store_conversations(st, &q, &v, &total), STORE_OK);
    n = NULL;

    json_array_foreach(v, i, doc) {
        if (strcmp(json_string_value(json_object_get(doc, "id")), id) == 0) {
            n = json_object_get(doc, "unreadCount");
        }
    }

    assert_true(json_is_integer(n));
    assert_int_equal(json_integer_value(n), expected);
    json_decref(v);
}


/* The rooms in which a user has something to read; c1's document agrees. */
static void
unread_all(const char *user, const char *expected)
{
    size_t   i;
    json_t  *all, *one, *n, *c1;

    assert_int_equal(store_unread(st, user, &all), STORE_OK);
    assert_int_equal(store_conversation(st, "c1", user, &c1), STORE_OK);
    n = json_integer(0);

    json_array_foreach(all, i, one) {
        if (strcmp(json_string_value(json_object_get(one, "conversationId")),
                   "c1")
            == 0)
        {
            json_decref(n);
            n = json_incref(json_object_get(one, "unreadCount"));
        }
    }

    expect_equal(json_object_get(c1, "unreadCount"), n, "unread in c1");

    json_decref(n);
    json_decref(c1);
    expect_json(all, expected);
}


static void
unread(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_create(&l, "c2", "group", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "t1", "x", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "s1", "x", NULL, 2000);
    events_message(&l, "c1", 5, "m5", "t1", "x", NULL, 3000);
    events_message(&l, "c1", 6, "m6", "t1", "x", NULL, 4000);
    events_message(&l, "c2", 1, "n1", "t1", "x", NULL, 5000);
    events_put(st, &l);

    unread_is("s1", "c1", 3);
    unread_is("t1", "c1", 1);
    unread_is("s1", "c2", 1);
    unread_all("s1", "[{'conversationId':'c2','unreadCount':1},"
                     "{'conversationId':'c1','unreadCount':3}]");
    unread_all("t1", "[{'conversationId':'c1','unreadCount':1}]");

    /* a stranger has no count, nor has nobody */

    assert_int_equal(store_unread(st, "s9", &v), STORE_OK);
    expect_json(v, "[]");
    assert_int_equal(store_conversation(st, "c1", "s9", &v), STORE_OK);
    assert_null(json_object_get(v, "unreadCount"));
    json_decref(v);
    v = get_conv("c1");
    assert_null(json_object_get(v, "unreadCount"));
    json_decref(v);

    events_cursor(&l, "c1", "s1", 'd', 6, 5000);
    events_cursor(&l, "c1", "s1", 'r', 1, 6000);
    events_put(st, &l);
    unread_is("s1", "c1", 2);

    events_delete(&l, "c1", 7, "m5", "t1", 7000);
    events_put(st, &l);
    unread_is("s1", "c1", 1);

    events_cursor(&l, "c1", "s1", 'r', 6, 8000);
    events_put(st, &l);
    unread_is("s1", "c1", 0);
    unread_all("s1", "[{'conversationId':'c2','unreadCount':1}]");

    /* who comes later has nothing to catch up with */

    events_member(&l, WRT_EV_JOIN, "c1", 8, "m8", "t1", "s2", 9000, NULL);
    events_put(st, &l);
    unread_is("s2", "c1", 0);
    unread_is("s1", "c1", 1);

    events_message(&l, "c1", 9, "m9", "t1", "x", NULL, 10000);
    events_put(st, &l);
    unread_is("s2", "c1", 1);
    unread_is("s1", "c1", 2);

    /* an archived room counts, one that he left does not */

    events_set(&l, "c2", 2, "s1", json_of("{'archived':true}"), 11000);
    events_put(st, &l);
    unread_all("s1", "[{'conversationId':'c1','unreadCount':2},"
                     "{'conversationId':'c2','unreadCount':1}]");
    events_member(&l, WRT_EV_LEAVE, "c2", 3, "n3", "s1", "s1", 12000, NULL);
    events_put(st, &l);
    unread_all("s1", "[{'conversationId':'c1','unreadCount':2}]");
}


static void
changes_are(int64_t after, int max, const char *ids, int64_t expect_upto)
{
    json_t   *v;
    int64_t   upto;

    assert_int_equal(store_changes(st, "c1", after, max, &v, &upto),
                     STORE_OK);
    assert_string_equal(ids_of(v), ids);
    assert_int_equal(upto, expect_upto);
}


static void
changes(void **state)
{
    json_t    *v;
    int64_t    upto;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_put(st, &l);
    changes_are(0, 10, "", 0);

    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "t1", "two", "k2", 2000);
    events_message(&l, "c1", 3, "m3", "s1", "three", NULL, 3000);
    events_message(&l, "c1", 4, "m4", "s1", "four", NULL, 4000);
    events_fence(&l, "c1", 5);
    events_put(st, &l);

    changes_are(0, 4, "m1 m2 m3 m4", 5);
    changes_are(2, 4, "m3 m4", 5);
    changes_are(5, 4, "", 5);
    assert_int_equal(store_changes(st, "c1", 0, 3, &v, &upto),
                     STORE_TOO_MANY);
    assert_null(v);

    events_delete(&l, "c1", 6, "m1", "t1", 6000);
    events_edit(&l, "c1", 7, "m2", "t1", "two!", 7000);
    events_react(&l, "c1", 8, "m4", "t1", "+1", 1, 8000);
    events_fence(&l, "c1", 9);
    events_put(st, &l);

    changes_are(0, 4, "m3 m1 m2 m4", 9);
    changes_are(3, 4, "m1 m2 m4", 9);
    changes_are(6, 4, "m2 m4", 9);
    changes_are(7, 4, "m4", 9);
    changes_are(8, 4, "", 9);
    assert_int_equal(store_changes(st, "c1", 3, 2, &v, &upto),
                     STORE_TOO_MANY);

    assert_int_equal(store_changes(st, "c1", 6, 2, &v, &upto), STORE_OK);
    expect_json(json_incref(json_array_get(v, 0)),
                "{'id':'m2','conversationId':'c1','seq':2,'changeSeq':7,"
                "'senderId':'t1','sender':{'name':'','avatar':null},"
                "'type':'text','content':{'text':'two!'},'status':'sent',"
                "'readBy':[],'replyTo':null,'replyPreview':null,'reactions':[],"
                "'clientMessageId':'k2',"
                "'createdAt':'2024-01-15T10:00:02.000Z',"
                "'updatedAt':'2024-01-15T10:00:07.000Z',"
                "'editedAt':'2024-01-15T10:00:07.000Z',"
                "'deletedAt':null,'deletedBy':null}");
    json_decref(v);

    /* what was deleted is not shown, here or anywhere */

    expect_json(get_msg("c1", "m1"),
                "{'id':'m1','conversationId':'c1','seq':1,"
                "'senderId':'s1','sender':{'name':'','avatar':null},"
                "'type':'text','content':{},'status':'sent',"
                "'readBy':[],'replyTo':null,'replyPreview':null,'reactions':[],"
                "'createdAt':'2024-01-15T10:00:01.000Z',"
                "'updatedAt':'2024-01-15T10:00:06.000Z','editedAt':null,"
                "'deletedAt':'2024-01-15T10:00:06.000Z','deletedBy':'t1'}");
    assert_string_equal(ids_of(get_msgs("c1")), "m4 m3 m2 m1");
}


static void
unknown(void **state)
{
    int           more;
    json_t       *v;
    int64_t       n;
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    assert_int_equal(store_conversation(st, "c1", "s1", &v),
                     STORE_NOT_FOUND);
    assert_null(v);
    assert_int_equal(store_conversation_state(st, "c1", &v),
                     STORE_NOT_FOUND);
    assert_null(v);
    assert_int_equal(store_messages(st, &q, &v, &more), STORE_NOT_FOUND);
    assert_null(v);
    assert_int_equal(store_message(st, "c1", "m1", &v), STORE_NOT_FOUND);
    assert_null(v);
    assert_int_equal(store_changes(st, "c1", 0, 10, &v, &n),
                     STORE_NOT_FOUND);
    assert_null(v);
}


/* A whole batch of everything, in many rooms. */
static void
large(void **state)
{
    int        i, k;
    char       room[16], id[32], user[16];
    events_t   l = { 0 };

    (void) state;

    for (i = 0; i < 200; i++) {
        sprintf(room, "r%d", i);
        sprintf(user, "s%d t1", i);
        events_create(&l, room, "direct", user, i);
    }
    for (k = 1; k <= 3; k++) {
        for (i = 0; i < 200; i++) {
            sprintf(room, "r%d", i);
            sprintf(user, "s%d", i);
            sprintf(id, "m%d_%d", i, k);
            events_message(&l, room, k, id, user, "x", id, i * 10 + k);
            events_cursor(&l, room, "t1", k % 2 ? 'r' : 'd', k, i + k);
        }
    }
    events_put(st, &l);

    assert_string_equal(ids_of(get_msgs("r199")), "m199_3 m199_2 m199_1");
    unread_is("t1", "r199", 0);
    unread_is("s7", "r7", 0);
    expect_json(pick(get_conv("r100"), "metadata", "messageCount"), "3");
}


/* Where rooms stand, a page at a time. */
static void
ends(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    assert_int_equal(store_ends(st, "", 10, &v), STORE_OK);
    expect_json(v, "[]");

    events_create(&l, "r2", "direct", "s1 t1", 0);
    events_create(&l, "R3", "direct", "s1 t2", 0);
    events_create(&l, "r1", "direct", "s2 t1", 0);
    events_message(&l, "r1", 1, "m1", "s2", "x", NULL, 10);
    events_fence(&l, "r1", 1000001);
    events_put(st, &l);

    assert_int_equal(store_ends(st, "", 2, &v), STORE_OK);
    expect_json(v, "[{'conversationId':'R3','seq':0},"
                "{'conversationId':'r1','seq':1000001}]");
    assert_int_equal(store_ends(st, "r1", 2, &v), STORE_OK);
    expect_json(v, "[{'conversationId':'r2','seq':0}]");
    assert_int_equal(store_ends(st, "r2", 2, &v), STORE_OK);
    expect_json(v, "[]");
}


const struct CMUnitTest  suite_read[] = {
    SUITE_TEST(receipts),
    SUITE_TEST(receipts_deep),
    SUITE_TEST(receipts_many),
    SUITE_TEST(listing),
    SUITE_TEST(unread),
    SUITE_TEST(changes),
    SUITE_TEST(unknown),
    SUITE_TEST(ends),
    SUITE_TEST(large)
};

const size_t  suite_read_count = UNIT_COUNT(suite_read);
