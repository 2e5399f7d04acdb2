/*
 * store_sqlite_session.c: consultations and sessions in SQLite.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define SESSION_COLUMNS                                                       \
    "id, rev, conversation, consultation, type, status, start_seq, end_seq,"  \
    " start_at, end_at, created_at, updated_at, document"

#define CONSULT_COLUMNS                                                       \
    "id, conversation, from_seq, status, context, created_at, updated_at"


/* It stays in the room it was first said to be in. */
static store_rc_t
put_consult(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_PUT_CONSULT,
               "INSERT INTO consultation (id, conversation, from_seq, rev,"
               " status, context, created_at, updated_at)"
               " SELECT ?1, ?2, ?3, ?3, ?4, ?5, ?6, ?6 WHERE ?7"
               " OR EXISTS (SELECT 1 FROM consultation WHERE id = ?1)"
               " ON CONFLICT DO UPDATE SET status = excluded.status,"
               " rev = excluded.rev, updated_at = excluded.updated_at,"
               " context = coalesce(excluded.context, context)"
               " WHERE excluded.rev > rev"
               " AND excluded.conversation = conversation");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sq_bind_text(s, 2, op->conv->id);
    sqlite3_bind_int64(s, 3, op->seq);
    sq_bind_text(s, 4, op->type);
    sq_bind_json(st, s, 5, op->body);
    sqlite3_bind_int64(s, 6, op->at);
    sqlite3_bind_int(s, 7, op->on);

    return sq_run(st, s);
}


/* Pieces of other runs than that of the record. */
static store_rc_t
drop_parts(store_sqlite_t *st, const char *session, const char *run)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DROP_PARTS,
               "DELETE FROM session_part WHERE session = ?1 AND run <> ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, session);
    sq_bind_text(s, 2, run);

    return sq_run(st, s);
}


/* A later rev wins. */
static store_rc_t
put_session(store_sqlite_t *st, const store_op_t *op)
{
    const char           *run;
    sqlite3_stmt         *s;
    store_session_row_t   f;

    s = sq_get(st, SQ_PUT_SESSION,
               "INSERT INTO chat_session (" SESSION_COLUMNS ")"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
               " ?13) ON CONFLICT DO UPDATE SET rev = excluded.rev,"
               " status = excluded.status, end_seq = excluded.end_seq,"
               " end_at = excluded.end_at, updated_at = excluded.updated_at,"
               " document = excluded.document WHERE excluded.rev > rev");
    if (s == NULL) {
        return STORE_DOWN;
    }

    store_session_row(op->body, &f);

    sq_bind_text(s, 1, f.id);
    sqlite3_bind_int64(s, 2, f.rev);
    sq_bind_text(s, 3, f.conversation);
    sq_bind_text(s, 4, f.consultation);
    sq_bind_text(s, 5, f.type);
    sq_bind_text(s, 6, f.status);
    sqlite3_bind_int64(s, 7, f.start_seq);
    sq_bind_time(s, 8, f.end_seq);
    sqlite3_bind_int64(s, 9, f.start_at);
    sq_bind_time(s, 10, f.end_at);
    sqlite3_bind_int64(s, 11, f.created_at);
    sqlite3_bind_int64(s, 12, f.updated_at);
    sq_bind_json(st, s, 13, f.body);

    if (sq_run(st, s) != STORE_OK) {
        return STORE_DOWN;
    }

    run = store_session_run(f.body);

    return run && sqlite3_changes(st->db) > 0 ? drop_parts(st, f.id, run)
                                              : STORE_OK;
}


static store_rc_t
put_part(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    /* not when another run was faster */
    s = sq_get(st, SQ_PUT_PART,
               "INSERT INTO session_part (session, run, part, text)"
               " SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1"
               " FROM chat_session WHERE id = ?1 AND rev >= ?5)"
               " ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sq_bind_text(s, 2, op->name);
    sqlite3_bind_int64(s, 3, op->seq);
    sq_bind_text(s, 4, op->type);
    sqlite3_bind_int64(s, 5, op->at);

    return sq_run(st, s);
}


static store_rc_t
put_rating(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_PUT_RATING,
               "INSERT INTO session_rating (session, user, rating, comment,"
               " at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sq_bind_text(s, 2, op->user);
    sqlite3_bind_int64(s, 3, op->seq);
    sq_bind_text(s, 4, op->name);
    sqlite3_bind_int64(s, 5, op->at);

    return sq_run(st, s);
}


store_rc_t
sq_put_session(store_sqlite_t *st, const store_op_t *op)
{
    switch (op->kind) {

    case STORE_OP_CONSULT:
        return put_consult(st, op);

    case STORE_OP_SESSION:
        return put_session(st, op);

    case STORE_OP_PART:
        return put_part(st, op);

    default:
        return put_rating(st, op);
    }
}


static store_rc_t
ratings(store_sqlite_t *st, const char *session, json_t **out)
{
    int            step;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_RATINGS,
               "SELECT user, rating, comment, at FROM session_rating"
               " WHERE session = ?1 ORDER BY at, user");
    if (s == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();
    sq_bind_text(s, 1, session);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_append(*out, store_doc_rating(
                             (const char *) sqlite3_column_text(s, 0),
                             sqlite3_column_int64(s, 1),
                             (const char *) sqlite3_column_text(s, 2),
                             sqlite3_column_int64(s, 3)));
    }

    return sq_done(st, s, step);
}


/* A row of SESSION_COLUMNS; its document is not freed. */
static store_rc_t
read_row(store_sqlite_t *st, sqlite3_stmt *s, store_session_row_t *f)
{
    memset(f, 0, sizeof(*f));

    f->id = sq_text(st, s, 0);
    f->start_at = sq_time(s, 8);
    f->end_at = sq_time(s, 9);
    f->created_at = sq_time(s, 10);
    f->updated_at = sq_time(s, 11);

    return sq_json(st, s, 12, &f->body) == 0 ? STORE_OK : STORE_DOWN;
}


/* Gives the row's document back. */
static store_rc_t
row_doc(store_sqlite_t *st, store_session_row_t *f, json_t **out)
{
    json_t      *list;
    store_rc_t   rc;

    list = NULL;
    rc = ratings(st, f->id, &list);

    if (rc == STORE_OK) {
        *out = store_doc_session(f, list);

    } else {
        json_decref(list);
    }

    json_decref(f->body);

    return rc;
}


store_rc_t
store_sqlite_session(store_t *base, const char *id, json_t **out)
{
    int                   step;
    store_rc_t            rc;
    sqlite3_stmt         *s;
    store_sqlite_t       *st;
    store_session_row_t   f;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_SESSION, "SELECT " SESSION_COLUMNS
               " FROM chat_session WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);
    rc = step == SQLITE_ROW ? read_row(st, s, &f) : STORE_NOT_FOUND;

    if (sq_done(st, s, step) != STORE_OK) {
        if (rc == STORE_OK) {
            json_decref(f.body);
        }

        return STORE_DOWN;
    }

    return rc == STORE_OK ? row_doc(st, &f, out) : rc;
}


/* Which ones are asked for in several ways: not kept prepared. */
static sqlite3_stmt *
prepare(store_sqlite_t *st, const char *what, const store_sessions_t *q,
    const char *order)
{
    char           sql[1280];
    sqlite3_stmt  *s;

    snprintf(sql, sizeof(sql), "SELECT %s FROM chat_session WHERE 1"
             "%s%s%s%s%s%s%s", what,
             q->conversation ? " AND conversation = ?1" : "",
             q->consultation ? " AND consultation = ?2" : "",
             q->type ? " AND type = ?3" : "",
             q->status ? " AND status = ?4" : "",
             q->user ? " AND conversation IN (SELECT c.id FROM member m"
                       " JOIN conversation c ON c.n = m.conversation"
                       " WHERE m.user = ?5 AND m.left_at IS NULL"
                       " AND m.permissions & 1)" : "",
             q->to_seq ? " AND start_seq <= ?8"
                         " AND (end_seq IS NULL OR end_seq >= ?9)" : "",
             order);

    if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK) {
        sq_down(st, "prepare");
        return NULL;
    }

    sq_bind_text(s, 1, q->conversation);
    sq_bind_text(s, 2, q->consultation);
    sq_bind_text(s, 3, q->type);
    sq_bind_text(s, 4, q->status);
    sq_bind_text(s, 5, q->user);

    if (q->to_seq) {
        sqlite3_bind_int64(s, 8, q->to_seq);
        sqlite3_bind_int64(s, 9, q->from_seq);
    }

    return s;
}


static store_rc_t
list_docs(store_sqlite_t *st, const store_sessions_t *q, json_t *out)
{
    int                   step;
    size_t                i, n;
    json_t               *doc;
    store_rc_t            rc;
    sqlite3_stmt         *s;
    store_session_row_t  *rows;

    s = prepare(st, SESSION_COLUMNS, q,
                q->oldest ? " ORDER BY start_at, id LIMIT ?6 OFFSET ?7"
                          : " ORDER BY start_at DESC, id DESC"
                            " LIMIT ?6 OFFSET ?7");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int(s, 6, q->limit);
    sqlite3_bind_int64(s, 7, (int64_t) (q->page - 1) * q->limit);

    n = 0;
    rc = STORE_OK;
    rows = store_alloc(&st->base.arena,
                       (size_t) q->limit * sizeof(store_session_row_t));

    while (rc == STORE_OK && (step = sqlite3_step(s)) == SQLITE_ROW) {
        rc = read_row(st, s, &rows[n]);
        n += rc == STORE_OK;
    }

    if (rc == STORE_OK && step != SQLITE_DONE) {
        rc = sq_down(st, "list sessions");
    }

    sqlite3_finalize(s);

    for (i = 0; i < n; i++) {
        if (rc != STORE_OK) {
            json_decref(rows[i].body);
            continue;
        }

        rc = row_doc(st, &rows[i], &doc);

        if (rc == STORE_OK) {
            store_doc_append(out, doc);
        }
    }

    return rc;
}


store_rc_t
store_sqlite_sessions(store_t *base, const store_sessions_t *q,
    json_t **out, int64_t *total)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = prepare(st, "count(*)", q, "");
    if (s == NULL) {
        return STORE_DOWN;
    }

    step = sqlite3_step(s);
    *total = step == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);

    if (step != SQLITE_ROW) {
        return sq_down(st, "count sessions");
    }

    *out = json_array();

    return list_docs(st, q, *out);
}


store_rc_t
store_sqlite_session_part(store_t *base, const char *session,
    const char *run, int64_t part, json_t **out)
{
    int              step;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_PART, "SELECT text FROM session_part"
               " WHERE session = ?1 AND run = ?2 AND part = ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, session);
    sq_bind_text(s, 2, run);
    sqlite3_bind_int64(s, 3, part);

    step = sqlite3_step(s);
    rc = STORE_NOT_FOUND;

    if (step == SQLITE_ROW) {
        *out = store_doc_string((const char *) sqlite3_column_text(s, 0));
        rc = STORE_OK;
    }

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


store_rc_t
store_sqlite_consult(store_t *base, const char *id, json_t **out)
{
    int                   step;
    store_rc_t            rc;
    sqlite3_stmt         *s;
    store_sqlite_t       *st;
    store_consult_row_t   c;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_CONSULT, "SELECT " CONSULT_COLUMNS
               " FROM consultation WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);
    rc = STORE_NOT_FOUND;

    if (step == SQLITE_ROW) {
        memset(&c, 0, sizeof(c));
        c.id = sq_text(st, s, 0);
        c.conversation = sq_text(st, s, 1);
        c.from_seq = sqlite3_column_int64(s, 2);
        c.status = sq_text(st, s, 3);
        c.created_at = sq_time(s, 5);
        c.updated_at = sq_time(s, 6);
        rc = sq_json(st, s, 4, &c.context) == 0 ? STORE_OK : STORE_DOWN;

        if (rc == STORE_OK) {
            *out = store_doc_consult(&c);
        }
    }

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


store_rc_t
sq_spans(store_sqlite_t *st, int64_t conv, store_span_t **out, size_t *n)
{
    int            step;
    sqlite3_stmt  *s;

    *n = 0;

    s = sq_get(st, SQ_SPANS,
               "SELECT k.id, k.from_seq FROM conversation c"
               " JOIN consultation k ON k.conversation = c.id"
               " WHERE c.n = ?1 AND c.consultation_id IS NOT NULL"
               " ORDER BY k.from_seq DESC LIMIT ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);
    sqlite3_bind_int(s, 2, WRT_CONSULTS_MAX);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (*n == 0) {
            *out = store_alloc(&st->base.arena,
                               WRT_CONSULTS_MAX * sizeof(store_span_t));
        }

        (*out)[*n].id = sq_text(st, s, 0);
        (*out)[*n].from = sqlite3_column_int64(s, 1);
        (*n)++;
    }

    return sq_done(st, s, step);
}
