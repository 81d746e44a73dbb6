/*
 * backend/embedded/graph_watch.c - see graph_watch.h.
 *
 * The handle's lock is held all along a read, so that no act of its stores begins or ends meanwhile;
 * only one that is under way already can hide something. It is read again soon after: nobody is told
 * when an act ends.
 */
#include "backend/embedded/graph_watch.h"

#include <stdlib.h>

#include "backend/embedded/graphs.h"
#include "backend/embedded/keeper.h"
#include "core/clock.h"
#include "core/error.h"

#define HIDDEN_FIRST_NS NS_PER_MS
#define HIDDEN_DOUBLINGS 6 /* 64 ms: a recovery may take long */

struct backend_graph_watch {
    struct backend *backend;
    void *ctx;
    pgk_uuid store_id;
    bool due;   /* under the space's lock: something has changed since the last read */
    bool asked; /* part of the read under way */
    bool blind; /* the last read did not see everything */
    LIST_ENTRY(backend_graph_watch) of_handle;
    LIST_ENTRY(backend_graph_watch) of_shelf; /* under the space's lock */
};

/* ------------------------------------------------------------------ watches */

pgk_status graphs_watch(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                        void *watch_ctx, struct backend_graph_watch **ret_watch, pgk_error *err)
{
    struct backend_graph_watch *watch = calloc(1, sizeof(*watch));
    (void)token;
    if (watch == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs", "no memory for a listener");
    }
    watch->backend = backend;
    watch->ctx = watch_ctx;
    watch->store_id = *store_id;
    watch->due = true;
    LIST_INSERT_HEAD(&backend->graph_watches.list, watch, of_handle);
    struct shelf *shelf = shelf_read(backend);
    LIST_INSERT_HEAD(&shelf->watches, watch, of_shelf);
    keeper_wake(backend);
    shelf_unlock(backend);
    *ret_watch = watch;
    return PGK_OK;
}

void graphs_unwatch(struct backend *backend, struct backend_graph_watch *watch)
{
    LIST_REMOVE(watch, of_handle);
    (void)shelf_read(backend);
    LIST_REMOVE(watch, of_shelf);
    shelf_unlock(backend);
    free(watch);
}

void graphs_changed(struct shelf *shelf, const pgk_uuid *but_for)
{
    struct backend_graph_watch *watch;
    LIST_FOREACH(watch, &shelf->watches, of_shelf)
    {
        if (!watch->due && (but_for == NULL || pgk_uuid_compare(&watch->store_id, but_for) != 0)) {
            watch->due = true;
            keeper_wake(watch->backend);
        }
    }
}

/* ------------------------------------------------------------------ reading */

/* False: nobody is to be read for. `again`: it is time for those who did not see everything. */
static bool take_due(struct backend *backend, bool again)
{
    struct backend_graph_watch *watch;
    bool any = false;
    (void)shelf_read(backend);
    LIST_FOREACH(watch, &backend->graph_watches.list, of_handle)
    {
        any = any || watch->due || (watch->blind && again);
        watch->asked = watch->due || watch->blind;
        watch->due = false;
    }
    shelf_unlock(backend);
    return any;
}

/* Tells one. False: it did not see everything. */
static bool tell(const struct backend_sink *sink, struct backend_graph_watch *watch,
                 const struct graph_id *ids, size_t count, bool read)
{
    if (watch->asked) {
        watch->blind = !read || !sink->graphs_seen(sink->ctx, watch->ctx, ids, count);
        watch->asked = false;
    }
    return !watch->blind;
}

/* False: somebody did not see everything. */
static bool read_all(struct backend *backend)
{
    const struct backend_sink *sink = &backend->env.sink;
    struct graph_watches *watches = &backend->graph_watches;
    struct backend_graph_watch *watch;
    struct graph_id *ids = NULL;
    size_t count = 0;
    bool whole = true;
    LIST_FOREACH(watch, &watches->list, of_handle)
    {
        if (watch->asked) {
            sink->graphs_reading(sink->ctx, watch->ctx);
        }
    }
    /* Without memory: what was read is not what there is. */
    bool read = graph_list(shelf_read(backend), &ids, &count, NULL) == PGK_OK;
    shelf_unlock(backend);
    LIST_FOREACH(watch, &watches->list, of_handle)
    {
        whole = tell(sink, watch, ids, count, read) && whole;
    }
    free(ids);
    return whole;
}

int64_t graph_watches_look(struct backend *backend)
{
    struct graph_watches *watches = &backend->graph_watches;
    int64_t now_ns = clock_now_ns();
    bool again = watches->read_at_ns != 0 && watches->read_at_ns <= now_ns;
    if (take_due(backend, again)) {
        watches->hidden = read_all(backend) ? 0 : watches->hidden + 1;
        int doublings = watches->hidden < HIDDEN_DOUBLINGS ? watches->hidden : HIDDEN_DOUBLINGS;
        watches->read_at_ns =
            watches->hidden > 0 ? now_ns + (HIDDEN_FIRST_NS << (doublings - 1)) : 0;
    } else if (again) {
        watches->read_at_ns = 0; /* nobody watches any more */
    }
    return watches->read_at_ns != 0 ? watches->read_at_ns : CLOCK_NEVER;
}
