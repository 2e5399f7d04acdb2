/*
 * test_url.c: REDIS_URL and writeen_redis.
 *
 * Without it a password with a special character could be read wrongly (and
 * the server be blamed), a mistyped URL could connect somewhere else instead
 * of being refused, or an error message could print the password.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/wrt_url.h"

#define LONG_107  "a1234567890123456789012345678901234567890123456789"       \
                  "012345678901234567890123456789012345678901234567890123456"


static const char *
parse(wrt_redis_url_t *u, const char *url)
{
    memset(u, 0xA5, sizeof(*u));

    return wrt_redis_url_parse(u, unit_edge(url, strlen(url)), strlen(url));
}


static void
good(void **state)
{
    size_t           i;
    const char      *err;
    wrt_redis_url_t  u;

    static const struct {
        const char  *url, *host, *user, *password;
        unsigned     port, db;
    } t[] = {
        { "redis://localhost", "localhost", "", "", 6379, 0 },
        { "redis://127.0.0.1:6379/0", "127.0.0.1", "", "", 6379, 0 },
        { "redis://127.0.0.1:7100/15", "127.0.0.1", "", "", 7100, 15 },
        { "redis://localhost/", "localhost", "", "", 6379, 0 },
        { "redis://redis-1.my_net.example:1/3", "redis-1.my_net.example", "",
          "", 1, 3 },
        { "redis://h:65535", "h", "", "", 65535, 0 },
        { "redis://:secret@h", "h", "", "secret", 6379, 0 },
        { "redis://u:secret@h:1", "h", "u", "secret", 1, 0 },
        { "redis://u@h", "h", "u", "", 6379, 0 },
        { "redis://u:@h", "h", "u", "", 6379, 0 },
        { "redis://:@h", "h", "", "", 6379, 0 },
        { "redis://u%3a%40:p%2Fw%25%41@h/2", "h", "u:@", "p/w%A", 6379, 2 },
        { "redis://u:a:b@c@h", "h", "u", "a:b@c", 6379, 0 },
        { "redis://:p%20%0a@h", "h", "", "p \n", 6379, 0 },
        { "redis://:%C3%a9@h", "h", "", "\xC3\xA9", 6379, 0 },
        { "redis://[::1]", "::1", "", "", 6379, 0 },
        { "redis://[::1]:7000/1", "::1", "", "", 7000, 1 },
        { "redis://:p@[fe80::1%eth0]:7000", "fe80::1%eth0", "", "p", 7000,
          0 },
        { "redis://" LONG_107, LONG_107, "", "", 6379, 0 },
        { "unix:/run/redis.sock", "/run/redis.sock", "", "", 0, 0 },
        { "unix:/run/redis.sock?", "/run/redis.sock", "", "", 0, 0 },
        { "unix:///run/redis.sock", "///run/redis.sock", "", "", 0, 0 },
        { "unix:/r.sock?db=4", "/r.sock", "", "", 0, 4 },
        { "unix:/r.sock?password=p%26w&db=4&user=u=1", "/r.sock", "u=1",
          "p&w", 0, 4 },
        { "unix:/r@:%41.sock", "/r@:%41.sock", "", "", 0, 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        err = parse(&u, t[i].url);

        if (err) {
            fail_msg("%s: %s", t[i].url, err);
        }

        assert_string_equal(u.host, t[i].host);
        assert_string_equal(u.user, t[i].user);
        assert_string_equal(u.password, t[i].password);
        assert_int_equal(u.port, t[i].port);
        assert_int_equal(u.db, t[i].db);
    }
}


static void
bad(void **state)
{
    size_t           i;
    const char      *err;
    wrt_redis_url_t  u;

    /* url, and a word that the message must have */
    static const char  *t[][2] = {
        { "", "begins with" },
        { "localhost", "begins with" },
        { "localhost:6379", "begins with" },
        { "redis:/h", "begins with" },
        { "redis:", "begins with" },
        { "Redis://h", "begins with" },
        { "rediss://h", "TLS" },
        { "http://h", "begins with" },
        { "redis://", "host" },
        { "redis:///1", "host" },
        { "redis://:6379", "host" },
        { "redis://u:p@", "host" },
        { "redis://u:p@:6379", "host" },
        { "redis://h:", "port" },
        { "redis://h:0", "port" },
        { "redis://h:65536", "port" },
        { "redis://h:99999999999999999999", "port" },
        { "redis://h:+1", "port" },
        { "redis://h:1x", "port" },
        { "redis://h:-1", "port" },
        { "redis://h:1:2", "port" },
        { "redis://::1", "host" },
        { "redis://h/x", "database" },
        { "redis://h/1/2", "database" },
        { "redis://h/-1", "database" },
        { "redis://h/65536", "database" },
        { "redis://h/4294967296", "database" },
        { "redis://h?db=1", "host" },
        { "redis://h/1?x", "database" },
        { "redis://h#1", "host" },
        { "redis://h h", "spaces" },
        { "redis://h\n", "spaces" },
        { "redis://h\x7F", "spaces" },
        { " redis://h", "spaces" },
        { "redis://\xC3\xA9", "host" },
        { "redis://a,redis://b", "database" },
        { "redis://:a/b@h", "database" },
        { "redis://:%@h", "hexadecimal" },
        { "redis://:%4@h", "hexadecimal" },
        { "redis://:%4g@h", "hexadecimal" },
        { "redis://:%g4@h", "hexadecimal" },
        { "redis://:a%00@h", "00" },
        { "redis://%zz:p@h", "hexadecimal" },
        { "redis://[::1", "]" },
        { "redis://[::1]x", "]" },
        { "redis://[::1]7000", "]" },
        { "redis://[]:1", "host" },
        { "redis://[::1]:", "port" },
        { "redis://[h/x]", "database" },
        { "redis://" LONG_107 "x", "107" },
        { "unix:", "absolute path" },
        { "unix:r.sock", "absolute path" },
        { "unix:?db=1", "absolute path" },
        { "unix:/" LONG_107, "107" },
        { "unix:/r.sock?db=", "number" },
        { "unix:/r.sock?db=x", "number" },
        { "unix:/r.sock?db=65536", "number" },
        { "unix:/r.sock?port=1", "only db" },
        { "unix:/r.sock?x", "only db" },
        { "unix:/r.sock?db=1&", NULL },
        { "unix:/r.sock?&db=1", "only db" },
        { "unix:/r.sock?password=%0", "hexadecimal" },
        { "unix:/r.sock?user=%0", "hexadecimal" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        err = parse(&u, t[i][0]);

        if (t[i][1] == NULL) {
            /* nothing after the last & is as good as nothing after ? */
            assert_null(err);
            continue;
        }

        if (err == NULL || strstr(err, t[i][1]) == NULL) {
            fail_msg("\"%s\": %s", t[i][0], err ? err : "accepted");
        }
    }
}


/* Each byte inside a host, a number and an IPv6 address. */
static void
every_byte(void **state)
{
    int              c, digit;
    char             url[64];
    wrt_redis_url_t  u;

    static const char  name[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

    (void) state;

    for (c = 1; c < 256; c++) {
        digit = c >= '0' && c <= '9';

        snprintf(url, sizeof(url), "redis://a%cb", c);
        /* what follows is a name after @, a database after / */
        assert_int_equal(parse(&u, url) == NULL,
                         strchr(name, c) != NULL || c == '@');

        snprintf(url, sizeof(url), "redis://[a%cb]", c);
        assert_int_equal(parse(&u, url) == NULL,
                         strchr(name, c) != NULL || c == ':' || c == '%');

        snprintf(url, sizeof(url), "redis://h:1%c1", c);
        assert_int_equal(parse(&u, url) == NULL,
                         digit || c == '/' || c == '@');

        snprintf(url, sizeof(url), "redis://h/1%c1", c);
        assert_int_equal(parse(&u, url) == NULL, digit);

        /* any byte but spaces and controls may be in a password; these end
         * it, or begin an escape */
        snprintf(url, sizeof(url), "redis://:a%cb@h", c);
        assert_int_equal(parse(&u, url) == NULL,
                         c > ' ' && c != 0x7F && c != '/' && c != '%');

        snprintf(url, sizeof(url), "redis://:%%%02x@h", c);
        assert_null(parse(&u, url));
        assert_int_equal((unsigned char) u.password[0], c);
        snprintf(url, sizeof(url), "redis://:%%%02X@h", c);
        assert_null(parse(&u, url));
        assert_int_equal((unsigned char) u.password[0], c);

        snprintf(url, sizeof(url), "redis://:%%%c1@h", c);
        assert_int_equal(parse(&u, url) == NULL,
                         strchr("0123456789abcdefABCDEF", c) != NULL);
        snprintf(url, sizeof(url), "redis://:%%1%c@h", c);
        assert_int_equal(parse(&u, url) == NULL,
                         strchr("0123456789abcdefABCDEF", c) != NULL);
    }
}


static void
credentials_bounded(void **state)
{
    char             url[1200];
    size_t           n;
    const char      *err;
    wrt_redis_url_t  u;

    (void) state;

    for (n = 510; n <= 513; n++) {
        memset(url, 0, sizeof(url));
        memcpy(url, "redis://:", 9);
        memset(url + 9, 'p', n);
        memcpy(url + 9 + n, "@h", 2);

        err = parse(&u, url);
        assert_int_equal(err == NULL, n <= 511);

        if (err == NULL) {
            assert_int_equal(strlen(u.password), n);
        }

        memset(url, 0, sizeof(url));
        memcpy(url, "unix:/s?user=", 13);
        memset(url + 13, 'u', n);
        assert_int_equal(parse(&u, url) == NULL, n <= 511);
    }
}


static void
same(void **state)
{
    size_t           i;
    wrt_redis_url_t  a, b;

    static const struct {
        const char  *a, *b;
        int          same;
    } t[] = {
        { "redis://127.0.0.1", "redis://127.0.0.1:6379", 1 },
        { "redis://127.0.0.1", "redis://127.0.0.1:6380", 0 },
        { "redis://127.0.0.1", "redis://127.0.0.2", 0 },
        { "redis://u:p@h:1/2", "redis://:q@h:1", 1 },
        { "redis://redis-1", "redis://Redis-1", 1 },
        { "redis://redis-1", "redis://redis-11", 0 },
        { "redis://localhost", "redis://127.0.0.1", 0 },
        { "redis://[::1]", "redis://u@[::1]:6379", 1 },
        { "redis://[fe80::A]", "redis://[FE80::a]", 1 },
        { "redis://[::1]", "redis://[::2]", 0 },
        { "redis://[fe80::1%eth0]", "redis://[fe80::1%eth0]", 1 },
        { "redis://[fe80::1%eth0]", "redis://[fe80::1%eth1]", 0 },
        { "unix:/run/r.sock", "unix:/run/r.sock?db=3", 1 },
        { "unix:/run/r.sock", "unix:///run//r.sock", 1 },
        { "unix:/run/r.sock", "unix:/run/r.sock2", 0 },
        { "unix:/run/r.sock", "unix:/runr.sock", 0 },
        { "unix:/run/r", "unix:/run/r/", 0 },
        { "unix:/h", "redis://h", 0 },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        assert_null(parse(&a, t[i].a));
        assert_null(parse(&b, t[i].b));

        if (wrt_redis_url_same(&a, &b) != t[i].same
            || wrt_redis_url_same(&b, &a) != t[i].same)
        {
            fail_msg("%s, %s: not %d", t[i].a, t[i].b, t[i].same);
        }

        assert_int_equal(wrt_redis_url_same(&a, &a), 1);
    }
}


/* Neither a crash nor a password in the message, wherever it is cut. */
static void
cut_and_secret(void **state)
{
    size_t           i, j;
    const char      *err;
    wrt_redis_url_t  u;

    static const char  *urls[] = {
        "redis://us%41er:HUNTER2%2f@[fe80::1]:7000/12",
        "unix:/run/redis.sock?db=3&password=HUNTER2%20&user=x",
        "redis://:HUNTER2/@h", "redis://:HUNTER2@h:x", "http://:HUNTER2@h",
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(urls); i++) {
        for (j = 0; j <= strlen(urls[i]); j++) {
            err = wrt_redis_url_parse(&u, unit_edge(urls[i], j), j);

            if (err) {
                assert_null(strstr(err, "HUNTER"));
            }
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(credentials_bounded),
        cmocka_unit_test(same),
        cmocka_unit_test(cut_and_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
