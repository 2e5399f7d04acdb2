/*
 * api_wait.c: calls that wait until the store has what Redis had when they
 * came, so that everybody reads what he has written.
 *
 * For one conversation: until its watermark `applied` has reached the number
 * that it had.  For a user's list: until each shard of his rooms has applied
 * what its ingest stream had; an entry leaves that stream only after it is in
 * the store, so the stream's first entry says exactly how far the store is.
 * What has no number (cursors, profiles) is waited for in the same way.
 *
 * All that wait are looked at together, in one round trip a server.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

static stream_id_t wait_id(const reply_t *entry);
static int wait_after(stream_id_t a, stream_id_t b);


int
api_wait_conv(call_t *c, const char *id, int64_t seq, int64_t applied)
{
    if (applied >= seq) {
        return 0;
    }

    text_copy(c->wait_conv, sizeof(c->wait_conv), id);
    c->wait_seq = seq;

    return 1;
}


int
api_wait_state(api_t *a, call_t *c, const char *id, const access_t *x)
{
    int        waits;
    char       key[WRT_NAME_BUF];
    rds_t     *shard;
    reply_t   *r;
    unsigned   k;

    waits = api_wait_conv(c, id, x->seq, x->applied);

    if (x->moved.ms == 0) {
        return waits;
    }

    k = wrt_shard(&a->cf->names, id, strlen(id));
    shard = api_shard(a, k);

    if (shard == NULL) {
        api_unavailable(c);
        return -1;
    }

    wrt_key_ingest(key, k);
    r = rds_call(shard, "XRANGE", key, "-", "+", "COUNT", "1");

    if (r == NULL || reply_is_error(r)) {
        rds_fail(shard, reply_text(r));
        reply_free(r);
        api_unavailable(c);
        return -1;
    }

    if (reply_count(r) > 0 && !wait_after(wait_id(reply_at(r, 0)), x->moved))
    {
        free(c->tails);
        c->tails = mem_zero(sizeof(tail_t));
        c->tails->shard = k;
        c->tails->upto = x->moved;
        c->ntails = 1;
        waits = 1;
    }

    reply_free(r);

    return waits;
}


/* Mark the shards of a user's rooms; all when his list can not be had, and
 * without a user. */
static int
wait_shards(api_t *a, const char *user)
{
    int          whole;
    char         key[WRT_NAME_BUF];
    rds_t       *hub;
    size_t       i;
    reply_t     *r;
    store_t     *st;
    unsigned     n;
    const char  *id;

    n = a->cf->names.shards;

    if (user == NULL) {
        memset(a->wanted, 1, n);
        return 0;
    }

    hub = api_redis(a, 0);
    st = role_store(a->role);

    if (hub && st) {
        /* what comes of it shows below */
        (void) internal_user_load(a, hub, st, user);
    }

    if (hub == NULL || !rds_alive(hub)) {
        return -1;
    }

    wrt_key_user_convs(key, user, strlen(user));
    r = rds_call(hub, "HKEYS", key);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return -1;
    }

    memset(a->wanted, 0, n);
    whole = 0;

    for (i = 0; i < reply_count(r); i++) {
        id = reply_text(reply_at(r, i));

        if (strcmp(id, WRT_F_LOADED) == 0) {
            whole = 1;

        } else if (strcmp(id, WRT_F_PROFILE) != 0) {
            a->wanted[wrt_shard(&a->cf->names, id, strlen(id))] = 1;
        }
    }

    if (!whole) {
        memset(a->wanted, 1, n);
    }

    reply_free(r);

    return 0;
}


int
api_wait_user(api_t *a, call_t *c, const char *user)
{
    char       key[WRT_NAME_BUF];
    rds_t     *shard;
    reply_t   *r;
    unsigned   k, n, s;

    if (wait_shards(a, user) != 0) {
        api_unavailable(c);
        return -1;
    }

    n = a->cf->names.shards;
    c->tails = mem_zero(n * sizeof(tail_t));
    c->ntails = 0;

    for (s = 0; s < a->cf->nredis; s++) {
        shard = api_redis(a, s);

        for (k = s; shard && k < n; k += a->cf->nredis) {
            if (a->wanted[k]) {
                wrt_key_ingest(key, k);
                rds_queue(shard, "XREVRANGE", key, "+", "-", "COUNT", "1");
            }
        }

        for (k = s; k < n; k += a->cf->nredis) {
            if (!a->wanted[k]) {
                continue;
            }

            r = shard ? rds_pull(shard) : NULL;

            if (r == NULL || reply_is_error(r)) {
                if (shard) {
                    rds_fail(shard, reply_text(r));
                }

                reply_free(r);
                api_unavailable(c);
                return -1;
            }

            if (reply_count(r) > 0) {
                c->tails[c->ntails].shard = k;
                c->tails[c->ntails++].upto = wait_id(reply_at(r, 0));
            }

            reply_free(r);
        }
    }

    return c->ntails > 0;
}


int
api_wait_shard(api_t *a, call_t *c, const char *id)
{
    char       key[WRT_NAME_BUF];
    rds_t     *shard;
    reply_t   *r;
    unsigned   k;

    k = wrt_shard(&a->cf->names, id, strlen(id));
    shard = api_shard(a, k);

    if (shard == NULL) {
        api_unavailable(c);
        return -1;
    }

    wrt_key_ingest(key, k);
    r = rds_call(shard, "XREVRANGE", key, "+", "-", "COUNT", "1");

    if (r == NULL || reply_is_error(r)) {
        rds_fail(shard, reply_text(r));
        reply_free(r);
        api_unavailable(c);
        return -1;
    }

    if (reply_count(r) > 0) {
        c->tails = mem_grow(c->tails, (c->ntails + 1) * sizeof(tail_t));
        c->tails[c->ntails].shard = k;
        c->tails[c->ntails++].upto = wait_id(reply_at(r, 0));
    }

    reply_free(r);

    return c->ntails > 0;
}


stream_id_t
api_wait_id(const char *text)
{
    char         *end;
    stream_id_t   id;

    id.ms = strtoull(text, &end, 10);
    id.seq = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;

    return id;
}


/* The id of an entry [id, fields]; 0-0 when it is none. */
static stream_id_t
wait_id(const reply_t *entry)
{
    return api_wait_id(reply_text(reply_at(entry, 0)));
}


static int
wait_after(stream_id_t a, stream_id_t b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}


/* On which server is the conversation that c waits for? */
static unsigned
wait_server(const api_t *a, const call_t *c, unsigned *k)
{
    *k = wrt_shard(&a->cf->names, c->wait_conv, strlen(c->wait_conv));

    return conf_server(a->cf, *k);
}


/* Queue what has to be known from one server. */
static void
wait_ask(api_t *a, unsigned server, rds_t *c)
{
    char       key[WRT_NAME_BUF];
    call_t    *w;
    unsigned   i, k;

    for (w = a->parked; w; w = w->next) {
        if (w->wait_conv[0] && wait_server(a, w, &k) == server) {
            wrt_key_conv(key, k, w->wait_conv, strlen(w->wait_conv));
            rds_queue(c, "HGET", key, WRT_F_APPLIED);
        }

        for (i = 0; i < w->ntails; i++) {
            k = w->tails[i].shard;

            if (conf_server(a->cf, k) == server) {
                a->wanted[k] = 1;
            }
        }
    }

    for (k = server; k < a->cf->names.shards; k += a->cf->nredis) {
        if (a->wanted[k]) {
            wrt_key_ingest(key, k);
            rds_queue(c, "XRANGE", key, "-", "+", "COUNT", "1");
        }
    }
}


/* Read the answers in the same order.  a->wanted[k] becomes 2 where the
 * first entry of the shard is known, and it is 3 when there is none. */
static void
wait_hear(api_t *a, unsigned server, rds_t *c)
{
    call_t    *w;
    reply_t   *r;
    unsigned   k;

    for (w = a->parked; w; w = w->next) {
        if (w->wait_conv[0] && wait_server(a, w, &k) == server) {
            r = rds_pull(c);

            /* a hash that is gone had everything applied */
            if (r && !reply_is_error(r)
                && (reply_is_nil(r) || reply_int(r, -1) >= w->wait_seq))
            {
                w->wait_conv[0] = '\0';
            }

            reply_free(r);
        }
    }

    for (k = server; k < a->cf->names.shards; k += a->cf->nredis) {
        if (a->wanted[k]) {
            r = rds_pull(c);

            if (r && !reply_is_error(r)) {
                a->wanted[k] = reply_count(r) ? 2 : 3;
                a->first[k] = wait_id(reply_at(r, 0));
            }

            reply_free(r);
        }
    }
}


void
api_wait_check(api_t *a)
{
    rds_t     *c;
    call_t    *w;
    tail_t    *t;
    unsigned   i, n, s;

    memset(a->wanted, 0, a->cf->names.shards);

    for (s = 0; s < a->cf->nredis; s++) {
        c = api_redis(a, s);

        if (c) {
            wait_ask(a, s, c);
            wait_hear(a, s, c);
        }
    }

    for (w = a->parked; w; w = w->next) {
        for (i = 0, n = 0; i < w->ntails; i++) {
            t = &w->tails[i];

            if (a->wanted[t->shard] != 3
                && (a->wanted[t->shard] != 2
                    || !wait_after(a->first[t->shard], t->upto)))
            {
                w->tails[n++] = *t;
            }
        }

        w->ntails = n;
        w->waits = n > 0 || w->wait_conv[0] != '\0';
    }
}
