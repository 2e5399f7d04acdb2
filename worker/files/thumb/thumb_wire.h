/*
 * thumb_wire.h: between thumb.c and its child writeen-thumb.
 *
 * The child's one argument is jpeg, png, gif or pdf.  Its descriptors are 0
 * (the picture), 1 (a pipe for the report) and from THUMB_FD_FIRST on the
 * files for the thumbnails.  The report is lines of text:
 *
 *   picture <width> <height> <pages>
 *   made jpg|png <width> <height> <width> <height> <width> <height>
 *   none <why>                         the picture's fault
 *   failed <why>                       ours
 *
 * The last one is one of the last three; none at all: it died.
 */

#ifndef THUMB_WIRE_H
#define THUMB_WIRE_H

#include "worker/files/thumb/thumb.h"

#define THUMB_FD_REPORT  1
#define THUMB_FD_FIRST   3
#define THUMB_REPORT     512        /* bytes */

/* thumb_jail.c.  Limits first: they hold for everything the child does; then,
 * when the libraries are up and before the picture is touched, the rest.  0,
 * or -1 and why in err. */
int thumb_jail_limits(char *err, size_t size);
int thumb_jail_enter(char *err, size_t size);

#endif
