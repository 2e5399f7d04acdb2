/*
 * ngx_http_writeen_catch.h: catching up, between the files that do it.
 *
 * A link: link.c starts it, catch.c walks through it, catch_step.c does the
 * side steps, catch_online.c asks who is online, catch_reply.c writes what the
 * client gets.  A room with a hole: fill.c reads the log, fill_store.c the
 * store.
 */

#ifndef _NGX_HTTP_WRITEEN_CATCH_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_CATCH_H_INCLUDED_


#include "ngx_http_writeen.h"


/* ms: so long the store is asked, each second, by a catch-up or for a hole in a
 * room, where nobody hears what is said meanwhile.  Then clients have to read
 * anew. */
#define NGX_HTTP_WRITEEN_STORE_WAIT  15000
#define NGX_HTTP_WRITEEN_STORE_HOLE  5000


/* What is being asked: catch.c. */
typedef enum {
    CATCH_CHECK = 0,
    CATCH_PEEK,
    CATCH_NOW,
    CATCH_INFO,
    CATCH_FLOOR,
    CATCH_CATCH,
    CATCH_REPLAY
} ngx_http_writeen_catch_mode_t;


struct ngx_http_writeen_catch_s {
    ngx_http_writeen_op_t          op;       /* first: in session->ops */
    ngx_queue_t                    retry;    /* in worker->retries */
    ngx_http_writeen_worker_t     *worker;
    ngx_http_writeen_link_t       *link;
    ngx_http_writeen_catch_t      *next;     /* the link's next join */
    ngx_http_writeen_load_wait_t   wait;
    ngx_http_writeen_catch_mode_t  mode;
    int64_t                        asked;    /* afterSeq, -1 none */
    int64_t                        began;    /* reading, from here; -1 not */
    int64_t                        origin;   /* the store, from here */
    int64_t                        stood;    /* the room's number then */
    int64_t                        told;     /* compact: stands so up to here */
    int64_t                        after;    /* read from here */
    int64_t                        limit;    /* REPLAY: up to here */
    ngx_str_t                      cursors;  /* JSON array, malloc'd */
    u_char                        *members;  /* ids, a blank after each */
    u_char                        *asked_of; /* in it: next to hear of */
    ngx_uint_t                     nmembers; /* not heard of yet */
    ngx_uint_t                     questions; /* about them, under way */
    void                         (*then)(ngx_http_writeen_catch_t *op);
    ngx_str_t                      online;   /* "id","id", malloc'd */
    u_char                        *page;     /* events to give out */
    ngx_uint_t                     npage;
    ngx_msec_t                     failing;  /* the store: since when, or 0 */
    ngx_uint_t                     missed;
    size_t                         echo_len;
    size_t                         len;
    u_char                         echo[WRT_CLIENT_ID_MAX];
    u_char                         id[WRT_ID_MAX];
    unsigned                       screen:1;  /* the client shows it */
    unsigned                       unsure:1;  /* the hub did not answer */
    unsigned                       answer:1;  /* conversation_joined wanted */
    unsigned                       joined:1;  /* and sent */
    unsigned                       compact:1;
    unsigned                       partial:1; /* the store has more of it */
    unsigned                       resync:1;
    unsigned                       fenced:1;
    unsigned                       inflight:1; /* an answer will come */
    unsigned                       reading:1; /* counted in room->catching */
    unsigned                       turn:1;    /* the session's one reader */
    unsigned                       large:1;   /* has to be that, too: many
                                                 cursors */
    unsigned                       checks:1;  /* counted in session->nchecks */
};


/* the event that joins: named in its acknowledgements and errors */
extern const wrt_slice_t  ngx_http_writeen_join_name;

/* ngx_http_writeen_link.c */

/* As link_create, but without a catch-up: its state is WAIT. */
ngx_http_writeen_link_t *ngx_http_writeen_link_new(
    ngx_http_writeen_session_t *s, const char *id, size_t n);
/* Its room need not be waited for any more before `connected`. */
void ngx_http_writeen_link_opened(ngx_http_writeen_link_t *l);
/* Do this join, after those that are waiting. */
void ngx_http_writeen_link_join(ngx_http_writeen_link_t *l,
    ngx_http_writeen_catch_t *op);

/* ngx_http_writeen_catch.c */

/* A catch-up of the session's, in session->ops; link and mode are to be set.
 * NULL: no memory.  Freed by catch_done, _refuse, _abandon or _arrived. */
ngx_http_writeen_catch_t *ngx_http_writeen_catch_create(
    ngx_http_writeen_session_t *s, const char *id, size_t n);
/* op.abandon: session or link is going.  op is freed, or will be by the answer
 * that is under way (catch_arrived). */
void ngx_http_writeen_catch_abandon(ngx_http_writeen_op_t *data);
/* Cursors and who is online: they will be asked for anew. */
void ngx_http_writeen_catch_forget(ngx_http_writeen_catch_t *op);
/* It is the link's first: choose the mode by the link's state, and run. */
void ngx_http_writeen_catch_begin(ngx_http_writeen_catch_t *op);
/* Ask Redis what the mode wants to know, now or later.  op stays. */
void ngx_http_writeen_catch_run(ngx_http_writeen_catch_t *op);
/* An answer came.  0: session or link are gone, and so is op now. */
ngx_uint_t ngx_http_writeen_catch_arrived(ngx_http_writeen_catch_t *op);
/* If it was the session's one reader, it is so no more: another one may run.
 * op stays. */
void ngx_http_writeen_catch_release(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_session_t *s);
/* Run it again in a second, or when Redis is back.  Until then another one may
 * be the session's reader. */
void ngx_http_writeen_catch_later(ngx_http_writeen_catch_t *op);
/* All is said: op is freed, and the link's next one begins. */
void ngx_http_writeen_catch_done(ngx_http_writeen_catch_t *op);
/* It can not be: an error, if an answer is wanted.  op is gone, or goes with
 * its session; the link may be gone, too.  Touch neither. */
void ngx_http_writeen_catch_refuse(ngx_http_writeen_catch_t *op,
    const char *code);

/* ngx_http_writeen_catch_step.c: each asks and goes on when an answer comes */

/* The room is not in Redis.  May refuse at once: op is gone then. */
void ngx_http_writeen_catch_load(ngx_http_writeen_catch_t *op);
/* The log does not reach back: a page from the store. */
void ngx_http_writeen_catch_store(ngx_http_writeen_catch_t *op);
/* The store did not answer, or said that it can not.  *failing, 0 at first,
 * is since when the caller knows.  1: it shall not wait any longer, `wait` ms
 * have passed; so long nobody here has had an answer, or not he. */
ngx_uint_t ngx_http_writeen_store_failed(ngx_http_writeen_worker_t *wk,
    ngx_msec_t *failing, ngx_msec_t wait);
/* It answered. */
void ngx_http_writeen_store_answered(ngx_http_writeen_worker_t *wk,
    ngx_msec_t *failing);
/* Before it is asked.  1: it has not answered for so long that it need not be;
 * one at a time shall try, each second. */
ngx_uint_t ngx_http_writeen_store_away(ngx_http_writeen_worker_t *wk);
/* The client knows a higher number than Redis: raise it. */
void ngx_http_writeen_catch_fence(ngx_http_writeen_catch_t *op);
/* It can not be told what was missed: resync_required, and live from now. */
void ngx_http_writeen_catch_give_up(ngx_http_writeen_catch_t *op);

/* ngx_http_writeen_catch_reply.c; NGX_DONE: the session is closing or dropped:
 * link and op are not to be touched any more */

/* Send one event that was missed.  NGX_OK, NGX_DONE. */
ngx_int_t ngx_http_writeen_catch_event(ngx_http_writeen_catch_t *op,
    ngx_str_t *payload);
/* Keep the events of an answer of wrt_catch, and give them out later.
 * NGX_ERROR: no memory. */
ngx_int_t ngx_http_writeen_catch_keep(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
/* Send these, and forget them; *upto becomes the last one's number, if there
 * are any.  NGX_OK, NGX_DONE. */
ngx_int_t ngx_http_writeen_catch_page(ngx_http_writeen_catch_t *op,
    int64_t *upto);
/* Keep the cursors of an answer, if they will be said and are not known. */
void ngx_http_writeen_catch_cursors(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res);
/* Send ack and conversation_joined, and resync_required when op->resync.
 * conversation: its document as JSON, of a compact catch-up; or empty.
 * NGX_OK, NGX_DONE. */
ngx_int_t ngx_http_writeen_catch_joined(ngx_http_writeen_catch_t *op,
    int64_t seq, ngx_str_t *conversation);
/* Send the error instead.  NGX_OK, NGX_DONE. */
ngx_int_t ngx_http_writeen_catch_error(ngx_http_writeen_catch_t *op,
    const char *code);

/* ngx_http_writeen_catch_online.c */

/*
 * Who of the members is online, for conversation_joined: go on with `then`
 * when that is known, which may be at once.  Then op may be gone.
 */
void ngx_http_writeen_catch_ask(ngx_http_writeen_catch_t *op,
    ngx_http_writeen_result_t *res,
    void (*then)(ngx_http_writeen_catch_t *op));

/* also for the holes of a room (fill.c, fill_store.c): */

/* conversation_joined. */
typedef struct {
    ngx_str_t                  id;         /* of the conversation */
    ngx_str_t                  echo;       /* of the request, or empty */
    ngx_str_t                  online;     /* "id","id" */
    ngx_str_t                  cursors;    /* a JSON array, or empty */
    ngx_str_t                  conversation; /* its document, or empty */
    int64_t                    seq;
    ngx_uint_t                 missed;
    unsigned                   recovered:1;
    unsigned                   compact:1;
} ngx_http_writeen_joined_t;

/* How many bytes joined_text() writes at most.  That returns their end. */
size_t ngx_http_writeen_joined_size(ngx_http_writeen_joined_t *j);
u_char *ngx_http_writeen_joined_text(u_char *p, ngx_http_writeen_joined_t *j);

/* The cursors of an answer of wrt_catch as a JSON array, for the caller to
 * free; data is NULL when memory is short. */
void ngx_http_writeen_cursors(ngx_http_writeen_result_t *res, ngx_str_t *out);

/* Users of the room on this nginx worker, 100 at most: "id","id".  For the
 * caller to free, too. */
void ngx_http_writeen_online_here(ngx_http_writeen_room_t *rm,
    ngx_str_t *out);

/* Bytes read and given out in one turn: all members get them at once. */
#define NGX_HTTP_WRITEEN_FILL_PAGE  65536

/*
 * A fill under way.  The room is found by its id when the answer comes: it may
 * have been freed meanwhile.
 */
typedef struct {
    ngx_http_writeen_worker_t     *worker;
    ngx_http_writeen_load_wait_t   wait;
    int64_t                        asked;    /* its number, here, */
    int64_t                        heard;    /* what was held then, or 0 */
    ngx_str_t                      cursors;  /* in Redis, if it was asked */
    ngx_uint_t                     stands;   /* these were asked for */
    size_t                         len;
    u_char                         id[WRT_ID_MAX];
} ngx_http_writeen_fill_t;

/* ngx_http_writeen_fill.c */

/* A link that was not live found the room standing at seq: if nothing is known
 * of it, that is its number, or where the first of the live links stands. */
void ngx_http_writeen_room_known(ngx_http_writeen_room_t *rm, int64_t seq);
/* A fill of this room, to be passed to whoever answers; room_fill_done frees
 * it, or the caller when nobody could be asked.  NULL: no memory. */
ngx_http_writeen_fill_t *ngx_http_writeen_room_fill_op(
    ngx_http_writeen_worker_t *wk, ngx_http_writeen_room_t *rm);
/* The room of an answered fill; frees the fill, not its cursors.  NULL: it is
 * gone. */
ngx_http_writeen_room_t *ngx_http_writeen_room_fill_done(
    ngx_http_writeen_fill_t *op);
/* Fill again in a second, or when Redis is back. */
void ngx_http_writeen_room_fill_later(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
/* One event read from the log or the store: given to the links. */
void ngx_http_writeen_room_fill_payload(ngx_http_writeen_room_t *rm,
    ngx_str_t *payload);

/* ngx_http_writeen_fill_store.c; res: an answer of wrt_catch with cursors */

/* Whom they do not name is a member no more: he hears no more. */
void ngx_http_writeen_room_muster(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_http_writeen_result_t *res);
/* Ask the store for what is missing, or for the next page of it (res NULL). */
void ngx_http_writeen_room_fill_store(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, ngx_http_writeen_result_t *res);
/* Too many events were missed: everybody in the room shall read anew, and is
 * live from seq on. */
void ngx_http_writeen_room_resync(ngx_http_writeen_room_t *rm, int64_t seq);

/* wrt_fence: nobody may give a number up to `known` again; R_MANY when that is
 * more than `max` above Redis's.  Returns as bus_call() does. */
ngx_int_t ngx_http_writeen_fence(ngx_http_writeen_worker_t *wk,
    const char *id, size_t n, int64_t known, int64_t max,
    ngx_http_writeen_bus_pt handler, void *data);

/* The body of a CHANGES reply: "<next> <n> <upto>\n", the conversation and a
 * newline, then two lines an event.  Nothing is copied: all of it is valid as
 * long as the body. */
typedef struct {
    u_char                    *pos;
    u_char                    *last;
    ngx_str_t                  conversation; /* as it stands at upto */
    ngx_uint_t                 n;          /* events announced, of all pages */
    int64_t                    next;       /* where the next page begins */
    int64_t                    upto;       /* where the room stands */
} ngx_http_writeen_lines_t;

/* NGX_OK; NGX_DECLINED: it is none. */
ngx_int_t ngx_http_writeen_lines_first(ngx_http_writeen_lines_t *ln,
    ngx_str_t *body);
/* The next event, header and JSON.  NGX_OK; NGX_DECLINED: no more are here. */
ngx_int_t ngx_http_writeen_lines_next(ngx_http_writeen_lines_t *ln,
    ngx_str_t *payload);

/* The number in a payload's header, -1 when it has none. */
int64_t ngx_http_writeen_payload_seq(ngx_str_t *payload);


#endif /* _NGX_HTTP_WRITEEN_CATCH_H_INCLUDED_ */
