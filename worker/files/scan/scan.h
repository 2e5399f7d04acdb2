/*
 * scan.h: is a file infected?  Two implementations, scan_libclamav.c (the
 * engine in this process) and scan_clamd.c (a clamd elsewhere);
 * scan_internal.h says which file does what.
 *
 * An answer is one of these, and the difference matters:
 *
 *   SCAN_CLEAN     all of the file was looked at
 *   SCAN_INFECTED  scan_text() is the name of the finding
 *   SCAN_ERROR     this file cannot be judged: encrypted, too deep, too large
 *                  when unpacked, damaged.  Asking again changes nothing.
 *   SCAN_DOWN      the scanner cannot work now; nothing is known of the file.
 *                  Ask again later.  A file that brings the scanner down each
 *                  time looks like this, too: the caller counts how often
 *                  scan_died() said so.
 *   SCAN_OFF       scanning was switched off by the operator.  Whether such a
 *                  file may be seen is the caller's decision to make.
 *
 * So that a file is never called clean by a scanner that does not look, each
 * one is tried first, and again now and then (scan_probe.c): it must know the
 * EICAR test string, and must not call an encrypted archive or a hundred
 * archives in each other clean.  One that fails is down.
 *
 * This is a pure library, without Redis, store or log.  A scan_t belongs to
 * one process and one thread, and may not be taken through a fork.  libclamav
 * with the full signature set takes more than a gigabyte and some 20 seconds
 * to load, and it reads what strangers wrote: give it a process of its own.
 */

#ifndef SCAN_H
#define SCAN_H

#include <limits.h>
#include <stddef.h>

#include "common/wrt_limits.h"

#define SCAN_TEXT_SIZE    256
#define SCAN_ABOUT_SIZE   512
#define SCAN_HOST_SIZE    256
#define SCAN_SOCKET_SIZE  108       /* sun_path */

typedef enum {
    SCAN_CLEAN = 0,
    SCAN_INFECTED,
    SCAN_ERROR,
    SCAN_DOWN,
    SCAN_OFF
} scan_rc_t;

typedef enum {
    SCAN_LIBCLAMAV = 0,
    SCAN_CLAMD,
    SCAN_NOTHING
} scan_kind_t;

/* conf_files.c fills and checks it; plain data. */
typedef struct {
    scan_kind_t  kind;

    char         db[PATH_MAX];      /* libclamav: directory of signatures, used
                                       when it is there and has some */
    char         tmp[PATH_MAX];     /* libclamav: where it unpacks; "": /tmp.
                                       What it unpacks stays there when the
                                       process is killed */

    char         path[SCAN_SOCKET_SIZE];    /* clamd: its socket, or if "" */
    char         host[SCAN_HOST_SIZE];
    unsigned     port;
} scan_conf_t;

typedef struct scan_s  scan_t;

/* Told to stop?  Asked while waiting for a clamd; then the answer is
 * SCAN_DOWN. */
typedef int (*scan_stop_pt)(void *data);

/* cf is copied.  Nothing is loaded or connected yet.  NULL: no memory. */
scan_t *scan_open(const scan_conf_t *cf);
void scan_close(scan_t *s);
void scan_on_wait(scan_t *s, scan_stop_pt stop, void *data);

/*
 * Load the signatures or find the server, and try it.  SCAN_CLEAN: it works;
 * SCAN_DOWN, SCAN_OFF.  When it works already: look whether the signatures
 * changed, and load them anew; call it now and then while there is nothing to
 * scan.  Loading takes as long as it takes.
 */
scan_rc_t scan_prepare(scan_t *s);

/* Scan the file open as fd, from its beginning; its position may move.
 * Prepares by itself. */
scan_rc_t scan_file(scan_t *s, int fd);

/* Finding or reason of the last answer; "" after SCAN_CLEAN, but scan_prepare()
 * then may have a warning: new signatures could not be loaded, the old ones
 * are still in use. */
const char *scan_text(const scan_t *s);

/* After SCAN_DOWN: the scanner had the file, and then gave no answer: it died,
 * hangs, or was stopped by somebody; or it is because of this file. */
int scan_died(const scan_t *s);

/* For the log: engine and signatures in use.  It changes when they do, so
 * that what was clean by another one can be scanned again. */
const char *scan_about(const scan_t *s);

/* Does it know the EICAR test string alone, so that all else is clean?  Nobody
 * has filled the directory of signatures yet. */
int scan_bare(const scan_t *s);

/* For the rest of this process's life: no network, no other programs or
 * processes (scan_jail.c).  0, or -1 and why. */
int scan_jail(char *err, size_t size);

#endif
