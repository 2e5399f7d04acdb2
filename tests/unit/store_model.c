/*
 * store_model.c: random events and what they do; see store_model.h.
 */

#include "tests/unit/store_model.h"

#include <stdio.h>

#include "common/wrt_bus.h"

model_room_t  model_room[MODEL_ROOMS];
events_t      model_events;
uint64_t      model_seed;

const char *const  model_emoji[MODEL_EMOJI] = {
    "+1", "\xf0\x9f\x91\x8d", "$r"
};

static int64_t  clock_ms;


static int
below(int n)
{
    return (int) unit_below(&model_seed, (uint64_t) n);
}


const char *
model_name(char letter, int i)
{
    static int   n;
    static char  buf[4][16];

    n = (n + 1) % 4;
    sprintf(buf[n], "%c%d", letter, i);

    return buf[n];
}


static void
random_text(char *buf)
{
    sprintf(buf, "text \xc3\xa4 %d", below(1000));
}


static void
add_message(model_room_t *r, const char *id, int sender, int client,
    const char *text, const char *reply_to)
{
    size_t        i;
    model_msg_t  *m;

    for (i = 0; client >= 0 && i < r->nmsgs; i++) {
        m = &r->msg[i];

        if (m->sender != sender || m->client != client) {
            continue;
        }

        if (m->deleted_at < 0
            && strcmp(m->nedits ? m->edit[0].was : m->text, text) == 0)
        {
            return;
        }

        client = -1;
    }

    assert_true(r->nmsgs < MODEL_MESSAGES);

    m = &r->msg[r->nmsgs++];
    memset(m, 0, sizeof(model_msg_t));
    m->seq = r->seq;
    m->at = r->at;
    m->sender = sender;
    m->client = client;
    m->change_seq = r->seq;
    m->updated_at = r->at;
    m->deleted_at = -1;
    strcpy(m->id, id);
    strcpy(m->text, text);
    strcpy(m->reply_to, reply_to ? reply_to : "");
}


static void
add_member(model_room_t *r, int u, const char *given)
{
    model_member_t  *m;

    m = &r->member[u];
    m->here = 1;
    m->ever = 1;
    m->blocked_by = -1;
    strcpy(m->given, given);
}


static void
make_room(int k)
{
    int            i, n, u;
    char           users[128] = "";
    model_room_t  *r;

    r = &model_room[k];
    n = 1 + below(4);

    for (i = 0; i < n; i++) {
        u = below(MODEL_USERS);
        sprintf(users + strlen(users), "%s%s", i ? " " : "",
                model_name('u', u));
        add_member(r, u, "rwud");
    }

    r->exists = 1;
    r->at = clock_ms;
    r->created_at = clock_ms;
    r->archived_at = -1;
    r->settings = -1;
    events_create(&model_events, model_name('r', k),
                  n == 2 ? "direct" : "group", users, clock_ms);
}


static void
make_message(int k)
{
    int            sender, client;
    char           id[32], cmid[16], text[MODEL_TEXT];
    const char    *parent;
    model_room_t  *r, *other;

    r = &model_room[k];
    r->seq += 1 + (below(12) == 0);     /* now and then a hole */
    r->at = clock_ms;
    sender = below(MODEL_USERS);
    client = below(4) ? below(40) : -1;

    sprintf(id, "m%zu", model_events.n);
    sprintf(cmid, "k%d", client);
    parent = NULL;

    if (client < 0 || below(2)) {
        random_text(text);

    } else {
        sprintf(text, "again %d", below(2));
    }

    /* mostly to one of the same room */

    other = below(8) ? r : &model_room[below(MODEL_ROOMS)];

    if (client < 0 && other->nmsgs && below(3)) {
        parent = other->msg[below((int) other->nmsgs)].id;
        events_reply(&model_events, model_name('r', k), r->seq, id,
                     model_name('u', sender), text, parent, r->at);

    } else {
        events_message(&model_events, model_name('r', k), r->seq, id,
                       model_name('u', sender), text,
                       client < 0 ? NULL : cmid, r->at);
    }

    add_message(r, id, sender, client, text, parent);
}


static void
make_membership(int k)
{
    int              actor, target, in;
    char             id[32];
    json_t          *extra;
    const char      *given;
    model_room_t    *r;
    model_member_t  *m;

    r = &model_room[k];
    actor = below(MODEL_USERS);
    target = below(MODEL_USERS);
    m = &r->member[target];
    in = m->here ? below(4) == 0 : below(4) != 0;

    r->seq++;
    r->at = clock_ms;
    sprintf(id, "m%zu", model_events.n);

    given = below(2) ? "rwud" : below(2) ? "r" : "w";
    extra = in && given[1] == '\0'
            ? json_pack("{s:s, s:[s]}", "role", "tutor", "permissions",
                        given[0] == 'r' ? "read" : "write")
            : NULL;
    events_member(&model_events, in ? WRT_EV_JOIN : WRT_EV_LEAVE,
                  model_name('r', k), r->seq, id, model_name('u', actor),
                  model_name('u', target), r->at, extra);

    if (in) {
        add_member(r, target, given);
        m->join_seq = r->seq;

    } else {
        m->here = 0;
    }

    add_message(r, id, actor, -1, in ? "user_joined" : "user_left", NULL);
    r->msg[r->nmsgs - 1].system = 1;
}


static void
make_move(int k)
{
    char             kind;
    int              u;
    int64_t          seq, *at;
    model_room_t    *r;
    model_member_t  *m;

    r = &model_room[k];
    u = below(MODEL_USERS);
    m = &r->member[u];

    if (!m->ever) {
        return;
    }

    kind = below(2) ? 'r' : 'd';
    seq = below((int) r->seq + 1);
    events_cursor(&model_events, model_name('r', k), model_name('u', u), kind,
                  seq, clock_ms);

    at = kind == 'r' ? &m->read_seq : &m->delivered_seq;
    if (seq <= *at) {
        return;
    }

    if (kind == 'r') {
        assert_true(m->nmoves < MODEL_MOVES);
        m->move[m->nmoves].seq = seq;
        m->move[m->nmoves].at = clock_ms;
        m->nmoves++;
        m->read_seq = seq;
    }

    if (seq > m->delivered_seq) {
        m->delivered_seq = seq;
    }
}


static void
edit(model_msg_t *m, int64_t seq, int by, const char *text)
{
    model_edit_t  *e;

    m->edit = realloc(m->edit, (m->nedits + 1) * sizeof(model_edit_t));
    assert_non_null(m->edit);

    e = &m->edit[m->nedits++];
    e->seq = seq;
    e->at = clock_ms;
    e->by = by;
    strcpy(e->was, m->system ? "" : m->text);

    strcpy(m->text, text);
    m->system = 0;
    m->updated_at = clock_ms;
}


static void
react(model_msg_t *m, int user, int emoji, int on)
{
    size_t  i;

    for (i = 0; i < m->nreactions; i++) {
        if (m->reaction[i].user == user && m->reaction[i].emoji == emoji) {
            break;
        }
    }

    if (on && i == m->nreactions) {
        m->reaction[i].user = user;
        m->reaction[i].emoji = emoji;
        m->reaction[i].at = clock_ms;
        m->nreactions++;

    } else if (!on && i < m->nreactions) {
        m->nreactions--;
        memmove(&m->reaction[i], &m->reaction[i + 1],
                (m->nreactions - i) * sizeof(model_reaction_t));
    }
}


/* The message to be changed, and its id; NULL: none of this room. */
static model_msg_t *
pick_message(model_room_t *r, const char **id)
{
    model_msg_t   *m;
    model_room_t  *other;

    other = below(12) ? r : &model_room[below(MODEL_ROOMS)];

    if (other->nmsgs == 0 || below(20) == 0) {
        *id = "nothing";
        return NULL;
    }

    /* the last one is what lists show */

    m = &other->msg[below(3) ? below((int) other->nmsgs)
                             : (int) other->nmsgs - 1];
    *id = m->id;

    return other == r && m->deleted_at < 0 ? m : NULL;
}


static void
make_change(int k)
{
    int            by, emoji, what;
    char           text[MODEL_TEXT];
    const char    *id, *room;
    model_msg_t   *m;
    model_room_t  *r;

    r = &model_room[k];
    r->seq++;
    room = model_name('r', k);
    by = below(MODEL_USERS);
    what = below(10);
    m = pick_message(r, &id);

    if (what < 4) {
        random_text(text);
        events_edit(&model_events, room, r->seq, id, model_name('u', by),
                    text, clock_ms);

        if (m) {
            edit(m, r->seq, by, text);
        }

    } else if (what < 6) {
        events_delete(&model_events, room, r->seq, id, model_name('u', by),
                      clock_ms);

        if (m) {
            m->deleted_at = clock_ms;
            m->deleted_by = by;
            m->updated_at = clock_ms;
        }

    } else {
        emoji = below(MODEL_EMOJI);
        events_react(&model_events, room, r->seq, id, model_name('u', by),
                     model_emoji[emoji], what < 9, clock_ms);

        if (m) {
            react(m, by, emoji, what < 9);
        }
    }

    if (m) {
        m->change_seq = r->seq;
    }
}


static void
make_settings(int k)
{
    int            u, by, on;
    json_t        *set;
    model_room_t  *r;

    r = &model_room[k];
    r->seq++;
    by = below(MODEL_USERS);
    set = json_object();

    if (below(3) == 0) {
        random_text(r->title);
        json_object_set_new(set, "title", json_string(r->title));
    }

    if (below(3) == 0) {
        r->settings = below(1000);
        json_object_set_new(set, "settings",
                            json_pack("{s:i}", "n", r->settings));
    }

    if (below(3) == 0) {
        on = below(2);
        r->archived_at = on ? clock_ms : -1;
        json_object_set_new(set, "archived", json_boolean(on));
    }

    if (below(2)) {
        on = below(2);
        u = below(MODEL_USERS);
        r->member[u].blocked_by = on ? by : -1;
        json_object_set_new(set, "block",
                            json_pack("{s:s, s:s, s:b}", "userId",
                                      model_name('u', u), "by",
                                      model_name('u', by), "on", on));
    }

    events_set(&model_events, model_name('r', k), r->seq,
               model_name('u', by), set, clock_ms);
}


static void
make_bad(void)
{
    switch (below(4)) {

    case 0:
        events_message(&model_events, "nowhere", 1, "m", "u1", "x", NULL,
                       clock_ms);
        break;

    case 1:
        events_cursor(&model_events, "r0", "stranger", 'r', 1, clock_ms);
        break;

    case 2:
        events_create(&model_events, "nowhere", "party", "u1", clock_ms);
        break;

    default:
        events_add(&model_events, WRT_EV_CHANGE, "nowhere", 1, "u1", "",
                   json_pack("{s:s}", "event", "message_sung"), NULL);
    }
}


static void
make_profile(void)
{
    const char  *user, *name, *avatar;

    user = model_name('u', below(MODEL_USERS));
    name = model_name('N', below(99));
    avatar = below(2) ? "https://cdn/a.png" : NULL;

    if (below(6)) {
        events_profile(&model_events, user, name, avatar, "student");

    } else {
        events_managed(&model_events, user, name, avatar, "tutor");
    }
}


void
model_make(void)
{
    int  k, what;

    clock_ms += below(3000);
    k = below(MODEL_ROOMS);
    what = below(100);

    if (!model_room[k].exists) {
        make_room(k);

    } else if (what < 40) {
        make_message(k);

    } else if (what < 62) {
        make_change(k);

    } else if (what < 82) {
        make_move(k);

    } else if (what < 88) {
        make_membership(k);

    } else if (what < 92) {
        make_settings(k);

    } else if (what < 94) {
        model_room[k].seq += 1 + below(5);
        events_fence(&model_events, model_name('r', k), model_room[k].seq);

    } else if (what < 97) {
        make_profile();

    } else if (what < 98) {
        /* known already: passed over */
        events_create(&model_events, model_name('r', k), "direct",
                      "u0 stranger", clock_ms);

    } else {
        make_bad();
    }
}


void
model_free(void)
{
    int     k;
    size_t  i;

    for (k = 0; k < MODEL_ROOMS; k++) {
        for (i = 0; i < model_room[k].nmsgs; i++) {
            free(model_room[k].msg[i].edit);
        }
    }

    events_free(&model_events);
}
