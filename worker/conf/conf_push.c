/*
 * conf_push.c: settings of pushes to devices (see conf.h).
 *
 * Without FCM_CREDENTIALS and WEBHOOK_URL there are none, and what belongs to
 * them is not looked at.
 */

#include <string.h>
#include <unistd.h>

#include "worker/conf/conf_internal.h"
#include "worker/worker.h"

#define CONF_FCM_DEFAULT       "https://fcm.googleapis.com"
#define CONF_GRACE_DEFAULT     5000
#define CONF_GRACE_MAX         600000
#define CONF_REMINDER_DEFAULT  15
#define CONF_REMINDER_MAX      1440


/* http(s)://host..., without user and fragment; slashes at the end go. */
static int
conf_push_url(conf_ctx_t *x, const char *name, const char *value, char *out,
    size_t size)
{
    size_t       n;
    const char  *p;

    n = strncmp(value, "https://", 8) == 0 ? 8
        : strncmp(value, "http://", 7) == 0 ? 7 : 0;

    for (p = value; *p > ' ' && *p < 0x7F && !strchr("\"<>#@\\", *p); p++) {
        /* void */
    }

    if (n == 0 || *p || value[n] == '/' || value[n] == '\0'
        || strlen(value) >= size)
    {
        return conf_error(x, "%s must be https://host[:port][/path] (or "
                          "http), without user and fragment, and have at "
                          "most %zu bytes", name, size - 1);
    }

    text_copy(out, size, value);

    for (n = strlen(out); out[n - 1] == '/'; n--) {
        out[n - 1] = '\0';
    }

    return 0;
}


int
conf_fcm(conf_ctx_t *x, const char *name, const char *value)
{
    char         path[PATH_MAX], err[PUSH_ERROR_SIZE];
    const char  *url;

    if (value == NULL) {
        return 0;
    }

    if (conf_absolute(x, name, value, path, sizeof(path)) != 0) {
        return -1;
    }

    if (push_account_read(&x->cf->push.account, path, err, sizeof(err)) != 0)
    {
        return conf_error(x, "%s: %s", name, err);
    }

    url = conf_value(x, "FCM_ENDPOINT");

    return conf_push_url(x, "FCM_ENDPOINT", url ? url : CONF_FCM_DEFAULT,
                         x->cf->push.fcm_url, sizeof(x->cf->push.fcm_url));
}


int
conf_webhook(conf_ctx_t *x, const char *name, const char *value)
{
    int           private;
    const char   *secret, *p;
    push_conf_t  *cf;

    if (value == NULL) {
        return 0;
    }

    cf = &x->cf->push;
    secret = conf_value(x, "WEBHOOK_SECRET");

    if (secret == NULL) {
        return conf_error(x, "%s is set, but WEBHOOK_SECRET is not; set it "
                          "to what the receiver checks signatures with",
                          name);
    }

    for (p = secret; *p > ' ' && *p < 0x7F; p++) {
        /* void */
    }

    if (*p || strlen(secret) < WRT_PUSH_SECRET_MIN
        || strlen(secret) > WRT_PUSH_SECRET_MAX)
    {
        return conf_error(x, "WEBHOOK_SECRET must have %d to %d characters "
                          "of ASCII and no blanks", WRT_PUSH_SECRET_MIN,
                          WRT_PUSH_SECRET_MAX);
    }

    private = conf_either(x, "WEBHOOK_ALLOW_PRIVATE", "off", "on");

    if (private < 0) {
        return -1;
    }

    cf->hook_private = private;
    text_copy(cf->hook_secret, sizeof(cf->hook_secret), secret);

    return conf_push_url(x, name, value, cf->hook_url, sizeof(cf->hook_url));
}


/* Instead of the system's: of a private service. */
int
conf_push_ca(conf_ctx_t *x, const char *name, const char *value)
{
    char  *out, err[PUSH_ERROR_SIZE];

    if (value == NULL) {
        return 0;
    }

    out = x->cf->push.ca_file;

    if (conf_absolute(x, name, value, out, sizeof(x->cf->push.ca_file)) != 0)
    {
        return -1;
    }

    if (push_ca_check(out, err, sizeof(err)) != 0) {
        return conf_error(x, "%s: \"%.600s\" %s; name a file of "
                          "certificates in PEM form, or unset it for those "
                          "of the system", name, out, err);
    }

    return 0;
}


int
conf_push_content(conf_ctx_t *x, const char *name, const char *value)
{
    (void) value;

    x->cf->push_content = conf_either(x, name, "off", "on");

    return x->cf->push_content < 0 ? -1 : 0;
}


static int
conf_push_number(conf_ctx_t *x, const char *name, const char *value,
    const char *unit, long max, long def, unsigned *out)
{
    long  n;

    n = value ? conf_number(value, 0, max) : def;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number of %s "
                          "from 0 to %ld; unset it for %ld", name, value,
                          unit, max, def);
    }

    *out = (unsigned) n;

    return 0;
}


int
conf_push_grace(conf_ctx_t *x, const char *name, const char *value)
{
    return conf_push_number(x, name, value, "milliseconds", CONF_GRACE_MAX,
                            CONF_GRACE_DEFAULT, &x->cf->push_grace_ms);
}


int
conf_push_reminder(conf_ctx_t *x, const char *name, const char *value)
{
    return conf_push_number(x, name, value, "minutes", CONF_REMINDER_MAX,
                            CONF_REMINDER_DEFAULT, &x->cf->push_reminder_m);
}
