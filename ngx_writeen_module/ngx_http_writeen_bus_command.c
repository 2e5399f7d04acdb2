/*
 * ngx_http_writeen_bus_command.c: commands, their arguments and replies, so
 * that nobody but the bus needs to know hiredis.
 */

#include "ngx_http_writeen_bus.h"


/* A command under way. */
typedef struct ngx_http_writeen_bus_cmd_s  ngx_http_writeen_bus_cmd_t;

struct ngx_http_writeen_bus_cmd_s {
    ngx_http_writeen_bus_pt       handler;
    void                         *data;
    ngx_http_writeen_bus_cmd_t   *next;       /* in the free list */
    ngx_uint_t                    function;   /* FCALL: a code comes first */
};


static ngx_http_writeen_bus_cmd_t  *ngx_http_writeen_bus_free_cmds;


static void ngx_http_writeen_bus_reply(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_writeen_bus_refused(ngx_http_writeen_bus_conn_t *bc,
    const char *why);


ngx_int_t
ngx_http_writeen_bus_call(ngx_http_writeen_worker_t *wk, ngx_uint_t server,
    ngx_http_writeen_args_t *args, ngx_http_writeen_bus_pt handler,
    void *data)
{
    ngx_http_writeen_server_t   *srv;
    ngx_http_writeen_bus_cmd_t  *cmd;

    srv = &wk->servers[server];

    if (srv->cmd.state != BUS_READY) {
        return NGX_ERROR;
    }

    cmd = NULL;

    if (handler != NULL) {
        cmd = ngx_http_writeen_bus_free_cmds;

        if (cmd != NULL) {
            ngx_http_writeen_bus_free_cmds = cmd->next;

        } else {
            cmd = ngx_alloc(sizeof(ngx_http_writeen_bus_cmd_t), wk->log);
            if (cmd == NULL) {
                return NGX_ERROR;
            }
        }

        cmd->handler = handler;
        cmd->data = data;
        cmd->function = (args->v[0][0] == 'F');
    }

    if (redisAsyncCommandArgv(srv->cmd.ac,
                              cmd ? ngx_http_writeen_bus_reply : NULL, cmd,
                              (int) args->n, args->v, args->len)
        == REDIS_OK)
    {
        return NGX_OK;
    }

    if (cmd != NULL) {
        cmd->next = ngx_http_writeen_bus_free_cmds;
        ngx_http_writeen_bus_free_cmds = cmd;
    }

    return NGX_ERROR;
}


static void
ngx_http_writeen_bus_reply(redisAsyncContext *ac, void *reply, void *data)
{
    static const struct {
        const char             *name;
        ngx_http_writeen_rc_t   rc;
    } codes[] = {
        { "ok", NGX_HTTP_WRITEEN_R_OK },
        { "dup", NGX_HTTP_WRITEEN_R_DUP },
        { "exists", NGX_HTTP_WRITEEN_R_EXISTS },
        { "noload", NGX_HTTP_WRITEEN_R_NOLOAD },
        { "denied", NGX_HTTP_WRITEEN_R_DENIED },
        { "forbidden", NGX_HTTP_WRITEEN_R_FORBIDDEN },
        { "archived", NGX_HTTP_WRITEEN_R_ARCHIVED },
        { "backlog", NGX_HTTP_WRITEEN_R_BACKLOG },
        { "old", NGX_HTTP_WRITEEN_R_OLD },
        { "many", NGX_HTTP_WRITEEN_R_MANY },
        { NULL, NGX_HTTP_WRITEEN_R_OK }
    };

    void                         *hdata;
    ngx_uint_t                    i, function;
    redisReply                   *r = reply;
    ngx_http_writeen_bus_pt       handler;
    ngx_http_writeen_result_t     res;
    ngx_http_writeen_bus_cmd_t   *cmd = data;
    ngx_http_writeen_bus_conn_t  *bc;

    handler = cmd->handler;
    hdata = cmd->data;
    function = cmd->function;

    cmd->next = ngx_http_writeen_bus_free_cmds;
    ngx_http_writeen_bus_free_cmds = cmd;

    res.reply = r;
    res.base = 0;
    res.n = 1;
    res.rc = NGX_HTTP_WRITEEN_R_OK;

    if (r == NULL) {
        res.rc = NGX_HTTP_WRITEEN_R_LOST;
        res.n = 0;

    } else if (r->type == REDIS_REPLY_ERROR) {
        ngx_http_writeen_bus_refused(ac->data, r->str);
        res.rc = NGX_HTTP_WRITEEN_R_ERROR;
        res.n = 0;

    } else if (r->type == REDIS_REPLY_ARRAY) {
        res.n = r->elements;

        if (function && r->elements > 0
            && r->element[0]->type == REDIS_REPLY_STRING)
        {
            for (i = 0; codes[i].name != NULL; i++) {
                if (ngx_strcmp(r->element[0]->str, codes[i].name) == 0) {
                    res.rc = codes[i].rc;
                    res.base = 1;
                    res.n--;
                    break;
                }
            }
        }
    }

    handler(hdata, &res);

    /* the library was replaced: the next connection looks at its version */

    bc = ac->data;

    if (res.rc == NGX_HTTP_WRITEEN_R_ERROR && function && bc != NULL
        && ngx_strstr(r->str, "Function not found") != NULL)
    {
        ngx_http_writeen_bus_drop(bc, r->str);
    }
}


/*
 * A Redis that is full or read-only refuses everything that anybody wants, and
 * may be so because a disk is full, on which the log is, too: it is told once
 * a second.
 */

static void
ngx_http_writeen_bus_refused(ngx_http_writeen_bus_conn_t *bc, const char *why)
{
    ngx_http_writeen_server_t  *srv;

    if (bc == NULL) {
        return;
    }

    srv = bc->server;
    srv->refused++;

    if (srv->refused_at == ngx_time()) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, srv->worker->log, 0,
                  "writeen: redis answered \"%s\" (refused: %ui)", why,
                  srv->refused);

    srv->refused_at = ngx_time();
    srv->refused = 0;
}


void
ngx_http_writeen_arg(ngx_http_writeen_args_t *a, const void *p, size_t n)
{
    a->v[a->n] = p;
    a->len[a->n] = n;
    a->n++;
}


void
ngx_http_writeen_arg_num(ngx_http_writeen_args_t *a, int64_t n)
{
    u_char  *p, *last;

    p = (u_char *) a->num[a->nnum++];
    last = ngx_sprintf(p, "%L", n);

    ngx_http_writeen_arg(a, p, last - p);
}


void
ngx_http_writeen_arg_room(ngx_http_writeen_args_t *a,
    char keys[4][WRT_NAME_BUF], ngx_uint_t k, const char *id, size_t n)
{
    ngx_http_writeen_arg(a, keys[0], wrt_key_conv(keys[0], k, id, n));
    ngx_http_writeen_arg(a, keys[1], wrt_key_log(keys[1], k, id, n));
    ngx_http_writeen_arg(a, keys[2], wrt_key_ingest(keys[2], k));
    ngx_http_writeen_arg(a, keys[3], wrt_key_awake(keys[3], k));
}


static redisReply *
ngx_http_writeen_result_elt(ngx_http_writeen_result_t *res, ngx_uint_t i)
{
    redisReply  *r = res->reply;

    if (i >= res->n) {
        return NULL;
    }

    return (r->type == REDIS_REPLY_ARRAY) ? r->element[res->base + i] : r;
}


static ngx_int_t
ngx_http_writeen_reply_str(redisReply *r, ngx_str_t *out)
{
    if (r == NULL
        || (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS))
    {
        ngx_str_null(out);
        return NGX_DECLINED;
    }

    out->data = (u_char *) r->str;
    out->len = r->len;

    return NGX_OK;
}


int64_t
ngx_http_writeen_result_num(ngx_http_writeen_result_t *res, ngx_uint_t i)
{
    redisReply  *r;

    r = ngx_http_writeen_result_elt(res, i);

    if (r == NULL) {
        return 0;
    }

    if (r->type == REDIS_REPLY_INTEGER) {
        return r->integer;
    }

    if (r->type == REDIS_REPLY_STRING) {
        return ngx_max(ngx_atoof((u_char *) r->str, r->len), 0);
    }

    return 0;
}


ngx_int_t
ngx_http_writeen_result_str(ngx_http_writeen_result_t *res, ngx_uint_t i,
    ngx_str_t *out)
{
    return ngx_http_writeen_reply_str(ngx_http_writeen_result_elt(res, i),
                                      out);
}


ngx_uint_t
ngx_http_writeen_result_count(ngx_http_writeen_result_t *res, ngx_uint_t i)
{
    redisReply  *r;

    r = ngx_http_writeen_result_elt(res, i);

    return (r != NULL && r->type == REDIS_REPLY_ARRAY) ? r->elements : 0;
}


ngx_int_t
ngx_http_writeen_result_sub(ngx_http_writeen_result_t *res, ngx_uint_t i,
    ngx_uint_t j, ngx_str_t *out)
{
    if (j >= ngx_http_writeen_result_count(res, i)) {
        ngx_str_null(out);
        return NGX_DECLINED;
    }

    return ngx_http_writeen_reply_str(
               ngx_http_writeen_result_elt(res, i)->element[j], out);
}


void
ngx_http_writeen_bus_command_exit(void)
{
    ngx_http_writeen_bus_cmd_t  *cmd;

    while (ngx_http_writeen_bus_free_cmds != NULL) {
        cmd = ngx_http_writeen_bus_free_cmds;
        ngx_http_writeen_bus_free_cmds = cmd->next;
        ngx_free(cmd);
    }
}
