/*
 * store_model.h: random events, and a plain model of what they do, which keeps
 * lists and counts by hand; for test_store_pair.c.
 */

#ifndef STORE_MODEL_H
#define STORE_MODEL_H

#include "tests/unit/store_test.h"

#define MODEL_ROOMS     12
#define MODEL_USERS     9
#define MODEL_MESSAGES  4000    /* of a room */
#define MODEL_MOVES     1000    /* of a member */
#define MODEL_EMOJI     3
#define MODEL_TEXT      32

typedef struct {
    int64_t  seq;
    int64_t  at;
    int      by;
    char     was[MODEL_TEXT];
} model_edit_t;

typedef struct {
    int64_t  at;
    int      user;
    int      emoji;
} model_reaction_t;

typedef struct {
    int64_t            seq;
    int64_t            at;
    int                sender;
    int                client;      /* -1: none */
    char               id[32];
    char               reply_to[32];
    int                system;      /* text is the action's name */
    char               text[MODEL_TEXT];

    int64_t            change_seq;
    int64_t            updated_at;
    int64_t            deleted_at;  /* -1: not */
    int                deleted_by;
    model_edit_t      *edit;
    size_t             nedits;
    model_reaction_t   reaction[MODEL_USERS * MODEL_EMOJI];
    size_t             nreactions;
} model_msg_t;

typedef struct {
    int      here;              /* is a member now */
    int      ever;
    int      blocked_by;        /* -1: nobody */
    char     given[8];          /* permissions' first letters */
    int64_t  join_seq;
    int64_t  read_seq;
    int64_t  delivered_seq;
    size_t   nmoves;
    struct {
        int64_t  seq;
        int64_t  at;
    }        move[MODEL_MOVES];
} model_member_t;

typedef struct {
    int             exists;
    int64_t         seq;
    int64_t         at;             /* of the last message, or creation */
    int64_t         created_at;
    int64_t         archived_at;    /* -1: not */
    char            title[MODEL_TEXT];
    int             settings;       /* its member "n"; -1: as created */
    size_t          nmsgs;
    model_msg_t     msg[MODEL_MESSAGES];
    model_member_t  member[MODEL_USERS];
} model_room_t;

extern model_room_t  model_room[MODEL_ROOMS];
extern events_t      model_events;
extern uint64_t      model_seed;

extern const char  *const  model_emoji[MODEL_EMOJI];

/* One more event; the model takes it, too. */
void model_make(void);
void model_free(void);

/* <letter><i>; good for four more calls. */
const char *model_name(char letter, int i);


/* store_model_check.c: is everything as the model says? */

void model_check_room(store_t *st, int k);
void model_check_messages(store_t *st, int k);
void model_check_user(store_t *st, int u);

#endif
