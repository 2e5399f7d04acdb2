/*
 * api_stream.c: what the scheduling system says, by the stream
 * wrt:consultations (docs/sessions.md).
 *
 * An entry becomes a call of the route that says the same, and goes through
 * the same handler as one that came by HTTP.  One process of all pools reads
 * the stream, by a lease, and one entry at a time, so that what was said
 * later is done later.  It reads under one name for all: whoever takes over
 * finds the entry that was in hand, and makes the same call of it.
 *
 * An entry that can be done goes; one that never can (nobody knows the
 * consultation, a wrong body) goes to wrt:consultations:dead with the reason;
 * while the store or Redis is away it waits, and so do those behind it.
 */

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "worker/api/api.h"

#define STREAM_IDLE_MS   200        /* between two looks */
#define STREAM_AGAIN_MS  1000       /* after a failure */
#define STREAM_LEASE_MS  5000
#define STREAM_NAME      "c"        /* of the consumer, whoever it is */
#define STREAM_BY        "scheduler"
#define STREAM_CALL_MS   10000

static const struct {
    const char  *action;
    const char  *route;
} stream_actions[] = {
    { "confirmed",   "confirm" },
    { "started",     "start" },
    { "ended",       "end" },
    { "cancelled",   "cancel" },
    { "rescheduled", "reschedule" },
    { "no_show",     "no-show" },
    { NULL,          NULL }
};


/* Two at a time do no harm: they make the same call. */
int
stream_lease(api_t *a, rds_t *hub)
{
    char      ttl[16];
    reply_t  *r;

    if (mono_ms() < a->lease_at) {
        return a->leader;
    }

    snprintf(ttl, sizeof(ttl), "%d", STREAM_LEASE_MS);

    r = rds_call(hub, "SET", WRT_KEY_CONSULT_LEASE, a->role->node, "NX", "PX",
                 ttl);
    a->leader = strcmp(reply_text(r), "OK") == 0;
    reply_free(r);

    if (!a->leader) {
        r = rds_call(hub, "GET", WRT_KEY_CONSULT_LEASE);
        a->leader = strcmp(reply_text(r), a->role->node) == 0;
        reply_free(r);

        if (a->leader) {
            reply_free(rds_call(hub, "PEXPIRE", WRT_KEY_CONSULT_LEASE, ttl));
        }
    }

    a->lease_at = mono_ms() + STREAM_LEASE_MS / 3;

    return a->leader;
}


/* The entry in hand, else the next one; NULL: there is none. */
static reply_t *
stream_read(rds_t *hub)
{
    int             i;
    reply_t        *r;

    static const char *const  from[] = { "0", ">" };

    for (i = 0; i < 2; i++) {
        r = rds_call(hub, "XREADGROUP", "GROUP", WRT_GROUP_API, STREAM_NAME,
                     "COUNT", "1", "STREAMS", WRT_KEY_CONSULT, from[i]);

        if (r == NULL || reply_is_error(r)) {
            /* it was deleted under our feet */
            if (reply_error(r, "NOGROUP")) {
                (void) server_group(hub, WRT_KEY_CONSULT, WRT_GROUP_API);
            } else {
                rds_fail(hub, reply_text(r));
            }

            reply_free(r);
            return NULL;
        }

        if (reply_count(reply_at(reply_at(r, 0), 1)) > 0) {
            return r;
        }

        reply_free(r);
    }

    return NULL;
}


static void
stream_drop(rds_t *hub, const char *entry)
{
    rds_queue(hub, "XACK", WRT_KEY_CONSULT, WRT_GROUP_API, entry);
    rds_queue(hub, "XDEL", WRT_KEY_CONSULT, entry);
    rds_drain(hub);
}


/* It can never be done: kept as it came, with the reason. */
static void
stream_dead(api_t *a, rds_t *hub, const char *entry, const reply_t *fields,
    const char *why)
{
    size_t          i;
    const reply_t  *r;

    log_error("consultation_dead", "entry=%s action=\"%.32s\" id=\"%.64s\" "
              "error=\"%s\"", entry,
              reply_text(reply_field(fields, WRT_F_CONSULT_ACTION)),
              reply_text(reply_field(fields, WRT_F_CONSULT_ID)), why);
    count_add(a->role->slot->counters.dead, 1);

    cmd_begin(&a->cmd, "XADD");
    cmd_text(&a->cmd, WRT_KEY_CONSULT_DEAD);
    cmd_text(&a->cmd, "*");

    for (i = 0; i < reply_count(fields); i++) {
        r = reply_at(fields, i);
        cmd_mem(&a->cmd, reply_text(r), reply_len(r));
    }

    cmd_text(&a->cmd, WRT_F_WHY);
    cmd_text(&a->cmd, why);
    cmd_text(&a->cmd, WRT_F_CONSULT_ENTRY);
    cmd_text(&a->cmd, entry);
    rds_push(hub, &a->cmd);
    stream_drop(hub, entry);
}


/* The call's id follows from the entry's: done again it is the same call. */
static int
stream_id(char out[WRT_OID_LEN + 1], const char *entry)
{
    int            n;
    char           text[128];
    unsigned       len;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    n = snprintf(text, sizeof(text), "%s\n%s", WRT_KEY_CONSULT, entry);

    if (EVP_Digest(text, (size_t) n, digest, &len, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    wrt_hex(digest, WRT_OID_LEN / 2, out);

    return 0;
}


/* NULL and *why: none of ours. */
static call_t *
stream_call(const char *entry, const reply_t *fields, const char **why)
{
    char            id[WRT_OID_LEN + 1], path[64 + WRT_ID_MAX];
    call_t         *c;
    unsigned        i;
    const char     *action, *by;
    const reply_t  *what, *data;

    action = reply_text(reply_field(fields, WRT_F_CONSULT_ACTION));
    what = reply_field(fields, WRT_F_CONSULT_ID);
    data = reply_field(fields, WRT_F_CONSULT_DATA);
    by = reply_text(reply_field(fields, WRT_F_CONSULT_BY));

    for (i = 0; stream_actions[i].action
                && strcmp(stream_actions[i].action, action) != 0; i++);

    if (stream_actions[i].action == NULL) {
        *why = "action: must be confirmed, started, ended, cancelled, "
               "rescheduled or no_show";
        return NULL;
    }

    if (!wrt_id_valid(reply_text(what), reply_len(what))) {
        *why = "id: an id of 1 to 64 letters, digits, underscores or hyphens "
               "is required";
        return NULL;
    }

    if (by[0] && !wrt_id_valid(by, strlen(by))) {
        *why = "by: must be an id";
        return NULL;
    }

    if (reply_len(data) > WRT_BODY_MAX) {
        *why = "data: is too large";
        return NULL;
    }

    if (stream_id(id, entry) != 0) {
        *why = "no hash";
        return NULL;
    }

    snprintf(path, sizeof(path), "/api/consultations/%s/%s",
             reply_text(what), stream_actions[i].route);

    c = call_told(entry, id, path, reply_text(data), reply_len(data),
                  by[0] ? by : STREAM_BY);
    c->deadline = now_ms() + STREAM_CALL_MS;

    return c;
}


call_t *
stream_turn(api_t *a)
{
    rds_t          *hub;
    call_t         *c;
    reply_t        *r;
    const char     *why, *entry;
    const reply_t  *e, *fields;

    /* the first process of a pool alone, one entry at a time */

    if (a->role->index != 0 || a->told || mono_ms() < a->told_at) {
        return NULL;
    }

    a->told_at = mono_ms() + STREAM_IDLE_MS;
    hub = api_redis(a, 0);

    if (hub == NULL || !stream_lease(a, hub)) {
        return NULL;
    }

    r = stream_read(hub);
    if (r == NULL) {
        return NULL;
    }

    e = reply_at(reply_at(reply_at(r, 0), 1), 0);
    entry = reply_text(reply_at(e, 0));
    fields = reply_at(e, 1);
    why = "the entry was deleted";
    c = stream_call(entry, fields, &why);

    if (c) {
        a->told = 1;

    } else if (reply_count(fields) == 0) {
        stream_drop(hub, entry);

    } else {
        stream_dead(a, hub, entry, fields, why);
    }

    reply_free(r);

    return c;
}


void
stream_answered(api_t *a, call_t *c)
{
    char      why[256];
    rds_t    *hub;
    json_t   *v;
    reply_t  *r;

    a->told = 0;
    a->told_at = mono_ms() + STREAM_AGAIN_MS;
    hub = api_redis(a, 0);

    if (hub == NULL || c->status >= 500 || c->status == 429) {
        log_warn("consultation_waits", "entry=%s status=%d", c->entry,
                 c->status);
        return;
    }

    a->told_at = 0;                 /* the next one at once */

    if (c->status < 400) {
        log_info("consultation", "entry=%s path=\"%s\" status=%d", c->entry,
                 c->path, c->status);
        stream_drop(hub, c->entry);
        return;
    }

    v = json_loadb(c->out.p, c->out.n, 0, NULL);
    snprintf(why, sizeof(why), "%d %s", c->status,
             json_is_string(json_object_get(v, "message"))
             ? json_string_value(json_object_get(v, "message")) : "");
    json_decref(v);

    r = rds_call(hub, "XRANGE", WRT_KEY_CONSULT, c->entry, c->entry);

    if (reply_count(r) > 0) {
        stream_dead(a, hub, c->entry, reply_at(reply_at(r, 0), 1), why);

    } else if (r && !reply_is_error(r)) {
        /* it was deleted meanwhile */
        stream_drop(hub, c->entry);
    }

    reply_free(r);
}
