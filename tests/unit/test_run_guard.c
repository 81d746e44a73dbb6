/*
 * test_run_guard.c - the guard of `pgkeeper run` with real processes and no database: the lease in the shared
 * page, deaths and stops of wrapper and guard, descendants that hide, signals, exec errors.
 *
 * The test process is a child subreaper, so whatever a guard fails to end becomes a child of the test.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "descendants.h"
#include "run_guard.h"

#define MS INT64_C(1000000)
#define LONG_MS 30000
/* Where CMD writes to, so that the test sees what it does. */
#define TALK_FD 9

struct fixture {
    struct run_guard_options options;
    struct run_guard *guard;
    const char *command[4];
    int talk; /* what CMD writes comes out here */
};

static pgk_token sample_token(void)
{
    pgk_token token;

    memset(&token, 0, sizeof(token));
    memset(token.session_id.bytes, 0xab, sizeof(token.session_id.bytes));
    token.epoch = (INT64_C(1) << 40) + 42;
    token.leadership_id = 7;
    snprintf(token.epoch_text, sizeof(token.epoch_text), "1.42");
    return token;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int pipe_fds[2];

    assert_non_null(f);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(dup2(pipe_fds[1], TALK_FD), TALK_FD);
    close(pipe_fds[1]);
    f->talk = pipe_fds[0];
    f->options.on_lost = ON_LOST_TERM;
    f->options.grace_ns = 300 * MS;
    f->options.command = (char *const *)f->command;
    f->options.component = "thing";
    f->options.cluster_id = "/test";
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    run_guard_free(f->guard);
    descendants_kill_all();
    close(f->talk);
    close(TALK_FD);
    free(f);
    return 0;
}

static void use_script(struct fixture *f, const char *script)
{
    f->command[0] = "/bin/sh";
    f->command[1] = "-c";
    f->command[2] = script;
}

static void begin(struct fixture *f, int64_t deadline_ns)
{
    pgk_token token = sample_token();

    if (f->guard == NULL) {
        assert_int_equal(run_guard_new(&f->options, &f->guard), 0);
    }
    run_guard_publish(f->guard, deadline_ns);
    assert_int_equal(run_guard_run(f->guard, &token), 0);
}

static void begin_script(struct fixture *f, const char *script, int64_t lease_ms)
{
    use_script(f, script);
    begin(f, boottime_ns() + lease_ms * MS);
}

static void await_readable(int fd, const char *what)
{
    struct pollfd item = {fd, POLLIN, 0};

    if (poll(&item, 1, LONG_MS) != 1) {
        fail_msg("no %s within %d ms", what, LONG_MS);
    }
}

/* The next line that CMD writes. */
static void read_line(struct fixture *f, char *line, size_t size)
{
    size_t length = 0;

    do {
        await_readable(f->talk, "line from CMD");
        assert_int_equal(read(f->talk, line + length, 1), 1);
    } while (line[length] != '\n' && ++length < size - 1);
    line[length] = '\0';
}

static void expect_line(struct fixture *f, const char *expected)
{
    char line[512];

    read_line(f, line, sizeof(line));
    assert_string_equal(line, expected);
}

static pid_t read_pid(struct fixture *f)
{
    char line[64];

    read_line(f, line, sizeof(line));
    return (pid_t)strtol(line, NULL, 10);
}

static struct run_report expect_report(struct fixture *f, enum run_report_kind kind)
{
    struct run_report report;

    for (;;) {
        while (!run_guard_receive(f->guard, &report)) {
            await_readable(run_guard_fd(f->guard), "report of the guard");
        }
        if (report.kind == kind) {
            return report;
        }
        assert_int_not_equal(report.kind, RUN_ENDED);
        assert_int_not_equal(report.kind, RUN_GUARD_GONE);
    }
}

/* Waits until the test has no child left; the guard of a dead wrapper becomes one. */
static void expect_nothing_left(int within_ms)
{
    int64_t end = boottime_ns() + within_ms * MS;

    while (boottime_ns() < end) {
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) {
            return;
        }
        poll(NULL, 0, 2);
    }
    fail_msg("processes are left after %d ms", within_ms);
}

#define IGNORES_TERM "trap '' TERM; echo up >&9; while :; do sleep 1000; done"

static void test_run_guard__deadline_passes__term_at_deadline_then_kill_after_grace(void **state)
{
    struct fixture *f = *state;
    int64_t deadline = boottime_ns() + 400 * MS;

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
    struct fixture *f = *state;
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
    struct fixture *f = *state;

    begin_script(f, "trap 'echo term >&9' TERM; echo up >&9; while :; do sleep 1000 & wait; done",
                 200);
    expect_line(f, "up");
    expect_line(f, "term");
    run_guard_publish(f->guard, boottime_ns() + 1000000 * MS);
    assert_true(expect_report(f, RUN_ENDED).lost);
}

static void test_run_guard__deadline_long_past__killed_without_grace(void **state)
{
    struct fixture *f = *state;

    f->options.grace_ns = 20000 * MS;
    use_script(f, IGNORES_TERM);
    int64_t before = boottime_ns();
    begin(f, before - 20001 * MS);
    assert_true(expect_report(f, RUN_ENDED).lost);
    assert_true(boottime_ns() - before < 10000 * MS);
}

static void test_run_guard__lose_on_lost_kill__killed_at_once(void **state)
{
    struct fixture *f = *state;

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
    struct fixture *f = *state;

    f->options.on_lost = ON_LOST_IGNORE;
    begin_script(f, "sleep 0.5; exit 3", 100);
    struct run_report report = expect_report(f, RUN_ENDED);
    assert_false(report.lost);
    assert_int_equal(WEXITSTATUS(report.wait_status), 3);
}

static void test_run_guard__stopped_command_loses__ends_on_term(void **state)
{
    struct fixture *f = *state;

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
    struct fixture *f = *state;

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
    struct fixture *f = *state;

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
    struct fixture *f = *state;

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
    struct fixture *f = *state;

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
    struct fixture *f = *state;

    f->command[0] = "/nonexistent/program";
    begin(f, boottime_ns() + 60000 * MS);
    assert_int_equal(expect_report(f, RUN_ENDED).exec_errno, ENOENT);
}

static void test_run_guard__not_executable__eacces(void **state)
{
    struct fixture *f = *state;

    f->command[0] = "/etc/passwd";
    begin(f, boottime_ns() + 60000 * MS);
    assert_int_equal(expect_report(f, RUN_ENDED).exec_errno, EACCES);
}

static void test_run_guard__command__has_environment_and_clean_signals(void **state)
{
    struct fixture *f = *state;
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

static void test_run_guard__guard_killed__command_dies_and_rest_is_cleared(void **state)
{
    struct fixture *f = *state;

    begin_script(f,
                 "setsid sleep 1000 & (setsid sh -c \"trap '' TERM; sleep 1000\" &) ; "
                 "trap '' TERM; echo $PPID >&9; sleep 1000",
                 60000);
    pid_t guard = read_pid(f);
    kill(guard, SIGKILL);
    expect_report(f, RUN_GUARD_GONE);
    run_guard_kill(f->guard);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_run_guard__guard_stopped__tend_makes_it_go_on(void **state)
{
    struct fixture *f = *state;
    siginfo_t info;

    begin_script(f, "trap 'exit 9' USR1; echo $PPID >&9; while :; do sleep 1000 & wait; done",
                 60000);
    pid_t guard = read_pid(f);
    kill(guard, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t)guard, &info, WSTOPPED | WNOWAIT), 0);
    run_guard_signal(f->guard, SIGUSR1);
    run_guard_tend(f->guard);
    assert_int_equal(WEXITSTATUS(expect_report(f, RUN_ENDED).wait_status), 9);
}

/* The beginning of a process's /proc/PID/stat: id, name, state. */
static void read_state(pid_t pid, char *text, size_t size)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, (int)size, file));
    fclose(file);
}

/* A process that stands for the wrapper: it renews until it is told to exit. */
static pid_t start_wrapper(struct fixture *f, const char *script, int lease_ms)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0) {
        return pid;
    }
    struct run_report report;
    begin_script(f, script, lease_ms);
    for (;;) {
        while (run_guard_receive(f->guard, &report)) {
            if (report.kind == RUN_ENDED) {
                run_guard_free(f->guard);
                _exit(report.lost ? 123 : 0);
            }
        }
        run_guard_publish(f->guard, boottime_ns() + lease_ms * MS);
        poll(NULL, 0, 10);
    }
}

static void test_run_guard__wrapper_killed__nothing_is_left(void **state)
{
    struct fixture *f = *state;
    pid_t wrapper = start_wrapper(
        f,
        "trap '' TERM HUP; setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; "
        "sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' & echo up >&9; sleep 1000",
        60000);

    expect_line(f, "up");
    kill(wrapper, SIGKILL);
    expect_nothing_left(LONG_MS);
}

static void test_run_guard__guard_stopped_and_wrapper_killed__nothing_is_left(void **state)
{
    struct fixture *f = *state;
    char state_of_guard[64];
    pid_t wrapper = fork();

    assert_true(wrapper >= 0);
    if (wrapper == 0) { /* it does not tend its guard */
        begin_script(f, "trap '' TERM; setsid sleep 1000 & echo $PPID >&9; sleep 1000", 60000);
        for (;;) {
            pause();
        }
    }
    pid_t guard = read_pid(f);
    kill(guard, SIGSTOP);
    do {
        poll(NULL, 0, 2);
        read_state(guard, state_of_guard, sizeof(state_of_guard));
    } while (strstr(state_of_guard, ") T ") == NULL);
    kill(wrapper, SIGKILL);
    expect_nothing_left(LONG_MS);
}

static void test_run_guard__wrapper_killed_on_lost_ignore__nothing_is_left(void **state)
{
    struct fixture *f = *state;

    f->options.on_lost = ON_LOST_IGNORE;
    pid_t wrapper = start_wrapper(f, IGNORES_TERM, 60000);
    expect_line(f, "up");
    kill(wrapper, SIGKILL);
    expect_nothing_left(LONG_MS);
}

static void test_run_guard__wrapper_stopped__command_is_gone_after_deadline_and_grace(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t wrapper =
        start_wrapper(f, "trap '' TERM; echo $$ >&9; while :; do sleep 1000; done", 300);
    pid_t command = read_pid(f);
    int64_t stopped_at = boottime_ns();

    kill(wrapper, SIGSTOP);
    while (kill(command, 0) == 0) {
        assert_true(boottime_ns() < stopped_at + LONG_MS * MS);
        poll(NULL, 0, 2);
    }
    assert_true(boottime_ns() >= stopped_at + f->options.grace_ns);
    kill(wrapper, SIGCONT);
    assert_int_equal(waitpid(wrapper, &status, 0), wrapper);
    assert_int_equal(WEXITSTATUS(status), 123);
    expect_nothing_left(LONG_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_run_guard__deadline_passes__term_at_deadline_then_kill_after_grace),
        TEST(test_run_guard__deadline_moves_on__command_ends_by_itself),
        TEST(test_run_guard__renewal_after_deadline__does_not_revive),
        TEST(test_run_guard__deadline_long_past__killed_without_grace),
        TEST(test_run_guard__lose_on_lost_kill__killed_at_once),
        TEST(test_run_guard__on_lost_ignore__deadline_changes_nothing),
        TEST(test_run_guard__stopped_command_loses__ends_on_term),
        TEST(test_run_guard__command_leaves_processes__they_end_and_its_code_is_kept),
        TEST(test_run_guard__lose_after_end__is_forgotten_and_next_run_works),
        TEST(test_run_guard__signals__reach_command_each_time),
        TEST(test_run_guard__guard_is_signalled__nothing_happens),
        TEST(test_run_guard__missing_program__enoent),
        TEST(test_run_guard__not_executable__eacces),
        TEST(test_run_guard__command__has_environment_and_clean_signals),
        TEST(test_run_guard__guard_killed__command_dies_and_rest_is_cleared),
        TEST(test_run_guard__guard_stopped__tend_makes_it_go_on),
        TEST(test_run_guard__wrapper_killed__nothing_is_left),
        TEST(test_run_guard__guard_stopped_and_wrapper_killed__nothing_is_left),
        TEST(test_run_guard__wrapper_killed_on_lost_ignore__nothing_is_left),
        TEST(test_run_guard__wrapper_stopped__command_is_gone_after_deadline_and_grace),
    };

    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
