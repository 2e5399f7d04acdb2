/*
 * jail.h: what a process may not do any more once it takes apart what
 * strangers have sent.
 */

#ifndef JAIL_H
#define JAIL_H

#include <stddef.h>

#define JAIL_SOCKETS    0x1     /* none but those of this machine (AF_UNIX) */
#define JAIL_PROCESSES  0x2     /* threads, but no processes, and no tracing;
                                   a leak check of the sanitizers is such a
                                   process */
#define JAIL_WRITES     0x4     /* no file is opened for writing */
#define JAIL_STRANGERS  0x8     /* whoever listens on a socket of this machine
                                   is not talked to, and nobody is listened
                                   for; sockets that are open stay */

typedef struct {
    const char *const  *calls;      /* of the system that are refused */
    const char *const  *reads;      /* files and directories that may be read
                                       with all that is in them; NULL: all */
    unsigned            rules;      /* JAIL_... */
} jail_t;

/*
 * For good, and for all threads of this process: no programs, no signals to
 * others, no keys pushed into its terminal, none of the kernel's odd corners;
 * and, where the kernel has Landlock, nothing of other processes by /proc,
 * whose memory and environment are files of the same user, nor any file but
 * those of `reads`.  Besides, what `rules` say and the system calls that
 * `calls` names.  Both lists end with NULL.  A name that this kernel's headers
 * do not know is passed over: nobody could call it by number, either, where it
 * does not exist; so is what is to be read and is not there.
 *
 * What is refused fails with EPERM; a socket, and a file that is to be
 * written, with EACCES; clone3() and openat2(), whose flags no filter sees,
 * with ENOSYS.  0, or -1 and why in err; then the process is not confined.
 */
int jail_enter(const jail_t *jail, char *err, size_t size);

#endif /* JAIL_H */
