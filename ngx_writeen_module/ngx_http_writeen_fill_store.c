/*
 * ngx_http_writeen_fill_store.c: filling a hole in a room from the store, when
 * the log in Redis does not reach back.
 *
 * The store has messages as they are now, and nothing else of what happened.
 * So the room's members are counted first: who was taken out while nobody
 * heard of it hears no more.  The others get conversation_joined, as with a
 * catch-up of their own: how the room stands, and that what follows is in
 * compact form.  They are counted once more when the store has told all, which
 * takes its time.
 */

#include "ngx_http_writeen_catch.h"


static void ngx_http_writeen_room_store_reply(void *data,
    ngx_http_writeen_reply_t *reply);
static void ngx_http_writeen_room_hopeless(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
static void ngx_http_writeen_room_joined(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_joined_t *j);


void
ngx_http_writeen_room_muster(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_http_writeen_result_t *res)
{
    ngx_str_t                 uid;
    ngx_uint_t                i, n;
    ngx_queue_t              *q, *next;
    ngx_http_writeen_link_t  *l;
    ngx_http_writeen_user_t  *u;

    wk->musters++;
    rm->passed = 0;
    n = ngx_http_writeen_result_count(res, 4);

    /* who catches up may have asked before that */
    ngx_http_writeen_room_unkept(rm, ngx_http_writeen_result_num(res, 0));

    for (i = 0; i < n; i += 5) {
        /* '!' before those who have left, which no id begins with */
        if (ngx_http_writeen_result_sub(res, 4, i, &uid) == NGX_OK) {
            u = ngx_http_writeen_user_find(wk, (char *) uid.data, uid.len);

            if (u != NULL) {
                u->mustered = wk->musters;
            }
        }
    }

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = next)
    {
        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

        /* others ask by themselves whether they may */

        if (l->state == NGX_HTTP_WRITEEN_LINK_LIVE
            && l->session->user->mustered != wk->musters)
        {
            ngx_http_writeen_link_expel(l);
        }
    }
}


void
ngx_http_writeen_room_fill_store(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_http_writeen_result_t *res)
{
    u_char                    query[3 * NGX_INT64_LEN + 3];
    ngx_http_writeen_call_t   call;
    ngx_http_writeen_fill_t  *op;

    if (ngx_http_writeen_store_away(wk)) {
        ngx_http_writeen_room_hopeless(wk, rm);
        return;
    }

    op = ngx_http_writeen_room_fill_op(wk, rm);
    if (op == NULL) {
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    ngx_memzero(&call, sizeof(ngx_http_writeen_call_t));

    ngx_str_set(&call.method, WRT_RPC_CHANGES);
    call.path.data = op->id;
    call.path.len = op->len;
    call.query.data = query;
    call.query.len = ngx_sprintf(query, "%L %L %d", rm->seq,
                                 (rm->origin == -1) ? rm->seq : rm->origin,
                                 NGX_HTTP_WRITEEN_FILL_PAGE)
                     - query;
    call.timeout = WRT_RPC_TIMEOUT_MS;

    if (ngx_http_writeen_rpc_call(wk, &call,
                                  ngx_http_writeen_room_store_reply, op)
        == NULL)
    {
        ngx_free(op);
        ngx_http_writeen_room_fill_later(wk, rm);
        return;
    }

    rm->asked = 1;

    if (res != NULL) {
        ngx_http_writeen_cursors(res, &op->cursors);
    }
}


static void
ngx_http_writeen_room_store_reply(void *data,
    ngx_http_writeen_reply_t *reply)
{
    ngx_str_t                   payload, cursors;
    ngx_uint_t                  n;
    ngx_http_writeen_fill_t    *op = data;
    ngx_http_writeen_room_t    *rm;
    ngx_http_writeen_lines_t    lines;
    ngx_http_writeen_joined_t   j;
    ngx_http_writeen_worker_t  *wk;

    wk = op->worker;
    cursors = op->cursors;
    rm = ngx_http_writeen_room_fill_done(op);

    if (rm == NULL) {
        goto done;
    }

    if (reply->status == 200
        && ngx_http_writeen_lines_first(&lines, &reply->body) == NGX_OK)
    {
        ngx_http_writeen_store_answered(wk, &rm->failing);

        if (rm->origin == -1 || lines.upto > rm->told) {

            if (rm->origin == -1) {
                rm->origin = rm->seq;
            }

            /* without cursors on a later page: their moves came live */

            rm->told = lines.upto;
            ngx_memzero(&j, sizeof(ngx_http_writeen_joined_t));
            j.cursors = cursors;
            j.conversation = lines.conversation;
            j.seq = ngx_max(lines.upto, rm->seq);
            j.missed = lines.n;
            ngx_http_writeen_room_joined(rm, &j);
        }

        for (n = 0;
             ngx_http_writeen_lines_next(&lines, &payload) == NGX_OK;
             n++)
        {
            ngx_http_writeen_room_fill_payload(rm, &payload);
        }

        if (n == lines.n) {
            rm->origin = -1;
        }

        /* what was held up to there is not looked at any more */
        rm->passed = 1;
        rm->seq = ngx_max(rm->seq, lines.next);
        ngx_http_writeen_room_unkept(rm, rm->seq);
        ngx_http_writeen_room_fill(wk, rm);
        goto done;
    }

    /* 413: too much for anybody */

    if (reply->status == 413 || reply->status == 404
        || ngx_http_writeen_store_failed(wk, &rm->failing,
                                         NGX_HTTP_WRITEEN_STORE_HOLE))
    {
        ngx_http_writeen_room_hopeless(wk, rm);

    } else {
        ngx_http_writeen_room_fill_later(wk, rm);
    }

done:

    if (cursors.data != NULL) {
        ngx_free(cursors.data);
    }
}


/* They shall read anew, from where the room stands then, and not wait for the
 * store with all that is being said. */

static void
ngx_http_writeen_room_hopeless(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm)
{
    rm->hopeless = 1;
    rm->origin = -1;
    ngx_http_writeen_room_fill(wk, rm);
}


/* To all who are live in the room, after what is being given to them. */

static void
ngx_http_writeen_room_joined(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_joined_t *j)
{
    u_char                   *buf;
    wrt_bus_header_t          h;
    ngx_http_writeen_held_t  *held;

    j->id = rm->node.str;
    j->recovered = 1;
    j->compact = 1;

    ngx_http_writeen_online_here(rm, &j->online);

    buf = ngx_alloc(ngx_http_writeen_joined_size(j), ngx_cycle->log);

    if (buf != NULL) {
        ngx_memzero(&h, sizeof(wrt_bus_header_t));
        h.body.p = (char *) buf;
        h.body.n = ngx_http_writeen_joined_text(buf, j) - buf;

        held = ngx_http_writeen_room_held(&h);

        if (held != NULL) {
            ngx_http_writeen_room_accept(rm, held);
        }

        ngx_free(buf);
    }

    if (j->online.data != NULL) {
        ngx_free(j->online.data);
    }
}


void
ngx_http_writeen_room_resync(ngx_http_writeen_room_t *rm, int64_t seq)
{
    ngx_queue_t              *q, *next;
    ngx_http_writeen_link_t  *l;

    for (q = ngx_queue_head(&rm->links);
         q != ngx_queue_sentinel(&rm->links);
         q = next)
    {
        next = ngx_queue_next(q);
        l = ngx_queue_data(q, ngx_http_writeen_link_t, room_queue);

        if (l->state == NGX_HTTP_WRITEEN_LINK_LIVE) {
            ngx_http_writeen_link_resync(l, seq);
        }
    }

    rm->seq = seq;
}
