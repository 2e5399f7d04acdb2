/*
 * main.c: arguments.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/session/transcript.h"
#include "worker/worker.h"

static const char  main_usage[] =
    "usage: writeen-worker [--check | --replay-dead | --restored |\n"
    "                       --version | --help]\n"
    "       writeen-worker --verify-transcript <file> [<head>]\n"
    "       writeen-worker --hold conversation|user <id> <reason>\n"
    "       writeen-worker --release-hold <hold> | --holds | --audit [<n>]\n"
    "       writeen-worker --export-user <id> | --erase-user <id>\n"
    "\n"
    "The worker pool of Writeen chat: stores what happens in Redis and\n"
    "answers REST calls.  It runs in the foreground and logs to stderr.\n"
    "\n"
    "  --check        check settings, Redis, store, storage; exit\n"
    "  --replay-dead  put dead letters back, print how many, then exit\n"
    "  --restored     after a backup was put back, with Redis empty and no\n"
    "                 pool running: give no number a second time, then exit\n"
    "  --verify-transcript  is the transcript of a session untouched?  Says\n"
    "                 which entry was altered and exits with 1 if not\n"
    "  --hold         make a legal hold: nothing of it is deleted\n"
    "  --release-hold end it\n"
    "  --holds        print those in force, one JSON document a line\n"
    "  --audit        print the last administrative acts (50), newest first\n"
    "  --export-user  print all of a user's data, a JSON document a line\n"
    "  --erase-user   forget a user: what he wrote, sent and is called\n"
    "  --version      print the version\n"
    "  --help         print this\n"
    "\n"
    "Settings come from the environment:\n"
    "  REDIS_URL    redis://[user[:password]@]host[:port][/db] or unix:/path;\n"
    "               several are separated by spaces or commas, the first one\n"
    "               is the hub (redis://127.0.0.1:6379/0)\n"
    "  STORE        sqlite or mongo (sqlite)\n"
    "  SQLITE_PATH  file of the database (./writeen.db)\n"
    "  MONGODB_URI  where MongoDB is\n"
    "  SHARDS       number of shards, fixed at the first start (16)\n"
    "  WORKERS      number of api processes, or auto (auto)\n"
    "  SCRIPTS_DIR  sql_or_mongo_scripts (" WRT_SCRIPTS_DIR ")\n"
    "  LOG_LEVEL    error, warn, info or debug (info)\n"
    "  PID_FILE     where to write the process number (none)\n"
    "  WORKER_USER  started as root: become this user first (stay root)\n"
    "  STORAGE      where files are: local, or s3 for MinIO and S3 (local)\n"
    "  STORAGE_PATH       local: their directory (./files)\n"
    "  MINIO_ENDPOINT     s3: host:port, http://... or https://...\n"
    "  MINIO_ACCESS_KEY, MINIO_SECRET_KEY\n"
    "                     s3: a key that may list, read, write and delete\n"
    "  MINIO_BUCKET       s3: made when it is not there (writeen)\n"
    "  MINIO_REGION       s3: (us-east-1)\n"
    "  S3_STYLE           s3: bucket in the path or in the host (path)\n"
    "  S3_SSE             s3: have files encrypted, on or off (on)\n"
    "  CDN_BASE_URL       prefix of links to public files (none)\n"
    "  CLAMAV       who scans files: libclamav, clamd:/path of its socket,\n"
    "               clamd:host:port, or off (libclamav)\n"
    "  CLAMAV_DB    libclamav: directory of signatures (/var/lib/clamav)\n"
    "  SPOOL        where nginx puts uploads, writeen_spool (no uploads)\n"
    "  FILES_WORKERS      processes for them (2)\n"
    "  UPLOAD_IDLE_S      seconds until a body nobody knows goes (3600)\n"
    "  BLOB_GRACE_S       the same for what no file refers to (3600)\n"
    "  THUMBNAILER  the program writeen-thumb (the one beside this)\n"
    "  SESSION_GAP_S      silence that ends a session, 0: none (1800)\n"
    "  UTC_OFFSET_MIN     minutes of local time ahead of UTC (420)\n"
    "  RETENTION_S  seconds between two looks for old messages (600)\n"
    "  AUTO_ARCHIVE_DAYS  idle conversations are archived then (30)\n"
    "  FCM_CREDENTIALS, FCM_ENDPOINT\n"
    "               push by FCM: file of a service account (none)\n"
    "  WEBHOOK_URL, WEBHOOK_SECRET, WEBHOOK_ALLOW_PRIVATE\n"
    "               push by another service (none)\n"
    "  PUSH_CONTENT       what was written may be in a push (off)\n"
    "  PUSH_GRACE_MS      time to see a message before (5000)\n"
    "  PUSH_REMINDER_M    minutes before a consultation, 0: never (15)\n"
    "  PUSH_CA_FILE       certificates of these services (the system's)\n"
    "\n"
    "See writeen-worker(8).\n";


static const char *
main_getenv(const char *name)
{
    return getenv(name);
}


int
main(int argc, char **argv)
{
    char         err[CONF_ERROR_SIZE];
    const char  *arg;

    /* lives until exit, with all that it points to */
    static conf_t  cf;

    if ((argc == 3 || argc == 4)
        && strcmp(argv[1], "--verify-transcript") == 0)
    {
        return transcript_verify_file(argv[2], argv[3], stdout);
    }

    arg = argc == 2 ? argv[1] : "";

    if (strcmp(arg, "--version") == 0) {
        printf("writeen-worker %s (functions %s)\n", WORKER_VERSION,
               WRT_LIBRARY_VERSION);
        return EXIT_SUCCESS;
    }

    if (strcmp(arg, "--help") == 0) {
        fputs(main_usage, stdout);
        return EXIT_SUCCESS;
    }

    if (argc > 1 && !life_command_is(argc, argv)
        && strcmp(arg, "--check") != 0
        && strcmp(arg, "--replay-dead") != 0
        && strcmp(arg, "--restored") != 0)
    {
        fputs(main_usage, stderr);
        return EXIT_CONFIG;
    }

    /* the rest is read, and judged, as that user */
    if (user_become(main_getenv("WORKER_USER"), err, sizeof(err)) != 0
        || conf_load(&cf, main_getenv, err, sizeof(err)) != 0)
    {
        log_error("settings", "%s", err);
        return EXIT_CONFIG;
    }

    log_setup(cf.log_level, "main");

    if (argc == 1) {
        if (geteuid() == 0) {
            log_warn("root", "the pool runs as root and needs no rights; "
                     "start it as a user of its own, or name one in "
                     "WORKER_USER");
        }

        return pool_run(&cf);
    }

    role_signals();

    if (life_command_is(argc, argv)) {
        return life_command(&cf, argc, argv);
    }

    if (strcmp(arg, "--restored") == 0) {
        return boot_restored(&cf);
    }

    return strcmp(arg, "--check") == 0 ? boot_check(&cf)
                                       : boot_replay_dead(&cf);
}
