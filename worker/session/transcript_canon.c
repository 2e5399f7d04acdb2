/*
 * transcript_canon.c: canonical JSON and the hashes over it.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/wrt_utf8.h"
#include "worker/session/transcript_internal.h"
#include "worker/store/store_internal.h"

#define RAW          32             /* bytes of SHA-256 */
#define NUMBER_MAX   1e12           /* thousandths of it are exact */
#define KEYS_MAX     4096           /* of one object */


/* -1: what no store lets in: a NUL, bytes that are not UTF-8. */
static int
canon_string(session_buf_t *b, const char *p, size_t n)
{
    size_t         i, from;
    const char    *escape;
    unsigned char  c;

    if (memchr(p, '\0', n) || !wrt_utf8_valid((const uint8_t *) p, n)) {
        return -1;
    }

    session_add(b, "\"", 1);

    for (i = 0, from = 0; i < n; i++) {
        c = (unsigned char) p[i];

        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }

        session_add(b, p + from, i - from);
        from = i + 1;

        escape = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\b' ? "\\b"
                 : c == '\f' ? "\\f" : c == '\n' ? "\\n" : c == '\r' ? "\\r"
                 : c == '\t' ? "\\t" : NULL;

        if (escape) {
            session_add(b, escape, 2);

        } else {
            session_print(b, "\\u%04x", c);
        }
    }

    session_add(b, p + from, n - from);
    session_add(b, "\"", 1);

    return 0;
}


/* As few decimals as there are, by integers: no locale has a say. */
static int
canon_real(session_buf_t *b, double v)
{
    int      decimals;
    int64_t  milli, part;

    if (!(v > -NUMBER_MAX && v < NUMBER_MAX)) {
        return -1;
    }

    milli = (int64_t) (v * 1000.0 + (v < 0.0 ? -0.5 : 0.5));

    /* what has more decimals is not ours */

    if ((double) milli / 1000.0 < v || (double) milli / 1000.0 > v) {
        return -1;
    }

    session_print(b, "%s%" PRId64, milli < 0 ? "-" : "",
                  milli < 0 ? -milli / 1000 : milli / 1000);
    part = (milli < 0 ? -milli : milli) % 1000;

    if (part == 0) {
        return 0;
    }

    for (decimals = 3; part % 10 == 0; decimals--) {
        part /= 10;
    }

    session_print(b, ".%0*" PRId64, decimals, part);

    return 0;
}


static int
cmp_key(const void *a, const void *b)
{
    const char *const  *x = a, *const  *y = b;

    return strcmp(*x, *y);
}


static int  canon_value(session_buf_t *b, const json_t *v, int depth);


static int
canon_object(session_buf_t *b, const json_t *o, int depth)
{
    int           rc;
    size_t        i, n;
    void         *it;
    const char  **keys;

    n = json_object_size(o);

    if (n > KEYS_MAX) {
        return -1;
    }

    keys = session_grow(NULL, n * sizeof(char *));
    i = 0;

    for (it = json_object_iter((json_t *) o); it && i < n;
         it = json_object_iter_next((json_t *) o, it))
    {
        keys[i++] = json_object_iter_key(it);
    }

    qsort(keys, n, sizeof(char *), cmp_key);
    session_add(b, "{", 1);
    rc = 0;

    for (i = 0; i < n && rc == 0; i++) {
        if (i > 0) {
            session_add(b, ",", 1);
        }

        rc = canon_string(b, keys[i], strlen(keys[i]));
        session_add(b, ":", 1);
        rc = rc ? rc : canon_value(b, json_object_get(o, keys[i]), depth + 1);
    }

    session_add(b, "}", 1);
    free(keys);

    return rc;
}


static int
canon_value(session_buf_t *b, const json_t *v, int depth)
{
    size_t         i;
    const json_t  *e;

    if (v == NULL || depth > WRT_TRANSCRIPT_DEPTH_MAX) {
        return -1;
    }

    switch (json_typeof(v)) {

    case JSON_OBJECT:
        return canon_object(b, v, depth);

    case JSON_ARRAY:
        session_add(b, "[", 1);

        json_array_foreach(v, i, e) {
            if (i > 0) {
                session_add(b, ",", 1);
            }

            if (canon_value(b, e, depth + 1) != 0) {
                return -1;
            }
        }

        session_add(b, "]", 1);
        return 0;

    case JSON_STRING:
        return canon_string(b, json_string_value(v), json_string_length(v));

    case JSON_INTEGER:
        session_print(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return 0;

    case JSON_REAL:
        return canon_real(b, json_real_value(v));

    case JSON_TRUE:
        session_add(b, "true", 4);
        return 0;

    case JSON_FALSE:
        session_add(b, "false", 5);
        return 0;

    default:
        session_add(b, "null", 4);
        return 0;
    }
}


int
transcript_canon(session_buf_t *b, const json_t *v)
{
    return canon_value(b, v, 0);
}


/* An entry stands two deep in its file. */
int
transcript_canon_entry(session_buf_t *b, const json_t *entry)
{
    return canon_value(b, entry, 2);
}


void
transcript_sha256(const char *p, size_t n, char out[TRANSCRIPT_HASH_LEN + 1])
{
    size_t             i;
    unsigned           size;
    unsigned char      raw[RAW];

    static const char  hex[] = "0123456789abcdef";

    if (EVP_Digest(p, n, raw, &size, EVP_sha256(), NULL) != 1 || size != RAW) {
        store_oom();            /* the only way in which it fails */
    }

    for (i = 0; i < RAW; i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }

    out[TRANSCRIPT_HASH_LEN] = '\0';
}


int
transcript_content_hash(const json_t *content, const char *salt,
    char out[TRANSCRIPT_HASH_LEN + 1])
{
    int            rc;
    session_buf_t  b;

    memset(&b, 0, sizeof(b));
    session_add(&b, salt, strlen(salt));
    session_add(&b, "\n", 1);
    rc = transcript_canon(&b, content);

    if (rc == 0) {
        transcript_sha256(b.p, b.n, out);
    }

    free(b.p);

    return rc;
}


int
transcript_entry_hash(const json_t *entry, char out[TRANSCRIPT_HASH_LEN + 1])
{
    int            rc;
    json_t        *bare;
    session_buf_t  b;

    bare = json_copy((json_t *) entry);
    if (bare == NULL) {
        store_oom();
    }

    json_object_del(bare, "content");
    json_object_del(bare, "salt");
    json_object_del(bare, "hash");

    memset(&b, 0, sizeof(b));
    rc = transcript_canon(&b, bare);

    if (rc == 0) {
        transcript_sha256(b.p, b.n, out);
    }

    free(b.p);
    json_decref(bare);

    return rc;
}


int
transcript_is_hex(const json_t *v, size_t n)
{
    return json_is_string(v) && json_string_length(v) == n
           && strspn(json_string_value(v), "0123456789abcdef") == n;
}
