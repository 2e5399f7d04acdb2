/*
 * fuzz_text.c: any text through the small readers: ids, times, UTF-8, the
 * escape of JSON strings, Redis URLs.
 *
 * What holds:
 *   - a time that is read and lies in the years we write comes out as a text
 *     that is read as the same time;
 *   - UTF-8 is judged alike whole and in two pieces, and cut text is valid;
 *   - an escaped string has no control character and no bare quote, and is
 *     not longer than promised;
 *   - a URL either fills host and numbers within their bounds or is refused
 *     with a text.
 */

#include "tests/fuzz/fuzz.h"

#include "common/wrt_envelope.h"
#include "common/wrt_id.h"
#include "common/wrt_url.h"
#include "common/wrt_utf8.h"


static void
check_time(const char *p, size_t n)
{
    char     out[WRT_TIME_LEN + 1];
    int64_t  ms, again;

    if (wrt_time_parse(p, n, &ms) != 0) {
        return;
    }

    wrt_time_format(ms, out);
    FUZZ_CHECK(strlen(out) == WRT_TIME_LEN);
    FUZZ_CHECK(wrt_time_parse(out, WRT_TIME_LEN, &again) == 0);
    FUZZ_CHECK(again == ms || ms < 0 || ms > 253402300799999);
}


static void
check_utf8(const uint8_t *p, size_t n)
{
    int         whole, rc;
    size_t      cut;
    wrt_utf8_t  u;

    whole = wrt_utf8_valid(p, n);
    cut = n ? p[0] % n : 0;

    u.state = 0;
    rc = wrt_utf8_feed(&u, p, cut);
    rc = rc ? rc : wrt_utf8_feed(&u, p + cut, n - cut);
    FUZZ_CHECK(whole == (rc == 0 && wrt_utf8_done(&u)));

    if (whole) {
        FUZZ_CHECK(wrt_utf8_cut(p, n, n) == n);
        rc = (int) cut;
        cut = wrt_utf8_cut(p, n, cut);
        FUZZ_CHECK(cut <= (size_t) rc && (size_t) rc - cut < 4);
        FUZZ_CHECK(wrt_utf8_valid(p, cut));
    }
}


static void
check_escape(const char *p, size_t n)
{
    char    *out;
    size_t   len, i;

    out = malloc(6 * n + 1);
    FUZZ_CHECK(out != NULL);
    len = wrt_json_escape(out, p, n);
    FUZZ_CHECK(len >= n && len <= 6 * n);

    for (i = 0; i < len; i++) {
        FUZZ_CHECK((unsigned char) out[i] >= ' ' && out[i] != '"');

        if (out[i] == '\\') {
            i++;
            FUZZ_CHECK(i < len && strchr("nrtbfu\"\\", out[i]) != NULL);
        }
    }

    free(out);
}


static void
check_url(const char *p, size_t n)
{
    const char       *err;
    wrt_redis_url_t   u;

    err = wrt_redis_url_parse(&u, p, n);

    if (err) {
        FUZZ_CHECK(*err != '\0');
        return;
    }

    FUZZ_CHECK(u.host[0] != '\0');
    FUZZ_CHECK(memchr(u.host, '\0', sizeof(u.host)) != NULL);
    FUZZ_CHECK(memchr(u.user, '\0', sizeof(u.user)) != NULL);
    FUZZ_CHECK(memchr(u.password, '\0', sizeof(u.password)) != NULL);
    FUZZ_CHECK(u.port <= 65535 && u.db <= 65535);
    FUZZ_CHECK((u.port == 0) == (p[0] == 'u'));
    FUZZ_CHECK(u.port != 0 || u.host[0] == '/');
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    size_t       i;
    const char  *s;

    s = (const char *) p;

    if (wrt_id_valid(s, n)) {
        FUZZ_CHECK(n >= 1 && n <= WRT_ID_MAX);

        for (i = 0; i < n; i++) {
            FUZZ_CHECK(s[i] > ' ' && s[i] != ':' && s[i] != '{');
        }
    }

    check_time(s, n);
    check_utf8(p, n);
    check_escape(s, n);
    check_url(s, n);

    return 0;
}
