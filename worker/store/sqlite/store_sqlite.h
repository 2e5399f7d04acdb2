/*
 * store_sqlite.h: what the store_sqlite*.c files share.
 */

#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "worker/store/store_internal.h"

/* Prepared statements, made at first use and kept. */
typedef enum {
    SQ_BEGIN_WRITE,
    SQ_BEGIN_READ,
    SQ_COMMIT,
    SQ_PING,

    SQ_FIND_CONV,
    SQ_FIND_CURSOR,
    SQ_ADD_CONV,
    SQ_ADD_MEMBER,
    SQ_ADD_MESSAGE,
    SQ_ADD_TEXT,
    SQ_DROP_TEXT,
    SQ_FIND_MESSAGE,
    SQ_ADD_EDIT,
    SQ_TRIM_EDITS,
    SQ_EDIT,
    SQ_DELETE,
    SQ_REACT,
    SQ_BLOCK,
    SQ_KEY,
    SQ_JOIN,
    SQ_LEAVE,
    SQ_ADD_MOVE,
    SQ_SET_CURSOR,
    SQ_FIND_LAST,
    SQ_SET_SETTINGS,
    SQ_SET_CONV,
    SQ_SET_SEQ,
    SQ_SET_USER,
    SQ_PUT_FILE,
    SQ_ACCESS_FILE,
    SQ_PUBLIC_FILE,
    SQ_GIVE_UP_FILE,
    SQ_ADD_AUDIT,
    SQ_ADD_HOLD,
    SQ_RELEASE_HOLD,
    SQ_PUT_DEVICE,
    SQ_DROP_DEVICES,
    SQ_DEVICE_GONE,
    SQ_SET_QUIET,
    SQ_MUTE,
    SQ_UNMUTE,
    SQ_FORGET_DEVICES,
    SQ_FORGET_QUIET,
    SQ_FORGET_MUTES,
    SQ_HELD,
    SQ_EXPIRE_FIND,
    SQ_EXPIRE_EDITS,
    SQ_EXPIRE_FILE,
    SQ_EXPIRE_MESSAGE,
    SQ_EXPIRE_MOVES,
    SQ_RECOUNT,
    SQ_ADD_ERASURE,
    SQ_UNTIDY,
    SQ_SCRUB,
    SQ_FORGET_REACTIONS,
    SQ_FORGET_DELETED_BY,
    SQ_FORGET_MOVES,
    SQ_FORGET_BLOCKED,
    SQ_FORGET_FILES,
    SQ_FORGET_CREATED,
    SQ_FORGET_RATINGS,
    SQ_FORGET_MEMBER,
    SQ_ERASED_USER,
    SQ_ERASED,
    SQ_DELETE_FILE,
    SQ_PUT_CONSULT,
    SQ_PUT_SESSION,
    SQ_PUT_PART,
    SQ_DROP_PARTS,
    SQ_PUT_RATING,

    SQ_CONV,
    SQ_CONVS,
    SQ_CONVS_TOTAL,
    SQ_UNREAD,
    SQ_UNREAD_FROM,
    SQ_UNREAD_ALL,
    SQ_MEMBERS,
    SQ_STATE_MEMBERS,
    SQ_ROOMS,
    SQ_NUMBER_AT,
    SQ_PAGE,
    SQ_PAGE_AFTER,
    SQ_THREAD,
    SQ_THREAD_AFTER,
    SQ_MESSAGE,
    SQ_MESSAGE_SENT,
    SQ_ONCE,
    SQ_HISTORY,
    SQ_CHANGES,
    SQ_READERS,
    SQ_MOVES,
    SQ_ENDS,
    SQ_USER,
    SQ_FILE,
    SQ_FILE_REFS,
    SQ_HOLD,
    SQ_DEVICES,
    SQ_QUIET,
    SQ_MUTES,
    SQ_SESSION,
    SQ_RATINGS,
    SQ_PART,
    SQ_CONSULT,
    SQ_SPANS,
    SQ_ERASURES,
    SQ_TRACES,
    SQ_SAID,
    SQ_USER_HELD,
    SQ_TIDY,
    SQ_MERGE,
    SQ_TIDIED,
    SQ_DUE_ROOMS,
    SQ_DUE_MESSAGES,
    SQ_DUE_EDITS,
    SQ_SEARCH,
    SQ_SEARCH_WALK,
    SQ_SEARCH_ROOM,
    SQ_SEARCH_ROOMS,
    SQ_SEARCH_MESSAGE,
    SQ_MAX
} sq_id_t;

/* A kind of file, see store_sqlite_vfs.c. */
typedef struct {
    sqlite3_io_methods    methods;  /* first */
    int                 (*write)(sqlite3_file *, const void *, int,
                                 sqlite3_int64);
    store_t              *st;
    const char           *path;     /* SQLite's; NULL: not open */
    dev_t                 dev;      /* of what was opened under it */
    ino_t                 ino;
} sq_methods_t;

typedef struct {
    sqlite3_vfs           vfs;      /* first */
    sqlite3_vfs          *system;
    sq_methods_t          database;
    sq_methods_t          wal;
    char                  name[32];
} sq_vfs_t;

typedef struct {
    store_t        base;            /* first */
    sqlite3       *db;
    sq_vfs_t       vfs;
    sqlite3_stmt  *stmt[SQ_MAX];
    char          *json;            /* of sq_scratch() */
    size_t         json_size;
    int            tidied;          /* what the last process left untidy, too */
} store_sqlite_t;

/* The store's own VFS, by whose name its database is opened; NULL: no memory.
 * It lives until sq_vfs_free(), after the database is closed. */
const char *sq_vfs_init(store_sqlite_t *st);
void sq_vfs_free(store_sqlite_t *st);

/* Do the names of the database and its WAL still lead to the files that are
 * open?  STORE_OK, or STORE_DOWN with the error text set. */
store_rc_t sq_vfs_check(store_sqlite_t *st);

/* The statement, ready to be bound; NULL with the error text set. */
sqlite3_stmt *sq_get(store_sqlite_t *st, sq_id_t id, const char *sql);

/* n bytes of st->json. */
char *sq_scratch(store_sqlite_t *st, size_t n);

/* Run a statement without rows.  STORE_OK or STORE_DOWN. */
store_rc_t sq_run(store_sqlite_t *st, sqlite3_stmt *s);
store_rc_t sq_simple(store_sqlite_t *st, sq_id_t id, const char *sql);

/* SQLite's last error as STORE_DOWN. */
store_rc_t sq_down(store_sqlite_t *st, const char *what);

/* NULL binds NULL; the text must live until the statement is reset. */
void sq_bind_text(sqlite3_stmt *s, int i, const char *text);
/* Negative binds NULL. */
void sq_bind_time(sqlite3_stmt *s, int i, int64_t ms);
/* JSON as text; NULL binds NULL.  Copies. */
void sq_bind_json(store_sqlite_t *st, sqlite3_stmt *s, int i,
    const json_t *v);

/* A read transaction; sq_end() returns rc unless ending it fails. */
store_rc_t sq_begin(store_sqlite_t *st);
store_rc_t sq_end(store_sqlite_t *st, store_rc_t rc);

/* A column's text in the arena, NULL for NULL; its time, STORE_NO_TIME for
 * NULL; its JSON, NULL for NULL (returns -1 when it is none). */
const char *sq_text(store_sqlite_t *st, sqlite3_stmt *s, int i);
int64_t sq_time(sqlite3_stmt *s, int i);
int sq_json(store_sqlite_t *st, sqlite3_stmt *s, int i, json_t **out);

/* After the last step(), whose result this is: reset the statement. */
store_rc_t sq_done(store_sqlite_t *st, sqlite3_stmt *s, int step);

/* Key and number of a conversation. */
store_rc_t sq_find_conv(store_sqlite_t *st, const char *id, int64_t *row,
    int64_t *seq);

/* store_sqlite_apply.c */
store_rc_t store_sqlite_apply(store_t *st, const event_t *ev, size_t n,
    size_t *bad);

/* c->last is the newest message that is not deleted. */
store_rc_t sq_find_last(store_sqlite_t *st, store_conv_t *c);

/* store_sqlite_change.c: an edit, a deletion, a reaction. */
store_rc_t sq_change(store_sqlite_t *st, const store_op_t *op);

/* store_sqlite_file.c */
store_rc_t sq_put_file(store_sqlite_t *st, const store_op_t *op);
store_rc_t sq_count_access(store_sqlite_t *st, const store_op_t *op);
store_rc_t sq_set_public(store_sqlite_t *st, const store_op_t *op);
store_rc_t sq_give_up_file(store_sqlite_t *st, const store_op_t *op);
/* That of a message which is deleted. */
store_rc_t sq_delete_file(store_sqlite_t *st, const store_op_t *op);
store_rc_t store_sqlite_file(store_t *st, const char *id, json_t **out);
store_rc_t store_sqlite_files(store_t *st, const store_files_t *q,
    json_t **out, int64_t *total);
store_rc_t store_sqlite_file_refs(store_t *st, const char *hash, int64_t *n);

/* store_sqlite_life.c */
store_rc_t sq_write_life(store_sqlite_t *st, const store_op_t *op);
store_rc_t store_sqlite_hold(store_t *st, const char *id, json_t **out);
store_rc_t store_sqlite_holds(store_t *st, const store_holds_t *q,
    json_t **out, int64_t *total);
store_rc_t store_sqlite_audit(store_t *st, const store_audit_t *q,
    json_t **out, int *more);

/* store_sqlite_device.c */
store_rc_t sq_write_device(store_sqlite_t *st, const store_op_t *op);
store_rc_t store_sqlite_push(store_t *st, const char *const *users, size_t n,
    const char *conversation, json_t **out);
/* store_sqlite_session.c */
/* A consultation, a session, a piece of a transcript, a rating. */
store_rc_t sq_put_session(store_sqlite_t *st, const store_op_t *op);
/* The consultations of a room, the last one first. */
store_rc_t sq_spans(store_sqlite_t *st, int64_t conv, store_span_t **out,
    size_t *n);
store_rc_t store_sqlite_session(store_t *st, const char *id, json_t **out);
store_rc_t store_sqlite_sessions(store_t *st, const store_sessions_t *q,
    json_t **out, int64_t *total);
store_rc_t store_sqlite_session_part(store_t *st, const char *session,
    const char *run, int64_t part, json_t **out);
store_rc_t store_sqlite_consult(store_t *st, const char *id, json_t **out);

/* store_sqlite_expire.c */
store_rc_t sq_expire(store_sqlite_t *st, const store_op_t *op);
/* What a conversation says of its messages, when so many are gone. */
store_rc_t sq_recount(store_sqlite_t *st, store_conv_t *c, int64_t gone);
/* All that hangs on a message of op's conversation that is older than that (ms)
 * goes: its words, edits, file.  *row: where it is; 0: there is none. */
store_rc_t sq_strip(store_sqlite_t *st, const store_op_t *op, const char *id,
    int64_t before, int64_t *row);
/* A statement with one value, a number or (not NULL) a text. */
store_rc_t sq_run_with(store_sqlite_t *st, sq_id_t id, const char *sql,
    int64_t n, const char *text);
/* Is the conversation, or somebody who is or was in it, held?  1, 0, -1. */
int sq_held(store_sqlite_t *st, int64_t conv, const char *id);
/* A message of row n: {"id","numbers"}; NULL: down. */
json_t *sq_due_message(store_sqlite_t *st, int64_t n, const char *id,
    int64_t seq, int64_t change);

/* store_sqlite_erase.c */
store_rc_t sq_erase(store_sqlite_t *st, const store_op_t *op);
store_rc_t store_sqlite_erasures(store_t *st, json_t **out);
store_rc_t store_sqlite_traces(store_t *st, const char *user,
    const char *after, int limit, json_t **out);
store_rc_t store_sqlite_said(store_t *st, const char *conversation,
    const char *user, int limit, json_t **out);
store_rc_t store_sqlite_user_held(store_t *st, const char *user);
store_rc_t store_sqlite_tidy(store_t *st, int *more);
store_rc_t store_sqlite_due(store_t *st, const store_due_t *q, json_t **out,
    char *next);

/* store_sqlite_text.c */

/* How the tokens of a conversation begin in the index of words. */
#define SQ_ROOM_FORMAT  "/%lld/"
#define SQ_ROOM_MAX     32

/*
 * Message `row` (message.n) had the content `was` (NULL: it is new), has `now`
 * (NULL: it was deleted).  The one writer of the index of words.
 */
store_rc_t sq_index(store_sqlite_t *st, int64_t conv, int64_t row,
    const json_t *was, const json_t *now);
/* message.n for a new message, and the least one of a millisecond. */
store_rc_t sq_new_key(store_sqlite_t *st, int64_t at, int64_t *row);
int64_t sq_key_of(int64_t ms);
/* What migrations call. */
int sq_add_functions(store_sqlite_t *st);

/* store_sqlite_search.c */
store_rc_t store_sqlite_search(store_t *st, store_finder_t *f, json_t *out);

/* store_sqlite_read.c, store_sqlite_messages.c */
store_rc_t store_sqlite_state(store_t *st, const char *id, json_t **out);
store_rc_t store_sqlite_user_rooms(store_t *st, const char *user,
    json_t **out);
store_rc_t store_sqlite_conversation(store_t *st, const char *id,
    const char *user, json_t **out);
store_rc_t store_sqlite_conversations(store_t *st, const store_list_t *q,
    json_t **out, int64_t *total);
store_rc_t store_sqlite_ends(store_t *st, const char *after, int limit,
    json_t **out);
store_rc_t store_sqlite_messages(store_t *st, const store_page_t *q,
    json_t **out, int *more);
store_rc_t store_sqlite_message(store_t *st, const char *conversation,
    const char *id, unsigned with, json_t **out);
store_rc_t store_sqlite_message_sent(store_t *st, const char *conversation,
    const char *user, const char *client_id, json_t **out);
store_rc_t store_sqlite_unread(store_t *st, const char *user, json_t **out);
store_rc_t store_sqlite_changes(store_t *st, const char *conversation,
    int64_t after, int max, json_t **out, int64_t *upto);
store_rc_t store_sqlite_user(store_t *st, const char *id, json_t **out,
    int *managed);

/* A message that has the op's clientMessageId: is it the op's?  STORE_NOT_FOUND
 * when there is none. */
store_rc_t sq_again(store_sqlite_t *st, const store_op_t *op, int *again);

/* A message by its key, as a document. */
store_rc_t sq_message_doc(store_sqlite_t *st, int64_t conv,
    const char *conversation, int64_t row, json_t **out);

#endif
