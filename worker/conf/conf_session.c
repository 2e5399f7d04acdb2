/*
 * conf_session.c: settings of sessions (see conf.h).
 */

#include "worker/conf/conf_internal.h"

#define CONF_OFFSET_DEFAULT  420            /* Jakarta */
#define CONF_OFFSET_MAX      (14 * 60)
#define CONF_GAP_MAX         (7 * 86400)


/* Whose days "tomorrow" is counted in, in summaries. */
int
conf_utc_offset(conf_ctx_t *x, const char *name, const char *value)
{
    int   west;
    long  n;

    west = value && value[0] == '-';
    n = value ? conf_number(value + west, 0, CONF_OFFSET_MAX)
              : CONF_OFFSET_DEFAULT;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number of "
                          "minutes from -%d to %d; unset it for %d", name,
                          value, CONF_OFFSET_MAX, CONF_OFFSET_MAX,
                          CONF_OFFSET_DEFAULT);
    }

    x->cf->utc_offset = west ? (int) -n : (int) n;

    return 0;
}


/* 0: no sessions but those of consultations. */
int
conf_session_gap(conf_ctx_t *x, const char *name, const char *value)
{
    long  n;

    n = value ? conf_number(value, 0, CONF_GAP_MAX) : WRT_SESSION_GAP_S;

    if (n < 0) {
        return conf_error(x, "%s is \"%.32s\": must be a whole number of "
                          "seconds from 0 (off) to %d; unset it for %d", name,
                          value, CONF_GAP_MAX, WRT_SESSION_GAP_S);
    }

    x->cf->session_gap_s = (unsigned) n;

    return 0;
}
