/* backend/embedded/results.c - the job result store in memory. The callers' threads. */
#include "backend/embedded/results.h"

#include <stdlib.h>

#include "backend/embedded/graphs.h"
#include "backend/embedded/store_ops.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "job_results"

void result_free(struct result *result)
{
    if (result == NULL) {
        return;
    }
    parcel_drop(result->name);
    parcel_drop(result->failure);
    parcel_drop(result->accumulators);
    free(result);
}

/* A copy of all, before the lock is taken. */
static pgk_status make(const struct store_write *write, const struct result_row *row,
                       struct result **ret_result, pgk_error *err)
{
    const pgk_job_result *given = &row->result;
    struct result *result = calloc(1, sizeof(*result));
    pgk_status status = PGK_OK;

    if (result == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a result");
    }
    result->entry = (pgk_job_result){
        .size = sizeof(result->entry),
        .status = given->status,
        .started_ms = given->started_ms < 0 ? -1 : given->started_ms,
        .ended_ms = given->ended_ms < 0 ? -1 : given->ended_ms,
        .net_runtime_ms = given->net_runtime_ms,
        .format_version = given->format_version,
        .dirty = true,
        .epoch = shelf_epoch(write),
    };
    status = parcel_new_text(given->job_name != NULL ? given->job_name : "", &result->name, err);
    if (status == PGK_OK) {
        status = parcel_new_text(given->failure, &result->failure, err);
    }
    if (status == PGK_OK) {
        status = parcel_new(&row->accumulators, &result->accumulators, err);
    }
    if (status != PGK_OK) {
        result_free(result);
        return status;
    }
    *ret_result = result;
    return PGK_OK;
}

/* With the lock. */
static pgk_status enter(struct shelf *shelf, const pgk_uuid *job_id, struct result **result,
                        bool finish, const char *origin, struct job **ret_job, pgk_error *err)
{
    struct job *job;
    pgk_status status = shelf_get(shelf, job_id, &job, err);

    if (status != PGK_OK) {
        return status;
    }
    if (job->result != NULL) {
        char text[PGK_UUID_HEX_SIZE];

        pgk_uuid_format_hex(job_id, text);
        return error_set(err, PGK_ERR_ALREADY_EXISTS, origin,
                         "job %s has a result already; it has ended before", text);
    }
    job->result = *result;
    *result = NULL;
    if (finish) {
        job->scheduling = PGK_SCHEDULING_DONE;
    }
    *ret_job = job;
    return PGK_OK;
}

static pgk_status create_dirty(struct backend *backend, const struct store_write *write,
                               const struct result_row *row, bool finish, const pgk_uuid *store_id,
                               pgk_error *err)
{
    const char *origin = finish ? "job_results.finish_job" : "job_results.create_dirty";
    struct result *result = NULL;
    struct graph *gone = NULL;
    struct shelf *shelf;
    struct job *job = NULL;
    pgk_status status = make(write, row, &result, err);

    if (status == PGK_OK) {
        status = shelf_write(backend, write->token, origin, &shelf, err);
    }
    if (status == PGK_OK) {
        status = enter(shelf, &row->result.job_id, &result, finish, origin, &job, err);
        if (status == PGK_OK && finish) {
            gone = graph_take(shelf, job, store_id);
        }
        shelf_unlock(backend);
    }
    result_free(result);
    graph_free(gone);
    return status;
}

static pgk_status mark_clean(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, bool delete_it, pgk_error *err)
{
    static const char origin[] = "job_results.mark_clean";
    struct shelf *shelf;
    struct result *gone = NULL;
    pgk_status status = shelf_write(backend, write->token, origin, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct job *job = shelf_find(shelf, job_id);

    if (job == NULL || job->result == NULL) {
        char text[PGK_UUID_HEX_SIZE];

        pgk_uuid_format_hex(job_id, text);
        status = error_set(err, PGK_ERR_NOT_FOUND, origin, "job %s has no result", text);
    } else if (delete_it) {
        gone = job->result;
        job->result = NULL;
        shelf_tidy(shelf, job);
    } else if (job->result->entry.dirty) {
        job->result->entry.dirty = false;
        job->result->entry.epoch = shelf_epoch(write);
        job->result->clean_at_ns = clock_now_ns();
    }
    shelf_unlock(backend);
    result_free(gone);
    return status;
}

/* ------------------------------------------------------------------ reading */

static enum result_state state_of(const struct job *job)
{
    if (job == NULL || job->result == NULL) {
        return RESULT_NONE;
    }
    return job->result->entry.dirty ? RESULT_DIRTY : RESULT_CLEAN;
}

static pgk_status read_state(struct backend *backend, const pgk_uuid *job_id,
                             enum result_state *ret_state, pgk_error *err)
{
    (void)err;
    *ret_state = state_of(shelf_find(shelf_read(backend), job_id));
    shelf_unlock(backend);
    return PGK_OK;
}

void result_hold(const struct job *job, struct held_result *ret_held)
{
    const struct result *result = job->result;

    *ret_held = (struct held_result){
        .row = {.result = result->entry, .accumulators = parcel_bytes(result->accumulators)},
        .name = parcel_hold(result->name),
        .failure = parcel_hold(result->failure),
        .accumulators = parcel_hold(result->accumulators)};
    ret_held->row.result.job_id = job->job_id;
    ret_held->row.result.job_name = parcel_text(result->name);
    ret_held->row.result.failure = parcel_text(result->failure);
}

void result_drop(struct held_result *held)
{
    parcel_drop(held->name);
    parcel_drop(held->failure);
    parcel_drop(held->accumulators);
}

static bool is_wanted(const struct job *job, enum result_state state)
{
    return job->result != NULL && (state == RESULT_NONE || state_of(job) == state);
}

pgk_status result_hold_all(const struct shelf *shelf, enum result_state state,
                           struct held_result **ret_held, size_t *ret_count, pgk_error *err)
{
    size_t count = 0;

    for (size_t i = 0; i < shelf->count; i++) {
        count += is_wanted(shelf->jobs[i], state);
    }
    struct held_result *held = calloc(count + 1, sizeof(*held));

    if (held == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu results", count);
    }
    count = 0;
    for (size_t i = 0; i < shelf->count; i++) {
        if (is_wanted(shelf->jobs[i], state)) {
            result_hold(shelf->jobs[i], &held[count++]);
        }
    }
    *ret_held = held;
    *ret_count = count;
    return PGK_OK;
}

static pgk_status hand_out(struct held_result *held, size_t count, result_row_fn fn, void *ctx,
                           pgk_error *err)
{
    pgk_status status = PGK_OK;

    for (size_t i = 0; i < count; i++) {
        if (status == PGK_OK) {
            status = fn(ctx, &held[i].row, err);
        }
        result_drop(&held[i]);
    }
    free(held);
    return status;
}

static pgk_status list_one(struct backend *backend, enum result_state state, const pgk_uuid *job_id,
                           result_row_fn fn, void *ctx, pgk_error *err)
{
    struct held_result held;
    const struct job *job = shelf_find(shelf_read(backend), job_id);
    bool found = job != NULL && is_wanted(job, state);

    if (found) {
        result_hold(job, &held);
    }
    shelf_unlock(backend);
    if (!found) {
        return PGK_OK;
    }
    pgk_status status = fn(ctx, &held.row, err);

    result_drop(&held);
    return status;
}

static pgk_status list(struct backend *backend, enum result_state state, const pgk_uuid *job_id,
                       result_row_fn fn, void *ctx, pgk_error *err)
{
    struct held_result *held = NULL;
    size_t count = 0;

    if (job_id != NULL) {
        return list_one(backend, state, job_id, fn, ctx, err);
    }
    pgk_status status = result_hold_all(shelf_read(backend), state, &held, &count, err);

    shelf_unlock(backend);
    return status == PGK_OK ? hand_out(held, count, fn, ctx, err) : status;
}

/* ------------------------------------------------------------------ purging */

static bool is_over(const struct job *job, int64_t now_ns, int64_t retention_ms)
{
    return state_of(job) == RESULT_CLEAN &&
           (now_ns - job->result->clean_at_ns) / NS_PER_MS >= retention_ms;
}

static pgk_status purge(struct backend *backend, const struct store_write *write,
                        int64_t retention_ms, int limit, int64_t *ret_purged, pgk_error *err)
{
    struct shelf *shelf;
    int64_t purged = 0;
    pgk_status status = shelf_write(backend, write->token, "job_results.purge", &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    int64_t now_ns = clock_now_ns();

    for (size_t i = 0; i < shelf->count && purged < limit; i++) {
        struct job *job = shelf->jobs[i];

        if (is_over(job, now_ns, retention_ms)) {
            result_free(job->result);
            job->result = NULL;
            purged++;
        }
    }
    shelf_tidy_all(shelf);
    shelf_unlock(backend);
    *ret_purged = purged;
    return PGK_OK;
}

const struct job_result_ops embedded_job_results = {
    .create_dirty = create_dirty,
    .mark_clean = mark_clean,
    .state = read_state,
    .list = list,
    .purge = purge,
};
