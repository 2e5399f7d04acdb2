/*
 * test_session_questions.c: which questions nobody answered.
 *
 * Without it "baik, Pak" could count as the answer to anything, or every
 * question as open that was answered in other words.
 */

#include "tests/unit/session_fixture.h"


/* Numbers of the messages with an open question. */
static const char *
open_in(const json_t *doc)
{
    size_t         i;
    json_t        *list;
    session_t     *s;
    const json_t  *v;
    static char    buf[512];

    s = fixture_open(doc);
    list = session_questions(s);
    buf[0] = '\0';

    json_array_foreach(list, i, v) {
        sprintf(buf + strlen(buf), "%s%d", i ? " " : "",
                (int) fixture_seq(doc, json_string_value(
                                           json_object_get(v, "messageId"))));
    }

    json_decref(list);
    session_close(s);

    return buf;
}


/* Measured: all that were judged, and none more. */
static void
judged(void **state)
{
    json_t  *doc;

    (void) state;

    doc = fixture_load("session_id.json");
    assert_string_equal(open_in(doc), "55 66");
    json_decref(doc);

    doc = fixture_load("session_en.json");
    assert_string_equal(open_in(doc), "45 63");
    json_decref(doc);

    doc = fixture_load("session_other.json");
    assert_string_equal(open_in(doc), "20");
    json_decref(doc);

    doc = fixture_load("session_unseen.json");
    assert_string_equal(open_in(doc), "30");
    json_decref(doc);
}


static void
rules(void **state)
{
    size_t   i, n;
    json_t  *doc;

    static const struct {
        const char  *line[6];
        const char  *open;
    } list[] = {
        /* the last one of a turn: what comes next answers, thanks do not */
        { { "a:Pakai SPSS?", "b:Terserah kamu." }, "" },
        { { "a:Pakai SPSS?", "b:Terima kasih." }, "1" },
        { { "a:Pakai SPSS?", "b:Ya." }, "" },
        { { "a:Pakai SPSS?" }, "1" },
        { { "a:Pakai SPSS?", "a:Halo?" }, "1 2" },
        { { "b:Sudah daftar sidang?", "a:Baik, Pak. Besok hujan." }, "1" },
        { { "b:Sudah daftar sidang?", "a:Belum, Pak." }, "" },

        /* an earlier one needs a word of its own */
        { { "a:Berapa responden?", "a:Boleh pakai kuesioner?",
            "b:Kuesioner boleh." }, "1" },
        { { "a:Siapa pembimbing kedua?", "a:Boleh pakai kuesioner?",
            "b:Kuesioner boleh, pembimbing kedua belum ditunjuk." }, "" },
        /* or a number, when it asks for one */
        { { "a:Berapa responden?", "a:Boleh pakai kuesioner?",
            "b:Kuesioner boleh. 30 cukup." }, "" },

        /* put off, asked back */
        { { "a:Kapan sidang?", "b:Nanti saya cek dulu ya." }, "1" },
        { { "a:Kapan sidang?", "b:Sidang proposal?" }, "1 2" },
        { { "a:When is the defence?", "b:Let me check.", "a:ok",
            "b:The defence is on Monday." }, "1" },
        { { "a:When is the thesis defence?", "b:Let me check.", "a:ok",
            "b:The thesis defence is on Monday." }, "" },

        /* a reply answers, whenever */
        { { "a:Kapan sidang?", "b:Baik.", "a:ok", "b>1:Desember." }, "" },

        /* what asks nothing by itself */
        { { "b:Ada lagi?", "a:Siapa penguji saya?", "b:Bu Ratna." }, "" },
        { { "a:ya?", "b:terima kasih" }, "" },

        /* those of one side do not answer each other */
        { { "a:Kapan sidang?", "c:Sidang hari Senin." }, "1" },

        /* a request is none; without a question mark */
        { { "b:Can you send chapter 2?" }, "" },
        { { "a:apakah boleh pakai SPSS" }, "1" },
        { { "a:how many pages do I need" }, "1" },
        { { "a:When I finish I tell you." }, "" },
        { { "a:Kenapa\xEF\xBC\x9F" }, "1" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        for (n = 0; n < 6 && list[i].line[n]; n++) {
            continue;
        }

        doc = fixture_talk(list[i].line, n);

        if (strcmp(open_in(doc), list[i].open) != 0) {
            fail_msg("%s: \"%s\", not \"%s\"", list[i].line[0], open_in(doc),
                     list[i].open);
        }

        json_decref(doc);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(rules)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
