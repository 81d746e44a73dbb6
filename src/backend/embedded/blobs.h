/*
 * backend/embedded/blobs.h - blobs in memory. A blob never changes: who reads one holds it, and reads
 * what it was, also when it is replaced or removed meanwhile.
 */
#ifndef PGK_EMBEDDED_BLOBS_H
#define PGK_EMBEDDED_BLOBS_H

#include "backend/embedded/shelf.h"

struct blob {
    atomic_int refs;
    struct blob_row row;
    char *data; /* row.blob.bytes of them */
};

/* NULL is fine. As parcels, see parcel.h. */
struct blob *blob_hold(struct blob *blob);
void blob_drop(struct blob *blob);

/* The rest with the space's lock. */

/* That of a job, or of none (job_id NULL). NULL: the job has nothing at all. */
struct blob_list *blobs_of(struct shelf *shelf, const pgk_uuid *job_id);
/* Room for `count` more. False: out of memory. */
bool blobs_reserve(struct blob_list *list, size_t count);
/* Puts one into its place, with room for it; returns the one that it replaces, or NULL. */
struct blob *blobs_place(struct blob_list *list, struct blob *blob);
/* Removes up to `limit` of them; returns how many. */
int64_t blobs_trim(struct blob_list *list, int64_t limit);
void blobs_clear(struct blob_list *list);

/* blob_put.c */
pgk_status embedded_blob_put(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, const struct blob_source *sources,
                             size_t count, const struct blob_graph *graph, pgk_error *err);

#endif
