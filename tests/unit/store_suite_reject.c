/*
 * store_suite_reject.c: events that can never be stored.  See
 * store_suite.c.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>

#include "common/wrt_bus.h"


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

    json_decref(get_msg("good", before));
    assert_int_equal(store_message(st, "good", after, &v), STORE_NOT_FOUND);
    v = pick(get_conv("good"), "seq", NULL);
    assert_int_equal(json_integer_value(v), 1000 * n);
    json_decref(v);

    events_free(&l);
}


#define GOOD_MESSAGE  \
    "'id':'x','senderId':'s1','type':'text','content':{'text':'x'}," \
    "'createdAt':'2024-01-15T10:00:00.000Z'"

#define MESSAGE(fields)  \
    "{'event':'message_received','data':{'message':{" fields "}}}"


/* Changes that say too little. */
static void
rejects_changes(void **state)
{
    size_t  i;

#define CHANGE(name, data)  \
    "{'event':'" name "','data':{'conversationId':'good'" data "}}"

    static const struct {
        const char  *body;
        const char  *extra;
    } bad[] = {
        { "{}", NULL },
        { "{'event':'message_sung','data':{}}", NULL },
        { CHANGE("message_updated", ""), NULL },
        { CHANGE("message_updated", ",'messageId':'m1','message':{'content':"
                 "{},'editedAt':'2024-01-15T10:00:00.000Z'}"), NULL },
        { CHANGE("message_updated", ",'messageId':'m1','editedBy':'s1',"
                 "'message':{'editedAt':'2024-01-15T10:00:00.000Z'}"),
          NULL },
        { CHANGE("message_updated", ",'messageId':'m1','editedBy':'s1',"
                 "'message':{'content':{}}"), NULL },
        { CHANGE("message_deleted", ",'messageId':'m1',"
                 "'deletedAt':'2024-01-15T10:00:00.000Z'"), NULL },
        { CHANGE("message_deleted", ",'messageId':'m1','deletedBy':'s1'"),
          NULL },
        { CHANGE("reaction_updated", ",'messageId':'m1','userId':'s1',"
                 "'emoji':'','action':'removed'"), NULL },
        { CHANGE("reaction_updated", ",'messageId':'m1','userId':'s1',"
                 "'emoji':'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',"
                 "'action':'removed'"), NULL },
        { CHANGE("reaction_updated", ",'messageId':'m1','userId':'s1',"
                 "'emoji':'+','action':'sung'"), NULL },
        { CHANGE("reaction_updated", ",'messageId':'m1','userId':'s1',"
                 "'emoji':'+','action':'added'"), NULL },
        { CHANGE("reaction_updated", ",'messageId':'m1','emoji':'+',"
                 "'action':'removed'"), NULL },
        { CHANGE("conversation_updated", ",'conversation':{'updatedAt':"
                 "'2024-01-15T10:00:00.000Z'}"), NULL },
        { CHANGE("conversation_updated", ""), "{'set':{}}" },
        { CHANGE("conversation_updated", ",'conversation':{'updatedAt':"
                 "'2024-01-15T10:00:00.000Z'}"), "{'set':{'title':7}}" },
        { CHANGE("conversation_updated", ",'conversation':{'updatedAt':"
                 "'2024-01-15T10:00:00.000Z'}"), "{'set':{'settings':[]}}" },
        { CHANGE("conversation_updated", ",'conversation':{'updatedAt':"
                 "'2024-01-15T10:00:00.000Z'}"), "{'set':{'archived':1}}" },
        { CHANGE("conversation_updated", ",'conversation':{'updatedAt':"
                 "'2024-01-15T10:00:00.000Z'}"),
          "{'set':{'block':{'userId':'s1','on':true}}}" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        rejected(WRT_EV_CHANGE, "good", 500000, "s1", "", bad[i].body,
                 bad[i].extra);
    }
}


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

    rc = store_conversation(st, "bad", NULL, &v);
    assert_int_equal(rc, STORE_NOT_FOUND);
    assert_int_equal(store_user(st, "s1", &v, NULL), STORE_NOT_FOUND);
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

    json_decref(get_conv("c1"));
    events_free(&l);
}


const struct CMUnitTest  suite_reject[] = {
    SUITE_TEST(rejects),
    SUITE_TEST(rejects_changes),
    SUITE_TEST(rejected_first)
};

const size_t  suite_reject_count = UNIT_COUNT(suite_reject);
