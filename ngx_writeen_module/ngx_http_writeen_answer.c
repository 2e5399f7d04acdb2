/*
 * ngx_http_writeen_answer.c: what answers look like.
 *
 * The envelope of REST, its error form (the handshake refuses with it too),
 * and the headers around it, CORS above all: a page of an allowed origin must
 * be able to read every answer, the refusals too.
 */

#include "ngx_http_writeen.h"


typedef struct {
    ngx_uint_t  bit;
    ngx_str_t   name;
} ngx_http_writeen_method_t;


static ngx_int_t ngx_http_writeen_retry_after(ngx_http_request_t *r,
    ngx_uint_t seconds);
static ngx_int_t ngx_http_writeen_allow(ngx_http_request_t *r,
    ngx_uint_t methods);
static ngx_int_t ngx_http_writeen_header_str(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_str_t *ngx_http_writeen_origin_header(ngx_http_request_t *r);
static ngx_uint_t ngx_http_writeen_same_host(ngx_http_request_t *r,
    ngx_str_t *origin);


static const ngx_http_writeen_method_t  ngx_http_writeen_known_methods[] = {
    { NGX_HTTP_GET,    ngx_string("GET") },
    { NGX_HTTP_HEAD,   ngx_string("HEAD") },
    { NGX_HTTP_POST,   ngx_string("POST") },
    { NGX_HTTP_PUT,    ngx_string("PUT") },
    { NGX_HTTP_PATCH,  ngx_string("PATCH") },
    { NGX_HTTP_DELETE, ngx_string("DELETE") },
    { 0, ngx_null_string }
};


/* CORS: what a browser asks before it sends a request of another origin. */

ngx_int_t
ngx_http_writeen_preflight(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (ngx_http_writeen_origin_header(r) == NULL) {
        return ngx_http_writeen_not_allowed(r, NGX_HTTP_WRITEEN_METHOD_BITS,
                                            "OPTIONS is for browsers of other "
                                            "origins");
    }

    if (!ngx_http_writeen_origin_allowed(r)) {
        return ngx_http_writeen_api_error(r, NGX_HTTP_FORBIDDEN, "forbidden",
                                          NULL, "this origin is not allowed",
                                          0);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_writeen_cors(r, "Retry-After") != NGX_OK
        || ngx_http_writeen_header(r, "Access-Control-Allow-Methods",
                                       NGX_HTTP_WRITEEN_METHODS)
           != NGX_OK
        || ngx_http_writeen_header(r, "Access-Control-Allow-Headers",
                                       "Authorization, Content-Type, "
                                       "Range, If-Range, If-None-Match")
           != NGX_OK
        || ngx_http_writeen_header(r, "Access-Control-Max-Age", "7200")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


/* On every answer, errors too: a page may then read why it was refused. */

ngx_int_t
ngx_http_writeen_cors(ngx_http_request_t *r, const char *expose)
{
    ngx_str_t  *origin;

    if (ngx_http_writeen_header(r, "Vary", "Origin") != NGX_OK) {
        return NGX_ERROR;
    }

    origin = ngx_http_writeen_origin_header(r);

    if (origin == NULL || !ngx_http_writeen_origin_allowed(r)) {
        return NGX_OK;
    }

    if (ngx_http_writeen_header_str(r, "Access-Control-Allow-Origin",
                                        origin)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_writeen_header(r, "Access-Control-Expose-Headers", expose);
}


ngx_int_t
ngx_http_writeen_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_str_t  s;

    s.data = (u_char *) value;
    s.len = ngx_strlen(value);

    return ngx_http_writeen_header_str(r, name, &s);
}


static ngx_int_t
ngx_http_writeen_header_str(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return NGX_OK;
}


/* The Origin header, or NULL.  nginx keeps no pointer to it. */

static ngx_str_t *
ngx_http_writeen_origin_header(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("Origin") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Origin",
                                   h[i].key.len)
                   == 0)
            {
                return &h[i].value;
            }
        }
    }

    return NULL;
}


/*
 * writeen_origin <origin|*>...;
 *
 * A program that is no browser sends no Origin and is not asked for one.
 * Without the directive a page may talk to the host that it came from.
 */

ngx_uint_t
ngx_http_writeen_origin_allowed(ngx_http_request_t *r)
{
    ngx_str_t                    *origin, *allowed;
    ngx_uint_t                    i;
    ngx_http_writeen_loc_conf_t  *wlcf;

    origin = ngx_http_writeen_origin_header(r);

    if (origin == NULL) {
        return 1;
    }

    wlcf = ngx_http_get_module_loc_conf(r, ngx_http_writeen_module);

    if (wlcf->origin_any) {
        return 1;
    }

    if (wlcf->origins == NULL) {
        return ngx_http_writeen_same_host(r, origin);
    }

    allowed = wlcf->origins->elts;

    for (i = 0; i < wlcf->origins->nelts; i++) {
        if (allowed[i].len == origin->len
            && ngx_strncasecmp(allowed[i].data, origin->data, origin->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Is what follows "://" the Host header?  The scheme is not compared: what
 * stands before nginx may have ended TLS. */

static ngx_uint_t
ngx_http_writeen_same_host(ngx_http_request_t *r, ngx_str_t *origin)
{
    u_char     *p;
    size_t      n;
    ngx_str_t  *host;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = &r->headers_in.host->value;
    p = ngx_strlcasestrn(origin->data, origin->data + origin->len,
                         (u_char *) "://", 3 - 1);

    if (p == NULL) {
        return 0;
    }

    p += 3;
    n = origin->data + origin->len - p;

    return n == host->len && ngx_strncasecmp(p, host->data, n) == 0;
}


ngx_int_t
ngx_http_writeen_unavailable(ngx_http_request_t *r)
{
    return ngx_http_writeen_api_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                      "unavailable", NULL,
                                      "not possible right now, try again", 1);
}


/* RFC 6750: what is wrong stands in the challenge, too.  It says no more than
 * who made the token knows, and is what one needs who used another secret. */

ngx_int_t
ngx_http_writeen_unauthorized(ngx_http_request_t *r, const char *why)
{
    u_char           *message, *challenge;
    size_t            n;
    ngx_table_elt_t  *h;

    static char  said[] = "a valid token is required";
    static char  error[] = "Bearer error=\"invalid_token\", "
                           "error_description=\"";

    ngx_http_writeen_count(ngx_http_writeen_worker, auth_failures_total);
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "writeen: token refused: %s", why ? why : "no token");

    n = why ? ngx_strlen(why) : 0;
    message = ngx_pnalloc(r->pool, sizeof(said) + sizeof(": ") + n);
    challenge = ngx_pnalloc(r->pool, sizeof(error) + sizeof("\"") + n);
    h = ngx_list_push(&r->headers_out.headers);

    if (message == NULL || challenge == NULL || h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "WWW-Authenticate");
    h->value.data = challenge;

    if (why) {
        h->value.len = ngx_sprintf(challenge, "%s%s\"", error, why)
                       - challenge;
        ngx_sprintf(message, "%s: %s%Z", said, why);

    } else {
        h->value.len = ngx_sprintf(challenge, "Bearer") - challenge;
        ngx_sprintf(message, "%s%Z", said);
    }

    r->headers_out.www_authenticate = h;

    return ngx_http_writeen_api_error(r, NGX_HTTP_UNAUTHORIZED,
                                      "unauthorized", NULL, (char *) message,
                                      0);
}


ngx_int_t
ngx_http_writeen_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *field, const char *message,
    ngx_uint_t retry)
{
    u_char     *p;
    size_t      cn, fn, mn;
    ngx_int_t   rc;
    ngx_str_t   json;

    /* a body that was not read is in the way of the next request; whoever
     * asked whether to send it (Expect) has his answer in this one */

    r->expect_tested = 1;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    cn = ngx_strlen(code);
    fn = field ? ngx_strlen(field) : 0;
    mn = ngx_strlen(message);

    json.data = ngx_pnalloc(r->pool, sizeof("{\"success\":false,"
                                            "\"message\":\"\","
                                            "\"error\":{\"code\":\"\","
                                            "\"field\":\"\"}}")
                                     + 6 * (cn + fn + mn));
    if (json.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(json.data, "{\"success\":false,\"message\":\"",
                   sizeof("{\"success\":false,\"message\":\"") - 1);
    p += wrt_json_escape((char *) p, message, mn);
    p = ngx_cpymem(p, "\",\"error\":{\"code\":\"",
                   sizeof("\",\"error\":{\"code\":\"") - 1);
    p += wrt_json_escape((char *) p, code, cn);

    if (fn) {
        p = ngx_cpymem(p, "\",\"field\":\"",
                       sizeof("\",\"field\":\"") - 1);
        p += wrt_json_escape((char *) p, field, fn);
    }

    p = ngx_cpymem(p, "\"}}", 3);

    json.len = p - json.data;

    return ngx_http_writeen_answer(r, status, &json, retry);
}


ngx_int_t
ngx_http_writeen_answer(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, ngx_uint_t retry)
{
    ngx_buf_t  *b;
    ngx_str_t   type;

    if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
        && ngx_http_writeen_worker != NULL)
    {
        ngx_http_writeen_count(ngx_http_writeen_worker, api_errors_total);
    }

    if (ngx_http_writeen_cors(r, "Retry-After, Content-Range") != NGX_OK
        || ngx_http_writeen_header(r, "X-Content-Type-Options", "nosniff")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the worker pool refuses links */

    if (status == NGX_HTTP_UNAUTHORIZED
        && r->headers_out.www_authenticate == NULL
        && ngx_http_writeen_header(r, "WWW-Authenticate", "Bearer") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (retry && ngx_http_writeen_retry_after(r, retry) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = json->data;
    b->last = json->data + json->len;
    b->memory = json->len ? 1 : 0;

    ngx_str_set(&type, "application/json");
    ngx_str_set(&r->headers_out.charset, "utf-8");

    return ngx_http_writeen_status_send(r, status, &type, b);
}


ngx_int_t
ngx_http_writeen_answer_reply(ngx_http_request_t *r,
    ngx_http_writeen_reply_t *reply)
{
    ngx_str_t  json;

    if (reply->allow && ngx_http_writeen_allow(r, reply->allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json.len = reply->body.len;
    json.data = ngx_pstrdup(r->pool, &reply->body);

    if (json.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_writeen_answer(r, reply->status, &json, reply->retry);
}


ngx_int_t
ngx_http_writeen_not_allowed(ngx_http_request_t *r, ngx_uint_t methods,
    const char *message)
{
    if (ngx_http_writeen_allow(r, methods) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_writeen_api_error(r, NGX_HTTP_NOT_ALLOWED,
                                      "method_not_allowed", NULL, message, 0);
}


static ngx_int_t
ngx_http_writeen_retry_after(ngx_http_request_t *r, ngx_uint_t seconds)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%ui", seconds) - value.data;

    return ngx_http_writeen_header_str(r, "Retry-After", &value);
}


/* RFC 9110 wants Allow with every 405. */

static ngx_int_t
ngx_http_writeen_allow(ngx_http_request_t *r, ngx_uint_t methods)
{
    u_char                           *p;
    ngx_str_t                         value;
    const ngx_http_writeen_method_t  *m;

    p = ngx_pnalloc(r->pool, sizeof(NGX_HTTP_WRITEEN_METHODS ", HEAD"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    for (m = ngx_http_writeen_known_methods; m->bit; m++) {
        if (methods & m->bit) {
            p = ngx_sprintf(p, "%s%V", p == value.data ? "" : ", ", &m->name);
        }
    }

    value.len = p - value.data;

    return ngx_http_writeen_header_str(r, "Allow", &value);
}


ngx_uint_t
ngx_http_writeen_methods(const char *p, size_t n)
{
    size_t                            len;
    ngx_uint_t                        bits;
    const char                       *last;
    const ngx_http_writeen_method_t  *m;

    bits = 0;
    last = p + n;

    while (p < last) {
        for (len = 0; p + len < last && p[len] != ','; len++) {
            /* void */
        }

        for (m = ngx_http_writeen_known_methods; m->bit; m++) {
            if (m->name.len == len && ngx_memcmp(m->name.data, p, len) == 0) {
                bits |= m->bit;
            }
        }

        p += len + 1;
    }

    return bits;
}
