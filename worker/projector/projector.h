/*
 * projector.h: between projector.c (leases, reading, its turn), project.c
 * (what becomes of a batch) and reemit.c (numbers given twice).  Nobody else
 * includes it.
 */

#ifndef PROJECTOR_H
#define PROJECTOR_H

#include "worker/worker.h"

/* Reads of a turn: each may bring as much as is in hand. */
#define PROJECTOR_READS    12

/* Places in the cache of conversations whose numbers are known to be good. */
#define PROJECTOR_CHECKED  65536

/* One entry in hand.  Slices and id point into the replies. */
typedef struct {
    entry_t       e;
    unsigned      lease;            /* index */
    const char   *id;
    wrt_slice_t   c;
    wrt_slice_t   p;
    wrt_slice_t   x;
    unsigned      skip:1;           /* not for the store (any more) */
    unsigned      dead:1;           /* is a dead letter */
} item_t;

/* A shard that is being read. */
typedef struct {
    unsigned      lease;            /* index */
    unsigned      want;
    unsigned      got;
    char          last[EVENT_ENTRY_SIZE];
} ask_t;

typedef struct {
    role_t       *role;
    const conf_t *cf;
    guard_t      *guard;

    link_t        shard;            /* the server of our shards */
    link_t        hub_link;         /* used when the hub is another one */
    link_t       *hub;
    unsigned      generation;       /* of the shard link, as we know it */

    leases_t      leases;

    int           delay;            /* while the store is down, ms */
    int64_t       retry_at;         /* mono */

    unsigned      count;            /* entries that fit into a batch */
    ask_t        *asked;
    unsigned      nasked;

    item_t       *items;            /* the batch, grouped by read */
    unsigned      nitems;
    size_t        bytes;
    reply_t      *replies[PROJECTOR_READS];
    unsigned      nreplies;

    int64_t       started;          /* mono: when the turn had its first */
    int64_t       worked;           /* mono_us(): since when without a rest */
    unsigned      calm:1;           /* not behind: it may rest */

    uint64_t     *checked;          /* see reemit.c */

    int64_t       rest_at;          /* mono: the next step of rest.c */
    unsigned      rest_lease;       /* the shard that it is at */
    char          rest_cursor[24];  /* of its SSCAN; "" at the beginning */

    int64_t       tidy_at;          /* mono: when store_tidy() is due */

    cmd_t         cmd;              /* scratch */
    buf_t         text;
} projector_t;

/* A piece of work is done: rest, if it is time to.  data: the projector_t. */
void projector_worked(void *data);

/* Apply the batch in hand.  STORE_OK: done, and out of the streams.
 * STORE_DOWN: the store does not answer.  STORE_REJECTED: Redis failed.  In
 * the latter two the batch is to be read again. */
store_rc_t projector_apply(projector_t *p);

/* rest.c: conversations that have been silent for long enough may be forgotten
 * by Redis again.  A step, if one is due; a failure shows on the connection. */
void projector_rest(projector_t *p);

/* reemit.c: has Redis been started anew?  Then watch for numbers that are
 * given twice. */
void reemit_watch(projector_t *p);
/* Is this a new event under an old number?  Then emit it again and skip it.
 * STORE_OK, STORE_DOWN, or STORE_REJECTED: Redis failed. */
store_rc_t reemit_check(projector_t *p, item_t *it);

#endif
