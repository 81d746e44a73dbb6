/*
 * backend/embedded/contend.c - see contend.h.
 *
 * Any thread. The queue of a group is in the order of joining; who resigns goes to its end.
 */
#include "backend/embedded/contend.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/embedded/leaders.h"
#include "core/clock.h"
#include "core/log.h"

#define ORIGIN "keeper.lock"

/* ------------------------------------------------------------------ groups, [space] */

static struct space_group *find_group(const struct space *space, const char *name)
{
    struct space_group *group;

    LIST_FOREACH(group, &space->groups, link)
    {
        if (strcmp(group->name, name) == 0) {
            return group;
        }
    }
    return NULL;
}

/* NULL: out of memory. */
static struct space_group *new_group(struct space *space, const char *name)
{
    struct space_group *group = calloc(1, sizeof(*group));
    char *copy = strdup(name);

    if (group == NULL || copy == NULL) {
        free(group);
        free(copy);
        return NULL;
    }
    group->name = copy;
    group->leadership_id = ++space->leadership_id;
    TAILQ_INIT(&group->queue);
    LIST_INSERT_HEAD(&space->groups, group, link);
    return group;
}

/* Epochs are the space's, so a group that nobody contends for need not be remembered. */
static void free_if_deserted(struct space_group *group)
{
    if (TAILQ_EMPTY(&group->queue)) {
        LIST_REMOVE(group, link);
        free(group->name);
        free(group);
    }
}

/* ------------------------------------------------------------------ turns, [space] */

static bool contends_for(const struct backend_group *contender, const char *name)
{
    const struct backend_component *component;

    LIST_FOREACH(component, &contender->components, link)
    {
        if (strcmp(component->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_barred(const struct backend_group *contender)
{
    const struct space_bar *bar;

    LIST_FOREACH(bar, &contender->backend->space->bars, link)
    {
        if (contends_for(contender, bar->component)) {
            return true;
        }
    }
    return false;
}

static struct backend_group *whose_turn(const struct space_group *group)
{
    struct backend_group *contender;

    if (group->holder != NULL) {
        return NULL;
    }
    TAILQ_FOREACH (contender, &group->queue, queue_link) {
        if (!is_barred(contender)) {
            return contender;
        }
    }
    return NULL;
}

static void set_due(struct backend_group *contender)
{
    if (!contender->due) {
        contender->due = true;
        TAILQ_INSERT_TAIL(&contender->backend->due_groups, contender, due_link);
    }
    keeper_wake(contender->backend);
}

static void offer(const struct space_group *group)
{
    struct backend_group *next = whose_turn(group);

    if (next != NULL) {
        set_due(next);
    }
}

/* ------------------------------------------------------------------ tenures, [space] */

static void begin_tenure(struct backend_group *contender)
{
    struct space_group *group = contender->group;

    group->holder = contender;
    group->fence_open = true;
    group->epoch = ++contender->backend->space->epoch;
    pgk_uuid_new(&group->session_id);
    contender->state = CONTENDER_LEADS;
    tenure_begin(contender->tenure, group->leadership_id, &group->session_id, group->epoch,
                 CLOCK_NEVER);
}

/* The services are told soon, and let go then. */
static void end_tenure(struct backend_group *contender)
{
    contender->state = CONTENDER_ENDED;
    tenure_end(contender->tenure);
    leaders_clear(contender->backend->space, contender->group);
    set_due(contender);
}

static void let_go(struct backend_group *contender)
{
    struct space_group *group = contender->group;

    contender->state = CONTENDER_WAITS;
    group->holder = NULL;
    group->fence_open = false;
    offer(group);
}

void contend_review(struct space *space)
{
    struct space_group *group;

    LIST_FOREACH(group, &space->groups, link)
    {
        struct backend_group *holder = group->holder;

        if (holder != NULL && is_barred(holder)) {
            group->fence_open = false; /* it is taken away, also from one who is giving it back */
            if (holder->state == CONTENDER_LEADS) {
                end_tenure(holder);
            }
        }
        offer(group);
    }
}

/* ------------------------------------------------------------------ the backend's functions */

static void lock(const struct backend *backend)
{
    pthread_mutex_lock(&backend->space->lock);
}

static void unlock(const struct backend *backend)
{
    pthread_mutex_unlock(&backend->space->lock);
}

pgk_status contend_join(struct backend *backend, const char *name, struct tenure *tenure, void *ctx,
                        struct backend_group **ret_contender, pgk_error *err)
{
    struct space *space = backend->space;
    struct backend_group *contender = calloc(1, sizeof(*contender));

    if (contender == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "election", "no memory for a contender");
    }
    lock(backend);
    struct space_group *group = find_group(space, name);

    if (group == NULL) {
        group = new_group(space, name);
    }
    if (group != NULL) {
        *contender = (struct backend_group){
            .backend = backend, .group = group, .tenure = tenure, .ctx = ctx};
        TAILQ_INSERT_TAIL(&group->queue, contender, queue_link);
        offer(group);
    }
    unlock(backend);
    if (group == NULL) {
        free(contender);
        return error_set(err, PGK_ERR_NO_MEMORY, "election", "no memory for group \"%s\"", name);
    }
    *ret_contender = contender;
    return PGK_OK;
}

void contend_leave(struct backend *backend, struct backend_group *contender)
{
    struct space_group *group = contender->group;

    lock(backend);
    tenure_end(contender->tenure);
    TAILQ_REMOVE(&group->queue, contender, queue_link);
    if (contender->due) {
        TAILQ_REMOVE(&backend->due_groups, contender, due_link);
    }
    if (group->holder == contender) {
        leaders_clear(backend->space, group);
        let_go(contender);
    } else {
        offer(group); /* it may have been its turn */
    }
    free_if_deserted(group);
    unlock(backend);
    free(contender);
}

pgk_status contend_resign(struct backend *backend, struct backend_group *contender, pgk_error *err)
{
    struct space_group *group = contender->group;

    lock(backend);
    bool leads = contender->state == CONTENDER_LEADS;

    if (leads) {
        TAILQ_REMOVE(&group->queue, contender, queue_link);
        TAILQ_INSERT_TAIL(&group->queue, contender, queue_link);
        end_tenure(contender);
    }
    unlock(backend);
    return leads ? PGK_OK
                 : error_set(err, PGK_ERR_ILLEGAL_STATE, "election.resign",
                             "group \"%s\" does not lead here", group->name);
}

void contend_revoked(struct backend *backend, struct backend_group *contender)
{
    lock(backend);
    let_go(contender);
    unlock(backend);
}

void contend_attend(struct backend *backend, struct backend_group *contender,
                    struct backend_component *component)
{
    lock(backend);
    LIST_INSERT_HEAD(&contender->components, component, link);
    contend_review(backend->space);
    unlock(backend);
}

void contend_depart(struct backend *backend, struct backend_group *contender,
                    struct backend_component *component)
{
    lock(backend);
    LIST_REMOVE(component, link);
    /* At once: to revoke a component that nobody contends for does nothing, and its address must be gone then. */
    if (!contends_for(contender, component->name)) {
        leaders_drop(backend->space, contender, component->name);
    }
    offer(contender->group);
    unlock(backend);
}

/* ------------------------------------------------------------------ the keeper's part */

enum news { NEWS_NOTHING, NEWS_BEGAN, NEWS_ENDED };

/* [space] */
static enum news look_at(struct backend_group *contender)
{
    if (contender->state == CONTENDER_ENDED) {
        contender->state = CONTENDER_LETTING_GO;
        return NEWS_ENDED;
    }
    if (contender->state == CONTENDER_WAITS && whose_turn(contender->group) == contender) {
        begin_tenure(contender);
        return NEWS_BEGAN;
    }
    return NEWS_NOTHING;
}

static void tell(struct backend *backend, struct backend_group *contender, enum news news,
                 int64_t epoch)
{
    const struct backend_sink *sink = &backend->env.sink;
    const char *name = contender->group->name;

    if (news == NEWS_BEGAN) {
        log_line(&backend->env.settings->logger, PGK_LOG_INFO, ORIGIN, "leads %s, epoch %" PRId64,
                 name, epoch);
        sink->tenure_began(sink->ctx, contender->ctx);
    } else if (news == NEWS_ENDED) {
        log_line(&backend->env.settings->logger, PGK_LOG_INFO, ORIGIN, "no longer leads %s", name);
        sink->tenure_ended(sink->ctx, contender->ctx, true);
    }
}

void contend_look(struct backend *backend)
{
    for (;;) {
        enum news news = NEWS_NOTHING;
        int64_t epoch = 0;

        lock(backend);
        struct backend_group *contender = TAILQ_FIRST(&backend->due_groups);

        if (contender != NULL) {
            TAILQ_REMOVE(&backend->due_groups, contender, due_link);
            contender->due = false;
            news = look_at(contender);
            epoch = contender->group->epoch;
        }
        unlock(backend);
        if (contender == NULL) {
            return;
        }
        tell(backend, contender, news, epoch);
    }
}
