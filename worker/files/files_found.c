/*
 * files_found.c: looking again, with newer signatures, at what was clean.
 *
 * When there is nothing else to do, files are scanned again whose verdict is
 * another engine's, the oldest verdict first, a few a minute.
 *
 * When signatures have become better, and a content that was called clean is
 * infected after all, its files are taken out of circulation, one by one: the
 * message says so to those who have it on screen, then the record (from then
 * on nobody can download it), and after the last one the bytes go.  The record
 * comes after the message, because it is by the record that a try which was
 * cut off finds what is left to do.
 */

#define _GNU_SOURCE                 /* memfd_create() */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/files/files.h"

#define FOUND_PAGE        100
#define FOUND_IDLE_MS     60000     /* between two looks when all is done */
#define FOUND_PAUSE_MS    1000      /* between two files */


/* The record as it is from now on. */
static json_t *
found_record(const json_t *was, const scan_answer_t *scan)
{
    char     now[WRT_TIME_LEN + 1];
    json_t  *o, *security;

    wrt_time_format(now_ms(), now);

    o = json_deep_copy(was);

    /* above that of somebody who looked at it again at the same time, and saw
     * nothing */
    json_object_set_new(o, "rev", json_integer(
        json_integer_value(json_object_get(was, "rev")) + 2));
    json_object_set_new(o, "storage", json_null());
    json_object_set_new(o, "thumbnails", json_array());
    json_object_set_new(o, "updatedAt", json_string(now));

    security = json_object_get(o, "security");
    json_object_set_new(security, "scanStatus", json_string("infected"));
    json_object_set_new(security, "scannedAt", json_string(now));
    json_object_set_new(security, "isEncrypted", json_false());
    json_object_set_new(security, "scanResult",
                        json_pack("{s:s, s:s}", "engine", scan->about,
                                  "finding", scan->text));

    return o;
}


/* The message as it is from now on; NULL: nothing to tell. */
static json_t *
found_message(const json_t *was)
{
    json_t  *m, *info, *v;

    m = json_deep_copy(was);
    info = json_object_get(json_object_get(m, "content"), "fileInfo");

    v = json_object_get(info, "scanStatus");

    /* told by a try that was cut off? */
    if (info == NULL || (json_is_string(v)
                         && strcmp(json_string_value(v), "infected") == 0))
    {
        json_decref(m);
        return NULL;
    }

    json_object_set_new(info, "scanStatus", json_string("infected"));
    json_object_set_new(info, "downloadUrl", json_null());
    json_object_set_new(info, "thumbnailUrl", json_null());
    json_object_del(info, "thumbnails");

    json_object_del(m, "status");
    json_object_del(m, "readBy");
    json_object_del(m, "changeSeq");
    json_object_del(m, "editHistory");

    return m;
}


/* To the members, as a numbered change.  0, -1. */
static int
found_tell(files_t *f, const char *conversation, const json_t *message)
{
    json_t      *m, *full;
    store_t     *st;
    const char  *id;
    store_rc_t   rc;
    int          done;

    st = role_store(f->role);
    id = json_string_value(json_object_get(message, "messageId"));

    if (st == NULL) {
        return -1;
    }

    if (id == NULL) {
        return 0;
    }

    rc = store_message_full(st, conversation, id, &full);
    role_store_result(f->role, rc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? 0 : -1;
    }

    m = found_message(full);
    done = m == NULL || !json_is_null(json_object_get(full, "deletedAt"))
           ? 0 : files_changed(f, conversation, id, m,
                               json_integer_value(
                                   json_object_get(full, "changeSeq")));

    json_decref(m);
    json_decref(full);

    return done;
}


static int
found_one(files_t *f, const json_t *record, const scan_answer_t *scan)
{
    const char  *conversation, *id;

    id = json_string_value(json_object_get(record, "id"));
    conversation = json_string_value(json_object_get(record,
                                                     "conversationId"));

    log_warn("infected_later", "id=%s conversation=%s finding=\"%s\"", id,
             conversation, scan->text);

    if (found_tell(f, conversation, record) != 0) {
        return -1;
    }

    return files_put(f, conversation, "-", found_record(record, scan));
}


/* The bytes.  Another upload of them that is under way puts them anew, and
 * finds out by itself. */
static int
found_remove(files_t *f, const char *hash)
{
    int   i;
    char  key[BLOB_KEY_SIZE];

    static const char *const  exts[] = { ".jpg", ".png" };

    for (i = 0; i < 2 * THUMB_SIZES; i++) {
        snprintf(key, sizeof(key), "%s-%s%s", hash, thumb_name(i / 2),
                 exts[i % 2]);

        if (blob_delete(f->blob, key) != BLOB_OK) {
            return -1;
        }
    }

    return blob_delete(f->blob, hash) == BLOB_OK ? 0 : -1;
}


int
files_infected(files_t *f, const char *hash, const scan_answer_t *scan)
{
    int             rc;
    size_t          i;
    json_t         *list, *record;
    store_t        *st;
    int64_t         total;
    store_rc_t      src;
    store_files_t   q;

    st = role_store(f->role);
    if (st == NULL) {
        return -1;
    }

    memset(&q, 0, sizeof(q));
    q.hash = hash;
    q.scan_status = "clean";
    q.page = 1;
    q.limit = FOUND_PAGE;

    src = store_files(st, &q, &list, &total);
    role_store_result(f->role, src);

    if (src != STORE_OK) {
        return -1;
    }

    rc = total > (int64_t) json_array_size(list) ? -1 : 0;

    json_array_foreach(list, i, record) {
        if (found_one(f, record, scan) != 0) {
            rc = -1;
            break;
        }
    }

    /* more than a page: the rest with the next try */

    if (rc == 0 && json_array_size(list) > 0) {
        rc = found_remove(f, hash);
    }

    json_decref(list);

    return rc;
}


/* Which engine and signatures are in use?  Scanning nothing tells. */
static int
found_engine(files_t *f, scan_answer_t *out)
{
    int  fd;

    fd = memfd_create("nothing", MFD_CLOEXEC);
    if (fd < 0) {
        return -1;
    }

    files_scan(f, fd, out);
    close(fd);

    return out->rc == SCAN_CLEAN ? 0 : -1;
}


/* The bytes of a record, in a file without a name.  -1: not now. */
static int
found_fetch(files_t *f, const char *hash, blob_rc_t *rc)
{
    int          fd;
    blob_stat_t  st;

    fd = openat(f->spool, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_error("rescan", "error=\"%s\"", strerror(errno));
        *rc = BLOB_DOWN;
        return -1;
    }

    *rc = blob_get(f->blob, hash, fd, &st);

    if (*rc != BLOB_OK) {
        close(fd);
        return -1;
    }

    return fd;
}


/* Still clean, or no longer to be judged: which by now, so that it is not
 * looked at again and again. */
static int
found_same(files_t *f, const json_t *record, const scan_answer_t *scan)
{
    char     now[WRT_TIME_LEN + 1];
    json_t  *o, *security;

    wrt_time_format(now_ms(), now);

    o = json_deep_copy(record);
    json_object_del(o, "downloadCount");
    json_object_del(o, "lastAccessedAt");
    json_object_set_new(o, "rev", json_integer(
        json_integer_value(json_object_get(record, "rev")) + 1));

    security = json_object_get(o, "security");
    json_object_set_new(security, "scannedAt", json_string(now));
    json_object_set_new(security, "scanResult", json_pack(
        "{s:s, s:s*}", "engine", scan->about, "reason",
        scan->text[0] ? scan->text : NULL));

    return files_put(f, json_string_value(json_object_get(record,
                                                          "conversationId")),
                     "-", o);
}


/* The scanner ended with it in hand: by chance, or each time?  Then it is
 * passed over until there is another engine. */
static void
found_deadly(files_t *f, const json_t *record, const char *hash,
    scan_answer_t *scan)
{
    if (strcmp(f->deadly, hash) != 0) {
        text_copy(f->deadly, sizeof(f->deadly), hash);
        f->deaths = 0;
    }

    f->deaths++;
    log_error("scanner_died", "key=%s try=%d of=%d error=\"%s\"", hash,
              f->deaths, WRT_JOB_TRIES, scan->text);

    if (f->deaths < WRT_JOB_TRIES) {
        return;
    }

    f->deaths = 0;
    text_copy(scan->about, sizeof(scan->about), f->engine);
    text_copy(scan->text, sizeof(scan->text), "the scanner dies of it");
    (void) found_same(f, record, scan);
}


static void
found_rescan(files_t *f, const json_t *record)
{
    int             fd;
    blob_rc_t       rc;
    const char     *hash;
    scan_answer_t   scan;

    hash = json_string_value(json_object_get(record, "fileHash"));

    fd = found_fetch(f, hash, &rc);

    if (fd < 0) {
        if (rc == BLOB_NOT_FOUND) {
            /* nothing to serve, and nothing to look at again */
            memset(&scan, 0, sizeof(scan));
            text_copy(scan.about, sizeof(scan.about), f->engine);
            text_copy(scan.text, sizeof(scan.text), "its bytes are missing");
            log_error("blob_missing", "id=%s key=%s", json_string_value(
                      json_object_get(record, "id")), hash);
            (void) found_same(f, record, &scan);
        }

        return;
    }

    files_scan(f, fd, &scan);
    close(fd);

    switch (scan.rc) {

    case SCAN_INFECTED:
        (void) files_infected(f, hash, &scan);
        break;

    case SCAN_CLEAN:
    case SCAN_ERROR:
        (void) found_same(f, record, &scan);
        break;

    default:
        if (scan.died) {
            found_deadly(f, record, hash, &scan);
        }
    }
}


void
files_look_again(files_t *f)
{
    json_t         *list;
    store_t        *st;
    int64_t         total;
    store_rc_t      rc;
    scan_answer_t   scan;
    store_files_t   q;

    if (mono_ms() < f->look_at || f->cf->scan.kind == SCAN_NOTHING) {
        return;
    }

    f->look_at = mono_ms() + FOUND_IDLE_MS;
    st = role_store(f->role);

    if (st == NULL || found_engine(f, &scan) != 0) {
        return;
    }

    text_copy(f->engine, sizeof(f->engine), scan.about);

    memset(&q, 0, sizeof(q));
    q.scan_status = "clean";
    q.not_engine = f->engine;
    q.present = 1;
    q.oldest = 1;
    q.page = 1;
    q.limit = 1;

    rc = store_files(st, &q, &list, &total);
    role_store_result(f->role, rc);

    if (rc != STORE_OK) {
        return;
    }

    if (json_array_size(list) > 0) {
        found_rescan(f, json_array_get(list, 0));
        f->look_at = mono_ms() + FOUND_PAUSE_MS;
    }

    json_decref(list);
}
