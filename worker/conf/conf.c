/*
 * conf.c: settings from the environment (see conf.h).
 *
 * An empty variable counts as unset: compose files pass them so.  No message
 * repeats a value that may hold a password.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/conf/conf_internal.h"
#include "worker/worker.h"

#define CONF_REDIS_DEFAULT   "redis://127.0.0.1:6379/0"
#define CONF_SQLITE_DEFAULT  "./writeen.db"
#define CONF_SPACE           " ,\t\n"

typedef struct {
    const char   *name;
    int         (*read)(conf_ctx_t *x, const char *name, const char *value);
} conf_var_t;

static int conf_redis(conf_ctx_t *x, const char *name, const char *value);
static int conf_shards(conf_ctx_t *x, const char *name, const char *value);
static int conf_workers(conf_ctx_t *x, const char *name, const char *value);
static int conf_store(conf_ctx_t *x, const char *name, const char *value);
static int conf_scripts(conf_ctx_t *x, const char *name, const char *value);
static int conf_level(conf_ctx_t *x, const char *name, const char *value);
static int conf_pid_file(conf_ctx_t *x, const char *name, const char *value);


static const conf_var_t  conf_vars[] = {
    { "LOG_LEVEL",   conf_level },
    { "REDIS_URL",   conf_redis },
    { "SHARDS",      conf_shards },
    { "WORKERS",     conf_workers },
    { "STORE",       conf_store },
    { "SCRIPTS_DIR", conf_scripts },
    { "PID_FILE",    conf_pid_file },
    { "STORAGE",     conf_storage },
    { "CDN_BASE_URL", conf_cdn },
    { "CLAMAV",      conf_clamav },
    { "THUMBNAILER", conf_thumbnailer },
    { "SPOOL",       conf_spool },
    { "FILES_WORKERS", conf_files_workers },
    { "UPLOAD_IDLE_S", conf_upload_idle },
    { "BLOB_GRACE_S", conf_blob_grace },
    { "FCM_CREDENTIALS", conf_fcm },
    { "WEBHOOK_URL", conf_webhook },
    { "PUSH_CA_FILE", conf_push_ca },
    { "PUSH_CONTENT", conf_push_content },
    { "PUSH_GRACE_MS", conf_push_grace },
    { "PUSH_REMINDER_M", conf_push_reminder },
    { "SESSION_GAP_S", conf_session_gap },
    { "UTC_OFFSET_MIN", conf_utc_offset },
    { "RETENTION_S", conf_retention },
    { "AUTO_ARCHIVE_DAYS", conf_archive_days },
    { NULL,          NULL }
};


int
conf_error(conf_ctx_t *x, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(x->err, x->size, fmt, args);
    va_end(args);

    return -1;
}


const char *
conf_value(conf_ctx_t *x, const char *name)
{
    const char  *value;

    value = x->get(name);

    return value && value[0] ? value : NULL;
}


int
conf_absolute(conf_ctx_t *x, const char *name, const char *path, char *out,
    size_t size)
{
    size_t  n;

    out[0] = '\0';

    if (path[0] != '/' && getcwd(out, size - 1) == NULL) {
        return conf_error(x, "%s is relative and the current directory is "
                          "not readable, or its path is too long; give an "
                          "absolute path", name);
    }

    n = strlen(out);

    if (n + 1 + strlen(path) >= size) {
        return conf_error(x, "%s is longer than %zu bytes; use a shorter "
                          "path", name, size - 1);
    }

    snprintf(out + n, size - n, "%s%s", n ? "/" : "", path);

    return 0;
}


int
conf_load(conf_t *cf, conf_get_pt get, char *err, size_t size)
{
    const char        *value;
    conf_ctx_t         x;
    const conf_var_t  *var;

    memset(cf, 0, sizeof(*cf));

    x.cf = cf;
    x.get = get;
    x.err = err;
    x.size = size;

    for (var = conf_vars; var->name; var++) {
        value = conf_value(&x, var->name);

        if (var->read(&x, var->name, value) != 0) {
            return -1;
        }
    }

    return 0;
}


unsigned
conf_server(const conf_t *cf, unsigned shard)
{
    return shard % cf->nredis;
}


long
conf_number(const char *s, long min, long max)
{
    long         v;
    const char  *p;

    if (*s == '\0' || strlen(s) > 9) {
        return -1;
    }

    for (p = s; *p; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
    }

    v = atol(s);

    return v < min || v > max ? -1 : v;
}


static int
conf_level(conf_ctx_t *x, const char *name, const char *value)
{
    if (value == NULL) {
        x->cf->log_level = LOG_LEVEL_INFO;
        return 0;
    }

    x->cf->log_level = log_level(value);

    if (x->cf->log_level < 0) {
        return conf_error(x, "%s is \"%.32s\": must be error, warn, info or "
                          "debug; unset it for info", name, value);
    }

    return 0;
}


static int
conf_redis(conf_ctx_t *x, const char *name, const char *value)
{
    char             *name_out;
    size_t            n;
    unsigned          i;
    conf_t           *cf;
    const char       *p, *why;
    wrt_redis_url_t   u;

    cf = x->cf;
    p = value ? value : CONF_REDIS_DEFAULT;

    for ( ;; ) {
        p += strspn(p, CONF_SPACE);
        n = strcspn(p, CONF_SPACE);

        if (n == 0) {
            break;
        }

        if (cf->nredis == WRT_REDIS_SERVERS_MAX) {
            return conf_error(x, "%s names more than %d servers; shards are "
                              "spread over at most that many", name,
                              WRT_REDIS_SERVERS_MAX);
        }

        why = wrt_redis_url_parse(&u, p, n);

        if (why) {
            return conf_error(x, "%s, server %u: %s", name, cf->nredis + 1,
                              why);
        }

        for (i = 0; i < cf->nredis; i++) {
            if (wrt_redis_url_same(&cf->redis[i], &u)) {
                return conf_error(x, "%s: server %u is server %u again; name "
                                  "each server once, in the order of "
                                  "writeen_redis", name, cf->nredis + 1,
                                  i + 1);
            }
        }

        name_out = cf->redis_name[cf->nredis];

        if (u.port) {
            snprintf(name_out, CONF_SERVER_NAME, "%s:%u", u.host, u.port);
        } else {
            snprintf(name_out, CONF_SERVER_NAME, "unix:%s", u.host);
        }

        cf->redis[cf->nredis++] = u;
        p += n;
    }

    if (cf->nredis == 0) {
        return conf_error(x, "%s names no server; write "
                          "redis://host:port/db, or unset it for %s", name,
                          CONF_REDIS_DEFAULT);
    }

    cf->names.db = cf->redis[0].db;

    for (i = 1; i < cf->nredis; i++) {
        /* channels carry one database number for all servers */
        if (cf->redis[i].db != cf->names.db) {
            return conf_error(x, "%s: server %u uses database %u, server 1 "
                              "uses %u; give all servers the same number",
                              name, i + 1, cf->redis[i].db, cf->names.db);
        }
    }

    return 0;
}


static int
conf_shards(conf_ctx_t *x, const char *name, const char *value)
{
    long  n;

    n = value ? conf_number(value, 1, WRT_SHARDS_MAX) : WRT_SHARDS;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number from 1 "
                          "to %d, the same as writeen_shards of nginx; unset "
                          "it for %d", name, value, WRT_SHARDS_MAX, WRT_SHARDS);
    }

    x->cf->names.shards = (unsigned) n;

    return 0;
}


static int
conf_workers(conf_ctx_t *x, const char *name, const char *value)
{
    long  n;

    if (value == NULL || strcmp(value, "auto") == 0) {
        n = sysconf(_SC_NPROCESSORS_ONLN);
        n = n < 1 ? 1 : n > CONF_WORKERS_MAX ? CONF_WORKERS_MAX : n;

    } else {
        n = conf_number(value, 1, CONF_WORKERS_MAX);
    }

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number from 1 "
                          "to %d, or auto for one per processor", name, value,
                          CONF_WORKERS_MAX);
    }

    x->cf->workers = (unsigned) n;

    return 0;
}


/* SQLITE_PATH as sqlite:<absolute path>, whose directory must be there. */
static int
conf_sqlite(conf_ctx_t *x)
{
    char         dir[PATH_MAX], *slash;
    struct stat  st;
    const char  *path;

    path = conf_value(x, "SQLITE_PATH");

    if (path == NULL) {
        path = CONF_SQLITE_DEFAULT;
    }

    if (conf_absolute(x, "SQLITE_PATH", path, dir, sizeof(dir)) != 0) {
        return -1;
    }

    snprintf(x->cf->store_url, sizeof(x->cf->store_url), "sqlite:%s", dir);

    slash = strrchr(dir, '/');

    if (slash[1] == '\0' || (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))) {
        return conf_error(x, "SQLITE_PATH is \"%.200s\": must name a file, "
                          "not a directory", path);
    }

    slash[slash == dir] = '\0';

    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return conf_error(x, "SQLITE_PATH: there is no directory \"%.600s\"; "
                          "create it, or name a file in one that exists",
                          dir);
    }

    if (access(dir, W_OK | X_OK) != 0) {
        return conf_error(x, "SQLITE_PATH: the directory \"%.600s\" is not "
                          "writable; SQLite keeps files beside the database",
                          dir);
    }

    return 0;
}


static int
conf_mongo(conf_ctx_t *x)
{
    int          n;
    char         err[CONF_ERROR_SIZE];
    const char  *uri;

    uri = conf_value(x, "MONGODB_URI");

    if (uri == NULL) {
        return conf_error(x, "STORE is mongo, but MONGODB_URI is not set; "
                          "write mongodb://host:port/writeen, with "
                          "?replicaSet=name for a replica set, or unset "
                          "STORE for sqlite");
    }

    if (strncmp(uri, "mongodb://", 10) != 0
        && strncmp(uri, "mongodb+srv://", 14) != 0)
    {
        return conf_error(x, "MONGODB_URI must begin with mongodb:// or "
                          "mongodb+srv://");
    }

    /* one that can never be right is not waited for, as a server is */

    if (store_url_check(uri, err, sizeof(err)) != 0) {
        return conf_error(x, "%s", err);
    }

    n = snprintf(x->cf->store_url, sizeof(x->cf->store_url), "%s", uri);

    if ((size_t) n >= sizeof(x->cf->store_url)) {
        return conf_error(x, "MONGODB_URI is longer than %zu bytes",
                          sizeof(x->cf->store_url) - 1);
    }

    return 0;
}


static int
conf_store(conf_ctx_t *x, const char *name, const char *value)
{
    if (value == NULL || strcmp(value, "sqlite") == 0) {
        return conf_sqlite(x);
    }

    if (strcmp(value, "mongo") == 0) {
        return conf_mongo(x);
    }

    return conf_error(x, "%s is \"%.32s\": must be sqlite or mongo; unset it "
                      "for sqlite", name, value);
}


static int
conf_scripts(conf_ctx_t *x, const char *name, const char *value)
{
    struct stat  st;

    if (value == NULL) {
        value = WRT_SCRIPTS_DIR;
    }

    if (strlen(value) >= sizeof(x->cf->scripts_dir)) {
        return conf_error(x, "%s is longer than %zu bytes", name,
                          sizeof(x->cf->scripts_dir) - 1);
    }

    if (stat(value, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return conf_error(x, "%s: there is no directory \"%.600s\"; name the "
                          "sql_or_mongo_scripts directory of this version",
                          name, value);
    }

    text_copy(x->cf->scripts_dir, sizeof(x->cf->scripts_dir), value);

    return 0;
}


static int
conf_pid_file(conf_ctx_t *x, const char *name, const char *value)
{
    if (value == NULL) {
        return 0;
    }

    if (strlen(value) >= sizeof(x->cf->pid_file)) {
        return conf_error(x, "%s is longer than %zu bytes", name,
                          sizeof(x->cf->pid_file) - 1);
    }

    text_copy(x->cf->pid_file, sizeof(x->cf->pid_file), value);

    return 0;
}
