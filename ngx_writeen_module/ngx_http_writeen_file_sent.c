/*
 * ngx_http_writeen_file_sent.c: the bytes of a file, from the internal location
 * that `writeen_files` names: a directory, or proxy_pass to an S3 server.
 *
 *     send -> internal redirect -> phase -> static | proxy
 *                                             |
 *                        +--------------------+
 *                        |
 *                        +-> header filter -> (ranges) -> client
 *                        |         | no file
 *                        +--error--+--> error page -> api -> failed -> client
 *
 * What comes from there is a stranger's word.  The header filter lets through
 * what belongs to the bytes (length, range, date) and says the rest itself, as
 * the worker pool had it; so that no name, error text or redirect of a storage
 * ever gets out.  Whatever is no file ends in our envelope: in the phase
 * handler the location gets, for this request, an error page that leads back to
 * the REST door.  Neither depends on what else is written in that location.
 *
 * The location must be internal: the phase handler looks, and refuses to serve
 * from one that the world could ask directly.
 */

#include "ngx_http_writeen_file.h"


static ngx_http_writeen_file_t *ngx_http_writeen_file_get(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_file_phase(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_file_settings(ngx_http_request_t *r,
    ngx_http_writeen_file_t *file);
static ngx_int_t ngx_http_writeen_file_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_file_status(ngx_uint_t status);
static void ngx_http_writeen_file_strip(ngx_http_request_t *r);
static ngx_int_t ngx_http_writeen_file_no_range(ngx_http_request_t *r,
    ngx_http_writeen_file_t *file);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


ngx_int_t
ngx_http_writeen_file_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_writeen_file_phase;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_writeen_file_filter;

    return NGX_OK;
}


ngx_int_t
ngx_http_writeen_file_send(ngx_http_writeen_file_t *file)
{
    ngx_str_t           *range;
    ngx_http_request_t  *r;

    r = file->request;

    /* an S3 server gives one part at a time, so it gives it whole */

    if (file->target_args.len && r->headers_in.range != NULL) {
        range = &r->headers_in.range->value;

        if (ngx_strlchr(range->data, range->data + range->len, ',') != NULL) {
            r->headers_in.range->hash = 0;
            r->headers_in.range = NULL;
        }
    }

    file->sent = 1;

    /* what is not set by the location is not our own either */

    ngx_http_clean_header(r);

    return ngx_http_internal_redirect(r, &file->target, &file->target_args);
}


static ngx_http_writeen_file_t *
ngx_http_writeen_file_get(ngx_http_request_t *r)
{
    ngx_http_writeen_ctx_t  *ctx;

    if (!r->internal || r != r->main) {
        return NULL;
    }

    ctx = ngx_http_writeen_get_ctx(r, 0);

    return (ctx != NULL) ? ctx->file : NULL;
}


/* Before a `return` or `rewrite` of the location. */

static ngx_int_t
ngx_http_writeen_file_phase(ngx_http_request_t *r)
{
    ngx_http_writeen_file_t      *file;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_writeen_loc_conf_t  *wlcf;

    file = ngx_http_writeen_file_get(r);

    if (file == NULL || !file->sent || file->done) {
        return NGX_DECLINED;
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    if (wlcf->api == 1) {

        /* the error page */

        return NGX_DECLINED;
    }

    if (ngx_http_writeen_file_settings(r, file) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return clcf->internal ? NGX_DECLINED : ngx_http_writeen_file_failed(file);
}


/* As "error_page 403 404 ... /api/files/..." would, for this request alone.
 * Our own settings, origins for one, are those of the REST door. */

static ngx_int_t
ngx_http_writeen_file_settings(ngx_http_request_t *r,
    ngx_http_writeen_file_t *file)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    static const ngx_int_t  errors[] = {
        NGX_HTTP_MOVED_PERMANENTLY, NGX_HTTP_MOVED_TEMPORARILY,
        NGX_HTTP_SEE_OTHER, NGX_HTTP_TEMPORARY_REDIRECT,
        NGX_HTTP_PERMANENT_REDIRECT, NGX_HTTP_BAD_REQUEST,
        NGX_HTTP_UNAUTHORIZED, NGX_HTTP_FORBIDDEN, NGX_HTTP_NOT_FOUND,
        NGX_HTTP_NOT_ALLOWED, NGX_HTTP_REQUEST_TIME_OUT, NGX_HTTP_CONFLICT,
        NGX_HTTP_LENGTH_REQUIRED, NGX_HTTP_PRECONDITION_FAILED,
        NGX_HTTP_REQUEST_URI_TOO_LARGE, NGX_HTTP_RANGE_NOT_SATISFIABLE,
        NGX_HTTP_TOO_MANY_REQUESTS, NGX_HTTP_INTERNAL_SERVER_ERROR,
        NGX_HTTP_NOT_IMPLEMENTED, NGX_HTTP_BAD_GATEWAY,
        NGX_HTTP_SERVICE_UNAVAILABLE, NGX_HTTP_GATEWAY_TIME_OUT,
        NGX_HTTP_INSUFFICIENT_STORAGE
    };

    clcf = ngx_http_writeen_conf_own(r);
    if (clcf == NULL) {
        return NGX_ERROR;
    }

    r->loc_conf[ngx_http_writeen_module.ctx_index] = file->conf;

    clcf->recursive_error_pages = 0;
    clcf->error_pages = ngx_array_create(r->pool,
                                         sizeof(errors) / sizeof(errors[0]),
                                         sizeof(ngx_http_err_page_t));
    if (clcf->error_pages == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        page = ngx_array_push(clcf->error_pages);
        if (page == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(page, sizeof(ngx_http_err_page_t));

        page->status = errors[i];
        page->overwrite = -1;
        page->value.value = file->uri;
        page->args = file->args;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_writeen_file_filter(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_uint_t                status;
    ngx_http_writeen_file_t  *file;

    file = ngx_http_writeen_file_get(r);

    if (file == NULL || !file->sent || file->done) {
        return ngx_http_next_header_filter(r);
    }

    if (r->err_status) {

        /* a page of nginx's own, with nothing of a storage in it */

        ngx_http_writeen_conf_back(r);
        return ngx_http_next_header_filter(r);
    }

    status = r->headers_out.status;

    if (status != NGX_HTTP_OK
        && status != NGX_HTTP_PARTIAL_CONTENT
        && status != NGX_HTTP_NOT_MODIFIED)
    {
        /* as the range filter does it: whoever sends gives up and finalizes
         * the request with this */

        return ngx_http_writeen_file_status(status);
    }

    file->done = 1;

    /* what the log shall name */

    r->uri = file->uri;
    r->args = file->args;

    ngx_http_writeen_file_strip(r);

    if (ngx_http_writeen_file_headers(file) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status_line.len = 0;
    ngx_str_null(&r->headers_out.charset);

    if (status != NGX_HTTP_NOT_MODIFIED) {
        r->headers_out.content_type = file->type;
        r->headers_out.content_type_len = file->type.len;
        r->headers_out.content_type_lowcase = NULL;
    }

    rc = ngx_http_next_header_filter(r);

    /* a range that there is not goes to the error page; else this was all */

    if (rc <= NGX_OK) {
        ngx_http_writeen_conf_back(r);
    }

    return rc;
}


/* Which of our answers it becomes. */

static ngx_int_t
ngx_http_writeen_file_status(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_NOT_FOUND:
    case NGX_HTTP_PRECONDITION_FAILED:
    case NGX_HTTP_RANGE_NOT_SATISFIABLE:
        return status;

    default:
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }
}


/* Take out every header but those that belong to the bytes. */

static void
ngx_http_writeen_file_strip(ngx_http_request_t *r)
{
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_table_elt_t         *h;
    ngx_http_headers_out_t  *out;

    out = &r->headers_out;

    for (part = &out->headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (&h[i] != out->last_modified
                && &h[i] != out->content_range
                && &h[i] != out->accept_ranges
                && &h[i] != out->content_length
                && &h[i] != out->content_encoding)
            {
                h[i].hash = 0;
            }
        }
    }

    out->server = NULL;
    out->date = NULL;
    out->location = NULL;
    out->www_authenticate = NULL;
    out->expires = NULL;
    out->etag = NULL;
}


/* The internal location has no file, or is none.  Without an err_status nobody
 * has said so: the redirect led somewhere else. */

ngx_int_t
ngx_http_writeen_file_failed(ngx_http_writeen_file_t *file)
{
    ngx_int_t            status;
    ngx_http_request_t  *r;

    r = file->request;
    status = ngx_http_writeen_file_status(r->err_status);

    if (r->err_status == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "writeen: \"writeen_files %V\" leads to \"%V\", which is "
                      "in no location with \"internal\"",
                      &file->conf->files, &file->target);

    } else if (status == NGX_HTTP_NOT_FOUND
               || status == NGX_HTTP_SERVICE_UNAVAILABLE)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "writeen: the storage has answered %ui for file %V, "
                      "\"%V\"", r->err_status, &file->path, &file->target);
    }

    r->err_status = 0;
    r->uri = file->uri;
    r->args = file->args;

    file->sent = 0;
    file->done = 1;

    if (status == NGX_HTTP_RANGE_NOT_SATISFIABLE) {
        return ngx_http_writeen_file_no_range(r, file);
    }

    ngx_http_clean_header(r);

    if (status == NGX_HTTP_NOT_FOUND) {
        return ngx_http_writeen_api_error(r, status, "not_found", NULL,
                                          "no such file", 0);
    }

    if (status == NGX_HTTP_PRECONDITION_FAILED) {
        return ngx_http_writeen_api_error(r, status, "conflict",
                                          "If-Unmodified-Since",
                                          "the file is another one", 0);
    }

    return ngx_http_writeen_unavailable(r);
}


static ngx_int_t
ngx_http_writeen_file_no_range(ngx_http_request_t *r,
    ngx_http_writeen_file_t *file)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, sizeof("bytes */") + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *ngx_sprintf(p, "bytes */%L", file->size) = '\0';

    ngx_http_clean_header(r);

    if (ngx_http_writeen_header(r, "Content-Range", (char *) p) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_writeen_api_error(r, NGX_HTTP_RANGE_NOT_SATISFIABLE,
                                      "invalid_request", "Range",
                                      "the file has no such range", 0);
}
