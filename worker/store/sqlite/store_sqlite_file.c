/*
 * store_sqlite_file.c: records of files in SQLite.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define FILE_COLUMNS                                                          \
    "id, rev, conversation, message, uploaded_by, file_name, original_name,"  \
    " file_size, mime_type, file_hash, storage, scan_status, scan_result,"    \
    " scanned_at, is_encrypted, is_public, width, height, pages, thumbnails," \
    " created_at, updated_at, deleted_at"


static void
bind_row(store_sqlite_t *st, sqlite3_stmt *s, const store_file_row_t *f)
{
    sq_bind_text(s, 1, f->id);
    sqlite3_bind_int64(s, 2, f->rev);
    sq_bind_text(s, 3, f->conversation);
    sq_bind_text(s, 4, f->message);
    sq_bind_text(s, 5, f->uploader);
    sq_bind_text(s, 6, f->name);
    sq_bind_text(s, 7, f->original);
    sqlite3_bind_int64(s, 8, f->size);
    sq_bind_text(s, 9, f->mime);
    sq_bind_text(s, 10, f->hash);
    sq_bind_json(st, s, 11, f->storage);
    sq_bind_text(s, 12, f->scan_status);
    sq_bind_json(st, s, 13, f->scan_result);
    sq_bind_time(s, 14, f->scanned_at);
    sqlite3_bind_int(s, 15, f->encrypted);
    sqlite3_bind_int(s, 16, f->public);
    sqlite3_bind_int64(s, 17, f->width);
    sqlite3_bind_int64(s, 18, f->height);
    sqlite3_bind_int64(s, 19, f->pages);
    sq_bind_json(st, s, 20, f->thumbnails);
    sqlite3_bind_int64(s, 21, f->created_at);
    sqlite3_bind_int64(s, 22, f->updated_at);
    sq_bind_time(s, 23, f->deleted_at);
    sq_bind_text(s, 24, f->engine);
}


/* A later rev wins; what is deleted stays so, and whether it is public is
 * another event's to say. */
store_rc_t
sq_put_file(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt      *s;
    store_file_row_t   f;

    s = sq_get(st, SQ_PUT_FILE,
               "INSERT INTO file_upload (" FILE_COLUMNS ", engine)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
               " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)"
               " ON CONFLICT DO UPDATE SET rev = excluded.rev,"
               " message = excluded.message, file_name = excluded.file_name,"
               " storage = excluded.storage,"
               " scan_status = excluded.scan_status,"
               " scan_result = excluded.scan_result,"
               " engine = excluded.engine, scanned_at = excluded.scanned_at,"
               " is_encrypted = excluded.is_encrypted,"
               " width = excluded.width,"
               " height = excluded.height, pages = excluded.pages,"
               " thumbnails = excluded.thumbnails,"
               " updated_at = max(updated_at, excluded.updated_at),"
               " deleted_at = coalesce(deleted_at, excluded.deleted_at)"
               " WHERE excluded.rev > rev");
    if (s == NULL) {
        return STORE_DOWN;
    }

    store_file_row(op->body, &f);
    bind_row(st, s, &f);

    return sq_run(st, s);
}


store_rc_t
sq_count_access(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_ACCESS_FILE,
               "UPDATE file_upload SET download_count = download_count + 1,"
               " accessed_at = max(coalesce(accessed_at, 0), ?2),"
               " accessed_entry = ?3 WHERE id = ?1 AND accessed_entry < ?3");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, op->at);
    sqlite3_bind_int64(s, 3, op->seq);

    return sq_run(st, s);
}


store_rc_t
sq_set_public(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_PUBLIC_FILE,
               "UPDATE file_upload SET is_public = ?2,"
               " updated_at = max(updated_at, ?3) WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sqlite3_bind_int(s, 2, op->on);
    sqlite3_bind_int64(s, 3, op->at);

    return sq_run(st, s);
}


/* Findings are kept: there is something to tell of them. */
store_rc_t
sq_give_up_file(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_GIVE_UP_FILE,
               "UPDATE file_upload SET deleted_at = ?2,"
               " updated_at = max(updated_at, ?2)"
               " WHERE id = ?1 AND deleted_at IS NULL"
               " AND scan_status NOT IN ('infected', 'error')");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, op->at);

    return sq_run(st, s);
}


store_rc_t
sq_delete_file(store_sqlite_t *st, const store_op_t *op)
{
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_DELETE_FILE,
               "UPDATE file_upload SET deleted_at = ?2,"
               " updated_at = max(updated_at, ?2)"
               " WHERE message = ?1 AND deleted_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, op->at);

    return sq_run(st, s);
}


/* A row of FILE_COLUMNS, download_count, accessed_at. */
static store_rc_t
read_row(store_sqlite_t *st, sqlite3_stmt *s, json_t **out)
{
    store_file_row_t  f;

    memset(&f, 0, sizeof(f));

    f.id = sq_text(st, s, 0);
    f.rev = sqlite3_column_int64(s, 1);
    f.conversation = sq_text(st, s, 2);
    f.message = sq_text(st, s, 3);
    f.uploader = sq_text(st, s, 4);
    f.name = sq_text(st, s, 5);
    f.original = sq_text(st, s, 6);
    f.size = sqlite3_column_int64(s, 7);
    f.mime = sq_text(st, s, 8);
    f.hash = sq_text(st, s, 9);
    f.scan_status = sq_text(st, s, 11);
    f.scanned_at = sq_time(s, 13);
    f.encrypted = sqlite3_column_int(s, 14);
    f.public = sqlite3_column_int(s, 15);
    f.width = sqlite3_column_int64(s, 16);
    f.height = sqlite3_column_int64(s, 17);
    f.pages = sqlite3_column_int64(s, 18);
    f.created_at = sqlite3_column_int64(s, 20);
    f.updated_at = sqlite3_column_int64(s, 21);
    f.deleted_at = sq_time(s, 22);
    f.downloads = sqlite3_column_int64(s, 23);
    f.accessed_at = sq_time(s, 24);

    if (sq_json(st, s, 10, &f.storage) != 0
        || sq_json(st, s, 12, &f.scan_result) != 0
        || sq_json(st, s, 19, &f.thumbnails) != 0)
    {
        json_decref(f.storage);
        json_decref(f.scan_result);
        json_decref(f.thumbnails);
        return STORE_DOWN;
    }

    *out = store_doc_file(&f);

    return STORE_OK;
}


store_rc_t
store_sqlite_file(store_t *base, const char *id, json_t **out)
{
    int              step;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_FILE,
               "SELECT " FILE_COLUMNS ", download_count, accessed_at"
               " FROM file_upload WHERE id = ?1");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, id);
    step = sqlite3_step(s);
    rc = step == SQLITE_ROW ? read_row(st, s, out) : STORE_NOT_FOUND;

    return sq_done(st, s, step) == STORE_OK ? rc : STORE_DOWN;
}


/* " WHERE ..." of the wishes that there are. */
static void
where(char *sql, size_t size, const store_files_t *q)
{
    snprintf(sql, size, " FROM file_upload WHERE 1%s%s%s%s%s",
             q->hash ? " AND file_hash = ?1" : "",
             q->scan_status ? " AND scan_status = ?2" : "",
             q->conversation ? " AND conversation = ?3" : "",
             q->not_engine ? " AND coalesce(engine, '') <> ?4" : "",
             q->present ? " AND deleted_at IS NULL" : "");
}


/* Which files are asked for seldom, in many ways: not kept prepared. */
static sqlite3_stmt *
prepare(store_sqlite_t *st, const char *what, const store_files_t *q,
    const char *order)
{
    char           sql[1024], conditions[256];
    sqlite3_stmt  *s;

    where(conditions, sizeof(conditions), q);
    snprintf(sql, sizeof(sql), "SELECT %s%s%s", what, conditions, order);

    if (sqlite3_prepare_v2(st->db, sql, -1, &s, NULL) != SQLITE_OK) {
        sq_down(st, "prepare");
        return NULL;
    }

    /* what is not in the text is out of range, and that is fine */
    sq_bind_text(s, 1, q->hash);
    sq_bind_text(s, 2, q->scan_status);
    sq_bind_text(s, 3, q->conversation);
    sq_bind_text(s, 4, q->not_engine);

    return s;
}


static store_rc_t
count(store_sqlite_t *st, const store_files_t *q, int64_t *n)
{
    int            step;
    sqlite3_stmt  *s;

    s = prepare(st, "count(*)", q, "");
    if (s == NULL) {
        return STORE_DOWN;
    }

    step = sqlite3_step(s);
    *n = step == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

    if (step != SQLITE_ROW) {
        sq_down(st, "count files");
    }

    sqlite3_finalize(s);

    return step == SQLITE_ROW ? STORE_OK : STORE_DOWN;
}


store_rc_t
store_sqlite_files(store_t *base, const store_files_t *q, json_t **out,
    int64_t *total)
{
    int              step;
    json_t          *o;
    store_rc_t       rc;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (count(st, q, total) != STORE_OK) {
        return STORE_DOWN;
    }

    s = prepare(st, FILE_COLUMNS ", download_count, accessed_at", q,
                q->oldest ? " ORDER BY scanned_at, id LIMIT ?5 OFFSET ?6"
                          : " ORDER BY created_at DESC, id DESC"
                            " LIMIT ?5 OFFSET ?6");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int(s, 5, q->limit);
    sqlite3_bind_int64(s, 6, (int64_t) (q->page - 1) * q->limit);

    *out = json_array();
    rc = STORE_OK;

    while ((step = sqlite3_step(s)) == SQLITE_ROW && rc == STORE_OK) {
        rc = read_row(st, s, &o);

        if (rc == STORE_OK) {
            store_doc_append(*out, o);
        }
    }

    if (rc == STORE_OK && step != SQLITE_DONE) {
        rc = sq_down(st, "list files");
    }

    sqlite3_finalize(s);

    return rc;
}


store_rc_t
store_sqlite_file_refs(store_t *base, const char *hash, int64_t *n)
{
    int              step;
    sqlite3_stmt    *s;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    s = sq_get(st, SQ_FILE_REFS,
               "SELECT count(*) FROM file_upload WHERE file_hash = ?1"
               " AND storage IS NOT NULL AND deleted_at IS NULL");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, hash);
    step = sqlite3_step(s);

    if (step == SQLITE_ROW) {
        *n = sqlite3_column_int64(s, 0);
    }

    return sq_done(st, s, step);
}
