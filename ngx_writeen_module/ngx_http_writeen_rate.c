/*
 * ngx_http_writeen_rate.c: how much one may ask for.
 *
 * Everything that is asked for is of a kind, and has a token bucket for its
 * kind and one for all kinds together; both once per connection, in the
 * session, and once per user, over all nginx workers of this machine, in a
 * shared memory zone.  REST knows users alone, and there the bucket of the
 * kind alone.  An event passes when each of its buckets has a token, and takes
 * one from each; one that is refused takes none.
 *
 * The zone has one record for each user that was seen lately, the last one
 * first.  When it is full the one that was not seen for the longest time goes;
 * should he come again, his buckets are full.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_RATE_MAX     1000000
#define NGX_HTTP_WRITEEN_RATE_BEHIND  60000  /* ms that a clock may be late */


/* What all three numbers are when writeen_rate is the default. */
typedef struct {
    ngx_str_t                   name;
    ngx_uint_t                  rate;
    ngx_uint_t                  burst;
    ngx_uint_t                  user;
} ngx_http_writeen_rate_kind_t;


typedef struct {
    ngx_rbtree_t                users;      /* of ngx_http_writeen_rated_t */
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 recent;     /* of them, the last seen first */
} ngx_http_writeen_rate_zone_t;


/* The longest is within one size of the slab allocator (256 bytes), so that
 * where one goes another one fits. */
typedef struct {
    ngx_str_node_t              node;       /* str is the uid */
    ngx_queue_t                 queue;
    ngx_http_writeen_bucket_t   buckets[NGX_HTTP_WRITEEN_RATES];
    u_char                      uid[WRT_ID_MAX];
} ngx_http_writeen_rated_t;


static ngx_int_t ngx_http_writeen_rate_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_http_writeen_rated_t *ngx_http_writeen_rated(
    ngx_http_writeen_worker_t *wk, ngx_slab_pool_t *shpool, ngx_str_t *uid);
static ngx_msec_t ngx_http_writeen_rate_user(
    ngx_http_writeen_rate_t *limits, ngx_str_t *uid, ngx_uint_t all,
    ngx_uint_t kind);
static ngx_uint_t ngx_http_writeen_rate_route(ngx_http_request_t *r);


static const ngx_http_writeen_rate_kind_t
    ngx_http_writeen_rate_kinds[NGX_HTTP_WRITEEN_RATES] =
{
    { ngx_string("all"), WRT_RATE_CONN, WRT_RATE_BURST, WRT_RATE_USER },
#define X(name, upper)                                                        \
    { ngx_string(#name), WRT_RATE_##upper },
    NGX_HTTP_WRITEEN_RATE_KINDS(X)
#undef X
};


/* -- directives -- */

/* number [burst=number] [user=number] | off, from argument `first` on */

static char *
ngx_http_writeen_rate_parse(ngx_conf_t *cf, ngx_http_writeen_rate_t *rate,
    ngx_uint_t first, ngx_uint_t user)
{
    ngx_int_t    n;
    ngx_str_t   *value, s;
    ngx_uint_t   i, *field;

    value = cf->args->elts;

    if (cf->args->nelts == first + 1
        && ngx_strcmp(value[first].data, "off") == 0)
    {
        ngx_memzero(rate, sizeof(ngx_http_writeen_rate_t));
        return NGX_CONF_OK;
    }

    for (i = first; i < cf->args->nelts; i++) {

        s = value[i];

        if (i == first) {
            field = &rate->rate;

        } else if (ngx_strncmp(s.data, "burst=", 6) == 0) {
            field = &rate->burst;
            s.data += 6;
            s.len -= 6;

        } else if (user && ngx_strncmp(s.data, "user=", 5) == 0) {
            field = &rate->user;
            s.data += 5;
            s.len -= 5;

        } else {
            field = NULL;
        }

        n = field ? ngx_atoi(s.data, s.len) : NGX_ERROR;

        if (n < 1 || n > NGX_HTTP_WRITEEN_RATE_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in \"%V\": "
                               "\"off\", or events per second with "
                               "\"burst=\"%s, each from 1 to %d",
                               &value[i], &value[0],
                               user ? " and \"user=\"" : "",
                               NGX_HTTP_WRITEEN_RATE_MAX);
            return NGX_CONF_ERROR;
        }

        *field = n;
    }

    if (rate->burst == NGX_CONF_UNSET_UINT) {
        rate->burst = ngx_min(2 * rate->rate, NGX_HTTP_WRITEEN_RATE_MAX);
    }

    if (rate->user == NGX_CONF_UNSET_UINT) {
        rate->user = ngx_min(4 * rate->rate, NGX_HTTP_WRITEEN_RATE_MAX);
    }

    return NGX_CONF_OK;
}


/* writeen_rate number [burst=number] [user=number] | off; */

char *
ngx_http_writeen_conf_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_writeen_rate_t      *rate;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    rate = &wlcf->rates[NGX_HTTP_WRITEEN_RATE_ALL];

    if (rate->rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    return ngx_http_writeen_rate_parse(cf, rate, 1, 1);
}


/* writeen_rate_kind kind number [burst=number] [user=number] | off; */

char *
ngx_http_writeen_conf_rate_kind(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_writeen_rate_t      *rate;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    value = cf->args->elts;

    for (i = NGX_HTTP_WRITEEN_RATE_ALL + 1; i < NGX_HTTP_WRITEEN_RATES; i++) {

        if (value[1].len == ngx_http_writeen_rate_kinds[i].name.len
            && ngx_strncmp(value[1].data,
                           ngx_http_writeen_rate_kinds[i].name.data,
                           value[1].len)
               == 0)
        {
            break;
        }
    }

    if (i == NGX_HTTP_WRITEEN_RATES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid kind \"%V\" in \"writeen_rate_kind\": "
                           "\"message\", \"change\", \"typing\", "
                           "\"receipt\", \"presence\", \"join\", \"other\" "
                           "or \"read\" is allowed", &value[1]);
        return NGX_CONF_ERROR;
    }

    rate = &wlcf->rates[i];

    if (rate->rate != NGX_CONF_UNSET_UINT) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate kind \"%V\" in \"writeen_rate_kind\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    /* what is read by REST has no connection: its rate is the user's */

    return ngx_http_writeen_rate_parse(cf, rate, 2,
                                       i != NGX_HTTP_WRITEEN_RATE_READ);
}


void
ngx_http_writeen_rate_create(ngx_http_writeen_loc_conf_t *wlcf)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_WRITEEN_RATES; i++) {
        wlcf->rates[i].rate = NGX_CONF_UNSET_UINT;
        wlcf->rates[i].burst = NGX_CONF_UNSET_UINT;
        wlcf->rates[i].user = NGX_CONF_UNSET_UINT;
    }
}


/* As much of n as `share` is of `whole`, at least 1 */

static ngx_uint_t
ngx_http_writeen_rate_share(ngx_uint_t n, ngx_uint_t share, ngx_uint_t whole)
{
    uint64_t  part;

    part = ((uint64_t) n * share + whole - 1) / whole;

    return (ngx_uint_t) ngx_max(part, 1);
}


/* What was written is inherited; limits are what comes of it here: a kind of
 * which nothing was said goes with writeen_rate. */

void
ngx_http_writeen_rate_merge(ngx_http_writeen_loc_conf_t *conf,
    ngx_http_writeen_loc_conf_t *prev)
{
    ngx_uint_t                           i;
    ngx_http_writeen_rate_t             *all, *limit;
    const ngx_http_writeen_rate_kind_t  *kind;

    for (i = 0; i < NGX_HTTP_WRITEEN_RATES; i++) {
        if (conf->rates[i].rate == NGX_CONF_UNSET_UINT) {
            conf->rates[i] = prev->rates[i];
        }
    }

    ngx_memzero(conf->limits, sizeof(conf->limits));

    all = &conf->limits[NGX_HTTP_WRITEEN_RATE_ALL];
    *all = conf->rates[NGX_HTTP_WRITEEN_RATE_ALL];

    if (all->rate == NGX_CONF_UNSET_UINT) {
        all->rate = WRT_RATE_CONN;
        all->burst = WRT_RATE_BURST;
        all->user = WRT_RATE_USER;
    }

    if (all->rate == 0) {
        /* off, all kinds with it */
        return;
    }

    for (i = NGX_HTTP_WRITEEN_RATE_ALL + 1; i < NGX_HTTP_WRITEEN_RATES; i++) {
        limit = &conf->limits[i];
        kind = &ngx_http_writeen_rate_kinds[i];

        if (conf->rates[i].rate != NGX_CONF_UNSET_UINT) {
            *limit = conf->rates[i];
            continue;
        }

        limit->rate = ngx_http_writeen_rate_share(all->rate, kind->rate,
                                                  WRT_RATE_CONN);
        limit->burst = ngx_http_writeen_rate_share(all->burst, kind->burst,
                                                   WRT_RATE_BURST);
        limit->user = ngx_http_writeen_rate_share(all->user, kind->user,
                                                  WRT_RATE_USER);
    }
}


/* -- the zone -- */

ngx_int_t
ngx_http_writeen_rate_zone(ngx_conf_t *cf, ngx_http_writeen_main_conf_t *wmcf)
{
    ngx_str_t  name = ngx_string("writeen_rate");

    wmcf->rates = ngx_shared_memory_add(cf, &name, wmcf->rate_zone,
                                        &ngx_http_writeen_module);
    if (wmcf->rates == NULL) {
        return NGX_ERROR;
    }

    wmcf->rates->init = ngx_http_writeen_rate_zone_init;

    return NGX_OK;
}


/* After a reload nginx gives the same memory, unless the size is another one
 * or the module is. */

static ngx_int_t
ngx_http_writeen_rate_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t               *shpool;
    ngx_http_writeen_rate_zone_t  *zone;

    if (data != NULL) {
        shm_zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    zone = ngx_slab_alloc(shpool, sizeof(ngx_http_writeen_rate_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&zone->users, &zone->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&zone->recent);

    /* that it is full is usual */
    shpool->log_nomem = 0;

    shm_zone->data = zone;

    return NGX_OK;
}


/* The user's record, with the zone locked.  NULL: there is no room at all. */

static ngx_http_writeen_rated_t *
ngx_http_writeen_rated(ngx_http_writeen_worker_t *wk,
    ngx_slab_pool_t *shpool, ngx_str_t *uid)
{
    size_t                         size;
    uint32_t                       hash;
    ngx_uint_t                     i;
    ngx_queue_t                   *q;
    ngx_http_writeen_rated_t      *u;
    ngx_http_writeen_rate_zone_t  *zone;

    zone = wk->conf->rates->data;
    hash = ngx_crc32_short(uid->data, uid->len);

    /* the node is the record's first member */

    u = (ngx_http_writeen_rated_t *)
            ngx_str_rbtree_lookup(&zone->users, uid, hash);

    if (u != NULL) {
        ngx_queue_remove(&u->queue);
        ngx_queue_insert_head(&zone->recent, &u->queue);
        return u;
    }

    size = offsetof(ngx_http_writeen_rated_t, uid) + uid->len;
    u = ngx_slab_alloc_locked(shpool, size);

    if (u == NULL && !ngx_queue_empty(&zone->recent)) {
        q = ngx_queue_last(&zone->recent);
        u = ngx_queue_data(q, ngx_http_writeen_rated_t, queue);

        ngx_queue_remove(q);
        ngx_rbtree_delete(&zone->users, &u->node.node);
        ngx_slab_free_locked(shpool, u);

        ngx_http_writeen_count(wk, rate_forgotten_total);

        u = ngx_slab_alloc_locked(shpool, size);
    }

    if (u == NULL) {
        return NULL;
    }

    ngx_memcpy(u->uid, uid->data, uid->len);

    u->node.node.key = hash;
    u->node.str.data = u->uid;
    u->node.str.len = uid->len;

    for (i = 0; i < NGX_HTTP_WRITEEN_RATES; i++) {
        ngx_http_writeen_rate_fill(&u->buckets[i]);
    }

    ngx_rbtree_insert(&zone->users, &u->node.node);
    ngx_queue_insert_head(&zone->recent, &u->queue);

    return u;
}


/* -- buckets -- */

/* More than any burst: cut to size when it is first looked at. */

void
ngx_http_writeen_rate_fill(ngx_http_writeen_bucket_t *b)
{
    b->time = (uint32_t) ngx_current_msec;
    b->tokens = (uint32_t) -1;
}


/* Until there is a token: 0, or milliseconds.  Tokens are counted in
 * thousandths: rate a second is rate a millisecond of them. */

static ngx_msec_t
ngx_http_writeen_bucket_wait(ngx_http_writeen_bucket_t *b, ngx_uint_t rate,
    ngx_uint_t burst)
{
    int32_t   passed;
    uint64_t  have, full;

    if (rate == 0) {
        return 0;
    }

    full = (uint64_t) burst * 1000;
    have = b->tokens;

    /* the clocks of nginx workers differ by what their events take; far
     * behind is a count that went round */

    passed = (int32_t) ((uint32_t) ngx_current_msec - b->time);

    if (passed > 0) {
        have += (uint64_t) passed * rate;

    } else if (passed < -NGX_HTTP_WRITEEN_RATE_BEHIND) {
        have = full;
    }

    if (passed > 0 || passed < -NGX_HTTP_WRITEEN_RATE_BEHIND) {
        b->time = (uint32_t) ngx_current_msec;
    }

    have = ngx_min(have, full);
    b->tokens = (uint32_t) have;

    return (have >= 1000) ? 0 : (ngx_msec_t) ((1000 - have + rate - 1) / rate);
}


static void
ngx_http_writeen_bucket_take(ngx_http_writeen_bucket_t *b, ngx_uint_t rate)
{
    if (rate != 0) {
        b->tokens -= 1000;
    }
}


/* Take from the user's buckets of all kinds (if asked for) and of this kind,
 * or say how long to wait. */

static ngx_msec_t
ngx_http_writeen_rate_user(ngx_http_writeen_rate_t *limits, ngx_str_t *uid,
    ngx_uint_t all, ngx_uint_t kind)
{
    ngx_uint_t                  rate, burst, whole;
    ngx_msec_t                  wait, w;
    ngx_slab_pool_t            *shpool;
    ngx_http_writeen_rated_t   *u;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    whole = all ? limits[NGX_HTTP_WRITEEN_RATE_ALL].user : 0;

    if (kind == NGX_HTTP_WRITEEN_RATE_READ) {
        rate = limits[kind].rate;
        burst = limits[kind].burst;

    } else {
        rate = limits[kind].user;
        burst = 2 * rate;
    }

    shpool = (ngx_slab_pool_t *) wk->conf->rates->shm.addr;
    wait = 0;

    ngx_shmtx_lock(&shpool->mutex);

    u = ngx_http_writeen_rated(wk, shpool, uid);

    if (u != NULL) {
        wait = ngx_http_writeen_bucket_wait(
                   &u->buckets[NGX_HTTP_WRITEEN_RATE_ALL], whole, 2 * whole);
        w = ngx_http_writeen_bucket_wait(&u->buckets[kind], rate, burst);
        wait = ngx_max(wait, w);

        if (wait == 0) {
            ngx_http_writeen_bucket_take(
                &u->buckets[NGX_HTTP_WRITEEN_RATE_ALL], whole);
            ngx_http_writeen_bucket_take(&u->buckets[kind], rate);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return wait;
}


/* -- the doors -- */

ngx_msec_t
ngx_http_writeen_rate_event(ngx_http_writeen_session_t *s, ngx_uint_t kind)
{
    ngx_msec_t                  wait, w;
    ngx_http_writeen_rate_t    *all, *own;
    ngx_http_writeen_worker_t  *wk;
    ngx_http_writeen_bucket_t  *b;

    wk = ngx_http_writeen_worker;
    ngx_http_writeen_count(wk, asked[kind]);

    all = &s->conf->limits[NGX_HTTP_WRITEEN_RATE_ALL];
    own = &s->conf->limits[kind];
    b = s->buckets;

    if (all->rate == 0) {
        return 0;
    }

    wait = ngx_http_writeen_bucket_wait(&b[NGX_HTTP_WRITEEN_RATE_ALL],
                                        all->rate, all->burst);
    w = ngx_http_writeen_bucket_wait(&b[kind], own->rate, own->burst);
    wait = ngx_max(wait, w);

    if (wait == 0) {
        wait = ngx_http_writeen_rate_user(s->conf->limits, &s->uid, 1, kind);
    }

    if (wait == 0) {
        ngx_http_writeen_bucket_take(&b[NGX_HTTP_WRITEEN_RATE_ALL],
                                     all->rate);
        ngx_http_writeen_bucket_take(&b[kind], own->rate);
        return 0;
    }

    ngx_http_writeen_count(wk, refused[kind]);
    ngx_http_writeen_count(wk, rate_limited_total);

    return wait;
}


/* Which kind a REST request is of. */

static ngx_uint_t
ngx_http_writeen_rate_route(ngx_http_request_t *r)
{
    ngx_uint_t  i;

    static const struct {
        ngx_uint_t  method;
        ngx_str_t   tail;
        ngx_uint_t  kind;
    } routes[] = {
        { NGX_HTTP_POST, ngx_string("/messages"),
          NGX_HTTP_WRITEEN_RATE_MESSAGE },
        { NGX_HTTP_POST, ngx_string("/upload"),
          NGX_HTTP_WRITEEN_RATE_MESSAGE },
        { NGX_HTTP_POST, ngx_string("/read"),
          NGX_HTTP_WRITEEN_RATE_RECEIPT },
        { NGX_HTTP_POST, ngx_string("/delivered"),
          NGX_HTTP_WRITEEN_RATE_RECEIPT },
        { NGX_HTTP_PUT, ngx_string("/api/presence"),
          NGX_HTTP_WRITEEN_RATE_PRESENCE }
    };

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return NGX_HTTP_WRITEEN_RATE_READ;
    }

    for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {

        if (r->method == routes[i].method
            && r->uri.len >= routes[i].tail.len
            && ngx_memcmp(r->uri.data + r->uri.len - routes[i].tail.len,
                          routes[i].tail.data, routes[i].tail.len)
               == 0)
        {
            return routes[i].kind;
        }
    }

    return NGX_HTTP_WRITEEN_RATE_CHANGE;
}


/* Who acts for many is not one user. */

ngx_uint_t
ngx_http_writeen_rate_exempt(ngx_http_writeen_identity_t *id)
{
    return (id->role.len == sizeof("service") - 1
            && ngx_strncmp(id->role.data, "service", id->role.len) == 0)
           || (id->role.len == sizeof("admin") - 1
               && ngx_strncmp(id->role.data, "admin", id->role.len) == 0);
}


ngx_int_t
ngx_http_writeen_rate_request(ngx_http_request_t *r,
    ngx_http_writeen_identity_t *id)
{
    ngx_uint_t                    kind;
    ngx_msec_t                    wait;
    ngx_http_writeen_worker_t    *wk;
    ngx_http_writeen_loc_conf_t  *wlcf;

    wk = ngx_http_writeen_worker;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    kind = ngx_http_writeen_rate_route(r);
    ngx_http_writeen_count(wk, asked[kind]);

    if (wlcf->limits[NGX_HTTP_WRITEEN_RATE_ALL].rate == 0
        || ngx_http_writeen_rate_exempt(id))
    {
        return NGX_DECLINED;
    }

    wait = ngx_http_writeen_rate_user(wlcf->limits, &id->uid, 0, kind);

    if (wait == 0) {
        return NGX_DECLINED;
    }

    return ngx_http_writeen_rate_refuse(r, kind, wait);
}


/* What is only looked at leaves no record: who has none has asked for nothing
 * yet. */

ngx_msec_t
ngx_http_writeen_rate_read(ngx_http_writeen_loc_conf_t *wlcf, ngx_str_t *who,
    ngx_uint_t take)
{
    uint32_t                       hash;
    ngx_msec_t                     wait;
    ngx_slab_pool_t               *shpool;
    ngx_http_writeen_rate_t       *limit;
    ngx_http_writeen_rated_t      *u;
    ngx_http_writeen_worker_t     *wk;
    ngx_http_writeen_bucket_t     *b;
    ngx_http_writeen_rate_zone_t  *zone;

    wk = ngx_http_writeen_worker;
    limit = &wlcf->limits[NGX_HTTP_WRITEEN_RATE_READ];

    if (wlcf->limits[NGX_HTTP_WRITEEN_RATE_ALL].rate == 0) {
        return 0;
    }

    zone = wk->conf->rates->data;
    shpool = (ngx_slab_pool_t *) wk->conf->rates->shm.addr;
    wait = 0;

    ngx_shmtx_lock(&shpool->mutex);

    if (take) {
        u = ngx_http_writeen_rated(wk, shpool, who);

    } else {
        hash = ngx_crc32_short(who->data, who->len);
        u = (ngx_http_writeen_rated_t *)
                ngx_str_rbtree_lookup(&zone->users, who, hash);
    }

    if (u != NULL) {
        b = &u->buckets[NGX_HTTP_WRITEEN_RATE_READ];
        wait = ngx_http_writeen_bucket_wait(b, limit->rate, limit->burst);

        if (take && wait == 0) {
            ngx_http_writeen_bucket_take(b, limit->rate);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return wait;
}


ngx_int_t
ngx_http_writeen_rate_refuse(ngx_http_request_t *r, ngx_uint_t kind,
    ngx_msec_t wait)
{
    ngx_http_writeen_count(ngx_http_writeen_worker, refused[kind]);
    ngx_http_writeen_count(ngx_http_writeen_worker, rate_limited_total);

    return ngx_http_writeen_api_error(r, NGX_HTTP_TOO_MANY_REQUESTS,
                                      "rate_limited", NULL,
                                      "too many requests, slow down",
                                      (wait + 999) / 1000);
}


/* -- figures -- */

u_char *
ngx_http_writeen_rate_metrics(ngx_http_writeen_worker_t *wk, u_char *p,
    u_char *last)
{
    ngx_uint_t  i, k;

    static const struct {
        const char  *name;
        const char  *help;
        size_t       offset;
    } families[] = {
        { "rate_events_total", "Events and REST requests by kind",
          offsetof(ngx_http_writeen_stats_t, asked) },
        { "rate_refused_total", "Those refused by rate",
          offsetof(ngx_http_writeen_stats_t, refused) }
    };

    for (i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        p = ngx_slprintf(p, last, "# HELP writeen_%s %s\n"
                         "# TYPE writeen_%s counter\n", families[i].name,
                         families[i].help, families[i].name);

        for (k = NGX_HTTP_WRITEEN_RATE_ALL + 1; k < NGX_HTTP_WRITEEN_RATES;
             k++)
        {
            p = ngx_slprintf(p, last, "writeen_%s{kind=\"%V\"} %L\n",
                             families[i].name,
                             &ngx_http_writeen_rate_kinds[k].name,
                             ngx_http_writeen_status_sum(wk,
                                 families[i].offset + k * sizeof(ngx_atomic_t),
                                 0));
        }
    }

    return p;
}
