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
 * again each second on the same connection.
 *
 * Liveness: each second a canary is published on the command connection to
 * our own channel.  One that does not come back within WRT_CANARY_LATE_MS means
 * that this server's bus is silent: both connections are dropped and made
 * anew.  (PING does not work on a subscribed connection of hiredis 0.14.)
 *
 * When subscriptions return, rooms and users are subscribed in batches and
 * told so; rooms then fill what they missed from the log.  Callbacks of
 * hiredis that come with a NULL reply mean "gone": handlers get R_LOST.
 * Connect and disconnect callbacks only set state and arm a timer: hiredis
 * 0.14 runs them without its guard against freeing.
 */

#include "ngx_http_writeen.h"
#include "ngx_http_writeen_redis_adapter.h"


#define NGX_HTTP_WRITEEN_BUS_BATCH        256
#define NGX_HTTP_WRITEEN_BUS_BACKOFF      100    /* ms, doubled up to */
#define NGX_HTTP_WRITEEN_BUS_BACKOFF_MAX  2000
#define NGX_HTTP_WRITEEN_BUS_CONNECT_MS   3000


typedef enum {
    BUS_CLOSED = 0,
    BUS_CONNECTING,
    BUS_SETUP,
    BUS_READY
} ngx_http_writeen_bus_state_t;


typedef struct {
    ngx_http_writeen_server_t    *server;
    redisAsyncContext            *ac;
    ngx_http_writeen_bus_state_t  state;
    ngx_event_t                   retry;      /* CLOSED: next attempt */
    ngx_msec_t                    since;      /* of the state */
    ngx_msec_t                    backoff;
    unsigned                      sub:1;
    unsigned                      failed:1;   /* logged already */
    unsigned                      connected:1; /* ever */
} ngx_http_writeen_bus_conn_t;


/* A channel to (un)subscribe with the next batch. */
typedef struct {
    ngx_queue_t                   queue;
    size_t                        len;
    u_char                        name[1];
} ngx_http_writeen_bus_chan_t;


struct ngx_http_writeen_server_s {
    ngx_http_writeen_worker_t    *worker;
    wrt_redis_url_t              *url;
    ngx_uint_t                    index;
    wrt_names_t                   names;
    ngx_http_writeen_bus_conn_t   cmd;
    ngx_http_writeen_bus_conn_t   sub;
    ngx_queue_t                   subscribe;  /* of chan */
    ngx_event_t                   batch;
    ngx_event_t                   tick;
    ngx_msec_t                    canary;     /* last one seen */
    int64_t                       canary_n;
    char                          reply[WRT_NAME_BUF];
    size_t                        reply_len;
    unsigned                      checking:1; /* version check under way */
    unsigned                      unfit:1;    /* logged: library or shards */
};


/* A command under way. */
typedef struct ngx_http_writeen_bus_cmd_s  ngx_http_writeen_bus_cmd_t;

struct ngx_http_writeen_bus_cmd_s {
    ngx_http_writeen_bus_pt       handler;
    void                         *data;
    ngx_http_writeen_bus_cmd_t   *next;       /* in the free list */
    ngx_uint_t                    function;   /* FCALL: a code comes first */
};


static ngx_http_writeen_bus_cmd_t  *ngx_http_writeen_bus_free_cmds;


static void ngx_http_writeen_bus_connect(ngx_http_writeen_bus_conn_t *bc);
static void ngx_http_writeen_bus_retry_handler(ngx_event_t *ev);
static void ngx_http_writeen_bus_fail(ngx_http_writeen_bus_conn_t *bc,
    const char *why);
static void ngx_http_writeen_bus_drop(ngx_http_writeen_bus_conn_t *bc,
    const char *why);
static void ngx_http_writeen_bus_on_connect(const redisAsyncContext *ac,
    int status);
static void ngx_http_writeen_bus_on_disconnect(const redisAsyncContext *ac,
    int status);
static void ngx_http_writeen_bus_setup(ngx_http_writeen_bus_conn_t *bc);
static void ngx_http_writeen_bus_setup_reply(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_writeen_bus_check(ngx_http_writeen_server_t *srv);
static void ngx_http_writeen_bus_version_reply(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_writeen_bus_shards_reply(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_writeen_bus_cmd_ready(ngx_http_writeen_server_t *srv);
static void ngx_http_writeen_bus_sub_ready(ngx_http_writeen_server_t *srv);
static void ngx_http_writeen_bus_message(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_writeen_bus_dispatch(ngx_http_writeen_server_t *srv,
    redisReply *chan, redisReply *payload, ngx_int_t subscribed);
static void ngx_http_writeen_bus_batch_handler(ngx_event_t *ev);
static void ngx_http_writeen_bus_tick_handler(ngx_event_t *ev);
static void ngx_http_writeen_bus_reply(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_writeen_bus_health(ngx_http_writeen_worker_t *wk);


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


void
ngx_http_writeen_bus_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_uint_t                   i;
    redisAsyncContext           *ac;
    ngx_http_writeen_bus_cmd_t  *cmd;

    for (i = 0; i < wk->nservers; i++) {
        ac = wk->servers[i].cmd.ac;
        wk->servers[i].cmd.ac = NULL;

        if (ac != NULL) {
            redisAsyncFree(ac);
        }

        ac = wk->servers[i].sub.ac;
        wk->servers[i].sub.ac = NULL;

        if (ac != NULL) {
            redisAsyncFree(ac);
        }
    }

    while (ngx_http_writeen_bus_free_cmds != NULL) {
        cmd = ngx_http_writeen_bus_free_cmds;
        ngx_http_writeen_bus_free_cmds = cmd->next;
        ngx_free(cmd);
    }
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

    if (ngx_http_writeen_redis_attach(ac, wk->log) != NGX_OK) {
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

static void
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


/* Is the Function library ours, and the number of shards? */

static void
ngx_http_writeen_bus_check(ngx_http_writeen_server_t *srv)
{
    srv->checking = 1;

    if (srv->index == 0) {
        (void) redisAsyncCommand(srv->cmd.ac,
                                 ngx_http_writeen_bus_shards_reply, srv,
                                 "HGET %s %s", WRT_KEY_CONFIG, WRT_F_SHARDS);
    }

    if (redisAsyncCommand(srv->cmd.ac, ngx_http_writeen_bus_version_reply,
                          srv, "FCALL %s 0", WRT_FN_VERSION)
        != REDIS_OK)
    {
        srv->checking = 0;
    }
}


static void
ngx_http_writeen_bus_shards_reply(redisAsyncContext *ac, void *reply,
    void *data)
{
    redisReply                 *r = reply;
    ngx_int_t                   n;
    ngx_http_writeen_server_t  *srv = data;

    /* nobody wrote it yet: the worker will, and checks it against its own */

    if (r == NULL || r->type != REDIS_REPLY_STRING || srv->cmd.ac != ac) {
        return;
    }

    n = ngx_atoi((u_char *) r->str, r->len);

    if (n != (ngx_int_t) srv->names.shards) {
        if (!srv->unfit) {
            srv->unfit = 1;
            ngx_log_error(NGX_LOG_ERR, srv->worker->log, 0,
                          "writeen: \"writeen_shards\" is %ui here but %i in "
                          "redis %s: set it to %i, the number of shards of "
                          "existing data can not change",
                          (ngx_uint_t) srv->names.shards, n, srv->url->host,
                          n);
        }

        srv->checking = 0;
    }
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

    /* the tick looks again */

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


static void
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
        ngx_http_writeen_user_resubscribe(srv->worker);
    }
}


/* -- subscriptions -- */

void
ngx_http_writeen_bus_subscribe(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server, const char *channel, size_t n)
{
    ngx_http_writeen_server_t    *srv;
    ngx_http_writeen_bus_chan_t  *ch;

    srv = &wk->servers[server];

    if (srv->sub.state != BUS_READY) {
        /* sub_ready asks rooms and users anew */
        return;
    }

    ch = ngx_alloc(sizeof(ngx_http_writeen_bus_chan_t) + n, wk->log);
    if (ch == NULL) {
        ngx_http_writeen_bus_drop(&srv->sub, "no memory");
        return;
    }

    ch->len = n;
    ngx_memcpy(ch->name, channel, n);
    ngx_queue_insert_tail(&srv->subscribe, &ch->queue);

    if (!srv->batch.posted) {
        ngx_post_event(&srv->batch, &ngx_posted_events);
    }
}


static void
ngx_http_writeen_bus_batch_handler(ngx_event_t *ev)
{
    int                           argc;
    int                           i;
    int                           rc;
    size_t                        len[NGX_HTTP_WRITEEN_BUS_BATCH + 1];
    const char                   *argv[NGX_HTTP_WRITEEN_BUS_BATCH + 1];
    ngx_queue_t                  *q;
    ngx_queue_t                   done;
    ngx_http_writeen_server_t    *srv;
    ngx_http_writeen_bus_chan_t  *ch;

    srv = ev->data;

    ngx_queue_init(&done);

    argc = 1;
    argv[0] = "SUBSCRIBE";
    len[0] = 9;

    while (!ngx_queue_empty(&srv->subscribe)
           && argc <= NGX_HTTP_WRITEEN_BUS_BATCH)
    {
        q = ngx_queue_head(&srv->subscribe);
        ch = ngx_queue_data(q, ngx_http_writeen_bus_chan_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&done, q);

        argv[argc] = (char *) ch->name;
        len[argc++] = ch->len;
    }

    rc = REDIS_OK;

    if (argc > 1 && srv->sub.state == BUS_READY) {
        rc = redisAsyncCommandArgv(srv->sub.ac, ngx_http_writeen_bus_message,
                                   srv, argc, argv, len);
    }

    for (i = 1; i < argc; i++) {
        q = ngx_queue_head(&done);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_http_writeen_bus_chan_t, queue));
    }

    if (rc != REDIS_OK) {
        ngx_http_writeen_bus_drop(&srv->sub, "SUBSCRIBE failed");
        return;
    }

    if (!ngx_queue_empty(&srv->subscribe)) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


void
ngx_http_writeen_bus_unsubscribe(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server, const char *channel, size_t n)
{
    size_t                      len[2];
    const char                 *argv[2];
    ngx_http_writeen_server_t  *srv;

    srv = &wk->servers[server];

    if (srv->sub.state != BUS_READY) {
        return;
    }

    argv[0] = "UNSUBSCRIBE";
    len[0] = 11;
    argv[1] = channel;
    len[1] = n;

    (void) redisAsyncCommandArgv(srv->sub.ac, ngx_http_writeen_bus_message,
                                 srv, 2, argv, len);
}


/* Whatever comes on a subscribed connection. */

static void
ngx_http_writeen_bus_message(redisAsyncContext *ac, void *reply, void *data)
{
    redisReply                 *r = reply;
    ngx_http_writeen_server_t  *srv = data;

    if (r == NULL || srv->sub.ac != ac) {
        return;
    }

    if (r->type == REDIS_REPLY_ERROR) {
        ngx_http_writeen_bus_drop(&srv->sub, r->str);
        return;
    }

    if (r->type != REDIS_REPLY_ARRAY || r->elements != 3
        || r->element[0]->type != REDIS_REPLY_STRING
        || r->element[1]->type != REDIS_REPLY_STRING)
    {
        return;
    }

    switch (r->element[0]->str[0]) {

    case 'm':
        if (r->element[2]->type == REDIS_REPLY_STRING) {
            ngx_http_writeen_bus_dispatch(srv, r->element[1], r->element[2],
                                          0);
        }
        break;

    case 's':
        if (srv->sub.state == BUS_SETUP) {
            ngx_http_writeen_bus_sub_ready(srv);
            break;
        }

        ngx_http_writeen_bus_dispatch(srv, r->element[1], NULL, 1);
        break;

    case 'u':
        ngx_http_writeen_bus_dispatch(srv, r->element[1], NULL, 0);
        break;
    }
}


static void
ngx_http_writeen_bus_dispatch(ngx_http_writeen_server_t *srv,
    redisReply *chan, redisReply *payload, ngx_int_t subscribed)
{
    int                         kind;
    size_t                      n;
    const char                 *id;
    wrt_bus_header_t            h;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_user_t    *u;
    ngx_http_writeen_worker_t  *wk;

    wk = srv->worker;
    kind = wrt_chan_parse(&srv->names, chan->str, chan->len, &id, &n);

    if (payload != NULL && kind != 'a'
        && wrt_bus_parse(&h, payload->str, payload->len) != 0)
    {
        ngx_log_error(NGX_LOG_ERR, wk->log, 0,
                      "writeen: a message without header on channel \"%*s\"",
                      chan->len, chan->str);
        return;
    }

    switch (kind) {

    case 'r':
        rm = ngx_http_writeen_room_get(wk, id, n, 0);

        if (rm == NULL) {
            break;
        }

        if (payload != NULL) {
            ngx_http_writeen_count(wk, bus_messages_total);
            ngx_http_writeen_room_event(wk, rm, &h);

        } else if (subscribed) {
            ngx_http_writeen_room_subscribed(wk, rm);

        } else {
            ngx_http_writeen_room_unsubscribed(wk, rm);
        }

        break;

    case 'u':
        u = ngx_http_writeen_user_find(wk, id, n);

        if (u == NULL) {
            break;
        }

        if (payload != NULL) {
            ngx_http_writeen_count(wk, bus_messages_total);
            ngx_http_writeen_user_event(wk, u, &h);

        } else if (subscribed) {
            ngx_http_writeen_user_subscribed(wk, u);

        } else {
            ngx_http_writeen_user_unsubscribed(wk, u);
        }

        break;

    case 'w':
        if (payload != NULL) {
            if (h.kind == WRT_BUS_CANARY) {
                srv->canary = ngx_current_msec;
                ngx_http_writeen_bus_health(wk);

            } else if (h.kind == WRT_BUS_REPLY) {
                ngx_http_writeen_rpc_reply(wk, &h);
            }
        }

        break;

    case 'a':
        if (payload != NULL) {
            ngx_http_writeen_send_applied(wk, payload->str, payload->len);
        }

        break;
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

    if (srv->cmd.state == BUS_SETUP && !srv->checking) {
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


static void
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


/* -- commands -- */

ngx_int_t
ngx_http_writeen_bus_call(ngx_http_writeen_worker_t *wk, ngx_uint_t server,
    ngx_http_writeen_args_t *args, ngx_http_writeen_bus_pt handler,
    void *data)
{
    ngx_http_writeen_server_t   *srv;
    ngx_http_writeen_bus_cmd_t  *cmd;

    srv = &wk->servers[server];

    if (srv->cmd.state != BUS_READY) {
        return NGX_ERROR;
    }

    cmd = NULL;

    if (handler != NULL) {
        cmd = ngx_http_writeen_bus_free_cmds;

        if (cmd != NULL) {
            ngx_http_writeen_bus_free_cmds = cmd->next;

        } else {
            cmd = ngx_alloc(sizeof(ngx_http_writeen_bus_cmd_t), wk->log);
            if (cmd == NULL) {
                return NGX_ERROR;
            }
        }

        cmd->handler = handler;
        cmd->data = data;
        cmd->function = (args->v[0][0] == 'F');
    }

    if (redisAsyncCommandArgv(srv->cmd.ac,
                              cmd ? ngx_http_writeen_bus_reply : NULL, cmd,
                              (int) args->n, args->v, args->len)
        == REDIS_OK)
    {
        return NGX_OK;
    }

    if (cmd != NULL) {
        cmd->next = ngx_http_writeen_bus_free_cmds;
        ngx_http_writeen_bus_free_cmds = cmd;
    }

    return NGX_ERROR;
}


static void
ngx_http_writeen_bus_reply(redisAsyncContext *ac, void *reply, void *data)
{
    static const struct {
        const char             *name;
        ngx_http_writeen_rc_t   rc;
    } codes[] = {
        { "ok", NGX_HTTP_WRITEEN_R_OK },
        { "dup", NGX_HTTP_WRITEEN_R_DUP },
        { "exists", NGX_HTTP_WRITEEN_R_EXISTS },
        { "noload", NGX_HTTP_WRITEEN_R_NOLOAD },
        { "denied", NGX_HTTP_WRITEEN_R_DENIED },
        { "forbidden", NGX_HTTP_WRITEEN_R_FORBIDDEN },
        { "archived", NGX_HTTP_WRITEEN_R_ARCHIVED },
        { "backlog", NGX_HTTP_WRITEEN_R_BACKLOG },
        { "old", NGX_HTTP_WRITEEN_R_OLD },
        { "many", NGX_HTTP_WRITEEN_R_MANY },
        { NULL, NGX_HTTP_WRITEEN_R_OK }
    };

    void                        *hdata;
    ngx_uint_t                   i, function;
    redisReply                  *r = reply;
    ngx_http_writeen_bus_pt      handler;
    ngx_http_writeen_result_t    res;
    ngx_http_writeen_bus_cmd_t  *cmd = data;

    handler = cmd->handler;
    hdata = cmd->data;
    function = cmd->function;

    cmd->next = ngx_http_writeen_bus_free_cmds;
    ngx_http_writeen_bus_free_cmds = cmd;

    res.reply = r;
    res.base = 0;
    res.n = 1;
    res.rc = NGX_HTTP_WRITEEN_R_OK;

    if (r == NULL) {
        res.rc = NGX_HTTP_WRITEEN_R_LOST;
        res.n = 0;

    } else if (r->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "writeen: redis answered \"%s\"", r->str);
        res.rc = NGX_HTTP_WRITEEN_R_ERROR;
        res.n = 0;

    } else if (r->type == REDIS_REPLY_ARRAY) {
        res.n = r->elements;

        if (function && r->elements > 0
            && r->element[0]->type == REDIS_REPLY_STRING)
        {
            for (i = 0; codes[i].name != NULL; i++) {
                if (ngx_strcmp(r->element[0]->str, codes[i].name) == 0) {
                    res.rc = codes[i].rc;
                    res.base = 1;
                    res.n--;
                    break;
                }
            }
        }
    }

    handler(hdata, &res);
}


void
ngx_http_writeen_arg(ngx_http_writeen_args_t *a, const void *p, size_t n)
{
    a->v[a->n] = p;
    a->len[a->n] = n;
    a->n++;
}


void
ngx_http_writeen_arg_num(ngx_http_writeen_args_t *a, int64_t n)
{
    u_char  *p, *last;

    p = (u_char *) a->num[a->nnum++];
    last = ngx_sprintf(p, "%L", n);

    ngx_http_writeen_arg(a, p, last - p);
}


static redisReply *
ngx_http_writeen_result_elt(ngx_http_writeen_result_t *res, ngx_uint_t i)
{
    redisReply  *r = res->reply;

    if (i >= res->n) {
        return NULL;
    }

    return (r->type == REDIS_REPLY_ARRAY) ? r->element[res->base + i] : r;
}


static ngx_int_t
ngx_http_writeen_reply_str(redisReply *r, ngx_str_t *out)
{
    if (r == NULL
        || (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS))
    {
        ngx_str_null(out);
        return NGX_DECLINED;
    }

    out->data = (u_char *) r->str;
    out->len = r->len;

    return NGX_OK;
}


int64_t
ngx_http_writeen_result_num(ngx_http_writeen_result_t *res, ngx_uint_t i)
{
    redisReply  *r;

    r = ngx_http_writeen_result_elt(res, i);

    if (r == NULL) {
        return 0;
    }

    if (r->type == REDIS_REPLY_INTEGER) {
        return r->integer;
    }

    if (r->type == REDIS_REPLY_STRING) {
        return ngx_max(ngx_atoof((u_char *) r->str, r->len), 0);
    }

    return 0;
}


ngx_int_t
ngx_http_writeen_result_str(ngx_http_writeen_result_t *res, ngx_uint_t i,
    ngx_str_t *out)
{
    return ngx_http_writeen_reply_str(ngx_http_writeen_result_elt(res, i),
                                      out);
}


ngx_uint_t
ngx_http_writeen_result_count(ngx_http_writeen_result_t *res, ngx_uint_t i)
{
    redisReply  *r;

    r = ngx_http_writeen_result_elt(res, i);

    return (r != NULL && r->type == REDIS_REPLY_ARRAY) ? r->elements : 0;
}


ngx_int_t
ngx_http_writeen_result_sub(ngx_http_writeen_result_t *res, ngx_uint_t i,
    ngx_uint_t j, ngx_str_t *out)
{
    if (j >= ngx_http_writeen_result_count(res, i)) {
        ngx_str_null(out);
        return NGX_DECLINED;
    }

    return ngx_http_writeen_reply_str(
               ngx_http_writeen_result_elt(res, i)->element[j], out);
}
