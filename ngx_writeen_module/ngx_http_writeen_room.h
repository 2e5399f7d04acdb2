/*
 * ngx_http_writeen_room.h: who is where: rooms, the sessions in them, users.
 * Part of ngx_http_writeen.h.
 */

#ifndef _NGX_HTTP_WRITEEN_ROOM_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_ROOM_H_INCLUDED_


/* ngx_http_writeen_room.c: rooms and fan-out */

/* create: if it is not here it is made and its channel subscribed to; when
 * nobody joins it goes by itself.  NULL: not here, or no memory. */
ngx_http_writeen_room_t *ngx_http_writeen_room_get(
    ngx_http_writeen_worker_t *wk, const char *id, size_t n,
    ngx_uint_t create);
/* An event of the room's channel, which is copied. */
void ngx_http_writeen_room_event(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, wrt_bus_header_t *h);
/* SUBSCRIBE is acknowledged; so is UNSUBSCRIBE, which may free the room. */
void ngx_http_writeen_room_subscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
void ngx_http_writeen_room_unsubscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);
/* A server's subscriptions are gone; they are back: ask for ours again. */
void ngx_http_writeen_room_bus_lost(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server);
void ngx_http_writeen_room_resubscribe(ngx_http_writeen_worker_t *wk,
    ngx_uint_t server);
/* Commands go out again: fill what could not be filled. */
void ngx_http_writeen_room_retry(ngx_http_writeen_worker_t *wk);
/* The process ends: sends are given up, rooms freed. */
void ngx_http_writeen_room_exit(ngx_http_writeen_worker_t *wk);
/* Let go of rooms that nobody is in, of at most *budget, which is lessened:
 * NGX_AGAIN when there are more. */
ngx_int_t ngx_http_writeen_room_leave(ngx_http_writeen_worker_t *wk,
    ngx_uint_t *budget);
void ngx_http_writeen_room_sweep(ngx_http_writeen_worker_t *wk);
/* Nobody catches up any more: forget what was kept for that. */
void ngx_http_writeen_room_clear_recent(ngx_http_writeen_room_t *rm);
/* Events up to seq are not in recent: links that catch up have to read so
 * far. */
void ngx_http_writeen_room_unkept(ngx_http_writeen_room_t *rm, int64_t seq);
/* worker->walker: go on with what large rooms are being given. */
void ngx_http_writeen_walker_handler(ngx_event_t *ev);


/* between room.c and fill*.c */

/* A copy of an event, the caller's until room_accept or room_held_free takes
 * it.  NULL: no memory. */
ngx_http_writeen_held_t *ngx_http_writeen_room_held(
    wrt_bus_header_t *h);
void ngx_http_writeen_room_held_free(ngx_http_writeen_held_t *held);
/* The room's next event: for all live links, now or in the next turns.  May
 * close sessions, and so free links. */
void ngx_http_writeen_room_accept(ngx_http_writeen_room_t *rm,
    ngx_http_writeen_held_t *held);


/* ngx_http_writeen_fill.c: holes in a room */

/* Begin, or go on, to read what comes after rm->seq.  Until that is done
 * numbered events that come live are held. */
void ngx_http_writeen_room_fill(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm);


/* ngx_http_writeen_link.c: a session in a room, and its catching up */

/* NULL: the session is not in this room. */
ngx_http_writeen_link_t *ngx_http_writeen_link_find(
    ngx_http_writeen_session_t *s, const char *id, size_t n);
/* Put the session, which is not in it yet, into the room.  after >= 0: with
 * everything from there.  NULL: no memory. */
ngx_http_writeen_link_t *ngx_http_writeen_link_create(
    ngx_http_writeen_session_t *s, const char *id, size_t n, int64_t after);
/* Out of the room and freed; its catch-ups end without an answer. */
void ngx_http_writeen_link_free(ngx_http_writeen_link_t *l);
/* A member has left, as msg says: take his sessions out of the room. */
void ngx_http_writeen_link_leave(ngx_http_writeen_room_t *rm,
    ngx_str_t *uid, ngx_http_writeen_msg_t *msg);
/* A member has come in again, as was found out later: so are his sessions. */
void ngx_http_writeen_link_enter(ngx_http_writeen_room_t *rm,
    ngx_str_t *uid, int64_t seq);
/* One session of who left.  Who waits for an answer about the room is told that
 * there is none; who is catching up gets msg, if any.  Link, and session too if
 * the client was too slow, are gone. */
void ngx_http_writeen_link_left(ngx_http_writeen_link_t *l,
    ngx_http_writeen_msg_t *msg);
/* It was found that he is a member no more: the client is told to read the
 * room anew, and finds that there is none.  As with link_left. */
void ngx_http_writeen_link_expel(ngx_http_writeen_link_t *l);
/* Tell the client to read the room anew; it is live from seq on. */
void ngx_http_writeen_link_resync(ngx_http_writeen_link_t *l, int64_t seq);
/* The room's subscription stands. */
void ngx_http_writeen_link_ready(ngx_http_writeen_link_t *l);

/* Answer join_conversation, which puts the room on the screen, or one room of
 * resume.  after -1: no replay. */
void ngx_http_writeen_join(ngx_http_writeen_session_t *s,
    wrt_slice_t conversation, int64_t after, wrt_slice_t id,
    ngx_uint_t screen);
/* It is open; the resume event came, or will not come: let held links go on. */
void ngx_http_writeen_link_release(ngx_http_writeen_session_t *s);
/* Each second, and when Redis is back: what could not be asked is asked. */
void ngx_http_writeen_catch_retry(ngx_http_writeen_worker_t *wk);
/* The queue has drained: catch-ups that waited for that may read on. */
void ngx_http_writeen_catch_next(ngx_http_writeen_session_t *s);


/* ngx_http_writeen_user.c: users */

/* Make the session one of this user's.  One who is not here yet is made and
 * his channel subscribed to; the session's list of rooms is read when that
 * stands.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_writeen_user_attach(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_session_t *s, ngx_str_t *uid);
/* It is going.  The user stays some seconds without sessions; s->user stays. */
void ngx_http_writeen_user_detach(ngx_http_writeen_session_t *s);
/* NULL: he is not here. */
ngx_http_writeen_user_t *ngx_http_writeen_user_find(
    ngx_http_writeen_worker_t *wk, const char *uid, size_t n);
/* SUBSCRIBE is acknowledged; so is UNSUBSCRIBE, which may free the user. */
void ngx_http_writeen_user_subscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u);
void ngx_http_writeen_user_unsubscribed(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u);
/* A message of his channel: follow or leave a room, pass JSON on, close all
 * his sessions (revoked), a profile. */
void ngx_http_writeen_user_event(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u, wrt_bus_header_t *h);
/* Each of these as room_<the same> does with rooms (retry: lists of rooms). */
void ngx_http_writeen_user_bus_lost(ngx_http_writeen_worker_t *wk);
void ngx_http_writeen_user_resubscribe(ngx_http_writeen_worker_t *wk);
void ngx_http_writeen_user_retry(ngx_http_writeen_worker_t *wk);
void ngx_http_writeen_user_exit(ngx_http_writeen_worker_t *wk);
ngx_int_t ngx_http_writeen_user_leave(ngx_http_writeen_worker_t *wk,
    ngx_uint_t *budget);
void ngx_http_writeen_user_sweep(ngx_http_writeen_worker_t *wk);
/* Read the list of rooms (again) for one session. */
void ngx_http_writeen_user_list(ngx_http_writeen_session_t *s);


#endif /* _NGX_HTTP_WRITEEN_ROOM_H_INCLUDED_ */
