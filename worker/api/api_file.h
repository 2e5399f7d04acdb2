/*
 * api_file.h: between the files of the api role that speak of files.
 */

#ifndef API_FILE_H
#define API_FILE_H

#include "worker/api/api.h"
#include "worker/files/disposition.h"

#define API_BLOB_LINK_S  60         /* nginx follows an address at once */

/* A file that the caller may know of, and the room it is in. */
typedef struct {
    json_t       *record;           /* store_file() */
    json_t       *security;         /* in it, as the next one */
    const char   *conversation;
    seen_t        seen;
    access_t      access;
} file_t;


/* api_file.c */

/* The file, not deleted, in a room that the caller sees.  0, 1: wait and call
 * again, -1: answered. */
int file_find(api_t *a, call_t *c, const char *id, file_t *f);
void file_free(file_t *f);

/* Queue a change of a record (taken over) for the store.  0, -1: not now. */
int file_record(api_t *a, const call_t *c, const char *conversation,
    json_t *o);


/* api_file_doc.c */

/* A record as clients see it: the seed's File Uploads. */
json_t *file_doc(api_t *a, const json_t *record);

/* Storage as this process has it, NULL: no memory. */
blob_t *api_blob(api_t *a);

#endif
