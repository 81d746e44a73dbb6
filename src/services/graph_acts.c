/*
 * services/graph_acts.c - what a job graph store does with graphs: checks, digests, and what it
 * owns.
 *
 * Any thread. Calls on one graph of one store take turns; the database is asked without the lock.
 */
#include <pgkeeper/job_graph.h>

#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/error.h"
#include "services/job_graphs.h"

/* ------------------------------------------------------------------ a call */

/* Locked. */
static pgk_status check_started(const pgk_job_graphs *store, const char *origin, pgk_error *err)
{
    return store->subject.state == SUBJECT_STARTED
               ? PGK_OK
               : error_set(err, PGK_ERR_ILLEGAL_STATE, origin, "the store is %s",
                           store->subject.state == SUBJECT_NEW ? "not started" : "stopped");
}

/* Locked. Waits for the turn. */
static pgk_status take_entry(struct graph_act *act, const pgk_uuid *job_id, const char *origin,
                             pgk_error *err)
{
    pgk_job_graphs *store = act->store;
    pgk_ha *ha = store->subject.ha;
    struct graph_entry *entry = graph_set_get(&store->set, job_id);

    while (entry != NULL && entry->acting) {
        pthread_cond_wait(&ha->changed, &ha->lock);
        pgk_status status = check_started(store, origin, err);

        if (status != PGK_OK) {
            return status;
        }
        entry = graph_set_get(&store->set, job_id);
    }
    if (entry == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a job");
    }
    entry->acting = true;
    act->entry = entry;
    act->owned = entry->owned;
    act->op_id = entry->op_id;
    act->unsure_count = entry->unsure_count;
    if (entry->unsure_count > 0) {
        memcpy(act->unsure, entry->unsure, entry->unsure_count * sizeof(*entry->unsure));
    }
    return PGK_OK;
}

pgk_status graph_act_begin(struct graph_act *act, pgk_job_graphs *store, const pgk_uuid *job_id,
                           const char *origin, pgk_error *err)
{
    memset(act, 0, sizeof(*act));
    act->store = store;
    pgk_status status = check_not_null(store, "store", origin, err);

    if (status == PGK_OK) {
        status = call_enter(&act->call, store->subject.ha, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&act->call.ha->lock);
    status = check_started(store, origin, err);
    if (status == PGK_OK && job_id != NULL) {
        status = take_entry(act, job_id, origin, err);
    }
    act->token = store->fenced ? &store->token : NULL;
    act->store_id = store->store_id;
    act->generation = store->generation;
    pthread_mutex_unlock(&act->call.ha->lock);
    if (status != PGK_OK) {
        call_leave(&act->call);
    }
    return status;
}

void graph_act_end(struct graph_act *act)
{
    pgk_job_graphs *store = act->store;

    pthread_mutex_lock(&act->call.ha->lock);
    if (act->entry != NULL) {
        act->entry->acting = false;
        act->entry->touched = ++store->set.clock;
        graph_set_tidy(&store->set, act->entry, store->listens);
    }
    pthread_mutex_unlock(&act->call.ha->lock);
    call_leave(&act->call); /* wakes those who wait for the turn */
}

/* What the call has done is noted, unless the store was stopped meanwhile. NULL: no longer owned. */
static void note(struct graph_act *act, const pgk_uuid *op_id, int64_t created, bool there)
{
    pgk_job_graphs *store = act->store;

    pthread_mutex_lock(&act->call.ha->lock);
    if (act->generation == store->generation && op_id != NULL) {
        graph_set_own(&store->set, act->entry, op_id, created);
    } else if (act->generation == store->generation) {
        graph_set_disown(&store->set, act->entry, there);
    }
    pthread_mutex_unlock(&act->call.ha->lock);
}

void graph_act_gone(struct graph_act *act)
{
    note(act, NULL, 0, false);
}

static void note_unsure(struct graph_act *act, const pgk_uuid *op_id)
{
    pthread_mutex_lock(&act->call.ha->lock);
    if (act->generation == act->store->generation) {
        graph_set_doubt(act->entry, op_id);
    }
    pthread_mutex_unlock(&act->call.ha->lock);
}

static struct store_write new_write(const struct graph_act *act)
{
    struct store_write write = {.token = act->token};

    pgk_uuid_new(&write.op_id);
    return write;
}

static const struct job_graph_ops *ops_of(const struct graph_act *act)
{
    return act->call.ha->ops->job_graphs;
}

/* ------------------------------------------------------------------ writes */

/* Any write of unknown outcome may have been done: then it is the one to go on from. */
static pgk_status put(const struct graph_act *act, const struct store_write *write, graph_put_fn fn,
                      void *ctx, pgk_error *err)
{
    for (size_t i = act->unsure_count; i > 0; i--) {
        pgk_status status = fn(act, write, &act->unsure[i - 1], ctx, err);

        if (status != PGK_ERR_CONFLICT) {
            return status;
        }
        error_reset(err);
    }
    return fn(act, write, act->owned ? &act->op_id : NULL, ctx, err);
}

pgk_status graph_act_put(struct graph_act *act, graph_put_fn fn, void *ctx, pgk_error *err)
{
    struct store_write write = new_write(act);
    pgk_status status = put(act, &write, fn, ctx, err);

    if (status == PGK_OK) {
        note(act, &write.op_id, 0, true);
    } else if (status == PGK_ERR_OUTCOME_UNKNOWN) {
        note_unsure(act, &write.op_id);
    }
    return status;
}

static pgk_status put_plain(const struct graph_act *act, const struct store_write *write,
                            const pgk_uuid *known, void *ctx, pgk_error *err)
{
    return ops_of(act)->put(act->call.ha->backend, write, &act->store_id, &act->entry->job_id,
                            known, ctx, err);
}

pgk_status pgk_job_graphs_put(pgk_job_graphs *store, const pgk_uuid *job_id, const void *graph,
                              size_t graph_bytes, pgk_error *err)
{
    static const char origin[] = "job_graphs.put";
    uint8_t digest[DIGEST_BYTES];
    struct store_bytes bytes;
    struct graph_act act;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = check_bytes(graph, graph_bytes, PGK_GRAPH_MAX_BYTES, "graph", origin, err);
    }
    if (status == PGK_OK) {
        status = bytes_make(graph, graph_bytes, digest, &bytes, err);
    }
    if (status == PGK_OK) {
        status = graph_act_begin(&act, store, job_id, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = graph_act_put(&act, put_plain, &bytes, err);
    graph_act_end(&act);
    return status;
}

pgk_status pgk_job_graphs_put_requirements(pgk_job_graphs *store, const pgk_uuid *job_id,
                                           const void *requirements, size_t requirements_bytes,
                                           pgk_error *err)
{
    static const char origin[] = "job_graphs.put_requirements";
    uint8_t digest[DIGEST_BYTES];
    struct store_bytes bytes;
    struct graph_act act;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = check_bytes(requirements, requirements_bytes, PGK_GRAPH_MAX_BYTES, "requirements",
                             origin, err);
    }
    if (status == PGK_OK) {
        status = bytes_make(requirements, requirements_bytes, digest, &bytes, err);
    }
    if (status == PGK_OK) {
        status = graph_act_begin(&act, store, NULL, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    struct store_write write = new_write(&act);

    status = ops_of(&act)->put_requirements(act.call.ha->backend, &write, job_id, &bytes, err);
    graph_act_end(&act);
    return status;
}

/* Begins an act whose only argument is the job. */
static pgk_status begin_on_job(struct graph_act *act, pgk_job_graphs *store, const pgk_uuid *job_id,
                               const char *origin, pgk_error *err)
{
    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    return status == PGK_OK ? graph_act_begin(act, store, job_id, origin, err) : status;
}

pgk_status pgk_job_graphs_release(pgk_job_graphs *store, const pgk_uuid *job_id, pgk_error *err)
{
    static const char origin[] = "job_graphs.release";
    struct graph_act act;

    pgk_status status = begin_on_job(&act, store, job_id, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&act.call.ha->lock);
    graph_set_release(&store->set, act.entry);
    pthread_mutex_unlock(&act.call.ha->lock);
    status = ops_of(&act)->release(act.call.ha->backend, act.token, &act.store_id, job_id, err);
    if (status == PGK_OK) {
        note(&act, NULL, 0, true);
    }
    graph_act_end(&act);
    return status;
}

static pgk_status remove_graph(struct graph_act *act, pgk_error *err)
{
    struct backend *backend = act->call.ha->backend;
    const pgk_uuid *job_id = &act->entry->job_id;
    struct store_write write = new_write(act);

    for (size_t i = act->unsure_count; i > 0; i--) {
        pgk_status status =
            ops_of(act)->remove(backend, &write, &act->store_id, job_id, &act->unsure[i - 1], err);

        if (status != PGK_ERR_CONFLICT) {
            return status;
        }
        error_reset(err);
    }
    return ops_of(act)->remove(backend, &write, &act->store_id, job_id,
                               act->owned ? &act->op_id : NULL, err);
}

pgk_status pgk_job_graphs_remove(pgk_job_graphs *store, const pgk_uuid *job_id, pgk_error *err)
{
    static const char origin[] = "job_graphs.remove";
    struct graph_act act;

    pgk_status status = begin_on_job(&act, store, job_id, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = remove_graph(&act, err);
    if (status == PGK_OK) {
        note(&act, NULL, 0, false);
    }
    graph_act_end(&act);
    return status;
}

/* ------------------------------------------------------------------ one graph */

void graph_from_row(const struct graph_row *row, pgk_job_graph *ret_graph)
{
    pgk_job_graph graph = {
        .job_id = row->job_id, .status = PGK_ERR_CORRUPT, .version = row->version};

    if (!bytes_match(&row->graph)) {
        graph.reason = "the graph differs from its SHA-256";
    } else if ((row->requirements.data != NULL || row->requirements.digest != NULL) &&
               !bytes_match(&row->requirements)) {
        graph.reason = "the resource requirements differ from their SHA-256";
    } else {
        graph.status = PGK_OK;
        graph.epoch = row->epoch;
        graph.graph = row->graph.data;
        graph.graph_bytes = row->graph.length;
        graph.requirements = row->requirements.data;
        graph.requirements_bytes = row->requirements.length;
    }
    *ret_graph = graph;
}

struct keeping {
    pgk_job_graph *kept; /* NULL: damaged */
    const char *reason;
    pgk_uuid op_id;
    int64_t created;
};

/* A copy of all in one piece of memory. */
static pgk_status keep(void *ctx, const struct graph_row *row, pgk_error *err)
{
    struct keeping *keeping = ctx;
    pgk_job_graph graph;

    graph_from_row(row, &graph);
    keeping->op_id = row->op_id;
    keeping->created = row->created;
    keeping->reason = graph.reason;
    if (graph.status != PGK_OK) {
        return PGK_OK;
    }
    pgk_job_graph *kept = malloc(sizeof(*kept) + graph.graph_bytes + graph.requirements_bytes);

    if (kept == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs.recover",
                         "no memory for a graph of %zu bytes", graph.graph_bytes);
    }
    uint8_t *bytes = (uint8_t *)(kept + 1);

    *kept = graph;
    memcpy(bytes, graph.graph, graph.graph_bytes);
    kept->graph = bytes;
    if (graph.requirements != NULL) {
        memcpy(bytes + graph.graph_bytes, graph.requirements, graph.requirements_bytes);
        kept->requirements = bytes + graph.graph_bytes;
    }
    keeping->kept = kept;
    return PGK_OK;
}

/* Reading it has made it owned, in the database. */
static pgk_status give_back(struct graph_act *act, const char *reason, const char *origin,
                            pgk_error *err)
{
    char hex[PGK_UUID_HEX_SIZE];
    pgk_uuid job_id = act->entry->job_id;

    (void)ops_of(act)->release(act->call.ha->backend, act->token, &act->store_id, &job_id, NULL);
    note(act, NULL, 0, true);
    pgk_uuid_format_hex(&job_id, hex);
    return error_set(err, PGK_ERR_CORRUPT, origin, "graph %s is damaged: %s", hex, reason);
}

pgk_status pgk_job_graphs_recover(pgk_job_graphs *store, const pgk_uuid *job_id,
                                  pgk_job_graph **ret_graph, pgk_error *err)
{
    static const char origin[] = "job_graphs.recover";
    struct keeping keeping = {.kept = NULL};
    struct graph_act act;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = check_not_null(ret_graph, "ret_graph", origin, err);
    }
    if (status == PGK_OK) {
        status = graph_act_begin(&act, store, job_id, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = ops_of(&act)->recover(act.call.ha->backend, act.token, &act.store_id, job_id, keep,
                                   &keeping, err);
    if (status == PGK_OK && keeping.kept == NULL) {
        status = give_back(&act, keeping.reason, origin, err);
    } else if (status == PGK_OK) {
        note(&act, &keeping.op_id, keeping.created, true);
        *ret_graph = keeping.kept;
    } else {
        free(keeping.kept);
    }
    graph_act_end(&act);
    return status;
}

void pgk_job_graph_free(pgk_job_graph *graph)
{
    free(graph);
}
