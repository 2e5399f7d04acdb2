/*
 * store_sqlite_read.c: conversations, members and users out of SQLite.  Each
 * call reads one snapshot (a deferred transaction), so that its parts fit
 * together.
 */

#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define CONV_COLUMNS  \
    "c.n, c.id, c.type, c.title, c.consultation_id, c.settings, c.context," \
    " c.created_by, c.created_at, c.updated_at, c.archived_at, c.seq," \
    " c.message_count, c.last_at, c.last_sender, c.last_type," \
    " c.last_content, c.consultation_status, c.session"
#define CONV_COLUMN_COUNT  19


static store_rc_t
conv_row(store_sqlite_t *st, sqlite3_stmt *s, store_conv_row_t *c)
{
    c->row = sqlite3_column_int64(s, 0);
    c->id = sq_text(st, s, 1);
    c->type = sq_text(st, s, 2);
    c->title = sq_text(st, s, 3);
    c->consultation = sq_text(st, s, 4);
    c->created_by = sq_text(st, s, 7);
    c->created_at = sq_time(s, 8);
    c->updated_at = sq_time(s, 9);
    c->archived_at = sq_time(s, 10);
    c->seq = sqlite3_column_int64(s, 11);
    c->message_count = sqlite3_column_int64(s, 12);
    c->last_at = sq_time(s, 13);
    c->last_sender = sq_text(st, s, 14);
    c->last_type = sq_text(st, s, 15);
    c->last_content = sq_text(st, s, 16);
    c->consult_status = sq_text(st, s, 17);
    c->session = sq_text(st, s, 18);
    c->unread = -1;

    if (sq_json(st, s, 5, &c->settings) != 0
        || sq_json(st, s, 6, &c->context) != 0)
    {
        return STORE_DOWN;
    }

    return STORE_OK;
}


static void
conv_row_free(store_conv_row_t *c)
{
    json_decref(c->settings);
    json_decref(c->context);
}


static store_rc_t
find_conv(store_sqlite_t *st, const char *id, store_conv_row_t *c)
{
    int            step;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_CONV, "SELECT " CONV_COLUMNS
               " FROM conversation c WHERE c.id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        rc = conv_row(st, s, c);

    } else {
        rc = step == SQLITE_DONE ? STORE_NOT_FOUND : STORE_DOWN;
    }

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


/* Members as documents, made by doc(). */
static store_rc_t
members(store_sqlite_t *st, sq_id_t id, const char *sql, int64_t conv,
    json_t *(*doc)(const store_member_row_t *), json_t **out)
{
    int                  step;
    sqlite3_stmt        *s;
    store_member_row_t   m;

    s = sq_get(st, id, sql);
    if (s == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();
    sqlite3_bind_int64(s, 1, conv);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        m.user = (const char *) sqlite3_column_text(s, 0);
        m.role = (const char *) sqlite3_column_text(s, 1);
        m.permissions = (unsigned) sqlite3_column_int(s, 2);
        m.joined_at = sq_time(s, 3);
        m.left_at = sq_time(s, 4);
        m.join_seq = sqlite3_column_int64(s, 5);
        m.read_seq = sqlite3_column_int64(s, 6);
        m.read_at = sq_time(s, 7);
        m.delivered_seq = sqlite3_column_int64(s, 8);
        m.delivered_at = sq_time(s, 9);
        m.name = (const char *) sqlite3_column_text(s, 10);
        m.avatar = (const char *) sqlite3_column_text(s, 11);
        m.user_role = (const char *) sqlite3_column_text(s, 12);
        m.blocked_by = (const char *) sqlite3_column_text(s, 13);

        store_doc_append(*out, doc(&m));
    }

    return sq_done(st, s, step);
}


static store_rc_t
participants(store_sqlite_t *st, int64_t conv, json_t **out)
{
    return members(st, SQ_MEMBERS,
                   "SELECT m.user, m.role, m.permissions, m.joined_at,"
                   " m.left_at, m.join_seq, m.read_seq, m.read_at,"
                   " m.delivered_seq, m.delivered_at, u.name, u.avatar,"
                   " u.role, m.blocked_by"
                   " FROM member m LEFT JOIN user u ON u.id = m.user"
                   " WHERE m.conversation = ?1 ORDER BY m.position, m.user",
                   conv, store_doc_participant, out);
}


/* Takes over the row. */
static store_rc_t
conv_doc(store_sqlite_t *st, store_conv_row_t *c, json_t **out)
{
    json_t  *list;

    list = NULL;

    if (participants(st, c->row, &list) != STORE_OK) {
        json_decref(list);
        conv_row_free(c);
        return STORE_DOWN;
    }

    *out = store_doc_conversation(c, list);

    return STORE_OK;
}


store_rc_t
store_sqlite_state(store_t *base, const char *id, json_t **out)
{
    json_t            *list;
    store_rc_t         rc;
    store_sqlite_t    *st;
    store_conv_row_t   c;

    st = (store_sqlite_t *) base;
    memset(&c, 0, sizeof(c));
    list = NULL;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    rc = find_conv(st, id, &c);

    if (rc == STORE_OK) {
        rc = members(st, SQ_STATE_MEMBERS,
                     "SELECT user, role, permissions, joined_at, left_at,"
                     " join_seq, read_seq, read_at, delivered_seq,"
                     " delivered_at, NULL, NULL, NULL, blocked_by"
                     " FROM member"
                     " WHERE conversation = ?1 AND left_at IS NULL"
                     " ORDER BY position, user",
                     c.row, store_doc_state_member, &list);
    }

    if (rc == STORE_OK) {
        *out = store_doc_state(&c, list);

    } else {
        json_decref(list);
    }

    conv_row_free(&c);

    return sq_end(st, rc);
}


store_rc_t
store_sqlite_user_rooms(store_t *base, const char *user, json_t **out)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_ROOMS,
               "SELECT c.id, m.join_seq FROM member m"
               " JOIN conversation c ON c.n = m.conversation"
               " WHERE m.user = ?1 AND m.left_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    *out = json_object();
    sq_bind_text(s, 1, user);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_set(*out, (const char *) sqlite3_column_text(s, 0),
                      json_integer(sqlite3_column_int64(s, 1)));
    }

    return sq_done(st, s, step);
}


/* A statement with one number as its answer. */
static store_rc_t
count(store_sqlite_t *st, sqlite3_stmt *s, int64_t *n)
{
    int  step;

    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        *n = sqlite3_column_int64(s, 0);
    }

    return sq_done(st, s, step);
}


static store_rc_t
unread(store_sqlite_t *st, int64_t conv, int64_t after, const char *user,
    int64_t *n)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_UNREAD,
               "SELECT count(*) FROM message INDEXED BY message_seq"
               " WHERE conversation = ?1 AND seq > ?2 AND sender <> ?3"
               " AND deleted_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);
    sqlite3_bind_int64(s, 2, after);
    sq_bind_text(s, 3, user);

    return count(st, s, n);
}


/* What is unread by a member; nothing is noted of somebody else. */
static store_rc_t
unread_of(store_sqlite_t *st, store_conv_row_t *c, const char *user)
{
    int            step;
    int64_t        after;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_UNREAD_FROM,
               "SELECT max(join_seq, read_seq) FROM member"
               " WHERE conversation = ?1 AND user = ?2 AND left_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, c->row);
    sq_bind_text(s, 2, user);

    after = -1;
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        after = sqlite3_column_int64(s, 0);
    }

    if (sq_done(st, s, step) != STORE_OK) {
        return STORE_DOWN;
    }

    return after < 0 ? STORE_OK : unread(st, c->row, after, user, &c->unread);
}


store_rc_t
store_sqlite_conversation(store_t *base, const char *id, const char *user,
    json_t **out)
{
    store_rc_t         rc;
    store_sqlite_t    *st;
    store_conv_row_t   c;

    st = (store_sqlite_t *) base;
    memset(&c, 0, sizeof(c));

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    rc = find_conv(st, id, &c);

    if (rc == STORE_OK && user) {
        rc = unread_of(st, &c, user);
    }

    if (rc == STORE_OK) {
        rc = conv_doc(st, &c, out);

    } else {
        conv_row_free(&c);
    }

    return sq_end(st, rc);
}


/* A room whose number is not above where he is has nothing to be counted. */
store_rc_t
store_sqlite_unread(store_t *base, const char *user, json_t **out)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_UNREAD_ALL,
               "SELECT c.id, (SELECT count(*)"
               " FROM message INDEXED BY message_seq"
               " WHERE conversation = c.n AND seq > max(m.join_seq,"
               " m.read_seq) AND sender <> ?1 AND deleted_at IS NULL)"
               " FROM member m JOIN conversation c ON c.n = m.conversation"
               " WHERE m.user = ?1 AND m.left_at IS NULL"
               " AND c.seq > max(m.join_seq, m.read_seq)"
               " ORDER BY c.activity_at DESC, c.id");
    if (s == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();
    sq_bind_text(s, 1, user);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (sqlite3_column_int64(s, 1) > 0) {
            store_doc_append(*out,
                store_doc_unread((const char *) sqlite3_column_text(s, 0),
                                 sqlite3_column_int64(s, 1)));
        }
    }

    return sq_done(st, s, step);
}


static void
bind_list(sqlite3_stmt *s, const store_list_t *q)
{
    sq_bind_text(s, 1, q->user);
    sqlite3_bind_int(s, 2, q->archived ? 1 : 0);
    sq_bind_text(s, 3, q->type);
}


#define LIST_FROM  \
    " FROM member m JOIN conversation c ON c.n = m.conversation" \
    " WHERE m.user = ?1 AND m.left_at IS NULL" \
    " AND (c.archived_at IS NOT NULL) = ?2" \
    " AND (?3 IS NULL OR c.type = ?3)"


static store_rc_t
list_rows(store_sqlite_t *st, const store_list_t *q, store_conv_row_t *rows,
    size_t *n)
{
    int            step;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_CONVS, "SELECT " CONV_COLUMNS
               ", max(m.join_seq, m.read_seq)" LIST_FROM
               " ORDER BY c.activity_at DESC, c.id LIMIT ?4 OFFSET ?5");
    if (s == NULL) {
        return STORE_DOWN;
    }

    bind_list(s, q);
    sqlite3_bind_int(s, 4, q->limit);
    sqlite3_bind_int64(s, 5, (int64_t) (q->page - 1) * q->limit);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (conv_row(st, s, &rows[*n]) != STORE_OK) {
            conv_row_free(&rows[*n]);
            sqlite3_reset(s);
            return STORE_DOWN;
        }

        /* until it is counted: the number above which messages count */
        rows[*n].unread = sqlite3_column_int64(s, CONV_COLUMN_COUNT);
        (*n)++;
    }

    return sq_done(st, s, step);
}


static store_rc_t
list_docs(store_sqlite_t *st, const store_list_t *q, json_t *out)
{
    size_t             i, n;
    json_t            *doc;
    store_rc_t         rc;
    store_conv_row_t  *rows;

    n = 0;
    rows = store_alloc(&st->base.arena,
                       (size_t) q->limit * sizeof(store_conv_row_t));

    rc = list_rows(st, q, rows, &n);

    for (i = 0; i < n; i++) {
        if (rc == STORE_OK) {
            rc = unread(st, rows[i].row, rows[i].unread, q->user,
                        &rows[i].unread);
        }

        if (rc != STORE_OK) {
            conv_row_free(&rows[i]);
            continue;
        }

        rc = conv_doc(st, &rows[i], &doc);

        if (rc == STORE_OK) {
            store_doc_append(out, doc);
        }
    }

    return rc;
}


store_rc_t
store_sqlite_conversations(store_t *base, const store_list_t *q,
    json_t **out, int64_t *total)
{
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    *out = json_array();
    s = sq_get(st, SQ_CONVS_TOTAL, "SELECT count(*)" LIST_FROM);
    rc = STORE_DOWN;

    if (s) {
        bind_list(s, q);
        rc = count(st, s, total);
    }

    if (rc == STORE_OK) {
        rc = list_docs(st, q, *out);
    }

    return sq_end(st, rc);
}


store_rc_t
store_sqlite_user(store_t *base, const char *id, json_t **out,
    int *managed)
{
    int              step;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_USER,
               "SELECT id, name, avatar, role, managed FROM user"
               " WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);
    rc = STORE_NOT_FOUND;

    if (step == SQLITE_ROW) {
        *out = store_doc_user((const char *) sqlite3_column_text(s, 0),
                              (const char *) sqlite3_column_text(s, 1),
                              (const char *) sqlite3_column_text(s, 2),
                              (const char *) sqlite3_column_text(s, 3));
        *managed = sqlite3_column_int(s, 4);
        rc = STORE_OK;
    }

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


store_rc_t
store_sqlite_ends(store_t *base, const char *after, int limit, json_t **out)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_ENDS,
               "SELECT id, seq FROM conversation WHERE id > ?1 ORDER BY id"
               " LIMIT ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, after);
    sqlite3_bind_int(s, 2, limit);

    *out = json_array();

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_append(*out, store_doc_end(sq_text(st, s, 0),
                                             sqlite3_column_int64(s, 1)));
    }

    return sq_done(st, s, step);
}
