/*
 * store_sqlite_text.c: the text index of SQLite.
 */

#include "worker/store_sqlite.h"


/* The text that can be found; NULL: none. */
static const char *
text_of(const json_t *content)
{
    const json_t  *text;

    text = json_object_get(content, "text");

    return json_string_length(text) ? json_string_value(text) : NULL;
}


static store_rc_t
write_text(store_sqlite_t *st, sqlite3_stmt *s, int64_t row,
    const char *text)
{
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, row);
    sq_bind_text(s, 2, text);

    return sq_run(st, s);
}


/* The index has no text of its own: what is to be removed has to be said. */
store_rc_t
sq_index(store_sqlite_t *st, int64_t row, const json_t *was,
    const json_t *now)
{
    store_rc_t   rc;
    const char  *text;

    rc = STORE_OK;
    text = text_of(was);

    if (text) {
        rc = write_text(st, sq_get(st, SQ_DROP_TEXT,
                                   "INSERT INTO message_fts (message_fts,"
                                   " rowid, text) VALUES ('delete', ?1, ?2)"),
                        row, text);
    }

    text = text_of(now);

    if (rc == STORE_OK && text) {
        rc = write_text(st, sq_get(st, SQ_ADD_TEXT,
                                   "INSERT INTO message_fts (rowid, text)"
                                   " VALUES (?1, ?2)"),
                        row, text);
    }

    return rc;
}
