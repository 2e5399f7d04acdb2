/*
 * thumb_bomb.h: small files that cost a lot to look at.
 */

#ifndef THUMB_BOMB_H
#define THUMB_BOMB_H

#include "tests/unit/unit.h"

/* A whole and valid PNG of nothing; row: bytes of one. */
int thumb_png(uint32_t w, uint32_t h, int depth, int colour, int interlace,
    size_t row);

/* A PDF in which each level draws the next one ten times, twelve deep. */
int thumb_pdf(void);

#endif
