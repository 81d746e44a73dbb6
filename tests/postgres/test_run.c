/*
 * test_run.c - `pgkeeper run` when nothing goes wrong with the database: exit codes, environment, signals, waiting,
 * respawning, what a DBA sees.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

/* A shell that says when it is up and waits, so that its traps run at once. */
#define WAITING(traps) traps " echo up; while :; do sleep 1000 & wait $!; done"

static int code_of_script(struct fixture *fixture, const char *script)
{
    return runner_exit_code(
        runner_start(fixture, "solo", "--quiet", "--", "/bin/sh", "-c", script, NULL));
}

static void test_run__command_ends__its_code_is_ours(void **state)
{
    assert_int_equal(code_of_script(*state, "exit 0"), 0);
    assert_int_equal(code_of_script(*state, "exit 7"), 7);
    assert_int_equal(code_of_script(*state, "kill -KILL $$"), 128 + SIGKILL);
    assert_int_equal(code_of_script(*state, "kill -SEGV $$"), 128 + SIGSEGV);
}

static void test_run__command_cannot_run__126_or_127(void **state)
{
    assert_int_equal(runner_exit_code(runner_start(*state, "solo", "--", "/nonexistent", NULL)),
                     127);
    assert_int_equal(runner_exit_code(runner_start(*state, "solo", "--", "/etc/passwd", NULL)),
                     126);
    assert_int_equal(
        runner_exit_code(runner_start(*state, "solo", "--respawn", "--", "/nonexistent", NULL)),
        127);
}

static void test_run__bad_usage__125(void **state)
{
    static const char *const words[][4] = {
        {NULL},
        {"true", NULL},
        {"--", NULL},
        {"--unknown", "--", "true", NULL},
        {"--wait=soon", "--", "true", NULL},
        {"--wait=0", "--", "true", NULL},
        {"--on-lost=shrug", "--", "true", NULL},
        {"--take-over=later", "--", "true", NULL},
        {"--grace=-1s", "--", "true", NULL},
        {"--component=", "--", "true", NULL},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_int_equal(runner_exit_code(runner_start(*state, "solo", words[i][0], words[i][1],
                                                       words[i][2], words[i][3], NULL)),
                         125);
    }
    assert_int_equal(
        runner_exit_code(runner_start(*state, "solo", "--once", "--respawn", "--", "true", NULL)),
        125);
}

static void test_run__configuration_is_bad__125(void **state)
{
    const char *const argv[] = {PGK_TEST_COMMAND, "run", "--", "true", NULL};
    const char *const bad[] = {"PGKEEPER_HIGH_AVAILABILITY_POSTGRES_LEASE=often", NULL};
    const char *const short_grace[] = {"PGKEEPER_HIGH_AVAILABILITY_POSTGRES_GRACE=3400 ms", NULL};

    (void)state;
    assert_int_equal(process_run(argv, bad, NULL), 125);
    assert_int_equal(process_run(argv, short_grace, NULL), 125);
}

static void test_run__database_refuses__125(void **state)
{
    struct fixture *fixture = *state;

    db_exec(fixture, "DROP SCHEMA pgkeeper CASCADE");
    assert_int_equal(code_of_script(fixture, "exit 0"), 125);
}

static void test_run__no_server_within_wait__124(void **state)
{
    const char *const argv[] = {
        PGK_TEST_COMMAND, "-d", "host=/nonexistent", "run", "--quiet", "--wait", "600ms", "--",
        "true",           NULL};
    int64_t begin = wait_now_ns();

    (void)state;
    assert_int_equal(process_run(argv, NULL, NULL), 124);
    assert_true(wait_now_ns() - begin >= 600 * WAIT_NS_PER_MS);
}

static void test_run__somebody_leads_beyond_wait__124(void **state)
{
    struct process *leader = runner_witness(*state, "leader", "", "--quiet", NULL);

    runner_up(leader, NULL);
    assert_int_equal(
        runner_exit_code(runner_start(*state, "late", "--wait", "300ms", "--", "true", NULL)), 124);
    assert_false(has_ended(leader));
}

static void test_run__command__finds_a_token_that_the_fence_accepts(void **state)
{
    struct fixture *fixture = *state;
    int64_t leadership;
    char *at;
    struct process *leader = runner_start(
        fixture, "solo", "--quiet", "--", "/bin/sh", "-c",
        WAITING("echo \"env $PGKEEPER_LEADERSHIP_ID $PGKEEPER_EPOCH $PGKEEPER_EPOCH_TEXT "
                "$PGKEEPER_SESSION_ID $PGKEEPER_COMPONENT $PGKEEPER_CLUSTER_ID\";"),
        NULL);
    const char *line = process_expect(leader, "env ", WAIT_LONG_MS);

    leadership = strtoll(line + 4, &at, 10);
    int64_t epoch = strtoll(at, &at, 10);
    db_exec(fixture, "SELECT pgkeeper.fence(%d, %lld)", (int)leadership, (long long)epoch);
    assert_string_equal(
        db_try(fixture, "SELECT pgkeeper.fence(%d, %lld)", (int)leadership, (long long)epoch - 1),
        "PK001");
    assert_string_equal(
        at, db_text(fixture,
                    " SELECT ' ' || pgkeeper.epoch_text(epoch) || ' ' || session_id || ' %s '"
                    " || cluster_id FROM pgkeeper.leadership",
                    RUNNER_COMPONENT));
}

static void test_run__run_within_run__both_lead(void **state)
{
    struct fixture *fixture = *state;
    char script[PGSERVER_CONNINFO_SIZE + 512];

    snprintf(script, sizeof(script),
             "exec %s -d \"%s\" run --quiet --component inner -- "
             "sh -c 'test $PGKEEPER_COMPONENT = inner && exit 11'",
             PGK_TEST_COMMAND, fixture->conninfo);
    assert_int_equal(code_of_script(fixture, script), 11);
}

static void test_run__address__is_published_and_withdrawn(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader = runner_start(fixture, "solo", "--quiet", "--address", "tcp://here:1",
                                          "--", "/bin/sh", "-c", "read line; exit 0", NULL);

    db_wait(fixture, "tcp://here:1", WAIT_LONG_MS,
            "SELECT address FROM pgkeeper.leader WHERE component = '" RUNNER_COMPONENT "'");
    assert_string_equal(db_text(fixture, "SELECT take_over_mode || ' ' || grace_ms"
                                         "  FROM pgkeeper.leadership"),
                        "exclusive 2900"); /* lease 400, --grace 2000, margin 500 */
    process_send(leader, "go");
    assert_int_equal(runner_exit_code(leader), 0);
    assert_string_equal(db_text(fixture, "SELECT count(address) || ' ' || (SELECT state FROM "
                                         "pgkeeper.stat_leaders) FROM pgkeeper.leader"),
                        "0 released");
}

static void test_run__signals__reach_the_command_each_time(void **state)
{
    struct process *leader = runner_start(
        *state, "solo", "--quiet", "--", "/bin/sh", "-c",
        WAITING("n=0; trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'echo usr2' USR2;"
                "trap 'n=$((n+1)); echo term $n; test $n = 2 && exit 33' TERM;"),
        NULL);

    process_expect(leader, "up", WAIT_LONG_MS);
    process_signal(leader, SIGHUP);
    process_expect(leader, "hup", WAIT_LONG_MS);
    process_signal(leader, SIGUSR1);
    process_expect(leader, "usr1", WAIT_LONG_MS);
    process_signal(leader, SIGUSR2);
    process_expect(leader, "usr2", WAIT_LONG_MS);
    process_signal(leader, SIGTERM);
    process_expect(leader, "term 1", WAIT_LONG_MS);
    process_signal(leader, SIGTERM);
    process_expect(leader, "term 2", WAIT_LONG_MS);
    assert_int_equal(runner_exit_code(leader), 33);
}

/* Reads a terminal until text has come. */
static void await_text(int terminal, const char *text)
{
    char seen[4096] = "";
    size_t length = 0;

    while (strstr(seen, text) == NULL) {
        struct pollfd item = {terminal, POLLIN, 0};
        assert_int_equal(poll(&item, 1, WAIT_LONG_MS), 1);
        assert_true(length < sizeof(seen) - 1);
        ssize_t count = read(terminal, seen + length, sizeof(seen) - 1 - length);
        assert_true(count > 0);
        length += (size_t)count;
        seen[length] = '\0';
    }
}

/* The command counts for a second from the first one on: whatever measures that is begun by it, since a
 * child that is only being forked would be ended by it. */
static void test_run__interrupt_key__reaches_the_command_once(void **state)
{
    struct fixture *fixture = *state;
    int terminal;
    int status;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

    assert_true(pid >= 0);
    if (pid == 0) {
        execl(PGK_TEST_COMMAND, "pgkeeper", "-d", fixture->conninfo, "run", "--", "/bin/sh", "-c",
              WAITING("n=0; trap 'n=$((n+1)); test $n = 1 && (sleep 1; kill -USR1 $$) &' INT;"
                      "trap 'exit $((40+n))' USR1; echo ready;"),
              (char *)NULL);
        _exit(127);
    }
    await_text(terminal, "ready");
    assert_int_equal(write(terminal, "\003", 1), 1);
    await_text(terminal, "ended with code");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(terminal);
    assert_int_equal(WEXITSTATUS(status), 41);
}

static void test_run__signal_while_waiting__128_plus_n(void **state)
{
    struct process *leader = runner_witness(*state, "leader", "", "--quiet", NULL);

    runner_up(leader, NULL);
    struct process *waiting = runner_start(*state, "waiting", "--quiet", "--", "true", NULL);
    db_lock_pid(*state, "waiting");
    process_signal(waiting, SIGTERM);
    assert_int_equal(runner_exit_code(waiting), 128 + SIGTERM);
}

static void test_run__respawn__starts_again_in_the_same_tenure_until_term(void **state)
{
    struct process *leader = runner_witness(*state, "leader", "", "--quiet", "--respawn", NULL);
    pid_t first;
    pid_t second;
    int64_t epoch = runner_up(leader, &first);

    kill(first, SIGKILL);
    assert_int_equal(runner_up(leader, &second), epoch);
    assert_int_not_equal(first, second);
    process_signal(leader, SIGTERM);
    assert_int_equal(runner_exit_code(leader), 128 + SIGTERM);
}

static void test_run__command_daemonises__daemon_is_ended_before_we_resign(void **state)
{
    struct fixture *fixture = *state;
    struct process *first = runner_witness(fixture, "first", "daemon", "--quiet", NULL);
    struct process *second = runner_witness(fixture, "second", "daemon", "--quiet", NULL);

    assert_int_equal(runner_exit_code(first), 0);
    assert_int_equal(runner_exit_code(second), 0);
    assert_int_equal(witnesses_running(fixture->book), 0);
    assert_int_equal(belief_count_overlaps(fixture->book), 0);
}

static void test_run__two_components__run_at_the_same_time(void **state)
{
    struct process *one = runner_witness(*state, "one", "", "--quiet", NULL);
    struct process *other =
        runner_witness(*state, "other", "", "--quiet", "--component", "another", NULL);

    runner_up(one, NULL);
    runner_up(other, NULL);
    assert_false(has_ended(one));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_run__command_ends__its_code_is_ours),
        TEST(test_run__command_cannot_run__126_or_127),
        TEST(test_run__bad_usage__125),
        TEST(test_run__configuration_is_bad__125),
        TEST(test_run__database_refuses__125),
        TEST(test_run__no_server_within_wait__124),
        TEST(test_run__somebody_leads_beyond_wait__124),
        TEST(test_run__command__finds_a_token_that_the_fence_accepts),
        TEST(test_run__run_within_run__both_lead),
        TEST(test_run__address__is_published_and_withdrawn),
        TEST(test_run__signals__reach_the_command_each_time),
        TEST(test_run__interrupt_key__reaches_the_command_once),
        TEST(test_run__signal_while_waiting__128_plus_n),
        TEST(test_run__respawn__starts_again_in_the_same_tenure_until_term),
        TEST(test_run__command_daemonises__daemon_is_ended_before_we_resign),
        TEST(test_run__two_components__run_at_the_same_time),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
