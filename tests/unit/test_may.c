/*
 * test_may.c: who may upload, see, have and share a file.
 *
 * Without it a file that is not known to be clean could reach somebody, or its
 * being there be told to those who are not to know.
 */

#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/api/api.h"

static int          answered;       /* status, 0 none */
static const char  *answered_code;


/* Stand-ins for api_call.c */

api_rc_t
api_error(call_t *c, int status, const char *code, const char *field,
    const char *message)
{
    (void) c;
    (void) field;

    assert_true(message[0] != '\0');
    answered = status;
    answered_code = code;

    return API_DONE;
}


api_rc_t
api_not_found(call_t *c)
{
    return api_error(c, 404, "not_found", NULL, "not found");
}


typedef int (*may_pt)(call_t *c, const access_t *x, const seen_t *f);

static const char *const  states[] = {
    "clean", "pending", "scanning", "error", "infected", "told", "nonsense"
};

#define STATES  UNIT_COUNT(states)

/* Everybody's answers, by state; 200 is yes. */
typedef struct {
    const char  *who;
    int          own;
    int          member;
    unsigned     permissions;
    int          tutor;
    unsigned     rights;
    int          see[STATES];
    int          get[STATES];
    int          share[STATES];
} row_t;

#define ALL_404   { 404, 404, 404, 404, 404, 404, 404 }
#define KNOWN     { 200, 404, 404, 404, 404, 200, 404 }
#define ALL_200   { 200, 200, 200, 200, 200, 200, 200 }
#define LATER     { 200, 425, 425, 415, 422, 422, 425 }

static const row_t  rows[] = {
    { "uploader", 1, 1, BODY_ALL, 0, 0, ALL_200, LATER, LATER },
    { "uploader who may not download", 1, 1, BODY_READ | BODY_UPLOAD, 0, 0,
      ALL_200, { 403, 425, 425, 415, 422, 422, 425 }, LATER },
    { "member", 0, 1, BODY_ALL, 0, 0, KNOWN,
      { 200, 404, 404, 404, 404, 422, 404 },
      { 403, 404, 404, 404, 404, 403, 404 } },
    { "member who may only read", 0, 1, BODY_READ, 0, 0, KNOWN,
      { 403, 404, 404, 404, 404, 422, 404 },
      { 403, 404, 404, 404, 404, 403, 404 } },
    { "member who may not even read", 0, 1, BODY_WRITE, 0, 0,
      { 403, 404, 404, 404, 404, 403, 404 },
      { 403, 404, 404, 404, 404, 403, 404 },
      { 403, 404, 404, 404, 404, 403, 404 } },
    { "tutor", 0, 1, BODY_ALL, 1, 0, KNOWN,
      { 200, 404, 404, 404, 404, 422, 404 },
      { 200, 404, 404, 404, 404, 422, 404 } },
    { "service", 0, 0, 0, 0, API_SERVICE, ALL_200, LATER, LATER },
    { "admin", 0, 0, 0, 0, API_ADMIN, ALL_200, LATER, LATER },
    { "admin who is a member", 0, 1, BODY_READ, 0, API_ADMIN, ALL_200, LATER,
      LATER }
};


static void
check(const row_t *r, const char *what, may_pt may, const int want[STATES])
{
    int       rc;
    size_t    i;
    call_t    c;
    seen_t    f;
    access_t  x;

    for (i = 0; i < STATES; i++) {
        memset(&c, 0, sizeof(c));
        memset(&x, 0, sizeof(x));
        c.user = "u1";
        c.role = "student";
        c.rights = r->rights;
        x.member = r->member;
        x.permissions = r->permissions;
        x.tutor = r->tutor;
        f.own = r->own;
        f.told = strcmp(states[i], "told") == 0 || i == 0;
        f.status = strcmp(states[i], "told") == 0 ? "infected" : states[i];

        answered = 200;
        rc = may(&c, &x, &f);

        if (answered != want[i] || (rc == 0) != (want[i] == 200)) {
            fail_msg("%s, %s, %s: %d, not %d", r->who, what, states[i],
                     answered, want[i]);
        }
    }
}


static void
files(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < UNIT_COUNT(rows); i++) {
        check(&rows[i], "see", may_see_file, rows[i].see);
        check(&rows[i], "get", may_get_file, rows[i].get);
        check(&rows[i], "share", may_share_file, rows[i].share);
    }
}


static void
uploads(void **state)
{
    size_t    i;
    call_t    c = { 0 };
    access_t  x;

    static const struct {
        int         member;
        unsigned    permissions;
        int         archived;
        int         reopens;
        unsigned    rights;
        int         want;
    } tries[] = {
        { 1, BODY_ALL, 0, 0, 0, 200 },
        { 1, BODY_READ | BODY_UPLOAD, 0, 0, 0, 200 },
        { 1, BODY_ALL & ~BODY_UPLOAD, 0, 0, 0, 403 },
        { 1, BODY_ALL & ~BODY_UPLOAD, 1, 0, 0, 403 },
        { 1, BODY_ALL, 1, 0, 0, 409 },
        { 1, BODY_ALL, 1, 1, 0, 200 },
        { 1, BODY_ALL & ~BODY_UPLOAD, 1, 1, 0, 403 },
        { 1, BODY_ALL, 1, 0, API_ADMIN, 409 },
        { 1, BODY_READ, 0, 0, API_ADMIN, 403 },
        { 0, 0, 0, 0, 0, 404 },
        { 0, 0, 1, 0, API_ADMIN, 404 },
        { 0, 0, 0, 0, API_SERVICE, 404 }
    };

    (void) state;
    c.user = "u1";
    c.role = "student";

    for (i = 0; i < UNIT_COUNT(tries); i++) {
        memset(&x, 0, sizeof(x));
        x.member = tries[i].member;
        x.permissions = tries[i].permissions;
        x.archived = tries[i].archived;
        x.reopens = tries[i].reopens;
        c.rights = tries[i].rights;
        answered = 200;
        assert_int_equal(may_upload(&c, &x), tries[i].want == 200 ? 0 : -1);
        assert_int_equal(answered, tries[i].want);
    }
}


static void
findings(void **state)
{
    call_t  c = { 0 };

    (void) state;
    c.user = "u1";
    c.role = "tutor";

    assert_int_equal(may_list_findings(&c), -1);
    assert_int_equal(answered, 403);
    assert_string_equal(answered_code, "forbidden");

    c.rights = API_ADMIN;
    assert_int_equal(may_list_findings(&c), 0);
    c.rights = API_SERVICE;
    assert_int_equal(may_list_findings(&c), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(uploads),
        cmocka_unit_test(findings)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
