/*
 * store_mongo_messages.c: messages out of MongoDB: pages, one message, what
 * changed since.  No message above the conversation's number is shown: it may
 * belong to a batch under way.  A change of an older one may be seen (see
 * store_mongo_change.c).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/mongo/store_mongo.h"


/* Names of users and the messages that others reply to. */
typedef struct {
    json_t         *users;      /* {id: row} */
    mg_messages_t   parents;
    store_map_t     by_id;
} context_t;


static void
add_id(json_t *ids, const char *id)
{
    if (id) {
        store_doc_set(ids, id, json_null());
    }
}


static store_rc_t
find_parents(store_mongo_t *st, const char *conversation,
    const mg_messages_t *l, context_t *x)
{
    size_t            i;
    json_t           *ids;
    bson_t           *query;
    store_rc_t        rc;
    store_msg_row_t  *p;

    ids = json_object();

    for (i = 0; i < l->n; i++) {
        add_id(ids, l->row[i].reply_to);
    }

    store_map_init(&x->by_id, &st->base.arena, json_object_size(ids));
    rc = STORE_OK;

    if (json_object_size(ids)) {
        query = bson_new();
        mg_append_in(query, "_id", ids);
        BSON_APPEND_UTF8(query, "conversationId", conversation);
        rc = mg_find_messages(st, query, NULL, 0, &x->parents);
    }

    json_decref(ids);

    for (i = 0; i < x->parents.n; i++) {
        p = &x->parents.row[i];
        *store_map_put(&x->by_id, p->id, strlen(p->id)) = p;
    }

    return rc;
}


static store_rc_t
find_users(store_mongo_t *st, const mg_messages_t *l, context_t *x)
{
    size_t   i;
    json_t  *ids;

    ids = json_object();

    for (i = 0; i < l->n; i++) {
        add_id(ids, l->row[i].sender);
    }

    for (i = 0; i < x->parents.n; i++) {
        add_id(ids, x->parents.row[i].sender);
    }

    x->users = mg_users(st, ids);
    json_decref(ids);

    return x->users ? STORE_OK : STORE_DOWN;
}


static void
add_context(const context_t *x, store_msg_row_t *m)
{
    const json_t           *user;
    const store_msg_row_t  *p;

    user = json_object_get(x->users, m->sender);
    m->name = mg_text(user, "name");
    m->avatar = mg_text(user, "avatar");

    p = m->reply_to ? store_map_get(&x->by_id, m->reply_to,
                                    strlen(m->reply_to))
                    : NULL;
    if (p == NULL) {
        return;
    }

    user = json_object_get(x->users, p->sender);
    m->parent.id = p->id;
    m->parent.sender = p->sender;
    m->parent.name = mg_text(user, "name");
    m->parent.avatar = mg_text(user, "avatar");
    m->parent.type = p->type;
    m->parent.content = json_incref(p->content);
    m->parent.deleted_at = p->deleted_at;
}


/* Rows -> documents; empties the list. */
static store_rc_t
msg_docs(store_mongo_t *st, const char *conversation, mg_messages_t *l,
    int consults, unsigned with, json_t **out)
{
    size_t         i;
    int64_t        lo, hi;
    context_t      x;
    store_rc_t     rc;
    store_docs_t   d;

    if (l->n == 0) {
        *out = json_array();
        return STORE_OK;
    }

    memset(&x, 0, sizeof(context_t));
    memset(&d, 0, sizeof(store_docs_t));
    lo = INT64_MAX;
    hi = 0;

    for (i = 0; i < l->n; i++) {
        lo = l->row[i].seq < lo ? l->row[i].seq : lo;
        hi = l->row[i].seq > hi ? l->row[i].seq : hi;
    }

    rc = consults ? mg_spans(st, conversation, &d) : STORE_OK;

    if (rc == STORE_OK && !(with & STORE_NO_RECEIPTS)) {
        rc = mg_readers(st, conversation, lo, hi, &d);
    }

    if (rc == STORE_OK) {
        rc = find_parents(st, conversation, l, &x);
    }

    if (rc == STORE_OK) {
        rc = find_users(st, l, &x);
    }

    if (rc == STORE_OK) {
        for (i = 0; i < l->n; i++) {
            add_context(&x, &l->row[i]);
        }

        *out = store_doc_messages(l->row, l->n, &d, with);
    }

    json_decref(x.users);
    mg_drop_messages(&x.parents);
    mg_drop_messages(l);

    return rc;
}


store_rc_t
mg_message_docs(store_mongo_t *st, const char *conversation,
    mg_messages_t *l, json_t **out)
{
    int         consults;
    int64_t     seq;
    store_rc_t  rc;

    consults = 0;
    rc = mg_find_seq(st, conversation, &seq, &consults);

    if (rc == STORE_DOWN) {
        mg_drop_messages(l);
        return rc;
    }

    return msg_docs(st, conversation, l, consults, 0, out);
}


static bson_t *
page_query(const store_page_t *q, int64_t upto)
{
    bson_t  *query, cond;

    query = bson_new();
    BSON_APPEND_UTF8(query, "conversationId", q->conversation);

    BSON_APPEND_DOCUMENT_BEGIN(query, "seq", &cond);

    if (q->after_seq >= 0) {
        BSON_APPEND_INT64(&cond, "$gt", q->after_seq);
    }

    if (q->before_seq >= 0 && q->before_seq <= upto) {
        BSON_APPEND_INT64(&cond, "$lt", q->before_seq);

    } else {
        BSON_APPEND_INT64(&cond, "$lte", upto);
    }

    bson_append_document_end(query, &cond);

    if (q->before_ms >= 0) {
        BSON_APPEND_DOCUMENT_BEGIN(query, "createdAt", &cond);
        BSON_APPEND_DATE_TIME(&cond, "$lt", q->before_ms);
        bson_append_document_end(query, &cond);
    }

    if (q->thread_of) {
        BSON_APPEND_UTF8(query, "replyTo", q->thread_of);
    }

    return query;
}


static store_rc_t
find_page(store_mongo_t *st, const store_page_t *q, int64_t upto,
    mg_messages_t *l)
{
    bson_t  *opts, sort;

    opts = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(opts, "sort", &sort);

    if (q->before_ms >= 0 && q->after_seq < 0) {
        BSON_APPEND_INT32(&sort, "createdAt", -1);
    }

    BSON_APPEND_INT32(&sort, "seq", q->after_seq >= 0 ? 1 : -1);
    bson_append_document_end(opts, &sort);

    BSON_APPEND_INT64(opts, "skip", (int64_t) (q->page - 1) * q->limit);
    BSON_APPEND_INT64(opts, "limit", (int64_t) q->limit + 1);

    /* most pages: the server does not look for a better index */

    if (q->before_ms < 0 && q->thread_of == NULL) {
        BSON_APPEND_UTF8(opts, "hint", "seq");
    }

    return mg_find_messages(st, page_query(q, upto), opts, 0, l);
}


static void
reverse(mg_messages_t *l)
{
    size_t           i;
    store_msg_row_t  t;

    for (i = 0; i < l->n / 2; i++) {
        t = l->row[i];
        l->row[i] = l->row[l->n - 1 - i];
        l->row[l->n - 1 - i] = t;
    }
}


store_rc_t
store_mongo_messages(store_t *base, const store_page_t *q, json_t **out,
    int *more)
{
    int             consults;
    int64_t         upto;
    store_rc_t      rc;
    mg_messages_t   l;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    memset(&l, 0, sizeof(mg_messages_t));

    upto = q->applied;
    consults = q->consults;
    rc = STORE_OK;

    if (upto == 0) {
        rc = mg_find_seq(st, q->conversation, &upto, &consults);
    }

    if (rc == STORE_OK) {
        rc = find_page(st, q, upto, &l);
    }

    if (rc != STORE_OK) {
        return rc;
    }

    /* one more than the page tells whether there are more */

    if (l.n > (size_t) q->limit) {
        *more = 1;
        store_doc_drop_message(&l.row[--l.n]);
    }

    if (q->after_seq >= 0) {
        reverse(&l);
    }

    return msg_docs(st, q->conversation, &l, consults, 0, out);
}


/* Takes over the query, which says which one of the conversation. */
static store_rc_t
one_message(store_mongo_t *st, const char *conversation, bson_t *query,
    unsigned with, json_t **out)
{
    int             consults;
    json_t         *list;
    int64_t         upto;
    store_rc_t      rc;
    mg_messages_t   l;

    memset(&l, 0, sizeof(mg_messages_t));

    rc = mg_find_seq(st, conversation, &upto, &consults);

    if (rc == STORE_OK) {
        BCON_APPEND(query, "conversationId", BCON_UTF8(conversation),
                    "seq", "{", "$lte", BCON_INT64(upto), "}");
        rc = mg_find_messages(st, query, NULL, with, &l);

    } else {
        bson_destroy(query);
    }

    if (rc != STORE_OK) {
        return rc;
    }

    if (l.n == 0) {
        return STORE_NOT_FOUND;
    }

    list = NULL;
    rc = msg_docs(st, conversation, &l, consults, with, &list);
    *out = json_incref(json_array_get(list, 0));
    json_decref(list);

    return rc;
}


store_rc_t
store_mongo_message(store_t *base, const char *conversation, const char *id,
    unsigned with, json_t **out)
{
    return one_message((store_mongo_t *) base, conversation,
                       BCON_NEW("_id", BCON_UTF8(id)), with, out);
}


store_rc_t
store_mongo_message_sent(store_t *base, const char *conversation,
    const char *user, const char *client_id, json_t **out)
{
    return one_message((store_mongo_t *) base, conversation,
                       BCON_NEW("senderId", BCON_UTF8(user),
                                "metadata.clientMessageId",
                                BCON_UTF8(client_id)),
                       0, out);
}


static int
cmp_change(const void *a, const void *b)
{
    const store_msg_row_t  *x = a, *y = b;

    return x->change_seq < y->change_seq ? -1
           : x->change_seq > y->change_seq;
}


/* In the order of the last change that counts; those that have none above
 * `after` left out. */
static void
order_changes(mg_messages_t *l, int64_t after, int64_t upto)
{
    size_t            i, n;
    store_msg_row_t  *m;

    n = 0;

    for (i = 0; i < l->n; i++) {
        m = &l->row[i];
        m->change_seq = m->change_seq <= upto ? m->change_seq
                                              : m->stable_seq;

        if (m->change_seq > after) {
            l->row[n++] = *m;

        } else {
            store_doc_drop_message(m);
        }
    }

    l->n = n;

    if (n) {
        qsort(l->row, n, sizeof(store_msg_row_t), cmp_change);
    }
}


/* New ones by their number; older ones changed since by the index "changed",
 * which has no others; a change above the number may hide one that counts.
 * More than the limit of the first are too many already. */
static store_rc_t
find_changes(store_mongo_t *st, const char *conversation, int64_t after,
    int64_t upto, int64_t limit, mg_messages_t *l)
{
    store_rc_t  rc;

    rc = mg_find_messages(st,
                          BCON_NEW("conversationId", BCON_UTF8(conversation),
                                   "seq", "{", "$gt", BCON_INT64(after),
                                   "$lte", BCON_INT64(upto), "}"),
                          BCON_NEW("sort", "{", "seq", BCON_INT32(1), "}",
                                   "limit", BCON_INT64(limit)),
                          0, l);

    if (rc != STORE_OK || l->n == (size_t) limit) {
        return rc;
    }

    rc = mg_find_messages(st,
                          BCON_NEW("conversationId", BCON_UTF8(conversation),
                                   "changed", BCON_BOOL(true),
                                   "changeSeq", "{",
                                   "$gt", BCON_INT64(after), "}",
                                   "seq", "{", "$lte", BCON_INT64(after),
                                   "}"),
                          BCON_NEW("limit", BCON_INT64(limit),
                                   "hint", BCON_UTF8("changed")),
                          0, l);

    if (rc == STORE_OK) {
        order_changes(l, after, upto);
    }

    return rc;
}


store_rc_t
store_mongo_changes(store_t *base, const char *conversation, int64_t after,
    int max, json_t **out, int64_t *upto)
{
    int             consults;
    store_rc_t      rc;
    mg_messages_t   l;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    memset(&l, 0, sizeof(mg_messages_t));

    rc = mg_find_seq(st, conversation, upto, &consults);

    if (rc == STORE_OK) {
        rc = find_changes(st, conversation, after, *upto, (int64_t) max + 1,
                          &l);
    }

    if (rc != STORE_OK) {
        return rc;
    }

    if (l.n > (size_t) max) {
        mg_drop_messages(&l);
        return STORE_TOO_MANY;
    }

    return msg_docs(st, conversation, &l, consults,
                    STORE_WITH_CHANGE | STORE_NO_RECEIPTS, out);
}
