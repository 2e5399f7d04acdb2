/*
 * test_words.c: how text becomes words, what a query finds in it and how the
 * finds are marked.
 *
 * Without it "Jum'at" could be found on one day and not on the next, a query
 * of signs alone could ask for every message, or an excerpt could carry what
 * a sender wrote into the page of the reader.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/wrt_utf8.h"
#include "worker/store/words.h"

static words_t  w;


/* The words joined by blanks. */
static const char *
cut(const char *text)
{
    size_t       i;
    static char  buf[8192];

    words_cut(&w, unit_edge(text, strlen(text)), strlen(text));
    buf[0] = '\0';

    for (i = 0; i < w.n; i++) {
        assert_int_equal(strlen(w.fold + w.word[i].at), w.word[i].len);
        assert_true(strlen(buf) + w.word[i].len + 2 < sizeof(buf));
        sprintf(buf + strlen(buf), "%s%s", i ? " " : "",
                w.fold + w.word[i].at);
    }

    return buf;
}


static void
folding(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *words;
    } list[] = {
        { "", "" },
        { "  !? \xF0\x9F\x91\x8D ...", "" },
        { "Metode Penelitian", "metode penelitian" },
        { "buku-buku, dan/atau", "buku buku dan atau" },
        { "Bab 3.1: 42%", "bab 3 1 42" },
        { "thesis_chapter_3.pdf", "thesis chapter 3 pdf" },

        /* accents, composed and apart; marks of other scripts */
        { "caf\xC3\xA9 cafe\xCC\x81 \xC3\x85ngstr\xC3\xB6m",
          "cafe cafe angstrom" },
        { "\xD9\x85\xD9\x8F\xD8\xAD\xD9\x8E\xD9\x85\xD9\x91\xD8\xAF",
          "\xD9\x85\xD8\xAD\xD9\x85\xD8\xAF" },

        /* case, also where it changes the number of letters */
        { "STRASSE Stra\xC3\x9F""e \xC4\xB0stanbul",
          "strasse strasse istanbul" },
        { "\xCE\xA3\xCE\x9F\xCE\xA6\xCE\x9F\xCE\xA3 \xCF\x83\xCE\xBF\xCF\x86"
          "\xCE\xBF\xCF\x82",
          "\xCF\x83\xCE\xBF\xCF\x86\xCE\xBF\xCF\x83 \xCF\x83\xCE\xBF\xCF\x86"
          "\xCE\xBF\xCF\x83" },

        /* compatibility forms: ligature, full width, superscript, circle */
        { "\xEF\xAC\x81sika \xEF\xBC\xA1\xEF\xBC\x92 m\xC2\xB2 \xE2\x91\xA0",
          "fisika a2 m2 1" },
        { "\xC2\xBD", "1 2" },

        /* apostrophes */
        { "Jum'at jum\xE2\x80\x99""at ma\xCA\xBC""af", "jumat jumat maaf" },
        { "don't I'll", "dont ill" },
        { "tutor's Tutor\xE2\x80\x99S it's", "tutor tutor it" },
        { "students' 'kata' rock 'n' roll", "students kata rock n roll" },
        { "a''b 's s's", "a b s s" },
        { "o'clock's bass", "oclock bass" },

        /* what is not seen: soft hyphen, joiner; what divides unseen */
        { "me\xC2\xADto\xE2\x80\x8D""de", "metode" },
        { "satu\xE2\x80\x8B""dua", "satu dua" },

        /* scripts without blanks */
        { "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E""abc", "\xE6\x97\xA5"
          " \xE6\x9C\xAC \xE8\xAA\x9E abc" },
        { "\xE3\x81\x8C", "\xE3\x81\x8B" },

        /* bytes that are no text */
        { "a\xFF""b\xC3", "a b" },
        { "a\xED\xA0\x80""b", "a b" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        assert_string_equal(cut(list[i].text), list[i].words);
    }
}


/* Where a word stood in the text, and whether a blank stands before it. */
static void
places(void **state)
{
    size_t  i;

    static const char  text[] = "\xC3\x89tude de l'\xC3\xA9t\xC3\xA9"
                                " (tutor's) \xE3\x8D\xBB";
    static const struct {
        uint32_t    from;
        uint32_t    to;
        unsigned    blank;
        const char *fold;
    } list[] = {
        { 0, 6, 0, "etude" },
        { 7, 9, 1, "de" },
        { 10, 17, 1, "lete" },
        { 19, 24, 1, "tutor" },
        { 28, 31, 1, "\xE5\xB9\xB3" },
        { 28, 31, 0, "\xE6\x88\x90" }
    };

    (void) state;

    cut(text);
    assert_int_equal(w.n, UNIT_COUNT(list));

    for (i = 0; i < w.n; i++) {
        assert_int_equal(w.word[i].from, list[i].from);
        assert_int_equal(w.word[i].to, list[i].to);
        assert_int_equal(w.word[i].blank, list[i].blank);
        assert_string_equal(w.fold + w.word[i].at, list[i].fold);
    }
}


static void
limits(void **state)
{
    char    *text;
    size_t   i, n;

    (void) state;

    /* a long word is cut between characters, and is one word still */

    n = 1000;
    text = malloc(3 * n);
    assert_non_null(text);

    for (i = 0; i < n; i++) {
        memcpy(text + 3 * i, "\xE1\x83\x90", 3);        /* Georgian an */
    }

    words_cut(&w, text, 3 * n);
    assert_int_equal(w.n, 1);
    assert_int_equal(w.word[0].len, WRT_SEARCH_WORD_MAX / 3 * 3);
    assert_int_equal(w.word[0].to, 3 * n);
    free(text);

    /* a long text up to its last word that counts */

    n = WRT_SEARCH_TEXT_WORDS;
    text = malloc(2 * (n + 2));
    assert_non_null(text);

    for (i = 0; i < n + 2; i++) {
        memcpy(text + 2 * i, i < n ? "a " : "b ", 2);
    }

    words_cut(&w, text, 2 * (n + 2));
    assert_int_equal(w.n, n);
    assert_string_equal(w.fold + w.word[n - 1].at, "a");
    free(text);
}


/* What an index has of two texts. */
static void
distinct(void **state)
{
    size_t              n;
    const char *const  *list;

    (void) state;

    words_cut(&w, "uji Buku-buku", 13);
    words_more(&w, "a_BUKU.pdf", 10);

    n = words_distinct(&w, &list);
    assert_int_equal(n, 4);
    assert_string_equal(list[0], "a");
    assert_string_equal(list[1], "buku");
    assert_string_equal(list[2], "pdf");
    assert_string_equal(list[3], "uji");

    words_cut(&w, "", 0);
    assert_int_equal(words_distinct(&w, &list), 0);
}


/* Terms: words joined by +, a star behind a prefix. */
static const char *
parse(const char *text)
{
    unsigned         k;
    uint32_t         i;
    const char      *why;
    static char      buf[4096];
    words_query_t    q;

    memset(&q, 0, sizeof(q));
    why = NULL;

    if (words_query(&q, text, &why) != 0) {
        assert_non_null(why);
        assert_int_equal(q.n, 0);
        assert_null(q.words.fold);
        snprintf(buf, sizeof(buf), "must %s", why);
        return buf;
    }

    assert_null(why);
    buf[0] = '\0';

    for (k = 0; k < q.n; k++) {
        strcat(buf, k ? " " : "");

        for (i = 0; i < q.term[k].n; i++) {
            strcat(buf, i ? "+" : "");
            strcat(buf, q.words.fold
                        + q.words.word[q.term[k].first + i].at);
        }

        strcat(buf, q.term[k].prefix ? "*" : "");
    }

    words_query_free(&q);

    return buf;
}


static void
queries(void **state)
{
    size_t  i;

    static const struct {
        const char  *text;
        const char  *terms;
    } list[] = {
        { "metode", "metode" },
        { " Metode  PENELITIAN ", "metode penelitian" },
        { "\"uji coba\" metode", "uji+coba metode" },
        { "a \"b c\" d \"e\"", "a b+c d e" },
        { "\xE2\x80\x9Cuji coba\xE2\x80\x9D", "uji+coba" },
        { "\xC2\xABuji coba\xC2\xBB x", "uji+coba x" },
        { "\"uji coba", "uji+coba" },
        { "\"\" a \"", "a" },
        { "meto*", "meto*" },
        { "meto* pene*, (uji*)", "meto* pene* uji*" },
        { "\"uji co*\"", "uji+co*" },
        { "\"u* coba\"", "u+coba" },
        { "me*de", "me+de" },
        { "* meto *", "meto" },
        { "**", NULL },
        { "buku-buku", "buku+buku" },
        { "ani@its.ac.id kapan?", "ani+its+ac+id kapan" },
        { "\xE6\x97\xA5\xE6\x9C\xAC", "\xE6\x97\xA5+\xE6\x9C\xAC" },
        { "buku - buku", "buku buku" },
        { "Jum'at", "jumat" },
        { "", NULL },
        { " \t", NULL },
        { "?!", NULL },
        { "\"\"", NULL },
        { "\xF0\x9F\x91\x8D", NULL }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        assert_string_equal(parse(list[i].text),
                            list[i].terms ? list[i].terms
                            : "must have a letter or a digit: words, \"a"
                              " phrase\", the beginning of a word like"
                              " meto*");
    }

    assert_string_equal(parse("a b c d e f g h i j k l m n o p"),
                        "a b c d e f g h i j k l m n o p");
    assert_string_equal(parse("a b c d e f g h i j k l m n o p q"),
                        "must have at most 16 words and phrases");
}


static void
long_query(void **state)
{
    char  text[WRT_SEARCH_MAX + 2];

    (void) state;

    memset(text, 'x', sizeof(text));
    text[WRT_SEARCH_MAX] = '\0';
    assert_int_equal(strlen(parse(text)), WRT_SEARCH_WORD_MAX);

    text[WRT_SEARCH_MAX] = 'x';
    text[WRT_SEARCH_MAX + 1] = '\0';
    assert_string_equal(parse(text), "must be at most 256 bytes");
}


/* The excerpts, one a line; "-" when not all is found. */
static const char *
mark(const char *query, const char *text)
{
    char            *out[3];
    size_t           i, n;
    const char      *why;
    static char      buf[16384];
    words_query_t    q;

    memset(&q, 0, sizeof(q));
    assert_int_equal(words_query(&q, query, &why), 0);

    words_cut(&w, text, strlen(text));
    n = words_mark(&q, &w, text, strlen(text), out, 3);

    strcpy(buf, words_find(&q, &w) == words_all(&q) ? "" : "-");

    for (i = 0; i < n; i++) {
        assert_true(wrt_utf8_valid((uint8_t *) out[i], strlen(out[i])));
        assert_true(strlen(buf) + strlen(out[i]) + 2 < sizeof(buf));
        sprintf(buf + strlen(buf), "%s%s", i ? "\n" : "", out[i]);
        free(out[i]);
    }

    words_query_free(&q);

    return buf;
}


static void
marks(void **state)
{
    size_t  i;

    static const struct {
        const char  *query;
        const char  *text;
        const char  *marked;
    } list[] = {
        { "metode", "Bab 3: METODE penelitian.",
          "Bab 3: <mark>METODE</mark> penelitian." },
        { "penelitian metode", "metode penelitian",
          "<mark>metode</mark> <mark>penelitian</mark>" },
        { "metode x", "metode penelitian", "-<mark>metode</mark> penelitian" },
        { "metod", "metode", "-" },
        { "metod*", "metode dan metodologi",
          "<mark>metode</mark> dan <mark>metodologi</mark>" },
        { "\"uji coba\"", "coba uji, Uji-Coba",
          "coba uji, <mark>Uji-Coba</mark>" },
        { "\"uji coba\"", "uji lalu coba", "-" },
        { "\"uji co*\"", "uji coba", "<mark>uji coba</mark>" },
        { "\"uji* coba\"", "ujian coba", "-" },
        { "uji \"uji coba\"", "uji coba uji",
          "<mark>uji coba</mark> <mark>uji</mark>" },
        { "cafe", "caf\xC3\xA9s, Caf\xC3\xA9!",
          "caf\xC3\xA9s, <mark>Caf\xC3\xA9</mark>!" },
        { "tutor", "the tutor's", "the <mark>tutor</mark>&#39;s" },
        { "b", "<b>\"b\" & 'b'</b>",
          "&lt;<mark>b</mark>&gt;&quot;<mark>b</mark>&quot; &amp; &#39;"
          "<mark>b</mark>&#39;&lt;/<mark>b</mark>&gt;" },
        { "\xE5\xB9\xB3 \xE6\x88\x90", "\xE3\x8D\xBB",
          "<mark>\xE3\x8D\xBB</mark>" },
        { "\xE6\x9C\xAC\xE8\xAA\x9E", "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E",
          "\xE6\x97\xA5<mark>\xE6\x9C\xAC\xE8\xAA\x9E</mark>" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(list); i++) {
        assert_string_equal(mark(list[i].query, list[i].text),
                            list[i].marked);
    }
}


/* Long texts: excerpts begin and end between words; three are enough. */
static void
excerpts(void **state)
{
    char         text[8192], *p;
    int          i;
    size_t       n;
    const char  *got, *line;

    (void) state;

    for (i = 0, p = text; i < 500; i++) {
        p += sprintf(p, "%s", i % 100 == 50 ? "temu " : "kata ");
    }

    got = mark("temu", text);
    n = 0;

    for (line = got; line; line = strchr(line, '\n'), n++) {
        line += *line == '\n';
        assert_memory_equal(line, "\xE2\x80\xA6kata ", 8);
        assert_non_null(strstr(line, " <mark>temu</mark> kata"));
    }

    assert_int_equal(n, 3);
    assert_true(strlen(got) < 3 * 230);
    assert_string_equal(got + strlen(got) - 7, "kata\xE2\x80\xA6");

    /* found at both ends */

    got = mark("awal akhir",
               strcat(strcpy(text, "awal "),
                      "satu dua tiga empat lima enam tujuh delapan sembilan"
                      " sepuluh satu dua tiga empat lima enam tujuh delapan"
                      " sembilan sepuluh satu dua tiga empat lima enam tujuh"
                      " delapan sembilan sepuluh akhir!"));
    assert_string_equal(got,
                        "<mark>awal</mark> satu dua tiga empat lima enam"
                        " tujuh delapan sembilan sepuluh satu dua tiga empat"
                        " lima enam tujuh delapan sembilan sepuluh satu dua"
                        " tiga empat lima enam tujuh delapan sembilan sepuluh"
                        " <mark>akhir</mark>!");

    /* a word that is longer than an excerpt, of two-byte letters */

    for (i = 0, p = text; i < 1000; i++) {
        p += sprintf(p, "\xD0\xB1");
    }

    got = mark("\xD0\xB1*", text);
    assert_int_equal(strlen(got), 200 + 13 + 3);
    assert_string_equal(got + 6 + 200, "</mark>\xE2\x80\xA6");
}


static int
done(void **state)
{
    (void) state;
    words_free(&w);

    return 0;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(folding),
        cmocka_unit_test(places),
        cmocka_unit_test(limits),
        cmocka_unit_test(distinct),
        cmocka_unit_test(queries),
        cmocka_unit_test(long_query),
        cmocka_unit_test(marks),
        cmocka_unit_test(excerpts)
    };

    return cmocka_run_group_tests_name("words", tests, NULL, done);
}
