/*
 * bench_session.c: how long do the summary and the transcript of a session
 * take?
 *
 *   bench_session [messages] [file]
 *
 * Messages are those of tests/unit/files/session_id.json, over and over, each
 * with a word of its own, so that words are as different as in life.  Prints
 * the time of each part and the memory at the end; how long it may take is for
 * the reader to judge, who knows the machine.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/wrt_id.h"
#include "worker/session/session.h"
#include "worker/session/transcript.h"

#define MESSAGES_DEFAULT  2000
#define FILE_DEFAULT      "tests/unit/files/session_id.json"
#define START_MS          1795399200000
#define EVERY_MS          20000


static double
now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec * 1000.0 + (double) t.tv_nsec / 1e6;
}


static json_t *
messages(const json_t *doc, size_t n)
{
    char          id[32], at[WRT_TIME_LEN + 1], text[2048];
    size_t        i;
    json_t       *list, *m, *from, *content;
    const char   *said;

    from = json_object_get(doc, "messages");
    list = json_array();

    for (i = 0; i < n; i++) {
        m = json_deep_copy(json_array_get(from, i % json_array_size(from)));
        content = json_object_get(m, "content");
        said = json_string_value(json_object_get(content, "text"));

        if (said) {
            snprintf(text, sizeof(text), "%s Contoh kata%zu.", said, i);
            json_object_set_new(content, "text", json_string(text));
        }

        snprintf(id, sizeof(id), "%024zx", i);
        wrt_time_format(START_MS + (int64_t) i * EVERY_MS, at);
        json_object_set_new(m, "id", json_string(id));
        json_object_set_new(m, "seq", json_integer((json_int_t) i));
        json_object_set_new(m, "createdAt", json_string(at));
        json_array_append_new(list, m);
    }

    return list;
}


static double
part(const char *what, double since)
{
    double  t;

    t = now();
    printf("%-12s %9.1f ms\n", what, t - since);

    return now();
}


static void
transcripts(const json_t *doc, const json_t *list, const json_t *document,
    double t)
{
    char                 err[TRANSCRIPT_ERROR_SIZE], *p, *text;
    size_t               n, m;
    json_t              *transcript, *report, *session;
    transcript_input_t   in;

    session = json_object();
    memset(&in, 0, sizeof(in));
    in.session = session;
    in.participants = json_object_get(doc, "participants");
    in.messages = list;
    in.document = document;

    transcript = transcript_make(&in, err);

    if (transcript == NULL) {
        fprintf(stderr, "%s\n", err);
        exit(EXIT_FAILURE);
    }

    t = part("transcript", t);
    p = transcript_write(transcript, &n);
    t = part("write", t);
    report = transcript_verify(p, n, NULL);
    t = part("verify", t);
    text = transcript_markdown(transcript, 0, &m);
    part("markdown", t);
    printf("%-12s %9zu bytes, %s\n", "file", n,
           json_is_true(json_object_get(report, "intact")) ? "intact"
                                                           : "altered");
    free(p);
    free(text);
    json_decref(report);
    json_decref(transcript);
    json_decref(session);
}


int
main(int argc, char **argv)
{
    char              err[SESSION_ERROR_SIZE];
    double            t, start;
    size_t            n;
    json_t           *doc, *list, *document;
    session_t        *s;
    struct rusage     use;
    session_input_t   in;

    n = argc > 1 ? strtoul(argv[1], NULL, 10) : MESSAGES_DEFAULT;
    doc = json_load_file(argc > 2 ? argv[2] : FILE_DEFAULT, 0, NULL);

    if (doc == NULL) {
        fprintf(stderr, "bench_session: cannot read the file\n");
        return EXIT_FAILURE;
    }

    list = messages(doc, n);
    memset(&in, 0, sizeof(in));
    in.messages = list;
    in.participants = json_object_get(doc, "participants");
    in.start = -1;
    in.end = -1;

    printf("%zu messages\n", n);
    start = now();
    s = session_open(&in, err);

    if (s == NULL) {
        fprintf(stderr, "%s\n", err);
        return EXIT_FAILURE;
    }

    t = part("open", start);
    json_decref(session_stats(s));
    t = part("stats", t);
    json_decref(session_topics(s, WRT_SESSION_TOPICS));
    t = part("topics", t);
    json_decref(session_actions(s));
    t = part("actions", t);
    json_decref(session_questions(s));
    t = part("questions", t);
    document = session_document(s);
    t = part("document", t);
    session_close(s);

    transcripts(doc, list, document, t);

    getrusage(RUSAGE_SELF, &use);
    printf("%-12s %9ld KB\n", "memory", use.ru_maxrss);

    json_decref(document);
    json_decref(list);
    json_decref(doc);

    return EXIT_SUCCESS;
}
