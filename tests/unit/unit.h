/*
 * unit.h: what the unit tests of common/ share.
 *
 * Random input is made from a fixed seed, so that every run tests the same;
 * UNIT_SEED gives another one.
 */

#ifndef WRT_UNIT_H
#define WRT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define UNIT_SEED_DEFAULT  0x57726974656E2121ULL
#define UNIT_EDGE_BYTES    (1024 * 1024)
#define UNIT_PAGE          4096

#define UNIT_COUNT(a)      (sizeof(a) / sizeof((a)[0]))


/* splitmix64 */
static inline uint64_t
unit_random(uint64_t *s)
{
    uint64_t  z;

    z = (*s += 0x9E3779B97F4A7C15ULL);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;

    return z ^ z >> 31;
}


static inline uint64_t
unit_below(uint64_t *s, uint64_t n)
{
    return unit_random(s) % n;
}


static inline uint64_t
unit_seed(void)
{
    const char  *env;

    env = getenv("UNIT_SEED");

    return env ? strtoull(env, NULL, 0) : UNIT_SEED_DEFAULT;
}


/*
 * A copy of p[0..n) whose last byte is the last one before a page that can
 * not be touched: reading further crashes, with or without a sanitizer.
 * Good until the next call.
 */
static inline char *
unit_edge(const void *p, size_t n)
{
    static char  *edge;

    if (edge == NULL) {
        edge = mmap(NULL, UNIT_EDGE_BYTES + UNIT_PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(edge != MAP_FAILED);
        assert_int_equal(mprotect(edge + UNIT_EDGE_BYTES, UNIT_PAGE,
                                  PROT_NONE), 0);
    }

    assert_true(n <= UNIT_EDGE_BYTES);

    if (n > 0) {
        memcpy(edge + UNIT_EDGE_BYTES - n, p, n);
    }

    return edge + UNIT_EDGE_BYTES - n;
}

#endif
