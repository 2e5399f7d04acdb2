/*
 * wrt_url.c: where a Redis server is.
 *
 * Read once, at start: what is wrong is told to the one who configured it, as
 * a sentence that names what is allowed.  No message repeats any part of the
 * URL, so that a password never gets into a log this way.
 */

#include <string.h>

#include "common/wrt_url.h"

#define WRT_URL_PORT      6379
#define WRT_URL_PORT_MAX  65535
#define WRT_URL_DB_MAX    65535

/* A piece of the URL. */
typedef struct {
    const char  *p;
    size_t       n;
} wrt_piece_t;


/* Take a literal from the front.  1 or 0. */
static int
wrt_url_skip(wrt_piece_t *s, const char *what)
{
    size_t  n;

    n = strlen(what);

    if (s->n < n || memcmp(s->p, what, n) != 0) {
        return 0;
    }

    s->p += n;
    s->n -= n;

    return 1;
}


/* Split at the first c: what comes before it is *head, the rest stays in s.
 * Without c all is head.  1 when there was one. */
static int
wrt_url_split(wrt_piece_t *s, char c, wrt_piece_t *head)
{
    const char  *p;

    *head = *s;
    p = s->n ? memchr(s->p, c, s->n) : NULL;

    if (p == NULL) {
        s->p += s->n;
        s->n = 0;
        return 0;
    }

    head->n = (size_t) (p - s->p);
    s->p = p + 1;
    s->n -= head->n + 1;

    return 1;
}


/* Digits only, up to max.  0, or -1. */
static int
wrt_url_number(const wrt_piece_t *s, unsigned max, unsigned *out)
{
    size_t    i;
    unsigned  v;

    for (i = 0, v = 0; i < s->n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return -1;
        }

        v = v * 10 + (unsigned) (s->p[i] - '0');
        if (v > max) {
            return -1;
        }
    }

    *out = v;

    return s->n > 0 ? 0 : -1;
}


static int
wrt_url_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static const char *
wrt_url_credential(char *out, const wrt_piece_t *s)
{
    int     hi, lo;
    char    c;
    size_t  i, n;

    for (i = 0, n = 0; i < s->n; i++) {
        c = s->p[i];

        if (c == '%') {
            if (s->n - i < 3) {
                return "\"%\" in user or password must be followed by two"
                       " hexadecimal digits";
            }

            hi = wrt_url_hex(s->p[i + 1]);
            lo = wrt_url_hex(s->p[i + 2]);

            if (hi < 0 || lo < 0 || (hi == 0 && lo == 0)) {
                return "\"%\" in user or password must be followed by two"
                       " hexadecimal digits, and not by 00";
            }

            c = (char) (hi << 4 | lo);
            i += 2;
        }

        if (n == WRT_URL_CRED_MAX - 1) {
            return "user and password may have 511 bytes each";
        }

        out[n++] = c;
    }

    out[n] = '\0';

    return NULL;
}


static const char *
wrt_url_unix(wrt_redis_url_t *u, wrt_piece_t s)
{
    const char   *err;
    wrt_piece_t   path, arg;

    wrt_url_split(&s, '?', &path);

    if (path.n == 0 || path.p[0] != '/') {
        return "\"unix:\" must be followed by an absolute path:"
               " unix:/path/to.sock[?db=N][&user=...][&password=...]";
    }

    if (path.n >= WRT_URL_HOST_MAX) {
        return "the path of a unix socket may have 107 bytes";
    }

    memcpy(u->host, path.p, path.n);
    u->host[path.n] = '\0';

    while (s.n > 0) {
        wrt_url_split(&s, '&', &arg);

        if (wrt_url_skip(&arg, "db=")) {
            err = wrt_url_number(&arg, WRT_URL_DB_MAX, &u->db) == 0 ? NULL
                  : "db= must be followed by a number from 0 to 65535";

        } else if (wrt_url_skip(&arg, "password=")) {
            err = wrt_url_credential(u->password, &arg);

        } else if (wrt_url_skip(&arg, "user=")) {
            err = wrt_url_credential(u->user, &arg);

        } else {
            err = "only db, user and password may follow the \"?\"";
        }

        if (err) {
            return err;
        }
    }

    return NULL;
}


static const char *
wrt_url_host(wrt_redis_url_t *u, const wrt_piece_t *host, int v6)
{
    char         c;
    size_t       i;
    const char  *more;

    static const char  allowed[] = "host must be a name, an IPv4 address or an"
                                   " IPv6 address in brackets:"
                                   " redis://[user[:password]@]host[:port]"
                                   "[/db]";

    /* zone ids (fe80::1%eth0) need the name of an interface */
    more = v6 ? ":.%_-" : ".-_";

    if (host->n == 0) {
        return allowed;
    }

    if (host->n >= WRT_URL_HOST_MAX) {
        return "host may have 107 bytes";
    }

    for (i = 0; i < host->n; i++) {
        c = host->p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || (c && strchr(more, c))))
        {
            return allowed;
        }
    }

    memcpy(u->host, host->p, host->n);
    u->host[host->n] = '\0';

    return NULL;
}


/* host[:port] */
static const char *
wrt_url_address(wrt_redis_url_t *u, wrt_piece_t s)
{
    int           v6, port;
    const char   *err;
    wrt_piece_t   host;

    u->port = WRT_URL_PORT;
    v6 = wrt_url_skip(&s, "[");

    if (v6) {
        if (!wrt_url_split(&s, ']', &host)) {
            return "\"[\" before an IPv6 address needs a \"]\" after it";
        }

        port = wrt_url_skip(&s, ":");

        if (!port && s.n > 0) {
            return "only \":port\" may follow the \"]\" of an IPv6 address";
        }

    } else {
        port = wrt_url_split(&s, ':', &host);
    }

    err = wrt_url_host(u, &host, v6);
    if (err) {
        return err;
    }

    if (port && (wrt_url_number(&s, WRT_URL_PORT_MAX, &u->port) != 0
                 || u->port == 0))
    {
        return "port must be a number from 1 to 65535";
    }

    return NULL;
}


static const char *
wrt_url_tcp(wrt_redis_url_t *u, wrt_piece_t s)
{
    size_t        i;
    const char   *err;
    wrt_piece_t   authority, login, user;

    wrt_url_split(&s, '/', &authority);

    if (s.n > 0 && wrt_url_number(&s, WRT_URL_DB_MAX, &u->db) != 0) {
        return "only the number of a database, 0 to 65535, may follow the"
               " host; \"/\" in a password is written %2F";
    }

    /* the last @, so that a password may hold one */
    for (i = authority.n; i > 0; i--) {
        if (authority.p[i - 1] == '@') {
            break;
        }
    }

    if (i > 0) {
        login.p = authority.p;
        login.n = i - 1;
        authority.p += i;
        authority.n -= i;

        wrt_url_split(&login, ':', &user);

        err = wrt_url_credential(u->user, &user);
        if (err == NULL) {
            err = wrt_url_credential(u->password, &login);
        }

        if (err) {
            return err;
        }
    }

    return wrt_url_address(u, authority);
}


const char *
wrt_redis_url_parse(wrt_redis_url_t *u, const char *p, size_t n)
{
    size_t       i;
    wrt_piece_t  s;

    memset(u, 0, sizeof(*u));

    s.p = p;
    s.n = n;

    for (i = 0; i < n; i++) {
        if ((unsigned char) p[i] <= ' ' || p[i] == 0x7F) {
            return "a Redis URL holds no spaces and no control characters;"
                   " write them as %XX";
        }
    }

    if (wrt_url_skip(&s, "redis://")) {
        return wrt_url_tcp(u, s);
    }

    if (wrt_url_skip(&s, "unix:")) {
        return wrt_url_unix(u, s);
    }

    return "a Redis URL begins with \"redis://\" or \"unix:\":"
           " redis://[user[:password]@]host[:port][/db] or"
           " unix:/path/to.sock[?db=N][&user=...][&password=...];"
           " TLS (rediss://) is not supported";
}


/* Slashes in a row are one: unix:///run/redis.sock is often written. */
static int
wrt_url_same_path(const char *a, const char *b)
{
    while (*a && *a == *b) {
        if (*a == '/') {
            a += strspn(a, "/");
            b += strspn(b, "/");

        } else {
            a++;
            b++;
        }
    }

    return *a == *b;
}


static char
wrt_url_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c | 0x20) : c;
}


static int
wrt_url_same_host(const char *a, const char *b)
{
    while (*a && wrt_url_lower(*a) == wrt_url_lower(*b)) {
        a++;
        b++;
    }

    return *a == *b;
}


int
wrt_redis_url_same(const wrt_redis_url_t *a, const wrt_redis_url_t *b)
{
    if (a->port != b->port) {
        return 0;
    }

    return a->port == 0 ? wrt_url_same_path(a->host, b->host)
                        : wrt_url_same_host(a->host, b->host);
}
