/*
 * tests/unit/test_rules.c - the rules of one group with a virtual clock: when to try, wait, grant, step down.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/postgres/rules.h"
#include "core/clock.h"

#define T0 (INT64_C(1000) * NS_PER_S)
#define GRACE_NS (1000 * NS_PER_MS)
#define STAND_BACK_NS (1500 * NS_PER_MS)

enum { ME = 7, LEADER = 3, OTHER = 4 };

static const pgk_uuid mine = {{1}};
static const pgk_uuid theirs = {{2}};

/* A group whose lock session has just become ready. */
static struct group_rules ready(void)
{
    struct group_rules rules = {.try_at_ns = CLOCK_NEVER};
    rules_session_ready(&rules, T0);
    return rules;
}

static struct group_rules trying(void)
{
    struct group_rules rules = ready();
    rules_try(&rules, &mine);
    return rules;
}

static struct group_rules leading(int64_t epoch)
{
    struct group_rules rules = trying();
    assert_int_equal(rules_taken(&rules, T0, epoch, 0), ACT_GRANT);
    return rules;
}

static struct group_rules watching(int32_t member, int64_t epoch)
{
    struct group_rules rules = trying();
    rules_busy(&rules, T0, member, epoch);
    return rules;
}

static struct group_row row(int64_t epoch, const pgk_uuid *session_id, int32_t member)
{
    return (struct group_row){.epoch = epoch, .session_id = *session_id, .member = member};
}

static void test_rules__session_ready__tries_at_once(void **state)
{
    (void)state;
    struct group_rules rules = ready();
    assert_int_equal(rules.state, GROUP_WAITING);
    assert_int_equal(rules.try_at_ns, T0);
}

static void test_rules__taken_without_wait__is_granted_at_once(void **state)
{
    (void)state;
    struct group_rules rules = leading(5);
    assert_int_equal(rules.state, GROUP_LEADING);
    assert_true(rules.granted);
    assert_true(rules_holds(&rules));
}

static void test_rules__taken_with_wait__is_granted_when_the_grace_is_over(void **state)
{
    (void)state;
    struct group_rules rules = trying();
    assert_int_equal(rules_taken(&rules, T0, 5, GRACE_NS), ACT_NOTHING);
    assert_int_equal(rules.state, GROUP_GRACE);
    assert_false(rules.granted);
    assert_int_equal(rules_tick(&rules, T0 + GRACE_NS - 1), ACT_NOTHING);
    assert_int_equal(rules_tick(&rules, T0 + GRACE_NS), ACT_GRANT);
    assert_int_equal(rules_tick(&rules, T0 + GRACE_NS + 1), ACT_NOTHING);
}

static void test_rules__lost_in_grace__revokes_nothing(void **state)
{
    (void)state;
    struct group_rules rules = trying();
    rules_taken(&rules, T0, 5, GRACE_NS);
    assert_int_equal(rules_session_lost(&rules, END_CONNECTION_LOST), ACT_NOTHING);
    assert_int_equal(rules.state, GROUP_WAITING);
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
    assert_int_equal(rules_tick(&rules, T0 + 10 * GRACE_NS), ACT_NOTHING);
}

static void test_rules__resigned_in_grace__releases_ungranted(void **state)
{
    (void)state;
    struct group_rules rules = trying();
    rules_taken(&rules, T0, 5, GRACE_NS);
    assert_int_equal(rules_resign(&rules, END_RESIGNED), ACT_NOTHING);
    assert_int_equal(rules.state, GROUP_RELEASING);
    assert_false(rules.granted);
}

static void test_rules__busy__waits_for_the_holder_and_not_for_time(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    assert_int_equal(rules.state, GROUP_WAITING);
    assert_int_equal(rules.leader, LEADER);
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
}

static void test_rules__watched_member_gone__tries_at_once(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    rules_member_gone(&rules, T0 + 5, OTHER);
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
    rules_member_gone(&rules, T0 + 5, LEADER);
    assert_int_equal(rules.try_at_ns, T0 + 5);
    assert_int_equal(rules.leader, 0);
}

static void test_rules__told_of_a_release__tries_at_once_and_a_false_one_does_no_harm(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    rules_hint_released(&rules, T0 + 5);
    assert_int_equal(rules.try_at_ns, T0 + 5);
    rules_try(&rules, &mine);
    rules_busy(&rules, T0 + 6, LEADER, 9);
    assert_int_equal(rules.leader, LEADER);
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
    rules_try(&rules, &mine);
    rules_hint_released(&rules, T0 + 7);
    assert_int_equal(rules.state, GROUP_TRYING);
}

static void test_rules__busy_with_one_who_is_gone__backs_off_with_a_limit(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    int64_t now = T0;
    rules_member_gone(&rules, now, LEADER);
    for (int i = 0; i < 20; i++) {
        rules_try(&rules, &mine);
        rules_busy(&rules, now, LEADER, 9);
        assert_int_equal(rules.leader, 0);
        assert_in_range(rules.try_at_ns - now, 20 * NS_PER_MS, 200 * NS_PER_MS);
        now = rules.try_at_ns;
    }
}

static void test_rules__one_who_was_gone_leads_again__is_watched_again(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    rules_member_gone(&rules, T0, LEADER);
    rules_try(&rules, &mine);
    rules_busy(&rules, T0, LEADER, 10);
    assert_int_equal(rules.leader, LEADER);
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
}

static void test_rules__stale_row_of_one_who_is_gone__does_not_stop_the_try(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    struct group_row old = row(9, &theirs, LEADER);
    rules_member_gone(&rules, T0, LEADER);
    rules_row(&rules, T0 + 1, ME, &old);
    assert_int_equal(rules.leader, 0);
    assert_int_equal(rules.try_at_ns, T0);
}

static void test_rules__another_resigns_while_standing_back__tries_at_once(void **state)
{
    (void)state;
    struct group_rules rules = leading(5);
    struct group_row own = row(5, &mine, ME);
    own.released = true;
    assert_int_equal(rules_resign(&rules, END_RESIGNED), ACT_END_ORDERLY);
    rules_revoked(&rules);
    rules_released(&rules, T0, STAND_BACK_NS);
    rules_row(&rules, T0 + 1, ME, &own);
    assert_int_equal(rules.try_at_ns, T0 + STAND_BACK_NS);
    /* Its whole tenure went by between two of our reads. */
    struct group_row another = row(6, &theirs, OTHER);
    another.released = true;
    rules_row(&rules, T0 + 2, ME, &another);
    assert_int_equal(rules.try_at_ns, T0 + 2);
}

static void test_rules__row_released__tries_at_once_but_only_once(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    struct group_row released = row(9, &theirs, LEADER);
    released.released = true;
    rules_row(&rules, T0 + 1, ME, &released);
    assert_int_equal(rules.try_at_ns, T0 + 1);
    rules_try(&rules, &mine);
    rules_reserved(&rules, T0 + 2, GRACE_NS);
    assert_int_equal(rules.try_at_ns, T0 + 2 + GRACE_NS);
    rules_row(&rules, T0 + 3, ME, &released);
    assert_int_equal(rules.try_at_ns, T0 + 2 + GRACE_NS);
}

static void test_rules__row_whose_lock_is_free__tries_and_does_not_follow(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    struct group_row lost = row(9, &theirs, LEADER);
    rules_row(&rules, T0 + 1, ME, &lost); /* nobody looked at the locks */
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
    lost.lock_free = true;
    rules_row(&rules, T0 + 2, ME, &lost);
    assert_int_equal(rules.leader, 0);
    assert_int_equal(rules.try_at_ns, T0 + 2);
    /* A try that is planned, in a hand-over for somebody else, is not moved. */
    rules_try(&rules, &mine);
    rules_reserved(&rules, T0 + 3, GRACE_NS);
    rules_row(&rules, T0 + 4, ME, &lost);
    assert_int_equal(rules.leader, 0);
    assert_int_equal(rules.try_at_ns, T0 + 3 + GRACE_NS);
}

static void test_rules__row_of_a_new_leader__is_followed(void **state)
{
    (void)state;
    struct group_rules rules = watching(LEADER, 9);
    struct group_row next = row(10, &theirs, OTHER);
    rules_row(&rules, T0, ME, &next);
    assert_int_equal(rules.leader, OTHER);
    assert_int_equal(rules.try_at_ns, CLOCK_NEVER);
}

static void test_rules__row_older_than_the_tenure__is_ignored(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    struct group_row old = row(9, &theirs, LEADER);
    assert_int_equal(rules_row(&rules, T0, ME, &old), ACT_NOTHING);
    assert_int_equal(rules.state, GROUP_LEADING);
}

static void test_rules__epoch_raised_by_somebody__ends_and_unlocks(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    struct group_row raised = row(11, &mine, ME);
    assert_int_equal(rules_row(&rules, T0, ME, &raised), ACT_END);
    assert_int_equal(rules.state, GROUP_RELEASING);
    assert_string_equal(rules.end_reason, END_FENCED);
}

static void test_rules__session_or_release_edited_by_somebody__ends(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    struct group_row edited = row(10, &theirs, ME);
    assert_int_equal(rules_row(&rules, T0, ME, &edited), ACT_END);
    rules = leading(10);
    edited = row(10, &mine, ME);
    edited.released = true;
    assert_int_equal(rules_row(&rules, T0, ME, &edited), ACT_END);
}

static void test_rules__handover_asked_of_me__ends_orderly(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    struct group_row asked = row(10, &mine, ME);
    asked.handover_from = OTHER;
    assert_int_equal(rules_row(&rules, T0, ME, &asked), ACT_NOTHING);
    asked.handover_from = ME;
    assert_int_equal(rules_row(&rules, T0, ME, &asked), ACT_END_ORDERLY);
    assert_string_equal(rules.end_reason, END_SWITCHOVER);
    assert_int_equal(rules_row(&rules, T0, ME, &asked), ACT_NOTHING);
}

static void test_rules__resign__releases_only_after_the_revokes(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    assert_int_equal(rules_resign(&rules, END_RESIGNED), ACT_END_ORDERLY);
    assert_int_equal(rules.state, GROUP_REVOKING);
    assert_true(rules_holds(&rules));
    rules_revoked(&rules);
    assert_int_equal(rules.state, GROUP_RELEASING);
    rules_released(&rules, T0, STAND_BACK_NS);
    assert_int_equal(rules.state, GROUP_WAITING);
    assert_int_equal(rules.try_at_ns, T0 + STAND_BACK_NS);
}

static void test_rules__lost_while_revoking__is_told_once_and_a_late_revoke_is_nothing(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    rules_resign(&rules, END_RESIGNED);
    assert_int_equal(rules_session_lost(&rules, END_TERMINATED), ACT_NOTHING);
    assert_string_equal(rules.end_reason, END_TERMINATED);
    rules_revoked(&rules);
    assert_int_equal(rules.state, GROUP_WAITING);
}

static void test_rules__lost_while_leading__ends_with_the_reason(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    assert_int_equal(rules_session_lost(&rules, END_LEASE_EXPIRED), ACT_END);
    assert_string_equal(rules.end_reason, END_LEASE_EXPIRED);
    assert_false(rules_holds(&rules));
}

static void test_rules__fenced_then_lost__stays_fenced(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    assert_int_equal(rules_fenced(&rules), ACT_END);
    assert_int_equal(rules_session_lost(&rules, END_CONNECTION_LOST), ACT_NOTHING);
    assert_string_equal(rules.end_reason, END_FENCED);
}

static void test_rules__fenced_after_the_lease_ran_out__the_lease_is_the_reason(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    assert_int_equal(rules_fenced(&rules), ACT_END);
    assert_int_equal(rules_session_lost(&rules, END_LEASE_EXPIRED), ACT_NOTHING);
    assert_string_equal(rules.end_reason, END_LEASE_EXPIRED);
}

static void test_rules__decline__releases_from_every_holding_state(void **state)
{
    (void)state;
    struct group_rules rules = leading(10);
    rules_decline(&rules);
    assert_int_equal(rules.state, GROUP_RELEASING);
    rules = trying();
    rules_taken(&rules, T0, 5, GRACE_NS);
    rules_decline(&rules);
    assert_int_equal(rules.state, GROUP_RELEASING);
    assert_false(rules.granted);
    rules = ready();
    rules_decline(&rules);
    assert_int_equal(rules.state, GROUP_WAITING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__session_ready__tries_at_once),
        cmocka_unit_test(test_rules__taken_without_wait__is_granted_at_once),
        cmocka_unit_test(test_rules__taken_with_wait__is_granted_when_the_grace_is_over),
        cmocka_unit_test(test_rules__lost_in_grace__revokes_nothing),
        cmocka_unit_test(test_rules__resigned_in_grace__releases_ungranted),
        cmocka_unit_test(test_rules__busy__waits_for_the_holder_and_not_for_time),
        cmocka_unit_test(test_rules__watched_member_gone__tries_at_once),
        cmocka_unit_test(test_rules__busy_with_one_who_is_gone__backs_off_with_a_limit),
        cmocka_unit_test(test_rules__one_who_was_gone_leads_again__is_watched_again),
        cmocka_unit_test(test_rules__stale_row_of_one_who_is_gone__does_not_stop_the_try),
        cmocka_unit_test(test_rules__another_resigns_while_standing_back__tries_at_once),
        cmocka_unit_test(test_rules__row_released__tries_at_once_but_only_once),
        cmocka_unit_test(test_rules__row_whose_lock_is_free__tries_and_does_not_follow),
        cmocka_unit_test(test_rules__row_of_a_new_leader__is_followed),
        cmocka_unit_test(test_rules__row_older_than_the_tenure__is_ignored),
        cmocka_unit_test(test_rules__epoch_raised_by_somebody__ends_and_unlocks),
        cmocka_unit_test(test_rules__session_or_release_edited_by_somebody__ends),
        cmocka_unit_test(test_rules__handover_asked_of_me__ends_orderly),
        cmocka_unit_test(test_rules__resign__releases_only_after_the_revokes),
        cmocka_unit_test(
            test_rules__lost_while_revoking__is_told_once_and_a_late_revoke_is_nothing),
        cmocka_unit_test(test_rules__lost_while_leading__ends_with_the_reason),
        cmocka_unit_test(test_rules__fenced_then_lost__stays_fenced),
        cmocka_unit_test(test_rules__fenced_after_the_lease_ran_out__the_lease_is_the_reason),
        cmocka_unit_test(test_rules__told_of_a_release__tries_at_once_and_a_false_one_does_no_harm),
        cmocka_unit_test(test_rules__decline__releases_from_every_holding_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
