/*
 * store_sqlite_search.c: searching by the index of words, which hands out the
 * newest messages first (store_sqlite_text.c).  Two plans:
 *
 *   by room    each room is asked for /room/word.  About 50 us a room.
 *   by word    for who is in more than ROOMS_EACH rooms: all that have the
 *              words, newest first; those of other rooms are passed over.
 *
 * Both look at each candidate (store_search.c).
 */

#include <stdio.h>
#include <string.h>

#include "worker/store_sqlite.h"

#define ROOMS_EACH  300         /* more rooms: by word */

/* By word alone FTS5 first merges the lists of all words with a prefix; the
 * shorter it is the longer that takes (150 ms for two letters in a million
 * messages).  Below so many bytes each room is asked, however many. */
#define PREFIX_MIN  4

typedef struct {
    int64_t      row;
    const char  *id;
    const char  *title;
} room_t;

/* A MATCH under construction. */
typedef struct {
    char    *p;
    size_t   n;
    size_t   size;
} match_t;


/* "/room/word" or "word", with a star for a prefix; all have to be there.
 * Words hold neither quotation marks nor slashes. */
static void
match_word(match_t *m, const char *room, const words_query_t *q, uint32_t k,
    int prefix)
{
    m->n += (size_t) snprintf(m->p + m->n, m->size - m->n, "\"%s%s\"%s ",
                              room, q->words.fold + q->words.word[k].at,
                              prefix ? "*" : "");
}


/* Every word, in a room: FTS5 intersects their lists. */
static const char *
match_room(const store_finder_t *f, match_t *m, int64_t row)
{
    char                  room[SQ_ROOM_MAX];
    uint32_t              k;
    unsigned              i;
    const words_term_t   *t;

    m->n = 0;
    snprintf(room, sizeof(room), SQ_ROOM_FORMAT, (long long) row);

    for (i = 0; i < f->query->n; i++) {
        t = &f->query->term[i];

        for (k = 0; k < t->n; k++) {
            match_word(m, room, f->query, t->first + k,
                       t->prefix && k + 1 == t->n);
        }
    }

    return m->p;
}


/* Every whole word; if there is none, the longest prefix, and NULL when that
 * is too short. */
static const char *
match_all(const store_finder_t *f, match_t *m)
{
    uint32_t              k, last, longest;
    unsigned              i;
    const word_t         *word;
    const words_term_t   *t;

    m->n = 0;
    longest = 0;
    word = f->query->words.word;

    for (i = 0; i < f->query->n; i++) {
        t = &f->query->term[i];
        last = t->first + t->n - 1;

        for (k = t->first; k < last + !t->prefix; k++) {
            match_word(m, "", f->query, k, 0);
        }

        if (t->prefix && word[last].len >= word[longest].len) {
            longest = last;
        }
    }

    if (m->n == 0) {
        if (word[longest].len < PREFIX_MIN) {
            return NULL;
        }

        match_word(m, "", f->query, longest, 1);
    }

    return m->p;
}


/* Candidates of a MATCH, newest first, until no more are wanted.  one: the
 * room all are in; NULL: look it up in rooms. */
static store_rc_t
candidates(store_sqlite_t *st, store_finder_t *f, const char *match,
    const room_t *one, const store_map_t *rooms)
{
    int            step;
    int64_t        floor, row;
    json_t        *content;
    store_hit_t    hit;
    const room_t  *room;
    sqlite3_stmt  *s;

    s = sq_get(st, SQ_SEARCH,
               "SELECT m.conversation, m.created_at, m.id, m.n, m.content"
               " FROM message_words w CROSS JOIN message m ON m.n = w.rowid"
               " WHERE w.message_words MATCH ?1 AND w.rowid >= ?2"
               " AND w.rowid < ?3 AND m.deleted_at IS NULL"
               " AND (?4 IS NULL OR m.sender = ?4)"
               " AND (?5 IS NULL OR m.type = ?5) ORDER BY w.rowid DESC");
    if (s == NULL) {
        return STORE_DOWN;
    }

    floor = store_search_floor(f);

    if (f->q->after_ms >= 0 && f->q->after_ms >= floor) {
        floor = f->q->after_ms + 1;
    }

    sq_bind_text(s, 1, match);
    sqlite3_bind_int64(s, 2, floor > INT64_MIN ? sq_key_of(floor) : floor);
    sqlite3_bind_int64(s, 3, f->q->before_ms >= 0 ? sq_key_of(f->q->before_ms)
                                                  : INT64_MAX);
    sq_bind_text(s, 4, f->q->sender);
    sq_bind_text(s, 5, f->q->type);

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        row = sqlite3_column_int64(s, 0);
        room = one ? one
                   : store_map_get(rooms, (const char *) &row, sizeof(row));

        if (room == NULL) {
            continue;
        }

        hit.at = sqlite3_column_int64(s, 1);

        if (hit.at < store_search_floor(f)) {
            break;
        }

        if (sq_json(st, s, 4, &content) != 0) {
            sqlite3_reset(s);
            return STORE_DOWN;
        }

        if (store_search_fits(f, content)) {
            hit.id = (const char *) sqlite3_column_text(s, 2);
            hit.row = sqlite3_column_int64(s, 3);
            hit.conversation = room->id;
            hit.title = room->title;
            hit.conversation_row = room->row;
            store_search_add(f, &hit);
        }

        json_decref(content);
    }

    return sq_done(st, s, step);
}


/* The rooms that may be searched, those with the newest messages first. */
static store_rc_t
find_rooms(store_sqlite_t *st, const store_search_t *q, room_t **out,
    size_t *n)
{
    int            step;
    room_t        *list, *grown;
    size_t         max;
    sqlite3_stmt  *s;

    if (q->conversation) {
        s = sq_get(st, SQ_SEARCH_ROOM,
                   "SELECT c.n, c.id, c.title FROM conversation c"
                   " WHERE c.id = ?2 AND (?1 IS NULL OR EXISTS (SELECT 1"
                   " FROM member m WHERE m.conversation = c.n"
                   " AND m.user = ?1 AND m.left_at IS NULL"
                   " AND m.permissions & 1))");

    } else {
        s = sq_get(st, SQ_SEARCH_ROOMS,
                   "SELECT c.n, c.id, c.title FROM member m"
                   " JOIN conversation c ON c.n = m.conversation"
                   " WHERE m.user = ?1 AND m.left_at IS NULL"
                   " AND m.permissions & 1 ORDER BY c.activity_at DESC");
    }

    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, q->user);

    if (q->conversation) {
        sq_bind_text(s, 2, q->conversation);
    }

    *n = 0;
    max = 16;
    list = store_alloc(&st->base.arena, max * sizeof(room_t));

    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        if (*n == max) {
            grown = store_alloc(&st->base.arena, 2 * max * sizeof(room_t));
            memcpy(grown, list, max * sizeof(room_t));
            list = grown;
            max *= 2;
        }

        list[*n].row = sqlite3_column_int64(s, 0);
        list[*n].id = sq_text(st, s, 1);
        list[*n].title = sq_text(st, s, 2);
        (*n)++;
    }

    *out = list;

    return sq_done(st, s, step);
}


static store_rc_t
find(store_sqlite_t *st, store_finder_t *f)
{
    room_t       *rooms;
    size_t        i, n;
    match_t       m;
    store_rc_t    rc;
    store_map_t   map;
    const char   *match;

    rc = find_rooms(st, f->q, &rooms, &n);

    if (rc != STORE_OK) {
        return rc;
    }

    if (n == 0) {
        return f->q->conversation ? STORE_NOT_FOUND : STORE_OK;
    }

    /* each word with what surrounds it */
    m.size = f->query->words.len + f->query->words.n * (SQ_ROOM_MAX + 8) + 1;
    m.p = store_alloc(&st->base.arena, m.size);

    match = n > ROOMS_EACH ? match_all(f, &m) : NULL;

    if (match) {
        store_map_init(&map, &st->base.arena, n);

        for (i = 0; i < n; i++) {
            *store_map_put(&map, (const char *) &rooms[i].row,
                           sizeof(rooms[i].row)) = &rooms[i];
        }

        return candidates(st, f, match, NULL, &map);
    }

    for (i = 0; rc == STORE_OK && i < n; i++) {
        rc = candidates(st, f, match_room(f, &m, rooms[i].row), &rooms[i],
                        NULL);
    }

    return rc;
}


static store_rc_t
results(store_sqlite_t *st, store_finder_t *f, json_t *out)
{
    size_t              i, n;
    json_t             *doc;
    store_rc_t          rc;
    const store_hit_t  *hit;

    rc = STORE_OK;
    hit = store_search_page(f, &n);

    for (i = 0; rc == STORE_OK && i < n; i++) {
        rc = sq_message_doc(st, hit[i].conversation_row, hit[i].conversation,
                            hit[i].row, &doc);

        if (rc == STORE_OK) {
            store_doc_append(out, store_search_result(f, doc,
                                                      hit[i].conversation,
                                                      hit[i].title));
        }
    }

    return rc;
}


store_rc_t
store_sqlite_search(store_t *base, store_finder_t *f, json_t *out)
{
    store_rc_t       rc;
    store_sqlite_t  *st;

    st = (store_sqlite_t *) base;

    if (sq_begin(st) != STORE_OK) {
        return STORE_DOWN;
    }

    rc = find(st, f);

    if (rc == STORE_OK) {
        rc = results(st, f, out);
    }

    return sq_end(st, rc);
}
