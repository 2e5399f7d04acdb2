/*
 * fuzz_transcript.c: any bytes as a transcript.
 *
 * What holds:
 *   - it is intact or has problems, never both, never neither;
 *   - one that is intact is written again as the same bytes, and is still
 *     intact, with the same head, when all content of its first participant
 *     was taken out;
 *   - what can be read can be shown, as valid UTF-8;
 *   - messages are taken out of whatever passes, or it is refused; one that is
 *     intact is so afterwards, with the same head.
 */

#include "tests/fuzz/fuzz.h"

#include "common/wrt_utf8.h"
#include "worker/session/transcript.h"


static int
is_intact(const json_t *report)
{
    return json_is_true(json_object_get(report, "intact"));
}


static void
check_erased(json_t *t)
{
    char           *p;
    size_t          n;
    json_t         *report;
    const char     *head;
    const json_t   *who;

    who = json_object_get(json_array_get(json_object_get(t, "entries"), 1),
                          "content");
    who = json_object_get(who, "userId");

    if (!json_is_string(who)) {
        return;
    }

    p = strdup(json_string_value(who));
    transcript_erase_user(t, p);
    free(p);

    head = json_string_value(json_object_get(t, "head"));
    p = transcript_write(t, &n);
    FUZZ_CHECK(p != NULL);
    report = transcript_verify(p, n, head);
    FUZZ_CHECK(is_intact(report));
    json_decref(report);
    free(p);
}


static int
every(void *data, const char *id, json_int_t seq)
{
    (void) data;
    (void) id;
    (void) seq;

    return 1;
}


typedef struct {
    char    *p;
    size_t   n;
    size_t   max;
} passed_t;


static int
pass(void *data, const char *p, size_t n)
{
    passed_t  *out = data;

    FUZZ_CHECK(n <= out->max - out->n);
    memcpy(out->p + out->n, p, n);
    out->n += n;

    return 0;
}


/* All messages out of it, as it passes. */
static void
check_passed(const char *p, size_t n, int intact, const char *head)
{
    int                   rc;
    size_t                m, erased;
    json_t               *report;
    passed_t              out;
    transcript_eraser_t  *er;

    /* without content and salt it is hardly longer: canonical escapes of what
     * was none, and nulls */
    out.max = 8 * n + 64;
    out.n = 0;
    out.p = malloc(out.max);
    FUZZ_CHECK(out.p != NULL);

    er = transcript_erase_begin(every, NULL, 1, pass, &out);
    m = n / 2;
    rc = transcript_erase_add(er, p, m);
    rc = rc ? rc : transcript_erase_add(er, p + m, n - m);
    rc = transcript_erase_end(er, &erased) == 0 ? rc : -1;

    if (intact) {
        FUZZ_CHECK(rc == 0);
        report = transcript_verify(out.p, out.n, head);
        FUZZ_CHECK(is_intact(report));
        json_decref(report);
    }

    free(out.p);
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char      err[TRANSCRIPT_ERROR_SIZE], *again, *text;
    size_t    m;
    json_t   *report, *t;

    report = transcript_verify((const char *) p, n, NULL);
    FUZZ_CHECK(is_intact(report)
               == (json_array_size(json_object_get(report, "problems"))
                   == 0));

    t = transcript_read((const char *) p, n, err);
    FUZZ_CHECK(t != NULL || !is_intact(report));

    if (t) {
        text = transcript_markdown(t, 420, &m);
        FUZZ_CHECK(text != NULL && wrt_utf8_valid((uint8_t *) text, m));
        free(text);
    }

    if (is_intact(report)) {
        again = transcript_write(t, &m);
        FUZZ_CHECK(again != NULL && m == n && memcmp(again, p, n) == 0);
        free(again);
        check_passed((const char *) p, n, 1,
                     json_string_value(json_object_get(t, "head")));
        check_erased(t);

    } else {
        check_passed((const char *) p, n, 0, NULL);
    }

    json_decref(t);
    json_decref(report);

    return 0;
}
