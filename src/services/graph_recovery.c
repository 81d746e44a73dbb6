/*
 * services/graph_recovery.c - all graphs at once: their ids, and recovering them row by row.
 *
 * The caller's thread. The application's function runs with nothing locked; what is owned is noted
 * after each row.
 */
#include <stdlib.h>

#include "core/error.h"
#include "services/job_graphs.h"
#include "services/store_common.h"

/* Locked. */
static pgk_status await_turn(const struct graph_act *act, pgk_error *err)
{
    static const char origin[] = "job_graphs.recover_all";
    const pgk_job_graphs *store = act->store;
    pgk_ha *ha = act->call.ha;

    while (store->set.recovering > 0 && act->generation == store->generation) {
        if (pthread_equal(store->recoverer, pthread_self())) {
            return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                             "the store is handing out its graphs, to this very callback");
        }
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    return act->generation == store->generation
               ? PGK_OK
               : error_set(err, PGK_ERR_ILLEGAL_STATE, origin, "the store was stopped meanwhile");
}

pgk_status graph_recovery_begin(struct graph_recovery *recovery, struct graph_act *act,
                                pgk_error *err)
{
    *recovery = (struct graph_recovery){.act = act};
    if (act == NULL) {
        return PGK_OK;
    }
    struct graph_set *set = &act->store->set;

    pthread_mutex_lock(&act->call.ha->lock);
    pgk_status status = await_turn(act, err);

    if (status == PGK_OK) {
        set->recovering++;
        recovery->mark = ++set->clock;
        recovery->entered = act->store->entered;
        act->store->recoverer = pthread_self();
    }
    pthread_mutex_unlock(&act->call.ha->lock);
    return status;
}

static pgk_status no_memory(pgk_error *err)
{
    return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs.recover_all", "no memory for a job");
}

static pgk_status remember_damaged(struct graph_recovery *recovery, const pgk_uuid *job_id,
                                   pgk_error *err)
{
    if (recovery->damaged_count == recovery->damaged_room) {
        size_t room = 2 * recovery->damaged_room + 8;
        pgk_uuid *ids = realloc(recovery->damaged, room * sizeof(*ids));

        if (ids == NULL) {
            return no_memory(err);
        }
        recovery->damaged = ids;
        recovery->damaged_room = room;
    }
    recovery->damaged[recovery->damaged_count++] = *job_id;
    return PGK_OK;
}

pgk_status graph_recovery_row(struct graph_recovery *recovery, const struct graph_row *row,
                              bool damaged, pgk_error *err)
{
    struct graph_act *act = recovery->act;
    pgk_status status = PGK_OK;

    if (act == NULL) {
        return PGK_OK;
    }
    pgk_job_graphs *store = act->store;

    pthread_mutex_lock(&act->call.ha->lock);
    struct graph_entry *entry =
        act->generation == store->generation ? graph_set_get(&store->set, &row->job_id) : NULL;

    if (act->generation != store->generation) {
        status = error_set(err, PGK_ERR_ILLEGAL_STATE, "job_graphs.recover_all",
                           "the store was stopped meanwhile");
    } else if (entry == NULL) {
        status = no_memory(err);
    }
    /* What the store itself did since the snapshot is newer than the row. */
    if (entry != NULL && !entry->acting && entry->touched <= recovery->mark) {
        if (damaged) {
            graph_set_disown(&store->set, entry, true);
            status = remember_damaged(recovery, &row->job_id, err);
        } else {
            graph_set_claim(&store->set, entry, &row->op_id, row->created, recovery->mark);
        }
    }
    pthread_mutex_unlock(&act->call.ha->lock);
    return status;
}

/* What was released while the rows came: only now has the database noted that all are owned. */
static void release_again(const struct graph_recovery *recovery)
{
    pgk_job_graphs *store = recovery->act->store;
    pgk_uuid *ids = NULL;

    pthread_mutex_lock(&store->subject.ha->lock);
    size_t count = graph_set_released(&store->set, recovery->mark, &ids);

    pthread_mutex_unlock(&store->subject.ha->lock);
    for (size_t i = 0; i < count; i++) {
        struct graph_act act;

        if (graph_act_begin(&act, store, &ids[i], "job_graphs.recover_all", NULL) == PGK_OK) {
            if (!act.owned) {
                (void)act.call.ha->ops->job_graphs->release(act.call.ha->backend, act.token,
                                                            &act.store_id, &ids[i], NULL);
            }
            graph_act_end(&act);
        }
    }
    free(ids);
}

static void release_damaged(const struct graph_recovery *recovery)
{
    const struct graph_act *act = recovery->act;

    for (size_t i = 0; i < recovery->damaged_count; i++) {
        (void)act->call.ha->ops->job_graphs->release(act->call.ha->backend, act->token,
                                                     &act->store_id, &recovery->damaged[i], NULL);
    }
}

void graph_recovery_end(struct graph_recovery *recovery, pgk_status status)
{
    struct graph_act *act = recovery->act;

    if (act == NULL) {
        return;
    }
    pgk_job_graphs *store = act->store;

    pthread_mutex_lock(&act->call.ha->lock);
    bool same = act->generation == store->generation;
    bool claimed = same && recovery->entered && status == PGK_OK;
    bool open = act->call.ha->state != HA_CLOSED; /* a row function may have closed it */

    if (same && status != PGK_OK) {
        graph_set_unclaim(&store->set, recovery->mark);
    }
    pthread_mutex_unlock(&act->call.ha->lock);
    if (claimed) {
        release_damaged(recovery);
        release_again(recovery);
    } else if (!same && recovery->entered && open) {
        (void)act->call.ha->ops->job_graphs->stop(act->call.ha->backend, &act->store_id, NULL);
    }
    free(recovery->damaged);
    pthread_mutex_lock(&act->call.ha->lock);
    graph_set_end_recovery(&store->set, store->listens);
    pthread_cond_broadcast(&act->call.ha->changed);
    pthread_mutex_unlock(&act->call.ha->lock);
}

struct handing_out {
    struct graph_recovery recovery;
    pgk_job_graph_fn fn;
    void *user;
};

static pgk_status hand_out(void *ctx, const struct graph_row *row, pgk_error *err)
{
    struct handing_out *out = ctx;
    pgk_job_graph graph;

    graph_from_row(row, &graph);
    pgk_status status = store_callback_answer(&out->recovery.act->call, out->fn(out->user, &graph),
                                              "job_graphs.recover_all", err);

    if (status == PGK_OK) {
        status = graph_recovery_row(&out->recovery, row, graph.status != PGK_OK, err);
    }
    return status;
}

pgk_status pgk_job_graphs_recover_all(pgk_job_graphs *store, pgk_job_graph_fn fn, void *user,
                                      pgk_error *err)
{
    static const char origin[] = "job_graphs.recover_all";
    struct handing_out out = {.fn = fn, .user = user};
    struct graph_act act;

    error_reset(err);
    pgk_status status =
        check_not_null(fn != NULL ? store : NULL, fn != NULL ? "store" : "fn", origin, err);

    if (status == PGK_OK) {
        status = graph_act_begin(&act, store, NULL, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = graph_recovery_begin(&out.recovery, &act, err);
    if (status == PGK_OK) {
        status = act.call.ha->ops->job_graphs->recover_all(act.call.ha->backend, &act.store_id,
                                                           hand_out, &out, err);
        graph_recovery_end(&out.recovery, status);
    }
    graph_act_end(&act);
    return status;
}

pgk_status pgk_job_graphs_list(pgk_job_graphs *store, pgk_uuid **ret_ids, size_t *ret_count,
                               pgk_error *err)
{
    static const char origin[] = "job_graphs.list";
    struct graph_id *ids = NULL;
    size_t count = 0;
    struct graph_act act;

    error_reset(err);
    pgk_status status = check_not_null(ret_ids, "ret_ids", origin, err);

    if (status == PGK_OK) {
        status = check_not_null(ret_count, "ret_count", origin, err);
    }
    if (status == PGK_OK) {
        status = graph_act_begin(&act, store, NULL, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = act.call.ha->ops->job_graphs->list(act.call.ha->backend, &ids, &count, err);
    graph_act_end(&act);
    pgk_uuid *jobs = status == PGK_OK ? calloc(count + 1, sizeof(*jobs)) : NULL;

    if (status == PGK_OK && jobs == NULL) {
        status = error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for %zu job ids", count);
    }
    for (size_t i = 0; jobs != NULL && i < count; i++) {
        jobs[i] = ids[i].job_id;
    }
    free(ids);
    if (status == PGK_OK) {
        *ret_ids = jobs;
        *ret_count = count;
    }
    return status;
}

void pgk_job_ids_free(pgk_uuid *ids)
{
    free(ids);
}
