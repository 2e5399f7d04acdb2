/*
 * notifier_look.c: what Redis says of people who may have to be told: is the
 * room on a screen of theirs, how far have they read, what were their devices
 * sent.  All of a page in one round trip a server.  And what their settings
 * say of now.
 *
 * That he may be shown something is noted (park) before it is asked how far he
 * has read: who reads before that is seen here, who reads after it has his
 * item made due (notifier_note.c), and nothing is in between.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/notifier/notifier.h"


void
notifier_field(char out[NOTIFIER_FIELD], const char *conversation,
    const json_t *device, const char *suffix)
{
    const char  *id;

    id = json_string_value(json_object_get(device, "id"));
    snprintf(out, NOTIFIER_FIELD, "%s:%s%s", conversation, id ? id : "",
             suffix);
}


static const json_t *
look_devices(const person_t *p)
{
    return json_object_get(p->push, "devices");
}


static void
look_ask_hub(notifier_t *n, rds_t *hub, const char *conversation,
    const person_t *p, const char *suffix, int park)
{
    char     key[WRT_NAME_BUF], text[NOTIFIER_FIELD + NOTIFIER_ITEM];
    size_t   i, len;
    json_t  *d;

    len = strlen(p->user);

    if (park) {
        snprintf(text, sizeof(text), "w %s %s", conversation, p->user);
        notifier_due(n, hub, text, now_ms() + WRT_PUSH_SHOWN_MS);
    }

    wrt_key_user_conns(key, p->user, len);
    rds_queue(hub, "ZRANGE", key, "0", "-1", "WITHSCORES");
    wrt_key_user_presence(key, p->user, len);
    rds_queue(hub, "HGETALL", key);

    wrt_key_user_pushed(key, p->user, len);
    cmd_begin(&n->cmd, "HMGET");
    cmd_text(&n->cmd, key);

    json_array_foreach(look_devices(p), i, d) {
        notifier_field(text, conversation, d, suffix);
        cmd_text(&n->cmd, text);
    }

    rds_push(hub, &n->cmd);
}


/* Does the nginx worker that this connection is on still count? */
static int
look_counts(const reply_t *conns, const char *node, size_t n, int64_t now)
{
    size_t  i;

    for (i = 0; i + 1 < reply_count(conns); i += 2) {
        if (reply_len(reply_at(conns, i)) == n
            && memcmp(reply_text(reply_at(conns, i)), node, n) == 0)
        {
            return reply_int(reply_at(conns, i + 1), 0) > now;
        }
    }

    return 0;
}


/* "<nginx worker> {"conversationId":...}" of each connection */
static int
look_open(const reply_t *conns, const reply_t *fields,
    const char *conversation, int64_t now)
{
    int          open;
    size_t       i;
    json_t      *device;
    const char  *text, *blank, *room;

    for (i = 0, open = 0; i + 1 < reply_count(fields) && !open; i += 2) {
        if (strncmp(reply_text(reply_at(fields, i)), WRT_F_DEVICE,
                    sizeof(WRT_F_DEVICE) - 1) != 0)
        {
            continue;
        }

        text = reply_text(reply_at(fields, i + 1));
        blank = strchr(text, ' ');

        if (blank == NULL
            || !look_counts(conns, text, (size_t) (blank - text), now))
        {
            continue;
        }

        device = json_loads(blank + 1, 0, NULL);
        room = json_string_value(json_object_get(device, "conversationId"));
        open = room && strcmp(room, conversation) == 0;
        json_decref(device);
    }

    return open;
}


static int
look_hub(notifier_t *n, const char *conversation, person_t *people,
    unsigned count, const char *suffix, int park)
{
    int        ok;
    rds_t     *hub;
    int64_t    now;
    reply_t   *r, *conns, *fields;
    unsigned   i;

    hub = notifier_hub(n);
    if (hub == NULL) {
        return -1;
    }

    rds_queue(hub, "TIME");

    for (i = 0; i < count; i++) {
        look_ask_hub(n, hub, conversation, &people[i], suffix, park);
    }

    r = rds_pull(hub);
    now = reply_int(reply_at(r, 0), 0) * 1000
          + reply_int(reply_at(r, 1), 0) / 1000;
    ok = now > 0;
    reply_free(r);

    for (i = 0; i < count; i++) {
        if (park) {
            r = rds_pull(hub);
            ok = ok && r && !reply_is_error(r);
            reply_free(r);
        }

        conns = rds_pull(hub);
        fields = rds_pull(hub);
        people[i].pushed = rds_pull(hub);
        people[i].open = look_open(conns, fields, conversation, now);
        ok = ok && conns && fields && people[i].pushed
             && !reply_is_error(conns) && !reply_is_error(fields)
             && !reply_is_error(people[i].pushed);
        reply_free(conns);
        reply_free(fields);
    }

    return ok ? 0 : -1;
}


/* How far they have read by now. */
static int
look_shard(notifier_t *n, const char *conversation, person_t *people,
    unsigned count)
{
    int64_t    read;
    char       key[WRT_NAME_BUF], field[WRT_ID_MAX + 8];
    rds_t     *shard;
    size_t     len;
    reply_t   *r;
    unsigned   i;

    shard = notifier_shard(n, conversation);
    if (shard == NULL) {
        return -1;
    }

    len = strlen(conversation);
    wrt_key_conv(key, wrt_shard(&n->cf->names, conversation, len),
                 conversation, len);

    cmd_begin(&n->cmd, "HMGET");
    cmd_text(&n->cmd, key);

    for (i = 0; i < count; i++) {
        snprintf(field, sizeof(field), WRT_F_READ "%s", people[i].user);
        cmd_text(&n->cmd, field);
    }

    r = rds_run(shard, &n->cmd);

    if (r == NULL || reply_is_error(r)) {
        reply_free(r);
        return -1;
    }

    for (i = 0; i < count; i++) {
        /* "<seq> <time>" */
        read = atoll(reply_text(reply_at(r, i)));

        if (read > people[i].read) {
            people[i].read = read;
        }
    }

    reply_free(r);

    return 0;
}


int
notifier_look(notifier_t *n, const char *conversation, person_t *people,
    unsigned count, const char *suffix, int park)
{
    if (count == 0) {
        return 0;
    }

    if (look_hub(n, conversation, people, count, suffix, park) != 0) {
        return -1;
    }

    return look_shard(n, conversation, people, count);
}


void
notifier_looked(person_t *people, unsigned count)
{
    unsigned  i;

    for (i = 0; i < count; i++) {
        reply_free(people[i].pushed);
        people[i].pushed = NULL;
    }
}


/* "s <seq>" sent, "p <seq> <services> <tries>" on its way to these */
pushed_t
notifier_pushed(const notifier_t *n, const person_t *p, size_t i)
{
    int          count;
    unsigned     bits;
    pushed_t     was;
    long long    seq;
    const char  *text;

    text = reply_text(reply_at(p->pushed, i));
    memset(&was, 0, sizeof(was));
    was.left = n->services;

    if (text[0] == '\0' || text[1] != ' ') {
        return was;
    }

    count = sscanf(text + 2, "%lld %u %u", &seq, &bits, &was.tries);
    was.seq = count >= 1 ? seq : 0;

    if (text[0] == 's') {
        was.left = 0;

    } else if (count >= 2 && (n->services & bits)) {
        was.left = n->services & bits;
    }

    return was;
}


int64_t
notifier_quiet(const json_t *push, int64_t now)
{
    int            start, end;
    const char    *zone, *from, *to;
    const json_t  *q;

    q = json_object_get(push, "quietHours");
    zone = json_string_value(json_object_get(q, "timezone"));
    from = json_string_value(json_object_get(q, "start"));
    to = json_string_value(json_object_get(q, "end"));

    if (zone == NULL || from == NULL || to == NULL) {
        return 0;
    }

    start = push_zone_clock(from);
    end = push_zone_clock(to);

    return start < 0 || end < 0 ? 0 : push_zone_quiet(zone, start, end, now);
}


int
notifier_muted(const json_t *push, int64_t now)
{
    const json_t  *mute;

    mute = json_array_get(json_object_get(push, "mutes"), 0);

    return mute != NULL && store_mute_lasts(mute, now);
}
