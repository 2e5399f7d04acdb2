/*
 * test_send.c: send_message checked, and the canonical JSON made of it.
 *
 * This is the one way from what a client wrote to what other clients get.
 * Without this test a member that is not allowed could be smuggled into
 * everybody's stream, a quote or a newline in a name could break the JSON or
 * the bus header, or the two parts could stop fitting around what wrt_send
 * of writeen.lua puts between them.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include <jansson.h>

#include "common/wrt_envelope.h"
#include "tests/unit/refusal.h"

#define A16   "aaaaaaaaaaaaaaaa"
#define A64   A16 A16 A16 A16
#define A128  A64 A64

#define MAX_TEXT  64

/* malloc() of the code under test fails when told so (linked with --wrap). */
static int  malloc_fails;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);


void *
__wrap_malloc(size_t n)
{
    return malloc_fails ? NULL : __real_malloc(n);
}


static wrt_slice_t
slice(const char *s)
{
    wrt_slice_t  v;

    v.p = s;
    v.n = strlen(s);

    return v;
}


static int
parse(wrt_envelope_t *e, wrt_send_t *s, const char *data, int need_conv,
    wrt_refusal_t *why)
{
    assert_int_equal(wrt_envelope_parse_body(e, data, strlen(data), why), 0);
    memset(s, 0xA5, sizeof(*s));
    memset(why, 0, sizeof(*why));

    return wrt_send_parse(s, e, need_conv, MAX_TEXT, why);
}


static void
accepted(void **state)
{
    size_t          i;
    wrt_send_t      s;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    static const struct {
        const char  *data;
        int          need_conv;
        const char  *conversation, *type, *client_id, *reply_to, *text,
                    *pack, *sticker;
    } t[] = {
        /* all that a text may have but replyTo */
        { "{\"conversationId\":\"conversation_id\",\"type\":\"text\","
          "\"content\":{\"text\":\"Hello there!\"},"
          "\"clientMessageId\":\"client_123\"}", 1,
          "conversation_id", "text", "client_123", "", "Hello there!", "",
          "" },
        { "{\"content\":{\"text\":\"x\"}}", 0, "", "text", "", "", "x", "",
          "" },
        { "{\"type\":null,\"clientMessageId\":null,\"replyTo\":null,"
          "\"content\":{\"text\":\"x\"}}", 0, "", "text", "", "", "x", "",
          "" },
        /* a body names no conversation: the path does */
        { "{\"conversationId\":[1],\"content\":{\"text\":\"x\"}}", 0, "",
          "text", "", "", "x", "", "" },
        { "{\"conversationId\":\"c\",\"replyTo\":\"m1\",\"content\":"
          "{\"text\":\" \\n x\\t\",\"sticker\":7,\"fileInfo\":{}}}", 1, "c",
          "text", "", "m1", " \n x\t", "", "" },
        { "{\"type\":\"sticker\",\"content\":{\"sticker\":{\"pack\":\"p-1\","
          "\"id\":\"s_2\",\"url\":\"http://x\"},\"text\":\"ignored\"}}", 0,
          "", "sticker", "", "", "", "p-1", "s_2" },
        { "{\"content\":{\"text\":\"" A64 "\"}}", 0, "", "text", "", "", A64,
          "", "" },
        { "{\"content\":{\"text\":\"x\"},\"clientMessageId\":\"" A128 "\"}",
          0, "", "text", A128, "", "x", "", "" },
        { "{\"content\":{\"text\":\"x\"},\"clientMessageId\":"
          "\"\xC3\xA9:{}\\\"\\\\|\xF0\x9F\x98\x80\"}", 0, "", "text",
          "\xC3\xA9:{}\"\\|\xF0\x9F\x98\x80", "", "x", "", "" },
        /* U+200B and U+FEFF are no white space in Unicode */
        { "{\"content\":{\"text\":\"\\u3000\\u200b\"}}", 0, "", "text", "",
          "", "\xE3\x80\x80\xE2\x80\x8B", "", "" },
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        if (parse(&e, &s, t[i].data, t[i].need_conv, &why) != 0) {
            fail_msg("%s: %s", t[i].data, why.message);
        }

        check_slice(s.conversation, t[i].conversation);
        check_slice(s.type, t[i].type);
        check_slice(s.client_id, t[i].client_id);
        check_slice(s.reply_to, t[i].reply_to);
        check_slice(s.text, t[i].text);
        check_slice(s.pack, t[i].pack);
        check_slice(s.sticker, t[i].sticker);
        wrt_envelope_free(&e);
    }
}


#define TEXT_X  "\"content\":{\"text\":\"x\"}"

static const char  *refusals[][4] = {
    /* data, code, field, a word of the message */
    { "{" TEXT_X "}", "invalid_request", "conversationId", "1 to 64" },
    { "{\"conversationId\":null," TEXT_X "}", "invalid_request",
      "conversationId", "1 to 64" },
    { "{\"conversationId\":7," TEXT_X "}", "invalid_request",
      "conversationId", "1 to 64" },
    { "{\"conversationId\":\"a b\"," TEXT_X "}", "invalid_request",
      "conversationId", "1 to 64" },

#define C  "{\"conversationId\":\"c\","

    { C "\"type\":\"text\"}", "invalid_request", "content", "object" },
    { C "\"content\":null}", "invalid_request", "content", "object" },
    { C "\"content\":\"x\"}", "invalid_request", "content", "object" },
    { C "\"content\":[]}", "invalid_request", "content", "object" },
    { C "\"content\":{}}", "invalid_request", "content.text", "string" },
    { C "\"content\":{\"text\":null}}", "invalid_request",
      "content.text", "string" },
    { C "\"content\":{\"text\":1}}", "invalid_request", "content.text",
      "string" },
    { C "\"content\":{\"text\":\"\"}}", "invalid_request",
      "content.text", "white space" },
    { C "\"content\":{\"text\":\" \\t\\r\\n\"}}", "invalid_request",
      "content.text", "white space" },
    { C "\"content\":{\"text\":\"\\u000b\\u000c\\u0085\\u00a0\\u1680"
      "\\u2000\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\"}}",
      "invalid_request", "content.text", "white space" },
    { C "\"content\":{\"text\":\"" A64 "b\"}}", "too_large",
      "content.text", "at most 64 bytes" },

    { C "\"type\":\"file\"," TEXT_X "}", "invalid_request", "type",
      "text and sticker" },
    { C "\"type\":\"system\"," TEXT_X "}", "invalid_request", "type",
      "text and sticker" },
    { C "\"type\":\"image\"," TEXT_X "}", "invalid_request", "type",
      "text and sticker" },
    { C "\"type\":\"Text\"," TEXT_X "}", "invalid_request", "type",
      "text and sticker" },
    { C "\"type\":\"\"," TEXT_X "}", "invalid_request", "type",
      "text and sticker" },
    { C "\"type\":1," TEXT_X "}", "invalid_request", "type",
      "text and sticker" },

    { C "\"type\":\"sticker\"}", "invalid_request", "content",
      "object" },
    { C "\"type\":\"sticker\"," TEXT_X "}", "invalid_request",
      "content.sticker", "pack and id" },
    { C "\"type\":\"sticker\",\"content\":{\"sticker\":\"x\"}}",
      "invalid_request", "content.sticker", "pack and id" },
    { C "\"type\":\"sticker\",\"content\":{\"sticker\":{\"id\":\"s\"}}}",
      "invalid_request", "content.sticker.pack", "1 to 64" },
    { C "\"type\":\"sticker\",\"content\":{\"sticker\":{\"pack\":1,"
      "\"id\":\"s\"}}}", "invalid_request", "content.sticker.pack",
      "1 to 64" },
    { C "\"type\":\"sticker\",\"content\":{\"sticker\":{\"pack\":\"p\"}}"
      "}", "invalid_request", "content.sticker.id", "1 to 64" },
    { C "\"type\":\"sticker\",\"content\":{\"sticker\":{\"pack\":\"p\","
      "\"id\":\"../x\"}}}", "invalid_request", "content.sticker.id",
      "1 to 64" },

    { C "\"clientMessageId\":\"\"," TEXT_X "}", "invalid_request",
      "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":7," TEXT_X "}", "invalid_request",
      "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":\"" A128 "b\"," TEXT_X "}",
      "invalid_request", "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":\"a b\"," TEXT_X "}", "invalid_request",
      "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":\"a\\n\"," TEXT_X "}", "invalid_request",
      "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":\"a\\u007f\"," TEXT_X "}",
      "invalid_request", "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":\"a\\u0080\"," TEXT_X "}",
      "invalid_request", "clientMessageId", "1 to 128" },
    { C "\"clientMessageId\":\"a\\u2003b\"," TEXT_X "}",
      "invalid_request", "clientMessageId", "1 to 128" },

    { C "\"replyTo\":\"\"," TEXT_X "}", "invalid_request", "replyTo",
      "1 to 64" },
    { C "\"replyTo\":{}," TEXT_X "}", "invalid_request", "replyTo",
      "1 to 64" },
};


static void
refused(void **state)
{
    size_t          i;
    wrt_send_t      s;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    (void) state;

    for (i = 0; i < UNIT_COUNT(refusals); i++) {
        if (parse(&e, &s, refusals[i][0], 1, &why) != -1) {
            fail_msg("%s was accepted", refusals[i][0]);
        }

        check_refusal(&why, refusals[i][1], refusals[i][2], refusals[i][3]);
        wrt_envelope_free(&e);
    }
}


/* Each character as text, and in a clientMessageId. */
static void
every_character(void **state)
{
    int              i, space, control;
    char             data[160];
    uint32_t         c;
    wrt_send_t       s;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    /* White_Space in PropList.txt, ranges */
    static const uint32_t  spaces[][2] = {
        { 0x09, 0x0D }, { 0x20, 0x20 }, { 0x85, 0x85 }, { 0xA0, 0xA0 },
        { 0x1680, 0x1680 }, { 0x2000, 0x200A }, { 0x2028, 0x2029 },
        { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 },
    };

    (void) state;

    /* to U+FFFF all, then some of each plane; written as \u escapes */
    for (c = 1; c <= 0x10FFFF; c += c < 0xFFFF ? 1 : 977) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            continue;
        }

        space = 0;
        for (i = 0; i < (int) UNIT_COUNT(spaces); i++) {
            space |= c >= spaces[i][0] && c <= spaces[i][1];
        }

        control = c < 0x20 || (c >= 0x7F && c <= 0x9F);

        if (c < 0x10000) {
            snprintf(data, sizeof(data), "{\"content\":{\"text\":\"\\u%04x\"},"
                     "\"clientMessageId\":\"\\u%04x\\u0061\"}", c, c);

        } else {
            snprintf(data, sizeof(data), "{\"content\":{\"text\":"
                     "\"\\u%04x\\u%04x\"},\"clientMessageId\":"
                     "\"\\u%04x\\u%04x\\u0061\"}",
                     0xD7C0 + (c >> 10), 0xDC00 + (c & 1023),
                     0xD7C0 + (c >> 10), 0xDC00 + (c & 1023));
        }

        i = parse(&e, &s, data, 0, &why);

        if ((i == 0) != (!space && !control)
            || (i == -1 && (strcmp(why.field, "content.text") == 0) != space))
        {
            fail_msg("U+%04X", c);
        }

        wrt_envelope_free(&e);

        /* what follows it is seen too */
        data[strlen(data) - 3] = '9';
        data[strlen(data) - 4] = '0';
        i = parse(&e, &s, data, 0, &why);
        assert_int_equal(i, -1);
        wrt_envelope_free(&e);
    }
}


static const wrt_sender_t *
sender(const char *name, const char *avatar)
{
    static wrt_sender_t  from;

    from.uid = slice("u1");
    from.role = slice("student");
    from.name = slice(name);
    from.avatar = slice(avatar);

    return &from;
}


/* Build what `data` asks for; the parts with ^ where writeen.lua goes on. */
static char *
build(const char *data, const wrt_sender_t *from)
{
    char           *parts, *text;
    size_t          pre, head;
    wrt_send_t      s;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    assert_int_equal(parse(&e, &s, data, 0, &why), 0);
    parts = wrt_send_build(&s, slice("c1"), from, "65a5421f010203fefffffffe",
                           &pre, &head);
    assert_non_null(parts);
    wrt_envelope_free(&e);

    text = malloc(pre + head + 3);
    assert_non_null(text);
    snprintf(text, pre + head + 3, "%.*s^%.*s^", (int) pre, parts, (int) head,
             parts + pre);
    free(parts);

    return text;
}


static void
built_exactly(void **state)
{
    char  *text;

    (void) state;

    text = build("{\"content\":{\"text\":\"Hi \\\"you\\\"\\n\xC3\xA9\"},"
                 "\"clientMessageId\":\"k\\\"1\",\"replyTo\":\"m0\","
                 "\"type\":\"text\",\"status\":\"read\"}",
                 sender("Ani \"the\" \x01", "https://x/a.png"));
    assert_string_equal(text,
        "{\"event\":\"message_received\",\"data\":{\"conversationId\":\"c1\","
        "\"clientMessageId\":\"k\\\"1\",\"seq\":^"
        ",\"message\":{\"id\":\"65a5421f010203fefffffffe\","
        "\"conversationId\":\"c1\",\"senderId\":\"u1\","
        "\"sender\":{\"name\":\"Ani \\\"the\\\" \\u0001\","
        "\"avatar\":\"https://x/a.png\"},\"type\":\"text\","
        "\"content\":{\"text\":\"Hi \\\"you\\\"\\n\xC3\xA9\"},"
        "\"status\":\"sent\",\"readBy\":[],\"replyTo\":\"m0\","
        "\"reactions\":[],\"clientMessageId\":\"k\\\"1\",\"createdAt\":\"^");
    free(text);

    text = build("{\"type\":\"sticker\",\"content\":{\"sticker\":"
                 "{\"pack\":\"p1\",\"id\":\"s2\",\"x\":1}}}", sender("", ""));
    assert_string_equal(text,
        "{\"event\":\"message_received\",\"data\":{\"conversationId\":\"c1\","
        "\"seq\":^,\"message\":{\"id\":\"65a5421f010203fefffffffe\","
        "\"conversationId\":\"c1\",\"senderId\":\"u1\","
        "\"sender\":{\"name\":\"\",\"avatar\":null},\"type\":\"sticker\","
        "\"content\":{\"sticker\":{\"pack\":\"p1\",\"id\":\"s2\"}},"
        "\"status\":\"sent\",\"readBy\":[],\"replyTo\":null,"
        "\"reactions\":[],\"createdAt\":\"^");
    free(text);
}


/* Completed as writeen.lua does it, it is JSON that says what was put in. */
static void
built_parses(void **state)
{
    int             i;
    char           *parts, *whole, name[64], text[MAX_TEXT + 1], data[512];
    size_t          pre, head, n, j;
    json_t         *root, *d, *m;
    uint64_t        seed;
    wrt_send_t      s;
    wrt_refusal_t   why;
    wrt_envelope_t  e;

    (void) state;

    seed = unit_seed();

    for (i = 0; i < 20000; i++) {
        /* bytes 1..127, where all the escapes are */
        n = unit_below(&seed, sizeof(name));
        for (j = 0; j < n; j++) {
            name[j] = (char) (1 + unit_below(&seed, i & 1 ? 0x7F : 0x30));
        }
        name[n] = '\0';

        n = 1 + unit_below(&seed, MAX_TEXT);
        for (j = 0; j < n; j++) {
            text[j] = (char) (1 + unit_below(&seed, i & 2 ? 0x7F : 0x30));
        }
        text[0] = 'x';
        text[n] = '\0';

        n = (size_t) sprintf(data, "{\"content\":{\"text\":\"");
        n += wrt_json_escape(data + n, text, strlen(text));
        strcpy(data + n, "\"}}");

        assert_int_equal(parse(&e, &s, data, 0, &why), 0);
        check_slice(s.text, text);
        parts = wrt_send_build(&s, slice("c1"), sender(name, name), "m1",
                               &pre, &head);
        assert_non_null(parts);
        wrt_envelope_free(&e);
        assert_null(memchr(parts, '\n', pre + head));

        whole = malloc(pre + head + 128);
        assert_non_null(whole);
        snprintf(whole, pre + head + 128, "%.*s7%.*s"
                 "2024-01-15T14:30:00.000Z\",\"seq\":7}}}", (int) pre, parts,
                 (int) head, parts + pre);
        free(parts);

        root = json_loads(whole, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        d = json_object_get(root, "data");
        m = json_object_get(d, "message");
        assert_int_equal(json_object_size(root), 2);
        assert_int_equal(json_object_size(d), 3);
        assert_int_equal(json_object_size(m), 12);
        assert_int_equal(json_integer_value(json_object_get(d, "seq")), 7);
        assert_int_equal(json_integer_value(json_object_get(m, "seq")), 7);
        assert_string_equal(json_string_value(json_object_get(
            json_object_get(m, "sender"), "name")), name);
        assert_string_equal(json_string_value(json_object_get(
            json_object_get(m, "content"), "text")), text);
        json_decref(root);
        free(whole);
    }
}


/* The largest of everything, all to be escaped: within what was allocated
 * (a sanitizer or the heap's own checks would tell). */
static void
worst_case_fits(void **state)
{
    char           *big, *parts;
    size_t          pre, head;
    wrt_send_t      s;
    wrt_sender_t    from;

    enum { BIG = 100000 };

    (void) state;

    big = malloc(BIG);
    assert_non_null(big);
    memset(big, 1, BIG);

    s.conversation.p = s.type.p = s.client_id.p = s.reply_to.p = s.text.p
        = s.pack.p = s.sticker.p = big;
    from.uid.p = from.role.p = from.name.p = from.avatar.p = big;
    s.conversation.n = s.type.n = s.client_id.n = s.reply_to.n = s.text.n
        = s.pack.n = BIG;
    s.sticker.n = 0;
    s.content.n = 0;
    from.uid.n = from.role.n = from.name.n = from.avatar.n = BIG;

    parts = wrt_send_build(&s, s.conversation, &from, "m", &pre, &head);
    assert_non_null(parts);
    /* conversation twice, client_id twice, six others */
    assert_in_range(pre + head, 6 * 10 * BIG, 6 * 10 * BIG + 512);
    free(parts);

    s.sticker.n = BIG;
    parts = wrt_send_build(&s, s.conversation, &from, "m", &pre, &head);
    assert_non_null(parts);
    /* pack and sticker instead of text */
    assert_in_range(pre + head, 6 * 11 * BIG, 6 * 11 * BIG + 512);
    free(parts);

    malloc_fails = 1;
    parts = wrt_send_build(&s, s.conversation, &from, "m", &pre, &head);
    malloc_fails = 0;
    assert_null(parts);

    free(big);
}


static size_t
escape_slowly(char *out, const char *p, size_t n)
{
    size_t         i, len;
    const char    *at;
    unsigned char  c;

    static const char  from[] = "\n\r\t\b\f\"\\", to[] = "nrtbf\"\\";

    for (i = 0, len = 0; i < n; i++) {
        c = (unsigned char) p[i];
        at = c ? strchr(from, c) : NULL;

        if (at) {
            out[len++] = '\\';
            out[len++] = to[at - from];

        } else if (c < 0x20) {
            len += (size_t) sprintf(out + len, "\\u%04x", c);

        } else {
            out[len++] = (char) c;
        }
    }

    return len;
}


static void
escapes(void **state)
{
    int       i;
    char      in[64], want[6 * 64 + 1], *got;
    size_t    n, j;
    uint64_t  seed;

    (void) state;

    assert_int_equal(wrt_json_escape(want, NULL, 0), 0);

    /* each byte at each place of a word */
    for (i = 0; i < 256; i++) {
        for (j = 0; j < 17; j++) {
            memset(in, 'a', 17);
            in[j] = (char) i;
            n = escape_slowly(want, in, 17);
            got = malloc(6 * 17);
            assert_non_null(got);
            assert_int_equal(wrt_json_escape(got, unit_edge(in, 17), 17), n);
            assert_memory_equal(got, want, n);
            free(got);
        }
    }

    seed = unit_seed();

    for (i = 0; i < 200000; i++) {
        n = unit_below(&seed, sizeof(in) + 1);

        for (j = 0; j < n; j++) {
            in[j] = (char) unit_random(&seed);
        }

        got = malloc(6 * n + 1);
        assert_non_null(got);
        j = wrt_json_escape(got, unit_edge(in, n), n);
        assert_int_equal(j, escape_slowly(want, in, n));
        assert_memory_equal(got, want, j);
        free(got);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(every_character),
        cmocka_unit_test(built_exactly),
        cmocka_unit_test(built_parses),
        cmocka_unit_test(worst_case_fits),
        cmocka_unit_test(escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
