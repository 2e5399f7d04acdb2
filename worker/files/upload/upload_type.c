/*
 * upload_type.c: types of files (see upload_type.h); the only file that knows
 * libmagic.
 *
 * libmagic tells what a file begins like.  That is not enough where a file can
 * be two things at once, so each type has a look of its own:
 *
 *   pdf         %PDF- at the very beginning (readers take it anywhere in the
 *               first 1024 bytes: what stands before it is something else)
 *   docx, pptx  upload_office.c
 *   txt         all of it UTF-8 without control characters, and not a kind of
 *               text that a browser or a shell would run
 *   pictures    the signature, and nowhere a tag of HTML: GIF89a may be
 *               followed by a script that is a comment to the decoder
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <magic.h>

#include "common/wrt_utf8.h"
#include "worker/files/upload/upload_office.h"
#include "worker/files/upload/upload_type.h"

#define TYPE_HEAD   (1024 * 1024)   /* what libmagic looks at by itself */
#define TYPE_BLOCK  (64 * 1024)

typedef struct type_row_s  type_row_t;

struct type_magic_s {
    magic_t          cookie;
    unsigned char   *head;          /* TYPE_HEAD, of the file in hand */
};

typedef struct {
    type_magic_t      *m;
    int                fd;
    const type_row_t  *row;
    upload_type_t     *out;
    size_t             n;           /* bytes in head */
    const char        *mime;        /* libmagic's word */
} type_ctx_t;

struct type_row_s {
    const char   *ext;
    type_kind_t   kind;
    const char   *mime;
    const char   *sniffed[4];       /* what libmagic may call it, NULL: see
                                       the check */
    const char   *magic;            /* the first bytes */
    size_t        nmagic;
    type_rc_t   (*check)(type_ctx_t *x);
};

static type_rc_t type_pdf(type_ctx_t *x);
static type_rc_t type_office(type_ctx_t *x);
static type_rc_t type_text(type_ctx_t *x);
static type_rc_t type_picture(type_ctx_t *x);

#define TYPE_OOXML  "application/vnd.openxmlformats-officedocument."
#define TYPE_DOCX   TYPE_OOXML "wordprocessingml.document"
#define TYPE_PPTX   TYPE_OOXML "presentationml.presentation"
#define TYPE_SIG(s)  s, sizeof(s) - 1

static const type_row_t  type_rows[] = {
    { ".pdf", TYPE_PDF, "application/pdf", { "application/pdf" },
      TYPE_SIG("%PDF-"), type_pdf },

    /* the order of parts decides whether libmagic knows more than "zip" */
    { ".docx", TYPE_OTHER, TYPE_DOCX,
      { TYPE_DOCX, "application/zip", "application/octet-stream" },
      TYPE_SIG("PK\003\004"), type_office },
    { ".pptx", TYPE_OTHER, TYPE_PPTX,
      { TYPE_PPTX, "application/zip", "application/octet-stream" },
      TYPE_SIG("PK\003\004"), type_office },

    { ".txt", TYPE_OTHER, "text/plain; charset=utf-8", { NULL },
      TYPE_SIG(""), type_text },
    { ".jpg", TYPE_JPEG, "image/jpeg", { "image/jpeg" },
      TYPE_SIG("\xFF\xD8\xFF"), type_picture },
    { ".jpeg", TYPE_JPEG, "image/jpeg", { "image/jpeg" },
      TYPE_SIG("\xFF\xD8\xFF"), type_picture },
    { ".png", TYPE_PNG, "image/png", { "image/png" },
      TYPE_SIG("\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR"), type_picture },
    { ".gif", TYPE_GIF, "image/gif", { "image/gif" }, TYPE_SIG("GIF8"),
      type_picture },

    { NULL, 0, NULL, { NULL }, NULL, 0, NULL }
};

/* Texts that something runs, by libmagic's name; a program in another language
 * is text to read. */
static const char  *type_active[] = {
    "text/html", "text/xml", "text/x-php", "text/javascript",
    "text/x-shellscript", "text/x-msdos-batch", "text/vbscript",
    "text/x-powershell", "application/", "image/", NULL
};

/* Tags that make HTML of anything for a browser that guesses.  Long enough not
 * to occur by chance in some megabytes of picture. */
static const char  *type_tags[] = {
    "<script", "<iframe", "<!doctype", "<html>", "<html ", "<body ", "<body>",
    "<object ", "<embed ", "<svg xmlns", "javascript:", NULL
};


static type_rc_t __attribute__((format(printf, 3, 4)))
type_refuse(upload_type_t *out, type_rc_t rc, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(out->text, sizeof(out->text), fmt, args);
    va_end(args);

    return rc;
}


type_magic_t *
upload_type_open(char *err, size_t size)
{
    type_magic_t  *m;

    m = calloc(1, sizeof(*m));

    if (m) {
        m->head = malloc(TYPE_HEAD);
        m->cookie = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS);
    }

    if (m == NULL || m->head == NULL || m->cookie == NULL) {
        snprintf(err, size, "no memory for libmagic");
        upload_type_close(m);
        return NULL;
    }

    if (magic_load(m->cookie, NULL) != 0) {
        snprintf(err, size, "libmagic: %s", magic_error(m->cookie));
        upload_type_close(m);
        return NULL;
    }

    return m;
}


void
upload_type_close(type_magic_t *m)
{
    if (m == NULL) {
        return;
    }

    if (m->cookie) {
        magic_close(m->cookie);
    }

    free(m->head);
    free(m);
}


/* So many bytes at this place, as far as there are; -1 failed. */
static ssize_t
type_read(type_ctx_t *x, off_t at, unsigned char *p, size_t n)
{
    size_t   done;
    ssize_t  got;

    for (done = 0; done < n; done += (size_t) got) {
        got = pread(x->fd, p + done, n - done, at + (off_t) done);

        if (got == 0) {
            break;
        }

        if (got < 0) {
            if (errno != EINTR) {
                type_refuse(x->out, TYPE_FAILED, "reading the file: %s",
                            strerror(errno));
                return -1;
            }

            got = 0;
        }
    }

    return (ssize_t) done;
}


static int
type_allowed(const char *ext, const char *const *allowed, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (strcasecmp(ext, allowed[i]) == 0) {
            return 1;
        }
    }

    return allowed == NULL;
}


/* Does libmagic agree?  Its word is told to the client: it is its file. */
static type_rc_t
type_sniff(type_ctx_t *x)
{
    size_t             i;
    ssize_t            n;
    const type_row_t  *row;

    row = x->row;
    n = type_read(x, 0, x->m->head, TYPE_HEAD);

    if (n < 0) {
        return TYPE_FAILED;
    }

    x->n = (size_t) n;
    x->mime = magic_buffer(x->m->cookie, x->m->head, x->n);

    if (x->mime == NULL) {
        return type_refuse(x->out, TYPE_FAILED, "libmagic: %s",
                           magic_error(x->m->cookie));
    }

    for (i = 0; row->sniffed[i] && strcmp(row->sniffed[i], x->mime) != 0; i++)
    {
        /* void */
    }

    if ((row->sniffed[0] && row->sniffed[i] == NULL)
        || x->n < row->nmagic
        || memcmp(x->m->head, row->magic, row->nmagic) != 0)
    {
        return type_refuse(x->out, TYPE_REFUSED, "the content is not that "
                           "of a %s file (it looks like %.100s)", row->ext,
                           x->mime);
    }

    return row->check(x);
}


type_rc_t
upload_type_check(type_magic_t *m, int fd, const char *name,
    const char *const *allowed, size_t nallowed, upload_type_t *out)
{
    type_rc_t          rc;
    type_ctx_t         x;
    const type_row_t  *row;

    memset(out, 0, sizeof(*out));
    upload_name_ext(name, out->ext);

    for (row = type_rows; row->ext && strcmp(row->ext, out->ext) != 0; row++) {
        /* void */
    }

    if (row->ext == NULL) {
        return type_refuse(out, TYPE_REFUSED, "files must be .pdf, .docx, "
                           ".pptx, .txt, .jpg, .jpeg, .png or .gif");
    }

    if (!type_allowed(row->ext, allowed, nallowed)) {
        return type_refuse(out, TYPE_REFUSED, "%s files are not allowed in "
                           "this conversation", row->ext);
    }

    memset(&x, 0, sizeof(x));
    x.m = m;
    x.fd = fd;
    x.row = row;
    x.out = out;

    rc = type_sniff(&x);

    if (rc == TYPE_OK) {
        out->kind = row->kind;
        out->mime = row->mime;
    }

    return rc;
}


/* %PDF-1.x or %PDF-2.x */
static type_rc_t
type_pdf(type_ctx_t *x)
{
    const unsigned char  *p;

    p = x->m->head;

    if (x->n < 8 || (p[5] != '1' && p[5] != '2') || p[6] != '.') {
        return type_refuse(x->out, TYPE_REFUSED, "the content is not that of "
                           "a .pdf file");
    }

    return TYPE_OK;
}


static type_rc_t
type_office(type_ctx_t *x)
{
    int          failed;
    const char  *why;

    why = upload_office_check(x->fd, strcmp(x->row->ext, ".docx") == 0
                                     ? OFFICE_WORD : OFFICE_SLIDES, &failed);

    if (why == NULL) {
        return TYPE_OK;
    }

    return type_refuse(x->out, failed ? TYPE_FAILED : TYPE_REFUSED, "the "
                       "content is not that of a %s file: %s", x->row->ext,
                       why);
}


/* Does it open with a tag?  What a browser that guesses looks for first. */
static int
type_opens_with_tag(const unsigned char *p, size_t n)
{
    size_t  i;

    i = n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

    while (i < n && (p[i] == ' ' || (p[i] >= '\t' && p[i] <= '\r'))) {
        i++;
    }

    return i + 1 < n && p[i] == '<'
           && (p[i + 1] == '!' || p[i + 1] == '?'
               || (p[i + 1] >= 'A' && p[i + 1] <= 'Z')
               || (p[i + 1] >= 'a' && p[i + 1] <= 'z'));
}


static type_rc_t
type_text(type_ctx_t *x)
{
    off_t           at;
    size_t          i;
    ssize_t         n;
    wrt_utf8_t      utf8;
    unsigned char  *p;

    for (i = 0; type_active[i]; i++) {
        if (strncasecmp(x->mime, type_active[i], strlen(type_active[i])) == 0
            && strcmp(x->mime, "application/json") != 0
            && strcmp(x->mime, "application/x-ndjson") != 0
            && strcmp(x->mime, "application/octet-stream") != 0)
        {
            return type_refuse(x->out, TYPE_REFUSED, "the content is not "
                               "plain text (it looks like %.100s)", x->mime);
        }
    }

    if (type_opens_with_tag(x->m->head, x->n)
        || (x->n >= 2 && memcmp(x->m->head, "#!", 2) == 0))
    {
        return type_refuse(x->out, TYPE_REFUSED, "the content is not plain "
                           "text: it opens like a page or a script");
    }

    p = x->m->head;
    utf8.state = 0;

    for (at = 0; (n = type_read(x, at, p, TYPE_BLOCK)) > 0; at += n) {

        if (wrt_utf8_feed(&utf8, p, (size_t) n) != 0) {
            return type_refuse(x->out, TYPE_REFUSED, "text must be UTF-8");
        }

        for (i = 0; i < (size_t) n; i++) {
            if ((p[i] < ' ' && (p[i] < '\t' || p[i] > '\r')) || p[i] == 0x7F) {
                return type_refuse(x->out, TYPE_REFUSED, "text must not have "
                                   "control characters");
            }
        }
    }

    if (n < 0) {
        return TYPE_FAILED;
    }

    if (!wrt_utf8_done(&utf8)) {
        return type_refuse(x->out, TYPE_REFUSED, "text must be UTF-8");
    }

    return TYPE_OK;
}


static int
type_has_tag(const unsigned char *p, size_t n)
{
    size_t                i;
    const char           *s;
    const unsigned char  *end;

    for (end = p + n; p < end; p++) {

        if (*p != '<' && (*p | 0x20) != 'j') {
            continue;
        }

        for (i = 0; (s = type_tags[i]) != NULL; i++) {
            if (strlen(s) <= (size_t) (end - p)
                && strncasecmp((const char *) p, s, strlen(s)) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


/* Tags nowhere, across blocks, too. */
static type_rc_t
type_picture(type_ctx_t *x)
{
    off_t           at;
    ssize_t         n;
    unsigned char  *p;

    p = x->m->head;

    for (at = 0; (n = type_read(x, at, p, TYPE_BLOCK + 16)) > 0;
         at += TYPE_BLOCK)
    {
        if (type_has_tag(p, (size_t) n)) {
            return type_refuse(x->out, TYPE_REFUSED, "the content is not "
                               "only that of a %s file: it has HTML in it",
                               x->row->ext);
        }
    }

    return n < 0 ? TYPE_FAILED : TYPE_OK;
}
