/*
 * session_keep.c: of messages that come one after the other only what a
 * session's document is made of, in as much memory as docs/sessions.md says
 * (session.h).
 */

#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/session/session_internal.h"

/* What counts is cut once it is so much: each time at least half of it goes,
 * so that a message is cut a few times in all. */
#define KEEP_MAX  (2 * WRT_SESSION_TEXT_MAX)


/* As session_open() will see it. */
static int
keep_counts(const json_t *m)
{
    const char  *type;

    type = json_string_value(json_object_get(m, "type"));

    return !json_is_string(json_object_get(m, "deletedAt"))
           && !(type && strcmp(type, "system") == 0);
}


/* text, or its beginning, of at most max bytes; *n: how many. */
static json_t *
keep_text(json_t *text, size_t max, size_t *n)
{
    *n = json_string_length(text);

    if (*n <= max) {
        return json_incref(text);
    }

    *n = wrt_utf8_cut((const uint8_t *) json_string_value(text), *n, max);

    return json_stringn_nocheck(json_string_value(text), *n);
}


/* Of each text as much, as session_open() cuts them. */
static void
keep_cut(session_keep_t *k)
{
    size_t   i, n, max;
    json_t  *m, *content, *text;

    max = WRT_SESSION_TEXT_MAX / k->n;
    k->kept = 0;

    json_array_foreach(k->messages, i, m) {
        content = json_object_get(m, "content");
        text = json_object_get(content, "text");

        if (json_is_string(text)) {
            session_set(content, "text", keep_text(text, max, &n));
            k->kept += n;
        }
    }
}


/* The content of a message, of which only the text is looked at. */
static json_t *
keep_content(session_keep_t *k, const json_t *m)
{
    size_t   n;
    json_t  *content, *text, *out;

    content = json_object_get(m, "content");

    if (!json_is_object(content)) {
        return json_incref(content);    /* it will be refused */
    }

    out = json_object();
    text = json_object_get(content, "text");

    if (!keep_counts(m) || text == NULL) {
        return out;
    }

    if (!json_is_string(text)) {
        session_set(out, "text", json_incref(text));
        return out;
    }

    k->said += json_string_length(text);
    session_set(out, "text",
                keep_text(text, k->said > WRT_SESSION_TEXT_MAX
                                ? WRT_SESSION_TEXT_MAX / k->n
                                : WRT_SESSION_TEXT_MAX, &n));
    k->kept += n;

    return out;
}


void
session_keep(session_keep_t *k, const json_t *m)
{
    size_t   i;
    json_t  *out, *v, *name;

    static const char *const  keys[] = {
        "id", "seq", "senderId", "type", "replyTo", "createdAt", "deletedAt",
        NULL
    };

    if (k->messages == NULL) {
        k->messages = json_array();
    }

    out = json_object();

    for (i = 0; keys[i]; i++) {
        v = json_object_get(m, keys[i]);

        if (v) {
            session_set(out, keys[i], json_incref(v));
        }
    }

    name = json_object_get(json_object_get(m, "sender"), "name");

    if (json_is_string(name)) {
        v = json_object();
        session_set(v, "name", json_incref(name));
        session_set(out, "sender", v);
    }

    k->n += keep_counts(m) != 0;

    if (json_object_get(m, "content")) {
        session_set(out, "content", keep_content(k, m));
    }

    session_append(k->messages, out);

    if (k->kept > KEEP_MAX) {
        keep_cut(k);
    }
}


const json_t *
session_kept(session_keep_t *k)
{
    if (k->messages == NULL) {
        k->messages = json_array();
    }

    if (k->said > WRT_SESSION_TEXT_MAX) {
        keep_cut(k);
    }

    return k->messages;
}


void
session_keep_free(session_keep_t *k)
{
    json_decref(k->messages);
    memset(k, 0, sizeof(*k));
}
