/*
 * backend/postgres/job_results.c - the statements of the job result store. The caller's thread;
 * blocks.
 */
#include <string.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/store_ops.h"
#include "backend/postgres/work.h"
#include "core/error.h"

pgk_job_status store_job_status(const char *text)
{
    static const char *const words[] = {
#define STATUS_WORD(name, value, word) [value] = (word),
        PGK_JOB_STATUS_LIST(STATUS_WORD)
#undef STATUS_WORD
    };

    for (size_t i = 0; text != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], text) == 0) {
            return (pgk_job_status)i;
        }
    }
    return (pgk_job_status)-1;
}

static void add_time(struct work *work, int64_t ms)
{
    if (ms < 0) {
        work_null(work);
    } else {
        work_int64(work, ms);
    }
}

static pgk_status exists(const pgk_uuid *job_id, const char *origin, pgk_error *err)
{
    char text[PGK_UUID_HEX_SIZE];

    pgk_uuid_format_hex(job_id, text);
    return error_set(err, PGK_ERR_ALREADY_EXISTS, origin,
                     "job %s has a result already; it has ended before", text);
}

static void add_result(struct work *work, const struct store_write *write,
                       const struct result_row *row)
{
    const pgk_job_result *result = &row->result;

    work_uuid(work, &result->job_id);
    work_uuid(work, &write->op_id);
    work_text(work, pgk_job_status_text(result->status));
    work_text(work, result->job_name != NULL ? result->job_name : "");
    add_time(work, result->started_ms);
    add_time(work, result->ended_ms);
    work_int64(work, result->net_runtime_ms);
    work_text(work, result->failure);
    if (row->accumulators.data != NULL) {
        work_bytes(work, row->accumulators.data, row->accumulators.length);
        work_bytes(work, row->accumulators.digest, row->accumulators.digest_length);
    } else {
        work_null(work);
        work_null(work);
    }
    work_int32(work, result->format_version);
}

static pgk_status create_dirty(struct backend *backend, const struct store_write *write,
                               const struct result_row *row, bool finish, const pgk_uuid *store_id,
                               pgk_error *err)
{
    const char *origin = finish ? "job_results.finish_job" : "job_results.create_dirty";
    struct work work;
    struct work_answer answer;

    work_begin(&work, finish ? STMT_JOB_RESULT_FINISH_JOB : STMT_JOB_RESULT_CREATE_DIRTY);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    add_result(&work, write, row);
    if (finish) {
        work_uuid(&work, store_id);
    }
    work.settle = (struct settle){.rule = SETTLE_FOUND_IS_DONE,
                                  .what = "job_result",
                                  .job_id = row->result.job_id,
                                  .op_id = write->op_id};
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status != PGK_OK) {
        return status;
    }
    if (!answer.settled && cell_is(answer.result, 0, 0, "exists")) {
        status = exists(&row->result.job_id, origin, err);
    }
    PQclear(answer.result);
    return status;
}

static pgk_status mark_clean(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, bool delete_it, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    work_begin(&work, STMT_JOB_RESULT_MARK_CLEAN);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_uuid(&work, &write->op_id);
    work_bool(&work, delete_it);
    if (!delete_it) {
        work.settle = (struct settle){.rule = SETTLE_FOUND_IS_DONE,
                                      .what = "job_result",
                                      .job_id = *job_id,
                                      .op_id = write->op_id};
    }
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status != PGK_OK) {
        return status;
    }
    bool missing = !answer.settled && cell_is(answer.result, 0, 0, "missing");

    PQclear(answer.result);
    if (missing && !(delete_it && answer.resent)) {
        char text[PGK_UUID_HEX_SIZE];

        pgk_uuid_format_hex(job_id, text);
        return error_set(err, PGK_ERR_NOT_FOUND, "job_results.mark_clean", "job %s has no result",
                         text);
    }
    return PGK_OK;
}

static enum result_state state_of(const PGresult *result, int column)
{
    if (cell_is(result, 0, column, "dirty")) {
        return RESULT_DIRTY;
    }
    return cell_is(result, 0, column, "clean") ? RESULT_CLEAN : RESULT_NONE;
}

static pgk_status read_state(struct backend *backend, const pgk_uuid *job_id,
                             enum result_state *ret_state, pgk_error *err)
{
    AUTO_RESULT *result = NULL;
    struct work work;

    work_begin(&work, STMT_JOB_RESULT_HAS);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    pgk_status status = work_read(backend, &work, &result, err);

    if (status == PGK_OK) {
        *ret_state = state_of(result, 0);
    }
    return status;
}

struct rows {
    result_row_fn fn;
    void *ctx;
    struct pieces pieces;
};

static pgk_status hand_out(void *ctx, const PGresult *result, pgk_error *err)
{
    const struct rows *rows = ctx;
    struct result_row row = {
        .result = {.size = sizeof(row.result),
                   .job_id = cell_uuid(result, 0, 0),
                   .dirty = state_of(result, 1) == RESULT_DIRTY,
                   .status = store_job_status(cell_text(result, 0, 2)),
                   .job_name = cell_text(result, 0, 3),
                   .started_ms = PQgetisnull(result, 0, 4) ? -1 : cell_int64(result, 0, 4),
                   .ended_ms = PQgetisnull(result, 0, 5) ? -1 : cell_int64(result, 0, 5),
                   .net_runtime_ms = cell_int64(result, 0, 6),
                   .failure = cell_text(result, 0, 7),
                   .format_version = cell_int32(result, 0, 10),
                   .epoch = cell_int64(result, 0, 11)},
        .accumulators = pieces_bytes(&rows->pieces, result, 9, 8),
    };

    return rows->fn(rows->ctx, &row, err);
}

static pgk_status list(struct backend *backend, enum result_state state, const pgk_uuid *job_id,
                       result_row_fn fn, void *ctx, pgk_error *err)
{
    struct rows rows = {
        .fn = fn, .ctx = ctx, .pieces = {.place_column = 12, .count = 1, .columns = {9}}};
    struct work work;

    work_begin(&work, STMT_JOB_RESULT_LIST);
    work.pieces = &rows.pieces;
    work_text(&work, backend->settings->cluster_id);
    work_text(&work, state == RESULT_DIRTY ? "dirty" : state == RESULT_CLEAN ? "clean" : NULL);
    work_uuid(&work, job_id);
    return work_stream(backend, &work, hand_out, &rows, err);
}

static pgk_status purge(struct backend *backend, const struct store_write *write,
                        int64_t retention_ms, int limit, int64_t *ret_purged, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    work_begin(&work, STMT_JOB_RESULT_PURGE);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_int64(&work, retention_ms);
    work_int64(&work, limit);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        *ret_purged = cell_int64(answer.result, 0, 0);
        PQclear(answer.result);
    }
    return status;
}

const struct job_result_ops postgres_job_results = {
    .create_dirty = create_dirty,
    .mark_clean = mark_clean,
    .state = read_state,
    .list = list,
    .purge = purge,
};
