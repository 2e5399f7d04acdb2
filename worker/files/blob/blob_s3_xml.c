/*
 * blob_s3_xml.c: S3's answers, read as they come by expat.
 *
 * Elements are taken by name wherever they stand: no two documents use one
 * name for two things that we read.  Texts that do not fit count as empty, so
 * that a key which was cut is never taken for another.
 */

#include <expat.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/wrt_id.h"
#include "worker/files/blob/blob_s3.h"

#define S3_XML_DEPTH_MAX  16

struct s3_xml_s {
    XML_Parser   parser;
    s3_doc_t    *doc;
    int          depth;
    char         text[S3_TOKEN_SIZE];
    size_t       n;
    int          over;              /* it did not fit */
};

/* Where an element's text goes. */
static const struct {
    const char  *name;
    size_t       offset;
    size_t       size;
} s3_xml_texts[] = {
#define TEXT(name, field)                                                    \
    { name, offsetof(s3_doc_t, field), sizeof(((s3_doc_t *) 0)->field) }

    TEXT("Code", code),
    TEXT("Message", message),
    TEXT("NextContinuationToken", token),
    TEXT("NextKeyMarker", next_key),
    TEXT("NextUploadIdMarker", next_upload),
    TEXT("Key", row.key)

#undef TEXT
};


static void
s3_xml_copy(s3_xml_t *x, char *out, size_t size)
{
    size_t  n;

    n = x->over || x->n >= size ? 0 : x->n;
    memcpy(out, x->text, n);
    out[n] = '\0';
}


static void XMLCALL
s3_xml_start(void *data, const XML_Char *name, const XML_Char **atts)
{
    s3_xml_t  *x = data;

    (void) atts;

    if (++x->depth > S3_XML_DEPTH_MAX) {
        XML_StopParser(x->parser, XML_FALSE);
    }

    if (strcmp(name, "Contents") == 0 || strcmp(name, "Upload") == 0) {
        memset(&x->doc->row, 0, sizeof(x->doc->row));
    }

    x->n = 0;
    x->over = 0;
}


static void XMLCALL
s3_xml_chars(void *data, const XML_Char *s, int n)
{
    s3_xml_t  *x = data;

    if ((size_t) n > sizeof(x->text) - 1 - x->n) {
        x->over = 1;
        return;
    }

    memcpy(x->text + x->n, s, (size_t) n);
    x->n += (size_t) n;
    x->text[x->n] = '\0';
}


static void
s3_xml_row(s3_doc_t *doc)
{
    if (doc->nrows < S3_PAGE) {
        doc->rows[doc->nrows++] = doc->row;
    }
}


static void XMLCALL
s3_xml_end(void *data, const XML_Char *name)
{
    size_t     i;
    s3_doc_t  *doc;
    s3_xml_t  *x = data;

    doc = x->doc;
    x->depth--;

    if (x->n == 0) {
        x->text[0] = '\0';
    }

    for (i = 0; i < sizeof(s3_xml_texts) / sizeof(s3_xml_texts[0]); i++) {
        if (strcmp(name, s3_xml_texts[i].name) == 0) {
            s3_xml_copy(x, (char *) doc + s3_xml_texts[i].offset,
                        s3_xml_texts[i].size);
        }
    }

    if (strcmp(name, "Contents") == 0 || strcmp(name, "Upload") == 0) {
        s3_xml_row(doc);

    } else if (strcmp(name, "UploadId") == 0) {
        s3_xml_copy(x, doc->upload, sizeof(doc->upload));
        s3_xml_copy(x, doc->row.upload, sizeof(doc->row.upload));

    } else if (strcmp(name, "Size") == 0) {
        doc->row.size = strtoll(x->text, NULL, 10);

    } else if (strcmp(name, "IsTruncated") == 0) {
        doc->truncated = strcmp(x->text, "true") == 0;

    } else if ((strcmp(name, "LastModified") == 0
                || strcmp(name, "Initiated") == 0)
               && wrt_time_parse(x->text, x->n, &doc->row.at_ms) != 0)
    {
        /* not known when: never old */
        doc->row.at_ms = INT64_MAX;
    }

    x->n = 0;
    x->over = 0;
}


/* No S3 server sends one; what is in it could be made to grow. */
static void XMLCALL
s3_xml_doctype(void *data, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
    s3_xml_t  *x = data;

    (void) name;
    (void) sysid;
    (void) pubid;
    (void) internal;

    XML_StopParser(x->parser, XML_FALSE);
}


s3_xml_t *
s3_xml_create(s3_doc_t *doc)
{
    s3_xml_t  *x;

    x = calloc(1, sizeof(*x));

    if (x == NULL) {
        return NULL;
    }

    x->doc = doc;
    x->parser = XML_ParserCreate(NULL);

    if (x->parser == NULL) {
        free(x);
        return NULL;
    }

    return x;
}


void
s3_xml_free(s3_xml_t *x)
{
    if (x) {
        XML_ParserFree(x->parser);
        free(x);
    }
}


void
s3_xml_begin(s3_xml_t *x)
{
    s3_row_t  *rows;

    rows = x->doc->rows;
    memset(x->doc, 0, sizeof(*x->doc));
    x->doc->rows = rows;

    x->depth = 0;
    x->n = 0;
    x->over = 0;

    XML_ParserReset(x->parser, NULL);
    XML_SetUserData(x->parser, x);
    XML_SetElementHandler(x->parser, s3_xml_start, s3_xml_end);
    XML_SetCharacterDataHandler(x->parser, s3_xml_chars);
    XML_SetStartDoctypeDeclHandler(x->parser, s3_xml_doctype);
}


int
s3_xml_feed(s3_xml_t *x, const char *p, size_t n, int last)
{
    return XML_Parse(x->parser, p, (int) n, last) == XML_STATUS_OK ? 0 : -1;
}
