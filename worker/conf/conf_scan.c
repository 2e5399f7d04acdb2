/*
 * conf_scan.c: settings of scanning and thumbnails (see conf.h).
 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/conf/conf_internal.h"
#include "worker/worker.h"

#define CONF_CLAMAV_DB    "/var/lib/clamav"
#define CONF_THUMBNAILER  "writeen-thumb"


/* The directory of signatures.  Debian's own may be missing, or be empty. */
static int
conf_clamav_db(conf_ctx_t *x)
{
    char         *out;
    struct stat   st;
    const char   *value;

    out = x->cf->scan.db;
    value = conf_value(x, "CLAMAV_DB");

    if (value == NULL) {
        text_copy(out, sizeof(x->cf->scan.db), CONF_CLAMAV_DB);
        return 0;
    }

    if (conf_absolute(x, "CLAMAV_DB", value, out, sizeof(x->cf->scan.db))
        != 0)
    {
        return -1;
    }

    if (stat(out, &st) != 0 || !S_ISDIR(st.st_mode)
        || access(out, R_OK | X_OK) != 0)
    {
        return conf_error(x, "CLAMAV_DB: \"%.600s\" is not a directory that "
                          "this user may read; name the one that freshclam "
                          "fills, or unset it for " CONF_CLAMAV_DB, out);
    }

    return 0;
}


/* host:port or [address]:port */
static int
conf_clamd_host(scan_conf_t *sc, const char *value)
{
    long         port;
    char        *end;
    size_t       n;
    const char  *colon;

    colon = strrchr(value, ':');

    if (colon == NULL || colon[1] < '0' || colon[1] > '9') {
        return -1;
    }

    port = strtol(colon + 1, &end, 10);

    if (*end != '\0' || port < 1 || port > 65535) {
        return -1;
    }

    n = (size_t) (colon - value);

    if (n > 2 && value[0] == '[' && value[n - 1] == ']') {
        value++;
        n -= 2;

    } else if (memchr(value, ':', n)) {
        return -1;
    }

    if (n == 0 || n >= sizeof(sc->host) || strcspn(value, "/[] ") < n) {
        return -1;
    }

    memcpy(sc->host, value, n);
    sc->host[n] = '\0';
    sc->port = (unsigned) port;

    return 0;
}


int
conf_clamav(conf_ctx_t *x, const char *name, const char *value)
{
    scan_conf_t  *sc;

    sc = &x->cf->scan;

    if (value == NULL || strcmp(value, "libclamav") == 0) {
        sc->kind = SCAN_LIBCLAMAV;
        return conf_clamav_db(x);
    }

    if (strcmp(value, "off") == 0) {
        sc->kind = SCAN_NOTHING;
        return 0;
    }

    if (strncmp(value, "clamd:/", 7) == 0
        && strlen(value + 6) < sizeof(sc->path))
    {
        sc->kind = SCAN_CLAMD;
        text_copy(sc->path, sizeof(sc->path), value + 6);
        return 0;
    }

    if (strncmp(value, "clamd:", 6) == 0
        && conf_clamd_host(sc, value + 6) == 0)
    {
        sc->kind = SCAN_CLAMD;
        return 0;
    }

    return conf_error(x, "%s is \"%.150s\": must be libclamav, clamd:/path "
                      "(its socket, at most %d bytes), clamd:host:port, or "
                      "off; unset it for libclamav", name, value,
                      SCAN_SOCKET_SIZE - 1);
}


/* Beside this program unless it is told.  Without it uploads of pictures
 * would wait for ever; who takes no uploads needs none. */
int
conf_thumbnailer(conf_ctx_t *x, const char *name, const char *value)
{
    char         *out, *slash;
    size_t        size;
    ssize_t       n;
    struct stat   st;

    out = x->cf->thumbnailer;
    size = sizeof(x->cf->thumbnailer);

    if (value) {
        if (conf_absolute(x, name, value, out, size) != 0) {
            return -1;
        }

    } else {
        n = readlink("/proc/self/exe", out, size - sizeof(CONF_THUMBNAILER));
        out[n > 0 ? n : 0] = '\0';
        slash = strrchr(out, '/');
        slash = slash ? slash + 1 : out;
        memcpy(slash, CONF_THUMBNAILER, sizeof(CONF_THUMBNAILER));

        if (conf_value(x, "SPOOL") == NULL) {
            return 0;
        }
    }

    if (stat(out, &st) != 0 || !S_ISREG(st.st_mode) || access(out, X_OK) != 0)
    {
        return conf_error(x, "%s: \"%.600s\" is not a program that this user "
                          "may run; name the writeen-thumb of this version",
                          name, out);
    }

    return 0;
}
