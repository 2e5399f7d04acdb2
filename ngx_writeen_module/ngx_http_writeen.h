/*
 * ngx_http_writeen.h: types of the module, and prototypes grouped by the file
 * that has them.
 *
 * Who owns what, in one nginx worker process:
 *
 *   worker   one, made in init_process, freed in exit_process
 *   session  one WebSocket connection; owns its connection after the upgrade
 *            (the HTTP request is freed right then, as HTTP/2 does)
 *   user     sessions of one user id; owns the subscription to his channel
 *   room     one conversation; owns the subscription to its channel
 *   link     one session in one room: what it has seen of it
 *   msg      one frame as it goes on the wire, shared by reference count
 *
 * Direction of calls: handshake -> session -> event -> {room, bus, output};
 * bus -> {room, user, rpc}; room -> output -> msg.  Only bus and
 * redis_adapter know hiredis, only auth knows libjwt.
 */

#ifndef _NGX_HTTP_WRITEEN_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include "common/wrt_limits.h"
#include "common/wrt_names.h"
#include "common/wrt_url.h"
#include "common/wrt_id.h"
#include "common/wrt_bus.h"
#include "common/wrt_frame.h"
#include "common/wrt_deflate.h"
#include "common/wrt_utf8.h"
#include "common/wrt_envelope.h"

#include "ngx_http_writeen_conf.h"
#include "ngx_http_writeen_stats.h"


typedef struct ngx_http_writeen_worker_s   ngx_http_writeen_worker_t;
typedef struct ngx_http_writeen_session_s  ngx_http_writeen_session_t;
typedef struct ngx_http_writeen_user_s     ngx_http_writeen_user_t;
typedef struct ngx_http_writeen_room_s     ngx_http_writeen_room_t;
typedef struct ngx_http_writeen_link_s     ngx_http_writeen_link_t;
typedef struct ngx_http_writeen_catch_s    ngx_http_writeen_catch_t;
typedef struct ngx_http_writeen_msg_s      ngx_http_writeen_msg_t;
typedef struct ngx_http_writeen_out_s      ngx_http_writeen_out_t;
typedef struct ngx_http_writeen_server_s   ngx_http_writeen_server_t;
typedef struct ngx_http_writeen_rpc_s      ngx_http_writeen_rpc_t;


#include "ngx_http_writeen_redis.h"


/* -- messages and output -- */

/* In how many ways a msg may be compressed: deflate.c. */
#define NGX_HTTP_WRITEEN_DEFLATED  3

/* A whole server frame: header and payload, contiguous.  It has a reference to
 * each of `base` and `deflated`. */
struct ngx_http_writeen_msg_s {
    ngx_uint_t                 refs;
    int64_t                    seq;        /* 0: not numbered */
    ngx_uint_t                 len;        /* bytes in data */
    u_char                     kind;       /* WRT_EV_*, 0: made here */
    u_char                     tried;      /* to compress: a bit for each */
    uint64_t                   serial;     /* not 0: has been compressed */
    ngx_http_writeen_msg_t    *base;       /* the event before, or NULL */
    ngx_http_writeen_msg_t    *deflated[NGX_HTTP_WRITEEN_DEFLATED];
    u_char                     data[1];
};


/* A place in a session's queue. */
struct ngx_http_writeen_out_s {
    ngx_http_writeen_out_t    *next;
    ngx_http_writeen_msg_t    *msg;        /* one reference */
};


/* -- sessions, users, rooms -- */

/*
 * A command or call made for a session; first member of what is passed as
 * its data.  When the session goes, session is set to NULL and abandon called:
 * it frees what no answer will free.
 */
typedef struct ngx_http_writeen_op_s  ngx_http_writeen_op_t;

struct ngx_http_writeen_op_s {
    ngx_queue_t                queue;      /* in session->ops */
    ngx_http_writeen_session_t *session;
    void                     (*abandon)(ngx_http_writeen_op_t *op);
};


typedef enum {
    NGX_HTTP_WRITEEN_OPENING = 0,  /* 101 sent; rooms are being found */
    NGX_HTTP_WRITEEN_OPEN,         /* connected sent */
    NGX_HTTP_WRITEEN_CLOSING,      /* Close sent; waiting for the peer's */
    NGX_HTTP_WRITEEN_DEAD          /* freed at the end of this turn */
} ngx_http_writeen_state_t;


struct ngx_http_writeen_session_s {
    ngx_queue_t                queue;      /* in worker->sessions or doomed */
    ngx_queue_t                user_queue; /* in user->sessions */
    ngx_queue_t                flush;      /* in worker->flush, flush_late */
    ngx_queue_t                links;      /* of link.session_queue */
    ngx_queue_t                ops;        /* commands and calls under way */
    ngx_queue_t                commands;   /* command.c */
    ngx_queue_t                paused;     /* catch-ups waiting to read */
    ngx_queue_t                typists;    /* in worker->typing */
    ngx_queue_t                parting;    /* in worker->parting */

    ngx_connection_t          *connection;
    ngx_http_writeen_loc_conf_t *conf;
    ngx_http_writeen_user_t   *user;
    ngx_http_request_t        *request;    /* until the takeover */

    ngx_event_t                timer;      /* next of ping, token, deadline;
                                              before: the takeover */
    ngx_msec_t                 next_ping;
    ngx_msec_t                 deadline;   /* opening, resume or close */
    time_t                     exp;

    ngx_str_t                  uid;        /* these four in one */
    ngx_str_t                  role;       /* allocation: `identity` */
    ngx_str_t                  name;
    ngx_str_t                  avatar;
    u_char                    *identity;
    ngx_str_t                  addr;       /* as the handshake saw it */

    /* output: frames not yet written, `sent` bytes of the first are out */
    ngx_http_writeen_out_t    *out;
    ngx_http_writeen_out_t   **out_last;
    size_t                     out_bytes;
    size_t                     large;      /* of a frame that does not count */
    size_t                     sent;

    /* input: the frame and the message under construction */
    wrt_message_state_t        message;
    wrt_frame_t                frame;
    wrt_utf8_t                 utf8;
    uint64_t                   frame_got;
    u_char                    *in;
    size_t                     in_len;
    size_t                     in_size;
    u_char                    *early;      /* came with the handshake */
    size_t                     early_len;
    u_char                     header[WRT_FRAME_CLIENT_HEADER_MAX];
    u_char                     header_len;
    u_char                     window;     /* permessage-deflate; 0: without */
    u_char                     control[WRT_FRAME_CONTROL_MAX];

    ngx_http_writeen_bucket_t  buckets[NGX_HTTP_WRITEEN_RATES];

    /* what is known of the device */
    ngx_str_t                  platform;   /* these two in one */
    ngx_str_t                  version;    /* allocation: `device` */
    u_char                    *device;
    ngx_http_writeen_link_t   *screen;     /* joined last, not left */
    ngx_http_writeen_link_t   *typing;     /* where he types, or NULL */
    ngx_msec_t                 typed;      /* and when he said so last */
    uint64_t                   told;       /* last presence that it was given */
    uint64_t                   deflated;   /* serial of the last compressed
                                              msg that it was given */

    ngx_uint_t                 nlinks;
    ngx_uint_t                 opening;    /* links not ready yet */
    ngx_uint_t                 floods;     /* refused, less let through */
    ngx_uint_t                 ncontrol;   /* frames without events in */
    time_t                     control_at; /* this second */
    ngx_uint_t                 ncommands;
    ngx_uint_t                 nchecks;    /* joins of rooms without a link */
    ngx_uint_t                 nsends;     /* messages not answered yet */

    char                       id[WRT_OID_LEN + 1];

    unsigned                   state:3;
    unsigned                   unanswered:3; /* pings */
    unsigned                   bad_events:8;
    unsigned                   in_payload:1;
    unsigned                   resuming:1;  /* waits for its resume event */
    unsigned                   listed:1;    /* its room list has come */
    unsigned                   relist:1;    /* and has changed since */
    unsigned                   flushing:1;  /* in worker->flush */
    unsigned                   late:1;      /* or rather in flush_late */
    unsigned                   warned:1;    /* token_expiring sent */
    unsigned                   takeover:1;  /* it keeps what it has read */
    unsigned                   close_sent:1;
    unsigned                   close_received:1;
    unsigned                   failed:1;    /* protocol error: input is noise */
    unsigned                   muted:1;     /* a flood: nothing more is read */
    unsigned                   shut:1;      /* our side of the socket */
    unsigned                   has_deadline:1;
    unsigned                   catching:1;  /* one catch-up is reading */
    unsigned                   typing_late:1; /* still to be published */
    unsigned                   recorded:1;  /* its device is on the hub */
    unsigned                   news:1;      /* and not as it is now */
};


struct ngx_http_writeen_user_s {
    ngx_str_node_t             node;       /* in worker->users; uid */
    ngx_queue_t                sessions;
    ngx_queue_t                idle;       /* in worker->idle_users */
    ngx_msec_t                 idle_since;
    ngx_queue_t                renewal;    /* present: in a slot of the
                                              worker's renewals */
    ngx_str_t                  name;       /* these two in one */
    ngx_str_t                  avatar;     /* allocation: `profile` */
    u_char                    *profile;    /* as a service set it, or NULL */
    ngx_uint_t                 profiles;   /* changes of it that came */
    ngx_uint_t                 mustered;   /* the last one that named him */
    ngx_uint_t                 nsessions;
    u_char                     sub;        /* NGX_HTTP_WRITEEN_SUB_* */
    unsigned                   known:1;    /* his list came since then */
    unsigned                   present:1;  /* a lease was taken */
    unsigned                   news:1;     /* of a session of his */
    u_char                     uid[1];
};


/* Subscription of a room or a user. */
#define NGX_HTTP_WRITEEN_SUB_NONE     0
#define NGX_HTTP_WRITEEN_SUB_SENT     1
#define NGX_HTTP_WRITEEN_SUB_READY    2
#define NGX_HTTP_WRITEEN_SUB_LEAVING  3    /* UNSUBSCRIBE under way */


struct ngx_http_writeen_room_s {
    ngx_str_node_t             node;       /* in worker->rooms; id */
    ngx_queue_t                links;
    ngx_queue_t                idle;       /* in worker->idle_rooms */
    ngx_queue_t                hold;       /* of held: live, while filling */
    ngx_queue_t                recent;     /* of held: since a catch-up began */
    ngx_queue_t                walk;       /* of held: being given to links */
    ngx_queue_t                walking;    /* in worker->walking */
    ngx_queue_t                acks;       /* sends waiting for the store */
    ngx_queue_t                typists;    /* who types, as heard */
    ngx_queue_t               *cursor;     /* next link of the walk */
    ngx_http_writeen_msg_t    *last;       /* compressed: the next one's base */
    ngx_msec_t                 idle_since;
    int64_t                    seq;        /* last accepted; -1 unknown */
    int64_t                    origin;     /* where the store began to fill a
                                              hole it has more of; or -1 */
    int64_t                    told;       /* compact: links know of up to here
                                              how the room stands */
    ngx_msec_t                 failing;    /* the store: since when, or 0 */
    ngx_uint_t                 nlinks;
    ngx_uint_t                 nhold;
    size_t                     hold_bytes;
    ngx_uint_t                 nrecent;
    size_t                     recent_bytes;
    int64_t                    lost;       /* recent lacks some up to here */
    ngx_uint_t                 catching;   /* links whose catch-up is read */
    ngx_uint_t                 ntypists;
    ngx_uint_t                 shard;
    u_char                     sub;
    unsigned                   filling:1;
    unsigned                   unseen:1;   /* subscribed anew: fill first */
    unsigned                   asked:1;    /* a fill's question is out */
    unsigned                   retry:1;    /* a fill waits for another try */
    unsigned                   midway:1;   /* cursor is inside a walk */
    unsigned                   again:1;    /* it is older than the present
                                              subscription */
    unsigned                   hopeless:1; /* the store will not fill it */
    unsigned                   passed:1;   /* the store has told: somebody's
                                              leaving may be in that */
    u_char                     id[1];
};


/* A msg kept in one of a room's lists (one reference). */
typedef struct {
    ngx_queue_t                queue;
    ngx_http_writeen_msg_t    *msg;
    ngx_str_t                  target;     /* of WRT_EV_JOIN and _LEAVE */
    ngx_str_t                  actor;
    int64_t                    before;     /* of WRT_EV_FENCE */
    unsigned                   filled:1;   /* read from the log or the store */
} ngx_http_writeen_held_t;


typedef enum {
    NGX_HTTP_WRITEEN_LINK_WAIT = 0, /* room's subscription or state comes */
    NGX_HTTP_WRITEEN_LINK_HELD,     /* opening or &resume=1: nothing sent */
    NGX_HTTP_WRITEEN_LINK_CATCH,    /* catching up; live events pass it by */
    NGX_HTTP_WRITEEN_LINK_LIVE
} ngx_http_writeen_link_state_t;


struct ngx_http_writeen_link_s {
    ngx_queue_t                room_queue;
    ngx_queue_t                session_queue;
    ngx_http_writeen_room_t   *room;
    ngx_http_writeen_session_t *session;
    ngx_http_writeen_catch_t  *catch_op;   /* catch-up under way or wanted */
    int64_t                    seq;        /* last event given to it */
    int64_t                    first;      /* where live began: events up to
                                              it were not sent here */
    int64_t                    member;     /* he was one at this number */
    ngx_msec_t                 typing_at;  /* typing published, 0 never */
    u_char                     state;
    unsigned                   opening:1;  /* counted in session->opening */
};


/* -- one nginx worker -- */

/* Leases are renewed in so many portions. */
#define NGX_HTTP_WRITEEN_RENEWALS   100


struct ngx_http_writeen_worker_s {
    ngx_http_writeen_main_conf_t *conf;
    ngx_log_t                 *log;
    ngx_cycle_t               *cycle;
    wrt_names_t                names;      /* shards; db of the hub */
    wrt_oid_gen_t              oid;
    char                       id[WRT_OID_LEN + 1]; /* reply channel */

    ngx_rbtree_t               rooms;
    ngx_rbtree_node_t          rooms_sentinel;
    ngx_rbtree_t               users;
    ngx_rbtree_node_t          users_sentinel;
    ngx_rbtree_t               gathers;    /* receipt.c */
    ngx_rbtree_node_t          gathers_sentinel;
    ngx_queue_t                sessions;   /* all but the dead */
    ngx_queue_t                parting;    /* the peer is gone: to be dropped */
    ngx_queue_t                doomed;     /* dead, freed by `reaper` */
    ngx_queue_t                waiting;    /* handshakes that are put off */
    ngx_queue_t                flush;      /* have output to write */
    ngx_queue_t                flush_late; /* have some of a large room */
    ngx_queue_t                walking;    /* rooms with a walk under way */
    ngx_queue_t                idle_rooms;
    ngx_queue_t                idle_users;
    ngx_queue_t                loads;      /* conversations being loaded */
    uint64_t                   sends;      /* begun, ever */
    ngx_queue_t                retries;    /* catch-ups waiting for Redis */
    ngx_queue_t                user_retries; /* room lists waiting likewise */
    ngx_queue_t                typing;     /* sessions that type */
    ngx_queue_t                typists;    /* heard of, by when they stop */
    ngx_queue_t                tells;      /* presence to be told */
    ngx_queue_t                uploads;    /* under way */
    ngx_queue_t                renewals[NGX_HTTP_WRITEEN_RENEWALS];
    ngx_uint_t                 renewing;   /* the slot that is next */
    ngx_msec_t                 renew_at;   /* and when */
    uint64_t                   told;       /* number of the last that came */
    uint64_t                   telling;    /* of the last that is done */
    ngx_uint_t                 musters;    /* fill_store.c: so many */
    ngx_msec_t                 store_failing; /* catch_step.c: since when, 0 */
    ngx_msec_t                 store_failed;  /* last time */
    ngx_msec_t                 store_next;    /* not to be asked before */

    ngx_event_t                shaker;     /* waiting */
    ngx_event_t                reaper;     /* parting and doomed */
    ngx_event_t                leaver;     /* idle_rooms and idle_users */
    ngx_event_t                flusher;
    ngx_event_t                walker;
    ngx_event_t                sweeper;    /* each second: idle, retries */
    ngx_event_t                drainer;
    ngx_event_t                typer;      /* the first of typists */
    ngx_event_t                teller;     /* tells */
    ngx_event_t                renewer;    /* renewals */
    ngx_uint_t                 nwaiting;
    ngx_uint_t                 shaken;     /* handshakes since the last pause */
    ngx_uint_t                 shake_max;  /* and how many there may be */
    ngx_msec_t                 talked;     /* the last event of a room */
    ngx_uint_t                 parted;     /* and dropped: their peers left */
    ngx_uint_t                 drain_left; /* ticks */
    unsigned                   draining:1;
    unsigned                   refill:1;   /* a room could not be filled */
    unsigned                   crowd:1;    /* a large room is being given
                                              something */

    ngx_http_writeen_out_t    *free_out;
    ngx_uint_t                 nfree_out;
    u_char                    *recv;       /* shared receive buffer */
    wrt_deflate_t             *deflate;    /* NULL until it is needed */
    uint64_t                   serials;    /* of msgs that were compressed */
    u_char                    *plain;      /* deflate.c: one inflated */
    size_t                     plain_size;

    ngx_http_writeen_server_t *servers;    /* bus.c */
    ngx_uint_t                 nservers;
    ngx_http_writeen_health_t  health;
    ngx_http_writeen_stats_t  *stats;

    void                      *rpc;        /* rpc.c */
    void                      *status;     /* status.c */
};

#define NGX_HTTP_WRITEEN_RECV_SIZE  65536

/*
 * Thousands may come, or go, in the same moment.  A worker does a little of it
 * and the rest later, after so many milliseconds of sleep, so that what others
 * say finds it, and Redis, awake.  The timers keep one that shuts down.
 */
#define NGX_HTTP_WRITEEN_PAUSE      2

extern ngx_module_t                ngx_http_writeen_module;
extern ngx_http_writeen_worker_t  *ngx_http_writeen_worker; /* this process's */


/* ngx_http_writeen_key.c: keys of tokens */

/* Directive handler: writeen_jwt_key. */
char *ngx_http_writeen_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* ngx_http_writeen_token.c: tokens in requests */

/* Register the phase handlers (postconfiguration): a ?token= is taken out of
 * the request line before anything can log it, and given back where the
 * location turns out to be another module's. */
ngx_int_t ngx_http_writeen_token_init(ngx_conf_t *cf);

/* The request's ctx; create: make it when there is none (NULL: no memory). */
ngx_http_writeen_ctx_t *ngx_http_writeen_get_ctx(ngx_http_request_t *r,
    ngx_uint_t create);

/*
 * Find the token: Authorization: Bearer; for a WebSocket also ?token= and
 * Sec-WebSocket-Protocol "writeen.v1, bearer.<JWT>".  NGX_OK, or NGX_DECLINED
 * when there is none.  *protocol is set to 1 when the client offered
 * writeen.v1 (the answer must then name it).
 */
ngx_int_t ngx_http_writeen_auth_token(ngx_http_request_t *r,
    ngx_uint_t websocket, ngx_str_t *token, ngx_uint_t *protocol);


/* ngx_http_writeen_status.c: counters, /healthz */

#define NGX_HTTP_WRITEEN_UP_REDIS   0x01
#define NGX_HTTP_WRITEEN_UP_BUS     0x02
#define NGX_HTTP_WRITEEN_UP_WORKER  0x04
#define NGX_HTTP_WRITEEN_UP_STORE   0x08

/* At postconfiguration; when a process begins (sets wk->stats), and ends. */
ngx_int_t ngx_http_writeen_status_zone(ngx_conf_t *cf,
    ngx_http_writeen_main_conf_t *wmcf);
ngx_int_t ngx_http_writeen_status_init(ngx_http_writeen_worker_t *wk);
void ngx_http_writeen_status_exit(ngx_http_writeen_worker_t *wk);
/* Content handler: /healthz. */
ngx_int_t ngx_http_writeen_health_handler(ngx_http_request_t *r);
/* NGX_HTTP_WRITEEN_UP_* for this process and all others that serve; how
 * many they are. */
ngx_uint_t ngx_http_writeen_status_health(ngx_http_writeen_worker_t *wk,
    ngx_uint_t *processes);
/* A counter, by its offset in the stats, of all processes. */
int64_t ngx_http_writeen_status_sum(ngx_http_writeen_worker_t *wk,
    size_t offset, ngx_uint_t gauge);
/* Answer with one buffer, for a content handler. */
ngx_int_t ngx_http_writeen_status_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, ngx_buf_t *b);


/* ngx_http_writeen_metrics.c: /metrics, a content handler */

ngx_int_t ngx_http_writeen_metrics_handler(ngx_http_request_t *r);


/* ngx_http_writeen_handshake.c: from HTTP to WebSocket */

/* Content handler: the request may wait, and ends with the 101 or an error. */
ngx_int_t ngx_http_writeen_websocket_handler(ngx_http_request_t *r);
/* worker->shaker: handshakes that were put off. */
void ngx_http_writeen_shaker_handler(ngx_event_t *ev);


/* ngx_http_writeen_session.c: one connection */

/* Memory alone: nothing else knows it.  id is copied.  NULL: no memory.  Freed
 * by session_abort, or by the reaper once it has been started and dropped. */
ngx_http_writeen_session_t *ngx_http_writeen_session_create(
    ngx_http_writeen_worker_t *wk, ngx_connection_t *c,
    ngx_http_writeen_loc_conf_t *wlcf, ngx_http_writeen_identity_t *id);
/* Undo session_create before session_start. */
void ngx_http_writeen_session_abort(ngx_http_writeen_session_t *s);
/* Take over the connection of an accepted handshake: called from an event of
 * its own, after the request is freed.  early: malloc'd bytes that came with
 * the handshake, now the session's, or NULL. */
void ngx_http_writeen_session_start(ngx_http_writeen_session_t *s,
    u_char *early, size_t early_len);

/* The time now, ISO 8601 and a NUL; nginx's cached clock. */
void ngx_http_writeen_now(char out[WRT_TIME_LEN + 1]);

/* Begin the closing handshake and free the links; ends in session_drop. */
void ngx_http_writeen_session_close(ngx_http_writeen_session_t *s,
    ngx_uint_t code, const char *reason);

/* The one way out: leave everything, free the links.  s itself is freed later,
 * by the reaper: callers may go on to look at its state. */
void ngx_http_writeen_session_drop(ngx_http_writeen_session_t *s);

/* The peer is gone: session_drop, somewhat later when many are. */
void ngx_http_writeen_session_lost(ngx_http_writeen_session_t *s);

/* Say connected, unless it was said or some of the rooms are not there yet. */
void ngx_http_writeen_session_opened(ngx_http_writeen_session_t *s);

/* Replace the session's token (refresh_token) by a copy of id.  NGX_ERROR: no
 * memory, the old one stays. */
ngx_int_t ngx_http_writeen_session_identity(ngx_http_writeen_session_t *s,
    ngx_http_writeen_identity_t *id);
/* Ping, deadline or exp has been set: arm the timer for the first of them. */
void ngx_http_writeen_session_timer(ngx_http_writeen_session_t *s);
/* nginx quits: close all, spread over writeen_drain by worker->drainer. */
void ngx_http_writeen_drain_start(ngx_http_writeen_worker_t *wk);
void ngx_http_writeen_drain_handler(ngx_event_t *ev);
/* worker->reaper: frees the dropped, drops those whose peers have gone. */
void ngx_http_writeen_reaper_handler(ngx_event_t *ev);
/* The process ends: drop and free all. */
void ngx_http_writeen_session_exit(ngx_http_writeen_worker_t *wk);


/* ngx_http_writeen_input.c: bytes, frames, messages */

void ngx_http_writeen_session_read_handler(ngx_event_t *rev);


/* ngx_http_writeen_event.c: what clients say */

/* One text message, whole and valid UTF-8; the bytes are ours until return. */
void ngx_http_writeen_event(ngx_http_writeen_session_t *s, u_char *p,
    size_t n);

/* Send an error event to the session; id, event and the rest may be empty. */
typedef struct {
    wrt_slice_t                id;
    wrt_slice_t                event;
    wrt_slice_t                client_id;
    wrt_slice_t                conversation;
    const char                *field;
    const char                *code;
    const char                *message;
    ngx_msec_t                 retry_ms;
    unsigned                   retryable:1;
} ngx_http_writeen_error_t;

/* ack {id, event}, when the client gave an id. */
void ngx_http_writeen_event_ack(ngx_http_writeen_session_t *s,
    wrt_slice_t id, wrt_slice_t event);
void ngx_http_writeen_event_error(ngx_http_writeen_session_t *s,
    ngx_http_writeen_error_t *e);
/* invalid_request and the like; after WRT_BAD_EVENTS_MAX the connection is
 * closed. */
void ngx_http_writeen_event_refuse(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e, wrt_refusal_t *why, wrt_slice_t client_id);
/* What an accessor of the envelope said of a member that must be there:
 * NGX_OK, or NGX_ERROR and *why. */
ngx_int_t ngx_http_writeen_event_required(int found, const char *field,
    wrt_refusal_t *why);


/* ngx_http_writeen_send.c: a message's way into Redis, for both doors */

typedef struct ngx_http_writeen_send_s  ngx_http_writeen_send_t;

/* rc as from wrt_send (R_NOLOAD never: it was loaded; R_DENIED also stands for
 * a conversation that does not exist).  For R_OK and R_DUP seq, message_id and
 * created_at are set; in a writeen_api location event is then the
 * message_received JSON for R_OK, client_id the clientMessageId, else empty. */
typedef struct {
    ngx_http_writeen_rc_t      rc;
    int64_t                    seq;
    ngx_str_t                  message_id;
    ngx_str_t                  created_at;
    ngx_str_t                  event;
    ngx_str_t                  client_id;
    unsigned                   stored:1;   /* durability "store" */
} ngx_http_writeen_sent_t;

typedef void (*ngx_http_writeen_sent_pt)(void *data,
    ngx_http_writeen_sent_t *sent);

/*
 * Send a checked message as `id`.  extra: server-side JSON for the store
 * ({"metadata":{...}}).  The handler is called exactly once, never from within
 * this function, unless cancelled.  NULL: no memory or Redis away.
 */
ngx_http_writeen_send_t *ngx_http_writeen_send(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_loc_conf_t *wlcf, wrt_send_t *m,
    wrt_slice_t conversation, ngx_http_writeen_identity_t *id,
    ngx_str_t *extra, ngx_http_writeen_sent_pt handler, void *data);
/* Nobody wants to know: the message goes its way.  Not from the handler. */
void ngx_http_writeen_send_cancel(ngx_http_writeen_send_t *send);

/* Bring a conversation into Redis, one call for all who ask at a time; the
 * waiters are told in the order they came, sends in that they began.  ok: 1
 * loaded, 0 unknown, -1 not possible now. */
typedef void (*ngx_http_writeen_load_pt)(void *data, ngx_int_t ok);

typedef struct {
    ngx_queue_t                queue;
    ngx_http_writeen_load_pt   handler;
    void                      *data;
    uint64_t                   order;      /* of a send, 0: of none */
} ngx_http_writeen_load_wait_t;

/* NGX_OK: w, which has to live so long, is told later.  NGX_ERROR: it can not
 * be asked for now. */
ngx_int_t ngx_http_writeen_load(ngx_http_writeen_worker_t *wk,
    wrt_slice_t conversation, ngx_http_writeen_load_wait_t *w);
/* The applied channel: sends that wait for the store. */
void ngx_http_writeen_send_applied(ngx_http_writeen_worker_t *wk,
    const char *p, size_t n);
/* The process ends: a room's sends that wait for the store hear R_LOST. */
void ngx_http_writeen_send_give_up(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
/* Each second, for each room: of one send that waits, has the store it? */
void ngx_http_writeen_send_sweep(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);


/* ngx_http_writeen_output.c: queues and writing */

/* Queue a frame (takes its own reference) and write it at the end of the
 * turn.  May close the session (too slow) or drop it (no memory): its links
 * are freed then. */
void ngx_http_writeen_output(ngx_http_writeen_session_t *s,
    ngx_http_writeen_msg_t *msg);
/* The same with a new frame of this JSON, which is copied. */
void ngx_http_writeen_output_text(ngx_http_writeen_session_t *s,
    u_char *p, size_t n);
/* Queue without writing (the 101, before the session starts).  NGX_ERROR: no
 * memory. */
ngx_int_t ngx_http_writeen_output_append(ngx_http_writeen_session_t *s,
    ngx_http_writeen_msg_t *msg);
/* Write what the socket takes.  May drop the session. */
void ngx_http_writeen_output_flush(ngx_http_writeen_session_t *s);
/* Drop what is queued; keep_first: but for a frame that was tried already. */
void ngx_http_writeen_output_clear(ngx_http_writeen_session_t *s,
    ngx_uint_t keep_first);
/* The socket can be written; worker->flusher: what was queued this turn. */
void ngx_http_writeen_output_handler(ngx_event_t *wev);
void ngx_http_writeen_flusher_handler(ngx_event_t *ev);
void ngx_http_writeen_output_exit(ngx_http_writeen_worker_t *wk);


/* ngx_http_writeen_msg.c: shared frames */

/* A frame of n bytes of payload, copied, and one reference: the caller's.
 * NULL: no memory. */
ngx_http_writeen_msg_t *ngx_http_writeen_msg_create(ngx_uint_t opcode,
    const void *p, size_t n);
/* The same of bytes that are on the wire as they are (the 101, a Close). */
ngx_http_writeen_msg_t *ngx_http_writeen_msg_raw(const void *p, size_t n);
/* One reference less: the last one frees it.  More are taken by msg->refs++. */
void ngx_http_writeen_msg_unref(ngx_http_writeen_msg_t *msg);
/* Let go of its base and of what it is compressed. */
void ngx_http_writeen_msg_forget(ngx_http_writeen_msg_t *msg);


/* ngx_http_writeen_deflate.c: permessage-deflate */

/* The message as this session is to get it: itself, or its compressed twin,
 * which belongs to it. */
ngx_http_writeen_msg_t *ngx_http_writeen_deflate(
    ngx_http_writeen_session_t *s, ngx_http_writeen_msg_t *msg);
/* An event of the room is about to be given to its links; has been. */
void ngx_http_writeen_deflate_begin(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_msg_t *msg);
void ngx_http_writeen_deflate_end(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_msg_t *msg);
/* A whole compressed message, of which *p and *n become the plain bytes, good
 * until the next call.  0, or a close code. */
ngx_uint_t ngx_http_writeen_inflate(ngx_http_writeen_session_t *s,
    u_char **p, size_t *n);
void ngx_http_writeen_deflate_exit(ngx_http_writeen_worker_t *wk);


#include "ngx_http_writeen_room.h"
#include "ngx_http_writeen_door.h"
#include "ngx_http_writeen_live.h"


#endif /* _NGX_HTTP_WRITEEN_H_INCLUDED_ */
