/*
 * tests/unit/test_embedded_row_closes.c - a row function that closes its handle, alone and while another thread is
 * closing it: the call ends with a status, and both closes return.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pgkeeper/pgkeeper.h>

#include "inproc.h"

struct scene {
    struct member *member;
    pgk_ha *ha;
    pgk_token token;
    pgk_job_graphs *graphs;
    atomic_bool in_row;
    atomic_bool close_now; /* the row function waits for it */
    pgk_status closed;
    pgk_status recovered;
};

static void open_scene(struct scene *scene, const char *type, const char *cluster_id)
{
    pgk_uuid job_id;
    pgk_error err;

    scene->member = member_new(inproc_open(type, cluster_id, NULL));
    scene->ha = scene->member->ha;
    actor_contend(&scene->member->a[0], scene->ha, PGK_COMPONENT_DISPATCHER, NULL);
    ACTOR_WAIT(&scene->member->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_election_token(scene->member->a[0].election, &scene->token, &err), PGK_OK);
    assert_int_equal(pgk_ha_job_graphs(scene->ha, &scene->token, &scene->graphs, &err), PGK_OK);
    assert_int_equal(pgk_job_graphs_start(scene->graphs, NULL, &err), PGK_OK);
    pgk_uuid_new(&job_id);
    assert_int_equal(pgk_job_graphs_put(scene->graphs, &job_id, "graph", 5, &err), PGK_OK);
}

static void close_scene(struct scene *scene)
{
    pgk_job_graphs_free(scene->graphs);
    member_free(scene->member);
}

static pgk_status close_in_row(struct scene *scene)
{
    atomic_store(&scene->in_row, true);
    while (!atomic_load(&scene->close_now)) {
        wait_pause_ms(1);
    }
    scene->closed = pgk_ha_close(scene->ha, NULL);
    return PGK_OK;
}

static pgk_status on_graph(void *user, const pgk_job_graph *graph)
{
    (void)graph;
    return close_in_row(user);
}

static pgk_status on_result(void *user, const pgk_job_result *result)
{
    (void)result;
    return close_in_row(user);
}

static void test_row_closes__recover_all__illegal_state(void **state)
{
    struct scene scene = {.close_now = true, .closed = PGK_ERR_INTERNAL};

    (void)state;
    open_scene(&scene, "embedded", "/row-closes");
    assert_int_equal(pgk_job_graphs_recover_all(scene.graphs, on_graph, &scene, NULL),
                     PGK_ERR_ILLEGAL_STATE);
    assert_true(scene.in_row);
    assert_int_equal(scene.closed, PGK_OK);
    close_scene(&scene);
}

/* Also where nothing is found but a result. */
static void recover_closes(const char *type)
{
    struct scene scene = {.close_now = true, .closed = PGK_ERR_INTERNAL};
    pgk_job_result result = {
        .size = sizeof(result), .status = PGK_JOB_FINISHED, .started_ms = -1, .ended_ms = -1};
    pgk_recovery recovery = {.size = sizeof(recovery), .user = &scene, .dirty_result = on_result};
    pgk_job_results *results;
    pgk_error err;

    open_scene(&scene, type, "/row-closes-recover");
    pgk_uuid_new(&result.job_id);
    assert_int_equal(pgk_ha_job_results(scene.ha, &scene.token, &results, &err), PGK_OK);
    assert_int_equal(pgk_job_results_create_dirty(results, &result, &err), PGK_OK);
    assert_int_equal(pgk_ha_recover(scene.ha, scene.graphs, &recovery, &err),
                     PGK_ERR_ILLEGAL_STATE);
    assert_true(scene.in_row);
    assert_int_equal(scene.closed, PGK_OK);
    pgk_job_results_free(results);
    close_scene(&scene);
}

static void test_row_closes__recover__illegal_state(void **state)
{
    (void)state;
    recover_closes("embedded");
    recover_closes("standalone");
}

static void *recover_all(void *arg)
{
    struct scene *scene = arg;

    scene->recovered = pgk_job_graphs_recover_all(scene->graphs, on_graph, scene, NULL);
    return NULL;
}

static void *let_row_close(void *arg)
{
    struct scene *scene = arg;

    wait_pause_ms(50); /* so that the other close is under way: either order must end */
    atomic_store(&scene->close_now, true);
    return NULL;
}

static void test_row_closes__while_another_thread_does__both_return(void **state)
{
    struct scene scene = {.closed = PGK_ERR_INTERNAL};
    pthread_t recovers;
    pthread_t lets;

    (void)state;
    open_scene(&scene, "embedded", "/row-closes-two");
    assert_int_equal(pthread_create(&recovers, NULL, recover_all, &scene), 0);
    WAIT_UNTIL(atomic_load(&scene.in_row), WAIT_LONG_MS);
    assert_int_equal(pthread_create(&lets, NULL, let_row_close, &scene), 0);
    assert_int_equal(pgk_ha_close(scene.ha, NULL), PGK_OK);
    assert_int_equal(pthread_join(recovers, NULL), 0);
    assert_int_equal(pthread_join(lets, NULL), 0);
    assert_int_equal(scene.closed, PGK_OK);
    assert_int_equal(scene.recovered, PGK_ERR_ILLEGAL_STATE);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_closes__recover_all__illegal_state),
        cmocka_unit_test(test_row_closes__recover__illegal_state),
        cmocka_unit_test(test_row_closes__while_another_thread_does__both_return),
    };

    return cmocka_run_group_tests_name("embedded_row_closes", tests, NULL, NULL);
}
