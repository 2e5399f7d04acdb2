/*
 * api_body.c: the body of POST /api/conversations, checked.
 *
 * Unknown members are passed over, wrong types and values are refused with
 * the name of the member.  Nothing is passed on as it came: settings and
 * context are made anew from the members that are allowed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/api/api.h"

#define BODY_TEXT_OF(n)   BODY_TEXT_OF_(n)
#define BODY_TEXT_OF_(n)  #n

static const char *const  body_types[] = {
    "direct", "consultation", "group", NULL
};

static const char *const  body_roles[] = { "student", "tutor", NULL };

static const char *const  body_permission_names[] = {
    "read", "write", "upload", "download", NULL
};

/* What may be uploaded at all. */
static const char *const  body_file_types[] = {
    ".pdf", ".docx", ".pptx", ".txt", ".jpg", ".jpeg", ".png", ".gif", NULL
};


static int
body_refuse(call_t *c, const char *field, const char *message)
{
    api_error(c, 400, "invalid_request", field, message);

    return -1;
}


int
body_refused(call_t *c, const wrt_refusal_t *why)
{
    if (strcmp(why->code, "unavailable") == 0) {
        api_unavailable(c);

    } else {
        api_error(c, strcmp(why->code, "too_large") == 0 ? 413 : 400,
                  why->code, why->field, why->message);
    }

    return -1;
}


/* The place of a string in a list, or -1. */
static int
body_find(const json_t *v, const char *const *list)
{
    int          i;
    const char  *s;

    s = json_string_value(v);

    for (i = 0; s && list[i]; i++) {
        if (strcmp(list[i], s) == 0) {
            return i;
        }
    }

    return -1;
}


/* A member; NULL when absent or null. */
static json_t *
body_member(const json_t *o, const char *name)
{
    json_t  *v;

    v = json_object_get(o, name);

    return json_is_null(v) ? NULL : v;
}


unsigned
body_permission(const char *name)
{
    unsigned  i;

    for (i = 0; name && body_permission_names[i]; i++) {
        if (strcmp(body_permission_names[i], name) == 0) {
            return 1u << i;
        }
    }

    return 0;
}


void
body_letters(char out[5], unsigned bits)
{
    snprintf(out, 5, "%s%s%s%s", bits & BODY_READ ? "r" : "",
             bits & BODY_WRITE ? "w" : "", bits & BODY_UPLOAD ? "u" : "",
             bits & BODY_DOWNLOAD ? "d" : "");
}


json_t *
body_permissions(unsigned bits)
{
    json_t    *list;
    unsigned   i;

    list = json_array();

    for (i = 0; body_permission_names[i]; i++) {
        if (bits & (1u << i)) {
            json_array_append_new(list,
                                  json_string(body_permission_names[i]));
        }
    }

    return list;
}


static int
body_permission_bits(call_t *c, const json_t *list, const char *field,
    unsigned *bits)
{
    int      n;
    size_t   i;
    json_t  *v;

    *bits = BODY_ALL;

    if (list == NULL) {
        return 0;
    }

    *bits = 0;

    json_array_foreach(list, i, v) {
        n = body_find(v, body_permission_names);

        if (n < 0) {
            *bits = 0;
            break;
        }

        *bits |= 1u << n;
    }

    if (!json_is_array(list) || !(*bits & BODY_READ)) {
        return body_refuse(c, field,
                           "permissions must be a list of read, write, "
                           "upload and download, with read among them");
    }

    return 0;
}


/* Add a person unless he is there already. */
static int
body_add(call_t *c, body_t *b, json_t *seen, const char *user,
    const char *role, unsigned permissions)
{
    person_t  *p;

    if (json_object_get(seen, user)) {
        return 0;
    }

    if (b->npeople == WRT_PARTICIPANTS_MAX) {
        return body_refuse(c, "participants",
                           "at most " BODY_TEXT_OF(WRT_PARTICIPANTS_MAX)
                           " participants are allowed");
    }

    json_object_set_new(seen, user, json_true());

    p = &b->people[b->npeople++];
    p->user = user;
    p->role = role;
    p->permissions = permissions;

    return 0;
}


int
body_person(call_t *c, const json_t *from, const char *prefix, person_t *out)
{
    int          role;
    char         field[64];
    json_t      *id, *r;

    id = body_member(from, "userId");
    r = body_member(from, "role");
    role = body_find(r, body_roles);

    if (!json_is_string(id) || !wrt_id_valid(json_string_value(id),
                                             json_string_length(id)))
    {
        snprintf(field, sizeof(field), "%suserId", prefix);
        return body_refuse(c, field,
                           "an id of 1 to 64 letters, digits, underscores or "
                           "hyphens is required");
    }

    if (r && role < 0) {
        snprintf(field, sizeof(field), "%srole", prefix);
        return body_refuse(c, field, "role must be student or tutor");
    }

    snprintf(field, sizeof(field), "%spermissions", prefix);

    out->user = json_string_value(id);
    out->role = role < 0 ? NULL : body_roles[role];

    return body_permission_bits(c, body_member(from, "permissions"), field,
                                &out->permissions);
}


/* participants: [{userId, role?, permissions?}] */
static int
body_participants(call_t *c, body_t *b, json_t *seen, const json_t *list)
{
    size_t     i;
    json_t    *p;
    person_t   who;

    if (list && !json_is_array(list)) {
        return body_refuse(c, "participants", "a list is required");
    }

    json_array_foreach(list, i, p) {
        if (body_person(c, p, "participants.", &who) != 0
            || body_add(c, b, seen, who.user, who.role, who.permissions) != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
body_participant_ids(call_t *c, body_t *b, json_t *seen, const json_t *list)
{
    size_t   i;
    json_t  *id;

    if (list && !json_is_array(list)) {
        return body_refuse(c, "participantIds", "a list is required");
    }

    json_array_foreach(list, i, id) {
        if (!json_is_string(id) || !wrt_id_valid(json_string_value(id),
                                                 json_string_length(id)))
        {
            return body_refuse(c, "participantIds",
                               "ids of 1 to 64 letters, digits, underscores "
                               "or hyphens are required");
        }

        if (body_add(c, b, seen, json_string_value(id), NULL, BODY_ALL) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* The caller, unless he acts for others, and those he names. */
static int
body_people(call_t *c, body_t *b)
{
    int      rc;
    json_t  *full, *ids, *seen;

    full = body_member(b->envelope.data, "participants");
    ids = body_member(b->envelope.data, "participantIds");

    if (full == NULL && ids == NULL) {
        return body_refuse(c, "participantIds",
                           "participantIds or participants is required");
    }

    seen = json_object();
    rc = 0;

    if (c->rights == 0) {
        rc = body_add(c, b, seen, c->user,
                      strcmp(c->role, "tutor") == 0 ? "tutor" : "student",
                      BODY_ALL);
    }

    if (rc != 0 || body_participants(c, b, seen, full) != 0
        || body_participant_ids(c, b, seen, ids) != 0)
    {
        rc = -1;

    } else if (strcmp(b->type, "direct") == 0 && b->npeople != 2) {
        rc = body_refuse(c, full ? "participants" : "participantIds",
                         "a direct conversation is between exactly two "
                         "people");

    } else if (b->npeople == 0) {
        rc = body_refuse(c, full ? "participants" : "participantIds",
                         "at least one participant is required");
    }

    json_decref(seen);

    return rc;
}


/* A whole number of the settings; the default when absent. */
static int
body_number(call_t *c, const json_t *from, const char *name, json_int_t def,
    json_int_t max, json_t *to)
{
    char         field[64], text[128];
    json_t      *v;
    json_int_t   n;

    v = body_member(from, name);
    n = v ? json_integer_value(v) : def;

    if ((v && !json_is_integer(v)) || n < 1 || n > max) {
        snprintf(field, sizeof(field), "settings.%s", name);
        snprintf(text, sizeof(text), "%s must be a whole number from 1 to "
                 "%lld", name, (long long) max);
        return body_refuse(c, field, text);
    }

    json_object_set_new(to, name, json_integer(n));

    return 0;
}


static int
body_flag(call_t *c, const json_t *from, const char *name, int def,
    json_t *to)
{
    char     field[64], text[128];
    json_t  *v;

    v = body_member(from, name);

    if (v && !json_is_boolean(v)) {
        snprintf(field, sizeof(field), "settings.%s", name);
        snprintf(text, sizeof(text), "%s must be true or false", name);
        return body_refuse(c, field, text);
    }

    json_object_set_new(to, name, json_boolean(v ? json_is_true(v) : def));

    return 0;
}


static int
body_types_list(call_t *c, const json_t *from, json_t *to)
{
    int       n;
    size_t    i;
    json_t   *v, *list, *out;
    unsigned  seen;

    list = body_member(from, "allowedFileTypes");
    out = json_array();
    json_object_set_new(to, "allowedFileTypes", out);

    if (list == NULL) {
        for (n = 0; body_file_types[n]; n++) {
            json_array_append_new(out, json_string(body_file_types[n]));
        }

        return 0;
    }

    seen = 0;

    json_array_foreach(list, i, v) {
        n = body_find(v, body_file_types);

        if (n < 0 || (seen & 1u << n)) {
            break;
        }

        seen |= 1u << n;
        json_array_append_new(out, json_string(body_file_types[n]));
    }

    if (!json_is_array(list) || i < json_array_size(list)) {
        return body_refuse(c, "settings.allowedFileTypes",
                           "allowedFileTypes must be a list of .pdf, .docx, "
                           ".pptx, .txt, .jpg, .jpeg, .png and .gif, each "
                           "once at most");
    }

    return 0;
}


/* All of them, made anew from those that are given. */
static int
body_settings_of(call_t *c, const json_t *from, json_t *to)
{
    if (from && !json_is_object(from)) {
        return body_refuse(c, "settings", "an object is required");
    }

    return body_flag(c, from, "allowFileUpload", 1, to)
           || body_number(c, from, "maxFileSize", WRT_FILE_MAX, WRT_FILE_MAX,
                          to)
           || body_types_list(c, from, to)
           || body_flag(c, from, "autoArchive", 0, to)
           || body_flag(c, from, "reopenOnMessage", 0, to)
           || body_number(c, from, "retention", WRT_RETENTION_DAYS,
                          WRT_RETENTION_DAYS_MAX, to) ? -1 : 0;
}


static int
body_settings(call_t *c, body_t *b)
{
    b->settings = json_object();

    return body_settings_of(c, body_member(b->envelope.data, "settings"),
                            b->settings);
}


json_t *
body_settings_merge(call_t *c, const json_t *old, const json_t *given)
{
    json_t      *from, *to, *v;
    const char  *name;

    if (!json_is_object(given)) {
        (void) body_refuse(c, "settings", "an object is required");
        return NULL;
    }

    from = json_is_object(old) ? json_copy((json_t *) old) : json_object();

    json_object_foreach((json_t *) given, name, v) {
        if (!json_is_null(v)) {
            json_object_set(from, name, v);
        }
    }

    to = json_object();

    if (body_settings_of(c, from, to) != 0) {
        json_decref(to);
        to = NULL;
    }

    json_decref(from);

    return to;
}


static int
body_context_text(call_t *c, const json_t *from, const char *name,
    size_t max, json_t *to)
{
    char     field[64], text[128];
    json_t  *v;

    v = body_member(from, name);

    if (v && (!json_is_string(v) || json_string_length(v) > max)) {
        snprintf(field, sizeof(field), "context.%s", name);
        snprintf(text, sizeof(text), "%s must be a string of at most %zu "
                 "bytes", name, max);
        return body_refuse(c, field, text);
    }

    if (v) {
        json_object_set(to, name, v);
    }

    return 0;
}


static int
body_context_of(call_t *c, const json_t *from, json_t *to)
{
    char      at[WRT_TIME_LEN + 1];
    size_t    i;
    json_t   *v, *id;
    int64_t   ms;

    if (!json_is_object(from)) {
        return body_refuse(c, "context", "an object is required");
    }

    if (body_context_text(c, from, "topic", WRT_TOPIC_MAX, to) != 0
        || body_context_text(c, from, "course", WRT_TOPIC_MAX, to) != 0
        || body_context_text(c, from, "agenda", WRT_AGENDA_MAX, to) != 0)
    {
        return -1;
    }

    v = body_member(from, "scheduledAt");

    if (v) {
        if (!json_is_string(v)
            || wrt_time_parse(json_string_value(v), json_string_length(v),
                              &ms) != 0
            || ms < 0)
        {
            return body_refuse(c, "context.scheduledAt",
                               "a time like 2024-01-15T14:30:00Z is "
                               "required");
        }

        wrt_time_format(ms, at);
        json_object_set_new(to, "scheduledAt", json_string(at));
    }

    v = body_member(from, "documentIds");

    if (v) {
        json_array_foreach(v, i, id) {
            if (!json_is_string(id)
                || !wrt_id_valid(json_string_value(id),
                                 json_string_length(id)))
            {
                break;
            }
        }

        if (!json_is_array(v) || i < json_array_size(v)
            || i > WRT_DOCUMENTS_MAX)
        {
            return body_refuse(c, "context.documentIds",
                               "a list of at most "
                               BODY_TEXT_OF(WRT_DOCUMENTS_MAX)
                               " ids is required");
        }

        json_object_set(to, "documentIds", v);
    }

    return 0;
}


json_t *
body_context(call_t *c, const json_t *from)
{
    json_t  *to;

    to = json_object();

    if (body_context_of(c, from, to) != 0) {
        json_decref(to);
        return NULL;
    }

    return to;
}


static int
body_about(call_t *c, body_t *b)
{
    json_t  *from;

    from = body_member(b->envelope.data, "context");

    if (from) {
        b->context = body_context(c, from);
    }

    return from && b->context == NULL ? -1 : 0;
}


/* type, title, consultationId, id */
static int
body_head(call_t *c, body_t *b)
{
    int              type, rc[3];
    wrt_slice_t      title, consultation, id;
    wrt_refusal_t    why;

    type = body_find(body_member(b->envelope.data, "type"), body_types);

    if (type < 0) {
        return body_refuse(c, "type",
                           "type must be direct, consultation or group");
    }

    b->type = body_types[type];

    if ((rc[0] = wrt_envelope_string(&b->envelope, "title", WRT_TITLE_MAX,
                                     &title, &why)) < 0
        || (rc[1] = wrt_envelope_id(&b->envelope, "consultationId",
                                    &consultation, &why)) < 0
        || (rc[2] = wrt_envelope_id(&b->envelope, "id", &id, &why)) < 0)
    {
        return body_refused(c, &why);
    }

    /* slices of the envelope are whole strings, with NUL */

    if (rc[0] && title.n > 0) {
        b->title = title.p;
    }

    if (rc[1] && strcmp(b->type, "consultation") == 0) {
        b->consultation = consultation.p;
    }

    if (rc[2]) {
        if (c->rights == 0) {
            api_error(c, 403, "forbidden", "id",
                      "only a service may choose the id");
            return -1;
        }

        b->id = id.p;
    }

    return 0;
}


int
body_parse(call_t *c, body_t *b)
{
    wrt_refusal_t  why;

    if (wrt_envelope_parse_body(&b->envelope, c->body, c->body_len, &why)
        != 0)
    {
        return body_refused(c, &why);
    }

    b->people = mem_zero(WRT_PARTICIPANTS_MAX * sizeof(person_t));

    return body_head(c, b) || body_people(c, b) || body_settings(c, b)
           || body_about(c, b) ? -1 : 0;
}


void
body_free(void *p)
{
    body_t  *b = p;

    wrt_envelope_free(&b->envelope);
    json_decref(b->settings);
    json_decref(b->context);
    free(b->people);
    free(b);
}
