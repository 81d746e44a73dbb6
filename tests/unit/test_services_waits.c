/* Closing and stopping while something is under way: what waits, and for what. */
#include <string.h>

#include "stage.h"

static void *close_actor(void *user)
{
    struct actor *actor = user;
    pgk_election_close(actor->election, NULL);
    return NULL;
}

static void test_close__while_its_own_callback_runs__waits_for_it(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_hold();
    s.a[0].hook = stage_wait_for_release;
    s.a[0].hook_kind = TAPE_GRANT;
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_actor, &s.a[0]), 0);
    /* Closing shows at once; the close itself cannot be over. */
    WAIT_UNTIL(!pgk_election_has_leadership(s.a[0].election, &s.a[0].session_id), WAIT_LONG_MS);
    stage_expect(&s, "a+");
    stage_release();
    pthread_join(closer, NULL);
    stage_expect(&s, "a+ a-");
    stage_close(&s);
}

/* A call on a thread of its own, and whether it has returned. */
struct call {
    struct stage *stage;
    atomic_bool returned;
};

static void *stop_retriever_thread(void *user)
{
    struct call *call = user;
    pgk_retriever_stop(call->stage->a[0].retriever, NULL);
    atomic_store(&call->returned, true);
    return NULL;
}

static void *close_stage_thread(void *user)
{
    struct call *call = user;
    pgk_ha_close(call->stage->ha, NULL);
    atomic_store(&call->returned, true);
    return NULL;
}

/* Long enough for a call that does not wait to have returned: a breach shows at once or nearly always. */
static void observe_that_it_waits(struct call *call)
{
    wait_pause_ms(100);
    assert_false(atomic_load(&call->returned));
}

static void test_stop__its_callback_runs__waits_for_it(void **state)
{
    (void)state;
    struct stage s;
    struct call call = {.stage = &s};
    pthread_t stopper;
    stage_open(&s, NULL);
    stage_hold();
    s.a[0].hook = stage_wait_for_release;
    s.a[0].hook_kind = TAPE_LEADER;
    stage_follow(&s, 0, "x");
    script_see(s.backend, "x", 1, 1, "address");
    STAGE_WAIT(&s, 0, TAPE_LEADER, 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_retriever_thread, &call), 0);
    WAIT_UNTIL(script_counts(s.backend).unwatched == 1, WAIT_LONG_MS);
    observe_that_it_waits(&call);
    stage_release();
    pthread_join(stopper, NULL);
    stage_close(&s);
}

static void *confirm_thread(void *user)
{
    struct actor *actor = user;
    (void)pgk_election_confirm(actor->election, &actor->session_id, "here", NULL);
    return NULL;
}

static void test_handle_close__confirm_under_way__waits_for_it(void **state)
{
    (void)state;
    struct stage s;
    struct call call = {.stage = &s};
    pthread_t closer;
    pthread_t confirmer;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    script_hold_confirm(s.backend, true);
    assert_int_equal(pthread_create(&confirmer, NULL, confirm_thread, &s.a[0]), 0);
    WAIT_UNTIL(script_held(s.backend) == 1, WAIT_LONG_MS);
    assert_int_equal(pthread_create(&closer, NULL, close_stage_thread, &call), 0);
    STAGE_WAIT(&s, 0, TAPE_REVOKE, 1); /* which does not wait for it */
    observe_that_it_waits(&call);
    script_hold_confirm(s.backend, false);
    pthread_join(confirmer, NULL);
    pthread_join(closer, NULL);
    stage_close(&s);
}

static void close_handle_and_wait(struct actor *actor)
{
    pgk_ha_close(actor->ha, NULL);
    stage_wait_for_release(actor);
}

static void *dispatch_thread(void *user)
{
    pgk_ha_dispatch(user, NULL);
    return NULL;
}

static void close_while_a_callback_runs_on(bool manual)
{
    struct stage s;
    struct call call = {.stage = &s};
    pthread_t closer;
    pthread_t dispatcher;
    stage_open(&s, manual ? stage_manual : NULL);
    stage_hold();
    s.a[0].hook = close_handle_and_wait;
    s.a[0].hook_kind = TAPE_GRANT;
    stage_contend(&s, 0);
    stage_lead(&s);
    if (manual) {
        assert_int_equal(pthread_create(&dispatcher, NULL, dispatch_thread, s.ha), 0);
    }
    WAIT_UNTIL(script_counts(s.backend).closed == 1, WAIT_LONG_MS);
    assert_int_equal(pthread_create(&closer, NULL, close_stage_thread, &call), 0);
    observe_that_it_waits(&call);
    stage_release();
    pthread_join(closer, NULL);
    if (manual) {
        pthread_join(dispatcher, NULL);
    }
    stage_close(&s);
}

static void test_handle_close__closed_by_a_callback_that_runs_on__waits_for_it(void **state)
{
    (void)state;
    close_while_a_callback_runs_on(false);
    close_while_a_callback_runs_on(true);
}

static void test_start__former_contender_still_leaves__its_record_is_left_alone(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pthread_t closer;
    stage_open(&s, NULL);
    stage_hold();
    s.a[0].hook = stage_wait_for_release;
    s.a[0].hook_kind = TAPE_REVOKE;
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    assert_int_equal(pgk_election_confirm(s.a[0].election, &s.a[0].session_id, "here", &err),
                     PGK_OK);
    assert_int_equal(pthread_create(&closer, NULL, close_actor, &s.a[0]), 0);
    STAGE_WAIT(&s, 0, TAPE_REVOKE, 1);
    s.a[2].name = "a"; /* the component's next contender */
    stage_contend(&s, 2);
    assert_int_equal(pgk_election_confirm(s.a[2].election, &s.a[0].session_id, "there", &err),
                     PGK_OK);
    stage_release();
    pthread_join(closer, NULL);
    assert_int_equal(script_counts(s.backend).withdrawn, 0);
    STAGE_WAIT(&s, 2, TAPE_GRANT, 1);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close__while_its_own_callback_runs__waits_for_it),
        cmocka_unit_test(test_stop__its_callback_runs__waits_for_it),
        cmocka_unit_test(test_handle_close__confirm_under_way__waits_for_it),
        cmocka_unit_test(test_handle_close__closed_by_a_callback_that_runs_on__waits_for_it),
        cmocka_unit_test(test_start__former_contender_still_leaves__its_record_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
