/*
 * store_internal.h: what the store_*.c files share and nobody else sees.
 *
 *   store.c          dispatch by URL, error texts, argument checks
 *   store_mem.c      arena and string map; both live for one call
 *   store_plan*.c    events -> checked operations, the same for both stores
 *   store_doc.c      rows -> documents, the same for both stores
 *   store_device.c   devices, quiet hours, mutes: the same for both stores
 *   store_file.c     records of files, the same for both stores
 *   store_life.c     holds, expiry, erasure, audit: the same for both stores
 *   store_session.c  consultations and sessions, the same for both stores
 *   store_search.c   what a search finds, the same for both stores
 *   store_scripts.c  finds and reads the numbered migrations
 *   store_sqlite*.c  the only files that know sqlite3.h
 *   store_mongo*.c   the only files that know mongoc.h
 *
 * What decides about an event and how a document looks stands in store_plan.c
 * and store_doc.c, so that the two stores cannot drift apart: they only load
 * rows, write operations and fetch rows.
 *
 * Memory: when malloc() fails the process ends (store_oom()).  Nothing was
 * acknowledged then, the parent starts it anew and the batch is repeated.
 */

#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <stdint.h>
#include <stddef.h>
#include <jansson.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "common/wrt_limits.h"
#include "worker/store/store.h"
#include "worker/store/words.h"

#define STORE_ERR_MAX     512       /* bytes of store_error() */
#define STORE_BUSY_MS     5000      /* SQLite: wait for another writer */
#define STORE_PING_MS     2000      /* answer of store_ping() */
#define STORE_NO_TIME     (-1)      /* an absent time, ms */

/* Participants come in the order of the creation, then in that of joining. */
#define STORE_POSITION_JOINED  WRT_PARTICIPANTS_MAX

#define STORE_P_READ      0x1       /* permissions as bits */
#define STORE_P_WRITE     0x2
#define STORE_P_UPLOAD    0x4
#define STORE_P_DOWNLOAD  0x8
#define STORE_P_ALL       0xf
#define STORE_P_BLOCKED   (STORE_P_WRITE | STORE_P_UPLOAD)  /* taken away */


/* store_mem.c */

typedef struct store_chunk_s  store_chunk_t;

/* Freed as a whole by store_arena_reset(); zero it first. */
typedef struct {
    store_chunk_t  *chunk;
    size_t          used;       /* bytes of the newest chunk */
} store_arena_t;

typedef struct {
    const char     *key;        /* NULL: free slot; lives in the arena */
    size_t          len;
    uint64_t        hash;
    void           *value;
} store_slot_t;

/* Insert-only map of byte strings, all memory from an arena. */
typedef struct {
    store_arena_t  *arena;
    store_slot_t   *slots;
    size_t          size;       /* a power of two */
    size_t          count;
} store_map_t;

void *store_alloc(store_arena_t *a, size_t n);      /* zeroed */
char *store_strndup(store_arena_t *a, const char *p, size_t n);
void store_arena_reset(store_arena_t *a);
void store_oom(void) __attribute__((noreturn));

void store_map_init(store_map_t *m, store_arena_t *a, size_t expected);
/* The place of the key's value; a new one holds NULL. */
void **store_map_put(store_map_t *m, const char *key, size_t len);
/* The key's value or NULL. */
void *store_map_get(const store_map_t *m, const char *key, size_t len);


/* store_plan.c */

typedef enum {
    STORE_OP_CREATE,
    STORE_OP_MESSAGE,           /* join and leave are messages, too */
    STORE_OP_EDIT,
    STORE_OP_DELETE,            /* a message */
    STORE_OP_REACT,
    STORE_OP_BLOCK,             /* a member */
    STORE_OP_MOVE,              /* a cursor */
    STORE_OP_PROFILE,
    STORE_OP_FILE,              /* its record */
    STORE_OP_ACCESS,            /* a file was downloaded */
    STORE_OP_PUBLIC,            /* it is for all, or not */
    STORE_OP_GIVE_UP,           /* its upload ended without a message */
    STORE_OP_DEVICE,            /* it is registered */
    STORE_OP_DEVICE_GONE,
    STORE_OP_QUIET,             /* a user's quiet hours */
    STORE_OP_MUTE,              /* a conversation, or no more */
    STORE_OP_NO_PUSH,           /* a user has none of these any more */
    STORE_OP_AUDIT,             /* an administrative act; nothing else */
    STORE_OP_HOLD,              /* a legal hold */
    STORE_OP_RELEASE,           /* its end */
    STORE_OP_CONSULT,           /* a consultation's status */
    STORE_OP_SESSION,           /* its record */
    STORE_OP_PART,              /* of a transcript */
    STORE_OP_RATE,              /* how satisfied somebody was */
    STORE_OP_EXPIRE,            /* messages that have had their time */
    STORE_OP_ERASE,             /* a user is to be erased */
    STORE_OP_SCRUB,             /* messages of his */
    STORE_OP_FORGET,            /* what else a room knows of him */
    STORE_OP_ERASED             /* it is done */
} store_op_kind_t;

typedef struct store_op_s  store_op_t;

/* A message in short: metadata.lastMessage. */
typedef struct {
    int64_t         at;             /* STORE_NO_TIME: there is none */
    const char     *id;             /* MongoDB; NULL: not known */
    const char     *sender;
    const char     *type;
    const char     *text;           /* of n bytes */
    size_t          n;
} store_last_t;

/* A conversation that the batch names. */
typedef struct {
    const char     *id;
    int64_t         row;            /* SQLite's key */
    uint8_t        *stored;         /* MongoDB's metadata; NULL: none */
    uint32_t        stored_len;
    int64_t         stored_seq;     /* as loaded; -1: not in the store */
    int64_t         stored_at;      /* MongoDB: when it was made */
    int64_t         seq;            /* after the batch */
    store_op_t     *create;         /* made by this batch */

    /* by conversation_updated; NULL: as they are */
    const json_t   *title;          /* a string or null */
    const json_t   *settings;
    const json_t   *context;
    store_op_t     *consultation;   /* the present one's last change */
    const char     *session;        /* under way, if session_set; NULL: none */
    int64_t         archived_at;    /* STORE_NO_TIME: not archived */
    int64_t         changed_at;     /* the last change but messages */
    unsigned        session_set:1;
    unsigned        archive:1;      /* archived_at says what is to be */
    unsigned        edited:1;       /* some message was edited or deleted:
                                       what is the last one now? */

    /* set by store_plan_sum(); of an edited one the store finds `last` then */
    int64_t         added;          /* messages new to it */
    store_op_t     *newest;         /* of them */
    store_last_t    last;
    unsigned        last_moved:1;
    unsigned        last_gone:1;    /* MongoDB: it has to be looked up */
} store_conv_t;

/* A member whose cursor the batch moves. */
typedef struct {
    store_conv_t   *conv;
    const char     *user;
    int64_t         read_seq;
    int64_t         read_at;
    int64_t         delivered_seq;
    int64_t         delivered_at;
    unsigned        exists:1;       /* loaded, or joins in this batch */
    unsigned        read_moved:1;
    unsigned        delivered_moved:1;
} store_member_t;

/* One checked operation.  Pointers reach into the event's JSON. */
struct store_op_s {
    store_op_kind_t  kind;
    char             member;        /* message: 'j' joins, 'l' leaves, 0 */
    char             cursor;        /* move: 'r' or 'd' */
    size_t           index;         /* of its event */
    store_conv_t    *conv;          /* profile: NULL */
    int64_t          seq;           /* the event's number; move: up to; file,
                                       session: rev; access: its entry; part:
                                       which; rate: how much */
    int64_t          at;            /* part: rev that it is for */

    const char      *id;            /* message, and what changes one; file,
                                       consultation, session */
    const char      *sender;
    const char      *type;          /* consultation: status; part: text */
    json_t          *content;       /* edit: the new one */
    const char      *client_id;     /* NULL: none, as all below */
    const char      *reply_to;
    const char      *device;
    const char      *ip;

    const char      *user;          /* join, leave, move, profile; who edits,
                                       deletes, reacts, is blocked */
    const char      *by;            /* block: by whom; NULL: no more */
    const char      *emoji;         /* react */
    const char      *role;          /* join, profile */
    unsigned         permissions;   /* join */

    const char      *name;          /* profile; part: run; rate: comment */
    const char      *avatar;

    json_t          *body;          /* create: the conversation; file,
                                       session: the record; hold: the hold;
                                       consultation: its context, NULL: as it
                                       is; expire: the messages */
    json_t          *audit;         /* the act that this is, NULL: none */

    unsigned         on:1;          /* react: added; profile: managed; edit: of
                                       a file, not a person's doing; public:
                                       it is; consultation: begins with this
                                       number */
    unsigned         later:1;       /* message: an earlier one of the batch
                                       has its clientMessageId, too */
    unsigned         stored:1;      /* message: is in the store; set by the
                                       store before store_plan_sum() */
};

typedef struct {
    store_arena_t   *arena;
    const event_t   *ev;
    size_t           n;
    store_conv_t   **ev_conv;       /* of each event; NULL: none */
    store_member_t **ev_member;

    store_conv_t   **convs;
    size_t           nconvs;
    store_member_t **members;
    size_t           nmembers;
    store_op_t      *ops;
    size_t           nops;

    store_map_t      conv_map;
    store_map_t      member_map;
    store_map_t      once_map;
} store_plan_t;

/* A participant of a STORE_OP_CREATE. */
typedef struct {
    const char      *user;
    const char      *role;
    unsigned         permissions;
    int64_t          joined_at;
} store_participant_t;

/*
 * First: which conversations and members does the batch name?  The store
 * then loads stored_seq and row, and the members' cursors.
 */
void store_plan_collect(store_plan_t *p, store_arena_t *a, const event_t *ev,
    size_t n);

/*
 * Then: check the events, pass over the known ones, make the operations.
 * STORE_OK, or STORE_REJECTED with *bad and the error text set: the
 * operations made so far are to be written all the same.
 */
store_rc_t store_plan_build(store_plan_t *p, store_t *st, size_t *bad);

/* When it is known which messages are stored: sum up by conversation. */
void store_plan_sum(store_plan_t *p);

/* The last message as it is now; what it points to must live. */
void store_plan_last(store_conv_t *c, const char *id, const char *sender,
    const char *type, const json_t *content, int64_t at);

/* A checked participant; returns 0, or -1 for no such entry. */
int store_plan_participant(const store_op_t *create, size_t i,
    store_participant_t *out);

/* store_plan_check.c */

/* A message in short, for lastMessage and those that reply to it, cut to
 * WRT_PREVIEW_MAX bytes; n is its length. */
const char *store_plan_preview(const char *type, const json_t *content,
    size_t *n);

int store_plan_id(const char *s);
/* A member that is a string; NULL when absent, null or anything else. */
const char *store_plan_text(const json_t *object, const char *key);
/* Returns 0, or -1 when it is not a time. */
int store_plan_time(const json_t *object, const char *key, int64_t *ms);
/* Absent, null, or of this type? */
int store_plan_optional(const json_t *object, const char *key,
    json_type type);


/* store_plan_change.c */

/* An event of kind 'e': makes an operation (none when nothing but the
 * conversation itself changes: *made is 0 then) or says why not. */
const char *store_plan_change(store_op_t *op, const event_t *ev, int *made);


/* store_file.c */

/* A record.  Strings in the arena or the event, JSON owned by the row when it
 * was read, by the event when it is to be written. */
typedef struct {
    const char      *id;
    int64_t          rev;
    const char      *conversation;
    const char      *message;       /* NULL: none yet */
    const char      *uploader;
    const char      *name;
    const char      *original;
    int64_t          size;
    const char      *mime;
    const char      *hash;
    json_t          *storage;       /* NULL: none */
    const char      *scan_status;
    json_t          *scan_result;   /* NULL: none */
    const char      *engine;        /* of it; NULL: none */
    int64_t          scanned_at;
    int              encrypted;
    int              public;
    int64_t          width;
    int64_t          height;
    int64_t          pages;
    json_t          *thumbnails;
    int64_t          created_at;
    int64_t          updated_at;
    int64_t          deleted_at;
    int64_t          downloads;
    int64_t          accessed_at;
} store_file_row_t;

/* An event of kind 'b': makes an operation, or says why not. */
const char *store_plan_file(store_op_t *op, const event_t *ev);
/* The record of a STORE_OP_FILE; it was checked. */
void store_file_row(const json_t *record, store_file_row_t *out);
/* Is this the content of a file's message? */
int store_file_content(const json_t *content);
/* Takes over the row's JSON. */
json_t *store_doc_file(store_file_row_t *f);


/* store_device.c */

/* An event of kind 'n': makes an operation, or says why not. */
const char *store_plan_device(store_op_t *op, const event_t *ev);
/* Is this operation one of those? */
int store_op_is_device(const store_op_t *op);

/* An empty entry of a user in the answer of store_push(), borrowed; what is in
 * it.  Devices come newest first. */
json_t *store_doc_push(json_t *out, const char *user);
void store_doc_device(json_t *push, const char *id, const char *platform,
    const char *token, const char *locale, int64_t at);
void store_doc_mute(json_t *push, const char *conversation, int64_t until);


/* store_life.c */

/* An event of kind 'x' or 'a': makes an operation, or says why not. */
const char *store_plan_life(store_op_t *op, const event_t *ev);
/* Is this operation one of those? */
int store_op_is_life(const store_op_t *op);

typedef struct {
    const char      *id;
    const char      *type;
    const char      *target;
    const char      *reason;
    const char      *created_by;
    int64_t          created_at;
    const char      *released_by;   /* NULL: in force */
    int64_t          released_at;
} store_hold_row_t;

/* An act.  details: owned by the row when it was read. */
typedef struct {
    const char      *id;
    int64_t          at;
    const char      *action;
    const char      *actor;
    const char      *role;
    const char      *target_type;
    const char      *target;
    const char      *source;
    json_t          *details;
} store_audit_row_t;

/* A message that is due; numbers is taken over. */
json_t *store_doc_due_message(const char *id, json_t *numbers);
/* A room with something due; messages are taken over. */
json_t *store_doc_due(const char *id, int64_t seq, int64_t before,
    json_t *messages, int idle);
json_t *store_doc_end(const char *id, int64_t seq);
json_t *store_doc_trace(const char *id, int64_t seq, int present,
    const char *role, const char *type, int held);
json_t *store_doc_erasure(const char *user, const char *alias,
    const char *by, int64_t at);
/* Before when messages have had their time, by a room's settings;
 * STORE_NO_TIME: never. */
int64_t store_due_before(const store_due_t *q, int64_t days);

/* What stands in a checked operation. */
void store_hold_row(const json_t *hold, store_hold_row_t *out);
void store_audit_row(const json_t *audit, store_audit_row_t *out);
json_t *store_doc_hold(const store_hold_row_t *h);
/* Takes over details. */
json_t *store_doc_audit(store_audit_row_t *a);
/* store_session.c */

/* Strings in the arena or the event; body owned by whoever made the row. */
typedef struct {
    const char      *id;
    int64_t          rev;
    const char      *conversation;
    const char      *consultation;  /* NULL: none */
    const char      *type;
    const char      *status;
    int64_t          start_seq;
    int64_t          end_seq;       /* -1: not yet */
    int64_t          start_at;
    int64_t          end_at;        /* STORE_NO_TIME: not yet */
    int64_t          created_at;
    int64_t          updated_at;
    json_t          *body;          /* has store_session_keys */
} store_session_row_t;

typedef struct {
    const char      *id;
    const char      *conversation;
    const char      *status;
    int64_t          from_seq;
    json_t          *context;       /* NULL: none; taken over */
    int64_t          created_at;
    int64_t          updated_at;
} store_consult_row_t;

extern const char *const  store_session_keys[];

/* An event of kind 'g': makes an operation, or says why not. */
const char *store_plan_session(store_op_t *op, const event_t *ev);
/* set.consultation, set.session of a numbered event: the same. */
const char *store_plan_consult(store_op_t *op, const json_t *v, int64_t seq);
const char *store_plan_session_set(store_op_t *op, const json_t *s);
/* The record of a STORE_OP_SESSION; it was checked. */
void store_session_row(const json_t *s, store_session_row_t *out);
/* Which pieces of a transcript are a session's; NULL: none. */
const char *store_session_run(const json_t *s);
/* Takes over the ratings, whose times are milliseconds. */
json_t *store_doc_session(const store_session_row_t *s, json_t *ratings);
json_t *store_doc_rating(const char *user, int64_t rating,
    const char *comment, int64_t at);
json_t *store_doc_consult(const store_consult_row_t *c);


/* store_doc.c */

/* From which number on messages belong to which consultation. */
typedef struct {
    const char      *id;
    int64_t          from;
} store_span_t;

/* The message that another one replies to. */
typedef struct {
    const char      *id;            /* NULL: there is none */
    const char      *sender;
    const char      *name;          /* NULL: unknown user */
    const char      *avatar;
    const char      *type;
    json_t          *content;       /* owned */
    int64_t          deleted_at;
} store_parent_row_t;

/* A message as read.  Strings in the arena, JSON owned.  reactions:
 * [{"userId","emoji","addedAt"}]; history: [{"editedAt","previousContent",
 * "editedBy","seq"}]; times in both are milliseconds. */
typedef struct {
    const char      *id;
    const char      *conversation;
    const char      *sender;
    const char      *name;          /* NULL: unknown user */
    const char      *avatar;
    const char      *type;
    const char      *client_id;
    const char      *reply_to;
    const char      *deleted_by;
    json_t          *content;
    json_t          *reactions;     /* NULL: none */
    json_t          *history;       /* NULL: none */
    store_parent_row_t  parent;
    int64_t          row;           /* SQLite's key */
    int64_t          seq;
    int64_t          change_seq;
    int64_t          stable_seq;    /* MongoDB: see store_mongo_change.c */
    int64_t          created_at;
    int64_t          updated_at;
    int64_t          edited_at;
    int64_t          deleted_at;
} store_msg_row_t;

/* store_plan_check.c: is this, which is stored under the op's clientMessageId
 * (read with its history), what the op brings once more?  If not, the op's is
 * another one, to be stored without it. */
int store_plan_again(const store_op_t *op, const store_msg_row_t *m);

typedef struct {
    int64_t          seq;
    int64_t          at;
} store_move_t;

/* How far a member got, for status and readBy of a page of messages. */
typedef struct {
    const char      *user;
    int64_t          delivered_seq;
    store_move_t    *moves;         /* read moves, ascending */
    size_t           nmoves;
} store_reader_t;

typedef struct {
    const char      *user;
    const char      *role;
    unsigned         permissions;   /* as given */
    const char      *blocked_by;    /* NULL: nobody */
    int64_t          joined_at;
    int64_t          left_at;
    int64_t          join_seq;
    int64_t          read_seq;
    int64_t          read_at;
    int64_t          delivered_seq;
    int64_t          delivered_at;
    const char      *name;          /* NULL: unknown user */
    const char      *avatar;
    const char      *user_role;
} store_member_row_t;

/* settings and context are owned. */
typedef struct {
    const char      *id;
    const char      *type;
    const char      *title;
    const char      *consultation;
    const char      *created_by;
    json_t          *settings;
    json_t          *context;
    int64_t          row;
    int64_t          created_at;
    int64_t          updated_at;
    int64_t          archived_at;
    int64_t          seq;
    int64_t          message_count;
    int64_t          last_at;
    const char      *last_content;
    const char      *last_sender;
    const char      *last_type;
    const char      *consult_status;
    const char      *session;       /* under way; NULL: none */
    int64_t          unread;        /* -1: not asked for */
} store_conv_row_t;

/* What a message may have besides, or not have. */
#define STORE_WITH_CHANGE   0x1     /* changeSeq */
#define STORE_WITH_HISTORY  0x2     /* editHistory */
#define STORE_NO_RECEIPTS   0x4     /* nobody is looked for who has read it */

/* Give a row's JSON back. */
void store_doc_drop_message(store_msg_row_t *m);
/* What documents of messages need besides their rows. */
typedef struct {
    store_reader_t  *readers;
    size_t           nreaders;
    store_span_t    *spans;         /* the last one first */
    size_t           nspans;
} store_docs_t;

/* The array of a page; the rows' JSON is taken over. */
json_t *store_doc_messages(store_msg_row_t *rows, size_t n,
    const store_docs_t *d, unsigned with);
json_t *store_doc_participant(const store_member_row_t *m);
json_t *store_doc_state_member(const store_member_row_t *m);
/* Takes over the row's JSON and the participants. */
json_t *store_doc_conversation(store_conv_row_t *c, json_t *participants);
json_t *store_doc_unread(const char *conversation, int64_t n);
json_t *store_doc_user(const char *id, const char *name, const char *avatar,
    const char *role);
json_t *store_doc_state(const store_conv_row_t *c, json_t *members);

unsigned store_permissions_parse(const json_t *list);
json_t *store_permissions_json(unsigned bits);
/* The i-th permission's name, NULL behind the last. */
const char *store_permission_name(unsigned i);

/* Set a member; ends the process without memory. */
void store_doc_set(json_t *object, const char *key, json_t *value);
void store_doc_append(json_t *array, json_t *value);
json_t *store_doc_string(const char *s);            /* NULL gives null */
json_t *store_doc_time(int64_t ms);                 /* STORE_NO_TIME: null */


/* store_search.c */

/* A result as it was found. */
typedef struct {
    int64_t          at;            /* createdAt */
    int64_t          seq;
    const char      *id;
    int64_t          row;           /* SQLite's key */
    const char      *conversation;
    const char      *title;
    int64_t          conversation_row;
} store_hit_t;

/* A search under way.  hit[0..n) are the newest ones found so far, in order;
 * no more than need are kept. */
typedef struct {
    store_t               *st;
    const store_search_t  *q;
    const words_query_t   *query;
    store_hit_t           *hit;
    size_t                 n;
    size_t                 need;
    size_t                 first;   /* of the page */
    size_t                 count;   /* on it */
} store_finder_t;

/*
 * The words by which a message with this content is found: each once, sorted,
 * without NUL or blank inside; good until the next call.
 */
size_t store_search_words(store_t *st, const json_t *content,
    const char *const **out);

/* Is a message of this number, which replies to that one, asked for? */
int store_search_within(const store_finder_t *f, int64_t seq,
    const char *reply_to);
/* Has the content all that is asked for? */
int store_search_fits(store_finder_t *f, const json_t *content);
/* Nothing older than this is wanted any more. */
int64_t store_search_floor(const store_finder_t *f);
/* Among the newest messages, of which `walked` were looked at, the page will
 * not be full after `max`: so few have fit. */
int store_search_hopeless(const store_finder_t *f, int64_t walked,
    int64_t max);
/* Its id is copied, the rest has to live. */
void store_search_add(store_finder_t *f, const store_hit_t *hit);
/* When all is found: what is on the page. */
const store_hit_t *store_search_page(const store_finder_t *f, size_t *n);
/* {"message","conversation","highlights"}; takes over the message. */
json_t *store_search_result(store_finder_t *f, json_t *message,
    const char *id, const char *title);

store_rc_t store_search_run(store_t *st, const store_search_t *q,
    json_t **out, int *more);


/* store_scripts.c */

typedef struct {
    char            *path;
    char            *name;          /* inside path */
    int              version;
} store_script_t;

/*
 * The scripts of dir/<kind>/ whose names are NNN_<words>.<ext>, in order,
 * numbered from 1 without a hole.  Returns their count, or -1 with err set.
 */
int store_scripts_list(const char *dir, const char *kind, const char *ext,
    store_script_t **out, char *err, size_t err_size);
void store_scripts_free(store_script_t *s, int n);
/* A whole file with a NUL behind it (caller frees), NULL with err set. */
char *store_scripts_read(const store_script_t *s, size_t *len, char *err,
    size_t err_size);
/*
 * Judge the schema version found against the scripts' count.  Returns 0, or
 * -1 with err set: newer than this program, or older and migrate == 0.
 */
int store_scripts_judge(const char *setting, const char *where, int found,
    int known, int migrate, char *err, size_t err_size);


/* store.c */

typedef struct {
    const char  *name;
    void       (*close)(store_t *st);
    store_rc_t (*ping)(store_t *st);
    store_rc_t (*apply)(store_t *st, const event_t *ev, size_t n,
                        size_t *bad);
    store_rc_t (*state)(store_t *st, const char *id, json_t **out);
    store_rc_t (*user_rooms)(store_t *st, const char *user, json_t **out);
    store_rc_t (*conversation)(store_t *st, const char *id,
                               const char *user, json_t **out);
    store_rc_t (*conversations)(store_t *st, const store_list_t *q,
                                json_t **out, int64_t *total);
    store_rc_t (*messages)(store_t *st, const store_page_t *q, json_t **out,
                           int *more);
    store_rc_t (*message)(store_t *st, const char *conversation,
                          const char *id, unsigned with, json_t **out);
    store_rc_t (*message_sent)(store_t *st, const char *conversation,
                               const char *user, const char *client_id,
                               json_t **out);
    store_rc_t (*unread)(store_t *st, const char *user, json_t **out);
    store_rc_t (*changes)(store_t *st, const char *conversation,
                          int64_t after, int max, json_t **out,
                          int64_t *upto);
    store_rc_t (*user)(store_t *st, const char *id, json_t **out,
                       int *managed);
    store_rc_t (*file)(store_t *st, const char *id, json_t **out);
    store_rc_t (*files)(store_t *st, const store_files_t *q, json_t **out,
                        int64_t *total);
    store_rc_t (*file_refs)(store_t *st, const char *hash, int64_t *n);
    store_rc_t (*hold)(store_t *st, const char *id, json_t **out);
    store_rc_t (*holds)(store_t *st, const store_holds_t *q, json_t **out,
                        int64_t *total);
    store_rc_t (*audit)(store_t *st, const store_audit_t *q, json_t **out,
                        int *more);
    store_rc_t (*push)(store_t *st, const char *const *users, size_t n,
                       const char *conversation, json_t **out);
    store_rc_t (*session)(store_t *st, const char *id, json_t **out);
    store_rc_t (*sessions)(store_t *st, const store_sessions_t *q,
                           json_t **out, int64_t *total);
    store_rc_t (*session_part)(store_t *st, const char *session,
                               const char *run, int64_t part, json_t **out);
    store_rc_t (*consult)(store_t *st, const char *id, json_t **out);
    store_rc_t (*ends)(store_t *st, const char *after, int limit,
                       json_t **out);
    store_rc_t (*erasures)(store_t *st, json_t **out);
    store_rc_t (*traces)(store_t *st, const char *user, const char *after,
                         int limit, json_t **out);
    store_rc_t (*said)(store_t *st, const char *conversation,
                       const char *user, int limit, json_t **out);
    store_rc_t (*user_held)(store_t *st, const char *user);
    store_rc_t (*tidy)(store_t *st, int *more);
    store_rc_t (*due)(store_t *st, const store_due_t *q, json_t **out,
                      char *next);
    /* appends the results of the page to out */
    store_rc_t (*search)(store_t *st, store_finder_t *f, json_t *out);
} store_ops_t;

/* The head of each store's own struct. */
struct store_s {
    const store_ops_t  *ops;
    store_arena_t       arena;      /* for one call; store.c resets it */
    words_t             words;      /* scratch of store_search.c */
    void              (*work)(void *);      /* store_on_work() */
    void               *work_data;
    char                err[STORE_ERR_MAX];
};

/* A piece of store_apply() is done. */
void store_worked(store_t *st);

/* Set the error text, return rc. */
store_rc_t store_fail(store_t *st, store_rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

store_t *store_sqlite_open(const char *path, const char *scripts_dir,
    int migrate, char *err, size_t err_size);
int store_mongo_uri_check(const char *uri, char *err, size_t err_size);
store_t *store_mongo_open(const char *uri, const char *scripts_dir,
    int migrate, char *err, size_t err_size);

#endif
