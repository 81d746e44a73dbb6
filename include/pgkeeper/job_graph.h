/*
 * pgkeeper/job_graph.h - the job graph store: what a leader must run, kept for its successor.
 *
 * A store is opened under a token: each of its writes is fenced, so that nothing of a deposed
 * leader is ever stored. PGK_UNFENCED opens it without a fence, for tools and tests.
 *
 * Ownership. A store owns the graphs that it put or recovered, until it releases or removes them or
 * is stopped; several stores may own one graph. It replaces only what it owns, and only the version
 * that it put or recovered. A store is live, in the eyes of others, from start to stop and while
 * the tenure of its token leads: same epoch, not released, lock held. So the graphs of a master
 * that crashed are nobody's. An unfenced store owns for itself, but is never live to others.
 * A DBA sees the live owners in stat_jobs, and the stores in the table job_store.
 *
 * Lost answers. Every write of a graph carries an id of its own, stored with the row. If the
 * connection breaks before the answer comes, the library ends the former session, sends the write
 * again and knows by the id whether it had been done; so PGK_OK means once. (Resource requirements
 * carry none: they are sent again. The removal of a graph that is not owned is not: the library
 * looks.) PGK_ERR_OUTCOME_UNKNOWN: that could not be settled within
 * high-availability.postgres.statement-timeout, or others have written since; the same call with
 * the same arguments is safe.
 *
 * Any thread may call any function; calls block for one round trip, at most
 * high-availability.postgres.statement-timeout. More than 1 MiB may take that time, and as long as
 * the bytes need at 8 MiB/s, to be sent, the same again to be stored, and the statement timeout once
 * more when the answer is lost. What a slower line has not taken by then is given up: raise the
 * statement timeout for large graphs on such a line. All of them
 * answer PGK_ERR_ILLEGAL_STATE when the handle is closed or of another process, and may answer the
 * passing and lasting faults of the database (CONNECTION, TIMEOUT, RESOURCE, READ_ONLY, ACCESS,
 * SCHEMA, DATABASE); nothing is written then.
 *
 * Other modes. `embedded`: as here, but in memory: a call waits for nobody, no answer is lost, and
 * PGK_ERR_NO_MEMORY takes the place of the faults of a database; nothing is written then either. An
 * enumeration holds what it hands out, as of one moment, and keeps nobody waiting. `standalone`: what
 * is put is taken and not kept: recovering it is PGK_ERR_NOT_FOUND, a list is empty, a listener hears
 * nothing.
 */
#ifndef PGKEEPER_JOB_GRAPH_H
#define PGKEEPER_JOB_GRAPH_H

#include <stddef.h>

#include <pgkeeper/election.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_job_graphs pgk_job_graphs;

/* 256 MiB: the most that a graph may be, and its resource requirements, each. The least is 1. */
#define PGK_GRAPH_MAX_BYTES ((size_t)256 * 1024 * 1024)

/* A stored graph. Made by the library; later versions may add fields at the end. */
typedef struct pgk_job_graph {
    pgk_uuid job_id;
    /* PGK_OK, or PGK_ERR_CORRUPT: the bytes differ from their digest; nothing else is then set but
     * job_id, version and reason. */
    pgk_status status;
    const char *reason; /* what is damaged, UTF-8; NULL with PGK_OK */
    int64_t version;    /* 1, and one more with each replacement */
    int64_t epoch;      /* of the leader that wrote it; 0: without a fence, or by hand */
    const void *graph;  /* opaque bytes, exactly as put */
    size_t graph_bytes;
    const void *requirements; /* resource requirements; NULL: none */
    size_t requirements_bytes;
} pgk_job_graph;

/*
 * One graph of an enumeration. Runs in the calling thread, once per graph, in no order. `graph` and
 * all it points to live for the call. May block, but a database session waits with it; must not
 * call the store that enumerates. PGK_OK: go on. Anything else ends the enumeration, which answers
 * the same status.
 */
typedef pgk_status (*pgk_job_graph_fn)(void *user, const pgk_job_graph *graph);

/*
 * What others do to the store. Both run on the notifier thread (or in pgk_ha_dispatch), one
 * callback of the handle at a time, never under a lock of the library; they may block and may call
 * anything. Found by reading again after each notification, after each reconnection and at least
 * every retrieval.poll-interval, so that no change is lost; a change may be told twice. Nothing is
 * told of what this store did itself, nor of jobs that this handle ended or cleaned up under the
 * same token, nor of plain replacements, nor after stop has returned.
 */
typedef struct pgk_job_graph_listener {
    size_t size; /* sizeof(pgk_job_graph_listener) */
    void *user;  /* handed to each callback; the caller's */
    /* A graph is there that this store does not own. Required. */
    void (*added)(void *user, const pgk_uuid *job_id);
    /* A graph that this store owned was removed by somebody else. Required. */
    void (*removed)(void *user, const pgk_uuid *job_id);
} pgk_job_graph_listener;

/*
 * Makes a store. Touches nothing remote. `token` is copied; PGK_UNFENCED: no fence. Free it with
 * pgk_job_graphs_free. PGK_ERR_INVALID_ARGUMENT: token is NULL, or all zero. Since 0.1.
 */
PGK_API pgk_status pgk_ha_job_graphs(pgk_ha *ha, const pgk_token *token, pgk_job_graphs **ret_store,
                                     pgk_error *err);

/*
 * Must be called before any other call on the store; all answer PGK_ERR_ILLEGAL_STATE before it and
 * after stop. `listener` is copied; NULL: none. Twice is fine, the first listener stays. After stop
 * it may be started anew, owning nothing. PGK_ERR_FENCED: the token leads no more.
 * PGK_ERR_INVALID_ARGUMENT: listener of a wrong size or without a callback. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_start(pgk_job_graphs *store,
                                        const pgk_job_graph_listener *listener, pgk_error *err);

/*
 * Releases all that the store owns; the data stays. Idempotent; also without start. Waits for a
 * callback of this store that is running, unless called from a callback. A recovery of all that is
 * under way ends with PGK_ERR_ILLEGAL_STATE at its next graph, and what it owned is released then.
 * Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_stop(pgk_job_graphs *store, pgk_error *err);

/*
 * Stores a graph of 1..PGK_GRAPH_MAX_BYTES bytes, borrowed for the call. New: stored and owned.
 * There and owned: replaced; its resource requirements stay. There and not owned:
 * PGK_ERR_ALREADY_EXISTS. Owned, but changed by somebody else since: PGK_ERR_CONFLICT (recover it
 * to see what). Owned, but removed by somebody else since: stored as new. PGK_ERR_INVALID_ARGUMENT:
 * no bytes. PGK_ERR_TOO_LARGE, PGK_ERR_FENCED. But for PGK_OK nothing was written.
 * PGK_ERR_OUTCOME_UNKNOWN: see above. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_put(pgk_job_graphs *store, const pgk_uuid *job_id,
                                      const void *graph, size_t graph_bytes, pgk_error *err);

/*
 * Reads one graph and owns it. Free it with pgk_job_graph_free. PGK_ERR_NOT_FOUND.
 * PGK_ERR_CORRUPT: it is damaged; not owned, *ret_graph unchanged. PGK_ERR_FENCED. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_recover(pgk_job_graphs *store, const pgk_uuid *job_id,
                                          pgk_job_graph **ret_graph, pgk_error *err);

/* Frees what pgk_job_graphs_recover gave; NULL is fine. Since 0.1. */
PGK_API void pgk_job_graph_free(pgk_job_graph *graph);

/*
 * Reads all graphs as of one moment, in one round trip, and owns each that was handed to `fn`
 * undamaged. Damaged ones are handed over too, with PGK_ERR_CORRUPT in graph->status, and the rest
 * goes on. Memory: that of one graph. Blocks for as long as the bytes and `fn` need; a single
 * pause of the network is bounded by the statement timeout. After an error some graphs may have
 * been handed over, but none is owned that was not owned before; calling again is safe. The store
 * may be used by other threads meanwhile: what they release stays released. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_recover_all(pgk_job_graphs *store, pgk_job_graph_fn fn,
                                              void *user, pgk_error *err);

/*
 * The ids of all stored graphs, ascending: an array of *ret_count (may be 0), to be freed with
 * pgk_job_ids_free. Owns nothing. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_list(pgk_job_graphs *store, pgk_uuid **ret_ids, size_t *ret_count,
                                       pgk_error *err);

/* Frees an array of job ids; NULL is fine. Since 0.1. */
PGK_API void pgk_job_ids_free(pgk_uuid *ids);

/*
 * Stores 1..PGK_GRAPH_MAX_BYTES opaque bytes beside a graph; they survive recovery and the
 * replacement of the graph. Unconditional: the graph need not be owned, its version does not rise.
 * PGK_ERR_NOT_FOUND, PGK_ERR_INVALID_ARGUMENT, PGK_ERR_TOO_LARGE, PGK_ERR_FENCED,
 * PGK_ERR_OUTCOME_UNKNOWN. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_put_requirements(pgk_job_graphs *store, const pgk_uuid *job_id,
                                                   const void *requirements,
                                                   size_t requirements_bytes, pgk_error *err);

/*
 * Drops the ownership of one graph; the data stays. Not owned, or not there: PGK_OK.
 * PGK_ERR_FENCED: the successor owns it anyway. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_release(pgk_job_graphs *store, const pgk_uuid *job_id,
                                          pgk_error *err);

/*
 * Removes a graph with its resource requirements; it need not be owned. Already gone: PGK_OK.
 * PGK_ERR_CONFLICT: another live store owns it; or this store owned it and somebody else changed it
 * since. PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN. To end a job use pgk_job_results_finish_job.
 * Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_remove(pgk_job_graphs *store, const pgk_uuid *job_id,
                                         pgk_error *err);

/* Stops the store if need be and frees it; NULL is fine. Since 0.1. */
PGK_API void pgk_job_graphs_free(pgk_job_graphs *store);

#ifdef __cplusplus
}
#endif

#endif
