/*
 * store_mem.c: the memory of one store call.  An arena that is thrown away
 * as a whole, and an insert-only string map inside it.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/store_internal.h"

#define CHUNK_BYTES  (64 * 1024)
#define ALIGN_BYTES  16


/* The newest chunk is the one in use; the rest only waits to be freed. */
struct store_chunk_s {
    store_chunk_t  *next;
    size_t          size;
    char            data[] __attribute__((aligned(ALIGN_BYTES)));
};


void
store_oom(void)
{
    fprintf(stderr, "store: out of memory\n");
    abort();
}


void *
store_alloc(store_arena_t *a, size_t n)
{
    void           *p;
    size_t          size;
    store_chunk_t  *c;

    n = (n + ALIGN_BYTES - 1) & ~(size_t) (ALIGN_BYTES - 1);

    if (a->chunk == NULL || a->chunk->size - a->used < n) {
        size = n > CHUNK_BYTES ? n : CHUNK_BYTES;

        c = malloc(sizeof(store_chunk_t) + size);
        if (c == NULL) {
            store_oom();
        }

        c->next = a->chunk;
        c->size = size;
        a->chunk = c;
        a->used = 0;
    }

    p = a->chunk->data + a->used;
    a->used += n;

    return memset(p, 0, n);
}


char *
store_strndup(store_arena_t *a, const char *p, size_t n)
{
    char  *s;

    s = store_alloc(a, n + 1);
    memcpy(s, p, n);

    return s;
}


/* One chunk of the usual size is kept, so that small calls never malloc. */
void
store_arena_reset(store_arena_t *a)
{
    store_chunk_t  *c, *next, *keep;

    keep = NULL;

    for (c = a->chunk; c; c = next) {
        next = c->next;

        if (keep == NULL && c->size == CHUNK_BYTES) {
            keep = c;
            keep->next = NULL;
            continue;
        }

        free(c);
    }

    a->chunk = keep;
    a->used = 0;
}


/* FNV-1a; a batch bounds the number of keys, so that crafted collisions
 * cost at most a few milliseconds. */
static uint64_t
map_hash(const char *p, size_t n)
{
    size_t    i;
    uint64_t  h;

    h = 14695981039346656037u;

    for (i = 0; i < n; i++) {
        h = (h ^ (unsigned char) p[i]) * 1099511628211u;
    }

    return h ^ (h >> 32);
}


static store_slot_t *
map_find(const store_map_t *m, const char *key, size_t len, uint64_t hash)
{
    size_t         i;
    store_slot_t  *s;

    for (i = hash & (m->size - 1); ; i = (i + 1) & (m->size - 1)) {
        s = &m->slots[i];

        if (s->key == NULL
            || (s->hash == hash && s->len == len
                && memcmp(s->key, key, len) == 0))
        {
            return s;
        }
    }
}


void
store_map_init(store_map_t *m, store_arena_t *a, size_t expected)
{
    m->arena = a;
    m->count = 0;
    m->size = 16;

    while (m->size < expected * 2) {
        m->size *= 2;
    }

    m->slots = store_alloc(a, m->size * sizeof(store_slot_t));
}


void **
store_map_put(store_map_t *m, const char *key, size_t len)
{
    size_t         i;
    uint64_t       hash;
    store_map_t    bigger;
    store_slot_t  *s;

    if (m->count * 4 >= m->size * 3) {
        store_map_init(&bigger, m->arena, m->size);

        for (i = 0; i < m->size; i++) {
            s = &m->slots[i];
            if (s->key) {
                *map_find(&bigger, s->key, s->len, s->hash) = *s;
            }
        }

        bigger.count = m->count;
        *m = bigger;
    }

    hash = map_hash(key, len);
    s = map_find(m, key, len, hash);

    if (s->key == NULL) {
        s->key = store_strndup(m->arena, key, len);
        s->len = len;
        s->hash = hash;
        m->count++;
    }

    return &s->value;
}


void *
store_map_get(const store_map_t *m, const char *key, size_t len)
{
    store_slot_t  *s;

    s = map_find(m, key, len, map_hash(key, len));

    return s->key ? s->value : NULL;
}
