/*
 * push_account.c: the file of a Google service account, as the console gives
 * it.  Read at the start; the private key is looked at, so that one that is
 * cut off is found then and not with the first push.
 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "worker/push/push.h"

#define ACCOUNT_TOKEN_URL  "https://oauth2.googleapis.com/token"
#define ACCOUNT_MAX        65536
#define ACCOUNT_RSA_MIN    2048


/* The member as a text of its own.  NULL: it is not there, or no text. */
static char *
account_text(const json_t *doc, const char *name, const char *def)
{
    json_t      *v;
    const char  *s;

    v = json_object_get(doc, name);
    s = v ? json_string_value(v) : def;

    return s && (s[0] || s == def) ? strdup(s) : NULL;
}


static int
account_key_ok(const char *pem)
{
    int        ok;
    BIO       *bio;
    EVP_PKEY  *key;

    bio = BIO_new_mem_buf(pem, -1);
    key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, "") : NULL;
    ok = key && EVP_PKEY_base_id(key) == EVP_PKEY_RSA
         && EVP_PKEY_bits(key) >= ACCOUNT_RSA_MIN;

    EVP_PKEY_free(key);
    BIO_free(bio);

    return ok;
}


static int
account_project_ok(const char *s)
{
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-:.")] == '\0';
}


static int
account_fill(push_account_t *a, const json_t *doc, const char *path,
    char *err, size_t size)
{
    const char  *name;

    a->project = account_text(doc, "project_id", NULL);
    a->email = account_text(doc, "client_email", NULL);
    a->key = account_text(doc, "private_key", NULL);
    a->key_id = account_text(doc, "private_key_id", "");
    a->token_url = account_text(doc, "token_uri", ACCOUNT_TOKEN_URL);

    name = a->project == NULL || !account_project_ok(a->project)
           ? "project_id" : a->email == NULL ? "client_email"
           : a->key == NULL || !account_key_ok(a->key) ? "private_key"
           : a->key_id == NULL ? "private_key_id"
           : a->token_url == NULL
             || (strncmp(a->token_url, "https://", 8) != 0
                 && strncmp(a->token_url, "http://", 7) != 0) ? "token_uri"
           : NULL;

    if (name == NULL) {
        return 0;
    }

    snprintf(err, size, "%.200s: \"%s\" is missing or no %s; use the file of "
             "a service account as the Firebase console makes it (Project "
             "settings, Service accounts)", path, name,
             strcmp(name, "private_key") == 0
             ? "RSA key in PEM form of at least 2048 bits"
             : strcmp(name, "token_uri") == 0 ? "URL" : "text that fits");

    return -1;
}


int
push_account_read(push_account_t *a, const char *path, char *err, size_t size)
{
    int           rc;
    FILE         *f;
    char         *text;
    size_t        n;
    json_t       *doc;
    json_error_t  e;

    memset(a, 0, sizeof(*a));

    f = fopen(path, "re");
    text = f ? malloc(ACCOUNT_MAX + 1) : NULL;

    if (text == NULL) {
        snprintf(err, size, "%.200s cannot be read: %s; name the JSON file "
                 "of a service account that this user may read", path,
                 strerror(errno));
        if (f) {
            fclose(f);
        }

        return -1;
    }

    n = fread(text, 1, ACCOUNT_MAX + 1, f);
    fclose(f);

    doc = n <= ACCOUNT_MAX
          ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &e) : NULL;

    if (json_is_object(doc)) {
        rc = account_fill(a, doc, path, err, size);

    } else {
        snprintf(err, size, "%.200s, line %d: no JSON object: %.100s; use "
                 "the file of a service account as it was downloaded", path,
                 n > ACCOUNT_MAX || doc ? 1 : e.line,
                 n > ACCOUNT_MAX ? "it is too long" : doc ? "another value"
                 : e.text);
        rc = -1;
    }

    json_decref(doc);
    memset(text, 0, n);
    free(text);

    if (rc != 0) {
        push_account_free(a);
    }

    return rc;
}


void
push_account_free(push_account_t *a)
{
    free(a->project);
    free(a->email);
    free(a->key);
    free(a->key_id);
    free(a->token_url);

    memset(a, 0, sizeof(*a));
}


int
push_ca_check(const char *path, char *err, size_t size)
{
    FILE  *f;
    X509  *cert;

    f = fopen(path, "r");
    if (f == NULL) {
        snprintf(err, size, "cannot be read: %s", strerror(errno));
        return -1;
    }

    cert = PEM_read_X509(f, NULL, NULL, "");
    fclose(f);
    ERR_clear_error();

    if (cert == NULL) {
        snprintf(err, size, "has no certificate");
        return -1;
    }

    X509_free(cert);

    return 0;
}
