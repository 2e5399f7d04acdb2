/*
 * store_plan.c: what a batch of events means.  Checks every event, passes
 * over what is known already and turns the rest into operations; nothing here
 * touches a database.  Both stores run
 *
 *   store_plan_collect()   names the conversations and members
 *   (store loads them)
 *   store_plan_build()     events -> operations, up to the first bad one
 *   (store writes the messages, notes which are stored)
 *   store_plan_sum()       counts and last messages by conversation
 *   (store writes the rest)
 */

#include <string.h>

#include "worker/store/store_internal.h"

/* Whoever emits a member without a role or permissions means these. */
#define DEFAULT_ROLE  "student"

/* two ids, clientMessageId, separators */
#define KEY_MAX  (2 * (WRT_ID_MAX + 1) + WRT_CLIENT_MSG_ID_MAX)


static const char *const  message_types[] = {
    "text", "sticker", "system", "file", "image", NULL
};

static const char *const  conversation_types[] = {
    "direct", "consultation", "group", NULL
};

static int
one_of(const char *const *list, const char *s)
{
    for (; *list; list++) {
        if (strcmp(*list, s) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Ids have no NUL, so that one between them makes the key unambiguous. */
static size_t
join_key(char *out, const char *a, const char *b, const char *c)
{
    size_t  n, len;

    n = strlen(a) + 1;
    memcpy(out, a, n);

    len = strlen(b) + 1;
    memcpy(out + n, b, len);
    n += len;

    if (c) {
        len = strlen(c);
        memcpy(out + n, c, len);
        n += len;
    }

    return n;
}


static store_member_t *
find_member(const store_plan_t *p, const store_conv_t *conv, const char *user)
{
    char  key[KEY_MAX];

    return store_map_get(&p->member_map, key,
                         join_key(key, conv->id, user, NULL));
}


static store_conv_t *
collect_conv(store_plan_t *p, const char *id)
{
    void          **place;
    store_conv_t   *conv;

    if (!store_plan_id(id)) {
        return NULL;
    }

    place = store_map_put(&p->conv_map, id, strlen(id));

    if (*place == NULL) {
        conv = store_alloc(p->arena, sizeof(store_conv_t));
        conv->id = id;
        conv->stored_seq = -1;
        conv->stored_at = STORE_NO_TIME;
        conv->changed_at = STORE_NO_TIME;
        p->convs[p->nconvs++] = conv;
        *place = conv;
    }

    return *place;
}


static store_member_t *
collect_member(store_plan_t *p, store_conv_t *conv, const char *user)
{
    char             key[KEY_MAX];
    void           **place;
    store_member_t  *m;

    if (conv == NULL || !store_plan_id(user)) {
        return NULL;
    }

    place = store_map_put(&p->member_map, key,
                          join_key(key, conv->id, user, NULL));

    if (*place == NULL) {
        m = store_alloc(p->arena, sizeof(store_member_t));
        m->conv = conv;
        m->user = user;
        m->read_at = STORE_NO_TIME;
        m->delivered_at = STORE_NO_TIME;
        p->members[p->nmembers++] = m;
        *place = m;
    }

    return *place;
}


/* What a numbered event sets besides: operations of their own. */
static size_t
count_ops(const event_t *ev, size_t n)
{
    size_t         i, ops;
    const json_t  *set;

    for (i = 0, ops = n; i < n; i++) {
        set = ev[i].extra ? json_object_get(ev[i].extra, "set") : NULL;
        ops += ev[i].kind == WRT_EV_CREATE
               || json_is_object(json_object_get(set, "consultation"));
        ops += json_is_object(json_object_get(set, "session"));
    }

    return ops;
}


void
store_plan_collect(store_plan_t *p, store_arena_t *a, const event_t *ev,
    size_t n)
{
    size_t  i;

    memset(p, 0, sizeof(store_plan_t));

    p->arena = a;
    p->ev = ev;
    p->n = n;
    p->ev_conv = store_alloc(a, n * sizeof(store_conv_t *));
    p->ev_member = store_alloc(a, n * sizeof(store_member_t *));
    p->convs = store_alloc(a, n * sizeof(store_conv_t *));
    p->members = store_alloc(a, n * sizeof(store_member_t *));
    p->ops = store_alloc(a, count_ops(ev, n) * sizeof(store_op_t));

    store_map_init(&p->conv_map, a, n);
    store_map_init(&p->member_map, a, 0);
    store_map_init(&p->once_map, a, n);

    for (i = 0; i < n; i++) {
        if (ev[i].kind == WRT_EV_PROFILE || ev[i].kind == WRT_EV_AUDIT
            || ev[i].kind == WRT_EV_DEVICE)
        {
            continue;
        }

        p->ev_conv[i] = collect_conv(p, ev[i].conversation);

        if (ev[i].kind == WRT_EV_STATUS) {
            p->ev_member[i] = collect_member(p, p->ev_conv[i], ev[i].actor);
        }
    }
}


/* The message of an m, j or l event. */
static const char *
plan_message(store_plan_t *p, store_op_t *op, const event_t *ev)
{
    char           key[KEY_MAX];
    void         **place;
    const json_t  *data, *msg, *meta;

    data = json_object_get(ev->body, "data");
    msg = json_object_get(data, "message");

    if (!json_is_object(msg)) {
        return "no data.message";
    }

    op->kind = STORE_OP_MESSAGE;
    op->seq = ev->seq;
    op->id = store_plan_text(msg, "id");
    op->sender = store_plan_text(msg, "senderId");
    op->type = store_plan_text(msg, "type");
    op->content = json_object_get(msg, "content");
    op->reply_to = store_plan_text(msg, "replyTo");

    op->client_id = store_plan_text(msg, "clientMessageId");
    if (op->client_id == NULL) {
        op->client_id = store_plan_text(data, "clientMessageId");
    }

    meta = json_object_get(ev->extra, "metadata");
    op->device = store_plan_text(meta, "deviceInfo");
    op->ip = store_plan_text(meta, "ipAddress");

    if (!store_plan_id(op->id)) {
        return "message.id is not an id";
    }

    if (!store_plan_id(op->sender)) {
        return "message.senderId is not an id";
    }

    if (op->type == NULL || !one_of(message_types, op->type)) {
        return "message.type is none that this program knows";
    }

    if (!json_is_object(op->content)) {
        return "message.content is not an object";
    }

    if ((strcmp(op->type, "file") == 0 || strcmp(op->type, "image") == 0)
        && !store_file_content(op->content))
    {
        return "message.content.fileInfo is not that of a file";
    }

    if (op->reply_to && !store_plan_id(op->reply_to)) {
        return "message.replyTo is not an id";
    }

    if (store_plan_time(msg, "createdAt", &op->at) != 0) {
        return "message.createdAt is not a time";
    }

    if (op->client_id) {
        if (op->client_id[0] == '\0'
            || strlen(op->client_id) > WRT_CLIENT_MSG_ID_MAX)
        {
            return "message.clientMessageId is empty or too long";
        }

        place = store_map_put(&p->once_map, key,
                              join_key(key, op->conv->id, op->sender,
                                       op->client_id));
        op->later = *place != NULL;
        *place = op;
    }

    return NULL;
}


static const char *
plan_membership(store_plan_t *p, store_op_t *op, const event_t *ev)
{
    store_member_t  *m;

    if (!store_plan_id(ev->target)) {
        return "the target is not an id";
    }

    op->member = ev->kind;
    op->user = ev->target;

    if (ev->kind == WRT_EV_LEAVE) {
        return NULL;
    }

    op->role = store_plan_text(ev->extra, "role");
    if (op->role == NULL) {
        op->role = DEFAULT_ROLE;
    }

    op->permissions = store_permissions_parse(
                          json_object_get(ev->extra, "permissions"));

    m = find_member(p, op->conv, op->user);
    if (m) {
        m->exists = 1;
    }

    return NULL;
}


/* The next free operation, for what belongs to the event of this one. */
static store_op_t *
next_op(store_plan_t *p, const store_op_t *of)
{
    store_op_t  *op;

    op = &p->ops[p->nops];
    memset(op, 0, sizeof(store_op_t));
    op->index = of->index;
    op->conv = of->conv;

    return op;
}


/* set.consultation and set.session, before the event's own operation. */
static const char *
plan_set(store_plan_t *p, const store_op_t *of, const event_t *ev)
{
    store_op_t    *op;
    const char    *why;
    const json_t  *set, *v;

    set = ev->extra ? json_object_get(ev->extra, "set") : NULL;
    v = json_object_get(set, "consultation");

    if (json_is_object(v)) {
        op = next_op(p, of);
        why = store_plan_consult(op, v, ev->seq);
        if (why) {
            return why;
        }

        p->nops++;
    }

    v = json_object_get(set, "session");

    if (json_is_object(v)) {
        op = next_op(p, of);
        why = store_plan_session_set(op, v);
        if (why) {
            return why;
        }

        p->nops++;
    }

    return NULL;
}


static const char *
plan_own(store_plan_t *p, store_op_t *op, const event_t *ev)
{
    int          made;
    const char  *why;

    if (ev->kind == WRT_EV_CHANGE) {
        why = store_plan_change(op, ev, &made);
        p->nops += why == NULL && made;
        return why;
    }

    if (ev->kind == WRT_EV_FENCE) {
        return NULL;
    }

    why = plan_message(p, op, ev);

    if (why == NULL && ev->kind != WRT_EV_MESSAGE) {
        why = plan_membership(p, op, ev);
    }

    p->nops += why == NULL;

    return why;
}


static const char *
plan_numbered(store_plan_t *p, store_op_t *op, const event_t *ev)
{
    size_t         nops;
    const char    *why;
    store_op_t     of;
    store_conv_t  *conv, was;

    conv = op->conv;

    if (conv == NULL) {
        return "not a conversation id";
    }

    if (conv->seq < 0) {
        return "no such conversation";
    }

    if (ev->seq < 1) {
        return "a numbered event without a number";
    }

    if (ev->seq <= conv->seq) {
        return NULL;
    }

    of = *op;
    was = *conv;
    nops = p->nops;

    why = ev->kind == WRT_EV_CHANGE || ev->kind == WRT_EV_MESSAGE
          ? plan_set(p, &of, ev) : NULL;

    if (why == NULL) {
        why = plan_own(p, next_op(p, &of), ev);
    }

    if (why) {
        /* all of it, or nothing */
        *conv = was;
        p->nops = nops;
        return why;
    }

    conv->seq = ev->seq;

    return NULL;
}


int
store_plan_participant(const store_op_t *create, size_t i,
    store_participant_t *out)
{
    json_t  *v;

    v = json_array_get(json_object_get(create->body, "participants"), i);

    out->user = store_plan_text(v, "userId");
    if (!store_plan_id(out->user)) {
        return -1;
    }

    out->role = store_plan_text(v, "role");
    if (out->role == NULL) {
        out->role = DEFAULT_ROLE;
    }

    out->permissions = store_permissions_parse(
                           json_object_get(v, "permissions"));

    if (store_plan_time(v, "joinedAt", &out->joined_at) != 0) {
        out->joined_at = create->at;
    }

    return 0;
}


/* The consultation that a room was made for. */
static void
plan_first_consult(store_plan_t *p, const store_op_t *create)
{
    store_op_t  *op;

    op = next_op(p, create);
    op->id = store_plan_text(create->body, "consultationId");

    if (!store_plan_id(op->id)) {
        return;
    }

    op->kind = STORE_OP_CONSULT;
    op->type = "confirmed";
    op->body = json_object_get(create->body, "context");
    op->on = 1;
    op->at = create->at;

    if (json_is_null(op->body)) {
        op->body = NULL;
    }

    create->conv->consultation = op;
    p->nops++;
}


static const char *
plan_create(store_plan_t *p, store_op_t *op, const event_t *ev)
{
    size_t                i, n;
    const char           *type;
    store_conv_t         *conv;
    store_member_t       *m;
    store_participant_t   who;

    conv = op->conv;

    if (conv == NULL) {
        return "not a conversation id";
    }

    if (conv->seq >= 0) {
        return NULL;
    }

    type = store_plan_text(ev->body, "type");
    if (type == NULL || !one_of(conversation_types, type)) {
        return "type is none of direct, consultation, group";
    }

    if (!store_plan_optional(ev->body, "title", JSON_STRING)
        || !store_plan_optional(ev->body, "consultationId", JSON_STRING)
        || !store_plan_optional(ev->body, "createdBy", JSON_STRING)
        || !store_plan_optional(ev->body, "settings", JSON_OBJECT)
        || !store_plan_optional(ev->body, "context", JSON_OBJECT))
    {
        return "title, consultationId, createdBy, settings or context is of"
               " the wrong type";
    }

    if (store_plan_time(ev->body, "createdAt", &op->at) != 0) {
        return "createdAt is not a time";
    }

    op->kind = STORE_OP_CREATE;
    op->type = type;
    op->body = ev->body;
    op->user = store_plan_text(ev->body, "createdBy");
    if (op->user == NULL) {
        op->user = ev->actor;
    }

    n = json_array_size(json_object_get(ev->body, "participants"));
    if (n == 0) {
        return "no participants";
    }

    for (i = 0; i < n; i++) {
        if (store_plan_participant(op, i, &who) != 0) {
            return "a participant's userId is not an id";
        }
    }

    for (i = 0; i < n; i++) {
        store_plan_participant(op, i, &who);
        m = find_member(p, conv, who.user);
        if (m) {
            m->exists = 1;
        }
    }

    conv->create = op;
    conv->seq = 0;
    p->nops++;

    plan_first_consult(p, op);

    return NULL;
}


static const char *
plan_move(store_plan_t *p, store_op_t *op, const event_t *ev,
    store_member_t *m)
{
    const char    *kind;
    const json_t  *seq;

    if (op->conv == NULL) {
        return "not a conversation id";
    }

    if (op->conv->seq < 0) {
        return "no such conversation";
    }

    if (m == NULL || !m->exists) {
        return "the actor was never a member";
    }

    kind = store_plan_text(ev->extra, "kind");
    seq = json_object_get(ev->extra, "seq");

    if (kind == NULL || (strcmp(kind, "r") != 0 && strcmp(kind, "d") != 0)) {
        return "the cursor's kind is neither r nor d";
    }

    if (!json_is_integer(seq) || json_integer_value(seq) < 0) {
        return "the cursor's seq is not a number";
    }

    if (store_plan_time(ev->extra, "at", &op->at) != 0) {
        return "the cursor's at is not a time";
    }

    op->kind = STORE_OP_MOVE;
    op->cursor = kind[0];
    op->seq = json_integer_value(seq);
    op->user = m->user;

    if (op->seq <= (op->cursor == 'r' ? m->read_seq : m->delivered_seq)) {
        return NULL;
    }

    if (op->cursor == 'r') {
        m->read_seq = op->seq;
        m->read_at = op->at;
        m->read_moved = 1;
    }

    /* what was read was delivered */

    if (op->seq > m->delivered_seq) {
        m->delivered_seq = op->seq;
        m->delivered_at = op->at;
        m->delivered_moved = 1;
    }

    p->nops++;

    return NULL;
}


static const char *
plan_profile(store_plan_t *p, store_op_t *op, const event_t *ev)
{
    if (!store_plan_id(ev->actor)) {
        return "the actor is not an id";
    }

    if (!json_is_object(ev->body)
        || !store_plan_optional(ev->body, "name", JSON_STRING)
        || !store_plan_optional(ev->body, "avatar", JSON_STRING)
        || !store_plan_optional(ev->body, "role", JSON_STRING))
    {
        return "name, avatar or role is not a string";
    }

    op->kind = STORE_OP_PROFILE;
    op->user = ev->actor;
    op->name = store_plan_text(ev->body, "name");
    op->avatar = store_plan_text(ev->body, "avatar");
    op->role = store_plan_text(ev->body, "role");
    op->on = json_is_true(json_object_get(ev->extra, "managed"));

    if (op->name == NULL) {
        op->name = "";
    }

    if (op->role == NULL) {
        op->role = DEFAULT_ROLE;
    }

    p->nops++;

    return NULL;
}


static const char *
plan_event(store_plan_t *p, size_t i)
{
    const char     *why;
    store_op_t     *op;
    const event_t  *ev;

    ev = &p->ev[i];
    op = &p->ops[p->nops];

    memset(op, 0, sizeof(store_op_t));
    op->index = i;
    op->conv = p->ev_conv[i];

    switch (ev->kind) {

    case WRT_EV_CREATE:
        return plan_create(p, op, ev);

    case WRT_EV_MESSAGE:
    case WRT_EV_JOIN:
    case WRT_EV_LEAVE:
    case WRT_EV_CHANGE:
    case WRT_EV_FENCE:
        return plan_numbered(p, op, ev);

    case WRT_EV_STATUS:
        return plan_move(p, op, ev, p->ev_member[i]);

    case WRT_EV_PROFILE:
        return plan_profile(p, op, ev);

    case WRT_EV_FILE:
        why = store_plan_file(op, ev);
        p->nops += why == NULL;
        return why;

    case WRT_EV_DEVICE:
        why = store_plan_device(op, ev);
        p->nops += why == NULL;
        return why;

    case WRT_EV_LIFE:
    case WRT_EV_AUDIT:
        why = store_plan_life(op, ev);
        p->nops += why == NULL;
        return why;

    case WRT_EV_SESSION:
        why = store_plan_session(op, ev);
        p->nops += why == NULL;
        return why;

    default:
        return "an event of unknown kind";
    }
}


store_rc_t
store_plan_build(store_plan_t *p, store_t *st, size_t *bad)
{
    size_t          i;
    const char     *why;
    const event_t  *ev;

    for (i = 0; i < p->nconvs; i++) {
        p->convs[i]->seq = p->convs[i]->stored_seq;
    }

    for (i = 0; i < p->n; i++) {
        why = plan_event(p, i);

        if (why) {
            ev = &p->ev[i];
            *bad = i;
            return store_fail(st, STORE_REJECTED,
                              "event %c %lld of %s (entry %s): %s",
                              ev->kind > ' ' && ev->kind < 127 ? ev->kind
                                                               : '?',
                              (long long) ev->seq,
                              ev->conversation ? ev->conversation : "-",
                              ev->entry_id ? ev->entry_id : "-", why);
        }
    }

    return STORE_OK;
}


void
store_plan_sum(store_plan_t *p)
{
    size_t       i;
    store_op_t  *op;

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];

        if (op->kind == STORE_OP_MESSAGE && op->stored) {
            op->conv->added++;
            op->conv->newest = op;      /* numbers only rise */
        }
    }

    for (i = 0; i < p->nconvs; i++) {
        op = p->convs[i]->newest;

        if (op) {
            store_plan_last(p->convs[i], op->id, op->sender, op->type,
                            op->content, op->at);
        }
    }
}


void
store_plan_last(store_conv_t *c, const char *id, const char *sender,
    const char *type, const json_t *content, int64_t at)
{
    c->last_moved = 1;
    c->last.at = at;
    c->last.id = id;
    c->last.sender = sender;
    c->last.type = type;
    c->last.text = store_plan_preview(type, content, &c->last.n);
}
