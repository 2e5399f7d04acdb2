/*
 * transcript_file.c: writeen-worker --verify-transcript <file> [<head>].
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/session/transcript_internal.h"

#define PIECE        65536
#define EXIT_NO_FILE 2


/* 0; -1: errno, EFBIG for what is larger than any transcript. */
static int
read_file(const char *path, session_buf_t *b)
{
    FILE    *f;
    char     piece[PIECE];
    size_t   n;
    int      rc;

    f = fopen(path, "rb");

    if (f == NULL) {
        return -1;
    }

    session_add(b, "", 0);

    while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
        session_add(b, piece, n);

        if (b->n > WRT_TRANSCRIPT_MAX) {
            fclose(f);
            errno = EFBIG;
            return -1;
        }
    }

    rc = ferror(f) ? -1 : 0;
    fclose(f);

    return rc;
}


static void
print_report(const json_t *report, FILE *out)
{
    size_t         i;
    const json_t  *v, *list, *entry;

    if (json_is_true(json_object_get(report, "intact"))) {
        fprintf(out, "intact: %d entries\n",
                (int) json_integer_value(json_object_get(report,
                                                         "entries")));
        fprintf(out, "head: %s\n",
                json_string_value(json_object_get(report, "head")));
    }

    list = json_object_get(report, "problems");

    json_array_foreach(list, i, v) {
        entry = json_object_get(v, "entry");

        if (json_is_integer(entry)) {
            fprintf(out, "altered: entry %d %s\n",
                    (int) json_integer_value(entry),
                    json_string_value(json_object_get(v, "text")));

        } else {
            fprintf(out, "altered: the file %s\n",
                    json_string_value(json_object_get(v, "text")));
        }
    }

    list = json_object_get(report, "erased");

    json_array_foreach(list, i, v) {
        fprintf(out, "%s%d", i ? ", " : "erased since: entries ",
                (int) json_integer_value(v));
    }

    if (i > 0) {
        fputc('\n', out);
    }
}


int
transcript_verify_file(const char *path, const char *head, FILE *out)
{
    int            rc;
    json_t        *report;
    session_buf_t  b;

    if (head && (strlen(head) != TRANSCRIPT_HASH_LEN
                 || strspn(head, "0123456789abcdef") != TRANSCRIPT_HASH_LEN))
    {
        fprintf(out, "head: must be %d lower-case hex digits\n",
                TRANSCRIPT_HASH_LEN);
        return EXIT_NO_FILE;
    }

    memset(&b, 0, sizeof(b));

    if (read_file(path, &b) != 0) {
        fprintf(out, "%s: %s\n", path, strerror(errno));
        free(b.p);
        return EXIT_NO_FILE;
    }

    report = transcript_verify(b.p, b.n, head);
    print_report(report, out);
    rc = json_is_true(json_object_get(report, "intact")) ? EXIT_SUCCESS
                                                         : EXIT_FAILURE;
    json_decref(report);
    free(b.p);

    return rc;
}
