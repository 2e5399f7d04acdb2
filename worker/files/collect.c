/*
 * collect.c: removes blobs from storage that no file refers to: of deleted
 * messages, of uploads that were given up, of processes that died between
 * storage and record.
 *
 * A blob is left alone
 *   - until it is blob_grace_s old: whoever puts one queues its record only
 *     afterwards;
 *   - until the store has all that was queued when the turn began: however far
 *     the projectors are behind, a record that is on its way counts;
 *   - while an upload has a hold on it (wrt_blob): a put of what is there
 *     already makes it young again only when it comes.
 * Several pools may do this at once.
 *
 * It reads a list of the whole storage, so it is done seldom, and only when the
 * store answers: what cannot be asked for is kept.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define COLLECT_MIN_MS   1000
#define COLLECT_PART     4          /* of the grace time between two turns */
#define COLLECT_MAX      1000       /* blobs removed in one turn */

struct collect_s {
    role_t    *role;
    blob_t    *blob;
    rds_t     *hub;
    int64_t    next;                /* mono */
    int64_t    since;               /* ms: waits for what is older, 0: not */
    int64_t    before;              /* ms: older ones are looked at */
    unsigned   removed;
    int        down;                /* it has been logged */
    cmd_t      cmd;
};


collect_t *
collect_open(role_t *r, blob_t *b)
{
    collect_t  *c;

    c = mem_zero(sizeof(collect_t));
    c->role = r;
    c->blob = b;

    return c;
}


void
collect_close(collect_t *c)
{
    if (c) {
        cmd_free(&c->cmd);
        free(c);
    }
}


/* Nobody puts it from now on.  1, 0. */
static int
collect_hold(collect_t *c, const char *hash)
{
    int       rc;
    char      key[WRT_NAME_BUF];
    reply_t  *r;

    cmd_begin(&c->cmd, "FCALL");
    cmd_text(&c->cmd, WRT_FN_BLOB);
    cmd_num(&c->cmd, 1);
    cmd_mem(&c->cmd, key, wrt_key_blob(key, hash, strlen(hash)));
    cmd_text(&c->cmd, WRT_BLOB_COLLECT);
    cmd_num(&c->cmd, WRT_BLOB_COLLECT_MS);

    r = rds_run(c->hub, &c->cmd);
    rc = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);

    return rc;
}


static void
collect_release(collect_t *c, const char *hash)
{
    char  key[WRT_NAME_BUF];

    wrt_key_blob(key, hash, strlen(hash));
    reply_free(rds_call(c->hub, "DEL", key));
}


/* 1: it may go.  0: not, -1: not known. */
static int
collect_is_orphan(collect_t *c, const char *hash)
{
    store_t     *st;
    int64_t      refs;
    store_rc_t   rc;

    st = role_store(c->role);
    if (st == NULL) {
        return -1;
    }

    rc = store_file_refs(st, hash, &refs);
    role_store_result(c->role, rc);

    return rc != STORE_OK ? -1 : refs == 0;
}


static int
collect_each(void *data, const char *key, const blob_stat_t *st)
{
    int          orphan;
    char         hash[BLOB_HASH_LEN + 1];
    collect_t   *c = data;
    blob_stat_t  now;

    if (role_stopping() || c->removed >= COLLECT_MAX || !rds_alive(c->hub)) {
        return 1;
    }

    if (st->changed_ms > c->before) {
        return 0;
    }

    memcpy(hash, key, BLOB_HASH_LEN);
    hash[BLOB_HASH_LEN] = '\0';

    orphan = collect_is_orphan(c, hash);

    if (orphan != 1 || !collect_hold(c, hash)) {
        return orphan < 0;
    }

    /* again, now that nobody can begin with it */
    if (blob_stat(c->blob, key, &now) == BLOB_OK
        && now.changed_ms <= c->before && collect_is_orphan(c, hash) == 1
        && blob_delete(c->blob, key) == BLOB_OK)
    {
        c->removed++;
        log_debug("blob_collected", "key=%s", key);
    }

    collect_release(c, hash);

    return 0;
}


/* Has the store everything of this server that was queued before?  An entry
 * leaves its stream only after it is stored. */
static int
collect_stored(collect_t *c, link_t *link, unsigned server)
{
    int            stored;
    char           key[WRT_NAME_BUF];
    reply_t       *r;
    unsigned       k;
    const conf_t  *cf;

    cf = c->role->cf;

    if (link_up(link) != 0) {
        return 0;
    }

    for (k = server; k < cf->names.shards; k += cf->nredis) {
        wrt_key_ingest(key, k);
        rds_queue(link->c, "XRANGE", key, "-", "+", "COUNT", "1");
    }

    stored = 1;

    for (k = server; k < cf->names.shards; k += cf->nredis) {
        r = rds_pull(link->c);

        if (r == NULL || reply_is_error(r)
            || (reply_count(r) > 0
                && atoll(reply_text(reply_at(reply_at(r, 0), 0)))
                   <= c->since))
        {
            stored = 0;
        }

        reply_free(r);
    }

    return stored;
}


/* Is it time, and is the store as far as it has to be? */
static int
collect_due(collect_t *c, link_t *links)
{
    unsigned  i;

    if (mono_ms() < c->next) {
        return 0;
    }

    if (c->since == 0) {
        c->since = now_ms();
    }

    for (i = 0; i < c->role->cf->nredis; i++) {
        if (!collect_stored(c, &links[i], i)) {
            return 0;
        }
    }

    c->since = 0;

    return 1;
}


void
collect_turn(collect_t *c, link_t *links)
{
    unsigned   left;
    int64_t    wait;
    blob_rc_t  rc;

    if (!collect_due(c, links)) {
        return;
    }

    wait = (int64_t) c->role->cf->blob_grace_s * 1000 / COLLECT_PART;

    c->hub = links[0].c;
    c->removed = 0;
    c->before = now_ms() - (int64_t) c->role->cf->blob_grace_s * 1000;

    rc = blob_each(c->blob, collect_each, c);

    if (rc == BLOB_OK) {
        rc = blob_sweep(c->blob, c->role->cf->blob_grace_s, &left);
    }

    if (rc != BLOB_OK && !c->down) {
        log_warn("collect", "error=\"%s\" retry=yes", blob_error(c->blob));
    }

    c->down = rc != BLOB_OK;

    if (c->removed > 0) {
        log_info("collected", "blobs=%u", c->removed);
        count_add(c->role->slot->counters.blobs_collected, c->removed);
    }

    c->next = mono_ms() + (wait < COLLECT_MIN_MS ? COLLECT_MIN_MS : wait);
}
