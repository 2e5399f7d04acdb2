/*
 * test_scan_clamd.c: scanning by a clamd.
 *
 * Without it a server that died, or one that is set to call clean what it did
 * not read, could let anything pass.  It runs under with_clamd.sh; with
 * CLAMD_PLAIN=1 the server has Debian's settings, which are refused.
 *
 * What a real clamd says only when it is in trouble is said by a peer of our
 * own (replies()).
 */

#define _GNU_SOURCE

#include "tests/unit/scan_suite.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/files/scan/scan_internal.h"

#define TRIES_MAX  20

static const char  *home;       /* of the clamd */
static scan_t      *scanner;


static void
nap(void)
{
    struct timespec  ts = { 0, 2000000 };

    nanosleep(&ts, NULL);
}


static pid_t
clamd_pid(void)
{
    int    pid;
    char   path[200];
    FILE  *f;

    snprintf(path, sizeof(path), "%s/pid", home);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);

    return pid;
}


static void
hold(int on)
{
    int   fd;
    char  path[200];

    snprintf(path, sizeof(path), "%s/hold", home);

    if (on) {
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        close(fd);

    } else {
        assert_int_equal(unlink(path), 0);
    }
}


static void
starts(void **state)
{
    scan_t  *s;

    s = *state;

    if (scan_prepare(s) != SCAN_CLEAN) {
        fail_msg("%s", scan_text(s));
    }

    assert_int_equal(strncmp(scan_about(s), "clamd, ClamAV ", 14), 0);
}


/* StreamMaxLength is 8 MB. */
static void
oversize(void **state)
{
    char    *p;
    scan_t  *s;

    s = *state;
    p = calloc(1, 16 * 1024 * 1024);
    assert_int_equal(scan_once(s, scan_file_of(p, 16 * 1024 * 1024)),
                     SCAN_ERROR);
    assert_non_null(strstr(scan_text(s), "StreamMaxLength"));
    assert_int_equal(scan_once(s, scan_file_of(p, 4 * 1024 * 1024)),
                     SCAN_CLEAN);
    free(p);
}


/* Is a file being scanned?  clamd keeps it beside its socket. */
static int
scanning(void)
{
    int             yes;
    DIR            *d;
    struct dirent  *e;

    yes = 0;
    d = opendir(home);
    assert_non_null(d);

    while ((e = readdir(d)) != NULL) {
        yes |= strncmp(e->d_name, "clamav-", 7) == 0;
    }

    closedir(d);

    return yes;
}


static void
forget_temporary(void)
{
    char  cmd[300];

    snprintf(cmd, sizeof(cmd), "rm -rf %s/clamav-* %s/*.tmp %s/*-scantemp*",
             home, home, home);
    assert_int_equal(system(cmd), 0);
}


/* Exit status of a child that scans p[0..n): the scan_rc_t. */
static pid_t
scan_in_child(const void *p, size_t n)
{
    pid_t         pid;
    scan_t       *s;
    scan_conf_t   cf;

    pid = fork();
    assert_true(pid >= 0);

    if (pid == 0) {
        memset(&cf, 0, sizeof(cf));
        cf.kind = SCAN_CLAMD;
        snprintf(cf.path, sizeof(cf.path), "%s/sock", home);
        s = scan_open(&cf);
        _exit((int) s->ops->file(s, scan_file_of(p, n)));
    }

    return pid;
}


/* Killed while it has the file: down, and up again afterwards. */
static void
killed(void **state)
{
    int      i, status;
    char    *p;
    pid_t    pid, server;
    scan_t  *s;
    size_t   n;

    s = *state;
    n = 7 * 1024 * 1024;
    p = malloc(n);
    memset(p, '<', n);
    memcpy(p, "<html>", 6);

    for (i = 0; i < TRIES_MAX; i++) {
        forget_temporary();
        pid = scan_in_child(p, n);

        while (!scanning() && waitpid(pid, &status, WNOHANG) == 0) {
            /* void */
        }

        server = clamd_pid();
        kill(server, SIGSTOP);

        /* it was faster than we */
        if (waitpid(pid, &status, WNOHANG) != 0) {
            kill(server, SIGCONT);
            continue;
        }

        hold(1);
        kill(server, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        break;
    }

    free(p);
    assert_true(i < TRIES_MAX);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SCAN_DOWN);

    /* nobody is there, once the kernel has taken its socket away */
    do {
        assert_int_equal(scan_once(s, scan_file_eicar()), SCAN_DOWN);
    } while (strstr(scan_text(s), "connecting") == NULL);

    assert_int_equal(scan_prepare(s), SCAN_DOWN);

    hold(0);

    while (scan_prepare(s) == SCAN_DOWN) {
        nap();
    }

    assert_int_equal(scan_once(s, scan_file_eicar()), SCAN_INFECTED);
}


/* Stopped: it has the connection and says nothing; killed then. */
static void
silent(void **state)
{
    int      status;
    pid_t    pid, server;
    scan_t  *s;

    s = *state;
    server = clamd_pid();
    kill(server, SIGSTOP);
    pid = scan_in_child("x", 1);
    hold(1);
    kill(server, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), SCAN_DOWN);
    hold(0);

    while (scan_prepare(s) == SCAN_DOWN) {
        nap();
    }
}


typedef struct {
    const char  *reply;
    size_t       n;
    scan_rc_t    rc;
    const char  *text;
} reply_t;

#define R(s)  s, sizeof(s)          /* with its NUL */
#define B(s)  s, sizeof(s) - 1      /* as it stands */

static const reply_t  reply_rows[] = {
    { R("stream: OK"), SCAN_CLEAN, "" },
    { R("stream: Win.Test.EICAR_HDB-1 FOUND"), SCAN_INFECTED,
      "Win.Test.EICAR_HDB-1" },
    { R("stream: OK FOUND"), SCAN_INFECTED, "OK" },
    { R("stream: Heuristics.Encrypted.Zip FOUND"), SCAN_ERROR,
      "it is encrypted" },
    { R("stream: Heuristics.Limits.Exceeded.MaxFiles FOUND"), SCAN_ERROR,
      "it exceeds the limits" },
    { R("stream: Heuristics.OLE2.ContainsMacros.VBA FOUND"), SCAN_INFECTED,
      "Macros" },
    { R("stream: Bad format or broken data ERROR"), SCAN_ERROR,
      "Bad format" },
    { R("INSTREAM size limit exceeded. ERROR"), SCAN_ERROR,
      "StreamMaxLength" },

    { R("stream: Can't allocate memory ERROR"), SCAN_DOWN, "memory" },
    { R("stream: Can't create temporary file ERROR"), SCAN_DOWN, "temp" },
    { B(""), SCAN_DOWN, "reset" },
    { B("stream: OK"), SCAN_DOWN, "reset" },
    { B("stream: OK\n"), SCAN_DOWN, "reset" },
    { B("\0"), SCAN_DOWN, "not answer like clamd" },
    { R("OK"), SCAN_DOWN, "not answer like clamd" },
    { R("stream: "), SCAN_DOWN, "not answer like clamd" },
    { R("stream: ok"), SCAN_DOWN, "not answer like clamd" },
    { R("stream: OK "), SCAN_DOWN, "not answer like clamd" },
    { R("stream:  FOUND"), SCAN_DOWN, "not answer like clamd" },
    { R("stream: x\001 FOUND"), SCAN_DOWN, "not answer like clamd" },
    { R("stream: OK\0stream: OK"), SCAN_DOWN, "rotocol" },
    { R("UNKNOWN COMMAND"), SCAN_DOWN, "not answer like clamd" },
    { R("COMMAND READ TIMED OUT"), SCAN_DOWN, "not answer like clamd" },
    { R("HTTP/1.1 400 Bad Request\r\n\r\n"), SCAN_DOWN, "like clamd" }
};


static void
need(int fd, void *p, size_t n)
{
    if (recv(fd, p, n, MSG_WAITALL) != (ssize_t) n) {
        _exit(10);
    }
}


/* Accept one after the other, read what a file must look like, answer. */
static void
peer(int listener, size_t want)
{
    int             fd;
    char            hello[10];
    size_t          i, n, total;
    unsigned char   len[4], block[WRT_CLAMD_CHUNK];

    for (i = 0; i < UNIT_COUNT(reply_rows); i++) {
        fd = accept(listener, NULL, NULL);
        need(fd, hello, sizeof(hello));

        if (memcmp(hello, "zINSTREAM", 10) != 0) {
            _exit(11);
        }

        for (total = 0; ; total += n) {
            need(fd, len, 4);
            n = (size_t) len[0] << 24 | (size_t) len[1] << 16
                | (size_t) len[2] << 8 | len[3];

            if (n == 0) {
                break;
            }

            if (n > sizeof(block)) {
                _exit(12);
            }

            need(fd, block, n);
        }

        if (total != want
            || send(fd, reply_rows[i].reply, reply_rows[i].n, MSG_NOSIGNAL)
               != (ssize_t) reply_rows[i].n)
        {
            _exit(13);
        }

        close(fd);
    }

    _exit(0);
}


static void
replies(void **state)
{
    int                  fd, listener, status;
    char                *p;
    pid_t                pid;
    scan_t              *s;
    size_t               i, n;
    scan_rc_t            rc;
    socklen_t            len;
    scan_conf_t          cf;
    struct sockaddr_in   sin;

    (void) state;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *) &sin, len), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *) &sin, &len),
                     0);
    assert_int_equal(listen(listener, 5), 0);

    n = 3 * WRT_CLAMD_CHUNK + 17;
    p = calloc(1, n);
    fd = scan_file_of(p, n);
    free(p);

    pid = fork();

    if (pid == 0) {
        peer(listener, n);
    }

    close(listener);

    memset(&cf, 0, sizeof(cf));
    cf.kind = SCAN_CLAMD;
    snprintf(cf.host, sizeof(cf.host), "127.0.0.1");
    cf.port = ntohs(sin.sin_port);
    s = scan_open(&cf);

    for (i = 0; i < UNIT_COUNT(reply_rows); i++) {
        s->text[0] = '\0';
        rc = s->ops->file(s, fd);

        if (rc != reply_rows[i].rc
            || strstr(scan_text(s), reply_rows[i].text) == NULL)
        {
            fail_msg("%zu: %d %s", i, rc, scan_text(s));
        }
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);

    /* nobody listens now */
    assert_int_equal(scan_file(s, fd), SCAN_DOWN);
    assert_non_null(strstr(scan_text(s), "127.0.0.1"));
    close(fd);
    scan_close(s);
}


/* Debian's settings: nothing is scanned, and it says what to change. */
static void
plain(void **state)
{
    scan_t  *s;

    s = *state;
    assert_int_equal(scan_prepare(s), SCAN_DOWN);
    assert_non_null(strstr(scan_text(s), "AlertEncrypted"));
    assert_int_equal(scan_once(s, scan_file_of("x", 1)), SCAN_DOWN);
}


/* With other settings from now on. */
static void
restart_with(scan_t *s, const char *line)
{
    char   path[200];
    FILE  *f;
    pid_t  old;

    snprintf(path, sizeof(path), "%s/conf", home);
    f = fopen(path, "a");
    assert_non_null(f);
    fprintf(f, "%s\n", line);
    fclose(f);

    old = clamd_pid();
    kill(old, SIGKILL);

    while (clamd_pid() == old
           || (scan_prepare(s), strstr(scan_text(s), "connecting")
                                || strstr(scan_text(s), "asking")))
    {
        nap();
    }
}


/* One setting after the other; each is asked for until all are right. */
static void
settings(void **state)
{
    scan_t  *s;

    s = *state;
    restart_with(s, "AlertEncrypted yes");
    assert_non_null(strstr(scan_text(s), "AlertExceedsMax"));

    restart_with(s, "AlertExceedsMax yes");
    assert_non_null(strstr(scan_text(s), "MaxFileSize"));

    restart_with(s, "MaxScanSize 100M\nMaxFileSize 100M");
    assert_string_equal(scan_text(s), "");
    assert_int_equal(scan_once(s, scan_file_eicar()), SCAN_INFECTED);
    assert_int_equal(scan_once(s, scan_file_of("x", 1)), SCAN_CLEAN);
}


static int
setup(void **state)
{
    scan_conf_t  cf;

    home = getenv("WRT_TEST_CLAMD");

    if (home == NULL) {
        fprintf(stderr, "run it under with_clamd.sh\n");
        return -1;
    }

    memset(&cf, 0, sizeof(cf));
    cf.kind = SCAN_CLAMD;
    snprintf(cf.path, sizeof(cf.path), "%s/sock", home);
    scanner = scan_open(&cf);
    *state = scanner;

    return scanner == NULL;
}


static int
teardown(void **state)
{
    (void) state;

    scan_close(scanner);

    return 0;
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(starts),
        SCAN_SUITE,
        cmocka_unit_test(oversize),
        cmocka_unit_test(replies),
        cmocka_unit_test(killed),
        cmocka_unit_test(silent)
    };
    static const struct CMUnitTest  plain_tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(settings)
    };

    return getenv("CLAMD_PLAIN")
           ? cmocka_run_group_tests(plain_tests, setup, teardown)
           : cmocka_run_group_tests(tests, setup, teardown);
}
