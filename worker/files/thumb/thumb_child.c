/*
 * thumb_child.c: writeen-thumb, which makes the thumbnails of one picture (see
 * thumb.h, thumb_wire.h); the only file that knows libvips.
 *
 * Of libvips's loaders one is left, the one for the type that the file was
 * found to be; all others are blocked, the untrusted ones and those that guess
 * first of all.  For PDF that is libvips's loader by Poppler, which counts as
 * untrusted: it is let in for a PDF alone, and what it can do is what the jail
 * allows.
 *
 * The picture is decoded once, to the largest size, upright and in sRGB; the
 * others are made of that.  Nothing that came with it is written: no EXIF, no
 * place, no profile, no comment.  Pictures that one can see through become
 * PNG, the others JPEG.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vips/vips.h>

#include "worker/files/thumb/thumb_wire.h"

#define CHILD_QUALITY  80

typedef struct {
    const char  *name;
    const char  *loader;            /* class of libvips */
    int          page;              /* drawn in any size, on white */
} child_kind_t;

static const child_kind_t  child_kinds[] = {
    { "jpeg", "VipsForeignLoadJpeg", 0 },
    { "png", "VipsForeignLoadPng", 0 },
    { "gif", "VipsForeignLoadNsgif", 0 },
    { "pdf", "VipsForeignLoadPdf", 1 },
    { NULL, NULL, 0 }
};

static const int  child_sizes[] = {
    WRT_THUMB_SMALL, WRT_THUMB_MEDIUM, WRT_THUMB_LARGE
};


static void __attribute__((format(printf, 1, 2)))
child_report(const char *fmt, ...)
{
    int      n;
    char     line[THUMB_REPORT / 2];
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line) - 1, fmt, args);
    va_end(args);

    if (n < 0) {
        return;
    }

    n = (int) strlen(line);
    line[n++] = '\n';

    /* when nobody listens there is nobody to tell */
    if (write(THUMB_FD_REPORT, line, (size_t) n) != n) {
        _exit(EXIT_FAILURE);
    }
}


/* The first line of what libvips says. */
static int
child_none(void)
{
    const char  *s;

    s = vips_error_buffer();
    child_report("none %.*s", (int) strcspn(s, "\n"),
                 s[0] ? s : "it can not be decoded");

    return -1;
}


/* From its beginning. */
static VipsSource *
child_source(void)
{
    if (lseek(STDIN_FILENO, 0, SEEK_SET) != 0) {
        return NULL;
    }

    return vips_source_new_from_descriptor(STDIN_FILENO);
}


/* How large is it?  Only its header is read. */
static int
child_measure(const child_kind_t *kind)
{
    int          w, h, pages;
    VipsImage   *im;
    VipsSource  *source;

    source = child_source();
    im = source ? vips_image_new_from_source(source, "", "access",
                                             VIPS_ACCESS_SEQUENTIAL, NULL)
                : NULL;

    if (im == NULL) {
        g_clear_object(&source);
        return child_none();
    }

    w = vips_image_get_width(im);
    h = vips_image_get_height(im);
    pages = vips_image_get_n_pages(im);

    if (vips_image_get_orientation_swap(im)) {
        child_report("picture %d %d %d", h, w, pages);

    } else {
        child_report("picture %d %d %d", w, h, pages);
    }

    g_object_unref(im);
    g_object_unref(source);

    if (!kind->page && (int64_t) w * h > WRT_THUMB_PIXELS_MAX) {
        child_report("none it has more than %d pixels", WRT_THUMB_PIXELS_MAX);
        return -1;
    }

    return 0;
}


/* Replaces *im by what a step made of it; -1 when that failed. */
static int
child_step(VipsImage **im, int rc, VipsImage **out)
{
    g_object_unref(*im);
    *im = rc == 0 ? *out : NULL;

    return rc;
}


/* Can one see through it? */
static int
child_transparent(VipsImage *im, int *yes)
{
    int         rc;
    double      least;
    VipsImage  *alpha;

    *yes = 0;

    if (!vips_image_hasalpha(im)) {
        return 0;
    }

    if (vips_extract_band(im, &alpha, vips_image_get_bands(im) - 1, NULL)
        != 0)
    {
        return -1;
    }

    rc = vips_min(alpha, &least, NULL);
    g_object_unref(alpha);
    *yes = rc == 0 && least < 255;

    return rc;
}


/* The large one, in memory, 8 bits of sRGB. */
static VipsImage *
child_decode(const child_kind_t *kind, int *transparent)
{
    int               rc;
    VipsImage        *im, *out;
    VipsSource       *source;
    VipsArrayDouble  *white;

    source = child_source();

    if (source == NULL) {
        return NULL;
    }

    /* by its own "fail_on" it does not fail (8.14): the loader's is set, too */
    rc = vips_thumbnail_source(source, &im, WRT_THUMB_LARGE,
                               "height", WRT_THUMB_LARGE,
                               "size", kind->page ? VIPS_SIZE_BOTH
                                                  : VIPS_SIZE_DOWN,
                               "fail_on", VIPS_FAIL_ON_ERROR,
                               "option_string", "[fail_on=error]", NULL);
    g_object_unref(source);

    if (rc != 0) {
        return NULL;
    }

    /* not by vips_thumbnail(): it makes a way by profiles of its own where
     * there is none in the picture, and changes colours */
    if (vips_image_get_typeof(im, VIPS_META_ICC_NAME)
        && child_step(&im, vips_icc_transform(im, &out, "srgb",
                                              "embedded", TRUE, "intent",
                                              VIPS_INTENT_PERCEPTUAL, NULL),
                      &out) != 0)
    {
        return NULL;
    }

    if (child_step(&im, vips_colourspace(im, &out, VIPS_INTERPRETATION_sRGB,
                                         NULL), &out) != 0
        || child_step(&im, vips_cast_uchar(im, &out, NULL), &out) != 0)
    {
        return NULL;
    }

    out = vips_image_copy_memory(im);

    if (child_step(&im, out ? 0 : -1, &out) != 0) {
        return NULL;
    }

    if (child_transparent(im, transparent) != 0) {
        g_object_unref(im);
        return NULL;
    }

    if (kind->page) {
        *transparent = 0;
    }

    if (!*transparent && vips_image_hasalpha(im)) {
        white = vips_array_double_newv(3, 255.0, 255.0, 255.0);
        rc = vips_flatten(im, &out, "background", white, NULL);
        vips_area_unref(VIPS_AREA(white));

        if (child_step(&im, rc, &out) != 0) {
            return NULL;
        }
    }

    return im;
}


static int
child_write(int fd, const char *p, size_t n)
{
    ssize_t  done;

    while (n > 0) {
        done = write(fd, p, n);

        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }

            child_report("failed writing a thumbnail: %s", strerror(errno));
            return -1;
        }

        p += done;
        n -= (size_t) done;
    }

    return 0;
}


/* One size of it to its file. */
static int
child_save(VipsImage *large, int i, int transparent, int wh[2])
{
    int         rc;
    void       *p;
    size_t      n;
    VipsImage  *im;

    if (vips_image_get_width(large) <= child_sizes[i]
        && vips_image_get_height(large) <= child_sizes[i])
    {
        im = large;
        g_object_ref(im);

    } else if (vips_thumbnail_image(large, &im, child_sizes[i], "height",
                                    child_sizes[i], "size", VIPS_SIZE_DOWN,
                                    NULL) != 0)
    {
        return child_none();
    }

    rc = transparent
         ? vips_pngsave_buffer(im, &p, &n, "strip", TRUE, "compression", 9,
                               NULL)
         : vips_jpegsave_buffer(im, &p, &n, "strip", TRUE, "Q", CHILD_QUALITY,
                                "optimize_coding", TRUE, NULL);

    wh[0] = vips_image_get_width(im);
    wh[1] = vips_image_get_height(im);
    g_object_unref(im);

    if (rc != 0) {
        return child_none();
    }

    rc = child_write(THUMB_FD_FIRST + i, p, n);
    g_free(p);

    return rc;
}


static int
child_make(const child_kind_t *kind)
{
    int         i, transparent, wh[THUMB_SIZES][2];
    VipsImage  *im;

    if (child_measure(kind) != 0) {
        return -1;
    }

    im = child_decode(kind, &transparent);

    if (im == NULL) {
        return child_none();
    }

    for (i = 0; i < THUMB_SIZES; i++) {
        if (child_save(im, i, transparent, wh[i]) != 0) {
            g_object_unref(im);
            return -1;
        }
    }

    g_object_unref(im);
    child_report("made %s %d %d %d %d %d %d", transparent ? "png" : "jpg",
                 wh[0][0], wh[0][1], wh[1][0], wh[1][1], wh[2][0], wh[2][1]);

    return 0;
}


/* libvips, with one loader. */
static int
child_vips(const char *program, const child_kind_t *kind)
{
    if (VIPS_INIT(program) != 0) {
        child_report("failed libvips: %s", vips_error_buffer());
        return -1;
    }

    vips_concurrency_set(1);
    vips_cache_set_max(0);

    vips_block_untrusted_set(TRUE);
    vips_operation_block_set("VipsForeignLoad", TRUE);
    vips_operation_block_set(kind->loader, FALSE);

    return 0;
}


int
main(int argc, char **argv)
{
    int                  rc;
    char                 err[128];
    const child_kind_t  *kind;

    for (kind = child_kinds; argc == 2 && kind->name; kind++) {
        if (strcmp(kind->name, argv[1]) == 0) {
            break;
        }
    }

    if (argc != 2 || kind->name == NULL) {
        fprintf(stderr, "usage: writeen-thumb jpeg|png|gif|pdf, by "
                "writeen-worker alone\n");
        return EXIT_FAILURE;
    }

    if (thumb_jail_limits(err, sizeof(err)) != 0) {
        child_report("failed %s", err);
        return EXIT_FAILURE;
    }

    if (child_vips(argv[0], kind) != 0) {
        return EXIT_FAILURE;
    }

    if (thumb_jail_enter(err, sizeof(err)) != 0) {
        child_report("failed %s", err);
        return EXIT_FAILURE;
    }

    rc = child_make(kind);

    /* nothing of libraries that had a stranger's picture runs after this */
    _exit(rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
