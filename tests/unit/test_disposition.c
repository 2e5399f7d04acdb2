/*
 * test_disposition.c: a file's name in a header.
 *
 * Without it a name could end the header's line and begin another one, be cut
 * at a quote, or arrive as other letters than those it was sent with.
 */

#include "tests/unit/unit.h"

#include "worker/files/disposition.h"


static void
names(void **state)
{
    size_t  i;
    buf_t   out;

    static const struct {
        const char  *name;
        const char  *want;
    } known[] = {
        { "thesis_chapter_3.pdf",
          "attachment; filename=\"thesis_chapter_3.pdf\"" },
        { "Bab 1 (rev; 2), final.pdf",
          "attachment; filename=\"Bab 1 (rev; 2), final.pdf\"" },
        { "a\"b\\c%41.txt",
          "attachment; filename=\"a_b_c_41.txt\"; "
          "filename*=UTF-8''a%22b%5Cc%2541.txt" },
        { "\xc3\xa5ngstr\xc3\xb6m 'x'.txt",
          "attachment; filename=\"_ngstr_m 'x'.txt\"; "
          "filename*=UTF-8''%C3%A5ngstr%C3%B6m%20%27x%27.txt" },
        { "\xe7\xac\xac\xe4\xb8\x80\xe7\xab\xa0.pdf",
          "attachment; filename=\"___.pdf\"; "
          "filename*=UTF-8''%E7%AC%AC%E4%B8%80%E7%AB%A0.pdf" },
        { "\xf0\x9f\x91\x8d.png",
          "attachment; filename=\"_.png\"; "
          "filename*=UTF-8''%F0%9F%91%8D.png" },
        { "a\r\nX-Evil: 1\t\x7f.txt",
          "attachment; filename=\"a__X-Evil: 1__.txt\"" },
        { "\xc3\xa9\r\n.txt",
          "attachment; filename=\"___.txt\"; filename*=UTF-8''%C3%A9__.txt" },
        { "", "attachment; filename=\"\"" },

        /* no UTF-8: what there is of it */
        { "a\xff\xc3.txt", "attachment; filename=\"a__.txt\"" },
        { "\x80\x80.txt", "attachment; filename=\".txt\"" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(known); i++) {
        memset(&out, 0, sizeof(out));
        disposition_add(&out, "attachment", known[i].name);
        assert_string_equal(out.p, known[i].want);
        buf_free(&out);
    }
}


/* Whatever the bytes: one line of printable ASCII, quotes in pairs. */
static void
anything(void **state)
{
    char      name[WRT_FILE_NAME_MAX + 1];
    buf_t     out;
    size_t    i, n, quotes;
    uint64_t  s, turn;

    (void) state;
    s = unit_seed();

    for (turn = 0; turn < 20000; turn++) {
        n = unit_below(&s, WRT_FILE_NAME_MAX + 1);

        for (i = 0; i < n; i++) {
            name[i] = (char) (1 + unit_below(&s, turn % 2 ? 255 : 127));
        }

        name[n] = '\0';
        memset(&out, 0, sizeof(out));
        disposition_add(&out, "attachment", name);
        assert_true(out.n < WRT_FILE_SAYS_MAX);

        for (i = 0, quotes = 0; i < out.n; i++) {
            assert_in_range((unsigned char) out.p[i], ' ', '~');
            assert_true(out.p[i] != '\\');
            quotes += out.p[i] == '"';
        }

        assert_int_equal(quotes, 2);
        buf_free(&out);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(anything)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
