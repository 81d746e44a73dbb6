/*
 * backend/postgres/store_ops.h - what the files of the stores have in common. The caller's thread.
 */
#ifndef PGK_POSTGRES_STORE_OPS_H
#define PGK_POSTGRES_STORE_OPS_H

#include "backend/stores.h"

extern const struct job_result_ops postgres_job_results;
extern const struct registry_ops postgres_registry;
extern const struct checkpoint_ops postgres_checkpoints;
extern const struct blob_ops postgres_blobs;
extern const struct recovery_ops postgres_recovery;

/* The counter's part of postgres_checkpoints. */
pgk_status postgres_counter_next(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, int64_t *ret_value, pgk_error *err);
pgk_status postgres_counter_get(struct backend *backend, const pgk_uuid *job_id, int64_t *ret_value,
                                pgk_error *err);
pgk_status postgres_counter_set(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, int64_t value, pgk_error *err);
pgk_status postgres_counter_drop(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, pgk_error *err);

/* For the table of the recovery. */
pgk_status postgres_recover(struct backend *backend, const pgk_uuid *store_id,
                            const struct recovery_sink *sink, pgk_error *err);
pgk_status postgres_cleanup_job(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, int64_t *ret_dropped, pgk_error *err);
pgk_status postgres_cleanup_cluster(struct backend *backend, const struct store_write *write,
                                    int limit, int64_t *ret_removed, bool *ret_more,
                                    pgk_error *err);

/* The words of the tables; a word that is none: -1. */
pgk_job_status store_job_status(const char *text);
pgk_checkpoint_kind store_checkpoint_kind(const char *text);
pgk_retention store_retention(const char *text);

#endif
