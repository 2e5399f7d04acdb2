/*
 * wrt_envelope.h: the JSON of client events (wrt_envelope.c; with wrt_command.c
 * the only file of common/ and of the module that knows jansson), and the
 * canonical JSON made of them (wrt_send.c, wrt_command.c).
 *
 * Nothing that a client wrote is passed on as it came: every event is parsed,
 * checked and written anew from the fields that are allowed, so that nothing
 * smuggled in survives.
 */

#ifndef WRT_ENVELOPE_H
#define WRT_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "common/wrt_bus.h"
#include "common/wrt_limits.h"

typedef struct json_t  wrt_json_t;   /* jansson's, opaque here */

/* Why something was refused. */
typedef struct {
    const char  *code;      /* ErrorCode of docs/api/openapi.yaml, static */
    const char  *field;     /* the member at fault, static, or NULL */
    const char  *message;   /* what is allowed, for a person; static ASCII
                               that needs no escaping in JSON */
} wrt_refusal_t;

/* A client's event.  Slices live until wrt_envelope_free(). */
typedef struct {
    wrt_json_t   *root;
    wrt_json_t   *data;     /* object, never NULL after a good parse */
    wrt_slice_t   event;
    wrt_slice_t   id;       /* "" when none */
} wrt_envelope_t;

/*
 * Parse {"event","data"?,"id"?}.  Returns 0, or -1 with *why (e is then empty
 * except event and id where they could be read, so that the error can name
 * them; free it all the same).
 * Refused: not JSON, duplicate members, nesting above WRT_JSON_DEPTH_MAX,
 * event missing or not a string of 1..64 bytes, data neither object nor
 * absent (or null), id neither a string of at most WRT_CLIENT_ID_MAX bytes nor
 * absent (or null).
 */
int wrt_envelope_parse(wrt_envelope_t *e, const char *p, size_t n,
    wrt_refusal_t *why);

/* The same for a REST body: a bare object becomes data, no event and id. */
int wrt_envelope_parse_body(wrt_envelope_t *e, const char *p, size_t n,
    wrt_refusal_t *why);

void wrt_envelope_free(wrt_envelope_t *e);

/*
 * Members of data.  Return 1 found (*out set), 0 absent or null, -1 wrong
 * type or out of bounds (*why set, field = name).
 */
int wrt_envelope_id(const wrt_envelope_t *e, const char *name,
    wrt_slice_t *out, wrt_refusal_t *why);          /* wrt_id_valid() */
int wrt_envelope_string(const wrt_envelope_t *e, const char *name,
    size_t max, wrt_slice_t *out, wrt_refusal_t *why);
int wrt_envelope_seq(const wrt_envelope_t *e, const char *name,
    int64_t *out, wrt_refusal_t *why);              /* integer 0..2^53-1 */
int wrt_envelope_bool(const wrt_envelope_t *e, const char *name,
    int *out, wrt_refusal_t *why);

/*
 * Walk data.<name>, an object of id -> seq (resume).  Calls fn for each pair
 * in order; stops when fn returns non-zero.  Returns 0, or -1 with *why when
 * it is missing, not such an object, or has more than WRT_RESUME_ROOMS_MAX.
 */
typedef int (*wrt_pair_pt)(void *data, wrt_slice_t id, int64_t seq);
int wrt_envelope_pairs(const wrt_envelope_t *e, const char *name,
    wrt_pair_pt fn, void *data, wrt_refusal_t *why);

/*
 * data.content.text, of send_message and edit_message: a string of 1..max_text
 * bytes (longer: code too_large) that is not only white space.  0, or -1 with
 * *why, also when it is missing.
 */
int wrt_envelope_text(const wrt_envelope_t *e, size_t max_text,
    wrt_slice_t *out, wrt_refusal_t *why);

/* A message to send, checked.  Slices live as long as the envelope. */
typedef struct {
    wrt_slice_t   conversation;     /* empty when parsed from a REST body */
    wrt_slice_t   type;             /* "text" or "sticker" */
    wrt_slice_t   client_id;        /* clientMessageId, "" when none */
    wrt_slice_t   reply_to;         /* "" when none */
    wrt_slice_t   text;             /* content.text; "" of a sticker */
    wrt_slice_t   pack;             /* content.sticker.pack; "" of a text */
    wrt_slice_t   sticker;          /* content.sticker.id; "" of a text */
    wrt_slice_t   content;          /* of a file: content as JSON, which the
                                       server made; else "" */
} wrt_send_t;

/*
 * Check data of send_message or of POST .../messages.  type: "text" (default)
 * needs content.text, a string of 1..max_text bytes that is not only white
 * space; "sticker" needs content.sticker, an object of pack and id (both ids).
 * Other types are made by the server and refused.  clientMessageId: string
 * of 1..128 bytes without white space or control characters.
 */
int wrt_send_parse(wrt_send_t *s, const wrt_envelope_t *e, int need_conv,
    size_t max_text, wrt_refusal_t *why);

/* Is it a clientMessageId (valid UTF-8 is required)?  1 or 0. */
int wrt_client_id_valid(wrt_slice_t s);

/* Is there nothing to see in this text, but white space?  UTF-8. */
int wrt_is_blank(wrt_slice_t s);

/* Who sends: plain text, escaped here. */
typedef struct {
    wrt_slice_t   uid;
    wrt_slice_t   role;
    wrt_slice_t   name;
    wrt_slice_t   avatar;           /* "" gives null */
} wrt_sender_t;

/*
 * The two parts of a message_received event around what only wrt_send
 * knows (see writeen.lua): pre ends before the number of data.seq, head ends
 * after `"createdAt":"`; Lua appends seq and time and closes three objects.
 * Returned as one malloc'd string (caller frees) of *pre_len + *head_len
 * bytes, NULL without memory.  The event is
 * {"event":"message_received","data":{"conversationId","clientMessageId"?,
 *  "seq","message":{"id","conversationId","senderId","sender":{"name",
 *  "avatar"},"type","content","status":"sent","readBy":[],"replyTo",
 *  "reactions":[],"clientMessageId"?,"createdAt","seq"}}}.
 */
char *wrt_send_build(const wrt_send_t *s, wrt_slice_t conversation,
    const wrt_sender_t *from, const char *message_id, size_t *pre_len,
    size_t *head_len);

/* -- wrt_command.c: an event that is a REST route's business -- */

/* data.<name> as one segment of a path, decoded: a string of 1..max bytes
 * without control characters and '/'.  1, or -1 with *why, also when it is
 * missing. */
int wrt_envelope_segment(const wrt_envelope_t *e, const char *name,
    size_t max, wrt_slice_t *out, wrt_refusal_t *why);

/*
 * JSON of these members of data alone (names up to a NULL), written anew:
 * "content.text" gives {"content":{"text":...}}.  Only strings, numbers, true
 * and false are taken, what is absent or else is left out.  malloc'd (caller
 * frees), without a NUL; NULL without memory.
 */
char *wrt_envelope_dump(const wrt_envelope_t *e, const char *const *names,
    size_t *n);

/* What a REST answer says was wrong; NUL-terminated copies, cut to size
 * (message between two characters), "" where it says nothing. */
typedef struct {
    char   code[WRT_REPLY_CODE_MAX + 1];    /* [a-z_] */
    char   field[WRT_REPLY_FIELD_MAX + 1];  /* [A-Za-z0-9_.-] and [] */
    char   message[WRT_REPLY_MESSAGE_MAX + 1];
} wrt_reply_t;

/* Read {"success":false,"message","error":{"code","field"?}}.  0, or -1 when
 * it is no such object with a code; all members are then "". */
int wrt_reply_parse(wrt_reply_t *r, const char *p, size_t n);

/* The integer data.<name> of {"success":true,"data":{...}}, 0 to 2^53 - 1; -1
 * when there is none. */
int64_t wrt_reply_number(const char *p, size_t n, const char *name);
/* Read {"success":true,"data":{...}}: the accessors of e go by that data then.
 * 0, or -1 when there is none; free e all the same. */
int wrt_reply_data(wrt_envelope_t *e, const char *p, size_t n);

/* Append p[0..n) to out as the inside of a JSON string (no quotes).  out has
 * room for 6 * n bytes.  Returns the bytes written.  Control characters, quote
 * and backslash are escaped; valid UTF-8 passes. */
size_t wrt_json_escape(char *out, const char *p, size_t n);

#endif
