/*
 * store_sqlite_search.c: searching by the index of words, which hands out the
 * newest messages first (store_sqlite_text.c).  Three plans:
 *
 *   by room    each room is asked for /room/word.  About 50 us a room.
 *   by word    for who is in more than ROOMS_EACH rooms: all that have the
 *              words, newest first; those of other rooms are passed over.
 *   by time    the same for a short beginning of a word, which most messages
 *              have: the newest messages, whatever they say.
 *
 * Who is in many quiet rooms could pass over everybody else's messages, so the
 * last two end after so many, and by room it is.
 *
 * All look at each candidate (store_search.c).
 */

#include <stdio.h>
#include <string.h>

#include "worker/store/sqlite/store_sqlite.h"

#define ROOMS_EACH  300         /* more rooms: by word */
#define PASS_EACH   10          /* messages looked at by word, for each room:
                                   what by room costs, about */

/* By word alone FTS5 first merges the lists of all words with a prefix; the
 * shorter it is the longer that takes (150 ms for two letters in a million
 * messages).  Below so many bytes: by time. */
#define PREFIX_MIN  4
#define WALK_MAX    10000

/* What is read of a candidate. */
#define HIT_COLUMNS  \
    "SELECT m.conversation, m.created_at, m.id, m.n, m.content, m.sender," \
    " m.type, m.deleted_at, m.seq, m.reply_to"

typedef struct {
    int64_t      row;
    const char  *id;
    const char  *title;
} room_t;

/* Where a search looks. */
typedef struct {
    store_sqlite_t  *st;
    store_finder_t  *f;
    room_t          *room;
    size_t           n;
    store_map_t      map;       /* row -> room, when there are many */
    int64_t          left;      /* messages to look at */
    unsigned         walks:1;   /* by time, WALK_MAX at most */
} scan_t;

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


/* Between which keys something is still wanted: parameters 2 and 3. */
static void
bind_times(sqlite3_stmt *s, const store_finder_t *f)
{
    int64_t  floor;

    floor = store_search_floor(f);

    if (f->q->after_ms >= 0 && f->q->after_ms >= floor) {
        floor = f->q->after_ms + 1;
    }

    sqlite3_bind_int64(s, 2, floor > INT64_MIN ? sq_key_of(floor) : floor);
    sqlite3_bind_int64(s, 3, f->q->before_ms >= 0 ? sq_key_of(f->q->before_ms)
                                                  : INT64_MAX);
}


static int
same(const char *wanted, sqlite3_stmt *s, int i)
{
    return wanted == NULL
           || strcmp(wanted, (const char *) sqlite3_column_text(s, i)) == 0;
}


/* A candidate in one of the rooms. */
static store_rc_t
look_at(scan_t *scan, sqlite3_stmt *s, const room_t *room)
{
    json_t       *content;
    store_hit_t   hit;

    if (sqlite3_column_type(s, 7) != SQLITE_NULL
        || !same(scan->f->q->sender, s, 5) || !same(scan->f->q->type, s, 6)
        || !store_search_within(scan->f, sqlite3_column_int64(s, 8),
                                (const char *) sqlite3_column_text(s, 9)))
    {
        return STORE_OK;
    }

    if (sq_json(scan->st, s, 4, &content) != 0) {
        return STORE_DOWN;
    }

    if (store_search_fits(scan->f, content)) {
        hit.at = sqlite3_column_int64(s, 1);
        hit.seq = sqlite3_column_int64(s, 8);
        hit.id = (const char *) sqlite3_column_text(s, 2);
        hit.row = sqlite3_column_int64(s, 3);
        hit.conversation = room->id;
        hit.title = room->title;
        hit.conversation_row = room->row;
        store_search_add(scan->f, &hit);
    }

    json_decref(content);

    return STORE_OK;
}


/* What a statement gives, newest first, until no more are wanted or left is 0.
 * one: the room all are in; NULL: look it up. */
static store_rc_t
candidates(scan_t *scan, sqlite3_stmt *s, const room_t *one)
{
    int            step;
    int64_t        row;
    const room_t  *room;

    bind_times(s, scan->f);
    step = SQLITE_DONE;

    while (scan->left > 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
        scan->left--;

        if (scan->walks
            && store_search_hopeless(scan->f, WALK_MAX - scan->left,
                                     WALK_MAX))
        {
            scan->left = 0;
            break;
        }

        row = sqlite3_column_int64(s, 0);
        room = one ? one
                   : store_map_get(&scan->map, (const char *) &row,
                                   sizeof(row));

        if (room == NULL) {
            continue;
        }

        if (sqlite3_column_int64(s, 1) < store_search_floor(scan->f)) {
            break;
        }

        if (look_at(scan, s, room) != STORE_OK) {
            sqlite3_reset(s);
            return STORE_DOWN;
        }
    }

    return sq_done(scan->st, s, step);
}


static store_rc_t
scan_match(scan_t *scan, const char *match, const room_t *one)
{
    sqlite3_stmt  *s;

    s = sq_get(scan->st, SQ_SEARCH,
               HIT_COLUMNS " FROM message_words w"
               " CROSS JOIN message m ON m.n = w.rowid"
               " WHERE w.message_words MATCH ?1 AND w.rowid >= ?2"
               " AND w.rowid < ?3 ORDER BY w.rowid DESC");
    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, match);

    return candidates(scan, s, one);
}


static store_rc_t
scan_time(scan_t *scan)
{
    sqlite3_stmt  *s;

    s = sq_get(scan->st, SQ_SEARCH_WALK,
               HIT_COLUMNS " FROM message m"
               " WHERE m.n >= ?2 AND m.n < ?3 ORDER BY m.n DESC");
    if (s == NULL) {
        return STORE_DOWN;
    }

    return candidates(scan, s, NULL);
}


/* The rooms that may be searched, those with the newest messages first.  Whose
 * messages are looked for is or was in the room. */
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
                   " AND m.permissions & 1 AND (?2 IS NULL OR EXISTS (SELECT 1"
                   " FROM member o WHERE o.conversation = m.conversation"
                   " AND o.user = ?2)) ORDER BY c.activity_at DESC");
    }

    if (s == NULL) {
        return STORE_DOWN;
    }

    sq_bind_text(s, 1, q->user);
    sq_bind_text(s, 2, q->conversation ? q->conversation : q->sender);

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
scan_rooms(scan_t *scan, match_t *m)
{
    size_t       i;
    store_rc_t   rc;
    const char  *match;

    rc = STORE_OK;
    scan->left = INT64_MAX;

    for (i = 0; rc == STORE_OK && i < scan->n; i++) {
        match = match_room(scan->f, m, scan->room[i].row);
        rc = scan_match(scan, match, &scan->room[i]);
    }

    return rc;
}


static store_rc_t
scan_all(scan_t *scan, match_t *m)
{
    size_t       i;
    store_rc_t   rc;
    const char  *match;

    store_map_init(&scan->map, &scan->st->base.arena, scan->n);

    for (i = 0; i < scan->n; i++) {
        *store_map_put(&scan->map, (const char *) &scan->room[i].row,
                       sizeof(scan->room[i].row)) = &scan->room[i];
    }

    match = match_all(scan->f, m);

    if (match) {
        scan->left = (int64_t) scan->n * PASS_EACH;
        rc = scan_match(scan, match, NULL);

    } else {
        scan->walks = 1;
        scan->left = WALK_MAX;
        rc = scan_time(scan);
        scan->walks = 0;
    }

    if (rc != STORE_OK || scan->left > 0) {
        return rc;
    }

    scan->f->n = 0;

    return scan_rooms(scan, m);
}


static store_rc_t
find(store_sqlite_t *st, store_finder_t *f)
{
    scan_t      scan;
    match_t     m;
    store_rc_t  rc;

    memset(&scan, 0, sizeof(scan));
    scan.st = st;
    scan.f = f;

    rc = find_rooms(st, f->q, &scan.room, &scan.n);

    if (rc != STORE_OK) {
        return rc;
    }

    if (scan.n == 0) {
        return f->q->conversation ? STORE_NOT_FOUND : STORE_OK;
    }

    /* each word with what surrounds it */
    m.size = f->query->words.len + f->query->words.n * (SQ_ROOM_MAX + 8) + 1;
    m.p = store_alloc(&st->base.arena, m.size);

    return scan.n > ROOMS_EACH ? scan_all(&scan, &m) : scan_rooms(&scan, &m);
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
