/*
 * test_transcript_pieces.c: a transcript given out an entry at a time is the
 * file that is made as a whole; and messages are taken out of it as it passes.
 *
 * Without it the session of a day could not be written up in little memory, or
 * it would be with another chain than a verifier works out; and what is deleted
 * could stay in it because of where it was cut.
 */

#include "tests/unit/transcript_fixture.h"


/* A sink: what it got, of which it takes so much. */
typedef struct {
    session_buf_t   text;
    size_t          max;
    size_t          largest;        /* piece */
} taken_t;


static int
take(void *data, const char *p, size_t n)
{
    taken_t  *t;

    t = data;
    t->largest = n > t->largest ? n : t->largest;

    if (t->text.n + n > t->max) {
        return -1;
    }

    session_add(&t->text, p, n);

    return 0;
}


/* The same piece by piece, the senders told by what was kept of the messages.
 * -1: refused. */
static int
pieces(const json_t *doc, taken_t *taken,
    char head[TRANSCRIPT_HASH_LEN + 1], char err[TRANSCRIPT_ERROR_SIZE])
{
    int                   rc;
    size_t                i;
    json_t               *messages;
    const json_t         *m;
    session_keep_t        keep;
    transcript_input_t    in;
    transcript_maker_t   *mk;

    memset(&keep, 0, sizeof(keep));
    fixture_input(doc, &in);
    messages = json_object_get(doc, "messages");

    json_array_foreach(messages, i, m) {
        session_keep(&keep, m);
    }

    in.messages = session_kept(&keep);
    mk = transcript_begin(&in, take, taken, err);
    rc = mk ? 0 : -1;

    json_array_foreach(messages, i, m) {
        rc = rc ? rc : transcript_add(mk, m);
    }

    if (rc == 0) {
        rc = transcript_end(mk, in.document, head);

    } else {
        transcript_drop(mk);
    }

    session_keep_free(&keep);
    fixture_input_free(&in);

    return rc;
}


static void
in_pieces(void **state)
{
    char     head[TRANSCRIPT_HASH_LEN + 1], err[TRANSCRIPT_ERROR_SIZE], *p;
    size_t   f, n;
    json_t  *doc, *t;
    taken_t  taken;

    static const char *const  files[] = {
        "session_id.json", "session_en.json"
    };

    (void) state;

    for (f = 0; f < UNIT_COUNT(files); f++) {
        doc = fixture_load(files[f]);
        json_object_set_new(json_array_get(json_object_get(doc, "messages"),
                                           5),
                            "deletedAt", json_string("2026-11-23T02:03:00Z"));
        t = fixture_transcript(doc);
        p = transcript_write(t, &n);
        assert_non_null(p);

        memset(&taken, 0, sizeof(taken));
        taken.max = n;
        assert_int_equal(pieces(doc, &taken, head, err), 0);
        assert_int_equal(taken.text.n, n);
        assert_memory_equal(taken.text.p, p, n);
        assert_string_equal(head, json_string_value(json_object_get(t,
                                                                    "head")));
        assert_true(taken.largest < n / 4);
        free(taken.text.p);

        /* a sink that is full stops it */
        memset(&taken, 0, sizeof(taken));
        taken.max = n - 1;
        assert_int_equal(pieces(doc, &taken, head, err), -1);
        free(taken.text.p);

        free(p);
        json_decref(t);
        json_decref(doc);
    }
}


/* Messages out of order, or of a sender who was not told before: a chain of
 * them would not be the one of the whole. */
static void
in_pieces_refused(void **state)
{
    char                  err[TRANSCRIPT_ERROR_SIZE];
    json_t               *doc, *messages, *none;
    taken_t               taken;
    transcript_input_t    in;
    transcript_maker_t   *mk;

    static const char *const  lines[] = { "a:1", "c:2", "a:3" };

    (void) state;

    doc = fixture_talk(lines, UNIT_COUNT(lines));
    messages = json_object_get(doc, "messages");
    none = json_array();
    fixture_input(doc, &in);
    memset(&taken, 0, sizeof(taken));
    taken.max = SIZE_MAX;

    mk = transcript_begin(&in, take, &taken, err);
    assert_non_null(mk);
    assert_int_equal(transcript_add(mk, json_array_get(messages, 1)), 0);
    assert_int_equal(transcript_add(mk, json_array_get(messages, 0)), -1);
    assert_int_equal(transcript_add(mk, json_array_get(messages, 1)), -1);
    assert_non_null(strstr(err, "seq"));
    transcript_drop(mk);

    json_array_remove(json_object_get(doc, "participants"), 2);
    in.messages = none;
    mk = transcript_begin(&in, take, &taken, err);
    assert_non_null(mk);
    assert_int_equal(transcript_add(mk, json_array_get(messages, 1)), -1);
    assert_non_null(strstr(err, "senders"));
    transcript_drop(mk);

    json_decref((json_t *) in.session);
    in.session = none;
    assert_null(transcript_begin(&in, take, &taken, err));

    free(taken.text.p);
    fixture_input_free(&in);
    json_decref(doc);
}


/* Every third message; told by seq, as it has to be. */
static int
third(void *data, const char *id, json_int_t seq)
{
    json_int_t  *last;

    last = data;
    assert_non_null(id);
    assert_true(seq > *last);
    *last = seq;

    return seq % 3 == 0;
}


/* 0, or -1: refused. */
static int
eraser(const char *p, size_t n, size_t piece, int summary, taken_t *taken,
    size_t *erased)
{
    int                   rc;
    size_t                i, m;
    json_int_t            last;
    transcript_eraser_t  *er;

    last = -1;
    rc = 0;
    er = transcript_erase_begin(third, &last, summary, taken ? take : NULL,
                                taken);

    for (i = 0; i < n && rc == 0; i += m) {
        m = piece < n - i ? piece : n - i;
        rc = transcript_erase_add(er, p + i, m);
    }

    return transcript_erase_end(er, erased) == 0 ? rc : -1;
}


static void
erased_in_pieces(void **state)
{
    char     *p;
    size_t    n, i, want, erased, whole;
    json_t   *doc, *t, *e, *report;
    taken_t   taken, again;

    static const size_t  sizes[] = { 1, 7, 255, 4096, SIZE_MAX };

    (void) state;

    doc = fixture_load("session_id.json");
    t = fixture_transcript(doc);
    p = transcript_write(t, &n);
    want = 1;                       /* the summary */

    json_array_foreach(json_object_get(t, "entries"), i, e) {
        want += json_integer_value(json_object_get(e, "seq")) % 3 == 0
                && json_object_get(e, "messageId");
    }

    whole = 0;

    for (i = 0; i < UNIT_COUNT(sizes); i++) {
        memset(&taken, 0, sizeof(taken));
        taken.max = SIZE_MAX;
        assert_int_equal(eraser(p, n, sizes[i], 0, &taken, &erased), 0);
        assert_int_equal(erased, want);
        assert_true(taken.largest < n / 4);
        assert_true(whole == 0 || whole == taken.text.n);
        whole = taken.text.n;

        report = transcript_verify(taken.text.p, taken.text.n,
                                   json_string_value(json_object_get(
                                       t, "head")));
        assert_true(json_is_true(json_object_get(report, "intact")));
        assert_int_equal(json_array_size(json_object_get(report, "erased")),
                         want);
        json_decref(report);

        /* counted alone, and nothing the second time */
        assert_int_equal(eraser(p, n, sizes[i], 0, NULL, &erased), 0);
        assert_int_equal(erased, want);
        memset(&again, 0, sizeof(again));
        again.max = SIZE_MAX;
        assert_int_equal(eraser(taken.text.p, taken.text.n, sizes[i], 1,
                                &again, &erased), 0);
        assert_int_equal(erased, 0);
        assert_int_equal(again.text.n, taken.text.n);
        assert_memory_equal(again.text.p, taken.text.p, again.text.n);
        free(again.text.p);

        /* a sink that is full stops it */
        again = taken;
        memset(&again.text, 0, sizeof(again.text));
        again.max = taken.text.n - 1;
        assert_int_equal(eraser(p, n, sizes[i], 0, &again, &erased), -1);
        free(again.text.p);
        free(taken.text.p);
    }

    free(p);
    json_decref(t);
    json_decref(doc);
}


/* What ends too early, or is something else. */
static void
erased_refused(void **state)
{
    char    *p;
    size_t   n, i, erased;
    json_t  *doc, *t;

    static const char *const  wrong[] = {
        "", "{}", "{\"entries\":[", "{\"entries\":[{]", "[{}]",
        "{\"entries\":[{\"kind\":\"message\",}],\"head\"}",
        "{\"entries\":[ {}],\"format\":1}"
    };
    static const char         closed[] =
        "{\"entries\":[{\"content\":1,\"kind\":\"closed\"}]}\n";

    (void) state;

    for (i = 0; i < UNIT_COUNT(wrong); i++) {
        assert_int_equal(eraser(wrong[i], strlen(wrong[i]), 1, 0, NULL,
                                &erased), -1);
    }

    doc = fixture_load("session_en.json");
    t = fixture_transcript(doc);
    p = transcript_write(t, &n);

    for (i = 0; i + 200 < n; i += 97) {
        assert_int_equal(eraser(p, i, 64, 0, NULL, &erased), -1);
    }

    /* with the summary alone, when that is asked for */
    assert_int_equal(eraser(closed, sizeof(closed) - 1, 1, 1, NULL, &erased),
                     0);
    assert_int_equal(erased, 1);

    free(p);
    json_decref(t);
    json_decref(doc);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(in_pieces_refused),
        cmocka_unit_test(erased_in_pieces),
        cmocka_unit_test(erased_refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
