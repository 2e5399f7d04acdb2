/*
 * test_push.c: the push library against a double of FCM and a webhook.
 *
 * Without it a push could be lost when a service is busy, go out under a token
 * that is none any more, take a device for dead because our request was wrong,
 * or trust a server that is not the service.  It runs beside
 * tests/e2e/harness/fcm.py, which checks assertions and access tokens.
 */

#define _GNU_SOURCE      /* asprintf() */

#include "tests/unit/push_fixture.h"

#include "worker/push/push_internal.h"

#define END_MAX  8

typedef struct {
    unsigned   n;
    unsigned   service[END_MAX];
    push_rc_t  rc[END_MAX];
    int64_t    wait_ms[END_MAX];
    char       why[END_MAX][PUSH_ERROR_SIZE];
} end_t;

static push_conf_t  conf;


static void
done(void *data, unsigned service, push_rc_t rc, int64_t wait_ms,
    const char *why)
{
    end_t  *e = data;

    assert_true(e->n < END_MAX);
    e->service[e->n] = service;
    e->rc[e->n] = rc;
    e->wait_ms[e->n] = wait_ms;
    snprintf(e->why[e->n++], PUSH_ERROR_SIZE, "%s", why);
}


static push_msg_t
msg(const char *platform, const char *token)
{
    push_msg_t  m;

    memset(&m, 0, sizeof(m));
    m.services = PUSH_FCM | PUSH_WEBHOOK;
    m.kind = PUSH_MESSAGE;
    m.id = "push1";
    m.tag = "room1";
    m.user = "u1";
    m.device = "d1";
    m.platform = platform;
    m.token = token;
    m.conversation = "room1";
    m.seq = 7;
    m.title = "Budi";
    m.body = "Mengirim \"pesan\"";

    return m;
}


static push_msg_t
withdrawal(const char *token)
{
    push_msg_t  m;

    m = msg("android", token);
    m.kind = PUSH_WITHDRAW;
    m.title = NULL;
    m.body = NULL;

    return m;
}


static push_t *
begin(void)
{
    char     err[PUSH_ERROR_SIZE];
    push_t  *p;

    p = push_open(&conf, err, sizeof(err));
    assert_non_null(p);

    return p;
}


/* Until all are done. */
static void
finish(push_t *p, const end_t *e, unsigned n)
{
    int64_t  end;

    end = push_mono_ms() + 30000;

    while (e->n < n && push_mono_ms() < end) {
        push_turn(p, 10);
    }

    assert_int_equal(e->n, n);
    assert_int_equal(push_busy(p), 0);
}


static push_rc_t
one(push_t *p, const push_msg_t *m, end_t *e)
{
    memset(e, 0, sizeof(*e));
    assert_int_equal(push_send(p, m, done, e), 0);
    finish(p, e, 1);

    return e->rc[0];
}


static int
setup(void **state)
{
    char  err[PUSH_ERROR_SIZE];

    (void) state;

    memset(&conf, 0, sizeof(conf));
    conf.pause_ms = 20;
    conf.deadline_ms = 5000;
    snprintf(conf.fcm_url, sizeof(conf.fcm_url), "%s",
             getenv("WRT_TEST_FCM"));
    assert_int_equal(push_account_read(&conf.account,
                                       getenv("WRT_TEST_FCM_ACCOUNT"), err,
                                       sizeof(err)), 0);
    json_decref(ask("/double/calm", ""));

    return 0;
}


static int
teardown(void **state)
{
    (void) state;

    push_account_free(&conf.account);

    return 0;
}


static void
webhook(int private)
{
    snprintf(conf.hook_url, sizeof(conf.hook_url), "%s/hook",
             getenv("WRT_TEST_FCM"));
    snprintf(conf.hook_secret, sizeof(conf.hook_secret),
             "webhook-secret-of-tests");
    conf.hook_private = private;
}


static void
platforms(void **state)
{
    end_t       e;
    json_t     *v;
    push_t     *p;
    unsigned    tokens;
    push_msg_t  m;

    (void) state;

    tokens = came("token", "", 200);
    p = begin();

    m = msg("android", "t-android");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_int_equal(e.service[0], PUSH_FCM);
    assert_string_equal(e.why[0], "");
    v = message("t-android");
    is(v, "notification.title", "Budi");
    is(v, "notification.body", "Mengirim \"pesan\"");
    is(v, "data.pushId", "push1");
    is(v, "data.seq", "7");
    is(v, "data.kind", "message");
    is(v, "data.conversationId", "room1");
    is(v, "android.collapse_key", "room1");
    is(v, "android.notification.tag", "room1");
    is(v, "android.priority", "high");
    is(v, "android.ttl", "86400s");
    is(v, "apns", NULL);
    json_decref(v);

    m = msg("ios", "t-ios");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    v = message("t-ios");
    is(v, "apns.headers.apns-collapse-id", "room1");
    is(v, "apns.headers.apns-push-type", "alert");
    is(v, "apns.payload.aps.thread-id", "room1");
    is(v, "android", NULL);
    json_decref(v);

    m = msg("web", "t-web");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    v = message("t-web");
    is(v, "webpush.notification.tag", "room1");
    json_decref(v);

    m = withdrawal("t-gone");
    m.platform = "ios";
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    v = message("t-gone");
    is(v, "notification", NULL);
    is(v, "data.kind", "withdraw");
    is(v, "data.tag", "room1");
    is(v, "apns.headers.apns-push-type", "background");
    is(v, "apns.headers.apns-collapse-id", "room1");
    json_decref(v);

    /* one token is enough for all */
    assert_int_equal(came("token", "", 200), tokens + 1);
    assert_string_equal(push_trouble(p), "");

    push_close(p);
}


static void
judgements(void **state)
{
    char        rule[512], token[32];
    end_t       e;
    push_t     *p;
    size_t      i;
    push_msg_t  m;

    static const struct {
        const char  *rule;
        push_rc_t    rc;
    } cases[] = {
        { "\"status\":404,\"code\":\"UNREGISTERED\"", PUSH_DEAD },
        { "\"status\":404", PUSH_REFUSED },
        { "\"status\":403,\"code\":\"SENDER_ID_MISMATCH\"", PUSH_DEAD },
        { "\"status\":403,\"code\":\"PERMISSION_DENIED\"", PUSH_LATER },
        { "\"status\":400,\"code\":\"INVALID_ARGUMENT\",\"message\":\"The "
          "registration token is not a valid FCM registration token\"",
          PUSH_DEAD },
        { "\"status\":400,\"code\":\"INVALID_ARGUMENT\",\"message\":\"Invalid "
          "value at 'message.android.ttl'\"", PUSH_REFUSED },
        { "\"status\":401,\"code\":\"THIRD_PARTY_AUTH_ERROR\"", PUSH_LATER }
    };

    (void) state;

    p = begin();

    for (i = 0; i < UNIT_COUNT(cases); i++) {
        snprintf(token, sizeof(token), "judge-%zu", i);
        snprintf(rule, sizeof(rule), "{\"match\":\"%s\",%s}", token,
                 cases[i].rule);
        behave(rule);
        m = msg("android", token);
        assert_int_equal(one(p, &m, &e), cases[i].rc);
        assert_true(e.why[0][0] != '\0');
        assert_int_equal(came("send", token, 0), 1);
    }

    push_close(p);
}


static void
again(void **state)
{
    end_t       e;
    push_t     *p;
    push_msg_t  m;

    (void) state;

    p = begin();

    /* what is shown may have changed meanwhile: it is not repeated */
    behave("{\"match\":\"again-503\",\"status\":503,\"times\":1}");
    m = msg("android", "again-503");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_true(e.wait_ms[0] > 0 && e.wait_ms[0] <= conf.pause_ms);
    assert_non_null(strstr(e.why[0], "503"));
    assert_int_equal(came("send", "again-503", 0), 1);
    assert_int_equal(one(p, &m, &e), PUSH_SENT);

    behave("{\"match\":\"again-cut\",\"close\":true}");
    m = msg("android", "again-cut");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_non_null(strstr(e.why[0], "no answer"));
    json_decref(ask("/double/calm", ""));
    assert_int_equal(one(p, &m, &e), PUSH_SENT);

    /* pauses grow with the tries that there were */
    behave("{\"match\":\"again-sixth\",\"status\":503}");
    m = msg("android", "again-sixth");
    m.tries = 5;
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_true(e.wait_ms[0] >= conf.pause_ms * 16
                && e.wait_ms[0] <= conf.pause_ms * 32);

    /* a withdrawal shows nothing */
    behave("{\"match\":\"again-gone\",\"status\":503,\"times\":2}");
    m = withdrawal("again-gone");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_int_equal(came("send", "again-gone", 503), 2);
    assert_int_equal(came("send", "again-gone", 200), 1);

    /* longer than we try */
    behave("{\"match\":\"again-no\",\"status\":500}");
    m = withdrawal("again-no");
    conf.deadline_ms = 2000;
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_true(e.wait_ms[0] > 0);
    assert_non_null(strstr(e.why[0], "500"));
    assert_true(came("send", "again-no", 500) > 1);

    /* longer than the deadline: at once, with the time that was asked for */
    behave("{\"match\":\"again-late\",\"status\":429,\"retry_after\":60}");
    m = msg("android", "again-late");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_int_equal(e.wait_ms[0], 60000);
    assert_int_equal(came("send", "again-late", 429), 1);
    assert_true(push_away(p));

    /* and so do all others, without asking */
    m = msg("android", "again-held");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_true(e.wait_ms[0] > conf.pause_ms && e.wait_ms[0] <= 60000);
    assert_non_null(strstr(e.why[0], "left alone"));
    assert_int_equal(came("send", "again-held", 0), 0);

    push_close(p);
}


/* Who only fails is left alone; one answer is enough to be asked again. */
static void
away(void **state)
{
    end_t       e;
    push_t     *p;
    unsigned    i;
    push_msg_t  m, good;

    (void) state;

    conf.pause_ms = 20000;
    behave("{\"match\":\"away-no\",\"status\":500}");
    m = msg("android", "away-no");
    good = msg("android", "away-yes");
    p = begin();

    for (i = 0; i < 2 * WRT_PUSH_FAILS - 1; i++) {
        assert_false(push_away(p));

        if (i == WRT_PUSH_FAILS - 1) {
            assert_int_equal(one(p, &good, &e), PUSH_SENT);
        }

        assert_int_equal(one(p, &m, &e), PUSH_LATER);
    }

    assert_true(push_away(p));
    assert_int_equal(one(p, &good, &e), PUSH_LATER);
    assert_int_equal(came("send", "away-yes", 0), 1);
    push_close(p);
}


/* Who says when to come back is left alone by all. */
static void
left_alone(void **state)
{
    end_t       e;
    double      first, second;
    size_t      i;
    json_t     *log, *v, *t;
    push_t     *p;
    push_msg_t  m;

    (void) state;

    p = begin();

    behave("{\"match\":\"alone-1\",\"status\":429,\"retry_after\":1,"
           "\"times\":1}");
    m = msg("android", "alone-1");
    memset(&e, 0, sizeof(e));
    assert_int_equal(push_send(p, &m, done, &e), 0);

    while (came("send", "alone-1", 429) == 0) {
        push_turn(p, 10);
    }

    push_turn(p, 20);
    m = msg("android", "alone-2");
    assert_int_equal(push_send(p, &m, done, &e), 0);
    finish(p, &e, 2);
    assert_int_equal(e.rc[0], PUSH_LATER);
    assert_int_equal(e.rc[1], PUSH_SENT);

    log = ask("/double/log", "");
    first = second = 0;

    json_array_foreach(log, i, v) {
        t = json_object_get(json_object_get(v, "message"), "token");

        if (t && strcmp(json_string_value(t), "alone-1") == 0
            && first == 0)
        {
            first = json_real_value(json_object_get(v, "at"));
        }

        if (t && strcmp(json_string_value(t), "alone-2") == 0) {
            second = json_real_value(json_object_get(v, "at"));
        }
    }

    json_decref(log);
    assert_true(second - first > 0.9);

    push_close(p);
}


static void
access_tokens(void **state)
{
    end_t       e;
    push_t     *p;
    unsigned    n;
    push_msg_t  m;

    (void) state;

    p = begin();

    /* the endpoint is busy at first */
    behave("{\"path\":\"token\",\"status\":503,\"times\":2}");
    m = msg("android", "access-1");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_string_equal(push_trouble(p), "");

    /* it was revoked: one more is asked for, nothing is lost */
    n = came("token", "", 200);
    json_decref(ask("/double/forget", ""));
    m = msg("android", "access-2");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_int_equal(came("send", "access-2", 401), 1);
    assert_int_equal(came("token", "", 200), n + 1);

    push_close(p);

    /* who is refused says why, and sends nothing */
    behave("{\"path\":\"token\",\"status\":400}");
    conf.deadline_ms = 2000;
    p = begin();
    m = msg("android", "access-3");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_non_null(strstr(e.why[0], "no access token from"));
    assert_non_null(strstr(push_trouble(p), "400"));
    assert_int_equal(came("send", "access-3", 0), 0);
    push_close(p);

    /* another key than the account's: the assertion is checked */
    json_decref(ask("/double/calm", ""));
    push_account_free(&conf.account);
    assert_int_equal(push_account_read(&conf.account,
                                       getenv("WRT_TEST_TLS_ACCOUNT"),
                                       e.why[0], sizeof(e.why[0])), 0);
    free(conf.account.token_url);
    assert_true(asprintf(&conf.account.token_url, "%s/token",
                         getenv("WRT_TEST_FCM")) > 0);
    p = begin();
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_non_null(strstr(e.why[0], "Invalid JWT"));
    push_close(p);
}


static void
bounded(void **state)
{
    end_t       e;
    push_t     *p;
    push_msg_t  m;

    (void) state;

    conf.flight = 3;
    webhook(1);
    p = begin();
    m = msg("android", "bounded");
    memset(&e, 0, sizeof(e));

    /* each needs two places */
    assert_int_equal(push_room(p), 1);
    assert_int_equal(push_send(p, &m, done, &e), 0);
    assert_int_equal(push_room(p), 0);
    assert_int_equal(push_send(p, &m, done, &e), -1);
    finish(p, &e, 2);
    assert_int_equal(push_room(p), 1);

    /* a service that has it already is left out */
    m.services = PUSH_WEBHOOK;
    m.token = "bounded-hook";
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_int_equal(e.service[0], PUSH_WEBHOOK);
    assert_int_equal(came("send", "bounded-hook", 0), 0);
    assert_int_equal(came("hook", "bounded-hook", 200), 1);

    /* closed with something in hand */
    behave("{\"path\":\"hook\",\"match\":\"bounded-slow\",\"delay\":2}");
    m.token = "bounded-slow";
    memset(&e, 0, sizeof(e));
    assert_int_equal(push_send(p, &m, done, &e), 0);
    push_turn(p, 0);
    push_close(p);
    assert_int_equal(e.n, 0);
}


static void
webhooks(void **state)
{
    end_t       e;
    json_t     *v;
    push_t     *p;
    push_msg_t  m;

    (void) state;

    push_account_free(&conf.account);
    webhook(1);
    p = begin();

    m = msg("web", "hook-1");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_int_equal(came("hook", "hook-1", 200), 1);
    assert_int_equal(came("hook", "\"signed\":true", 200),
                     came("hook", "", 200));
    v = message("hook-1");
    is(v, "id", "push1");
    is(v, "kind", "message");
    is(v, "userId", "u1");
    is(v, "deviceId", "d1");
    is(v, "platform", "web");
    is(v, "title", "Budi");
    json_decref(v);

    behave("{\"path\":\"hook\",\"match\":\"hook-410\",\"status\":410}");
    m = msg("web", "hook-410");
    assert_int_equal(one(p, &m, &e), PUSH_DEAD);

    /* not followed */
    behave("{\"path\":\"hook\",\"match\":\"hook-302\",\"status\":302}");
    m = msg("web", "hook-302");
    assert_int_equal(one(p, &m, &e), PUSH_REFUSED);
    assert_int_equal(came("hook", "hook-302", 302), 1);

    behave("{\"path\":\"hook\",\"match\":\"hook-500\",\"status\":500,"
           "\"times\":1}");
    m = msg("web", "hook-500");
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    push_close(p);

    /* another secret gives another signature */
    snprintf(conf.hook_secret, sizeof(conf.hook_secret),
             "another-secret-of-tests");
    p = begin();
    m = msg("web", "hook-forged");
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    assert_int_equal(came("hook", "\"signed\":false", 200), 1);
    push_close(p);

    /* by its address, and by a name of it */
    webhook(0);
    p = begin();
    m = msg("web", "hook-private");
    assert_int_equal(one(p, &m, &e), PUSH_REFUSED);
    assert_non_null(strstr(e.why[0], "private"));
    push_close(p);

    snprintf(conf.hook_url, sizeof(conf.hook_url), "http://localhost:%s/hook",
             strrchr(getenv("WRT_TEST_FCM"), ':') + 1);
    p = begin();
    assert_int_equal(one(p, &m, &e), PUSH_REFUSED);
    push_close(p);
    assert_int_equal(came("hook", "hook-private", 0), 0);
}


static void
verified(void **state)
{
    end_t       e;
    push_t     *p;
    push_msg_t  m;

    (void) state;

    memset(&e, 0, sizeof(e));
    push_account_free(&conf.account);
    assert_int_equal(push_account_read(&conf.account,
                                       getenv("WRT_TEST_TLS_ACCOUNT"),
                                       e.why[0], sizeof(e.why[0])), 0);
    snprintf(conf.fcm_url, sizeof(conf.fcm_url), "%s",
             getenv("WRT_TEST_TLS"));
    conf.deadline_ms = 3000;
    m = msg("android", "tls-1");

    /* nobody whom we know has signed its certificate */
    p = begin();
    assert_int_equal(one(p, &m, &e), PUSH_LATER);
    assert_non_null(strstr(e.why[0], "certificate"));
    push_close(p);

    conf.deadline_ms = 10000;
    snprintf(conf.ca_file, sizeof(conf.ca_file), "%s",
             getenv("WRT_TEST_TLS_CERT"));
    p = begin();
    assert_int_equal(one(p, &m, &e), PUSH_SENT);
    push_close(p);
}


/* Many more than fit at once, over few connections. */
static void
many(void **state)
{
    char        token[32];
    end_t       e;
    push_t     *p;
    unsigned    i, sent;
    push_msg_t  m;

    (void) state;

    conf.flight = END_MAX;
    p = begin();
    memset(&e, 0, sizeof(e));

    for (i = 0, sent = 0; sent < 300; ) {
        while (i < 300 && push_room(p) > 0) {
            snprintf(token, sizeof(token), "many-%u", i++);
            m = msg("android", token);
            assert_int_equal(push_send(p, &m, done, &e), 0);
        }

        push_turn(p, 5);
        sent += e.n;
        memset(&e, 0, sizeof(e));
    }

    assert_int_equal(came("send", "many-", 200), 300);
    push_close(p);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(platforms, setup, teardown),
        cmocka_unit_test_setup_teardown(judgements, setup, teardown),
        cmocka_unit_test_setup_teardown(again, setup, teardown),
        cmocka_unit_test_setup_teardown(away, setup, teardown),
        cmocka_unit_test_setup_teardown(left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(access_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(webhooks, setup, teardown),
        cmocka_unit_test_setup_teardown(verified, setup, teardown),
        cmocka_unit_test_setup_teardown(many, setup, teardown)
    };

    if (getenv("WRT_TEST_FCM") == NULL) {
        fprintf(stderr, "run build/unit/push, which starts the double\n");
        return 1;
    }

    return cmocka_run_group_tests_name("push", tests, NULL, NULL);
}
