/*
 * ngx_http_writeen_bus.h: the bus between its files: bus.c makes connections
 * and watches them, bus_channel.c has the subscriptions, bus_command.c the
 * commands.  Nobody else needs it, or hiredis.
 */

#ifndef _NGX_HTTP_WRITEEN_BUS_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_BUS_H_INCLUDED_


#include "ngx_http_writeen.h"
#include "ngx_http_writeen_redis_adapter.h"


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


/* A channel to subscribe with the next batch. */
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
    ngx_event_t                   recheck;    /* the library, soon again */
    ngx_msec_t                    canary;     /* last one seen */
    int64_t                       canary_n;
    char                          reply[WRT_NAME_BUF];
    size_t                        reply_len;
    ngx_uint_t                    refused;    /* commands, not told of yet */
    time_t                        refused_at; /* the last time it was told */
    unsigned                      checking:1; /* version check under way */
    unsigned                      unfit:1;    /* logged: library, number of
                                                 shards, or its place */
};


/* ngx_http_writeen_bus.c */

void ngx_http_writeen_bus_drop(ngx_http_writeen_bus_conn_t *bc,
    const char *why);
void ngx_http_writeen_bus_sub_ready(ngx_http_writeen_server_t *srv);
void ngx_http_writeen_bus_health(ngx_http_writeen_worker_t *wk);

/* ngx_http_writeen_bus_channel.c */

void ngx_http_writeen_bus_message(redisAsyncContext *ac, void *reply,
    void *data);
void ngx_http_writeen_bus_batch_handler(ngx_event_t *ev);

/* ngx_http_writeen_bus_command.c */

void ngx_http_writeen_bus_command_exit(void);


#endif /* _NGX_HTTP_WRITEEN_BUS_H_INCLUDED_ */
