/*
 * api_receipt.c: POST .../read and .../delivered, GET /api/unread.
 *
 * Cursors are moved by wrt_cursor, the one place for both doors.  It finds a
 * message's number in the log; nginx sends here what the log no longer has,
 * and the store knows the number then.
 *
 *   move (by the log) --moved, same--> wait (the store has it) -> answer
 *    ^      |
 *    |      +--unknown--> wait (the store has all) -> the number by the store
 *    |                                                   |
 *    +---------------------------------------------------+
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

/* Between the waits. */
typedef struct {
    char      message[WRT_ID_MAX + 1];
    int64_t   seq;                  /* its number, 0: look in the log */
    int64_t   stands;               /* where the cursor is now */
    unsigned  waited:1;             /* the store has all that it had */
    unsigned  moved:1;
} receipt_t;

typedef enum {
    RECEIPT_MOVED,                  /* or it stood there already */
    RECEIPT_UNKNOWN,
    RECEIPT_ANSWERED
} receipt_rc_t;


/* {"messageId"}; 0, or -1: answered. */
static int
receipt_body(call_t *c, receipt_t *m)
{
    int              rc;
    wrt_slice_t      id;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    rc = wrt_envelope_parse_body(&e, c->body, c->body_len, &why) == 0
         ? wrt_envelope_id(&e, "messageId", &id, &why) : -1;

    if (rc == 1) {
        memcpy(m->message, id.p, id.n);

    } else if (rc == 0) {
        api_error(c, 400, "invalid_request", "messageId",
                  "messageId is required");
    } else {
        body_refused(c, &why);
    }

    wrt_envelope_free(&e);

    return rc == 1 ? 0 : -1;
}


/* FCALL wrt_cursor */
static reply_t *
receipt_call(api_t *a, call_t *c, rds_t *shard, unsigned k, const char *kind,
    const receipt_t *m)
{
    char         key[WRT_NAME_BUF], at[WRT_TIME_LEN + 1];
    cmd_t       *cmd;
    size_t       n;
    const char  *id;

    cmd = &a->cmd;
    id = c->ids[0];
    n = strlen(id);
    wrt_time_format(now_ms(), at);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_CURSOR);
    cmd_num(cmd, 3);
    cmd_mem(cmd, key, wrt_key_conv(key, k, id, n));
    cmd_mem(cmd, key, wrt_key_ingest(key, k));
    cmd_mem(cmd, key, wrt_key_log(key, k, id, n));
    cmd_mem(cmd, key, wrt_chan_room(key, &a->cf->names, k, id, n));
    cmd_text(cmd, id);
    cmd_text(cmd, kind);
    cmd_text(cmd, at);
    cmd_num(cmd, WRT_BACKLOG_MAX);
    cmd_text(cmd, c->user);
    cmd_text(cmd, m->message);

    if (m->seq > 0) {
        cmd_num(cmd, m->seq);
    } else {
        cmd_text(cmd, "");
    }

    return rds_run(shard, cmd);
}


/* What wrt_cursor says of the one that was asked for: ok, uid, rc, seq. */
static receipt_rc_t
receipt_said(call_t *c, receipt_t *m, const reply_t *r)
{
    const char  *rc;

    if (strcmp(reply_text(reply_at(r, 0)), "ok") != 0) {
        api_unavailable(c);
        return RECEIPT_ANSWERED;
    }

    rc = reply_text(reply_at(r, 2));

    if (strcmp(rc, "unknown") == 0) {
        return RECEIPT_UNKNOWN;
    }

    if (strcmp(rc, "denied") == 0) {
        api_not_found(c);
        return RECEIPT_ANSWERED;
    }

    m->stands = reply_int(reply_at(r, 3), 0);
    m->moved = 1;

    return RECEIPT_MOVED;
}


static receipt_rc_t
receipt_move(api_t *a, call_t *c, const char *kind, receipt_t *m)
{
    int            i;
    rds_t         *shard;
    store_t       *st;
    reply_t       *r;
    unsigned       k;
    store_rc_t     src;
    receipt_rc_t   rc;

    k = wrt_shard(&a->cf->names, c->ids[0], strlen(c->ids[0]));

    for (i = 0; ; i++) {
        shard = api_shard(a, k);

        if (shard == NULL) {
            api_unavailable(c);
            return RECEIPT_ANSWERED;
        }

        r = receipt_call(a, c, shard, k, kind, m);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(shard, reply_text(r));
            reply_free(r);
            api_unavailable(c);
            return RECEIPT_ANSWERED;
        }

        if (strcmp(reply_text(reply_at(r, 0)), "noload") != 0 || i > 0) {
            break;
        }

        reply_free(r);

        st = api_store(a, c);
        if (st == NULL) {
            return RECEIPT_ANSWERED;
        }

        src = load_conversation(st, shard, a->cf, c->ids[0]);

        if (src == STORE_REJECTED) {
            api_unavailable(c);
            return RECEIPT_ANSWERED;
        }

        role_store_result(a->role, src);

        if (src != STORE_OK) {
            api_store_error(a, c, src);
            return RECEIPT_ANSWERED;
        }
    }

    rc = receipt_said(c, m, r);
    reply_free(r);

    return rc;
}


/* The message's number, by the store.  0, or -1: answered. */
static int
receipt_find(api_t *a, call_t *c, receipt_t *m)
{
    json_t      *message;
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_message(st, c->ids[0], m->message, &message);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    m->seq = json_integer_value(json_object_get(message, "seq"));
    json_decref(message);

    return 0;
}


static api_rc_t
receipt_answer(api_t *a, call_t *c, const char *field, const receipt_t *m)
{
    json_t      *doc, *data;
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_conversation(st, c->ids[0], c->user, &doc);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    data = json_pack("{s:s, s:s, s:I, s:O}", "conversationId", c->ids[0],
                     "messageId", m->message, field, (json_int_t) m->stands,
                     "unreadCount", json_object_get(doc, "unreadCount"));
    json_decref(doc);

    /* put out this very moment, he has no count */
    return data ? api_ok(c, 200, NULL, data) : api_not_found(c);
}


static api_rc_t
receipt_post(api_t *a, call_t *c, const char *kind, const char *field)
{
    int         rc;
    access_t    x;
    receipt_t  *m;

    if (api_access(a, c, c->ids[0], &x) != 0) {
        return API_DONE;
    }

    /* who runs the place sees it, but has no cursor there */
    if (!x.member) {
        return api_not_found(c);
    }

    m = c->state;

    if (m == NULL) {
        m = mem_zero(sizeof(receipt_t));
        c->state = m;
        c->state_free = free;

        if (may_read(c, &x) != 0 || receipt_body(c, m) != 0) {
            return API_DONE;
        }
    }

    while (!m->moved) {
        switch (receipt_move(a, c, kind, m)) {

        case RECEIPT_MOVED:
            rc = api_wait_shard(a, c, c->ids[0]);

            if (rc != 0) {
                return rc < 0 ? API_DONE : API_WAIT;
            }
            break;

        case RECEIPT_UNKNOWN:
            if (!m->waited) {
                m->waited = 1;

                if (api_wait_conv(c, c->ids[0], x.seq, x.applied)) {
                    return API_WAIT;
                }
            }

            if (receipt_find(a, c, m) != 0) {
                return API_DONE;
            }
            break;

        default:
            return API_DONE;
        }
    }

    return receipt_answer(a, c, field, m);
}


api_rc_t
receipt_read(api_t *a, call_t *c)
{
    return receipt_post(a, c, "r", "readSeq");
}


api_rc_t
receipt_delivered(api_t *a, call_t *c)
{
    return receipt_post(a, c, "d", "deliveredSeq");
}


api_rc_t
unread_list(api_t *a, call_t *c)
{
    int          rc;
    size_t       i;
    json_t      *list, *v;
    store_t     *st;
    json_int_t   total;
    store_rc_t   src;

    if (c->step == 0) {
        rc = api_wait_user(a, c, c->user);

        if (rc != 0) {
            return rc < 0 ? API_DONE : API_WAIT;
        }
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    src = store_unread(st, c->user, &list);
    role_store_result(a->role, src);

    if (src != STORE_OK) {
        return api_store_error(a, c, src);
    }

    total = 0;

    json_array_foreach(list, i, v) {
        total += json_integer_value(json_object_get(v, "unreadCount"));
    }

    return api_ok(c, 200, NULL, json_pack("{s:I, s:o}", "total", total,
                                          "conversations", list));
}
