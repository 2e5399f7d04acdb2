/*
 * store_sqlite_change.c: edits, deletions and reactions into SQLite, inside
 * the transaction of store_sqlite_apply.c.
 */

#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

/* The message that is to be changed. */
typedef struct {
    int64_t   row;
    json_t   *content;
    json_t   *reactions;    /* NULL: none */
} target_t;


/* STORE_NOT_FOUND: it never was, is deleted, or is past this change. */
static store_rc_t
find_target(store_sqlite_t *st, const store_op_t *op, target_t *t)
{
    int            step;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_FIND_MESSAGE,
               "SELECT n, content, reactions FROM message"
               " WHERE id = ?1 AND conversation = ?2 AND change_seq < ?3"
               " AND deleted_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, op->conv->row);
    sqlite3_bind_int64(s, 3, op->seq);

    rc = STORE_NOT_FOUND;
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        t->row = sqlite3_column_int64(s, 0);
        rc = sq_json(st, s, 1, &t->content) == 0
             && sq_json(st, s, 2, &t->reactions) == 0
             ? STORE_OK : STORE_DOWN;
    }

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


static store_rc_t
keep_text(store_sqlite_t *st, const store_op_t *op, const target_t *t)
{
    const char    *text;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_ADD_EDIT,
               "INSERT INTO message_edit (message, seq, edited_at, edited_by,"
               " previous) VALUES (?1, ?2, ?3, ?4, ?5)");
    if (s == NULL) {
        return STORE_DOWN;
    }

    text = json_string_value(json_object_get(t->content, "text"));

    sqlite3_bind_int64(s, 1, t->row);
    sqlite3_bind_int64(s, 2, op->seq);
    sqlite3_bind_int64(s, 3, op->at);
    sq_bind_text(s, 4, op->user);
    sq_bind_text(s, 5, text ? text : "");

    if (sq_run(st, s) != STORE_OK) {
        return STORE_DOWN;
    }

    s = sq_get(st, SQ_TRIM_EDITS,
               "DELETE FROM message_edit WHERE message = ?1 AND seq <="
               " (SELECT seq FROM message_edit WHERE message = ?1"
               " ORDER BY seq DESC LIMIT 1 OFFSET ?2)");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, t->row);
    sqlite3_bind_int(s, 2, WRT_EDITS_MAX);

    return sq_run(st, s);
}


static store_rc_t
edit(store_sqlite_t *st, const store_op_t *op, const target_t *t)
{
    sqlite3_stmt  *s;

    /* what a file's message says of it is nobody's edit */
    if (!op->on && keep_text(st, op, t) != STORE_OK) {
        return STORE_DOWN;
    }

    s = sq_get(st, SQ_EDIT,
               "UPDATE message SET content = ?2, change_seq = ?3,"
               " edited_at = coalesce(?4, edited_at),"
               " updated_at = coalesce(?4, updated_at) WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, t->row);
    sq_bind_json(st, s, 2, op->content);
    sqlite3_bind_int64(s, 3, op->seq);
    sq_bind_time(s, 4, op->at);

    return sq_run(st, s) == STORE_OK
           ? sq_index(st, op->conv->row, t->row, t->content,
                      op->content) : STORE_DOWN;
}


/* Its text stays in the table, out of reach. */
static store_rc_t
delete(store_sqlite_t *st, const store_op_t *op, const target_t *t)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DELETE,
               "UPDATE message SET deleted_at = ?2, deleted_by = ?3,"
               " updated_at = ?2, change_seq = ?4 WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, t->row);
    sqlite3_bind_int64(s, 2, op->at);
    sq_bind_text(s, 3, op->user);
    sqlite3_bind_int64(s, 4, op->seq);

    return sq_run(st, s) == STORE_OK && sq_delete_file(st, op) == STORE_OK
           ? sq_index(st, op->conv->row, t->row, t->content, NULL) : STORE_DOWN;
}


/* One of each user and emoji; the place of the op's in the list, or behind
 * it. */
static size_t
find_reaction(const json_t *list, const store_op_t *op)
{
    size_t    i;
    json_t   *e;

    json_array_foreach(list, i, e) {
        if (strcmp(json_string_value(json_object_get(e, "userId")),
                   op->user) == 0
            && strcmp(json_string_value(json_object_get(e, "emoji")),
                      op->emoji) == 0)
        {
            break;
        }
    }

    return i;
}


static store_rc_t
react(store_sqlite_t *st, const store_op_t *op, target_t *t)
{
    size_t         i;
    json_t        *e;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_REACT,
               "UPDATE message SET reactions = ?2, change_seq = ?3"
               " WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    if (t->reactions == NULL) {
        t->reactions = json_array();
    }

    i = find_reaction(t->reactions, op);

    if (!op->on) {
        json_array_remove(t->reactions, i);

    } else if (i == json_array_size(t->reactions)) {
        e = json_object();
        store_doc_set(e, "userId", store_doc_string(op->user));
        store_doc_set(e, "emoji", store_doc_string(op->emoji));
        store_doc_set(e, "addedAt", json_integer(op->at));
        store_doc_append(t->reactions, e);
    }

    sqlite3_bind_int64(s, 1, t->row);
    sq_bind_json(st, s, 2, t->reactions);
    sqlite3_bind_int64(s, 3, op->seq);

    return sq_run(st, s);
}


store_rc_t
sq_change(store_sqlite_t *st, const store_op_t *op)
{
    target_t    t;
    store_rc_t  rc;

    memset(&t, 0, sizeof(t));
    rc = find_target(st, op, &t);

    if (rc == STORE_OK) {
        switch (op->kind) {

        case STORE_OP_EDIT:
            rc = edit(st, op, &t);
            break;

        case STORE_OP_DELETE:
            rc = delete(st, op, &t);
            break;

        default:
            rc = react(st, op, &t);
        }
    }

    json_decref(t.content);
    json_decref(t.reactions);

    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}
