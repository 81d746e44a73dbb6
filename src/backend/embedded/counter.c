/* backend/embedded/counter.c - the checkpoint counter in memory. The callers' threads. */
#include "backend/embedded/shelf.h"
#include "backend/embedded/store_ops.h"
#include "core/error.h"

#define ORIGIN "checkpoint_counter"

/* With the lock. What a job's counter issues next. */
static int64_t next_of(const struct job *job)
{
    return job != NULL && job->next_checkpoint_id >= 0 ? job->next_checkpoint_id : 1;
}

pgk_status embedded_counter_next(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, int64_t *ret_value, pgk_error *err)
{
    struct shelf *shelf;
    struct job *job;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    int64_t value = next_of(shelf_find(shelf, job_id));

    if (value == INT64_MAX) {
        status = error_set(err, PGK_ERR_RESOURCE, "checkpoint_counter.get_and_increment",
                           "the counter has reached its end, 9223372036854775807; set it to a "
                           "number that is free");
        if (err != NULL) {
            err->flags &= ~PGK_ERROR_RETRYABLE; /* it stays so */
        }
    } else {
        status = shelf_get(shelf, job_id, &job, err);
    }
    if (status == PGK_OK) {
        job->next_checkpoint_id = value + 1;
        *ret_value = value;
    }
    shelf_unlock(backend);
    return status;
}

pgk_status embedded_counter_get(struct backend *backend, const pgk_uuid *job_id, int64_t *ret_value,
                                pgk_error *err)
{
    (void)err;
    *ret_value = next_of(shelf_find(shelf_read(backend), job_id));
    shelf_unlock(backend);
    return PGK_OK;
}

pgk_status embedded_counter_set(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, int64_t value, pgk_error *err)
{
    struct shelf *shelf;
    struct job *job;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    status = shelf_get(shelf, job_id, &job, err);
    if (status == PGK_OK) {
        job->next_checkpoint_id = value;
    }
    shelf_unlock(backend);
    return status;
}

pgk_status embedded_counter_drop(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *job_id, pgk_error *err)
{
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct job *job = shelf_find(shelf, job_id);

    if (job != NULL) {
        job->next_checkpoint_id = -1;
        shelf_tidy(shelf, job);
    }
    shelf_unlock(backend);
    return PGK_OK;
}
