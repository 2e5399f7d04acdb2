/*
 * api_member.c: participants come and go.
 *
 * Joining and leaving are system messages with a number of their own: whoever
 * catches up gets them like all others.  The projector keeps membership, the
 * lists of users' rooms and the users' channels in step (effects.c).
 */

#include <stdio.h>
#include <string.h>

#include "worker/api/api.h"


/* The participant of a document who is there now, or NULL. */
static json_t *
member_find(const json_t *doc, const char *user, unsigned *present)
{
    size_t       i;
    json_t      *p, *found;
    const char  *id;

    found = NULL;
    *present = 0;

    json_array_foreach(json_object_get(doc, "participants"), i, p) {
        if (json_is_string(json_object_get(p, "leftAt"))) {
            continue;
        }

        (*present)++;
        id = json_string_value(json_object_get(p, "userId"));

        if (id && strcmp(id, user) == 0) {
            found = p;
        }
    }

    return found;
}


int
member_known(const json_t *doc, const char *user)
{
    size_t       i;
    json_t      *p;
    const char  *id;

    json_array_foreach(json_object_get(doc, "participants"), i, p) {
        id = json_string_value(json_object_get(p, "userId"));

        if (id && strcmp(id, user) == 0) {
            return 1;
        }
    }

    return 0;
}


/* A direct room has the two it was made for. */
static int
member_fixed(call_t *c, const json_t *doc)
{
    const char  *type;

    type = json_string_value(json_object_get(doc, "type"));

    if (type && strcmp(type, "direct") == 0) {
        api_error(c, 409, "conflict", NULL,
                  "a direct conversation keeps its two participants");
        return -1;
    }

    return 0;
}


/* What the system message says of him. */
static json_t *
member_data(const char *user, const char *name, const char *role)
{
    return json_pack("{s:s, s:s, s:s?}", "userId", user, "name", name, "role",
                     role);
}


static void
member_emit_init(emit_t *e, const call_t *c, const json_t *doc,
    const char *kind, const char *target)
{
    memset(e, 0, sizeof(*e));
    e->conversation = c->ids[0];
    e->kind = kind;
    e->target = target;
    e->need = "m";
    e->message = EMIT_ROOM;
    e->expect = json_integer_value(json_object_get(doc, "seq"));
}


static api_rc_t
member_answer(api_t *a, call_t *c, store_t *st, int status, const char *said)
{
    json_t  *doc;

    return conv_read(a, c, st, &doc) == 0 ? conv_answer(a, c, status, said,
                                                        doc)
                                          : API_DONE;
}


/* -- adding -- */

/* What the new one's sockets are told: the room, with him in it. */
static json_t *
add_created(const call_t *c, const json_t *doc, const person_t *p,
    const char *name, const char *avatar)
{
    json_t  *room, *people, *who;

    who = json_pack("{s:s, s:s, s:o, s:n, s:o, s:n, s:{s:s, s:s?, s:s}}",
                    "userId", p->user, "role", p->role, "joinedAt",
                    emit_at(c), "leftAt", "permissions",
                    body_permissions(p->permissions), "blockedBy", "user",
                    "name", name, "avatar", avatar, "role", p->role);

    people = json_copy(json_object_get(doc, "participants"));
    json_array_append_new(people, who);

    room = json_copy((json_t *) doc);
    json_object_set_new(room, "participants", people);
    json_object_set_new(room, "seq", emit_seq(c));
    json_object_set_new(room, "unreadCount", json_integer(0));

    return json_pack("{s:s, s:{s:s, s:o, s:o}}", "event",
                     "conversation_created", "data", "conversationId",
                     c->ids[0], "seq", emit_seq(c), "conversation", room);
}


static emit_rc_t
add_emit(api_t *a, call_t *c, store_t *st, const access_t *x,
    const json_t *doc, person_t *p, const json_t *user, int64_t *seq)
{
    char         field[sizeof(WRT_F_MEMBER) + WRT_ID_MAX];
    char         value[64], letters[5];
    emit_t       e;
    emit_rc_t    rc;
    const char  *name, *role;

    if (user_named(a, c, st) != 0) {
        return EMIT_ANSWERED;
    }

    name = json_string_value(json_object_get(user, "name"));
    role = json_string_value(json_object_get(user, "role"));

    if (p->role == NULL) {
        p->role = role && strcmp(role, "tutor") == 0 ? "tutor" : "student";
    }

    body_letters(letters, p->permissions);
    snprintf(field, sizeof(field), WRT_F_MEMBER "%s", p->user);
    snprintf(value, sizeof(value), "%s|%s|" WRT_EMIT_SEQ, letters, p->role);

    member_emit_init(&e, c, doc, "j", p->user);
    e.live = 1;
    e.event = emit_system(c, doc, "user_joined",
                          member_data(p->user, name ? name : "", p->role));
    e.extra = json_pack("{s:s, s:o, s:o}", "role", p->role, "permissions",
                        body_permissions(p->permissions), "event",
                        add_created(c, doc, p, name ? name : "",
                                    json_string_value(
                                        json_object_get(user, "avatar"))));

    emit_op(&e, "N", field, NULL);
    emit_op(&e, "S", field, value);

    rc = api_emit(a, c, x, &e, seq);

    json_decref(e.event);
    json_decref(e.extra);

    return rc;
}


static emit_rc_t
add_decide_person(api_t *a, call_t *c, store_t *st, const access_t *x,
    const json_t *doc, person_t *p, int64_t *seq)
{
    char         why[80];
    json_t      *user;
    unsigned     present;
    emit_rc_t    rc;
    store_rc_t   src;

    if (may_manage(c, x, doc) != 0 || member_fixed(c, doc) != 0) {
        return EMIT_ANSWERED;
    }

    if (member_find(doc, p->user, &present)) {
        return EMIT_EXISTS;
    }

    if (present >= WRT_PARTICIPANTS_MAX) {
        snprintf(why, sizeof(why),
                 "a conversation takes at most %d participants",
                 WRT_PARTICIPANTS_MAX);
        api_error(c, 409, "conflict", "userId", why);
        return EMIT_ANSWERED;
    }

    src = store_user(st, p->user, &user, NULL);
    role_store_result(a->role, src);

    if (src != STORE_OK && src != STORE_NOT_FOUND) {
        api_store_error(a, c, src);
        return EMIT_ANSWERED;
    }

    if (src != STORE_OK) {
        user = NULL;
    }

    rc = add_emit(a, c, st, x, doc, p, user, seq);
    json_decref(user);

    return rc;
}


static emit_rc_t
add_decide(api_t *a, call_t *c, store_t *st, const access_t *x, int64_t *seq)
{
    json_t          *doc;
    person_t         p;
    emit_rc_t        rc;
    wrt_refusal_t    why;
    wrt_envelope_t   envelope;

    rc = EMIT_ANSWERED;

    if (wrt_envelope_parse_body(&envelope, c->body, c->body_len, &why) != 0) {
        body_refused(c, &why);

    } else if (body_person(c, envelope.data, "", &p) == 0
               && conv_read(a, c, st, &doc) == 0)
    {
        rc = add_decide_person(a, c, st, x, doc, &p, seq);
        json_decref(doc);
    }

    wrt_envelope_free(&envelope);

    return rc;
}


static api_rc_t
add_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    return member_answer(a, c, st, changed ? 201 : 200,
                         changed ? "Participant added"
                                 : "Already a participant");
}


api_rc_t
member_add(api_t *a, call_t *c)
{
    return api_change(a, c, add_decide, add_answer);
}


/* -- removing, leaving -- */

static emit_rc_t
remove_emit(api_t *a, call_t *c, store_t *st, const access_t *x,
    const json_t *doc, const json_t *p, int64_t *seq)
{
    char         field[sizeof(WRT_F_MEMBER) + WRT_ID_MAX];
    emit_t       e;
    json_t      *user;
    emit_rc_t    rc;
    const char  *name;

    if (user_named(a, c, st) != 0) {
        return EMIT_ANSWERED;
    }

    user = json_object_get(p, "user");
    name = json_string_value(json_object_get(user, "name"));

    if (strcmp(c->ids[1], c->user) == 0 && c->name[0]) {
        /* his profile may still be on its way */
        name = c->name;
    }

    snprintf(field, sizeof(field), WRT_F_MEMBER "%s", c->ids[1]);

    member_emit_init(&e, c, doc, "l", c->ids[1]);
    e.event = emit_system(c, doc, "user_left",
                          member_data(c->ids[1], name ? name : "",
                                      json_string_value(
                                          json_object_get(p, "role"))));

    emit_op(&e, "Y", field, NULL);
    emit_op(&e, "D", field, NULL);

    rc = api_emit(a, c, x, &e, seq);
    json_decref(e.event);

    return rc;
}


static emit_rc_t
remove_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    json_t     *doc, *p;
    unsigned    present;
    emit_rc_t   rc;

    if (conv_read(a, c, st, &doc) != 0) {
        return EMIT_ANSWERED;
    }

    rc = EMIT_ANSWERED;

    if (strcmp(c->ids[1], c->user) != 0 && may_manage(c, x, doc) != 0) {
        goto done;
    }

    p = member_find(doc, c->ids[1], &present);

    if (p == NULL) {
        api_not_found(c);

    } else if (member_fixed(c, doc) == 0) {
        rc = remove_emit(a, c, st, x, doc, p, seq);
    }

done:

    json_decref(doc);

    return rc;
}


/* Who has left may not read the room any more. */
static api_rc_t
remove_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    (void) a;
    (void) st;
    (void) changed;

    return api_ok(c, 200, "Participant removed",
                  json_pack("{s:s, s:s}", "conversationId", c->ids[0],
                            "userId", c->ids[1]));
}


api_rc_t
member_remove(api_t *a, call_t *c)
{
    return api_change(a, c, remove_decide, remove_answer);
}
