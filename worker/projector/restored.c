/*
 * restored.c: a backup of the store was put back (--restored).
 *
 * Clients may know events that the backup does not have.  Were their numbers
 * given again, a client that resumes with its own would take what is new for
 * what it has.  So a fence stands at the end of each room: numbers go on far
 * above all that anybody can have seen, and who resumes gets what comes then.
 *
 * It goes into the store, past Redis, and nothing may be there yet: a room that
 * is loaded already goes on from its own number, and the store would pass over
 * what comes below the fence.
 */

#include <stdio.h>
#include <stdlib.h>

#include "worker/worker.h"

#define RESTORED_PAGE  500


/* Is there such a stream, be it empty?  1, 0, -1: Redis failed. */
static int
restored_stream(rds_t *c, const char *key)
{
    int       is;
    reply_t  *r;

    /* a question that its rights allow (docker/redis/users.acl) */
    r = rds_call(c, "XINFO", "CONSUMERS", key, WRT_GROUP_API);

    is = !reply_error(r, "ERR no such key");

    if (is && reply_is_error(r) && !reply_error(r, "NOGROUP")) {
        rds_fail(c, reply_text(r));
    }

    reply_free(r);

    return rds_alive(c) ? is : -1;
}


/* Has a pool worked with this server?  On the hub it makes its stream of calls
 * before it loads a room; elsewhere there is what was written.  1, 0, -1: Redis
 * failed. */
static int
restored_used(rds_t *c, const conf_t *cf, unsigned server)
{
    int       used;
    char      key[WRT_NAME_BUF];
    unsigned  k;

    used = server == 0 ? restored_stream(c, WRT_KEY_RPC) : 0;

    for (k = 0; k < cf->names.shards && used == 0; k++) {
        if (conf_server(cf, k) == server) {
            wrt_key_ingest(key, k);
            used = restored_stream(c, key);
        }
    }

    return used;
}


static int
restored_servers(const conf_t *cf)
{
    int       used;
    rds_t    *c;
    unsigned  i;

    for (i = 0; i < cf->nredis; i++) {
        c = rds_create(cf, i);
        used = rds_connect(c) == 0 ? restored_used(c, cf, i) : -1;

        if (used < 0) {
            log_error("restored", "server=%s error=\"%s\"",
                      cf->redis_name[i], rds_error(c));

        } else if (used) {
            log_error("restored", "server=%s was used by a pool since it was "
                      "emptied: stop all pools, empty Redis, and repeat",
                      cf->redis_name[i]);
        }

        rds_free(c);

        if (used) {
            return -1;
        }
    }

    return 0;
}


/* A fence for each of them; after: the last one. */
static int
restored_page(store_t *st, const json_t *rooms, char *after, size_t size)
{
    size_t      i, n, bad;
    event_t    *ev;
    store_rc_t  rc;

    n = json_array_size(rooms);
    ev = calloc(n, sizeof(event_t));

    if (ev == NULL) {
        log_error("no_memory", "rooms=%zu", n);
        return -1;
    }

    for (i = 0; i < n; i++) {
        ev[i].kind = WRT_EV_FENCE;
        ev[i].entry_id = "";
        ev[i].actor = "";
        ev[i].target = "";
        ev[i].conversation = json_string_value(json_object_get(
                                 json_array_get(rooms, i), "conversationId"));
        ev[i].seq = json_integer_value(json_object_get(
                        json_array_get(rooms, i), "seq")) + WRT_RESTORED_GAP;
    }

    rc = store_apply(st, ev, n, &bad);
    text_copy(after, size, ev[n - 1].conversation);
    free(ev);

    return rc == STORE_OK ? 0 : -1;
}


static int
restored_rooms(store_t *st)
{
    int      rc;
    char     after[WRT_ID_MAX + 1];
    long     n;
    size_t   page;
    json_t  *rooms;

    after[0] = '\0';
    n = 0;

    do {
        if (store_ends(st, after, RESTORED_PAGE, &rooms) != STORE_OK) {
            rc = -1;
            break;
        }

        page = json_array_size(rooms);
        rc = page ? restored_page(st, rooms, after, sizeof(after)) : 0;
        json_decref(rooms);

        n += rc == 0 ? (long) page : 0;

    } while (rc == 0 && page == RESTORED_PAGE);

    if (rc != 0) {
        log_error("restored", "rooms=%ld error=\"%s\": repeat it", n,
                  store_error(st));
    }

    printf("%ld rooms go on %d numbers later\n", n, WRT_RESTORED_GAP);

    return rc;
}


int
boot_restored(const conf_t *cf)
{
    int       status;
    char      err[512];
    store_t  *st;

    status = boot_run(cf, 0);

    if (status != EXIT_SUCCESS) {
        return status;
    }

    if (restored_servers(cf) != 0) {
        return EXIT_FAILURE;
    }

    st = store_open(cf->store_url, cf->scripts_dir, 0, err, sizeof(err));

    if (st == NULL) {
        log_error("store_open", "error=\"%s\"", err);
        return EXIT_FAILURE;
    }

    status = restored_rooms(st) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    store_close(st);

    return status;
}
