/*
 * test_names.c: the names of Redis keys and channels.
 *
 * Module and worker meet only in these names.  Without this a changed letter
 * would pass every test of either side and lose every message between them,
 * an id cut to fit could read another user's room list, and keys of one
 * function call could fall into different slots of a Redis Cluster.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/wrt_names.h"

#define SLOTS  16384


/* CRC16 as in the specification of Redis Cluster, bit by bit. */
static uint16_t
crc16_bits(const char *p, size_t n)
{
    int       bit;
    uint16_t  crc;

    for (crc = 0; n > 0; n--) {
        crc ^= (uint16_t) ((uint8_t) *p++ << 8);

        for (bit = 0; bit < 8; bit++) {
            crc = (uint16_t) (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
        }
    }

    return crc;
}


/* The slot of a key: of what stands in its first {...}, if that is not
 * empty. */
static unsigned
slot(const char *key)
{
    const char  *open, *close;

    open = strchr(key, '{');
    close = open ? strchr(open + 1, '}') : NULL;

    if (close && close > open + 1) {
        return crc16_bits(open + 1, (size_t) (close - open - 1)) % SLOTS;
    }

    return crc16_bits(key, strlen(key)) % SLOTS;
}


static void
crc(void **state)
{
    int       i;
    char      buf[64];
    size_t    j, n;
    uint64_t  seed;

    (void) state;

    assert_int_equal(wrt_crc16("123456789", 9), 0x31C3);
    assert_int_equal(wrt_crc16(NULL, 0), 0);

    /* as CLUSTER KEYSLOT answers */
    assert_int_equal(wrt_crc16("foo", 3) % SLOTS, 12182);
    assert_int_equal(wrt_crc16("bar", 3) % SLOTS, 5061);
    assert_int_equal(wrt_crc16("somekey", 7) % SLOTS, 11058);
    assert_int_equal(slot("foo{hash_tag}"), 2515);

    seed = unit_seed();

    for (i = 0; i < 20000; i++) {
        n = unit_below(&seed, sizeof(buf) + 1);

        for (j = 0; j < n; j++) {
            buf[j] = (char) unit_random(&seed);
        }

        assert_int_equal(wrt_crc16(unit_edge(buf, n), n), crc16_bits(buf, n));
    }
}


static void
shards(void **state)
{
    char         id[32];
    unsigned     i, k, seen[16] = { 0 };
    wrt_names_t  nm = { 16, 0 };

    (void) state;

    for (i = 0; i < 16000; i++) {
        snprintf(id, sizeof(id), "conversation-%u", i);
        k = wrt_shard(&nm, id, strlen(id));
        assert_int_equal(k, crc16_bits(id, strlen(id)) % 16);
        seen[k]++;
    }

    /* rooms spread over all shards */
    for (k = 0; k < 16; k++) {
        assert_in_range(seen[k], 800, 1200);
    }

    nm.shards = 1;
    assert_int_equal(wrt_shard(&nm, "foo", 3), 0);

    /* with as many shards as slots both hash alike */
    nm.shards = SLOTS;
    assert_int_equal(wrt_shard(&nm, "foo", 3), slot("foo"));
}


/* What a function touches together: one slot, that of the shard's number. */
static void
one_slot_per_shard(void **state)
{
    char         out[WRT_NAME_BUF], number[8];
    unsigned     k, want;
    wrt_names_t  nm = { WRT_SHARDS_MAX, 0 };

    (void) state;

    for (k = 0; k < WRT_SHARDS_MAX; k++) {
        snprintf(number, sizeof(number), "%u", k);
        want = crc16_bits(number, strlen(number)) % SLOTS;

        wrt_key_conv(out, k, "a", 1);
        assert_int_equal(slot(out), want);
        wrt_key_log(out, k, "b", 1);
        assert_int_equal(slot(out), want);
        wrt_key_once(out, k, "c", 1, "u", 1, "{}", 2);
        assert_int_equal(slot(out), want);
        wrt_key_profile(out, k, "d", 1);
        assert_int_equal(slot(out), want);
        wrt_key_ingest(out, k);
        assert_int_equal(slot(out), want);
        wrt_key_ingest_dead(out, k);
        wrt_key_awake(out, k);
        assert_int_equal(slot(out), want);
        wrt_key_lease(out, k);
        assert_int_equal(slot(out), want);
        wrt_chan_room(out, &nm, k, "e", 1);
        assert_int_equal(slot(out), want);
        wrt_chan_applied(out, &nm, k);
        assert_int_equal(slot(out), want);
    }
}


/* The table of docs/redis.md. */
static void
names(void **state)
{
    char         out[WRT_NAME_BUF];
    wrt_names_t  nm0 = { 16, 0 }, nm3 = { 16, 3 };

    (void) state;

#define NAME(call, want)                                                      \
    assert_int_equal(call, strlen(want));                                     \
    assert_string_equal(out, want)

    NAME(wrt_key_conv(out, 7, "room_1", 6), "wrt:{7}:conv:room_1");
    NAME(wrt_key_log(out, 0, "r", 1), "wrt:{0}:log:r");
    NAME(wrt_key_once(out, 15, "r", 1, "u1", 2, "c:1", 3),
         "wrt:{15}:once:r:u1:c:1");
    NAME(wrt_key_profile(out, 3, "u1", 2), "wrt:{3}:prof:u1");
    NAME(wrt_key_ingest(out, 10), "wrt:{10}:ingest");
    NAME(wrt_key_ingest_dead(out, 1023), "wrt:{1023}:ingest:dead");
    NAME(wrt_key_awake(out, 10), "wrt:{10}:awake");
    NAME(wrt_key_lease(out, 2), "wrt:{2}:lease");
    NAME(wrt_key_user_convs(out, "u1", 2), "wrt:u:u1:convs");
    NAME(wrt_key_user_conns(out, "u1", 2), "wrt:u:u1:conns");
    NAME(wrt_key_user_presence(out, "u1", 2), "wrt:u:u1:presence");
    NAME(wrt_key_user_pushed(out, "u1", 2), "wrt:u:u1:pushed");
    NAME(wrt_key_version(out, 9, "r", 1, "m1", 2), "wrt:{9}:version:r:m1");
    NAME(wrt_key_files(out, "5f0a", 4), "wrt:files:5f0a");
    NAME(wrt_key_files_dead(out, "5f0a", 4), "wrt:files:5f0a:dead");
    NAME(wrt_key_upload(out, "a1", 2), "wrt:upload:a1");
    NAME(wrt_key_blob(out, "9c", 2), "wrt:blob:9c");

    NAME(wrt_chan_room(out, &nm0, 7, "room_1", 6), "wrt:{7}:room:room_1");
    NAME(wrt_chan_user(out, &nm0, "u1", 2), "wrt:u:u1");
    NAME(wrt_chan_reply(out, &nm0, "host-1", 6), "wrt:reply:host-1");
    NAME(wrt_chan_applied(out, &nm0, 7), "wrt:{7}:applied");
    NAME(wrt_chan_presence(out, &nm0), "wrt:presence");

    NAME(wrt_chan_room(out, &nm3, 7, "room_1", 6), "wrt@3:{7}:room:room_1");
    NAME(wrt_chan_user(out, &nm3, "u1", 2), "wrt@3:u:u1");
    NAME(wrt_chan_reply(out, &nm3, "host-1", 6), "wrt@3:reply:host-1");
    NAME(wrt_chan_applied(out, &nm3, 7), "wrt@3:{7}:applied");
    NAME(wrt_chan_presence(out, &nm3), "wrt@3:presence");
}


static void
longest_names_fit(void **state)
{
    char         id[WRT_ID_MAX + 1], cmid[WRT_CLIENT_MSG_ID_MAX + 1];
    char         room[WRT_NAME_BUF], *out;
    wrt_names_t  nm = { WRT_SHARDS_MAX, UINT32_MAX };

    (void) state;

    memset(id, 'i', sizeof(id));
    memset(cmid, 'c', sizeof(cmid));
    memset(room, 0, sizeof(room));

    /* nothing is written behind WRT_NAME_BUF bytes */
    out = unit_edge(room, WRT_NAME_BUF);

    NAME(wrt_key_once(out, 1023, id, 64, id, 64, cmid, 128),
         "wrt:{1023}:once:"
         "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii:"
         "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii:"
         "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
         "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc");
    NAME(wrt_chan_room(out, &nm, 1023, id, 64),
         "wrt@4294967295:{1023}:room:"
         "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii");

    /* too long: no name at all rather than somebody else's */
    NAME(wrt_key_conv(out, 1, id, 65), "");
    NAME(wrt_key_log(out, 1, id, 65), "");
    NAME(wrt_key_once(out, 1, id, 65, id, 64, cmid, 128), "");
    NAME(wrt_key_once(out, 1, id, 64, id, 65, cmid, 128), "");
    NAME(wrt_key_once(out, 1, id, 64, id, 64, cmid, 129), "");
    NAME(wrt_key_profile(out, 1, id, 65), "");
    NAME(wrt_key_user_convs(out, id, 65), "");
    NAME(wrt_key_user_conns(out, id, 65), "");
    NAME(wrt_key_user_presence(out, id, 65), "");
    NAME(wrt_key_version(out, 1, id, 65, id, 64), "");
    NAME(wrt_key_version(out, 1, id, 64, id, 65), "");
    NAME(wrt_key_files_dead(out, id, 65), "");
    NAME(wrt_key_blob(out, id, 65), "");
    NAME(wrt_chan_room(out, &nm, 1, id, 65), "");
    NAME(wrt_chan_user(out, &nm, id, 65), "");
    NAME(wrt_chan_reply(out, &nm, id, 65), "");
}


static void
check_parse(const wrt_names_t *nm, const char *name, size_t len, int kind,
    const char *want, size_t want_n)
{
    int          got;
    size_t       n;
    const char  *id, *p;

    id = NULL;
    n = 0;
    p = unit_edge(name, len);
    got = wrt_chan_parse(nm, p, len, &id, &n);

    if (got != kind) {
        fail_msg("\"%.*s\": '%c', not '%c'", (int) len, name, got ? got : '0',
                 kind ? kind : '0');
    }

    if (kind) {
        assert_true(id >= p && id + n <= p + len);
        assert_int_equal(n, want_n);
        assert_memory_equal(id, want, n);
    }
}


static void
channels_read_back(void **state)
{
    int          i;
    char         id[WRT_ID_MAX], out[WRT_NAME_BUF], number[8];
    size_t       j, n, len;
    uint64_t     seed;
    unsigned     k;
    wrt_names_t  nm;

    static const char  chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789_-";

    (void) state;

    seed = unit_seed();

    for (i = 0; i < 20000; i++) {
        n = 2 + unit_below(&seed, WRT_ID_MAX - 1);

        for (j = 0; j < n; j++) {
            id[j] = chars[unit_below(&seed, sizeof(chars) - 1)];
        }

        nm.shards = 1 + (unsigned) unit_below(&seed, WRT_SHARDS_MAX);
        nm.db = (unsigned) unit_below(&seed, 2) * (unsigned) unit_below(&seed,
                                                                        16);
        k = wrt_shard(&nm, id, n);
        snprintf(number, sizeof(number), "%u", k);

        len = wrt_chan_room(out, &nm, k, id, n);
        check_parse(&nm, out, len, 'r', id, n);
        len = wrt_chan_user(out, &nm, id, n);
        check_parse(&nm, out, len, 'u', id, n);
        len = wrt_chan_reply(out, &nm, id, n);
        check_parse(&nm, out, len, 'w', id, n);
        len = wrt_chan_presence(out, &nm);
        check_parse(&nm, out, len, 'p', "", 0);
        len = wrt_chan_applied(out, &nm, k);
        check_parse(&nm, out, len, 'a', number, strlen(number));

        /* another database's are not ours */
        nm.db++;
        check_parse(&nm, out, len, 0, NULL, 0);
        nm.db = 0;
        check_parse(&nm, out, len, strncmp(out, "wrt:", 4) == 0 ? 'a' : 0,
                    number, strlen(number));
    }
}


static void
channels_refused(void **state)
{
    size_t       i;
    wrt_names_t  nm = { 16, 0 };

    static const char  *bad[] = {
        "wrt", "wrt:", "wrt:{", "wrt:{}", "wrt:{}:room:a", "wrt:{x}:room:a",
        "wrt:{16}:room:a", "wrt:{01}:room:a", "wrt:{00}:room:a",
        "wrt:{-1}:room:a", "wrt:{99999999999999999999}:room:a",
        "wrt:{4294967296}:room:a", "wrt:{1}room:a", "wrt:{1}:room",
        "wrt:{1}:room:", "wrt:{1}:room:a b", "wrt:{1}:room:a:b",
        "wrt:{1}:room:-", "wrt:{1", "wrt:{1}:applied:", "wrt:{1}:applied1",
        "wrt:{1}:conv:a", "wrt:{1}:ingest", "wrt:u:", "wrt:u", "wrt:u:a:convs",
        "wrt:u:a:conns", "wrt:u:-", "wrt:u:\xC3\xA9", "wrt:reply:",
        "wrt:presence:", "wrt:presence1", "wrt:presenc", "wrt@3:presence",
        "wrt:reply", "wrt:reply:a b", "wrt:reply:a\n",
        "wrt:reply:\xC3\xA9", "wrt:rpc", "wrt@0:u:a", "wrt@3:u:a",
        "wrt@:u:a", "Wrt:u:a", " wrt:u:a", "xwrt:u:a",
        "wrt:x:a", "__keyspace@0__:wrt:u:a",
        "wrt:u:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        NULL
    };

    (void) state;

    check_parse(&nm, "", 0, 0, NULL, 0);

    for (i = 0; bad[i]; i++) {
        check_parse(&nm, bad[i], strlen(bad[i]), 0, NULL, 0);
    }

    check_parse(&nm, "wrt:reply:a\0", 12, 0, NULL, 0);
    check_parse(&nm, "wrt:reply:web-1.example:{7}", 27, 'w',
                "web-1.example:{7}", 17);
    check_parse(&nm, "wrt:{15}:room:a", 15, 'r', "a", 1);
    check_parse(&nm, "wrt:{0}:applied", 15, 'a', "0", 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(crc),
        cmocka_unit_test(shards),
        cmocka_unit_test(one_slot_per_shard),
        cmocka_unit_test(names),
        cmocka_unit_test(longest_names_fit),
        cmocka_unit_test(channels_read_back),
        cmocka_unit_test(channels_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
