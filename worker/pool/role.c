/*
 * role.c: what all child processes have in common: being told to stop, the
 * store and whether it answers, the heartbeat.
 */

#define _GNU_SOURCE     /* ppoll() */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "worker/worker.h"

#define ROLE_STORE_DELAY_MIN  50
#define ROLE_STORE_DELAY_MAX  2000
#define ROLE_STORE_CHECK_MS   2000

static volatile sig_atomic_t  role_stop;
static sigset_t               role_wait_mask;


static void
role_on_term(int signo)
{
    (void) signo;

    role_stop = 1;
}


void
role_signals(void)
{
    sigset_t          set;
    struct sigaction  sa;

    memset(&sa, 0, sizeof(sa));
    sigemptyset(&sa.sa_mask);

    /* a terminal's Ctrl-C goes to all of us; the parent passes it on */
    sa.sa_handler = SIG_IGN;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGQUIT, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    sigaction(SIGUSR2, &sa, NULL);
    sigaction(SIGPIPE, &sa, NULL);

    sa.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &sa, NULL);

    sa.sa_handler = role_on_term;
    sigaction(SIGTERM, &sa, NULL);

    /* blocked but while we wait: it can not slip in between a look at
     * role_stop and the wait */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, NULL);

    sigemptyset(&role_wait_mask);
}


int
role_stopping(void)
{
    /* while we do something else the signal waits to be let in */
    if (!role_stop) {
        role_poll(NULL, 0, 0);
    }

    return role_stop != 0;
}


int
role_poll(struct pollfd *fds, nfds_t n, int ms)
{
    struct timespec  ts;

    if (ms < 0) {
        ms = 0;
    }

    ts.tv_sec = ms / 1000;
    ts.tv_nsec = (long) (ms % 1000) * 1000000;

    return ppoll(fds, n, &ts, &role_wait_mask);
}


void
role_sleep(int ms)
{
    role_poll(NULL, 0, ms);
}


store_t *
role_store(role_t *r)
{
    char     err[512];
    int64_t  now;

    if (r->store) {
        return r->store;
    }

    now = mono_ms();
    if (now < r->store_next) {
        return NULL;
    }

    r->store = store_open(r->cf->store_url, r->cf->scripts_dir, 0, err,
                          sizeof(err));

    if (r->store == NULL) {
        if (r->store_delay == 0) {
            log_error("store_open", "error=\"%s\" retry=yes", err);
            r->store_delay = ROLE_STORE_DELAY_MIN;
        }

        r->store_next = now + r->store_delay;
        r->store_delay = r->store_delay * 2 > ROLE_STORE_DELAY_MAX
                         ? ROLE_STORE_DELAY_MAX : r->store_delay * 2;
        r->store_ok = 0;
        count_set(r->slot->counters.store_up, 0);

        return NULL;
    }

    log_info("store_open", "store=%s", store_name(r->store));

    r->store_delay = 0;
    r->store_ok = 1;
    r->store_at = now;
    count_set(r->slot->counters.store_up, 1);

    return r->store;
}


void
role_store_result(role_t *r, store_rc_t rc)
{
    int  ok;

    ok = rc != STORE_DOWN;
    r->store_at = mono_ms();

    if (ok != r->store_ok) {
        if (ok) {
            log_info("store_back", "store=%s", store_name(r->store));
        } else {
            log_error("store_down", "store=%s error=\"%s\"",
                      store_name(r->store), store_error(r->store));
        }
    }

    if (!ok) {
        count_add(r->slot->counters.store_retries, 1);
    }

    r->store_ok = ok;
    count_set(r->slot->counters.store_up, ok);
}


void
role_store_check(role_t *r)
{
    store_t  *st;

    st = role_store(r);

    if (st && mono_ms() - r->store_at >= ROLE_STORE_CHECK_MS) {
        role_store_result(r, store_ping(st));
    }
}


void
role_store_close(role_t *r)
{
    if (r->store) {
        store_close(r->store);
        r->store = NULL;
    }
}


void
role_beat(role_t *r, rds_t *hub, const char *key)
{
    char     ttl[16];
    int64_t  now;

    now = mono_ms();

    if (r->beat_at && now - r->beat_at < WRT_HEARTBEAT_MS) {
        return;
    }

    snprintf(ttl, sizeof(ttl), "%d", WRT_HEARTBEAT_TTL_MS);

    reply_free(rds_call(hub, "SET", key, r->store_ok ? "ok" : "store", "PX",
                        ttl));

    r->beat_at = now;
}
