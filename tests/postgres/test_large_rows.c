/*
 * tests/postgres/test_large_rows.c - large metadata and accumulators, which come in pieces: lists of checkpoints and
 * results, what is discarded, recovery; and that they need memory for one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resident.h"
#include "shelf.h"

#define LARGE (16 * 1024 * 1024)

struct weights {
    int entries;
    size_t bytes;
    int64_t last_id;
    int64_t next_id;
};

static pgk_status weigh_checkpoint(void *user, const pgk_checkpoint *checkpoint)
{
    struct weights *w = user;
    assert_true(checkpoint->checkpoint_id > w->last_id);
    assert_true((checkpoint->pointer == NULL) == (checkpoint->checkpoint_id != 2));
    w->last_id = checkpoint->checkpoint_id;
    w->entries++;
    w->bytes += checkpoint->metadata_bytes;
    return checkpoint->status;
}

static pgk_status weigh_result(void *user, const pgk_job_result *result)
{
    struct weights *w = user;
    w->entries++;
    w->bytes += result->accumulators_bytes;
    assert_string_equal(result->job_name, "name");
    return result->entry_status;
}

static pgk_status note_next_id(void *user, const pgk_recovered_job *job)
{
    struct weights *w = user;
    assert_null(job->checkpoint);
    w->next_id = job->next_checkpoint_id;
    return job->graph->status;
}

/* Job 1: a list with small and large metadata and a pointer, and what it discards; 2 to 4: results; 5: a graph with a
 * counter and no checkpoint. */
static void fill_large(struct fixture *fixture)
{
    db_exec(fixture,
            "SET search_path = pgkeeper;"
            "CREATE FUNCTION pg_temp.job(i integer) RETURNS uuid LANGUAGE sql AS"
            " $$SELECT ('ab' || lpad(i::text, 30, '0'))::uuid$$;"
            "CREATE FUNCTION pg_temp.text_of(length integer) RETURNS bytea LANGUAGE sql AS"
            " $$SELECT convert_to(left(repeat('state ' || length || ' ', length / 6 + 1), length), "
            "'UTF8')$$;"
            "INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, metadata, pointer, sha256, "
            "completed_at, op_id, state)"
            " SELECT '" FIXTURE_CLUSTER "', pg_temp.job(1), id, m, p, sha256(coalesce(m, "
            "convert_to(p, 'UTF8'))), now(), gen_random_uuid(), state"
            "   FROM (VALUES (1, 1048576, 'completed'), (2, NULL, 'completed'), (3, %d, "
            "'completed'), (4, 1048577, 'completed'), (5, 9, 'completed'),"
            "                (6, %d, 'discarding'), (7, 1, 'discarding'), (8, 2097153, "
            "'discarding')) v(id, length, state),"
            "        LATERAL (SELECT pg_temp.text_of(length) AS m, CASE WHEN length IS NULL THEN "
            "'path' END AS p) content;"
            "INSERT INTO job_result (cluster_id, job_id, status, job_name, accumulators, "
            "accumulators_sha256, op_id)"
            " SELECT '" FIXTURE_CLUSTER "', pg_temp.job(id), 'FINISHED', 'name', a, sha256(a), "
            "gen_random_uuid()"
            "   FROM (VALUES (2, %d), (3, NULL), (4, 1048577)) v(id, length), LATERAL (SELECT "
            "pg_temp.text_of(length) AS a) content;"
            "INSERT INTO job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', pg_temp.job(5), 'g', sha256('g'));"
            "INSERT INTO checkpoint_counter (cluster_id, job_id, next_id, op_id)"
            " VALUES ('" FIXTURE_CLUSTER "', pg_temp.job(5), 7, gen_random_uuid())",
            LARGE, LARGE, LARGE);
}

/* One entry, and its latest piece twice; less, when what was freed before is used again. */
static void assert_grown(long before_kb)
{
#ifndef PGK_TEST_SANITIZED /* those keep what is freed */
    assert_in_range(resident_peak_kib() - before_kb, 0, LARGE / 1024 + 9 * 1024);
#else
    (void)before_kb;
#endif
    resident_reset_peak();
}

static void read_large(pgk_ha *ha, pgk_checkpoints *checkpoints, pgk_job_results *results)
{
    struct weights w = {0};
    pgk_recovery recovery = {
        .size = sizeof(recovery), .user = &w, .dirty_result = weigh_result, .job = note_next_id};
    int64_t left = -1;
    pgk_error err;
    resident_reset_peak();
    long before = resident_peak_kib();
    CHECK_OK(pgk_checkpoints_all(checkpoints, weigh_checkpoint, &w, &err), err);
    assert_grown(before);
    assert_int_equal(w.entries, 5);
    assert_int_equal(w.bytes, 1048576 + LARGE + 1048577 + 9);
    CHECK_OK(pgk_job_results_list_dirty(results, weigh_result, &w, &err), err);
    assert_grown(before);
    assert_int_equal(w.entries, 5 + 3);
    assert_int_equal(w.bytes, 1048576 + LARGE + 1048577 + 9 + LARGE + 1048577);
    w = (struct weights){0};
    CHECK_OK(pgk_ha_recover(ha, NULL, &recovery, &err), err);
    assert_grown(before);
    assert_int_equal(w.entries, 3);
    assert_int_equal(w.bytes, LARGE + 1048577);
    assert_int_equal(w.next_id, 7);
    CHECK_OK(pgk_checkpoints_discard_pending(checkpoints, &left, &err), err);
    assert_grown(before); /* which it keeps while the data is removed: no session waits for that */
    assert_int_equal(left, 0);
}

static void test_large_rows__of_all_lists__memory_for_one(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct weights discarded = {.last_id = 5};
    pgk_checkpoints_options options = {.size = sizeof(options),
                                       .job_id = job_number(1),
                                       .max_retained = 9,
                                       .discard = weigh_checkpoint,
                                       .user = &discarded};
    pgk_checkpoints *checkpoints = NULL;
    pgk_job_results *results = NULL;
    pgk_error err;
    fill_large(fixture);
    CHECK_OK(pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &checkpoints, &err), err);
    CHECK_OK(pgk_ha_job_results(ha, PGK_UNFENCED, &results, &err), err);
    read_large(ha, checkpoints, results);
    assert_int_equal(discarded.entries, 3);
    assert_int_equal(discarded.bytes, LARGE + 1 + 2097153);
    pgk_checkpoints_free(checkpoints);
    pgk_job_results_free(results);
    pgk_ha_free(ha);
}

#ifndef PGK_TEST_SANITIZED /* which would look at each of its bytes several times */
struct largest {
    const uint8_t *bytes;
    int calls;
};

static pgk_status expect_largest(void *user, const pgk_checkpoint *checkpoint)
{
    struct largest *largest = user;
    assert_int_equal(checkpoint->status, PGK_OK);
    assert_int_equal(checkpoint->metadata_bytes, PGK_METADATA_MAX_BYTES);
    assert_int_equal(memcmp(checkpoint->metadata, largest->bytes, PGK_METADATA_MAX_BYTES), 0);
    largest->calls++;
    return PGK_OK;
}

/* The largest metadata there may be, there and back; one byte more is not sent. */
static void test_large_rows__largest_metadata__comes_back_and_more_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha =
        handle_open(fixture, "a", "high-availability.postgres.statement-timeout", "60 s", NULL);
    uint8_t *bytes = malloc(PGK_METADATA_MAX_BYTES + 1);
    struct largest largest = {.bytes = bytes};
    pgk_checkpoints_options options = {
        .size = sizeof(options), .job_id = job_number(1), .max_retained = 1};
    pgk_checkpoint checkpoint = {.size = sizeof(checkpoint),
                                 .metadata = bytes,
                                 .metadata_bytes = PGK_METADATA_MAX_BYTES + 1};
    pgk_checkpoints *checkpoints = NULL;
    pgk_error err;
    assert_non_null(bytes);
    for (size_t i = 0; i <= PGK_METADATA_MAX_BYTES; i++) {
        bytes[i] = (uint8_t)(i >> 20 ^ i);
    }
    CHECK_OK(pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &checkpoints, &err), err);
    assert_int_equal(pgk_checkpoints_add(checkpoints, &checkpoint, &err), PGK_ERR_TOO_LARGE);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.checkpoint"), 0);
    checkpoint.metadata_bytes = PGK_METADATA_MAX_BYTES;
    CHECK_OK(pgk_checkpoints_add(checkpoints, &checkpoint, &err), err);
    CHECK_OK(pgk_checkpoints_latest(checkpoints, expect_largest, &largest, &err), err);
    assert_int_equal(largest.calls, 1);
    pgk_checkpoints_free(checkpoints);
    free(bytes);
    pgk_ha_free(ha);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_large_rows__of_all_lists__memory_for_one),
#ifndef PGK_TEST_SANITIZED
        DB_TEST(test_large_rows__largest_metadata__comes_back_and_more_is_refused),
#endif
    };
    return cmocka_run_group_tests_name("large_rows", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
