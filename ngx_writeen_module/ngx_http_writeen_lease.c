/*
 * ngx_http_writeen_lease.c: who is connected, as others can know it.
 *
 * Each nginx worker keeps, for each user with a session here, a lease in Redis:
 * its own id with the time until it counts.  It is renewed while a session is
 * there and given up with the last one; when the worker dies it runs out by
 * itself.  Renewals are spread over the period, so that thousands of users
 * are a trickle and not a wave.
 */

#include "ngx_http_writeen.h"


void
ngx_http_writeen_lease_take(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    char                      key[WRT_NAME_BUF];
    size_t                    n;
    ngx_time_t               *tp;
    ngx_http_writeen_args_t   a;

    u->lease = ngx_current_msec;
    tp = ngx_timeofday();
    n = wrt_key_user_conns(key, (char *) u->uid, u->node.str.len);

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "ZADD");
    ngx_http_writeen_arg(&a, key, n);
    ngx_http_writeen_arg_num(&a, (int64_t) tp->sec * 1000 + tp->msec
                                 + WRT_LEASE_USER_MS);
    ngx_http_writeen_arg(&a, wk->id, WRT_OID_LEN);

    /* without Redis nobody can ask; the next round tries again */

    if (ngx_http_writeen_bus_call(wk, 0, &a, NULL, NULL) != NGX_OK) {
        return;
    }

    /* what dead workers left goes with the last living one */

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "PEXPIRE");
    ngx_http_writeen_arg(&a, key, n);
    ngx_http_writeen_arg_num(&a, WRT_LEASE_USER_MS);

    (void) ngx_http_writeen_bus_call(wk, 0, &a, NULL, NULL);
}


void
ngx_http_writeen_lease_drop(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    char                      key[WRT_NAME_BUF];
    ngx_http_writeen_args_t   a;

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "ZREM");
    ngx_http_writeen_arg(&a, key,
                         wrt_key_user_conns(key, (char *) u->uid,
                                            u->node.str.len));
    ngx_http_writeen_arg(&a, wk->id, WRT_OID_LEN);

    (void) ngx_http_writeen_bus_call(wk, 0, &a, NULL, NULL);
}


/* Each second, for each user: is it his turn? */

void
ngx_http_writeen_lease_renew(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u)
{
    if (!ngx_queue_empty(&u->sessions)
        && ngx_current_msec - u->lease >= WRT_LEASE_RENEW_MS)
    {
        ngx_http_writeen_lease_take(wk, u);
    }
}
