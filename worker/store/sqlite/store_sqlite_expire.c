/*
 * store_sqlite_expire.c: what has had its time, in SQLite: finding it, and
 * taking it out, inside the transaction of store_sqlite_apply.c.
 *
 * What goes is gone from every table: the message, what it said before its
 * edits, the record of its file (whose bytes are removed when nobody counts
 * them any more), its words.  Numbers of what is left stay.
 */

#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

int
sq_held(store_sqlite_t *st, int64_t conv, const char *id)
{
    int            step;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_HELD,
               "SELECT 1 FROM hold WHERE type = 'conversation'"
               " AND target = ?2 AND released_at IS NULL"
               " UNION ALL SELECT 1 FROM hold h CROSS JOIN member m"
               " ON m.conversation = ?1 AND m.user = h.target"
               " WHERE h.type = 'user' AND h.released_at IS NULL LIMIT 1");
    if (s == NULL) {
        return -1;
    }

    sqlite3_bind_int64(s, 1, conv);
    sq_bind_text(s, 2, id);
    step = sqlite3_step(s);

    return sq_done(st, s, step) != STORE_OK ? -1 : step == SQLITE_ROW;
}


/* -- finding -- */

static store_rc_t
append_edits(store_sqlite_t *st, int64_t row, json_t *numbers)
{
    int            step;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DUE_EDITS,
               "SELECT seq FROM message_edit WHERE message = ?1 ORDER BY seq");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, row);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_append(numbers, json_integer(sqlite3_column_int64(s, 0)));
    }

    return sq_done(st, s, step);
}


json_t *
sq_due_message(store_sqlite_t *st, int64_t n, const char *id, int64_t seq,
    int64_t change)
{
    json_t  *numbers;

    numbers = json_array();
    store_doc_append(numbers, json_integer(seq));

    if (change > seq) {
        store_doc_append(numbers, json_integer(change));
    }

    if (append_edits(st, n, numbers) != STORE_OK) {
        json_decref(numbers);
        return NULL;
    }

    return store_doc_due_message(id, numbers);
}


/* Its first ones that are older than that: times go up with the numbers. */
static store_rc_t
due_messages(store_sqlite_t *st, int64_t conv, int64_t before, int limit,
    json_t *out)
{
    int            step;
    json_t        *m;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DUE_MESSAGES,
               "SELECT n, id, seq, change_seq, created_at FROM message"
               " WHERE conversation = ?1 ORDER BY seq LIMIT ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);
    sqlite3_bind_int(s, 2, limit);

    while ((step = sqlite3_step(s)) == SQLITE_ROW
           && sqlite3_column_int64(s, 4) < before)
    {
        m = sq_due_message(st, sqlite3_column_int64(s, 0),
                           (const char *) sqlite3_column_text(s, 1),
                           sqlite3_column_int64(s, 2),
                           sqlite3_column_int64(s, 3));
        if (m == NULL) {
            sqlite3_reset(s);
            return STORE_DOWN;
        }

        store_doc_append(out, m);
    }

    return sq_done(st, s, step);
}


/* A row of SQ_DUE_ROOMS: has it anything? */
static store_rc_t
due_room(store_sqlite_t *st, const store_due_t *q, sqlite3_stmt *s,
    json_t *out)
{
    int          idle, is;
    json_t      *messages;
    int64_t      conv, before;
    const char  *id;

    conv = sqlite3_column_int64(s, 0);
    id = (const char *) sqlite3_column_text(s, 1);
    before = store_due_before(q, sqlite3_column_int64(s, 3));

    /* it stays where it is: archived is not deleted */
    idle = sqlite3_column_int(s, 4) && q->idle_ms >= 0
           && sqlite3_column_int64(s, 5) < q->idle_ms;

    messages = json_array();

    if (before >= 0
        && due_messages(st, conv, before, q->limit, messages) != STORE_OK)
    {
        json_decref(messages);
        return STORE_DOWN;
    }

    if (json_array_size(messages)) {
        is = sq_held(st, conv, id);

        if (is != 0) {
            json_array_clear(messages);
        }

        if (is < 0) {
            json_decref(messages);
            return STORE_DOWN;
        }
    }

    if (json_array_size(messages) == 0 && !idle) {
        json_decref(messages);
        return STORE_OK;
    }

    store_doc_append(out, store_doc_due(id, sqlite3_column_int64(s, 2),
                                        before, messages, idle));

    return STORE_OK;
}


static store_rc_t
due_rooms(store_sqlite_t *st, const store_due_t *q, json_t *out, char *next)
{
    int            n, step;
    size_t         len;
    store_rc_t     rc;
    const char    *id;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DUE_ROOMS,
               "SELECT n, id, seq, json_extract(settings, '$.retention'),"
               " archived_at IS NULL"
               " AND json_extract(settings, '$.autoArchive'), activity_at"
               " FROM conversation WHERE id > ?1 ORDER BY id LIMIT ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, q->after);
    sqlite3_bind_int(s, 2, q->look);

    rc = STORE_OK;
    n = 0;

    while ((step = sqlite3_step(s)) == SQLITE_ROW && rc == STORE_OK) {
        rc = due_room(st, q, s, out);
        n++;

        id = (const char *) sqlite3_column_text(s, 1);
        len = strlen(id);

        if (len <= WRT_ID_MAX) {
            memcpy(next, id, len + 1);
        }

        if (json_array_size(out) == (size_t) q->max) {
            break;
        }
    }

    /* that were all of them */
    if (step == SQLITE_DONE && n < q->look) {
        next[0] = '\0';
    }

    if (rc != STORE_OK) {
        sqlite3_reset(s);
        return rc;
    }

    return sq_done(st, s, step);
}


store_rc_t
store_sqlite_due(store_t *base, const store_due_t *q, json_t **out,
    char *next)
{
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    *out = json_array();

    return sq_end(st, due_rooms(st, q, *out, next));
}


/* -- taking out -- */

store_rc_t
sq_run_with(store_sqlite_t *st, sq_id_t id, const char *sql, int64_t n,
    const char *text)
{
    sqlite3_stmt  *s;

    s = sq_get(st, id, sql);
    if (s == NULL) {
        return STORE_DOWN;
    }

    if (text) {
        sq_bind_text(s, 1, text);

    } else {
        sqlite3_bind_int64(s, 1, n);
    }

    return sq_run(st, s);
}


store_rc_t
sq_strip(store_sqlite_t *st, const store_op_t *op, const char *id,
    int64_t before, int64_t *row)
{
    int            step, deleted;
    json_t        *content;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    *row = 0;

    s = sq_get(st, SQ_EXPIRE_FIND,
               "SELECT n, content, deleted_at IS NOT NULL FROM message"
               " WHERE id = ?1 AND conversation = ?2 AND created_at < ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    sqlite3_bind_int64(s, 2, op->conv->row);
    sqlite3_bind_int64(s, 3, before);

    content = NULL;
    deleted = 0;
    rc = STORE_OK;
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        *row = sqlite3_column_int64(s, 0);
        deleted = sqlite3_column_int(s, 2);
        rc = sq_json(st, s, 1, &content) == 0 ? STORE_OK : STORE_DOWN;
    }

    if (sq_done(st, s, step) != STORE_OK || rc != STORE_OK
        || step != SQLITE_ROW)
    {
        json_decref(content);
        return step == SQLITE_DONE ? STORE_OK : STORE_DOWN;
    }

    /* the words of a deleted one are out already */
    if (!deleted) {
        rc = sq_index(st, op->conv->row, *row, content, NULL);
    }

    json_decref(content);

    if (rc == STORE_OK) {
        rc = sq_run_with(st, SQ_EXPIRE_EDITS,
                         "DELETE FROM message_edit WHERE message = ?1", *row,
                         NULL);
    }

    return rc == STORE_OK
           ? sq_run_with(st, SQ_EXPIRE_FILE,
                         "DELETE FROM file_upload WHERE message = ?1", 0, id)
           : rc;
}


/* One message and all that hangs on it; *n counts it.  One that is not there,
 * or is younger, is passed over. */
static store_rc_t
expire_one(store_sqlite_t *st, const store_op_t *op, const char *id,
    int64_t *n)
{
    int64_t     row;
    store_rc_t  rc;

    rc = sq_strip(st, op, id, op->at, &row);

    if (rc != STORE_OK || row == 0) {
        return rc;
    }

    rc = sq_run_with(st, SQ_EXPIRE_MESSAGE,
                     "DELETE FROM message WHERE n = ?1", row, NULL);
    *n += rc == STORE_OK;

    return rc;
}


/* Moves of cursors that no message that is left needs for its status. */
static store_rc_t
expire_moves(store_sqlite_t *st, int64_t conv)
{
    return sq_run_with(st, SQ_EXPIRE_MOVES,
                    "DELETE FROM cursor_move WHERE conversation = ?1"
                    " AND seq < coalesce((SELECT min(seq) FROM message"
                    " WHERE conversation = ?1), 0)", conv, NULL);
}


store_rc_t
sq_recount(store_sqlite_t *st, store_conv_t *c, int64_t gone)
{
    store_rc_t     rc;
    sqlite3_stmt  *s;

    rc = sq_find_last(st, c);

    if (rc != STORE_OK) {
        return rc;
    }

    s = sq_get(st, SQ_RECOUNT,
               "UPDATE conversation SET message_count = message_count - ?2,"
               " last_at = ?3, activity_at = coalesce(?3, created_at),"
               " last_sender = ?4, last_type = ?5, last_content = ?6"
               " WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, c->row);
    sqlite3_bind_int64(s, 2, gone);
    sq_bind_time(s, 3, c->last.at);
    sq_bind_text(s, 4, c->last.sender);
    sq_bind_text(s, 5, c->last.type);
    sqlite3_bind_text(s, 6, c->last.text, (int) c->last.n, SQLITE_STATIC);

    return sq_run(st, s);
}


store_rc_t
sq_expire(store_sqlite_t *st, const store_op_t *op)
{
    int          is;
    size_t       i;
    json_t      *id;
    int64_t      n;
    store_rc_t   rc;

    is = op->conv->seq < 0 ? 1 : sq_held(st, op->conv->row, op->conv->id);

    if (is != 0) {
        return is < 0 ? STORE_DOWN : STORE_OK;
    }

    n = 0;

    json_array_foreach(op->body, i, id) {
        rc = expire_one(st, op, json_string_value(id), &n);

        if (rc != STORE_OK) {
            return rc;
        }
    }

    if (n == 0) {
        return STORE_OK;
    }

    rc = expire_moves(st, op->conv->row);

    return rc == STORE_OK ? sq_recount(st, op->conv, n) : rc;
}
