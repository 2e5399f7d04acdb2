/*
 * scribe_turn.c: sessions that nobody waits for: left undone by who ended
 * them, or ended by silence.
 */

#include <string.h>

#include "worker/scribe/scribe.h"

#define TURN_SESSIONS  2            /* in one turn */
#define TURN_ROOMS     8
#define TURN_LATE_MS   30000        /* until then it is in somebody's hands */


/* The server of this conversation; is it there? */
static int
turn_shard(scribe_t *w, link_t *links, const char *conversation)
{
    link_t  *l;

    l = &links[conf_server(w->cf, wrt_shard(&w->cf->names, conversation,
                                            strlen(conversation)))];
    w->shard = link_up(l) == 0 ? l->c : NULL;

    return w->shard != NULL;
}


static void
turn_ended(role_t *r, scribe_t *w, link_t *links)
{
    size_t             i;
    json_t            *list, *s;
    int64_t            total, at;
    store_rc_t         rc;
    const char        *end;
    store_sessions_t   q;

    memset(&q, 0, sizeof(q));
    q.status = "ended";
    q.oldest = 1;
    q.limit = TURN_SESSIONS;

    rc = store_sessions(w->st, &q, &list, &total);
    role_store_result(r, rc);

    if (rc != STORE_OK) {
        return;
    }

    json_array_foreach(list, i, s) {
        end = json_string_value(json_object_get(s, "endTime"));

        if (end == NULL || wrt_time_parse(end, strlen(end), &at) != 0
            || now_ms() - at < TURN_LATE_MS)
        {
            continue;
        }

        if (turn_shard(w, links, json_string_value(
                           json_object_get(s, "conversationId"))))
        {
            (void) scribe_complete(w, s);
        }
    }

    json_decref(list);
}


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
turn_silent(role_t *r, scribe_t *w, link_t *links)
{
    char         now[24], count[8];
    rds_t       *hub;
    size_t       i;
    reply_t     *rooms;
    store_rc_t   rc;
    const char  *room;

    hub = links[0].c;
    snprintf(now, sizeof(now), "%lld", (long long) now_ms());
    snprintf(count, sizeof(count), "%d", TURN_ROOMS);

    rooms = rds_call(hub, "ZRANGEBYSCORE", WRT_KEY_SESSIONS_DUE, "-inf", now,
                     "WITHSCORES", "LIMIT", "0", count);

    for (i = 0; i + 1 < reply_count(rooms); i += 2) {
        room = reply_text(reply_at(rooms, i));
        rc = turn_shard(w, links, room) ? scribe_general(w, room)
                                        : STORE_REJECTED;

        if (rc == STORE_OK || rc == STORE_NOT_FOUND) {
            turn_done(hub, room, reply_text(reply_at(rooms, i + 1)));

        } else if (rc == STORE_DOWN) {
            role_store_result(r, rc);
            break;
        }
    }

    reply_free(rooms);
}


void
scribe_turn(role_t *r, link_t *links, cmd_t *cmd)
{
    scribe_t  w;

    memset(&w, 0, sizeof(w));
    w.cf = r->cf;
    w.st = role_store(r);
    w.cmd = cmd;

    if (w.st == NULL) {
        return;
    }

    turn_ended(r, &w, links);

    if (r->cf->session_gap_s > 0) {
        turn_silent(r, &w, links);
    }
}
