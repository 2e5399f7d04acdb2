/*
 * store_mongo_rows.c: messages out of MongoDB as the rows that documents are
 * made of (store_doc.c), read from BSON without JSON in between: a page has
 * fifty of them with a dozen members each.
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"

#define MESSAGES_MIN  64        /* a page of the usual size */

typedef enum {
    FIELD_TEXT,
    FIELD_INT,
    FIELD_TIME,
    FIELD_JSON,
    FIELD_META
} field_type_t;

typedef struct {
    const char    *key;
    field_type_t   type;
    size_t         offset;
} field_t;

#define FIELD(key, type, member)  \
    { key, type, offsetof(store_msg_row_t, member) }

#define HISTORY  "editHistory"

/* In the order in which they are mostly stored. */
static const field_t  fields[] = {
    FIELD("_id", FIELD_TEXT, id),
    FIELD("conversationId", FIELD_TEXT, conversation),
    FIELD("seq", FIELD_INT, seq),
    FIELD("changeSeq", FIELD_INT, change_seq),
    FIELD("senderId", FIELD_TEXT, sender),
    FIELD("type", FIELD_TEXT, type),
    FIELD("content", FIELD_JSON, content),
    FIELD("replyTo", FIELD_TEXT, reply_to),
    FIELD("metadata", FIELD_META, client_id),
    FIELD("createdAt", FIELD_TIME, created_at),
    FIELD("updatedAt", FIELD_TIME, updated_at),
    FIELD("reactions", FIELD_JSON, reactions),
    FIELD("stableSeq", FIELD_INT, stable_seq),
    FIELD(HISTORY, FIELD_JSON, history),
    FIELD("editedAt", FIELD_TIME, edited_at),
    FIELD("deletedAt", FIELD_TIME, deleted_at),
    FIELD("deletedBy", FIELD_TEXT, deleted_by)
};

#define FIELDS  (sizeof(fields) / sizeof(fields[0]))


static const char *
read_text(store_arena_t *a, const bson_iter_t *it)
{
    uint32_t     len;
    const char  *s;

    if (!BSON_ITER_HOLDS_UTF8(it)) {
        return NULL;
    }

    s = bson_iter_utf8(it, &len);

    return store_strndup(a, s, len);
}


static void
read_field(store_arena_t *a, const field_t *f, const bson_iter_t *it,
    store_msg_row_t *m)
{
    void         *p;
    bson_iter_t   sub;

    p = (char *) m + f->offset;

    switch (f->type) {

    case FIELD_TEXT:
        *(const char **) p = read_text(a, it);
        break;

    case FIELD_INT:
        *(int64_t *) p = bson_iter_as_int64(it);
        break;

    case FIELD_TIME:
        if (BSON_ITER_HOLDS_DATE_TIME(it)) {
            *(int64_t *) p = bson_iter_date_time(it);
        }
        break;

    case FIELD_JSON:
        *(json_t **) p = mg_value(it);
        break;

    case FIELD_META:
        if (BSON_ITER_HOLDS_DOCUMENT(it) && bson_iter_recurse(it, &sub)
            && bson_iter_find(&sub, "clientMessageId"))
        {
            *(const char **) p = read_text(a, &sub);
        }
        break;
    }
}


static void
read_row(store_arena_t *a, const bson_t *doc, store_msg_row_t *m)
{
    size_t        i, k;
    bson_iter_t   it;

    memset(m, 0, sizeof(store_msg_row_t));
    m->created_at = STORE_NO_TIME;
    m->updated_at = STORE_NO_TIME;
    m->edited_at = STORE_NO_TIME;
    m->deleted_at = STORE_NO_TIME;
    m->parent.deleted_at = STORE_NO_TIME;

    if (!bson_iter_init(&it, doc)) {
        return;
    }

    k = 0;

    while (bson_iter_next(&it)) {

        /* mostly it is the one behind the last one */

        for (i = 0; i < FIELDS; i++) {
            if (strcmp(fields[(k + i) % FIELDS].key, bson_iter_key(&it))
                == 0)
            {
                k = (k + i) % FIELDS;
                read_field(a, &fields[k++], &it, m);
                break;
            }
        }
    }
}


static void
add_row(void *data, const bson_t *doc)
{
    size_t            max;
    mg_messages_t    *l;
    store_msg_row_t  *grown;

    l = data;

    if (l->n == l->max) {
        max = l->max ? 2 * l->max : MESSAGES_MIN;
        grown = store_alloc(l->arena, max * sizeof(store_msg_row_t));

        if (l->n) {
            memcpy(grown, l->row, l->n * sizeof(store_msg_row_t));
        }

        l->row = grown;
        l->max = max;
    }

    read_row(l->arena, doc, &l->row[l->n++]);
}


/* What is wanted, not what is not: then the server copies members as they are
 * stored and need not take the document apart. */
static void
append_projection(bson_t *opts, unsigned with)
{
    size_t  i;
    bson_t  projection;

    BSON_APPEND_DOCUMENT_BEGIN(opts, "projection", &projection);

    for (i = 0; i < FIELDS; i++) {
        if ((with & STORE_WITH_HISTORY) || strcmp(fields[i].key, HISTORY)) {
            BSON_APPEND_INT32(&projection, fields[i].key, 1);
        }
    }

    bson_append_document_end(opts, &projection);
}


store_rc_t
mg_find_messages(store_mongo_t *st, bson_t *query, bson_t *opts,
    unsigned with, mg_messages_t *l)
{
    store_rc_t  rc;

    l->arena = &st->base.arena;
    opts = opts ? opts : bson_new();
    append_projection(opts, with);

    rc = mg_each(st, st->messages, query, opts, add_row, l);

    if (rc != STORE_OK) {
        mg_drop_messages(l);
    }

    return rc;
}


void
mg_drop_messages(mg_messages_t *l)
{
    size_t  i;

    for (i = 0; i < l->n; i++) {
        store_doc_drop_message(&l->row[i]);
    }

    l->n = 0;
}
