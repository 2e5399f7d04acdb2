/*
 * conf_internal.h: what the conf*.c files share and nobody else sees.
 */

#ifndef CONF_INTERNAL_H
#define CONF_INTERNAL_H

#include "worker/conf/conf.h"

/* One reading of the environment. */
typedef struct {
    conf_t       *cf;
    conf_get_pt   get;
    char         *err;
    size_t        size;
} conf_ctx_t;

/* Note the text, return -1. */
int conf_error(conf_ctx_t *x, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A variable's value, NULL when it is not set or empty. */
const char *conf_value(conf_ctx_t *x, const char *name);

/* A path made absolute: in out, or -1 and the error. */
int conf_absolute(conf_ctx_t *x, const char *name, const char *path,
    char *out, size_t size);

/* conf_files.c: STORAGE and what belongs to it; CDN_BASE_URL. */
int conf_storage(conf_ctx_t *x, const char *name, const char *value);
int conf_cdn(conf_ctx_t *x, const char *name, const char *value);

/* A whole number, or -1. */
long conf_number(const char *s, long min, long max);

/* One of two words; the first is the default.  0, 1, or -1. */
int conf_either(conf_ctx_t *x, const char *name, const char *zero,
    const char *one);

/* conf_push.c: services that reach devices, and what they may say. */
int conf_fcm(conf_ctx_t *x, const char *name, const char *value);
int conf_webhook(conf_ctx_t *x, const char *name, const char *value);
int conf_push_ca(conf_ctx_t *x, const char *name, const char *value);
int conf_push_content(conf_ctx_t *x, const char *name, const char *value);
int conf_push_grace(conf_ctx_t *x, const char *name, const char *value);
int conf_push_reminder(conf_ctx_t *x, const char *name, const char *value);

/* conf_spool.c: uploads on their way. */
int conf_spool(conf_ctx_t *x, const char *name, const char *value);
int conf_files_workers(conf_ctx_t *x, const char *name, const char *value);
int conf_upload_idle(conf_ctx_t *x, const char *name, const char *value);
int conf_blob_grace(conf_ctx_t *x, const char *name, const char *value);
int conf_retention(conf_ctx_t *x, const char *name, const char *value);
int conf_archive_days(conf_ctx_t *x, const char *name, const char *value);

/* conf_session.c */
int conf_utc_offset(conf_ctx_t *x, const char *name, const char *value);
int conf_session_gap(conf_ctx_t *x, const char *name, const char *value);

/* conf_scan.c: CLAMAV and what belongs to it; THUMBNAILER. */
int conf_clamav(conf_ctx_t *x, const char *name, const char *value);
int conf_thumbnailer(conf_ctx_t *x, const char *name, const char *value);

#endif
