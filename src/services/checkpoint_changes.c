/*
 * services/checkpoint_changes.c - adding a checkpoint with what it subsumes, and the shutdown. Any thread; round trips
 * are made without the lock, and take turns.
 */
#include <pgkeeper/checkpoint.h>

#include <stdlib.h>
#include <string.h>

#include "services/checkpoint_entry.h"
#include "services/checkpoints.h"

/* Inside a call: the turn to change the list. */
static void take_turn(pgk_checkpoints *checkpoints)
{
    pgk_ha *ha = checkpoints->store.ha;

    pthread_mutex_lock(&ha->lock);
    while (checkpoints->busy) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    checkpoints->busy = true;
    pthread_mutex_unlock(&ha->lock);
}

static void give_turn(pgk_checkpoints *checkpoints)
{
    pgk_ha *ha = checkpoints->store.ha;

    pthread_mutex_lock(&ha->lock);
    checkpoints->busy = false;
    pthread_cond_broadcast(&ha->changed);
    pthread_mutex_unlock(&ha->lock);
}

/* What an add would make of the list. */
struct plan {
    struct rule_entry *list;
    size_t count;
    int64_t *discard; /* in one array with retain */
    size_t discard_count;
    int64_t *retain;
    size_t retain_count;
};

static void free_plan(struct plan *plan)
{
    free(plan->list);
    free(plan->discard);
}

/* Puts the new one into its place, unless it is there: one whose first add got no answer. Returns
 * the count. */
static size_t insert(struct rule_entry *list, size_t count, const pgk_checkpoint *checkpoint)
{
    size_t at = count;

    for (size_t i = 0; i < count; i++) {
        if (list[i].checkpoint_id == checkpoint->checkpoint_id) {
            return count;
        }
    }
    while (at > 0 && list[at - 1].checkpoint_id > checkpoint->checkpoint_id) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] =
        (struct rule_entry){.checkpoint_id = checkpoint->checkpoint_id, .kind = checkpoint->kind};
    return count + 1;
}

/* With the turn. The list is not changed by others meanwhile. */
static pgk_status make_plan(const pgk_checkpoints *checkpoints, const pgk_checkpoint *checkpoint,
                            struct plan *plan, pgk_error *err)
{
    size_t count = checkpoints->count + 1;

    *plan = (struct plan){.list = calloc(count, sizeof(*plan->list)),
                          .discard = calloc(count * 2, sizeof(*plan->discard)),
                          .count = 0};
    if (plan->list == NULL || plan->discard == NULL) {
        free_plan(plan);
        return error_set(err, PGK_ERR_NO_MEMORY, "checkpoints.add", "no memory for the list");
    }
    plan->retain = plan->discard + count;
    memcpy(plan->list, checkpoints->list, checkpoints->count * sizeof(*plan->list));
    count = insert(plan->list, checkpoints->count, checkpoint);
    checkpoint_rules_subsume(plan->list, count, checkpoint->checkpoint_id,
                             checkpoints->max_retained);
    for (size_t i = 0; i < count; i++) {
        int64_t id = plan->list[i].checkpoint_id;

        if (!plan->list[i].leaves) {
            plan->list[plan->count++] = plan->list[i];
        } else if (checkpoint_rules_discards(plan->list[i].kind)) {
            plan->discard[plan->discard_count++] = id;
        } else {
            plan->retain[plan->retain_count++] = id;
        }
    }
    return PGK_OK;
}

static pgk_status write_add(pgk_checkpoints *checkpoints, const struct store_key *key,
                            const struct checkpoint_row *row, const struct plan *plan,
                            bool *ret_as_planned, pgk_error *err)
{
    struct store *store = &checkpoints->store;
    const pgk_ha *ha = store->ha;
    struct store_write write = store_new_write(store);

    store_resume(store, &write, key);
    pgk_status status =
        ha->ops->checkpoints->add(ha->backend, &write, row, plan->discard, plan->discard_count,
                                  plan->retain, plan->retain_count, ret_as_planned, err);

    return store_settle(store, &write, status, key);
}

/* With the turn: what the write made of the list, or may have. */
static void note_added(pgk_checkpoints *checkpoints, struct plan *plan, pgk_status status,
                       bool as_planned)
{
    pgk_ha *ha = checkpoints->store.ha;
    bool moves = plan->discard_count > 0 || (status == PGK_OK && !as_planned);

    pthread_mutex_lock(&ha->lock);
    if (status == PGK_OK && as_planned) {
        struct rule_entry *former = checkpoints->list;

        checkpoints->list = plan->list;
        checkpoints->count = plan->count;
        plan->list = former;
    }
    if (moves && (status == PGK_OK || status == PGK_ERR_OUTCOME_UNKNOWN)) {
        checkpoints->may_discard = true;
    }
    pthread_mutex_unlock(&ha->lock);
    checkpoints->stale = status != PGK_OK || !as_planned; /* read and written with the turn only */
}

/* With the turn. */
static pgk_status add_in_turn(pgk_checkpoints *checkpoints, const pgk_checkpoint *checkpoint,
                              const uint8_t *digest, const struct checkpoint_row *row,
                              pgk_error *err)
{
    struct plan plan;
    bool as_planned = false;
    struct store_key key = {.job_id = checkpoints->job_id,
                            .numbers = {checkpoint->checkpoint_id, (int64_t)checkpoint->kind,
                                        (int64_t)checkpoint->retention, checkpoint->completed_ms,
                                        checkpoint->pointer != NULL}};
    pgk_status status = checkpoints->stale ? checkpoints_read_list(checkpoints, err) : PGK_OK;

    memcpy(key.digests[0], digest, DIGEST_BYTES);
    if (status == PGK_OK && store_take_done(&checkpoints->store, &key)) {
        return PGK_OK;
    }
    if (status == PGK_OK) {
        status = make_plan(checkpoints, checkpoint, &plan, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = write_add(checkpoints, &key, row, &plan, &as_planned, err);
    note_added(checkpoints, &plan, status, as_planned);
    free_plan(&plan);
    if (status == PGK_OK && !as_planned) {
        (void)checkpoints_read_list(checkpoints, NULL); /* or before the next add */
    }
    return status;
}

/* On PGK_OK inside a call, with the turn. */
static pgk_status enter_add(pgk_checkpoints *checkpoints, struct call *call, const char *origin,
                            pgk_error *err)
{
    pgk_status status = store_enter(checkpoints_base(checkpoints), call, "store", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    take_turn(checkpoints);
    if (checkpoints->shut_down) { /* written with the turn only */
        give_turn(checkpoints);
        call_leave(call);
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the store was shut down; open a new one for another run of the job");
    }
    return PGK_OK;
}

pgk_status pgk_checkpoints_add(pgk_checkpoints *store, const pgk_checkpoint *checkpoint,
                               pgk_error *err)
{
    static const char origin[] = "checkpoints.add";
    uint8_t digest[DIGEST_BYTES];
    struct checkpoint_row row;
    struct call call;

    error_reset(err);
    pgk_status status = checkpoint_check(checkpoint, origin, err);

    if (status == PGK_OK) {
        status = check_not_null(store, "store", origin, err);
    }
    if (status == PGK_OK) {
        status = checkpoint_make_row(checkpoint, &store->job_id, digest, &row, err);
    }
    if (status == PGK_OK) {
        status = enter_add(store, &call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = add_in_turn(store, checkpoint, digest, &row, err);
    give_turn(store);
    call_leave(&call);
    if (status == PGK_OK) {
        checkpoints_discard_quietly(store, origin);
    }
    return status;
}

/* With the turn. */
static pgk_status shut_down_in_turn(pgk_checkpoints *checkpoints, pgk_job_status job_status,
                                    pgk_error *err)
{
    pgk_ha *ha = checkpoints->store.ha;
    struct store_write write = store_new_write(&checkpoints->store);
    pgk_status status =
        ha->ops->checkpoints->shutdown(ha->backend, &write, &checkpoints->job_id, job_status, err);

    if (status == PGK_OK) {
        pthread_mutex_lock(&ha->lock);
        checkpoints->count = 0; /* nothing is added after it */
        checkpoints->may_discard = true;
        pthread_mutex_unlock(&ha->lock);
    }
    return status;
}

pgk_status pgk_checkpoints_shutdown(pgk_checkpoints *store, pgk_job_status job_status,
                                    pgk_error *err)
{
    static const char origin[] = "checkpoints.shutdown";
    bool terminal = job_status_is_globally_terminal(job_status);
    struct call call;

    error_reset(err);
    pgk_status status = job_status_check(job_status, origin, err);

    if (status == PGK_OK) {
        status = store_enter(checkpoints_base(store), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    take_turn(store);
    store->shut_down = true;
    if (terminal) {
        status = shut_down_in_turn(store, job_status, err);
    }
    give_turn(store);
    call_leave(&call);
    if (terminal && status == PGK_OK) {
        checkpoints_discard_quietly(store, origin);
    }
    return status;
}
