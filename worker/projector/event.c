/*
 * event.c: an entry of an ingest stream becomes an event for the store.
 *
 * What stands in the stream was written by our own functions, but it is read
 * as if anybody could have written it: one bad entry must never stop a
 * shard.  Parsing only checks the form of docs/redis.md; what an event means
 * is up to the store.
 */

#include <string.h>

#include "worker/worker.h"

/* What each kind has to have. */
#define EVENT_NUMBER   0x01     /* a number of 1 or more; else 0 */
#define EVENT_ACTOR    0x02
#define EVENT_TARGET   0x04
#define EVENT_BODY     0x08     /* a JSON object; else nothing */
#define EVENT_NO_CONV  0x10     /* belongs to no conversation */
#define EVENT_ANY_CONV 0x20     /* may belong to none */

static const struct {
    char      kind;
    unsigned  needs;
} event_kinds[] = {
    { WRT_EV_MESSAGE, EVENT_NUMBER | EVENT_ACTOR | EVENT_BODY },
    { WRT_EV_STATUS,  EVENT_ACTOR | EVENT_BODY },
    { WRT_EV_CHANGE,  EVENT_NUMBER | EVENT_BODY },
    { WRT_EV_CREATE,  EVENT_BODY },
    { WRT_EV_JOIN,    EVENT_NUMBER | EVENT_TARGET | EVENT_BODY },
    { WRT_EV_LEAVE,   EVENT_NUMBER | EVENT_TARGET | EVENT_BODY },
    { WRT_EV_FENCE,   EVENT_NUMBER },
    { WRT_EV_PROFILE, EVENT_ACTOR | EVENT_BODY | EVENT_NO_CONV },
    { WRT_EV_FILE,    EVENT_BODY },
    { WRT_EV_LIFE,    EVENT_BODY | EVENT_ANY_CONV },
    { WRT_EV_AUDIT,   EVENT_BODY | EVENT_NO_CONV },
    { WRT_EV_DEVICE,  EVENT_BODY | EVENT_NO_CONV },
    { WRT_EV_SESSION, EVENT_BODY },
    { 0,              0 }
};


/* Copy a checked id; "" for an empty one.  -1: not an id. */
static int
event_id(char out[WRT_ID_MAX + 1], wrt_slice_t s)
{
    out[0] = '\0';

    if (s.n == 0) {
        return 0;
    }

    if (!wrt_id_valid(s.p, s.n)) {
        return -1;
    }

    memcpy(out, s.p, s.n);
    out[s.n] = '\0';

    return 0;
}


static json_t *
event_object(wrt_slice_t s, int whole)
{
    json_t  *v;

    v = whole ? NULL : event_pick(s);

    if (v) {
        return v;
    }

    v = json_loadb(s.p, s.n, JSON_REJECT_DUPLICATES, NULL);

    if (v && !json_is_object(v)) {
        json_decref(v);
        return NULL;
    }

    return v;
}


/* The header line.  NULL, or what is wrong with it. */
static const char *
event_header(entry_t *e, const wrt_bus_header_t *h, wrt_slice_t conversation,
    unsigned needs)
{
    int  none;

    none = conversation.n == 1 && conversation.p[0] == '-';

    if ((needs & EVENT_NO_CONV) || (none && (needs & EVENT_ANY_CONV))) {
        if (!none) {
            return "this kind belongs to no conversation";
        }

        text_copy(e->conversation, sizeof(e->conversation), "-");

    } else if (conversation.n == 0
               || event_id(e->conversation, conversation) != 0)
    {
        return "the conversation is not an id";
    }

    if (event_id(e->actor, h->f[1]) != 0) {
        return "the actor is not an id";
    }

    if (event_id(e->target, h->f[2]) != 0) {
        return "the target is not an id";
    }

    if ((needs & EVENT_NUMBER) ? h->num[0] < 1 : h->num[0] != 0) {
        return "the number does not fit the kind";
    }

    if ((needs & EVENT_ACTOR) && e->actor[0] == '\0') {
        return "the actor is missing";
    }

    if ((needs & EVENT_TARGET) && e->target[0] == '\0') {
        return "the target is missing";
    }

    e->ev.seq = h->num[0];
    e->ev.kind = h->kind;

    return NULL;
}


const char *
event_decode(entry_t *e, const char *id, wrt_slice_t conversation,
    wrt_slice_t payload, wrt_slice_t extra, int whole)
{
    size_t             i;
    unsigned           needs;
    const char        *why;
    wrt_bus_header_t   h;

    memset(e, 0, sizeof(*e));

    if (strlen(id) >= sizeof(e->entry_id)) {
        return "the entry's id is too long";
    }

    text_copy(e->entry_id, sizeof(e->entry_id), id);

    e->x = extra.p;
    e->x_len = extra.n;
    e->ev.entry_id = e->entry_id;
    e->ev.conversation = e->conversation;
    e->ev.actor = e->actor;
    e->ev.target = e->target;

    if (wrt_bus_parse(&h, payload.p, payload.n) != 0) {
        return "the header line is not one";
    }

    for (i = 0; event_kinds[i].kind != h.kind; i++) {
        if (event_kinds[i].kind == 0) {
            return "the kind is unknown";
        }
    }

    needs = event_kinds[i].needs;

    why = event_header(e, &h, conversation, needs);
    if (why) {
        return why;
    }

    if (needs & EVENT_BODY) {
        e->ev.body = event_object(h.body,
                                  whole || h.kind != WRT_EV_MESSAGE);

        if (e->ev.body == NULL) {
            return "the body is not a JSON object";
        }

    } else if (h.body.n > 0) {
        return "a body where none belongs";
    }

    /* a creation's extra goes to clients as it is, the store has no use */
    if (extra.n > 0 && h.kind != WRT_EV_CREATE) {
        e->ev.extra = event_object(extra, 1);

        if (e->ev.extra == NULL) {
            return "the extra field is not a JSON object";
        }
    }

    return NULL;
}


int
event_numbered(const entry_t *e)
{
    return e->ev.seq > 0;
}


void
event_to_fence(entry_t *e)
{
    event_free(e);
    e->ev.kind = WRT_EV_FENCE;
    e->actor[0] = '\0';
    e->target[0] = '\0';
}


void
event_free(entry_t *e)
{
    json_decref(e->ev.body);
    json_decref(e->ev.extra);
    e->ev.body = NULL;
    e->ev.extra = NULL;
}
