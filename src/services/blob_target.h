/*
 * services/blob_target.h - where a blob goes to, as the backend sees it: a file, memory, a stream
 * or nowhere; length and digests are compared. The caller's thread; blocks.
 */
#ifndef PGK_SERVICES_BLOB_TARGET_H
#define PGK_SERVICES_BLOB_TARGET_H

#include "backend/stores.h"
#include "core/digest.h"
#include "core/outfile.h"
#include "services/call.h"

struct target {
    const struct call *call;
    const char *origin;
    /* Exactly one of the three, or none: it is only looked at. */
    const char *path;
    pgk_blob_write_fn write;
    bool to_memory;
    void *user;
    pgk_blob_progress_fn progress;
    void *progress_user;
    size_t max_bytes; /* to_memory */

    struct outfile file;
    bool opened;
    char *memory;
    struct digest_sum *sum;
    struct blob_row row;
    int64_t done;
    int64_t told;
    bool handed; /* bytes have been given to the stream */
};

/* Of call, origin and what is above `file` in the structure. IO. */
pgk_status target_open(struct target *target, struct blob_sink *ret_sink, pgk_error *err);
/* All has come: is it right? CORRUPT; then, of a file, puts it into its place. */
pgk_status target_finish(struct target *target, pgk_error *err);
void target_close(struct target *target);

#endif
