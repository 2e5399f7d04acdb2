/*
 * fuzz_envelope.c: any text from a client through the envelope.
 *
 * First byte: bit 0 a REST body instead of an event, the rest chooses the
 * limit of a text.  What holds:
 *   - a refusal has a code and a text; an event that is accepted has a name,
 *     and everything read from it is of the promised form;
 *   - a message that is accepted gives JSON without a newline, of exactly the
 *     members that are allowed, with the values that were sent;
 *   - what was built, sent again, is accepted and says the same.
 */

#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "common/wrt_envelope.h"
#include "common/wrt_id.h"
#include "common/wrt_utf8.h"

static const char *const  names[] = {
    "conversationId", "messageId", "clientMessageId", "replyTo", "type",
    "content", "text", "isTyping", "afterSeq", "conversations", "token",
    "status", "emoji", "a", ""
};

#define NAMES  (sizeof(names) / sizeof(names[0]))


static void
check_refusal(const wrt_refusal_t *why)
{
    const char  *p;

    FUZZ_CHECK(why->code != NULL && why->message != NULL);
    FUZZ_CHECK(strcmp(why->code, "invalid_request") == 0
               || strcmp(why->code, "too_large") == 0);

    for (p = why->message; *p; p++) {
        FUZZ_CHECK(*p >= ' ' && *p < 0x7F && *p != '"' && *p != '\\');
    }
}


static void
check_text(wrt_slice_t s, size_t max)
{
    FUZZ_CHECK(s.n <= max);
    FUZZ_CHECK(wrt_utf8_valid((const uint8_t *) s.p, s.n));
}


static int
check_pair(void *data, wrt_slice_t id, int64_t seq)
{
    int  *left = data;

    FUZZ_CHECK(wrt_id_valid(id.p, id.n));
    FUZZ_CHECK(seq >= 0 && seq < INT64_C(1) << 53);

    return --*left == 0;
}


static void
check_members(const wrt_envelope_t *e)
{
    int             rc, b, left;
    size_t          i;
    int64_t         n;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    for (i = 0; i < NAMES; i++) {
        rc = wrt_envelope_id(e, names[i], &s, &why);
        FUZZ_CHECK(rc == 1 ? wrt_id_valid(s.p, s.n) : rc == 0 || rc == -1);
        if (rc == -1) {
            check_refusal(&why);
            FUZZ_CHECK(why.field == names[i]);
        }

        rc = wrt_envelope_string(e, names[i], 20, &s, &why);
        if (rc == 1) {
            check_text(s, 20);
        } else if (rc == -1) {
            check_refusal(&why);
        }

        rc = wrt_envelope_seq(e, names[i], &n, &why);
        FUZZ_CHECK(rc != 1 || (n >= 0 && n < INT64_C(1) << 53));
        if (rc == -1) {
            check_refusal(&why);
        }

        rc = wrt_envelope_bool(e, names[i], &b, &why);
        FUZZ_CHECK(rc != 1 || b == 0 || b == 1);
        if (rc == -1) {
            check_refusal(&why);
        }

        left = 3;
        if (wrt_envelope_pairs(e, names[i], check_pair, &left, &why) == -1) {
            check_refusal(&why);
            FUZZ_CHECK(left == 3);
        }
    }
}


/* object.name is the string s. */
static void
check_string(const json_t *object, const char *name, wrt_slice_t s)
{
    const json_t  *v;

    v = json_object_get(object, name);
    FUZZ_CHECK(json_is_string(v));
    FUZZ_CHECK(json_string_length(v) == s.n);
    FUZZ_CHECK(memcmp(json_string_value(v), s.p, s.n) == 0);
}


static void
check_content(const json_t *m, const wrt_send_t *s)
{
    const json_t  *content, *sticker;

    content = json_object_get(m, "content");
    FUZZ_CHECK(json_object_size(content) == 1);

    if (s->type.n == 4) {
        check_string(content, "text", s->text);
        return;
    }

    sticker = json_object_get(content, "sticker");
    FUZZ_CHECK(json_object_size(sticker) == 2);
    check_string(sticker, "pack", s->pack);
    check_string(sticker, "id", s->sticker);
}


/* The event as writeen.lua completes it. */
static json_t *
complete(const char *parts, size_t pre, size_t head)
{
    char    *whole;
    json_t  *root;
    size_t   n;

    static const char  seq[] = "42", end[] = "2024-01-15T14:30:00.000Z\","
                                             "\"seq\":42}}}";

    whole = malloc(pre + head + sizeof(seq) + sizeof(end));
    FUZZ_CHECK(whole != NULL);

    n = 0;
    memcpy(whole, parts, pre);
    n += pre;
    memcpy(whole + n, seq, sizeof(seq) - 1);
    n += sizeof(seq) - 1;
    memcpy(whole + n, parts + pre, head);
    n += head;
    memcpy(whole + n, end, sizeof(end) - 1);
    n += sizeof(end) - 1;

    FUZZ_CHECK(memchr(whole, '\n', n) == NULL);

    root = json_loadb(whole, n, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(root != NULL);
    free(whole);

    return root;
}


static void
check_event(const json_t *root, const wrt_send_t *s, wrt_slice_t conversation,
    const wrt_sender_t *from)
{
    const json_t  *d, *m, *sender;

    d = json_object_get(root, "data");
    m = json_object_get(d, "message");
    sender = json_object_get(m, "sender");

    FUZZ_CHECK(json_object_size(root) == 2);
    FUZZ_CHECK(json_object_size(d) == 3u + (s->client_id.n > 0));
    FUZZ_CHECK(json_object_size(m) == 12u + (s->client_id.n > 0));
    FUZZ_CHECK(json_object_size(sender) == 2);

    check_string(d, "conversationId", conversation);
    check_string(m, "conversationId", conversation);
    check_string(m, "senderId", from->uid);
    check_string(m, "type", s->type);
    check_string(sender, "name", from->name);
    check_content(m, s);

    if (s->client_id.n) {
        check_string(d, "clientMessageId", s->client_id);
        check_string(m, "clientMessageId", s->client_id);
    }

    if (s->reply_to.n) {
        check_string(m, "replyTo", s->reply_to);

    } else {
        FUZZ_CHECK(json_is_null(json_object_get(m, "replyTo")));
    }

    if (from->avatar.n) {
        check_string(sender, "avatar", from->avatar);

    } else {
        FUZZ_CHECK(json_is_null(json_object_get(sender, "avatar")));
    }
}


static void
check_equal(wrt_slice_t a, wrt_slice_t b)
{
    FUZZ_CHECK(a.n == b.n && memcmp(a.p, b.p, a.n) == 0);
}


/* The message of the event as a body: the same message. */
static void
send_again(const json_t *root, const wrt_send_t *s, size_t max_text)
{
    char           *text;
    wrt_send_t      again;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    text = json_dumps(json_object_get(json_object_get(root, "data"),
                                      "message"), 0);
    FUZZ_CHECK(text != NULL);
    FUZZ_CHECK(wrt_envelope_parse_body(&e, text, strlen(text), &why) == 0);
    FUZZ_CHECK(wrt_send_parse(&again, &e, 1, max_text, &why) == 0);

    check_equal(again.type, s->type);
    check_equal(again.client_id, s->client_id);
    check_equal(again.reply_to, s->reply_to);
    check_equal(again.text, s->text);
    check_equal(again.pack, s->pack);
    check_equal(again.sticker, s->sticker);

    wrt_envelope_free(&e);
    free(text);
}


static void
check_send(const wrt_envelope_t *e, int need_conv, size_t max_text)
{
    char           *parts;
    json_t         *root;
    size_t          pre, head;
    wrt_send_t      s;
    wrt_slice_t     conversation;
    wrt_sender_t    from;
    wrt_refusal_t   why;

    if (wrt_send_parse(&s, e, need_conv, max_text, &why) != 0) {
        check_refusal(&why);
        FUZZ_CHECK(why.field != NULL);
        return;
    }

    check_text(s.text, max_text);
    check_text(s.client_id, WRT_CLIENT_MSG_ID_MAX);
    FUZZ_CHECK(!need_conv || wrt_id_valid(s.conversation.p,
                                          s.conversation.n));
    FUZZ_CHECK((s.text.n > 0) == (s.sticker.n == 0));
    FUZZ_CHECK((s.pack.n > 0) == (s.sticker.n > 0));

    conversation = need_conv ? s.conversation : (wrt_slice_t) { "room", 4 };
    from.uid = (wrt_slice_t) { "u1", 2 };
    from.role = (wrt_slice_t) { "tutor", 5 };
    /* any text as a name: what the client said is at hand */
    from.name = s.client_id;
    from.avatar = s.text;

    parts = wrt_send_build(&s, conversation, &from, "0123", &pre, &head);
    FUZZ_CHECK(parts != NULL);

    root = complete(parts, pre, head);
    free(parts);
    check_event(root, &s, conversation, &from);
    send_again(root, &s, max_text);
    json_decref(root);
}


/* What goes to a REST route: a segment is one, a body has nothing else. */
static void
check_command(const wrt_envelope_t *e)
{
    char           *text;
    size_t          i, n;
    json_t         *root;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    static const char *const  members[] = { "content.text", "status", NULL };

    if (wrt_envelope_segment(e, "emoji", WRT_EMOJI_MAX, &s, &why) == 1) {
        FUZZ_CHECK(s.n > 0);
        check_text(s, WRT_EMOJI_MAX);

        for (i = 0; i < s.n; i++) {
            FUZZ_CHECK((uint8_t) s.p[i] >= ' ' && s.p[i] != '/'
                       && s.p[i] != 0x7F);
        }

    } else {
        check_refusal(&why);
        FUZZ_CHECK(strcmp(why.field, "emoji") == 0);
    }

    text = wrt_envelope_dump(e, members, &n);
    FUZZ_CHECK(text != NULL);
    FUZZ_CHECK(memchr(text, '\n', n) == NULL);

    root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(json_is_object(root));
    FUZZ_CHECK(json_object_size(root)
               == (size_t) (json_object_get(root, "content") != NULL)
                  + (json_object_get(root, "status") != NULL));
    FUZZ_CHECK(json_object_size(json_object_get(root, "content")) <= 1);

    json_decref(root);
    free(text);
}


/* The same bytes as an answer of the worker pool. */
static void
check_reply(const char *p, size_t n)
{
    int            rc;
    size_t         i;
    wrt_reply_t    r;

    rc = wrt_reply_parse(&r, p, n);

    FUZZ_CHECK((rc == 0) == (r.code[0] != '\0'));
    FUZZ_CHECK(strlen(r.code) <= WRT_REPLY_CODE_MAX);
    FUZZ_CHECK(strlen(r.field) <= WRT_REPLY_FIELD_MAX);
    FUZZ_CHECK(strlen(r.message) <= WRT_REPLY_MESSAGE_MAX);
    FUZZ_CHECK(wrt_utf8_valid((const uint8_t *) r.message,
                              strlen(r.message)));

    for (i = 0; r.field[i]; i++) {
        FUZZ_CHECK(r.field[i] > ' ' && r.field[i] != '"'
                   && r.field[i] != '\\');
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int              rc, body;
    size_t           max_text;
    wrt_slice_t      text;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    if (n < 1) {
        return 0;
    }

    body = p[0] & 1;
    max_text = 1u + (p[0] >> 1);

    check_reply((const char *) p + 1, n - 1);

    rc = body ? wrt_envelope_parse_body(&e, (const char *) p + 1, n - 1, &why)
         : wrt_envelope_parse(&e, (const char *) p + 1, n - 1, &why);

    check_text(e.event, 64);
    check_text(e.id, WRT_CLIENT_ID_MAX);

    if (rc != 0) {
        check_refusal(&why);
        FUZZ_CHECK(e.data == NULL);
        wrt_envelope_free(&e);
        return 0;
    }

    FUZZ_CHECK(e.data != NULL && (body || e.event.n > 0));
    check_members(&e);
    check_command(&e);

    if (wrt_envelope_text(&e, max_text, &text, &why) == 0) {
        FUZZ_CHECK(text.n > 0);
        check_text(text, max_text);

    } else {
        check_refusal(&why);
    }

    check_send(&e, !body, max_text);
    wrt_envelope_free(&e);

    return 0;
}
