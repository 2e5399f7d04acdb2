/*
 * api_consult.c: POST /api/consultations/:id/confirm.
 *
 * A confirmed consultation has a room of its own, which is made once, whoever
 * confirms it and how often.  It is POST /api/conversations with the type and
 * the number given by the route; the academic context may stand beside the
 * participants, as a scheduling system has it.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/api.h"


/* The body of POST /api/conversations in place of this one's.  0, or -1:
 * answered. */
static int
consult_body(call_t *c)
{
    buf_t        text;
    json_t      *from, *to, *context, *v;
    unsigned     i;

    static const char *const  plain[] = {
        "title", "participants", "participantIds", "settings", "id", NULL
    };

    static const char *const  about[] = {
        "topic", "course", "scheduledAt", "agenda", "documentIds", NULL
    };

    from = json_loadb(c->body, c->body_len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(from)) {
        json_decref(from);
        api_error(c, 400, "invalid_request", NULL,
                  "the body must be a JSON object");
        return -1;
    }

    to = json_pack("{s:s, s:s}", "type", "consultation", "consultationId",
                   c->ids[0]);

    for (i = 0; plain[i]; i++) {
        json_object_set(to, plain[i], json_object_get(from, plain[i]));
    }

    v = json_object_get(from, "context");
    context = v == NULL || json_is_null(v) ? json_object() : json_incref(v);

    for (i = 0; about[i] && json_is_object(context); i++) {
        v = json_object_get(from, about[i]);

        if (v && !json_is_null(v)) {
            json_object_set(context, about[i], v);
        }
    }

    if (!json_is_object(context) || json_object_size(context) > 0) {
        json_object_set(to, "context", context);
    }

    json_decref(context);
    json_decref(from);

    memset(&text, 0, sizeof(text));
    buf_json(&text, to);
    json_decref(to);

    free(c->body);
    c->body = text.p;
    c->body_len = text.n;

    return 0;
}


api_rc_t
consult_confirm(api_t *a, call_t *c)
{
    if (c->step == 0 && (may_consult(c) != 0 || consult_body(c) != 0)) {
        return API_DONE;
    }

    return conv_create(a, c);
}
