/*
 * file_link.c: see file_link.h.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "common/wrt_id.h"
#include "worker/files/file_link.h"

#define LINK_KEY_BYTES   (FILE_LINK_KEY / 2)
#define LINK_DIGITS_MAX  12         /* of the seconds */


static int
link_unhex(const char *s, unsigned char out[LINK_KEY_BYTES])
{
    unsigned  i, byte;

    if (strlen(s) != FILE_LINK_KEY
        || strspn(s, "0123456789abcdef") != FILE_LINK_KEY)
    {
        return -1;
    }

    for (i = 0; i < LINK_KEY_BYTES; i++) {
        sscanf(s + 2 * i, "%2x", &byte);
        out[i] = (unsigned char) byte;
    }

    return 0;
}


int
file_link_key(char hex[FILE_LINK_KEY + 1])
{
    unsigned char  raw[LINK_KEY_BYTES];

    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        return -1;
    }

    wrt_hex(raw, sizeof(raw), hex);
    OPENSSL_cleanse(raw, sizeof(raw));

    return 0;
}


static int
link_sign(const char *key, const char *file, const char *user,
    const char *expires, int staff, char out[FILE_LINK_SIGN + 1])
{
    int             ok;
    char            text[2 * WRT_ID_MAX + LINK_DIGITS_MAX + 16];
    unsigned        n;
    unsigned char   raw[LINK_KEY_BYTES], md[EVP_MAX_MD_SIZE];

    if (link_unhex(key, raw) != 0) {
        return -1;
    }

    snprintf(text, sizeof(text), "%s\n%s\n%s%s", file, user, expires,
             staff ? "\nstaff" : "");

    ok = HMAC(EVP_sha256(), raw, sizeof(raw), (unsigned char *) text,
              strlen(text), md, &n) != NULL;
    OPENSSL_cleanse(raw, sizeof(raw));

    if (!ok || n != FILE_LINK_SIGN / 2) {
        return -1;
    }

    wrt_hex(md, n, out);

    return 0;
}


int
file_link_make(const char *key, const char *file, const char *user,
    int64_t expires, int staff, char out[FILE_LINK_SIZE])
{
    char  seconds[24], sign[FILE_LINK_SIGN + 1];

    snprintf(seconds, sizeof(seconds), "%" PRId64, expires);

    if (strlen(seconds) > LINK_DIGITS_MAX
        || link_sign(key, file, user, seconds, staff, sign) != 0)
    {
        return -1;
    }

    snprintf(out, FILE_LINK_SIZE, "u=%s&e=%s&s=%s", user, seconds, sign);

    return 0;
}


file_link_rc_t
file_link_check(const char *key, const char *file, const char *user,
    const char *expires, const char *sign, int64_t now)
{
    int     staff, good[2];
    char    want[FILE_LINK_SIGN + 1];
    size_t  n;

    if (user == NULL || expires == NULL || sign == NULL
        || !wrt_id_valid(file, strlen(file))
        || !wrt_id_valid(user, strlen(user))
        || strlen(sign) != FILE_LINK_SIGN)
    {
        return FILE_LINK_BAD;
    }

    n = strlen(expires);

    if (n == 0 || n > LINK_DIGITS_MAX
        || strspn(expires, "0123456789") != n)
    {
        return FILE_LINK_BAD;
    }

    /* how much of a guess was right must not show in the time it takes */

    for (staff = 0; staff < 2; staff++) {
        if (link_sign(key, file, user, expires, staff, want) != 0) {
            return FILE_LINK_BAD;
        }

        good[staff] = CRYPTO_memcmp(want, sign, FILE_LINK_SIGN) == 0;
    }

    if (!(good[0] | good[1]) || strtoll(expires, NULL, 10) <= now) {
        return FILE_LINK_BAD;
    }

    return good[1] ? FILE_LINK_STAFF : FILE_LINK_USER;
}
