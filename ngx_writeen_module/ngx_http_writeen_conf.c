/*
 * ngx_http_writeen_conf.c: directives that nginx's own setters do not cover.
 * Whatever is wrong is said here with the directive's name and what is
 * allowed; nginx adds file and line.
 */

#include "ngx_http_writeen.h"


/* writeen_redis url...; */

char *
ngx_http_writeen_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                        *p;
    ngx_str_t                     *value;
    ngx_url_t                      u;
    ngx_uint_t                     i;
    ngx_addr_t                    *addr;
    const char                    *why;
    wrt_redis_url_t               *url, *first;
    ngx_http_writeen_main_conf_t  *wmcf = conf;

    if (wmcf->redis.nelts != 0) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (wmcf->redis.nelts == WRT_REDIS_SERVERS_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"writeen_redis\" takes at most %d servers",
                               WRT_REDIS_SERVERS_MAX);
            return NGX_CONF_ERROR;
        }

        url = ngx_array_push(&wmcf->redis);
        addr = ngx_array_push(&wmcf->addrs);

        if (url == NULL || addr == NULL) {
            return NGX_CONF_ERROR;
        }

        why = wrt_redis_url_parse(url, (char *) value[i].data, value[i].len);

        if (why != NULL) {
            /* the URL may hold a password: it is not repeated */
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid server %ui in \"writeen_redis\": %s",
                               i, why);
            return NGX_CONF_ERROR;
        }

        first = wmcf->redis.elts;

        while (!wrt_redis_url_same(first, url)) {
            first++;
        }

        if (first != url) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid server %ui in \"writeen_redis\": it "
                               "is server %ui again; name each server once, "
                               "in the order of the worker's REDIS_URL",
                               i, (ngx_uint_t) (i - (url - first)));
            return NGX_CONF_ERROR;
        }

        ngx_memzero(addr, sizeof(ngx_addr_t));

        if (url->port == 0) {
            continue;
        }

        /* names are resolved now: nothing may block later */

        ngx_memzero(&u, sizeof(ngx_url_t));

        p = ngx_pnalloc(cf->pool, ngx_strlen(url->host) + 3);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        u.url.data = p;
        u.url.len = ngx_sprintf(p, ngx_strchr(url->host, ':') ? "[%s]" : "%s",
                                url->host)
                    - p;
        u.default_port = url->port;

        if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.naddrs == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s in server %ui (\"%V\") of "
                               "\"writeen_redis\"",
                               u.err ? u.err : "no address", i, &u.url);
            return NGX_CONF_ERROR;
        }

        *addr = u.addrs[0];
    }

    return NGX_CONF_OK;
}


/* writeen_shards number; */

char *
ngx_http_writeen_conf_shards(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                      n;
    ngx_str_t                     *value;
    ngx_http_writeen_main_conf_t  *wmcf = conf;

    if (wmcf->shards != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = ngx_atoi(value[1].data, value[1].len);

    if (n < 1 || n > WRT_SHARDS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"writeen_shards\": a "
                           "number from 1 to %d is allowed",
                           &value[1], WRT_SHARDS_MAX);
        return NGX_CONF_ERROR;
    }

    wmcf->shards = n;

    return NGX_CONF_OK;
}


/* writeen_websocket, writeen_api, writeen_health, writeen_metrics on|off; */

char *
ngx_http_writeen_conf_location(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    static const struct {
        size_t               offset;
        ngx_http_handler_pt  handler;
    } kinds[] = {
        { offsetof(ngx_http_writeen_loc_conf_t, websocket),
          ngx_http_writeen_websocket_handler },
        { offsetof(ngx_http_writeen_loc_conf_t, api),
          ngx_http_writeen_api_handler },
        { offsetof(ngx_http_writeen_loc_conf_t, health),
          ngx_http_writeen_health_handler },
        { offsetof(ngx_http_writeen_loc_conf_t, metrics),
          ngx_http_writeen_metrics_handler }
    };

    ngx_str_t                     *value;
    void                         **server;
    ngx_flag_t                    *fp;
    ngx_uint_t                     i;
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_writeen_loc_conf_t   *wlcf = conf;
    ngx_http_writeen_main_conf_t  *wmcf;

    value = cf->args->elts;

    if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\": it must be "
                           "\"on\" or \"off\"", &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (wlcf->websocket || wlcf->api || wlcf->health || wlcf->metrics) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\": a location can be only one of "
                           "\"writeen_websocket\", \"writeen_api\", "
                           "\"writeen_health\" and \"writeen_metrics\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    fp = (ngx_flag_t *) ((char *) conf + cmd->offset);
    *fp = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].offset == cmd->offset) {
            clcf->handler = kinds[i].handler;
            wlcf->handler = kinds[i].handler;
        }
    }

    wmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_writeen_module);
    wmcf->enabled = 1;

    server = ngx_array_push(&wmcf->servers);
    if (server == NULL) {
        return NGX_CONF_ERROR;
    }

    *server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    return NGX_CONF_OK;
}


/*
 * Is what follows the scheme without a port, or with one that there is?  An
 * IPv6 address stands in brackets.
 */
static ngx_uint_t
ngx_http_writeen_conf_port(u_char *host, u_char *last)
{
    u_char     *p;
    ngx_int_t   port;

    p = host[0] == '[' ? ngx_strlchr(host, last, ']') : NULL;
    p = ngx_strlchr(p ? p : host, last, ':');

    if (p == NULL) {
        return 1;
    }

    p++;
    port = ngx_atoi(p, last - p);

    return port >= 1 && port <= 65535;
}


/*
 * What follows the scheme in an Origin header and can stand here, since they
 * are compared as a whole: no user, query or path, and no "*" for a part.
 */
static ngx_uint_t
ngx_http_writeen_conf_host(u_char *p, u_char *last)
{
    if (p == last) {
        return 0;
    }

    while (p < last && (isalnum(*p) || ngx_strchr("-._:[]", *p))) {
        p++;
    }

    return p == last;
}


/* Browsers leave the port of the scheme out. */
static ngx_uint_t
ngx_http_writeen_conf_own_port(ngx_str_t *origin)
{
    return (origin->len > sizeof("http://:80") - 1
            && ngx_strncasecmp(origin->data, (u_char *) "http://", 7) == 0
            && ngx_strncmp(origin->data + origin->len - 3, ":80", 3) == 0)
           || (origin->len > sizeof("https://:443") - 1
               && ngx_strncasecmp(origin->data, (u_char *) "https://", 8) == 0
               && ngx_strncmp(origin->data + origin->len - 4, ":443", 4)
                  == 0);
}


/* writeen_origin origin... | *; */

char *
ngx_http_writeen_conf_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                       *p;
    ngx_str_t                    *value, *origin;
    ngx_uint_t                    i;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    if (wlcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    wlcf->origins = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (wlcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 1 && value[i].data[0] == '*') {
            wlcf->origin_any = 1;
            continue;
        }

        /* scheme://host[:port], as browsers write it */

        p = (u_char *) ngx_strstr(value[i].data, "://");

        if (p == NULL || p == value[i].data
            || !ngx_http_writeen_conf_host(p + 3,
                                           value[i].data + value[i].len))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid origin \"%V\" in \"writeen_origin\": "
                               "scheme://host[:port] without user, path and "
                               "query is allowed, each host by its whole "
                               "name, or \"*\" alone for all", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (!ngx_http_writeen_conf_port(p + 3, value[i].data + value[i].len))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid port in origin \"%V\" in "
                               "\"writeen_origin\": a number from 1 to 65535 "
                               "is allowed, or no \":\" for the scheme's own",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        if (ngx_http_writeen_conf_own_port(&value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "origin \"%V\" in \"writeen_origin\" would "
                               "never be met: browsers leave out the port "
                               "that is the scheme's own, leave it out here, "
                               "too", &value[i]);
            return NGX_CONF_ERROR;
        }

        origin = ngx_array_push(wlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/* A template with nothing to fill in must not switch a check off. */

char *
ngx_http_writeen_conf_check_name(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *directive, *name = data;

    if (name->len == 0) {
        directive = cf->args->elts;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"\" in \"%V\": a name is allowed; "
                           "without the directive it is not checked",
                           directive);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* writeen_jwt_audience name...; */

char *
ngx_http_writeen_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value, *name;
    ngx_uint_t                    i;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    if (wlcf->audience != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    wlcf->audience = ngx_array_create(cf->pool, 1, sizeof(ngx_str_t));
    if (wlcf->audience == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_writeen_conf_check_name(cf, NULL, &value[i])
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        name = ngx_array_push(wlcf->audience);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}


/* writeen_ack log | store; */

char *
ngx_http_writeen_conf_ack(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    if (wlcf->ack_store != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "log") == 0) {
        wlcf->ack_store = 0;

    } else if (ngx_strcmp(value[1].data, "store") == 0) {
        wlcf->ack_store = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"writeen_ack\": "
                           "\"log\" or \"store\" is allowed", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* writeen_files prefix; */

char *
ngx_http_writeen_conf_files(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                       *p, *last;
    ngx_str_t                    *value;
    ngx_uint_t                    odd;
    ngx_http_writeen_loc_conf_t  *wlcf = conf;

    if (wlcf->files.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    value++;

    last = value->data + value->len;
    odd = (value->len < 3 || value->data[0] != '/' || last[-1] != '/');

    for (p = value->data; p < last; p++) {

        /* it is a path, decoded, without variables, as nginx compares it */

        if ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') {
            continue;
        }

        if ((*p < '0' || *p > '9') && ngx_strchr("/-_.~", *p) == NULL) {
            odd = 1;
        }

        if (*p == '/' && p + 1 < last && (p[1] == '/' || p[1] == '.')) {
            odd = 1;
        }
    }

    if (odd) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid prefix \"%V\" in \"writeen_files\": the "
                           "name of an internal location is allowed, which "
                           "begins and ends with a slash, e.g. "
                           "\"/writeen-files/\"", value);
        return NGX_CONF_ERROR;
    }

    wlcf->files = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_writeen_conf_refuse(ngx_conf_t *cf, ngx_http_writeen_range_t *range)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\": %s is allowed",
                       &value[1], &value[0], range->allowed);

    return NGX_CONF_ERROR;
}


/*
 * What nginx's own reader of a slot said.  That something is no time, size or
 * number ("invalid value") it says without what would be one.
 */
static char *
ngx_http_writeen_conf_read(ngx_conf_t *cf, ngx_command_t *cmd, char *rv)
{
    if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR
        || ngx_strncmp(rv, "invalid", sizeof("invalid") - 1) != 0)
    {
        return rv;
    }

    return ngx_http_writeen_conf_refuse(cf, cmd->post);
}


char *
ngx_http_writeen_conf_msec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_writeen_conf_read(cf, cmd,
                                      ngx_conf_set_msec_slot(cf, cmd, conf));
}


char *
ngx_http_writeen_conf_sec(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_writeen_conf_read(cf, cmd,
                                      ngx_conf_set_sec_slot(cf, cmd, conf));
}


char *
ngx_http_writeen_conf_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_writeen_conf_read(cf, cmd,
                                      ngx_conf_set_size_slot(cf, cmd, conf));
}


char *
ngx_http_writeen_conf_num(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_writeen_conf_read(cf, cmd,
                                      ngx_conf_set_num_slot(cf, cmd, conf));
}


static char *
ngx_http_writeen_conf_check_range(ngx_conf_t *cf,
    ngx_http_writeen_range_t *range, uintmax_t n)
{
    if (n >= range->min && n <= range->max) {
        return NGX_CONF_OK;
    }

    return ngx_http_writeen_conf_refuse(cf, range);
}


char *
ngx_http_writeen_conf_check_msec(ngx_conf_t *cf, void *post, void *data)
{
    return ngx_http_writeen_conf_check_range(cf, post, *(ngx_msec_t *) data);
}


char *
ngx_http_writeen_conf_check_sec(ngx_conf_t *cf, void *post, void *data)
{
    return ngx_http_writeen_conf_check_range(cf, post, *(time_t *) data);
}


char *
ngx_http_writeen_conf_check_size(ngx_conf_t *cf, void *post, void *data)
{
    return ngx_http_writeen_conf_check_range(cf, post, *(size_t *) data);
}


/*
 * Settings are read-only; a request that needs other ones gets a copy, until
 * conf_back().  That must come before its end: nginx looks at tcp_nodelay of
 * its location after it has freed the request.  (An internal redirect takes
 * the copy away, too.)
 */

ngx_http_core_loc_conf_t *
ngx_http_writeen_conf_own(ngx_http_request_t *r)
{
    void                      **loc_conf;
    ngx_http_writeen_ctx_t     *ctx;
    ngx_http_core_loc_conf_t   *clcf;

    ctx = ngx_http_writeen_get_ctx(r, 1);
    loc_conf = ngx_palloc(r->pool, ngx_http_max_module * sizeof(void *));
    clcf = ngx_palloc(r->pool, sizeof(ngx_http_core_loc_conf_t));

    if (ctx == NULL || loc_conf == NULL || clcf == NULL) {
        return NULL;
    }

    *clcf = *(ngx_http_core_loc_conf_t *)
                ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memcpy(loc_conf, r->loc_conf, ngx_http_max_module * sizeof(void *));
    loc_conf[ngx_http_core_module.ctx_index] = clcf;

    ctx->conf = r->loc_conf;
    ctx->own_conf = loc_conf;
    r->loc_conf = loc_conf;

    return clcf;
}


void
ngx_http_writeen_conf_back(ngx_http_request_t *r)
{
    ngx_http_writeen_ctx_t  *ctx;

    ctx = ngx_http_writeen_get_ctx(r, 0);

    if (ctx != NULL && ctx->own_conf != NULL && r->loc_conf == ctx->own_conf) {
        r->loc_conf = ctx->conf;
    }
}


/*
 * nginx's own client_max_body_size is off in a writeen_api location: it would
 * answer in HTML, before we are asked.  A chunked body does not tell its size,
 * so while it is read there is a limit.
 */

ngx_int_t
ngx_http_writeen_conf_chunked(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (!r->headers_in.chunked) {
        return NGX_OK;
    }

    clcf = ngx_http_writeen_conf_own(r);
    if (clcf == NULL) {
        return NGX_ERROR;
    }

    clcf->client_max_body_size = WRT_CHUNKED_MAX;

    return NGX_OK;
}
