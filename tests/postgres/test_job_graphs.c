/*
 * tests/postgres/test_job_graphs.c - the job graph store, sentence by sentence: states, ownership, versions, bytes, bad
 * arguments. Recovering all is in test_job_graph_recovery.c, many callers in test_job_graph_threads.c, what its listener hears
 * in test_job_graph_events.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder.h"
#include "shelf.h"

static void test_job_graphs__not_started_or_stopped__illegal_state(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = NULL;
    pgk_job_graph *graph = NULL;
    pgk_uuid job = job_number(1);
    pgk_uuid *ids = NULL;
    size_t count;
    pgk_error err;

    CHECK_OK(pgk_ha_job_graphs(ha, PGK_UNFENCED, &store, &err), err);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(pgk_job_graphs_put(store, &job, "g", 1, &err), PGK_ERR_ILLEGAL_STATE);
        assert_non_null(strstr(err.message, round == 0 ? "not started" : "stopped"));
        assert_int_equal(pgk_job_graphs_put_requirements(store, &job, "g", 1, &err),
                         PGK_ERR_ILLEGAL_STATE);
        assert_int_equal(pgk_job_graphs_recover(store, &job, &graph, &err), PGK_ERR_ILLEGAL_STATE);
        assert_int_equal(pgk_job_graphs_recover_all(store, shelf_count, &count, &err),
                         PGK_ERR_ILLEGAL_STATE);
        assert_int_equal(pgk_job_graphs_list(store, &ids, &count, &err), PGK_ERR_ILLEGAL_STATE);
        assert_int_equal(pgk_job_graphs_release(store, &job, &err), PGK_ERR_ILLEGAL_STATE);
        assert_int_equal(pgk_job_graphs_remove(store, &job, &err), PGK_ERR_ILLEGAL_STATE);
        CHECK_OK(pgk_job_graphs_stop(store, &err), err);
        if (round == 0) {
            CHECK_OK(pgk_job_graphs_start(store, NULL, &err), err);
            CHECK_OK(pgk_job_graphs_start(store, NULL, &err), err);
            CHECK_OK(pgk_job_graphs_put(store, &job, "g", 1, &err), err);
            CHECK_OK(pgk_job_graphs_stop(store, &err), err);
            CHECK_OK(pgk_job_graphs_stop(store, &err), err);
        }
    }
    /* Started anew it owns nothing; the data has stayed. */
    CHECK_OK(pgk_job_graphs_start(store, NULL, &err), err);
    assert_int_equal(pgk_job_graphs_put(store, &job, "h", 1, &err), PGK_ERR_ALREADY_EXISTS);
    CHECK_OK(pgk_ha_close(ha, &err), err);
    assert_int_equal(pgk_job_graphs_put(store, &job, "h", 1, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_job_graphs_start(store, NULL, &err), PGK_ERR_ILLEGAL_STATE);
    CHECK_OK(pgk_job_graphs_stop(store, &err), err);
    pgk_ha_free(ha);
    pgk_job_graphs_free(store);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 1);
}

static void test_job_graphs__bad_arguments__status_and_nothing_written(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = NULL;
    pgk_job_graph *graph = NULL;
    pgk_uuid *ids = NULL;
    size_t count;
    pgk_uuid job = job_number(1);
    pgk_token token = *PGK_UNFENCED;
    pgk_job_graph_listener listener = {.size = sizeof(listener)};
    pgk_error err;

    assert_int_equal(pgk_ha_job_graphs(NULL, PGK_UNFENCED, &store, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_job_graphs(ha, NULL, &store, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_job_graphs(ha, &token, &store, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "PGK_UNFENCED"));
    assert_int_equal(pgk_ha_job_graphs(ha, PGK_UNFENCED, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_null(store);
    store = shelf_open(ha, PGK_UNFENCED, NULL);
    CHECK_OK(pgk_job_graphs_stop(store, &err), err);
    assert_int_equal(pgk_job_graphs_start(store, &listener, &err), PGK_ERR_INVALID_ARGUMENT);
    listener.size = 1;
    assert_int_equal(pgk_job_graphs_start(store, &listener, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_start(NULL, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    CHECK_OK(pgk_job_graphs_start(store, NULL, &err), err);
    assert_int_equal(pgk_job_graphs_put(store, NULL, "g", 1, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_put(store, &job, NULL, 1, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_put(store, &job, "g", 0, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_put(store, &job, "g", PGK_GRAPH_MAX_BYTES + 1, &err),
                     PGK_ERR_TOO_LARGE);
    assert_int_equal(pgk_job_graphs_put_requirements(store, &job, "g", 0, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(
        pgk_job_graphs_put_requirements(store, &job, "g", PGK_GRAPH_MAX_BYTES + 1, &err),
        PGK_ERR_TOO_LARGE);
    assert_int_equal(pgk_job_graphs_recover(store, NULL, &graph, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_recover(store, &job, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_recover_all(store, NULL, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_list(store, NULL, &count, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_list(store, &ids, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_release(store, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_remove(store, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_job_graphs_remove(NULL, &job, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    pgk_job_graphs_free(NULL);
    pgk_job_graph_free(NULL);
    pgk_job_ids_free(NULL);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

static void test_job_graphs__put__new_replaced_and_not_owned(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *a = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_job_graphs *b = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_uuid job = job_number(1);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(a, &job, "one", 3, &err), err);
    CHECK_OK(pgk_job_graphs_put_requirements(a, &job, "cpu", 3, &err), err);
    CHECK_OK(pgk_job_graphs_put(a, &job, "two", 3, &err), err);
    assert_int_equal(pgk_job_graphs_put(b, &job, "three", 5, &err), PGK_ERR_ALREADY_EXISTS);
    shelf_expect(b, &job, 2, "two", "cpu"); /* and owned now */
    CHECK_OK(pgk_job_graphs_put(b, &job, "three", 5, &err), err);
    /* Changed by somebody else: not overwritten unknowingly. */
    assert_int_equal(pgk_job_graphs_put(a, &job, "four", 4, &err), PGK_ERR_CONFLICT);
    assert_int_equal(pgk_job_graphs_remove(a, &job, &err), PGK_ERR_CONFLICT);
    shelf_expect(a, &job, 3, "three", "cpu");
    CHECK_OK(pgk_job_graphs_put(a, &job, "four", 4, &err), err);
    /* Removed by somebody else: stored as new, without requirements. */
    db_exec(fixture, "DELETE FROM pgkeeper.job_graph");
    CHECK_OK(pgk_job_graphs_put(a, &job, "five", 4, &err), err);
    shelf_expect(a, &job, 1, "five", NULL);
    /* Changed by hand. */
    db_exec(fixture, "UPDATE pgkeeper.job_graph SET graph = 'six', sha256 = sha256('six')");
    assert_int_equal(pgk_job_graphs_put(a, &job, "seven", 5, &err), PGK_ERR_CONFLICT);
    shelf_expect(a, &job, 2, "six", NULL);
    pgk_job_graphs_free(a);
    pgk_job_graphs_free(b);
    pgk_ha_free(ha);
}

static void test_job_graphs__missing__not_found_and_remove_is_fine(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_job_graph *graph = NULL;
    pgk_uuid job = job_number(1);
    pgk_uuid *ids = NULL;
    size_t count = 9;
    pgk_error err;

    assert_int_equal(pgk_job_graphs_recover(store, &job, &graph, &err), PGK_ERR_NOT_FOUND);
    assert_null(graph);
    assert_int_equal(pgk_job_graphs_put_requirements(store, &job, "r", 1, &err), PGK_ERR_NOT_FOUND);
    CHECK_OK(pgk_job_graphs_release(store, &job, &err), err);
    CHECK_OK(pgk_job_graphs_remove(store, &job, &err), err);
    CHECK_OK(pgk_job_graphs_list(store, &ids, &count, &err), err);
    assert_int_equal(count, 0);
    pgk_job_ids_free(ids);
    CHECK_OK(pgk_job_graphs_put(store, &job, "g", 1, &err), err);
    CHECK_OK(pgk_job_graphs_remove(store, &job, &err), err);
    CHECK_OK(pgk_job_graphs_remove(store, &job, &err), err);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

static void test_job_graphs__release__others_may_put_after_recovering(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    pgk_job_graphs *a;
    pgk_job_graphs *b;
    shelf_open_two(ha, &lead, &a, &b);
    pgk_uuid job = job_number(1);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(a, &job, "g", 1, &err), err);
    /* Another live store owns it. */
    assert_int_equal(pgk_job_graphs_remove(b, &job, &err), PGK_ERR_CONFLICT);
    assert_non_null(strstr(err.message, "another live store"));
    CHECK_OK(pgk_job_graphs_release(a, &job, &err), err);
    assert_int_equal(pgk_job_graphs_put(a, &job, "h", 1, &err), PGK_ERR_ALREADY_EXISTS);
    shelf_expect(b, &job, 1, "g", NULL);
    CHECK_OK(pgk_job_graphs_put(b, &job, "h", 1, &err), err);
    assert_int_equal(pgk_job_graphs_remove(a, &job, &err), PGK_ERR_CONFLICT);
    CHECK_OK(pgk_job_graphs_stop(b, &err), err); /* releases all */
    CHECK_OK(pgk_job_graphs_remove(a, &job, &err), err);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_store"), 1);
    pgk_job_graphs_free(a);
    pgk_job_graphs_free(b);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_store"), 0);
    lead_end(&lead);
    pgk_ha_free(ha);
}

static void test_job_graphs__forked_child__refused_and_the_parent_goes_on(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    pgk_uuid job = job_number(1);
    int wait_status;
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(store, &job, "one", 3, &err), err);
    pid_t child = fork();
    if (child == 0) {
        size_t count = 0;
        bool refused =
            pgk_job_graphs_put(store, &job, "two", 3, NULL) == PGK_ERR_ILLEGAL_STATE &&
            pgk_job_graphs_recover_all(store, shelf_count, &count, NULL) == PGK_ERR_ILLEGAL_STATE &&
            pgk_job_graphs_stop(store, NULL) == PGK_ERR_ILLEGAL_STATE &&
            pgk_job_graphs_start(store, NULL, NULL) == PGK_ERR_ILLEGAL_STATE &&
            pgk_ha_recover(ha, NULL, &(pgk_recovery){.size = sizeof(pgk_recovery)}, NULL) ==
                PGK_ERR_ILLEGAL_STATE;
        pgk_job_graphs_free(store);
        pgk_ha_free(ha);
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_int_equal(wait_status, 0);
    CHECK_OK(pgk_job_graphs_put(store, &job, "two", 3, &err), err);
    shelf_expect(store, &job, 2, "two", NULL);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

static void test_job_graphs__bytes__come_back_exactly_in_all_sizes(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    static const size_t sizes[] = {1, 2000, 8192, 1048576, 1048577, 20 * 1048576 + 3};
    pgk_uuid *ids = NULL;
    size_t count;
    pgk_error err;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pgk_uuid job = job_number((int)(i + 1));
        pgk_job_graph *graph = NULL;
        uint8_t *bytes = malloc(sizes[i]);
        assert_non_null(bytes);
        for (size_t at = 0; at < sizes[i]; at++) {
            bytes[at] = (uint8_t)(at * 31 + i);
        }
        CHECK_OK(pgk_job_graphs_put(store, &job, bytes, sizes[i], &err), err);
        CHECK_OK(pgk_job_graphs_put_requirements(store, &job, bytes, sizes[i], &err), err);
        CHECK_OK(pgk_job_graphs_put(store, &job, bytes, sizes[i], &err), err);
        CHECK_OK(pgk_job_graphs_recover(store, &job, &graph, &err), err);
        assert_int_equal(graph->version, 2);
        assert_int_equal(graph->epoch, 0);
        assert_int_equal(graph->graph_bytes, sizes[i]);
        assert_memory_equal(graph->graph, bytes, sizes[i]);
        assert_int_equal(graph->requirements_bytes, sizes[i]);
        assert_memory_equal(graph->requirements, bytes, sizes[i]);
        pgk_job_graph_free(graph);
        free(bytes);
    }
    CHECK_OK(pgk_job_graphs_list(store, &ids, &count, &err), err);
    assert_int_equal(count, sizeof(sizes) / sizeof(sizes[0]));
    for (size_t i = 1; i < count; i++) {
        assert_true(pgk_uuid_compare(&ids[i - 1], &ids[i]) < 0);
    }
    pgk_job_ids_free(ids);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

static void test_job_graphs__deposed__fenced_and_nothing_written(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    lead_begin(&lead, ha);
    pgk_job_graphs *store = shelf_open(ha, &lead.token, NULL);
    pgk_job_graphs *late = NULL;
    pgk_job_graph *graph = NULL;
    pgk_uuid job = job_number(1);
    pgk_uuid other = job_number(2);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(store, &job, "g", 1, &err), err);
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.job_graph"), lead.token.epoch);
    db_exec(fixture, "UPDATE pgkeeper.leadership SET epoch = epoch + 1");
    assert_int_equal(pgk_job_graphs_put(store, &job, "h", 1, &err), PGK_ERR_FENCED);
    assert_string_equal(err.sqlstate, "PK001");
    assert_int_equal(pgk_job_graphs_put(store, &other, "h", 1, &err), PGK_ERR_FENCED);
    assert_int_equal(pgk_job_graphs_put_requirements(store, &job, "h", 1, &err), PGK_ERR_FENCED);
    assert_int_equal(pgk_job_graphs_recover(store, &job, &graph, &err), PGK_ERR_FENCED);
    assert_int_equal(pgk_job_graphs_release(store, &job, &err), PGK_ERR_FENCED);
    assert_int_equal(pgk_job_graphs_remove(store, &job, &err), PGK_ERR_FENCED);
    CHECK_OK(pgk_ha_job_graphs(ha, &lead.token, &late, &err), err);
    assert_int_equal(pgk_job_graphs_start(late, NULL, &err), PGK_ERR_FENCED);
    assert_string_equal(db_text(fixture, "SELECT string_agg(encode(graph, 'escape'), ',') FROM "
                                         "pgkeeper.job_graph"),
                        "g");
    /* The leadership is over here too, at once. */
    assert_int_equal(part_revoked(&lead.part), lead.token.epoch);
    CHECK_OK(pgk_job_graphs_stop(store, &err), err);
    pgk_job_graphs_free(late);
    pgk_job_graphs_free(store);
    lead_end(&lead);
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_job_graphs__not_started_or_stopped__illegal_state),
        DB_TEST(test_job_graphs__bad_arguments__status_and_nothing_written),
        DB_TEST(test_job_graphs__put__new_replaced_and_not_owned),
        DB_TEST(test_job_graphs__missing__not_found_and_remove_is_fine),
        DB_TEST(test_job_graphs__release__others_may_put_after_recovering),
        DB_TEST(test_job_graphs__forked_child__refused_and_the_parent_goes_on),
        DB_TEST(test_job_graphs__bytes__come_back_exactly_in_all_sizes),
        DB_TEST(test_job_graphs__deposed__fenced_and_nothing_written),
    };
    return cmocka_run_group_tests_name("job_graphs", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
