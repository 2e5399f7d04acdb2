/*
 * ngx_http_writeen_fill.c: filling a hole in a room (invariants 2 to 4 of
 * room.c): from the log, from the store when the log is shorter
 * (fill_store.c), and raising Redis when it has lost numbers.
 *
 *     fill --ok--> filled: what was held goes on
 *      |  \--old, many--> how does it stand? --> store --> fill
 *      |   \--noload--> load --> fill
 *      |    \--Redis stands lower--> fence --> fill
 *      +-- no answer --> later: with the next tick, or when Redis is back
 */

#include "ngx_http_writeen_catch.h"


static void ngx_http_writeen_room_fill_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_room_fill_page(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_http_writeen_result_t *res);
static void ngx_http_writeen_room_fill_ask(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_uint_t stands);
static void ngx_http_writeen_room_filled(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_fence(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, int64_t known);
static void ngx_http_writeen_room_fence_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_room_fill_load(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_loaded(void *data, ngx_int_t ok);


/*
 * The smallest and the largest number that a link stands at, -1 for none; from
 * the smallest on they need everything.  1: one of them does not know, since
 * Redis did not have the room then.
 */

static ngx_uint_t
ngx_http_writeen_room_links_stand(ngx_http_writeen_room_t *rm, int64_t *low,
    int64_t *high)
{
    ngx_uint_t                unknown;
    ngx_queue_t              *q;
    ngx_http_writeen_link_t  *l;

    *low = -1;
    *high = -1;
    unknown = 0;

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = ngx_queue_next(q))
    {
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

        /* others read from where they stand */

        if (l->state != NGX_HTTP_WRITEEN_LINK_LIVE) {
            continue;
        }

        if (l->seq == -1) {
            unknown = 1;
            continue;
        }

        *low = (*low == -1) ? l->seq : ngx_min(*low, l->seq);
        *high = ngx_max(*high, l->seq);
    }

    return unknown;
}


void
ngx_http_writeen_room_known(ngx_http_writeen_room_t *rm, int64_t seq)
{
    int64_t  low, high;

    if (rm->seq != -1
        || ngx_http_writeen_room_links_stand(rm, &low, &high))
    {
        return;
    }

    rm->seq = (low == -1) ? seq : ngx_min(low, seq);
    ngx_http_writeen_room_unkept(rm, rm->seq);
}


ngx_http_writeen_fill_t *
ngx_http_writeen_room_fill_op(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_http_writeen_fill_t  *op;

    op = ngx_calloc(sizeof(ngx_http_writeen_fill_t), wk->log);

    if (op != NULL) {
        op->worker = wk;
        op->len = rm->node.str.len;
        ngx_memcpy(op->id, rm->id, op->len);
    }

    return op;
}


ngx_http_writeen_room_t *
ngx_http_writeen_room_fill_done(ngx_http_writeen_fill_t *op)
{
    ngx_http_writeen_room_t  *rm;

    rm = ngx_http_writeen_room_get(op->worker, (char *) op->id, op->len, 0);
    ngx_free(op);

    if (rm == NULL || !rm->asked) {
        return NULL;
    }

    rm->asked = 0;

    return rm;
}


void
ngx_http_writeen_room_fill_later(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    rm->retry = 1;
    wk->refill = 1;
}


void
ngx_http_writeen_room_fill(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    rm->filling = 1;
    rm->retry = 0;

    if (rm->asked) {
        rm->again = 1;
        return;
    }

    rm->again = 0;

    if (rm->origin != -1) {
        /* what the store began it ends, as in catch.c */
        ngx_http_writeen_room_fill_store(wk, rm, NULL);
        return;
    }

    ngx_http_writeen_room_fill_ask(wk, rm, rm->passed);
}


/* stands: where everybody's cursors stand, too, which is costly. */

static void
ngx_http_writeen_room_fill_ask(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_uint_t stands)
{
    char                      conv[WRT_NAME_BUF], log[WRT_NAME_BUF];
    ngx_http_writeen_args_t   a;
    ngx_http_writeen_fill_t  *op;
    ngx_http_writeen_held_t  *held;

    op = ngx_http_writeen_room_fill_op(wk, rm);
    if (op == NULL) {
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    op->stands = stands;
    op->asked = rm->seq;

    if (!ngx_queue_empty(&rm->hold)) {
        held = ngx_queue_data(ngx_queue_head(&rm->hold),
                              ngx_http_writeen_held_t, queue);
        op->heard = held->msg->seq;
    }

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_CATCH);
    ngx_http_writeen_arg_lit(&a, "2");
    ngx_http_writeen_arg(&a, conv, wrt_key_conv(conv, rm->shard,
                                                (char *) op->id, op->len));
    ngx_http_writeen_arg(&a, log, wrt_key_log(log, rm->shard,
                                              (char *) op->id, op->len));
    ngx_http_writeen_arg_lit(&a, "");
    ngx_http_writeen_arg_num(&a, rm->seq);
    ngx_http_writeen_arg_num(&a, WRT_RESUME_MAX);
    ngx_http_writeen_arg(&a, stands ? "1" : "0", 1);
    ngx_http_writeen_arg_num(&a, NGX_HTTP_WRITEEN_FILL_PAGE);

    if (ngx_http_writeen_bus_call(wk,
                                  ngx_http_writeen_bus_server(wk, rm->shard),
                                  &a, ngx_http_writeen_room_fill_reply, op)
        != NGX_OK)
    {
        ngx_free(op);
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    rm->asked = 1;
}


/*
 * Where a room that does not know its number begins: where its links stand, or
 * with what the log holds, for those that came when Redis did not have the
 * room: all of that came later.  Returns what Redis must not be below.
 */

static int64_t
ngx_http_writeen_room_fill_from(ngx_http_writeen_room_t *rm, int64_t floor)
{
    int64_t     low, high;
    ngx_uint_t  unknown;

    unknown = ngx_http_writeen_room_links_stand(rm, &low, &high);

    if (rm->seq == -1) {
        rm->seq = (low == -1) ? floor
                  : unknown ? ngx_min(low, floor) : low;
        ngx_http_writeen_room_unkept(rm, rm->seq);
    }

    return ngx_max(rm->seq, high);
}


static void
ngx_http_writeen_room_fill_reply(void *data, ngx_http_writeen_result_t *res)
{
    int64_t                     seq, asked, heard, known;
    ngx_uint_t                  stands;
    ngx_http_writeen_fill_t    *op = data;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_worker_t  *wk;

    wk = op->worker;
    stands = op->stands;
    asked = op->asked;
    heard = op->heard;
    rm = ngx_http_writeen_room_fill_done(op);

    if (rm == NULL) {
        return;
    }

    seq = ngx_http_writeen_result_num(res, 0);

    if (res->rc == NGX_HTTP_WRITEEN_R_OK || res->rc == NGX_HTTP_WRITEEN_R_OLD
        || res->rc == NGX_HTTP_WRITEEN_R_MANY)
    {
        known = ngx_http_writeen_room_fill_from(rm,
                                        ngx_http_writeen_result_num(res, 2));

        /* what was heard before it was asked it has had */
        known = ngx_max(known, heard);

        if (seq < known) {
            ngx_http_writeen_room_fence(wk, rm, known);
            return;
        }

        if ((asked == -1 || asked > rm->seq) && rm->seq < seq) {
            /* its number was not known then */
            ngx_http_writeen_room_fill(wk, rm);
            return;
        }
    }

    if (rm->hopeless && res->rc == NGX_HTTP_WRITEEN_R_OK) {
        /* the log reaches back to what the store has told, but not to what it
         * would have told next: as in catch.c */
        res->rc = NGX_HTTP_WRITEEN_R_MANY;
    }

    switch (res->rc) {

    case NGX_HTTP_WRITEEN_R_OK:

        if (rm->passed && stands) {
            ngx_http_writeen_room_muster(wk, rm, res);
        }

        ngx_http_writeen_room_fill_page(wk, rm, res);
        return;

    case NGX_HTTP_WRITEEN_R_OLD:
    case NGX_HTTP_WRITEEN_R_MANY:

        if (!stands) {
            ngx_http_writeen_room_fill_ask(wk, rm, 1);
            return;
        }

        /* that somebody was taken out may be in the hole */
        ngx_http_writeen_room_muster(wk, rm, res);

        if (res->rc == NGX_HTTP_WRITEEN_R_OLD && !rm->hopeless) {
            ngx_http_writeen_room_fill_store(wk, rm, res);
            return;
        }

        rm->hopeless = 0;
        ngx_http_writeen_room_resync(rm, seq);
        ngx_http_writeen_room_filled(wk, rm);
        return;

    case NGX_HTTP_WRITEEN_R_NOLOAD:
        ngx_http_writeen_room_fill_load(wk, rm);
        return;

    default:
        ngx_http_writeen_room_fill_later(wk, rm);
    }
}


/* The log has it. */

static void
ngx_http_writeen_room_fill_page(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_http_writeen_result_t *res)
{
    int64_t     seq;
    ngx_str_t   payload;
    ngx_uint_t  i, n;

    seq = ngx_http_writeen_result_num(res, 0);
    n = ngx_http_writeen_result_count(res, 3);

    for (i = 0; i < n; i++) {
        if (ngx_http_writeen_result_sub(res, 3, i, &payload) == NGX_OK) {
            ngx_http_writeen_room_fill_payload(rm, &payload);
        }
    }

    if (n != 0 && rm->seq < seq) {
        /* the next page */
        ngx_http_writeen_room_fill(wk, rm);
        return;
    }

    rm->seq = ngx_max(rm->seq, seq);
    ngx_http_writeen_room_filled(wk, rm);
}


/* It must not start again below what we have seen. */

static void
ngx_http_writeen_room_fill_load(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    wrt_slice_t               id;
    ngx_http_writeen_fill_t  *op;

    if (rm->seq <= 0) {
        ngx_http_writeen_room_filled(wk, rm);
        return;
    }

    op = ngx_http_writeen_room_fill_op(wk, rm);

    if (op != NULL) {
        id.p = (char *) rm->id;
        id.n = rm->node.str.len;

        op->wait.handler = ngx_http_writeen_room_loaded;
        op->wait.data = op;

        if (ngx_http_writeen_load(wk, id, &op->wait) == NGX_OK) {
            rm->asked = 1;
            return;
        }

        ngx_free(op);
    }

    ngx_http_writeen_room_fill_later(wk, rm);
}


static void
ngx_http_writeen_room_loaded(void *data, ngx_int_t ok)
{
    ngx_http_writeen_fill_t    *op = data;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_worker_t  *wk;

    wk = op->worker;
    rm = ngx_http_writeen_room_fill_done(op);

    if (rm == NULL) {
        return;
    }

    if (ok == 1) {
        ngx_http_writeen_room_fill(wk, rm);

    } else if (ok == 0) {
        ngx_http_writeen_room_filled(wk, rm);

    } else {
        ngx_http_writeen_room_fill_later(wk, rm);
    }
}


void
ngx_http_writeen_room_fill_payload(ngx_http_writeen_room_t *rm,
    ngx_str_t *payload)
{
    wrt_bus_header_t          h;
    ngx_http_writeen_held_t  *held;

    if (wrt_bus_parse(&h, (char *) payload->data, payload->len) != 0
        || h.num[0] <= rm->seq)
    {
        return;
    }

    held = ngx_http_writeen_room_held(&h);

    if (held != NULL) {
        held->filled = 1;
        ngx_http_writeen_room_accept(rm, held);
    }
}


/* No hole any more: what was held goes on, up to the next hole. */

static void
ngx_http_writeen_room_filled(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_queue_t              *q;
    ngx_http_writeen_held_t  *held;

    if (rm->again) {
        /* what came while nobody was subscribed may be in no answer yet */
        ngx_http_writeen_room_fill(wk, rm);
        return;
    }

    while (!ngx_queue_empty(&rm->hold)) {
        q = ngx_queue_head(&rm->hold);
        held = ngx_queue_data(q, ngx_http_writeen_held_t, queue);

        if (rm->seq >= 0 && held->msg->seq > rm->seq + 1
            && !(held->msg->kind == WRT_EV_FENCE && held->before <= rm->seq))
        {
            ngx_http_writeen_room_fill(wk, rm);
            return;
        }

        ngx_queue_remove(q);
        rm->nhold--;
        rm->hold_bytes -= held->msg->len;

        if (held->msg->seq > rm->seq) {
            ngx_http_writeen_room_accept(rm, held);

        } else {
            ngx_http_writeen_room_held_free(held);
        }
    }

    rm->filling = 0;
    rm->hopeless = 0;
    rm->failing = 0;
}


static void
ngx_http_writeen_room_fence(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, int64_t known)
{
    ngx_http_writeen_fill_t  *op;

    op = ngx_http_writeen_room_fill_op(wk, rm);

    if (op == NULL
        || ngx_http_writeen_fence(wk, (char *) rm->id, rm->node.str.len,
                                  known, INT32_MAX,
                                  ngx_http_writeen_room_fence_reply, op)
           != NGX_OK)
    {
        if (op != NULL) {
            ngx_free(op);
        }

        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    rm->asked = 1;
}


static void
ngx_http_writeen_room_fence_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_fill_t    *op = data;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_worker_t  *wk;

    wk = op->worker;
    rm = ngx_http_writeen_room_fill_done(op);

    if (rm == NULL) {
        return;
    }

    if (res->rc == NGX_HTTP_WRITEEN_R_OK) {
        ngx_log_error(NGX_LOG_WARN, wk->log, 0,
                      "writeen: redis had lost events of conversation \"%V\", "
                      "numbers go on after %L", &rm->node.str, rm->seq);
        ngx_http_writeen_room_fill(wk, rm);
        return;
    }

    ngx_http_writeen_room_fill_later(wk, rm);
}
