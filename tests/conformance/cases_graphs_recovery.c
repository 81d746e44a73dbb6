/* tests/conformance/cases_graphs_recovery.c - contract 4, the job graph store: recovering one and all, lists. */
#include "suite.h"

static void recover_missing__not_found(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graph *graph = NULL;
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_job_graphs_recover(store, &job, &graph, &s->err));
    assert_null(graph);
}

static void recovered__outlives_its_removal(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graph *graph = NULL;
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    WORKS(s, pgk_job_graphs_recover(store, &job, &graph, &s->err));
    WORKS(s, pgk_job_graphs_remove(store, &job, &s->err));
    assert_int_equal(graph->graph_bytes, 5);
    assert_memory_equal(graph->graph, "graph", 5);
    pgk_job_graph_free(graph);
}

static void list__ids_ascending(struct scene *s)
{
    static const int jobs[] = {300, 2, 40, 1};
    pgk_uuid *ids = NULL;
    size_t count = 9;
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_list(store, &ids, &count, &s->err));
    assert_int_equal(count, 0);
    pgk_job_ids_free(ids);
    for (size_t i = 0; i < 4; i++) {
        put_graph(s, store, jobs[i], "graph");
    }
    WORKS(s, pgk_job_graphs_list(store, &ids, &count, &s->err));
    assert_int_equal(count, 4);
    static const int sorted[] = {1, 2, 40, 300};
    for (size_t i = 0; i < 4; i++) {
        pgk_uuid id = job_of(sorted[i]);
        assert_int_equal(pgk_uuid_compare(&ids[i], &id), 0);
    }
    pgk_job_ids_free(ids);
}

static void list__owns_nothing(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_uuid *ids = NULL;
    size_t count = 0;
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 1, "graph");
    pgk_job_graphs *other = scene_graphs(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_list(other, &ids, &count, &s->err));
    pgk_job_ids_free(ids);
    assert_int_equal(count, 1);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(other, &job, "x", 1, &s->err));
}

static void recover_all__each_once_and_owned(struct scene *s)
{
    struct graph_tally tally = {0};
    pgk_ha *ha = scene_open(s);
    pgk_job_graphs *owner;
    pgk_job_graphs *other;
    scene_two_graphs(s, ha, PGK_UNFENCED, &owner, &other);
    for (int i = 0; i < 50; i++) {
        put_graph(s, owner, i, "graph");
    }
    WORKS(s, pgk_job_graphs_recover_all(other, tally_graph, &tally, &s->err));
    assert_int_equal(tally.calls, 50);
    for (int i = 0; i < 50; i++) {
        assert_true(tally.seen[i]);
    }
    put_graph(s, other, 0, "new");
    put_graph(s, other, 49, "new");
}

static void recover_all_of_none__fine(struct scene *s)
{
    struct graph_tally tally = {0};
    WORKS(s, pgk_job_graphs_recover_all(scene_graphs(s, scene_open(s), PGK_UNFENCED), tally_graph,
                                        &tally, &s->err));
    assert_int_equal(tally.calls, 0);
}

static void recover_all_that_is_refused__ends_and_owns_nothing(struct scene *s)
{
    struct graph_tally tally = {.refuse_at = 2};
    pgk_ha *ha = scene_open(s);
    pgk_job_graphs *owner;
    pgk_job_graphs *other;
    scene_two_graphs(s, ha, PGK_UNFENCED, &owner, &other);
    for (int i = 0; i < 3; i++) {
        put_graph(s, owner, i, "graph");
    }
    FAILS(s, PGK_ERR_IO, pgk_job_graphs_recover_all(other, tally_graph, &tally, &s->err));
    assert_int_equal(tally.calls, 2);
    for (int i = 0; i < 3; i++) {
        pgk_uuid job = job_of(i);
        FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(other, &job, "x", 1, &s->err));
    }
}

struct recursion {
    pgk_job_graphs *other;
    pgk_status status;
};

static pgk_status put_inside(void *user, const pgk_job_graph *graph)
{
    struct recursion *recursion = user;
    recursion->status = pgk_job_graphs_put(recursion->other, &graph->job_id, "inside", 6, NULL);
    return PGK_OK;
}

static void in_recover_all__another_store_works(struct scene *s)
{
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    struct recursion recursion = {.other = scene_graphs(s, far, PGK_UNFENCED),
                                  .status = PGK_ERR_INTERNAL};
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    WORKS(s, pgk_job_graphs_recover_all(store, put_inside, &recursion, &s->err));
    assert_int_equal(recursion.status, PGK_OK);
    assert_string_equal(graph_text(s, recursion.other, 1), "inside");
}

/* The callback may not call its own store: another thread does. */
struct meddler {
    pgk_job_graphs *store;
    pgk_status (*act)(pgk_job_graphs *store);
    int calls;
    pgk_status status;
};

static void *meddle(void *arg)
{
    struct meddler *meddler = arg;
    meddler->status = meddler->act(meddler->store);
    return NULL;
}

static pgk_status meddle_at_first(void *user, const pgk_job_graph *graph)
{
    struct meddler *meddler = user;
    pthread_t thread;
    (void)graph;
    if (meddler->calls++ == 0 && pthread_create(&thread, NULL, meddle, meddler) == 0) {
        pthread_join(thread, NULL);
    }
    return PGK_OK;
}

static pgk_status release_both(pgk_job_graphs *store)
{
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_status status = pgk_job_graphs_release(store, &one, NULL);
    return status == PGK_OK ? pgk_job_graphs_release(store, &two, NULL) : status;
}

static void released_while_all_are_recovered__stays_released(struct scene *s)
{
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    struct meddler meddler = {.store = store, .act = release_both, .status = PGK_ERR_INTERNAL};
    put_graph(s, store, 1, "graph");
    put_graph(s, store, 2, "graph");
    WORKS(s, pgk_job_graphs_recover_all(store, meddle_at_first, &meddler, &s->err));
    assert_int_equal(meddler.status, PGK_OK);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(store, &one, "x", 1, &s->err));
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(store, &two, "x", 1, &s->err));
}

static pgk_status stop_it(pgk_job_graphs *store)
{
    return pgk_job_graphs_stop(store, NULL);
}

static void stopped_while_all_are_recovered__ends_both(struct scene *s)
{
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    struct meddler meddler = {.store = store, .act = stop_it, .status = PGK_ERR_INTERNAL};
    for (int i = 1; i <= 3; i++) {
        put_graph(s, store, i, "graph");
    }
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_job_graphs_recover_all(store, meddle_at_first, &meddler, &s->err));
    assert_int_equal(meddler.status, PGK_OK);
}

#define STORED BIT(GRAPHS)

static const struct conformance_case cases[] = {
    CASE(recover_missing__not_found),
    CASE_NEEDS(recovered__outlives_its_removal, STORED),
    CASE_NEEDS(list__ids_ascending, STORED),
    CASE_NEEDS(list__owns_nothing, STORED),
    CASE_NEEDS(recover_all__each_once_and_owned, STORED),
    CASE(recover_all_of_none__fine),
    CASE_NEEDS(recover_all_that_is_refused__ends_and_owns_nothing, STORED),
    CASE_NEEDS(in_recover_all__another_store_works, STORED),
    CASE_NEEDS(released_while_all_are_recovered__stays_released, STORED),
    CASE_NEEDS(stopped_while_all_are_recovered__ends_both, STORED),
};
AREA_PART(graphs, recovery, cases);
