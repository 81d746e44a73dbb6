/*
 * backend/postgres/blobs.h - what the files of the blob store share. The caller's thread; blocks.
 */
#ifndef PGK_POSTGRES_BLOBS_H
#define PGK_POSTGRES_BLOBS_H

#include "backend/postgres/work.h"

/* The columns of sql/blob/list.sql. */
struct blob_row blob_row_of(const PGresult *row);

/* NOT_FOUND. */
pgk_status blob_find(struct backend *backend, const pgk_uuid *job_id, const pgk_blob_key *key,
                     struct blob_row *ret_row, pgk_error *err);

/* blob_get.c */
pgk_status blob_get(struct backend *backend, const pgk_uuid *job_id, const pgk_blob_key *key,
                    const struct blob_sink *sink, pgk_error *err);

/* blob_put.c */
pgk_status blob_put(struct backend *backend, const struct store_write *write,
                    const pgk_uuid *job_id, const struct blob_source *sources, size_t count,
                    const struct blob_graph *graph, pgk_error *err);

/* blob_sweep.c: unlinks what is loose, about so many bytes of it, and not if that takes too long: what
 * is left goes with the next one. */
void blob_sweep_loose(struct backend *backend, int64_t bytes);
/* One batch; in steps that fit into the statement timeout. */
pgk_status blob_sweep(struct backend *backend, bool all, int limit, int64_t *ret_removed,
                      bool *ret_more, pgk_error *err);

/* A put that is stored in one statement; *ret_loose: a sweep is worth it. */
pgk_status blob_store(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *job_id, const struct blob_sum *sum, const void *data,
                      bool *ret_loose, pgk_error *err);

/* What became of a write whose session broke? OUTCOME_UNKNOWN: not to be learnt in time. */
pgk_status blob_settle(struct backend *backend, int pid, bool pooled, const struct settle *settle,
                       bool *ret_done, pgk_error *err);

#endif
