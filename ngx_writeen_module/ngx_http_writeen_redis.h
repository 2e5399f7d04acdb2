/*
 * ngx_http_writeen_redis.h: Redis, as everybody but the bus sees it.  Part of
 * ngx_http_writeen.h.
 */

#ifndef _NGX_HTTP_WRITEEN_REDIS_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_REDIS_H_INCLUDED_


/* What a command came to. */
typedef enum {
    NGX_HTTP_WRITEEN_R_OK = 0,
    NGX_HTTP_WRITEEN_R_DUP,
    NGX_HTTP_WRITEEN_R_EXISTS,
    NGX_HTTP_WRITEEN_R_NOLOAD,
    NGX_HTTP_WRITEEN_R_DENIED,
    NGX_HTTP_WRITEEN_R_FORBIDDEN,
    NGX_HTTP_WRITEEN_R_ARCHIVED,
    NGX_HTTP_WRITEEN_R_BACKLOG,
    NGX_HTTP_WRITEEN_R_OLD,
    NGX_HTTP_WRITEEN_R_MANY,
    NGX_HTTP_WRITEEN_R_ERROR,    /* Redis answered with an error */
    NGX_HTTP_WRITEEN_R_LOST      /* no answer: whether it ran is unknown */
} ngx_http_writeen_rc_t;


/*
 * A reply, valid during the callback only.  For functions of writeen.lua rc
 * is its first element and the accessors count from the one after it; for
 * plain commands rc is R_OK and they count from the first (a reply that is
 * not an array has one element).
 */
typedef struct {
    ngx_http_writeen_rc_t      rc;
    void                      *reply;      /* hiredis's, opaque */
    ngx_uint_t                 base;
    ngx_uint_t                 n;          /* elements after base */
} ngx_http_writeen_result_t;

typedef void (*ngx_http_writeen_bus_pt)(void *data,
    ngx_http_writeen_result_t *res);


/* Arguments of a command; what it points to must live until bus_call()
 * returns (hiredis copies). */
#define NGX_HTTP_WRITEEN_ARGS_MAX  208

typedef struct {
    ngx_uint_t                 n;
    const char                *v[NGX_HTTP_WRITEEN_ARGS_MAX];
    size_t                     len[NGX_HTTP_WRITEEN_ARGS_MAX];
    char                       num[8][24]; /* numbers made by args_num */
    ngx_uint_t                 nnum;
} ngx_http_writeen_args_t;


/* ngx_http_writeen_bus.c: Redis, as policy */

ngx_int_t ngx_http_writeen_bus_init(ngx_http_writeen_worker_t *wk);
void ngx_http_writeen_bus_exit(ngx_http_writeen_worker_t *wk);

/* Which server has this shard; server 0 is the hub. */
ngx_uint_t ngx_http_writeen_bus_server(ngx_http_writeen_worker_t *wk,
    ngx_uint_t shard);
/* Do commands to it go out now? */
ngx_uint_t ngx_http_writeen_bus_ready(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server);

/*
 * Queue a command.  handler (may be NULL) is called exactly once, with R_LOST
 * when the connection goes, never from within this function.  NGX_OK, or
 * NGX_ERROR when the connection is not ready or memory is short (handler not
 * called).  Commands of one turn leave in one write.
 */
ngx_int_t ngx_http_writeen_bus_call(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server, ngx_http_writeen_args_t *args,
    ngx_http_writeen_bus_pt handler, void *data);

/* The channel of a conversation, as its server names it. */
size_t ngx_http_writeen_bus_room(ngx_http_writeen_worker_t *wk, char *out,
    ngx_uint_t shard, const char *id, size_t n);

/* (Un)subscribe a channel on a server; told by room_subscribed etc. */
void ngx_http_writeen_bus_subscribe(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server, const char *channel, size_t n);
void ngx_http_writeen_bus_unsubscribe(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server, const char *channel, size_t n);

void ngx_http_writeen_arg(ngx_http_writeen_args_t *a, const void *p,
    size_t n);
void ngx_http_writeen_arg_num(ngx_http_writeen_args_t *a, int64_t n);
/* The four keys of a conversation of shard k that whatever makes an event of it
 * wants, written into keys. */
void ngx_http_writeen_arg_room(ngx_http_writeen_args_t *a,
    char keys[4][WRT_NAME_BUF], ngx_uint_t k, const char *id, size_t n);
#define ngx_http_writeen_arg_lit(a, s)                                        \
    ngx_http_writeen_arg(a, s, sizeof(s) - 1)

/* Element i (from 0, after base) as number (0 when it is none), as text
 * (NGX_DECLINED when it is none), or element j of a nested array. */
int64_t ngx_http_writeen_result_num(ngx_http_writeen_result_t *res,
    ngx_uint_t i);
ngx_int_t ngx_http_writeen_result_str(ngx_http_writeen_result_t *res,
    ngx_uint_t i, ngx_str_t *out);
ngx_uint_t ngx_http_writeen_result_count(ngx_http_writeen_result_t *res,
    ngx_uint_t i);
ngx_int_t ngx_http_writeen_result_sub(ngx_http_writeen_result_t *res,
    ngx_uint_t i, ngx_uint_t j, ngx_str_t *out);


#endif /* _NGX_HTTP_WRITEEN_REDIS_H_INCLUDED_ */
