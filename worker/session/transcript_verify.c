/*
 * transcript_verify.c: is a transcript as it was written, and if not, which
 * entry was altered?
 *
 * Each entry is held to the hash that it carries, and its place to the hash
 * that the entry before carries: so one that was altered is found by itself,
 * and those behind it stay good.  Last, the bytes must be those that
 * transcript_write() makes of what was read: nothing can hide in the spelling.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/session/transcript_internal.h"

#define PROBLEM_SIZE  200

typedef struct {
    json_t  *problems;
    json_t  *erased;
} verify_t;


/* entry: -1: the file as a whole. */
static void __attribute__((format(printf, 3, 4)))
problem(verify_t *v, json_int_t entry, const char *fmt, ...)
{
    char     text[PROBLEM_SIZE];
    json_t  *o;
    va_list  ap;

    if (json_array_size(v->problems) >= WRT_TRANSCRIPT_PROBLEMS_MAX) {
        return;
    }

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    o = json_object();
    session_set(o, "entry", entry < 0 ? json_null() : json_integer(entry));
    session_set(o, "text", session_string(text));
    session_append(v->problems, o);
}


static const char *
text_of(const json_t *o, const char *key)
{
    const char  *s;

    s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}


/* Content, salt and the hash of both. */
static void
verify_content(verify_t *v, json_int_t i, const json_t *entry)
{
    char           hash[TRANSCRIPT_HASH_LEN + 1];
    const json_t  *content, *salt, *stored;

    content = json_object_get(entry, "content");
    salt = json_object_get(entry, "salt");
    stored = json_object_get(entry, "contentHash");

    if (json_is_null(content)) {
        if (!json_is_null(salt)) {
            problem(v, i, "has a salt, but no content");
        }

        /* without a hash there was none when it was written */

        if (!json_is_null(stored)) {
            session_append(v->erased, json_integer(i));
        }

        return;
    }

    if (!transcript_is_hex(salt, TRANSCRIPT_SALT_LEN)
        || !transcript_is_hex(stored, TRANSCRIPT_HASH_LEN)
        || transcript_content_hash(content, json_string_value(salt), hash)
           != 0
        || strcmp(hash, json_string_value(stored)) != 0)
    {
        problem(v, i, "its content was altered");
    }
}


static void
verify_entry(verify_t *v, json_int_t i, const json_t *entry,
    const char *before)
{
    char           hash[TRANSCRIPT_HASH_LEN + 1];
    const json_t  *index;

    if (!json_is_object(entry)) {
        problem(v, i, "is no object");
        return;
    }

    index = json_object_get(entry, "index");

    if (!json_is_integer(index) || json_integer_value(index) != i
        || strcmp(text_of(entry, "previousHash"), before) != 0)
    {
        problem(v, i, "does not follow the entry before it: here something"
                " was altered, moved, put in or taken out");
    }

    if (transcript_entry_hash(entry, hash) != 0
        || strcmp(hash, text_of(entry, "hash")) != 0)
    {
        problem(v, i, "was altered");
    }

    verify_content(v, i, entry);
}


static void
verify_entries(verify_t *v, const json_t *doc)
{
    size_t         i;
    const char    *before;
    const json_t  *list, *e;

    list = json_object_get(doc, "entries");
    before = TRANSCRIPT_ZERO;

    json_array_foreach(list, i, e) {
        verify_entry(v, (json_int_t) i, e, before);
        before = text_of(e, "hash");
    }

    if (strcmp(text_of(json_array_get(list, 0), "kind"), "opened") != 0) {
        problem(v, -1, "does not begin with the entry of the beginning");
    }

    if (strcmp(text_of(i ? json_array_get(list, i - 1) : NULL, "kind"),
               "closed") != 0)
    {
        problem(v, -1, "does not end with the entry of the end");
    }

    if (strcmp(text_of(doc, "head"), before) != 0) {
        problem(v, -1, "its head is not the hash of the last entry");
    }
}


/* Is it written as we write it? */
static void
verify_bytes(verify_t *v, const json_t *doc, const char *p, size_t n)
{
    char    *own;
    size_t   i, len;

    own = transcript_write(doc, &len);

    if (own == NULL) {
        problem(v, -1, "has a number or a text that no transcript has");
        return;
    }

    for (i = 0; i < n && i < len && own[i] == p[i]; i++) {
        continue;
    }

    if (i < n || i < len) {
        problem(v, -1, "what it says is untouched, but it is not written as"
                " it was: byte %zu", i);
    }

    free(own);
}


json_t *
transcript_read(const char *p, size_t n, char err[TRANSCRIPT_ERROR_SIZE])
{
    json_t        *doc;
    json_error_t   e;

    if (n > WRT_TRANSCRIPT_MAX) {
        snprintf(err, TRANSCRIPT_ERROR_SIZE, "must be at most %d bytes",
                 WRT_TRANSCRIPT_MAX);
        return NULL;
    }

    doc = json_loadb(p, n, JSON_REJECT_DUPLICATES, &e);

    if (doc == NULL) {
        /* the library's text quotes the file: it is not shown */
        snprintf(err, TRANSCRIPT_ERROR_SIZE, "is not JSON from byte %d on",
                 e.position);
        return NULL;
    }

    if (!json_is_object(doc) || json_object_size(doc) != 4
        || strcmp(text_of(doc, "format"), TRANSCRIPT_FORMAT) != 0
        || !json_is_integer(json_object_get(doc, "version"))
        || json_integer_value(json_object_get(doc, "version"))
           != TRANSCRIPT_VERSION
        || !json_is_array(json_object_get(doc, "entries"))
        || !transcript_is_hex(json_object_get(doc, "head"),
                              TRANSCRIPT_HASH_LEN))
    {
        snprintf(err, TRANSCRIPT_ERROR_SIZE, "must have format \""
                 TRANSCRIPT_FORMAT "\", version %d, entries and head",
                 TRANSCRIPT_VERSION);
        json_decref(doc);
        return NULL;
    }

    return doc;
}


json_t *
transcript_verify(const char *p, size_t n, const char *head)
{
    char       err[TRANSCRIPT_ERROR_SIZE];
    json_t    *doc, *report;
    verify_t   v;

    v.problems = json_array();
    v.erased = json_array();
    doc = transcript_read(p, n, err);

    if (doc == NULL) {
        problem(&v, -1, "%s", err);

    } else {
        verify_entries(&v, doc);

        if (head && strcmp(head, text_of(doc, "head")) != 0) {
            problem(&v, -1, "does not have the head that was given");
        }

        if (json_array_size(v.problems) == 0) {
            verify_bytes(&v, doc, p, n);
        }
    }

    report = json_object();
    session_set(report, "intact",
                json_boolean(json_array_size(v.problems) == 0));
    session_set(report, "entries", json_integer((json_int_t)
                json_array_size(json_object_get(doc, "entries"))));
    session_set(report, "head", doc ? json_incref(json_object_get(doc,
                                                                  "head"))
                                    : json_null());
    session_set(report, "erased", v.erased);
    session_set(report, "problems", v.problems);

    json_decref(doc);

    return report;
}
