/*
 * test_body.c: the body of POST /api/conversations.
 *
 * Without it somebody could make a room with people or permissions that are
 * none, choose an id that is not his to choose, or get something into a
 * room's settings that no client expects there.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/api/api.h"

static int   answered;              /* status of the last answer, 0 none */
static char  answered_code[64];
static char  answered_field[64];


/* Stand-ins for api_call.c */

api_rc_t
api_error(call_t *c, int status, const char *code, const char *field,
    const char *message)
{
    (void) c;

    assert_true(message[0] != '\0');
    answered = status;
    snprintf(answered_code, sizeof(answered_code), "%s", code);
    snprintf(answered_field, sizeof(answered_field), "%s",
             field ? field : "");

    return API_DONE;
}


api_rc_t
api_unavailable(call_t *c)
{
    return api_error(c, 503, "unavailable", NULL, "try again");
}


static body_t *
parse(const char *user, const char *role, const char *text, int *rc)
{
    call_t   c;
    body_t  *b;

    memset(&c, 0, sizeof(c));
    c.user = user;
    c.role = role;
    c.rights = strcmp(role, "service") == 0 ? API_SERVICE
               : strcmp(role, "admin") == 0 ? API_ADMIN : 0;
    c.body = mem_text(text, strlen(text));
    c.body_len = strlen(text);

    answered = 0;
    answered_code[0] = '\0';
    answered_field[0] = '\0';

    b = mem_zero(sizeof(body_t));
    *rc = body_parse(&c, b);
    free(c.body);

    return b;
}


static void
check_person(const body_t *b, unsigned i, const char *user, const char *role,
    unsigned permissions)
{
    assert_true(i < b->npeople);
    assert_string_equal(b->people[i].user, user);
    assert_int_equal(b->people[i].permissions, permissions);

    if (role) {
        assert_string_equal(b->people[i].role, role);
    } else {
        assert_null(b->people[i].role);
    }
}


static void
direct(void **state)
{
    int      rc;
    body_t  *b;

    (void) state;

    /* the caller is added, once */
    b = parse("u1", "tutor",
              "{\"type\":\"direct\",\"participantIds\":[\"u2\",\"u1\","
              "\"u2\"],\"title\":\"T\",\"consultationId\":\"k1\","
              "\"unknown\":[1]}", &rc);
    assert_int_equal(rc, 0);
    assert_string_equal(b->type, "direct");
    assert_string_equal(b->title, "T");
    assert_null(b->consultation);
    assert_null(b->id);
    assert_null(b->context);
    assert_int_equal(b->npeople, 2);
    check_person(b, 0, "u1", "tutor", BODY_ALL);
    check_person(b, 1, "u2", NULL, BODY_ALL);
    body_free(b);

    /* a service acts for others */
    b = parse("svc", "service", "{\"type\":\"direct\",\"id\":\"room_1\","
              "\"participantIds\":[\"a\",\"b\"]}", &rc);
    assert_int_equal(rc, 0);
    assert_string_equal(b->id, "room_1");
    assert_int_equal(b->npeople, 2);
    body_free(b);
}


static void
participants(void **state)
{
    int      rc;
    body_t  *b;

    (void) state;

    b = parse("u1", "student",
              "{\"type\":\"consultation\",\"consultationId\":\"k1\","
              "\"title\":\"\",\"participants\":[{\"userId\":\"u2\","
              "\"role\":\"tutor\",\"permissions\":[\"read\",\"download\"]},"
              "{\"userId\":\"u3\"},{\"userId\":\"u1\",\"role\":\"tutor\"}],"
              "\"participantIds\":[\"u4\"]}", &rc);
    assert_int_equal(rc, 0);
    assert_null(b->title);
    assert_string_equal(b->consultation, "k1");
    assert_int_equal(b->npeople, 4);

    /* nobody makes himself a tutor */
    check_person(b, 0, "u1", "student", BODY_ALL);
    check_person(b, 1, "u2", "tutor", BODY_READ | BODY_DOWNLOAD);
    check_person(b, 2, "u3", NULL, BODY_ALL);
    check_person(b, 3, "u4", NULL, BODY_ALL);
    body_free(b);
}


static void
check_json(const json_t *v, const char *want)
{
    char  *have;

    have = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(have, want);
    free(have);
}


static void
settings(void **state)
{
    int      rc;
    body_t  *b;

    (void) state;

    b = parse("u1", "student",
              "{\"type\":\"group\",\"participantIds\":[]}", &rc);
    assert_int_equal(rc, 0);
    check_json(b->settings,
               "{\"allowFileUpload\":true,\"maxFileSize\":10485760,"
               "\"allowedFileTypes\":[\".pdf\",\".docx\",\".pptx\",\".txt\","
               "\".jpg\",\".jpeg\",\".png\",\".gif\"],\"autoArchive\":false,"
               "\"reopenOnMessage\":false,\"retention\":365}");
    body_free(b);

    b = parse("u1", "student",
              "{\"type\":\"group\",\"participantIds\":[],\"settings\":{"
              "\"allowFileUpload\":false,\"maxFileSize\":1,"
              "\"allowedFileTypes\":[\".gif\"],\"autoArchive\":true,"
              "\"retention\":30,\"evil\":\"x\"},\"context\":{"
              "\"topic\":\"T\",\"course\":null,\"evil\":1,"
              "\"scheduledAt\":\"2024-01-15T21:30:00+07:00\","
              "\"agenda\":\"A\",\"documentIds\":[\"d1\",\"d2\"]}}", &rc);
    assert_int_equal(rc, 0);
    check_json(b->settings,
               "{\"allowFileUpload\":false,\"maxFileSize\":1,"
               "\"allowedFileTypes\":[\".gif\"],\"autoArchive\":true,"
               "\"reopenOnMessage\":false,\"retention\":30}");
    check_json(b->context,
               "{\"topic\":\"T\",\"agenda\":\"A\","
               "\"scheduledAt\":\"2024-01-15T14:30:00.000Z\","
               "\"documentIds\":[\"d1\",\"d2\"]}");
    body_free(b);
}


#define GROUP  "{\"type\":\"group\",\"participantIds\":[\"u2\"],"

static void
refused(void **state)
{
    int      rc;
    size_t   i;
    body_t  *b;

    static const struct {
        const char  *role, *text;
        int          status;
        const char  *field;
    } t[] = {
        { "student", "", 400, "" },
        { "student", "[]", 400, "" },
        { "student", "{\"type\":\"group\",\"type\":\"group\"}", 400, "" },
        { "student", "{\"participantIds\":[\"u2\"]}", 400, "type" },
        { "student", "{\"type\":\"party\"}", 400, "type" },
        { "student", "{\"type\":1}", 400, "type" },
        { "student", "{\"type\":\"group\"}", 400, "participantIds" },
        { "student", "{\"type\":\"group\",\"participantIds\":\"u2\"}", 400,
          "participantIds" },
        { "student", "{\"type\":\"group\",\"participantIds\":[1]}", 400,
          "participantIds" },
        { "student", "{\"type\":\"group\",\"participantIds\":[\"a b\"]}",
          400, "participantIds" },
        { "service", "{\"type\":\"group\",\"participantIds\":[]}", 400,
          "participantIds" },
        { "student", "{\"type\":\"direct\",\"participantIds\":[]}", 400,
          "participantIds" },
        { "student", "{\"type\":\"direct\",\"participantIds\":[\"u1\"]}",
          400, "participantIds" },
        { "student", "{\"type\":\"direct\",\"participantIds\":[\"u2\","
          "\"u3\"]}", 400, "participantIds" },
        { "service", "{\"type\":\"direct\",\"participantIds\":[\"u2\"]}",
          400, "participantIds" },
        { "student", "{\"type\":\"group\",\"participants\":{}}", 400,
          "participants" },
        { "student", "{\"type\":\"group\",\"participants\":[\"u2\"]}", 400,
          "participants.userId" },
        { "student", "{\"type\":\"group\",\"participants\":[{}]}", 400,
          "participants.userId" },
        { "student", "{\"type\":\"group\",\"participants\":[{\"userId\":"
          "\"u2\",\"role\":\"admin\"}]}", 400, "participants.role" },
        { "student", "{\"type\":\"group\",\"participants\":[{\"userId\":"
          "\"u2\",\"permissions\":[\"write\"]}]}", 400,
          "participants.permissions" },
        { "student", "{\"type\":\"group\",\"participants\":[{\"userId\":"
          "\"u2\",\"permissions\":[\"read\",\"rule\"]}]}", 400,
          "participants.permissions" },
        { "student", "{\"type\":\"group\",\"participants\":[{\"userId\":"
          "\"u2\",\"permissions\":\"read\"}]}", 400,
          "participants.permissions" },
        { "student", GROUP "\"title\":1}", 400, "title" },
        { "student", GROUP "\"consultationId\":7}", 400, "consultationId" },
        { "student", GROUP "\"id\":\"mine\"}", 403, "id" },
        { "tutor", GROUP "\"id\":\"mine\"}", 403, "id" },
        { "service", GROUP "\"id\":\"not an id\"}", 400, "id" },
        { "student", GROUP "\"settings\":[]}", 400, "settings" },
        { "student", GROUP "\"settings\":{\"allowFileUpload\":1}}", 400,
          "settings.allowFileUpload" },
        { "student", GROUP "\"settings\":{\"maxFileSize\":10485761}}", 400,
          "settings.maxFileSize" },
        { "student", GROUP "\"settings\":{\"maxFileSize\":0}}", 400,
          "settings.maxFileSize" },
        { "student", GROUP "\"settings\":{\"maxFileSize\":1.5}}", 400,
          "settings.maxFileSize" },
        { "student", GROUP "\"settings\":{\"allowedFileTypes\":[\".exe\"]}}",
          400, "settings.allowedFileTypes" },
        { "student", GROUP "\"settings\":{\"allowedFileTypes\":\".pdf\"}}",
          400, "settings.allowedFileTypes" },
        { "student", GROUP "\"settings\":{\"autoArchive\":\"no\"}}", 400,
          "settings.autoArchive" },
        { "student", GROUP "\"settings\":{\"retention\":36501}}", 400,
          "settings.retention" },
        { "student", GROUP "\"context\":\"x\"}", 400, "context" },
        { "student", GROUP "\"context\":{\"topic\":1}}", 400,
          "context.topic" },
        { "student", GROUP "\"context\":{\"scheduledAt\":\"soon\"}}", 400,
          "context.scheduledAt" },
        { "student", GROUP "\"context\":{\"documentIds\":[\"a b\"]}}", 400,
          "context.documentIds" },
        { "student", GROUP "\"context\":{\"documentIds\":\"d1\"}}", 400,
          "context.documentIds" }
    };

    (void) state;

    for (i = 0; i < UNIT_COUNT(t); i++) {
        b = parse("u1", t[i].role, t[i].text, &rc);
        assert_int_equal(rc, -1);
        assert_int_equal(answered, t[i].status);
        assert_string_equal(answered_field, t[i].field);
        assert_string_equal(answered_code, t[i].status == 403
                            ? "forbidden" : "invalid_request");
        body_free(b);
    }
}


/* As many people as a room may have, and one more. */
static void
many(void **state)
{
    int       rc;
    buf_t     text;
    body_t   *b;
    unsigned  i, n;

    (void) state;

    memset(&text, 0, sizeof(text));

    for (n = WRT_PARTICIPANTS_MAX - 1; n <= WRT_PARTICIPANTS_MAX; n++) {
        buf_clear(&text);
        buf_text(&text, "{\"type\":\"group\",\"participantIds\":[");

        for (i = 0; i < n; i++) {
            buf_fmt(&text, "%s\"p%u\"", i ? "," : "", i);
        }

        buf_text(&text, "]}");
        b = parse("u1", "student", text.p, &rc);

        if (n < WRT_PARTICIPANTS_MAX) {
            assert_int_equal(rc, 0);
            assert_int_equal(b->npeople, WRT_PARTICIPANTS_MAX);

        } else {
            assert_int_equal(rc, -1);
            assert_string_equal(answered_field, "participants");
        }

        body_free(b);
    }

    buf_free(&text);
}


static void
permissions(void **state)
{
    json_t  *list;

    (void) state;

    list = body_permissions(BODY_READ | BODY_UPLOAD);
    check_json(list, "[\"read\",\"upload\"]");
    json_decref(list);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(direct),
        cmocka_unit_test(participants),
        cmocka_unit_test(settings),
        cmocka_unit_test(refused),
        cmocka_unit_test(many),
        cmocka_unit_test(permissions)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
