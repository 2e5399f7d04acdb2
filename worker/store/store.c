/*
 * store.c: the store that callers see: dispatch by URL, argument checks,
 * error texts.  What the stores share stands in store_plan.c and store_doc.c.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "worker/store/store_internal.h"


store_rc_t
store_fail(store_t *st, store_rc_t rc, const char *fmt, ...)
{
    va_list  ap;

    va_start(ap, fmt);
    vsnprintf(st->err, sizeof(st->err), fmt, ap);
    va_end(ap);

    return rc;
}


store_t *
store_open(const char *url, const char *scripts_dir, int migrate, char *err,
    size_t err_size)
{
    if (strncmp(url, "sqlite:", 7) == 0) {
        return store_sqlite_open(url + 7, scripts_dir, migrate, err,
                                 err_size);
    }

    if (strncmp(url, "mongodb://", 10) == 0
        || strncmp(url, "mongodb+srv://", 14) == 0)
    {
        return store_mongo_open(url, scripts_dir, migrate, err, err_size);
    }

    /* the text is not repeated: a mistyped URL may hold a password */
    snprintf(err, err_size, "STORE: a store's URL begins with sqlite: or"
             " mongodb:// (set STORE=sqlite and SQLITE_PATH, or STORE=mongo"
             " and MONGODB_URI)");

    return NULL;
}


int
store_url_check(const char *url, char *err, size_t err_size)
{
    if (strncmp(url, "sqlite:", 7) == 0) {
        return 0;
    }

    return store_mongo_uri_check(url, err, err_size);
}


void
store_close(store_t *st)
{
    if (st) {
        st->ops->close(st);
    }
}


const char *
store_name(const store_t *st)
{
    return st->ops->name;
}


const char *
store_error(const store_t *st)
{
    return st->err;
}


store_rc_t
store_ping(store_t *st)
{
    return st->ops->ping(st);
}


store_rc_t
store_apply(store_t *st, const event_t *ev, size_t n, size_t *bad)
{
    store_rc_t  rc;

    *bad = n;

    if (n == 0) {
        return STORE_OK;
    }

    rc = st->ops->apply(st, ev, n, bad);
    store_arena_reset(&st->arena);

    return rc;
}


void
store_on_work(store_t *st, void (*fn)(void *), void *data)
{
    st->work = fn;
    st->work_data = data;
}


void
store_worked(store_t *st)
{
    if (st->work) {
        st->work(st->work_data);
    }
}


/* Every query: an empty *out unless all went well, the arena emptied. */
static store_rc_t
finish(store_t *st, store_rc_t rc, json_t **out)
{
    store_arena_reset(&st->arena);

    if (rc != STORE_OK && *out) {
        json_decref(*out);
        *out = NULL;
    }

    return rc;
}


store_rc_t
store_conversation_state(store_t *st, const char *id, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->state(st, id, out), out);
}


store_rc_t
store_user_rooms(store_t *st, const char *user, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->user_rooms(st, user, out), out);
}


store_rc_t
store_conversation(store_t *st, const char *id, const char *user,
    json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->conversation(st, id, user, out), out);
}


static int
clamp(int v, int max)
{
    return v < 1 ? 1 : v > max ? max : v;
}


store_rc_t
store_conversations(store_t *st, const store_list_t *q, json_t **out,
    int64_t *total)
{
    store_list_t  list;

    *out = NULL;
    *total = 0;

    list = *q;
    list.page = list.page < 1 ? 1 : list.page;
    list.limit = clamp(list.limit, WRT_PAGE_CONVERSATIONS_MAX);

    return finish(st, st->ops->conversations(st, &list, out, total), out);
}


store_rc_t
store_messages(store_t *st, const store_page_t *q, json_t **out, int *more)
{
    store_page_t  page;

    *out = NULL;
    *more = 0;

    page = *q;
    page.page = page.page < 1 ? 1 : page.page;
    page.limit = clamp(page.limit, WRT_PAGE_MESSAGES_MAX);

    return finish(st, st->ops->messages(st, &page, out, more), out);
}


store_rc_t
store_message(store_t *st, const char *conversation, const char *id,
    json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->message(st, conversation, id, 0, out), out);
}


store_rc_t
store_message_sent(store_t *st, const char *conversation, const char *user,
    const char *client_id, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->message_sent(st, conversation, user, client_id,
                                            out),
                  out);
}


store_rc_t
store_message_full(store_t *st, const char *conversation, const char *id,
    json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->message(st, conversation, id,
                                       STORE_WITH_CHANGE
                                       | STORE_WITH_HISTORY,
                                       out),
                  out);
}


store_rc_t
store_unread(store_t *st, const char *user, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->unread(st, user, out), out);
}


store_rc_t
store_search(store_t *st, const store_search_t *q, json_t **out, int *more)
{
    store_search_t  search;

    *out = NULL;
    *more = 0;

    search = *q;
    search.page = search.page < 1 ? 1 : search.page;
    search.limit = clamp(search.limit, WRT_PAGE_SEARCH_MAX);

    return finish(st, store_search_run(st, &search, out, more), out);
}


store_rc_t
store_file(store_t *st, const char *id, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->file(st, id, out), out);
}


store_rc_t
store_files(store_t *st, const store_files_t *q, json_t **out,
    int64_t *total)
{
    store_files_t  files;

    *out = NULL;
    *total = 0;

    files = *q;
    files.page = files.page < 1 ? 1 : files.page;
    files.limit = clamp(files.limit, WRT_PAGE_FILES_MAX);

    return finish(st, st->ops->files(st, &files, out, total), out);
}


store_rc_t
store_file_refs(store_t *st, const char *hash, int64_t *n)
{
    json_t  *none = NULL;

    *n = 0;

    return finish(st, st->ops->file_refs(st, hash, n), &none);
}


store_rc_t
store_hold(store_t *st, const char *id, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->hold(st, id, out), out);
}


store_rc_t
store_holds(store_t *st, const store_holds_t *q, json_t **out,
    int64_t *total)
{
    store_holds_t  holds;

    *out = NULL;
    *total = 0;

    holds = *q;
    holds.page = holds.page < 1 ? 1 : holds.page;
    holds.limit = clamp(holds.limit, WRT_PAGE_AUDIT_MAX);

    return finish(st, st->ops->holds(st, &holds, out, total), out);
}


store_rc_t
store_audit(store_t *st, const store_audit_t *q, json_t **out, int *more)
{
    store_audit_t  audit;

    *out = NULL;
    *more = 0;

    audit = *q;
    audit.page = audit.page < 1 ? 1 : audit.page;
    audit.limit = clamp(audit.limit, WRT_PAGE_AUDIT_MAX);

    return finish(st, st->ops->audit(st, &audit, out, more), out);
}


store_rc_t
store_push(store_t *st, const char *const *users, size_t n,
    const char *conversation, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->push(st, users, n, conversation, out), out);
}


store_rc_t
store_session(store_t *st, const char *id, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->session(st, id, out), out);
}


store_rc_t
store_sessions(store_t *st, const store_sessions_t *q, json_t **out,
    int64_t *total)
{
    store_sessions_t  sessions;

    *out = NULL;
    *total = 0;

    sessions = *q;
    sessions.page = sessions.page < 1 ? 1 : sessions.page;
    sessions.limit = clamp(sessions.limit, WRT_PAGE_SESSIONS_MAX);

    return finish(st, st->ops->sessions(st, &sessions, out, total), out);
}


store_rc_t
store_session_part(store_t *st, const char *session, const char *run,
    int64_t part, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->session_part(st, session, run, part, out),
                  out);
}


store_rc_t
store_consultation(store_t *st, const char *id, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->consult(st, id, out), out);
}


store_rc_t
store_due(store_t *st, const store_due_t *q, json_t **out,
    char next[WRT_ID_MAX + 1])
{
    *out = NULL;
    next[0] = '\0';

    return finish(st, st->ops->due(st, q, out, next), out);
}


store_rc_t
store_erasures(store_t *st, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->erasures(st, out), out);
}


store_rc_t
store_ends(store_t *st, const char *after, int limit, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->ends(st, after, limit, out), out);
}


store_rc_t
store_traces(store_t *st, const char *user, const char *after, int limit,
    json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->traces(st, user, after, limit, out), out);
}


store_rc_t
store_said(store_t *st, const char *conversation, const char *user,
    int limit, json_t **out)
{
    *out = NULL;

    return finish(st, st->ops->said(st, conversation, user, limit, out), out);
}


store_rc_t
store_user_held(store_t *st, const char *user)
{
    json_t  *none = NULL;

    return finish(st, st->ops->user_held(st, user), &none);
}


store_rc_t
store_tidy(store_t *st, int *more)
{
    json_t  *none = NULL;

    *more = 0;

    return finish(st, st->ops->tidy(st, more), &none);
}


store_rc_t
store_changes(store_t *st, const char *conversation, int64_t after, int max,
    json_t **out, int64_t *upto)
{
    *out = NULL;
    *upto = 0;

    return finish(st, st->ops->changes(st, conversation, after, max, out,
                                       upto),
                  out);
}


store_rc_t
store_user(store_t *st, const char *id, json_t **out, int *managed)
{
    int  unused;

    if (managed == NULL) {
        managed = &unused;
    }

    *out = NULL;
    *managed = 0;

    return finish(st, st->ops->user(st, id, out, managed), out);
}
