/*
 * ngx_http_writeen_catch_step.c: side steps of catching up: a conversation that
 * is not in Redis, a log that does not reach back, a number that Redis has
 * lost.
 */

#include "ngx_http_writeen_catch.h"


static void ngx_http_writeen_catch_loaded(void *data, ngx_int_t ok);
static void ngx_http_writeen_catch_store_reply(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_catch_fence_reply(void *data,
    ngx_http_writeen_result_t *res);


/* -- side steps -- */

void
ngx_http_writeen_catch_load(ngx_http_writeen_catch_t *op)
{
    wrt_slice_t  id;

    id.p = (char *) op->id;
    id.n = op->len;

    op->wait.handler = ngx_http_writeen_catch_loaded;
    op->wait.data = op;

    if (ngx_http_writeen_load(op->worker, id, &op->wait) != NGX_OK) {

        if (ngx_http_writeen_store_failed(op->worker, &op->failing,
                                          NGX_HTTP_WRITEEN_STORE_WAIT))
        {
            ngx_http_writeen_catch_refuse(op, "unavailable");
            return;
        }

        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_catch_loaded(void *data, ngx_int_t ok)
{
    ngx_http_writeen_catch_t  *op = data;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (ok == 1) {
        ngx_http_writeen_catch_run(op);
        return;
    }

    ngx_http_writeen_catch_refuse(op, ok == 0 ? "not_found" : "unavailable");
}


void
ngx_http_writeen_catch_store(ngx_http_writeen_catch_t *op)
{
    u_char                   query[3 * NGX_INT64_LEN + 3];
    ngx_http_writeen_call_t  call;

    if (ngx_http_writeen_store_away(op->worker)) {
        ngx_http_writeen_catch_give_up(op);
        return;
    }

    if (!op->compact) {
        /* what the log has given is not new */
        op->origin = op->after;
    }

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_CHANGES);
    call.path.data = op->id;
    call.path.len = op->len;
    call.query.data = query;
    call.query.len = ngx_sprintf(query, "%L %L %uz", op->after, op->origin,
                                 op->op.session->conf->send_queue / 4)
                     - query;
    call.timeout = WRT_RPC_TIMEOUT_MS;

    if (ngx_http_writeen_rpc_call(op->worker, &call,
                                  ngx_http_writeen_catch_store_reply, op)
        == NULL)
    {
        if (ngx_http_writeen_store_failed(op->worker, &op->failing,
                                          NGX_HTTP_WRITEEN_STORE_WAIT))
        {
            ngx_http_writeen_catch_give_up(op);
            return;
        }

        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_catch_store_reply(void *data,
    ngx_http_writeen_reply_t *reply)
{
    ngx_str_t                  payload;
    ngx_uint_t                 n;
    ngx_http_writeen_catch_t  *op = data;
    ngx_http_writeen_lines_t   lines;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (reply->status != 200
        || ngx_http_writeen_lines_first(&lines, &reply->body) != NGX_OK)
    {
        if (reply->status == 413 || reply->status == 404
            || ngx_http_writeen_store_failed(op->worker, &op->failing,
                                             NGX_HTTP_WRITEEN_STORE_WAIT))
        {
            ngx_http_writeen_catch_give_up(op);
            return;
        }

        ngx_http_writeen_catch_later(op);
        return;
    }

    ngx_http_writeen_store_answered(op->worker, &op->failing);
    ngx_http_writeen_count(op->worker, catchups_store_total);

    if (!op->compact || lines.upto > op->told) {
        /*
         * Of members and settings the client is told how they stand, once more
         * when the room has gone on since the page before; and also when the
         * log has lost its beginning while we read it, and conversation_joined
         * is out: what was left of it says nothing of them.
         */
        if (op->joined) {
            op->echo_len = 0;
        }

        op->compact = 1;
        op->told = lines.upto;
        op->missed = lines.n;

        if (ngx_http_writeen_catch_joined(op, ngx_max(lines.upto, op->after),
                                          &lines.conversation)
            != NGX_OK)
        {
            return;
        }
    }

    for (n = 0;
         ngx_http_writeen_lines_next(&lines, &payload) == NGX_OK;
         n++)
    {
        if (ngx_http_writeen_catch_event(op, &payload) != NGX_OK) {
            return;
        }
    }

    op->after = ngx_max(op->after, lines.next);
    op->partial = n < lines.n;

    if (op->mode == CATCH_REPLAY && op->after >= op->limit) {
        op->link->first = op->asked;
        ngx_http_writeen_catch_done(op);
        return;
    }

    ngx_http_writeen_catch_run(op);
}


/* When is the store given up?  Not by each on his own: who has a hundred rooms
 * to catch up with, one after the other, would wait a hundred times. */

ngx_uint_t
ngx_http_writeen_store_failed(ngx_http_writeen_worker_t *wk,
    ngx_msec_t *failing, ngx_msec_t wait)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    if (wk->store_failing == 0
        || now - wk->store_failed >= NGX_HTTP_WRITEEN_STORE_WAIT)
    {
        wk->store_failing = now;
    }

    wk->store_failed = now;
    wk->store_next = now + 1000;

    if (*failing == 0) {
        *failing = now;
    }

    return now - *failing >= wait || now - wk->store_failing >= wait;
}


void
ngx_http_writeen_store_answered(ngx_http_writeen_worker_t *wk,
    ngx_msec_t *failing)
{
    wk->store_failing = 0;
    *failing = 0;
}


ngx_uint_t
ngx_http_writeen_store_away(ngx_http_writeen_worker_t *wk)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    if (wk->store_failing != 0
        && now - wk->store_failing >= NGX_HTTP_WRITEEN_STORE_WAIT
        && now - wk->store_failed < NGX_HTTP_WRITEEN_STORE_WAIT
        && (ngx_msec_int_t) (wk->store_next - now) > 0)
    {
        return 1;
    }

    wk->store_next = now + WRT_RPC_TIMEOUT_MS;

    return 0;
}


/* The client saw a number that Redis has not given (a lost second). */

void
ngx_http_writeen_catch_fence(ngx_http_writeen_catch_t *op)
{
    op->fenced = 1;

    if (ngx_http_writeen_fence(op->worker, (char *) op->id, op->len,
                               op->asked, WRT_FENCE_MAX,
                               ngx_http_writeen_catch_fence_reply, op)
        != NGX_OK)
    {
        op->fenced = 0;
        ngx_http_writeen_catch_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_catch_fence_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_catch_t  *op = data;

    if (!ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (res->rc == NGX_HTTP_WRITEEN_R_OK) {
        ngx_http_writeen_catch_run(op);

    } else if (res->rc == NGX_HTTP_WRITEEN_R_MANY) {
        /* not a lost second: nonsense */
        ngx_http_writeen_catch_give_up(op);

    } else {
        op->fenced = 0;
        ngx_http_writeen_catch_later(op);
    }
}


/*
 * It can not be recovered: say so, and be live from now on.  Also when
 * conversation_joined is out and has promised more, as the store's reply does.
 */

void
ngx_http_writeen_catch_give_up(ngx_http_writeen_catch_t *op)
{
    if (op->joined) {
        op->joined = 0;
        op->echo_len = 0;
        ngx_http_writeen_catch_forget(op);
    }

    op->answer = 1;
    op->resync = 1;
    op->compact = 0;
    op->partial = 0;
    op->missed = 0;
    op->failing = 0;
    op->asked = -1;
    op->after = -1;
    op->began = -1;
    ngx_http_writeen_catch_release(op, op->op.session);

    op->mode = (op->mode == CATCH_REPLAY
                || op->link->state == NGX_HTTP_WRITEEN_LINK_LIVE)
               ? CATCH_INFO : CATCH_NOW;

    ngx_http_writeen_catch_run(op);
}


ngx_int_t
ngx_http_writeen_fence(ngx_http_writeen_worker_t *wk, const char *id,
    size_t n, int64_t known, int64_t max, ngx_http_writeen_bus_pt handler,
    void *data)
{
    char                      keys[4][WRT_NAME_BUF], chan[WRT_NAME_BUF];
    char                      at[WRT_TIME_LEN + 1];
    ngx_uint_t                k;
    ngx_http_writeen_args_t   a;

    k = wrt_shard(&wk->names, id, n);
    ngx_http_writeen_now(at);

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_FENCE);
    ngx_http_writeen_arg_lit(&a, "4");
    ngx_http_writeen_arg_room(&a, keys, k, id, n);
    ngx_http_writeen_arg(&a, chan, ngx_http_writeen_bus_room(wk, chan, k, id,
                                                             n));
    ngx_http_writeen_arg(&a, id, n);
    ngx_http_writeen_arg_num(&a, known);
    ngx_http_writeen_arg(&a, at, WRT_TIME_LEN);
    ngx_http_writeen_arg_num(&a, max);

    return ngx_http_writeen_bus_call(wk, ngx_http_writeen_bus_server(wk, k),
                                     &a, handler, data);
}


/* -- the body of a CHANGES reply -- */

static ngx_int_t
ngx_http_writeen_lines_line(ngx_http_writeen_lines_t *ln, ngx_str_t *line)
{
    u_char  *p;

    p = ngx_strlchr(ln->pos, ln->last, '\n');
    if (p == NULL) {
        return NGX_DECLINED;
    }

    line->data = ln->pos;
    line->len = p - ln->pos;
    ln->pos = p + 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_writeen_lines_first(ngx_http_writeen_lines_t *ln, ngx_str_t *body)
{
    u_char      *p, *next, *last;
    int64_t      v[3];
    ngx_str_t    line;
    ngx_uint_t   i;

    ln->pos = body->data;
    ln->last = body->data + body->len;

    if (ngx_http_writeen_lines_line(ln, &line) != NGX_OK) {
        return NGX_DECLINED;
    }

    last = line.data + line.len;

    for (i = 0, p = line.data; i < 3; i++, p = next + 1) {
        next = (i < 2) ? ngx_strlchr(p, last, ' ') : last;

        if (next == NULL) {
            return NGX_DECLINED;
        }

        v[i] = ngx_atoof(p, next - p);

        if (v[i] < 0) {
            return NGX_DECLINED;
        }
    }

    ln->next = v[0];
    ln->n = v[1];
    ln->upto = v[2];

    return ngx_http_writeen_lines_line(ln, &ln->conversation);
}


ngx_int_t
ngx_http_writeen_lines_next(ngx_http_writeen_lines_t *ln, ngx_str_t *payload)
{
    ngx_str_t  head, json;

    if (ngx_http_writeen_lines_line(ln, &head) != NGX_OK
        || ngx_http_writeen_lines_line(ln, &json) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    payload->data = head.data;
    payload->len = json.data + json.len - head.data;

    return NGX_OK;
}


int64_t
ngx_http_writeen_payload_seq(ngx_str_t *payload)
{
    wrt_bus_header_t  h;

    if (wrt_bus_parse(&h, (char *) payload->data, payload->len) != 0) {
        return -1;
    }

    return h.num[0];
}
