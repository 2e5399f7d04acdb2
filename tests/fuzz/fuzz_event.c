/*
 * fuzz_event.c: any bytes as an entry of an ingest stream.
 *
 * Up to the first NUL the entry's id, up to the next the conversation, then the
 * payload; behind the last NUL, if there are three, the extra.  What holds:
 *   - an event that is accepted has the ids, the number and the bodies that
 *     its kind must have, and no other;
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


int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int          i;
    char        *text[PARTS];
    size_t       len;
    entry_t      e;
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

    why = event_decode(&e, text[0], s[1], s[2], s[3]);

    if (why == NULL) {
        check(&e, s[1]);

    } else {
        FUZZ_CHECK(why[0] != '\0');
    }

    event_to_fence(&e);
    FUZZ_CHECK(e.ev.body == NULL && e.ev.extra == NULL);
    FUZZ_CHECK(e.ev.kind == WRT_EV_FENCE);
    event_free(&e);

    for (i = 0; i < PARTS; i++) {
        free(text[i]);
    }

    return 0;
}
