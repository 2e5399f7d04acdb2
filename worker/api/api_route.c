/*
 * api_route.c: which handler answers a call, and the parameters of its query.
 *
 * Unknown parameters are passed over; one that is there but empty counts as
 * absent, as forms send it.  Wrong values are refused with the name of the
 * parameter and what is allowed.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/api/api.h"

const api_route_t  api_routes[] = {
    { "GET",  "/api/conversations", conv_list, "conversations" },
    { "POST", "/api/conversations", conv_create, "create_conversation" },
    { "GET",  "/api/conversations/:", conv_get, "conversation" },
    { "PATCH", "/api/conversations/:", conv_update, "update_conversation" },
    { "POST", "/api/conversations/:/archive", conv_archive, "archive" },
    { "POST", "/api/conversations/:/unarchive", conv_unarchive, "unarchive" },
    { "POST", "/api/conversations/:/block", conv_block, "block" },
    { "DELETE", "/api/conversations/:/block", conv_unblock, "unblock" },
    { "POST", "/api/conversations/:/participants", member_add,
      "add_participant" },
    { "DELETE", "/api/conversations/:/participants/:", member_remove,
      "remove_participant" },
    { "GET",  "/api/conversations/:/messages", message_list, "messages" },

    { "GET",  "/api/conversations/:/messages/:", message_get, "message" },
    { "PATCH", "/api/conversations/:/messages/:", message_edit,
      "edit_message" },
    { "DELETE", "/api/conversations/:/messages/:", message_delete,
      "delete_message" },
    { "GET",  "/api/conversations/:/messages/:/history", message_history,
      "message_history" },
    { "PUT",  "/api/conversations/:/messages/:/reactions/*", reaction_put,
      "add_reaction" },
    { "DELETE", "/api/conversations/:/messages/:/reactions/*",
      reaction_delete, "remove_reaction" },

    { "POST", "/api/conversations/:/read", receipt_read, "read" },
    { "POST", "/api/conversations/:/delivered", receipt_delivered,
      "delivered" },
    { "GET",  "/api/consultations/:", consult_get, "consultation" },
    { "POST", "/api/consultations/:/confirm", consult_confirm,
      "confirm_consultation" },
    { "POST", "/api/consultations/:/start", consult_start,
      "start_consultation" },
    { "POST", "/api/consultations/:/end", consult_end, "end_consultation" },
    { "POST", "/api/consultations/:/cancel", consult_cancel,
      "cancel_consultation" },
    { "POST", "/api/consultations/:/no-show", consult_no_show, "no_show" },
    { "POST", "/api/consultations/:/reschedule", consult_reschedule,
      "reschedule_consultation" },
    { "GET",  "/api/consultations/:/summary", consult_summary, "summary" },
    { "GET",  "/api/consultations/:/messages", consult_messages,
      "consultation_messages" },
    { "GET",  "/api/consultations/:/transcript", consult_transcript,
      "consultation_transcript" },
    { "POST", "/api/consultations/:/satisfaction", consult_rate,
      "satisfaction" },

    { "GET",  "/api/sessions", session_list, "sessions" },
    { "GET",  "/api/sessions/:", session_get, "session" },
    { "GET",  "/api/sessions/:/transcript", session_transcript,
      "transcript" },
    { "POST", "/api/sessions/:/satisfaction", session_rate,
      "session_satisfaction" },

    { "GET",  "/api/unread", unread_list, "unread" },
    { "GET",  "/api/search", search, "search" },

    { "GET",  "/api/uploads/:", upload_get, "upload_progress" },
    { "GET",  "/api/files", file_list, "findings" },
    { "GET",  "/api/files/:", file_get, "file" },
    { "PATCH", "/api/files/:", file_update, "update_file" },
    { "POST", "/api/files/:/link", file_link, "link_file" },

    { "POST", "/api/admin/holds", hold_create, "create_hold" },
    { "GET",  "/api/admin/holds", hold_list, "holds" },
    { "DELETE", "/api/admin/holds/:", hold_release, "release_hold" },
    { "GET",  "/api/admin/audit", audit_list, "audit" },
    { "POST", "/api/admin/users/:/erase", user_erase, "erase_user" },
    { "GET",  "/api/admin/users/:/export", user_export, "export_user" },

    { "PUT",  "/api/users/:", user_put, "put_user" },
    { "GET",  "/api/users/:/presence", presence_get, "presence" },
    { "PUT",  "/api/presence", presence_put, "put_presence" },

    { "GET",  "/api/devices", device_list, "devices" },
    { "POST", "/api/devices", device_put, "put_device" },
    { "DELETE", "/api/devices", device_delete, "delete_device" },
    { "GET",  "/api/push/settings", push_get, "push_settings" },
    { "PUT",  "/api/push/settings", push_put, "put_push_settings" },
    { "PUT",  "/api/conversations/:/mute", push_mute, "mute" },

    { WRT_RPC_LOAD,    ":",   internal_load, "load" },
    { WRT_RPC_USER,    ":",   internal_user, "user" },
    { WRT_RPC_CHANGES, ":",   internal_changes, "changes" },
    { WRT_RPC_MESSAGE, ":/:", internal_message, "message_again" },
    { WRT_RPC_UPLOAD,  ":",   internal_upload, "upload" },
    { WRT_RPC_FILE,    ":/:", internal_file, "download" },

    { NULL, NULL, NULL, "none" }        /* 404 and 405 are counted here */
};

#define API_ROUTES  (sizeof(api_routes) / sizeof(api_routes[0]))

/* What nginx does not ask for: for whoever comes to such a path with another
 * method. */
static const struct {
    const char  *method;
    const char  *path;
} api_others[] = {
    { "POST", "/api/conversations/:/messages" },
    { "POST", "/api/conversations/:/upload" },
    { "GET",  "/api/files/:/download" },
    { "GET",  "/api/files/:/thumbnails/:" }
};

#define API_OTHERS  (sizeof(api_others) / sizeof(api_others[0]))

_Static_assert(API_ROUTES <= METRICS_ROUTES, "METRICS_ROUTES is too small");


const char *
api_route_name(unsigned i)
{
    return i < API_ROUTES ? api_routes[i].name : NULL;
}


/* Does the path fit the pattern?  Takes the ids out of it. */
static int
route_match(call_t *c, const char *pattern)
{
    size_t       n;
    unsigned     i;
    const char  *p;

    p = c->path;
    i = 0;

    c->rest = NULL;

    while (*pattern) {
        if (*pattern == '*') {
            c->rest = p;
            return *p != '\0' && strchr(p, '/') == NULL;
        }

        if (*pattern != ':') {
            if (*pattern++ != *p++) {
                return 0;
            }

            continue;
        }

        n = strcspn(p, "/");

        if (!wrt_id_valid(p, n)) {
            return 0;
        }

        memcpy(c->ids[i], p, n);
        c->ids[i++][n] = '\0';
        p += n;
        pattern++;
    }

    return *p == '\0';
}


/* One more method that is allowed; nginx's own calls are nobody's business. */
static void
route_allow(call_t *c, const char *method)
{
    size_t  n;

    if (c->path[0] == '/') {
        n = strlen(c->allow);
        snprintf(c->allow + n, sizeof(c->allow) - n, "%s%s%s", n ? "," : "",
                 method, strcmp(method, "GET") == 0 ? ",HEAD" : "");
    }
}


/* No handler: 405 when another method has one (RFC 9110, 15.5.6: with Allow,
 * which nginx makes of c->allow), else 404. */
static void
route_none(call_t *c, const char *method, int known)
{
    char         text[128];
    unsigned     i;

    for (i = 0; i < API_OTHERS; i++) {
        if (route_match(c, api_others[i].path)) {
            if (strcmp(api_others[i].method, method) == 0) {
                known = 0;
                break;
            }

            route_allow(c, api_others[i].method);
            known = 1;
        }
    }

    if (!known) {
        c->allow[0] = '\0';
        api_not_found(c);
        return;
    }

    snprintf(text, sizeof(text), "this method is not allowed here%s%s",
             c->allow[0] ? ", but these are: " : "", c->allow);
    api_error(c, 405, "method_not_allowed", NULL, text);
}


int
api_route(call_t *c)
{
    int          known;
    unsigned     i;
    const char  *method;

    known = 0;
    method = strcmp(c->method, "HEAD") == 0 ? "GET" : c->method;

    for (i = 0; api_routes[i].method; i++) {
        if (!route_match(c, api_routes[i].path)) {
            continue;
        }

        if (strcmp(api_routes[i].method, method) != 0) {
            route_allow(c, api_routes[i].method);
            known = 1;
            continue;
        }

        c->route = i;

        /* what begins with a slash is asked for by somebody */
        if (c->path[0] == '/' && c->user[0] == '\0') {
            api_error(c, 401, "unauthorized", NULL, "a token is required");
            return -1;
        }

        return c->path[0] == '/' ? api_params(c) : 0;
    }

    c->route = i;
    route_none(c, method, known);

    return -1;
}


static int
route_hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
           : tolower((unsigned char) c) >= 'a'
             && tolower((unsigned char) c) <= 'f'
             ? tolower((unsigned char) c) - 'a' + 10 : -1;
}


/* Decode a part of the query.  NULL: not valid. */
static char *
route_decode(const char *p, size_t n)
{
    int      hi, lo;
    char    *s;
    size_t   i, len;

    s = mem_grow(NULL, n + 1);

    for (i = 0, len = 0; i < n; i++) {
        if (p[i] == '+') {
            s[len++] = ' ';
            continue;
        }

        if (p[i] != '%') {
            s[len++] = p[i];
            continue;
        }

        hi = n - i > 2 ? route_hex(p[i + 1]) : -1;
        lo = n - i > 2 ? route_hex(p[i + 2]) : -1;

        if (hi < 0 || lo < 0 || (hi == 0 && lo == 0)) {
            free(s);
            return NULL;
        }

        s[len++] = (char) (hi << 4 | lo);
        i += 2;
    }

    s[len] = '\0';

    if (!wrt_utf8_valid((const uint8_t *) s, len)) {
        free(s);
        return NULL;
    }

    return s;
}


int
api_params(call_t *c)
{
    char        *name, *value;
    size_t       n, len;
    const char  *p;

    for (p = c->query; *p; p += n + (p[n] == '&')) {
        n = strcspn(p, "&");
        len = strcspn(p, "=&");

        if (n == 0) {
            continue;
        }

        if (c->nparams == API_PARAMS_MAX) {
            api_error(c, 400, "invalid_request", "query",
                      "too many parameters");
            return -1;
        }

        name = route_decode(p, len);
        value = len < n ? route_decode(p + len + 1, n - len - 1)
                        : mem_text("", 0);

        if (name == NULL || value == NULL) {
            free(name);
            free(value);
            api_error(c, 400, "invalid_request", "query",
                      "percent-encoded UTF-8 is required");
            return -1;
        }

        c->params[c->nparams].name = name;
        c->params[c->nparams++].value = value;
    }

    return 0;
}


/* The value, NULL when absent or empty. */
static char *
route_param(const call_t *c, const char *name)
{
    unsigned  i;

    for (i = 0; i < c->nparams; i++) {
        if (strcmp(c->params[i].name, name) == 0) {
            return c->params[i].value[0] ? c->params[i].value : NULL;
        }
    }

    return NULL;
}


static int
route_refuse(call_t *c, const char *name, const char *what)
{
    char  text[256];

    snprintf(text, sizeof(text), "%s must be %s", name, what);
    api_error(c, 400, "invalid_request", name, text);

    return -1;
}


int
api_param_int(call_t *c, const char *name, int64_t min, int64_t max,
    int64_t *out)
{
    char        what[80];
    size_t      n;
    long long   v;
    const char *s;

    s = route_param(c, name);
    if (s == NULL) {
        return 0;
    }

    n = strlen(s);
    v = n <= 16 && strspn(s, "0123456789") == n ? atoll(s) : -1;

    if (v < min || v > max || v < 0) {
        snprintf(what, sizeof(what), "a whole number from %lld to %lld",
                 (long long) min, (long long) max);
        return route_refuse(c, name, what);
    }

    *out = v;

    return 0;
}


int
api_param_bool(call_t *c, const char *name, int *out)
{
    const char  *s;

    s = route_param(c, name);
    if (s == NULL) {
        return 0;
    }

    if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0) {
        return route_refuse(c, name, "true or false");
    }

    *out = s[0] == 't';

    return 0;
}


int
api_param_time(call_t *c, const char *name, int64_t *out)
{
    char  *s, *p;

    s = route_param(c, name);
    if (s == NULL) {
        return 0;
    }

    /* the plus of +07:00 is a blank after decoding unless it was written as
     * %2B, which few do */
    for (p = s; *p; p++) {
        if (*p == ' ') {
            *p = '+';
        }
    }

    if (wrt_time_parse(s, strlen(s), out) != 0 || *out < 0) {
        return route_refuse(c, name, "a time like 2024-01-15T14:30:00Z");
    }

    return 0;
}


int
api_param_id(call_t *c, const char *name, const char **out)
{
    const char  *s;

    s = route_param(c, name);
    if (s == NULL) {
        return 0;
    }

    if (!wrt_id_valid(s, strlen(s))) {
        return route_refuse(c, name, "an id of 1 to 64 letters, digits, "
                            "underscores or hyphens");
    }

    *out = s;

    return 0;
}


int
api_param_text(call_t *c, const char *name, size_t max, const char **out)
{
    char         what[64];
    const char  *s;

    s = route_param(c, name);
    if (s == NULL) {
        return 0;
    }

    if (strlen(s) > max) {
        snprintf(what, sizeof(what), "at most %zu bytes long", max);
        return route_refuse(c, name, what);
    }

    *out = s;

    return 0;
}


int
api_param_one_of(call_t *c, const char *name, const char *const *list,
    const char *allowed, const char **out)
{
    const char  *s;

    s = route_param(c, name);
    if (s == NULL) {
        return 0;
    }

    for ( ; *list; list++) {
        if (strcmp(*list, s) == 0) {
            *out = *list;
            return 0;
        }
    }

    return route_refuse(c, name, allowed);
}
