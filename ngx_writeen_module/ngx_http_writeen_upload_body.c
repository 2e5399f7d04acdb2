/*
 * ngx_http_writeen_upload_body.c: the body of an upload: read into its file, or
 * refused.
 *
 * nginx reads it unbuffered, one buffer at a time, and each is written before
 * the next is read.  So its size is counted where it can be answered (nginx's
 * own limit ends a chunked body with a page of HTML), and no buffer grows with
 * it.  A client may take its time: between two of its bytes up to
 * client_body_timeout, and in all writeen_upload_time, so that a trickle does
 * not hold its place in the spool for ever.
 */

#include "ngx_http_writeen_upload.h"


#define NGX_HTTP_WRITEEN_UPLOAD_TURN  16    /* reads in one turn */


static void ngx_http_writeen_upload_started(ngx_http_request_t *r);
static void ngx_http_writeen_upload_read_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_upload_read(ngx_http_writeen_upload_t *up);
static void ngx_http_writeen_upload_next_turn(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_upload_write(ngx_http_writeen_upload_t *up);
static ngx_int_t ngx_http_writeen_upload_broken(ngx_http_writeen_upload_t *up,
    ngx_int_t rc);
static ngx_int_t ngx_http_writeen_upload_end(ngx_http_request_t *r);


ngx_int_t
ngx_http_writeen_upload_begin(ngx_http_writeen_upload_t *up, int64_t max)
{
    ngx_int_t                     rc;
    ngx_http_request_t           *r;
    ngx_http_writeen_loc_conf_t  *wlcf;

    r = up->request;
    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    if (max <= 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "writeen: the worker pool allows an upload, but says "
                      "no maxFileSize");
        return ngx_http_writeen_upload_unavailable(r);
    }

    up->limit = ngx_min(max, WRT_FILE_MAX) + WRT_UPLOAD_OVERHEAD;

    if (r->headers_in.content_length_n > up->limit) {
        return ngx_http_writeen_upload_too_large(r);
    }

    if (ngx_http_writeen_spool_open(&up->spooled, up->spool, r->pool,
                                    r->connection->log)
        != NGX_OK)
    {
        return ngx_http_writeen_upload_unavailable(r);
    }

    up->deadline = ngx_current_msec + wlcf->upload_time;
    up->allowed = 1;
    up->reading = 1;
    ngx_http_writeen_count(ngx_http_writeen_worker, uploads_reading);

    /*
     * Whoever calls holds the request already.  What has come so far is
     * looked at when this returns; with HTTP/2 a body that is here as a whole
     * comes in an event of its own, in which upload_started() goes on.
     */

    r->request_body_no_buffering = 1;

    up->starting = 1;
    rc = ngx_http_read_client_request_body(r, ngx_http_writeen_upload_started);
    up->starting = 0;

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return ngx_http_writeen_upload_broken(up, rc);
    }

    r->main->count--;

    return up->started ? ngx_http_writeen_upload_read(up) : NGX_DONE;
}


static void
ngx_http_writeen_upload_started(ngx_http_request_t *r)
{
    ngx_http_writeen_ctx_t     *ctx;
    ngx_http_writeen_upload_t  *up;

    ctx = ngx_http_writeen_get_ctx(r, 0);
    up = ctx->upload;

    up->started = 1;

    if (!up->starting) {
        ngx_http_writeen_upload_read_handler(r);
    }
}


static void
ngx_http_writeen_upload_read_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_writeen_ctx_t  *ctx;

    ctx = ngx_http_writeen_get_ctx(r, 0);

    rc = ngx_http_writeen_upload_read(ctx->upload);

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* As much as there is, within bounds. */

static ngx_int_t
ngx_http_writeen_upload_read(ngx_http_writeen_upload_t *up)
{
    ngx_int_t            rc;
    ngx_uint_t           n;
    ngx_http_request_t  *r;

    r = up->request;

    for (n = 0; /* void */ ; n++) {

        rc = ngx_http_writeen_upload_write(up);
        if (rc != NGX_DECLINED) {
            return rc;
        }

        if (!r->reading_body) {
            break;
        }

        if ((ngx_msec_int_t) (up->deadline - ngx_current_msec) < 0) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "writeen: an upload took too long");
            return ngx_http_writeen_upload_broken(up,
                                                  NGX_HTTP_REQUEST_TIME_OUT);
        }

        r->read_event_handler = ngx_http_writeen_upload_read_handler;

        if (n == NGX_HTTP_WRITEEN_UPLOAD_TURN) {
            ngx_http_writeen_upload_next_turn(r);
            return NGX_DONE;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return ngx_http_writeen_upload_broken(up, rc);
        }

        if (r->reading_body && r->request_body->bufs == NULL) {
            return NGX_DONE;
        }
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "writeen: upload of %O bytes is here", up->spooled.size);

    up->reading = 0;
    ngx_http_writeen_count_n(ngx_http_writeen_worker, uploads_reading, -1);

    /* from now on notice when the client goes */

    r->read_event_handler = ngx_http_test_reading;

    return ngx_http_writeen_upload_whole(up);
}


/* A posted event alone does not keep a leaving process, a timer does. */

static void
ngx_http_writeen_upload_next_turn(ngx_http_request_t *r)
{
    ngx_event_t               *rev;
    ngx_http_core_loc_conf_t  *clcf;

    rev = r->connection->read;

    if (!rev->timer_set) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        ngx_add_timer(rev, clcf->client_body_timeout);
    }

    ngx_post_event(rev, &ngx_posted_next_events);
}


/* NGX_DECLINED: it is written. */

static ngx_int_t
ngx_http_writeen_upload_write(ngx_http_writeen_upload_t *up)
{
    off_t                size;
    ngx_chain_t         *in, *cl, *next;
    ngx_http_request_t  *r;

    r = up->request;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_DECLINED;
    }

    in = r->request_body->bufs;
    size = up->spooled.size;

    for (cl = in; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > up->limit) {
        return ngx_http_writeen_upload_too_large(r);
    }

    if (ngx_http_writeen_spool_write(&up->spooled, in) != NGX_OK) {
        return ngx_http_writeen_upload_unavailable(r);
    }

    /* a link for each byte of a slow client would add up */

    r->request_body->bufs = NULL;

    for (cl = in; cl; cl = next) {
        next = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    return NGX_DECLINED;
}


/* The body ended before its time. */

static ngx_int_t
ngx_http_writeen_upload_broken(ngx_http_writeen_upload_t *up, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = up->request;

    if (rc == NGX_HTTP_BAD_REQUEST && !r->connection->error) {

        /* what follows can not be told from a next request */

        r->keepalive = 0;

        return ngx_http_writeen_upload_refuse(r, NGX_HTTP_BAD_REQUEST,
                                       "invalid_request", NULL,
                                       "the body is not as its headers say");
    }

    ngx_http_writeen_spool_drop(&up->spooled);

    return rc;
}


/* The body that was not asked for is in the way: it is thrown away within
 * nginx's lingering time, so that the client can read why, and the connection
 * ends. */

static ngx_int_t
ngx_http_writeen_upload_end(ngx_http_request_t *r)
{
    ngx_http_writeen_ctx_t     *ctx;
    ngx_http_writeen_upload_t  *up;

    ctx = ngx_http_writeen_get_ctx(r, 0);
    up = (ctx != NULL) ? ctx->upload : NULL;

    if (up == NULL || !up->allowed) {
        ngx_http_writeen_count(ngx_http_writeen_worker,
                               uploads_refused_total);
    }

    if (up != NULL) {
        ngx_http_writeen_spool_drop(&up->spooled);

        if (up->allowed && !r->reading_body) {
            return NGX_OK;
        }
    }

    r->keepalive = 0;
    r->expect_tested = 1;

    return ngx_http_discard_request_body(r);
}


/* As the worker pool said it. */

ngx_int_t
ngx_http_writeen_upload_pass(ngx_http_writeen_upload_t *up,
    ngx_http_writeen_reply_t *reply)
{
    ngx_int_t  rc;

    rc = ngx_http_writeen_upload_end(up->request);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_writeen_answer_reply(up->request, reply);
}


ngx_int_t
ngx_http_writeen_upload_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *field, const char *message)
{
    ngx_int_t  rc;

    rc = ngx_http_writeen_upload_end(r);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_writeen_api_error(r, status, code, field, message, 0);
}


ngx_int_t
ngx_http_writeen_upload_too_large(ngx_http_request_t *r)
{
    return ngx_http_writeen_upload_refuse(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                          "too_large", "file",
                                          "the file is too large");
}


ngx_int_t
ngx_http_writeen_upload_too_many(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_writeen_upload_end(r);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_writeen_rate_refuse(r, NGX_HTTP_WRITEEN_RATE_MESSAGE,
                                        1000);
}


ngx_int_t
ngx_http_writeen_upload_unavailable(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_writeen_upload_end(r);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_writeen_unavailable(r);
}
