/*
 * session.h: what a session of a consultation says about itself.
 *
 * Pure: messages in, documents out; no store, no Redis, no log, and the same
 * answer for the same messages wherever and whenever it is asked.  How topics,
 * action items, questions and figures are found: docs/sessions.md.
 *
 *   session.c            reads messages and participants; the document
 *   session_text.c       sentences, words, stems, text made fit to be shown
 *   session_lexicon.c    words with a part in a conversation
 *   session_topics.c     what it was about
 *   session_actions.c    what somebody is to do, until when (session_due.c)
 *   session_questions.c  what nobody answered
 *   session_stats.c      counts, times to an answer, engagement
 *   session_keep.c       what all of this is made of, and no more
 *
 * When malloc() fails the process ends (store_oom()).
 */

#ifndef SESSION_H
#define SESSION_H

#include <jansson.h>
#include <stdint.h>

#include "common/wrt_limits.h"

#define SESSION_ERROR_SIZE  128

typedef struct {
    /* As store_messages() gives them, in any order.  System messages and
     * deleted ones may be among them; they do not count. */
    const json_t  *messages;
    /* A conversation's "participants".  A sender who is not among them is
     * added. */
    const json_t  *participants;
    /* Milliseconds; -1: those of the first and the last message. */
    int64_t        start;
    int64_t        end;
    /* Minutes that local time is ahead of UTC: whose days "besok" is counted
     * in. */
    int            utc_offset;
} session_input_t;

typedef struct session_s  session_t;

/*
 * NULL: the input is refused; err names the field and what is allowed.  The
 * documents of the input are used until session_close().
 */
session_t *session_open(const session_input_t *in,
    char err[SESSION_ERROR_SIZE]);
void session_close(session_t *s);

/*
 * Of messages that come one after the other what session_open() looks at, in
 * bounded memory: texts of at most 2 * WRT_SESSION_TEXT_MAX bytes and one
 * message beside them, however much was said.  A session opened with
 * session_kept() gives the document that the whole messages would give.  Zero
 * it first.
 */
typedef struct {
    json_t  *messages;
    size_t   n;             /* messages that count */
    size_t   said;          /* bytes of their texts */
    size_t   kept;          /* as many of them are here */
} session_keep_t;

void session_keep(session_keep_t *k, const json_t *message);
/* Good until the next message. */
const json_t *session_kept(session_keep_t *k);
void session_keep_free(session_keep_t *k);

/* At most max topics, the most prominent first: ["text"]. */
json_t *session_topics(session_t *s, size_t max);

/*
 * In the order of the messages, at most WRT_SESSION_ITEMS_MAX:
 * [{"text","kind":"request|promise|shared","userId" (who is to do it; null:
 * all, or it is not said who),"byUserId","messageId","at","due":null or
 * {"text","date" (YYYY-MM-DD)}}].
 */
json_t *session_actions(session_t *s);

/* The same for questions without an answer:
 * [{"text","userId" (who asked),"messageId","at"}]. */
json_t *session_questions(session_t *s);

/*
 * {"startTime","endTime","duration","participants":[...],"totalMessages",
 * "filesShared","analytics":{...}}; the numbers are in docs/sessions.md.
 */
json_t *session_stats(session_t *s);

/*
 * All of it, as docs/sessions.md shows it: startTime, endTime, duration,
 * participants, summary, analytics ("satisfaction" is null: nobody
 * was asked yet).
 */
json_t *session_document(session_t *s);

#endif
