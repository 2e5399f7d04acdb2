/*
 * push.h: notifications to devices, by one or several services.
 *
 * A library without Redis and store.  A push is handed over with a function
 * that is called once, when it is known how it ended.  What shows something
 * is tried once, within WRT_PUSH_FRESH_MS: after that nobody here knows
 * whether it is still so, and it ends as PUSH_LATER; a withdrawal is tried
 * again until a deadline.  Pauses double, have chance in them, and are as
 * long as the service asked for.  All that is in hand is bounded by
 * push_room().  Nothing happens but inside of push_turn().
 *
 *   push.c          what is in hand, tries and pauses
 *   push_http.c     requests (the one file that knows libcurl)
 *   push_fcm.c      FCM HTTP v1: what is asked and what answers mean
 *   push_token.c    FCM: the access token (the one that knows libjwt)
 *   push_account.c  FCM: the file of a service account
 *   push_webhook.c  any other service: signed requests
 *   push_address.c  which addresses a webhook may have
 *   push_text.c     what is shown, in Indonesian and English
 *   push_zone.c     quiet hours (the one file that knows GLib)
 *
 * What is shown by one (token, tag) replaces what was shown by it before; a
 * push that went out twice, because nobody knew whether it had gone, has the
 * same tag and the same id.
 */

#ifndef PUSH_H
#define PUSH_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wrt_limits.h"

#define PUSH_TAG_MAX     64     /* apns-collapse-id */
#define PUSH_ERROR_SIZE  512

/* The services, as bits */
enum {
    PUSH_FCM     = 1,
    PUSH_WEBHOOK = 2
};

#define PUSH_SERVICES    2

/* Of a service account's file; texts belong to it. */
typedef struct {
    char    *project;
    char    *email;
    char    *key;               /* PEM */
    char    *key_id;            /* "" when it has none */
    char    *token_url;
} push_account_t;

typedef struct {
    char            fcm_url[WRT_PUSH_URL_MAX];  /* without a slash at the end */
    push_account_t  account;    /* no project: FCM is not used */

    char            hook_url[WRT_PUSH_URL_MAX]; /* "": no webhook */
    char            hook_secret[WRT_PUSH_SECRET_MAX + 1];
    int             hook_private;   /* private addresses are allowed */

    char            ca_file[PATH_MAX];  /* "": those of the system */
    unsigned        flight;     /* these: 0 is WRT_PUSH_... */
    int             deadline_ms;
    int             pause_ms;
} push_conf_t;

typedef enum {
    PUSH_MESSAGE = 0,
    PUSH_INVITATION,
    PUSH_FILE,
    PUSH_REMINDER,
    PUSH_WITHDRAW               /* what has this tag is shown no longer */
} push_kind_t;

/* One push for one device; texts are copied. */
typedef struct {
    unsigned      services;     /* bits; those that are not there are passed
                                   over */
    push_kind_t   kind;
    const char   *id;
    const char   *tag;
    const char   *user;
    const char   *device;       /* its id with us */
    const char   *platform;     /* android, ios, web */
    const char   *token;
    const char   *conversation;
    int64_t       seq;          /* of the message, 0 none */
    unsigned      tries;        /* that failed before: pauses go on growing */
    const char   *title;        /* not of a withdrawal */
    const char   *body;
} push_msg_t;

typedef enum {
    PUSH_SENT = 0,
    PUSH_DEAD,                  /* the token is none any more */
    PUSH_REFUSED,               /* never with this content */
    PUSH_LATER                  /* not now, for longer than we try */
} push_rc_t;

/* How it ended with one service.  wait_ms: of PUSH_LATER, how long to wait at
 * least; why: a text, "" when it was sent. */
typedef void (*push_done_pt)(void *data, unsigned service, push_rc_t rc,
    int64_t wait_ms, const char *why);

typedef struct push_s  push_t;


/* Bits of the services that are configured. */
unsigned push_services(const push_conf_t *cf);

/* cf must stay.  NULL and err. */
push_t *push_open(const push_conf_t *cf, char *err, size_t size);
/* What is in hand is forgotten: done is not called. */
void push_close(push_t *p);

/* How many calls of push_send() are possible now. */
unsigned push_room(const push_t *p);
/* How many (service, push) are in hand. */
unsigned push_busy(const push_t *p);
/* 1: all services are left alone for now, nothing would leave. */
int push_away(const push_t *p);
/* 0, or -1: no room, nothing happened.  done is called once for each service
 * of the message that is configured. */
int push_send(push_t *p, const push_msg_t *m, push_done_pt done, void *data);
/* Work for up to ms, or until something has ended, so that what became of it
 * can be written down at once. */
void push_turn(push_t *p, int ms);
/* Why nothing goes out by a service, "" when all is well. */
const char *push_trouble(const push_t *p);


/* push_account.c: 0, or -1 and err with file, line and what to do. */
int push_account_read(push_account_t *a, const char *path, char *err,
    size_t size);
void push_account_free(push_account_t *a);

/* Does the file have a certificate in PEM form?  0, or -1 and what is wrong
 * with it in err. */
int push_ca_check(const char *path, char *err, size_t size);


/* push_webhook.c */

/* "t=<seconds>,v1=<hex>" into out; the signature is HMAC-SHA256 over
 * "<seconds>.<body>". */
#define PUSH_SIGNATURE_SIZE  96

int push_webhook_sign(const char *secret, int64_t now_s, const char *body,
    size_t n, char out[PUSH_SIGNATURE_SIZE]);


/* push_text.c */

/* Title and body of a push.  who: the sender's name; what: the content (text,
 * topic, name of the file), NULL when it is not to be shown; minutes: until a
 * consultation begins.  Locales that begin with "en" are English, others
 * Indonesian. */
void push_text(push_kind_t kind, const char *locale, const char *who,
    const char *what, int minutes, char title[WRT_PUSH_TITLE_MAX + 1],
    char body[WRT_PUSH_BODY_MAX + 1]);


/* push_zone.c */

/* Is there a time zone of this name (IANA's)?  1, 0. */
int push_zone_known(const char *name);
/* "22:00" as minutes since midnight, -1. */
int push_zone_clock(const char *text);
/* When the quiet hours that last at now_ms end, 0 when none do.  The zone is
 * known; start and end are minutes of its day. */
int64_t push_zone_quiet(const char *zone, int start, int end, int64_t now_ms);

#endif
