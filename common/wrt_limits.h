/*
 * wrt_limits.h: every size, count and time limit that somebody else can
 * notice, with its unit.
 *
 * The one home of these numbers for the nginx module, the worker and the
 * tests.  In how many pieces and pauses a file does its own work stands there.
 * Where a directive or an environment variable may change a value, the number
 * here is its default.  Limits that the Redis Function library needs are
 * passed to it as arguments, never repeated in Lua, except those that open
 * writeen.lua (named there with the same words).
 */

#ifndef WRT_LIMITS_H
#define WRT_LIMITS_H

/* Identifiers: [A-Za-z0-9_-]{1,64}; ours are 24 hex digits. */
#define WRT_ID_MAX               64
#define WRT_OID_LEN              24
#define WRT_CLIENT_ID_MAX        64     /* envelope "id", echoed in the ack */
#define WRT_CLIENT_MSG_ID_MAX    128    /* clientMessageId, bytes of UTF-8 */
#define WRT_NAME_MAX             256    /* display name, bytes */
#define WRT_URL_MAX              2048   /* avatar, bytes */
#define WRT_TITLE_MAX            256    /* conversation title, bytes */

/* Tokens */
#define WRT_TOKEN_MAX            8192   /* bytes of a JWT before decoding */
#define WRT_TOKEN_WARN_S         60     /* token_expiring before exp */
#define WRT_TOKEN_LEEWAY_S       5      /* clocks may differ by so much */
#define WRT_TOKEN_SECRET_MIN     16     /* bytes of an HMAC key */
#define WRT_TOKEN_RSA_MIN        2048   /* bits of an RSA key */

/* A connection */
#define WRT_OPEN_MS              10000  /* until `connected`, whatever lacks */
#define WRT_DRAIN_MS             10000  /* hints to come back are spread so */
#define WRT_FLOODS_MAX           5000   /* refused, less let through: 4429 */

/* Messages on the socket */
#define WRT_MESSAGE_MAX          (64 * 1024)  /* one WebSocket message, bytes */
#define WRT_DEFLATE_MIN          256    /* shorter frames stay as they are */
#define WRT_TEXT_MAX             (16 * 1024)  /* content.text, bytes */
#define WRT_JSON_DEPTH_MAX       8      /* nesting of a client envelope */
#define WRT_BAD_EVENTS_MAX       10     /* bad events before close 4400 */
#define WRT_RESUME_ROOMS_MAX     5000   /* rooms named in one resume */
#define WRT_CONTROL_RATE         200    /* Pings, Pongs, empty fragments of one
                                           connection in one second */
#define WRT_COMMANDS_MAX         32     /* of one connection, unanswered */
#define WRT_SENDS_MAX            1024   /* its messages, likewise */
#define WRT_CHECKS_MAX           32     /* its joins of rooms not known as his,
                                           each perhaps a call of the pool */

/* REST */
#define WRT_BODY_MAX             (128 * 1024) /* JSON request body, bytes */
#define WRT_CHUNKED_MAX          (1024 * 1024) /* read of a chunked body */
#define WRT_REPLY_MAX            (8 * 1024 * 1024) /* RPC reply, bytes */
#define WRT_REPLY_CODE_MAX       31     /* error.code in it, bytes */
#define WRT_REPLY_FIELD_MAX      63
#define WRT_REPLY_MESSAGE_MAX    255
#define WRT_QUERY_MAX            2048   /* query string, bytes */
#define WRT_RPC_PENDING_MAX      4096   /* calls waiting, per nginx worker */
#define WRT_RPC_TIMEOUT_MS       5000
#define WRT_RPC_STREAM_MAX       20000  /* entries kept in wrt:rpc (MAXLEN ~) */
#define WRT_PAGE_CONVERSATIONS   20     /* default limit, seed */
#define WRT_PAGE_CONVERSATIONS_MAX 100
#define WRT_PAGE_MESSAGES        50
#define WRT_PAGE_MESSAGES_MAX    200
#define WRT_PARTICIPANTS_MAX     1000   /* participants in one room */

/* A room's settings and context */
#define WRT_FILE_MAX             (10 * 1024 * 1024) /* maxFileSize, bytes */
#define WRT_RETENTION_DAYS       365
#define WRT_RETENTION_DAYS_MAX   36500
#define WRT_TOPIC_MAX            256    /* context.topic and .course, bytes */
#define WRT_AGENDA_MAX           4096   /* context.agenda, bytes */
#define WRT_DOCUMENTS_MAX        100    /* context.documentIds */

/* Catching up */
#define WRT_LOG_KEEP             128    /* durable events kept per room */
#define WRT_LOG_MAX              2048   /* even while not applied */
#define WRT_REST_S               30     /* after so long without an event a
                                           conversation is awake no more */
#define WRT_LOG_IDLE_S           600    /* log kept from then on */
#define WRT_CONV_IDLE_S          3600   /* conversation kept from then on */
#define WRT_USER_IDLE_S          (30 * 86400) /* a user's list of rooms */
#define WRT_ONCE_S               86400  /* clientMessageId remembered */
#define WRT_RESUME_MAX           1000   /* replayed; more: resync_required */
#define WRT_FENCE_MAX            10000  /* a resume may raise seq so far */
#define WRT_RESTORED_GAP         1000000 /* numbers left out after a restore */
#define WRT_RESUME_WAIT_MS       5000   /* &resume=1: for its event */
#define WRT_USER_CONNECTIONS     1000   /* of a user, in a nginx worker */

/* What happens to a message */
#define WRT_VERSION_S            3600   /* its last change is kept in Redis */
#define WRT_EMOJI_MAX            64     /* bytes of a reaction; a kiss of two
                                           with skin tones has 35 */
#define WRT_REACTIONS_MAX        500    /* of one message */
#define WRT_EDITS_MAX            100    /* of one message */
#define WRT_PREVIEW_MAX          256    /* lastMessage, reply preview: bytes */

/* Searching */
#define WRT_SEARCH_MAX           256    /* bytes of q */
#define WRT_SEARCH_WORDS_MAX     16     /* words and phrases of q */
#define WRT_SEARCH_DEPTH_MAX     1000   /* results that paging reaches */
#define WRT_SEARCH_WORD_MAX      64     /* bytes of a folded word */
#define WRT_SEARCH_TEXT_WORDS    8192   /* words of a text that are found */
#define WRT_PAGE_SEARCH          20
#define WRT_PAGE_SEARCH_MAX      200    /* not below WRT_PAGE_MESSAGES_MAX,
                                           which ?search= goes by */

/* How long things live */
#define WRT_REASON_MAX           1024   /* of a hold, bytes */
#define WRT_AUDIT_ACTION_MAX     64     /* bytes */
#define WRT_AUDIT_SOURCE_MAX     256    /* from where, bytes */
#define WRT_RETENTION_S          600    /* between two looks at all rooms */
#define WRT_AUTO_ARCHIVE_DAYS    30     /* idle for so long */
#define WRT_EXPIRE_BATCH         100    /* messages that go in one event */
#define WRT_EXPIRE_ROOMS         8      /* events under way */
#define WRT_EXPIRE_LOOK          200    /* rooms looked at in one step */
#define WRT_PAGE_AUDIT           50
#define WRT_PAGE_AUDIT_MAX       200

/* Sessions and their transcripts */
#define WRT_SESSION_MESSAGES_MAX 20000  /* of one session */
#define WRT_SESSION_TOPICS       8      /* keyTopics */
#define WRT_SESSION_TOPIC_WORDS  3      /* words of a topic */
#define WRT_SESSION_TOPIC_MAX    128    /* one of them, bytes */
#define WRT_SESSION_PHRASES_MAX  100000 /* different ones that are counted */
#define WRT_SESSION_TEXT_MAX     (2 * 1024 * 1024) /* bytes looked at; if
                                           there are more, of each as many */
#define WRT_SESSION_ITEMS_MAX    100    /* action items; questions */
#define WRT_SESSION_ITEM_MAX     280    /* text of one, bytes */
#define WRT_SESSION_ANSWER_MAX   200    /* messages later that may answer */
#define WRT_SESSION_NOTES_MAX    4096   /* sessionNotes, bytes */
#define WRT_TRANSCRIPT_MAX       (256 * 1024 * 1024) /* file, bytes */
#define WRT_TRANSCRIPT_TOLD_MAX  (32 * 1024 * 1024) /* of which Markdown is
                                           made; JSON: WRT_REPLY_MAX */
#define WRT_TRANSCRIPT_DEPTH_MAX 16     /* nesting of its JSON */
#define WRT_TRANSCRIPT_PROBLEMS_MAX 20  /* told of by the verifier */

/* Presence and typing */
#define WRT_PRESENCE_S           (30 * 86400) /* last seen is kept */
#define WRT_PRESENCE_GRACE_MS    10000  /* before offline */
#define WRT_PRESENCE_SWEEP_MS    1000
#define WRT_PRESENCE_ROOM_MAX    256    /* links of a room on one nginx worker:
                                           no presence in larger ones */
#define WRT_TYPING_MS            6000   /* stops by itself */
#define WRT_TYPING_EVERY_MS      1000   /* told again at the earliest */
#define WRT_TYPING_ROOM_MAX      32     /* users of one room at a time */
#define WRT_DEVICE_MAX           32     /* platform, version: characters */

/* Back pressure */
#define WRT_BACKLOG_MAX          1000000 /* ingest entries per shard */
#define WRT_SEND_QUEUE           (256 * 1024) /* bytes queued per socket */
#define WRT_ROOM_HOLD_MAX        4096   /* live events held while a gap fills */
#define WRT_ROOM_RECENT_MAX      (256 * 1024) /* bytes of these, and of events
                                           kept for who catches up, per room
                                           and worker */

/* Rates (docs/directives.md, writeen_rate and writeen_rate_kind) */
#define WRT_RATE_CONN            60     /* events/s per connection */
#define WRT_RATE_BURST           120
#define WRT_RATE_USER            240    /* events/s per user */
/* Of these by kind; in proportion where the three above are other ones */
#define WRT_RATE_MESSAGE         30, 120, 120
#define WRT_RATE_CHANGE          20, 60, 80
#define WRT_RATE_TYPING          15, 40, 60
#define WRT_RATE_RECEIPT         30, 120, 120
#define WRT_RATE_PRESENCE        6, 40, 24
#define WRT_RATE_JOIN            30, 120, 120
#define WRT_RATE_OTHER           60, 120, 240
#define WRT_RATE_READ            50, 100, 240 /* REST: the first two per user */
#define WRT_RATE_ZONE            (8 * 1024 * 1024) /* 256 bytes a user */

/* Liveness */
#define WRT_PING_INTERVAL_MS     25000
#define WRT_CLOSE_WAIT_MS        2000   /* for the peer's Close */
#define WRT_CLOSE_SLOW_MS        30000  /* for a slow one to read up to ours */
#define WRT_CANARY_MS            1000   /* bus canary period */
#define WRT_CANARY_LATE_MS       5000   /* bus counts as silent */
#define WRT_HEARTBEAT_MS         1000   /* worker heartbeat period */
#define WRT_HEARTBEAT_TTL_MS     5000
#define WRT_LEASE_TTL_MS         5000   /* projector's hold on a shard */
#define WRT_LEASE_USER_MS        12000  /* a user's connection counts */
#define WRT_LEASE_RENEW_MS       5000

/* Redis */
#define WRT_SHARDS               16
#define WRT_SHARDS_MAX           1024
#define WRT_REDIS_SERVERS_MAX    16

/* Files that are sent to us */
#define WRT_FILE_NAME_MAX        255    /* bytes of UTF-8 */
#define WRT_DESCRIPTION_MAX      4096   /* bytes of UTF-8 */
#define WRT_FORM_TYPE_MAX        1024   /* Content-Type of an upload, bytes */
#define WRT_FORM_BOUNDARY_MAX    70     /* of the boundary in it (RFC 2046) */
#define WRT_FORM_PARTS_MAX       16     /* parts of a multipart body */
#define WRT_FORM_HEADER_MAX      8192   /* header of one part, bytes */
#define WRT_OFFICE_ENTRIES_MAX   10000  /* in a .docx, .pptx */
#define WRT_OFFICE_BYTES_MAX     (200 * 1024 * 1024) /* unpacked, as it says */
#define WRT_OFFICE_TYPES_MAX     (1024 * 1024) /* its list of types, unpacked */

#define WRT_UPLOAD_OVERHEAD      (64 * 1024) /* of a body over its file */
#define WRT_UPLOAD_TIME_MS       3600000 /* a body may take in all */
#define WRT_UPLOAD_WAIT_MS       10000  /* then it is answered with 202 */
#define WRT_UPLOAD_S             86400  /* how it went is kept in Redis */
#define WRT_UPLOADS_MAX          1000   /* coming to one spool and waiting */
#define WRT_UPLOADS_USER         100    /* under way, in each nginx worker */
#define WRT_SPOOL_IDLE_S         3600   /* then what nobody knows is removed */
#define WRT_BLOB_GRACE_S         3600   /* the same for a blob */
#define WRT_BLOB_USE_MS          600000 /* an upload's hold on a blob */
#define WRT_BLOB_COLLECT_MS      60000  /* the janitor's */
#define WRT_FILE_TAIL_MAX        8192   /* where its bytes are, bytes */
#define WRT_FILE_SAYS_MAX        8192   /* a header of its answer, bytes */
#define WRT_LINK_S               900    /* a signed link is good for */
#define WRT_PAGE_FILES           20
#define WRT_PAGE_FILES_MAX       100

/* Scanning; what exceeds one of the first three is never clean */
#define WRT_SCAN_BYTES_MAX       (256 * 1024 * 1024) /* all that is unpacked */
#define WRT_SCAN_FILES_MAX       10000  /* in one archive */
#define WRT_SCAN_DEPTH_MAX       16     /* archives in archives */
#define WRT_SCAN_MS              60000  /* for one file */
#define WRT_CLAMD_CONNECT_MS     3000
#define WRT_CLAMD_CHUNK          (64 * 1024)

/* Thumbnails */
#define WRT_THUMB_SMALL          150    /* longer side, pixels */
#define WRT_THUMB_MEDIUM         300
#define WRT_THUMB_LARGE          600
#define WRT_THUMB_MS             20000  /* wall clock, then it is killed */
#define WRT_THUMB_CPU_S          15
#define WRT_THUMB_MEMORY         (1024LL * 1024 * 1024) /* address space */
#define WRT_THUMB_OUT_MAX        (8 * 1024 * 1024) /* one thumbnail, bytes */
#define WRT_THUMB_PIXELS_MAX     (100 * 1000 * 1000) /* of the picture */

/* Storage of files in S3 */
#define WRT_S3_PART              (8 * 1024 * 1024) /* larger: multipart */
#define WRT_S3_CONNECT_MS        3000
#define WRT_S3_STALL_MS          20000  /* without a byte either way */
#define WRT_S3_DEADLINE_MS       60000  /* one request with all its tries */
#define WRT_S3_PING_MS           2000
#define WRT_S3_PAUSE_MS          100    /* after the first failure, doubled */
#define WRT_S3_PAUSE_MAX_MS      3000

/* Push: what goes to devices whose user is away */
#define WRT_PUSH_TOKEN_MAX       4096   /* of a device, bytes */
#define WRT_PUSH_DEVICES_MAX     20     /* of one user: the oldest goes */
#define WRT_PUSH_LOCALE_MAX      16
#define WRT_PUSH_ZONE_MAX        64     /* name of a time zone */
#define WRT_PUSH_URL_MAX         1024
#define WRT_PUSH_SECRET_MIN      16     /* of the webhook */
#define WRT_PUSH_SECRET_MAX      256
#define WRT_PUSH_FLIGHT_MAX      256    /* in hand at once, waiting ones too */
#define WRT_PUSH_TITLE_MAX       128    /* bytes of UTF-8 */
#define WRT_PUSH_BODY_MAX        512
#define WRT_PUSH_CONNECT_MS      5000
#define WRT_PUSH_TRY_MS          15000  /* one try */
#define WRT_PUSH_FRESH_MS        2000   /* until what shows something leaves,
                                           else it is looked at anew */
#define WRT_PUSH_DEADLINE_MS     60000  /* a withdrawal with all its tries */
#define WRT_PUSH_FAILS           16     /* in a row, of a service: it is left
                                           alone for a pause */
#define WRT_PUSH_PAUSE_MS        1000   /* after the first failure, doubled */
#define WRT_PUSH_PAUSE_MAX_MS    30000
#define WRT_PUSH_HOLD_MAX_MS     3600000 /* Retry-After is believed up to */
#define WRT_PUSH_ANSWER_MAX      (64 * 1024) /* bytes looked at */
#define WRT_PUSH_SHOWN_MS        (7 * 86400000LL) /* what is shown is withdrawn
                                           for so long */
#define WRT_PUSH_KEEP_S          (30 * 86400) /* that it was sent is known */
#define WRT_PUSH_AGAIN_MS        1000   /* what was not possible now */
#define WRT_PUSH_LOOK            50     /* messages looked at for a push */
#define WRT_PUSH_PAGE            200    /* users looked at together */
#define WRT_PUSH_LEASE_MS        5000   /* a notifier's hold on the work */
#define WRT_PUSH_LIFE_S          86400  /* a service may keep it so long */
/* Sessions in the store */
#define WRT_RATING_MAX           5      /* how satisfied; from 1 on */
#define WRT_RATING_TEXT_MAX      2000   /* a word about it, bytes of UTF-8 */
#define WRT_TRANSCRIPT_PART      (256 * 1024) /* one piece of it, bytes */
#define WRT_SESSION_GAP_S        1800   /* silence that ends a general one */
#define WRT_PAGE_SESSIONS        20
#define WRT_PAGE_SESSIONS_MAX    100
#define WRT_CONSULTS_MAX         200    /* follow-ups in one room that count */

/* Worker */
#define WRT_BATCH_MAX            1000   /* ingest entries in one transaction */
#define WRT_JOB_TRIES            5      /* before the dead-letter stream */

#endif
