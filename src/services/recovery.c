/*
 * services/recovery.c - pgk_ha_recover: what a new leader finds, handed out row by row.
 *
 * The caller's thread. The application's functions run with nothing locked.
 */
#include <pgkeeper/recovery.h>

#include "core/error.h"
#include "services/checkpoint_entry.h"
#include "services/job_graphs.h"
#include "services/result_entry.h"
#include "services/store_common.h"

#define ORIGIN "ha.recover"

struct recovering {
    const pgk_recovery *to;
    struct graph_recovery graphs;
    const struct call *call;
};

static pgk_status on_result(void *ctx, const struct result_row *row, pgk_error *err)
{
    const struct recovering *r = ctx;
    char reason[RESULT_REASON_SIZE];
    pgk_job_result result;

    result_from_row(row, reason, &result);
    return store_callback_answer(r->call, r->to->dirty_result(r->to->user, &result), ORIGIN, err);
}

static pgk_status on_job(void *ctx, const struct graph_row *row,
                         const struct checkpoint_row *checkpoint_row, int64_t next_checkpoint_id,
                         pgk_error *err)
{
    struct recovering *r = ctx;
    pgk_job_graph graph;
    pgk_checkpoint checkpoint;

    graph_from_row(row, &graph);
    if (checkpoint_row != NULL) {
        checkpoint_from_row(checkpoint_row, &checkpoint);
    }
    pgk_recovered_job job = {.graph = &graph,
                             .checkpoint = checkpoint_row != NULL ? &checkpoint : NULL,
                             .next_checkpoint_id = next_checkpoint_id};
    pgk_status status = store_callback_answer(r->call, r->to->job(r->to->user, &job), ORIGIN, err);

    if (status == PGK_OK) {
        status = graph_recovery_row(&r->graphs, row, graph.status != PGK_OK, err);
    }
    return status;
}

/* Comes without its metadata, which there may be, so that nothing can be said of that. */
static pgk_status on_discard(void *ctx, const struct checkpoint_row *row, pgk_error *err)
{
    const struct recovering *r = ctx;
    pgk_checkpoint checkpoint = row->checkpoint;

    if ((int)checkpoint.kind < 0 || (int)checkpoint.retention < 0) {
        checkpoint.status = PGK_ERR_CORRUPT;
        checkpoint.reason = "its kind or retention is none";
        checkpoint.pointer = NULL;
    }
    return store_callback_answer(r->call, r->to->pending_discard(r->to->user, &checkpoint), ORIGIN,
                                 err);
}

static pgk_status recover(pgk_ha *ha, struct recovering *r, const pgk_uuid *store_id,
                          pgk_error *err)
{
    const struct recovery_sink sink = {
        .ctx = r,
        .result = r->to->dirty_result != NULL ? on_result : NULL,
        .job = r->to->job != NULL ? on_job : NULL,
        .discard = r->to->pending_discard != NULL ? on_discard : NULL,
    };

    return ha->ops->recovery->recover(ha->backend, store_id, &sink, err);
}

/* With a store that is to own what it finds. */
static pgk_status recover_owned(pgk_ha *ha, pgk_job_graphs *graphs, struct recovering *r,
                                pgk_error *err)
{
    struct graph_act act;

    if (graphs->subject.ha != ha) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, ORIGIN, "graphs is of another handle");
    }
    pgk_status status = graph_act_begin(&act, graphs, NULL, ORIGIN, err);

    if (status != PGK_OK) {
        return status;
    }
    r->call = &act.call;
    status = graph_recovery_begin(&r->graphs, &act, err);
    if (status == PGK_OK) {
        status = recover(ha, r, &act.store_id, err);
        graph_recovery_end(&r->graphs, status);
    }
    graph_act_end(&act);
    return status;
}

pgk_status pgk_ha_recover(pgk_ha *ha, pgk_job_graphs *graphs, const pgk_recovery *recovery,
                          pgk_error *err)
{
    struct recovering r = {.to = recovery};
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(recovery, "recovery", ORIGIN, err);

    if (status == PGK_OK) {
        status = check_size(recovery->size, sizeof(*recovery), "recovery", ORIGIN, err);
    }
    if (status == PGK_OK && graphs != NULL) {
        status = ha_check_process(ha, ORIGIN, err);
        return status == PGK_OK ? recover_owned(ha, graphs, &r, err) : status;
    }
    if (status == PGK_OK) {
        status = call_enter(&call, ha, ORIGIN, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    r.call = &call;
    (void)graph_recovery_begin(&r.graphs, NULL, NULL);
    status = recover(ha, &r, NULL, err);
    call_leave(&call);
    return status;
}
