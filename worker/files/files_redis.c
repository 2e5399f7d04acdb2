/*
 * files_redis.c: what the files role says to Redis (see files.h).
 */

#include <stdlib.h>
#include <string.h>

#include "common/wrt_envelope.h"
#include "worker/files/files.h"

/* Stands for the clientMessageId of an upload that has none. */
#define FILES_ONCE  "upload:"

#define FILES_SENT  201             /* status: it is a message now */


rds_t *
files_hub(files_t *f)
{
    return link_up(&f->links[0]) == 0 ? f->links[0].c : NULL;
}


static rds_t *
files_shard(files_t *f, const char *conversation)
{
    unsigned  k;

    k = wrt_shard(&f->cf->names, conversation, strlen(conversation));
    k = conf_server(f->cf, k);

    return link_up(&f->links[k]) == 0 ? f->links[k].c : NULL;
}


/* Run a command that is ready; NULL when it failed (the connection is closed
 * then, so that the next try begins anew). */
static reply_t *
files_call(files_t *f, rds_t *c)
{
    reply_t  *r;

    r = c ? rds_run(c, &f->cmd) : NULL;

    if (c && (r == NULL || reply_is_error(r))) {
        rds_fail(c, reply_text(r));
        reply_free(r);
        return NULL;
    }

    return r;
}


int
files_known(files_t *f, job_t *j, buf_t *answer)
{
    char            key[WRT_NAME_BUF];
    rds_t          *hub;
    reply_t        *r;
    const reply_t  *v;

    hub = files_hub(f);
    wrt_key_upload(key, j->id, strlen(j->id));

    cmd_begin(&f->cmd, "HMGET");
    cmd_text(&f->cmd, key);
    cmd_text(&f->cmd, WRT_F_UP_ANSWER);
    cmd_text(&f->cmd, WRT_F_UP_TRIES);
    cmd_text(&f->cmd, WRT_F_UP_SHOWN);
    cmd_text(&f->cmd, WRT_F_UP_SEQ);

    r = files_call(f, hub);
    if (r == NULL) {
        return -1;
    }

    v = reply_at(r, 0);

    if (!reply_is_nil(v)) {
        buf_add(answer, reply_text(v), reply_len(v));
    }

    j->tries = reply_int(reply_at(r, 1), 0);
    j->seq = reply_int(reply_at(r, 3), 0);

    v = reply_at(r, 2);
    j->shown = json_loadb(reply_text(v), reply_len(v), 0, NULL);
    j->again = j->shown != NULL;

    reply_free(r);

    return 0;
}


int
files_try(files_t *f, const char *id, int by)
{
    char      key[WRT_NAME_BUF], ttl[24];
    rds_t    *hub;
    reply_t  *r;

    hub = files_hub(f);
    if (hub == NULL) {
        return -1;
    }

    wrt_key_upload(key, id, strlen(id));
    snprintf(ttl, sizeof(ttl), "%d", WRT_UPLOAD_S);

    r = rds_call(hub, "HINCRBY", key, WRT_F_UP_TRIES, by > 0 ? "1" : "-1");

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return -1;
    }

    reply_free(r);
    reply_free(rds_call(hub, "EXPIRE", key, ttl));

    return 0;
}


/* To all devices of the uploader, and nobody else. */
static void
files_tell(files_t *f, const job_t *j)
{
    char     name[WRT_NAME_BUF];
    buf_t    text;
    json_t  *data, *event;

    static const char *const  keys[] = {
        "conversationId", "stage", "progress", "fileName", "fileId",
        "messageId", "error", NULL
    };

    unsigned  i;

    data = json_object();
    json_object_set_new(data, "uploadId", json_string(j->id));

    for (i = 0; keys[i]; i++) {
        json_object_set(data, keys[i], json_object_get(j->shown, keys[i]));
    }

    event = json_pack("{s:s, s:o}", "event", "upload_progress", "data", data);

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c - - -\n", WRT_UEV_EVENT);
    buf_json(&text, event);
    json_decref(event);

    cmd_begin(&f->cmd, "PUBLISH");
    cmd_mem(&f->cmd, name, wrt_chan_user(name, &f->cf->names, j->user,
                                         strlen(j->user)));
    cmd_mem(&f->cmd, text.p, text.n);
    reply_free(files_call(f, files_hub(f)));

    buf_free(&text);
}


static void
files_show(job_t *j, const char *stage, int progress, const char *code,
    const char *message)
{
    char         now[WRT_TIME_LEN + 1];
    json_t      *o;
    const char  *status;

    wrt_time_format(now_ms(), now);

    if (j->shown == NULL) {
        j->shown = json_pack("{s:s, s:s, s:n, s:n, s:n, s:s}",
                             "id", j->id, "conversationId", j->conversation,
                             "fileName", "fileId", "messageId",
                             "createdAt", now);
    }

    o = j->shown;
    status = code ? "failed" : progress == 100 ? "completed" : "processing";

    json_object_set_new(o, "status", json_string(status));
    json_object_set_new(o, "stage", json_string(stage));
    json_object_set_new(o, "progress", json_integer(progress));
    json_object_set_new(o, "updatedAt", json_string(now));

    if (j->form.name[0]) {
        json_object_set_new(o, "fileName", json_string(j->form.name));
        /* none: it was deleted since */
        json_object_set_new(o, "fileId", j->file[0] ? json_string(j->file)
                                                    : json_null());
    }

    if (j->seq > 0) {
        json_object_set_new(o, "messageId", json_string(j->message));
    }

    json_object_set_new(o, "error", code == NULL ? json_null()
                        : json_pack("{s:s, s:s}", "code", code, "message",
                                    message));
}


/* answer NULL: it goes on. */
static int
files_keep(files_t *f, const job_t *j, const buf_t *answer)
{
    char      key[WRT_NAME_BUF], ttl[24];
    buf_t     shown;
    rds_t    *hub;
    reply_t  *r;

    memset(&shown, 0, sizeof(shown));
    buf_json(&shown, j->shown);

    hub = files_hub(f);
    wrt_key_upload(key, j->id, strlen(j->id));

    cmd_begin(&f->cmd, "HSET");
    cmd_text(&f->cmd, key);
    cmd_text(&f->cmd, WRT_F_UP_OWNER);
    cmd_text(&f->cmd, j->user);
    cmd_text(&f->cmd, WRT_F_UP_SHOWN);
    cmd_mem(&f->cmd, shown.p, shown.n);

    if (j->seq > 0) {
        cmd_text(&f->cmd, WRT_F_UP_SEQ);
        cmd_num(&f->cmd, j->seq);
    }

    if (answer) {
        cmd_text(&f->cmd, WRT_F_UP_ANSWER);
        cmd_mem(&f->cmd, answer->p, answer->n);
    }

    r = files_call(f, hub);
    buf_free(&shown);

    if (r == NULL) {
        return -1;
    }

    reply_free(r);

    snprintf(ttl, sizeof(ttl), "%d", WRT_UPLOAD_S);
    reply_free(rds_call(hub, "EXPIRE", key, ttl));

    return 0;
}


int
files_progress(const job_t *j)
{
    return (int) json_integer_value(json_object_get(j->shown, "progress"));
}


int
files_stage(files_t *f, job_t *j, const char *stage, int progress)
{
    /* a try that begins again does not go back before somebody's eyes */
    if (files_progress(j) >= progress) {
        return 0;
    }

    files_show(j, stage, progress, NULL, NULL);

    if (files_keep(f, j, NULL) != 0) {
        return -1;
    }

    files_tell(f, j);

    return 0;
}


/* Queue one for the store; o is taken over. */
static int
files_record_event(files_t *f, const char *conversation, const char *actor,
    json_t *o)
{
    int        rc;
    char       key[WRT_NAME_BUF];
    buf_t      text;
    reply_t   *r;
    unsigned   k;

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c 0 %s -\n", WRT_EV_FILE, actor);
    buf_json(&text, o);
    json_decref(o);

    k = wrt_shard(&f->cf->names, conversation, strlen(conversation));

    cmd_begin(&f->cmd, "FCALL");
    cmd_text(&f->cmd, WRT_FN_RECORD);
    cmd_num(&f->cmd, 1);
    cmd_mem(&f->cmd, key, wrt_key_ingest(key, k));
    cmd_text(&f->cmd, conversation);
    cmd_mem(&f->cmd, text.p, text.n);
    cmd_text(&f->cmd, "");
    cmd_num(&f->cmd, WRT_BACKLOG_MAX);

    r = files_call(f, files_shard(f, conversation));
    rc = r && strcmp(reply_text(reply_at(r, 0)), "ok") == 0 ? 0 : -1;

    reply_free(r);
    buf_free(&text);

    return rc;
}


/* Whichever record of the upload there may be. */
static int
files_give_up(files_t *f, const job_t *j)
{
    char     at[WRT_TIME_LEN + 1];
    json_t  *o;

    wrt_time_format(now_ms(), at);
    o = json_pack("{s:s, s:s, s:s}", "op", "given_up", "fileId", j->id, "at",
                  at);

    return files_record_event(f, j->conversation, j->user, o);
}


int
files_answer(files_t *f, const job_t *j, const buf_t *answer)
{
    int       rc;
    buf_t     text;
    reply_t  *r;

    if (atoi(answer->p) != FILES_SENT && (j->recorded || j->again)
        && files_give_up(f, j) != 0)
    {
        return -1;
    }

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c %s ", WRT_BUS_REPLY, j->id);
    buf_add(&text, answer->p, answer->n);

    cmd_begin(&f->cmd, "PUBLISH");
    cmd_text(&f->cmd, j->channel);
    cmd_mem(&f->cmd, text.p, text.n);
    r = files_call(f, files_hub(f));

    rc = r ? 0 : -1;
    reply_free(r);
    buf_free(&text);

    return rc;
}


int
files_end(files_t *f, job_t *j, int status, const char *code,
    const char *field, const char *message, json_t *data)
{
    int      rc, failed;
    buf_t    answer;
    json_t  *o;

    failed = code != NULL;

    if (status == FILES_SENT
        && notifier_note_file(files_hub(f), &f->cmd, f->cf, j->conversation,
                              j->user, j->file, atoll(j->entry)) != 0)
    {
        json_decref(data);
        return -1;
    }

    files_show(j, failed ? "failed" : "completed", 100, code, message);

    o = failed ? json_pack("{s:b, s:s, s:{s:s, s:s*}}", "success", 0,
                           "message", message, "error", "code", code,
                           "field", field)
               : json_pack("{s:b, s:s, s:o}", "success", 1, "message",
                           message, "data", data);

    memset(&answer, 0, sizeof(answer));
    buf_fmt(&answer, "%d %s\n", status, status == 503 ? "1" : "-");
    buf_json(&answer, o);
    json_decref(o);

    rc = files_keep(f, j, &answer);

    if (rc == 0) {
        files_tell(f, j);
        rc = files_answer(f, j, &answer);
    }

    buf_free(&answer);

    return rc;
}


int
files_put(files_t *f, const char *conversation, const char *actor,
    json_t *record)
{
    return files_record_event(f, conversation, actor,
                              json_pack("{s:s, s:o}", "op", "put", "file",
                                        record));
}


int
files_hold(files_t *f, const char *hash)
{
    int       rc;
    char      key[WRT_NAME_BUF];
    int64_t   ms;
    reply_t  *r;

    /* until it is young, and its record queued; as long as blobs are left
     * alone, at most */
    ms = (int64_t) f->cf->blob_grace_s * 1000;

    cmd_begin(&f->cmd, "FCALL");
    cmd_text(&f->cmd, WRT_FN_BLOB);
    cmd_num(&f->cmd, 1);
    cmd_mem(&f->cmd, key, wrt_key_blob(key, hash, strlen(hash)));
    cmd_text(&f->cmd, WRT_BLOB_USE);
    cmd_num(&f->cmd, ms < WRT_BLOB_USE_MS ? ms : WRT_BLOB_USE_MS);

    r = files_call(f, files_hub(f));
    rc = r == NULL ? -1 : strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);

    return rc;
}


/* The key that remembers the message of this upload. */
static size_t
files_once(const job_t *j, unsigned k, char *key)
{
    char         own[sizeof(FILES_ONCE) + WRT_ID_MAX];
    const char  *id;

    snprintf(own, sizeof(own), FILES_ONCE "%s", j->id);
    id = j->form.client_id[0] ? j->form.client_id : own;

    return wrt_key_once(key, k, j->conversation, strlen(j->conversation),
                        j->user, strlen(j->user), id, strlen(id));
}


int
files_sent(files_t *f, const job_t *j, char id[WRT_ID_MAX + 1], int64_t *seq)
{
    int          rc;
    char         key[WRT_NAME_BUF];
    reply_t     *r;
    unsigned     k;
    const char  *s, *blank;

    k = wrt_shard(&f->cf->names, j->conversation, strlen(j->conversation));

    cmd_begin(&f->cmd, "GET");
    cmd_mem(&f->cmd, key, files_once(j, k, key));

    r = files_call(f, files_shard(f, j->conversation));
    if (r == NULL) {
        return -1;
    }

    /* <message id> <seq> <time> */

    s = reply_text(r);
    blank = strchr(s, ' ');
    rc = blank && blank - s <= WRT_ID_MAX;

    if (rc) {
        memcpy(id, s, (size_t) (blank - s));
        id[blank - s] = '\0';
        *seq = atoll(blank + 1);
    }

    reply_free(r);

    return rc;
}


/* Name and avatar as others are to see them: those that a service has set, else
 * those of the token. */
static json_t *
files_profile(files_t *f, const job_t *j)
{
    char      key[WRT_NAME_BUF];
    json_t   *o;
    reply_t  *r;

    wrt_key_user_convs(key, j->user, strlen(j->user));

    cmd_begin(&f->cmd, "HGET");
    cmd_text(&f->cmd, key);
    cmd_text(&f->cmd, WRT_F_PROFILE);

    r = files_call(f, files_hub(f));
    o = r ? json_loadb(reply_text(r), reply_len(r), 0, NULL) : NULL;
    reply_free(r);

    return o ? o : json_incref(j->identity);
}


static wrt_slice_t
files_slice(const char *s)
{
    wrt_slice_t  out;

    out.p = s ? s : "";
    out.n = strlen(out.p);

    return out;
}


/* wrt_send with everything that it wants. */
static reply_t *
files_send_call(files_t *f, const job_t *j, rds_t *c, const char *text,
    size_t pre, size_t head)
{
    char       key[WRT_NAME_BUF], at[WRT_TIME_LEN + 1];
    size_t     n;
    cmd_t     *cmd;
    unsigned   k;

    cmd = &f->cmd;
    n = strlen(j->conversation);
    k = wrt_shard(&f->cf->names, j->conversation, n);
    wrt_time_format(now_ms(), at);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_SEND);
    cmd_num(cmd, 5);
    cmd_room(cmd, k, j->conversation, n);
    cmd_mem(cmd, key, files_once(j, k, key));
    cmd_mem(cmd, key, wrt_chan_room(key, &f->cf->names, k, j->conversation,
                                    n));
    cmd_text(cmd, j->conversation);
    cmd_text(cmd, j->user);
    cmd_text(cmd, j->message);
    cmd_mem(cmd, text, pre);
    cmd_mem(cmd, text + pre, head);
    cmd_mem(cmd, j->extra, j->extra_len);
    cmd_text(cmd, at);
    cmd_num(cmd, WRT_BACKLOG_MAX);
    cmd_text(cmd, "u");

    return rds_run(c, cmd);
}


static send_rc_t
files_send_result(job_t *j, const reply_t *r)
{
    const char  *rc;

    rc = reply_text(reply_at(r, 0));

    if (strcmp(rc, "ok") == 0 || strcmp(rc, "dup") == 0) {
        j->seq = reply_int(reply_at(r, 1), 0);
        text_copy(j->message, sizeof(j->message),
                  reply_text(reply_at(r, 2)));
        return SEND_OK;
    }

    if (strcmp(rc, "denied") == 0) {
        return SEND_DENIED;
    }

    if (strcmp(rc, "forbidden") == 0) {
        return SEND_FORBIDDEN;
    }

    return strcmp(rc, "archived") == 0 ? SEND_ARCHIVED : SEND_AGAIN;
}


send_rc_t
files_send(files_t *f, job_t *j)
{
    int            i;
    char          *text;
    buf_t          content;
    rds_t         *c;
    size_t         pre, head;
    json_t        *profile, *o;
    reply_t       *r;
    send_rc_t      rc;
    wrt_send_t     s;
    wrt_sender_t   from;

    memset(&content, 0, sizeof(content));
    o = files_content(j);
    buf_json(&content, o);
    json_decref(o);

    memset(&s, 0, sizeof(s));
    s.type = files_slice(files_type(j));
    s.client_id = files_slice(j->form.client_id);
    s.reply_to = files_slice(j->form.reply_to);
    s.content.p = content.p;
    s.content.n = content.n;

    profile = files_profile(f, j);
    from.uid = files_slice(j->user);
    from.role = files_slice("");
    from.name = files_slice(json_string_value(
                                json_object_get(profile, "name")));
    from.avatar = files_slice(json_string_value(
                                  json_object_get(profile, "avatar")));

    text = wrt_send_build(&s, files_slice(j->conversation), &from, j->message,
                          &pre, &head);
    json_decref(profile);
    buf_free(&content);

    rc = SEND_AGAIN;

    for (i = 0; text && i < 2; i++) {
        c = files_shard(f, j->conversation);
        if (c == NULL) {
            break;
        }

        r = files_send_call(f, j, c, text, pre, head);

        if (r == NULL || reply_is_error(r)) {
            rds_fail(c, reply_text(r));
            reply_free(r);
            break;
        }

        rc = files_send_result(j, r);

        if (strcmp(reply_text(reply_at(r, 0)), "noload") != 0
            || role_store(f->role) == NULL
            || load_conversation(f->role->store, c, f->cf, j->conversation)
               != STORE_OK)
        {
            reply_free(r);
            break;
        }

        reply_free(r);
    }

    free(text);

    return rc;
}


int
files_last(files_t *f, const job_t *j, int64_t *seq)
{
    char      key[WRT_NAME_BUF];
    reply_t  *r;

    wrt_key_conv(key, wrt_shard(&f->cf->names, j->conversation,
                                strlen(j->conversation)),
                 j->conversation, strlen(j->conversation));

    cmd_begin(&f->cmd, "HGET");
    cmd_text(&f->cmd, key);
    cmd_text(&f->cmd, WRT_F_SEQ);

    r = files_call(f, files_shard(f, j->conversation));
    if (r == NULL) {
        return -1;
    }

    *seq = reply_int(r, 0);
    reply_free(r);

    return 0;
}


int
files_applied(files_t *f, const job_t *j, int64_t seq)
{
    int       rc;
    char      key[WRT_NAME_BUF];
    reply_t  *r;

    wrt_key_conv(key, wrt_shard(&f->cf->names, j->conversation,
                                strlen(j->conversation)),
                 j->conversation, strlen(j->conversation));

    cmd_begin(&f->cmd, "HGET");
    cmd_text(&f->cmd, key);
    cmd_text(&f->cmd, WRT_F_APPLIED);

    r = files_call(f, files_shard(f, j->conversation));
    if (r == NULL) {
        return -1;
    }

    /* not in Redis: the store has all of it */
    rc = reply_is_nil(r) || reply_int(r, -1) >= seq;
    reply_free(r);

    return rc;
}


int
files_changed(files_t *f, const char *conversation, const char *id,
    const json_t *message, int64_t expect)
{
    int        rc;
    char       key[WRT_NAME_BUF], at[WRT_TIME_LEN + 1];
    buf_t      event;
    cmd_t     *cmd;
    size_t     n;
    rds_t     *c;
    reply_t   *r;
    unsigned   k;

    n = strlen(conversation);
    k = wrt_shard(&f->cf->names, conversation, n);
    wrt_time_format(now_ms(), at);

    memset(&event, 0, sizeof(event));
    buf_fmt(&event, "{\"event\":\"message_updated\",\"data\":"
            "{\"conversationId\":\"%s\",\"seq\":" WRT_EMIT_SEQ
            ",\"messageId\":\"%s\",\"editedBy\":null,\"message\":",
            conversation, id);
    buf_json(&event, message);
    buf_text(&event, "}}");

    cmd = &f->cmd;
    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_EMIT);
    cmd_num(cmd, 5);
    cmd_room(cmd, k, conversation, n);
    cmd_mem(cmd, key, wrt_key_version(key, k, conversation, n, id,
                                      strlen(id)));
    cmd_mem(cmd, key, wrt_chan_room(key, &f->cf->names, k, conversation, n));
    cmd_text(cmd, conversation);
    cmd_text(cmd, "-");             /* nobody's doing */
    cmd_text(cmd, "");
    cmd_text(cmd, "");
    cmd_text(cmd, (char[2]) { WRT_EV_CHANGE, '\0' });
    cmd_text(cmd, "-");
    cmd_mem(cmd, event.p, event.n);
    cmd_text(cmd, "{\"file\":true}");
    cmd_text(cmd, at);
    cmd_num(cmd, WRT_BACKLOG_MAX);
    cmd_num(cmd, expect);

    c = files_shard(f, conversation);
    r = files_call(f, c);

    if (r && strcmp(reply_text(reply_at(r, 0)), "noload") == 0
        && role_store(f->role))
    {
        (void) load_conversation(f->role->store, c, f->cf, conversation);
    }

    rc = r && strcmp(reply_text(reply_at(r, 0)), "ok") == 0 ? 0 : -1;

    reply_free(r);
    buf_free(&event);

    return rc;
}
