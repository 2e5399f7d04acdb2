/*
 * reemit.c: numbers that must not be given again, and events that need a new
 * one.
 *
 * After a power loss Redis may know less than the store: its last second is
 * gone, and with it the last numbers of some conversations.  Whoever notices
 * raises Redis's number first (a fence), so that none is given twice.  Until
 * somebody has, a new event may have got a number that the store knows
 * already; the store passes over such events, since it can not tell them from
 * repeated ones.  The projector can (reemit_check) and emits them again.
 */

#include <string.h>

#include "worker/projector/projector.h"


void
reemit_fence(rds_t *c, cmd_t *cmd, const conf_t *cf, unsigned k,
    const char *id, int64_t seq)
{
    char      key[WRT_NAME_BUF], at[WRT_TIME_LEN + 1];
    size_t    n;
    reply_t  *r;

    n = strlen(id);
    wrt_time_format(now_ms(), at);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_FENCE);
    cmd_num(cmd, 4);
    cmd_room(cmd, k, id, n);
    cmd_mem(cmd, key, wrt_chan_room(key, &cf->names, k, id, n));
    cmd_text(cmd, id);
    cmd_num(cmd, seq);
    cmd_text(cmd, at);
    cmd_num(cmd, INT32_MAX);    /* what the store has is no guess */

    r = rds_run(c, cmd);

    if (reply_is_error(r)) {
        rds_fail(c, reply_text(r));
    }

    log_warn("fence", "conversation=%s seq=%lld", id, (long long) seq);
    reply_free(r);
}


/* An object's members after those that stand there, and its end. */
static void
reemit_members(buf_t *text, json_t *v)
{
    buf_t  rest;

    memset(&rest, 0, sizeof(rest));
    buf_json(&rest, v);

    /* {"a":1} becomes ,"a":1} and {} only the end */
    if (json_object_size(v)) {
        rest.p[0] = ',';
        buf_add(text, rest.p, rest.n);

    } else {
        buf_text(text, "}");
    }

    buf_free(&rest);
}


/* The event with places for its new number, as wrt_emit fills them. */
static void
reemit_template(const entry_t *e, buf_t *text)
{
    json_t       *name, *data, *message;
    const char   *s;

    s = json_string_value(json_object_get(e->ev.body, "event"));
    name = json_string(s ? s : "");

    data = json_object_get(e->ev.body, "data");
    data = json_is_object(data) ? json_copy(data) : json_object();
    json_object_del(data, "seq");

    buf_text(text, "{\"event\":");
    buf_json(text, name);
    buf_text(text, ",\"data\":{\"seq\":" WRT_EMIT_SEQ);

    message = json_object_get(data, "message");

    if (json_is_object(message)) {
        message = json_copy(message);
        json_object_del(data, "message");
        json_object_del(message, "seq");

        buf_text(text, ",\"message\":{\"seq\":" WRT_EMIT_SEQ);
        reemit_members(text, message);
        json_decref(message);
    }

    reemit_members(text, data);
    buf_text(text, "}");

    json_decref(name);
    json_decref(data);
}


int
reemit_event(rds_t *c, cmd_t *cmd, const conf_t *cf, unsigned k,
    const entry_t *e)
{
    int       ok;
    char      key[WRT_NAME_BUF], kind[2], at[WRT_TIME_LEN + 1];
    buf_t     text;
    size_t    n;
    reply_t  *r;

    memset(&text, 0, sizeof(text));
    reemit_template(e, &text);

    n = strlen(e->conversation);
    kind[0] = e->ev.kind;
    kind[1] = '\0';
    wrt_time_format(now_ms(), at);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_EMIT);
    cmd_num(cmd, 4);
    cmd_room(cmd, k, e->conversation, n);
    cmd_mem(cmd, key, wrt_chan_room(key, &cf->names, k, e->conversation, n));
    cmd_text(cmd, e->conversation);
    cmd_text(cmd, e->actor[0] ? e->actor : "-");
    cmd_text(cmd, "");              /* the server itself */
    cmd_text(cmd, "");              /* archived or not */
    cmd_text(cmd, kind);
    cmd_text(cmd, e->target[0] ? e->target : "-");
    cmd_mem(cmd, text.p, text.n);
    cmd_mem(cmd, e->x, e->x_len);
    cmd_text(cmd, at);
    cmd_num(cmd, WRT_BACKLOG_MAX);
    cmd_num(cmd, 0);

    r = rds_run(c, cmd);
    ok = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);

    buf_free(&text);

    return ok ? 0 : -1;
}


/* The message that an event brings; NULL when it brings none. */
static const char *
reemit_message_id(const entry_t *e)
{
    return json_string_value(json_object_get(json_object_get(json_object_get(
               e->ev.body, "data"), "message"), "id"));
}


/* A place in the cache of conversations that need no more looking at. */
static uint64_t *
reemit_place(projector_t *p, const entry_t *e, uint64_t *hash)
{
    const char  *s;

    *hash = 0xCBF29CE484222325ULL;

    for (s = e->conversation; *s; s++) {
        *hash = (*hash ^ (unsigned char) *s) * 0x100000001B3ULL; /* FNV-1a */
    }

    *hash |= 1;     /* 0 is an empty place */

    return &p->checked[*hash / 2 % PROJECTOR_CHECKED];
}


/* With all that it had, of which the store wants a part only.  0, or -1. */
static int
reemit_whole(projector_t *p, const item_t *it, unsigned k)
{
    int      rc;
    entry_t  e;

    if (event_decode(&e, it->id, it->c, it->p, it->x, 1) != NULL) {
        /* what is wrong stands in what the store does not look at */
        event_free(&e);
        return reemit_event(p->shard.c, &p->cmd, p->cf, k, &it->e);
    }

    rc = reemit_event(p->shard.c, &p->cmd, p->cf, k, &e);
    event_free(&e);

    return rc;
}


store_rc_t
reemit_check(projector_t *p, item_t *it)
{
    json_t      *doc;
    int64_t      have;
    unsigned     k;
    uint64_t    *place, hash;
    const char  *id;
    store_rc_t   rc;

    place = reemit_place(p, &it->e, &hash);
    id = reemit_message_id(&it->e);

    if (*place == hash || id == NULL) {
        return STORE_OK;
    }

    rc = store_conversation_state(p->role->store, it->e.conversation, &doc);

    if (rc != STORE_OK) {
        /* unknown: its creation may be in the same batch */
        return rc == STORE_NOT_FOUND ? STORE_OK : rc;
    }

    have = json_integer_value(json_object_get(doc, "seq"));
    json_decref(doc);

    if (it->e.ev.seq > have) {
        *place = hash;
        return STORE_OK;
    }

    rc = store_message(p->role->store, it->e.conversation, id, &doc);

    if (rc != STORE_NOT_FOUND) {
        if (rc == STORE_OK) {
            json_decref(doc);
        }

        return rc;
    }

    /* not a repeated event: its number belongs to another one */

    k = p->leases.leases[it->lease].shard;
    log_warn("number_reused", "conversation=%s seq=%lld message=%s",
             it->e.conversation, (long long) it->e.ev.seq, id);

    reemit_fence(p->shard.c, &p->cmd, p->cf, k, it->e.conversation, have);

    if (reemit_whole(p, it, k) != 0) {
        rds_fail(p->shard.c, "an event could not be emitted again");
        return STORE_REJECTED;
    }

    it->skip = 1;

    return STORE_OK;
}


void
reemit_watch(projector_t *p)
{
    char         run[sizeof(p->guard->run_id)];
    size_t       n;
    reply_t     *r;
    const char  *s;

    r = rds_call(p->shard.c, "INFO", "server");
    s = strstr(reply_text(r), "run_id:");
    s = s ? s + strlen("run_id:") : "";
    n = strcspn(s, "\r\n");
    n = n < sizeof(run) ? n : sizeof(run) - 1;
    memcpy(run, s, n);
    run[n] = '\0';
    reply_free(r);

    if (strcmp(run, p->guard->run_id) == 0) {
        return;
    }

    /* it was started anew: a hash that it lost something of is gone, or
     * loaded again, once it has been silent, been found so (rest.c) and been
     * idle */
    text_copy(p->guard->run_id, sizeof(p->guard->run_id), run);
    p->guard->watch_until = mono_ms() + (int64_t) (2 * WRT_REST_S
                                                   + WRT_CONV_IDLE_S + 60)
                                        * 1000;
    memset(p->checked, 0, PROJECTOR_CHECKED * sizeof(uint64_t));
}
