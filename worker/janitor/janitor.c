/*
 * janitor.c: keeps Redis tidy, sees who has gone, ends what has had its time,
 * and publishes the pool's figures.
 *
 * Several pools may do this at once: everything here may be done twice.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/scribe/scribe.h"

#define JANITOR_METRICS_MS   1000
#define JANITOR_SWEEP_MS     10000
#define JANITOR_SESSIONS_MS  1000
#define JANITOR_NODE_S       60     /* a pool that is silent for so long */
#define JANITOR_CONSUMER_MS  15000  /* a new pool has said its name by then */

typedef struct {
    role_t    *role;
    link_t    *links;               /* one a server; the first is the hub */
    int64_t   *backlog;             /* by shard; -1: not known */
    int64_t   *dead;
    int64_t    metrics_at;          /* mono: when it is due */
    int64_t    sweep_at;
    int64_t    presence_at;
    int64_t    sessions_at;
    scribe_turns_t *turns;
    int64_t    retain_at;
    retain_t  *retain;
    int64_t    erase_at;
    erase_t   *erase;
    cmd_t      cmd;
} janitor_t;

static void janitor_metrics(janitor_t *j);
static void janitor_nodes(janitor_t *j);
static void janitor_consumers(janitor_t *j);
static int janitor_wait_ms(const janitor_t *j);


int
janitor_run(role_t *r)
{
    unsigned   i;
    int64_t    now;
    janitor_t  j;

    memset(&j, 0, sizeof(j));
    j.role = r;
    j.links = mem_zero(r->cf->nredis * sizeof(link_t));
    j.backlog = mem_zero(r->cf->names.shards * sizeof(int64_t));
    j.dead = mem_zero(r->cf->names.shards * sizeof(int64_t));

    j.retain = retain_open(r);
    j.erase = erase_open(r);
    j.turns = scribe_turns_open(r);

    for (i = 0; i < r->cf->nredis; i++) {
        link_init(&j.links[i], r->cf, i, &r->slot->counters);
    }

    while (!role_stopping()) {
        now = mono_ms();

        if (now >= j.metrics_at) {
            janitor_metrics(&j);
            j.metrics_at = now + JANITOR_METRICS_MS;
        }

        if (now >= j.sweep_at && link_up(&j.links[0]) == 0) {
            janitor_nodes(&j);
            janitor_consumers(&j);
            j.sweep_at = now + JANITOR_SWEEP_MS;
        }

        if (now >= j.presence_at && link_up(&j.links[0]) == 0) {
            count_add(r->slot->counters.presence_left,
                      presence_turn(j.links[0].c, &j.cmd, r->cf));
            j.presence_at = now + WRT_PRESENCE_SWEEP_MS;
        }

        if (now >= j.sessions_at && link_up(&j.links[0]) == 0) {
            scribe_turn(j.turns, j.links, &j.cmd);
            j.sessions_at = mono_ms() + JANITOR_SESSIONS_MS;
        }

        if (now >= j.retain_at && link_up(&j.links[0]) == 0) {
            j.retain_at = mono_ms() + retain_turn(j.retain, j.links);
        }

        if (now >= j.erase_at && link_up(&j.links[0]) == 0) {
            j.erase_at = mono_ms() + erase_turn(j.erase, j.links);
        }

        role_sleep(janitor_wait_ms(&j));
    }

    /* figures of a pool that has ended are no figures */
    if (rds_alive(j.links[0].c)) {
        reply_free(rds_call(j.links[0].c, "HDEL", WRT_KEY_METRICS, r->node));
    }

    for (i = 0; i < r->cf->nredis; i++) {
        link_free(&j.links[i]);
    }

    role_store_close(r);
    retain_close(j.retain);
    erase_close(j.erase);
    scribe_turns_close(j.turns);
    free(j.links);
    free(j.backlog);
    free(j.dead);
    cmd_free(&j.cmd);

    return EXIT_SUCCESS;
}


/* Until something is due; without Redis presence waits for its figures. */
static int
janitor_wait_ms(const janitor_t *j)
{
    int64_t  at;

    at = j->metrics_at;

    if (rds_alive(j->links[0].c) && j->presence_at < at) {
        at = j->presence_at;
    }

    if (rds_alive(j->links[0].c) && j->retain_at < at) {
        at = j->retain_at;
    }

    if (rds_alive(j->links[0].c) && j->erase_at < at) {
        at = j->erase_at;
    }

    at -= mono_ms();

    return at > 0 ? (int) at : 0;
}


/* How long the streams of a server's shards are. */
static void
janitor_lengths(janitor_t *j, unsigned server)
{
    char           key[WRT_NAME_BUF];
    rds_t         *c;
    reply_t       *r;
    unsigned       k, which;
    const conf_t  *cf;

    cf = j->role->cf;
    c = link_up(&j->links[server]) == 0 ? j->links[server].c : NULL;

    for (k = server; c && k < cf->names.shards; k += cf->nredis) {
        wrt_key_ingest(key, k);
        rds_queue(c, "XLEN", key);
        wrt_key_ingest_dead(key, k);
        rds_queue(c, "XLEN", key);
    }

    for (k = server; k < cf->names.shards; k += cf->nredis) {
        for (which = 0; which < 2; which++) {
            r = c ? rds_pull(c) : NULL;
            (which ? j->dead : j->backlog)[k] = reply_int(r, -1);
            reply_free(r);
        }
    }
}


static void
janitor_metrics(janitor_t *j)
{
    buf_t      text;
    unsigned   i;

    for (i = 0; i < j->role->cf->nredis; i++) {
        janitor_lengths(j, i);
    }

    if (link_up(&j->links[0]) != 0) {
        return;
    }

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%lld\n", (long long) (now_ms() / 1000));
    metrics_render(&text, j->role->shared, j->role->node, j->role->cf,
                   j->backlog, j->dead);

    cmd_begin(&j->cmd, "HSET");
    cmd_text(&j->cmd, WRT_KEY_METRICS);
    cmd_text(&j->cmd, j->role->node);
    cmd_mem(&j->cmd, text.p, text.n);
    reply_free(rds_run(j->links[0].c, &j->cmd));

    buf_free(&text);
}


/* Figures of pools that ended without a word. */
static void
janitor_nodes(janitor_t *j)
{
    size_t       i;
    rds_t       *c;
    reply_t     *r;
    int64_t      now;
    const char  *node;

    c = j->links[0].c;
    now = now_ms() / 1000;
    r = rds_call(c, "HGETALL", WRT_KEY_METRICS);

    for (i = 0; i + 1 < reply_count(r); i += 2) {
        node = reply_text(reply_at(r, i));

        if (node_gone(node, strlen(node))
            || now - atoll(reply_text(reply_at(r, i + 1))) > JANITOR_NODE_S)
        {
            reply_free(rds_call(c, "HDEL", WRT_KEY_METRICS, node));
        }
    }

    reply_free(r);
}


/* Has the api process of this consumer, <node>/a<index>-<pid>, ended?  Each
 * pool sees after its own, and after those of pools that are gone. */
static int
janitor_gone(const janitor_t *j, const char *name, const reply_t *nodes)
{
    size_t       i, n;
    long         pid;
    const char  *dash, *slash, *node;

    slash = strchr(name, '/');
    dash = slash ? strchr(slash, '-') : NULL;

    if (dash == NULL) {
        return 1;
    }

    n = (size_t) (slash - name);

    if (strlen(j->role->node) == n && memcmp(j->role->node, name, n) == 0) {
        pid = atol(dash + 1);
        return pid <= 0 || (kill((pid_t) pid, 0) != 0 && errno == ESRCH);
    }

    for (i = 0; i < reply_count(nodes); i++) {
        node = reply_text(reply_at(nodes, i));

        if (strlen(node) == n && memcmp(node, name, n) == 0) {
            return 0;
        }
    }

    return 1;
}


/* Consumers of api processes that ended; what they had in hand was claimed
 * by others, or nobody waits for it any more. */
static void
janitor_consumers(janitor_t *j)
{
    size_t          i;
    rds_t          *c;
    reply_t        *r, *nodes;
    const char     *name;
    const reply_t  *e;

    c = j->links[0].c;
    nodes = rds_call(c, "HKEYS", WRT_KEY_METRICS);
    r = rds_call(c, "XINFO", "CONSUMERS", WRT_KEY_RPC, WRT_GROUP_API);

    for (i = 0; i < reply_count(r); i++) {
        e = reply_at(r, i);
        name = reply_text(reply_field(e, "name"));

        if (name[0] && reply_int(reply_field(e, "pending"), 1) == 0
            && reply_int(reply_field(e, "idle"), 0) > JANITOR_CONSUMER_MS
            && janitor_gone(j, name, nodes))
        {
            reply_free(rds_call(c, "XGROUP", "DELCONSUMER", WRT_KEY_RPC,
                                WRT_GROUP_API, name));
            log_debug("consumer_deleted", "name=%s", name);
        }
    }

    reply_free(r);
    reply_free(nodes);
}
