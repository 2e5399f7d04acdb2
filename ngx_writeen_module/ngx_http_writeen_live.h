/*
 * ngx_http_writeen_live.h: what is said of people: names, receipts, typing,
 * presence.  Part of ngx_http_writeen.h.
 */

#ifndef _NGX_HTTP_WRITEEN_LIVE_H_INCLUDED_
#define _NGX_HTTP_WRITEEN_LIVE_H_INCLUDED_


/* ngx_http_writeen_profile.c: what users are called */

typedef struct ngx_http_writeen_profile_ask_s  ngx_http_writeen_profile_ask_t;

/* NULL: as the token says.  Called once, unless cancelled. */
typedef void (*ngx_http_writeen_profile_pt)(void *data, ngx_str_t *name,
    ngx_str_t *avatar);

/* Queue for the store what a token says of its user. */
void ngx_http_writeen_profile_put(ngx_str_t *uid, ngx_str_t *name,
    ngx_str_t *avatar, ngx_str_t *role);
/* A service's JSON; what is no such JSON changes nothing. */
void ngx_http_writeen_profile_set(ngx_http_writeen_user_t *u,
    ngx_str_t *json);
/* Forget it: he is called as the token says. */
void ngx_http_writeen_profile_free(ngx_http_writeen_user_t *u);
/* What the others see: good until the next turn. */
ngx_str_t *ngx_http_writeen_profile_name(ngx_http_writeen_session_t *s);
ngx_str_t *ngx_http_writeen_profile_avatar(ngx_http_writeen_session_t *s);
/* The same without a session.  NGX_OK: *name and *avatar, good until the next
 * turn; NGX_DECLINED: as the token says; NGX_AGAIN: the handler tells, *out
 * cancels it. */
ngx_int_t ngx_http_writeen_profile_ask(ngx_http_writeen_worker_t *wk,
    ngx_str_t *uid, ngx_str_t *name, ngx_str_t *avatar,
    ngx_http_writeen_profile_pt handler, void *data,
    ngx_http_writeen_profile_ask_t **out);
/* The handler will not be called. */
void ngx_http_writeen_profile_cancel(ngx_http_writeen_profile_ask_t *ask);
/* id is called so from here on, copied into the pool.  NGX_ERROR: no memory. */
ngx_int_t ngx_http_writeen_profile_copy(ngx_pool_t *pool,
    ngx_http_writeen_identity_t *id, ngx_str_t *name, ngx_str_t *avatar);


/* ngx_http_writeen_receipt.c: mark_read, mark_delivered */

void ngx_http_writeen_receipt_read(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
void ngx_http_writeen_receipt_delivered(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
void ngx_http_writeen_receipt_exit(ngx_http_writeen_worker_t *wk);


/* ngx_http_writeen_typing.c: a session that types */

/* The event. */
void ngx_http_writeen_typing(ngx_http_writeen_session_t *s,
    wrt_envelope_t *e);
/* He does not any more: say so, if he did; in this room only, if not NULL. */
void ngx_http_writeen_typing_stop(ngx_http_writeen_session_t *s,
    ngx_http_writeen_link_t *l);
/* The same without a word: a message of his tells it. */
void ngx_http_writeen_typing_forget(ngx_http_writeen_session_t *s);
void ngx_http_writeen_typing_sweep(ngx_http_writeen_worker_t *wk);


/* ngx_http_writeen_typist.c: who types in a room, as heard */

/* How a typing event ends. */
#define NGX_HTTP_WRITEEN_TYPING_ON    "\"isTyping\":true}}"
#define NGX_HTTP_WRITEEN_TYPING_OFF   "\"isTyping\":false}}"

/* A typing event of the room.  1: give it to the links, 0: it is no news. */
ngx_uint_t ngx_http_writeen_typist_heard(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_room_t *rm, wrt_bus_header_t *h);
/* Was it heard of this user within the last ms? */
ngx_uint_t ngx_http_writeen_typist_within(ngx_http_writeen_room_t *rm,
    ngx_str_t *uid, ngx_msec_t ms);
/* This user's typing is over for the room. */
void ngx_http_writeen_typist_over(ngx_http_writeen_room_t *rm,
    ngx_str_t *uid);
/* Who types when a client comes. */
void ngx_http_writeen_typist_show(ngx_http_writeen_link_t *l);
void ngx_http_writeen_typist_clear(ngx_http_writeen_room_t *rm);
void ngx_http_writeen_typer_handler(ngx_event_t *ev);


/* ngx_http_writeen_presence.c: who is connected, and with what */

/* platform and version of the handshake.  NGX_DECLINED and *field: wrong. */
ngx_int_t ngx_http_writeen_presence_device(ngx_http_request_t *r,
    ngx_http_writeen_session_t *s, const char **field);
/* The session's room list is whole; it has left its user (who may have others
 * of his here). */
void ngx_http_writeen_presence_open(ngx_http_writeen_session_t *s);
void ngx_http_writeen_presence_close(ngx_http_writeen_session_t *s);
/* What is on the screen, or where he types, has changed. */
void ngx_http_writeen_presence_news(ngx_http_writeen_session_t *s);
/* Each second, for each user. */
void ngx_http_writeen_presence_sweep(ngx_http_writeen_worker_t *wk,
    ngx_http_writeen_user_t *u);
void ngx_http_writeen_presence_init(ngx_http_writeen_worker_t *wk);


/* ngx_http_writeen_tell.c: others come and go */

/* A message of the presence channel. */
void ngx_http_writeen_tell(ngx_http_writeen_worker_t *wk,
    wrt_bus_header_t *h);
void ngx_http_writeen_teller_handler(ngx_event_t *ev);
void ngx_http_writeen_tell_exit(ngx_http_writeen_worker_t *wk);


#endif /* _NGX_HTTP_WRITEEN_LIVE_H_INCLUDED_ */
