/*
 * ngx_http_writeen_user.c: users with a connection to this nginx worker.
 *
 * A user owns the subscription to his channel (new rooms, kicks, events of his
 * own) and exists while a session of his does, and some seconds longer.  His
 * room list is read from Redis for each session once the channel is
 * subscribed, so that a room that is made meanwhile comes by one way or the
 * other.  A list that is not whole is filled by the worker pool (RPC USER).
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_USER_IDLE  5000     /* ms kept without sessions */


/* Reading the room list of one session. */
typedef struct {
    ngx_http_writeen_op_t        op;
    ngx_queue_t                  retry;      /* in worker->user_retries */
    ngx_http_writeen_worker_t   *worker;
    ngx_uint_t                   tries;
    ngx_uint_t                   profiles;   /* user->profiles when asked */
    unsigned                     inflight:1;
} ngx_http_writeen_list_t;


static void ngx_http_writeen_list_abandon(ngx_http_writeen_op_t *data);
static void ngx_http_writeen_list_free(ngx_http_writeen_list_t *op);
static void ngx_http_writeen_list_run(ngx_http_writeen_list_t *op);
static void ngx_http_writeen_list_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_list_ask(ngx_http_writeen_list_t *op);
static void ngx_http_writeen_list_loaded(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_list_later(ngx_http_writeen_list_t *op);
static void ngx_http_writeen_user_subscribe(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u);


ngx_http_writeen_user_t *
ngx_http_writeen_user_find(ngx_http_writeen_worker_t *wk, const char *uid,
    size_t n)
{
    ngx_str_t  key;

    key.data = (u_char *) uid;
    key.len = n;

    /* the node is the user's first member */

    return (ngx_http_writeen_user_t *)
               ngx_str_rbtree_lookup(&wk->users, &key,
                                     ngx_crc32_short(key.data, key.len));
}


ngx_int_t
ngx_http_writeen_user_attach(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_session_t *s, ngx_str_t *uid)
{
    ngx_http_writeen_user_t  *u;

    u = ngx_http_writeen_user_find(wk, (char *) uid->data, uid->len);

    if (u == NULL) {
        u = ngx_calloc(sizeof(ngx_http_writeen_user_t) + uid->len, wk->log);
        if (u == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(u->uid, uid->data, uid->len);
        u->node.str.data = u->uid;
        u->node.str.len = uid->len;
        u->node.node.key = ngx_crc32_short(uid->data, uid->len);

        ngx_queue_init(&u->sessions);
        ngx_queue_init(&u->idle);
        ngx_rbtree_insert(&wk->users, &u->node.node);
        ngx_http_writeen_count(wk, users);

        ngx_http_writeen_user_subscribe(wk, u);
    }

    if (ngx_queue_empty(&u->sessions)) {
        ngx_queue_remove(&u->idle);
        ngx_queue_init(&u->idle);
    }

    ngx_queue_insert_tail(&u->sessions, &s->user_queue);
    u->nsessions++;
    s->user = u;

    if (u->sub == NGX_HTTP_WRITEEN_SUB_READY) {
        ngx_http_writeen_user_list(s);
    }

    return NGX_OK;
}


void
ngx_http_writeen_user_detach(ngx_http_writeen_session_t *s)
{
    ngx_http_writeen_user_t  *u;

    u = s->user;

    ngx_queue_remove(&s->user_queue);
    ngx_queue_init(&s->user_queue);
    u->nsessions--;

    if (ngx_queue_empty(&u->sessions)) {
        u->idle_since = ngx_current_msec;
        ngx_queue_insert_tail(&ngx_http_writeen_worker->idle_users, &u->idle);
    }

    ngx_http_writeen_presence_close(s);
}


static void
ngx_http_writeen_user_free(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    ngx_queue_remove(&u->idle);
    ngx_rbtree_delete(&wk->users, &u->node.node);
    ngx_http_writeen_count_n(wk, users, -1);
    ngx_http_writeen_profile_free(u);

    if (u->present) {
        ngx_queue_remove(&u->renewal);
    }

    ngx_free(u);
}


/* -- subscription -- */

static void
ngx_http_writeen_user_subscribe(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    char    name[WRT_NAME_BUF];
    size_t  n;

    u->sub = NGX_HTTP_WRITEEN_SUB_SENT;

    n = wrt_chan_user(name, &wk->names, (char *) u->uid, u->node.str.len);
    ngx_http_writeen_bus_subscribe(wk, 0, name, n);
}


void
ngx_http_writeen_user_subscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    ngx_queue_t                 *q, *next;
    ngx_http_writeen_session_t  *s;

    u->sub = NGX_HTTP_WRITEEN_SUB_READY;

    /* also after a lost bus: what was made meanwhile is in the list */

    for (q = ngx_queue_head(&u->sessions);
         q != ngx_queue_sentinel(&u->sessions);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);

        ngx_http_writeen_user_list(s);
    }
}


void
ngx_http_writeen_user_unsubscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    if (u->sub != NGX_HTTP_WRITEEN_SUB_LEAVING) {
        return;
    }

    if (ngx_queue_empty(&u->sessions)) {
        ngx_http_writeen_user_free(wk, u);
        return;
    }

    ngx_http_writeen_user_subscribe(wk, u);
}


typedef void (*ngx_http_writeen_user_each_pt)(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u);


static void
ngx_http_writeen_user_each(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_each_pt fn)
{
    ngx_rbtree_node_t  *node, *next;

    if (wk->users.root == wk->users.sentinel) {
        return;
    }

    node = ngx_rbtree_min(wk->users.root, wk->users.sentinel);

    while (node != NULL) {
        next = ngx_rbtree_next(&wk->users, node);
        fn(wk, (ngx_http_writeen_user_t *) node);
        node = next;
    }
}


static void
ngx_http_writeen_user_lost(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    if (ngx_queue_empty(&u->sessions)) {
        ngx_http_writeen_user_free(wk, u);
        return;
    }

    u->sub = NGX_HTTP_WRITEEN_SUB_NONE;
    u->known = 0;
}


void
ngx_http_writeen_user_bus_lost(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_user_each(wk, ngx_http_writeen_user_lost);
}


void
ngx_http_writeen_user_resubscribe(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_user_each(wk, ngx_http_writeen_user_subscribe);
}


ngx_int_t
ngx_http_writeen_user_leave(ngx_http_writeen_worker_t *wk, ngx_uint_t *budget)
{
    char                      name[WRT_NAME_BUF];
    size_t                    n;
    ngx_queue_t              *q;
    ngx_http_writeen_user_t  *u;

    while (!ngx_queue_empty(&wk->idle_users)) {
        q = ngx_queue_head(&wk->idle_users);
        u = ngx_queue_data(q, ngx_http_writeen_user_t, idle);

        if (ngx_current_msec - u->idle_since < NGX_HTTP_WRITEEN_USER_IDLE
            || u->sub == NGX_HTTP_WRITEEN_SUB_SENT)
        {
            break;
        }

        if (*budget == 0) {
            return NGX_AGAIN;
        }

        (*budget)--;

        if (u->sub == NGX_HTTP_WRITEEN_SUB_NONE) {
            ngx_http_writeen_user_free(wk, u);
            continue;
        }

        ngx_queue_remove(q);
        ngx_queue_init(q);

        u->sub = NGX_HTTP_WRITEEN_SUB_LEAVING;
        n = wrt_chan_user(name, &wk->names, (char *) u->uid,
                          u->node.str.len);
        ngx_http_writeen_bus_unsubscribe(wk, 0, name, n);
    }

    return NGX_OK;
}


void
ngx_http_writeen_user_sweep(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_user_retry(wk);
    ngx_http_writeen_user_each(wk, ngx_http_writeen_presence_sweep);
}


void
ngx_http_writeen_user_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_user_each(wk, ngx_http_writeen_user_free);
}


/* -- what comes on the channel -- */

void
ngx_http_writeen_user_event(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u, wrt_bus_header_t *h)
{
    ngx_str_t                    json;
    ngx_queue_t                 *q, *next;
    ngx_http_writeen_msg_t      *msg;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_session_t  *s;

    msg = NULL;

    if (h->kind == WRT_UEV_PROFILE) {
        json.data = (u_char *) h->body.p;
        json.len = h->body.n;

        u->profiles++;
        ngx_http_writeen_profile_set(u, &json);
        return;
    }

    if (h->kind != WRT_UEV_JOIN && h->kind != WRT_UEV_LEAVE
        && h->kind != WRT_UEV_EVENT && h->kind != WRT_UEV_REVOKE)
    {
        return;
    }

    if (h->body.n != 0) {
        msg = ngx_http_writeen_msg_create(WRT_OP_TEXT, h->body.p, h->body.n);
        if (msg == NULL) {
            return;
        }
    }

    for (q = ngx_queue_head(&u->sessions);
         q != ngx_queue_sentinel(&u->sessions);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);

        if (h->kind == WRT_UEV_REVOKE) {
            ngx_http_writeen_session_close(s, WRT_CLOSE_REVOKED, "revoked");
            continue;
        }

        if (s->state != NGX_HTTP_WRITEEN_OPEN) {
            /* nothing before `connected`: then it reads the list once more */
            s->relist = 1;
            continue;
        }

        l = NULL;

        if (h->kind == WRT_UEV_JOIN || h->kind == WRT_UEV_LEAVE) {
            l = ngx_http_writeen_link_find(s, h->f[0].p, h->f[0].n);
        }

        if (msg != NULL && !(h->kind == WRT_UEV_JOIN && l != NULL)) {
            ngx_http_writeen_output(s, msg);
        }

        if (s->state != NGX_HTTP_WRITEEN_OPEN) {
            continue;
        }

        if (h->kind == WRT_UEV_JOIN && l == NULL) {
            (void) ngx_http_writeen_link_create(s, h->f[0].p, h->f[0].n,
                                                ngx_max(h->num[1], 0));

        } else if (h->kind == WRT_UEV_LEAVE && l != NULL) {
            ngx_http_writeen_link_left(l, NULL);
        }
    }

    if (msg != NULL) {
        ngx_http_writeen_msg_unref(msg);
    }
}


/* -- the list of rooms -- */

void
ngx_http_writeen_user_list(ngx_http_writeen_session_t *s)
{
    ngx_http_writeen_list_t  *op;

    if (s->state != NGX_HTTP_WRITEEN_OPENING
        && s->state != NGX_HTTP_WRITEEN_OPEN)
    {
        return;
    }

    op = ngx_calloc(sizeof(ngx_http_writeen_list_t),
                    ngx_http_writeen_worker->log);
    if (op == NULL) {
        ngx_http_writeen_session_drop(s);
        return;
    }

    op->op.session = s;
    op->op.abandon = ngx_http_writeen_list_abandon;
    op->worker = ngx_http_writeen_worker;
    ngx_queue_insert_tail(&s->ops, &op->op.queue);
    ngx_queue_init(&op->retry);

    /* not before: so both commands leave in one write */

    if (!s->listed) {
        ngx_http_writeen_profile_put(&s->user->node.str, &s->name,
                                     &s->avatar, &s->role);
    }

    ngx_http_writeen_list_run(op);
}


static void
ngx_http_writeen_list_abandon(ngx_http_writeen_op_t *data)
{
    ngx_http_writeen_list_t  *op = (ngx_http_writeen_list_t *) data;

    if (!op->inflight) {
        ngx_http_writeen_list_free(op);
    }
}


static void
ngx_http_writeen_list_free(ngx_http_writeen_list_t *op)
{
    ngx_queue_remove(&op->op.queue);
    ngx_queue_remove(&op->retry);
    ngx_free(op);
}


static void
ngx_http_writeen_list_run(ngx_http_writeen_list_t *op)
{
    char                      key[WRT_NAME_BUF];
    ngx_str_t                *uid;
    ngx_http_writeen_args_t   a;

    uid = &op->op.session->user->node.str;

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "HGETALL");
    ngx_http_writeen_arg(&a, key, wrt_key_user_convs(key, (char *) uid->data,
                                                     uid->len));

    if (ngx_http_writeen_bus_call(op->worker, 0, &a,
                                  ngx_http_writeen_list_reply, op)
        != NGX_OK)
    {
        ngx_http_writeen_list_later(op);
        return;
    }

    op->profiles = op->op.session->user->profiles;
    op->inflight = 1;
}


static void
ngx_http_writeen_list_later(ngx_http_writeen_list_t *op)
{
    ngx_queue_remove(&op->retry);
    ngx_queue_insert_tail(&op->worker->user_retries, &op->retry);
}


void
ngx_http_writeen_user_retry(ngx_http_writeen_worker_t *wk)
{
    ngx_queue_t               todo, *q;
    ngx_http_writeen_list_t  *op;

    if (ngx_queue_empty(&wk->user_retries)) {
        return;
    }

    ngx_queue_init(&todo);
    ngx_queue_add(&todo, &wk->user_retries);
    ngx_queue_init(&wk->user_retries);

    while (!ngx_queue_empty(&todo)) {
        q = ngx_queue_head(&todo);
        op = ngx_queue_data(q, ngx_http_writeen_list_t, retry);

        ngx_queue_remove(q);
        ngx_queue_init(q);

        ngx_http_writeen_list_run(op);
    }
}


static void
ngx_http_writeen_list_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_str_t                    id, seq;
    ngx_uint_t                   i, whole, opening;
    ngx_http_writeen_list_t     *op = data;
    ngx_http_writeen_link_t     *l;
    ngx_http_writeen_session_t  *s;

    op->inflight = 0;
    s = op->op.session;

    if (s == NULL || (s->state != NGX_HTTP_WRITEEN_OPENING
                      && s->state != NGX_HTTP_WRITEEN_OPEN))
    {
        ngx_http_writeen_list_free(op);
        return;
    }

    if (res->rc != NGX_HTTP_WRITEEN_R_OK) {

        if (!s->listed) {
            /* a lease that went along may be lost, too */
            s->recorded = 0;
        }

        ngx_http_writeen_list_later(op);
        return;
    }

    whole = 0;

    for (i = 0; i + 1 < res->n; i += 2) {
        if (ngx_http_writeen_result_str(res, i, &id) == NGX_OK
            && id.len == 1 && id.data[0] == WRT_F_LOADED[0])
        {
            whole = 1;
            break;
        }
    }

    if (!whole) {
        ngx_http_writeen_list_ask(op);
        return;
    }

    for (i = 0; i + 1 < res->n; i += 2) {

        if (ngx_http_writeen_result_str(res, i, &id) != NGX_OK
            || ngx_http_writeen_result_str(res, i + 1, &seq) != NGX_OK)
        {
            continue;
        }

        if (id.len == 1 && id.data[0] == WRT_F_PROFILE[0]) {

            if (op->profiles == s->user->profiles) {
                ngx_http_writeen_profile_set(s->user, &seq);
            }

            continue;
        }

        if (!wrt_id_valid((char *) id.data, id.len)
            || ngx_http_writeen_link_find(s, (char *) id.data, id.len) != NULL)
        {
            continue;
        }

        opening = (s->state == NGX_HTTP_WRITEEN_OPENING);

        l = ngx_http_writeen_link_create(s, (char *) id.data, id.len,
                                         opening ? -1
                                         : ngx_max(ngx_atoof(seq.data,
                                                             seq.len), 0));

        if (l != NULL && opening && l->catch_op != NULL) {
            l->opening = 1;
            s->opening++;
        }
    }

    ngx_http_writeen_list_free(op);
    s->user->known = 1;

    if (!s->listed) {
        s->listed = 1;

        /* whom to tell of him is known now */

        if (!s->recorded) {
            ngx_http_writeen_presence_open(s);
        }
    }

    ngx_http_writeen_session_opened(s);
}


/* The list is not whole in Redis: the worker pool takes it from the store. */

static void
ngx_http_writeen_list_ask(ngx_http_writeen_list_t *op)
{
    ngx_http_writeen_call_t  call;

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_USER);
    call.path = op->op.session->user->node.str;
    call.timeout = WRT_RPC_TIMEOUT_MS;

    if (ngx_http_writeen_rpc_call(op->worker, &call,
                                  ngx_http_writeen_list_loaded, op)
        == NULL)
    {
        ngx_http_writeen_list_later(op);
        return;
    }

    op->inflight = 1;
}


static void
ngx_http_writeen_list_loaded(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_list_t     *op = data;
    ngx_http_writeen_session_t  *s;

    op->inflight = 0;
    s = op->op.session;

    if (s == NULL) {
        ngx_http_writeen_list_free(op);
        return;
    }

    if (reply->status == 200) {
        ngx_http_writeen_list_run(op);

        /* the list is whole, so the lease may go along with the question */

        if (op->inflight && !s->recorded
            && s->state == NGX_HTTP_WRITEEN_OPENING)
        {
            ngx_http_writeen_presence_open(s);
        }

        return;
    }

    /* the session's own deadline ends the waiting */
    ngx_http_writeen_list_later(op);
}
