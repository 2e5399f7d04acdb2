/*
 * push.c: what is in hand (see push.h).
 *
 *   waiting --(its time, and its service is ready)--> asked --> done
 *   asked --(worth another try, shows something)--> done, as PUSH_LATER
 *   asked --(worth another try, a withdrawal)--> waiting, with a pause
 *   waiting --(its end, or its service is left alone so long)--> done, as
 *             PUSH_LATER
 *
 * What shows something is a copy of what was so when it was handed over: it
 * is tried once, and soon.  A withdrawal shows nothing and grows no older.
 *
 * Each service has its own job for a push.  A service that says how long it
 * wants to be left alone (Retry-After), or fails again and again, is left
 * alone by all its jobs.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "worker/push/push_internal.h"

#define PUSH_STEP_MS  50            /* between looks at what is waiting */

typedef struct {
    push_t        *push;
    unsigned       service;         /* index */
    int            used;
    int            asked;
    push_msg_t     m;
    char          *texts;           /* what m points to */
    push_done_pt   done;
    void          *data;
    unsigned       tries;
    int64_t        at;              /* mono: not before */
    int64_t        end;             /* mono */
    char           why[PUSH_ERROR_SIZE];
} job_t;

struct push_s {
    const push_conf_t  *cf;
    push_http_t        *http;
    void               *service[PUSH_SERVICES];     /* NULL: not there */
    int64_t             hold[PUSH_SERVICES];        /* mono: not before */
    unsigned            fails[PUSH_SERVICES];       /* nothing else since */
    unsigned            holds[PUSH_SERVICES];       /* that came of these */
    unsigned            nservices;
    job_t              *jobs;
    unsigned            max;        /* of jobs */
    unsigned            busy;
    unsigned            ended;      /* so many so far */
    unsigned            first;      /* whose turn it is */
    char                trouble[PUSH_ERROR_SIZE];
};

static const push_service_t *const  push_list[PUSH_SERVICES] = {
    &push_fcm, &push_webhook
};


int64_t
push_mono_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int64_t
push_wall_s(void)
{
    return (int64_t) time(NULL);
}


/* 0..n-1 */
static unsigned
push_chance(unsigned n)
{
    uint32_t  v;

    v = 0;

    if (RAND_bytes((unsigned char *) &v, sizeof(v)) != 1) {
        v = 0;
    }

    return v % n;
}


/* Half of it is left to chance: many that failed at one moment shall not come
 * back at one moment. */
int64_t
push_pause(const push_conf_t *cf, unsigned tries)
{
    int64_t  ms;

    tries = tries > 16 ? 16 : tries ? tries : 1;
    ms = (int64_t) (cf->pause_ms ? cf->pause_ms : WRT_PUSH_PAUSE_MS)
         << (tries - 1);

    if (ms > WRT_PUSH_PAUSE_MAX_MS) {
        ms = WRT_PUSH_PAUSE_MAX_MS;
    }

    return ms / 2 + push_chance((unsigned) (ms / 2 + 1));
}


const char *
push_kind_name(push_kind_t kind)
{
    static const char *const  names[] = {
        "message", "invitation", "file", "reminder", "withdraw"
    };

    return names[kind];
}


push_try_t
push_judge_status(const push_answer_t *a, char *why, size_t size)
{
    if (a->status / 100 == 2) {
        why[0] = '\0';
        return TRY_SENT;
    }

    if (a->status == 0) {
        snprintf(why, size, "no answer: %.300s", a->why);
        return TRY_AGAIN;
    }

    snprintf(why, size, "status %d", a->status);

    return a->status == 408 || a->status == 425 || a->status == 429
           || a->status >= 500 ? TRY_AGAIN : TRY_REFUSED;
}


unsigned
push_services(const push_conf_t *cf)
{
    return (cf->account.project ? PUSH_FCM : 0)
           | (cf->hook_url[0] ? PUSH_WEBHOOK : 0);
}


push_t *
push_open(const push_conf_t *cf, char *err, size_t size)
{
    push_t    *p;
    unsigned   i;

    p = calloc(1, sizeof(*p));

    if (p == NULL) {
        snprintf(err, size, "no memory");
        return NULL;
    }

    p->cf = cf;
    p->max = cf->flight ? cf->flight : WRT_PUSH_FLIGHT_MAX;
    p->jobs = calloc(p->max, sizeof(job_t));
    p->http = push_http_create(cf);

    for (i = 0; p->http && p->jobs && i < PUSH_SERVICES; i++) {
        if (push_services(cf) & push_list[i]->bit) {
            p->service[i] = push_list[i]->create(cf, p->http);
            p->nservices += p->service[i] != NULL;
        }
    }

    if (p->nservices == 0) {
        snprintf(err, size, push_services(cf) ? "no memory"
                                              : "no service is configured");
        push_close(p);
        return NULL;
    }

    return p;
}


static void
push_job_free(push_t *p, job_t *j)
{
    free(j->texts);
    p->busy--;
    memset(j, 0, sizeof(*j));
}


void
push_close(push_t *p)
{
    unsigned  i;

    push_http_free(p->http);

    for (i = 0; p->jobs && i < p->max; i++) {
        free(p->jobs[i].texts);
    }

    for (i = 0; i < PUSH_SERVICES; i++) {
        if (p->service[i]) {
            push_list[i]->free(p->service[i]);
        }
    }

    free(p->jobs);
    free(p);
}


unsigned
push_room(const push_t *p)
{
    return (p->max - p->busy) / p->nservices;
}


unsigned
push_busy(const push_t *p)
{
    return p->busy;
}


int
push_away(const push_t *p)
{
    int64_t   now;
    unsigned  i;

    now = push_mono_ms();

    for (i = 0; i < PUSH_SERVICES; i++) {
        if (p->service[i] && p->hold[i] <= now) {
            return 0;
        }
    }

    return 1;
}


/* The texts in one piece of memory.  0, -1. */
static int
push_copy(job_t *j, const push_msg_t *m)
{
    char         *p;
    size_t        n, len;
    unsigned      i;
    const char  **to;

    const char *const  from[] = {
        m->id, m->tag, m->user, m->device, m->platform, m->token,
        m->conversation, m->title, m->body
    };

    j->m = *m;

    const char **const  fields[] = {
        &j->m.id, &j->m.tag, &j->m.user, &j->m.device, &j->m.platform,
        &j->m.token, &j->m.conversation, &j->m.title, &j->m.body
    };

    for (i = 0, n = 1; i < sizeof(from) / sizeof(from[0]); i++) {
        n += from[i] ? strlen(from[i]) + 1 : 0;
    }

    p = malloc(n);

    if (p == NULL) {
        return -1;
    }

    j->texts = p;

    for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        to = fields[i];
        *to = NULL;

        if (from[i]) {
            len = strlen(from[i]) + 1;
            memcpy(p, from[i], len);
            *to = p;
            p += len;
        }
    }

    return 0;
}


/* A free place, whether or not there is memory for the texts. */
static job_t *
push_job(push_t *p, unsigned service, const push_msg_t *m)
{
    job_t     *j;
    unsigned   i;

    for (i = 0; i < p->max && p->jobs[i].used; i++) {
        /* void */
    }

    if (i == p->max) {
        return NULL;
    }

    j = &p->jobs[i];

    if (push_copy(j, m) != 0) {
        return NULL;
    }

    j->push = p;
    j->used = 1;
    j->service = service;
    j->tries = m->tries;
    j->end = push_mono_ms()
             + (m->kind != PUSH_WITHDRAW ? WRT_PUSH_FRESH_MS
                : p->cf->deadline_ms ? p->cf->deadline_ms
                                     : WRT_PUSH_DEADLINE_MS);
    p->busy++;

    return j;
}


int
push_send(push_t *p, const push_msg_t *m, push_done_pt done, void *data)
{
    job_t     *jobs[PUSH_SERVICES];
    unsigned   i, n;

    if (push_room(p) == 0) {
        return -1;
    }

    for (i = 0, n = 0; i < PUSH_SERVICES; i++) {
        if (p->service[i] == NULL || !(m->services & push_list[i]->bit)) {
            continue;
        }

        jobs[n] = push_job(p, i, m);

        if (jobs[n] == NULL) {
            while (n > 0) {
                push_job_free(p, jobs[--n]);
            }

            return -1;
        }

        jobs[n]->done = done;
        jobs[n++]->data = data;
    }

    return n > 0 ? 0 : -1;
}


/* ---- its way ---- */

static void
push_end(push_t *p, job_t *j, push_rc_t rc, int64_t wait_ms)
{
    void          *data;
    char           why[PUSH_ERROR_SIZE];
    unsigned       bit;
    push_done_pt   done;

    done = j->done;
    data = j->data;
    bit = push_list[j->service]->bit;
    memcpy(why, rc == PUSH_SENT ? "" : j->why, rc == PUSH_SENT ? 1
                                               : sizeof(why));

    /* its place is free for what done may send */
    push_job_free(p, j);
    p->ended++;
    done(data, bit, rc, wait_ms, why);
}


/* A service that fails.  One push says little of it, many in a row do. */
static void
push_failed(push_t *p, unsigned service, int64_t now, int64_t wait_ms)
{
    p->fails[service]++;

    if (wait_ms <= 0 && p->fails[service] >= WRT_PUSH_FAILS
        && p->hold[service] <= now)
    {
        wait_ms = push_pause(p->cf, ++p->holds[service]);
    }

    if (wait_ms > 0 && p->hold[service] < now + wait_ms) {
        p->hold[service] = now + wait_ms;
    }
}


/* After a pause, or when its service is left alone no more. */
static void
push_later(push_t *p, job_t *j, int64_t now, int64_t pause_ms)
{
    int64_t  left;

    left = p->hold[j->service] - now;
    push_end(p, j, PUSH_LATER, left > pause_ms ? left : pause_ms);
}


static void
push_again(push_t *p, job_t *j, int64_t now)
{
    int64_t  pause;

    pause = push_pause(p->cf, j->tries);
    j->asked = 0;
    j->at = now + pause;

    if (j->m.kind != PUSH_WITHDRAW || j->at >= j->end) {
        push_later(p, j, now, pause);
    }
}


static void
push_answer(void *data, const push_answer_t *a)
{
    job_t       *j = data;
    push_t      *p;
    int64_t      now;
    push_try_t   rc;

    p = j->push;
    now = push_mono_ms();
    rc = push_list[j->service]->judge(p->service[j->service], &j->m, a,
                                      j->why, sizeof(j->why));

    if (rc == TRY_AGAIN) {
        push_failed(p, j->service, now, a->wait_ms);
        push_again(p, j, now);
        return;
    }

    p->fails[j->service] = 0;
    p->holds[j->service] = 0;
    push_end(p, j, (push_rc_t) rc, rc == TRY_LATER
                                   ? push_pause(p->cf, 16) : 0);
}


static void
push_try(push_t *p, job_t *j)
{
    push_ask_t              ask;
    const char             *trouble;
    const push_service_t   *s;

    s = push_list[j->service];
    memset(&ask, 0, sizeof(ask));

    switch (s->ask(p->service[j->service], &j->m, &ask)) {

    case PUSH_WAIT:
        trouble = s->trouble(p->service[j->service]);
        snprintf(j->why, sizeof(j->why), "%s", trouble[0] ? trouble
                 : "the access token has not come");
        return;

    case PUSH_READY:
        j->tries++;
        j->asked = 1;

        if (push_http_ask(p->http, &ask, push_answer, j) == 0) {
            return;
        }

        /* fall through */

    default:
        j->tries++;
        snprintf(j->why, sizeof(j->why), "no memory");
        push_again(p, j, push_mono_ms());
    }
}


/* It did not leave in time. */
static void
push_late(push_t *p, job_t *j, int64_t now)
{
    if (p->hold[j->service] < j->end) {
        push_failed(p, j->service, now, 0);

    } else if (j->why[0] == '\0') {
        snprintf(j->why, sizeof(j->why), "the service is left alone");
    }

    push_later(p, j, now, push_pause(p->cf, j->tries + 1));
}


/* Those whose time it is.  Not always from the same one on: who waits long
 * may not be behind all others. */
static void
push_start(push_t *p)
{
    job_t     *j;
    int64_t    now;
    unsigned   i;

    now = push_mono_ms();
    p->first = (p->first + 1) % p->max;

    for (i = 0; i < p->max; i++) {
        j = &p->jobs[(p->first + i) % p->max];

        if (!j->used || j->asked) {
            continue;
        }

        if (now >= j->end || p->hold[j->service] >= j->end) {
            push_late(p, j, now);
            continue;
        }

        if (now >= j->at && now >= p->hold[j->service]) {
            push_try(p, j);
        }
    }
}


void
push_turn(push_t *p, int ms)
{
    int64_t   now, end;
    unsigned  ended;

    now = push_mono_ms();
    end = now + ms;
    ended = p->ended;

    /* also once when ms is 0 */
    do {
        push_start(p);
        push_http_turn(p->http, end - now > PUSH_STEP_MS ? PUSH_STEP_MS
                                : end > now ? (int) (end - now) : 0);
        now = push_mono_ms();
    } while (now < end && p->ended == ended);
}


const char *
push_trouble(const push_t *p)
{
    unsigned     i;
    const char  *text;

    for (i = 0; i < PUSH_SERVICES; i++) {
        text = p->service[i] ? push_list[i]->trouble(p->service[i]) : "";

        if (text[0]) {
            return text;
        }
    }

    return "";
}
