/*
 * store_file.c: records of files: checked when they come, as documents when
 * they go.  The same for both stores.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/store/store_internal.h"

#define FILE_HASH_LEN  64

/* An entry of a stream, <ms>-<n>, as one number that only grows. */
#define FILE_ENTRY_BITS  20


static const char *const  file_states[] = {
    "pending", "scanning", "clean", "infected", "error", NULL
};


static int
file_size_ok(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0;
}


int
store_file_content(const json_t *content)
{
    const char    *name, *text;
    const json_t  *info;

    info = json_object_get(content, "fileInfo");
    name = store_plan_text(info, "fileName");
    text = store_plan_text(content, "text");

    return store_plan_id(store_plan_text(info, "fileId"))
           && name && name[0] && strlen(name) <= WRT_FILE_NAME_MAX
           && file_size_ok(json_object_get(info, "fileSize"))
           && store_plan_text(info, "fileType")
           && store_plan_text(info, "scanStatus")
           && store_plan_optional(info, "downloadUrl", JSON_STRING)
           && store_plan_optional(info, "thumbnailUrl", JSON_STRING)
           && (text == NULL || strlen(text) <= WRT_DESCRIPTION_MAX);
}


static const char *
file_state(const json_t *security)
{
    unsigned     i;
    const char  *s;

    s = store_plan_text(security, "scanStatus");

    for (i = 0; s && file_states[i]; i++) {
        if (strcmp(s, file_states[i]) == 0) {
            return file_states[i];
        }
    }

    return NULL;
}


/* A time, or null: 0, else -1. */
static int
file_time(const json_t *object, const char *key, int64_t *ms)
{
    const json_t  *v;

    v = json_object_get(object, key);
    *ms = STORE_NO_TIME;

    return v == NULL || json_is_null(v) ? 0 : store_plan_time(object, key, ms);
}


static const char *
file_put(store_op_t *op, const event_t *ev)
{
    int64_t        at;
    const char    *s;
    const json_t  *f, *security;

    f = json_object_get(ev->body, "file");
    security = json_object_get(f, "security");

    op->kind = STORE_OP_FILE;
    op->id = store_plan_text(f, "id");
    op->body = (json_t *) f;
    op->seq = json_integer_value(json_object_get(f, "rev"));

    if (!store_plan_id(op->id)) {
        return "file.id is not an id";
    }

    if (op->seq < 1) {
        return "file.rev is not a number from 1 on";
    }

    s = store_plan_text(f, "conversationId");
    if (s == NULL || strcmp(s, ev->conversation) != 0) {
        return "file.conversationId is another conversation";
    }

    if (!store_plan_id(store_plan_text(f, "uploadedBy"))
        || (store_plan_text(f, "messageId")
            && !store_plan_id(store_plan_text(f, "messageId"))))
    {
        return "file.uploadedBy or file.messageId is not an id";
    }

    s = store_plan_text(f, "fileHash");
    if (s == NULL || strlen(s) != FILE_HASH_LEN
        || strspn(s, "0123456789abcdef") != FILE_HASH_LEN)
    {
        return "file.fileHash is no SHA-256";
    }

    if (store_plan_text(f, "fileName") == NULL
        || store_plan_text(f, "originalFileName") == NULL
        || store_plan_text(f, "mimeType") == NULL
        || !file_size_ok(json_object_get(f, "fileSize")))
    {
        return "file.fileName, originalFileName, mimeType or fileSize is"
               " missing";
    }

    if (file_state(security) == NULL
        || !store_plan_optional(security, "scanResult", JSON_OBJECT)
        || file_time(security, "scannedAt", &at) != 0)
    {
        return "file.security is none";
    }

    if (!store_plan_optional(f, "storage", JSON_OBJECT)
        || !store_plan_optional(f, "thumbnails", JSON_ARRAY))
    {
        return "file.storage or file.thumbnails is of the wrong type";
    }

    if (store_plan_time(f, "createdAt", &at) != 0
        || store_plan_time(f, "updatedAt", &at) != 0
        || file_time(f, "deletedAt", &at) != 0)
    {
        return "a time of file is none";
    }

    return NULL;
}


static const char *
file_accessed(store_op_t *op, const event_t *ev)
{
    char  *end;

    op->kind = STORE_OP_ACCESS;
    op->id = store_plan_text(ev->body, "fileId");

    if (!store_plan_id(op->id)) {
        return "fileId is not an id";
    }

    if (store_plan_time(ev->body, "at", &op->at) != 0) {
        return "at is not a time";
    }

    /* once, however often the batch is repeated */

    op->seq = strtoll(ev->entry_id ? ev->entry_id : "", &end, 10)
              << FILE_ENTRY_BITS;

    if (*end == '-') {
        op->seq |= atol(end + 1) & ((1 << FILE_ENTRY_BITS) - 1);
    }

    return NULL;
}


static const char *
file_public(store_op_t *op, const event_t *ev)
{
    const json_t  *v;

    op->kind = STORE_OP_PUBLIC;
    op->id = store_plan_text(ev->body, "fileId");
    v = json_object_get(ev->body, "isPublic");

    if (!store_plan_id(op->id)) {
        return "fileId is not an id";
    }

    if (!json_is_boolean(v)) {
        return "isPublic is neither true nor false";
    }

    op->on = json_is_true(v);

    return store_plan_time(ev->body, "at", &op->at) != 0
           ? "at is not a time" : NULL;
}


static const char *
file_given_up(store_op_t *op, const event_t *ev)
{
    op->kind = STORE_OP_GIVE_UP;
    op->id = store_plan_text(ev->body, "fileId");

    if (!store_plan_id(op->id)) {
        return "fileId is not an id";
    }

    return store_plan_time(ev->body, "at", &op->at) != 0
           ? "at is not a time" : NULL;
}


const char *
store_plan_file(store_op_t *op, const event_t *ev)
{
    const char  *what;

    if (op->conv == NULL) {
        return "not a conversation id";
    }

    what = store_plan_text(ev->body, "op");

    if (what && strcmp(what, "put") == 0) {
        return file_put(op, ev);
    }

    if (what && strcmp(what, "accessed") == 0) {
        return file_accessed(op, ev);
    }

    if (what && strcmp(what, "public") == 0) {
        return file_public(op, ev);
    }

    if (what && strcmp(what, "given_up") == 0) {
        return file_given_up(op, ev);
    }

    return "op is not put, accessed, public or given_up";
}


static json_t *
file_or_null(json_t *v)
{
    return json_is_null(v) ? NULL : v;
}


void
store_file_row(const json_t *f, store_file_row_t *out)
{
    const json_t  *security;

    memset(out, 0, sizeof(store_file_row_t));
    security = json_object_get(f, "security");

    out->id = store_plan_text(f, "id");
    out->rev = json_integer_value(json_object_get(f, "rev"));
    out->conversation = store_plan_text(f, "conversationId");
    out->message = store_plan_text(f, "messageId");
    out->uploader = store_plan_text(f, "uploadedBy");
    out->name = store_plan_text(f, "fileName");
    out->original = store_plan_text(f, "originalFileName");
    out->size = json_integer_value(json_object_get(f, "fileSize"));
    out->mime = store_plan_text(f, "mimeType");
    out->hash = store_plan_text(f, "fileHash");
    out->storage = file_or_null(json_object_get(f, "storage"));
    out->scan_status = file_state(security);
    out->scan_result = file_or_null(json_object_get(security, "scanResult"));
    out->engine = store_plan_text(out->scan_result, "engine");
    out->encrypted = json_is_true(json_object_get(security, "isEncrypted"));
    out->public = json_is_true(json_object_get(f, "isPublic"));
    out->width = json_integer_value(json_object_get(f, "width"));
    out->height = json_integer_value(json_object_get(f, "height"));
    out->pages = json_integer_value(json_object_get(f, "pages"));
    out->thumbnails = file_or_null(json_object_get(f, "thumbnails"));
    out->accessed_at = STORE_NO_TIME;

    (void) file_time(security, "scannedAt", &out->scanned_at);
    (void) file_time(f, "createdAt", &out->created_at);
    (void) file_time(f, "updatedAt", &out->updated_at);
    (void) file_time(f, "deletedAt", &out->deleted_at);
}


json_t *
store_doc_file(store_file_row_t *f)
{
    json_t  *o, *security;

    o = json_object();

    store_doc_set(o, "id", store_doc_string(f->id));
    store_doc_set(o, "rev", json_integer(f->rev));
    store_doc_set(o, "conversationId", store_doc_string(f->conversation));
    store_doc_set(o, "messageId", store_doc_string(f->message));
    store_doc_set(o, "uploadedBy", store_doc_string(f->uploader));
    store_doc_set(o, "fileName", store_doc_string(f->name));
    store_doc_set(o, "originalFileName", store_doc_string(f->original));
    store_doc_set(o, "fileSize", json_integer(f->size));
    store_doc_set(o, "mimeType", store_doc_string(f->mime));
    store_doc_set(o, "fileHash", store_doc_string(f->hash));
    store_doc_set(o, "storage", f->storage ? f->storage : json_null());

    security = json_object();
    store_doc_set(security, "scanStatus", store_doc_string(f->scan_status));
    store_doc_set(security, "scanResult",
                  f->scan_result ? f->scan_result : json_null());
    store_doc_set(security, "scannedAt", store_doc_time(f->scanned_at));
    store_doc_set(security, "isEncrypted", json_boolean(f->encrypted));
    store_doc_set(o, "security", security);

    store_doc_set(o, "isPublic", json_boolean(f->public));
    store_doc_set(o, "downloadCount", json_integer(f->downloads));
    store_doc_set(o, "lastAccessedAt", store_doc_time(f->accessed_at));
    store_doc_set(o, "width", json_integer(f->width));
    store_doc_set(o, "height", json_integer(f->height));
    store_doc_set(o, "pages", json_integer(f->pages));
    store_doc_set(o, "thumbnails",
                  f->thumbnails ? f->thumbnails : json_array());
    store_doc_set(o, "createdAt", store_doc_time(f->created_at));
    store_doc_set(o, "updatedAt", store_doc_time(f->updated_at));
    store_doc_set(o, "deletedAt", store_doc_time(f->deleted_at));

    return o;
}
