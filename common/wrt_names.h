/*
 * wrt_names.h: the Redis contract between module and worker.
 *
 * Every key, channel, stream, field and function name that C uses stands here
 * and nowhere else; docs/redis.md tells what they hold, and of the fields that
 * writeen.lua alone knows.  Builders write into the caller's buffer of
 * WRT_NAME_BUF bytes, end it with NUL and return the length (0 and "" when an
 * id is longer than allowed).
 */

#ifndef WRT_NAMES_H
#define WRT_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/wrt_limits.h"

/* "wrt@15:{1023}:once:" + 2 ids + clientMessageId, NUL */
#define WRT_NAME_BUF  (32 + 2 * (WRT_ID_MAX + 1) + WRT_CLIENT_MSG_ID_MAX)

/* Functions of writeen.lua: by name and version, but for the one that tells the
 * version */
#define WRT_LIBRARY_VERSION  "7"
#define WRT_FN_VERSION   "wrt_version"
#define WRT_FN_SEND      "wrt_send_" WRT_LIBRARY_VERSION
#define WRT_FN_EMIT      "wrt_emit_" WRT_LIBRARY_VERSION
#define WRT_FN_CREATE    "wrt_create_" WRT_LIBRARY_VERSION
#define WRT_FN_LOAD      "wrt_load_" WRT_LIBRARY_VERSION
#define WRT_FN_APPLIED   "wrt_applied_" WRT_LIBRARY_VERSION
#define WRT_FN_REST      "wrt_rest_" WRT_LIBRARY_VERSION
#define WRT_FN_FENCE     "wrt_fence_" WRT_LIBRARY_VERSION
#define WRT_FN_CATCH     "wrt_catch_" WRT_LIBRARY_VERSION
#define WRT_FN_CURSOR    "wrt_cursor_" WRT_LIBRARY_VERSION
#define WRT_FN_TYPING    "wrt_typing_" WRT_LIBRARY_VERSION
#define WRT_FN_PROFILE   "wrt_profile_" WRT_LIBRARY_VERSION
#define WRT_FN_HERE      "wrt_here_" WRT_LIBRARY_VERSION
#define WRT_FN_GONE      "wrt_gone_" WRT_LIBRARY_VERSION
#define WRT_FN_LEFT      "wrt_left_" WRT_LIBRARY_VERSION
#define WRT_FN_STATUS    "wrt_status_" WRT_LIBRARY_VERSION
#define WRT_FN_RECORD    "wrt_record_" WRT_LIBRARY_VERSION
#define WRT_FN_BLOB      "wrt_blob_" WRT_LIBRARY_VERSION

/* What wrt_emit replaces in events, extra fields and values */
#define WRT_EMIT_SEQ     "\001"
#define WRT_EMIT_AT      "\002"

/* Fixed keys on the first server (the hub) */
#define WRT_KEY_CONFIG        "wrt:config"        /* hash, its fields below */
#define WRT_KEY_RPC           "wrt:rpc"           /* stream, group "api" */
#define WRT_KEY_CONSULT       "wrt:consultations" /* stream, group "api": what
                                                     the scheduling system
                                                     says */
#define WRT_KEY_CONSULT_DEAD  "wrt:consultations:dead"
#define WRT_KEY_CONSULT_LEASE "wrt:consultations:lease"
#define WRT_KEY_HB_API        "wrt:hb:api"        /* string, PX: ok|store */
#define WRT_KEY_HB_PROJECTOR  "wrt:hb:projector"  /* string, PX: ok|store */
#define WRT_KEY_METRICS       "wrt:metrics"       /* hash: node -> text */
#define WRT_KEY_ONLINE        "wrt:online"        /* zset: user, ms until when
                                                     he counts as there */
#define WRT_KEY_HIDDEN        "wrt:hidden"        /* the same of those who
                                                     chose to look offline */

#define WRT_KEY_SESSIONS_DUE  "wrt:sessions:due"  /* zset: room -> ms when its
                                                     silence ends a session */
#define WRT_KEY_SESSIONS_REDACT "wrt:sessions:redact" /* zset, all scores 0:
                                                     <room> <lo> <hi>, numbers
                                                     of messages that are gone
                                                     and may be quoted in
                                                     sessions */

/* Pushes (docs/push.md): item -> ms when it is to be looked at; items in hand;
 * the notifier that works */
#define WRT_KEY_PUSH_DUE      "wrt:push:due"      /* zset */
#define WRT_KEY_PUSH_HAND     "wrt:push:hand"     /* zset */
#define WRT_KEY_PUSH_LEASE    "wrt:push:lease"    /* string, PX: pool */
#define WRT_KEY_LIFE          "wrt:life"          /* string, PX: the pool that
                                                     ends what is due */

/* A fixed key on each server */
#define WRT_KEY_PROJECTORS    "wrt:projectors"    /* zset: projector, until */

#define WRT_GROUP_API        "api"
#define WRT_GROUP_FILES      "files"

/* Fields of wrt:config */
#define WRT_F_SHARDS  "shards"
#define WRT_F_SERVER  "server"  /* "2 of 3": its place among the servers */
#define WRT_F_LINKS   "links"   /* key of signed links, 64 hex digits */

/* Fields of a conversation hash */
#define WRT_F_SEQ      "seq"
#define WRT_F_APPLIED  "applied"
#define WRT_F_STATE    "state"
#define WRT_F_MEMBER   "m:"     /* + uid: <permissions>|<role>|<join seq> */
#define WRT_F_READ     "r:"     /* + uid: <seq> <time> */
#define WRT_F_DELIVERED "d:"
#define WRT_F_MOVED    "moved"  /* ingest entry of a cursor's last move */
#define WRT_F_CONSULT  "consult" /* consultation that messages belong to now */

#define WRT_STATE_ACTIVE    "active"
#define WRT_STATE_ARCHIVED  "archived"
#define WRT_STATE_REOPEN    "reopen"  /* archived until somebody writes */

/* Fields of a user's presence */
#define WRT_F_CHOSEN   "chosen"  /* away|busy|offline; absent: online */
#define WRT_F_SEEN     "seen"    /* last sign of life, ISO 8601 */
#define WRT_F_HID      "hid"     /* what the others see instead of it while
                                    he looks offline by choice */
#define WRT_F_DEVICE   "d:"      /* + session id: <nginx worker> <JSON>, see
                                    docs/redis.md */

/* In the hash of a user's rooms: set when the list is whole; the profile that a
 * service has set, if one has, {"name","avatar","role"} */
#define WRT_F_LOADED   "~"
#define WRT_F_PROFILE  "@"

/* Fields of an ingest entry, and of a log entry (p alone) */
#define WRT_F_CONV     "c"
#define WRT_F_PAYLOAD  "p"
#define WRT_F_EXTRA    "x"

/* More fields of a dead letter */
#define WRT_F_WHY      "why"
#define WRT_F_ENTRY    "id"   /* of the entry as it was in ingest */

/* Fields of an RPC entry */
#define WRT_F_RPC_ID        "i"   /* 24 hex digits, also a fresh id for POST */
#define WRT_F_RPC_REPLY     "r"   /* channel */
#define WRT_F_RPC_DEADLINE  "d"   /* ms since the epoch */
#define WRT_F_RPC_METHOD    "m"
#define WRT_F_RPC_PATH      "p"
#define WRT_F_RPC_QUERY     "q"
#define WRT_F_RPC_BODY      "b"
#define WRT_F_RPC_USER      "u"   /* {"sub","role","name","avatar"} */
#define WRT_F_RPC_ADDRESS   "a"   /* where it came from */

/* Fields of an entry of wrt:consultations */
#define WRT_F_CONSULT_ACTION  "action"
#define WRT_F_CONSULT_ID      "id"
#define WRT_F_CONSULT_DATA    "data"    /* body of the route that says it */
#define WRT_F_CONSULT_ENTRY   "entry"   /* of a dead one: its id */
#define WRT_F_CONSULT_BY      "by"      /* who says it; an id, or nothing */

/* Fields of an upload's entry besides i, r, d, u, x of an RPC entry */
#define WRT_F_UP_CONV       "c"   /* conversation */
#define WRT_F_UP_FILE       "p"   /* name of the body in the spool */
#define WRT_F_UP_TYPE       "t"   /* Content-Type of the request */

/* Fields of an upload: JSON as GET /api/uploads/:id answers it, and what the
 * files role keeps between two tries */
#define WRT_F_UP_OWNER      "owner"
#define WRT_F_UP_SHOWN      "shown"
#define WRT_F_UP_TRIES      "tries"
#define WRT_F_UP_ANSWER     "answer"  /* <status> <retry s|->\n<JSON> */
#define WRT_F_UP_SEQ        "seq"   /* of the message, once it is sent */

/* Who holds a blob (wrt_blob) */
#define WRT_BLOB_USE        "use"
#define WRT_BLOB_COLLECT    "collect"

/* Methods that are not HTTP's: nginx itself asks */
#define WRT_RPC_LOAD     "LOAD"     /* path: conversation id */
#define WRT_RPC_USER     "USER"     /* path: user id */
#define WRT_RPC_CHANGES  "CHANGES"  /* path: conversation id, query:
                                       <after> <origin> <bytes> */
#define WRT_RPC_MESSAGE  "MESSAGE"  /* path: conversation id/message id, body:
                                       its clientMessageId */
#define WRT_RPC_UPLOAD   "UPLOAD"   /* path: conversation id, query: bytes of
                                       the body, "-" when it does not say */
#define WRT_RPC_FILE     "FILE"     /* path: file id/original|small|medium|
                                       large, query: that of the request */

/* How one deployment names things.  Pub/sub ignores the database number, so
 * channels carry it when it is not 0. */
typedef struct {
    unsigned  shards;       /* 1..WRT_SHARDS_MAX */
    unsigned  db;           /* database number */
} wrt_names_t;

/* CRC16-CCITT (XMODEM), as Redis Cluster hashes keys. */
uint16_t wrt_crc16(const void *p, size_t n);

/* The shard of a conversation (or, for a profile, of a user). */
unsigned wrt_shard(const wrt_names_t *nm, const char *id, size_t n);

/* Keys of a conversation (k = its shard) */
size_t wrt_key_conv(char *out, unsigned k, const char *id, size_t n);
size_t wrt_key_log(char *out, unsigned k, const char *id, size_t n);
size_t wrt_key_once(char *out, unsigned k, const char *id, size_t n,
    const char *uid, size_t un, const char *cmid, size_t cn);
size_t wrt_key_version(char *out, unsigned k, const char *id, size_t n,
    const char *mid, size_t mn);
size_t wrt_key_profile(char *out, unsigned k, const char *uid, size_t n);

/* Keys of a shard */
size_t wrt_key_ingest(char *out, unsigned k);      /* stream */
size_t wrt_key_ingest_dead(char *out, unsigned k); /* dead letters */
size_t wrt_key_awake(char *out, unsigned k);       /* set: conversations */
size_t wrt_key_lease(char *out, unsigned k);       /* string: holder */

/* Keys of a user, on the hub */
size_t wrt_key_user_convs(char *out, const char *uid, size_t n);
size_t wrt_key_user_conns(char *out, const char *uid, size_t n); /* zset: live
                                          connection, ms until it counts */
size_t wrt_key_user_presence(char *out, const char *uid, size_t n); /* hash */

/* What his devices were sent, on the hub: hash, see docs/redis.md */
size_t wrt_key_user_pushed(char *out, const char *uid, size_t n);

/* Keys of files, on the hub.  A spool is the directory into which nginx writes
 * uploads, named by the file "id" in it: who shares it shares the stream. */
size_t wrt_key_files(char *out, const char *spool, size_t n);      /* stream */
size_t wrt_key_files_dead(char *out, const char *spool, size_t n);
size_t wrt_key_upload(char *out, const char *id, size_t n);        /* hash */
size_t wrt_key_blob(char *out, const char *hash, size_t n);        /* string */

/* Channels */
size_t wrt_chan_room(char *out, const wrt_names_t *nm, unsigned k,
    const char *id, size_t n);
size_t wrt_chan_user(char *out, const wrt_names_t *nm, const char *uid,
    size_t n);
size_t wrt_chan_reply(char *out, const wrt_names_t *nm, const char *worker,
    size_t n);
size_t wrt_chan_applied(char *out, const wrt_names_t *nm, unsigned k);
size_t wrt_chan_presence(char *out, const wrt_names_t *nm); /* on the hub */

/*
 * What a received channel name is: 'r' room, 'u' user, 'w' a worker's own
 * (reply), 'a' applied, 'p' presence, 0 not ours (another database's, a shard
 * we do not have, no valid id); *id, *n: the id in it, of 'a' the digits of
 * the shard (inside p), of 'p' nothing.
 */
int wrt_chan_parse(const wrt_names_t *nm, const char *p, size_t len,
    const char **id, size_t *n);

#endif
