/*
 * bench_store.c: how many messages a second does a store take?
 *
 *   bench_store <store url> [messages] [rooms] [batch] [scripts dir]
 *
 * Applies synthetic messages in batches (of WRT_BATCH_MAX when left out, which
 * is what waits; at 5,000 a second the projector gets about 250 in a turn),
 * spread over rooms as a busy shard sees them, each with a clientMessageId and
 * the size of a usual chat line.  Prints the rate of store_apply() alone, that
 * with the parsing of the JSON that the projector has to do before, and this
 * process's CPU time for each message.  The store must be new or hold an
 * earlier run's rooms of the same number: seq goes on where it stopped.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "worker/store/store.h"

#define EVENT_BYTES  2048
#define START_MS     1700000000000

typedef struct {
    store_t        *st;
    int             rooms;
    int             batch;              /* events at once */
    int64_t        *seq;                /* of each room */
    wrt_oid_gen_t   oid;
    int64_t         n;                  /* messages made */
    char            room[WRT_BATCH_MAX][WRT_ID_MAX + 1];
    char            text[WRT_BATCH_MAX][EVENT_BYTES];
    event_t         ev[WRT_BATCH_MAX];
} bench_t;


static double
now_s(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


static double
cpu_s(void)
{
    struct rusage  ru;

    getrusage(RUSAGE_SELF, &ru);

    return (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec)
           + (double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}


static void
die(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}


static void
apply(bench_t *b, size_t n)
{
    size_t  bad;

    if (store_apply(b->st, b->ev, n, &bad) != STORE_OK) {
        die("store_apply", store_error(b->st));
    }
}


/* Rooms of two, or where they stand when they are there already. */
static void
make_rooms(bench_t *b)
{
    int      i;
    json_t  *state;

    for (i = 0; i < b->rooms; i++) {
        snprintf(b->room[0], sizeof(b->room[0]), "bench_room_%d", i);

        if (store_conversation_state(b->st, b->room[0], &state) == STORE_OK) {
            b->seq[i] = json_integer_value(json_object_get(state, "seq"));
            json_decref(state);
            continue;
        }

        snprintf(b->text[0], EVENT_BYTES,
                 "{\"id\":\"bench_room_%d\",\"type\":\"direct\","
                 "\"participants\":[{\"userId\":\"student_%d\",\"role\":"
                 "\"student\"},{\"userId\":\"tutor_%d\",\"role\":\"tutor\"}],"
                 "\"createdAt\":\"2023-11-14T22:13:20.000Z\"}", i, i, i);

        memset(&b->ev[0], 0, sizeof(event_t));
        b->ev[0].kind = WRT_EV_CREATE;
        b->ev[0].conversation = b->room[0];
        b->ev[0].actor = "bench";
        b->ev[0].target = "";
        b->ev[0].body = json_loads(b->text[0], 0, NULL);

        apply(b, 1);
        json_decref(b->ev[0].body);
    }
}


/* The texts of a batch, as they come out of the stream. */
static void
make_texts(bench_t *b, size_t n)
{
    char       id[WRT_OID_LEN + 1], at[WRT_TIME_LEN + 1];
    size_t     i;
    int64_t    ms;
    unsigned   room, who;

    for (i = 0; i < n; i++) {
        room = (unsigned) (b->n * 7919 % b->rooms);
        who = (unsigned) (b->n % 2);
        ms = START_MS + b->n;

        wrt_oid_next(&b->oid, ms / 1000, id);
        wrt_time_format(ms, at);
        snprintf(b->room[i], sizeof(b->room[i]), "bench_room_%u", room);

        memset(&b->ev[i], 0, sizeof(event_t));
        b->ev[i].kind = WRT_EV_MESSAGE;
        b->ev[i].conversation = b->room[i];
        b->ev[i].seq = ++b->seq[room];
        b->ev[i].actor = "";
        b->ev[i].target = "";

        snprintf(b->text[i], EVENT_BYTES,
                 "{\"event\":\"message_received\",\"data\":{"
                 "\"conversationId\":\"%s\",\"clientMessageId\":\"c-%s\","
                 "\"seq\":%lld,\"message\":{\"id\":\"%s\","
                 "\"conversationId\":\"%s\",\"senderId\":\"%s_%u\","
                 "\"sender\":{\"name\":\"Dr. Jane Smith\",\"avatar\":null},"
                 "\"type\":\"text\",\"content\":{\"text\":\"Please review the"
                 " methodology section again, number %lld.\"},"
                 "\"status\":\"sent\",\"readBy\":[],\"replyTo\":null,"
                 "\"reactions\":[],\"clientMessageId\":\"c-%s\","
                 "\"createdAt\":\"%s\",\"seq\":%lld}}}",
                 b->room[i], id, (long long) b->seq[room], id, b->room[i],
                 who ? "tutor" : "student", room, (long long) b->n, id, at,
                 (long long) b->seq[room]);

        b->n++;
    }
}


static void
run(bench_t *b, int64_t messages)
{
    size_t   i, n;
    double   parse, store, parse_cpu, store_cpu, t, c;
    int64_t  left;

    parse = store = parse_cpu = store_cpu = 0;

    for (left = messages; left > 0; left -= (int64_t) n) {
        n = left < b->batch ? (size_t) left : (size_t) b->batch;
        make_texts(b, n);

        t = now_s();
        c = cpu_s();
        for (i = 0; i < n; i++) {
            b->ev[i].body = json_loads(b->text[i], 0, NULL);
            if (b->ev[i].body == NULL) {
                die("json_loads", b->text[i]);
            }
        }
        parse += now_s() - t;
        parse_cpu += cpu_s() - c;

        t = now_s();
        c = cpu_s();
        apply(b, n);
        store += now_s() - t;
        store_cpu += cpu_s() - c;

        t = now_s();
        c = cpu_s();
        for (i = 0; i < n; i++) {
            json_decref(b->ev[i].body);
        }
        parse += now_s() - t;
        parse_cpu += cpu_s() - c;
    }

    printf("%s: %lld messages, %d rooms, batches of %d\n"
           "  store_apply             %8.0f messages/s, CPU %5.1f us each\n"
           "  with parsing the JSON   %8.0f messages/s, CPU %5.1f us each\n",
           store_name(b->st), (long long) messages, b->rooms, b->batch,
           (double) messages / store, store_cpu * 1e6 / (double) messages,
           (double) messages / (store + parse),
           (store_cpu + parse_cpu) * 1e6 / (double) messages);
}


int
main(int argc, char **argv)
{
    char      err[1024];
    uint8_t   seed[8];
    int64_t   messages;
    bench_t  *b;

    if (argc < 2) {
        die("usage", "bench_store <store url> [messages] [rooms] [batch]"
            " [scripts dir]");
    }

    b = calloc(1, sizeof(bench_t));
    if (b == NULL) {
        die("calloc", "out of memory");
    }

    messages = argc > 2 ? atoll(argv[2]) : 200000;
    b->rooms = argc > 3 ? atoi(argv[3]) : 1000;
    b->batch = argc > 4 ? atoi(argv[4]) : WRT_BATCH_MAX;
    if (messages < 1 || b->rooms < 1 || b->batch < 1
        || b->batch > WRT_BATCH_MAX)
    {
        die("usage", "messages and rooms are numbers above 0, and a batch of"
            " those that the projector makes");
    }

    b->seq = calloc((size_t) b->rooms, sizeof(int64_t));
    if (b->seq == NULL) {
        die("calloc", "out of memory");
    }

    /* ids of two runs into one store must differ */
    b->n = (int64_t) time(NULL) % 1000000 * 1000;
    memcpy(seed, &b->n, sizeof(seed));
    wrt_oid_init(&b->oid, seed);

    b->st = store_open(argv[1], argc > 5 ? argv[5] : "sql_or_mongo_scripts",
                       1, err, sizeof(err));
    if (b->st == NULL) {
        die("store_open", err);
    }

    make_rooms(b);
    run(b, messages);

    store_close(b->st);
    free(b->seq);
    free(b);

    return 0;
}
