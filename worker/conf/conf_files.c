/*
 * conf_files.c: settings of where files are (see conf.h).
 *
 * What belongs to the storage that was not chosen is not looked at: compose
 * files set all of it.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/conf/conf_internal.h"
#include "worker/worker.h"

#define CONF_FILES_DEFAULT   "./files"
#define CONF_BUCKET_DEFAULT  "writeen"
#define CONF_REGION_DEFAULT  "us-east-1"
#define CONF_HOST_MAX        253    /* of a name in DNS */

/* Lengths that MinIO accepts for a secret key; the other is not shorter
 * than 3. */
#define CONF_ACCESS_MIN      3
#define CONF_SECRET_MIN      8


/* Must be there, or where it will be. */
static int
conf_local(conf_ctx_t *x)
{
    char         path[PATH_MAX], *out, *slash;
    size_t       n;
    struct stat  st;
    const char  *value;

    out = x->cf->storage.path;
    value = conf_value(x, "STORAGE_PATH");

    if (conf_absolute(x, "STORAGE_PATH", value ? value : CONF_FILES_DEFAULT,
                      out, sizeof(x->cf->storage.path)) != 0)
    {
        return -1;
    }

    for (n = strlen(out); n > 1 && out[n - 1] == '/'; n--) {
        out[n - 1] = '\0';
    }

    if (n == 1) {
        return conf_error(x, "STORAGE_PATH is \"/\": must name a directory "
                          "of its own");
    }

    memcpy(path, out, n + 1);

    if (stat(path, &st) != 0) {

        if (errno != ENOENT) {
            return conf_error(x, "STORAGE_PATH: \"%.600s\" cannot be looked "
                              "at: %s", path, strerror(errno));
        }

        slash = strrchr(path, '/');
        slash[slash == path] = '\0';

        if (stat(path, &st) != 0) {
            return conf_error(x, "STORAGE_PATH: there is no directory "
                              "\"%.600s\" to create it in; create that one, "
                              "or name another", path);
        }
    }

    if (!S_ISDIR(st.st_mode) || access(path, W_OK | X_OK) != 0) {
        return conf_error(x, "STORAGE_PATH: \"%.600s\" is not a directory "
                          "that this user may write to; files are kept "
                          "there", path);
    }

    return 0;
}


/* Labels of letters, digits and hyphens, or an IPv6 address in brackets. */
static int
conf_host_ok(const char *p, size_t n)
{
    size_t  i;

    if (n == 0 || n > CONF_HOST_MAX) {
        return 0;
    }

    if (p[0] == '[') {
        return n > 3 && p[n - 1] == ']'
               && strspn(p + 1, "0123456789abcdefABCDEF:.") == n - 2;
    }

    for (i = 0; i < n; i++) {
        if (!isalnum((unsigned char) p[i]) && p[i] != '-' && p[i] != '.') {
            return 0;
        }
    }

    return p[0] != '.' && p[0] != '-';
}


static int
conf_port_ok(const char *p)
{
    size_t  n;

    n = strspn(p, "0123456789");

    return n > 0 && n < 6 && p[n] == '\0' && atoi(p) > 0 && atoi(p) < 65536;
}


/* host[:port] with or without a scheme, as scheme://host[:port]; the port of
 * the scheme is left out, as it is in what is signed. */
static int
conf_endpoint(conf_ctx_t *x)
{
    int          https;
    char         host[BLOB_ENDPOINT_SIZE];
    size_t       n;
    const char  *value, *p, *colon;

    value = conf_value(x, "MINIO_ENDPOINT");

    if (value == NULL) {
        return conf_error(x, "STORAGE is s3, but MINIO_ENDPOINT is not set; "
                          "write host:port, http://host:port or "
                          "https://host:port, or unset STORAGE for local");
    }

    https = strncmp(value, "https://", 8) == 0;
    p = value + (https ? 8 : strncmp(value, "http://", 7) == 0 ? 7 : 0);

    n = strlen(p);
    n -= n > 0 && p[n - 1] == '/';

    if (n >= sizeof(host)) {
        n = 0;
    }

    memcpy(host, p, n);
    host[n] = '\0';

    p = strrchr(host, ']');
    colon = strchr(p ? p : host, ':');
    n = colon ? (size_t) (colon - host) : n;

    if (!conf_host_ok(host, n) || (colon && !conf_port_ok(colon + 1))) {
        return conf_error(x, "MINIO_ENDPOINT must be host:port, "
                          "http://host[:port] or https://host[:port], without "
                          "user or path");
    }

    if (colon && atoi(colon + 1) == (https ? 443 : 80)) {
        host[n] = '\0';
    }

    snprintf(x->cf->storage.endpoint, sizeof(x->cf->storage.endpoint),
             "%s%.260s", https ? "https://" : "http://", host);

    return 0;
}


/* A key: printable, without blanks.  The value is never repeated. */
static int
conf_key(conf_ctx_t *x, const char *name, size_t min, char *out, size_t size)
{
    size_t       n;
    const char  *value, *p;

    value = conf_value(x, name);

    if (value == NULL) {
        return conf_error(x, "STORAGE is s3, but %s is not set; set it to "
                          "that of a user of MINIO_ENDPOINT who may list, "
                          "read, write and delete in the bucket", name);
    }

    n = strlen(value);

    for (p = value; *p > ' ' && *p < 0x7F; p++) {
        /* void */
    }

    if (*p || n < min || n >= size) {
        return conf_error(x, "%s must have %zu to %zu characters of ASCII "
                          "and no blanks", name, min, size - 1);
    }

    memcpy(out, value, n + 1);

    return 0;
}


/* S3's rules, so that no other place has to wonder what is in it. */
static int
conf_bucket_ok(const char *s)
{
    size_t  n;

    n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-");

    return s[n] == '\0' && n >= 3 && n < BLOB_BUCKET_SIZE
           && isalnum((unsigned char) s[0])
           && isalnum((unsigned char) s[n - 1])
           && strstr(s, "..") == NULL
           && s[strspn(s, "0123456789.")] != '\0';
}


static int
conf_bucket(conf_ctx_t *x)
{
    size_t        n;
    const char   *value;
    blob_conf_t  *st;

    st = &x->cf->storage;
    value = conf_value(x, "MINIO_BUCKET");
    value = value ? value : CONF_BUCKET_DEFAULT;

    if (!conf_bucket_ok(value)) {
        return conf_error(x, "MINIO_BUCKET is \"%.80s\": must have 3 to 63 "
                          "of a-z, 0-9, - and ., begin and end with a letter "
                          "or digit, and be no address; unset it for %s",
                          value, CONF_BUCKET_DEFAULT);
    }

    text_copy(st->bucket, sizeof(st->bucket), value);

    value = conf_value(x, "MINIO_REGION");
    value = value ? value : CONF_REGION_DEFAULT;
    n = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (n != strlen(value) || n >= sizeof(st->region)) {
        return conf_error(x, "MINIO_REGION is \"%.40s\": must be a name like "
                          "eu-central-1; unset it for %s", value,
                          CONF_REGION_DEFAULT);
    }

    text_copy(st->region, sizeof(st->region), value);

    return 0;
}


int
conf_either(conf_ctx_t *x, const char *name, const char *zero,
    const char *one)
{
    const char  *value;

    value = conf_value(x, name);

    if (value == NULL || strcmp(value, zero) == 0) {
        return 0;
    }

    if (strcmp(value, one) == 0) {
        return 1;
    }

    return conf_error(x, "%s is \"%.32s\": must be %s or %s; unset it for %s",
                      name, value, zero, one, zero);
}


static int
conf_s3(conf_ctx_t *x)
{
    int           off;
    char          after;
    const char   *host;
    blob_conf_t  *st;

    st = &x->cf->storage;

    if (conf_endpoint(x) != 0
        || conf_key(x, "MINIO_ACCESS_KEY", CONF_ACCESS_MIN, st->access_key,
                    sizeof(st->access_key)) != 0
        || conf_key(x, "MINIO_SECRET_KEY", CONF_SECRET_MIN, st->secret_key,
                    sizeof(st->secret_key)) != 0
        || conf_bucket(x) != 0)
    {
        return -1;
    }

    st->host_style = conf_either(x, "S3_STYLE", "path", "host");
    off = st->host_style < 0 ? -1 : conf_either(x, "S3_SSE", "on", "off");

    if (off < 0) {
        return -1;
    }

    st->sse = !off;

    if (st->host_style && strchr(st->bucket, '.')
        && strncmp(st->endpoint, "https", 5) == 0)
    {
        return conf_error(x, "MINIO_BUCKET is \"%s\": with S3_STYLE=host and "
                          "https no certificate fits a name with dots; set "
                          "S3_STYLE=path", st->bucket);
    }

    host = strstr(st->endpoint, "://") + 3;
    after = host[strspn(host, "0123456789.")];

    if (st->host_style && (host[0] == '[' || after == ':' || after == '\0')) {
        return conf_error(x, "S3_STYLE is host, but MINIO_ENDPOINT is an "
                          "address; give its name, or set S3_STYLE=path");
    }

    return 0;
}


int
conf_storage(conf_ctx_t *x, const char *name, const char *value)
{
    if (value == NULL || strcmp(value, "local") == 0) {
        x->cf->storage.kind = BLOB_LOCAL;
        return conf_local(x);
    }

    if (strcmp(value, "s3") == 0) {
        x->cf->storage.kind = BLOB_S3;
        return conf_s3(x);
    }

    return conf_error(x, "%s is \"%.32s\": must be local or s3 (MinIO, too); "
                      "unset it for local", name, value);
}


int
conf_cdn(conf_ctx_t *x, const char *name, const char *value)
{
    char        *out;
    size_t       n;
    const char  *p;

    if (value == NULL) {
        return 0;
    }

    n = strncmp(value, "https://", 8) == 0 ? 8
        : strncmp(value, "http://", 7) == 0 ? 7 : 0;

    for (p = value; *p > ' ' && *p < 0x7F && !strchr("\"<>?#@\\", *p); p++) {
        /* void */
    }

    if (n == 0 || *p || value[n] == '/' || value[n] == '\0'
        || strlen(value) >= sizeof(x->cf->cdn_url))
    {
        return conf_error(x, "%s must be https://host or https://host/path "
                          "(or http), without user, query and fragment, and "
                          "have at most %zu bytes", name,
                          sizeof(x->cf->cdn_url) - 1);
    }

    out = x->cf->cdn_url;
    text_copy(out, sizeof(x->cf->cdn_url), value);

    for (n = strlen(out); out[n - 1] == '/'; n--) {
        out[n - 1] = '\0';
    }

    return 0;
}
