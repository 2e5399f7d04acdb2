/*
 * life.c: holds and other acts that concern how long things live, as events of
 * kinds 'x' and 'a' (docs/redis.md).
 *
 * The projector alone writes to the store: whoever decides something, by REST,
 * by command or by itself, queues it here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "worker/worker.h"

#define LIFE_LOCK_MS  15000


void
life_id(char out[WRT_OID_LEN + 1])
{
    int64_t  now;
    uint8_t  seed[8];

    static pid_t          made;     /* in which process */
    static wrt_oid_gen_t  ids;

    now = now_ms();

    if (made != getpid()) {
        if (getrandom(seed, sizeof(seed), 0) != sizeof(seed)) {
            memcpy(seed, &now, sizeof(seed));
            seed[0] ^= (uint8_t) getpid();
        }

        wrt_oid_init(&ids, seed);
        made = getpid();
    }

    wrt_oid_next(&ids, now / 1000, out);
}


json_t *
life_audit(const char *id, const actor_t *who, const char *action,
    const char *type, const char *target, json_t *details)
{
    char  at[WRT_TIME_LEN + 1];

    wrt_time_format(now_ms(), at);

    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:{s:s, s:s}, s:s, s:o}",
                     "id", id, "at", at, "action", action,
                     "actor", "userId", who->user, "role", who->role,
                     "target", "type", type, "id", target,
                     "from", who->from,
                     "details", details ? details : json_object());
}


json_t *
life_hold(const char *id, const actor_t *who, const char *type,
    const char *target, const char *reason, json_t *audit)
{
    char  at[WRT_TIME_LEN + 1];

    wrt_time_format(now_ms(), at);

    return json_pack("{s:s, s:o, s:{s:s, s:s, s:s, s:s, s:s, s:s}}",
                     "op", "hold", "audit", audit, "hold", "id", id,
                     "type", type, "targetId", target, "reason", reason,
                     "createdBy", who->user, "createdAt", at);
}


json_t *
life_release(const char *id, const actor_t *who, json_t *audit)
{
    char  at[WRT_TIME_LEN + 1];

    wrt_time_format(now_ms(), at);

    return json_pack("{s:s, s:o, s:s, s:s, s:s}", "op", "release",
                     "audit", audit, "holdId", id, "by", who->user,
                     "at", at);
}


json_t *
life_erase(const char *op, const char *user, const char *alias,
    json_t *audit)
{
    char     at[WRT_TIME_LEN + 1];
    json_t  *o;

    wrt_time_format(now_ms(), at);
    o = json_pack("{s:s, s:s, s:s, s:s}", "op", op, "userId", user, "alias",
                  alias, "at", at);

    if (audit) {
        json_object_set_new(o, "audit", audit);
    }

    return o;
}


/* Says nothing of when: the id that he had, and when he was erased, would give
 * away which alias is his. */
void
life_alias(char out[WRT_OID_LEN + 8])
{
    uint8_t  raw[WRT_OID_LEN / 2];

    if (getrandom(raw, sizeof(raw), 0) != sizeof(raw)) {
        abort();
    }

    memcpy(out, "erased-", sizeof("erased-"));

    wrt_hex(raw, sizeof(raw), out + 7);
}


store_rc_t
life_held(store_t *st, const char *user, char *why, size_t size)
{
    char         after[WRT_ID_MAX + 1];
    size_t       i, n;
    json_t      *traces, *v;
    store_rc_t   rc;

    rc = store_user_held(st, user);

    if (rc != STORE_NOT_FOUND) {
        snprintf(why, size, "the user is held");
        return rc;
    }

    after[0] = '\0';

    do {
        rc = store_traces(st, user, after, 100, &traces);

        if (rc != STORE_OK) {
            return rc;
        }

        n = json_array_size(traces);
        rc = STORE_NOT_FOUND;

        json_array_foreach(traces, i, v) {
            text_copy(after, sizeof(after), json_string_value(
                          json_object_get(v, "conversationId")));

            if (json_is_true(json_object_get(v, "held"))) {
                snprintf(why, size, "conversation %s, in which the user is or"
                         " was, is held", after);
                rc = STORE_OK;
                break;
            }
        }

        json_decref(traces);

    } while (rc == STORE_NOT_FOUND && n == 100);

    return rc;
}


static char  life_last[EVENT_ENTRY_SIZE];


const char *
life_entry(void)
{
    return life_last;
}


int
life_record(rds_t *c, cmd_t *cmd, const conf_t *cf, char kind,
    const char *place, const char *conversation, const char *actor,
    json_t *body)
{
    int        ok;
    char       key[WRT_NAME_BUF];
    buf_t      text;
    reply_t   *r;

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c 0 %s -\n", kind, actor);
    buf_json(&text, body);
    json_decref(body);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_RECORD);
    cmd_num(cmd, 1);
    cmd_mem(cmd, key, wrt_key_ingest(key, wrt_shard(&cf->names, place,
                                                    strlen(place))));
    cmd_text(cmd, conversation);
    cmd_mem(cmd, text.p, text.n);
    cmd_text(cmd, "");
    cmd_num(cmd, WRT_BACKLOG_MAX);
    buf_free(&text);

    r = rds_run(c, cmd);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(c, reply_text(r));
    }

    ok = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    text_copy(life_last, sizeof(life_last),
              ok ? reply_text(reply_at(r, 1)) : "");
    reply_free(r);

    return ok ? 0 : -1;
}


static reply_t *
emit_run(rds_t *c, cmd_t *cmd, const conf_t *cf, const life_event_t *e)
{
    char      key[WRT_NAME_BUF], kind[2], at[WRT_TIME_LEN + 1];
    size_t    n;
    unsigned  i, k;

    n = strlen(e->conversation);
    k = wrt_shard(&cf->names, e->conversation, n);
    kind[0] = e->kind;
    kind[1] = '\0';
    wrt_time_format(now_ms(), at);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_EMIT);
    cmd_num(cmd, 5);
    cmd_room(cmd, k, e->conversation, n);
    cmd_mem(cmd, key, wrt_key_version(key, k, e->conversation, n, "-", 1));
    cmd_mem(cmd, key, wrt_chan_room(key, &cf->names, k, e->conversation, n));
    cmd_text(cmd, e->conversation);
    cmd_text(cmd, "-");
    cmd_text(cmd, "");              /* the server itself */
    cmd_text(cmd, "");              /* archived or not */
    cmd_text(cmd, kind);
    cmd_text(cmd, e->target);
    cmd_text(cmd, e->event);
    cmd_text(cmd, e->extra);
    cmd_text(cmd, at);
    cmd_num(cmd, WRT_BACKLOG_MAX);
    cmd_num(cmd, e->expect);

    for (i = 0; i < e->nops; i++) {
        cmd_text(cmd, e->ops[i]);
    }

    return rds_run(c, cmd);
}


int
life_publish(store_t *st, rds_t *c, cmd_t *cmd, const conf_t *cf,
    const life_event_t *e)
{
    int       rc, try;
    reply_t  *r;

    for (try = 0; ; try++) {
        r = emit_run(c, cmd, cf, e);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(c, reply_text(r));
            reply_free(r);
            return -1;
        }

        if (strcmp(reply_text(reply_at(r, 0)), "noload") != 0 || try > 0) {
            break;
        }

        reply_free(r);

        if (load_conversation(st, c, cf, e->conversation) != STORE_OK) {
            return rds_alive(c) ? 0 : -1;
        }
    }

    rc = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);

    return rc;
}


/* {"event":"messages_removed",...} */
static void
withdraw_event(buf_t *out, const char *conversation, const json_t *messages,
    const char *why)
{
    size_t    i;
    json_t   *v, *ids, *event;

    ids = json_array();

    json_array_foreach(messages, i, v) {
        json_array_append(ids, json_object_get(v, "id"));
    }

    event = json_pack("{s:s, s:{s:s, s:o, s:s}}", "event",
                      "messages_removed", "data", "conversationId",
                      conversation, "messageIds", ids, "reason", why);

    buf_fmt(out, "%c 0 - -\n", WRT_EV_STATUS);
    buf_json(out, event);
    json_decref(event);
}


reply_t *
life_log(rds_t *c, const char *key)
{
    reply_t  *r;

    r = rds_call(c, "XRANGE", key, "-", "+");

    if (r == NULL || reply_is_error(r)) {
        rds_fail(c, reply_text(r));
        reply_free(r);
        return NULL;
    }

    return r;
}


int64_t
life_changed(const reply_t *log, size_t *i, const char *message)
{
    char            about[WRT_ID_MAX + 32];
    const char     *p;
    const reply_t  *e;

    snprintf(about, sizeof(about), "\"messageId\":\"%s\"", message);

    while (*i < reply_count(log)) {
        e = reply_at(log, (*i)++);
        p = reply_text(reply_field(reply_at(e, 1), WRT_F_PAYLOAD));

        if (p[0] == WRT_EV_CHANGE && strstr(p, about)
            && strstr(p, "\"message_updated\""))
        {
            return atoll(reply_text(reply_at(e, 0)));
        }
    }

    return 0;
}


/* The log, when any of them was changed: the store does not keep the number of
 * each change that said it (files_found.c).  0, -1. */
static int
withdraw_log(rds_t *c, const char *key, const json_t *messages, reply_t **log)
{
    int      changed;
    size_t   i;
    json_t  *m;

    *log = NULL;
    changed = 0;

    json_array_foreach(messages, i, m) {
        changed |= json_array_size(json_object_get(m, "numbers")) > 1;
    }

    if (!changed) {
        return 0;
    }

    *log = life_log(c, key);

    return *log ? 0 : -1;
}


/* The entries of the log that say what a message said. */
static void
withdraw_message(cmd_t *cmd, const json_t *m, const reply_t *log)
{
    char         id[32];
    size_t       i;
    json_t      *number;
    int64_t      seq;

    json_array_foreach(json_object_get(m, "numbers"), i, number) {
        snprintf(id, sizeof(id), "%lld-0",
                 (long long) json_integer_value(number));
        cmd_text(cmd, id);
    }

    i = 0;

    while ((seq = life_changed(log, &i, json_string_value(
                                   json_object_get(m, "id")))) > 0)
    {
        snprintf(id, sizeof(id), "%lld-0", (long long) seq);
        cmd_text(cmd, id);
    }
}


int
life_withdraw(rds_t *c, cmd_t *cmd, const conf_t *cf,
    const char *conversation, const json_t *messages, const char *why)
{
    int        rc;
    char       name[WRT_NAME_BUF];
    buf_t      text;
    size_t     i, n, len;
    json_t    *m;
    reply_t   *log;
    unsigned   k;

    n = strlen(conversation);
    k = wrt_shard(&cf->names, conversation, n);
    len = wrt_key_log(name, k, conversation, n);

    if (withdraw_log(c, name, messages, &log) != 0) {
        return -1;
    }

    cmd_begin(cmd, "XDEL");
    cmd_mem(cmd, name, len);

    json_array_foreach(messages, i, m) {
        withdraw_message(cmd, m, log);
    }

    reply_free(log);
    rds_push(c, cmd);

    memset(&text, 0, sizeof(text));
    withdraw_event(&text, conversation, messages, why);

    cmd_begin(cmd, "PUBLISH");
    cmd_mem(cmd, name, wrt_chan_room(name, &cf->names, k, conversation, n));
    cmd_mem(cmd, text.p, text.n);
    rds_push(c, cmd);
    buf_free(&text);

    rc = rds_drain(c);

    if (rc != 0) {
        rds_fail(c, rds_error(c));
    }

    return rc;
}


int
life_lock(rds_t *hub, const char *node)
{
    int       mine;
    char      ms[16];
    reply_t  *r;

    snprintf(ms, sizeof(ms), "%d", LIFE_LOCK_MS);

    r = rds_call(hub, "SET", WRT_KEY_LIFE, node, "NX", "PX", ms);
    mine = !reply_is_nil(r) && !reply_is_error(r);
    reply_free(r);

    if (mine) {
        return 1;
    }

    r = rds_call(hub, "GET", WRT_KEY_LIFE);
    mine = strcmp(reply_text(r), node) == 0;
    reply_free(r);

    if (mine) {
        reply_free(rds_call(hub, "PEXPIRE", WRT_KEY_LIFE, ms));
    }

    return mine;
}


/* Is this id of a stream after the other one? */
static int
life_after(const char *a, const char *b)
{
    char                *x, *y;
    unsigned long long   m, n;

    m = strtoull(a, &x, 10);
    n = strtoull(b, &y, 10);

    if (m != n) {
        return m > n;
    }

    return strtoull(*x ? x + 1 : x, NULL, 10)
           > strtoull(*y ? y + 1 : y, NULL, 10);
}


int
life_stored(rds_t *c, unsigned shard, const char *entry)
{
    int       done;
    char      key[WRT_NAME_BUF];
    reply_t  *r;

    wrt_key_ingest(key, shard);
    r = rds_call(c, "XRANGE", key, "-", "+", "COUNT", "1");
    done = r && !reply_is_error(r)
           && (reply_count(r) == 0
               || life_after(reply_text(reply_at(reply_at(r, 0), 0)), entry));
    reply_free(r);

    return done;
}
