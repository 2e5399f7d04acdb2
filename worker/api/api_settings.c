/*
 * api_settings.c: what a conversation is like: title and settings, archived or
 * not, and who may not write in a direct one any more.
 *
 * Each of these is the event conversation_updated, with what is to be set in
 * its extra field ({"set":{...}}).
 */

#include <stdio.h>
#include <string.h>

#include "worker/api/api.h"


json_t *
settings_shown(const call_t *c, const json_t *doc)
{
    size_t    i, n;
    json_t   *o;

    /* the last four of a room with a consultation */
    static const char *const  shown[] = {
        "id", "title", "settings", "isArchived", "consultationId",
        "consultationStatus", "sessionId", "context"
    };

    n = sizeof(shown) / sizeof(shown[0]);
    n -= json_is_string(json_object_get(doc, "consultationId")) ? 0 : 4;
    o = json_object();

    for (i = 0; i < n; i++) {
        json_object_set(o, shown[i], json_object_get(doc, shown[i]));
    }

    json_object_set(o, "archivedAt",
                    json_object_get(json_object_get(doc, "metadata"),
                                    "archivedAt"));
    json_object_set_new(o, "updatedAt", emit_at(c));

    return o;
}


void
settings_event(const call_t *c, emit_t *e, const json_t *doc, json_t *shown,
    json_t *set)
{
    memset(e, 0, sizeof(*e));

    e->conversation = c->ids[0];
    e->kind = "e";
    e->target = "-";
    e->need = "m";
    e->message = EMIT_ROOM;
    e->expect = json_integer_value(json_object_get(doc, "seq"));
    e->event = json_pack("{s:s, s:{s:s, s:o, s:s, s:o}}", "event",
                         "conversation_updated", "data", "conversationId",
                         c->ids[0], "seq", emit_seq(c), "updatedBy", c->user,
                         "conversation", shown);
    e->extra = json_pack("{s:o}", "set", set);
}


emit_rc_t
settings_emit(api_t *a, call_t *c, const access_t *x, emit_t *e,
    int64_t *seq)
{
    emit_rc_t  rc;

    rc = api_emit(a, c, x, e, seq);
    json_decref(e->event);
    json_decref(e->extra);

    return rc;
}


api_rc_t
settings_answer(api_t *a, call_t *c, store_t *st, int changed)
{
    json_t  *doc;

    return conv_read(a, c, st, &doc) == 0
           ? conv_answer(a, c, 200, changed ? "Conversation updated"
                                            : "Nothing to change", doc)
           : API_DONE;
}


void
settings_archive(const call_t *c, emit_t *e, const json_t *doc, int archived)
{
    json_t      *shown, *set;
    const char  *state;

    state = json_is_true(json_object_get(json_object_get(doc, "settings"),
                                         "reopenOnMessage"))
            ? WRT_STATE_REOPEN : WRT_STATE_ARCHIVED;

    shown = json_object_get(json_object_get(e->event, "data"),
                            "conversation");
    json_object_set_new(shown, "isArchived", json_boolean(archived));
    json_object_set_new(shown, "archivedAt",
                        archived ? emit_at(c) : json_null());

    set = json_object_get(e->extra, "set");
    json_object_set_new(set, "archived", json_boolean(archived));

    emit_op(e, "V", WRT_F_STATE, archived ? WRT_STATE_ACTIVE : state);
    emit_op(e, "S", WRT_F_STATE, archived ? state : WRT_STATE_ACTIVE);
}


/* -- title and settings -- */

/* What the body asks for and is not so yet; NULL: answered. */
static json_t *
update_wanted(call_t *c, const wrt_envelope_t *envelope, const json_t *doc)
{
    int              rc;
    json_t          *set, *v, *new;
    const char      *old;
    wrt_slice_t      title;
    wrt_refusal_t    why;

    rc = wrt_envelope_string(envelope, "title", WRT_TITLE_MAX, &title, &why);

    if (rc < 0) {
        body_refused(c, &why);
        return NULL;
    }

    set = json_object();
    old = json_string_value(json_object_get(doc, "title"));

    if (rc == 1 && (strlen(old ? old : "") != title.n
                    || memcmp(old ? old : "", title.p, title.n) != 0))
    {
        /* an empty one is none */
        json_object_set_new(set, "title",
                            title.n ? json_stringn(title.p, title.n)
                                    : json_null());
    }

    v = json_object_get(envelope->data, "settings");

    if (v && !json_is_null(v)) {
        new = body_settings_merge(c, json_object_get(doc, "settings"), v);

        if (new == NULL) {
            json_decref(set);
            return NULL;
        }

        if (!json_equal(new, json_object_get(doc, "settings"))) {
            json_object_set(set, "settings", new);
        }

        json_decref(new);
    }

    return set;
}


/* Of an archived room: does a message reopen it, from now on? */
static void
update_state(emit_t *e, const json_t *doc, const json_t *settings)
{
    int  was, is;

    was = json_is_true(json_object_get(json_object_get(doc, "settings"),
                                       "reopenOnMessage"));
    is = json_is_true(json_object_get(settings, "reopenOnMessage"));

    if (settings == NULL || was == is
        || !json_is_true(json_object_get(doc, "isArchived")))
    {
        return;
    }

    emit_op(e, "V", WRT_F_STATE, was ? WRT_STATE_REOPEN : WRT_STATE_ARCHIVED);
    emit_op(e, "S", WRT_F_STATE, is ? WRT_STATE_REOPEN : WRT_STATE_ARCHIVED);
}


static emit_rc_t
update_decide_doc(api_t *a, call_t *c, const access_t *x,
    const wrt_envelope_t *envelope, const json_t *doc, int64_t *seq)
{
    emit_t       e;
    json_t      *set, *shown, *v;
    const char  *name;

    if (may_manage(c, x, doc) != 0) {
        return EMIT_ANSWERED;
    }

    set = update_wanted(c, envelope, doc);
    if (set == NULL) {
        return EMIT_ANSWERED;
    }

    if (json_object_size(set) == 0) {
        json_decref(set);
        return EMIT_EXISTS;
    }

    shown = settings_shown(c, doc);

    json_object_foreach(set, name, v) {
        json_object_set(shown, name, v);
    }

    settings_event(c, &e, doc, shown, set);
    update_state(&e, doc, json_object_get(set, "settings"));

    return settings_emit(a, c, x, &e, seq);
}


static emit_rc_t
update_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    json_t          *doc;
    emit_rc_t        rc;
    wrt_refusal_t    why;
    wrt_envelope_t   envelope;

    rc = EMIT_ANSWERED;

    if (wrt_envelope_parse_body(&envelope, c->body, c->body_len, &why) != 0) {
        body_refused(c, &why);

    } else if (conv_read(a, c, st, &doc) == 0) {
        rc = update_decide_doc(a, c, x, &envelope, doc, seq);
        json_decref(doc);
    }

    wrt_envelope_free(&envelope);

    return rc;
}


api_rc_t
conv_update(api_t *a, call_t *c)
{
    return api_change(a, c, update_decide, settings_answer);
}


/* -- archive -- */

static emit_rc_t
archive_decide_to(api_t *a, call_t *c, store_t *st, const access_t *x,
    int archived, int64_t *seq)
{
    emit_t      e;
    json_t     *doc;
    emit_rc_t   rc;

    if (conv_read(a, c, st, &doc) != 0) {
        return EMIT_ANSWERED;
    }

    if (may_manage(c, x, doc) != 0) {
        rc = EMIT_ANSWERED;

    } else if (json_is_true(json_object_get(doc, "isArchived")) == archived) {
        rc = EMIT_EXISTS;

    } else {
        settings_event(c, &e, doc, settings_shown(c, doc), json_object());
        settings_archive(c, &e, doc, archived);
        rc = settings_emit(a, c, x, &e, seq);
    }

    json_decref(doc);

    return rc;
}


static emit_rc_t
archive_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return archive_decide_to(a, c, st, x, 1, seq);
}


static emit_rc_t
unarchive_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return archive_decide_to(a, c, st, x, 0, seq);
}


api_rc_t
conv_archive(api_t *a, call_t *c)
{
    return api_change(a, c, archive_decide, settings_answer);
}


api_rc_t
conv_unarchive(api_t *a, call_t *c)
{
    return api_change(a, c, unarchive_decide, settings_answer);
}


/* -- blocking the other one of a direct room -- */

/* Whom the body names, if it names anybody; 0, -1: answered. */
static int
block_named(call_t *c, char user[WRT_ID_MAX + 1])
{
    int              rc;
    wrt_slice_t      id;
    wrt_refusal_t    why;
    wrt_envelope_t   envelope;

    user[0] = '\0';

    if (c->body_len == 0) {
        return 0;
    }

    rc = wrt_envelope_parse_body(&envelope, c->body, c->body_len, &why) == 0
         ? wrt_envelope_id(&envelope, "userId", &id, &why) : -1;

    if (rc < 0) {
        body_refused(c, &why);

    } else if (rc == 1) {
        snprintf(user, WRT_ID_MAX + 1, "%.*s", (int) id.n, id.p);
    }

    wrt_envelope_free(&envelope);

    return rc < 0 ? -1 : 0;
}


/* The other participant, whom the call must mean if it names one; NULL:
 * answered. */
static json_t *
block_other(call_t *c, const access_t *x, const json_t *doc)
{
    char         named[WRT_ID_MAX + 1];
    size_t       i;
    json_t      *p;
    const char  *type, *user;

    type = json_string_value(json_object_get(doc, "type"));

    if (!x->member) {
        api_error(c, 403, "forbidden", NULL,
                  "only a participant may block the other one");
        return NULL;
    }

    if (type == NULL || strcmp(type, "direct") != 0) {
        api_error(c, 409, "conflict", NULL,
                  "only in a direct conversation can the other one be"
                  " blocked; remove a participant elsewhere");
        return NULL;
    }

    if (block_named(c, named) != 0) {
        return NULL;
    }

    json_array_foreach(json_object_get(doc, "participants"), i, p) {
        user = json_string_value(json_object_get(p, "userId"));

        if (user && strcmp(user, c->user) != 0
            && (named[0] == '\0' || strcmp(user, named) == 0))
        {
            return p;
        }
    }

    api_not_found(c);

    return NULL;
}


static unsigned
block_bits(const json_t *member, const char *key)
{
    size_t     i;
    json_t    *v;
    unsigned   bits;

    bits = 0;

    json_array_foreach(json_object_get(member, key), i, v) {
        bits |= body_permission(json_string_value(v));
    }

    return bits;
}


/* A member's field in Redis: as it is, and without the rights that a block
 * takes, or with those that he was given. */
static int
block_values(json_t *state, const char *user, int on, char old[64],
    char new[64])
{
    char         letters[5];
    size_t       i;
    json_t      *m;
    unsigned     bits;
    const char  *id, *role;

    json_array_foreach(json_object_get(state, "members"), i, m) {
        id = json_string_value(json_object_get(m, "userId"));
        role = json_string_value(json_object_get(m, "role"));

        if (id == NULL || role == NULL || strcmp(id, user) != 0) {
            continue;
        }

        bits = block_bits(m, "permissions");
        body_letters(letters, bits);
        snprintf(old, 64, "%s|%s|%lld", letters, role, (long long)
                 json_integer_value(json_object_get(m, "joinSeq")));

        bits = on ? bits & ~(unsigned) (BODY_WRITE | BODY_UPLOAD)
                  : block_bits(m, "given");
        body_letters(letters, bits);
        snprintf(new, 64, "%s|%s|%lld", letters, role, (long long)
                 json_integer_value(json_object_get(m, "joinSeq")));

        return 0;
    }

    return -1;
}


static emit_rc_t
block_emit(api_t *a, call_t *c, store_t *st, const access_t *x,
    const json_t *doc, json_t *other, int on, int64_t *seq)
{
    int          rc;
    char         field[sizeof(WRT_F_MEMBER) + WRT_ID_MAX], old[64], new[64];
    emit_t       e;
    json_t      *state;
    store_rc_t   src;
    const char  *user;

    user = json_string_value(json_object_get(other, "userId"));

    src = store_conversation_state(st, c->ids[0], &state);
    role_store_result(a->role, src);

    if (src != STORE_OK) {
        api_store_error(a, c, src);
        return EMIT_ANSWERED;
    }

    rc = block_values(state, user, on, old, new);
    json_decref(state);

    if (rc != 0) {
        api_not_found(c);
        return EMIT_ANSWERED;
    }

    settings_event(c, &e, doc, settings_shown(c, doc),
                   json_pack("{s:{s:s, s:s, s:b}}", "block", "userId", user,
                             "by", c->user, "on", on));

    json_object_set_new(json_object_get(e.event, "data"), "participant",
                        json_pack("{s:s, s:s?}", "userId", user, "blockedBy",
                                  on ? c->user : NULL));

    snprintf(field, sizeof(field), WRT_F_MEMBER "%s", user);
    emit_op(&e, "V", field, old);
    emit_op(&e, "S", field, new);

    return settings_emit(a, c, x, &e, seq);
}


static emit_rc_t
block_decide_to(api_t *a, call_t *c, store_t *st, const access_t *x, int on,
    int64_t *seq)
{
    json_t      *doc, *other;
    emit_rc_t    rc;
    const char  *by;

    if (conv_read(a, c, st, &doc) != 0) {
        return EMIT_ANSWERED;
    }

    rc = EMIT_ANSWERED;
    other = block_other(c, x, doc);

    if (other) {
        by = json_string_value(json_object_get(other, "blockedBy"));

        rc = (by != NULL) == on ? EMIT_EXISTS
             : block_emit(a, c, st, x, doc, other, on, seq);
    }

    json_decref(doc);

    return rc;
}


static emit_rc_t
block_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return block_decide_to(a, c, st, x, 1, seq);
}


static emit_rc_t
unblock_decide(api_t *a, call_t *c, store_t *st, const access_t *x,
    int64_t *seq)
{
    return block_decide_to(a, c, st, x, 0, seq);
}


api_rc_t
conv_block(api_t *a, call_t *c)
{
    return api_change(a, c, block_decide, settings_answer);
}


api_rc_t
conv_unblock(api_t *a, call_t *c)
{
    return api_change(a, c, unblock_decide, settings_answer);
}
