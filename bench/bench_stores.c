/*
 * bench/bench_stores.c - what the job stores cost: puts, recovery, its memory, and how all of it
 * grows with what is stored; in turn with raw libpq. bench/README.md says how to read it.
 *
 * usage: bench_stores put|recover|memory|flat|blobs|huge [SAMPLES]     (libpq's environment: a
 * migrated server)
 */
#include "stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_MAX (256 * MB)
#define GRANT_TRIES 1000
#define GRANT_PAUSE_MS 10

void check(pgk_status status, const pgk_error *err, const char *what)
{
    if (status != PGK_OK) {
        bench_fail("%s: %s", what, err->message);
    }
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    const struct leader *leader = user;

    (void)session_id;
    if (!leader->closing) {
        bench_fail("tenure %lld has ended in the middle", (long long)epoch);
    }
}

const char *transport(const PGconn *conn)
{
    return PQhost(conn)[0] == '/' ? "unix socket" : "TCP loopback";
}

void leader_open(struct leader *leader, int connections)
{
    const pgk_contender contender = {
        .size = sizeof contender, .user = leader, .grant = on_grant, .revoke = on_revoke};
    char number[16];
    pgk_error err;

    leader->closing = false;
    snprintf(number, sizeof number, "%d", connections);
    const char *const pairs[] = {"high-availability.postgres.max-connections", number, NULL};
    pgk_config *config = bench_config("", pairs);
    check(pgk_ha_open(config, &leader->ha, &err), &err, "open");
    pgk_config_free(config);
    check(pgk_ha_election(leader->ha, PGK_COMPONENT_DISPATCHER, &leader->election, &err), &err,
          "election");
    check(pgk_election_start(leader->election, &contender, &err), &err, "start");
    for (int i = 0; pgk_election_token(leader->election, &leader->token, &err) != PGK_OK; i++) {
        if (i == GRANT_TRIES) {
            bench_fail("not granted: %s", err.message);
        }
        bench_pause_ms(GRANT_PAUSE_MS);
    }
    check(pgk_ha_job_graphs(leader->ha, &leader->token, &leader->graphs, &err), &err, "store");
    check(pgk_job_graphs_start(leader->graphs, NULL, &err), &err, "start of the store");
}

void leader_close(struct leader *leader)
{
    leader->closing = true;
    pgk_job_graphs_free(leader->graphs);
    pgk_election_free(leader->election);
    pgk_ha_free(leader->ha);
}

const void *random_bytes(size_t length)
{
    static uint64_t words[RANDOM_MAX / sizeof(uint64_t)];
    uint64_t state = 88172645463325252U; /* xorshift */

    if (length > sizeof words) {
        bench_fail("there are only %zu random bytes", sizeof words);
    }
    for (size_t i = 0;
         words[sizeof words / sizeof words[0] - 1] == 0 && i < sizeof words / sizeof words[0];
         i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words[i] = state;
    }
    return words;
}

void raw_table(PGconn *conn)
{
    bench_sql(conn, "SET client_min_messages = warning");
    bench_sql(conn, "DROP TABLE IF EXISTS public.raw_graph");
    bench_sql(conn, "CREATE TABLE public.raw_graph (job_id uuid PRIMARY KEY, graph bytea)");
    bench_sql(conn, "ALTER TABLE public.raw_graph ALTER graph SET STORAGE EXTERNAL");
}

PGconn *raw_open(void)
{
    PGconn *conn = bench_connect("");
    PGresult *result;

    /* As the library's sessions do: one plan, from the first execution on. */
    bench_sql(conn, "SET plan_cache_mode = force_generic_plan");
    result = PQprepare(conn, "put",
                       "INSERT INTO public.raw_graph VALUES ($1::uuid, $2::bytea)"
                       " ON CONFLICT (job_id) DO UPDATE SET graph = EXCLUDED.graph",
                       2, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        bench_fail("prepare: %s", PQerrorMessage(conn));
    }
    PQclear(result);
    return conn;
}

void raw_put(PGconn *conn, const pgk_uuid *job_id, const void *bytes, size_t length)
{
    static const int formats[] = {1, 1};
    const char *const values[] = {(const char *)job_id->bytes, bytes};
    const int lengths[] = {sizeof job_id->bytes, (int)length};
    PGresult *result = PQexecPrepared(conn, "put", 2, values, lengths, formats, 1);

    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        bench_fail("raw put: %s", PQerrorMessage(conn));
    }
    PQclear(result);
}

void fill_jobs(PGconn *conn, int64_t first, int64_t last, int64_t bytes)
{
    char sql[640];

    snprintf(sql, sizeof sql,
             "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256, owners)"
             " SELECT 'bench', md5(i::text)::uuid, g.bytes, sha256(g.bytes),"
             "        ARRAY[gen_random_uuid()]"
             "   FROM generate_series(%lld, %lld) i, LATERAL (SELECT substr(decode("
             "        repeat(md5((i + 1)::text) || md5(i::text || 'x'), %lld), 'hex'),"
             "        1, %lld)) g(bytes)",
             (long long)first, (long long)last, (long long)(bytes / 32 + 1), (long long)bytes);
    bench_sql(conn, sql);
    bench_sql(conn, "VACUUM ANALYZE pgkeeper.job_graph");
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    const int samples = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;

    if (strcmp(part, "put") == 0) {
        measure_put(samples > 0 ? samples : 1000, samples > 0 && samples < 1000 ? 2 : 5);
    } else if (strcmp(part, "recover") == 0) {
        measure_recover(samples > 0 ? samples : 15);
    } else if (strcmp(part, "memory") == 0) {
        measure_memory();
    } else if (strcmp(part, "flat") == 0) {
        measure_flat(samples > 0 ? samples : 200);
    } else if (strcmp(part, "blobs") == 0) {
        measure_blobs(samples > 0 ? samples : 10, false);
    } else if (strcmp(part, "huge") == 0) {
        measure_blobs(1, true);
    } else {
        fprintf(stderr, "usage: bench_stores put|recover|memory|flat|blobs|huge [SAMPLES]\n");
        return 2;
    }
    return 0;
}
