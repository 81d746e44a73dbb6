/*
 * tests/postgres/test_job_graph_recovery.c - the job graph store: recovering all, damage, callbacks that refuse, close the
 * handle or take their time.
 */
#include <stdio.h>
#include <string.h>

#include "shelf.h"

static void test_job_graphs__recover_all__owns_all_and_the_damaged_alone_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    pgk_job_graphs *a;
    pgk_job_graphs *b;
    shelf_open_two(ha, &lead, &a, &b);
    pgk_job_graph *graph = NULL;
    struct shelf_tally tally = {.state = PGK_OK};
    pgk_error err;

    for (int i = 0; i < 100; i++) {
        pgk_uuid job = job_number(i);
        char text[32];
        int length = snprintf(text, sizeof(text), "graph %d", i);
        CHECK_OK(pgk_job_graphs_put(a, &job, text, (size_t)length, &err), err);
    }
    pgk_uuid damaged = job_number(7);
    pgk_uuid half = job_number(8);
    db_exec(fixture, "UPDATE pgkeeper.job_graph SET graph = graph || 'x' WHERE job_id = '%s'",
            shelf_text(&damaged));
    db_exec(fixture,
            "UPDATE pgkeeper.job_graph SET requirements = 'x', requirements_sha256 = sha256('y')"
            " WHERE job_id = '%s'",
            shelf_text(&half));
    CHECK_OK(pgk_job_graphs_recover_all(b, shelf_tally, &tally, &err), err);
    assert_int_equal(tally.good, 98);
    assert_int_equal(tally.damaged, 2);
    assert_non_null(strstr(tally.reasons, "the graph differs"));
    assert_non_null(strstr(tally.reasons, "the resource requirements differ"));
    assert_int_equal(pgk_job_graphs_recover(b, &damaged, &graph, &err), PGK_ERR_CORRUPT);
    assert_non_null(strstr(err.message, "is damaged"));
    assert_null(graph);
    assert_int_equal(pgk_job_graphs_put(b, &damaged, "new", 3, &err), PGK_ERR_ALREADY_EXISTS);
    for (int i = 0; i < 100; i += 9) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(b, &job, "new", 3, &err), err);
        /* The first owner is stopped below; until then it is protected by both. */
        assert_int_equal(pgk_job_graphs_remove(a, &job, &err), PGK_ERR_CONFLICT);
    }
    CHECK_OK(pgk_job_graphs_stop(a, &err), err);
    assert_int_equal(db_int(fixture,
                            "SELECT cardinality(pgkeeper.live_owners(cluster_id, job_id)) FROM "
                            "pgkeeper.job_graph WHERE job_id = '%s'",
                            shelf_text(&damaged)),
                     0);
    CHECK_OK(pgk_job_graphs_remove(b, &damaged, &err), err);
    pgk_job_graphs_free(a);
    pgk_job_graphs_free(b);
    lead_end(&lead);
    pgk_ha_free(ha);
}

struct stopping {
    pgk_job_graphs *other;
    int calls;
};

static pgk_status stop_third(void *user, const pgk_job_graph *graph)
{
    struct stopping *stopping = user;
    pgk_error err;
    /* Another store may be used meanwhile, with a session of its own. */
    CHECK_OK(pgk_job_graphs_put(stopping->other, &graph->job_id, "of the other", 12, &err), err);
    return ++stopping->calls == 3 ? PGK_ERR_IO : PGK_OK;
}

static void test_job_graphs__callback_that_refuses__ends_it_and_other_stores_work(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *elsewhere =
        handle_open(fixture, "b", "high-availability.cluster-id", "elsewhere", NULL);
    pgk_job_graphs *a = shelf_open(ha, PGK_UNFENCED, NULL);
    struct stopping stopping = {.other = shelf_open(elsewhere, PGK_UNFENCED, NULL)};
    pgk_error err;

    for (int i = 0; i < 10; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(a, &job, "g", 1, &err), err);
    }
    assert_int_equal(pgk_job_graphs_recover_all(a, stop_third, &stopping, &err), PGK_ERR_IO);
    assert_int_equal(stopping.calls, 3);
    size_t count = 0;
    CHECK_OK(pgk_job_graphs_recover_all(a, shelf_count, &count, &err), err);
    assert_int_equal(count, 10);
    CHECK_OK(pgk_job_graphs_recover_all(stopping.other, shelf_count, &count, &err), err);
    assert_int_equal(count, 13);
    pgk_job_graphs_free(stopping.other);
    pgk_job_graphs_free(a);
    pgk_ha_free(elsewhere);
    pgk_ha_free(ha);
}

static pgk_status refuse_second(void *user, const pgk_job_graph *graph)
{
    int *calls = user;
    (void)graph;
    return ++*calls == 2 ? PGK_ERR_IO : PGK_OK;
}

static void test_job_graphs__recover_all_that_fails__owns_nothing_by_it(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *a = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_job_graphs *b = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_uuid theirs[2] = {job_number(1), job_number(2)};
    pgk_uuid own = job_number(3);
    pgk_error err;
    int calls = 0;
    CHECK_OK(pgk_job_graphs_put(a, &theirs[0], "g", 1, &err), err);
    CHECK_OK(pgk_job_graphs_put(a, &theirs[1], "g", 1, &err), err);
    assert_int_equal(pgk_job_graphs_recover_all(b, refuse_second, &calls, &err), PGK_ERR_IO);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pgk_job_graphs_put(b, &theirs[i], "h", 1, &err), PGK_ERR_ALREADY_EXISTS);
    }
    CHECK_OK(pgk_job_graphs_put(b, &own, "g", 1, &err), err);
    calls = 0;
    assert_int_equal(pgk_job_graphs_recover_all(b, refuse_second, &calls, &err), PGK_ERR_IO);
    CHECK_OK(pgk_job_graphs_put(b, &own, "h", 1, &err), err);
    pgk_job_graphs_free(a);
    pgk_job_graphs_free(b);
    pgk_ha_free(ha);
}

struct successor {
    struct fixture *fixture;
    pgk_ha *ha;
    int calls;
};

static void ignore(void *user, const pgk_uuid *job_id)
{
    (void)user;
    (void)job_id;
}

static pgk_status start_successor(void *user, const pgk_job_graph *graph)
{
    struct successor *successor = user;
    const pgk_job_graph_listener listener = {
        .size = sizeof(listener), .added = ignore, .removed = ignore};
    (void)graph;
    if (successor->calls++ == 0) {
        db_exec(successor->fixture, "UPDATE pgkeeper.leadership SET epoch = epoch + 1");
        pgk_job_graphs_free(shelf_open(successor->ha, PGK_UNFENCED, &listener));
    }
    return PGK_OK;
}

/* Its statement holds a lock on its store's entry for as long as its callback likes. */
static void test_job_graphs__deposed_while_it_recovers__holds_up_nobody(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct successor successor = {.fixture = fixture, .ha = handle_open(fixture, "b", NULL)};
    struct leadership lead;
    pgk_error err;

    lead_begin(&lead, ha);
    pgk_job_graphs *store = shelf_open(ha, &lead.token, NULL);
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), g.graph, sha256(g.graph)"
            "   FROM generate_series(1, 4) n,"
            "        LATERAL (SELECT convert_to(repeat(n::text, 4000000), 'UTF8') AS graph) g");
    CHECK_OK(pgk_job_graphs_recover_all(store, start_successor, &successor, &err), err);
    assert_int_equal(successor.calls, 4);
    pgk_job_graphs_free(store);
    lead_end(&lead);
    pgk_ha_free(successor.ha);
    pgk_ha_free(ha);
}

static pgk_status close_handle(void *user, const pgk_job_graph *graph)
{
    (void)graph;
    return pgk_ha_close(user, NULL);
}

static void test_job_graphs__handle_closed_inside_a_recovery__ends_and_does_not_hang(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_error err;

    for (int i = 0; i < 3; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(store, &job, "g", 1, &err), err);
    }
    assert_int_equal(pgk_job_graphs_recover_all(store, close_handle, ha, &err),
                     PGK_ERR_ILLEGAL_STATE);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_job_graphs__recover_all__owns_all_and_the_damaged_alone_is_corrupt),
        DB_TEST(test_job_graphs__callback_that_refuses__ends_it_and_other_stores_work),
        DB_TEST(test_job_graphs__recover_all_that_fails__owns_nothing_by_it),
        DB_TEST(test_job_graphs__deposed_while_it_recovers__holds_up_nobody),
        DB_TEST(test_job_graphs__handle_closed_inside_a_recovery__ends_and_does_not_hang),
    };
    return cmocka_run_group_tests_name("job_graph_recovery", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
