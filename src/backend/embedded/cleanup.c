/*
 * backend/embedded/cleanup.c - cleaning up a job, or all that is stored, in memory. The callers'
 * threads.
 *
 * Leader records need no clean-up here: there is none but of a tenure that is on, and its leader
 * would restore it.
 */
#include "backend/embedded/blobs.h"
#include "backend/embedded/checkpoints.h"
#include "backend/embedded/graph_owners.h"
#include "backend/embedded/results.h"
#include "backend/embedded/store_ops.h"

#define ORIGIN "cleanup"

static pgk_status cleanup_job(struct backend *backend, const struct store_write *write,
                              const pgk_uuid *job_id, int64_t *ret_dropped, pgk_error *err)
{
    struct shelf *shelf;
    struct graph *gone = NULL;
    int64_t dropped = 0;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct job *job = shelf_find(shelf, job_id);

    if (job != NULL) {
        gone = graph_take(shelf, job, NULL);
        dropped = checkpoints_clear(&job->checkpoints);
        blobs_clear(&job->blobs);
        job->next_checkpoint_id = -1;
        job->scheduling = PGK_SCHEDULING_PENDING;
        shelf_tidy(shelf, job);
    }
    shelf_unlock(backend);
    graph_free(gone);
    *ret_dropped = dropped;
    return PGK_OK;
}

/* ------------------------------------------------------------------ the cluster */

/* Removes up to `limit` entries of one kind, of any jobs; returns how many. */
typedef int64_t (*part_fn)(struct shelf *shelf, int64_t limit);

static int64_t remove_graphs(struct shelf *shelf, int64_t limit)
{
    int64_t removed = 0;

    for (size_t i = 0; i < shelf->count && removed < limit; i++) {
        struct graph *graph = graph_take(shelf, shelf->jobs[i], NULL);

        removed += graph != NULL;
        graph_free(graph);
    }
    return removed;
}

static int64_t remove_checkpoints(struct shelf *shelf, int64_t limit)
{
    int64_t removed = 0;

    for (size_t i = 0; i < shelf->count && removed < limit; i++) {
        removed += checkpoints_trim(&shelf->jobs[i]->checkpoints, limit - removed);
    }
    return removed;
}

static int64_t remove_counters(struct shelf *shelf, int64_t limit)
{
    int64_t removed = 0;

    for (size_t i = 0; i < shelf->count && removed < limit; i++) {
        removed += shelf->jobs[i]->next_checkpoint_id >= 0;
        shelf->jobs[i]->next_checkpoint_id = -1;
    }
    return removed;
}

static int64_t remove_registry(struct shelf *shelf, int64_t limit)
{
    int64_t removed = 0;

    for (size_t i = 0; i < shelf->count && removed < limit; i++) {
        removed += shelf->jobs[i]->scheduling != PGK_SCHEDULING_PENDING;
        shelf->jobs[i]->scheduling = PGK_SCHEDULING_PENDING;
    }
    return removed;
}

static int64_t remove_results(struct shelf *shelf, int64_t limit)
{
    int64_t removed = 0;

    for (size_t i = 0; i < shelf->count && removed < limit; i++) {
        removed += shelf->jobs[i]->result != NULL;
        result_free(shelf->jobs[i]->result);
        shelf->jobs[i]->result = NULL;
    }
    return removed;
}

static int64_t remove_blobs(struct shelf *shelf, int64_t limit)
{
    int64_t removed = blobs_trim(&shelf->blobs, limit);

    for (size_t i = 0; i < shelf->count && removed < limit; i++) {
        removed += blobs_trim(&shelf->jobs[i]->blobs, limit - removed);
    }
    return removed;
}

/* What points goes before what is pointed to; the results before the blobs, which no job needs then,
 * and after all else, so that no job is started again meanwhile. */
static const part_fn parts[] = {remove_graphs,   remove_checkpoints, remove_counters,
                                remove_registry, remove_results,     remove_blobs};

static pgk_status cleanup_cluster(struct backend *backend, const struct store_write *write,
                                  int limit, int64_t *ret_removed, bool *ret_more, pgk_error *err)
{
    struct shelf *shelf;
    int64_t removed = 0;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        removed += parts[i](shelf, limit - removed);
    }
    shelf_tidy_all(shelf);
    bool more = shelf->count > 0 || shelf->blobs.count > 0;

    if (!more) {
        removed += graph_stores_end_dead(shelf, shelf_space(backend));
    }
    shelf_unlock(backend);
    *ret_removed = removed;
    *ret_more = more;
    return PGK_OK;
}

const struct recovery_ops embedded_recovery = {
    .recover = embedded_recover,
    .cleanup_job = cleanup_job,
    .cleanup_cluster = cleanup_cluster,
};
