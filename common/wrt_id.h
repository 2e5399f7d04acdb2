/*
 * wrt_id.h: identifiers and times as they look outside: Id and Time of
 * docs/api/openapi.yaml.
 */

#ifndef WRT_ID_H
#define WRT_ID_H

#include <stddef.h>
#include <stdint.h>

#include "common/wrt_limits.h"

#define WRT_TIME_LEN  24    /* 2024-01-15T14:30:00.000Z */

/* Is p[0..n) an id: [A-Za-z0-9_-]{1,64}, but not "-" alone, which stands for
 * nothing on the bus?  1 or 0. */
int wrt_id_valid(const char *p, size_t n);

/* p[0..n) as 2n lower-case hex digits and a NUL. */
void wrt_hex(const void *p, size_t n, char *out);

/*
 * A new ObjectId as 24 lower-case hex digits and a NUL.  now_s: seconds since
 * the epoch (first 4 bytes).  Unique per process without coordination: five
 * random bytes taken once per process from `seed`, three of a counter.
 */
typedef struct {
    uint8_t   random[5];
    uint32_t  counter;      /* 24 bits used */
} wrt_oid_gen_t;

void wrt_oid_init(wrt_oid_gen_t *g, const uint8_t seed[8]);
void wrt_oid_next(wrt_oid_gen_t *g, int64_t now_s, char out[WRT_OID_LEN + 1]);

/* Milliseconds since the epoch as ISO 8601 UTC with milliseconds and Z, and a
 * NUL.  0 <= ms <= year 9999 (the nearer end is taken for
 * what lies outside). */
void wrt_time_format(int64_t ms, char out[WRT_TIME_LEN + 1]);

/*
 * Read a time: YYYY-MM-DD, optionally THH:MM[:SS[.fraction]] and Z or +-HH:MM
 * (none: UTC), RFC 3339.  Returns 0 and *ms (negative before 1970; finer
 * fractions are cut off), or -1.
 */
int wrt_time_parse(const char *p, size_t n, int64_t *ms);

#endif
