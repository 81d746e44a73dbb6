/*
 * services/cleanup.h - one try of cleaning up a job, which the blocking call and the asynchronous one share.
 * Any thread; blocks.
 */
#ifndef PGK_SERVICES_CLEANUP_H
#define PGK_SERVICES_CLEANUP_H

#include "services/store_common.h"

/* *ret_dropped is set with PGK_OK only. */
pgk_status cleanup_job(const struct store *store, const pgk_uuid *job_id, const pgk_uuid *op_id,
                       int64_t *ret_dropped, pgk_error *err);

#endif
