/*
 * scribe.h: sessions written up when they have ended; see scribe.c.
 *
 * Between the pure libraries (session.h, transcript.h), the store it reads and
 * Redis, by which what it has found goes into the store.
 */

#ifndef SCRIBE_H
#define SCRIBE_H

#include "worker/session/session.h"
#include "worker/session/transcript.h"
#include "worker/worker.h"

/* What it works with.  A long session takes seconds: beat, if there is one, is
 * called before each page of messages that is read, to say that we live. */
typedef struct scribe_s {
    const conf_t   *cf;
    store_t        *st;
    rds_t          *shard;          /* server of the conversation's shard */
    cmd_t          *cmd;            /* scratch */
    void          (*beat)(void *data);
    void           *data;
} scribe_t;

/* Queue an event of kind 'g' (docs/redis.md); takes over the body.  0, or -1:
 * not now. */
int scribe_record(const scribe_t *w, const char *conversation, json_t *body);

/*
 * Write up a session whose status is "ended", and queue that.  STORE_OK;
 * STORE_REJECTED: Redis did not take it, try again; else what the store said.
 */
store_rc_t scribe_complete(const scribe_t *w, const json_t *session);

/* The same for what was said in a room, other than of a consultation, since
 * its last session: cut where it was silent for session_gap_s.
 * STORE_REJECTED also when there is more to be read: again, later. */
store_rc_t scribe_general(const scribe_t *w, const char *conversation);

/*
 * scribe_make.c
 */

const char *scribe_text(const json_t *o, const char *key);  /* NULL: none */
int64_t scribe_time(const json_t *o, const char *key);  /* ms; -1: none */

/* The record that is to come after this one: rev and updatedAt are the next
 * ones, what is the store's to say (ratings, satisfaction) is not in it. */
json_t *scribe_next(const json_t *session);

/* What of a summary quotes messages or is made of their words, up to a NULL;
 * and one of them when nothing is said: an empty text, or list. */
extern const char *const  scribe_quotes[];
json_t *scribe_quote_none(const char *key);

/* Messages by seq, from number first to last (-1: all), at most
 * WRT_SESSION_MESSAGES_MAX of them, until each() does not say 0. */
typedef int (*scribe_each_pt)(void *data, const json_t *message);

store_rc_t scribe_each(const scribe_t *w, const char *conversation,
    int64_t first, int64_t last, scribe_each_pt each, void *data);

/* The room of a session, and what is kept of its messages. */
store_rc_t scribe_gather(const scribe_t *w, const json_t *session,
    json_t **room, session_keep_t *keep);

typedef struct {
    json_t  *record;        /* completed */
    json_t  *people;        /* those of the room who were in it */
    json_t  *document;      /* NULL: it cannot be made of these messages */
} scribe_made_t;

void scribe_make(const conf_t *cf, const json_t *session, const json_t *room,
    const json_t *kept, scribe_made_t *made);
void scribe_made_free(scribe_made_t *made);

/* The transcript, an entry at a time; reads the messages from the store.  When
 * head is empty it was refused (err), or the sink has stopped it. */
store_rc_t scribe_transcript(const scribe_t *w, const scribe_made_t *made,
    const json_t *kept, transcript_sink_pt sink, void *data,
    char head[TRANSCRIPT_HASH_LEN + 1], char err[TRANSCRIPT_ERROR_SIZE]);

/* The same as of now, as text; empty: it cannot be made, or it would be larger
 * than max. */
store_rc_t scribe_transcript_now(const scribe_t *w, const json_t *session,
    size_t max, buf_t *text, int *large);

/*
 * A transcript's text into the store: pieces of a run of its own are queued as
 * they are full.  scribe_parts_end() gives what the record says about it,
 * {"run","parts","head"}, null when the head is empty, NULL: not now.
 */
typedef struct {
    const scribe_t  *w;
    const json_t    *session;
    int64_t          rev;
    char             run[WRT_OID_LEN + 1];
    buf_t            text;
    json_int_t       parts;
    int              failed;
} scribe_parts_t;

void scribe_parts_begin(scribe_parts_t *p, const scribe_t *w,
    const json_t *session, int64_t rev);
int scribe_parts_add(void *data, const char *text, size_t n);
json_t *scribe_parts_end(scribe_parts_t *p, const char *head);

/* The text that the record names, piece by piece, until the sink does not say
 * 0.  STORE_NOT_FOUND: it was made anew meanwhile. */
store_rc_t scribe_parts_each(store_t *st, const json_t *session,
    transcript_sink_pt sink, void *data);
/* The same added to *text; large: more than max, and not all of it was
 * read. */
store_rc_t scribe_parts_read(store_t *st, const json_t *session, size_t max,
    buf_t *text, int *large);

/*
 * scribe_erase.c
 */

/* A user out of a session that is written up, its record and transcript: an
 * alias stands in his place, the summary is gone, the chain of hashes is as it
 * was.  1 queued, 0 he is not in it, -1 not now. */
int scribe_erase(const scribe_t *w, const json_t *session, const char *user,
    const char *alias);

/*
 * scribe_redact.c
 */

/*
 * What is no longer there of a room's messages, and may be quoted in its
 * sessions: members of wrt:sessions:redact.  NULL: not now.  Ask before the
 * record of a session is read that is to be shown.
 */
reply_t *scribe_gone(rds_t *hub, const char *conversation);
/* The first and the last number of a member.  0, -1: it is none. */
int scribe_gone_span(const char *member, int64_t *from, int64_t *to);
/* Is any of these among the messages of a session? */
int scribe_gone_touches(const reply_t *gone, const json_t *session);

/*
 * Take out of a session that is written up, its transcript and its summary,
 * what the store has as deleted by now, or not at all.  *queued: there was
 * something; when the store has that, look again: another record may have come
 * first.  STORE_REJECTED: not now; STORE_NOT_FOUND: it was made anew meanwhile;
 * else what the store said.
 */
store_rc_t scribe_redact(const scribe_t *w, const json_t *session,
    int *queued);

/*
 * scribe_turn.c: what nobody waits for, for the janitor, a little at a time:
 * sessions that ended and were not written up, rooms that have been silent,
 * sessions that quote what is deleted.
 */

typedef struct scribe_turns_s  scribe_turns_t;

scribe_turns_t *scribe_turns_open(role_t *r);
/* links: one a server, the first is the hub. */
void scribe_turn(scribe_turns_t *t, link_t *links, cmd_t *cmd);
void scribe_turns_close(scribe_turns_t *t);

#endif
