/*
 * backend/embedded/control.c - leadership taken and given by call; keeping a space without users.
 *
 * Any thread, also inside callbacks: takes the space's lock alone. A bar is a component that nobody
 * is to lead; who contends for it is passed over (contend.c).
 */
#include <pgkeeper/embedded.h>

#include <stdlib.h>
#include <string.h>

#include "backend/embedded/contend.h"
#include "core/text.h"

#define CLUSTER_ID_MAX_BYTES 200

static pgk_status check_text(const char *text, const char *what, size_t max, const char *origin,
                             pgk_error *err)
{
    if (text == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL", what);
    }
    if (!text_is_valid(text, 1, max)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "%s must be 1 to %zu bytes of UTF-8", what, max);
    }
    return PGK_OK;
}

static pgk_status find_space(const char *cluster_id, const char *component, const char *origin,
                             struct space **ret_space, pgk_error *err)
{
    error_reset(err);
    pgk_status status = check_text(cluster_id, "cluster_id", CLUSTER_ID_MAX_BYTES, origin, err);

    if (status == PGK_OK) {
        status = check_text(component, "component", PGK_COMPONENT_MAX_BYTES, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    *ret_space = space_find(cluster_id);
    return *ret_space != NULL
               ? PGK_OK
               : error_set(err, PGK_ERR_NOT_FOUND, origin,
                           "this process has no handle of embedded mode with cluster id \"%s\"; "
                           "open one first, or call pgk_embedded_keep",
                           cluster_id);
}

/* [space] */
static struct space_bar *find_bar(const struct space *space, const char *component)
{
    struct space_bar *bar;

    LIST_FOREACH(bar, &space->bars, link)
    {
        if (strcmp(bar->component, component) == 0) {
            return bar;
        }
    }
    return NULL;
}

static void bar_free(struct space_bar *bar)
{
    if (bar != NULL) {
        free(bar->component);
        free(bar);
    }
}

pgk_status pgk_embedded_revoke(const char *cluster_id, const char *component, pgk_error *err)
{
    static const char origin[] = "embedded.revoke";
    struct space *space = NULL;
    pgk_status status = find_space(cluster_id, component, origin, &space, err);

    if (status != PGK_OK) {
        return status;
    }
    struct space_bar *bar = calloc(1, sizeof(*bar));

    if (bar != NULL) {
        bar->component = strdup(component);
    }
    if (bar == NULL || bar->component == NULL) {
        bar_free(bar);
        space_leave(space);
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory to revoke \"%s\"", component);
    }
    pthread_mutex_lock(&space->lock);
    if (find_bar(space, component) == NULL) {
        LIST_INSERT_HEAD(&space->bars, bar, link);
        bar = NULL;
        contend_review(space);
    }
    pthread_mutex_unlock(&space->lock);
    bar_free(bar);
    space_leave(space);
    return PGK_OK;
}

pgk_status pgk_embedded_grant(const char *cluster_id, const char *component, pgk_error *err)
{
    struct space *space = NULL;
    pgk_status status = find_space(cluster_id, component, "embedded.grant", &space, err);

    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&space->lock);
    struct space_bar *bar = find_bar(space, component);

    if (bar != NULL) {
        LIST_REMOVE(bar, link);
        contend_review(space);
    }
    pthread_mutex_unlock(&space->lock);
    bar_free(bar);
    space_leave(space);
    return PGK_OK;
}

pgk_status pgk_embedded_keep(const char *cluster_id, bool keep, pgk_error *err)
{
    static const char origin[] = "embedded.keep";
    struct space *space = NULL;

    error_reset(err);
    pgk_status status = check_text(cluster_id, "cluster_id", CLUSTER_ID_MAX_BYTES, origin, err);

    if (status == PGK_OK) {
        status = space_enter(cluster_id, &space, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    space_keep(space, keep);
    space_leave(space);
    return PGK_OK;
}
