/*
 * push_fcm.c: Firebase Cloud Messaging, HTTP v1.
 *
 * What collapses and replaces has a name of its own on each platform: Android
 * has collapse_key (not delivered yet) and the notification's tag (shown),
 * iOS apns-collapse-id for both, browsers the notification's tag.  All are
 * our tag.  A withdrawal has nothing to show: it takes the place of what is
 * not delivered yet, and lets the app remove what is shown.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/push/push_internal.h"

typedef struct {
    const push_conf_t  *cf;
    push_token_t       *token;
    char                url[WRT_PUSH_URL_MAX + 256];
    char               *body;       /* of the last call */
    char               *bearer;
} fcm_t;


static void
fcm_free(void *s)
{
    fcm_t  *f = s;

    if (f) {
        push_token_free(f->token);
        free(f->body);
        free(f->bearer);
        free(f);
    }
}


static void *
fcm_create(const push_conf_t *cf, push_http_t *http)
{
    fcm_t  *f;

    f = calloc(1, sizeof(*f));

    if (f == NULL) {
        return NULL;
    }

    f->cf = cf;
    f->token = push_token_create(cf, http);

    if (f->token == NULL) {
        fcm_free(f);
        return NULL;
    }

    snprintf(f->url, sizeof(f->url), "%s/v1/projects/%.200s/messages:send",
             cf->fcm_url, cf->account.project);

    return f;
}


/* The platform's part; notification: there is something to show. */
static void
fcm_platform(json_t *message, const push_msg_t *m, int notification)
{
    char         life[16];
    json_t      *v;
    const char  *name;

    snprintf(life, sizeof(life), "%d", WRT_PUSH_LIFE_S);

    if (strcmp(m->platform, "ios") == 0) {
        name = "apns";
        v = json_pack("{s:{s:s, s:s, s:s}, s:{s:{s:s}}}", "headers",
                      "apns-collapse-id", m->tag, "apns-priority",
                      notification ? "10" : "5", "apns-push-type",
                      notification ? "alert" : "background", "payload", "aps",
                      "thread-id", m->conversation);
        json_object_set_new(json_object_get(json_object_get(v, "payload"),
                                            "aps"),
                            notification ? "sound" : "content-available",
                            notification ? json_string("default")
                                         : json_integer(1));

    } else if (strcmp(m->platform, "web") == 0) {
        name = "webpush";
        v = json_pack("{s:{s:s, s:s}}", "headers", "TTL", life, "Urgency",
                      notification ? "high" : "normal");

        if (notification) {
            json_object_set_new(v, "notification",
                                json_pack("{s:s}", "tag", m->tag));
        }

    } else {
        name = "android";
        v = json_pack("{s:s, s:s, s:s+}", "collapse_key", m->tag, "priority",
                      notification ? "high" : "normal", "ttl", life, "s");

        if (notification) {
            json_object_set_new(v, "notification",
                                json_pack("{s:s}", "tag", m->tag));
        }
    }

    json_object_set_new(message, name, v);
}


/* Values of data are texts. */
static char *
fcm_body(const push_msg_t *m)
{
    char     seq[24], *text;
    json_t  *doc, *message;

    snprintf(seq, sizeof(seq), "%lld", (long long) m->seq);

    message = json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:s}}", "token",
                        m->token, "data", "pushId", m->id, "kind",
                        push_kind_name(m->kind), "tag", m->tag,
                        "conversationId", m->conversation, "seq", seq);

    if (m->kind != PUSH_WITHDRAW) {
        json_object_set_new(message, "notification",
                            json_pack("{s:s, s:s}", "title", m->title,
                                      "body", m->body));
    }

    fcm_platform(message, m, m->kind != PUSH_WITHDRAW);

    doc = json_pack("{s:o}", "message", message);
    text = json_dumps(doc, JSON_COMPACT);
    json_decref(doc);

    return text;
}


static push_ready_t
fcm_ask(void *s, const push_msg_t *m, push_ask_t *ask)
{
    fcm_t       *f = s;
    size_t       size;
    const char  *token;

    token = push_token_get(f->token);

    if (token == NULL) {
        return PUSH_WAIT;
    }

    free(f->body);
    free(f->bearer);

    size = strlen(token) + sizeof("Authorization: Bearer ");
    f->body = fcm_body(m);
    f->bearer = malloc(size);

    if (f->body == NULL || f->bearer == NULL) {
        return PUSH_BROKEN;
    }

    snprintf(f->bearer, size, "Authorization: Bearer %s", token);

    ask->url = f->url;
    ask->body = f->body;
    ask->body_len = strlen(f->body);
    ask->headers[ask->nheaders++] = "Content-Type: application/json";
    ask->headers[ask->nheaders++] = f->bearer;

    return PUSH_READY;
}


/* error.details[].errorCode, which is FCM's own; "" */
static const char *
fcm_code(const json_t *error)
{
    size_t       i;
    json_t      *v;
    const char  *code;

    json_array_foreach(json_object_get(error, "details"), i, v) {
        code = json_string_value(json_object_get(v, "errorCode"));

        if (code) {
            return code;
        }
    }

    return "";
}


/* Is it the token that is wrong, and not what we ask?  FCM says both by
 * INVALID_ARGUMENT. */
static int
fcm_token_wrong(const json_t *error)
{
    size_t       i, k;
    json_t      *v, *field;
    const char  *text;

    json_array_foreach(json_object_get(error, "details"), i, v) {
        json_array_foreach(json_object_get(v, "fieldViolations"), k, field) {
            text = json_string_value(json_object_get(field, "field"));

            if (text && strcmp(text, "message.token") == 0) {
                return 1;
            }
        }
    }

    text = json_string_value(json_object_get(error, "message"));

    return text && strstr(text, "registration token") != NULL;
}


static push_try_t
fcm_judge(void *s, const push_msg_t *m, const push_answer_t *a, char *why,
    size_t size)
{
    fcm_t       *f = s;
    json_t      *doc, *error;
    push_try_t   rc;
    const char  *code, *text;

    (void) m;

    rc = push_judge_status(a, why, size);

    if (rc == TRY_SENT || a->status == 0) {
        return rc;
    }

    doc = json_loadb(a->body, a->body_len, 0, NULL);
    error = json_object_get(doc, "error");
    code = fcm_code(error);
    text = json_string_value(json_object_get(error, "message"));

    snprintf(why, size, "status %d %.60s %.200s", a->status, code,
             text ? text : "");

    if ((a->status == 404 && strcmp(code, "UNREGISTERED") == 0)
        || (a->status == 403 && strcmp(code, "SENDER_ID_MISMATCH") == 0)
        || (a->status == 400 && fcm_token_wrong(error)))
    {
        rc = TRY_DEAD;

    } else if (a->status == 401 && strcmp(code, "THIRD_PARTY_AUTH_ERROR") != 0)
    {
        push_token_refused(f->token);
        rc = TRY_AGAIN;

    } else if (a->status == 401 || a->status == 403) {
        /* of the project, not of this push */
        rc = TRY_LATER;
    }

    json_decref(doc);

    return rc;
}


static const char *
fcm_trouble(const void *s)
{
    const fcm_t  *f = s;

    return push_token_trouble(f->token);
}


const push_service_t  push_fcm = {
    PUSH_FCM, "fcm", fcm_create, fcm_free, fcm_ask, fcm_judge, fcm_trouble
};
