/*
 * node.c: the name of a running worker pool.
 *
 * It says on which host (boot id and pid namespace), as which process and
 * since when the pool runs, so that another pool of the same host can tell
 * for certain that the owner of a lease has ended, and need not wait until
 * the lease runs out.  Of other hosts nothing is said: there only the lease
 * counts.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/worker.h"

#define NODE_STAT_START  22     /* proc(5): start time, in ticks since boot */


static uint64_t
node_hash(uint64_t h, const char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        h = (h ^ (unsigned char) p[i]) * 0x100000001B3ULL;      /* FNV-1a */
    }

    return h;
}


/* Boot and pid namespace: where process numbers mean the same. */
static uint64_t
node_host(void)
{
    char      text[256];
    FILE     *f;
    size_t    n;
    ssize_t   link;
    uint64_t  h;

    h = 0xCBF29CE484222325ULL;

    f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f) {
        n = fread(text, 1, sizeof(text), f);
        h = node_hash(h, text, n);
        fclose(f);
    }

    link = readlink("/proc/self/ns/pid", text, sizeof(text));
    if (link > 0) {
        h = node_hash(h, text, (size_t) link);
    }

    return h;
}


/* When a process started; 0 when it is not there, or dead already. */
static uint64_t
node_start(long pid)
{
    int        i;
    char       path[64], text[1024], *p, *save;
    FILE      *f;
    size_t     n;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);

    f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }

    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';

    /* the name may hold anything, so count from its end: field 3 is next */
    p = strrchr(text, ')');
    if (p == NULL) {
        return 0;
    }

    save = NULL;
    p = strtok_r(p + 1, " ", &save);

    if (p == NULL || *p == 'Z' || *p == 'X') {
        return 0;
    }

    for (i = 3; p && i < NODE_STAT_START; i++) {
        p = strtok_r(NULL, " ", &save);
    }

    return p ? strtoull(p, NULL, 10) : 0;
}


void
node_name(char out[NODE_SIZE])
{
    long  pid;

    pid = (long) getpid();

    snprintf(out, NODE_SIZE, "%016" PRIx64 "-%ld-%" PRIu64, node_host(), pid,
             node_start(pid));
}


int
node_gone(const char *name, size_t n)
{
    int       used;
    char      text[NODE_SIZE];
    long      pid;
    uint64_t  host, start;

    if (n >= sizeof(text)) {
        return 0;
    }

    memcpy(text, name, n);
    text[n] = '\0';
    used = 0;

    if (sscanf(text, "%16" SCNx64 "-%ld-%" SCNu64 "%n", &host, &pid, &start,
               &used) != 3
        || (size_t) used != n || host != node_host() || pid <= 0)
    {
        return 0;
    }

    return node_start(pid) != start;
}
