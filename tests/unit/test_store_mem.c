/*
 * test_store_mem.c: arena and string map of the stores.
 *
 * Every batch lives in them.  A key that is not found again after the map has
 * grown would make a second conversation out of one; memory that is not
 * zeroed would carry flags from one batch into the next.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/store/store_internal.h"

#define KEYS  20000


static size_t
key_of(char *out, int i)
{
    /* a NUL inside, lengths that differ, long common beginnings */
    return (size_t) sprintf(out, "%s%d", i % 2 ? "conversation_" : "", i)
           + (size_t) (i % 3 == 0);
}


static void
map(void **state)
{
    int            i;
    char           key[64];
    size_t         n;
    void         **place;
    store_map_t    m;
    store_arena_t  a = { 0 };

    (void) state;

    store_map_init(&m, &a, 0);

    for (i = 0; i < KEYS; i++) {
        n = key_of(key, i);
        assert_null(store_map_get(&m, key, n));
        place = store_map_put(&m, key, n);
        assert_null(*place);
        *place = (void *) (uintptr_t) (i + 1);
    }

    assert_int_equal(m.count, KEYS);

    for (i = 0; i < KEYS; i++) {
        n = key_of(key, i);
        assert_ptr_equal(store_map_get(&m, key, n),
                         (void *) (uintptr_t) (i + 1));
        place = store_map_put(&m, key, n);
        assert_ptr_equal(*place, (void *) (uintptr_t) (i + 1));

        /* a part of a key is another key */
        key[n] = 'x';
        assert_null(store_map_get(&m, key, n + 1));
    }

    assert_int_equal(m.count, KEYS);
    assert_null(store_map_get(&m, "", 0));
    *store_map_put(&m, "", 0) = &m;
    assert_ptr_equal(store_map_get(&m, "", 0), &m);

    store_arena_reset(&a);
    free(a.chunk);
}


static void
arena(void **state)
{
    int              i, round;
    char            *p, *s;
    size_t           n, k;
    uint64_t         seed;
    store_arena_t    a = { 0 };

    (void) state;

    seed = unit_seed();

    for (round = 0; round < 3; round++) {
        for (i = 0; i < 2000; i++) {
            n = unit_below(&seed, i % 100 ? 300 : 200000);
            p = store_alloc(&a, n);
            assert_int_equal((uintptr_t) p % 16, 0);

            for (k = 0; k < n; k++) {
                assert_int_equal(p[k], 0);
            }

            memset(p, 0xA5, n);
        }

        s = store_strndup(&a, "abc\0def", 7);
        assert_memory_equal(s, "abc\0def", 8);
        store_arena_reset(&a);
    }

    free(a.chunk);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(map),
        cmocka_unit_test(arena)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
