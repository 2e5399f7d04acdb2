/*
 * files.h: between the files*.c files, the role that turns an upload into a
 * message.
 *
 *   files.c         the role: takes entries, gives them up, sweeps the spool
 *   files_job.c     one upload, step by step
 *   files_doc.c     the record of a file, the message, fileInfo
 *   files_redis.c   what is said to Redis: progress, records, the message
 *   files_found.c   a content found infected later
 *   files_scanner.c the role that has libclamav in it, and how to ask it
 *
 * Beside it: spool.c (the directory), collect.c (removes blobs that nothing
 * refers to).
 */

#ifndef FILES_H
#define FILES_H

#include "common/wrt_bus.h"
#include "common/wrt_id.h"
#include "worker/files/files_scanner.h"
#include "worker/files/spool.h"
#include "worker/files/thumb/thumb.h"
#include "worker/files/upload/upload_form.h"
#include "worker/files/upload/upload_type.h"
#include "worker/worker.h"

typedef struct {
    role_t        *role;
    const conf_t  *cf;
    link_t        *links;           /* one a server, the first is the hub */
    link_t         reader;          /* the hub, for the blocking read */
    unsigned       generation;      /* of the hub, when its group was made */
    cmd_t          cmd;
    char           consumer[16];
    char           stream[WRT_NAME_BUF];
    char           dead[WRT_NAME_BUF];
    char           cursor[EVENT_ENTRY_SIZE];    /* of the claims */
    int64_t        claim_at;        /* mono: when they are due */
    int64_t        sweep_at;

    int            spool;           /* directory */
    int            spool_bad;       /* the new one is not, which was logged */
    char           id[WRT_OID_LEN + 1];         /* its name */
    type_magic_t  *magic;
    blob_t        *blob;
    int            prepared;        /* the storage is there */
    int            storage_down;    /* it is away, and that has been logged */
    int64_t        prepare_at;      /* mono: next attempt */
    scan_t        *scan;            /* when we ask by ourselves, or NULL */
    int            scan_down;       /* it has been logged */
    int64_t        scanner_at;      /* mono: when to look whether it is there */
    int64_t        look_at;         /* mono: when to scan old files again */
    char           engine[SCAN_ABOUT_SIZE];
    char           deadly[BLOB_HASH_LEN + 1];   /* what the scanner died of */
    int            deaths;
    int            idle;            /* no new upload the last time */
    char           owed[WRT_ID_MAX + 1];    /* upload whose try is to be taken
                                               back */
    collect_t     *collect;         /* of the first process, else NULL */
    reply_t       *entries;         /* the whole stream, for a sweep */
} files_t;

typedef enum {
    JOB_DONE = 0,                   /* the entry may go */
    JOB_AGAIN                       /* it stays pending: later, or another */
} job_rc_t;

/* One upload in hand. */
typedef struct {
    char           entry[EVENT_ENTRY_SIZE];
    char           id[WRT_ID_MAX + 1];
    char           conversation[WRT_ID_MAX + 1];
    char           name[WRT_ID_MAX + 1];    /* of the body in the spool */
    const char    *channel;         /* where the answer goes */
    const char    *type;            /* Content-Type of the request */
    const char    *extra;           /* metadata of the message */
    size_t         extra_len;
    json_t        *identity;
    const char    *user;
    int            lock;            /* the body, -1 */

    char           message[WRT_ID_MAX + 1];     /* id that it has or gets */
    char           file[WRT_ID_MAX + 1];        /* its file's: that of an
                                       earlier upload when it was sent before */
    int64_t        seq;             /* of the message; 0: not sent yet */
    int64_t        tries;
    json_t        *settings;        /* of the room */
    json_t        *shown;           /* as GET /api/uploads/:id has it */

    form_t         form;
    upload_type_t  kind;
    thumb_t        thumb;
    scan_answer_t  scan;
    blob_stat_t    stored;
    int            again;           /* somebody began with it before */
    int            recorded;        /* we have put a record */
    int            died;            /* it ended the scanner */
    char           at[WRT_TIME_LEN + 1];        /* when it was received */
} job_t;


/* files.c */

/* Is another directory in the place of the spool?  1: it is open now. */
int files_spool(files_t *f);
/* Ask the scanner, whichever it is. */
void files_scan(files_t *f, int fd, scan_answer_t *out);
/* The entry of an upload is dealt with.  0, -1. */
int files_done(files_t *f, const job_t *j);
/* Its id, room and spooled body go to the dead letters.  0, -1. */
int files_dead(files_t *f, const job_t *j, const char *why);


/* files_found.c */

/* What was clean and is infected is taken out of circulation, all files of
 * that content.  0, or -1: not now; what was done stays done. */
int files_infected(files_t *f, const char *hash, const scan_answer_t *scan);
/* When it is due: scan one file again that another engine called clean. */
void files_look_again(files_t *f);


/* files_job.c */

/* fields: of the stream's entry. */
job_rc_t files_job(files_t *f, const char *entry, const reply_t *fields);


/* files_doc.c */

/* The record of rev, as it stands; scan: pending, scanning, clean, infected,
 * error. */
json_t *files_record(files_t *f, const job_t *j, int rev, const char *scan);
/* The key of a thumbnail in storage; its length. */
size_t files_thumb_key(const job_t *j, int size, char out[BLOB_KEY_SIZE]);
/* content of its message */
json_t *files_content(const job_t *j);
/* "file" or "image" */
const char *files_type(const job_t *j);


/* files_redis.c; all return 0, or -1: not now */

rds_t *files_hub(files_t *f);

/* What is known of the upload from earlier tries; answer: what it ended with,
 * empty when it has not. */
int files_known(files_t *f, job_t *j, buf_t *answer);
/* Count a try, or (by -1) take it back: it did not end by itself. */
int files_try(files_t *f, const char *id, int by);
/* How far it has got, in whatever try. */
int files_progress(const job_t *j);
/* A stage is reached: kept for GET /api/uploads/:id, told to the uploader. */
int files_stage(files_t *f, job_t *j, const char *stage, int progress);
/* It has ended: keep the answer and give it.  code NULL: well, with data (taken
 * over). */
int files_end(files_t *f, job_t *j, int status, const char *code,
    const char *field, const char *message, json_t *data);
/* Give the answer that was kept.  Before, if that is not "sent": whatever
 * record there may be is given up. */
int files_answer(files_t *f, const job_t *j, const buf_t *answer);
/* Queue the record (taken over) for the store. */
int files_put(files_t *f, const char *conversation, const char *actor,
    json_t *record);
/* Hold a blob for putting it.  1: it is held, 0: somebody collects it. */
int files_hold(files_t *f, const char *hash);

typedef enum {
    SEND_OK = 0,
    SEND_AGAIN,
    SEND_DENIED,
    SEND_FORBIDDEN,
    SEND_ARCHIVED
} send_rc_t;

/* The message that was sent with this upload's clientMessageId, or by this
 * upload: 1 and id and seq, 0 none, -1. */
int files_sent(files_t *f, const job_t *j, char id[WRT_ID_MAX + 1],
    int64_t *seq);
send_rc_t files_send(files_t *f, job_t *j);
/* The message is something else now, and nobody changed it since it had the
 * number expect. */
int files_changed(files_t *f, const char *conversation, const char *id,
    const json_t *message, int64_t expect);
/* The last number of the conversation. */
int files_last(files_t *f, const job_t *j, int64_t *seq);
/* Has the store the conversation up to seq?  1, 0, -1. */
int files_applied(files_t *f, const job_t *j, int64_t seq);

#endif
