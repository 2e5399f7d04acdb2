/*
 * session_fixture.h: the two written transcripts, and small sessions made of a
 * few lines.
 */

#ifndef SESSION_FIXTURE_H
#define SESSION_FIXTURE_H

#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>

#include "common/wrt_id.h"
#include "worker/session/session.h"

#define FIXTURE_OFFSET  420             /* Jakarta */
#define FIXTURE_MONDAY  1795399200000   /* 2026-11-23 02:00:00 UTC */


static inline json_t *
fixture_load(const char *name)
{
    char           path[256];
    json_t        *doc;
    json_error_t   e;

    snprintf(path, sizeof(path), "tests/unit/files/%s", name);
    doc = json_load_file(path, JSON_REJECT_DUPLICATES, &e);

    if (doc == NULL) {
        fail_msg("%s:%d: %s", path, e.line, e.text);
    }

    return doc;
}


static inline int64_t
fixture_time(const json_t *doc, const char *key)
{
    int64_t      ms;
    const char  *text;

    text = json_string_value(json_object_get(doc, key));
    assert_non_null(text);
    assert_int_equal(wrt_time_parse(text, strlen(text), &ms), 0);

    return ms;
}


static inline session_t *
fixture_open(const json_t *doc)
{
    char              err[SESSION_ERROR_SIZE];
    session_t        *s;
    session_input_t   in;

    memset(&in, 0, sizeof(in));
    in.messages = json_object_get(doc, "messages");
    in.participants = json_object_get(doc, "participants");
    in.start = fixture_time(doc, "startTime");
    in.end = fixture_time(doc, "endTime");
    in.utc_offset = FIXTURE_OFFSET;

    s = session_open(&in, err);

    if (s == NULL) {
        fail_msg("%s", err);
    }

    return s;
}


/* The seq of a message by its id. */
static inline json_int_t
fixture_seq(const json_t *doc, const char *id)
{
    size_t         i;
    const json_t  *m;

    json_array_foreach(json_object_get(doc, "messages"), i, m) {
        if (strcmp(json_string_value(json_object_get(m, "id")), id) == 0) {
            return json_integer_value(json_object_get(m, "seq"));
        }
    }

    return -1;
}


static inline json_t *
fixture_person(const char *id, const char *role, const char *name)
{
    return json_pack("{s:s, s:s, s:{s:s}}", "userId", id, "role", role,
                     "user", "name", name);
}


/*
 * A session of Ani (student, "a") and Budi (tutor, "b"), with a third one
 * where a line is Citra's (student, "c"), one message a line, a minute after
 * the other: "a:text", "a>3:text" (a reply to message 3).
 */
static inline json_t *
fixture_talk(const char *const *lines, size_t n)
{
    int          reply;
    char         id[32], parent[32], at[WRT_TIME_LEN + 1];
    size_t       i;
    json_t      *doc, *list, *people;
    const char  *text;

    list = json_array();
    people = json_pack("[o, o]", fixture_person("a", "student", "Ani Wijaya"),
                       fixture_person("b", "tutor", "Dr. Budi Santoso"));

    for (i = 0; i < n; i++) {
        reply = lines[i][1] == '>' ? atoi(lines[i] + 2) : 0;
        text = strchr(lines[i], ':') + 1;
        snprintf(id, sizeof(id), "m%zu", i + 1);
        snprintf(parent, sizeof(parent), "m%d", reply);
        wrt_time_format(FIXTURE_MONDAY + (int64_t) i * 60000, at);

        json_array_append_new(list, json_pack(
            "{s:s, s:I, s:s#, s:s, s:{s:s}, s:s?, s:s}", "id", id,
            "seq", (json_int_t) i + 1, "senderId", lines[i], 1,
            "type", "text", "content", "text", text,
            "replyTo", reply ? parent : NULL, "createdAt", at));

        if (lines[i][0] == 'c' && json_array_size(people) == 2) {
            json_array_append_new(people, fixture_person("c", "student",
                                                         "Citra Lestari"));
        }
    }

    wrt_time_format(FIXTURE_MONDAY, at);
    doc = json_pack("{s:o, s:o, s:s}", "messages", list, "participants",
                    people, "startTime", at);
    wrt_time_format(FIXTURE_MONDAY + 3600000, at);
    json_object_set_new(doc, "endTime", json_string(at));
    assert_non_null(doc);

    return doc;
}

#endif
