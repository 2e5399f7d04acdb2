/*
 * ngx_http_writeen_profile.c: what users are called.
 *
 * A token says it, and wrt_profile passes that on to the store.  Where a
 * service has set a profile (PUT /api/users/:id), that one counts, in what
 * goes out live as well as in history.  It stands in the hash of the user's
 * rooms on the hub, so that a session has it with its list of rooms, before
 * `connected` and without another command; a change comes on the user's
 * channel.  A message by REST of a user who is not known here asks first
 * (profile_ask); a message on a socket never does.
 *
 * Of two that come at a time the later one has to stay: answer and message
 * come on different connections.  So each message counts up u->profiles, and
 * an answer to a question from before that is not taken; should it be newer,
 * then its message is on the way.
 */

#include "ngx_http_writeen.h"


/* ms that a message by REST waits for the worker pool to say it */
#define NGX_HTTP_WRITEEN_PROFILE_WAIT  1000


struct ngx_http_writeen_profile_ask_s {
    ngx_http_writeen_worker_t    *worker;
    ngx_http_writeen_profile_pt   handler;    /* NULL: cancelled */
    void                         *data;
    ngx_uint_t                    loads;
    ngx_str_t                     uid;
    u_char                        buf[WRT_ID_MAX];
};


static ngx_int_t ngx_http_writeen_profile_parse(ngx_str_t *json,
    ngx_str_t *name, ngx_str_t *avatar, u_char **mem);
static ngx_int_t ngx_http_writeen_profile_read(
    ngx_http_writeen_profile_ask_t *ask);
static void ngx_http_writeen_profile_reply(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_profile_loaded(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_profile_done(
    ngx_http_writeen_profile_ask_t *ask, ngx_str_t *json);


/* Let the store know what this token says about its user. */

void
ngx_http_writeen_profile_put(ngx_str_t *uid, ngx_str_t *name,
    ngx_str_t *avatar, ngx_str_t *role)
{
    char                      key[WRT_NAME_BUF], ingest[WRT_NAME_BUF];
    u_char                   *p, *buf;
    ngx_uint_t                k;
    ngx_http_writeen_args_t   a;

    if (name->len == 0) {
        return;
    }

    k = wrt_shard(&ngx_http_writeen_worker->names, (char *) uid->data,
                  uid->len);

    buf = ngx_alloc(64 + 6 * (name->len + avatar->len) + role->len,
                    ngx_http_writeen_worker->log);
    if (buf == NULL) {
        return;
    }

    p = ngx_cpymem(buf, "{\"name\":\"", sizeof("{\"name\":\"") - 1);
    p += wrt_json_escape((char *) p, (char *) name->data, name->len);

    if (avatar->len != 0) {
        p = ngx_cpymem(p, "\",\"avatar\":\"", sizeof("\",\"avatar\":\"") - 1);
        p += wrt_json_escape((char *) p, (char *) avatar->data,
                             avatar->len);
        p = ngx_cpymem(p, "\"", 1);

    } else {
        p = ngx_cpymem(p, "\",\"avatar\":null",
                       sizeof("\",\"avatar\":null") - 1);
    }

    p = ngx_sprintf(p, ",\"role\":\"%V\"}", role);

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "FCALL");
    ngx_http_writeen_arg_lit(&a, WRT_FN_PROFILE);
    ngx_http_writeen_arg_lit(&a, "2");
    ngx_http_writeen_arg(&a, key, wrt_key_profile(key, k, (char *) uid->data,
                                                  uid->len));
    ngx_http_writeen_arg(&a, ingest, wrt_key_ingest(ingest, k));
    ngx_http_writeen_arg(&a, uid->data, uid->len);
    ngx_http_writeen_arg(&a, buf, p - buf);
    ngx_http_writeen_arg_num(&a, WRT_BACKLOG_MAX);

    /* not vital: the next connection says it again */

    (void) ngx_http_writeen_bus_call(ngx_http_writeen_worker,
               ngx_http_writeen_bus_server(ngx_http_writeen_worker, k), &a,
               NULL, NULL);

    ngx_free(buf);
}


/* {"name","avatar","role"}: name and avatar, in memory of their own. */

static ngx_int_t
ngx_http_writeen_profile_parse(ngx_str_t *json, ngx_str_t *name,
    ngx_str_t *avatar, u_char **mem)
{
    u_char          *p;
    ngx_int_t        rc;
    wrt_slice_t      n, a;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    rc = NGX_ERROR;
    n.n = 0;
    a.n = 0;

    if (wrt_envelope_parse_body(&e, (char *) json->data, json->len, &why) == 0
        && wrt_envelope_string(&e, "name", WRT_NAME_MAX, &n, &why) == 1
        && wrt_envelope_string(&e, "avatar", WRT_URL_MAX, &a, &why) >= 0)
    {
        p = ngx_alloc(n.n + a.n + 1, ngx_http_writeen_worker->log);

        if (p != NULL) {
            *mem = p;

            name->data = p;
            name->len = n.n;
            p = ngx_cpymem(p, n.p, n.n);

            avatar->data = p;
            avatar->len = a.n;

            if (a.n != 0) {
                ngx_memcpy(p, a.p, a.n);
            }

            rc = NGX_OK;
        }
    }

    wrt_envelope_free(&e);

    return rc;
}


void
ngx_http_writeen_profile_set(ngx_http_writeen_user_t *u, ngx_str_t *json)
{
    u_char     *mem;
    ngx_str_t   name, avatar;

    if (ngx_http_writeen_profile_parse(json, &name, &avatar, &mem)
        != NGX_OK)
    {
        return;
    }

    ngx_http_writeen_profile_free(u);

    u->profile = mem;
    u->name = name;
    u->avatar = avatar;
}


void
ngx_http_writeen_profile_free(ngx_http_writeen_user_t *u)
{
    if (u->profile != NULL) {
        ngx_free(u->profile);
        u->profile = NULL;
    }
}


ngx_str_t *
ngx_http_writeen_profile_name(ngx_http_writeen_session_t *s)
{
    return (s->user->profile != NULL) ? &s->user->name : &s->name;
}


ngx_str_t *
ngx_http_writeen_profile_avatar(ngx_http_writeen_session_t *s)
{
    return (s->user->profile != NULL) ? &s->user->avatar : &s->avatar;
}


/* -- for who is not known here -- */

ngx_int_t
ngx_http_writeen_profile_ask(ngx_http_writeen_worker_t *wk, ngx_str_t *uid,
    ngx_str_t *name, ngx_str_t *avatar, ngx_http_writeen_profile_pt handler,
    void *data, ngx_http_writeen_profile_ask_t **out)
{
    ngx_http_writeen_user_t         *u;
    ngx_http_writeen_profile_ask_t  *ask;

    u = ngx_http_writeen_user_find(wk, (char *) uid->data, uid->len);

    if (u != NULL && u->known && u->sub == NGX_HTTP_WRITEEN_SUB_READY) {

        if (u->profile == NULL) {
            return NGX_DECLINED;
        }

        *name = u->name;
        *avatar = u->avatar;

        return NGX_OK;
    }

    ask = ngx_calloc(sizeof(ngx_http_writeen_profile_ask_t), wk->log);
    if (ask == NULL) {
        return NGX_DECLINED;
    }

    ask->worker = wk;
    ask->handler = handler;
    ask->data = data;
    ask->uid.data = ask->buf;
    ask->uid.len = uid->len;
    ngx_memcpy(ask->buf, uid->data, uid->len);

    if (ngx_http_writeen_profile_read(ask) != NGX_OK) {
        ngx_free(ask);
        return NGX_DECLINED;
    }

    *out = ask;

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_writeen_profile_copy(ngx_pool_t *pool,
    ngx_http_writeen_identity_t *id, ngx_str_t *name, ngx_str_t *avatar)
{
    u_char  *p;

    p = ngx_pnalloc(pool, name->len + avatar->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    id->name.data = p;
    id->name.len = name->len;
    p = ngx_cpymem(p, name->data, name->len);

    id->avatar.data = p;
    id->avatar.len = avatar->len;
    ngx_memcpy(p, avatar->data, avatar->len);

    return NGX_OK;
}


void
ngx_http_writeen_profile_cancel(ngx_http_writeen_profile_ask_t *ask)
{
    ask->handler = NULL;
}


static ngx_int_t
ngx_http_writeen_profile_read(ngx_http_writeen_profile_ask_t *ask)
{
    char                     key[WRT_NAME_BUF];
    ngx_http_writeen_args_t  a;

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "HMGET");
    ngx_http_writeen_arg(&a, key, wrt_key_user_convs(key,
                                                     (char *) ask->uid.data,
                                                     ask->uid.len));
    ngx_http_writeen_arg_lit(&a, WRT_F_LOADED);
    ngx_http_writeen_arg_lit(&a, WRT_F_PROFILE);

    return ngx_http_writeen_bus_call(ask->worker, 0, &a,
                                     ngx_http_writeen_profile_reply, ask);
}


static void
ngx_http_writeen_profile_reply(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_profile_ask_t *ask = data;

    ngx_str_t                json, whole;
    ngx_http_writeen_call_t  call;

    if (ask->handler == NULL || res->rc != NGX_HTTP_WRITEEN_R_OK) {
        ngx_http_writeen_profile_done(ask, NULL);
        return;
    }

    if (ngx_http_writeen_result_str(res, 1, &json) == NGX_OK) {
        ngx_http_writeen_profile_done(ask, &json);
        return;
    }

    if (ngx_http_writeen_result_str(res, 0, &whole) == NGX_OK
        || ask->loads++ != 0)
    {
        ngx_http_writeen_profile_done(ask, NULL);
        return;
    }

    /* Redis does not know him: the store may */

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_USER);
    call.path = ask->uid;
    call.timeout = NGX_HTTP_WRITEEN_PROFILE_WAIT;

    if (ngx_http_writeen_rpc_call(ask->worker, &call,
                                  ngx_http_writeen_profile_loaded, ask)
        == NULL)
    {
        ngx_http_writeen_profile_done(ask, NULL);
    }
}


static void
ngx_http_writeen_profile_loaded(void *data, ngx_http_writeen_reply_t *reply)
{
    ngx_http_writeen_profile_ask_t *ask = data;

    if (reply->status != 200 || ask->handler == NULL
        || ngx_http_writeen_profile_read(ask) != NGX_OK)
    {
        ngx_http_writeen_profile_done(ask, NULL);
    }
}


/* Who can not be asked about is called what his token says: chat goes on. */

static void
ngx_http_writeen_profile_done(ngx_http_writeen_profile_ask_t *ask,
    ngx_str_t *json)
{
    u_char     *mem;
    ngx_str_t   name, avatar;

    mem = NULL;

    if (ask->handler != NULL) {

        if (json != NULL
            && ngx_http_writeen_profile_parse(json, &name, &avatar, &mem)
               == NGX_OK)
        {
            ask->handler(ask->data, &name, &avatar);

        } else {
            ask->handler(ask->data, NULL, NULL);
        }
    }

    if (mem != NULL) {
        ngx_free(mem);
    }

    ngx_free(ask);
}
