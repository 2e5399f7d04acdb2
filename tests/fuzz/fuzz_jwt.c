/*
 * fuzz_jwt.c: any bytes as a token, and any header and claims in one that is
 * signed as it should be.
 *
 * The first byte chooses.  What is no token of ours as it stands is never
 * accepted.  For the other kind the input is the header's JSON, and behind the
 * first NUL that of the claims; both are signed with the key, so that what
 * comes after the signature is reached.  What holds when it is accepted:
 *   - the header names exactly HS256, and no critical extension;
 *   - the user is an id, his role one of four, the token has not expired;
 *   - name and avatar are UTF-8 without control characters, no longer than
 *     they may be;
 *   - why it is refused is said without any part of it.
 */

#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_http_writeen.h"

#define NOW     1800000000
#define SECRET  "fuzz-secret-0123456789abcdef01234567"


/* What of nginx the code under test refers to. */

static ngx_time_t     now = { NOW, 0, 0 };
volatile ngx_time_t  *ngx_cached_time = &now;
static ngx_log_t      no_log;
static ngx_cycle_t    cycle = { .log = &no_log };
volatile ngx_cycle_t *ngx_cycle = &cycle;


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    FUZZ_CHECK(level > NGX_LOG_ALERT);
}


static size_t
base64url(char *out, const uint8_t *p, size_t n)
{
    size_t  i, len;

    len = (size_t) EVP_EncodeBlock((unsigned char *) out, p, (int) n);

    for (i = 0; i < len && out[i] != '='; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }

    return i;
}


/* Header and claims in a token with a good signature. */
static size_t
sign(char *out, const uint8_t *p, size_t n)
{
    size_t    head, len;
    unsigned  mac_len;
    uint8_t   mac[EVP_MAX_MD_SIZE];

    head = strnlen((const char *) p, n);
    len = base64url(out, p, head);
    out[len++] = '.';
    head += head < n;
    len += base64url(out + len, p + head, n - head);

    HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (uint8_t *) out, len, mac,
         &mac_len);

    out[len++] = '.';

    return len + base64url(out + len, mac, mac_len);
}


static void
check_text(ngx_str_t *s, size_t max)
{
    size_t  i;

    FUZZ_CHECK(s->len <= max && wrt_utf8_valid(s->data, s->len));

    for (i = 0; i < s->len; i++) {
        FUZZ_CHECK(s->data[i] >= 0x20 && s->data[i] != 0x7f);
    }
}


static void
check_accepted(ngx_http_writeen_identity_t *id)
{
    FUZZ_CHECK(wrt_id_valid((char *) id->uid.data, id->uid.len));
    FUZZ_CHECK(strcmp((char *) id->role.data, "student") == 0
               || strcmp((char *) id->role.data, "tutor") == 0
               || strcmp((char *) id->role.data, "service") == 0
               || strcmp((char *) id->role.data, "admin") == 0);
    FUZZ_CHECK(id->exp > NOW);
    check_text(&id->name, WRT_NAME_MAX);
    check_text(&id->avatar, WRT_URL_MAX);
}


/* By other means than the code under test: is that the header's algorithm? */
static int
names_hs256(const uint8_t *p, size_t n)
{
    json_t      *v;
    const char  *s;
    int          yes;

    v = json_loadb((const char *) p, strnlen((const char *) p, n), 0, NULL);
    s = json_string_value(json_object_get(v, "alg"));
    yes = s && strcmp(s, "HS256") == 0
          && json_object_get(v, "crit") == NULL;
    json_decref(v);

    return yes;
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char                         *text;
    ngx_int_t                     rc;
    ngx_str_t                     token;
    const char                   *why;
    ngx_pool_t                   *pool;
    ngx_array_t                   keys;
    ngx_http_writeen_key_t        key;
    ngx_http_writeen_identity_t   id;
    ngx_http_writeen_loc_conf_t   conf;

    if (n < 1) {
        return 0;
    }

    ngx_pagesize = 4096;

    memset(&conf, 0, sizeof(conf));
    memset(&key, 0, sizeof(key));

    ngx_str_set(&key.alg, "HS256");
    ngx_str_set(&key.key, SECRET);

    if (p[0] & 2) {
        ngx_str_set(&key.kid, "k1");
    }

    keys.elts = &key;
    keys.nelts = 1;
    conf.keys = &keys;
    conf.leeway = 0;

    text = malloc(4 * n + 256);
    FUZZ_CHECK(text != NULL);

    if (p[0] & 1) {
        token.len = sign(text, p + 1, n - 1);

    } else {
        memcpy(text, p + 1, n - 1);
        token.len = n - 1;
    }

    /* nothing is behind it */
    token.data = malloc(token.len ? token.len : 1);
    FUZZ_CHECK(token.data != NULL);
    memcpy(token.data, text, token.len);
    free(text);

    pool = ngx_create_pool(1024, &no_log);
    FUZZ_CHECK(pool != NULL);

    rc = ngx_http_writeen_auth_verify(&conf, &token, &id, pool, &why);

    if (rc == NGX_OK) {
        FUZZ_CHECK((p[0] & 1) && names_hs256(p + 1, n - 1));
        check_accepted(&id);

    } else {
        FUZZ_CHECK(rc == NGX_DECLINED && why != NULL);
    }

    ngx_destroy_pool(pool);
    free(token.data);

    return 0;
}
