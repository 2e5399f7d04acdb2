/*
 * blob_minio.h: what the tests against a MinIO share.
 */

#ifndef BLOB_MINIO_H
#define BLOB_MINIO_H

#include "worker/files/blob/blob.h"

extern int  minio_port;

/* As with_minio.sh has it (without MINIO_PLAIN); port: a proxy's or its own. */
blob_conf_t minio_conf(int port);
blob_t *minio_open(const blob_conf_t *cf);

/* For blob_each(): data is an int. */
int minio_count(void *data, const char *key, const blob_stat_t *st);

/* Uploads under way, seen by a sweep that takes them all. */
unsigned minio_uploads(void);

/* suite.b in a bucket of its own; at the end nothing may be left in it. */
int minio_setup(void **state);
int minio_teardown(void **state);

#endif
