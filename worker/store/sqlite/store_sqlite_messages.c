/*
 * store_sqlite_messages.c: messages out of SQLite: pages, one message, what
 * changed since.  Each call reads one snapshot.
 */

#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define MSG_COLUMNS  \
    "SELECT m.id, m.seq, m.change_seq, m.sender, u.name, u.avatar, m.type," \
    " m.content, m.client_message_id, m.reply_to, m.reactions," \
    " m.created_at, m.updated_at, m.edited_at, m.deleted_at," \
    " m.deleted_by, p.id, p.sender, v.name, v.avatar, p.type, p.content," \
    " p.deleted_at, m.n" \
    " FROM message m LEFT JOIN user u ON u.id = m.sender" \
    " LEFT JOIN message p ON p.id = m.reply_to" \
    " AND p.conversation = m.conversation" \
    " LEFT JOIN user v ON v.id = p.sender"


static store_rc_t
msg_row(store_sqlite_t *st, sqlite3_stmt *s, const char *conversation,
    store_msg_row_t *m)
{
    m->conversation = conversation;
    m->id = sq_text(st, s, 0);
    m->seq = sqlite3_column_int64(s, 1);
    m->change_seq = sqlite3_column_int64(s, 2);
    m->sender = sq_text(st, s, 3);
    m->name = sq_text(st, s, 4);
    m->avatar = sq_text(st, s, 5);
    m->type = sq_text(st, s, 6);
    m->client_id = sq_text(st, s, 8);
    m->reply_to = sq_text(st, s, 9);
    m->created_at = sq_time(s, 11);
    m->updated_at = sq_time(s, 12);
    m->edited_at = sq_time(s, 13);
    m->deleted_at = sq_time(s, 14);
    m->deleted_by = sq_text(st, s, 15);
    m->parent.id = sq_text(st, s, 16);
    m->parent.sender = sq_text(st, s, 17);
    m->parent.name = sq_text(st, s, 18);
    m->parent.avatar = sq_text(st, s, 19);
    m->parent.type = sq_text(st, s, 20);
    m->parent.deleted_at = sq_time(s, 22);
    m->row = sqlite3_column_int64(s, 23);

    if (sq_json(st, s, 7, &m->content) != 0
        || sq_json(st, s, 10, &m->reactions) != 0
        || sq_json(st, s, 21, &m->parent.content) != 0)
    {
        return STORE_DOWN;
    }

    return STORE_OK;
}


/* At most max rows of a bound statement. */
static store_rc_t
msg_rows(store_sqlite_t *st, sqlite3_stmt *s, const char *conversation,
    store_msg_row_t *rows, size_t max, size_t *n)
{
    int  step;

    step = SQLITE_DONE;

    while (*n < max && (step = sqlite3_step(s)) == SQLITE_ROW) {
        (*n)++;

        if (msg_row(st, s, conversation, &rows[*n - 1]) != STORE_OK) {
            sqlite3_reset(s);
            return STORE_DOWN;
        }
    }

    return sq_done(st, s, step);
}


static void
msg_rows_free(store_msg_row_t *rows, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        store_doc_drop_message(&rows[i]);
    }
}


/* A reader's moves from the last one needed for lo on, to the first one that
 * reaches hi. */
static store_rc_t
reader_moves(store_sqlite_t *st, int64_t conv, store_reader_t *r, int64_t lo,
    int64_t hi)
{
    int            step;
    size_t         max;
    store_move_t  *grown;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_MOVES,
               "SELECT seq, at FROM cursor_move WHERE conversation = ?1"
               " AND user = ?2 AND kind = 'r' AND seq >= ?3 ORDER BY seq");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);
    sq_bind_text(s, 2, r->user);
    sqlite3_bind_int64(s, 3, lo);

    max = 0;

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (r->nmoves == max) {
            max = max ? max * 2 : 4;
            grown = store_alloc(&st->base.arena, max * sizeof(store_move_t));
            if (r->nmoves) {
                memcpy(grown, r->moves, r->nmoves * sizeof(store_move_t));
            }
            r->moves = grown;
        }

        r->moves[r->nmoves].seq = sqlite3_column_int64(s, 0);
        r->moves[r->nmoves].at = sqlite3_column_int64(s, 1);

        if (r->moves[r->nmoves++].seq >= hi) {
            break;
        }
    }

    return sq_done(st, s, step);
}


static store_rc_t
readers(store_sqlite_t *st, int64_t conv, int64_t lo, int64_t hi,
    store_reader_t **out, size_t *n)
{
    int              step;
    size_t           i, max;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_reader_t  *list, *grown;

    s = sq_get(st, SQ_READERS,
               "SELECT user, delivered_seq FROM member"
               " WHERE conversation = ?1 AND delivered_seq >= ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);
    sqlite3_bind_int64(s, 2, lo);

    *n = 0;
    max = 8;
    list = store_alloc(&st->base.arena, max * sizeof(store_reader_t));

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (*n == max) {
            grown = store_alloc(&st->base.arena,
                                2 * max * sizeof(store_reader_t));
            memcpy(grown, list, max * sizeof(store_reader_t));
            list = grown;
            max *= 2;
        }

        list[*n].user = sq_text(st, s, 0);
        list[*n].delivered_seq = sqlite3_column_int64(s, 1);
        (*n)++;
    }

    rc = sq_done(st, s, step);

    for (i = 0; rc == STORE_OK && i < *n; i++) {
        rc = reader_moves(st, conv, &list[i], lo, hi);
    }

    *out = list;

    return rc;
}


/* Rows -> documents; takes over the rows. */
static store_rc_t
msg_docs(store_sqlite_t *st, int64_t conv, store_msg_row_t *rows, size_t n,
    unsigned with, json_t **out)
{
    size_t         i;
    int64_t        lo, hi;
    store_rc_t     rc;
    store_docs_t   d;

    lo = INT64_MAX;
    hi = 0;

    for (i = 0; i < n; i++) {
        lo = rows[i].seq < lo ? rows[i].seq : lo;
        hi = rows[i].seq > hi ? rows[i].seq : hi;
    }

    memset(&d, 0, sizeof(d));
    rc = n && !(with & STORE_NO_RECEIPTS)
         ? readers(st, conv, lo, hi, &d.readers, &d.nreaders) : STORE_OK;

    if (rc == STORE_OK && n) {
        rc = sq_spans(st, conv, &d.spans, &d.nspans);
    }

    if (rc != STORE_OK) {
        msg_rows_free(rows, n);
        return rc;
    }

    *out = store_doc_messages(rows, n, &d, with);

    return STORE_OK;
}


/*
 * The number before which all messages are older than that, and none after it
 * is: times go up with the numbers, and only these have an index.  upto: the
 * room's last number.
 */
static store_rc_t
number_at(store_sqlite_t *st, int64_t conv, int64_t upto, int64_t ms,
    int64_t *before)
{
    int            step;
    int64_t        lo, hi, mid;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_NUMBER_AT,
               "SELECT seq, created_at FROM message"
               " WHERE conversation = ?1 AND seq >= ?2 AND seq < ?3"
               " ORDER BY seq LIMIT 1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    for (lo = 0, hi = upto + 1; lo < hi; ) {
        mid = lo + (hi - lo) / 2;

        sqlite3_bind_int64(s, 1, conv);
        sqlite3_bind_int64(s, 2, mid);
        sqlite3_bind_int64(s, 3, hi);
        step = sqlite3_step(s);

        if (step == SQLITE_ROW && sqlite3_column_int64(s, 1) < ms) {
            lo = sqlite3_column_int64(s, 0) + 1;

        } else {
            hi = mid;
        }

        if (sq_done(st, s, step) != STORE_OK) {
            return STORE_DOWN;
        }
    }

    *before = lo;

    return STORE_OK;
}


/* ?1 conversation, ?2 before, ?3 limit, ?4 offset, ?5 thread, ?6 after */
static sqlite3_stmt *
page_statement(store_sqlite_t *st, const store_page_t *q, int64_t before)
{
    static const struct {
        sq_id_t      id;
        const char  *sql;
    } sql[] = {
        { SQ_PAGE, MSG_COLUMNS " WHERE m.conversation = ?1 AND m.seq < ?2"
          " ORDER BY m.seq DESC LIMIT ?3 OFFSET ?4" },
        { SQ_PAGE_AFTER, MSG_COLUMNS " WHERE m.conversation = ?1"
          " AND m.seq > ?6 AND m.seq < ?2"
          " ORDER BY m.seq LIMIT ?3 OFFSET ?4" },
        { SQ_THREAD, MSG_COLUMNS " WHERE m.conversation = ?1"
          " AND m.seq < ?2 AND m.reply_to = ?5"
          " ORDER BY m.seq DESC LIMIT ?3 OFFSET ?4" },
        { SQ_THREAD_AFTER, MSG_COLUMNS " WHERE m.conversation = ?1"
          " AND m.seq > ?6 AND m.seq < ?2 AND m.reply_to = ?5"
          " ORDER BY m.seq LIMIT ?3 OFFSET ?4" }
    };

    int            i;
    sqlite3_stmt  *s;

    i = (q->after_seq >= 0 ? 1 : 0) + (q->thread_of ? 2 : 0);

    s = sq_get(st, sql[i].id, sql[i].sql);
    if (s == NULL) {
        return NULL;
    }

    sqlite3_bind_int64(s, 2, before);
    sqlite3_bind_int64(s, 3, (int64_t) q->limit + 1);
    sqlite3_bind_int64(s, 4, (int64_t) (q->page - 1) * q->limit);

    if (q->thread_of) {
        sq_bind_text(s, 5, q->thread_of);
    }

    if (q->after_seq >= 0) {
        sqlite3_bind_int64(s, 6, q->after_seq);
    }

    return s;
}


static void
reverse(store_msg_row_t *rows, size_t n)
{
    size_t           i;
    store_msg_row_t  t;

    for (i = 0; i < n / 2; i++) {
        t = rows[i];
        rows[i] = rows[n - 1 - i];
        rows[n - 1 - i] = t;
    }
}


/* One row more than the page tells whether there are more. */
static store_rc_t
page(store_sqlite_t *st, const store_page_t *q, json_t **out, int *more)
{
    size_t            n, max;
    int64_t           conv, seq, before;
    store_rc_t        rc;
    sqlite3_stmt     *s;
    store_msg_row_t  *rows;

    rc = sq_find_conv(st, q->conversation, &conv, &seq);
    if (rc != STORE_OK) {
        return rc;
    }

    before = INT64_MAX;

    if (q->before_ms >= 0
        && number_at(st, conv, seq, q->before_ms, &before) != STORE_OK)
    {
        return STORE_DOWN;
    }

    if (q->before_seq >= 0 && q->before_seq < before) {
        before = q->before_seq;
    }

    s = page_statement(st, q, before);
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);

    n = 0;
    max = (size_t) q->limit + 1;
    rows = store_alloc(&st->base.arena, max * sizeof(store_msg_row_t));

    rc = msg_rows(st, s, q->conversation, rows, max, &n);
    if (rc != STORE_OK) {
        msg_rows_free(rows, n);
        return rc;
    }

    if (n == max) {
        *more = 1;
        n--;
        msg_rows_free(&rows[n], 1);
    }

    if (q->after_seq >= 0) {
        reverse(rows, n);
    }

    return msg_docs(st, conv, rows, n, 0, out);
}


store_rc_t
store_sqlite_messages(store_t *base, const store_page_t *q, json_t **out,
    int *more)
{
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    return sq_end(st, page(st, q, out, more));
}


/* What a message said before its edits, oldest first. */
static store_rc_t
history(store_sqlite_t *st, store_msg_row_t *m)
{
    int            step;
    json_t        *e;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_HISTORY,
               "SELECT edited_at, previous, edited_by, seq FROM message_edit"
               " WHERE message = ?1 ORDER BY seq");
    if (s == NULL) {
        return STORE_DOWN;
    }

    m->history = json_array();
    sqlite3_bind_int64(s, 1, m->row);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        e = json_object();
        store_doc_set(e, "editedAt", json_integer(sq_time(s, 0)));
        store_doc_set(e, "previousContent",
                      store_doc_string(sq_text(st, s, 1)));
        store_doc_set(e, "editedBy", store_doc_string(sq_text(st, s, 2)));
        store_doc_set(e, "seq", json_integer(sqlite3_column_int64(s, 3)));
        store_doc_append(m->history, e);
    }

    return sq_done(st, s, step);
}


store_rc_t
sq_again(store_sqlite_t *st, const store_op_t *op, int *again)
{
    size_t           n;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_msg_row_t  row;

    s = sq_get(st, SQ_ONCE, MSG_COLUMNS
               " WHERE m.conversation = ?1 AND m.sender = ?2"
               " AND m.client_message_id = ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, op->conv->row);
    sq_bind_text(s, 2, op->sender);
    sq_bind_text(s, 3, op->client_id);

    n = 0;
    memset(&row, 0, sizeof(row));

    rc = msg_rows(st, s, op->conv->id, &row, 1, &n);

    if (rc == STORE_OK && n) {
        rc = history(st, &row);
    }

    if (rc == STORE_OK && n) {
        *again = store_plan_again(op, &row);
    }

    msg_rows_free(&row, n);

    return rc == STORE_OK && n == 0 ? STORE_NOT_FOUND : rc;
}


/* By its id; user: by his clientMessageId. */
static store_rc_t
one_message(store_sqlite_t *st, const char *conversation, const char *user,
    const char *id, unsigned with, json_t **out)
{
    size_t           n;
    json_t          *list;
    int64_t          conv, seq;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_msg_row_t  row;

    rc = sq_find_conv(st, conversation, &conv, &seq);
    if (rc != STORE_OK) {
        return rc;
    }

    s = user ? sq_get(st, SQ_MESSAGE_SENT, MSG_COLUMNS
                      " WHERE m.client_message_id = ?1"
                      " AND m.conversation = ?2 AND m.sender = ?3")
             : sq_get(st, SQ_MESSAGE, MSG_COLUMNS
                      " WHERE m.id = ?1 AND m.conversation = ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    sqlite3_bind_int64(s, 2, conv);

    if (user) {
        sq_bind_text(s, 3, user);
    }

    n = 0;
    memset(&row, 0, sizeof(row));

    rc = msg_rows(st, s, conversation, &row, 1, &n);

    if (rc == STORE_OK && n && (with & STORE_WITH_HISTORY)) {
        rc = history(st, &row);
    }

    if (rc != STORE_OK || n == 0) {
        msg_rows_free(&row, n);
        return rc != STORE_OK ? rc : STORE_NOT_FOUND;
    }

    rc = msg_docs(st, conv, &row, 1, with, &list);

    if (rc == STORE_OK) {
        *out = json_incref(json_array_get(list, 0));
        json_decref(list);
    }

    return rc;
}


store_rc_t
sq_message_doc(store_sqlite_t *st, int64_t conv, const char *conversation,
    int64_t row, json_t **out)
{
    size_t           n;
    json_t          *list;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_msg_row_t  m;

    s = sq_get(st, SQ_SEARCH_MESSAGE, MSG_COLUMNS " WHERE m.n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, row);

    n = 0;
    memset(&m, 0, sizeof(m));

    rc = msg_rows(st, s, conversation, &m, 1, &n);

    if (rc != STORE_OK || n == 0) {
        msg_rows_free(&m, n);
        return rc != STORE_OK ? rc : STORE_NOT_FOUND;
    }

    rc = msg_docs(st, conv, &m, 1, 0, &list);

    if (rc == STORE_OK) {
        *out = json_incref(json_array_get(list, 0));
        json_decref(list);
    }

    return rc;
}


store_rc_t
store_sqlite_message(store_t *base, const char *conversation, const char *id,
    unsigned with, json_t **out)
{
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    return sq_end(st, one_message(st, conversation, NULL, id, with, out));
}


store_rc_t
store_sqlite_message_sent(store_t *base, const char *conversation,
    const char *user, const char *client_id, json_t **out)
{
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    return sq_end(st, one_message(st, conversation, user, client_id, 0, out));
}


static store_rc_t
changes(store_sqlite_t *st, const char *conversation, int64_t after, int max,
    json_t **out, int64_t *upto)
{
    size_t            n;
    int64_t           conv;
    store_rc_t        rc;
    sqlite3_stmt     *s;
    store_msg_row_t  *rows;

    rc = sq_find_conv(st, conversation, &conv, upto);
    if (rc != STORE_OK) {
        return rc;
    }

    /* new ones, and those changed after their creation: both by index */

    s = sq_get(st, SQ_CHANGES, "SELECT * FROM (SELECT * FROM ("
               MSG_COLUMNS " WHERE m.conversation = ?1 AND m.seq > ?2"
               " AND m.change_seq = m.seq ORDER BY m.seq LIMIT ?3)"
               " UNION ALL SELECT * FROM ("
               MSG_COLUMNS " WHERE m.conversation = ?1"
               " AND m.change_seq > m.seq AND m.change_seq > ?2"
               " ORDER BY m.change_seq LIMIT ?3))"
               " ORDER BY change_seq LIMIT ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, conv);
    sqlite3_bind_int64(s, 2, after);
    sqlite3_bind_int64(s, 3, (int64_t) max + 1);

    n = 0;
    rows = store_alloc(&st->base.arena,
                       ((size_t) max + 1) * sizeof(store_msg_row_t));

    rc = msg_rows(st, s, conversation, rows, (size_t) max + 1, &n);

    if (rc == STORE_OK && n > (size_t) max) {
        rc = STORE_TOO_MANY;
    }

    if (rc != STORE_OK) {
        msg_rows_free(rows, n);
        return rc;
    }

    return msg_docs(st, conv, rows, n, STORE_WITH_CHANGE | STORE_NO_RECEIPTS,
                    out);
}


store_rc_t
store_sqlite_changes(store_t *base, const char *conversation, int64_t after,
    int max, json_t **out, int64_t *upto)
{
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    return sq_end(st, changes(st, conversation, after, max, out, upto));
}
