/*
 * token.c: writeen-token, which mints a JWT for development and tests.
 *
 * It signs with HS256 and the secret that nginx is configured with; whoever
 * has that secret may be anybody.  Production tokens come from the service
 * that knows its users.
 */

#include <errno.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/wrt_id.h"
#include "common/wrt_limits.h"

#define TOKEN_SECRET    "writeen-dev-secret-change-me-0123456789"
#define TOKEN_TTL_S     3600

typedef struct {
    const char  *sub;
    const char  *role;
    const char  *name;
    const char  *avatar;
    const char  *secret;
    const char  *ttl;
    const char  *iss;
    const char  *aud;
    const char  *kid;
} token_t;

static const char  token_usage[] =
    "usage: writeen-token --sub ID --role ROLE [--name NAME] [--avatar URL]\n"
    "                     [--ttl SECONDS] [--secret SECRET] [--iss ISSUER]\n"
    "                     [--aud AUDIENCE] [--kid KEY]\n"
    "\n"
    "Prints a token signed with HS256.  ROLE is student, tutor, service or\n"
    "admin.  The secret is --secret, else $JWT_SECRET, else the one for\n"
    "development.  A negative --ttl gives a token that has expired.\n";


static int
token_options(token_t *t, int argc, char **argv)
{
    int     i;
    size_t  k;

    const struct {
        const char   *name;
        const char  **value;
    } options[] = {
        { "--sub",    &t->sub },
        { "--role",   &t->role },
        { "--name",   &t->name },
        { "--avatar", &t->avatar },
        { "--secret", &t->secret },
        { "--ttl",    &t->ttl },
        { "--iss",    &t->iss },
        { "--aud",    &t->aud },
        { "--kid",    &t->kid }
    };

    for (i = 1; i < argc; i += 2) {
        for (k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
            if (strcmp(argv[i], options[k].name) == 0) {
                break;
            }
        }

        if (k == sizeof(options) / sizeof(options[0]) || i + 1 == argc) {
            return -1;
        }

        *options[k].value = argv[i + 1];
    }

    return t->sub && t->sub[0] && t->role && t->role[0] ? 0 : -1;
}


/* What nginx would refuse is said here, where it was mistyped. */
static int
token_check(const token_t *t)
{
    size_t  i;

    static const char *const  roles[] = { "student", "tutor", "service",
                                          "admin" };

    if (!wrt_id_valid(t->sub, strlen(t->sub))) {
        fputs("writeen-token: --sub is an id of 1 to 64 letters, digits, "
              "underscores or hyphens\n", stderr);
        return -1;
    }

    for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(t->role, roles[i]) == 0) {
            return 0;
        }
    }

    fprintf(stderr, "writeen-token: --role is student, tutor, service or "
            "admin, not %s\n", t->role);

    return -1;
}


/* The lifetime in seconds; -1, and said, when it is not a number. */
static int
token_ttl(const char *s, long *ttl)
{
    char  *end;

    *ttl = TOKEN_TTL_S;

    if (s == NULL) {
        return 0;
    }

    errno = 0;
    *ttl = strtol(s, &end, 10);

    if (errno != 0 || end == s || *end != '\0') {
        fprintf(stderr, "writeen-token: --ttl is a whole number of seconds, "
                "not %s\n", s);
        return -1;
    }

    return 0;
}


/* Never shown, not even a short one. */
static int
token_secret(token_t *t)
{
    if (t->secret == NULL) {
        t->secret = getenv("JWT_SECRET");
    }

    if (t->secret == NULL || t->secret[0] == '\0') {
        t->secret = TOKEN_SECRET;
    }

    if (strlen(t->secret) < WRT_TOKEN_SECRET_MIN) {
        fprintf(stderr, "writeen-token: the secret (--secret, else "
                "$JWT_SECRET) has %zu bytes, %d at least are needed\n",
                strlen(t->secret), WRT_TOKEN_SECRET_MIN);
        return -1;
    }

    return 0;
}


static int
token_grant(jwt_t *jwt, const char *name, const char *value)
{
    return value ? jwt_add_grant(jwt, name, value) : 0;
}


int
main(int argc, char **argv)
{
    int         rc;
    char       *text;
    long        ttl;
    jwt_t      *jwt;
    token_t     t;

    memset(&t, 0, sizeof(t));

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(token_usage, stdout);
        return EXIT_SUCCESS;
    }

    if (token_options(&t, argc, argv) != 0) {
        fputs(token_usage, stderr);
        return EXIT_FAILURE;
    }

    if (token_ttl(t.ttl, &ttl) != 0 || token_check(&t) != 0
        || token_secret(&t) != 0)
    {
        return EXIT_FAILURE;
    }

    if (jwt_new(&jwt) != 0) {
        fputs("writeen-token: out of memory\n", stderr);
        return EXIT_FAILURE;
    }

    rc = token_grant(jwt, "sub", t.sub) || token_grant(jwt, "role", t.role)
         || token_grant(jwt, "name", t.name)
         || token_grant(jwt, "avatar", t.avatar)
         || token_grant(jwt, "iss", t.iss) || token_grant(jwt, "aud", t.aud)
         || jwt_add_grant_int(jwt, "iat", (long) time(NULL))
         || jwt_add_grant_int(jwt, "exp", (long) time(NULL) + ttl)
         || (t.kid && jwt_add_header(jwt, "kid", t.kid))
         || jwt_set_alg(jwt, JWT_ALG_HS256,
                        (const unsigned char *) t.secret,
                        (int) strlen(t.secret));

    text = rc ? NULL : jwt_encode_str(jwt);

    if (text == NULL) {
        fputs("writeen-token: the token could not be signed\n", stderr);
        jwt_free(jwt);
        return EXIT_FAILURE;
    }

    printf("%s\n", text);

    free(text);
    jwt_free(jwt);

    return EXIT_SUCCESS;
}
