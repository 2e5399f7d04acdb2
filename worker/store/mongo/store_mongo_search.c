/*
 * store_mongo_search.c: searching in MongoDB.
 *
 * Rooms are asked ROOMS_STEP at a time.  With a whole word the index "words"
 * (store_mongo_words.c) gives each room's messages that have it, newest first,
 * and the server merges them, so that only the newest are read.
 *
 * The beginning of a word alone gives no such order: all that fit have to be
 * read and sorted.  Where those may be many, the newest messages of the rooms
 * are looked at first (index "time"): what many messages have is found among
 * them.  If some hundreds are not enough, or the first of them show that they
 * will not be, few have it, and sorting those is cheap.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/mongo/store_mongo.h"

#define ROOMS_STEP  128         /* the server merges up to 200 */
#define WALK_FROM   4000        /* messages of all rooms: walk first */
#define WALK_MIN    400         /* messages looked at so, at least */

#define AFTER_ALL   "\xF4\x8F\xBF\xBF"  /* U+10FFFF is in no word */

typedef struct {
    const char  *id;
    const char  *title;
    int64_t      seq;
} room_t;

/* Where a search looks, and by what. */
typedef struct {
    store_mongo_t   *st;
    store_finder_t  *f;
    room_t          *room;
    size_t           n;
    int64_t          messages;  /* of all rooms */
    store_map_t      map;       /* id -> room */
    uint32_t         key;       /* the word of the index */
    unsigned         prefix:1;  /* it is only the beginning of one */
    unsigned         walks:1;   /* by time instead */
    int64_t          left;      /* messages to look at then */
    int64_t          max;       /* of so many */
} scan_t;


/* The conversations of participants, as {id: null}.  Takes over the query. */
static json_t *
conversation_ids(store_mongo_t *st, bson_t *query)
{
    size_t   i;
    json_t  *rows, *row, *ids;

    rows = mg_find(st, st->participants, query,
                   BCON_NEW("projection", "{", "_id", BCON_INT32(0),
                            "conversationId", BCON_INT32(1), "}"));

    if (rows == NULL) {
        return NULL;
    }

    ids = json_object();

    json_array_foreach(rows, i, row) {
        store_doc_set(ids, mg_text(row, "conversationId"), json_null());
    }

    json_decref(rows);

    return ids;
}


/* Ids of the rooms in which the user may read; and in which he is or was
 * whose messages are looked for. */
static json_t *
room_ids(store_mongo_t *st, const store_search_t *q)
{
    bson_t  *query;
    json_t  *ids;

    if (q->user == NULL) {
        ids = json_object();
        store_doc_set(ids, q->conversation, json_null());
        return ids;
    }

    query = BCON_NEW("userId", BCON_UTF8(q->user), "leftAt", BCON_NULL,
                     "permissions", BCON_UTF8("read"));

    if (q->conversation) {
        BSON_APPEND_UTF8(query, "conversationId", q->conversation);

    } else if (q->sender) {
        ids = conversation_ids(st, BCON_NEW("userId", BCON_UTF8(q->sender)));

        if (ids == NULL) {
            bson_destroy(query);
            return NULL;
        }

        mg_append_in(query, "conversationId", ids);
        json_decref(ids);
    }

    return conversation_ids(st, query);
}


static const char *
keep(store_mongo_t *st, const char *s)
{
    return s ? store_strndup(&st->base.arena, s, strlen(s)) : NULL;
}


/* Those rooms, with the newest messages first. */
static store_rc_t
find_rooms(scan_t *s)
{
    size_t         i;
    bson_t        *query;
    json_t        *ids, *rows, *row, *meta;
    room_t        *room;
    store_mongo_t *st;

    st = s->st;

    ids = room_ids(st, s->f->q);
    if (ids == NULL) {
        return STORE_DOWN;
    }

    if (json_object_size(ids) == 0) {
        json_decref(ids);
        return s->f->q->conversation ? STORE_NOT_FOUND : STORE_OK;
    }

    query = bson_new();
    mg_append_in(query, "_id", ids);
    json_decref(ids);

    rows = mg_find(st, st->conversations, query,
                   BCON_NEW("projection", "{", "title", BCON_INT32(1),
                            "metadata.seq", BCON_INT32(1),
                            "metadata.messageCount", BCON_INT32(1), "}",
                            "sort", "{", "metadata.activityAt",
                            BCON_INT32(-1), "}"));

    if (rows == NULL) {
        return STORE_DOWN;
    }

    s->n = json_array_size(rows);
    s->room = store_alloc(&st->base.arena, (s->n + 1) * sizeof(room_t));
    store_map_init(&s->map, &st->base.arena, s->n);

    json_array_foreach(rows, i, row) {
        meta = json_object_get(row, "metadata");

        room = &s->room[i];
        room->id = keep(st, mg_text(row, "_id"));
        room->title = keep(st, mg_text(row, "title"));
        room->seq = mg_int(meta, "seq");
        s->messages += mg_int(meta, "messageCount");

        *store_map_put(&s->map, room->id, strlen(room->id)) = room;
    }

    json_decref(rows);

    return s->n == 0 && s->f->q->conversation ? STORE_NOT_FOUND : STORE_OK;
}


/* The word to look up: the longest whole one, mostly the rarest; if there is
 * none, the longest beginning of one. */
static void
choose_key(scan_t *s)
{
    int                   prefix;
    uint32_t              k, best;
    unsigned              i;
    const word_t         *word;
    const words_term_t   *t;
    const words_query_t  *q;

    q = s->f->query;
    word = q->words.word;
    best = 0;
    s->prefix = 1;

    for (i = 0; i < q->n; i++) {
        t = &q->term[i];

        for (k = t->first; k < t->first + t->n; k++) {
            prefix = t->prefix && k + 1 == t->first + t->n;

            if (prefix > (int) s->prefix) {
                continue;
            }

            if (prefix < (int) s->prefix || word[k].len > word[best].len) {
                best = k;
            }

            s->prefix = prefix != 0;
        }
    }

    s->key = best;
}


static const char *
query_word(const scan_t *s, uint32_t k)
{
    return s->f->query->words.fold + s->f->query->words.word[k].at;
}


/* The other whole words, where the server looks at the messages that the
 * index gives: {"$expr": {"$and": [{"$in": ["word", "$words"]}, ...]}}. */
static void
append_others(const scan_t *s, bson_t *query)
{
    char                  buf[16];
    bson_t                expr, and, in, args;
    uint32_t              n, k;
    unsigned              i;
    const char           *index;
    const words_term_t   *t;

    n = 0;
    BSON_APPEND_DOCUMENT_BEGIN(query, "$expr", &expr);
    BSON_APPEND_ARRAY_BEGIN(&expr, "$and", &and);

    for (i = 0; i < s->f->query->n; i++) {
        t = &s->f->query->term[i];

        for (k = t->first; k < t->first + t->n - t->prefix; k++) {
            if (k == s->key) {
                continue;
            }

            bson_uint32_to_string(n++, &index, buf, sizeof(buf));
            BSON_APPEND_DOCUMENT_BEGIN(&and, index, &in);
            BSON_APPEND_ARRAY_BEGIN(&in, "$in", &args);
            BSON_APPEND_UTF8(&args, "0", query_word(s, k));
            BSON_APPEND_UTF8(&args, "1", "$words");
            bson_append_array_end(&in, &args);
            bson_append_document_end(&and, &in);
        }
    }

    bson_append_array_end(&expr, &and);
    bson_append_document_end(query, &expr);
}


static void
append_word(const scan_t *s, bson_t *query)
{
    char         end[WRT_SEARCH_WORD_MAX + sizeof(AFTER_ALL)];
    bson_t       cond, range;
    const char  *word;

    word = query_word(s, s->key);

    if (!s->prefix) {
        BSON_APPEND_UTF8(query, "words", word);
        append_others(s, query);
        return;
    }

    snprintf(end, sizeof(end), "%s" AFTER_ALL, word);

    /* one word has to lie between both, not one here and one there */

    BSON_APPEND_DOCUMENT_BEGIN(query, "words", &cond);
    BSON_APPEND_DOCUMENT_BEGIN(&cond, "$elemMatch", &range);
    BSON_APPEND_UTF8(&range, "$gte", word);
    BSON_APPEND_UTF8(&range, "$lt", end);
    bson_append_document_end(&cond, &range);
    bson_append_document_end(query, &cond);
}


static void
append_rooms(const scan_t *s, bson_t *query, size_t from, size_t to)
{
    char         buf[16];
    size_t       i;
    bson_t       cond, list;
    const char  *index;

    BSON_APPEND_DOCUMENT_BEGIN(query, "conversationId", &cond);
    BSON_APPEND_ARRAY_BEGIN(&cond, "$in", &list);

    for (i = from; i < to; i++) {
        bson_uint32_to_string((uint32_t) (i - from), &index, buf,
                              sizeof(buf));
        BSON_APPEND_UTF8(&list, index, s->room[i].id);
    }

    bson_append_array_end(&cond, &list);
    bson_append_document_end(query, &cond);
}


/* The times between which something is still wanted. */
static void
append_times(const scan_t *s, bson_t *query)
{
    bson_t                 cond;
    int64_t                floor;
    const store_search_t  *q;

    q = s->f->q;
    floor = store_search_floor(s->f);

    if (floor == INT64_MIN && q->before_ms < 0 && q->after_ms < 0) {
        return;
    }

    BSON_APPEND_DOCUMENT_BEGIN(query, "createdAt", &cond);

    if (q->before_ms >= 0) {
        BSON_APPEND_DATE_TIME(&cond, "$lt", q->before_ms);
    }

    if (q->after_ms >= 0 && q->after_ms >= floor) {
        BSON_APPEND_DATE_TIME(&cond, "$gt", q->after_ms);

    } else if (floor != INT64_MIN) {
        BSON_APPEND_DATE_TIME(&cond, "$gte", floor);
    }

    bson_append_document_end(query, &cond);
}


static bson_t *
make_query(const scan_t *s, size_t from, size_t to)
{
    bson_t                *query;
    const store_search_t  *q;

    q = s->f->q;
    query = bson_new();
    append_rooms(s, query, from, to);

    if (!s->walks) {
        append_word(s, query);

        if (q->sender) {
            BSON_APPEND_UTF8(query, "senderId", q->sender);
        }

        if (q->type) {
            BSON_APPEND_UTF8(query, "type", q->type);
        }
    }

    append_times(s, query);

    return query;
}


static bson_t *
make_opts(const scan_t *s)
{
    int64_t  batch;

    /* the whole page by the first answer, mostly */
    batch = (int64_t) s->f->need + 16;

    if (s->walks) {
        return BCON_NEW("hint", BCON_UTF8("time"),
                        "sort", "{", "createdAt", BCON_INT32(-1),
                            "seq", BCON_INT32(-1), "}",
                        "projection", "{", "editHistory", BCON_INT32(0),
                            "words", BCON_INT32(0), "}",
                        "batchSize", BCON_INT64(batch));
    }

    return BCON_NEW("hint", BCON_UTF8("words"),
                    "sort", "{", "createdAt", BCON_INT32(-1), "}",
                    "projection", "{", "conversationId", BCON_INT32(1),
                        "seq", BCON_INT32(1), "createdAt", BCON_INT32(1),
                        "content", BCON_INT32(1), "deleted", BCON_INT32(1),
                        "replyTo", BCON_INT32(1), "}",
                    "allowDiskUse", BCON_BOOL(true),
                    "batchSize", BCON_INT64(batch));
}


static int
same(const char *wanted, const json_t *row, const char *key)
{
    const char  *s;

    s = mg_text(row, key);

    return wanted == NULL || (s && strcmp(s, wanted) == 0);
}


/* A candidate. */
static void
look_at(scan_t *s, const json_t *row)
{
    room_t       *room;
    const char   *id;
    store_hit_t   hit;

    id = mg_text(row, "conversationId");
    room = store_map_get(&s->map, id, strlen(id));

    if (room == NULL || mg_int(row, "seq") > room->seq
        || json_is_true(json_object_get(row, "deleted"))
        || !store_search_within(s->f, mg_int(row, "seq"),
                                mg_text(row, "replyTo"))
        || (s->walks && (!same(s->f->q->sender, row, "senderId")
                         || !same(s->f->q->type, row, "type")))
        || !store_search_fits(s->f, json_object_get(row, "content")))
    {
        return;
    }

    memset(&hit, 0, sizeof(hit));
    hit.at = mg_time(row, "createdAt");
    hit.seq = mg_int(row, "seq");
    hit.id = mg_text(row, "_id");
    hit.conversation = room->id;
    hit.title = room->title;

    store_search_add(s->f, &hit);
}


/* Some rooms, newest first, until no more are wanted. */
static store_rc_t
scan_rooms(scan_t *s, size_t from, size_t to)
{
    bson_t           *query, *opts;
    json_t           *row;
    store_rc_t        rc;
    bson_error_t      error;
    const bson_t     *doc;
    mongoc_cursor_t  *cursor;

    query = make_query(s, from, to);
    opts = make_opts(s);
    cursor = mongoc_collection_find_with_opts(s->st->messages, query, opts,
                                              NULL);

    rc = STORE_OK;

    while (s->left > 0 && mongoc_cursor_next(cursor, &doc)) {
        row = mg_row(doc);

        if (mg_time(row, "createdAt") < store_search_floor(s->f)) {
            json_decref(row);
            break;
        }

        look_at(s, row);
        json_decref(row);
        s->left -= s->walks;

        if (s->walks
            && store_search_hopeless(s->f, s->max - s->left, s->max))
        {
            s->left = 0;
        }
    }

    if (mongoc_cursor_error(cursor, &error)) {
        rc = mg_down(s->st, "search", &error);
    }

    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);

    return rc;
}


static store_rc_t
scan(scan_t *s)
{
    size_t      from, to;
    store_rc_t  rc;

    rc = STORE_OK;

    for (from = 0; rc == STORE_OK && s->left > 0 && from < s->n; from = to) {
        to = s->n - from < ROOMS_STEP ? s->n : from + ROOMS_STEP;
        rc = scan_rooms(s, from, to);
    }

    return rc;
}


/*
 * How many messages to walk.  If one in k fits, a page takes need * k of them;
 * to sort those of M messages that fit takes M / k.  Both are the same for
 * need * k = sqrt(need * M): whoever has not found his page by then sorts
 * less than he walked.  M: of the rooms asked at a time.
 */
static int64_t
walk_max(const scan_t *s)
{
    int64_t  m, n;

    m = s->n > ROOMS_STEP ? s->messages / (int64_t) s->n * ROOMS_STEP
                          : s->messages;
    m *= (int64_t) s->f->need;

    for (n = WALK_MIN; n * n < m; n += n / 4) { /* void */ }

    return n;
}


static store_rc_t
find(store_mongo_t *st, store_finder_t *f)
{
    scan_t      s;
    store_rc_t  rc;

    memset(&s, 0, sizeof(s));
    s.st = st;
    s.f = f;

    rc = find_rooms(&s);

    if (rc != STORE_OK || s.n == 0) {
        return rc;
    }

    choose_key(&s);

    if (s.prefix && s.messages > WALK_FROM) {
        s.walks = 1;
        s.max = walk_max(&s);
        s.left = s.max;
        rc = scan(&s);

        if (rc != STORE_OK || s.left > 0) {
            return rc;
        }

        s.walks = 0;
        f->n = 0;
    }

    s.left = 1;

    return scan(&s);
}


static int
cmp_conversation(const void *a, const void *b)
{
    const store_msg_row_t  *x = a, *y = b;

    return strcmp(x->conversation, y->conversation);
}


/* The rows of the page, those of a conversation next to each other; what was
 * deleted or changed since it was found, and does not fit any more, is left
 * out. */
static store_rc_t
page_rows(store_mongo_t *st, store_finder_t *f, const store_hit_t *hit,
    size_t n, mg_messages_t *l)
{
    size_t            i, k;
    bson_t           *query;
    json_t           *ids;
    store_rc_t        rc;
    store_msg_row_t  *m;

    ids = json_object();

    for (i = 0; i < n; i++) {
        store_doc_set(ids, hit[i].id, json_null());
    }

    query = bson_new();
    mg_append_in(query, "_id", ids);
    json_decref(ids);

    rc = mg_find_messages(st, query, NULL, 0, l);

    for (i = 0, k = 0; i < l->n; i++) {
        m = &l->row[i];

        if (m->deleted_at < 0 && store_search_fits(f, m->content)) {
            l->row[k++] = *m;

        } else {
            store_doc_drop_message(m);
        }
    }

    l->n = k;

    if (k) {
        qsort(l->row, k, sizeof(store_msg_row_t), cmp_conversation);
    }

    return rc;
}


/* Documents by their ids; empties the list. */
static store_rc_t
page_docs(store_mongo_t *st, mg_messages_t *l, json_t *docs)
{
    size_t          i, from, to;
    json_t         *list, *doc;
    store_rc_t      rc;
    mg_messages_t   part;

    rc = STORE_OK;

    for (from = 0; rc == STORE_OK && from < l->n; from = to) {
        for (to = from + 1; to < l->n; to++) {
            if (cmp_conversation(&l->row[from], &l->row[to])) {
                break;
            }
        }

        part.arena = l->arena;
        part.row = l->row + from;
        part.n = to - from;
        part.max = part.n;

        list = NULL;
        rc = mg_message_docs(st, l->row[from].conversation, &part, &list);

        json_array_foreach(list, i, doc) {
            store_doc_set(docs, mg_text(doc, "id"), json_incref(doc));
        }

        json_decref(list);
    }

    mg_drop_messages(l);

    return rc;
}


static store_rc_t
results(store_mongo_t *st, store_finder_t *f, json_t *out)
{
    size_t              i, n;
    json_t             *docs, *doc;
    store_rc_t          rc;
    mg_messages_t       l;
    const store_hit_t  *hit;

    hit = store_search_page(f, &n);

    if (n == 0) {
        return STORE_OK;
    }

    memset(&l, 0, sizeof(mg_messages_t));
    docs = json_object();
    rc = page_rows(st, f, hit, n, &l);

    if (rc == STORE_OK) {
        rc = page_docs(st, &l, docs);
    }

    for (i = 0; rc == STORE_OK && i < n; i++) {
        doc = json_object_get(docs, hit[i].id);

        if (doc) {
            store_doc_append(out, store_search_result(f, json_incref(doc),
                                                      hit[i].conversation,
                                                      hit[i].title));
        }
    }

    json_decref(docs);

    return rc;
}


store_rc_t
store_mongo_search(store_t *base, store_finder_t *f, json_t *out)
{
    store_rc_t      rc;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;
    rc = find(st, f);

    return rc == STORE_OK ? results(st, f, out) : rc;
}
