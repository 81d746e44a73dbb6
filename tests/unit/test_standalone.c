/*
 * The standalone mode: one master, which leads from its start, and leaders where the configuration says. No server.
 */
#include <pgkeeper/pgkeeper.h>

#include <stdlib.h>

#include "backend/embedded/shelf.h"
#include "completions.h"
#include "inproc.h"
#include "services/handle.h"

#define DISPATCHER PGK_COMPONENT_DISPATCHER
#define REST PGK_COMPONENT_REST_ENDPOINT

static const pgk_uuid nobody;

static pgk_ha *open_at(const char *type, const char *host, const char *port)
{
    return inproc_open(type, "/default", "jobmanager.rpc.address", host, "jobmanager.rpc.port",
                       port, NULL);
}

static void test_standalone__started__is_granted_at_once_with_the_default_id(void **state)
{
    static const char *const types[] = {"standalone", "none"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct member *member = member_new(inproc_open(types[i], "/default", NULL));
        struct actor *a = &member->a[0];
        pgk_token token;
        actor_contend(a, member->ha, DISPATCHER, NULL);
        assert_true(pgk_election_has_leadership(a->election, &nobody)); /* already */
        ACTOR_WAIT(a, TAPE_GRANT, 1);
        struct tape_event grant = actor_last(a, TAPE_GRANT);
        assert_int_equal(grant.epoch, 0);
        assert_int_equal(pgk_uuid_compare(&grant.session_id, &nobody), 0);
        assert_int_equal(pgk_election_token(a->election, &token, NULL), PGK_OK);
        assert_int_equal(token.epoch, 0);
        assert_int_equal(pgk_election_deadline_ns(a->election, &nobody), INT64_MAX);
        assert_int_equal(pgk_election_close(a->election, NULL), PGK_OK);
        assert_int_equal(actor_count(a, TAPE_REVOKE), 1);
        assert_false(pgk_election_has_leadership(a->election, &nobody));
        member_free(member);
    }
}

static void test_standalone__second_start__is_an_illegal_state(void **state)
{
    (void)state;
    struct member *member = member_new(inproc_open("standalone", "/default", NULL));
    struct actor *a = &member->a[0];
    pgk_contender contender = actor_contender(a);
    pgk_election *other = NULL;
    pgk_error err;
    actor_contend(a, member->ha, DISPATCHER, NULL);
    assert_int_equal(pgk_election_start(a->election, &contender, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_ha_election(member->ha, DISPATCHER, &other, &err), PGK_OK);
    assert_int_equal(pgk_election_start(other, &contender, &err), PGK_ERR_ILLEGAL_STATE);
    pgk_election_free(other);
    assert_int_equal(pgk_election_close(a->election, &err), PGK_OK);
    assert_int_equal(pgk_election_start(a->election, &contender, &err), PGK_ERR_ILLEGAL_STATE);
    /* Another component leads in the same tenure. */
    actor_contend(&member->a[1], member->ha, PGK_COMPONENT_RESOURCE_MANAGER, NULL);
    actor_contend(&member->a[2], member->ha, REST, NULL);
    ACTOR_WAIT(&member->a[1], TAPE_GRANT, 1);
    ACTOR_WAIT(&member->a[2], TAPE_GRANT, 1);
    member_free(member);
}

static void test_standalone__confirm__changes_nothing(void **state)
{
    (void)state;
    struct member *member = member_new(open_at("standalone", "master", "6123"));
    struct actor *a = &member->a[0];
    pgk_uuid other;
    pgk_leader seen;
    pgk_uuid_new(&other);
    actor_contend(a, member->ha, DISPATCHER, NULL);
    actor_follow(&member->a[1], member->ha, DISPATCHER);
    assert_int_equal(pgk_election_confirm(a->election, &nobody, "elsewhere", NULL), PGK_OK);
    assert_int_equal(pgk_election_confirm(a->election, &nobody, "elsewhere", NULL), PGK_OK);
    assert_int_equal(pgk_election_confirm(a->election, &other, "elsewhere", NULL), PGK_ERR_FENCED);
    ACTOR_WAIT(&member->a[1], TAPE_LEADER, 1);
    assert_int_equal(pgk_retriever_get(member->a[1].retriever, &seen, NULL), PGK_OK);
    assert_string_equal(seen.address, "master:6123");
    assert_int_equal(pgk_election_close(a->election, NULL), PGK_OK);
    /* Where the leader is does not hang on whether this process contends. */
    assert_int_equal(pgk_retriever_get(member->a[1].retriever, &seen, NULL), PGK_OK);
    assert_int_equal(actor_count(&member->a[1], TAPE_LEADER), 1);
    assert_int_equal(actor_count(&member->a[1], TAPE_NO_LEADER), 0);
    member_free(member);
}

static void test_standalone__resigned__leads_again(void **state)
{
    (void)state;
    struct member *member = member_new(inproc_open("standalone", "/default", NULL));
    actor_contend(&member->a[0], member->ha, DISPATCHER, NULL);
    actor_contend(&member->a[1], member->ha, REST, NULL);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    ACTOR_WAIT(&member->a[1], TAPE_GRANT, 1);
    assert_int_equal(pgk_election_resign(member->a[0].election, NULL), PGK_OK);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 2);
    ACTOR_WAIT(&member->a[1], TAPE_GRANT, 2);
    assert_true(actor_leads(&member->a[0]));
    member_free(member);
}

/* ------------------------------------------------------------------ addresses */

/* "": nothing is told. */
static void expect_address(pgk_ha *ha, const char *component, const char *address)
{
    pgk_retriever *retriever = NULL;
    pgk_leader leader;
    struct tape tape;
    struct actor actor = {.tape = &tape, .name = "a"};
    tape_init(&tape);
    assert_int_equal(pgk_ha_retriever(ha, component, &retriever, NULL), PGK_OK);
    assert_int_equal(pgk_retriever_start(retriever, actor_leader, &actor, NULL), PGK_OK);
    if (address[0] == '\0') {
        assert_int_equal(pgk_retriever_get(retriever, &leader, NULL), PGK_ERR_NOT_FOUND);
    } else {
        assert_int_equal(pgk_retriever_get(retriever, &leader, NULL), PGK_OK); /* at once */
        assert_string_equal(leader.address, address);
        assert_int_equal(leader.epoch, 0);
        assert_int_equal(pgk_uuid_compare(&leader.session_id, &nobody), 0);
        ACTOR_WAIT(&actor, TAPE_LEADER, 1);
    }
    pgk_retriever_free(retriever);
    assert_int_equal(actor_count(&actor, TAPE_LEADER), address[0] != '\0');
    assert_int_equal(actor_count(&actor, TAPE_NO_LEADER), 0);
    tape_destroy(&tape);
}

static void test_standalone__retrievers__announce_what_is_configured(void **state)
{
    (void)state;
    char job[PGK_JOB_COMPONENT_SIZE];
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    pgk_component_of_job(&job_id, job);

    pgk_ha *ha = open_at("standalone", "2001:db8::7", "6123");
    expect_address(ha, DISPATCHER, "[2001:db8::7]:6123");
    expect_address(ha, PGK_COMPONENT_RESOURCE_MANAGER, "[2001:db8::7]:6123");
    expect_address(ha, REST, "[2001:db8::7]:8081"); /* by default of the same host */
    expect_address(ha, job, "[2001:db8::7]:6123");
    pgk_ha_free(ha);

    ha = inproc_open_client("none", "/default", "jobmanager.rpc.address", "master", "rest.address",
                            "gate", "rest.port", "80", NULL);
    expect_address(ha, DISPATCHER, "master:6123");
    expect_address(ha, REST, "gate:80");
    pgk_ha_free(ha);

    ha = inproc_open("standalone", "/default", NULL); /* nothing is known */
    expect_address(ha, DISPATCHER, "");
    expect_address(ha, REST, "");
    expect_address(ha, job, "UNKNOWN");
    pgk_ha_free(ha);

    ha = open_at("standalone", "master", "0"); /* chosen at the start: nobody knows it */
    expect_address(ha, DISPATCHER, "");
    expect_address(ha, job, "UNKNOWN");
    pgk_ha_free(ha);
}

static void test_standalone__bad_address__is_refused_when_it_is_opened(void **state)
{
    (void)state;
    pgk_error err;
    assert_int_equal(
        inproc_try("standalone", "/default", "jobmanager.rpc.address", "not a host", &err),
        PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "jobmanager.rpc.address \"not a host\""));
    assert_int_equal(inproc_try("none", "/default", "rest.address", "[::", &err), PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "rest.address \"[::\""));
    /* Where leaders are elected it is not looked at. */
    assert_int_equal(
        inproc_try("embedded", "/default", "jobmanager.rpc.address", "not a host", &err), PGK_OK);
}

/* ------------------------------------------------------------------ the fence */

static void test_standalone__default_token__opens_stores_here_and_nowhere_else(void **state)
{
    (void)state;
    struct member *member = member_new(inproc_open("standalone", "/default", NULL));
    pgk_ha *elected = inproc_open("embedded", "/default", NULL);
    pgk_job_registry *registry = NULL;
    pgk_scheduling_status status;
    pgk_token token;
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    actor_contend(&member->a[0], member->ha, DISPATCHER, NULL);
    assert_int_equal(pgk_election_token(member->a[0].election, &token, NULL), PGK_OK);
    assert_int_equal(pgk_ha_job_registry(elected, &token, &registry, NULL),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_job_registry(member->ha, &token, &registry, NULL), PGK_OK);
    assert_int_equal(pgk_job_registry_set_running(registry, &job_id, NULL), PGK_OK);
    assert_int_equal(pgk_job_registry_get(registry, &job_id, &status, NULL), PGK_OK);
    assert_int_equal(status, PGK_SCHEDULING_RUNNING);
    pgk_job_registry_free(registry);
    /* The token of an election is of no tenure here. */
    pgk_uuid_new(&token.session_id);
    token.epoch = 1;
    token.leadership_id = 1;
    assert_int_equal(pgk_ha_job_registry(member->ha, &token, &registry, NULL), PGK_OK);
    assert_int_equal(pgk_job_registry_set_running(registry, &job_id, NULL), PGK_ERR_FENCED);
    pgk_job_registry_free(registry);
    pgk_ha_free(elected);
    member_free(member);
}

static int under_way(pgk_ha *ha)
{
    int count = 0;
    pthread_mutex_lock(&ha->lock);
    for (int i = 0; i < ASYNC_THREADS; i++) {
        count += ha->async.running[i] != NULL;
    }
    pthread_mutex_unlock(&ha->lock);
    return count;
}

/* All groups have one token here, which is good until the last of them is left. */
static void test_standalone__one_of_two_groups_closed__clean_ups_go_on(void **state)
{
    (void)state;
    struct member *member = member_new(inproc_open("standalone", "/default", NULL));
    pgk_ha *ha = member->ha;
    struct completed c[ASYNC_CLEANUPS + 1] = {{0}};
    pgk_token token;
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    actor_contend(&member->a[0], ha, DISPATCHER, "left");
    actor_contend(&member->a[1], ha, REST, "right");
    assert_int_equal(pgk_election_token(member->a[0].election, &token, NULL), PGK_OK);
    shelf_read(ha->backend); /* holds up all clean-ups, and one waits for these */
    for (int i = 0; i <= ASYNC_CLEANUPS; i++) {
        assert_int_equal(pgk_ha_cleanup_job_async(ha, &token, &job_id, completed_done, &c[i], NULL),
                         PGK_OK);
    }
    WAIT_UNTIL(under_way(ha) == ASYNC_CLEANUPS, WAIT_LONG_MS);
    assert_int_equal(pgk_election_close(member->a[1].election, NULL), PGK_OK);
    shelf_unlock(ha->backend);
    for (int i = 0; i <= ASYNC_CLEANUPS; i++) {
        completed_expect(&c[i], PGK_OK);
    }
    member_free(member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standalone__started__is_granted_at_once_with_the_default_id),
        cmocka_unit_test(test_standalone__second_start__is_an_illegal_state),
        cmocka_unit_test(test_standalone__confirm__changes_nothing),
        cmocka_unit_test(test_standalone__resigned__leads_again),
        cmocka_unit_test(test_standalone__retrievers__announce_what_is_configured),
        cmocka_unit_test(test_standalone__bad_address__is_refused_when_it_is_opened),
        cmocka_unit_test(test_standalone__default_token__opens_stores_here_and_nowhere_else),
        cmocka_unit_test(test_standalone__one_of_two_groups_closed__clean_ups_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
