/*
 * Leadership taken and given by call in the embedded mode, and these calls racing with close. No server; run it
 * under ThreadSanitizer and AddressSanitizer.
 */
#include <pgkeeper/pgkeeper.h>

#include <sched.h>
#include <stdlib.h>

#include "inproc.h"
#include "services/handle.h"

#define DISPATCHER PGK_COMPONENT_DISPATCHER
#define MANAGER PGK_COMPONENT_RESOURCE_MANAGER
#define RACES 1000
#define CALLS_IN_A_ROW 16
/* As long as is watched that nothing happens. */
#define QUIET_MS 40

static struct member *open_member(const char *cluster_id, const char *scope)
{
    return member_new(inproc_open("embedded", cluster_id, "leader-election.scope", scope, NULL));
}

static struct member *join(const char *cluster_id, const char *address)
{
    struct member *member = open_member(cluster_id, "process");
    actor_confirms(&member->a[0], address);
    actor_contend(&member->a[0], member->ha, DISPATCHER, NULL);
    return member;
}

static pgk_job_results *open_results(const struct member *member, const pgk_token *token)
{
    pgk_job_results *results = NULL;
    assert_int_equal(pgk_ha_job_results(member->ha, token, &results, NULL), PGK_OK);
    return results;
}

static pgk_status write_result(pgk_job_results *results)
{
    pgk_job_result result = {.size = sizeof(result), .status = PGK_JOB_FINISHED};
    pgk_uuid_new(&result.job_id);
    return pgk_job_results_create_dirty(results, &result, NULL);
}

/* ------------------------------------------------------------------ what a revoke does */

static atomic_bool let_go;

static void hold(struct actor *actor)
{
    (void)actor;
    while (!atomic_load(&let_go)) {
        wait_pause_ms(1);
    }
}

/* All of it holds before the revoke callback has returned. */
static void test_revoke__leader__leads_no_more_when_it_returns(void **state)
{
    (void)state;
    struct member *member = open_member("at once", "process");
    struct actor *a = &member->a[0];
    struct member *client = member_new(inproc_open_client("embedded", "at once", NULL));
    pgk_token token;
    pgk_leader seen;
    atomic_store(&let_go, false);
    a->hook = hold;
    a->hook_kind = TAPE_REVOKE;
    actor_contend(a, member->ha, DISPATCHER, NULL);
    actor_follow(&client->a[0], client->ha, DISPATCHER);
    ACTOR_WAIT(a, TAPE_GRANT, 1);
    assert_int_equal(pgk_election_token(a->election, &token, NULL), PGK_OK);
    assert_int_equal(pgk_election_confirm(a->election, &token.session_id, "here", NULL), PGK_OK);
    ACTOR_WAIT(&client->a[0], TAPE_LEADER, 1);
    pgk_job_results *results = open_results(member, &token);
    assert_int_equal(write_result(results), PGK_OK);
    assert_int_equal(pgk_embedded_revoke("at once", DISPATCHER, NULL), PGK_OK);
    assert_false(pgk_election_has_leadership(a->election, &token.session_id));
    assert_int_equal(write_result(results), PGK_ERR_FENCED);
    assert_int_equal(pgk_election_confirm(a->election, &token.session_id, "here", NULL),
                     PGK_ERR_FENCED);
    /* One that had passed the checks of the services before it was revoked. */
    assert_int_equal(
        member->ha->ops->confirm(member->ha->backend, "master", &token, DISPATCHER, "here", NULL),
        PGK_ERR_FENCED);
    ACTOR_WAIT(a, TAPE_REVOKE, 1);
    ACTOR_WAIT(&client->a[0], TAPE_NO_LEADER, 1);
    assert_int_equal(pgk_retriever_get(client->a[0].retriever, &seen, NULL), PGK_ERR_NOT_FOUND);
    assert_int_equal(write_result(results), PGK_ERR_FENCED);
    atomic_store(&let_go, true);
    pgk_job_results_free(results);
    member_free(member);
    member_free(client);
}

/* Who gives it up may write until its revoke callback has returned; not so once it is taken away. */
static void test_revoke__while_it_is_given_up__writes_are_refused(void **state)
{
    (void)state;
    struct member *member = open_member("given up", "process");
    struct actor *a = &member->a[0];
    pgk_token token;
    atomic_store(&let_go, false);
    a->hook = hold;
    a->hook_kind = TAPE_REVOKE;
    actor_contend(a, member->ha, DISPATCHER, NULL);
    ACTOR_WAIT(a, TAPE_GRANT, 1);
    assert_int_equal(pgk_election_token(a->election, &token, NULL), PGK_OK);
    pgk_job_results *results = open_results(member, &token);
    assert_int_equal(pgk_election_resign(a->election, NULL), PGK_OK);
    ACTOR_WAIT(a, TAPE_REVOKE, 1);
    assert_int_equal(write_result(results), PGK_OK);
    assert_int_equal(pgk_embedded_revoke("given up", DISPATCHER, NULL), PGK_OK);
    assert_int_equal(write_result(results), PGK_ERR_FENCED);
    atomic_store(&let_go, true);
    pgk_job_results_free(results);
    member_free(member);
}

static void test_revoke__others_contend__nobody_leads_until_it_is_granted(void **state)
{
    (void)state;
    struct member *first = join("leaderless", "first");
    struct member *second = join("leaderless", "second");
    ACTOR_WAIT(&first->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_embedded_revoke("leaderless", DISPATCHER, NULL), PGK_OK);
    assert_int_equal(pgk_embedded_revoke("leaderless", DISPATCHER, NULL), PGK_OK);
    ACTOR_WAIT(&first->a[0], TAPE_REVOKE, 1);
    struct member *third = join("leaderless", "third");
    wait_pause_ms(QUIET_MS);
    assert_false(actor_leads(&first->a[0]) || actor_leads(&second->a[0]) ||
                 actor_leads(&third->a[0]));
    assert_int_equal(actor_count(&second->a[0], TAPE_GRANT), 0);
    /* The first in the queue leads again, in a new tenure. */
    int64_t before = actor_last(&first->a[0], TAPE_GRANT).epoch;
    assert_int_equal(pgk_embedded_grant("leaderless", DISPATCHER, NULL), PGK_OK);
    ACTOR_WAIT(&first->a[0], TAPE_GRANT, 2);
    assert_true(actor_last(&first->a[0], TAPE_GRANT).epoch > before);
    /* One that leaves while nobody may lead is passed over later. */
    assert_int_equal(pgk_embedded_revoke("leaderless", DISPATCHER, NULL), PGK_OK);
    member_free(first);
    assert_int_equal(pgk_embedded_grant("leaderless", DISPATCHER, NULL), PGK_OK);
    ACTOR_WAIT(&second->a[0], TAPE_GRANT, 1);
    assert_int_equal(actor_count(&third->a[0], TAPE_GRANT), 0);
    assert_int_equal(pgk_embedded_grant("leaderless", DISPATCHER, NULL), PGK_OK);
    member_free(second);
    member_free(third);
}

static void test_revoke__before_anybody_contends__nobody_leads(void **state)
{
    (void)state;
    struct member *member = open_member("before", "process");
    pgk_uuid job_id;
    char component[PGK_JOB_COMPONENT_SIZE];
    pgk_uuid_new(&job_id);
    pgk_component_of_job(&job_id, component);
    assert_int_equal(pgk_embedded_revoke("before", component, NULL), PGK_OK);
    actor_contend(&member->a[0], member->ha, component, NULL);
    wait_pause_ms(QUIET_MS);
    assert_false(actor_leads(&member->a[0]));
    assert_int_equal(pgk_embedded_grant("before", component, NULL), PGK_OK);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    member_free(member);
}

/* ------------------------------------------------------------------ scopes */

static void test_revoke__component_scope__that_component_alone(void **state)
{
    (void)state;
    struct member *member = open_member("apart", "component");
    actor_contend(&member->a[0], member->ha, DISPATCHER, NULL);
    actor_contend(&member->a[1], member->ha, MANAGER, NULL);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    ACTOR_WAIT(&member->a[1], TAPE_GRANT, 1);
    assert_int_equal(pgk_embedded_revoke("apart", MANAGER, NULL), PGK_OK);
    ACTOR_WAIT(&member->a[1], TAPE_REVOKE, 1);
    assert_true(actor_leads(&member->a[0]));
    assert_int_equal(pgk_embedded_grant("apart", MANAGER, NULL), PGK_OK);
    ACTOR_WAIT(&member->a[1], TAPE_GRANT, 2);
    assert_int_equal(actor_count(&member->a[0], TAPE_GRANT), 1);
    member_free(member);
}

/* One handle contends for two components in one group, the other for one of them. */
static void test_revoke__process_scope__the_whole_group_of_who_contends_for_it(void **state)
{
    (void)state;
    struct member *both = open_member("together", "process");
    struct member *one = open_member("together", "process");
    actor_contend(&both->a[0], both->ha, DISPATCHER, NULL);
    actor_contend(&both->a[1], both->ha, MANAGER, NULL);
    ACTOR_WAIT(&both->a[1], TAPE_GRANT, 1);
    actor_contend(&one->a[0], one->ha, MANAGER, NULL);
    assert_int_equal(pgk_embedded_revoke("together", DISPATCHER, NULL), PGK_OK);
    assert_false(actor_leads(&both->a[0]) || actor_leads(&both->a[1]));
    ACTOR_WAIT(&both->a[0], TAPE_REVOKE, 1);
    ACTOR_WAIT(&both->a[1], TAPE_REVOKE, 1);
    ACTOR_WAIT(&one->a[0], TAPE_GRANT, 1);
    member_free(one);
    wait_pause_ms(QUIET_MS);
    assert_false(actor_leads(&both->a[1]));
    /* It gives up what it may not lead, and leads the rest. */
    assert_int_equal(pgk_election_close(both->a[0].election, NULL), PGK_OK);
    ACTOR_WAIT(&both->a[1], TAPE_GRANT, 2);
    member_free(both);
}

/* A leader that comes to contend for what is revoked leads nothing of that group any more. */
static void test_revoke__leader_contends_for_it_later__loses_its_group(void **state)
{
    (void)state;
    struct member *member = open_member("later", "process");
    actor_contend(&member->a[0], member->ha, DISPATCHER, NULL);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_embedded_revoke("later", MANAGER, NULL), PGK_OK);
    assert_true(actor_leads(&member->a[0]));
    actor_contend(&member->a[1], member->ha, MANAGER, NULL);
    ACTOR_WAIT(&member->a[0], TAPE_REVOKE, 1);
    assert_int_equal(actor_count(&member->a[1], TAPE_GRANT), 0);
    assert_int_equal(pgk_embedded_grant("later", MANAGER, NULL), PGK_OK);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 2);
    ACTOR_WAIT(&member->a[1], TAPE_GRANT, 1);
    member_free(member);
}

/* ------------------------------------------------------------------ arguments, callbacks */

/* From then on a revoke of the component finds nobody who contends for it. */
static void test_revoke__component_departs_from_its_group__its_address_goes_along(void **state)
{
    (void)state;
    struct member *member = member_new(inproc_open("embedded", "departs", NULL));
    struct member *client = member_new(inproc_open_client("embedded", "departs", NULL));
    pgk_ha *ha = member->ha;
    for (int i = 0; i < 2; i++) {
        actor_confirms(&member->a[i], i == 0 ? "left" : "right");
        actor_contend(&member->a[i], ha, i == 0 ? "left" : "right", NULL);
        actor_follow(&client->a[i], client->ha, i == 0 ? "left" : "right");
        ACTOR_WAIT(&client->a[i], TAPE_LEADER, 1);
    }
    pgk_election *leaving = member->a[0].election;
    pthread_mutex_lock(&ha->lock);
    ha->ops->depart(ha->backend, leaving->group->backend_group, &leaving->contending);
    pthread_mutex_unlock(&ha->lock);
    ACTOR_WAIT(&client->a[0], TAPE_NO_LEADER, 1);
    assert_true(actor_leads(&member->a[1])); /* the group goes on, with its other address */
    assert_int_equal(actor_count(&client->a[1], TAPE_NO_LEADER), 0);
    pthread_mutex_lock(&ha->lock);
    ha->ops->attend(ha->backend, leaving->group->backend_group, &leaving->contending);
    pthread_mutex_unlock(&ha->lock);
    member_free(member);
    member_free(client);
}

static void test_control__bad_arguments__are_refused(void **state)
{
    (void)state;
    char too_long[202];
    pgk_error err;
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    pgk_status (*const calls[])(const char *, const char *, pgk_error *) = {pgk_embedded_revoke,
                                                                            pgk_embedded_grant};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(calls[i]("nowhere", DISPATCHER, &err), PGK_ERR_NOT_FOUND);
        assert_non_null(strstr(err.message, "nowhere"));
        assert_int_equal(calls[i](NULL, DISPATCHER, &err), PGK_ERR_INVALID_ARGUMENT);
        assert_int_equal(calls[i]("", DISPATCHER, &err), PGK_ERR_INVALID_ARGUMENT);
        assert_int_equal(calls[i](too_long, DISPATCHER, &err), PGK_ERR_INVALID_ARGUMENT);
        assert_int_equal(calls[i]("nowhere", NULL, &err), PGK_ERR_INVALID_ARGUMENT);
        assert_int_equal(calls[i]("nowhere", "", &err), PGK_ERR_INVALID_ARGUMENT);
        assert_int_equal(calls[i]("nowhere", too_long, &err), PGK_ERR_INVALID_ARGUMENT);
    }
    assert_int_equal(pgk_embedded_keep(NULL, true, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_embedded_keep("", true, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_embedded_keep("nowhere", false, &err), PGK_OK);
    /* A handle of standalone mode has no part in it. */
    pgk_ha *ha = inproc_open("standalone", "nowhere", NULL);
    assert_int_equal(pgk_embedded_revoke("nowhere", DISPATCHER, &err), PGK_ERR_NOT_FOUND);
    pgk_ha_free(ha);
}

static void take_it_back(struct actor *actor)
{
    pgk_token token;
    if (actor_count(actor, TAPE_GRANT) == 1) {
        pgk_embedded_revoke("inside", DISPATCHER, NULL);
        assert_int_equal(pgk_election_token(actor->election, &token, NULL), PGK_ERR_FENCED);
        pgk_embedded_grant("inside", DISPATCHER, NULL);
    }
}

static void test_control__inside_a_callback__revokes_and_grants(void **state)
{
    (void)state;
    struct member *member = open_member("inside", "process");
    member->a[0].hook = take_it_back;
    member->a[0].hook_kind = TAPE_GRANT;
    actor_contend(&member->a[0], member->ha, DISPATCHER, NULL);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 2);
    assert_int_equal(actor_count(&member->a[0], TAPE_REVOKE), 1);
    member_free(member);
}

/* ------------------------------------------------------------------ races */

struct controller {
    atomic_bool stop;
    atomic_int calls;
    const char *component;
};

static void *control(void *user)
{
    struct controller *controller = user;
    while (!atomic_load(&controller->stop)) {
        pgk_status revoked = pgk_embedded_revoke("race", controller->component, NULL);
        pgk_status granted = pgk_embedded_grant("race", controller->component, NULL);
        if ((revoked != PGK_OK && revoked != PGK_ERR_NOT_FOUND) ||
            (granted != PGK_OK && granted != PGK_ERR_NOT_FOUND)) {
            abort();
        }
        if (atomic_fetch_add(&controller->calls, 1) % CALLS_IN_A_ROW == 0) {
            wait_pause_ms(1); /* or the handles would hardly come to anything */
        }
    }
    return NULL;
}

/* Two handles, of which one is closed with all it has, while two threads revoke and grant. */
static void test_control__races_with_close__a_thousand_times(void **state)
{
    (void)state;
    struct controller controllers[2] = {{.component = DISPATCHER}, {.component = MANAGER}};
    pthread_t threads[2];
    int grants = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, control, &controllers[i]), 0);
    }
    for (int round = 0; round < RACES; round++) {
        struct member *members[2];
        for (int i = 0; i < 2; i++) {
            members[i] = open_member("race", round % 2 == 0 ? "process" : "component");
            actor_confirms(&members[i]->a[0], "here");
            actor_contend(&members[i]->a[0], members[i]->ha, DISPATCHER, NULL);
            actor_contend(&members[i]->a[1], members[i]->ha, MANAGER, NULL);
            actor_follow(&members[i]->a[2], members[i]->ha, DISPATCHER);
        }
        while (round % 4 < 2 && actor_count(&members[0]->a[0], TAPE_GRANT) == 0) {
            sched_yield(); /* when something leads, and as it comes */
        }
        for (int i = 0; i < 2; i++) {
            grants += actor_count(&members[i]->a[0], TAPE_GRANT);
            member_free(members[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&controllers[i].stop, true);
        pthread_join(threads[i], NULL);
        assert_true(atomic_load(&controllers[i].calls) >= RACES);
    }
    assert_true(grants >= RACES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revoke__leader__leads_no_more_when_it_returns),
        cmocka_unit_test(test_revoke__while_it_is_given_up__writes_are_refused),
        cmocka_unit_test(test_revoke__others_contend__nobody_leads_until_it_is_granted),
        cmocka_unit_test(test_revoke__before_anybody_contends__nobody_leads),
        cmocka_unit_test(test_revoke__component_scope__that_component_alone),
        cmocka_unit_test(test_revoke__process_scope__the_whole_group_of_who_contends_for_it),
        cmocka_unit_test(test_revoke__leader_contends_for_it_later__loses_its_group),
        cmocka_unit_test(test_revoke__component_departs_from_its_group__its_address_goes_along),
        cmocka_unit_test(test_control__bad_arguments__are_refused),
        cmocka_unit_test(test_control__inside_a_callback__revokes_and_grants),
        cmocka_unit_test(test_control__races_with_close__a_thousand_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
