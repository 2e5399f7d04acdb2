/*
 * upload_type.h: is a file what its name says?
 *
 * Allowed are .pdf, .docx, .pptx, .txt, .jpg, .jpeg, .png and .gif, and of
 * these what the room allows; and the content must be of that type.  What a
 * client calls the type is not looked at.
 */

#ifndef UPLOAD_TYPE_H
#define UPLOAD_TYPE_H

#include <stddef.h>

#include "worker/files/upload/upload_name.h"

#define TYPE_TEXT_SIZE  256

typedef enum {
    TYPE_OK = 0,
    TYPE_REFUSED,                   /* 415 unsupported_type, text says why */
    TYPE_FAILED                     /* our fault, try again */
} type_rc_t;

/* What a thumbnail can be made of (thumb.h), or not. */
typedef enum {
    TYPE_OTHER = 0,
    TYPE_PDF,
    TYPE_JPEG,
    TYPE_PNG,
    TYPE_GIF
} type_kind_t;

typedef struct {
    type_kind_t  kind;
    const char  *mime;              /* Content-Type to serve; static */
    char         ext[UPLOAD_EXT_MAX + 1];   /* of the name, lower case */
    char         text[TYPE_TEXT_SIZE];      /* why it was refused */
} upload_type_t;

/* libmagic with its data; one for a process.  NULL, text in err. */
typedef struct type_magic_s  type_magic_t;

type_magic_t *upload_type_open(char *err, size_t size);
void upload_type_close(type_magic_t *m);

/*
 * The file open as fd, under this (clean) name.  allowed: extensions with
 * their dots, or NULL for all eight.  The file's position does not matter and
 * may move.
 */
type_rc_t upload_type_check(type_magic_t *m, int fd, const char *name,
    const char *const *allowed, size_t nallowed, upload_type_t *out);

#endif
