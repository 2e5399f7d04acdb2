/*
 * ngx_http_writeen_door.h: what leads to the routes of the worker pool, by REST
 * or by WebSocket.  Part of ngx_http_writeen.h.
 */

#ifndef _NGX_HTTP_WRITEEN_DOOR_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_DOOR_H_INCLUDED_


/* ngx_http_writeen_api.c: the REST front door */

ngx_int_t ngx_http_writeen_api_handler(ngx_http_request_t *r);
/* Whose token is it?  NGX_DECLINED: *id says so; else he was answered 401, and
 * this is what a content handler returns. */
ngx_int_t ngx_http_writeen_api_auth(ngx_http_request_t *r,
    ngx_http_writeen_identity_t *id);
/* Back in the request after an event that is none of its own. */
ngx_connection_t *ngx_http_writeen_api_resume(ngx_http_request_t *r);
/* Is the path /api/conversations/<conversation><tail>, with one segment there?
 * Whether that is an id is not looked at. */
ngx_uint_t ngx_http_writeen_api_tail(ngx_http_request_t *r, const char *tail,
    ngx_str_t *conversation);


/* ngx_http_writeen_upload.c: POST /api/conversations/<id>/upload */

ngx_uint_t ngx_http_writeen_upload_is(ngx_http_request_t *r,
    ngx_str_t *conversation);
/* Returns what a content handler returns; identity and what it points to live
 * as long as the request. */
ngx_int_t ngx_http_writeen_upload(ngx_http_request_t *r,
    ngx_http_writeen_identity_t *identity, ngx_str_t *conversation);

/* Directive: writeen_spool. */
char *ngx_http_writeen_conf_spool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* ngx_http_writeen_file.c: GET and HEAD of a file's bytes */

/* A request of the REST door that may be one: NGX_DECLINED when it is not. */
ngx_int_t ngx_http_writeen_file_handler(ngx_http_request_t *r);


/* ngx_http_writeen_file_sent.c: and where they come from */

/* Called once, at postconfiguration. */
ngx_int_t ngx_http_writeen_file_init(ngx_conf_t *cf);


/* ngx_http_writeen_answer.c: what answers look like */

#define NGX_HTTP_WRITEEN_METHODS  "GET, POST, PUT, PATCH, DELETE"

/* the same as bits, and HEAD, which CORS takes for granted */
#define NGX_HTTP_WRITEEN_METHOD_BITS                                          \
    (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_POST|NGX_HTTP_PUT|NGX_HTTP_PATCH     \
     |NGX_HTTP_DELETE)

/* What the worker pool answered to a call; body is valid during the handler of
 * the call only. */
typedef struct {
    ngx_uint_t                 status;     /* HTTP's, or NGX_HTTP_WRITEEN_RPC_*
                                              below */
    ngx_str_t                  body;
    ngx_uint_t                 retry;      /* again after so many seconds, 0:
                                              that is not said */
    ngx_uint_t                 allow;      /* 405: the methods that would do,
                                              as bits; 0: not said */
} ngx_http_writeen_reply_t;

/* Answer with Error of docs/api/openapi.yaml (also used by the handshake).
 * field may be NULL; retry > 0 adds Retry-After (seconds).  Returns what a
 * content handler returns. */
ngx_int_t ngx_http_writeen_api_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *code, const char *field,
    const char *message, ngx_uint_t retry);
/* 405, with an Allow that names these methods (NGX_HTTP_GET...). */
ngx_int_t ngx_http_writeen_not_allowed(ngx_http_request_t *r,
    ngx_uint_t methods, const char *message);
/* 503 unavailable, try again in a second. */
ngx_int_t ngx_http_writeen_unavailable(ngx_http_request_t *r);
/* 401: without a token (why NULL), or with one that is refused: why is static
 * and without quotes. */
ngx_int_t ngx_http_writeen_unauthorized(ngx_http_request_t *r,
    const char *why);
/* Answer with this JSON, which lives in r's pool. */
ngx_int_t ngx_http_writeen_answer(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *json, ngx_uint_t retry);
/* Answer as the worker pool did, which has answered. */
ngx_int_t ngx_http_writeen_answer_reply(ngx_http_request_t *r,
    ngx_http_writeen_reply_t *reply);
/* The known ones of "GET,POST" as bits. */
ngx_uint_t ngx_http_writeen_methods(const char *p, size_t n);
/* CORS: which page may read the answer, and which headers of it beside those
 * that every page may. */
ngx_int_t ngx_http_writeen_cors(ngx_http_request_t *r, const char *expose);
/* CORS: OPTIONS from a browser. */
ngx_int_t ngx_http_writeen_preflight(ngx_http_request_t *r);

/* Add a header to the answer; both strings are static or in r's pool. */
ngx_int_t ngx_http_writeen_header(ngx_http_request_t *r, const char *name,
    const char *value);

/* Is the Origin header, if any, allowed?  1 or 0 (writeen_origin). */
ngx_uint_t ngx_http_writeen_origin_allowed(ngx_http_request_t *r);


/* ngx_http_writeen_rpc.c: calls to the worker pool */

/* Zero it before it is filled in. */
typedef struct {
    ngx_str_t                  method;
    ngx_str_t                  path;
    ngx_str_t                  query;
    ngx_str_t                  body;
    ngx_http_writeen_identity_t *identity; /* NULL: nginx itself asks */
    ngx_str_t                  address;    /* the client's, empty: not told */
    ngx_msec_t                 timeout;

    ngx_str_t                  stream;     /* not wrt:rpc; these stand there
                                              instead of method to body: */
    ngx_keyval_t              *fields;
    ngx_uint_t                 nfields;
    const char                *id;         /* WRT_OID_LEN; NULL: a new one */
} ngx_http_writeen_call_t;

/* What a status is when there was no answer. */
#define NGX_HTTP_WRITEEN_RPC_LATE     0    /* in time */
#define NGX_HTTP_WRITEEN_RPC_REFUSED  1    /* Redis did not take the call */
#define NGX_HTTP_WRITEEN_RPC_LOST     2    /* whether it did is not known */

#define ngx_http_writeen_rpc_answered(status)  ((status) >= NGX_HTTP_OK)

typedef void (*ngx_http_writeen_rpc_pt)(void *data,
    ngx_http_writeen_reply_t *reply);

ngx_int_t ngx_http_writeen_rpc_init(ngx_http_writeen_worker_t *wk);
/* The process ends, sessions have gone: wk->rpc is NULL from then on, and what
 * the bus still calls back touches no request. */
void ngx_http_writeen_rpc_exit(ngx_http_writeen_worker_t *wk);

/*
 * Start a call.  Returns it, or NULL when the table is full, Redis is away or
 * memory is short (the handler is then not called).  The handler is called
 * exactly once, never from within this function, unless cancelled.
 */
ngx_http_writeen_rpc_t *ngx_http_writeen_rpc_call(
    ngx_http_writeen_worker_t *wk, ngx_http_writeen_call_t *call,
    ngx_http_writeen_rpc_pt handler, void *data);
void ngx_http_writeen_rpc_cancel(ngx_http_writeen_rpc_t *rpc);

/* A reply came on this worker's own channel (from bus.c). */
void ngx_http_writeen_rpc_reply(ngx_http_writeen_worker_t *wk,
    wrt_bus_header_t *h);


/* ngx_http_writeen_body.c: the body of a request */

/* Does it say that it is application/json? */
ngx_uint_t ngx_http_writeen_body_json(ngx_http_request_t *r);
/* multipart/form-data?  NGX_DECLINED: no; NGX_ERROR: but without a boundary. */
ngx_int_t ngx_http_writeen_body_form(ngx_http_request_t *r);
/* In one piece.  NGX_DECLINED: too large; or an HTTP status. */
ngx_int_t ngx_http_writeen_body(ngx_http_request_t *r, ngx_str_t *body);
/* Where it came from, as JSON. */
ngx_int_t ngx_http_writeen_body_device(ngx_http_request_t *r, ngx_str_t *out);


/* ngx_http_writeen_rate.c: how much one may ask for */

/* Directives */
char *ngx_http_writeen_conf_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_writeen_conf_rate_kind(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_writeen_rate_create(ngx_http_writeen_loc_conf_t *wlcf);
void ngx_http_writeen_rate_merge(ngx_http_writeen_loc_conf_t *conf,
    ngx_http_writeen_loc_conf_t *prev);
ngx_int_t ngx_http_writeen_rate_zone(ngx_conf_t *cf,
    ngx_http_writeen_main_conf_t *wmcf);

/* A full bucket. */
void ngx_http_writeen_rate_fill(ngx_http_writeen_bucket_t *b);
/* May the session ask for one more of this kind?  0: yes, and it is counted;
 * else milliseconds until it may. */
ngx_msec_t ngx_http_writeen_rate_event(ngx_http_writeen_session_t *s,
    ngx_uint_t kind);
/* May the user?  NGX_DECLINED: yes; else he was answered 429, and this is what
 * a content handler returns. */
ngx_int_t ngx_http_writeen_rate_request(ngx_http_request_t *r,
    ngx_http_writeen_identity_t *id);
/* May he ask for as much as he likes? */
ngx_uint_t ngx_http_writeen_rate_exempt(ngx_http_writeen_identity_t *id);

/* May one ask for one more kind read, and in whose name: a user's id, or what
 * can not be one?  0: yes, and it is counted when `take` is set; else
 * milliseconds until he may. */
ngx_msec_t ngx_http_writeen_rate_read(ngx_http_writeen_loc_conf_t *wlcf,
    ngx_str_t *who, ngx_uint_t take);
/* Answer 429. */
ngx_int_t ngx_http_writeen_rate_refuse(ngx_http_request_t *r, ngx_uint_t kind,
    ngx_msec_t wait);

/* Print what was asked for and refused, by kind. */
u_char *ngx_http_writeen_rate_metrics(ngx_http_writeen_worker_t *wk,
    u_char *p, u_char *last);


/* ngx_http_writeen_command.c: events that are REST routes */

/* edit_message, delete_message, add_reaction, remove_reaction,
 * set_presence */
void ngx_http_writeen_command(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);


#endif /* _NGX_HTTP_WRITEEN_DOOR_H_INCLUDED_ */
