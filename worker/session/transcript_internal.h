/*
 * transcript_internal.h: what the transcript*.c files share.
 */

#ifndef TRANSCRIPT_INTERNAL_H
#define TRANSCRIPT_INTERNAL_H

#include "worker/session/session_internal.h"
#include "worker/session/transcript.h"

#define TRANSCRIPT_SALT_LEN  32         /* hex digits */

/* Before the first entry */
#define TRANSCRIPT_ZERO                                                       \
    "0000000000000000000000000000000000000000000000000000000000000000"


/* transcript_canon.c */

/*
 * Canonical JSON (RFC 8785) of what a transcript has: keys in the order of
 * their bytes, no blanks, strings with the shortest escapes, integers, and
 * numbers with at most three decimals.  -1: there is something else in it, or
 * it is nested too deep.
 */
int transcript_canon(session_buf_t *b, const json_t *v);
int transcript_canon_entry(session_buf_t *b, const json_t *entry);
void transcript_sha256(const char *p, size_t n,
    char out[TRANSCRIPT_HASH_LEN + 1]);
/* Hash of a content and its salt.  -1: it has no canonical form. */
int transcript_content_hash(const json_t *content, const char *salt,
    char out[TRANSCRIPT_HASH_LEN + 1]);
/* Hash of an entry: of all of it but content, salt and hash. */
int transcript_entry_hash(const json_t *entry,
    char out[TRANSCRIPT_HASH_LEN + 1]);
int transcript_is_hex(const json_t *v, size_t n);

#endif
