/*
 * effects.c: what follows from a stored event outside of its conversation:
 * the lists of users' rooms, the users' own channels, and what sessions that
 * are written up quote.
 *
 * Everything here may happen twice (a batch that is repeated after a crash)
 * and ends in the same state.  Replies are not looked at one by one: the
 * caller drains the hub and repeats the batch when anything failed.
 */

#include <stdio.h>
#include <string.h>

#include "worker/worker.h"


/*
 * Publish "<kind> <conversation> <seq|-> -\n<JSON>" to the user.  The JSON is
 * what his sockets get first: a creation brings it in its extra field, others
 * as "event" inside of it, or not at all.
 */
static void
effects_tell(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e,
    const char *user, char kind, int64_t seq)
{
    char     name[WRT_NAME_BUF];
    buf_t    text;
    json_t  *event;

    memset(&text, 0, sizeof(text));

    if (seq < 0) {
        buf_fmt(&text, "%c %s - -\n", kind, e->conversation);
    } else {
        buf_fmt(&text, "%c %s %lld -\n", kind, e->conversation,
                (long long) seq);
    }

    event = json_object_get(e->ev.extra, "event");

    if (e->ev.kind == WRT_EV_CREATE) {
        buf_add(&text, e->x, e->x_len);

    } else if (json_is_object(event)) {
        buf_json(&text, event);
    }

    cmd_begin(cmd, "PUBLISH");
    cmd_mem(cmd, name, wrt_chan_user(name, &cf->names, user, strlen(user)));
    cmd_mem(cmd, text.p, text.n);
    rds_push(hub, cmd);

    buf_free(&text);
}


static void
effects_join(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e,
    const char *user, int64_t seq)
{
    char    name[WRT_NAME_BUF];
    size_t  n;

    n = wrt_key_user_convs(name, user, strlen(user));

    cmd_begin(cmd, "HSET");
    cmd_mem(cmd, name, n);
    cmd_text(cmd, e->conversation);
    cmd_num(cmd, seq);
    rds_push(hub, cmd);

    /* whole or not, a list that nobody asks for goes away again */
    cmd_begin(cmd, "EXPIRE");
    cmd_mem(cmd, name, n);
    cmd_num(cmd, WRT_USER_IDLE_S);
    rds_push(hub, cmd);

    effects_tell(hub, cmd, cf, e, user, WRT_UEV_JOIN, seq);
}


static void
effects_leave(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e,
    const char *user)
{
    char  name[WRT_NAME_BUF];

    cmd_begin(cmd, "HDEL");
    cmd_mem(cmd, name, wrt_key_user_convs(name, user, strlen(user)));
    cmd_text(cmd, e->conversation);
    rds_push(hub, cmd);

    effects_tell(hub, cmd, cf, e, user, WRT_UEV_LEAVE, -1);
}


/* A service has named him: for who connects later, and for who is here. */
static void
effects_profile(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e)
{
    char    name[WRT_NAME_BUF];
    buf_t   text;
    size_t  n;

    memset(&text, 0, sizeof(text));
    buf_json(&text, e->ev.body);

    n = wrt_key_user_convs(name, e->actor, strlen(e->actor));

    cmd_begin(cmd, "HSET");
    cmd_mem(cmd, name, n);
    cmd_text(cmd, WRT_F_PROFILE);
    cmd_mem(cmd, text.p, text.n);
    rds_push(hub, cmd);

    cmd_begin(cmd, "EXPIRE");
    cmd_mem(cmd, name, n);
    cmd_num(cmd, WRT_USER_IDLE_S);
    rds_push(hub, cmd);

    buf_free(&text);
    buf_fmt(&text, "%c - - -\n", WRT_UEV_PROFILE);
    buf_json(&text, e->ev.body);

    cmd_begin(cmd, "PUBLISH");
    cmd_mem(cmd, name, wrt_chan_user(name, &cf->names, e->actor,
                                     strlen(e->actor)));
    cmd_mem(cmd, text.p, text.n);
    rds_push(hub, cmd);

    buf_free(&text);
}


/* Note that messages of the room are gone, which its sessions may quote:
 * scribe_redact.c.  Without numbers: any of them.  Each event has a note of its
 * own, so that who takes one away that he has looked at does not take another
 * one's that came meanwhile. */
static void
effects_gone(rds_t *hub, cmd_t *cmd, const entry_t *e, const json_t *from,
    const json_t *to)
{
    int64_t  lo, hi;
    char     note[WRT_ID_MAX + EVENT_ENTRY_SIZE + 48];

    lo = json_integer_value(from);
    hi = json_integer_value(to);

    if (lo < 1 || hi < lo) {
        lo = 1;
        hi = (int64_t) 1 << 53;
    }

    snprintf(note, sizeof(note), "%s %lld %lld %s", e->conversation,
             (long long) lo, (long long) hi, e->entry_id);

    cmd_begin(cmd, "ZADD");
    cmd_text(cmd, WRT_KEY_SESSIONS_REDACT);
    cmd_num(cmd, 0);
    cmd_text(cmd, note);
    rds_push(hub, cmd);
}


static int
effects_is(const json_t *o, const char *key, const char *text)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s && strcmp(s, text) == 0;
}


/* The record of a session that is written up.  One that was under way in
 * nobody's sight (that of a consultation had "ended" in the store before) may
 * have been made of what is deleted meanwhile: it is looked at once. */
static void
effects_session(rds_t *hub, cmd_t *cmd, const entry_t *e)
{
    const json_t  *s;

    s = json_object_get(e->ev.body, "session");

    if (effects_is(e->ev.body, "op", "put")
        && effects_is(s, "status", "completed")
        && effects_is(s, "sessionType", "general"))
    {
        effects_gone(hub, cmd, e, json_object_get(s, "startSeq"),
                     json_object_get(s, "endSeq"));
    }
}


void
effects_queue(rds_t *hub, cmd_t *cmd, const conf_t *cf, const entry_t *e)
{
    json_t      *v;
    size_t       i;
    const char  *user;

    notifier_note(hub, cmd, cf, e);

    switch (e->ev.kind) {

    case WRT_EV_CREATE:
        json_array_foreach(json_object_get(e->ev.body, "participants"), i, v) {
            user = json_string_value(json_object_get(v, "userId"));

            if (user && wrt_id_valid(user, strlen(user))) {
                effects_join(hub, cmd, cf, e, user, 0);
            }
        }

        break;

    case WRT_EV_JOIN:
        effects_join(hub, cmd, cf, e, e->target, e->ev.seq);
        break;

    case WRT_EV_LEAVE:
        effects_leave(hub, cmd, cf, e, e->target);
        break;

    case WRT_EV_PROFILE:
        if (json_is_true(json_object_get(e->ev.extra, "managed"))
            && wrt_id_valid(e->actor, strlen(e->actor)))
        {
            effects_profile(hub, cmd, cf, e);
        }

        break;

    case WRT_EV_CHANGE:
        if (effects_is(e->ev.body, "event", "message_deleted")) {
            v = json_object_get(json_object_get(e->ev.body, "data"),
                                "message");
            v = json_object_get(v, "seq");
            effects_gone(hub, cmd, e, v, v);
        }

        break;

    case WRT_EV_LIFE:
        if (effects_is(e->ev.body, "op", "expire")) {
            effects_gone(hub, cmd, e, json_object_get(e->ev.body, "from"),
                         json_object_get(e->ev.body, "to"));
        }

        break;

    case WRT_EV_SESSION:
        effects_session(hub, cmd, e);
        break;
    }
}
