/*
 * presence.c: who has gone.
 *
 * nginx takes and gives back leases (docs/redis.md); that one has run out,
 * because its nginx is dead or its grace time over, is seen here.  Whether it
 * really has is decided in Redis (wrt_left), in one step with telling the
 * others, so that several pools may look at the same moment and nothing is
 * said twice.
 */

#include <stdio.h>

#include "worker/worker.h"

#define PRESENCE_TURN  "1000"       /* users of a set in one turn */

static int presence_set(rds_t *hub, cmd_t *cmd, const conf_t *cf,
    const char *set, const char *now);
static int presence_left(rds_t *c, cmd_t *cmd, const conf_t *cf,
    const reply_t *users);


/* Take offline who is due.  Returns how many were told of. */
unsigned
presence_turn(rds_t *hub, cmd_t *cmd, const conf_t *cf)
{
    int         online, hidden;
    char        now[32];
    reply_t    *r;

    /* by its own clock the hub counts */

    r = rds_call(hub, "TIME");
    snprintf(now, sizeof(now), "%lld",
             (long long) reply_int(reply_at(r, 0), 0) * 1000
             + (long long) reply_int(reply_at(r, 1), 0) / 1000);
    reply_free(r);

    online = presence_set(hub, cmd, cf, WRT_KEY_ONLINE, now);
    hidden = presence_set(hub, cmd, cf, WRT_KEY_HIDDEN, now);

    return (unsigned) (online + hidden);
}


static int
presence_set(rds_t *hub, cmd_t *cmd, const conf_t *cf, const char *set,
    const char *now)
{
    int       n;
    reply_t  *users;

    users = rds_call(hub, "ZRANGEBYSCORE", set, "-inf", now, "LIMIT", "0",
                     PRESENCE_TURN);

    if (reply_is_error(users)) {
        log_error("presence_failed", "reason=%s", reply_text(users));
        reply_free(users);
        return 0;
    }

    n = presence_left(hub, cmd, cf, users);
    reply_free(users);

    return n;
}


static int
presence_left(rds_t *c, cmd_t *cmd, const conf_t *cf, const reply_t *users)
{
    int          n;
    char         conns[WRT_NAME_BUF], state[WRT_NAME_BUF];
    char         rooms[WRT_NAME_BUF], chan[WRT_NAME_BUF];
    size_t       i, len;
    reply_t     *r;
    const char  *uid;

    wrt_chan_presence(chan, &cf->names);

    for (i = 0; i < reply_count(users); i++) {
        uid = reply_text(reply_at(users, i));
        len = reply_len(reply_at(users, i));

        wrt_key_user_conns(conns, uid, len);
        wrt_key_user_presence(state, uid, len);
        wrt_key_user_convs(rooms, uid, len);

        cmd_begin(cmd, "FCALL");
        cmd_text(cmd, WRT_FN_LEFT);
        cmd_num(cmd, 5);
        cmd_text(cmd, WRT_KEY_ONLINE);
        cmd_text(cmd, WRT_KEY_HIDDEN);
        cmd_text(cmd, conns);
        cmd_text(cmd, state);
        cmd_text(cmd, rooms);
        cmd_text(cmd, chan);
        cmd_mem(cmd, uid, len);
        rds_push(c, cmd);
    }

    for (i = 0, n = 0; i < reply_count(users); i++) {
        r = rds_pull(c);

        if (reply_is_error(r)) {
            log_error("presence_failed", "user=%s reason=%s",
                      reply_text(reply_at(users, i)), reply_text(r));
        }

        n += reply_int(reply_at(r, 1), 0) == 1;
        reply_free(r);
    }

    return n;
}
