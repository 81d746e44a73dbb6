/*
 * tests/unit/test_run_guard.c - the guard of `pgkeeper run` with real processes and no database: the lease in the shared
 * page, descendants that hide, signals, exec errors. Deaths and stops of wrapper and guard are in
 * test_run_guard_deaths.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "guarded.h"

/* Within this a command has said that it is up, also on a busy machine. */
#define STARTED_MS 2000

static void test_run_guard__deadline_passes__term_at_deadline_then_kill_after_grace(void **state)
{
    struct guarded *f = *state;
    int64_t deadline = boottime_ns() + STARTED_MS * MS;

    use_script(f, "trap 'echo term >&9' TERM; echo up >&9; while :; do sleep 1000 & wait; done");
    begin(f, deadline);
    expect_line(f, "up");
    expect_line(f, "term");
    assert_true(boottime_ns() >= deadline);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_true(boottime_ns() >= deadline + f->options.grace_ns);
    assert_true(report.lost);
    assert_true(WIFSIGNALED(report.wait_status));
    assert_int_equal(WTERMSIG(report.wait_status), SIGKILL);
}

static void test_run_guard__deadline_moves_on__command_ends_by_itself(void **state)
{
    struct guarded *f = *state;
    struct run_report report;
    int64_t end = boottime_ns() + 900 * MS;

    begin_script(f, "sleep 0.8; exit 7", 300);
    expect_report(f, RUN_STARTED);
    while (boottime_ns() < end) {
        run_guard_publish(f->guard, boottime_ns() + 300 * MS);
        poll(NULL, 0, 20);
    }
    report = expect_report(f, RUN_ENDED);
    assert_false(report.lost);
    assert_true(WIFEXITED(report.wait_status));
    assert_int_equal(WEXITSTATUS(report.wait_status), 7);
}

static void test_run_guard__renewal_after_deadline__does_not_revive(void **state)
{
    struct guarded *f = *state;

    begin_script(f, "trap 'echo term >&9' TERM; echo up >&9; while :; do sleep 1000 & wait; done",
                 STARTED_MS);
    expect_line(f, "up");
    expect_line(f, "term");
    run_guard_publish(f->guard, boottime_ns() + 1000000 * MS);
    assert_true(expect_report(f, RUN_ENDED).lost);
}

/* As after a stop between the wrapper's last look and its order; 0: the lease was taken away. */
static void test_run_guard__deadline_past_at_start__never_started(void **state)
{
    struct guarded *f = *state;
    const int64_t deadlines[] = {boottime_ns() - 1, 0};

    use_script(f, "echo up >&9");
    for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
        begin(f, deadlines[i]);
        struct run_report report = expect_report(f, RUN_ENDED);
        assert_true(report.lost);
        assert_int_equal(report.wait_status, 0); /* nor started and ended */
    }
    begin(f, boottime_ns() + LONG_MS * MS);
    assert_false(expect_report(f, RUN_ENDED).lost);
    expect_line(f, "up");
    struct pollfd more = {f->talk, POLLIN, 0};
    assert_int_equal(poll(&more, 1, 0), 0); /* once */
}

static void test_run_guard__lose_on_lost_kill__killed_at_once(void **state)
{
    struct guarded *f = *state;

    f->options.on_lost = ON_LOST_KILL;
    f->options.grace_ns = 60000 * MS;
    begin_script(f, IGNORES_TERM, 60000);
    expect_line(f, "up");
    run_guard_lose(f->guard);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_true(report.lost);
    assert_int_equal(WTERMSIG(report.wait_status), SIGKILL);
}

static void test_run_guard__on_lost_ignore__deadline_changes_nothing(void **state)
{
    struct guarded *f = *state;

    f->options.on_lost = ON_LOST_IGNORE;
    begin_script(f, "sleep 0.5; exit 3", 100);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_false(report.lost);
    assert_int_equal(WEXITSTATUS(report.wait_status), 3);
}

static void test_run_guard__stopped_command_loses__ends_on_term(void **state)
{
    struct guarded *f = *state;

    f->options.grace_ns = 60000 * MS;
    begin_script(f, "echo $$ >&9; exec sleep 1000", 60000);
    pid_t command = read_pid(f);
    kill(command, SIGSTOP);
    run_guard_lose(f->guard);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_int_equal(WTERMSIG(report.wait_status), SIGTERM);
}

static void test_run_guard__command_leaves_processes__they_end_and_its_code_is_kept(void **state)
{
    struct guarded *f = *state;

    begin_script(f,
                 "(trap '' TERM; setsid sleep 1000) & setsid sh -c 'sleep 1000 & sleep 1000' & "
                 "(setsid setsid sleep 1000 &) ; exit 5",
                 60000);
    expect_report(f, RUN_LEFTOVERS);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_false(report.lost);
    assert_int_equal(WEXITSTATUS(report.wait_status), 5);
    run_guard_free(f->guard);
    f->guard = NULL;
    expect_nothing_left(LONG_MS);
}

static void test_run_guard__lose_after_end__is_forgotten_and_next_run_works(void **state)
{
    struct guarded *f = *state;

    begin_script(f, "exit 4", 60000);
    assert_int_equal(WEXITSTATUS(expect_report(f, RUN_ENDED).wait_status), 4);
    run_guard_lose(f->guard);
    begin(f, boottime_ns() + 60000 * MS);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_false(report.lost);
    assert_int_equal(WEXITSTATUS(report.wait_status), 4);
}

static void test_run_guard__signals__reach_command_each_time(void **state)
{
    struct guarded *f = *state;

    begin_script(f,
                 "trap 'echo usr1 >&9' USR1; trap 'echo term >&9' TERM; echo up >&9; "
                 "while :; do sleep 1000 & wait; kill %% 2>&-; done",
                 60000);
    expect_line(f, "up");
    run_guard_signal(f->guard, SIGUSR1);
    expect_line(f, "usr1");
    run_guard_signal(f->guard, SIGTERM);
    expect_line(f, "term");
    run_guard_signal(f->guard, SIGTERM);
    expect_line(f, "term");
    run_guard_signal(f->guard, SIGKILL);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_false(report.lost);
    assert_int_equal(WTERMSIG(report.wait_status), SIGKILL);
}

static void test_run_guard__guard_is_signalled__nothing_happens(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR1, SIGPIPE};
    struct guarded *f = *state;

    begin_script(f,
                 "echo $PPID >&9; trap 'echo usr2 >&9' USR2; echo up >&9; "
                 "while :; do sleep 1000 & wait; done",
                 60000);
    pid_t guard = read_pid(f);
    expect_line(f, "up");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(kill(guard, numbers[i]), 0);
    }
    run_guard_signal(f->guard, SIGUSR2);
    expect_line(f, "usr2");
}

static void test_run_guard__missing_program__enoent(void **state)
{
    struct guarded *f = *state;

    f->command[0] = "/nonexistent/program";
    begin(f, boottime_ns() + 60000 * MS);
    assert_int_equal(expect_report(f, RUN_ENDED).exec_errno, ENOENT);
}

static void test_run_guard__not_executable__eacces(void **state)
{
    struct guarded *f = *state;

    f->command[0] = "/etc/passwd";
    begin(f, boottime_ns() + 60000 * MS);
    assert_int_equal(expect_report(f, RUN_ENDED).exec_errno, EACCES);
}

static void test_run_guard__command__has_environment_and_clean_signals(void **state)
{
    struct guarded *f = *state;
    sigset_t blocked;

    sigfillset(&blocked);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
    begin_script(f,
                 "echo $PGKEEPER_COMPONENT $PGKEEPER_CLUSTER_ID $PGKEEPER_EPOCH "
                 "$PGKEEPER_EPOCH_TEXT $PGKEEPER_LEADERSHIP_ID $PGKEEPER_SESSION_ID >&9; "
                 "grep -E 'Sig(Blk|Ign)' /proc/$$/status | tr -d '\\t\\n' >&9; echo >&9",
                 60000);
    expect_line(f, "thing /test 1099511627818 1.42 7 abababab-abab-abab-abab-abababababab");
    expect_line(f, "SigBlk:0000000000000000SigIgn:0000000000000000");
    expect_report(f, RUN_ENDED);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARDED_TEST(test_run_guard__deadline_passes__term_at_deadline_then_kill_after_grace),
        GUARDED_TEST(test_run_guard__deadline_moves_on__command_ends_by_itself),
        GUARDED_TEST(test_run_guard__renewal_after_deadline__does_not_revive),
        GUARDED_TEST(test_run_guard__deadline_past_at_start__never_started),
        GUARDED_TEST(test_run_guard__lose_on_lost_kill__killed_at_once),
        GUARDED_TEST(test_run_guard__on_lost_ignore__deadline_changes_nothing),
        GUARDED_TEST(test_run_guard__stopped_command_loses__ends_on_term),
        GUARDED_TEST(test_run_guard__command_leaves_processes__they_end_and_its_code_is_kept),
        GUARDED_TEST(test_run_guard__lose_after_end__is_forgotten_and_next_run_works),
        GUARDED_TEST(test_run_guard__signals__reach_command_each_time),
        GUARDED_TEST(test_run_guard__guard_is_signalled__nothing_happens),
        GUARDED_TEST(test_run_guard__missing_program__enoent),
        GUARDED_TEST(test_run_guard__not_executable__eacces),
        GUARDED_TEST(test_run_guard__command__has_environment_and_clean_signals),
    };

    return cmocka_run_group_tests(tests, guarded_group_setup, NULL);
}
