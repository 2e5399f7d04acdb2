/*
 * store_doc.c: rows -> documents, the same for both stores: field names,
 * times as text, status and readBy derived from the members' cursors.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/store/store_internal.h"

#define PAGE_PEOPLE  16     /* remembered; more are made again each time */

/* One entry of a readBy under construction. */
typedef struct {
    const char  *user;
    int64_t      at;
} read_by_t;

/* Somebody whom messages of a page name. */
typedef struct {
    const char  *id;
    json_t      *text;          /* his id */
    json_t      *doc;           /* name and avatar */
} person_t;

/*
 * What is needed for all messages of a page.  What many of them have in common
 * is made once and shared: nobody changes a value inside of a document.
 */
typedef struct {
    const store_docs_t  *d;
    unsigned             with;
    read_by_t           *by;
    person_t             people[PAGE_PEOPLE];
    size_t               npeople;
    json_t              *conversation;
    json_t              *type;
    json_t              *status;
} page_t;


/* jansson passes a failed allocation on as NULL, so one check is enough. */
void
store_doc_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(object, key, value) != 0) {
        store_oom();
    }
}


void
store_doc_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        store_oom();
    }
}


/* What comes from the store was valid UTF-8 when it went in. */
json_t *
store_doc_string(const char *s)
{
    return s ? json_string_nocheck(s) : json_null();
}


json_t *
store_doc_time(int64_t ms)
{
    char  buf[WRT_TIME_LEN + 1];

    if (ms < 0) {
        return json_null();
    }

    wrt_time_format(ms, buf);

    return json_string_nocheck(buf);
}


json_t *
store_permissions_json(unsigned bits)
{
    json_t    *list;
    unsigned   i;

    list = json_array();

    for (i = 0; store_permission_name(i); i++) {
        if (bits & (1u << i)) {
            store_doc_append(list, store_doc_string(store_permission_name(i)));
        }
    }

    return list;
}


static json_t *
doc_person(const char *name, const char *avatar)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "name", store_doc_string(name ? name : ""));
    store_doc_set(o, "avatar", store_doc_string(avatar));

    return o;
}


json_t *
store_doc_unread(const char *conversation, int64_t n)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "conversationId", store_doc_string(conversation));
    store_doc_set(o, "unreadCount", json_integer(n));

    return o;
}


json_t *
store_doc_user(const char *id, const char *name, const char *avatar,
    const char *role)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "id", store_doc_string(id));
    store_doc_set(o, "name", store_doc_string(name));
    store_doc_set(o, "avatar", store_doc_string(avatar));
    store_doc_set(o, "role", store_doc_string(role));

    return o;
}


/* What he may do now. */
static json_t *
doc_permissions(const store_member_row_t *m)
{
    return store_permissions_json(m->blocked_by
                                  ? m->permissions & ~STORE_P_BLOCKED
                                  : m->permissions);
}


json_t *
store_doc_participant(const store_member_row_t *m)
{
    json_t  *o, *user;

    user = doc_person(m->name, m->avatar);
    store_doc_set(user, "role",
                  store_doc_string(m->user_role ? m->user_role : m->role));

    o = json_object();
    store_doc_set(o, "userId", store_doc_string(m->user));
    store_doc_set(o, "role", store_doc_string(m->role));
    store_doc_set(o, "joinedAt", store_doc_time(m->joined_at));
    store_doc_set(o, "leftAt", store_doc_time(m->left_at));
    store_doc_set(o, "permissions", doc_permissions(m));
    store_doc_set(o, "blockedBy", store_doc_string(m->blocked_by));
    store_doc_set(o, "user", user);

    return o;
}


json_t *
store_doc_state_member(const store_member_row_t *m)
{
    json_t  *o;

    o = json_object();
    store_doc_set(o, "userId", store_doc_string(m->user));
    store_doc_set(o, "role", store_doc_string(m->role));
    store_doc_set(o, "permissions", doc_permissions(m));

    if (m->blocked_by) {
        store_doc_set(o, "blockedBy", store_doc_string(m->blocked_by));
        store_doc_set(o, "given", store_permissions_json(m->permissions));
    }

    store_doc_set(o, "joinSeq", json_integer(m->join_seq));
    store_doc_set(o, "readSeq", json_integer(m->read_seq));
    store_doc_set(o, "readAt", store_doc_time(m->read_at));
    store_doc_set(o, "deliveredSeq", json_integer(m->delivered_seq));
    store_doc_set(o, "deliveredAt", store_doc_time(m->delivered_at));

    return o;
}


json_t *
store_doc_state(const store_conv_row_t *c, json_t *members)
{
    int          reopens;
    json_t      *o;

    reopens = json_is_true(json_object_get(c->settings, "reopenOnMessage"));

    o = json_object();
    store_doc_set(o, "seq", json_integer(c->seq));
    store_doc_set(o, "state",
                  store_doc_string(c->archived_at < 0 ? "active"
                                   : reopens ? "reopen" : "archived"));
    store_doc_set(o, "at", store_doc_time(c->updated_at));

    if (c->consultation) {
        store_doc_set(o, "consultationId", store_doc_string(c->consultation));
    }

    store_doc_set(o, "members", members);

    return o;
}


json_t *
store_doc_conversation(store_conv_row_t *c, json_t *participants)
{
    json_t  *o, *meta, *last;

    meta = json_object();
    store_doc_set(meta, "lastMessageAt", store_doc_time(c->last_at));
    store_doc_set(meta, "messageCount", json_integer(c->message_count));
    store_doc_set(meta, "isArchived", json_boolean(c->archived_at >= 0));
    store_doc_set(meta, "archivedAt", store_doc_time(c->archived_at));
    store_doc_set(meta, "createdBy", store_doc_string(c->created_by));

    if (c->last_at >= 0) {
        last = json_object();
        store_doc_set(last, "content", store_doc_string(c->last_content));
        store_doc_set(last, "senderId", store_doc_string(c->last_sender));
        store_doc_set(last, "sentAt", store_doc_time(c->last_at));
        store_doc_set(last, "type", store_doc_string(c->last_type));

    } else {
        last = json_null();
    }

    o = json_object();
    store_doc_set(o, "id", store_doc_string(c->id));
    store_doc_set(o, "type", store_doc_string(c->type));
    store_doc_set(o, "consultationId", store_doc_string(c->consultation));
    store_doc_set(o, "consultationStatus",
                  store_doc_string(c->consult_status));
    store_doc_set(o, "sessionId", store_doc_string(c->session));
    store_doc_set(o, "title", store_doc_string(c->title));
    store_doc_set(o, "participants", participants);
    store_doc_set(o, "settings", c->settings);
    store_doc_set(o, "context", c->context ? c->context : json_null());
    store_doc_set(o, "metadata", meta);
    store_doc_set(o, "lastMessage", last);
    store_doc_set(o, "isArchived", json_boolean(c->archived_at >= 0));
    store_doc_set(o, "seq", json_integer(c->seq));

    if (c->unread >= 0) {
        store_doc_set(o, "unreadCount", json_integer(c->unread));
    }

    store_doc_set(o, "createdAt", store_doc_time(c->created_at));
    store_doc_set(o, "updatedAt", store_doc_time(c->updated_at));

    c->settings = NULL;
    c->context = NULL;

    return o;
}


/* When did this reader's cursor first reach seq?  STORE_NO_TIME: not yet. */
static int64_t
first_move(const store_reader_t *r, int64_t seq)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = r->nmoves;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (r->moves[mid].seq < seq) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo < r->nmoves ? r->moves[lo].at : STORE_NO_TIME;
}


static int
cmp_read_by(const void *a, const void *b)
{
    const read_by_t  *x = a, *y = b;

    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }

    return strcmp(x->user, y->user);
}


/* The string, or the last one of its kind again. */
static json_t *
page_string(json_t **last, const char *s)
{
    if (*last == NULL || s == NULL
        || strcmp(json_string_value(*last), s) != 0)
    {
        if (s == NULL) {
            return json_null();
        }

        json_decref(*last);
        *last = json_string_nocheck(s);
    }

    return json_incref(*last);
}


static void
page_person(page_t *p, json_t *o, const char *id, const char *name,
    const char *avatar)
{
    size_t     i;
    person_t  *one;

    for (i = 0; i < p->npeople; i++) {
        one = &p->people[i];

        if (strcmp(one->id, id) == 0) {
            store_doc_set(o, "senderId", json_incref(one->text));
            store_doc_set(o, "sender", json_incref(one->doc));
            return;
        }
    }

    store_doc_set(o, "senderId", store_doc_string(id));
    store_doc_set(o, "sender", doc_person(name, avatar));

    if (p->npeople < PAGE_PEOPLE) {
        one = &p->people[p->npeople++];
        one->id = id;
        one->text = json_incref(json_object_get(o, "senderId"));
        one->doc = json_incref(json_object_get(o, "sender"));
    }
}


static void
page_free(page_t *p)
{
    size_t  i;

    for (i = 0; i < p->npeople; i++) {
        json_decref(p->people[i].text);
        json_decref(p->people[i].doc);
    }

    json_decref(p->conversation);
    json_decref(p->type);
    json_decref(p->status);
    free(p->by);
}


/* status and readBy: how far are the others? */
static void
set_receipts(json_t *o, const store_msg_row_t *m, page_t *p)
{
    int                    delivered;
    size_t                 i, n;
    json_t                *list, *entry;
    read_by_t             *by;
    const char            *status;
    const store_reader_t  *r;

    n = 0;
    by = p->by;
    delivered = 0;

    for (i = 0; i < p->d->nreaders; i++) {
        r = &p->d->readers[i];

        if (strcmp(r->user, m->sender) == 0) {
            continue;
        }

        if (r->delivered_seq >= m->seq) {
            delivered = 1;
        }

        by[n].user = r->user;
        by[n].at = first_move(r, m->seq);

        if (by[n].at >= 0) {
            n++;
        }
    }

    qsort(by, n, sizeof(read_by_t), cmp_read_by);

    list = json_array();

    for (i = 0; i < n; i++) {
        entry = json_object();
        store_doc_set(entry, "userId", store_doc_string(by[i].user));
        store_doc_set(entry, "readAt", store_doc_time(by[i].at));
        store_doc_append(list, entry);
    }

    status = n ? "read" : delivered ? "delivered" : "sent";

    store_doc_set(o, "status", page_string(&p->status, status));
    store_doc_set(o, "readBy", list);
}


void
store_doc_drop_message(store_msg_row_t *m)
{
    json_decref(m->content);
    json_decref(m->reactions);
    json_decref(m->history);
    json_decref(m->parent.content);

    m->content = NULL;
    m->reactions = NULL;
    m->history = NULL;
    m->parent.content = NULL;
}


/* A list (NULL: an empty one) whose entries have a time in milliseconds. */
static json_t *
doc_timed(json_t *list, const char *key)
{
    size_t    i;
    json_t   *e;

    if (list == NULL) {
        return json_array();
    }

    json_array_foreach(list, i, e) {
        store_doc_set(e, key,
                      store_doc_time(json_integer_value(json_object_get(e,
                                                                  key))));
    }

    return json_incref(list);
}


/* What the message replies to, in short. */
static json_t *
doc_parent(page_t *page, const store_parent_row_t *p)
{
    size_t       n;
    json_t      *o;
    const char  *text;

    if (p->id == NULL) {
        return json_null();
    }

    text = "";
    n = 0;

    if (p->deleted_at < 0) {
        text = store_plan_preview(p->type, p->content, &n);
    }

    o = json_object();
    store_doc_set(o, "id", store_doc_string(p->id));
    page_person(page, o, p->sender, p->name, p->avatar);
    store_doc_set(o, "type", store_doc_string(p->type));
    store_doc_set(o, "text", json_stringn_nocheck(text, n));
    store_doc_set(o, "deletedAt", store_doc_time(p->deleted_at));

    return o;
}


/* The consultation that the room was about when it was sent. */
static const char *
doc_span(const store_docs_t *d, int64_t seq)
{
    size_t  i;

    for (i = 0; i < d->nspans; i++) {
        if (d->spans[i].from <= seq) {
            return d->spans[i].id;
        }
    }

    return NULL;
}


static json_t *
doc_message(page_t *p, store_msg_row_t *m)
{
    json_t  *o;

    if (m->deleted_at >= 0) {
        /* what was deleted is never shown again */
        json_decref(m->content);
        json_decref(m->reactions);
        json_decref(m->history);
        m->content = json_object();
        m->reactions = NULL;
        m->history = NULL;
    }

    o = json_object();
    store_doc_set(o, "id", store_doc_string(m->id));
    store_doc_set(o, "conversationId",
                  page_string(&p->conversation, m->conversation));
    store_doc_set(o, "seq", json_integer(m->seq));
    page_person(p, o, m->sender, m->name, m->avatar);
    store_doc_set(o, "type", page_string(&p->type, m->type));
    store_doc_set(o, "content", json_incref(m->content));

    if (p->d->nspans) {
        store_doc_set(o, "consultationId",
                      store_doc_string(doc_span(p->d, m->seq)));
    }

    set_receipts(o, m, p);

    store_doc_set(o, "replyTo", store_doc_string(m->reply_to));
    store_doc_set(o, "replyPreview", doc_parent(p, &m->parent));
    store_doc_set(o, "reactions", doc_timed(m->reactions, "addedAt"));

    if (m->client_id) {
        store_doc_set(o, "clientMessageId", store_doc_string(m->client_id));
    }

    if (p->with & STORE_WITH_CHANGE) {
        store_doc_set(o, "changeSeq", json_integer(m->change_seq));
    }

    if (p->with & STORE_WITH_HISTORY) {
        store_doc_set(o, "editHistory", doc_timed(m->history, "editedAt"));
    }

    store_doc_set(o, "createdAt", store_doc_time(m->created_at));
    store_doc_set(o, "updatedAt", store_doc_time(m->updated_at));
    store_doc_set(o, "editedAt", store_doc_time(m->edited_at));
    store_doc_set(o, "deletedAt", store_doc_time(m->deleted_at));
    store_doc_set(o, "deletedBy", store_doc_string(m->deleted_by));

    store_doc_drop_message(m);

    return o;
}


json_t *
store_doc_messages(store_msg_row_t *rows, size_t n, const store_docs_t *d,
    unsigned with)
{
    size_t   i;
    page_t   p;
    json_t  *list;

    memset(&p, 0, sizeof(page_t));
    p.d = d;
    p.with = with;

    p.by = calloc(d->nreaders + 1, sizeof(read_by_t));
    if (p.by == NULL) {
        store_oom();
    }

    list = json_array();

    for (i = 0; i < n; i++) {
        store_doc_append(list, doc_message(&p, &rows[i]));
    }

    page_free(&p);

    return list;
}
