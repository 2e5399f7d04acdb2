/*
 * wrt_envelope.c: client JSON parsed and checked.  With wrt_command.c the only
 * file of common/ and of the module that knows jansson; wrt_send.c writes the
 * answer to it.
 *
 * The nesting is counted before jansson sees the text, so that deep nesting
 * costs neither stack nor memory.  jansson itself refuses invalid UTF-8, lone
 * surrogates, \u0000, numbers out of range and trailing bytes.  Slices point
 * into jansson's strings and live as long as the root.
 */

#include <string.h>

#include <jansson.h>

#include "common/wrt_envelope.h"
#include "common/wrt_id.h"

#define WRT_EVENT_MAX      64
#define WRT_SEQ_MAX        (((json_int_t) 1 << 53) - 1)

/* What is too deep to be accepted, but shallow enough to be parsed once more
 * for the event's name and id. */
#define WRT_DEPTH_READABLE 64

/* A limit's number inside a message */
#define WRT_TEXT_OF(limit)   WRT_TEXT_OF_(limit)
#define WRT_TEXT_OF_(limit)  #limit

static const char  wrt_invalid[] = "invalid_request";
static const char  wrt_too_large[] = "too_large";
static const char  wrt_unavailable[] = "unavailable";

static const char  wrt_no_memory[] = "out of memory, try again";
static const char  wrt_want_id[] =
    "an id of 1 to 64 letters, digits, underscores or hyphens is required";
static const char  wrt_want_seq[] =
    "an integer from 0 to 9007199254740991 is required";

/* Texts for the limits in use; nothing is formatted at run time. */
static const struct {
    size_t       max;
    const char  *text;
} wrt_too_long[] = {
    { 32,    "at most 32 bytes are allowed" },
    { 64,    "at most 64 bytes are allowed" },
    { 128,   "at most 128 bytes are allowed" },
    { 256,   "at most 256 bytes are allowed" },
    { 512,   "at most 512 bytes are allowed" },
    { 1024,  "at most 1024 bytes are allowed" },
    { 2048,  "at most 2048 bytes are allowed" },
    { 4096,  "at most 4096 bytes are allowed" },
    { 8192,  "at most 8192 bytes are allowed" },
    { 16384, "at most 16384 bytes are allowed" },
    { 32768, "at most 32768 bytes are allowed" },
    { 65536, "at most 65536 bytes are allowed" },
    { 0,     "this is longer than the configured limit allows" }
};


static int
wrt_refuse(wrt_refusal_t *why, const char *code, const char *field,
    const char *message)
{
    why->code = code;
    why->field = field;
    why->message = message;

    return -1;
}


static const char *
wrt_too_long_text(size_t max)
{
    size_t  i;

    for (i = 0; wrt_too_long[i].max != 0; i++) {
        if (wrt_too_long[i].max == max) {
            break;
        }
    }

    return wrt_too_long[i].text;
}


static wrt_slice_t
wrt_json_slice(const json_t *v)
{
    wrt_slice_t  s;

    s.p = json_string_value(v);
    s.n = json_string_length(v);

    return s;
}


static wrt_slice_t
wrt_empty(void)
{
    wrt_slice_t  s;

    s.p = "";
    s.n = 0;

    return s;
}


/*
 * How deep brackets nest, strings left out.  For text that is no JSON this is
 * at least as deep as a parser gets before it sees that.
 */
static unsigned
wrt_json_depth(const char *p, size_t n)
{
    unsigned     depth, deepest;
    const char  *end;

    depth = 0;
    deepest = 0;

    for (end = p + n; p < end; p++) {
        switch (*p) {

        case '{':
        case '[':
            if (++depth > deepest) {
                deepest = depth;
            }

            break;

        case '}':
        case ']':
            if (depth > 0) {
                depth--;
            }

            break;

        case '"':
            for (p++; p < end && *p != '"'; p++) {
                if (*p == '\\') {
                    p++;
                }
            }

            break;
        }
    }

    return deepest;
}


/* Parse to an object.  On failure NULL and *why; *loose then is what could be
 * read all the same, or NULL. */
static json_t *
wrt_json_object(const char *p, size_t n, json_t **loose, wrt_refusal_t *why)
{
    json_t        *root;
    unsigned       depth;
    const char    *text;
    json_error_t   err;

    *loose = NULL;
    depth = n ? wrt_json_depth(p, n) : 0;

    if (depth > WRT_JSON_DEPTH_MAX) {
        if (depth <= WRT_DEPTH_READABLE) {
            *loose = json_loadb(p, n, 0, NULL);
        }

        wrt_refuse(why, wrt_invalid, NULL,
                   "objects and arrays may be nested "
                   WRT_TEXT_OF(WRT_JSON_DEPTH_MAX) " deep");
        return NULL;
    }

    /* jansson leaves the code alone when memory runs out */
    memset(&err, 0, sizeof(err));

    root = json_loadb(n ? p : "", n, JSON_REJECT_DUPLICATES, &err);

    if (root == NULL) {
        switch (json_error_code(&err)) {

        case json_error_unknown:    /* an allocation that gave no reason */
        case json_error_out_of_memory:
            wrt_refuse(why, wrt_unavailable, NULL, wrt_no_memory);
            return NULL;

        case json_error_duplicate_key:
            *loose = json_loadb(p, n, 0, NULL);
            text = "no member may stand twice in an object";
            break;

        case json_error_invalid_utf8:
            text = "JSON in valid UTF-8 is required";
            break;

        default:
            text = "a JSON object is required";
            break;
        }

        wrt_refuse(why, wrt_invalid, NULL, text);
        return NULL;
    }

    if (!json_is_object(root)) {
        json_decref(root);
        wrt_refuse(why, wrt_invalid, NULL, "a JSON object is required");
        return NULL;
    }

    return root;
}


/* A string member of 0..max bytes that is taken only if it is one. */
static int
wrt_json_string(const json_t *v, size_t max, wrt_slice_t *out)
{
    if (!json_is_string(v) || json_string_length(v) > max) {
        return -1;
    }

    *out = wrt_json_slice(v);

    return 0;
}


int
wrt_envelope_parse(wrt_envelope_t *e, const char *p, size_t n,
    wrt_refusal_t *why)
{
    int      event, id;
    json_t  *loose, *root, *v;

    memset(e, 0, sizeof(*e));
    e->event = wrt_empty();
    e->id = wrt_empty();

    root = wrt_json_object(p, n, &loose, why);

    /* kept also when it is refused: event and id point into it */
    e->root = root ? root : loose;

    /* the name and id first: an error can tell them then */
    event = wrt_json_string(json_object_get(e->root, "event"), WRT_EVENT_MAX,
                            &e->event);

    v = json_object_get(e->root, "id");
    id = v == NULL || json_is_null(v)
         ? 0 : wrt_json_string(v, WRT_CLIENT_ID_MAX, &e->id);

    if (root == NULL) {
        return -1;
    }

    if (event != 0 || e->event.n == 0) {
        return wrt_refuse(why, wrt_invalid, "event",
                          "the name of an event, a string of 1 to 64 bytes,"
                          " is required");
    }

    if (id != 0) {
        return wrt_refuse(why, wrt_invalid, "id",
                          "a string of at most "
                          WRT_TEXT_OF(WRT_CLIENT_ID_MAX)
                          " bytes is required");
    }

    v = json_object_get(root, "data");

    if (v == NULL || json_is_null(v)) {
        v = json_object();

        if (v == NULL || json_object_set_new(root, "data", v) != 0) {
            return wrt_refuse(why, wrt_unavailable, NULL, wrt_no_memory);
        }
    }

    if (!json_is_object(v)) {
        return wrt_refuse(why, wrt_invalid, "data", "an object is required");
    }

    e->data = v;

    return 0;
}


int
wrt_envelope_parse_body(wrt_envelope_t *e, const char *p, size_t n,
    wrt_refusal_t *why)
{
    json_t  *loose;

    memset(e, 0, sizeof(*e));
    e->event = wrt_empty();
    e->id = wrt_empty();

    e->root = wrt_json_object(p, n, &loose, why);
    e->data = e->root;

    json_decref(loose);

    return e->root ? 0 : -1;
}


void
wrt_envelope_free(wrt_envelope_t *e)
{
    json_decref(e->root);
    memset(e, 0, sizeof(*e));
}


/* A member of an object; NULL when absent or null. */
static json_t *
wrt_json_member(const json_t *object, const char *name)
{
    json_t  *v;

    v = json_object_get(object, name);

    return json_is_null(v) ? NULL : v;
}


/* An id in an object; `field` is how errors call it. */
static int
wrt_json_id(const json_t *object, const char *name, const char *field,
    wrt_slice_t *out, wrt_refusal_t *why)
{
    json_t  *v;

    v = wrt_json_member(object, name);
    if (v == NULL) {
        return 0;
    }

    if (!json_is_string(v)
        || !wrt_id_valid(json_string_value(v), json_string_length(v)))
    {
        return wrt_refuse(why, wrt_invalid, field, wrt_want_id);
    }

    *out = wrt_json_slice(v);

    return 1;
}


int
wrt_envelope_id(const wrt_envelope_t *e, const char *name, wrt_slice_t *out,
    wrt_refusal_t *why)
{
    return wrt_json_id(e->data, name, name, out, why);
}


int
wrt_envelope_string(const wrt_envelope_t *e, const char *name, size_t max,
    wrt_slice_t *out, wrt_refusal_t *why)
{
    json_t  *v;

    v = wrt_json_member(e->data, name);
    if (v == NULL) {
        return 0;
    }

    if (!json_is_string(v)) {
        return wrt_refuse(why, wrt_invalid, name, "a string is required");
    }

    if (wrt_json_string(v, max, out) != 0) {
        return wrt_refuse(why, wrt_invalid, name, wrt_too_long_text(max));
    }

    return 1;
}


static int
wrt_json_seq(const json_t *v, int64_t *out)
{
    json_int_t  n;

    if (!json_is_integer(v)) {
        return -1;
    }

    n = json_integer_value(v);

    if (n < 0 || n > WRT_SEQ_MAX) {
        return -1;
    }

    *out = n;

    return 0;
}


int
wrt_envelope_seq(const wrt_envelope_t *e, const char *name, int64_t *out,
    wrt_refusal_t *why)
{
    json_t  *v;

    v = wrt_json_member(e->data, name);
    if (v == NULL) {
        return 0;
    }

    if (wrt_json_seq(v, out) != 0) {
        return wrt_refuse(why, wrt_invalid, name, wrt_want_seq);
    }

    return 1;
}


int
wrt_envelope_bool(const wrt_envelope_t *e, const char *name, int *out,
    wrt_refusal_t *why)
{
    json_t  *v;

    v = wrt_json_member(e->data, name);
    if (v == NULL) {
        return 0;
    }

    if (!json_is_boolean(v)) {
        return wrt_refuse(why, wrt_invalid, name, "true or false is required");
    }

    *out = json_is_true(v);

    return 1;
}


int
wrt_envelope_pairs(const wrt_envelope_t *e, const char *name, wrt_pair_pt fn,
    void *data, wrt_refusal_t *why)
{
    json_t       *object, *v;
    int64_t       seq;
    const char   *key;
    wrt_slice_t   id;

    object = json_object_get(e->data, name);

    if (!json_is_object(object)) {
        return wrt_refuse(why, wrt_invalid, name,
                          "an object of conversation id and sequence number"
                          " is required");
    }

    if (json_object_size(object) > WRT_RESUME_ROOMS_MAX) {
        return wrt_refuse(why, wrt_invalid, name,
                          "at most " WRT_TEXT_OF(WRT_RESUME_ROOMS_MAX)
                          " conversations are allowed");
    }

    /* all are checked before the first is acted upon */
    json_object_foreach(object, key, v) {
        if (!wrt_id_valid(key, strlen(key))) {
            return wrt_refuse(why, wrt_invalid, name, wrt_want_id);
        }

        if (wrt_json_seq(v, &seq) != 0) {
            return wrt_refuse(why, wrt_invalid, name, wrt_want_seq);
        }
    }

    json_object_foreach(object, key, v) {
        id.p = key;
        id.n = strlen(key);

        if (fn(data, id, (int64_t) json_integer_value(v)) != 0) {
            break;
        }
    }

    return 0;
}


/* One character of valid UTF-8; *p moves behind it.  Those above U+FFFF are
 * all the same to us: neither white space nor control characters. */
static uint32_t
wrt_utf8_next(const uint8_t **p)
{
    uint32_t        c;
    const uint8_t  *s;

    s = *p;
    c = s[0];

    if (c < 0x80) {
        *p += 1;
        return c;
    }

    if (c < 0xE0) {
        *p += 2;
        return (c & 0x1F) << 6 | (s[1] & 0x3F);
    }

    if (c < 0xF0) {
        *p += 3;
        return (c & 0x0F) << 12 | (uint32_t) (s[1] & 0x3F) << 6
               | (s[2] & 0x3F);
    }

    *p += 4;

    return 0x10000;
}


/* White_Space of Unicode. */
static int
wrt_is_space(uint32_t c)
{
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0
           || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028
           || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}


static int
wrt_is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F);
}


int
wrt_is_blank(wrt_slice_t s)
{
    const uint8_t  *p, *end;

    p = (const uint8_t *) s.p;

    for (end = p + s.n; p < end; ) {
        if (!wrt_is_space(wrt_utf8_next(&p))) {
            return 0;
        }
    }

    return 1;
}


/* clientMessageId becomes part of a Redis key. */
int
wrt_client_id_valid(wrt_slice_t s)
{
    uint32_t        c;
    const uint8_t  *p, *end;

    if (s.n == 0 || s.n > WRT_CLIENT_MSG_ID_MAX) {
        return 0;
    }

    p = (const uint8_t *) s.p;

    for (end = p + s.n; p < end; ) {
        c = wrt_utf8_next(&p);

        if (wrt_is_space(c) || wrt_is_control(c)) {
            return 0;
        }
    }

    return 1;
}


/* data.content, which must be an object. */
static json_t *
wrt_content(const wrt_envelope_t *e, wrt_refusal_t *why)
{
    json_t  *content;

    content = json_object_get(e->data, "content");

    if (!json_is_object(content)) {
        wrt_refuse(why, wrt_invalid, "content", "an object is required");
        return NULL;
    }

    return content;
}


int
wrt_envelope_text(const wrt_envelope_t *e, size_t max_text, wrt_slice_t *out,
    wrt_refusal_t *why)
{
    json_t       *content, *v;
    wrt_slice_t   text;

    content = wrt_content(e, why);
    if (content == NULL) {
        return -1;
    }

    v = json_object_get(content, "text");

    if (!json_is_string(v)) {
        return wrt_refuse(why, wrt_invalid, "content.text",
                          "a string is required");
    }

    text = wrt_json_slice(v);

    if (text.n > max_text) {
        return wrt_refuse(why, wrt_too_large, "content.text",
                          wrt_too_long_text(max_text));
    }

    if (wrt_is_blank(text)) {
        return wrt_refuse(why, wrt_invalid, "content.text",
                          "text that is not only white space is required");
    }

    *out = text;

    return 0;
}


/* content.sticker: {"pack": id, "id": id} */
static int
wrt_sticker(const json_t *content, wrt_slice_t *pack, wrt_slice_t *id,
    wrt_refusal_t *why)
{
    int      rc;
    json_t  *sticker;

    sticker = json_object_get(content, "sticker");

    if (!json_is_object(sticker)) {
        return wrt_refuse(why, wrt_invalid, "content.sticker",
                          "an object of pack and id is required");
    }

    rc = wrt_json_id(sticker, "pack", "content.sticker.pack", pack, why);

    if (rc == 0) {
        return wrt_refuse(why, wrt_invalid, "content.sticker.pack",
                          wrt_want_id);
    }

    if (rc == -1) {
        return -1;
    }

    rc = wrt_json_id(sticker, "id", "content.sticker.id", id, why);

    if (rc == 0) {
        return wrt_refuse(why, wrt_invalid, "content.sticker.id",
                          wrt_want_id);
    }

    return rc == 1 ? 0 : -1;
}


static int
wrt_slice_is(wrt_slice_t s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}


int
wrt_send_parse(wrt_send_t *s, const wrt_envelope_t *e, int need_conv,
    size_t max_text, wrt_refusal_t *why)
{
    int      rc;
    json_t  *v;

    s->conversation = wrt_empty();
    s->client_id = wrt_empty();
    s->reply_to = wrt_empty();
    s->text = wrt_empty();
    s->pack = wrt_empty();
    s->sticker = wrt_empty();
    s->content = wrt_empty();
    s->type.p = "text";
    s->type.n = sizeof("text") - 1;

    if (need_conv) {
        rc = wrt_envelope_id(e, "conversationId", &s->conversation, why);

        if (rc == 0) {
            wrt_refuse(why, wrt_invalid, "conversationId", wrt_want_id);
        }

        if (rc != 1) {
            return -1;
        }
    }

    v = wrt_json_member(e->data, "type");

    if (v) {
        s->type = json_is_string(v) ? wrt_json_slice(v) : wrt_empty();
    }

    if (wrt_slice_is(s->type, "text")) {
        rc = wrt_envelope_text(e, max_text, &s->text, why);

    } else if (wrt_slice_is(s->type, "sticker")) {
        v = wrt_content(e, why);
        rc = v ? wrt_sticker(v, &s->pack, &s->sticker, why) : -1;

    } else {
        rc = wrt_refuse(why, wrt_invalid, "type",
                        "one of text and sticker is required");
    }

    if (rc != 0) {
        return -1;
    }

    v = wrt_json_member(e->data, "clientMessageId");

    if (v) {
        if (!json_is_string(v) || !wrt_client_id_valid(wrt_json_slice(v))) {
            return wrt_refuse(why, wrt_invalid, "clientMessageId",
                              "a string of 1 to "
                              WRT_TEXT_OF(WRT_CLIENT_MSG_ID_MAX)
                              " bytes without white space and control"
                              " characters is required");
        }

        s->client_id = wrt_json_slice(v);
    }

    if (wrt_envelope_id(e, "replyTo", &s->reply_to, why) == -1) {
        return -1;
    }

    return 0;
}
