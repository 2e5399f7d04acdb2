/*
 * api_user.c: PUT /api/users/:id, a profile as a service has it.
 *
 * Such a profile stays, whatever tokens say later (wrt_profile, the store).
 */

#include <string.h>

#include "worker/api/api.h"

static const char *const  user_roles[] = {
    "student", "tutor", "admin", NULL
};


/* One of user_roles, NULL when not said.  0, or -1: answered. */
static int
user_role(call_t *c, const wrt_envelope_t *e, const char **out)
{
    int             i, rc;
    wrt_slice_t     s;
    wrt_refusal_t   why;

    *out = NULL;
    rc = wrt_envelope_string(e, "role", WRT_ID_MAX, &s, &why);

    if (rc == 0) {
        return 0;
    }

    for (i = 0; rc == 1 && user_roles[i]; i++) {
        if (strcmp(user_roles[i], s.p) == 0) {
            *out = user_roles[i];
            return 0;
        }
    }

    api_error(c, 400, "invalid_request", "role",
              "role must be student, tutor or admin");

    return -1;
}


/* What the profile is to be: {"name","avatar"?,"role"?}.  role: of somebody of
 * whom it is not said.  NULL: answered. */
static json_t *
user_profile(call_t *c, const wrt_envelope_t *e, const char *def)
{
    int             rc;
    const char     *role;
    wrt_slice_t     name, avatar;
    wrt_refusal_t   why;

    rc = wrt_envelope_string(e, "name", WRT_NAME_MAX, &name, &why);

    if (rc == 0 || (rc == 1 && wrt_is_blank(name))) {
        api_error(c, 400, "invalid_request", "name", "a name is required");
        return NULL;
    }

    if (rc == 1) {
        rc = wrt_envelope_string(e, "avatar", WRT_URL_MAX, &avatar, &why);
    }

    if (rc < 0) {
        body_refused(c, &why);
        return NULL;
    }

    if (user_role(c, e, &role) != 0) {
        return NULL;
    }

    return json_pack("{s:s, s:s?, s:s}", "name", name.p, "avatar",
                     rc == 1 && avatar.n ? avatar.p : NULL, "role",
                     role ? role : def);
}


/* Queue it.  0, or -1: answered. */
static int
user_set(api_t *a, call_t *c, const char *def)
{
    int              rc;
    buf_t            text;
    json_t          *v;
    wrt_refusal_t    why;
    wrt_envelope_t   e;

    v = NULL;

    if (wrt_envelope_parse_body(&e, c->body, c->body_len, &why) != 0) {
        body_refused(c, &why);
    } else {
        v = user_profile(c, &e, def);
    }

    wrt_envelope_free(&e);

    if (v == NULL) {
        return -1;
    }

    memset(&text, 0, sizeof(text));
    buf_json(&text, v);
    json_decref(v);

    rc = api_profile_put(a, c->ids[0], &text, 1);
    buf_free(&text);

    if (rc != 0) {
        api_unavailable(c);
    }

    return rc;
}


/* What the store has of him; NULL with *rc. */
static json_t *
user_read(api_t *a, store_t *st, const char *id, store_rc_t *rc)
{
    json_t  *user;

    *rc = store_user(st, id, &user, NULL);
    role_store_result(a->role, *rc);

    return *rc == STORE_OK ? user : NULL;
}


int
user_named(api_t *a, call_t *c, store_t *st)
{
    int          managed;
    json_t      *user;
    store_rc_t   rc;

    rc = store_user(st, c->user, &user, &managed);
    role_store_result(a->role, rc);

    if (rc != STORE_OK && rc != STORE_NOT_FOUND) {
        api_store_error(a, c, rc);
        return -1;
    }

    if (rc == STORE_OK && managed) {
        json_object_set(c->identity, "name", json_object_get(user, "name"));
        json_object_set(c->identity, "avatar",
                        json_object_get(user, "avatar"));
        call_names(c);
    }

    json_decref(user);

    return 0;
}


api_rc_t
user_put(api_t *a, call_t *c)
{
    int          rc;
    json_t      *user;
    store_t     *st;
    const char  *role;
    store_rc_t   src;

    if (may_set_users(c) != 0) {
        return API_DONE;
    }

    st = api_store(a, c);
    if (st == NULL) {
        return API_DONE;
    }

    user = user_read(a, st, c->ids[0], &src);

    if (user == NULL && (src != STORE_NOT_FOUND || c->step > 0)) {
        return api_store_error(a, c, src);
    }

    if (c->step == 0) {
        role = json_string_value(json_object_get(user, "role"));
        rc = user_set(a, c, role ? role : user_roles[0]);
        json_decref(user);

        rc = rc == 0 ? api_wait_shard(a, c, c->ids[0]) : -1;

        if (rc != 0) {
            return rc < 0 ? API_DONE : API_WAIT;
        }

        user = user_read(a, st, c->ids[0], &src);

        if (user == NULL) {
            return api_store_error(a, c, src);
        }
    }

    return api_ok(c, 200, "User updated successfully",
                  json_pack("{s:o}", "user", user));
}
