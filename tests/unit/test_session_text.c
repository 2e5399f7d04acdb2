/*
 * test_session_text.c: sentences, stems, and text of people who mean no good.
 *
 * Without it a direction mark in a topic could turn a page around, a message
 * of one endless word could end the worker, or a message of 16 KB that is all
 * question marks could take it a minute.
 */

#include "tests/unit/session_fixture.h"

#include "common/wrt_utf8.h"
#include "worker/session/session_internal.h"

#define FUZZ_MESSAGES  300


/* The sentences, a bar between them; a question has "?" behind it. */
static const char *
sentences(const char *text)
{
    size_t         i;
    json_t        *doc;
    session_t     *s;
    const char    *line;
    char           with[512];
    static char    buf[512];

    snprintf(with, sizeof(with), "a:%s", text);
    line = with;
    doc = fixture_talk(&line, 1);
    s = fixture_open(doc);
    session_cut(s, &s->message[0]);
    buf[0] = '\0';

    for (i = 0; i < s->nsentences; i++) {
        sprintf(buf + strlen(buf), "%s%.*s%s", i ? "|" : "",
                (int) (s->sentence[i].to - s->sentence[i].from),
                s->message[0].text + s->sentence[i].from,
                s->sentence[i].asks ? " [?]" : "");
    }

    session_close(s);
    json_decref(doc);

    return buf;
}


static void
cutting(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *out;
    } list[] = {
        { "", "" },
        { "?!...", "" },
        { "Satu", "Satu" },
        { "Satu. Dua! Tiga? Empat", "Satu.|Dua!|Tiga? [?]|Empat" },
        { "Bab 3.1 selesai. Lanjut", "Bab 3.1 selesai.|Lanjut" },
        { "Dr. Budi dan Prof. Ani. Ya", "Dr. Budi dan Prof. Ani.|Ya" },
        { "draf.pdf; lihat\nitu", "draf.pdf|lihat|itu" },
        { "a\nb", "a|b" },
        { "Apa?? Ya.", "Apa?? [?]|Ya." },
        { "jam 10.00 ya...", "jam 10.00 ya..." }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        assert_string_equal(sentences(list[i].text), list[i].out);
    }
}


static void
stems(void **state)
{
    char    out[WRT_SEARCH_WORD_MAX + 1];
    size_t  i;

    static const struct {
        const char  *word;
        const char  *stem;
    } list[] = {
        { "datanya", "data" }, { "kuesionernya", "kuesioner" },
        { "tanya", "tanya" }, { "bertanya", "bertanya" }, { "nya", "nya" },
        { "interviews", "interview" }, { "studies", "study" },
        { "thesis", "thesis" }, { "class", "class" }, { "status", "status" },
        { "bias", "bias" }, { "is", "is" }, { "s", "s" }, { "", "" },
        { "bab", "bab" }, { "ties", "tie" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        session_stem(list[i].word, out);
        assert_string_equal(out, list[i].stem);
    }
}


/* bsearch() finds only what is in order. */
static void
lexicon_is_sorted(void **state)
{
    size_t   i;
    words_t  w;

    (void) state;

    memset(&w, 0, sizeof(w));

    for (i = 0; session_lexicon(i); i++) {
        assert_true(i == 0 || strcmp(session_lexicon(i - 1),
                                     session_lexicon(i)) < 0);
        assert_true(session_word(session_lexicon(i)) != 0);

        /* and it is folded */
        words_cut(&w, session_lexicon(i), strlen(session_lexicon(i)));
        assert_int_equal(w.n, 1);
        assert_string_equal(w.fold, session_lexicon(i));
    }

    assert_true(i > 500);
    assert_int_equal(session_word("metode"), 0);
    assert_int_equal(session_word(""), 0);
    words_free(&w);
}


static void
clean(void **state)
{
    size_t          i;
    session_buf_t   b;

    static const struct {
        const char  *text;
        size_t       max;
        const char  *out;
    } list[] = {
        { "", 10, "" },
        { "  a \t\n b  ", 10, "a b" },
        { "a\x01\x7F" "b\x1B[31m", 10, "ab[31m" },
        { "\xE2\x80\xAE" "abc\xE2\x80\xAC", 10, "abc" },
        { "a\xE2\x81\xA6\xE2\x80\x8B\xEF\xBB\xBF" "b", 10, "ab" },
        { "a\xE2\x80\xA8" "b", 10, "a b" },
        { "caf\xC3\xA9", 10, "caf\xC3\xA9" },
        { "abcdefghij", 10, "abcdefghij" },
        { "abcdefghijk", 10, "abcdefg\xE2\x80\xA6" },
        { "abcdef\xF0\x9F\x91\x8D\xF0\x9F\x91\x8D", 10,
          "abcdef\xE2\x80\xA6" },
        { "\xD9\x85\xD8\xB1", 10, "\xD9\x85\xD8\xB1" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        memset(&b, 0, sizeof(b));
        session_clean(&b, list[i].text, strlen(list[i].text), list[i].max);
        assert_string_equal(b.p, list[i].out);
        assert_true(b.n <= list[i].max);
        free(b.p);
    }
}


static json_t *
hostile_message(size_t i, const char *text, size_t n)
{
    char  id[32];

    snprintf(id, sizeof(id), "m%zu", i);

    return json_pack("{s:s, s:I, s:s, s:s, s:{s:o}, s:s}", "id", id,
                     "seq", (json_int_t) i, "senderId", i % 2 ? "a" : "b",
                     "type", "text", "content", "text",
                     json_stringn_nocheck(text, n),
                     "createdAt", "2026-11-23T02:00:00Z");
}


/* All that comes out is valid, short, and has nothing that is not seen. */
static void
check_text(const json_t *v, size_t max)
{
    size_t       n;
    const char  *p;

    p = json_string_value(v);
    n = json_string_length(v);
    assert_non_null(p);
    assert_true(n <= max);
    assert_true(wrt_utf8_valid((const uint8_t *) p, n));
    assert_null(memchr(p, '\0', n));
    assert_null(strstr(p, "\xE2\x80\xAE"));
    assert_null(strstr(p, "\xE2\x80\x8B"));
}


static void
check_document(json_t *messages)
{
    char              err[SESSION_ERROR_SIZE];
    size_t            i;
    json_t           *people, *doc;
    session_t        *s;
    const json_t     *summary, *v;
    session_input_t   in;

    people = json_pack("[o, o]", fixture_person("a", "student",
                                                "\xE2\x80\xAE*Ani*"),
                       fixture_person("b", "tutor", ""));
    memset(&in, 0, sizeof(in));
    in.messages = messages;
    in.participants = people;
    in.start = -1;
    in.end = -1;

    s = session_open(&in, err);
    assert_non_null(s);
    doc = session_document(s);
    summary = json_object_get(doc, "summary");

    assert_true(json_array_size(json_object_get(summary, "keyTopics"))
                <= WRT_SESSION_TOPICS);
    assert_true(json_array_size(json_object_get(summary, "actionItems"))
                <= WRT_SESSION_ITEMS_MAX);
    assert_true(json_array_size(json_object_get(summary,
                                                "unansweredQuestions"))
                <= WRT_SESSION_ITEMS_MAX);
    check_text(json_object_get(summary, "sessionNotes"),
               WRT_SESSION_NOTES_MAX);

    json_array_foreach(json_object_get(summary, "keyTopics"), i, v) {
        check_text(v, WRT_SESSION_TOPIC_MAX);
    }

    json_array_foreach(json_object_get(summary, "actionItems"), i, v) {
        check_text(v, WRT_SESSION_ITEM_MAX);
    }

    json_decref(doc);
    session_close(s);
    json_decref(people);
}


static void
hostile(void **state)
{
    char    *big, *p;
    size_t   i, n;
    json_t  *list;

    static const char *const  text[] = {
        "tolong \xE2\x80\xAE" "kirim\xE2\x80\x8B data *sekarang* <b>",
        "metode \xE2\x80\xAEpenelitian", "metode penelitian",
        "\xE2\x80\xAE\xE2\x80\xAD\xE2\x81\xA6", "'''''", "\xF0\x9F\x91\x8D?",
        "\xEF\xBD\x94\xEF\xBD\x8F\xEF\xBD\x8C\xEF\xBD\x8F\xEF\xBD\x8E"
        "\xEF\xBD\x87 kirim", "? ? ? ? ? ?", "saya", "please", "i", "next"
    };

    (void) state;

    list = json_array();

    for (i = 0; i < UNIT_COUNT(text); i++) {
        json_array_append_new(list, hostile_message(i, text[i],
                                                    strlen(text[i])));
    }

    /* one endless word; all question marks; a word and a mark; NULs */

    n = WRT_TEXT_MAX;
    big = malloc(n);
    assert_non_null(big);
    memset(big, 'x', n);
    json_array_append_new(list, hostile_message(i++, big, n));
    json_array_append_new(list, hostile_message(i++, big, n));
    memset(big, '?', n);
    json_array_append_new(list, hostile_message(i++, big, n));

    for (p = big; p < big + n; p += 2) {
        memcpy(p, "a?", 2);
    }

    json_array_append_new(list, hostile_message(i++, big, n));
    memset(big, 0, n);
    memcpy(big + 100, "tolong kirim data", 17);
    json_array_append_new(list, hostile_message(i++, big, n));

    check_document(list);
    json_decref(list);
    free(big);
}


/* Words of all parts of the lexicon in any order, signs between them. */
static void
any_words(void **state)
{
    char               text[400];
    size_t             i, k, nwords;
    json_t            *list;
    uint64_t           seed;

    static const char *const  sign[] = {
        " ", " ", " ", ", ", ". ", "? ", "\n", "-", " 3 ", " metode "
    };

    (void) state;

    seed = unit_seed();

    for (nwords = 0; session_lexicon(nwords); nwords++) {
        continue;
    }

    list = json_array();

    for (i = 0; i < FUZZ_MESSAGES; i++) {
        text[0] = '\0';

        for (k = unit_below(&seed, 12); k > 0; k--) {
            strcat(text, session_lexicon(unit_below(&seed, nwords)));
            strcat(text, sign[unit_below(&seed, UNIT_COUNT(sign))]);
        }

        json_array_append_new(list, hostile_message(i, text, strlen(text)));
    }

    check_document(list);
    json_decref(list);
}


/* Of too much text, the beginning of each message is looked at. */
static void
too_long(void **state)
{
    char              err[SESSION_ERROR_SIZE], *big;
    size_t            i, n;
    json_t           *list, *people, *topics;
    session_t        *s;
    session_input_t   in;

    (void) state;

    big = malloc(WRT_TEXT_MAX);
    assert_non_null(big);
    list = json_array();
    people = json_array();

    for (i = 0; i < 2 * WRT_SESSION_TEXT_MAX / WRT_TEXT_MAX; i++) {
        /* of two bytes each: the cut is at no half of one */
        for (n = 0; n < WRT_TEXT_MAX; n += 2) {
            memcpy(big + n, "\xC3\xA9", 2);
        }

        memcpy(big, "metode penelitian ", 18);
        memcpy(big + WRT_TEXT_MAX - 18, " analisis regresi.", 18);
        json_array_append_new(list, hostile_message(i, big, WRT_TEXT_MAX));
    }

    memset(&in, 0, sizeof(in));
    in.messages = list;
    in.participants = people;
    s = session_open(&in, err);
    assert_non_null(s);
    n = 0;

    for (i = 0; i < s->n; i++) {
        assert_true(wrt_utf8_valid((const uint8_t *) s->message[i].text,
                                   s->message[i].len));
        n += s->message[i].len;
    }

    assert_true(n <= WRT_SESSION_TEXT_MAX);
    assert_true(n > WRT_SESSION_TEXT_MAX - 2 * s->n);

    topics = session_topics(s, 8);
    assert_int_equal(json_array_size(topics), 1);
    assert_string_equal(json_string_value(json_array_get(topics, 0)),
                        "metode penelitian");

    json_decref(topics);
    session_close(s);
    json_decref(list);
    json_decref(people);
    free(big);
}


/* More messages and people than there may be. */
static void
too_many(void **state)
{
    char              err[SESSION_ERROR_SIZE], who[32];
    size_t            i;
    json_t           *list, *people, *m;
    session_input_t   in;

    (void) state;

    people = json_array();
    list = json_array();
    memset(&in, 0, sizeof(in));
    in.messages = list;
    in.participants = people;

    for (i = 0; i <= 2 * WRT_PARTICIPANTS_MAX; i++) {
        m = hostile_message(i, "x", 1);
        snprintf(who, sizeof(who), "u%zu", i);
        json_object_set_new(m, "senderId", json_string(who));
        json_array_append_new(list, m);
    }

    assert_null(session_open(&in, err));
    assert_string_equal(err, "messages[2000].senderId must be one of at most"
                        " 2000 different ones");

    for ( ; i <= WRT_SESSION_MESSAGES_MAX; i++) {
        json_array_append(list, json_array_get(list, 0));
    }

    assert_null(session_open(&in, err));
    assert_string_equal(err, "messages must be an array of at most 20000");

    json_decref(list);
    json_decref(people);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(cutting),
        cmocka_unit_test(stems),
        cmocka_unit_test(lexicon_is_sorted),
        cmocka_unit_test(clean),
        cmocka_unit_test(hostile),
        cmocka_unit_test(any_words),
        cmocka_unit_test(too_long),
        cmocka_unit_test(too_many)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
