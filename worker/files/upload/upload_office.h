/*
 * upload_office.h: is a ZIP archive a Word or PowerPoint file without macros?
 */

#ifndef UPLOAD_OFFICE_H
#define UPLOAD_OFFICE_H

typedef enum {
    OFFICE_WORD = 0,
    OFFICE_SLIDES
} office_kind_t;

/*
 * Looks at the archive's directory and its list of types, nothing else is
 * unpacked.  NULL: it is; else why it is not (static text).  *failed: that is
 * our fault (no memory, disk).
 */
const char *upload_office_check(int fd, office_kind_t kind, int *failed);

#endif
