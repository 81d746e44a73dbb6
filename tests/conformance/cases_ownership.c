/* tests/conformance/cases_ownership.c - contract 4, the job graph store: releasing and removing, whose a graph is. */
#include "suite.h"

#define STORED BIT(GRAPHS)

static void release__ownership_goes_and_the_data_stays(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    WORKS(s, pgk_job_graphs_release(store, &job, &s->err));
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(store, &job, "x", 1, &s->err));
    assert_string_equal(graph_text(s, store, 1), "graph");
}

static void release_not_owned_or_missing__fine(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_release(store, &job, &s->err));
    WORKS(s, pgk_job_graphs_release(store, &job, &s->err));
}

static void remove__gone_and_again_is_fine(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    put_graph(s, store, 2, "other");
    WORKS(s, pgk_job_graphs_remove(store, &job, &s->err));
    WORKS(s, pgk_job_graphs_remove(store, &job, &s->err));
    assert_string_equal(graph_text(s, store, 1), "-");
    assert_string_equal(graph_text(s, store, 2), "other");
}

static void remove_owned_but_changed_since__conflict(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *a;
    pgk_job_graphs *b;
    scene_changed_graph(s, &a, &b);
    FAILS(s, PGK_ERR_CONFLICT, pgk_job_graphs_remove(a, &job, &s->err));
    assert_string_equal(graph_text(s, b, 1), "two");
}

/* Two stores of a leader: `other` may not remove job 1, which `owner` has put. */
static void put_by_a_leader(struct scene *s, pgk_job_graphs **ret_owner, pgk_job_graphs **ret_other)
{
    pgk_token token;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, &token);
    scene_two_graphs(s, ha, &token, ret_owner, ret_other);
    put_graph(s, *ret_owner, 1, "graph");
    FAILS(s, PGK_ERR_CONFLICT, pgk_job_graphs_remove(*ret_other, &job, &s->err));
}

static void remove_owned_by_another_live_store__conflict_until_released(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *owner;
    pgk_job_graphs *other;
    put_by_a_leader(s, &owner, &other);
    WORKS(s, pgk_job_graphs_release(owner, &job, &s->err));
    WORKS(s, pgk_job_graphs_remove(other, &job, &s->err));
}

static void remove_owned_by_a_store_that_stopped__gone(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *owner;
    pgk_job_graphs *other;
    put_by_a_leader(s, &owner, &other);
    WORKS(s, pgk_job_graphs_stop(owner, &s->err));
    WORKS(s, pgk_job_graphs_remove(other, &job, &s->err));
}

static void remove_owned_by_a_deposed_leader__gone(struct scene *s)
{
    pgk_token old;
    pgk_token now;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &old);
    put_graph(s, scene_graphs(s, ha, &old), 1, "graph");
    scene_depose_once(s, part);
    WORKS(s, pgk_election_token(part->election, &now, &s->err));
    WORKS(s, pgk_job_graphs_remove(scene_graphs(s, ha, &now), &job, &s->err));
}

static void remove_owned_by_an_unfenced_store__it_is_not_live_to_others(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 1, "graph");
    WORKS(s, pgk_job_graphs_remove(scene_graphs(s, ha, PGK_UNFENCED), &job, &s->err));
}

static const struct conformance_case cases[] = {
    CASE_NEEDS(release__ownership_goes_and_the_data_stays, STORED),
    CASE(release_not_owned_or_missing__fine),
    CASE_NEEDS(remove__gone_and_again_is_fine, STORED),
    CASE_NEEDS(remove_owned_but_changed_since__conflict, STORED),
    CASE_NEEDS(remove_owned_by_another_live_store__conflict_until_released, STORED),
    CASE_NEEDS(remove_owned_by_a_store_that_stopped__gone, STORED),
    CASE_NEEDS(remove_owned_by_a_deposed_leader__gone, STORED | BIT(ELECTS)),
    CASE_NEEDS(remove_owned_by_an_unfenced_store__it_is_not_live_to_others, STORED),
};
AREA(ownership, cases);
