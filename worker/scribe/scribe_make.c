/*
 * scribe_make.c: what is written up of a session, out of the store (scribe.h).
 *
 * However long it was, little of it is in memory at a time: for the summary
 * what session_keep() keeps, for the transcript a page of messages, which are
 * read a second time, and a piece of the file.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "common/wrt_utf8.h"
#include "worker/scribe/scribe.h"

#define MAKE_PAGE       WRT_PAGE_MESSAGES_MAX
#define MAKE_CHARACTER  4           /* bytes of one, at most */

const char *const  scribe_quotes[] = {
    "keyTopics", "actionItems", "actionDetails", "unansweredQuestions",
    "sessionNotes", NULL
};


const char *
scribe_text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}


json_t *
scribe_next(const json_t *session)
{
    char     now[WRT_TIME_LEN + 1];
    json_t  *record;

    wrt_time_format(now_ms(), now);

    record = json_deep_copy(session);
    json_object_del(record, "ratings");
    json_object_del(json_object_get(record, "analytics"), "satisfaction");
    json_object_set_new(record, "rev", json_integer(
        json_integer_value(json_object_get(session, "rev")) + 1));
    json_object_set_new(record, "updatedAt", json_string(now));

    return record;
}


json_t *
scribe_quote_none(const char *key)
{
    return strcmp(key, "sessionNotes") == 0 ? json_string("") : json_array();
}


int64_t
scribe_time(const json_t *o, const char *key)
{
    int64_t      ms;
    const char  *s;

    s = scribe_text(o, key);

    return s && wrt_time_parse(s, strlen(s), &ms) == 0 ? ms : -1;
}


store_rc_t
scribe_each(const scribe_t *w, const char *conversation, int64_t first,
    int64_t last, scribe_each_pt each, void *data)
{
    int            more;
    size_t         i, n;
    json_t        *page, *m;
    int64_t        seq;
    store_rc_t     rc;
    store_page_t   q;

    memset(&q, 0, sizeof(q));
    q.conversation = conversation;
    q.limit = MAKE_PAGE;
    q.before_ms = -1;
    q.before_seq = -1;
    q.after_seq = first - 1;

    n = 0;
    more = 1;

    while (more) {
        if (w->beat) {
            w->beat(w->data);
        }

        rc = store_messages(w->st, &q, &page, &more);

        if (rc != STORE_OK) {
            return rc;
        }

        /* newest first */
        for (i = json_array_size(page); i > 0; i--, n++) {
            m = json_array_get(page, i - 1);
            seq = json_integer_value(json_object_get(m, "seq"));

            if ((last >= 0 && seq > last) || n == WRT_SESSION_MESSAGES_MAX
                || each(data, m) != 0)
            {
                more = 0;
                break;
            }

            q.after_seq = seq;
        }

        more = more && json_array_size(page) > 0;
        json_decref(page);
    }

    return STORE_OK;
}


/* Those of a session, as it says. */
static store_rc_t
make_each(const scribe_t *w, const json_t *session, scribe_each_pt each,
    void *data)
{
    json_t  *end;

    end = json_object_get(session, "endSeq");

    return scribe_each(w, scribe_text(session, "conversationId"),
                       json_integer_value(json_object_get(session,
                                                          "startSeq")),
                       json_is_integer(end) ? json_integer_value(end) : -1,
                       each, data);
}


static int
make_keep(void *data, const json_t *m)
{
    session_keep(data, m);

    return 0;
}


store_rc_t
scribe_gather(const scribe_t *w, const json_t *session, json_t **room,
    session_keep_t *keep)
{
    store_rc_t  rc;

    memset(keep, 0, sizeof(*keep));

    rc = store_conversation(w->st, scribe_text(session, "conversationId"),
                            NULL, room);
    if (rc != STORE_OK) {
        return rc;
    }

    rc = make_each(w, session, make_keep, keep);

    if (rc != STORE_OK) {
        json_decref(*room);
        session_keep_free(keep);
    }

    return rc;
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


void
scribe_make(const conf_t *cf, const json_t *session, const json_t *room,
    const json_t *kept, scribe_made_t *made)
{
    char              err[SESSION_ERROR_SIZE];
    session_t        *s;
    session_input_t   in;

    memset(&in, 0, sizeof(in));
    in.start = scribe_time(session, "startTime");
    in.end = scribe_time(session, "endTime");
    in.utc_offset = cf->utc_offset;
    in.messages = kept;
    made->people = scribe_people(json_object_get(room, "participants"),
                                 in.start, in.end);
    in.participants = made->people;

    made->record = scribe_next(session);
    json_object_set_new(made->record, "status", json_string("completed"));

    s = session_open(&in, err);
    made->document = NULL;

    if (s == NULL) {
        log_error("session", "session=%s error=\"%s\"",
                  scribe_text(session, "id"), err);
        return;
    }

    made->document = session_document(s);
    session_close(s);
    scribe_presence(json_object_get(made->document, "participants"),
                    json_object_get(room, "participants"), in.start, in.end);
    scribe_document(made->record, made->document);
}


void
scribe_made_free(scribe_made_t *made)
{
    json_decref(made->record);
    json_decref(made->people);
    json_decref(made->document);
}


/* -- transcripts -- */

typedef struct {
    transcript_maker_t  *mk;
    int                  rc;
} make_text_t;


static int
make_add(void *data, const json_t *m)
{
    make_text_t  *text;

    text = data;
    text->rc = transcript_add(text->mk, m);

    return text->rc;
}


/* What a transcript begins with. */
static json_t *
make_meta(const json_t *record)
{
    json_t                   *meta, *v;
    unsigned                  i;

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

    return meta;
}


store_rc_t
scribe_transcript(const scribe_t *w, const scribe_made_t *made,
    const json_t *kept, transcript_sink_pt sink, void *data,
    char head[TRANSCRIPT_HASH_LEN + 1], char err[TRANSCRIPT_ERROR_SIZE])
{
    json_t              *meta;
    store_rc_t           rc;
    make_text_t          text;
    transcript_input_t   in;

    head[0] = '\0';

    if (made->document == NULL) {
        snprintf(err, TRANSCRIPT_ERROR_SIZE, "there is no document");
        return STORE_OK;
    }

    meta = make_meta(made->record);
    memset(&in, 0, sizeof(in));
    in.session = meta;
    in.participants = made->people;
    in.messages = kept;

    rc = STORE_OK;
    text.rc = 0;
    text.mk = transcript_begin(&in, sink, data, err);

    if (text.mk) {
        rc = make_each(w, made->record, make_add, &text);

        if (rc != STORE_OK || text.rc != 0) {
            transcript_drop(text.mk);

        } else if (transcript_end(text.mk, made->document, head) != 0) {
            head[0] = '\0';
        }
    }

    json_decref(meta);

    return rc;
}


/* Text up to so many bytes. */
typedef struct {
    buf_t   *text;
    size_t   max;
    int      large;             /* there would be more */
} make_limit_t;


static int
make_limited(void *data, const char *p, size_t n)
{
    make_limit_t  *l;

    l = data;
    l->large = n > l->max - l->text->n;

    if (!l->large) {
        buf_add(l->text, p, n);
    }

    return l->large ? -1 : 0;
}


store_rc_t
scribe_transcript_now(const scribe_t *w, const json_t *session, size_t max,
    buf_t *text, int *large)
{
    char            head[TRANSCRIPT_HASH_LEN + 1], err[TRANSCRIPT_ERROR_SIZE];
    json_t         *room;
    store_rc_t      rc;
    make_limit_t    l;
    scribe_made_t   made;
    session_keep_t  keep;

    l.text = text;
    l.max = max;
    l.large = 0;

    rc = scribe_gather(w, session, &room, &keep);
    if (rc != STORE_OK) {
        return rc;
    }

    scribe_make(w->cf, session, room, session_kept(&keep), &made);
    rc = scribe_transcript(w, &made, session_kept(&keep), make_limited, &l,
                           head, err);

    if (rc == STORE_OK && head[0] == '\0') {
        buf_free(text);

        if (!l.large) {
            log_error("transcript", "session=%s error=\"%s\"",
                      scribe_text(session, "id"), err);
        }
    }

    *large = l.large;
    scribe_made_free(&made);
    session_keep_free(&keep);
    json_decref(room);

    return rc;
}


/* 24 hex digits that nobody else has. */
static void
scribe_run(char out[WRT_OID_LEN + 1])
{
    unsigned char  raw[WRT_OID_LEN / 2];

    if (RAND_bytes(raw, sizeof(raw)) != 1) {
        log_error("random", "error=\"no random bytes\"");
        abort();
    }

    wrt_hex(raw, sizeof(raw), out);
}


void
scribe_parts_begin(scribe_parts_t *p, const scribe_t *w,
    const json_t *session, int64_t rev)
{
    memset(p, 0, sizeof(*p));
    p->w = w;
    p->session = session;
    p->rev = rev;
    scribe_run(p->run);
}


/* The beginning of what is there, as a piece. */
static int
parts_put(scribe_parts_t *p)
{
    size_t   len;
    json_t  *part;

    len = wrt_utf8_cut((const uint8_t *) p->text.p, p->text.n,
                       WRT_TRANSCRIPT_PART);
    part = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "op", "part",
                     "sessionId", scribe_text(p->session, "id"), "run", p->run,
                     "part", p->parts, "rev", (json_int_t) p->rev, "text",
                     json_stringn(p->text.p, len));

    if (scribe_record(p->w, scribe_text(p->session, "conversationId"), part)
        != 0)
    {
        p->failed = 1;
        return -1;
    }

    p->parts++;
    p->text.n -= len;
    memmove(p->text.p, p->text.p + len, p->text.n);

    return 0;
}


int
scribe_parts_add(void *data, const char *text, size_t n)
{
    size_t           len;
    scribe_parts_t  *p;

    for (p = data; n > 0; text += len, n -= len) {
        len = n < WRT_TRANSCRIPT_PART ? n : WRT_TRANSCRIPT_PART;
        buf_add(&p->text, text, len);

        while (p->text.n > WRT_TRANSCRIPT_PART + MAKE_CHARACTER) {
            if (parts_put(p) != 0) {
                return -1;
            }
        }
    }

    return 0;
}


json_t *
scribe_parts_end(scribe_parts_t *p, const char *head)
{
    while (head[0] && !p->failed && p->text.n > 0) {
        (void) parts_put(p);
    }

    buf_free(&p->text);

    if (p->failed) {
        return NULL;
    }

    return head[0] ? json_pack("{s:s, s:I, s:s}", "run", p->run, "parts",
                               p->parts, "head", head)
                   : json_null();
}


store_rc_t
scribe_parts_each(store_t *st, const json_t *session, transcript_sink_pt sink,
    void *data)
{
    int            stop;
    json_t        *part;
    int64_t        i, parts;
    store_rc_t     rc;
    const char    *run;
    const json_t  *meta;

    meta = json_object_get(session, "transcript");
    run = scribe_text(meta, "run");
    parts = json_integer_value(json_object_get(meta, "parts"));

    for (i = 0, stop = 0; i < parts && !stop; i++) {
        rc = store_session_part(st, scribe_text(session, "id"), run, i, &part);

        if (rc != STORE_OK) {
            return rc;
        }

        stop = sink(data, json_string_value(part), json_string_length(part))
               != 0;
        json_decref(part);
    }

    return STORE_OK;
}


store_rc_t
scribe_parts_read(store_t *st, const json_t *session, size_t max, buf_t *text,
    int *large)
{
    store_rc_t     rc;
    make_limit_t   l;

    l.text = text;
    l.max = max;
    l.large = 0;

    rc = scribe_parts_each(st, session, make_limited, &l);
    *large = l.large;

    return rc;
}
