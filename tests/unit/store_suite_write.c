/*
 * store_suite_write.c: what events do to the documents.  See store_suite.c.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>

#include "common/wrt_bus.h"


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

    expect_json(get_conv("c1"),
                "{'id':'c1','type':'consultation',"
                "'title':'Thesis Discussion - Chapter 3',"
                "'consultationId':'k1','consultationStatus':'confirmed',"
                "'sessionId':null,'participants':["
                "{'userId':'s1','role':'student','joinedAt':"
                "'2024-01-15T10:00:00.000Z','leftAt':null,'permissions':"
                "['read','download'],'blockedBy':null,"
                "'user':{'name':'','avatar':null,"
                "'role':'student'}},"
                "{'userId':'t1','role':'tutor','joinedAt':"
                "'2024-01-15T10:00:01.000Z','leftAt':null,'permissions':"
                "['read','write','upload','download'],'blockedBy':null,"
                "'user':{'name':"
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

    expect_json(get_state("c1"),
                "{'seq':0,'state':'active','at':'2024-01-15T10:00:00.123Z',"
                "'consultationId':'k1',"
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
    expect_json(pick(get_conv("c1"), "type", NULL), "'consultation'");
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

    expect_json(get_conv("c2"),
                "{'id':'c2','type':'direct','title':null,"
                "'consultationId':null,'consultationStatus':null,"
                "'sessionId':null,'participants':["
                "{'userId':'s1','role':'student','joinedAt':"
                "'2024-01-15T10:00:00.000Z','leftAt':null,'permissions':"
                "['read','write','upload','download'],'blockedBy':null,"
                "'user':{'name':'',"
                "'avatar':null,'role':'student'}},"
                "{'userId':'s2','role':'student','joinedAt':"
                "'2024-01-15T10:00:00.000Z','leftAt':null,'permissions':[],"
                "'blockedBy':null,"
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
        "'replyTo':null,'replyPreview':null,'reactions':[],"
        "'clientMessageId':'client_123',"
        "'createdAt':'2024-01-15T10:00:01.000Z',"
        "'updatedAt':'2024-01-15T10:00:01.000Z','editedAt':null,"
        "'deletedAt':null,'deletedBy':null}";

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "Hello there!", "client_123",
                   1000);
    events_put(st, &l);

    v = json_array();
    json_array_append_new(v, json_of(first));
    page1 = get_msgs("c1");
    expect_equal(page1, v, "the page");
    json_decref(page1);
    json_decref(v);

    expect_json(get_msg("c1", "m1"), first);
    assert_int_equal(store_message(st, "c2", "m1", &v), STORE_NOT_FOUND);
    assert_null(v);
    assert_int_equal(store_message(st, "c1", "m2", &v), STORE_NOT_FOUND);
    assert_int_equal(store_message(st, "c3", "m1", &v), STORE_NOT_FOUND);

    events_profile(&l, "t1", "Dr. Jane Smith", NULL, "tutor");
    events_reply(&l, "c1", 2, "m2", "t1", "Hello!", "m1", 2000);
    events_put(st, &l);

    expect_json(get_msg("c1", "m2"),
                "{'id':'m2','conversationId':'c1','seq':2,'senderId':'t1',"
                "'sender':{'name':'Dr. Jane Smith','avatar':null},"
                "'type':'text','content':{'text':'Hello!'},'status':'sent',"
                "'readBy':[],'replyTo':'m1','replyPreview':"
                "{'id':'m1','senderId':'s1','sender':{'name':'',"
                "'avatar':null},'type':'text','text':'Hello there!',"
                "'deletedAt':null},'reactions':[],"
                "'createdAt':'2024-01-15T10:00:02.000Z',"
                "'updatedAt':'2024-01-15T10:00:02.000Z','editedAt':null,"
                "'deletedAt':null,'deletedBy':null}");

    expect_json(pick(get_conv("c1"), "metadata", NULL),
                "{'lastMessageAt':'2024-01-15T10:00:02.000Z',"
                "'messageCount':2,'isArchived':false,'archivedAt':null,"
                "'createdBy':'s1'}");
    expect_json(pick(get_conv("c1"), "lastMessage", NULL),
                "{'content':'Hello!','senderId':'t1',"
                "'sentAt':'2024-01-15T10:00:02.000Z','type':'text'}");
    expect_json(pick(get_conv("c1"), "updatedAt", NULL),
                "'2024-01-15T10:00:02.000Z'");
    expect_json(pick(get_conv("c1"), "seq", NULL), "2");
    expect_json(pick(get_conv("c2"), "metadata", "messageCount"), "0");
    expect_json(pick(get_state("c1"), "at", NULL),
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
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "9");

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

    /* the same under the same clientMessageId: its number stays unused */

    events_message(&again, "c1", 10, "m10", "s1", "x", "k3", 30000);
    events_message(&again, "c1", 11, "m11", "t1", "not his", "k3", 31000);
    events_message(&again, "c1", 12, "m12", "s1", "new", "k12", 32000);
    events_message(&again, "c1", 13, "m13", "s1", "new", "k12", 33000);
    events_message(&again, "c1", 14, "m1", "s1", "id again", NULL, 34000);
    events_put(st, &again);

    assert_string_equal(ids_of(get_msgs("c1")),
                        "m12 m11 m9 m8 m7 m6 m5 m4 m3 m2 m1");
    expect_json(pick(get_conv("c1"), "seq", NULL), "14");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "11");
    expect_json(pick(get_conv("c1"), "lastMessage", NULL),
                "{'content':'new','senderId':'s1',"
                "'sentAt':'2024-01-15T10:00:32.000Z','type':'text'}");
    expect_json(pick(get_msg("c1", "m12"), "content", NULL),
                "{'text':'new'}");

    /* the same sender and clientMessageId elsewhere is another message */

    events_create(&again, "c2", "direct", "s1 t1", 0);
    events_message(&again, "c2", 1, "n1", "s1", "x", "k3", 1000);
    events_put(st, &again);
    assert_string_equal(ids_of(get_msgs("c2")), "n1");

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

    expect_json(pick(get_conv("c1"), "seq", NULL), "50");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "1");
    expect_json(pick(get_conv("c1"), "lastMessage", "content"), "'x'");

    /* below the fence: passed over */
    events_message(&l, "c1", 50, "m50", "s1", "late", NULL, 2000);
    events_message(&l, "c1", 51, "m51", "s1", "next", NULL, 3000);
    events_put(st, &l);

    assert_string_equal(ids_of(get_msgs("c1")), "m51 m3");
    expect_json(pick(get_conv("c1"), "seq", NULL), "51");

    /* a fence alone, in a batch of its own */
    events_fence(&l, "c1", 60);
    events_put(st, &l);
    expect_json(pick(get_state("c1"), "seq", NULL), "60");
    expect_json(pick(get_conv("c1"), "metadata", NULL),
                "{'lastMessageAt':'2024-01-15T10:00:03.000Z',"
                "'messageCount':2,'isArchived':false,'archivedAt':null,"
                "'createdBy':'s1'}");
    expect_json(pick(get_state("c1"), "at", NULL),
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

    expect_json(pick(get_state("c1"), "members", NULL),
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
    expect_json(pick(get_msg("c1", "m2"), "content", NULL),
                "{'systemMessage':{'action':'user_joined','data':"
                "{'userId':'s2'}}}");
    expect_json(pick(get_conv("c1"), "lastMessage", NULL),
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
                    json_object_get(v = get_state("c1"), "members"))), "2");
    json_decref(v);
    v = pick(get_conv("c1"), "participants", NULL);
    expect_json(json_incref(json_array_get(v, 2)),
                "{'userId':'s2','role':'student','joinedAt':"
                "'2024-01-15T10:00:02.000Z','leftAt':"
                "'2024-01-15T10:00:03.000Z','permissions':['read'],"
                "'blockedBy':null,"
                "'user':{'name':'','avatar':null,'role':'student'}}");
    json_decref(v);

    events_member(&l, WRT_EV_LEAVE, "c1", 4, "m4", "t1", "s2", 4000, NULL);
    events_member(&l, WRT_EV_LEAVE, "c1", 5, "m5", "t1", "s7", 5000, NULL);
    events_member(&l, WRT_EV_JOIN, "c1", 6, "m6", "t1", "s2", 6000,
                  json_of("{'role':'tutor'}"));
    events_put(st, &l);

    v = pick(get_conv("c1"), "participants", NULL);
    assert_int_equal(json_array_size(v), 3);
    expect_json(json_incref(json_array_get(v, 2)),
                "{'userId':'s2','role':'tutor','joinedAt':"
                "'2024-01-15T10:00:06.000Z','leftAt':null,'permissions':"
                "['read','write','upload','download'],"
                "'blockedBy':null,"
                "'user':{'name':'','avatar':null,'role':'tutor'}}");
    json_decref(v);
    v = pick(get_state("c1"), "members", NULL);
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

    v = pick(get_state("c1"), "members", NULL);
    assert_int_equal(json_array_size(v), 2);
    expect_json(json_incref(json_array_get(v, 1)),
                "{'userId':'s2','role':'student','permissions':"
                "['read','write','upload','download'],'joinSeq':3,"
                "'readSeq':1,'readAt':'2024-01-15T10:00:01.500Z',"
                "'deliveredSeq':1,'deliveredAt':"
                "'2024-01-15T10:00:01.500Z'}");
    json_decref(v);
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "4");
}


static void
profiles(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_NOT_FOUND);
    assert_null(v);

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "x", NULL, 1000);
    events_profile(&l, "s1", "Ani", NULL, "student");
    events_profile(&l, "s1", "Ani \xc3\x84", "https://a/b.png", "admin");
    events_put(st, &l);

    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_OK);
    expect_json(v, "{'id':'s1','name':'Ani \xc3\x84',"
                "'avatar':'https://a/b.png','role':'admin'}");
    expect_json(pick(get_msg("c1", "m1"), "sender", NULL),
                "{'name':'Ani \xc3\x84','avatar':'https://a/b.png'}");

    /* his role in the room is another thing than his role */

    v = pick(get_conv("c1"), "participants", NULL);
    expect_json(pick(json_incref(json_array_get(v, 0)), "role", NULL),
                "'student'");
    expect_json(pick(json_incref(json_array_get(v, 0)), "user", NULL),
                "{'name':'Ani \xc3\x84','avatar':'https://a/b.png',"
                "'role':'admin'}");
    json_decref(v);

    events_profile(&l, "s1", "Ani", NULL, "student");
    events_put(st, &l);
    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_OK);
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

    expect_json(pick(get_msg("c1", "m1"), "content", NULL), content);
    expect_json(pick(get_conv("c1"), "settings", NULL), content);
    expect_json(pick(get_conv("c1"), "context", NULL), content);
    expect_json(pick(get_conv("c1"), "lastMessage", "content"),
                "'Sticker'");

    /* the order of members stays, too */

    v = get_msg("c1", "m1");
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

    v = pick(get_conv("c1"), "lastMessage", "content");
    assert_int_equal(json_string_length(v), WRT_PREVIEW_MAX - 1);
    assert_memory_equal(json_string_value(v), text, WRT_PREVIEW_MAX - 1);
    json_decref(v);

    v = pick(get_msg("c1", "m1"), "content", "text");
    assert_string_equal(json_string_value(v), text);
    json_decref(v);
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


const struct CMUnitTest  suite_write[] = {
    SUITE_TEST(create),
    SUITE_TEST(create_bare),
    SUITE_TEST(one_message),
    SUITE_TEST(repeats),
    SUITE_TEST(holes),
    SUITE_TEST(membership),
    SUITE_TEST(membership_at_once),
    SUITE_TEST(profiles),
    SUITE_TEST(any_json),
    SUITE_TEST(preview),
    SUITE_TEST(reopened)
};

const size_t  suite_write_count = UNIT_COUNT(suite_write);
