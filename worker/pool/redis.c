/*
 * redis.c: one synchronous connection to a Redis server.  The only file of
 * the worker that knows hiredis.
 *
 * Commands are written as RESP into a buffer (cmd_t) and may be pipelined:
 * rds_push() queues, rds_pull() reads the replies in order.  A connection that
 * fails in any way is closed at once and all further calls on it fail, so
 * that callers check at the end of a sequence as well as after each step;
 * server.c connects again.
 *
 * Replies are read through reply_*(), which take NULL and any type: what
 * Redis answers is never trusted to have a shape.
 */

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define RDS_QUEUE_MAX  (1024 * 1024)    /* bytes queued before they are sent */
#define RDS_CONNECT_MS  2000
#define RDS_COMMAND_MS  5000    /* without a reply: the connection is dead */

struct rds_s {
    const conf_t  *cf;
    redisContext  *c;           /* NULL: not connected */
    unsigned       server;
    unsigned       pending;     /* replies that are still to come */
    size_t         queued;      /* bytes since the last write */
    uint64_t       client;      /* CLIENT ID, for rds_unblock() */
    char           error[256];
};


rds_t *
rds_create(const conf_t *cf, unsigned server)
{
    rds_t  *c;

    c = mem_zero(sizeof(*c));
    c->cf = cf;
    c->server = server;

    return c;
}


void
rds_close(rds_t *c)
{
    if (c->c) {
        redisFree(c->c);
        c->c = NULL;
    }

    c->pending = 0;
    c->queued = 0;
}


void
rds_free(rds_t *c)
{
    if (c) {
        rds_close(c);
        free(c);
    }
}


int
rds_alive(const rds_t *c)
{
    return c->c != NULL;
}


unsigned
rds_server(const rds_t *c)
{
    return c->server;
}


const char *
rds_error(const rds_t *c)
{
    return c->error;
}


void
rds_fail(rds_t *c, const char *why)
{
    if (c->c) {
        snprintf(c->error, sizeof(c->error), "%s", why);
        rds_close(c);
    }
}


static struct timeval
rds_timeval(int ms)
{
    struct timeval  tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    return tv;
}


/* One step of the greeting; the reply's text must begin as wanted. */
static int
rds_greet(rds_t *c, reply_t *r, const char *want)
{
    int  ok;

    ok = r && !reply_is_error(r)
         && strncmp(reply_text(r), want, strlen(want)) == 0;

    if (r && !ok) {
        rds_fail(c, reply_text(r));
    }

    reply_free(r);

    return ok ? 0 : -1;
}


int
rds_connect(rds_t *c)
{
    char                    db[16];
    reply_t                *r;
    struct timeval          tv;
    const wrt_redis_url_t  *u;

    rds_close(c);

    u = &c->cf->redis[c->server];
    tv = rds_timeval(RDS_CONNECT_MS);

    c->c = u->port ? redisConnectWithTimeout(u->host, (int) u->port, tv)
                   : redisConnectUnixWithTimeout(u->host, tv);

    if (c->c == NULL) {
        snprintf(c->error, sizeof(c->error), "no memory");
        return -1;
    }

    if (c->c->err) {
        rds_fail(c, c->c->errstr);
        return -1;
    }

    if (redisSetTimeout(c->c, rds_timeval(RDS_COMMAND_MS)) != REDIS_OK) {
        rds_fail(c, c->c->errstr);
        return -1;
    }

    if (u->port && redisEnableKeepAlive(c->c) != REDIS_OK) {
        rds_fail(c, c->c->errstr);
        return -1;
    }

    if (u->password[0]) {
        r = u->user[0] ? rds_call(c, "AUTH", u->user, u->password)
                       : rds_call(c, "AUTH", u->password);

        if (rds_greet(c, r, "OK") != 0) {
            return -1;
        }
    }

    if (u->db) {
        snprintf(db, sizeof(db), "%u", u->db);

        if (rds_greet(c, rds_call(c, "SELECT", db), "OK") != 0) {
            return -1;
        }
    }

    /* answers LOADING while Redis still reads its files */
    if (rds_greet(c, rds_call(c, "PING"), "PONG") != 0) {
        return -1;
    }

    r = rds_call(c, "CLIENT", "ID");
    if (r == NULL) {
        return -1;
    }

    c->client = (uint64_t) reply_int(r, 0);
    reply_free(r);

    return 0;
}


void
cmd_begin(cmd_t *cmd, const char *name)
{
    buf_clear(&cmd->args);
    cmd->argc = 0;
    cmd_text(cmd, name);
}


void
cmd_mem(cmd_t *cmd, const void *p, size_t n)
{
    buf_fmt(&cmd->args, "$%zu\r\n", n);
    buf_add(&cmd->args, p, n);
    buf_add(&cmd->args, "\r\n", 2);
    cmd->argc++;
}


void
cmd_text(cmd_t *cmd, const char *s)
{
    cmd_mem(cmd, s, strlen(s));
}


void
cmd_num(cmd_t *cmd, int64_t v)
{
    int   n;
    char  digits[24];

    n = snprintf(digits, sizeof(digits), "%" PRId64, v);
    cmd_mem(cmd, digits, (size_t) n);
}


void
cmd_room(cmd_t *cmd, unsigned k, const char *id, size_t n)
{
    char  key[WRT_NAME_BUF];

    cmd_mem(cmd, key, wrt_key_conv(key, k, id, n));
    cmd_mem(cmd, key, wrt_key_log(key, k, id, n));
    cmd_mem(cmd, key, wrt_key_ingest(key, k));
    cmd_mem(cmd, key, wrt_key_awake(key, k));
}


void
cmd_free(cmd_t *cmd)
{
    buf_free(&cmd->args);
    cmd->argc = 0;
}


/* Send what is queued.  0, -1: the connection is lost. */
static int
rds_flush(rds_t *c)
{
    int  done;

    c->queued = 0;

    for (done = 0; c->c && !done; ) {
        if (redisBufferWrite(c->c, &done) != REDIS_OK) {
            rds_fail(c, c->c->errstr);
        }
    }

    return c->c ? 0 : -1;
}


void
rds_push(rds_t *c, const cmd_t *cmd)
{
    int   n;
    char  head[24];

    if (c->c == NULL) {
        return;
    }

    n = snprintf(head, sizeof(head), "*%u\r\n", cmd->argc);

    /* the two parts are joined in hiredis's output buffer */
    if (redisAppendFormattedCommand(c->c, head, (size_t) n) != REDIS_OK
        || redisAppendFormattedCommand(c->c, cmd->args.p, cmd->args.n)
           != REDIS_OK)
    {
        rds_fail(c, c->c->errstr);
        return;
    }

    c->pending++;
    c->queued += (size_t) n + cmd->args.n;

    /* a room of 1,000 is told of to each of them, with all of them in it:
     * 200 MB, which are not to lie here at the same time */
    if (c->queued > RDS_QUEUE_MAX) {
        (void) rds_flush(c);
    }
}


static void
rds_vpush(rds_t *c, const char *name, va_list args)
{
    cmd_t        cmd;
    const char  *s;

    memset(&cmd, 0, sizeof(cmd));
    cmd_begin(&cmd, name);

    while ((s = va_arg(args, const char *)) != NULL) {
        cmd_text(&cmd, s);
    }

    rds_push(c, &cmd);
    cmd_free(&cmd);
}


void
rds_queue_list(rds_t *c, const char *name, ...)
{
    va_list  args;

    va_start(args, name);
    rds_vpush(c, name, args);
    va_end(args);
}


reply_t *
rds_pull(rds_t *c)
{
    void  *r;

    if (c->c == NULL || c->pending == 0) {
        return NULL;
    }

    r = NULL;

    if (redisGetReply(c->c, &r) != REDIS_OK || r == NULL) {
        /* hiredis has the system's words for it, which say nothing */
        rds_fail(c, c->c->err == REDIS_ERR_IO && errno == EAGAIN
                    ? "no reply in time" : c->c->errstr);
        return NULL;
    }

    c->queued = 0;
    c->pending--;

    return r;
}


reply_t *
rds_run(rds_t *c, const cmd_t *cmd)
{
    rds_push(c, cmd);

    return rds_pull(c);
}


reply_t *
rds_call_list(rds_t *c, const char *name, ...)
{
    va_list  args;

    va_start(args, name);
    rds_vpush(c, name, args);
    va_end(args);

    return rds_pull(c);
}


int
rds_drain(rds_t *c)
{
    int       rc;
    reply_t  *r;

    rc = 0;

    while (c->c && c->pending > 0) {
        r = rds_pull(c);

        if (r && reply_is_error(r)) {
            if (rc == 0) {
                snprintf(c->error, sizeof(c->error), "%s", reply_text(r));
            }

            rc = -1;
        }

        reply_free(r);
    }

    return c->c ? rc : -1;
}


int
rds_wait(rds_t *c, int ms)
{
    int            n;
    struct pollfd  fd;

    if (rds_flush(c) != 0) {
        return -1;
    }

    fd.fd = c->c->fd;
    fd.events = POLLIN;
    fd.revents = 0;

    n = role_poll(&fd, 1, ms);

    return n > 0 ? 1 : 0;
}


void
rds_unblock(rds_t *via, const rds_t *c)
{
    char  id[24];

    snprintf(id, sizeof(id), "%" PRIu64, c->client);
    reply_free(rds_call(via, "CLIENT", "UNBLOCK", id));
}


int
reply_is_error(const reply_t *r)
{
    return r && r->type == REDIS_REPLY_ERROR;
}


int
reply_error(const reply_t *r, const char *code)
{
    size_t  n;

    n = strlen(code);

    return reply_is_error(r) && strncmp(reply_text(r), code, n) == 0;
}


int
reply_is_nil(const reply_t *r)
{
    return r == NULL || r->type == REDIS_REPLY_NIL;
}


/* Does it carry bytes? */
static int
reply_has_text(const reply_t *r)
{
    return r && r->str
           && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS
               || r->type == REDIS_REPLY_ERROR);
}


const char *
reply_text(const reply_t *r)
{
    return reply_has_text(r) ? r->str : "";
}


size_t
reply_len(const reply_t *r)
{
    return reply_has_text(r) ? (size_t) r->len : 0;
}


int64_t
reply_int(const reply_t *r, int64_t def)
{
    char       *end;
    long long   v;

    if (r == NULL) {
        return def;
    }

    if (r->type == REDIS_REPLY_INTEGER) {
        return r->integer;
    }

    if (reply_len(r) == 0) {
        return def;
    }

    errno = 0;
    v = strtoll(reply_text(r), &end, 10);

    return errno == 0 && *end == '\0' ? v : def;
}


size_t
reply_count(const reply_t *r)
{
    return r && r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}


const reply_t *
reply_at(const reply_t *r, size_t i)
{
    return i < reply_count(r) ? r->element[i] : NULL;
}


const reply_t *
reply_field(const reply_t *r, const char *name)
{
    size_t  i;

    for (i = 0; i + 1 < reply_count(r); i += 2) {
        if (strcmp(reply_text(reply_at(r, i)), name) == 0) {
            return reply_at(r, i + 1);
        }
    }

    return NULL;
}


void
reply_free(reply_t *r)
{
    if (r) {
        freeReplyObject(r);
    }
}
