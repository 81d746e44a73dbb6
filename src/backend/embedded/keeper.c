/*
 * backend/embedded/keeper.c - the backend's table of functions, and the keeper thread of a handle;
 * see keeper.h.
 */
#include "backend/embedded/keeper.h"

#include <stdlib.h>

#include "backend/embedded/contend.h"
#include "backend/embedded/leaders.h"
#include "backend/embedded/store_ops.h"
#include "core/clock.h"
#include "core/error.h"

void keeper_wake(struct backend *backend)
{
    backend->noted = true;
    pthread_cond_signal(&backend->wake);
}

/* [space] False: it is to end. */
static bool wait_for_news(struct backend *backend, int64_t until_ns)
{
    while (!backend->noted && !backend->closing &&
           cond_wait_until(&backend->wake, &backend->space->lock, until_ns)) {
        continue;
    }
    backend->noted = false;
    return !backend->closing;
}

static void keeper_main(void *arg)
{
    struct backend *backend = arg;
    pthread_mutex_t *space_lock = &backend->space->lock;
    int64_t next_ns = CLOCK_NEVER;

    pthread_mutex_lock(space_lock);
    while (wait_for_news(backend, next_ns)) {
        pthread_mutex_unlock(space_lock);
        pthread_mutex_lock(backend->env.lock);
        contend_look(backend);
        leaders_look(backend);
        next_ns = graph_watches_look(backend);
        pthread_mutex_unlock(backend->env.lock);
        pthread_mutex_lock(space_lock);
    }
    pthread_mutex_unlock(space_lock);
}

static pgk_status start(struct backend *backend, pgk_error *err)
{
    pgk_status status = space_enter(backend->env.settings->cluster_id, &backend->space, err);

    if (status != PGK_OK) {
        return status;
    }
    status = thread_start(&backend->thread, "pgk-keeper", keeper_main, backend, err);
    if (status != PGK_OK) {
        space_leave(backend->space);
    }
    return status;
}

static pgk_status embedded_open(const struct backend_env *env, struct backend **ret_backend,
                                pgk_error *err)
{
    struct backend *backend = calloc(1, sizeof(*backend));

    if (backend == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "open", "no memory for a handle");
    }
    backend->env = *env;
    TAILQ_INIT(&backend->due_groups);
    TAILQ_INIT(&backend->due_watches);
    pgk_status status = cond_init(&backend->wake, err);

    if (status != PGK_OK) {
        free(backend);
        return status;
    }
    status = start(backend, err);
    if (status != PGK_OK) {
        pthread_cond_destroy(&backend->wake);
        free(backend);
        return status;
    }
    *ret_backend = backend;
    return PGK_OK;
}

/* Nothing of it is in the space any more: the services have left all groups and watches. */
static pgk_status embedded_close(struct backend *backend, pgk_error *err)
{
    (void)err;
    pthread_mutex_lock(&backend->space->lock);
    backend->closing = true;
    pthread_cond_signal(&backend->wake);
    pthread_mutex_unlock(&backend->space->lock);
    thread_join(&backend->thread);
    space_leave(backend->space);
    backend->space = NULL;
    return PGK_OK;
}

static void embedded_free(struct backend *backend)
{
    pthread_cond_destroy(&backend->wake);
    free(backend);
}

/* The space is the parent's; its copy here is left alone, because its lock may be held for ever. */
static void embedded_forget(struct backend *backend)
{
    (void)backend;
}

const struct backend_ops embedded_backend = {.name = "embedded",
                                             .open = embedded_open,
                                             .close = embedded_close,
                                             .free = embedded_free,
                                             .forget = embedded_forget,
                                             .join = contend_join,
                                             .leave = contend_leave,
                                             .resign = contend_resign,
                                             .revoked = contend_revoked,
                                             .attend = contend_attend,
                                             .depart = contend_depart,
                                             .confirm = leaders_confirm,
                                             .withdraw = leaders_withdraw,
                                             .watch = leaders_watch,
                                             .unwatch = leaders_unwatch,
                                             .job_graphs = &embedded_job_graphs,
                                             .job_results = &embedded_job_results,
                                             .registry = &embedded_registry,
                                             .checkpoints = &embedded_checkpoints,
                                             .blobs = &embedded_blobs,
                                             .recovery = &embedded_recovery};
