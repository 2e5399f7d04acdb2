/*
 * ngx_http_writeen_presence.c: who is connected, and with what, as others can
 * know it.
 *
 * Each nginx worker keeps, for each user with a session here, a lease on the
 * hub: its own id with the time until it counts (wrt_here).  The first one is
 * taken when the session's list of rooms is whole, because that list says who
 * is to be told.  It is renewed while a session is there, and cut to the time
 * of grace with the last one (wrt_gone), so that a reload or a change of
 * network is nothing that others see; when the process dies it runs out by
 * itself, and a worker pool says so.  Renewals are spread over the period: each
 * user is in one of its slots, and a slot has its turn every 50 ms, so that
 * twenty thousand users are a trickle for Redis and not a wave that everything
 * else has to wait for.
 *
 * A session's device record goes along: at once when it opens, when something
 * in it has changed at most once a second, and in turn with the renewals, so
 * that a hub that has forgotten it learns it anew.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_RENEW_TICK                                           \
    (WRT_LEASE_RENEW_MS / NGX_HTTP_WRITEEN_RENEWALS)


static void ngx_http_writeen_renewer_handler(ngx_event_t *ev);
static void ngx_http_writeen_presence_renew(ngx_http_writeen_user_t *u);
static ngx_int_t ngx_http_writeen_presence_here(
    ngx_http_writeen_session_t *s);
static ngx_int_t ngx_http_writeen_presence_value(ngx_http_request_t *r,
    const char *name, size_t n, ngx_str_t *out);
static void ngx_http_writeen_presence_keys(ngx_http_writeen_args_t *a,
    const char *fn, ngx_str_t *uid, char keys[3][WRT_NAME_BUF], char *chan);


/* -- the device -- */

ngx_int_t
ngx_http_writeen_presence_device(ngx_http_request_t *r,
    ngx_http_writeen_session_t *s, const char **field)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   platform, version;

    *field = "platform";
    rc = ngx_http_writeen_presence_value(r, "platform", 8, &platform);

    if (rc == NGX_OK) {
        *field = "version";
        rc = ngx_http_writeen_presence_value(r, "version", 7, &version);
    }

    if (rc != NGX_OK || platform.len + version.len == 0) {
        return rc;
    }

    p = ngx_alloc(platform.len + version.len, r->connection->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    s->device = p;

    s->platform.data = p;
    s->platform.len = platform.len;
    p = ngx_cpymem(p, platform.data, platform.len);

    s->version.data = p;
    s->version.len = version.len;
    ngx_memcpy(p, version.data, version.len);

    return NGX_OK;
}


/* A value of the query, decoded; empty when there is none. */

static ngx_int_t
ngx_http_writeen_presence_value(ngx_http_request_t *r, const char *name,
    size_t n, ngx_str_t *out)
{
    u_char     *p, *src, *dst;
    ngx_str_t   value;

    ngx_str_null(out);

    if (ngx_http_arg(r, (u_char *) name, n, &value) != NGX_OK
        || value.len == 0)
    {
        return NGX_OK;
    }

    if (value.len > 3 * WRT_DEVICE_MAX) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(r->pool, value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    src = value.data;
    dst = p;
    ngx_unescape_uri(&dst, &src, value.len, 0);

    out->data = p;
    out->len = dst - p;

    if (out->len > WRT_DEVICE_MAX) {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < dst; p++) {
        if (*p < ' ' || *p > '~') {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static u_char *
ngx_http_writeen_presence_text(u_char *p, const char *name, ngx_str_t *value)
{
    p = ngx_sprintf(p, "%s:", name);

    if (value == NULL || value->len == 0) {
        return ngx_cpymem(p, "null", 4);
    }

    *p++ = '"';
    p += wrt_json_escape((char *) p, (char *) value->data, value->len);
    *p++ = '"';

    return p;
}


void
ngx_http_writeen_presence_news(ngx_http_writeen_session_t *s)
{
    if (s->listed && s->user != NULL) {
        s->news = 1;
        s->user->news = 1;
    }
}


/* -- leases -- */

void
ngx_http_writeen_presence_open(ngx_http_writeen_session_t *s)
{
    ngx_uint_t                slot;
    ngx_http_writeen_user_t  *u;

    u = s->user;

    if (ngx_http_writeen_presence_here(s) != NGX_OK) {
        /* the next round tries again */
        ngx_http_writeen_presence_news(s);
    }

    if (!u->present) {
        u->present = 1;
        slot = ngx_random() % NGX_HTTP_WRITEEN_RENEWALS;
        ngx_queue_insert_tail(&ngx_http_writeen_worker->renewals[slot],
                              &u->renewal);
    }
}


/* wrt_here, with this session's device. */

static ngx_int_t
ngx_http_writeen_presence_here(ngx_http_writeen_session_t *s)
{
    char                        keys[3][WRT_NAME_BUF], chan[WRT_NAME_BUF];
    char                        at[WRT_TIME_LEN + 1];
    u_char                     *p;
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_worker_t  *wk;
    u_char                      device[128 + 12 * WRT_DEVICE_MAX
                                       + 2 * WRT_ID_MAX];

    wk = ngx_http_writeen_worker;

    p = ngx_http_writeen_presence_text(device, "{\"platform\"",
                                       &s->platform);
    p = ngx_http_writeen_presence_text(p, ",\"version\"", &s->version);
    p = ngx_http_writeen_presence_text(p, ",\"conversationId\"",
                                       s->screen ? &s->screen->room->node.str
                                                 : NULL);
    p = ngx_http_writeen_presence_text(p, ",\"typingIn\"",
                                       s->typing ? &s->typing->room->node.str
                                                 : NULL);
    *p++ = '}';

    ngx_http_writeen_now(at);
    ngx_http_writeen_presence_keys(&a, WRT_FN_HERE, &s->user->node.str, keys,
                                   chan);

    ngx_http_writeen_arg(&a, wk->id, WRT_OID_LEN);
    ngx_http_writeen_arg_num(&a, WRT_LEASE_USER_MS);
    ngx_http_writeen_arg(&a, at, WRT_TIME_LEN);
    ngx_http_writeen_arg(&a, s->id, WRT_OID_LEN);
    ngx_http_writeen_arg(&a, device, p - device);

    if (ngx_http_writeen_bus_call(wk, 0, &a, NULL, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    s->recorded = 1;
    s->news = 0;

    return NGX_OK;
}


/* FCALL of a presence function, its keys and its first two arguments. */

static void
ngx_http_writeen_presence_keys(ngx_http_writeen_args_t *a, const char *fn,
    ngx_str_t *uid, char keys[3][WRT_NAME_BUF], char *chan)
{
    const char                 *id;
    ngx_http_writeen_worker_t  *wk;

    wk = ngx_http_writeen_worker;
    id = (char *) uid->data;

    a->n = 0;
    a->nnum = 0;

    ngx_http_writeen_arg_lit(a, "FCALL");
    ngx_http_writeen_arg(a, fn, ngx_strlen(fn));
    ngx_http_writeen_arg_lit(a, "5");
    ngx_http_writeen_arg_lit(a, WRT_KEY_ONLINE);
    ngx_http_writeen_arg_lit(a, WRT_KEY_HIDDEN);
    ngx_http_writeen_arg(a, keys[0], wrt_key_user_conns(keys[0], id,
                                                        uid->len));
    ngx_http_writeen_arg(a, keys[1], wrt_key_user_presence(keys[1], id,
                                                           uid->len));
    ngx_http_writeen_arg(a, keys[2], wrt_key_user_convs(keys[2], id,
                                                        uid->len));
    ngx_http_writeen_arg(a, chan, wrt_chan_presence(chan, &wk->names));
    ngx_http_writeen_arg(a, uid->data, uid->len);
}


/* The session has left its user's list. */

void
ngx_http_writeen_presence_close(ngx_http_writeen_session_t *s)
{
    char                        keys[3][WRT_NAME_BUF], chan[WRT_NAME_BUF];
    char                        at[WRT_TIME_LEN + 1];
    char                        field[WRT_OID_LEN + 2];
    ngx_http_writeen_args_t     a;
    ngx_http_writeen_user_t    *u;
    ngx_http_writeen_worker_t  *wk;

    u = s->user;
    wk = ngx_http_writeen_worker;

    if (u->present && ngx_queue_empty(&u->sessions)) {
        u->present = 0;
        u->news = 0;
        ngx_queue_remove(&u->renewal);

        ngx_http_writeen_now(at);
        ngx_http_writeen_presence_keys(&a, WRT_FN_GONE, &u->node.str, keys,
                                       chan);

        ngx_http_writeen_arg(&a, wk->id, WRT_OID_LEN);
        ngx_http_writeen_arg_num(&a, WRT_PRESENCE_GRACE_MS);
        ngx_http_writeen_arg(&a, at, WRT_TIME_LEN);
        ngx_http_writeen_arg(&a, s->id, WRT_OID_LEN);

    } else if (s->recorded) {
        ngx_memcpy(field, WRT_F_DEVICE, 2);
        ngx_memcpy(field + 2, s->id, WRT_OID_LEN);

        a.n = 0;
        a.nnum = 0;

        ngx_http_writeen_arg_lit(&a, "HDEL");
        ngx_http_writeen_arg(&a, keys[0],
                             wrt_key_user_presence(keys[0], (char *) u->uid,
                                                   u->node.str.len));
        ngx_http_writeen_arg(&a, field, sizeof(field));

    } else {
        return;
    }

    /* without Redis the lease runs out by itself */

    (void) ngx_http_writeen_bus_call(wk, 0, &a, NULL, NULL);
}


void
ngx_http_writeen_presence_sweep(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_session_t  *s;

    if (!u->present || !u->news) {
        return;
    }

    u->news = 0;

    for (q = ngx_queue_head(&u->sessions);
         q != ngx_queue_sentinel(&u->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);

        if (s->news && ngx_http_writeen_presence_here(s) != NGX_OK) {
            u->news = 1;
        }
    }
}


/* -- renewals -- */

void
ngx_http_writeen_presence_init(ngx_http_writeen_worker_t *wk)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_WRITEEN_RENEWALS; i++) {
        ngx_queue_init(&wk->renewals[i]);
    }

    wk->renew_at = ngx_current_msec + NGX_HTTP_WRITEEN_RENEW_TICK;

    wk->renewer.handler = ngx_http_writeen_renewer_handler;
    wk->renewer.data = wk;
    wk->renewer.log = wk->log;
    wk->renewer.cancelable = 1;

    ngx_add_timer(&wk->renewer, NGX_HTTP_WRITEEN_RENEW_TICK);
}


/* The slots whose time has come; after a standstill all of them, once. */

static void
ngx_http_writeen_renewer_handler(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_queue_t                *q, *slot;
    ngx_http_writeen_worker_t  *wk;

    wk = ev->data;

    for (i = 0; i < NGX_HTTP_WRITEEN_RENEWALS; i++) {

        if ((ngx_msec_int_t) (ngx_current_msec - wk->renew_at) < 0) {
            break;
        }

        slot = &wk->renewals[wk->renewing];

        for (q = ngx_queue_head(slot);
             q != ngx_queue_sentinel(slot);
             q = ngx_queue_next(q))
        {
            ngx_http_writeen_presence_renew(
                ngx_queue_data(q, ngx_http_writeen_user_t, renewal));
        }

        wk->renewing = (wk->renewing + 1) % NGX_HTTP_WRITEEN_RENEWALS;
        wk->renew_at += NGX_HTTP_WRITEEN_RENEW_TICK;
    }

    if (i == NGX_HTTP_WRITEEN_RENEWALS) {
        wk->renew_at = ngx_current_msec + NGX_HTTP_WRITEEN_RENEW_TICK;
    }

    ngx_add_timer(ev, NGX_HTTP_WRITEEN_RENEW_TICK);
}


static void
ngx_http_writeen_presence_renew(ngx_http_writeen_user_t *u)
{
    ngx_queue_t                 *q;
    ngx_http_writeen_session_t  *s;

    for (q = ngx_queue_head(&u->sessions);
         q != ngx_queue_sentinel(&u->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_writeen_session_t, user_queue);

        if (!s->listed) {
            continue;
        }

        if (ngx_http_writeen_presence_here(s) != NGX_OK) {
            /* each second until it can be done */
            ngx_http_writeen_presence_news(s);
            return;
        }

        /* another's turn the next time */
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&u->sessions, q);

        return;
    }
}
