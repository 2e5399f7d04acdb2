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
 *   archive, members             and w
 *   users' profiles                                      yes      yes
 *   file: know of it     yes     r                       yes      yes
 *   file: have it                d                       yes      yes
 *   file: public         yes             yes             yes      yes
 *   findings                                             yes      yes
 *   holds, exports,                                               yes
 *   erasures, audit
 *   confirm a consultation       (who has a tutor's token) yes    yes
 *
 * "r" and "w" are permissions of a member, which wrt_emit and wrt_send check
 * once more in the step that writes.  A title is text that the other one gets:
 * in a direct room who is blocked has none to give, tutor or not.  A tutor is a
 * member whose role in the room is tutor, or whose token says so.  Whoever may
 * not even know that the room exists has been answered 404 by api_access()
 * before.
 *
 * A file has its uploader for sender.  Before it was found clean there is none
 * for other members; one of which they were told and which was found infected
 * later is that, and not missing.
 */

#include <string.h>

#include "worker/api/api.h"


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

    if (x->archived && !x->reopens) {
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

    if (c->rights) {
        return 0;
    }

    if (x->member && type && strcmp(type, "direct") == 0) {
        return (x->permissions & BODY_WRITE)
               ? 0 : may_not(c, "you have no permission to write here");
    }

    if (may_as_tutor(c, x)
        || (x->member && creator && strcmp(creator, c->user) == 0))
    {
        return 0;
    }

    return may_not(c, "only who made the conversation, its tutors, a service"
                   " or an admin may do this");
}


void
may_file_pending(call_t *c)
{
    api_error(c, 425, "scan_pending", NULL,
              "the file is still being checked for viruses");
}


static int
may_file_is(const seen_t *f, const char *status)
{
    return strcmp(f->status, status) == 0;
}


int
may_see_file(call_t *c, const access_t *x, const seen_t *f)
{
    if (f->own || c->rights) {
        return 0;
    }

    if (!may_file_is(f, "clean") && !(may_file_is(f, "infected") && f->told))
    {
        api_not_found(c);
        return -1;
    }

    return may_read(c, x);
}


/* Is it clean?  For who may know of it. */
static int
may_file_clean(call_t *c, const seen_t *f)
{
    if (may_file_is(f, "clean")) {
        return 0;
    }

    if (may_file_is(f, "infected")) {
        api_error(c, 422, "infected", NULL, "the file is infected");

    } else if (may_file_is(f, "error")) {
        api_error(c, 415, "unsupported_type", NULL,
                  "the file could not be checked for viruses and was not"
                  " kept");

    } else {
        may_file_pending(c);
    }

    return -1;
}


int
may_get_file(call_t *c, const access_t *x, const seen_t *f)
{
    if (may_see_file(c, x, f) != 0) {
        return -1;
    }

    if (may_file_clean(c, f) != 0) {
        return -1;
    }

    if (c->rights || (x->permissions & BODY_DOWNLOAD)) {
        return 0;
    }

    return may_not(c, "you have no permission to download here");
}


int
may_share_file(call_t *c, const access_t *x, const seen_t *f)
{
    if (may_see_file(c, x, f) != 0) {
        return -1;
    }

    if (!f->own && !c->rights && !may_as_tutor(c, x)) {
        return may_not(c, "only who uploaded the file, a tutor, a service or"
                       " an admin may do this");
    }

    return may_file_clean(c, f);
}


int
may_list_findings(call_t *c)
{
    return c->rights ? 0 : may_not(c, "only a service or an admin may do"
                                   " this");
}


int
may_set_users(call_t *c)
{
    return c->rights ? 0 : may_not(c, "only a service or an admin may do"
                                   " this");
}


int
may_administer(call_t *c)
{
    return (c->rights & API_ADMIN) ? 0
           : may_not(c, "only an admin may do this");
}


int
may_lead(call_t *c, const access_t *x)
{
    return c->rights || may_as_tutor(c, x)
           ? 0 : may_not(c, "only a tutor of the room, a service or an admin"
                         " may do this");
}


int
may_consult(call_t *c)
{
    return c->rights || strcmp(c->role, "tutor") == 0
           ? 0 : may_not(c, "only a tutor, a service or an admin may confirm a"
                         " consultation");
}
