/*
 * test_store_search.c: random messages, changes and questions: both stores
 * and a plain search through everything have to agree.
 *
 * The plain search knows nothing of how texts are cut or folded: messages and
 * questions are made of the same words, each written in several ways, and it
 * compares their numbers.  There are rooms and messages enough that each store
 * takes each of its ways: SQLite by room and by word, MongoDB in steps of
 * rooms, by time first, and by all that begin so.  The teacher is in every
 * third room, and has left every ninth.  Most messages, and all new ones, are
 * in the busy rooms: whoever is in the others alone has much to be passed over.
 */

#include "tests/unit/store_test.h"

#include <stdio.h>

#include "common/wrt_bus.h"

#define ROOMS      400
#define QUIET      320          /* the first ones, more than ROOMS_EACH */
#define MESSAGES   24000
#define CHANGES    2000
#define QUESTIONS  600
#define TEXT_MAX   8            /* words of a message */
#define ASK_MAX    4            /* terms of a question, words of a phrase */
#define SPAN_MS    6000         /* many share a millisecond */

/* Words, as they may be written.  The first is how they are compared; each
 * is the beginning of those behind it that begin so. */
static const char *const  vocabulary[][4] = {
    { "di", "di", "Di", "DI" },
    { "dia", "dia", "Dia", "D\xC3\xAD""a" },
    { "diam", "diam", "di\xC2\xAD""am", "DIAM" },
    { "buku", "buku", "B\xC3\xBAku", "\xEF\xBC\xA2uku" },
    { "metode", "metode", "M\xC3\x89TODE", "me\xCC\x81tode" },
    { "metodologi", "metodologi", "Metodologi", "METODOLOGI" },
    { "jumat", "Jum'at", "jum\xE2\x80\x99""at", "jumat" },
    { "tutor", "tutor's", "Tutor", "tutor" },
    { "uji", "uji", "UJI", "uj\xC4\xB0" },
    { "coba", "coba", "Coba", "co\xCC\x88""ba" },
    { "fisika", "fisika", "\xEF\xAC\x81sika", "FISIKA" },
    { "42", "42", "\xEF\xBC\x94""2", "4\xC2\xB2" },
    { "strasse", "stra\xC3\x9F""e", "STRASSE", "strasse" },
    { "yang", "yang", "Yang", "YANG" },
    { "dan", "dan", "Dan", "d\xC4\x81n" },
    { "langka", "langka", "LANGKA", "Langka" }
};

#define WORDS  ((int) UNIT_COUNT(vocabulary))

static const char *const  between[] = {
    " ", " ", " ", ", ", "-", " / ", "...\n", " \xF0\x9F\x91\x8D ", "\xC2\xA0"
};

typedef struct {
    int      room;
    int      sender;            /* 0: the student, 1: the teacher */
    int      file;              /* its text is the name of a file */
    int      deleted;
    int64_t  at;
    int64_t  seq;
    int      n;
    int      word[TEXT_MAX];
    char     id[16];
    char     parent[16];        /* the first of its room, or "" */
} msg_t;

typedef struct {
    int      n;
    int      word[ASK_MAX];
    int      prefix;            /* bytes of the last one, 0: whole */
} term_t;

static msg_t     msg[MESSAGES];
static int64_t   seq[ROOMS];
static char      first[ROOMS][16];
static events_t  list;
static uint64_t  seed;

/* Who is in which rooms: boss in all, half in every other, calm in the quiet
 * ones, few in five, and mute in all, without the right to read. */
static const char *const  users[] = { "boss", "half", "calm", "few", "mute" };


static int
below(int n)
{
    return (int) unit_below(&seed, (uint64_t) n);
}


/* Some words are frequent, the last is rare. */
static int
any_word(void)
{
    if (below(400) == 0) {
        return WORDS - 1;
    }

    return below(3) ? below(WORDS - 1) : WORDS - 2 - below(2);
}


static const char *
room_name(int r)
{
    static char  buf[2][16];
    static int   n;

    n = !n;
    sprintf(buf[n], "r%d", r);

    return buf[n];
}


static int
is_in(const char *user, int r)
{
    return strcmp(user, "boss") == 0
           || (strcmp(user, "half") == 0 && r % 2 == 0)
           || (strcmp(user, "calm") == 0 && r < QUIET)
           || (strcmp(user, "few") == 0 && r < 5);
}


static int
has_teacher(int r)
{
    return r % 3 == 0;
}


static void
make_rooms(void)
{
    int      r, u;
    json_t  *people, *perms;

    for (r = 0; r < ROOMS; r++) {
        people = json_pack("[{s:s, s:s}]", "userId", "student", "role",
                           "student");

        if (has_teacher(r)) {
            json_array_append_new(people,
                                  json_pack("{s:s, s:s}", "userId", "teacher",
                                            "role", "tutor"));
        }

        for (u = 0; u < (int) UNIT_COUNT(users); u++) {
            if (is_in(users[u], r) || strcmp(users[u], "mute") == 0) {
                perms = json_pack("[s]", is_in(users[u], r) ? "read"
                                                            : "write");
                json_array_append_new(people,
                                      json_pack("{s:s, s:s, s:o}", "userId",
                                                users[u], "role", "tutor",
                                                "permissions", perms));
            }
        }

        events_add(&list, WRT_EV_CREATE, room_name(r), 0, "student", "",
                   json_pack("{s:s, s:s, s:o, s:s}", "id", room_name(r),
                             "type", "group", "participants", people,
                             "createdAt", "2024-01-15T10:00:00.000Z"),
                   NULL);
    }
}


static const char *
write_text(msg_t *m)
{
    int          i;
    static char  buf[512];

    buf[0] = '\0';
    m->n = 1 + below(TEXT_MAX);

    for (i = 0; i < m->n; i++) {
        m->word[i] = any_word();
        strcat(buf, i ? between[below(UNIT_COUNT(between))] : "");
        strcat(buf, vocabulary[m->word[i]][1 + below(3)]);
    }

    return buf;
}


static void
make_message(int i)
{
    msg_t       *m;
    const char  *text, *sender;

    m = &msg[i];
    m->room = below(3) ? QUIET + below(ROOMS - QUIET) : below(QUIET);
    m->sender = has_teacher(m->room) && below(4) != 0;
    m->file = below(10) == 0;
    m->at = below(m->room < QUIET ? SPAN_MS / 2 : SPAN_MS);
    sprintf(m->id, "m%05d", below(2) ? i : MESSAGES + i);

    text = write_text(m);
    sender = m->sender ? "teacher" : "student";
    m->seq = ++seq[m->room];

    if (m->seq == 1) {
        strcpy(first[m->room], m->id);

    } else if (!m->file && below(4) == 0) {
        strcpy(m->parent, first[m->room]);
    }

    if (m->file) {
        events_content(&list, room_name(m->room), seq[m->room], m->id,
                       sender, "sticker",
                       json_pack("{s:{s:s}}", "fileInfo", "fileName", text),
                       m->at);

    } else {
        events_reply(&list, room_name(m->room), m->seq, m->id, sender, text,
                     m->parent[0] ? m->parent : NULL, m->at);
    }
}


static void
make_change(void)
{
    msg_t  *m;

    m = &msg[below(MESSAGES)];

    if (m->deleted || m->file) {
        return;
    }

    seq[m->room]++;

    if (below(2)) {
        m->deleted = 1;
        events_delete(&list, room_name(m->room), seq[m->room], m->id,
                      "student", SPAN_MS);

    } else {
        events_edit(&list, room_name(m->room), seq[m->room], m->id,
                    "student", write_text(m), SPAN_MS);
    }
}


static void
make_leave(int r)
{
    char  id[16];

    sprintf(id, "left%d", r);
    events_member(&list, WRT_EV_LEAVE, room_name(r), ++seq[r], id, "teacher",
                  "teacher", SPAN_MS, NULL);
}


/* A question as terms and as text. */
static int
make_question(term_t *t, char *q)
{
    int          i, k, n, quoted;
    const char  *word;

    q[0] = '\0';
    n = below(3) ? 1 : 1 + below(ASK_MAX);

    for (k = 0; k < n; k++) {
        t[k].n = below(3) ? 1 : 1 + below(ASK_MAX);
        t[k].prefix = 0;
        quoted = t[k].n > 1 && below(4) != 0;

        strcat(q, k ? " " : "");
        strcat(q, quoted ? "\"" : "");

        for (i = 0; i < t[k].n; i++) {
            t[k].word[i] = any_word();
            word = vocabulary[t[k].word[i]][0];
            strcat(q, i ? quoted ? " " : "-" : "");

            if (i + 1 == t[k].n && below(3) == 0) {
                t[k].prefix = 1 + below((int) strlen(word));
                sprintf(q + strlen(q), "%.*s*", t[k].prefix, word);

            } else {
                strcat(q, below(2) ? word
                                   : vocabulary[t[k].word[i]][1 + below(3)]);
            }
        }

        strcat(q, quoted ? "\"" : "");
    }

    return n;
}


static int
same_word(const term_t *t, int i, int word)
{
    return t->prefix && i + 1 == t->n
           ? strncmp(vocabulary[t->word[i]][0], vocabulary[word][0],
                     (size_t) t->prefix) == 0
           : t->word[i] == word;
}


static int
has_term(const msg_t *m, const term_t *t)
{
    int  i, k;

    for (i = 0; i + t->n <= m->n; i++) {
        for (k = 0; k < t->n && same_word(t, k, m->word[i + k]); k++) {
            /* void */
        }

        if (k == t->n) {
            return 1;
        }
    }

    return 0;
}


static int
is_wanted(const msg_t *m, const store_search_t *q, const term_t *t, int n)
{
    int  k;

    if (m->deleted || !is_in(q->user, m->room)
        || (q->conversation && strcmp(q->conversation,
                                      room_name(m->room)) != 0)
        || (q->sender && strcmp(q->sender, m->sender ? "teacher"
                                                     : "student") != 0)
        || (q->type && strcmp(q->type, m->file ? "sticker" : "text") != 0)
        || (q->before_ms >= 0 && STORE_TEST_T0 + m->at >= q->before_ms)
        || (q->after_ms >= 0 && STORE_TEST_T0 + m->at <= q->after_ms)
        || (q->before_seq && m->seq >= q->before_seq)
        || m->seq <= q->after_seq
        || (q->thread_of && strcmp(q->thread_of, m->parent) != 0))
    {
        return 0;
    }

    for (k = 0; k < n && has_term(m, &t[k]); k++) { /* void */ }

    return k == n;
}


static int
cmp_msg(const void *a, const void *b)
{
    const msg_t *const  *x = a, *const  *y = b;

    if ((*x)->at != (*y)->at) {
        return (*x)->at < (*y)->at ? 1 : -1;
    }

    return (*x)->room != (*y)->room
           ? strcmp(room_name((*y)->room), room_name((*x)->room))
           : (*x)->seq < (*y)->seq ? 1 : -1;
}


/* The page, as ids, and how many there are in all. */
static int
plain(const store_search_t *q, const term_t *t, int n, json_t *ids)
{
    int            i, count, from;
    static msg_t  *hit[MESSAGES];

    count = 0;

    for (i = 0; i < MESSAGES; i++) {
        if (is_wanted(&msg[i], q, t, n)) {
            hit[count++] = &msg[i];
        }
    }

    qsort(hit, (size_t) count, sizeof(msg_t *), cmp_msg);
    from = (q->page - 1) * q->limit;

    for (i = from; i < count && i < from + q->limit
                   && i < WRT_SEARCH_DEPTH_MAX; i++)
    {
        json_array_append_new(ids, json_string(hit[i]->id));
    }

    return count;
}


static void
ask(store_t *st, const store_search_t *q, const json_t *ids, int more)
{
    int         m;
    size_t      i;
    json_t     *got, *v, *r;
    store_rc_t  rc;

    rc = store_search(st, q, &got, &m);

    if (strcmp(q->user, "mute") == 0 && q->conversation) {
        assert_int_equal(rc, STORE_NOT_FOUND);
        return;
    }

    if (rc == STORE_NOT_FOUND) {
        assert_non_null(q->conversation);
        assert_int_equal(json_array_size(ids), 0);
        return;
    }

    assert_int_equal(rc, STORE_OK);
    v = json_array();

    json_array_foreach(got, i, r) {
        json_array_append(v, json_object_get(json_object_get(r, "message"),
                                             "id"));
        /* what was found is marked */
        assert_true(json_array_size(json_object_get(r, "highlights")) > 0);
    }

    json_decref(got);

    if (!json_equal(v, ids) || m != more) {
        print_error("%s, %s in %s, from %s, type %s, before %lld, after %lld,"
                    " page %d of %d, more: %d\n", store_name(st), q->q,
                    q->conversation ? q->conversation : "all",
                    q->sender ? q->sender : "any",
                    q->type ? q->type : "any", (long long) q->before_ms,
                    (long long) q->after_ms, q->page, q->limit, m);
    }

    expect_equal(v, ids, store_name(st));
    assert_int_equal(m, more);
    json_decref(v);
}


static void
random_questions(void **state)
{
    int              i, n, count, end, some;
    char             text[1024], room[16];
    term_t           t[ASK_MAX];
    json_t          *ids;
    store_t         *st[2];
    store_search_t   q;

    (void) state;

    seed = unit_seed();
    st[0] = backend_open(&sqlite_backend);
    st[1] = backend_open(&mongo_backend);

    make_rooms();

    for (i = 0; i < MESSAGES; i++) {
        make_message(i);
    }

    for (i = 0; i < CHANGES; i++) {
        make_change();
    }

    for (i = 0; i < ROOMS; i += 9) {
        make_leave(i);
    }

    for (i = 0; i < (int) list.n; i += WRT_BATCH_MAX) {
        n = (int) list.n - i < WRT_BATCH_MAX ? (int) list.n - i
                                             : WRT_BATCH_MAX;
        assert_int_equal(events_apply(st[0], &list, (size_t) i,
                                      (size_t) (i + n)), 0);
        assert_int_equal(events_apply(st[1], &list, (size_t) i,
                                      (size_t) (i + n)), 0);
    }

    some = 0;

    for (i = 0; i < QUESTIONS; i++) {
        n = make_question(t, text);
        sprintf(room, "r%d", below(8));

        q.user = users[below(UNIT_COUNT(users))];
        q.q = text;
        q.conversation = below(4) ? NULL : room;
        q.sender = below(6) ? NULL : below(2) ? "student" : "teacher";
        q.type = below(6) ? NULL : below(2) ? "text" : "sticker";
        q.before_ms = below(6) ? -1 : STORE_TEST_T0 + below(SPAN_MS);
        q.after_ms = below(6) ? -1 : STORE_TEST_T0 + below(SPAN_MS);
        q.before_seq = below(4) ? 0 : 1 + below(MESSAGES / ROOMS);
        q.after_seq = below(4) ? 0 : below(MESSAGES / ROOMS);
        q.thread_of = below(6) ? NULL : first[below(8)];
        q.limit = 1 + below(30);
        q.page = below(4) ? 1 : 1 + below(40);

        ids = json_array();
        count = plain(&q, t, n, ids);
        end = q.page * q.limit;
        some += json_array_size(ids) > 0;

        ask(st[0], &q, ids, count > end && end < WRT_SEARCH_DEPTH_MAX);
        ask(st[1], &q, ids, count > end && end < WRT_SEARCH_DEPTH_MAX);
        json_decref(ids);
    }

    /* the questions do find something */
    assert_true(some > QUESTIONS / 4);

    store_close(st[0]);
    store_close(st[1]);
    events_free(&list);
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(random_questions)
    };

    sqlite_backend_init();
    mongo_backend_init();
    failed = cmocka_run_group_tests_name("search", tests, NULL, NULL);
    mongo_backend_done();
    sqlite_backend_done();

    return failed;
}
