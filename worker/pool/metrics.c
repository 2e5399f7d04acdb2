/*
 * metrics.c: counters in memory that all processes of the pool share, and
 * their text for Prometheus.
 *
 * Each place in the pool has its own slot, written by its process alone, so
 * that nothing is locked and counters go on when a process is started anew.
 * The janitor renders all of them: the parent has nothing to do but to watch
 * its children, and no slow Redis can keep it from that.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/worker.h"

/* Statuses that have a counter of their own; the last one takes the rest. */
static const int  metrics_statuses[METRICS_STATUSES] = {
    200, 201, 202, 400, 401, 403, 404, 405, 409, 413, 415, 422, 425, 500, 503,
    0
};

/* Stages of an upload, as the files role counts them. */
static const char  *metrics_stages[METRICS_STAGES] = {
    "received", "scanning", "thumbnailing", "storing", "sending"
};

/* Whoever has it. */
#define METRICS_ANY  (ROLE_MAX + 1)

/* What is summed up by role. */
static const struct {
    const char   *name;
    const char   *type;
    const char   *help;
    size_t        offset;
    unsigned      role;             /* ROLE_MAX: all, with a label */
    int           us;               /* microseconds, shown as seconds */
} metrics_list[] = {
    { "worker_restarts_total", "counter", "Processes started anew.",
      offsetof(counters_t, restarts), ROLE_MAX, 0 },
    { "worker_redis_connects_total", "counter", "Connections to Redis made.",
      offsetof(counters_t, redis_connects), ROLE_MAX, 0 },
    { "projector_events_total", "counter", "Events stored.",
      offsetof(counters_t, events), ROLE_PROJECTOR, 0 },
    { "projector_batches_total", "counter", "Batches stored.",
      offsetof(counters_t, batches), ROLE_PROJECTOR, 0 },
    { "projector_batch_seconds_total", "counter",
      "Time spent on batches, with acknowledgement and rests.",
      offsetof(counters_t, batch_us), ROLE_PROJECTOR, 1 },
    { "projector_dead_letters_total", "counter",
      "Entries that can not be stored.",
      offsetof(counters_t, dead), ROLE_PROJECTOR, 0 },
    { "projector_shards", "gauge", "Shards held.",
      offsetof(counters_t, shards), ROLE_PROJECTOR, 0 },
    { "worker_store_failures_total", "counter",
      "Calls that the store did not answer.",
      offsetof(counters_t, store_retries), ROLE_MAX, 0 },
    { "rpc_expired_total", "counter", "Calls read past their deadline.",
      offsetof(counters_t, rpc_expired), ROLE_API, 0 },
    { "rpc_parked", "gauge", "Calls that wait for the store.",
      offsetof(counters_t, rpc_parked), ROLE_API, 0 },
    { "rpc_claimed_total", "counter", "Calls taken over from dead processes.",
      offsetof(counters_t, claimed), ROLE_API, 0 },
    { "consultations_dead_total", "counter",
      "What the scheduling system said and can never be done.",
      offsetof(counters_t, dead), ROLE_API, 0 },
    { "messages_expired_total", "counter",
      "Messages whose time had come, by retention.",
      offsetof(counters_t, expired), ROLE_JANITOR, 0 },
    { "presence_left_total", "counter", "Users said to be offline now.",
      offsetof(counters_t, presence_left), ROLE_JANITOR, 0 },
    { "blobs_collected_total", "counter",
      "Blobs removed from storage that no file referred to.",
      offsetof(counters_t, blobs_collected), ROLE_FILES, 0 },
    { "files_sent_total", "counter", "Uploads that became messages.",
      offsetof(counters_t, uploads), ROLE_FILES, 0 },
    { "files_refused_total", "counter", "Uploads that ended with an error.",
      offsetof(counters_t, uploads_refused), ROLE_FILES, 0 },
    { "files_infected_total", "counter", "Uploads found infected.",
      offsetof(counters_t, uploads_infected), ROLE_FILES, 0 },
    { "files_dead_total", "counter", "Uploads given up.",
      offsetof(counters_t, dead), ROLE_FILES, 0 },
    { "files_waiting", "gauge", "Uploads that have not ended yet.",
      offsetof(counters_t, uploads_waiting), ROLE_FILES, 0 },
    { "push_sent_total", "counter", "Pushes that a service has taken.",
      offsetof(counters_t, push_sent), ROLE_NOTIFIER, 0 },
    { "push_withdrawn_total", "counter", "Those taken back of them.",
      offsetof(counters_t, push_withdrawn), ROLE_NOTIFIER, 0 },
    { "push_refused_total", "counter", "Pushes that no service takes.",
      offsetof(counters_t, push_refused), ROLE_NOTIFIER, 0 },
    { "push_later_total", "counter",
      "Pushes put back, because a service is away or wants to rest.",
      offsetof(counters_t, push_later), ROLE_NOTIFIER, 0 },
    { "push_dead_total", "counter", "Devices whose token is none any more.",
      offsetof(counters_t, push_dead), ROLE_NOTIFIER, 0 },
    { "scanner_up", "gauge", "Is there a scanner, and has it signatures?",
      offsetof(counters_t, scanner_up), METRICS_ANY, 0 }
};

#define METRICS_LIST  (sizeof(metrics_list) / sizeof(metrics_list[0]))


shared_t *
metrics_create(unsigned nslots)
{
    size_t     size;
    shared_t  *sh;

    size = sizeof(shared_t) + nslots * sizeof(slot_t);

    sh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
              -1, 0);

    if (sh == MAP_FAILED) {
        log_error("no_memory", "bytes=%zu", size);
        return NULL;
    }

    sh->nslots = nslots;

    return sh;
}


const char *
metrics_role(role_type_t type)
{
    static const char  *names[] = { "projector", "api", "janitor", "files",
                                    "scanner", "notifier" };

    return type < ROLE_MAX ? names[type] : "main";
}


/* Its place in metrics_statuses. */
static unsigned
metrics_status_slot(int status)
{
    unsigned  i;

    for (i = 0; i < METRICS_STATUSES - 1; i++) {
        if (metrics_statuses[i] == status) {
            break;
        }
    }

    return i;
}


void
metrics_rpc(counters_t *m, unsigned route, int status, int64_t us)
{
    count_add(m->rpc[route][metrics_status_slot(status)], 1);
    count_add(m->rpc_us[route], us);
}


static uint64_t
metrics_sum(const shared_t *sh, unsigned role, size_t offset)
{
    uint64_t          v;
    unsigned          i;
    const slot_t     *s;
    _Atomic uint64_t *p;

    for (i = 0, v = 0; i < sh->nslots; i++) {
        s = &sh->slots[i];

        if (s->type == role || role == METRICS_ANY) {
            p = (_Atomic uint64_t *) ((char *) &s->counters + offset);
            v += count_get(*p);
        }
    }

    return v;
}


static void
metrics_head(buf_t *out, const char *name, const char *type,
    const char *help)
{
    buf_fmt(out, "# HELP writeen_%s %s\n# TYPE writeen_%s %s\n", name, help,
            name, type);
}


static void
metrics_value(buf_t *out, uint64_t v, int us)
{
    if (us) {
        buf_fmt(out, " %" PRIu64 ".%06" PRIu64 "\n", v / 1000000,
                v % 1000000);
    } else {
        buf_fmt(out, " %" PRIu64 "\n", v);
    }
}


static void
metrics_calls(buf_t *out, const shared_t *sh, const char *node)
{
    uint64_t   v;
    unsigned   i, s;

    metrics_head(out, "rpc_total", "counter", "Calls answered.");

    for (i = 0; i < METRICS_ROUTES && api_route_name(i); i++) {
        for (s = 0; s < METRICS_STATUSES; s++) {
            v = metrics_sum(sh, ROLE_API, offsetof(counters_t, rpc)
                            + (i * METRICS_STATUSES + s) * sizeof(uint64_t));

            if (v > 0) {
                buf_fmt(out, "writeen_rpc_total{node=\"%s\",route=\"%s\","
                        "status=\"%d\"}", node, api_route_name(i),
                        metrics_statuses[s]);
                metrics_value(out, v, 0);
            }
        }
    }

    metrics_head(out, "rpc_seconds_total", "counter",
                 "Time from reading a call to its answer.");

    for (i = 0; i < METRICS_ROUTES && api_route_name(i); i++) {
        v = metrics_sum(sh, ROLE_API, offsetof(counters_t, rpc_us)
                        + i * sizeof(uint64_t));

        if (v > 0) {
            buf_fmt(out, "writeen_rpc_seconds_total{node=\"%s\","
                    "route=\"%s\"}", node, api_route_name(i));
            metrics_value(out, v, 1);
        }
    }
}


static void
metrics_uploads(buf_t *out, const shared_t *sh, const char *node)
{
    unsigned  i;

    metrics_head(out, "files_seconds_total", "counter",
                 "Time spent on uploads, tries in vain included.");

    for (i = 0; i < METRICS_STAGES; i++) {
        buf_fmt(out, "writeen_files_seconds_total{node=\"%s\","
                "stage=\"%s\"}", node, metrics_stages[i]);
        metrics_value(out, metrics_sum(sh, ROLE_FILES,
                                       offsetof(counters_t, upload_us)
                                       + i * sizeof(uint64_t)), 1);
    }
}


/* Streams' lengths by shard; -1: not known now. */
static void
metrics_streams(buf_t *out, const char *node, const char *name,
    const char *help, const int64_t *len, unsigned shards)
{
    unsigned  k;

    metrics_head(out, name, "gauge", help);

    for (k = 0; k < shards; k++) {
        if (len[k] >= 0) {
            buf_fmt(out, "writeen_%s{node=\"%s\",shard=\"%u\"} %" PRId64
                    "\n", name, node, k, len[k]);
        }
    }
}


static void
metrics_store(buf_t *out, const shared_t *sh, const char *node)
{
    unsigned       i;
    const slot_t  *s;

    metrics_head(out, "worker_store_up", "gauge",
                 "Does the store answer this process?");

    for (i = 0; i < sh->nslots; i++) {
        s = &sh->slots[i];

        if (s->type != ROLE_JANITOR && s->type != ROLE_SCANNER) {
            buf_fmt(out, "writeen_worker_store_up{node=\"%s\",role=\"%s\","
                    "index=\"%u\"}", node, metrics_role(s->type), s->index);
            metrics_value(out, count_get(s->counters.store_up), 0);
        }
    }
}


void
metrics_render(buf_t *out, const shared_t *sh, const char *node,
    const conf_t *cf, const int64_t *backlog, const int64_t *dead)
{
    size_t        i;
    unsigned      role;
    char          host[64];

    if (gethostname(host, sizeof(host)) != 0) {
        text_copy(host, sizeof(host), "unknown");
    }

    host[sizeof(host) - 1] = '\0';

    metrics_head(out, "worker_info", "gauge", "A worker pool.");
    buf_fmt(out, "writeen_worker_info{node=\"%s\",host=\"%s\","
            "version=\"%s\"} 1\n", node, host, WORKER_VERSION);

    for (i = 0; i < METRICS_LIST; i++) {
        metrics_head(out, metrics_list[i].name, metrics_list[i].type,
                     metrics_list[i].help);

        if (metrics_list[i].role == METRICS_ANY) {
            buf_fmt(out, "writeen_%s{node=\"%s\"}", metrics_list[i].name,
                    node);
            metrics_value(out, metrics_sum(sh, METRICS_ANY,
                                           metrics_list[i].offset),
                          metrics_list[i].us);
            continue;
        }

        for (role = 0; role < ROLE_MAX; role++) {
            if (metrics_list[i].role == ROLE_MAX) {
                buf_fmt(out, "writeen_%s{node=\"%s\",role=\"%s\"}",
                        metrics_list[i].name, node, metrics_role(role));

            } else if (metrics_list[i].role == role) {
                buf_fmt(out, "writeen_%s{node=\"%s\"}",
                        metrics_list[i].name, node);

            } else {
                continue;
            }

            metrics_value(out, metrics_sum(sh, role, metrics_list[i].offset),
                          metrics_list[i].us);
        }
    }

    metrics_store(out, sh, node);
    metrics_streams(out, node, "ingest_backlog",
                    "Entries that the store does not have yet.", backlog,
                    cf->names.shards);
    metrics_streams(out, node, "ingest_dead_letters",
                    "Entries in the dead-letter stream.", dead,
                    cf->names.shards);
    metrics_calls(out, sh, node);
    metrics_uploads(out, sh, node);
}
