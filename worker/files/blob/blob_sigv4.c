/*
 * blob_sigv4.c: AWS Signature Version 4 (see blob_sigv4.h).
 *
 * The steps have the names of AWS's description: canonical request, string to
 * sign, signing key.  tests/unit/test_sigv4.c holds AWS's own test vectors.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "worker/files/blob/blob_sigv4.h"

#define SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"
#define SIGV4_RAW        32         /* bytes of SHA-256 */
#define SIGV4_TEXT_MAX   16384      /* bytes of a canonical request */

/* Text with an end: what does not fit makes it `over` for good. */
typedef struct {
    char    *p;
    size_t   n;
    size_t   size;
    int      over;
} sigv4_text_t;

/* An argument with both halves encoded, for sorting. */
typedef struct {
    const char  *name;
    const char  *value;
} sigv4_arg_t;


static void
sigv4_open(sigv4_text_t *t, char *p, size_t size)
{
    t->p = p;
    t->n = 0;
    t->size = size;
    t->over = size == 0;

    if (size > 0) {
        p[0] = '\0';
    }
}


static void
sigv4_byte(sigv4_text_t *t, char c)
{
    if (t->over || t->n + 1 >= t->size) {
        t->over = 1;
        return;
    }

    t->p[t->n++] = c;
    t->p[t->n] = '\0';
}


static void
sigv4_add(sigv4_text_t *t, const char *s)
{
    for ( ; *s; s++) {
        sigv4_byte(t, *s);
    }
}


static void
sigv4_encode(sigv4_text_t *t, const char *s, int slash)
{
    unsigned char      c;

    static const char  hex[] = "0123456789ABCDEF";

    for ( ; *s; s++) {
        c = (unsigned char) *s;

        if ((c < 0x80 && isalnum(c)) || strchr("-._~", c)
            || (slash && c == '/'))
        {
            sigv4_byte(t, (char) c);
            continue;
        }

        sigv4_byte(t, '%');
        sigv4_byte(t, hex[c >> 4]);
        sigv4_byte(t, hex[c & 15]);
    }
}


static void
sigv4_hex(const unsigned char *raw, char out[SIGV4_HASH_LEN + 1])
{
    size_t             i;

    static const char  hex[] = "0123456789abcdef";

    for (i = 0; i < SIGV4_RAW; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }

    out[SIGV4_HASH_LEN] = '\0';
}


void
sigv4_date(int64_t ms, char out[SIGV4_DATE_SIZE])
{
    time_t     at;
    struct tm  tm;

    at = (time_t) (ms / 1000);
    memset(&tm, 0, sizeof(tm));
    gmtime_r(&at, &tm);

    if (strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0) {
        out[0] = '\0';
    }
}


/* Encoded path and sorted query, with `mark` between them. */
static void
sigv4_path_query(sigv4_text_t *out, const char *path,
    const sigv4_pair_t *query, size_t n, char mark)
{
    char          text[SIGV4_TEXT_MAX];
    size_t        i, k;
    sigv4_arg_t   args[SIGV4_PAIRS_MAX], arg;
    sigv4_text_t  t;

    if (n > SIGV4_PAIRS_MAX) {
        out->over = 1;
        return;
    }

    sigv4_open(&t, text, sizeof(text));

    for (i = 0; i < n; i++) {
        arg.name = t.p + t.n;
        sigv4_encode(&t, query[i].name, 0);
        sigv4_byte(&t, '\0');

        arg.value = t.p + t.n;
        sigv4_encode(&t, query[i].value, 0);
        sigv4_byte(&t, '\0');

        for (k = i; k > 0; k--) {
            if (strcmp(args[k - 1].name, arg.name) < 0
                || (strcmp(args[k - 1].name, arg.name) == 0
                    && strcmp(args[k - 1].value, arg.value) <= 0))
            {
                break;
            }

            args[k] = args[k - 1];
        }

        args[k] = arg;
    }

    out->over |= t.over;
    sigv4_encode(out, path, 1);

    if (mark == '\n' || n > 0) {
        sigv4_byte(out, mark);
    }

    for (i = 0; i < n && !t.over; i++) {
        sigv4_add(out, i ? "&" : "");
        sigv4_add(out, args[i].name);
        sigv4_byte(out, '=');
        sigv4_add(out, args[i].value);
    }
}


/* Headers by name; those of one name stay in their order.  How many. */
static size_t
sigv4_sort(const sigv4_request_t *r, const sigv4_pair_t **sorted)
{
    size_t               i, k;
    const sigv4_pair_t  *h;

    for (i = 0; i < r->nheaders; i++) {
        h = &r->headers[i];

        for (k = i; k > 0; k--) {
            if (strcasecmp(sorted[k - 1]->name, h->name) <= 0) {
                break;
            }

            sorted[k] = sorted[k - 1];
        }

        sorted[k] = h;
    }

    return r->nheaders;
}


static void
sigv4_lower(sigv4_text_t *t, const char *s)
{
    for ( ; *s; s++) {
        sigv4_byte(t, (char) tolower((unsigned char) *s));
    }
}


/* Without blanks around it, one for several within. */
static void
sigv4_trimmed(sigv4_text_t *t, const char *s)
{
    int  gap, some;

    gap = 0;
    some = 0;

    for ( ; *s; s++) {
        if (isspace((unsigned char) *s)) {
            gap = some;
            continue;
        }

        if (gap) {
            sigv4_byte(t, ' ');
        }

        sigv4_byte(t, *s);
        gap = 0;
        some = 1;
    }
}


/* name:value lines, or with names_only "name;name". */
static void
sigv4_headers(sigv4_text_t *t, const sigv4_request_t *r, int names_only)
{
    int                  same;
    size_t               i, n;
    const sigv4_pair_t  *sorted[SIGV4_PAIRS_MAX];

    if (r->nheaders > SIGV4_PAIRS_MAX) {
        t->over = 1;
        return;
    }

    n = sigv4_sort(r, sorted);

    for (i = 0; i < n; i++) {
        same = i > 0 && strcasecmp(sorted[i - 1]->name, sorted[i]->name) == 0;

        if (!same) {
            if (i > 0) {
                sigv4_byte(t, names_only ? ';' : '\n');
            }

            sigv4_lower(t, sorted[i]->name);
        }

        if (!names_only) {
            sigv4_byte(t, same ? ',' : ':');
            sigv4_trimmed(t, sorted[i]->value);
        }
    }

    if (!names_only) {
        sigv4_byte(t, '\n');
    }
}


/* date/region/service/aws4_request */
static void
sigv4_scope(sigv4_text_t *t, const sigv4_key_t *key, const char *date)
{
    int  i;

    for (i = 0; i < 8 && date[i]; i++) {
        sigv4_byte(t, date[i]);
    }

    sigv4_byte(t, '/');
    sigv4_add(t, key->region);
    sigv4_byte(t, '/');
    sigv4_add(t, key->service);
    sigv4_add(t, "/aws4_request");
}


static int
sigv4_hmac(const void *key, size_t n, const char *text, size_t len,
    unsigned char out[SIGV4_RAW])
{
    unsigned  size;

    size = SIGV4_RAW;

    return HMAC(EVP_sha256(), key, (int) n, (const unsigned char *) text, len,
                out, &size)
           && size == SIGV4_RAW ? 0 : -1;
}


/* The signature in hex. */
static int
sigv4_sign(const sigv4_key_t *key, const sigv4_request_t *r,
    const sigv4_pair_t *query, size_t nquery, char out[SIGV4_HASH_LEN + 1])
{
    char           text[SIGV4_TEXT_MAX], secret[512], hash[SIGV4_HASH_LEN + 1];
    int            n, rc;
    unsigned       size;
    sigv4_text_t   t;
    unsigned char  k[SIGV4_RAW];

    sigv4_open(&t, text, sizeof(text));
    sigv4_add(&t, r->method);
    sigv4_byte(&t, '\n');
    sigv4_path_query(&t, r->path, query, nquery, '\n');
    sigv4_byte(&t, '\n');
    sigv4_headers(&t, r, 0);
    sigv4_byte(&t, '\n');
    sigv4_headers(&t, r, 1);
    sigv4_byte(&t, '\n');
    sigv4_add(&t, r->hash);

    if (t.over || EVP_Digest(text, t.n, k, &size, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    sigv4_hex(k, hash);

    sigv4_open(&t, text, sizeof(text));
    sigv4_add(&t, SIGV4_ALGORITHM "\n");
    sigv4_add(&t, r->date);
    sigv4_byte(&t, '\n');
    sigv4_scope(&t, key, r->date);
    sigv4_byte(&t, '\n');
    sigv4_add(&t, hash);

    n = snprintf(secret, sizeof(secret), "AWS4%s", key->secret);

    if (t.over || n < 0 || (size_t) n >= sizeof(secret)) {
        return -1;
    }

    rc = sigv4_hmac(secret, (size_t) n, r->date, 8, k)
         | sigv4_hmac(k, sizeof(k), key->region, strlen(key->region), k)
         | sigv4_hmac(k, sizeof(k), key->service, strlen(key->service), k)
         | sigv4_hmac(k, sizeof(k), "aws4_request", 12, k)
         | sigv4_hmac(k, sizeof(k), text, t.n, k);

    OPENSSL_cleanse(secret, sizeof(secret));
    sigv4_hex(k, out);

    return rc;
}


int
sigv4_header(const sigv4_key_t *key, const sigv4_request_t *r, char *out,
    size_t size)
{
    char          signature[SIGV4_HASH_LEN + 1];
    sigv4_text_t  t;

    if (sigv4_sign(key, r, r->query, r->nquery, signature) != 0) {
        return -1;
    }

    sigv4_open(&t, out, size);
    sigv4_add(&t, SIGV4_ALGORITHM " Credential=");
    sigv4_add(&t, key->access);
    sigv4_byte(&t, '/');
    sigv4_scope(&t, key, r->date);
    sigv4_add(&t, ", SignedHeaders=");
    sigv4_headers(&t, r, 1);
    sigv4_add(&t, ", Signature=");
    sigv4_add(&t, signature);

    return t.over ? -1 : 0;
}


int
sigv4_presign(const sigv4_key_t *key, const sigv4_request_t *r,
    unsigned seconds, char *out, size_t size)
{
    char          credential[512], names[1024], expires[16];
    char          signature[SIGV4_HASH_LEN + 1];
    size_t        n;
    sigv4_pair_t  query[SIGV4_PAIRS_MAX];
    sigv4_text_t  t, h;

    if (r->nquery + 5 > SIGV4_PAIRS_MAX) {
        return -1;
    }

    sigv4_open(&t, credential, sizeof(credential));
    sigv4_add(&t, key->access);
    sigv4_byte(&t, '/');
    sigv4_scope(&t, key, r->date);

    sigv4_open(&h, names, sizeof(names));
    sigv4_headers(&h, r, 1);

    snprintf(expires, sizeof(expires), "%u", seconds);

    n = r->nquery;

    if (n > 0) {
        memcpy(query, r->query, n * sizeof(query[0]));
    }

    query[n++] = (sigv4_pair_t) { "X-Amz-Algorithm", SIGV4_ALGORITHM };
    query[n++] = (sigv4_pair_t) { "X-Amz-Credential", credential };
    query[n++] = (sigv4_pair_t) { "X-Amz-Date", r->date };
    query[n++] = (sigv4_pair_t) { "X-Amz-Expires", expires };
    query[n++] = (sigv4_pair_t) { "X-Amz-SignedHeaders", names };

    if (t.over || h.over || sigv4_sign(key, r, query, n, signature) != 0) {
        return -1;
    }

    sigv4_open(&t, out, size);
    sigv4_path_query(&t, r->path, query, n, '?');
    sigv4_add(&t, "&X-Amz-Signature=");
    sigv4_add(&t, signature);

    return t.over ? -1 : 0;
}


int
sigv4_target(const sigv4_request_t *r, char *out, size_t size)
{
    sigv4_text_t  t;

    sigv4_open(&t, out, size);
    sigv4_path_query(&t, r->path, r->query, r->nquery, '?');

    return t.over ? -1 : 0;
}
