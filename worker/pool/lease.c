/*
 * lease.c: which projector works on which shard.
 *
 * A shard's lease is a string with a time to live; its value names the
 * projector's place in its pool, not the process: one that is started anew
 * goes on at once, since its parent has reaped the one before.  A lease whose
 * pool is known to have ended (node.c) is taken over at once, others when
 * they run out.
 *
 * Fair sharing: every projector that is able to work counts itself in
 * wrt:projectors, and nobody keeps more than his part, rounded up.  Since the
 * parts add up to all shards or more, none stays without an owner.
 *
 * Leases keep two projectors from doing the same work twice; they are not
 * what makes it right: the store passes over numbers that it has, and
 * watermarks only rise.  What has no number (a name, a mute) is not so safe:
 * whoever stood still does not begin with what he read before.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define LEASE_PERIOD_MS  (WRT_LEASE_TTL_MS / 5)
#define LEASE_SHARED_MS  (WRT_LEASE_TTL_MS / 10)    /* with others there */
#define LEASE_MARGIN_MS  (WRT_LEASE_TTL_MS / 5)     /* to do something with */

/*
 * KEYS lease  ARGV self ttl expected want
 * Keeps it if it is ours; takes it if it is free and wanted, or held by
 * `expected`.  Answers 1 kept, 2 taken, the holder's name, or nil (free).
 */
static const char  lease_script[] =
    "local v = redis.call('GET', KEYS[1])\n"
    "if v == ARGV[1] then\n"
    "  redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1\n"
    "end\n"
    "if (not v and ARGV[4] == '1') or (v and v == ARGV[3]) then\n"
    "  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 2\n"
    "end\n"
    "return v";

/* KEYS lease  ARGV self: give it back if it is ours. */
static const char  lease_release_script[] =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
    "  return redis.call('DEL', KEYS[1])\n"
    "end\n"
    "return 0";

/* KEYS projectors  ARGV self ttl able: count ourselves in or out, by the
 * server's clock.  Answers who is there. */
static const char  lease_count_script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)\n"
    "if ARGV[3] == '1' then\n"
    "  redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])\n"
    "else\n"
    "  redis.call('ZREM', KEYS[1], ARGV[1])\n"
    "end\n"
    "return redis.call('ZRANGE', KEYS[1], 0, -1)";


void
lease_init(leases_t *ls, const conf_t *cf, unsigned server, const char *node)
{
    unsigned  k;

    memset(ls, 0, sizeof(*ls));
    snprintf(ls->self, sizeof(ls->self), "%s/p%u", node, server);
    ls->leases = mem_zero(cf->names.shards * sizeof(lease_t));

    for (k = 0; k < cf->names.shards; k++) {
        if (conf_server(cf, k) == server) {
            ls->leases[ls->n++].shard = k;
        }
    }
}


void
lease_free(leases_t *ls)
{
    free(ls->leases);
    memset(ls, 0, sizeof(*ls));
}


int
lease_wait_ms(const leases_t *ls)
{
    int64_t  ms;

    ms = ls->next - mono_ms();

    return ms < 0 ? 0 : (int) ms;
}


int
lease_late(const leases_t *ls)
{
    return mono_ms() >= ls->until - LEASE_MARGIN_MS;
}


void
lease_forget(leases_t *ls)
{
    unsigned  i;

    for (i = 0; i < ls->n; i++) {
        ls->leases[i].held = 0;
    }

    ls->nheld = 0;
    ls->next = 0;
}


static void
lease_set(leases_t *ls, lease_t *l, int held)
{
    if (l->held == held) {
        return;
    }

    l->held = held;

    if (held) {
        ls->nheld++;
    } else {
        ls->nheld--;
    }
}


static void
lease_script_cmd(cmd_t *cmd, const char *script, const char *key,
    const char *self)
{
    cmd_begin(cmd, "EVAL");
    cmd_text(cmd, script);
    cmd_num(cmd, 1);
    cmd_text(cmd, key);
    cmd_text(cmd, self);
}


static void
lease_ask(leases_t *ls, rds_t *c, cmd_t *cmd, unsigned shard,
    const char *expected, int want)
{
    char  key[WRT_NAME_BUF];

    wrt_key_lease(key, shard);
    lease_script_cmd(cmd, lease_script, key, ls->self);
    cmd_num(cmd, WRT_LEASE_TTL_MS);
    cmd_text(cmd, expected);
    cmd_num(cmd, want);
    rds_push(c, cmd);
}


/* Does this name belong to a pool of this host that has ended?  The part
 * before the slash is the pool's. */
static int
lease_orphaned(const char *holder)
{
    const char  *slash;

    slash = strchr(holder, '/');

    return slash && node_gone(holder, (size_t) (slash - holder));
}


/* How many projectors share the shards of this server; 0 when Redis failed.
 * One that is not able to work does not count, not even itself. */
static unsigned
lease_count(leases_t *ls, rds_t *c, cmd_t *cmd, int able)
{
    size_t       i;
    reply_t     *r;
    unsigned     n;
    const char  *name;

    lease_script_cmd(cmd, lease_count_script, WRT_KEY_PROJECTORS, ls->self);
    cmd_num(cmd, WRT_LEASE_TTL_MS);
    cmd_num(cmd, able);

    r = rds_run(c, cmd);

    if (reply_is_error(r)) {
        rds_fail(c, reply_text(r));
    }

    for (i = 0, n = 0; i < reply_count(r); i++) {
        name = reply_text(reply_at(r, i));

        if (lease_orphaned(name)) {
            reply_free(rds_call(c, "ZREM", WRT_KEY_PROJECTORS, name));
        } else {
            n++;
        }
    }

    reply_free(r);

    return n;
}


/* Renew what we hold and see who has the rest; what is to be had goes on. */
static int
lease_renew(leases_t *ls, rds_t *c, cmd_t *cmd)
{
    lease_t     *l;
    reply_t     *r;
    unsigned     i, lost;

    for (i = 0; i < ls->n; i++) {
        lease_ask(ls, c, cmd, ls->leases[i].shard, "", 0);
    }

    for (i = 0, lost = 0; i < ls->n; i++) {
        l = &ls->leases[i];
        r = rds_pull(c);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(c, reply_text(r));
            reply_free(r);
            return -1;
        }

        lost += l->held && reply_int(r, 0) != 1;
        lease_set(ls, l, reply_int(r, 0) == 1);

        l->orphan[0] = '\0';
        l->free = reply_is_nil(r);

        if (!l->held && lease_orphaned(reply_text(r))) {
            l->free = 1;
            snprintf(l->orphan, sizeof(l->orphan), "%s", reply_text(r));
        }

        reply_free(r);
    }

    if (lost > 0) {
        log_warn("shards_lost", "shards=%u held=%u of=%u", lost, ls->nheld,
                 ls->n);
    }

    return 0;
}


static int
lease_take(leases_t *ls, rds_t *c, cmd_t *cmd, unsigned fair)
{
    lease_t   *l;
    reply_t   *r;
    unsigned   i, before;

    before = ls->nheld;

    for (i = 0; i < ls->n && ls->nheld < fair; i++) {
        l = &ls->leases[i];

        if (l->held || !l->free) {
            continue;
        }

        lease_ask(ls, c, cmd, l->shard, l->orphan, 1);
        r = rds_pull(c);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(c, reply_text(r));
            reply_free(r);
            return -1;
        }

        lease_set(ls, l, reply_int(r, 0) > 0);
        reply_free(r);
    }

    if (ls->nheld > before) {
        log_info("shards_taken", "shards=%u held=%u of=%u",
                 ls->nheld - before, ls->nheld, ls->n);
    }

    return 0;
}


/* Give the last ones back until `keep` are left. */
static int
lease_give(leases_t *ls, rds_t *c, cmd_t *cmd, unsigned keep)
{
    char       key[WRT_NAME_BUF];
    lease_t   *l;
    unsigned   i, n;

    for (i = ls->n, n = 0; i > 0 && ls->nheld > keep; i--) {
        l = &ls->leases[i - 1];

        if (l->held) {
            wrt_key_lease(key, l->shard);
            lease_script_cmd(cmd, lease_release_script, key, ls->self);
            rds_push(c, cmd);
            lease_set(ls, l, 0);
            n++;
        }
    }

    if (n > 0) {
        log_info("shards_given", "shards=%u held=%u of=%u", n, ls->nheld,
                 ls->n);
    }

    return rds_drain(c);
}


int
lease_turn(leases_t *ls, rds_t *c, int able)
{
    int        rc;
    cmd_t      cmd;
    int64_t    until;
    unsigned   count, fair;

    memset(&cmd, 0, sizeof(cmd));
    rc = -1;

    count = lease_count(ls, c, &cmd, able);
    until = mono_ms() + WRT_LEASE_TTL_MS;

    if (!rds_alive(c) || lease_renew(ls, c, &cmd) != 0) {
        goto done;
    }

    ls->until = until;

    /* who can not work leaves his shards to those who can, if there are any */
    fair = count ? (able ? (ls->n + count - 1) / count : 0) : ls->nheld;

    rc = ls->nheld > fair ? lease_give(ls, c, &cmd, fair)
                          : lease_take(ls, c, &cmd, fair);

    ls->next = mono_ms() + (count > 1 ? LEASE_SHARED_MS : LEASE_PERIOD_MS);

done:

    cmd_free(&cmd);

    return rc;
}


void
lease_release(leases_t *ls, rds_t *c)
{
    cmd_t  cmd;

    memset(&cmd, 0, sizeof(cmd));
    lease_give(ls, c, &cmd, 0);
    reply_free(rds_call(c, "ZREM", WRT_KEY_PROJECTORS, ls->self));
    cmd_free(&cmd);
}
