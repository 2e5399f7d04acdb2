/*
 * store_suite.c: what every store has to do, in the same words for each.
 *
 * Without it the stores could drift apart: an installation that moves from
 * SQLite to MongoDB would count unread messages differently, page in another
 * order or lose a message that a repeated batch brings again.  All expected
 * documents are written out; none is computed by the code under test.
 */

#include "tests/unit/store_test.h"

#include <stdio.h>

#include "common/wrt_bus.h"

static const backend_t  *be;
static store_t          *st;


static int
setup(void **state)
{
    (void) state;
    st = backend_open(be);

    return 0;
}


static int
teardown(void **state)
{
    (void) state;
    store_close(st);
    st = NULL;

    return 0;
}


static json_t *
conversation(const char *id)
{
    json_t  *v;

    assert_int_equal(store_conversation(st, id, &v), STORE_OK);

    return v;
}


static json_t *
state_of(const char *id)
{
    json_t  *v;

    assert_int_equal(store_conversation_state(st, id, &v), STORE_OK);

    return v;
}


static json_t *
message(const char *conversation, const char *id)
{
    json_t  *v;

    assert_int_equal(store_message(st, conversation, id, &v), STORE_OK);

    return v;
}


static json_t *
messages(const char *conversation)
{
    int           more;
    json_t       *v;
    store_page_t  q = { conversation, 1, 200, -1, -1, -1, NULL };

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_int_equal(more, 0);

    return v;
}


/* A member of a member ... of a document, which is dropped. */
static json_t *
pick(json_t *doc, const char *a, const char *b)
{
    json_t  *v;

    v = json_object_get(doc, a);
    if (b) {
        v = json_object_get(v, b);
    }

    assert_non_null(v);
    json_incref(v);
    json_decref(doc);

    return v;
}


static void
create(void **state)
{
    json_t    *v;
    int64_t    total;
    events_t   l = { 0 };

    store_list_t  q = { "s1", NULL, 0, 1, 20 };

    (void) state;

    events_profile(&l, "t1", "Dr. Jane Smith", "https://cdn/jane.jpg",
                   "tutor");
    events_add(&l, WRT_EV_CREATE, "c1", 0, "s1", "",
               json_of("{'id':'c1','type':'consultation',"
                       "'title':'Thesis Discussion - Chapter 3',"
                       "'consultationId':'k1','participants':["
                       "{'userId':'s1','role':'student','permissions':"
                       "['download','read'],"
                       "'joinedAt':'2024-01-15T10:00:00.000Z'},"
                       "{'userId':'t1','role':'tutor','permissions':"
                       "['read','write','upload','download'],"
                       "'joinedAt':'2024-01-15T10:00:01.000Z'}],"
                       "'settings':{'allowFileUpload':true,"
                       "'maxFileSize':10485760,'allowedFileTypes':"
                       "['.pdf','.docx'],'autoArchive':false,"
                       "'retention':365},'createdBy':'s1',"
                       "'createdAt':'2024-01-15T10:00:00.123Z',"
                       "'context':{'topic':'Method','agenda':'a\\nb'}}"),
               NULL);
    events_put(st, &l);

    expect_json(conversation("c1"),
                "{'id':'c1','type':'consultation',"
                "'title':'Thesis Discussion - Chapter 3',"
                "'consultationId':'k1','participants':["
                "{'userId':'s1','role':'student','joinedAt':"
                "'2024-01-15T10:00:00.000Z','leftAt':null,'permissions':"
                "['read','download'],'user':{'name':'','avatar':null,"
                "'role':'student'}},"
                "{'userId':'t1','role':'tutor','joinedAt':"
                "'2024-01-15T10:00:01.000Z','leftAt':null,'permissions':"
                "['read','write','upload','download'],'user':{'name':"
                "'Dr. Jane Smith','avatar':'https://cdn/jane.jpg',"
                "'role':'tutor'}}],"
                "'settings':{'allowFileUpload':true,"
                "'maxFileSize':10485760,'allowedFileTypes':"
                "['.pdf','.docx'],'autoArchive':false,'retention':365},"
                "'context':{'topic':'Method','agenda':'a\\nb'},"
                "'metadata':{'lastMessageAt':null,'messageCount':0,"
                "'isArchived':false,'archivedAt':null,'createdBy':'s1'},"
                "'lastMessage':null,'isArchived':false,'seq':0,"
                "'createdAt':'2024-01-15T10:00:00.123Z',"
                "'updatedAt':'2024-01-15T10:00:00.123Z'}");

    expect_json(state_of("c1"),
                "{'seq':0,'state':'active','at':'2024-01-15T10:00:00.123Z',"
                "'members':[{'userId':'s1','role':'student','permissions':"
                "['read','download'],'joinSeq':0,'readSeq':0,'readAt':null,"
                "'deliveredSeq':0,'deliveredAt':null},"
                "{'userId':'t1','role':'tutor','permissions':"
                "['read','write','upload','download'],'joinSeq':0,"
                "'readSeq':0,'readAt':null,'deliveredSeq':0,"
                "'deliveredAt':null}]}");

    assert_int_equal(store_user_rooms(st, "s1", &v), STORE_OK);
    expect_json(v, "{'c1':0}");
    assert_int_equal(store_user_rooms(st, "nobody", &v), STORE_OK);
    expect_json(v, "{}");

    assert_int_equal(store_conversations(st, &q, &v, &total), STORE_OK);
    assert_int_equal(total, 1);
    expect_json(pick(json_incref(json_array_get(v, 0)), "unreadCount", NULL),
                "0");
    json_decref(v);

    /* a second creation is passed over, whatever it says */

    events_create(&l, "c1", "group", "s9 t9", 5000);
    events_put(st, &l);
    expect_json(pick(conversation("c1"), "type", NULL), "'consultation'");
    assert_int_equal(store_user_rooms(st, "s9", &v), STORE_OK);
    expect_json(v, "{}");
}


/* What is left out in a creation has a meaning all the same. */
static void
create_bare(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_add(&l, WRT_EV_CREATE, "c2", 0, "s1", "",
               json_of("{'type':'direct','participants':[{'userId':'s1'},"
                       "{'userId':'s2','permissions':[]}],"
                       "'createdAt':'2024-01-15T10:00:00Z'}"),
               NULL);
    events_put(st, &l);

    expect_json(conversation("c2"),
                "{'id':'c2','type':'direct','title':null,"
                "'consultationId':null,'participants':["
                "{'userId':'s1','role':'student','joinedAt':"
                "'2024-01-15T10:00:00.000Z','leftAt':null,'permissions':"
                "['read','write','upload','download'],'user':{'name':'',"
                "'avatar':null,'role':'student'}},"
                "{'userId':'s2','role':'student','joinedAt':"
                "'2024-01-15T10:00:00.000Z','leftAt':null,'permissions':[],"
                "'user':{'name':'','avatar':null,'role':'student'}}],"
                "'settings':{},'context':null,"
                "'metadata':{'lastMessageAt':null,'messageCount':0,"
                "'isArchived':false,'archivedAt':null,'createdBy':'s1'},"
                "'lastMessage':null,'isArchived':false,'seq':0,"
                "'createdAt':'2024-01-15T10:00:00.000Z',"
                "'updatedAt':'2024-01-15T10:00:00.000Z'}");
}


static void
one_message(void **state)
{
    json_t    *v, *page1;
    events_t   l = { 0 };

    static const char  first[] =
        "{'id':'m1','conversationId':'c1','seq':1,'senderId':'s1',"
        "'sender':{'name':'','avatar':null},'type':'text',"
        "'content':{'text':'Hello there!'},'status':'sent','readBy':[],"
        "'replyTo':null,'reactions':[],'clientMessageId':'client_123',"
        "'createdAt':'2024-01-15T10:00:01.000Z',"
        "'updatedAt':'2024-01-15T10:00:01.000Z','deletedAt':null}";

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "Hello there!", "client_123",
                   1000);
    events_put(st, &l);

    v = json_array();
    json_array_append_new(v, json_of(first));
    page1 = messages("c1");
    expect_equal(page1, v, "the page");
    json_decref(page1);
    json_decref(v);

    expect_json(message("c1", "m1"), first);
    assert_int_equal(store_message(st, "c2", "m1", &v), STORE_NOT_FOUND);
    assert_null(v);
    assert_int_equal(store_message(st, "c1", "m2", &v), STORE_NOT_FOUND);
    assert_int_equal(store_message(st, "c3", "m1", &v), STORE_NOT_FOUND);

    events_profile(&l, "t1", "Dr. Jane Smith", NULL, "tutor");
    events_reply(&l, "c1", 2, "m2", "t1", "Hello!", "m1", 2000);
    events_put(st, &l);

    expect_json(message("c1", "m2"),
                "{'id':'m2','conversationId':'c1','seq':2,'senderId':'t1',"
                "'sender':{'name':'Dr. Jane Smith','avatar':null},"
                "'type':'text','content':{'text':'Hello!'},'status':'sent',"
                "'readBy':[],'replyTo':'m1','reactions':[],"
                "'createdAt':'2024-01-15T10:00:02.000Z',"
                "'updatedAt':'2024-01-15T10:00:02.000Z','deletedAt':null}");

    expect_json(pick(conversation("c1"), "metadata", NULL),
                "{'lastMessageAt':'2024-01-15T10:00:02.000Z',"
                "'messageCount':2,'isArchived':false,'archivedAt':null,"
                "'createdBy':'s1'}");
    expect_json(pick(conversation("c1"), "lastMessage", NULL),
                "{'content':'Hello!','senderId':'t1',"
                "'sentAt':'2024-01-15T10:00:02.000Z','type':'text'}");
    expect_json(pick(conversation("c1"), "updatedAt", NULL),
                "'2024-01-15T10:00:02.000Z'");
    expect_json(pick(conversation("c1"), "seq", NULL), "2");
    expect_json(pick(conversation("c2"), "metadata", "messageCount"), "0");
    expect_json(pick(state_of("c1"), "at", NULL),
                "'2024-01-15T10:00:02.000Z'");
}


static void
repeats(void **state)
{
    json_t    *before, *after;
    size_t     i;
    events_t   l = { 0 }, again = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    for (i = 1; i <= 9; i++) {
        char  id[8], cmid[8];

        sprintf(id, "m%zu", i);
        sprintf(cmid, "k%zu", i);
        events_message(&l, "c1", (int64_t) i, id, i % 2 ? "s1" : "t1", "x",
                       cmid, (int64_t) i * 1000);
    }
    events_cursor(&l, "c1", "t1", 'r', 5, 20000);

    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    before = snapshot(st, "c1", "s1 t1");
    expect_json(pick(conversation("c1"), "metadata", "messageCount"), "9");

    /* in other batch boundaries */

    for (i = 0; i < l.n; i++) {
        events_apply(st, &l, i, l.n);
    }
    for (i = 0; i < l.n; i++) {
        events_apply(st, &l, i, i + 1);
    }

    after = snapshot(st, "c1", "s1 t1");
    expect_equal(after, before, "after repeats");
    json_decref(after);

    /* the same clientMessageId again: its number stays unused */

    events_message(&again, "c1", 10, "m10", "s1", "once more", "k3", 30000);
    events_message(&again, "c1", 11, "m11", "t1", "not his", "k3", 31000);
    events_message(&again, "c1", 12, "m12", "s1", "new", "k12", 32000);
    events_message(&again, "c1", 13, "m13", "s1", "new again", "k12", 33000);
    events_message(&again, "c1", 14, "m1", "s1", "id again", NULL, 34000);
    events_put(st, &again);

    assert_string_equal(ids_of(messages("c1")),
                        "m12 m11 m9 m8 m7 m6 m5 m4 m3 m2 m1");
    expect_json(pick(conversation("c1"), "seq", NULL), "14");
    expect_json(pick(conversation("c1"), "metadata", "messageCount"), "11");
    expect_json(pick(conversation("c1"), "lastMessage", NULL),
                "{'content':'new','senderId':'s1',"
                "'sentAt':'2024-01-15T10:00:32.000Z','type':'text'}");
    expect_json(pick(message("c1", "m12"), "content", NULL),
                "{'text':'new'}");

    /* the same sender and clientMessageId elsewhere is another message */

    events_create(&again, "c2", "direct", "s1 t1", 0);
    events_message(&again, "c2", 1, "n1", "s1", "x", "k3", 1000);
    events_put(st, &again);
    assert_string_equal(ids_of(messages("c2")), "n1");

    json_decref(before);
    events_free(&l);
}


static void
holes(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 3, "m3", "s1", "x", NULL, 1000);
    events_fence(&l, "c1", 50);
    events_put(st, &l);

    expect_json(pick(conversation("c1"), "seq", NULL), "50");
    expect_json(pick(conversation("c1"), "metadata", "messageCount"), "1");
    expect_json(pick(conversation("c1"), "lastMessage", "content"), "'x'");

    /* below the fence: passed over */
    events_message(&l, "c1", 50, "m50", "s1", "late", NULL, 2000);
    events_message(&l, "c1", 51, "m51", "s1", "next", NULL, 3000);
    events_put(st, &l);

    assert_string_equal(ids_of(messages("c1")), "m51 m3");
    expect_json(pick(conversation("c1"), "seq", NULL), "51");

    /* a fence alone, in a batch of its own */
    events_fence(&l, "c1", 60);
    events_put(st, &l);
    expect_json(pick(state_of("c1"), "seq", NULL), "60");
    expect_json(pick(conversation("c1"), "metadata", NULL),
                "{'lastMessageAt':'2024-01-15T10:00:03.000Z',"
                "'messageCount':2,'isArchived':false,'archivedAt':null,"
                "'createdBy':'s1'}");
    expect_json(pick(state_of("c1"), "at", NULL),
                "'2024-01-15T10:00:03.000Z'");
}


static void
membership(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "t1 s1", 0);
    events_message(&l, "c1", 1, "m1", "t1", "before", NULL, 1000);
    events_member(&l, WRT_EV_JOIN, "c1", 2, "m2", "t1", "s2", 2000,
                  json_of("{'role':'student','permissions':['read']}"));
    events_put(st, &l);

    expect_json(pick(state_of("c1"), "members", NULL),
                "[{'userId':'t1','role':'tutor','permissions':"
                "['read','write','upload','download'],'joinSeq':0,"
                "'readSeq':0,'readAt':null,'deliveredSeq':0,"
                "'deliveredAt':null},"
                "{'userId':'s1','role':'student','permissions':"
                "['read','write','upload','download'],'joinSeq':0,"
                "'readSeq':0,'readAt':null,'deliveredSeq':0,"
                "'deliveredAt':null},"
                "{'userId':'s2','role':'student','permissions':['read'],"
                "'joinSeq':2,'readSeq':0,'readAt':null,'deliveredSeq':0,"
                "'deliveredAt':null}]");
    expect_json(pick(message("c1", "m2"), "content", NULL),
                "{'systemMessage':{'action':'user_joined','data':"
                "{'userId':'s2'}}}");
    expect_json(pick(conversation("c1"), "lastMessage", NULL),
                "{'content':'user_joined','senderId':'t1',"
                "'sentAt':'2024-01-15T10:00:02.000Z','type':'system'}");
    assert_int_equal(store_user_rooms(st, "s2", &v), STORE_OK);
    expect_json(v, "{'c1':2}");

    /* he reads, leaves, comes back as somebody else */

    events_cursor(&l, "c1", "s2", 'r', 2, 2500);
    events_member(&l, WRT_EV_LEAVE, "c1", 3, "m3", "s2", "s2", 3000, NULL);
    events_put(st, &l);

    assert_int_equal(store_user_rooms(st, "s2", &v), STORE_OK);
    expect_json(v, "{}");
    expect_json(json_integer((json_int_t) json_array_size(
                    json_object_get(v = state_of("c1"), "members"))), "2");
    json_decref(v);
    v = pick(conversation("c1"), "participants", NULL);
    expect_json(json_incref(json_array_get(v, 2)),
                "{'userId':'s2','role':'student','joinedAt':"
                "'2024-01-15T10:00:02.000Z','leftAt':"
                "'2024-01-15T10:00:03.000Z','permissions':['read'],"
                "'user':{'name':'','avatar':null,'role':'student'}}");
    json_decref(v);

    events_member(&l, WRT_EV_LEAVE, "c1", 4, "m4", "t1", "s2", 4000, NULL);
    events_member(&l, WRT_EV_LEAVE, "c1", 5, "m5", "t1", "s7", 5000, NULL);
    events_member(&l, WRT_EV_JOIN, "c1", 6, "m6", "t1", "s2", 6000,
                  json_of("{'role':'tutor'}"));
    events_put(st, &l);

    v = pick(conversation("c1"), "participants", NULL);
    assert_int_equal(json_array_size(v), 3);
    expect_json(json_incref(json_array_get(v, 2)),
                "{'userId':'s2','role':'tutor','joinedAt':"
                "'2024-01-15T10:00:06.000Z','leftAt':null,'permissions':"
                "['read','write','upload','download'],"
                "'user':{'name':'','avatar':null,'role':'tutor'}}");
    json_decref(v);
    v = pick(state_of("c1"), "members", NULL);
    expect_json(json_incref(json_array_get(v, 2)),
                "{'userId':'s2','role':'tutor','permissions':"
                "['read','write','upload','download'],'joinSeq':6,"
                "'readSeq':2,'readAt':'2024-01-15T10:00:02.500Z',"
                "'deliveredSeq':2,'deliveredAt':"
                "'2024-01-15T10:00:02.500Z'}");
    json_decref(v);
}


/* In one batch: made, joined, left, all before anything was stored. */
static void
membership_at_once(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "t1 s1", 0);
    events_cursor(&l, "c1", "s1", 'd', 0, 0);
    events_member(&l, WRT_EV_JOIN, "c1", 1, "m1", "t1", "s2", 1000, NULL);
    events_cursor(&l, "c1", "s2", 'r', 1, 1500);
    events_member(&l, WRT_EV_LEAVE, "c1", 2, "m2", "t1", "s2", 2000, NULL);
    events_member(&l, WRT_EV_JOIN, "c1", 3, "m3", "t1", "s2", 3000, NULL);
    events_member(&l, WRT_EV_LEAVE, "c1", 4, "m4", "t1", "s1", 4000, NULL);
    events_put(st, &l);

    v = pick(state_of("c1"), "members", NULL);
    assert_int_equal(json_array_size(v), 2);
    expect_json(json_incref(json_array_get(v, 1)),
                "{'userId':'s2','role':'student','permissions':"
                "['read','write','upload','download'],'joinSeq':3,"
                "'readSeq':1,'readAt':'2024-01-15T10:00:01.500Z',"
                "'deliveredSeq':1,'deliveredAt':"
                "'2024-01-15T10:00:01.500Z'}");
    json_decref(v);
    expect_json(pick(conversation("c1"), "metadata", "messageCount"), "4");
}


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

    expect_json(pick(message("c1", "m4"), "status", NULL), "'sent'");
    expect_json(pick(message("c1", "m3"), "status", NULL), "'delivered'");
    expect_json(pick(message("c1", "m3"), "readBy", NULL), "[]");
    expect_json(pick(message("c1", "m2"), "status", NULL), "'read'");
    expect_json(pick(message("c1", "m2"), "readBy", NULL),
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

    expect_json(pick(message("c1", "m1"), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:05.000Z'},"
                "{'userId':'s2','readAt':'2024-01-15T10:00:07.000Z'}]");
    expect_json(pick(message("c1", "m2"), "readBy", NULL),
                "[{'userId':'s1','readAt':'2024-01-15T10:00:04.100Z'},"
                "{'userId':'s2','readAt':'2024-01-15T10:00:07.000Z'}]");
    expect_json(pick(message("c1", "m3"), "readBy", NULL),
                "[{'userId':'t1','readAt':'2024-01-15T10:00:06.000Z'}]");
    expect_json(pick(message("c1", "m4"), "readBy", NULL), "[]");
    expect_json(pick(message("c1", "m4"), "status", NULL), "'sent'");

    expect_json(pick(state_of("c1"), "members", NULL),
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
    expect_json(pick(message("c1", "m4"), "readBy", NULL),
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
    store_page_t  q = { "c1", 1, 3, -1, -1, -1, NULL };

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


static void
page(const store_page_t *q, const char *ids, int expect_more)
{
    int      more;
    json_t  *v;

    assert_int_equal(store_messages(st, q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), ids);
    assert_int_equal(more, expect_more);
}


static void
paging(void **state)
{
    int           i;
    char          id[16];
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 3, -1, -1, -1, NULL };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s1 t1", 0);
    events_message(&l, "c2", 1, "n1", "s1", "elsewhere", NULL, 500);

    /* m1..m8; 4 is a hole, m5 and m6 have the same time */

    for (i = 1; i <= 9; i++) {
        sprintf(id, "m%d", i - (i > 4));
        if (i != 4) {
            events_reply(&l, "c1", i, id, "s1", "x",
                         i == 3 || i == 6 || i == 8 ? "m1" : NULL,
                         i == 7 ? 6000 : i * 1000);
        }
    }
    events_put(st, &l);

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

    /* precedence: time, before, after, page */
    q.before_ms = STORE_TEST_T0 + 2000;
    q.before_seq = 3;
    q.after_seq = 2;
    q.page = 2;
    page(&q, "m1", 0);
    q.before_ms = -1;
    page(&q, "m2 m1", 0);
    q.before_seq = -1;
    page(&q, "m4 m3", 1);
    q.after_seq = -1;
    page(&q, "m6 m5", 1);

    /* a thread: replies to m1 are m3, m5, m7 */
    q.thread_of = "m1";
    q.page = 1;
    page(&q, "m7 m5", 1);
    q.page = 2;
    page(&q, "m3", 0);
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


/* limit and page out of bounds are put right, not obeyed. */
static void
bounds(void **state)
{
    int           i, more;
    char          id[16];
    json_t       *v;
    int64_t       total;
    events_t      l = { 0 };
    store_page_t  q = { "c1", -5, 100000, -1, -1, -1, NULL };
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

    be->archive("c3", STORE_TEST_T0 + 5000);
    q.type = NULL;
    list_is(&q, "c5 c4", 4);
    q.archived = 1;
    list_is(&q, "c3", 1);
    q.type = "direct";
    list_is(&q, "", 0);

    expect_json(pick(conversation("c3"), "isArchived", NULL), "true");
    expect_json(pick(conversation("c3"), "metadata", "archivedAt"),
                "'2024-01-15T10:00:05.000Z'");
    expect_json(pick(state_of("c3"), "state", NULL), "'archived'");
    expect_json(pick(state_of("c4"), "state", NULL), "'active'");

    /* still archived after another event */

    events_message(&l, "c3", 1, "m2", "t1", "x", NULL, 6000);
    events_put(st, &l);
    expect_json(pick(conversation("c3"), "metadata", NULL),
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


static void
unread(void **state)
{
    events_t  l = { 0 };

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

    events_cursor(&l, "c1", "s1", 'd', 6, 5000);
    events_cursor(&l, "c1", "s1", 'r', 1, 6000);
    events_put(st, &l);
    unread_is("s1", "c1", 2);

    be->change("m5", 7, STORE_TEST_T0 + 7000);
    unread_is("s1", "c1", 1);

    events_cursor(&l, "c1", "s1", 'r', 6, 8000);
    events_put(st, &l);
    unread_is("s1", "c1", 0);

    /* who comes later has nothing to catch up with */

    events_member(&l, WRT_EV_JOIN, "c1", 8, "m8", "t1", "s2", 9000, NULL);
    events_put(st, &l);
    unread_is("s2", "c1", 0);
    unread_is("s1", "c1", 1);

    events_message(&l, "c1", 9, "m9", "t1", "x", NULL, 10000);
    events_put(st, &l);
    unread_is("s2", "c1", 1);
    unread_is("s1", "c1", 2);
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
    events_fence(&l, "c1", 9);
    events_put(st, &l);

    changes_are(0, 4, "m1 m2 m3 m4", 9);
    changes_are(2, 4, "m3 m4", 9);
    changes_are(9, 4, "", 9);
    assert_int_equal(store_changes(st, "c1", 0, 3, &v, &upto),
                     STORE_TOO_MANY);
    assert_null(v);

    /* m2 was edited by event 7, m1 deleted by event 6, m4 edited by 8 */

    be->change("m2", 7, -1);
    be->change("m1", 6, STORE_TEST_T0 + 6000);
    be->change("m4", 8, -1);

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
                "'type':'text','content':{'text':'two'},'status':'sent',"
                "'readBy':[],'replyTo':null,'reactions':[],"
                "'clientMessageId':'k2',"
                "'createdAt':'2024-01-15T10:00:02.000Z',"
                "'updatedAt':'2024-01-15T10:00:02.000Z','deletedAt':null}");
    json_decref(v);

    /* what was deleted is not shown, here or anywhere */

    expect_json(message("c1", "m1"),
                "{'id':'m1','conversationId':'c1','seq':1,"
                "'senderId':'s1','sender':{'name':'','avatar':null},"
                "'type':'text','content':{},'status':'sent',"
                "'readBy':[],'replyTo':null,'reactions':[],"
                "'createdAt':'2024-01-15T10:00:01.000Z',"
                "'updatedAt':'2024-01-15T10:00:01.000Z',"
                "'deletedAt':'2024-01-15T10:00:06.000Z'}");
    assert_string_equal(ids_of(messages("c1")), "m4 m3 m2 m1");
}


static void
profiles(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    assert_int_equal(store_user(st, "s1", &v), STORE_NOT_FOUND);
    assert_null(v);

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "x", NULL, 1000);
    events_profile(&l, "s1", "Ani", NULL, "student");
    events_profile(&l, "s1", "Ani \xc3\x84", "https://a/b.png", "admin");
    events_put(st, &l);

    assert_int_equal(store_user(st, "s1", &v), STORE_OK);
    expect_json(v, "{'id':'s1','name':'Ani \xc3\x84',"
                "'avatar':'https://a/b.png','role':'admin'}");
    expect_json(pick(message("c1", "m1"), "sender", NULL),
                "{'name':'Ani \xc3\x84','avatar':'https://a/b.png'}");

    /* his role in the room is another thing than his role */

    v = pick(conversation("c1"), "participants", NULL);
    expect_json(pick(json_incref(json_array_get(v, 0)), "role", NULL),
                "'student'");
    expect_json(pick(json_incref(json_array_get(v, 0)), "user", NULL),
                "{'name':'Ani \xc3\x84','avatar':'https://a/b.png',"
                "'role':'admin'}");
    json_decref(v);

    events_profile(&l, "s1", "Ani", NULL, "student");
    events_put(st, &l);
    assert_int_equal(store_user(st, "s1", &v), STORE_OK);
    expect_json(v, "{'id':'s1','name':'Ani','avatar':null,"
                "'role':'student'}");
}


/* What may be in content: all that JSON can say has to come back. */
static void
any_json(void **state)
{
    int         i;
    json_t     *v;
    events_t    l = { 0 };

    static const char  content[] =
        "{'sticker':{'pack':'cats','id':'7'},'a':[],'o':{},"
        "'n':null,'t':true,'f':false,'i':9007199254740993,'neg':-5,"
        "'z':0,'r':0.1,'e':1e300,'one':1.0,'\xe2\x82\xac':'\xf0\x9f\x98\x80',"
        "'$set':{'$x':1},'a.b':'dot','esc':'\\u0001\\n\\\\',"
        "'deep':[[[[[[[1,[2,[3]]]]]]]]],'empty':''}";

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "x", NULL, 1000);

    v = json_object_get(json_object_get(l.ev[1].body, "data"), "message");
    json_object_set_new(v, "type", json_string("sticker"));
    json_object_set_new(v, "content", json_of(content));
    json_object_set_new(l.ev[0].body, "settings", json_of(content));
    json_object_set_new(l.ev[0].body, "context", json_of(content));
    events_put(st, &l);

    expect_json(pick(message("c1", "m1"), "content", NULL), content);
    expect_json(pick(conversation("c1"), "settings", NULL), content);
    expect_json(pick(conversation("c1"), "context", NULL), content);
    expect_json(pick(conversation("c1"), "lastMessage", "content"),
                "'Sticker'");

    /* the order of members stays, too */

    v = message("c1", "m1");
    i = strcmp("sticker", json_object_iter_key(
                   json_object_iter(json_object_get(v, "content"))));
    assert_int_equal(i, 0);
    json_decref(v);
}


static void
preview(void **state)
{
    int         i;
    char        text[1024];
    json_t     *v;
    events_t    l = { 0 };

    (void) state;

    /* 300 characters of two bytes behind one of one: no half character */

    strcpy(text, "x");
    for (i = 0; i < 300; i++) {
        strcat(text, "\xc3\xa4");
    }

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", text, NULL, 1000);
    events_put(st, &l);

    v = pick(conversation("c1"), "lastMessage", "content");
    assert_int_equal(json_string_length(v), STORE_PREVIEW_MAX - 1);
    assert_memory_equal(json_string_value(v), text, STORE_PREVIEW_MAX - 1);
    json_decref(v);

    v = pick(message("c1", "m1"), "content", "text");
    assert_string_equal(json_string_value(v), text);
    json_decref(v);
}


/* One bad event among good ones. */
static void
rejected(char kind, const char *id, int64_t seq, const char *actor,
    const char *target, const char *body, const char *extra)
{
    size_t      bad;
    char        before[16], after[16];
    json_t     *v;
    events_t    l = { 0 };

    static int  n;

    n++;
    sprintf(before, "a%d", n);
    sprintf(after, "b%d", n);

    events_create(&l, "good", "direct", "s1 t1", 0);
    events_message(&l, "good", 1000 * n, before, "s1", "x", NULL, n * 1000);
    events_add(&l, kind, id, seq, actor, target, body ? json_of(body) : NULL,
               extra ? json_of(extra) : NULL);
    events_message(&l, "good", 1000 * n + 999, after, "s1", "x", NULL,
                   n * 1000);

    bad = 0;
    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    assert_int_equal(bad, 2);
    assert_non_null(strstr(store_error(st), "1-1"));
    assert_true(strlen(strstr(store_error(st), "1-1")) > 10);

    json_decref(message("good", before));
    assert_int_equal(store_message(st, "good", after, &v), STORE_NOT_FOUND);
    v = pick(conversation("good"), "seq", NULL);
    assert_int_equal(json_integer_value(v), 1000 * n);
    json_decref(v);

    events_free(&l);
}


#define GOOD_MESSAGE  \
    "'id':'x','senderId':'s1','type':'text','content':{'text':'x'}," \
    "'createdAt':'2024-01-15T10:00:00.000Z'"

#define MESSAGE(fields)  \
    "{'event':'message_received','data':{'message':{" fields "}}}"


static void
rejects(void **state)
{
    json_t      *v;
    store_rc_t   rc;

    /* of the conversation "good" with a number that is next in line */

    static const char *const  bad_messages[] = {
        "{}", "[]", "{'data':{'message':'x'}}",
        MESSAGE("'senderId':'s1','type':'text','content':{'text':'x'},"
                "'createdAt':'2024-01-15T10:00:00.000Z'"),
        MESSAGE("'id':'a b','senderId':'s1','type':'text',"
                "'content':{'text':'x'},"
                "'createdAt':'2024-01-15T10:00:00.000Z'"),
        MESSAGE("'id':'x','senderId':7,'type':'text',"
                "'content':{'text':'x'},"
                "'createdAt':'2024-01-15T10:00:00.000Z'"),
        MESSAGE("'id':'x','senderId':'s1','type':'hologram',"
                "'content':{'text':'x'},"
                "'createdAt':'2024-01-15T10:00:00.000Z'"),
        MESSAGE("'id':'x','senderId':'s1','type':'text','content':'x',"
                "'createdAt':'2024-01-15T10:00:00.000Z'"),
        MESSAGE("'id':'x','senderId':'s1','type':'text',"
                "'content':{'text':'x'},'createdAt':'yesterday'"),
        MESSAGE(GOOD_MESSAGE ",'replyTo':'../x'"),
        MESSAGE(GOOD_MESSAGE ",'clientMessageId':''"),
        NULL
    };

    static const char *const  bad_rooms[] = {
        "{'type':'party','participants':[{'userId':'s1'}],"
        "'createdAt':'2024-01-15T10:00:00.000Z'}",
        "{'type':'group','participants':[],"
        "'createdAt':'2024-01-15T10:00:00.000Z'}",
        "{'type':'group','participants':[{'userId':'s1'},{}],"
        "'createdAt':'2024-01-15T10:00:00.000Z'}",
        "{'type':'group','participants':[{'userId':'s1'}],'createdAt':5}",
        "{'type':'group','participants':[{'userId':'s1'}],'settings':[],"
        "'createdAt':'2024-01-15T10:00:00.000Z'}",
        "{'type':'group','participants':[{'userId':'s1'}],'title':{},"
        "'createdAt':'2024-01-15T10:00:00.000Z'}",
        NULL
    };

    static const char *const  bad_cursors[] = {
        "{}", "{'kind':'x','seq':1,'at':'2024-01-15T10:00:00.000Z'}",
        "{'kind':'r','seq':'1','at':'2024-01-15T10:00:00.000Z'}",
        "{'kind':'r','seq':-1,'at':'2024-01-15T10:00:00.000Z'}",
        "{'kind':'r','seq':1}",
        NULL
    };

    static const char  cursor[] =
        "{'kind':'r','seq':1,'at':'2024-01-15T10:00:00.000Z'}";

    int  i;

    (void) state;

    for (i = 0; bad_messages[i]; i++) {
        rejected(WRT_EV_MESSAGE, "good", 500000, "s1", "", bad_messages[i],
                 NULL);
    }

    for (i = 0; bad_rooms[i]; i++) {
        rejected(WRT_EV_CREATE, "bad", 0, "s1", "", bad_rooms[i], NULL);
    }

    for (i = 0; bad_cursors[i]; i++) {
        rejected(WRT_EV_STATUS, "good", 0, "t1", "", "{}", bad_cursors[i]);
    }

    rejected(WRT_EV_MESSAGE, "bad", 1, "s1", "", MESSAGE(GOOD_MESSAGE), NULL);
    rejected(WRT_EV_MESSAGE, "a/b", 1, "s1", "", MESSAGE(GOOD_MESSAGE), NULL);
    rejected(WRT_EV_MESSAGE, "good", 0, "s1", "", MESSAGE(GOOD_MESSAGE),
             NULL);
    rejected(WRT_EV_FENCE, "bad", 7, "", "", NULL, NULL);
    rejected(WRT_EV_JOIN, "good", 500000, "s1", "", MESSAGE(GOOD_MESSAGE),
             NULL);
    rejected(WRT_EV_LEAVE, "good", 500000, "s1", "a b",
             MESSAGE(GOOD_MESSAGE), NULL);
    rejected(WRT_EV_CHANGE, "good", 500000, "s1", "",
             "{'event':'message_sung','data':{}}", NULL);
    rejected(WRT_EV_STATUS, "bad", 0, "s1", "", "{}", cursor);
    rejected(WRT_EV_STATUS, "good", 0, "stranger", "", "{}", cursor);
    rejected(WRT_EV_STATUS, "good", 0, "", "", "{}", cursor);
    rejected(WRT_EV_PROFILE, "-", 0, "", "", "{'name':'x'}", NULL);
    rejected(WRT_EV_PROFILE, "-", 0, "s1", "", "{'name':7}", NULL);
    rejected(WRT_EV_PROFILE, "-", 0, "s1", "", NULL, NULL);
    rejected(WRT_EV_TYPING, "good", 0, "s1", "", "{}", NULL);
    rejected('?', "good", 500000, "s1", "", "{}", NULL);

    rc = store_conversation(st, "bad", &v);
    assert_int_equal(rc, STORE_NOT_FOUND);
    assert_int_equal(store_user(st, "s1", &v), STORE_NOT_FOUND);
}


/* The first event of a batch is the bad one; a batch of none. */
static void
rejected_first(void **state)
{
    size_t     bad;
    events_t   l = { 0 };

    (void) state;

    events_message(&l, "nowhere", 1, "m1", "s1", "x", NULL, 0);
    events_create(&l, "c1", "direct", "s1 t1", 0);

    assert_int_equal(store_apply(st, l.ev, l.n, &bad), STORE_REJECTED);
    assert_int_equal(bad, 0);
    assert_non_null(strstr(store_error(st), "no such conversation"));
    assert_non_null(strstr(store_error(st), "nowhere"));
    assert_int_equal(store_apply(st, l.ev, 0, &bad), STORE_OK);
    assert_int_equal(events_apply(st, &l, 0, l.n), 1);

    json_decref(conversation("c1"));
    events_free(&l);
}


static void
unknown(void **state)
{
    int           more;
    json_t       *v;
    int64_t       n;
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL };

    (void) state;

    assert_int_equal(store_conversation(st, "c1", &v), STORE_NOT_FOUND);
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
    char       room[16], id[16], user[16];
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

    assert_string_equal(ids_of(messages("r199")), "m199_3 m199_2 m199_1");
    unread_is("t1", "r199", 0);
    unread_is("s7", "r7", 0);
    expect_json(pick(conversation("r100"), "metadata", "messageCount"), "3");
}


static void
reopened(void **state)
{
    char       err[1024];
    json_t    *before, *after;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", "k1", 1000);
    events_cursor(&l, "c1", "t1", 'r', 1, 2000);
    events_profile(&l, "s1", "Ani", NULL, "student");
    events_put(st, &l);
    before = snapshot(st, "c1", "s1 t1");

    store_close(st);
    st = store_open(be->url, STORE_TEST_SCRIPTS, 0, err, sizeof(err));
    assert_non_null(st);

    after = snapshot(st, "c1", "s1 t1");
    expect_equal(after, before, "after opening it again");
    json_decref(before);
    json_decref(after);

    assert_int_equal(store_ping(st), STORE_OK);
    assert_string_equal(store_name(st), be->name);
}


int
store_suite(const backend_t *b, const struct CMUnitTest *more, size_t n)
{
    int                failed;
    size_t             count;
    struct CMUnitTest *all;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(create, setup, teardown),
        cmocka_unit_test_setup_teardown(create_bare, setup, teardown),
        cmocka_unit_test_setup_teardown(one_message, setup, teardown),
        cmocka_unit_test_setup_teardown(repeats, setup, teardown),
        cmocka_unit_test_setup_teardown(holes, setup, teardown),
        cmocka_unit_test_setup_teardown(membership, setup, teardown),
        cmocka_unit_test_setup_teardown(membership_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(receipts, setup, teardown),
        cmocka_unit_test_setup_teardown(receipts_deep, setup, teardown),
        cmocka_unit_test_setup_teardown(paging, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(listing, setup, teardown),
        cmocka_unit_test_setup_teardown(unread, setup, teardown),
        cmocka_unit_test_setup_teardown(changes, setup, teardown),
        cmocka_unit_test_setup_teardown(profiles, setup, teardown),
        cmocka_unit_test_setup_teardown(any_json, setup, teardown),
        cmocka_unit_test_setup_teardown(preview, setup, teardown),
        cmocka_unit_test_setup_teardown(rejects, setup, teardown),
        cmocka_unit_test_setup_teardown(rejected_first, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(large, setup, teardown),
        cmocka_unit_test_setup_teardown(reopened, setup, teardown)
    };

    be = b;
    count = UNIT_COUNT(tests);

    all = calloc(count + n, sizeof(struct CMUnitTest));
    if (all == NULL) {
        return 1;
    }

    memcpy(all, tests, sizeof(tests));
    memcpy(all + count, more, n * sizeof(struct CMUnitTest));

    failed = _cmocka_run_group_tests(b->name, all, count + n, NULL, NULL);
    free(all);

    return failed;
}
