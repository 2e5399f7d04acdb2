/*
 * store_sqlite_device.c: devices that are reached by push, quiet hours and
 * mutes in SQLite.
 */

#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"


/* Of a user's devices the oldest go. */
static store_rc_t
drop_oldest(store_sqlite_t *st, const char *user)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DROP_DEVICES,
               "DELETE FROM device WHERE user = ?1 AND id IN"
               " (SELECT id FROM device WHERE user = ?1"
               " ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?2)");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, user);
    sqlite3_bind_int(s, 2, WRT_PUSH_DEVICES_MAX);

    return sq_run(st, s);
}


static store_rc_t
put_device(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_PUT_DEVICE,
               "INSERT INTO device (id, user, platform, token, locale, at)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
               " ON CONFLICT DO UPDATE SET user = excluded.user,"
               " platform = excluded.platform, token = excluded.token,"
               " locale = excluded.locale, at = excluded.at"
               " WHERE excluded.at >= at");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sq_bind_text(s, 2, op->user);
    sq_bind_text(s, 3, store_plan_text(op->body, "platform"));
    sq_bind_text(s, 4, store_plan_text(op->body, "token"));
    sq_bind_text(s, 5, store_plan_text(op->body, "locale"));
    sqlite3_bind_int64(s, 6, op->at);

    return sq_run(st, s) == STORE_OK ? drop_oldest(st, op->user) : STORE_DOWN;
}


/* What was registered since then stays. */
static store_rc_t
device_gone(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DEVICE_GONE,
               "DELETE FROM device WHERE id = ?1 AND at <= ?2"
               " AND user = coalesce(?3, user)");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, op->at);
    sq_bind_text(s, 3, op->user);

    return sq_run(st, s);
}


static store_rc_t
set_quiet(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_SET_QUIET,
               "INSERT INTO push_setting (user, quiet) VALUES (?1, ?2)"
               " ON CONFLICT DO UPDATE SET quiet = excluded.quiet");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->user);
    sq_bind_json(st, s, 2, op->body);

    return sq_run(st, s);
}


static store_rc_t
set_mute(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = op->on
        ? sq_get(st, SQ_MUTE,
                 "INSERT INTO mute (user, conversation, until)"
                 " VALUES (?1, ?2, ?3)"
                 " ON CONFLICT DO UPDATE SET until = excluded.until")
        : sq_get(st, SQ_UNMUTE,
                 "DELETE FROM mute WHERE user = ?1 AND conversation = ?2");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->user);
    sq_bind_text(s, 2, op->id);

    if (op->on) {
        sq_bind_time(s, 3, op->at);
    }

    return sq_run(st, s);
}


static store_rc_t
forget(store_sqlite_t *st, const store_op_t *op)
{
    size_t         i;
    store_rc_t     rc;
    sqlite3_stmt  *s;

    static const struct {
        int          id;
        const char  *sql;
    } all[] = {
        { SQ_FORGET_DEVICES, "DELETE FROM device WHERE user = ?1" },
        { SQ_FORGET_QUIET, "DELETE FROM push_setting WHERE user = ?1" },
        { SQ_FORGET_MUTES, "DELETE FROM mute WHERE user = ?1" }
    };

    rc = STORE_OK;

    for (i = 0; rc == STORE_OK && i < sizeof(all) / sizeof(all[0]); i++) {
        s = sq_get(st, all[i].id, all[i].sql);
        if (s == NULL) {
            return STORE_DOWN;
        }

        sq_bind_text(s, 1, op->user);
        rc = sq_run(st, s);
    }

    return rc;
}


store_rc_t
sq_write_device(store_sqlite_t *st, const store_op_t *op)
{
    switch (op->kind) {

    case STORE_OP_DEVICE:
        return put_device(st, op);

    case STORE_OP_DEVICE_GONE:
        return device_gone(st, op);

    case STORE_OP_QUIET:
        return set_quiet(st, op);

    case STORE_OP_MUTE:
        return set_mute(st, op);

    default:
        return forget(st, op);
    }
}


static store_rc_t
read_devices(store_sqlite_t *st, const char *user, json_t *push)
{
    int            step;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DEVICES,
               "SELECT id, platform, token, locale, at FROM device"
               " WHERE user = ?1 ORDER BY at DESC, id DESC");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, user);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_device(push, sq_text(st, s, 0), sq_text(st, s, 1),
                         sq_text(st, s, 2), sq_text(st, s, 3),
                         sqlite3_column_int64(s, 4));
    }

    return sq_done(st, s, step);
}


static store_rc_t
read_quiet(store_sqlite_t *st, const char *user, json_t *push)
{
    int            step, bad;
    json_t        *quiet;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_QUIET,
               "SELECT quiet FROM push_setting WHERE user = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    quiet = NULL;
    bad = 0;
    sq_bind_text(s, 1, user);
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        bad = sq_json(st, s, 0, &quiet);

        if (!bad && quiet) {
            store_doc_set(push, "quietHours", quiet);
        }
    }

    return sq_done(st, s, step) == STORE_OK && !bad ? STORE_OK : STORE_DOWN;
}


static store_rc_t
read_mutes(store_sqlite_t *st, const char *user, const char *conversation,
    json_t *push)
{
    int            step;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_MUTES,
               "SELECT conversation, until FROM mute WHERE user = ?1"
               " AND conversation = coalesce(?2, conversation)"
               " ORDER BY conversation");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, user);
    sq_bind_text(s, 2, conversation);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        store_doc_mute(push, sq_text(st, s, 0), sq_time(s, 1));
    }

    return sq_done(st, s, step);
}


store_rc_t
store_sqlite_push(store_t *base, const char *const *users, size_t n,
    const char *conversation, json_t **out)
{
    size_t           i;
    json_t          *push;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;
    *out = json_object();

    for (i = 0; i < n; i++) {
        push = store_doc_push(*out, users[i]);

        if (read_devices(st, users[i], push) != STORE_OK
            || read_quiet(st, users[i], push) != STORE_OK
            || read_mutes(st, users[i], conversation, push) != STORE_OK)
        {
            return STORE_DOWN;
        }
    }

    return STORE_OK;
}
