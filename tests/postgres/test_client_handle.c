/*
 * tests/postgres/test_client_handle.c - what a handle that only follows may do with the stores: job graphs and blobs,
 * under the same fence as everybody; what a leader alone needs is refused.
 */
#include <stdio.h>

#include "store_tools.h"

static pgk_status on_discard(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    (void)checkpoint;
    return PGK_OK;
}

static void
test_client_handle__what_a_leader_alone_needs__is_refused_and_nothing_written(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    pgk_error err;
    pgk_uuid job = job_of(1);
    int64_t left = 0;
    pgk_election *election = NULL;
    pgk_job_results *results = NULL;
    pgk_job_registry *registry = NULL;
    pgk_checkpoints *checkpoints = NULL;
    pgk_checkpoint_counter *counter = NULL;
    const pgk_checkpoints_options options = {
        .size = sizeof(options), .job_id = job, .max_retained = 1};
    chief_open(&chief, fixture);
    known_state(fixture);
    char before[64];
    snprintf(before, sizeof(before), "%s", rows_digest(fixture));
    pgk_ha *ha = handle_open_client(fixture, "client", NULL);
    const pgk_token *const tokens[] = {PGK_UNFENCED, &chief.token};
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_election(ha, "dispatcher", &election, &err));
    for (size_t i = 0; i < 2; i++) {
        const pgk_token *token = tokens[i];
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_job_results(ha, token, &results, &err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_job_registry(ha, token, &registry, &err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                    pgk_ha_checkpoints(ha, token, &options, &checkpoints, &err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                    pgk_ha_checkpoint_counter(ha, token, &job, &counter, &err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                    pgk_ha_discard_pending(ha, token, NULL, on_discard, NULL, &left, &err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_job(ha, token, &job, NULL, &err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_all(ha, token, NULL, &err));
    }
    assert_string_equal(rows_digest(fixture), before);
    handle_close(ha);
    chief_close(&chief);
}

static pgk_status put(pgk_ha *ha, const pgk_token *token, int number, pgk_error *err)
{
    pgk_job_graphs *graphs = NULL;
    pgk_uuid job = job_of(number);
    pgk_status status = pgk_ha_job_graphs(ha, token, &graphs, err);
    if (status == PGK_OK) {
        status = pgk_job_graphs_start(graphs, NULL, err);
    }
    if (status == PGK_OK) {
        status = pgk_job_graphs_put(graphs, &job, "g", 1, err);
    }
    pgk_job_graphs_free(graphs);
    return status;
}

static pgk_status add_blob(pgk_ha *ha, const pgk_token *token, pgk_error *err)
{
    const pgk_blob_source source = {.size = sizeof(source), .data = "blob", .data_bytes = 4};
    pgk_blob_key key;
    pgk_blobs *blobs = NULL;
    pgk_uuid job = job_of(1);
    pgk_status status = pgk_ha_blobs(ha, token, &blobs, err);
    if (status == PGK_OK) {
        status = pgk_blobs_add(blobs, &job, PGK_BLOB_PERMANENT, &source, &key, err);
    }
    pgk_blobs_free(blobs);
    return status;
}

static void test_client_handle__graphs_and_blobs__are_behind_the_same_fence(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    pgk_error err;
    const pgk_token zero = {.epoch = 0};
    chief_open(&chief, fixture);
    pgk_ha *ha = handle_open_client(fixture, "client", NULL);
    /* No token of its own, and none is no licence. */
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, put(ha, NULL, 1, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, put(ha, &zero, 1, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, add_blob(ha, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, add_blob(ha, &zero, &err));
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    /* That of a leader, handed to it, is as good as with him; who says that there is no fence gets epoch 0. */
    STORE_WORKS(&err, put(ha, &chief.token, 1, &err));
    STORE_WORKS(&err, put(ha, PGK_UNFENCED, 2, &err));
    STORE_WORKS(&err, add_blob(ha, &chief.token, &err));
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.job_graph WHERE job_id ="
                                     " " SQL_JOB(1)),
                     chief.token.epoch);
    assert_int_equal(
        db_int(fixture, "SELECT epoch FROM pgkeeper.job_graph WHERE job_id = " SQL_JOB(2)), 0);
    const pgk_token old = chief.token;
    chief_depose(&chief, fixture);
    STORE_FAILS(PGK_ERR_FENCED, &err, put(ha, &old, 3, &err));
    STORE_FAILS(PGK_ERR_FENCED, &err, add_blob(ha, &old, &err));
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 2);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.blob"), 1);
    handle_close(ha);
    chief_close(&chief);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_client_handle__what_a_leader_alone_needs__is_refused_and_nothing_written),
        DB_TEST(test_client_handle__graphs_and_blobs__are_behind_the_same_fence),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
