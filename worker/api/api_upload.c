/*
 * api_upload.c: before an upload, and how it goes on.
 *
 *   UPLOAD                 nginx asks, before it reads the body: may he, and
 *                          how much?  The files role looks at what is in it.
 *   GET /api/uploads/:id   what the files role has said of it, to who uploads
 *                          and to admins; for others there is none.
 */

#include <stdio.h>
#include <string.h>

#include "worker/api/api.h"

#define UPLOAD_DIGITS_MAX  15       /* of a body's length */


/* How long the body says it is; -1: it does not say, -2: answered. */
static int64_t
upload_length(call_t *c)
{
    size_t  n;

    if (strcmp(c->query, "-") == 0) {
        return -1;
    }

    n = strlen(c->query);

    if (n == 0 || n > UPLOAD_DIGITS_MAX
        || strspn(c->query, "0123456789") != n)
    {
        api_error(c, 400, "invalid_request", "Content-Length",
                  "the length of the body must be a number of bytes");
        return -2;
    }

    return strtoll(c->query, NULL, 10);
}


/* What the room's settings say to a body of that length. */
static api_rc_t
upload_settings(call_t *c, const json_t *settings, int64_t length)
{
    char     why[80];
    int64_t  max;

    if (json_is_false(json_object_get(settings, "allowFileUpload"))) {
        return api_error(c, 403, "forbidden", NULL,
                         "files may not be uploaded to this conversation");
    }

    max = json_integer_value(json_object_get(settings, "maxFileSize"));

    if (max <= 0 || max > WRT_FILE_MAX) {
        max = WRT_FILE_MAX;
    }

    if (length > max + WRT_UPLOAD_OVERHEAD) {
        snprintf(why, sizeof(why), "a file may have at most %lld bytes here",
                 (long long) max);
        return api_error(c, 413, "too_large", "file", why);
    }

    return api_ok(c, 200, NULL, json_pack("{s:I}", "maxFileSize",
                                          (json_int_t) max));
}


api_rc_t
internal_upload(api_t *a, call_t *c)
{
    json_t    *doc;
    store_t   *st;
    int64_t    length;
    api_rc_t   rc;
    access_t   x;

    length = upload_length(c);

    if (length == -2 || api_access(a, c, c->ids[0], &x) != 0
        || may_upload(c, &x) != 0)
    {
        return API_DONE;
    }

    /* settings that were changed a moment ago count already */

    if (c->step == 0 && api_wait_conv(c, c->ids[0], x.seq, x.applied)) {
        return API_WAIT;
    }

    st = api_store(a, c);

    if (st == NULL || conv_read(a, c, st, &doc) != 0) {
        return API_DONE;
    }

    rc = upload_settings(c, json_object_get(doc, "settings"), length);
    json_decref(doc);

    return rc;
}


/* -- GET /api/uploads/:id -- */

static const char *
upload_text(const json_t *record, const char *key)
{
    return json_string_value(json_object_get(record, key));
}


/* What became of it, from the record of its file, when Redis has forgotten. */
static json_t *
upload_of_record(const json_t *record)
{
    json_t      *error;
    const char  *scan, *status, *code, *message;

    scan = upload_text(json_object_get(record, "security"), "scanStatus");
    scan = scan ? scan : "";
    status = "completed";
    code = NULL;

    if (upload_text(record, "messageId") == NULL) {

        status = "failed";

        if (strcmp(scan, "pending") == 0 || strcmp(scan, "scanning") == 0) {
            status = "processing";

        } else if (strcmp(scan, "infected") == 0) {
            code = "infected";
            message = "the file is infected and was not kept";

        } else if (strcmp(scan, "error") == 0) {
            code = "unsupported_type";
            message = "the file can not be checked for viruses";

        } else {
            code = "unavailable";
            message = "the file could not be processed";
        }
    }

    error = code ? json_pack("{s:s, s:s}", "code", code, "message", message)
                 : json_null();

    return json_pack("{s:O, s:O, s:s, s:s, s:i, s:O, s:O, s:O, s:o, s:O,"
                     " s:O}",
                     "id", json_object_get(record, "id"),
                     "conversationId", json_object_get(record,
                                                       "conversationId"),
                     "status", status,
                     "stage", strcmp(status, "processing") ? status
                                                           : "scanning",
                     "progress", strcmp(status, "processing") ? 100 : 30,
                     "fileName", json_object_get(record, "fileName"),
                     "fileId", json_object_get(record, "id"),
                     "messageId", json_object_get(record, "messageId"),
                     "error", error,
                     "createdAt", json_object_get(record, "createdAt"),
                     "updatedAt", json_object_get(record, "updatedAt"));
}


/* Is it the caller's to know?  0, or -1: answered. */
static int
upload_mine(call_t *c, const char *owner)
{
    if (owner && (strcmp(owner, c->user) == 0 || (c->rights & API_ADMIN))) {
        return 0;
    }

    api_not_found(c);

    return -1;
}


static api_rc_t
upload_stored(api_t *a, call_t *c)
{
    json_t      *record;
    store_t     *st;
    store_rc_t   rc;

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    rc = store_file(st, c->ids[0], &record);
    role_store_result(a->role, rc);

    if (rc != STORE_OK) {
        return api_store_error(a, c, rc);
    }

    if (upload_mine(c, upload_text(record, "uploadedBy")) == 0) {
        (void) api_ok(c, 200, NULL, json_pack("{s:o}", "upload",
                                              upload_of_record(record)));
    }

    json_decref(record);

    return API_DONE;
}


api_rc_t
upload_get(api_t *a, call_t *c)
{
    char      key[WRT_NAME_BUF], owner[WRT_ID_MAX + 1];
    rds_t    *hub;
    json_t   *shown;
    reply_t  *r;

    hub = api_redis(a, 0);
    if (hub == NULL) {
        return api_unavailable(c);
    }

    wrt_key_upload(key, c->ids[0], strlen(c->ids[0]));
    r = rds_call(hub, "HMGET", key, WRT_F_UP_OWNER, WRT_F_UP_SHOWN);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(hub, reply_text(r));
        reply_free(r);
        return api_unavailable(c);
    }

    text_copy(owner, sizeof(owner), reply_text(reply_at(r, 0)));
    shown = json_loadb(reply_text(reply_at(r, 1)), reply_len(reply_at(r, 1)),
                       0, NULL);
    reply_free(r);

    if (shown == NULL) {
        return upload_stored(a, c);
    }

    if (upload_mine(c, owner) != 0) {
        json_decref(shown);
        return API_DONE;
    }

    return api_ok(c, 200, NULL, json_pack("{s:o}", "upload", shown));
}
