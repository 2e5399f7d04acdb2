/*
 * test_session_actions.c: what somebody is to do, who, and until when.
 *
 * Without it a pattern that was added could turn thanks into work, or work
 * could be given to the one who asked for it.
 */

#include "tests/unit/session_fixture.h"


static const char *
text_of(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "-";
}


/* Judged items that were found, with the one who is to do it and the day. */
static size_t
hits(const char *name, size_t *n, size_t *all)
{
    size_t         i, k, found;
    json_t        *doc, *items;
    session_t     *s;
    const json_t  *judged, *v, *w;

    doc = fixture_load(name);
    judged = json_object_get(json_object_get(doc, "judged"), "actions");
    s = fixture_open(doc);
    items = session_actions(s);
    found = 0;

    json_array_foreach(items, i, v) {
        json_array_foreach(judged, k, w) {
            if (fixture_seq(doc, text_of(v, "messageId"))
                != json_integer_value(json_object_get(w, "seq")))
            {
                continue;
            }

            assert_string_equal(text_of(v, "userId"), text_of(w, "userId"));
            assert_string_equal(text_of(json_object_get(v, "due"), "date"),
                                text_of(w, "due"));
            found++;
        }
    }

    *n = json_array_size(items);
    *all = json_array_size(judged);
    json_decref(items);
    session_close(s);
    json_decref(doc);

    return found;
}


/*
 * Measured, and held here: Indonesian 13 of 13 found, one more that is a rule
 * and no work ("Setiap adaptasi instrumen harus diuji ulang": precision 0.93);
 * English 19 of 19, none more.  The patterns were made with these texts at
 * hand; patterns() has others.
 */
static void
judged(void **state)
{
    size_t  n, all;

    (void) state;

    assert_int_equal(hits("session_id.json", &n, &all), 13);
    assert_int_equal(n, 14);
    assert_int_equal(all, 13);

    assert_int_equal(hits("session_en.json", &n, &all), 19);
    assert_int_equal(n, 19);
    assert_int_equal(all, 19);
}


/* "kind who date" of the items of the last line, a semicolon between them. */
static const char *
items_of(const char *const *lines, size_t count)
{
    char           last[32];
    size_t         i;
    json_t        *doc, *items;
    session_t     *s;
    const json_t  *v;
    static char    buf[1024];

    doc = fixture_talk(lines, count);
    s = fixture_open(doc);
    items = session_actions(s);
    snprintf(last, sizeof(last), "m%zu", count);
    buf[0] = '\0';

    json_array_foreach(items, i, v) {
        if (strcmp(text_of(v, "messageId"), last) == 0) {
            sprintf(buf + strlen(buf), "%s%s %s %s", buf[0] ? ";" : "",
                    text_of(v, "kind"), text_of(v, "userId"),
                    text_of(json_object_get(v, "due"), "date"));
        }
    }

    json_decref(items);
    session_close(s);
    json_decref(doc);

    return buf;
}


static void
patterns(void **state)
{
    size_t  i;

    static const struct {
        const char  *line;
        const char  *items;
    } list[] = {
        /* requests */
        { "b:Tolong kirim datanya besok.", "request a 2026-11-24" },
        { "b:Oke, Ani, tolong kirim datanya.", "request a -" },
        { "b:jangan lupa bawa laptop", "request a -" },
        { "b:Mohon dicek kembali, lusa saya lihat.", "request a 2026-11-25" },
        { "b:Pastikan semua sitasi lengkap.", "request a -" },
        { "b:Coba baca jurnal itu.", "request a -" },
        { "b:Perbaiki judulnya ya.", "request a -" },
        { "b:Kamu harus memperbaiki abstrak.", "request a -" },
        { "b:Abstrak harus diperbaiki.", "request a -" },
        { "a:Bapak bisa bantu memeriksa bab 2?", "request b -" },
        { "a:Could you please review chapter 2 by Friday?",
          "request b 2026-11-27" },
        { "b:Please send me the draft. By Friday please.",
          "request a 2026-11-27" },
        { "b:Make sure you back up the files.", "request a -" },
        { "b:You have to register first.", "request a -" },
        { "b:The abstract needs to be shortened.", "request a -" },
        { "b:Add a table of contents.", "request a -" },

        /* promises */
        { "a:Saya akan revisi besok.", "promise a 2026-11-24" },
        { "a:Nanti saya kirimkan.", "promise a -" },
        { "a:aku perbaiki malam ini", "promise a 2026-11-23" },
        { "b:I'll send it next week.", "promise b 2026-12-06" },
        { "b:Let me ask the dean.", "promise b -" },
        { "a:I need to fix the tables.", "promise a -" },

        /* shared */
        { "b:Kita harus menentukan tanggal sidang.", "shared - -" },
        { "b:We'll meet again on Monday.", "shared - 2026-11-30" },

        /* two sentences, two items */
        { "b:Tolong kirim bab 1. Saya akan baca besok.",
          "request a -;promise b 2026-11-24" },

        /* none */
        { "b:Terima kasih.", "" },
        { "b:Mohon maaf, saya terlambat.", "" },
        { "a:Saya sudah kirim kemarin.", "" },
        { "a:Sudah saya kirimkan tadi.", "" },
        { "a:Saya tidak akan mengubah judul.", "" },
        { "a:Saya akan tidak hadir", "" },
        { "a:I will not change it.", "" },
        { "a:I won't change it.", "" },
        { "a:Kalau saya akan sidang, boleh daftar", "" },
        { "a:If you need to leave, no problem.", "" },
        { "a:I was ill yesterday.", "" },
        { "b:You should have told me.", "" },
        { "a:Boleh saya kirim besok?", "" },
        { "a:Do you think I will pass?", "" },
        { "b:Can you explain the model?", "" },
        { "b:Saya sarankan topik lain.", "" },
        { "b:Yes please.", "" },
        { "b:Silakan duduk.", "" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        if (strcmp(items_of(&list[i].line, 1), list[i].items) != 0) {
            fail_msg("%s: \"%s\", not \"%s\"", list[i].line,
                     items_of(&list[i].line, 1), list[i].items);
        }
    }
}


/* Whom does the tutor of two students mean? */
static void
who(void **state)
{
    static const char *const  nobody[] = { "c:Halo", "b:Tolong kirim bab 1." };
    static const char *const  named[] = {
        "c:Halo", "b:Citra, tolong kirim bab 1."
    };
    static const char *const  reply[] = {
        "c:Bab 1 saya selesai", "a:Saya juga", "b>1:Tolong kirim bab 1."
    };
    static const char *const  about[] = {
        "c:Halo", "a:Pak, tolong bilang ke Citra."
    };

    (void) state;

    assert_string_equal(items_of(nobody, 2), "request - -");
    assert_string_equal(items_of(named, 2), "request c -");
    assert_string_equal(items_of(reply, 3), "request c -");
    assert_string_equal(items_of(about, 2), "request b -");
}


/* The same words of the same one are one item. */
static void
repeated(void **state)
{
    json_t                   *doc, *items;
    session_t                *s;

    static const char *const  lines[] = {
        "b:Tolong kirim bab 1.", "a:Baik", "b:Tolong kirim bab 1.",
        "a:Tolong kirim bab 1."
    };

    (void) state;

    doc = fixture_talk(lines, UNIT_COUNT(lines));
    s = fixture_open(doc);
    items = session_actions(s);
    assert_int_equal(json_array_size(items), 2);
    assert_string_equal(text_of(json_array_get(items, 0), "messageId"), "m1");
    assert_string_equal(text_of(json_array_get(items, 1), "messageId"), "m4");
    json_decref(items);
    session_close(s);
    json_decref(doc);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(judged),
        cmocka_unit_test(patterns),
        cmocka_unit_test(who),
        cmocka_unit_test(repeated)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
