/*
 * blob_s3_http.c: one signed request to an S3 server, and its tries.
 *
 * Every try has a limit for connecting, for standing still and for the whole;
 * no redirect is followed (a signature is for one host), and nothing but http
 * and https is spoken.  Bodies are streamed from and to files; an answer in XML
 * is parsed as it comes.  What is worth another try is tried again after a
 * pause that doubles, with some chance in it, until the deadline.
 */

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "worker/files/blob/blob_s3.h"

#define HTTP_SLICE_MS  200          /* of a pause, between looks at stop */
#define HTTP_LEAST_MS  200          /* left: another try would only end as
                                       "no answer", and hide the last one */

struct s3_http_s {
    CURL             *curl;
    s3_xml_t         *xml;

    /* the try under way */
    s3_t             *s3;
    const s3_call_t  *call;
    s3_answer_t      *answer;
    int64_t           sent;
    int64_t           got;
    int               head;             /* it came to its end */
    int               bad_xml;
    int               read_errno;   /* our own files failed */
    int               write_errno;
    char              why[CURL_ERROR_SIZE];
};

/* How a try ended. */
typedef enum {
    TRY_ANSWER,
    TRY_AGAIN,                      /* no answer, why[] says why */
    TRY_STOPPED,
    TRY_LOCAL                       /* our own file failed */
} http_try_t;


s3_http_t *
s3_http_create(s3_doc_t *doc)
{
    s3_http_t  *http;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        return NULL;
    }

    http = calloc(1, sizeof(*http));

    if (http == NULL) {
        curl_global_cleanup();
        return NULL;
    }

    http->curl = curl_easy_init();
    http->xml = s3_xml_create(doc);

    if (http->curl == NULL || http->xml == NULL) {
        s3_http_free(http);
        return NULL;
    }

    return http;
}


void
s3_http_free(s3_http_t *http)
{
    if (http) {
        curl_easy_cleanup(http->curl);
        s3_xml_free(http->xml);
        free(http);
        curl_global_cleanup();
    }
}


/* ---- what libcurl calls ---- */

static size_t
http_read(char *p, size_t size, size_t n, void *data)
{
    size_t            want;
    ssize_t           k;
    s3_http_t        *http = data;
    const s3_call_t  *call;

    call = http->call;
    want = size * n;

    if ((int64_t) want > call->size - http->sent) {
        want = (size_t) (call->size - http->sent);
    }

    if (want == 0) {
        return 0;
    }

    if (call->text) {
        memcpy(p, call->text + http->sent, want);
        k = (ssize_t) want;

    } else {
        do {
            k = pread(call->from, p, want, call->offset + http->sent);
        } while (k < 0 && errno == EINTR);
    }

    if (k <= 0) {
        http->read_errno = k < 0 ? errno : EIO;
        return CURL_READFUNC_ABORT;
    }

    http->sent += k;

    return (size_t) k;
}


/* A kept connection turned out to be dead: from the beginning. */
static int
http_seek(void *data, curl_off_t offset, int origin)
{
    s3_http_t  *http = data;

    if (origin != SEEK_SET || offset < 0 || offset > http->call->size) {
        return CURL_SEEKFUNC_FAIL;
    }

    http->sent = offset;

    return CURL_SEEKFUNC_OK;
}


static int
http_save(s3_http_t *http, const char *p, size_t n)
{
    ssize_t  k;

    while (n > 0) {
        k = write(http->call->to, p, n);

        if (k < 0 && errno == EINTR) {
            continue;
        }

        if (k <= 0) {
            http->write_errno = k < 0 ? errno : EIO;
            return -1;
        }

        p += k;
        n -= (size_t) k;
    }

    return 0;
}


static size_t
http_write(char *p, size_t size, size_t n, void *data)
{
    long        status;
    s3_http_t  *http = data;

    n *= size;
    http->got += (int64_t) n;
    status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);

    if (http->call->save && status == 200) {
        return http_save(http, p, n) == 0 ? n : 0;
    }

    if (http->got > S3_ANSWER_MAX) {
        return 0;
    }

    /* an error page of something in between is no XML, and no matter */
    if (!http->bad_xml && s3_xml_feed(http->xml, p, n, 0) != 0) {
        http->bad_xml = 1;
    }

    return n;
}


/* The value of a header of this name, without blanks around; else ''. */
static int
http_value(const char *line, size_t n, const char *name, char *out,
    size_t size)
{
    size_t  k;

    k = strlen(name);

    if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':') {
        return 0;
    }

    line += k + 1;
    n -= k + 1;

    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }

    while (n > 0 && (unsigned char) line[n - 1] <= ' ') {
        n--;
    }

    n = n < size ? n : 0;
    memcpy(out, line, n);
    out[n] = '\0';

    return 1;
}


static size_t
http_header(char *line, size_t size, size_t n, void *data)
{
    s3_http_t    *http = data;
    s3_answer_t  *answer;

    n *= size;
    answer = http->answer;

    /* after 100 Continue comes another head */
    if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        answer->etag[0] = '\0';
        answer->sse[0] = '\0';
        http->head = 0;
    }

    if (n <= 2) {
        http->head = 1;
    }

    if (!http_value(line, n, "ETag", answer->etag, sizeof(answer->etag))) {
        http_value(line, n, "x-amz-server-side-encryption", answer->sse,
                   sizeof(answer->sse));
    }

    return n;
}


static int
http_progress(void *data, curl_off_t total, curl_off_t now, curl_off_t utotal,
    curl_off_t unow)
{
    s3_http_t  *http = data;

    (void) total;
    (void) now;
    (void) utotal;
    (void) unow;

    return blob_stopping(&http->s3->base);
}


/* ---- one try ---- */

static void
http_limits(s3_http_t *http, int64_t total_ms)
{
    CURL  *c;
    long   stall;

    c = http->curl;
    stall = http->s3->base.cf.stall_ms ? http->s3->base.cf.stall_ms
                                       : WRT_S3_STALL_MS;

    if (total_ms < 1) {
        total_ms = 1;
    }

    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long) WRT_S3_CONNECT_MS);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long) total_ms);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (stall + 999) / 1000);
    /* one request at a time; those that the server has closed meanwhile would
     * stay until they are looked at again */
    curl_easy_setopt(c, CURLOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_FILETIME, 1L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->why);

    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, http_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, http_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, http_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, http);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}


static void
http_method(s3_http_t *http)
{
    CURL             *c;
    const s3_call_t  *call;

    c = http->curl;
    call = http->call;

    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);

    } else if (strcmp(call->method, "PUT") == 0
               || strcmp(call->method, "POST") == 0)
    {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t) call->size);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, http_read);
        curl_easy_setopt(c, CURLOPT_READDATA, http);
        curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, http_seek);
        curl_easy_setopt(c, CURLOPT_SEEKDATA, http);
    }

    if (strcmp(call->method, "HEAD") != 0) {
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, call->method);
    }
}


static int
http_add(struct curl_slist **list, const char *name, const char *value)
{
    char                line[2048];
    int                 n;
    struct curl_slist  *longer;

    n = snprintf(line, sizeof(line), "%s: %s", name, value);

    if (n < 0 || (size_t) n >= sizeof(line)) {
        return -1;
    }

    longer = curl_slist_append(*list, line);

    if (longer == NULL) {
        return -1;
    }

    *list = longer;

    return 0;
}


/* URL and headers with the signature; the caller frees *list. */
static int
http_sign(s3_http_t *http, struct curl_slist **list)
{
    char              path[BLOB_KEY_SIZE + BLOB_BUCKET_SIZE + 4];
    char              url[8192], value[1024];
    int               rc;
    s3_t             *s3;
    size_t            i, n;
    sigv4_pair_t      headers[S3_HEADERS_MAX + 3];
    const s3_call_t  *call;
    sigv4_request_t   r;

    s3 = http->s3;
    call = http->call;

    snprintf(path, sizeof(path), "%s/%s", s3->root,
             call->key ? call->key : "");

    memset(&r, 0, sizeof(r));
    r.method = call->method;
    r.path = path;
    r.query = call->query;
    r.nquery = call->nquery;
    r.headers = headers;
    r.hash = call->hash ? call->hash : SIGV4_EMPTY_HASH;
    sigv4_date(blob_now_ms(), r.date);

    n = 0;
    headers[n++] = (sigv4_pair_t) { "Host", s3->host };
    headers[n++] = (sigv4_pair_t) { "x-amz-date", r.date };
    headers[n++] = (sigv4_pair_t) { "x-amz-content-sha256", r.hash };

    for (i = 0; i < call->nheaders; i++) {
        headers[n++] = call->headers[i];
    }

    r.nheaders = n;
    rc = 0;

    for (i = 0; i < n; i++) {
        rc |= http_add(list, headers[i].name, headers[i].value);
    }

    rc |= sigv4_header(&s3->sign, &r, value, sizeof(value));
    rc |= http_add(list, "Authorization", value);

    n = strlen(s3->origin);
    memcpy(url, s3->origin, n);
    rc |= sigv4_target(&r, url + n, sizeof(url) - n);
    rc |= curl_easy_setopt(http->curl, CURLOPT_URL, url) != CURLE_OK;
    rc |= curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, *list) != CURLE_OK;

    return rc ? -1 : 0;
}


/* A text that was announced but is not whole is no answer. */
static http_try_t
http_result(s3_http_t *http)
{
    long         status;
    curl_off_t   length, at;

    status = 0;
    length = -1;
    at = -1;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
                      &length);
    curl_easy_getinfo(http->curl, CURLINFO_FILETIME_T, &at);

    http->answer->status = (int) status;
    http->answer->length = length;
    http->answer->changed_ms = at < 0 ? 0 : (int64_t) at * 1000;

    /* libcurl is content with a head that was cut off */
    if (!http->head) {
        snprintf(http->why, sizeof(http->why), "the answer was cut off");
        return TRY_AGAIN;
    }

    if (status == 200
        && (http->call->save || strcmp(http->call->method, "HEAD") == 0))
    {
        if (length >= 0 && (http->got == length || !http->call->save)) {
            return TRY_ANSWER;
        }

        snprintf(http->why, sizeof(http->why), "the answer is not whole");
        return TRY_AGAIN;
    }

    if (http->got > 0 && !http->bad_xml
        && s3_xml_feed(http->xml, "", 0, 1) != 0)
    {
        http->bad_xml = 1;
    }

    if (http->bad_xml && status / 100 == 2) {
        snprintf(http->why, sizeof(http->why), "the answer is not whole XML");
        return TRY_AGAIN;
    }

    /* completing an upload may fail after its 200 was sent */
    if (status == 200 && http->s3->doc.code[0]) {
        http->answer->status = 500;
    }

    return TRY_ANSWER;
}


static http_try_t
http_try(s3_http_t *http, int64_t total_ms)
{
    CURLcode            code;
    struct curl_slist  *list;

    list = NULL;
    memset(http->answer, 0, sizeof(*http->answer));
    s3_xml_begin(http->xml);

    http->sent = 0;
    http->got = 0;
    http->head = 0;
    http->bad_xml = 0;
    http->read_errno = 0;
    http->write_errno = 0;
    http->why[0] = '\0';

    if (http->call->save && (ftruncate(http->call->to, 0) != 0
                             || lseek(http->call->to, 0, SEEK_SET) != 0))
    {
        http->write_errno = errno;
        return TRY_LOCAL;
    }

    curl_easy_reset(http->curl);
    http_limits(http, total_ms);
    http_method(http);

    if (http_sign(http, &list) != 0) {
        curl_slist_free_all(list);
        http->read_errno = E2BIG;
        return TRY_LOCAL;
    }

    code = curl_easy_perform(http->curl);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(list);

    if (http->read_errno || http->write_errno) {
        return TRY_LOCAL;
    }

    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return TRY_STOPPED;
    }

    if (code != CURLE_OK) {
        if (http->why[0] == '\0') {
            snprintf(http->why, sizeof(http->why), "%s",
                     curl_easy_strerror(code));
        }

        return TRY_AGAIN;
    }

    return http_result(http);
}


/* ---- the tries ---- */

/* An answer that may be another one soon. */
static int
http_passing(const s3_http_t *http)
{
    size_t                    i;
    const char               *code;

    static const char *const  codes[] = {
        "RequestTimeout", "IncompleteBody", "OperationAborted", "SlowDown",
        "BadDigest", "XAmzContentSHA256Mismatch"
    };

    switch (http->answer->status) {

    case 408:
    case 425:
    case 429:
        return 1;

    case 501:
        return 0;
    }

    if (http->answer->status >= 500) {
        return 1;
    }

    code = http->s3->doc.code;

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(code, codes[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Half of the pause is left to chance: many who failed at one moment shall
 * not come back at one moment.  -1: stop. */
static int
http_pause(s3_t *s3, unsigned tries)
{
    int       ms, slice;
    uint16_t  chance;

    ms = WRT_S3_PAUSE_MS << (tries < 6 ? tries : 6);

    if (ms > WRT_S3_PAUSE_MAX_MS) {
        ms = WRT_S3_PAUSE_MAX_MS;
    }

    chance = 0;

    if (RAND_bytes((unsigned char *) &chance, sizeof(chance)) != 1) {
        chance = 0;
    }

    ms = ms / 2 + (int) (chance % (unsigned) (ms / 2 + 1));

    while (ms > 0) {
        if (blob_stopping(&s3->base)) {
            return -1;
        }

        slice = ms < HTTP_SLICE_MS ? ms : HTTP_SLICE_MS;

        /* a signal only makes it shorter */
        (void) poll(NULL, 0, slice);
        ms -= slice;
    }

    return 0;
}


/* The deadline has passed: why, in words. */
static blob_rc_t
http_give_up(s3_http_t *http, http_try_t t, unsigned tries)
{
    s3_t  *s3;

    s3 = http->s3;

    if (t == TRY_ANSWER) {
        return blob_fail(&s3->base, BLOB_DOWN, "%s answered %d %s (%u tries)",
                         s3->host, http->answer->status, s3->doc.code, tries);
    }

    return blob_fail(&s3->base, BLOB_DOWN, "%s does not answer: %s (%u tries)",
                     s3->host, http->why, tries);
}


static blob_rc_t
http_local(s3_http_t *http)
{
    return blob_fail(&http->s3->base, BLOB_DOWN, "%s: %s",
                     http->write_errno ? "cannot write the copy"
                                       : "the file to store",
                     strerror(http->write_errno ? http->write_errno
                                                : http->read_errno));
}


blob_rc_t
s3_ask(s3_t *s3, const s3_call_t *call, s3_answer_t *answer)
{
    int64_t      end, left;
    unsigned     tries;
    s3_http_t   *http;
    http_try_t   t;

    http = s3->http;
    http->s3 = s3;
    http->call = call;
    http->answer = answer;

    left = call->limit_ms ? call->limit_ms
           : s3->base.cf.deadline_ms ? s3->base.cf.deadline_ms
           : WRT_S3_DEADLINE_MS;
    end = blob_mono_ms() + left;

    for (tries = 1; ; tries++) {
        t = http_try(http, left);

        if (t == TRY_LOCAL) {
            return http_local(http);
        }

        if (t == TRY_ANSWER && !http_passing(http)) {
            return BLOB_OK;
        }

        if (t == TRY_STOPPED || (!call->limit_ms && left > 0
                                 && http_pause(s3, tries - 1) != 0))
        {
            return blob_fail(&s3->base, BLOB_DOWN, "stopped");
        }

        left = end - blob_mono_ms();

        if (call->limit_ms || left < HTTP_LEAST_MS) {
            return http_give_up(http, t, tries);
        }
    }
}
