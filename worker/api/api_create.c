/*
 * api_create.c: POST /api/conversations.
 *
 * A conversation is made once, whoever asks and how often:
 *   direct        id = first 24 hex digits of SHA-256 over the two user ids,
 *                 sorted and joined by "\n"
 *   consultation  with a consultationId: the same over "consultation\n" and
 *                 that id
 *   others        the id of the call, which stays the same when another
 *                 process takes the call over; or the one a service named
 * so that making it twice is the same event, without a lock.
 */

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

/* What is kept while the call waits for the store. */
typedef struct {
    body_t   *body;
    char      id[WRT_ID_MAX + 1];
    int       existed;              /* somebody has made it before */
} create_t;


static void
create_free(void *p)
{
    create_t  *m = p;

    body_free(m->body);
    free(m);
}


/* The first 24 hex digits of SHA-256 over a "\n" b. */
static int
create_hash(char out[WRT_OID_LEN + 1], const char *a, const char *b)
{
    int             ok;
    buf_t           text;
    unsigned        len;
    unsigned char   digest[EVP_MAX_MD_SIZE];

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%s\n%s", a, b);

    ok = EVP_Digest(text.p, text.n, digest, &len, EVP_sha256(), NULL);
    buf_free(&text);

    if (ok != 1) {
        return -1;
    }

    wrt_hex(digest, WRT_OID_LEN / 2, out);

    return 0;
}


int
consult_room(char out[WRT_OID_LEN + 1], const char *consultation)
{
    return create_hash(out, "consultation", consultation);
}


static int
create_id(call_t *c, create_t *m)
{
    int            rc;
    const char    *a, *b;
    const body_t  *body;

    body = m->body;
    rc = 0;

    if (body->id) {
        text_copy(m->id, sizeof(m->id), body->id);

    } else if (strcmp(body->type, "direct") == 0) {
        a = body->people[0].user;
        b = body->people[1].user;
        rc = strcmp(a, b) < 0 ? create_hash(m->id, a, b)
                              : create_hash(m->id, b, a);

    } else if (body->consultation) {
        rc = consult_room(m->id, body->consultation);

    } else {
        text_copy(m->id, sizeof(m->id), c->id);
    }

    if (rc != 0) {
        api_unavailable(c);
    }

    return rc;
}


/* What role has somebody of whom the caller does not say it?  The one that
 * his profile has, else what the room suggests. */
static const char *
create_role(const call_t *c, const body_t *b, const json_t *user)
{
    const char  *role;

    role = json_string_value(json_object_get(user, "role"));

    if (role && strcmp(role, "tutor") == 0) {
        return "tutor";
    }

    if (role && strcmp(role, "student") == 0) {
        return "student";
    }

    return strcmp(b->type, "group") != 0 && strcmp(c->role, "student") == 0
           ? "tutor" : "student";
}


/* name, avatar and role as the store shows them later */
static json_t *
create_person(const call_t *c, const person_t *p, const json_t *user,
    int managed, const char *role)
{
    const char  *name, *avatar;

    name = json_string_value(json_object_get(user, "name"));
    avatar = json_string_value(json_object_get(user, "avatar"));

    if (strcmp(p->user, c->user) == 0 && c->name[0] && !managed) {
        /* his profile may still be on its way */
        name = c->name;
        avatar = c->avatar[0] ? c->avatar : NULL;
    }

    return json_pack("{s:s, s:s?, s:s}", "name", name ? name : "", "avatar",
                     avatar, "role", role);
}


/*
 * The participants, once for the store and once for clients (with names).
 * STORE_OK, or the store does not answer.
 */
static store_rc_t
create_people(api_t *a, const call_t *c, store_t *st, body_t *b,
    const char *at, json_t *stored, json_t *shown)
{
    int          managed;
    json_t      *user, *perms;
    person_t    *p;
    unsigned     i;
    store_rc_t   rc;

    for (i = 0; i < b->npeople; i++) {
        p = &b->people[i];
        rc = store_user(st, p->user, &user, &managed);
        role_store_result(a->role, rc);

        if (rc != STORE_OK && rc != STORE_NOT_FOUND) {
            return rc;
        }

        if (p->role == NULL) {
            p->role = create_role(c, b, user);
        }

        perms = body_permissions(p->permissions);

        json_array_append_new(stored,
            json_pack("{s:s, s:s, s:O, s:s}", "userId", p->user, "role",
                      p->role, "permissions", perms, "joinedAt", at));

        json_array_append_new(shown,
            json_pack("{s:s, s:s, s:s, s:n, s:o, s:n, s:o}", "userId",
                      p->user, "role", p->role, "joinedAt", at, "leftAt",
                      "permissions", perms, "blockedBy", "user",
                      create_person(c, p, user, managed, p->role)));

        json_decref(user);
    }

    return STORE_OK;
}


/* The document for the store. */
static json_t *
create_document(const call_t *c, const create_t *m, const char *at,
    json_t *people)
{
    body_t  *b;

    b = m->body;

    return json_pack("{s:s, s:s, s:s?, s:s?, s:O, s:O, s:s, s:s, s:O?}",
                     "id", m->id, "type", b->type, "title", b->title,
                     "consultationId", b->consultation, "participants",
                     people, "settings", b->settings, "createdBy", c->user,
                     "createdAt", at, "context", b->context);
}


/* The event for its members, in the shape that GET has. */
static json_t *
create_event(const call_t *c, const create_t *m, const char *at,
    json_t *people)
{
    body_t  *b;
    json_t  *doc, *meta;

    b = m->body;

    meta = json_pack("{s:n, s:i, s:b, s:n, s:s}", "lastMessageAt",
                     "messageCount", 0, "isArchived", 0, "archivedAt",
                     "createdBy", c->user);

    doc = json_pack("{s:s, s:s, s:s?, s:s?, s:n, s:s?, s:O, s:O, s:O?, s:o,"
                    " s:n, s:b, s:i, s:i, s:s, s:s}",
                    "id", m->id, "type", b->type,
                    "consultationId", b->consultation,
                    "consultationStatus",
                    b->consultation ? "confirmed" : NULL, "sessionId",
                    "title", b->title,
                    "participants", people, "settings", b->settings,
                    "context", b->context, "metadata", meta, "lastMessage",
                    "isArchived", 0, "seq", 0, "unreadCount", 0,
                    "createdAt", at, "updatedAt", at);

    return json_pack("{s:s, s:{s:s, s:i, s:o}}", "event",
                     "conversation_created", "data", "conversationId", m->id,
                     "seq", 0, "conversation", doc);
}


/* FCALL wrt_create.  Sets m->existed.  0, or -1: answered. */
static int
create_call(api_t *a, call_t *c, rds_t *shard, unsigned k, create_t *m,
    const char *at, json_t *stored, json_t *shown)
{
    int          i;
    char         key[WRT_NAME_BUF], letters[5];
    buf_t        text;
    json_t      *v;
    cmd_t       *cmd;
    body_t      *b;
    reply_t     *r;
    unsigned     n;
    const char  *rc;

    b = m->body;
    cmd = &a->cmd;
    memset(&text, 0, sizeof(text));

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_CREATE);
    cmd_num(cmd, 2);
    cmd_mem(cmd, key, wrt_key_conv(key, k, m->id, strlen(m->id)));
    cmd_mem(cmd, key, wrt_key_ingest(key, k));
    cmd_text(cmd, m->id);
    cmd_text(cmd, c->user);
    cmd_text(cmd, at);

    for (i = 0; i < 2; i++) {
        v = i == 0 ? create_document(c, m, at, stored)
                   : create_event(c, m, at, shown);
        buf_clear(&text);
        buf_json(&text, v);
        json_decref(v);
        cmd_mem(cmd, text.p, text.n);
    }

    cmd_num(cmd, WRT_BACKLOG_MAX);

    for (n = 0; n < b->npeople; n++) {
        buf_clear(&text);
        buf_fmt(&text, WRT_F_MEMBER "%s", b->people[n].user);
        cmd_mem(cmd, text.p, text.n);

        buf_clear(&text);
        body_letters(letters, b->people[n].permissions);
        buf_fmt(&text, "%s|%s|0", letters, b->people[n].role);
        cmd_mem(cmd, text.p, text.n);
    }

    if (b->consultation) {
        cmd_text(cmd, WRT_F_CONSULT);
        cmd_text(cmd, b->consultation);
    }

    buf_free(&text);

    r = rds_run(shard, cmd);

    if (reply_is_error(r)) {
        rds_fail(shard, reply_text(r));
    }

    rc = reply_text(reply_at(r, 0));
    i = strcmp(rc, "ok") == 0 ? 0 : strcmp(rc, "exists") == 0 ? 1 : -1;
    reply_free(r);

    if (i < 0) {
        api_unavailable(c);
        return -1;
    }

    /* the call's own id: it was us, before we were killed */
    m->existed = i == 1 && strcmp(m->id, c->id) != 0;

    return 0;
}


/* Have it in Redis: made by an earlier call, or by us now.  0, -1. */
static int
create_make(api_t *a, call_t *c, create_t *m)
{
    int          rc;
    char         at[WRT_TIME_LEN + 1];
    rds_t       *shard;
    json_t      *stored, *shown;
    store_t     *st;
    unsigned     k;
    store_rc_t   src;

    k = wrt_shard(&a->cf->names, m->id, strlen(m->id));
    shard = api_shard(a, k);

    if (shard == NULL) {
        api_unavailable(c);
        return -1;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    /* Redis forgets rooms that are idle; the store does not */
    src = load_conversation(st, shard, a->cf, m->id);

    if (src == STORE_REJECTED) {
        api_unavailable(c);
        return -1;
    }

    role_store_result(a->role, src);

    if (src == STORE_OK) {
        m->existed = strcmp(m->id, c->id) != 0;
        return 0;
    }

    if (src != STORE_NOT_FOUND) {
        api_store_error(a, c, src);
        return -1;
    }

    wrt_time_format(now_ms(), at);
    stored = json_array();
    shown = json_array();

    src = create_people(a, c, st, m->body, at, stored, shown);

    if (src == STORE_OK) {
        rc = create_call(a, c, shard, k, m, at, stored, shown);

    } else {
        api_store_error(a, c, src);
        rc = -1;
    }

    json_decref(stored);
    json_decref(shown);

    return rc;
}


/* Is the room that exists the one that was asked for? */
static int
create_same(const call_t *c, const create_t *m, const json_t *doc)
{
    int          caller;
    size_t       i;
    json_t      *people, *p;
    unsigned     n, found;
    const char  *type, *user;

    type = json_string_value(json_object_get(doc, "type"));
    people = json_object_get(doc, "participants");

    if (type == NULL || strcmp(type, m->body->type) != 0) {
        return 0;
    }

    /* a consultation's members may have changed since, the number is what names
     * it; but they were the same once */
    if (m->body->consultation) {
        for (n = 0; n < m->body->npeople; n++) {
            if (!member_known(doc, m->body->people[n].user)) {
                return 0;
            }
        }
    }

    caller = c->rights != 0;
    found = 0;

    json_array_foreach(people, i, p) {
        user = json_string_value(json_object_get(p, "userId"));

        if (user == NULL || json_is_string(json_object_get(p, "leftAt"))) {
            continue;
        }

        caller |= strcmp(user, c->user) == 0;

        for (n = 0; n < m->body->npeople; n++) {
            if (strcmp(user, m->body->people[n].user) == 0) {
                found++;
                break;
            }
        }
    }

    return caller && (m->body->consultation || found == m->body->npeople);
}


static api_rc_t
create_answer(api_t *a, call_t *c, const create_t *m)
{
    json_t      *doc;
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_conversation(st, m->id, c->user, &doc);
    role_store_result(a->role, rc);

    if (rc == STORE_NOT_FOUND) {
        log_error("create_lost", "conversation=%s (see the dead letters)",
                  m->id);
        return api_unavailable(c);
    }

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    if (m->existed && !create_same(c, m, doc)) {
        json_decref(doc);
        return api_error(c, 409, "conflict", m->body->id ? "id" : NULL,
                         "there is another conversation in this place");
    }

    return conv_answer(a, c, m->existed ? 200 : 201,
                       m->existed ? "Conversation already exists"
                                  : "Conversation created successfully", doc);
}


int
conv_existed(const call_t *c)
{
    const create_t  *m = c->state;

    return m->existed;
}


api_rc_t
conv_create(api_t *a, call_t *c)
{
    create_t  *m;

    if (c->step > 0) {
        return create_answer(a, c, c->state);
    }

    m = mem_zero(sizeof(create_t));
    m->body = mem_zero(sizeof(body_t));

    c->state = m;
    c->state_free = create_free;

    if (body_parse(c, m->body) != 0 || create_id(c, m) != 0
        || create_make(a, c, m) != 0)
    {
        return API_DONE;
    }

    /* -1 in Redis until the store has it */
    if (api_wait_conv(c, m->id, 0, -1)) {
        return API_WAIT;
    }

    return create_answer(a, c, m);
}
