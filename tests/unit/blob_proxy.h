/*
 * blob_proxy.h: a TCP proxy before a real server, that does what networks and
 * servers under load do: it goes silent, cuts, or says that it is busy.
 */

#ifndef BLOB_PROXY_H
#define BLOB_PROXY_H

#include <stdatomic.h>
#include <sys/types.h>

/* Set by the test while the proxy runs; memory that both share. */
typedef struct {
    _Atomic int   connections;      /* accepted so far */
    _Atomic int   requests;         /* seen so far */

    _Atomic int   mute;             /* take the request, never answer */
    _Atomic int   pass;             /* so many requests pass, then ... */
    _Atomic int   busy;             /* ... so many get ... */
    char          answer[512];      /* ... this, and are cut off */
    _Atomic int   cut;              /* so many are cut off after ... */
    _Atomic long  cut_after;        /* ... bytes of the answer */
    _Atomic int   kill_pid;         /* gets SIGKILL, once, after ... */
    _Atomic long  kill_after;       /* ... bytes of requests in all */
    _Atomic long  sent;             /* bytes of requests so far */
} proxy_t;

/* To 127.0.0.1:to; its own port in *port. */
proxy_t *proxy_start(int to, int *port);
void proxy_stop(proxy_t *p);

#endif
