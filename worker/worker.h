/*
 * worker.h: what the files of the worker pool know of each other, grouped by
 * file.
 *
 * Layers, top to bottom:
 *
 *   main, pool; on the command line replay, restored, life_command
 *   boot, user
 *   the roles: projector with project; api*; files* with spool and collect;
 *     scanner (files_scanner); notifier*; janitor with presence, retain, erase
 *   scribe*, life, life_export, effects, notifier_note
 *   load, reemit, lease
 *   server, role
 *   redis, event, metrics, node
 *   conf, log, util
 *
 * Two calls go up: redis.c waits by role_poll(), and metrics.c asks
 * api_route.c for the names of routes.  The stores (store.h) know none of
 * these; only redis.c knows hiredis.
 */

#ifndef WORKER_H
#define WORKER_H

#include <jansson.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "common/wrt_limits.h"
#include "common/wrt_names.h"
#include "worker/conf/conf.h"
#include "worker/store/store.h"

#define WORKER_VERSION  "0.1.0"

/* The id of a stream entry: two numbers of up to 20 digits, NUL */
#define EVENT_ENTRY_SIZE  48

/* Exit status when settings do not fit (EX_CONFIG of sysexits.h): starting
 * again does not help. */
#define EXIT_CONFIG     78


/* log.c */

enum {
    LOG_LEVEL_ERROR = 0,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

int log_level(const char *name);            /* -1: no such level */
void log_setup(int level, const char *role);
void log_at(int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...)  log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)   log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)   log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)  log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)


/* util.c */

int64_t now_ms(void);       /* wall clock: for what others see */
int64_t mono_ms(void);      /* monotonic: for what we wait for */
int64_t mono_us(void);

void *mem_grow(void *p, size_t n);          /* never NULL */
void *mem_zero(size_t n);
char *mem_text(const char *p, size_t n);    /* a copy with NUL */

/* Copy into out[size]; "" when it does not fit. */
void text_copy(char *out, size_t size, const char *s);

/* A growing buffer; zero it first.  p[n] is NUL once something was added. */
typedef struct {
    char    *p;
    size_t   n;
    size_t   cap;
} buf_t;

void buf_add(buf_t *b, const void *p, size_t n);
void buf_text(buf_t *b, const char *s);
void buf_fmt(buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buf_json(buf_t *b, const json_t *v);   /* compact */
void buf_clear(buf_t *b);                   /* keeps the memory */
void buf_free(buf_t *b);


/* redis.c: one synchronous connection */

typedef struct rds_s       rds_t;
typedef struct redisReply  reply_t;         /* hiredis's, opaque here */

/* A command under construction; zero it first, use it again and again. */
typedef struct {
    buf_t     args;
    unsigned  argc;
} cmd_t;

/* A new command, in the memory of the one before. */
void cmd_begin(cmd_t *cmd, const char *name);
/* One more argument, copied: n bytes, a text, a number in digits. */
void cmd_mem(cmd_t *cmd, const void *p, size_t n);
void cmd_text(cmd_t *cmd, const char *s);
void cmd_num(cmd_t *cmd, int64_t v);
/* The four keys of a conversation of shard k that whatever makes an event of it
 * wants. */
void cmd_room(cmd_t *cmd, unsigned k, const char *id, size_t n);
void cmd_free(cmd_t *cmd);

rds_t *rds_create(const conf_t *cf, unsigned server);
void rds_free(rds_t *c);
int rds_connect(rds_t *c);                  /* 0, or -1 and rds_error() */
void rds_close(rds_t *c);
void rds_fail(rds_t *c, const char *why);   /* close it for this reason */
int rds_alive(const rds_t *c);
unsigned rds_server(const rds_t *c);
const char *rds_error(const rds_t *c);      /* why it was closed */

/* Queue a command (rds_queue: of texts).  Its reply comes with the rds_pull()
 * in the same order. */
void rds_push(rds_t *c, const cmd_t *cmd);
void rds_queue_list(rds_t *c, const char *name, ...)
    __attribute__((sentinel));
#define rds_queue(c, ...)  rds_queue_list(c, __VA_ARGS__, (const char *) 0)
reply_t *rds_pull(rds_t *c);                /* NULL: connection lost */

/* Queue, send, read: nothing else may be pending.  NULL: connection lost. */
reply_t *rds_run(rds_t *c, const cmd_t *cmd);
reply_t *rds_call_list(rds_t *c, const char *name, ...)
    __attribute__((sentinel));
#define rds_call(c, ...)   rds_call_list(c, __VA_ARGS__, (const char *) 0)

/* Read all pending replies.  0; -1: one was an error (its text is in
 * rds_error()), or the connection is lost. */
int rds_drain(rds_t *c);

/* Send and wait for the reply of the one pending command.  1 it is there (or
 * the connection broke: pull tells), 0 not within ms or the role shall stop,
 * -1 lost. */
int rds_wait(rds_t *c, int ms);

/* End the blocking command that c waits for; its reply comes at once. */
void rds_unblock(rds_t *via, const rds_t *c);

/* All of these take NULL and any type. */
int reply_is_error(const reply_t *r);
int reply_error(const reply_t *r, const char *code);    /* with this prefix? */
int reply_is_nil(const reply_t *r);                     /* also NULL */
const char *reply_text(const reply_t *r);               /* "" if it is none */
size_t reply_len(const reply_t *r);
int64_t reply_int(const reply_t *r, int64_t def);       /* text, too */
size_t reply_count(const reply_t *r);
const reply_t *reply_at(const reply_t *r, size_t i);    /* NULL outside */
const reply_t *reply_field(const reply_t *r, const char *name); /* of pairs */
void reply_free(reply_t *r);


/* metrics.c: counters in memory that all processes of the pool share */

typedef enum {
    ROLE_PROJECTOR = 0,
    ROLE_API,
    ROLE_JANITOR,
    ROLE_FILES,
    ROLE_SCANNER,
    ROLE_NOTIFIER,
    ROLE_MAX
} role_type_t;

#define METRICS_ROUTES    96    /* api_route.c checks that its table fits */
#define METRICS_STATUSES  16
#define METRICS_STAGES    5             /* of an upload */

/* The counters of one place in the pool: its process alone writes them (but
 * restarts: the parent); they go on when it is started anew. */
typedef struct {
    _Atomic uint64_t  restarts;
    _Atomic uint64_t  events;           /* stored by a projector */
    _Atomic uint64_t  batches;
    _Atomic uint64_t  batch_us;
    _Atomic uint64_t  dead;             /* entries moved to dead letters */
    _Atomic uint64_t  shards;           /* leases held now */
    _Atomic uint64_t  store_up;         /* 1, 0 */
    _Atomic uint64_t  store_retries;
    _Atomic uint64_t  redis_connects;
    _Atomic uint64_t  rpc[METRICS_ROUTES][METRICS_STATUSES];
    _Atomic uint64_t  rpc_us[METRICS_ROUTES];
    _Atomic uint64_t  rpc_expired;      /* past their deadline when read */
    _Atomic uint64_t  rpc_parked;       /* waiting for the store now */
    _Atomic uint64_t  claimed;          /* calls taken from dead processes */
    _Atomic uint64_t  presence_left;    /* users who have gone offline */
    _Atomic uint64_t  uploads;          /* that became messages */
    _Atomic uint64_t  uploads_refused;
    _Atomic uint64_t  uploads_infected;
    _Atomic uint64_t  uploads_waiting;  /* not ended yet, in this spool */
    _Atomic uint64_t  upload_us[METRICS_STAGES];
    _Atomic uint64_t  scanner_up;       /* 1, 0 */
    _Atomic uint64_t  push_sent;        /* taken by a service */
    _Atomic uint64_t  push_withdrawn;
    _Atomic uint64_t  push_refused;
    _Atomic uint64_t  push_later;       /* put back */
    _Atomic uint64_t  push_dead;        /* tokens that are none */
    _Atomic uint64_t  blobs_collected;
    _Atomic uint64_t  expired;          /* messages whose time had come */
} counters_t;

/* Entries that a projector has in hand at most: each shard gives one at least,
 * and there may be many of them. */
#define PROJECTOR_ITEMS  (WRT_BATCH_MAX + WRT_SHARDS_MAX)

/* What a projector was doing, so that the parent can tell an entry that kills
 * its reader from a process that was killed (see guard_*). */
typedef struct {
    _Atomic int       busy;             /* entries in hand, 0 none */
    unsigned          shard;            /* of the first */
    char              entry[EVENT_ENTRY_SIZE];
    unsigned          careful;          /* so many more one by one */

    unsigned          bad_shard;        /* the entry that crashed it when it */
    char              bad_entry[EVENT_ENTRY_SIZE];      /* was taken alone */
    unsigned          crashes;          /* so many times in a row */

    char              run_id[48];       /* of the Redis that it works on */
    int64_t           watch_until;      /* mono: reused numbers may come */
} guard_t;

typedef struct {
    role_type_t       type;
    unsigned          index;            /* within the type; projector: server */
    counters_t        counters;
    guard_t           guard;
} slot_t;

typedef struct {
    unsigned          nslots;
    slot_t            slots[];
} shared_t;

shared_t *metrics_create(unsigned nslots);
const char *metrics_role(role_type_t type);     /* its name */
void metrics_render(buf_t *out, const shared_t *sh, const char *node,
    const conf_t *cf, const int64_t *backlog, const int64_t *dead);
/* Count an answered call, by route and HTTP status, and what it took. */
void metrics_rpc(counters_t *m, unsigned route, int status, int64_t us);

#define count_add(counter, n)                                                \
    atomic_fetch_add_explicit(&(counter), (uint64_t) (n),                    \
                              memory_order_relaxed)
#define count_set(counter, n)                                                \
    atomic_store_explicit(&(counter), (uint64_t) (n), memory_order_relaxed)
#define count_get(counter)                                                   \
    atomic_load_explicit(&(counter), memory_order_relaxed)


/* user.c: from root to WORKER_USER (NULL or "": stay).  0, or -1 and a text. */

int user_become(const char *name, char *err, size_t size);


/* node.c: which worker pool this is */

#define NODE_SIZE  64

/* <host hash>-<pid>-<start time>: names a running pool; written by the parent
 * before it forks. */
void node_name(char out[NODE_SIZE]);

/* Is the pool of that name known to have ended?  1 only for one of this host
 * (its process table tells), else 0. */
int node_gone(const char *name, size_t n);


/* role.c: what all child processes have in common */

typedef struct {
    role_type_t     type;
    unsigned        index;
    const conf_t   *cf;
    const char     *node;
    shared_t       *shared;
    slot_t         *slot;

    store_t        *store;          /* NULL: not open */
    int             store_ok;       /* it answered the last time */
    int64_t         store_at;       /* mono: when we know that from */
    int64_t         store_next;     /* mono: next attempt to open it */
    int             store_delay;
    int64_t         beat_at;        /* mono: last heartbeat */
    int             scanner;        /* where the scanner listens, -1 */
} role_t;

/* Prepare the signals of a child process: TERM is seen only inside of
 * role_poll() and role_sleep(). */
void role_signals(void);
int role_stopping(void);            /* TERM came: finish what is in hand */
int role_poll(struct pollfd *fds, nfds_t n, int ms);
void role_sleep(int ms);

/* Open the store when that is due.  NULL: not now. */
store_t *role_store(role_t *r);
/* A call on the store came back: keep the books on whether it is up. */
void role_store_result(role_t *r, store_rc_t rc);
/* Ask it when nobody has for a while. */
void role_store_check(role_t *r);
void role_store_close(role_t *r);
/* Say on the hub that this kind of role lives, each WRT_HEARTBEAT_MS. */
void role_beat(role_t *r, rds_t *hub, const char *key);

/* The roles; each returns its exit status. */
int projector_run(role_t *r);
int api_run(role_t *r);
int janitor_run(role_t *r);
int files_run(role_t *r);
int scanner_run(role_t *r);
int notifier_run(role_t *r);

/* The i-th route's name for figures, NULL after the last. */
const char *api_route_name(unsigned i);


/* presence.c: who has gone */

/* Take offline those whose leases have run out, at most 1,000 of those who are
 * seen and of those who hide.  cmd: scratch.  Returns of how many the others
 * were told. */
unsigned presence_turn(rds_t *hub, cmd_t *cmd, const conf_t *cf);


/* server.c: what has to be on a Redis server before we work with it */

typedef enum {
    SERVER_OK = 0,
    SERVER_AWAY,                    /* try again */
    SERVER_REFUSED                  /* it does not fit; err says why */
} server_rc_t;

/* Library and configuration; the connection stands. */
server_rc_t server_prepare(rds_t *c, const conf_t *cf, char *err, size_t size);

/* A connection that mends itself. */
typedef struct {
    rds_t          *c;
    const conf_t   *cf;
    int64_t         next;           /* mono: next attempt */
    int64_t         since;          /* mono: it is up; 0: it is not */
    unsigned        brief;          /* times in a row that it did not last */
    int             delay;          /* ms */
    int             down;           /* it has been logged */
    unsigned        generation;     /* connects so far: what was known of the
                                       server's state is void after one */
    counters_t     *counters;       /* or NULL */
} link_t;

void link_init(link_t *l, const conf_t *cf, unsigned server,
    counters_t *counters);
void link_free(link_t *l);
int link_up(link_t *l);             /* 0: connected and prepared, -1: not now */
int link_wait_ms(const link_t *l);  /* until the next attempt */
/* Connect again before anything else. */
void link_fail(link_t *l, const char *why);

/* Is a library still there?  0, or -1 when it is not, or the connection
 * failed: a new one puts it in its place. */
int server_check(rds_t *c);

/* Create a consumer group; 0, or -1 when the connection failed. */
int server_group(rds_t *c, const char *stream, const char *group);


/* collect.c: blobs that no file refers to, a few at a time */

typedef struct collect_s  collect_t;

/* On this storage, which has to last as long. */
collect_t *collect_open(role_t *r, blob_t *b);
void collect_close(collect_t *c);
/* When it is due: go through the storage.  links: one a server. */
void collect_turn(collect_t *c, link_t *links);


/* boot.c: what the parent has done before it forks the roles */

/* Redis, library, shards, store.  wait: until they are there, else fail at
 * once.  Returns an exit status; says on stderr what is wrong. */
int boot_run(const conf_t *cf, int wait);
/* --check: that at once, and where files are kept.  The same. */
int boot_check(const conf_t *cf);
int boot_replay_dead(const conf_t *cf);
/* A backup was put back: numbers that it does not know are not given again. */
int boot_restored(const conf_t *cf);


/* pool.c */

int pool_run(const conf_t *cf);


/* event.c: ingest entry -> event_t */

/* A decoded entry; ev's pointers go into it. */
typedef struct {
    event_t      ev;
    char         entry_id[EVENT_ENTRY_SIZE];
    char         conversation[WRT_ID_MAX + 1];
    char         actor[WRT_ID_MAX + 1];
    char         target[WRT_ID_MAX + 1];
    const char  *x;                 /* extra as it came, into the reply */
    size_t       x_len;
} entry_t;

/* Returns NULL and e filled, or why it can never be stored (static text; e
 * then holds what could be read of the header: ev.kind 0 is nothing).  whole:
 * with every member of the body; else a message has those that event_pick.c
 * names. */
const char *event_decode(entry_t *e, const char *id, wrt_slice_t conversation,
    wrt_slice_t payload, wrt_slice_t extra, int whole);
void event_free(entry_t *e);
/* event_pick.c: of a message's event what is wanted.  NULL: parse it whole. */
json_t *event_pick(wrt_slice_t s);
/* Make a fence of it: the number is taken, the content is not stored. */
void event_to_fence(entry_t *e);
int event_numbered(const entry_t *e);


/* lease.c: who works on which shard */

typedef struct {
    unsigned   shard;
    int        held;
    int        free;                /* to be had */
    char       orphan[NODE_SIZE + 16];  /* from whom, "" from nobody */
} lease_t;

typedef struct {
    lease_t   *leases;              /* all shards of one server */
    unsigned   n;
    unsigned   nheld;
    char       self[NODE_SIZE + 16];
    int64_t    next;                /* mono: next turn */
    int64_t    until;               /* mono: what we hold is ours */
} leases_t;

void lease_init(leases_t *ls, const conf_t *cf, unsigned server,
    const char *node);
void lease_free(leases_t *ls);
/* Renew, take, give back.  able: could we work now?  0, or -1: Redis
 * failed. */
int lease_turn(leases_t *ls, rds_t *c, int able);
/* Until the next turn is due. */
int lease_wait_ms(const leases_t *ls);
/* Have we stood still for so long that somebody else may have them? */
int lease_late(const leases_t *ls);
/* Forget all (the connection was lost: somebody else may have them now). */
void lease_forget(leases_t *ls);
/* Give all back: a clean stop. */
void lease_release(leases_t *ls, rds_t *c);


/* load.c: conversations from the store into Redis */

/*
 * Have the conversation in Redis (wrt_load, and wrt_fence when the store has
 * more).  STORE_OK, STORE_NOT_FOUND, STORE_DOWN, or STORE_REJECTED: Redis
 * failed.
 */
store_rc_t load_conversation(store_t *st, rds_t *c, const conf_t *cf,
    const char *id);


/* reemit.c: numbers that were lost, events that need a new one */

/* Never give a number up to seq again. */
void reemit_fence(rds_t *c, cmd_t *cmd, const conf_t *cf, unsigned shard,
    const char *conversation, int64_t seq);
/* The event once more, under a new number.  0, -1. */
int reemit_event(rds_t *c, cmd_t *cmd, const conf_t *cf, unsigned shard,
    const entry_t *e);


/* notifier_note.c: what there may be to push, noted for the notifier */

/* Queue it on the hub; nothing when no service is configured. */
void notifier_note(rds_t *hub, cmd_t *cmd, const conf_t *cf,
    const entry_t *e);
/* An upload that began at since (ms) is done: noted at once, if it took longer
 * than its sender was made to wait.  hub may be NULL.  0, -1: not now. */
int notifier_note_file(rds_t *hub, cmd_t *cmd, const conf_t *cf,
    const char *conversation, const char *user, const char *file,
    int64_t since);


/* effects.c: what follows from an event that is stored */

/* Queue the room lists' and user channels' part on the hub. */
void effects_queue(rds_t *hub, cmd_t *cmd, const conf_t *cf,
    const entry_t *e);


/* life.c: acts that concern how long things live, as events */

/* Who does it, and from where. */
typedef struct {
    const char  *user;
    const char  *role;
    const char  *from;
} actor_t;

/* A new id of ours. */
void life_id(char out[WRT_OID_LEN + 1]);

/* The act for the log; details (or NULL) are taken over. */
json_t *life_audit(const char *id, const actor_t *who, const char *action,
    const char *type, const char *target, json_t *details);
/* {"op":"hold"...} and {"op":"release"...}; audit is taken over. */
json_t *life_hold(const char *id, const actor_t *who, const char *type,
    const char *target, const char *reason, json_t *audit);
json_t *life_release(const char *id, const actor_t *who, json_t *audit);
/* Queue an event (taken over) of kind 'x' or 'a' in the shard that `place`, a
 * conversation or a user, belongs to; c: the shard's server.  0, -1: Redis
 * failed, or is too far behind. */
int life_record(rds_t *c, cmd_t *cmd, const conf_t *cf, char kind,
    const char *place, const char *conversation, const char *actor,
    json_t *body);
/* The id of the last one's entry; "" when it was not queued. */
const char *life_entry(void);

/* A numbered event by the server itself: event and extra as wrt_emit wants
 * them, ops of nops words, only if the room has not changed since expect. */
typedef struct {
    const char   *conversation;
    char          kind;
    const char   *target;           /* "-": none */
    const char   *event;
    const char   *extra;
    int64_t       expect;
    const char  **ops;
    unsigned      nops;
} life_event_t;

/* 1 done, 0 refused (it has changed, or the store does not know it), -1 Redis
 * failed. */
int life_publish(store_t *st, rds_t *c, cmd_t *cmd, const conf_t *cf,
    const life_event_t *e);
/* Tell those who are in the room that these messages (ids) are no more, and
 * take what says them out of its log.  0, -1. */
int life_withdraw(rds_t *c, cmd_t *cmd, const conf_t *cf,
    const char *conversation, const json_t *messages, const char *why);
/* A room's log, by its key, for the caller to free.  NULL: Redis failed, which
 * was said. */
reply_t *life_log(rds_t *c, const char *key);
/* In such a log, from *i on: the number of the next event that told a message
 * anew; 0: there is none. */
int64_t life_changed(const reply_t *log, size_t *i, const char *message);

/* Is this pool the one that ends what is due?  1, 0. */
int life_lock(rds_t *hub, const char *node);
/* Has the store this entry of a shard's ingest?  1, 0. */
int life_stored(rds_t *c, unsigned shard, const char *entry);

/* {"op":"erase"...} and the like; audit (or NULL) is taken over. */
json_t *life_erase(const char *op, const char *user, const char *alias,
    json_t *audit);

/* A new alias for who is erased. */
void life_alias(char out[WRT_OID_LEN + 8]);
/* Does a hold stop the erasure of this user?  STORE_OK: why says which. */
store_rc_t life_held(store_t *st, const char *user, char *why, size_t size);

/* life_export.c: all of a user's data, a piece at a time */

typedef struct {
    const char  *user;
    char         after[WRT_ID_MAX + 1];     /* where to go on: a room ("": */
    int64_t      seq;               /* the beginning), and a number there */
    size_t       bytes;                     /* of the records so far */
    size_t       limit;                     /* stop above this */
    void       (*add)(void *data, json_t *record);
    void        *data;
} export_t;

/* x->after is "" afterwards when that was all. */
store_rc_t life_export(export_t *x, store_t *st);

/* erase.c: users who are to be forgotten, a step at a time */

typedef struct erase_s  erase_t;

erase_t *erase_open(role_t *r);
void erase_close(erase_t *t);
/* One step, if anybody is to be forgotten and his turn has come.  links: one a
 * server; the hub's is up.  Returns in how many ms to call again. */
int erase_turn(erase_t *t, link_t *links);

/* retain.c: what has had its time, a few at a time */

typedef struct retain_s  retain_t;

retain_t *retain_open(role_t *r);
void retain_close(retain_t *t);
/* One step, when it is due.  links: one a server.  Returns in how many ms the
 * next one is. */
int retain_turn(retain_t *t, link_t *links);

/* life_command.c: the same from the command line; exit statuses */
int life_command(const conf_t *cf, int argc, char **argv);
/* Is this argument one of those, with so many behind it? */
int life_command_is(int argc, char **argv);

#endif
