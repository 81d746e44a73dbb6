/*
 * tests/postgres/test_lists.c - lists of checkpoints and of results whose payloads are large: put together from pieces
 * at every edge, in order, in memory for one of them.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "store_tools.h"

#define LARGE (8 * 1024 * 1024)
#define LARGE_COUNT 12

struct seen {
    char text[512]; /* "1:7 2:1048577 ": id and bytes */
    int64_t bytes;
};

static void note(struct seen *seen, int64_t id, size_t bytes)
{
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof(seen->text) - length, "%lld:%zu ", (long long)id, bytes);
    seen->bytes += (int64_t)bytes;
}

/* The digest has been compared. */
static pgk_status on_checkpoint(void *user, const pgk_checkpoint *checkpoint)
{
    note(user, checkpoint->checkpoint_id, checkpoint->metadata_bytes);
    return checkpoint->status;
}

static pgk_status on_result(void *user, const pgk_job_result *result)
{
    note(user, result->job_id.bytes[15], result->accumulators_bytes);
    return result->entry_status;
}

static void add_checkpoint(struct fixture *fixture, int id, int bytes)
{
    db_exec(fixture,
            "WITH m AS (SELECT convert_to(left(repeat('state %d ', %d), %d), 'UTF8') AS bytes)"
            " INSERT INTO pgkeeper.checkpoint (cluster_id, job_id, checkpoint_id, metadata, sha256,"
            " pointer, completed_at, op_id)"
            " SELECT '" FIXTURE_CLUSTER
            "', " SQL_JOB(1) ", %d, nullif(bytes, ''),"
                             " CASE WHEN bytes = '' THEN sha256('p') ELSE sha256(bytes) END,"
                             " CASE WHEN bytes = '' THEN 'p' END, now(), gen_random_uuid() FROM m",
            id, bytes / 8 + 1, bytes, id);
}

static pgk_checkpoints *open_store(pgk_ha *ha)
{
    pgk_checkpoints *store = NULL;
    pgk_error err;
    const pgk_checkpoints_options options = {
        .size = sizeof(options), .job_id = job_of(1), .max_retained = 1000};
    STORE_WORKS(&err, pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &store, &err));
    return store;
}

static void test_lists__checkpoints__put_together_at_every_edge_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    static const int sizes[] = {7, 1048575, 1048576, 1048577, 2097152, 2500000, 0, 9};
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct seen all = {.bytes = 0};
    struct seen latest = {.bytes = 0};
    pgk_error err;
    for (int i = 8; i > 0; i--) { /* stored in another order than they are listed */
        add_checkpoint(fixture, i, sizes[i - 1]);
    }
    pgk_checkpoints *store = open_store(ha);
    STORE_WORKS(&err, pgk_checkpoints_all(store, on_checkpoint, &all, &err));
    assert_string_equal(all.text, "1:7 2:1048575 3:1048576 4:1048577 5:2097152 6:2500000 7:0 8:9 ");
    add_checkpoint(fixture, 9, 3000000);
    STORE_WORKS(&err, pgk_checkpoints_latest(store, on_checkpoint, &latest, &err));
    assert_string_equal(latest.text, "9:3000000 ");
    pgk_checkpoints_free(store);
    handle_close(ha);
}

static void add_result(struct fixture *fixture, int job, int bytes)
{
    db_exec(fixture,
            "WITH a AS (SELECT convert_to(left(repeat('sums %d ', %d), %d), 'UTF8') AS bytes)"
            " INSERT INTO pgkeeper.job_result (cluster_id, job_id, state, status,"
            " accumulators, accumulators_sha256)"
            " SELECT '" FIXTURE_CLUSTER "', ('ab' || lpad('%d', 30, '0'))::uuid, 'dirty',"
            " 'FINISHED', nullif(bytes, ''), CASE WHEN bytes <> '' THEN sha256(bytes) END FROM a",
            job, bytes / 7 + 1, bytes, job);
}

static void test_lists__results__put_together_at_every_edge_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    static const int sizes[] = {7, 1048576, 1048577, 0, 2500000, 9};
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct seen seen = {.bytes = 0};
    pgk_job_results *results = NULL;
    pgk_error err;
    for (int i = 6; i > 0; i--) {
        add_result(fixture, i, sizes[i - 1]);
    }
    STORE_WORKS(&err, pgk_ha_job_results(ha, PGK_UNFENCED, &results, &err));
    STORE_WORKS(&err, pgk_job_results_list_dirty(results, on_result, &seen, &err));
    assert_string_equal(seen.text, "1:7 2:1048576 3:1048577 4:0 5:2500000 6:9 ");
    pgk_job_results_free(results);
    handle_close(ha);
}

static long peak_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void test_lists__many_large_checkpoints__memory_for_one(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct seen seen = {.bytes = 0};
    pgk_error err;
    for (int i = 1; i <= LARGE_COUNT; i++) {
        add_checkpoint(fixture, i, LARGE);
    }
    pgk_checkpoints *store = open_store(ha);
    long before = peak_kb();
    STORE_WORKS(&err, pgk_checkpoints_all(store, on_checkpoint, &seen, &err));
    long grown = peak_kb() - before;
    assert_int_equal(seen.bytes, (int64_t)LARGE * LARGE_COUNT);
#ifndef PGK_TEST_SANITIZED /* those keep what is freed */
    assert_in_range(grown, 0, LARGE / 1024 + 8 * 1024);
#else
    (void)grown;
#endif
    pgk_checkpoints_free(store);
    handle_close(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_lists__many_large_checkpoints__memory_for_one), /* first: the peak stays */
        DB_TEST(test_lists__checkpoints__put_together_at_every_edge_and_in_order),
        DB_TEST(test_lists__results__put_together_at_every_edge_and_in_order),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
