/*
 * store_test.c: events to apply and JSON to compare; see store_test.h.
 */

#include "tests/unit/store_test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"

#define STORY  400      /* messages of store_killed() */
#define KILLS  12


static char *
copy(const char *s)
{
    char  *p;

    p = strdup(s ? s : "");
    assert_non_null(p);

    return p;
}


json_t *
json_of(const char *text)
{
    char          *p, *s;
    json_t        *v;
    json_error_t   err;

    s = copy(text);

    for (p = s; *p; p++) {
        if (*p == '\'') {
            *p = '"';
        }
    }

    v = json_loads(s, JSON_DECODE_ANY, &err);
    if (v == NULL) {
        print_error("%s: %s\n", err.text, s);
    }
    assert_non_null(v);

    free(s);

    return v;
}


void
expect_equal(const json_t *a, const json_t *b, const char *what)
{
    char  *x, *y;

    if (json_equal(a, b)) {
        return;
    }

    x = json_dumps(a, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    y = json_dumps(b, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    print_error("%s\n--- got\n%s\n--- expected\n%s\n", what,
                x ? x : "nothing", y ? y : "nothing");
    free(x);
    free(y);

    fail();
}


void
expect_json(json_t *got, const char *expected)
{
    json_t  *v;

    v = json_of(expected);
    expect_equal(got, v, "documents differ");
    json_decref(v);
    json_decref(got);
}


const char *
ids_of(json_t *list)
{
    size_t       i;
    json_t      *doc;
    static char  buf[16384];

    buf[0] = '\0';
    assert_true(json_is_array(list));

    json_array_foreach(list, i, doc) {
        assert_true(strlen(buf) + 80 < sizeof(buf));
        sprintf(buf + strlen(buf), "%s%s", i ? " " : "",
                json_string_value(json_object_get(doc, "id")));
    }

    json_decref(list);

    return buf;
}


store_t *
backend_open(const backend_t *b)
{
    char      err[1024];
    store_t  *st;

    b->empty();
    st = store_open(b->url, STORE_TEST_SCRIPTS, 1, err, sizeof(err));
    if (st == NULL) {
        print_error("%s\n", err);
    }
    assert_non_null(st);

    return st;
}


void
events_add(events_t *l, char kind, const char *conversation, int64_t seq,
    const char *actor, const char *target, json_t *body, json_t *extra)
{
    event_t  *e;

    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->ev = realloc(l->ev, l->cap * sizeof(event_t));
        assert_non_null(l->ev);
    }

    e = &l->ev[l->n++];
    e->kind = kind;
    e->entry_id = "1-1";
    e->conversation = copy(conversation);
    e->seq = seq;
    e->actor = copy(actor);
    e->target = copy(target);
    e->body = body;
    e->extra = extra;
}


void
events_free(events_t *l)
{
    size_t  i;

    for (i = 0; i < l->n; i++) {
        free((char *) l->ev[i].conversation);
        free((char *) l->ev[i].actor);
        free((char *) l->ev[i].target);
        json_decref(l->ev[i].body);
        json_decref(l->ev[i].extra);
    }

    free(l->ev);
    memset(l, 0, sizeof(events_t));
}


static json_t *
time_text(int64_t at)
{
    char  buf[WRT_TIME_LEN + 1];

    wrt_time_format(STORE_TEST_T0 + at, buf);

    return json_string(buf);
}


void
events_create(events_t *l, const char *conversation, const char *type,
    const char *users, int64_t at)
{
    char    *names, *name, *rest;
    json_t  *body, *list, *p;
    char     first[WRT_ID_MAX + 1] = "";

    names = copy(users);
    list = json_array();

    for (name = strtok_r(names, " ", &rest); name;
         name = strtok_r(NULL, " ", &rest))
    {
        p = json_pack("{s:s, s:s, s:[ssss], s:o}", "userId", name, "role",
                      name[0] == 't' ? "tutor" : "student", "permissions",
                      "read", "write", "upload", "download", "joinedAt",
                      time_text(at));
        json_array_append_new(list, p);

        if (first[0] == '\0') {
            strcpy(first, name);
        }
    }

    free(names);

    body = json_pack("{s:s, s:s, s:n, s:n, s:o, s:{s:b, s:i}, s:s, s:o, s:n}",
                     "id", conversation, "type", type, "title",
                     "consultationId", "participants", list, "settings",
                     "allowFileUpload", 1, "maxFileSize", 10485760,
                     "createdBy", first, "createdAt", time_text(at),
                     "context");
    assert_non_null(body);
    events_add(l, WRT_EV_CREATE, conversation, 0, first, "", body, NULL);
}


static json_t *
message_body(const char *conversation, int64_t seq, const char *id,
    const char *sender, const char *type, json_t *content,
    const char *client_id, const char *reply_to, int64_t at)
{
    json_t  *msg, *data;

    msg = json_pack("{s:s, s:s, s:s, s:{s:s, s:n}, s:s, s:o, s:s, s:[],"
                    " s:s?, s:[], s:o, s:I}",
                    "id", id, "conversationId", conversation, "senderId",
                    sender, "sender", "name", "Somebody", "avatar", "type",
                    type, "content", content, "status", "sent", "readBy",
                    "replyTo", reply_to, "reactions", "createdAt",
                    time_text(at), "seq", (json_int_t) seq);
    data = json_pack("{s:s, s:I, s:o}", "conversationId", conversation,
                     "seq", (json_int_t) seq, "message", msg);

    if (client_id) {
        json_object_set_new(msg, "clientMessageId", json_string(client_id));
        json_object_set_new(data, "clientMessageId", json_string(client_id));
    }

    data = json_pack("{s:s, s:o}", "event", "message_received", "data", data);
    assert_non_null(data);

    return data;
}


void
events_message(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *sender, const char *text,
    const char *client_id, int64_t at)
{
    events_add(l, WRT_EV_MESSAGE, conversation, seq, sender, "",
               message_body(conversation, seq, id, sender, "text",
                            json_pack("{s:s}", "text", text), client_id,
                            NULL, at),
               json_pack("{s:{s:s, s:s}}", "metadata", "deviceInfo",
                         "android 14", "ipAddress", "192.0.2.7"));
}


void
events_reply(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *sender, const char *text,
    const char *reply_to, int64_t at)
{
    events_add(l, WRT_EV_MESSAGE, conversation, seq, sender, "",
               message_body(conversation, seq, id, sender, "text",
                            json_pack("{s:s}", "text", text), NULL, reply_to,
                            at),
               NULL);
}


void
events_content(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *sender, const char *type, json_t *content,
    int64_t at)
{
    events_add(l, WRT_EV_MESSAGE, conversation, seq, sender, "",
               message_body(conversation, seq, id, sender, type, content,
                            NULL, NULL, at),
               NULL);
}


void
events_member(events_t *l, char kind, const char *conversation, int64_t seq,
    const char *id, const char *actor, const char *target, int64_t at,
    json_t *extra)
{
    json_t  *content;

    content = json_pack("{s:{s:s, s:{s:s}}}", "systemMessage", "action",
                        kind == WRT_EV_JOIN ? "user_joined" : "user_left",
                        "data", "userId", target);
    events_add(l, kind, conversation, seq, actor, target,
               message_body(conversation, seq, id, actor, "system", content,
                            NULL, NULL, at),
               extra);
}


void
events_cursor(events_t *l, const char *conversation, const char *user,
    char kind, int64_t seq, int64_t at)
{
    char  k[2] = { kind, '\0' };

    events_add(l, WRT_EV_STATUS, conversation, 0, user, "",
               json_pack("{s:s, s:{s:s}}", "event", "message_status", "data",
                         "conversationId", conversation),
               json_pack("{s:s, s:I, s:o}", "kind", k, "seq",
                         (json_int_t) seq, "at", time_text(at)));
}


static json_t *
change_body(const char *event, const char *conversation, int64_t seq,
    const char *id)
{
    json_t  *body;

    body = json_pack("{s:s, s:{s:s, s:I}}", "event", event, "data",
                     "conversationId", conversation, "seq",
                     (json_int_t) seq);
    assert_non_null(body);

    if (id) {
        json_object_set_new(json_object_get(body, "data"), "messageId",
                            json_string(id));
    }

    return body;
}


void
events_edit(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, const char *text, int64_t at)
{
    json_t  *body, *data;

    body = change_body("message_updated", conversation, seq, id);
    data = json_object_get(body, "data");
    json_object_set_new(data, "editedBy", json_string(by));
    json_object_set_new(data, "message",
                        json_pack("{s:s, s:{s:s}, s:o}", "id", id, "content",
                                  "text", text, "editedAt", time_text(at)));
    events_add(l, WRT_EV_CHANGE, conversation, seq, by, "", body, NULL);
}


void
events_delete(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, int64_t at)
{
    json_t  *body, *data;

    body = change_body("message_deleted", conversation, seq, id);
    data = json_object_get(body, "data");
    json_object_set_new(data, "deletedBy", json_string(by));
    json_object_set_new(data, "deletedAt", time_text(at));
    events_add(l, WRT_EV_CHANGE, conversation, seq, by, "", body, NULL);
}


void
events_react(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, const char *emoji, int added,
    int64_t at)
{
    json_t  *body, *data;

    body = change_body("reaction_updated", conversation, seq, id);
    data = json_object_get(body, "data");
    json_object_set_new(data, "userId", json_string(by));
    json_object_set_new(data, "emoji", json_string(emoji));
    json_object_set_new(data, "action",
                        json_string(added ? "added" : "removed"));
    json_object_set_new(data, "addedAt",
                        added ? time_text(at) : json_null());
    events_add(l, WRT_EV_CHANGE, conversation, seq, by, "", body, NULL);
}


void
events_set(events_t *l, const char *conversation, int64_t seq,
    const char *by, json_t *set, int64_t at)
{
    json_t  *body;

    body = change_body("conversation_updated", conversation, seq, NULL);
    json_object_set_new(json_object_get(body, "data"), "conversation",
                        json_pack("{s:o}", "updatedAt", time_text(at)));
    events_add(l, WRT_EV_CHANGE, conversation, seq, by, "", body,
               json_pack("{s:o}", "set", set));
}


void
events_fence(events_t *l, const char *conversation, int64_t seq)
{
    events_add(l, WRT_EV_FENCE, conversation, seq, "", "", NULL, NULL);
}


void
events_profile(events_t *l, const char *user, const char *name,
    const char *avatar, const char *role)
{
    events_add(l, WRT_EV_PROFILE, "-", 0, user, "",
               json_pack("{s:s, s:s?, s:s}", "name", name, "avatar", avatar,
                         "role", role),
               NULL);
}


void
events_managed(events_t *l, const char *user, const char *name,
    const char *avatar, const char *role)
{
    events_profile(l, user, name, avatar, role);
    l->ev[l->n - 1].extra = json_pack("{s:b}", "managed", 1);
}


/* Some change; of a message that may be the other room's, or deleted. */
static void
story_change(events_t *l, int i, const char *c, int64_t *seq)
{
    char  id[32], text[32];

    sprintf(id, "m%d", i % 5 ? i - i % 7 : i);
    sprintf(text, "edit %d", i);

    switch (i / 12 % 4) {

    case 0:
        events_edit(l, c, ++*seq, id, "s1", text, i * 100 + 20);
        break;

    case 1:
        events_react(l, c, ++*seq, id, "t1", "+1", i % 5, i * 100 + 20);
        break;

    case 2:
        events_delete(l, c, ++*seq, id, "s1", i * 100 + 20);
        break;

    default:
        events_set(l, c, ++*seq, "s1",
                   json_pack("{s:s, s:b, s:{s:i}, s:{s:s, s:s, s:b}}",
                             "title", text, "archived", i % 5, "settings",
                             "n", i, "block", "userId", "t1", "by", "s1",
                             "on", i % 4),
                   i * 100 + 20);
    }
}


void
events_story(events_t *l, int n)
{
    int          i;
    char         id[32], client[32];
    int64_t      seq[2] = { 0, 0 };
    const char  *c, *s;

    events_create(l, "c1", "group", "s1 t1", 0);
    events_create(l, "c2", "direct", "s1 t1", 0);

    for (i = 1; i <= n; i++) {
        c = i % 3 ? "c1" : "c2";
        s = i % 2 ? "s1" : "t1";
        sprintf(id, "m%d", i);
        sprintf(client, "k%d", i / 2);      /* each twice, by two senders */

        if (i % 31 == 0) {
            events_member(l, i % 2 ? WRT_EV_JOIN : WRT_EV_LEAVE, c,
                          ++seq[i % 3 == 0], id, s, "s2", i * 100, NULL);

        } else {
            events_message(l, c, ++seq[i % 3 == 0], id, s, "x", client,
                           i * 100);
        }

        if (i % 5 == 0) {
            events_cursor(l, c, i % 2 ? "t1" : "s1", i % 4 ? 'r' : 'd',
                          seq[i % 3 == 0], i * 100 + 50);
        }

        if (i % 40 == 0) {
            events_fence(l, c, ++seq[i % 3 == 0]);
        }

        if (i % 3 == 0) {
            story_change(l, i, c, &seq[1]);

        } else if (i % 4 == 0) {
            story_change(l, i, c, &seq[0]);
        }
    }

    events_files(l, "c1", "s1");
    events_profile(l, "s1", "Ani", NULL, "student");
}


void
events_mixed(events_t *l)
{
    events_create(l, "c1", "group", "s1 t1", 0);
    events_message(l, "c1", 1, "m1", "s1", "one", "k1", 1000);
    events_cursor(l, "c1", "t1", 'r', 1, 1500);
    events_member(l, WRT_EV_JOIN, "c1", 2, "m2", "t1", "s2", 2000, NULL);
    events_profile(l, "s1", "Ani", NULL, "student");
    events_message(l, "c1", 3, "m3", "s1", "again", "k1", 3000);
    events_create(l, "c2", "direct", "s1 s2", 100);
    events_message(l, "c2", 1, "n1", "s2", "hello", "k1", 3500);
    events_member(l, WRT_EV_LEAVE, "c1", 4, "m4", "t1", "s2", 4000, NULL);
    events_cursor(l, "c1", "t1", 'd', 4, 4500);
    events_cursor(l, "c1", "t1", 'r', 3, 4600);
    events_message(l, "c1", 5, "m5", "t1", "two", "k2", 5000);
    events_edit(l, "c1", 6, "m5", "t1", "Two", 5100);
    events_react(l, "c1", 7, "m1", "t1", "+1", 1, 5200);
    events_delete(l, "c1", 8, "m1", "s1", 5300);
    events_fence(l, "c1", 9);
    events_set(l, "c2", 2, "s1", events_everything("c2", 2, 5400), 5400);
    events_files(l, "c1", "s1");
    events_sessions(l, "c1", "s1");
    events_managed(l, "s1", "Ani W.", NULL, "student");
}


void
events_long(events_t *l)
{
    int   i;
    char  id[16];

    events_mixed(l);

    for (i = 10; i < 30; i++) {
        sprintf(id, "x%d", i);

        if (i == 12) {
            events_member(l, WRT_EV_JOIN, "c1", i, id, "t1", "s2", i * 1000,
                          NULL);

        } else if (i == 15) {
            events_member(l, WRT_EV_LEAVE, "c1", i, id, "t1", "s2", i * 1000,
                          NULL);

        } else if (i == 16 || i == 26) {
            events_edit(l, "c1", i, "x11", "s1", id, i * 1000);

        } else if (i == 17 || i == 27) {
            events_set(l, "c1", i, "s1",
                       json_pack("{s:s, s:b}", "title", id, "archived",
                                 i == 17), i * 1000);

        } else if (i == 18) {
            events_delete(l, "c1", i, "x10", "s1", i * 1000);

        } else if (i == 19 || i == 29) {
            events_react(l, "c1", i, "x13", "s1", "+1", i == 19, i * 1000);

        } else {
            events_message(l, "c1", i, id, "s1", "x", NULL, i * 1000);
        }
    }

    events_cursor(l, "c1", "t1", 'r', 29, 40000);
}


void
events_put(store_t *st, events_t *l)
{
    size_t      bad;
    store_rc_t  rc;

    rc = store_apply(st, l->ev, l->n, &bad);
    if (rc != STORE_OK) {
        print_error("store_apply: event %zu: %s\n", bad, store_error(st));
    }
    assert_int_equal(rc, STORE_OK);

    events_free(l);
}


size_t
events_apply(store_t *st, const events_t *l, size_t from, size_t to)
{
    size_t      bad, rejected;
    store_rc_t  rc;

    rejected = 0;

    while (from < to) {
        rc = store_apply(st, l->ev + from, to - from, &bad);

        if (rc == STORE_OK) {
            break;
        }

        if (rc != STORE_REJECTED) {
            print_error("store_apply: %s\n", store_error(st));
        }
        assert_int_equal(rc, STORE_REJECTED);
        assert_true(bad < to - from);

        rejected++;
        from += bad + 1;
    }

    return rejected;
}


/* A child that applies the story in small batches until it is killed. */
static void
write_until_killed(const backend_t *b)
{
    char       err[1024];
    size_t     i, n, bad;
    store_t   *st;
    events_t   l = { 0 };

    st = store_open(b->url, STORE_TEST_SCRIPTS, 0, err, sizeof(err));
    if (st == NULL) {
        _exit(1);
    }

    events_story(&l, STORY);

    for ( ;; ) {
        for (i = 0; i < l.n; i += n) {
            n = l.n - i < 7 ? l.n - i : 7;
            if (store_apply(st, l.ev + i, n, &bad) != STORE_OK) {
                _exit(2);
            }
        }
    }
}


void
store_killed(const backend_t *b)
{
    int        i, status;
    pid_t      pid;
    json_t    *expected, *got;
    store_t   *st;
    events_t   l = { 0 };

    events_story(&l, STORY);

    st = backend_open(b);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    expected = snapshot(st, "c1 c2", "s1 s2 t1");
    store_close(st);

    store_close(backend_open(b));

    for (i = 0; i < KILLS; i++) {
        pid = fork();
        assert_true(pid >= 0);

        if (pid == 0) {
            write_until_killed(b);
        }

        usleep(20000 + (useconds_t) i * 7000);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }

    st = store_open(b->url, STORE_TEST_SCRIPTS, 0, (char[1024]) { 0 }, 1024);
    assert_non_null(st);
    assert_int_equal(events_apply(st, &l, 0, l.n), 0);
    got = snapshot(st, "c1 c2", "s1 s2 t1");
    expect_equal(got, expected, "after kills");

    store_close(st);
    json_decref(got);
    json_decref(expected);
    events_free(&l);
}


static void
add(json_t *all, const char *key, store_rc_t rc, json_t *v)
{
    assert_true(rc == STORE_OK || rc == STORE_NOT_FOUND);
    assert_int_equal(v != NULL, rc == STORE_OK);
    json_object_set_new(all, key, v ? v : json_null());
}


/* What the messages of a page said before. */
static void
add_histories(store_t *st, json_t *all, const char *conversation,
    const json_t *page)
{
    size_t       i;
    json_t      *doc, *v;
    store_rc_t   rc;
    const char  *id;

    json_array_foreach(page, i, doc) {
        id = json_string_value(json_object_get(doc, "id"));
        rc = store_message_full(st, conversation, id, &v);
        add(all, id, rc, v);
    }
}


static void
add_conversation(store_t *st, json_t *all, const char *id)
{
    int           more;
    json_t       *one, *v;
    int64_t       upto;
    store_rc_t    rc;
    store_page_t  q = { id, 1, 50, -1, -1, -1, NULL, 0, 0 };

    one = json_object();

    rc = store_conversation(st, id, NULL, &v);
    add(one, "conversation", rc, v);
    rc = store_conversation_state(st, id, &v);
    add(one, "state", rc, v);
    more = 1;
    for (q.page = 1; more; q.page++) {
        char  key[32];

        rc = store_messages(st, &q, &v, &more);
        add_histories(st, one, id, v);
        sprintf(key, "page %d", q.page);
        add(one, key, rc, v);
    }

    rc = store_changes(st, id, 0, 100000, &v, &upto);
    add(one, "changes", rc, v);
    json_object_set_new(one, "upto", json_integer(upto));
    snapshot_files(st, id, one);
    snapshot_sessions(st, id, one);
    json_object_set_new(all, id, one);
}


json_t *
snapshot(store_t *st, const char *conversations, const char *users)
{
    char          *names, *name, *rest;
    json_t        *all, *one, *v;
    int64_t        total;
    store_rc_t     rc;
    store_list_t   q = { NULL, NULL, 0, 1, 100 };

    all = snapshot_life(st);
    names = copy(conversations);

    for (name = strtok_r(names, " ", &rest); name;
         name = strtok_r(NULL, " ", &rest))
    {
        add_conversation(st, all, name);
    }

    free(names);
    names = copy(users);

    for (name = strtok_r(names, " ", &rest); name;
         name = strtok_r(NULL, " ", &rest))
    {
        one = json_object();
        q.user = name;

        rc = store_conversations(st, &q, &v, &total);
        add(one, "list", rc, v);
        json_object_set_new(one, "total", json_integer(total));
        rc = store_user_rooms(st, name, &v);
        add(one, "rooms", rc, v);
        rc = store_unread(st, name, &v);
        add(one, "unread", rc, v);
        rc = store_user(st, name, &v, NULL);
        add(one, "user", rc, v);
        json_object_set_new(one, "push", snapshot_push(st, name));
        json_object_set_new(all, name, one);
    }

    free(names);

    return all;
}
