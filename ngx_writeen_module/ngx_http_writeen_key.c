/*
 * ngx_http_writeen_key.c: the keys that tokens are verified with
 * (writeen_jwt_key).
 *
 * Runs while the configuration is read, and only then: what is wrong with a
 * key is said by nginx -t, not found out with the first token.  OpenSSL, which
 * is nginx's own, looks at public keys; libjwt is not needed here.
 */

#include "ngx_http_writeen.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>


#define NGX_HTTP_WRITEEN_KEY_FILE_MAX   65536


typedef struct {
    ngx_str_t    name;
    int          type;          /* EVP_PKEY_*, EVP_PKEY_HMAC for a secret */
    size_t       hash;          /* bytes: a shorter secret is weaker */
    const char  *curve;         /* as OpenSSL says it */
    const char  *curve_name;    /* as people say it */
} ngx_http_writeen_alg_t;


static ngx_int_t ngx_http_writeen_key_value(ngx_conf_t *cf,
    ngx_http_writeen_alg_t *alg, ngx_str_t *value, ngx_str_t *key);
static ngx_int_t ngx_http_writeen_key_file(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *key);
static const char *ngx_http_writeen_key_mistaken(ngx_conf_t *cf,
    ngx_str_t *value);
static char *ngx_http_writeen_key_add(ngx_conf_t *cf,
    ngx_http_writeen_loc_conf_t *wlcf, ngx_http_writeen_key_t *key);
static const char *ngx_http_writeen_key_check(ngx_http_writeen_alg_t *alg,
    ngx_str_t *key);
static const char *ngx_http_writeen_key_pem(ngx_http_writeen_alg_t *alg,
    ngx_str_t *key);


static ngx_http_writeen_alg_t  ngx_http_writeen_algs[] = {
    { ngx_string("HS256"), EVP_PKEY_HMAC, 32, NULL, NULL },
    { ngx_string("HS384"), EVP_PKEY_HMAC, 48, NULL, NULL },
    { ngx_string("HS512"), EVP_PKEY_HMAC, 64, NULL, NULL },
    { ngx_string("RS256"), EVP_PKEY_RSA, 0, NULL, NULL },
    { ngx_string("RS384"), EVP_PKEY_RSA, 0, NULL, NULL },
    { ngx_string("RS512"), EVP_PKEY_RSA, 0, NULL, NULL },
    { ngx_string("ES256"), EVP_PKEY_EC, 0,
      "prime256v1", "P-256" },
    { ngx_string("ES384"), EVP_PKEY_EC, 0,
      "secp384r1", "P-384" },
    { ngx_string("ES512"), EVP_PKEY_EC, 0,
      "secp521r1", "P-521" },
    { ngx_null_string, 0, 0, NULL, NULL }
};


/*
 * writeen_jwt_key <algorithm> <secret|PEM|file:/path> [kid=<kid>];
 * http, server, location; no default; several make several keys
 *
 * A key that tokens are verified with: a secret for HS256, HS384 and HS512, a
 * public key in PEM form for RS256, RS384, RS512, ES256, ES384 and ES512.
 * "file:" takes it from a file (relative to the folder of nginx.conf; a
 * newline that ends a secret is cut off).  A token whose header has a kid is
 * verified with the key of that kid only; a token without one with the keys
 * without one, in their order.  Keys of one level replace those inherited.
 *
 * nginx -t refuses: an algorithm that is not in the list; a secret of less than
 * 16 bytes, or one that is a PEM text; PEM that holds no public key or several,
 * one of another kind, an RSA key below 2048 bits or another curve than the
 * algorithm's; two keys of one kid; a file's name without "file:", and a
 * variable.  It warns of a secret that is shorter than the hash.
 */
char *
ngx_http_writeen_jwt_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_writeen_loc_conf_t *wlcf = conf;

    ngx_str_t               *value;
    ngx_http_writeen_key_t   key;
    ngx_http_writeen_alg_t  *alg;

    value = cf->args->elts;

    for (alg = ngx_http_writeen_algs; alg->name.len; alg++) {
        if (alg->name.len == value[1].len
            && ngx_strcmp(alg->name.data, value[1].data) == 0)
        {
            break;
        }
    }

    if (alg->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown algorithm \"%V\" in \"writeen_jwt_key\", "
                           "it must be one of HS256, HS384, HS512, RS256, "
                           "RS384, RS512, ES256, ES384, ES512", &value[1]);
        return NGX_CONF_ERROR;
    }

    key.alg = alg->name;
    ngx_str_null(&key.kid);

    if (cf->args->nelts == 4) {
        if (value[3].len < sizeof("kid=")
            || ngx_strncmp(value[3].data, "kid=", 4) != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in "
                               "\"writeen_jwt_key\", it must be "
                               "\"kid=<id>\"", &value[3]);
            return NGX_CONF_ERROR;
        }

        key.kid.data = value[3].data + 4;
        key.kid.len = value[3].len - 4;
    }

    if (ngx_http_writeen_key_value(cf, alg, &value[2], &key.key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_writeen_key_add(cf, wlcf, &key);
}


/* The bytes of a key, checked.  They are never shown. */

static ngx_int_t
ngx_http_writeen_key_value(ngx_conf_t *cf, ngx_http_writeen_alg_t *alg,
    ngx_str_t *value, ngx_str_t *key)
{
    ngx_str_t    name;
    const char  *why;

    *key = *value;
    why = NULL;

    if (value->len >= 5 && ngx_strncmp(value->data, "file:", 5) == 0) {
        name.data = value->data + 5;
        name.len = value->len - 5;

        if (ngx_http_writeen_key_file(cf, &name, key) != NGX_OK) {
            return NGX_ERROR;
        }

        while (alg->type == EVP_PKEY_HMAC
               && key->len
               && (key->data[key->len - 1] == LF
                   || key->data[key->len - 1] == CR))
        {
            key->len--;
        }

    } else {
        why = ngx_http_writeen_key_mistaken(cf, value);
    }

    if (why == NULL) {
        why = ngx_http_writeen_key_check(alg, key);
    }

    if (why != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the key of \"writeen_jwt_key %V\" %s",
                           &alg->name, why);
        return NGX_ERROR;
    }

    if (key->len < alg->hash) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "the secret of \"writeen_jwt_key %V\" has %uz "
                           "bytes, %uz or more are advised",
                           &alg->name, key->len, alg->hash);
    }

    return NGX_OK;
}


/*
 * What was meant to lead to a key and would be taken for one: a path, which
 * anybody can guess, and then mint tokens with; a variable, of which there are
 * none here, and which a template has left as it was.
 */

static const char *
ngx_http_writeen_key_mistaken(ngx_conf_t *cf, ngx_str_t *value)
{
    u_char           *p, *last;
    ngx_str_t         path;
    ngx_file_info_t   fi;

    path = *value;

    if (path.len && path.len < NGX_MAX_PATH
        && ngx_conf_full_name(cf->cycle, &path, 1) == NGX_OK
        && ngx_file_info(path.data, &fi) != NGX_FILE_ERROR
        && !ngx_is_dir(&fi))
    {
        return "is the name of a file; write \"file:\" before it";
    }

    p = value->data;
    last = p + value->len;

    if (value->len < 2 || *p++ != '$') {
        return NULL;
    }

    if (last - p > 2 && *p == '{' && last[-1] == '}') {
        p++;
        last--;
    }

    while (p < last && (isalnum(*p) || *p == '_')) {
        p++;
    }

    return p < last ? NULL : "is the name of a variable, and there are none "
                             "here; write the key itself, or \"file:\" and "
                             "a path";
}


static ngx_int_t
ngx_http_writeen_key_file(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *key)
{
    ssize_t     n;
    ngx_int_t   rc;
    ngx_str_t   path;
    ngx_file_t  file;

    path = *name;
    rc = NGX_ERROR;

    if (path.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no file is named in \"writeen_jwt_key\"");
        return NGX_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = path;
    file.log = cf->log;

    file.fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" of \"writeen_jwt_key\" "
                           "failed", &path);
        return NGX_ERROR;
    }

    /* one byte more than allowed: that it is there says the file is too big */

    key->data = ngx_pnalloc(cf->pool, NGX_HTTP_WRITEEN_KEY_FILE_MAX + 1);
    if (key->data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, key->data, NGX_HTTP_WRITEEN_KEY_FILE_MAX + 1, 0);
    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_file_n " \"%V\" of \"writeen_jwt_key\" "
                           "failed", &path);
        goto done;
    }

    if (n > NGX_HTTP_WRITEEN_KEY_FILE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"writeen_jwt_key\" is too big for a "
                           "key", &path);
        goto done;
    }

    key->len = n;
    rc = NGX_OK;

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", &path);
    }

    return rc;
}


static char *
ngx_http_writeen_key_add(ngx_conf_t *cf, ngx_http_writeen_loc_conf_t *wlcf,
    ngx_http_writeen_key_t *key)
{
    ngx_uint_t               i;
    ngx_http_writeen_key_t  *k;

    if (wlcf->keys == NULL || wlcf->keys == NGX_CONF_UNSET_PTR) {
        wlcf->keys = ngx_array_create(cf->pool, 2,
                                      sizeof(ngx_http_writeen_key_t));
        if (wlcf->keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    k = wlcf->keys->elts;

    for (i = 0; key->kid.len && i < wlcf->keys->nelts; i++) {
        if (k[i].kid.len == key->kid.len
            && ngx_memcmp(k[i].kid.data, key->kid.data, key->kid.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate kid \"%V\" in \"writeen_jwt_key\"",
                               &key->kid);
            return NGX_CONF_ERROR;
        }
    }

    k = ngx_array_push(wlcf->keys);
    if (k == NULL) {
        return NGX_CONF_ERROR;
    }

    *k = *key;

    return NGX_CONF_OK;
}


static const char *
ngx_http_writeen_key_check(ngx_http_writeen_alg_t *alg, ngx_str_t *key)
{
    if (key->len == 0) {
        return "is empty";
    }

    if (alg->type != EVP_PKEY_HMAC) {
        return ngx_http_writeen_key_pem(alg, key);
    }

    if (ngx_strlcasestrn(key->data, key->data + key->len,
                         (u_char *) "-----BEGIN ", 11 - 1))
    {
        /* a public key is no secret: whoever has it could mint tokens */
        return "is in PEM form, which is for RS and ES algorithms";
    }

    if (key->len < WRT_TOKEN_SECRET_MIN) {
        return "is a secret of less than 16 bytes";
    }

    return NULL;
}


/* Nobody is there to be asked, neither now nor when a token comes. */

static int
ngx_http_writeen_no_password(char *buf, int size, int rwflag, void *data)
{
    return -1;
}


static const char *
ngx_http_writeen_key_pem(ngx_http_writeen_alg_t *alg, ngx_str_t *key)
{
    BIO         *bio;
    char         curve[64];
    u_char      *last;
    size_t       len;
    EVP_PKEY    *pkey, *other;
    const char  *why;

    last = key->data + key->len;
    why = NULL;

    bio = BIO_new_mem_buf(key->data, (int) key->len);
    if (bio == NULL) {
        return "can not be read: no memory";
    }

    pkey = PEM_read_bio_PUBKEY(bio, NULL, ngx_http_writeen_no_password, NULL);
    other = pkey ? PEM_read_bio_PUBKEY(bio, NULL, ngx_http_writeen_no_password,
                                       NULL)
                 : NULL;

    BIO_free(bio);
    ERR_clear_error();

    if (pkey == NULL) {
        if (ngx_strlcasestrn(key->data, last,
                             (u_char *) "PRIVATE KEY-----", 16 - 1))
        {
            return "is a private key; the public one is needed "
                   "(openssl pkey -pubout)";
        }

        if (ngx_strlcasestrn(key->data, last,
                             (u_char *) "CERTIFICATE-----", 16 - 1))
        {
            return "is a certificate; its public key is needed "
                   "(openssl x509 -pubkey -noout)";
        }

        return "is no public key in PEM form";
    }

    if (other != NULL) {
        /* tokens of the second one would all be refused */
        why = "is more than one public key; each has a \"writeen_jwt_key\" "
              "of its own";

    } else if (EVP_PKEY_base_id(pkey) != alg->type) {
        why = (alg->type == EVP_PKEY_RSA) ? "is no RSA key" : "is no EC key";

    } else if (alg->type == EVP_PKEY_RSA) {
        if (EVP_PKEY_bits(pkey) < WRT_TOKEN_RSA_MIN) {
            why = "is an RSA key of less than 2048 bits";
        }

    } else if (EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), &len) != 1
               || (ngx_strcmp(curve, alg->curve) != 0
                   && ngx_strcmp(curve, alg->curve_name) != 0))
    {
        why = "is on another curve: ES256 needs P-256, ES384 P-384, "
              "ES512 P-521";
    }

    EVP_PKEY_free(other);
    EVP_PKEY_free(pkey);
    ERR_clear_error();

    return why;
}
