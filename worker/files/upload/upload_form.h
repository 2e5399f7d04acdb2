/*
 * upload_form.h: what a client sent as multipart/form-data (RFC 7578).
 *
 * The body lies in a file.  Memory is bounded whatever is in it: the file's
 * bytes go from there into a file of their own, in pieces; a part's header has
 * a limit, and so has the number of parts.
 *
 *   FORM_OK         the form is read
 *   FORM_INVALID    400 invalid_request with form.field and form.text
 *   FORM_TOO_LARGE  413 too_large, the same
 *   FORM_FAILED     our fault (disk full): try again; form.text for the log
 *
 * upload_form_free() belongs after each of them.
 *
 * The parts are `file` (exactly one, with a file name), `description`,
 * `replyTo` and `clientMessageId`, in any order, each once at most; others are
 * ignored, unless they are files, too.  An empty field counts as not sent.
 */

#ifndef UPLOAD_FORM_H
#define UPLOAD_FORM_H

#include <stdint.h>

#include "common/wrt_limits.h"
#include "worker/files/upload/upload_name.h"

#define FORM_HASH_LEN   64          /* SHA-256 in hex, lower case */
#define FORM_TEXT_SIZE  256

typedef enum {
    FORM_OK = 0,
    FORM_INVALID,
    FORM_TOO_LARGE,
    FORM_FAILED
} form_rc_t;

typedef struct {
    int          fd;                /* the file's bytes, read and write; -1 */
    int64_t      size;              /* at least 1 */
    char         hash[FORM_HASH_LEN + 1];
    char         name[UPLOAD_NAME_SIZE];        /* see upload_name.h */

    char        *description;       /* NULL: not sent */
    char         reply_to[WRT_ID_MAX + 1];      /* "": not sent */
    char         client_id[WRT_CLIENT_MSG_ID_MAX + 1];

    /* what was refused */
    const char  *field;             /* "": the body as a whole */
    char         text[FORM_TEXT_SIZE];
} form_t;

/*
 * Read the body at path.  content_type: the request's header.  The file's
 * bytes go to a file in the directory dirfd, mode 0600, that has no name
 * there: it is gone with its descriptor, however we end.  max: bytes that the
 * file may have.
 */
form_rc_t upload_form_read(form_t *f, const char *path,
    const char *content_type, int dirfd, int64_t max);
void upload_form_free(form_t *f);

#endif
