/*
 * floor.c: the least that a chat broadcaster with one thread can cost.
 *
 * It speaks the same {event,data} envelope as the project, checks the HS256
 * token at the upgrade, keeps rooms in memory and writes one prebuilt frame to
 * each member with one send() each.  No Redis, no database, no TLS, no limits:
 * a lower bound of CPU per message on this kernel, not a product.
 *
 *     floor PORT SECRET
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>


#define FLOOR_FDS        131072
#define FLOOR_ROOMS      65536
#define FLOOR_READ       65536
#define FLOOR_TEXT_MAX   4096
#define FLOOR_FRAME_MAX  8192
#define FLOOR_HEAD       4          /* the longest header of a server frame */
#define FLOOR_EVENTS     512


typedef struct floor_room_s  floor_room_t;

struct floor_room_s {
    floor_room_t   *next;
    char            id[64];
    int            *fds;
    int             n;
    int             size;
};


typedef struct {
    floor_room_t   *room;
    char           *in;             /* what is left over, */
    char           *out;            /* allocated when there is something */
    uint32_t        nin;
    uint32_t        nout;
    char            user[39];
    uint8_t         upgraded;
} floor_conn_t;


static floor_conn_t  *conns[FLOOR_FDS];
static floor_room_t  *rooms[FLOOR_ROOMS];
static const char    *secret;
static uint64_t       seq;
static int            ep;


static void *
floor_alloc(void *p, size_t n)
{
    p = realloc(p, n);
    if (p == NULL) {
        perror("floor");
        exit(1);
    }

    return p;
}


static void
floor_watch(int op, int fd, uint32_t events)
{
    struct epoll_event  ev;

    memset(&ev, 0, sizeof(ev));
    ev.events = events;
    ev.data.fd = fd;

    (void) epoll_ctl(ep, op, fd, &ev);
}


static floor_room_t *
floor_room(const char *id, int n)
{
    int             i;
    uint32_t        hash;
    floor_room_t   *rm, **bucket;

    hash = 2166136261u;

    for (i = 0; i < n; i++) {
        hash = (hash ^ (uint8_t) id[i]) * 16777619u;
    }

    bucket = &rooms[hash % FLOOR_ROOMS];

    for (rm = *bucket; rm != NULL; rm = rm->next) {
        if (strncmp(rm->id, id, n) == 0 && rm->id[n] == '\0') {
            return rm;
        }
    }

    rm = floor_alloc(NULL, sizeof(floor_room_t));
    memset(rm, 0, sizeof(floor_room_t));
    memcpy(rm->id, id, n);

    rm->next = *bucket;
    *bucket = rm;

    return rm;
}


static void
floor_join(floor_room_t *rm, int fd)
{
    if (rm->n == rm->size) {
        rm->size = rm->size ? 2 * rm->size : 2;
        rm->fds = floor_alloc(rm->fds, rm->size * sizeof(int));
    }

    rm->fds[rm->n++] = fd;
    conns[fd]->room = rm;
}


static void
floor_close(int fd)
{
    int             i;
    floor_conn_t   *c;
    floor_room_t   *rm;

    c = conns[fd];
    rm = c->room;

    for (i = 0; rm != NULL && i < rm->n; i++) {
        if (rm->fds[i] == fd) {
            rm->fds[i] = rm->fds[--rm->n];
            break;
        }
    }

    free(c->in);
    free(c->out);
    free(c);

    conns[fd] = NULL;
    close(fd);
}


static void
floor_write(int fd, const char *p, size_t n)
{
    ssize_t         w;
    floor_conn_t   *c;

    c = conns[fd];
    w = 0;

    if (c->nout == 0) {
        w = send(fd, p, n, MSG_NOSIGNAL);

        if (w == (ssize_t) n) {
            return;
        }

        if (w < 0) {
            if (errno != EAGAIN) {
                return;
            }

            w = 0;
        }

        floor_watch(EPOLL_CTL_MOD, fd, EPOLLIN|EPOLLOUT);
    }

    c->out = floor_alloc(c->out, c->nout + n - w);
    memcpy(c->out + c->nout, p + w, n - w);
    c->nout += n - w;
}


static void
floor_flush(int fd)
{
    ssize_t         w;
    floor_conn_t   *c;

    c = conns[fd];

    w = send(fd, c->out, c->nout, MSG_NOSIGNAL);
    if (w < 0) {
        return;
    }

    c->nout -= w;
    memmove(c->out, c->out + w, c->nout);

    if (c->nout == 0) {
        free(c->out);
        c->out = NULL;
        floor_watch(EPOLL_CTL_MOD, fd, EPOLLIN);
    }
}


/* Puts the header right before the payload; returns how long it is. */

static size_t
floor_header(char *payload, int opcode, size_t n)
{
    uint8_t  *p;

    p = (uint8_t *) payload;

    if (n < 126) {
        p[-2] = 0x80 | opcode;
        p[-1] = n;
        return 2;
    }

    p[-4] = 0x80 | opcode;
    p[-3] = 126;
    p[-2] = n >> 8;
    p[-1] = n;

    return 4;
}


static void
floor_frame(int fd, int opcode, char *payload, size_t n)
{
    size_t  len;

    len = floor_header(payload, opcode, n);
    floor_write(fd, payload - len, n + len);
}


/* The value of "key":"..." in p, without unescaping: this is a floor. */

static const char *
floor_value(const char *p, size_t n, const char *key, int *len)
{
    const char  *v, *end;

    v = memmem(p, n, key, strlen(key));
    if (v == NULL) {
        return NULL;
    }

    v += strlen(key);

    end = memchr(v, '"', p + n - v);
    if (end == NULL) {
        return NULL;
    }

    *len = end - v;
    return v;
}


static void
floor_message(int fd, const char *p, size_t n)
{
    int             i, nevent, nid, ntext;
    char            buf[FLOOR_HEAD + FLOOR_FRAME_MAX], *out;
    size_t          len;
    const char     *event, *id, *text;
    floor_room_t   *rm;

    out = buf + FLOOR_HEAD;
    event = floor_value(p, n, "\"event\":\"", &nevent);
    id = floor_value(p, n, "\"conversationId\":\"", &nid);

    if (event == NULL || id == NULL || nid > 63) {
        return;
    }

    rm = floor_room(id, nid);

    if (nevent == 17 && memcmp(event, "join_conversation", 17) == 0) {
        floor_join(rm, fd);

        n = snprintf(out, FLOOR_FRAME_MAX,
                     "{\"event\":\"conversation_joined\",\"data\":"
                     "{\"conversationId\":\"%s\"}}", rm->id);
        floor_frame(fd, 1, out, n);
        return;
    }

    text = floor_value(p, n, "\"text\":\"", &ntext);

    if (nevent != 12 || memcmp(event, "send_message", 12) != 0
        || text == NULL || ntext > FLOOR_TEXT_MAX)
    {
        return;
    }

    n = snprintf(out, FLOOR_FRAME_MAX,
                 "{\"event\":\"message_received\",\"data\":{\"message\":"
                 "{\"id\":\"65f0c0de%016llx\",\"conversationId\":\"%s\","
                 "\"senderId\":\"%s\",\"type\":\"text\",\"content\":"
                 "{\"text\":\"%.*s\"},\"createdAt\":"
                 "\"2024-01-01T00:00:00.000Z\"}}}",
                 (unsigned long long) ++seq, rm->id, conns[fd]->user, ntext,
                 text);
    len = floor_header(out, 1, n);

    for (i = 0; i < rm->n; i++) {
        floor_write(rm->fds[i], out - len, n + len);
    }
}


static int
floor_base64url(const char *s, int n, uint8_t *out, int max)
{
    int                 i, bits, len;
    char               *at;
    uint32_t            v;
    static const char   set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                "stuvwxyz0123456789-_";

    v = 0;
    bits = 0;
    len = 0;

    for (i = 0; i < n; i++) {
        at = memchr(set, s[i], 64);
        if (at == NULL) {
            return -1;
        }

        v = v << 6 | (uint32_t) (at - set);
        bits += 6;

        if (bits >= 8) {
            if (len == max) {
                return -1;
            }

            bits -= 8;
            out[len++] = v >> bits;
        }
    }

    return len;
}


static int
floor_token(const char *t, int n, floor_conn_t *c)
{
    int          len;
    uint8_t      sig[64], mac[32], claims[1024];
    unsigned     nmac;
    const char  *dot, *dot2, *user;

    dot = memchr(t, '.', n);
    dot2 = dot ? memchr(dot + 1, '.', t + n - dot - 1) : NULL;

    if (dot2 == NULL
        || floor_base64url(dot2 + 1, t + n - dot2 - 1, sig, 64) != 32)
    {
        return 0;
    }

    HMAC(EVP_sha256(), secret, strlen(secret), (const uint8_t *) t, dot2 - t,
         mac, &nmac);

    if (CRYPTO_memcmp(mac, sig, 32) != 0) {
        return 0;
    }

    len = floor_base64url(dot + 1, dot2 - dot - 1, claims, sizeof(claims));
    if (len < 0) {
        return 0;
    }

    user = floor_value((char *) claims, len, "\"sub\":\"", &n);
    if (user == NULL || n > 38) {
        return 0;
    }

    memcpy(c->user, user, n);
    return 1;
}


static void
floor_upgrade(int fd, const char *p, size_t n)
{
    int          len;
    char         key[128], out[256];
    uint8_t      sha[20];
    const char  *k, *t;

    k = memmem(p, n, "Sec-WebSocket-Key: ", 19);
    t = memmem(p, n, "token=", 6);

    if (k == NULL || t == NULL
        || !floor_token(t + 6, strcspn(t + 6, " &\r"), conns[fd]))
    {
        floor_write(fd, "HTTP/1.1 401 Unauthorized\r\n"
                        "Content-Length: 0\r\n\r\n", 48);
        return;
    }

    memcpy(key, k + 19, 24);
    memcpy(key + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    SHA1((uint8_t *) key, 60, sha);
    EVP_EncodeBlock((uint8_t *) key, sha, 20);

    conns[fd]->upgraded = 1;

    len = snprintf(out, sizeof(out),
                   "HTTP/1.1 101 Switching Protocols\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n", key);
    floor_write(fd, out, len);
}


/* One frame of a client; returns its length, 0 when it is not all there, -1
 * when the connection is to end. */

static ssize_t
floor_client_frame(int fd, uint8_t *p, size_t n)
{
    char     pong[FLOOR_HEAD + 125];
    size_t   i, k, len;
    uint8_t *mask, *data;

    if (n < 6) {
        return 0;
    }

    len = p[1] & 127;
    k = 2;

    if (len == 127) {
        return -1;
    }

    if (len == 126) {
        len = p[2] << 8 | p[3];
        k = 4;
    }

    if (n < k + 4 + len) {
        return 0;
    }

    mask = p + k;
    data = mask + 4;

    for (i = 0; i < len; i++) {
        data[i] ^= mask[i & 3];
    }

    switch (p[0] & 15) {

    case 1:
        floor_message(fd, (char *) data, len);
        break;

    case 8:
        return -1;

    case 9:
        if (len > 125) {
            return -1;
        }

        memcpy(pong + FLOOR_HEAD, data, len);
        floor_frame(fd, 10, pong + FLOOR_HEAD, len);
        break;
    }

    return k + 4 + len;
}


static void
floor_read(int fd)
{
    size_t          n;
    ssize_t         got;
    uint8_t        *p, *end, *head;
    floor_conn_t   *c;
    static uint8_t  buf[FLOOR_READ * 2];

    c = conns[fd];
    n = c->nin;

    if (n != 0) {
        memcpy(buf, c->in, n);
    }

    got = read(fd, buf + n, FLOOR_READ);

    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            floor_close(fd);
        }

        return;
    }

    p = buf;
    end = p + n + got;

    if (!c->upgraded) {
        head = memmem(p, end - p, "\r\n\r\n", 4);

        if (head != NULL) {
            floor_upgrade(fd, (char *) p, end - p);
            p = head + 4;
        }
    }

    while (c->upgraded) {
        got = floor_client_frame(fd, p, end - p);

        if (got < 0) {
            floor_close(fd);
            return;
        }

        if (got == 0) {
            break;
        }

        p += got;
    }

    free(c->in);
    c->in = NULL;
    c->nin = 0;

    if (p < end && end - p < FLOOR_READ) {
        c->nin = end - p;
        c->in = floor_alloc(NULL, c->nin);
        memcpy(c->in, p, c->nin);
    }
}


static void
floor_accept(int listener)
{
    int  fd;

    for ( ;; ) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

        if (fd < 0) {
            return;
        }

        if (fd >= FLOOR_FDS) {
            close(fd);
            continue;
        }

        conns[fd] = floor_alloc(NULL, sizeof(floor_conn_t));
        memset(conns[fd], 0, sizeof(floor_conn_t));
        floor_watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}


static int
floor_listen(const char *port)
{
    int                 fd, on;
    struct sockaddr_in  sa;

    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    on = 1;

    memset(&sa, 0, sizeof(sa));
    sa.sin_family = AF_INET;
    sa.sin_port = htons(atoi(port));
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    /* accepted sockets inherit TCP_NODELAY */
    if (fd < 0
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0
        || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0
        || bind(fd, (struct sockaddr *) &sa, sizeof(sa)) != 0
        || listen(fd, 4096) != 0)
    {
        perror("floor");
        exit(1);
    }

    return fd;
}


static void
floor_end(int sig)
{
    (void) sig;

    _exit(0);
}


int
main(int argc, char **argv)
{
    int                 i, n, fd, listener;
    uint32_t            what;
    struct epoll_event  events[FLOOR_EVENTS];

    if (argc < 3) {
        fprintf(stderr, "usage: floor PORT SECRET\n");
        return 2;
    }

    secret = argv[2];

    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, floor_end);

    listener = floor_listen(argv[1]);
    ep = epoll_create1(0);
    floor_watch(EPOLL_CTL_ADD, listener, EPOLLIN);

    for ( ;; ) {
        n = epoll_wait(ep, events, FLOOR_EVENTS, -1);

        for (i = 0; i < n; i++) {
            fd = events[i].data.fd;
            what = events[i].events;

            if (fd == listener) {
                floor_accept(fd);
                continue;
            }

            if (conns[fd] != NULL && (what & EPOLLOUT)) {
                floor_flush(fd);
            }

            if (conns[fd] != NULL && (what & ~EPOLLOUT)) {
                floor_read(fd);
            }
        }
    }
}
