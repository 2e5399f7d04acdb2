/*
 * scan_internal.h: what the scan*.c files share and nobody else sees.
 *
 *   scan.c            dispatch; what findings mean
 *   scan_probe.c      files that tell whether a scanner works
 *   scan_libclamav.c  the engine in this process; the only file that knows
 *                     clamav.h
 *   scan_clamd.c      the protocol of clamd
 */

#ifndef SCAN_INTERNAL_H
#define SCAN_INTERNAL_H

#include <stdint.h>

#include "worker/files/scan/scan.h"

/* The EICAR test string in hex, so that no scanner finds it in our files. */
#define SCAN_EICAR_HEX                                                        \
    "58354f2150254041505b345c505a58353428505e2937434329377d24"                \
    "45494341522d5354414e444152442d414e544956495255532d54455354"              \
    "2d46494c452124482b482a"
#define SCAN_EICAR_LEN  68

typedef struct {
    int          foreign;           /* its settings are somebody else's */

    /* SCAN_CLEAN, SCAN_DOWN; *changed: it has to be tried */
    scan_rc_t  (*prepare)(scan_t *s, int *changed);
    scan_rc_t  (*file)(scan_t *s, int fd);
    void       (*close)(scan_t *s);
} scan_ops_t;

struct scan_s {
    const scan_ops_t  *ops;         /* NULL: off */
    scan_conf_t        cf;
    void              *engine;      /* of the implementation */
    int                tried;       /* it works */
    int64_t            tried_at;    /* mono, ms */
    int                died;        /* with our file in hand */
    int                bare;        /* no signatures but our own */
    scan_stop_pt       stop;
    void              *stop_data;
    char               text[SCAN_TEXT_SIZE];
    char               about[SCAN_ABOUT_SIZE];
};

extern const scan_ops_t  scan_libclamav_ops;
extern const scan_ops_t  scan_clamd_ops;

int64_t scan_mono_ms(void);
int scan_stopping(scan_t *s);

/* Note the text, return rc. */
scan_rc_t scan_say(scan_t *s, scan_rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What a finding of this name means: SCAN_INFECTED, or SCAN_ERROR for those
 * that say that something was not looked at. */
scan_rc_t scan_finding(scan_t *s, const char *name);

void scan_eicar(unsigned char out[SCAN_EICAR_LEN]);

/* Try the scanner: SCAN_CLEAN, or SCAN_DOWN and why.  bomb: with a large
 * archive, too, which takes it some seconds. */
scan_rc_t scan_probe(scan_t *s, int bomb);

#endif
