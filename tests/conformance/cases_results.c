/* tests/conformance/cases_results.c - contract 5, the job result store. */
#include "suite.h"

static void create(struct scene *s, pgk_job_results *store, int job)
{
    pgk_job_result result = result_of(job);
    WORKS(s, pgk_job_results_create_dirty(store, &result, &s->err));
}

static void mark(struct scene *s, pgk_job_results *store, int job)
{
    pgk_uuid id = job_of(job);
    WORKS(s, pgk_job_results_mark_clean(store, &id, &s->err));
}

/* 100 for any entry, 10 for a dirty one, 1 for a clean one. */
static int has(struct scene *s, pgk_job_results *store, int job)
{
    pgk_uuid id = job_of(job);
    bool any = false;
    bool dirty = false;
    bool clean = false;
    WORKS(s, pgk_job_results_has_entry(store, &id, &any, &s->err));
    WORKS(s, pgk_job_results_has_dirty(store, &id, &dirty, &s->err));
    WORKS(s, pgk_job_results_has_clean(store, &id, &clean, &s->err));
    return 100 * any + 10 * dirty + clean;
}

static pgk_job_results *open_store(struct scene *s)
{
    return scene_results(s, scene_open(s), PGK_UNFENCED);
}

static void unknown__has_no_entry(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    assert_int_equal(has(s, store, 1), 0);
    assert_string_equal(results_text(s, store), "");
}

static void created__dirty(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    create(s, store, 1);
    assert_int_equal(has(s, store, 1), 110);
    assert_int_equal(has(s, store, 2), 0);
}

static void created_twice__already_exists(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    pgk_job_result again = result_of(1);
    again.status = PGK_JOB_FAILED;
    create(s, store, 1);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_results_create_dirty(store, &again, &s->err));
    assert_string_equal(results_text(s, store), "1");
}

static void created_where_a_clean_one_is__already_exists(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    pgk_job_result again = result_of(1);
    create(s, store, 1);
    mark(s, store, 1);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_results_create_dirty(store, &again, &s->err));
    assert_string_equal(results_text(s, store), "(1)");
}

static void marked__clean_and_again_is_fine(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    create(s, store, 1);
    mark(s, store, 1);
    assert_int_equal(has(s, store, 1), 101);
    mark(s, store, 1);
    assert_int_equal(has(s, store, 1), 101);
}

static void marked_unknown__not_found(struct scene *s)
{
    pgk_uuid job = job_of(1);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_job_results_mark_clean(open_store(s), &job, &s->err));
}

static void delete_on_commit__a_clean_entry_is_gone(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_results *store = scene_results(
        s, scene_open_with(s, "job-result-store.delete-on-commit", "true", NULL), PGK_UNFENCED);
    create(s, store, 1);
    mark(s, store, 1);
    assert_int_equal(has(s, store, 1), 0);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_job_results_mark_clean(store, &job, &s->err));
    create(s, store, 1);
    assert_int_equal(has(s, store, 1), 110);
}

static void lists__in_order_of_job_id(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    static const int jobs[] = {300, 4, 2, 5, 1};
    for (size_t i = 0; i < 5; i++) {
        create(s, store, jobs[i]);
    }
    mark(s, store, 5);
    mark(s, store, 2);
    assert_string_equal(results_text(s, store), "1 4 300 (2) (5)");
}

static void all_fields__come_back(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    struct result_seen seen = {.answer = PGK_OK};
    pgk_job_result full = result_of(1);
    full.status = PGK_JOB_FAILED;
    full.job_name = "h\xc3\xa4rvest";
    full.failure = "out of apples";
    full.accumulators = "a\0b";
    full.accumulators_bytes = 3;
    WORKS(s, pgk_job_results_create_dirty(store, &full, &s->err));
    WORKS(s, pgk_job_results_get(store, &full.job_id, result_see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.size, sizeof(pgk_job_result));
    assert_int_equal(pgk_uuid_compare(&seen.last.job_id, &full.job_id), 0);
    assert_int_equal(seen.last.status, PGK_JOB_FAILED);
    assert_string_equal(seen.name, "h\xc3\xa4rvest");
    assert_string_equal(seen.failure, "out of apples");
    assert_int_equal(seen.last.started_ms, full.started_ms);
    assert_int_equal(seen.last.ended_ms, full.ended_ms);
    assert_int_equal(seen.last.net_runtime_ms, full.net_runtime_ms);
    assert_int_equal(seen.last.accumulators_bytes, 3);
    assert_memory_equal(seen.accumulators, "a\0b", 3);
    assert_int_equal(seen.last.format_version, PGK_RESULT_FORMAT_VERSION);
    assert_true(seen.last.dirty);
    assert_int_equal(seen.last.entry_status, PGK_OK);
    assert_null(seen.last.reason);
    assert_int_equal(seen.last.epoch, 0);
    mark(s, store, 1);
    WORKS(s, pgk_job_results_get(store, &full.job_id, result_see, &seen, &s->err));
    assert_false(seen.last.dirty);
    assert_string_equal(seen.failure, "out of apples");
}

static void least_fields__come_back(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    struct result_seen seen = {.answer = PGK_OK};
    pgk_job_result least = {.size = sizeof(least),
                            .job_id = job_of(1),
                            .status = PGK_JOB_UNKNOWN,
                            .started_ms = -1,
                            .ended_ms = -1};
    WORKS(s, pgk_job_results_create_dirty(store, &least, &s->err));
    WORKS(s, pgk_job_results_get(store, &least.job_id, result_see, &seen, &s->err));
    assert_int_equal(seen.last.status, PGK_JOB_UNKNOWN);
    assert_string_equal(seen.name, "");
    assert_string_equal(seen.failure, "-");
    assert_int_equal(seen.last.started_ms, -1);
    assert_int_equal(seen.last.ended_ms, -1);
    assert_null(seen.last.accumulators);
    assert_int_equal(seen.last.accumulators_bytes, 0);
}

static pgk_status compare_accumulators(void *user, const pgk_job_result *result)
{
    const pgk_job_result *expected = user;
    return result->accumulators_bytes == expected->accumulators_bytes &&
                   memcmp(result->accumulators, expected->accumulators,
                          expected->accumulators_bytes) == 0 &&
                   strcmp(result->failure, expected->failure) == 0
               ? PGK_OK
               : PGK_ERR_CORRUPT;
}

static void large_payloads__come_back(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    size_t bytes = 2 * 1024 * 1024 + 3;
    char *accumulators = scene_memory(s, bytes);
    char *failure = scene_memory(s, PGK_FAILURE_MAX_BYTES + 1);
    pgk_job_result result = result_of(1);
    for (size_t i = 0; i < bytes; i++) {
        accumulators[i] = (char)(i * 7 + i / 255);
    }
    memset(failure, 'f', PGK_FAILURE_MAX_BYTES);
    result.accumulators = accumulators;
    result.accumulators_bytes = bytes;
    result.failure = failure;
    WORKS(s, pgk_job_results_create_dirty(store, &result, &s->err));
    WORKS(s, pgk_job_results_get(store, &result.job_id, compare_accumulators, &result, &s->err));
}

static void get_missing__not_found(struct scene *s)
{
    struct result_seen seen = {.answer = PGK_OK};
    pgk_uuid job = job_of(1);
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_job_results_get(open_store(s), &job, result_see, &seen, &s->err));
    assert_int_equal(seen.count, 0);
}

static void callback_that_refuses__ends_the_list(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    struct result_seen seen = {.answer = PGK_ERR_IO};
    create(s, store, 1);
    create(s, store, 2);
    FAILS(s, PGK_ERR_IO, pgk_job_results_list_dirty(store, result_see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
    mark(s, store, 1);
    mark(s, store, 2);
    FAILS(s, PGK_ERR_IO, pgk_job_results_list_clean(store, result_see, &seen, &s->err));
    assert_int_equal(seen.count, 2);
}

static void status_that_is_not_terminal__invalid_argument(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    static const pgk_job_status bad[] = {PGK_JOB_SUSPENDED, PGK_JOB_RUNNING, (pgk_job_status)42};
    for (size_t i = 0; i < 3; i++) {
        pgk_job_result result = result_of(1);
        result.status = bad[i];
        FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_create_dirty(store, &result, &s->err));
        FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_finish_job(store, &result, &s->err));
    }
    assert_int_equal(has(s, store, 1), 0);
}

static void every_terminal_status__is_kept(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    static const pgk_job_status good[] = {PGK_JOB_FINISHED, PGK_JOB_FAILED, PGK_JOB_CANCELED,
                                          PGK_JOB_UNKNOWN};
    for (int i = 0; i < 4; i++) {
        struct result_seen seen = {.answer = PGK_OK};
        pgk_job_result result = result_of(i);
        result.status = good[i];
        WORKS(s, pgk_job_results_create_dirty(store, &result, &s->err));
        WORKS(s, pgk_job_results_get(store, &result.job_id, result_see, &seen, &s->err));
        assert_int_equal(seen.last.status, good[i]);
    }
}

static void refuse(struct scene *s, pgk_job_results *store, const pgk_job_result *bad)
{
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_create_dirty(store, bad, &s->err));
}

static void bad_entries__invalid_argument(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    pgk_job_result bad = result_of(1);
    refuse(s, store, NULL);
    bad.size = 8;
    refuse(s, store, &bad);
    bad = result_of(1);
    bad.job_name = "\xff";
    refuse(s, store, &bad);
    bad = result_of(1);
    bad.failure = "\xc3";
    refuse(s, store, &bad);
    bad = result_of(1);
    bad.net_runtime_ms = -1;
    refuse(s, store, &bad);
    bad = result_of(1);
    bad.accumulators = "x"; /* and no bytes */
    refuse(s, store, &bad);
    bad.accumulators = NULL;
    bad.accumulators_bytes = 1;
    refuse(s, store, &bad);
    assert_int_equal(has(s, store, 1), 0);
}

static void too_large__refused(struct scene *s)
{
    pgk_job_results *store = open_store(s);
    char *text = scene_memory(s, PGK_FAILURE_MAX_BYTES + 2);
    pgk_job_result result = result_of(1);
    memset(text, 'x', PGK_FAILURE_MAX_BYTES + 1);
    result.failure = text;
    FAILS(s, PGK_ERR_TOO_LARGE, pgk_job_results_create_dirty(store, &result, &s->err));
    result.failure = NULL;
    result.job_name = text + PGK_FAILURE_MAX_BYTES - PGK_JOB_NAME_MAX_BYTES;
    FAILS(s, PGK_ERR_TOO_LARGE, pgk_job_results_create_dirty(store, &result, &s->err));
    result.job_name = NULL;
    result.accumulators = text;
    result.accumulators_bytes = PGK_ACCUMULATORS_MAX_BYTES + 1; /* not looked at */
    FAILS(s, PGK_ERR_TOO_LARGE, pgk_job_results_create_dirty(store, &result, &s->err));
    assert_int_equal(has(s, store, 1), 0);
}

static void bad_arguments__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_results *store = scene_results(s, ha, PGK_UNFENCED);
    struct result_seen seen = {.answer = PGK_OK};
    pgk_job_result result = result_of(1);
    bool answer = false;
    int64_t purged;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_job_results(ha, PGK_UNFENCED, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_create_dirty(NULL, &result, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_mark_clean(store, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_has_entry(store, NULL, &answer, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_results_has_dirty(store, &result.job_id, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_results_has_clean(NULL, &result.job_id, &answer, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_results_get(store, NULL, result_see, &seen, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_results_get(store, &result.job_id, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_list_dirty(store, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_results_list_clean(NULL, result_see, &seen, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_purge(store, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_results_purge(NULL, &purged, &s->err));
    pgk_job_results_free(NULL);
}

static void handle_closed__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_results *store = scene_results(s, ha, PGK_UNFENCED);
    pgk_job_result result = result_of(1);
    bool answer = false;
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_results_create_dirty(store, &result, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_job_results_has_entry(store, &result.job_id, &answer, &s->err));
}

static void purge__only_clean_ones_after_their_retention(struct scene *s)
{
    int64_t purged = -1;
    pgk_job_results *keeps = open_store(s);
    create(s, keeps, 1);
    create(s, keeps, 2);
    mark(s, keeps, 1);
    WORKS(s, pgk_job_results_purge(keeps, &purged, &s->err));
    assert_int_equal(purged, 0);
    assert_string_equal(results_text(s, keeps), "2 (1)");
}

static void purge_with_retention_0__all_clean_ones(struct scene *s)
{
    int64_t purged = -1;
    pgk_job_results *store = scene_results(
        s, scene_open_with(s, "job-result-store.retention", "0 ms", NULL), PGK_UNFENCED);
    for (int i = 1; i <= 4; i++) {
        create(s, store, i);
    }
    mark(s, store, 1);
    mark(s, store, 3);
    wait_pause_ms(2); /* longer than no time */
    WORKS(s, pgk_job_results_purge(store, &purged, &s->err));
    assert_int_equal(purged, 2);
    assert_string_equal(results_text(s, store), "2 4");
    WORKS(s, pgk_job_results_purge(store, &purged, &s->err));
    assert_int_equal(purged, 0);
}

/* ------------------------------------------------------------------ finish_job */

static void finish_job__result_stored_and_job_done(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_result result = result_of(1);
    pgk_job_results *store = scene_results(s, ha, PGK_UNFENCED);
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    WORKS(s, pgk_job_results_finish_job(store, &result, &s->err));
    assert_int_equal(has(s, store, 1), 110);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_DONE);
}

static void finish_job__the_graph_goes_whoever_owns_it(struct scene *s)
{
    pgk_token token;
    pgk_ha *ha = scene_open(s);
    pgk_job_result result = result_of(1);
    scene_lead(s, ha, &token);
    pgk_job_graphs *graphs = scene_graphs(s, ha, &token);
    put_graph(s, graphs, 1, "graph");
    put_graph(s, graphs, 2, "other");
    WORKS(s, pgk_job_results_finish_job(scene_results(s, ha, &token), &result, &s->err));
    assert_string_equal(graph_text(s, graphs, 1), "-");
    assert_string_equal(graph_text(s, graphs, 2), "other");
}

static void finish_job_with_a_result__already_exists_and_nothing_changed(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_result result = result_of(1);
    pgk_job_results *store = scene_results(s, ha, PGK_UNFENCED);
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    create(s, store, 1);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_results_finish_job(store, &result, &s->err));
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
    mark(s, store, 1);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_results_finish_job(store, &result, &s->err));
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
    assert_string_equal(results_text(s, store), "(1)");
}

static void finish_job_with_a_result__the_graph_stays_and_is_owned(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_result result = result_of(1);
    pgk_job_results *store = scene_results(s, ha, PGK_UNFENCED);
    pgk_job_graphs *graphs = scene_graphs(s, ha, PGK_UNFENCED);
    put_graph(s, graphs, 1, "graph");
    create(s, store, 1);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_results_finish_job(store, &result, &s->err));
    put_graph(s, graphs, 1, "again");
    assert_string_equal(graph_text(s, graphs, 1), "again");
}

static void finish_job_of_which_nothing_is_known__stored(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_result result = result_of(9);
    pgk_job_results *store = scene_results(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_results_finish_job(store, &result, &s->err));
    assert_string_equal(results_text(s, store), "9");
    assert_int_equal(registry_status(s, scene_registry(s, ha, PGK_UNFENCED), 9),
                     PGK_SCHEDULING_DONE);
}

static void finish_job__checkpoints_and_counter_stay(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    int64_t value = 0;
    pgk_job_result result = result_of(1);
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    pgk_checkpoints *checkpoints = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    WORKS(s, pgk_checkpoint_counter_get_and_increment(counter, &value, &s->err));
    add_checkpoint(s, checkpoints, value, PGK_CHECKPOINT);
    WORKS(s, pgk_job_results_finish_job(scene_results(s, ha, PGK_UNFENCED), &result, &s->err));
    assert_string_equal(checkpoints_text(s, checkpoints), "1");
    assert_int_equal(counter_next(s, counter), 2);
}

static void another_handle__sees_the_same(struct scene *s)
{
    pgk_job_results *here = open_store(s);
    pgk_job_results *there = open_store(s);
    pgk_job_result again = result_of(1);
    create(s, here, 1);
    assert_int_equal(has(s, there, 1), 110);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_results_create_dirty(there, &again, &s->err));
    mark(s, there, 1);
    assert_int_equal(has(s, here, 1), 101);
}

static void another_cluster__sees_nothing(struct scene *s)
{
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    pgk_job_results *here = open_store(s);
    pgk_job_results *there = scene_results(s, far, PGK_UNFENCED);
    create(s, here, 1);
    assert_int_equal(has(s, there, 1), 0);
    create(s, there, 1);
    mark(s, there, 1);
    assert_int_equal(has(s, here, 1), 110);
}

static const struct conformance_case cases[] = {
    CASE(unknown__has_no_entry),
    CASE(created__dirty),
    CASE(created_twice__already_exists),
    CASE(created_where_a_clean_one_is__already_exists),
    CASE(marked__clean_and_again_is_fine),
    CASE(marked_unknown__not_found),
    CASE(delete_on_commit__a_clean_entry_is_gone),
    CASE(lists__in_order_of_job_id),
    CASE(all_fields__come_back),
    CASE(least_fields__come_back),
    CASE(large_payloads__come_back),
    CASE(get_missing__not_found),
    CASE(callback_that_refuses__ends_the_list),
    CASE(status_that_is_not_terminal__invalid_argument),
    CASE(every_terminal_status__is_kept),
    CASE(bad_entries__invalid_argument),
    CASE(too_large__refused),
    CASE(bad_arguments__invalid_argument),
    CASE(handle_closed__illegal_state),
    CASE(purge__only_clean_ones_after_their_retention),
    CASE(purge_with_retention_0__all_clean_ones),
    CASE(finish_job__result_stored_and_job_done),
    CASE_NEEDS(finish_job__the_graph_goes_whoever_owns_it, BIT(GRAPHS)),
    CASE(finish_job_with_a_result__already_exists_and_nothing_changed),
    CASE_NEEDS(finish_job_with_a_result__the_graph_stays_and_is_owned, BIT(GRAPHS)),
    CASE(finish_job_of_which_nothing_is_known__stored),
    CASE(finish_job__checkpoints_and_counter_stay),
    CASE_NEEDS(another_handle__sees_the_same, BIT(SHARES)),
    CASE(another_cluster__sees_nothing),
};
AREA(results, cases);
