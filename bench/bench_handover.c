/*
 * bench/bench_handover.c - how long a group is without a leader: after a crash, after a
 * resignation, and in exclusive mode; each in turn (A B A B) with a floor in raw libpq.
 * bench/README.md says how to read it.
 *
 * usage: bench_handover crash|resign|exclusive [SAMPLES]     (libpq's environment: a migrated
 * server, TCP on)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "floors.h"
#include "harness.h"

#define CONNINFO_SIZE 512

/* Databases of their own, so that no side's transactions hold back the other's VACUUM. */
struct server {
    char floor[CONNINFO_SIZE];
    char floor2[CONNINFO_SIZE];
    char keeper[CONNINFO_SIZE];
};

static void find_server(bool tcp, struct server *ret_server)
{
    PGconn *conn = bench_connect("");
    PGresult *sockets = PQexec(conn, "SHOW unix_socket_directories");
    const char *host = tcp ? "127.0.0.1" : PQgetvalue(sockets, 0, 0);

    snprintf(ret_server->floor, CONNINFO_SIZE, "host=%s port=%s user=%s dbname=floor", host,
             PQport(conn), PQuser(conn));
    snprintf(ret_server->keeper, CONNINFO_SIZE, "host=%s port=%s user=%s dbname=%s", host,
             PQport(conn), PQuser(conn), PQdb(conn));
    snprintf(ret_server->floor2, CONNINFO_SIZE, "host=%s port=%s user=%s dbname=floor2", host,
             PQport(conn), PQuser(conn));
    if (bench_sql(conn, "SELECT count(*) FROM pg_database WHERE datname = 'floor'") == 0) {
        bench_sql(conn, "CREATE DATABASE floor");
        bench_sql(conn, "CREATE DATABASE floor2");
    }
    PQclear(sockets);
    PQfinish(conn);
}

static void measure_crash(bool tcp, int standbys, int samples)
{
    static struct stats floor;
    static struct stats floor2;
    static struct stats keeper;
    struct server server;
    char title[96];

    find_server(tcp, &server);
    struct crew blocked = {.run = blocked_contender, .conninfo = server.floor};
    struct crew blocked2 = {.run = blocked_contender, .conninfo = server.floor2, .arg = "2"};
    struct crew masters = {.run = keeper_contender, .conninfo = server.keeper};
    floor.count = floor2.count = keeper.count = 0;
    crew_start_contenders(&blocked, standbys + 1);
    crew_start_contenders(&blocked2, standbys + 1);
    crew_start_contenders(&masters, standbys + 1);
    for (int i = 0; i < samples; i++) {
        stats_add(&floor, crew_crash(&blocked));
        stats_add(&keeper, crew_crash(&masters));
        stats_add(&floor2, crew_crash(&blocked2));
    }
    crew_stop(&blocked);
    crew_stop(&blocked2);
    crew_stop(&masters);
    snprintf(title, sizeof title, "Crash: SIGKILL to grant, immediate, %s, %d standby%s",
             tcp ? "TCP loopback" : "unix socket", standbys, standbys == 1 ? "" : "s");
    stats_print_head(title);
    stats_print_row("floor: blocked in pg_advisory_lock", &floor, NULL);
    stats_print_row("pgkeeper", &keeper, &floor);
    stats_print_row("floor, two sessions per process", &floor2, &floor);
}

static void measure_resign(bool tcp, int samples)
{
    static struct stats floor;
    static struct stats keeper;
    struct server server;
    char title[96];

    find_server(tcp, &server);
    struct crew notified = {.run = notified_contender, .conninfo = server.floor};
    struct crew masters = {.run = keeper_contender, .conninfo = server.keeper};
    floor.count = keeper.count = 0;
    crew_start(&notified, 2, 1);
    crew_start_contenders(&masters, 2);
    for (int i = 0; i < samples; i++) {
        stats_add(&floor, crew_resign(&notified));
        stats_add(&keeper, crew_resign(&masters));
        crew_settle(&masters);
    }
    crew_stop(&notified);
    crew_stop(&masters);
    snprintf(title, sizeof title, "Resignation: call to grant, %s, 1 standby",
             tcp ? "TCP loopback" : "unix socket");
    stats_print_head(title);
    stats_print_row("floor: unlock + NOTIFY, try-lock", &floor, NULL);
    stats_print_row("pgkeeper", &keeper, &floor);
}

static void measure_exclusive(int samples)
{
    /* A cluster of its own: a longer grace that another one left unclean would count here too. */
    static const char *const fast[] = {"high-availability.cluster-id",
                                       "bench-exclusive",
                                       "high-availability.postgres.profile",
                                       "fast",
                                       "high-availability.postgres.grace",
                                       "420 ms",
                                       "leader-election.take-over",
                                       "exclusive",
                                       NULL};
    static const int64_t grace_ns = 420 * INT64_C(1000000);
    static struct stats whole;
    static struct stats beyond;
    struct server server;

    find_server(true, &server);
    struct crew masters = {.run = keeper_contender, .conninfo = server.keeper, .arg = fast};
    crew_start_contenders(&masters, 2);
    for (int i = 0; i < samples; i++) {
        const int64_t ns = crew_crash(&masters);

        stats_add(&whole, ns);
        stats_add(&beyond, ns - grace_ns);
    }
    crew_stop(&masters);
    stats_print_head("Crash: SIGKILL to grant, exclusive, TCP loopback, profile fast (G = 420 ms)");
    stats_print_row("pgkeeper", &whole, NULL);
    stats_print_row("pgkeeper, beyond G", &beyond, NULL);
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    const int samples = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 100;

    srandom((unsigned)getpid());
    if (strcmp(part, "crash") == 0) {
        for (int tcp = 1; tcp >= 0; tcp--) {
            measure_crash(tcp == 1, 1, samples);
            measure_crash(tcp == 1, 8, samples);
        }
    } else if (strcmp(part, "resign") == 0) {
        measure_resign(true, samples);
        measure_resign(false, samples);
    } else if (strcmp(part, "exclusive") == 0) {
        measure_exclusive(samples);
    } else {
        fprintf(stderr, "usage: bench_handover crash|resign|exclusive [SAMPLES]\n");
        return 2;
    }
    return 0;
}
