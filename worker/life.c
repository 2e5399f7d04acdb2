/*
 * life.c: holds and other acts that concern how long things live, as events of
 * kinds 'x' and 'a' (docs/redis.md).
 *
 * The projector alone writes to the store: whoever decides something, by REST,
 * by command or by itself, queues it here.
 */

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "worker/worker.h"


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
    reply_free(r);

    return ok ? 0 : -1;
}
