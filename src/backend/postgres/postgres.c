/*
 * backend/postgres/postgres.c - the backend's table of functions, and the keeper thread: one poll
 * loop over the lock, sentinel and listener sessions.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/job_graphs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "backend/postgres/store_ops.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/text.h"

/* ------------------------------------------------------------------ the keeper */

static int64_t next_ns(struct backend *backend)
{
    keeper_lock(backend);
    /* Closing ends as soon as the last release is answered: nothing else may come that would wake
     * us. */
    int64_t close_ns = !backend->closing      ? CLOCK_NEVER
                       : groups_busy(backend) ? backend->close_until_ns
                                              : 0;
    int64_t next[5] = {contend_next_ns(backend), sentinel_next_ns(backend), listen_next_ns(backend),
                       send_guards_next_ns(backend), close_ns};
    keeper_unlock(backend);
    int64_t earliest = next[0];
    for (size_t i = 1; i < 5; i++) {
        earliest = next[i] < earliest ? next[i] : earliest;
    }
    return earliest;
}

static void wait_for_something(struct backend *backend)
{
    struct pollfd fds[4] = {session_pollfd(&backend->lock),
                            session_pollfd(&backend->sentinel),
                            session_pollfd(&backend->listener),
                            {.fd = backend->wake.fd, .events = POLLIN}};
    (void)poll(fds, 4, clock_poll_timeout_ms(clock_now_ns(), next_ns(backend)));
    if (fds[3].revents != 0) {
        wake_clear(&backend->wake);
    }
}

static bool finished(struct backend *backend)
{
    keeper_lock(backend);
    bool done =
        backend->closing && (!groups_busy(backend) || clock_now_ns() >= backend->close_until_ns);
    if (done && groups_busy(backend)) {
        error_set(&backend->close_error, PGK_ERR_TIMEOUT, "close",
                  "the resignation was not acknowledged in time; a successor will find the lock "
                  "free all the same");
    }
    keeper_unlock(backend);
    return done;
}

static void keeper_main(void *arg)
{
    struct backend *backend = arg;
    for (;;) {
        sentinel_step(backend);
        listen_step(backend);
        contend_step(backend); /* last: it does what the others have found out */
        if (finished(backend)) {
            break;
        }
        send_guards_step(backend);
        pool_trim(&backend->pool);
        wait_for_something(backend);
    }
    session_close(&backend->lock);
    session_close(&backend->sentinel);
    session_close(&backend->listener);
}

/* ------------------------------------------------------------------ open, close */

/* Opening fails at once for what a person has to mend, and goes on trying until connect-timeout for
 * what passes. */
static pgk_status reach_once(struct backend *backend, const struct link_request *request,
                             pgk_error *err)
{
    const struct settings *settings = backend->settings;
    struct retry retry = {.settings = settings,
                          .deadline_ns = clock_now_ns() + settings->connect_timeout_ms * NS_PER_MS};
    struct link_request attempt = *request;
    attempt.role = backend->env.client_only ? ROLE_LISTENER : ROLE_LOCK;
    attempt.deadline_ns = retry.deadline_ns;
    pgk_error earlier = {.status = PGK_OK};
    for (;;) {
        struct link link;
        pgk_error local;
        int64_t retry_at_ns;
        pgk_status status = link_make(&attempt, &link, &local);
        if (status == PGK_OK) {
            PQfinish(link.conn);
            return PGK_OK;
        }
        if (!retry_again(&retry, &local, &retry_at_ns)) {
            if (status == PGK_ERR_TIMEOUT && earlier.status != PGK_OK) {
                local = earlier; /* cut short, this try says less than the one before */
                status = local.status;
            }
            if (err != NULL) {
                *err = local;
            }
            return error_wrap(err, status, "open");
        }
        earlier = local;
        while (clock_now_ns() < retry_at_ns) {
            (void)poll(NULL, 0, clock_poll_timeout_ms(clock_now_ns(), retry_at_ns));
        }
    }
}

static void init_sessions(struct backend *backend, struct link_request *request)
{
    request->role = ROLE_LOCK;
    session_init(&backend->lock, request, &backend->wake);
    request->role = ROLE_SENTINEL;
    session_init(&backend->sentinel, request, &backend->wake);
    request->role = ROLE_LISTENER;
    session_init(&backend->listener, request, &backend->wake);
    request->role = ROLE_WORK;
}

static void backend_destroy(struct backend *backend)
{
    reports_forget(backend);
    while (backend->errands != NULL) {
        struct errand *errand = backend->errands;
        backend->errands = errand->next;
        errand_free(errand);
    }
    while (backend->groups != NULL) {
        struct backend_group *group = backend->groups;
        backend->groups = group->next;
        records_clear(group);
        free(group->name);
        free(group);
    }
    errand_free(backend->errand);
    put_queue_destroy(&backend->puts);
    pool_destroy(&backend->pool);
    pthread_mutex_destroy(&backend->memory.lock);
    wake_close(&backend->wake);
    free(backend);
}

static pgk_status postgres_open(const struct backend_env *env, struct backend **ret_backend,
                                pgk_error *err)
{
    pgk_uuid incarnation;
    struct backend *backend = calloc(1, sizeof(*backend));
    if (backend == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "open", "out of memory");
    }
    backend->env = *env;
    backend->settings = env->settings;
    pgk_uuid_new(&incarnation);
    pgk_uuid_format(&incarnation, backend->incarnation);
    pgk_status status = wake_init(&backend->wake, err);
    if (status != PGK_OK) {
        goto fail_wake;
    }
    status = mutex_init(&backend->memory.lock, err);
    if (status != PGK_OK) {
        goto fail_memory;
    }
    struct link_request request = {.settings = backend->settings,
                                   .memory = &backend->memory,
                                   .id = backend->incarnation,
                                   .cancel_fd = -1};
    init_sessions(backend, &request);
    status = pool_init(&backend->pool, &request, err);
    if (status != PGK_OK) {
        goto fail_pool;
    }
    status = put_queue_init(&backend->puts, backend->settings->max_connections, err);
    if (status != PGK_OK) {
        goto fail_puts;
    }
    status = reach_once(backend, &request, err);
    if (status == PGK_OK) {
        status = thread_start(&backend->thread, "pgk-keeper", keeper_main, backend, err);
    }
    if (status != PGK_OK) {
        backend_destroy(backend);
        return status;
    }
    *ret_backend = backend;
    return PGK_OK;

fail_puts:
    pool_destroy(&backend->pool);
fail_pool:
    pthread_mutex_destroy(&backend->memory.lock);
fail_memory:
    wake_close(&backend->wake);
fail_wake:
    free(backend);
    return status;
}

/* False: it could not be said. */
static bool report_end(const struct backend *backend, const struct link *link,
                       const struct report *report, int64_t deadline_ns)
{
    char id[16];
    char epoch[24];
    char session_id[PGK_UUID_TEXT_SIZE];
    const char *const params[5] = {id, epoch, session_id, report->reason, report->detail};
    AUTO_RESULT *result = NULL;
    snprintf(id, sizeof(id), "%" PRId32, report->leadership_id);
    snprintf(epoch, sizeof(epoch), "%" PRId64, report->epoch);
    pgk_uuid_format(&report->session_id, session_id);
    return link_send(link, STMT_REPORT_END, params, backend->settings) &&
           link_wait(link, STMT_REPORT_END, -1, deadline_ns, &result, NULL) == PGK_OK;
}

/* A process that ends because it lost leadership may be gone before its lock session is back to say why: it says
 * so now, in one attempt, or the history would know only that it was lost. The keeper has ended: reports are ours. */
static void report_ends(const struct backend *backend)
{
    struct link_request request = backend->lock.request;
    struct link link;
    request.cancel_fd = -1;
    request.deadline_ns =
        clock_now_ns() + backend->settings->profile.session_timeout_ms * NS_PER_MS;
    if (backend->reports == NULL || link_make(&request, &link, NULL) != PGK_OK) {
        return;
    }
    const struct report *report = backend->reports;
    while (report != NULL && report_end(backend, &link, report, request.deadline_ns)) {
        report = report->next;
    }
    PQfinish(link.conn);
}

static pgk_status postgres_close(struct backend *backend, pgk_error *err)
{
    keeper_lock(backend);
    backend->closing = true;
    backend->close_until_ns =
        clock_now_ns() + 2 * backend->settings->profile.session_timeout_ms * NS_PER_MS;
    keeper_unlock(backend);
    wake_set(&backend->wake);
    thread_join(&backend->thread);
    report_ends(backend);
    pool_close(&backend->pool);
    if (backend->close_error.status != PGK_OK) {
        if (err != NULL) {
            *err = backend->close_error;
        }
        return error_wrap(err, backend->close_error.status, "resigning");
    }
    return PGK_OK;
}

static void postgres_forget(struct backend *backend)
{
    session_forget(&backend->lock);
    session_forget(&backend->sentinel);
    session_forget(&backend->listener);
    pool_forget(&backend->pool);
    wake_close(&backend->wake);
}

/* ------------------------------------------------------------------ groups */

static struct backend_group *find_group(struct backend *backend, const char *name)
{
    struct backend_group *group = backend->groups;
    while (group != NULL && strcmp(group->name, name) != 0) {
        group = group->next;
    }
    return group;
}

static struct backend_group *new_group(struct backend *backend, const char *name)
{
    struct backend_group *group = calloc(1, sizeof(*group));
    if (group == NULL) {
        return NULL;
    }
    group->name = strdup(name);
    if (group->name == NULL) {
        free(group);
        return NULL;
    }
    group->rules.try_at_ns = CLOCK_NEVER; /* until it is enrolled */
    group->next = backend->groups;
    backend->groups = group;
    return group;
}

static pgk_status postgres_join(struct backend *backend, const char *name, struct tenure *tenure,
                                void *group_ctx, struct backend_group **ret_group, pgk_error *err)
{
    /* One that was left a moment ago may still be on its way out; it is taken up again after that.
     * */
    struct backend_group *group = find_group(backend, name);
    if (group == NULL) {
        group = new_group(backend, name);
    }
    if (group == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "election", "out of memory");
    }
    group->wanted = true;
    group->tenure = tenure;
    group->ctx = group_ctx;
    *ret_group = group;
    wake_set(&backend->wake);
    return PGK_OK;
}

static void postgres_leave(struct backend *backend, struct backend_group *group)
{
    tenure_end(group->tenure);
    group->wanted = false;
    group->tenure = NULL;
    group->ctx = NULL;
    records_clear(group);
    rules_decline(&group->rules);
    wake_set(&backend->wake);
}

static pgk_status postgres_resign(struct backend *backend, struct backend_group *group,
                                  pgk_error *err)
{
    if (group->rules.state != GROUP_LEADING) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, "election.resign",
                         "group \"%s\" does not lead here", group->name);
    }
    groups_act(backend, group, rules_resign(&group->rules, END_RESIGNED));
    wake_set(&backend->wake);
    return PGK_OK;
}

static void postgres_revoked(struct backend *backend, struct backend_group *group)
{
    rules_revoked(&group->rules);
    wake_set(&backend->wake);
}

/* ------------------------------------------------------------------ records */

/* The database refused our token: the tenure is over here too, at once. [lock] */
static void fenced(struct backend *backend, struct backend_group *group, const pgk_token *token)
{
    if (group != NULL && group->rules.state == GROUP_LEADING &&
        group->rules.epoch == token->epoch) {
        groups_act(backend, group, rules_fenced(&group->rules));
        wake_set(&backend->wake);
    }
}

static pgk_status confirm_in_database(struct backend *backend, const pgk_token *token,
                                      const char *component, const char *address, pgk_error *err)
{
    char id[16];
    char epoch[24];
    char session_id[PGK_UUID_TEXT_SIZE];
    const char *const params[5] = {id, epoch, session_id, component, address};
    AUTO_RESULT *result = NULL;
    snprintf(id, sizeof(id), "%" PRId32, token->leadership_id);
    snprintf(epoch, sizeof(epoch), "%" PRId64, token->epoch);
    pgk_uuid_format(&token->session_id, session_id);
    int64_t deadline = clock_now_ns() + backend->settings->statement_timeout_ms * NS_PER_MS;
    pgk_status status = pool_run(&backend->pool, STMT_CONFIRM, params, deadline, &result, err);
    if (status == PGK_OK && strcmp(PQgetvalue(result, 0, 0), "conflict") == 0) {
        return error_set(err, PGK_ERR_CONFLICT, "election.confirm",
                         "component \"%s\" is published by another group whose leader is alive; a "
                         "component belongs to "
                         "one group",
                         component);
    }
    return status;
}

static pgk_status postgres_confirm(struct backend *backend, const char *group_name,
                                   const pgk_token *token, const char *component,
                                   const char *address, pgk_error *err)
{
    pgk_status status = confirm_in_database(backend, token, component, address, err);
    keeper_lock(backend);
    struct backend_group *group = find_group(backend, group_name);
    if (status == PGK_ERR_FENCED) {
        fenced(backend, group, token);
    } else if (status == PGK_OK && group != NULL && group->wanted &&
               group->rules.state == GROUP_LEADING && group->rules.epoch == token->epoch) {
        (void)record_set(group, component, address);
    }
    keeper_unlock(backend);
    return status;
}

static void postgres_withdraw(struct backend *backend, struct backend_group *group,
                              const char *component)
{
    pgk_token token = {.session_id = group->rules.session_id,
                       .epoch = group->rules.epoch,
                       .leadership_id = group->leadership_id};
    record_drop(group, component);
    if (group->rules.state == GROUP_LEADING) {
        errand_add(backend, STMT_WITHDRAW, &token, 0, component, NULL);
        wake_set(&backend->wake);
    }
}

/* ------------------------------------------------------------------ watches */

static pgk_status postgres_watch(struct backend *backend, const char *component, void *watch_ctx,
                                 struct backend_watch **ret_watch, pgk_error *err)
{
    struct backend_watch *watch = calloc(1, sizeof(*watch));
    char *name = strdup(component);
    if (watch == NULL || name == NULL) {
        free(watch);
        free(name);
        return error_set(err, PGK_ERR_NO_MEMORY, "retriever", "out of memory");
    }
    watch->component = name;
    watch->ctx = watch_ctx;
    watch->next = backend->watches;
    backend->watches = watch;
    backend->reread = true;
    *ret_watch = watch;
    wake_set(&backend->wake);
    return PGK_OK;
}

static void postgres_unwatch(struct backend *backend, struct backend_watch *watch)
{
    struct backend_watch **at = &backend->watches;
    while (*at != watch) {
        at = &(*at)->next;
    }
    *at = watch->next;
    free(watch->component);
    free(watch);
}

const struct backend_ops postgres_backend = {
    .name = "postgres",
    .open = postgres_open,
    .close = postgres_close,
    .free = backend_destroy,
    .forget = postgres_forget,
    .join = postgres_join,
    .leave = postgres_leave,
    .resign = postgres_resign,
    .revoked = postgres_revoked,
    .confirm = postgres_confirm,
    .withdraw = postgres_withdraw,
    .watch = postgres_watch,
    .unwatch = postgres_unwatch,
    .job_results = &postgres_job_results,
    .registry = &postgres_registry,
    .checkpoints = &postgres_checkpoints,
    .blobs = &postgres_blobs,
    .recovery = &postgres_recovery,
    .job_graphs = &postgres_job_graphs,
};
