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

#define ENV_MAX  8

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
        { "PID_FILE", "" }, { "SCRIPTS_DIR", "" }
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
        { "REDIS_URL", "redis://h/1 redis://h/2", NULL, NULL },
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
        { "SQLITE_PATH", "/nowhere/at/all.db", NULL, NULL },
        { "SQLITE_PATH", "/tmp/", NULL, NULL },
        { "SQLITE_PATH", longer, NULL, NULL },
        { "LOG_LEVEL", "verbose", NULL, NULL },
        { "SCRIPTS_DIR", "/nowhere", NULL, NULL },
        { "SCRIPTS_DIR", "/etc/passwd", NULL, NULL },
        { "SCRIPTS_DIR", longer, NULL, NULL },
        { "PID_FILE", longer, NULL, NULL }
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


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(values),
        cmocka_unit_test(sqlite_paths),
        cmocka_unit_test(errors)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
