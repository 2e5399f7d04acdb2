/*
 * load.c: a conversation from the store into Redis.
 *
 * A conversation that is not in Redis has nothing that the store does not
 * have: its hash may expire only once all is applied.  The other way round
 * the store may know higher numbers than Redis (which has lost its last
 * second); wrt_fence then raises Redis's, so that no number is given twice.
 */

#include <string.h>

#include "worker/worker.h"


/* {"read", "write"...} as letters */
static void
load_permissions(buf_t *out, const json_t *list)
{
    size_t       i;
    json_t      *v;
    const char  *s;

    json_array_foreach(list, i, v) {
        s = json_string_value(v);

        if (s) {
            buf_add(out, s, 1);
        }
    }
}


static void
load_pair(cmd_t *cmd, buf_t *name, buf_t *value)
{
    cmd_mem(cmd, name->p, name->n);
    cmd_mem(cmd, value->p, value->n);
    buf_clear(name);
    buf_clear(value);
}


static void
load_cursor(cmd_t *cmd, buf_t *name, buf_t *value, const char *prefix,
    const char *user, const json_t *seq, const json_t *at)
{
    if (json_integer_value(seq) <= 0) {
        return;
    }

    buf_fmt(name, "%s%s", prefix, user);
    buf_fmt(value, "%lld %s", (long long) json_integer_value(seq),
            json_is_string(at) ? json_string_value(at) : "-");
    load_pair(cmd, name, value);
}


/* m:, r: and d: fields of all members. */
static void
load_members(cmd_t *cmd, const json_t *members)
{
    buf_t        name, value;
    size_t       i;
    json_t      *m;
    const char  *user, *role;

    memset(&name, 0, sizeof(name));
    memset(&value, 0, sizeof(value));

    json_array_foreach(members, i, m) {
        user = json_string_value(json_object_get(m, "userId"));
        role = json_string_value(json_object_get(m, "role"));

        if (user == NULL || role == NULL) {
            continue;
        }

        buf_fmt(&name, WRT_F_MEMBER "%s", user);
        load_permissions(&value, json_object_get(m, "permissions"));
        buf_fmt(&value, "|%s|%lld", role, (long long)
                json_integer_value(json_object_get(m, "joinSeq")));
        load_pair(cmd, &name, &value);

        load_cursor(cmd, &name, &value, WRT_F_READ, user,
                    json_object_get(m, "readSeq"),
                    json_object_get(m, "readAt"));
        load_cursor(cmd, &name, &value, WRT_F_DELIVERED, user,
                    json_object_get(m, "deliveredSeq"),
                    json_object_get(m, "deliveredAt"));
    }

    buf_free(&name);
    buf_free(&value);
}


store_rc_t
load_conversation(store_t *st, rds_t *c, const conf_t *cf, const char *id)
{
    char         key[WRT_NAME_BUF];
    cmd_t        cmd;
    json_t      *state;
    int64_t      seq;
    reply_t     *r;
    unsigned     k;
    const char  *s, *at;
    store_rc_t   rc;

    rc = store_conversation_state(st, id, &state);

    if (rc != STORE_OK) {
        return rc;
    }

    k = wrt_shard(&cf->names, id, strlen(id));
    seq = json_integer_value(json_object_get(state, "seq"));
    s = json_string_value(json_object_get(state, "state"));
    at = json_string_value(json_object_get(state, "at"));

    memset(&cmd, 0, sizeof(cmd));
    cmd_begin(&cmd, "FCALL");
    cmd_text(&cmd, WRT_FN_LOAD);
    cmd_num(&cmd, 1);
    cmd_mem(&cmd, key, wrt_key_conv(key, k, id, strlen(id)));
    cmd_num(&cmd, seq);
    cmd_text(&cmd, s ? s : WRT_STATE_ACTIVE);
    cmd_text(&cmd, at ? at : "");
    load_members(&cmd, json_object_get(state, "members"));

    s = json_string_value(json_object_get(state, "consultationId"));

    if (s) {
        cmd_text(&cmd, WRT_F_CONSULT);
        cmd_text(&cmd, s);
    }

    r = rds_run(c, &cmd);

    if (reply_is_error(r)) {
        rds_fail(c, reply_text(r));

    } else if (reply_int(reply_at(r, 1), seq) < seq) {
        reemit_fence(c, &cmd, cf, k, id, seq);
    }

    reply_free(r);
    cmd_free(&cmd);
    json_decref(state);

    return rds_alive(c) ? STORE_OK : STORE_REJECTED;
}
