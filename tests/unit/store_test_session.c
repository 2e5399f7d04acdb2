/*
 * store_test_session.c: consultations and sessions as events, and as they are
 * found again.
 */

#include <string.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "tests/unit/store_test.h"


static json_t *
time_text(int64_t at)
{
    char  text[WRT_TIME_LEN + 1];

    wrt_time_format(STORE_TEST_T0 + at, text);

    return json_string(text);
}


void
events_started(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, json_t *set, int64_t at)
{
    json_t  *content;

    content = json_pack("{s:{s:s, s:{}}}", "systemMessage", "action",
                        "consultation_started", "data");
    events_content(l, conversation, seq, id, by, "system", content, at);
    l->ev[l->n - 1].extra = json_pack("{s:o}", "set", set);
}


void
events_consultation(events_t *l, const char *conversation,
    const char *consultation, int64_t at)
{
    json_t  *body;

    events_create(l, conversation, "consultation", "s1 t1", at);
    body = l->ev[l->n - 1].body;
    json_object_set_new(body, "consultationId", json_string(consultation));
    json_object_set_new(body, "context",
                        json_pack("{s:s}", "topic", "first"));
}


json_t *
events_consult(const char *id, const char *status, const char *flags,
    int64_t at)
{
    json_t  *v;

    v = json_pack("{s:s, s:s, s:o}", "id", id, "status", status, "at",
                  time_text(at));

    if (strchr(flags, 'f')) {
        json_object_set_new(v, "first", json_true());
    }

    if (strchr(flags, 'c')) {
        json_object_set_new(v, "current", json_true());
    }

    return v;
}


json_t *
events_session(const char *conversation, const char *id, int rev,
    const char *status, int64_t start_seq, int64_t end_seq, int64_t start,
    int64_t end)
{
    json_t  *v;

    v = json_pack("{s:s, s:i, s:s, s:n, s:s, s:s, s:I, s:o, s:n, s:n, s:n}",
                  "id", id, "rev", rev, "conversationId", conversation,
                  "consultationId", "sessionType", "general", "status",
                  status, "startSeq", (json_int_t) start_seq, "endSeq",
                  end_seq < 0 ? json_null() : json_integer(end_seq),
                  "title", "context", "transcript");
    json_object_set_new(v, "startTime", time_text(start));
    json_object_set_new(v, "endTime", end_seq < 0 ? json_null()
                                                  : time_text(end));
    json_object_set_new(v, "createdAt", time_text(start));
    json_object_set_new(v, "updatedAt", time_text(start + rev));
    json_object_set_new(v, "participants",
                        json_pack("[{s:s, s:i}]", "userId", "s1",
                                  "messageCount", rev));
    json_object_set_new(v, "analytics",
                        json_pack("{s:f}", "engagement", 0.25 * rev));
    assert_non_null(v);

    return v;
}


void
events_record(events_t *l, const char *conversation, json_t *body)
{
    assert_non_null(body);
    events_add(l, WRT_EV_SESSION, conversation, 0, "", "", body, NULL);
}


void
events_sessions(events_t *l, const char *conversation, const char *user)
{
    json_t  *s;

    events_record(l, conversation,
                  json_pack("{s:s, s:s, s:s, s:i, s:i, s:s}", "op", "part",
                            "sessionId", "g1", "run", "r1", "part", 0, "rev",
                            3, "text", "{\"a\":1}\n"));
    s = events_session(conversation, "g1", 3, "completed", 1, 3, 1000, 3000);
    json_object_set_new(s, "transcript",
                        json_pack("{s:s, s:i}", "run", "r1", "parts", 1));
    events_record(l, conversation,
                  json_pack("{s:s, s:o}", "op", "put", "session", s));
    events_record(l, conversation,
                  json_pack("{s:s, s:s, s:s, s:i, s:n, s:o}", "op", "rate",
                            "sessionId", "g1", "userId", user, "rating", 4,
                            "comment", "at", time_text(7000)));
}


json_t *
events_everything(const char *conversation, int64_t seq, int64_t at)
{
    json_t  *set;

    set = json_of("{'title':'x','archived':true,'settings':{'a':1},"
                  "'block':{'userId':'s2','by':'s1','on':true}}");
    json_object_set_new(set, "consultation",
                        events_consult("k2", "started", "fc", at));
    json_object_set_new(set, "session",
                        events_session(conversation, "x2", 1, "active", seq,
                                       -1, at, 0));

    return set;
}


void
snapshot_sessions(store_t *st, const char *conversation, json_t *into)
{
    json_t            *list, *v, *part;
    size_t             i;
    int64_t            total;
    const char        *id, *run;
    store_sessions_t   q = { NULL, conversation, NULL, NULL, NULL, 1, 1, 100,
                             0, 0 };

    assert_int_equal(store_sessions(st, &q, &list, &total), STORE_OK);
    assert_int_equal(total, json_array_size(list));

    json_array_foreach(list, i, v) {
        id = json_string_value(json_object_get(v, "id"));
        run = json_string_value(json_object_get(
                  json_object_get(v, "transcript"), "run"));

        assert_int_equal(store_session(st, id, &part), STORE_OK);
        assert_true(json_equal(part, v));
        json_decref(part);

        if (run && store_session_part(st, id, run, 0, &part) == STORE_OK) {
            json_object_set_new(v, "part", part);
        }
    }

    json_object_set_new(into, "sessions", list);
}
