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

#include "worker/api.h"

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
