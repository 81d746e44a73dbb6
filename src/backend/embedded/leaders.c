/* backend/embedded/leaders.c - see leaders.h. Any thread. */
#include "backend/embedded/leaders.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"

struct backend_watch {
    struct backend *backend;
    char *component;
    void *ctx;
    bool due;                            /* [space] it is in backend->due_watches */
    LIST_ENTRY(backend_watch) link;      /* [space] */
    TAILQ_ENTRY(backend_watch) due_link; /* [space] */
};

/* ------------------------------------------------------------------ [space] */

static void set_due(struct backend_watch *watch)
{
    if (!watch->due) {
        watch->due = true;
        TAILQ_INSERT_TAIL(&watch->backend->due_watches, watch, due_link);
    }
    keeper_wake(watch->backend);
}

static void tell_watches(const struct space *space, const char *component)
{
    struct backend_watch *watch;

    LIST_FOREACH(watch, &space->watches, link)
    {
        if (strcmp(watch->component, component) == 0) {
            set_due(watch);
        }
    }
}

static struct space_record *find_record(const struct space *space, const char *component)
{
    struct space_record *record;

    LIST_FOREACH(record, &space->records, link)
    {
        if (strcmp(record->component, component) == 0) {
            return record;
        }
    }
    return NULL;
}

static void record_free(struct space_record *record)
{
    if (record != NULL) {
        free(record->component);
        free(record);
    }
}

static void remove_record(const struct space *space, struct space_record *record)
{
    LIST_REMOVE(record, link);
    tell_watches(space, record->component);
    record_free(record);
}

void leaders_clear(struct space *space, const struct space_group *group)
{
    struct space_record *record = LIST_FIRST(&space->records);

    while (record != NULL) {
        struct space_record *next = LIST_NEXT(record, link);

        if (record->group == group) {
            remove_record(space, record);
        }
        record = next;
    }
}

void leaders_drop(const struct space *space, const struct backend_group *contender,
                  const char *component)
{
    struct space_record *record = find_record(space, component);

    if (record != NULL && record->group == contender->group &&
        contender->group->holder == contender) {
        remove_record(space, record);
    }
}

/* ------------------------------------------------------------------ addresses */

/* NULL: out of memory. */
static struct space_record *new_record(const pgk_token *token, const char *component,
                                       const char *address)
{
    struct space_record *record = calloc(1, sizeof(*record));

    if (record == NULL) {
        return NULL;
    }
    record->component = strdup(component);
    if (record->component == NULL) {
        free(record);
        return NULL;
    }
    record->leader.session_id = token->session_id;
    record->leader.epoch = token->epoch;
    text_copy(record->leader.address, sizeof(record->leader.address), address);
    return record;
}

/* [space] The group that leads under this token, as its services know it. NULL: none does. */
static const struct space_group *leading_group(const struct backend *backend,
                                               const char *group_name, const pgk_token *token)
{
    const struct space_group *group;

    LIST_FOREACH(group, &backend->space->groups, link)
    {
        if (strcmp(group->name, group_name) == 0) {
            break;
        }
    }
    return group != NULL && space_token_leads(backend->space, token) &&
                   group->epoch == token->epoch && group->holder->state == CONTENDER_LEADS
               ? group
               : NULL;
}

/* [space] Takes the record if it answers PGK_OK. */
static pgk_status publish(const struct backend *backend, const struct space_group *group,
                          struct space_record *record, pgk_error *err)
{
    struct space *space = backend->space;
    struct space_record *former = find_record(space, record->component);

    if (group == NULL) {
        return error_set(err, PGK_ERR_FENCED, "election.confirm",
                         "epoch %lld does not lead any more; wait for the next grant",
                         (long long)record->leader.epoch);
    }
    if (former != NULL && former->group != group) {
        return error_set(err, PGK_ERR_CONFLICT, "election.confirm",
                         "component \"%s\" is published by another group whose leader is alive; a "
                         "component belongs to one group",
                         record->component);
    }
    if (former != NULL) {
        LIST_REMOVE(former, link);
        record_free(former);
    }
    record->group = group;
    LIST_INSERT_HEAD(&space->records, record, link);
    tell_watches(space, record->component);
    return PGK_OK;
}

pgk_status leaders_confirm(struct backend *backend, const char *group_name, const pgk_token *token,
                           const char *component, const char *address, pgk_error *err)
{
    struct space_record *record = new_record(token, component, address);

    if (record == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "election.confirm", "no memory for an address");
    }
    pthread_mutex_lock(&backend->space->lock);
    pgk_status status = publish(backend, leading_group(backend, group_name, token), record, err);

    pthread_mutex_unlock(&backend->space->lock);
    if (status != PGK_OK) {
        record_free(record);
    }
    return status;
}

void leaders_withdraw(struct backend *backend, struct backend_group *contender,
                      const char *component)
{
    struct space *space = backend->space;

    pthread_mutex_lock(&space->lock);
    leaders_drop(space, contender, component);
    pthread_mutex_unlock(&space->lock);
}

/* ------------------------------------------------------------------ watches */

static void watch_free(struct backend_watch *watch)
{
    if (watch != NULL) {
        free(watch->component);
        free(watch);
    }
}

pgk_status leaders_watch(struct backend *backend, const char *component, void *ctx,
                         struct backend_watch **ret_watch, pgk_error *err)
{
    struct backend_watch *watch = calloc(1, sizeof(*watch));
    char *copy = strdup(component);

    if (watch == NULL || copy == NULL) {
        free(copy);
        watch_free(watch);
        return error_set(err, PGK_ERR_NO_MEMORY, "retriever", "no memory for a watch");
    }
    watch->backend = backend;
    watch->component = copy;
    watch->ctx = ctx;
    pthread_mutex_lock(&backend->space->lock);
    LIST_INSERT_HEAD(&backend->space->watches, watch, link);
    set_due(watch);
    pthread_mutex_unlock(&backend->space->lock);
    *ret_watch = watch;
    return PGK_OK;
}

void leaders_unwatch(struct backend *backend, struct backend_watch *watch)
{
    pthread_mutex_lock(&backend->space->lock);
    LIST_REMOVE(watch, link);
    if (watch->due) {
        TAILQ_REMOVE(&backend->due_watches, watch, due_link);
    }
    pthread_mutex_unlock(&backend->space->lock);
    watch_free(watch);
}

void leaders_look(struct backend *backend)
{
    const struct backend_sink *sink = &backend->env.sink;

    for (;;) {
        pgk_leader leader;

        pthread_mutex_lock(&backend->space->lock);
        struct backend_watch *watch = TAILQ_FIRST(&backend->due_watches);
        const struct space_record *record = NULL;

        if (watch != NULL) {
            TAILQ_REMOVE(&backend->due_watches, watch, due_link);
            watch->due = false;
            record = find_record(backend->space, watch->component);
            leader = record != NULL ? record->leader : (pgk_leader){.epoch = 0};
        }
        pthread_mutex_unlock(&backend->space->lock);
        if (watch == NULL) {
            return;
        }
        sink->leader_seen(sink->ctx, watch->ctx, 0, record != NULL ? &leader : NULL);
    }
}
