/*
 * store_search.c: searching, as far as it is the same for both stores: what is
 * searched of a message, whether it has what is asked for, which page of the
 * results it is on and how a result looks.
 *
 * A store only finds candidates by its index, newest first; each is looked at
 * here, so that a store may offer too many and the results are the same.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/store/store_internal.h"

#define MARKS_MAX  3            /* excerpts of a message */
#define WALK_TRY   256          /* messages, before a walk is judged */


/* The texts of a message that are searched: what was written, and the name of
 * a file.  Returns their number. */
static size_t
texts(const json_t *content, const json_t *out[2])
{
    size_t         n;
    const json_t  *name;

    n = 0;
    out[0] = json_object_get(content, "text");
    n += json_string_length(out[0]) > 0;

    name = json_object_get(json_object_get(content, "fileInfo"), "fileName");
    out[n] = name;
    n += json_string_length(name) > 0;

    return n;
}


size_t
store_search_words(store_t *st, const json_t *content,
    const char *const **out)
{
    size_t         i, n;
    const json_t  *text[2];

    n = texts(content, text);
    words_cut(&st->words, "", 0);

    for (i = 0; i < n; i++) {
        words_more(&st->words, json_string_value(text[i]),
                   json_string_length(text[i]));
    }

    return words_distinct(&st->words, out);
}


int
store_search_within(const store_finder_t *f, int64_t seq, const char *reply_to)
{
    const store_search_t  *q;

    q = f->q;

    return seq > q->after_seq && (q->before_seq == 0 || seq < q->before_seq)
           && (q->thread_of == NULL
               || (reply_to && strcmp(reply_to, q->thread_of) == 0));
}


int
store_search_fits(store_finder_t *f, const json_t *content)
{
    size_t         i, n;
    uint32_t       found;
    const json_t  *text[2];

    found = 0;
    n = texts(content, text);

    for (i = 0; i < n; i++) {
        words_cut(&f->st->words, json_string_value(text[i]),
                  json_string_length(text[i]));
        found |= words_find(f->query, &f->st->words);
    }

    return found == words_all(f->query);
}


int64_t
store_search_floor(const store_finder_t *f)
{
    return f->n < f->need ? INT64_MIN : f->hit[f->need - 1].at;
}


int
store_search_hopeless(const store_finder_t *f, int64_t walked, int64_t max)
{
    return walked >= WALK_TRY
           && 2 * (int64_t) f->n * max < (int64_t) f->need * walked;
}


/* Newest first, at the same time by room, descending; within a room, whose
 * times never go back, so by number: ids of several nodes say nothing of it. */
static int
before(const store_hit_t *a, const store_hit_t *b)
{
    int  room;

    if (a->at != b->at) {
        return a->at > b->at;
    }

    room = strcmp(a->conversation, b->conversation);

    return room ? room > 0 : a->seq > b->seq;
}


void
store_search_add(store_finder_t *f, const store_hit_t *hit)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = f->n;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (before(hit, &f->hit[mid])) {
            hi = mid;

        } else {
            lo = mid + 1;
        }
    }

    if (lo == f->need) {
        return;
    }

    f->n += f->n < f->need;
    memmove(&f->hit[lo + 1], &f->hit[lo],
            (f->n - lo - 1) * sizeof(store_hit_t));

    f->hit[lo] = *hit;
    f->hit[lo].id = store_strndup(&f->st->arena, hit->id, strlen(hit->id));
}


const store_hit_t *
store_search_page(const store_finder_t *f, size_t *n)
{
    *n = f->n > f->first ? f->n - f->first : 0;
    *n = *n < f->count ? *n : f->count;

    return f->hit + f->first;
}


static json_t *
highlights(store_finder_t *f, const json_t *content)
{
    char          *mark[MARKS_MAX];
    size_t         i, k, n, count;
    json_t        *list;
    const json_t  *text[2];

    list = json_array();
    n = texts(content, text);

    for (i = 0; i < n; i++) {
        words_cut(&f->st->words, json_string_value(text[i]),
                  json_string_length(text[i]));
        count = words_mark(f->query, &f->st->words,
                           json_string_value(text[i]),
                           json_string_length(text[i]), mark,
                           MARKS_MAX - json_array_size(list));

        for (k = 0; k < count; k++) {
            store_doc_append(list, store_doc_string(mark[k]));
            free(mark[k]);
        }
    }

    return list;
}


json_t *
store_search_result(store_finder_t *f, json_t *message, const char *id,
    const char *title)
{
    json_t  *o, *conversation;

    conversation = json_object();
    store_doc_set(conversation, "id", store_doc_string(id));
    store_doc_set(conversation, "title", store_doc_string(title));

    o = json_object();
    store_doc_set(o, "highlights",
                  highlights(f, json_object_get(message, "content")));
    store_doc_set(o, "message", message);
    store_doc_set(o, "conversation", conversation);

    return o;
}


store_rc_t
store_search_run(store_t *st, const store_search_t *q, json_t **out,
    int *more)
{
    store_rc_t       rc;
    const char      *why;
    store_finder_t   f;
    words_query_t    query;

    memset(&query, 0, sizeof(query));

    if (words_query(&query, q->q, &why) != 0) {
        return store_fail(st, STORE_REJECTED, "a search must %s", why);
    }

    memset(&f, 0, sizeof(f));
    f.st = st;
    f.q = q;
    f.query = &query;
    f.first = (size_t) (q->page - 1) * (size_t) q->limit;

    if (f.first < WRT_SEARCH_DEPTH_MAX) {
        f.count = WRT_SEARCH_DEPTH_MAX - f.first;
        f.count = f.count < (size_t) q->limit ? f.count : (size_t) q->limit;

    } else {
        /* nothing to be had; whether he may ask is still to be said */
        f.first = 0;
    }

    f.need = f.first + f.count + 1;
    f.hit = store_alloc(&st->arena, f.need * sizeof(store_hit_t));
    *out = json_array();

    rc = st->ops->search(st, &f, *out);

    *more = f.count > 0 && f.n == f.need
            && f.first + f.count < WRT_SEARCH_DEPTH_MAX;

    words_query_free(&query);

    return rc;
}
