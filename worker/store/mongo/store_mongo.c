/*
 * store_mongo.c: the store for scale: opening, schema, errors.
 *
 * MongoDB 5.0 or newer, a replica set or a single server.  Writes wait for a
 * majority and the journal; nothing needs a transaction (store_mongo_apply.c
 * says why that is enough).  Reads go to the primary, whatever the URI says:
 * what was acknowledged must be found.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/mongo/store_mongo.h"

#define SETTING         "MONGODB_URI"
#define DEFAULT_DB      "writeen"
#define CONNECT_MS      2000
#define SOCKET_MS       20000       /* one command, a batch of 1,000 at most */
#define WTIMEOUT_MS     10000       /* a majority must answer by then */
#define BATCH_ROWS      2000        /* rows of one answer */
#define MIN_VERSION     5           /* $expr with $gte by index in $lookup */

#define CODE_NAMESPACE_EXISTS  48


static void mongo_close(store_t *base);
static store_rc_t mongo_ping(store_t *base);

static const store_ops_t  mongo_ops = {
    "mongo",
    mongo_close,
    mongo_ping,
    store_mongo_apply,
    store_mongo_state,
    store_mongo_user_rooms,
    store_mongo_conversation,
    store_mongo_conversations,
    store_mongo_messages,
    store_mongo_message,
    store_mongo_message_sent,
    store_mongo_unread,
    store_mongo_changes,
    store_mongo_user,
    store_mongo_file,
    store_mongo_files,
    store_mongo_file_refs,
    store_mongo_hold,
    store_mongo_holds,
    store_mongo_audit,
    store_mongo_push,
    store_mongo_session,
    store_mongo_sessions,
    store_mongo_session_part,
    store_mongo_consult,
    store_mongo_ends,
    store_mongo_erasures,
    store_mongo_traces,
    store_mongo_said,
    store_mongo_user_held,
    store_mongo_tidy,
    store_mongo_due,
    store_mongo_search
};


store_rc_t
mg_down(store_mongo_t *st, const char *what, const bson_error_t *err)
{
    return store_fail(&st->base, STORE_DOWN, "MongoDB: %s: %s", what,
                      err->message);
}


/* Each row of a cursor, which ends here. */
static store_rc_t
each(store_mongo_t *st, mongoc_cursor_t *cursor, mg_each_t fn, void *data)
{
    store_rc_t     rc;
    bson_error_t   err;
    const bson_t  *doc;

    rc = STORE_OK;

    while (mongoc_cursor_next(cursor, &doc)) {
        fn(data, doc);
    }

    if (mongoc_cursor_error(cursor, &err)) {
        rc = mg_down(st, "query", &err);
    }

    mongoc_cursor_destroy(cursor);

    return rc;
}


static void
append_row(void *list, const bson_t *doc)
{
    store_doc_append(list, mg_row(doc));
}


/* The server's default is 101 rows at first, and a second round trip. */
static bson_t *
one_batch(bson_t *opts)
{
    opts = opts ? opts : bson_new();
    BSON_APPEND_INT32(opts, "batchSize", BATCH_ROWS);

    return opts;
}


store_rc_t
mg_each(store_mongo_t *st, mongoc_collection_t *c, bson_t *query,
    bson_t *opts, mg_each_t fn, void *data)
{
    store_rc_t  rc;

    opts = one_batch(opts);
    rc = each(st, mongoc_collection_find_with_opts(c, query, opts, NULL), fn,
              data);

    bson_destroy(query);
    bson_destroy(opts);

    return rc;
}


json_t *
mg_find(store_mongo_t *st, mongoc_collection_t *c, bson_t *query,
    bson_t *opts)
{
    json_t  *list;

    list = json_array();

    if (mg_each(st, c, query, opts, append_row, list) != STORE_OK) {
        json_decref(list);
        return NULL;
    }

    return list;
}


store_rc_t
mg_read(store_mongo_t *st, mongoc_collection_t *c, const char *id,
    json_t *(*read)(const json_t *row), json_t **out)
{
    json_t  *rows;

    rows = mg_find(st, c, BCON_NEW("_id", BCON_UTF8(id)), NULL);
    if (rows == NULL) {
        return STORE_DOWN;
    }

    if (json_array_size(rows)) {
        *out = read(json_array_get(rows, 0));
    }

    json_decref(rows);

    return *out ? STORE_OK : STORE_NOT_FOUND;
}


json_t *
mg_aggregate(store_mongo_t *st, mongoc_collection_t *c, bson_t *pipeline,
    bson_t *opts)
{
    json_t  *list;

    list = json_array();
    opts = one_batch(opts);

    if (each(st, mongoc_collection_aggregate(c, MONGOC_QUERY_NONE, pipeline,
                                             opts, NULL),
             append_row, list)
        != STORE_OK)
    {
        json_decref(list);
        list = NULL;
    }

    bson_destroy(pipeline);
    bson_destroy(opts);

    return list;
}


static void
default_ms(mongoc_uri_t *uri, const char *option, int32_t ms)
{
    if (!mongoc_uri_has_option(uri, option)) {
        mongoc_uri_set_option_as_int32(uri, option, ms);
    }
}


static mongoc_uri_t *
parse_uri(const char *text, char *err, size_t err_size)
{
    size_t         n;
    const char    *host, *at;
    bson_error_t   error;
    mongoc_uri_t  *uri;

    host = strstr(text, "://");
    host = host ? host + 3 : text;
    n = strcspn(host, "/?");
    at = memchr(host, '@', n);

    /* libmongoc would take a part of the password for a host, and say it */

    if (at ? memchr(at + 1, '@', n - (size_t) (at + 1 - host)) != NULL
           : strchr(host, '@') != NULL)
    {
        goto escapes;
    }

    uri = mongoc_uri_new_with_error(text, &error);

    if (uri) {
        return uri;
    }

    /* and here it would repeat the whole of it */

    if (strncmp(error.message, "Password", 8) == 0
        || strncmp(error.message, "Username", 8) == 0)
    {
        goto escapes;
    }

    snprintf(err, err_size, SETTING ": %s; it looks like mongodb://"
             "[user:password@]host[:port],.../database[?replicaSet=name]",
             error.message);

    return NULL;

escapes:

    snprintf(err, err_size, SETTING ": user and password have characters that"
             " must be escaped; write %%40 for \"@\", %%3A for \":\", %%2F for"
             " \"/\", %%3F for \"?\" and %%25 for \"%%\"");

    return NULL;
}


/* libmongoc says of a file it can not read that the connection failed. */
static int
check_files(const mongoc_uri_t *uri, char *err, size_t err_size)
{
    size_t       i;
    const char  *path;

    static const char *const  options[] = {
        MONGOC_URI_TLSCAFILE, MONGOC_URI_TLSCERTIFICATEKEYFILE
    };

    for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        path = mongoc_uri_get_option_as_utf8(uri, options[i], NULL);

        if (path && access(path, R_OK) != 0) {
            snprintf(err, err_size, SETTING ": the file \"%s\" of \"%s\" can "
                     "not be read: %s", path, options[i], strerror(errno));
            return -1;
        }
    }

    return 0;
}


int
store_mongo_uri_check(const char *text, char *err, size_t err_size)
{
    int            rc;
    mongoc_uri_t  *uri;

    /* what it says to standard error is not for operators */
    mongoc_log_set_handler(NULL, NULL);

    uri = parse_uri(text, err, err_size);
    if (uri == NULL) {
        return -1;
    }

    rc = check_files(uri, err, err_size);

    mongoc_uri_destroy(uri);

    return rc;
}


static int
make_clients(store_mongo_t *st, const char *text, char *err, size_t err_size)
{
    mongoc_uri_t                  *uri;
    bson_error_t                   error;
    mongoc_read_prefs_t           *primary;
    mongoc_write_concern_t        *wc;

    uri = parse_uri(text, err, err_size);
    if (uri == NULL) {
        return -1;
    }

    default_ms(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
    default_ms(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, CONNECT_MS);
    default_ms(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_MS);

    /* a batch is repeated as a whole; the server's own bookkeeping for
     * retries would double the cost of each update */
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);

    st->db_name = bson_strdup(mongoc_uri_get_database(uri)
                              ? mongoc_uri_get_database(uri) : DEFAULT_DB);
    st->client = mongoc_client_new_from_uri_with_error(uri, &error);

    if (st->client) {
        mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS,
                                       STORE_PING_MS);
        st->ping = mongoc_client_new_from_uri_with_error(uri, &error);
    }

    mongoc_uri_destroy(uri);

    if (st->ping == NULL) {
        snprintf(err, err_size, SETTING ": %s", error.message);
        return -1;
    }

    mongoc_client_set_error_api(st->client, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_set_error_api(st->ping, MONGOC_ERROR_API_VERSION_2);

    wc = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(wc, WTIMEOUT_MS);
    mongoc_write_concern_set_journal(wc, true);
    mongoc_client_set_write_concern(st->client, wc);
    mongoc_write_concern_destroy(wc);

    primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_client_set_read_prefs(st->client, primary);
    mongoc_read_prefs_destroy(primary);

    return 0;
}


/* Can it be reached, is it new enough?  The first command also logs in. */
static int
check_server(store_mongo_t *st, char *err, size_t err_size)
{
    int            major;
    bool           ok;
    bson_t        *cmd, reply;
    bson_iter_t    it, sub;
    bson_error_t   error;

    cmd = BCON_NEW("buildInfo", BCON_INT32(1));
    ok = mongoc_client_command_simple(st->client, st->db_name, cmd, NULL,
                                      &reply, &error);
    major = 0;

    if (ok && bson_iter_init_find(&it, &reply, "versionArray")
        && bson_iter_recurse(&it, &sub) && bson_iter_next(&sub))
    {
        major = (int) bson_iter_as_int64(&sub);
    }

    bson_destroy(&reply);
    bson_destroy(cmd);

    if (!ok) {
        snprintf(err, err_size, SETTING ": %s; is mongod running there, may"
                 " this user log in?", error.message);
        return -1;
    }

    if (major < MIN_VERSION) {
        snprintf(err, err_size, SETTING ": the server is MongoDB %d, this"
                 " program needs %d.0 or newer", major, MIN_VERSION);
        return -1;
    }

    return 0;
}


/* The schema's version; 0: none yet; -1 with err set. */
static int
schema_version(store_mongo_t *st, char *err, size_t err_size)
{
    int                   version;
    json_t               *list;
    mongoc_collection_t  *c;

    c = mongoc_client_get_collection(st->client, st->db_name, "schema");
    list = mg_find(st, c, BCON_NEW("_id", BCON_UTF8("version")), NULL);
    mongoc_collection_destroy(c);

    if (list == NULL) {
        snprintf(err, err_size, SETTING ": %s", st->base.err);
        return -1;
    }

    version = (int) mg_int(json_array_get(list, 0), "version");
    json_decref(list);

    return version;
}


static int
run_command(store_mongo_t *st, const bson_t *cmd, bson_error_t *error)
{
    bool                  ok;
    bson_t                reply;
    mongoc_database_t    *db;

    db = mongoc_client_get_database(st->client, st->db_name);
    ok = mongoc_database_write_command_with_opts(db, cmd, NULL, &reply,
                                                 error);
    bson_destroy(&reply);
    mongoc_database_destroy(db);

    /* a migration that was interrupted starts from its beginning */

    return ok || error->code == CODE_NAMESPACE_EXISTS ? 0 : -1;
}


/* Each command of {"commands": [...]}. */
static int
run_commands(store_mongo_t *st, const bson_t *script, bson_error_t *error)
{
    bson_t           cmd;
    uint32_t         len;
    const uint8_t   *data;
    bson_iter_t      it, sub;

    if (!bson_iter_init_find(&it, script, "commands")
        || !BSON_ITER_HOLDS_ARRAY(&it) || !bson_iter_recurse(&it, &sub))
    {
        bson_set_error(error, 0, 0, "no array \"commands\"");
        return -1;
    }

    while (bson_iter_next(&sub)) {
        if (!BSON_ITER_HOLDS_DOCUMENT(&sub)) {
            bson_set_error(error, 0, 0, "a command is not an object");
            return -1;
        }

        bson_iter_document(&sub, &len, &data);

        if (!bson_init_static(&cmd, data, len)
            || run_command(st, &cmd, error) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* What no command can do: {"backfill": "words"}. */
static int
run_backfill(store_mongo_t *st, const bson_t *script, bson_error_t *error)
{
    bson_iter_t  it;

    if (!bson_iter_init_find(&it, script, "backfill")) {
        return 0;
    }

    if (!BSON_ITER_HOLDS_UTF8(&it)
        || strcmp(bson_iter_utf8(&it, NULL), "words") != 0)
    {
        bson_set_error(error, 0, 0, "no such backfill");
        return -1;
    }

    return mg_backfill_words(st, error);
}


static int
set_version(store_mongo_t *st, int version, bson_error_t *error)
{
    bool                  ok;
    bson_t               *query, *update, *opts;
    mongoc_collection_t  *c;

    c = mongoc_client_get_collection(st->client, st->db_name, "schema");
    query = BCON_NEW("_id", BCON_UTF8("version"));
    update = BCON_NEW("$max", "{", "version", BCON_INT32(version), "}",
                      "$currentDate", "{", "updatedAt", BCON_BOOL(true),
                      "}");
    opts = BCON_NEW("upsert", BCON_BOOL(true));

    ok = mongoc_collection_update_one(c, query, update, opts, NULL, error);

    bson_destroy(opts);
    bson_destroy(update);
    bson_destroy(query);
    mongoc_collection_destroy(c);

    return ok ? 0 : -1;
}


static int
run_script(store_mongo_t *st, const store_script_t *script, char *err,
    size_t err_size)
{
    int            rc;
    char          *text;
    size_t         len;
    bson_t        *doc;
    bson_error_t   error;

    text = store_scripts_read(script, &len, err, err_size);
    if (text == NULL) {
        return -1;
    }

    rc = -1;
    doc = bson_new_from_json((const uint8_t *) text, (ssize_t) len, &error);

    if (doc && run_backfill(st, doc, &error) == 0
        && run_commands(st, doc, &error) == 0
        && set_version(st, script->version, &error) == 0)
    {
        rc = 0;
    }

    if (rc != 0) {
        snprintf(err, err_size, SETTING ": migration %s: %s", script->name,
                 error.message);
    }

    bson_destroy(doc);
    free(text);

    return rc;
}


static int
migrate_schema(store_mongo_t *st, const char *scripts_dir, int migrate,
    char *err, size_t err_size)
{
    int              i, n, rc, found;
    store_script_t  *scripts;

    n = store_scripts_list(scripts_dir, "mongo", "json", &scripts, err,
                           err_size);
    if (n < 0) {
        return -1;
    }

    found = schema_version(st, err, err_size);

    rc = found < 0 ? -1
                   : store_scripts_judge(SETTING, st->db_name, found, n,
                                         migrate, err, err_size);

    for (i = found; rc == 0 && i < n; i++) {
        rc = run_script(st, &scripts[i], err, err_size);
    }

    store_scripts_free(scripts, n);

    return rc;
}


static mongoc_collection_t *
collection(store_mongo_t *st, const char *name)
{
    return mongoc_client_get_collection(st->client, st->db_name, name);
}


store_t *
store_mongo_open(const char *uri, const char *scripts_dir, int migrate,
    char *err, size_t err_size)
{
    store_mongo_t  *st;

    st = calloc(1, sizeof(store_mongo_t));
    if (st == NULL) {
        store_oom();
    }

    st->base.ops = &mongo_ops;

    /* what the driver would log reaches our callers as error texts */
    mongoc_init();
    mongoc_log_set_handler(NULL, NULL);

    if (make_clients(st, uri, err, err_size) != 0
        || check_server(st, err, err_size) != 0
        || migrate_schema(st, scripts_dir, migrate, err, err_size) != 0)
    {
        mongo_close(&st->base);
        return NULL;
    }

    st->conversations = collection(st, "conversations");
    st->participants = collection(st, "participants");
    st->messages = collection(st, "messages");
    st->cursors = collection(st, "cursors");
    st->users = collection(st, "users");
    st->files = collection(st, "fileUploads");
    st->holds = collection(st, "holds");
    st->audit = collection(st, "audit");
    st->erasures = collection(st, "erasures");
    st->devices = collection(st, "devices");
    st->push = collection(st, "pushSettings");
    st->mutes = collection(st, "mutes");
    st->consultations = collection(st, "consultations");
    st->sessions = collection(st, "chatSessions");
    st->parts = collection(st, "sessionParts");
    st->ratings = collection(st, "sessionRatings");

    return &st->base;
}


/* The driver's functions take NULL. */
static void
mongo_close(store_t *base)
{
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    mongoc_collection_destroy(st->conversations);
    mongoc_collection_destroy(st->participants);
    mongoc_collection_destroy(st->messages);
    mongoc_collection_destroy(st->cursors);
    mongoc_collection_destroy(st->users);
    mongoc_collection_destroy(st->files);
    mongoc_collection_destroy(st->holds);
    mongoc_collection_destroy(st->audit);
    mongoc_collection_destroy(st->erasures);
    mongoc_collection_destroy(st->devices);
    mongoc_collection_destroy(st->push);
    mongoc_collection_destroy(st->mutes);
    mongoc_collection_destroy(st->consultations);
    mongoc_collection_destroy(st->sessions);
    mongoc_collection_destroy(st->parts);
    mongoc_collection_destroy(st->ratings);
    mongoc_client_destroy(st->ping);
    mongoc_client_destroy(st->client);
    bson_free(st->db_name);

    store_arena_reset(&base->arena);
    free(base->arena.chunk);
    words_free(&base->words);
    free(st);
}


/* By a client of its own: the other one waits longer for a slow batch. */
static store_rc_t
mongo_ping(store_t *base)
{
    bool            ok;
    bson_t         *cmd;
    bson_error_t    error;
    store_mongo_t  *st;

    st = (store_mongo_t *) base;

    cmd = BCON_NEW("ping", BCON_INT32(1));
    ok = mongoc_client_command_simple(st->ping, st->db_name, cmd, NULL, NULL,
                                      &error);
    bson_destroy(cmd);

    return ok ? STORE_OK : mg_down(st, "ping", &error);
}
