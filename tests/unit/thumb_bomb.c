/*
 * thumb_bomb.c: small files that cost a lot to look at (see thumb_bomb.h).
 */

#define _GNU_SOURCE

#include "tests/unit/thumb_bomb.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>


static void
chunk(FILE *f, const char *name, const void *p, size_t n)
{
    uLong          crc;
    unsigned char  b[4];

    b[0] = (unsigned char) (n >> 24);
    b[1] = (unsigned char) (n >> 16);
    b[2] = (unsigned char) (n >> 8);
    b[3] = (unsigned char) n;
    fwrite(b, 1, 4, f);
    fwrite(name, 1, 4, f);
    fwrite(p, 1, n, f);

    crc = crc32(crc32(0, (const Bytef *) name, 4), p, (uInt) n);
    b[0] = (unsigned char) (crc >> 24);
    b[1] = (unsigned char) (crc >> 16);
    b[2] = (unsigned char) (crc >> 8);
    b[3] = (unsigned char) crc;
    fwrite(b, 1, 4, f);
}


int
thumb_png(uint32_t w, uint32_t h, int depth, int colour, int interlace,
    size_t row)
{
    int             fd;
    char           *zeros, *out;
    FILE           *f;
    size_t          cap, n;
    uint32_t        y;
    z_stream        z;
    unsigned char   head[13];

    memset(&z, 0, sizeof(z));
    assert_int_equal(deflateInit(&z, 1), Z_OK);
    cap = 64 + row * h / 200 + 65536;
    out = malloc(cap);
    zeros = calloc(1, row + 1);
    z.next_out = (Bytef *) out;
    z.avail_out = (uInt) cap;

    for (y = 0; y < h; y++) {
        z.next_in = (Bytef *) zeros;
        z.avail_in = (uInt) (row + 1);
        assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
    }

    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    n = cap - z.avail_out;
    deflateEnd(&z);
    free(zeros);

    for (y = 0; y < 4; y++) {
        head[y] = (unsigned char) (w >> (24 - 8 * y));
        head[4 + y] = (unsigned char) (h >> (24 - 8 * y));
    }

    head[8] = (unsigned char) depth;
    head[9] = (unsigned char) colour;
    head[10] = head[11] = 0;
    head[12] = (unsigned char) interlace;

    fd = memfd_create("png", MFD_CLOEXEC);
    f = fdopen(dup(fd), "w");
    fwrite("\x89PNG\r\n\x1A\n", 1, 8, f);
    chunk(f, "IHDR", head, 13);
    chunk(f, "IDAT", out, n);
    chunk(f, "IEND", "", 0);
    fclose(f);
    free(out);

    return fd;
}


int
thumb_pdf(void)
{
    int    fd, i;
    FILE  *f;

    fd = memfd_create("pdf", MFD_CLOEXEC);
    f = fdopen(dup(fd), "w");
    fprintf(f, "%%PDF-1.4\n"
            "1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
            "2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
            "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]"
            "/Resources<</XObject<</F 10 0 R>>>>/Contents 4 0 R>>\nendobj\n"
            "4 0 obj\n<</Length 5>>\nstream\n/F Do\nendstream\nendobj\n");

    for (i = 10; i < 22; i++) {
        fprintf(f, "%d 0 obj\n<</Type/XObject/Subtype/Form"
                "/BBox[0 0 300 300]/Resources<</XObject<</F %d 0 R>>>>"
                "/Length 60>>\nstream\n/F Do /F Do /F Do /F Do /F Do "
                "/F Do /F Do /F Do /F Do /F Do\n\nendstream\nendobj\n", i,
                i + 1);
    }

    fprintf(f, "%d 0 obj\n<</Type/XObject/Subtype/Form/BBox[0 0 300 300]"
            "/Length 15>>\nstream\n0 0 300 300 re f\nendstream\nendobj\n"
            "trailer\n<</Root 1 0 R/Size 23>>\n%%%%EOF\n", i);
    fclose(f);

    return fd;
}
