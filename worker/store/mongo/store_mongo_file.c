/*
 * store_mongo_file.c: records of files in MongoDB, collection fileUploads.
 */

#include <string.h>

#include "worker/store/mongo/store_mongo.h"

/* {"$ifNull": ["$path", value]} */
#define OR_ELSE(path, value)                                                  \
    "{", "$ifNull", "[", BCON_UTF8(path), value, "]", "}"


typedef void (*file_write_pt)(mongoc_bulk_operation_t *bulk,
    const store_op_t *op);


/* What the record says; nothing in it is an expression. */
static void
append_record(bson_t *b, const store_file_row_t *f)
{
    bson_t  literal, sub;

    BSON_APPEND_DOCUMENT_BEGIN(b, "$literal", &literal);

    BSON_APPEND_INT64(&literal, "rev", f->rev);
    mg_append_text(&literal, "messageId", f->message);
    BSON_APPEND_UTF8(&literal, "conversationId", f->conversation);
    BSON_APPEND_UTF8(&literal, "uploadedBy", f->uploader);
    BSON_APPEND_UTF8(&literal, "fileName", f->name);
    BSON_APPEND_UTF8(&literal, "originalFileName", f->original);
    BSON_APPEND_INT64(&literal, "fileSize", f->size);
    BSON_APPEND_UTF8(&literal, "mimeType", f->mime);
    BSON_APPEND_UTF8(&literal, "fileHash", f->hash);
    mg_append_json(&literal, "storage", f->storage);

    BSON_APPEND_DOCUMENT_BEGIN(&literal, "security", &sub);
    BSON_APPEND_UTF8(&sub, "scanStatus", f->scan_status);
    mg_append_json(&sub, "scanResult", f->scan_result);
    mg_append_time(&sub, "scannedAt", f->scanned_at);
    BSON_APPEND_BOOL(&sub, "isEncrypted", f->encrypted);
    bson_append_document_end(&literal, &sub);

    mg_append_json(&literal, "thumbnails", f->thumbnails);
    BSON_APPEND_INT64(&literal, "width", f->width);
    BSON_APPEND_INT64(&literal, "height", f->height);
    BSON_APPEND_INT64(&literal, "pages", f->pages);

    bson_append_document_end(b, &literal);
}


/* What stays when a later record comes: whether it is public, counts, when it
 * was made, and that it was deleted. */
static void
append_kept(bson_t *b, const store_file_row_t *f)
{
    bson_t  deleted, list;

    BCON_APPEND(b, "access", "{",
                "isPublic", OR_ELSE("$access.isPublic",
                                    BCON_BOOL(f->public)),
                "allowedUsers", "[", "]",
                "downloadCount", OR_ELSE("$access.downloadCount",
                                         BCON_INT64(0)),
                "lastAccessedAt", OR_ELSE("$access.lastAccessedAt",
                                          BCON_NULL),
                "entry", OR_ELSE("$access.entry", BCON_INT64(0)),
                "}",
                "createdAt", OR_ELSE("$createdAt",
                                     BCON_DATE_TIME(f->created_at)),
                "updatedAt", "{", "$max", "[", BCON_UTF8("$updatedAt"),
                    BCON_DATE_TIME(f->updated_at), "]", "}");

    BSON_APPEND_DOCUMENT_BEGIN(b, "deletedAt", &deleted);
    BSON_APPEND_ARRAY_BEGIN(&deleted, "$ifNull", &list);
    BSON_APPEND_UTF8(&list, "0", "$deletedAt");
    mg_append_time(&list, "1", f->deleted_at);
    bson_append_array_end(&deleted, &list);
    bson_append_document_end(b, &deleted);
}


/* A later rev wins. */
static void
put_file(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    bson_t            *update, stage, with, cond, merged, list, part;
    store_file_row_t   f;

    store_file_row(op->body, &f);

    update = bson_new();
    BSON_APPEND_DOCUMENT_BEGIN(update, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$replaceWith", &with);
    BSON_APPEND_ARRAY_BEGIN(&with, "$cond", &cond);

    BCON_APPEND(&cond, "0", "{", "$lt", "[", OR_ELSE("$rev", BCON_INT64(0)),
                BCON_INT64(f.rev), "]", "}");

    BSON_APPEND_DOCUMENT_BEGIN(&cond, "1", &merged);
    BSON_APPEND_ARRAY_BEGIN(&merged, "$mergeObjects", &list);
    BSON_APPEND_UTF8(&list, "0", "$$ROOT");
    BSON_APPEND_DOCUMENT_BEGIN(&list, "1", &part);
    append_record(&part, &f);
    bson_append_document_end(&list, &part);
    BSON_APPEND_DOCUMENT_BEGIN(&list, "2", &part);
    append_kept(&part, &f);
    bson_append_document_end(&list, &part);
    bson_append_array_end(&merged, &list);
    bson_append_document_end(&cond, &merged);

    BSON_APPEND_UTF8(&cond, "2", "$$ROOT");
    bson_append_array_end(&with, &cond);
    bson_append_document_end(&stage, &with);
    bson_append_document_end(update, &stage);

    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->id)), update, true);
}


static void
count_access(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    mg_bulk_update(bulk,
                   BCON_NEW("_id", BCON_UTF8(op->id),
                            "access.entry", "{", "$lt", BCON_INT64(op->seq),
                            "}"),
                   BCON_NEW("$inc", "{", "access.downloadCount",
                                BCON_INT64(1), "}",
                            "$max", "{", "access.lastAccessedAt",
                                BCON_DATE_TIME(op->at), "}",
                            "$set", "{", "access.entry", BCON_INT64(op->seq),
                            "}"),
                   false);
}


static void
set_public(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    mg_bulk_update(bulk, BCON_NEW("_id", BCON_UTF8(op->id)),
                   BCON_NEW("$set", "{", "access.isPublic",
                                BCON_BOOL(op->on), "}",
                            "$max", "{", "updatedAt", BCON_DATE_TIME(op->at),
                                "}"),
                   false);
}


/* Findings are kept: there is something to tell of them. */
static void
give_up_file(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    mg_bulk_update(bulk,
                   BCON_NEW("_id", BCON_UTF8(op->id),
                            "deletedAt", BCON_NULL,
                            "security.scanStatus", "{", "$nin", "[",
                                BCON_UTF8("infected"), BCON_UTF8("error"),
                            "]", "}"),
                   BCON_NEW("$set", "{", "deletedAt", BCON_DATE_TIME(op->at),
                                "}",
                            "$max", "{", "updatedAt", BCON_DATE_TIME(op->at),
                                "}"),
                   false);
}


/* That of a deleted message. */
static void
delete_file(mongoc_bulk_operation_t *bulk, const store_op_t *op)
{
    mg_bulk_update(bulk,
                   BCON_NEW("messageId", BCON_UTF8(op->id),
                            "deletedAt", BCON_NULL),
                   BCON_NEW("$set", "{", "deletedAt", BCON_DATE_TIME(op->at),
                                "}",
                            "$max", "{", "updatedAt", BCON_DATE_TIME(op->at),
                                "}"),
                   false);
}


/* NULL: not a file's. */
static file_write_pt
file_writer(store_op_kind_t kind)
{
    switch (kind) {

    case STORE_OP_FILE:
        return put_file;

    case STORE_OP_ACCESS:
        return count_access;

    case STORE_OP_PUBLIC:
        return set_public;

    case STORE_OP_GIVE_UP:
        return give_up_file;

    case STORE_OP_DELETE:
        return delete_file;

    default:
        return NULL;
    }
}


store_rc_t
mg_write_files(store_mongo_t *st, store_plan_t *p, int *again)
{
    size_t                    i;
    store_rc_t                rc;
    mg_result_t               res;
    file_write_pt             write;
    const store_op_t         *op;
    mongoc_bulk_operation_t  *bulk;

    bulk = NULL;

    for (i = 0; i < p->nops; i++) {
        op = &p->ops[i];
        write = file_writer(op->kind);

        if (write == NULL) {
            continue;
        }

        if (bulk == NULL) {
            bulk = mg_bulk(st->files, true);
        }

        write(bulk, op);
    }

    if (bulk == NULL) {
        return STORE_OK;
    }

    rc = mg_bulk_run(st, bulk, "write files", &res, NULL);

    /* two upserts met; an ordered bulk write stopped there */
    *again = *again || res.repeats;

    return rc;
}


/* Takes the row's JSON over where it is needed. */
static json_t *
read_row(const json_t *row)
{
    json_t            *security, *access, *v;
    store_file_row_t   f;

    memset(&f, 0, sizeof(f));
    security = json_object_get(row, "security");
    access = json_object_get(row, "access");

    f.id = mg_text(row, "_id");
    f.rev = mg_int(row, "rev");
    f.conversation = mg_text(row, "conversationId");
    f.message = mg_text(row, "messageId");
    f.uploader = mg_text(row, "uploadedBy");
    f.name = mg_text(row, "fileName");
    f.original = mg_text(row, "originalFileName");
    f.size = mg_int(row, "fileSize");
    f.mime = mg_text(row, "mimeType");
    f.hash = mg_text(row, "fileHash");
    f.scan_status = mg_text(security, "scanStatus");
    f.scanned_at = mg_time(security, "scannedAt");
    f.encrypted = json_is_true(json_object_get(security, "isEncrypted"));
    f.public = json_is_true(json_object_get(access, "isPublic"));
    f.width = mg_int(row, "width");
    f.height = mg_int(row, "height");
    f.pages = mg_int(row, "pages");
    f.created_at = mg_time(row, "createdAt");
    f.updated_at = mg_time(row, "updatedAt");
    f.deleted_at = mg_time(row, "deletedAt");
    f.downloads = mg_int(access, "downloadCount");
    f.accessed_at = mg_time(access, "lastAccessedAt");

    v = json_object_get(row, "storage");
    f.storage = json_is_object(v) ? json_incref(v) : NULL;
    v = json_object_get(security, "scanResult");
    f.scan_result = json_is_object(v) ? json_incref(v) : NULL;
    v = json_object_get(row, "thumbnails");
    f.thumbnails = json_is_array(v) ? json_incref(v) : NULL;

    return store_doc_file(&f);
}


store_rc_t
store_mongo_file(store_t *base, const char *id, json_t **out)
{
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    return mg_read(st, st->files, id, read_row, out);
}


static bson_t *
query(const store_files_t *q)
{
    bson_t  *b;

    b = bson_new();

    if (q->hash) {
        BSON_APPEND_UTF8(b, "fileHash", q->hash);
    }

    if (q->scan_status) {
        BSON_APPEND_UTF8(b, "security.scanStatus", q->scan_status);
    }

    if (q->conversation) {
        BSON_APPEND_UTF8(b, "conversationId", q->conversation);
    }

    if (q->not_engine) {
        BCON_APPEND(b, "security.scanResult.engine", "{", "$ne",
                    BCON_UTF8(q->not_engine), "}");
    }

    if (q->present) {
        BSON_APPEND_NULL(b, "deletedAt");
    }

    return b;
}


static store_rc_t
count_files(store_mongo_t *st, bson_t *b, int64_t *n)
{
    bson_error_t  error;

    *n = mongoc_collection_count_documents(st->files, b, NULL, NULL, NULL,
                                           &error);
    bson_destroy(b);

    if (*n < 0) {
        *n = 0;
        return store_fail(&st->base, STORE_DOWN, "MongoDB: count files: %s",
                          error.message);
    }

    return STORE_OK;
}


store_rc_t
store_mongo_files(store_t *base, const store_files_t *q, json_t **out,
    int64_t *total)
{
    size_t          i;
    bson_t         *opts;
    json_t         *rows, *row;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    if (count_files(st, query(q), total) != STORE_OK) {
        return STORE_DOWN;
    }

    opts = bson_new();

    if (q->oldest) {
        BCON_APPEND(opts, "sort", "{", "security.scannedAt", BCON_INT32(1),
                    "_id", BCON_INT32(1), "}");

    } else {
        BCON_APPEND(opts, "sort", "{", "createdAt", BCON_INT32(-1),
                    "_id", BCON_INT32(-1), "}");
    }

    BSON_APPEND_INT64(opts, "skip", (int64_t) (q->page - 1) * q->limit);
    BSON_APPEND_INT64(opts, "limit", q->limit);

    rows = mg_find(st, st->files, query(q), opts);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    *out = json_array();

    json_array_foreach(rows, i, row) {
        store_doc_append(*out, read_row(row));
    }

    json_decref(rows);

    return STORE_OK;
}


store_rc_t
store_mongo_file_refs(store_t *base, const char *hash, int64_t *n)
{
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    return count_files(st, BCON_NEW("fileHash", BCON_UTF8(hash),
                                    "storage", "{", "$ne", BCON_NULL, "}",
                                    "deletedAt", BCON_NULL), n);
}
