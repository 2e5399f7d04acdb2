/*
 * wrt_names.c: the names of docs/redis.md, built and read.
 *
 * The tag {k} makes all keys of one shard fall into one slot of a Redis
 * Cluster, so a function may touch them together there too.
 *
 * Ids come here checked (wrt_id_valid).  Should one be longer than allowed
 * all the same, the name is "" (length 0): never one that was cut, which
 * could be somebody else's.
 */

#include <string.h>

#include "common/wrt_id.h"
#include "common/wrt_names.h"

#define WRT_NUMBER_LEN  10      /* digits of an unsigned */

/* A name under way; p becomes NULL when a part is too long. */
typedef struct {
    char  *p;
    char  *start;
} wrt_name_t;


/* Polynomial 0x1021, most significant bit first. */
static const uint16_t  wrt_crc16_table[256] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
    0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF,
    0x1231, 0x0210, 0x3273, 0x2252, 0x52B5, 0x4294, 0x72F7, 0x62D6,
    0x9339, 0x8318, 0xB37B, 0xA35A, 0xD3BD, 0xC39C, 0xF3FF, 0xE3DE,
    0x2462, 0x3443, 0x0420, 0x1401, 0x64E6, 0x74C7, 0x44A4, 0x5485,
    0xA56A, 0xB54B, 0x8528, 0x9509, 0xE5EE, 0xF5CF, 0xC5AC, 0xD58D,
    0x3653, 0x2672, 0x1611, 0x0630, 0x76D7, 0x66F6, 0x5695, 0x46B4,
    0xB75B, 0xA77A, 0x9719, 0x8738, 0xF7DF, 0xE7FE, 0xD79D, 0xC7BC,
    0x48C4, 0x58E5, 0x6886, 0x78A7, 0x0840, 0x1861, 0x2802, 0x3823,
    0xC9CC, 0xD9ED, 0xE98E, 0xF9AF, 0x8948, 0x9969, 0xA90A, 0xB92B,
    0x5AF5, 0x4AD4, 0x7AB7, 0x6A96, 0x1A71, 0x0A50, 0x3A33, 0x2A12,
    0xDBFD, 0xCBDC, 0xFBBF, 0xEB9E, 0x9B79, 0x8B58, 0xBB3B, 0xAB1A,
    0x6CA6, 0x7C87, 0x4CE4, 0x5CC5, 0x2C22, 0x3C03, 0x0C60, 0x1C41,
    0xEDAE, 0xFD8F, 0xCDEC, 0xDDCD, 0xAD2A, 0xBD0B, 0x8D68, 0x9D49,
    0x7E97, 0x6EB6, 0x5ED5, 0x4EF4, 0x3E13, 0x2E32, 0x1E51, 0x0E70,
    0xFF9F, 0xEFBE, 0xDFDD, 0xCFFC, 0xBF1B, 0xAF3A, 0x9F59, 0x8F78,
    0x9188, 0x81A9, 0xB1CA, 0xA1EB, 0xD10C, 0xC12D, 0xF14E, 0xE16F,
    0x1080, 0x00A1, 0x30C2, 0x20E3, 0x5004, 0x4025, 0x7046, 0x6067,
    0x83B9, 0x9398, 0xA3FB, 0xB3DA, 0xC33D, 0xD31C, 0xE37F, 0xF35E,
    0x02B1, 0x1290, 0x22F3, 0x32D2, 0x4235, 0x5214, 0x6277, 0x7256,
    0xB5EA, 0xA5CB, 0x95A8, 0x8589, 0xF56E, 0xE54F, 0xD52C, 0xC50D,
    0x34E2, 0x24C3, 0x14A0, 0x0481, 0x7466, 0x6447, 0x5424, 0x4405,
    0xA7DB, 0xB7FA, 0x8799, 0x97B8, 0xE75F, 0xF77E, 0xC71D, 0xD73C,
    0x26D3, 0x36F2, 0x0691, 0x16B0, 0x6657, 0x7676, 0x4615, 0x5634,
    0xD94C, 0xC96D, 0xF90E, 0xE92F, 0x99C8, 0x89E9, 0xB98A, 0xA9AB,
    0x5844, 0x4865, 0x7806, 0x6827, 0x18C0, 0x08E1, 0x3882, 0x28A3,
    0xCB7D, 0xDB5C, 0xEB3F, 0xFB1E, 0x8BF9, 0x9BD8, 0xABBB, 0xBB9A,
    0x4A75, 0x5A54, 0x6A37, 0x7A16, 0x0AF1, 0x1AD0, 0x2AB3, 0x3A92,
    0xFD2E, 0xED0F, 0xDD6C, 0xCD4D, 0xBDAA, 0xAD8B, 0x9DE8, 0x8DC9,
    0x7C26, 0x6C07, 0x5C64, 0x4C45, 0x3CA2, 0x2C83, 0x1CE0, 0x0CC1,
    0xEF1F, 0xFF3E, 0xCF5D, 0xDF7C, 0xAF9B, 0xBFBA, 0x8FD9, 0x9FF8,
    0x6E17, 0x7E36, 0x4E55, 0x5E74, 0x2E93, 0x3EB2, 0x0ED1, 0x1EF0
};


uint16_t
wrt_crc16(const void *p, size_t n)
{
    size_t          i;
    uint16_t        crc;
    const uint8_t  *b;

    b = p;
    crc = 0;

    for (i = 0; i < n; i++) {
        crc = (uint16_t) (crc << 8)
              ^ wrt_crc16_table[(crc >> 8 ^ b[i]) & 0xFF];
    }

    return crc;
}


unsigned
wrt_shard(const wrt_names_t *nm, const char *id, size_t n)
{
    return wrt_crc16(id, n) % nm->shards;
}


static void
wrt_name_text(wrt_name_t *nm, const char *p, size_t n, size_t max)
{
    if (nm->p == NULL || n > max) {
        nm->p = NULL;
        return;
    }

    if (n > 0) {
        memcpy(nm->p, p, n);
        nm->p += n;
    }
}


static void
wrt_name_literal(wrt_name_t *nm, const char *s)
{
    wrt_name_text(nm, s, strlen(s), WRT_NAME_BUF);
}


static void
wrt_name_number(wrt_name_t *nm, unsigned v)
{
    char  digits[WRT_NUMBER_LEN], *p;

    p = digits + sizeof(digits);

    do {
        *--p = (char) ('0' + v % 10);
        v /= 10;
    } while (v > 0);

    wrt_name_text(nm, p, (size_t) (digits + sizeof(digits) - p),
                  WRT_NUMBER_LEN);
}


/* "wrt", and in a channel the database unless it is 0. */
static wrt_name_t
wrt_name_start(char *out, unsigned db)
{
    wrt_name_t  nm;

    nm.start = out;
    nm.p = out;
    wrt_name_literal(&nm, "wrt");

    if (db > 0) {
        wrt_name_literal(&nm, "@");
        wrt_name_number(&nm, db);
    }

    return nm;
}


static size_t
wrt_name_end(wrt_name_t *nm)
{
    if (nm->p == NULL) {
        nm->start[0] = '\0';
        return 0;
    }

    *nm->p = '\0';

    return (size_t) (nm->p - nm->start);
}


/* wrt:{k}<what><id> */
static size_t
wrt_name_shard(char *out, unsigned db, unsigned k, const char *what,
    const char *id, size_t n)
{
    wrt_name_t  nm;

    nm = wrt_name_start(out, db);
    wrt_name_literal(&nm, ":{");
    wrt_name_number(&nm, k);
    wrt_name_literal(&nm, what);
    wrt_name_text(&nm, id, n, WRT_ID_MAX);

    return wrt_name_end(&nm);
}


size_t
wrt_key_conv(char *out, unsigned k, const char *id, size_t n)
{
    return wrt_name_shard(out, 0, k, "}:conv:", id, n);
}


size_t
wrt_key_log(char *out, unsigned k, const char *id, size_t n)
{
    return wrt_name_shard(out, 0, k, "}:log:", id, n);
}


size_t
wrt_key_once(char *out, unsigned k, const char *id, size_t n, const char *uid,
    size_t un, const char *cmid, size_t cn)
{
    wrt_name_t  nm;

    nm = wrt_name_start(out, 0);
    wrt_name_literal(&nm, ":{");
    wrt_name_number(&nm, k);
    wrt_name_literal(&nm, "}:once:");
    wrt_name_text(&nm, id, n, WRT_ID_MAX);
    wrt_name_literal(&nm, ":");
    wrt_name_text(&nm, uid, un, WRT_ID_MAX);
    wrt_name_literal(&nm, ":");
    wrt_name_text(&nm, cmid, cn, WRT_CLIENT_MSG_ID_MAX);

    return wrt_name_end(&nm);
}


/* Of a message's last change, while a decision about it may be under way. */
size_t
wrt_key_version(char *out, unsigned k, const char *id, size_t n,
    const char *mid, size_t mn)
{
    wrt_name_t  nm;

    nm = wrt_name_start(out, 0);
    wrt_name_literal(&nm, ":{");
    wrt_name_number(&nm, k);
    wrt_name_literal(&nm, "}:version:");
    wrt_name_text(&nm, id, n, WRT_ID_MAX);
    wrt_name_literal(&nm, ":");
    wrt_name_text(&nm, mid, mn, WRT_ID_MAX);

    return wrt_name_end(&nm);
}


size_t
wrt_key_profile(char *out, unsigned k, const char *uid, size_t n)
{
    return wrt_name_shard(out, 0, k, "}:prof:", uid, n);
}


size_t
wrt_key_ingest(char *out, unsigned k)
{
    return wrt_name_shard(out, 0, k, "}:ingest", NULL, 0);
}


size_t
wrt_key_ingest_dead(char *out, unsigned k)
{
    return wrt_name_shard(out, 0, k, "}:ingest:dead", NULL, 0);
}


size_t
wrt_key_awake(char *out, unsigned k)
{
    return wrt_name_shard(out, 0, k, "}:awake", NULL, 0);
}


size_t
wrt_key_lease(char *out, unsigned k)
{
    return wrt_name_shard(out, 0, k, "}:lease", NULL, 0);
}


/* wrt:u:<uid><what> */
static size_t
wrt_name_user(char *out, const char *uid, size_t n, const char *what)
{
    wrt_name_t  nm;

    nm = wrt_name_start(out, 0);
    wrt_name_literal(&nm, ":u:");
    wrt_name_text(&nm, uid, n, WRT_ID_MAX);
    wrt_name_literal(&nm, what);

    return wrt_name_end(&nm);
}


size_t
wrt_key_user_convs(char *out, const char *uid, size_t n)
{
    return wrt_name_user(out, uid, n, ":convs");
}


size_t
wrt_key_user_conns(char *out, const char *uid, size_t n)
{
    return wrt_name_user(out, uid, n, ":conns");
}


size_t
wrt_key_user_presence(char *out, const char *uid, size_t n)
{
    return wrt_name_user(out, uid, n, ":presence");
}


size_t
wrt_key_user_pushed(char *out, const char *uid, size_t n)
{
    return wrt_name_user(out, uid, n, ":pushed");
}


/* wrt<what><id><tail> */
static size_t
wrt_name_plain(char *out, const char *what, const char *id, size_t n,
    const char *tail)
{
    wrt_name_t  nm;

    nm = wrt_name_start(out, 0);
    wrt_name_literal(&nm, what);
    wrt_name_text(&nm, id, n, WRT_ID_MAX);
    wrt_name_literal(&nm, tail);

    return wrt_name_end(&nm);
}


size_t
wrt_key_files(char *out, const char *spool, size_t n)
{
    return wrt_name_plain(out, ":files:", spool, n, "");
}


size_t
wrt_key_files_dead(char *out, const char *spool, size_t n)
{
    return wrt_name_plain(out, ":files:", spool, n, ":dead");
}


size_t
wrt_key_upload(char *out, const char *id, size_t n)
{
    return wrt_name_plain(out, ":upload:", id, n, "");
}


size_t
wrt_key_blob(char *out, const char *hash, size_t n)
{
    return wrt_name_plain(out, ":blob:", hash, n, "");
}


size_t
wrt_chan_room(char *out, const wrt_names_t *nm, unsigned k, const char *id,
    size_t n)
{
    return wrt_name_shard(out, nm->db, k, "}:room:", id, n);
}


size_t
wrt_chan_user(char *out, const wrt_names_t *nm, const char *uid, size_t n)
{
    wrt_name_t  name;

    name = wrt_name_start(out, nm->db);
    wrt_name_literal(&name, ":u:");
    wrt_name_text(&name, uid, n, WRT_ID_MAX);

    return wrt_name_end(&name);
}


size_t
wrt_chan_reply(char *out, const wrt_names_t *nm, const char *worker, size_t n)
{
    wrt_name_t  name;

    name = wrt_name_start(out, nm->db);
    wrt_name_literal(&name, ":reply:");
    wrt_name_text(&name, worker, n, WRT_ID_MAX);

    return wrt_name_end(&name);
}


size_t
wrt_chan_applied(char *out, const wrt_names_t *nm, unsigned k)
{
    return wrt_name_shard(out, nm->db, k, "}:applied", NULL, 0);
}


size_t
wrt_chan_presence(char *out, const wrt_names_t *nm)
{
    wrt_name_t  name;

    name = wrt_name_start(out, nm->db);
    wrt_name_literal(&name, ":presence");

    return wrt_name_end(&name);
}


/* Take a literal from the front of *p.  1 or 0. */
static int
wrt_name_skip(const char **p, const char *end, const char *s)
{
    size_t  n;

    n = strlen(s);

    if ((size_t) (end - *p) < n || memcmp(*p, s, n) != 0) {
        return 0;
    }

    *p += n;

    return 1;
}


/* Take the number of a shard, as we write it, from the front of *p. */
static int
wrt_name_skip_shard(const char **p, const char *end, unsigned shards)
{
    unsigned     k;
    const char  *start;

    start = *p;

    for (k = 0; *p < end && **p >= '0' && **p <= '9' && k < shards; (*p)++) {
        k = k * 10 + (unsigned) (**p - '0');
    }

    return *p > start && k < shards && (*start != '0' || *p - start == 1);
}


/* An nginx worker's name: host and more, made by ourselves. */
static int
wrt_name_worker_valid(const char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (p[i] <= ' ' || p[i] > '~') {
            return 0;
        }
    }

    return n > 0 && n <= WRT_ID_MAX;
}


int
wrt_chan_parse(const wrt_names_t *nm, const char *p, size_t len,
    const char **id, size_t *n)
{
    char         prefix[sizeof("wrt@:") + WRT_NUMBER_LEN];
    const char  *end, *shard;
    wrt_name_t   want;

    if (len == 0) {
        return 0;
    }

    end = p + len;

    want = wrt_name_start(prefix, nm->db);
    wrt_name_literal(&want, ":");
    wrt_name_end(&want);

    if (!wrt_name_skip(&p, end, prefix)) {
        return 0;
    }

    if (wrt_name_skip(&p, end, "{")) {
        shard = p;

        if (!wrt_name_skip_shard(&p, end, nm->shards)) {
            return 0;
        }

        *id = shard;
        *n = (size_t) (p - shard);

        if (wrt_name_skip(&p, end, "}:applied")) {
            return p == end ? 'a' : 0;
        }

        if (!wrt_name_skip(&p, end, "}:room:")) {
            return 0;
        }

        *id = p;
        *n = (size_t) (end - p);

        return wrt_id_valid(*id, *n) ? 'r' : 0;
    }

    if (wrt_name_skip(&p, end, "u:")) {
        *id = p;
        *n = (size_t) (end - p);

        return wrt_id_valid(*id, *n) ? 'u' : 0;
    }

    if (wrt_name_skip(&p, end, "reply:")) {
        *id = p;
        *n = (size_t) (end - p);

        return wrt_name_worker_valid(*id, *n) ? 'w' : 0;
    }

    if (wrt_name_skip(&p, end, "presence")) {
        *id = p;
        *n = 0;

        return p == end ? 'p' : 0;
    }

    return 0;
}
