/*
 * files_scanner.h: the role that has libclamav in it, and how others ask it.
 *
 * The parent makes the socket before it forks (an abstract one, which has no
 * file), so that a question waits there while the scanner is started anew.
 * One question, one connection: the file goes over as a descriptor, and a
 * connection that ends without an answer says that the scanner died.
 */

#ifndef FILES_SCANNER_H
#define FILES_SCANNER_H

#include "worker/files/scan/scan.h"

typedef struct {
    scan_rc_t  rc;
    char       text[SCAN_TEXT_SIZE];    /* finding or reason */
    char       about[SCAN_ABOUT_SIZE];  /* engine and signatures */
    int        died;                    /* SCAN_DOWN: with this file in hand */
} scan_answer_t;

/* The socket; -1 and errno. */
int scanner_listen(void);

/* Ask who listens on it; fd is read from its beginning.  SCAN_DOWN when there
 * is no answer, or the role was told to stop. */
void scanner_ask(int listener, int fd, scan_answer_t *out);

#endif
