/*
 * store_sqlite_apply.c: a batch of events into SQLite, in one transaction.
 */

#include "worker/store/sqlite/store_sqlite.h"


static store_rc_t
load_cursor(store_sqlite_t *st, store_member_t *m)
{
    int            rc;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_FIND_CURSOR,
               "SELECT read_seq, delivered_seq FROM member"
               " WHERE conversation = ?1 AND user = ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, m->conv->row);
    sq_bind_text(s, 2, m->user);
    rc = sqlite3_step(s);

    if (rc == SQLITE_ROW) {
        m->exists = 1;
        m->read_seq = sqlite3_column_int64(s, 0);
        m->delivered_seq = sqlite3_column_int64(s, 1);

    } else if (rc != SQLITE_DONE) {
        sq_down(st, "find cursor");
    }

    sqlite3_reset(s);

    return rc == SQLITE_ROW || rc == SQLITE_DONE ? STORE_OK : STORE_DOWN;
}


static store_rc_t
load(store_sqlite_t *st, store_plan_t *p)
{
    size_t      i;
    store_rc_t  rc;

    rc = STORE_OK;

    for (i = 0; rc == STORE_OK && i < p->nconvs; i++) {
        rc = sq_find_conv(st, p->convs[i]->id, &p->convs[i]->row,
                          &p->convs[i]->stored_seq);

        if (rc == STORE_NOT_FOUND) {
            rc = STORE_OK;
        }

        store_worked(&st->base);
    }

    for (i = 0; rc == STORE_OK && i < p->nmembers; i++) {
        if (p->members[i]->conv->stored_seq >= 0) {
            rc = load_cursor(st, p->members[i]);
        }
    }

    return rc;
}


static store_rc_t
add_members(store_sqlite_t *st, const store_op_t *op)
{
    int                   i;
    store_rc_t            rc;
    sqlite3_stmt         *s;
    store_participant_t   who;

    s = sq_get(st, SQ_ADD_MEMBER,
               "INSERT INTO member (conversation, user, role, permissions,"
               " position, joined_at, join_seq)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    rc = STORE_OK;

    for (i = 0; rc == STORE_OK
                && store_plan_participant(op, (size_t) i, &who) == 0; i++)
    {
        sqlite3_bind_int64(s, 1, op->conv->row);
        sq_bind_text(s, 2, who.user);
        sq_bind_text(s, 3, who.role);
        sqlite3_bind_int(s, 4, (int) who.permissions);
        sqlite3_bind_int(s, 5, i);
        sqlite3_bind_int64(s, 6, who.joined_at);

        rc = sq_run(st, s);
    }

    return rc;
}


static store_rc_t
add_conversation(store_sqlite_t *st, const store_op_t *op)
{
    json_t        *settings;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_ADD_CONV,
               "INSERT INTO conversation (id, type, title, consultation_id,"
               " settings, context, created_by, created_at, updated_at,"
               " activity_at, seq, message_count, consultation_status)"
               " VALUES (?1, ?2, ?3, ?4, coalesce(?5, '{}'), ?6, ?7, ?8, ?8,"
               " ?8, 0, 0, iif(?4 IS NULL, NULL, 'confirmed'))");
    if (s == NULL) {
        return STORE_DOWN;
    }

    settings = json_object_get(op->body, "settings");

    sq_bind_text(s, 1, op->conv->id);
    sq_bind_text(s, 2, op->type);
    sq_bind_text(s, 3, json_string_value(json_object_get(op->body, "title")));
    sq_bind_text(s, 4, json_string_value(json_object_get(op->body,
                                                         "consultationId")));
    sq_bind_json(st, s, 5, settings);
    sq_bind_json(st, s, 6, json_object_get(op->body, "context"));
    sq_bind_text(s, 7, op->user);
    sqlite3_bind_int64(s, 8, op->at);

    if (sq_run(st, s) != STORE_OK) {
        return STORE_DOWN;
    }

    op->conv->row = sqlite3_last_insert_rowid(st->db);

    return add_members(st, op);
}


/* op->stored = 1, unless its id, its number or the sender's clientMessageId is
 * used. */
static store_rc_t
insert_message(store_sqlite_t *st, store_op_t *op, int64_t row)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_ADD_MESSAGE,
               "INSERT INTO message (conversation, seq, change_seq, id,"
               " sender, type, content, client_message_id, reply_to,"
               " device_info, ip_address, created_at, updated_at, n)"
               " VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
               " ?11, ?12) ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, op->conv->row);
    sqlite3_bind_int64(s, 2, op->seq);
    sq_bind_text(s, 3, op->id);
    sq_bind_text(s, 4, op->sender);
    sq_bind_text(s, 5, op->type);
    sq_bind_json(st, s, 6, op->content);
    sq_bind_text(s, 7, op->client_id);
    sq_bind_text(s, 8, op->reply_to);
    sq_bind_text(s, 9, op->device);
    sq_bind_text(s, 10, op->ip);
    sqlite3_bind_int64(s, 11, op->at);
    sqlite3_bind_int64(s, 12, row);

    if (sq_run(st, s) != STORE_OK) {
        return STORE_DOWN;
    }

    op->stored = sqlite3_changes(st->db) != 0;

    return STORE_OK;
}


/* What is a repeat is left out; its number stays used. */
static store_rc_t
add_message(store_sqlite_t *st, store_op_t *op)
{
    int         again;
    int64_t     row;
    store_rc_t  rc;

    if (sq_new_key(st, op->at, &row) != STORE_OK
        || insert_message(st, op, row) != STORE_OK)
    {
        return STORE_DOWN;
    }

    if (!op->stored && op->client_id) {
        again = 0;
        rc = sq_again(st, op, &again);

        /* another message under a clientMessageId that is used */

        if (rc == STORE_OK && !again) {
            op->client_id = NULL;
            rc = insert_message(st, op, row);
        }

        if (rc == STORE_DOWN) {
            return rc;
        }
    }

    if (!op->stored) {
        return STORE_OK;
    }

    return sq_index(st, op->conv->row, row, NULL, op->content);
}


static store_rc_t
join(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_JOIN,
               "INSERT INTO member (conversation, user, role, permissions,"
               " position, joined_at, join_seq)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
               " ON CONFLICT DO UPDATE SET role = excluded.role,"
               " permissions = excluded.permissions, blocked_by = NULL,"
               " joined_at = excluded.joined_at,"
               " join_seq = excluded.join_seq, left_at = NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, op->conv->row);
    sq_bind_text(s, 2, op->user);
    sq_bind_text(s, 3, op->role);
    sqlite3_bind_int(s, 4, (int) op->permissions);
    sqlite3_bind_int64(s, 5, STORE_POSITION_JOINED + op->seq);
    sqlite3_bind_int64(s, 6, op->at);
    sqlite3_bind_int64(s, 7, op->seq);

    return sq_run(st, s);
}


static store_rc_t
leave(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_LEAVE,
               "UPDATE member SET left_at = ?3"
               " WHERE conversation = ?1 AND user = ?2 AND left_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, op->conv->row);
    sq_bind_text(s, 2, op->user);
    sqlite3_bind_int64(s, 3, op->at);

    return sq_run(st, s);
}


static store_rc_t
add_move(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_ADD_MOVE,
               "INSERT INTO cursor_move (conversation, user, kind, seq, at)"
               " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, op->conv->row);
    sq_bind_text(s, 2, op->user);
    sqlite3_bind_text(s, 3, &op->cursor, 1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, op->seq);
    sqlite3_bind_int64(s, 5, op->at);

    return sq_run(st, s);
}


static store_rc_t
set_user(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_SET_USER,
               "INSERT INTO user (id, name, avatar, role, managed)"
               " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
               " name = excluded.name, avatar = excluded.avatar,"
               " role = excluded.role, managed = excluded.managed"
               " WHERE excluded.managed OR NOT managed");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->user);
    sq_bind_text(s, 2, op->name);
    sq_bind_text(s, 3, op->avatar);
    sq_bind_text(s, 4, op->role);
    sqlite3_bind_int(s, 5, op->on);

    return sq_run(st, s);
}


static store_rc_t
block(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_BLOCK,
               "UPDATE member SET blocked_by = ?3"
               " WHERE conversation = ?1 AND user = ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, op->conv->row);
    sq_bind_text(s, 2, op->user);
    sq_bind_text(s, 3, op->by);

    return sq_run(st, s);
}


static store_rc_t
write_op(store_sqlite_t *st, store_op_t *op)
{
    store_rc_t  rc;

    switch (op->kind) {

    case STORE_OP_CREATE:
        return add_conversation(st, op);

    case STORE_OP_MESSAGE:
        rc = add_message(st, op);

        if (rc == STORE_OK && op->member == WRT_EV_JOIN) {
            rc = join(st, op);

        } else if (rc == STORE_OK && op->member == WRT_EV_LEAVE) {
            rc = leave(st, op);
        }

        return rc;

    case STORE_OP_EDIT:
    case STORE_OP_DELETE:
    case STORE_OP_REACT:
        return sq_change(st, op);

    case STORE_OP_BLOCK:
        return block(st, op);

    case STORE_OP_MOVE:
        return add_move(st, op);

    case STORE_OP_FILE:
        return sq_put_file(st, op);

    case STORE_OP_ACCESS:
        return sq_count_access(st, op);

    case STORE_OP_PUBLIC:
        return sq_set_public(st, op);

    case STORE_OP_GIVE_UP:
        return sq_give_up_file(st, op);

    case STORE_OP_DEVICE:
    case STORE_OP_DEVICE_GONE:
    case STORE_OP_QUIET:
    case STORE_OP_MUTE:
    case STORE_OP_NO_PUSH:
        return sq_write_device(st, op);

    case STORE_OP_AUDIT:
    case STORE_OP_HOLD:
    case STORE_OP_RELEASE:
    case STORE_OP_EXPIRE:
    case STORE_OP_ERASE:
    case STORE_OP_SCRUB:
    case STORE_OP_FORGET:
    case STORE_OP_ERASED:
        return sq_write_life(st, op);

    case STORE_OP_CONSULT:
    case STORE_OP_SESSION:
    case STORE_OP_PART:
    case STORE_OP_RATE:
        return sq_put_session(st, op);

    case STORE_OP_PROFILE:
    default:
        return set_user(st, op);
    }
}


/* Where a member's cursors stand after the batch. */
static store_rc_t
set_cursor(store_sqlite_t *st, const store_member_t *m)
{
    sqlite3_stmt  *s;

    if (!m->delivered_moved && !m->read_moved) {
        return STORE_OK;
    }

    s = sq_get(st, SQ_SET_CURSOR,
               "UPDATE member SET read_seq = ?3,"
               " read_at = coalesce(?4, read_at), delivered_seq = ?5,"
               " delivered_at = coalesce(?6, delivered_at)"
               " WHERE conversation = ?1 AND user = ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, m->conv->row);
    sq_bind_text(s, 2, m->user);
    sqlite3_bind_int64(s, 3, m->read_seq);
    sq_bind_time(s, 4, m->read_at);
    sqlite3_bind_int64(s, 5, m->delivered_seq);
    sq_bind_time(s, 6, m->delivered_at);

    return sq_run(st, s);
}


store_rc_t
sq_find_last(store_sqlite_t *st, store_conv_t *c)
{
    int            step;
    json_t        *content;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_FIND_LAST,
               "SELECT sender, type, content, created_at"
               " FROM message INDEXED BY message_seq"
               " WHERE conversation = ?1 AND deleted_at IS NULL"
               " ORDER BY seq DESC LIMIT 1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    c->last_moved = 1;
    c->last.at = STORE_NO_TIME;
    content = NULL;

    sqlite3_bind_int64(s, 1, c->row);
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        if (sq_json(st, s, 2, &content) != 0) {
            sqlite3_reset(s);
            return STORE_DOWN;
        }

        store_plan_last(c, NULL, sq_text(st, s, 0), sq_text(st, s, 1),
                        content, sqlite3_column_int64(s, 3));
        c->last.text = store_strndup(&st->base.arena, c->last.text,
                                     c->last.n);
        json_decref(content);
    }

    return sq_done(st, s, step);
}


/* What conversation_updated says. */
static store_rc_t
set_settings(store_sqlite_t *st, const store_conv_t *c)
{
    sqlite3_stmt  *s;

    if (c->title == NULL && c->settings == NULL && !c->archive
        && c->consultation == NULL && !c->session_set)
    {
        return STORE_OK;
    }

    s = sq_get(st, SQ_SET_SETTINGS,
               "UPDATE conversation SET title = iif(?2, ?3, title),"
               " settings = coalesce(?4, settings),"
               " archived_at = iif(?5, ?6, archived_at),"
               " consultation_id = coalesce(?7, consultation_id),"
               " consultation_status = coalesce(?8, consultation_status),"
               " context = coalesce(?9, context),"
               " session = iif(?10, ?11, session) WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, c->row);
    sqlite3_bind_int(s, 2, c->title != NULL);
    sq_bind_text(s, 3, json_string_value(c->title));
    sq_bind_json(st, s, 4, c->settings);
    sqlite3_bind_int(s, 5, c->archive);
    sq_bind_time(s, 6, c->archived_at);
    sq_bind_text(s, 7, c->consultation ? c->consultation->id : NULL);
    sq_bind_text(s, 8, c->consultation ? c->consultation->type : NULL);
    sq_bind_json(st, s, 9, c->context);
    sqlite3_bind_int(s, 10, c->session_set);
    sq_bind_text(s, 11, c->session);

    return sq_run(st, s);
}


/* Only the number and the time of the last change. */
static store_rc_t
set_seq(store_sqlite_t *st, const store_conv_t *c)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_SET_SEQ,
               "UPDATE conversation SET seq = ?2,"
               " updated_at = max(updated_at, ?3) WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, c->row);
    sqlite3_bind_int64(s, 2, c->seq);
    sqlite3_bind_int64(s, 3, c->changed_at);

    return sq_run(st, s);
}


/* A conversation's summary: its last message and how many there are. */
static store_rc_t
set_conv(store_sqlite_t *st, const store_conv_t *c)
{
    int64_t        at;
    sqlite3_stmt  *s;

    if (c->seq == c->stored_seq || c->seq <= 0) {
        return STORE_OK;
    }

    if (set_settings(st, c) != STORE_OK) {
        return STORE_DOWN;
    }

    if (!c->last_moved) {
        return set_seq(st, c);
    }

    s = sq_get(st, SQ_SET_CONV,
               "UPDATE conversation SET seq = ?2,"
               " message_count = message_count + ?3, last_at = ?4,"
               " activity_at = coalesce(?4, created_at),"
               " updated_at = max(updated_at, ?8),"
               " last_sender = ?5, last_type = ?6, last_content = ?7"
               " WHERE n = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    at = c->last.at > c->changed_at ? c->last.at : c->changed_at;

    sqlite3_bind_int64(s, 1, c->row);
    sqlite3_bind_int64(s, 2, c->seq);
    sqlite3_bind_int64(s, 3, c->added);
    sq_bind_time(s, 4, c->last.at);
    sq_bind_text(s, 5, c->last.sender);
    sq_bind_text(s, 6, c->last.type);
    sqlite3_bind_text(s, 7, c->last.text, (int) c->last.n, SQLITE_STATIC);
    sqlite3_bind_int64(s, 8, at);

    return sq_run(st, s);
}


static store_rc_t
write_plan(store_sqlite_t *st, store_plan_t *p)
{
    size_t      i;
    store_rc_t  rc;

    rc = STORE_OK;

    for (i = 0; rc == STORE_OK && i < p->nops; i++) {
        rc = write_op(st, &p->ops[i]);
        store_worked(&st->base);
    }

    store_plan_sum(p);

    for (i = 0; rc == STORE_OK && i < p->nmembers; i++) {
        rc = set_cursor(st, p->members[i]);
        store_worked(&st->base);
    }

    for (i = 0; rc == STORE_OK && i < p->nconvs; i++) {
        if (p->convs[i]->edited) {
            rc = sq_find_last(st, p->convs[i]);
        }

        if (rc == STORE_OK) {
            rc = set_conv(st, p->convs[i]);
        }

        store_worked(&st->base);
    }

    return rc;
}


store_rc_t
store_sqlite_apply(store_t *base, const event_t *ev, size_t n, size_t *bad)
{
    store_rc_t       rc, verdict;
    store_plan_t     plan;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_simple(st, SQ_BEGIN_WRITE, "BEGIN IMMEDIATE") != STORE_OK) {
        return STORE_DOWN;
    }

    verdict = STORE_OK;
    store_plan_collect(&plan, &base->arena, ev, n);

    rc = load(st, &plan);

    if (rc == STORE_OK) {
        verdict = store_plan_build(&plan, base, bad);
        rc = write_plan(st, &plan);
    }

    if (rc == STORE_OK) {
        rc = sq_simple(st, SQ_COMMIT, "COMMIT");
    }

    /* after it: what went where nobody finds it is not stored */
    if (rc == STORE_OK) {
        rc = sq_vfs_check(st);
    }

    if (rc != STORE_OK) {
        /* some errors have rolled back already; this one's result is void */
        if (!sqlite3_get_autocommit(st->db)) {
            sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
        }
        *bad = n;
        return rc;
    }

    return verdict;
}
