/*
 * backend/standalone/void_stores.h - the stores of a master that has nobody to leave anything to:
 * graphs are taken and not kept, blobs are not taken. All else is in memory: backend/embedded.
 */
#ifndef PGK_STANDALONE_VOID_STORES_H
#define PGK_STANDALONE_VOID_STORES_H

#include "backend/stores.h"

extern const struct job_graph_ops standalone_job_graphs;
extern const struct blob_ops standalone_blobs;

#endif
