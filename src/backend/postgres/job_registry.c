/*
 * backend/postgres/job_registry.c - the statements of the running jobs registry. The caller's
 * thread; blocks.
 */
#include "backend/postgres/keeper.h"
#include "backend/postgres/store_ops.h"
#include "backend/postgres/work.h"

static pgk_status set(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *job_id, pgk_scheduling_status value, pgk_error *err)
{
    bool clears = value == PGK_SCHEDULING_PENDING;
    struct work work;
    struct work_answer answer;

    work_begin(&work, clears ? STMT_JOB_REGISTRY_CLEAR : STMT_JOB_REGISTRY_SET);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_noted(&work, &write->op_id);
    if (!clears) {
        work_text(&work, pgk_scheduling_status_text(value));
    }
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        PQclear(answer.result);
    }
    return status;
}

static pgk_scheduling_status value_of(const PGresult *result, int column)
{
    if (cell_is(result, 0, column, "RUNNING")) {
        return PGK_SCHEDULING_RUNNING;
    }
    return cell_is(result, 0, column, "DONE") ? PGK_SCHEDULING_DONE : PGK_SCHEDULING_PENDING;
}

static pgk_status get(struct backend *backend, const pgk_uuid *job_id,
                      pgk_scheduling_status *ret_status, pgk_error *err)
{
    AUTO_RESULT *result = NULL;
    struct work work;

    work_begin(&work, STMT_JOB_REGISTRY_GET);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    pgk_status status = work_read(backend, &work, &result, err);

    if (status == PGK_OK) {
        *ret_status = value_of(result, 0);
    }
    return status;
}

struct rows {
    registry_row_fn fn;
    void *ctx;
};

static pgk_status hand_out(void *ctx, const PGresult *result, pgk_error *err)
{
    const struct rows *rows = ctx;
    pgk_uuid job_id = cell_uuid(result, 0, 0);

    return rows->fn(rows->ctx, &job_id, value_of(result, 1), err);
}

static pgk_status list(struct backend *backend, registry_row_fn fn, void *ctx, pgk_error *err)
{
    struct rows rows = {.fn = fn, .ctx = ctx};
    struct work work;

    work_begin(&work, STMT_JOB_REGISTRY_LIST);
    work_text(&work, backend->settings->cluster_id);
    return work_stream(backend, &work, hand_out, &rows, err);
}

const struct registry_ops postgres_registry = {.set = set, .get = get, .list = list};
