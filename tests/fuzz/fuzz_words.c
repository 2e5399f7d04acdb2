/*
 * fuzz_words.c: any text and any query through the folding of words.
 *
 * Up to the first NUL it is a query, behind it a text.  What holds:
 *   - words are folded UTF-8 of 1 to WRT_SEARCH_WORD_MAX bytes, in the order
 *     of the text, and cutting one again gives the same word;
 *   - none holds what has a meaning where SQLite's FTS5 is asked for it (they
 *     are put between quotation marks there, with a room before a slash);
 *   - a query that is accepted finds all it asks for in its own text;
 *   - excerpts, without the marks and entities, are parts of the text, and
 *     there are some exactly when something was found.
 */

#define _GNU_SOURCE             /* memmem() */

#include "tests/fuzz/fuzz.h"

#include "common/wrt_utf8.h"
#include "worker/store/words.h"

#define EXCERPTS  4


static void
check_words(const words_t *w, size_t n)
{
    size_t        i;
    words_t       again;
    const char   *fold;
    const word_t *word;

    memset(&again, 0, sizeof(again));
    FUZZ_CHECK(w->n <= WRT_SEARCH_TEXT_WORDS);

    for (i = 0; i < w->n; i++) {
        word = &w->word[i];
        fold = w->fold + word->at;

        FUZZ_CHECK(word->len >= 1 && word->len <= WRT_SEARCH_WORD_MAX);
        FUZZ_CHECK(word->from < word->to && word->to <= n);
        FUZZ_CHECK(strlen(fold) == word->len);
        FUZZ_CHECK(strpbrk(fold, "\"/* ") == NULL);
        FUZZ_CHECK(wrt_utf8_valid((const uint8_t *) fold, word->len));
        FUZZ_CHECK(i == 0 || (word->from >= w->word[i - 1].from
                              && word->to >= w->word[i - 1].to));

        words_cut(&again, fold, word->len);
        FUZZ_CHECK(again.n == 1 && again.word[0].len == word->len);
        FUZZ_CHECK(memcmp(again.fold, fold, word->len) == 0);
    }

    words_free(&again);
}


/* An excerpt as it was in the text. */
static size_t
plain(const char *p, char *out)
{
    size_t  i, n;

    static const struct {
        const char  *html;
        const char  *text;
    } list[] = {
        { "<mark>", "" }, { "</mark>", "" }, { "&amp;", "&" },
        { "&lt;", "<" }, { "&gt;", ">" }, { "&quot;", "\"" },
        { "&#39;", "'" }
    };

    n = 0;

    while (*p) {
        for (i = 0; i < 7; i++) {
            if (strncmp(p, list[i].html, strlen(list[i].html)) == 0) {
                break;
            }
        }

        if (i < 7) {
            p += strlen(list[i].html);
            memcpy(out + n, list[i].text, strlen(list[i].text));
            n += strlen(list[i].text);

        } else {
            FUZZ_CHECK(strchr("<>&\"'", *p) == NULL);
            out[n++] = *p++;
        }
    }

    out[n] = '\0';

    return n;
}


static void
check_mark(const char *mark, const char *text, size_t n)
{
    char    *out, *p;
    size_t   len;

    FUZZ_CHECK(strstr(mark, "<mark>") != NULL);
    FUZZ_CHECK(strstr(mark, "<mark></mark>") == NULL);

    out = malloc(strlen(mark) + 1);
    FUZZ_CHECK(out != NULL);
    p = out;
    len = plain(mark, out);

    if (memmem(text, n, p, len) == NULL) {
        /* something was left out before or behind */
        if (memcmp(p, "\xE2\x80\xA6", 3) == 0) {
            p += 3;
            len -= 3;
        }
        if (memmem(text, n, p, len) == NULL) {
            FUZZ_CHECK(memcmp(p + len - 3, "\xE2\x80\xA6", 3) == 0);
            len -= 3;
        }
    }

    FUZZ_CHECK(memmem(text, n, p, len) != NULL);
    FUZZ_CHECK(len <= 200 + 120);
    free(out);
}


static void
check_find(const words_query_t *q, const char *text, size_t n, int own)
{
    char      *out[EXCERPTS];
    size_t     i, count;
    words_t    w;
    uint32_t   found;

    memset(&w, 0, sizeof(w));
    words_cut(&w, text, n);
    check_words(&w, n);

    found = words_find(q, &w);
    FUZZ_CHECK((found & ~words_all(q)) == 0);
    FUZZ_CHECK(!own || found == words_all(q));

    /* what is stored is UTF-8 */

    if (!wrt_utf8_valid((const uint8_t *) text, n)) {
        words_free(&w);
        return;
    }

    count = words_mark(q, &w, text, n, out, EXCERPTS);
    FUZZ_CHECK(count <= EXCERPTS && (count > 0) == (found != 0));

    for (i = 0; i < count; i++) {
        check_mark(out[i], text, n);
        free(out[i]);
    }

    words_free(&w);
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char           *query, *text;
    size_t          len;
    const char     *why;
    words_query_t   q;

    len = strnlen((const char *) p, n);
    query = malloc(len + 1);
    text = malloc(n - len ? n - len : 1);
    FUZZ_CHECK(query != NULL && text != NULL);

    memcpy(query, p, len);
    query[len] = '\0';

    /* no text has a NUL: neither envelope nor store lets one through */

    if (len < n) {
        n = strnlen((const char *) p + len + 1, n - len - 1);
        memcpy(text, p + len + 1, n);

    } else {
        n = 0;
    }

    memset(&q, 0, sizeof(q));
    why = NULL;

    if (words_query(&q, query, &why) == 0) {
        FUZZ_CHECK(why == NULL);
        FUZZ_CHECK(q.n >= 1 && q.n <= WRT_SEARCH_WORDS_MAX);
        check_find(&q, query, len, 1);
        check_find(&q, text, n, 0);
        words_query_free(&q);

    } else {
        FUZZ_CHECK(why != NULL && q.words.fold == NULL);
    }

    free(query);
    free(text);

    return 0;
}
