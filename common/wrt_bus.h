/*
 * wrt_bus.h: the routing header before the JSON of a bus message.
 *
 *   room channel, log and ingest:  <kind> <seq> <actor> <target>\n<JSON>
 *   user channel:                  <kind> <conversation> <seq> -\n<JSON>
 *   a worker's own channel:        R <rpc id> <status> <retry s>\n<JSON>
 *                                    (status 405: the methods that would do
 *                                    instead of seconds, "GET,POST")
 *                                  C <number> - -\n        (canary)
 *   applied channel:               A <conversation> <seq> -\n, repeated
 *
 * "-" stands for nothing.  Kinds of room events: see WRT_EV_*.
 */

#ifndef WRT_BUS_H
#define WRT_BUS_H

#include <stddef.h>
#include <stdint.h>

/* Durable, numbered (but WRT_EV_CREATE: number 0, ingest only) */
#define WRT_EV_CREATE   'c'   /* a conversation */
#define WRT_EV_MESSAGE  'm'
#define WRT_EV_CHANGE   'e'   /* edit, delete, reaction, settings, file... */
#define WRT_EV_JOIN     'j'   /* target became a member */
#define WRT_EV_LEAVE    'l'   /* target is a member no more */
#define WRT_EV_FENCE    'f'   /* stands for a hole; shown to nobody */
/* Not numbered (seq 0) */
#define WRT_EV_STATUS   's'   /* a cursor moved */
#define WRT_EV_TYPING   't'   /* not to the actor; first to be dropped */
#define WRT_EV_PRESENCE 'p'
#define WRT_EV_PROFILE  'u'   /* ingest only; conversation "-" */
#define WRT_EV_FILE     'b'   /* ingest only: what is known of a file */
#define WRT_EV_DEVICE   'n'   /* ingest only; conversation "-": push */
#define WRT_EV_LIFE     'x'   /* ingest only: holds, expiry, erasure */
#define WRT_EV_AUDIT    'a'   /* ingest only; conversation "-": an act */
#define WRT_EV_SESSION  'g'   /* ingest only: what is known of a session */

/* Kinds of user-channel messages */
#define WRT_UEV_JOIN    'j'   /* follow the room from seq on, then send JSON */
#define WRT_UEV_LEAVE   'l'   /* stop following it */
#define WRT_UEV_EVENT   'e'   /* send the JSON to the user's sockets */
#define WRT_UEV_REVOKE  'k'   /* close the user's sockets with 4403 */
#define WRT_UEV_PROFILE 'u'   /* JSON: what a service calls him from now on */

#define WRT_BUS_REPLY   'R'
#define WRT_BUS_CANARY  'C'
#define WRT_BUS_APPLIED 'A'

typedef struct {
    const char  *p;
    size_t       n;
} wrt_slice_t;

/* A parsed header; slices point into the input.  "-" gives an empty slice. */
typedef struct {
    char         kind;
    wrt_slice_t  f[3];      /* the three fields as text */
    int64_t      num[3];    /* the same as numbers, -1 when not a number */
    wrt_slice_t  body;      /* what follows the newline */
} wrt_bus_header_t;

/* Parse p[0..n).  Returns 0, or -1 when it is not such a message (fields are
 * 1..64 bytes without spaces; numbers up to 2^53). */
int wrt_bus_parse(wrt_bus_header_t *h, const char *p, size_t n);

#endif
