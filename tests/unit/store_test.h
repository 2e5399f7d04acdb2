/*
 * store_test.h: what the tests of the stores share: events to apply, JSON to
 * compare, and the two stores as something that can be emptied and looked
 * into past store.h.
 */

#ifndef STORE_TEST_H
#define STORE_TEST_H

#include "tests/unit/unit.h"

#include "worker/store/store.h"

#define STORE_TEST_SCRIPTS  "sql_or_mongo_scripts"
#define STORE_TEST_T0       1705312800000   /* 2024-01-15T10:00:00.000Z */

/* A store_search_t from its first member to `limit`. */
#define WISH(...)           { __VA_ARGS__, 0, 0, NULL }

/* A store under test. */
typedef struct {
    const char  *name;
    char         url[512];

    /* make it empty, without even a schema */
    void       (*wipe)(void);       /* as if never opened */
    void       (*empty)(void);      /* the schema may stay: it takes seconds */
} backend_t;

extern backend_t  sqlite_backend;
extern backend_t  mongo_backend;

/* Find its URL: a file of this process, WRT_TEST_MONGODB_URI. */
void sqlite_backend_init(void);
void sqlite_backend_done(void);
void mongo_backend_init(void);
void mongo_backend_done(void);

/* An emptied store with its schema. */
store_t *backend_open(const backend_t *b);

/* Run the cases that every store has to pass, and n more. */
int store_suite(const backend_t *b, const struct CMUnitTest *more, size_t n);

/* A writer is killed at any moment, again and again; then all is applied. */
void store_killed(const backend_t *b);


/* A list of events; strings and JSON belong to it.  Zero it first. */
typedef struct {
    event_t  *ev;
    size_t    n;
    size_t    cap;
} events_t;

/* Takes over the JSON.  Times are milliseconds after STORE_TEST_T0. */
void events_add(events_t *l, char kind, const char *conversation,
    int64_t seq, const char *actor, const char *target, json_t *body,
    json_t *extra);
/* users: names between spaces; the first one creates it. */
void events_create(events_t *l, const char *conversation, const char *type,
    const char *users, int64_t at);
void events_message(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *sender, const char *text,
    const char *client_id, int64_t at);
void events_reply(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *sender, const char *text,
    const char *reply_to, int64_t at);
/* Any type and content; takes it over. */
void events_content(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *sender, const char *type, json_t *content,
    int64_t at);
/* kind j or l; the system message has the id and is the actor's. */
void events_member(events_t *l, char kind, const char *conversation,
    int64_t seq, const char *id, const char *actor, const char *target,
    int64_t at, json_t *extra);
void events_cursor(events_t *l, const char *conversation, const char *user,
    char kind, int64_t seq, int64_t at);
/* by whom: the actor */
void events_edit(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, const char *text, int64_t at);
void events_delete(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, int64_t at);
void events_react(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, const char *emoji, int added,
    int64_t at);
/* conversation_updated; set is taken over */
void events_set(events_t *l, const char *conversation, int64_t seq,
    const char *by, json_t *set, int64_t at);
/* A system message with "set"; takes it over. */
void events_started(events_t *l, const char *conversation, int64_t seq,
    const char *id, const char *by, json_t *set, int64_t at);
/* A consultation room: as events_create(), of student s1 and tutor t1. */
void events_consultation(events_t *l, const char *conversation,
    const char *consultation, int64_t at);
/* set.consultation */
json_t *events_consult(const char *id, const char *status, const char *flags,
    int64_t at);
/* A record of a session, from start_seq on; end_seq -1: not ended. */
json_t *events_session(const char *conversation, const char *id, int rev,
    const char *status, int64_t start_seq, int64_t end_seq, int64_t start,
    int64_t end);
/* All that "set" can say. */
json_t *events_everything(const char *conversation, int64_t seq, int64_t at);
/* kind g: takes over the body. */
void events_record(events_t *l, const char *conversation, json_t *body);
/* Some of all of them: session g1, with a transcript and a rating of user. */
void events_sessions(events_t *l, const char *conversation,
    const char *user);
void events_fence(events_t *l, const char *conversation, int64_t seq);
void events_profile(events_t *l, const char *user, const char *name,
    const char *avatar, const char *role);
/* as a service says it */
void events_managed(events_t *l, const char *user, const char *name,
    const char *avatar, const char *role);
/* A file's record as the files role puts it: scanning, clean (its message has
 * the file's id), infected, error. */
void events_file(events_t *l, const char *conversation, const char *id,
    int rev, const char *user, const char *hash, const char *scan,
    int64_t at);
/* entry: the stream's, static */
void events_accessed(events_t *l, const char *conversation, const char *id,
    const char *entry, int64_t at);
void events_public(events_t *l, const char *conversation, const char *id,
    int on, int64_t at);
void events_given_up(events_t *l, const char *conversation, const char *id,
    int64_t at);
/* Its message says that it is infected. */
void events_found(events_t *l, const char *conversation, int64_t seq,
    const char *id, int64_t at);
/* content of a file's message */
json_t *events_file_content(const char *id, const char *scan);
/* Some of all of them: files f1 to f3, no messages. */
void events_files(events_t *l, const char *conversation, const char *user);
/* Devices, quiet hours, mutes. */
void events_devices(events_t *l, const char *conversation, const char *user);
/* A hold, its end, acts in the log. */
void events_life(events_t *l, const char *conversation, const char *user);
/* t1 is erased, in that room alone. */
void events_erased(events_t *l, const char *conversation);
/* A room (of s1) of which something has had its time and goes. */
void events_gone(events_t *l, const char *conversation);
void events_free(events_t *l);

/* Apply all in one batch; each must be taken.  Then empty the list. */
void events_put(store_t *st, events_t *l);
/* Apply ev[from..to), passing over the rejected ones, whose count is
 * returned.  The store must not be down. */
size_t events_apply(store_t *st, const events_t *l, size_t from, size_t to);


/* A room's life: messages, cursors, members; n messages in two rooms, c1 and
 * c2, of s1, t1 and s2. */
void events_story(events_t *l, int n);

/* Of everything something: each kind of write takes place; c1, c2, s1, s2 and
 * t1. */
void events_mixed(events_t *l);
/* The same, and what has had its time, in c3. */
void events_all(events_t *l);
/* A clientMessageId that is used again and again; c1. */
void events_once(events_t *l);
/* events_mixed(), and more after it. */
void events_long(events_t *l);

/* Compare and drop got.  Expected: JSON with ' instead of ". */
void expect_json(json_t *got, const char *expected);
void expect_equal(const json_t *a, const json_t *b, const char *what);
json_t *json_of(const char *text);

/* The ids of an array of documents, joined by spaces; drops it. */
const char *ids_of(json_t *list);

/* Everything that store.h can tell about some conversations and users (names
 * between spaces), as one value to be compared. */
json_t *snapshot(store_t *st, const char *conversations, const char *users);

/* The part of a snapshot that is about files. */
void snapshot_files(store_t *st, const char *conversation, json_t *into);
/* The part about how a user is reached by push. */
json_t *snapshot_push(store_t *st, const char *user);
/* The part about holds and the log, as an object of its own. */
json_t *snapshot_life(store_t *st);
void snapshot_sessions(store_t *st, const char *conversation, json_t *into);

#endif
