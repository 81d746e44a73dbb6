/* tests/conformance/cases_cleanup.c - contract 1, cleaning up one job, or all of a cluster id; and closing with it. */
#include "suite.h"

/* All stores of a handle, and something of jobs 1 and 2 in each but that job 2 has no checkpoints. */
struct full {
    pgk_job_graphs *graphs;
    pgk_job_results *results;
    pgk_job_registry *registry;
    pgk_checkpoints *checkpoints;
    pgk_checkpoint_counter *counter;
};

static struct full open_full(struct scene *s, pgk_ha *ha)
{
    return (struct full){.graphs = scene_graphs(s, ha, PGK_UNFENCED),
                         .results = scene_results(s, ha, PGK_UNFENCED),
                         .registry = scene_registry(s, ha, PGK_UNFENCED),
                         .checkpoints = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL),
                         .counter = scene_counter(s, ha, PGK_UNFENCED)};
}

static struct full fill(struct scene *s, pgk_ha *ha)
{
    struct full f = open_full(s, ha);
    int64_t value;
    for (int job = 1; job <= 2; job++) {
        pgk_uuid id = job_of(job);
        pgk_job_result result = result_of(job);
        put_graph(s, f.graphs, job, "graph");
        WORKS(s, pgk_job_registry_set_running(f.registry, &id, &s->err));
        WORKS(s, pgk_job_results_create_dirty(f.results, &result, &s->err));
    }
    for (int i = 0; i < 3; i++) {
        WORKS(s, pgk_checkpoint_counter_get_and_increment(f.counter, &value, &s->err));
        add_checkpoint(s, f.checkpoints, value, PGK_CHECKPOINT);
    }
    return f;
}

static pgk_status ignore_checkpoint(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    (void)checkpoint;
    return PGK_ERR_IO;
}

/* How many entries are discarding in the cluster. */
static int64_t discarding(struct scene *s, pgk_ha *ha)
{
    int64_t left = -1;
    WORKS(s,
          pgk_ha_discard_pending(ha, PGK_UNFENCED, NULL, ignore_checkpoint, NULL, &left, &s->err));
    return left;
}

static void one_job__every_trace_but_its_result(struct scene *s)
{
    pgk_uuid job = job_of(1);
    int64_t dropped = -1;
    pgk_ha *ha = scene_open(s);
    struct full f = fill(s, ha);
    assert_int_equal(discarding(s, ha), 2);
    WORKS(s, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &job, &dropped, &s->err));
    assert_int_equal(dropped, 2);
    assert_int_equal(discarding(s, ha), 0);
    assert_string_equal(checkpoints_text(s, open_full(s, ha).checkpoints), "");
    assert_int_equal(counter_next(s, f.counter), 1);
    assert_int_equal(registry_status(s, f.registry, 1), PGK_SCHEDULING_PENDING);
    assert_string_equal(results_text(s, f.results), "1 2");
    assert_int_equal(registry_status(s, f.registry, 2), PGK_SCHEDULING_RUNNING);
}

static void one_job__its_graph_whoever_owns_it(struct scene *s)
{
    pgk_token token;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, &token);
    pgk_job_graphs *owner = scene_graphs(s, ha, &token);
    put_graph(s, owner, 1, "graph");
    put_graph(s, owner, 2, "other");
    WORKS(s, pgk_job_graphs_put_requirements(owner, &job, "cpu", 3, &s->err));
    WORKS(s, pgk_ha_cleanup_job(ha, &token, &job, NULL, &s->err));
    assert_string_equal(graph_text(s, owner, 1), "-");
    assert_string_equal(graph_text(s, owner, 2), "other");
}

static void one_job__its_blobs(struct scene *s)
{
    pgk_blob_key mine;
    pgk_blob_key others;
    pgk_blob_key nobodys;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    pgk_blobs *blobs = scene_blobs(s, ha, PGK_UNFENCED);
    put_blob(s, blobs, 1, "mine", &mine);
    put_blob(s, blobs, 2, "other's", &others);
    put_blob(s, blobs, 0, "nobody's", &nobodys);
    WORKS(s, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &job, NULL, &s->err));
    assert_false(blob_exists(s, blobs, 1, &mine));
    assert_true(blob_exists(s, blobs, 2, &others));
    assert_true(blob_exists(s, blobs, 0, &nobodys));
}

static void one_job__again_or_unknown_is_fine(struct scene *s)
{
    pgk_uuid one = job_of(1);
    pgk_uuid nobody = job_of(77);
    int64_t dropped = -1;
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &nobody, &dropped, &s->err));
    assert_int_equal(dropped, 0);
    WORKS(s, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &one, NULL, &s->err));
    WORKS(s, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &one, &dropped, &s->err));
    assert_int_equal(dropped, 0);
}

static void one_job__the_address_of_its_master(struct scene *s)
{
    char component[PGK_JOB_COMPONENT_SIZE];
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    pgk_component_of_job(&job, component);
    struct part *master = scene_contend(s, ha, component);
    struct part *dispatcher = scene_lead(s, ha, NULL);
    part_granted(master);
    part_confirm(master, "master");
    part_confirm(dispatcher, "dispatcher");
    struct part *follower = scene_follow(s, scene_client(s), component);
    part_hears(follower, "master");
    WORKS(s, pgk_election_close(master->election, &s->err)); /* the job is over */
    WORKS(s, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &job, NULL, &s->err));
    part_hears(follower, NULL);
    part_hears(scene_follow(s, scene_client(s), "dispatcher"), "dispatcher");
}

static void all__this_cluster_and_no_other(struct scene *s)
{
    int64_t removed = -1;
    pgk_ha *ha = scene_open(s);
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    struct full f = fill(s, ha);
    struct full there = fill(s, far);
    WORKS(s, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &s->err));
    assert_true(removed >= 2 + 2 + 3 + 1); /* results, registry, checkpoints, counter */
    assert_string_equal(results_text(s, f.results), "");
    assert_int_equal(registry_status(s, f.registry, 1), PGK_SCHEDULING_PENDING);
    assert_int_equal(registry_status(s, f.registry, 2), PGK_SCHEDULING_PENDING);
    assert_string_equal(checkpoints_text(s, open_full(s, ha).checkpoints), "");
    assert_int_equal(discarding(s, ha), 0);
    assert_int_equal(counter_next(s, f.counter), 1);
    assert_string_equal(results_text(s, there.results), "1 2");
    assert_string_equal(checkpoints_text(s, there.checkpoints), "3");
    assert_int_equal(counter_next(s, there.counter), 4);
}

static void all__graphs_and_blobs_too(struct scene *s)
{
    pgk_uuid *ids = NULL;
    size_t count = 9;
    pgk_blob_key key;
    pgk_ha *ha = scene_open(s);
    struct full f = fill(s, ha);
    pgk_blobs *blobs = scene_blobs(s, ha, PGK_UNFENCED);
    put_blob(s, blobs, 1, "jar", &key);
    WORKS(s, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
    WORKS(s, pgk_job_graphs_list(f.graphs, &ids, &count, &s->err));
    pgk_job_ids_free(ids);
    assert_int_equal(count, 0);
    assert_false(blob_exists(s, blobs, 1, &key));
}

static void all_twice__nothing_is_left_to_remove(struct scene *s)
{
    int64_t removed = -1;
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
    WORKS(s, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &s->err));
    assert_int_equal(removed, 0);
}

static void all__the_leader_goes_on_leading(struct scene *s)
{
    pgk_token token;
    pgk_leader found;
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    part_confirm(part, "a");
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    part_hears(follower, "a");
    WORKS(s, pgk_ha_cleanup_all(ha, &token, NULL, &s->err));
    assert_true(part_leads(part));
    WORKS(s, pgk_retriever_get(follower->retriever, &found, &s->err));
    pgk_job_registry *registry = scene_registry(s, ha, &token);
    WORKS(s, pgk_job_registry_set_running(registry, &(pgk_uuid){{1}}, &s->err));
    scene_depose_once(s, part);
    assert_true(part->epoch > token.epoch);
}

static void all__former_tokens_stay_of_the_past(struct scene *s)
{
    pgk_token token;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    WORKS(s, pgk_election_close(part->election, &s->err));
    WORKS(s, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
    struct part *next = scene_lead(s, ha, NULL);
    assert_true(next->epoch > token.epoch);
    FAILS(s, PGK_ERR_FENCED,
          pgk_job_registry_set_running(scene_registry(s, ha, &token), &job, &s->err));
}

static void close_without__everything_stays(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_ha *other = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_close_with_optional_cleanup(ha, false, NULL, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
    assert_string_equal(results_text(s, scene_results(s, other, PGK_UNFENCED)), "1 2");
}

static void close_with__everything_goes(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_ha *other = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_close_with_optional_cleanup(ha, true, PGK_UNFENCED, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
    assert_string_equal(results_text(s, scene_results(s, other, PGK_UNFENCED)), "");
}

static void close_with_one_that_fails__closes_all_the_same(struct scene *s)
{
    pgk_token token;
    pgk_ha *ha = scene_open(s);
    pgk_ha *other = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    scene_depose_once(s, part);
    fill(s, ha);
    FAILS(s, PGK_ERR_FENCED, pgk_ha_close_with_optional_cleanup(ha, true, &token, &s->err));
    assert_int_equal(part_count(part, "grant"), part_count(part, "revoke"));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
    assert_string_equal(results_text(s, scene_results(s, other, PGK_UNFENCED)), "1 2");
}

static void close_with_no_token__closes_and_says_so(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_close_with_optional_cleanup(ha, true, NULL, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &s->err));
}

static void bad_arguments__refused_and_nothing_goes(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct full f = fill(s, ha);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_job(NULL, PGK_UNFENCED, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_job(ha, NULL, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_job(ha, PGK_UNFENCED, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_all(NULL, PGK_UNFENCED, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_all(ha, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_close_with_optional_cleanup(NULL, false, NULL, &s->err));
    assert_string_equal(results_text(s, f.results), "1 2");
    assert_string_equal(checkpoints_text(s, f.checkpoints), "3");
}

static void client_handle__may_not_clean_up(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_ha *client = scene_client(s);
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_cleanup_job(client, PGK_UNFENCED, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_cleanup_all(client, PGK_UNFENCED, NULL, &s->err));
}

#define LED (BIT(ELECTS) | BIT(PUBLISHES) | BIT(SHARES))

static const struct conformance_case cases[] = {
    CASE(one_job__every_trace_but_its_result),
    CASE_NEEDS(one_job__its_graph_whoever_owns_it, BIT(GRAPHS)),
    CASE_NEEDS(one_job__its_blobs, BIT(BLOBS)),
    CASE(one_job__again_or_unknown_is_fine),
    CASE_NEEDS(one_job__the_address_of_its_master, LED),
    CASE(all__this_cluster_and_no_other),
    CASE_NEEDS(all__graphs_and_blobs_too, BIT(GRAPHS) | BIT(BLOBS)),
    CASE(all_twice__nothing_is_left_to_remove),
    CASE_NEEDS(all__the_leader_goes_on_leading, LED),
    CASE_NEEDS(all__former_tokens_stay_of_the_past, BIT(ELECTS) | BIT(FENCES)),
    CASE_NEEDS(close_without__everything_stays, BIT(SHARES)),
    CASE_NEEDS(close_with__everything_goes, BIT(SHARES)),
    CASE_NEEDS(close_with_one_that_fails__closes_all_the_same, BIT(FENCES) | BIT(SHARES)),
    CASE(close_with_no_token__closes_and_says_so),
    CASE(bad_arguments__refused_and_nothing_goes),
    CASE(client_handle__may_not_clean_up),
};
AREA(cleanup, cases);
