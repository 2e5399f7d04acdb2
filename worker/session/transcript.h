/*
 * transcript.h: a session as a document that can be proven untouched.
 *
 * Each entry's hash covers the hash of the entry before and its own canonical
 * form, in which the hash of its content stands for the content: so content
 * can be taken out later (a message deleted, a person forgotten) and the chain
 * still holds.  Names, texts and user ids are content; what stays is when
 * something was said and by which of the participants (a number).  A content's
 * hash is salted with 16 bytes that go with it, so that what was taken out
 * cannot be guessed.  The format: docs/sessions.md.
 *
 *   transcript.c         makes one
 *   transcript_erase.c   takes content out of one
 *   transcript_canon.c   canonical JSON, hashes
 *   transcript_verify.c  which entry was altered?
 *   transcript_text.c    the same as Markdown, to be read
 *   transcript_file.c    writeen-worker --verify-transcript
 *
 * Whoever can write the whole file can make a new chain: what proves is the
 * head, kept or sent elsewhere when the session ended.
 */

#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/wrt_limits.h"

#define TRANSCRIPT_FORMAT      "writeen-transcript"
#define TRANSCRIPT_VERSION     1
#define TRANSCRIPT_HASH_LEN    64       /* SHA-256 in hex, lower case */
#define TRANSCRIPT_KEY_BYTES   32
#define TRANSCRIPT_ERROR_SIZE  128

typedef struct {
    /* {"sessionId"?,"conversationId","consultationId"?,"sessionType"?,
     *  "title"?,"context"?,"startTime","endTime"}: the last two are times, the
     * title and the context are content, the others ids or short words */
    const json_t   *session;
    const json_t   *participants;   /* as a conversation has them */
    const json_t   *messages;       /* as store_messages() gives them */
    const json_t   *document;       /* of session_document(); NULL: none */
    /* Salts are made of this key, so that the same session gives the same
     * bytes; NULL: random ones.  Throw it away afterwards: with it a content
     * that was taken out could be guessed. */
    const uint8_t  *key;
} transcript_input_t;

/* The transcript; NULL: the input is refused, err says why. */
json_t *transcript_make(const transcript_input_t *in,
    char err[TRANSCRIPT_ERROR_SIZE]);

/*
 * The same file as text, piece by piece, for what is not to be in memory as a
 * whole: the sink gets an entry at a time, and says 0, or -1 to have it
 * stopped.  Of in->messages only id, seq and who sent them are looked at, of
 * in->document nothing; both, and err, are used until the end.
 */
typedef int (*transcript_sink_pt)(void *data, const char *p, size_t n);
typedef struct transcript_maker_s  transcript_maker_t;

/* NULL, -1: refused, or stopped by the sink; err says why. */
transcript_maker_t *transcript_begin(const transcript_input_t *in,
    transcript_sink_pt sink, void *data, char err[TRANSCRIPT_ERROR_SIZE]);
/* The messages, by seq. */
int transcript_add(transcript_maker_t *mk, const json_t *message);
/* Ends it whatever comes out. */
int transcript_end(transcript_maker_t *mk, const json_t *document,
    char head[TRANSCRIPT_HASH_LEN + 1]);
/* Not to be ended; NULL: nothing. */
void transcript_drop(transcript_maker_t *mk);

/* Take all that says who a user is (also what the summary says, in which he may
 * be named) out of a transcript.  How many entries lost their content. */
size_t transcript_erase_user(json_t *transcript, const char *user_id);

/*
 * Take the content of messages out of a file that is not to be in memory as a
 * whole: its text goes in piece by piece, what is left of it comes out (to the
 * sink; NULL: it is only counted) an entry at a time.  gone() is asked of each
 * message that has content, by seq.  With the first one the summary goes, too,
 * since it may quote it; summary: in any case.
 */
typedef int (*transcript_gone_pt)(void *data, const char *id, json_int_t seq);
typedef struct transcript_eraser_s  transcript_eraser_t;

transcript_eraser_t *transcript_erase_begin(transcript_gone_pt gone,
    void *gone_data, int summary, transcript_sink_pt sink, void *data);
/* A sink; -1: this is no transcript, or what is left was not taken. */
int transcript_erase_add(void *eraser, const char *p, size_t n);
/* Ends it whatever comes out; *erased: entries that lost their content.  0,
 * -1: as above, or the end is missing. */
int transcript_erase_end(transcript_eraser_t *er, size_t *erased);

/* The file: canonical JSON and a newline; the caller frees.  NULL: it has
 * something that no transcript has. */
char *transcript_write(const json_t *transcript, size_t *n);

/* Markdown, whatever was written by people in it as plain text; the caller
 * frees.  NULL: this is no transcript. */
char *transcript_markdown(const json_t *transcript, int utc_offset,
    size_t *n);

/* The transcript in p[0..n), read strictly, but not verified; NULL: err. */
json_t *transcript_read(const char *p, size_t n,
    char err[TRANSCRIPT_ERROR_SIZE]);

/*
 * {"intact","entries","erased":[number],"head","problems":[{"entry" (number,
 * or null: the file as a whole),"text"}]}.  head: what it must end in; NULL:
 * not known.
 */
json_t *transcript_verify(const char *p, size_t n, const char *head);

/* writeen-worker --verify-transcript: prints the result; an exit status. */
int transcript_verify_file(const char *path, const char *head, FILE *out);

#endif
