/*
 * server.c: what has to be on a Redis server before we work with it, and
 * connections that mend themselves.
 *
 * Every new connection is checked: Redis may have been restarted empty, or
 * replaced, while we were away.  The library is loaded when it is missing or
 * another text; one of a higher version belongs to a newer worker and is left
 * alone, and we refuse to work with it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "writeen_lua.h"
#include "worker/worker.h"

#define LINK_DELAY_MIN      50
#define LINK_DELAY_MAX      2000
#define LINK_REFUSED_DELAY  5000
#define LINK_LASTS_MS       3000    /* until then it may be good for nothing */


/* The version that a library on the server says it has; 0 when it has none. */
static long
server_version(rds_t *c)
{
    long      v;
    reply_t  *r;

    r = rds_call(c, "FCALL", WRT_FN_VERSION, "0");
    v = reply_is_error(r) ? 0 : (long) reply_int(r, 0);
    reply_free(r);

    return v;
}


static server_rc_t
server_library(rds_t *c, char *err, size_t size)
{
    int             same;
    long            v;
    cmd_t           cmd;
    reply_t        *r;
    const reply_t  *code;

    r = rds_call(c, "FUNCTION", "LIST", "LIBRARYNAME", "writeen", "WITHCODE");

    if (reply_is_error(r)) {
        snprintf(err, size, "Redis answers \"%.200s\" to FUNCTION LIST; "
                 "version 7.0 or later is required", reply_text(r));
        reply_free(r);
        return SERVER_REFUSED;
    }

    code = reply_field(reply_at(r, 0), "library_code");
    same = reply_len(code) == writeen_lua_len
           && memcmp(reply_text(code), writeen_lua, writeen_lua_len) == 0;
    reply_free(r);

    if (same || !rds_alive(c)) {
        return rds_alive(c) ? SERVER_OK : SERVER_AWAY;
    }

    v = server_version(c);

    if (v > atol(WRT_LIBRARY_VERSION)) {
        snprintf(err, size, "its function library writeen has version %ld, "
                 "this worker knows %s; install the newer worker", v,
                 WRT_LIBRARY_VERSION);
        return SERVER_REFUSED;
    }

    memset(&cmd, 0, sizeof(cmd));
    cmd_begin(&cmd, "FUNCTION");
    cmd_text(&cmd, "LOAD");
    cmd_text(&cmd, "REPLACE");
    cmd_mem(&cmd, writeen_lua, writeen_lua_len);

    r = rds_run(c, &cmd);
    cmd_free(&cmd);

    if (reply_is_error(r)) {
        snprintf(err, size, "FUNCTION LOAD: %.200s", reply_text(r));
        reply_free(r);
        return SERVER_REFUSED;
    }

    reply_free(r);

    if (!rds_alive(c)) {
        return SERVER_AWAY;
    }

    log_info("library_loaded", "server=%u version=%s replaced=%ld",
             rds_server(c), WRT_LIBRARY_VERSION, v);

    return SERVER_OK;
}


/* A field of wrt:config, which is written once for all: what stands there now,
 * in have. */
static server_rc_t
server_once(rds_t *c, const char *field, const char *value, char *have,
    size_t size)
{
    reply_t  *r;

    reply_free(rds_call(c, "HSETNX", WRT_KEY_CONFIG, field, value));
    r = rds_call(c, "HGET", WRT_KEY_CONFIG, field);

    snprintf(have, size, "%s", reply_text(r));
    reply_free(r);

    return rds_alive(c) ? SERVER_OK : SERVER_AWAY;
}


/*
 * Which of how many servers this is: where a shard lies follows from it.  An
 * nginx or a pool that names others, or in another order, would write events
 * where nobody looks for them.
 */
static server_rc_t
server_place(rds_t *c, const conf_t *cf, char *err, size_t size)
{
    char          want[32], have[32];
    server_rc_t   rc;

    snprintf(want, sizeof(want), "%u of %u", rds_server(c) + 1, cf->nredis);

    rc = server_once(c, WRT_F_SERVER, want, have, sizeof(have));

    if (rc == SERVER_OK && strcmp(have, want) != 0) {
        snprintf(err, size, "in REDIS_URL it is server %s, its data is that "
                 "of server %.20s; name the same servers in the same order as "
                 "before and as writeen_redis, or begin with empty ones", want,
                 have);
        rc = SERVER_REFUSED;
    }

    return rc;
}


/* The number of shards. */
static server_rc_t
server_config(rds_t *c, const conf_t *cf, char *err, size_t size)
{
    char          want[32], have[32];
    server_rc_t   rc;

    snprintf(want, sizeof(want), "%u", cf->names.shards);

    rc = server_once(c, WRT_F_SHARDS, want, have, sizeof(have));

    if (rc == SERVER_OK && strcmp(have, want) != 0) {
        snprintf(err, size, "its data is laid out for %s shards, SHARDS is "
                 "%s; the number is fixed at the first start: set SHARDS (and "
                 "writeen_shards of nginx) to %s, or use another Redis "
                 "database", have, want, have);
        rc = SERVER_REFUSED;
    }

    return rc;
}


server_rc_t
server_prepare(rds_t *c, const conf_t *cf, char *err, size_t size)
{
    server_rc_t  rc;

    err[0] = '\0';
    rc = server_library(c, err, size);

    if (rc == SERVER_OK && rds_server(c) == 0) {
        rc = server_config(c, cf, err, size);
    }

    if (rc == SERVER_OK) {
        rc = server_place(c, cf, err, size);
    }

    if (rc == SERVER_AWAY) {
        snprintf(err, size, "%s", rds_error(c));
    }

    return rc;
}


int
server_check(rds_t *c)
{
    reply_t  *r;

    r = rds_call(c, "FCALL", WRT_FN_VERSION, "0");

    if (reply_is_error(r)) {
        rds_fail(c, reply_text(r));
    }

    reply_free(r);

    return rds_alive(c) ? 0 : -1;
}


int
server_group(rds_t *c, const char *stream, const char *group)
{
    reply_t  *r;

    /* from the start: what came before the group is ours, too */
    r = rds_call(c, "XGROUP", "CREATE", stream, group, "0", "MKSTREAM");

    if (reply_is_error(r) && !reply_error(r, "BUSYGROUP")) {
        rds_fail(c, reply_text(r));
    }

    reply_free(r);

    return rds_alive(c) ? 0 : -1;
}


void
link_init(link_t *l, const conf_t *cf, unsigned server, counters_t *counters)
{
    memset(l, 0, sizeof(*l));
    l->c = rds_create(cf, server);
    l->cf = cf;
    l->counters = counters;
}


void
link_free(link_t *l)
{
    rds_free(l->c);
    l->c = NULL;
}


static void
link_later(link_t *l)
{
    l->delay = l->delay == 0 ? LINK_DELAY_MIN
               : l->delay * 2 > LINK_DELAY_MAX ? LINK_DELAY_MAX
               : l->delay * 2;
    l->next = mono_ms() + l->delay;
}


/*
 * It was up until now.  A server that lets us in and then refuses what we are
 * there for (full, read-only, a key of another type) would be asked thousands
 * of times a second, and each time be told of: so a connection that did not
 * last is not made again at once, and told of twice.
 */
static void
link_lost(link_t *l)
{
    const char  *name;

    name = l->cf->redis_name[rds_server(l->c)];

    if (mono_ms() - l->since >= LINK_LASTS_MS) {
        l->brief = 0;
        l->delay = 0;

    } else {
        l->brief++;
        link_later(l);
    }

    l->since = 0;

    if (l->brief <= 1) {
        log_warn("redis_lost", "server=%s error=\"%s\"", name,
                 rds_error(l->c));

    } else if (l->brief == 2) {
        log_error("redis_unusable", "server=%s error=\"%s\" retry=yes", name,
                  rds_error(l->c));
    }
}


static void
link_found(link_t *l)
{
    if (l->brief <= 1 && (l->down || l->generation)) {
        log_info("redis_connected", "server=%s",
                 l->cf->redis_name[rds_server(l->c)]);
    }

    if (l->counters) {
        count_add(l->counters->redis_connects, 1);
    }

    l->generation++;
    l->down = 0;
    l->since = mono_ms();

    if (l->brief == 0) {
        l->delay = 0;
    }
}


/* It has lasted. */
static void
link_settled(link_t *l)
{
    if (l->brief > 1) {
        log_info("redis_connected", "server=%s",
                 l->cf->redis_name[rds_server(l->c)]);
    }

    l->brief = 0;
    l->delay = 0;
}


int
link_up(link_t *l)
{
    char         err[CONF_ERROR_SIZE];
    server_rc_t  rc;

    if (rds_alive(l->c)) {
        if (l->brief && mono_ms() - l->since >= LINK_LASTS_MS) {
            link_settled(l);
        }

        return 0;
    }

    if (l->since) {
        link_lost(l);
    }

    if (mono_ms() < l->next) {
        return -1;
    }

    if (rds_connect(l->c) == 0) {
        rc = server_prepare(l->c, l->cf, err, sizeof(err));

    } else {
        snprintf(err, sizeof(err), "%s", rds_error(l->c));
        rc = SERVER_AWAY;
    }

    if (rc == SERVER_OK) {
        link_found(l);
        return 0;
    }

    if (!l->down && l->brief <= 1) {
        log_error("redis_unusable", "server=%s error=\"%s\" retry=yes",
                  l->cf->redis_name[rds_server(l->c)], err);
    }

    l->down = 1;
    rds_close(l->c);
    link_later(l);

    if (rc == SERVER_REFUSED) {
        l->delay = LINK_REFUSED_DELAY;
        l->next = mono_ms() + l->delay;
    }

    return -1;
}


int
link_wait_ms(const link_t *l)
{
    int64_t  ms;

    ms = l->next - mono_ms();

    return ms < 1 ? 1 : (int) ms;
}


void
link_fail(link_t *l, const char *why)
{
    rds_fail(l->c, why);
}
