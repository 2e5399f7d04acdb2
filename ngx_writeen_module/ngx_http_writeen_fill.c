/*
 * ngx_http_writeen_fill.c: filling a hole in a room (invariants 2 to 4 of
 * room.c): from the log, from the store when the log is shorter, and raising
 * Redis when it has lost numbers.
 *
 *     fill --ok--> filled: what was held goes on
 *      |  \--old--> store --> fill        \--noload--> load --> fill
 *      |   \--Redis stands lower--> fence --> fill
 *      +-- no answer --> later: with the next tick, or when Redis is back
 */

#include "ngx_http_writeen_catch.h"


/* Bytes read and given out in one turn: all members get them at once. */
#define NGX_HTTP_WRITEEN_FILL_PAGE  65536

/*
 * A fill under way.  The room is found by its id when the answer comes: it may
 * have been freed meanwhile.
 */
typedef struct {
    ngx_http_writeen_worker_t     *worker;
    ngx_http_writeen_load_wait_t   wait;
    size_t                         len;
    u_char                         id[WRT_ID_MAX];
} ngx_http_writeen_fill_t;


static void ngx_http_writeen_room_fill_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_room_filled(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_fill_payload(ngx_http_writeen_room_t *rm,
    ngx_str_t *payload);
static void ngx_http_writeen_room_fill_store(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_store_reply(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_room_fence(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_fence_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_room_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_room_resync(ngx_http_writeen_room_t *rm,
    int64_t seq);


static ngx_http_writeen_fill_t *
ngx_http_writeen_room_fill_op(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_http_writeen_fill_t  *op;

    op = ngx_alloc(sizeof(ngx_http_writeen_fill_t), wk->log);

    if (op != NULL) {
        op->worker = wk;
        op->len = rm->node.str.len;
        ngx_memcpy(op->id, rm->id, op->len);
    }

    return op;
}


/* The room of an answered fill; frees the fill.  NULL: it is gone. */

static ngx_http_writeen_room_t *
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


static void
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
    char                      conv[WRT_NAME_BUF], log[WRT_NAME_BUF];
    ngx_http_writeen_args_t   a;
    ngx_http_writeen_fill_t  *op;

    rm->filling = 1;
    rm->retry = 0;

    if (rm->asked) {
        return;
    }

    if (rm->origin != -1) {
        /* what the store began it ends, as in catch.c */
        ngx_http_writeen_room_fill_store(wk, rm);
        return;
    }

    op = ngx_http_writeen_room_fill_op(wk, rm);
    if (op == NULL) {
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
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
    ngx_http_writeen_arg_lit(&a, "0");
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


static void
ngx_http_writeen_room_fill_reply(void *data, ngx_http_writeen_result_t *res)
{
    int64_t                     seq, floor;
    ngx_str_t                   payload;
    ngx_uint_t                  i, n;
    ngx_http_writeen_fill_t    *op = data;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_worker_t  *wk;

    wk = op->worker;
    rm = ngx_http_writeen_room_fill_done(op);

    if (rm == NULL) {
        return;
    }

    seq = ngx_http_writeen_result_num(res, 0);
    floor = ngx_http_writeen_result_num(res, 2);

    switch (res->rc) {

    case NGX_HTTP_WRITEEN_R_OK:

        if (rm->seq == -1) {
            /*
             * It was not in Redis when we subscribed, so whatever its log
             * holds now came after that.
             */
            rm->seq = floor;

            if (floor < seq) {
                ngx_http_writeen_room_fill(wk, rm);
                return;
            }
        }

        if (seq < rm->seq) {
            ngx_http_writeen_room_fence(wk, rm);
            return;
        }

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
        return;

    case NGX_HTTP_WRITEEN_R_OLD:
        ngx_http_writeen_room_fill_store(wk, rm);
        return;

    case NGX_HTTP_WRITEEN_R_MANY:
        ngx_http_writeen_room_resync(rm, seq);
        ngx_http_writeen_room_filled(wk, rm);
        return;

    case NGX_HTTP_WRITEEN_R_NOLOAD:

        if (rm->seq <= 0) {
            ngx_http_writeen_room_filled(wk, rm);
            return;
        }

        /* it must not start again below what we have seen */

        op = ngx_http_writeen_room_fill_op(wk, rm);

        if (op != NULL) {
            wrt_slice_t  id = { (char *) rm->id, rm->node.str.len };

            op->wait.handler = ngx_http_writeen_room_loaded;
            op->wait.data = op;

            if (ngx_http_writeen_load(wk, id, &op->wait) == NGX_OK) {
                rm->asked = 1;
                return;
            }

            ngx_free(op);
        }

        /* fall through */

    default:
        ngx_http_writeen_room_fill_later(wk, rm);
    }
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


/* One event read from the log or the store. */

static void
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

        if (held->msg->seq > rm->seq) {
            ngx_http_writeen_room_accept(rm, held);

        } else {
            ngx_http_writeen_room_held_free(held);
        }
    }

    rm->filling = 0;
}


static void
ngx_http_writeen_room_fill_store(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    u_char                    query[3 * NGX_INT64_LEN + 3];
    ngx_http_writeen_call_t   call;
    ngx_http_writeen_fill_t  *op;

    op = ngx_http_writeen_room_fill_op(wk, rm);
    if (op == NULL) {
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    if (rm->origin == -1) {
        rm->origin = rm->seq;
    }

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_CHANGES);
    call.path.data = op->id;
    call.path.len = op->len;
    call.query.data = query;
    call.query.len = ngx_sprintf(query, "%L %L %d", rm->seq, rm->origin,
                                 NGX_HTTP_WRITEEN_FILL_PAGE)
                     - query;
    call.timeout = WRT_RPC_TIMEOUT_MS;

    if (ngx_http_writeen_rpc_call(wk, &call,
                                  ngx_http_writeen_room_store_reply, op)
        == NULL)
    {
        ngx_free(op);
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    rm->asked = 1;
}


static void
ngx_http_writeen_room_store_reply(void *data,
    ngx_http_writeen_reply_t *reply)
{
    int64_t                     upto;
    ngx_str_t                   payload;
    ngx_uint_t                  n;
    ngx_http_writeen_fill_t    *op = data;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_lines_t    lines;
    ngx_http_writeen_worker_t  *wk;

    wk = op->worker;
    rm = ngx_http_writeen_room_fill_done(op);

    if (rm == NULL) {
        return;
    }

    if (reply->status == 200
        && ngx_http_writeen_lines_first(&lines, &reply->body, &upto) == NGX_OK)
    {
        for (n = 0;
             ngx_http_writeen_lines_next(&lines, &payload) == NGX_OK;
             n++)
        {
            ngx_http_writeen_room_fill_payload(rm, &payload);
        }

        if (n == lines.n) {
            rm->origin = -1;
        }

        rm->seq = ngx_max(rm->seq, upto);
        ngx_http_writeen_room_fill(wk, rm);
        return;
    }

    if (reply->status == 413 || reply->status == 404) {
        /* too much for anybody: they shall read anew; go on from the log */
        rm->seq = -1;
        rm->origin = -1;
        ngx_http_writeen_room_resync(rm, -1);
        ngx_http_writeen_room_fill(wk, rm);
        return;
    }

    ngx_http_writeen_room_fill_later(wk, rm);
}


static void
ngx_http_writeen_room_fence(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    ngx_http_writeen_fill_t  *op;

    op = ngx_http_writeen_room_fill_op(wk, rm);

    if (op == NULL
        || ngx_http_writeen_fence(wk, (char *) rm->id, rm->node.str.len,
                                  rm->seq, INT32_MAX,
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


/* Too many events were missed: everybody in the room shall read anew. */

static void
ngx_http_writeen_room_resync(ngx_http_writeen_room_t *rm, int64_t seq)
{
    ngx_queue_t              *q, *next;
    ngx_http_writeen_link_t  *l;

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = next)
    {
        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

        if (l->state == NGX_HTTP_WRITEEN_LINK_LIVE) {
            ngx_http_writeen_link_resync(l, seq);
        }
    }

    if (seq >= 0) {
        rm->seq = seq;
    }
}
