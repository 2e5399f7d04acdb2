/*
 * scribe.c: writes up a session when it has ended: summary, figures,
 * transcript (docs/sessions.md).
 *
 * Whoever ends a consultation does this at once (api_consult_life.c).  What
 * was left undone because a process died, and sessions of other rooms, which
 * end by silence, the janitor does.  Two may write up the same session: the
 * record that comes first counts, and the store keeps the pieces of its
 * transcript alone.  What is written is made in scribe_make.c.
 */

#include <string.h>

#include <openssl/evp.h>

#include "worker/scribe/scribe.h"


int
scribe_record(const scribe_t *w, const char *conversation, json_t *body)
{
    int       ok;
    char      key[WRT_NAME_BUF];
    buf_t     text;
    reply_t  *r;

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c 0 - -\n", WRT_EV_SESSION);
    buf_json(&text, body);
    json_decref(body);

    cmd_begin(w->cmd, "FCALL");
    cmd_text(w->cmd, WRT_FN_RECORD);
    cmd_num(w->cmd, 1);
    cmd_mem(w->cmd, key,
            wrt_key_ingest(key, wrt_shard(&w->cf->names, conversation,
                                          strlen(conversation))));
    cmd_text(w->cmd, conversation);
    cmd_mem(w->cmd, text.p, text.n);
    cmd_text(w->cmd, "");
    cmd_num(w->cmd, WRT_BACKLOG_MAX);
    r = rds_run(w->shard, w->cmd);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(w->shard, reply_text(r));
    }

    ok = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);
    buf_free(&text);

    return ok ? 0 : -1;
}


/* Queue the record; takes over the transcript's place in it. */
static int
scribe_put(const scribe_t *w, json_t *record, json_t *transcript,
    size_t messages)
{
    int          rc;
    const char  *conversation;

    conversation = scribe_text(record, "conversationId");
    json_object_set_new(record, "transcript", transcript);

    rc = scribe_record(w, conversation,
                       json_pack("{s:s, s:O}", "op", "put", "session",
                                 record));
    if (rc == 0) {
        log_info("session_completed", "session=%s conversation=%s "
                 "messages=%zu", scribe_text(record, "id"), conversation,
                 messages);
    }

    return rc;
}


store_rc_t
scribe_complete(const scribe_t *w, const json_t *session)
{
    char             head[TRANSCRIPT_HASH_LEN + 1];
    char             err[TRANSCRIPT_ERROR_SIZE];
    json_t          *room, *transcript;
    store_rc_t       rc;
    const json_t    *kept;
    scribe_made_t    made;
    session_keep_t   keep;
    scribe_parts_t   parts;

    rc = scribe_gather(w, session, &room, &keep);
    if (rc != STORE_OK) {
        return rc;
    }

    kept = session_kept(&keep);
    scribe_make(w->cf, session, room, kept, &made);
    scribe_parts_begin(&parts, w, session,
                       json_integer_value(json_object_get(made.record,
                                                          "rev")));
    rc = scribe_transcript(w, &made, kept, scribe_parts_add, &parts, head,
                           err);

    if (rc == STORE_OK && head[0] == '\0' && !parts.failed) {
        log_error("transcript", "session=%s error=\"%s\"",
                  scribe_text(session, "id"), err);
    }

    transcript = scribe_parts_end(&parts, head);

    if (rc == STORE_OK
        && (transcript == NULL
            || scribe_put(w, made.record, json_incref(transcript),
                          json_array_size(kept))
               != 0))
    {
        rc = STORE_REJECTED;
    }

    json_decref(transcript);
    scribe_made_free(&made);
    session_keep_free(&keep);
    json_decref(room);

    return rc;
}


/* -- sessions that end by silence -- */

typedef struct {
    const scribe_t  *w;
    json_t          *room;
    size_t           read;      /* messages */
    size_t           written;   /* sessions */
    int              failed;

    /* the one that is being read */
    size_t           n;
    json_t          *from;      /* seq and createdAt of its first message */
    json_t          *to;        /* and of its last */
    session_keep_t   keep;
} general_t;


/* The id of the session that begins there: the same whoever finds it. */
static int
scribe_id(char out[WRT_OID_LEN + 1], const char *conversation, int64_t first)
{
    int            n;
    char           text[WRT_ID_MAX + 64];
    unsigned       len;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    n = snprintf(text, sizeof(text), "session\n%s\n%lld", conversation,
                 (long long) first);

    if (EVP_Digest(text, (size_t) n, digest, &len, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    wrt_hex(digest, WRT_OID_LEN / 2, out);

    return 0;
}


/* What is told of a message in the record. */
static json_t *
general_place(const json_t *m)
{
    return json_pack("{s:O, s:O}", "seq", json_object_get(m, "seq"),
                     "createdAt", json_object_get(m, "createdAt"));
}


static json_t *
general_session(const general_t *g)
{
    char         id[WRT_OID_LEN + 1];
    json_t      *seq, *end;
    const char  *conversation;

    conversation = scribe_text(g->room, "id");
    seq = json_object_get(g->from, "seq");
    end = json_object_get(g->to, "createdAt");

    if (scribe_id(id, conversation, json_integer_value(seq)) != 0) {
        return NULL;
    }

    return json_pack("{s:s, s:i, s:s, s:n, s:s, s:s, s:O, s:O, s:O?, s:n,"
                     " s:O, s:O, s:O, s:O}",
                     "id", id, "rev", 1, "conversationId", conversation,
                     "consultationId", "sessionType", "general",
                     "status", "ended", "startSeq", seq, "endSeq",
                     json_object_get(g->to, "seq"),
                     "title", json_object_get(g->room, "title"), "context",
                     "startTime", json_object_get(g->from, "createdAt"),
                     "endTime", end, "createdAt", end, "updatedAt", end);
}


/* What has been read was a session: no transcript of it is kept. */
static int
general_end(general_t *g)
{
    json_t         *session;
    scribe_made_t   made;

    session = general_session(g);

    if (session == NULL) {
        g->failed = 1;
        return -1;
    }

    scribe_make(g->w->cf, session, g->room, session_kept(&g->keep), &made);
    g->failed = scribe_put(g->w, made.record, json_null(), g->n) != 0;
    g->written += !g->failed;

    scribe_made_free(&made);
    json_decref(session);
    json_decref(g->from);
    json_decref(g->to);
    session_keep_free(&g->keep);
    g->from = NULL;
    g->to = NULL;
    g->n = 0;

    return g->failed ? -1 : 0;
}


static int
general_silent(const general_t *g, int64_t until)
{
    return until - scribe_time(g->to, "createdAt")
           >= (int64_t) g->w->cf->session_gap_s * 1000;
}


static int
general_add(void *data, const json_t *m)
{
    general_t  *g;

    g = data;

    if (g->n > 0 && general_silent(g, scribe_time(m, "createdAt"))
        && general_end(g) != 0)
    {
        return -1;
    }

    if (g->n == 0) {
        g->from = general_place(m);
    }

    json_decref(g->to);
    g->to = general_place(m);
    session_keep(&g->keep, m);
    g->n++;
    g->read++;

    return 0;
}


/* Messages after a number, cut where nobody said anything for so long. */
static store_rc_t
general_read(general_t *g, int64_t after)
{
    int         full;
    store_rc_t  rc;

    rc = scribe_each(g->w, scribe_text(g->room, "id"), after + 1, -1,
                     general_add, g);
    full = g->read == WRT_SESSION_MESSAGES_MAX;

    if (rc == STORE_OK && !g->failed && g->n > 0
        && (full ? g->written == 0 : general_silent(g, now_ms())))
    {
        (void) general_end(g);
    }

    json_decref(g->from);
    json_decref(g->to);
    session_keep_free(&g->keep);

    /* there may be more: it goes on behind what was written up */
    return rc == STORE_OK && (g->failed || full) ? STORE_REJECTED : rc;
}


store_rc_t
scribe_general(const scribe_t *w, const char *conversation)
{
    json_t            *list;
    int64_t            total, after;
    general_t          g;
    store_rc_t         rc;
    store_sessions_t   q;

    memset(&g, 0, sizeof(g));
    g.w = w;

    memset(&q, 0, sizeof(q));
    q.conversation = conversation;
    q.limit = 1;

    rc = store_conversation(w->st, conversation, NULL, &g.room);
    if (rc != STORE_OK) {
        return rc;
    }

    if (strcmp(scribe_text(g.room, "type"), "consultation") != 0) {
        rc = store_sessions(w->st, &q, &list, &total);

        if (rc == STORE_OK) {
            after = json_integer_value(json_object_get(
                        json_array_get(list, 0), "endSeq"));
            json_decref(list);
            rc = general_read(&g, after);
        }
    }

    json_decref(g.room);

    return rc;
}
