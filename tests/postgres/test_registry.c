/*
 * tests/postgres/test_registry.c - the running jobs registry: contracts of its calls, what other handles
 * see, bad arguments and calls after the end.
 */
#include "store_tools.h"

static pgk_scheduling_status status_of(pgk_job_registry *registry, int job)
{
    pgk_error err;
    pgk_uuid id = job_of(job);
    pgk_scheduling_status status = (pgk_scheduling_status)-1;
    STORE_WORKS(&err, pgk_job_registry_get(registry, &id, &status, &err));
    return status;
}

static void test_registry__one_job__goes_from_pending_to_done_and_back(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *other_ha = handle_open(fixture, "b", NULL);
    pgk_job_registry *registry;
    pgk_job_registry *other;
    pgk_error err;
    pgk_uuid job = job_of(1);
    STORE_WORKS(&err, pgk_ha_job_registry(ha, PGK_UNFENCED, &registry, &err));
    STORE_WORKS(&err, pgk_ha_job_registry(other_ha, PGK_UNFENCED, &other, &err));
    assert_int_equal(status_of(registry, 1), PGK_SCHEDULING_PENDING);
    STORE_WORKS(&err, pgk_job_registry_clear(registry, &job, &err)); /* unknown: fine */
    STORE_WORKS(&err, pgk_job_registry_set_running(registry, &job, &err));
    STORE_WORKS(&err, pgk_job_registry_set_running(registry, &job, &err));
    assert_int_equal(status_of(registry, 1), PGK_SCHEDULING_RUNNING);
    assert_int_equal(status_of(other, 1), PGK_SCHEDULING_RUNNING);
    STORE_WORKS(&err, pgk_job_registry_set_finished(other, &job, &err));
    assert_int_equal(status_of(registry, 1), PGK_SCHEDULING_DONE);
    STORE_WORKS(&err, pgk_job_registry_set_running(registry, &job, &err)); /* unconditional */
    assert_int_equal(status_of(other, 1), PGK_SCHEDULING_RUNNING);
    assert_int_equal(status_of(other, 2), PGK_SCHEDULING_PENDING);
    STORE_WORKS(&err, pgk_job_registry_clear(registry, &job, &err));
    STORE_WORKS(&err, pgk_job_registry_clear(registry, &job, &err));
    assert_int_equal(status_of(other, 1), PGK_SCHEDULING_PENDING);
    /* A job that never ran may be done. */
    STORE_WORKS(&err, pgk_job_registry_set_finished(registry, &job, &err));
    assert_int_equal(status_of(other, 1), PGK_SCHEDULING_DONE);
    pgk_job_registry_free(registry);
    pgk_job_registry_free(other);
    handle_close(ha);
    handle_close(other_ha);
}

static void test_registry__another_cluster__sees_nothing(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *other_ha = handle_open(fixture, "b", "high-availability.cluster-id", "meadow", NULL);
    pgk_job_registry *registry;
    pgk_job_registry *other;
    pgk_error err;
    pgk_uuid job = {{0}}; /* any id will do */
    STORE_WORKS(&err, pgk_ha_job_registry(ha, PGK_UNFENCED, &registry, &err));
    STORE_WORKS(&err, pgk_ha_job_registry(other_ha, PGK_UNFENCED, &other, &err));
    STORE_WORKS(&err, pgk_job_registry_set_running(registry, &job, &err));
    assert_int_equal(status_of(registry, 0), PGK_SCHEDULING_RUNNING);
    assert_int_equal(status_of(other, 0), PGK_SCHEDULING_PENDING);
    STORE_WORKS(&err, pgk_job_registry_clear(other, &job, &err));
    assert_int_equal(status_of(registry, 0), PGK_SCHEDULING_RUNNING);
    pgk_job_registry_free(registry);
    pgk_job_registry_free(other);
    handle_close(ha);
    handle_close(other_ha);
}

struct seen {
    int count;
    int jobs[8];
    pgk_scheduling_status statuses[8];
    pgk_status answer; /* from the second on */
    pgk_ha *closes;
};

static pgk_status see(void *user, const pgk_uuid *job_id, pgk_scheduling_status status)
{
    struct seen *seen = user;
    if (seen->count < 8) {
        seen->jobs[seen->count] = job_id->bytes[15];
        seen->statuses[seen->count] = status;
    }
    seen->count++;
    if (seen->closes != NULL) {
        pgk_ha_close(seen->closes, NULL);
    }
    return seen->count > 1 ? seen->answer : PGK_OK;
}

static void test_registry__list__is_ascending_and_ends_when_told(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_registry *registry;
    pgk_error err;
    struct seen seen = {0};
    STORE_WORKS(&err, pgk_ha_job_registry(ha, PGK_UNFENCED, &registry, &err));
    STORE_WORKS(&err, pgk_job_registry_list(registry, see, &seen, &err));
    assert_int_equal(seen.count, 0);
    for (int job = 5; job > 1; job--) {
        pgk_uuid id = job_of(job);
        STORE_WORKS(&err, pgk_job_registry_set_running(registry, &id, &err));
        if (job == 3) {
            STORE_WORKS(&err, pgk_job_registry_set_finished(registry, &id, &err));
        }
    }
    STORE_WORKS(&err, pgk_job_registry_list(registry, see, &seen, &err));
    assert_int_equal(seen.count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(seen.jobs[i], i + 2);
        assert_int_equal(seen.statuses[i], i == 1 ? PGK_SCHEDULING_DONE : PGK_SCHEDULING_RUNNING);
    }
    seen = (struct seen){.answer = PGK_ERR_IO};
    STORE_FAILS(PGK_ERR_IO, &err, pgk_job_registry_list(registry, see, &seen, &err));
    assert_int_equal(seen.count, 2);
    /* The session that was left in the middle does no harm. */
    assert_int_equal(status_of(registry, 5), PGK_SCHEDULING_RUNNING);
    seen = (struct seen){.closes = ha};
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_job_registry_list(registry, see, &seen, &err));
    assert_int_equal(seen.count, 1);
    pgk_job_registry_free(registry);
    pgk_ha_free(ha);
}

static void test_registry__bad_arguments__are_named_and_nothing_is_written(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *client = handle_open_client(fixture, "c", NULL);
    pgk_job_registry *registry = NULL;
    pgk_error err;
    pgk_token zero = {.epoch = 0};
    pgk_token copy = *PGK_UNFENCED;
    pgk_uuid job = job_of(1);
    pgk_scheduling_status status = (pgk_scheduling_status)77;
    struct seen seen = {0};
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_job_registry(ha, NULL, &registry, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_job_registry(ha, &zero, &registry, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_job_registry(ha, &copy, &registry, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_job_registry(ha, PGK_UNFENCED, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_ha_job_registry(NULL, PGK_UNFENCED, &registry, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                pgk_ha_job_registry(client, PGK_UNFENCED, &registry, &err));
    assert_null(registry);
    STORE_WORKS(&err, pgk_ha_job_registry(ha, PGK_UNFENCED, &registry, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_job_registry_set_running(registry, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_job_registry_set_running(NULL, &job, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_job_registry_set_finished(registry, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_job_registry_clear(registry, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_job_registry_get(registry, &job, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_job_registry_get(registry, NULL, &status, &err));
    assert_int_equal(status, 77);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_job_registry_list(registry, NULL, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_job_registry_list(NULL, see, &seen, &err));
    assert_int_equal(pgk_job_registry_set_running(NULL, NULL, NULL), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_status"), 0);
    pgk_job_registry_free(NULL);
    pgk_job_registry_free(registry);
    handle_close(client);
    handle_close(ha);
}

static void test_registry__closed_handle__illegal_state(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_registry *registry = NULL;
    pgk_job_registry *late = NULL;
    pgk_error err;
    pgk_uuid job = job_of(1);
    pgk_scheduling_status status;
    struct seen seen = {0};
    STORE_WORKS(&err, pgk_ha_job_registry(ha, PGK_UNFENCED, &registry, &err));
    STORE_WORKS(&err, pgk_ha_close(ha, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_job_registry_set_running(registry, &job, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_job_registry_get(registry, &job, &status, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_job_registry_list(registry, see, &seen, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_job_registry(ha, PGK_UNFENCED, &late, &err));
    pgk_ha_free(ha); /* the store outlives it */
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_job_registry_clear(registry, &job, &err));
    pgk_job_registry_free(registry);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_status"), 0);
}

static void test_registry__words__are_those_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(pgk_scheduling_status_text(PGK_SCHEDULING_PENDING), "PENDING");
    assert_string_equal(pgk_scheduling_status_text(PGK_SCHEDULING_RUNNING), "RUNNING");
    assert_string_equal(pgk_scheduling_status_text(PGK_SCHEDULING_DONE), "DONE");
    assert_string_equal(pgk_scheduling_status_text((pgk_scheduling_status)9), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_registry__one_job__goes_from_pending_to_done_and_back),
        DB_TEST(test_registry__another_cluster__sees_nothing),
        DB_TEST(test_registry__list__is_ascending_and_ends_when_told),
        DB_TEST(test_registry__bad_arguments__are_named_and_nothing_is_written),
        DB_TEST(test_registry__closed_handle__illegal_state),
        cmocka_unit_test(test_registry__words__are_those_of_the_header),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
