/*
 * tests/postgres/test_job_end.c - the end and the clean-up of a job beside a job graph store that listens:
 * that of the same handle and token hears nothing of what its own process did; others do.
 */
#include "ear.h"
#include "shelf.h"
#include "store_tools.h"

#define POLL "retrieval.poll-interval", "100 ms"
#define ROUNDS 30

struct scene {
    struct fixture *fixture;
    struct ear ear;
    pgk_ha *ha;
    pgk_ha *other_ha;
    pgk_job_graphs *graphs; /* of ha; listens */
    pgk_job_results *results;
    pgk_job_results *others;
    pgk_error err;
};

static struct scene *open_scene(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof(s));
    s.fixture = *state;
    s.ha = handle_open(s.fixture, "a", POLL, NULL);
    s.other_ha = handle_open(s.fixture, "b", NULL);
    pgk_job_graph_listener listener = ear_open(&s.ear);
    s.graphs = shelf_open(s.ha, PGK_UNFENCED, &listener);
    STORE_WORKS(&s.err, pgk_ha_job_results(s.ha, PGK_UNFENCED, &s.results, &s.err));
    STORE_WORKS(&s.err, pgk_ha_job_results(s.other_ha, PGK_UNFENCED, &s.others, &s.err));
    return &s;
}

static void close_scene(struct scene *s)
{
    pgk_job_graphs_free(s->graphs);
    pgk_job_results_free(s->results);
    pgk_job_results_free(s->others);
    handle_close(s->ha);
    handle_close(s->other_ha);
}

static void put(struct scene *s, int job)
{
    pgk_uuid id = job_of(job);
    STORE_WORKS(&s->err, pgk_job_graphs_put(s->graphs, &id, "g", 1, &s->err));
}

/* Something else happens and is heard: all that was before it would have been. */
static void wait_until_heard(struct scene *s, int job)
{
    pgk_uuid id = job_of(job);
    put(s, job);
    db_exec(s->fixture, "DELETE FROM pgkeeper.job_graph");
    EAR_WAIT(&s->ear, false, &id, 1);
}

static void test_job_end__by_the_same_process__its_listener_is_not_told(void **state)
{
    struct scene *s = open_scene(state);
    for (int i = 0; i < ROUNDS; i++) {
        pgk_job_result result = result_of(i);
        put(s, i);
        STORE_WORKS(&s->err, pgk_job_results_finish_job(s->results, &result, &s->err));
        pgk_uuid id = job_of(100 + i);
        put(s, 100 + i);
        STORE_WORKS(&s->err, pgk_ha_cleanup_job(s->ha, PGK_UNFENCED, &id, NULL, &s->err));
    }
    assert_int_equal(db_int(s->fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    wait_until_heard(s, 200);
    assert_int_equal(ear_total(&s->ear), 1);
    close_scene(s);
}

static void test_job_end__by_another_process__the_owner_is_told(void **state)
{
    struct scene *s = open_scene(state);
    pgk_job_result result = result_of(1);
    pgk_uuid two = job_of(2);
    put(s, 1);
    put(s, 2);
    STORE_WORKS(&s->err, pgk_job_results_finish_job(s->others, &result, &s->err));
    STORE_WORKS(&s->err, pgk_ha_cleanup_job(s->other_ha, PGK_UNFENCED, &two, NULL, &s->err));
    EAR_WAIT(&s->ear, false, &result.job_id, 1);
    EAR_WAIT(&s->ear, false, &two, 1);
    assert_int_equal(ear_total(&s->ear), 2);
    close_scene(s);
}

static void test_job_end__that_is_refused__the_graph_stays_owned(void **state)
{
    struct scene *s = open_scene(state);
    pgk_job_result result = result_of(1);
    STORE_WORKS(&s->err, pgk_job_results_create_dirty(s->results, &result, &s->err));
    put(s, 1);
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s->err,
                pgk_job_results_finish_job(s->results, &result, &s->err));
    put(s, 1); /* owned still: replaced */
    assert_int_equal(db_int(s->fixture, "SELECT version FROM pgkeeper.job_graph"), 2);
    /* A store that is stopped takes no part. */
    STORE_WORKS(&s->err, pgk_job_graphs_stop(s->graphs, &s->err));
    result = result_of(2);
    STORE_WORKS(&s->err, pgk_job_results_finish_job(s->results, &result, &s->err));
    close_scene(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_job_end__by_the_same_process__its_listener_is_not_told),
        DB_TEST(test_job_end__by_another_process__the_owner_is_told),
        DB_TEST(test_job_end__that_is_refused__the_graph_stays_owned),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
