/*
 * spool.h: the directory into which nginx writes uploads.
 *
 * nginx and the files role of one machine share it.  Its file "id" names it,
 * 24 hex digits, made by whoever came first; the stream of its uploads has that
 * name.  A body is a regular file there, named by its upload's id; whoever
 * works on one holds a lock on it (flock), which ends with the process.
 */

#ifndef SPOOL_H
#define SPOOL_H

#include <stddef.h>

#include "common/wrt_limits.h"

typedef enum {
    SPOOL_OK = 0,
    SPOOL_BUSY,                     /* another process has it in hand */
    SPOOL_GONE,                     /* there is no such body */
    SPOOL_FAILED                    /* try again; errno says why */
} spool_rc_t;

/*
 * Open the directory (made if it is missing) and read or make its id.  The
 * descriptor, or -1 with a text in err.
 */
int spool_open(const char *path, char id[WRT_OID_LEN + 1], char *err,
    size_t size);

/*
 * Does the path lead to another directory than this one?  Somebody has removed
 * it and made it again, or put a disk there; nginx writes into the other one.
 */
int spool_moved(int dir, const char *path);

/*
 * Open that one in its place.  It is named as this one was if it has no name;
 * with another name err has a text, else it is empty.  The descriptor, or -1
 * with a text in err.
 */
int spool_reopen(const char *path, const char *id, char *err, size_t size);

/* Lock a body: *fd has it until it is closed. */
spool_rc_t spool_lock(int dir, const char *name, int *fd);

/* Told a name, says whether an upload of that id waits or is worked on: 1, 0;
 * -1: not known now. */
typedef int (*spool_known_pt)(void *data, const char *name);

/*
 * Remove what nobody knows and nobody has touched for so many seconds: bodies,
 * and what nginx was writing when it was killed.  Returns how many.
 */
unsigned spool_sweep(int dir, unsigned seconds, spool_known_pt known,
    void *data);

/*
 * A directory of this process's own in the spool, for what it unpacks; what
 * processes that are gone have left in theirs is removed before.  Its path goes
 * to out; the descriptor that is returned has it locked for as long as the
 * process lives, or until spool_scratch_end() removes it.  -1 and errno.
 */
int spool_scratch(const char *spool, char *out, size_t size);
void spool_scratch_end(int fd, const char *path);

#endif
