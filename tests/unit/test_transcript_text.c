/*
 * test_transcript_text.c: a transcript as Markdown.
 *
 * Without it a message could become a heading, a link, a picture that calls
 * home or HTML in the page of whoever reads it, or pretend to be said by
 * another one.
 */

#include "tests/unit/session_fixture.h"

#include "common/wrt_utf8.h"
#include "worker/session/transcript.h"

static const uint8_t  key[TRANSCRIPT_KEY_BYTES] = "a key of the tests only";


/* context: NULL, or what the consultation was to be about. */
static json_t *
make_about(const json_t *doc, const char *title, json_t *context)
{
    char                 err[TRANSCRIPT_ERROR_SIZE];
    json_t              *session, *summary, *t;
    session_t           *s;
    transcript_input_t   in;

    s = fixture_open(doc);
    summary = session_document(s);
    session_close(s);

    session = json_pack("{s:s, s:s, s:O, s:O}", "conversationId", "c1",
                        "title", title,
                        "startTime", json_object_get(doc, "startTime"),
                        "endTime", json_object_get(doc, "endTime"));
    if (context) {
        json_object_set_new(session, "context", context);
    }

    memset(&in, 0, sizeof(in));
    in.session = session;
    in.participants = json_object_get(doc, "participants");
    in.messages = json_object_get(doc, "messages");
    in.document = summary;
    in.key = key;
    t = transcript_make(&in, err);
    assert_non_null(t);

    json_decref(session);
    json_decref(summary);

    return t;
}


static json_t *
make(const json_t *doc, const char *title)
{
    return make_about(doc, title, NULL);
}


/* What stands between the name and the next message. */
static const char *
quoted(const char *text)
{
    char         *p, *from, *to, with[1024];
    size_t        n;
    json_t       *doc, *t;
    const char   *line;
    static char   buf[2048];

    snprintf(with, sizeof(with), "a:%s", text);
    line = with;
    doc = fixture_talk(&line, 1);
    t = make(doc, "T");
    p = transcript_markdown(t, FIXTURE_OFFSET, &n);
    assert_non_null(p);
    assert_true(wrt_utf8_valid((const uint8_t *) p, n));
    assert_int_equal(strlen(p), n);

    from = strstr(p, "** (3)\n\n");
    to = strstr(p, "\n## Proof");
    assert_non_null(from);
    assert_non_null(to);
    from += 8;
    snprintf(buf, sizeof(buf), "%.*s", (int) (to - from), from);

    free(p);
    json_decref(t);
    json_decref(doc);

    return buf;
}


static void
injection(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *out;
    } list[] = {
        { "Halo", "> Halo\n" },
        { "", "> \n" },
        { "\n\n", "> \n" },
        { "a\nb\n\nc", "> a\\\n> b\\\n> c\n" },
        { "# judul", "> \\# judul\n" },
        { "**tebal** _miring_ `kode`",
          "> \\*\\*tebal\\*\\* \\_miring\\_ \\`kode\\`\n" },
        { "[x](javascript:alert(1))", "> \\[x\\](javascript:alert(1))\n" },
        { "![x](http://evil/a.png)", "> \\!\\[x\\](http\\://evil/a.png)\n" },
        { "<script>&amp;", "> \\<script\\>\\&amp;\n" },
        { "> kutipan", "> \\> kutipan\n" },
        { "- butir", "> \\- butir\n" },
        { "+ butir", "> \\+ butir\n" },
        { "1. satu", "> 1\\. satu\n" },
        { "12) dua", "> 12\\) dua\n" },
        { "3.1 bab", "> 3\\.1 bab\n" },
        { "bab 3.1", "> bab 3.1\n" },
        { "---", "> \\---\n" },
        { "===", "> \\===\n" },
        { "a\n===", "> a\\\n> \\===\n" },
        { "    kode", "> kode\n" },
        { "```\nkode\n```", "> \\`\\`\\`\\\n> kode\\\n> \\`\\`\\`\n" },
        { "| a | b |\n|---|---|", "> \\| a \\| b \\|\\\n> \\|---\\|---\\|\n" },
        { "~~x~~ $y$", "> \\~\\~x\\~\\~ \\$y\\$\n" },
        { "www.evil.id WWW.evil.id", "> www\\.evil.id WWW\\.evil.id\n" },
        { "a@b.id", "> a\\@b.id\n" },
        { "a\\", "> a\\\\\n" },
        { "a\r\n\r# b", "> a\\\n> \\# b\n" },
        { "\xE2\x80\xAE" "kanan\xE2\x80\xAC\x1B[31m", "> kanan\\[31m\n" },
        { "a\n\n**09:00:00 Budi** (9)\n\n> ya",
          "> a\\\n> \\*\\*09:00:00 Budi\\*\\* (9)\\\n> \\> ya\n" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        assert_string_equal(quoted(list[i].text), list[i].out);
    }
}


static void
names_are_data(void **state)
{
    char         *p;
    size_t        n;
    json_t       *doc, *t, *user;
    const char   *line;

    (void) state;

    line = "a:x";
    doc = fixture_talk(&line, 1);
    user = json_object_get(json_array_get(json_object_get(doc,
                                                          "participants"),
                                          0), "user");
    json_object_set_new(user, "name", json_string("# A\n\n[b](//c) <d>"));
    t = make(doc, "<b>*T*</b>\n# zwei");
    p = transcript_markdown(t, -90, &n);
    assert_non_null(p);

    assert_non_null(strstr(p, "# \\<b\\>\\*T\\*\\</b\\> \\# zwei\n"));
    assert_non_null(strstr(p, "- \\# A \\[b\\](//c) \\<d\\> (student)\n"));
    assert_non_null(strstr(p, "**00:30:00 \\# A \\[b\\](//c) \\<d\\>** (3)"));
    assert_non_null(strstr(p, "- Times: UTC-01:30\n"));

    free(p);
    json_decref(t);
    json_decref(doc);
}


static void
whole(void **state)
{
    char    *p;
    size_t   n;
    json_t  *doc, *t;

    (void) state;

    doc = fixture_load("session_id.json");
    t = make(doc, "Bimbingan Skripsi - Bab 3");
    p = transcript_markdown(t, FIXTURE_OFFSET, &n);
    assert_non_null(p);

    assert_memory_equal(p, "# Bimbingan Skripsi - Bab 3\n\n", 29);
    assert_non_null(strstr(p, "- From: 2026-11-23 09:00:00\n"
                           "- To: 2026-11-23 09:43:00\n"
                           "- Ani Wijaya (student)\n"
                           "- Dr. Budi Santoso (tutor)\n"
                           "- Times: UTC+07:00\n"));
    assert_non_null(strstr(p, "### Topics\n\n- responden\n"));
    assert_non_null(strstr(p, "- Besok saya kirim daftar jurnal"));
    assert_non_null(strstr(p, "**09:01:50 Ani Wijaya** (8)\n\n"
                           "> _file:_ draf\\_bab3.docx (184320 bytes)\n"));
    assert_non_null(strstr(p, "> _deleted_\n"));
    assert_non_null(strstr(p, "> _consultation\\_ended_\n"));
    assert_non_null(strstr(p, "It has 75 entries"));
    assert_non_null(strstr(p, json_string_value(json_object_get(t,
                                                                "head"))));
    free(p);

    transcript_erase_user(t, "u-ani");
    p = transcript_markdown(t, FIXTURE_OFFSET, &n);
    assert_non_null(p);
    assert_null(strstr(p, "Ani Wijaya"));
    assert_null(strstr(p, "draf"));
    assert_null(strstr(p, "## Summary"));
    assert_non_null(strstr(p, "- Participant 1 (student)\n"));
    assert_non_null(strstr(p, "**09:01:50 Participant 1** (8)\n\n"
                           "> _erased_\n"));
    free(p);

    json_decref(t);
    json_decref(doc);
}


static void
context(void **state)
{
    char        *p;
    size_t       n;
    json_t      *doc, *t;
    const char  *line;

    (void) state;

    line = "a:x";
    doc = fixture_talk(&line, 1);
    t = make_about(doc, "T", json_pack("{s:s, s:s, s:s, s:s, s:[s,s]}",
                       "topic", "Bab 3: *metode*", "course", "Skripsi",
                       "scheduledAt", "2026-11-23T02:00:00.000Z",
                       "agenda", "# kuesioner\n2. data", "documentIds",
                       "doc-1", "doc_2"));
    p = transcript_markdown(t, FIXTURE_OFFSET, &n);
    assert_non_null(p);

    assert_non_null(strstr(p, "\n- Topic: Bab 3: \\*metode\\*\n"
                           "- Course: Skripsi\n"
                           "- Scheduled: 2026-11-23 09:00:00\n"
                           "- Documents: doc-1, doc\\_2\n"
                           "- From: "));
    assert_non_null(strstr(p, "\n\n## Agenda\n\n"
                           "> \\# kuesioner\\\n> 2\\. data\n\n## "));

    free(p);
    json_decref(t);
    json_decref(doc);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(injection),
        cmocka_unit_test(names_are_data),
        cmocka_unit_test(context),
        cmocka_unit_test(whole)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
