/*
 * ngx_http_writeen_auth.c: who a token speaks for.
 *
 * The only file that knows libjwt.  A token is a stranger's bytes until
 * jwt_decode() said otherwise, so before that its size, its alphabet and its
 * header are checked here.  libjwt takes the algorithm from the token;
 * therefore a key is tried only when the header names exactly the algorithm
 * that the key was configured with.  It is then impossible to have an RSA
 * public key taken for an HMAC secret, or to pass with "none".
 *
 * What libjwt hands out is its own and is freed on every path here; what is
 * kept is copied into the caller's pool.  Called by the handshake, by api.c
 * and for refresh_token.
 */

#include "ngx_http_writeen.h"

#include <jwt.h>
#include <openssl/err.h>


#define NGX_HTTP_WRITEEN_ALG_MAX   16
#define NGX_HTTP_WRITEEN_TIME_MAX  253402300799LL  /* year 9999 */


static const char *ngx_http_writeen_auth_segments(ngx_str_t *token,
    size_t *header_len);
static const char *ngx_http_writeen_auth_decode(
    ngx_http_writeen_loc_conf_t *wlcf, u_char *token, size_t header_len,
    ngx_pool_t *pool, jwt_t **jwt);
static const char *ngx_http_writeen_auth_try(
    ngx_http_writeen_loc_conf_t *wlcf, u_char *token, wrt_slice_t *alg,
    wrt_slice_t *kid, jwt_t **jwt);
static const char *ngx_http_writeen_auth_claims(
    ngx_http_writeen_loc_conf_t *wlcf, jwt_t *jwt,
    ngx_http_writeen_identity_t *id);
static const char *ngx_http_writeen_auth_identity(jwt_t *jwt,
    ngx_http_writeen_identity_t *id, ngx_pool_t *pool);
static ngx_int_t ngx_http_writeen_claim_text(jwt_t *jwt, const char *name,
    const char **value);
static ngx_int_t ngx_http_writeen_claim_time(jwt_t *jwt, const char *name,
    int64_t *value);
static ngx_uint_t ngx_http_writeen_claim_audience(jwt_t *jwt,
    ngx_array_t *allowed);
static ngx_uint_t ngx_http_writeen_json_has(const char *json, u_char *text,
    size_t n);
static ngx_int_t ngx_http_writeen_claim_copy(ngx_pool_t *pool,
    const char *value, ngx_str_t *out);


static ngx_str_t  ngx_http_writeen_roles[] = {
    ngx_string("student"),      /* the default, when a token has no role */
    ngx_string("tutor"),
    ngx_string("service"),
    ngx_string("admin"),
    ngx_null_string
};


ngx_int_t
ngx_http_writeen_auth_verify(ngx_http_writeen_loc_conf_t *wlcf,
    ngx_str_t *token, ngx_http_writeen_identity_t *id, ngx_pool_t *pool,
    const char **why)
{
    jwt_t   *jwt;
    u_char  *p;
    size_t   header_len;

    ngx_memzero(id, sizeof(ngx_http_writeen_identity_t));
    jwt = NULL;

    *why = ngx_http_writeen_auth_segments(token, &header_len);
    if (*why != NULL) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, token->len + 1);
    if (p == NULL) {
        *why = "no memory";
        return NGX_DECLINED;
    }

    *ngx_cpymem(p, token->data, token->len) = '\0';

    *why = ngx_http_writeen_auth_decode(wlcf, p, header_len, pool, &jwt);

    if (*why == NULL) {
        *why = ngx_http_writeen_auth_claims(wlcf, jwt, id);

        if (*why == NULL) {
            *why = ngx_http_writeen_auth_identity(jwt, id, pool);
        }

        jwt_free(jwt);
    }

    ngx_explicit_memzero(p, token->len);

    return (*why == NULL) ? NGX_OK : NGX_DECLINED;
}


/* Three parts of base64url, none of them empty, not too long. */

static const char *
ngx_http_writeen_auth_segments(ngx_str_t *token, size_t *header_len)
{
    u_char      *p, *last, *start, ch;
    ngx_uint_t   n;

    if (token->len > WRT_TOKEN_MAX) {
        return "token is too long";
    }

    n = 0;
    start = token->data;
    last = token->data + token->len;
    *header_len = 0;

    for (p = token->data; /* void */ ; p++) {

        if (p == last || *p == '.') {

            if (p == start || (p - start) % 4 == 1) {
                return "token is malformed";
            }

            if (n++ == 0) {
                *header_len = p - start;
            }

            if (p == last) {
                break;
            }

            start = p + 1;
            continue;
        }

        ch = (u_char) (*p | 0x20);

        if ((ch < 'a' || ch > 'z') && (*p < '0' || *p > '9')
            && *p != '-' && *p != '_')
        {
            return "token is malformed";
        }
    }

    return (n == 3) ? NULL : "token is malformed";
}


/* Read the header and verify with the keys that it may be verified with. */

static const char *
ngx_http_writeen_auth_decode(ngx_http_writeen_loc_conf_t *wlcf, u_char *token,
    size_t header_len, ngx_pool_t *pool, jwt_t **jwt)
{
    ngx_str_t       src, dst;
    const char     *why;
    wrt_slice_t     alg, kid, crit;
    wrt_refusal_t   refusal;
    wrt_envelope_t  header;

    src.data = token;
    src.len = header_len;

    dst.data = ngx_pnalloc(pool, ngx_base64_decoded_length(header_len));
    if (dst.data == NULL) {
        return "no memory";
    }

    if (ngx_decode_base64url(&dst, &src) != NGX_OK) {
        return "token is malformed";
    }

    if (wrt_envelope_parse_body(&header, (char *) dst.data, dst.len,
                                &refusal)
        != 0)
    {
        wrt_envelope_free(&header);
        return "token header is malformed";
    }

    ngx_memzero(&kid, sizeof(wrt_slice_t));

    if (wrt_envelope_string(&header, "alg", NGX_HTTP_WRITEEN_ALG_MAX, &alg,
                            &refusal)
        != 1)
    {
        why = "token header has no algorithm";

    } else if (wrt_envelope_string(&header, "kid", WRT_NAME_MAX, &kid,
                                   &refusal)
               == -1)
    {
        why = "token header has an odd kid";

    } else if (wrt_envelope_string(&header, "crit", 1, &crit, &refusal)
               != 0)
    {
        /* RFC 7515, 4.1.11: what we do not know must not be passed over */
        why = "token has critical extensions";

    } else {
        why = ngx_http_writeen_auth_try(wlcf, token, &alg, &kid, jwt);
    }

    wrt_envelope_free(&header);

    /* nginx logs what it finds left in the queue at its next TLS call */
    ERR_clear_error();

    return why;
}


static const char *
ngx_http_writeen_auth_try(ngx_http_writeen_loc_conf_t *wlcf, u_char *token,
    wrt_slice_t *alg, wrt_slice_t *kid, jwt_t **jwt)
{
    ngx_uint_t               i;
    const char              *why;
    ngx_http_writeen_key_t  *key;

    if (wlcf->keys == NULL) {
        return "no writeen_jwt_key here";
    }

    why = "no key has the token's kid";
    key = wlcf->keys->elts;

    for (i = 0; i < wlcf->keys->nelts; i++, key++) {

        if (key->kid.len != kid->n
            || (kid->n && ngx_memcmp(key->kid.data, kid->p, kid->n) != 0))
        {
            continue;
        }

        if (key->alg.len != alg->n
            || ngx_memcmp(key->alg.data, alg->p, alg->n) != 0)
        {
            why = "token has another algorithm than its key";
            continue;
        }

        *jwt = NULL;

        if (jwt_decode(jwt, (char *) token, key->key.data,
                       (int) key->key.len)
            != 0)
        {
            why = "token signature is wrong, it is of another key or secret";
            continue;
        }

        /* what libjwt verified with, to be sure */

        if (jwt_get_alg(*jwt) == jwt_str_alg((char *) key->alg.data)) {
            return NULL;
        }

        jwt_free(*jwt);
        *jwt = NULL;

        why = "token has another algorithm than its key";
    }

    return why;
}


/* What decides whether the token counts here and now. */

static const char *
ngx_http_writeen_auth_claims(ngx_http_writeen_loc_conf_t *wlcf, jwt_t *jwt,
    ngx_http_writeen_identity_t *id)
{
    time_t       now;
    int64_t      exp, nbf;
    ngx_int_t    rc;
    const char  *s;

    now = ngx_time();

    if (ngx_http_writeen_claim_time(jwt, "exp", &exp) != NGX_OK) {
        return "token has no exp";
    }

    if (exp + wlcf->leeway <= now) {
        return "token has expired";
    }

    rc = ngx_http_writeen_claim_time(jwt, "nbf", &nbf);

    if (rc == NGX_ERROR) {
        return "token has an odd nbf";
    }

    if (rc == NGX_OK && nbf > now + wlcf->leeway) {
        return "token is not valid yet";
    }

    if (wlcf->issuer.len
        && (ngx_http_writeen_claim_text(jwt, "iss", &s) != NGX_OK
            || ngx_strlen(s) != wlcf->issuer.len
            || ngx_memcmp(s, wlcf->issuer.data, wlcf->issuer.len) != 0))
    {
        return "token has another issuer";
    }

    if (wlcf->audience != NULL
        && !ngx_http_writeen_claim_audience(jwt, wlcf->audience))
    {
        return "token has another audience";
    }

    id->exp = (time_t) exp;

    return NULL;
}


static const char *
ngx_http_writeen_auth_identity(jwt_t *jwt, ngx_http_writeen_identity_t *id,
    ngx_pool_t *pool)
{
    ngx_int_t    rc;
    ngx_str_t   *role;
    const char  *s;

    if (ngx_http_writeen_claim_text(jwt, "sub", &s) != NGX_OK
        || !wrt_id_valid(s, ngx_strlen(s)))
    {
        return "token has no sub that is an id";
    }

    if (ngx_http_writeen_claim_copy(pool, s, &id->uid) != NGX_OK) {
        return "no memory";
    }

    role = ngx_http_writeen_roles;
    rc = ngx_http_writeen_claim_text(jwt, "role", &s);

    while (rc == NGX_OK && role->len && ngx_strcmp(role->data, s) != 0) {
        role++;
    }

    if (rc == NGX_ERROR || role->len == 0) {
        return "token has an unknown role";
    }

    id->role = *role;

    rc = ngx_http_writeen_claim_text(jwt, "name", &s);

    if (rc == NGX_ERROR) {
        return "token has an odd name";
    }

    if (rc == NGX_OK
        && ngx_http_writeen_claim_copy(pool, s, &id->name) != NGX_OK)
    {
        return "no memory";
    }

    id->name.len = wrt_utf8_cut(id->name.data, id->name.len, WRT_NAME_MAX);

    rc = ngx_http_writeen_claim_text(jwt, "avatar", &s);

    if (rc == NGX_ERROR) {
        return "token has an odd avatar";
    }

    /* part of an address leads nowhere: one too long is as good as none */

    if (rc == NGX_OK
        && ngx_strlen(s) <= WRT_URL_MAX
        && ngx_http_writeen_claim_copy(pool, s, &id->avatar) != NGX_OK)
    {
        return "no memory";
    }

    return NULL;
}


/* NGX_OK and *value, good until jwt_free(); NGX_DECLINED: absent or null;
 * NGX_ERROR: no string. */

static ngx_int_t
ngx_http_writeen_claim_text(jwt_t *jwt, const char *name, const char **value)
{
    char       *json;
    ngx_int_t   rc;

    *value = jwt_get_grant(jwt, name);
    if (*value != NULL) {
        return NGX_OK;
    }

    json = jwt_get_grants_json(jwt, name);
    if (json == NULL) {
        return (errno == EINVAL || errno == ENOENT) ? NGX_DECLINED : NGX_ERROR;
    }

    rc = (ngx_strcmp(json, "null") == 0) ? NGX_DECLINED : NGX_ERROR;

    free(json);

    return rc;
}


/*
 * NumericDate: seconds, a fraction is cut off.  libjwt gives 0 for what is no
 * integer, so its JSON is looked at.  Results as of claim_text.
 */

static ngx_int_t
ngx_http_writeen_claim_time(jwt_t *jwt, const char *name, int64_t *value)
{
    char       *json, *p;
    int64_t     n;
    ngx_uint_t  negative;

    json = jwt_get_grants_json(jwt, name);
    if (json == NULL) {
        return (errno == EINVAL || errno == ENOENT) ? NGX_DECLINED : NGX_ERROR;
    }

    p = json;
    negative = (*p == '-');

    if (negative) {
        p++;
    }

    if (*p < '0' || *p > '9') {
        free(json);
        return NGX_ERROR;
    }

    for (n = 0; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');

        if (n > NGX_HTTP_WRITEEN_TIME_MAX) {
            n = NGX_HTTP_WRITEEN_TIME_MAX;
        }
    }

    while (*p == '.' || (*p >= '0' && *p <= '9')) {
        p++;
    }

    /* an exponent: so big or so small is no time */

    if (*p != '\0') {
        free(json);
        return NGX_ERROR;
    }

    free(json);

    *value = negative ? 0 : n;

    return NGX_OK;
}


/* "aud" is a string or an array of them; one that is allowed is enough. */

static ngx_uint_t
ngx_http_writeen_claim_audience(jwt_t *jwt, ngx_array_t *allowed)
{
    char        *json, *text;
    size_t       n;
    ngx_str_t   *aud;
    ngx_uint_t   i, found;

    json = jwt_get_grants_json(jwt, "aud");
    if (json == NULL) {
        return 0;
    }

    aud = allowed->elts;
    found = 0;

    for (i = 0; i < allowed->nelts && !found; i++) {

        /* compared as JSON text, which has one form only when jansson
         * writes it */

        text = ngx_alloc(6 * aud[i].len + 1, ngx_cycle->log);
        if (text == NULL) {
            break;
        }

        n = wrt_json_escape(text, (char *) aud[i].data, aud[i].len);
        found = ngx_http_writeen_json_has(json, (u_char *) text, n);

        ngx_free(text);
    }

    free(json);

    return found;
}


/* Is the JSON a string with this inside, or an array that has one?  What
 * follows a member that is no string is not looked at. */

static ngx_uint_t
ngx_http_writeen_json_has(const char *json, u_char *text, size_t n)
{
    const char  *p, *start;

    p = json;

    if (*p == '[') {
        p++;
    }

    while (*p == '"') {
        start = ++p;

        while (*p != '"') {
            p += (*p == '\\') ? 2 : 1;
        }

        if ((size_t) (p - start) == n && ngx_memcmp(start, text, n) == 0) {
            return 1;
        }

        p++;

        if (*p == ',') {
            p++;
        }
    }

    return 0;
}


/* Into the pool; control characters, which have no place in a name, become
 * spaces.  jansson let valid UTF-8 through only. */

static ngx_int_t
ngx_http_writeen_claim_copy(ngx_pool_t *pool, const char *value,
    ngx_str_t *out)
{
    size_t  i, n;

    n = ngx_strlen(value);

    out->data = ngx_pnalloc(pool, n + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        out->data[i] = (u_char) value[i];

        if (out->data[i] < 0x20 || out->data[i] == 0x7f) {
            out->data[i] = ' ';
        }
    }

    out->data[n] = '\0';
    out->len = n;

    return NGX_OK;
}
