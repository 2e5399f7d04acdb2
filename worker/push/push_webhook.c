/*
 * push_webhook.c: any other service, by a signed request.
 *
 * POST to one URL of the operator.  The signature has the time in it, so that
 * a request that was caught cannot be sent again later.  2xx is sent, 410 a
 * token that is none any more; 408, 425, 429, 5xx and no answer are tried
 * again.  Redirects are not followed, and addresses that are not of the
 * internet are refused unless the operator allows them.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/params.h>

#include "worker/push/push_internal.h"

typedef struct {
    const push_conf_t  *cf;
    char               *body;       /* of the last call */
    char                sign[PUSH_SIGNATURE_SIZE + 32];
    char                id[128];
} hook_t;


int
push_webhook_sign(const char *secret, int64_t now_s, const char *body,
    size_t n, char out[PUSH_SIGNATURE_SIZE])
{
    char            head[32];
    int             len;
    size_t          k;
    EVP_MAC        *mac;
    EVP_MAC_CTX    *ctx;
    OSSL_PARAM      params[2];
    unsigned char   sum[32];

    len = snprintf(head, sizeof(head), "%lld.", (long long) now_s);
    params[0] = OSSL_PARAM_construct_utf8_string("digest", (char *) "SHA256",
                                                 0);
    params[1] = OSSL_PARAM_construct_end();

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

    if (ctx == NULL
        || EVP_MAC_init(ctx, (const unsigned char *) secret, strlen(secret),
                        params) != 1
        || EVP_MAC_update(ctx, (unsigned char *) head, (size_t) len) != 1
        || EVP_MAC_update(ctx, (const unsigned char *) body, n) != 1
        || EVP_MAC_final(ctx, sum, &k, sizeof(sum)) != 1)
    {
        EVP_MAC_CTX_free(ctx);
        EVP_MAC_free(mac);
        return -1;
    }

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);

    len = snprintf(out, PUSH_SIGNATURE_SIZE, "t=%lld,v1=", (long long) now_s);

    for (k = 0; k < sizeof(sum); k++) {
        len += snprintf(out + len, PUSH_SIGNATURE_SIZE - (size_t) len,
                        "%02x", sum[k]);
    }

    return 0;
}


static void *
hook_create(const push_conf_t *cf, push_http_t *http)
{
    hook_t  *h;

    (void) http;

    h = calloc(1, sizeof(*h));

    if (h) {
        h->cf = cf;
    }

    return h;
}


static void
hook_free(void *s)
{
    hook_t  *h = s;

    if (h) {
        free(h->body);
        free(h);
    }
}


static push_ready_t
hook_ask(void *s, const push_msg_t *m, push_ask_t *ask)
{
    char     sign[PUSH_SIGNATURE_SIZE];
    hook_t  *h = s;
    json_t  *doc;

    doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s?, "
                    "s:s?}", "id", m->id, "kind", push_kind_name(m->kind),
                    "tag", m->tag, "userId", m->user, "deviceId", m->device,
                    "platform", m->platform, "token", m->token,
                    "conversationId", m->conversation, "seq",
                    (json_int_t) m->seq, "title", m->title, "body", m->body);

    free(h->body);
    h->body = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);

    if (h->body == NULL
        || push_webhook_sign(h->cf->hook_secret, push_wall_s(), h->body,
                             strlen(h->body), sign) != 0)
    {
        return PUSH_BROKEN;
    }

    snprintf(h->sign, sizeof(h->sign), "X-Writeen-Signature: %s", sign);
    snprintf(h->id, sizeof(h->id), "X-Writeen-Push-Id: %.100s", m->id);

    ask->url = h->cf->hook_url;
    ask->body = h->body;
    ask->body_len = strlen(h->body);
    ask->headers[ask->nheaders++] = "Content-Type: application/json";
    ask->headers[ask->nheaders++] = h->sign;
    ask->headers[ask->nheaders++] = h->id;
    ask->guarded = !h->cf->hook_private;

    return PUSH_READY;
}


static push_try_t
hook_judge(void *s, const push_msg_t *m, const push_answer_t *a, char *why,
    size_t size)
{
    (void) s;
    (void) m;

    if (a->private) {
        snprintf(why, size, "the webhook's address is private; set "
                 "WEBHOOK_ALLOW_PRIVATE=on if it is meant");
        return TRY_REFUSED;
    }

    if (a->status == 410) {
        snprintf(why, size, "status 410");
        return TRY_DEAD;
    }

    return push_judge_status(a, why, size);
}


static const char *
hook_trouble(const void *s)
{
    (void) s;

    return "";
}


const push_service_t  push_webhook = {
    PUSH_WEBHOOK, "webhook", hook_create, hook_free, hook_ask, hook_judge,
    hook_trouble
};
