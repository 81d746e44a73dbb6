/*
 * services/ha.c - the handle: opening, closing, references, manual dispatch.
 *
 * Any thread. The memory goes with the last reference, so that a handle may be freed inside its own
 * callbacks and its elections and retrievers outlive it as closed objects.
 */
#include <pgkeeper/ha.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "services/call.h"

bool ha_is_foreign(const pgk_ha *ha)
{
    return getpid() != ha->pid;
}

bool ha_is_manual(const pgk_ha *ha)
{
    return ha->settings->dispatch == DISPATCH_MANUAL;
}

pgk_status ha_check_process(const pgk_ha *ha, const char *origin, pgk_error *err)
{
    if (ha == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "ha is NULL");
    }
    if (ha_is_foreign(ha)) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the handle belongs to process %ld, this is its child %ld; open one here",
                         (long)ha->pid, (long)getpid());
    }
    return PGK_OK;
}

pgk_status ha_check_open(const pgk_ha *ha, const char *origin, pgk_error *err)
{
    if (ha->state == HA_OPEN) {
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_ILLEGAL_STATE, origin, "the handle is closed");
}

static void destroy(pgk_ha *ha)
{
    if (ha->backend != NULL) {
        ha->ops->free(ha->backend);
    }
    wake_close(&ha->wake);
    async_destroy(&ha->async);
    pthread_cond_destroy(&ha->changed);
    pthread_cond_destroy(&ha->work);
    pthread_mutex_destroy(&ha->lock);
    settings_free(ha->settings);
    free(ha);
}

void ha_unref_unlock(pgk_ha *ha)
{
    bool last = --ha->refs == 0;

    pthread_mutex_unlock(&ha->lock);
    if (last) {
        destroy(ha);
    }
}

/* All but the settings, the backend and the threads. NULL: out of memory. */
static pgk_ha *new_handle(const struct backend_ops *ops, bool client_only, pgk_error *err)
{
    pgk_ha *ha = calloc(1, sizeof(*ha));

    if (ha == NULL) {
        error_set(err, PGK_ERR_NO_MEMORY, "ha.open", "no memory for a handle");
        return NULL;
    }
    ha->ops = ops;
    ha->client_only = client_only;
    ha->pid = getpid();
    ha->refs = 1;
    ha->reaped = true;
    ha->wake.fd = -1;
    TAILQ_INIT(&ha->groups);
    TAILQ_INIT(&ha->subjects);
    TAILQ_INIT(&ha->dirty);
    if (mutex_init(&ha->lock, err) != PGK_OK) {
        goto fail;
    }
    if (cond_init(&ha->work, err) != PGK_OK) {
        goto fail_lock;
    }
    if (cond_init(&ha->changed, err) != PGK_OK) {
        goto fail_work;
    }
    if (async_init(&ha->async, err) != PGK_OK) {
        goto fail_changed;
    }
    return ha;
fail_changed:
    pthread_cond_destroy(&ha->changed);
fail_work:
    pthread_cond_destroy(&ha->work);
fail_lock:
    pthread_mutex_destroy(&ha->lock);
fail:
    free(ha);
    return NULL;
}

static pgk_status start_notifier(pgk_ha *ha, pgk_error *err)
{
    ha->refs++;
    ha->reaped = false;
    pgk_status status = thread_start(&ha->notifier, "pgk-notifier", notifier_run, ha, err);

    if (status != PGK_OK) {
        ha->reaped = true;
        ha->refs--;
    }
    return status;
}

static pgk_status start_services(pgk_ha *ha, pgk_error *err)
{
    struct backend_env env = {.settings = ha->settings,
                              .lock = &ha->lock,
                              .client_only = ha->client_only,
                              .sink = group_sink(ha)};
    pgk_status status = ha_is_manual(ha) ? wake_init(&ha->wake, err) : PGK_OK;

    if (status == PGK_OK) {
        status = ha->ops->open(&env, &ha->backend, err);
    }
    if (status != PGK_OK || ha_is_manual(ha)) {
        return status;
    }
    status = start_notifier(ha, err);
    if (status != PGK_OK) {
        ha->ops->close(ha->backend, NULL);
    }
    return status;
}

pgk_status ha_open_with(const struct backend_ops *ops, const pgk_config *config, bool client_only,
                        pgk_ha **ret_ha, pgk_error *err)
{
    error_reset(err);
    if (config == NULL || ret_ha == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "ha.open", "%s is NULL",
                         config == NULL ? "config" : "ret_ha");
    }
    struct settings *settings = NULL;
    pgk_status status = settings_new(config, &settings, err);

    if (status != PGK_OK) {
        return status;
    }
    config_log_warnings(config);
    pgk_ha *ha = new_handle(ops, client_only, err);

    if (ha == NULL) {
        settings_free(settings);
        return PGK_ERR_NO_MEMORY;
    }
    ha->settings = settings;
    status = start_services(ha, err);
    if (status != PGK_OK) {
        destroy(ha);
        return status;
    }
    *ret_ha = ha;
    return PGK_OK;
}

static void begin_close_all(pgk_ha *ha)
{
    struct subject *subject = TAILQ_FIRST(&ha->subjects);

    while (subject != NULL) {
        struct subject *next = TAILQ_NEXT(subject, link);

        subject_begin_close(subject);
        subject = next;
    }
}

static struct subject *first_unrevoked(const pgk_ha *ha)
{
    struct subject *subject;

    TAILQ_FOREACH (subject, &ha->subjects, link) {
        if (subject->kind == SUBJECT_ELECTION && ((pgk_election *)subject)->granted.live) {
            return subject;
        }
    }
    return NULL;
}

/* Closing, with the turn. The caller has a reference to the handle. */
static void deliver_revoke_of(pgk_ha *ha, struct subject *subject)
{
    subject->refs++;
    ha->refs++;
    notifier_deliver(subject);
    subject_unref_unlock(subject);
    pthread_mutex_lock(&ha->lock);
    ha->refs--;
}

/* Closing. Delivers the outstanding revokes on this thread, which runs a callback. */
static void settle_all_inside(pgk_ha *ha)
{
    struct subject *subject;

    while ((subject = first_unrevoked(ha)) != NULL) {
        deliver_revoke_of(ha, subject);
    }
    /* What is left waits for its revoke to return, further down this very stack. */
    while ((subject = TAILQ_FIRST(&ha->subjects)) != NULL) {
        election_finish_close((pgk_election *)subject, true);
    }
}

/* Closing. Waits until all is closed and no callback runs. */
static void settle_all(pgk_ha *ha)
{
    for (;;) {
        struct subject *subject = first_unrevoked(ha);

        if (ha->dispatching || (subject != NULL && !ha_is_manual(ha))) {
            pthread_cond_wait(&ha->changed, &ha->lock);
            continue;
        }
        if (subject == NULL) {
            return;
        }
        notifier_take_turn(ha);
        deliver_revoke_of(ha, subject);
        notifier_give_turn(ha);
    }
}

/* Joins the notifier once, unless this is it. Drops the lock meanwhile. */
static void reap_notifier(pgk_ha *ha)
{
    if (ha->reaped || notifier_inside_callback(ha)) {
        return;
    }
    ha->reaped = true;
    pthread_mutex_unlock(&ha->lock);
    thread_join(&ha->notifier);
    pthread_mutex_lock(&ha->lock);
}

/* Locked; the state has been set to closing by this call. */
static pgk_status close_backend(pgk_ha *ha, pgk_error *err)
{
    /* Those of this thread wait for us: their row function closes the handle. */
    while (ha->calls > calls_of_this_thread(ha)) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    async_stop(ha);
    pthread_mutex_unlock(&ha->lock);
    pgk_status status = ha->ops->close(ha->backend, err);
    pthread_mutex_lock(&ha->lock);
    ha->state = HA_CLOSED;
    ha->stop = true;
    pthread_cond_signal(&ha->work);
    pthread_cond_broadcast(&ha->changed);
    return status;
}

/* Locked, with a reference. */
static pgk_status close_handle(pgk_ha *ha, pgk_error *err)
{
    bool inside = notifier_inside_callback(ha);
    bool first = ha->state == HA_OPEN;
    pgk_status status = PGK_OK;

    if (!first && !inside && calls_of_this_thread(ha) > 0) {
        return PGK_OK; /* in a row function: whoever is closing waits for its call */
    }
    if (first) {
        ha->state = HA_CLOSING;
        begin_close_all(ha);
        async_cancel(ha, NULL);
    }
    if (ha->state == HA_CLOSING) {
        if (inside) {
            settle_all_inside(ha);
        } else {
            settle_all(ha);
        }
        async_settle(ha, NULL);
    }
    if (first) {
        status = close_backend(ha, err);
    }
    if (inside) {
        return status;
    }
    while (ha->state != HA_CLOSED || ha->dispatching) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    reap_notifier(ha);
    return status;
}

pgk_status pgk_ha_close(pgk_ha *ha, pgk_error *err)
{
    error_reset(err);
    pgk_status status = ha_check_process(ha, "ha.close", err);

    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&ha->lock);
    ha->refs++;
    status = close_handle(ha, err);
    ha_unref_unlock(ha);
    return status;
}

/* In a forked child: gives back the descriptors and leaves the memory, whose lock may be held for ever. */
static void forget(pgk_ha *ha)
{
    if (atomic_exchange(&ha->forgotten, true)) {
        return;
    }
    if (ha->state == HA_OPEN) {
        ha->ops->forget(ha->backend);
    }
    wake_close(&ha->wake);
}

void pgk_ha_free(pgk_ha *ha)
{
    if (ha == NULL) {
        return;
    }
    if (ha_is_foreign(ha)) {
        forget(ha);
        return;
    }
    pthread_mutex_lock(&ha->lock);
    close_handle(ha, NULL);
    /* Freed inside a callback: nobody can join it later. Not closed yet: whoever is closing does. */
    if (!ha->reaped && ha->state == HA_CLOSED) {
        ha->reaped = true;
        thread_detach(&ha->notifier);
    }
    ha_unref_unlock(ha);
}

int pgk_ha_fd(const pgk_ha *ha)
{
    if (ha == NULL || ha_is_foreign(ha) || !ha_is_manual(ha)) {
        return -1;
    }
    pthread_mutex_t *lock = (pthread_mutex_t *)&ha->lock; /* the handle itself is not changed */

    pthread_mutex_lock(lock);
    int fd = ha->state == HA_OPEN ? ha->wake.fd : -1;

    pthread_mutex_unlock(lock);
    return fd;
}

static pgk_status dispatch(pgk_ha *ha, pgk_error *err)
{
    static const char origin[] = "ha.dispatch";
    pgk_status status = ha_check_open(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    if (notifier_inside_callback(ha)) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin, "called from inside a callback");
    }
    notifier_take_turn(ha);
    /* Callbacks may cause others without end: those are for the next time. */
    uint64_t now = ++ha->dispatches;

    while (notifier_run_one(ha, now)) {
        continue;
    }
    if (TAILQ_EMPTY(&ha->dirty) && !async_is_due(ha)) {
        wake_clear(&ha->wake);
    }
    notifier_give_turn(ha);
    return PGK_OK;
}

pgk_status pgk_ha_dispatch(pgk_ha *ha, pgk_error *err)
{
    static const char origin[] = "ha.dispatch";

    error_reset(err);
    pgk_status status = ha_check_process(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    if (!ha_is_manual(ha)) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the handle has a notifier thread; open it with dispatch: manual");
    }
    pthread_mutex_lock(&ha->lock);
    ha->refs++;
    status = dispatch(ha, err);
    ha_unref_unlock(ha);
    return status;
}

void pgk_component_of_job(const pgk_uuid *job_id, char out[PGK_JOB_COMPONENT_SIZE])
{
    static const pgk_uuid none;
    static const char prefix[] = "job-";

    if (out == NULL) {
        return;
    }
    memcpy(out, prefix, sizeof(prefix));
    pgk_uuid_format_hex(job_id == NULL ? &none : job_id, out + sizeof(prefix) - 1);
}
