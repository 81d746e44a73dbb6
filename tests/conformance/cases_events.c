/* tests/conformance/cases_events.c - contract 4, what the listener of a job graph store hears of others, and what not. */
#include "suite.h"

struct pair {
    pgk_ha *ha;
    pgk_ha *other_ha;
    struct ear *ear;
    pgk_job_graphs *store; /* listens */
    pgk_job_graphs *other;
};

static struct pair open_pair(struct scene *s)
{
    struct pair p = {.ha = scene_open_with(s, "retrieval.poll-interval", "100 ms", NULL),
                     .other_ha = scene_open(s),
                     .ear = scene_ear(s)};
    p.store = scene_graphs_listening(s, p.ha, PGK_UNFENCED, p.ear);
    p.other = scene_graphs(s, p.other_ha, PGK_UNFENCED);
    return p;
}

/* Something else happens and is heard: all that was before it would have been. */
static void hear_the_last(struct scene *s, struct pair *p)
{
    pgk_uuid job = job_of(999);
    put_graph(s, p->other, 999, "last");
    EAR_WAIT(p->ear, true, &job, 1);
    scene_quiet(s);
}

static void bad_listener__invalid_argument(struct scene *s)
{
    pgk_job_graphs *store = NULL;
    struct ear *ear = scene_ear(s);
    pgk_job_graph_listener listener = {.size = sizeof(listener)};
    WORKS(s, pgk_ha_job_graphs(scene_open(s), PGK_UNFENCED, &store, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_start(store, &listener, &s->err));
    listener = ear_open(ear);
    listener.removed = NULL;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_start(store, &listener, &s->err));
    listener = ear_open(ear);
    listener.size = 1;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_start(store, &listener, &s->err));
    pgk_job_graphs_free(store);
}

static void put_by_another__added(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid job = job_of(1);
    put_graph(s, p.other, 1, "graph");
    EAR_WAIT(p.ear, true, &job, 1);
    assert_int_equal(ear_count(p.ear, false, &job), 0);
}

static void there_before_start__added_once(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct ear *ear = scene_ear(s);
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 1, "graph");
    scene_graphs_listening(s, scene_open(s), PGK_UNFENCED, ear);
    EAR_WAIT(ear, true, &job, 1);
    scene_quiet(s);
    assert_int_equal(ear_total(ear), 1);
}

static void owned_and_removed_by_another__removed(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid job = job_of(1);
    put_graph(s, p.store, 1, "graph");
    WORKS(s, pgk_job_graphs_remove(p.other, &job, &s->err));
    EAR_WAIT(p.ear, false, &job, 1);
    assert_int_equal(ear_count(p.ear, true, &job), 0);
}

static void recovered_and_removed_by_another__removed(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid job = job_of(1);
    put_graph(s, p.other, 1, "graph");
    EAR_WAIT(p.ear, true, &job, 1);
    assert_string_equal(graph_text(s, p.store, 1), "graph");
    WORKS(s, pgk_job_graphs_remove(p.other, &job, &s->err));
    EAR_WAIT(p.ear, false, &job, 1);
}

static void not_owned_and_removed__not_told_and_added_again(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid job = job_of(1);
    put_graph(s, p.other, 1, "graph");
    EAR_WAIT(p.ear, true, &job, 1);
    WORKS(s, pgk_job_graphs_remove(p.other, &job, &s->err));
    hear_the_last(s, &p);
    put_graph(s, p.other, 1, "again");
    EAR_WAIT(p.ear, true, &job, 2);
    assert_int_equal(ear_count(p.ear, false, &job), 0);
}

static void own_acts__not_told(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    put_graph(s, p.store, 1, "graph");
    put_graph(s, p.store, 1, "again");
    put_graph(s, p.store, 2, "graph");
    WORKS(s, pgk_job_graphs_remove(p.store, &one, &s->err));
    WORKS(s, pgk_job_graphs_release(p.store, &two, &s->err));
    hear_the_last(s, &p);
    assert_int_equal(ear_total(p.ear), 1);
}

static void replaced_by_another__not_told(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid job = job_of(1);
    put_graph(s, p.other, 1, "one");
    EAR_WAIT(p.ear, true, &job, 1);
    put_graph(s, p.other, 1, "two");
    put_graph(s, p.other, 1, "three");
    hear_the_last(s, &p);
    assert_int_equal(ear_count(p.ear, true, &job), 1);
    assert_int_equal(ear_total(p.ear), 2);
}

static void another_store_of_the_same_handle__is_another(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid job = job_of(1);
    put_graph(s, scene_graphs(s, p.ha, PGK_UNFENCED), 1, "graph");
    EAR_WAIT(p.ear, true, &job, 1);
}

static void two_listeners__each_hears_the_other(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    struct ear *ear = scene_ear(s);
    pgk_job_graphs *second = scene_graphs_listening(s, p.other_ha, PGK_UNFENCED, ear);
    put_graph(s, p.store, 1, "graph");
    put_graph(s, second, 2, "graph");
    EAR_WAIT(ear, true, &one, 1);
    EAR_WAIT(p.ear, true, &two, 1);
    assert_int_equal(ear_total(ear), 1);
    assert_int_equal(ear_total(p.ear), 1);
}

static void hundred_by_another__each_is_told(struct scene *s)
{
    struct pair p = open_pair(s);
    for (int i = 0; i < 100; i++) {
        put_graph(s, p.other, i, "graph");
    }
    for (int i = 0; i < 100; i++) {
        pgk_uuid job = job_of(i);
        EAR_WAIT(p.ear, true, &job, 1);
        assert_int_equal(ear_count(p.ear, false, &job), 0);
    }
}

static void own_writes_beside_others__only_theirs_are_told(struct scene *s)
{
    struct pair p = open_pair(s);
    for (int i = 0; i < 40; i++) {
        pgk_uuid own = job_of(1000 + i % 5);
        put_graph(s, p.store, 1000 + i % 5, "own");
        put_graph(s, p.other, i, "theirs");
        WORKS(s, pgk_job_graphs_remove(p.store, &own, &s->err));
    }
    for (int i = 0; i < 40; i++) {
        pgk_uuid theirs = job_of(i);
        EAR_WAIT(p.ear, true, &theirs, 1);
    }
    for (int i = 0; i < 5; i++) {
        pgk_uuid own = job_of(1000 + i);
        assert_int_equal(ear_count(p.ear, true, &own) + ear_count(p.ear, false, &own), 0);
    }
}

static void stopped__nothing_more_is_told(struct scene *s)
{
    struct pair p = open_pair(s);
    struct ear *ear = scene_ear(s);
    pgk_uuid job = job_of(1);
    scene_graphs_listening(s, p.ha, PGK_UNFENCED, ear);
    WORKS(s, pgk_job_graphs_stop(p.store, &s->err));
    put_graph(s, p.other, 1, "graph");
    EAR_WAIT(ear, true, &job, 1);
    scene_quiet(s);
    assert_int_equal(ear_total(p.ear), 0);
}

static void stop_inside(struct ear *ear, const pgk_uuid *job_id)
{
    (void)job_id;
    if (pgk_job_graphs_stop(ear->user, NULL) != PGK_OK) {
        abort();
    }
}

static void stopped_inside_its_callback__nothing_more_is_told(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_job_graph_listener listener;
    WORKS(s, pgk_job_graphs_stop(p.store, &s->err));
    for (int i = 0; i < 5; i++) {
        put_graph(s, p.other, i, "graph");
    }
    listener = ear_open(p.ear);
    p.ear->hook = stop_inside;
    p.ear->user = p.store;
    WORKS(s, pgk_job_graphs_start(p.store, &listener, &s->err));
    WAIT_UNTIL(ear_total(p.ear) >= 1, WAIT_LONG_MS);
    scene_quiet(s);
    assert_int_equal(ear_total(p.ear), 1);
}

static void started_twice__the_first_listener_stays(struct scene *s)
{
    struct pair p = open_pair(s);
    struct ear *ear = scene_ear(s);
    pgk_uuid job = job_of(1);
    pgk_job_graph_listener listener = ear_open(ear);
    WORKS(s, pgk_job_graphs_start(p.store, &listener, &s->err));
    put_graph(s, p.other, 1, "graph");
    EAR_WAIT(p.ear, true, &job, 1);
    scene_quiet(s);
    assert_int_equal(ear_total(ear), 0);
}

static void job_ended_by_this_process__not_told(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid two = job_of(2);
    pgk_job_result result = result_of(1);
    put_graph(s, p.store, 1, "graph");
    put_graph(s, p.store, 2, "graph");
    WORKS(s, pgk_job_results_finish_job(scene_results(s, p.ha, PGK_UNFENCED), &result, &s->err));
    WORKS(s, pgk_ha_cleanup_job(p.ha, PGK_UNFENCED, &two, NULL, &s->err));
    hear_the_last(s, &p);
    assert_int_equal(ear_total(p.ear), 1);
    assert_string_equal(graph_text(s, p.other, 1), "-");
    assert_string_equal(graph_text(s, p.other, 2), "-");
}

static void job_ended_by_another_process__the_owner_is_told(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_job_result result = result_of(1);
    put_graph(s, p.store, 1, "graph");
    put_graph(s, p.store, 2, "graph");
    WORKS(s,
          pgk_job_results_finish_job(scene_results(s, p.other_ha, PGK_UNFENCED), &result, &s->err));
    WORKS(s, pgk_ha_cleanup_job(p.other_ha, PGK_UNFENCED, &two, NULL, &s->err));
    EAR_WAIT(p.ear, false, &one, 1);
    EAR_WAIT(p.ear, false, &two, 1);
}

static void dispatch_manual__told_where_dispatched(struct scene *s)
{
    struct ear *ear = scene_ear(s);
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open_with(s, "dispatch", "manual", NULL);
    scene_graphs_listening(s, ha, PGK_UNFENCED, ear);
    put_graph(s, scene_graphs(s, scene_open(s), PGK_UNFENCED), 1, "graph");
    scene_quiet(s);
    assert_int_equal(ear_total(ear), 0);
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
         ear_total(ear) == 0 && wait_now_ns() < end; wait_pause_ms(2)) {
        WORKS(s, pgk_ha_dispatch(ha, &s->err));
    }
    assert_int_equal(ear_count(ear, true, &job), 1);
}

static void another_cluster__not_told(struct scene *s)
{
    struct pair p = open_pair(s);
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    put_graph(s, scene_graphs(s, far, PGK_UNFENCED), 1, "graph");
    hear_the_last(s, &p);
    assert_int_equal(ear_total(p.ear), 1);
}

static void without__nothing_is_told(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct ear *ear = scene_ear(s);
    scene_graphs_listening(s, ha, PGK_UNFENCED, ear);
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 1, "graph");
    scene_quiet(s);
    assert_int_equal(ear_total(ear), 0);
}

#define TOLD (BIT(GRAPHS) | BIT(SHARES))

static const struct conformance_case cases[] = {
    CASE(bad_listener__invalid_argument),
    CASE_NEEDS(put_by_another__added, TOLD),
    CASE_NEEDS(there_before_start__added_once, TOLD),
    CASE_NEEDS(owned_and_removed_by_another__removed, TOLD),
    CASE_NEEDS(recovered_and_removed_by_another__removed, TOLD),
    CASE_NEEDS(not_owned_and_removed__not_told_and_added_again, TOLD),
    CASE_NEEDS(own_acts__not_told, TOLD),
    CASE_NEEDS(replaced_by_another__not_told, TOLD),
    CASE_NEEDS(another_store_of_the_same_handle__is_another, TOLD),
    CASE_NEEDS(two_listeners__each_hears_the_other, TOLD),
    CASE_NEEDS(hundred_by_another__each_is_told, TOLD),
    CASE_NEEDS(own_writes_beside_others__only_theirs_are_told, TOLD),
    CASE_NEEDS(stopped__nothing_more_is_told, TOLD),
    CASE_NEEDS(stopped_inside_its_callback__nothing_more_is_told, TOLD),
    CASE_NEEDS(started_twice__the_first_listener_stays, TOLD),
    CASE_NEEDS(job_ended_by_this_process__not_told, TOLD),
    CASE_NEEDS(job_ended_by_another_process__the_owner_is_told, TOLD),
    CASE_NEEDS(dispatch_manual__told_where_dispatched, TOLD),
    CASE_NEEDS(another_cluster__not_told, TOLD),
    CASE_WITHOUT(without__nothing_is_told, GRAPHS),
};
AREA(events, cases);
