/*
 * bench/stores_put.c - puts of 1 kB: one thread by blocks of samples, sixteen threads by blocks of
 * time, each in turn with raw libpq. New jobs, and replacement of jobs that are there.
 *
 * One raw connection per thread; the library's threads share one store.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "stores.h"

#define THREADS 16
#define JOBS_PER_THREAD 64
#define CONNECTIONS 8 /* the default of max-connections */
#define BLOCK 100
#define BLOCK_MS 1000

enum kind { NEW, REPLACE };

struct putter {
    struct leader *leader; /* NULL: raw */
    PGconn *conn;
    enum kind kind;
    int64_t count;
    int next;
    pgk_uuid ids[JOBS_PER_THREAD];
};

static atomic_bool stop;
static pthread_barrier_t gate;

static void put(struct putter *putter, const pgk_uuid *job_id)
{
    pgk_error err;

    if (putter->leader == NULL) {
        raw_put(putter->conn, job_id, random_bytes(KB), KB);
    } else {
        check(pgk_job_graphs_put(putter->leader->graphs, job_id, random_bytes(KB), KB, &err), &err,
              "put");
    }
}

static void put_one(struct putter *putter)
{
    pgk_uuid fresh;

    if (putter->kind == NEW) {
        pgk_uuid_new(&fresh);
        put(putter, &fresh);
    } else {
        put(putter, &putter->ids[putter->next]);
        putter->next = (putter->next + 1) % JOBS_PER_THREAD;
    }
}

static void putter_init(struct putter *putter, struct leader *leader)
{
    *putter = (struct putter){.leader = leader, .conn = leader == NULL ? raw_open() : NULL};
    for (int i = 0; i < JOBS_PER_THREAD; i++) {
        pgk_uuid_new(&putter->ids[i]);
        put(putter, &putter->ids[i]);
    }
}

/* ---- one thread ---- */

static void sample_block(struct putter *putter, struct stats *stats)
{
    for (int i = 0; i < BLOCK; i++) {
        const int64_t from_ns = bench_now_ns();

        put_one(putter);
        if (i > 0) { /* the first finds cold caches, on both sides */
            stats_add(stats, bench_now_ns() - from_ns);
        }
    }
}

static void measure_one(struct putter *raw, struct putter *keeper, enum kind kind, int samples)
{
    static struct stats floor;
    static struct stats stats;
    char title[96];

    floor.count = stats.count = 0;
    raw->kind = keeper->kind = kind;
    for (int i = 0; i < samples; i += BLOCK) {
        sample_block(raw, &floor);
        sample_block(keeper, &stats);
    }
    snprintf(title, sizeof title, "Put of 1 kB, %s, 1 thread, %s",
             kind == NEW ? "new jobs" : "replacement", transport(raw->conn));
    stats_print_head(title);
    stats_print_row("floor: INSERT ... ON CONFLICT", &floor, NULL);
    stats_print_row("pgkeeper", &stats, &floor);
}

/* ---- sixteen threads ---- */

static void *put_on(void *arg)
{
    struct putter *putter = arg;

    pthread_barrier_wait(&gate);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        put_one(putter);
        putter->count++;
    }
    return NULL;
}

/* Puts per second of all threads together. */
static double run_block(struct putter *putters, enum kind kind)
{
    pthread_t threads[THREADS];
    int64_t count = 0;
    int64_t from_ns;

    atomic_store(&stop, false);
    for (int i = 0; i < THREADS; i++) {
        putters[i].kind = kind;
        putters[i].count = 0;
        if (pthread_create(&threads[i], NULL, put_on, &putters[i]) != 0) {
            bench_fail("cannot start a thread");
        }
    }
    pthread_barrier_wait(&gate);
    from_ns = bench_now_ns();
    bench_pause_ms(BLOCK_MS);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        count += putters[i].count;
    }
    return (double)count * 1e9 / (double)(bench_now_ns() - from_ns);
}

static void measure_many(struct putter *raw, struct putter *keeper, enum kind kind, int seconds)
{
    double floor = 0;
    double rate = 0;

    run_block(raw, kind);
    run_block(keeper, kind);
    for (int i = 0; i < seconds; i++) {
        floor += run_block(raw, kind);
        rate += run_block(keeper, kind);
    }
    printf("\nPuts of 1 kB per second, %s, %d threads, %s, %d s each\n"
           "  %-34s %8.0f\n  %-34s %8.0f  x%.2f\n",
           kind == NEW ? "new jobs" : "replacement", THREADS, transport(raw->conn), seconds,
           "floor: INSERT ... ON CONFLICT", floor / seconds, "pgkeeper", rate / seconds,
           rate / floor);
    fflush(stdout);
}

void measure_put(int samples, int seconds)
{
    static struct putter raw[THREADS];
    static struct putter keeper[THREADS];
    PGconn *conn = bench_connect("");
    struct leader leader;

    raw_table(conn);
    leader_open(&leader, CONNECTIONS);
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        putter_init(&raw[i], NULL);
        putter_init(&keeper[i], &leader);
    }
    bench_sql(conn, "VACUUM ANALYZE");
    bench_sql(conn, "CHECKPOINT");
    for (enum kind kind = NEW; kind <= REPLACE; kind++) {
        measure_one(&raw[0], &keeper[0], kind, samples);
    }
    for (enum kind kind = NEW; kind <= REPLACE; kind++) {
        measure_many(raw, keeper, kind, seconds);
    }
    for (int i = 0; i < THREADS; i++) {
        PQfinish(raw[i].conn);
    }
    leader_close(&leader);
    PQfinish(conn);
}
