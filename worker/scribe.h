/*
 * scribe.h: sessions written up when they have ended; see scribe.c.
 *
 * Between the pure libraries (session.h, transcript.h), the store it reads and
 * Redis, by which what it has found goes into the store.  shard: connection to
 * the server of the conversation's shard.
 */

#ifndef SCRIBE_H
#define SCRIBE_H

#include "worker/worker.h"

/* Queue an event of kind 'g' (docs/redis.md); takes over the body.  0, or -1:
 * not now. */
int scribe_record(rds_t *shard, cmd_t *cmd, const conf_t *cf,
    const char *conversation, json_t *body);

/*
 * Write up a session whose status is "ended", and queue that.  STORE_OK;
 * STORE_REJECTED: Redis did not take it, try again; else what the store said.
 */
store_rc_t scribe_complete(const conf_t *cf, store_t *st, rds_t *shard,
    cmd_t *cmd, const json_t *session);

/* The same for what was said in a room, other than of a consultation, since
 * its last session: cut where it was silent for session_gap_s. */
store_rc_t scribe_general(const conf_t *cf, store_t *st, rds_t *shard,
    cmd_t *cmd, const char *conversation);

/* What is due of both: sessions that ended and were not written up, rooms that
 * have been silent.  For the janitor; a little at a time.  links: one a
 * server. */
void scribe_turn(role_t *r, link_t *links, cmd_t *cmd);

/* The room and the messages of a session. */
store_rc_t scribe_read(store_t *st, const json_t *session, json_t **room,
    json_t **messages);

/* The record, completed, and its transcript (or NULL), as of now. */
json_t *scribe_now(const conf_t *cf, const json_t *session,
    const json_t *room, const json_t *messages, json_t **transcript);

/* Queue the pieces of a transcript; {"run","parts","head"}, null: it can not be
 * written, NULL: not now. */
json_t *scribe_parts(rds_t *shard, cmd_t *cmd, const conf_t *cf,
    const json_t *session, int64_t rev, const json_t *transcript);

/* A user out of a session that is written up, its record and transcript: an
 * alias stands in his place, the summary is gone, the chain of hashes is as it
 * was.  1 queued, 0 he is not in it, -1 not now. */
int scribe_erase(const conf_t *cf, store_t *st, rds_t *shard, cmd_t *cmd,
    const json_t *session, const char *user, const char *alias);

#endif
