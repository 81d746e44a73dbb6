/*
 * tests/postgres/test_job_results.c - the job result store: contracts of its calls, damaged entries,
 * the end of a job as one transaction, retention, bad input.
 */
#include <stdio.h>
#include <stdlib.h>

#include "store_tools.h"

#define DELETES "job-result-store.delete-on-commit"
#define RETENTION "job-result-store.retention"

struct scene {
    struct fixture *fixture;
    pgk_ha *ha;
    pgk_job_results *store;
    pgk_error err;
};

static void open_scene(struct scene *s, void **state, const char *key, const char *value)
{
    *s = (struct scene){.fixture = *state};
    s->ha = handle_open(s->fixture, "a", key, value, NULL);
    STORE_WORKS(&s->err, pgk_ha_job_results(s->ha, PGK_UNFENCED, &s->store, &s->err));
}

static void close_scene(struct scene *s)
{
    pgk_job_results_free(s->store);
    handle_close(s->ha);
}

static void create(struct scene *s, int job)
{
    pgk_job_result result = result_of(job);
    STORE_WORKS(&s->err, pgk_job_results_create_dirty(s->store, &result, &s->err));
}

static void mark(struct scene *s, int job)
{
    pgk_uuid id = job_of(job);
    STORE_WORKS(&s->err, pgk_job_results_mark_clean(s->store, &id, &s->err));
}

/* "entry dirty clean" as three digits. */
static int has(struct scene *s, int job)
{
    pgk_uuid id = job_of(job);
    bool entry = false;
    bool dirty = false;
    bool clean = false;
    STORE_WORKS(&s->err, pgk_job_results_has_entry(s->store, &id, &entry, &s->err));
    STORE_WORKS(&s->err, pgk_job_results_has_dirty(s->store, &id, &dirty, &s->err));
    STORE_WORKS(&s->err, pgk_job_results_has_clean(s->store, &id, &clean, &s->err));
    return entry * 100 + dirty * 10 + clean;
}

static int count_dirty(struct scene *s)
{
    struct result_seen seen = {0};
    STORE_WORKS(&s->err, pgk_job_results_list_dirty(s->store, result_see, &seen, &s->err));
    return seen.count;
}

static int count_clean(struct scene *s)
{
    struct result_seen seen = {0};
    STORE_WORKS(&s->err, pgk_job_results_list_clean(s->store, result_see, &seen, &s->err));
    return seen.count;
}

static void test_job_results__dirty_then_clean__as_the_contract_says(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    pgk_job_result again = result_of(1);
    pgk_uuid one = job_of(1);
    assert_int_equal(has(&s, 1), 0);
    STORE_FAILS(PGK_ERR_NOT_FOUND, &s.err, pgk_job_results_mark_clean(s.store, &one, &s.err));
    create(&s, 1);
    assert_int_equal(has(&s, 1), 110);
    assert_int_equal(has(&s, 2), 0);
    again.status = PGK_JOB_FAILED;
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err,
                pgk_job_results_create_dirty(s.store, &again, &s.err));
    assert_int_equal(count_dirty(&s), 1);
    assert_int_equal(count_clean(&s), 0);
    mark(&s, 1);
    assert_int_equal(has(&s, 1), 101);
    mark(&s, 1);
    assert_int_equal(has(&s, 1), 101);
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err,
                pgk_job_results_create_dirty(s.store, &again, &s.err));
    assert_string_equal(db_text(s.fixture, "SELECT status FROM pgkeeper.job_result"), "FINISHED");
    assert_int_equal(count_dirty(&s), 0);
    assert_int_equal(count_clean(&s), 1);
    close_scene(&s);
}

static void test_job_results__delete_on_commit__a_clean_entry_is_gone(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "true");
    pgk_uuid one = job_of(1);
    create(&s, 1);
    mark(&s, 1);
    assert_int_equal(has(&s, 1), 0);
    STORE_FAILS(PGK_ERR_NOT_FOUND, &s.err, pgk_job_results_mark_clean(s.store, &one, &s.err));
    create(&s, 1);
    close_scene(&s);
}

static void test_job_results__all_fields__come_back_as_they_were(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    static const pgk_job_status statuses[] = {PGK_JOB_FINISHED, PGK_JOB_FAILED, PGK_JOB_CANCELED,
                                              PGK_JOB_UNKNOWN};
    for (int i = 0; i < 4; i++) {
        struct result_seen seen = {0};
        pgk_job_result full = result_of(i + 1);
        full.status = statuses[i];
        full.job_name = "caf\xc3\xa9";
        full.failure = "no water";
        full.accumulators = "\0\1\2";
        full.accumulators_bytes = 3;
        STORE_WORKS(&s.err, pgk_job_results_create_dirty(s.store, &full, &s.err));
        STORE_WORKS(&s.err, pgk_job_results_get(s.store, &full.job_id, result_see, &seen, &s.err));
        assert_int_equal(seen.count, 1);
        assert_int_equal(pgk_uuid_compare(&seen.last.job_id, &full.job_id), 0);
        assert_int_equal(seen.last.size, sizeof(seen.last));
        assert_int_equal(seen.last.status, statuses[i]);
        assert_string_equal(seen.name, "caf\xc3\xa9");
        assert_string_equal(seen.failure, "no water");
        assert_int_equal(seen.last.started_ms, 1000);
        assert_int_equal(seen.last.ended_ms, 3500);
        assert_int_equal(seen.last.net_runtime_ms, 2500);
        assert_int_equal(seen.last.accumulators_bytes, 3);
        assert_memory_equal(seen.accumulators, "\0\1\2", 3);
        assert_int_equal(seen.last.format_version, PGK_RESULT_FORMAT_VERSION);
        assert_int_equal(seen.last.entry_status, PGK_OK);
        assert_null(seen.last.reason);
        assert_true(seen.last.dirty);
        assert_int_equal(seen.last.epoch, 0);
    }
    /* As little as can be, of the job of all zeros. */
    struct result_seen seen = {0};
    pgk_job_result least = {.size = sizeof(least), .started_ms = -1, .ended_ms = -1};
    STORE_WORKS(&s.err, pgk_job_results_create_dirty(s.store, &least, &s.err));
    STORE_WORKS(&s.err, pgk_job_results_get(s.store, &least.job_id, result_see, &seen, &s.err));
    assert_string_equal(seen.name, "");
    assert_string_equal(seen.failure, "-");
    assert_int_equal(seen.last.started_ms, -1);
    assert_int_equal(seen.last.ended_ms, -1);
    assert_null(seen.last.accumulators);
    close_scene(&s);
}

static void test_job_results__under_a_token__carries_the_epoch(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    pgk_error err;
    pgk_job_results *store;
    struct result_seen seen = {0};
    pgk_job_result result = result_of(1);
    chief_open(&chief, fixture);
    STORE_WORKS(&err, pgk_ha_job_results(chief.ha, &chief.token, &store, &err));
    STORE_WORKS(&err, pgk_job_results_create_dirty(store, &result, &err));
    STORE_WORKS(&err, pgk_job_results_get(store, &result.job_id, result_see, &seen, &err));
    assert_int_equal(seen.last.epoch, chief.token.epoch);
    pgk_job_results_free(store);
    chief_close(&chief);
}

static void test_job_results__largest_texts_and_3_mib__come_back(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    size_t size = 3 * 1024 * 1024;
    char *bytes = malloc(size);
    char *failure = calloc(1, PGK_FAILURE_MAX_BYTES + 2);
    char *name = calloc(1, PGK_JOB_NAME_MAX_BYTES + 2);
    struct result_seen seen = {0};
    assert_non_null(bytes);
    assert_non_null(failure);
    assert_non_null(name);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)(i * 7 + i / 255);
    }
    memset(failure, 'f', PGK_FAILURE_MAX_BYTES);
    memset(name, 'n', PGK_JOB_NAME_MAX_BYTES);
    pgk_job_result result = result_of(1);
    result.job_name = name;
    result.failure = failure;
    result.accumulators = bytes;
    result.accumulators_bytes = size;
    STORE_WORKS(&s.err, pgk_job_results_create_dirty(s.store, &result, &s.err));
    STORE_WORKS(&s.err, pgk_job_results_get(s.store, &result.job_id, result_see, &seen, &s.err));
    assert_int_equal(seen.last.accumulators_bytes, size);
    name[PGK_JOB_NAME_MAX_BYTES] = 'n';
    result.job_id = job_of(2);
    STORE_FAILS(PGK_ERR_TOO_LARGE, &s.err, pgk_job_results_create_dirty(s.store, &result, &s.err));
    result.job_name = NULL;
    failure[PGK_FAILURE_MAX_BYTES] = 'f';
    STORE_FAILS(PGK_ERR_TOO_LARGE, &s.err, pgk_job_results_create_dirty(s.store, &result, &s.err));
    result.failure = NULL;
    result.accumulators_bytes = PGK_ACCUMULATORS_MAX_BYTES + 1; /* not looked at */
    STORE_FAILS(PGK_ERR_TOO_LARGE, &s.err, pgk_job_results_create_dirty(s.store, &result, &s.err));
    assert_int_equal(has(&s, 2), 0);
    free(bytes);
    free(failure);
    free(name);
    close_scene(&s);
}

static void test_job_results__damaged_entries__fail_alone(void **state)
{
    struct scene s;
    struct result_seen seen = {0};
    open_scene(&s, state, DELETES, "false");
    pgk_uuid two = job_of(2);
    pgk_uuid three = job_of(3);
    pgk_uuid nobody = job_of(99);
    for (int job = 1; job <= 4; job++) {
        pgk_job_result result = result_of(job);
        result.accumulators = "abc";
        result.accumulators_bytes = 3;
        STORE_WORKS(&s.err, pgk_job_results_create_dirty(s.store, &result, &s.err));
    }
    db_exec(s.fixture,
            "UPDATE pgkeeper.job_result SET accumulators = 'abd' WHERE job_id = " SQL_JOB(2));
    db_exec(s.fixture,
            "UPDATE pgkeeper.job_result SET format_version = 2 WHERE job_id = " SQL_JOB(3));
    STORE_WORKS(&s.err, pgk_job_results_list_dirty(s.store, result_see, &seen, &s.err));
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.corrupt, 2);
    for (int i = 0; i < 4; i++) {
        pgk_uuid id = job_of(i + 1); /* ascending */
        assert_int_equal(pgk_uuid_compare(&seen.jobs[i], &id), 0);
    }
    seen = (struct result_seen){0};
    STORE_FAILS(PGK_ERR_CORRUPT, &s.err,
                pgk_job_results_get(s.store, &two, result_see, &seen, &s.err));
    assert_int_equal(seen.last.entry_status, PGK_ERR_CORRUPT);
    assert_non_null(strstr(seen.reason, "SHA-256"));
    assert_non_null(strstr(s.err.message, "00000000000000000000000000000002"));
    assert_null(seen.last.accumulators);
    STORE_FAILS(PGK_ERR_CORRUPT, &s.err,
                pgk_job_results_get(s.store, &three, result_see, &seen, &s.err));
    assert_non_null(strstr(seen.reason, "format version 2"));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &s.err,
                pgk_job_results_get(s.store, &nobody, result_see, &seen, &s.err));
    /* They can still be cleaned up, and counted by a DBA. */
    mark(&s, 2);
    mark(&s, 3);
    seen = (struct result_seen){0};
    STORE_WORKS(&s.err, pgk_job_results_list_clean(s.store, result_see, &seen, &s.err));
    assert_int_equal(seen.corrupt, 2);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.stat_results"), 4);
    close_scene(&s);
}

static void test_job_results__callback_that_ends_it__its_status_is_the_answer(void **state)
{
    struct scene s;
    struct result_seen seen = {.answer = PGK_ERR_IO};
    open_scene(&s, state, DELETES, "false");
    create(&s, 1);
    create(&s, 2);
    STORE_FAILS(PGK_ERR_IO, &s.err, pgk_job_results_list_dirty(s.store, result_see, &seen, &s.err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(count_dirty(&s), 2);
    close_scene(&s);
}

static void test_job_results__finish_job__result_graph_and_status_in_one(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    known_state(s.fixture);
    pgk_job_result result = result_of(1);
    STORE_WORKS(&s.err, pgk_job_results_finish_job(s.store, &result, &s.err));
    assert_int_equal(has(&s, 1), 110);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    assert_string_equal(db_text(s.fixture, "SELECT status FROM pgkeeper.job_status"), "DONE");
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint"), 2);
    assert_int_equal(db_int(s.fixture,
                            "SELECT count(DISTINCT xmin::text) FROM"
                            " (SELECT xmin FROM pgkeeper.job_result WHERE job_id = " SQL_JOB(
                                1) " UNION ALL"
                                   " SELECT xmin FROM pgkeeper.job_status) x"),
                     1);
    /* A job of which nothing is known ends all the same. */
    result = result_of(9);
    STORE_WORKS(&s.err, pgk_job_results_finish_job(s.store, &result, &s.err));
    assert_int_equal(has(&s, 9), 110);
    close_scene(&s);
}

static void test_job_results__finish_job_twice__changes_nothing_at_all(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    known_state(s.fixture);
    db_exec(s.fixture, "UPDATE pgkeeper.job_graph SET job_id = " SQL_JOB(2));
    char before[64];
    snprintf(before, sizeof(before), "%s", rows_digest(s.fixture));
    pgk_job_result result = result_of(2); /* has a dirty result */
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err,
                pgk_job_results_finish_job(s.store, &result, &s.err));
    assert_string_equal(rows_digest(s.fixture), before);
    result = result_of(3); /* and this one a clean one */
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err,
                pgk_job_results_finish_job(s.store, &result, &s.err));
    assert_string_equal(rows_digest(s.fixture), before);
    close_scene(&s);
}

static void test_job_results__purge__only_clean_ones_after_their_retention(void **state)
{
    struct scene s;
    int64_t purged = -1;
    open_scene(&s, state, RETENTION, "30 d");
    for (int job = 1; job <= 3; job++) {
        create(&s, job);
    }
    mark(&s, 1);
    mark(&s, 2);
    db_exec(s.fixture, "UPDATE pgkeeper.job_result SET clean_at = clean_at - interval '31 d'"
                       " WHERE job_id = " SQL_JOB(2));
    db_exec(s.fixture, "UPDATE pgkeeper.job_result SET created_at = now() - interval '99 d'");
    STORE_WORKS(&s.err, pgk_job_results_purge(s.store, &purged, &s.err));
    assert_int_equal(purged, 1);
    assert_int_equal(has(&s, 1), 101);
    assert_int_equal(has(&s, 2), 0);
    assert_int_equal(has(&s, 3), 110);
    STORE_WORKS(&s.err, pgk_job_results_purge(s.store, &purged, &s.err));
    assert_int_equal(purged, 0);
    close_scene(&s);
}

static void test_job_results__retention_0_and_many__purged_in_batches(void **state)
{
    struct scene s;
    int64_t purged = -1;
    open_scene(&s, state, RETENTION, "0 ms");
    db_exec(s.fixture,
            "INSERT INTO pgkeeper.job_result (cluster_id, job_id, state, status, clean_at)"
            " SELECT c, gen_random_uuid(), 'clean', 'FAILED', now()"
            " FROM generate_series(1, 2500), (VALUES ('" FIXTURE_CLUSTER "'), ('meadow')) v(c)");
    create(&s, 1);
    STORE_WORKS(&s.err, pgk_job_results_purge(s.store, &purged, &s.err));
    assert_int_equal(purged, 2500);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_result"), 2501);
    close_scene(&s);
}

static void refuse(struct scene *s, const pgk_job_result *result, const char *part)
{
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &s->err,
                pgk_job_results_create_dirty(s->store, result, &s->err));
    assert_non_null(strstr(s->err.message, part));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &s->err,
                pgk_job_results_finish_job(s->store, result, &s->err));
}

static void test_job_results__bad_entries__are_refused_and_nothing_is_written(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    pgk_job_result bad = result_of(1);
    refuse(&s, NULL, "result is NULL");
    bad.size = 8;
    refuse(&s, &bad, "size");
    bad = result_of(1);
    bad.status = PGK_JOB_SUSPENDED;
    refuse(&s, &bad, "SUSPENDED");
    bad.status = PGK_JOB_RUNNING;
    refuse(&s, &bad, "RUNNING");
    bad.status = (pgk_job_status)42;
    refuse(&s, &bad, "42");
    bad = result_of(1);
    bad.job_name = "\xff";
    refuse(&s, &bad, "job_name");
    bad = result_of(1);
    bad.failure = "\xc3";
    refuse(&s, &bad, "failure");
    bad = result_of(1);
    bad.net_runtime_ms = -1;
    refuse(&s, &bad, "net_runtime_ms");
    bad = result_of(1);
    bad.started_ms = INT64_MAX;
    refuse(&s, &bad, "started_ms");
    bad = result_of(1);
    bad.ended_ms = INT64_C(253402300800000);
    refuse(&s, &bad, "ended_ms");
    bad = result_of(1);
    bad.accumulators = "x";
    refuse(&s, &bad, "accumulators");
    bad.accumulators = NULL;
    bad.accumulators_bytes = 1;
    refuse(&s, &bad, "accumulators");
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_result"), 0);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_status"), 0);
    /* The last instant of 9999 is one. */
    bad = result_of(1);
    bad.ended_ms = INT64_C(253402300799999);
    STORE_WORKS(&s.err, pgk_job_results_create_dirty(s.store, &bad, &s.err));
    close_scene(&s);
}

static void test_job_results__bad_arguments__are_named(void **state)
{
    struct scene s;
    open_scene(&s, state, DELETES, "false");
    pgk_uuid one = job_of(1);
    pgk_job_result result = result_of(1);
    pgk_job_results *none = NULL;
    pgk_token zero = {.epoch = 0};
    struct result_seen seen = {0};
    bool answer;
    int64_t purged;
    pgk_error *err = &s.err;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_ha_job_results(s.ha, NULL, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_ha_job_results(s.ha, &zero, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_ha_job_results(s.ha, PGK_UNFENCED, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_ha_job_results(NULL, PGK_UNFENCED, &none, err));
    assert_null(none);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_create_dirty(NULL, &result, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_finish_job(NULL, &result, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_mark_clean(s.store, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_mark_clean(NULL, &one, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_job_results_has_entry(s.store, NULL, &answer, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_has_dirty(s.store, &one, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_has_clean(NULL, &one, &answer, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_get(s.store, &one, NULL, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_job_results_get(s.store, NULL, result_see, &seen, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_job_results_list_dirty(s.store, NULL, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_job_results_list_clean(NULL, result_see, &seen, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_purge(s.store, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_job_results_purge(NULL, &purged, err));
    pgk_job_results_free(NULL);
    STORE_WORKS(err, pgk_ha_close(s.ha, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err, pgk_job_results_create_dirty(s.store, &result, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err, pgk_job_results_has_entry(s.store, &one, &answer, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err, pgk_job_results_purge(s.store, &purged, err));
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_result"), 0);
    pgk_job_results_free(s.store);
    pgk_ha_free(s.ha);
}

static void test_job_results__words__are_those_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(pgk_job_status_text(PGK_JOB_UNKNOWN), "UNKNOWN");
    assert_string_equal(pgk_job_status_text(PGK_JOB_FINISHED), "FINISHED");
    assert_string_equal(pgk_job_status_text(PGK_JOB_RUNNING), "RUNNING");
    assert_string_equal(pgk_job_status_text((pgk_job_status)-1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_job_results__dirty_then_clean__as_the_contract_says),
        DB_TEST(test_job_results__delete_on_commit__a_clean_entry_is_gone),
        DB_TEST(test_job_results__all_fields__come_back_as_they_were),
        DB_TEST(test_job_results__under_a_token__carries_the_epoch),
        DB_TEST(test_job_results__largest_texts_and_3_mib__come_back),
        DB_TEST(test_job_results__damaged_entries__fail_alone),
        DB_TEST(test_job_results__callback_that_ends_it__its_status_is_the_answer),
        DB_TEST(test_job_results__finish_job__result_graph_and_status_in_one),
        DB_TEST(test_job_results__finish_job_twice__changes_nothing_at_all),
        DB_TEST(test_job_results__purge__only_clean_ones_after_their_retention),
        DB_TEST(test_job_results__retention_0_and_many__purged_in_batches),
        DB_TEST(test_job_results__bad_entries__are_refused_and_nothing_is_written),
        DB_TEST(test_job_results__bad_arguments__are_named),
        cmocka_unit_test(test_job_results__words__are_those_of_the_header),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
