/*
 * disposition.c: see disposition.h.
 *
 * filename="..." has neither a quote nor a backslash nor a percent sign:
 * programs do not agree on what those mean there (RFC 6266, appendix D).  What
 * it lacks stands in filename*, which all of today's read.
 */

#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/files/disposition.h"


/* May it stand in filename="..." as it is? */
static int
disposition_plain(unsigned char ch)
{
    return ch >= ' ' && ch < 0x7F && ch != '"' && ch != '\\' && ch != '%';
}


/* Is it an attr-char of RFC 5987? */
static int
disposition_attr(unsigned char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
           || (ch >= 'A' && ch <= 'Z')
           || (ch && strchr("!#$&+-.^_`|~", ch) != NULL);
}


void
disposition_add(buf_t *out, const char *kind, const char *name)
{
    int                   whole;
    const unsigned char  *p, *s;

    s = (const unsigned char *) name;
    whole = 1;

    buf_fmt(out, "%s; filename=\"", kind);

    for (p = s; *p; p++) {
        if (disposition_plain(*p)) {
            buf_add(out, p, 1);
            continue;
        }

        /* one underscore a character, whose further bytes say nothing */
        if (*p < 0x80 || *p >= 0xC0) {
            buf_text(out, "_");
        }

        /* of control characters nobody misses anything */
        whole = whole && (*p < ' ' || *p == 0x7F);
    }

    buf_text(out, "\"");

    if (whole || !wrt_utf8_valid(s, strlen(name))) {
        return;
    }

    buf_text(out, "; filename*=UTF-8''");

    for (p = s; *p; p++) {
        if (disposition_attr(*p)) {
            buf_add(out, p, 1);

        } else if (*p < ' ' || *p == 0x7F) {
            buf_text(out, "_");

        } else {
            buf_fmt(out, "%%%02X", *p);
        }
    }
}
