/*
 * boot.c: what has to be there before the roles start: Redis with our
 * library, one number of shards for all, a store with the right schema.
 * Also the dead letters' way back (--replay-dead).
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/worker.h"

#define BOOT_DELAY_MIN   50
#define BOOT_DELAY_MAX   2000
#define BOOT_STORAGE_MS  3000   /* for somebody who waits for the answer */


/* Pause before the next attempt; -1: told to stop. */
static int
boot_pause(int *delay)
{
    *delay = *delay == 0 ? BOOT_DELAY_MIN
             : *delay * 2 > BOOT_DELAY_MAX ? BOOT_DELAY_MAX : *delay * 2;

    role_sleep(*delay);

    return role_stopping() ? -1 : 0;
}


static int
boot_server(const conf_t *cf, unsigned server, int wait)
{
    int          delay, status;
    char         err[CONF_ERROR_SIZE];
    rds_t       *c;
    server_rc_t  rc;

    c = rds_create(cf, server);
    delay = 0;
    status = EXIT_FAILURE;

    for ( ;; ) {
        if (rds_connect(c) == 0) {
            rc = server_prepare(c, cf, err, sizeof(err));

        } else {
            snprintf(err, sizeof(err), "%s", rds_error(c));
            rc = SERVER_AWAY;
        }

        if (rc == SERVER_OK) {
            if (delay) {
                log_info("redis_connected", "server=%s",
                         cf->redis_name[server]);
            }

            status = EXIT_SUCCESS;
            break;
        }

        if (rc == SERVER_REFUSED) {
            log_error("redis_refused", "server=%s: %s",
                      cf->redis_name[server], err);
            status = EXIT_CONFIG;
            break;
        }

        if (delay == 0) {
            log_error("redis_away", "server=%s error=\"%s\" retry=%s "
                      "(REDIS_URL says where it is)", cf->redis_name[server],
                      err, wait ? "yes" : "no");
        }

        if (!wait || boot_pause(&delay) != 0) {
            break;
        }
    }

    rds_free(c);

    return status;
}


/* Open the store once with leave to migrate it. */
static int
boot_store(const conf_t *cf, int wait)
{
    int       delay;
    char      err[512];
    store_t  *st;

    /* a server may come up later; a file is right or wrong now */
    if (strncmp(cf->store_url, "sqlite:", 7) == 0) {
        wait = 0;
    }

    delay = 0;

    while ((st = store_open(cf->store_url, cf->scripts_dir, 1, err,
                            sizeof(err))) == NULL)
    {
        if (delay == 0) {
            log_error("store_unusable", "error=\"%s\" retry=%s", err,
                      wait ? "yes" : "no");
        }

        if (!wait || boot_pause(&delay) != 0) {
            return EXIT_FAILURE;
        }
    }

    log_info("store_ready", "store=%s", store_name(st));
    store_close(st);

    return EXIT_SUCCESS;
}


/* Where files are kept: there, made or let in. */
static int
boot_storage(const conf_t *cf)
{
    char          err[CONF_ERROR_SIZE];
    blob_t       *b;
    blob_rc_t     rc;
    blob_conf_t   at;

    at = cf->storage;
    at.deadline_ms = BOOT_STORAGE_MS;

    b = blob_open(&at, err, sizeof(err));
    if (b == NULL) {
        log_error("storage", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    rc = blob_prepare(b);

    if (rc == BLOB_OK) {
        rc = blob_ping(b);
    }

    if (rc == BLOB_OK) {
        log_info("storage_ready", "storage=%s", blob_name(b));
    } else {
        log_error("storage", "error=\"%s\"", blob_error(b));
    }

    blob_close(b);

    return rc == BLOB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}


int
boot_check(const conf_t *cf)
{
    int  status;

    status = boot_run(cf, 0);

    return status == EXIT_SUCCESS && cf->spool[0] ? boot_storage(cf) : status;
}


int
boot_run(const conf_t *cf, int wait)
{
    int       status;
    unsigned  i;

    for (i = 0; i < cf->nredis; i++) {
        status = boot_server(cf, i, wait);

        if (status != EXIT_SUCCESS) {
            return status;
        }
    }

    return boot_store(cf, wait);
}
