/*
 * test_conf.c: the worker's settings.
 *
 * Without it a mistyped variable could be taken for its default (and a pool
 * work on the wrong Redis or with the wrong number of shards), or an error
 * could leave the operator alone: each must name its variable.
 */

#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "worker/worker.h"

#define ENV_MAX  24

typedef struct {
    const char  *name;
    const char  *value;
} pair_t;

static const pair_t  *env;


static const char *
get(const char *name)
{
    size_t  i;

    for (i = 0; i < ENV_MAX && env[i].name; i++) {
        if (strcmp(env[i].name, name) == 0) {
            return env[i].value;
        }
    }

    return NULL;
}


static int
load(conf_t *cf, const pair_t *pairs, char *err)
{
    env = pairs;
    err[0] = '\0';

    return conf_load(cf, get, err, CONF_ERROR_SIZE);
}


static void
defaults(void **state)
{
    char    err[CONF_ERROR_SIZE], cwd[PATH_MAX];
    conf_t  cf;

    static const pair_t  none[ENV_MAX] = { { NULL, NULL } };
    static const pair_t  empty[ENV_MAX] = {
        { "REDIS_URL", "" }, { "STORE", "" }, { "SQLITE_PATH", "" },
        { "SHARDS", "" }, { "WORKERS", "" }, { "LOG_LEVEL", "" },
        { "PID_FILE", "" }, { "SCRIPTS_DIR", "" }, { "STORAGE", "" },
        { "STORAGE_PATH", "" }, { "CDN_BASE_URL", "" }
    };

    (void) state;

    assert_int_equal(load(&cf, none, err), 0);
    assert_int_equal(cf.nredis, 1);
    assert_string_equal(cf.redis[0].host, "127.0.0.1");
    assert_int_equal(cf.redis[0].port, 6379);
    assert_string_equal(cf.redis_name[0], "127.0.0.1:6379");
    assert_int_equal(cf.names.shards, WRT_SHARDS);
    assert_int_equal(cf.names.db, 0);
    assert_true(cf.workers >= 1);
    assert_int_equal(cf.log_level, LOG_LEVEL_INFO);
    assert_string_equal(cf.pid_file, "");
    assert_true(access(cf.scripts_dir, R_OK) == 0);

    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(strncmp(cf.store_url, "sqlite:/", 8), 0);
    assert_int_equal(strncmp(cf.store_url + 7, cwd, strlen(cwd)), 0);

    assert_int_equal(cf.storage.kind, BLOB_LOCAL);
    assert_int_equal(strncmp(cf.storage.path, cwd, strlen(cwd)), 0);
    assert_string_equal(cf.storage.path + strlen(cwd), "/./files");
    assert_string_equal(cf.cdn_url, "");

    /* set to nothing is not set */
    assert_int_equal(load(&cf, empty, err), 0);
    assert_int_equal(cf.nredis, 1);
    assert_int_equal(cf.names.shards, WRT_SHARDS);
}


static void
values(void **state)
{
    char    err[CONF_ERROR_SIZE];
    conf_t  cf;

    static const pair_t  all[ENV_MAX] = {
        { "REDIS_URL", "redis://:pw@h1:7000/3, unix:/run/r.sock?db=3\n"
                       "redis://[::1]:7002/3" },
        { "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://h:1/writeen?replicaSet=r" },
        { "SHARDS", "1024" }, { "WORKERS", "3" }, { "LOG_LEVEL", "debug" },
        { "PID_FILE", "/tmp/x.pid" }, { "SCRIPTS_DIR", "/tmp" }
    };

    (void) state;

    assert_int_equal(load(&cf, all, err), 0);
    assert_int_equal(cf.nredis, 3);
    assert_string_equal(cf.redis[0].password, "pw");
    assert_string_equal(cf.redis_name[0], "h1:7000");
    assert_string_equal(cf.redis_name[1], "unix:/run/r.sock");
    assert_string_equal(cf.redis_name[2], "::1:7002");
    assert_int_equal(cf.names.db, 3);
    assert_int_equal(cf.names.shards, 1024);
    assert_int_equal(cf.workers, 3);
    assert_int_equal(cf.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(cf.store_url, all[2].value);
    assert_string_equal(cf.pid_file, "/tmp/x.pid");
    assert_string_equal(cf.scripts_dir, "/tmp");

    assert_int_equal(conf_server(&cf, 0), 0);
    assert_int_equal(conf_server(&cf, 4), 1);
    assert_int_equal(conf_server(&cf, 1023), 0);
}


static void
sqlite_paths(void **state)
{
    char    err[CONF_ERROR_SIZE];
    conf_t  cf;
    pair_t  p[ENV_MAX] = { { "SQLITE_PATH", "/tmp/a b.db" },
                           { NULL, NULL } };

    (void) state;

    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.store_url, "sqlite:/tmp/a b.db");

    p[0].value = "/a.db";
    assert_int_equal(load(&cf, p, err), access("/", W_OK) == 0 ? 0 : -1);
}


static void
scanners(void **state)
{
    char    err[CONF_ERROR_SIZE];
    size_t  i;
    conf_t  cf;
    pair_t  p[ENV_MAX] = { { "CLAMAV", NULL }, { NULL, NULL } };

    static const struct {
        const char   *given;
        scan_kind_t   kind;
        const char   *path, *host;
        unsigned      port;
    } good[] = {
        { NULL, SCAN_LIBCLAMAV, "", "", 0 },
        { "", SCAN_LIBCLAMAV, "", "", 0 },
        { "libclamav", SCAN_LIBCLAMAV, "", "", 0 },
        { "off", SCAN_NOTHING, "", "", 0 },
        { "clamd:/run/clamd.ctl", SCAN_CLAMD, "/run/clamd.ctl", "", 0 },
        { "clamd:av:3310", SCAN_CLAMD, "", "av", 3310 },
        { "clamd:[::1]:3310", SCAN_CLAMD, "", "::1", 3310 }
    };
    static const char  *bad[] = {
        "clamav", "on", "clamd", "clamd:", "clamd:av", "clamd:av:", "clamd::1",
        "clamd:av:0", "clamd:av:65536", "clamd:av:33x", "clamd:a/b:1",
        "clamd:::1:3310", "clamd:[]:1", "LIBCLAMAV", "clamd:a b:1"
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(good); i++) {
        p[0].value = good[i].given;
        assert_int_equal(load(&cf, p, err), 0);
        assert_int_equal(cf.scan.kind, good[i].kind);
        assert_string_equal(cf.scan.path, good[i].path);
        assert_string_equal(cf.scan.host, good[i].host);
        assert_int_equal(cf.scan.port, good[i].port);
    }

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        p[0].value = bad[i];
        assert_int_equal(load(&cf, p, err), -1);
        assert_non_null(strstr(err, "CLAMAV is"));
    }

    p[0].value = NULL;
    p[1].name = "CLAMAV_DB";
    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.scan.db, "/var/lib/clamav");

    p[1].value = "/";
    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.scan.db, "/");

    p[1].value = "/nowhere";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "CLAMAV_DB"));

    p[1].name = "THUMBNAILER";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "THUMBNAILER"));

    p[1].value = "/tmp";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "THUMBNAILER"));

    p[1].value = "/bin/sh";
    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.thumbnailer, "/bin/sh");

    p[1].value = NULL;
    assert_int_equal(load(&cf, p, err), 0);
    assert_non_null(strstr(cf.thumbnailer, "unit/writeen-thumb"));

    p[1].name = "SPOOL";                    /* now it is needed */
    p[1].value = "/tmp";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "THUMBNAILER"));
    assert_non_null(strstr(err, "unit/writeen-thumb"));
}


static void
uploads(void **state)
{
    char    err[CONF_ERROR_SIZE];
    size_t  i;
    conf_t  cf;
    pair_t  p[ENV_MAX] = { { "SPOOL", NULL }, { "THUMBNAILER", "/bin/sh" } };

    static const char *const  numbers[] = {
        "FILES_WORKERS", "UPLOAD_IDLE_S", "RETENTION_S",
        "AUTO_ARCHIVE_DAYS", "BLOB_GRACE_S"
    };
    static const char *const  bad[] = { "0", "-1", "two", "1.5", "99999999" };

    (void) state;

    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.spool, "");
    assert_int_equal(cf.files_workers, 2);
    assert_int_equal(cf.spool_idle_s, WRT_SPOOL_IDLE_S);
    assert_int_equal(cf.blob_grace_s, WRT_BLOB_GRACE_S);
    assert_int_equal(cf.retention_s, 600);
    assert_int_equal(cf.archive_days, 30);

    p[0].value = "/tmp";
    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.spool, "/tmp");

    p[0].value = "/etc/passwd";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "SPOOL"));
    assert_non_null(strstr(err, "writeen_spool"));

    p[0].value = "/tmp/none-yet//";         /* who comes first makes it */
    assert_int_equal(load(&cf, p, err), 0);

    p[0].value = "/nowhere/at/all/";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "SPOOL"));
    assert_non_null(strstr(err, "\"/nowhere/at\""));

    for (i = 0; i < UNIT_COUNT(numbers) * UNIT_COUNT(bad); i++) {
        p[0].name = numbers[i / UNIT_COUNT(bad)];
        p[0].value = bad[i % UNIT_COUNT(bad)];
        assert_int_equal(load(&cf, p, err), -1);
        assert_non_null(strstr(err, p[0].name));
        assert_non_null(strstr(err, p[0].value));

        p[0].value = "7";
        assert_int_equal(load(&cf, p, err), 0);
    }

    assert_int_equal(cf.blob_grace_s, 7);
}


#define S3_ENV(endpoint)                                                     \
    { "STORAGE", "s3" }, { "MINIO_ENDPOINT", endpoint },                     \
    { "MINIO_ACCESS_KEY", "writeen" }, { "MINIO_SECRET_KEY", "secret-key" }

static void
storage(void **state)
{
    char    err[CONF_ERROR_SIZE];
    size_t  i;
    conf_t  cf;

    static const struct {
        const char  *given, *made;
    } endpoints[] = {
        { "minio:9000", "http://minio:9000" },
        { "minio", "http://minio" },
        { "http://minio:80/", "http://minio" },
        { "https://s3.eu-central-1.amazonaws.com",
          "https://s3.eu-central-1.amazonaws.com" },
        { "https://h:443", "https://h" },
        { "https://h:80", "https://h:80" },
        { "[::1]:9000", "http://[::1]:9000" },
        { "http://[::1]", "http://[::1]" },
        { "127.0.0.1:9000", "http://127.0.0.1:9000" }
    };
    static const pair_t  all[ENV_MAX] = {
        S3_ENV("h:9000"), { "MINIO_BUCKET", "my.bucket-1" },
        { "MINIO_REGION", "eu-central-1" }, { "S3_STYLE", "host" },
        { "S3_SSE", "off" }, { "CDN_BASE_URL", "https://cdn.example/f//" }
    };
    pair_t               p[ENV_MAX] = { S3_ENV("h:9000"), { NULL, NULL } };
    pair_t               local[ENV_MAX] = {
        { "STORAGE_PATH", "/tmp//" }, { "MINIO_ENDPOINT", "not looked at" },
        { "S3_STYLE", "neither" }
    };

    (void) state;

    assert_int_equal(load(&cf, p, err), 0);
    assert_int_equal(cf.storage.kind, BLOB_S3);
    assert_string_equal(cf.storage.access_key, "writeen");
    assert_string_equal(cf.storage.secret_key, "secret-key");
    assert_string_equal(cf.storage.bucket, "writeen");
    assert_string_equal(cf.storage.region, "us-east-1");
    assert_int_equal(cf.storage.host_style, 0);
    assert_int_equal(cf.storage.sse, 1);

    for (i = 0; i < UNIT_COUNT(endpoints); i++) {
        p[1].value = endpoints[i].given;
        assert_int_equal(load(&cf, p, err), 0);
        assert_string_equal(cf.storage.endpoint, endpoints[i].made);
    }

    assert_int_equal(load(&cf, all, err), 0);
    assert_string_equal(cf.storage.bucket, "my.bucket-1");
    assert_string_equal(cf.storage.region, "eu-central-1");
    assert_int_equal(cf.storage.host_style, 1);
    assert_int_equal(cf.storage.sse, 0);
    assert_string_equal(cf.cdn_url, "https://cdn.example/f");

    assert_int_equal(load(&cf, local, err), 0);
    assert_string_equal(cf.storage.path, "/tmp");

    local[0].value = "/tmp/not-yet-there";
    assert_int_equal(load(&cf, local, err), 0);
    assert_string_equal(cf.storage.path, "/tmp/not-yet-there");
}


/* One setting of S3 at a time is wrong; each error names its variable and none
 * repeats a key. */
static void
storage_errors(void **state)
{
    char                 err[CONF_ERROR_SIZE], longer[300];
    size_t               i, k;
    conf_t               cf;
    pair_t               p[ENV_MAX];

    static const pair_t  good[] = { S3_ENV("h:9000") };
    const pair_t         bad[] = {
        { "MINIO_ENDPOINT", "" },
        { "MINIO_ENDPOINT", "ftp://h" },
        { "MINIO_ENDPOINT", "http://" },
        { "MINIO_ENDPOINT", "http://user:secret-key@h:9000" },
        { "MINIO_ENDPOINT", "h:9000/path" },
        { "MINIO_ENDPOINT", "h:0" },
        { "MINIO_ENDPOINT", "h:65536" },
        { "MINIO_ENDPOINT", "h:" },
        { "MINIO_ENDPOINT", "h: 1" },
        { "MINIO_ENDPOINT", "::1" },
        { "MINIO_ENDPOINT", "[::1" },
        { "MINIO_ENDPOINT", "[::1]x" },
        { "MINIO_ENDPOINT", "h\r\nX: y" },
        { "MINIO_ENDPOINT", longer },
        { "MINIO_ACCESS_KEY", "" },
        { "MINIO_ACCESS_KEY", "ab" },
        { "MINIO_ACCESS_KEY", "a b c" },
        { "MINIO_ACCESS_KEY", longer },
        { "MINIO_SECRET_KEY", "" },
        { "MINIO_SECRET_KEY", "secret" },
        { "MINIO_SECRET_KEY", "secret key" },
        { "MINIO_SECRET_KEY", "secret-key\n" },
        { "MINIO_SECRET_KEY", longer },
        { "MINIO_BUCKET", "ab" },
        { "MINIO_BUCKET", "Writeen" },
        { "MINIO_BUCKET", "write_en" },
        { "MINIO_BUCKET", "-writeen" },
        { "MINIO_BUCKET", "writeen." },
        { "MINIO_BUCKET", "wri..teen" },
        { "MINIO_BUCKET", "192.168.0.1" },
        { "MINIO_BUCKET", "a/b" },
        { "MINIO_BUCKET", longer },
        { "MINIO_REGION", "EU" },
        { "MINIO_REGION", "eu/central" },
        { "MINIO_REGION", longer },
        { "S3_STYLE", "virtual" },
        { "S3_SSE", "yes" },
        { "STORAGE", "minio" }
    };

    (void) state;

    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        memset(p, 0, sizeof(p));
        memcpy(p, good, sizeof(good));

        for (k = 0; p[k].name && strcmp(p[k].name, bad[i].name) != 0; k++) {
            /* void */
        }

        p[k] = bad[i];

        if (load(&cf, p, err) != -1) {
            fail_msg("%s=%s is taken", bad[i].name, bad[i].value);
        }

        assert_non_null(strstr(err, bad[i].name));
        assert_null(strstr(err, "secret"));
    }

    /* what does not go together */
    memset(p, 0, sizeof(p));
    memcpy(p, good, sizeof(good));
    p[4] = (pair_t) { "S3_STYLE", "host" };
    p[1].value = "127.0.0.1:9000";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "S3_STYLE"));

    p[1].value = "https://h";
    assert_int_equal(load(&cf, p, err), 0);
    p[5] = (pair_t) { "MINIO_BUCKET", "with.dots" };
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "MINIO_BUCKET"));
}


/* Each names its variable and none a password. */
static void
errors(void **state)
{
    char     err[CONF_ERROR_SIZE], longer[PATH_MAX + 8];
    size_t   i;
    conf_t   cf;
    pair_t   p[ENV_MAX];

    const struct {
        const char  *name, *value, *other, *other_value;
    } t[] = {
        { "REDIS_URL", "localhost", NULL, NULL },
        { "REDIS_URL", " , ", NULL, NULL },
        { "REDIS_URL", "redis://h:0", NULL, NULL },
        { "REDIS_URL", "redis://:secret@h:x", NULL, NULL },
        { "REDIS_URL", "redis://h/1 redis://g/2", NULL, NULL },
        { "REDIS_URL", "redis://h redis://g redis://h", NULL, NULL },
        { "REDIS_URL", "redis://h redis://u:secret@h:6379", NULL, NULL },
        { "REDIS_URL", "redis://a redis://b redis://c redis://d redis://e "
                       "redis://f redis://g redis://h redis://i redis://j "
                       "redis://k redis://l redis://m redis://n redis://o "
                       "redis://p redis://q", NULL, NULL },
        { "SHARDS", "0", NULL, NULL },
        { "SHARDS", "1025", NULL, NULL },
        { "SHARDS", "-1", NULL, NULL },
        { "SHARDS", "16x", NULL, NULL },
        { "SHARDS", " 16", NULL, NULL },
        { "SHARDS", "99999999999999999999", NULL, NULL },
        { "WORKERS", "0", NULL, NULL },
        { "WORKERS", "65", NULL, NULL },
        { "WORKERS", "many", NULL, NULL },
        { "STORE", "mysql", NULL, NULL },
        { "STORE", "SQLite", NULL, NULL },
        { "MONGODB_URI", "", "STORE", "mongo" },
        { "MONGODB_URI", "http://user:secret@h", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:secret@", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:secret@/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:secret@h:99999/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:secret@h/a b", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:secret@h/x?replicaSet", "STORE",
          "mongo" },
        { "MONGODB_URI", "mongodb://h/x?tls=true&tlsCAFile=/nowhere", "STORE",
          "mongo" },
        { "MONGODB_URI",
          "mongodb://h/x?tls=true&tlsCertificateKeyFile=/nowhere", "STORE",
          "mongo" },
        { "MONGODB_URI", "mongodb://u:p@secret@h/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:p/secret@h/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:p?secret@h/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:p%secret@h/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://secret:u:p@h/x", "STORE", "mongo" },
        { "MONGODB_URI", "mongodb://u:p:secret@h/x", "STORE", "mongo" },
        { "SQLITE_PATH", "/nowhere/at/all.db", NULL, NULL },
        { "SQLITE_PATH", "/tmp/", NULL, NULL },
        { "SQLITE_PATH", "/tmp", NULL, NULL },
        { "SQLITE_PATH", longer, NULL, NULL },
        { "LOG_LEVEL", "verbose", NULL, NULL },
        { "SCRIPTS_DIR", "/nowhere", NULL, NULL },
        { "SCRIPTS_DIR", "/etc/passwd", NULL, NULL },
        { "SCRIPTS_DIR", longer, NULL, NULL },
        { "PID_FILE", longer, NULL, NULL },
        { "STORAGE", "disk", NULL, NULL },
        { "STORAGE_PATH", "/", NULL, NULL },
        { "STORAGE_PATH", "/nowhere/at/all", NULL, NULL },
        { "STORAGE_PATH", "/etc/passwd", NULL, NULL },
        { "STORAGE_PATH", "/etc/passwd/x", NULL, NULL },
        { "STORAGE_PATH", longer, NULL, NULL },
        { "CDN_BASE_URL", "cdn.example", NULL, NULL },
        { "CDN_BASE_URL", "https://", NULL, NULL },
        { "CDN_BASE_URL", "https:///", NULL, NULL },
        { "CDN_BASE_URL", "https://a b", NULL, NULL },
        { "CDN_BASE_URL", "https://h/?secret=1", NULL, NULL },
        { "CDN_BASE_URL", "https://u:secret@h", NULL, NULL },
        { "CDN_BASE_URL", longer, NULL, NULL }
    };

    (void) state;

    memset(longer, 'a', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';

    for (i = 0; i < UNIT_COUNT(t); i++) {
        memset(p, 0, sizeof(p));
        p[0].name = t[i].name;
        p[0].value = t[i].value;
        p[1].name = t[i].other;
        p[1].value = t[i].other_value;

        assert_int_equal(load(&cf, p, err), -1);
        assert_non_null(strstr(err, t[i].name));
        assert_null(strstr(err, "secret"));
    }
}


static void
pushes(void **state)
{
    char    err[CONF_ERROR_SIZE];
    size_t  i;
    conf_t  cf;
    pair_t  p[ENV_MAX] = { { NULL, NULL } };

    static const pair_t  bad[] = {
        { "FCM_CREDENTIALS", "/nowhere/account.json" },
        { "FCM_CREDENTIALS", "/dev/null" },
        { "WEBHOOK_URL", "http://h/x" },        /* without a secret */
        { "PUSH_CA_FILE", "/nowhere/ca.pem" },
        { "PUSH_CA_FILE", "/etc/passwd" }, { "PUSH_CA_FILE", "/tmp" },
        { "PUSH_CONTENT", "yes" },
        { "PUSH_GRACE_MS", "-1" }, { "PUSH_GRACE_MS", "600001" },
        { "PUSH_REMINDER_M", "1441" }, { "PUSH_REMINDER_M", "x" }
    };
    static const char *const  urls[] = {
        "h/x", "ftp://h/x", "http://", "http:///x", "http://u@h/x",
        "http://h/x y", "http://h/#x"
    };

    (void) state;

    assert_int_equal(load(&cf, p, err), 0);
    assert_int_equal(push_services(&cf.push), 0);
    assert_int_equal(cf.push_content, 0);
    assert_int_equal(cf.push_grace_ms, 5000);
    assert_int_equal(cf.push_reminder_m, 15);

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        p[0] = bad[i];
        assert_int_equal(load(&cf, p, err), -1);
        assert_non_null(strstr(err, bad[i].name));
    }

    p[0].name = "WEBHOOK_URL";
    p[1].name = "WEBHOOK_SECRET";
    p[1].value = "0123456789abcdef";

    for (i = 0; i < UNIT_COUNT(urls); i++) {
        p[0].value = urls[i];
        assert_int_equal(load(&cf, p, err), -1);
        assert_non_null(strstr(err, "WEBHOOK_URL"));
    }

    p[0].value = "https://h:8443/a?b=c/";
    assert_int_equal(load(&cf, p, err), 0);
    assert_string_equal(cf.push.hook_url, "https://h:8443/a?b=c");
    assert_string_equal(cf.push.hook_secret, p[1].value);
    assert_int_equal(cf.push.hook_private, 0);
    assert_int_equal(push_services(&cf.push), PUSH_WEBHOOK);

    p[2].name = "WEBHOOK_ALLOW_PRIVATE";
    p[2].value = "on";
    assert_int_equal(load(&cf, p, err), 0);
    assert_int_equal(cf.push.hook_private, 1);

    p[1].value = "0123456789abcde";
    assert_int_equal(load(&cf, p, err), -1);
    assert_non_null(strstr(err, "WEBHOOK_SECRET"));
    assert_null(strstr(err, p[1].value));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(values),
        cmocka_unit_test(sqlite_paths),
        cmocka_unit_test(storage),
        cmocka_unit_test(scanners),
        cmocka_unit_test(uploads),
        cmocka_unit_test(storage_errors),
        cmocka_unit_test(errors),
        cmocka_unit_test(pushes)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
