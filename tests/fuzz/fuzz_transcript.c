/*
 * fuzz_transcript.c: any bytes as a transcript.
 *
 * What holds:
 *   - it is intact or has problems, never both, never neither;
 *   - one that is intact is written again as the same bytes, and is still
 *     intact, with the same head, when all content of its first participant
 *     was taken out;
 *   - what can be read can be shown, as valid UTF-8.
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
        check_erased(t);
    }

    json_decref(t);
    json_decref(report);

    return 0;
}
