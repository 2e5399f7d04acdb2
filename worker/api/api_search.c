/*
 * api_search.c: GET /api/search, and ?search= of a conversation's messages.
 *
 * What is asked for and how it is matched: worker/store/words.h.  Only
 * conversations in which the caller is now, with the permission to read, are
 * looked at; one that he names and may not see is "not found".  An
 * acknowledged message is found: the call waits for the store as the lists do.
 */

#include <string.h>

#include "worker/api/api.h"

static const char *const  search_types[] = {
    "text", "file", "image", "system", "sticker", NULL
};


/* The store says what is wrong with a question ("a search must ..."). */
static api_rc_t
search_failed(api_t *a, call_t *c, store_t *st, store_rc_t rc,
    const char *field)
{
    if (rc == STORE_REJECTED) {
        return api_error(c, 400, "invalid_request", field, store_error(st));
    }

    role_store_result(a->role, rc);

    return api_store_error(a, c, rc);
}


/* page and limit; 0, -1: answered. */
static int
search_page(call_t *c, store_search_t *q)
{
    int64_t  page, limit;

    page = 1;
    limit = WRT_PAGE_SEARCH;

    if (api_param_int(c, "page", 1, WRT_SEARCH_DEPTH_MAX, &page) != 0
        || api_param_int(c, "limit", 1, WRT_PAGE_SEARCH_MAX, &limit) != 0)
    {
        return -1;
    }

    q->page = (int) page;
    q->limit = (int) limit;

    return 0;
}


static json_t *
search_pagination(const store_search_t *q, int more)
{
    return json_pack("{s:i, s:i, s:b}", "page", q->page, "limit", q->limit,
                     "hasMore", more);
}


/* What was asked; 0, -1: answered. */
static int
search_params(call_t *c, store_search_t *q)
{
    memset(q, 0, sizeof(*q));
    q->user = c->user;
    q->before_ms = -1;
    q->after_ms = -1;

    if (api_param_text(c, "q", WRT_SEARCH_MAX, &q->q) != 0
        || api_param_id(c, "conversationId", &q->conversation) != 0
        || api_param_id(c, "from", &q->sender) != 0
        || api_param_one_of(c, "type", search_types,
                            "text, file, image, system or sticker", &q->type)
           != 0
        || api_param_time(c, "before", &q->before_ms) != 0
        || api_param_time(c, "after", &q->after_ms) != 0
        || search_page(c, q) != 0)
    {
        return -1;
    }

    if (q->q == NULL) {
        api_error(c, 400, "invalid_request", "q", "q is required");
        return -1;
    }

    return 0;
}


/* Until the store has all that there was to find.  1: wait, 0, -1: answered. */
static int
search_wait(api_t *a, call_t *c, const char *conversation)
{
    access_t  access;

    if (conversation == NULL) {
        return c->step == 0 ? api_wait_user(a, c, c->user) : 0;
    }

    if (api_access(a, c, conversation, &access) != 0
        || may_read(c, &access) != 0)
    {
        return -1;
    }

    return c->step == 0
           && api_wait_conv(c, conversation, access.seq, access.applied);
}


api_rc_t
search(api_t *a, call_t *c)
{
    int              more, rc;
    json_t          *list;
    store_t         *st;
    store_rc_t       src;
    store_search_t   q;

    if (search_params(c, &q) != 0) {
        return API_DONE;
    }

    rc = search_wait(a, c, q.conversation);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    if (q.conversation && c->rights) {
        q.user = NULL;      /* who runs the place may look into any */
    }

    src = store_search(st, &q, &list, &more);

    if (src != STORE_OK) {
        return search_failed(a, c, st, src, "q");
    }

    return api_ok(c, 200, NULL, json_pack("{s:o, s:o}", "results", list,
                                          "pagination",
                                          search_pagination(&q, more)));
}


api_rc_t
search_messages(api_t *a, call_t *c, const store_page_t *page)
{
    int              more;
    size_t           i;
    json_t          *list, *messages, *v;
    store_t         *st;
    store_rc_t       rc;
    store_search_t   q;

    memset(&q, 0, sizeof(q));
    q.user = c->rights ? NULL : c->user;
    q.conversation = page->conversation;
    q.before_ms = page->before_ms;
    q.after_ms = -1;

    if (page->before_seq >= 0) {
        /* 0 would be no bound; there is nothing before 1 either */
        q.before_seq = page->before_seq > 0 ? page->before_seq : 1;
    }

    q.after_seq = page->after_seq > 0 ? page->after_seq : 0;
    q.thread_of = page->thread_of;
    q.page = page->page;
    q.limit = page->limit;

    if (api_param_text(c, "search", WRT_SEARCH_MAX, &q.q) != 0) {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_search(st, &q, &list, &more);

    if (rc != STORE_OK) {
        return search_failed(a, c, st, rc, "search");
    }

    messages = json_array();

    json_array_foreach(list, i, v) {
        json_array_append(messages, json_object_get(v, "message"));
    }

    json_decref(list);

    return api_ok(c, 200, NULL, json_pack("{s:o, s:o}", "messages", messages,
                                          "pagination",
                                          search_pagination(&q, more)));
}
