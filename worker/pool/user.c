/*
 * user.c: the pool started as root becomes another user (WORKER_USER).
 *
 * Before anything else is read or opened: what is checked, made or refused
 * afterwards is so for that user.  Groups first, then the user, all three ids
 * of each, and then it is tried whether the way back is closed.
 */

#define _GNU_SOURCE                 /* setresuid() */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "worker/worker.h"


static int
user_change(const struct passwd *pw, char *err, size_t size)
{
    if (initgroups(pw->pw_name, pw->pw_gid) != 0
        || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0
        || setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
    {
        snprintf(err, size, "WORKER_USER: becoming \"%.64s\": %s; start the "
                 "pool as root with the capabilities SETUID and SETGID, or as "
                 "that user", pw->pw_name, strerror(errno));
        return -1;
    }

    if (setuid(0) == 0 || setgid(0) == 0 || geteuid() != pw->pw_uid
        || getegid() != pw->pw_gid)
    {
        snprintf(err, size, "WORKER_USER: after becoming \"%.64s\" the pool "
                 "could still be root; take away its capabilities",
                 pw->pw_name);
        return -1;
    }

    /* its own again, /proc and core included, as if that user had started
     * it: what it has in memory it has read as him */
    if (prctl(PR_SET_DUMPABLE, 1) != 0) {
        snprintf(err, size, "WORKER_USER: prctl: %s", strerror(errno));
        return -1;
    }

    return 0;
}


int
user_become(const char *name, char *err, size_t size)
{
    struct passwd  *pw;

    if (name == NULL || name[0] == '\0') {
        return 0;
    }

    errno = 0;
    pw = getpwnam(name);

    if (pw == NULL) {
        snprintf(err, size, "WORKER_USER is \"%.64s\": there is no such user"
                 "%s%s; create it (adduser --system --group), or name "
                 "another one", name, errno ? ": " : "",
                 errno ? strerror(errno) : "");
        return -1;
    }

    if (pw->pw_uid == 0 || pw->pw_gid == 0) {
        snprintf(err, size, "WORKER_USER is \"%.64s\", who is root or in its "
                 "group; name a user without rights", name);
        return -1;
    }

    if (geteuid() == pw->pw_uid && getuid() == pw->pw_uid) {
        return 0;
    }

    if (geteuid() != 0) {
        snprintf(err, size, "WORKER_USER is \"%.64s\", but only root can "
                 "change to another user; start the pool as root or as that "
                 "user, or unset it", name);
        return -1;
    }

    return user_change(pw, err, size);
}
