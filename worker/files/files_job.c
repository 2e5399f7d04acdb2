/*
 * files_job.c: one upload, from its body in the spool to its message.
 *
 *   received      the form is read, the room asked, the type looked at
 *   scanning      record 1: the uploader alone knows of it
 *   thumbnailing
 *   storing       bytes into storage, record 2: clean
 *   (message)     wrt_send; from here on the others have it
 *   completed     answered
 *
 * Whoever does this may die anywhere.  The entry then stays in the stream, and
 * another process begins at the top; every step may be done twice.  The ids of
 * file and message are that of the upload, and wrt_send remembers that it was
 * sent, so that there is one message however often we try.
 *
 * What is away (scanner, storage, store, Redis) is waited for: JOB_AGAIN.  What
 * cannot be (wrong form, type, infected, no longer a member) ends the upload
 * with that answer.  An upload that ended us WRT_JOB_TRIES times is given up.
 */

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/wrt_envelope.h"
#include "worker/files/files.h"

/* Records of an upload.  3 may be that of a second look at a clean one, and
 * that it is not clean has to be above it. */
#define FILES_REV_SCANNING  1
#define FILES_REV_CLEAN     2
#define FILES_REV_FOUND     4

#define FILES_STORING       80      /* progress */

#define FILES_APPLIED_MS    8000    /* for the message to be in the store */
#define FILES_APPLIED_STEP  4

/* A step: it is done, or the job is to be left (*rc says how). */
typedef enum {
    STEP_ON = 0,
    STEP_OUT
} step_t;

typedef struct {
    step_t  (*run)(files_t *f, job_t *j, job_rc_t *rc);
    int       stage;                /* of metrics_stages */
} files_step_t;


static step_t
job_again(job_rc_t *rc)
{
    *rc = JOB_AGAIN;
    return STEP_OUT;
}


/* End with an error; try again when that cannot be said now. */
static step_t
job_refuse(files_t *f, job_t *j, job_rc_t *rc, int status, const char *code,
    const char *field, const char *message)
{
    log_info("upload_refused", "id=%s status=%d code=%s", j->id, status,
             code);

    *rc = files_end(f, j, status, code, field, message, NULL) == 0
          ? JOB_DONE : JOB_AGAIN;

    if (*rc == JOB_DONE) {
        count_add(f->role->slot->counters.uploads_refused, 1);
    }

    return STEP_OUT;
}


static step_t
job_store_rc(files_t *f, job_t *j, job_rc_t *rc, store_rc_t src)
{
    role_store_result(f->role, src);

    if (src == STORE_NOT_FOUND) {
        return job_refuse(f, j, rc, 404, "not_found", NULL, "not found");
    }

    return job_again(rc);
}


/* The room's settings.  Whether he may upload wrt_send says at the end; nginx
 * has asked before. */
static step_t
job_room(files_t *f, job_t *j, job_rc_t *rc)
{
    json_t      *conv, *settings;
    store_t     *st;
    store_rc_t   src;

    st = role_store(f->role);
    if (st == NULL) {
        return job_again(rc);
    }

    src = store_conversation(st, j->conversation, NULL, &conv);
    if (src != STORE_OK) {
        return job_store_rc(f, j, rc, src);
    }

    role_store_result(f->role, src);

    settings = json_object_get(conv, "settings");
    j->settings = json_incref(settings);
    json_decref(conv);

    if (json_is_false(json_object_get(settings, "allowFileUpload"))) {
        return job_refuse(f, j, rc, 403, "forbidden", NULL,
                          "files are not allowed in this conversation");
    }

    return STEP_ON;
}


static step_t
job_form(files_t *f, job_t *j, job_rc_t *rc)
{
    char         path[PATH_MAX + WRT_ID_MAX + 2];
    int64_t      max;
    form_rc_t    frc;
    wrt_slice_t  client;

    max = json_integer_value(json_object_get(j->settings, "maxFileSize"));
    if (max <= 0 || max > WRT_FILE_MAX) {
        max = WRT_FILE_MAX;
    }

    snprintf(path, sizeof(path), "%s/%s", f->cf->spool, j->name);

    frc = upload_form_read(&j->form, path, j->type, f->spool, max);

    if (frc == FORM_FAILED) {
        log_error("upload_form", "id=%s error=\"%s\" retry=yes", j->id,
                  j->form.text);
        return job_again(rc);
    }

    if (frc != FORM_OK) {
        return job_refuse(f, j, rc, frc == FORM_TOO_LARGE ? 413 : 400,
                          frc == FORM_TOO_LARGE ? "too_large"
                                                : "invalid_request",
                          j->form.field && j->form.field[0] ? j->form.field
                                                            : NULL,
                          j->form.text);
    }

    client.p = j->form.client_id;
    client.n = strlen(j->form.client_id);

    if (client.n > 0 && !wrt_client_id_valid(client)) {
        return job_refuse(f, j, rc, 400, "invalid_request",
                          "clientMessageId", "clientMessageId must be a "
                          "text without white space and control characters");
    }

    return STEP_ON;
}


/* The upload's message, when the store has all of the room up to seq. */
static store_rc_t
job_message(files_t *f, job_t *j, int64_t seq, json_t **m)
{
    int       n;
    store_t  *st;
    int64_t   end;

    end = mono_ms() + FILES_APPLIED_MS;

    while ((n = files_applied(f, j, seq)) == 0 && !role_stopping()
           && mono_ms() < end)
    {
        role_sleep(FILES_APPLIED_STEP);
    }

    st = role_store(f->role);

    return n != 1 || st == NULL ? STORE_DOWN
           : store_message(st, j->conversation, j->message, m);
}


/* The answer of a message that was sent. */
static step_t
job_answer(files_t *f, job_t *j, job_rc_t *rc, int status)
{
    json_t      *m;
    store_rc_t   src;
    const char  *file;

    src = job_message(f, j, j->seq, &m);

    if (src == STORE_DOWN) {
        return job_again(rc);
    }

    if (src != STORE_OK) {
        return job_store_rc(f, j, rc, src);
    }

    role_store_result(f->role, src);

    /* none in a message that was deleted since, nor in a text that had the
     * same clientMessageId before this upload */

    file = json_string_value(json_object_get(json_object_get(
               json_object_get(m, "content"), "fileInfo"), "fileId"));

    if (file || strcmp(j->message, j->id) != 0) {
        text_copy(j->file, sizeof(j->file), file ? file : "");
    }

    *rc = files_end(f, j, status, NULL, NULL, "File uploaded successfully",
                    json_pack("{s:o, s:{s:s, s:s, s:i}}", "message", m,
                              "upload", "id", j->id, "status", "completed",
                              "progress", 100)) == 0 ? JOB_DONE : JOB_AGAIN;

    return STEP_OUT;
}


/* Was it sent before: by an earlier try of ours, or as another upload with the
 * same clientMessageId? */
static step_t
job_sent(files_t *f, job_t *j, job_rc_t *rc)
{
    char     id[WRT_ID_MAX + 1];
    int64_t  seq;

    switch (files_sent(f, j, id, &seq)) {

    case 0:
        return STEP_ON;

    case 1:
        j->seq = seq;
        text_copy(j->message, sizeof(j->message), id);
        return job_answer(f, j, rc, strcmp(id, j->id) == 0 ? 201 : 200);

    default:
        return job_again(rc);
    }
}


static step_t
job_type(files_t *f, job_t *j, job_rc_t *rc)
{
    size_t       i, n;
    json_t      *list, *v;
    const char  *allowed[32];

    list = json_object_get(j->settings, "allowedFileTypes");
    n = 0;

    json_array_foreach(list, i, v) {
        if (json_is_string(v) && n < sizeof(allowed) / sizeof(allowed[0])) {
            allowed[n++] = json_string_value(v);
        }
    }

    switch (upload_type_check(f->magic, j->form.fd, j->form.name,
                              json_is_array(list) ? allowed : NULL, n,
                              &j->kind))
    {
    case TYPE_OK:
        return STEP_ON;

    case TYPE_REFUSED:
        return job_refuse(f, j, rc, 415, "unsupported_type", "file",
                          j->kind.text);

    default:
        log_error("upload_type", "id=%s error=\"%s\" retry=yes", j->id,
                  j->kind.text);
        return job_again(rc);
    }
}


static step_t
job_record(files_t *f, job_t *j, job_rc_t *rc)
{
    j->recorded = 1;

    if (files_put(f, j->conversation, j->user,
                  files_record(f, j, FILES_REV_SCANNING, "scanning")) != 0
        || files_stage(f, j, "scanning", 30) != 0)
    {
        return job_again(rc);
    }

    return STEP_ON;
}


static step_t
job_scan(files_t *f, job_t *j, job_rc_t *rc)
{
    files_scan(f, j->form.fd, &j->scan);

    switch (j->scan.rc) {

    case SCAN_CLEAN:
    case SCAN_OFF:
        return STEP_ON;

    case SCAN_INFECTED:
        log_warn("infected", "id=%s user=%s hash=%s finding=\"%s\"", j->id,
                 j->user, j->form.hash, j->scan.text);
        count_add(f->role->slot->counters.uploads_infected, 1);

        if (files_put(f, j->conversation, j->user,
                      files_record(f, j, FILES_REV_FOUND, "infected")) != 0
            || files_infected(f, j->form.hash, &j->scan) != 0)
        {
            return job_again(rc);
        }

        return job_refuse(f, j, rc, 422, "infected", "file",
                          "the file is infected and was not kept");

    case SCAN_ERROR:
        log_warn("not_scanned", "id=%s reason=\"%s\"", j->id, j->scan.text);

        if (files_put(f, j->conversation, j->user,
                      files_record(f, j, FILES_REV_FOUND, "error")) != 0)
        {
            return job_again(rc);
        }

        return job_refuse(f, j, rc, 415, "unsupported_type", "file",
                          "the file can not be checked for viruses: it is "
                          "encrypted, damaged, or too much is packed into it");

    default:
        j->died = j->scan.died;
        return job_again(rc);
    }
}


static step_t
job_thumbs(files_t *f, job_t *j, job_rc_t *rc)
{
    if (files_stage(f, j, "thumbnailing", 60) != 0) {
        return job_again(rc);
    }

    if (j->kind.kind == TYPE_OTHER) {
        return STEP_ON;
    }

    switch (thumb_make(&j->thumb, f->cf->thumbnailer, j->kind.kind,
                       j->form.fd, f->spool))
    {
    case THUMB_OK:
        return STEP_ON;

    case THUMB_NONE:
        log_info("no_thumbnail", "id=%s reason=\"%s\"", j->id,
                 j->thumb.text);
        return STEP_ON;

    default:
        log_error("thumbnail", "id=%s error=\"%s\" retry=yes", j->id,
                  j->thumb.text);
        return job_again(rc);
    }
}


static blob_rc_t
job_put(files_t *f, const char *key, int fd, int64_t size, const char *type,
    blob_stat_t *st)
{
    blob_put_t  put;

    memset(&put, 0, sizeof(put));
    put.key = key;
    put.fd = fd;
    put.size = size;
    put.type = type;

    return blob_put(f->blob, &put, st);
}


static step_t
job_store(files_t *f, job_t *j, job_rc_t *rc)
{
    int                   i;
    char                  key[BLOB_KEY_SIZE];
    blob_rc_t             brc;
    blob_stat_t           st;
    const thumb_image_t  *t;

    if (files_stage(f, j, "storing", FILES_STORING) != 0 || !f->prepared
        || files_hold(f, j->form.hash) != 1)
    {
        return job_again(rc);
    }

    brc = job_put(f, j->form.hash, j->form.fd, j->form.size, j->kind.mime,
                  &j->stored);

    for (i = 0; brc == BLOB_OK && i < THUMB_SIZES
                && j->thumb.images[i].fd >= 0; i++)
    {
        t = &j->thumb.images[i];
        files_thumb_key(j, i, key);
        brc = job_put(f, key, t->fd, t->size, j->thumb.mime, &st);
    }

    if (brc != BLOB_OK) {
        if (!f->storage_down && !role_stopping()) {
            log_error("storage_down", "id=%s error=\"%s\" retry=yes", j->id,
                      blob_error(f->blob));
        }

        f->storage_down = 1;
        f->prepared = 0;
        return job_again(rc);
    }

    if (files_put(f, j->conversation, j->user,
                  files_record(f, j, FILES_REV_CLEAN, "clean")) != 0)
    {
        return job_again(rc);
    }

    return STEP_ON;
}


static step_t
job_send(files_t *f, job_t *j, job_rc_t *rc)
{
    send_rc_t  src;

    src = files_send(f, j);

    switch (src) {

    case SEND_OK:
        /* another id: an upload of the same clientMessageId was faster */
        count_add(f->role->slot->counters.uploads, 1);
        return job_answer(f, j, rc, strcmp(j->message, j->id) == 0 ? 201
                                                                   : 200);

    case SEND_AGAIN:
        return job_again(rc);

    case SEND_DENIED:
        return job_refuse(f, j, rc, 404, "not_found", NULL, "not found");

    case SEND_ARCHIVED:
        return job_refuse(f, j, rc, 409, "conversation_archived", NULL,
                          "the conversation is archived");

    default:
        return job_refuse(f, j, rc, 403, "forbidden", NULL,
                          "you have no permission to do this here");
    }
}


/* One that had got as far as the storage, which is still away, need not be
 * scanned again to find that out. */
static step_t
job_storage(files_t *f, job_t *j, job_rc_t *rc)
{
    return f->prepared || files_progress(j) < FILES_STORING ? STEP_ON
                                                            : job_again(rc);
}


static const files_step_t  job_steps[] = {
    { job_room, 0 }, { job_form, 0 }, { job_sent, 0 }, { job_storage, 0 },
    { job_type, 0 }, { job_record, 1 }, { job_scan, 1 }, { job_thumbs, 2 },
    { job_store, 3 }, { job_send, 4 }, { NULL, 0 }
};


static job_rc_t
job_walk(files_t *f, job_t *j)
{
    int64_t              began;
    job_rc_t             rc;
    step_t               step;
    const files_step_t  *s;

    rc = JOB_AGAIN;

    for (s = job_steps; s->run && !role_stopping(); s++) {
        began = mono_us();
        step = s->run(f, j, &rc);
        count_add(f->role->slot->counters.upload_us[s->stage],
                  mono_us() - began);

        if (step == STEP_OUT) {
            return rc;
        }
    }

    return JOB_AGAIN;
}


/* It can be worked on no more.  Had it been sent before that?  By its own id,
 * that is; dead: for the dead letters, or NULL. */
static job_rc_t
job_over(files_t *f, job_t *j, const char *dead, const char *message)
{
    json_t      *m;
    int64_t      seq;
    job_rc_t     rc;
    store_rc_t   src;

    if (files_last(f, j, &seq) != 0) {
        return JOB_AGAIN;
    }

    src = job_message(f, j, seq, &m);

    if (src == STORE_OK) {
        j->seq = json_integer_value(json_object_get(m, "seq"));
        json_decref(m);
        (void) job_answer(f, j, &rc, 201);
        return rc;
    }

    if (src != STORE_NOT_FOUND || (dead && files_dead(f, j, dead) != 0)) {
        return JOB_AGAIN;
    }

    (void) job_refuse(f, j, &rc, 503, "unavailable", NULL, message);

    return rc;
}


static job_rc_t
job_run(files_t *f, job_t *j)
{
    job_rc_t  rc;

    if (j->tries >= WRT_JOB_TRIES) {
        return job_over(f, j, "it ended the process that worked on it",
                        "the file could not be processed");
    }

    if (files_try(f, j->id, 1) != 0
        || files_stage(f, j, "received", 10) != 0)
    {
        return JOB_AGAIN;
    }

    rc = job_walk(f, j);

    if (rc == JOB_AGAIN && j->died) {
        log_error("scanner_died", "id=%s try=%d of=%d error=\"%s\"", j->id,
                  (int) j->tries + 1, WRT_JOB_TRIES, j->scan.text);

    } else if (rc == JOB_AGAIN && files_try(f, j->id, -1) != 0) {
        text_copy(f->owed, sizeof(f->owed), j->id);
    }

    return rc;
}


/* What the entry says.  0, or -1: it is none of ours. */
static int
job_parse(job_t *j, const char *entry, const reply_t *fields)
{
    const reply_t  *x;

    text_copy(j->entry, sizeof(j->entry), entry);
    text_copy(j->id, sizeof(j->id),
              reply_text(reply_field(fields, WRT_F_RPC_ID)));
    text_copy(j->conversation, sizeof(j->conversation),
              reply_text(reply_field(fields, WRT_F_UP_CONV)));
    text_copy(j->name, sizeof(j->name),
              reply_text(reply_field(fields, WRT_F_UP_FILE)));
    text_copy(j->message, sizeof(j->message), j->id);
    text_copy(j->file, sizeof(j->file), j->id);

    /* it is going to be removed, in whatever entry it stands */
    if (!wrt_id_valid(j->name, strlen(j->name))) {
        j->name[0] = '\0';
    }

    j->channel = reply_text(reply_field(fields, WRT_F_RPC_REPLY));
    j->type = reply_text(reply_field(fields, WRT_F_UP_TYPE));

    x = reply_field(fields, WRT_F_EXTRA);
    j->extra = reply_text(x);
    j->extra_len = reply_len(x);

    x = reply_field(fields, WRT_F_RPC_USER);
    j->identity = json_loadb(reply_text(x), reply_len(x), 0, NULL);
    j->user = json_string_value(json_object_get(j->identity, "sub"));

    return wrt_id_valid(j->id, strlen(j->id))
           && wrt_id_valid(j->conversation, strlen(j->conversation))
           && j->name[0]
           && j->user && wrt_id_valid(j->user, strlen(j->user)) ? 0 : -1;
}


static void
job_free(job_t *j)
{
    upload_form_free(&j->form);
    thumb_free(&j->thumb);
    json_decref(j->identity);
    json_decref(j->shown);
    json_decref(j->settings);

    if (j->lock >= 0) {
        close(j->lock);
    }
}


/* The upload is ours, if its body is. */
static job_rc_t
job_take(files_t *f, job_t *j)
{
    buf_t        answer;
    job_rc_t     rc;
    spool_rc_t   src;
    struct stat  st;

    src = spool_lock(f->spool, j->name, &j->lock);

    if (src == SPOOL_GONE && files_spool(f)) {
        src = spool_lock(f->spool, j->name, &j->lock);
    }

    if (src != SPOOL_OK && src != SPOOL_GONE) {
        return JOB_AGAIN;
    }

    memset(&answer, 0, sizeof(answer));

    if (files_known(f, j, &answer) != 0) {
        rc = JOB_AGAIN;

    } else if (answer.n > 0) {
        /* it had ended, but for the entry */
        rc = files_answer(f, j, &answer) == 0 ? JOB_DONE : JOB_AGAIN;

    } else if (src == SPOOL_GONE) {
        log_error("upload_lost", "id=%s error=\"its body is not in the "
                  "spool\"", j->id);
        rc = job_over(f, j, NULL,
                      "the upload was lost, send the file again");

    } else {
        if (fstat(j->lock, &st) == 0) {
            wrt_time_format((int64_t) st.st_mtim.tv_sec * 1000
                            + st.st_mtim.tv_nsec / 1000000, j->at);
        }

        rc = job_run(f, j);
    }

    buf_free(&answer);

    return rc;
}


job_rc_t
files_job(files_t *f, const char *entry, const reply_t *fields)
{
    int       i;
    job_t     j;
    job_rc_t  rc;

    memset(&j, 0, sizeof(j));
    j.lock = -1;
    j.form.fd = -1;
    wrt_time_format(now_ms(), j.at);

    for (i = 0; i < THUMB_SIZES; i++) {
        j.thumb.images[i].fd = -1;
    }

    if (job_parse(&j, entry, fields) != 0) {
        log_error("upload_entry", "entry=%s error=\"not an upload\"", entry);
        rc = files_dead(f, &j, "not an upload") == 0 ? JOB_DONE : JOB_AGAIN;

    } else {
        rc = job_take(f, &j);
    }

    /* the entry first: without it a body is swept in time */
    if (rc == JOB_DONE && files_done(f, &j) == 0 && j.name[0]) {
        unlinkat(f->spool, j.name, 0);
    }

    job_free(&j);

    return rc;
}
