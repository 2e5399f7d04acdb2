/*
 * blob_s3_put.c: how a blob gets into the bucket: whole, or in parts.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/files/blob/blob_s3.h"

#define S3_PART_XML   192           /* bytes of one part in the list of them */
#define S3_RESTARTS   3             /* of an upload that the server forgot */


static void
s3_object_headers(const s3_t *s3, const blob_src_t *src, s3_call_t *call)
{
    s3_header(call, "Content-Type",
              src->type ? src->type : "application/octet-stream");

    if (s3->base.cf.sse) {
        s3_header(call, "x-amz-server-side-encryption", "AES256");
    }
}


static blob_rc_t
s3_hash(s3_t *s3, const blob_src_t *src, int64_t offset, int64_t n,
    char hash[BLOB_HASH_LEN + 1])
{
    int  writing;

    if (blob_hash(&s3->base, src->fd, offset, n, -1, hash, &writing) != 0) {
        return blob_fail(&s3->base, BLOB_DOWN, "the file to store: %s",
                         strerror(errno));
    }

    return BLOB_OK;
}


static blob_rc_t
s3_put_whole(s3_t *s3, const blob_src_t *src, const char *hash)
{
    s3_call_t    call;
    s3_answer_t  answer;

    s3_begin(&call, "PUT", src->key);
    call.from = src->fd;
    call.size = src->size;
    call.hash = hash;
    s3_object_headers(s3, src, &call);

    return s3_run(s3, "take the object", &call, &answer);
}


/* One part; its line for the list of parts in xml. */
static blob_rc_t
s3_put_part(s3_t *s3, const blob_src_t *src, const char *upload, unsigned i,
    char xml[S3_PART_XML])
{
    char         number[16], hash[BLOB_HASH_LEN + 1];
    int          n;
    s3_call_t    call;
    blob_rc_t    rc;
    s3_answer_t  answer;

    snprintf(number, sizeof(number), "%u", i + 1);

    s3_begin(&call, "PUT", src->key);
    s3_query(&call, "partNumber", number);
    s3_query(&call, "uploadId", upload);
    call.from = src->fd;
    call.offset = (int64_t) i * WRT_S3_PART;
    call.size = src->size - call.offset;
    call.hash = hash;

    if (call.size > WRT_S3_PART) {
        call.size = WRT_S3_PART;
    }

    rc = s3_hash(s3, src, call.offset, call.size, hash);

    if (rc == BLOB_OK) {
        rc = s3_run(s3, "take a part of the object", &call, &answer);
    }

    if (rc != BLOB_OK) {
        return rc;
    }

    /* the tag goes back as it came; what could end the element does not */
    if (strpbrk(answer.etag, "<>&") || answer.etag[0] == '\0') {
        return blob_fail(&s3->base, BLOB_DOWN, "%s gave a part no ETag",
                         s3->host);
    }

    n = snprintf(xml, S3_PART_XML, "<Part><PartNumber>%s</PartNumber>"
                 "<ETag>%s</ETag></Part>", number, answer.etag);

    return n > 0 && n < S3_PART_XML
           ? BLOB_OK : blob_fail(&s3->base, BLOB_DOWN, "an ETag is too long");
}


/* All parts.  The text that completes the upload, to be freed, in *list. */
static blob_rc_t
s3_put_parts(s3_t *s3, const blob_src_t *src, const char *upload,
    char **list)
{
    char       *p, xml[S3_PART_XML];
    size_t      n;
    unsigned    i, parts;
    blob_rc_t   rc;

    parts = (unsigned) ((src->size + WRT_S3_PART - 1) / WRT_S3_PART);
    p = malloc((size_t) parts * S3_PART_XML + 64);
    *list = p;

    if (p == NULL) {
        return blob_fail(&s3->base, BLOB_DOWN, "no memory");
    }

    memcpy(p, "<CompleteMultipartUpload>", 25);
    p += 25;

    for (i = 0; i < parts; i++) {
        rc = s3_put_part(s3, src, upload, i, xml);

        if (rc != BLOB_OK) {
            return rc;
        }

        n = strlen(xml);
        memcpy(p, xml, n);
        p += n;
    }

    memcpy(p, "</CompleteMultipartUpload>", 27);

    return BLOB_OK;
}


static blob_rc_t
s3_complete(s3_t *s3, const char *key, const char *upload, const char *list)
{
    char         hash[BLOB_HASH_LEN + 1];
    s3_call_t    call;
    s3_answer_t  answer;

    s3_begin(&call, "POST", key);
    s3_query(&call, "uploadId", upload);
    call.text = list;
    call.size = (int64_t) strlen(list);
    call.hash = hash;

    if (blob_hash_text(list, strlen(list), hash) != 0) {
        return blob_fail(&s3->base, BLOB_DOWN, "no memory");
    }

    return s3_run(s3, "complete the upload", &call, &answer);
}


/* *again: the server does not know the upload any more. */
static blob_rc_t
s3_put_once(s3_t *s3, const blob_src_t *src, int *again)
{
    char         *list, upload[S3_UPLOAD_SIZE];
    s3_call_t     call;
    blob_rc_t     rc;
    s3_answer_t   answer;

    s3_begin(&call, "POST", src->key);
    s3_query(&call, "uploads", "");
    s3_object_headers(s3, src, &call);
    rc = s3_run(s3, "begin a multipart upload", &call, &answer);

    if (rc != BLOB_OK) {
        return rc;
    }

    memcpy(upload, s3->doc.upload, sizeof(upload));

    if (upload[0] == '\0') {
        return blob_fail(&s3->base, BLOB_DOWN, "%s gave the upload no id",
                         s3->host);
    }

    rc = s3_put_parts(s3, src, upload, &list);

    if (rc == BLOB_OK) {
        rc = s3_complete(s3, src->key, upload, list);
    }

    free(list);
    *again = rc == BLOB_NOT_FOUND;

    if (rc != BLOB_OK) {
        s3_abort(s3, src->key, upload, WRT_S3_PING_MS);
    }

    return rc;
}


/*
 * In parts, so that a failure costs one part and not the whole.  An upload that
 * the server has forgotten either was completed by a try whose answer was lost
 * (then the object is there) or begins anew.
 */
static blob_rc_t
s3_put_multi(s3_t *s3, const blob_src_t *src)
{
    int          again, tries;
    blob_rc_t    rc;
    blob_stat_t  st;

    rc = BLOB_DOWN;
    again = 1;

    for (tries = 0; again && tries < S3_RESTARTS; tries++) {
        again = 0;
        rc = s3_put_once(s3, src, &again);

        if (again && s3_stat(&s3->base, src->key, &st) == BLOB_OK
            && st.size == src->size)
        {
            return BLOB_OK;
        }
    }

    return rc == BLOB_NOT_FOUND
           ? blob_fail(&s3->base, BLOB_DOWN, "%s forgets uploads", s3->host)
           : rc;
}


blob_rc_t
s3_put(blob_t *b, const blob_src_t *src, blob_stat_t *st)
{
    char       hash[BLOB_HASH_LEN + 1];
    s3_t      *s3;
    blob_rc_t  rc;

    s3 = s3_of(b);

    if (src->size > (int64_t) S3_PARTS_MAX * WRT_S3_PART) {
        return blob_fail(b, BLOB_BAD, "the file to store has more than %d "
                         "parts of %d bytes", S3_PARTS_MAX, WRT_S3_PART);
    }

    rc = s3_hash(s3, src, 0, src->size, hash);

    if (rc == BLOB_OK && !blob_fits(src->key, hash)) {
        return blob_fail(b, BLOB_BAD, "the file to store has another content "
                         "(SHA-256 %s)", hash);
    }

    if (rc == BLOB_OK && !s3->prepared) {
        rc = s3_prepare(b);
    }

    if (rc == BLOB_OK) {
        rc = src->size > WRT_S3_PART ? s3_put_multi(s3, src)
                                     : s3_put_whole(s3, src, hash);
    }

    if (rc == BLOB_OK) {
        rc = s3_stat(b, src->key, st);
    }

    if (rc == BLOB_NOT_FOUND || (rc == BLOB_OK && st->size != src->size)) {
        return blob_fail(b, BLOB_DOWN, "%s took %s and does not have it",
                         s3->host, src->key);
    }

    return rc;
}
