/*
 * transcript_text.c: a transcript as Markdown, to be read by people.
 *
 * What people wrote (texts, names, titles, names of files) is data: it comes
 * out as it was written and is never a heading, link, picture, table, code or
 * HTML.  Every character with a meaning in CommonMark or in the tables and
 * links of GitHub's is escaped where it has one; characters that are not seen
 * and direction marks are left out.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/session/transcript_internal.h"

#define LINE_MAX_BYTES  (64 * 1024)
#define SIGNS           "\\`*_[]<>&#|~!$^"

typedef struct {
    session_buf_t   b;
    int             utc_offset;
    const json_t   *entries;
} text_t;


static const char *
string_of(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}


/* Where a line may begin a list, a heading or a rule: how many bytes. */
static size_t
marker(const char *p, size_t n)
{
    size_t  i;

    if (n > 0 && strchr("+-=", p[0])) {
        return 1;
    }

    for (i = 0; i < n && isdigit((unsigned char) p[i]); i++) {
        continue;
    }

    return i > 0 && i < n && (p[i] == '.' || p[i] == ')') ? i + 1 : 0;
}


/* One line without a line's end, cleaned before. */
static void
escaped(session_buf_t *b, const char *p, size_t n)
{
    int     link;
    size_t  i, lead;

    lead = marker(p, n);

    for (i = 0; i < n; i++) {
        /* www. and :// are links without any sign around them, @ is mail */

        link = (p[i] == '.' && i >= 3 && strncasecmp(p + i - 3, "www", 3) == 0)
               || (p[i] == ':' && i + 1 < n && p[i + 1] == '/')
               || p[i] == '@';

        if (link || i + 1 == lead || memchr(SIGNS, p[i],
                                            sizeof(SIGNS) - 1))
        {
            session_add(b, "\\", 1);
        }

        session_add(b, p + i, 1);
    }
}


static void
plain(session_buf_t *b, const char *p, size_t n)
{
    session_buf_t  line;

    memset(&line, 0, sizeof(line));
    session_clean(&line, p, n, LINE_MAX_BYTES);
    escaped(b, line.p, line.n);
    free(line.p);
}


static void
plain_of(session_buf_t *b, const json_t *o, const char *key)
{
    const json_t  *v;

    v = json_object_get(o, key);

    if (json_is_string(v)) {
        plain(b, json_string_value(v), json_string_length(v));
    }
}


/* A text in a quotation: its lines stay lines. */
static void
quoted(session_buf_t *b, const char *p, size_t n)
{
    int            more;
    size_t         len, i, shown;
    const char    *end;
    session_buf_t  line;

    memset(&line, 0, sizeof(line));
    shown = 0;

    for (i = 0; i < n; i += len + 1) {
        end = memchr(p + i, '\n', n - i);
        len = end ? (size_t) (end - (p + i)) : n - i;

        line.n = 0;
        session_clean(&line, p + i, len, LINE_MAX_BYTES);

        if (line.n == 0) {
            continue;
        }

        /* the one before goes on here */
        more = shown++ > 0;
        session_add(b, more ? "\\\n> " : "> ", more ? 4 : 2);
        escaped(b, line.p, line.n);
    }

    session_add(b, shown ? "\n" : "> \n", shown ? 1 : 3);
    free(line.p);
}


/* YYYY-MM-DD hh:mm:ss in local time; what is no time is left out. */
static void
local_time(text_t *t, const char *text, int date)
{
    char     out[WRT_TIME_LEN + 1];
    int64_t  ms;

    if (wrt_time_parse(text, strlen(text), &ms) != 0) {
        return;
    }

    wrt_time_format(ms + (int64_t) t->utc_offset * 60000, out);

    if (date) {
        session_print(&t->b, "%.10s %.8s", out, out + 11);

    } else {
        session_print(&t->b, "%.8s", out + 11);
    }
}


static int
is_kind(const json_t *e, const char *kind)
{
    return strcmp(string_of(e, "kind"), kind) == 0;
}


static const json_t *
content_of(const text_t *t, const char *kind)
{
    size_t         i;
    const json_t  *e;

    json_array_foreach(t->entries, i, e) {
        if (is_kind(e, kind)) {
            return json_object_get(e, "content");
        }
    }

    return NULL;
}


/* Participant i, 1 or more. */
static const json_t *
participant(const text_t *t, json_int_t number)
{
    const json_t  *e;

    /* they stand behind the opening entry */
    e = number > 0 ? json_array_get(t->entries, (size_t) number) : NULL;

    return e && is_kind(e, "participant") ? e : NULL;
}


static void
add_name(text_t *t, json_int_t number)
{
    const json_t  *e, *content;

    e = participant(t, number);
    content = json_object_get(e, "content");

    if (json_is_object(content) && string_of(content, "name")[0]) {
        plain_of(&t->b, content, "name");

    } else {
        session_print(&t->b, "Participant %d", (int) number);
    }
}


/* What the consultation was to be about: what its context has of these. */
static void
add_context(text_t *t, const json_t *context)
{
    size_t         i;
    const json_t  *v, *list;

    if (string_of(context, "topic")[0]) {
        session_print(&t->b, "\n- Topic: ");
        plain_of(&t->b, context, "topic");
    }

    if (string_of(context, "course")[0]) {
        session_print(&t->b, "\n- Course: ");
        plain_of(&t->b, context, "course");
    }

    if (string_of(context, "scheduledAt")[0]) {
        session_print(&t->b, "\n- Scheduled: ");
        local_time(t, string_of(context, "scheduledAt"), 1);
    }

    list = json_object_get(context, "documentIds");

    json_array_foreach(list, i, v) {
        session_print(&t->b, i ? ", " : "\n- Documents: ");

        if (json_is_string(v)) {
            plain(&t->b, json_string_value(v), json_string_length(v));
        }
    }
}


static void
add_agenda(text_t *t)
{
    const json_t  *v;

    v = json_object_get(json_object_get(content_of(t, "opened"), "context"),
                        "agenda");

    if (json_is_string(v) && json_string_length(v) > 0) {
        session_print(&t->b, "\n## Agenda\n\n");
        quoted(&t->b, json_string_value(v), json_string_length(v));
    }
}


static void
add_opened(text_t *t)
{
    size_t         i;
    const json_t  *e, *content;

    content = content_of(t, "opened");

    session_print(&t->b, "# ");

    if (string_of(content, "title")[0]) {
        plain_of(&t->b, content, "title");

    } else {
        session_print(&t->b, "Session");
    }

    session_print(&t->b, "\n\n");

    json_array_foreach(t->entries, i, e) {
        if (is_kind(e, "opened")) {
            session_print(&t->b, "- Conversation: ");
            plain_of(&t->b, e, "conversationId");
            session_print(&t->b, "\n- Consultation: ");
            plain_of(&t->b, e, "consultationId");
            add_context(t, json_object_get(content, "context"));
            session_print(&t->b, "\n- From: ");
            local_time(t, string_of(e, "startTime"), 1);

        } else if (is_kind(e, "closed")) {
            session_print(&t->b, "\n- To: ");
            local_time(t, string_of(e, "endTime"), 1);

        }
    }

    json_array_foreach(t->entries, i, e) {
        if (is_kind(e, "participant")) {
            session_print(&t->b, "\n- ");
            add_name(t, (json_int_t) i);
            session_print(&t->b, " (");
            plain_of(&t->b, e, "role");
            session_print(&t->b, ")");
        }
    }

    session_print(&t->b, "\n- Times: UTC%c%02d:%02d\n",
                  t->utc_offset < 0 ? '-' : '+', abs(t->utc_offset) / 60,
                  abs(t->utc_offset) % 60);
}


static void
add_list(text_t *t, const char *title, const json_t *list)
{
    size_t         i;
    const json_t  *v;

    if (json_array_size(list) == 0) {
        return;
    }

    session_print(&t->b, "\n### %s\n\n", title);

    json_array_foreach(list, i, v) {
        v = json_is_object(v) ? json_object_get(v, "text") : v;
        session_print(&t->b, "- ");

        if (json_is_string(v)) {
            plain(&t->b, json_string_value(v), json_string_length(v));
        }

        session_print(&t->b, "\n");
    }
}


static void
add_summary(text_t *t)
{
    const json_t  *summary;

    summary = json_object_get(content_of(t, "closed"), "summary");

    if (!json_is_object(summary)) {
        return;
    }

    session_print(&t->b, "\n## Summary\n");
    add_list(t, "Topics", json_object_get(summary, "keyTopics"));
    add_list(t, "To do", json_object_get(summary, "actionItems"));
    add_list(t, "Not answered", json_object_get(summary,
                                                "unansweredQuestions"));
}


static void
add_content(text_t *t, const json_t *e)
{
    const json_t  *content, *file, *text, *system;

    content = json_object_get(e, "content");

    if (!json_is_object(content)) {
        session_print(&t->b, "> _%s_\n",
                      json_is_null(json_object_get(e, "contentHash"))
                      ? "deleted" : "erased");
        return;
    }

    file = json_object_get(content, "fileInfo");
    text = json_object_get(content, "text");
    system = json_object_get(content, "systemMessage");

    if (json_is_object(file)) {
        session_print(&t->b, "> _file:_ ");
        plain_of(&t->b, file, "fileName");
        session_print(&t->b, " (%" JSON_INTEGER_FORMAT " bytes)\n",
                      json_integer_value(json_object_get(file, "fileSize")));
        session_print(&t->b, "%s", json_is_string(text) ? ">\n" : "");
    }

    if (json_is_object(system)) {
        session_print(&t->b, "> _");
        plain_of(&t->b, system, "action");
        session_print(&t->b, "_\n");
    }

    if (json_is_string(text)) {
        quoted(&t->b, json_string_value(text), json_string_length(text));
    }
}


static void
add_messages(text_t *t)
{
    size_t         i;
    const json_t  *e;

    session_print(&t->b, "\n## Messages\n");

    json_array_foreach(t->entries, i, e) {
        if (!is_kind(e, "message")) {
            continue;
        }

        session_print(&t->b, "\n**");
        local_time(t, string_of(e, "createdAt"), 0);
        session_print(&t->b, " ");
        add_name(t, json_integer_value(json_object_get(e, "participant")));
        session_print(&t->b, "** (%d)\n\n", (int) i);
        add_content(t, e);
    }
}


char *
transcript_markdown(const json_t *transcript, int utc_offset, size_t *n)
{
    text_t       t;
    const char  *head;

    memset(&t, 0, sizeof(t));
    t.utc_offset = utc_offset;
    t.entries = json_object_get(transcript, "entries");
    head = string_of(transcript, "head");

    if (!json_is_array(t.entries)
        || !transcript_is_hex(json_object_get(transcript, "head"),
                              TRANSCRIPT_HASH_LEN))
    {
        return NULL;
    }

    add_opened(&t);
    add_agenda(&t);
    add_summary(&t);
    add_messages(&t);

    session_print(&t.b, "\n## Proof\n\nThe number behind each message is that"
                  " of its entry in the transcript.\nIt has %d entries; the"
                  " hash of the last one is\n\n    ",
                  (int) json_array_size(t.entries));
    session_add(&t.b, head, TRANSCRIPT_HASH_LEN);
    session_print(&t.b, "\n\nWhether the transcript is untouched says"
                  "\n\n    writeen-worker --verify-transcript <file>"
                  " <this hash>\n");

    *n = t.b.n;

    return t.b.p;
}
