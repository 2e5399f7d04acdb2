/*
 * fuzz_event.c: any bytes as an entry of an ingest stream.
 *
 * Up to the first NUL the entry's id, up to the next the conversation, then the
 * payload; behind the last NUL, if there are three, the extra.  What holds:
 *   - an event that is accepted has the ids, the number and the bodies that
 *     its kind must have, and no other;
 *   - what is accepted whole is so by the projector, which takes of a message
 *     what the store wants, and finds the same there;
 *   - one that is not can still be made a fence, which has no body;
 *   - nothing is lost or freed twice (the sanitizers say so).
 */

#include "tests/fuzz/fuzz.h"

#include "worker/worker.h"

#define PARTS  4


static void
check(entry_t *e, wrt_slice_t conversation)
{
    event_t  *ev;

    ev = &e->ev;

    FUZZ_CHECK(ev->kind != 0 && ev->seq >= 0);
    FUZZ_CHECK(event_numbered(e) == (ev->seq > 0));
    FUZZ_CHECK(strlen(ev->conversation) == conversation.n);
    FUZZ_CHECK(strcmp(ev->conversation, conversation.p) == 0);
    FUZZ_CHECK(strcmp(ev->conversation, "-") == 0
               || wrt_id_valid(ev->conversation, conversation.n));
    FUZZ_CHECK(ev->actor[0] == '\0'
               || wrt_id_valid(ev->actor, strlen(ev->actor)));
    FUZZ_CHECK(ev->target[0] == '\0'
               || wrt_id_valid(ev->target, strlen(ev->target)));
    FUZZ_CHECK(ev->body == NULL || json_is_object(ev->body));
    FUZZ_CHECK(ev->extra == NULL || json_is_object(ev->extra));
    FUZZ_CHECK(ev->kind != WRT_EV_FENCE || ev->body == NULL);

    switch (ev->kind) {

    case WRT_EV_MESSAGE:
        FUZZ_CHECK(ev->seq > 0 && ev->actor[0] != '\0');
        break;

    case WRT_EV_JOIN:
    case WRT_EV_LEAVE:
        FUZZ_CHECK(ev->seq > 0 && ev->target[0] != '\0');
        break;

    case WRT_EV_CHANGE:
    case WRT_EV_FENCE:
        FUZZ_CHECK(ev->seq > 0);
    }
}


static int
same(const json_t *a, const json_t *b)
{
    return a == NULL || b == NULL ? a == b : json_equal(a, b);
}


/* one: the whole; other: what the projector takes of it. */
static void
compare(const event_t *one, const event_t *other)
{
    size_t   i;
    json_t  *a, *b;

    static const char *const  wanted[] = {
        "id", "senderId", "type", "content", "replyTo", "clientMessageId",
        "createdAt"
    };

    FUZZ_CHECK(one->kind == other->kind && one->seq == other->seq);
    FUZZ_CHECK(same(one->extra, other->extra));

    if (one->kind != WRT_EV_MESSAGE) {
        FUZZ_CHECK(same(one->body, other->body));
        return;
    }

    a = json_object_get(one->body, "data");
    b = json_object_get(other->body, "data");
    FUZZ_CHECK(json_is_object(a) ? json_is_object(b) : same(a, b));
    FUZZ_CHECK(same(json_object_get(a, "clientMessageId"),
                    json_object_get(b, "clientMessageId")));

    a = json_object_get(a, "message");
    b = json_object_get(b, "message");
    FUZZ_CHECK(json_is_object(a) ? json_is_object(b) : same(a, b));

    for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        FUZZ_CHECK(same(json_object_get(a, wanted[i]),
                        json_object_get(b, wanted[i])));
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int          i;
    char        *text[PARTS];
    size_t       len;
    entry_t      e, part;
    const char  *why;
    wrt_slice_t  s[PARTS];

    for (i = 0; i < PARTS; i++) {
        len = i < PARTS - 1 ? strnlen((const char *) p, n) : n;

        text[i] = malloc(len + 1);
        FUZZ_CHECK(text[i] != NULL);
        memcpy(text[i], p, len);
        text[i][len] = '\0';

        s[i].p = text[i];
        s[i].n = len;

        len += len < n;
        p += len;
        n -= len;
    }

    why = event_decode(&e, text[0], s[1], s[2], s[3], 1);

    if (why == NULL) {
        check(&e, s[1]);
        FUZZ_CHECK(event_decode(&part, text[0], s[1], s[2], s[3], 0) == NULL);
        compare(&e.ev, &part.ev);

    } else {
        FUZZ_CHECK(why[0] != '\0');

        if (event_decode(&part, text[0], s[1], s[2], s[3], 0) == NULL) {
            /* in what the store does not look at */
            FUZZ_CHECK(part.ev.kind == WRT_EV_MESSAGE);
            check(&part, s[1]);
        }
    }

    event_free(&part);

    event_to_fence(&e);
    FUZZ_CHECK(e.ev.body == NULL && e.ev.extra == NULL);
    FUZZ_CHECK(e.ev.kind == WRT_EV_FENCE);
    event_free(&e);

    for (i = 0; i < PARTS; i++) {
        free(text[i]);
    }

    return 0;
}
