/*
 * scribe_turn.c: sessions that nobody waits for: left undone by who ended
 * them, ended by silence, or written up with what was deleted since.
 *
 * What does not succeed, or is not in the store soon, holds up nothing: the
 * next turn goes on behind it.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/scribe/scribe.h"

#define TURN_SESSIONS  2            /* in one turn */
#define TURN_ROOMS     8
#define TURN_LATE_MS   30000        /* until then it is in somebody's hands */
#define TURN_REST_MS   30000        /* it was tried, and shows no effect */
#define TURN_RESTS     64
#define TURN_LONG_MS   500          /* no other room is begun with */

/* The record of a session that something was queued for, or not taken. */
typedef struct {
    char       id[WRT_ID_MAX + 1];
    int64_t    rev;
    int64_t    until;               /* mono */
} turn_rest_t;

struct scribe_turns_s {
    role_t       *role;
    link_t       *links;            /* one a server, the first is the hub */
    scribe_t      w;
    int           page;             /* of what has ended: the next one */
    char          after[WRT_ID_MAX + 3];    /* where the notes go on */
    turn_rest_t   rest[TURN_RESTS];
    unsigned      nrest;            /* the next one's place */
};


scribe_turns_t *
scribe_turns_open(role_t *r)
{
    scribe_turns_t  *t;

    t = mem_zero(sizeof(scribe_turns_t));
    t->role = r;
    t->page = 1;

    return t;
}


void
scribe_turns_close(scribe_turns_t *t)
{
    free(t);
}


static const char *
turn_text(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}


/* -- a while without another try -- */

static int
turn_rests(const scribe_turns_t *t, const json_t *s)
{
    unsigned  i;

    for (i = 0; i < TURN_RESTS; i++) {
        if (mono_ms() < t->rest[i].until
            && t->rest[i].rev
               == json_integer_value(json_object_get(s, "rev"))
            && strcmp(t->rest[i].id, turn_text(s, "id")) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
turn_rest(scribe_turns_t *t, const json_t *s)
{
    turn_rest_t  *rest;

    rest = &t->rest[t->nrest++ % TURN_RESTS];
    text_copy(rest->id, sizeof(rest->id), turn_text(s, "id"));
    rest->rev = json_integer_value(json_object_get(s, "rev"));
    rest->until = mono_ms() + TURN_REST_MS;
}


/* The server of this conversation; is it there? */
static int
turn_shard(scribe_turns_t *t, const char *conversation)
{
    link_t        *l;
    const conf_t  *cf;

    cf = t->role->cf;
    l = &t->links[conf_server(cf, wrt_shard(&cf->names, conversation,
                                            strlen(conversation)))];
    t->w.shard = link_up(l) == 0 ? l->c : NULL;

    return t->w.shard != NULL;
}


/* -- ended -- */

/* Is it nobody's any more? */
static int
turn_is_late(const json_t *s)
{
    int64_t  at;

    at = scribe_time(s, "endTime");

    return at >= 0 && now_ms() - at >= TURN_LATE_MS;
}


static void
turn_ended(scribe_turns_t *t)
{
    size_t             i;
    json_t            *list, *s;
    int64_t            total;
    store_rc_t         rc;
    store_sessions_t   q;

    memset(&q, 0, sizeof(q));
    q.status = "ended";
    q.oldest = 1;
    q.page = t->page;
    q.limit = TURN_SESSIONS;

    rc = store_sessions(t->w.st, &q, &list, &total);
    role_store_result(t->role, rc);

    if (rc != STORE_OK) {
        return;
    }

    t->page = (int64_t) q.page * TURN_SESSIONS < total ? q.page + 1 : 1;

    json_array_foreach(list, i, s) {
        if (!turn_is_late(s) || turn_rests(t, s)
            || !turn_shard(t, turn_text(s, "conversationId")))
        {
            continue;
        }

        rc = scribe_complete(&t->w, s);
        turn_rest(t, s);

        if (rc == STORE_DOWN) {
            role_store_result(t->role, rc);
            break;
        }
    }

    json_decref(list);
}


/* -- silent -- */

/* One that is written to meanwhile comes again. */
static void
turn_done(rds_t *hub, const char *room, const char *due)
{
    int       same;
    reply_t  *r;

    r = rds_call(hub, "ZSCORE", WRT_KEY_SESSIONS_DUE, room);
    same = strcmp(reply_text(r), due) == 0;
    reply_free(r);

    if (same) {
        reply_free(rds_call(hub, "ZREM", WRT_KEY_SESSIONS_DUE, room));
    }
}


static void
turn_silent(scribe_turns_t *t)
{
    char         now[24], count[8];
    rds_t       *hub;
    size_t       i;
    reply_t     *rooms;
    store_rc_t   rc;
    const char  *room;

    hub = t->links[0].c;
    snprintf(now, sizeof(now), "%lld", (long long) now_ms());
    snprintf(count, sizeof(count), "%d", TURN_ROOMS);

    rooms = rds_call(hub, "ZRANGEBYSCORE", WRT_KEY_SESSIONS_DUE, "-inf", now,
                     "WITHSCORES", "LIMIT", "0", count);

    for (i = 0; i + 1 < reply_count(rooms); i += 2) {
        room = reply_text(reply_at(rooms, i));
        rc = turn_shard(t, room) ? scribe_general(&t->w, room)
                                 : STORE_REJECTED;

        if (rc == STORE_OK || rc == STORE_NOT_FOUND) {
            turn_done(hub, room, reply_text(reply_at(rooms, i + 1)));

        } else if (rc == STORE_DOWN) {
            role_store_result(t->role, rc);
            break;
        }
    }

    reply_free(rooms);
}


/* -- what is gone -- */

/* From the first to the last number of these notes. */
static void
turn_span(const reply_t *notes, int64_t *from, int64_t *to)
{
    size_t   i;
    int64_t  lo, hi;

    *from = INT64_MAX;
    *to = 1;

    for (i = 0; i < reply_count(notes); i++) {
        if (scribe_gone_span(reply_text(reply_at(notes, i)), &lo, &hi) == 0) {
            *from = lo < *from ? lo : *from;
            *to = hi > *to ? hi : *to;
        }
    }
}


/*
 * A session that these notes touch.  Does it need another look?  One that has
 * ended may be written up just now, by who read what is gone; one that is under
 * way will be written up without it.
 */
static int
turn_redact(scribe_turns_t *t, const json_t *s)
{
    int          queued;
    store_rc_t   rc;

    if (strcmp(turn_text(s, "status"), "completed") != 0) {
        return strcmp(turn_text(s, "status"), "ended") == 0;
    }

    if (turn_rests(t, s)) {
        return 1;
    }

    rc = scribe_redact(&t->w, s, &queued);

    if (rc == STORE_DOWN) {
        role_store_result(t->role, rc);
    }

    if (queued || rc != STORE_OK) {
        turn_rest(t, s);
        return 1;
    }

    return 0;
}


/* All sessions of a room that its notes touch.  1: they have nothing of what is
 * gone, 0: look again, -1: not now. */
static int
turn_room(scribe_turns_t *t, const char *room, const reply_t *notes)
{
    int                again;
    size_t             i;
    json_t            *list, *s;
    int64_t            total;
    store_rc_t         rc;
    store_sessions_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = room;
    q.oldest = 1;
    q.limit = WRT_PAGE_SESSIONS_MAX;
    turn_span(notes, &q.from_seq, &q.to_seq);
    again = 0;

    do {
        q.page++;
        rc = store_sessions(t->w.st, &q, &list, &total);
        role_store_result(t->role, rc);

        if (rc != STORE_OK) {
            return -1;
        }

        json_array_foreach(list, i, s) {
            if (scribe_gone_touches(notes, s)) {
                again |= turn_redact(t, s);
            }
        }

        json_decref(list);

    } while ((int64_t) q.page * q.limit < total);

    return !again;
}


/* The next room that has notes, if there is one. */
static int
turn_next(scribe_turns_t *t, char room[WRT_ID_MAX + 1])
{
    size_t       n;
    reply_t     *r;
    const char  *note;

    r = rds_call(t->links[0].c, "ZRANGE", WRT_KEY_SESSIONS_REDACT,
                 t->after[0] ? t->after : "-", "+", "BYLEX", "LIMIT", "0",
                 "1");
    note = reply_text(reply_at(r, 0));
    n = strcspn(note, " ");
    t->after[0] = '\0';

    if (!wrt_id_valid(note, n)) {
        if (note[0]) {
            log_warn("session_note", "text=\"%s\"", note);
            reply_free(rds_call(t->links[0].c, "ZREM",
                                WRT_KEY_SESSIONS_REDACT, note));
        }

        reply_free(r);
        return 0;
    }

    memcpy(room, note, n);
    room[n] = '\0';
    snprintf(t->after, sizeof(t->after), "(%s!", room);
    reply_free(r);

    return 1;
}


/* Who looked, and found nothing, takes the notes away that he saw. */
static void
turn_forget(scribe_turns_t *t, const reply_t *notes)
{
    size_t  i;

    cmd_begin(t->w.cmd, "ZREM");
    cmd_text(t->w.cmd, WRT_KEY_SESSIONS_REDACT);

    for (i = 0; i < reply_count(notes); i++) {
        cmd_text(t->w.cmd, reply_text(reply_at(notes, i)));
    }

    reply_free(rds_run(t->links[0].c, t->w.cmd));
}


/* The next rooms, each once a turn at most; all notes of one at once. */
static void
turn_gone(scribe_turns_t *t)
{
    int        n, rc;
    char       room[WRT_ID_MAX + 1];
    int64_t    start;
    reply_t   *notes;

    start = mono_ms();
    rc = 1;

    for (n = 0; n < TURN_ROOMS && rc >= 0; n++) {
        if (mono_ms() - start > TURN_LONG_MS || !turn_next(t, room)) {
            break;
        }

        if (!turn_shard(t, room)) {
            continue;
        }

        notes = scribe_gone(t->links[0].c, room);
        rc = notes ? turn_room(t, room, notes) : -1;

        if (rc == 1 && reply_count(notes) > 0) {
            turn_forget(t, notes);
        }

        reply_free(notes);
    }
}


void
scribe_turn(scribe_turns_t *t, link_t *links, cmd_t *cmd)
{
    t->links = links;
    memset(&t->w, 0, sizeof(t->w));
    t->w.cf = t->role->cf;
    t->w.st = role_store(t->role);
    t->w.cmd = cmd;

    if (t->w.st == NULL) {
        return;
    }

    turn_gone(t);
    turn_ended(t);

    if (t->role->cf->session_gap_s > 0) {
        turn_silent(t);
    }
}
