/*
 * session.c: reads messages and participants, and puts a session's document
 * together.  See session.h.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/wrt_utf8.h"
#include "worker/session/session_internal.h"

#define SESSION_OFFSET_MAX  (14 * 60)   /* minutes */

/* Participants and those who left long ago */
#define PERSONS_MAX         (2 * WRT_PARTICIPANTS_MAX)
#define PERSONS_TEXT        "2000"


static const char *
text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}


/* An id as we would give it; NULL: it is none. */
static const char *
id_of(const json_t *object, const char *key)
{
    const json_t  *v;

    v = json_object_get(object, key);

    return json_is_string(v) && wrt_id_valid(json_string_value(v),
                                             json_string_length(v))
           ? json_string_value(v) : NULL;
}


/* 0; -1: it is there and no time. */
static int
time_of(const json_t *object, const char *key, int64_t *ms)
{
    const json_t  *v;

    *ms = -1;
    v = json_object_get(object, key);

    if (v == NULL || json_is_null(v)) {
        return 0;
    }

    if (!json_is_string(v) || wrt_time_parse(json_string_value(v),
                                             json_string_length(v), ms) != 0
        || *ms < 0)
    {
        return -1;
    }

    return 0;
}


static size_t
person_find(const session_t *s, const char *id)
{
    size_t  i;

    for (i = 0; i < s->npersons; i++) {
        if (strcmp(s->person[i].id, id) == 0) {
            break;
        }
    }

    return i;
}


static size_t
person_add(session_t *s, const char *id, const char *role, const char *name)
{
    session_person_t  *p;

    s->person = session_grow(s->person, (s->npersons + 1)
                                        * sizeof(session_person_t));
    p = &s->person[s->npersons];
    memset(p, 0, sizeof(session_person_t));
    p->id = id;
    p->role = role ? role : "";
    p->name = name ? name : "";
    p->joined_at = -1;
    p->left_at = -1;

    return s->npersons++;
}


static int
read_participants(session_t *s, const json_t *list, char *err)
{
    size_t         i, k;
    const char    *id, *field;
    const json_t  *p;

    if (!json_is_array(list)
        || json_array_size(list) > WRT_PARTICIPANTS_MAX)
    {
        snprintf(err, SESSION_ERROR_SIZE, "participants must be an array of"
                 " at most %d", WRT_PARTICIPANTS_MAX);
        return -1;
    }

    json_array_foreach(list, i, p) {
        id = id_of(p, "userId");

        if (id == NULL || person_find(s, id) < s->npersons) {
            snprintf(err, SESSION_ERROR_SIZE, "participants[%zu].userId must"
                     " be an id that is not there yet", i);
            return -1;
        }

        k = person_add(s, id, text_of(p, "role"),
                       text_of(json_object_get(p, "user"), "name"));

        field = time_of(p, "joinedAt", &s->person[k].joined_at) ? "joinedAt"
                : time_of(p, "leftAt", &s->person[k].left_at) ? "leftAt"
                : NULL;

        if (field) {
            snprintf(err, SESSION_ERROR_SIZE, "participants[%zu].%s must be"
                     " a time or null", i, field);
            return -1;
        }
    }

    return 0;
}


/* What is wrong with message m; NULL: nothing.  *skip: it does not count. */
static const char *
read_message(session_t *s, const json_t *m, session_message_t *out, int *skip)
{
    size_t         k;
    int64_t        gone;
    const char    *sender, *type;
    const json_t  *content, *seq, *text;

    out->id = id_of(m, "id");
    sender = id_of(m, "senderId");
    type = text_of(m, "type");
    seq = json_object_get(m, "seq");
    content = json_object_get(m, "content");

    if (out->id == NULL) {
        return "id must be an id";
    }

    if (!json_is_integer(seq) || json_integer_value(seq) < 0) {
        return "seq must be a number from 0 on";
    }

    if (sender == NULL) {
        return "senderId must be an id";
    }

    if (type == NULL) {
        return "type must be a string";
    }

    if (!json_is_object(content)) {
        return "content must be an object";
    }

    if (time_of(m, "createdAt", &out->at) != 0 || out->at < 0) {
        return "createdAt must be a time";
    }

    if (time_of(m, "deletedAt", &gone) != 0) {
        return "deletedAt must be a time or null";
    }

    text = json_object_get(content, "text");

    if (text != NULL && !json_is_string(text)) {
        return "content.text must be a string";
    }

    *skip = gone >= 0 || strcmp(type, "system") == 0;

    if (*skip) {
        return NULL;
    }

    k = person_find(s, sender);

    if (k == s->npersons) {
        if (k == PERSONS_MAX) {
            return "senderId must be one of at most "
                   PERSONS_TEXT " different ones";
        }

        k = person_add(s, sender, NULL,
                       text_of(json_object_get(m, "sender"), "name"));
    }

    out->reply_to = id_of(m, "replyTo");
    out->text = text ? json_string_value(text) : "";
    out->len = text ? json_string_length(text) : 0;
    out->seq = json_integer_value(seq);
    out->person = k;
    out->file = strcmp(type, "file") == 0 || strcmp(type, "image") == 0;

    return NULL;
}


static int
cmp_message(const void *a, const void *b)
{
    const session_message_t  *x = a, *y = b;

    if (x->seq != y->seq) {
        return x->seq < y->seq ? -1 : 1;
    }

    return strcmp(x->id, y->id);
}


/*
 * A session of messages that are all as long as may be would take a minute:
 * then only the beginning of each is looked at.
 */
static void
cut_texts(session_t *s)
{
    size_t  i, total, max;

    total = 0;

    for (i = 0; i < s->n; i++) {
        total += s->message[i].len;
    }

    if (total <= WRT_SESSION_TEXT_MAX) {
        return;
    }

    max = WRT_SESSION_TEXT_MAX / s->n;

    for (i = 0; i < s->n; i++) {
        if (s->message[i].len > max) {
            s->message[i].len = wrt_utf8_cut((const uint8_t *)
                                             s->message[i].text,
                                             s->message[i].len, max);
        }
    }
}


static int
read_messages(session_t *s, const json_t *list, char *err)
{
    int            skip;
    size_t         i;
    const char    *wrong;
    const json_t  *m;

    if (!json_is_array(list)
        || json_array_size(list) > WRT_SESSION_MESSAGES_MAX)
    {
        snprintf(err, SESSION_ERROR_SIZE, "messages must be an array of at"
                 " most %d", WRT_SESSION_MESSAGES_MAX);
        return -1;
    }

    s->message = session_grow(NULL, json_array_size(list)
                                    * sizeof(session_message_t));

    json_array_foreach(list, i, m) {
        skip = 0;
        wrong = read_message(s, m, &s->message[s->n], &skip);

        if (wrong) {
            snprintf(err, SESSION_ERROR_SIZE, "messages[%zu].%s", i, wrong);
            return -1;
        }

        s->n += !skip;
    }

    if (s->n > 0) {
        qsort(s->message, s->n, sizeof(session_message_t), cmp_message);
    }

    cut_texts(s);

    return 0;
}


/*
 * Students on one side, tutors on the other; where all have the same role,
 * each is a side of his own.
 */
static void
set_sides(session_t *s)
{
    int     roles;
    size_t  i, k;

    roles = 0;

    for (i = 1; i < s->npersons; i++) {
        roles |= strcmp(s->person[i].role, s->person[0].role) != 0;
    }

    for (i = 0; i < s->npersons; i++) {
        s->person[i].side = (int) i;

        for (k = 0; roles && k < i; k++) {
            if (strcmp(s->person[k].role, s->person[i].role) == 0) {
                s->person[i].side = s->person[k].side;
                break;
            }
        }
    }
}


static void
set_times(session_t *s, const session_input_t *in)
{
    s->start = in->start;
    s->end = in->end;
    s->utc_offset = in->utc_offset;

    if (s->start < 0) {
        s->start = s->n ? s->message[0].at : 0;
    }

    if (s->end < 0) {
        s->end = s->n ? s->message[s->n - 1].at : s->start;
    }

    if (s->end < s->start) {
        s->end = s->start;
    }
}


session_t *
session_open(const session_input_t *in, char err[SESSION_ERROR_SIZE])
{
    size_t      i;
    session_t  *s;

    s = session_grow(NULL, sizeof(session_t));
    memset(s, 0, sizeof(session_t));

    if (in->utc_offset < -SESSION_OFFSET_MAX
        || in->utc_offset > SESSION_OFFSET_MAX)
    {
        snprintf(err, SESSION_ERROR_SIZE, "utc_offset must be from %d to %d"
                 " minutes", -SESSION_OFFSET_MAX, SESSION_OFFSET_MAX);
        session_close(s);
        return NULL;
    }

    if (read_participants(s, in->participants, err) != 0
        || read_messages(s, in->messages, err) != 0)
    {
        session_close(s);
        return NULL;
    }

    set_sides(s);
    set_times(s, in);

    for (i = 0; i < s->npersons; i++) {
        s->person[i].names = (uint32_t) s->names.n;
        words_more(&s->names, s->person[i].name, strlen(s->person[i].name));
        s->person[i].nnames = (uint32_t) s->names.n - s->person[i].names;
    }

    s->nnames = words_distinct(&s->names, &s->name);

    return s;
}


void
session_close(session_t *s)
{
    if (s == NULL) {
        return;
    }

    words_free(&s->names);
    words_free(&s->words);
    free(s->sentence);
    free(s->flags);
    free(s->message);
    free(s->person);
    free(s);
}


/* Is most of it in Indonesian?  The words that only one of them has tell. */
static int
is_indonesian(session_t *s)
{
    size_t       i, k, id, en;
    const char  *word;

    id = 0;
    en = 0;

    for (i = 0; i < s->n; i++) {
        session_cut(s, &s->message[i]);

        for (k = 0; k < s->words.n; k++) {
            word = session_fold(s, k);
            id += strcmp(word, "yang") == 0 || strcmp(word, "saya") == 0
                  || strcmp(word, "di") == 0 || strcmp(word, "ya") == 0
                  || strcmp(word, "dan") == 0 || strcmp(word, "untuk") == 0;
            en += strcmp(word, "the") == 0 || strcmp(word, "i") == 0
                  || strcmp(word, "to") == 0 || strcmp(word, "is") == 0
                  || strcmp(word, "and") == 0 || strcmp(word, "you") == 0;
        }
    }

    return id >= en;
}


/* "Topik: a, b." or lines of items. */
static void
note_list(session_buf_t *b, const char *title, const json_t *list, int lines)
{
    size_t         i;
    const json_t  *v;

    if (json_array_size(list) == 0) {
        return;
    }

    session_print(b, "%s%s:", b->n ? "\n" : "", title);

    json_array_foreach(list, i, v) {
        v = json_is_object(v) ? json_object_get(v, "text") : v;

        if (b->n + json_string_length(v) + 64 > WRT_SESSION_NOTES_MAX) {
            session_add(b, "\n\xE2\x80\xA6", 4);
            return;
        }

        session_print(b, "%s", lines ? "\n- " : i ? ", " : " ");
        session_add(b, json_string_value(v), json_string_length(v));
    }
}


static json_t *
notes(session_t *s, const json_t *topics, const json_t *actions,
    const json_t *questions)
{
    int             id;
    json_t         *text;
    session_buf_t   b;

    memset(&b, 0, sizeof(b));
    session_add(&b, "", 0);
    id = is_indonesian(s);

    note_list(&b, id ? "Topik" : "Topics", topics, 0);
    note_list(&b, id ? "Tindak lanjut" : "To do", actions, 1);
    note_list(&b, id ? "Belum terjawab" : "Not answered", questions, 1);

    text = json_stringn_nocheck(b.p, b.n);
    free(b.p);

    return text;
}


json_t *
session_document(session_t *s)
{
    size_t         i;
    json_t        *doc, *summary, *topics, *details, *questions, *items;
    const json_t  *v;

    doc = session_stats(s);
    topics = session_topics(s, WRT_SESSION_TOPICS);
    details = session_actions(s);
    questions = session_questions(s);
    items = json_array();

    json_array_foreach(details, i, v) {
        session_append(items, json_incref(json_object_get(v, "text")));
    }

    summary = json_object();
    session_set(summary, "totalMessages",
                json_incref(json_object_get(doc, "totalMessages")));
    session_set(summary, "filesShared",
                json_incref(json_object_get(doc, "filesShared")));
    session_set(summary, "sessionNotes", notes(s, topics, details,
                                               questions));
    session_set(summary, "keyTopics", topics);
    session_set(summary, "actionItems", items);
    session_set(summary, "actionDetails", details);
    session_set(summary, "unansweredQuestions", questions);

    json_object_del(doc, "totalMessages");
    json_object_del(doc, "filesShared");
    session_set(doc, "summary", summary);

    return doc;
}
