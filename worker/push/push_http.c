/*
 * push_http.c: requests of the push library, all in one libcurl multi handle.
 *
 * TLS is verified, no redirect is followed, nothing but http and https is
 * spoken, answers are read up to a limit.  Of a guarded request the address
 * is looked at when the socket is made, behind every name, CNAME and second
 * answer of a resolver: what was looked at is what is connected to.
 */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/push/push_internal.h"

#define HTTP_IDLE_MAX  16           /* connections kept */

typedef struct ask_s  ask_t;

struct ask_s {
    CURL               *curl;
    struct curl_slist  *headers;
    char               *body;
    push_answer_pt      done;
    void               *data;
    char               *answer;
    size_t              n;
    int                 private;
    char                why[CURL_ERROR_SIZE];
    ask_t              *next;       /* of all under way */
    ask_t              *prev;
};

struct push_http_s {
    CURLM              *multi;
    const push_conf_t  *cf;
    ask_t               asks;       /* ring */
};


push_http_t *
push_http_create(const push_conf_t *cf)
{
    push_http_t  *h;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        return NULL;
    }

    h = calloc(1, sizeof(*h));

    if (h == NULL) {
        curl_global_cleanup();
        return NULL;
    }

    h->cf = cf;
    h->asks.next = h->asks.prev = &h->asks;
    h->multi = curl_multi_init();

    if (h->multi == NULL) {
        push_http_free(h);
        return NULL;
    }

    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long) HTTP_IDLE_MAX);
    curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long) HTTP_IDLE_MAX);

    return h;
}


static void
http_ask_free(ask_t *a)
{
    a->next->prev = a->prev;
    a->prev->next = a->next;

    curl_easy_cleanup(a->curl);
    curl_slist_free_all(a->headers);
    free(a->body);
    free(a->answer);
    free(a);
}


void
push_http_free(push_http_t *h)
{
    if (h == NULL) {
        return;
    }

    while (h->asks.next != &h->asks) {
        curl_multi_remove_handle(h->multi, h->asks.next->curl);
        http_ask_free(h->asks.next);
    }

    curl_multi_cleanup(h->multi);
    free(h);
    curl_global_cleanup();
}


/* ---- what libcurl calls ---- */

static size_t
http_write(char *p, size_t size, size_t n, void *data)
{
    char   *longer;
    ask_t  *a = data;

    n *= size;

    /* what is longer says nothing more */
    if (a->n + n > WRT_PUSH_ANSWER_MAX) {
        return n;
    }

    longer = realloc(a->answer, a->n + n + 1);

    if (longer == NULL) {
        return 0;
    }

    memcpy(longer + a->n, p, n);
    a->answer = longer;
    a->n += n;
    a->answer[a->n] = '\0';

    return n;
}


static curl_socket_t
http_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    ask_t  *a = data;

    (void) purpose;

    if (!push_address_public(&address->addr)) {
        a->private = 1;
        return CURL_SOCKET_BAD;
    }

    return socket(address->family, address->socktype | SOCK_CLOEXEC,
                  address->protocol);
}


/* ---- asking ---- */

static int
http_headers(ask_t *a, const push_ask_t *ask)
{
    unsigned            i;
    struct curl_slist  *longer;

    for (i = 0; i < ask->nheaders; i++) {
        longer = curl_slist_append(a->headers, ask->headers[i]);

        if (longer == NULL) {
            return -1;
        }

        a->headers = longer;
    }

    return 0;
}


static int
http_setup(push_http_t *h, ask_t *a, const push_ask_t *ask)
{
    int    rc;
    CURL  *c;

    c = a->curl;

    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) WRT_PUSH_CONNECT_MS);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long) WRT_PUSH_TRY_MS);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, http_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(c, CURLOPT_PRIVATE, a);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, a->body);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t) ask->body_len);

    /* these fail for want of memory, or of the feature */
    rc = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(c, CURLOPT_URL, ask->url);
    rc |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, a->headers);

    if (h->cf->ca_file[0]) {
        rc |= curl_easy_setopt(c, CURLOPT_CAINFO, h->cf->ca_file);
    }

    if (ask->guarded) {
        /* through a proxy the address would be the proxy's */
        rc |= curl_easy_setopt(c, CURLOPT_PROXY, "");
        rc |= curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, http_socket);
        rc |= curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, a);
    }

    return rc == CURLE_OK ? 0 : -1;
}


int
push_http_ask(push_http_t *h, const push_ask_t *ask, push_answer_pt done,
    void *data)
{
    ask_t  *a;

    a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return -1;
    }

    a->done = done;
    a->data = data;
    a->next = &h->asks;
    a->prev = h->asks.prev;
    a->next->prev = a;
    a->prev->next = a;

    a->body = malloc(ask->body_len + 1);
    a->curl = curl_easy_init();

    if (a->body == NULL || a->curl == NULL) {
        http_ask_free(a);
        return -1;
    }

    memcpy(a->body, ask->body, ask->body_len);

    if (http_headers(a, ask) != 0 || http_setup(h, a, ask) != 0
        || curl_multi_add_handle(h->multi, a->curl) != CURLM_OK)
    {
        http_ask_free(a);
        return -1;
    }

    return 0;
}


/* ---- answers ---- */

static void
http_done(push_http_t *h, ask_t *a, CURLcode code)
{
    long            status;
    curl_off_t      wait;
    push_answer_t   answer;

    memset(&answer, 0, sizeof(answer));
    status = 0;
    wait = 0;

    curl_multi_remove_handle(h->multi, a->curl);

    if (code == CURLE_OK) {
        curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(a->curl, CURLINFO_RETRY_AFTER, &wait);
    }

    answer.status = (int) status;
    answer.private = a->private;
    answer.wait_ms = wait > 0 ? (int64_t) wait * 1000 : -1;
    answer.body = a->answer ? a->answer : "";
    answer.body_len = a->n;
    answer.why = a->why[0] ? a->why : curl_easy_strerror(code);

    if (answer.wait_ms > WRT_PUSH_HOLD_MAX_MS) {
        answer.wait_ms = WRT_PUSH_HOLD_MAX_MS;
    }

    a->done(a->data, &answer);
    http_ask_free(a);
}


void
push_http_turn(push_http_t *h, int ms)
{
    int       n;
    char     *data;
    CURLMsg  *m;

    curl_multi_perform(h->multi, &n);
    curl_multi_poll(h->multi, NULL, 0, ms, NULL);
    curl_multi_perform(h->multi, &n);

    while ((m = curl_multi_info_read(h->multi, &n)) != NULL) {
        if (m->msg == CURLMSG_DONE) {
            data = NULL;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &data);
            http_done(h, (ask_t *) (void *) data, m->data.result);
        }
    }
}
