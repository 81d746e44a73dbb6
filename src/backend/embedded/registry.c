/* backend/embedded/registry.c - the running jobs registry in memory. The callers' threads. */
#include <stdlib.h>

#include "backend/embedded/shelf.h"
#include "backend/embedded/store_ops.h"
#include "core/error.h"

#define ORIGIN "job_registry"

static pgk_status set(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *job_id, pgk_scheduling_status value, pgk_error *err)
{
    struct shelf *shelf;
    struct job *job;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    job = shelf_find(shelf, job_id);
    if (job == NULL && value != PGK_SCHEDULING_PENDING) {
        status = shelf_get(shelf, job_id, &job, err);
    }
    if (status == PGK_OK && job != NULL) {
        job->scheduling = value;
        shelf_tidy(shelf, job);
    }
    shelf_unlock(backend);
    return status;
}

static pgk_status get(struct backend *backend, const pgk_uuid *job_id,
                      pgk_scheduling_status *ret_status, pgk_error *err)
{
    const struct job *job = shelf_find(shelf_read(backend), job_id);

    (void)err;
    *ret_status = job != NULL ? job->scheduling : PGK_SCHEDULING_PENDING;
    shelf_unlock(backend);
    return PGK_OK;
}

struct row {
    pgk_uuid job_id;
    pgk_scheduling_status status;
};

/* With the lock. */
static pgk_status copy_all(const struct shelf *shelf, struct row **ret_rows, size_t *ret_count,
                           pgk_error *err)
{
    struct row *rows = calloc(shelf->count + 1, sizeof(*rows));
    size_t count = 0;

    if (rows == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu jobs", shelf->count);
    }
    for (size_t i = 0; i < shelf->count; i++) {
        const struct job *job = shelf->jobs[i];

        if (job->scheduling != PGK_SCHEDULING_PENDING) {
            rows[count++] = (struct row){.job_id = job->job_id, .status = job->scheduling};
        }
    }
    *ret_rows = rows;
    *ret_count = count;
    return PGK_OK;
}

static pgk_status list(struct backend *backend, registry_row_fn fn, void *ctx, pgk_error *err)
{
    struct row *rows = NULL;
    size_t count = 0;
    pgk_status status = copy_all(shelf_read(backend), &rows, &count, err);

    shelf_unlock(backend);
    if (status != PGK_OK) {
        return status;
    }
    for (size_t i = 0; status == PGK_OK && i < count; i++) {
        status = fn(ctx, &rows[i].job_id, rows[i].status, err);
    }
    free(rows);
    return status;
}

const struct registry_ops embedded_registry = {.set = set, .get = get, .list = list};
