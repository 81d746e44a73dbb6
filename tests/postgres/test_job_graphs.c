/*
 * tests/postgres/test_job_graphs.c - the job graph store, sentence by sentence: states, ownership, versions, bytes,
 * damage, bad arguments. What its listener hears is in test_job_graph_events.c.
 */
#include <pthread.h>
#include <stdio.h>
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
    lead_begin(&lead, ha);
    pgk_job_graphs *a = shelf_open(ha, &lead.token, NULL);
    pgk_job_graphs *b = shelf_open(ha, &lead.token, NULL);
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

static void test_job_graphs__recover_all__owns_all_and_the_damaged_alone_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    lead_begin(&lead, ha);
    pgk_job_graphs *a = shelf_open(ha, &lead.token, NULL);
    pgk_job_graphs *b = shelf_open(ha, &lead.token, NULL);
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
        DB_TEST(test_job_graphs__not_started_or_stopped__illegal_state),
        DB_TEST(test_job_graphs__bad_arguments__status_and_nothing_written),
        DB_TEST(test_job_graphs__put__new_replaced_and_not_owned),
        DB_TEST(test_job_graphs__missing__not_found_and_remove_is_fine),
        DB_TEST(test_job_graphs__release__others_may_put_after_recovering),
        DB_TEST(test_job_graphs__recover_all__owns_all_and_the_damaged_alone_is_corrupt),
        DB_TEST(test_job_graphs__callback_that_refuses__ends_it_and_other_stores_work),
        DB_TEST(test_job_graphs__recover_all_that_fails__owns_nothing_by_it),
        DB_TEST(test_job_graphs__deposed_while_it_recovers__holds_up_nobody),
        DB_TEST(test_job_graphs__forked_child__refused_and_the_parent_goes_on),
        DB_TEST(test_job_graphs__handle_closed_inside_a_recovery__ends_and_does_not_hang),
        DB_TEST(test_job_graphs__bytes__come_back_exactly_in_all_sizes),
        DB_TEST(test_job_graphs__deposed__fenced_and_nothing_written),
        DB_TEST(test_job_graphs__two_stores_and_many_threads__only_what_the_contract_allows),
        DB_TEST(test_job_graphs__stores_of_several_processes__only_what_the_contract_allows),
        DB_TEST(test_job_graphs__more_threads_than_sessions__each_put_has_its_own_answer),
    };
    return cmocka_run_group_tests_name("job_graphs", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
