/*
 * ngx_http_writeen_module.c: directives, configuration, process hooks.
 *
 * The directives are documented in docs/directives.md.  A location becomes one
 * of four things: writeen_websocket, writeen_api, writeen_health or
 * writeen_metrics.  Settings are read-only once merged; what changes at run
 * time hangs on the one worker object, made in init_process.
 */

#include "ngx_http_writeen.h"

#include <sys/random.h>


#define NGX_HTTP_WRITEEN_LEAVE_MAX   200     /* rooms and users let go */


static void *ngx_http_writeen_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_writeen_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_writeen_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_writeen_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_writeen_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_writeen_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_writeen_init_process(ngx_cycle_t *cycle);
static void ngx_http_writeen_exit_process(ngx_cycle_t *cycle);
static void ngx_http_writeen_leaver_handler(ngx_event_t *ev);
static void ngx_http_writeen_sweep_handler(ngx_event_t *ev);


static ngx_conf_post_t  ngx_http_writeen_issuer_post =
    { ngx_http_writeen_conf_check_name };

static ngx_http_writeen_range_t  ngx_http_writeen_drain_range =
    { ngx_http_writeen_conf_check_msec, 0, 3600000, "0 to 1h" };

static ngx_http_writeen_range_t  ngx_http_writeen_leeway_range =
    { ngx_http_writeen_conf_check_sec, 0, 300, "0 to 5m" };

static ngx_http_writeen_range_t  ngx_http_writeen_ping_range =
    { ngx_http_writeen_conf_check_msec, 1000, 3600000, "1s to 1h" };

static ngx_http_writeen_range_t  ngx_http_writeen_wait_range =
    { ngx_http_writeen_conf_check_msec, 100, 60000, "100ms to 60s" };

static ngx_http_writeen_range_t  ngx_http_writeen_time_range =
    { ngx_http_writeen_conf_check_msec, 1000, 86400000, "1s to 1d" };

static ngx_http_writeen_range_t  ngx_http_writeen_upload_range =
    { ngx_http_writeen_conf_check_msec, 100, 300000, "100ms to 5m" };

static ngx_http_writeen_range_t  ngx_http_writeen_message_range =
    { ngx_http_writeen_conf_check_size, 1024, 1024 * 1024, "1k to 1m" };

static ngx_http_writeen_range_t  ngx_http_writeen_text_range =
    { ngx_http_writeen_conf_check_size, 1, 256 * 1024, "1 to 256k" };

static ngx_http_writeen_range_t  ngx_http_writeen_queue_range =
    { ngx_http_writeen_conf_check_size, 16 * 1024, 64 * 1024 * 1024,
      "16k to 64m" };

static ngx_http_writeen_range_t  ngx_http_writeen_user_range =
    { ngx_http_writeen_conf_check_size, 1, 1000000, "1 to 1000000" };

static ngx_http_writeen_range_t  ngx_http_writeen_zone_range =
    { ngx_http_writeen_conf_check_size, 64 * 1024, 1024 * 1024 * 1024,
      "64k to 1024m" };

#define NGX_HTTP_WRITEEN_ANY_CONF                                             \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_writeen_commands[] = {

    { ngx_string("writeen_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_writeen_conf_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_shards"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_shards,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_redis_gather"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_writeen_main_conf_t, gather),
      NULL },

    { ngx_string("writeen_drain"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_msec,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_writeen_main_conf_t, drain),
      &ngx_http_writeen_drain_range },

    { ngx_string("writeen_websocket"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_writeen_conf_location,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, websocket),
      NULL },

    { ngx_string("writeen_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_writeen_conf_location,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, api),
      NULL },

    { ngx_string("writeen_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_writeen_conf_location,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, health),
      NULL },

    { ngx_string("writeen_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_writeen_conf_location,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, metrics),
      NULL },

    { ngx_string("writeen_jwt_key"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE23,
      ngx_http_writeen_jwt_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_jwt_issuer"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, issuer),
      &ngx_http_writeen_issuer_post },

    { ngx_string("writeen_jwt_audience"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_1MORE,
      ngx_http_writeen_conf_audience,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_jwt_leeway"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_sec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, leeway),
      &ngx_http_writeen_leeway_range },

    { ngx_string("writeen_ping_interval"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_msec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, ping_interval),
      &ngx_http_writeen_ping_range },

    { ngx_string("writeen_resume_wait"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_msec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, resume_wait),
      &ngx_http_writeen_wait_range },

    { ngx_string("writeen_api_timeout"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_msec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, api_timeout),
      &ngx_http_writeen_wait_range },

    { ngx_string("writeen_max_message"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, max_message),
      &ngx_http_writeen_message_range },

    { ngx_string("writeen_max_text"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, max_text),
      &ngx_http_writeen_text_range },

    { ngx_string("writeen_send_queue"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_size,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, send_queue),
      &ngx_http_writeen_queue_range },

    { ngx_string("writeen_user_connections"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_num,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, user_connections),
      &ngx_http_writeen_user_range },

    { ngx_string("writeen_deflate"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, deflate),
      NULL },

    { ngx_string("writeen_rate"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE123,
      ngx_http_writeen_conf_rate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_rate_kind"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE23|NGX_CONF_TAKE4,
      ngx_http_writeen_conf_rate_kind,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_rate_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_size,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_writeen_main_conf_t, rate_zone),
      &ngx_http_writeen_zone_range },

    { ngx_string("writeen_origin"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_1MORE,
      ngx_http_writeen_conf_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_files"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_files,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_ack"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_ack,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_spool"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_spool,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("writeen_upload_time"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_msec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, upload_time),
      &ngx_http_writeen_time_range },

    { ngx_string("writeen_upload_wait"),
      NGX_HTTP_WRITEEN_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_writeen_conf_msec,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_writeen_loc_conf_t, upload_wait),
      &ngx_http_writeen_upload_range },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_writeen_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_writeen_postconfiguration,    /* postconfiguration */

    ngx_http_writeen_create_main_conf,     /* create main configuration */
    ngx_http_writeen_init_main_conf,       /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_writeen_create_loc_conf,      /* create location configuration */
    ngx_http_writeen_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_writeen_module = {
    NGX_MODULE_V1,
    &ngx_http_writeen_module_ctx,          /* module context */
    ngx_http_writeen_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_writeen_init_module,          /* init module */
    ngx_http_writeen_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_writeen_exit_process,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_http_writeen_worker_t  *ngx_http_writeen_worker;


/* -- configuration -- */

static void *
ngx_http_writeen_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_writeen_main_conf_t  *wmcf;

    wmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_writeen_main_conf_t));
    if (wmcf == NULL) {
        return NULL;
    }

    wmcf->shards = NGX_CONF_UNSET_UINT;
    wmcf->drain = NGX_CONF_UNSET_MSEC;
    wmcf->gather = NGX_CONF_UNSET;
    wmcf->rate_zone = NGX_CONF_UNSET_SIZE;

    if (ngx_array_init(&wmcf->redis, cf->pool, 1, sizeof(wrt_redis_url_t))
        != NGX_OK
        || ngx_array_init(&wmcf->addrs, cf->pool, 1, sizeof(ngx_addr_t))
           != NGX_OK
        || ngx_array_init(&wmcf->servers, cf->pool, 4, sizeof(void *))
           != NGX_OK)
    {
        return NULL;
    }

    return wmcf;
}


static char *
ngx_http_writeen_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_writeen_main_conf_t  *wmcf = conf;

    ngx_conf_init_uint_value(wmcf->shards, WRT_SHARDS);
    ngx_conf_init_msec_value(wmcf->drain, WRT_DRAIN_MS);
    ngx_conf_init_value(wmcf->gather, 1);
    ngx_conf_init_size_value(wmcf->rate_zone, WRT_RATE_ZONE);

    return NGX_CONF_OK;
}


/*
 * Here all of nginx.conf has been read, whatever stands behind the http
 * block, too.
 *
 * A worker_shutdown_timeout that is over before the drain is cuts off whose
 * turn has not come: without a Close, all at once, and so they come back.
 */

static ngx_int_t
ngx_http_writeen_init_module(ngx_cycle_t *cycle)
{
    ngx_core_conf_t               *ccf;
    ngx_http_writeen_main_conf_t  *wmcf;

    wmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_writeen_module);

    if (wmcf == NULL || !wmcf->enabled) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* 0: there is none; to the log that had the other warnings about the
     * configuration: the new one's level is "error" unless somebody set it */

    if (ccf->shutdown_timeout != 0 && ccf->shutdown_timeout <= wmcf->drain) {
        ngx_log_error(NGX_LOG_WARN, cycle->old_cycle->log, 0,
                      "\"worker_shutdown_timeout\" is %Mms and not longer "
                      "than \"writeen_drain\" with %Mms: clients whose turn "
                      "has not come by then are cut off; make it longer",
                      ccf->shutdown_timeout, wmcf->drain);
    }

    return NGX_OK;
}


static void *
ngx_http_writeen_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_writeen_loc_conf_t  *wlcf;

    wlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_writeen_loc_conf_t));
    if (wlcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     wlcf->issuer = { 0, NULL };
     *     wlcf->files = { 0, NULL };
     *     wlcf->raw = NULL
     *     wlcf->websocket, api, health, metrics = 0
     *     wlcf->handler = NULL (these are inherited by nameless locations)
     */

    wlcf->keys = NGX_CONF_UNSET_PTR;
    wlcf->audience = NGX_CONF_UNSET_PTR;
    wlcf->origins = NGX_CONF_UNSET_PTR;
    wlcf->leeway = NGX_CONF_UNSET;
    wlcf->ping_interval = NGX_CONF_UNSET_MSEC;
    wlcf->resume_wait = NGX_CONF_UNSET_MSEC;
    wlcf->api_timeout = NGX_CONF_UNSET_MSEC;
    wlcf->max_message = NGX_CONF_UNSET_SIZE;
    wlcf->max_text = NGX_CONF_UNSET_SIZE;
    wlcf->send_queue = NGX_CONF_UNSET_SIZE;
    wlcf->user_connections = NGX_CONF_UNSET;
    wlcf->deflate = NGX_CONF_UNSET;
    wlcf->deflate_min = NGX_CONF_UNSET_SIZE;
    wlcf->ack_store = NGX_CONF_UNSET_UINT;
    wlcf->spool = NGX_CONF_UNSET_PTR;
    wlcf->upload_time = NGX_CONF_UNSET_MSEC;
    wlcf->upload_wait = NGX_CONF_UNSET_MSEC;

    ngx_http_writeen_rate_create(wlcf);

    return wlcf;
}


static char *
ngx_http_writeen_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_writeen_loc_conf_t   *prev = parent;
    ngx_http_writeen_loc_conf_t   *conf = child;
    ngx_http_writeen_main_conf_t  *wmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && conf->handler == NULL) {
        /* "if" and "limit_except": the location goes on in there */
        conf->websocket = prev->websocket;
        conf->api = prev->api;
        conf->health = prev->health;
        conf->metrics = prev->metrics;
        conf->handler = prev->handler;
        conf->raw = prev->raw;

        if (clcf->lmt_excpt && clcf->handler == NULL) {
            clcf->handler = conf->handler;
        }
    }

    ngx_conf_merge_ptr_value(conf->keys, prev->keys, NULL);
    ngx_conf_merge_ptr_value(conf->audience, prev->audience, NULL);
    ngx_conf_merge_str_value(conf->issuer, prev->issuer, "");
    ngx_conf_merge_str_value(conf->files, prev->files, "");
    ngx_conf_merge_sec_value(conf->leeway, prev->leeway, WRT_TOKEN_LEEWAY_S);
    ngx_conf_merge_msec_value(conf->ping_interval, prev->ping_interval,
                              WRT_PING_INTERVAL_MS);
    ngx_conf_merge_msec_value(conf->resume_wait, prev->resume_wait,
                              WRT_RESUME_WAIT_MS);
    ngx_conf_merge_msec_value(conf->api_timeout, prev->api_timeout,
                              WRT_RPC_TIMEOUT_MS);
    ngx_conf_merge_size_value(conf->max_message, prev->max_message,
                              WRT_MESSAGE_MAX);
    ngx_conf_merge_size_value(conf->max_text, prev->max_text, WRT_TEXT_MAX);
    ngx_conf_merge_size_value(conf->send_queue, prev->send_queue,
                              WRT_SEND_QUEUE);
    ngx_conf_merge_value(conf->user_connections, prev->user_connections,
                         WRT_USER_CONNECTIONS);
    ngx_conf_merge_value(conf->deflate, prev->deflate, 0);
    ngx_conf_merge_size_value(conf->deflate_min, prev->deflate_min,
                              WRT_DEFLATE_MIN);
    ngx_http_writeen_rate_merge(conf, prev);
    ngx_conf_merge_uint_value(conf->ack_store, prev->ack_store, 0);
    ngx_conf_merge_ptr_value(conf->spool, prev->spool, NULL);
    ngx_conf_merge_msec_value(conf->upload_time, prev->upload_time,
                              WRT_UPLOAD_TIME_MS);
    ngx_conf_merge_msec_value(conf->upload_wait, prev->upload_wait,
                              WRT_UPLOAD_WAIT_MS);

    if (conf->origins == NGX_CONF_UNSET_PTR) {
        conf->origin_any = prev->origin_any;
    }

    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);

    if (!conf->websocket && !conf->api) {
        return NGX_CONF_OK;
    }

    if (conf->api) {
        /* sizes are the front door's own business, see conf_chunked() */
        clcf->client_max_body_size = 0;
    }

    if (conf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\" needs at least one \"writeen_jwt_key\" in "
                           "its location, server or http block",
                           conf->websocket ? "writeen_websocket"
                                           : "writeen_api");
        return NGX_CONF_ERROR;
    }

    if (conf->max_text >= conf->max_message) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"writeen_max_text\" must be less than "
                           "\"writeen_max_message\", in which the text is "
                           "carried");
        return NGX_CONF_ERROR;
    }

    if (conf->send_queue < 2 * conf->max_message) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"writeen_send_queue\" must be at least twice "
                           "\"writeen_max_message\"");
        return NGX_CONF_ERROR;
    }

    if (conf->ack_store) {
        wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_writeen_module);
        wmcf->ack_store = 1;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_writeen_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_writeen_main_conf_t  *wmcf;

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_writeen_module);

    if (!wmcf->enabled) {
        return NGX_OK;
    }

    if (wmcf->redis.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"writeen_redis\" is required in the http block, "
                           "e.g. \"writeen_redis redis://127.0.0.1:6379/0;\"");
        return NGX_ERROR;
    }

    if (ngx_http_writeen_token_init(cf) != NGX_OK
        || ngx_http_writeen_file_init(cf) != NGX_OK
        || ngx_http_writeen_rate_zone(cf, wmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_writeen_status_zone(cf, wmcf);
}


/* -- processes -- */

static void
ngx_http_writeen_worker_event(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_http_writeen_worker_t *wk)
{
    ev->handler = handler;
    ev->data = wk;
    ev->log = wk->log;
}


static void
ngx_http_writeen_worker_lists(ngx_http_writeen_worker_t *wk)
{
    ngx_rbtree_init(&wk->rooms, &wk->rooms_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&wk->users, &wk->users_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&wk->gathers, &wk->gathers_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&wk->sessions);
    ngx_queue_init(&wk->parting);
    ngx_queue_init(&wk->doomed);
    ngx_queue_init(&wk->waiting);
    ngx_queue_init(&wk->flush);
    ngx_queue_init(&wk->flush_late);
    ngx_queue_init(&wk->walking);
    ngx_queue_init(&wk->idle_rooms);
    ngx_queue_init(&wk->idle_users);
    ngx_queue_init(&wk->loads);
    ngx_queue_init(&wk->retries);
    ngx_queue_init(&wk->user_retries);
    ngx_queue_init(&wk->typing);
    ngx_queue_init(&wk->typists);
    ngx_queue_init(&wk->tells);
    ngx_queue_init(&wk->uploads);
}


static ngx_int_t
ngx_http_writeen_init_process(ngx_cycle_t *cycle)
{
    uint8_t                        seed[8];
    ngx_http_writeen_worker_t     *wk;
    ngx_http_writeen_main_conf_t  *wmcf;

    /* also called in the cache manager and loader */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    wmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_writeen_module);

    if (wmcf == NULL || !wmcf->enabled) {
        return NGX_OK;
    }

    wk = ngx_pcalloc(cycle->pool, sizeof(ngx_http_writeen_worker_t));
    if (wk == NULL) {
        return NGX_ERROR;
    }

    wk->recv = ngx_pnalloc(cycle->pool, NGX_HTTP_WRITEEN_RECV_SIZE);
    if (wk->recv == NULL) {
        return NGX_ERROR;
    }

    wk->conf = wmcf;
    wk->log = cycle->log;
    wk->cycle = cycle;
    wk->names.shards = wmcf->shards;
    wk->names.db = ((wrt_redis_url_t *) wmcf->redis.elts)->db;

    /* random() is seeded with pid and time, which two containers share */
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t) sizeof(seed)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "getrandom() failed");
        return NGX_ERROR;
    }

    wrt_oid_init(&wk->oid, seed);
    wrt_oid_next(&wk->oid, ngx_time(), wk->id);

    ngx_http_writeen_worker_lists(wk);

    ngx_http_writeen_worker_event(&wk->shaker,
                                  ngx_http_writeen_shaker_handler, wk);
    ngx_http_writeen_worker_event(&wk->leaver,
                                  ngx_http_writeen_leaver_handler, wk);
    ngx_http_writeen_worker_event(&wk->reaper,
                                  ngx_http_writeen_reaper_handler, wk);
    ngx_http_writeen_worker_event(&wk->flusher,
                                  ngx_http_writeen_flusher_handler, wk);
    ngx_http_writeen_worker_event(&wk->walker,
                                  ngx_http_writeen_walker_handler, wk);
    ngx_http_writeen_worker_event(&wk->drainer,
                                  ngx_http_writeen_drain_handler, wk);
    ngx_http_writeen_worker_event(&wk->typer,
                                  ngx_http_writeen_typer_handler, wk);
    ngx_http_writeen_worker_event(&wk->teller,
                                  ngx_http_writeen_teller_handler, wk);
    ngx_http_writeen_worker_event(&wk->sweeper,
                                  ngx_http_writeen_sweep_handler, wk);

    wk->leaver.cancelable = 1;
    wk->typer.cancelable = 1;
    wk->sweeper.cancelable = 1;
    ngx_add_timer(&wk->sweeper, 1000);
    ngx_http_writeen_presence_init(wk);

    ngx_http_writeen_worker = wk;

    if (ngx_http_writeen_status_init(wk) != NGX_OK
        || ngx_http_writeen_rpc_init(wk) != NGX_OK
        || ngx_http_writeen_bus_init(wk) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The order matters: sessions let go of what is under way for them, calls and
 * commands then end in their handlers (which touch no request: wk->rpc is NULL
 * by then), and what is left is memory.
 */

static void
ngx_http_writeen_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;

    if (wk == NULL) {
        return;
    }

    ngx_http_writeen_session_exit(wk);
    ngx_http_writeen_rpc_exit(wk);
    ngx_http_writeen_bus_exit(wk);
    ngx_http_writeen_receipt_exit(wk);
    ngx_http_writeen_tell_exit(wk);
    ngx_http_writeen_room_exit(wk);
    ngx_http_writeen_user_exit(wk);
    ngx_http_writeen_status_exit(wk);
    ngx_http_writeen_output_exit(wk);
    ngx_http_writeen_deflate_exit(wk);
}


/* Rooms and users that nobody has been in for some seconds. */

static void
ngx_http_writeen_leaver_handler(ngx_event_t *ev)
{
    ngx_uint_t                  n;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;
    n = NGX_HTTP_WRITEEN_LEAVE_MAX;

    if (ngx_http_writeen_room_leave(wk, &n) == NGX_AGAIN
        || ngx_http_writeen_user_leave(wk, &n) == NGX_AGAIN)
    {
        ngx_add_timer(ev, NGX_HTTP_WRITEEN_PAUSE);
    }
}


static void
ngx_http_writeen_sweep_handler(ngx_event_t *ev)
{
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;

    if (!wk->leaver.timer_set) {
        ngx_http_writeen_leaver_handler(&wk->leaver);
    }

    ngx_http_writeen_room_sweep(wk);
    ngx_http_writeen_typing_sweep(wk);
    ngx_http_writeen_user_sweep(wk);
    ngx_http_writeen_catch_retry(wk);

    ngx_add_timer(ev, 1000);
}
