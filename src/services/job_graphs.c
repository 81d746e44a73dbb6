/*
 * services/job_graphs.c - the job graph store: making, starting and stopping it, and telling its
 * listener. What it does with graphs is in graph_acts.c.
 *
 * Any thread; the database is asked without the lock.
 */
#include "services/job_graphs.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

pgk_status pgk_ha_job_graphs(pgk_ha *ha, const pgk_token *token, pgk_job_graphs **ret_store,
                             pgk_error *err)
{
    static const char origin[] = "ha.job_graphs";
    const pgk_token *checked = NULL;

    error_reset(err);
    pgk_status status = check_not_null(ret_store, "ret_store", origin, err);

    if (status == PGK_OK) {
        status = token_check(ha, token, origin, &checked, err);
    }
    if (status == PGK_OK) {
        status = ha_check_process(ha, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_job_graphs *store = calloc(1, sizeof(*store));

    if (store == NULL || graph_set_init(&store->set, NULL) != PGK_OK) {
        free(store);
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a store");
    }
    store->fenced = checked != NULL;
    if (checked != NULL) {
        store->token = *checked;
    }
    pthread_mutex_lock(&ha->lock);
    status = ha_check_open(ha, origin, err);
    if (status == PGK_OK) {
        subject_init(&store->subject, SUBJECT_JOB_GRAPHS, ha);
        *ret_store = store;
    }
    pthread_mutex_unlock(&ha->lock);
    if (status != PGK_OK) {
        job_graphs_destroy(store);
    }
    return status;
}

void job_graphs_destroy(pgk_job_graphs *store)
{
    graph_set_free(&store->set);
    free(store);
}

/* ------------------------------------------------------------------ telling */

void job_graphs_reading(void *ctx, void *watch_ctx)
{
    pgk_job_graphs *store = watch_ctx;

    (void)ctx;
    graph_set_begin_read(&store->set);
}

bool job_graphs_seen(void *ctx, void *watch_ctx, const struct graph_id *ids, size_t count)
{
    pgk_job_graphs *store = watch_ctx;
    bool whole = graph_set_end_read(&store->set, ids, count);

    (void)ctx;
    if (!TAILQ_EMPTY(&store->set.due)) {
        subject_mark_dirty(&store->subject);
    }
    return whole;
}

bool job_graphs_deliver(pgk_job_graphs *store)
{
    pgk_uuid job_id;
    bool added;

    if (store->subject.state != SUBJECT_STARTED ||
        !graph_set_take_due(&store->set, &job_id, &added)) {
        return false;
    }
    pgk_job_graph_listener listener = store->listener;

    notifier_enter(&store->subject);
    (added ? listener.added : listener.removed)(listener.user, &job_id);
    notifier_leave(&store->subject);
    return true;
}

void job_graphs_begin_close(pgk_job_graphs *store)
{
    pgk_ha *ha = store->subject.ha;

    if (store->subject.state == SUBJECT_CLOSED) {
        return;
    }
    if (store->watch != NULL) {
        ha->ops->job_graphs->unwatch(ha->backend, store->watch);
    }
    store->watch = NULL;
    store->generation++;
    graph_set_clear(&store->set);
    subject_retire(&store->subject);
}

/* ------------------------------------------------------------------ start */

static pgk_status check_listener(const pgk_job_graph_listener *listener, const char *origin,
                                 pgk_error *err)
{
    if (listener == NULL) {
        return PGK_OK;
    }
    pgk_status status = check_size(listener->size, sizeof(*listener), "listener", origin, err);

    if (status == PGK_OK) {
        status = check_not_null(listener->added != NULL ? listener : NULL, "listener.added", origin,
                                err);
    }
    if (status == PGK_OK) {
        status = check_not_null(listener->removed != NULL ? listener : NULL, "listener.removed",
                                origin, err);
    }
    return status;
}

/* Locked. Waits for a start or stop that is under way. */
static pgk_status await_change(pgk_job_graphs *store, const char *origin, pgk_error *err)
{
    pgk_ha *ha = store->subject.ha;

    while (store->changing) {
        if (notifier_inside_callback(ha)) {
            return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                             "the store is being stopped, which waits for this callback");
        }
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    return ha_check_open(ha, origin, err);
}

/* Unlocked: a store that nobody else need know of is not entered. */
static pgk_status enter(const pgk_job_graphs *store, bool listens, const char *origin,
                        pgk_error *err)
{
    pgk_ha *ha = store->subject.ha;
    struct call call;

    if (!store->fenced && !listens) {
        return PGK_OK;
    }
    pgk_status status = call_enter(&call, ha, origin, err);

    if (status == PGK_OK) {
        status = ha->ops->job_graphs->start(ha->backend, store->fenced ? &store->token : NULL,
                                            &store->store_id, listens, err);
        call_leave(&call);
    }
    return status;
}

/* Locked. */
static pgk_status begin(pgk_job_graphs *store, const pgk_job_graph_listener *listener,
                        const char *origin, pgk_error *err)
{
    pgk_ha *ha = store->subject.ha;
    struct subject *subject = &store->subject;
    pgk_status status = ha_check_open(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    store->generation++;
    store->listens = listener != NULL;
    if (listener != NULL) {
        store->listener = *listener;
    }
    subject->state = SUBJECT_STARTED;
    TAILQ_INSERT_TAIL(&ha->subjects, subject, link);
    if (listener != NULL) {
        status = ha->ops->job_graphs->watch(ha->backend, store->fenced ? &store->token : NULL,
                                            &store->store_id, store, &store->watch, err);
    }
    if (status != PGK_OK) {
        store->watch = NULL;
        job_graphs_begin_close(store);
    }
    return status;
}

static pgk_status start(pgk_job_graphs *store, const pgk_job_graph_listener *listener,
                        const char *origin, pgk_error *err)
{
    pgk_ha *ha = store->subject.ha;
    pgk_status status = await_change(store, origin, err);

    if (status != PGK_OK || store->subject.state == SUBJECT_STARTED) {
        return status;
    }
    store->changing = true;
    pgk_uuid_new(&store->store_id);
    store->entered = store->fenced || listener != NULL;
    pthread_mutex_unlock(&ha->lock);
    status = enter(store, listener != NULL, origin, err);
    pthread_mutex_lock(&ha->lock);
    if (status == PGK_OK) {
        status = begin(store, listener, origin, err);
    }
    store->changing = false;
    pthread_cond_broadcast(&ha->changed);
    return status;
}

static pgk_status lock_store(pgk_job_graphs *store, const char *origin, pgk_error *err)
{
    return subject_lock(store != NULL ? &store->subject : NULL, "store", origin, err);
}

pgk_status pgk_job_graphs_start(pgk_job_graphs *store, const pgk_job_graph_listener *listener,
                                pgk_error *err)
{
    static const char origin[] = "job_graphs.start";

    error_reset(err);
    pgk_status status = check_listener(listener, origin, err);

    if (status == PGK_OK) {
        status = lock_store(store, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = start(store, listener, origin, err);
    pthread_mutex_unlock(&store->subject.ha->lock);
    return status;
}

/* ------------------------------------------------------------------ stop */

/* Locked; drops the lock for the round trip. */
static pgk_status leave(pgk_job_graphs *store, const char *origin, pgk_error *err)
{
    pgk_ha *ha = store->subject.ha;
    struct call call;

    if (!store->entered || ha->state != HA_OPEN) {
        return PGK_OK; /* with the handle its tenure has ended */
    }
    if (store->set.recovering > 0) {
        store->entered = false;
        return PGK_OK; /* its entry is locked until the recovery ends, which then removes it */
    }
    pthread_mutex_unlock(&ha->lock);
    pgk_status status = call_enter(&call, ha, origin, err);

    if (status == PGK_OK) {
        status = ha->ops->job_graphs->stop(ha->backend, &store->store_id, err);
        call_leave(&call);
    }
    pthread_mutex_lock(&ha->lock);
    store->entered = status != PGK_OK;
    return status;
}

/* Locked. One call does it; others only wait for callbacks. */
static pgk_status stop(pgk_job_graphs *store, const char *origin, pgk_error *err)
{
    pgk_ha *ha = store->subject.ha;
    pgk_status status = PGK_OK;

    while (store->changing && store->subject.state != SUBJECT_CLOSED &&
           !notifier_inside_callback(ha)) {
        pthread_cond_wait(&ha->changed, &ha->lock); /* it is being started */
    }
    bool first = !store->changing && (store->subject.state == SUBJECT_STARTED || store->entered);

    if (first) {
        store->changing = true;
        job_graphs_begin_close(store);
    }
    if (store->subject.state == SUBJECT_CLOSED) {
        subject_settle(&store->subject);
    }
    if (first) {
        status = leave(store, origin, err);
        store->changing = false;
        pthread_cond_broadcast(&ha->changed);
    }
    return status;
}

pgk_status pgk_job_graphs_stop(pgk_job_graphs *store, pgk_error *err)
{
    static const char origin[] = "job_graphs.stop";

    error_reset(err);
    pgk_status status = lock_store(store, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = stop(store, origin, err);
    pthread_mutex_unlock(&store->subject.ha->lock);
    return status;
}

void pgk_job_graphs_free(pgk_job_graphs *store)
{
    if (store == NULL || ha_is_foreign(store->subject.ha)) {
        return;
    }
    (void)pgk_job_graphs_stop(store, NULL);
    subject_free(&store->subject);
}
