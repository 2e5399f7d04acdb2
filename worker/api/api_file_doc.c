/*
 * api_file_doc.c: the record of a file as clients see it: File of
 * docs/api/openapi.yaml.
 *
 * Of storage all is said but what opens it.  access.allowedUsers is empty: who
 * may have a file follows from its conversation, at any moment anew.  The key
 * of an encrypted file is the storage's own and never leaves it.
 */

#include <string.h>

#include "worker/api/api_file.h"


blob_t *
api_blob(api_t *a)
{
    char  err[BLOB_ERROR_SIZE];

    if (a->blob == NULL) {
        a->blob = blob_open(&a->cf->storage, err, sizeof(err));
    }

    return a->blob;
}


/* Where a cache in front of our storage has it: under the same path as the
 * storage, bucket not included.  NULL: nowhere. */
static json_t *
doc_cdn(api_t *a, const json_t *record, const char *key)
{
    size_t        n;
    blob_t       *b;
    blob_ask_t    ask;
    blob_link_t   link;
    const char   *tail, *bucket, *status;

    status = json_string_value(json_object_get(json_object_get(record,
                                                               "security"),
                                               "scanStatus"));
    b = api_blob(a);

    if (a->cf->cdn_url[0] == '\0' || key == NULL || b == NULL
        || !json_is_true(json_object_get(record, "isPublic"))
        || status == NULL || strcmp(status, "clean") != 0
        || json_is_string(json_object_get(record, "deletedAt")))
    {
        return json_null();
    }

    memset(&ask, 0, sizeof(ask));
    ask.key = key;
    ask.seconds = 1;                /* the signature is cut off */

    if (blob_link(b, &ask, &link) != BLOB_OK) {
        return json_null();
    }

    tail = link.tail;
    bucket = a->cf->storage.bucket;
    n = strlen(bucket);

    if (link.remote && !a->cf->storage.host_style
        && strncmp(tail + 1, bucket, n) == 0 && tail[1 + n] == '/')
    {
        tail += 1 + n;
    }

    return json_sprintf("%s%.*s", a->cf->cdn_url, (int) strcspn(tail, "?"),
                        tail);
}


static json_t *
doc_storage(api_t *a, const json_t *record)
{
    size_t    i;
    json_t   *from, *o, *v;

    static const char *const  shown[] = {
        "provider", "bucket", "key", "region", "url"
    };

    from = json_object_get(record, "storage");

    if (!json_is_object(from)) {
        return json_null();
    }

    o = json_object();

    for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        v = json_object_get(from, shown[i]);
        json_object_set_new(o, shown[i], v ? json_incref(v) : json_null());
    }

    json_object_set_new(o, "cdnUrl",
                        doc_cdn(a, record,
                                json_string_value(json_object_get(from,
                                                                  "key"))));

    return o;
}


static json_t *
doc_thumbnails(const json_t *record)
{
    size_t       i;
    json_t      *list, *t;
    const char  *id, *size;

    id = json_string_value(json_object_get(record, "id"));
    list = json_array();

    json_array_foreach(json_object_get(record, "thumbnails"), i, t) {
        size = json_string_value(json_object_get(t, "size"));

        if (id == NULL || size == NULL) {
            continue;
        }

        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o}", "size", size, "url",
                            json_sprintf("/api/files/%s/thumbnails/%s", id,
                                         size),
                            "dimensions",
                            json_sprintf("%dx%d",
                                (int) json_integer_value(
                                    json_object_get(t, "width")),
                                (int) json_integer_value(
                                    json_object_get(t, "height")))));
    }

    return list;
}


json_t *
file_doc(api_t *a, const json_t *record)
{
    size_t    i;
    json_t   *o, *v, *access;

    static const char *const  shown[] = {
        "id", "messageId", "conversationId", "uploadedBy", "fileName",
        "originalFileName", "fileSize", "mimeType", "fileHash", "security",
        "width", "height", "pages", "createdAt", "updatedAt", "deletedAt"
    };

    o = json_object();

    for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        v = json_object_get(record, shown[i]);
        json_object_set_new(o, shown[i], v ? json_deep_copy(v)
                                           : json_null());
    }

    json_object_set_new(json_object_get(o, "security"), "encryptionKey",
                        json_null());
    json_object_set_new(o, "storage", doc_storage(a, record));
    json_object_set_new(o, "thumbnails", doc_thumbnails(record));

    access = json_pack("{s:O?, s:[], s:O?, s:O?}", "isPublic",
                       json_object_get(record, "isPublic"), "allowedUsers",
                       "downloadCount",
                       json_object_get(record, "downloadCount"),
                       "lastAccessedAt",
                       json_object_get(record, "lastAccessedAt"));
    json_object_set_new(o, "access", access);

    return o;
}
