/*
 * bench/stores.h - what the parts of bench_stores share: a leader with its store, and the same puts
 * in raw libpq on a table with nothing but a key and the bytes.
 *
 * The measuring process itself leads and calls the library; a failure ends it. Threads put through
 * one store, or through a raw connection each.
 */
#ifndef PGK_BENCH_STORES_H
#define PGK_BENCH_STORES_H

#include <stdatomic.h>

#include "harness.h"

#define KB 1024
#define MB (1024 * 1024)

struct leader {
    pgk_ha *ha;
    pgk_election *election;
    pgk_token token;
    pgk_job_graphs *graphs;
    atomic_bool closing;
};

/* Leads the cluster "bench" with `connections` work sessions at most, and starts its store. */
void leader_open(struct leader *leader, int connections);
void leader_close(struct leader *leader);
void check(pgk_status status, const pgk_error *err, const char *what);

/* How the server is reached, in words. */
const char *transport(const PGconn *conn);

/* Bytes that do not compress; static, the same at each call. */
const void *random_bytes(size_t length);

void raw_table(PGconn *conn);
PGconn *raw_open(void);
void raw_put(PGconn *conn, const pgk_uuid *job_id, const void *bytes, size_t length);

/* Stores jobs by SQL, as if the cluster's leader had put them, and makes their statistics. */
void fill_jobs(PGconn *conn, int64_t first, int64_t last, int64_t bytes);

/* The parts. */
void measure_put(int samples, int seconds);
void measure_recover(int rounds);
void measure_memory(void);
void measure_flat(int samples);
void measure_blobs(int samples, bool huge);

#endif
