/*
 * bench/stores_flat.c - what one call costs with 100 to 100,000 jobs stored, all of them owned by
 * the store that is called.
 */
#include <stdio.h>

#include "stores.h"

enum act { PUT, REPLACE, GET, REMOVE, ACTS };

struct times {
    struct stats of[ACTS];
};

static pgk_status ignore(void *user, const pgk_job_graph *graph)
{
    (void)user;
    return graph->status;
}

static void act(pgk_job_graphs *graphs, enum act which, const pgk_uuid *job_id)
{
    pgk_job_graph *graph = NULL;
    pgk_error err;

    if (which == GET) {
        check(pgk_job_graphs_recover(graphs, job_id, &graph, &err), &err, "recover");
        pgk_job_graph_free(graph);
    } else if (which == REMOVE) {
        check(pgk_job_graphs_remove(graphs, job_id, &err), &err, "remove");
    } else {
        check(pgk_job_graphs_put(graphs, job_id, random_bytes(KB), KB, &err), &err, "put");
    }
}

static void run_acts(pgk_job_graphs *graphs, int samples, struct times *times)
{
    static pgk_uuid ids[STATS_MAX];

    for (int i = 0; i < samples; i++) {
        pgk_uuid_new(&ids[i]);
    }
    for (enum act which = PUT; which < ACTS; which++) {
        times->of[which].count = 0;
        for (int i = 0; i < samples; i++) {
            const int64_t from_ns = bench_now_ns();

            act(graphs, which, &ids[i]);
            stats_add(&times->of[which], bench_now_ns() - from_ns);
        }
    }
}

void measure_flat(int samples)
{
    static struct times times;
    static const int64_t sizes[] = {100, 1000, 10000, 100000};
    PGconn *conn = bench_connect("");
    struct leader leader;
    int64_t stored = 0;
    pgk_error err;

    leader_open(&leader, 4);
    printf("\nOne call with so many jobs of 1 kB stored and owned, 1 thread: median ms\n"
           "  %10s %8s %8s %8s %8s %20s\n",
           "jobs", "put", "replace", "get", "remove", "recover_all, per job");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int64_t from_ns;
        double per_job;

        fill_jobs(conn, stored + 1, sizes[i], KB);
        stored = sizes[i];
        bench_sql(conn, "CHECKPOINT");
        from_ns = bench_now_ns();
        check(pgk_job_graphs_recover_all(leader.graphs, ignore, NULL, &err), &err, "recover_all");
        per_job = (double)(bench_now_ns() - from_ns) / 1e6 / (double)stored;
        run_acts(leader.graphs, samples < STATS_MAX ? samples : STATS_MAX, &times);
        printf("  %10lld %8.3f %8.3f %8.3f %8.3f %20.4f\n", (long long)stored,
               stats_percentile_ms(&times.of[PUT], 50), stats_percentile_ms(&times.of[REPLACE], 50),
               stats_percentile_ms(&times.of[GET], 50), stats_percentile_ms(&times.of[REMOVE], 50),
               per_job);
        fflush(stdout);
    }
    leader_close(&leader);
    PQfinish(conn);
}
