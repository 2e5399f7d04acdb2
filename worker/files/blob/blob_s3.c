/*
 * blob_s3.c: blobs in a bucket of MinIO, AWS S3 and alike (see blob.h): what is
 * asked, and what the answers mean.
 *
 * An object's name is the blob's key.  What is sent is signed with its SHA-256,
 * so that the server refuses what was damaged on the way; after a put the
 * object is looked at, and only what the server says then is reported.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/files/blob/blob_s3.h"


s3_t *
s3_of(blob_t *b)
{
    return (s3_t *) b;
}


void
s3_begin(s3_call_t *call, const char *method, const char *key)
{
    memset(call, 0, sizeof(*call));
    call->method = method;
    call->key = key;
    call->from = -1;
}


void
s3_query(s3_call_t *call, const char *name, const char *value)
{
    call->query[call->nquery++] = (sigv4_pair_t) { name, value };
}


void
s3_header(s3_call_t *call, const char *name, const char *value)
{
    call->headers[call->nheaders++] = (sigv4_pair_t) { name, value };
}


/* ---- answers ---- */

static const char *
s3_cure(const s3_t *s3, int status)
{
    size_t               i;

    static const struct {
        const char      *code;
        const char      *cure;
    } cures[] = {
        { "InvalidAccessKeyId", "check MINIO_ACCESS_KEY" },
        { "SignatureDoesNotMatch", "check MINIO_SECRET_KEY" },
        { "AccessDenied", "give MINIO_ACCESS_KEY the rights to list, read, "
                          "write and delete in MINIO_BUCKET" },
        { "RequestTimeTooSkewed", "set the clocks of both machines" },
        { "AuthorizationHeaderMalformed", "check MINIO_REGION" },
        { "PermanentRedirect", "check MINIO_ENDPOINT and MINIO_REGION" },
        { "IllegalLocationConstraintException", "check MINIO_REGION" },
        { "InvalidRegion", "check MINIO_REGION" },
        { "InvalidLocationConstraint", "check MINIO_REGION" },
        { "InvalidBucketName", "check MINIO_BUCKET" },
        { "BucketAlreadyExists", "it is somebody else's: choose another "
                                 "MINIO_BUCKET" },
        { "NotImplemented", "give the server a key for SSE-S3 (MinIO: "
                            "MINIO_KMS_SECRET_KEY), or set S3_SSE=off" },
        { "KMSNotConfigured", "give the server a key for SSE-S3 (MinIO: "
                              "MINIO_KMS_SECRET_KEY), or set S3_SSE=off" }
    };

    for (i = 0; i < sizeof(cures) / sizeof(cures[0]); i++) {
        if (strcmp(s3->doc.code, cures[i].code) == 0) {
            return cures[i].cure;
        }
    }

    return status == 403 ? "check MINIO_ACCESS_KEY, MINIO_SECRET_KEY and the "
                           "rights of that key"
           : status / 100 == 3 ? "check MINIO_ENDPOINT and MINIO_REGION"
           : "check MINIO_ENDPOINT and MINIO_BUCKET";
}


/* What the status of an answer means. */
static blob_rc_t
s3_judge(s3_t *s3, const char *what, const s3_answer_t *answer)
{
    if (answer->status / 100 == 2) {
        return BLOB_OK;
    }

    if (strcmp(s3->doc.code, "NoSuchBucket") == 0) {
        /* the next put makes it again */
        s3->prepared = 0;

        return blob_fail(&s3->base, BLOB_DOWN, "%s has no bucket %s any more",
                         s3->host, s3->base.cf.bucket);
    }

    if (answer->status == 404) {
        return blob_fail(&s3->base, BLOB_NOT_FOUND, "%s: not found (%s)",
                         what, s3->doc.code[0] ? s3->doc.code : "404");
    }

    return blob_fail(&s3->base, BLOB_REFUSED, "%s does not %s: %d %s%s%s; %s",
                     s3->host, what, answer->status, s3->doc.code,
                     s3->doc.message[0] ? ", " : "", s3->doc.message,
                     s3_cure(s3, answer->status));
}


blob_rc_t
s3_run(s3_t *s3, const char *what, const s3_call_t *call, s3_answer_t *answer)
{
    blob_rc_t  rc;

    rc = s3_ask(s3, call, answer);

    return rc == BLOB_OK ? s3_judge(s3, what, answer) : rc;
}


/* ---- the bucket ---- */

/* A listing of one, which needs the rights that the rest needs, and says why
 * when it is refused (HEAD has no body to say it in). */
static void
s3_look(s3_call_t *call)
{
    s3_begin(call, "GET", NULL);
    s3_query(call, "list-type", "2");
    s3_query(call, "max-keys", "1");
}


static blob_rc_t
s3_ping(blob_t *b)
{
    s3_call_t    call;
    s3_answer_t  answer;

    s3_look(&call);
    call.limit_ms = WRT_S3_PING_MS;

    return s3_run(s3_of(b), "list the bucket", &call, &answer);
}


static blob_rc_t
s3_create_bucket(s3_t *s3)
{
    char         text[256], hash[BLOB_HASH_LEN + 1];
    s3_call_t    call;
    blob_rc_t    rc;
    s3_answer_t  answer;

    s3_begin(&call, "PUT", NULL);

    /* the one region that must not be named */
    if (strcmp(s3->base.cf.region, "us-east-1") != 0) {
        snprintf(text, sizeof(text), "<CreateBucketConfiguration>"
                 "<LocationConstraint>%s</LocationConstraint>"
                 "</CreateBucketConfiguration>", s3->base.cf.region);

        call.text = text;
        call.size = (int64_t) strlen(text);
        call.hash = hash;

        if (blob_hash_text(text, strlen(text), hash) != 0) {
            return blob_fail(&s3->base, BLOB_DOWN, "no memory");
        }
    }

    rc = s3_ask(s3, &call, &answer);

    /* another process was faster */
    if (rc == BLOB_OK
        && strcmp(s3->doc.code, "BucketAlreadyOwnedByYou") == 0)
    {
        return BLOB_OK;
    }

    return rc == BLOB_OK ? s3_judge(s3, "create the bucket", &answer) : rc;
}


blob_rc_t
s3_prepare(blob_t *b)
{
    s3_t        *s3;
    s3_call_t    call;
    blob_rc_t    rc;
    s3_answer_t  answer;

    s3 = s3_of(b);
    s3_look(&call);
    rc = s3_ask(s3, &call, &answer);

    if (rc == BLOB_OK && answer.status == 404
        && strcmp(s3->doc.code, "NoSuchBucket") == 0)
    {
        rc = s3_create_bucket(s3);

    } else if (rc == BLOB_OK) {
        rc = s3_judge(s3, "list the bucket", &answer);
    }

    s3->prepared = rc == BLOB_OK;

    return rc;
}


/* ---- one object ---- */

/* With which key is the server's business. */
static int
s3_encrypted(const s3_answer_t *answer)
{
    return strcmp(answer->sse, "AES256") == 0
           || strncmp(answer->sse, "aws:kms", 7) == 0;
}


blob_rc_t
s3_stat(blob_t *b, const char *key, blob_stat_t *st)
{
    s3_call_t    call;
    blob_rc_t    rc;
    s3_answer_t  answer;

    s3_begin(&call, "HEAD", key);
    rc = s3_run(s3_of(b), "show the object", &call, &answer);

    if (rc == BLOB_OK) {
        st->size = answer.length;
        st->changed_ms = answer.changed_ms;
        st->encrypted = s3_encrypted(&answer);
    }

    return rc;
}


static blob_rc_t
s3_get(blob_t *b, const char *key, int fd, blob_stat_t *st)
{
    int          writing;
    char         hash[BLOB_HASH_LEN + 1];
    s3_t        *s3;
    s3_call_t    call;
    blob_rc_t    rc;
    s3_answer_t  answer;

    s3 = s3_of(b);
    s3_begin(&call, "GET", key);
    call.save = 1;
    call.to = fd;
    rc = s3_run(s3, "give the object", &call, &answer);

    if (rc != BLOB_OK) {
        return rc;
    }

    st->size = answer.length;
    st->changed_ms = answer.changed_ms;
    st->encrypted = s3_encrypted(&answer);

    if (blob_hash(b, fd, 0, st->size, -1, hash, &writing) != 0) {
        return blob_fail(b, BLOB_DOWN, "cannot read the copy: %s",
                         strerror(errno));
    }

    if (!blob_fits(key, hash)) {
        return blob_fail(b, BLOB_DOWN, "%s sent %s damaged", s3->host, key);
    }

    return BLOB_OK;
}


static blob_rc_t
s3_delete(blob_t *b, const char *key)
{
    s3_call_t    call;
    blob_rc_t    rc;
    s3_answer_t  answer;

    s3_begin(&call, "DELETE", key);
    rc = s3_run(s3_of(b), "delete the object", &call, &answer);

    return rc == BLOB_NOT_FOUND ? BLOB_OK : rc;
}


static blob_rc_t
s3_link(blob_t *b, const blob_ask_t *ask, blob_link_t *out)
{
    char             path[BLOB_KEY_SIZE + BLOB_BUCKET_SIZE + 4];
    s3_t            *s3;
    size_t           n;
    sigv4_pair_t     query[3], host;
    sigv4_request_t  r;

    if (ask->seconds < 1 || ask->seconds > SIGV4_EXPIRES_MAX) {
        return blob_fail(b, BLOB_BAD, "a link is good for 1 to %d seconds",
                         SIGV4_EXPIRES_MAX);
    }

    s3 = s3_of(b);
    snprintf(path, sizeof(path), "%s/%s", s3->root, ask->key);
    host = (sigv4_pair_t) { "Host", s3->host };

    memset(&r, 0, sizeof(r));
    r.method = "GET";
    r.path = path;
    r.query = query;
    r.headers = &host;
    r.nheaders = 1;
    r.hash = SIGV4_UNSIGNED;
    sigv4_date(blob_now_ms(), r.date);

    n = 0;

    if (ask->type) {
        query[n++] = (sigv4_pair_t) { "response-content-type", ask->type };
    }

    if (ask->disposition) {
        query[n++] = (sigv4_pair_t) { "response-content-disposition",
                                      ask->disposition };
    }

    if (ask->cache_control) {
        query[n++] = (sigv4_pair_t) { "response-cache-control",
                                      ask->cache_control };
    }

    r.nquery = n;
    n = strlen(s3->origin);
    memcpy(out->where, s3->origin, n);

    if (sigv4_presign(&s3->sign, &r, ask->seconds, out->where + n,
                      sizeof(out->where) - n) != 0)
    {
        out->where[0] = '\0';
        return blob_fail(b, BLOB_BAD, "the headers in a link are too long");
    }

    out->remote = 1;
    out->tail = out->where + n;

    return BLOB_OK;
}


void
s3_abort(s3_t *s3, const char *key, const char *upload, int limit_ms)
{
    char         err[BLOB_ERROR_SIZE];
    s3_call_t    call;
    s3_answer_t  answer;

    /* why it is given up is what the caller must hear */
    memcpy(err, s3->base.err, sizeof(err));

    s3_begin(&call, "DELETE", key);
    s3_query(&call, "uploadId", upload);
    call.limit_ms = limit_ms;
    (void) s3_ask(s3, &call, &answer);

    memcpy(s3->base.err, err, sizeof(err));
}


/* ---- listings ---- */

static blob_rc_t
s3_page(s3_t *s3, const char *token)
{
    char         max[16];
    s3_call_t    call;
    s3_answer_t  answer;

    snprintf(max, sizeof(max), "%d", S3_PAGE);

    s3_begin(&call, "GET", NULL);
    s3_query(&call, "list-type", "2");
    s3_query(&call, "max-keys", max);

    if (token[0]) {
        s3_query(&call, "continuation-token", token);
    }

    return s3_run(s3, "list the bucket", &call, &answer);
}


static blob_rc_t
s3_each(blob_t *b, blob_each_pt each, void *data)
{
    char              token[S3_TOKEN_SIZE];
    s3_t             *s3;
    size_t            i, n;
    s3_row_t         *rows;
    blob_rc_t         rc;
    blob_stat_t       st;

    s3 = s3_of(b);
    token[0] = '\0';
    rc = BLOB_OK;

    rows = malloc(S3_PAGE * sizeof(*rows));

    if (rows == NULL) {
        return blob_fail(b, BLOB_DOWN, "no memory");
    }

    do {
        rc = s3_page(s3, token);

        if (rc != BLOB_OK) {
            break;
        }

        /* what the callback asks writes over the document */
        n = s3->doc.nrows;
        memcpy(rows, s3->doc.rows, n * sizeof(*rows));
        memcpy(token, s3->doc.truncated ? s3->doc.token : "",
               s3->doc.truncated ? sizeof(token) : 1);

        for (i = 0; i < n; i++) {
            if (!blob_key_ok(rows[i].key)) {
                continue;
            }

            memset(&st, 0, sizeof(st));
            st.size = rows[i].size;
            st.changed_ms = rows[i].at_ms;

            if (each(data, rows[i].key, &st) != 0) {
                token[0] = '\0';
                break;
            }
        }

    } while (token[0]);

    free(rows);

    return rc;
}


static blob_rc_t
s3_uploads(s3_t *s3, const char *key, const char *upload)
{
    char         max[16];
    s3_call_t    call;
    s3_answer_t  answer;

    snprintf(max, sizeof(max), "%d", S3_PAGE);

    s3_begin(&call, "GET", NULL);
    s3_query(&call, "uploads", "");
    s3_query(&call, "max-uploads", max);

    if (key[0]) {
        s3_query(&call, "key-marker", key);
        s3_query(&call, "upload-id-marker", upload);
    }

    return s3_run(s3, "list uploads", &call, &answer);
}


static blob_rc_t
s3_sweep(blob_t *b, int64_t before_ms, unsigned *count)
{
    char         key[S3_TOKEN_SIZE], upload[S3_UPLOAD_SIZE];
    s3_t        *s3;
    size_t       i, n;
    s3_row_t    *rows;
    blob_rc_t    rc;

    s3 = s3_of(b);
    key[0] = '\0';
    upload[0] = '\0';
    rc = BLOB_OK;

    rows = malloc(S3_PAGE * sizeof(*rows));

    if (rows == NULL) {
        return blob_fail(b, BLOB_DOWN, "no memory");
    }

    do {
        rc = s3_uploads(s3, key, upload);

        if (rc != BLOB_OK) {
            break;
        }

        n = s3->doc.nrows;
        memcpy(rows, s3->doc.rows, n * sizeof(*rows));
        memcpy(upload, s3->doc.next_upload, sizeof(upload));
        memcpy(key, s3->doc.truncated ? s3->doc.next_key : "",
               s3->doc.truncated ? sizeof(key) : 1);

        for (i = 0; i < n; i++) {
            if (blob_key_ok(rows[i].key) && rows[i].at_ms < before_ms) {
                s3_abort(s3, rows[i].key, rows[i].upload, 0);
                (*count)++;
            }
        }

    } while (key[0]);

    free(rows);

    return rc;
}


/* ---- opening ---- */

static void
s3_close(blob_t *b)
{
    s3_t  *s3;

    s3 = s3_of(b);
    s3_http_free(s3->http);
    free(s3->doc.rows);
    memset(b->cf.secret_key, 0, sizeof(b->cf.secret_key));
    blob_destroy(b);
}


static const blob_ops_t  s3_ops = {
    "s3",
    s3_close,
    s3_prepare,
    s3_ping,
    s3_put,
    s3_stat,
    s3_get,
    s3_link,
    s3_delete,
    s3_each,
    s3_sweep
};


blob_t *
blob_s3_open(const blob_conf_t *cf)
{
    int          scheme;
    s3_t        *s3;
    blob_t      *b;
    const char  *host;

    b = blob_create(&s3_ops, sizeof(s3_t), cf);

    if (b == NULL) {
        return NULL;
    }

    s3 = s3_of(b);
    host = strstr(b->cf.endpoint, "://");
    host = host ? host + 3 : b->cf.endpoint;
    scheme = (int) (host - b->cf.endpoint);

    snprintf(s3->host, sizeof(s3->host), "%s%s%s",
             cf->host_style ? b->cf.bucket : "", cf->host_style ? "." : "",
             host);
    snprintf(s3->origin, sizeof(s3->origin), "%.*s%s", scheme,
             b->cf.endpoint, s3->host);
    snprintf(s3->root, sizeof(s3->root), "%s%s", cf->host_style ? "" : "/",
             cf->host_style ? "" : b->cf.bucket);

    s3->sign.access = b->cf.access_key;
    s3->sign.secret = b->cf.secret_key;
    s3->sign.region = b->cf.region;
    s3->sign.service = "s3";

    s3->doc.rows = malloc(S3_PAGE * sizeof(s3_row_t));
    s3->http = s3_http_create(&s3->doc);

    if (s3->doc.rows == NULL || s3->http == NULL) {
        s3_close(b);
        return NULL;
    }

    return b;
}
