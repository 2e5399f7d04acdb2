/*
 * api.h: between the api*.c files, which answer nginx's calls.
 *
 *   api.c           the role: reads calls, answers, claims what others left
 *   api_wait.c      calls that wait for the store to catch up
 *   api_route.c     which handler; parameters of the query
 *   api_call.c      a call: parsed, answered, freed; who may see what
 *   api_conv.c      GET conversations
 *   api_create.c    POST conversations
 *   api_body.c      its body, checked
 *   api_consult.c   POST consultations/:id/confirm: the same, for schedulers
 *   api_message.c   GET messages
 *   api_search.c    search
 *   api_may.c       who may do what
 *   api_emit.c      a decision becomes an event: wait, decide, emit, wait
 *   api_change.c    one message: read, edit, delete, react
 *   api_receipt.c   read and delivered cursors, unread counts
 *   api_user.c      profiles set by a service
 *   api_presence.c  who is there, and with what
 *   api_device.c    devices, quiet hours, mutes
 *   api_consult_life.c  it is started, ended, cancelled
 *   api_session.c   sessions: lists, summaries, transcripts, satisfaction
 *   api_redact.c    none of them shows what was deleted since
 *   api_stream.c    the same as routes, said by a stream
 *   api_member.c    participants come and go
 *   api_settings.c  title, settings, archive, block
 *   api_upload.c    UPLOAD, how an upload goes on
 *   api_file.c      FILE, records of files, links to them (api_file.h)
 *   api_file_doc.c  a record as clients see it
 *   api_admin.c     legal holds and the log of administrative acts
 *   api_admin_user.c  erasure and export of a user
 *   api_internal.c  LOAD, USER, CHANGES, MESSAGE: nginx asks for itself
 */

#ifndef API_H
#define API_H

#include "common/wrt_envelope.h"
#include "worker/worker.h"

#define API_PARAMS_MAX  32          /* parameters of a query */
#define API_PATH_IDS    2           /* ids in a path */
#define API_REDACT_STEPS  8         /* then a session that is made anew again
                                       and again is answered 503 */
#define CALL_MARK_LEN   32          /* hex digits */

#define API_SERVICE     0x1         /* role service */
#define API_ADMIN       0x2

typedef struct api_s   api_t;
typedef struct call_s  call_t;

typedef enum {
    API_DONE,                       /* the answer is in the call */
    API_WAIT                        /* call again when what it waits for is */
} api_rc_t;

/* Called with c->step 0, 1...: once more after each wait. */
typedef api_rc_t (*api_handler_pt)(api_t *a, call_t *c);

typedef struct {
    const char      *method;
    const char      *path;          /* ":" stands for an id, "*" at the end
                                       for any text without a slash */
    api_handler_pt   handler;
    const char      *name;          /* for figures */
} api_route_t;

/* An id of a stream entry as a number. */
typedef struct {
    uint64_t  ms;
    uint64_t  seq;
} stream_id_t;

/* A shard that has to be applied up to an entry. */
typedef struct {
    unsigned     shard;
    stream_id_t  upto;
} tail_t;

typedef struct {
    char    *name;
    char    *value;
} param_t;

struct call_s {
    call_t            *next;        /* of the parked ones */

    char               entry[EVENT_ENTRY_SIZE];     /* in wrt:rpc */
    char               id[WRT_ID_MAX + 1];
    char               mark[CALL_MARK_LEN + 1];     /* random, told nobody */
    char              *channel;     /* where the answer goes */
    char              *method;
    char              *path;
    char              *query;
    char              *body;
    size_t             body_len;
    char              *address;     /* where it came from, or "" */
    int64_t            deadline;    /* wall clock, ms */
    int64_t            start_us;    /* monotonic */

    /* who asks; user "" when nginx asks for itself */
    json_t            *identity;
    const char        *user;
    const char        *role;
    const char        *name;
    const char        *avatar;
    unsigned           rights;      /* API_SERVICE, API_ADMIN */

    unsigned           route;       /* index */
    char               ids[API_PATH_IDS][WRT_ID_MAX + 1];
    const char        *rest;        /* what "*" stands for, in path */
    param_t            params[API_PARAMS_MAX];
    unsigned           nparams;

    int                step;
    void              *state;       /* the handler's own, across steps */
    void             (*state_free)(void *state);

    /* what it waits for: a conversation's number, or tails of shards */
    char               wait_conv[WRT_ID_MAX + 1];
    int64_t            wait_seq;
    tail_t            *tails;
    unsigned           ntails;
    int64_t            ours_at;     /* mono: when that was known; 0: ask */
    unsigned           waits:1;     /* not yet come true */
    unsigned           claimed:1;   /* a process that died had it in hand, and
                                       may have done it */
    unsigned           told:1;      /* of wrt:consultations: nobody waits for
                                       the answer */
    unsigned           settled:1;   /* what it asked for is done, and it waits
                                       for more to tell; see late */
    unsigned           late:1;      /* the deadline is near: a settled call is
                                       answered with what there is, others
                                       with 503 */

    int                status;
    int                retry;       /* seconds, 0 none */
    char               allow[40];   /* with 405: methods, GET,POST */
    buf_t              out;
};

/* A user whose profile was passed on not long ago. */
typedef struct {
    char               user[WRT_ID_MAX + 1];
    uint64_t           hash;        /* of the profile */
    int64_t            at;          /* mono */
} known_t;

#define API_KNOWN  1024

/* The record of a session without what is gone was queued, to come after that
 * of this rev. */
typedef struct {
    char               id[WRT_ID_MAX + 1];
    int64_t            rev;
    int64_t            until;       /* mono: then it may be lost */
} redacted_t;

#define API_REDACTED  64

struct scribe_s;

struct api_s {
    role_t            *role;
    const conf_t      *cf;
    link_t            *links;       /* one a server, the first is the hub */
    link_t             reader;      /* the hub, for the blocking read */
    unsigned           reader_generation;
    unsigned           reading:1;   /* a read is under way */
    int64_t            read_at;     /* mono: since when */
    char               consumer[NODE_SIZE + 32];

    int                told;        /* an entry of wrt:consultations is in
                                       hand */
    int                leader;      /* this pool reads them */
    int64_t            told_at;     /* mono: when to look */
    int64_t            lease_at;    /* mono: when to renew that */

    call_t            *running;     /* its handler has not returned */
    call_t            *parked;
    unsigned           nparked;
    int64_t            claim_at;    /* mono: when it is due */
    int64_t            check_at;    /* mono: next look at the parked */

    blob_t            *blob;        /* where files are; opened when needed */
    known_t           *known;
    redacted_t        *redacted;
    unsigned           nredacted;   /* the next one's place */
    stream_id_t       *first;       /* by shard: scratch of api_wait.c */
    char              *wanted;

    cmd_t              cmd;         /* scratch */
};


#define BODY_READ      0x1
#define BODY_WRITE     0x2
#define BODY_UPLOAD    0x4
#define BODY_DOWNLOAD  0x8
#define BODY_ALL       0xf

/* What Redis says of a conversation to who asks. */
typedef struct {
    int64_t      seq;
    int64_t      applied;           /* equal when it is not in Redis */
    stream_id_t  moved;             /* entry of a cursor's last move, 0-0 */
    int          member;
    unsigned     permissions;       /* BODY_*, of a member */
    int          tutor;             /* that is a member's role here */
    int          archived;
    int          reopens;           /* archived until somebody sends */
    int          consults;          /* has, or had, a consultation */
} access_t;


/* api.c */

/* The connection to a server, NULL when it is away. */
rds_t *api_redis(api_t *a, unsigned server);
rds_t *api_shard(api_t *a, unsigned shard);
/* Nobody has claimed the call meanwhile, and nobody does for a while: 1.  0: it
 * is somebody else's, -1: not to be known now. */
int api_ours(api_t *a, call_t *c);
/* What writes up sessions of a conversation; NULL shard: away. */
void api_scribe(api_t *a, store_t *st, const char *conversation,
    struct scribe_s *out);


/* api_wait.c */

/* Wait until the store has everything of a conversation up to seq.  applied:
 * how far it is now.  Returns whether there is anything to wait for. */
int api_wait_conv(call_t *c, const char *id, int64_t seq, int64_t applied);
/* Wait until it has all that Redis has now of a user's rooms (NULL: of all).
 * 1, 0, -1: not possible (it is answered). */
int api_wait_user(api_t *a, call_t *c, const char *user);
/* Wait for that, and for the last move of a cursor of the conversation: what
 * status and unread counts follow from.  1, 0, -1: as for a user. */
int api_wait_state(api_t *a, call_t *c, const char *id, const access_t *x);
/* An entry's id in text; 0-0 when it is none. */
stream_id_t api_wait_id(const char *text);
/* Wait for one shard, too: that of a conversation, or of a user's profile. */
int api_wait_shard(api_t *a, call_t *c, const char *id);
/* Look at all that wait: c->waits is cleared where it came true. */
void api_wait_check(api_t *a);


/* api_route.c */

extern const api_route_t  api_routes[];

/* Find the route; 0, or -1: answered (404, 405). */
int api_route(call_t *c);
/* Split the query into parameters; 0, or -1: answered. */
int api_params(call_t *c);

/* A parameter; all return 0 (*out is left as it is when absent) or -1:
 * answered with 400. */
int api_param_int(call_t *c, const char *name, int64_t min, int64_t max,
    int64_t *out);
int api_param_bool(call_t *c, const char *name, int *out);
int api_param_time(call_t *c, const char *name, int64_t *out);
int api_param_id(call_t *c, const char *name, const char **out);
int api_param_text(call_t *c, const char *name, size_t max,
    const char **out);              /* at most max bytes */
int api_param_one_of(call_t *c, const char *name, const char *const *list,
    const char *allowed, const char **out);


/* api_call.c */

/* From an entry of wrt:rpc; NULL when it is not a call. */
call_t *call_create(const char *entry, const reply_t *fields);
/* From an entry of wrt:consultations: a POST by a service. */
call_t *call_told(const char *entry, const char *id, const char *path,
    const char *body, size_t n, const char *by);
void call_free(call_t *c);
/* name and avatar as its identity now has them */
void call_names(call_t *c);

/* Answers; all return API_DONE.  data is taken over. */
api_rc_t api_ok(call_t *c, int status, const char *message, json_t *data);
api_rc_t api_text(call_t *c, buf_t *text);      /* 200, takes the memory */
api_rc_t api_error(call_t *c, int status, const char *code,
    const char *field, const char *message);
api_rc_t api_not_found(call_t *c);
api_rc_t api_unavailable(call_t *c);
/* For what a store returned: not found, down... */
api_rc_t api_store_error(api_t *a, call_t *c, store_rc_t rc);

/* The store, or NULL: answered. */
store_t *api_store(api_t *a, call_t *c);

/* How it stands, and what the caller is in it.  0, or -1: answered. */
int api_standing(api_t *a, call_t *c, const char *id, access_t *out);

/* The same when he may see the conversation.  0, or -1: answered. */
int api_access(api_t *a, call_t *c, const char *id, access_t *out);

/* Pass on name, avatar and role of who asks. */
void api_profile(api_t *a, call_t *c);
/* wrt_profile: it compares and queues only what is new.  managed: not to be
 * changed by what tokens say.  0, -1: not now. */
int api_profile_put(api_t *a, const char *user, const buf_t *text,
    int managed);


/* api_conv.c */

api_rc_t conv_list(api_t *a, call_t *c);
api_rc_t conv_get(api_t *a, call_t *c);
/* Add what is not a conversation's own, but as its reader sees it: isOnline,
 * by Redis, muted and mutedUntil. */
void conv_finish(api_t *a, const char *user, json_t *list);
/* The conversation of the path as the store has it, for the caller; 0, or -1:
 * answered. */
int conv_read(api_t *a, call_t *c, store_t *st, json_t **out);
/* Answer with it: {"conversation"}; takes the document. */
api_rc_t conv_answer(api_t *a, call_t *c, int status, const char *said,
    json_t *doc);

/* api_create.c */
api_rc_t conv_create(api_t *a, call_t *c);
/* Of a call that waits there: somebody else has made the room. */
int conv_existed(const call_t *c);

/* The room that a consultation has when nobody names another one.  0, -1. */
int consult_room(char out[WRT_OID_LEN + 1], const char *consultation);

/* api_consult.c */
api_rc_t consult_confirm(api_t *a, call_t *c);
/* What the body says of the consultation, its context over `old` (NULL: none);
 * NULL: answered. */
json_t *consult_context(call_t *c, const json_t *old);

/* api_consult_life.c */
api_rc_t consult_get(api_t *a, call_t *c);
api_rc_t consult_start(api_t *a, call_t *c);
api_rc_t consult_end(api_t *a, call_t *c);
api_rc_t consult_cancel(api_t *a, call_t *c);
api_rc_t consult_no_show(api_t *a, call_t *c);
api_rc_t consult_reschedule(api_t *a, call_t *c);
/* From here on ids[0] is the room and ids[1] the consultation.  0, or -1:
 * answered. */
int consult_find(api_t *a, call_t *c);

/* api_stream.c */

/* Is it this pool's turn to read?  Holds on to that, too, when it is. */
int stream_lease(api_t *a, rds_t *hub);
/* The next entry's call, if there is one and it is our turn. */
call_t *stream_turn(api_t *a);
/* It has ended. */
void stream_answered(api_t *a, call_t *c);

/* api_session.c */
api_rc_t consult_summary(api_t *a, call_t *c);
api_rc_t consult_rate(api_t *a, call_t *c);
api_rc_t consult_transcript(api_t *a, call_t *c);
api_rc_t consult_messages(api_t *a, call_t *c);
api_rc_t session_list(api_t *a, call_t *c);
api_rc_t session_get(api_t *a, call_t *c);
api_rc_t session_rate(api_t *a, call_t *c);
api_rc_t session_transcript(api_t *a, call_t *c);
/* The newest session of the consultation ids[1], whose room is ids[0].  0
 * (NULL: there is none), 1: it is to be waited for, -1: answered. */
int session_newest(api_t *a, call_t *c, json_t **out);

/* api_redact.c */

/* What is gone of a room's messages: to be asked for before a session is read
 * that is to be shown, after all of the room is in the store.  0, or -1:
 * answered. */
int api_gone(api_t *a, call_t *c, const char *room, reply_t **gone);
/* The record, read after that: 0 when it says nothing of what is gone; 1: it is
 * to be waited for and read anew; -1: answered. */
int api_redact(api_t *a, call_t *c, const reply_t *gone, const json_t *s);
/* The same of a list of any rooms, which is read again afterwards in any
 * case. */
int api_redact_all(api_t *a, call_t *c, const json_t *list);
/* Is anything gone anywhere?  1, 0, -1: answered. */
int api_any_gone(api_t *a, call_t *c);

/* api_body.c: the body of POST /api/conversations */

typedef struct {
    const char  *user;              /* into the envelope or the call */
    const char  *role;              /* NULL: not said */
    unsigned     permissions;
} person_t;

typedef struct {
    wrt_envelope_t  envelope;
    const char     *type;
    const char     *title;          /* NULL: none */
    const char     *consultation;   /* NULL: none */
    const char     *id;             /* NULL: ours to choose */
    person_t       *people;
    unsigned        npeople;
    json_t         *settings;       /* whole */
    json_t         *context;        /* or NULL */
} body_t;

/* 0, or -1: answered.  body_free() in any case. */
int body_parse(call_t *c, body_t *b);
/* One person of a body; prefix goes before the names of fields in errors.  0,
 * or -1: answered.  out->role NULL: not said. */
int body_person(call_t *c, const json_t *from, const char *prefix,
    person_t *out);
/* Old settings with the given ones over them; NULL: answered. */
json_t *body_settings_merge(call_t *c, const json_t *old,
    const json_t *given);
/* What a consultation is about, made anew from what is allowed; NULL:
 * answered. */
json_t *body_context(call_t *c, const json_t *from);
/* Answer with what the envelope refused; returns -1. */
int body_refused(call_t *c, const wrt_refusal_t *why);
void body_free(void *b);
json_t *body_permissions(unsigned bits);

/* "read", "write"... as BODY_*; 0 for other words. */
unsigned body_permission(const char *name);
/* BODY_* as the letters of a member's field in Redis. */
void body_letters(char out[5], unsigned bits);


/* api_may.c: who may do what.  Each answers 0, or -1: answered, with 403 unless
 * it says another. */

/* Read messages: members with the permission, those who run the place. */
int may_read(call_t *c, const access_t *x);
/* React, also where nothing would change: members who may write. */
int may_react(call_t *c, const access_t *x);
/* Edit a message: who wrote it. */
int may_edit(call_t *c, const char *sender);
/* Delete a message: who wrote it, tutors of the room, admins. */
int may_delete(call_t *c, const access_t *x, const char *sender);
/* Title, settings, archive, participants: in a direct room both, unless one is
 * blocked; else who made the room, its tutors, services, admins.  doc:
 * store_conversation(). */
int may_manage(call_t *c, const access_t *x, const json_t *doc);
/* Upload a file: members with the permission, 409 in an archived room; for
 * others there is no room (404), as when they send. */
int may_upload(call_t *c, const access_t *x);
/* A file, as far as permissions go. */
typedef struct {
    const char  *status;            /* scanStatus */
    int          own;               /* the caller uploaded it */
    int          told;              /* it has, or had, a message */
} seen_t;

/* See what is known of a file; 404 where there is none for the caller. */
int may_see_file(call_t *c, const access_t *x, const seen_t *f);
/* Have its bytes, or a link to them; also 425 and 422 for who may know. */
int may_get_file(call_t *c, const access_t *x, const seen_t *f);
/* Say whether it is public; the same. */
int may_share_file(call_t *c, const access_t *x, const seen_t *f);
/* Answer 425: it is not scanned yet. */
void may_file_pending(call_t *c);
/* See what scanning has found: services and admins. */
int may_list_findings(call_t *c);
/* Set other users' profiles: services and admins. */
int may_set_users(call_t *c);
/* Holds, exports, erasures, the log of acts: admins. */
int may_administer(call_t *c);
/* Start and end a consultation: tutors of its room, services, admins. */
int may_lead(call_t *c, const access_t *x);
/* Confirm a consultation: services, admins, tutors. */
int may_consult(call_t *c);


/* api_emit.c */

#define EMIT_OPS_MAX  (3 * (WRT_EDITS_MAX + 8))

/* Stands where a message's id does for the room itself: its title, settings
 * and people.  No message has it. */
#define EMIT_ROOM     "-"

/* A durable event, decided upon.  The JSON is borrowed. */
typedef struct {
    const char  *conversation;
    const char  *kind;              /* "e", "j" or "l" */
    const char  *target;            /* user of j and l, else "-" */
    const char  *need;              /* permission letter or "m"; see Lua */
    int          live;              /* not in an archived room */
    const char  *message;           /* that it changes, or EMIT_ROOM */
    int64_t      expect;            /* its changeSeq, the room's seq as read */
    json_t      *event;
    json_t      *extra;             /* or NULL */
    const char  *ops[EMIT_OPS_MAX]; /* emit_op() */
    unsigned     nops;
    char         numbers[WRT_EDITS_MAX + 8][24];    /* for emit_op_redact() */
    unsigned     nnumbers;
} emit_t;

typedef enum {
    EMIT_OK,
    EMIT_STALE,                     /* what was decided on has changed */
    EMIT_EXISTS,                    /* it is so already */
    EMIT_ANSWERED
} emit_rc_t;

/* Stand for the event's number and time in event, extra; emit_op_*: text in
 * ops.  New references. */
json_t *emit_seq(const call_t *c);
json_t *emit_at(const call_t *c);

/* The event of a system message from the caller in ids[0], whose document is
 * doc.  Its id stands first (wrt_cursor looks for it there) and is the call's
 * own, so that a repeated call is the same message.  Takes over data. */
json_t *emit_system(const call_t *c, const json_t *doc, const char *action,
    json_t *data);

void emit_op(emit_t *e, const char *op, const char *field,
    const char *value);             /* value NULL: the op has none */
/* Take the event of that number out of the log. */
void emit_op_redact(emit_t *e, int64_t seq);

/* Emit it, as the caller or, for who is no member, as the server; the
 * conversation is loaded when needed.  Refusals by Redis are answered. */
emit_rc_t api_emit(api_t *a, call_t *c, const access_t *x, emit_t *e,
    int64_t *seq);

/*
 * A call that changes a conversation (ids[0]): waits until the store has all
 * of it, lets decide() read and emit, waits until the store has that, lets
 * answer() say what is there now.  decide() is called again when it was
 * stale.  EMIT_EXISTS: nothing needs to be done, answer at once.
 */
typedef emit_rc_t (*emit_decide_pt)(api_t *a, call_t *c, store_t *st,
    const access_t *x, int64_t *seq);
typedef api_rc_t (*emit_answer_pt)(api_t *a, call_t *c, store_t *st,
    int changed);
api_rc_t api_change(api_t *a, call_t *c, emit_decide_pt decide,
    emit_answer_pt answer);


/* api_change.c */
api_rc_t message_get(api_t *a, call_t *c);
api_rc_t message_edit(api_t *a, call_t *c);
api_rc_t message_delete(api_t *a, call_t *c);
api_rc_t message_history(api_t *a, call_t *c);
api_rc_t reaction_put(api_t *a, call_t *c);
api_rc_t reaction_delete(api_t *a, call_t *c);

/* api_settings.c */

/* The part of the document that conversation_updated tells clients. */
json_t *settings_shown(const call_t *c, const json_t *doc);
/* conversation_updated; takes `shown`, and `set` for the projector. */
void settings_event(const call_t *c, emit_t *e, const json_t *doc,
    json_t *shown, json_t *set);
/* It archives the room, too, or takes it out of the archive. */
void settings_archive(const call_t *c, emit_t *e, const json_t *doc,
    int archived);
/* Emit it and give its JSON back. */
emit_rc_t settings_emit(api_t *a, call_t *c, const access_t *x, emit_t *e,
    int64_t *seq);
/* Answer with the room. */
api_rc_t settings_answer(api_t *a, call_t *c, store_t *st, int changed);

api_rc_t conv_update(api_t *a, call_t *c);
api_rc_t conv_archive(api_t *a, call_t *c);
api_rc_t conv_unarchive(api_t *a, call_t *c);
api_rc_t conv_block(api_t *a, call_t *c);
api_rc_t conv_unblock(api_t *a, call_t *c);

/* api_member.c */
api_rc_t member_add(api_t *a, call_t *c);
api_rc_t member_remove(api_t *a, call_t *c);
/* Is he, or was he once, in the room of this document? */
int member_known(const json_t *doc, const char *user);

/* api_receipt.c */
api_rc_t receipt_read(api_t *a, call_t *c);
api_rc_t receipt_delivered(api_t *a, call_t *c);
api_rc_t unread_list(api_t *a, call_t *c);

/* api_user.c */
api_rc_t user_put(api_t *a, call_t *c);
/* From here on the caller is called what a service has called him, if one has:
 * for events that show him.  0, or -1: answered. */
int user_named(api_t *a, call_t *c, store_t *st);

/* api_presence.c */
api_rc_t presence_get(api_t *a, call_t *c);
api_rc_t presence_put(api_t *a, call_t *c);

/* api_device.c */
api_rc_t device_list(api_t *a, call_t *c);
api_rc_t device_put(api_t *a, call_t *c);
api_rc_t device_delete(api_t *a, call_t *c);
api_rc_t push_get(api_t *a, call_t *c);
api_rc_t push_put(api_t *a, call_t *c);
api_rc_t push_mute(api_t *a, call_t *c);

/* api_search.c */
api_rc_t search(api_t *a, call_t *c);
/* The same in one conversation, in the shape of its messages. */
api_rc_t search_messages(api_t *a, call_t *c, const store_page_t *page);

/* api_message.c */
api_rc_t message_list(api_t *a, call_t *c);

/* api_upload.c */
api_rc_t internal_upload(api_t *a, call_t *c);
api_rc_t upload_get(api_t *a, call_t *c);

/* api_file.c */
api_rc_t internal_file(api_t *a, call_t *c);
api_rc_t file_get(api_t *a, call_t *c);
api_rc_t file_update(api_t *a, call_t *c);
api_rc_t file_link(api_t *a, call_t *c);
api_rc_t file_list(api_t *a, call_t *c);

/* api_admin.c */
api_rc_t hold_create(api_t *a, call_t *c);
api_rc_t hold_list(api_t *a, call_t *c);
api_rc_t hold_release(api_t *a, call_t *c);
api_rc_t audit_list(api_t *a, call_t *c);

/* api_admin_user.c */
api_rc_t user_erase(api_t *a, call_t *c);
api_rc_t user_export(api_t *a, call_t *c);

/* api_internal.c */
api_rc_t internal_load(api_t *a, call_t *c);
api_rc_t internal_user(api_t *a, call_t *c);
api_rc_t internal_changes(api_t *a, call_t *c);
api_rc_t internal_message(api_t *a, call_t *c);
store_rc_t internal_user_load(api_t *a, rds_t *hub, store_t *st,
    const char *user);

#endif
