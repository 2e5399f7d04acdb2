/*
 * store_model_check.c: a store's documents against the model; see
 * store_model.h.
 */

#include "tests/unit/store_model.h"

#include <stdio.h>

#include "common/wrt_id.h"


static json_t *
time_of(int64_t at)
{
    char  buf[WRT_TIME_LEN + 1];

    if (at < 0) {
        return json_null();
    }

    wrt_time_format(STORE_TEST_T0 + at, buf);

    return json_string(buf);
}


/* A member of a document; drops what is expected. */
static void
member_is(const json_t *doc, const char *key, json_t *expected,
    const char *what)
{
    char  text[128];

    snprintf(text, sizeof(text), "%s of %s", key, what);
    expect_equal(json_object_get(doc, key), expected, text);
    json_decref(expected);
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
read_by(const model_room_t *r, const model_msg_t *m)
{
    int                    u, n;
    size_t                 i;
    json_t                *by, *entry[MODEL_USERS];
    const model_member_t  *who;

    n = 0;

    for (u = 0; u < MODEL_USERS; u++) {
        who = &r->member[u];

        for (i = 0; u != m->sender && i < who->nmoves; i++) {
            if (who->move[i].seq >= m->seq) {
                entry[n++] = json_pack("{s:s, s:o}", "userId",
                                       model_name('u', u), "readAt",
                                       time_of(who->move[i].at));
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
status(const model_room_t *r, const model_msg_t *m, const json_t *by)
{
    int  u;

    if (json_array_size(by)) {
        return "read";
    }

    for (u = 0; u < MODEL_USERS; u++) {
        if (u != m->sender && r->member[u].delivered_seq >= m->seq) {
            return "delivered";
        }
    }

    return "sent";
}


static json_t *
reactions(const model_msg_t *m)
{
    size_t   i;
    json_t  *list;

    list = json_array();

    for (i = 0; m->deleted_at < 0 && i < m->nreactions; i++) {
        json_array_append_new(list,
            json_pack("{s:s, s:s, s:o}", "userId",
                      model_name('u', m->reaction[i].user), "emoji",
                      model_emoji[m->reaction[i].emoji], "addedAt",
                      time_of(m->reaction[i].at)));
    }

    return list;
}


static json_t *
history(const model_msg_t *m)
{
    size_t   i;
    json_t  *list;

    list = json_array();

    for (i = 0; m->deleted_at < 0 && i < m->nedits; i++) {
        json_array_append_new(list,
            json_pack("{s:o, s:s, s:s, s:I}", "editedAt",
                      time_of(m->edit[i].at), "previousContent",
                      m->edit[i].was, "editedBy",
                      model_name('u', m->edit[i].by), "seq",
                      (json_int_t) m->edit[i].seq));
    }

    return list;
}


static void
check_preview(const model_room_t *r, const model_msg_t *m, const json_t *doc)
{
    size_t              i;
    json_t             *p;
    const model_msg_t  *parent;

    parent = NULL;

    for (i = 0; m->reply_to[0] && i < r->nmsgs; i++) {
        if (strcmp(r->msg[i].id, m->reply_to) == 0) {
            parent = &r->msg[i];
        }
    }

    p = json_object_get(doc, "replyPreview");

    if (parent == NULL) {
        assert_true(json_is_null(p));
        return;
    }

    member_is(p, "id", json_string(parent->id), m->id);
    member_is(p, "senderId", json_string(model_name('u', parent->sender)),
              m->id);
    member_is(p, "text",
              json_string(parent->deleted_at < 0 ? parent->text : ""),
              m->id);
    member_is(p, "deletedAt", time_of(parent->deleted_at), m->id);
}


static void
check_message(store_t *st, int k, const model_msg_t *m, const json_t *doc)
{
    char                 cmid[16];
    json_t              *by, *full;
    const model_room_t  *r;

    r = &model_room[k];
    by = read_by(r, m);

    member_is(doc, "id", json_string(m->id), "a page");
    member_is(doc, "status", json_string(status(r, m, by)), m->id);
    member_is(doc, "readBy", by, m->id);
    member_is(doc, "reactions", reactions(m), m->id);
    member_is(doc, "editedAt",
              time_of(m->nedits ? m->edit[m->nedits - 1].at : -1), m->id);
    member_is(doc, "updatedAt", time_of(m->updated_at), m->id);
    member_is(doc, "deletedAt", time_of(m->deleted_at), m->id);
    member_is(doc, "deletedBy",
              m->deleted_at < 0
              ? json_null() : json_string(model_name('u', m->deleted_by)),
              m->id);

    if (m->deleted_at >= 0) {
        member_is(doc, "content", json_object(), m->id);

    } else if (!m->system) {
        member_is(doc, "content", json_pack("{s:s}", "text", m->text),
                  m->id);
    }

    if (m->client < 0) {
        assert_null(json_object_get(doc, "clientMessageId"));

    } else {
        sprintf(cmid, "k%d", m->client);
        member_is(doc, "clientMessageId", json_string(cmid), m->id);
    }

    check_preview(r, m, doc);

    assert_int_equal(store_message_full(st, model_name('r', k), m->id,
                                        &full),
                     STORE_OK);
    member_is(full, "changeSeq", json_integer(m->change_seq), m->id);
    member_is(full, "editHistory", history(m), m->id);
    json_decref(full);
}


static const model_msg_t *
last_message(const model_room_t *r)
{
    size_t  i;

    for (i = r->nmsgs; i > 0; i--) {
        if (r->msg[i - 1].deleted_at < 0) {
            return &r->msg[i - 1];
        }
    }

    return NULL;
}


static int64_t
activity(const model_room_t *r)
{
    const model_msg_t  *m;

    m = last_message(r);

    return m ? m->at : r->created_at;
}


static json_t *
permissions(const model_member_t *m)
{
    int      i;
    json_t  *list;

    static const char *const  names[] = {
        "read", "write", "upload", "download"
    };

    list = json_array();

    for (i = 0; i < 4; i++) {
        if (strchr(m->given, names[i][0])
            && (m->blocked_by < 0 || i == 0 || i == 3))
        {
            json_array_append_new(list, json_string(names[i]));
        }
    }

    return list;
}


void
model_check_room(store_t *st, int k)
{
    int                    u, n;
    size_t                 i;
    json_t                *doc, *list, *p, *meta;
    const char            *id;
    const model_msg_t     *last;
    const model_room_t    *r;
    const model_member_t  *m;

    r = &model_room[k];

    if (!r->exists) {
        return;
    }

    last = last_message(r);

    assert_int_equal(store_conversation(st, model_name('r', k), NULL, &doc),
                     STORE_OK);
    meta = json_object_get(doc, "metadata");

    member_is(doc, "seq", json_integer(r->seq), "a room");
    member_is(doc, "title",
              r->title[0] ? json_string(r->title) : json_null(), "a room");
    member_is(doc, "isArchived", json_boolean(r->archived_at >= 0),
              "a room");
    member_is(meta, "archivedAt", time_of(r->archived_at), "a room");
    member_is(meta, "messageCount", json_integer((json_int_t) r->nmsgs),
              "a room");
    member_is(meta, "lastMessageAt", time_of(last ? last->at : -1),
              "a room");
    member_is(doc, "lastMessage",
              last ? json_pack("{s:s, s:s, s:o, s:O}", "content", last->text,
                               "senderId", model_name('u', last->sender),
                               "sentAt", time_of(last->at), "type",
                               json_object_get(json_object_get(doc,
                                                   "lastMessage"), "type"))
                   : json_null(),
              "a room");

    if (r->settings >= 0) {
        member_is(doc, "settings", json_pack("{s:i}", "n", r->settings),
                  "a room");
    }

    list = json_object_get(doc, "participants");
    n = 0;

    json_array_foreach(list, i, p) {
        id = json_string_value(json_object_get(p, "userId"));
        m = &r->member[atoi(id + 1)];
        assert_true(m->ever);
        assert_int_equal(json_is_null(json_object_get(p, "leftAt")),
                         m->here);
        member_is(p, "permissions", permissions(m), id);
        member_is(p, "blockedBy",
                  m->blocked_by < 0
                  ? json_null() : json_string(model_name('u',
                                                         m->blocked_by)),
                  id);
    }

    for (u = 0; u < MODEL_USERS; u++) {
        n += r->member[u].ever;
    }

    assert_int_equal(json_array_size(list), n);
    json_decref(doc);
}


void
model_check_messages(store_t *st, int k)
{
    int                  more;
    size_t               i, n;
    char                 id[16];
    json_t              *page, *doc;
    store_page_t         q = { id, 1, 37, -1, -1, -1, NULL, 0, 0 };
    const model_room_t  *r;

    strcpy(id, model_name('r', k));
    r = &model_room[k];
    n = r->nmsgs;

    do {
        assert_int_equal(store_messages(st, &q, &page, &more), STORE_OK);
        q.page++;

        json_array_foreach(page, i, doc) {
            assert_true(n > 0);
            n--;
            check_message(st, k, &r->msg[n], doc);
        }

        json_decref(page);
    } while (more);

    assert_int_equal(n, 0);
}


/* Counted afresh. */
static int64_t
unread(const model_room_t *r, int u)
{
    size_t   i;
    int64_t  above, n;

    above = r->member[u].join_seq > r->member[u].read_seq
            ? r->member[u].join_seq : r->member[u].read_seq;
    n = 0;

    for (i = 0; i < r->nmsgs; i++) {
        n += r->msg[i].seq > above && r->msg[i].sender != u
             && r->msg[i].deleted_at < 0;
    }

    return n;
}


/* One list; returns how many rooms have something that is unread. */
static size_t
check_list(store_t *st, int u, int archived, const json_t *all)
{
    int                  k, rooms;
    size_t               i, j, some;
    char                 id[16];
    json_t              *page, *doc, *one;
    int64_t              total, before, n;
    const model_room_t  *r;
    store_list_t         q = { id, NULL, archived, 1, 100 };

    strcpy(id, model_name('u', u));
    assert_int_equal(store_conversations(st, &q, &page, &total), STORE_OK);
    before = INT64_MAX;
    some = 0;

    json_array_foreach(page, i, doc) {
        k = atoi(json_string_value(json_object_get(doc, "id")) + 1);
        r = &model_room[k];
        n = unread(r, u);

        assert_true(r->member[u].here);
        assert_int_equal(r->archived_at >= 0, archived);
        assert_true(activity(r) <= before);
        before = activity(r);
        member_is(doc, "unreadCount", json_integer(n), id);

        json_array_foreach(all, j, one) {
            if (strcmp(json_string_value(json_object_get(one,
                                             "conversationId")),
                       model_name('r', k)) == 0)
            {
                member_is(one, "unreadCount", json_integer(n), id);
                break;
            }
        }

        assert_int_equal(j < json_array_size(all), n > 0);
        some += n > 0;
    }

    for (rooms = 0, k = 0; k < MODEL_ROOMS; k++) {
        r = &model_room[k];
        rooms += r->exists && r->member[u].here
                 && (r->archived_at >= 0) == archived;
    }

    assert_int_equal(total, rooms);
    assert_int_equal(json_array_size(page), rooms);
    json_decref(page);

    return some;
}


void
model_check_user(store_t *st, int u)
{
    size_t   some;
    json_t  *all;

    assert_int_equal(store_unread(st, model_name('u', u), &all), STORE_OK);

    some = check_list(st, u, 0, all);
    some += check_list(st, u, 1, all);

    assert_int_equal(json_array_size(all), some);
    json_decref(all);
}
