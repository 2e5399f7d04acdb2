/*
 * api_emit.c: how a call changes a conversation.
 *
 * The api role never writes to the store.  It reads what is there, decides,
 * and has Redis make a numbered event of the decision (wrt_emit); the
 * projector brings that into the store like all others.
 *
 *   wait (the store has all that Redis had) -> decide -> emit
 *        ^                                                |
 *        +------------------ stale -----------------------+
 *                                                         | ok
 *   answer <- wait (the store has the event) <------------+
 *
 * A decision about a message names the number of the message's last change,
 * one about the room the number up to which it was read; if another one came
 * in between, Redis says "stale" and we read again.  The call's deadline ends
 * this.
 *
 * A call that was claimed from a process that died may be done already, and so
 * may one that is stale, by whoever claimed it from us.  Most changes that are
 * made twice are made once; one that leaves a system message, which has the
 * call's id, is looked for before it is decided again.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

/* Between the waits. */
typedef struct {
    int64_t  seq;                   /* of what was emitted; 0: nothing yet */
    int      look;                  /* it may have been, by another process */
} change_t;


/*
 * Places for number and time in JSON under construction.  The call's mark makes
 * them words that nobody can have written into a message beforehand.
 */
static json_t *
emit_mark(const call_t *c, const char *what)
{
    return json_sprintf("@%s:%s@", what, c->mark);
}


json_t *
emit_seq(const call_t *c)
{
    return emit_mark(c, "seq");
}


json_t *
emit_at(const call_t *c)
{
    return emit_mark(c, "at");
}


/* JSON with the places as wrt_emit wants them: a bare number, a string. */
static void
emit_text(buf_t *out, const call_t *c, const json_t *v)
{
    buf_t        text;
    const char  *p, *at;

    memset(&text, 0, sizeof(text));
    buf_json(&text, v);

    for (p = text.p; (at = strchr(p, '@')) != NULL; ) {

        if (at > p && at[-1] == '"' && strncmp(at, "@seq:", 5) == 0
            && strncmp(at + 5, c->mark, CALL_MARK_LEN) == 0
            && strncmp(at + 5 + CALL_MARK_LEN, "@\"", 2) == 0)
        {
            buf_add(out, p, (size_t) (at - 1 - p));
            buf_text(out, WRT_EMIT_SEQ);
            p = at + 5 + CALL_MARK_LEN + 2;

        } else if (strncmp(at, "@at:", 4) == 0
                   && strncmp(at + 4, c->mark, CALL_MARK_LEN) == 0
                   && at[4 + CALL_MARK_LEN] == '@')
        {
            buf_add(out, p, (size_t) (at - p));
            buf_text(out, WRT_EMIT_AT);
            p = at + 4 + CALL_MARK_LEN + 1;

        } else {
            buf_add(out, p, (size_t) (at + 1 - p));
            p = at + 1;
        }
    }

    buf_text(out, p);
    buf_free(&text);
}


json_t *
emit_system(const call_t *c, const json_t *doc, const char *action,
    json_t *data)
{
    json_t  *m, *consult;

    m = json_pack("{s:s, s:s, s:s, s:{s:s, s:s?}, s:s,"
                  " s:{s:{s:s, s:o}}, s:s, s:[], s:n, s:[], s:o, s:o}",
                  "id", c->id, "conversationId", c->ids[0], "senderId",
                  c->user, "sender", "name", c->name, "avatar",
                  c->avatar[0] ? c->avatar : NULL, "type", "system",
                  "content", "systemMessage", "action", action, "data", data,
                  "status", "sent", "readBy", "replyTo", "reactions",
                  "createdAt", emit_at(c), "seq", emit_seq(c));

    consult = json_object_get(doc, "consultationId");

    if (json_is_string(consult)) {
        json_object_set(m, "consultationId", consult);
    }

    return json_pack("{s:s, s:{s:s, s:o, s:o}}", "event", "message_received",
                     "data", "conversationId", c->ids[0], "seq", emit_seq(c),
                     "message", m);
}


void
emit_op(emit_t *e, const char *op, const char *field, const char *value)
{
    if (e->nops + 3 <= EMIT_OPS_MAX) {
        e->ops[e->nops++] = op;
        e->ops[e->nops++] = field;

        if (value) {
            e->ops[e->nops++] = value;
        }
    }
}


void
emit_op_redact(emit_t *e, int64_t seq)
{
    if (seq > 0 && e->nnumbers < WRT_EDITS_MAX + 8) {
        snprintf(e->numbers[e->nnumbers], sizeof(e->numbers[0]), "%lld",
                 (long long) seq);
        emit_op(e, "X", e->numbers[e->nnumbers++], NULL);
    }
}


static reply_t *
emit_call(api_t *a, call_t *c, rds_t *shard, unsigned k, const access_t *x,
    const emit_t *e)
{
    char       key[WRT_NAME_BUF], at[WRT_TIME_LEN + 1];
    buf_t      text;
    size_t     n;
    cmd_t     *cmd;
    unsigned   i;

    cmd = &a->cmd;
    n = strlen(e->conversation);
    memset(&text, 0, sizeof(text));
    wrt_time_format(now_ms(), at);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_EMIT);
    cmd_num(cmd, 5);
    cmd_room(cmd, k, e->conversation, n);
    cmd_mem(cmd, key, wrt_key_version(key, k, e->conversation, n,
                                      e->message, strlen(e->message)));
    cmd_mem(cmd, key, wrt_chan_room(key, &a->cf->names, k, e->conversation,
                                    n));
    cmd_text(cmd, e->conversation);
    cmd_text(cmd, c->user);
    cmd_text(cmd, c->rights && !x->member ? "" : e->need);
    cmd_text(cmd, e->live ? "1" : "");
    cmd_text(cmd, e->kind);
    cmd_text(cmd, e->target);

    emit_text(&text, c, e->event);
    cmd_mem(cmd, text.p, text.n);

    buf_clear(&text);

    if (e->extra) {
        emit_text(&text, c, e->extra);
    }

    cmd_mem(cmd, text.n ? text.p : "", text.n);
    cmd_text(cmd, at);
    cmd_num(cmd, WRT_BACKLOG_MAX);
    cmd_num(cmd, e->expect);

    for (i = 0; i < e->nops; i++) {
        cmd_text(cmd, e->ops[i]);
    }

    buf_free(&text);

    return rds_run(shard, cmd);
}


/* What Redis refused, to the caller. */
static emit_rc_t
emit_refused(call_t *c, const char *rc)
{
    /* what exists is not in the store yet, or we had seen it there */

    if (strcmp(rc, "stale") == 0 || strcmp(rc, "exists") == 0) {
        return EMIT_STALE;
    }

    if (strcmp(rc, "denied") == 0) {
        api_not_found(c);

    } else if (strcmp(rc, "forbidden") == 0) {
        api_error(c, 403, "forbidden", NULL,
                  "you have no permission to do this here");

    } else if (strcmp(rc, "archived") == 0) {
        api_error(c, 409, "conversation_archived", NULL,
                  "the conversation is archived");

    } else {
        api_unavailable(c);
    }

    return EMIT_ANSWERED;
}


/*
 * To read what is decided on may have taken long: a store that hangs, a
 * machine that stands still.  By now the call may be another process's, or
 * nobody's any more, as its caller was told that nothing came of it, and what
 * he did then is what we have read.
 */
static emit_rc_t
emit_in_time(api_t *a, call_t *c)
{
    if (!c->told && !c->settled && now_ms() >= c->deadline) {
        api_unavailable(c);
        return EMIT_ANSWERED;
    }

    return api_ours(a, c) == 1 ? EMIT_OK : EMIT_STALE;
}


emit_rc_t
api_emit(api_t *a, call_t *c, const access_t *x, emit_t *e, int64_t *seq)
{
    int          i;
    rds_t       *shard;
    store_t     *st;
    reply_t     *r;
    unsigned     k;
    emit_rc_t    rc;
    store_rc_t   src;

    rc = emit_in_time(a, c);

    if (rc != EMIT_OK) {
        return rc;
    }

    k = wrt_shard(&a->cf->names, e->conversation, strlen(e->conversation));

    for (i = 0; ; i++) {
        shard = api_shard(a, k);

        if (shard == NULL) {
            api_unavailable(c);
            return EMIT_ANSWERED;
        }

        r = emit_call(a, c, shard, k, x, e);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(shard, reply_text(r));
            reply_free(r);
            api_unavailable(c);
            return EMIT_ANSWERED;
        }

        if (strcmp(reply_text(reply_at(r, 0)), "noload") != 0 || i > 0) {
            break;
        }

        reply_free(r);

        st = api_store(a, c);
        if (st == NULL) {
            return EMIT_ANSWERED;
        }

        src = load_conversation(st, shard, a->cf, e->conversation);

        if (src != STORE_OK) {
            if (src == STORE_REJECTED) {
                api_unavailable(c);
            } else {
                role_store_result(a->role, src);
                api_store_error(a, c, src);
            }
            return EMIT_ANSWERED;
        }
    }

    if (strcmp(reply_text(reply_at(r, 0)), "ok") == 0) {
        *seq = reply_int(reply_at(r, 1), 0);
        rc = EMIT_OK;

    } else {
        rc = emit_refused(c, reply_text(reply_at(r, 0)));
    }

    reply_free(r);

    return rc;
}


/* Has it been done?  1: m->seq says so; 0: wait; -1: answered. */
static int
change_look(api_t *a, call_t *c, change_t *m)
{
    json_t      *doc;
    store_t     *st;
    access_t     x;
    store_rc_t   rc;

    /* whoever left the room may not see it any more */
    if (api_standing(a, c, c->ids[0], &x) != 0) {
        return -1;
    }

    if (api_wait_conv(c, c->ids[0], x.seq, x.applied)) {
        return 0;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_message(st, c->ids[0], c->id, &doc);
    role_store_result(a->role, rc);

    if (rc != STORE_OK && rc != STORE_NOT_FOUND) {
        api_store_error(a, c, rc);
        return -1;
    }

    if (rc == STORE_OK) {
        m->seq = json_integer_value(json_object_get(doc, "seq"));
        json_decref(doc);
    }

    m->look = 0;

    return 1;
}


api_rc_t
api_change(api_t *a, call_t *c, emit_decide_pt decide, emit_answer_pt answer)
{
    int        rc;
    store_t   *st;
    change_t  *m;
    access_t   x;

    m = c->state;

    if (m == NULL) {
        m = mem_zero(sizeof(change_t));
        m->look = c->claimed;
        c->state = m;
        c->state_free = free;
    }

    if (m->look) {
        rc = change_look(a, c, m);

        if (rc <= 0) {
            return rc == 0 ? API_WAIT : API_DONE;
        }
    }

    if (m->seq == 0) {
        if (api_access(a, c, c->ids[0], &x) != 0) {
            return API_DONE;
        }

        if (api_wait_conv(c, c->ids[0], x.seq, x.applied)) {
            return API_WAIT;
        }
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    if (m->seq != 0) {
        return answer(a, c, st, 1);
    }

    switch (decide(a, c, st, &x, &m->seq)) {

    case EMIT_OK:
        (void) api_wait_conv(c, c->ids[0], m->seq, -1);
        return API_WAIT;

    case EMIT_STALE:
        /* wait for whatever it was, this call in other hands perhaps */
        m->look = 1;
        c->ours_at = 0;
        if (api_standing(a, c, c->ids[0], &x) == 0) {
            (void) api_wait_conv(c, c->ids[0], x.seq, -1);
            return API_WAIT;
        }
        return API_DONE;

    case EMIT_EXISTS:
        return answer(a, c, st, 0);

    default:
        return API_DONE;
    }
}
