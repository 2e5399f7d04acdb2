/*
 * push_internal.h: what the push*.c files share and nobody else sees.
 */

#ifndef PUSH_INTERNAL_H
#define PUSH_INTERNAL_H

#include <stdint.h>
#include <sys/socket.h>

#include "worker/push/push.h"

int64_t push_mono_ms(void);
int64_t push_wall_s(void);
/* A pause before try number n (1, 2, ...) with chance in it. */
int64_t push_pause(const push_conf_t *cf, unsigned tries);


/* push_http.c */

#define PUSH_HEADERS_MAX  6

/* Texts need to stay only for the call. */
typedef struct {
    const char    *url;
    const char    *body;
    size_t         body_len;
    const char    *headers[PUSH_HEADERS_MAX];   /* "Name: value" */
    unsigned       nheaders;
    int            guarded;     /* private addresses are refused */
} push_ask_t;

typedef struct {
    int            status;      /* 0: there was no answer */
    int            private;     /* its address is not allowed */
    int64_t        wait_ms;     /* Retry-After; -1: none */
    const char    *body;        /* NUL behind it */
    size_t         body_len;
    const char    *why;         /* of no answer */
} push_answer_t;

typedef void (*push_answer_pt)(void *data, const push_answer_t *answer);

typedef struct push_http_s  push_http_t;

/* NULL: no memory */
push_http_t *push_http_create(const push_conf_t *cf);
void push_http_free(push_http_t *h);
/* The answer comes in a later turn.  0, -1: no memory. */
int push_http_ask(push_http_t *h, const push_ask_t *ask, push_answer_pt done,
    void *data);
void push_http_turn(push_http_t *h, int ms);


/* A service.  push.c calls it for each try. */

typedef enum {
    PUSH_READY = 0,             /* *ask is filled */
    PUSH_WAIT,                  /* something else has to come first */
    PUSH_BROKEN                 /* no memory */
} push_ready_t;

/* How one try ended. */
typedef enum {
    TRY_SENT = PUSH_SENT,
    TRY_DEAD = PUSH_DEAD,
    TRY_REFUSED = PUSH_REFUSED,
    TRY_LATER = PUSH_LATER,
    TRY_AGAIN
} push_try_t;

typedef struct {
    unsigned        bit;
    const char     *name;

    void         *(*create)(const push_conf_t *cf, push_http_t *http);
    void          (*free)(void *s);
    /* What to ask; the texts are good until the next call. */
    push_ready_t  (*ask)(void *s, const push_msg_t *m, push_ask_t *ask);
    push_try_t    (*judge)(void *s, const push_msg_t *m,
                           const push_answer_t *a, char *why, size_t size);
    const char   *(*trouble)(const void *s);
} push_service_t;

extern const push_service_t  push_fcm;
extern const push_service_t  push_webhook;

/* What a status means that says nothing more; judged by both. */
push_try_t push_judge_status(const push_answer_t *a, char *why, size_t size);
const char *push_kind_name(push_kind_t kind);


/* push_token.c */

typedef struct push_token_s  push_token_t;

push_token_t *push_token_create(const push_conf_t *cf, push_http_t *http);
void push_token_free(push_token_t *t);
/* The token, or NULL: it is on its way. */
const char *push_token_get(push_token_t *t);
/* It was refused: another one. */
void push_token_refused(push_token_t *t);
/* Why there is none, "" */
const char *push_token_trouble(const push_token_t *t);


/* push_address.c: 1 an address of the internet, 0 a private, loopback,
 * link-local, multicast or reserved one. */
int push_address_public(const struct sockaddr *sa);

#endif
