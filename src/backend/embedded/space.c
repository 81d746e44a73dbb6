/*
 * backend/embedded/space.c - the spaces of this process, found by their cluster ids; see space.h.
 *
 * Any thread. The registry's lock is held for moments, and no other is taken under it.
 */
#include "backend/embedded/space.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/thread.h"

/* Of one process. A forked child makes its own, with a lock that no lost thread can hold. */
struct registry {
    pid_t pid;
    pthread_mutex_t lock;
    LIST_HEAD(, space) spaces;
    struct registry *parents; /* what this process was forked with, and never touches */
};

static _Atomic(struct registry *) registry_of_process;

/* NULL: out of memory. */
static struct registry *registry_get(void)
{
    struct registry *present = atomic_load(&registry_of_process);

    if (present != NULL && present->pid == getpid()) {
        return present;
    }
    struct registry *fresh = calloc(1, sizeof(*fresh));

    if (fresh == NULL || mutex_init(&fresh->lock, NULL) != PGK_OK) {
        free(fresh);
        return NULL;
    }
    fresh->pid = getpid();
    fresh->parents = present;
    if (atomic_compare_exchange_strong(&registry_of_process, &present, fresh)) {
        return fresh;
    }
    pthread_mutex_destroy(&fresh->lock); /* another thread was faster */
    free(fresh);
    return present;
}

/* ------------------------------------------------------------------ a space */

static void space_free(struct space *space)
{
    while (!LIST_EMPTY(&space->bars)) {
        struct space_bar *bar = LIST_FIRST(&space->bars);

        LIST_REMOVE(bar, link);
        free(bar->component);
        free(bar);
    }
    shelf_free(space->shelf);
    pthread_mutex_destroy(&space->lock);
    free(space->cluster_id);
    free(space);
}

static pgk_status space_new(const char *cluster_id, struct space **ret_space, pgk_error *err)
{
    struct space *space = calloc(1, sizeof(*space));

    if (space == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "open", "no memory for a space");
    }
    pgk_status status = mutex_init(&space->lock, err);

    if (status != PGK_OK) {
        free(space);
        return status;
    }
    space->shelf = shelf_new();
    space->cluster_id = cluster_id == NULL ? NULL : strdup(cluster_id);
    if (space->shelf == NULL || (cluster_id != NULL && space->cluster_id == NULL)) {
        space_free(space);
        return error_set(err, PGK_ERR_NO_MEMORY, "open", "no memory for a space");
    }
    space->users = 1;
    *ret_space = space;
    return PGK_OK;
}

pgk_status space_new_fixed(struct space **ret_space, pgk_error *err)
{
    pgk_status status = space_new(NULL, ret_space, err);

    if (status == PGK_OK) {
        (*ret_space)->fixed = true;
    }
    return status;
}

/* ------------------------------------------------------------------ the registry */

/* Locked. One user more; NULL: there is none. */
static struct space *use(const struct registry *registry, const char *cluster_id)
{
    struct space *space;

    LIST_FOREACH(space, &registry->spaces, link)
    {
        if (strcmp(space->cluster_id, cluster_id) == 0) {
            space->users++;
            return space;
        }
    }
    return NULL;
}

pgk_status space_enter(const char *cluster_id, struct space **ret_space, pgk_error *err)
{
    struct registry *registry = registry_get();
    pgk_status status = PGK_OK;

    if (registry == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "open", "no memory for a space");
    }
    pthread_mutex_lock(&registry->lock);
    *ret_space = use(registry, cluster_id);
    if (*ret_space == NULL) {
        status = space_new(cluster_id, ret_space, err);
        if (status == PGK_OK) {
            LIST_INSERT_HEAD(&registry->spaces, *ret_space, link);
        }
    }
    pthread_mutex_unlock(&registry->lock);
    return status;
}

struct space *space_find(const char *cluster_id)
{
    struct registry *registry = registry_get();

    if (registry == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&registry->lock);
    struct space *space = use(registry, cluster_id);

    pthread_mutex_unlock(&registry->lock);
    return space;
}

void space_keep(struct space *space, bool keep)
{
    struct registry *registry = registry_get();

    pthread_mutex_lock(&registry->lock); /* whoever has a space has a registry */
    space->kept = keep;
    pthread_mutex_unlock(&registry->lock);
}

void space_leave(struct space *space)
{
    if (space->cluster_id == NULL) {
        space_free(space);
        return;
    }
    struct registry *registry = registry_get();

    pthread_mutex_lock(&registry->lock);
    space->users--;
    bool over = space->users == 0 && !space->kept;

    if (over) {
        LIST_REMOVE(space, link);
    }
    pthread_mutex_unlock(&registry->lock);
    if (over) {
        space_free(space);
    }
}

/* ------------------------------------------------------------------ the fence */

bool space_token_leads(const struct space *space, const pgk_token *token)
{
    static const pgk_uuid nobody;
    const struct space_group *group;

    if (space->fixed) {
        return token->epoch == 0 && pgk_uuid_compare(&token->session_id, &nobody) == 0;
    }
    LIST_FOREACH(group, &space->groups, link)
    {
        if (group->leadership_id == token->leadership_id) {
            return group->fence_open && group->epoch == token->epoch &&
                   pgk_uuid_compare(&group->session_id, &token->session_id) == 0;
        }
    }
    return false;
}
