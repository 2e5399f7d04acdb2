/*
 * fuzz_rpc.c: any bytes as a call to the worker pool.
 *
 * The first byte chooses: what follows is Redis' own protocol, for hiredis to
 * read, or names and values separated by NULs, as an entry of wrt:rpc has
 * them.  What is then read of it is looked for among the routes.  What holds:
 *   - a call that is accepted has an id and an address for its answer;
 *   - who asks is an id or nobody, and has no more rights than his role says;
 *   - a route that is found has ids in its path, its parameters are UTF-8, and
 *     somebody asks;
 *   - else it was answered, with an error.
 *
 * Handlers are not linked in: the table of routes has nothing but their
 * addresses, and nobody calls them.
 */

#include "tests/fuzz/fuzz.h"

#include <hiredis/hiredis.h>

#include "common/wrt_utf8.h"
#include "worker/api/api.h"

#define FIELDS  16

/* More elements than there are bytes in an input. */
#define ELEMENTS_MAX  8192

#if HIREDIS_MAJOR >= 1
typedef size_t  elements_t;
#else
typedef int  elements_t;
#endif

static void  *(*create_array)(const redisReadTask *task, elements_t n);


/*
 * hiredis takes an announced array at its word and asks for all of its memory
 * before it has one element, gigabytes of it, which a fuzzer reports.  Redis is
 * trusted with that (docs/security.md); here the memory is refused.
 */
static void *
create_array_bounded(const redisReadTask *task, elements_t n)
{
    return (size_t) n <= ELEMENTS_MAX ? create_array(task, n) : NULL;
}


static void
check_route(call_t *c)
{
    unsigned            i, n;
    const char         *p;
    const api_route_t  *route;

    if (api_route(c) != 0) {
        FUZZ_CHECK(c->status >= 400 && c->status < 500 && c->out.n > 0);
        return;
    }

    route = &api_routes[c->route];
    FUZZ_CHECK(route->method != NULL);
    FUZZ_CHECK(c->path[0] != '/' || c->user[0] != '\0');
    FUZZ_CHECK(c->nparams <= API_PARAMS_MAX);

    for (n = 0, p = route->path; *p; p++) {
        n += (*p == ':');
    }

    for (i = 0; i < n; i++) {
        FUZZ_CHECK(wrt_id_valid(c->ids[i], strlen(c->ids[i])));
        FUZZ_CHECK(strstr(c->path, c->ids[i]) != NULL);
    }

    for (i = 0; i < c->nparams; i++) {
        FUZZ_CHECK(wrt_utf8_valid((uint8_t *) c->params[i].value,
                                  strlen(c->params[i].value)));
        FUZZ_CHECK(wrt_utf8_valid((uint8_t *) c->params[i].name,
                                  strlen(c->params[i].name)));
    }
}


static void
check_call(const reply_t *fields)
{
    call_t  *c;

    c = call_create("1700000000000-0", fields);

    if (c == NULL) {
        return;
    }

    FUZZ_CHECK(wrt_id_valid(c->id, strlen(c->id)));
    FUZZ_CHECK(c->channel[0] != '\0');
    FUZZ_CHECK(c->user[0] == '\0'
               || wrt_id_valid(c->user, strlen(c->user)));
    FUZZ_CHECK(c->rights == 0 || c->user[0] != '\0');
    FUZZ_CHECK(!(c->rights & API_ADMIN) || strcmp(c->role, "admin") == 0);
    FUZZ_CHECK(!(c->rights & API_SERVICE)
               || strcmp(c->role, "service") == 0);
    FUZZ_CHECK(strlen(c->body) <= c->body_len);

    check_route(c);
    call_free(c);
}


/* Names and values, separated by NULs, as Redis would send them. */
static void
feed(redisReader *reader, const char *p, size_t n)
{
    int     i;
    char    head[32];
    size_t  len;

    snprintf(head, sizeof(head), "*%d\r\n", FIELDS);
    redisReaderFeed(reader, head, strlen(head));

    for (i = 0; i < FIELDS; i++) {
        /* the last one may have anything in it */
        len = i < FIELDS - 1 ? strnlen(p, n) : n;

        snprintf(head, sizeof(head), "$%zu\r\n", len);
        redisReaderFeed(reader, head, strlen(head));
        redisReaderFeed(reader, p, len);
        redisReaderFeed(reader, "\r\n", 2);

        len += len < n;
        p += len;
        n -= len;
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    void                       *reply;
    redisReader                *reader;
    redisReplyObjectFunctions   fn;

    if (n < 1) {
        return 0;
    }

    log_setup(LOG_LEVEL_ERROR, "fuzz");
    reader = redisReaderCreate();
    FUZZ_CHECK(reader != NULL);

    fn = *reader->fn;
    create_array = fn.createArray;
    fn.createArray = create_array_bounded;
    reader->fn = &fn;

    if (p[0] & 1) {
        feed(reader, (const char *) p + 1, n - 1);

    } else {
        redisReaderFeed(reader, (const char *) p + 1, n - 1);
    }

    while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        check_call(reply);
        freeReplyObject(reply);
    }

    redisReaderFree(reader);

    return 0;
}
