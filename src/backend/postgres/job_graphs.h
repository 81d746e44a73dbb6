/*
 * backend/postgres/job_graphs.h - the job graph store in PostgreSQL: its table of functions, and
 * the rows and watches that others see.
 */
#ifndef PGK_POSTGRES_JOB_GRAPHS_H
#define PGK_POSTGRES_JOB_GRAPHS_H

#include <libpq-fe.h>

#include "backend/postgres/pieces.h"

extern const struct job_graph_ops postgres_job_graphs;

/* Where the columns of a graph are in a row. */
struct job_graph_columns {
    int job;
    int op;
    int version;
    int epoch;
    int sha256;
    int graph;
    int requirements_sha256;
    int requirements;
    int created;
};

/* Points into the row, and into its pieces. */
struct graph_row job_graph_row(const struct pieces *pieces, const PGresult *row,
                               const struct job_graph_columns *columns);

/* listen_graphs.c, [locked] */
pgk_status graph_watch_begin(struct backend *backend, const pgk_token *token,
                             const pgk_uuid *store_id, void *watch_ctx,
                             struct backend_graph_watch **ret_watch, pgk_error *err);
void graph_watch_end(struct backend *backend, struct backend_graph_watch *watch);

#endif
