/*
 * services/job_registry.c - the running jobs registry: argument checks. Any thread; the round trip
 * is made without the lock.
 */
#include <pgkeeper/job_registry.h>

#include <stdlib.h>

#include "services/store_common.h"

struct pgk_job_registry {
    struct store store; /* first */
};

const char *pgk_scheduling_status_text(pgk_scheduling_status status)
{
    switch (status) {
    case PGK_SCHEDULING_PENDING:
        return "PENDING";
    case PGK_SCHEDULING_RUNNING:
        return "RUNNING";
    case PGK_SCHEDULING_DONE:
        return "DONE";
    }
    return "?";
}

pgk_status pgk_ha_job_registry(pgk_ha *ha, const pgk_token *token, pgk_job_registry **ret_registry,
                               pgk_error *err)
{
    static const char origin[] = "ha.job_registry";

    error_reset(err);
    pgk_status status = check_not_null(ret_registry, "ret_registry", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pgk_job_registry *registry = calloc(1, sizeof(*registry));

    if (registry == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a registry");
    }
    status = store_open(&registry->store, ha, token, origin, err);
    if (status != PGK_OK) {
        free(registry);
        return status;
    }
    *ret_registry = registry;
    return PGK_OK;
}

void pgk_job_registry_free(pgk_job_registry *registry)
{
    if (registry != NULL && store_close(&registry->store)) {
        free(registry);
    }
}

static struct store *base_of(pgk_job_registry *registry)
{
    return registry != NULL ? &registry->store : NULL;
}

/* The checks of a call about one job; then it has begun. */
static pgk_status enter(pgk_job_registry *registry, struct call *call, const pgk_uuid *job_id,
                        const char *origin, pgk_error *err)
{
    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = store_enter(base_of(registry), call, "registry", origin, err);
    }
    return status;
}

static pgk_status set(pgk_job_registry *registry, const pgk_uuid *job_id,
                      pgk_scheduling_status value, const char *origin, pgk_error *err)
{
    struct call call;
    pgk_status status = enter(registry, &call, job_id, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    struct store *store = &registry->store;
    struct store_write write = store_new_write(store);

    status = store->ha->ops->registry->set(store->ha->backend, &write, job_id, value, err);
    call_leave(&call);
    return status;
}

pgk_status pgk_job_registry_set_running(pgk_job_registry *registry, const pgk_uuid *job_id,
                                        pgk_error *err)
{
    return set(registry, job_id, PGK_SCHEDULING_RUNNING, "job_registry.set_running", err);
}

pgk_status pgk_job_registry_set_finished(pgk_job_registry *registry, const pgk_uuid *job_id,
                                         pgk_error *err)
{
    return set(registry, job_id, PGK_SCHEDULING_DONE, "job_registry.set_finished", err);
}

pgk_status pgk_job_registry_get(pgk_job_registry *registry, const pgk_uuid *job_id,
                                pgk_scheduling_status *ret_status, pgk_error *err)
{
    static const char origin[] = "job_registry.get";
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(ret_status, "ret_status", origin, err);

    if (status == PGK_OK) {
        status = enter(registry, &call, job_id, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    struct store *store = &registry->store;

    status = store->ha->ops->registry->get(store->ha->backend, job_id, ret_status, err);
    call_leave(&call);
    return status;
}

pgk_status pgk_job_registry_clear(pgk_job_registry *registry, const pgk_uuid *job_id,
                                  pgk_error *err)
{
    return set(registry, job_id, PGK_SCHEDULING_PENDING, "job_registry.clear", err);
}

struct listing {
    struct call call;
    pgk_job_registry_fn fn;
    void *user;
};

static pgk_status pass(void *ctx, const pgk_uuid *job_id, pgk_scheduling_status status,
                       pgk_error *err)
{
    const struct listing *listing = ctx;

    return store_callback_answer(&listing->call, listing->fn(listing->user, job_id, status),
                                 "job_registry.list", err);
}

pgk_status pgk_job_registry_list(pgk_job_registry *registry, pgk_job_registry_fn fn, void *user,
                                 pgk_error *err)
{
    static const char origin[] = "job_registry.list";
    struct listing listing = {.fn = fn, .user = user};

    error_reset(err);
    if (fn == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "fn is NULL");
    }
    pgk_status status = store_enter(base_of(registry), &listing.call, "registry", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    const struct store *store = &registry->store;

    status = store->ha->ops->registry->list(store->ha->backend, pass, &listing, err);
    call_leave(&listing.call);
    return status;
}
