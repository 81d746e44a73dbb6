/*
 * backend/embedded/store_ops.h - the stores in memory: their tables of functions, and functions that
 * are entered in another file's table. For every struct backend whose first member is its space.
 */
#ifndef PGK_EMBEDDED_STORE_OPS_H
#define PGK_EMBEDDED_STORE_OPS_H

#include "backend/stores.h"

extern const struct job_graph_ops embedded_job_graphs;
extern const struct job_result_ops embedded_job_results;
extern const struct registry_ops embedded_registry;
extern const struct checkpoint_ops embedded_checkpoints;
extern const struct blob_ops embedded_blobs;
extern const struct recovery_ops embedded_recovery;

/* counter.c */
pgk_status embedded_counter_next(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, int64_t *ret_value, pgk_error *err);
pgk_status embedded_counter_get(struct backend *backend, const pgk_uuid *job_id, int64_t *ret_value,
                                pgk_error *err);
pgk_status embedded_counter_set(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, int64_t value, pgk_error *err);
pgk_status embedded_counter_drop(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, pgk_error *err);

/* recovery.c */
pgk_status embedded_recover(struct backend *backend, const pgk_uuid *store_id,
                            const struct recovery_sink *sink, pgk_error *err);

#endif
