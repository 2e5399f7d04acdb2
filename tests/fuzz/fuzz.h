/*
 * fuzz.h: what the fuzz targets share.
 */

#ifndef WRT_FUZZ_H
#define WRT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A property that must hold for any input. */
#define FUZZ_CHECK(what)                                                      \
    do {                                                                      \
        if (!(what)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);\
            abort();                                                          \
        }                                                                     \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#endif
