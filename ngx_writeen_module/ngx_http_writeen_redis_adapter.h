/*
 * ngx_http_writeen_redis_adapter.h: a hiredis context in nginx's event loop.
 */

#ifndef _NGX_HTTP_WRITEEN_REDIS_ADAPTER_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_REDIS_ADAPTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <hiredis/hiredis.h>
#include <hiredis/async.h>


/*
 * Give the context to nginx: it reads and writes from now on, and closes the
 * socket when hiredis is done with it.  What the adapter allocates it frees
 * itself from hiredis's cleanup hook.  On NGX_ERROR the context is untouched.
 * gather: under load its commands may wait for a millisecond, to leave together
 * (writeen_redis_gather).
 */
ngx_int_t ngx_http_writeen_redis_attach(redisAsyncContext *ac,
    ngx_uint_t gather, ngx_log_t *log);


#endif /* _NGX_HTTP_WRITEEN_REDIS_ADAPTER_H_INCLUDED_ */
