/*
 * disposition.h: the value of a Content-Disposition header (RFC 6266).
 *
 * Pure: a name is bytes of UTF-8 that somebody chose, the outcome is printable
 * ASCII in one line.
 */

#ifndef DISPOSITION_H
#define DISPOSITION_H

#include "worker/worker.h"

/* Add `<kind>; filename="..."`, and filename* besides when the first cannot say
 * all of the name.  Control characters become underscores in both. */
void disposition_add(buf_t *out, const char *kind, const char *name);

#endif
