/*
 * backend/embedded/graphs.h - job graphs in memory: what is stored of one, who owns it, and putting
 * one, alone or with blobs. All but making and freeing with the space's lock.
 */
#ifndef PGK_EMBEDDED_GRAPHS_H
#define PGK_EMBEDDED_GRAPHS_H

#include "backend/embedded/shelf.h"

/* Numbers, in no order. */
struct number_list {
    int64_t *numbers;
    size_t count;
    size_t room;
};

struct graph {
    pgk_uuid op_id;
    int64_t created;
    int64_t version;
    int64_t epoch;
    struct parcel *bytes;
    struct parcel *requirements; /* NULL: none */
    struct number_list owners;   /* graph_store.number; those that have ended count for nothing */
    struct number_list disowned; /* graph_store.claim, of stores that have let it go since */
};

void graph_free(struct graph *graph);
void graph_stores_clear(struct shelf *shelf);

/* A graph on its way into the shelf, with all the memory that it may need. */
struct graph_making {
    struct graph *graph;
};
/* Copies the bytes; before the lock is taken. NO_MEMORY. */
pgk_status graph_make(const struct store_bytes *bytes, struct graph_making *making, pgk_error *err);
/* May it be put by who knows it as `known`? ALREADY_EXISTS, CONFLICT. job NULL: nothing is there. */
pgk_status graph_check_put(const struct job *job, const pgk_uuid *job_id, const pgk_uuid *known,
                           pgk_error *err);
/* Puts it; store_id is the one that owns it. Cannot fail. */
void graph_put(struct shelf *shelf, struct job *job, struct graph_making *making,
               const struct store_write *write, const pgk_uuid *store_id);
/* Without the lock: what is left of it, also what it has replaced. */
void graph_unmake(struct graph_making *making);

/* Takes it off its job, for the caller to free without the lock; NULL: there was none. All who
 * watch hear of it, but for one store (NULL: none). */
struct graph *graph_take(struct shelf *shelf, struct job *job, const pgk_uuid *but_for);

/* A row that holds its bytes. */
struct held_graph {
    struct graph_row row;
    struct parcel *bytes;
    struct parcel *requirements;
};
void graph_hold(const struct job *job, struct held_graph *ret_held);
/* Without the lock. */
void graph_drop(struct held_graph *held);

/* A store has handed out all graphs that there were when the clock stood at `seen`. */
void graph_claim_all(struct shelf *shelf, const pgk_uuid *store_id, int64_t seen);

/* All ids, ascending: *ret_ids (free it; NULL when there is none). NO_MEMORY. */
pgk_status graph_list(const struct shelf *shelf, struct graph_id **ret_ids, size_t *ret_count,
                      pgk_error *err);

/* graph_watch.c: graphs came or went, by an act of this store (NULL: of none). */
void graphs_changed(struct shelf *shelf, const pgk_uuid *but_for);

#endif
