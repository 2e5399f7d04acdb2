/*
 * event_pick.c: what is wanted of a message's event, without the rest of it.
 * The only file that knows yajl.
 *
 * Clients are sent the sender's name, a status, empty lists and both ids with
 * each message; the store has those from elsewhere.  Objects for all of them
 * took a fifth of the projector's time (docs/performance.md).  So yajl, which
 * calls back instead of building, goes over the text, and jansson's objects are
 * made of these members only:
 *
 *   data.clientMessageId
 *   data.message.id, senderId, type, content, replyTo, clientMessageId,
 *                createdAt
 *
 * What is kept is what jansson would have made of it.  Where the two may
 * differ (escapes by number, a member twice, bytes that are no UTF-8, numbers
 * out of range) nothing is returned, and jansson has the text as a whole.
 */

#include <string.h>

#include <yajl/yajl_parse.h>

#include "worker/worker.h"

#define PICK_DEPTH  (WRT_JSON_DEPTH_MAX + 4)
#define PICK_NAME   128     /* bytes of a member's name, NUL included */

/* Which members of an object are wanted. */
typedef enum {
    PICK_ROOT,
    PICK_DATA,
    PICK_MESSAGE,
    PICK_ALL
} pick_level_t;

typedef struct {
    json_t        *v;           /* object or array; belongs to the one above */
    pick_level_t   level;
    char           name[PICK_NAME];     /* of the member that comes */
} pick_frame_t;

typedef struct {
    json_t        *root;
    unsigned       depth;
    unsigned       skipping;    /* brackets open in what is not wanted */
    unsigned       unwanted:1;  /* the value that comes */
    pick_frame_t   frames[PICK_DEPTH];
} pick_t;

static const char *const  pick_data[] = {
    "message", "clientMessageId", NULL
};

static const char *const  pick_message[] = {
    "id", "senderId", "type", "content", "replyTo", "clientMessageId",
    "createdAt", NULL
};


static int
pick_wanted(pick_level_t level, const char *name)
{
    const char *const  *list;

    switch (level) {

    case PICK_ROOT:
        return strcmp(name, "data") == 0;

    case PICK_DATA:
        list = pick_data;
        break;

    case PICK_MESSAGE:
        list = pick_message;
        break;

    default:
        return 1;
    }

    for (; *list; list++) {
        if (strcmp(*list, name) == 0) {
            return 1;
        }
    }

    return 0;
}


/* Is what comes now to be passed over? */
static int
pick_pass(pick_t *k)
{
    if (k->skipping) {
        return 1;
    }

    if (k->unwanted) {
        k->unwanted = 0;
        return 1;
    }

    return 0;
}


/* Put a value where it belongs.  Takes v, NULL too; 0 ends it all. */
static int
pick_put(pick_t *k, json_t *v)
{
    pick_frame_t  *f;

    if (v == NULL || k->depth == 0) {
        json_decref(v);
        return 0;
    }

    f = &k->frames[k->depth - 1];

    if (json_is_array(f->v)) {
        return json_array_append_new(f->v, v) == 0;
    }

    if (json_object_get(f->v, f->name)) {
        json_decref(v);
        return 0;
    }

    return json_object_set_new(f->v, f->name, v) == 0;
}


static int
pick_null(void *data)
{
    return pick_pass(data) || pick_put(data, json_null());
}


static int
pick_boolean(void *data, int on)
{
    return pick_pass(data) || pick_put(data, json_boolean(on));
}


static int
pick_integer(void *data, long long n)
{
    return pick_pass(data) || pick_put(data, json_integer(n));
}


static int
pick_double(void *data, double n)
{
    return pick_pass(data) || pick_put(data, json_real(n));
}


static int
pick_string(void *data, const unsigned char *s, size_t n)
{
    return pick_pass(data)
           || pick_put(data, json_stringn((const char *) s, n));
}


/* Into an object or array, which is v.  Takes v. */
static int
pick_open(pick_t *k, json_t *v)
{
    pick_level_t   level;
    pick_frame_t  *f;

    level = PICK_ALL;

    if (k->depth == 0) {
        if (!json_is_object(v)) {
            json_decref(v);
            return 0;
        }

        level = PICK_ROOT;
        k->root = v;

    } else {
        f = &k->frames[k->depth - 1];

        if (json_is_object(v) && f->level == PICK_ROOT) {
            level = PICK_DATA;

        } else if (json_is_object(v) && f->level == PICK_DATA
                   && strcmp(f->name, "message") == 0)
        {
            level = PICK_MESSAGE;
        }

        if (k->depth == PICK_DEPTH) {
            json_decref(v);
            return 0;
        }

        if (!pick_put(k, v)) {
            return 0;
        }
    }

    f = &k->frames[k->depth++];
    f->v = v;
    f->level = level;

    return 1;
}


static int
pick_start(pick_t *k, json_t *(*make)(void))
{
    if (pick_pass(k)) {
        k->skipping++;
        return 1;
    }

    return pick_open(k, make());
}


static int
pick_start_map(void *data)
{
    return pick_start(data, json_object);
}


static int
pick_start_array(void *data)
{
    return pick_start(data, json_array);
}


static int
pick_end(void *data)
{
    pick_t  *k;

    k = data;

    if (k->skipping) {
        k->skipping--;
    } else {
        k->depth--;
    }

    return 1;
}


static int
pick_key(void *data, const unsigned char *s, size_t n)
{
    pick_t        *k;
    pick_frame_t  *f;

    k = data;

    if (k->skipping) {
        return 1;
    }

    f = &k->frames[k->depth - 1];

    if (n >= sizeof(f->name)) {
        return 0;
    }

    memcpy(f->name, s, n);
    f->name[n] = '\0';

    k->unwanted = !pick_wanted(f->level, f->name);

    return 1;
}


/* Is a character written as \u and its number, or may be? */
static int
pick_escaped(wrt_slice_t s)
{
    const char  *p, *end;

    end = s.p + s.n;

    for (p = s.p; p < end - 1; p++) {
        p = memchr(p, '\\', (size_t) (end - 1 - p));

        if (p == NULL) {
            return 0;
        }

        if (p[1] == 'u') {
            return 1;
        }
    }

    return 0;
}


json_t *
event_pick(wrt_slice_t s)
{
    pick_t        k;
    yajl_handle   h;
    yajl_status   status;

    static const yajl_callbacks  callbacks = {
        pick_null, pick_boolean, pick_integer, pick_double, NULL, pick_string,
        pick_start_map, pick_key, pick_end, pick_start_array, pick_end
    };

    if (s.n == 0 || pick_escaped(s)) {
        return NULL;
    }

    k.root = NULL;
    k.depth = 0;
    k.skipping = 0;
    k.unwanted = 0;

    h = yajl_alloc(&callbacks, NULL, &k);
    if (h == NULL) {
        return NULL;
    }

    status = yajl_parse(h, (const unsigned char *) s.p, s.n);

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(h);
    }

    yajl_free(h);

    if (status != yajl_status_ok) {
        json_decref(k.root);
        return NULL;
    }

    return k.root;
}
