/*
 * tests/postgres/test_standby.c - standbys that wait do no harm to the database, heartbeats cost no WAL, and an idle
 * cluster asks little. One long watch with a steady writer beside it; it is shorter under sanitizers, where
 * only the code is looked at.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "contest.h"

#ifdef PGK_TEST_SANITIZED
#define WATCH_S 15
#define IDLE_S 5
#else
#define WATCH_S 125
#define IDLE_S 10
#endif

/* Autovacuum and checkpoints would write WAL and move horizons of their own accord. */
static const char *const quiet[] = {"fsync=off",
                                    "log_lock_waits=on",
                                    "autovacuum=off",
                                    "checkpoint_timeout=1h",
                                    "bgwriter_lru_maxpages=0",
                                    NULL};

static struct fixture the_fixture;

static int group_setup(void **state)
{
    fixture_start(&the_fixture, quiet);
    *state = &the_fixture;
    return 0;
}

/* Updates one row at a steady pace, so that transaction ids measure time. */
struct writer {
    char conninfo[PGSERVER_CONNINFO_SIZE];
    pthread_t thread;
    atomic_bool stop;
    atomic_long done;
};

static void *run_writer(void *arg)
{
    struct writer *writer = arg;
    PGconn *conn = PQconnectdb(writer->conninfo);
    while (!atomic_load(&writer->stop)) {
        PQclear(PQexec(conn, "UPDATE public.busy SET n = n + 1"));
        atomic_fetch_add(&writer->done, 1);
        wait_pause_ms(4);
    }
    PQfinish(conn);
    return NULL;
}

static void start_writer(struct fixture *fixture, struct writer *writer)
{
    db_exec(fixture, "CREATE TABLE public.busy (n int NOT NULL) WITH (fillfactor = 10)");
    db_exec(fixture, "INSERT INTO public.busy SELECT 0 FROM generate_series(1, 5)");
    snprintf(writer->conninfo, sizeof(writer->conninfo), "%s", fixture->conninfo);
    assert_int_equal(pthread_create(&writer->thread, NULL, run_writer, writer), 0);
}

static void stop_writer(struct writer *writer)
{
    atomic_store(&writer->stop, true);
    pthread_join(writer->thread, NULL);
}

static void start_three(struct fixture *fixture, struct process *all[3])
{
    static const char *const names[3] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        all[i] = contest_start(fixture, names[i], NULL);
        contest_ready(fixture, names[i]);
    }
    db_wait(fixture, "2", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
}

/* Dead rows of before now must go; an index must not wait for the standbys. */
static void vacuum_and_index(struct fixture *fixture, int round)
{
    db_exec(fixture, "DELETE FROM public.heap");
    wait_pause_ms(1100); /* older than any slice of a wait */
    /* Empty pages at the end of the table are given back: all of them. */
    db_exec(fixture, "VACUUM public.heap");
    assert_int_equal(db_int(fixture, "SELECT pg_relation_size('public.heap')"), 0);
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "CREATE INDEX CONCURRENTLY heap_%d ON public.heap (n)", round);
    int64_t index_ms = (wait_now_ns() - t0_ns) / WAIT_NS_PER_MS;
    fprintf(stderr, "create index concurrently: %lld ms\n", (long long)index_ms);
    assert_in_range(index_ms, 0, 2000);
    db_exec(fixture, "DROP INDEX public.heap_%d", round);
    db_exec(fixture, "INSERT INTO public.heap SELECT generate_series(1, 500)");
}

static void test_standby__waiting_for_minutes__harms_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[3];
    struct writer writer = {.stop = false};
    start_three(fixture, all);
    start_writer(fixture, &writer);
    db_exec(fixture, "CREATE TABLE public.heap (n int)");
    db_exec(fixture, "INSERT INTO public.heap SELECT generate_series(1, 500)");
    int64_t end_ns = wait_now_ns() + WATCH_S * 1000 * WAIT_NS_PER_MS;
    int64_t began_ns = wait_now_ns();
    int64_t worst = 0;
    int64_t next_vacuum_ns = 0;
    for (int round = 0; wait_now_ns() < end_ns;) {
        int64_t age =
            db_int(fixture, "SELECT coalesce(max(age(backend_xmin)), 0) FROM"
                            " pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'");
        worst = age > worst ? age : worst;
        if (wait_now_ns() >= next_vacuum_ns) {
            vacuum_and_index(fixture, round++);
            next_vacuum_ns = wait_now_ns() + 20 * 1000 * WAIT_NS_PER_MS;
        }
        wait_pause_ms(40);
    }
    int64_t seconds = (wait_now_ns() - began_ns) / (1000 * WAIT_NS_PER_MS);
    long per_second = atomic_load(&writer.done) / (long)seconds;
    stop_writer(&writer);
    fprintf(stderr, "oldest backend_xmin of ours: %lld transactions, %ld are made in a second\n",
            (long long)worst, per_second);
    assert_true(per_second > 20);
    /* A wait is half a lease at most, 0.5 s. */
    assert_true(worst < per_second);
    assert_int_equal(log_count(fixture, "still waiting for"), 0);
    assert_int_equal(log_count(fixture, "canceling statement due to lock timeout"), 0);
    assert_int_equal(log_count(fixture, "ERROR"), 0);
    assert_int_equal(process_count(all[0], "revoke "), 0);
    /* They were not asleep. */
    process_kill(all[0]);
    WAIT_UNTIL(process_count(all[1], "grant ") + process_count(all[2], "grant ") == 1,
               WAIT_LONG_MS);
    check_history(fixture);
}

/* WAL of a window in which nobody does anything; the server's own periodic records may hit it, so that the
 * best of a few windows counts. */
static void test_standby__idle_cluster__writes_no_wal(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[3];
    start_three(fixture, all);
    db_exec(fixture, "CHECKPOINT");
    int64_t least = INT64_MAX;
    for (int i = 0; i < 8 && least > 0; i++) {
        char before[32];
        snprintf(before, sizeof(before), "%s",
                 db_text(fixture, "SELECT pg_current_wal_insert_lsn()"));
        wait_pause_ms(2500);
        int64_t written = db_int(
            fixture, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '%s')::bigint", before);
        least = written < least ? written : least;
    }
    assert_int_equal(least, 0);
}

static void test_standby__idle_cluster__asks_under_twenty_statements_a_second(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[3];
    struct process *client = NULL;
    start_three(fixture, all);
    client = contest_follow(fixture, "f", "--client", "--follow", "dispatcher", NULL);
    process_expect(client, "leader dispatcher ", WAIT_LONG_MS);
    db_exec(fixture, "ALTER SYSTEM SET log_statement = 'all'");
    db_exec(fixture, "SELECT pg_reload_conf()");
    WAIT_UNTIL(log_count(fixture, "execute heartbeat") > 0, WAIT_LONG_MS);
    int64_t began_ns = wait_now_ns();
    size_t before = log_count(fixture, " LOG:  execute ");
    wait_pause_ms(IDLE_S * 1000);
    size_t asked = log_count(fixture, " LOG:  execute ") - before;
    int64_t ms = (wait_now_ns() - began_ns) / WAIT_NS_PER_MS;
    db_exec(fixture, "ALTER SYSTEM RESET log_statement");
    db_exec(fixture, "SELECT pg_reload_conf()");
    fprintf(stderr, "%zu statements in %lld ms\n", asked, (long long)ms);
    assert_true(asked > 0);
    assert_true((int64_t)asked * 1000 < 20 * ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_standby__idle_cluster__writes_no_wal),
        DB_TEST(test_standby__idle_cluster__asks_under_twenty_statements_a_second),
        DB_TEST(test_standby__waiting_for_minutes__harms_nothing),
    };
    return cmocka_run_group_tests_name("standby", tests, group_setup, fixture_group_teardown);
}
