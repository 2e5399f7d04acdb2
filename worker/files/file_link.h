/*
 * file_link.h: links that open one file for a while, for those who cannot send
 * a token: a picture's tag in a page, a program that downloads.
 *
 *     ?u=<user>&e=<seconds since the epoch>&s=<signature, 64 hex digits>
 *
 * The signature is HMAC-SHA256 over "<file>\n<user>\n<seconds>", of a link made
 * by somebody who runs the place with "\nstaff" behind it.  What is known is
 * that the user asked for it; whether he may have the file is asked again when
 * it is used.  Pure: key and time are arguments.
 */

#ifndef FILE_LINK_H
#define FILE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "common/wrt_limits.h"

#define FILE_LINK_KEY   64          /* hex digits of a key */
#define FILE_LINK_SIGN  64          /* and of a signature */

/* "u=&e=&s=", user, seconds, signature, NUL */
#define FILE_LINK_SIZE  (WRT_ID_MAX + FILE_LINK_SIGN + 32)

typedef enum {
    FILE_LINK_BAD = 0,              /* not ours, changed, or too old */
    FILE_LINK_USER,
    FILE_LINK_STAFF
} file_link_rc_t;

/* A new key.  0, or -1: no randomness. */
int file_link_key(char hex[FILE_LINK_KEY + 1]);

/* A link's query.  0, or -1: key is none, or no memory. */
int file_link_make(const char *key, const char *file, const char *user,
    int64_t expires, int staff, char out[FILE_LINK_SIZE]);

/* Is that a link to the file which is good now (seconds)?  The texts are those
 * of the query; any may be NULL. */
file_link_rc_t file_link_check(const char *key, const char *file,
    const char *user, const char *expires, const char *sign, int64_t now);

#endif
