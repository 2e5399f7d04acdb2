/*
 * session_text.c: sentences and words of messages, and text made fit to be
 * shown.
 *
 * A sentence ends at a line's end, at ! or ?, and at . ; or an ellipsis with
 * a blank behind it, except after an abbreviation (Dr.) or a list number.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/session/session_internal.h"
#include "worker/store/store_internal.h"

#define STEM_MIN  3             /* letters that stay */


void *
session_grow(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (p == NULL) {
        store_oom();
    }

    return p;
}


/* p[n] stays NUL. */
void
session_add(session_buf_t *b, const char *p, size_t n)
{
    if (b->n + n + 1 > b->cap) {
        b->cap = (b->n + n + 1) * 2;
        b->p = session_grow(b->p, b->cap);
    }

    if (n > 0) {
        memcpy(b->p + b->n, p, n);
    }

    b->n += n;
    b->p[b->n] = '\0';
}


/* For short texts of ours. */
void
session_print(session_buf_t *b, const char *fmt, ...)
{
    int      n;
    char     text[256];
    va_list  ap;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    if (n > 0) {
        session_add(b, text, (size_t) n < sizeof(text) ? (size_t) n
                                                       : sizeof(text) - 1);
    }
}


void
session_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(object, key, value) != 0) {
        store_oom();
    }
}


void
session_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        store_oom();
    }
}


json_t *
session_string(const char *text)
{
    return text ? json_string_nocheck(text) : json_null();
}


json_t *
session_time(int64_t ms)
{
    char  text[WRT_TIME_LEN + 1];

    if (ms < 0) {
        return json_null();
    }

    wrt_time_format(ms, text);

    return json_string_nocheck(text);
}


const char *
session_fold(const session_t *s, size_t i)
{
    return s->words.fold + s->words.word[i].at;
}


unsigned
session_flags(const session_t *s, size_t i)
{
    return s->flags[i];
}


size_t
session_fits(const session_t *s, size_t i, size_t end, const char *pattern)
{
    size_t       n, len;
    const char  *word;

    for (n = 0; *pattern; n++) {
        if (i + n >= end) {
            return 0;
        }

        word = session_fold(s, i + n);

        if (word[0] != pattern[0]) {
            return 0;
        }

        len = strcspn(pattern, " ");

        if (pattern[len - 1] == '*') {
            if (strncmp(word, pattern, len - 1) != 0
                || strlen(word) < len + 2)
            {
                return 0;
            }

        } else if (strncmp(word, pattern, len) != 0 || word[len] != '\0') {
            return 0;
        }

        pattern += len;
        pattern += strspn(pattern, " ");
    }

    return n;
}


int
session_is_name(const session_t *s, const char *word)
{
    int     c;
    size_t  lo, hi, mid;

    lo = 0;
    hi = s->nnames;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;
        c = strcmp(s->name[mid], word);

        if (c == 0) {
            return 1;
        }

        if (c < 0) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return 0;
}


/*
 * Only what is safe without a dictionary: the clitic -nya, by far the most
 * frequent ending of Indonesian chat (datanya, kuesionernya), and the plural s
 * of English as Harman's S stemmer takes it away.
 */
void
session_stem(const char *word, char out[WRT_SEARCH_WORD_MAX + 1])
{
    size_t  n;

    n = strnlen(word, WRT_SEARCH_WORD_MAX);
    memcpy(out, word, n);
    out[n] = '\0';

    if (n >= STEM_MIN + 3 && strcmp(out + n - 3, "nya") == 0
        && strcmp(out, "bertanya") != 0)
    {
        out[n - 3] = '\0';
        return;
    }

    if (n < STEM_MIN + 1 || out[n - 1] != 's'
        || strchr("suai", out[n - 2]) != NULL)
    {
        return;
    }

    if (n > STEM_MIN + 1 && strcmp(out + n - 3, "ies") == 0) {
        out[n - 3] = 'y';
        out[n - 2] = '\0';
        return;
    }

    out[n - 1] = '\0';
}


/* The words behind which a full stop ends nothing. */
static int
is_abbreviation(const char *word)
{
    size_t             i;

    static const char  *list[] = {
        "dr", "drs", "prof", "mr", "mrs", "ms", "st", "vs", "no", "hal",
        "fig", "bpk", "sdr", "e", "g"
    };

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        if (strcmp(list[i], word) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Does p[0..n), which stands behind a word, end a sentence?  2: a question. */
static int
ends_sentence(const session_t *s, size_t word, const char *p, size_t n)
{
    int     end;
    size_t  i;

    end = 0;

    for (i = 0; i < n; i++) {
        if (p[i] == '?' || (n - i >= 3 && memcmp(p + i, "\xEF\xBC\x9F", 3) == 0)
            || (n - i >= 2 && memcmp(p + i, "\xD8\x9F", 2) == 0))
        {
            return 2;
        }

        if (p[i] == '\n' || p[i] == '!') {
            end = 1;
        }

        if ((p[i] == '.' || p[i] == ';'
             || (n - i >= 3 && memcmp(p + i, "\xE2\x80\xA6", 3) == 0))
            && memchr(p + i, ' ', n - i) != NULL
            && !(p[i] == '.' && is_abbreviation(session_fold(s, word))))
        {
            end = 1;
        }
    }

    return end;
}


static session_sentence_t *
new_sentence(session_t *s)
{
    if (s->nsentences == s->sentences_cap) {
        s->sentences_cap = s->sentences_cap ? s->sentences_cap * 2 : 16;
        s->sentence = session_grow(s->sentence, s->sentences_cap
                                                * sizeof(session_sentence_t));
    }

    return &s->sentence[s->nsentences++];
}


void
session_cut(session_t *s, const session_message_t *m)
{
    int                  end;
    size_t               i, first, to, next;
    session_sentence_t  *t;

    words_cut(&s->words, m->text, m->len);

    if (s->flags_cap < s->words.n) {
        s->flags_cap = s->words.n * 2;
        s->flags = session_grow(s->flags, s->flags_cap * sizeof(unsigned));
    }

    for (i = 0; i < s->words.n; i++) {
        s->flags[i] = session_word(session_fold(s, i));
    }

    s->cut = m;
    s->nsentences = 0;
    first = 0;

    for (i = 0; i < s->words.n; i++) {
        to = s->words.word[i].to;
        next = i + 1 < s->words.n ? s->words.word[i + 1].from : m->len;
        end = next > to ? ends_sentence(s, i, m->text + to, next - to) : 0;

        if (end == 0 && i + 1 < s->words.n) {
            continue;
        }

        t = new_sentence(s);
        t->from = s->words.word[first].from;
        t->first = (uint32_t) first;
        t->n = (uint32_t) (i + 1 - first);
        t->asks = end == 2;

        while (to < next && strchr(".?!", m->text[to]) != NULL) {
            to++;
        }

        t->to = (uint32_t) to;
        first = i + 1;
    }
}


/* Is this seen, and where it stands? */
static int
is_shown(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7F && c <= 0x9F)) {
        return 0;
    }

    return !(c == 0xAD || c == 0x61C || c == 0x180E
             || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E)
             || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF
             || (c >= 0xFFF9 && c <= 0xFFFB)
             || (c >= 0xE0000 && c <= 0xE0FFF));
}


/* The character at p, valid UTF-8; its bytes. */
static size_t
character(const unsigned char *p, size_t n, uint32_t *c)
{
    size_t  i, len;

    len = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    len = len > n ? n : len;
    *c = len == 1 ? p[0] : p[0] & (0x7Fu >> len);

    for (i = 1; i < len; i++) {
        *c = *c << 6 | (p[i] & 0x3Fu);
    }

    return len;
}


void
session_clean(session_buf_t *b, const char *p, size_t n, size_t max)
{
    int       gap;
    size_t    i, len, start, fits;
    uint32_t  c;

    start = b->n;
    gap = 0;

    for (i = 0; i < n; i += len) {
        len = character((const unsigned char *) p + i, n - i, &c);

        if (c == ' ' || (c >= '\t' && c <= '\r') || c == 0x2028
            || c == 0x2029)
        {
            gap = b->n > start;
            continue;
        }

        if (!is_shown(c)) {
            continue;
        }

        if (gap) {
            session_add(b, " ", 1);
            gap = 0;
        }

        session_add(b, p + i, len);

        if (b->n - start > max) {
            fits = wrt_utf8_cut((const uint8_t *) b->p + start, b->n - start,
                                max - 3);
            b->n = start + fits;
            session_add(b, "\xE2\x80\xA6", 3);
            return;
        }
    }

    session_add(b, "", 0);
}


json_t *
session_clean_json(const char *p, size_t n, size_t max)
{
    json_t         *text;
    session_buf_t   b;

    memset(&b, 0, sizeof(b));
    session_clean(&b, p, n, max);
    text = json_stringn_nocheck(b.p, b.n);
    free(b.p);

    return text;
}
