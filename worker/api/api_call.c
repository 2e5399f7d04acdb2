/*
 * api_call.c: a call: read from its entry, answered in the envelope of the
 * REST contract, freed.  Also who may see a conversation.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "worker/api/api.h"

#define CALL_CHANNEL_MAX  256
#define CALL_KNOWN_MS     (10 * 60 * 1000)
#define CALL_RETRY_S      1


static char *
call_field(const reply_t *fields, const char *name)
{
    const reply_t  *v;

    v = reply_field(fields, name);

    return mem_text(reply_text(v), reply_len(v));
}


static const char *
call_claim(const call_t *c, const char *name)
{
    const char  *s;

    s = json_string_value(json_object_get(c->identity, name));

    return s ? s : "";
}


void
call_names(call_t *c)
{
    c->name = call_claim(c, "name");
    c->avatar = call_claim(c, "avatar");
}


/* {"sub","role","name","avatar"}; nothing when nginx asks for itself. */
static void
call_identity(call_t *c, const reply_t *fields)
{
    const reply_t  *u;

    u = reply_field(fields, WRT_F_RPC_USER);

    if (reply_len(u) > 0) {
        c->identity = json_loadb(reply_text(u), reply_len(u), 0, NULL);
    }

    c->user = call_claim(c, "sub");
    c->role = call_claim(c, "role");
    call_names(c);

    if (!wrt_id_valid(c->user, strlen(c->user))) {
        c->user = "";
        return;
    }

    if (strcmp(c->role, "service") == 0) {
        c->rights = API_SERVICE;

    } else if (strcmp(c->role, "admin") == 0) {
        c->rights = API_ADMIN;
    }
}


/* An empty one.  Its id is known: one follows upon the other.  What nobody may
 * know beforehand is made of the mark. */
static call_t *
call_new(const char *entry)
{
    call_t        *c;
    unsigned char  raw[CALL_MARK_LEN / 2];

    c = mem_zero(sizeof(call_t));
    text_copy(c->entry, sizeof(c->entry), entry);
    c->start_us = mono_us();

    if (getrandom(raw, sizeof(raw), 0) != sizeof(raw)) {
        abort();
    }

    wrt_hex(raw, sizeof(raw), c->mark);

    return c;
}


call_t *
call_create(const char *entry, const reply_t *fields)
{
    call_t         *c;
    const reply_t  *id;

    id = reply_field(fields, WRT_F_RPC_ID);

    if (!wrt_id_valid(reply_text(id), reply_len(id))
        || strlen(entry) >= EVENT_ENTRY_SIZE)
    {
        return NULL;
    }

    c = call_new(entry);
    memcpy(c->id, reply_text(id), reply_len(id));

    c->channel = call_field(fields, WRT_F_RPC_REPLY);
    c->method = call_field(fields, WRT_F_RPC_METHOD);
    c->path = call_field(fields, WRT_F_RPC_PATH);
    c->query = call_field(fields, WRT_F_RPC_QUERY);
    c->body = call_field(fields, WRT_F_RPC_BODY);
    c->address = call_field(fields, WRT_F_RPC_ADDRESS);
    c->body_len = reply_len(reply_field(fields, WRT_F_RPC_BODY));
    c->deadline = reply_int(reply_field(fields, WRT_F_RPC_DEADLINE), 0);
    call_identity(c, fields);

    if (c->channel[0] == '\0' || strlen(c->channel) > CALL_CHANNEL_MAX) {
        call_free(c);
        return NULL;
    }

    return c;
}


call_t *
call_told(const char *entry, const char *id, const char *path,
    const char *body, size_t n, const char *by)
{
    call_t  *c;

    c = call_new(entry);
    text_copy(c->id, sizeof(c->id), id);

    c->told = 1;
    c->channel = mem_text("", 0);
    c->method = mem_text("POST", 4);
    c->path = mem_text(path, strlen(path));
    c->query = mem_text("", 0);
    c->body = mem_text(body, n);
    c->body_len = n;
    c->identity = json_pack("{s:s, s:s, s:s}", "sub", by, "role", "service",
                            "name", "");
    c->user = call_claim(c, "sub");
    c->role = call_claim(c, "role");
    call_names(c);
    c->rights = API_SERVICE;

    return c;
}


void
call_free(call_t *c)
{
    unsigned  i;

    if (c == NULL) {
        return;
    }

    if (c->state_free) {
        c->state_free(c->state);
    }

    for (i = 0; i < c->nparams; i++) {
        free(c->params[i].name);
        free(c->params[i].value);
    }

    json_decref(c->identity);
    buf_free(&c->out);
    free(c->channel);
    free(c->method);
    free(c->path);
    free(c->query);
    free(c->body);
    free(c->address);
    free(c->tails);
    free(c);
}


static api_rc_t
call_answer(call_t *c, int status, json_t *envelope)
{
    c->status = status;
    c->retry = 0;
    buf_clear(&c->out);
    buf_json(&c->out, envelope);
    json_decref(envelope);

    return API_DONE;
}


api_rc_t
api_ok(call_t *c, int status, const char *message, json_t *data)
{
    json_t  *o;

    o = json_object();
    json_object_set_new(o, "success", json_true());

    if (message) {
        json_object_set_new(o, "message", json_string(message));
    }

    json_object_set_new(o, "data", data ? data : json_object());

    return call_answer(c, status, o);
}


api_rc_t
api_text(call_t *c, buf_t *text)
{
    buf_free(&c->out);

    c->status = 200;
    c->retry = 0;
    c->out = *text;
    memset(text, 0, sizeof(*text));

    return API_DONE;
}


api_rc_t
api_error(call_t *c, int status, const char *code, const char *field,
    const char *message)
{
    json_t  *o, *error;

    error = json_object();
    json_object_set_new(error, "code", json_string(code));

    if (field) {
        json_object_set_new(error, "field", json_string(field));
    }

    o = json_object();
    json_object_set_new(o, "success", json_false());
    json_object_set_new(o, "message", json_string(message));
    json_object_set_new(o, "error", error);

    return call_answer(c, status, o);
}


/* Also for what the caller may not see. */
api_rc_t
api_not_found(call_t *c)
{
    return api_error(c, 404, "not_found", NULL, "not found");
}


api_rc_t
api_unavailable(call_t *c)
{
    api_error(c, 503, "unavailable", NULL,
              "temporarily unavailable, try again");
    c->retry = CALL_RETRY_S;

    return API_DONE;
}


api_rc_t
api_store_error(api_t *a, call_t *c, store_rc_t rc)
{
    switch (rc) {

    case STORE_NOT_FOUND:
        return api_not_found(c);

    case STORE_TOO_MANY:
        return api_error(c, 413, "too_large", NULL,
                         "there is too much of it, ask for less at a time");

    case STORE_DOWN:
        return api_unavailable(c);

    default:
        log_error("store_error", "call=%s %s error=\"%s\"", c->method,
                  c->path, a->role->store ? store_error(a->role->store) : "");
        return api_unavailable(c);
    }
}


store_t *
api_store(api_t *a, call_t *c)
{
    store_t  *st;

    st = role_store(a->role);

    if (st == NULL) {
        api_unavailable(c);
    }

    return st;
}


/* What is neither is no state that we know. */
static void
access_state(access_t *out, const char *state)
{
    out->archived = state == NULL || strcmp(state, WRT_STATE_ACTIVE) != 0;
    out->reopens = state && strcmp(state, WRT_STATE_REOPEN) == 0;
}


/* The same from the store, for a conversation that is not in Redis: then
 * the store has everything of it. */
static int
access_stored(api_t *a, call_t *c, const char *id, access_t *out)
{
    size_t       i, n;
    json_t      *state, *m, *v;
    store_t     *st;
    const char  *user, *role;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    rc = store_conversation_state(st, id, &state);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        api_store_error(a, c, rc);
        return -1;
    }

    out->seq = json_integer_value(json_object_get(state, "seq"));
    out->applied = out->seq;
    out->consults = json_object_get(state, "consultationId") != NULL;
    access_state(out, json_string_value(json_object_get(state, "state")));

    json_array_foreach(json_object_get(state, "members"), i, m) {
        user = json_string_value(json_object_get(m, "userId"));

        if (user && strcmp(user, c->user) == 0) {
            role = json_string_value(json_object_get(m, "role"));
            out->member = 1;
            out->tutor = role && strcmp(role, "tutor") == 0;

            json_array_foreach(json_object_get(m, "permissions"), n, v) {
                out->permissions |= body_permission(json_string_value(v));
            }
            break;
        }
    }

    json_decref(state);

    return 0;
}


/* A member's field in Redis: <permissions>|<role>|<join seq> */
static void
access_member(access_t *out, const char *s)
{
    out->member = 1;

    for ( ; *s && *s != '|'; s++) {
        out->permissions |= *s == 'r' ? BODY_READ : *s == 'w' ? BODY_WRITE
                            : *s == 'u' ? BODY_UPLOAD
                            : *s == 'd' ? BODY_DOWNLOAD : 0;
    }

    out->tutor = strncmp(s, "|tutor|", 7) == 0;
}


int
api_standing(api_t *a, call_t *c, const char *id, access_t *out)
{
    int        loaded;
    char       key[WRT_NAME_BUF], field[sizeof(WRT_F_MEMBER) + WRT_ID_MAX];
    rds_t     *shard;
    reply_t   *r;
    unsigned   k;

    memset(out, 0, sizeof(*out));

    k = wrt_shard(&a->cf->names, id, strlen(id));
    shard = api_shard(a, k);

    if (shard == NULL) {
        api_unavailable(c);
        return -1;
    }

    wrt_key_conv(key, k, id, strlen(id));
    snprintf(field, sizeof(field), "%s%s", WRT_F_MEMBER, c->user);

    r = rds_call(shard, "HMGET", key, WRT_F_SEQ, WRT_F_APPLIED, field,
                 WRT_F_MOVED, WRT_F_STATE, WRT_F_CONSULT);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(shard, reply_text(r));
        reply_free(r);
        api_unavailable(c);
        return -1;
    }

    loaded = !reply_is_nil(reply_at(r, 0));
    out->seq = reply_int(reply_at(r, 0), 0);
    out->applied = reply_int(reply_at(r, 1), -1);
    out->moved = api_wait_id(reply_text(reply_at(r, 3)));
    access_state(out, reply_text(reply_at(r, 4)));
    out->consults = !reply_is_nil(reply_at(r, 5));

    if (!reply_is_nil(reply_at(r, 2))) {
        access_member(out, reply_text(reply_at(r, 2)));
    }

    reply_free(r);

    return loaded ? 0 : access_stored(a, c, id, out);
}


int
api_access(api_t *a, call_t *c, const char *id, access_t *out)
{
    if (api_standing(a, c, id, out) != 0) {
        return -1;
    }

    /* nginx itself (no user) and those who run the place may read all */
    if (!out->member && c->rights == 0 && c->user[0]) {
        api_not_found(c);
        return -1;
    }

    return 0;
}


static uint64_t
call_hash(const char *p, size_t n)
{
    size_t    i;
    uint64_t  h;

    for (i = 0, h = 0xCBF29CE484222325ULL; i < n; i++) {
        h = (h ^ (unsigned char) p[i]) * 0x100000001B3ULL;      /* FNV-1a */
    }

    return h;
}


int
api_profile_put(api_t *a, const char *user, const buf_t *text, int managed)
{
    int        ok;
    char       key[WRT_NAME_BUF];
    rds_t     *shard;
    size_t     n;
    reply_t   *r;
    unsigned   k;

    n = strlen(user);
    k = wrt_shard(&a->cf->names, user, n);
    shard = api_shard(a, k);

    if (shard == NULL) {
        return -1;
    }

    cmd_begin(&a->cmd, "FCALL");
    cmd_text(&a->cmd, WRT_FN_PROFILE);
    cmd_num(&a->cmd, 2);
    cmd_mem(&a->cmd, key, wrt_key_profile(key, k, user, n));
    cmd_mem(&a->cmd, key, wrt_key_ingest(key, k));
    cmd_text(&a->cmd, user);
    cmd_mem(&a->cmd, text->p, text->n);
    cmd_num(&a->cmd, WRT_BACKLOG_MAX);

    if (managed) {
        cmd_text(&a->cmd, "1");
    }

    r = rds_run(shard, &a->cmd);
    ok = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);

    return ok ? 0 : -1;
}


void
api_profile(api_t *a, call_t *c)
{
    buf_t      text;
    json_t    *v;
    known_t   *known;
    uint64_t   hash;

    /* a service is nobody to talk to, and no name is none to keep */
    if (c->user[0] == '\0' || c->name[0] == '\0'
        || (c->rights & API_SERVICE))
    {
        return;
    }

    memset(&text, 0, sizeof(text));

    /* the same bytes as nginx writes: equal ones are not queued again */
    v = json_pack("{s:s, s:s?, s:s}", "name", c->name, "avatar",
                  c->avatar[0] ? c->avatar : NULL, "role", c->role);
    buf_json(&text, v);
    json_decref(v);

    hash = call_hash(text.p, text.n);
    known = &a->known[call_hash(c->user, strlen(c->user)) % API_KNOWN];

    if ((strcmp(known->user, c->user) != 0 || known->hash != hash
         || mono_ms() - known->at > CALL_KNOWN_MS)
        && api_profile_put(a, c->user, &text, 0) == 0)
    {
        text_copy(known->user, sizeof(known->user), c->user);
        known->hash = hash;
        known->at = mono_ms();
    }

    buf_free(&text);
}
