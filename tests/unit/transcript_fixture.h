/*
 * transcript_fixture.h: transcripts of the fixtures, with the same salts each
 * time.
 */

#ifndef TRANSCRIPT_FIXTURE_H
#define TRANSCRIPT_FIXTURE_H

#include "tests/unit/session_fixture.h"
#include "worker/session/transcript_internal.h"

static const uint8_t  fixture_key[TRANSCRIPT_KEY_BYTES] =
    "a key of the tests only";


/* Of a fixture; fixture_input_free() afterwards. */
static inline void
fixture_input(const json_t *doc, transcript_input_t *in)
{
    json_t     *session;
    session_t  *s;

    memset(in, 0, sizeof(*in));
    s = fixture_open(doc);
    in->document = session_document(s);
    session_close(s);

    session = json_pack("{s:s, s:s?, s:s?, s:s?, s:O, s:O, s:{s:s}}",
                        "sessionId", "s1", "conversationId",
                        json_string_value(json_object_get(doc,
                                                          "conversationId")),
                        "sessionType", "consultation", "title",
                        json_string_value(json_object_get(doc, "title")),
                        "startTime", json_object_get(doc, "startTime"),
                        "endTime", json_object_get(doc, "endTime"),
                        "context", "topic", "Bab 3");
    assert_non_null(session);

    in->session = session;
    in->participants = json_object_get(doc, "participants");
    in->messages = json_object_get(doc, "messages");
    in->key = fixture_key;
}


static inline void
fixture_input_free(transcript_input_t *in)
{
    json_decref((json_t *) in->session);
    json_decref((json_t *) in->document);
}


static inline json_t *
fixture_transcript(const json_t *doc)
{
    char                 err[TRANSCRIPT_ERROR_SIZE];
    json_t              *t;
    transcript_input_t   in;

    fixture_input(doc, &in);
    t = transcript_make(&in, err);

    if (t == NULL) {
        fail_msg("%s", err);
    }

    fixture_input_free(&in);

    return t;
}

#endif
