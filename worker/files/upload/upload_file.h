/*
 * upload_file.h: files without a name.
 */

#ifndef UPLOAD_FILE_H
#define UPLOAD_FILE_H

/* A new file in this directory, read and write, mode 0600, that is gone with
 * its descriptor.  -1 with errno set. */
int upload_file_create(int dirfd);

#endif
