/*
 * tests/postgres/test_job_graph_threads.c - the job graph store under many threads, stores and processes: only what the
 * contract allows, and puts that go together.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shelf.h"

/* ------------------------------------------------------------------ two stores, many threads */

#define THREADS 8
#define JOBS 5
#ifdef PGK_TEST_SANITIZED
#define TURNS 60
#else
#define TURNS 250
#endif

struct worker {
    pgk_job_graphs *store;
    unsigned random;
    int bad;
    char message[PGK_ERROR_MESSAGE_SIZE];
};

static bool expected(pgk_status status)
{
    return status == PGK_OK || status == PGK_ERR_NOT_FOUND || status == PGK_ERR_ALREADY_EXISTS ||
           status == PGK_ERR_CONFLICT;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < TURNS; i++) {
        pgk_uuid job = job_number(rand_r(&worker->random) % JOBS);
        pgk_job_graph *graph = NULL;
        size_t count = 0;
        pgk_status status;
        pgk_error err;
        switch (rand_r(&worker->random) % 6) {
        case 0:
        case 1:
            status = pgk_job_graphs_put(worker->store, &job, &i, sizeof(i), &err);
            break;
        case 2:
            status = pgk_job_graphs_remove(worker->store, &job, &err);
            break;
        case 3:
            status = pgk_job_graphs_release(worker->store, &job, &err);
            break;
        case 4:
            status = pgk_job_graphs_recover_all(worker->store, shelf_count, &count, &err);
            break;
        default:
            status = pgk_job_graphs_recover(worker->store, &job, &graph, &err);
            pgk_job_graph_free(graph);
        }
        if (!expected(status)) {
            worker->bad++;
            snprintf(worker->message, sizeof(worker->message), "%s", err.message);
        }
    }
    return NULL;
}

static void
test_job_graphs__two_stores_and_many_threads__only_what_the_contract_allows(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha[2] = {handle_open(fixture, "a", NULL), handle_open(fixture, "b", NULL)};
    pgk_job_graphs *stores[2];
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    size_t count = 0;
    pgk_error err;

    for (int i = 0; i < 2; i++) {
        stores[i] = shelf_open(ha[i], PGK_UNFENCED, NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = stores[i % 2], .random = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].bad > 0) {
            fail_msg("%d calls answered what they must not: %s", workers[i].bad,
                     workers[i].message);
        }
    }
    /* Afterwards each store can still do all it should. */
    for (int i = 0; i < JOBS; i++) {
        pgk_uuid job = job_number(i);
        pgk_job_graph *graph = NULL;
        pgk_status status = pgk_job_graphs_recover(stores[0], &job, &graph, &err);
        assert_true(status == PGK_OK || status == PGK_ERR_NOT_FOUND);
        pgk_job_graph_free(graph);
        CHECK_OK(pgk_job_graphs_put(stores[0], &job, "end", 3, &err), err);
    }
    CHECK_OK(pgk_job_graphs_recover_all(stores[1], shelf_count, &count, &err), err);
    assert_int_equal(count, JOBS);
    for (int i = 0; i < 2; i++) {
        pgk_job_graphs_free(stores[i]);
        pgk_ha_free(ha[i]);
    }
}

#define PROCESSES 3

/* In a child: 0 when all of its calls answered what they may. */
static int work_in_process(const pgk_config *config, unsigned number)
{
    struct worker workers[2];
    pthread_t threads[2];
    pgk_ha *ha = NULL;
    pgk_job_graphs *store = NULL;
    int bad = 0;
    if (pgk_ha_open(config, &ha, NULL) != PGK_OK ||
        pgk_ha_job_graphs(ha, PGK_UNFENCED, &store, NULL) != PGK_OK ||
        pgk_job_graphs_start(store, NULL, NULL) != PGK_OK) {
        return 1;
    }
    for (unsigned i = 0; i < 2; i++) {
        workers[i] = (struct worker){.store = store, .random = 2 * number + i + 1};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            return 2;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        bad += workers[i].bad;
        if (workers[i].bad > 0) {
            fprintf(stderr, "%s\n", workers[i].message);
        }
    }
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
    return bad == 0 ? 0 : 3;
}

static void
test_job_graphs__stores_of_several_processes__only_what_the_contract_allows(void **state)
{
    struct fixture *fixture = *state;
    pgk_config *config = handle_config(fixture, "worker", NULL);
    pid_t children[PROCESSES];
    size_t count = 0;
    pgk_error err;
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork(); /* before this process has a handle */
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            _exit(work_in_process(config, i));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    /* What is left is whole, and anybody's. */
    pgk_ha *ha = handle_open(fixture, "after", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    CHECK_OK(pgk_job_graphs_recover_all(store, shelf_count, &count, &err), err);
    assert_int_equal(count, db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"));
    for (int i = 0; i < JOBS; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(store, &job, "end", 3, &err), err);
        CHECK_OK(pgk_job_graphs_remove(store, &job, &err), err);
    }
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
    pgk_config_free(config);
}

/* ------------------------------------------------------------------ puts that go together */

#define CROWD 8
#define CROWD_TURNS 40

struct putter {
    pgk_job_graphs *store;
    int number;
    char wrong[PGK_ERROR_MESSAGE_SIZE];
};

static void expect_put(struct putter *putter, int job_number_of, char byte, pgk_status wanted)
{
    pgk_uuid job = job_number(job_number_of);
    pgk_error err;
    pgk_status status = pgk_job_graphs_put(putter->store, &job, &byte, 1, &err);
    if (status != wanted) {
        snprintf(putter->wrong, sizeof(putter->wrong), "job %d: %s", job_number_of,
                 pgk_status_name(status));
    }
}

/* New ones, replacements, and in between what the store does not own or no longer knows. */
static void *put_in_a_crowd(void *arg)
{
    struct putter *putter = arg;
    int mine = 1000 * (putter->number + 1);
    for (int i = 0; i < CROWD_TURNS; i++) {
        expect_put(putter, mine + i, 'a', PGK_OK);
        expect_put(putter, putter->number, 'x', PGK_ERR_ALREADY_EXISTS);
        expect_put(putter, mine + i, 'b', PGK_OK);
        expect_put(putter, 100 + putter->number, 'x', PGK_ERR_CONFLICT);
    }
    return NULL;
}

static void run_crowd(pgk_job_graphs *store)
{
    struct putter putters[CROWD];
    pthread_t threads[CROWD];
    for (int i = 0; i < CROWD; i++) {
        putters[i] = (struct putter){.store = store, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, put_in_a_crowd, &putters[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < CROWD; i++) {
        assert_string_equal(putters[i].wrong, "");
    }
}

static void test_job_graphs__more_threads_than_sessions__each_put_has_its_own_answer(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", "high-availability.postgres.max-connections", "2", NULL);
    pgk_job_graphs *owner = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_error err;

    for (int i = 0; i < CROWD; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(owner, &job, "o", 1, &err), err);
        job = job_number(100 + i);
        CHECK_OK(pgk_job_graphs_put(store, &job, "o", 1, &err), err);
    }
    db_exec(fixture, "UPDATE pgkeeper.job_graph SET graph = graph");
    run_crowd(store);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"
                                     " WHERE graph = 'b' AND version = 2"),
                     CROWD * CROWD_TURNS);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph WHERE graph = 'o'"),
                     2 * CROWD);
    /* Some went together, or this test shows nothing. */
    assert_true(db_int(fixture, "SELECT count(DISTINCT created_in) FROM pgkeeper.job_graph") <
                db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"));
    pgk_job_graphs_free(owner);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_job_graphs__two_stores_and_many_threads__only_what_the_contract_allows),
        DB_TEST(test_job_graphs__stores_of_several_processes__only_what_the_contract_allows),
        DB_TEST(test_job_graphs__more_threads_than_sessions__each_put_has_its_own_answer),
    };
    return cmocka_run_group_tests_name("job_graph_threads", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
