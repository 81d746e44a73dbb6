/*
 * tests/conformance/cases_fence.c - the fence: what is written under the token of a former tenure is refused by every store,
 * and nothing is changed.
 */
#include "suite.h"

struct deposed {
    pgk_ha *ha;
    pgk_token token; /* of the past */
    struct part *part;
};

static struct deposed depose(struct scene *s)
{
    struct deposed d = {.ha = scene_open(s)};
    d.part = scene_lead(s, d.ha, &d.token);
    scene_depose_once(s, d.part);
    return d;
}

static void graphs_started__fenced(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_job_graphs *store = NULL;
    WORKS(s, pgk_ha_job_graphs(d.ha, &d.token, &store, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_start(store, NULL, &s->err));
    pgk_job_graphs_free(store);
}

static void graphs_of_the_deposed__fenced_and_nothing_written(struct scene *s)
{
    pgk_token token;
    pgk_job_graph *graph = NULL;
    pgk_uuid job = job_of(1);
    pgk_uuid other = job_of(2);
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    pgk_job_graphs *store = scene_graphs(s, ha, &token);
    put_graph(s, store, 1, "one");
    scene_depose_once(s, part);
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_put(store, &job, "x", 1, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_put(store, &other, "x", 1, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_put_requirements(store, &job, "x", 1, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_recover(store, &job, &graph, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_release(store, &job, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_remove(store, &job, &s->err));
    WORKS(s, pgk_job_graphs_stop(store, &s->err));
    pgk_job_graphs *now = scene_graphs(s, ha, PGK_UNFENCED);
    assert_string_equal(graph_text(s, now, 1), "one");
    assert_string_equal(graph_text(s, now, 2), "-");
}

static void results__fenced_and_nothing_written(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_job_results *past = scene_results(s, d.ha, &d.token);
    pgk_job_results *now = scene_results(s, d.ha, PGK_UNFENCED);
    pgk_job_result one = result_of(1);
    pgk_job_result two = result_of(2);
    int64_t purged = -1;
    WORKS(s, pgk_job_results_create_dirty(now, &one, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_results_create_dirty(past, &two, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_results_finish_job(past, &two, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_results_mark_clean(past, &one.job_id, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_results_purge(past, &purged, &s->err));
    assert_string_equal(results_text(s, now), "1");
}

static void registry__fenced_and_nothing_written(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_job_registry *past = scene_registry(s, d.ha, &d.token);
    pgk_job_registry *now = scene_registry(s, d.ha, PGK_UNFENCED);
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    WORKS(s, pgk_job_registry_set_running(now, &one, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_registry_set_running(past, &two, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_registry_set_finished(past, &one, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_registry_clear(past, &one, &s->err));
    assert_int_equal(registry_status(s, past, 1), PGK_SCHEDULING_RUNNING); /* reading is free */
    assert_int_equal(registry_status(s, now, 2), PGK_SCHEDULING_PENDING);
}

static void checkpoints__fenced_and_nothing_written(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_checkpoints *now = scene_checkpoints(s, d.ha, PGK_UNFENCED, 1, NULL, NULL);
    add_checkpoint(s, now, 1, PGK_CHECKPOINT);
    pgk_checkpoints *past = scene_checkpoints(s, d.ha, &d.token, 1, NULL, NULL);
    pgk_checkpoint two = checkpoint_of(2, PGK_CHECKPOINT);
    FAILS(s, PGK_ERR_FENCED, pgk_checkpoints_add(past, &two, &s->err));
    assert_int_equal(pgk_checkpoints_count(past), 1);
    FAILS(s, PGK_ERR_FENCED, pgk_checkpoints_shutdown(past, PGK_JOB_FINISHED, &s->err));
    assert_string_equal(checkpoints_text(s, now), "1");
}

static pgk_status count_discard(void *user, const pgk_checkpoint *checkpoint)
{
    int *calls = user;
    (void)checkpoint;
    (*calls)++;
    return PGK_OK;
}

static void discards__fenced_and_the_callback_is_not_told(struct scene *s)
{
    struct deposed d = depose(s);
    int calls = 0;
    int64_t left = -1;
    pgk_checkpoints *now = scene_checkpoints(s, d.ha, PGK_UNFENCED, 1, NULL, NULL);
    add_checkpoints(s, now, "cc");
    pgk_checkpoints *past = scene_checkpoints(s, d.ha, &d.token, 1, count_discard, &calls);
    FAILS(s, PGK_ERR_FENCED,
          pgk_ha_discard_pending(d.ha, &d.token, NULL, count_discard, &calls, &left, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_checkpoints_discard_pending(past, &left, &s->err));
    assert_int_equal(calls, 0);
    WORKS(s,
          pgk_ha_discard_pending(d.ha, PGK_UNFENCED, NULL, count_discard, &calls, &left, &s->err));
    assert_int_equal(calls, 1);
}

static void counter__fenced_and_no_number_is_used_up(struct scene *s)
{
    struct deposed d = depose(s);
    int64_t value = -1;
    pgk_checkpoint_counter *past = scene_counter(s, d.ha, &d.token);
    FAILS(s, PGK_ERR_FENCED, pgk_checkpoint_counter_get_and_increment(past, &value, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_checkpoint_counter_set(past, 9, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_checkpoint_counter_shutdown(past, PGK_JOB_FINISHED, &s->err));
    assert_int_equal(value, -1);
    assert_int_equal(counter_next(s, scene_counter(s, d.ha, PGK_UNFENCED)), 1);
}

static void blobs__fenced_and_nothing_stored(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_blob_key kept;
    pgk_blob_key key;
    int64_t removed = -1;
    pgk_blobs *now = scene_blobs(s, d.ha, PGK_UNFENCED);
    pgk_blobs *past = scene_blobs(s, d.ha, &d.token);
    put_blob(s, now, 0, "kept", &kept);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "new", 3, &key, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_blobs_put_buffer(past, NULL, &key, "new", 3, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_blobs_delete(past, NULL, &kept, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_blobs_delete_all(past, NULL, &removed, &s->err));
    assert_false(blob_exists(s, now, 0, &key));
    assert_true(blob_exists(s, past, 0, &kept));
}

static void cleaning_up__fenced_and_nothing_removed(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_uuid job = job_of(1);
    pgk_job_registry *registry = scene_registry(s, d.ha, PGK_UNFENCED);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_ha_cleanup_job(d.ha, &d.token, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_ha_cleanup_all(d.ha, &d.token, NULL, &s->err));
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
}

static void present_token__every_store_works(struct scene *s)
{
    struct deposed d = depose(s);
    pgk_token token;
    pgk_uuid job = job_of(1);
    WORKS(s, pgk_election_token(d.part->election, &token, &s->err));
    put_graph(s, scene_graphs(s, d.ha, &token), 1, "graph");
    WORKS(s, pgk_job_registry_set_running(scene_registry(s, d.ha, &token), &job, &s->err));
    add_checkpoint(s, scene_checkpoints(s, d.ha, &token, 1, NULL, NULL), 1, PGK_CHECKPOINT);
    assert_int_equal(counter_next(s, scene_counter(s, d.ha, &token)), 1);
    WORKS(s, pgk_ha_cleanup_job(d.ha, &token, &job, NULL, &s->err));
}

/* What a registry answers is what every store does with a token, see above. */
static void refuses(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    pgk_uuid job = job_of(1);
    pgk_job_registry *registry = scene_registry(s, ha, token);
    FAILS(s, PGK_ERR_FENCED, pgk_job_registry_set_running(registry, &job, &s->err));
}

static void resigned__its_token_is_of_the_past(struct scene *s)
{
    pgk_token token;
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    struct part *other = scene_contend(s, scene_open(s), "dispatcher");
    scene_await_contender(s, 1);
    WORKS(s, pgk_election_resign(part->election, &s->err));
    part_granted(other);
    refuses(s, ha, &token);
}

static void closed_and_taken_over__its_token_is_of_the_past(struct scene *s)
{
    pgk_token token;
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    WORKS(s, pgk_election_close(part->election, &s->err));
    part_granted(scene_contend(s, scene_open(s), "dispatcher"));
    refuses(s, ha, &token);
}

/* A leader of another cluster id, and a handle of the scene's, where somebody leads too. */
static struct deposed lead_elsewhere(struct scene *s, pgk_ha **ret_here)
{
    struct deposed e = {.ha =
                            scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL)};
    e.part = scene_lead(s, e.ha, &e.token);
    *ret_here = scene_open(s);
    scene_lead(s, *ret_here, NULL);
    return e;
}

static void token_of_another_cluster__refused(struct scene *s)
{
    pgk_ha *here;
    struct deposed e = lead_elsewhere(s, &here);
    int64_t number = -1;
    pgk_uuid job = job_of(1);
    pgk_job_graphs *graphs = NULL;
    pgk_job_result result = result_of(1);
    refuses(s, here, &e.token);
    WORKS(s, pgk_ha_job_graphs(here, &e.token, &graphs, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_job_graphs_start(graphs, NULL, &s->err));
    pgk_job_graphs_free(graphs);
    FAILS(s, PGK_ERR_FENCED,
          pgk_job_results_create_dirty(scene_results(s, here, &e.token), &result, &s->err));
    FAILS(s, PGK_ERR_FENCED,
          pgk_checkpoint_counter_get_and_increment(scene_counter(s, here, &e.token), &number,
                                                   &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_ha_cleanup_job(here, &e.token, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_FENCED, pgk_ha_cleanup_all(here, &e.token, NULL, &s->err));
    assert_int_equal(number, -1);
}

static void token_of_another_cluster__no_blob_is_stored(struct scene *s)
{
    pgk_ha *here;
    pgk_blob_key key;
    struct deposed e = lead_elsewhere(s, &here);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "new", 3, &key, &s->err));
    FAILS(s, PGK_ERR_FENCED,
          pgk_blobs_put_buffer(scene_blobs(s, here, &e.token), NULL, &key, "new", 3, &s->err));
    assert_false(blob_exists(s, scene_blobs(s, here, PGK_UNFENCED), 0, &key));
}

static void token_refused_in_another_cluster__still_good_in_its_own(struct scene *s)
{
    pgk_ha *here;
    pgk_uuid job = job_of(1);
    struct deposed e = lead_elsewhere(s, &here);
    pgk_job_registry *registry = scene_registry(s, e.ha, &e.token);
    refuses(s, here, &e.token);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    assert_true(pgk_election_has_leadership(e.part->election, &e.token.session_id));
}

static void forged_epoch__refused(struct scene *s)
{
    pgk_token token;
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, &token);
    token.epoch++;
    refuses(s, ha, &token);
}

static void groups__lose_their_tokens_apart(struct scene *s)
{
    pgk_token left;
    pgk_token right;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *x = scene_contend_in(s, ha, "x", "left");
    struct part *y = scene_contend_in(s, ha, "y", "right");
    part_granted(x);
    part_granted(y);
    part_confirm(x, "at x");
    part_confirm(y, "at y");
    WORKS(s, pgk_election_token(x->election, &left, &s->err));
    WORKS(s, pgk_election_token(y->election, &right, &s->err));
    WORKS(s, pgk_election_close(x->election, &s->err));
    part_granted(scene_contend_in(s, scene_open(s), "x", "left"));
    refuses(s, ha, &left);
    WORKS(s, pgk_job_registry_set_running(scene_registry(s, ha, &right), &job, &s->err));
}

static void token_in_another_handle__works_while_its_tenure_lasts(struct scene *s)
{
    pgk_token token;
    pgk_uuid job = job_of(1);
    struct part *part = scene_lead(s, scene_open(s), &token);
    pgk_ha *worker = scene_open(s);
    pgk_job_registry *registry = scene_registry(s, worker, &token);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    scene_depose(s, part);
    part_granted(part);
    FAILS(s, PGK_ERR_FENCED, pgk_job_registry_set_finished(registry, &job, &s->err));
}

static void unfenced__writes_whoever_leads(struct scene *s)
{
    pgk_uuid job = job_of(1);
    scene_lead(s, scene_open(s), NULL);
    pgk_ha *tool = scene_open(s);
    pgk_job_registry *registry = scene_registry(s, tool, PGK_UNFENCED);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    add_checkpoint(s, scene_checkpoints(s, tool, PGK_UNFENCED, 1, NULL, NULL), 1, PGK_CHECKPOINT);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
}

static pgk_status see_epoch(void *user, const pgk_job_result *result)
{
    *(int64_t *)user = result->epoch;
    return PGK_OK;
}

static pgk_status see_checkpoint_epoch(void *user, const pgk_checkpoint *checkpoint)
{
    *(int64_t *)user = checkpoint->epoch;
    return PGK_OK;
}

static void entries__carry_the_epoch_of_their_writer(struct scene *s)
{
    pgk_token token;
    int64_t epoch = -1;
    pgk_job_result result = result_of(1);
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, &token);
    pgk_job_results *results = scene_results(s, ha, &token);
    WORKS(s, pgk_job_results_create_dirty(results, &result, &s->err));
    WORKS(s, pgk_job_results_get(results, &result.job_id, see_epoch, &epoch, &s->err));
    assert_int_equal(epoch, token.epoch);
    pgk_checkpoints *checkpoints = scene_checkpoints(s, ha, &token, 1, NULL, NULL);
    add_checkpoint(s, checkpoints, 1, PGK_CHECKPOINT);
    WORKS(s, pgk_checkpoints_latest(checkpoints, see_checkpoint_epoch, &epoch, &s->err));
    assert_int_equal(epoch, token.epoch);
}

static void graph__carries_the_epoch_of_its_writer(struct scene *s)
{
    pgk_token token;
    pgk_job_graph *graph = NULL;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, &token);
    pgk_job_graphs *store = scene_graphs(s, ha, &token);
    put_graph(s, store, 1, "graph");
    WORKS(s, pgk_job_graphs_recover(store, &job, &graph, &s->err));
    assert_int_equal(graph->epoch, token.epoch);
    pgk_job_graph_free(graph);
}

#define FENCED (BIT(ELECTS) | BIT(FENCES) | BIT(SHARES))

static const struct conformance_case cases[] = {
    CASE_NEEDS(graphs_started__fenced, FENCED | BIT(GRAPHS)),
    CASE_NEEDS(graphs_of_the_deposed__fenced_and_nothing_written, FENCED | BIT(GRAPHS)),
    CASE_NEEDS(results__fenced_and_nothing_written, FENCED),
    CASE_NEEDS(registry__fenced_and_nothing_written, FENCED),
    CASE_NEEDS(checkpoints__fenced_and_nothing_written, FENCED),
    CASE_NEEDS(discards__fenced_and_the_callback_is_not_told, FENCED),
    CASE_NEEDS(counter__fenced_and_no_number_is_used_up, FENCED),
    CASE_NEEDS(blobs__fenced_and_nothing_stored, FENCED | BIT(BLOBS)),
    CASE_NEEDS(cleaning_up__fenced_and_nothing_removed, FENCED),
    CASE_NEEDS(present_token__every_store_works, FENCED),
    CASE_NEEDS(resigned__its_token_is_of_the_past, FENCED),
    CASE_NEEDS(closed_and_taken_over__its_token_is_of_the_past, FENCED),
    CASE_NEEDS(token_of_another_cluster__refused, FENCED),
    CASE_NEEDS(token_of_another_cluster__no_blob_is_stored, FENCED | BIT(BLOBS)),
    CASE_NEEDS(token_refused_in_another_cluster__still_good_in_its_own, FENCED),
    CASE_NEEDS(forged_epoch__refused, FENCED),
    CASE_NEEDS(groups__lose_their_tokens_apart, FENCED),
    CASE_NEEDS(token_in_another_handle__works_while_its_tenure_lasts, FENCED),
    CASE(unfenced__writes_whoever_leads),
    CASE_NEEDS(entries__carry_the_epoch_of_their_writer, FENCED),
    CASE_NEEDS(graph__carries_the_epoch_of_its_writer, FENCED | BIT(GRAPHS)),
};
AREA(fence, cases);
