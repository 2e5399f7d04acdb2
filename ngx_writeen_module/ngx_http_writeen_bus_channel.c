/*
 * ngx_http_writeen_bus_channel.c: subscriptions, and where messages go.
 *
 * Channels are subscribed in batches, one command a turn, so that neither a
 * burst of connections nor a reconnect with thousands of rooms floods Redis.
 */

#include "ngx_http_writeen_bus.h"


#define NGX_HTTP_WRITEEN_BUS_BATCH        256


static void ngx_http_writeen_bus_dispatch(ngx_http_writeen_server_t *srv,
    redisReply *chan, redisReply *payload, ngx_int_t subscribed);


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


void
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

void
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


/* Is it an event of a room as this version knows them?  A newer node's kinds
 * are not for us. */

static ngx_uint_t
ngx_http_writeen_bus_known(wrt_bus_header_t *h)
{
    switch (h->kind) {

    case WRT_EV_MESSAGE:
    case WRT_EV_CHANGE:
    case WRT_EV_JOIN:
    case WRT_EV_LEAVE:
        return h->num[0] > 0 && h->body.n != 0;

    case WRT_EV_FENCE:
        return h->num[0] > 0;

    case WRT_EV_STATUS:
    case WRT_EV_TYPING:
    case WRT_EV_PRESENCE:
        return h->num[0] == 0 && h->body.n != 0;
    }

    return 0;
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

            if (ngx_http_writeen_bus_known(&h)) {
                ngx_http_writeen_room_event(wk, rm, &h);
            }

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

    case 'p':
        if (payload != NULL && h.kind == WRT_EV_PRESENCE) {
            ngx_http_writeen_tell(wk, &h);
        }

        break;
    }
}
