/*
 * upload_name.c: file names as data (see upload_name.h).
 *
 * What goes, and why:
 *   path                "../../etc/x", "C:\x": only the last part is a name
 *   control characters  NUL, newline: they end or split headers and lines
 *   direction marks     U+202E makes "exe.png" of "gnp.exe"
 *   what is not seen    two names that look alike would not be the same
 *   "<>:|?* and quotes  mean something to shells, headers and Windows
 *   dots and blanks at  hide a file, or are dropped by Windows so that the
 *   either end          extension that was checked is not the last one
 */

#include <stdint.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/files/upload/upload_name.h"

#define NAME_NONE     "file"
#define NAME_REPLACE  '_'

/* Of a longer one the end is looked at: it has the extension.  Latin-1 doubles
 * on its way to UTF-8. */
#define NAME_IN_MAX   4096
#define NAME_BUF      (2 * NAME_IN_MAX)

typedef struct {
    uint32_t  first;
    uint32_t  last;
} name_range_t;

/* Dropped. */
static const name_range_t  name_hidden[] = {
    { 0x00, 0x1F },             /* C0 */
    { 0x7F, 0x9F },             /* DEL, C1 */
    { 0xAD, 0xAD },             /* soft hyphen */
    { 0x61C, 0x61C },           /* Arabic letter mark */
    { 0x180E, 0x180E },
    { 0x200B, 0x200B },         /* zero width space; 200C and 200D join letters
                                   and emoji, names need them */
    { 0x200E, 0x200F },         /* direction marks */
    { 0x2028, 0x202E },         /* line, paragraph; embeddings, overrides */
    { 0x2060, 0x206F },         /* word joiner; isolates */
    { 0xFE00, 0xFE0E },         /* variations, but FE0F: emoji */
    { 0xFEFF, 0xFEFF },
    { 0xFFF0, 0xFFFB },
    { 0xFFFE, 0xFFFF },
    { 0xE0000, 0xE0FFF }        /* tags */
};


static uint32_t
name_next(const unsigned char **p)
{
    uint32_t  c;
    unsigned  n;

    c = *(*p)++;

    if (c < 0x80) {
        return c;
    }

    n = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    c &= 0x3F >> n;

    for ( ; n > 0; n--) {
        c = c << 6 | (*(*p)++ & 0x3F);
    }

    return c;
}


static size_t
name_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char) c;
        return 1;
    }

    if (c < 0x800) {
        out[0] = (char) (0xC0 | c >> 6);
        out[1] = (char) (0x80 | (c & 0x3F));
        return 2;
    }

    if (c < 0x10000) {
        out[0] = (char) (0xE0 | c >> 12);
        out[1] = (char) (0x80 | (c >> 6 & 0x3F));
        out[2] = (char) (0x80 | (c & 0x3F));
        return 3;
    }

    out[0] = (char) (0xF0 | c >> 18);
    out[1] = (char) (0x80 | (c >> 12 & 0x3F));
    out[2] = (char) (0x80 | (c >> 6 & 0x3F));
    out[3] = (char) (0x80 | (c & 0x3F));

    return 4;
}


static int
name_is_hidden(uint32_t c)
{
    size_t  i;

    for (i = 0; i < sizeof(name_hidden) / sizeof(name_hidden[0]); i++) {
        if (c >= name_hidden[i].first && c <= name_hidden[i].last) {
            return 1;
        }
    }

    return 0;
}


static int
name_is_blank(uint32_t c)
{
    return c == ' ' || c == 0xA0 || c == 0x1680 || c == 0x3000
           || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F;
}


/* The last part of a path; a name that is not UTF-8 becomes it.  Returns its
 * length. */
static size_t
name_decode(const char *p, size_t n, char out[NAME_BUF])
{
    size_t  i, len;

    for (i = n; i > 0 && p[i - 1] != '/' && p[i - 1] != '\\'; i--) {
        /* void */
    }

    p += i;
    n -= i;

    if (wrt_utf8_valid((const uint8_t *) p, n)) {
        memcpy(out, p, n);
        return n;
    }

    len = 0;

    for (i = 0; i < n; i++) {
        len += name_put(out + len, (unsigned char) p[i]);
    }

    return len;
}


/* Filter in place: it never grows. */
static size_t
name_filter(char *name, size_t n)
{
    size_t                len;
    uint32_t              c;
    const unsigned char  *p, *end;

    len = 0;
    p = (const unsigned char *) name;
    end = p + n;

    while (p < end) {
        c = name_next(&p);

        if (name_is_hidden(c)) {
            continue;
        }

        if (name_is_blank(c)) {
            c = ' ';

        } else if (c < 0x80 && strchr("\"<>:|?*`", (int) c)) {
            c = NAME_REPLACE;
        }

        if ((c == ' ' || c == '.') && len == 0) {
            continue;
        }

        len += name_put(name + len, c);
    }

    while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '.')) {
        len--;
    }

    return len;
}


/* Where the extension begins, n when there is none. */
static size_t
name_ext_at(const char *p, size_t n)
{
    size_t  i;
    char    c;

    for (i = n; i > 0 && n - i < UPLOAD_EXT_MAX; i--) {
        c = p[i - 1];

        if (c == '.') {
            return i < n ? i - 1 : n;
        }

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
              || (c >= 'a' && c <= 'z')))
        {
            break;
        }
    }

    return n;
}


void
upload_name_clean(const char *p, size_t n, char out[UPLOAD_NAME_SIZE])
{
    char    buf[NAME_BUF];
    size_t  len, at, ext;

    if (n > NAME_IN_MAX) {
        p += n - NAME_IN_MAX;

        for (n = NAME_IN_MAX; n > 0 && (*p & 0xC0) == 0x80; n--) {
            p++;
        }
    }

    len = name_decode(p, n, buf);
    len = name_filter(buf, len);
    at = name_ext_at(buf, len);
    ext = len - at;

    if (len == 0) {
        memcpy(buf, NAME_NONE, sizeof(NAME_NONE) - 1);
        len = at = sizeof(NAME_NONE) - 1;
    }

    if (len > WRT_FILE_NAME_MAX) {
        len = wrt_utf8_cut((const uint8_t *) buf, at,
                           WRT_FILE_NAME_MAX - ext);

        /* not "name .pdf" */
        while (len > 1 && (buf[len - 1] == ' ' || buf[len - 1] == '.')) {
            len--;
        }

        memmove(buf + len, buf + at, ext);
        len += ext;
    }

    memcpy(out, buf, len);
    out[len] = '\0';
}


void
upload_name_ext(const char *name, char out[UPLOAD_EXT_MAX + 1])
{
    size_t  n, at, i;

    n = strlen(name);
    at = name_ext_at(name, n);

    for (i = at; i < n; i++) {
        out[i - at] = (char) (name[i] >= 'A' && name[i] <= 'Z'
                              ? name[i] + ('a' - 'A') : name[i]);
    }

    out[n - at] = '\0';
}
