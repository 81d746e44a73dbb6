/*
 * tests/lib/scripted.c - a backend whose keeper is the test; see the header.
 *
 * Guarded by the handle's own lock, which the services lend to a backend; the counts that outlive it by
 * one of its own.
 */
#include "scripted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/text.h"

struct backend_group {
    char name[SCRIPT_NAME_SIZE];
    struct tenure *tenure;
    void *ctx;
    bool joined;
    bool leads;
    bool awaits_revoked;
    LIST_HEAD(, backend_component) components;
};

struct backend_watch {
    char component[SCRIPT_NAME_SIZE];
    void *ctx;
    struct backend_watch *next;
};

struct backend {
    struct backend_env env;
    struct script_counts counts;
    struct backend_group groups[SCRIPT_GROUPS];
    struct backend_watch *watches;
    int64_t epoch;
    pgk_status confirm_answer;
    bool hold_confirm;
    pgk_status cleanup_answer;
    bool hold_cleanup;
    pgk_uuid first_op;
    pgk_uuid latest_op;
    int64_t cleanup_ns[SCRIPT_CLEANUPS];
    int held;
    pthread_cond_t let_go;
    bool closed;
};

static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static struct script_counts last_counts;
static _Atomic int open_answer;
static _Atomic int close_answer;

static void must(bool condition, const char *sentence)
{
    if (!condition) {
        fprintf(stderr, "the services broke a rule of the backend: %s\n", sentence);
        abort();
    }
}

static pgk_status script_open_backend(const struct backend_env *env, struct backend **ret_backend,
                                      pgk_error *err)
{
    pgk_status answer = (pgk_status)atomic_load(&open_answer);
    if (answer != PGK_OK) {
        return error_set(err, answer, "script", "open was told to fail");
    }
    struct backend *backend = calloc(1, sizeof(*backend));
    must(backend != NULL, "memory");
    backend->env = *env;
    pthread_cond_init(&backend->let_go, NULL);
    pthread_mutex_lock(&last_lock);
    last_counts = (struct script_counts){0};
    pthread_mutex_unlock(&last_lock);
    *ret_backend = backend;
    return PGK_OK;
}

static pgk_status script_close_backend(struct backend *backend, pgk_error *err)
{
    pthread_mutex_lock(backend->env.lock);
    must(!backend->closed, "close once");
    for (int i = 0; i < SCRIPT_GROUPS; i++) {
        must(!backend->groups[i].joined, "all groups are left before close");
    }
    must(backend->watches == NULL, "all watches have ended before close");
    must(backend->held == 0, "no call is under way at close");
    backend->closed = true;
    backend->counts.closed++;
    pthread_mutex_unlock(backend->env.lock);
    pgk_status answer = (pgk_status)atomic_load(&close_answer);
    return answer == PGK_OK ? PGK_OK : error_set(err, answer, "script", "close was told to fail");
}

static void script_free_backend(struct backend *backend)
{
    must(backend->closed, "close before free");
    backend->counts.freed++;
    pthread_mutex_lock(&last_lock);
    last_counts = backend->counts;
    pthread_mutex_unlock(&last_lock);
    pthread_cond_destroy(&backend->let_go);
    free(backend);
}

static void script_forget(struct backend *backend)
{
    backend->counts.forgotten++;
}

static struct backend_group *find_group(struct backend *backend, const char *name)
{
    for (int i = 0; i < SCRIPT_GROUPS; i++) {
        struct backend_group *group = &backend->groups[i];
        if (group->joined && strcmp(group->name, name) == 0) {
            return group;
        }
    }
    return NULL;
}

static pgk_status script_join(struct backend *backend, const char *name, struct tenure *tenure,
                              void *group_ctx, struct backend_group **ret_group, pgk_error *err)
{
    (void)err;
    must(!backend->closed, "no join after close");
    must(find_group(backend, name) == NULL, "a group is joined once");
    for (int i = 0; i < SCRIPT_GROUPS; i++) {
        struct backend_group *group = &backend->groups[i];
        if (!group->joined) {
            *group = (struct backend_group){.tenure = tenure, .ctx = group_ctx, .joined = true};
            text_copy(group->name, sizeof(group->name), name);
            backend->counts.joined++;
            *ret_group = group;
            return PGK_OK;
        }
    }
    must(false, "too many groups for the script");
    return PGK_ERR_INTERNAL;
}

static void script_leave(struct backend *backend, struct backend_group *group)
{
    must(group->joined, "leave what was joined");
    must(!group->awaits_revoked, "revoked() before leave");
    must(LIST_EMPTY(&group->components), "all contenders depart before leave");
    if (group->leads) {
        tenure_end(group->tenure);
    }
    *group = (struct backend_group){.joined = false};
    backend->counts.left++;
}

static void end_tenure(struct backend *backend, struct backend_group *group, bool orderly)
{
    group->leads = false;
    group->awaits_revoked = orderly;
    tenure_end(group->tenure);
    backend->env.sink.tenure_ended(backend->env.sink.ctx, group->ctx, orderly);
}

static pgk_status script_resign(struct backend *backend, struct backend_group *group,
                                pgk_error *err)
{
    must(group->joined, "resign what was joined");
    if (!group->leads) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, "script", "does not lead");
    }
    backend->counts.resigned++;
    end_tenure(backend, group, true);
    return PGK_OK;
}

static void script_revoked(struct backend *backend, struct backend_group *group)
{
    must(group->joined, "revoked() of what was joined");
    must(group->awaits_revoked, "revoked() once, and only after an orderly end");
    group->awaits_revoked = false;
    backend->counts.revoked++;
}

static void script_attend(struct backend *backend, struct backend_group *group,
                          struct backend_component *component)
{
    const struct backend_component *other;
    must(!backend->closed && group->joined, "contenders come to what was joined");
    LIST_FOREACH(other, &group->components, link)
    {
        must(other != component, "a contender comes once");
    }
    LIST_INSERT_HEAD(&group->components, component, link);
}

static void script_depart(struct backend *backend, struct backend_group *group,
                          struct backend_component *component)
{
    (void)backend;
    must(group->joined && !LIST_EMPTY(&group->components) && component->name[0] != '\0',
         "a contender departs from what it came to");
    LIST_REMOVE(component, link);
}

static pgk_status script_confirm(struct backend *backend, const char *group_name,
                                 const pgk_token *token, const char *component, const char *address,
                                 pgk_error *err)
{
    must(group_name[0] != '\0' && token->epoch > 0 && component[0] != '\0' && address[0] != '\0',
         "confirm has its arguments");
    pthread_mutex_lock(backend->env.lock);
    must(!backend->closed, "no confirm after close");
    backend->counts.confirmed++;
    backend->held++;
    while (backend->hold_confirm) {
        pthread_cond_wait(&backend->let_go, backend->env.lock);
    }
    backend->held--;
    pgk_status answer = backend->confirm_answer;
    pthread_mutex_unlock(backend->env.lock);
    return answer == PGK_OK ? PGK_OK : error_set(err, answer, "script", "confirm was told to fail");
}

static pgk_status script_cleanup_job(struct backend *backend, const struct store_write *write,
                                     const pgk_uuid *job_id, int64_t *ret_dropped, pgk_error *err)
{
    pthread_mutex_lock(backend->env.lock);
    must(!backend->closed && job_id != NULL, "no clean-up after close");
    if (backend->counts.cleaned < SCRIPT_CLEANUPS) {
        backend->cleanup_ns[backend->counts.cleaned] = clock_now_ns();
    }
    backend->latest_op = write->op_id;
    if (backend->counts.cleaned++ == 0) {
        backend->first_op = write->op_id;
    }
    backend->held++;
    while (backend->hold_cleanup) {
        pthread_cond_wait(&backend->let_go, backend->env.lock);
    }
    backend->held--;
    pgk_status answer = backend->cleanup_answer;
    pthread_mutex_unlock(backend->env.lock);
    *ret_dropped = 7;
    return answer == PGK_OK ? PGK_OK : error_set(err, answer, "script", "cleanup was told to fail");
}

static pgk_status script_sweep(struct backend *backend, bool all, int limit, int64_t *ret_removed,
                               bool *ret_more, pgk_error *err)
{
    (void)backend, (void)all, (void)limit, (void)err;
    *ret_removed = 0;
    *ret_more = false;
    return PGK_OK;
}

static const struct recovery_ops script_recovery = {.cleanup_job = script_cleanup_job};
static const struct blob_ops script_blobs = {.sweep = script_sweep};

static void script_withdraw(struct backend *backend, struct backend_group *group,
                            const char *component)
{
    must(group->joined && group->leads && component[0] != '\0', "withdraw while the group leads");
    backend->counts.withdrawn++;
}

static pgk_status script_watch(struct backend *backend, const char *component, void *watch_ctx,
                               struct backend_watch **ret_watch, pgk_error *err)
{
    (void)err;
    must(!backend->closed, "no watch after close");
    struct backend_watch *watch = calloc(1, sizeof(*watch));
    must(watch != NULL, "memory");
    text_copy(watch->component, sizeof(watch->component), component);
    watch->ctx = watch_ctx;
    watch->next = backend->watches;
    backend->watches = watch;
    backend->counts.watched++;
    *ret_watch = watch;
    return PGK_OK;
}

static void script_unwatch(struct backend *backend, struct backend_watch *watch)
{
    struct backend_watch **at = &backend->watches;
    while (*at != NULL && *at != watch) {
        at = &(*at)->next;
    }
    must(*at == watch, "unwatch what is watched");
    *at = watch->next;
    free(watch);
    backend->counts.unwatched++;
}

const struct backend_ops scripted_backend = {.name = "scripted",
                                             .open = script_open_backend,
                                             .close = script_close_backend,
                                             .free = script_free_backend,
                                             .forget = script_forget,
                                             .join = script_join,
                                             .leave = script_leave,
                                             .resign = script_resign,
                                             .revoked = script_revoked,
                                             .attend = script_attend,
                                             .depart = script_depart,
                                             .confirm = script_confirm,
                                             .withdraw = script_withdraw,
                                             .watch = script_watch,
                                             .unwatch = script_unwatch,
                                             .blobs = &script_blobs,
                                             .recovery = &script_recovery};

pgk_ha *script_open(const char *const *pairs, bool client_only)
{
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    pgk_error err;
    must(pgk_config_new(&config, &err) == PGK_OK, "a configuration");
    for (; pairs != NULL && *pairs != NULL; pairs += 2) {
        must(pgk_config_set(config, pairs[0], pairs[1], &err) == PGK_OK, "a key and its value");
    }
    must(ha_open_with(&scripted_backend, config, client_only, &ha, &err) == PGK_OK, "a handle");
    pgk_config_free(config);
    return ha;
}

struct backend *script_of(pgk_ha *ha)
{
    return ha->backend;
}

struct script_counts script_counts(struct backend *backend)
{
    pthread_mutex_lock(backend->env.lock);
    struct script_counts counts = backend->counts;
    pthread_mutex_unlock(backend->env.lock);
    return counts;
}

struct script_counts script_counts_unlocked(const struct backend *backend)
{
    return backend->counts;
}

struct script_counts script_last_counts(void)
{
    pthread_mutex_lock(&last_lock);
    struct script_counts counts = last_counts;
    pthread_mutex_unlock(&last_lock);
    return counts;
}

bool script_begin(struct backend *backend, const char *name, int lease_ms, pgk_uuid *ret_session_id)
{
    pthread_mutex_lock(backend->env.lock);
    struct backend_group *group = find_group(backend, name);
    bool free_to_lead = group != NULL && !group->leads && !group->awaits_revoked;
    if (free_to_lead) {
        pgk_uuid session_id;
        pgk_uuid_new(&session_id);
        group->leads = true;
        backend->epoch++;
        tenure_begin(group->tenure, 1, &session_id, backend->epoch,
                     clock_now_ns() + lease_ms * NS_PER_MS);
        if (ret_session_id != NULL) {
            *ret_session_id = session_id;
        }
        backend->env.sink.tenure_began(backend->env.sink.ctx, group->ctx);
    }
    pthread_mutex_unlock(backend->env.lock);
    return free_to_lead;
}

bool script_end(struct backend *backend, const char *name, bool orderly)
{
    pthread_mutex_lock(backend->env.lock);
    struct backend_group *group = find_group(backend, name);
    bool leads = group != NULL && group->leads;
    if (leads) {
        end_tenure(backend, group, orderly);
    }
    pthread_mutex_unlock(backend->env.lock);
    return leads;
}

void script_fault(struct backend *backend, const char *name, const pgk_error *error)
{
    pthread_mutex_lock(backend->env.lock);
    struct backend_group *group = find_group(backend, name);
    if (group != NULL) {
        backend->env.sink.group_fault(backend->env.sink.ctx, group->ctx, error);
    }
    pthread_mutex_unlock(backend->env.lock);
}

void script_see(struct backend *backend, const char *component, int session, int64_t epoch,
                const char *address)
{
    pgk_leader leader = {.epoch = epoch};
    leader.session_id.bytes[15] = (uint8_t)session;
    text_copy(leader.address, sizeof(leader.address), address);
    pthread_mutex_lock(backend->env.lock);
    for (struct backend_watch *watch = backend->watches; watch != NULL; watch = watch->next) {
        if (strcmp(watch->component, component) == 0) {
            backend->env.sink.leader_seen(backend->env.sink.ctx, watch->ctx, 0,
                                          address == NULL ? NULL : &leader);
        }
    }
    pthread_mutex_unlock(backend->env.lock);
}

void script_answer_confirm(struct backend *backend, pgk_status status)
{
    pthread_mutex_lock(backend->env.lock);
    backend->confirm_answer = status;
    pthread_mutex_unlock(backend->env.lock);
}

void script_hold_confirm(struct backend *backend, bool hold)
{
    pthread_mutex_lock(backend->env.lock);
    backend->hold_confirm = hold;
    pthread_cond_broadcast(&backend->let_go);
    pthread_mutex_unlock(backend->env.lock);
}

void script_answer_cleanup(struct backend *backend, pgk_status status)
{
    pthread_mutex_lock(backend->env.lock);
    backend->cleanup_answer = status;
    pthread_mutex_unlock(backend->env.lock);
}

void script_hold_cleanup(struct backend *backend, bool hold)
{
    pthread_mutex_lock(backend->env.lock);
    backend->hold_cleanup = hold;
    pthread_cond_broadcast(&backend->let_go);
    pthread_mutex_unlock(backend->env.lock);
}

bool script_same_cleanup(struct backend *backend)
{
    pthread_mutex_lock(backend->env.lock);
    bool same = pgk_uuid_compare(&backend->first_op, &backend->latest_op) == 0;
    pthread_mutex_unlock(backend->env.lock);
    return same;
}

int64_t script_cleanup_ns(struct backend *backend, int number)
{
    pthread_mutex_lock(backend->env.lock);
    int64_t at_ns = number < SCRIPT_CLEANUPS ? backend->cleanup_ns[number] : 0;
    pthread_mutex_unlock(backend->env.lock);
    return at_ns;
}

int script_held(struct backend *backend)
{
    pthread_mutex_lock(backend->env.lock);
    int held = backend->held;
    pthread_mutex_unlock(backend->env.lock);
    return held;
}

void script_answer_open(pgk_status status)
{
    atomic_store(&open_answer, (int)status);
}

void script_answer_close(pgk_status status)
{
    atomic_store(&close_answer, (int)status);
}
