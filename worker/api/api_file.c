/*
 * api_file.c: what is known of a file, who may have it, and where it is.
 *
 *   FILE                      nginx asks, before it sends the bytes
 *   GET /api/files/:id        the record (File of docs/api/openapi.yaml)
 *   PATCH /api/files/:id      {isPublic}
 *   POST /api/files/:id/link  an address that opens it for 15 minutes
 *   GET /api/files            what scanning has found
 *
 * A file is found by its id in the store.  One that was sent a moment ago may
 * not be there yet: Redis knows the number of its message then, and the call
 * waits for that (everybody reads what an answer 201 promised).  Before there
 * is a message it waits for who uploads only: for others there is no file.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api/api_file.h"
#include "worker/files/file_link.h"

/* A file that the caller may know of, and the room it is in. */
typedef struct {
    json_t       *record;           /* store_file() */
    json_t       *security;         /* in it, as the next one */
    const char   *conversation;
    seen_t        seen;
    access_t      access;
} file_t;

static const char *const  file_findings[] = { "infected", "error", NULL };


/* -- finding it -- */

/* What Redis says of the upload that it came with. */
typedef struct {
    char     conversation[WRT_ID_MAX + 1];  /* "": it says nothing */
    int64_t  seq;                   /* of its message, 0: not sent */
    int      own;                   /* the caller's */
    int      busy;                  /* it is under way */
} upload_t;


static void
file_upload_of(const call_t *c, const reply_t *r, upload_t *u)
{
    json_t         *shown;
    const char     *s;
    const reply_t  *text;

    u->own = c->user[0] && strcmp(reply_text(reply_at(r, 0)), c->user) == 0;
    text = reply_at(r, 1);
    u->seq = reply_int(reply_at(r, 2), 0);

    shown = json_loadb(reply_text(text), reply_len(text), 0, NULL);
    s = json_string_value(json_object_get(shown, "conversationId"));

    if (s && wrt_id_valid(s, strlen(s))) {
        text_copy(u->conversation, sizeof(u->conversation), s);
    }

    s = json_string_value(json_object_get(shown, "status"));
    u->busy = s && strcmp(s, "processing") == 0;

    json_decref(shown);
}


/* 0, or -1: answered. */
static int
file_upload(api_t *a, call_t *c, const char *id, upload_t *u)
{
    char      key[WRT_NAME_BUF];
    rds_t    *hub;
    reply_t  *r;

    memset(u, 0, sizeof(*u));
    hub = api_redis(a, 0);

    if (hub == NULL) {
        api_unavailable(c);
        return -1;
    }

    wrt_key_upload(key, id, strlen(id));
    r = rds_call(hub, "HMGET", key, WRT_F_UP_OWNER, WRT_F_UP_SHOWN,
                 WRT_F_UP_SEQ);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        api_unavailable(c);
        return -1;
    }

    file_upload_of(c, r, u);
    reply_free(r);

    return 0;
}


/* Until the store has what an answer has promised, or an event: those who have
 * the message on screen before its upload has ended may ask for the file at
 * once.  1: wait, 0, -1: answered. */
static int
file_wait(api_t *a, call_t *c, const upload_t *u)
{
    access_t  x;

    if (c->step > 0 || u->conversation[0] == '\0'
        || (u->seq == 0 && !u->own && !u->busy))
    {
        return 0;
    }

    if (api_access(a, c, u->conversation, &x) != 0) {
        return -1;
    }

    return u->seq > 0 ? x.applied < u->seq
                        && api_wait_conv(c, u->conversation, u->seq,
                                         x.applied)
                      : api_wait_shard(a, c, u->conversation);
}


/* What the record says, as far as permissions go. */
static int
file_state(api_t *a, call_t *c, file_t *f)
{
    const char  *s;

    f->security = json_object_get(f->record, "security");
    f->conversation = json_string_value(json_object_get(f->record,
                                                        "conversationId"));

    if (f->conversation == NULL
        || json_is_string(json_object_get(f->record, "deletedAt")))
    {
        api_not_found(c);
        return -1;
    }

    s = json_string_value(json_object_get(f->security, "scanStatus"));
    f->seen.status = s ? s : "";
    s = json_string_value(json_object_get(f->record, "uploadedBy"));
    f->seen.own = s && strcmp(s, c->user) == 0;
    f->seen.told = json_is_string(json_object_get(f->record, "messageId"));

    return api_access(a, c, f->conversation, &f->access);
}


static void
file_free(file_t *f)
{
    json_decref(f->record);
    f->record = NULL;
}


/* The file, not deleted, in a room that the caller sees; file_free() it.  0,
 * 1: wait and call again, -1: answered. */
static int
file_find(api_t *a, call_t *c, const char *id, file_t *f)
{
    int          rc;
    store_t     *st;
    upload_t     u;
    store_rc_t   src;

    memset(f, 0, sizeof(*f));
    rc = file_upload(a, c, id, &u);

    if (rc == 0) {
        rc = file_wait(a, c, &u);
    }

    if (rc != 0) {
        return rc;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return -1;
    }

    src = store_file(st, id, &f->record);
    role_store_result(a->role, src);

    if (src == STORE_NOT_FOUND && u.own && u.busy) {
        /* nothing is known of it yet but that it comes */
        may_file_pending(c);
        return -1;
    }

    if (src != STORE_OK) {
        f->record = NULL;
        api_store_error(a, c, src);
        return -1;
    }

    rc = file_state(a, c, f);

    if (rc != 0) {
        file_free(f);
    }

    return rc;
}


/* -- links -- */

/* The key of all links, made by whoever needs it first.  0, or -1: answered. */
static int
file_link_secret(api_t *a, call_t *c, char key[FILE_LINK_KEY + 1])
{
    char      fresh[FILE_LINK_KEY + 1];
    rds_t    *hub;
    reply_t  *r;

    hub = api_redis(a, 0);
    r = NULL;

    if (hub) {
        r = rds_call(hub, "HGET", WRT_KEY_CONFIG, WRT_F_LINKS);

        if (reply_is_nil(r) && rds_alive(hub) && file_link_key(fresh) == 0) {
            reply_free(r);
            reply_free(rds_call(hub, "HSETNX", WRT_KEY_CONFIG, WRT_F_LINKS,
                                fresh));
            r = rds_alive(hub) ? rds_call(hub, "HGET", WRT_KEY_CONFIG,
                                          WRT_F_LINKS) : NULL;
        }
    }

    text_copy(key, FILE_LINK_KEY + 1, reply_text(r));
    reply_free(r);

    if (key[0] == '\0') {
        api_unavailable(c);
        return -1;
    }

    return 0;
}


/* Who asks without a token has a link: it says who he is.  0, or -1:
 * answered. */
static int
file_by_link(api_t *a, call_t *c, const char *id)
{
    char             key[FILE_LINK_KEY + 1];
    const char      *user, *expires, *sign;
    file_link_rc_t   rc;

    user = expires = sign = NULL;

    if ((c->nparams == 0 && api_params(c) != 0)
        || api_param_id(c, "u", &user) != 0
        || api_param_text(c, "e", FILE_LINK_SIZE, &expires) != 0
        || api_param_text(c, "s", FILE_LINK_SIZE, &sign) != 0
        || file_link_secret(a, c, key) != 0)
    {
        return -1;
    }

    rc = file_link_check(key, id, user, expires, sign, now_ms() / 1000);

    if (rc == FILE_LINK_BAD) {
        api_error(c, 401, "unauthorized", NULL,
                  "the link is not valid, or its time is over");
        return -1;
    }

    c->user = user;
    c->rights = rc == FILE_LINK_STAFF ? API_SERVICE : 0;

    return 0;
}


/* A path of the file with the query of the link. */
static json_t *
file_link_path(const file_t *f, const char *size, const char *query)
{
    const char  *id;

    id = json_string_value(json_object_get(f->record, "id"));

    return size ? json_sprintf("/api/files/%s/thumbnails/%s?%s", id, size,
                               query)
                : json_sprintf("/api/files/%s/download?%s", id, query);
}


static api_rc_t
file_link_answer(call_t *c, const file_t *f, const char *key)
{
    char         query[FILE_LINK_SIZE], at[WRT_TIME_LEN + 1];
    size_t       i;
    json_t      *data, *thumbs, *t;
    int64_t      expires;
    const char  *size;

    expires = now_ms() / 1000 + WRT_LINK_S;

    if (file_link_make(key, c->ids[0], c->user, expires,
                       !f->access.member && c->rights, query) != 0)
    {
        return api_unavailable(c);
    }

    wrt_time_format(expires * 1000, at);
    data = json_pack("{s:o, s:s}", "url", file_link_path(f, NULL, query),
                     "expiresAt", at);
    thumbs = json_object();

    json_array_foreach(json_object_get(f->record, "thumbnails"), i, t) {
        size = json_string_value(json_object_get(t, "size"));

        if (size) {
            json_object_set_new(thumbs, size, file_link_path(f, size, query));
        }
    }

    if (json_object_size(thumbs) > 0) {
        json_object_set(data, "thumbnails", thumbs);
    }

    json_decref(thumbs);

    return api_ok(c, 200, NULL, data);
}


api_rc_t
file_link(api_t *a, call_t *c)
{
    int     rc;
    char    key[FILE_LINK_KEY + 1];
    file_t  f;

    rc = file_find(a, c, c->ids[0], &f);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    if (may_get_file(c, &f.access, &f.seen) == 0
        && file_link_secret(a, c, key) == 0)
    {
        (void) file_link_answer(c, &f, key);
    }

    file_free(&f);

    return API_DONE;
}


/* -- where it is -- */

/* Queue a change of a record (taken over) for the store.  0, -1: not now. */
static int
file_record(api_t *a, const call_t *c, const char *conversation, json_t *o)
{
    int        ok;
    char       key[WRT_NAME_BUF];
    buf_t      text;
    rds_t     *shard;
    reply_t   *r;
    unsigned   k;

    k = wrt_shard(&a->cf->names, conversation, strlen(conversation));
    shard = api_shard(a, k);

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c 0 %s -\n", WRT_EV_FILE, c->user);
    buf_json(&text, o);
    json_decref(o);

    r = NULL;

    if (shard) {
        cmd_begin(&a->cmd, "FCALL");
        cmd_text(&a->cmd, WRT_FN_RECORD);
        cmd_num(&a->cmd, 1);
        cmd_mem(&a->cmd, key, wrt_key_ingest(key, k));
        cmd_text(&a->cmd, conversation);
        cmd_mem(&a->cmd, text.p, text.n);
        cmd_text(&a->cmd, "");
        cmd_num(&a->cmd, WRT_BACKLOG_MAX);
        r = rds_run(shard, &a->cmd);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(shard, reply_text(r));
        }
    }

    ok = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);
    buf_free(&text);

    return ok ? 0 : -1;
}


/* That it was downloaded, for the store.  Who only counts may not keep anybody
 * from his file: a failure is not told. */
static void
file_accessed(api_t *a, const call_t *c, const file_t *f)
{
    char     at[WRT_TIME_LEN + 1];
    json_t  *o;

    wrt_time_format(now_ms(), at);
    o = json_pack("{s:s, s:s, s:s}", "op", "accessed", "fileId", c->ids[0],
                  "at", at);

    (void) file_record(a, c, f->conversation, o);
}


/* Of what is found infected after all, the bytes go when its record has been
 * queued (files_found.c), so the store may have called it clean for the last
 * time.  The record is read once more when the store has what was queued. */
static api_rc_t
file_again(api_t *a, call_t *c, const file_t *f)
{
    if (api_wait_shard(a, c, f->conversation) < 0) {
        return API_DONE;
    }

    c->state = mem_zero(1);         /* the next time it is missing */
    c->state_free = free;

    return API_WAIT;
}


/* FILE's answer about one of the file's blobs; takes `data` with what is
 * known of it. */
static api_rc_t
file_answer(api_t *a, call_t *c, const file_t *f, const char *key,
    json_t *data)
{
    blob_t       *b;
    blob_rc_t     rc;
    blob_ask_t    ask;
    blob_link_t   link;

    /* what nginx says of the bytes is in our answer, not in the address */
    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    ask.seconds = API_BLOB_LINK_S;

    b = api_blob(a);
    rc = b ? blob_link(b, &ask, &link) : BLOB_DOWN;

    if (rc == BLOB_OK) {
        json_object_set_new(data, "tail", json_string(link.tail));
        return api_ok(c, 200, NULL, data);
    }

    json_decref(data);

    if (rc == BLOB_NOT_FOUND && c->state == NULL) {
        return file_again(a, c, f);
    }

    if (rc == BLOB_NOT_FOUND) {
        log_error("blob_missing", "file=%s key=%s", c->ids[0], key);
        return api_not_found(c);
    }

    log_error("blob_link", "file=%s error=\"%s\"", c->ids[0],
              b ? blob_error(b) : "no memory");

    return api_unavailable(c);
}


static api_rc_t
file_original(api_t *a, call_t *c, const file_t *f)
{
    buf_t        says;
    json_t      *data;
    const char  *key, *name, *hash;

    key = json_string_value(json_object_get(json_object_get(f->record,
                                                            "storage"),
                                            "key"));
    hash = json_string_value(json_object_get(f->record, "fileHash"));
    name = json_string_value(json_object_get(f->record, "fileName"));

    if (key == NULL || hash == NULL || name == NULL) {
        return api_not_found(c);
    }

    memset(&says, 0, sizeof(says));
    disposition_add(&says, "attachment", name);

    data = json_pack("{s:s, s:s, s:s, s:s, s:O}",
                     "contentType", "application/octet-stream",
                     "disposition", says.p, "etag", hash,
                     "scanStatus", f->seen.status,
                     "size", json_object_get(f->record, "fileSize"));
    buf_free(&says);

    return file_answer(a, c, f, key, data);
}


static api_rc_t
file_thumbnail(api_t *a, call_t *c, const file_t *f, const char *size)
{
    size_t       i;
    json_t      *t, *data;
    const char  *s, *key, *type;

    json_array_foreach(json_object_get(f->record, "thumbnails"), i, t) {
        s = json_string_value(json_object_get(t, "size"));
        key = json_string_value(json_object_get(t, "key"));
        type = json_string_value(json_object_get(t, "mimeType"));

        if (s && key && type && strcmp(s, size) == 0) {
            data = json_pack("{s:s, s:s, s:s, s:s, s:O}",
                             "contentType", type, "disposition", "inline",
                             "etag", key, "scanStatus", f->seen.status,
                             "size", json_object_get(t, "fileSize"));
            return file_answer(a, c, f, key, data);
        }
    }

    return api_not_found(c);
}


api_rc_t
internal_file(api_t *a, call_t *c)
{
    int       rc;
    file_t    f;
    api_rc_t  done;

    if (c->identity == NULL && file_by_link(a, c, c->ids[0]) != 0) {
        return API_DONE;
    }

    rc = c->user[0] ? file_find(a, c, c->ids[0], &f) : -1;

    if (rc != 0) {
        if (c->user[0] == '\0') {
            api_not_found(c);
        }

        return rc < 0 ? API_DONE : API_WAIT;
    }

    done = API_DONE;

    if (may_get_file(c, &f.access, &f.seen) == 0) {

        if (strcmp(c->ids[1], "original") == 0) {
            done = file_original(a, c, &f);
        } else {
            done = file_thumbnail(a, c, &f, c->ids[1]);
        }

        if (c->status == 200 && strncmp(c->query, "first&", 6) == 0) {
            file_accessed(a, c, &f);
        }
    }

    file_free(&f);

    return done;
}


/* -- the record -- */

api_rc_t
file_get(api_t *a, call_t *c)
{
    int     rc;
    file_t  f;

    rc = file_find(a, c, c->ids[0], &f);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    if (may_see_file(c, &f.access, &f.seen) == 0) {
        (void) api_ok(c, 200, NULL, json_pack("{s:o}", "file",
                                              file_doc(a, f.record)));
    }

    file_free(&f);

    return API_DONE;
}


/* isPublic of the body; -1: answered. */
static int
file_wish(call_t *c)
{
    int              public;
    json_t          *v;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    public = -1;

    if (wrt_envelope_parse_body(&e, c->body, c->body_len, &why) != 0) {
        body_refused(c, &why);

    } else {
        v = json_object_get(e.data, "isPublic");

        if (json_is_boolean(v)) {
            public = json_is_true(v);

        } else {
            api_error(c, 400, "invalid_request", "isPublic",
                      "isPublic must be true or false");
        }
    }

    wrt_envelope_free(&e);

    return public;
}


/* 1: queued and to be waited for; 0: it is so already; -1: answered. */
static int
file_publish(api_t *a, call_t *c, const file_t *f)
{
    int      public, rc;
    char     at[WRT_TIME_LEN + 1];
    json_t  *o;

    if (may_share_file(c, &f->access, &f->seen) != 0) {
        return -1;
    }

    public = file_wish(c);

    if (public < 0
        || public == json_is_true(json_object_get(f->record, "isPublic")))
    {
        return public < 0 ? -1 : 0;
    }

    wrt_time_format(now_ms(), at);
    o = json_pack("{s:s, s:s, s:b, s:s}", "op", "public", "fileId",
                  c->ids[0], "isPublic", public, "at", at);

    if (file_record(a, c, f->conversation, o) != 0) {
        api_unavailable(c);
        return -1;
    }

    /* what is there is ours, or came after it */
    rc = api_wait_shard(a, c, f->conversation);

    return rc < 0 ? -1 : 1;
}


api_rc_t
file_update(api_t *a, call_t *c)
{
    int     rc;
    file_t  f;

    rc = file_find(a, c, c->ids[0], &f);

    if (rc != 0) {
        return rc < 0 ? API_DONE : API_WAIT;
    }

    rc = c->state ? 0 : file_publish(a, c, &f);

    if (rc > 0) {
        c->state = mem_zero(1);     /* it was said */
        c->state_free = free;

    } else if (rc == 0) {
        (void) api_ok(c, 200, "File updated successfully",
                      json_pack("{s:o}", "file", file_doc(a, f.record)));
    }

    file_free(&f);

    return rc > 0 ? API_WAIT : API_DONE;
}


/* -- findings -- */

api_rc_t
file_list(api_t *a, call_t *c)
{
    size_t          i;
    json_t         *list, *files, *v;
    int64_t         page, limit, total;
    store_t        *st;
    store_rc_t      rc;
    store_files_t   q;

    memset(&q, 0, sizeof(q));
    q.scan_status = file_findings[0];
    page = 1;
    limit = WRT_PAGE_FILES;

    if (may_list_findings(c) != 0
        || api_param_one_of(c, "scanStatus", file_findings,
                            "infected or error", &q.scan_status) != 0
        || api_param_int(c, "page", 1, INT32_MAX, &page) != 0
        || api_param_int(c, "limit", 1, WRT_PAGE_FILES_MAX, &limit) != 0)
    {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    q.page = (int) page;
    q.limit = (int) limit;

    rc = store_files(st, &q, &list, &total);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    files = json_array();

    json_array_foreach(list, i, v) {
        json_array_append_new(files, file_doc(a, v));
    }

    json_decref(list);

    return api_ok(c, 200, NULL,
                  json_pack("{s:o, s:{s:I, s:I, s:I, s:I}}", "files", files,
                            "pagination", "page", (json_int_t) page,
                            "limit", (json_int_t) limit,
                            "total", (json_int_t) total,
                            "totalPages",
                            (json_int_t) ((total + limit - 1) / limit)));
}
