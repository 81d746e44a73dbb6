/*
 * backend/embedded/graphs.c - the job graph store in memory. What listens for changes is in
 * graph_watch.c, who owns what in graph_owners.c.
 *
 * The callers' threads.
 */
#include "backend/embedded/graphs.h"

#include <stdlib.h>

#include "backend/embedded/graph_owners.h"
#include "backend/embedded/graph_watch.h"
#include "backend/embedded/space.h"
#include "backend/embedded/store_ops.h"
#include "core/error.h"

#define ORIGIN "job_graphs"

static pgk_status named(pgk_error *err, pgk_status status, const pgk_uuid *job_id, const char *what)
{
    char hex[PGK_UUID_HEX_SIZE];
    pgk_uuid_format_hex(job_id, hex);
    return error_set(err, status, ORIGIN, "graph %s %s", hex, what);
}

static pgk_status missing(pgk_error *err, const pgk_uuid *job_id)
{
    return named(err, PGK_ERR_NOT_FOUND, job_id, "is not there");
}

void graph_free(struct graph *graph)
{
    if (graph == NULL) {
        return;
    }
    parcel_drop(graph->bytes);
    parcel_drop(graph->requirements);
    free(graph->owners.numbers);
    free(graph->disowned.numbers);
    free(graph);
}

/* ------------------------------------------------------------------ putting */

pgk_status graph_make(const struct store_bytes *bytes, struct graph_making *making, pgk_error *err)
{
    struct graph *graph = calloc(1, sizeof(*graph));
    pgk_status status = graph != NULL && number_list_reserve(&graph->owners)
                            ? parcel_new(bytes, &graph->bytes, err)
                            : error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a graph");
    if (status != PGK_OK) {
        graph_free(graph);
        graph = NULL;
    }
    making->graph = graph;
    return status;
}

pgk_status graph_check_put(const struct job *job, const pgk_uuid *job_id, const pgk_uuid *known,
                           pgk_error *err)
{
    if (job == NULL || job->graph == NULL ||
        (known != NULL && pgk_uuid_compare(&job->graph->op_id, known) == 0)) {
        return PGK_OK;
    }
    if (known == NULL) {
        return named(err, PGK_ERR_ALREADY_EXISTS, job_id,
                     "is there and this store does not own it; recover it first");
    }
    return named(err, PGK_ERR_CONFLICT, job_id,
                 "was changed by somebody else since this store knew it; recover it to see");
}

/* Only the bytes change hands: who owns it, and the requirements, stay. */
static void replace(struct graph *graph, struct graph *by)
{
    struct parcel *former = graph->bytes;
    graph->bytes = by->bytes;
    by->bytes = former;
    graph->version++;
}

void graph_put(struct shelf *shelf, struct job *job, struct graph_making *making,
               const struct store_write *write, const pgk_uuid *store_id)
{
    bool anew = job->graph == NULL;
    if (anew) {
        job->graph = making->graph;
        making->graph = NULL;
        job->graph->version = 1;
        job->graph->created = ++shelf->clock;
        graph_own_new(shelf, job->graph, store_id);
    } else {
        replace(job->graph, making->graph);
    }
    job->graph->op_id = write->op_id;
    job->graph->epoch = shelf_epoch(write);
    if (anew) {
        graphs_changed(shelf, store_id);
    }
}

void graph_unmake(struct graph_making *making)
{
    graph_free(making->graph);
    making->graph = NULL;
}

static pgk_status put(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *store_id, const pgk_uuid *job_id, const pgk_uuid *known,
                      const struct store_bytes *bytes, pgk_error *err)
{
    struct graph_making making;
    struct shelf *shelf;
    struct job *job;
    pgk_status status = graph_make(bytes, &making, err);
    if (status != PGK_OK) {
        return status;
    }
    status = shelf_write(backend, write->token, ORIGIN, &shelf, err);
    if (status == PGK_OK) {
        status = graph_check_put(shelf_find(shelf, job_id), job_id, known, err);
        if (status == PGK_OK) {
            status = shelf_get(shelf, job_id, &job, err);
        }
        if (status == PGK_OK) {
            graph_put(shelf, job, &making, write, store_id);
        }
        shelf_unlock(backend);
    }
    graph_unmake(&making);
    return status;
}

static pgk_status put_requirements(struct backend *backend, const struct store_write *write,
                                   const pgk_uuid *job_id, const struct store_bytes *requirements,
                                   pgk_error *err)
{
    struct parcel *parcel = NULL;
    struct shelf *shelf;
    pgk_status status = parcel_new(requirements, &parcel, err);
    if (status == PGK_OK) {
        status = shelf_write(backend, write->token, ORIGIN, &shelf, err);
    }
    if (status == PGK_OK) {
        const struct job *job = shelf_find(shelf, job_id);
        if (job != NULL && job->graph != NULL) {
            struct parcel *former = job->graph->requirements;
            job->graph->requirements = parcel;
            parcel = former;
        } else {
            status = missing(err, job_id);
        }
        shelf_unlock(backend);
    }
    parcel_drop(parcel);
    return status;
}

/* ------------------------------------------------------------------ recovering */

void graph_hold(const struct job *job, struct held_graph *ret_held)
{
    const struct graph *graph = job->graph;
    *ret_held = (struct held_graph){.bytes = parcel_hold(graph->bytes),
                                    .requirements = parcel_hold(graph->requirements)};
    ret_held->row = (struct graph_row){.job_id = job->job_id,
                                       .op_id = graph->op_id,
                                       .created = graph->created,
                                       .version = graph->version,
                                       .epoch = graph->epoch,
                                       .graph = parcel_bytes(graph->bytes),
                                       .requirements = parcel_bytes(graph->requirements)};
}

void graph_drop(struct held_graph *held)
{
    parcel_drop(held->bytes);
    parcel_drop(held->requirements);
}

/* With the lock. *ret_owned: the store owns it only since now. */
static pgk_status look(struct shelf *shelf, const pgk_uuid *store_id, const pgk_uuid *job_id,
                       struct held_graph *held, bool *ret_owned, pgk_error *err)
{
    const struct job *job = shelf_find(shelf, job_id);
    if (job == NULL || job->graph == NULL) {
        return missing(err, job_id);
    }
    pgk_status status = graph_own(shelf, job->graph, store_id, ret_owned, err);
    if (status == PGK_OK) {
        graph_hold(job, held);
    }
    return status;
}

/* It was not taken: that it is owned is undone, as if nothing had been asked. */
static void disown(struct backend *backend, const pgk_uuid *store_id, const struct graph_row *row)
{
    struct shelf *shelf = shelf_read(backend);
    const struct job *job = shelf_find(shelf, &row->job_id);
    if (job != NULL && job->graph != NULL && job->graph->created == row->created) {
        graph_disown(shelf, job->graph, store_id);
    }
    shelf_unlock(backend);
}

pgk_status embedded_graph_recover(struct backend *backend, const pgk_token *token,
                                  const pgk_uuid *store_id, const pgk_uuid *job_id, graph_row_fn fn,
                                  void *ctx, pgk_error *err)
{
    struct held_graph held;
    struct shelf *shelf;
    bool owned = false;
    pgk_status status = shelf_write(backend, token, ORIGIN, &shelf, err);
    if (status != PGK_OK) {
        return status;
    }
    status = look(shelf, store_id, job_id, &held, &owned, err);
    shelf_unlock(backend);
    if (status != PGK_OK) {
        return status;
    }
    status = fn(ctx, &held.row, err);
    if (status != PGK_OK && owned) {
        disown(backend, store_id, &held.row);
    }
    graph_drop(&held);
    return status;
}

/* All of them, of one moment. With the lock. */
static pgk_status hold_all(const struct shelf *shelf, struct held_graph **ret_held,
                           size_t *ret_count, pgk_error *err)
{
    struct held_graph *held = calloc(shelf->count + 1, sizeof(*held));
    size_t count = 0;
    if (held == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu jobs", shelf->count);
    }
    for (size_t i = 0; i < shelf->count; i++) {
        if (shelf->jobs[i]->graph != NULL) {
            graph_hold(shelf->jobs[i], &held[count++]);
        }
    }
    *ret_held = held;
    *ret_count = count;
    return PGK_OK;
}

pgk_status embedded_graph_recover_all(struct backend *backend, const pgk_uuid *store_id,
                                      graph_row_fn fn, void *ctx, pgk_error *err)
{
    struct held_graph *held = NULL;
    size_t count = 0;
    struct shelf *shelf = shelf_read(backend);
    int64_t seen = shelf->clock;
    pgk_status status = hold_all(shelf, &held, &count, err);
    shelf_unlock(backend);
    for (size_t i = 0; i < count; i++) {
        if (status == PGK_OK) {
            status = fn(ctx, &held[i].row, err);
        }
        graph_drop(&held[i]);
    }
    free(held);
    if (status == PGK_OK) {
        shelf = shelf_read(backend);
        graph_claim_all(shelf, store_id, seen);
        shelf_unlock(backend);
    }
    return status;
}

pgk_status graph_list(const struct shelf *shelf, struct graph_id **ret_ids, size_t *ret_count,
                      pgk_error *err)
{
    struct graph_id *ids = shelf->count > 0 ? calloc(shelf->count, sizeof(*ids)) : NULL;
    size_t count = 0;
    if (shelf->count > 0 && ids == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu job ids", shelf->count);
    }
    for (size_t i = 0; i < shelf->count; i++) {
        const struct job *job = shelf->jobs[i];
        if (job->graph != NULL) {
            ids[count++] = (struct graph_id){
                .job_id = job->job_id, .op_id = job->graph->op_id, .created = job->graph->created};
        }
    }
    if (count == 0) {
        free(ids);
        ids = NULL;
    }
    *ret_ids = ids;
    *ret_count = count;
    return PGK_OK;
}

pgk_status embedded_graph_list(struct backend *backend, struct graph_id **ret_ids,
                               size_t *ret_count, pgk_error *err)
{
    const struct shelf *shelf = shelf_read(backend);
    pgk_status status = graph_list(shelf, ret_ids, ret_count, err);
    shelf_unlock(backend);
    return status;
}

/* ------------------------------------------------------------------ letting go */

pgk_status embedded_graph_release(struct backend *backend, const pgk_token *token,
                                  const pgk_uuid *store_id, const pgk_uuid *job_id, pgk_error *err)
{
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, token, ORIGIN, &shelf, err);
    if (status != PGK_OK) {
        return status;
    }
    const struct job *job = shelf_find(shelf, job_id);
    if (job != NULL && job->graph != NULL) {
        status = graph_release(shelf, job->graph, store_id, err);
    }
    shelf_unlock(backend);
    return status;
}

struct graph *graph_take(struct shelf *shelf, struct job *job, const pgk_uuid *but_for)
{
    struct graph *graph = job != NULL ? job->graph : NULL;
    if (graph != NULL) {
        job->graph = NULL;
        graphs_changed(shelf, but_for);
    }
    return graph;
}

pgk_status embedded_graph_remove(struct backend *backend, const struct store_write *write,
                                 const pgk_uuid *store_id, const pgk_uuid *job_id,
                                 const pgk_uuid *known, pgk_error *err)
{
    struct shelf *shelf;
    struct graph *gone = NULL;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);
    if (status != PGK_OK) {
        return status;
    }
    struct job *job = shelf_find(shelf, job_id);
    if (job != NULL && job->graph != NULL) {
        if (graph_has_live_owner(shelf, shelf_space(backend), job, store_id)) {
            status = named(err, PGK_ERR_CONFLICT, job_id, "is owned by another live store");
        } else if (known != NULL && pgk_uuid_compare(&job->graph->op_id, known) != 0) {
            status = named(err, PGK_ERR_CONFLICT, job_id,
                           "was changed by somebody else since this store knew it; recover it to "
                           "see");
        } else {
            gone = graph_take(shelf, job, store_id);
            shelf_tidy(shelf, job);
        }
    }
    shelf_unlock(backend);
    graph_free(gone);
    return status;
}

/* ------------------------------------------------------------------ stores */

pgk_status embedded_graph_start(struct backend *backend, const pgk_token *token,
                                const pgk_uuid *store_id, bool listening, pgk_error *err)
{
    struct shelf *shelf;
    (void)listening; /* watch() tells */
    pgk_status status = shelf_write(backend, token, ORIGIN, &shelf, err);
    if (status == PGK_OK) {
        status = graph_store_enter(shelf, shelf_space(backend), token, store_id, err);
        shelf_unlock(backend);
    }
    return status;
}

pgk_status embedded_graph_stop(struct backend *backend, const pgk_uuid *store_id, pgk_error *err)
{
    (void)err;
    graph_store_end(shelf_read(backend), store_id);
    shelf_unlock(backend);
    return PGK_OK;
}

const struct job_graph_ops embedded_job_graphs = {
    .start = embedded_graph_start,
    .stop = embedded_graph_stop,
    .put = put,
    .put_requirements = put_requirements,
    .recover = embedded_graph_recover,
    .recover_all = embedded_graph_recover_all,
    .list = embedded_graph_list,
    .release = embedded_graph_release,
    .remove = embedded_graph_remove,
    .watch = graphs_watch,
    .unwatch = graphs_unwatch,
};
