/*
 * api_change.c: one message: GET, PATCH, DELETE, its history, its reactions.
 *
 * Each change is one numbered event that carries the whole message as it is
 * then, but for status and readBy, which follow from the members' cursors.
 */

#include <stdio.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/api/api.h"


/* field: what of the request is one too many */
static void
change_too_many(call_t *c, const char *field, const char *what, int max)
{
    char  why[80];

    snprintf(why, sizeof(why), "a message takes at most %d %s", max, what);
    api_error(c, 409, "conflict", field, why);
}


/* The message of the path, whole; a deleted one only if it may be. */
static int
change_read(api_t *a, call_t *c, store_t *st, int deleted, json_t **out)
{
    store_rc_t  rc;

    rc = store_message_full(st, c->ids[0], c->ids[1], out);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    if (!deleted && json_is_string(json_object_get(*out, "deletedAt"))) {
        json_decref(*out);
        *out = NULL;
        api_not_found(c);
        return -1;
    }

    return 0;
}


/* The message as it goes into an event: without what is derived, and without
 * the text of another one, which may be deleted some day. */
static json_t *
change_message(const call_t *c, const json_t *full)
{
    size_t    i;
    json_t   *m;

    static const char *const  derived[] = {
        "status", "readBy", "changeSeq", "editHistory", "replyPreview"
    };

    m = json_copy((json_t *) full);

    for (i = 0; i < sizeof(derived) / sizeof(derived[0]); i++) {
        json_object_del(m, derived[i]);
    }

    json_object_set_new(m, "updatedAt", emit_at(c));

    return m;
}


/* An event about the message, with what every change of one has: where, which
 * one, by whom. */
static void
change_event(call_t *c, emit_t *e, const char *name, const char *by,
    const json_t *full)
{
    memset(e, 0, sizeof(*e));

    e->conversation = c->ids[0];
    e->kind = "e";
    e->target = "-";
    e->need = "w";
    e->live = 1;
    e->message = c->ids[1];
    e->expect = json_integer_value(json_object_get(full, "changeSeq"));
    e->event = json_pack("{s:s, s:{s:s, s:o, s:s, s:s}}",
                         "event", name, "data", "conversationId", c->ids[0],
                         "seq", emit_seq(c), "messageId", c->ids[1], by,
                         c->user);
}


/* One more member of its data; takes the value. */
static void
change_add(emit_t *e, const char *key, json_t *value)
{
    json_object_set_new(json_object_get(e->event, "data"), key, value);
}


static const char *
change_text(const json_t *message)
{
    return json_string_value(json_object_get(json_object_get(message,
                                                             "content"),
                                             "text"));
}


/* What the store says of it now. */
static api_rc_t
change_answer(api_t *a, call_t *c, store_t *st, const char *said)
{
    json_t      *m;
    store_rc_t   rc;

    rc = store_message(st, c->ids[0], c->ids[1], &m);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    return api_ok(c, 200, said, json_pack("{s:o}", "message", m));
}


/* -- reading -- */

/* GET /api/conversations/:id/messages/:mid and below: wait, then read. */
static int
change_ready(api_t *a, call_t *c, store_t **st, api_rc_t *rc)
{
    int       waits;
    access_t  x;

    *rc = API_DONE;

    if (api_access(a, c, c->ids[0], &x) != 0 || may_read(c, &x) != 0) {
        return -1;
    }

    waits = c->step == 0 ? api_wait_state(a, c, c->ids[0], &x) : 0;

    if (waits != 0) {
        *rc = waits < 0 ? API_DONE : API_WAIT;
        return -1;
    }

    *st = api_store(a, c);

    return *st ? 0 : -1;
}


api_rc_t
message_get(api_t *a, call_t *c)
{
    store_t   *st;
    api_rc_t   rc;

    return change_ready(a, c, &st, &rc) == 0 ? change_answer(a, c, st, NULL)
                                             : rc;
}


api_rc_t
message_history(api_t *a, call_t *c)
{
    size_t      i;
    json_t     *m, *list, *v;
    store_t    *st;
    api_rc_t    rc;

    if (change_ready(a, c, &st, &rc) != 0
        || change_read(a, c, st, 0, &m) != 0)
    {
        return rc;
    }

    list = json_incref(json_object_get(m, "editHistory"));

    json_array_foreach(list, i, v) {
        json_object_del(v, "seq");
    }

    v = json_pack("{s:s, s:O, s:o}", "messageId", c->ids[1], "content",
                  json_object_get(m, "content"), "editHistory", list);
    json_decref(m);

    return api_ok(c, 200, NULL, v);
}


/* -- editing -- */

/* The new text; 0, -1: answered.  envelope is to be freed in any case. */
static int
edit_body(call_t *c, wrt_envelope_t *e, wrt_slice_t *text)
{
    wrt_refusal_t  why;

    if (wrt_envelope_parse_body(e, c->body, c->body_len, &why) != 0
        || wrt_envelope_text(e, WRT_TEXT_MAX, text, &why) != 0)
    {
        body_refused(c, &why);
        return -1;
    }

    return 0;
}


static emit_rc_t
edit_emit(api_t *a, call_t *c, const access_t *x, const json_t *full,
    wrt_slice_t text, int64_t *seq)
{
    emit_t      e;
    json_t     *m;
    emit_rc_t   rc;

    m = change_message(c, full);
    json_object_set_new(m, "content",
                        json_pack("{s:s%}", "text", text.p, text.n));
    json_object_set_new(m, "editedAt", emit_at(c));

    change_event(c, &e, "message_updated", "editedBy", full);
    change_add(&e, "message", m);
    rc = api_emit(a, c, x, &e, seq);
    json_decref(e.event);

    return rc;
}


static emit_rc_t
edit_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    json_t          *m;
    emit_rc_t        rc;
    const char      *type, *old;
    wrt_slice_t      text;
    wrt_envelope_t   envelope;

    rc = EMIT_ANSWERED;
    m = NULL;

    if (edit_body(c, &envelope, &text) != 0
        || change_read(a, c, st, 0, &m) != 0
        || may_edit(c, json_string_value(json_object_get(m, "senderId")))
           != 0)
    {
        goto done;
    }

    type = json_string_value(json_object_get(m, "type"));
    old = change_text(m);

    if (type == NULL || strcmp(type, "text") != 0 || old == NULL) {
        api_error(c, 409, "conflict", NULL, "only text can be edited");

    } else if (strlen(old) == text.n && memcmp(old, text.p, text.n) == 0) {
        rc = EMIT_EXISTS;

    } else if (json_array_size(json_object_get(m, "editHistory"))
               >= WRT_EDITS_MAX)
    {
        change_too_many(c, "content.text", "edits", WRT_EDITS_MAX);

    } else {
        rc = edit_emit(a, c, x, m, text, seq);
    }

done:

    json_decref(m);
    wrt_envelope_free(&envelope);

    return rc;
}


static api_rc_t
edit_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    (void) changed;

    return change_answer(a, c, st, "Message updated successfully");
}


api_rc_t
message_edit(api_t *a, call_t *c)
{
    return api_change(a, c, edit_decide, edit_answer);
}


/* -- deleting -- */

/*
 * A file that was found infected after it was sent was told anew, with its
 * name and description (files_found.c): that event is looked for in the log,
 * as the store does not keep its number.  0, or -1: answered.
 */
static int
delete_found(api_t *a, call_t *c, const json_t *full, emit_t *e)
{
    char       key[WRT_NAME_BUF];
    rds_t     *shard;
    size_t     i;
    int64_t    seq;
    reply_t   *r;
    unsigned   k;

    if (json_object_get(json_object_get(full, "content"), "fileInfo") == NULL)
    {
        return 0;
    }

    k = wrt_shard(&a->cf->names, c->ids[0], strlen(c->ids[0]));
    shard = api_shard(a, k);

    if (shard == NULL) {
        api_unavailable(c);
        return -1;
    }

    wrt_key_log(key, k, c->ids[0], strlen(c->ids[0]));
    r = life_log(shard, key);

    if (r == NULL) {
        api_unavailable(c);
        return -1;
    }

    i = 0;

    while ((seq = life_changed(r, &i, c->ids[1])) > 0) {
        emit_op_redact(e, seq);
    }

    reply_free(r);

    return 0;
}


static emit_rc_t
delete_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    size_t      i;
    emit_t      e;
    json_t     *full, *m, *edit;
    emit_rc_t   rc;

    if (change_read(a, c, st, 1, &full) != 0) {
        return EMIT_ANSWERED;
    }

    rc = EMIT_ANSWERED;

    if (may_delete(c, x, json_string_value(json_object_get(full, "senderId")))
        != 0)
    {
        goto done;
    }

    if (json_is_string(json_object_get(full, "deletedAt"))) {
        rc = EMIT_EXISTS;
        goto done;
    }

    m = change_message(c, full);
    json_object_set_new(m, "content", json_object());
    json_object_set_new(m, "reactions", json_array());
    json_object_set_new(m, "deletedAt", emit_at(c));

    change_event(c, &e, "message_deleted", "deletedBy", full);
    change_add(&e, "deletedAt", emit_at(c));
    change_add(&e, "message", m);

    /* what it said is sent to nobody again: its own event and its edits' */

    emit_op_redact(&e, json_integer_value(json_object_get(full, "seq")));

    json_array_foreach(json_object_get(full, "editHistory"), i, edit) {
        emit_op_redact(&e, json_integer_value(json_object_get(edit, "seq")));
    }

    if (delete_found(a, c, full, &e) == 0) {
        rc = api_emit(a, c, x, &e, seq);
    }

    json_decref(e.event);

done:

    json_decref(full);

    return rc;
}


static api_rc_t
delete_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    (void) changed;

    return change_answer(a, c, st, "Message deleted successfully");
}


api_rc_t
message_delete(api_t *a, call_t *c)
{
    return api_change(a, c, delete_decide, delete_answer);
}


/* -- reactions -- */

/* Nothing to see, or what turns the text around it. */
static int
reaction_blank(unsigned u)
{
    size_t  i;

    static const struct {
        unsigned  from;
        unsigned  to;
    } blanks[] = {
        { 0x0000, 0x0020 }, { 0x007f, 0x00a8 }, { 0x00aa, 0x00ad },
        { 0x00af, 0x00bf }, { 0x1680, 0x1680 }, { 0x2000, 0x200b },
        { 0x200e, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
        { 0x3000, 0x3000 }, { 0xfeff, 0xfeff }
    };

    for (i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        if (u >= blanks[i].from && u <= blanks[i].to) {
            return 1;
        }
    }

    return 0;
}


/* Is it no ordinary text?  Valid UTF-8 without white space, control
 * characters or ASCII letters, and not ASCII alone. */
static int
reaction_symbol(const unsigned char *p, size_t n)
{
    int       symbol;
    size_t    i, more;
    unsigned  u;

    symbol = 0;

    for (i = 0; i < n; ) {
        u = p[i++];

        if (u >= 0x80) {
            symbol = 1;
            more = u >= 0xf0 ? 3 : u >= 0xe0 ? 2 : 1;
            u &= 0x3fu >> more;

            while (more--) {
                u = u << 6 | (p[i++] & 0x3fu);
            }
        }

        if (reaction_blank(u) || (u >= 'A' && u <= 'Z')
            || (u >= 'a' && u <= 'z'))
        {
            return 0;
        }
    }

    return symbol;
}


static int
reaction_emoji(call_t *c)
{
    size_t                n;
    const unsigned char  *p;

    p = (const unsigned char *) c->rest;
    n = strlen(c->rest);

    if (n > WRT_EMOJI_MAX || !wrt_utf8_valid(p, n) || !reaction_symbol(p, n))
    {
        api_error(c, 400, "invalid_request", "emoji",
                  "emoji must be one emoji, percent-encoded UTF-8 of at most"
                  " 64 bytes");
        return -1;
    }

    return 0;
}


/* The caller's reaction of this kind in the message's list, or -1. */
static int
reaction_find(const call_t *c, const json_t *list)
{
    size_t       i;
    json_t      *v;
    const char  *user, *emoji;

    json_array_foreach(list, i, v) {
        user = json_string_value(json_object_get(v, "userId"));
        emoji = json_string_value(json_object_get(v, "emoji"));

        if (user && emoji && strcmp(user, c->user) == 0
            && strcmp(emoji, c->rest) == 0)
        {
            return (int) i;
        }
    }

    return -1;
}


static emit_rc_t
reaction_emit(api_t *a, call_t *c, const access_t *x, const json_t *full,
    int add, int at, int64_t *seq)
{
    emit_t      e;
    json_t     *list;
    emit_rc_t   rc;

    list = json_copy(json_object_get(full, "reactions"));

    if (add) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "userId",
                                              c->user, "emoji", c->rest,
                                              "addedAt", emit_at(c)));
    } else {
        json_array_remove(list, (size_t) at);
    }

    change_event(c, &e, "reaction_updated", "userId", full);
    change_add(&e, "emoji", json_string(c->rest));
    change_add(&e, "action", json_string(add ? "added" : "removed"));
    change_add(&e, "addedAt", add ? emit_at(c) : json_null());
    change_add(&e, "reactions", list);

    rc = api_emit(a, c, x, &e, seq);
    json_decref(e.event);

    return rc;
}


static emit_rc_t
reaction_decide(api_t *a, call_t *c, store_t *st, const access_t *x, int add,
    int64_t *seq)
{
    int         at;
    json_t     *full, *list;
    emit_rc_t   rc;

    if (may_react(c, x) != 0 || reaction_emoji(c) != 0
        || change_read(a, c, st, 0, &full) != 0)
    {
        return EMIT_ANSWERED;
    }

    list = json_object_get(full, "reactions");
    at = reaction_find(c, list);

    if (add == (at >= 0)) {
        rc = EMIT_EXISTS;

    } else if (add && json_array_size(list) >= WRT_REACTIONS_MAX) {
        change_too_many(c, "emoji", "reactions", WRT_REACTIONS_MAX);
        rc = EMIT_ANSWERED;

    } else {
        rc = reaction_emit(a, c, x, full, add, at, seq);
    }

    json_decref(full);

    return rc;
}


static emit_rc_t
reaction_decide_put(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return reaction_decide(a, c, st, x, 1, seq);
}


static emit_rc_t
reaction_decide_delete(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return reaction_decide(a, c, st, x, 0, seq);
}


static api_rc_t
reaction_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    (void) changed;

    return change_answer(a, c, st, NULL);
}


api_rc_t
reaction_put(api_t *a, call_t *c)
{
    return api_change(a, c, reaction_decide_put, reaction_answer);
}


api_rc_t
reaction_delete(api_t *a, call_t *c)
{
    return api_change(a, c, reaction_decide_delete, reaction_answer);
}
