/*
 * bench_search.c: how long does a search take?
 *
 *   bench_search <store url> [messages] [rooms] [scripts dir]
 *
 * Fills a store with synthetic messages, 12 words each out of 30,000 whose
 * frequencies fall as those of a language do (Zipf), spread over the rooms as
 * they come; one that is filled already is used as it is.  Every room has a
 * student, a tutor (of 20 rooms), a dean (of 200) and an office (of 2,000).
 *
 * Prints p50, p95 and the longest of QUERIES searches for each kind of
 * question and of caller, each with other words and other people, and then
 * how one of each was carried out: SQLite's query plans, MongoDB's profile.
 * Ends with 1 if one of them used no index; how long it takes is for the
 * reader to judge, who knows the machine.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "tests/bench/bench_search.h"

#define WORDS         30000
#define TEXT_WORDS    12
#define TEXT_BYTES    512
#define WORD_BYTES    24
#define QUERIES       100
#define START_MS      1700000000000
#define STEP_MS       30

static const char *const  syllables[] = {
    "me", "ber", "di", "ka", "ta", "ri", "su", "pa", "lo", "ni", "gu", "ba",
    "to", "ke", "an", "si", "mu", "ra", "ti", "wa"
};

typedef struct {
    store_t        *st;
    int             rooms;
    int64_t        *seq;                /* of each room */
    wrt_oid_gen_t   oid;
    int64_t         n;                  /* messages made */
    uint64_t        random;
    char            word[WORDS][WORD_BYTES];
    double          upto[WORDS];        /* sum of the weights */
    event_t         ev[WRT_BATCH_MAX];
    char            room[WRT_BATCH_MAX][WRT_ID_MAX + 1];
} bench_t;

/* Who asks: one of `count` people named so, or in one room. */
typedef struct {
    const char  *name;
    int          in;                    /* rooms; 0: one, which is named */
} scope_t;

typedef struct {
    const char  *name;
    void       (*make)(bench_t *b, char *q);
    int          from;                  /* what one student wrote */
} kind_t;

static bench_t  bench;


static double
now_ms(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}


void
die(const char *what, const char *why)
{
    fprintf(stderr, "bench_search: %s: %s\n", what, why);
    exit(1);
}


/* splitmix64 */
static uint64_t
below(bench_t *b, uint64_t n)
{
    uint64_t  z;

    z = (b->random += 0x9E3779B97F4A7C15ULL);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;

    return (z ^ z >> 31) % n;
}


/* Different ones: the number is in the last syllables. */
static void
make_words(bench_t *b)
{
    int      i, k, n;
    char    *p;
    double   sum;

    for (i = 0, sum = 0; i < WORDS; i++) {
        p = b->word[i];
        n = i;

        /* short words are frequent */

        for (k = 0; k < (i < 400 ? 0 : i < 8000 ? 1 : 2); k++) {
            p += snprintf(p, WORD_BYTES - (p - b->word[i]), "%s",
                          syllables[below(b, 20)]);
        }

        do {
            p += snprintf(p, WORD_BYTES - (p - b->word[i]), "%s",
                          syllables[n % 20]);
            n /= 20;
        } while (n);

        sum += 1.0 / (i + 1);
        b->upto[i] = sum;
    }
}


static int
pick_word(bench_t *b)
{
    int     lo, hi, mid;
    double  x;

    x = (double) below(b, 1u << 30) / (1u << 30) * b->upto[WORDS - 1];
    lo = 0;
    hi = WORDS - 1;

    while (lo < hi) {
        mid = (lo + hi) / 2;

        if (b->upto[mid] < x) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    return lo;
}


static void
apply(bench_t *b, size_t n)
{
    size_t  i, bad;

    if (store_apply(b->st, b->ev, n, &bad) != STORE_OK) {
        die("store_apply", store_error(b->st));
    }

    for (i = 0; i < n; i++) {
        json_decref(b->ev[i].body);
    }
}


/* How many people of a kind there are: each in about `in` rooms. */
static int
people(const bench_t *b, int in)
{
    return b->rooms > in ? b->rooms / in : 1;
}


static event_t *
new_event(bench_t *b, size_t i, char kind, int room)
{
    event_t  *e;

    snprintf(b->room[i], sizeof(b->room[i]), "room_%d", room);

    e = &b->ev[i];
    memset(e, 0, sizeof(event_t));
    e->kind = kind;
    e->conversation = b->room[i];
    e->actor = "";
    e->target = "";

    return e;
}


static void
make_rooms(bench_t *b)
{
    int       r;
    char      text[1024];
    size_t    n;
    event_t  *e;

    for (r = 0, n = 0; r < b->rooms; r++) {
        e = new_event(b, n++, WRT_EV_CREATE, r);
        snprintf(text, sizeof(text),
                 "{\"id\":\"room_%d\",\"type\":\"group\",\"participants\":["
                 "{\"userId\":\"student_%d\",\"role\":\"student\"},"
                 "{\"userId\":\"tutor_%d\",\"role\":\"tutor\"},"
                 "{\"userId\":\"dean_%d\",\"role\":\"tutor\"},"
                 "{\"userId\":\"office_%d\",\"role\":\"tutor\"}],"
                 "\"createdAt\":\"2023-11-14T22:13:20.000Z\"}", r, r,
                 r % people(b, 20), r % people(b, 200),
                 r % people(b, 2000));
        e->actor = "bench";
        e->body = json_loads(text, 0, NULL);

        if (n == WRT_BATCH_MAX || r + 1 == b->rooms) {
            apply(b, n);
            n = 0;
        }
    }
}


static void
make_message(bench_t *b, size_t i)
{
    int       k, room;
    char      id[WRT_OID_LEN + 1], at[WRT_TIME_LEN + 1], text[TEXT_BYTES];
    char     *p;
    int64_t   ms;
    event_t  *e;

    room = (int) below(b, (uint64_t) b->rooms);
    ms = START_MS + b->n++ * STEP_MS;
    wrt_oid_next(&b->oid, ms / 1000, id);
    wrt_time_format(ms, at);

    for (k = 0, p = text; k < TEXT_WORDS; k++) {
        p += snprintf(p, sizeof(text) - (p - text), "%s%s", k ? " " : "",
                      b->word[pick_word(b)]);
    }

    e = new_event(b, i, WRT_EV_MESSAGE, room);
    e->seq = ++b->seq[room];
    e->body = json_pack("{s:s, s:{s:s, s:I, s:{s:s, s:s, s:s+, s:s, s:{s:s},"
                        " s:s, s:I}}}",
                        "event", "message_received", "data",
                        "conversationId", e->conversation,
                        "seq", (json_int_t) e->seq,
                        "message", "id", id,
                        "conversationId", e->conversation,
                        "senderId", below(b, 2) ? "student_" : "tutor_",
                        e->conversation + 5,
                        "type", "text", "content", "text", text,
                        "createdAt", at, "seq", (json_int_t) e->seq);

    if (e->body == NULL) {
        die("json_pack", text);
    }
}


static void
fill(bench_t *b, int64_t messages)
{
    size_t   i, n;
    double   t, store;
    int64_t  left;

    make_rooms(b);
    store = 0;

    for (left = messages; left > 0; left -= (int64_t) n) {
        n = left < WRT_BATCH_MAX ? (size_t) left : WRT_BATCH_MAX;

        for (i = 0; i < n; i++) {
            make_message(b, i);
        }

        t = now_ms();
        apply(b, n);
        store += now_ms() - t;
    }

    printf("  filled in %.0f s, %.0f messages/s\n", store / 1e3,
           (double) messages / store * 1e3);
}


static const char *
word_of_rank(bench_t *b, int from, int to)
{
    return b->word[from + (int) below(b, (uint64_t) (to - from))];
}


static void
q_rare(bench_t *b, char *q)
{
    snprintf(q, WRT_SEARCH_MAX, "%s", word_of_rank(b, 15000, WORDS));
}


static void
q_middle(bench_t *b, char *q)
{
    snprintf(q, WRT_SEARCH_MAX, "%s", word_of_rank(b, 200, 600));
}


static void
q_frequent(bench_t *b, char *q)
{
    snprintf(q, WRT_SEARCH_MAX, "%s", word_of_rank(b, 0, 20));
}


static void
q_two(bench_t *b, char *q)
{
    snprintf(q, WRT_SEARCH_MAX, "%s %s", word_of_rank(b, 0, 20),
             word_of_rank(b, 200, 600));
}


static void
q_phrase(bench_t *b, char *q)
{
    snprintf(q, WRT_SEARCH_MAX, "\"%s %s\"", word_of_rank(b, 0, 20),
             word_of_rank(b, 20, 200));
}


static void
q_prefix(bench_t *b, char *q, int n)
{
    const char  *word;

    do {
        word = word_of_rank(b, 0, WORDS);
    } while ((int) strlen(word) < n);

    snprintf(q, WRT_SEARCH_MAX, "%.*s*", n, word);
}


static void
q_prefix2(bench_t *b, char *q)
{
    q_prefix(b, q, 2);
}


static void
q_prefix4(bench_t *b, char *q)
{
    q_prefix(b, q, 4);
}


static void
q_prefix6(bench_t *b, char *q)
{
    q_prefix(b, q, 6);
}


static const kind_t  kinds[] = {
    { "rare word", q_rare, 0 },
    { "middle word", q_middle, 0 },
    { "frequent word", q_frequent, 0 },
    { "frequent and middle", q_two, 0 },
    { "phrase", q_phrase, 0 },
    { "frequent, from", q_frequent, 1 },
    { "2 letters*, from", q_prefix2, 1 },
    { "2 letters*", q_prefix2, 0 },
    { "4 letters*", q_prefix4, 0 },
    { "6 letters*", q_prefix6, 0 }
};

static const scope_t  scopes[] = {
    { "one room", 0 },
    { "tutor", 20 },
    { "dean", 200 },
    { "office", 2000 }
};

#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))


/* One search; returns how many results it had. */
static size_t
search(bench_t *b, const scope_t *s, const kind_t *kind, const char *text)
{
    int             r, more;
    char            user[64], room[64], from[64];
    json_t         *list;
    size_t          n;
    store_search_t  q = { user, text, NULL, NULL, NULL, -1, -1, 1,
                          WRT_PAGE_SEARCH, 0, 0, NULL };

    r = (int) below(b, (uint64_t) b->rooms);

    if (s->in) {
        snprintf(user, sizeof(user), "%s_%d", s->name, r % people(b, s->in));

    } else {
        snprintf(user, sizeof(user), "student_%d", r);
        snprintf(room, sizeof(room), "room_%d", r);
        q.conversation = room;
    }

    if (kind->from) {
        snprintf(from, sizeof(from), "student_%d", r);
        q.sender = from;
    }

    if (store_search(b->st, &q, &list, &more) != STORE_OK) {
        die("store_search", store_error(b->st));
    }

    n = json_array_size(list);
    json_decref(list);

    return n;
}


static int
cmp_ms(const void *a, const void *b)
{
    const double  *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}


static void
line(const char *name, double *ms, size_t n, double results)
{
    qsort(ms, n, sizeof(double), cmp_ms);
    printf("    %-20s %8.2f %8.2f %8.2f ms  %5.1f results\n", name,
           ms[n / 2], ms[n * 95 / 100], ms[n - 1], results);
}


static void
measure(bench_t *b, const scope_t *s)
{
    int            i;
    char           q[WRT_SEARCH_MAX];
    double         t, results;
    size_t         k;
    static double  ms[QUERIES], all[QUERIES * COUNT(kinds)];

    if (s->in) {
        printf("  all rooms, %-11s    p50      p95      max (%d rooms)\n",
               s->name, b->rooms / people(b, s->in));

    } else {
        printf("  one room                  p50      p95      max\n");
    }

    for (k = 0; k < COUNT(kinds); k++) {
        results = 0;

        for (i = 0; i < QUERIES; i++) {
            kinds[k].make(b, q);
            t = now_ms();
            results += (double) search(b, s, &kinds[k], q);
            ms[i] = now_ms() - t;
            all[k * QUERIES + (size_t) i] = ms[i];
        }

        line(kinds[k].name, ms, QUERIES, results / QUERIES);
    }

    line("all of them", all, COUNT(all), 0);
}


static int
plans(bench_t *b)
{
    char    q[WRT_SEARCH_MAX], title[WRT_SEARCH_MAX + 32];
    size_t  i, k;

    printf("  plans\n");
    plan_begin(b->st);

    for (i = 0; i < COUNT(scopes); i++) {
        for (k = 0; k < COUNT(kinds); k++) {
            kinds[k].make(b, q);
            snprintf(title, sizeof(title), "%s: %s", scopes[i].name, q);
            plan_before(b->st);
            search(b, &scopes[i], &kinds[k], q);
            plan_print(b->st, title);
        }
    }

    return plan_end(b->st);
}


int
main(int argc, char **argv)
{
    int          rc;
    char         err[1024];
    size_t       i;
    json_t      *state;
    int64_t      messages;
    bench_t     *b;
    const char  *url, *scripts;

    if (argc < 2) {
        die("usage", "bench_search <url> [messages] [rooms] [scripts dir]");
    }

    b = &bench;
    url = argv[1];
    messages = argc > 2 ? atoll(argv[2]) : 1000000;
    b->rooms = argc > 3 ? atoi(argv[3]) : 10000;
    scripts = argc > 4 ? argv[4] : "sql_or_mongo_scripts";

    b->seq = calloc((size_t) b->rooms, sizeof(int64_t));
    b->st = store_open(url, scripts, 1, err, sizeof(err));

    if (b->st == NULL || b->seq == NULL) {
        die("store_open", err);
    }

    setvbuf(stdout, NULL, _IOLBF, 0);
    wrt_oid_init(&b->oid, (const uint8_t *) "benchsea");
    make_words(b);
    printf("%s: %lld messages in %d rooms\n", store_name(b->st),
           (long long) messages, b->rooms);

    if (store_conversation_state(b->st, "room_0", &state) == STORE_OK) {
        json_decref(state);

    } else {
        fill(b, messages);
    }

    sizes_print(b->st);

    for (i = 0; i < COUNT(scopes); i++) {
        measure(b, &scopes[i]);
    }

    rc = plans(b);
    store_close(b->st);
    free(b->seq);

    return rc == 0 ? 0 : 1;
}
