/*
 * store_sqlite_erase.c: a user is erased, in SQLite, inside the transaction of
 * store_sqlite_apply.c: his messages lose what they say, and everywhere an
 * alias stands in his place.
 *
 * secure_delete (store_sqlite.c) overwrites what a table loses.  The index of
 * words keeps them until it is merged, and the file old pages until the WAL is
 * written back: store_tidy() sees to both, afterwards and a step at a time.
 */

#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define TIDY_PAGES  400         /* of the index, merged in one step */

enum {
    TIDY_BEGIN = 0,             /* words were dropped since the last merge */
    TIDY_MERGE,
    TIDY_WAL
};


/* A statement whose values are the room's key, the user, the alias and a
 * time. */
static store_rc_t
run_op(store_sqlite_t *st, const store_op_t *op, sq_id_t id, const char *sql)
{
    sqlite3_stmt  *s;

    s = sq_get(st, id, sql);
    if (s == NULL) {
        return STORE_DOWN;
    }

    /* what is not in the text is out of range, and that is fine */
    sqlite3_bind_int64(s, 1, op->conv ? op->conv->row : 0);
    sq_bind_text(s, 2, op->user);
    sq_bind_text(s, 3, op->by);
    sqlite3_bind_int64(s, 4, op->at);
    sq_bind_text(s, 5, op->kind == STORE_OP_ERASE ? op->sender
                       : op->conv ? op->conv->id : NULL);

    return sq_run(st, s);
}


/* In the transaction of what is to be tidied up. */
static store_rc_t
untidy(store_sqlite_t *st, int state)
{
    return sq_run_with(st, SQ_UNTIDY, "INSERT OR IGNORE INTO untidy (what)"
                       " VALUES (CAST(?1 AS TEXT))", state, NULL);
}


/* -- messages -- */

static store_rc_t
scrub_one(store_sqlite_t *st, const store_op_t *op, const char *id)
{
    int64_t        row;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    rc = sq_strip(st, op, id, INT64_MAX, &row);

    if (rc != STORE_OK || row == 0) {
        return rc;
    }

    s = sq_get(st, SQ_SCRUB,
               "UPDATE message SET sender = iif(sender = ?2, ?3, sender),"
               " content = '{}', reactions = NULL, client_message_id = NULL,"
               " device_info = NULL, ip_address = NULL, edited_at = NULL,"
               " deleted_at = coalesce(deleted_at, ?4), deleted_by = ?3,"
               " updated_at = ?4 WHERE n = ?1");

    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, row);
    sq_bind_text(s, 2, op->user);
    sq_bind_text(s, 3, op->by);
    sqlite3_bind_int64(s, 4, op->at);

    return sq_run(st, s);
}


static store_rc_t
scrub(store_sqlite_t *st, const store_op_t *op)
{
    size_t       i;
    json_t      *id;
    store_rc_t   rc;

    json_array_foreach(op->body, i, id) {
        rc = scrub_one(st, op, json_string_value(id));

        if (rc != STORE_OK) {
            return rc;
        }
    }

    if (untidy(st, TIDY_BEGIN) != STORE_OK) {
        return STORE_DOWN;
    }

    return sq_recount(st, op->conv, 0);
}


/* -- the rest -- */

static store_rc_t
forget(store_sqlite_t *st, const store_op_t *op)
{
    size_t  i;

    static const struct {
        sq_id_t      id;
        const char  *sql;
    } t[] = {
        { SQ_FORGET_REACTIONS,
          "UPDATE message SET reactions = (SELECT json_group_array("
          "json(value)) FROM json_each(reactions)"
          " WHERE json_extract(value, '$.userId') <> ?2)"
          " WHERE conversation = ?1 AND reactions IS NOT NULL"
          " AND instr(reactions, '\"' || ?2 || '\"') > 0" },
        { SQ_FORGET_DELETED_BY,
          "UPDATE message SET deleted_by = ?3 WHERE conversation = ?1"
          " AND deleted_by = ?2" },
        { SQ_FORGET_MOVES,
          "DELETE FROM cursor_move WHERE conversation = ?1 AND user = ?2" },
        { SQ_FORGET_BLOCKED,
          "UPDATE member SET blocked_by = ?3 WHERE conversation = ?1"
          " AND blocked_by = ?2" },
        { SQ_FORGET_FILES,
          "DELETE FROM file_upload WHERE conversation = ?5"
          " AND uploaded_by = ?2" },
        { SQ_FORGET_CREATED,
          "UPDATE conversation SET created_by = ?3 WHERE n = ?1"
          " AND created_by = ?2" },
        { SQ_FORGET_RATINGS,
          "UPDATE session_rating SET user = ?3, comment = NULL"
          " WHERE user = ?2 AND session IN (SELECT id FROM chat_session"
          " WHERE conversation = ?5)" },
        /* the last one: by it the room is found */
        { SQ_FORGET_MEMBER,
          "UPDATE member SET user = ?3, left_at = coalesce(left_at, ?4),"
          " read_at = NULL, delivered_at = NULL"
          " WHERE conversation = ?1 AND user = ?2" }
    };

    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        if (run_op(st, op, t[i].id, t[i].sql) != STORE_OK) {
            return STORE_DOWN;
        }
    }

    return sq_recount(st, op->conv, 0);
}


store_rc_t
sq_erase(store_sqlite_t *st, const store_op_t *op)
{
    int  is;

    if (op->kind == STORE_OP_ERASE) {
        return run_op(st, op, SQ_ADD_ERASURE,
                      "INSERT INTO erasure (user, alias, requested_by,"
                      " requested_at) VALUES (?2, ?3, ?5, ?4)"
                      " ON CONFLICT DO NOTHING");
    }

    if (op->kind == STORE_OP_ERASED) {
        /* the last of his: whatever came before is older in the WAL */
        return run_op(st, op, SQ_ERASED_USER, "DELETE FROM user WHERE id = ?2")
               == STORE_OK
               && run_op(st, op, SQ_ERASED,
                         "DELETE FROM erasure WHERE user = ?2") == STORE_OK
               ? untidy(st, TIDY_WAL) : STORE_DOWN;
    }

    is = op->conv->seq < 0 ? 1 : sq_held(st, op->conv->row, op->conv->id);

    if (is != 0) {
        return is < 0 ? STORE_DOWN : STORE_OK;
    }

    return op->kind == STORE_OP_SCRUB ? scrub(st, op) : forget(st, op);
}


/* -- what is to be done -- */

store_rc_t
store_sqlite_erasures(store_t *base, json_t **out)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_ERASURES,
               "SELECT user, alias, requested_by, requested_at FROM erasure"
               " WHERE user > '' ORDER BY user");
    if (s == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_append(*out,
            store_doc_erasure(sq_text(st, s, 0), sq_text(st, s, 1),
                              sq_text(st, s, 2), sqlite3_column_int64(s, 3)));
    }

    return sq_done(st, s, step);
}


store_rc_t
store_sqlite_traces(store_t *base, const char *user, const char *after,
    int limit, json_t **out)
{
    int              step, is;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_TRACES,
               "SELECT c.n, c.id, c.seq, m.left_at IS NULL, m.role, c.type"
               " FROM conversation c CROSS JOIN member m"
               " ON m.conversation = c.n AND m.user = ?1"
               " WHERE c.id > ?2 AND c.n IN (SELECT conversation FROM member"
               " WHERE user = ?1) ORDER BY c.id LIMIT ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, user);
    sq_bind_text(s, 2, after);
    sqlite3_bind_int(s, 3, limit);

    *out = json_array();
    is = 0;

    while ((step = sqlite3_step(s)) == SQLITE_ROW && is >= 0) {
        is = sq_held(st, sqlite3_column_int64(s, 0), sq_text(st, s, 1));

        store_doc_append(*out,
            store_doc_trace(sq_text(st, s, 1), sqlite3_column_int64(s, 2),
                            sqlite3_column_int(s, 3), sq_text(st, s, 4),
                            sq_text(st, s, 5), is > 0));
    }

    return sq_done(st, s, step) == STORE_OK && is >= 0 ? STORE_OK
                                                       : STORE_DOWN;
}


store_rc_t
store_sqlite_said(store_t *base, const char *conversation, const char *user,
    int limit, json_t **out)
{
    int              step;
    json_t          *m;
    int64_t          row, seq;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    rc = sq_find_conv(st, conversation, &row, &seq);
    if (rc != STORE_OK) {
        return rc;
    }

    s = sq_get(st, SQ_SAID,
               "SELECT n, id, seq, change_seq FROM message"
               " WHERE conversation = ?1 AND (sender = ?2"
               " OR (type = 'system' AND instr(content, '\"' || ?2 || '\"')"
               " > 0)) ORDER BY seq LIMIT ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, row);
    sq_bind_text(s, 2, user);
    sqlite3_bind_int(s, 3, limit);

    *out = json_array();

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        m = sq_due_message(st, sqlite3_column_int64(s, 0),
                           sq_text(st, s, 1), sqlite3_column_int64(s, 2),
                           sqlite3_column_int64(s, 3));
        if (m == NULL) {
            sqlite3_reset(s);
            return STORE_DOWN;
        }

        store_doc_append(*out, m);
    }

    return sq_done(st, s, step);
}


store_rc_t
store_sqlite_user_held(store_t *base, const char *user)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_USER_HELD,
               "SELECT 1 FROM hold WHERE type = 'user' AND target = ?1"
               " AND released_at IS NULL LIMIT 1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, user);
    step = sqlite3_step(s);

    return sq_done(st, s, step) != STORE_OK ? STORE_DOWN
           : step == SQLITE_ROW ? STORE_OK : STORE_NOT_FOUND;
}


/* -- tidying up -- */

/* The first state in untidy; -1: none, -2: down. */
static int
tidy_state(store_sqlite_t *st)
{
    int            step, state;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_TIDY, "SELECT what FROM untidy"
               " WHERE what BETWEEN '0' AND '2' ORDER BY what LIMIT 1");
    if (s == NULL) {
        return -2;
    }

    step = sqlite3_step(s);
    state = step == SQLITE_ROW ? sqlite3_column_int(s, 0) : -1;

    return sq_done(st, s, step) == STORE_OK ? state : -2;
}


static store_rc_t
tidied(store_sqlite_t *st, int state)
{
    return sq_run_with(st, SQ_TIDIED, "DELETE FROM untidy"
                       " WHERE what = CAST(?1 AS TEXT)", state, NULL);
}


/* From one state to the next, in a transaction. */
static store_rc_t
tidy_next(store_sqlite_t *st, int state)
{
    return tidied(st, state) == STORE_OK ? untidy(st, state + 1) : STORE_DOWN;
}


/* All of the index into one piece, without the words that were dropped. */
static store_rc_t
tidy_merge(store_sqlite_t *st, int state)
{
    int            before;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    if (sq_simple(st, SQ_BEGIN_WRITE, "BEGIN IMMEDIATE") != STORE_OK) {
        return STORE_DOWN;
    }

    s = sq_get(st, SQ_MERGE, "INSERT INTO message_words (message_words, rank)"
               " VALUES ('merge', ?1)");
    rc = STORE_DOWN;

    if (s) {
        before = sqlite3_total_changes(st->db);
        sqlite3_bind_int(s, 1, state == TIDY_BEGIN ? -TIDY_PAGES
                                                   : TIDY_PAGES);
        rc = sq_run(st, s);

        if (rc == STORE_OK && state == TIDY_BEGIN) {
            rc = tidy_next(st, TIDY_BEGIN);

        } else if (rc == STORE_OK
                   && sqlite3_total_changes(st->db) - before < 2)
        {
            rc = tidy_next(st, TIDY_MERGE);
        }
    }

    if (rc == STORE_OK) {
        rc = sq_simple(st, SQ_COMMIT, "COMMIT");
    }

    if (rc != STORE_OK && !sqlite3_get_autocommit(st->db)) {
        sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    }

    return rc;
}


/* The WAL into the file, over old pages.  What is written meanwhile says so
 * after the state is taken away, and so stays untidy; a reader may be in the
 * way until the next time. */
static store_rc_t
tidy_wal(store_sqlite_t *st, int *more)
{
    int  rc;

    if (tidied(st, TIDY_WAL) != STORE_OK) {
        return STORE_DOWN;
    }

    rc = sqlite3_wal_checkpoint_v2(st->db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                   NULL, NULL);
    *more = rc != SQLITE_OK;

    return *more ? untidy(st, TIDY_WAL) : STORE_OK;
}


store_rc_t
store_sqlite_tidy(store_t *base, int *more)
{
    int              state;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    /* the process before this one may have been killed in tidy_wal() */
    if (!st->tidied && untidy(st, TIDY_WAL) != STORE_OK) {
        return STORE_DOWN;
    }

    st->tidied = 1;
    state = tidy_state(st);

    if (state < 0) {
        return state == -1 ? STORE_OK : STORE_DOWN;
    }

    *more = 1;

    return state == TIDY_WAL ? tidy_wal(st, more) : tidy_merge(st, state);
}
