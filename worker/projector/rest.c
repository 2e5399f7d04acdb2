/*
 * rest.c: which conversations Redis may forget.
 *
 * Whoever makes an event wakes its conversation (writeen.lua): it and its log
 * do not expire then, and it is in its shard's set.  Here these sets are gone
 * through, once in WRT_REST_S, a few conversations at a time; those that have
 * been silent for as long, and whose every event is stored, are given their
 * time to live again and leave the set.  All that is known stands in Redis: a
 * projector that is killed, or loses the shard, leaves nothing behind.
 */

#include <stdio.h>
#include <string.h>

#include "worker/projector/projector.h"

#define REST_COUNT    64        /* conversations in a step, about */
#define REST_STEP_MS  20        /* between two steps */


/* Those of one step.  An SSCAN may answer many more than it was asked for, but
 * not of a large set. */
static void
rest_these(projector_t *p, unsigned k, const reply_t *ids)
{
    char            key[WRT_NAME_BUF], before[WRT_TIME_LEN + 1];
    cmd_t          *cmd;
    size_t          i, n;
    const reply_t  *id;

    n = reply_count(ids);

    if (n == 0) {
        return;
    }

    cmd = &p->cmd;
    wrt_time_format(now_ms() - (int64_t) WRT_REST_S * 1000, before);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_REST);
    cmd_num(cmd, 1 + 2 * (int64_t) n);
    cmd_mem(cmd, key, wrt_key_awake(key, k));

    for (i = 0; i < n; i++) {
        id = reply_at(ids, i);
        cmd_mem(cmd, key, wrt_key_conv(key, k, reply_text(id),
                                       reply_len(id)));
        cmd_mem(cmd, key, wrt_key_log(key, k, reply_text(id), reply_len(id)));
    }

    cmd_text(cmd, before);

    for (i = 0; i < n; i++) {
        id = reply_at(ids, i);
        cmd_mem(cmd, reply_text(id), reply_len(id));
    }

    reply_free(rds_run(p->shard.c, cmd));
}


/* To the next shard that is ours; after the last one it is over for a while. */
static void
rest_next(projector_t *p)
{
    p->rest_cursor[0] = '\0';

    while (++p->rest_lease < p->leases.n) {
        if (p->leases.leases[p->rest_lease].held) {
            return;
        }
    }

    p->rest_lease = 0;
    p->rest_at = mono_ms() + (int64_t) WRT_REST_S * 1000;
}


void
projector_rest(projector_t *p)
{
    char          key[WRT_NAME_BUF];
    reply_t      *r;
    unsigned      k;
    const char   *next;

    if (mono_ms() < p->rest_at) {
        return;
    }

    p->rest_at = mono_ms() + REST_STEP_MS;

    if (p->rest_lease >= p->leases.n
        || !p->leases.leases[p->rest_lease].held)
    {
        rest_next(p);
        return;
    }

    k = p->leases.leases[p->rest_lease].shard;

    cmd_begin(&p->cmd, "SSCAN");
    cmd_mem(&p->cmd, key, wrt_key_awake(key, k));
    cmd_text(&p->cmd, p->rest_cursor[0] ? p->rest_cursor : "0");
    cmd_text(&p->cmd, "COUNT");
    cmd_num(&p->cmd, REST_COUNT);

    r = rds_run(p->shard.c, &p->cmd);
    next = reply_text(reply_at(r, 0));
    snprintf(p->rest_cursor, sizeof(p->rest_cursor), "%s", next);
    rest_these(p, k, reply_at(r, 1));

    if (next[0] == '\0' || strcmp(next, "0") == 0) {
        rest_next(p);
    }

    reply_free(r);
}
