/*
 * scan_probe.c: files that tell whether a scanner works (see scan.h).
 *
 *   a line of text             must be clean
 *   the EICAR test string      must be found; signatures are there
 *   an encrypted archive       must not be clean: AlertEncrypted of clamd
 *   archives in each other     must not be clean: AlertExceedsMax
 *   a lot of zeros and then    must not be clean: MaxFileSize is not below
 *   EICAR, in an archive       MaxScanSize; else of a file in a ZIP archive
 *                              that is larger only the beginning is looked at
 *
 * clamd has both alerts off by default and then calls clean what it did not
 * read.  The files are made here, in memory.
 */

#define _GNU_SOURCE                 /* memfd_create() */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/files/scan/scan_internal.h"

/* Deeper than anybody lets a scanner go: 100 is the most that it can be set
 * to.  Each level adds ZIP_OVERHEAD bytes. */
#define PROBE_DEPTH   110
#define ZIP_NAME      "a"
#define ZIP_OVERHEAD  (30 + 46 + 22 + 2 * (sizeof(ZIP_NAME) - 1))
#define ZIP_ENCRYPTED 1
#define ZIP_DEFLATED  8

/* 258 zeros take 13 bits in the simplest form of deflate, so these 500 MB are
 * 3 MB. */
#define BOMB_RUNS     (500 * 1024 * 1024 / 258)
#define BOMB_BYTES    (BOMB_RUNS * 13 / 8 + 1024)

typedef struct {
    unsigned char  *p;
    size_t          n;
    unsigned        bits;           /* of a byte under way */
    unsigned        nbits;
} probe_t;


void
scan_eicar(unsigned char out[SCAN_EICAR_LEN])
{
    char         digits[3];
    size_t       i;
    const char  *hex;

    hex = SCAN_EICAR_HEX;
    digits[2] = '\0';

    for (i = 0; i < SCAN_EICAR_LEN; i++) {
        memcpy(digits, hex + 2 * i, 2);
        out[i] = (unsigned char) strtoul(digits, NULL, 16);
    }
}


static void
probe_number(unsigned char **p, uint32_t v, size_t n)
{
    for ( ; n > 0; n--) {
        *(*p)++ = (unsigned char) v;
        v >>= 8;
    }
}


static uint32_t
probe_crc(const unsigned char *p, size_t n)
{
    int       k;
    uint32_t  crc;

    crc = 0xFFFFFFFF;

    while (n-- > 0) {
        crc ^= *p++;

        for (k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (0xEDB88320 & (0 - (crc & 1)));
        }
    }

    return ~crc;
}


/* What local header and directory say of the entry alike. */
static void
probe_entry(unsigned char **p, unsigned flags, unsigned method, uint32_t crc,
    size_t packed, size_t n)
{
    probe_number(p, 20, 2);                     /* version needed */
    probe_number(p, flags, 2);
    probe_number(p, method, 2);
    probe_number(p, 0, 2);                      /* time */
    probe_number(p, 0x21, 2);                   /* date: 1980-01-01 */
    probe_number(p, crc, 4);
    probe_number(p, (uint32_t) packed, 4);
    probe_number(p, (uint32_t) n, 4);
    probe_number(p, sizeof(ZIP_NAME) - 1, 2);
    probe_number(p, 0, 2);                      /* extra field */
}


/* What is there becomes the one entry of an archive; it unpacks to size
 * bytes. */
static void
probe_zip(probe_t *b, unsigned flags, unsigned method, size_t size)
{
    size_t          n, head;
    uint32_t        crc;
    unsigned char  *p, *dir;

    n = b->n;
    crc = method ? 0 : probe_crc(b->p, n);
    head = 30 + sizeof(ZIP_NAME) - 1;
    memmove(b->p + head, b->p, n);

    p = b->p;
    probe_number(&p, 0x04034B50, 4);
    probe_entry(&p, flags, method, crc, n, size);
    memcpy(p, ZIP_NAME, sizeof(ZIP_NAME) - 1);

    p = dir = b->p + head + n;
    probe_number(&p, 0x02014B50, 4);
    probe_number(&p, 20, 2);                    /* version made by */
    probe_entry(&p, flags, method, crc, n, size);
    probe_number(&p, 0, 2);                     /* comment */
    probe_number(&p, 0, 2);                     /* disk */
    probe_number(&p, 0, 2);                     /* attributes */
    probe_number(&p, 0, 4);
    probe_number(&p, 0, 4);                     /* where */
    memcpy(p, ZIP_NAME, sizeof(ZIP_NAME) - 1);
    p += sizeof(ZIP_NAME) - 1;

    n = (size_t) (p - dir);
    probe_number(&p, 0x06054B50, 4);
    probe_number(&p, 0, 4);                     /* disks */
    probe_number(&p, 1, 2);
    probe_number(&p, 1, 2);
    probe_number(&p, (uint32_t) n, 4);
    probe_number(&p, (uint32_t) (dir - b->p), 4);
    probe_number(&p, 0, 2);

    b->n = (size_t) (p - b->p);
}


/* n bits of a code, its highest bit first, as deflate has them. */
static void
probe_bits(probe_t *b, unsigned code, unsigned n)
{
    while (n-- > 0) {
        b->bits |= (code >> n & 1) << b->nbits++;

        if (b->nbits == 8) {
            b->p[b->n++] = (unsigned char) b->bits;
            b->bits = 0;
            b->nbits = 0;
        }
    }
}


/* A byte as a literal of the fixed code (RFC 1951, 3.2.6). */
static void
probe_literal(probe_t *b, unsigned c)
{
    if (c < 144) {
        probe_bits(b, 0x30 + c, 8);

    } else {
        probe_bits(b, 0x190 + c - 144, 9);
    }
}


/* Zeros and then EICAR, deflated, in an archive. */
static void
probe_bomb(probe_t *b)
{
    long           i;
    unsigned char  eicar[SCAN_EICAR_LEN];

    b->n = 0;
    b->bits = 0;
    b->nbits = 0;

    /* the last block; fixed codes (1, low bit first) */
    probe_bits(b, 1, 1);
    probe_bits(b, 2, 2);
    probe_literal(b, 0);

    for (i = 0; i < BOMB_RUNS; i++) {
        /* length 258, distance 1 */
        probe_bits(b, 0xC5, 8);
        probe_bits(b, 0, 5);
    }

    scan_eicar(eicar);

    for (i = 0; i < SCAN_EICAR_LEN; i++) {
        probe_literal(b, eicar[i]);
    }

    /* the end, and the rest of the byte */
    probe_bits(b, 0, 7 + 7);

    probe_zip(b, 0, ZIP_DEFLATED,
              (size_t) BOMB_RUNS * 258 + 1 + SCAN_EICAR_LEN);
}


static void
probe_text(probe_t *b)
{
    static const char  line[] = "Nothing is wrong with this line of text.\n";

    b->n = sizeof(line) - 1;
    memcpy(b->p, line, b->n);
}


/* The scanner's word on it: want, or it is down for the reason why. */
static scan_rc_t
probe_scan(scan_t *s, const probe_t *b, unsigned want, const char *why)
{
    int        fd;
    scan_rc_t  rc;

    fd = memfd_create("probe", MFD_CLOEXEC);

    if (fd < 0 || write(fd, b->p, b->n) != (ssize_t) b->n) {
        rc = scan_say(s, SCAN_DOWN, "no file to try the scanner with: %s",
                      strerror(errno));

    } else {
        rc = s->ops->file(s, fd);
    }

    if (fd >= 0) {
        close(fd);
    }

    if (want & 1U << rc) {
        return SCAN_CLEAN;
    }

    return rc == SCAN_DOWN ? rc : scan_say(s, SCAN_DOWN, "%s", why);
}


static scan_rc_t
probe_all(scan_t *s, probe_t *b, int bomb)
{
    int        i;
    scan_rc_t  rc;

    probe_text(b);
    rc = probe_scan(s, b, 1U << SCAN_CLEAN, "the scanner objects to plain "
                    "text");

    if (rc == SCAN_CLEAN) {
        scan_eicar(b->p);
        b->n = SCAN_EICAR_LEN;
        rc = probe_scan(s, b, 1U << SCAN_INFECTED, "the scanner does not find "
                        "the EICAR test string: it has no signatures; run "
                        "freshclam");
    }

    if (rc == SCAN_CLEAN) {
        probe_text(b);
        probe_zip(b, ZIP_ENCRYPTED, 0, b->n);
        rc = probe_scan(s, b, 1U << SCAN_ERROR, "the scanner calls encrypted "
                        "archives clean; set AlertEncrypted yes in "
                        "clamd.conf");
    }

    if (rc == SCAN_CLEAN) {
        probe_text(b);

        for (i = 0; i < PROBE_DEPTH; i++) {
            probe_zip(b, 0, 0, b->n);
        }

        rc = probe_scan(s, b, 1U << SCAN_ERROR, "the scanner calls clean what "
                        "exceeds its limits; set AlertExceedsMax yes in "
                        "clamd.conf");
    }

    if (rc == SCAN_CLEAN && bomb) {
        probe_bomb(b);
        rc = probe_scan(s, b, 1U << SCAN_ERROR | 1U << SCAN_INFECTED, "the "
                        "scanner calls clean what it unpacked in part; set "
                        "MaxFileSize as large as MaxScanSize in clamd.conf");
    }

    return rc;
}


scan_rc_t
scan_probe(scan_t *s, int bomb)
{
    probe_t    b;
    scan_rc_t  rc;

    memset(&b, 0, sizeof(b));
    b.p = malloc(bomb ? BOMB_BYTES : SCAN_EICAR_LEN
                                     + PROBE_DEPTH * ZIP_OVERHEAD);

    if (b.p == NULL) {
        return scan_say(s, SCAN_DOWN, "no memory");
    }

    rc = probe_all(s, &b, bomb);
    free(b.p);

    if (rc == SCAN_CLEAN) {
        s->text[0] = '\0';
    }

    return rc;
}
