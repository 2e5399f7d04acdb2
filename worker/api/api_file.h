/*
 * api_file.h: between the files of the api role that speak of files.
 */

#ifndef API_FILE_H
#define API_FILE_H

#include "worker/api/api.h"
#include "worker/files/disposition.h"

#define API_BLOB_LINK_S  60         /* nginx follows an address at once */


/* api_file_doc.c */

/* A record as clients see it: File of docs/api/openapi.yaml. */
json_t *file_doc(api_t *a, const json_t *record);

/* Storage as this process has it, NULL: no memory. */
blob_t *api_blob(api_t *a);

#endif
