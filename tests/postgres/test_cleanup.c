/*
 * tests/postgres/test_cleanup.c - cleaning up one job, or all of a cluster id: what goes, what stays,
 * and closing with it.
 */
#include <stdio.h>

#include "proxy.h"
#include "store_tools.h"

/* Rows of a cluster in all tables of the stores. */
static int64_t rows_of(struct fixture *fixture, const char *cluster)
{
    return db_int(fixture,
                  "SELECT count(*) FROM (SELECT cluster_id FROM pgkeeper.job_graph"
                  " UNION ALL SELECT cluster_id FROM pgkeeper.job_result"
                  " UNION ALL SELECT cluster_id FROM pgkeeper.job_status"
                  " UNION ALL SELECT cluster_id FROM pgkeeper.checkpoint"
                  " UNION ALL SELECT cluster_id FROM pgkeeper.checkpoint_counter) x"
                  " WHERE cluster_id = '%s'",
                  cluster);
}

/* The known state also of another cluster. */
static void two_clusters(struct fixture *fixture)
{
    static const char *const tables[] = {"job_graph", "job_result", "job_status", "checkpoint",
                                         "checkpoint_counter"};
    known_state(fixture);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        db_exec(fixture,
                "CREATE TEMP TABLE copied AS SELECT * FROM pgkeeper.%s;"
                " UPDATE copied SET cluster_id = 'meadow';"
                " INSERT INTO pgkeeper.%s SELECT * FROM copied; DROP TABLE copied",
                tables[i], tables[i]);
    }
}

static void test_cleanup__one_job__every_trace_but_its_result(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_uuid one = job_of(1);
    pgk_uuid nobody = job_of(77);
    int64_t dropped = -1;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    two_clusters(fixture);
    db_exec(fixture, "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status)"
                     " VALUES ('" FIXTURE_CLUSTER "', " SQL_JOB(1) ", 'FAILED')");
    db_exec(fixture, "UPDATE pgkeeper.job_graph SET requirements = 'r',"
                     " requirements_sha256 = sha256('r')");
    int64_t others = rows_of(fixture, "meadow");
    STORE_WORKS(&err, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &one, &dropped, &err));
    assert_int_equal(dropped, 1);                               /* 2 was discarding */
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 1 + 2); /* its result, and jobs 2 and 3 */
    assert_int_equal(db_int(fixture,
                            "SELECT count(*) FROM pgkeeper.job_result"
                            " WHERE cluster_id = '" FIXTURE_CLUSTER "' AND job_id = " SQL_JOB(1)),
                     1);
    assert_int_equal(rows_of(fixture, "meadow"), others);
    STORE_WORKS(&err, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &one, &dropped, &err)); /* idempotent */
    assert_int_equal(dropped, 0);
    STORE_WORKS(&err, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &nobody, NULL, &err));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 3);
    handle_close(ha);
}

static void test_cleanup__one_job__its_leader_record_too(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_uuid one = job_of(1);
    struct recorder *recorder = recorder_new();
    struct part master = {0};
    struct part dispatcher = {0};
    char component[PGK_JOB_COMPONENT_SIZE];
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_component_of_job(&one, component);
    part_contend(&master, recorder, ha, component, NULL);
    part_granted(&master);
    part_confirm(&master, "here");
    part_contend(&dispatcher, recorder, ha, "dispatcher", NULL);
    part_granted(&dispatcher);
    part_confirm(&dispatcher, "there");
    part_free(&master); /* the job is over */
    STORE_WORKS(&err, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &one, NULL, &err));
    db_wait(fixture, "dispatcher", WAIT_LONG_MS,
            "SELECT string_agg(component, ',') FROM pgkeeper.leader");
    part_free(&dispatcher);
    handle_close(ha);
    recorder_free(recorder);
}

static void test_cleanup__one_job_that_fails__is_all_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_uuid one = job_of(1);
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    known_state(fixture);
    db_exec(fixture, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE 'no' USING ERRCODE = 'P0001'; END $$;"
                     " CREATE TRIGGER refuse BEFORE DELETE ON pgkeeper.job_status"
                     " FOR EACH ROW EXECUTE FUNCTION refuse()");
    char before[64];
    snprintf(before, sizeof(before), "%s", rows_digest(fixture));
    STORE_FAILS(PGK_ERR_DATABASE, &err, pgk_ha_cleanup_job(ha, PGK_UNFENCED, &one, NULL, &err));
    assert_string_equal(rows_digest(fixture), before);
    handle_close(ha);
}

static void test_cleanup__all__this_cluster_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    int64_t removed = -1;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    two_clusters(fixture);
    int64_t mine = rows_of(fixture, FIXTURE_CLUSTER);
    int64_t others = rows_of(fixture, "meadow");
    STORE_WORKS(&err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err));
    assert_int_equal(removed, mine);
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 0);
    assert_int_equal(rows_of(fixture, "meadow"), others);
    STORE_WORKS(&err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err));
    assert_int_equal(removed, 0);
    STORE_WORKS(&err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &err));
    handle_close(ha);
}

static void test_cleanup__more_than_a_batch__all_of_it(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    int64_t removed = -1;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    db_exec(fixture, "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status)"
                     " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), 'FAILED'"
                     " FROM generate_series(1, 1700)");
    db_exec(fixture, "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
                     " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), 'g', sha256('g')"
                     " FROM generate_series(1, 1300)");
    STORE_WORKS(&err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err));
    assert_int_equal(removed, 3000);
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 0);
    handle_close(ha);
}

/* Results, and `times` deletes of one do nothing: as if another session had been faster, or had
 * written it again. */
static void beside_others(struct fixture *fixture, int results, int times)
{
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_result (cluster_id, job_id, status)"
            " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), 'FAILED'"
            " FROM generate_series(1, %d);"
            " CREATE SEQUENCE missed;"
            " CREATE FUNCTION miss() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$ BEGIN RETURN CASE WHEN nextval('public.missed') > %d THEN OLD END; END $$;"
            " CREATE TRIGGER a_miss BEFORE DELETE ON pgkeeper.job_result"
            " FOR EACH ROW EXECUTE FUNCTION miss()",
            results, times);
}

static void test_cleanup__rows_that_others_remove__are_not_the_end_of_it(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    int64_t removed = -1;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    beside_others(fixture, 1700, 1);
    STORE_WORKS(&err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err));
    assert_int_equal(removed, 1700);
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 0);
    handle_close(ha);
}

static void test_cleanup__others_that_go_on_writing__are_a_conflict_in_the_end(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    beside_others(fixture, 1, 1000000000);
    STORE_FAILS(PGK_ERR_CONFLICT, &err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &err));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 1);
    handle_close(ha);
}

/* Results go last: while any row of a job that has ended is there, so is its result. */
static void test_cleanup__all_that_fails_in_the_middle__points_to_nothing_removed(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    int64_t removed = -1;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    known_state(fixture);
    db_exec(fixture, "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
                     " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), 'g', sha256('g')"
                     " FROM generate_series(1, 1500)");
    db_exec(fixture, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE 'no' USING ERRCODE = 'P0001'; END $$;"
                     " CREATE TRIGGER refuse BEFORE DELETE ON pgkeeper.job_status"
                     " FOR EACH ROW EXECUTE FUNCTION refuse()");
    STORE_FAILS(PGK_ERR_DATABASE, &err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err));
    assert_int_equal(removed, 1000); /* the first batch, which stays done */
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 501);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_result"), 2);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.checkpoint"), 2);
    db_exec(fixture, "DROP TRIGGER refuse ON pgkeeper.job_status");
    STORE_WORKS(&err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err)); /* goes on */
    assert_int_equal(removed, 501 + 2 + 1 + 1 + 2);
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 0);
    handle_close(ha);
}

static void test_cleanup__all__keeps_epochs_and_the_records_of_who_leads(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    struct chief chief;
    chief_open(&chief, fixture);
    part_confirm(&chief.part, "here");
    db_exec(fixture, "INSERT INTO pgkeeper.leader (cluster_id, component, group_name, epoch)"
                     " VALUES ('" FIXTURE_CLUSTER "', 'old', 'nobody', 1)");
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    int64_t history = db_int(fixture, "SELECT count(*) FROM pgkeeper.leader_history");
    STORE_WORKS(&err, pgk_ha_cleanup_all(chief.ha, &chief.token, NULL, &err));
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leader_history"), history);
    assert_string_equal(db_text(fixture, "SELECT string_agg(component, ',')"
                                         " FROM pgkeeper.leader"),
                        "dispatcher");
    assert_true(pgk_election_has_leadership(chief.part.election, &chief.part.session_id));
    chief_close(&chief);
}

/* ------------------------------------------------------------------ closing with it */

static void test_cleanup__close_with_and_without__closes_always(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    known_state(fixture);
    int64_t rows = rows_of(fixture, FIXTURE_CLUSTER);
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    STORE_WORKS(&err, pgk_ha_close_with_optional_cleanup(ha, false, NULL, &err));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), rows);
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &err));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), rows);
    pgk_ha_free(ha);
    ha = handle_open(fixture, "a", NULL);
    STORE_WORKS(&err, pgk_ha_close_with_optional_cleanup(ha, true, PGK_UNFENCED, &err));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 0);
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper%%'"
            " AND datname = current_database()");
    pgk_ha_free(ha);
}

static void test_cleanup__close_with_one_that_fails__closes_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    struct chief chief;
    chief_open(&chief, fixture);
    chief_depose(&chief, fixture);
    known_state(fixture);
    int64_t rows = rows_of(fixture, FIXTURE_CLUSTER);
    pgk_ha *ha = handle_open(fixture, "late", NULL);
    STORE_FAILS(PGK_ERR_FENCED, &err,
                pgk_ha_close_with_optional_cleanup(ha, true, &chief.token, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &err));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), rows);
    pgk_ha_free(ha);
    ha = handle_open(fixture, "late", NULL);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_ha_close_with_optional_cleanup(ha, true, NULL, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &err));
    pgk_ha_free(ha);
    chief_close(&chief);
}

/* The network is gone: nothing is cleaned up, and the leadership cannot be given back either. */
static void test_cleanup__close_with_one_that_fails_as_the_close_does__names_both(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    struct recorder *recorder = recorder_new();
    struct part part = {.hook = NULL};
    pgk_token token;
    pgk_error err;
    pgk_ha *ha = handle_open(fixture, "a", "high-availability.postgres.uri", conninfo,
                             "high-availability.postgres.statement-timeout", "500 ms", NULL);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_granted(&part);
    STORE_WORKS(&err, pgk_election_token(part.election, &token, &err));
    known_state(fixture);
    int64_t rows = rows_of(fixture, FIXTURE_CLUSTER);
    proxy_cut(proxy, PROXY_CUT_BOTH);
    pgk_status status = pgk_ha_close_with_optional_cleanup(ha, true, &token, &err);
    /* Its status and its words come first. */
    assert_int_equal(status, PGK_ERR_TIMEOUT);
    assert_int_equal(err.status, PGK_ERR_TIMEOUT);
    assert_non_null(strstr(err.message, "did not answer in time; and closing failed: resigning: "));
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), rows);
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_all(ha, PGK_UNFENCED, NULL, &err));
    part_free(&part);
    pgk_ha_free(ha);
    recorder_free(recorder);
}

static void test_cleanup__bad_arguments__are_named_and_nothing_goes(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_token zero = {.epoch = 0};
    pgk_uuid one = job_of(1);
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *client = handle_open_client(fixture, "c", NULL);
    known_state(fixture);
    char before[64];
    snprintf(before, sizeof(before), "%s", rows_digest(fixture));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_ha_cleanup_job(NULL, PGK_UNFENCED, &one, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_cleanup_job(ha, NULL, &one, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_cleanup_job(ha, &zero, &one, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_ha_cleanup_job(ha, PGK_UNFENCED, NULL, NULL, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                pgk_ha_cleanup_job(client, PGK_UNFENCED, &one, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_cleanup_all(NULL, PGK_UNFENCED, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_cleanup_all(ha, NULL, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_cleanup_all(ha, &zero, NULL, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_cleanup_all(client, PGK_UNFENCED, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_ha_close_with_optional_cleanup(NULL, true, PGK_UNFENCED, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_ha_close_with_optional_cleanup(NULL, false, NULL, &err));
    assert_string_equal(rows_digest(fixture), before);
    handle_close(client);
    handle_close(ha);
}

/* All rows together take longer than a statement may: smaller batches. */
static void test_cleanup__all_with_rows_that_take_long__smaller_batches(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    int64_t removed = 0;
    db_exec(fixture, "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                     " PERFORM pg_sleep(0.03); RETURN OLD; END $$;"
                     "CREATE TRIGGER slow BEFORE DELETE ON pgkeeper.job_graph"
                     " FOR EACH ROW EXECUTE FUNCTION public.slow();"
                     "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
                     " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), 'g', sha256('g')"
                     " FROM generate_series(1, 60)");
    pgk_ha *ha =
        handle_open(fixture, "a", "high-availability.postgres.statement-timeout", "1200 ms", NULL);
    assert_int_equal(pgk_ha_cleanup_all(ha, PGK_UNFENCED, &removed, &err), PGK_OK);
    assert_int_equal(removed, 60);
    assert_int_equal(rows_of(fixture, FIXTURE_CLUSTER), 0);
    handle_close(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_cleanup__one_job__every_trace_but_its_result),
        DB_TEST(test_cleanup__one_job__its_leader_record_too),
        DB_TEST(test_cleanup__one_job_that_fails__is_all_or_nothing),
        DB_TEST(test_cleanup__all__this_cluster_and_no_other),
        DB_TEST(test_cleanup__more_than_a_batch__all_of_it),
        DB_TEST(test_cleanup__rows_that_others_remove__are_not_the_end_of_it),
        DB_TEST(test_cleanup__others_that_go_on_writing__are_a_conflict_in_the_end),
        DB_TEST(test_cleanup__all_that_fails_in_the_middle__points_to_nothing_removed),
        DB_TEST(test_cleanup__all__keeps_epochs_and_the_records_of_who_leads),
        DB_TEST(test_cleanup__close_with_and_without__closes_always),
        DB_TEST(test_cleanup__close_with_one_that_fails__closes_all_the_same),
        DB_TEST(test_cleanup__close_with_one_that_fails_as_the_close_does__names_both),
        DB_TEST(test_cleanup__bad_arguments__are_named_and_nothing_goes),
        DB_TEST(test_cleanup__all_with_rows_that_take_long__smaller_batches),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
