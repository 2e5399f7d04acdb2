/*
 * api.c: the role that answers nginx's calls.
 *
 * Calls come by the stream wrt:rpc, each to one process of all pools.  A call
 * that has to wait for the store is parked, so that others go on meanwhile;
 * it is looked at every few milliseconds until the store has caught up or
 * its deadline is near.
 *
 *   read, claimed --> handler --> answered
 *                       |  ^
 *                       v  |  (the store has it, or settled and late)
 *                      parked --(deadline)--> answered 503
 *
 * What a process had in hand when it died is claimed by another one after
 * API_CLAIM_MS; those parked are kept from that by claiming them ourselves,
 * and while a handler takes long the one it answers, if it calls api_beat().
 * Who did not get to that in time asks whether a call is still his before he
 * begins with it or goes on: what it asks for may be done, and undone since.
 * An answer may be given twice; nginx takes the first.
 */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/api/api.h"
#include "worker/scribe/scribe.h"

#define API_READ_COUNT   8      /* calls taken at once: others are idle */
#define API_BLOCK_MS     500
#define API_GRACE_MS     5000   /* over the block: Redis is stuck */
#define API_PARKED_MAX   256    /* then nothing more is read */
#define API_CHECK_MS     3
#define API_CLAIM_MS     1500   /* a process that says nothing is dead */
#define API_CLAIM_EVERY  500
#define API_OURS_MS      1000   /* until then nobody can have claimed it */
#define API_CLAIM_COUNT  16
#define API_MARGIN_MS    100    /* before the deadline: our answer counts */
#define API_HEAP_KEPT    (4 * 1024 * 1024)  /* of what an answer took */

static void api_turn(api_t *a);
static void api_read(api_t *a);
static void api_take(api_t *a, const reply_t *entries, int64_t at,
    int claimed);
static void api_run_call(api_t *a, call_t *c);
static void api_answer(api_t *a, call_t *c);
static void api_unpark(api_t *a);
static void api_claim(api_t *a);
static void api_keep_one(api_t *a, const call_t *c);
static void api_keep(api_t *a);
static void api_beat(void *data);
static void api_stop(api_t *a);


int
api_run(role_t *r)
{
    api_t     a;
    unsigned  i;

    /* else a page's memory goes back to the kernel after each of them */
    (void) mallopt(M_TRIM_THRESHOLD, API_HEAP_KEPT);

    memset(&a, 0, sizeof(a));
    a.role = r;
    a.cf = r->cf;
    a.links = mem_zero(r->cf->nredis * sizeof(link_t));
    a.known = mem_zero(API_KNOWN * sizeof(known_t));
    a.redacted = mem_zero(API_REDACTED * sizeof(redacted_t));
    a.first = mem_zero(r->cf->names.shards * sizeof(stream_id_t));
    a.wanted = mem_zero(r->cf->names.shards);

    snprintf(a.consumer, sizeof(a.consumer), "%s/a%u-%d", r->node, r->index,
             (int) getpid());

    for (i = 0; i < r->cf->nredis; i++) {
        link_init(&a.links[i], r->cf, i, &r->slot->counters);
    }

    link_init(&a.reader, r->cf, 0, NULL);

    count_set(r->slot->counters.rpc_parked, 0);

    while (!role_stopping()) {
        api_turn(&a);
    }

    api_stop(&a);

    return EXIT_SUCCESS;
}


rds_t *
api_redis(api_t *a, unsigned server)
{
    return link_up(&a->links[server]) == 0 ? a->links[server].c : NULL;
}


rds_t *
api_shard(api_t *a, unsigned shard)
{
    return api_redis(a, conf_server(a->cf, shard));
}


void
api_scribe(api_t *a, store_t *st, const char *conversation, scribe_t *out)
{
    out->cf = a->cf;
    out->st = st;
    out->shard = api_shard(a, wrt_shard(&a->cf->names, conversation,
                                        strlen(conversation)));
    out->cmd = &a->cmd;
    out->beat = api_beat;
    out->data = a;
}


/* Answer those whose time has come, and run those whose wait is over. */
static void
api_parked(api_t *a)
{
    if (a->nparked > 0 && mono_ms() >= a->check_at) {
        api_wait_check(a);
        api_unpark(a);
        a->check_at = mono_ms() + API_CHECK_MS;
    }

    count_set(a->role->slot->counters.rpc_parked, a->nparked);
}


/* What the scheduling system has said. */
static void
api_told(api_t *a)
{
    call_t  *c;

    c = stream_turn(a);

    if (c && api_route(c) == 0) {
        api_run_call(a, c);

    } else if (c) {
        api_answer(a, c);
    }
}


static void
api_turn(api_t *a)
{
    int  ms;

    role_store_check(a->role);

    if (api_redis(a, 0) == NULL || link_up(&a->reader) != 0) {
        a->reading = 0;
        api_parked(a);
        ms = link_wait_ms(rds_alive(a->links[0].c) ? &a->reader
                                                   : &a->links[0]);
        role_sleep(ms);
        return;
    }

    if (a->reader_generation != a->reader.generation) {
        a->reading = 0;

        if (server_group(a->links[0].c, WRT_KEY_RPC, WRT_GROUP_API) != 0
            || server_group(a->links[0].c, WRT_KEY_CONSULT, WRT_GROUP_API)
               != 0)
        {
            return;
        }

        a->reader_generation = a->reader.generation;
    }

    role_beat(a->role, a->links[0].c, WRT_KEY_HB_API);

    if (mono_ms() >= a->claim_at) {
        api_keep(a);
        api_claim(a);
        a->claim_at = mono_ms() + API_CLAIM_EVERY;
    }

    api_told(a);
    api_read(a);
    api_parked(a);
}


/* Ask for calls and wait for them, or for the next look at the parked. */
static void
api_read(api_t *a)
{
    int             ms;
    rds_t          *c;
    reply_t        *r;

    c = a->reader.c;

    if (!a->reading && a->nparked < API_PARKED_MAX) {
        cmd_begin(&a->cmd, "XREADGROUP");
        cmd_text(&a->cmd, "GROUP");
        cmd_text(&a->cmd, WRT_GROUP_API);
        cmd_text(&a->cmd, a->consumer);
        cmd_text(&a->cmd, "COUNT");
        cmd_num(&a->cmd, API_READ_COUNT);
        cmd_text(&a->cmd, "BLOCK");
        cmd_num(&a->cmd, API_BLOCK_MS);
        cmd_text(&a->cmd, "STREAMS");
        cmd_text(&a->cmd, WRT_KEY_RPC);
        cmd_text(&a->cmd, ">");
        rds_push(c, &a->cmd);

        a->reading = 1;
        a->read_at = mono_ms();
    }

    ms = a->nparked > 0 ? API_CHECK_MS : API_BLOCK_MS + API_GRACE_MS;

    if (!a->reading) {
        role_sleep(ms);
        return;
    }

    if (rds_wait(c, ms) != 1) {
        if (mono_ms() - a->read_at > API_BLOCK_MS + API_GRACE_MS) {
            rds_fail(c, "no answer to a read");
        }

        return;
    }

    r = rds_pull(c);
    a->reading = 0;

    if (reply_is_error(r)) {
        /* NOGROUP: Redis was emptied under our feet; connecting anew puts
         * everything in its place */
        rds_fail(c, reply_text(r));

    } else {
        api_take(a, reply_at(reply_at(r, 0), 1), a->read_at, 0);
    }

    reply_free(r);
}


/* Begin with the calls in these entries, which became ours after at (mono). */
static void
api_take(api_t *a, const reply_t *entries, int64_t at, int claimed)
{
    size_t          i;
    rds_t          *hub;
    call_t         *c;
    const char     *id;
    const reply_t  *e;

    for (i = 0; i < reply_count(entries); i++) {
        e = reply_at(entries, i);
        id = reply_text(reply_at(e, 0));

        if (reply_count(reply_at(e, 1)) == 0) {
            continue;
        }

        c = call_create(id, reply_at(e, 1));

        if (c && c->deadline > now_ms()) {
            c->claimed = claimed != 0;
            c->ours_at = at;
            api_profile(a, c);

            if (api_route(c) == 0) {
                api_run_call(a, c);

            } else {
                api_answer(a, c);
            }

            continue;
        }

        if (c) {
            count_add(a->role->slot->counters.rpc_expired, 1);
        } else {
            log_warn("rpc_malformed", "entry=%s", id);
        }

        hub = api_redis(a, 0);

        if (hub) {
            rds_queue(hub, "XACK", WRT_KEY_RPC, WRT_GROUP_API, id);
            rds_queue(hub, "XDEL", WRT_KEY_RPC, id);
            rds_drain(hub);
        }

        call_free(c);
    }
}


int
api_ours(api_t *a, call_t *c)
{
    int       ours;
    rds_t    *hub;
    reply_t  *r;
    int64_t   now;

    now = mono_ms();

    if (c->told || now - c->ours_at < API_OURS_MS) {
        return 1;
    }

    hub = api_redis(a, 0);
    if (hub == NULL) {
        return -1;
    }

    r = rds_call(hub, "XPENDING", WRT_KEY_RPC, WRT_GROUP_API, c->entry,
                 c->entry, "1", a->consumer);
    ours = r == NULL || reply_is_error(r) ? -1 : reply_count(r) == 1;
    reply_free(r);

    if (ours > 0) {
        api_keep_one(a, c);
        c->ours_at = now;
    }

    return ours;
}


static void
api_let_go(call_t *c)
{
    log_info("not_ours", "method=%s path=\"%s\"", c->method, c->path);
    call_free(c);
}


static void
api_run_call(api_t *a, call_t *c)
{
    api_rc_t  rc;

    if (api_ours(a, c) != 1) {
        api_let_go(c);
        return;
    }

    c->waits = 0;
    a->running = c;
    rc = api_routes[c->route].handler(a, c);
    a->running = NULL;

    if (rc == API_DONE) {
        api_answer(a, c);
        return;
    }

    c->step++;
    c->waits = 1;
    c->next = a->parked;
    a->parked = c;
    a->nparked++;
}


/* Publish the answer, then take the call out of the stream. */
static void
api_answer(api_t *a, call_t *c)
{
    char    retry[16];
    rds_t  *hub;
    buf_t   text;

    if (c->told) {
        metrics_rpc(&a->role->slot->counters, c->route, c->status,
                    mono_us() - c->start_us);
        stream_answered(a, c);
        call_free(c);
        return;
    }

    if (c->out.n > WRT_REPLY_MAX) {
        api_error(c, 413, "too_large", NULL,
                  "the answer is too large, ask for less at a time");
    }

    memset(&text, 0, sizeof(text));
    snprintf(retry, sizeof(retry), "%d", c->retry);
    buf_fmt(&text, "%c %s %d %s\n", WRT_BUS_REPLY, c->id, c->status,
            c->retry ? retry : c->status == 405 && c->allow[0] ? c->allow
                               : "-");
    buf_add(&text, c->out.p, c->out.n);

    hub = api_redis(a, 0);

    if (hub) {
        cmd_begin(&a->cmd, "PUBLISH");
        cmd_text(&a->cmd, c->channel);
        cmd_mem(&a->cmd, text.p, text.n);
        rds_push(hub, &a->cmd);
        rds_queue(hub, "XACK", WRT_KEY_RPC, WRT_GROUP_API, c->entry);
        rds_queue(hub, "XDEL", WRT_KEY_RPC, c->entry);

        if (rds_drain(hub) != 0) {
            /* somebody claims it and answers again */
            link_fail(&a->links[0], rds_error(hub));
        }
    }

    metrics_rpc(&a->role->slot->counters, c->route, c->status,
                mono_us() - c->start_us);

    log_debug("call", "method=%s path=\"%s\" status=%d us=%lld", c->method,
              c->path, c->status, (long long) (mono_us() - c->start_us));

    buf_free(&text);
    call_free(c);
}


/* Go on with those whose wait is over, answer those that waited too long. */
static void
api_unpark(api_t *a)
{
    call_t   *c, *list, *next;
    int64_t   now;

    list = a->parked;
    a->parked = NULL;
    a->nparked = 0;
    now = now_ms();

    for (c = list; c; c = next) {
        next = c->next;

        if (!c->waits && (now < c->deadline || c->settled)) {
            api_run_call(a, c);

        } else if (now >= c->deadline - API_MARGIN_MS
                   && c->settled && !c->late)
        {
            c->late = 1;
            api_run_call(a, c);

        } else if (now >= c->deadline - API_MARGIN_MS) {
            api_unavailable(c);
            api_answer(a, c);

        } else {
            c->next = a->parked;
            a->parked = c;
            a->nparked++;
        }
    }
}


/* What dead processes had in hand. */
static void
api_claim(api_t *a)
{
    rds_t    *hub;
    reply_t  *r;
    size_t    n;
    int64_t   now;

    hub = a->links[0].c;
    now = mono_ms();

    cmd_begin(&a->cmd, "XAUTOCLAIM");
    cmd_text(&a->cmd, WRT_KEY_RPC);
    cmd_text(&a->cmd, WRT_GROUP_API);
    cmd_text(&a->cmd, a->consumer);
    cmd_num(&a->cmd, API_CLAIM_MS);
    cmd_text(&a->cmd, "0-0");
    cmd_text(&a->cmd, "COUNT");
    cmd_num(&a->cmd, API_CLAIM_COUNT);

    r = rds_run(hub, &a->cmd);
    n = reply_count(reply_at(r, 1));

    if (reply_is_error(r)) {
        link_fail(&a->reader, reply_text(r));

    } else if (n > 0) {
        log_info("claimed", "calls=%zu", n);
        count_add(a->role->slot->counters.claimed, n);
        api_take(a, reply_at(r, 1), now, 1);
    }

    reply_free(r);
}


/* Calls in hand are not for others to claim yet: begin to name them. */
static void
api_keep_begin(api_t *a)
{
    cmd_begin(&a->cmd, "XCLAIM");
    cmd_text(&a->cmd, WRT_KEY_RPC);
    cmd_text(&a->cmd, WRT_GROUP_API);
    cmd_text(&a->cmd, a->consumer);
    cmd_num(&a->cmd, 0);
}


static void
api_keep_end(api_t *a)
{
    cmd_text(&a->cmd, "JUSTID");
    reply_free(rds_run(a->links[0].c, &a->cmd));
}


static void
api_keep_one(api_t *a, const call_t *c)
{
    api_keep_begin(a);
    cmd_text(&a->cmd, c->entry);
    api_keep_end(a);
}


/* Of the parked ones those that somebody has claimed while we did not say that
 * we live.  Who does not ask would claim what is left from himself. */
static void
api_drop_lost(api_t *a)
{
    call_t  *c, **p;

    for (p = &a->parked; (c = *p) != NULL; ) {
        if (api_ours(a, c) != 0) {
            p = &c->next;
            continue;
        }

        *p = c->next;
        a->nparked--;
        api_let_go(c);
    }
}


/* Say of those that are parked that we live. */
static void
api_keep(api_t *a)
{
    call_t    *c;
    int64_t    now;
    unsigned   n;

    api_drop_lost(a);
    now = mono_ms();

    for (c = a->parked, n = 0; c; c = c->next) {
        if (c->told || now - c->ours_at >= API_OURS_MS) {
            continue;
        }

        c->ours_at = now;

        if (n++ == 0) {
            api_keep_begin(a);
        }

        cmd_text(&a->cmd, c->entry);
    }

    if (n > 0) {
        api_keep_end(a);
    }
}


/*
 * From within a handler that takes long: its call is not for others to claim,
 * nor is the stream of consultations.  What else is in hand is: whoever is
 * idle answers it sooner than we come to it.
 */
static void
api_beat(void *data)
{
    api_t  *a;
    rds_t  *hub;

    a = data;

    if (mono_ms() < a->claim_at) {
        return;
    }

    a->claim_at = mono_ms() + API_CLAIM_EVERY;
    hub = api_redis(a, 0);

    if (hub == NULL) {
        return;
    }

    role_beat(a->role, hub, WRT_KEY_HB_API);

    if (a->running && !a->running->told) {
        api_keep_one(a, a->running);
    }

    if (a->told) {
        (void) stream_lease(a, hub);
    }
}


/* Finish what is in hand.  Nothing more is read; what Redis gave us at the
 * last moment is still answered. */
static void
api_finish(api_t *a)
{
    int     i;
    rds_t  *hub;

    hub = api_redis(a, 0);

    if (a->reading && hub && rds_alive(a->reader.c)) {
        rds_unblock(hub, a->reader.c);
    }

    for (i = 0; a->reading && rds_alive(a->reader.c) && i < API_BLOCK_MS; i++) {
        api_read(a);
    }

    while (a->nparked > 0 && api_redis(a, 0)) {
        if (mono_ms() >= a->claim_at) {
            api_keep(a);
            a->claim_at = mono_ms() + API_CLAIM_EVERY;
        }

        role_sleep(API_CHECK_MS);
        api_parked(a);
    }

    if (!a->reading && a->nparked == 0 && rds_alive(a->links[0].c)) {
        /* nothing is left in its name */
        reply_free(rds_call(a->links[0].c, "XGROUP", "DELCONSUMER",
                            WRT_KEY_RPC, WRT_GROUP_API, a->consumer));
    }
}


static void
api_stop(api_t *a)
{
    call_t    *c;
    unsigned   i;

    api_finish(a);

    while (a->parked) {
        c = a->parked;
        a->parked = c->next;
        call_free(c);
    }

    for (i = 0; i < a->cf->nredis; i++) {
        link_free(&a->links[i]);
    }

    link_free(&a->reader);
    role_store_close(a->role);
    blob_close(a->blob);
    cmd_free(&a->cmd);
    free(a->links);
    free(a->known);
    free(a->redacted);
    free(a->first);
    free(a->wanted);
}
