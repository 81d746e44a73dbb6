/*
 * backend/standalone/standalone.c - one master and nobody else: each contender leads from its start,
 * and the leader of a component is where the configuration says.
 *
 * It has no thread, and nothing to wait for. All that happens is told at once, by the call that asks
 * for it. What is stored is in a space of this handle alone.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/embedded/space.h"
#include "backend/embedded/store_ops.h"
#include "backend/standalone/void_stores.h"
#include "core/address.h"
#include "core/clock.h"
#include "core/text.h"

#define JOB_PREFIX "job-"

static const pgk_uuid nobody; /* the session id of all leaders that nobody elects */

struct backend {
    struct space *space; /* first: it is all that the stores know of a handle */
    struct backend_env env;
    char job_manager[PGK_HOST_PORT_TEXT_SIZE]; /* empty: not known */
    char rest[PGK_HOST_PORT_TEXT_SIZE];
};

/* One group; it leads until it is left, but for a moment while it resigns. */
struct backend_group {
    struct tenure *tenure;
    void *ctx;
};

/* There is nothing to remember of it. */
struct backend_watch {
    char nothing;
};

/* No host, or a port that is chosen at the start: not known. CONFIG: it is no host. */
static pgk_status read_address(const char *key, const char *host, int port,
                               char out[PGK_HOST_PORT_TEXT_SIZE], pgk_error *err)
{
    pgk_host_port address = {.port = port};
    const char *reason = NULL;
    char shown[80];
    if (host[0] != '\0' && !address_take_host(host, address.host, &reason)) {
        text_excerpt(shown, sizeof(shown), host);
        return error_set(err, PGK_ERR_CONFIG, "open", "%s \"%s\": %s", key, shown, reason);
    }
    if (host[0] != '\0' && port > 0) {
        pgk_host_port_format(&address, out);
    }
    return PGK_OK;
}

static pgk_status standalone_open(const struct backend_env *env, struct backend **ret_backend,
                                  pgk_error *err)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    if (backend == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "open", "no memory for a handle");
    }
    backend->env = *env;
    pgk_status status = read_address("jobmanager.rpc.address", env->settings->job_manager_host,
                                     env->settings->job_manager_port, backend->job_manager, err);
    if (status == PGK_OK) {
        status = read_address("rest.address", env->settings->rest_host, env->settings->rest_port,
                              backend->rest, err);
    }
    if (status == PGK_OK) {
        status = space_new_fixed(&backend->space, err);
    }
    if (status != PGK_OK) {
        free(backend);
        return status;
    }
    *ret_backend = backend;
    return PGK_OK;
}

static pgk_status standalone_close(struct backend *backend, pgk_error *err)
{
    (void)err;
    space_leave(backend->space);
    backend->space = NULL;
    return PGK_OK;
}

static void standalone_free(struct backend *backend)
{
    free(backend);
}

static void standalone_forget(struct backend *backend)
{
    (void)backend; /* memory alone, which is left */
}

/* ------------------------------------------------------------------ groups */

static void begin(const struct backend *backend, struct backend_group *group)
{
    tenure_begin(group->tenure, 0, &nobody, 0, CLOCK_NEVER);
    backend->env.sink.tenure_began(backend->env.sink.ctx, group->ctx);
}

static pgk_status standalone_join(struct backend *backend, const char *name, struct tenure *tenure,
                                  void *group_ctx, struct backend_group **ret_group, pgk_error *err)
{
    struct backend_group *group = calloc(1, sizeof(*group));
    (void)name;
    if (group == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "election", "no memory for a contender");
    }
    group->tenure = tenure;
    group->ctx = group_ctx;
    *ret_group = group;
    begin(backend, group);
    return PGK_OK;
}

static void standalone_leave(struct backend *backend, struct backend_group *group)
{
    (void)backend;
    tenure_end(group->tenure);
    free(group);
}

/* Nobody else contends: it leads again once its revokes have been delivered. */
static pgk_status standalone_resign(struct backend *backend, struct backend_group *group,
                                    pgk_error *err)
{
    (void)err;
    tenure_end(group->tenure);
    backend->env.sink.tenure_ended(backend->env.sink.ctx, group->ctx, true);
    return PGK_OK;
}

static void standalone_revoked(struct backend *backend, struct backend_group *group)
{
    begin(backend, group);
}

/* ------------------------------------------------------------------ addresses */

static pgk_status standalone_confirm(struct backend *backend, const char *group_name,
                                     const pgk_token *token, const char *component,
                                     const char *address, pgk_error *err)
{
    (void)backend;
    (void)group_name;
    (void)token;
    (void)component;
    (void)address;
    (void)err;
    return PGK_OK;
}

static void standalone_withdraw(struct backend *backend, struct backend_group *group,
                                const char *component)
{
    (void)backend;
    (void)group;
    (void)component;
}

/* Empty: the configuration has none. */
static const char *address_of(const struct backend *backend, const char *component)
{
    if (strcmp(component, PGK_COMPONENT_REST_ENDPOINT) == 0) {
        return backend->rest;
    }
    if (backend->job_manager[0] == '\0' &&
        strncmp(component, JOB_PREFIX, strlen(JOB_PREFIX)) == 0) {
        return "UNKNOWN";
    }
    return backend->job_manager;
}

static pgk_status standalone_watch(struct backend *backend, const char *component, void *watch_ctx,
                                   struct backend_watch **ret_watch, pgk_error *err)
{
    struct backend_watch *watch = calloc(1, sizeof(*watch));
    pgk_leader leader = {.session_id = nobody};
    if (watch == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "retriever", "no memory for a watch");
    }
    text_copy(leader.address, sizeof(leader.address), address_of(backend, component));
    backend->env.sink.leader_seen(backend->env.sink.ctx, watch_ctx, 0,
                                  leader.address[0] != '\0' ? &leader : NULL);
    *ret_watch = watch;
    return PGK_OK;
}

static void standalone_unwatch(struct backend *backend, struct backend_watch *watch)
{
    (void)backend;
    free(watch);
}

const struct backend_ops standalone_backend = {.name = "standalone",
                                               .fixed_leaders = true,
                                               .open = standalone_open,
                                               .close = standalone_close,
                                               .free = standalone_free,
                                               .forget = standalone_forget,
                                               .join = standalone_join,
                                               .leave = standalone_leave,
                                               .resign = standalone_resign,
                                               .revoked = standalone_revoked,
                                               .confirm = standalone_confirm,
                                               .withdraw = standalone_withdraw,
                                               .watch = standalone_watch,
                                               .unwatch = standalone_unwatch,
                                               .job_graphs = &standalone_job_graphs,
                                               .job_results = &embedded_job_results,
                                               .registry = &embedded_registry,
                                               .checkpoints = &embedded_checkpoints,
                                               .blobs = &standalone_blobs,
                                               .recovery = &embedded_recovery};
