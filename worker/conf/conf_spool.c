/*
 * conf_spool.c: settings of uploads on their way (see conf.h).
 */

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/conf/conf_internal.h"
#include "worker/worker.h"

#define CONF_FILES_DEFAULT   2
#define CONF_SECONDS_MAX     (30 * 86400)


/* writeen_spool of the nginx beside us, which makes it, too.  Not set: no
 * uploads here. */
int
conf_spool(conf_ctx_t *x, const char *name, const char *value)
{
    char          path[PATH_MAX], *out, *slash;
    size_t        n;
    struct stat   st;

    if (value == NULL) {
        return 0;
    }

    out = x->cf->spool;

    if (conf_absolute(x, name, value, out, sizeof(x->cf->spool)) != 0) {
        return -1;
    }

    if (stat(out, &st) == 0) {

        if (!S_ISDIR(st.st_mode) || access(out, R_OK | W_OK | X_OK) != 0) {
            return conf_error(x, "%s: \"%.600s\" is not a directory that "
                              "this user may write to; name that of nginx's "
                              "writeen_spool, and give both users its group",
                              name, out);
        }

        return 0;
    }

    text_copy(path, sizeof(path), out);

    for (n = strlen(path); n > 1 && path[n - 1] == '/'; n--) {
        path[n - 1] = '\0';
    }

    slash = strrchr(path, '/');
    slash[slash == path] = '\0';

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return conf_error(x, "%s: there is no directory \"%.600s\" to make "
                          "it in; name that of nginx's writeen_spool, or "
                          "create that one", name, path);
    }

    return 0;
}


int
conf_files_workers(conf_ctx_t *x, const char *name, const char *value)
{
    long  n;

    n = value ? conf_number(value, 1, CONF_WORKERS_MAX) : CONF_FILES_DEFAULT;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number from 1 "
                          "to %d; unset it for %d", name, value,
                          CONF_WORKERS_MAX, CONF_FILES_DEFAULT);
    }

    x->cf->files_workers = (unsigned) n;

    return 0;
}


static int
conf_seconds(conf_ctx_t *x, const char *name, const char *value, long def,
    unsigned *out)
{
    long  n;

    n = value ? conf_number(value, 1, CONF_SECONDS_MAX) : def;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number of "
                          "seconds from 1 to %d; unset it for %ld", name,
                          value, CONF_SECONDS_MAX, def);
    }

    *out = (unsigned) n;

    return 0;
}


int
conf_upload_idle(conf_ctx_t *x, const char *name, const char *value)
{
    return conf_seconds(x, name, value, WRT_SPOOL_IDLE_S,
                        &x->cf->spool_idle_s);
}


int
conf_blob_grace(conf_ctx_t *x, const char *name, const char *value)
{
    return conf_seconds(x, name, value, WRT_BLOB_GRACE_S,
                        &x->cf->blob_grace_s);
}


int
conf_retention(conf_ctx_t *x, const char *name, const char *value)
{
    return conf_seconds(x, name, value, WRT_RETENTION_S,
                        &x->cf->retention_s);
}


int
conf_archive_days(conf_ctx_t *x, const char *name, const char *value)
{
    long  n;

    n = value ? conf_number(value, 1, WRT_RETENTION_DAYS_MAX)
              : WRT_AUTO_ARCHIVE_DAYS;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number of "
                          "days from 1 to %d; unset it for %d", name, value,
                          WRT_RETENTION_DAYS_MAX, WRT_AUTO_ARCHIVE_DAYS);
    }

    x->cf->archive_days = (unsigned) n;

    return 0;
}
