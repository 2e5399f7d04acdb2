/*
 * ngx_http_writeen_metrics.c: /metrics.
 *
 * Prints the sums of the counters in shared memory (status.c) and what the
 * nodes of the worker pool left in wrt:metrics.  The second part is asked for
 * when a request comes; without Redis, or when it takes too long, the first
 * part goes out alone.
 */

#include "ngx_http_writeen.h"


#define NGX_HTTP_WRITEEN_NODE_AGE_S   15
#define NGX_HTTP_WRITEEN_METRICS_MS   2000
#define NGX_HTTP_WRITEEN_OWN_MAX      (64 * 256) /* bytes, our own text */


/* A request that waits for the pool's part.  Freed when both the request and
 * the command are through with it. */
typedef struct {
    ngx_event_t                 timer;
    ngx_http_request_t         *request;    /* NULL: answered or gone */
    ngx_http_cleanup_t         *cleanup;
    unsigned                    asked:1;    /* the command is under way */
} ngx_http_writeen_scrape_t;


/* What a metric has, from all nodes.  Pieces are whole lines of the reply. */
typedef struct {
    ngx_str_t                   name;
    ngx_uint_t                  node;       /* whose HELP and TYPE are kept */
    ngx_array_t                 pieces;     /* of ngx_str_t */
} ngx_http_writeen_family_t;


typedef struct {
    ngx_pool_t                 *pool;
    ngx_array_t                 families;   /* of ngx_http_writeen_family_t */
    ngx_http_writeen_family_t  *current;
    ngx_uint_t                  node;       /* how many were read */
    size_t                      len;        /* of all pieces */
} ngx_http_writeen_nodes_t;


static void ngx_http_writeen_scrape_gone(void *data);
static void ngx_http_writeen_scrape_timeout(ngx_event_t *ev);
static void ngx_http_writeen_scrape_nodes(void *data,
    ngx_http_writeen_result_t *res);
static void ngx_http_writeen_scrape_finish(ngx_http_writeen_scrape_t *sc,
    ngx_http_writeen_result_t *res);
static ngx_int_t ngx_http_writeen_scrape_answer(ngx_http_request_t *r,
    ngx_http_writeen_result_t *res);
static u_char *ngx_http_writeen_scrape_own(u_char *p, u_char *last,
    ngx_http_writeen_worker_t *wk, ngx_uint_t nodes);
static ngx_int_t ngx_http_writeen_scrape_read(ngx_http_writeen_nodes_t *nodes,
    ngx_http_writeen_result_t *res);
static ngx_int_t ngx_http_writeen_scrape_line(ngx_http_writeen_nodes_t *nodes,
    u_char *p, size_t n);
static ngx_http_writeen_family_t *ngx_http_writeen_scrape_family(
    ngx_http_writeen_nodes_t *nodes, u_char *name, size_t n);


static ngx_str_t  ngx_http_writeen_type_metrics =
    ngx_string("text/plain; version=0.0.4; charset=utf-8");


/*
 * writeen_metrics on;
 * location; default: off
 *
 * GET answers with Prometheus text: the sums of all nginx worker processes and
 * what the nodes of the worker pool said within the last 15 s.  Without Redis
 * it is the first part alone.
 */

ngx_int_t
ngx_http_writeen_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_cleanup_t         *cln;
    ngx_http_writeen_args_t     args;
    ngx_http_writeen_scrape_t  *sc;
    ngx_http_writeen_worker_t  *wk;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_writeen_not_allowed(r, NGX_HTTP_GET|NGX_HTTP_HEAD,
                                            "this is for GET");
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    wk = ngx_http_writeen_worker;

    if (wk == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (!ngx_http_writeen_bus_ready(wk, 0)) {
        return ngx_http_writeen_scrape_answer(r, NULL);
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    sc = ngx_calloc(sizeof(ngx_http_writeen_scrape_t), wk->log);
    if (sc == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    args.n = 0;
    args.nnum = 0;

    ngx_http_writeen_arg_lit(&args, "HGETALL");
    ngx_http_writeen_arg_lit(&args, WRT_KEY_METRICS);

    if (ngx_http_writeen_bus_call(wk, 0, &args, ngx_http_writeen_scrape_nodes,
                                  sc)
        != NGX_OK)
    {
        ngx_free(sc);
        return ngx_http_writeen_scrape_answer(r, NULL);
    }

    sc->asked = 1;
    sc->request = r;
    sc->cleanup = cln;

    cln->handler = ngx_http_writeen_scrape_gone;
    cln->data = sc;

    sc->timer.handler = ngx_http_writeen_scrape_timeout;
    sc->timer.data = sc;
    sc->timer.log = wk->log;
    ngx_add_timer(&sc->timer, NGX_HTTP_WRITEEN_METRICS_MS);

    r->main->count++;

    return NGX_DONE;
}


/* The request ends, or is about to be answered. */

static void
ngx_http_writeen_scrape_gone(void *data)
{
    ngx_http_writeen_scrape_t *sc = data;

    sc->cleanup->handler = NULL;
    sc->request = NULL;

    if (sc->timer.timer_set) {
        ngx_del_timer(&sc->timer);
    }

    if (!sc->asked) {
        ngx_free(sc);
    }
}


static void
ngx_http_writeen_scrape_timeout(ngx_event_t *ev)
{
    ngx_http_writeen_scrape_finish(ev->data, NULL);
}


static void
ngx_http_writeen_scrape_nodes(void *data, ngx_http_writeen_result_t *res)
{
    ngx_http_writeen_scrape_t *sc = data;

    sc->asked = 0;

    if (sc->request == NULL) {
        ngx_free(sc);
        return;
    }

    if (ngx_http_writeen_worker->rpc == NULL) {

        /* the process ends, no request is touched any more */

        ngx_http_writeen_scrape_gone(sc);
        return;
    }

    ngx_http_writeen_scrape_finish(sc,
                         (res->rc == NGX_HTTP_WRITEEN_R_OK) ? res : NULL);
}


static void
ngx_http_writeen_scrape_finish(ngx_http_writeen_scrape_t *sc,
    ngx_http_writeen_result_t *res)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = sc->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_writeen_scrape_gone(sc);

    ngx_http_finalize_request(r, ngx_http_writeen_scrape_answer(r, res));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_writeen_scrape_answer(ngx_http_request_t *r,
    ngx_http_writeen_result_t *res)
{
    ngx_buf_t                  *b;
    ngx_str_t                  *piece;
    ngx_uint_t                  i, j;
    ngx_http_writeen_nodes_t    nodes;
    ngx_http_writeen_family_t  *family;

    ngx_memzero(&nodes, sizeof(ngx_http_writeen_nodes_t));
    nodes.pool = r->pool;

    if (ngx_array_init(&nodes.families, r->pool, 64,
                       sizeof(ngx_http_writeen_family_t))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (res != NULL
        && ngx_http_writeen_scrape_read(&nodes, res) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_WRITEEN_OWN_MAX + nodes.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_writeen_scrape_own(b->last,
                                          b->last + NGX_HTTP_WRITEEN_OWN_MAX,
                                          ngx_http_writeen_worker, nodes.node);

    family = nodes.families.elts;

    for (i = 0; i < nodes.families.nelts; i++) {
        piece = family[i].pieces.elts;

        for (j = 0; j < family[i].pieces.nelts; j++) {
            b->last = ngx_cpymem(b->last, piece[j].data, piece[j].len);
        }
    }

    return ngx_http_writeen_status_send(r, NGX_HTTP_OK,
                                        &ngx_http_writeen_type_metrics, b);
}


#define NGX_HTTP_WRITEEN_IS_gauge    1
#define NGX_HTTP_WRITEEN_IS_counter  0

static u_char *
ngx_http_writeen_scrape_own(u_char *p, u_char *last,
    ngx_http_writeen_worker_t *wk, ngx_uint_t nodes)
{
    ngx_uint_t  i, health, processes;

    static struct {
        const char  *name;
        const char  *help;
        ngx_uint_t   bit;
    } parts[] = {
        { "redis", "All Redis servers answer", NGX_HTTP_WRITEEN_UP_REDIS },
        { "bus", "Messages come through Redis", NGX_HTTP_WRITEEN_UP_BUS },
        { "worker", "The worker pool is alive", NGX_HTTP_WRITEEN_UP_WORKER },
        { "store", "The worker pool reaches the store",
          NGX_HTTP_WRITEEN_UP_STORE }
    };

    health = ngx_http_writeen_status_health(wk, &processes);

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        p = ngx_slprintf(p, last, "# HELP writeen_%s_up %s\n"
                         "# TYPE writeen_%s_up gauge\nwriteen_%s_up %d\n",
                         parts[i].name, parts[i].help, parts[i].name,
                         parts[i].name, (health & parts[i].bit) ? 1 : 0);
    }

    p = ngx_slprintf(p, last, "# HELP writeen_nginx_processes "
                     "nginx worker processes that serve\n"
                     "# TYPE writeen_nginx_processes gauge\n"
                     "writeen_nginx_processes %ui\n"
                     "# HELP writeen_pool_nodes "
                     "Nodes of the worker pool with fresh figures\n"
                     "# TYPE writeen_pool_nodes gauge\n"
                     "writeen_pool_nodes %ui\n", processes, nodes);

#define X(name, type, help)                                                   \
    p = ngx_slprintf(p, last, "# HELP writeen_" #name " " help "\n"           \
                     "# TYPE writeen_" #name " " #type "\n"                   \
                     "writeen_" #name " %L\n",                                \
                     ngx_http_writeen_status_sum(wk,                          \
                               offsetof(ngx_http_writeen_stats_t, name),      \
                               NGX_HTTP_WRITEEN_IS_##type));
    NGX_HTTP_WRITEEN_COUNTERS(X)
#undef X

    return ngx_http_writeen_rate_metrics(wk, p, last);
}


/*
 * The hash wrt:metrics: node -> "<unix seconds>\n<text>".  Lines of one metric
 * must stand together, so the nodes' texts are sorted into families; HELP and
 * TYPE are the first node's.
 */

static ngx_int_t
ngx_http_writeen_scrape_read(ngx_http_writeen_nodes_t *nodes,
    ngx_http_writeen_result_t *res)
{
    u_char      *p, *last, *eol;
    time_t       at;
    ngx_str_t    text;
    ngx_uint_t   i;

    for (i = 1; i < res->n; i += 2) {

        if (ngx_http_writeen_result_str(res, i, &text) != NGX_OK) {
            continue;
        }

        p = text.data;
        last = p + text.len;

        eol = ngx_strlchr(p, last, LF);
        if (eol == NULL) {
            continue;
        }

        at = ngx_atotm(p, eol - p);

        if (at == (time_t) NGX_ERROR
            || ngx_time() - at > NGX_HTTP_WRITEEN_NODE_AGE_S)
        {
            continue;
        }

        nodes->node++;
        nodes->current = NULL;

        for (p = eol + 1; p < last; p = eol + 1) {

            eol = ngx_strlchr(p, last, LF);
            if (eol == NULL) {
                break;
            }

            if (ngx_http_writeen_scrape_line(nodes, p, eol + 1 - p)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* One whole line, with its newline. */

static ngx_int_t
ngx_http_writeen_scrape_line(ngx_http_writeen_nodes_t *nodes, u_char *p,
    size_t n)
{
    u_char                     *name, *end, *last;
    ngx_str_t                  *piece;
    ngx_uint_t                  comment;
    ngx_http_writeen_family_t  *family;

    last = p + n - 1;
    name = p;
    comment = 0;

    if (n > 7
        && (ngx_strncmp(p, "# HELP ", 7) == 0
            || ngx_strncmp(p, "# TYPE ", 7) == 0))
    {
        name = p + 7;
        comment = 1;

    } else if (n == 1 || *p == '#') {
        return NGX_OK;
    }

    for (end = name; end < last && *end != ' ' && *end != '{'; end++) {
        /* void */
    }

    family = nodes->current;

    /* x_bucket, x_sum and x_count are samples of x */

    if (comment
        || family == NULL
        || (size_t) (end - name) < family->name.len
        || ngx_memcmp(name, family->name.data, family->name.len) != 0)
    {
        family = ngx_http_writeen_scrape_family(nodes, name, end - name);
        if (family == NULL) {
            return NGX_ERROR;
        }

        nodes->current = family;
    }

    if (comment && family->node != nodes->node) {
        return NGX_OK;
    }

    nodes->len += n;

    piece = family->pieces.elts;

    if (family->pieces.nelts != 0
        && piece[family->pieces.nelts - 1].data
           + piece[family->pieces.nelts - 1].len == p)
    {
        piece[family->pieces.nelts - 1].len += n;
        return NGX_OK;
    }

    piece = ngx_array_push(&family->pieces);
    if (piece == NULL) {
        return NGX_ERROR;
    }

    piece->data = p;
    piece->len = n;

    return NGX_OK;
}


static ngx_http_writeen_family_t *
ngx_http_writeen_scrape_family(ngx_http_writeen_nodes_t *nodes, u_char *name,
    size_t n)
{
    ngx_uint_t                  i;
    ngx_http_writeen_family_t  *family;

    family = nodes->families.elts;

    for (i = 0; i < nodes->families.nelts; i++) {
        if (family[i].name.len == n
            && ngx_memcmp(family[i].name.data, name, n) == 0)
        {
            return &family[i];
        }
    }

    family = ngx_array_push(&nodes->families);
    if (family == NULL) {
        return NULL;
    }

    family->name.data = name;
    family->name.len = n;
    family->node = nodes->node;

    if (ngx_array_init(&family->pieces, nodes->pool, 4, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NULL;
    }

    return family;
}
