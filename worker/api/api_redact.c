/*
 * api_redact.c: sessions are shown without what was deleted since they were
 * written up.
 *
 * The janitor takes that out soon after (scribe_redact.c).  Who asks before it
 * has does so himself, and waits until the store has it.  The order counts:
 * notes of what is gone are looked at first, then the record is read, since
 * notes go away once the record is in the store.
 */

#include <string.h>

#include "worker/api/api.h"
#include "worker/scribe/scribe.h"

#define REDACT_REST_MS  10000       /* it is waited for, not queued again */


static const char *
redact_text(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}


int
api_gone(api_t *a, call_t *c, const char *room, reply_t **gone)
{
    rds_t  *hub;

    hub = api_redis(a, 0);
    *gone = hub ? scribe_gone(hub, room) : NULL;

    if (*gone == NULL) {
        api_unavailable(c);
        return -1;
    }

    return 0;
}


/* Has a call before this one queued it?  A transcript may be large, and calls
 * that ask for the same session many. */
static int
redact_is_queued(const api_t *a, const json_t *s)
{
    unsigned  i;

    for (i = 0; i < API_REDACTED; i++) {
        if (mono_ms() < a->redacted[i].until
            && a->redacted[i].rev
               == json_integer_value(json_object_get(s, "rev"))
            && strcmp(a->redacted[i].id, redact_text(s, "id")) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
redact_queued(api_t *a, const json_t *s)
{
    redacted_t  *r;

    r = &a->redacted[a->nredacted++ % API_REDACTED];
    text_copy(r->id, sizeof(r->id), redact_text(s, "id"));
    r->rev = json_integer_value(json_object_get(s, "rev"));
    r->until = mono_ms() + REDACT_REST_MS;
}


int
api_redact(api_t *a, call_t *c, const reply_t *gone, const json_t *s)
{
    int          queued;
    store_t     *st;
    scribe_t     w;
    store_rc_t   rc;
    const char  *room;

    if (strcmp(redact_text(s, "status"), "completed") != 0
        || !scribe_gone_touches(gone, s))
    {
        return 0;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    room = redact_text(s, "conversationId");
    api_scribe(a, st, room, &w);

    if (w.shard == NULL || c->step > API_REDACT_STEPS) {
        api_unavailable(c);
        return -1;
    }

    if (redact_is_queued(a, s)) {
        return api_wait_shard(a, c, room) < 0 ? -1 : 1;
    }

    rc = scribe_redact(&w, s, &queued);

    if (rc == STORE_REJECTED) {
        api_unavailable(c);
        return -1;
    }

    if (rc == STORE_NOT_FOUND) {
        return 1;                   /* there is another one now */
    }

    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    if (!queued) {
        return 0;
    }

    redact_queued(a, s);

    return api_wait_shard(a, c, room) < 0 ? -1 : 1;
}


/* One of a list.  Rooms come again: *last, *gone are of the one before. */
static int
clean_one(api_t *a, call_t *c, const json_t *s, const char **last,
    reply_t **gone)
{
    const char  *room;

    room = redact_text(s, "conversationId");

    if (strcmp(room, *last) != 0) {
        reply_free(*gone);
        *gone = NULL;
        *last = room;

        if (api_gone(a, c, room, gone) != 0) {
            return -1;
        }
    }

    return api_redact(a, c, *gone, s);
}


int
api_redact_all(api_t *a, call_t *c, const json_t *list)
{
    int          rc, waits;
    size_t       i;
    json_t      *s;
    reply_t     *gone;
    const char  *last;

    gone = NULL;
    last = "";
    rc = 0;
    waits = 0;

    json_array_foreach(list, i, s) {
        rc = clean_one(a, c, s, &last, &gone);

        if (rc < 0) {
            break;
        }

        waits |= rc;
    }

    reply_free(gone);

    return rc < 0 ? -1 : waits;
}


int
api_any_gone(api_t *a, call_t *c)
{
    rds_t    *hub;
    int64_t   n;
    reply_t  *r;

    hub = api_redis(a, 0);
    r = hub ? rds_call(hub, "ZRANGE", WRT_KEY_SESSIONS_REDACT, "0", "0")
            : NULL;

    if (r == NULL || reply_is_error(r)) {
        if (hub) {
            rds_fail(hub, reply_text(r));
        }

        reply_free(r);
        api_unavailable(c);
        return -1;
    }

    n = reply_count(r) > 0;
    reply_free(r);

    return (int) n;
}
