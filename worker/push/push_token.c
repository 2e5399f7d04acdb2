/*
 * push_token.c: the access token for FCM (OAuth 2.0, RFC 7523).
 *
 *   none --(asked for)--> coming --> held --(a tenth of its life left)-->
 *     held and coming --> held
 *   coming --(no answer)--> none, asked for again after a pause
 *
 * So that no push waits for a token but the first ones.  One that FCM has
 * refused is thrown away.
 */

#include <jansson.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/push/push_internal.h"

#define TOKEN_SCOPE    "https://www.googleapis.com/auth/firebase.messaging"
#define TOKEN_GRANT    "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
#define TOKEN_TIME_S   3600         /* that we ask for */
#define TOKEN_EARLY    10           /* part of its life that is left */

struct push_token_s {
    const push_conf_t  *cf;
    push_http_t        *http;
    char               *text;       /* NULL: none */
    int64_t             until;      /* mono: it holds */
    int64_t             renew;      /* mono: time for the next */
    int                 coming;
    int64_t             next;       /* mono: not before */
    unsigned            failed;     /* in a row */
    char                trouble[PUSH_ERROR_SIZE];
};


push_token_t *
push_token_create(const push_conf_t *cf, push_http_t *http)
{
    push_token_t  *t;

    t = calloc(1, sizeof(*t));

    if (t) {
        t->cf = cf;
        t->http = http;
    }

    return t;
}


void
push_token_free(push_token_t *t)
{
    if (t) {
        free(t->text);
        free(t);
    }
}


/* The assertion that gets us a token.  NULL: no memory. */
static char *
token_assertion(const push_account_t *a)
{
    int      rc;
    char    *text;
    long     now;
    jwt_t   *jwt;

    if (jwt_new(&jwt) != 0) {
        return NULL;
    }

    now = (long) push_wall_s();

    rc = jwt_add_grant(jwt, "iss", a->email);
    rc |= jwt_add_grant(jwt, "scope", TOKEN_SCOPE);
    rc |= jwt_add_grant(jwt, "aud", a->token_url);
    rc |= jwt_add_grant_int(jwt, "iat", now);
    rc |= jwt_add_grant_int(jwt, "exp", now + TOKEN_TIME_S);
    rc |= jwt_set_alg(jwt, JWT_ALG_RS256, (const unsigned char *) a->key,
                      (int) strlen(a->key));

    if (rc == 0 && a->key_id[0]) {
        rc = jwt_add_header(jwt, "kid", a->key_id);
    }

    text = rc == 0 ? jwt_encode_str(jwt) : NULL;
    jwt_free(jwt);

    return text;
}


static void
token_failed(push_token_t *t, const char *why)
{
    t->next = push_mono_ms() + push_pause(t->cf, ++t->failed);
    snprintf(t->trouble, sizeof(t->trouble), "no access token from %.100s: "
             "%.300s", t->cf->account.token_url, why);
}


static void
token_take(push_token_t *t, const char *text, int64_t life_s)
{
    int64_t  now;

    free(t->text);
    t->text = strdup(text);

    now = push_mono_ms();
    t->until = now + life_s * 1000;
    t->renew = t->until - life_s * 1000 / TOKEN_EARLY;
    t->next = 0;
    t->failed = 0;
    t->trouble[0] = '\0';
}


static void
token_answer(void *data, const push_answer_t *a)
{
    char           why[256];
    json_t        *doc, *life;
    const char    *text;
    push_token_t  *t = data;

    t->coming = 0;

    if (a->status == 0) {
        token_failed(t, a->why);
        return;
    }

    doc = json_loadb(a->body, a->body_len, 0, NULL);
    text = json_string_value(json_object_get(doc, "access_token"));
    life = json_object_get(doc, "expires_in");

    /* it goes into a header */
    if (a->status == 200 && text && text[0]
        && text[strcspn(text, " \t\r\n\"\\")] == '\0'
        && json_integer_value(life) > 0 && json_integer_value(life) < 1000000)
    {
        token_take(t, text, json_integer_value(life));

    } else {
        text = json_string_value(json_object_get(doc, "error_description"));
        text = text ? text : json_string_value(json_object_get(doc, "error"));
        snprintf(why, sizeof(why), "status %d %.200s", a->status,
                 text ? text : "without a token in it");
        token_failed(t, why);

        if (a->wait_ms > 0) {
            t->next = push_mono_ms() + a->wait_ms;
        }
    }

    json_decref(doc);
}


static void
token_ask(push_token_t *t)
{
    char        *assertion, *body;
    size_t       size;
    push_ask_t   ask;

    assertion = token_assertion(&t->cf->account);
    size = assertion ? strlen(assertion) + sizeof(TOKEN_GRANT) + 64 : 0;
    body = size ? malloc(size) : NULL;

    memset(&ask, 0, sizeof(ask));
    ask.url = t->cf->account.token_url;
    ask.headers[ask.nheaders++] =
        "Content-Type: application/x-www-form-urlencoded";
    ask.body = body;

    if (body) {
        ask.body_len = (size_t) snprintf(body, size, "grant_type=%s"
                                         "&assertion=%s", TOKEN_GRANT,
                                         assertion);
        t->coming = push_http_ask(t->http, &ask, token_answer, t) == 0;
    }

    if (!t->coming) {
        token_failed(t, "no memory");
    }

    free(assertion);
    free(body);
}


const char *
push_token_get(push_token_t *t)
{
    int64_t  now;

    now = push_mono_ms();

    if (t->text && now >= t->until) {
        free(t->text);
        t->text = NULL;
    }

    if (!t->coming && now >= t->next && (t->text == NULL || now >= t->renew))
    {
        token_ask(t);
    }

    return t->text;
}


void
push_token_refused(push_token_t *t)
{
    free(t->text);
    t->text = NULL;
}


const char *
push_token_trouble(const push_token_t *t)
{
    return t->trouble;
}
