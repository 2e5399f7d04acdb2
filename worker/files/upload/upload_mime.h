/*
 * upload_mime.h: the parts of MIME that a form needs; between upload_form.c
 * and GMime.
 */

#ifndef UPLOAD_MIME_H
#define UPLOAD_MIME_H

#include <stdint.h>
#include <sys/types.h>

#include "worker/files/upload/upload_name.h"

#define MIME_BOUNDARY_MAX  70       /* RFC 2046 */
#define MIME_FIELD_SIZE    64       /* a longer name is none of ours */

typedef enum {
    MIME_PLAIN = 0,                 /* 7bit, 8bit, binary */
    MIME_BASE64,
    MIME_QUOTED,
    MIME_UNKNOWN
} mime_encoding_t;

typedef struct {
    char             field[MIME_FIELD_SIZE];
    int              has_name;
    char             name[UPLOAD_NAME_SIZE];    /* of the file, cleaned */
    mime_encoding_t  encoding;
} mime_header_t;

typedef struct mime_stream_s  mime_stream_t;

/* The boundary of multipart/form-data; -1: it is something else, or has none
 * that may be one. */
int mime_boundary(const char *content_type, char out[MIME_BOUNDARY_MAX + 1]);

/* Header lines p[0..n), which end with an empty one; no NUL is in them.  -1:
 * not those of a part of a form, or ambiguous. */
int mime_header(mime_header_t *h, const char *p, size_t n);

/* Content: bytes begin to end of a file, decoded.  The file's position
 * moves. */
mime_stream_t *mime_open(int fd, int64_t begin, int64_t end,
    mime_encoding_t encoding);
ssize_t mime_read(mime_stream_t *s, char *p, size_t n);     /* 0: end, -1 */
void mime_close(mime_stream_t *s);

#endif
