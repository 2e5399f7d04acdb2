/*
 * ngx_http_writeen_redis_adapter.c: hiredis <-> ngx_event_t, nothing else.
 *
 * Rules that hold for hiredis 0.14 to 1.2:
 *
 * - Reading is level-triggered: hiredis takes at most 16 KB a call and expects
 *   to be called again.
 * - nginx closes the socket (cleanup sets ac->c.fd to -1), so that it is closed
 *   once and posted events of the connection are gone with it.
 * - After redisAsyncHandleRead() and redisAsyncHandleWrite() nothing may be
 *   touched: the context and this adapter may be freed.
 * - Commands queued in one loop turn leave in one write: the wish to write is a
 *   posted event; epoll is asked only when the socket is full.
 * - Under load those of a millisecond do, too, unless writeen_redis_gather is
 *   off: there is a write each millisecond, instead of one for each command.
 *   That spares this process and Redis most of what the kernel takes for them
 *   (docs/performance.md).
 */

#include "ngx_http_writeen_redis_adapter.h"


#define NGX_HTTP_WRITEEN_REDIS_GATHER  1    /* ms between two writes */
#define NGX_HTTP_WRITEEN_REDIS_SPAN    16   /* ms: commands are counted in it */
#define NGX_HTTP_WRITEEN_REDIS_LOAD    32   /* so many in the last one: load */


typedef struct {
    redisAsyncContext  *ac;
    ngx_connection_t   *connection;
    ngx_event_t         flush;
    ngx_msec_t          flushed;      /* when it was, the last time */
    ngx_msec_t          span;         /* which one it is */
    ngx_uint_t          commands;     /* in it */
    ngx_uint_t          before;       /* in the one before */
    unsigned            gather:1;     /* allowed to, under load */
    unsigned            flushing:1;   /* inside redisAsyncHandleWrite() */
} ngx_http_writeen_redis_t;


static void ngx_http_writeen_redis_read_handler(ngx_event_t *rev);
static void ngx_http_writeen_redis_write_handler(ngx_event_t *wev);
static void ngx_http_writeen_redis_flush_handler(ngx_event_t *ev);
static void ngx_http_writeen_redis_add_read(void *data);
static void ngx_http_writeen_redis_del_read(void *data);
static void ngx_http_writeen_redis_add_write(void *data);
static void ngx_http_writeen_redis_del_write(void *data);
static void ngx_http_writeen_redis_cleanup(void *data);


ngx_int_t
ngx_http_writeen_redis_attach(redisAsyncContext *ac, ngx_uint_t gather,
    ngx_log_t *log)
{
    ngx_connection_t          *c;
    ngx_http_writeen_redis_t  *rd;

    rd = ngx_calloc(sizeof(ngx_http_writeen_redis_t), log);
    if (rd == NULL) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(ac->c.fd, log);
    if (c == NULL) {
        ngx_free(rd);
        return NGX_ERROR;
    }

    c->data = rd;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->read->handler = ngx_http_writeen_redis_read_handler;
    c->write->handler = ngx_http_writeen_redis_write_handler;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    rd->ac = ac;
    rd->connection = c;
    rd->gather = gather != 0;
    rd->flush.handler = ngx_http_writeen_redis_flush_handler;
    rd->flush.data = rd;
    rd->flush.log = log;

    ac->ev.data = rd;
    ac->ev.addRead = ngx_http_writeen_redis_add_read;
    ac->ev.delRead = ngx_http_writeen_redis_del_read;
    ac->ev.addWrite = ngx_http_writeen_redis_add_write;
    ac->ev.delWrite = ngx_http_writeen_redis_del_write;
    ac->ev.cleanup = ngx_http_writeen_redis_cleanup;

    /* writable means connected */
    if (ngx_add_event(c->write, NGX_WRITE_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
        ngx_memzero(&ac->ev, sizeof(ac->ev));
        c->fd = (ngx_socket_t) -1;
        ngx_free_connection(c);
        ngx_free(rd);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_writeen_redis_read_handler(ngx_event_t *rev)
{
    ngx_connection_t          *c;
    ngx_http_writeen_redis_t  *rd;

    c = rev->data;
    rd = c->data;

    if (c->close) {
        /*
         * worker_shutdown_timeout calls the read handler of every connection;
         * exit_process frees ours soon.  What comes until then stays unread.
         */
        if (rev->active) {
            (void) ngx_del_event(rev, NGX_READ_EVENT, 0);
        }

        return;
    }

    redisAsyncHandleRead(rd->ac);
}


static void
ngx_http_writeen_redis_write_handler(ngx_event_t *wev)
{
    ngx_connection_t  *c;

    c = wev->data;

    ngx_http_writeen_redis_flush_handler(
        &((ngx_http_writeen_redis_t *) c->data)->flush);
}


static void
ngx_http_writeen_redis_flush_handler(ngx_event_t *ev)
{
    ngx_http_writeen_redis_t  *rd;

    rd = ev->data;

    /*
     * While flushing, hiredis asks for another write only when the socket is
     * full: then wait for epoll.  The flag is cleared by whichever of the two
     * hooks it calls last, not here, where rd may be gone.
     */

    rd->flushing = 1;
    rd->flushed = ngx_current_msec;

    redisAsyncHandleWrite(rd->ac);
}


static void
ngx_http_writeen_redis_add_read(void *data)
{
    ngx_event_t               *rev;
    ngx_http_writeen_redis_t  *rd = data;

    rev = rd->connection->read;

    if (!rev->active) {
        (void) ngx_add_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_writeen_redis_del_read(void *data)
{
    ngx_event_t               *rev;
    ngx_http_writeen_redis_t  *rd = data;

    rev = rd->connection->read;

    if (rev->active) {
        (void) ngx_del_event(rev, NGX_READ_EVENT, 0);
    }
}


/* One more command.  Are there so many that they are to gather? */

static ngx_uint_t
ngx_http_writeen_redis_busy(ngx_http_writeen_redis_t *rd)
{
    ngx_msec_t  span;

    span = ngx_current_msec / NGX_HTTP_WRITEEN_REDIS_SPAN;

    if (span != rd->span) {
        rd->before = span == rd->span + 1 ? rd->commands : 0;
        rd->commands = 0;
        rd->span = span;
    }

    rd->commands++;

    return rd->gather && rd->before >= NGX_HTTP_WRITEEN_REDIS_LOAD;
}


static void
ngx_http_writeen_redis_add_write(void *data)
{
    ngx_uint_t                 busy;
    ngx_event_t               *wev;
    ngx_http_writeen_redis_t  *rd = data;

    wev = rd->connection->write;

    if (wev->active) {
        rd->flushing = 0;
        return;
    }

    if (rd->flushing) {
        rd->flushing = 0;
        (void) ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
        return;
    }

    busy = ngx_http_writeen_redis_busy(rd);

    if (rd->flush.posted || rd->flush.timer_set) {
        return;
    }

    if (busy && rd->flushed == ngx_current_msec) {
        ngx_add_timer(&rd->flush, NGX_HTTP_WRITEEN_REDIS_GATHER);
        return;
    }

    ngx_post_event(&rd->flush, &ngx_posted_events);
}


static void
ngx_http_writeen_redis_del_write(void *data)
{
    ngx_event_t               *wev;
    ngx_http_writeen_redis_t  *rd = data;

    rd->flushing = 0;
    wev = rd->connection->write;

    if (wev->active) {
        (void) ngx_del_event(wev, NGX_WRITE_EVENT, 0);
    }
}


static void
ngx_http_writeen_redis_cleanup(void *data)
{
    ngx_http_writeen_redis_t  *rd = data;

    if (rd->flush.posted) {
        ngx_delete_posted_event(&rd->flush);
    }

    if (rd->flush.timer_set) {
        ngx_del_timer(&rd->flush);
    }

    rd->ac->ev.data = NULL;
    rd->ac->c.fd = -1;

    ngx_close_connection(rd->connection);
    ngx_free(rd);
}
