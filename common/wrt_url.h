/*
 * wrt_url.h: where a Redis server is (writeen_redis, REDIS_URL).
 *
 *   redis://[user[:password]@]host[:port][/db]
 *   redis://:password@host...
 *   unix:/path/to.sock[?db=N][&password=...][&user=...]
 */

#ifndef WRT_URL_H
#define WRT_URL_H

#include <stddef.h>

#define WRT_URL_HOST_MAX  108     /* sun_path */
#define WRT_URL_CRED_MAX  512

typedef struct {
    char      host[WRT_URL_HOST_MAX];     /* numeric address, name or path */
    char      user[WRT_URL_CRED_MAX];     /* "" : none */
    char      password[WRT_URL_CRED_MAX]; /* "" : none; %XX decoded */
    unsigned  port;                       /* 0: unix socket */
    unsigned  db;
} wrt_redis_url_t;

/*
 * Parse p[0..n).  IPv6 hosts stand in brackets.  Returns NULL, or a static
 * text that says what is wrong and what is allowed.
 */
const char *wrt_redis_url_parse(wrt_redis_url_t *u, const char *p, size_t n);

/*
 * Is it one server, as it is written, whatever the user and the database?
 * Nobody is asked for a name: it is another server than its address.
 */
int wrt_redis_url_same(const wrt_redis_url_t *a, const wrt_redis_url_t *b);

#endif
