/*
 * services/checkpoint_counter.c - the counter of a job's checkpoints: argument checks, and that
 * nothing is issued once it is shut down. Any thread; round trips are made without the lock.
 */
#include <pgkeeper/checkpoint.h>

#include <inttypes.h>
#include <stdlib.h>

#include "services/checkpoint_rules.h"
#include "services/store_common.h"

struct pgk_checkpoint_counter {
    struct store store; /* first */
    pgk_uuid job_id;
    /* Under the handle's lock. */
    bool shut_down;
    int calls; /* that a shutdown waits for: a late one would make a dropped counter anew */
};

pgk_status pgk_ha_checkpoint_counter(pgk_ha *ha, const pgk_token *token, const pgk_uuid *job_id,
                                     pgk_checkpoint_counter **ret_counter, pgk_error *err)
{
    static const char origin[] = "ha.checkpoint_counter";

    error_reset(err);
    pgk_status status = check_not_null(ret_counter, "ret_counter", origin, err);

    if (status == PGK_OK) {
        status = check_not_null(job_id, "job_id", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_checkpoint_counter *counter = calloc(1, sizeof(*counter));

    if (counter == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a counter");
    }
    counter->job_id = *job_id;
    status = store_open(&counter->store, ha, token, origin, err);
    if (status != PGK_OK) {
        free(counter);
        return status;
    }
    *ret_counter = counter;
    return PGK_OK;
}

void pgk_checkpoint_counter_free(pgk_checkpoint_counter *counter)
{
    if (counter != NULL && store_close(&counter->store)) {
        free(counter);
    }
}

static struct store *base_of(pgk_checkpoint_counter *counter)
{
    return counter != NULL ? &counter->store : NULL;
}

/* A call other than shutdown begins. */
static pgk_status enter(pgk_checkpoint_counter *counter, struct call *call, const char *origin,
                        pgk_error *err)
{
    pgk_status status = store_enter(base_of(counter), call, "counter", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&counter->store.ha->lock);
    bool shut_down = counter->shut_down;

    counter->calls += shut_down ? 0 : 1;
    pthread_mutex_unlock(&counter->store.ha->lock);
    if (shut_down) {
        call_leave(call);
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the counter was shut down; make a new one");
    }
    return PGK_OK;
}

static void leave(pgk_checkpoint_counter *counter, struct call *call)
{
    pgk_ha *ha = counter->store.ha;

    pthread_mutex_lock(&ha->lock);
    counter->calls--;
    pthread_mutex_unlock(&ha->lock);
    call_leave(call); /* wakes a shutdown */
}

pgk_status pgk_checkpoint_counter_get_and_increment(pgk_checkpoint_counter *counter,
                                                    int64_t *ret_value, pgk_error *err)
{
    static const char origin[] = "checkpoint_counter.get_and_increment";
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(ret_value, "ret_value", origin, err);

    if (status == PGK_OK) {
        status = enter(counter, &call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_ha *ha = counter->store.ha;
    struct store_write write = store_new_write(&counter->store);

    status = ha->ops->checkpoints->next_id(ha->backend, &write, &counter->job_id, ret_value, err);
    leave(counter, &call);
    return status;
}

pgk_status pgk_checkpoint_counter_get(pgk_checkpoint_counter *counter, int64_t *ret_value,
                                      pgk_error *err)
{
    static const char origin[] = "checkpoint_counter.get";
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(ret_value, "ret_value", origin, err);

    if (status == PGK_OK) {
        status = enter(counter, &call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_ha *ha = counter->store.ha;

    status = ha->ops->checkpoints->get_id(ha->backend, &counter->job_id, ret_value, err);
    leave(counter, &call);
    return status;
}

pgk_status pgk_checkpoint_counter_set(pgk_checkpoint_counter *counter, int64_t value,
                                      pgk_error *err)
{
    static const char origin[] = "checkpoint_counter.set";
    struct call call;

    error_reset(err);
    if (value < 0) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "value is %" PRId64 "; it must not be negative", value);
    }
    pgk_status status = enter(counter, &call, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pgk_ha *ha = counter->store.ha;
    struct store_write write = store_new_write(&counter->store);

    status = ha->ops->checkpoints->set_id(ha->backend, &write, &counter->job_id, value, err);
    leave(counter, &call);
    return status;
}

pgk_status pgk_checkpoint_counter_shutdown(pgk_checkpoint_counter *counter,
                                           pgk_job_status job_status, pgk_error *err)
{
    static const char origin[] = "checkpoint_counter.shutdown";
    struct call call;

    error_reset(err);
    pgk_status status = job_status_check(job_status, origin, err);

    if (status == PGK_OK) {
        status = store_enter(base_of(counter), &call, "counter", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_ha *ha = counter->store.ha;

    pthread_mutex_lock(&ha->lock);
    counter->shut_down = true;
    while (counter->calls > 0) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    pthread_mutex_unlock(&ha->lock);
    if (job_status_is_globally_terminal(job_status)) {
        struct store_write write = store_new_write(&counter->store);

        status = ha->ops->checkpoints->drop_id(ha->backend, &write, &counter->job_id, err);
    }
    call_leave(&call);
    return status;
}
