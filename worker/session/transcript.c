/*
 * transcript.c: makes transcripts.
 *
 * Entries, in this order: `opened`, a `participant` for each, a `message` for
 * each (system ones, too), `closed`.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "worker/session/transcript_internal.h"
#include "worker/store/store_internal.h"

typedef struct transcript_maker_s {
    json_t              *entries;   /* NULL: they go to the sink */
    size_t               n;         /* of them */
    transcript_sink_pt   sink;
    void                *data;
    const json_t        *session;
    const uint8_t       *key;
    char                 last[TRANSCRIPT_HASH_LEN + 1];
    const char         **user;      /* participants; number is index + 1 */
    size_t               nusers;
    size_t               users_cap;
    json_int_t           seq;       /* of the message before */
    char                *err;
} maker_t;

typedef struct {
    const json_t  *doc;
    json_int_t     seq;
} ordered_t;


/* Of the entry that comes next. */
static void
make_salt(const maker_t *mk, char out[TRANSCRIPT_SALT_LEN + 1])
{
    int            n;
    char           text[32];
    unsigned       size;
    unsigned char  raw[EVP_MAX_MD_SIZE];

    if (mk->key) {
        n = snprintf(text, sizeof(text), "%zu", mk->n);

        if (HMAC(EVP_sha256(), mk->key, TRANSCRIPT_KEY_BYTES,
                 (unsigned char *) text, (size_t) n, raw, &size) == NULL)
        {
            store_oom();
        }

    } else if (RAND_bytes(raw, TRANSCRIPT_SALT_LEN / 2) != 1) {
        store_oom();                /* without chance no salt is one */
    }

    wrt_hex(raw, TRANSCRIPT_SALT_LEN / 2, out);
}


/* Text of the file, to whoever takes it. */
static int
give(const maker_t *mk, const char *p, size_t n)
{
    if (mk->sink(mk->data, p, n) != 0) {
        snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "it was not taken");
        return -1;
    }

    return 0;
}


/* An entry as the file has it; taken over. */
static int
give_entry(const maker_t *mk, json_t *entry)
{
    int            rc;
    session_buf_t  b;

    memset(&b, 0, sizeof(b));
    session_print(&b, "%s", mk->n ? "," : "{\"entries\":[");

    rc = transcript_canon_entry(&b, entry);
    json_decref(entry);

    if (rc != 0) {
        snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "an entry cannot be"
                 " written");

    } else {
        rc = give(mk, b.p, b.n);
    }

    free(b.p);

    return rc;
}


/* Takes over entry and content (NULL: there is none any more). */
static int
append(maker_t *mk, const char *kind, json_t *entry, json_t *content)
{
    char  salt[TRANSCRIPT_SALT_LEN + 1], hash[TRANSCRIPT_HASH_LEN + 1];

    session_set(entry, "index", json_integer((json_int_t) mk->n));
    session_set(entry, "kind", session_string(kind));
    session_set(entry, "previousHash", session_string(mk->last));

    if (content) {
        make_salt(mk, salt);

        if (transcript_content_hash(content, salt, hash) != 0) {
            snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "%s: must have numbers"
                     " of at most three decimals and be nested at most %d"
                     " deep", kind, WRT_TRANSCRIPT_DEPTH_MAX);
            json_decref(entry);
            json_decref(content);
            return -1;
        }

        session_set(entry, "salt", session_string(salt));
        session_set(entry, "content", content);
        session_set(entry, "contentHash", session_string(hash));

    } else {
        session_set(entry, "salt", json_null());
        session_set(entry, "content", json_null());
        session_set(entry, "contentHash", json_null());
    }

    if (transcript_entry_hash(entry, mk->last) != 0) {
        snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "%s: must have whole"
                 " numbers and short strings", kind);
        json_decref(entry);
        return -1;
    }

    session_set(entry, "hash", session_string(mk->last));

    if (mk->entries == NULL && give_entry(mk, entry) != 0) {
        return -1;
    }

    if (mk->entries) {
        session_append(mk->entries, entry);
    }

    mk->n++;

    return 0;
}


/* Copies of these members, null where there is none. */
static json_t *
pick(const json_t *from, const char *const *keys)
{
    json_t  *o, *v;

    o = json_object();

    for ( ; *keys; keys++) {
        v = json_object_get(from, *keys);
        session_set(o, *keys, v ? json_deep_copy(v) : json_null());
    }

    return o;
}


/* Ids and short words, or nothing: what stays for ever has no room for more. */
static int
check_plain(const json_t *o, char *err, const char *what)
{
    void          *it;
    const json_t  *v;

    for (it = json_object_iter((json_t *) o); it;
         it = json_object_iter_next((json_t *) o, it))
    {
        v = json_object_iter_value(it);

        if (json_is_null(v) || json_is_integer(v)
            || (json_is_string(v)
                && json_string_length(v) <= WRT_ID_MAX))
        {
            continue;
        }

        snprintf(err, TRANSCRIPT_ERROR_SIZE, "%s.%s must be null, a whole"
                 " number or a string of at most %d bytes", what,
                 json_object_iter_key(it), WRT_ID_MAX);

        return -1;
    }

    return 0;
}


static int
append_opened(maker_t *mk, const json_t *session)
{
    json_t                   *entry;

    static const char *const  plain[] = {
        "sessionId", "conversationId", "consultationId", "sessionType",
        "startTime", NULL
    };
    static const char *const  content[] = { "title", "context", NULL };

    entry = pick(session, plain);

    if (check_plain(entry, mk->err, "session") != 0) {
        json_decref(entry);
        return -1;
    }

    return append(mk, "opened", entry, pick(session, content));
}


/* The number of a user; 0: he is not there. */
static size_t
number_of(const maker_t *mk, const char *user)
{
    size_t  i;

    for (i = 0; i < mk->nusers; i++) {
        if (strcmp(mk->user[i], user) == 0) {
            return i + 1;
        }
    }

    return 0;
}


static int
append_participant(maker_t *mk, const char *user, const char *name,
    const json_t *p)
{
    json_t                   *entry, *content;

    static const char *const  plain[] = { "joinedAt", "leftAt", "role", NULL };

    if (mk->nusers == 2 * WRT_PARTICIPANTS_MAX) {
        snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "participants and senders"
                 " must be at most %d", 2 * WRT_PARTICIPANTS_MAX);
        return -1;
    }

    if (mk->nusers == mk->users_cap) {
        mk->users_cap = mk->users_cap ? mk->users_cap * 2 : 16;
        mk->user = session_grow(mk->user, mk->users_cap * sizeof(char *));
    }

    mk->user[mk->nusers++] = user;
    entry = pick(p, plain);

    if (check_plain(entry, mk->err, "participants") != 0) {
        json_decref(entry);
        return -1;
    }

    session_set(entry, "number", json_integer((json_int_t) mk->nusers));

    content = json_object();
    session_set(content, "userId", session_string(user));
    session_set(content, "name", session_string(name ? name : ""));

    return append(mk, "participant", entry, content);
}


static const char *
text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}


static int
append_participants(maker_t *mk, const json_t *list,
    const ordered_t *messages, size_t n)
{
    size_t         i;
    const char    *user;
    const json_t  *p, *m;

    json_array_foreach(list, i, p) {
        user = text_of(p, "userId");

        if (user == NULL || number_of(mk, user)) {
            snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "participants[%zu]"
                     ".userId must be an id that is not there yet", i);
            return -1;
        }

        if (append_participant(mk, user,
                               text_of(json_object_get(p, "user"), "name"),
                               p) != 0)
        {
            return -1;
        }
    }

    /* those who left long ago */

    for (i = 0; i < n; i++) {
        m = messages[i].doc;
        user = text_of(m, "senderId");

        if (number_of(mk, user) == 0
            && append_participant(mk, user,
                                  text_of(json_object_get(m, "sender"),
                                          "name"), NULL) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* What was said, without what changes by itself (links, progress). */
static json_t *
message_content(const json_t *content)
{
    json_t                   *o, *file;

    static const char *const  keys[] = {
        "fileId", "fileName", "fileSize", "fileType", NULL
    };

    o = json_deep_copy(content);
    file = json_object_get(o, "fileInfo");

    if (json_is_object(file)) {
        session_set(o, "fileInfo", pick(file, keys));
    }

    return o;
}


static int
append_message(maker_t *mk, const json_t *m)
{
    json_t                   *entry;
    const json_t             *content;

    static const char *const  plain[] = {
        "seq", "type", "replyTo", "createdAt", "editedAt", "deletedAt", NULL
    };

    content = json_object_get(m, "content");

    if (!json_is_object(content)) {
        snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "messages: content must be"
                 " an object");
        return -1;
    }

    entry = pick(m, plain);
    session_set(entry, "messageId", session_string(text_of(m, "id")));
    session_set(entry, "participant",
                json_integer((json_int_t) number_of(mk,
                                                    text_of(m, "senderId"))));

    if (check_plain(entry, mk->err, "messages") != 0) {
        json_decref(entry);
        return -1;
    }

    return append(mk, "message", entry,
                  json_is_string(json_object_get(m, "deletedAt"))
                  ? NULL : message_content(content));
}


static int
append_closed(maker_t *mk, const json_t *session, const json_t *document)
{
    json_t                   *entry, *content;

    static const char *const  plain[] = { "endTime", NULL };
    static const char *const  parts[] = { "analytics", "summary", NULL };

    entry = pick(session, plain);

    if (check_plain(entry, mk->err, "session") != 0) {
        json_decref(entry);
        return -1;
    }

    content = pick(document, parts);

    return append(mk, "closed", entry, content);
}


static int
cmp_ordered(const void *a, const void *b)
{
    const ordered_t  *x = a, *y = b;

    if (x->seq != y->seq) {
        return x->seq < y->seq ? -1 : 1;
    }

    return strcmp(text_of(x->doc, "id"), text_of(y->doc, "id"));
}


/* Messages by seq; NULL: err. */
static ordered_t *
order(const json_t *messages, char *err)
{
    size_t         i;
    ordered_t     *list;
    const json_t  *m;

    if (!json_is_array(messages)
        || json_array_size(messages) > WRT_SESSION_MESSAGES_MAX)
    {
        snprintf(err, TRANSCRIPT_ERROR_SIZE, "messages must be an array of at"
                 " most %d", WRT_SESSION_MESSAGES_MAX);
        return NULL;
    }

    list = session_grow(NULL, json_array_size(messages) * sizeof(ordered_t));

    json_array_foreach(messages, i, m) {
        if (text_of(m, "id") == NULL || text_of(m, "senderId") == NULL
            || !json_is_integer(json_object_get(m, "seq")))
        {
            snprintf(err, TRANSCRIPT_ERROR_SIZE, "messages[%zu] must have id,"
                     " senderId and seq", i);
            free(list);
            return NULL;
        }

        list[i].doc = m;
        list[i].seq = json_integer_value(json_object_get(m, "seq"));
    }

    qsort(list, i, sizeof(ordered_t), cmp_ordered);

    return list;
}


static void
begin(maker_t *mk, const transcript_input_t *in, char *err)
{
    memset(mk, 0, sizeof(*mk));
    mk->key = in->key;
    mk->session = in->session;
    mk->err = err;
    memcpy(mk->last, TRANSCRIPT_ZERO, sizeof(mk->last));
}


/* The messages in their order; NULL: the input is refused. */
static ordered_t *
input(const transcript_input_t *in, char *err)
{
    if (!json_is_object(in->session) || !json_is_array(in->participants)
        || (in->document && !json_is_object(in->document)))
    {
        snprintf(err, TRANSCRIPT_ERROR_SIZE, "session and document must be"
                 " objects, participants an array");
        return NULL;
    }

    return order(in->messages, err);
}


json_t *
transcript_make(const transcript_input_t *in, char err[TRANSCRIPT_ERROR_SIZE])
{
    int         rc;
    size_t      i, n;
    json_t     *doc;
    maker_t     mk;
    ordered_t  *list;

    list = input(in, err);

    if (list == NULL) {
        return NULL;
    }

    n = json_array_size(in->messages);
    begin(&mk, in, err);
    mk.entries = json_array();

    rc = append_opened(&mk, in->session);
    rc = rc ? rc : append_participants(&mk, in->participants, list, n);

    for (i = 0; i < n && rc == 0; i++) {
        rc = append_message(&mk, list[i].doc);
    }

    rc = rc ? rc : append_closed(&mk, in->session, in->document);

    doc = NULL;

    if (rc == 0) {
        doc = json_object();
        session_set(doc, "format", session_string(TRANSCRIPT_FORMAT));
        session_set(doc, "version", json_integer(TRANSCRIPT_VERSION));
        session_set(doc, "entries", json_incref(mk.entries));
        session_set(doc, "head", session_string(mk.last));
    }

    json_decref(mk.entries);
    free(mk.user);
    free(list);

    return doc;
}


transcript_maker_t *
transcript_begin(const transcript_input_t *in, transcript_sink_pt sink,
    void *data, char err[TRANSCRIPT_ERROR_SIZE])
{
    maker_t    *mk;
    ordered_t  *list;

    list = input(in, err);

    if (list == NULL) {
        return NULL;
    }

    mk = session_grow(NULL, sizeof(maker_t));
    begin(mk, in, err);
    mk->sink = sink;
    mk->data = data;
    mk->seq = -1;

    if (append_opened(mk, in->session) != 0
        || append_participants(mk, in->participants, list,
                               json_array_size(in->messages)) != 0)
    {
        transcript_drop(mk);
        mk = NULL;
    }

    free(list);

    return mk;
}


int
transcript_add(transcript_maker_t *mk, const json_t *m)
{
    json_t      *seq;
    const char  *user;

    seq = json_object_get(m, "seq");
    user = text_of(m, "senderId");

    if (text_of(m, "id") == NULL || !json_is_integer(seq)
        || json_integer_value(seq) <= mk->seq
        || user == NULL || number_of(mk, user) == 0)
    {
        snprintf(mk->err, TRANSCRIPT_ERROR_SIZE, "messages must have id, seq"
                 " in ascending order, and one of the senders told before");
        return -1;
    }

    mk->seq = json_integer_value(seq);

    return append_message(mk, m);
}


int
transcript_end(transcript_maker_t *mk, const json_t *document,
    char head[TRANSCRIPT_HASH_LEN + 1])
{
    int            rc;
    session_buf_t  b;

    memset(&b, 0, sizeof(b));
    rc = append_closed(mk, mk->session, document);

    if (rc == 0) {
        session_print(&b, "],\"format\":\"" TRANSCRIPT_FORMAT "\","
                      "\"head\":\"%s\",\"version\":%d}\n", mk->last,
                      TRANSCRIPT_VERSION);
        rc = give(mk, b.p, b.n);
        memcpy(head, mk->last, sizeof(mk->last));
    }

    free(b.p);
    transcript_drop(mk);

    return rc;
}


void
transcript_drop(transcript_maker_t *mk)
{
    if (mk) {
        free(mk->user);
        free(mk);
    }
}


char *
transcript_write(const json_t *transcript, size_t *n)
{
    session_buf_t  b;

    memset(&b, 0, sizeof(b));

    if (transcript_canon(&b, transcript) != 0) {
        free(b.p);
        return NULL;
    }

    session_add(&b, "\n", 1);
    *n = b.n;

    return b.p;
}
