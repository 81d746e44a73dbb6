/*
 * bench/bench_listeners.c - how long after a leader has published its address the last of N
 * followers knows it: client handles with a retriever against raw connections that LISTEN and
 * read again, in turn by blocks.
 *
 * usage: bench_listeners LISTENERS [SAMPLES]     (libpq's environment: a migrated server)
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define PROCESSES 8
#define BLOCKS 2
#define SETTLE_MS 200

struct share {
    int listeners; /* of one worker */
};

/* ---- followers with the library: each a handle of its own ---- */

struct follower {
    const struct worker_context *context;
    int index;
};

static void on_leader(void *user, const pgk_leader *leader)
{
    const int64_t now_ns = bench_now_ns();
    const struct follower *follower = user;

    if (leader != NULL) {
        report(follower->context, REPORT_SEEN, now_ns, leader->epoch);
    }
}

static void follow(const struct worker_context *context)
{
    const struct share *share = context->arg;
    struct follower *followers = calloc((size_t)share->listeners, sizeof *followers);
    pgk_config *config = bench_config(context->conninfo, NULL);

    for (int i = 0; followers != NULL && i < share->listeners; i++) {
        pgk_ha *ha;
        pgk_retriever *retriever;
        pgk_error err;

        followers[i] = (struct follower){.context = context, .index = i};
        if (pgk_ha_open_client(config, &ha, &err) != PGK_OK ||
            pgk_ha_retriever(ha, PGK_COMPONENT_DISPATCHER, &retriever, &err) != PGK_OK ||
            pgk_retriever_start(retriever, on_leader, &followers[i], &err) != PGK_OK) {
            bench_fail("%s", err.message);
        }
        report(context, REPORT_READY, bench_now_ns(), i);
    }
    pause();
}

/* ---- the floor: as many raw connections, one poll loop per process ---- */

static void read_again(PGconn *conn, const struct worker_context *context)
{
    PGresult *row = PQexec(conn, "SELECT epoch, address FROM raw_leader WHERE id = 1");
    const int64_t now_ns = bench_now_ns();

    if (PQntuples(row) != 1) {
        bench_fail("reading again: %s", PQerrorMessage(conn));
    }
    report(context, REPORT_SEEN, now_ns, strtoll(PQgetvalue(row, 0, 0), NULL, 10));
    PQclear(row);
}

static void listen_raw(const struct worker_context *context)
{
    const struct share *share = context->arg;
    const size_t count = (size_t)share->listeners;
    PGconn **conns = calloc(count, sizeof(PGconn *));
    struct pollfd *fds = calloc(count, sizeof *fds);

    if (conns == NULL || fds == NULL) {
        bench_fail("out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        conns[i] = bench_connect(context->conninfo);
        bench_sql(conns[i], "LISTEN raw_leader");
        fds[i] = (struct pollfd){.fd = PQsocket(conns[i]), .events = POLLIN};
        report(context, REPORT_READY, bench_now_ns(), (int64_t)i);
    }
    while (poll(fds, count, -1) > 0) {
        for (size_t i = 0; i < count; i++) {
            PGnotify *notify;

            if (fds[i].revents == 0) {
                continue;
            }
            PQconsumeInput(conns[i]);
            notify = PQnotifies(conns[i]);
            if (notify != NULL) {
                PQfreemem(notify);
                read_again(conns[i], context);
            }
        }
    }
}

/* ---- measuring ---- */

/* The instant at which the last of all listeners reported `epoch`. */
static int64_t last_seen(struct crew *crew, int listeners, int64_t epoch)
{
    int64_t last_ns = 0;

    for (int seen = 0; seen < listeners;) {
        const struct report line = crew_expect(crew, REPORT_SEEN);

        if (line.value == epoch) {
            last_ns = line.at_ns > last_ns ? line.at_ns : last_ns;
            seen++;
        }
    }
    return last_ns;
}

static void measure_raw(const char *conninfo, const struct share *share, int workers, int samples,
                        struct stats *stats)
{
    struct crew crew = {.run = listen_raw, .conninfo = conninfo, .arg = share};
    PGconn *writer = bench_connect(conninfo);

    bench_sql(writer, "SET client_min_messages = warning");
    bench_sql(writer, "DROP TABLE IF EXISTS raw_leader");
    bench_sql(writer, "CREATE TABLE raw_leader (id int PRIMARY KEY, epoch bigint, address text)");
    bench_sql(writer, "INSERT INTO raw_leader VALUES (1, 0, 'nobody')");
    crew_start(&crew, workers, share->listeners);
    for (int64_t epoch = 1; epoch <= samples; epoch++) {
        char sql[160];
        int64_t from_ns;

        bench_random_pause();
        snprintf(sql, sizeof sql,
                 "UPDATE raw_leader SET epoch = %lld, address = 'worker' WHERE id = 1;"
                 " NOTIFY raw_leader",
                 (long long)epoch);
        from_ns = bench_now_ns();
        bench_sql(writer, sql);
        stats_add(stats, last_seen(&crew, workers * share->listeners, epoch) - from_ns);
    }
    crew_stop(&crew);
    PQfinish(writer);
}

static void measure_keeper(const char *conninfo, const struct share *share, int workers,
                           int samples, struct stats *stats)
{
    struct crew masters = {.run = keeper_contender, .conninfo = conninfo, .keeps_work = true};
    struct crew crew = {.run = follow, .conninfo = conninfo, .arg = share};

    crew_start_contenders(&masters, 2);
    crew_start(&crew, workers, share->listeners);
    for (int i = 0; i < samples; i++) {
        struct report acted;
        int64_t epoch;

        crew_resign(&masters);
        crew_settle(&masters);
        epoch = bench_sql(masters.watcher, "SELECT epoch FROM pgkeeper.leadership"
                                           " WHERE cluster_id = 'bench'");
        bench_pause_ms(SETTLE_MS); /* all have heard of the new tenure and wait for its address */
        crew_command(&masters, masters.leader, 'c');
        acted = crew_expect(&masters, REPORT_ACTED);
        stats_add(stats, last_seen(&crew, workers * share->listeners, epoch) - acted.at_ns);
    }
    crew_stop(&masters);
    crew_stop(&crew);
}

int main(int argc, char **argv)
{
    static struct stats raw;
    static struct stats keeper;
    const int listeners = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    const int samples = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 40;
    const int workers = listeners < PROCESSES ? listeners : PROCESSES;
    char title[96];

    if (listeners < 1 || listeners % workers != 0) {
        fprintf(stderr,
                "usage: bench_listeners LISTENERS [SAMPLES]: up to %d, or a multiple of it\n",
                PROCESSES);
        return 2;
    }
    const struct share share = {.listeners = listeners / workers};
    srandom((unsigned)getpid());
    for (int block = 0; block < BLOCKS; block++) {
        measure_raw("", &share, workers, samples / BLOCKS, &raw);
        measure_keeper("", &share, workers, samples / BLOCKS, &keeper);
    }
    snprintf(title, sizeof title,
             "Leader change: confirm to the last of %d follower%s, unix socket", listeners,
             listeners == 1 ? "" : "s");
    stats_print_head(title);
    stats_print_row("floor: UPDATE, NOTIFY, read again", &raw, NULL);
    stats_print_row("pgkeeper", &keeper, &raw);
    return 0;
}
