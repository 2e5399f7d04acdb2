/*
 * wrt_command.c: what the WebSocket door says to a REST route, and what the
 * route's answer says: a segment of its path, its body, its error.
 */

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/wrt_envelope.h"


static int
wrt_segment_refuse(wrt_refusal_t *why, const char *name, const char *message)
{
    why->code = "invalid_request";
    why->field = name;
    why->message = message;

    return -1;
}


int
wrt_envelope_segment(const wrt_envelope_t *e, const char *name, size_t max,
    wrt_slice_t *out, wrt_refusal_t *why)
{
    int             rc;
    const uint8_t  *p, *end;

    rc = wrt_envelope_string(e, name, max, out, why);

    if (rc == -1) {
        return -1;
    }

    if (rc == 0 || out->n == 0) {
        return wrt_segment_refuse(why, name,
                                  "a string that is not empty is required");
    }

    p = (const uint8_t *) out->p;

    for (end = p + out->n; p < end; p++) {

        /* U+0080 to U+009F are control characters, too */

        if (*p < 0x20 || *p == 0x7F || *p == '/'
            || (*p == 0xC2 && p + 1 < end && p[1] < 0xA0))
        {
            return wrt_segment_refuse(why, name,
                                      "control characters and slashes are"
                                      " not allowed");
        }
    }

    return 1;
}


/* One member of `from`, or of an object in it ("content.text"), into the same
 * place of `to`.  0, or -1 without memory. */
static int
wrt_json_take(json_t *to, const json_t *from, const char *name)
{
    char         outer[32];
    size_t       n;
    json_t      *v;
    const char  *dot;

    dot = strchr(name, '.');

    if (dot) {
        n = (size_t) (dot - name);

        if (n >= sizeof(outer)) {
            return 0;
        }

        memcpy(outer, name, n);
        outer[n] = '\0';
        from = json_object_get(from, outer);
        name = dot + 1;
    }

    v = json_object_get(from, name);

    if (!json_is_string(v) && !json_is_number(v) && !json_is_boolean(v)) {
        return 0;
    }

    if (dot) {
        if (json_object_get(to, outer) == NULL
            && json_object_set_new(to, outer, json_object()) != 0)
        {
            return -1;
        }

        to = json_object_get(to, outer);
    }

    return json_object_set(to, name, v);
}


char *
wrt_envelope_dump(const wrt_envelope_t *e, const char *const *names, size_t *n)
{
    char    *text;
    json_t  *object;

    text = NULL;

    object = json_object();
    if (object == NULL) {
        return NULL;
    }

    for ( /* void */ ; *names; names++) {
        if (wrt_json_take(object, e->data, *names) != 0) {
            goto done;
        }
    }

    *n = json_dumpb(object, NULL, 0, JSON_COMPACT);

    if (*n != 0) {
        text = malloc(*n);
    }

    if (text != NULL && json_dumpb(object, text, *n, JSON_COMPACT) != *n) {
        free(text);
        text = NULL;
    }

done:

    json_decref(object);

    return text;
}


/* A short word of a known form, or nothing. */
static void
wrt_reply_word(const json_t *v, const char *allowed, char *out, size_t max)
{
    size_t  n;

    n = json_is_string(v) ? json_string_length(v) : 0;

    if (n > 0 && n <= max && strspn(json_string_value(v), allowed) == n) {
        memcpy(out, json_string_value(v), n);
    }
}


int
wrt_reply_parse(wrt_reply_t *r, const char *p, size_t n)
{
    size_t           len;
    json_t          *error, *v;
    const char      *text;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    static const char  code[] = "abcdefghijklmnopqrstuvwxyz_";
    static const char  field[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "_-.[]";

    memset(r, 0, sizeof(*r));

    (void) wrt_envelope_parse_body(&e, p, n, &why);

    error = json_object_get(e.data, "error");
    wrt_reply_word(json_object_get(error, "code"), code, r->code,
                   WRT_REPLY_CODE_MAX);

    if (r->code[0] == '\0') {
        wrt_envelope_free(&e);
        return -1;
    }

    wrt_reply_word(json_object_get(error, "field"), field, r->field,
                   WRT_REPLY_FIELD_MAX);

    v = json_object_get(e.data, "message");

    if (json_is_string(v)) {
        text = json_string_value(v);
        len = json_string_length(v);

        if (len > WRT_REPLY_MESSAGE_MAX) {
            len = WRT_REPLY_MESSAGE_MAX;

            /* not in the middle of a character */
            while (len > 0 && (text[len] & 0xC0) == 0x80) {
                len--;
            }
        }

        memcpy(r->message, text, len);
    }

    wrt_envelope_free(&e);

    return 0;
}


int64_t
wrt_reply_number(const char *p, size_t n, const char *name)
{
    json_t          *v;
    int64_t          number;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    (void) wrt_envelope_parse_body(&e, p, n, &why);

    v = json_object_get(json_object_get(e.data, "data"), name);
    number = json_is_integer(v) ? json_integer_value(v) : -1;

    wrt_envelope_free(&e);

    return (number >= 0 && number < (int64_t) 1 << 53) ? number : -1;
}


int
wrt_reply_data(wrt_envelope_t *e, const char *p, size_t n)
{
    json_t         *v;
    wrt_refusal_t   why;

    if (wrt_envelope_parse_body(e, p, n, &why) != 0) {
        return -1;
    }

    v = json_object_get(e->data, "data");

    if (!json_is_object(v)) {
        return -1;
    }

    /* the root, which is freed, holds it */
    e->data = v;

    return 0;
}
