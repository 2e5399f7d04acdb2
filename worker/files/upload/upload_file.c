/*
 * upload_file.c: files without a name (see upload_file.h).
 *
 * Where the file system has no O_TMPFILE they have one for a moment.
 */

#define _GNU_SOURCE                 /* O_TMPFILE */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "worker/files/upload/upload_file.h"

#define FILE_NAME_TRIES  8


int
upload_file_create(int dirfd)
{
    int       fd, i;
    char      name[40];
    uint64_t  r;

    fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT
                    && errno != EINVAL))
    {
        return fd;
    }

    for (i = 0; i < FILE_NAME_TRIES; i++) {

        if (getrandom(&r, sizeof(r), 0) != sizeof(r)) {
            return -1;
        }

        snprintf(name, sizeof(name), ".upload-%016llx",
                 (unsigned long long) r);
        fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd >= 0) {
            unlinkat(dirfd, name, 0);
            return fd;
        }

        if (errno != EEXIST) {
            break;
        }
    }

    return -1;
}
