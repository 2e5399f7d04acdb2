/*
 * scribe.c: writes up a session when it has ended: summary, figures,
 * transcript (docs/sessions.md).
 *
 * Whoever ends a consultation does this at once (api_consult_life.c).  What
 * was left undone because a process died, and sessions of other rooms, which
 * end by silence, the janitor does.  Two may write up the same session: the
 * record that comes first counts, and the store keeps the pieces of its
 * transcript alone.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/wrt_utf8.h"
#include "worker/scribe.h"
#include "worker/session.h"
#include "worker/transcript.h"

#define SCRIBE_PAGE  WRT_PAGE_MESSAGES_MAX


static const char *
scribe_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}


static int64_t
scribe_time(const json_t *o, const char *key)
{
    int64_t      ms;
    const char  *s;

    s = scribe_text(o, key);

    return s && wrt_time_parse(s, strlen(s), &ms) == 0 ? ms : -1;
}


/* Messages from number first on up to last (-1: all), oldest first, at most
 * so many. */
static store_rc_t
scribe_messages(store_t *st, const char *conversation, int64_t first,
    int64_t last, size_t max, json_t **out)
{
    int            more;
    size_t         i;
    json_t        *page, *m;
    int64_t        seq;
    store_rc_t     rc;
    store_page_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = conversation;
    q.limit = SCRIBE_PAGE;
    q.before_ms = -1;
    q.before_seq = -1;
    q.after_seq = first - 1;

    *out = json_array();
    more = 1;

    while (more) {
        rc = store_messages(st, &q, &page, &more);

        if (rc != STORE_OK) {
            json_decref(*out);
            *out = NULL;
            return rc;
        }

        /* newest first */
        for (i = json_array_size(page); i > 0; i--) {
            m = json_array_get(page, i - 1);
            seq = json_integer_value(json_object_get(m, "seq"));

            if ((last >= 0 && seq > last) || json_array_size(*out) == max) {
                more = 0;
                break;
            }

            json_array_append(*out, m);
            q.after_seq = seq;
        }

        more = more && json_array_size(page) > 0;
        json_decref(page);
    }

    return STORE_OK;
}


int
scribe_record(rds_t *shard, cmd_t *cmd, const conf_t *cf,
    const char *conversation, json_t *body)
{
    int       ok;
    char      key[WRT_NAME_BUF];
    buf_t     text;
    reply_t  *r;

    memset(&text, 0, sizeof(text));
    buf_fmt(&text, "%c 0 - -\n", WRT_EV_SESSION);
    buf_json(&text, body);
    json_decref(body);

    cmd_begin(cmd, "FCALL");
    cmd_text(cmd, WRT_FN_RECORD);
    cmd_num(cmd, 1);
    cmd_mem(cmd, key, wrt_key_ingest(key, wrt_shard(&cf->names, conversation,
                                                    strlen(conversation))));
    cmd_text(cmd, conversation);
    cmd_mem(cmd, text.p, text.n);
    cmd_text(cmd, "");
    cmd_num(cmd, WRT_BACKLOG_MAX);
    r = rds_run(shard, cmd);

    if (r == NULL || reply_is_error(r)) {
        rds_fail(shard, reply_text(r));
    }

    ok = strcmp(reply_text(reply_at(r, 0)), "ok") == 0;
    reply_free(r);
    buf_free(&text);

    return ok ? 0 : -1;
}


/* From when to when somebody was in the session, not in the room. */
static void
scribe_presence(json_t *people, const json_t *room, int64_t start, int64_t end)
{
    char         text[WRT_TIME_LEN + 1];
    size_t       i, k;
    json_t      *p, *v;
    int64_t      joined, left;
    const char  *user;

    json_array_foreach(people, i, p) {
        user = scribe_text(p, "userId");
        joined = start;
        left = end;

        json_array_foreach(room, k, v) {
            if (user && strcmp(scribe_text(v, "userId"), user) == 0) {
                joined = scribe_time(v, "joinedAt") > start
                         ? scribe_time(v, "joinedAt") : start;
                left = scribe_time(v, "leftAt");
                left = left >= 0 && left < end ? left : end;
                break;
            }
        }

        wrt_time_format(joined, text);
        json_object_set_new(p, "joinedAt", json_string(text));
        wrt_time_format(left < joined ? joined : left, text);
        json_object_set_new(p, "leftAt", json_string(text));
    }
}


/* Those of the room who were in it at some time of the session. */
static json_t *
scribe_people(const json_t *room, int64_t start, int64_t end)
{
    size_t    i;
    json_t   *list, *p;
    int64_t   left;

    list = json_array();

    json_array_foreach(room, i, p) {
        left = scribe_time(p, "leftAt");

        if ((left < 0 || left >= start) && scribe_time(p, "joinedAt") <= end) {
            json_array_append(list, p);
        }
    }

    return list;
}


/* 24 hex digits that nobody else has. */
static void
scribe_run(char out[WRT_OID_LEN + 1])
{
    int            i;
    unsigned char  raw[WRT_OID_LEN / 2];

    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        log_error("random", "error=\"no random bytes\"");
        abort();
    }

    for (i = 0; i < (int) sizeof(raw); i++) {
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
    }
}


json_t *
scribe_parts(rds_t *shard, cmd_t *cmd, const conf_t *cf,
    const json_t *session, int64_t rev, const json_t *transcript)
{
    char         run[WRT_OID_LEN + 1], *text;
    size_t       at, n, len;
    json_t      *part;
    json_int_t   k;
    const char  *conversation;

    conversation = scribe_text(session, "conversationId");
    text = transcript_write(transcript, &n);

    if (text == NULL) {
        return json_null();
    }

    scribe_run(run);

    for (at = 0, k = 0; at < n; at += len, k++) {
        len = wrt_utf8_cut((const uint8_t *) text + at, n - at,
                           WRT_TRANSCRIPT_PART);
        part = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "op", "part",
                         "sessionId", scribe_text(session, "id"), "run", run,
                         "part", k, "rev", (json_int_t) rev, "text",
                         json_stringn(text + at, len));

        if (scribe_record(shard, cmd, cf, conversation, part) != 0) {
            free(text);
            return NULL;
        }
    }

    free(text);

    return json_pack("{s:s, s:I, s:s}", "run", run, "parts", k, "head",
                     scribe_text(transcript, "head"));
}


/* What the messages say, put into the record. */
static void
scribe_document(json_t *record, json_t *doc)
{
    json_t  *analytics;

    analytics = json_object_get(doc, "analytics");
    json_object_del(analytics, "satisfaction");     /* the store's to say */

    json_object_set(record, "duration", json_object_get(doc, "duration"));
    json_object_set(record, "participants",
                    json_object_get(doc, "participants"));
    json_object_set(record, "summary", json_object_get(doc, "summary"));
    json_object_set(record, "analytics", analytics);
}


static json_t *
scribe_transcript(const json_t *record, const json_t *people,
    const json_t *messages, const json_t *doc)
{
    char                 err[TRANSCRIPT_ERROR_SIZE];
    json_t              *t, *meta, *v;
    unsigned             i;
    transcript_input_t   in;

    static const char *const  keys[] = {
        "conversationId", "consultationId", "sessionType", "title",
        "context", "startTime", "endTime", NULL
    };

    meta = json_pack("{s:O}", "sessionId", json_object_get(record, "id"));

    for (i = 0; keys[i]; i++) {
        v = json_object_get(record, keys[i]);

        if (v && !json_is_null(v)) {
            json_object_set(meta, keys[i], v);
        }
    }

    memset(&in, 0, sizeof(in));
    in.session = meta;
    in.participants = people;
    in.messages = messages;
    in.document = doc;

    t = transcript_make(&in, err);

    if (t == NULL) {
        log_error("transcript", "session=%s error=\"%s\"",
                  scribe_text(record, "id"), err);
    }

    json_decref(meta);

    return t;
}


json_t *
scribe_now(const conf_t *cf, const json_t *session, const json_t *room,
    const json_t *messages, json_t **transcript)
{
    char              err[SESSION_ERROR_SIZE], now[WRT_TIME_LEN + 1];
    json_t           *record, *doc, *people;
    session_t        *s;
    session_input_t   in;

    memset(&in, 0, sizeof(in));
    in.start = scribe_time(session, "startTime");
    in.end = scribe_time(session, "endTime");
    in.utc_offset = cf->utc_offset;
    in.messages = messages;
    people = scribe_people(json_object_get(room, "participants"), in.start,
                           in.end);
    in.participants = people;

    record = json_deep_copy(session);
    json_object_del(record, "ratings");
    json_object_set_new(record, "rev", json_integer(
        json_integer_value(json_object_get(session, "rev")) + 1));
    json_object_set_new(record, "status", json_string("completed"));
    wrt_time_format(now_ms(), now);
    json_object_set_new(record, "updatedAt", json_string(now));

    s = session_open(&in, err);
    *transcript = NULL;

    if (s == NULL) {
        log_error("session", "session=%s error=\"%s\"",
                  scribe_text(session, "id"), err);

    } else {
        doc = session_document(s);
        session_close(s);
        scribe_presence(json_object_get(doc, "participants"),
                        json_object_get(room, "participants"), in.start,
                        in.end);
        scribe_document(record, doc);
        *transcript = scribe_transcript(record, people, messages, doc);
        json_decref(doc);
    }

    json_decref(people);

    return record;
}


/* Make and queue the record; keep: the transcript, too. */
static int
scribe_put(const conf_t *cf, rds_t *shard, cmd_t *cmd, const json_t *session,
    const json_t *room, const json_t *messages, int keep)
{
    int      rc;
    json_t  *record, *transcript, *parts;

    record = scribe_now(cf, session, room, messages, &transcript);
    parts = json_null();

    if (keep && transcript) {
        parts = scribe_parts(shard, cmd, cf, session,
                             json_integer_value(json_object_get(record,
                                                                "rev")),
                             transcript);
    }

    json_decref(transcript);

    if (parts == NULL) {
        json_decref(record);
        return -1;
    }

    json_object_set_new(record, "transcript", parts);

    rc = scribe_record(shard, cmd, cf, scribe_text(session, "conversationId"),
                       json_pack("{s:s, s:o}", "op", "put", "session",
                                 record));
    if (rc == 0) {
        log_info("session_completed", "session=%s conversation=%s "
                 "messages=%zu", scribe_text(session, "id"),
                 scribe_text(session, "conversationId"),
                 json_array_size(messages));
    }

    return rc;
}


store_rc_t
scribe_read(store_t *st, const json_t *session, json_t **room,
    json_t **messages)
{
    json_t      *end;
    store_rc_t   rc;
    const char  *conversation;

    conversation = scribe_text(session, "conversationId");
    end = json_object_get(session, "endSeq");
    *messages = NULL;

    rc = store_conversation(st, conversation, NULL, room);
    if (rc != STORE_OK) {
        return rc;
    }

    rc = scribe_messages(st, conversation,
                         json_integer_value(json_object_get(session,
                                                            "startSeq")),
                         json_is_integer(end) ? json_integer_value(end) : -1,
                         WRT_SESSION_MESSAGES_MAX, messages);
    if (rc != STORE_OK) {
        json_decref(*room);
        *room = NULL;
    }

    return rc;
}


store_rc_t
scribe_complete(const conf_t *cf, store_t *st, rds_t *shard, cmd_t *cmd,
    const json_t *session)
{
    int          rc;
    json_t      *room, *messages;
    store_rc_t   src;

    src = scribe_read(st, session, &room, &messages);
    if (src != STORE_OK) {
        return src;
    }

    rc = scribe_put(cf, shard, cmd, session, room, messages, 1);

    json_decref(room);
    json_decref(messages);

    return rc == 0 ? STORE_OK : STORE_REJECTED;
}


/* The id of the session that begins there: the same whoever finds it. */
static int
scribe_id(char out[WRT_OID_LEN + 1], const char *conversation, int64_t first)
{
    int            i, n;
    char           text[WRT_ID_MAX + 64];
    unsigned       len;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    n = snprintf(text, sizeof(text), "session\n%s\n%lld", conversation,
                 (long long) first);

    if (EVP_Digest(text, (size_t) n, digest, &len, EVP_sha256(), NULL) != 1) {
        return -1;
    }

    for (i = 0; i < WRT_OID_LEN / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }

    return 0;
}


/* Messages first..last of a list were a session. */
static int
scribe_run_of(const conf_t *cf, rds_t *shard, cmd_t *cmd, const json_t *room,
    const json_t *messages, size_t first, size_t last)
{
    int          rc;
    char         id[WRT_OID_LEN + 1];
    size_t       i;
    json_t      *a, *z, *session, *own;
    const char  *conversation;

    conversation = scribe_text(room, "id");
    a = json_array_get(messages, first);
    z = json_array_get(messages, last);

    if (scribe_id(id, conversation,
                  json_integer_value(json_object_get(a, "seq"))) != 0)
    {
        return -1;
    }

    session = json_pack("{s:s, s:i, s:s, s:n, s:s, s:s, s:O, s:O, s:O?, s:n,"
                        " s:O, s:O, s:O, s:O}",
                        "id", id, "rev", 1, "conversationId", conversation,
                        "consultationId", "sessionType", "general",
                        "status", "ended",
                        "startSeq", json_object_get(a, "seq"),
                        "endSeq", json_object_get(z, "seq"),
                        "title", json_object_get(room, "title"), "context",
                        "startTime", json_object_get(a, "createdAt"),
                        "endTime", json_object_get(z, "createdAt"),
                        "createdAt", json_object_get(z, "createdAt"),
                        "updatedAt", json_object_get(z, "createdAt"));

    own = json_array();

    for (i = first; i <= last; i++) {
        json_array_append(own, json_array_get(messages, i));
    }

    rc = scribe_put(cf, shard, cmd, session, room, own, 0);

    json_decref(own);
    json_decref(session);

    return rc;
}


/* Cut a list of messages where nobody said anything for so long. */
static int
scribe_cut(const conf_t *cf, rds_t *shard, cmd_t *cmd, const json_t *room,
    const json_t *messages)
{
    int       rc;
    size_t    i, first, n;
    int64_t   at, gap, next;

    rc = 0;
    first = 0;
    n = json_array_size(messages);
    gap = (int64_t) cf->session_gap_s * 1000;

    for (i = 0; rc == 0 && i < n; i++) {
        at = scribe_time(json_array_get(messages, i), "createdAt");
        next = i + 1 < n
               ? scribe_time(json_array_get(messages, i + 1), "createdAt")
               : now_ms();

        if (next - at >= gap || (i + 1 < n && i + 1 - first
                                 == WRT_SESSION_MESSAGES_MAX))
        {
            rc = scribe_run_of(cf, shard, cmd, room, messages, first, i);
            first = i + 1;
        }
    }

    return rc;
}


store_rc_t
scribe_general(const conf_t *cf, store_t *st, rds_t *shard, cmd_t *cmd,
    const char *conversation)
{
    int                rc;
    json_t            *room, *messages, *list;
    int64_t            total, after;
    store_rc_t         src;
    store_sessions_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = conversation;
    q.limit = 1;

    src = store_conversation(st, conversation, NULL, &room);
    if (src != STORE_OK) {
        return src;
    }

    if (strcmp(scribe_text(room, "type"), "consultation") == 0) {
        json_decref(room);
        return STORE_OK;
    }

    src = store_sessions(st, &q, &list, &total);

    if (src == STORE_OK) {
        after = json_integer_value(json_object_get(json_array_get(list, 0),
                                                   "endSeq"));
        json_decref(list);
        src = scribe_messages(st, conversation, after + 1, -1,
                              WRT_SESSION_MESSAGES_MAX, &messages);
    }

    if (src != STORE_OK) {
        json_decref(room);
        return src;
    }

    rc = scribe_cut(cf, shard, cmd, room, messages);

    json_decref(room);
    json_decref(messages);

    return rc == 0 ? STORE_OK : STORE_REJECTED;
}
