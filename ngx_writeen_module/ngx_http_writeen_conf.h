/*
 * ngx_http_writeen_conf.h: settings, and who a token speaks for.
 */

#ifndef _NGX_HTTP_WRITEEN_CONF_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_writeen_stats.h"


/* -- configuration -- */

typedef struct {
    ngx_array_t                redis;      /* of wrt_redis_url_t */
    ngx_array_t                addrs;      /* of ngx_addr_t, same order */
    ngx_uint_t                 shards;
    ngx_msec_t                 drain;
    ngx_flag_t                 gather;     /* commands to Redis, under load */
    ngx_shm_zone_t            *zone;       /* counters of all workers */
    ngx_shm_zone_t            *rates;      /* rate.c: buckets of users */
    size_t                     rate_zone;
    ngx_uint_t                 enabled;    /* some location uses the module */
    ngx_array_t                servers;    /* that have one: of core's conf */
    ngx_uint_t                 ack_store;  /* some location waits for it */
} ngx_http_writeen_main_conf_t;


/* One verification key; bytes live in the configuration pool. */
typedef struct {
    ngx_str_t                  alg;        /* "HS256", as written */
    ngx_str_t                  kid;        /* "" : for tokens without kid */
    ngx_str_t                  key;        /* secret or PEM */
} ngx_http_writeen_key_t;


/* How much of a kind; rate and user 0: no limit. */
typedef struct {
    ngx_uint_t                 rate;       /* events/s per connection */
    ngx_uint_t                 burst;
    ngx_uint_t                 user;       /* events/s per user */
} ngx_http_writeen_rate_t;


/* A token bucket, in thousandths. */
typedef struct {
    uint32_t                   time;       /* ms */
    uint32_t                   tokens;
} ngx_http_writeen_bucket_t;


typedef struct ngx_http_writeen_spool_s  ngx_http_writeen_spool_t;

struct ngx_http_writeen_session_s;

/* One whole message, checked; the bytes are the callee's until it returns. */
typedef void (*ngx_http_writeen_message_pt)(
    struct ngx_http_writeen_session_s *s, ngx_uint_t opcode, u_char *p,
    size_t n);


typedef struct {
    ngx_flag_t                 websocket;
    ngx_flag_t                 api;
    ngx_flag_t                 health;
    ngx_flag_t                 metrics;
    ngx_http_handler_pt        handler;    /* of the one that is on */

    ngx_array_t               *keys;       /* of ngx_http_writeen_key_t */
    ngx_str_t                  issuer;
    ngx_array_t               *audience;   /* of ngx_str_t */
    time_t                     leeway;

    ngx_msec_t                 ping_interval;
    ngx_msec_t                 resume_wait;
    ngx_msec_t                 api_timeout;
    size_t                     max_message;
    size_t                     max_text;
    size_t                     send_queue;
    ngx_int_t                  user_connections;
    ngx_flag_t                 deflate;
    size_t                     deflate_min; /* frames from so many bytes on */
    ngx_http_writeen_rate_t    rates[NGX_HTTP_WRITEEN_RATES];  /* written */
    ngx_http_writeen_rate_t    limits[NGX_HTTP_WRITEEN_RATES]; /* in force */
    ngx_array_t               *origins;    /* of ngx_str_t; NULL: same host */
    ngx_uint_t                 origin_any;
    ngx_uint_t                 ack_store;  /* writeen_ack store; */
    ngx_http_writeen_spool_t  *spool;      /* NULL: no uploads */
    ngx_msec_t                 upload_time;
    ngx_msec_t                 upload_wait;
    ngx_str_t                  files;      /* "" without writeen_files */
    ngx_http_writeen_message_pt raw;       /* gets all messages, binary ones
                                              too, and there is no chat; NULL
                                              but with the module of
                                              tests/autobahn */
} ngx_http_writeen_loc_conf_t;


/* -- identity (auth) -- */

/* Who a token speaks for.  Strings live in the pool given to auth_verify. */
typedef struct {
    ngx_str_t                  uid;
    ngx_str_t                  role;       /* student, tutor, service, admin */
    ngx_str_t                  name;       /* "" when the token has none */
    ngx_str_t                  avatar;
    time_t                     exp;
} ngx_http_writeen_identity_t;


/* Kept for a request from the post-read phase on: a token's bytes are
 * overwritten before anything can log them.  Survives internal redirects. */
typedef struct {
    ngx_str_t                  args;       /* as they came */
    u_char                    *at;         /* where they were */
    ngx_str_t                  token;      /* from ?token=, else empty */
    ngx_str_t                  bearer;     /* from Authorization */
    ngx_str_t                  offered;    /* from Sec-WebSocket-Protocol */
    void                      *api;        /* api.c: the call under way */
    void                      *upload;     /* upload.c: likewise */
    void                      *file;       /* file.c: the file asked for */
    void                     **conf;       /* conf.c: the settings, and this */
    void                     **own_conf;   /* request's own instead of them */
    unsigned                   protocol:1; /* writeen.v1 was offered */
} ngx_http_writeen_ctx_t;


/* ngx_http_writeen_conf.c: directives */

/* What a time or a size may be. */
typedef struct {
    ngx_conf_post_handler_pt   handler;
    uintmax_t                  min;
    uintmax_t                  max;
    const char                *allowed;
} ngx_http_writeen_range_t;

char *ngx_http_writeen_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_shards(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_location(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_origin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_files(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_ack(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_msec(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_sec(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_size(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_num(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_check_name(ngx_conf_t *cf, void *post,
    void *data);
char *ngx_http_writeen_conf_check_msec(ngx_conf_t *cf, void *post,
    void *data);
char *ngx_http_writeen_conf_check_sec(ngx_conf_t *cf, void *post,
    void *data);
char *ngx_http_writeen_conf_check_size(ngx_conf_t *cf, void *post,
    void *data);

/* Settings for this request alone, which conf_back() takes away again, at the
 * latest when it is answered.  NULL: no memory. */
ngx_http_core_loc_conf_t *ngx_http_writeen_conf_own(ngx_http_request_t *r);
void ngx_http_writeen_conf_back(ngx_http_request_t *r);
/* Limit a chunked body, whatever the location says; until conf_back(). */
ngx_int_t ngx_http_writeen_conf_chunked(ngx_http_request_t *r);


/* ngx_http_writeen_auth.c: who a token speaks for */

/*
 * Verify a token against the location's keys: size, kid, exactly
 * the key's algorithm, signature, exp (required), nbf, iss, aud, sub (an
 * id), role (one of four; absent: student), lengths of name and avatar.
 * NGX_OK and *id (strings in pool), or NGX_DECLINED and *why for the log,
 * never containing token bytes.
 */
ngx_int_t ngx_http_writeen_auth_verify(ngx_http_writeen_loc_conf_t *wlcf,
    ngx_str_t *token, ngx_http_writeen_identity_t *id, ngx_pool_t *pool,
    const char **why);


#endif /* _NGX_HTTP_WRITEEN_CONF_H_INCLUDED_ */
