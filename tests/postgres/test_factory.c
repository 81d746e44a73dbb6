/*
 * tests/postgres/test_factory.c - the factories on a real server: ways to open, and elections and retrievers by the name
 * of a service.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder.h"
#include "scratch.h"

static const pgk_uuid job = {{0xAB, 1}};
static atomic_int grants;

static void count_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)session_id;
    (void)epoch;
    atomic_fetch_add((atomic_int *)user, 1);
}

static void ignore_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
}

static void ignore_leader(void *user, const pgk_leader *leader)
{
    (void)user;
    (void)leader;
}

/* By its name a service is the component: two contenders for one are refused, and who follows it by another
 * spelling sees its leader. */
static void lead_and_follow(pgk_ha *ha, pgk_ha *client, const char *service, const char *followed,
                            const pgk_uuid *job_id, const char *component)
{
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_election *second = NULL;
    pgk_retriever *retriever = NULL;
    pgk_leader leader;
    const pgk_contender contender = {
        .size = sizeof(contender), .user = &grants, .grant = count_grant, .revoke = ignore_revoke};
    part_contend(&part, recorder, ha, component, NULL);
    part_granted(&part);
    part_confirm(&part, component);
    assert_int_equal(pgk_ha_service_election(ha, service, job_id, &second, NULL), PGK_OK);
    assert_int_equal(pgk_election_start(second, &contender, NULL), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_ha_service_retriever(client, followed, job_id, &retriever, NULL), PGK_OK);
    assert_int_equal(pgk_retriever_start(retriever, ignore_leader, NULL, NULL), PGK_OK);
    WAIT_UNTIL(pgk_retriever_get(retriever, &leader, NULL) == PGK_OK, WAIT_LONG_MS);
    assert_string_equal(leader.address, component);
    pgk_retriever_free(retriever);
    pgk_election_free(second);
    part_free(&part);
    recorder_free(recorder);
}

static void test_factory__services_by_name__are_those_components(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *client = handle_open_client(fixture, "b", NULL);
    char component[PGK_SERVICE_COMPONENT_SIZE];
    lead_and_follow(ha, client, "resource manager", "ResourceManager", NULL,
                    PGK_COMPONENT_RESOURCE_MANAGER);
    lead_and_follow(ha, client, "dispatcher", "DISPATCHER", NULL, PGK_COMPONENT_DISPATCHER);
    lead_and_follow(ha, client, "rest_endpoint", "web monitor", NULL, PGK_COMPONENT_REST_ENDPOINT);
    assert_int_equal(pgk_service_component("job master", &job, component, NULL), PGK_OK);
    lead_and_follow(ha, client, "job master", "JobManager", &job, component);
    handle_close(client);
    handle_close(ha);
}

static void test_factory__election_and_retriever_by_name__work_as_any(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    pgk_token token;
    pgk_leader leader;
    const pgk_contender contender = {
        .size = sizeof(contender), .user = &grants, .grant = count_grant, .revoke = ignore_revoke};
    atomic_store(&grants, 0);
    assert_int_equal(pgk_ha_service_election(ha, "web monitor", NULL, &election, NULL), PGK_OK);
    assert_int_equal(pgk_ha_service_retriever(ha, "rest endpoint", NULL, &retriever, NULL), PGK_OK);
    assert_int_equal(pgk_election_start(election, &contender, NULL), PGK_OK);
    assert_int_equal(pgk_retriever_start(retriever, ignore_leader, NULL, NULL), PGK_OK);
    WAIT_UNTIL(atomic_load(&grants) == 1, WAIT_LONG_MS);
    assert_int_equal(pgk_election_token(election, &token, NULL), PGK_OK);
    assert_int_equal(pgk_election_confirm(election, &token.session_id, "http://here", NULL),
                     PGK_OK);
    WAIT_UNTIL(pgk_retriever_get(retriever, &leader, NULL) == PGK_OK, WAIT_LONG_MS);
    assert_string_equal(leader.address, "http://here");
    assert_int_equal(pgk_uuid_compare(&leader.session_id, &token.session_id), 0);
    pgk_retriever_free(retriever);
    pgk_election_free(election);
    handle_close(ha);
}

/* In postgres mode all ways to open are the one, and the addresses of fixed leaders are not looked at. */
static void test_factory__all_ways_to_open__reach_the_database(void **state)
{
    struct fixture *fixture = *state;
    pgk_config *config =
        handle_config(fixture, "a", "jobmanager.rpc.address", "not a host", "rest.port", "0", NULL);
    pgk_election *election = NULL;
    pgk_ha *ha = NULL;
    pgk_error err;
    assert_int_equal(pgk_ha_open_or_embedded(config, &ha, &err), PGK_OK);
    handle_close(ha);
    assert_int_equal(pgk_ha_open_resolving(config, PGK_RESOLVE_NAMES, &ha, &err), PGK_OK);
    assert_int_equal(pgk_ha_service_election(ha, "dispatcher", NULL, &election, &err), PGK_OK);
    pgk_election_free(election);
    handle_close(ha);
    assert_int_equal(pgk_ha_open_client_resolving(config, PGK_RESOLVE_NAMES, &ha, &err), PGK_OK);
    assert_int_equal(pgk_ha_service_election(ha, "dispatcher", NULL, &election, &err),
                     PGK_ERR_ILLEGAL_STATE);
    handle_close(ha);
    pgk_config_free(config);
}

static void count_warning(void *user, pgk_log_level level, const char *context, const char *message)
{
    if (level == PGK_LOG_WARNING && strcmp(context, "config") == 0 &&
        strstr(message, "line 1: high-availability.storageDir has no effect here") != NULL) {
        atomic_fetch_add((atomic_int *)user, 1);
    }
}

static void test_factory__opening__tells_the_log_what_has_no_effect(void **state)
{
    struct fixture *fixture = *state;
    static const char line[] = "high-availability.storageDir: s3://x\n";
    char path[] = "/tmp/pgk_factory_XXXXXX";
    atomic_int warnings = 0;
    pgk_ha *ha = NULL;
    scratch_file(path, line, strlen(line));
    pgk_config *config = handle_config(fixture, "a", NULL);
    pgk_config_set_log(config, count_warning, &warnings);
    assert_int_equal(pgk_config_load_file(config, path, NULL), PGK_OK);
    unlink(path);
    assert_int_equal(atomic_load(&warnings), 0);
    assert_int_equal(pgk_ha_open(config, &ha, NULL), PGK_OK);
    assert_int_equal(atomic_load(&warnings), 1);
    handle_close(ha);
    pgk_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_factory__services_by_name__are_those_components),
        DB_TEST(test_factory__election_and_retriever_by_name__work_as_any),
        DB_TEST(test_factory__opening__tells_the_log_what_has_no_effect),
        DB_TEST(test_factory__all_ways_to_open__reach_the_database),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
