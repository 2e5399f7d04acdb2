/*
 * ngx_http_writeen_status.c: counters and /healthz.
 *
 * Owns the shared memory zone.  It has slots; each nginx worker process takes
 * one for its life and counts there, so that any of them can answer for all.
 * A slot belongs to a process id, not to a worker number: while nginx reloads
 * an old and a new process of one number count side by side.  A slot whose
 * process is gone, however it went, is taken again by the next one: counters
 * go on (sums never fall), gauges begin at zero.
 *
 * Health is known before it is asked for: each second the heartbeats of the
 * worker pool are read from the hub, bus.c keeps what it sees of Redis, and
 * all of it is put in the slot; /healthz puts the slots together.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_SLOTS          256
#define NGX_HTTP_WRITEEN_ZONE_SIZE      (256 * 1024)
#define NGX_HTTP_WRITEEN_TICK           1000    /* ms */
#define NGX_HTTP_WRITEEN_TICK_FIRST     200     /* until the pool is seen */
#define NGX_HTTP_WRITEEN_FIRST_TICKS    50
#define NGX_HTTP_WRITEEN_SILENT_TICKS   3       /* heartbeats not read */
#define NGX_HTTP_WRITEEN_STALE_S        10      /* a process that hangs */

#define NGX_HTTP_WRITEEN_SERVING        0x100   /* beside *_UP_* */


typedef struct {
    ngx_http_writeen_stats_t    stats;
    ngx_atomic_t                pid;        /* 0: free */
    ngx_atomic_t                health;     /* NGX_HTTP_WRITEEN_SERVING... */
    ngx_atomic_t                seen;       /* seconds, when it was written */
} ngx_http_writeen_slot_t;


/* size tells a zone of another build of the module (a reload may load one). */
typedef struct {
    size_t                      size;
    ngx_http_writeen_slot_t     slots[NGX_HTTP_WRITEEN_SLOTS];
} ngx_http_writeen_zone_t;


typedef struct {
    ngx_event_t                 tick;
    ngx_http_writeen_slot_t    *slot;       /* in the zone, or `own` */
    ngx_http_writeen_slot_t     own;        /* when the zone is full */
    ngx_uint_t                  ticks;
    ngx_uint_t                  silent;     /* ticks without an answer */
    unsigned                    asking:1;
    unsigned                    ready:1;    /* was able to serve once */
} ngx_http_writeen_status_t;


static ngx_int_t ngx_http_writeen_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_writeen_slot_take(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_status_t *st);
static ngx_uint_t ngx_http_writeen_slot_live(ngx_http_writeen_slot_t *slot);
static void ngx_http_writeen_slot_reset(ngx_http_writeen_slot_t *slot);
static void ngx_http_writeen_status_tick(ngx_event_t *ev);
static void ngx_http_writeen_status_pulse(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_status_publish(ngx_http_writeen_worker_t *wk);


static ngx_str_t  ngx_http_writeen_type_json = ngx_string("application/json");


ngx_int_t
ngx_http_writeen_status_zone(ngx_conf_t *cf, ngx_http_writeen_main_conf_t *wmcf)
{
    ngx_str_t  name = ngx_string("writeen");

    wmcf->zone = ngx_shared_memory_add(cf, &name, NGX_HTTP_WRITEEN_ZONE_SIZE,
                                       &ngx_http_writeen_module);
    if (wmcf->zone == NULL) {
        return NGX_ERROR;
    }

    wmcf->zone->init = ngx_http_writeen_zone_init;
    wmcf->zone->data = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_writeen_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t          *shpool;
    ngx_http_writeen_zone_t  *zone;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    zone = data;

    if (zone == NULL && shm_zone->shm.exists) {
        zone = shpool->data;
    }

    if (zone != NULL && zone->size == sizeof(ngx_http_writeen_zone_t)) {
        shm_zone->data = zone;
        return NGX_OK;
    }

    zone = ngx_slab_calloc(shpool, sizeof(ngx_http_writeen_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->size = sizeof(ngx_http_writeen_zone_t);

    shpool->data = zone;
    shm_zone->data = zone;

    return NGX_OK;
}


ngx_int_t
ngx_http_writeen_status_init(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_status_t  *st;

    /* of the cycle: others count until the process is through */

    st = ngx_pcalloc(wk->cycle->pool, sizeof(ngx_http_writeen_status_t));
    if (st == NULL) {
        return NGX_ERROR;
    }

    wk->status = st;

    ngx_http_writeen_slot_take(wk, st);
    ngx_http_writeen_status_publish(wk);

    st->tick.handler = ngx_http_writeen_status_tick;
    st->tick.data = wk;
    st->tick.log = wk->log;
    st->tick.cancelable = 1;

    ngx_add_timer(&st->tick, NGX_HTTP_WRITEEN_TICK_FIRST);

    return NGX_OK;
}


/* The process ends.  wk->status is NULL from then on, wk->stats is not. */

void
ngx_http_writeen_status_exit(ngx_http_writeen_worker_t *wk)
{
    ngx_http_writeen_status_t  *st;

    st = wk->status;

    if (st == NULL) {
        return;
    }

    if (st->tick.timer_set) {
        ngx_del_timer(&st->tick);
    }

    /* from now on the slot may be another's */

    wk->stats = &st->own.stats;
    wk->status = NULL;

    ngx_http_writeen_slot_reset(st->slot);
    st->slot->pid = 0;
}


/* A slot that nobody has, or whose process is dead. */

static void
ngx_http_writeen_slot_take(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_status_t *st)
{
    ngx_uint_t                i;
    ngx_slab_pool_t          *shpool;
    ngx_http_writeen_zone_t  *zone;

    st->slot = &st->own;

    zone = wk->conf->zone->data;
    shpool = (ngx_slab_pool_t *) wk->conf->zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < NGX_HTTP_WRITEEN_SLOTS; i++) {
        if (zone->slots[i].pid == (ngx_atomic_uint_t) ngx_pid
            || !ngx_http_writeen_slot_live(&zone->slots[i]))
        {
            st->slot = &zone->slots[i];
            break;
        }
    }

    ngx_http_writeen_slot_reset(st->slot);
    st->slot->pid = (ngx_atomic_uint_t) ngx_pid;

    ngx_shmtx_unlock(&shpool->mutex);

    wk->stats = &st->slot->stats;

    if (st->slot == &st->own) {
        ngx_log_error(NGX_LOG_WARN, wk->log, 0,
                      "writeen: more than %d worker processes, this one is "
                      "not in the metrics", NGX_HTTP_WRITEEN_SLOTS);
    }
}


static ngx_uint_t
ngx_http_writeen_slot_live(ngx_http_writeen_slot_t *slot)
{
    ngx_pid_t  pid;

    pid = (ngx_pid_t) slot->pid;

    return pid != 0 && (kill(pid, 0) == 0 || ngx_errno == NGX_EPERM);
}


/* By the types in the list: a counter keeps its value. */

#define NGX_HTTP_WRITEEN_RESET_gauge(name)    slot->stats.name = 0;
#define NGX_HTTP_WRITEEN_RESET_counter(name)

static void
ngx_http_writeen_slot_reset(ngx_http_writeen_slot_t *slot)
{
#define X(name, type, help)  NGX_HTTP_WRITEEN_RESET_##type(name)
    NGX_HTTP_WRITEEN_COUNTERS(X)
#undef X

    slot->health = 0;
    slot->seen = (ngx_atomic_uint_t) ngx_time();
}


static void
ngx_http_writeen_status_tick(ngx_event_t *ev)
{
    ngx_msec_t                  next;
    ngx_http_writeen_args_t     args;
    ngx_http_writeen_status_t  *st;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;
    st = wk->status;

    st->ticks++;

    if (!st->asking && ngx_http_writeen_bus_ready(wk, 0)) {
        args.n = 0;
        args.nnum = 0;

        ngx_http_writeen_arg_lit(&args, "MGET");
        ngx_http_writeen_arg_lit(&args, WRT_KEY_HB_API);
        ngx_http_writeen_arg_lit(&args, WRT_KEY_HB_PROJECTOR);

        if (ngx_http_writeen_bus_call(wk, 0, &args,
                                      ngx_http_writeen_status_pulse, wk)
            == NGX_OK)
        {
            st->asking = 1;
        }
    }

    if (st->silent++ >= NGX_HTTP_WRITEEN_SILENT_TICKS) {
        wk->health.worker = 0;
        wk->health.store = 0;
    }

    ngx_http_writeen_status_publish(wk);

    next = NGX_HTTP_WRITEEN_TICK;

    if (!wk->health.worker && st->ticks < NGX_HTTP_WRITEEN_FIRST_TICKS) {
        next = NGX_HTTP_WRITEEN_TICK_FIRST;
    }

    ngx_add_timer(ev, next);
}


/* Both roles of the pool say "ok", or "store" when the store does not answer
 * them; one that is dead says nothing, its key has expired. */

static void
ngx_http_writeen_status_pulse(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_worker_t *wk = data;

    ngx_str_t                   s;
    ngx_uint_t                  i, alive, ok;
    ngx_http_writeen_status_t  *st;

    st = wk->status;

    if (st == NULL) {
        return;
    }

    st->asking = 0;

    if (res->rc != NGX_HTTP_WRITEEN_R_OK) {
        return;
    }

    alive = 0;
    ok = 0;

    for (i = 0; i < 2; i++) {
        if (ngx_http_writeen_result_str(res, i, &s) != NGX_OK) {
            continue;
        }

        alive++;

        if (s.len == 2 && ngx_strncmp(s.data, "ok", 2) == 0) {
            ok++;
        }
    }

    wk->health.worker = (alive == 2);
    wk->health.store = (ok == 2);
    st->silent = 0;

    ngx_http_writeen_status_publish(wk);
}


/*
 * Put what this process knows in its slot.  A process that has only just
 * started counts for the others' answers once it was able to serve, or when
 * that takes too long; one that is leaving does not count any more.
 */

static void
ngx_http_writeen_status_publish(ngx_http_writeen_worker_t *wk)
{
    ngx_uint_t                  health;
    ngx_http_writeen_status_t  *st;

    st = wk->status;
    health = 0;

    if (wk->health.redis) {
        health |= NGX_HTTP_WRITEEN_UP_REDIS;
    }

    if (wk->health.bus) {
        health |= NGX_HTTP_WRITEEN_UP_BUS;
    }

    if (wk->health.worker) {
        health |= NGX_HTTP_WRITEEN_UP_WORKER;
    }

    if (wk->health.store) {
        health |= NGX_HTTP_WRITEEN_UP_STORE;
    }

    if ((wk->health.redis && wk->health.bus)
        || st->ticks >= NGX_HTTP_WRITEEN_FIRST_TICKS / 2)
    {
        st->ready = 1;
    }

    if (st->ready && !ngx_exiting && !ngx_terminate && !ngx_quit) {
        health |= NGX_HTTP_WRITEEN_SERVING;
    }

    st->slot->health = health;
    st->slot->seen = (ngx_atomic_uint_t) ngx_time();
}


/* What holds for this process and all others that serve. */

ngx_uint_t
ngx_http_writeen_status_health(ngx_http_writeen_worker_t *wk,
    ngx_uint_t *processes)
{
    ngx_uint_t                  i, all, health;
    ngx_http_writeen_slot_t    *slot;
    ngx_http_writeen_zone_t    *zone;
    ngx_http_writeen_status_t  *st;

    ngx_http_writeen_status_publish(wk);

    st = wk->status;
    all = st->slot->health;
    *processes = 1;

    zone = wk->conf->zone->data;

    for (i = 0; i < NGX_HTTP_WRITEEN_SLOTS; i++) {
        slot = &zone->slots[i];
        health = slot->health;

        if (slot == st->slot
            || !(health & NGX_HTTP_WRITEEN_SERVING)
            || !ngx_http_writeen_slot_live(slot))
        {
            continue;
        }

        (*processes)++;

        if (ngx_time() - (time_t) slot->seen > NGX_HTTP_WRITEEN_STALE_S) {
            /* alive, but it does nothing: its clients hear nothing */
            health &= ~NGX_HTTP_WRITEEN_UP_BUS;
        }

        all &= health;
    }

    return all;
}


/*
 * writeen_health on;
 * location; default: off
 *
 * GET answers from what is known, without asking anybody:
 * {"status","redis","bus","worker","store"}, each part "ok" or "down".  200
 * "ok"; 200 "degraded" when only the worker pool or the store is down, because
 * chat goes on; 503 "down" when this nginx can not deliver.
 */

ngx_int_t
ngx_http_writeen_health_handler(ngx_http_request_t *r)
{
    u_char                     *p, *last;
    ngx_buf_t                  *b;
    ngx_int_t                   rc;
    ngx_uint_t                  health, n, down;
    const char                 *status;
    ngx_http_writeen_worker_t  *wk;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_writeen_not_allowed(r, NGX_HTTP_GET|NGX_HTTP_HEAD,
                                            "this is for GET");
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, 128);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    wk = ngx_http_writeen_worker;
    health = wk ? ngx_http_writeen_status_health(wk, &n) : 0;

    down = !(health & NGX_HTTP_WRITEEN_UP_REDIS)
           || !(health & NGX_HTTP_WRITEEN_UP_BUS);

    if (down) {
        status = "down";

    } else if ((health & NGX_HTTP_WRITEEN_UP_WORKER)
               && (health & NGX_HTTP_WRITEEN_UP_STORE))
    {
        status = "ok";

    } else {
        status = "degraded";
    }

    p = b->last;
    last = b->end;

    p = ngx_slprintf(p, last, "{\"status\":\"%s\",\"redis\":\"%s\","
                     "\"bus\":\"%s\",\"worker\":\"%s\",\"store\":\"%s\"}",
                     status,
                     (health & NGX_HTTP_WRITEEN_UP_REDIS) ? "ok" : "down",
                     (health & NGX_HTTP_WRITEEN_UP_BUS) ? "ok" : "down",
                     (health & NGX_HTTP_WRITEEN_UP_WORKER) ? "ok" : "down",
                     (health & NGX_HTTP_WRITEEN_UP_STORE) ? "ok" : "down");
    b->last = p;

    return ngx_http_writeen_status_send(r, down ? NGX_HTTP_SERVICE_UNAVAILABLE
                                                : NGX_HTTP_OK,
                                        &ngx_http_writeen_type_json, b);
}


ngx_int_t
ngx_http_writeen_status_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    r->headers_out.status = status;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = b->last - b->pos;

    if (ngx_http_writeen_header(r, "Cache-Control", "no-store")
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* A gauge of a process that died says nothing; its counters stay. */

int64_t
ngx_http_writeen_status_sum(ngx_http_writeen_worker_t *wk, size_t offset,
    ngx_uint_t gauge)
{
    u_char                   *p;
    ngx_uint_t                i;
    int64_t                   sum;
    ngx_http_writeen_zone_t  *zone;

    sum = 0;
    zone = wk->conf->zone->data;

    for (i = 0; i < NGX_HTTP_WRITEEN_SLOTS; i++) {
        p = (u_char *) &zone->slots[i].stats + offset;

        if (*(ngx_atomic_t *) p == 0
            || (gauge && !ngx_http_writeen_slot_live(&zone->slots[i])))
        {
            continue;
        }

        sum += (ngx_atomic_int_t) *(ngx_atomic_t *) p;
    }

    return sum;
}
