/*
 * backend/embedded/graph_owners.h - which store owns which graph. A store owns what it put or
 * recovered, and by a recovery of all everything that was there then; until it lets go of it or is
 * stopped. Others respect it while its tenure leads. Stores without a token are never entered: they
 * own for themselves only.
 *
 * All with the space's lock.
 */
#ifndef PGK_EMBEDDED_GRAPH_OWNERS_H
#define PGK_EMBEDDED_GRAPH_OWNERS_H

#include "backend/embedded/graphs.h"

/* Room for one more. False: out of memory. */
bool number_list_reserve(struct number_list *list);

/* Enters a store (token NULL: it need not be), and ends those of tenures that are over. NO_MEMORY. */
pgk_status graph_store_enter(struct shelf *shelf, const struct space *space, const pgk_token *token,
                             const pgk_uuid *store_id, pgk_error *err);
/* OK also when it is none. */
void graph_store_end(struct shelf *shelf, const pgk_uuid *store_id);
/* Ends those of tenures that are over; returns how many. */
int64_t graph_stores_end_dead(struct shelf *shelf, const struct space *space);

/* Of a graph with room in its owners. */
void graph_own_new(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id);
/* *ret_new: it did not own it by name before. NO_MEMORY. */
pgk_status graph_own(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id,
                     bool *ret_new, pgk_error *err);
/* No longer by name. */
void graph_disown(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id);
/* No longer, however it came to own it. NO_MEMORY: nothing has changed. */
pgk_status graph_release(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id,
                         pgk_error *err);

/* Does a store other than this one own the job's graph, whose tenure leads? */
bool graph_has_live_owner(const struct shelf *shelf, const struct space *space,
                          const struct job *job, const pgk_uuid *but_for);

#endif
