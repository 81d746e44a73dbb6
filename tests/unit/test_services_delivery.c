/*
 * What contenders and followers are told, and when: exact interleavings over a scripted backend. With manual
 * dispatch the test decides when callbacks run, so that nothing depends on timing.
 */
#include <poll.h>
#include <string.h>

#include "core/error.h"
#include "stage.h"

static void dispatch(struct stage *s)
{
    pgk_error err;
    assert_int_equal(pgk_ha_dispatch(s->ha, &err), PGK_OK);
}

static bool readable(int descriptor)
{
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    return poll(&poller, 1, 0) == 1;
}

static struct backend *backend_of_hook;

/* A callback that causes the next one. */
static void see_the_next(struct actor *actor)
{
    int64_t epoch = actor_count(actor, TAPE_LEADER) + 1;
    if (epoch < 100) {
        script_see(backend_of_hook, "x", (int)epoch, epoch, "there");
    }
}

static void test_dispatch__callbacks_that_cause_the_next__one_at_a_time(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_follow(&s, 0, "x");
    s.a[0].hook = see_the_next;
    s.a[0].hook_kind = TAPE_LEADER;
    backend_of_hook = s.backend;
    script_see(s.backend, "x", 1, 1, "here");
    for (int i = 1; i <= 3; i++) {
        assert_true(readable(pgk_ha_fd(s.ha)));
        dispatch(&s);
        assert_int_equal(actor_count(&s.a[0], TAPE_LEADER), i);
    }
    s.a[0].hook = NULL;
    dispatch(&s);
    assert_false(readable(pgk_ha_fd(s.ha)));
    stage_close(&s);
}

static void test_election__tenure_begins_and_ends__grant_then_revoke(void **state)
{
    (void)state;
    struct stage s;
    pgk_uuid session;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    assert_true(script_begin(s.backend, "master", STAGE_LEASE_MS, &session));
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    assert_memory_equal(&s.a[0].session_id, &session, sizeof(session));
    assert_true(pgk_election_has_leadership(s.a[0].election, &session));
    assert_true(pgk_election_deadline_ns(s.a[0].election, &session) > wait_now_ns());
    script_end(s.backend, "master", false);
    assert_false(pgk_election_has_leadership(s.a[0].election, &session));
    STAGE_WAIT(&s, 0, TAPE_REVOKE, 1);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 2);
    assert_false(pgk_election_has_leadership(s.a[0].election, &session));
    stage_close(&s);
}

static void test_election__tenure_over_before_its_turn__grant_is_dropped(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    stage_lead(&s);
    script_end(s.backend, "master", false);
    dispatch(&s);
    stage_expect(&s, "");
    stage_close(&s);
}

static void test_election__deadline_passed_before_its_turn__grant_is_dropped(void **state)
{
    (void)state;
    struct stage s;
    pgk_uuid session;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    script_begin(s.backend, "master", 1, &session);
    WAIT_UNTIL(!pgk_election_has_leadership(s.a[0].election, &session), WAIT_LONG_MS);
    dispatch(&s);
    stage_expect(&s, "");
    script_end(s.backend, "master", false);
    dispatch(&s);
    stage_expect(&s, "");
    stage_close(&s);
}

static void test_election__tenures_pass_unseen__one_revoke_and_the_last_grant(void **state)
{
    (void)state;
    struct stage s;
    pgk_uuid last;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    stage_lead(&s);
    dispatch(&s);
    for (int i = 0; i < 3; i++) {
        script_end(s.backend, "master", false);
        script_begin(s.backend, "master", STAGE_LEASE_MS, &last);
    }
    dispatch(&s);
    stage_expect(&s, "a+ b+ a- b- a+ b+");
    assert_memory_equal(&s.a[1].session_id, &last, sizeof(last));
    stage_close(&s);
}

static void test_election__joins_a_group_that_leads__granted_with_the_same_session(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    stage_lead(&s);
    dispatch(&s);
    stage_contend(&s, 1);
    dispatch(&s);
    stage_expect(&s, "a+ b+");
    assert_memory_equal(&s.a[0].session_id, &s.a[1].session_id, sizeof(pgk_uuid));
    assert_int_equal(script_counts(s.backend).joined, 1);
    stage_close(&s);
}

static void test_election__callback_blocks__leadership_is_lost_at_once(void **state)
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
    assert_true(pgk_election_has_leadership(s.a[0].election, &s.a[0].session_id));
    script_end(s.backend, "master", true);
    assert_false(pgk_election_has_leadership(s.a[0].election, &s.a[0].session_id));
    assert_int_equal(pgk_election_deadline_ns(s.a[0].election, &s.a[0].session_id), 0);
    assert_int_equal(script_counts(s.backend).revoked, 0);
    stage_release();
    WAIT_UNTIL(script_counts(s.backend).revoked == 1, WAIT_LONG_MS);
    stage_expect(&s, "a+ a-");
    stage_close(&s);
}

static void revoked_count_is_zero(struct actor *actor)
{
    struct stage *s = actor->user;
    assert_int_equal(script_counts(s->backend).revoked, 0);
}

static void test_election__resign__backend_hears_after_all_revokes(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    stage_lead(&s);
    dispatch(&s);
    s.a[1].hook = revoked_count_is_zero;
    s.a[1].hook_kind = TAPE_REVOKE;
    assert_int_equal(pgk_election_resign(s.a[0].election, &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_resign(s.a[0].election, &err));
    assert_int_equal(script_counts(s.backend).revoked, 0);
    dispatch(&s);
    stage_expect(&s, "a+ b+ a- b-");
    assert_int_equal(script_counts(s.backend).revoked, 1);
    stage_close(&s);
}

static void test_election__orderly_end_with_nothing_granted__backend_hears_at_once(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    stage_lead(&s);
    script_end(s.backend, "master", true);
    assert_int_equal(script_counts(s.backend).revoked, 1);
    stage_close(&s);
}

static void fault(struct stage *s, pgk_status status, const char *message)
{
    pgk_error error;
    error_set(&error, status, "test", "%s", message);
    script_fault(s->backend, "master", &error);
}

static void test_election__faults__told_once_per_change_and_merged(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    fault(&s, PGK_ERR_CONNECTION, "lost");
    dispatch(&s);
    fault(&s, PGK_ERR_CONNECTION, "lost");
    dispatch(&s);
    stage_expect(&s, "a!lost");
    fault(&s, PGK_ERR_CONNECTION, "refused");
    fault(&s, PGK_ERR_CONNECTION, "starting up");
    dispatch(&s);
    stage_expect(&s, "a!lost a!starting up");
    stage_lead(&s);
    dispatch(&s);
    fault(&s, PGK_ERR_CONNECTION, "starting up");
    dispatch(&s);
    stage_expect(&s, "a!lost a!starting up a+ a!starting up");
    stage_close(&s);
}

static void test_election__fault_passes_and_comes_again__told_again(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    fault(&s, PGK_ERR_CONNECTION, "lost");
    dispatch(&s);
    script_fault(s.backend, "master", NULL);
    dispatch(&s);
    stage_expect(&s, "a!lost");
    fault(&s, PGK_ERR_CONNECTION, "lost");
    script_fault(s.backend, "master", NULL); /* over before it was told: told all the same */
    dispatch(&s);
    stage_expect(&s, "a!lost a!lost");
    fault(&s, PGK_ERR_CONNECTION, "lost");
    dispatch(&s);
    stage_expect(&s, "a!lost a!lost a!lost");
    stage_close(&s);
}

static void test_election__fault_and_end_together__revoke_first(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    stage_lead(&s);
    dispatch(&s);
    fault(&s, PGK_ERR_CONNECTION, "lost");
    script_end(s.backend, "master", false);
    stage_lead(&s);
    dispatch(&s);
    stage_expect(&s, "a+ a- a!lost a+");
    stage_close(&s);
}

static void test_election__scope_component__groups_are_led_apart(void **state)
{
    (void)state;
    static const char *const pairs[] = {"leader-election.scope", "component", "dispatch", "manual",
                                        NULL};
    struct stage s;
    stage_open(&s, pairs);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    assert_false(script_begin(s.backend, "master", STAGE_LEASE_MS, NULL));
    assert_true(script_begin(s.backend, "b", STAGE_LEASE_MS, NULL));
    dispatch(&s);
    stage_expect(&s, "b+");
    assert_int_equal(script_counts(s.backend).joined, 2);
    stage_close(&s);
}

static void test_dispatch__events_and_none__descriptor_says_so(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    int fd = pgk_ha_fd(s.ha);
    assert_true(fd >= 0);
    stage_contend(&s, 0);
    dispatch(&s);
    assert_false(readable(fd));
    stage_lead(&s);
    assert_true(readable(fd));
    stage_expect(&s, "");
    dispatch(&s);
    assert_false(readable(fd));
    stage_expect(&s, "a+");
    pgk_error err;
    assert_int_equal(pgk_ha_close(s.ha, &err), PGK_OK);
    stage_expect(&s, "a+ a-");
    assert_int_equal(pgk_ha_fd(s.ha), -1);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_dispatch(s.ha, &err));
    stage_close(&s);
}

static pgk_status inner_status;

static void dispatch_inside(struct actor *actor)
{
    inner_status = pgk_ha_dispatch(actor->ha, NULL);
}

static void test_dispatch__inside_a_callback__illegal_state(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    s.a[0].hook = dispatch_inside;
    s.a[0].hook_kind = TAPE_GRANT;
    stage_contend(&s, 0);
    stage_lead(&s);
    dispatch(&s);
    assert_int_equal(inner_status, PGK_ERR_ILLEGAL_STATE);
    stage_close(&s);
}

static void test_retriever__leader_seen_again_and_changed__told_on_change_only(void **state)
{
    (void)state;
    struct stage s;
    pgk_leader leader;
    pgk_error err;
    stage_open(&s, stage_manual);
    stage_follow(&s, 0, "x");
    ASSERT_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_retriever_get(s.a[0].retriever, &leader, &err));
    script_see(s.backend, "x", 0, 0, NULL);
    dispatch(&s);
    stage_expect(&s, ""); /* none, and none known before */
    script_see(s.backend, "x", 1, 5, "one");
    dispatch(&s);
    script_see(s.backend, "x", 1, 5, "one");
    dispatch(&s);
    stage_expect(&s, "a>one");
    script_see(s.backend, "x", 2, 6, "one"); /* the same address under another session is news */
    dispatch(&s);
    stage_expect(&s, "a>one a>one");
    script_see(s.backend, "x", 1, 5, "one"); /* older than one announced */
    dispatch(&s);
    assert_int_equal(pgk_retriever_get(s.a[0].retriever, &leader, &err), PGK_OK);
    assert_int_equal(leader.epoch, 6);
    stage_expect(&s, "a>one a>one");
    stage_close(&s);
}

static void test_retriever__leader_gone_and_back__told_once_each(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, stage_manual);
    stage_follow(&s, 0, "x");
    script_see(s.backend, "x", 1, 5, "one");
    dispatch(&s);
    script_see(s.backend, "x", 0, 0, NULL);
    script_see(s.backend, "x", 0, 0, NULL);
    dispatch(&s);
    script_see(s.backend, "x", 0, 0, NULL);
    dispatch(&s);
    stage_expect(&s, "a>one a>none");
    script_see(s.backend, "x", 1, 4, "zero"); /* older: still none */
    dispatch(&s);
    script_see(s.backend, "x", 1, 5, "one");
    dispatch(&s);
    stage_expect(&s, "a>one a>none a>one");
    script_see(s.backend, "x", 0, 0, NULL);
    script_see(s.backend, "x", 1, 5, "one"); /* gone and back between two turns: nothing changed */
    dispatch(&s);
    stage_expect(&s, "a>one a>none a>one");
    stage_close(&s);
}

static void test_retriever__two_of_one_component_and_stop__each_by_itself(void **state)
{
    (void)state;
    struct stage s;
    pgk_leader leader;
    pgk_error err;
    stage_open(&s, stage_manual);
    stage_follow(&s, 0, "x");
    stage_follow(&s, 1, "x");
    script_see(s.backend, "x", 1, 5, "one");
    assert_int_equal(pgk_retriever_stop(s.a[0].retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_stop(s.a[0].retriever, &err), PGK_OK);
    dispatch(&s);
    stage_expect(&s, "b>one");
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_retriever_get(s.a[0].retriever, &leader, &err));
    assert_int_equal(script_counts(s.backend).unwatched, 1);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatch__callbacks_that_cause_the_next__one_at_a_time),
        cmocka_unit_test(test_election__tenure_begins_and_ends__grant_then_revoke),
        cmocka_unit_test(test_election__tenure_over_before_its_turn__grant_is_dropped),
        cmocka_unit_test(test_election__deadline_passed_before_its_turn__grant_is_dropped),
        cmocka_unit_test(test_election__tenures_pass_unseen__one_revoke_and_the_last_grant),
        cmocka_unit_test(test_election__joins_a_group_that_leads__granted_with_the_same_session),
        cmocka_unit_test(test_election__callback_blocks__leadership_is_lost_at_once),
        cmocka_unit_test(test_election__resign__backend_hears_after_all_revokes),
        cmocka_unit_test(test_election__orderly_end_with_nothing_granted__backend_hears_at_once),
        cmocka_unit_test(test_election__faults__told_once_per_change_and_merged),
        cmocka_unit_test(test_election__fault_passes_and_comes_again__told_again),
        cmocka_unit_test(test_election__fault_and_end_together__revoke_first),
        cmocka_unit_test(test_election__scope_component__groups_are_led_apart),
        cmocka_unit_test(test_dispatch__events_and_none__descriptor_says_so),
        cmocka_unit_test(test_dispatch__inside_a_callback__illegal_state),
        cmocka_unit_test(test_retriever__leader_seen_again_and_changed__told_on_change_only),
        cmocka_unit_test(test_retriever__leader_gone_and_back__told_once_each),
        cmocka_unit_test(test_retriever__two_of_one_component_and_stop__each_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
