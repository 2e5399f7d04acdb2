/*
 * store_mongo.h: what the store_mongo*.c files share.
 *
 * Rows come out of the database as jansson objects (mg_row()), times in
 * them as milliseconds; the functions of store_doc.c make documents of them.
 */

#ifndef STORE_MONGO_H
#define STORE_MONGO_H

#include <mongoc/mongoc.h>

#include "worker/store/store_internal.h"

/* _id of participants: <conversation>/<user>; of cursor moves: that and
 * /<r or d>/<number>, so that a range of keys is a range of numbers. */
#define MG_MOVE_FORMAT  "/%c/%016llx"
#define MG_KEY_MAX      (2 * WRT_ID_MAX + 32)

typedef struct {
    store_t               base;         /* first */
    mongoc_client_t      *client;
    mongoc_client_t      *ping;         /* a short socket timeout */
    char                 *db_name;
    mongoc_collection_t  *conversations;
    mongoc_collection_t  *participants;
    mongoc_collection_t  *messages;
    mongoc_collection_t  *cursors;
    mongoc_collection_t  *users;
    mongoc_collection_t  *files;
    mongoc_collection_t  *holds;
    mongoc_collection_t  *audit;
    mongoc_collection_t  *erasures;
    mongoc_collection_t  *devices;
    mongoc_collection_t  *push;
    mongoc_collection_t  *mutes;
    mongoc_collection_t  *consultations;
    mongoc_collection_t  *sessions;
    mongoc_collection_t  *parts;
    mongoc_collection_t  *ratings;
} store_mongo_t;

/* A driver's error as STORE_DOWN. */
store_rc_t mg_down(store_mongo_t *st, const char *what,
    const bson_error_t *err);

/*
 * All rows of a query, or of an aggregate (whose pipeline is the array
 * "pipeline" of `query`, the options "opts" of it too).  Takes over the
 * query and the options (NULL: none).  NULL with the error text set.
 * mg_each() gives each row to fn instead.
 */
typedef void (*mg_each_t)(void *data, const bson_t *doc);

store_rc_t mg_each(store_mongo_t *st, mongoc_collection_t *c, bson_t *query,
    bson_t *opts, mg_each_t fn, void *data);
json_t *mg_find(store_mongo_t *st, mongoc_collection_t *c, bson_t *query,
    bson_t *opts);
json_t *mg_aggregate(store_mongo_t *st, mongoc_collection_t *c,
    bson_t *pipeline, bson_t *opts);
/* What `read` makes of the document with this _id; it is given the row for the
 * time of its call only.  STORE_NOT_FOUND: there is none. */
store_rc_t mg_read(store_mongo_t *st, mongoc_collection_t *c, const char *id,
    json_t *(*read)(const json_t *row), json_t **out);


/* store_mongo_bson.c */

/* {"key": value}; any JSON value. */
void mg_append_json(bson_t *b, const char *key, const json_t *v);
/* NULL appends null. */
void mg_append_text(bson_t *b, const char *key, const char *s);
/* Text of n bytes that need not end with NUL. */
void mg_append_slice(bson_t *b, const char *key, const char *p, size_t n);
/* STORE_NO_TIME appends null. */
void mg_append_time(bson_t *b, const char *key, int64_t ms);
/* ["read", ...] */
void mg_append_permissions(bson_t *b, const char *key, unsigned bits);
/* {"$in": [...]} of the strings that are the keys of an object. */
void mg_append_in(bson_t *b, const char *key, const json_t *keys);

/* A value, or a document as a row: dates become integers. */
json_t *mg_value(const bson_iter_t *it);
json_t *mg_row(const bson_t *doc);

/* Members of a row; borrowed. */
const char *mg_text(const json_t *row, const char *key);
int64_t mg_int(const json_t *row, const char *key);
int64_t mg_time(const json_t *row, const char *key);


/* store_mongo_apply.c */

store_rc_t store_mongo_apply(store_t *st, const event_t *ev, size_t n,
    size_t *bad);


/* store_mongo_write.c */

/* What a bulk write did. */
typedef struct {
    int64_t   matched;
    int64_t   inserted;
    int64_t   upserted;
    size_t    repeats;      /* writes refused as repeats (unique indexes) */
} mg_result_t;

mongoc_bulk_operation_t *mg_bulk(mongoc_collection_t *c, bool ordered);

/*
 * Run and destroy a bulk write.  STORE_OK, also when some writes were refused
 * as repeats; else STORE_DOWN.  `reply` (or NULL) is the caller's to destroy.
 */
store_rc_t mg_bulk_run(store_mongo_t *st, mongoc_bulk_operation_t *bulk,
    const char *what, mg_result_t *res, bson_t *reply);

/* Add to a bulk write; both documents are taken over. */
void mg_bulk_update(mongoc_bulk_operation_t *bulk, bson_t *query,
    bson_t *update, bool upsert);
void mg_bulk_insert(mongoc_bulk_operation_t *bulk, const bson_t *doc);

/*
 * Insert the messages of a plan and note in each whether it is stored.
 * STORE_REJECTED with *bad: the server will never take that event's.
 */
store_rc_t mg_write_messages(store_mongo_t *st, store_plan_t *p,
    size_t *bad);


/*
 * A failed bulk write of these operations, one write each: was one of them
 * refused for good?  STORE_REJECTED with *bad, or STORE_DOWN.
 */
store_rc_t mg_find_bad(store_mongo_t *st, store_op_t **ops, size_t n,
    const bson_t *reply, size_t *bad);


/* store_mongo_change.c */

/* Edits, deletions and reactions of a plan.  As mg_write_messages(). */
store_rc_t mg_write_changes(store_mongo_t *st, store_plan_t *p,
    size_t *bad);


/* store_mongo_file.c */

/* Records of files, downloads, and the files of deleted messages; *again as
 * below. */
store_rc_t mg_write_files(store_mongo_t *st, store_plan_t *p, int *again);

store_rc_t store_mongo_file(store_t *st, const char *id, json_t **out);
store_rc_t store_mongo_files(store_t *st, const store_files_t *q,
    json_t **out, int64_t *total);
store_rc_t store_mongo_file_refs(store_t *st, const char *hash, int64_t *n);


/* store_mongo_life.c */

/* Holds, expiry, erasure, and the acts in the log. */
store_rc_t mg_write_life(store_mongo_t *st, store_plan_t *p, int *again);

store_rc_t store_mongo_hold(store_t *st, const char *id, json_t **out);
store_rc_t store_mongo_holds(store_t *st, const store_holds_t *q,
    json_t **out, int64_t *total);
store_rc_t store_mongo_audit(store_t *st, const store_audit_t *q,
    json_t **out, int *more);


/* store_mongo_device.c */

store_rc_t mg_write_devices(store_mongo_t *st, store_plan_t *p, int *again);
store_rc_t store_mongo_push(store_t *st, const char *const *users, size_t n,
    const char *conversation, json_t **out);
/* store_mongo_session.c */

/* Consultations, sessions, pieces of transcripts, ratings; *again as below. */
store_rc_t mg_write_sessions(store_mongo_t *st, store_plan_t *p, int *again);

store_rc_t store_mongo_session(store_t *st, const char *id, json_t **out);
store_rc_t store_mongo_sessions(store_t *st, const store_sessions_t *q,
    json_t **out, int64_t *total);
store_rc_t store_mongo_session_part(store_t *st, const char *session,
    const char *run, int64_t part, json_t **out);
store_rc_t store_mongo_consult(store_t *st, const char *id, json_t **out);
/* The consultations of a room, the last one first; the strings are in the
 * arena. */
store_rc_t mg_spans(store_mongo_t *st, const char *conversation,
    store_docs_t *out);


/* store_mongo_expire.c */
store_rc_t mg_expire(store_mongo_t *st, store_plan_t *p, const store_op_t *op,
    int *again);
/* What a conversation says of its messages, when some are gone. */
store_rc_t mg_recount(store_mongo_t *st, store_plan_t *p, store_conv_t *c,
    int *again);
/* {"key": {"$in": [...]}} of a list of ids. */
void mg_append_ids(bson_t *b, const char *key, const json_t *ids);
/* Is the conversation, or somebody who is or was in it, held?  1, 0, -1. */
int mg_held(store_mongo_t *st, const char *conversation);
/* {"id","numbers"} of a row. */
json_t *mg_due_message(const json_t *row);
/* Ids of op's list that are messages of its conversation, older than that (ms;
 * -1: however old); NULL: down. */
json_t *mg_listed(store_mongo_t *st, const store_op_t *op, int64_t before);
store_rc_t mg_delete_many(store_mongo_t *st, mongoc_collection_t *c,
    const char *what, bson_t *query);

/* store_mongo_erase.c */
store_rc_t mg_erase(store_mongo_t *st, store_plan_t *p, const store_op_t *op,
    int *again);
store_rc_t store_mongo_erasures(store_t *st, json_t **out);
store_rc_t store_mongo_traces(store_t *st, const char *user,
    const char *after, int limit, json_t **out);
store_rc_t store_mongo_said(store_t *st, const char *conversation,
    const char *user, int limit, json_t **out);
store_rc_t store_mongo_user_held(store_t *st, const char *user);
store_rc_t store_mongo_tidy(store_t *st, int *more);
store_rc_t store_mongo_due(store_t *st, const store_due_t *q, json_t **out,
    char *next);


/* store_mongo_conv.c */

/* c->last is the newest message up to the number that is not deleted. */
store_rc_t mg_find_last(store_mongo_t *st, store_plan_t *p, store_conv_t *c);
/* It, as lastMessage; there is one. */
void mg_append_last(bson_t *b, const store_conv_t *c);
/* The conversations; *again = 1 when somebody else was faster. */
store_rc_t mg_write_convs(store_mongo_t *st, store_plan_t *p, int *again);


/* store_mongo_read.c */

store_rc_t store_mongo_state(store_t *st, const char *id, json_t **out);
store_rc_t store_mongo_user_rooms(store_t *st, const char *user,
    json_t **out);
store_rc_t store_mongo_conversation(store_t *st, const char *id,
    const char *user, json_t **out);
store_rc_t store_mongo_unread(store_t *st, const char *user, json_t **out);
store_rc_t store_mongo_conversations(store_t *st, const store_list_t *q,
    json_t **out, int64_t *total);
store_rc_t store_mongo_ends(store_t *st, const char *after, int limit,
    json_t **out);
store_rc_t store_mongo_user(store_t *st, const char *id, json_t **out,
    int *managed);

/* The users named by the keys of `ids`, as {id: row}; NULL on error. */
json_t *mg_users(store_mongo_t *st, const json_t *ids);
/* A conversation's number; *consults: has it, or had it, a consultation? (may
 * be NULL) */
store_rc_t mg_find_seq(store_mongo_t *st, const char *id, int64_t *seq,
    int *consults);


/* store_mongo_rows.c */

/* Rows of messages, in the arena; their JSON is owned.  Zero it first. */
typedef struct {
    store_arena_t    *arena;
    store_msg_row_t  *row;
    size_t            n;
    size_t            max;
} mg_messages_t;

/* Append the messages of a query to the list, but for parents and names; the
 * options get a projection.  Nothing is in the list after an error. */
store_rc_t mg_find_messages(store_mongo_t *st, bson_t *query, bson_t *opts,
    unsigned with, mg_messages_t *l);
void mg_drop_messages(mg_messages_t *l);


/* store_mongo_readers.c */

/* Who has something of lo..hi, and their read moves that matter there. */
store_rc_t mg_readers(store_mongo_t *st, const char *conversation,
    int64_t lo, int64_t hi, store_docs_t *out);


/* store_mongo_messages.c */

store_rc_t store_mongo_messages(store_t *st, const store_page_t *q,
    json_t **out, int *more);
store_rc_t store_mongo_message(store_t *st, const char *conversation,
    const char *id, unsigned with, json_t **out);
store_rc_t store_mongo_message_sent(store_t *st, const char *conversation,
    const char *user, const char *client_id, json_t **out);
store_rc_t store_mongo_changes(store_t *st, const char *conversation,
    int64_t after, int max, json_t **out, int64_t *upto);

/* Rows of one conversation as documents; empties the list. */
store_rc_t mg_message_docs(store_mongo_t *st, const char *conversation,
    mg_messages_t *l, json_t **out);


/* store_mongo_words.c */

/* Append "words" of a content, if it has any; returns their number. */
size_t mg_append_words(store_mongo_t *st, bson_t *b, const json_t *content);
/* Give all messages that are there their words; goes on where it was
 * interrupted.  0, or -1 with the error. */
int mg_backfill_words(store_mongo_t *st, bson_error_t *error);


/* store_mongo_search.c */

store_rc_t store_mongo_search(store_t *st, store_finder_t *f, json_t *out);

#endif
