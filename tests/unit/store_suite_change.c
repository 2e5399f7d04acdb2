/*
 * store_suite_change.c: edits, deletions, reactions, settings, blocks: what
 * events of kind 'e' do to the documents.  See store_suite.c.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>

#include "common/wrt_bus.h"


static json_t *
get_full(const char *conversation, const char *id)
{
    json_t  *v;

    assert_int_equal(store_message_full(st, conversation, id, &v),
                     STORE_OK);

    return v;
}


/* Apply all again, in every other batch boundary: nothing may change. */
static void
again(const events_t *l, const char *conversations)
{
    size_t   i;
    json_t  *before, *after;

    before = snapshot(st, conversations, "s1 s2 t1");

    for (i = 0; i < l->n; i++) {
        assert_int_equal(events_apply(st, l, i, l->n), 0);
        assert_int_equal(events_apply(st, l, 0, i + 1), 0);
        assert_int_equal(events_apply(st, l, i, i + 1), 0);
    }

    after = snapshot(st, conversations, "s1 s2 t1");
    expect_equal(after, before, "after repeats");
    json_decref(after);
    json_decref(before);

    /* and once more from nothing, one by one */

    before = snapshot(st, conversations, "s1 s2 t1");
    suite_teardown(NULL);
    suite_setup(NULL);

    for (i = 0; i < l->n; i++) {
        assert_int_equal(events_apply(st, l, i, i + 1), 0);
    }

    after = snapshot(st, conversations, "s1 s2 t1");
    expect_equal(after, before, "one by one");
    json_decref(after);
    json_decref(before);
}


static void
edits(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_create(&l, "c2", "group", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", "k1", 1000);
    events_message(&l, "c1", 2, "m2", "t1", "two", NULL, 2000);
    events_edit(&l, "c1", 3, "m1", "s1", "One", 3000);
    events_edit(&l, "c1", 4, "m1", "s1", "$content.One", 4000);
    events_edit(&l, "c1", 5, "m2", "t1", "", 5000);

    /* of nothing, of another room's: the number is used, no more */
    events_edit(&l, "c1", 6, "m9", "t1", "x", 6000);
    events_edit(&l, "c2", 1, "m1", "s1", "x", 6000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    expect_json(get_full("c1", "m1"),
                "{'id':'m1','conversationId':'c1','seq':1,'senderId':'s1',"
                "'sender':{'name':'','avatar':null},'type':'text',"
                "'content':{'text':'$content.One'},'status':'sent',"
                "'readBy':[],'replyTo':null,'replyPreview':null,"
                "'reactions':[],'clientMessageId':'k1','changeSeq':4,"
                "'editHistory':["
                "{'editedAt':'2024-01-15T10:00:03.000Z',"
                "'previousContent':'one','editedBy':'s1','seq':3},"
                "{'editedAt':'2024-01-15T10:00:04.000Z',"
                "'previousContent':'One','editedBy':'s1','seq':4}],"
                "'createdAt':'2024-01-15T10:00:01.000Z',"
                "'updatedAt':'2024-01-15T10:00:04.000Z',"
                "'editedAt':'2024-01-15T10:00:04.000Z',"
                "'deletedAt':null,'deletedBy':null}");

    /* only those who ask for it get the history */

    expect_json(pick(get_msg("c1", "m1"), "editedAt", NULL),
                "'2024-01-15T10:00:04.000Z'");
    v = get_msgs("c1");
    assert_null(json_object_get(json_array_get(v, 0), "editHistory"));
    json_decref(v);

    /* the last message is that which was last sent, as it is now */

    expect_json(pick(get_conv("c1"), "lastMessage", NULL),
                "{'content':'','senderId':'t1',"
                "'sentAt':'2024-01-15T10:00:02.000Z','type':'text'}");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "2");
    expect_json(pick(get_conv("c1"), "seq", NULL), "6");
    expect_json(pick(get_conv("c1"), "updatedAt", NULL),
                "'2024-01-15T10:00:06.000Z'");
    expect_json(pick(get_conv("c2"), "seq", NULL), "1");
    expect_json(pick(get_conv("c2"), "lastMessage", NULL), "null");

    again(&l, "c1 c2");
    events_free(&l);
}


/* More of them than are kept. */
static void
many_edits(void **state)
{
    int        i;
    char       text[16];
    json_t    *list;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "text 1", NULL, 1000);

    for (i = 2; i <= WRT_EDITS_MAX + 5; i++) {
        sprintf(text, "text %d", i);
        events_edit(&l, "c1", i, "m1", "s1", text, i * 1000);
    }

    events_put(st, &l);

    list = pick(get_full("c1", "m1"), "editHistory", NULL);
    assert_int_equal(json_array_size(list), WRT_EDITS_MAX);
    expect_json(pick(json_incref(json_array_get(list, 0)),
                     "previousContent", NULL),
                "'text 5'");
    json_decref(list);
}


static void
deletions(void **state)
{
    int           more;
    json_t       *v;
    events_t      l = { 0 };
    store_page_t  q = { "c1", 1, 10, -1, -1, -1, NULL, 0, 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "t1", "two", NULL, 2000);
    events_reply(&l, "c1", 3, "m3", "s1", "three", "m2", 3000);
    events_edit(&l, "c1", 4, "m2", "t1", "secret", 4000);
    events_react(&l, "c1", 5, "m2", "s1", "+1", 1, 5000);
    events_delete(&l, "c1", 6, "m2", "t1", 6000);

    /* nothing happens to it any more */
    events_delete(&l, "c1", 7, "m2", "s1", 7000);
    events_edit(&l, "c1", 8, "m2", "t1", "back?", 8000);
    events_react(&l, "c1", 9, "m2", "s1", "+2", 1, 9000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    expect_json(get_full("c1", "m2"),
                "{'id':'m2','conversationId':'c1','seq':2,'senderId':'t1',"
                "'sender':{'name':'','avatar':null},'type':'text',"
                "'content':{},'status':'sent','readBy':[],'replyTo':null,"
                "'replyPreview':null,'reactions':[],'changeSeq':6,"
                "'editHistory':[],"
                "'createdAt':'2024-01-15T10:00:02.000Z',"
                "'updatedAt':'2024-01-15T10:00:06.000Z',"
                "'editedAt':'2024-01-15T10:00:04.000Z',"
                "'deletedAt':'2024-01-15T10:00:06.000Z',"
                "'deletedBy':'t1'}");
    expect_json(pick(get_msg("c1", "m3"), "replyPreview", NULL),
                "{'id':'m2','senderId':'t1','sender':{'name':'',"
                "'avatar':null},'type':'text','text':'',"
                "'deletedAt':'2024-01-15T10:00:06.000Z'}");

    /* it keeps its place */

    assert_int_equal(store_messages(st, &q, &v, &more), STORE_OK);
    assert_string_equal(ids_of(v), "m3 m2 m1");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "3");

    again(&l, "c1");
    events_free(&l);
}


static void
last_is(const char *content, const char *activity_first)
{
    json_t        *v;
    int64_t        total;
    store_list_t   q = { "s1", NULL, 0, 1, 1 };

    v = get_conv("c1");

    if (content) {
        expect_json(pick(json_incref(v), "lastMessage", "content"), content);

    } else {
        expect_json(pick(json_incref(v), "lastMessage", NULL), "null");
        expect_json(pick(json_incref(v), "metadata", "lastMessageAt"),
                    "null");
    }

    json_decref(v);

    assert_int_equal(store_conversations(st, &q, &v, &total), STORE_OK);
    assert_string_equal(ids_of(v), activity_first);
}


/* Deleted text does not show up in lists. */
static void
last_message(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_create(&l, "c2", "group", "s1 t1", 1500);
    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    events_message(&l, "c1", 2, "m2", "s1", "two", NULL, 2000);
    events_message(&l, "c1", 3, "m3", "s1", "three", NULL, 3000);
    events_put(st, &l);
    last_is("'three'", "c1");

    events_delete(&l, "c1", 4, "m2", "s1", 4000);
    events_put(st, &l);
    last_is("'three'", "c1");

    events_edit(&l, "c1", 5, "m3", "s1", "three!", 5000);
    events_put(st, &l);
    last_is("'three!'", "c1");

    events_edit(&l, "c1", 6, "m1", "s1", "one!", 6000);
    events_put(st, &l);
    last_is("'three!'", "c1");

    /* c2, which has none, is now the one with the latest activity */

    events_delete(&l, "c1", 7, "m3", "s1", 7000);
    events_put(st, &l);
    last_is("'one!'", "c2");
    expect_json(pick(get_conv("c1"), "metadata", "lastMessageAt"),
                "'2024-01-15T10:00:01.000Z'");

    /* sent and deleted at once; then the rest */

    events_message(&l, "c1", 8, "m8", "s1", "eight", NULL, 8000);
    events_delete(&l, "c1", 9, "m8", "t1", 8000);
    events_put(st, &l);
    last_is("'one!'", "c2");

    events_delete(&l, "c1", 10, "m1", "t1", 10000);
    events_put(st, &l);
    last_is(NULL, "c2");

    events_message(&l, "c1", 11, "m11", "s1", "eleven", NULL, 11000);
    events_put(st, &l);
    last_is("'eleven'", "c1");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "5");
}


static void
reactions(void **state)
{
    events_t  l = { 0 };

    static const char  heart[] = "\xe2\x9d\xa4\xef\xb8\x8f";

    (void) state;

    events_create(&l, "c1", "group", "s1 s2 t1", 0);
    events_message(&l, "c1", 1, "m1", "s1", "one", NULL, 1000);
    events_react(&l, "c1", 2, "m1", "t1", heart, 1, 2000);
    events_react(&l, "c1", 3, "m1", "s2", heart, 1, 3000);
    events_react(&l, "c1", 4, "m1", "t1", "$r", 1, 4000);

    /* again, and what is not there */
    events_react(&l, "c1", 5, "m1", "t1", heart, 1, 5000);
    events_react(&l, "c1", 6, "m1", "s1", heart, 0, 6000);
    events_react(&l, "c1", 7, "m7", "s1", heart, 1, 7000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    expect_json(pick(get_full("c1", "m1"), "reactions", NULL),
                "[{'userId':'t1','emoji':'\xe2\x9d\xa4\xef\xb8\x8f',"
                "'addedAt':'2024-01-15T10:00:02.000Z'},"
                "{'userId':'s2','emoji':'\xe2\x9d\xa4\xef\xb8\x8f',"
                "'addedAt':'2024-01-15T10:00:03.000Z'},"
                "{'userId':'t1','emoji':'$r',"
                "'addedAt':'2024-01-15T10:00:04.000Z'}]");
    expect_json(pick(get_full("c1", "m1"), "changeSeq", NULL), "6");
    expect_json(pick(get_msg("c1", "m1"), "updatedAt", NULL),
                "'2024-01-15T10:00:01.000Z'");

    events_react(&l, "c1", 8, "m1", "t1", heart, 0, 8000);
    events_react(&l, "c1", 9, "m1", "s2", heart, 0, 9000);
    events_react(&l, "c1", 10, "m1", "t1", heart, 1, 10000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    expect_json(pick(get_msg("c1", "m1"), "reactions", NULL),
                "[{'userId':'t1','emoji':'$r',"
                "'addedAt':'2024-01-15T10:00:04.000Z'},"
                "{'userId':'t1','emoji':'\xe2\x9d\xa4\xef\xb8\x8f',"
                "'addedAt':'2024-01-15T10:00:10.000Z'}]");

    again(&l, "c1");
    events_free(&l);
}


/* replyPreview: of what, in which words, cut. */
static void
previews(void **state)
{
    int         i;
    char        text[1024];
    json_t     *v;
    events_t    l = { 0 };

    (void) state;

    strcpy(text, "x");
    for (i = 0; i < 300; i++) {
        strcat(text, "\xc3\xa4");
    }

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_create(&l, "c2", "group", "s1 t1", 0);
    events_profile(&l, "s1", "Ani", "https://a/b.png", "student");
    events_message(&l, "c1", 1, "m1", "s1", text, NULL, 1000);
    events_message(&l, "c2", 1, "n1", "s1", "elsewhere", NULL, 1000);
    events_reply(&l, "c1", 2, "m2", "t1", "x", "m1", 2000);
    events_reply(&l, "c1", 3, "m3", "t1", "x", "n1", 3000);
    events_reply(&l, "c1", 4, "m4", "t1", "x", "nothing", 4000);
    events_member(&l, WRT_EV_JOIN, "c1", 5, "m5", "t1", "s2", 5000, NULL);
    events_reply(&l, "c1", 6, "m6", "t1", "x", "m5", 6000);
    events_put(st, &l);

    v = pick(get_msg("c1", "m2"), "replyPreview", NULL);
    expect_json(pick(json_incref(v), "sender", NULL),
                "{'name':'Ani','avatar':'https://a/b.png'}");
    assert_int_equal(json_string_length(json_object_get(v, "text")),
                     WRT_PREVIEW_MAX - 1);
    json_decref(v);

    expect_json(pick(get_msg("c1", "m3"), "replyPreview", NULL), "null");
    expect_json(pick(get_msg("c1", "m3"), "replyTo", NULL), "'n1'");
    expect_json(pick(get_msg("c1", "m4"), "replyPreview", NULL), "null");
    expect_json(pick(get_msg("c1", "m6"), "replyPreview", "text"),
                "'user_joined'");

    /* as it is now */

    events_edit(&l, "c1", 7, "m1", "s1", "short", 7000);
    events_put(st, &l);
    expect_json(pick(get_msg("c1", "m2"), "replyPreview", "text"),
                "'short'");
}


static void
settings(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_create(&l, "c1", "group", "s1 t1", 0);
    events_set(&l, "c1", 1, "s1", json_of("{'title':'Thesis'}"), 1000);
    events_set(&l, "c1", 2, "s1", json_of("{'archived':true,'settings':"
                                          "{'$a.b':[1],'retention':30}}"),
               2000);
    events_create(&l, "c2", "group", "s1 t1", 0);
    events_set(&l, "c2", 1, "s1", json_of("{'archived':true}"), 1000);
    events_message(&l, "c2", 2, "n2", "s1", "x", NULL, 2000);
    events_set(&l, "c2", 3, "s1", json_of("{'archived':false}"), 3000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    v = get_conv("c1");
    expect_json(pick(json_incref(v), "title", NULL), "'Thesis'");
    expect_json(pick(json_incref(v), "settings", NULL),
                "{'$a.b':[1],'retention':30}");
    expect_json(pick(json_incref(v), "metadata", NULL),
                "{'lastMessageAt':null,'messageCount':0,'isArchived':true,"
                "'archivedAt':'2024-01-15T10:00:02.000Z','createdBy':'s1'}");
    expect_json(pick(v, "updatedAt", NULL), "'2024-01-15T10:00:02.000Z'");
    expect_json(pick(get_state("c1"), "state", NULL), "'archived'");
    expect_json(pick(get_state("c1"), "seq", NULL), "2");
    expect_json(pick(get_conv("c2"), "isArchived", NULL), "false");
    expect_json(pick(get_conv("c2"), "settings", NULL),
                "{'allowFileUpload':true,'maxFileSize':10485760}");

    /* when it is there already; a title may go */

    events_set(&l, "c1", 3, "s1", json_of("{'title':null}"), 3000);
    events_message(&l, "c1", 4, "m4", "s1", "x", NULL, 4000);
    events_set(&l, "c1", 5, "s1", json_of("{'archived':false,"
                                          "'settings':{}}"), 5000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);

    v = get_conv("c1");
    expect_json(pick(json_incref(v), "title", NULL), "null");
    expect_json(pick(json_incref(v), "settings", NULL), "{}");
    expect_json(pick(json_incref(v), "metadata", "archivedAt"), "null");
    expect_json(pick(v, "lastMessage", "content"), "'x'");

    again(&l, "c1 c2");
    events_free(&l);
}


static void
may(const char *permissions, const char *blocked_by, const char *given)
{
    json_t  *v, *m;

    v = pick(get_conv("c1"), "participants", NULL);
    m = json_array_get(v, 1);
    expect_json(json_incref(json_object_get(m, "permissions")), permissions);
    expect_json(json_incref(json_object_get(m, "blockedBy")), blocked_by);
    json_decref(v);

    v = pick(get_state("c1"), "members", NULL);
    m = json_array_get(v, 1);
    expect_json(json_incref(json_object_get(m, "permissions")), permissions);

    if (given) {
        expect_json(json_incref(json_object_get(m, "blockedBy")),
                    blocked_by);
        expect_json(json_incref(json_object_get(m, "given")), given);

    } else {
        assert_null(json_object_get(m, "blockedBy"));
        assert_null(json_object_get(m, "given"));
    }

    json_decref(v);
}


static void
blocks(void **state)
{
    json_t    *v;
    events_t   l = { 0 };

    static const char  on[] = "{'block':{'userId':'t1','by':'s1','on':true}}";
    static const char  off[] =
        "{'block':{'userId':'t1','by':'s1','on':false}}";

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_set(&l, "c1", 1, "s1", json_of(on), 1000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    may("['read','download']", "'s1'",
        "['read','write','upload','download']");
    expect_json(pick(get_conv("c1"), "updatedAt", NULL),
                "'2024-01-15T10:00:01.000Z'");

    /* the other one is as he was */

    v = pick(get_conv("c1"), "participants", NULL);
    expect_json(pick(json_incref(json_array_get(v, 0)), "blockedBy", NULL),
                "null");
    json_decref(v);

    events_set(&l, "c1", 2, "s1", json_of(off), 2000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    may("['read','write','upload','download']", "null", NULL);

    /* what he was not given he does not get by it */

    events_member(&l, WRT_EV_JOIN, "c1", 3, "m3", "s1", "t1", 3000,
                  json_of("{'role':'tutor','permissions':['read']}"));
    events_set(&l, "c1", 4, "s1", json_of(on), 4000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    may("['read']", "'s1'", "['read']");

    events_set(&l, "c1", 5, "s1", json_of(off), 5000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    may("['read']", "null", NULL);

    /* who joins anew is not blocked; a stranger can not be */

    events_set(&l, "c1", 6, "s1", json_of(on), 6000);
    events_member(&l, WRT_EV_JOIN, "c1", 7, "m7", "s1", "t1", 7000, NULL);
    events_set(&l, "c1", 8, "s1", json_of("{'block':{'userId':'s9',"
                                          "'by':'s1','on':true}}"), 8000);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    may("['read','write','upload','download']", "null", NULL);

    again(&l, "c1");
    events_free(&l);
}


static void
managed(void **state)
{
    int        named;
    json_t    *v;
    events_t   l = { 0 };

    (void) state;

    events_managed(&l, "s1", "Ani W.", "https://a/b.png", "tutor");
    events_profile(&l, "s1", "$name", NULL, "student");
    events_put(st, &l);
    assert_int_equal(store_user(st, "s1", &v, &named), STORE_OK);
    assert_int_equal(named, 1);
    expect_json(v, "{'id':'s1','name':'Ani W.','avatar':'https://a/b.png',"
                "'role':'tutor'}");

    /* in batches of their own, a token's first */

    events_profile(&l, "s2", "$name", NULL, "student");
    events_put(st, &l);
    assert_int_equal(store_user(st, "s2", &v, &named), STORE_OK);
    assert_int_equal(named, 0);
    json_decref(v);
    events_managed(&l, "s2", "Budi", NULL, "student");
    events_put(st, &l);
    events_profile(&l, "s2", "B", "https://a/c.png", "admin");
    events_profile(&l, "s1", "A", NULL, "admin");
    events_put(st, &l);
    assert_int_equal(store_user(st, "s2", &v, &named), STORE_OK);
    assert_int_equal(named, 1);
    expect_json(v, "{'id':'s2','name':'Budi','avatar':null,"
                "'role':'student'}");

    events_managed(&l, "s1", "Ani", NULL, "student");
    events_put(st, &l);
    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_OK);
    expect_json(v, "{'id':'s1','name':'Ani','avatar':null,"
                "'role':'student'}");
}


const struct CMUnitTest  suite_change[] = {
    SUITE_TEST(edits),
    SUITE_TEST(many_edits),
    SUITE_TEST(deletions),
    SUITE_TEST(last_message),
    SUITE_TEST(reactions),
    SUITE_TEST(previews),
    SUITE_TEST(settings),
    SUITE_TEST(blocks),
    SUITE_TEST(managed)
};

const size_t  suite_change_count = UNIT_COUNT(suite_change);
