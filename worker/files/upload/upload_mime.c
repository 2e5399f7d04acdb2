/*
 * upload_mime.c: the only file that knows GMime (see upload_mime.h).
 *
 * It is asked for what is hard to read: the parameters of headers (quotes, RFC
 * 2231 and 5987, words of RFC 2047, 8-bit bytes of whatever charset) and the
 * transfer encodings.  It never sees more than one part's header at a time.
 */

#include <string.h>

#include <gmime/gmime.h>

#include "worker/files/upload/upload_mime.h"


/* It counts its calls. */
static void
mime_init(void)
{
    static int  done;

    if (!done) {
        g_mime_init();
        done = 1;
    }
}


int
mime_boundary(const char *content_type, char out[MIME_BOUNDARY_MAX + 1])
{
    int                ok;
    size_t             i, n;
    const char        *b;
    GMimeContentType  *ct;

    mime_init();
    ct = g_mime_content_type_parse(NULL, content_type);

    if (ct == NULL) {
        return -1;
    }

    b = g_mime_content_type_get_parameter(ct, "boundary");
    n = b ? strlen(b) : 0;
    ok = g_mime_content_type_is_type(ct, "multipart", "form-data")
         && n >= 1 && n <= MIME_BOUNDARY_MAX && b[n - 1] != ' ';

    for (i = 0; ok && i < n; i++) {
        ok = b[i] >= ' ' && b[i] <= '~';
    }

    if (ok) {
        memcpy(out, b, n + 1);
    }

    g_object_unref(ct);

    return ok ? 0 : -1;
}


/* Browsers, and Dart's clients, write a quotation mark in a name as %22 and an
 * end of line as %0D%0A, and no other percent sign means anything there (HTML
 * standard, multipart/form-data). */
static void
mime_unescape(char *s)
{
    char  *out;

    for (out = s; *s; out++) {
        if (strncmp(s, "%22", 3) == 0) {
            *out = '"';
            s += 3;

        } else if (g_ascii_strncasecmp(s, "%0D", 3) == 0
                   || g_ascii_strncasecmp(s, "%0A", 3) == 0)
        {
            *out = '\n';
            s += 3;

        } else {
            *out = *s++;
        }
    }

    *out = '\0';
}


/* The parameters of Content-Disposition.  -1: one of them came twice. */
static int
mime_params(mime_header_t *h, GMimeParamList *list)
{
    int          i, field, plain, star;
    char        *copy;
    GMimeParam  *p;
    const char  *key, *value, *file;

    field = plain = star = 0;
    file = NULL;

    for (i = 0; i < g_mime_param_list_length(list); i++) {
        p = g_mime_param_list_get_parameter_at(list, i);
        key = g_mime_param_get_name(p);
        value = g_mime_param_get_value(p);

        if (g_ascii_strcasecmp(key, "name") == 0) {
            field++;

            if (strlen(value) < sizeof(h->field)) {
                memcpy(h->field, value, strlen(value) + 1);
            }

        } else if (g_ascii_strcasecmp(key, "filename") == 0) {

            /* filename* says its charset; it is meant for those who know it
             * (RFC 6266) */
            if (g_mime_param_get_charset(p)) {
                star++;
                file = value;

            } else if (plain++ == 0 && star == 0) {
                file = value;
            }
        }
    }

    if (file) {
        copy = g_strdup(file);

        if (star == 0) {
            mime_unescape(copy);
        }

        h->has_name = 1;
        upload_name_clean(copy, strlen(copy), h->name);
        g_free(copy);
    }

    return field == 1 && plain <= 1 && star <= 1 ? 0 : -1;
}


static mime_encoding_t
mime_encoding(const char *s)
{
    if (s == NULL) {
        return MIME_PLAIN;
    }

    switch (g_mime_content_encoding_from_string(s)) {

    case GMIME_CONTENT_ENCODING_7BIT:
    case GMIME_CONTENT_ENCODING_8BIT:
    case GMIME_CONTENT_ENCODING_BINARY:
        return MIME_PLAIN;

    case GMIME_CONTENT_ENCODING_BASE64:
        return MIME_BASE64;

    case GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE:
        return MIME_QUOTED;

    default:
        return MIME_UNKNOWN;
    }
}


int
mime_header(mime_header_t *h, const char *p, size_t n)
{
    int                       i, rc, ndisp;
    GMimeObject              *o;
    GMimeHeader              *line;
    GMimeParser              *parser;
    GMimeStream              *stream;
    GMimeHeaderList          *list;
    GMimeContentDisposition  *disp;

    mime_init();
    memset(h, 0, sizeof(*h));

    stream = g_mime_stream_mem_new_with_buffer(p, n);
    parser = g_mime_parser_new_with_stream(stream);
    g_object_unref(stream);
    o = g_mime_parser_construct_part(parser, NULL);
    g_object_unref(parser);

    if (o == NULL) {
        return -1;
    }

    ndisp = 0;
    list = g_mime_object_get_header_list(o);

    for (i = 0; i < g_mime_header_list_get_count(list); i++) {
        line = g_mime_header_list_get_header_at(list, i);
        ndisp += g_ascii_strcasecmp(g_mime_header_get_name(line),
                                    "Content-Disposition") == 0;
    }

    rc = -1;
    disp = g_mime_object_get_content_disposition(o);

    if (disp && ndisp == 1
        && g_ascii_strcasecmp(g_mime_content_disposition_get_disposition(disp),
                              "form-data") == 0)
    {
        rc = mime_params(h, g_mime_content_disposition_get_parameters(disp));
    }

    h->encoding = mime_encoding(
                      g_mime_object_get_header(o,
                                               "Content-Transfer-Encoding"));
    g_object_unref(o);

    return rc;
}


mime_stream_t *
mime_open(int fd, int64_t begin, int64_t end, mime_encoding_t encoding)
{
    GMimeFilter  *filter;
    GMimeStream  *file, *sub, *out;

    mime_init();

    file = g_mime_stream_fs_new(fd);
    g_mime_stream_fs_set_owner(GMIME_STREAM_FS(file), FALSE);
    sub = g_mime_stream_substream(file, begin, end);
    g_object_unref(file);

    if (encoding == MIME_PLAIN) {
        return (mime_stream_t *) sub;
    }

    out = g_mime_stream_filter_new(sub);
    g_object_unref(sub);
    filter = g_mime_filter_basic_new(encoding == MIME_BASE64
                                     ? GMIME_CONTENT_ENCODING_BASE64
                                     : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
                                     FALSE);
    g_mime_stream_filter_add(GMIME_STREAM_FILTER(out), filter);
    g_object_unref(filter);

    return (mime_stream_t *) out;
}


ssize_t
mime_read(mime_stream_t *s, char *p, size_t n)
{
    /* it takes reading past the end for a mistake */
    if (g_mime_stream_eos((GMimeStream *) s)) {
        return 0;
    }

    return g_mime_stream_read((GMimeStream *) s, p, n);
}


void
mime_close(mime_stream_t *s)
{
    g_object_unref((GMimeStream *) s);
}
