/*
 * test_push_text.c: what a push shows, quiet hours, addresses of webhooks,
 * service accounts, signatures.
 *
 * Without it somebody could be woken at night because his day was taken for
 * another one's, a text be cut in the middle of a character, or a webhook
 * reach what is not on the internet.
 */

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "common/wrt_id.h"
#include "common/wrt_utf8.h"
#include "worker/push/push_internal.h"


static int64_t
at(const char *time)
{
    int64_t  ms;

    assert_int_equal(wrt_time_parse(time, strlen(time), &ms), 0);

    return ms;
}


static void
clocks(void **state)
{
    size_t  i;

    static const char *const  bad[] = {
        "", "22", "22:0", "2:00", "24:00", "22:60", "22:00:00", "aa:bb",
        " 2:00", "-1:00", "22.00"
    };

    (void) state;

    assert_int_equal(push_zone_clock("00:00"), 0);
    assert_int_equal(push_zone_clock("22:30"), 1350);
    assert_int_equal(push_zone_clock("23:59"), 1439);

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        assert_int_equal(push_zone_clock(bad[i]), -1);
    }
}


static void
zones(void **state)
{
    (void) state;

    assert_true(push_zone_known("Asia/Jakarta"));
    assert_true(push_zone_known("Asia/Jayapura"));
    assert_true(push_zone_known("Europe/Berlin"));
    assert_true(push_zone_known("America/Argentina/Buenos_Aires"));
    assert_true(push_zone_known("UTC"));

    assert_false(push_zone_known(""));
    assert_false(push_zone_known("Asia/Nowhere"));
    assert_false(push_zone_known("/etc/localtime"));
    assert_false(push_zone_known("../../etc/passwd"));
    assert_false(push_zone_known("Asia/../Jakarta "));
    assert_false(push_zone_known("+07:00"));
}


static void
quiet_hours(void **state)
{
    size_t  i;

    static const struct {
        const char  *zone;
        const char  *start, *end;
        const char  *now;
        const char  *until;         /* NULL: not quiet */
    } cases[] = {
        /* Jakarta is UTC+7: over midnight, both sides of it and the edges */
        { "Asia/Jakarta", "22:00", "06:00", "2026-11-27T14:59:59Z", NULL },
        { "Asia/Jakarta", "22:00", "06:00", "2026-11-27T15:00:00Z",
          "2026-11-27T23:00:00Z" },
        { "Asia/Jakarta", "22:00", "06:00", "2026-11-27T17:30:00Z",
          "2026-11-27T23:00:00Z" },
        { "Asia/Jakarta", "22:00", "06:00", "2026-11-27T22:59:59Z",
          "2026-11-27T23:00:00Z" },
        { "Asia/Jakarta", "22:00", "06:00", "2026-11-27T23:00:00Z", NULL },
        /* end of a month, of a year */
        { "Asia/Jayapura", "21:30", "05:45", "2026-12-31T13:00:00Z",
          "2026-12-31T20:45:00Z" },
        { "UTC", "22:00", "06:00", "2026-12-31T23:00:00Z",
          "2027-01-01T06:00:00Z" },
        /* within one day */
        { "Asia/Makassar", "12:00", "13:00", "2026-11-27T04:30:00Z",
          "2026-11-27T05:00:00Z" },
        { "Asia/Makassar", "12:00", "13:00", "2026-11-27T05:00:00Z", NULL },
        { "Asia/Makassar", "12:00", "13:00", "2026-11-27T03:59:00Z", NULL },
        /* the clock is put back at 03:00 (01:00Z) and forward at 02:00 */
        { "Europe/Berlin", "22:00", "06:00", "2026-10-24T21:00:00Z",
          "2026-10-25T05:00:00Z" },
        { "Europe/Berlin", "22:00", "06:00", "2027-03-27T22:00:00Z",
          "2027-03-28T04:00:00Z" },
        /* long after the last change in the table of a zone */
        { "Europe/Berlin", "22:00", "06:00", "2050-07-01T21:00:00Z",
          "2050-07-02T04:00:00Z" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(cases); i++) {
        assert_int_equal(push_zone_quiet(cases[i].zone,
                                         push_zone_clock(cases[i].start),
                                         push_zone_clock(cases[i].end),
                                         at(cases[i].now)),
                         cases[i].until ? at(cases[i].until) : 0);
    }
}


static void
texts(void **state)
{
    char    title[WRT_PUSH_TITLE_MAX + 1], body[WRT_PUSH_BODY_MAX + 1];
    char    what[2000];
    size_t  i, k;

    (void) state;

    push_text(PUSH_MESSAGE, "id-ID", "Budi", NULL, 0, title, body);
    assert_string_equal(title, "Budi");
    assert_string_equal(body, "Mengirim pesan kepada Anda");

    push_text(PUSH_MESSAGE, "en_US", "Budi", "Rahasia\nnya", 0, title, body);
    assert_string_equal(body, "Rahasia nya");

    push_text(PUSH_INVITATION, "en", NULL, NULL, 0, title, body);
    assert_string_equal(title, "Writeen");
    assert_string_equal(body, "Invited you to a conversation");

    push_text(PUSH_REMINDER, NULL, "x", NULL, 15, title, body);
    assert_string_equal(title, "Konsultasi segera dimulai");
    assert_string_equal(body, "15 menit lagi");
    push_text(PUSH_REMINDER, "en", "x", "Bab 4", 15, title, body);
    assert_string_equal(body, "Bab 4");

    push_text(PUSH_FILE, "id", NULL, NULL, 0, title, body);
    assert_string_equal(title, "Berkas siap");

    /* characters of two bytes at every place of the cut */
    for (i = 0; i < 4; i++) {
        memset(what, 'a', i);

        for (k = i; k + 2 < sizeof(what); k += 2) {
            memcpy(what + k, "\xC3\xA9", 3);
        }

        push_text(PUSH_MESSAGE, "id", what, what, 0, title, body);
        assert_true(strlen(title) <= WRT_PUSH_TITLE_MAX);
        assert_true(strlen(body) <= WRT_PUSH_BODY_MAX);
        assert_true(strlen(body) > WRT_PUSH_BODY_MAX - 4);
        assert_true(wrt_utf8_valid((uint8_t *) title, strlen(title)));
        assert_true(wrt_utf8_valid((uint8_t *) body, strlen(body)));
    }
}


static void
addresses(void **state)
{
    size_t               i;
    struct sockaddr_in   v4;
    struct sockaddr_in6  v6;

    static const struct {
        const char  *text;
        int          public;
    } cases[] = {
        { "8.8.8.8", 1 }, { "172.217.0.1", 1 }, { "100.128.0.1", 1 },
        { "172.32.0.1", 1 }, { "11.0.0.1", 1 }, { "192.169.0.1", 1 },
        { "0.0.0.0", 0 }, { "10.1.2.3", 0 }, { "100.64.0.1", 0 },
        { "127.0.0.1", 0 }, { "127.255.255.255", 0 },
        { "169.254.169.254", 0 }, { "172.16.0.1", 0 },
        { "172.31.255.255", 0 }, { "192.168.1.1", 0 }, { "192.0.2.1", 0 },
        { "198.19.0.1", 0 }, { "224.0.0.1", 0 }, { "255.255.255.255", 0 },
        { "2606:4700::1111", 1 }, { "2a00:1450::1", 1 },
        { "2001:4860::8888", 1 }, { "64:ff9b::8.8.8.8", 1 },
        { "::", 0 }, { "::1", 0 }, { "fe80::1", 0 }, { "fc00::1", 0 },
        { "fd12::1", 0 }, { "ff02::1", 0 }, { "2001:db8::1", 0 },
        { "2001:0:1::1", 0 }, { "::ffff:127.0.0.1", 0 },
        { "::ffff:10.0.0.1", 0 }, { "::ffff:8.8.8.8", 1 },
        { "64:ff9b::169.254.169.254", 0 }, { "2002:7f00:1::1", 0 },
        { "2002:808:808::1", 1 }, { "::127.0.0.1", 0 },
        { "64:ff9b:1::8.8.8.8", 0 }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(cases); i++) {
        memset(&v4, 0, sizeof(v4));
        memset(&v6, 0, sizeof(v6));
        v4.sin_family = AF_INET;
        v6.sin6_family = AF_INET6;

        if (inet_pton(AF_INET, cases[i].text, &v4.sin_addr) == 1) {
            assert_int_equal(push_address_public((struct sockaddr *) &v4),
                             cases[i].public);
        } else {
            assert_int_equal(inet_pton(AF_INET6, cases[i].text,
                                       &v6.sin6_addr), 1);
            assert_int_equal(push_address_public((struct sockaddr *) &v6),
                             cases[i].public);
        }
    }

    v4.sin_family = AF_UNIX;
    assert_false(push_address_public((struct sockaddr *) &v4));
}


/* HMAC as computed by another program (openssl dgst -sha256 -hmac). */
static void
signatures(void **state)
{
    char  out[PUSH_SIGNATURE_SIZE];

    (void) state;

    assert_int_equal(push_webhook_sign("sixteen-letters!", 1700000000,
                                       "{\"a\":1}", 7, out), 0);
    assert_string_equal(out, "t=1700000000,v1="
                        "d8d2fb79298a27920a90659fac94d80a"
                        "2bda255b34018fa8dbfd795ba110542e");
}


static void
accounts(void **state)
{
    char            path[] = "/tmp/wrt-account-XXXXXX", err[PUSH_ERROR_SIZE];
    int             fd;
    size_t          i;
    push_account_t  a;

    static const struct {
        const char  *text;
        const char  *says;
    } bad[] = {
        { "", "line" },
        { "[]", "another value" },
        { "{\n\"project_id\":\n}", "line 3" },
        { "{}", "\"project_id\"" },
        { "{\"project_id\":\"a/../b\"}", "\"project_id\"" },
        { "{\"project_id\":\"p\"}", "\"client_email\"" },
        { "{\"project_id\":\"p\",\"client_email\":\"e\"}",
          "\"private_key\"" },
        { "{\"project_id\":\"p\",\"client_email\":\"e\","
          "\"private_key\":\"-----BEGIN PRIVATE KEY-----\\nMIIEv\"}",
          "\"private_key\"" },
    };

    (void) state;

    assert_int_equal(push_account_read(&a, "/nowhere/x", err, sizeof(err)),
                     -1);
    assert_non_null(strstr(err, "/nowhere/x cannot be read"));

    fd = mkstemp(path);
    assert_true(fd >= 0);

    for (i = 0; i < UNIT_COUNT(bad); i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bad[i].text, strlen(bad[i].text), 0),
                         (ssize_t) strlen(bad[i].text));
        assert_int_equal(push_account_read(&a, path, err, sizeof(err)), -1);
        assert_non_null(strstr(err, path));
        assert_non_null(strstr(err, bad[i].says));
        assert_null(a.project);
    }

    close(fd);
    unlink(path);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(clocks),
        cmocka_unit_test(zones),
        cmocka_unit_test(quiet_hours),
        cmocka_unit_test(texts),
        cmocka_unit_test(addresses),
        cmocka_unit_test(signatures),
        cmocka_unit_test(accounts)
    };

    return cmocka_run_group_tests_name("push_text", tests, NULL, NULL);
}
