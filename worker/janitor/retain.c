/*
 * retain.c: ends what has had its time (docs/life-of-data.md): messages older
 * than their room's settings.retention days, and rooms with autoArchive that
 * nobody has used for long.
 *
 * Part of the janitor.  It goes through all rooms, a page at a time, every
 * retention_s seconds; who is held is left alone, here and once more in the
 * step that deletes.  What is to go is queued for the projector (kind 'x'), a
 * few events at a time: the next ones come when the store has these, after a
 * pause as long as that took, so that it never has more than half of anybody's
 * time.
 *
 * Nothing is remembered but where it is; killed at any moment, it finds what is
 * still there.  Of several pools one does it (wrt:life); two would do it twice,
 * to no harm.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define RETAIN_LOOK_MS   20         /* between two pages, two looks */
#define RETAIN_AWAY_MS   2000       /* something does not answer */
#define RETAIN_PAUSE_MS  2000       /* the longest */

/* An event that the store has to have before we go on. */
typedef struct {
    unsigned   shard;
    char       entry[EVENT_ENTRY_SIZE];
} retain_wait_t;

struct retain_s {
    role_t         *role;
    link_t         *links;
    int64_t         next;           /* mono: when the rooms are gone through */
    int64_t         began;          /* mono: when these were asked for */
    char            after[WRT_ID_MAX + 1];
    char            stuck[WRT_ID_MAX + 1];  /* first message of the last page */
    retain_wait_t   wait[WRT_EXPIRE_ROOMS];
    unsigned        nwait;
    int64_t         messages;       /* in this pass */
    int64_t         rooms;
    int64_t         archived;
    cmd_t           cmd;
};


retain_t *
retain_open(role_t *r)
{
    retain_t  *t;

    t = mem_zero(sizeof(retain_t));
    t->role = r;

    return t;
}


void
retain_close(retain_t *t)
{
    cmd_free(&t->cmd);
    free(t);
}


static rds_t *
retain_shard(retain_t *t, unsigned k)
{
    link_t  *link;

    link = &t->links[conf_server(t->role->cf, k)];

    return link_up(link) == 0 ? link->c : NULL;
}


/* Has the store all that was queued?  1, 0. */
static int
retain_done(retain_t *t)
{
    rds_t          *c;
    retain_wait_t  *w;

    while (t->nwait > 0) {
        w = &t->wait[t->nwait - 1];
        c = retain_shard(t, w->shard);

        if (c == NULL || !life_stored(c, w->shard, w->entry)) {
            return 0;
        }

        t->nwait--;
    }

    return 1;
}


/* -- messages -- */

static json_t *
retain_ids(const json_t *messages)
{
    size_t   i;
    json_t  *v, *ids;

    ids = json_array();

    json_array_foreach(messages, i, v) {
        json_array_append(ids, json_object_get(v, "id"));
    }

    return ids;
}


/* The event, with the lowest and the highest of their numbers. */
static json_t *
retain_body(const json_t *due)
{
    size_t    i;
    json_t   *v, *messages;
    int64_t   seq, from, to;

    messages = json_object_get(due, "messages");
    from = 0;
    to = 0;

    json_array_foreach(messages, i, v) {
        /* its own comes first, then those of its changes */
        seq = json_integer_value(json_array_get(
                  json_object_get(v, "numbers"), 0));
        from = i == 0 || seq < from ? seq : from;
        to = seq > to ? seq : to;
    }

    return json_pack("{s:s, s:O, s:I, s:I, s:o}", "op", "expire", "before",
                     json_object_get(due, "before"), "from",
                     (json_int_t) from, "to", (json_int_t) to, "messages",
                     retain_ids(messages));
}


/* Out of the log, then out of the store.  0, -1. */
static int
retain_expire(retain_t *t, const char *id, const json_t *due)
{
    rds_t         *c;
    json_t        *messages, *body;
    unsigned       k;
    retain_wait_t *w;

    messages = json_object_get(due, "messages");
    k = wrt_shard(&t->role->cf->names, id, strlen(id));
    c = retain_shard(t, k);

    if (c == NULL
        || life_withdraw(c, &t->cmd, t->role->cf, id, messages, "expired")
           != 0)
    {
        return -1;
    }

    body = retain_body(due);

    if (life_record(c, &t->cmd, t->role->cf, WRT_EV_LIFE, id, id, "-", body)
        != 0)
    {
        return -1;
    }

    w = &t->wait[t->nwait++];
    w->shard = k;
    text_copy(w->entry, sizeof(w->entry), life_entry());

    t->messages += (int64_t) json_array_size(messages);
    t->rooms++;
    count_add(t->role->slot->counters.expired, json_array_size(messages));

    return 0;
}


/* -- idle rooms -- */

/* "title":... of the document */
static void
archive_member(buf_t *b, const json_t *doc, const char *key)
{
    json_t  *v;

    v = json_object_get(doc, key);
    buf_fmt(b, "\"%s\":", key);

    if (v) {
        buf_json(b, v);
    } else {
        buf_text(b, "null");
    }

    buf_text(b, ",");
}


static int
archive_emit(retain_t *t, const char *id, const json_t *doc)
{
    int           rc;
    buf_t         text;
    rds_t        *c;
    life_event_t  e;

    static const char  *ops[] = {
        "V", WRT_F_STATE, WRT_STATE_ACTIVE,
        "S", WRT_F_STATE, WRT_STATE_ARCHIVED
    };

    c = retain_shard(t, wrt_shard(&t->role->cf->names, id, strlen(id)));
    if (c == NULL) {
        return -1;
    }

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "{\"event\":\"conversation_updated\",\"data\":{"
            "\"conversationId\":\"%s\",\"seq\":" WRT_EMIT_SEQ
            ",\"updatedBy\":null,\"reason\":\"idle\",\"conversation\":{", id);
    archive_member(&text, doc, "id");
    archive_member(&text, doc, "title");
    archive_member(&text, doc, "settings");
    buf_text(&text, "\"isArchived\":true,\"archivedAt\":\"" WRT_EMIT_AT
             "\",\"updatedAt\":\"" WRT_EMIT_AT "\"}}}");

    memset(&e, 0, sizeof(e));
    e.conversation = id;
    e.kind = WRT_EV_CHANGE;
    e.target = "-";
    e.event = text.p;
    e.extra = "{\"set\":{\"archived\":true}}";
    e.expect = json_integer_value(json_object_get(doc, "seq"));
    e.ops = ops;
    e.nops = sizeof(ops) / sizeof(ops[0]);

    rc = life_publish(t->role->store, c, &t->cmd, t->role->cf, &e);
    buf_free(&text);

    t->archived += rc == 1;

    return rc < 0 ? -1 : 0;
}


/* 0, also when it was used meanwhile; -1. */
static int
retain_archive(retain_t *t, const char *id)
{
    int          rc;
    json_t      *doc;
    store_rc_t   src;

    src = store_conversation(t->role->store, id, NULL, &doc);
    role_store_result(t->role, src);

    if (src != STORE_OK) {
        return src == STORE_NOT_FOUND ? 0 : -1;
    }

    rc = archive_emit(t, id, doc);
    json_decref(doc);

    return rc;
}


/* -- a pass -- */

/* All of a page; 0, -1: later. */
static int
retain_page(retain_t *t, const json_t *list)
{
    size_t       i;
    json_t      *due;
    const char  *id;

    json_array_foreach(list, i, due) {
        id = json_string_value(json_object_get(due, "conversationId"));

        if (json_array_size(json_object_get(due, "messages"))
            && retain_expire(t, id, due) != 0)
        {
            return -1;
        }

        if (json_is_true(json_object_get(due, "idle"))
            && retain_archive(t, id) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* Is this the page that there was before, although the store has done what it
 * was told?  Then it goes on without it. */
static int
retain_is_stuck(retain_t *t, const json_t *list)
{
    int          same;
    const char  *id;

    id = json_string_value(json_object_get(json_array_get(
             json_object_get(json_array_get(list, 0), "messages"), 0), "id"));
    id = id ? id : "";

    same = id[0] && strcmp(id, t->stuck) == 0;
    text_copy(t->stuck, sizeof(t->stuck), id);

    return same;
}


/* A pass is through: into the log with it, and until the next one. */
static int
retain_end(retain_t *t)
{
    char      id[WRT_OID_LEN + 1];
    rds_t    *c;
    actor_t   who;

    t->after[0] = '\0';
    t->stuck[0] = '\0';

    if (t->messages || t->archived) {
        log_info("retention", "messages=%lld batches=%lld archived=%lld",
                 (long long) t->messages, (long long) t->rooms,
                 (long long) t->archived);

        who.user = "janitor";
        who.role = "system";
        who.from = t->role->node;
        life_id(id);
        c = retain_shard(t, wrt_shard(&t->role->cf->names, id, strlen(id)));

        if (c) {
            (void) life_record(c, &t->cmd, t->role->cf, WRT_EV_AUDIT, id,
                               "-", "-", json_pack("{s:o}", "audit",
                life_audit(id, &who, "retention", "store", "messages",
                           json_pack("{s:I, s:I}", "messages",
                                     (json_int_t) t->messages, "archived",
                                     (json_int_t) t->archived))));
        }
    }

    t->messages = 0;
    t->rooms = 0;
    t->archived = 0;
    t->next = mono_ms() + (int64_t) t->role->cf->retention_s * 1000;

    return RETAIN_LOOK_MS;
}


/* The next rooms.  Returns when to come again. */
static int
retain_step(retain_t *t, store_t *st)
{
    int           rc, more;
    char          next[WRT_ID_MAX + 1];
    json_t       *list;
    store_rc_t    src;
    store_due_t   q;

    q.after = t->after;
    q.look = WRT_EXPIRE_LOOK;
    q.max = WRT_EXPIRE_ROOMS;
    q.limit = WRT_EXPIRE_BATCH;
    q.now_ms = now_ms();
    q.idle_ms = q.now_ms - (int64_t) t->role->cf->archive_days * 86400 * 1000;

    t->began = mono_ms();
    src = store_due(st, &q, &list, next);
    role_store_result(t->role, src);

    if (src != STORE_OK) {
        return RETAIN_AWAY_MS;
    }

    more = retain_is_stuck(t, list) ? 0 : 1;

    if (!more) {
        log_warn("retention_stuck", "message=%s", t->stuck);
    }

    rc = more ? retain_page(t, list) : 0;
    json_decref(list);

    if (rc != 0) {
        return RETAIN_AWAY_MS;
    }

    /* where messages were due there may be more of them */

    if (t->nwait == 0) {
        if (next[0] == '\0') {
            return retain_end(t);
        }

        text_copy(t->after, sizeof(t->after), next);
    }

    return RETAIN_LOOK_MS;
}


int
retain_turn(retain_t *t, link_t *links)
{
    int64_t   wait;
    store_t  *st;

    t->links = links;
    wait = t->next - mono_ms();

    if (wait > 0) {
        return wait > RETAIN_AWAY_MS ? RETAIN_AWAY_MS : (int) wait;
    }

    st = role_store(t->role);

    if (st == NULL || !life_lock(links[0].c, t->role->node)) {
        return RETAIN_AWAY_MS;
    }

    if (t->nwait > 0) {
        if (!retain_done(t)) {
            return RETAIN_LOOK_MS;
        }

        wait = mono_ms() - t->began;

        return wait > RETAIN_PAUSE_MS ? RETAIN_PAUSE_MS : (int) wait;
    }

    return retain_step(t, st);
}
