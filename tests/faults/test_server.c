/*
 * tests/faults/test_server.c - what a database administrator and a crash do to the server under a leader:
 * sessions ended, restarts, a killed postmaster, a read-only server. After each: revoked within
 * milliseconds, sessions back, epochs rising, and the history tells the true reason.
 */
#include <signal.h>

#include "contest.h"

/* Revoked by the event, not by the lease (1000 ms) running out. */
#define AT_ONCE_MS 800

static void two_contenders(struct fixture *fixture, struct process *all[2])
{
    all[0] = contest_start(fixture, "a", NULL);
    contest_granted(all[0]);
    all[1] = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
}

static void revoked_at_once(struct process *leader, int64_t t0_ns)
{
    const char *line = process_expect(leader, "revoke ", WAIT_LONG_MS);
    assert_int_equal(line_number(line, "believes="), 0);
    assert_in_range((line_number(line, "at=") - t0_ns) / WAIT_NS_PER_MS, 0, AT_ONCE_MS);
}

/* Waits for a tenure after `epoch` that has published its address, and that both contend; then all laws hold. */
static void settled(struct fixture *fixture, struct process *all[2], int64_t epoch)
{
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT EXISTS (SELECT FROM pgkeeper.stat_leaders"
            " WHERE epoch > %lld AND state = 'leading')",
            (long long)epoch);
    contest_ready(fixture, "a");
    contest_ready(fixture, "b");
    check_history(fixture);
    check_alternates(all[0]);
    check_alternates(all[1]);
}

static void test_server__lock_session_terminated__standby_leads_and_reason_is_known(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    two_contenders(fixture, all);
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    int64_t pid = db_lock_pid(fixture, "a");
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "SELECT pg_terminate_backend(%d)", (int)pid);
    revoked_at_once(all[0], t0_ns);
    settled(fixture, all, epoch);
    check_reasons(fixture, "master", "terminated");
}

static void test_server__only_contender_terminated__leads_again_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    int64_t epoch = contest_granted(a);
    for (int i = 0; i < 3; i++) {
        db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'dispatcher')");
        assert_int_equal(contest_revoked(a), epoch);
        int64_t next = contest_granted(a);
        assert_true(next > epoch);
        epoch = next;
    }
    check_reasons(fixture, "master", "kicked,kicked,kicked");
    check_history(fixture);
    check_alternates(a);
}

static void test_server__every_session_terminated_again_and_again__election_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    two_contenders(fixture, all);
    int64_t epoch = 0;
    for (int i = 0; i < 4; i++) {
        epoch = db_int(fixture, "SELECT max(epoch) FROM pgkeeper.leadership");
        db_exec(fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE application_name LIKE 'pgkeeper:%%'");
        db_wait(fixture, "t", WAIT_LONG_MS,
                "SELECT EXISTS (SELECT FROM pgkeeper.stat_leaders"
                " WHERE epoch > %lld AND state = 'leading')",
                (long long)epoch);
    }
    settled(fixture, all, epoch);
}

static void test_server__sentinel_and_listener_terminated__no_change_of_leader(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    two_contenders(fixture, all);
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE"
            " 'pgkeeper:%%:sentinel:%%')");
    db_exec(fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                     " application_name LIKE 'pgkeeper:%%:sentinel:%%'"
                     " OR application_name LIKE 'pgkeeper:%%:listener:%%'");
    /* The standby watches again: it notices the kill. */
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE"
            " 'pgkeeper:%%:sentinel:%%')");
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    assert_int_equal(process_count(all[0], "revoke "), 0);
    process_kill(all[0]);
    contest_granted(all[1]);
    check_history(fixture);
}

static void restart(void **state, enum pgserver_stop_mode mode)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    pgk_error err;
    two_contenders(fixture, all);
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    int64_t t0_ns = wait_now_ns();
    assert_int_equal(pgserver_stop(fixture->server, mode, 0, &err), PGK_OK);
    revoked_at_once(all[0], t0_ns);
    assert_int_equal(pgserver_start_again(fixture->server, &err), PGK_OK);
    settled(fixture, all, epoch);
    check_reasons(fixture, "master", "server_restarted");
}

static void test_server__fast_restart__election_goes_on(void **state)
{
    restart(state, PGSERVER_FAST);
}

static void test_server__immediate_restart__election_goes_on(void **state)
{
    restart(state, PGSERVER_IMMEDIATE);
}

static void test_server__postmaster_killed__election_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    pgk_error err;
    two_contenders(fixture, all);
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    assert_int_equal(pgserver_kill(fixture->server, &err), PGK_OK);
    assert_int_equal(pgserver_start_again(fixture->server, &err), PGK_OK);
    contest_revoked(all[0]);
    settled(fixture, all, epoch);
    check_reasons(fixture, "master", "server_restarted");
}

/* The postmaster restarts all its children when one of them dies. */
static void test_server__backend_killed__crash_recovery_and_election_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    two_contenders(fixture, all);
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    int64_t pid = db_lock_pid(fixture, "b");
    int64_t t0_ns = wait_now_ns();
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    revoked_at_once(all[0], t0_ns);
    settled(fixture, all, epoch);
}

static void set_read_only(struct fixture *fixture, const char *change)
{
    db_exec(fixture, "%s", change);
    db_exec(fixture, "SELECT pg_reload_conf()");
}

/* Also when the test failed half way: others use the server. */
static int read_only_teardown(void **state)
{
    struct fixture *fixture = *state;
    set_read_only(fixture, "ALTER SYSTEM RESET default_transaction_read_only");
    return fixture_teardown(state);
}

static void test_server__read_only__no_change_of_leader_and_a_clear_status(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", "--no-confirm", NULL);
    process_expect(a, "grant ", WAIT_LONG_MS);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    set_read_only(fixture, "ALTER SYSTEM SET default_transaction_read_only = on");
    db_wait(fixture, "on", WAIT_LONG_MS, "SHOW default_transaction_read_only");
    contest_ask(a, "confirm somewhere", "confirmed dispatcher PGK_ERR_READ_ONLY");
    wait_pause_ms(2500); /* longer than any time-out of a lease */
    assert_int_equal(process_count(a, "revoke "), 0);
    assert_int_equal(process_count(b, "grant "), 0);
    set_read_only(fixture, "ALTER SYSTEM RESET default_transaction_read_only");
    db_wait(fixture, "off", WAIT_LONG_MS, "SHOW default_transaction_read_only");
    contest_ask(a, "confirm somewhere", "confirmed dispatcher PGK_OK");
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    check_history(fixture);
}

static void test_server__leader_killed_while_read_only__standby_leads_when_it_ends(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[2];
    two_contenders(fixture, all);
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    set_read_only(fixture, "ALTER SYSTEM SET default_transaction_read_only = on");
    db_wait(fixture, "on", WAIT_LONG_MS, "SHOW default_transaction_read_only");
    process_kill(all[0]);
    process_expect(all[1], "error dispatcher PGK_ERR_READ_ONLY", WAIT_LONG_MS);
    assert_int_equal(process_count(all[1], "grant "), 0);
    set_read_only(fixture, "ALTER SYSTEM RESET default_transaction_read_only");
    assert_true(contest_granted(all[1]) > epoch);
    check_reasons(fixture, "master", "lost");
    check_history(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_server__lock_session_terminated__standby_leads_and_reason_is_known),
        DB_TEST(test_server__only_contender_terminated__leads_again_by_itself),
        DB_TEST(test_server__every_session_terminated_again_and_again__election_goes_on),
        DB_TEST(test_server__sentinel_and_listener_terminated__no_change_of_leader),
        DB_TEST(test_server__fast_restart__election_goes_on),
        DB_TEST(test_server__immediate_restart__election_goes_on),
        DB_TEST(test_server__postmaster_killed__election_goes_on),
        DB_TEST(test_server__backend_killed__crash_recovery_and_election_goes_on),
        cmocka_unit_test_setup_teardown(
            test_server__read_only__no_change_of_leader_and_a_clear_status, fixture_setup,
            read_only_teardown),
        cmocka_unit_test_setup_teardown(
            test_server__leader_killed_while_read_only__standby_leads_when_it_ends, fixture_setup,
            read_only_teardown),
    };
    return cmocka_run_group_tests_name("server", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
