/*
 * ngx_http_writeen_rpc.c: calls to the worker pool.
 *
 * Owns the table of calls that wait for an answer.  A call is an entry in the
 * stream wrt:rpc on the hub; its answer comes as a message on this nginx
 * worker's own channel, on another connection, so it may be here before the
 * reply to the XADD is.  Therefore a call is freed when both are through: the
 * table has let go of it (answered, late, cancelled, failed) and the bus has.
 *
 *     call --XADD--> waiting --answer--------------+
 *                       |----- timer: status 0 ----+--> done --> freed when
 *                       |----- XADD failed: 0 -----+             the XADD is
 *                       +----- cancelled ----------+             through
 *
 * A call may also be an entry of another stream with other fields: a spooled
 * upload (upload.c) waits for its answer here like all others.
 *
 * An answer to a call that is not in the table is late and is dropped.  That
 * the pool's heartbeat is missing is no reason not to call: it may be
 * starting, and the caller waits for a few seconds at most.
 */

#include "ngx_http_writeen.h"


struct ngx_http_writeen_rpc_s {
    ngx_str_node_t              node;       /* in table->calls; str is id */
    ngx_event_t                 timer;
    ngx_http_writeen_worker_t  *worker;
    ngx_http_writeen_rpc_pt     handler;
    void                       *data;
    char                        id[WRT_OID_LEN + 1];
    unsigned                    waiting:1;  /* in the table */
    unsigned                    queued:1;   /* the XADD is under way */
    unsigned                    own:1;      /* nginx itself asks */
    ngx_http_writeen_rpc_t     *next;       /* while the process ends */
};


typedef struct {
    ngx_rbtree_t                calls;
    ngx_rbtree_node_t           sentinel;
    ngx_uint_t                  n;
    unsigned                    full:1;     /* said so already */
} ngx_http_writeen_rpc_table_t;


static ngx_int_t ngx_http_writeen_rpc_send(ngx_http_writeen_rpc_t *rpc,
    ngx_http_writeen_call_t *call);
static void ngx_http_writeen_rpc_fields(ngx_http_writeen_args_t *args,
    ngx_http_writeen_call_t *call);
static ngx_int_t ngx_http_writeen_rpc_identity(
    ngx_http_writeen_identity_t *id, ngx_str_t *out);
static u_char *ngx_http_writeen_rpc_member(u_char *p, const char *name,
    ngx_str_t *value);
static void ngx_http_writeen_rpc_sent(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_rpc_timeout(ngx_event_t *ev);
static void ngx_http_writeen_rpc_take(ngx_http_writeen_rpc_t *rpc);
static void ngx_http_writeen_rpc_fail(ngx_http_writeen_rpc_t *rpc,
    ngx_uint_t why);
static void ngx_http_writeen_rpc_finish(ngx_http_writeen_rpc_t *rpc,
    ngx_http_writeen_reply_t *reply);


ngx_int_t
ngx_http_writeen_rpc_init(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_rpc_table_t  *table;

    table = ngx_calloc(sizeof(ngx_http_writeen_rpc_table_t), wk->log);
    if (table == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&table->calls, &table->sentinel,
                    ngx_str_rbtree_insert_value);

    wk->rpc = table;

    return NGX_OK;
}


/* The process ends: nobody is told any more, their requests may be gone. */

void
ngx_http_writeen_rpc_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_rbtree_node_t             *node;
    ngx_http_writeen_rpc_t        *rpc, *own;
    ngx_http_writeen_reply_t       lost;
    ngx_http_writeen_rpc_table_t  *table;

    table = wk->rpc;

    if (table == NULL) {
        return;
    }

    /*
     * Calls for a request just end: no request is touched any more.  Those of
     * our own are told, so that they free what waits for them; by then
     * nothing can be called again.
     */

    own = NULL;

    while (table->calls.root != table->calls.sentinel) {
        node = ngx_rbtree_min(table->calls.root, table->calls.sentinel);
        rpc = (ngx_http_writeen_rpc_t *) node;

        if (!rpc->own) {
            ngx_http_writeen_rpc_cancel(rpc);
            continue;
        }

        ngx_http_writeen_rpc_take(rpc);
        rpc->next = own;
        own = rpc;
    }

    ngx_free(table);
    wk->rpc = NULL;

    ngx_memzero(&lost, sizeof(ngx_http_writeen_reply_t));
    lost.status = NGX_HTTP_WRITEEN_RPC_LOST;

    while (own != NULL) {
        rpc = own;
        own = rpc->next;

        rpc->handler(rpc->data, &lost);

        if (!rpc->queued) {
            ngx_free(rpc);
        }
    }
}


ngx_http_writeen_rpc_t *
ngx_http_writeen_rpc_call(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_call_t *call, ngx_http_writeen_rpc_pt handler, void *data)
{
    ngx_http_writeen_rpc_t        *rpc;
    ngx_http_writeen_rpc_table_t  *table;

    table = wk->rpc;

    if (table == NULL) {
        return NULL;
    }

    if (table->n >= WRT_RPC_PENDING_MAX) {
        if (!table->full) {
            table->full = 1;
            ngx_log_error(NGX_LOG_WARN, wk->log, 0,
                          "writeen: %ui calls wait for the worker pool, "
                          "no more are taken", table->n);
        }

        return NULL;
    }

    rpc = ngx_calloc(sizeof(ngx_http_writeen_rpc_t), wk->log);
    if (rpc == NULL) {
        return NULL;
    }

    rpc->worker = wk;
    rpc->handler = handler;
    rpc->data = data;
    rpc->own = (call->identity == NULL);

    if (call->id != NULL) {
        ngx_memcpy(rpc->id, call->id, sizeof(rpc->id));

    } else {
        wrt_oid_next(&wk->oid, ngx_time(), rpc->id);
    }

    if (ngx_http_writeen_rpc_send(rpc, call) != NGX_OK) {
        ngx_free(rpc);
        return NULL;
    }

    rpc->queued = 1;
    rpc->waiting = 1;

    rpc->node.str.data = (u_char *) rpc->id;
    rpc->node.str.len = WRT_OID_LEN;
    rpc->node.node.key = ngx_crc32_short((u_char *) rpc->id, WRT_OID_LEN);
    ngx_rbtree_insert(&table->calls, &rpc->node.node);
    table->n++;

    /* not cancelable: somebody waits, so a leaving process waits too */

    rpc->timer.handler = ngx_http_writeen_rpc_timeout;
    rpc->timer.data = rpc;
    rpc->timer.log = wk->log;
    ngx_add_timer(&rpc->timer, call->timeout);

    ngx_http_writeen_count(wk, rpc_calls_total);
    ngx_http_writeen_count(wk, rpc_pending);

    return rpc;
}


void
ngx_http_writeen_rpc_cancel(ngx_http_writeen_rpc_t *rpc)
{
    ngx_http_writeen_rpc_take(rpc);

    if (!rpc->queued) {
        ngx_free(rpc);
    }
}


/* XADD as docs/redis.md has it. */

static ngx_int_t
ngx_http_writeen_rpc_send(ngx_http_writeen_rpc_t *rpc,
    ngx_http_writeen_call_t *call)
{
    size_t                      n;
    int64_t                     deadline;
    ngx_int_t                   rc;
    ngx_str_t                   user;
    ngx_time_t                 *tp;
    ngx_http_writeen_args_t     args;
    ngx_http_writeen_worker_t  *wk;
    char                        channel[WRT_NAME_BUF];

    wk = rpc->worker;

    if (ngx_http_writeen_rpc_identity(call->identity, &user) != NGX_OK) {
        return NGX_ERROR;
    }

    n = wrt_chan_reply(channel, &wk->names, wk->id, ngx_strlen(wk->id));

    tp = ngx_timeofday();
    deadline = (int64_t) tp->sec * 1000 + tp->msec + call->timeout;

    args.n = 0;
    args.nnum = 0;

    ngx_http_writeen_arg_lit(&args, "XADD");

    if (call->stream.len) {
        ngx_http_writeen_arg(&args, call->stream.data, call->stream.len);

    } else {
        ngx_http_writeen_arg_lit(&args, WRT_KEY_RPC);
        ngx_http_writeen_arg_lit(&args, "MAXLEN");
        ngx_http_writeen_arg_lit(&args, "~");
        ngx_http_writeen_arg_num(&args, WRT_RPC_STREAM_MAX);
    }

    ngx_http_writeen_arg_lit(&args, "*");
    ngx_http_writeen_arg_lit(&args, WRT_F_RPC_ID);
    ngx_http_writeen_arg(&args, rpc->id, WRT_OID_LEN);
    ngx_http_writeen_arg_lit(&args, WRT_F_RPC_REPLY);
    ngx_http_writeen_arg(&args, channel, n);
    ngx_http_writeen_arg_lit(&args, WRT_F_RPC_DEADLINE);
    ngx_http_writeen_arg_num(&args, deadline);
    ngx_http_writeen_arg_lit(&args, WRT_F_RPC_USER);
    ngx_http_writeen_arg(&args, user.data, user.len);
    ngx_http_writeen_rpc_fields(&args, call);

    rc = ngx_http_writeen_bus_call(wk, 0, &args, ngx_http_writeen_rpc_sent,
                                   rpc);

    if (user.data != NULL) {
        ngx_free(user.data);
    }

    return rc;
}


/* What is asked for. */

static void
ngx_http_writeen_rpc_fields(ngx_http_writeen_args_t *args,
    ngx_http_writeen_call_t *call)
{
    ngx_str_t   *name, *value;
    ngx_uint_t   i;

    if (call->stream.len) {

        for (i = 0; i < call->nfields; i++) {
            name = &call->fields[i].key;
            value = &call->fields[i].value;

            ngx_http_writeen_arg(args, name->data, name->len);
            ngx_http_writeen_arg(args, value->data, value->len);
        }

        return;
    }

    ngx_http_writeen_arg_lit(args, WRT_F_RPC_METHOD);
    ngx_http_writeen_arg(args, call->method.data, call->method.len);
    ngx_http_writeen_arg_lit(args, WRT_F_RPC_PATH);
    ngx_http_writeen_arg(args, call->path.data, call->path.len);
    ngx_http_writeen_arg_lit(args, WRT_F_RPC_QUERY);
    ngx_http_writeen_arg(args, call->query.data, call->query.len);
    ngx_http_writeen_arg_lit(args, WRT_F_RPC_BODY);
    ngx_http_writeen_arg(args, call->body.data, call->body.len);

    if (call->address.len) {
        ngx_http_writeen_arg_lit(args, WRT_F_RPC_ADDRESS);
        ngx_http_writeen_arg(args, call->address.data, call->address.len);
    }
}


/* {"sub","role","name","avatar"}, allocated; empty when nginx itself asks.
 * An avatar that the user has not is null. */

static ngx_int_t
ngx_http_writeen_rpc_identity(ngx_http_writeen_identity_t *id,
    ngx_str_t *out)
{
    u_char  *p;

    ngx_str_null(out);

    if (id == NULL) {
        return NGX_OK;
    }

    out->data = ngx_alloc(sizeof("{\"sub\":\"\",\"role\":\"\",\"name\":\"\","
                                 "\"avatar\":\"\"}")
                          + 6 * (id->uid.len + id->role.len + id->name.len
                                 + id->avatar.len), ngx_cycle->log);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_writeen_rpc_member(out->data, "{\"sub\":\"", &id->uid);
    p = ngx_http_writeen_rpc_member(p, "\",\"role\":\"", &id->role);
    p = ngx_http_writeen_rpc_member(p, "\",\"name\":\"", &id->name);

    if (id->avatar.len) {
        p = ngx_http_writeen_rpc_member(p, "\",\"avatar\":\"", &id->avatar);
        p = ngx_cpymem(p, "\"}", 2);

    } else {
        p = ngx_cpymem(p, "\",\"avatar\":null}",
                       sizeof("\",\"avatar\":null}") - 1);
    }

    out->len = p - out->data;

    return NGX_OK;
}


static u_char *
ngx_http_writeen_rpc_member(u_char *p, const char *name, ngx_str_t *value)
{
    p = ngx_cpymem(p, name, ngx_strlen(name));

    return p + wrt_json_escape((char *) p, (char *) value->data, value->len);
}


/* The XADD came back, or can not any more. */

static void
ngx_http_writeen_rpc_sent(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_rpc_t *rpc = data;

    rpc->queued = 0;

    if (!rpc->waiting) {
        ngx_free(rpc);
        return;
    }

    if (res->rc == NGX_HTTP_WRITEEN_R_OK) {
        return;
    }

    /* why it was refused the bus has told */

    ngx_http_writeen_rpc_fail(rpc, (res->rc == NGX_HTTP_WRITEEN_R_ERROR)
                                       ? NGX_HTTP_WRITEEN_RPC_REFUSED
                                       : NGX_HTTP_WRITEEN_RPC_LOST);
}


void
ngx_http_writeen_rpc_reply(ngx_http_writeen_worker_t *wk, wrt_bus_header_t *h)
{
    uint32_t                       hash;
    ngx_str_t                      id;
    ngx_http_writeen_rpc_t        *rpc;
    ngx_http_writeen_reply_t       reply;
    ngx_http_writeen_rpc_table_t  *table;

    table = wk->rpc;

    if (table == NULL) {
        return;
    }

    id.data = (u_char *) h->f[0].p;
    id.len = h->f[0].n;

    hash = ngx_crc32_short(id.data, id.len);
    rpc = (ngx_http_writeen_rpc_t *)
              ngx_str_rbtree_lookup(&table->calls, &id, hash);

    if (rpc == NULL) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, wk->log, 0,
                       "writeen: late answer to call %V", &id);
        return;
    }

    if (h->num[1] < 200 || h->num[1] >= 600 || h->body.n > WRT_REPLY_MAX) {
        ngx_log_error(NGX_LOG_ERR, wk->log, 0,
                      "writeen: the worker pool answered call %V with status "
                      "%L and %uz bytes", &id, h->num[1], h->body.n);
        ngx_http_writeen_rpc_fail(rpc, NGX_HTTP_WRITEEN_RPC_LATE);
        return;
    }

    ngx_memzero(&reply, sizeof(ngx_http_writeen_reply_t));

    reply.status = (ngx_uint_t) h->num[1];
    reply.body.data = (u_char *) h->body.p;
    reply.body.len = h->body.n;

    /* one field, which is methods with this status and seconds with others */

    if (reply.status == NGX_HTTP_NOT_ALLOWED) {
        reply.allow = ngx_http_writeen_methods(h->f[2].p, h->f[2].n);

    } else if (h->num[2] > 0 && h->num[2] < 86400) {
        reply.retry = (ngx_uint_t) h->num[2];
    }

    ngx_http_writeen_rpc_finish(rpc, &reply);
}


static void
ngx_http_writeen_rpc_timeout(ngx_event_t *ev)
{
    ngx_http_writeen_rpc_t *rpc = ev->data;

    ngx_http_writeen_count(rpc->worker, rpc_timeouts_total);

    ngx_http_writeen_rpc_fail(rpc, NGX_HTTP_WRITEEN_RPC_LATE);
}


/* Out of the table; its id is unknown from now on. */

static void
ngx_http_writeen_rpc_take(ngx_http_writeen_rpc_t *rpc)
{
    ngx_http_writeen_worker_t     *wk;
    ngx_http_writeen_rpc_table_t  *table;

    wk = rpc->worker;
    table = wk->rpc;

    rpc->waiting = 0;

    ngx_rbtree_delete(&table->calls, &rpc->node.node);
    table->n--;

    if (table->n < WRT_RPC_PENDING_MAX / 2) {
        table->full = 0;
    }

    if (rpc->timer.timer_set) {
        ngx_del_timer(&rpc->timer);
    }

    ngx_http_writeen_count_n(wk, rpc_pending, -1);
}


/* There was no answer, or none that can be used. */

static void
ngx_http_writeen_rpc_fail(ngx_http_writeen_rpc_t *rpc, ngx_uint_t why)
{
    ngx_http_writeen_reply_t  none;

    ngx_memzero(&none, sizeof(ngx_http_writeen_reply_t));
    none.status = why;

    ngx_http_writeen_rpc_finish(rpc, &none);
}


static void
ngx_http_writeen_rpc_finish(ngx_http_writeen_rpc_t *rpc,
    ngx_http_writeen_reply_t *reply)
{
    void                     *data;
    ngx_http_writeen_rpc_pt   handler;

    handler = rpc->handler;
    data = rpc->data;

    ngx_http_writeen_rpc_cancel(rpc);

    handler(data, reply);
}
