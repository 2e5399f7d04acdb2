/*
 * api_may.c: who may do what, in one place.
 *
 *                        sender  member  tutor  creator  service  admin
 *   read, search                 r                       yes      yes
 *   send, react                  w
 *   upload                       u
 *   edit                 w
 *   delete               yes             yes                      yes
 *   title, settings,             direct  yes    yes      yes      yes
 *   archive, members
 *   users' profiles                                      yes      yes
 *
 * "r" and "w" are permissions of a member, which wrt_emit and wrt_send check
 * once more in the step that writes.  A tutor is a member whose role in the
 * room is tutor, or whose token says so.  Whoever may not even know that the
 * room exists has been answered 404 by api_access() before.
 */

#include <string.h>

#include "worker/api.h"


static int
may_not(call_t *c, const char *why)
{
    api_error(c, 403, "forbidden", NULL, why);

    return -1;
}


static int
may_as_tutor(const call_t *c, const access_t *x)
{
    return x->member && (x->tutor || strcmp(c->role, "tutor") == 0);
}


int
may_read(call_t *c, const access_t *x)
{
    if (!x->member || (x->permissions & BODY_READ)) {
        return 0;
    }

    return may_not(c, "you have no permission to read here");
}


int
may_react(call_t *c, const access_t *x)
{
    if (x->member && (x->permissions & BODY_WRITE)) {
        return 0;
    }

    return may_not(c, "only members with the permission to write may react");
}


int
may_upload(call_t *c, const access_t *x)
{
    if (!x->member) {
        api_not_found(c);
        return -1;
    }

    if (!(x->permissions & BODY_UPLOAD)) {
        return may_not(c, "you have no permission to upload here");
    }

    if (x->archived) {
        api_error(c, 409, "conversation_archived", NULL,
                  "the conversation is archived");
        return -1;
    }

    return 0;
}


int
may_edit(call_t *c, const char *sender)
{
    if (sender && strcmp(sender, c->user) == 0) {
        return 0;
    }

    return may_not(c, "only who wrote a message may edit it");
}


int
may_delete(call_t *c, const access_t *x, const char *sender)
{
    if ((sender && strcmp(sender, c->user) == 0) || may_as_tutor(c, x)
        || (c->rights & API_ADMIN))
    {
        return 0;
    }

    return may_not(c, "only who wrote a message, a tutor or an admin may"
                   " delete it");
}


int
may_manage(call_t *c, const access_t *x, const json_t *doc)
{
    const char  *type, *creator;

    type = json_string_value(json_object_get(doc, "type"));
    creator = json_string_value(
                  json_object_get(json_object_get(doc, "metadata"),
                                  "createdBy"));

    if (c->rights || may_as_tutor(c, x)
        || (x->member && type && strcmp(type, "direct") == 0)
        || (x->member && creator && strcmp(creator, c->user) == 0))
    {
        return 0;
    }

    return may_not(c, "only who made the conversation, its tutors, a service"
                   " or an admin may do this");
}


int
may_set_users(call_t *c)
{
    return c->rights ? 0 : may_not(c, "only a service or an admin may do"
                                   " this");
}
