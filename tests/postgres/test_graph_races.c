/*
 * tests/postgres/test_graph_races.c - what others do to a job graph store while its graphs are recovered, when the
 * server has not come to the end of that: release, stop, recover, enter the store again.
 */
#include <pthread.h>
#include <stdlib.h>

#include "ear.h"
#include "shelf.h"

/* A row's function may not call the store: another thread does. */
struct meddler {
    pgk_job_graphs *store;
    pgk_status (*act)(struct meddler *meddler);
    pgk_uuid job;
    int calls;
    pgk_status status;
    pgk_error err;
};

static void *meddle(void *arg)
{
    struct meddler *meddler = arg;
    meddler->status = meddler->act(meddler);
    return NULL;
}

static pgk_status meddle_at_first(void *user, const pgk_job_graph *graph)
{
    struct meddler *meddler = user;
    pthread_t thread;
    (void)graph;
    if (meddler->calls++ == 0) {
        assert_int_equal(pthread_create(&thread, NULL, meddle, meddler), 0);
        pthread_join(thread, NULL);
        CHECK_OK(meddler->status, meddler->err);
    }
    return PGK_OK;
}

/* Larger than what the network takes in advance: while the rows before it are handed out, the server has not come to
 * the end of the recovery, and what it notes there is not committed. */
#define HOLDS_UP (8 * 1024 * 1024)

/* A small one, whose row is being handed out or comes next, and the large one, whose row comes last. */
static pgk_status release_two(struct meddler *meddler)
{
    pgk_uuid large = job_number(3);
    pgk_status status = pgk_job_graphs_release(meddler->store, &meddler->job, &meddler->err);
    return status == PGK_OK ? pgk_job_graphs_release(meddler->store, &large, &meddler->err)
                            : status;
}

static void put_large(pgk_job_graphs *store, const pgk_uuid *job)
{
    pgk_error err;
    char *bytes = calloc(1, HOLDS_UP);
    assert_non_null(bytes);
    CHECK_OK(pgk_job_graphs_put(store, job, bytes, HOLDS_UP, &err), err);
    free(bytes);
}

/* Released means: this store does not replace it any more, and others may take it away. */
static void test_graph_races__released_while_all_are_recovered__stays_released(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    lead_begin(&lead, ha);
    struct meddler meddler = {.store = shelf_open(ha, &lead.token, NULL), .act = release_two};
    pgk_job_graphs *other = shelf_open(ha, &lead.token, NULL);
    pgk_uuid jobs[3] = {job_number(1), job_number(2), job_number(3)};
    pgk_error err;
    meddler.job = jobs[0];
    CHECK_OK(pgk_job_graphs_put(meddler.store, &jobs[0], "g", 1, &err), err);
    CHECK_OK(pgk_job_graphs_put(meddler.store, &jobs[1], "g", 1, &err), err);
    put_large(meddler.store, &jobs[2]);
    CHECK_OK(pgk_job_graphs_recover_all(meddler.store, meddle_at_first, &meddler, &err), err);
    assert_int_equal(meddler.calls, 3);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(pgk_job_graphs_put(meddler.store, &jobs[i], "h", 1, &err),
                         PGK_ERR_ALREADY_EXISTS);
        CHECK_OK(pgk_job_graphs_remove(other, &jobs[i], &err), err);
    }
    assert_int_equal(pgk_job_graphs_remove(other, &jobs[1], &err), PGK_ERR_CONFLICT);
    CHECK_OK(pgk_job_graphs_put(meddler.store, &jobs[1], "h", 1, &err), err);
    pgk_job_graphs_free(other);
    pgk_job_graphs_free(meddler.store);
    lead_end(&lead);
    pgk_ha_free(ha);
}

static pgk_status stop_it(struct meddler *meddler)
{
    return pgk_job_graphs_stop(meddler->store, &meddler->err);
}

static void test_graph_races__stopped_while_all_are_recovered__ends_both(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    lead_begin(&lead, ha);
    struct meddler meddler = {.store = shelf_open(ha, &lead.token, NULL), .act = stop_it};
    pgk_error err;

    for (int i = 1; i <= 2; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(meddler.store, &job, "g", 1, &err), err);
    }
    pgk_uuid large = job_number(3);
    put_large(meddler.store, &large);
    assert_int_equal(pgk_job_graphs_recover_all(meddler.store, meddle_at_first, &meddler, &err),
                     PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(meddler.calls, 1);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_store"), 0);
    pgk_job_graphs_free(meddler.store);
    lead_end(&lead);
    pgk_ha_free(ha);
}

/* ------------------------------------------------------------------ two recoveries */

#define STATEMENT_MS 500

struct second {
    pgk_job_graphs *store;
    pthread_t thread;
    size_t count; /* rows of the second recovery */
    int calls;    /* of the first one */
    pgk_status status;
    pgk_error err;
};

static void *recover_too(void *arg)
{
    struct second *second = arg;
    second->status =
        pgk_job_graphs_recover_all(second->store, shelf_count, &second->count, &second->err);
    return NULL;
}

/* Begins another one, and takes longer than a statement may wait for a lock. */
static pgk_status begin_second(void *user, const pgk_job_graph *graph)
{
    struct second *second = user;
    (void)graph;
    if (second->calls++ == 0) {
        assert_int_equal(pthread_create(&second->thread, NULL, recover_too, second), 0);
        wait_pause_ms(2 * STATEMENT_MS);
    }
    return PGK_OK;
}

static void test_graph_races__recovered_while_all_are_recovered__one_after_the_other(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha =
        handle_open(fixture, "a", "high-availability.postgres.statement-timeout", "500 ms", NULL);
    struct leadership lead;
    lead_begin(&lead, ha); /* such a store has an entry, which a recovery locks */
    struct second second = {.store = shelf_open(ha, &lead.token, NULL)};
    pgk_uuid jobs[2] = {job_number(1), job_number(2)};
    pgk_error err;
    CHECK_OK(pgk_job_graphs_put(second.store, &jobs[0], "g", 1, &err), err);
    put_large(second.store, &jobs[1]);
    CHECK_OK(pgk_job_graphs_recover_all(second.store, begin_second, &second, &err), err);
    pthread_join(second.thread, NULL);
    CHECK_OK(second.status, second.err);
    assert_int_equal(second.calls, 2);
    assert_int_equal(second.count, 2);
    pgk_job_graphs_free(second.store);
    lead_end(&lead);
    pgk_ha_free(ha);
}

/* ------------------------------------------------------------------ a renewal */

/* So long the listener's session may wait for a lock: it would give up after ten seconds, and read then. */
#define LOCK_WAIT "60 s"
#define NO_WAIT_MS 8000

struct renewal {
    struct fixture *fixture;
    struct ear ear; /* of another store of the same handle, hence of the same listener session */
    pgk_uuid job;
    int calls;
};

/* The listener comes back while the recovery holds the entry of its store, enters both stores again, and reads. */
static pgk_status cut_the_listener(void *user, const pgk_job_graph *graph)
{
    struct renewal *renewal = user;
    (void)graph;
    if (renewal->calls++ == 0) {
        db_exec(renewal->fixture,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'pgkeeper:%%:listener:%%';"
                "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
                " VALUES ('" FIXTURE_CLUSTER "', '%s', 'g', sha256('g'))",
                shelf_text(&renewal->job));
        WAIT_UNTIL(ear_count(&renewal->ear, true, &renewal->job) == 1, NO_WAIT_MS);
    }
    return PGK_OK;
}

static void test_graph_races__renewed_while_all_are_recovered__does_not_wait(void **state)
{
    struct fixture *fixture = *state;
    static struct ear own;
    static struct renewal renewal;
    pgk_ha *ha = handle_open(fixture, "a", "high-availability.postgres.heartbeat", LOCK_WAIT,
                             "high-availability.postgres.lease", "3 min",
                             "high-availability.postgres.session-timeout", "5 min",
                             "high-availability.postgres.grace", "6 min", NULL);
    pgk_job_graph_listener listener = ear_open(&own);
    pgk_job_graph_listener other_listener = ear_open(&renewal.ear);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, &listener);
    pgk_job_graphs *other = shelf_open(ha, PGK_UNFENCED, &other_listener);
    pgk_uuid jobs[2] = {job_number(1), job_number(2)};
    pgk_error err;
    CHECK_OK(pgk_job_graphs_put(store, &jobs[0], "g", 1, &err), err);
    put_large(store, &jobs[1]);
    WAIT_UNTIL(db_sessions(fixture, "listener") == 1, WAIT_LONG_MS);
    EAR_WAIT(&renewal.ear, true, &jobs[1], 1);
    renewal.fixture = fixture;
    renewal.job = job_number(3);
    renewal.calls = 0;
    CHECK_OK(pgk_job_graphs_recover_all(store, cut_the_listener, &renewal, &err), err);
    assert_int_equal(renewal.calls, 2);
    EAR_WAIT(&own, true, &renewal.job, 1); /* told once nothing is recovered any more */
    pgk_job_graphs_free(other);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_graph_races__released_while_all_are_recovered__stays_released),
        DB_TEST(test_graph_races__stopped_while_all_are_recovered__ends_both),
        DB_TEST(test_graph_races__recovered_while_all_are_recovered__one_after_the_other),
        DB_TEST(test_graph_races__renewed_while_all_are_recovered__does_not_wait),
    };
    return cmocka_run_group_tests_name("graph_races", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
