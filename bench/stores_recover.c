/*
 * bench/stores_recover.c - recovery of many jobs and of large ones, and the memory that it takes,
 * against one raw query of the same table in binary single-row mode.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "stores.h"

#define MANY_JOBS 10000
#define LARGE_JOBS 1000
#define LARGE_BYTES (100 * KB)
#define HUGE_JOBS 8
#define HUGE_BYTES (256 * MB)

struct tally {
    int64_t jobs;
    int64_t bytes;
};

static pgk_status count_graph(void *user, const pgk_job_graph *graph)
{
    struct tally *tally = user;

    tally->jobs++;
    tally->bytes += (int64_t)graph->graph_bytes;
    return graph->status;
}

static pgk_status count_job(void *user, const pgk_recovered_job *job)
{
    return count_graph(user, job->graph);
}

/* What libpq alone takes; with more than the floor: what cannot be left out of a recovery. */
struct raw_query {
    const char *name;
    const char *sql;
    int graph; /* its column */
    bool digest;
};

static const struct raw_query raw_queries[] = {
    {"floor: SELECT job_id, graph", "SELECT job_id, graph FROM pgkeeper.job_graph", 1, false},
    {"floor and SHA-256", "SELECT job_id, graph FROM pgkeeper.job_graph", 1, true},
    {"columns of a graph and SHA-256",
     "SELECT job_id, op_id, version, epoch, sha256, graph, requirements_sha256, requirements, "
     "created_in"
     " FROM pgkeeper.job_graph",
     5, true},
};
#define RAW_QUERIES (sizeof raw_queries / sizeof raw_queries[0])

static void digest_cell(const PGresult *row, int column)
{
    static EVP_MD *sha256;
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (sha256 == NULL) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    }
    if (EVP_Digest(PQgetvalue(row, 0, column), (size_t)PQgetlength(row, 0, column), digest, NULL,
                   sha256, NULL) != 1) {
        bench_fail("OpenSSL would not compute a SHA-256");
    }
}

static struct tally read_raw(PGconn *conn, const struct raw_query *query)
{
    struct tally tally = {0};
    PGresult *row;

    if (PQsendQueryParams(conn, query->sql, 0, NULL, NULL, NULL, NULL, 1) != 1 ||
        PQsetSingleRowMode(conn) != 1) {
        bench_fail("raw query: %s", PQerrorMessage(conn));
    }
    while ((row = PQgetResult(conn)) != NULL) {
        if (PQresultStatus(row) == PGRES_SINGLE_TUPLE) {
            tally.jobs++;
            tally.bytes += PQgetlength(row, 0, query->graph);
            if (query->digest) {
                digest_cell(row, query->graph);
            }
        } else if (PQresultStatus(row) != PGRES_TUPLES_OK) {
            bench_fail("raw query: %s", PQerrorMessage(conn));
        }
        PQclear(row);
    }
    return tally;
}

static struct tally recover_graphs(struct leader *leader)
{
    struct tally tally = {0};
    pgk_error err;

    check(pgk_job_graphs_recover_all(leader->graphs, count_graph, &tally, &err), &err,
          "recover_all");
    return tally;
}

static struct tally recover_jobs(struct leader *leader)
{
    struct tally tally = {0};
    const pgk_recovery recovery = {.size = sizeof recovery, .user = &tally, .job = count_job};
    pgk_error err;

    check(pgk_ha_recover(leader->ha, leader->graphs, &recovery, &err), &err, "recover");
    return tally;
}

static void expect(struct tally tally, int64_t jobs, int64_t bytes)
{
    if (tally.jobs != jobs || tally.bytes != jobs * bytes) {
        bench_fail("%lld jobs of %lld bytes in all were read", (long long)tally.jobs,
                   (long long)tally.bytes);
    }
}

static void measure_size(PGconn *conn, int64_t jobs, int64_t bytes, int rounds)
{
    static struct stats raw[RAW_QUERIES];
    static struct stats graphs;
    static struct stats all;
    struct leader leader;
    char title[96];

    for (size_t k = 0; k < RAW_QUERIES; k++) {
        raw[k].count = 0;
    }
    graphs.count = all.count = 0;
    bench_sql(conn, "TRUNCATE pgkeeper.job_graph");
    fill_jobs(conn, 1, jobs, bytes);
    leader_open(&leader, 4);
    for (int i = -1; i < rounds; i++) {
        int64_t at_ns[RAW_QUERIES + 3];

        for (size_t k = 0; k < RAW_QUERIES; k++) {
            at_ns[k] = bench_now_ns();
            expect(read_raw(conn, &raw_queries[k]), jobs, bytes);
        }
        at_ns[RAW_QUERIES] = bench_now_ns();
        expect(recover_graphs(&leader), jobs, bytes);
        at_ns[RAW_QUERIES + 1] = bench_now_ns();
        expect(recover_jobs(&leader), jobs, bytes);
        at_ns[RAW_QUERIES + 2] = bench_now_ns();
        for (size_t k = 0; i >= 0 && k < RAW_QUERIES + 2; k++) { /* the first round warms up */
            stats_add(k < RAW_QUERIES    ? &raw[k]
                      : k == RAW_QUERIES ? &graphs
                                         : &all,
                      at_ns[k + 1] - at_ns[k]);
        }
    }
    leader_close(&leader);
    snprintf(title, sizeof title, "Recovery of %lld jobs of %lld kB, %s", (long long)jobs,
             (long long)(bytes / KB), transport(conn));
    stats_print_head(title);
    for (size_t k = 0; k < RAW_QUERIES; k++) {
        stats_print_row(raw_queries[k].name, &raw[k], k > 0 ? &raw[0] : NULL);
    }
    stats_print_row("pgk_job_graphs_recover_all", &graphs, &raw[0]);
    stats_print_row("pgk_ha_recover", &all, &raw[0]);
}

void measure_recover(int rounds)
{
    PGconn *conn = bench_connect("");

    measure_size(conn, MANY_JOBS, KB, rounds);
    measure_size(conn, LARGE_JOBS, LARGE_BYTES, rounds);
    PQfinish(conn);
}

/* ---- memory ---- */

/* One line of /proc/self/status, in bytes. */
static int64_t process_bytes(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    int64_t bytes = -1;

    if (file == NULL) {
        bench_fail("cannot read /proc/self/status");
    }
    while (bytes < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            bytes = strtoll(line + strlen(name) + 1, NULL, 10) * KB;
        }
    }
    fclose(file);
    return bytes;
}

/* What is resident now is the peak from now on. */
static int64_t reset_peak(void)
{
    const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "5", 1) != 1) {
        bench_fail("cannot write /proc/self/clear_refs");
    }
    close(fd);
    return process_bytes("VmRSS");
}

static void print_growth(const char *name, int64_t before, int64_t payload)
{
    const double growth = (double)(process_bytes("VmHWM") - before) / MB;

    printf("  %-34s %8.1f %8.1f\n", name, growth, growth - (double)payload / MB);
    fflush(stdout);
}

static void put_graph(struct leader *leader, size_t bytes)
{
    pgk_uuid job_id;
    pgk_error err;

    pgk_uuid_new(&job_id);
    check(pgk_job_graphs_put(leader->graphs, &job_id, random_bytes(bytes), bytes, &err), &err,
          "put");
}

/* The caller's bytes are resident before. */
static void measure_put_memory(struct leader *leader, size_t bytes)
{
    PGconn *raw;
    pgk_uuid job_id;
    int64_t before;

    printf("\nMemory of a put of %zu MiB, beside the caller's bytes\n  %-34s %8s %8s\n", bytes / MB,
           "MiB", "growth", "above it");
    before = reset_peak();
    put_graph(leader, bytes);
    print_growth("pgk_job_graphs_put", before, (int64_t)bytes);
    raw = raw_open();
    pgk_uuid_new(&job_id);
    before = reset_peak();
    raw_put(raw, &job_id, random_bytes(bytes), bytes);
    print_growth("raw INSERT ... ON CONFLICT", before, (int64_t)bytes);
    PQfinish(raw);
}

void measure_memory(void)
{
    PGconn *conn = bench_connect("");
    struct leader leader;
    int64_t before;

    leader_open(&leader, 4);
    random_bytes(HUGE_BYTES);
    raw_table(conn);
    measure_put_memory(&leader, 64 * MB);
    measure_put_memory(&leader, HUGE_BYTES);
    bench_sql(conn, "TRUNCATE pgkeeper.job_graph, public.raw_graph");
    for (int i = 0; i < HUGE_JOBS; i++) {
        put_graph(&leader, HUGE_BYTES);
    }
    printf("\nMemory of a recovery of %d jobs of %d MiB\n  %-34s %8s %8s\n", HUGE_JOBS,
           HUGE_BYTES / MB, "MiB", "growth", "above a graph");
    before = reset_peak();
    expect(recover_graphs(&leader), HUGE_JOBS, HUGE_BYTES);
    print_growth("pgk_job_graphs_recover_all", before, HUGE_BYTES);
    before = reset_peak();
    expect(recover_jobs(&leader), HUGE_JOBS, HUGE_BYTES);
    print_growth("pgk_ha_recover", before, HUGE_BYTES);
    before = reset_peak();
    expect(read_raw(conn, &raw_queries[0]), HUGE_JOBS, HUGE_BYTES);
    print_growth("raw SELECT job_id, graph", before, HUGE_BYTES);
    leader_close(&leader);
    PQfinish(conn);
}
