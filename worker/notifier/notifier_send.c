/*
 * notifier_send.c: pushes on their way, and what became of them.
 *
 *   wanted --("p <seq> <services> <tries>" in what he was sent)--> on its way
 *   on its way --(all services have it)--> "s <seq>"
 *   on its way --(not now)--> its item is due again; stays "p", with one more
 *                             try that failed
 *   on its way --(somebody dies)--> "p": sent again, with the same id and tag
 *   a withdrawal --(done)--> the field goes
 *
 * A push that shows something and failed is not repeated: its item is due
 * again, and then it is asked anew what is unread, and what it says.
 *
 * What became of a push is kept here until Redis has it: a Redis that is away
 * for a moment makes nothing go out twice.
 */

#include <string.h>

#include <openssl/sha.h>

#include "worker/notifier/notifier.h"


want_t *
notifier_want(notifier_t *n)
{
    want_t  *w;

    if (n->nwants == n->cap) {
        n->cap = n->cap ? n->cap * 2 : 64;
        n->wants = mem_grow(n->wants, n->cap * sizeof(want_t));
    }

    w = &n->wants[n->nwants++];
    memset(w, 0, sizeof(*w));

    return w;
}


int
notifier_flying(const notifier_t *n, const char *conversation,
    const char *user)
{
    unsigned  i;

    for (i = 0; i < n->nsendings; i++) {
        if (n->sendings[i].used
            && strcmp(n->sendings[i].conversation, conversation) == 0
            && strcmp(n->sendings[i].user, user) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
send_key(char key[WRT_NAME_BUF], const char *user)
{
    wrt_key_user_pushed(key, user, strlen(user));
}


/* On its way to these services. */
static void
send_way(rds_t *hub, const char *key, const char *field, int64_t seq,
    unsigned services, unsigned tries)
{
    char  value[64];

    snprintf(value, sizeof(value), "p %lld %u %u", (long long) seq, services,
             tries);
    rds_queue(hub, "HSET", key, field, value);
}


/* What is about to go out is written down first. */
static int
send_intents(notifier_t *n)
{
    char       key[WRT_NAME_BUF], life[16];
    rds_t     *hub;
    want_t    *w;
    unsigned   i;

    hub = notifier_hub(n);
    if (hub == NULL) {
        return -1;
    }

    snprintf(life, sizeof(life), "%d", WRT_PUSH_KEEP_S);

    for (i = 0; i < n->nwants; i++) {
        w = &n->wants[i];

        if (w->kind == PUSH_WITHDRAW) {
            continue;
        }

        send_key(key, w->user);
        send_way(hub, key, w->field, w->seq, w->services, w->tries);
        rds_queue(hub, "EXPIRE", key, life);
    }

    return rds_drain(hub);
}


/* The same push has the same id, whoever sends it and how often. */
static void
send_id(char out[WRT_OID_LEN + 1], const want_t *w, const char *device)
{
    char           text[512];
    int            len;
    unsigned char  sum[SHA256_DIGEST_LENGTH];

    len = snprintf(text, sizeof(text), "%d %s %s %s %s %lld", (int) w->kind,
                   w->user, device, w->field, w->tag, (long long) w->seq);
    SHA256((unsigned char *) text,
           len < (int) sizeof(text) ? (size_t) len : sizeof(text) - 1, sum);

    wrt_hex(sum, WRT_OID_LEN / 2, out);
}


static void
send_done(void *data, unsigned service, push_rc_t rc, int64_t wait_ms,
    const char *why)
{
    sending_t  *s = data;

    s->left &= ~service;

    if (rc == PUSH_SENT) {
        s->sent |= service;
        return;
    }

    if (rc == PUSH_DEAD) {
        s->dead = 1;

    } else if (rc == PUSH_LATER) {
        s->later |= service;
        s->wait_ms = wait_ms > s->wait_ms ? wait_ms : s->wait_ms;
    }

    log_info("push_failed", "user=%s device=%s conversation=%s result=%s "
             "reason=\"%s\"", s->user, s->device, s->conversation,
             rc == PUSH_DEAD ? "dead" : rc == PUSH_LATER ? "later"
             : "refused", why);
}


/* A place for one more, when there is one; others are let go on meanwhile.
 * NULL: told to stop, or what is to be shown has become old while it waited:
 * the item is looked at anew. */
static sending_t *
send_place(notifier_t *n, const item_t *it, push_kind_t kind)
{
    unsigned  i;

    for ( ;; ) {
        for (i = 0; i < n->nsendings; i++) {
            if (!n->sendings[i].used && push_room(n->push) > 0) {
                return &n->sendings[i];
            }
        }

        if (role_stopping()) {
            return NULL;
        }

        notifier_pump(n, 10);

        if (kind != PUSH_WITHDRAW && mono_ms() - it->at > WRT_PUSH_FRESH_MS) {
            return NULL;
        }
    }
}


static int
send_one(notifier_t *n, item_t *it, const char *conversation,
    const want_t *w)
{
    char         id[WRT_OID_LEN + 1];
    char         title[WRT_PUSH_TITLE_MAX + 1], body[WRT_PUSH_BODY_MAX + 1];
    sending_t   *s;
    push_msg_t   m;

    s = send_place(n, it, w->kind);
    if (s == NULL) {
        return -1;
    }

    memset(&m, 0, sizeof(m));
    m.services = w->services;
    m.kind = w->kind;
    m.id = id;
    m.tag = w->tag;
    m.user = w->user;
    m.device = json_string_value(json_object_get(w->device, "id"));
    m.platform = json_string_value(json_object_get(w->device, "platform"));
    m.token = json_string_value(json_object_get(w->device, "token"));
    m.conversation = conversation;
    m.seq = w->seq;
    m.tries = w->tries;
    send_id(id, w, m.device);

    if (w->kind != PUSH_WITHDRAW) {
        push_text(w->kind, json_string_value(json_object_get(w->device,
                                                             "locale")),
                  w->who, n->cf->push_content ? w->what : NULL, w->minutes,
                  title, body);
        m.title = title;
        m.body = body;
    }

    memset(s, 0, sizeof(*s));
    s->item = it;
    s->kind = w->kind;
    s->seq = w->seq;
    s->tries = w->tries;
    s->at = now_ms();
    s->left = w->services;
    text_copy(s->user, sizeof(s->user), w->user);
    text_copy(s->conversation, sizeof(s->conversation), conversation);
    text_copy(s->device, sizeof(s->device), m.device);
    text_copy(s->field, sizeof(s->field), w->field);
    text_copy(s->again, sizeof(s->again), w->again);

    if (push_send(n->push, &m, send_done, s) != 0) {
        return -1;
    }

    s->used = 1;
    it->refs++;

    return 0;
}


int
notifier_go(notifier_t *n, item_t *it, const char *conversation)
{
    int       rc;
    unsigned  i;

    /* also what else was queued on the hub */
    rc = send_intents(n);

    for (i = 0; i < n->nwants && rc == 0; i++) {
        rc = send_one(n, it, conversation, &n->wants[i]);
    }

    n->nwants = 0;

    return rc;
}


/* ---- what became of them ---- */

/* Its token is none: the device goes, unless it was registered since. */
static int
record_dead(notifier_t *n, const sending_t *s)
{
    char    at[WRT_TIME_LEN + 1];
    rds_t  *shard;

    shard = notifier_shard(n, s->device);
    if (shard == NULL) {
        return -1;
    }

    wrt_time_format(s->at, at);

    return life_record(shard, &n->cmd, n->cf, WRT_EV_DEVICE, s->device, "-",
                       "-", json_pack("{s:s, s:s, s:s}", "op", "gone",
                                      "deviceId", s->device, "at", at));
}


static void
record_queue(notifier_t *n, rds_t *hub, const sending_t *s)
{
    char  key[WRT_NAME_BUF], value[48];

    send_key(key, s->user);

    if (s->later) {
        /* who has it does not get it again */
        if (s->kind != PUSH_WITHDRAW) {
            send_way(hub, key, s->field, s->seq, s->later, s->tries + 1);
        }

        notifier_due(n, hub, s->again, now_ms()
                     + (s->wait_ms > WRT_PUSH_AGAIN_MS ? s->wait_ms
                                                       : WRT_PUSH_AGAIN_MS));

    } else if (s->kind == PUSH_WITHDRAW || s->dead) {
        rds_queue(hub, "HDEL", key, s->field);

    } else {
        snprintf(value, sizeof(value), "s %lld", (long long) s->seq);
        rds_queue(hub, "HSET", key, s->field, value);
    }
}


static void
record_count(notifier_t *n, const sending_t *s)
{
    counters_t  *m;

    m = &n->role->slot->counters;

    if (s->later) {
        count_add(m->push_later, 1);

    } else if (s->dead) {
        count_add(m->push_dead, 1);

    } else if (s->sent == 0) {
        count_add(m->push_refused, 1);

    } else if (s->kind == PUSH_WITHDRAW) {
        count_add(m->push_withdrawn, 1);

    } else {
        count_add(m->push_sent, 1);
    }
}


int
notifier_record(notifier_t *n)
{
    rds_t       *hub;
    unsigned     i, done;
    sending_t   *s;

    for (i = 0, done = 0; i < n->nsendings; i++) {
        done += n->sendings[i].used && n->sendings[i].left == 0;
    }

    if (done == 0) {
        return 0;
    }

    for (i = 0; i < n->nsendings; i++) {
        s = &n->sendings[i];

        if (s->used && s->left == 0 && s->dead && record_dead(n, s) != 0) {
            return -1;
        }
    }

    hub = notifier_hub(n);
    if (hub == NULL) {
        return -1;
    }

    for (i = 0; i < n->nsendings; i++) {
        if (n->sendings[i].used && n->sendings[i].left == 0) {
            record_queue(n, hub, &n->sendings[i]);
        }
    }

    if (rds_drain(hub) != 0) {
        return -1;
    }

    for (i = 0; i < n->nsendings; i++) {
        s = &n->sendings[i];

        if (s->used && s->left == 0) {
            record_count(n, s);
            s->item->refs--;
            s->used = 0;
        }
    }

    return 0;
}
