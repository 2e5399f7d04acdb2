/*
 * ngx_http_writeen_stats.h: what is counted, and what /healthz knows.
 */

#ifndef _NGX_HTTP_WRITEEN_STATS_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* What may be asked for, each with a rate of its own (rate.c); WRT_RATE_<upper>
 * are its defaults. */
#define NGX_HTTP_WRITEEN_RATE_KINDS(X)                                        \
    X(message, MESSAGE)                                                       \
    X(change, CHANGE)                                                         \
    X(typing, TYPING)                                                         \
    X(receipt, RECEIPT)                                                       \
    X(presence, PRESENCE)                                                     \
    X(join, JOIN)                                                             \
    X(other, OTHER)                                                           \
    X(read, READ)

typedef enum {
    NGX_HTTP_WRITEEN_RATE_ALL = 0,         /* all kinds together */
#define X(name, upper)  NGX_HTTP_WRITEEN_RATE_##upper,
    NGX_HTTP_WRITEEN_RATE_KINDS(X)
#undef X
    NGX_HTTP_WRITEEN_RATES
} ngx_http_writeen_rate_e;


/* Counters, one set per nginx worker in shared memory; the list is also what
 * /metrics prints: name, Prometheus type, help. */
#define NGX_HTTP_WRITEEN_COUNTERS(X)                                          \
    X(connections, gauge, "Open WebSocket connections")                       \
    X(rooms, gauge, "Conversations with a subscriber in this node")           \
    X(users, gauge, "Users with a connection to this node")                   \
    X(queue_bytes, gauge, "Bytes queued for slow WebSocket clients")          \
    X(rpc_pending, gauge, "Calls waiting for the worker pool")                \
    X(uploads_reading, gauge, "Uploads whose body is being received")        \
    X(uploads_waiting, gauge, "Uploads waiting for the files role")           \
    X(accepted_total, counter, "WebSocket handshakes accepted")               \
    X(refused_total, counter, "WebSocket handshakes refused")                 \
    X(auth_failures_total, counter, "Tokens refused")                         \
    X(events_in_total, counter, "Client events received")                     \
    X(events_bad_total, counter, "Client events refused as malformed")        \
    X(rate_limited_total, counter, "Events and requests refused by rate")     \
    X(rate_forgotten_total, counter, "Users for whom the zone was too small") \
    X(frames_out_total, counter, "Frames queued to clients")                  \
    X(bytes_out_total, counter, "Bytes written to WebSocket clients")         \
    X(messages_sent_total, counter, "Messages acknowledged")                  \
    X(messages_refused_total, counter, "Messages refused")                    \
    X(commands_total, counter, "Events passed to the worker pool")            \
    X(receipts_total, counter, "Messages marked as read or delivered")        \
    X(receipt_calls_total, counter, "Calls to Redis for these")               \
    X(typing_total, counter, "Typing told to others")                         \
    X(typing_expired_total, counter, "Typing that ended in silence")          \
    X(presence_total, counter, "Changes of presence heard of")                \
    X(presence_dropped_total, counter, "Changes of presence left out")        \
    X(bus_messages_total, counter, "Messages received from Redis channels")   \
    X(bus_gaps_total, counter, "Holes found in a room and filled")            \
    X(bus_reconnects_total, counter, "Connections to Redis made anew")        \
    X(catchups_total, counter, "Catch-ups served from the log")               \
    X(catchups_store_total, counter, "Catch-ups served from the store")       \
    X(resyncs_total, counter, "Clients told to resync")                       \
    X(slow_closed_total, counter, "Connections closed as slow consumers")     \
    X(flood_closed_total, counter, "Connections closed for flooding")         \
    X(ping_closed_total, counter, "Connections closed without a pong")        \
    X(api_requests_total, counter, "REST requests")                           \
    X(api_errors_total, counter, "REST requests answered 5xx")                \
    X(uploads_total, counter, "Uploads asked for")                            \
    X(uploads_refused_total, counter, "Uploads refused before their body")    \
    X(uploads_spooled_total, counter, "Uploads given to the files role")      \
    X(uploads_bytes_total, counter, "Bytes of these")                         \
    X(rpc_calls_total, counter, "Calls to the worker pool")                   \
    X(rpc_timeouts_total, counter, "Calls without an answer in time")

typedef struct {
#define X(name, type, help)  ngx_atomic_t  name;
    NGX_HTTP_WRITEEN_COUNTERS(X)
#undef X
    ngx_atomic_t               asked[NGX_HTTP_WRITEEN_RATES]; /* by kind */
    ngx_atomic_t               refused[NGX_HTTP_WRITEEN_RATES];
} ngx_http_writeen_stats_t;

/* A slot has one writer, its nginx worker: no locked instructions. */
#define ngx_http_writeen_count_n(wk, name, n)                                 \
    ((wk)->stats->name += (ngx_atomic_uint_t) (n))
#define ngx_http_writeen_count(wk, name)                                      \
    ngx_http_writeen_count_n(wk, name, 1)


/* What /healthz says; kept fresh by status.c and bus.c. */
typedef struct {
    unsigned                   redis:1;    /* all servers ready */
    unsigned                   bus:1;      /* canaries come back */
    unsigned                   worker:1;   /* api and projector alive */
    unsigned                   store:1;    /* they can reach the store */
} ngx_http_writeen_health_t;


#endif /* _NGX_HTTP_WRITEEN_STATS_H_INCLUDED_ */
