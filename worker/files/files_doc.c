/*
 * files_doc.c: an upload as documents: the record of its file (docs/redis.md),
 * and the content of its message.
 */

#include <stdio.h>
#include <string.h>

#include "worker/files/files.h"

#define FILES_PATH  "/api/files/%s"


static int
files_has_thumbs(const job_t *j)
{
    return j->thumb.images[0].fd >= 0 && j->thumb.mime != NULL;
}


size_t
files_thumb_key(const job_t *j, int size, char out[BLOB_KEY_SIZE])
{
    return (size_t) snprintf(out, BLOB_KEY_SIZE, "%s-%s%s", j->form.hash,
                             thumb_name(size), j->thumb.ext);
}


static json_t *
files_thumbs(const job_t *j)
{
    int                   i;
    char                  key[BLOB_KEY_SIZE];
    json_t               *list;
    const thumb_image_t  *t;

    list = json_array();

    for (i = 0; files_has_thumbs(j) && i < THUMB_SIZES; i++) {
        t = &j->thumb.images[i];
        files_thumb_key(j, i, key);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:I, s:i, s:i}",
                            "size", thumb_name(i), "key", key,
                            "mimeType", j->thumb.mime,
                            "fileSize", (json_int_t) t->size,
                            "width", t->width, "height", t->height));
    }

    return list;
}


static json_t *
files_storage(files_t *f, const job_t *j)
{
    char                url[64 + WRT_ID_MAX];
    const char         *provider;
    const blob_conf_t  *cf;

    cf = &f->cf->storage;
    snprintf(url, sizeof(url), FILES_PATH "/download", j->id);

    provider = cf->kind == BLOB_LOCAL ? "local"
               : strstr(cf->endpoint, ".amazonaws.com") ? "s3" : "minio";

    return json_pack("{s:s, s:s?, s:s, s:s?, s:s}", "provider", provider,
                     "bucket", cf->kind == BLOB_S3 ? cf->bucket : NULL,
                     "key", j->form.hash,
                     "region", cf->kind == BLOB_S3 ? cf->region : NULL,
                     "url", url);
}


static json_t *
files_security(const job_t *j, const char *scan)
{
    int      done;
    char     now[WRT_TIME_LEN + 1];
    json_t  *result;

    done = strcmp(scan, "pending") != 0 && strcmp(scan, "scanning") != 0;
    result = json_null();

    if (done && j->scan.rc == SCAN_OFF) {
        result = json_pack("{s:s, s:b}", "engine", "off", "skipped", 1);

    } else if (done) {
        result = json_pack("{s:s, s:s?}", "engine", j->scan.about,
                           j->scan.rc == SCAN_INFECTED ? "finding" : "reason",
                           j->scan.text[0] ? j->scan.text : NULL);
    }

    wrt_time_format(now_ms(), now);

    return json_pack("{s:s, s:o, s:s?, s:b}", "scanStatus", scan,
                     "scanResult", result, "scannedAt", done ? now : NULL,
                     "isEncrypted", j->stored.encrypted);
}


json_t *
files_record(files_t *f, const job_t *j, int rev, const char *scan)
{
    int      clean;
    char     now[WRT_TIME_LEN + 1];
    json_t  *o;

    wrt_time_format(now_ms(), now);
    clean = strcmp(scan, "clean") == 0;

    o = json_pack("{s:s, s:i, s:s, s:s?, s:s, s:s, s:s, s:I, s:s, s:s}",
                  "id", j->id, "rev", rev,
                  "conversationId", j->conversation,
                  "messageId", clean ? j->message : NULL,
                  "uploadedBy", j->user, "fileName", j->form.name,
                  "originalFileName", j->form.name,
                  "fileSize", (json_int_t) j->form.size,
                  "mimeType", j->kind.mime, "fileHash", j->form.hash);

    json_object_set_new(o, "storage", clean ? files_storage(f, j)
                                            : json_null());
    json_object_set_new(o, "security", files_security(j, scan));
    json_object_set_new(o, "isPublic", json_false());
    json_object_set_new(o, "width", json_integer(j->thumb.width));
    json_object_set_new(o, "height", json_integer(j->thumb.height));
    json_object_set_new(o, "pages", json_integer(j->thumb.pages));
    json_object_set_new(o, "thumbnails", clean ? files_thumbs(j)
                                               : json_array());
    json_object_set_new(o, "createdAt", json_string(j->at));
    json_object_set_new(o, "updatedAt", json_string(now));
    json_object_set_new(o, "deletedAt", json_null());

    return o;
}


const char *
files_type(const job_t *j)
{
    switch (j->kind.kind) {

    case TYPE_JPEG:
    case TYPE_PNG:
    case TYPE_GIF:
        return "image";

    default:
        return "file";
    }
}


json_t *
files_content(const job_t *j)
{
    int      i;
    char     base[32 + WRT_ID_MAX];
    json_t  *info, *thumbs;

    snprintf(base, sizeof(base), FILES_PATH, j->id);

    info = json_pack("{s:s, s:s, s:I, s:s}", "fileId", j->id,
                     "fileName", j->form.name,
                     "fileSize", (json_int_t) j->form.size,
                     "fileType", j->kind.mime);

    json_object_set_new(info, "downloadUrl",
                        json_sprintf("%s/download", base));
    json_object_set_new(info, "thumbnailUrl", json_null());

    if (files_has_thumbs(j)) {
        json_object_set_new(info, "thumbnailUrl",
                            json_sprintf("%s/thumbnails/%s", base,
                                         thumb_name(THUMB_MEDIUM)));
        thumbs = json_object();
        json_object_set_new(info, "thumbnails", thumbs);

        for (i = 0; i < THUMB_SIZES; i++) {
            json_object_set_new(thumbs, thumb_name(i),
                                json_sprintf("%s/thumbnails/%s", base,
                                             thumb_name(i)));
        }
    }

    json_object_set_new(info, "scanStatus", json_string("clean"));
    json_object_set_new(info, "uploadProgress", json_integer(100));

    if (j->thumb.width > 0) {
        json_object_set_new(info, "width", json_integer(j->thumb.width));
        json_object_set_new(info, "height", json_integer(j->thumb.height));
    }

    if (j->kind.kind == TYPE_PDF && j->thumb.pages > 0) {
        json_object_set_new(info, "pages", json_integer(j->thumb.pages));
    }

    return json_pack("{s:s, s:o}", "text",
                     j->form.description ? j->form.description : "",
                     "fileInfo", info);
}
