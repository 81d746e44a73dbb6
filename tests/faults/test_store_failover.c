/*
 * tests/faults/test_store_failover.c - the database fails over to its synchronous standby under a stream of writes: no
 * checkpoint number comes twice, and every graph that was acknowledged is there, once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "shelf.h"
#include "standby_pair.h"
#include "store_tools.h"

#ifdef PGK_TEST_SANITIZED
#define WRITERS 4
#else
#define WRITERS 8
#endif
#define NUMBERS_MAX 20000
/* Of each writer, before and after. */
#define ENOUGH 20

struct writer {
    pthread_t thread;
    int number;
    pgk_job_graphs *graphs;
    pgk_checkpoint_counter *counter;
    atomic_bool *stop;
    atomic_int done;
    int64_t taken[NUMBERS_MAX];
    int unknown;
    pgk_status wrong;
    pgk_error err;
};

/* A primary that waits for its standby with every commit. */
static void open_synchronous(struct standby_pair *pair, struct fixture *fixture)
{
    standby_pair_open(pair, fixture);
    commits_wait_for_standby(fixture);
}

static int failover_teardown(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    standby_pair_left_over();
    if (pgserver_pid(fixture->server) == 0 &&
        pgserver_start_again(fixture->server, &err) != PGK_OK) {
        return -1;
    }
    commits_wait_for_none(fixture);
    return fixture_teardown(state);
}

/* A number, and a graph of the job that is called so. A number of unknown outcome is nobody's, the next is taken. */
static void *write_stream(void *arg)
{
    struct writer *w = arg;
    while (!atomic_load(w->stop) && atomic_load(&w->done) < NUMBERS_MAX) {
        int64_t number = 0;
        pgk_status status = pgk_checkpoint_counter_get_and_increment(w->counter, &number, &w->err);
        if (status == PGK_ERR_OUTCOME_UNKNOWN) {
            w->unknown++;
            continue;
        }
        pgk_uuid job = job_number((int)number);
        if (status == PGK_OK) {
            status = pgk_job_graphs_put(w->graphs, &job, "g", 1, &w->err);
        }
        if (status != PGK_OK) {
            w->wrong = status;
            break;
        }
        w->taken[atomic_load(&w->done)] = number;
        atomic_fetch_add(&w->done, 1);
    }
    return NULL;
}

static bool all_have(struct writer *writers, const int *before, int more)
{
    for (int i = 0; i < WRITERS; i++) {
        if (writers[i].wrong == PGK_OK && atomic_load(&writers[i].done) < before[i] + more) {
            return false;
        }
    }
    return true;
}

static bool receives(PGconn *conn)
{
    PGresult *result = PQexec(conn, "SELECT count(*) FROM pg_stat_wal_receiver");
    bool some =
        PQresultStatus(result) != PGRES_TUPLES_OK || strcmp(PQgetvalue(result, 0, 0), "0") != 0;
    PQclear(result);
    return some;
}

/* The standby receives nothing any more: what commits from now on is not there, and must not be acknowledged. */
static void cut_off(struct standby_pair *pair)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    server_sql(pair->standby, "ALTER SYSTEM SET primary_conninfo = ''");
    server_sql(pair->standby, "SELECT pg_reload_conf()");
    pgserver_conninfo(pair->standby, "postgres", conninfo, sizeof(conninfo));
    PGconn *conn = db_connect(conninfo);
    WAIT_UNTIL(!receives(conn), WAIT_LONG_MS);
    PQfinish(conn);
}

static void fail_over(struct standby_pair *pair)
{
    struct fixture *fixture = pair->fixture;
    pgk_error err;
    cut_off(pair);
    wait_pause_ms(200); /* who did not wait for the standby would go on here */
    STORE_WORKS(&err, pgserver_stop(fixture->server, PGSERVER_IMMEDIATE, 0, &err));
    STORE_WORKS(&err, pgserver_promote(pair->standby, &err));
    standby_pair_move(pair);
}

static void check_stream(struct fixture *fixture, struct writer *writers)
{
    char job[PGK_UUID_TEXT_SIZE];
    db_exec(fixture, "CREATE TEMP TABLE taken (number bigint PRIMARY KEY, job_id uuid)");
    for (int i = 0; i < WRITERS; i++) {
        if (writers[i].wrong != PGK_OK) {
            fail_msg("writer %d: %s: %s", i, pgk_status_name(writers[i].wrong),
                     writers[i].err.message);
        }
        for (int j = 0; j < atomic_load(&writers[i].done); j++) {
            pgk_uuid id = job_number((int)writers[i].taken[j]);
            pgk_uuid_format(&id, job);
            assert_true(j == 0 || writers[i].taken[j] > writers[i].taken[j - 1]);
            assert_string_equal(db_try(fixture, "INSERT INTO taken VALUES (%lld, '%s')",
                                       (long long)writers[i].taken[j], job),
                                "00000"); /* none twice */
        }
    }
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM taken t WHERE NOT EXISTS (SELECT FROM"
                                     " pgkeeper.job_graph g WHERE g.job_id = t.job_id"
                                     " AND g.version = 1)"),
                     0);
    assert_true(db_int(fixture, "SELECT next_id FROM pgkeeper.checkpoint_counter") >
                db_int(fixture, "SELECT max(number) FROM taken"));
}

static void
test_store_failover__promoted_under_writes__no_number_twice_and_no_graph_lost(void **state)
{
    static struct writer writers[WRITERS];
    int before[WRITERS] = {0};
    atomic_bool stop = false;
    struct standby_pair pair;
    pgk_uuid job = job_of(1);
    pgk_error err;
    open_synchronous(&pair, *state);
    pgk_ha *ha = handle_open(pair.fixture, "writer", "high-availability.postgres.uri", pair.both,
                             "high-availability.postgres.statement-timeout", "60 s", NULL);
    memset(writers, 0, sizeof(writers));
    for (int i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].stop = &stop;
        writers[i].graphs = shelf_open(ha, PGK_UNFENCED, NULL);
        STORE_WORKS(&err,
                    pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, &job, &writers[i].counter, &err));
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_stream, &writers[i]), 0);
    }
    WAIT_UNTIL(all_have(writers, before, ENOUGH), WAIT_LONG_MS);
    fail_over(&pair);
    for (int i = 0; i < WRITERS; i++) {
        before[i] = atomic_load(&writers[i].done);
    }
    WAIT_UNTIL(all_have(writers, before, ENOUGH), 2 * WAIT_LONG_MS);
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    check_stream(pair.fixture, writers);
    for (int i = 0; i < WRITERS; i++) {
        pgk_job_graphs_free(writers[i].graphs);
        pgk_checkpoint_counter_free(writers[i].counter);
    }
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_store_failover__promoted_under_writes__no_number_twice_and_no_graph_lost,
            fixture_setup, failover_teardown),
    };
    return cmocka_run_group_tests_name("store_failover", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
