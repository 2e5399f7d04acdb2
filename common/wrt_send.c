/*
 * wrt_send.c: the canonical JSON of a message (declared in wrt_envelope.h).
 *
 * Text is copied from checked values only, member by member; there is no way
 * for anything else to get into an event.  Strings are escaped here, so that
 * the result is right whatever they hold, and has no raw newline: on the bus
 * a newline ends the header.
 */

#include <stdlib.h>
#include <string.h>

#include "common/wrt_envelope.h"

/* Names, punctuation and null of a whole event, generously */
#define WRT_BUILD_FIXED    512

/* Eight bytes at a time: the high bit of a byte of WRT_BELOW(x, c) is set if
 * that byte of x is less than c (<= 0x80), or if one before it is. */
#define WRT_ONES           0x0101010101010101ULL
#define WRT_HIGHS          0x8080808080808080ULL
#define WRT_BELOW(x, c)    (((x) - WRT_ONES * (c)) & ~(x) & WRT_HIGHS)
#define WRT_EQUAL(x, c)    WRT_BELOW((x) ^ WRT_ONES * (c), 1)

/* Append a literal, or a slice as the inside of a string. */
#define WRT_PUT(out, literal)                                                 \
    (memcpy(out, literal, sizeof(literal) - 1), (out) + sizeof(literal) - 1)
#define WRT_PUT_SLICE(out, s)  ((out) + wrt_json_escape(out, (s).p, (s).n))


/* The escape of one byte; returns behind it. */
static char *
wrt_json_escape_byte(char *out, uint8_t c)
{
    static const char  hex[] = "0123456789abcdef";

    if (c >= 0x20 && c != '"' && c != '\\') {
        *out++ = (char) c;
        return out;
    }

    *out++ = '\\';

    switch (c) {

    case '\n':
        *out++ = 'n';
        break;

    case '\r':
        *out++ = 'r';
        break;

    case '\t':
        *out++ = 't';
        break;

    case '\b':
        *out++ = 'b';
        break;

    case '\f':
        *out++ = 'f';
        break;

    case '"':
    case '\\':
        *out++ = (char) c;
        break;

    default:
        *out++ = 'u';
        *out++ = '0';
        *out++ = '0';
        *out++ = hex[c >> 4];
        *out++ = hex[c & 15];
        break;
    }

    return out;
}


size_t
wrt_json_escape(char *out, const char *p, size_t n)
{
    int       i;
    char     *start;
    uint64_t  x;

    start = out;

    while (n >= 8) {
        memcpy(&x, p, 8);

        if (!(WRT_BELOW(x, 0x20) | WRT_EQUAL(x, '"') | WRT_EQUAL(x, '\\'))) {
            memcpy(out, &x, 8);
            out += 8;

        } else {
            for (i = 0; i < 8; i++) {
                out = wrt_json_escape_byte(out, (uint8_t) p[i]);
            }
        }

        p += 8;
        n -= 8;
    }

    for ( ; n > 0; n--) {
        out = wrt_json_escape_byte(out, (uint8_t) *p++);
    }

    return (size_t) (out - start);
}


/* "content":{...} */
static char *
wrt_put_content(char *out, const wrt_send_t *s)
{
    if (s->content.n != 0) {
        out = WRT_PUT(out, "\"content\":");
        memcpy(out, s->content.p, s->content.n);
        return out + s->content.n;
    }

    if (s->sticker.n == 0) {
        out = WRT_PUT(out, "\"content\":{\"text\":\"");
        out = WRT_PUT_SLICE(out, s->text);
        return WRT_PUT(out, "\"}");
    }

    out = WRT_PUT(out, "\"content\":{\"sticker\":{\"pack\":\"");
    out = WRT_PUT_SLICE(out, s->pack);
    out = WRT_PUT(out, "\",\"id\":\"");
    out = WRT_PUT_SLICE(out, s->sticker);

    return WRT_PUT(out, "\"}}");
}


/* "clientMessageId":"...", if there is one. */
static char *
wrt_put_client_id(char *out, const wrt_send_t *s)
{
    if (s->client_id.n == 0) {
        return out;
    }

    out = WRT_PUT(out, "\"clientMessageId\":\"");
    out = WRT_PUT_SLICE(out, s->client_id);

    return WRT_PUT(out, "\",");
}


/* The member's string, or null when there is none. */
static char *
wrt_put_or_null(char *out, wrt_slice_t s)
{
    if (s.n == 0) {
        return WRT_PUT(out, "null");
    }

    *out++ = '"';
    out = WRT_PUT_SLICE(out, s);
    *out++ = '"';

    return out;
}


char *
wrt_send_build(const wrt_send_t *s, wrt_slice_t conversation,
    const wrt_sender_t *from, const char *message_id, size_t *pre_len,
    size_t *head_len)
{
    char         *buf, *out;
    size_t        max;
    wrt_slice_t   id;

    id.p = message_id;
    id.n = strlen(message_id);

    /* every byte may become \u00XX */
    max = WRT_BUILD_FIXED
          + 6 * (2 * conversation.n + 2 * s->client_id.n + id.n + from->uid.n
                 + from->name.n + from->avatar.n + s->type.n + s->text.n
                 + s->pack.n + s->sticker.n + s->content.n
                 + s->reply_to.n);

    buf = malloc(max);
    if (buf == NULL) {
        return NULL;
    }

    out = WRT_PUT(buf, "{\"event\":\"message_received\","
                       "\"data\":{\"conversationId\":\"");
    out = WRT_PUT_SLICE(out, conversation);
    out = WRT_PUT(out, "\",");
    out = wrt_put_client_id(out, s);
    out = WRT_PUT(out, "\"seq\":");

    *pre_len = (size_t) (out - buf);

    out = WRT_PUT(out, ",\"message\":{\"id\":\"");
    out = WRT_PUT_SLICE(out, id);
    out = WRT_PUT(out, "\",\"conversationId\":\"");
    out = WRT_PUT_SLICE(out, conversation);
    out = WRT_PUT(out, "\",\"senderId\":\"");
    out = WRT_PUT_SLICE(out, from->uid);
    out = WRT_PUT(out, "\",\"sender\":{\"name\":\"");
    out = WRT_PUT_SLICE(out, from->name);
    out = WRT_PUT(out, "\",\"avatar\":");
    out = wrt_put_or_null(out, from->avatar);
    out = WRT_PUT(out, "},\"type\":\"");
    out = WRT_PUT_SLICE(out, s->type);
    out = WRT_PUT(out, "\",");
    out = wrt_put_content(out, s);
    out = WRT_PUT(out, ",\"status\":\"sent\",\"readBy\":[],\"replyTo\":");
    out = wrt_put_or_null(out, s->reply_to);
    out = WRT_PUT(out, ",\"reactions\":[],");
    out = wrt_put_client_id(out, s);
    out = WRT_PUT(out, "\"createdAt\":\"");

    *head_len = (size_t) (out - buf) - *pre_len;

    return buf;
}
