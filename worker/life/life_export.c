/*
 * life_export.c: all of a user's data, as records of one JSON object each, a
 * piece at a time: his profile and devices, then room after room what he is
 * there, his files, his messages with their edits, his reactions.
 *
 * What others wrote is theirs and is left out.
 */

#include <string.h>

#include "worker/worker.h"

#define EXPORT_PAGE  200


static const char *
export_text(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}


/* {"record": kind, ...members}; takes the members. */
static void
export_add(export_t *x, const char *kind, json_t *members)
{
    json_object_set_new(members, "record", json_string(kind));
    x->bytes += json_dumpb(members, NULL, 0, JSON_COMPACT);
    x->add(x->data, members);
    json_decref(members);
}


static store_rc_t
export_user(export_t *x, store_t *st)
{
    json_t      *v, *mine;
    store_rc_t   rc;
    const char  *users[1];

    rc = store_user(st, x->user, &v, NULL);

    if (rc == STORE_OK) {
        export_add(x, "profile", v);

    } else if (rc != STORE_NOT_FOUND) {
        return rc;
    }

    users[0] = x->user;
    rc = store_push(st, users, 1, NULL, &v);

    if (rc == STORE_OK) {
        mine = json_object_get(v, x->user);

        if (json_array_size(json_object_get(mine, "devices"))
            || json_array_size(json_object_get(mine, "mutes"))
            || json_is_object(json_object_get(mine, "quietHours")))
        {
            export_add(x, "push", json_deep_copy(mine));
        }

        json_decref(v);
    }

    return rc;
}


static store_rc_t
export_files(export_t *x, store_t *st)
{
    size_t          i;
    json_t         *list, *f;
    int64_t         total;
    store_rc_t      rc;
    store_files_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = x->after;
    q.limit = WRT_PAGE_FILES_MAX;

    do {
        q.page++;
        rc = store_files(st, &q, &list, &total);

        if (rc != STORE_OK) {
            return rc;
        }

        json_array_foreach(list, i, f) {
            if (strcmp(export_text(f, "uploadedBy"), x->user) == 0) {
                export_add(x, "file", json_deep_copy(f));
            }
        }

        json_decref(list);

    } while ((int64_t) q.page * q.limit < total);

    return STORE_OK;
}


/* What he is in the room. */
static store_rc_t
export_member(export_t *x, store_t *st)
{
    size_t       i;
    json_t      *doc, *p, *o;
    store_rc_t   rc;

    rc = store_conversation(st, x->after, NULL, &doc);

    if (rc != STORE_OK) {
        return rc == STORE_NOT_FOUND ? STORE_OK : rc;
    }

    json_array_foreach(json_object_get(doc, "participants"), i, p) {
        if (strcmp(export_text(p, "userId"), x->user) == 0) {
            o = json_deep_copy(p);
            json_object_set_new(o, "conversationId", json_string(x->after));
            json_object_set(o, "title", json_object_get(doc, "title"));
            json_object_set(o, "type", json_object_get(doc, "type"));
            export_add(x, "membership", o);
        }
    }

    json_decref(doc);

    return export_files(x, st);
}


static store_rc_t
export_message(export_t *x, store_t *st, const json_t *m)
{
    size_t       i;
    json_t      *full, *r;
    store_rc_t   rc;

    json_array_foreach(json_object_get(m, "reactions"), i, r) {
        if (strcmp(export_text(r, "userId"), x->user) == 0) {
            full = json_deep_copy(r);
            json_object_set_new(full, "conversationId",
                                json_string(x->after));
            json_object_set(full, "messageId", json_object_get(m, "id"));
            export_add(x, "reaction", full);
        }
    }

    if (strcmp(export_text(m, "senderId"), x->user) != 0) {
        return STORE_OK;
    }

    rc = store_message_full(st, x->after, export_text(m, "id"), &full);

    if (rc == STORE_OK) {
        /* what he replied to is another one's */
        json_object_del(full, "replyPreview");
        json_object_del(full, "changeSeq");
        export_add(x, "message", full);
    }

    return rc == STORE_NOT_FOUND ? STORE_OK : rc;
}


/* The next messages of the room; *more: there are others. */
static store_rc_t
export_page(export_t *x, store_t *st, int *more)
{
    size_t         i;
    json_t        *page, *m;
    store_rc_t     rc;
    store_page_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = x->after;
    q.page = 1;
    q.limit = EXPORT_PAGE;
    q.before_ms = -1;
    q.before_seq = -1;
    q.after_seq = x->seq;

    rc = store_messages(st, &q, &page, more);

    if (rc != STORE_OK) {
        *more = 0;
        return rc == STORE_NOT_FOUND ? STORE_OK : rc;
    }

    /* newest first */
    for (i = json_array_size(page); i-- > 0 && rc == STORE_OK; ) {
        m = json_array_get(page, i);
        rc = export_message(x, st, m);
        x->seq = json_integer_value(json_object_get(m, "seq"));
    }

    json_decref(page);

    return rc;
}


store_rc_t
life_export(export_t *x, store_t *st)
{
    int          more;
    json_t      *traces;
    store_rc_t   rc;

    rc = x->after[0] == '\0' ? export_user(x, st) : STORE_OK;
    more = x->after[0] != '\0';

    while (rc == STORE_OK && x->bytes < x->limit) {
        if (more) {
            rc = export_page(x, st, &more);
            continue;
        }

        rc = store_traces(st, x->user, x->after, 1, &traces);

        if (rc != STORE_OK) {
            break;
        }

        if (json_array_size(traces) == 0) {
            x->after[0] = '\0';
            json_decref(traces);
            return STORE_OK;
        }

        text_copy(x->after, sizeof(x->after),
                  export_text(json_array_get(traces, 0), "conversationId"));
        json_decref(traces);

        x->seq = 0;
        more = 1;
        rc = export_member(x, st);
    }

    return rc;
}
