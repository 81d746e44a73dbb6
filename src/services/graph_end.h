/*
 * services/graph_end.h - a job's end, or its clean-up, removes its graph through another store: the
 * job graph store of the same handle and token takes that as its own act, of which its listener is
 * not told. Any thread.
 */
#ifndef PGK_SERVICES_GRAPH_END_H
#define PGK_SERVICES_GRAPH_END_H

#include "services/job_graphs.h"
#include "services/store_common.h"

struct graph_end {
    struct graph_act act;
    pgk_job_graphs *store; /* NULL: the handle has none; holds a reference */
};

/* Around the removal, inside a call. *ret_store_id: the store, for the statement; NULL: none. */
void graph_end_begin(struct graph_end *end, const struct store *of, const pgk_uuid *job_id,
                     const char *origin, const pgk_uuid **ret_store_id);
/* `gone`: it is known to be removed. */
void graph_end_finish(struct graph_end *end, bool gone);

#endif
