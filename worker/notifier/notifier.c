/*
 * notifier.c: the role that pushes (notifier.h says what it works on).
 *
 * One notifier of all pools works, the one that holds the lease; what it had in
 * hand when it ended is put back by the next one.  Two that both believe to
 * hold it, for a moment, push something twice, under the same tag and id.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/notifier/notifier.h"

#define NOTIFIER_IDLE_MS   100
#define NOTIFIER_STOP_MS   3000     /* for what is under way */

static void notifier_lease(notifier_t *n);
static void notifier_begin(notifier_t *n);
static unsigned notifier_take(notifier_t *n);
static void notifier_finish(notifier_t *n);
static void notifier_end(notifier_t *n);


int
notifier_run(role_t *r)
{
    char         err[PUSH_ERROR_SIZE];
    unsigned     i;
    notifier_t  *n;

    n = mem_zero(sizeof(*n));
    n->role = r;
    n->cf = r->cf;
    n->services = push_services(&r->cf->push);
    n->push = push_open(&r->cf->push, err, sizeof(err));

    if (n->push == NULL) {
        log_error("push", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    n->nsendings = push_room(n->push);
    n->sendings = mem_zero(n->nsendings * sizeof(sending_t));
    n->links = mem_zero(r->cf->nredis * sizeof(link_t));

    for (i = 0; i < r->cf->nredis; i++) {
        link_init(&n->links[i], r->cf, i, &r->slot->counters);
    }

    if (strncmp(r->cf->push.fcm_url, "http:", 5) == 0) {
        log_warn("push", "FCM_ENDPOINT is not https: tokens can be read on "
                 "the way");
    }

    while (!role_stopping()) {
        role_store_check(r);
        notifier_pump(n, n->held && notifier_take(n) > 0 ? 0
                         : NOTIFIER_IDLE_MS);
    }

    notifier_end(n);

    return EXIT_SUCCESS;
}


rds_t *
notifier_hub(notifier_t *n)
{
    return link_up(&n->links[0]) == 0 ? n->links[0].c : NULL;
}


rds_t *
notifier_shard(notifier_t *n, const char *conversation)
{
    unsigned  server;

    server = conf_server(n->cf, wrt_shard(&n->cf->names, conversation,
                                          strlen(conversation)));

    return link_up(&n->links[server]) == 0 ? n->links[server].c : NULL;
}


void
notifier_due(notifier_t *n, rds_t *hub, const char *item, int64_t ms)
{
    cmd_begin(&n->cmd, "ZADD");
    cmd_text(&n->cmd, WRT_KEY_PUSH_DUE);
    cmd_text(&n->cmd, "LT");
    cmd_num(&n->cmd, ms);
    cmd_text(&n->cmd, item);
    rds_push(hub, &n->cmd);
}


void
notifier_pump(notifier_t *n, int ms)
{
    const char  *why;

    push_turn(n->push, ms);

    (void) notifier_record(n);
    notifier_finish(n);
    notifier_lease(n);

    why = push_trouble(n->push);

    if (why[0] && !n->trouble) {
        log_error("push", "error=\"%s\" retry=yes", why);
    }

    n->trouble = why[0] != '\0';

    /* where TERM is taken */
    role_sleep(0);
}


/* Take, keep or lose the lease. */
static void
notifier_lease(notifier_t *n)
{
    int          held;
    char         ttl[16];
    rds_t       *hub;
    reply_t     *r;
    const char  *holder;

    if (mono_ms() < n->lease_at) {
        return;
    }

    n->lease_at = mono_ms() + WRT_PUSH_LEASE_MS / 5;
    hub = notifier_hub(n);

    if (hub == NULL) {
        return;
    }

    snprintf(ttl, sizeof(ttl), "%d", WRT_PUSH_LEASE_MS);
    r = rds_call(hub, "GET", WRT_KEY_PUSH_LEASE);
    holder = reply_text(r);
    held = 0;

    if (r == NULL || reply_is_error(r)) {
        reply_free(r);
        return;
    }

    if (reply_is_nil(r)) {
        reply_free(r);
        r = rds_call(hub, "SET", WRT_KEY_PUSH_LEASE, n->role->node, "NX",
                     "PX", ttl);
        held = strcmp(reply_text(r), "OK") == 0;

    } else if (strcmp(holder, n->role->node) == 0
               || node_gone(holder, strlen(holder)))
    {
        reply_free(r);
        r = rds_call(hub, "SET", WRT_KEY_PUSH_LEASE, n->role->node, "PX",
                     ttl);
        held = strcmp(reply_text(r), "OK") == 0;
    }

    reply_free(r);

    if (held && !n->held) {
        notifier_begin(n);

    } else if (!held && n->held) {
        log_info("push", "another pool's notifier works");
        n->held = 0;
    }
}


static int
notifier_has(const notifier_t *n, const char *text)
{
    unsigned  i;

    for (i = 0; i < NOTIFIER_ITEMS; i++) {
        if (n->items[i].used && strcmp(n->items[i].text, text) == 0) {
            return 1;
        }
    }

    return 0;
}


/* What somebody had in hand is due. */
static void
notifier_begin(notifier_t *n)
{
    size_t       i;
    rds_t       *hub;
    reply_t     *r;
    const char  *item;

    hub = notifier_hub(n);
    r = hub ? rds_call(hub, "ZRANGE", WRT_KEY_PUSH_HAND, "0", "-1") : NULL;

    if (r == NULL || reply_is_error(r)) {
        reply_free(r);
        return;
    }

    for (i = 0; i < reply_count(r); i++) {
        item = reply_text(reply_at(r, i));

        if (!notifier_has(n, item)) {
            notifier_due(n, hub, item, now_ms());
            rds_queue(hub, "ZREM", WRT_KEY_PUSH_HAND, item);
        }
    }

    n->held = rds_drain(hub) == 0;
    log_info("push", "working items_found=%zu", reply_count(r));
    reply_free(r);
}


static item_t *
notifier_free_item(notifier_t *n)
{
    unsigned  i;

    for (i = 0; i < NOTIFIER_ITEMS; i++) {
        if (!n->items[i].used) {
            return &n->items[i];
        }
    }

    return NULL;
}


/* One item: into hand, looked at. */
static int
notifier_work(notifier_t *n, item_t *it, const char *text)
{
    char    now[32];
    rds_t  *hub;

    hub = notifier_hub(n);

    if (hub == NULL || strlen(text) >= sizeof(it->text)) {
        return -1;
    }

    snprintf(now, sizeof(now), "%lld", (long long) now_ms());
    rds_queue(hub, "ZADD", WRT_KEY_PUSH_HAND, now, text);
    rds_queue(hub, "ZREM", WRT_KEY_PUSH_DUE, text);

    if (rds_drain(hub) != 0) {
        return -1;
    }

    memset(it, 0, sizeof(*it));
    text_copy(it->text, sizeof(it->text), text);
    it->at = mono_ms();
    it->used = 1;
    it->busy = 1;
    it->failed = notifier_item(n, it) != 0;
    it->busy = 0;
    n->nwants = 0;

    return 0;
}


/* Look at what is due.  Returns at how much. */
static unsigned
notifier_take(notifier_t *n)
{
    char       now[32];
    size_t     i;
    rds_t     *hub;
    item_t    *it;
    reply_t   *r;
    unsigned   done;

    hub = notifier_hub(n);

    /* without a store nothing can be said of anybody, and what nobody takes
     * now is better looked at when somebody does */
    if (hub == NULL || role_store(n->role) == NULL || !n->role->store_ok
        || push_away(n->push) || notifier_free_item(n) == NULL)
    {
        return 0;
    }

    snprintf(now, sizeof(now), "%lld", (long long) now_ms());
    r = rds_call(hub, "ZRANGEBYSCORE", WRT_KEY_PUSH_DUE, "-inf", now,
                 "LIMIT", "0", "16");

    for (i = 0, done = 0; i < reply_count(r) && n->held; i++) {
        it = notifier_free_item(n);

        /* in hand and due again: it changes after what is under way */
        if (it == NULL || role_stopping()
            || notifier_has(n, reply_text(reply_at(r, i)))
            || notifier_work(n, it, reply_text(reply_at(r, i))) != 0)
        {
            continue;
        }

        done++;
    }

    reply_free(r);

    return done;
}


/* Items of which all is recorded leave; those that were not possible now come
 * again. */
static void
notifier_finish(notifier_t *n)
{
    rds_t     *hub;
    item_t    *it;
    unsigned   i, gone;

    for (i = 0, gone = 0; i < NOTIFIER_ITEMS; i++) {
        it = &n->items[i];
        gone += it->used && !it->busy && it->refs == 0;
    }

    hub = gone ? notifier_hub(n) : NULL;

    if (hub == NULL) {
        return;
    }

    for (i = 0; i < NOTIFIER_ITEMS; i++) {
        it = &n->items[i];

        if (it->used && !it->busy && it->refs == 0) {
            if (it->failed) {
                notifier_due(n, hub, it->text, now_ms() + WRT_PUSH_AGAIN_MS);
            }

            rds_queue(hub, "ZREM", WRT_KEY_PUSH_HAND, it->text);
        }
    }

    if (rds_drain(hub) != 0) {
        return;
    }

    for (i = 0; i < NOTIFIER_ITEMS; i++) {
        it = &n->items[i];
        it->used = it->used && (it->busy || it->refs > 0);
    }
}


/* Told to stop: what is under way gets a little time, the rest stays in hand
 * for whoever comes next. */
static void
notifier_end(notifier_t *n)
{
    int64_t    end;
    unsigned   i;

    end = mono_ms() + NOTIFIER_STOP_MS;

    while (push_busy(n->push) > 0 && mono_ms() < end) {
        push_turn(n->push, 20);
        (void) notifier_record(n);
    }

    (void) notifier_record(n);
    notifier_finish(n);

    if (n->held && rds_alive(n->links[0].c)) {
        reply_free(rds_call(n->links[0].c, "DEL", WRT_KEY_PUSH_LEASE));
    }

    push_close(n->push);

    for (i = 0; i < n->cf->nredis; i++) {
        link_free(&n->links[i]);
    }

    role_store_close(n->role);
    cmd_free(&n->cmd);
    free(n->links);
    free(n->sendings);
    free(n->wants);
    free(n);
}
