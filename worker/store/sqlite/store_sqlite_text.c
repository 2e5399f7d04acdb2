/*
 * store_sqlite_text.c: the index of words of SQLite.
 *
 * message_words (FTS5, migration 003) has two tokens for each word of a
 * message: the word, and /<conversation>/<word>.  The second kind makes it an
 * index by conversation and word, so that whoever searches his rooms never
 * walks through other people's, whatever he asks for.  Its rowids are
 * message.n, which grow with the time of creation: FTS5 hands out the newest
 * first, and stops when the page is full.
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

/* message.n: milliseconds, and so many bits to count in each. */
#define KEY_BITS    15
#define KEY_ONE_MS  ((int64_t) 1 << KEY_BITS)


int64_t
sq_key_of(int64_t ms)
{
    return ms * KEY_ONE_MS;
}


store_rc_t
sq_new_key(store_sqlite_t *st, int64_t at, int64_t *row)
{
    int            step;
    int64_t        first;
    sqlite3_stmt  *s;

    /* the last one of its millisecond; when that is full (it can not be: no
     * server makes 32,768 in one) behind all that there are */

    s = sq_get(st, SQ_KEY,
               "SELECT iif(m IS NULL, ?1, iif(m < ?2, m + 1,"
               " (SELECT max(n) + 1 FROM message)))"
               " FROM (SELECT max(n) AS m FROM message"
               " WHERE n BETWEEN ?1 AND ?2)");
    if (s == NULL) {
        return STORE_DOWN;
    }

    first = sq_key_of(at);
    sqlite3_bind_int64(s, 1, first);
    sqlite3_bind_int64(s, 2, first + KEY_ONE_MS - 1);

    step = sqlite3_step(s);
    *row = sqlite3_column_int64(s, 0);

    return sq_done(st, s, step);
}


/* The tokens of a content, between blanks, in st->json; NULL: none. */
static const char *
tokens(store_sqlite_t *st, int64_t conv, const json_t *content)
{
    int                 len;
    char                room[SQ_ROOM_MAX], *p, *end;
    size_t              i, n, size;
    const char *const  *word;

    n = store_search_words(&st->base, content, &word);
    if (n == 0) {
        return NULL;
    }

    len = snprintf(room, sizeof(room), SQ_ROOM_FORMAT, (long long) conv);
    size = 1;           /* blanks and NUL */

    for (i = 0; i < n; i++) {
        size += 2 * (strlen(word[i]) + 1) + (size_t) len;
    }

    p = sq_scratch(st, size);
    end = p + size;

    for (i = 0; i < n; i++) {
        p += snprintf(p, (size_t) (end - p), "%s %s%s ", word[i], room,
                      word[i]);
    }

    p[-1] = '\0';

    return st->json;
}


static store_rc_t
index_one(store_sqlite_t *st, sq_id_t id, const char *sql, int64_t conv,
    int64_t row, const json_t *content)
{
    const char    *text;
    sqlite3_stmt  *s;

    text = content ? tokens(st, conv, content) : NULL;
    if (text == NULL) {
        return STORE_OK;
    }

    s = sq_get(st, id, sql);
    if (s == NULL) {
        return STORE_DOWN;
    }

    sqlite3_bind_int64(s, 1, row);
    sq_bind_text(s, 2, text);

    return sq_run(st, s);
}


store_rc_t
sq_index(store_sqlite_t *st, int64_t conv, int64_t row, const json_t *was,
    const json_t *now)
{
    store_rc_t  rc;

    /* the index does not keep what it was given: it has to be told what is
     * to go */

    rc = index_one(st, SQ_DROP_TEXT,
                   "INSERT INTO message_words (message_words, rowid, words)"
                   " VALUES ('delete', ?1, ?2)", conv, row, was);

    if (rc == STORE_OK) {
        rc = index_one(st, SQ_ADD_TEXT,
                       "INSERT INTO message_words (rowid, words)"
                       " VALUES (?1, ?2)", conv, row, now);
    }

    return rc;
}


/* wrt_words(conversation, content): the tokens, for migrations. */
static void
words_function(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    json_t          *content;
    const char      *text;
    store_sqlite_t  *st;

    (void) argc;

    st = sqlite3_user_data(ctx);
    text = (const char *) sqlite3_value_text(argv[1]);
    content = text ? json_loads(text, 0, NULL) : NULL;
    text = tokens(st, sqlite3_value_int64(argv[0]), content);
    json_decref(content);

    if (text) {
        sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
    }
}


int
sq_add_functions(store_sqlite_t *st)
{
    return sqlite3_create_function_v2(st->db, "wrt_words", 2,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC, st,
                                      words_function, NULL, NULL, NULL)
           == SQLITE_OK ? 0 : -1;
}
