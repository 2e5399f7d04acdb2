/*
 * files.c: the role that turns uploads into messages (files.h says which file
 * does what).
 *
 * nginx writes a body into the spool and an entry into the spool's stream; one
 * of the processes of this role beside it takes the entry and works on it from
 * the beginning to the end.  What cannot be finished now stays pending, and is
 * claimed again a little later by whichever process has nothing to do.  A
 * process that is working holds a lock on the body, so that claiming what
 * somebody has in hand does nothing.
 *
 * While there is nothing to do, bodies that nobody knows are removed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/files/files.h"

#define FILES_BLOCK_MS     500
#define FILES_GRACE_MS     5000     /* over the block: Redis is stuck */
#define FILES_CLAIM_MS     1000     /* idle for so long: try again */
#define FILES_CLAIM_EVERY  500
#define FILES_SWEEP_EVERY  5000
#define FILES_PREPARE_EVERY  1000
#define FILES_SCANNER_EVERY  5000   /* is clamd there? */

static void files_turn(files_t *f);
static void files_prepare(files_t *f);
static void files_scanner(files_t *f);
static void files_read(files_t *f);
static job_rc_t files_claim(files_t *f);
static void files_sweep(files_t *f);


/* 0, or an exit status. */
static int
files_open(files_t *f, role_t *r)
{
    char      err[512];
    unsigned  i;

    memset(f, 0, sizeof(*f));
    f->role = r;
    f->cf = r->cf;

    f->spool = spool_open(f->cf->spool, f->id, err, sizeof(err));
    if (f->spool < 0) {
        log_error("spool", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    f->magic = upload_type_open(err, sizeof(err));
    if (f->magic == NULL) {
        log_error("magic", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    f->blob = blob_open(&f->cf->storage, err, sizeof(err));
    if (f->blob == NULL) {
        log_error("storage", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    if (f->cf->scan.kind != SCAN_LIBCLAMAV) {
        f->scan = scan_open(&f->cf->scan);
        if (f->scan == NULL) {
            return EXIT_FAILURE;
        }
    }

    wrt_key_files(f->stream, f->id, strlen(f->id));
    wrt_key_files_dead(f->dead, f->id, strlen(f->id));
    text_copy(f->cursor, sizeof(f->cursor), "0-0");

    /* the same after each start, so that no consumers gather */
    snprintf(f->consumer, sizeof(f->consumer), "f%u", r->index);

    f->links = mem_zero(f->cf->nredis * sizeof(link_t));

    for (i = 0; i < f->cf->nredis; i++) {
        link_init(&f->links[i], f->cf, i, &r->slot->counters);
    }

    link_init(&f->reader, f->cf, 0, NULL);

    /* of several one is enough; and not the janitor, who must not wait for a
     * storage that is away */
    if (r->index == 0) {
        f->collect = collect_open(r, f->blob);
    }

    log_info("files", "spool=%s id=%s storage=%s", f->cf->spool, f->id,
             blob_name(f->blob));

    return 0;
}


static int
files_stop_wait(void *data)
{
    (void) data;

    return role_stopping();
}


int
files_run(role_t *r)
{
    int        status;
    files_t    f;
    unsigned   i;

    status = files_open(&f, r);
    if (status != 0) {
        return status;
    }

    blob_on_wait(f.blob, files_stop_wait, NULL);

    if (f.scan) {
        scan_on_wait(f.scan, files_stop_wait, NULL);
    }

    while (!role_stopping()) {
        files_turn(&f);
    }

    for (i = 0; i < f.cf->nredis; i++) {
        link_free(&f.links[i]);
    }

    link_free(&f.reader);
    collect_close(f.collect);
    role_store_close(r);
    blob_close(f.blob);
    upload_type_close(f.magic);

    if (f.scan) {
        scan_close(f.scan);
    }

    cmd_free(&f.cmd);
    free(f.links);
    close(f.spool);

    return EXIT_SUCCESS;
}


static void
files_turn(files_t *f)
{
    role_store_check(f->role);

    if (files_hub(f) == NULL || link_up(&f->reader) != 0) {
        role_sleep(link_wait_ms(rds_alive(f->links[0].c) ? &f->reader
                                                         : &f->links[0]));
        return;
    }

    if (f->generation != f->reader.generation) {
        if (server_group(f->links[0].c, f->stream, WRT_GROUP_FILES) != 0) {
            return;
        }

        f->generation = f->reader.generation;
    }

    if (!f->prepared && mono_ms() >= f->prepare_at) {
        files_prepare(f);
    }

    if (f->role->index == 0 && mono_ms() >= f->scanner_at) {
        files_scanner(f);
        f->scanner_at = mono_ms() + FILES_SCANNER_EVERY;
    }

    if (f->owed[0]) {
        if (files_try(f, f->owed, -1) != 0) {
            return;
        }

        f->owed[0] = '\0';
    }

    if (mono_ms() >= f->claim_at) {
        /* one is done: so may be the others that wait */
        f->claim_at = mono_ms()
                      + (files_claim(f) == JOB_DONE ? 0 : FILES_CLAIM_EVERY);
    }

    if (mono_ms() >= f->sweep_at) {
        files_sweep(f);
        f->sweep_at = mono_ms() + FILES_SWEEP_EVERY;
    }

    if (f->collect && f->prepared) {
        collect_turn(f->collect, f->links);

        if (f->idle) {
            files_look_again(f);
        }
    }

    files_read(f);
}


/* Directory or bucket.  Uploads go on meanwhile, as far as that. */
static void
files_prepare(files_t *f)
{
    f->prepared = blob_prepare(f->blob) == BLOB_OK;
    f->prepare_at = mono_ms() + FILES_PREPARE_EVERY;

    /* told to stop it gives up, which says nothing about the storage */

    if (!f->prepared && !f->storage_down && !role_stopping()) {
        log_error("storage_down", "error=\"%s\" retry=yes",
                  blob_error(f->blob));
    }

    f->storage_down = !f->prepared;
}


/* For the metrics, which have it of libclamav from its role. */
static void
files_scanner(files_t *f)
{
    if (f->cf->scan.kind == SCAN_CLAMD) {
        count_set(f->role->slot->counters.scanner_up,
                  scan_prepare(f->scan) == SCAN_CLEAN);
    }
}


/* Wait for one entry. */
static void
files_read(files_t *f)
{
    rds_t          *c;
    int64_t         ms;
    reply_t        *r;
    const reply_t  *e;

    c = f->reader.c;

    /* 0 would be for ever */
    ms = f->claim_at - mono_ms();
    ms = ms < 1 ? 1 : ms < FILES_BLOCK_MS ? ms : FILES_BLOCK_MS;

    cmd_begin(&f->cmd, "XREADGROUP");
    cmd_text(&f->cmd, "GROUP");
    cmd_text(&f->cmd, WRT_GROUP_FILES);
    cmd_text(&f->cmd, f->consumer);
    cmd_text(&f->cmd, "COUNT");
    cmd_num(&f->cmd, 1);
    cmd_text(&f->cmd, "BLOCK");
    cmd_num(&f->cmd, ms);
    cmd_text(&f->cmd, "STREAMS");
    cmd_text(&f->cmd, f->stream);
    cmd_text(&f->cmd, ">");
    rds_push(c, &f->cmd);

    if (rds_wait(c, (int) ms + FILES_GRACE_MS) != 1) {
        /* told to stop: what comes now would stay pending, for another */
        rds_fail(c, role_stopping() ? "stopping" : "no answer to a read");
        return;
    }

    r = rds_pull(c);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(c, reply_text(r));
        reply_free(r);
        return;
    }

    /* [[stream, [[id, fields]]]], or nil */

    e = reply_at(reply_at(reply_at(reply_at(r, 0), 1), 0), 0);
    f->idle = e == NULL;

    if (e) {
        files_job(f, reply_text(e),
                  reply_at(reply_at(reply_at(reply_at(r, 0), 1), 0), 1));
    }

    reply_free(r);
}


/* One of those that are pending: given back, or left by the dead. */
static job_rc_t
files_claim(files_t *f)
{
    rds_t          *c;
    reply_t        *r;
    job_rc_t        rc;
    const reply_t  *e;

    c = files_hub(f);

    cmd_begin(&f->cmd, "XAUTOCLAIM");
    cmd_text(&f->cmd, f->stream);
    cmd_text(&f->cmd, WRT_GROUP_FILES);
    cmd_text(&f->cmd, f->consumer);
    cmd_num(&f->cmd, FILES_CLAIM_MS);
    cmd_text(&f->cmd, f->cursor);
    cmd_text(&f->cmd, "COUNT");
    cmd_num(&f->cmd, 1);

    r = rds_run(c, &f->cmd);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(c, reply_text(r));
        reply_free(r);
        return JOB_AGAIN;
    }

    /* from there on next time, so that one that waits holds up no other */
    text_copy(f->cursor, sizeof(f->cursor), reply_text(reply_at(r, 0)));

    e = reply_at(reply_at(r, 1), 0);
    rc = e ? files_job(f, reply_text(reply_at(e, 0)), reply_at(e, 1))
           : JOB_AGAIN;

    reply_free(r);

    return rc;
}


int
files_done(files_t *f, const job_t *j)
{
    rds_t    *hub;
    reply_t  *r;

    hub = files_hub(f);
    if (hub == NULL) {
        return -1;
    }

    /* in this order: what is pending of an entry that is not there goes with
     * the next claim, but an entry that is not pending would stay for ever */

    r = rds_call(hub, "XDEL", f->stream, j->entry);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return -1;
    }

    reply_free(r);
    reply_free(rds_call(hub, "XACK", f->stream, WRT_GROUP_FILES, j->entry));

    return 0;
}


int
files_dead(files_t *f, const job_t *j, const char *why)
{
    rds_t    *hub;
    reply_t  *r;

    hub = files_hub(f);
    if (hub == NULL) {
        return -1;
    }

    r = rds_call(hub, "XADD", f->dead, "MAXLEN", "~", "1000", "*",
                 WRT_F_RPC_ID, j->id, WRT_F_UP_CONV, j->conversation,
                 WRT_F_UP_FILE, j->name, WRT_F_WHY, why);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return -1;
    }

    reply_free(r);

    log_error("upload_dead", "id=%s why=\"%s\"", j->id, why);
    count_add(f->role->slot->counters.dead, 1);

    return 0;
}


void
files_scan(files_t *f, int fd, scan_answer_t *out)
{
    if (f->scan == NULL) {
        scanner_ask(f->role->scanner, fd, out);

    } else {
        memset(out, 0, sizeof(*out));
        out->rc = scan_file(f->scan, fd);
        text_copy(out->text, sizeof(out->text), scan_text(f->scan));
        text_copy(out->about, sizeof(out->about), scan_about(f->scan));
        out->died = scan_died(f->scan);
    }

    if (out->rc == SCAN_DOWN && !f->scan_down) {
        log_error("scanner_down", "error=\"%s\" retry=yes", out->text);
    }

    f->scan_down = out->rc == SCAN_DOWN;
}


/* A body has the name of its upload, and its entry that of the body: both are
 * looked for in the whole stream, which is short. */
static int
files_is_known(void *data, const char *name)
{
    size_t          i;
    files_t        *f = data;
    const reply_t  *fields;

    for (i = 0; i < reply_count(f->entries); i++) {
        fields = reply_at(reply_at(f->entries, i), 1);

        if (strcmp(reply_text(reply_field(fields, WRT_F_UP_FILE)), name)
            == 0)
        {
            return 1;
        }
    }

    return 0;
}


int
files_spool(files_t *f)
{
    int   dir;
    char  err[512];

    if (!spool_moved(f->spool, f->cf->spool)) {
        return 0;
    }

    dir = spool_reopen(f->cf->spool, f->id, err, sizeof(err));

    if (err[0] && !f->spool_bad) {
        log_error("spool", "error=\"%s\"", err);
    }

    f->spool_bad = dir < 0;

    if (dir < 0) {
        return 0;
    }

    log_warn("spool_replaced", "spool=%s id=%s", f->cf->spool, f->id);

    close(f->spool);
    f->spool = dir;

    return 1;
}


static void
files_sweep(files_t *f)
{
    unsigned  n;

    (void) files_spool(f);

    f->entries = rds_call(f->links[0].c, "XRANGE", f->stream, "-", "+");

    if (f->entries && !reply_is_error(f->entries)) {
        if (f->role->index == 0) {
            count_set(f->role->slot->counters.uploads_waiting,
                      reply_count(f->entries));
        }

        n = spool_sweep(f->spool, f->cf->spool_idle_s, files_is_known, f);

        if (n > 0) {
            log_info("spool_swept", "removed=%u", n);
        }
    }

    reply_free(f->entries);
    f->entries = NULL;
}
