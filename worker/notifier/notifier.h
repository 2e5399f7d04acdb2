/*
 * notifier.h: between the notifier*.c files, the role that decides what is
 * pushed to whom.
 *
 *   notifier.c        the role: its lease, takes what is due, gives it back
 *   notifier_item.c   one item: who may have to be told
 *   notifier_look.c   which of them: what Redis says of people and devices,
 *                     and their settings
 *   notifier_send.c   pushes on their way, and what became of them
 *   notifier_note.c   what others note for it (worker.h)
 *
 * Nothing is queued: an item in WRT_KEY_PUSH_DUE says where to look, and what
 * is to be pushed follows from what is so at that moment: what is unread,
 * who has the room open, what his devices were sent.  So that it does no harm
 * to look twice, and whoever dies leaves nothing that another one does not
 * find.
 *
 * Items, words separated by blanks:
 *   m <conversation>             it has new messages, or one is deleted
 *   m <conversation> <user>      the same for one user
 *   m <conversation> <user> o    he had it open the last time
 *   i <conversation> <user> <actor>   he was invited
 *   r <conversation>             its consultation begins soon
 *   f <conversation> <user> <file>    his upload is done
 *   w <conversation> <user>      he has been shown something: waits until he
 *                                has read, or is a member no more
 *                                (WRT_PUSH_SHOWN_MS at most)
 *
 * In hand an item is in WRT_KEY_PUSH_HAND instead, until all that came of it
 * is recorded; a notifier that begins puts back what it finds there.
 */

#ifndef NOTIFIER_H
#define NOTIFIER_H

#include "worker/worker.h"

#define NOTIFIER_WORDS   4
#define NOTIFIER_ITEM    (2 + 3 * (WRT_ID_MAX + 1))
#define NOTIFIER_ITEMS   64         /* in hand at once */
#define NOTIFIER_FIELD   (3 * (WRT_ID_MAX + 1) + 8)

/* An item in hand. */
typedef struct {
    char           text[NOTIFIER_ITEM];
    int64_t        at;              /* mono: since when it is looked at */
    unsigned       refs;            /* pushes under way; 0 and not busy: it
                                       may go */
    int            used;
    int            busy;            /* it is being looked at */
    int            failed;          /* not now: back into due */
} item_t;

/* A push that is wanted; JSON and texts are borrowed until it is sent. */
typedef struct {
    push_kind_t    kind;
    const char    *user;
    const json_t  *device;
    int64_t        seq;
    unsigned       services;        /* that do not have it yet */
    unsigned       tries;           /* that failed */
    char           field[NOTIFIER_FIELD];   /* in what he was sent */
    char           tag[PUSH_TAG_MAX + 1];
    char           again[NOTIFIER_ITEM];    /* item when it has to wait */
    const char    *who;             /* for its text */
    const char    *what;
    int            minutes;
} want_t;

/* A push under way. */
typedef struct {
    int            used;
    item_t        *item;
    push_kind_t    kind;
    char           user[WRT_ID_MAX + 1];
    char           conversation[WRT_ID_MAX + 1];
    char           device[WRT_ID_MAX + 1];
    char           field[NOTIFIER_FIELD];
    char           again[NOTIFIER_ITEM];
    int64_t        seq;
    unsigned       tries;           /* that failed before */
    int64_t        at;              /* when it was handed over */
    unsigned       left;            /* services that have not answered */
    unsigned       sent;
    unsigned       later;           /* services that want it later */
    int            dead;
    int64_t        wait_ms;
} sending_t;

typedef struct {
    role_t        *role;
    const conf_t  *cf;
    link_t        *links;           /* one a server, the first is the hub */
    cmd_t          cmd;
    push_t        *push;
    unsigned       services;
    int            held;            /* the lease is ours */
    int64_t        lease_at;        /* mono: its next turn */
    int            trouble;         /* it has been logged */

    item_t         items[NOTIFIER_ITEMS];
    sending_t     *sendings;
    unsigned       nsendings;       /* places */

    want_t        *wants;           /* of the page at hand */
    unsigned       nwants;
    unsigned       cap;
} notifier_t;

/* What a device was sent last. */
typedef struct {
    int64_t        seq;             /* 0: nothing */
    unsigned       left;            /* services that do not have it, or nobody
                                       knows; 0: all is done */
    unsigned       tries;           /* that failed since one did not */
} pushed_t;

/* Somebody who may have to be told. */
typedef struct {
    char           user[WRT_ID_MAX + 1];
    int64_t        joined;          /* seq */
    int64_t        read;
    int64_t        seq;             /* of what he is to be told; 0: nothing */
    const json_t  *message;         /* that this is, or NULL */
    const json_t  *push;            /* his devices and settings */
    int            open;            /* a device of his has the room open */
    int            muted;           /* he has muted the room */
    reply_t       *pushed;          /* states of his devices, in order */
} person_t;


/* notifier.c */

rds_t *notifier_hub(notifier_t *n);
rds_t *notifier_shard(notifier_t *n, const char *conversation);
/* Have a look at that at ms (wall clock), or earlier if that is noted already.
 * Queued on the hub. */
void notifier_due(notifier_t *n, rds_t *hub, const char *item, int64_t ms);
/* Let pushes go on, record what became of them, keep the lease. */
void notifier_pump(notifier_t *n, int ms);


/* notifier_item.c: 0, or -1: not now. */
int notifier_item(notifier_t *n, item_t *it);


/* notifier_look.c */

/* The field of a device in what its user was sent: of messages (suffix "") or
 * of another kind. */
void notifier_field(char out[NOTIFIER_FIELD], const char *conversation,
    const json_t *device, const char *suffix);
/* Fill open, pushed and, from the shard, read, for those with devices.  park:
 * remember first that they may be shown something.  0, -1. */
int notifier_look(notifier_t *n, const char *conversation, person_t *people,
    unsigned count, const char *suffix, int park);
void notifier_looked(person_t *people, unsigned count);
/* Of the i-th device. */
pushed_t notifier_pushed(const notifier_t *n, const person_t *p, size_t i);
/* When the quiet hours end that he has now; 0: none.  push: as in person_t */
int64_t notifier_quiet(const json_t *push, int64_t now);
/* Has he muted the room? */
int notifier_muted(const json_t *push, int64_t now);


/* notifier_send.c */

/* One more that is wanted; zeroed. */
want_t *notifier_want(notifier_t *n);
/* Send what is wanted, for the item.  0, -1. */
int notifier_go(notifier_t *n, item_t *it, const char *conversation);
/* Is something on its way to him about this conversation? */
int notifier_flying(const notifier_t *n, const char *conversation,
    const char *user);
/* Write down what became of those that are done.  0, -1. */
int notifier_record(notifier_t *n);

#endif
