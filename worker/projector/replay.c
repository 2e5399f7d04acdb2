/*
 * replay.c: dead letters back into the ingest streams (--replay-dead), after
 * what made them undeliverable was mended: a newer worker that knows the
 * event, a conversation that is there now.
 *
 * In the order in which they came.  A numbered event whose number has passed
 * (a fence took its place, so that others could go on) is emitted again under
 * a new number, since the store passes over old ones; its content and its
 * time are the old ones.  Everything else goes back as it is.
 *
 * An entry leaves the dead-letter stream after it is back; a crash in between
 * repeats it, which the store takes for what it is: the same message.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define REPLAY_PAGE  100

typedef struct {
    const conf_t  *cf;
    store_t       *store;
    rds_t         *c;
    cmd_t          cmd;
    unsigned       shard;
    char           dead[WRT_NAME_BUF];
    char           ingest[WRT_NAME_BUF];
    long           moved;
} replay_t;


static void
replay_value(cmd_t *cmd, const char *name, const reply_t *fields)
{
    const reply_t  *v;

    v = reply_field(fields, name);
    cmd_text(cmd, name);
    cmd_mem(cmd, reply_text(v), reply_len(v));
}


/* As it is, in one step. */
static int
replay_move(replay_t *y, const char *id, const reply_t *fields)
{
    rds_queue(y->c, "MULTI");

    cmd_begin(&y->cmd, "XADD");
    cmd_text(&y->cmd, y->ingest);
    cmd_text(&y->cmd, "*");
    replay_value(&y->cmd, WRT_F_CONV, fields);
    replay_value(&y->cmd, WRT_F_PAYLOAD, fields);
    replay_value(&y->cmd, WRT_F_EXTRA, fields);
    rds_push(y->c, &y->cmd);

    rds_queue(y->c, "XDEL", y->dead, id);
    rds_queue(y->c, "EXEC");

    return rds_drain(y->c);
}


/* Has the number passed?  1, 0, -1: Redis or the store failed. */
static int
replay_passed(replay_t *y, const entry_t *e)
{
    int         try;
    char        key[WRT_NAME_BUF];
    reply_t    *r;
    int64_t     applied;
    store_rc_t  rc;

    wrt_key_conv(key, y->shard, e->conversation, strlen(e->conversation));

    for (try = 0; try < 2; try++) {
        r = rds_call(y->c, "HGET", key, WRT_F_APPLIED);
        applied = reply_int(r, -1);
        rc = reply_is_nil(r) ? STORE_NOT_FOUND : STORE_OK;
        reply_free(r);

        if (!rds_alive(y->c)) {
            return -1;
        }

        if (rc == STORE_OK) {
            return applied >= e->ev.seq;
        }

        rc = load_conversation(y->store, y->c, y->cf, e->conversation);

        if (rc == STORE_NOT_FOUND) {
            /* its creation may be among the letters */
            return 0;
        }

        if (rc != STORE_OK) {
            return -1;
        }
    }

    return -1;
}


/* Under a new number.  0 done, -1 not (it stays a dead letter). */
static int
replay_emit(replay_t *y, const char *id, const entry_t *e)
{
    int       ok;
    reply_t  *r;

    if (reemit_event(y->c, &y->cmd, y->cf, y->shard, e) != 0) {
        return -1;
    }

    r = rds_call(y->c, "XDEL", y->dead, id);
    ok = r && !reply_is_error(r);
    reply_free(r);

    return ok ? 0 : -1;
}


static int
replay_one(replay_t *y, const char *id, const reply_t *fields)
{
    int             rc;
    entry_t         e;
    wrt_slice_t     s[3];
    unsigned        i;
    const char     *why;
    const reply_t  *v;

    static const char  *names[] = { WRT_F_CONV, WRT_F_PAYLOAD, WRT_F_EXTRA };

    for (i = 0; i < 3; i++) {
        v = reply_field(fields, names[i]);
        s[i].p = reply_text(v);
        s[i].n = reply_len(v);
    }

    why = event_decode(&e, id, s[0], s[1], s[2], 1);
    rc = 0;

    if (why == NULL && event_numbered(&e) && e.ev.kind != WRT_EV_FENCE) {
        rc = replay_passed(y, &e);
    }

    if (rc == 1) {
        rc = replay_emit(y, id, &e);

    } else if (rc == 0) {
        rc = replay_move(y, id, fields);
    }

    event_free(&e);

    return rc;
}


static int
replay_shard(replay_t *y)
{
    int             rc;
    char            from[EVENT_ENTRY_SIZE + 1], page[16];
    size_t          i, n;
    reply_t        *r;
    const char     *id;
    const reply_t  *e;

    wrt_key_ingest(y->ingest, y->shard);
    wrt_key_ingest_dead(y->dead, y->shard);

    snprintf(page, sizeof(page), "%d", REPLAY_PAGE);
    text_copy(from, sizeof(from), "-");

    do {
        r = rds_call(y->c, "XRANGE", y->dead, from, "+", "COUNT", page);
        n = reply_count(r);
        rc = r && !reply_is_error(r) ? 0 : -1;

        for (i = 0; i < n && rc == 0; i++) {
            e = reply_at(r, i);
            id = reply_text(reply_at(e, 0));
            rc = replay_one(y, id, reply_at(e, 1));

            if (rc == 0) {
                y->moved++;
                snprintf(from, sizeof(from), "(%.*s", EVENT_ENTRY_SIZE - 1,
                         id);

            } else {
                log_error("replay", "shard=%u entry=%s error=\"%s\"",
                          y->shard, id, rds_error(y->c));
            }
        }

        reply_free(r);

    } while (rc == 0 && n == REPLAY_PAGE);

    return rc;
}


int
boot_replay_dead(const conf_t *cf)
{
    int       status;
    char      err[512];
    replay_t  y;

    status = boot_run(cf, 0);

    if (status != EXIT_SUCCESS) {
        return status;
    }

    memset(&y, 0, sizeof(y));
    y.cf = cf;
    y.store = store_open(cf->store_url, cf->scripts_dir, 0, err, sizeof(err));

    if (y.store == NULL) {
        log_error("store_open", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    for (y.shard = 0; y.shard < cf->names.shards; y.shard++) {
        y.c = rds_create(cf, conf_server(cf, y.shard));

        if (rds_connect(y.c) != 0 || replay_shard(&y) != 0) {
            log_error("replay", "shard=%u error=\"%s\"", y.shard,
                      rds_error(y.c));
            status = EXIT_FAILURE;
        }

        rds_free(y.c);
    }

    printf("%ld moved\n", y.moved);

    cmd_free(&y.cmd);
    store_close(y.store);

    return status;
}
