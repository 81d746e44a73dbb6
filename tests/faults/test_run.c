/*
 * test_run.c - `pgkeeper run` when leadership or one of its own processes is lost: the command is gone before the next
 * one starts, whatever it ignores and wherever its children hide.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "contest.h"
#include "runner.h"

#define MS WAIT_NS_PER_MS

/* Ends the session that holds a member's locks, as a DBA might. */
static void terminate_session(struct fixture *fixture, const char *member)
{
    db_exec(fixture, "SELECT pg_terminate_backend(%lld)", (long long)db_lock_pid(fixture, member));
}

/* A moment later, so that a command that should be gone and is not has stamped once more. */
static void check_no_overlap(struct fixture *fixture)
{
    wait_pause_ms(50);
    assert_int_equal(belief_count_overlaps(fixture->book), 0);
}

static void check_why(struct fixture *fixture, const char *expression)
{
    check_reasons_match(fixture, RUNNER_COMPONENT, expression);
}

/* A leader whose command and its hidden grandchild stamp, and a standby that waits. */
static void start_pair(struct fixture *fixture, const char *traits, struct process **ret_leader,
                       struct process **ret_standby)
{
    *ret_leader = runner_witness(fixture, "leader", traits, "--grace", "500ms", NULL);
    runner_up(*ret_leader, NULL);
    *ret_standby = runner_witness(fixture, "standby", "", "--grace", "500ms", NULL);
    db_lock_pid(fixture, "standby");
}

static void test_run__session_terminated__term_grace_kill_123_before_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;

    start_pair(fixture, "stubborn family", &leader, &standby);
    int64_t begin = wait_now_ns();
    terminate_session(fixture, "leader");
    process_expect(leader, "term 1", WAIT_LONG_MS);
    assert_int_equal(runner_exit_code(leader), 123);
    assert_true(wait_now_ns() - begin >= 500 * MS);
    runner_up(standby, NULL);
    check_no_overlap(fixture);
    check_why(fixture, "terminated");
}

static void test_run__server_stopped__123_and_successor_after_restart(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;
    pgk_error error;

    start_pair(fixture, "stubborn family", &leader, &standby);
    assert_int_equal(pgserver_stop(fixture->server, PGSERVER_IMMEDIATE, 0, &error), PGK_OK);
    assert_int_equal(runner_exit_code(leader), 123);
    assert_int_equal(pgserver_start_again(fixture->server, &error), PGK_OK);
    runner_up(standby, NULL);
    check_no_overlap(fixture);
    check_why(fixture, "server_restarted");
}

static void test_run__on_lost_kill__no_term_and_123(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader =
        runner_witness(fixture, "leader", "stubborn family", "--on-lost", "kill", NULL);

    runner_up(leader, NULL);
    terminate_session(fixture, "leader");
    assert_int_equal(runner_exit_code(leader), 123);
    assert_int_equal(process_count(leader, "term"), 0);
    assert_int_equal(witnesses_running(fixture->book), 0);
    /* The lock was free: it may have had it once more before it ended. */
    check_why(fixture, "terminated(,abandoned)?");
}

static void test_run__on_lost_ignore__command_goes_on_and_its_code_is_ours(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader = runner_start(fixture, "leader", "--on-lost", "ignore", "--", "/bin/sh",
                                          "-c", "echo up; read line; exit 21", NULL);

    process_expect(leader, "up", WAIT_LONG_MS);
    terminate_session(fixture, "leader");
    db_wait(fixture, "2", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.leader_history");
    assert_false(has_ended(leader));
    process_send(leader, "go");
    assert_int_equal(runner_exit_code(leader), 21);
    check_why(fixture, "terminated,(abandoned|resigned)");
}

static void test_run__respawn_and_loss__contends_again_with_a_larger_epoch(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader =
        runner_witness(fixture, "leader", "", "--respawn", "--grace", "100ms", NULL);
    int64_t epoch = runner_up(leader, NULL);

    terminate_session(fixture, "leader");
    assert_true(runner_up(leader, NULL) > epoch);
    check_no_overlap(fixture);
    process_signal(leader, SIGTERM);
    assert_int_equal(runner_exit_code(leader), 128 + SIGTERM);
    check_why(fixture, "terminated,resigned");
}

static void test_run__handover_asked_for__command_gone_before_the_lock_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;

    start_pair(fixture, "stubborn family", &leader, &standby);
    db_exec(fixture, "SELECT pgkeeper.request_handover('%s', '%s')", FIXTURE_CLUSTER,
            RUNNER_COMPONENT);
    runner_up(standby, NULL);
    check_no_overlap(fixture);
    assert_int_equal(runner_exit_code(leader), 123);
    check_why(fixture, "switchover");
}

static void test_run__wrapper_killed__nothing_of_it_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;

    start_pair(fixture, "stubborn family", &leader, &standby);
    pid_t guard = child_of(leader->pid);
    process_kill(leader);
    WAIT_UNTIL(!is_running(guard) && witnesses_running(fixture->book) == 0, WAIT_LONG_MS);
    runner_up(standby, NULL);
    check_no_overlap(fixture);
    check_why(fixture, "lost");
}

static void test_run__wrapper_stopped__command_ends_without_it(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;

    start_pair(fixture, "stubborn family", &leader, &standby);
    process_stop(leader);
    runner_up(standby, NULL);
    check_no_overlap(fixture);
    process_continue(leader);
    assert_int_equal(runner_exit_code(leader), 123);
    check_why(fixture, "lease_expired");
}

static void test_run__guard_killed__command_is_gone_and_125(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;

    start_pair(fixture, "stubborn family", &leader, &standby);
    kill(child_of(leader->pid), SIGKILL);
    assert_int_equal(runner_exit_code(leader), 125);
    runner_up(standby, NULL);
    check_no_overlap(fixture);
    check_why(fixture, "resigned");
}

/* The owner of the schema is no superuser, as it should be: it may not end what a superuser left open. */
static void test_run__fence_held_by_a_superuser__standby_says_so_and_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader;
    struct process *standby;

    db_exec(fixture, "DROP ROLE IF EXISTS plain_owner; CREATE ROLE plain_owner;"
                     " GRANT USAGE ON SCHEMA pgkeeper TO plain_owner;"
                     " GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgkeeper TO plain_owner;"
                     " ALTER FUNCTION pgkeeper.clear_fence(integer) OWNER TO plain_owner");
    start_pair(fixture, "", &leader, &standby);
    db_exec(fixture, "BEGIN; SELECT pgkeeper.fence(id, epoch) FROM pgkeeper.leadership");
    process_kill(leader);
    WAIT_UNTIL(log_count(fixture, "holds up the take-over") > 1, WAIT_LONG_MS); /* tried again */
    db_exec(fixture, "ROLLBACK");
    runner_up(standby, NULL);
}

static void test_run__command_stopped_and_leadership_lost__it_is_ended(void **state)
{
    struct fixture *fixture = *state;
    pid_t command;
    struct process *leader = runner_witness(fixture, "leader", "", "--grace", "60s", NULL);

    runner_up(leader, &command);
    kill(command, SIGSTOP);
    terminate_session(fixture, "leader");
    assert_int_equal(runner_exit_code(leader), 123); /* SIGCONT lets SIGTERM in */
    check_why(fixture, "terminated(,abandoned)?");
}

/* The epoch in which a member leads now, or 0. */
static int64_t leads(struct fixture *fixture, const char *member)
{
    return db_int(fixture,
                  "SELECT coalesce(max(l.epoch), 0)"
                  "  FROM pgkeeper.stat_contenders c, pgkeeper.leadership l"
                  " WHERE c.member_name = '%s' AND c.state = 'leader'",
                  member);
}

/* Ends its session as soon as it leads. If that was before it started the command, it contends again. */
static void terminate_until_ended(struct fixture *fixture, const struct process *process,
                                  const char *member)
{
    int64_t last = 0;
    int64_t epoch = 0;

    while (!has_ended(process)) {
        WAIT_UNTIL((epoch = leads(fixture, member)) > last || has_ended(process), WAIT_LONG_MS);
        if (epoch > last) {
            terminate_session(fixture, member);
            last = epoch;
        }
    }
}

static void test_run__leadership_lost_as_the_command_starts__it_is_ended(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof(name), "early%d", i);
        struct process *leader = runner_witness(fixture, name, "stubborn", "--grace", "50ms", NULL);
        terminate_until_ended(fixture, leader, name);
        assert_int_equal(runner_exit_code(leader), 123);
    }
    assert_int_equal(witnesses_running(fixture->book), 0);
    check_no_overlap(fixture);
    check_why(fixture, "((terminated|abandoned)(,|$))+");
}

/* Whatever happened, epochs have risen and the tenures follow one another. */
static int run_teardown(void **state)
{
    db_wait(*state, "1", WAIT_LONG_MS, "SELECT 1"); /* some restart the server */
    check_history(*state);
    return fixture_teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, run_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_run__session_terminated__term_grace_kill_123_before_the_next),
        TEST(test_run__server_stopped__123_and_successor_after_restart),
        TEST(test_run__on_lost_kill__no_term_and_123),
        TEST(test_run__on_lost_ignore__command_goes_on_and_its_code_is_ours),
        TEST(test_run__respawn_and_loss__contends_again_with_a_larger_epoch),
        TEST(test_run__handover_asked_for__command_gone_before_the_lock_is_free),
        TEST(test_run__wrapper_killed__nothing_of_it_is_left),
        TEST(test_run__wrapper_stopped__command_ends_without_it),
        TEST(test_run__guard_killed__command_is_gone_and_125),
        TEST(test_run__fence_held_by_a_superuser__standby_says_so_and_goes_on),
        TEST(test_run__command_stopped_and_leadership_lost__it_is_ended),
        TEST(test_run__leadership_lost_as_the_command_starts__it_is_ended),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
