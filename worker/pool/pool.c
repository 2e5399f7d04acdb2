/*
 * pool.c: the parent.  It forks the roles, starts again what dies, and drains
 * them all when it is told to stop.
 *
 * It opens no connection and no store of its own: what has to be there before
 * the roles start is done by a child (boot.c), so that the parent has nothing
 * that could fail, block, or be shared by fork.  Signals are blocked and
 * taken one by one with sigtimedwait(): there are no handlers.
 *
 *   waiting --(its time comes)--> running --(it dies)--> waiting
 *   running --(TERM, INT, QUIT to us: TERM to it)--> draining --> gone
 *   draining --(POOL_DRAIN_MS)--> killed
 *
 * The pause before a start grows while a process keeps dying young.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/files/files_scanner.h"
#include "worker/worker.h"

#define POOL_DELAY_MIN   50
#define POOL_DELAY_MAX   5000
#define POOL_OLD_MS      10000  /* who lived so long starts at once again */
#define POOL_DRAIN_MS    10000
#define POOL_TICK_MS     1000

typedef struct {
    role_t    role;
    pid_t     pid;              /* 0: not running */
    int64_t   started;          /* mono */
    int64_t   next;             /* mono: when to start it */
    int       delay;
} child_t;

typedef struct {
    const conf_t  *cf;
    char           node[NODE_SIZE];
    shared_t      *shared;
    child_t       *children;
    unsigned       n;
    sigset_t       signals;
    int            pid_fd;      /* -1: none */
    int            scanner;     /* where the scanner listens */
} pool_t;

static int pool_pid_file(pool_t *p);
static int pool_boot(pool_t *p);
static int pool_create(pool_t *p);
static void pool_supervise(pool_t *p);
static void pool_drain(pool_t *p);


int
pool_run(const conf_t *cf)
{
    int     status;
    pool_t  p;

    memset(&p, 0, sizeof(p));
    p.cf = cf;
    p.pid_fd = -1;

    sigemptyset(&p.signals);
    sigaddset(&p.signals, SIGTERM);
    sigaddset(&p.signals, SIGINT);
    sigaddset(&p.signals, SIGQUIT);
    sigaddset(&p.signals, SIGHUP);
    sigaddset(&p.signals, SIGUSR1);
    sigaddset(&p.signals, SIGUSR2);
    sigaddset(&p.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &p.signals, NULL);

    /* who reads our log may go; we stay */
    signal(SIGPIPE, SIG_IGN);

    node_name(p.node);

    status = pool_pid_file(&p);

    if (status != 0) {
        return status;
    }

    status = pool_boot(&p);

    if (status == 0 && pool_create(&p) == 0) {
        pool_supervise(&p);
        pool_drain(&p);
    }

    if (p.pid_fd >= 0) {
        unlink(cf->pid_file);
        close(p.pid_fd);
    }

    free(p.children);

    log_info("stopped", "status=%d", status < 0 ? 0 : status);

    /* told to stop before it was ready is no failure */
    return status < 0 ? EXIT_SUCCESS : status;
}


/* Our process number, locked for as long as we live.  Returns an exit
 * status. */
static int
pool_pid_file(pool_t *p)
{
    int          fd;
    char         text[32];
    ssize_t      n;
    const char  *path;

    path = p->cf->pid_file;

    if (path[0] == '\0') {
        return 0;
    }

    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        log_error("pid_file", "PID_FILE: \"%s\" can not be written: %s; name "
                  "a file in a directory that is writable", path,
                  strerror(errno));
        return EXIT_CONFIG;
    }

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        n = read(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        log_error("pid_file", "PID_FILE: a worker pool runs already, process "
                  "%.10s; stop it first, or give this one its own PID_FILE",
                  text);
        close(fd);
        return EXIT_FAILURE;
    }

    n = snprintf(text, sizeof(text), "%d\n", (int) getpid());

    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t) n) != n) {
        log_error("pid_file", "PID_FILE: \"%s\": %s", path, strerror(errno));
        close(fd);
        return EXIT_FAILURE;
    }

    p->pid_fd = fd;

    return 0;
}


/* Fork.  In the child: end when the parent ends, whatever way, and take
 * signals as roles do. */
static pid_t
pool_fork(pool_t *p, const char *name)
{
    pid_t  pid, parent;

    parent = getpid();
    pid = fork();

    if (pid < 0) {
        log_error("fork", "role=%s error=\"%s\"", name, strerror(errno));
        return -1;
    }

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name);

        if (getppid() != parent) {
            _exit(EXIT_FAILURE);
        }

        if (p->pid_fd >= 0) {
            close(p->pid_fd);
        }

        log_setup(p->cf->log_level, name);
        role_signals();
    }

    return pid;
}


/* The next signal, or 0 after ms. */
static int
pool_signal(pool_t *p, int64_t ms)
{
    int              signo;
    struct timespec  ts;

    ms = ms < 0 ? 0 : ms > POOL_TICK_MS ? POOL_TICK_MS : ms;

    ts.tv_sec = ms / 1000;
    ts.tv_nsec = (long) (ms % 1000) * 1000000;

    signo = sigtimedwait(&p->signals, NULL, &ts);

    return signo > 0 ? signo : 0;
}


static int
pool_signal_stops(int signo)
{
    return signo == SIGTERM || signo == SIGINT || signo == SIGQUIT;
}


/* 0: ready to start.  Above: exit status of what failed.  -1: told to stop. */
static int
pool_boot(pool_t *p)
{
    int      status, stop;
    pid_t    pid;
    int64_t  end;

    pid = pool_fork(p, "boot");

    if (pid < 0) {
        return EXIT_FAILURE;
    }

    if (pid == 0) {
        exit(boot_run(p->cf, 1));
    }

    stop = 0;
    end = 0;

    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (pool_signal_stops(pool_signal(p, POOL_TICK_MS)) && !stop) {
            stop = 1;
            end = mono_ms() + POOL_DRAIN_MS;
            kill(pid, SIGTERM);
        }

        if (stop && mono_ms() >= end) {
            /* a store that hangs while it opens */
            kill(pid, SIGKILL);
        }
    }

    if (stop) {
        return -1;
    }

    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}


static void
pool_add(pool_t *p, role_type_t type, unsigned index)
{
    child_t  *c;

    c = &p->children[p->n];

    c->role.type = type;
    c->role.index = index;
    c->role.cf = p->cf;
    c->role.node = p->node;
    c->role.shared = p->shared;
    c->role.scanner = p->scanner;
    c->role.slot = &p->shared->slots[p->n];
    c->role.slot->type = type;
    c->role.slot->index = index;

    p->n++;
}


static int
pool_create(pool_t *p)
{
    unsigned  i, n;

    n = p->cf->nredis + p->cf->workers + 1;

    if (p->cf->spool[0]) {
        n += p->cf->files_workers + (p->cf->scan.kind == SCAN_LIBCLAMAV);
    }

    n += push_services(&p->cf->push) != 0;

    p->shared = metrics_create(n);
    if (p->shared == NULL) {
        return -1;
    }

    p->children = mem_zero(n * sizeof(child_t));

    p->scanner = scanner_listen();
    if (p->scanner < 0) {
        log_error("scanner", "error=\"%s\"", strerror(errno));
        return -1;
    }

    for (i = 0; i < p->cf->nredis; i++) {
        pool_add(p, ROLE_PROJECTOR, i);
    }

    for (i = 0; i < p->cf->workers; i++) {
        pool_add(p, ROLE_API, i);
    }

    pool_add(p, ROLE_JANITOR, 0);

    if (push_services(&p->cf->push)) {
        pool_add(p, ROLE_NOTIFIER, 0);
    }

    if (p->cf->spool[0]) {
        if (p->cf->scan.kind == SCAN_LIBCLAMAV) {
            pool_add(p, ROLE_SCANNER, 0);
        }

        for (i = 0; i < p->cf->files_workers; i++) {
            pool_add(p, ROLE_FILES, i);
        }
    }

    log_info("ready", "version=%s node=%s servers=%u shards=%u api=%u",
             WORKER_VERSION, p->node, p->cf->nredis, p->cf->names.shards,
             p->cf->workers);

    return 0;
}


static int
pool_role(role_t *r)
{
    switch (r->type) {

    case ROLE_PROJECTOR:
        return projector_run(r);

    case ROLE_API:
        return api_run(r);

    case ROLE_FILES:
        return files_run(r);

    case ROLE_SCANNER:
        return scanner_run(r);

    case ROLE_NOTIFIER:
        return notifier_run(r);

    default:
        return janitor_run(r);
    }
}


static void
pool_start(pool_t *p, child_t *c)
{
    pid_t  pid;

    pid = pool_fork(p, metrics_role(c->role.type));

    if (pid == 0) {
        exit(pool_role(&c->role));
    }

    c->started = mono_ms();

    if (pid > 0) {
        c->pid = pid;
        log_debug("started", "role=%s index=%u pid=%d",
                  metrics_role(c->role.type), c->role.index, (int) pid);
    } else {
        c->next = c->started + POOL_DELAY_MAX;
    }
}


/* Was it the entry that it had in hand?  Kills from outside do not count. */
static void
pool_guard(guard_t *g, int status)
{
    int  busy;

    busy = atomic_load(&g->busy);

    if (busy == 0 || !WIFSIGNALED(status)) {
        return;
    }

    switch (WTERMSIG(status)) {

    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGABRT:
    case SIGSYS:
        break;

    default:
        return;
    }

    if (g->careful && busy == 1) {
        if (g->bad_shard != g->shard || strcmp(g->bad_entry, g->entry) != 0) {
            g->bad_shard = g->shard;
            memcpy(g->bad_entry, g->entry, sizeof(g->bad_entry));
            g->crashes = 0;
        }

        g->crashes++;
    }

    /* it is among so many of the next ones */
    g->careful = PROJECTOR_ITEMS;
    atomic_store(&g->busy, 0);

    log_error("crash_guard", "shard=%u entry=%s entries=%d crashes=%u",
              g->shard, g->entry, busy, g->crashes);
}


/* Take note of the children that ended. */
static void
pool_reap(pool_t *p, int stopping)
{
    int        status;
    pid_t      pid;
    child_t   *c;
    int64_t    now;
    unsigned   i;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (i = 0; i < p->n && p->children[i].pid != pid; i++) {
            /* void */
        }

        if (i == p->n) {
            continue;
        }

        c = &p->children[i];
        c->pid = 0;
        now = mono_ms();

        if (stopping) {
            continue;
        }

        if (c->role.type == ROLE_PROJECTOR) {
            pool_guard(&c->role.slot->guard, status);
        }

        c->delay = now - c->started >= POOL_OLD_MS || c->delay == 0
                   ? POOL_DELAY_MIN
                   : c->delay * 2 > POOL_DELAY_MAX ? POOL_DELAY_MAX
                   : c->delay * 2;
        c->next = now + c->delay;

        count_add(c->role.slot->counters.restarts, 1);

        log_error("child_died", "role=%s index=%u pid=%d %s=%d restart_ms=%d",
                  metrics_role(c->role.type), c->role.index, (int) pid,
                  WIFSIGNALED(status) ? "signal" : "status",
                  WIFSIGNALED(status) ? WTERMSIG(status)
                                      : WEXITSTATUS(status), c->delay);
    }
}


static void
pool_supervise(pool_t *p)
{
    int        signo;
    child_t   *c;
    int64_t    now, wait;
    unsigned   i;

    for ( ;; ) {
        now = mono_ms();
        wait = POOL_TICK_MS;

        for (i = 0; i < p->n; i++) {
            c = &p->children[i];

            if (c->pid == 0 && now >= c->next) {
                pool_start(p, c);
            }

            if (c->pid == 0 && c->next - now < wait) {
                wait = c->next - now;
            }
        }

        signo = pool_signal(p, wait);

        if (pool_signal_stops(signo)) {
            log_info("stopping", "signal=%d", signo);
            return;
        }

        pool_reap(p, 0);
    }
}


/* Signal the children of a kind (ROLE_MAX: all) that run; 0 counts them. */
static unsigned
pool_kill(pool_t *p, role_type_t type, int signo)
{
    child_t   *c;
    unsigned   i, n;

    for (i = 0, n = 0; i < p->n; i++) {
        c = &p->children[i];

        if (c->pid > 0 && (type == ROLE_MAX || c->role.type == type)) {
            n++;

            if (signo) {
                kill(c->pid, signo);
            }
        }
    }

    return n;
}


/* Calls in hand may wait for the projectors, so these are told last. */
static void
pool_drain(pool_t *p)
{
    int      told;
    int64_t  end, now;

    pool_kill(p, ROLE_API, SIGTERM);
    pool_kill(p, ROLE_JANITOR, SIGTERM);
    pool_kill(p, ROLE_FILES, SIGTERM);
    pool_kill(p, ROLE_SCANNER, SIGTERM);
    pool_kill(p, ROLE_NOTIFIER, SIGTERM);

    end = mono_ms() + POOL_DRAIN_MS;
    told = 0;

    for ( ;; ) {
        pool_reap(p, 1);

        if (pool_kill(p, ROLE_MAX, 0) == 0) {
            return;
        }

        now = mono_ms();

        if (!told && (pool_kill(p, ROLE_API, 0) == 0
                      || now >= end - POOL_DRAIN_MS / 3))
        {
            pool_kill(p, ROLE_PROJECTOR, SIGTERM);
            told = 1;
        }

        if (now >= end) {
            log_warn("drain_late", "killed=%u",
                     pool_kill(p, ROLE_MAX, SIGKILL));
            end = now + POOL_TICK_MS;
        }

        pool_signal(p, end - now < POOL_TICK_MS ? end - now : POOL_TICK_MS);
    }
}
