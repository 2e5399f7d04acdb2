/*
 * test_transcript_pieces.c: a transcript given out an entry at a time is the
 * file that is made as a whole.
 *
 * Without it the session of a day could not be written up in little memory, or
 * it would be with another chain than a verifier works out.
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


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(in_pieces_refused)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
