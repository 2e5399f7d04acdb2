/*
 * ngx_http_writeen_bus.c: Redis as policy: connections, commands,
 * subscriptions.
 *
 * Each server has two connections, because RESP2 can not mix: one for
 * commands, one subscribed.  Each goes through
 *
 *     CLOSED --timer--> CONNECTING --onConnect--> SETUP --checked--> READY
 *        ^                   |                      |                  |
 *        +-- backoff --------+----- error, EOF, silence ---------------+
 *
 * SETUP is AUTH and SELECT, then for commands: the Function library has our
 * version and the shard count is ours; for subscriptions: our own channel is
 * acknowledged.  A library that is missing (the worker loads it) is looked for
 * again soon on the same connection.
 *
 * Liveness: each second a canary is published on the command connection to
 * our own channel.  One that does not come back within WRT_CANARY_LATE_MS means
 * that this server's bus is silent: both connections are dropped and made
 * anew.  (PING does not work on a subscribed connection of hiredis 0.14.)
 *
 * When subscriptions return, rooms and users are subscribed in batches and
 * told so; rooms then fill what they missed from the log.  Callbacks of
 * hiredis that come with a NULL reply mean "gone": handlers get R_LOST.
 * Connect and disconnect callbacks queue commands, note the state and arm a
 * timer, but never free the context: hiredis 0.14 runs them without its guard
 * against that.
 */

#include "ngx_http_writeen_bus.h"


#define NGX_HTTP_WRITEEN_BUS_BACKOFF      100    /* ms, doubled up to */
#define NGX_HTTP_WRITEEN_BUS_BACKOFF_MAX  2000
#define NGX_HTTP_WRITEEN_BUS_CONNECT_MS   3000
#define NGX_HTTP_WRITEEN_BUS_RECHECK     100    /* ms */


static void ngx_http_writeen_bus_connect(ngx_http_writeen_bus_conn_t *bc);
static void ngx_http_writeen_bus_retry_handler(ngx_event_t *ev);
static void ngx_http_writeen_bus_fail(ngx_http_writeen_bus_conn_t *bc,
    const char *why);
static void ngx_http_writeen_bus_on_connect(const redisAsyncContext *ac,
    int status);
static void ngx_http_writeen_bus_on_disconnect(const redisAsyncContext *ac,
    int status);
static void ngx_http_writeen_bus_setup(ngx_http_writeen_bus_conn_t *bc);
static void ngx_http_writeen_bus_setup_reply(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_writeen_bus_check(ngx_http_writeen_server_t *srv);
static void ngx_http_writeen_bus_recheck_handler(ngx_event_t *ev);
static void ngx_http_writeen_bus_version_reply(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_writeen_bus_config_reply(redisAsyncContext *ac,
    void *reply, void *data);
static ngx_int_t ngx_http_writeen_bus_check_shards(
    ngx_http_writeen_server_t *srv, redisReply *r);
static ngx_int_t ngx_http_writeen_bus_check_place(
    ngx_http_writeen_server_t *srv, redisReply *r);
static void ngx_http_writeen_bus_cmd_ready(ngx_http_writeen_server_t *srv);
static void ngx_http_writeen_bus_tick_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_writeen_bus_init(ngx_http_writeen_worker_t *wk)
{
    ngx_uint_t                  i;
    wrt_redis_url_t            *url;
    ngx_http_writeen_server_t  *srv;

    url = wk->conf->redis.elts;
    wk->nservers = wk->conf->redis.nelts;

    wk->servers = ngx_pcalloc(wk->cycle->pool,
                              wk->nservers * sizeof(*wk->servers));
    if (wk->servers == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < wk->nservers; i++) {
        srv = &wk->servers[i];

        srv->worker = wk;
        srv->url = &url[i];
        srv->index = i;
        srv->names.shards = wk->conf->shards;
        srv->names.db = url[i].db;
        srv->reply_len = wrt_chan_reply(srv->reply, &srv->names, wk->id,
                                        WRT_OID_LEN);

        ngx_queue_init(&srv->subscribe);

        srv->batch.handler = ngx_http_writeen_bus_batch_handler;
        srv->batch.data = srv;
        srv->batch.log = wk->log;

        srv->tick.handler = ngx_http_writeen_bus_tick_handler;
        srv->tick.data = srv;
        srv->tick.log = wk->log;
        srv->tick.cancelable = 1;

        srv->recheck.handler = ngx_http_writeen_bus_recheck_handler;
        srv->recheck.data = srv;
        srv->recheck.log = wk->log;
        srv->recheck.cancelable = 1;

        srv->cmd.server = srv;
        srv->sub.server = srv;
        srv->sub.sub = 1;

        srv->cmd.retry.handler = ngx_http_writeen_bus_retry_handler;
        srv->cmd.retry.data = &srv->cmd;
        srv->cmd.retry.log = wk->log;
        srv->cmd.retry.cancelable = 1;

        srv->sub.retry.handler = ngx_http_writeen_bus_retry_handler;
        srv->sub.retry.data = &srv->sub;
        srv->sub.retry.log = wk->log;
        srv->sub.retry.cancelable = 1;

        ngx_add_timer(&srv->tick, WRT_CANARY_MS);
        ngx_http_writeen_bus_connect(&srv->cmd);
        ngx_http_writeen_bus_connect(&srv->sub);
    }

    return NGX_OK;
}


static void
ngx_http_writeen_bus_free(ngx_http_writeen_bus_conn_t *bc)
{
    redisAsyncContext  *ac;

    ac = bc->ac;

    if (ac != NULL) {
        /* our own doing: nothing for the log */
        ac->data = NULL;
        bc->ac = NULL;
        bc->state = BUS_CLOSED;
        redisAsyncFree(ac);
    }
}


void
ngx_http_writeen_bus_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_uint_t  i;

    for (i = 0; i < wk->nservers; i++) {
        ngx_http_writeen_bus_free(&wk->servers[i].cmd);
        ngx_http_writeen_bus_free(&wk->servers[i].sub);
    }

    ngx_http_writeen_bus_command_exit();
}


ngx_uint_t
ngx_http_writeen_bus_server(ngx_http_writeen_worker_t *wk, ngx_uint_t shard)
{
    return shard % wk->nservers;
}


ngx_uint_t
ngx_http_writeen_bus_ready(ngx_http_writeen_worker_t *wk, ngx_uint_t server)
{
    return wk->servers[server].cmd.state == BUS_READY;
}


size_t
ngx_http_writeen_bus_room(ngx_http_writeen_worker_t *wk, char *out,
    ngx_uint_t shard, const char *id, size_t n)
{
    return wrt_chan_room(out,
        &wk->servers[ngx_http_writeen_bus_server(wk, shard)].names, shard,
        id, n);
}


/* -- connections -- */

static void
ngx_http_writeen_bus_connect(ngx_http_writeen_bus_conn_t *bc)
{
    redisAsyncContext          *ac;
    ngx_addr_t                 *addr;
    ngx_http_writeen_worker_t  *wk;
    char                        host[NGX_SOCKADDR_STRLEN + 1];
    size_t                      n;

    wk = bc->server->worker;
    bc->state = BUS_CONNECTING;
    bc->since = ngx_current_msec;

    if (bc->server->url->port == 0) {
        ac = redisAsyncConnectUnix(bc->server->url->host);

    } else {
        /* resolved at configuration time: hiredis would block on a name */
        addr = (ngx_addr_t *) wk->conf->addrs.elts + bc->server->index;
        n = ngx_sock_ntop(addr->sockaddr, addr->socklen, (u_char *) host,
                          NGX_SOCKADDR_STRLEN, 0);
        host[n] = '\0';

        if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
            host[n - 1] = '\0';
            ngx_memmove(host, host + 1, n - 1);
        }

        ac = redisAsyncConnect(host, bc->server->url->port);
    }

    if (ac == NULL) {
        ngx_http_writeen_bus_fail(bc, "no memory");
        return;
    }

    if (ac->err) {
        ngx_http_writeen_bus_fail(bc, ac->errstr);
        redisAsyncFree(ac);
        return;
    }

    ac->data = bc;

    if (ngx_http_writeen_redis_attach(ac, wk->conf->gather, wk->log)
        != NGX_OK) {
        ngx_http_writeen_bus_fail(bc, "no connection or memory");
        redisAsyncFree(ac);
        return;
    }

    bc->ac = ac;

    redisAsyncSetConnectCallback(ac, ngx_http_writeen_bus_on_connect);
    redisAsyncSetDisconnectCallback(ac, ngx_http_writeen_bus_on_disconnect);
}


static void
ngx_http_writeen_bus_retry_handler(ngx_event_t *ev)
{
    ngx_http_writeen_bus_conn_t  *bc;

    bc = ev->data;

    if (bc->state == BUS_CLOSED) {
        ngx_http_writeen_bus_connect(bc);
    }
}


/* The context is gone or will be by itself: note it, try again later. */

static void
ngx_http_writeen_bus_fail(ngx_http_writeen_bus_conn_t *bc, const char *why)
{
    ngx_msec_t                  delay;
    ngx_queue_t                *q;
    ngx_http_writeen_worker_t  *wk;

    wk = bc->server->worker;

    bc->ac = NULL;
    bc->state = BUS_CLOSED;
    bc->since = ngx_current_msec;

    if (!bc->failed) {
        bc->failed = 1;
        ngx_log_error(NGX_LOG_ERR, wk->log, 0,
                      "writeen: redis %s:%ui (%s): %s",
                      bc->server->url->host,
                      (ngx_uint_t) bc->server->url->port,
                      bc->sub ? "subscriptions" : "commands", why);
    }

    bc->backoff = ngx_max(bc->backoff * 2, NGX_HTTP_WRITEEN_BUS_BACKOFF);
    bc->backoff = ngx_min(bc->backoff, NGX_HTTP_WRITEEN_BUS_BACKOFF_MAX);

    /* +-20 % so that the workers of all nodes do not come at once */
    delay = bc->backoff * 8 / 10 + ngx_random() % (bc->backoff * 4 / 10 + 1);

    if (!bc->retry.timer_set && !ngx_terminate) {
        ngx_add_timer(&bc->retry, delay);
    }

    if (bc->sub) {
        while (!ngx_queue_empty(&bc->server->subscribe)) {
            q = ngx_queue_head(&bc->server->subscribe);
            ngx_queue_remove(q);
            ngx_free(ngx_queue_data(q, ngx_http_writeen_bus_chan_t, queue));
        }

        ngx_http_writeen_room_bus_lost(wk, bc->server->index);

        if (bc->server->index == 0) {
            ngx_http_writeen_user_bus_lost(wk);
        }
    }

    ngx_http_writeen_bus_health(wk);
}


/* Give the context up.  Not from a connect or disconnect callback. */

void
ngx_http_writeen_bus_drop(ngx_http_writeen_bus_conn_t *bc, const char *why)
{
    redisAsyncContext  *ac;

    ac = bc->ac;
    if (ac == NULL) {
        return;
    }

    ac->data = NULL;
    ngx_http_writeen_bus_fail(bc, why);
    redisAsyncFree(ac);
}


static void
ngx_http_writeen_bus_on_connect(const redisAsyncContext *ac, int status)
{
    int                           on = 1;
    ngx_http_writeen_bus_conn_t  *bc;

    bc = ac->data;
    if (bc == NULL) {
        return;
    }

    if (status != REDIS_OK) {
        /* hiredis frees it; there will be no disconnect callback */
        ngx_http_writeen_bus_fail(bc, ac->errstr);
        return;
    }

    if (bc->server->url->port != 0) {
        (void) setsockopt(ac->c.fd, IPPROTO_TCP, TCP_NODELAY,
                          (const void *) &on, sizeof(int));
        (void) setsockopt(ac->c.fd, SOL_SOCKET, SO_KEEPALIVE,
                          (const void *) &on, sizeof(int));
    }

    bc->state = BUS_SETUP;
    bc->since = ngx_current_msec;
    ngx_http_writeen_bus_setup(bc);
}


static void
ngx_http_writeen_bus_on_disconnect(const redisAsyncContext *ac, int status)
{
    ngx_http_writeen_bus_conn_t  *bc;

    bc = ac->data;

    if (bc != NULL) {
        ngx_http_writeen_bus_fail(bc, (status != REDIS_OK) ? ac->errstr
                                                           : "closed");
    }
}


static void
ngx_http_writeen_bus_setup(ngx_http_writeen_bus_conn_t *bc)
{
    wrt_redis_url_t            *url;
    ngx_http_writeen_server_t  *srv;
    const char                 *argv[3];
    size_t                      len[3];
    int                         argc;

    srv = bc->server;
    url = srv->url;

    if (url->password[0] != '\0') {
        argc = 0;
        argv[argc] = "AUTH";
        len[argc++] = 4;

        if (url->user[0] != '\0') {
            argv[argc] = url->user;
            len[argc] = ngx_strlen(url->user);
            argc++;
        }

        argv[argc] = url->password;
        len[argc] = ngx_strlen(url->password);
        argc++;

        (void) redisAsyncCommandArgv(bc->ac,
                                     ngx_http_writeen_bus_setup_reply, bc,
                                     argc, argv, len);
    }

    if (bc->sub) {
        argv[0] = "SUBSCRIBE";
        len[0] = 9;
        argv[1] = srv->reply;
        len[1] = srv->reply_len;

        (void) redisAsyncCommandArgv(bc->ac, ngx_http_writeen_bus_message,
                                     srv, 2, argv, len);
        return;
    }

    if (url->db != 0) {
        (void) redisAsyncCommand(bc->ac, ngx_http_writeen_bus_setup_reply, bc,
                                 "SELECT %u", url->db);
    }

    ngx_http_writeen_bus_check(srv);
}


static void
ngx_http_writeen_bus_setup_reply(redisAsyncContext *ac, void *reply,
    void *data)
{
    redisReply                   *r = reply;
    ngx_http_writeen_bus_conn_t  *bc = data;

    if (r != NULL && r->type == REDIS_REPLY_ERROR && bc->ac == ac) {
        ngx_http_writeen_bus_drop(bc, r->str);
    }
}


/* Is the Function library ours, the number of shards, and the server's place
 * among all of them? */

static void
ngx_http_writeen_bus_check(ngx_http_writeen_server_t *srv)
{
    srv->checking = 1;

    (void) redisAsyncCommand(srv->cmd.ac, ngx_http_writeen_bus_config_reply,
                             srv, "HMGET %s %s %s", WRT_KEY_CONFIG,
                             WRT_F_SHARDS, WRT_F_SERVER);

    if (redisAsyncCommand(srv->cmd.ac, ngx_http_writeen_bus_version_reply,
                          srv, "FCALL %s 0", WRT_FN_VERSION)
        != REDIS_OK)
    {
        srv->checking = 0;
    }
}


static void
ngx_http_writeen_bus_recheck_handler(ngx_event_t *ev)
{
    ngx_http_writeen_server_t  *srv;

    srv = ev->data;

    if (srv->cmd.state == BUS_SETUP && !srv->checking) {
        srv->cmd.since = ngx_current_msec;
        ngx_http_writeen_bus_check(srv);
    }
}


static void
ngx_http_writeen_bus_config_reply(redisAsyncContext *ac, void *reply,
    void *data)
{
    redisReply                 *r = reply;
    ngx_http_writeen_server_t  *srv = data;

    if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements != 2
        || srv->cmd.ac != ac)
    {
        return;
    }

    /* what nobody wrote yet the worker will, and checks it against its own */

    if ((r->element[0]->type == REDIS_REPLY_STRING
         && ngx_http_writeen_bus_check_shards(srv, r->element[0]) != NGX_OK)
        || (r->element[1]->type == REDIS_REPLY_STRING
            && ngx_http_writeen_bus_check_place(srv, r->element[1])
               != NGX_OK))
    {
        srv->unfit = 1;
        srv->checking = 0;
    }
}


static ngx_int_t
ngx_http_writeen_bus_check_shards(ngx_http_writeen_server_t *srv,
    redisReply *r)
{
    ngx_int_t  n;

    n = ngx_atoi((u_char *) r->str, r->len);

    if (n == (ngx_int_t) srv->names.shards) {
        return NGX_OK;
    }

    if (!srv->unfit) {
        ngx_log_error(NGX_LOG_ERR, srv->worker->log, 0,
                      "writeen: \"writeen_shards\" is %ui here but %i in "
                      "redis %s: set it to %i, the number of shards of "
                      "existing data can not change",
                      (ngx_uint_t) srv->names.shards, n, srv->url->host, n);
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_writeen_bus_check_place(ngx_http_writeen_server_t *srv,
    redisReply *r)
{
    u_char     *last, want[2 * NGX_INT_T_LEN + 5];
    ngx_str_t   have;

    have.data = (u_char *) r->str;
    have.len = ngx_min(r->len, sizeof("16 of 16") - 1);
    last = ngx_sprintf(want, "%ui of %ui", srv->index + 1,
                       srv->worker->conf->redis.nelts);

    if (r->len == (size_t) (last - want)
        && ngx_memcmp(r->str, want, r->len) == 0)
    {
        return NGX_OK;
    }

    if (!srv->unfit) {
        ngx_log_error(NGX_LOG_ERR, srv->worker->log, 0,
                      "writeen: redis %s is server %*s in \"writeen_redis\" "
                      "and %V for the worker pool: name the same servers as "
                      "REDIS_URL, in the same order", srv->url->host,
                      (size_t) (last - want), want, &have);
    }

    return NGX_ERROR;
}


static void
ngx_http_writeen_bus_version_reply(redisAsyncContext *ac, void *reply,
    void *data)
{
    redisReply                 *r = reply;
    ngx_http_writeen_server_t  *srv = data;

    if (r == NULL || srv->cmd.ac != ac || !srv->checking) {
        return;
    }

    srv->checking = 0;

    if (r->type == REDIS_REPLY_STRING
        && ngx_strcmp(r->str, WRT_LIBRARY_VERSION) == 0)
    {
        srv->unfit = 0;
        ngx_http_writeen_bus_cmd_ready(srv);
        return;
    }

    ngx_add_timer(&srv->recheck, NGX_HTTP_WRITEEN_BUS_RECHECK);

    if (!srv->unfit) {
        srv->unfit = 1;
        ngx_log_error(NGX_LOG_WARN, srv->worker->log, 0,
                      "writeen: redis %s:%ui has no function library of "
                      "version %s (%s): writeen-worker loads it when it starts",
                      srv->url->host, (ngx_uint_t) srv->url->port,
                      WRT_LIBRARY_VERSION,
                      (r->type == REDIS_REPLY_STRING
                       || r->type == REDIS_REPLY_ERROR) ? r->str : "?");
    }
}


static void
ngx_http_writeen_bus_ready_state(ngx_http_writeen_bus_conn_t *bc)
{
    ngx_http_writeen_worker_t  *wk;

    wk = bc->server->worker;

    bc->state = BUS_READY;
    bc->since = ngx_current_msec;
    bc->backoff = 0;

    if (bc->connected) {
        ngx_http_writeen_count(wk, bus_reconnects_total);
    }

    if (bc->failed) {
        ngx_log_error(NGX_LOG_NOTICE, wk->log, 0,
                      "writeen: redis %s:%ui (%s): back",
                      bc->server->url->host,
                      (ngx_uint_t) bc->server->url->port,
                      bc->sub ? "subscriptions" : "commands");
    }

    bc->failed = 0;
    bc->connected = 1;

    bc->server->canary = ngx_current_msec;
    ngx_http_writeen_bus_health(wk);
}


static void
ngx_http_writeen_bus_cmd_ready(ngx_http_writeen_server_t *srv)
{
    ngx_http_writeen_bus_ready_state(&srv->cmd);

    /* what waited for a command connection goes on */
    ngx_http_writeen_room_retry(srv->worker);
    ngx_http_writeen_user_retry(srv->worker);
    ngx_http_writeen_catch_retry(srv->worker);
}


void
ngx_http_writeen_bus_sub_ready(ngx_http_writeen_server_t *srv)
{
    unsigned  k;
    size_t    n;
    char      name[WRT_NAME_BUF];

    ngx_http_writeen_bus_ready_state(&srv->sub);

    if (srv->worker->conf->ack_store) {
        for (k = srv->index; k < srv->names.shards;
             k += srv->worker->nservers)
        {
            n = wrt_chan_applied(name, &srv->names, k);
            ngx_http_writeen_bus_subscribe(srv->worker, srv->index, name, n);
        }
    }

    ngx_http_writeen_room_resubscribe(srv->worker, srv->index);

    if (srv->index == 0) {
        n = wrt_chan_presence(name, &srv->names);
        ngx_http_writeen_bus_subscribe(srv->worker, 0, name, n);

        ngx_http_writeen_user_resubscribe(srv->worker);
    }
}


/* -- liveness -- */

static void
ngx_http_writeen_bus_tick_handler(ngx_event_t *ev)
{
    char                          text[64];
    size_t                        n;
    ngx_msec_t                    now;
    ngx_http_writeen_args_t       a;
    ngx_http_writeen_server_t    *srv;
    ngx_http_writeen_bus_conn_t  *bc;
    ngx_uint_t                    i;

    srv = ev->data;
    now = ngx_current_msec;

    for (i = 0; i < 2; i++) {
        bc = i ? &srv->sub : &srv->cmd;

        if ((bc->state == BUS_CONNECTING
             || (bc->state == BUS_SETUP && (bc->sub || srv->checking)))
            && now - bc->since > NGX_HTTP_WRITEEN_BUS_CONNECT_MS)
        {
            ngx_http_writeen_bus_drop(bc, "no answer");
        }
    }

    if (srv->cmd.state == BUS_SETUP && !srv->checking
        && !srv->recheck.timer_set)
    {
        srv->cmd.since = now;
        ngx_http_writeen_bus_check(srv);
    }

    if (srv->cmd.state == BUS_READY) {

        if (srv->sub.state == BUS_READY
            && now - srv->canary > WRT_CANARY_LATE_MS)
        {
            ngx_http_writeen_bus_drop(&srv->cmd, "the bus is silent");
            ngx_http_writeen_bus_drop(&srv->sub, "the bus is silent");

        } else {
            a.n = 0;
            a.nnum = 0;
            n = ngx_sprintf((u_char *) text, "%c %L - -\n", WRT_BUS_CANARY,
                            ++srv->canary_n)
                - (u_char *) text;

            ngx_http_writeen_arg_lit(&a, "PUBLISH");
            ngx_http_writeen_arg(&a, srv->reply, srv->reply_len);
            ngx_http_writeen_arg(&a, text, n);

            (void) ngx_http_writeen_bus_call(srv->worker, srv->index, &a,
                                             NULL, NULL);
        }
    }

    ngx_http_writeen_bus_health(srv->worker);

    ngx_add_timer(ev, WRT_CANARY_MS);
}


void
ngx_http_writeen_bus_health(ngx_http_writeen_worker_t *wk)
{
    ngx_uint_t                  i, redis, bus;
    ngx_http_writeen_server_t  *srv;

    redis = 1;
    bus = 1;

    for (i = 0; i < wk->nservers; i++) {
        srv = &wk->servers[i];

        if (srv->cmd.state != BUS_READY) {
            redis = 0;
        }

        if (srv->sub.state != BUS_READY
            || ngx_current_msec - srv->canary > 3 * WRT_CANARY_MS)
        {
            bus = 0;
        }
    }

    wk->health.redis = redis;
    wk->health.bus = bus && redis;
}
