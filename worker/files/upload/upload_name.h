/*
 * upload_name.h: file names as data.
 *
 * What a client calls its file is shown to people and sent back in headers; it
 * is never a path here.  Pure: bytes in, text out.
 */

#ifndef UPLOAD_NAME_H
#define UPLOAD_NAME_H

#include <stddef.h>

#include "common/wrt_limits.h"

#define UPLOAD_EXT_MAX    16        /* bytes, with the dot */
#define UPLOAD_NAME_SIZE  (WRT_FILE_NAME_MAX + 1)

/*
 * The name p[0..n) made harmless; what is left is valid UTF-8, is not empty,
 * has no slash, backslash, quote or character that is not seen, and does not
 * begin with a dot.  Bytes that are not UTF-8 are taken for Latin-1.  A name
 * that is too long loses its middle: the extension stays.
 */
void upload_name_clean(const char *p, size_t n, char out[UPLOAD_NAME_SIZE]);

/* The extension in lower case with its dot, "" when there is none (of at most
 * UPLOAD_EXT_MAX ASCII letters and digits). */
void upload_name_ext(const char *name, char out[UPLOAD_EXT_MAX + 1]);

#endif
