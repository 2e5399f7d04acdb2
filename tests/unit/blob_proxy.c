/*
 * blob_proxy.c: a TCP proxy with faults (see blob_proxy.h).
 *
 * One process accepts and forks one for each connection; they end with the
 * test's process.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/blob_proxy.h"
#include "tests/unit/unit.h"

/* Beside proxy_t, for us alone. */
typedef struct {
    proxy_t  p;
    pid_t    pid;
} proxy_page_t;


static int
put_all(int fd, const char *p, size_t n)
{
    ssize_t  k;

    while (n > 0) {
        k = send(fd, p, n, MSG_NOSIGNAL);

        if (k <= 0) {
            return -1;
        }

        p += k;
        n -= (size_t) k;
    }

    return 0;
}


static struct sockaddr_in
loopback(int port)
{
    struct sockaddr_in  at;

    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_port = htons((uint16_t) port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    return at;
}


/* A gift that only so many get. */
static int
take(_Atomic int *n)
{
    int  left;

    left = atomic_load(n);

    while (left > 0) {
        if (atomic_compare_exchange_weak(n, &left, left - 1)) {
            return 1;
        }
    }

    return 0;
}


/* From the client.  0: go on, -1: close. */
static int
forward(proxy_t *p, int client, int server)
{
    int      victim;
    long     total;
    char     buf[16384];
    ssize_t  n;

    n = recv(client, buf, sizeof(buf), 0);

    if (n <= 0) {
        return -1;
    }

    if (n > 4 && (memcmp(buf, "GET ", 4) == 0 || memcmp(buf, "PUT ", 4) == 0
                  || memcmp(buf, "HEAD", 4) == 0
                  || memcmp(buf, "POST", 4) == 0
                  || memcmp(buf, "DELE", 4) == 0))
    {
        atomic_fetch_add(&p->requests, 1);

        if (!take(&p->pass) && take(&p->busy)) {
            put_all(client, p->answer, strlen(p->answer));

            /* the rest of the body, so that the answer is not lost in a
             * reset */
            shutdown(client, SHUT_WR);
            while (recv(client, buf, sizeof(buf), 0) > 0) {
                /* void */
            }

            return -1;
        }
    }

    if (atomic_load(&p->mute)) {
        return 0;
    }

    total = atomic_fetch_add(&p->sent, n) + n;

    if (atomic_load(&p->kill_pid) && total >= atomic_load(&p->kill_after)) {
        victim = atomic_exchange(&p->kill_pid, 0);

        /* 0 would be all of us */
        if (victim > 0) {
            kill(victim, SIGKILL);
        }

        return -1;
    }

    return put_all(server, buf, (size_t) n);
}


/* From the server. */
static int
back(proxy_t *p, int client, int server, int cut, long *got)
{
    char     buf[16384];
    size_t   k;
    ssize_t  n;

    n = recv(server, buf, sizeof(buf), 0);

    if (n <= 0) {
        return -1;
    }

    k = (size_t) n;

    if (cut && *got + n > atomic_load(&p->cut_after)) {
        k = (size_t) (atomic_load(&p->cut_after) - *got);
        put_all(client, buf, k);
        return -1;
    }

    *got += n;

    return put_all(client, buf, k);
}


static void
connection(proxy_t *p, int client, int to)
{
    int                 server, cut;
    long                got;
    struct pollfd       fds[2];
    struct sockaddr_in  at;

    at = loopback(to);
    server = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(server, (struct sockaddr *) &at, sizeof(at)) != 0) {
        return;
    }

    got = 0;
    cut = take(&p->cut);
    fds[0] = (struct pollfd) { client, POLLIN, 0 };
    fds[1] = (struct pollfd) { server, POLLIN, 0 };

    while (poll(fds, 2, -1) > 0) {
        if (fds[0].revents && forward(p, client, server) != 0) {
            return;
        }

        if (fds[1].revents && back(p, client, server, cut, &got) != 0) {
            return;
        }
    }
}


static void
serve(proxy_t *p, int listener, int to)
{
    int  client;

    /* no zombies */
    signal(SIGCHLD, SIG_IGN);

    for ( ;; ) {
        client = accept(listener, NULL, NULL);

        if (client < 0) {
            continue;
        }

        atomic_fetch_add(&p->connections, 1);

        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            connection(p, client, to);
            _exit(0);
        }

        close(client);
    }
}


proxy_t *
proxy_start(int to, int *port)
{
    int                  listener;
    pid_t                parent, pid;
    socklen_t            len;
    proxy_page_t        *page;
    struct sockaddr_in   at;

    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);

    at = loopback(0);
    len = sizeof(at);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *) &at, len), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *) &at, &len), 0);
    *port = ntohs(at.sin_port);

    parent = getpid();
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);

        if (getppid() == parent) {
            serve(&page->p, listener, to);
        }

        _exit(0);
    }

    close(listener);
    page->pid = pid;

    return &page->p;
}


void
proxy_stop(proxy_t *p)
{
    proxy_page_t  *page;

    page = (proxy_page_t *) p;
    kill(page->pid, SIGKILL);
    waitpid(page->pid, NULL, 0);
    munmap(page, sizeof(*page));
}
