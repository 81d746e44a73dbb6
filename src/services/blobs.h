/*
 * services/blobs.h - what the files of the blob store share. Any thread.
 */
#ifndef PGK_SERVICES_BLOBS_H
#define PGK_SERVICES_BLOBS_H

#include <pgkeeper/blob.h>

#include "services/store_common.h"

struct pgk_blobs {
    struct store store; /* first */
};

/* A call of the application's begins. */
pgk_status blobs_enter(pgk_blobs *blobs, struct call *call, const char *origin, pgk_error *err);

/* Puts the key before the message. Returns the status. */
pgk_status blobs_name(const pgk_blob_key *key, pgk_status status, pgk_error *err);

/* Reads it to its end and compares. */
pgk_status blobs_verify_one(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                            pgk_blob_progress_fn progress, void *user, const char *origin,
                            pgk_error *err);

/* Unlinks what removed blobs and dead writers have left; `all`: every orphan. Adds to *removed. */
pgk_status blobs_sweep(const struct store *store, bool all, int64_t *removed, pgk_error *err);

#endif
