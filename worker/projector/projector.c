/*
 * projector.c: the one writer of the store.  Reads the ingest streams of the
 * shards that it holds on one Redis server, applies what it reads in batches,
 * and says how far the store is (docs/redis.md, "The projector's turn").
 *
 * Invariants
 *  1. Within a shard events are applied in the order of its stream.
 *  2. An entry leaves the stream only after it is durable in the store, or in
 *     the dead-letter stream, and after its watermark is set.  So a stream is
 *     what is still to be stored, and every turn reads it from its beginning.
 *  3. Nothing that is in hand is needed: after any failure the batch is
 *     dropped, and the next turn reads the same entries again.  Every step may
 *     be repeated.
 *  4. Memory is bounded by WRT_BATCH_MAX entries, and fewer when they are
 *     large.
 *
 * An entry that makes the process crash must not do so for ever: the guard in
 * shared memory (pool.c) tells a crash from a kill; after one, entries are
 * taken one by one, and one that crashed its reader WRT_JOB_TRIES times alone
 * becomes a dead letter.
 */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/projector/projector.h"

#define PROJECTOR_TIDY_MS    20     /* between two steps of tidying up */
#define PROJECTOR_LOOK_MS    2000
#define PROJECTOR_IDLE_MS    200
#define PROJECTOR_BLOCK_MS   1000
#define PROJECTOR_GRACE_MS   5000       /* over the block: Redis is stuck */
#define PROJECTOR_GATHER     8      /* entries in a turn: there are many */
#define PROJECTOR_GATHER_MS  100    /* then a turn begins this often at most */
#define PROJECTOR_FIRST      64     /* entries of the first read */
#define PROJECTOR_WORK_US    500    /* in one go */
#define PROJECTOR_REST_MS    2
#define PROJECTOR_BYTES      (8 * 1024 * 1024)  /* of a batch, as a rule */
#define PROJECTOR_DELAY_MIN  50
#define PROJECTOR_DELAY_MAX  2000

static void projector_turn(projector_t *p);
static int projector_read(projector_t *p);
static int projector_fetch(projector_t *p, int more, unsigned count,
    int block_ms);
static void projector_take(projector_t *p, unsigned lease,
    const reply_t *entries);
static void projector_budget(projector_t *p);
static void projector_drop(projector_t *p);
static void projector_stop(projector_t *p);


int
projector_run(role_t *r)
{
    projector_t  p;

    memset(&p, 0, sizeof(p));

    /* small pieces that are freed are joined one by one, not all of a batch
     * in a millisecond or two when the next large one is wanted */
    (void) mallopt(M_MXFAST, 0);

    p.role = r;
    p.cf = r->cf;
    p.guard = &r->slot->guard;
    p.count = WRT_BATCH_MAX;

    link_init(&p.shard, r->cf, r->index, &r->slot->counters);
    link_init(&p.hub_link, r->cf, 0, NULL);
    p.hub = r->index == 0 ? &p.shard : &p.hub_link;

    lease_init(&p.leases, r->cf, r->index, r->node);

    p.items = mem_zero(PROJECTOR_ITEMS * sizeof(item_t));
    p.asked = mem_zero((p.leases.n + 1) * sizeof(ask_t));
    p.checked = mem_zero(PROJECTOR_CHECKED * sizeof(uint64_t));

    atomic_store(&p.guard->busy, 0);

    while (!role_stopping()) {
        projector_turn(&p);
    }

    projector_stop(&p);

    return EXIT_SUCCESS;
}


/* Is everything there that a turn needs?  0, or -1 after a short wait. */
static int
projector_ready(projector_t *p)
{
    if (link_up(&p->shard) != 0) {
        role_sleep(link_wait_ms(&p->shard));
        return -1;
    }

    if (link_up(p->hub) != 0) {
        role_sleep(link_wait_ms(p->hub));
        return -1;
    }

    if (p->generation != p->shard.generation) {
        /* what we held may be somebody else's by now */
        lease_forget(&p->leases);
        reemit_watch(p);
        p->generation = p->shard.generation;
    }

    return 0;
}


/* What was erased, out of the files of the database: a step. */
static void
projector_tidy(projector_t *p)
{
    int         more;
    store_rc_t  rc;

    if (mono_ms() < p->tidy_at) {
        return;
    }

    rc = store_tidy(p->role->store, &more);
    role_store_result(p->role, rc);

    p->tidy_at = mono_ms() + (rc == STORE_OK && more ? PROJECTOR_TIDY_MS
                                                     : PROJECTOR_LOOK_MS);
}


/*
 * A turn costs the store and Redis a commit and some commands a shard, for one
 * entry as for a thousand, and reading wakes us for each.  So while there are
 * many, but not so many that we are behind, they are given time to gather:
 * entries wait at most so long, and one that comes alone does not.
 */
static void
projector_gather(projector_t *p, unsigned n)
{
    int64_t  left;

    left = p->started + PROJECTOR_GATHER_MS - mono_ms();
    p->calm = n < p->count;

    if (n >= PROJECTOR_GATHER && p->calm && left > 0) {
        role_sleep((int) left);
    }
}


/*
 * In one piece a turn's work would have a processor to itself for some ten
 * milliseconds, and on a machine with few of them Redis and nginx would wait
 * for that.  So it is done in small pieces while there is time: whatever loops
 * over a batch says so here, the store too, and while it commits.
 */
void
projector_worked(void *data)
{
    projector_t  *p;

    p = data;

    if (p->calm && mono_us() - p->worked >= PROJECTOR_WORK_US) {
        role_sleep(PROJECTOR_REST_MS);
        p->worked = mono_us();
    }
}


/*
 * Could we store something?  A store that refuses what is in hand (a full
 * disk) may well answer when it is only asked how it is: that it is back is
 * said by a batch, and nobody is told otherwise in between.  Whoever has no
 * shards any more has no batch to try.
 */
static int
projector_able(projector_t *p)
{
    role_t  *r;

    r = p->role;

    return p->delay == 0 || p->leases.nheld > 0
           ? r->store_ok : store_ping(r->store) == STORE_OK;
}


static void
projector_turn(projector_t *p)
{
    int       n;
    role_t   *r;
    unsigned  had;

    r = p->role;

    if (projector_ready(p) != 0) {
        return;
    }

    if (p->delay == 0) {
        role_store_check(r);
    }

    role_beat(r, p->hub->c, WRT_KEY_HB_PROJECTOR);

    if (lease_wait_ms(&p->leases) == 0
        && (lease_turn(&p->leases, p->shard.c, projector_able(p)) != 0
            || server_check(p->shard.c) != 0))
    {
        link_fail(&p->shard, rds_error(p->shard.c));
        return;
    }

    count_set(r->slot->counters.shards, p->leases.nheld);

    if (r->store == NULL || p->leases.nheld == 0) {
        role_sleep(PROJECTOR_IDLE_MS);
        return;
    }

    if (mono_ms() < p->retry_at) {
        n = (int) (p->retry_at - mono_ms());
        role_sleep(n < PROJECTOR_IDLE_MS ? n : PROJECTOR_IDLE_MS);
        return;
    }

    projector_rest(p);

    if (projector_read(p) != 0) {
        projector_drop(p);
        return;
    }

    /* somebody else may have stored these, and later ones of the same */
    if (lease_late(&p->leases)) {
        projector_drop(p);
        return;
    }

    had = p->nitems;
    projector_budget(p);
    store_on_work(r->store, projector_worked, p);

    switch (projector_apply(p)) {

    case STORE_OK:
        p->delay = 0;
        projector_drop(p);
        projector_tidy(p);
        projector_gather(p, had);
        break;

    case STORE_DOWN:
        p->delay = p->delay == 0 ? PROJECTOR_DELAY_MIN
                   : p->delay * 2 > PROJECTOR_DELAY_MAX ? PROJECTOR_DELAY_MAX
                   : p->delay * 2;
        p->retry_at = mono_ms() + p->delay;
        projector_drop(p);
        break;

    default:
        /* Redis failed; it has been said */
        projector_drop(p);
        break;
    }
}


/* A clean stop: others need not wait for the leases to run out. */
static void
projector_stop(projector_t *p)
{
    /* a read may still be under way on it */
    rds_close(p->shard.c);

    if (p->leases.nheld > 0 && rds_connect(p->shard.c) == 0) {
        lease_release(&p->leases, p->shard.c);
    }

    role_store_close(p->role);
    link_free(&p->shard);
    link_free(&p->hub_link);
    lease_free(&p->leases);
    cmd_free(&p->cmd);
    buf_free(&p->text);
    free(p->items);
    free(p->asked);
    free(p->checked);
}


/* How many of each shard the next read may bring; 0: enough is in hand. */
static unsigned
projector_part(const projector_t *p)
{
    unsigned  n;

    if (p->nasked == 0 || p->nitems >= p->count
        || p->bytes >= PROJECTOR_BYTES || p->nreplies == PROJECTOR_READS)
    {
        return 0;
    }

    n = p->nitems < PROJECTOR_FIRST ? PROJECTOR_FIRST : p->nitems;

    if (n > p->count - p->nitems) {
        n = p->count - p->nitems;
    }

    return n / p->nasked;
}


/*
 * Fill the batch.  A blocking read over all shards takes an equal part from
 * each; the next ones take more from those that had more, until all is in hand
 * or the batch is full.  So a busy shard gets large batches, too, and Redis,
 * which does nothing else meanwhile, is not asked for a large one at once.
 */
static int
projector_read(projector_t *p)
{
    int        block;
    unsigned   i, n, part;

    for (i = 0, n = 0; i < p->leases.n; i++) {
        if (p->leases.leases[i].held) {
            p->asked[n].lease = i;
            p->asked[n].got = 0;
            p->asked[n].last[0] = '\0';
            n++;
        }
    }

    p->nasked = n;
    part = projector_part(p);

    block = lease_wait_ms(&p->leases);
    block = p->rest_at - mono_ms() < block ? (int) (p->rest_at - mono_ms())
            : block;

    /* 0 would be for ever */
    block = block < 1 ? 1 : block > PROJECTOR_BLOCK_MS ? PROJECTOR_BLOCK_MS
            : block;

    if (projector_fetch(p, 0, part ? part : 1, block) != 0) {
        return -1;
    }

    p->started = mono_ms();
    p->worked = mono_us();

    for ( ;; ) {
        for (i = 0, n = 0; i < p->nasked; i++) {
            if (p->asked[i].got > 0
                && p->asked[i].got == p->asked[i].want)
            {
                p->asked[n++] = p->asked[i];
            }
        }

        p->nasked = n;
        part = projector_part(p);

        if (part == 0) {
            return 0;
        }

        projector_worked(p);

        if (projector_fetch(p, 1, part, 0) != 0) {
            return -1;
        }
    }
}


/* Queue the read: of a stream's beginning, or (more) of what comes after what
 * is in hand. */
static void
projector_ask(projector_t *p, int more, unsigned count, int block_ms)
{
    char       key[WRT_NAME_BUF];
    ask_t     *a;
    cmd_t     *cmd;
    unsigned   i;

    cmd = &p->cmd;

    cmd_begin(cmd, "XREAD");
    cmd_text(cmd, "COUNT");
    cmd_num(cmd, count);

    if (block_ms > 0) {
        cmd_text(cmd, "BLOCK");
        cmd_num(cmd, block_ms);
    }

    cmd_text(cmd, "STREAMS");

    for (i = 0; i < p->nasked; i++) {
        cmd_mem(cmd, key, wrt_key_ingest(key,
                              p->leases.leases[p->asked[i].lease].shard));
    }

    for (i = 0; i < p->nasked; i++) {
        a = &p->asked[i];
        a->want = count;
        a->got = 0;
        cmd_text(cmd, more ? a->last : "0");
    }

    rds_push(p->shard.c, cmd);
}


static int
projector_fetch(projector_t *p, int more, unsigned count, int block_ms)
{
    char            key[WRT_NAME_BUF];
    rds_t          *c;
    size_t          i;
    reply_t        *r;
    unsigned        k;
    const reply_t  *stream;

    c = p->shard.c;
    projector_ask(p, more, count, block_ms);

    if (block_ms > 0 && rds_wait(c, block_ms + PROJECTOR_GRACE_MS) != 1) {
        if (!role_stopping()) {
            rds_fail(c, "no answer to a read");
        }

        return -1;
    }

    r = rds_pull(c);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(c, reply_text(r));
        reply_free(r);
        return -1;
    }

    p->replies[p->nreplies++] = r;

    /* streams come in the order asked; those without anything are left out */
    for (i = 0, k = 0; i < reply_count(r); i++) {
        stream = reply_at(r, i);

        for ( ; k < p->nasked; k++) {
            wrt_key_ingest(key, p->leases.leases[p->asked[k].lease].shard);

            if (strcmp(key, reply_text(reply_at(stream, 0))) == 0) {
                break;
            }
        }

        if (k == p->nasked) {
            break;
        }

        projector_take(p, k, reply_at(stream, 1));
    }

    return 0;
}


static wrt_slice_t
projector_slice(const reply_t *r)
{
    wrt_slice_t  s;

    s.p = reply_text(r);
    s.n = reply_len(r);

    return s;
}


/* Entries of one shard into the batch. */
static void
projector_take(projector_t *p, unsigned asked, const reply_t *entries)
{
    ask_t          *a;
    item_t         *it;
    size_t          i;
    const reply_t  *e, *fields;

    a = &p->asked[asked];

    for (i = 0; i < reply_count(entries); i++) {
        if (p->nitems == PROJECTOR_ITEMS) {
            return;             /* they are read again */
        }

        e = reply_at(entries, i);
        fields = reply_at(e, 1);

        it = &p->items[p->nitems++];
        memset(it, 0, sizeof(*it));

        it->lease = a->lease;
        it->id = reply_text(reply_at(e, 0));
        it->c = projector_slice(reply_field(fields, WRT_F_CONV));
        it->p = projector_slice(reply_field(fields, WRT_F_PAYLOAD));
        it->x = projector_slice(reply_field(fields, WRT_F_EXTRA));

        p->bytes += it->p.n + it->x.n;
        a->got++;
        snprintf(a->last, sizeof(a->last), "%s", it->id);
    }
}


/* How many entries the next batch may have, by the size of these. */
static void
projector_budget(projector_t *p)
{
    size_t    each;
    unsigned  fit;

    if (p->nitems == 0) {
        return;
    }

    each = p->bytes / p->nitems + 1;
    fit = PROJECTOR_BYTES / each > WRT_BATCH_MAX
          ? WRT_BATCH_MAX : (unsigned) (PROJECTOR_BYTES / each);
    fit = fit ? fit : 1;

    /* down at once, up in steps: one small batch among large ones says
     * little */
    p->count = fit < p->count ? fit
               : p->count * 2 < fit ? p->count * 2 : fit;
}


/* Let go of the batch. */
static void
projector_drop(projector_t *p)
{
    unsigned  i;

    for (i = 0; i < p->nitems; i++) {
        event_free(&p->items[i].e);
        projector_worked(p);
    }

    for (i = 0; i < p->nreplies; i++) {
        reply_free(p->replies[i]);
        projector_worked(p);
    }

    p->nitems = 0;
    p->nreplies = 0;
    p->bytes = 0;

    atomic_store(&p->guard->busy, 0);
}
