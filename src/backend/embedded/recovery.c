/*
 * backend/embedded/recovery.c - what a new leader finds, in memory: all of it is held in one look,
 * then handed out with nothing locked. The callers' threads.
 */
#include <stdlib.h>

#include "backend/embedded/checkpoints.h"
#include "backend/embedded/graphs.h"
#include "backend/embedded/results.h"
#include "backend/embedded/store_ops.h"
#include "core/error.h"

struct held_job {
    struct held_graph graph;
    bool checkpointed;
    struct held_checkpoint checkpoint;
    int64_t next_checkpoint_id;
};

struct snapshot {
    struct held_result *results;
    size_t result_count;
    struct held_job *jobs;
    size_t job_count;
    struct held_checkpoint *discards;
    size_t discard_count;
    int64_t clock;
};

/* ------------------------------------------------------------------ with the lock */

static bool is_to_run(const struct job *job)
{
    return job->graph != NULL && job->result == NULL;
}

static void hold_job(const struct job *job, struct held_job *held)
{
    const struct checkpoint *latest = checkpoint_latest(job);

    graph_hold(job, &held->graph);
    held->checkpointed = latest != NULL;
    if (latest != NULL) {
        checkpoint_hold(job, latest, true, &held->checkpoint);
    }
    held->next_checkpoint_id = job->next_checkpoint_id >= 0 ? job->next_checkpoint_id : 1;
}

static pgk_status hold_jobs(const struct shelf *shelf, struct snapshot *snapshot, pgk_error *err)
{
    snapshot->jobs = calloc(shelf->count + 1, sizeof(*snapshot->jobs));
    if (snapshot->jobs == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "ha.recover", "no memory for %zu jobs",
                         shelf->count);
    }
    for (size_t i = 0; i < shelf->count; i++) {
        if (is_to_run(shelf->jobs[i])) {
            hold_job(shelf->jobs[i], &snapshot->jobs[snapshot->job_count++]);
        }
    }
    return PGK_OK;
}

static pgk_status take(const struct shelf *shelf, const struct recovery_sink *sink,
                       struct snapshot *snapshot, pgk_error *err)
{
    pgk_status status = PGK_OK;

    snapshot->clock = shelf->clock;
    if (sink->result != NULL) {
        status =
            result_hold_all(shelf, RESULT_DIRTY, &snapshot->results, &snapshot->result_count, err);
    }
    if (status == PGK_OK && sink->job != NULL) {
        status = hold_jobs(shelf, snapshot, err);
    }
    if (status == PGK_OK && sink->discard != NULL) {
        status =
            checkpoint_hold_discards(shelf, &snapshot->discards, &snapshot->discard_count, err);
    }
    return status;
}

/* ------------------------------------------------------------------ without the lock */

static void drop_job(struct held_job *job)
{
    graph_drop(&job->graph);
    if (job->checkpointed) {
        checkpoint_drop(&job->checkpoint);
    }
}

/* Each is dropped as soon as it has been handed out, or is not to be. */
static pgk_status hand_out(const struct recovery_sink *sink, struct snapshot *snapshot,
                           pgk_status status, pgk_error *err)
{
    for (size_t i = 0; i < snapshot->result_count; i++) {
        if (status == PGK_OK) {
            status = sink->result(sink->ctx, &snapshot->results[i].row, err);
        }
        result_drop(&snapshot->results[i]);
    }
    for (size_t i = 0; i < snapshot->job_count; i++) {
        struct held_job *job = &snapshot->jobs[i];

        if (status == PGK_OK) {
            status = sink->job(sink->ctx, &job->graph.row,
                               job->checkpointed ? &job->checkpoint.row : NULL,
                               job->next_checkpoint_id, err);
        }
        drop_job(job);
    }
    for (size_t i = 0; i < snapshot->discard_count; i++) {
        if (status == PGK_OK) {
            status = sink->discard(sink->ctx, &snapshot->discards[i].row, err);
        }
        checkpoint_drop(&snapshot->discards[i]);
    }
    free(snapshot->results);
    free(snapshot->jobs);
    free(snapshot->discards);
    return status;
}

pgk_status embedded_recover(struct backend *backend, const pgk_uuid *store_id,
                            const struct recovery_sink *sink, pgk_error *err)
{
    struct snapshot snapshot = {.results = NULL};
    pgk_status status = take(shelf_read(backend), sink, &snapshot, err);

    shelf_unlock(backend);
    status = hand_out(sink, &snapshot, status, err);
    if (status == PGK_OK && sink->job != NULL && store_id != NULL) {
        graph_claim_all(shelf_read(backend), store_id, snapshot.clock);
        shelf_unlock(backend);
    }
    return status;
}
