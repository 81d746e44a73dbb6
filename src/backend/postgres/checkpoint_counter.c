/*
 * backend/postgres/checkpoint_counter.c - the statements of the checkpoint counter. The caller's
 * thread; blocks.
 */
#include "backend/postgres/keeper.h"
#include "backend/postgres/store_ops.h"
#include "backend/postgres/work.h"
#include "core/error.h"

/* The parameters that all writes begin with. */
static void begin_write(struct work *work, enum statement_id id, struct backend *backend,
                        const struct store_write *write, const pgk_uuid *job_id)
{
    work_begin(work, id);
    work_token(work, write->token);
    work_text(work, backend->settings->cluster_id);
    work_uuid(work, job_id);
}

pgk_status postgres_counter_next(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, int64_t *ret_value, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    begin_write(&work, STMT_CHECKPOINT_NEXT_ID, backend, write, job_id);
    work_uuid(&work, &write->op_id);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status != PGK_OK) {
        return status;
    }
    if (cell_is(answer.result, 0, 0, "exhausted")) {
        status = error_set(err, PGK_ERR_RESOURCE, "checkpoint_counter.get_and_increment",
                           "the counter has reached its end, 9223372036854775807; set it to a "
                           "number that is free");
        if (err != NULL) {
            err->flags &= ~PGK_ERROR_RETRYABLE; /* it stays so */
        }
    } else {
        *ret_value = cell_int64(answer.result, 0, 1);
    }
    PQclear(answer.result);
    return status;
}

pgk_status postgres_counter_get(struct backend *backend, const pgk_uuid *job_id, int64_t *ret_value,
                                pgk_error *err)
{
    AUTO_RESULT *result = NULL;
    struct work work;

    work_begin(&work, STMT_CHECKPOINT_GET_ID);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    pgk_status status = work_read(backend, &work, &result, err);

    if (status == PGK_OK) {
        *ret_value = cell_int64(result, 0, 0);
    }
    return status;
}

pgk_status postgres_counter_set(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, int64_t value, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    begin_write(&work, STMT_CHECKPOINT_SET_ID, backend, write, job_id);
    work_noted(&work, &write->op_id);
    work_int64(&work, value);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        PQclear(answer.result);
    }
    return status;
}

pgk_status postgres_counter_drop(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    begin_write(&work, STMT_CHECKPOINT_DROP_ID, backend, write, job_id);
    work_noted(&work, &write->op_id);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        PQclear(answer.result);
    }
    return status;
}
