/*
 * services/job_graphs.h - the object behind a job graph store, and what others of the services do
 * with it. Guarded by the handle's lock, but for what is constant.
 */
#ifndef PGK_SERVICES_JOB_GRAPHS_H
#define PGK_SERVICES_JOB_GRAPHS_H

#include "services/call.h"
#include "services/graph_set.h"

struct pgk_job_graphs {
    struct subject subject; /* first; started: started */
    bool fenced;            /* constant, as is the token */
    pgk_token token;
    bool listens; /* of the present start */
    pgk_job_graph_listener listener;
    bool changing;       /* a start or stop is under way */
    pgk_uuid store_id;   /* of the latest start: each is another store to the database */
    uint64_t generation; /* counts starts and stops */
    bool entered;        /* the database knows the store */
    pthread_t recoverer; /* whose thread it is, while set.recovering > 0 */
    struct backend_graph_watch *watch;
    struct graph_set set;
};

/* One call of the application's on a started store, perhaps on one graph. */
struct graph_act {
    pgk_job_graphs *store;
    struct call call;
    const pgk_token *token; /* NULL: no fence */
    pgk_uuid store_id;
    uint64_t generation;
    struct graph_entry *entry; /* NULL: of no graph */
    bool owned;                /* as it was when the call began: */
    pgk_uuid op_id;
    pgk_uuid unsure[GRAPH_UNSURE_MAX];
    size_t unsure_count;
};

/* INVALID_ARGUMENT, ILLEGAL_STATE. Calls on one graph take turns. job_id NULL: of no graph. */
pgk_status graph_act_begin(struct graph_act *act, pgk_job_graphs *store, const pgk_uuid *job_id,
                           const char *origin, pgk_error *err);
void graph_act_end(struct graph_act *act);
/* The act has removed its graph. */
void graph_act_gone(struct graph_act *act);

/* How a graph is put: `known` is the write that the store goes on from, NULL: it does not own it. */
typedef pgk_status (*graph_put_fn)(const struct graph_act *act, const struct store_write *write,
                                   const pgk_uuid *known, void *ctx, pgk_error *err);
/* Puts the act's graph by `fn` and notes what came of it. */
pgk_status graph_act_put(struct graph_act *act, graph_put_fn fn, void *ctx, pgk_error *err);

/* A recovery of all, in an act of no graph: rows are handed to graph_recovery_row. */
struct graph_recovery {
    struct graph_act *act; /* NULL: nothing is owned */
    uint64_t mark;         /* of the store's clock, when it began */
    pgk_uuid *damaged;     /* that were claimed and are not to be owned */
    size_t damaged_count;
    size_t damaged_room;
    bool entered; /* the database knows the store; whoever stops it leaves its entry to us */
};
/* One after the other: they would wait for each other in the database, with a session each.
 * ILLEGAL_STATE: it was stopped meanwhile, or this very thread is at one. */
pgk_status graph_recovery_begin(struct graph_recovery *recovery, struct graph_act *act,
                                pgk_error *err);
/* The row was handed out: owned unless it is damaged. NO_MEMORY. */
pgk_status graph_recovery_row(struct graph_recovery *recovery, const struct graph_row *row,
                              bool damaged, pgk_error *err);
/* It has ended with `status`: what is not PGK_OK makes nothing owned. */
void graph_recovery_end(struct graph_recovery *recovery, pgk_status status);

/* What the application is given for a row; it points into the row. */
void graph_from_row(const struct graph_row *row, pgk_job_graph *ret_graph);

/* Locked; the rest of the store as a subject. */
bool job_graphs_deliver(pgk_job_graphs *store);
void job_graphs_begin_close(pgk_job_graphs *store);
void job_graphs_destroy(pgk_job_graphs *store);
void job_graphs_reading(void *ctx, void *watch_ctx);
bool job_graphs_seen(void *ctx, void *watch_ctx, const struct graph_id *ids, size_t count);

#endif
