/*
 * upload_form.c: multipart/form-data (see upload_form.h).
 *
 * Headers and transfer encodings are read by GMime (upload_mime.c).  Where
 * parts begin and end is found here: a form is flat, while GMime's parser
 * follows any nesting that a part's Content-Type asks for and makes objects of
 * all it finds, so that a body of some megabytes could cost gigabytes.
 *
 *     preamble CRLF --boundary CRLF header CRLF CRLF content
 *              CRLF --boundary CRLF header CRLF CRLF content
 *              CRLF --boundary-- epilogue
 */

#define _GNU_SOURCE                 /* memmem() */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/wrt_id.h"
#include "common/wrt_utf8.h"
#include "worker/files/upload/upload_file.h"
#include "worker/files/upload/upload_form.h"
#include "worker/files/upload/upload_mime.h"

#define FORM_BLOCK       (64 * 1024)
#define FORM_NEEDLE_MAX  (MIME_BOUNDARY_MAX + 4)

typedef enum {
    FIELD_FILE = 0,
    FIELD_DESCRIPTION,
    FIELD_REPLY_TO,
    FIELD_CLIENT_ID,
    FIELD_OTHER
} field_t;

static const char  *form_fields[] = {
    "file", "description", "replyTo", "clientMessageId"
};

typedef struct {
    form_t    *f;
    int        in;
    int        dirfd;
    int64_t    max;                 /* of the file */
    char       needle[FORM_NEEDLE_MAX + 1];     /* CRLF--boundary */
    size_t     nneedle;
    unsigned   seen;                /* bits of field_t */
    char      *block;               /* FORM_BLOCK and a needle */
} form_ctx_t;

typedef struct {
    field_t        field;
    mime_header_t  header;
    int64_t        begin;           /* of the content */
    int64_t        end;
} part_t;

static form_rc_t form_parts(form_ctx_t *x);
static form_rc_t form_part(form_ctx_t *x, part_t *part, char *header,
    size_t n);
static form_rc_t form_field(form_ctx_t *x, const part_t *part);
static form_rc_t form_file(form_ctx_t *x, const part_t *part);


static form_rc_t __attribute__((format(printf, 4, 5)))
form_refuse(form_ctx_t *x, form_rc_t rc, const char *field, const char *fmt,
    ...)
{
    va_list  args;

    va_start(args, fmt);
    vsnprintf(x->f->text, sizeof(x->f->text), fmt, args);
    va_end(args);

    x->f->field = field;

    return rc;
}


form_rc_t
upload_form_read(form_t *f, const char *path, const char *content_type,
    int dirfd, int64_t max)
{
    char         boundary[MIME_BOUNDARY_MAX + 1];
    form_rc_t    rc;
    form_ctx_t   x;
    struct stat  st;

    memset(f, 0, sizeof(*f));
    f->fd = -1;
    f->field = "";

    memset(&x, 0, sizeof(x));
    x.f = f;
    x.dirfd = dirfd;
    x.max = max;
    x.in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (x.in < 0 || fstat(x.in, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = form_refuse(&x, FORM_FAILED, "", "spooled body: %s",
                         x.in < 0 ? strerror(errno) : "not a file");

        if (x.in >= 0) {
            close(x.in);
        }

        return rc;
    }

    x.block = malloc(FORM_BLOCK + FORM_NEEDLE_MAX);

    if (x.block == NULL) {
        close(x.in);
        return form_refuse(&x, FORM_FAILED, "", "no memory");
    }

    if (mime_boundary(content_type ? content_type : "", boundary) == 0) {
        x.nneedle = (size_t) snprintf(x.needle, sizeof(x.needle), "\r\n--%s",
                                      boundary);
        rc = form_parts(&x);

    } else {
        rc = form_refuse(&x, FORM_INVALID, "", "Content-Type must be "
                         "multipart/form-data with a boundary of 1 to %d "
                         "ASCII characters", MIME_BOUNDARY_MAX);
    }

    if (rc != FORM_OK && f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }

    free(x.block);
    close(x.in);

    return rc;
}


void
upload_form_free(form_t *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }

    free(f->description);
    f->fd = -1;
    f->description = NULL;
}


/* So many bytes at this place, as far as there are; before the beginning, at
 * -2, stands a CRLF, so that a body may open with its boundary.  -1: failed. */
static ssize_t
form_read(form_ctx_t *x, int64_t at, char *p, size_t n)
{
    size_t   done;
    ssize_t  got;

    for (done = 0; done < n && at + (int64_t) done < 0; done++) {
        p[done] = "\r\n"[at + 2 + (int64_t) done];
    }

    for ( ; done < n; done += (size_t) got) {
        got = pread(x->in, p + done, n - done, at + (int64_t) done);

        if (got == 0) {
            break;
        }

        if (got < 0) {
            if (errno == EINTR) {
                got = 0;
                continue;
            }

            form_refuse(x, FORM_FAILED, "", "spooled body: %s",
                        strerror(errno));
            return -1;
        }
    }

    return (ssize_t) done;
}


/*
 * The next line of the boundary at or after `at`: where it begins (with its
 * CRLF) and where what follows it begins.  Returns 1, *last if it is the
 * closing one; 0 there is none, -1 failed.
 */
static int
form_delimiter(form_ctx_t *x, int64_t at, int64_t *begin, int64_t *next,
    int *last)
{
    char     tail[64], *p, *from;
    size_t   n, left, i;
    ssize_t  got;

    for ( ;; ) {
        got = form_read(x, at, x->block, FORM_BLOCK + x->nneedle - 1);

        if (got < 0) {
            return -1;
        }

        n = (size_t) got;
        from = x->block;

        while ((p = memmem(from, n - (size_t) (from - x->block), x->needle,
                           x->nneedle)) != NULL)
        {
            *begin = at + (p - x->block);
            got = form_read(x, *begin + (int64_t) x->nneedle, tail,
                            sizeof(tail));

            if (got < 0) {
                return -1;
            }

            left = (size_t) got;

            if (left >= 2 && tail[0] == '-' && tail[1] == '-') {
                *last = 1;
                return 1;
            }

            /* blanks may follow (RFC 2046: transport padding) */
            for (i = 0; i < left && (tail[i] == ' ' || tail[i] == '\t'); i++) {
                /* void */
            }

            if (i + 2 <= left && tail[i] == '\r' && tail[i + 1] == '\n') {
                *last = 0;
                *next = *begin + (int64_t) (x->nneedle + i + 2);
                return 1;
            }

            /* a longer word that begins like it: content */
            from = p + 1;
        }

        if (n < FORM_BLOCK + x->nneedle - 1) {
            return 0;
        }

        at += FORM_BLOCK;
    }
}


static form_rc_t
form_parts(form_ctx_t *x)
{
    int        rc, last;
    char      *header, *end;
    size_t     n;
    part_t     part;
    int64_t    begin, at;
    ssize_t    got;
    unsigned   i;
    form_rc_t  fr;

    rc = form_delimiter(x, -2, &begin, &at, &last);

    for (i = 0; rc == 1 && !last; i++) {

        if (i == WRT_FORM_PARTS_MAX) {
            return form_refuse(x, FORM_INVALID, "", "the form has more than "
                               "%d parts", WRT_FORM_PARTS_MAX);
        }

        memset(&part, 0, sizeof(part));

        /* the header may be empty: then its end is the line's own CRLF */
        header = x->block;
        got = form_read(x, at - 2, header, WRT_FORM_HEADER_MAX);

        if (got < 0) {
            return FORM_FAILED;
        }

        end = memmem(header, (size_t) got, "\r\n\r\n", 4);

        if (end == NULL) {
            return form_refuse(x, FORM_INVALID, "", got < WRT_FORM_HEADER_MAX
                               ? "the body ends in the header of a part"
                               : "the header of a part is longer than %d "
                               "bytes", WRT_FORM_HEADER_MAX - 4);
        }

        n = (size_t) (end - header);
        part.begin = at - 2 + (int64_t) n + 4;

        fr = form_part(x, &part, header, n);

        if (fr != FORM_OK) {
            return fr;
        }

        /* an empty part: the CRLF that ends its header is the delimiter's */
        rc = form_delimiter(x, part.begin - 2, &part.end, &at, &last);

        if (rc != 1) {
            break;
        }

        if (part.end < part.begin) {
            part.end = part.begin;
        }

        fr = part.field == FIELD_FILE ? form_file(x, &part)
                                      : form_field(x, &part);

        if (fr != FORM_OK) {
            return fr;
        }
    }

    if (rc < 0) {
        return FORM_FAILED;
    }

    if (rc == 0) {
        return form_refuse(x, FORM_INVALID, "", "the body ends before the "
                           "closing boundary");
    }

    if (!(x->seen & 1U << FIELD_FILE)) {
        return form_refuse(x, FORM_INVALID, "file", "the form must have a "
                           "part \"file\" with a file name");
    }

    return FORM_OK;
}


/* Who is it?  header[0..n) is followed by CRLF CRLF; it begins with the one
 * before it. */
static form_rc_t
form_part(form_ctx_t *x, part_t *part, char *header, size_t n)
{
    size_t       i;
    const char  *name;

    for (i = 0; i < n; i++) {
        if (header[i] == '\0') {
            return form_refuse(x, FORM_INVALID, "", "the header of a part "
                               "has a NUL character");
        }
    }

    if (n < 2 || mime_header(&part->header, header + 2, n - 2 + 4) != 0) {
        return form_refuse(x, FORM_INVALID, "", "each part must have one "
                           "Content-Disposition: form-data with one name, "
                           "and one file name at most");
    }

    while (part->field < FIELD_OTHER
           && strcmp(form_fields[part->field], part->header.field) != 0)
    {
        part->field++;
    }

    if (part->field == FIELD_OTHER) {

        if (part->header.has_name) {
            return form_refuse(x, FORM_INVALID, "file", "only one file can "
                               "be sent, as the part \"file\"");
        }

        return FORM_OK;
    }

    name = form_fields[part->field];

    if (x->seen & 1U << part->field) {
        return form_refuse(x, FORM_INVALID, name, part->field == FIELD_FILE
                           ? "only one file can be sent at a time"
                           : "the part \"%s\" came twice", name);
    }

    x->seen |= 1U << part->field;

    if (part->field == FIELD_FILE && !part->header.has_name) {
        return form_refuse(x, FORM_INVALID, name, "the part \"file\" must "
                           "have a file name");
    }

    if (part->field != FIELD_FILE && part->header.has_name) {
        return form_refuse(x, FORM_INVALID, name, "\"%s\" must be text, not "
                           "a file", name);
    }

    if (part->header.encoding == MIME_UNKNOWN) {
        return form_refuse(x, FORM_INVALID, name, "Content-Transfer-Encoding "
                           "must be binary, base64 or quoted-printable");
    }

    return FORM_OK;
}


/* A field's whole content as text; no longer than max. */
static form_rc_t
form_text(form_ctx_t *x, const part_t *part, size_t max, char **out)
{
    char           *s;
    size_t          n;
    ssize_t         got;
    const char     *name;
    mime_stream_t  *stream;

    name = form_fields[part->field];
    s = malloc(max + 2);

    if (s == NULL) {
        return form_refuse(x, FORM_FAILED, "", "no memory");
    }

    got = 0;
    stream = mime_open(x->in, part->begin, part->end,
                       part->header.encoding);

    for (n = 0; n <= max; n += (size_t) got) {
        got = mime_read(stream, s + n, max + 1 - n);

        if (got <= 0) {
            break;
        }
    }

    mime_close(stream);
    s[n] = '\0';
    *out = s;

    if (got < 0) {
        return form_refuse(x, FORM_FAILED, "", "spooled body: %s",
                           strerror(errno));
    }

    if (n > max) {
        return form_refuse(x, FORM_INVALID, name, "%s must have at most %zu "
                           "bytes", name, max);
    }

    if (memchr(s, '\0', n) || !wrt_utf8_valid((const uint8_t *) s, n)) {
        return form_refuse(x, FORM_INVALID, name, "%s must be UTF-8 text",
                           name);
    }

    return FORM_OK;
}


/* As in an event (wrt_envelope), where its caller looks at all of Unicode. */
static int
form_client_id_ok(const char *s)
{
    for ( ; *s; s++) {
        if ((unsigned char) *s <= ' ' || *s == 0x7F) {
            return 0;
        }
    }

    return 1;
}


static form_rc_t
form_field(form_ctx_t *x, const part_t *part)
{
    char       *s;
    size_t      max;
    form_t     *f;
    form_rc_t   rc;

    if (part->field == FIELD_OTHER) {
        return FORM_OK;
    }

    f = x->f;
    s = NULL;
    max = part->field == FIELD_DESCRIPTION ? WRT_DESCRIPTION_MAX
          : part->field == FIELD_REPLY_TO ? WRT_ID_MAX
          : WRT_CLIENT_MSG_ID_MAX;

    rc = form_text(x, part, max, &s);

    if (rc != FORM_OK || s[0] == '\0') {
        free(s);
        return rc;
    }

    if (part->field == FIELD_DESCRIPTION) {
        f->description = s;
        return FORM_OK;
    }

    if (part->field == FIELD_REPLY_TO) {

        if (wrt_id_valid(s, strlen(s))) {
            memcpy(f->reply_to, s, strlen(s) + 1);

        } else {
            rc = form_refuse(x, FORM_INVALID, "replyTo", "replyTo must be "
                             "the id of a message");
        }

    } else if (form_client_id_ok(s)) {
        memcpy(f->client_id, s, strlen(s) + 1);

    } else {
        rc = form_refuse(x, FORM_INVALID, "clientMessageId",
                         "clientMessageId must not have spaces or control "
                         "characters");
    }

    free(s);

    return rc;
}


static int
form_write(int fd, const char *p, size_t n)
{
    ssize_t  done;

    while (n > 0) {
        done = write(fd, p, n);

        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }

            return -1;
        }

        p += done;
        n -= (size_t) done;
    }

    return 0;
}


static form_rc_t
form_too_large(form_ctx_t *x)
{
    return form_refuse(x, FORM_TOO_LARGE, "file", "the file is larger than "
                       "%lld bytes", (long long) x->max);
}


/* The bytes into their own file, hashed on the way. */
static form_rc_t
form_copy(form_ctx_t *x, const part_t *part, EVP_MD_CTX *md)
{
    ssize_t         got;
    form_rc_t       rc;
    mime_stream_t  *stream;

    rc = FORM_OK;
    stream = mime_open(x->in, part->begin, part->end,
                       part->header.encoding);

    while ((got = mime_read(stream, x->block, FORM_BLOCK)) > 0) {
        x->f->size += got;

        if (x->f->size > x->max) {
            rc = form_too_large(x);
            break;
        }

        if (EVP_DigestUpdate(md, x->block, (size_t) got) != 1
            || form_write(x->f->fd, x->block, (size_t) got) != 0)
        {
            rc = form_refuse(x, FORM_FAILED, "", "writing the file: %s",
                             strerror(errno));
            break;
        }
    }

    if (got < 0) {
        rc = form_refuse(x, FORM_FAILED, "", "spooled body: %s",
                         strerror(errno));
    }

    mime_close(stream);

    return rc;
}


static form_rc_t
form_file(form_ctx_t *x, const part_t *part)
{
    form_t         *f;
    unsigned        n;
    form_rc_t       rc;
    EVP_MD_CTX     *md;
    unsigned char   hash[EVP_MAX_MD_SIZE];

    f = x->f;
    memcpy(f->name, part->header.name, sizeof(f->name));

    if (part->header.encoding == MIME_PLAIN
        && part->end - part->begin > x->max) {
        return form_too_large(x);
    }

    f->fd = upload_file_create(x->dirfd);

    if (f->fd < 0) {
        return form_refuse(x, FORM_FAILED, "", "creating a file: %s",
                           strerror(errno));
    }

    md = EVP_MD_CTX_new();

    if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        return form_refuse(x, FORM_FAILED, "", "SHA-256 is not to be had");
    }

    rc = form_copy(x, part, md);

    if (rc == FORM_OK && f->size == 0) {
        rc = form_refuse(x, FORM_INVALID, "file", "the file is empty");
    }

    if (rc == FORM_OK && EVP_DigestFinal_ex(md, hash, &n) != 1) {
        rc = form_refuse(x, FORM_FAILED, "", "SHA-256 is not to be had");
    }

    EVP_MD_CTX_free(md);

    if (rc == FORM_OK) {
        wrt_hex(hash, FORM_HASH_LEN / 2, f->hash);
    }

    return rc;
}
