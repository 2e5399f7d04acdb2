/*
 * store_sqlite_life.c: legal holds and the log of administrative acts in
 * SQLite; store_sqlite_expire.c has what goes.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define HOLD_COLUMNS                                                          \
    "id, type, target, reason, created_by, created_at, released_by,"          \
    " released_at"

#define AUDIT_COLUMNS                                                         \
    "id, at, action, actor, role, target_type, target, source, details"


/* An act that is there already is the same. */
static store_rc_t
add_audit(store_sqlite_t *st, const json_t *audit)
{
    sqlite3_stmt       *s;
    store_audit_row_t   a;

    s = sq_get(st, SQ_ADD_AUDIT,
               "INSERT INTO audit (" AUDIT_COLUMNS ")"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?9, '{}'))"
               " ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    store_audit_row(audit, &a);

    sq_bind_text(s, 1, a.id);
    sqlite3_bind_int64(s, 2, a.at);
    sq_bind_text(s, 3, a.action);
    sq_bind_text(s, 4, a.actor);
    sq_bind_text(s, 5, a.role);
    sq_bind_text(s, 6, a.target_type);
    sq_bind_text(s, 7, a.target);
    sq_bind_text(s, 8, a.source);
    sq_bind_json(st, s, 9, a.details);

    return sq_run(st, s);
}


static store_rc_t
add_hold(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt      *s;
    store_hold_row_t   h;

    s = sq_get(st, SQ_ADD_HOLD,
               "INSERT INTO hold (id, type, target, reason, created_by,"
               " created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
               " ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    store_hold_row(op->body, &h);

    sq_bind_text(s, 1, h.id);
    sq_bind_text(s, 2, h.type);
    sq_bind_text(s, 3, h.target);
    sq_bind_text(s, 4, h.reason);
    sq_bind_text(s, 5, h.created_by);
    sqlite3_bind_int64(s, 6, h.created_at);

    return sq_run(st, s);
}


/* The first one to release it has. */
static store_rc_t
release_hold(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_RELEASE_HOLD,
               "UPDATE hold SET released_by = ?2, released_at = ?3"
               " WHERE id = ?1 AND released_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sq_bind_text(s, 2, op->user);
    sqlite3_bind_int64(s, 3, op->at);

    return sq_run(st, s);
}


store_rc_t
sq_write_life(store_sqlite_t *st, const store_op_t *op)
{
    if (op->audit && add_audit(st, op->audit) != STORE_OK) {
        return STORE_DOWN;
    }

    switch (op->kind) {

    case STORE_OP_HOLD:
        return add_hold(st, op);

    case STORE_OP_RELEASE:
        return release_hold(st, op);

    case STORE_OP_EXPIRE:
        return sq_expire(st, op);

    case STORE_OP_ERASE:
    case STORE_OP_SCRUB:
    case STORE_OP_FORGET:
    case STORE_OP_ERASED:
        return sq_erase(st, op);

    default:
        return STORE_OK;
    }
}


/* A row of HOLD_COLUMNS. */
static json_t *
read_hold(store_sqlite_t *st, sqlite3_stmt *s)
{
    store_hold_row_t  h;

    h.id = sq_text(st, s, 0);
    h.type = sq_text(st, s, 1);
    h.target = sq_text(st, s, 2);
    h.reason = sq_text(st, s, 3);
    h.created_by = sq_text(st, s, 4);
    h.created_at = sqlite3_column_int64(s, 5);
    h.released_by = sq_text(st, s, 6);
    h.released_at = sq_time(s, 7);

    return store_doc_hold(&h);
}


store_rc_t
store_sqlite_hold(store_t *base, const char *id, json_t **out)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_HOLD, "SELECT " HOLD_COLUMNS " FROM hold WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        *out = read_hold(st, s);
    }

    return sq_done(st, s, step) != STORE_OK ? STORE_DOWN
           : *out ? STORE_OK : STORE_NOT_FOUND;
}


/* Asked for seldom, in many ways: not kept prepared. */
static sqlite3_stmt *
prepare(store_sqlite_t *st, const char *sql)
{
    sqlite3_stmt  *s;

    if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK) {
        sq_down(st, "prepare");
        return NULL;
    }

    return s;
}


static sqlite3_stmt *
prepare_holds(store_sqlite_t *st, const char *what, const store_holds_t *q,
    const char *order)
{
    char           sql[512];
    sqlite3_stmt  *s;

    snprintf(sql, sizeof(sql), "SELECT %s FROM hold WHERE 1%s%s%s%s", what,
             q->type ? " AND type = ?1" : "",
             q->target ? " AND target = ?2" : "",
             q->active ? " AND released_at IS NULL" : "", order);

    s = prepare(st, sql);

    if (s) {
        /* what is not in the text is out of range, and that is fine */
        sq_bind_text(s, 1, q->type);
        sq_bind_text(s, 2, q->target);
    }

    return s;
}


static store_rc_t
count_holds(store_sqlite_t *st, const store_holds_t *q, int64_t *n)
{
    int            step;
    sqlite3_stmt  *s;

    s = prepare_holds(st, "count(*)", q, "");
    if (s == NULL) {
        return STORE_DOWN;
    }

    step = sqlite3_step(s);
    *n = step == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

    if (step != SQLITE_ROW) {
        sq_down(st, "count holds");
    }

    sqlite3_finalize(s);

    return step == SQLITE_ROW ? STORE_OK : STORE_DOWN;
}


store_rc_t
store_sqlite_holds(store_t *base, const store_holds_t *q, json_t **out,
    int64_t *total)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (count_holds(st, q, total) != STORE_OK) {
        return STORE_DOWN;
    }

    s = prepare_holds(st, HOLD_COLUMNS, q,
                      " ORDER BY created_at DESC, id DESC"
                      " LIMIT ?3 OFFSET ?4");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int(s, 3, q->limit);
    sqlite3_bind_int64(s, 4, (int64_t) (q->page - 1) * q->limit);

    *out = json_array();

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_append(*out, read_hold(st, s));
    }

    if (step != SQLITE_DONE) {
        sq_down(st, "list holds");
    }

    sqlite3_finalize(s);

    return step == SQLITE_DONE ? STORE_OK : STORE_DOWN;
}


/* A row of AUDIT_COLUMNS; NULL with the error set. */
static json_t *
read_audit(store_sqlite_t *st, sqlite3_stmt *s)
{
    store_audit_row_t  a;

    memset(&a, 0, sizeof(a));

    a.id = sq_text(st, s, 0);
    a.at = sqlite3_column_int64(s, 1);
    a.action = sq_text(st, s, 2);
    a.actor = sq_text(st, s, 3);
    a.role = sq_text(st, s, 4);
    a.target_type = sq_text(st, s, 5);
    a.target = sq_text(st, s, 6);
    a.source = sq_text(st, s, 7);

    return sq_json(st, s, 8, &a.details) == 0 ? store_doc_audit(&a) : NULL;
}


static sqlite3_stmt *
prepare_audit(store_sqlite_t *st, const store_audit_t *q)
{
    char           sql[512];
    sqlite3_stmt  *s;

    snprintf(sql, sizeof(sql), "SELECT " AUDIT_COLUMNS " FROM audit"
             " WHERE 1%s%s%s%s%s ORDER BY at DESC, id DESC"
             " LIMIT ?6 OFFSET ?7",
             q->actor ? " AND actor = ?1" : "",
             q->action ? " AND action = ?2" : "",
             q->target ? " AND target = ?3" : "",
             q->before_ms >= 0 ? " AND at < ?4" : "",
             q->after_ms >= 0 ? " AND at > ?5" : "");

    s = prepare(st, sql);

    if (s) {
        sq_bind_text(s, 1, q->actor);
        sq_bind_text(s, 2, q->action);
        sq_bind_text(s, 3, q->target);
        sqlite3_bind_int64(s, 4, q->before_ms);
        sqlite3_bind_int64(s, 5, q->after_ms);
        sqlite3_bind_int(s, 6, q->limit + 1);
        sqlite3_bind_int64(s, 7, (int64_t) (q->page - 1) * q->limit);
    }

    return s;
}


store_rc_t
store_sqlite_audit(store_t *base, const store_audit_t *q, json_t **out,
    int *more)
{
    int              step;
    json_t          *o;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = prepare_audit(st, q);
    if (s == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (json_array_size(*out) == (size_t) q->limit) {
            *more = 1;
            step = SQLITE_DONE;
            break;
        }

        o = read_audit(st, s);
        if (o == NULL) {
            break;
        }

        store_doc_append(*out, o);
    }

    if (step != SQLITE_DONE && step != SQLITE_ROW) {
        sq_down(st, "list audit");
    }

    sqlite3_finalize(s);

    return step == SQLITE_DONE ? STORE_OK : STORE_DOWN;
}
