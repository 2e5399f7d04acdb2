/*
 * thumb.h: thumbnails of pictures, and of the first page of a PDF.
 *
 * Decoding what strangers sent is where image libraries break, so it is done
 * by a program of its own, writeen-thumb, which is started for one picture,
 * has limits on everything, and may end in any way: it costs that child and
 * nothing else.  What it wrote is looked at before it is believed.
 *
 *   thumb.c        starts the child, waits for it, checks what it made
 *   thumb_child.c  main() of writeen-thumb; the only file that knows libvips
 *   thumb_jail.c   what the child may not do
 *   thumb_wire.h   what passes between the two
 *
 * A program of its own and not a fork: a role with libclamav's signatures has
 * more than a gigabyte whose page tables a fork would copy, threads and locks
 * of libraries do not survive one, and a fresh process has neither our memory
 * nor our keys in it.  And not this program with another name: libvips brings
 * a hundred libraries, which the other roles need not load.
 */

#ifndef THUMB_H
#define THUMB_H

#include <stdint.h>

#include "common/wrt_limits.h"
#include "worker/files/upload/upload_type.h"

#define THUMB_TEXT_SIZE  256

enum {
    THUMB_SMALL = 0,
    THUMB_MEDIUM,
    THUMB_LARGE,
    THUMB_SIZES
};

typedef enum {
    THUMB_OK = 0,
    THUMB_NONE,                     /* none can be made of this file: damaged,
                                       too large, of no such type; text says
                                       why.  The file may be fine. */
    THUMB_FAILED                    /* our fault: try again */
} thumb_rc_t;

typedef struct {
    int          fd;                /* without a name; -1 */
    int64_t      size;
    int          width;
    int          height;
} thumb_image_t;

typedef struct {
    /* of the picture as it is seen, upright; of a PDF's first page in points.
     * 0: not known.  Known with THUMB_NONE, too, when it could be read. */
    int            width;
    int            height;
    int            pages;           /* of a PDF, or frames */

    const char    *mime;            /* of all three: image/jpeg, image/png */
    const char    *ext;             /* ".jpg", ".png" */
    thumb_image_t  images[THUMB_SIZES];

    char           text[THUMB_TEXT_SIZE];
} thumb_t;

/* "small", "medium", "large". */
const char *thumb_name(int size);

/*
 * program: path of writeen-thumb.  The picture open as fd is read from its
 * beginning.  The thumbnails are written to the directory dirfd.  Pictures are
 * never made larger, pages of a PDF are.  Takes WRT_THUMB_MS at most.
 */
thumb_rc_t thumb_make(thumb_t *t, const char *program, type_kind_t kind,
    int fd, int dirfd);
void thumb_free(thumb_t *t);

#endif
