/*
 * life_command.c: holds, erasure, export and the log of administrative acts
 * from the command line.
 *
 *   --hold conversation|user <id> <reason>    --release-hold <hold>
 *   --holds                                   --audit [<n>]
 *   --erase-user <id>                         --export-user <id>
 *
 * What is to be changed is queued as the REST routes do; the pool that runs
 * brings it into the store, and we wait until it has.
 */

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/worker.h"

#define COMMAND_WAIT_MS  15000
#define COMMAND_LOOK_MS  20

typedef struct {
    const conf_t  *cf;
    store_t       *store;
    cmd_t          cmd;
    actor_t        who;
    char           from[WRT_AUDIT_SOURCE_MAX + 1];
} command_t;

typedef struct {
    const char   *name;
    int           min;              /* arguments behind it */
    int           max;
    int         (*run)(command_t *k, char **args, int n);
} command_name_t;

static int command_hold(command_t *k, char **args, int n);
static int command_release(command_t *k, char **args, int n);
static int command_holds(command_t *k, char **args, int n);
static int command_audit(command_t *k, char **args, int n);
static int command_erase(command_t *k, char **args, int n);
static int command_export(command_t *k, char **args, int n);

static const command_name_t  commands[] = {
    { "--hold",         3, 3, command_hold },
    { "--release-hold", 1, 1, command_release },
    { "--holds",        0, 0, command_holds },
    { "--audit",        0, 1, command_audit },
    { "--erase-user",   1, 1, command_erase },
    { "--export-user",  1, 1, command_export },
    { NULL, 0, 0, NULL }
};


static const command_name_t *
command_find(int argc, char **argv)
{
    int  i;

    for (i = 0; argc > 1 && commands[i].name; i++) {
        if (strcmp(argv[1], commands[i].name) == 0
            && argc - 2 >= commands[i].min && argc - 2 <= commands[i].max)
        {
            return &commands[i];
        }
    }

    return NULL;
}


int
life_command_is(int argc, char **argv)
{
    return command_find(argc, argv) != NULL;
}


/* Who sits there, and at which machine. */
static void
command_who(command_t *k)
{
    char                  host[65];
    const struct passwd  *pw;

    pw = getpwuid(getuid());

    if (gethostname(host, sizeof(host)) != 0) {
        text_copy(host, sizeof(host), "-");
    }

    host[sizeof(host) - 1] = '\0';
    snprintf(k->from, sizeof(k->from), "command %.64s@%.64s",
             pw ? pw->pw_name : "?", host);

    k->who.user = "operator";
    k->who.role = "operator";
    k->who.from = k->from;
}


static int
command_refuse(const char *why)
{
    fprintf(stderr, "writeen-worker: %s\n", why);

    return EXIT_CONFIG;
}


static void
command_print(json_t *doc)
{
    buf_t  text;

    memset(&text, 0, sizeof(text));
    buf_json(&text, doc);
    buf_text(&text, "\n");
    fwrite(text.p, 1, text.n, stdout);
    buf_free(&text);
}


/* Queue it in the place's shard; takes the body. */
static int
command_record(command_t *k, char kind, const char *place, json_t *body)
{
    int       rc;
    rds_t    *c;
    unsigned  shard;

    shard = wrt_shard(&k->cf->names, place, strlen(place));
    c = rds_create(k->cf, conf_server(k->cf, shard));
    rc = rds_connect(c);

    if (rc == 0) {
        rc = life_record(c, &k->cmd, k->cf, kind, place, "-",
                         k->who.user, body);
    } else {
        json_decref(body);
    }

    if (rc != 0) {
        fprintf(stderr, "writeen-worker: Redis: %s\n", rds_error(c));
    }

    rds_free(c);

    return rc;
}


/* Until the store has the hold, in force or released. */
static int
command_wait(command_t *k, const char *id, int released)
{
    int          done;
    json_t      *hold;
    int64_t      until;
    store_rc_t   rc;

    until = mono_ms() + COMMAND_WAIT_MS;
    done = 0;

    while (!done && mono_ms() < until && !role_stopping()) {
        rc = store_hold(k->store, id, &hold);
        done = rc == STORE_OK
               && json_is_string(json_object_get(hold, "releasedAt"))
                  == released;

        if (done) {
            command_print(hold);
        }

        if (rc == STORE_OK) {
            json_decref(hold);
        }

        if (!done) {
            role_sleep(COMMAND_LOOK_MS);
        }
    }

    if (!done) {
        fprintf(stderr, "writeen-worker: it is queued, and stored when a"
                " worker pool runs\n");
    }

    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}


static int
command_hold(command_t *k, char **args, int n)
{
    char         id[WRT_OID_LEN + 1];
    json_t      *audit, *v;
    const char  *type, *target, *reason;

    (void) n;
    type = args[0];
    target = args[1];
    reason = args[2];

    if (strcmp(type, "conversation") != 0 && strcmp(type, "user") != 0) {
        return command_refuse("a hold is on a conversation or a user");
    }

    if (!wrt_id_valid(target, strlen(target))) {
        return command_refuse("an id is 1 to 64 letters, digits, underscores"
                              " or hyphens");
    }

    v = json_string(reason);        /* NULL: not UTF-8 */
    json_decref(v);

    if (v == NULL || strspn(reason, " \t\r\n") == strlen(reason)
        || strlen(reason) > WRT_REASON_MAX)
    {
        return command_refuse("a reason is text of at most 1024 bytes");
    }

    if (type[0] == 'c'
        && store_conversation_state(k->store, target, &v) != STORE_OK)
    {
        return command_refuse("there is no such conversation in the store");
    }

    if (type[0] == 'c') {
        json_decref(v);
    }

    life_id(id);
    audit = life_audit(id, &k->who, "hold_created", type, target,
                       json_pack("{s:s, s:s}", "holdId", id, "reason",
                                 reason));

    if (command_record(k, WRT_EV_LIFE, target,
                       life_hold(id, &k->who, type, target, reason, audit))
        != 0)
    {
        return EXIT_FAILURE;
    }

    return command_wait(k, id, 0);
}


static int
command_release(command_t *k, char **args, int n)
{
    int          rc;
    char         id[WRT_OID_LEN + 1];
    json_t      *hold, *audit;
    const char  *target;

    (void) n;

    if (store_hold(k->store, args[0], &hold) != STORE_OK) {
        return command_refuse("there is no such hold in the store");
    }

    target = json_string_value(json_object_get(hold, "targetId"));
    rc = 0;

    if (!json_is_string(json_object_get(hold, "releasedAt"))) {
        life_id(id);
        audit = life_audit(id, &k->who, "hold_released",
                           json_string_value(json_object_get(hold, "type")),
                           target, json_pack("{s:s}", "holdId", args[0]));
        rc = command_record(k, WRT_EV_LIFE, target,
                            life_release(args[0], &k->who, audit));
    }

    json_decref(hold);

    return rc == 0 ? command_wait(k, args[0], 1) : EXIT_FAILURE;
}


static int
command_list(command_t *k, store_rc_t rc, json_t *list)
{
    size_t   i;
    json_t  *v;

    if (rc != STORE_OK) {
        fprintf(stderr, "writeen-worker: %s\n", store_error(k->store));
        return EXIT_FAILURE;
    }

    json_array_foreach(list, i, v) {
        command_print(v);
    }

    json_decref(list);

    return EXIT_SUCCESS;
}


static int
command_holds(command_t *k, char **args, int n)
{
    int             status;
    json_t         *list;
    int64_t         total, seen;
    store_rc_t      rc;
    store_holds_t   q;

    (void) args;
    (void) n;

    memset(&q, 0, sizeof(q));
    q.active = 1;
    q.limit = WRT_PAGE_AUDIT_MAX;
    seen = 0;

    do {
        q.page++;
        rc = store_holds(k->store, &q, &list, &total);
        status = command_list(k, rc, list);
        seen += q.limit;
    } while (status == EXIT_SUCCESS && seen < total);

    return status;
}


static int
command_audit(command_t *k, char **args, int n)
{
    int             more, status;
    long            left;
    json_t         *list;
    store_rc_t      rc;
    store_audit_t   q;

    left = n ? atol(args[0]) : WRT_PAGE_AUDIT;

    if (left < 1) {
        return command_refuse("how many acts: a number from 1 on");
    }

    memset(&q, 0, sizeof(q));
    q.before_ms = -1;
    q.after_ms = -1;

    /* pages are of one size: of the last one, what is wanted */
    q.limit = WRT_PAGE_AUDIT_MAX;

    do {
        q.page++;
        rc = store_audit(k->store, &q, &list, &more);

        while (rc == STORE_OK && json_array_size(list) > (size_t) left) {
            json_array_remove(list, json_array_size(list) - 1);
        }

        status = command_list(k, rc, list);
        left -= q.limit;
    } while (status == EXIT_SUCCESS && more && left > 0);

    return status;
}


/* How often he was erased, as the log says; -1. */
static int
erase_count(command_t *k, const char *user)
{
    int             n, more;
    json_t         *list;
    store_audit_t   q;

    memset(&q, 0, sizeof(q));
    q.target = user;
    q.action = "user_erased";
    q.before_ms = -1;
    q.after_ms = -1;
    q.limit = WRT_PAGE_AUDIT_MAX;

    if (store_audit(k->store, &q, &list, &more) != STORE_OK) {
        return -1;
    }

    n = (int) json_array_size(list);
    json_decref(list);

    return n;
}


/* Until it is done, as long as that takes; but not when nobody begins. */
static int
erase_wait(command_t *k, const char *user, int before)
{
    size_t   open;
    json_t  *list;
    int64_t  until;

    until = mono_ms() + COMMAND_WAIT_MS;

    while (!role_stopping() && mono_ms() < until) {
        if (erase_count(k, user) > before) {
            printf("erased\n");
            return EXIT_SUCCESS;
        }

        if (store_erasures(k->store, &list) == STORE_OK) {
            open = json_array_size(list);
            json_decref(list);

            if (open) {
                until = mono_ms() + COMMAND_WAIT_MS;
            }
        }

        role_sleep(COMMAND_LOOK_MS);
    }

    fprintf(stderr, "writeen-worker: it is queued, and goes on when a worker"
            " pool runs\n");

    return EXIT_FAILURE;
}


static int
command_erase(command_t *k, char **args, int n)
{
    int          before;
    char         id[WRT_OID_LEN + 1], alias[WRT_OID_LEN + 8], why[160];
    json_t      *body;
    store_rc_t   rc;

    (void) n;

    if (!wrt_id_valid(args[0], strlen(args[0]))) {
        return command_refuse("an id is 1 to 64 letters, digits, underscores"
                              " or hyphens");
    }

    rc = life_held(k->store, args[0], why, sizeof(why));

    if (rc != STORE_NOT_FOUND) {
        return command_refuse(rc == STORE_OK ? why : store_error(k->store));
    }

    before = erase_count(k, args[0]);
    life_id(id);
    life_alias(alias);
    body = life_erase("erase", args[0], alias,
                      life_audit(id, &k->who, "erasure_requested", "user",
                                 args[0], NULL));
    json_object_set_new(body, "by", json_string(k->who.user));

    return command_record(k, WRT_EV_LIFE, args[0], body) == 0
           ? erase_wait(k, args[0], before) : EXIT_FAILURE;
}


static void
export_print(void *data, json_t *record)
{
    (void) data;

    command_print(record);
}


static int
command_export(command_t *k, char **args, int n)
{
    char         id[WRT_OID_LEN + 1];
    export_t     x;
    store_rc_t   rc;

    (void) n;

    if (!wrt_id_valid(args[0], strlen(args[0]))) {
        return command_refuse("an id is 1 to 64 letters, digits, underscores"
                              " or hyphens");
    }

    life_id(id);

    if (command_record(k, WRT_EV_AUDIT, args[0],
                       json_pack("{s:o}", "audit",
                                 life_audit(id, &k->who, "user_exported",
                                            "user", args[0], NULL)))
        != 0)
    {
        return EXIT_FAILURE;
    }

    memset(&x, 0, sizeof(x));
    x.user = args[0];
    x.limit = SIZE_MAX;
    x.add = export_print;

    rc = life_export(&x, k->store);

    if (rc != STORE_OK) {
        fprintf(stderr, "writeen-worker: %s\n", store_error(k->store));
    }

    return rc == STORE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}


int
life_command(const conf_t *cf, int argc, char **argv)
{
    int         status;
    char        err[512];
    command_t   k;

    status = boot_run(cf, 0);

    if (status != EXIT_SUCCESS) {
        return status;
    }

    memset(&k, 0, sizeof(k));
    k.cf = cf;
    k.store = store_open(cf->store_url, cf->scripts_dir, 0, err, sizeof(err));

    if (k.store == NULL) {
        log_error("store_open", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    command_who(&k);
    status = command_find(argc, argv)->run(&k, argv + 2, argc - 2);

    cmd_free(&k.cmd);
    store_close(k.store);

    return status;
}
