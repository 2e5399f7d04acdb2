/*
 * ngx_http_writeen_catch_online.c: who of a room is online, for
 * conversation_joined.
 *
 * The hub knows it for all nodes: its set wrt:online is asked for the room's
 * members, whom the answer with the cursors has named.  Without the hub it is
 * who is connected to this nginx worker.
 */

#include "ngx_http_writeen_catch.h"


#define NGX_HTTP_WRITEEN_ONLINE_ASK    200    /* members in a question */
#define NGX_HTTP_WRITEEN_ONLINE_HERE   100    /* users named without the hub */
#define NGX_HTTP_WRITEEN_ONLINE_WALK   1000   /* links looked at for them */


static ngx_int_t ngx_http_writeen_catch_members(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
static ngx_int_t ngx_http_writeen_catch_question(
    ngx_http_writeen_catch_t *op, u_char **from, ngx_uint_t n);
static void ngx_http_writeen_catch_told(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_catch_here(ngx_http_writeen_catch_t *op);


void
ngx_http_writeen_catch_ask(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res,
    void (*then)(ngx_http_writeen_catch_t *op))
{
    u_char      *p;
    ngx_uint_t   n, left;

    if (!op->answer || op->joined || op->online.data != NULL) {
        then(op);
        return;
    }

    op->then = then;
    op->unsure = 0;
    op->questions = 0;

    if (ngx_http_writeen_catch_members(op, res) != NGX_OK) {
        ngx_http_writeen_session_drop(op->op.session);
        return;
    }

    p = op->members;

    for (left = op->nmembers; left > 0; left -= n) {
        n = ngx_min(left, NGX_HTTP_WRITEEN_ONLINE_ASK);

        if (ngx_http_writeen_catch_question(op, &p, n) != NGX_OK) {
            op->unsure = 1;
            break;
        }
    }

    if (op->questions != 0) {
        op->inflight = 1;
        return;
    }

    if (op->unsure) {
        ngx_http_writeen_catch_here(op);
    }

    then(op);
}


/* The room's members, and a place for those of them who are online. */

static ngx_int_t
ngx_http_writeen_catch_members(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res)
{
    u_char      *p;
    ngx_str_t    uid;
    ngx_uint_t   i, n;

    n = ngx_http_writeen_result_count(res, 4) / 5;
    n = ngx_min(n, WRT_PARTICIPANTS_MAX);

    /* asked once more after the log was too short: they may be others now */

    if (op->members != NULL) {
        ngx_free(op->members);
    }

    op->members = ngx_alloc(n * (WRT_ID_MAX + 1) + 1, op->worker->log);
    op->online.data = ngx_alloc(n * (WRT_ID_MAX + 3) + 1, op->worker->log);
    op->online.len = 0;

    if (op->members == NULL || op->online.data == NULL) {
        return NGX_ERROR;
    }

    p = op->members;
    op->asked_of = p;
    op->nmembers = 0;

    for (i = 0; i < n; i++) {
        if (ngx_http_writeen_result_sub(res, 4, 5 * i, &uid) == NGX_OK
            && uid.len <= WRT_ID_MAX && uid.data[0] != '!')
        {
            p = ngx_cpymem(p, uid.data, uid.len);
            *p++ = ' ';
            op->nmembers++;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_writeen_catch_question(ngx_http_writeen_catch_t *op, u_char **from,
    ngx_uint_t n)
{
    u_char                   *p, *end;
    ngx_http_writeen_args_t   a;

    a.n = 0;
    a.nnum = 0;

    ngx_http_writeen_arg_lit(&a, "ZMSCORE");
    ngx_http_writeen_arg_lit(&a, WRT_KEY_ONLINE);

    for (p = *from; n > 0; n--) {
        for (end = p; *end != ' '; end++) { /* void */ }

        ngx_http_writeen_arg(&a, p, end - p);
        p = end + 1;
    }

    *from = p;

    if (ngx_http_writeen_bus_call(op->worker, 0, &a,
                                  ngx_http_writeen_catch_told, op)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    op->questions++;

    return NGX_OK;
}


/* Answers come in the order of the questions. */

static void
ngx_http_writeen_catch_told(void *data, ngx_http_writeen_result_t *res)
{
    u_char                    *p, *end;
    ngx_str_t                  score;
    ngx_uint_t                 i, n;
    ngx_http_writeen_catch_t  *op = data;

    op->questions--;

    n = ngx_min(op->nmembers, NGX_HTTP_WRITEEN_ONLINE_ASK);
    op->nmembers -= n;

    if (res->rc != NGX_HTTP_WRITEEN_R_OK) {
        op->unsure = 1;
    }

    p = op->online.data + op->online.len;

    for (i = 0; i < n && !op->unsure; i++) {
        for (end = op->asked_of; *end != ' '; end++) { /* void */ }

        if (ngx_http_writeen_result_str(res, i, &score) == NGX_OK) {
            p = ngx_sprintf(p, "%s\"%*s\"", (p == op->online.data) ? "" : ",",
                            end - op->asked_of, op->asked_of);
        }

        op->asked_of = end + 1;
    }

    op->online.len = p - op->online.data;

    if (op->questions != 0 || !ngx_http_writeen_catch_arrived(op)) {
        return;
    }

    if (op->unsure) {
        ngx_http_writeen_catch_here(op);
    }

    op->then(op);
}


static void
ngx_http_writeen_catch_here(ngx_http_writeen_catch_t *op)
{
    ngx_free(op->online.data);
    ngx_http_writeen_online_here(op->link->room, &op->online);
}


/* Each of them once. */

void
ngx_http_writeen_online_here(ngx_http_writeen_room_t *rm, ngx_str_t *out)
{
    u_char                   *p;
    ngx_uint_t                i, n;
    ngx_queue_t              *q, *prev;
    ngx_http_writeen_link_t  *l;
    ngx_http_writeen_user_t  *u;

    out->len = 0;
    out->data = ngx_alloc(NGX_HTTP_WRITEEN_ONLINE_HERE * (WRT_ID_MAX + 3),
                          ngx_cycle->log);
    if (out->data == NULL) {
        return;
    }

    i = 0;
    n = 0;
    p = out->data;

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links)
         && i < NGX_HTTP_WRITEEN_ONLINE_HERE
         && n < NGX_HTTP_WRITEEN_ONLINE_WALK;
         q = ngx_queue_next(q), n++)
    {
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);
        u = l->session->user;

        for (prev = ngx_queue_prev(q);
             prev != ngx_queue_sentinel(&rm->links);
             prev = ngx_queue_prev(prev))
        {
            l = ngx_queue_data(prev, ngx_http_writeen_link_t, room_queue);

            if (l->session->user == u) {
                break;
            }
        }

        if (prev == ngx_queue_sentinel(&rm->links)) {
            p = ngx_sprintf(p, "%s\"%V\"", i++ ? "," : "", &u->node.str);
        }
    }

    out->len = p - out->data;
}
