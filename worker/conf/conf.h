/*
 * conf.h: the worker's settings, read once from the environment.
 *
 * Everything is checked when it is read: what is wrong is told with the name
 * of the variable, what is allowed, and the cure.  Nothing here changes after
 * the start, so that parent and children may share it by fork.
 */

#ifndef CONF_H
#define CONF_H

#include <limits.h>
#include <stddef.h>

#include "common/wrt_limits.h"
#include "common/wrt_names.h"
#include "common/wrt_url.h"
#include "worker/files/blob/blob.h"
#include "worker/files/scan/scan.h"
#include "worker/push/push.h"

#define CONF_WORKERS_MAX   64
#define CONF_ERROR_SIZE    1024

/* A server's name for logs: its address without user and password. */
#define CONF_SERVER_NAME   (WRT_URL_HOST_MAX + 16)

typedef struct {
    wrt_redis_url_t  redis[WRT_REDIS_SERVERS_MAX];
    char             redis_name[WRT_REDIS_SERVERS_MAX][CONF_SERVER_NAME];
    unsigned         nredis;        /* 1..WRT_REDIS_SERVERS_MAX */

    wrt_names_t      names;         /* shards and database */

    char             store_url[PATH_MAX + 16];  /* may hold a password */
    char             scripts_dir[PATH_MAX];
    char             pid_file[PATH_MAX];        /* "": none */

    blob_conf_t      storage;       /* where files are; has a secret */
    char             cdn_url[WRT_URL_MAX];      /* no slash at the end; "":
                                                   none */
    scan_conf_t      scan;          /* its tmp is filled by the scanner */
    char             thumbnailer[PATH_MAX];     /* program of thumb.h */

    char             spool[PATH_MAX];           /* "": no uploads here */
    unsigned         spool_idle_s;  /* before what nobody knows is removed */
    unsigned         blob_grace_s;  /* the same for a blob */
    unsigned         files_workers; /* processes for uploads */

    push_conf_t      push;          /* has secrets */
    int              push_content;  /* what was written may be in it */
    unsigned         push_grace_ms; /* time to see it on a screen */
    unsigned         push_reminder_m;   /* before a consultation; 0: none */
    int              utc_offset;    /* minutes east of Greenwich */
    unsigned         session_gap_s; /* silence that ends a general session; 0:
                                       there are none */

    unsigned         retention_s;   /* between two looks at what is due */
    unsigned         archive_days;  /* autoArchive: idle for so long */

    unsigned         workers;       /* api processes */
    int              log_level;     /* LOG_LEVEL_* of worker.h */
} conf_t;

/* getenv(), or a test's stand-in */
typedef const char *(*conf_get_pt)(const char *name);

/* Returns 0, or -1 and a text in err. */
int conf_load(conf_t *cf, conf_get_pt get, char *err, size_t size);

/* The server on which a shard lives. */
unsigned conf_server(const conf_t *cf, unsigned shard);

#endif
