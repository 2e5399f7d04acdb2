/*
 * store.h: what a store can do.  Two implementations, store_sqlite*.c and
 * store_mongo*.c (store_internal.h says which file does what); both pass the
 * suite tests/unit/store_suite.c.
 *
 * A store knows conversations, messages, members, cursors and users; it knows
 * nothing of Redis, sockets or HTTP.  It belongs to one process and one thread.
 * Documents come and go as jansson objects: events as docs/redis.md has them,
 * what is read as is said below, times as ISO 8601 strings with milliseconds.
 *
 * Writing is one function: store_apply().  The projector alone calls it, with
 * events in the order of their shard's ingest stream.  It is idempotent: an
 * event whose seq is not above the conversation's is passed over, so that a
 * batch may be repeated after any crash, in other batch boundaries too.
 */

#ifndef STORE_H
#define STORE_H

#include <stdint.h>
#include <stddef.h>
#include <jansson.h>

#include "common/wrt_limits.h"

/* One decoded ingest entry.  Borrowed by the store for the call. */
typedef struct {
    char         kind;          /* WRT_EV_* of common/wrt_bus.h */
    const char  *entry_id;      /* stream id, for messages in the log */
    const char  *conversation;  /* "-" for WRT_EV_PROFILE */
    int64_t      seq;           /* 0 for unnumbered events */
    const char  *actor;         /* user id or "" */
    const char  *target;        /* user id or "" */
    json_t      *body;          /* the payload's JSON, or NULL (fence) */
    json_t      *extra;         /* server-side details, or NULL */
} event_t;

typedef enum {
    STORE_OK = 0,
    STORE_NOT_FOUND,            /* queries only */
    STORE_TOO_MANY,             /* more rows than asked for */
    STORE_REJECTED,             /* can never be stored; store_error(): why */
    STORE_DOWN                  /* try again later; nothing was lost */
} store_rc_t;

typedef struct store_s  store_t;

/* A page of the messages within all bounds that are given, newest first.  The
 * first page is that of the newest ones; with after_seq, of the oldest. */
typedef struct {
    const char  *conversation;
    int          page;          /* 1.. */
    int          limit;         /* 1..WRT_PAGE_MESSAGES_MAX */
    int64_t      before_ms;     /* -1: none; created before (exclusive) */
    int64_t      before_seq;    /* -1: none */
    int64_t      after_seq;     /* -1: none */
    const char  *thread_of;     /* message id or NULL: replies to it */

    /* what the caller knows already, which saves a look */
    int64_t      applied;       /* the store has all up to this number, more
                                   is not wanted; 0: not known */
    int          consults;      /* and has it, or had it, a consultation? */
} store_page_t;

typedef struct {
    const char  *user;
    const char  *type;          /* NULL: all */
    int          archived;      /* 0, 1 */
    int          page;
    int          limit;
} store_list_t;

/* What to look for.  Strings are checked UTF-8; NULL and -1: no such wish. */
typedef struct {
    const char  *user;          /* only in rooms where he is now and may
                                   read; NULL: whoever asks may read the
                                   conversation, which has to be named */
    const char  *q;             /* words in any order, "a phrase", pre* */
    const char  *conversation;
    const char  *sender;        /* is or was a member where he wrote */
    const char  *type;
    int64_t      before_ms;     /* created before (exclusive) */
    int64_t      after_ms;      /* created after (exclusive) */
    int          page;          /* 1.. */
    int          limit;         /* 1..WRT_PAGE_SEARCH_MAX */
    int64_t      before_seq;    /* 0: none; these three in a conversation */
    int64_t      after_seq;     /* 0: none */
    const char  *thread_of;     /* replies to this message */
} store_search_t;

/*
 * Open by URL: "sqlite:/path/to/file.db" or "mongodb://...".  scripts_dir is
 * sql_or_mongo_scripts/ (schema and migrations live there and nowhere else).
 * migrate != 0: bring the schema up to date (the parent does so once, before
 * its children open with 0, which only checks the version).  On failure
 * returns NULL and a text with the cure in err.
 */
store_t *store_open(const char *url, const char *scripts_dir, int migrate,
    char *err, size_t err_size);
void store_close(store_t *st);

/* Is the URL in order?  0, or -1 and a text with the cure in err, which repeats
 * no password.  No server is asked. */
int store_url_check(const char *url, char *err, size_t err_size);

const char *store_name(const store_t *st);      /* "sqlite" | "mongo" */
const char *store_error(const store_t *st);     /* text of the last failure */

/* Does it answer?  STORE_OK or STORE_DOWN, within about 2 s. */
store_rc_t store_ping(store_t *st);

/*
 * A member's rights follow the permissions that the last event gave him;
 * what a block takes away (write, upload) its end gives back.
 *
 * Apply n events, all or a prefix of them durable when it returns.  On
 * STORE_OK all are (SQLite: synchronous=FULL; MongoDB: w majority, journaled).
 * On STORE_REJECTED *bad is the index of an event that can never be stored;
 * nothing after it was applied.  On STORE_DOWN repeat the whole call later.
 * A message whose (conversation, sender, clientMessageId) is there already
 * under another seq is not stored twice when that one was sent with the same
 * type, content and replyTo and is not deleted: its number stays unused.
 * Otherwise it is another message, and stored without its clientMessageId.  The
 * number of a change of a message that is not there or is deleted stays unused,
 * too.  Of a message's edits the newest WRT_EDITS_MAX are kept; what was
 * deleted stays in the database, where no query of this interface shows it.
 */
store_rc_t store_apply(store_t *st, const event_t *ev, size_t n, size_t *bad);

/* Have store_apply() call fn(data) again and again while it works, so that it
 * may rest; SQLite does so with each page that it writes, in any call.  A
 * transaction may be open, so for milliseconds only, and without a call of this
 * store.  NULL: not any more. */
void store_on_work(store_t *st, void (*fn)(void *), void *data);

/*
 * What wrt_load puts into Redis: {"seq","state":"active"|"archived"|
 * "reopen" (archived until somebody writes),"at","consultationId"?,"members":
 * [{"userId","role","permissions":["read",...],"joinSeq","readSeq",
 * "readAt","deliveredSeq","deliveredAt"}]} (present members only).
 * One who is blocked has "blockedBy" and "given" besides: what he may do again
 * when the block ends.
 */
store_rc_t store_conversation_state(store_t *st, const char *id, json_t **out);

/* The rooms a user is in now: {"<conversation>": joinSeq, ...}. */
store_rc_t store_user_rooms(store_t *st, const char *user, json_t **out);

/*
 * A conversation as its document: Conversation of docs/api/openapi.yaml but for
 * "muted", "mutedUntil" and "isOnline".  Of its members "consultationStatus" is
 * that of the consultation that it has now, "sessionId" that of the session
 * under way (or null), "lastMessage" ({"content","senderId","sentAt","type"} or
 * null) the newest one that is not deleted, as it is now.
 * metadata.messageCount counts deleted messages, too: they keep their place
 * in the history.  participants carry those who left, too
 * (leftAt), and "user":{"name","avatar","role"} from users; of a user without
 * a profile name is "", avatar null, role that in the room.  A participant whom
 * another one has blocked has "blockedBy" (else null).  user: whose
 * "unreadCount" (as below) is to be in it, when he is a member; NULL: nobody's.
 */
store_rc_t store_conversation(store_t *st, const char *id, const char *user,
    json_t **out);

/*
 * A user's conversations, newest activity first: documents as above plus
 * "unreadCount" (messages above his read cursor and after he joined, not his
 * own, not deleted, exact).  *total: of all pages.  Activity is that of
 * lastMessage, or the creation; at the same time by id.
 */
store_rc_t store_conversations(store_t *st, const store_list_t *q,
    json_t **out, int64_t *total);

/*
 * Messages as API documents: Message of docs/api/openapi.yaml.  replyPreview is
 * of the message that replyTo names, if it is in the same conversation: {"id",
 * "senderId","sender","type","text" (cut; "" of a deleted one), "deletedAt"};
 * null when it is not.  editHistory is left out.  A deleted one has content {},
 * no reactions, no preview of its own text anywhere.  sender from users,
 * status/readBy derived from cursors (sent: nobody else has it; delivered;
 * read; the sender's own cursor does not count).  *more: are there further ones
 * in that direction?  STORE_NOT_FOUND: no such conversation.
 */
store_rc_t store_messages(store_t *st, const store_page_t *q, json_t **out,
    int *more);
store_rc_t store_message(store_t *st, const char *conversation,
    const char *id, json_t **out);
/* The one that the user has sent with this clientMessageId. */
store_rc_t store_message_sent(store_t *st, const char *conversation,
    const char *user, const char *client_id, json_t **out);

/*
 * A message as those need it who decide about a change of it: as
 * store_message(), plus "changeSeq" and "editHistory" ([{"editedAt",
 * "previousContent" (text),"editedBy","seq" (the edit's number)}], oldest
 * first; [] of a deleted one).
 */
store_rc_t store_message_full(store_t *st, const char *conversation,
    const char *id, json_t **out);

/* [{"conversationId","unreadCount"}] of the user's rooms that have any,
 * archived ones too, newest activity first. */
store_rc_t store_unread(store_t *st, const char *user, json_t **out);

/*
 * Messages that have all that q asks for (worker/store/words.h: how words are
 * compared), in their text or the name of their file, newest first (at the
 * same time by room; in a room always by seq): [{"message" (as
 * store_messages()), "conversation":{"id","title"},"highlights":[...]}].
 * highlights: up to three excerpts as HTML, each find inside <mark></mark>.
 * Deleted ones are not found, edited ones by what they say now.  *more: is
 * there another page (within WRT_SEARCH_DEPTH_MAX results)?  The same on all
 * stores.
 *
 * STORE_REJECTED: q asks for nothing, or too much.  STORE_NOT_FOUND: there is
 * no such conversation, or the user is not in it or may not read it.
 */
store_rc_t store_search(store_t *st, const store_search_t *q, json_t **out,
    int *more);

/*
 * Compact catch-up: every message new or changed after seq `after`, once, as
 * it is now, in the order of its last change, with the number of that as
 * "changeSeq".  Its status is "sent" and readBy empty, as in the event of a
 * new one: cursors say who has read it.  *upto: the conversation's seq in the
 * store.
 * STORE_TOO_MANY above max.
 */
store_rc_t store_changes(store_t *st, const char *conversation, int64_t after,
    int max, json_t **out, int64_t *upto);

/*
 * The record of a file, as it was put last (docs/redis.md), and "downloadCount"
 * and "lastAccessedAt" (null: never).  Deleted ones, too: deletedAt says so.
 */
store_rc_t store_file(store_t *st, const char *id, json_t **out);

/* Which files; NULL and 0: no such wish. */
typedef struct {
    const char  *scan_status;
    const char  *hash;
    const char  *conversation;
    const char  *not_engine;    /* scanned by another one than this */
    int          present;       /* only those that are not deleted */
    int          oldest;        /* by scannedAt, ascending; else newest first */
    int          page;
    int          limit;         /* 1..WRT_PAGE_FILES_MAX */
} store_files_t;

/* Records; *total: of all pages. */
store_rc_t store_files(store_t *st, const store_files_t *q, json_t **out,
    int64_t *total);

/* How many files need the bytes of this hash: those that are in storage and not
 * deleted. */
store_rc_t store_file_refs(store_t *st, const char *hash, int64_t *n);

/* Which holds; NULL and 0: no such wish. */
typedef struct {
    const char  *type;          /* "conversation" or "user" */
    const char  *target;
    int          active;        /* not released */
    int          page;
    int          limit;         /* 1..WRT_PAGE_AUDIT_MAX */
} store_holds_t;

/*
 * A legal hold: {"id","type","targetId","reason","createdBy","createdAt",
 * "releasedBy","releasedAt"} (null: in force).  Lists: newest first; *total:
 * of all pages.
 */
store_rc_t store_hold(store_t *st, const char *id, json_t **out);
store_rc_t store_holds(store_t *st, const store_holds_t *q, json_t **out,
    int64_t *total);

/* Which acts; NULL and -1: no such wish. */
typedef struct {
    const char  *actor;
    const char  *action;
    const char  *target;
    int64_t      before_ms;     /* exclusive */
    int64_t      after_ms;      /* exclusive */
    int          page;
    int          limit;         /* 1..WRT_PAGE_AUDIT_MAX */
} store_audit_t;

/*
 * The log of administrative acts, newest first: {"id","at","action","actor":
 * {"userId","role"},"target":{"type","id"},"from","details"}.  *more: is there
 * another page?
 */
store_rc_t store_audit(store_t *st, const store_audit_t *q, json_t **out,
    int *more);
/*
 * The record of a session, as it was put last (docs/redis.md), with
 * analytics.satisfaction (the mean of "ratings": [{"userId","rating",
 * "comment","at"}]).
 */
store_rc_t store_session(store_t *st, const char *id, json_t **out);

/* Which sessions; NULL and 0: no such wish. */
typedef struct {
    const char  *user;          /* of rooms where he is now and may read */
    const char  *conversation;
    const char  *consultation;
    const char  *type;          /* consultation | general */
    const char  *status;        /* active | ended | completed */
    int          oldest;        /* by startTime ascending; else newest first */
    int          page;
    int          limit;         /* 1..WRT_PAGE_SESSIONS_MAX */
    int64_t      from_seq;      /* it has numbers from this one on, */
    int64_t      to_seq;        /* up to this one */
} store_sessions_t;

/* Records; *total: of all pages. */
store_rc_t store_sessions(store_t *st, const store_sessions_t *q,
    json_t **out, int64_t *total);

/* Part 0, 1... of the transcript "run" of a session: a string. */
store_rc_t store_session_part(store_t *st, const char *session,
    const char *run, int64_t part, json_t **out);

/*
 * {"id","conversationId","status","fromSeq","context","createdAt",
 * "updatedAt"}: messages of the room from fromSeq on are its, up to the
 * next consultation there.
 */
store_rc_t store_consultation(store_t *st, const char *id, json_t **out);

/* Which rooms to look at for what has had its time. */
typedef struct {
    const char  *after;         /* only those with ids above this one */
    int          look;          /* at so many */
    int          max;           /* rooms with something, at most */
    int          limit;         /* messages of one of them */
    int64_t      now_ms;
    int64_t      idle_ms;       /* autoArchive: no activity since; -1: none */
} store_due_t;

/*
 * What retention (settings.retention, days) and autoArchive end, in order of
 * rooms: [{"conversationId","seq","before" (time),"messages":[{"id","numbers"
 * (of the events that say what it said)}], "idle" (is it to be archived?)}].
 * Nothing of what is held: the room, or somebody who is or was in it.  next:
 * after which room to go on when nothing was found; "" when there are no more.
 */
store_rc_t store_due(store_t *st, const store_due_t *q, json_t **out,
    char next[WRT_ID_MAX + 1]);

/* Where each room stands, in order of rooms, above `after`:
 * [{"conversationId","seq"}]. */
store_rc_t store_ends(store_t *st, const char *after, int limit,
    json_t **out);

/* Who is being erased, the longest first: [{"userId","alias","requestedBy",
 * "requestedAt"}]. */
store_rc_t store_erasures(store_t *st, json_t **out);
/*
 * Rooms in which he is or ever was, in order, above `after`:
 * [{"conversationId","seq","present","role","type",
 * "held" (is anything of it?)}].
 */
store_rc_t store_traces(store_t *st, const char *user, const char *after,
    int limit, json_t **out);
/* Messages there that are his, or system messages about him, the first ones:
 * [{"id","numbers"}] as store_due() has them.  STORE_NOT_FOUND: no such
 * conversation. */
store_rc_t store_said(store_t *st, const char *conversation, const char *user,
    int limit, json_t **out);
/* Is he himself held?  (STORE_OK, STORE_NOT_FOUND) */
store_rc_t store_user_held(store_t *st, const char *user);
/* Bring what was erased out of the files of the database, a step at a time.
 * For the projector; *more: there is something left to do. */
store_rc_t store_tidy(store_t *st, int *more);

/* {"id","name","avatar","role"}; a managed profile (a service set it) is not
 * changed by later ones that are not.  *managed: is it one? (may be NULL) */
store_rc_t store_user(store_t *st, const char *id, json_t **out,
    int *managed);

/*
 * How users are reached by push: {"<user>":{"devices":[{"id","platform",
 * "token","locale","registeredAt"}], newest first, "quietHours": {"start",
 * "end","timezone"} or null, "mutes":[{"conversationId","until" (null: until he
 * says so)}]}}, each of the users.  conversation: only mutes of that one;
 * NULL: all.
 */
store_rc_t store_push(store_t *st, const char *const *users, size_t n,
    const char *conversation, json_t **out);
/* Does one of these mutes still count? */
int store_mute_lasts(const json_t *mute, int64_t now);

#endif
