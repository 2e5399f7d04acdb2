/*
 * erase.c: users who are to be forgotten (docs/life-of-data.md).
 *
 * Part of the janitor.  What is left to do is asked of the store each time:
 * rooms where he still is a member under his own id.  One room after the other,
 *
 *   he leaves it          a numbered event: nothing of his comes after it
 *   his messages          a hundred an event: out of the log, then of the store
 *   written up sessions   record and transcript, whose chain stays
 *   everything else       reactions, receipts, files... and last his membership
 *
 * and when no room is left, his profile, his devices and what Redis has of him.
 * Each step waits until the store has the one before.  Killed at any moment, it
 * goes on where the store says; every step may be done twice.
 *
 * What is held is passed over, and looked at again later.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/scribe/scribe.h"

#define ERASE_LOOK_MS    20
#define ERASE_IDLE_MS    1000
#define ERASE_AWAY_MS    2000
#define ERASE_HELD_MS    5000
#define ERASE_PAGE       100        /* dead letters, sessions */
#define ERASE_WRITE_MS   60000      /* so long after its end a session may be
                                       in the hands of who writes it up */

struct erase_s {
    role_t     *role;
    link_t     *links;
    char        after[WRT_ID_MAX + 1];      /* rooms up to there are held */
    char        revoked[WRT_ID_MAX + 1];    /* whose sockets were closed */
    int         waiting;
    unsigned    shard;              /* of what the store has to have */
    char        entry[EVENT_ENTRY_SIZE];
    cmd_t       cmd;
};


erase_t *
erase_open(role_t *r)
{
    erase_t  *t;

    t = mem_zero(sizeof(erase_t));
    t->role = r;

    return t;
}


void
erase_close(erase_t *t)
{
    cmd_free(&t->cmd);
    free(t);
}


static const char *
erase_text(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}


/* The connection to what belongs to this room or user; NULL: away. */
static rds_t *
erase_shard(erase_t *t, const char *place, unsigned *k)
{
    link_t  *link;

    *k = wrt_shard(&t->role->cf->names, place, strlen(place));
    link = &t->links[conf_server(t->role->cf, *k)];

    return link_up(link) == 0 ? link->c : NULL;
}


/* Queue a step, which is to be waited for; takes the body.  When to come
 * again. */
static int
erase_record(erase_t *t, const char *place, const char *conversation,
    json_t *body)
{
    rds_t    *c;
    unsigned  k;

    c = erase_shard(t, place, &k);

    if (c == NULL) {
        json_decref(body);
        return ERASE_AWAY_MS;
    }

    if (life_record(c, &t->cmd, t->role->cf, WRT_EV_LIFE, place, conversation,
                    "-", body)
        != 0)
    {
        return ERASE_AWAY_MS;
    }

    t->waiting = 1;
    t->shard = k;
    text_copy(t->entry, sizeof(t->entry), life_entry());

    return ERASE_LOOK_MS;
}


/* -- a room -- */

/* He leaves it, as if he did so himself; the system message about it goes with
 * the others of his. */
static int
erase_leave(erase_t *t, const char *user, const json_t *trace)
{
    int           rc;
    char          id[WRT_OID_LEN + 1], member[WRT_ID_MAX + 3];
    char          read[WRT_ID_MAX + 3], got[WRT_ID_MAX + 3];
    buf_t         text;
    rds_t        *c;
    unsigned      k;
    const char   *room, *ops[8];
    life_event_t  e;

    room = erase_text(trace, "conversationId");
    c = erase_shard(t, room, &k);

    if (c == NULL) {
        return ERASE_AWAY_MS;
    }

    snprintf(member, sizeof(member), WRT_F_MEMBER "%s", user);
    snprintf(read, sizeof(read), WRT_F_READ "%s", user);
    snprintf(got, sizeof(got), WRT_F_DELIVERED "%s", user);
    ops[0] = "Y"; ops[1] = member;
    ops[2] = "D"; ops[3] = member;
    ops[4] = "D"; ops[5] = read;
    ops[6] = "D"; ops[7] = got;

    life_id(id);
    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "{\"event\":\"message_received\",\"data\":{"
            "\"conversationId\":\"%s\",\"seq\":" WRT_EMIT_SEQ
            ",\"message\":{\"id\":\"%s\",\"conversationId\":\"%s\","
            "\"senderId\":\"%s\",\"sender\":{\"name\":\"\",\"avatar\":null},"
            "\"type\":\"system\",\"content\":{\"systemMessage\":{\"action\":"
            "\"user_left\",\"data\":{\"userId\":\"%s\",\"name\":\"\"}}},"
            "\"status\":\"sent\",\"readBy\":[],\"replyTo\":null,"
            "\"reactions\":[],\"createdAt\":\"" WRT_EMIT_AT "\",\"seq\":"
            WRT_EMIT_SEQ "}}}", room, id, room, user, user);

    memset(&e, 0, sizeof(e));
    e.conversation = room;
    e.kind = WRT_EV_LEAVE;
    e.target = user;
    e.event = text.p;
    e.extra = "";
    e.expect = INT64_C(1) << 53;    /* whatever else has changed there */
    e.ops = ops;
    e.nops = sizeof(ops) / sizeof(ops[0]);

    /* refused: he has left, and the store does not know it yet */
    rc = life_publish(t->role->store, c, &t->cmd, t->role->cf, &e);
    buf_free(&text);

    return rc < 0 ? ERASE_AWAY_MS : 2 * ERASE_LOOK_MS;
}


/* Out of the log, and the uploads that became these messages out of Redis; then
 * out of the store. */
static int
erase_scrub(erase_t *t, const json_t *e, const char *room, json_t *messages)
{
    char       key[WRT_NAME_BUF];
    size_t     i;
    rds_t     *c;
    json_t    *m, *ids, *body;
    unsigned   k;
    const char *id;

    c = erase_shard(t, room, &k);

    if (c == NULL || life_withdraw(c, &t->cmd, t->role->cf, room, messages,
                                   "erased")
                     != 0)
    {
        return ERASE_AWAY_MS;
    }

    ids = json_array();

    json_array_foreach(messages, i, m) {
        id = erase_text(m, "id");
        json_array_append(ids, json_object_get(m, "id"));
        wrt_key_upload(key, id, strlen(id));
        rds_queue(t->links[0].c, "DEL", key);
    }

    (void) rds_drain(t->links[0].c);

    body = life_erase("scrub", erase_text(e, "userId"),
                      erase_text(e, "alias"), NULL);
    json_object_set_new(body, "messages", ids);

    return erase_record(t, room, room, body);
}


/* Is it being written up, perhaps by who has read what he said? */
static int
erase_is_written(const json_t *s)
{
    return strcmp(erase_text(s, "status"), "ended") == 0
           && now_ms() - scribe_time(s, "endTime") < ERASE_WRITE_MS;
}


/* Sessions that are written up: when to come again; 0: nothing is left. */
static int
erase_sessions(erase_t *t, const json_t *e, const char *room)
{
    int                rc;
    size_t             i;
    json_t            *list, *s;
    int64_t            total;
    scribe_t           w;
    unsigned           k;
    store_rc_t         src;
    store_sessions_t   q;

    memset(&w, 0, sizeof(w));
    w.cf = t->role->cf;
    w.st = t->role->store;
    w.cmd = &t->cmd;

    memset(&q, 0, sizeof(q));
    q.conversation = room;
    q.limit = ERASE_PAGE;

    do {
        q.page++;
        src = store_sessions(t->role->store, &q, &list, &total);
        role_store_result(t->role, src);
        w.shard = src == STORE_OK ? erase_shard(t, room, &k) : NULL;
        rc = w.shard ? 0 : -1;

        json_array_foreach(list, i, s) {
            if (rc == 0
                && strcmp(erase_text(s, "status"), "completed") == 0)
            {
                rc = scribe_erase(&w, s, erase_text(e, "userId"),
                                  erase_text(e, "alias"));

            } else if (rc == 0) {
                rc = erase_is_written(s);
            }
        }

        json_decref(list);

    } while (rc == 0 && (int64_t) q.page * ERASE_PAGE < total);

    /* the next look finds the record without him */
    return rc < 0 ? ERASE_AWAY_MS : rc > 0 ? 10 * ERASE_LOOK_MS : 0;
}


static int
erase_forget(erase_t *t, const json_t *e, const char *room)
{
    char         key[WRT_NAME_BUF], a[WRT_ID_MAX + 3], b[WRT_ID_MAX + 3];
    rds_t       *c;
    unsigned     k;
    const char  *user;

    user = erase_text(e, "userId");
    c = erase_shard(t, room, &k);

    if (c == NULL) {
        return ERASE_AWAY_MS;
    }

    /* of one who had left already */
    wrt_key_conv(key, k, room, strlen(room));
    snprintf(a, sizeof(a), WRT_F_READ "%s", user);
    snprintf(b, sizeof(b), WRT_F_DELIVERED "%s", user);
    reply_free(rds_call(c, "HDEL", key, a, b));

    return erase_record(t, room, room,
                        life_erase("forget", user, erase_text(e, "alias"),
                                   NULL));
}


static int
erase_room(erase_t *t, const json_t *e, const json_t *trace)
{
    int          ms;
    json_t      *messages;
    store_rc_t   src;
    const char  *room;

    room = erase_text(trace, "conversationId");

    if (json_is_true(json_object_get(trace, "held"))) {
        text_copy(t->after, sizeof(t->after), room);
        return ERASE_LOOK_MS;
    }

    if (json_is_true(json_object_get(trace, "present"))) {
        return erase_leave(t, erase_text(e, "userId"), trace);
    }

    src = store_said(t->role->store, room, erase_text(e, "userId"),
                     WRT_EXPIRE_BATCH, &messages);
    role_store_result(t->role, src);

    if (src != STORE_OK) {
        return ERASE_AWAY_MS;
    }

    if (json_array_size(messages)) {
        ms = erase_scrub(t, e, room, messages);

    } else {
        ms = erase_sessions(t, e, room);
        ms = ms ? ms : erase_forget(t, e, room);
    }

    json_decref(messages);

    return ms;
}


/* -- the rest -- */

/* His open sockets are closed. */
static void
erase_revoke(erase_t *t, const char *user)
{
    char   name[WRT_NAME_BUF], text[16];

    if (strcmp(t->revoked, user) == 0) {
        return;
    }

    /* another one than the last time */
    t->after[0] = '\0';

    wrt_chan_user(name, &t->role->cf->names, user, strlen(user));
    snprintf(text, sizeof(text), "%c - - -\n", WRT_UEV_REVOKE);
    reply_free(rds_call(t->links[0].c, "PUBLISH", name, text));
    text_copy(t->revoked, sizeof(t->revoked), user);
}


/* Letters that he wrote, or that are about him. */
static int
erase_dead(erase_t *t, unsigned k, const char *user)
{
    char            key[WRT_NAME_BUF], from[EVENT_ENTRY_SIZE + 1];
    char            quoted[WRT_ID_MAX + 3], blank[WRT_ID_MAX + 3], page[16];
    rds_t          *c;
    link_t         *link;
    size_t          i, n;
    reply_t        *r;
    const char     *id, *p;

    link = &t->links[conf_server(t->role->cf, k)];
    c = link_up(link) == 0 ? link->c : NULL;

    if (c == NULL) {
        return -1;
    }

    snprintf(quoted, sizeof(quoted), "\"%s\"", user);
    snprintf(blank, sizeof(blank), " %s ", user);
    snprintf(page, sizeof(page), "%d", ERASE_PAGE);
    text_copy(from, sizeof(from), "-");
    wrt_key_ingest_dead(key, k);

    do {
        r = rds_call(c, "XRANGE", key, from, "+", "COUNT", page);
        n = reply_count(r);

        for (i = 0; i < n; i++) {
            id = reply_text(reply_at(reply_at(r, i), 0));
            p = reply_text(reply_field(reply_at(reply_at(r, i), 1),
                                       WRT_F_PAYLOAD));
            snprintf(from, sizeof(from), "(%.*s", EVENT_ENTRY_SIZE - 1, id);

            if (strstr(p, quoted) || strstr(p, blank)) {
                reply_free(rds_call(c, "XDEL", key, id));
            }
        }

        reply_free(r);

    } while (n == ERASE_PAGE && rds_alive(c));

    return rds_alive(c) ? 0 : -1;
}


/* What Redis has of him.  0, -1: later. */
static int
erase_redis(erase_t *t, const char *user)
{
    char      key[WRT_NAME_BUF];
    size_t    n;
    rds_t    *hub, *c;
    unsigned  k;

    hub = t->links[0].c;
    n = strlen(user);

    for (k = 0; k < t->role->cf->names.shards; k++) {
        if (erase_dead(t, k, user) != 0) {
            return -1;
        }
    }

    wrt_key_user_convs(key, user, n);
    rds_queue(hub, "DEL", key);
    wrt_key_user_conns(key, user, n);
    rds_queue(hub, "DEL", key);
    wrt_key_user_presence(key, user, n);
    rds_queue(hub, "DEL", key);
    wrt_key_user_pushed(key, user, n);
    rds_queue(hub, "DEL", key);
    rds_queue(hub, "ZREM", WRT_KEY_ONLINE, user);
    rds_queue(hub, "ZREM", WRT_KEY_HIDDEN, user);

    if (rds_drain(hub) != 0) {
        rds_fail(hub, rds_error(hub));
        return -1;
    }

    c = erase_shard(t, user, &k);

    if (c == NULL) {
        return -1;
    }

    wrt_key_profile(key, k, user, n);
    reply_free(rds_call(c, "DEL", key));

    return rds_alive(c) ? 0 : -1;
}


/* No room is left: his devices, his profile, and into the log with it. */
static int
erase_end(erase_t *t, const json_t *e)
{
    char         id[WRT_OID_LEN + 1];
    rds_t       *c;
    actor_t      who;
    unsigned     k;
    const char  *user;

    user = erase_text(e, "userId");

    if (erase_redis(t, user) != 0) {
        return ERASE_AWAY_MS;
    }

    c = erase_shard(t, user, &k);

    if (c == NULL
        || life_record(c, &t->cmd, t->role->cf, WRT_EV_DEVICE, user, "-",
                       user, json_pack("{s:s}", "op", "forget"))
           != 0)
    {
        return ERASE_AWAY_MS;
    }

    log_info("erased", "requested_at=%s", erase_text(e, "requestedAt"));
    t->revoked[0] = '\0';

    /* the alias does not stand beside his id */
    who.user = "janitor";
    who.role = "system";
    who.from = t->role->node;
    life_id(id);

    return erase_record(t, user, "-", life_erase("erased", user, "erased",
               life_audit(id, &who, "user_erased", "user", user,
                          json_pack("{s:s, s:s}", "requestedBy",
                                    erase_text(e, "requestedBy"),
                                    "requestedAt",
                                    erase_text(e, "requestedAt")))));
}


static int
erase_step(erase_t *t, const json_t *e)
{
    int          ms;
    json_t      *traces;
    store_rc_t   src;
    const char  *user;

    user = erase_text(e, "userId");
    erase_revoke(t, user);

    src = store_traces(t->role->store, user, t->after, 1, &traces);
    role_store_result(t->role, src);

    if (src != STORE_OK) {
        return ERASE_AWAY_MS;
    }

    if (json_array_size(traces)) {
        ms = erase_room(t, e, json_array_get(traces, 0));

    } else if (t->after[0]) {
        t->after[0] = '\0';
        ms = ERASE_HELD_MS;

    } else {
        ms = erase_end(t, e);
    }

    json_decref(traces);

    return ms;
}


int
erase_turn(erase_t *t, link_t *links)
{
    int          ms;
    size_t       n;
    rds_t       *c;
    json_t      *list;
    store_t     *st;
    store_rc_t   rc;

    t->links = links;
    st = role_store(t->role);

    if (st == NULL || !life_lock(links[0].c, t->role->node)) {
        return ERASE_AWAY_MS;
    }

    if (t->waiting) {
        c = link_up(&links[conf_server(t->role->cf, t->shard)]) == 0
            ? links[conf_server(t->role->cf, t->shard)].c : NULL;

        if (c == NULL || !life_stored(c, t->shard, t->entry)) {
            return ERASE_LOOK_MS;
        }

        t->waiting = 0;
    }

    rc = store_erasures(st, &list);
    role_store_result(t->role, rc);

    if (rc != STORE_OK) {
        return ERASE_AWAY_MS;
    }

    n = json_array_size(list);
    ms = ERASE_IDLE_MS;

    if (n > 0) {
        /* where one is held up, another one's turn comes */
        ms = erase_step(t, json_array_get(list,
                     (size_t) (now_ms() / (4 * ERASE_HELD_MS)) % n));
    }

    json_decref(list);

    return ms;
}
