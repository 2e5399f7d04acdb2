/*
 * fuzz_bus.c: any bytes from Redis through the readers of bus headers and
 * channel names.
 *
 * The first byte chooses shards and database for the channel names.  What
 * holds:
 *   - slices lie inside the message, in order, 1 to 64 bytes long;
 *   - numbers are the text of their field;
 *   - a header that is accepted, written anew, gives the same bytes, and so
 *     does a channel name.
 */

#include "tests/fuzz/fuzz.h"

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "common/wrt_names.h"


static void
check_header(const char *p, size_t n)
{
    int               i;
    char              number[32];
    size_t            len, at;
    const char       *field;
    wrt_bus_header_t  h;

    if (wrt_bus_parse(&h, p, n) != 0) {
        return;
    }

    FUZZ_CHECK(h.kind == p[0] && p[1] == ' ');
    at = 2;

    for (i = 0; i < 3; i++) {
        /* "-" is shown as an empty slice, at its place */
        field = p + at;
        FUZZ_CHECK(h.f[i].p == field);
        len = h.f[i].n ? h.f[i].n : 1;
        FUZZ_CHECK(len <= 64 && at + len < n);
        FUZZ_CHECK(h.f[i].n > 0 || *field == '-');
        FUZZ_CHECK(memchr(field, ' ', len) == NULL);
        FUZZ_CHECK(memchr(field, '\n', len) == NULL);
        FUZZ_CHECK(field[len] == (i == 2 ? '\n' : ' '));

        if (h.num[i] >= 0) {
            FUZZ_CHECK(h.num[i] <= INT64_C(1) << 53);
            FUZZ_CHECK((size_t) snprintf(number, sizeof(number), "%lld",
                                         (long long) h.num[i]) == len);
            FUZZ_CHECK(memcmp(number, field, len) == 0);

        } else {
            FUZZ_CHECK(h.num[i] == -1);
        }

        at += len + 1;
    }

    FUZZ_CHECK(h.body.p == p + at && h.body.n == n - at);
}


static void
check_channel(const wrt_names_t *nm, const char *p, size_t n)
{
    int          kind;
    char         out[WRT_NAME_BUF];
    size_t       id_n, len;
    unsigned     k;
    const char  *id, *brace;

    kind = wrt_chan_parse(nm, p, n, &id, &id_n);

    if (kind == 0) {
        return;
    }

    FUZZ_CHECK(id >= p && id_n <= 64 && id + id_n <= p + n);
    FUZZ_CHECK(kind == 'p' ? id_n == 0 : id_n >= 1);

    k = 0;

    if (kind == 'r' || kind == 'a') {
        brace = memchr(p, '{', n);
        FUZZ_CHECK(brace != NULL && memchr(brace, '}', n - (brace - p)));
        k = (unsigned) strtoul(brace + 1, NULL, 10);
        FUZZ_CHECK(k < nm->shards);
    }

    switch (kind) {

    case 'r':
        FUZZ_CHECK(wrt_id_valid(id, id_n));
        len = wrt_chan_room(out, nm, k, id, id_n);
        break;

    case 'u':
        FUZZ_CHECK(wrt_id_valid(id, id_n));
        len = wrt_chan_user(out, nm, id, id_n);
        break;

    case 'w':
        len = wrt_chan_reply(out, nm, id, id_n);
        break;

    case 'p':
        len = wrt_chan_presence(out, nm);
        break;

    default:
        FUZZ_CHECK(kind == 'a');
        len = wrt_chan_applied(out, nm, k);
        break;
    }

    FUZZ_CHECK(len == n && memcmp(out, p, n) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char         *text;
    wrt_names_t   nm;

    if (n < 1) {
        return 0;
    }

    nm.shards = 1u + (p[0] >> 2) * 16u;
    nm.db = p[0] & 3;

    /* no NUL behind it, as in hiredis' replies there is one by luck */
    text = malloc(n - 1 ? n - 1 : 1);
    FUZZ_CHECK(text != NULL);
    memcpy(text, p + 1, n - 1);

    check_header(text, n - 1);
    check_channel(&nm, text, n - 1);
    free(text);

    return 0;
}
