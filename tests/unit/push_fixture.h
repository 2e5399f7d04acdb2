/*
 * push_fixture.h: the double of FCM and a webhook that tests of pushes run
 * beside (tests/e2e/harness/fcm.py): how it answers, and what came to it.
 */

#ifndef PUSH_FIXTURE_H
#define PUSH_FIXTURE_H

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>


/* A request to the double about itself. */
static inline json_t *
ask(const char *path, const char *body)
{
    int                  fd;
    char                *text, head[256], *json;
    size_t               n;
    ssize_t              k;
    json_t              *v;
    struct sockaddr_in   sa;

    memset(&sa, 0, sizeof(sa));
    sa.sin_family = AF_INET;
    sa.sin_port = htons((uint16_t) atoi(strrchr(getenv("WRT_TEST_FCM"), ':')
                                        + 1));
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);

    k = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: d\r\n"
                 "Connection: close\r\nContent-Length: %zu\r\n\r\n", path,
                 strlen(body));
    assert_int_equal(write(fd, head, (size_t) k), k);
    assert_int_equal(write(fd, body, strlen(body)), (ssize_t) strlen(body));

    text = malloc(1024 * 1024 + 1);
    n = 0;

    while ((k = read(fd, text + n, 1024 * 1024 - n)) > 0) {
        n += (size_t) k;
    }

    text[n] = '\0';
    close(fd);

    json = strstr(text, "\r\n\r\n");
    assert_non_null(json);
    v = json_loads(json, 0, NULL);
    assert_non_null(v);
    free(text);

    return v;
}


static inline void
behave(const char *rule)
{
    json_decref(ask("/double/behave", rule));
}


/* How often a text with `match` in it came to a path. */
static inline unsigned
came(const char *path, const char *match, int status)
{
    char      *text;
    size_t     i;
    json_t    *log, *v;
    unsigned   n;

    log = ask("/double/log", "");
    n = 0;

    json_array_foreach(log, i, v) {
        text = json_dumps(v, JSON_COMPACT);

        if (strcmp(json_string_value(json_object_get(v, "path")), path) == 0
            && strstr(text, match)
            && (status == 0 || json_integer_value(json_object_get(v,
                                                   "status")) == status))
        {
            n++;
        }

        free(text);
    }

    json_decref(log);

    return n;
}


static inline json_t *
message(const char *token)
{
    size_t   i;
    json_t  *log, *v, *m;

    log = ask("/double/log", "");
    m = NULL;

    json_array_foreach(log, i, v) {
        v = json_object_get(v, "message");

        if (v && strcmp(json_string_value(json_object_get(v, "token")),
                        token) == 0)
        {
            json_decref(m);
            m = json_incref(v);
        }
    }

    json_decref(log);
    assert_non_null(m);

    return m;
}


static inline void
is(const json_t *v, const char *path, const char *want)
{
    char         name[64];
    size_t       n;
    const char  *p;

    for (p = path; *p && v; p += n + (p[n] == '.')) {
        n = strcspn(p, ".");
        memcpy(name, p, n);
        name[n] = '\0';
        v = json_object_get(v, name);
    }

    if (want == NULL) {
        assert_null(v);
    } else {
        assert_non_null(v);
        assert_string_equal(json_string_value(v), want);
    }
}

#endif
