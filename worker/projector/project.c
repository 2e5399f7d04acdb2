/*
 * project.c: what becomes of a batch: decoded, stored, its effects, its
 * watermarks, and then out of the stream (docs/redis.md, "The projector's
 * turn", steps 2 to 5).  projector.c reads it and owns it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/projector/projector.h"

/* A conversation that the batch touched, and how far. */
typedef struct {
    unsigned      lease;
    const char   *conversation;
    int64_t       seq;
} mark_t;

static store_rc_t project_range(projector_t *p, unsigned first, unsigned n);
static store_rc_t project_store(projector_t *p, unsigned first, unsigned n);
static int project_dead(projector_t *p, item_t *it, const char *why);
static int project_effects(projector_t *p, unsigned first, unsigned n);
static int project_marks(projector_t *p, unsigned first, unsigned n);
static int project_trim(projector_t *p, unsigned first, unsigned n);


store_rc_t
projector_apply(projector_t *p)
{
    unsigned    i;
    store_rc_t  rc;

    if (!p->guard->careful) {
        return project_range(p, 0, p->nitems);
    }

    for (i = 0; i < p->nitems; i++) {
        rc = project_range(p, i, 1);

        if (rc != STORE_OK) {
            return rc;
        }
    }

    /* through with as many as may have been in hand when it crashed? */
    if (p->guard->careful > p->nitems) {
        p->guard->careful -= p->nitems;

    } else {
        p->guard->careful = 0;
        p->guard->crashes = 0;
    }

    return STORE_OK;
}


/* From here on a crash is this batch's. */
static void
project_guard(projector_t *p, unsigned first, unsigned n)
{
    item_t   *it;
    guard_t  *g;

    g = p->guard;
    it = &p->items[first];

    g->shard = p->leases.leases[it->lease].shard;
    snprintf(g->entry, sizeof(g->entry), "%s", it->id);

    atomic_store(&g->busy, (int) n);
}


/* Its number, without a look at the rest. */
static void
project_head(item_t *it)
{
    wrt_slice_t   head, none;
    const char   *eol;

    head = it->p;
    eol = head.n ? memchr(head.p, '\n', head.n) : NULL;

    if (eol) {
        head.n = (size_t) (eol - head.p) + 1;
    }

    none.p = "";
    none.n = 0;

    (void) event_decode(&it->e, it->id, it->c, head, none, 1);
}


/* Has this entry, alone in hand, crashed its reader too often? */
static int
project_is_bad(projector_t *p, const item_t *it)
{
    const guard_t  *g;

    g = p->guard;

    return g->careful && g->crashes >= WRT_JOB_TRIES
           && g->bad_shard == p->leases.leases[it->lease].shard
           && strcmp(g->bad_entry, it->id) == 0;
}


static store_rc_t
project_range(projector_t *p, unsigned first, unsigned n)
{
    item_t      *it;
    int          watch;
    int64_t      start;
    unsigned     i;
    const char  *why;
    store_rc_t   rc;

    if (n == 0) {
        return STORE_OK;
    }

    start = mono_us();
    watch = start / 1000 < p->guard->watch_until;
    project_guard(p, first, n);

    for (i = first; i < first + n; i++) {
        it = &p->items[i];
        projector_worked(p);

        if (project_is_bad(p, it)) {
            project_head(it);
            why = "it crashed the projector";

        } else {
            why = event_decode(&it->e, it->id, it->c, it->p, it->x, 0);

            rc = why == NULL && watch && event_numbered(&it->e)
                 ? reemit_check(p, it) : STORE_OK;

            if (rc != STORE_OK) {
                role_store_result(p->role, rc);
                return rc;
            }

            if (why == NULL) {
                continue;
            }
        }

        if (project_dead(p, it, why) != 0) {
            return STORE_REJECTED;
        }

        /* its number is taken all the same */
        if (event_numbered(&it->e)) {
            event_to_fence(&it->e);
        } else {
            it->skip = 1;
        }
    }

    rc = project_store(p, first, n);

    if (rc != STORE_OK) {
        return rc;
    }

    if (project_effects(p, first, n) != 0 || project_marks(p, first, n) != 0
        || project_trim(p, first, n) != 0)
    {
        return STORE_REJECTED;
    }

    atomic_store(&p->guard->busy, 0);

    count_add(p->role->slot->counters.batches, 1);
    count_add(p->role->slot->counters.batch_us, mono_us() - start);

    return STORE_OK;
}


static store_rc_t
project_try(projector_t *p, const event_t *ev, size_t n, size_t *bad)
{
    store_rc_t  rc;

    rc = store_apply(p->role->store, ev, n, bad);
    role_store_result(p->role, rc);

    /* anything else than the three is the store's fault, not the event's */
    return rc == STORE_OK || (rc == STORE_REJECTED && *bad < n)
           ? rc : STORE_DOWN;
}


/* This one can never be stored.  Returns 1 when a fence is to be stored in
 * its place, 0 when nothing is, -1 when Redis failed. */
static int
project_reject(projector_t *p, item_t *it)
{
    /* if even the fence is refused its letter is written already */
    if (!it->dead && project_dead(p, it, store_error(p->role->store)) != 0) {
        return -1;
    }

    if (event_numbered(&it->e) && it->e.ev.kind != WRT_EV_FENCE) {
        event_to_fence(&it->e);
        return 1;
    }

    it->skip = 1;

    return 0;
}


/*
 * All into the store.  What it can never take becomes a dead letter, and a
 * fence in its place where it has a number; the rest goes on.
 */
static store_rc_t
project_store(projector_t *p, unsigned first, unsigned n)
{
    int          fence;
    size_t       bad, earlier, m, done;
    event_t     *ev;
    unsigned    *from, i;
    store_rc_t   rc;

    ev = mem_grow(NULL, n * sizeof(event_t));
    from = mem_grow(NULL, n * sizeof(unsigned));

    for (i = first, m = 0; i < first + n; i++) {
        if (!p->items[i].skip) {
            ev[m] = p->items[i].e.ev;
            from[m++] = i;
        }
    }

    for (done = 0, rc = STORE_OK; done < m; ) {
        rc = project_try(p, ev + done, m - done, &bad);

        /* how much of what comes before it is durable is not said */
        while (rc == STORE_REJECTED && bad > 0) {
            rc = project_try(p, ev + done, bad, &earlier);

            if (rc == STORE_OK) {
                rc = STORE_REJECTED;
                break;
            }

            bad = earlier;
        }

        if (rc != STORE_REJECTED) {
            break;
        }

        done += bad;
        fence = project_reject(p, &p->items[from[done]]);

        if (fence < 0) {
            break;
        }

        if (fence) {
            ev[done] = p->items[from[done]].e.ev;
        } else {
            done++;
        }

        rc = STORE_OK;
    }

    for (i = 0; rc == STORE_OK && i < m; i++) {
        if (!p->items[from[i]].dead) {
            count_add(p->role->slot->counters.events, 1);
        }
    }

    free(ev);
    free(from);

    return rc;
}


/*
 * Into the dead-letter stream, under the id it has: written twice after a
 * crash, Redis refuses the second.  Another refusal (there is a later one
 * from before a loss of data) gets a new id.  0, or -1: Redis failed.
 */
static int
project_dead(projector_t *p, item_t *it, const char *why)
{
    int        have;
    char       key[WRT_NAME_BUF];
    rds_t     *c;
    reply_t   *r;
    unsigned   k, try;

    c = p->shard.c;
    k = p->leases.leases[it->lease].shard;
    wrt_key_ingest_dead(key, k);

    for (try = 0, have = 0; try < 2 && !have; try++) {
        cmd_begin(&p->cmd, "XADD");
        cmd_text(&p->cmd, key);
        cmd_text(&p->cmd, try == 0 ? it->id : "*");
        cmd_text(&p->cmd, WRT_F_CONV);
        cmd_mem(&p->cmd, it->c.p, it->c.n);
        cmd_text(&p->cmd, WRT_F_PAYLOAD);
        cmd_mem(&p->cmd, it->p.p, it->p.n);
        cmd_text(&p->cmd, WRT_F_EXTRA);
        cmd_mem(&p->cmd, it->x.p, it->x.n);
        cmd_text(&p->cmd, WRT_F_WHY);
        cmd_text(&p->cmd, why);
        cmd_text(&p->cmd, WRT_F_ENTRY);
        cmd_text(&p->cmd, it->id);

        r = rds_run(c, &p->cmd);
        have = r && !reply_is_error(r);
        reply_free(r);

        if (!have && try == 0) {
            r = rds_call(c, "XRANGE", key, it->id, it->id);
            have = reply_count(r) > 0;
            reply_free(r);
        }
    }

    if (!have) {
        rds_fail(c, "a dead letter could not be written");
        return -1;
    }

    it->dead = 1;
    count_add(p->role->slot->counters.dead, 1);

    log_error("dead_letter", "shard=%u entry=%s conversation=\"%.*s\" "
              "why=\"%s\"", k, it->id,
              it->c.n > WRT_ID_MAX ? WRT_ID_MAX : (int) it->c.n, it->c.p, why);

    return 0;
}


/* Rooms where somebody has said something: when it has been silent there for
 * so long, that was a session. */
static void
project_sessions(projector_t *p, unsigned first, unsigned n)
{
    item_t      *it;
    int64_t      due;
    unsigned     i, k;
    const char  *last;

    due = now_ms() + (int64_t) p->cf->session_gap_s * 1000;
    last = "";
    k = 0;

    for (i = first; i < first + n; i++) {
        it = &p->items[i];

        if (it->skip || it->dead || it->e.ev.kind != WRT_EV_MESSAGE
            || strcmp(it->e.conversation, last) == 0)
        {
            continue;
        }

        if (k++ == 0) {
            cmd_begin(&p->cmd, "ZADD");
            cmd_text(&p->cmd, WRT_KEY_SESSIONS_DUE);
            cmd_text(&p->cmd, "GT");
        }

        last = it->e.conversation;
        cmd_num(&p->cmd, due);
        cmd_text(&p->cmd, last);
    }

    if (k > 0) {
        rds_push(p->hub->c, &p->cmd);
    }
}


/* Users' room lists and channels. */
static int
project_effects(projector_t *p, unsigned first, unsigned n)
{
    item_t    *it;
    unsigned   i;

    for (i = first; i < first + n; i++) {
        it = &p->items[i];

        if (!it->skip && !it->dead) {
            effects_queue(p->hub->c, &p->cmd, p->cf, &it->e);
            projector_worked(p);
        }
    }

    if (p->cf->session_gap_s > 0) {
        project_sessions(p, first, n);
    }

    if (rds_drain(p->hub->c) != 0) {
        link_fail(p->hub, rds_error(p->hub->c));
        return -1;
    }

    return 0;
}


static int
mark_compare(const void *a, const void *b)
{
    const mark_t  *x, *y;

    x = a;
    y = b;

    if (x->lease != y->lease) {
        return x->lease < y->lease ? -1 : 1;
    }

    return strcmp(x->conversation, y->conversation);
}


/* Each conversation once, with its highest number.  Returns how many. */
static unsigned
project_touched(projector_t *p, unsigned first, unsigned n, mark_t *marks)
{
    item_t    *it;
    unsigned   i, m, j;

    for (i = first, m = 0; i < first + n; i++) {
        it = &p->items[i];

        if (event_numbered(&it->e) || it->e.ev.kind == WRT_EV_CREATE) {
            marks[m].lease = it->lease;
            marks[m].conversation = it->e.conversation;
            marks[m++].seq = it->e.ev.seq;
        }
    }

    qsort(marks, m, sizeof(mark_t), mark_compare);

    for (i = 0, j = 0; i < m; i++) {
        if (j > 0 && mark_compare(&marks[j - 1], &marks[i]) == 0) {
            if (marks[i].seq > marks[j - 1].seq) {
                marks[j - 1].seq = marks[i].seq;
            }

        } else {
            marks[j++] = marks[i];
        }
    }

    return j;
}


/* One shard's part of the marks: a call that sets them. */
static void
project_mark_shard(projector_t *p, const mark_t *marks, unsigned n)
{
    char       key[WRT_NAME_BUF];
    size_t     len;
    cmd_t     *cmd;
    unsigned   i, k;

    cmd = &p->cmd;
    k = p->leases.leases[marks[0].lease].shard;

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_APPLIED);
    cmd_num(cmd, (int64_t) n * 2);

    for (i = 0; i < n; i++) {
        len = strlen(marks[i].conversation);
        cmd_mem(cmd, key, wrt_key_conv(key, k, marks[i].conversation, len));
        cmd_mem(cmd, key, wrt_key_log(key, k, marks[i].conversation, len));
    }

    for (i = 0; i < n; i++) {
        cmd_num(cmd, marks[i].seq);
    }

    rds_push(p->shard.c, cmd);
}


/* The same as a message to those who wait for it. */
static void
project_tell_shard(projector_t *p, const mark_t *marks, unsigned n)
{
    char       name[WRT_NAME_BUF];
    unsigned   i;

    buf_clear(&p->text);

    for (i = 0; i < n; i++) {
        buf_fmt(&p->text, "%c %s %lld -\n", WRT_BUS_APPLIED,
                marks[i].conversation, (long long) marks[i].seq);
    }

    cmd_begin(&p->cmd, "PUBLISH");
    cmd_mem(&p->cmd, name, wrt_chan_applied(name, &p->cf->names,
                               p->leases.leases[marks[0].lease].shard));
    cmd_mem(&p->cmd, p->text.p, p->text.n);
    rds_push(p->shard.c, &p->cmd);
}


/* Watermarks.  They must stand before anything leaves its stream, so their
 * replies are read first; shard by shard, since Redis serves nobody else while
 * it has a connection's commands to do. */
static int
project_marks(projector_t *p, unsigned first, unsigned n)
{
    int        rc;
    mark_t    *marks;
    unsigned   i, j, m;

    marks = mem_grow(NULL, n * sizeof(mark_t));
    m = project_touched(p, first, n, marks);
    rc = 0;

    for (i = 0; i < m && rc == 0; i = j) {
        for (j = i + 1; j < m && marks[j].lease == marks[i].lease; j++) {
            /* void */
        }

        projector_worked(p);
        project_mark_shard(p, &marks[i], j - i);
        rc = rds_drain(p->shard.c);

        if (rc == 0) {
            project_tell_shard(p, &marks[i], j - i);
        }
    }

    if (rc != 0) {
        /* no library, no memory...: the connection is made anew, and the
         * library with it */
        link_fail(&p->shard, rds_error(p->shard.c));
    }

    free(marks);

    return rc;
}


/* The id right after this one. */
static void
project_next_id(char out[EVENT_ENTRY_SIZE], const char *id)
{
    char                *end;
    unsigned long long   ms, seq;

    ms = strtoull(id, &end, 10);
    seq = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;

    snprintf(out, EVENT_ENTRY_SIZE, "%llu-%llu", ms, seq + 1);
}


/* Out of the streams. */
static int
project_trim(projector_t *p, unsigned first, unsigned n)
{
    char         key[WRT_NAME_BUF], next[EVENT_ENTRY_SIZE];
    unsigned     i, k, left;
    const char  *last;

    left = n;

    for (k = 0; k < p->leases.n && left > 0; k++) {
        last = NULL;

        for (i = first; i < first + n; i++) {
            if (p->items[i].lease == k) {
                last = p->items[i].id;
                left--;
            }
        }

        if (last == NULL) {
            continue;
        }

        wrt_key_ingest(key, p->leases.leases[k].shard);
        project_next_id(next, last);
        rds_queue(p->shard.c, "XTRIM", key, "MINID", next);
    }

    if (rds_drain(p->shard.c) != 0) {
        link_fail(&p->shard, rds_error(p->shard.c));
        return -1;
    }

    return 0;
}
