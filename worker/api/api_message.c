/*
 * api_message.c: GET /api/conversations/:id/messages.
 */

#include <string.h>

#include "worker/api/api.h"


api_rc_t
message_list(api_t *a, call_t *c)
{
    int            more, waits;
    json_t        *list, *data;
    int64_t        page, limit;
    store_t       *st;
    access_t       access;
    store_rc_t     rc;
    const char    *wanted;
    store_page_t   q;

    wanted = NULL;
    memset(&q, 0, sizeof(q));
    q.conversation = c->ids[0];
    q.before_ms = -1;
    q.before_seq = -1;
    q.after_seq = -1;
    page = 1;
    limit = WRT_PAGE_MESSAGES;

    if (api_param_int(c, "page", 1, INT32_MAX, &page) != 0
        || api_param_int(c, "limit", 1, WRT_PAGE_MESSAGES_MAX, &limit) != 0
        || api_param_time(c, "before", &q.before_ms) != 0
        || api_param_int(c, "beforeSeq", 0, (int64_t) 1 << 53, &q.before_seq)
           != 0
        || api_param_int(c, "afterSeq", 0, (int64_t) 1 << 53, &q.after_seq)
           != 0
        || api_param_id(c, "threadOf", &q.thread_of) != 0
        || api_param_text(c, "search", WRT_SEARCH_MAX, &wanted) != 0)
    {
        return API_DONE;
    }

    /* asked again after a wait: who was put out meanwhile sees nothing */
    if (api_access(a, c, q.conversation, &access) != 0
        || may_read(c, &access) != 0)
    {
        return API_DONE;
    }

    if (c->step == 0) {
        waits = api_wait_state(a, c, q.conversation, &access);

        if (waits != 0) {
            return waits < 0 ? API_DONE : API_WAIT;
        }
    }

    q.page = (int) page;
    q.limit = (int) limit;
    q.applied = access.applied > 0 ? access.applied : 0;
    q.consults = access.consults;

    if (wanted) {
        return search_messages(a, c, &q);
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_messages(st, &q, &list, &more);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    data = json_pack("{s:o, s:{s:I, s:I, s:b}}", "messages", list,
                     "pagination", "page", (json_int_t) page,
                     "limit", (json_int_t) limit, "hasMore", more);

    return api_ok(c, 200, NULL, data);
}
