/*
 * backend/postgres/cleanup.c - the statements that clean up a job or a cluster. The caller's
 * thread; blocks.
 */
#include "backend/postgres/blobs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/store_ops.h"
#include "backend/postgres/work.h"

pgk_status postgres_cleanup_job(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, int64_t *ret_dropped, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    work_begin(&work, STMT_CLEANUP_JOB);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_null(&work); /* every store is told of the graph */
    work_noted(&work, &write->op_id);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        bool loose = answer.settled || cell_bool(answer.result, 0, 2);

        *ret_dropped = answer.settled ? 0 : cell_int64(answer.result, 0, 1);
        PQclear(answer.result);
        if (loose) { /* the bytes of many or large blobs take transactions of their own */
            blob_sweep_loose(backend, INT64_MAX);
        }
    }
    return status;
}

pgk_status postgres_cleanup_cluster(struct backend *backend, const struct store_write *write,
                                    int limit, int64_t *ret_removed, bool *ret_more, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    work_begin(&work, STMT_CLEANUP_CLUSTER);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_int32(&work, limit);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        *ret_removed = cell_int64(answer.result, 0, 0);
        *ret_more = cell_bool(answer.result, 0, 1);
        PQclear(answer.result);
    }
    return status;
}

const struct recovery_ops postgres_recovery = {
    .recover = postgres_recover,
    .cleanup_job = postgres_cleanup_job,
    .cleanup_cluster = postgres_cleanup_cluster,
};
