/*
 * store_suite_once.c: a clientMessageId that is used once more, when Redis does
 * not know it any more.  See store_suite.c.
 *
 * Redis has acknowledged these messages and told everybody of them: one that
 * the store passes over for its clientMessageId alone is lost.  One that it
 * takes though it is a retry is there twice.
 */

#include "tests/unit/store_suite.h"

#include <stdio.h>


static void
say(events_t *l, int64_t seq, const char *id, const char *text)
{
    events_message(l, "c1", seq, id, "s1", text, "k1", seq * 1000);
}


/* The message of the last event gets k1 and what it replies to (or NULL). */
static void
with_k1(events_t *l, const char *reply_to)
{
    json_t  *msg;

    msg = json_object_get(json_object_get(l->ev[l->n - 1].body, "data"),
                          "message");
    json_object_set_new(msg, "clientMessageId", json_string("k1"));

    if (reply_to) {
        json_object_set_new(msg, "replyTo", json_string(reply_to));
    }
}


void
events_once(events_t *l)
{
    events_create(l, "c1", "direct", "s1 t1", 0);
    say(l, 1, "a1", "satu");
    say(l, 2, "b2", "DUA");                 /* another */
    say(l, 3, "c3", "tiga");                /* and another */
    say(l, 4, "a4", "satu");                /* a retry of the first */
    events_message(l, "c1", 5, "t5", "t1", "satu", "k1", 5000);
    events_edit(l, "c1", 6, "a1", "s1", "SATU", 6000);
    say(l, 7, "a7", "satu");                /* a retry of what it was */
    say(l, 8, "d8", "SATU");                /* another */
    events_edit(l, "c1", 9, "b2", "s1", "dua", 9000);
    events_react(l, "c1", 10, "c3", "t1", "+1", 1, 10000);
    say(l, 11, "a1", "empat");              /* the id is used, too */
    events_delete(l, "c1", 12, "a1", "s1", 12000);
    say(l, 13, "e13", "satu");              /* another: that one is gone */
    events_cursor(l, "c1", "t1", 'r', 3, 13500);
    say(l, 14, "f14", "DUA");
}


static const char *
found(const char *words)
{
    int             more;
    json_t         *list, *v;
    size_t          i;
    static char     buf[256];
    store_search_t  q = WISH("s1", words, NULL, NULL, NULL, -1, -1, 1, 20);

    assert_int_equal(store_search(st, &q, &list, &more), STORE_OK);
    buf[0] = '\0';

    json_array_foreach(list, i, v) {
        sprintf(buf + strlen(buf), "%s%s", i ? " " : "",
                json_string_value(json_object_get(json_object_get(v,
                                      "message"), "id")));
    }

    json_decref(list);

    return buf;
}


static void
check_once(void)
{
    json_t  *v;

    assert_string_equal(ids_of(get_msgs("c1")),
                        "f14 e13 d8 t5 c3 b2 a1");
    expect_json(pick(get_conv("c1"), "seq", NULL), "14");
    expect_json(pick(get_conv("c1"), "metadata", "messageCount"), "7");
    expect_json(pick(get_conv("c1"), "lastMessage", NULL),
                "{'content':'DUA','senderId':'s1',"
                "'sentAt':'2024-01-15T10:00:14.000Z','type':'text'}");
    assert_int_equal(store_unread(st, "t1", &v), STORE_OK);
    expect_json(v, "[{'conversationId':'c1','unreadCount':3}]");
    assert_int_equal(store_unread(st, "s1", &v), STORE_OK);
    expect_json(v, "[{'conversationId':'c1','unreadCount':1}]");

    assert_string_equal(found("dua"), "f14 b2");
    assert_string_equal(found("satu"), "e13 d8 t5");
    assert_string_equal(found("tiga"), "c3");
    assert_string_equal(found("empat"), "");
    expect_json(pick(get_msg("c1", "b2"), "content", NULL),
                "{'text':'dua'}");

    /* it is the first one's, until it is gone for good */

    v = get_msg("c1", "a1");
    expect_json(json_incref(json_object_get(v, "clientMessageId")), "'k1'");
    json_decref(v);
    v = get_msg("c1", "e13");
    assert_null(json_object_get(v, "clientMessageId"));
    json_decref(v);
}


/* In one piece, one by one, in two at any place, and all that once more. */
static void
used_again(void **state)
{
    size_t     i;
    json_t    *expected, *got;
    events_t   l = { 0 };

    (void) state;

    events_once(&l);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    check_once();
    expected = snapshot(st, "c1", "s1 t1");

    for (i = 0; i < l.n; i++) {
        store_close(st);
        st = backend_open(be);

        if (i == 0) {
            while (i < l.n) {
                assert_int_equal(events_apply(st, &l, i, i + 1), 0);
                i++;
            }
            i = 0;

        } else {
            assert_int_equal(events_apply(st, &l, 0, i), 0);
            assert_int_equal(events_apply(st, &l, i, l.n), 0);
        }

        assert_int_equal(events_apply(st, &l, i, l.n), 0);
        got = snapshot(st, "c1", "s1 t1");
        expect_equal(got, expected, "in other batches");
        json_decref(got);
    }

    json_decref(expected);
    events_free(&l);
}


/* The new one is a message like any other. */
static void
changed_after(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    say(&l, 1, "m1", "satu");
    say(&l, 2, "m2", "DUA");
    say(&l, 3, "m3", "tiga");
    events_reply(&l, "c1", 4, "m4", "t1", "ya", "m2", 4000);
    events_edit(&l, "c1", 5, "m2", "s1", "dua", 5000);
    events_delete(&l, "c1", 6, "m3", "s1", 6000);
    events_put(st, &l);

    assert_string_equal(ids_of(get_msgs("c1")), "m4 m3 m2 m1");
    expect_json(pick(get_msg("c1", "m1"), "content", NULL),
                "{'text':'satu'}");
    expect_json(pick(get_msg("c1", "m2"), "content", NULL),
                "{'text':'dua'}");
    expect_json(pick(get_msg("c1", "m3"), "content", NULL), "{}");
    expect_json(pick(get_msg("c1", "m4"), "replyPreview", "text"), "'dua'");
}


/* What is not the same. */
static void
same_or_not(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_message(&l, "c1", 1, "m1", "t1", "?", NULL, 1000);
    say(&l, 2, "m2", "ya");
    events_content(&l, "c1", 3, "m3", "s1", "sticker",
                   json_of("{'text':'ya'}"), 3000);
    with_k1(&l, NULL);
    events_content(&l, "c1", 4, "m4", "s1", "text",
                   json_of("{'text':'ya','more':1}"), 4000);
    with_k1(&l, NULL);
    events_content(&l, "c1", 5, "m5", "s1", "text",
                   json_of("{'text':'ya'}"), 5000);
    with_k1(&l, "m1");
    events_content(&l, "c1", 6, "m6", "s1", "text",
                   json_of("{'text':'ya'}"), 6000);
    with_k1(&l, NULL);
    events_put(st, &l);

    assert_string_equal(ids_of(get_msgs("c1")), "m5 m4 m3 m2 m1");
}


/* A file's message is that of the same file, whatever was found in it. */
static void
files(void **state)
{
    events_t  l = { 0 };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_content(&l, "c1", 1, "f1", "s1", "image",
                   events_file_content("f1", "clean"), 1000);
    with_k1(&l, NULL);
    events_found(&l, "c1", 2, "f1", 2000);
    events_content(&l, "c1", 3, "f1b", "s1", "image",
                   events_file_content("f1", "clean"), 3000);
    with_k1(&l, NULL);
    events_content(&l, "c1", 4, "f2", "s1", "image",
                   events_file_content("f2", "clean"), 4000);
    with_k1(&l, NULL);
    events_put(st, &l);

    assert_string_equal(ids_of(get_msgs("c1")), "f2 f1");
}


/* Who asks for what he sent gets the one that there is. */
static void
sent(void **state)
{
    size_t    i;
    json_t   *got, *first;
    events_t  l = { 0 };

    static const struct {
        const char  *room;
        const char  *user;
        const char  *client_id;
    } none[] = {
        { "c1", "s1", "k2" }, { "c1", "t1", "k1" }, { "c2", "s1", "k1" },
        { "c3", "s1", "k1" }
    };

    (void) state;

    events_create(&l, "c1", "direct", "s1 t1", 0);
    events_create(&l, "c2", "direct", "s1 t2", 0);
    say(&l, 1, "m1", "satu");
    with_k1(&l, NULL);
    say(&l, 2, "m1b", "satu");
    with_k1(&l, NULL);
    events_put(st, &l);

    first = get_msg("c1", "m1");
    assert_int_equal(store_message_sent(st, "c1", "s1", "k1", &got), STORE_OK);
    expect_equal(got, first, "as by its id");
    json_decref(got);
    json_decref(first);

    for (i = 0; i < UNIT_COUNT(none); i++) {
        assert_int_equal(store_message_sent(st, none[i].room, none[i].user,
                                            none[i].client_id, &got),
                         STORE_NOT_FOUND);
        assert_null(got);
    }
}


const struct CMUnitTest  suite_once[] = {
    SUITE_TEST(used_again),
    SUITE_TEST(changed_after),
    SUITE_TEST(same_or_not),
    SUITE_TEST(files),
    SUITE_TEST(sent)
};

const size_t  suite_once_count = UNIT_COUNT(suite_once);
