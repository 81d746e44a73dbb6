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

/* graphs.c and blobs.c: what does the same where nothing is put. */
pgk_status embedded_graph_start(struct backend *backend, const pgk_token *token,
                                const pgk_uuid *store_id, bool listening, pgk_error *err);
pgk_status embedded_graph_stop(struct backend *backend, const pgk_uuid *store_id, pgk_error *err);
pgk_status embedded_graph_recover(struct backend *backend, const pgk_token *token,
                                  const pgk_uuid *store_id, const pgk_uuid *job_id, graph_row_fn fn,
                                  void *ctx, pgk_error *err);
pgk_status embedded_graph_recover_all(struct backend *backend, const pgk_uuid *store_id,
                                      graph_row_fn fn, void *ctx, pgk_error *err);
pgk_status embedded_graph_list(struct backend *backend, struct graph_id **ret_ids,
                               size_t *ret_count, pgk_error *err);
pgk_status embedded_graph_release(struct backend *backend, const pgk_token *token,
                                  const pgk_uuid *store_id, const pgk_uuid *job_id, pgk_error *err);
pgk_status embedded_graph_remove(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *store_id, const pgk_uuid *job_id,
                                 const pgk_uuid *known, pgk_error *err);
pgk_status embedded_blob_get(struct backend *backend, const pgk_uuid *job_id,
                             const pgk_blob_key *key, const struct blob_sink *sink, pgk_error *err);
pgk_status embedded_blob_list(struct backend *backend, bool all, const pgk_uuid *job_id,
                              const pgk_blob_key *key, blob_row_fn fn, void *ctx, pgk_error *err);
pgk_status embedded_blob_remove(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, const pgk_blob_key *key, pgk_error *err);
pgk_status embedded_blob_remove_job(struct backend *backend, const struct store_write *write,
                                    const pgk_uuid *job_id, int limit, int64_t *ret_removed,
                                    bool *ret_more, pgk_error *err);
pgk_status embedded_blob_orphans(struct backend *backend,
                                 pgk_status (*fn)(void *ctx, const pgk_orphan *orphan,
                                                  pgk_error *err),
                                 void *ctx, pgk_error *err);
pgk_status embedded_blob_sweep(struct backend *backend, bool all, int limit, int64_t *ret_removed,
                               bool *ret_more, pgk_error *err);

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
