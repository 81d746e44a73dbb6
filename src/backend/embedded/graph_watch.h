/*
 * backend/embedded/graph_watch.h - job graph stores that listen for graphs which come and go.
 *
 * Who changes which graphs there are marks the watches and wakes the keepers of their handles, with
 * the space's lock. The keeper then calls graph_watches_look(), which takes the lock for a moment to
 * read, and tells the services without it.
 */
#ifndef PGK_EMBEDDED_GRAPH_WATCH_H
#define PGK_EMBEDDED_GRAPH_WATCH_H

#include <stdint.h>
#include <sys/queue.h>

#include "backend/stores.h"

/* Of one handle: part of its struct backend; zeroed: none. Guarded by the handle's lock. */
struct graph_watches {
    LIST_HEAD(, backend_graph_watch) list;
    int hidden;         /* reads in a row that did not see everything */
    int64_t read_at_ns; /* when to read again for that; 0: not */
};

/* [locked] */
pgk_status graphs_watch(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                        void *watch_ctx, struct backend_graph_watch **ret_watch, pgk_error *err);
void graphs_unwatch(struct backend *backend, struct backend_graph_watch *watch);

/*
 * Keeper thread, [locked] by the handle, not [space]: tells the services, through graphs_reading and
 * graphs_seen of the sink, what has changed for the graph watches of this handle. Returns when it is
 * to be called again even if nobody wakes the keeper, in ns of clock_now_ns(); CLOCK_NEVER: not.
 */
int64_t graph_watches_look(struct backend *backend);

#endif
