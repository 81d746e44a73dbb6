/*
 * tests/unit/test_run_guard_deaths.c - the guard of `pgkeeper run` when wrapper or guard is killed or stopped: the command
 * is gone in time, and nothing of it is left.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guarded.h"

static void test_run_guard_deaths__guard_killed__command_dies_and_rest_is_cleared(void **state)
{
    struct guarded *f = *state;

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

static void test_run_guard_deaths__guard_stopped__tend_makes_it_go_on(void **state)
{
    struct guarded *f = *state;
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
static pid_t start_wrapper(struct guarded *f, const char *script, int lease_ms)
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

static void test_run_guard_deaths__wrapper_killed__nothing_is_left(void **state)
{
    struct guarded *f = *state;
    pid_t wrapper = start_wrapper(
        f,
        "trap '' TERM HUP; setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; "
        "sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' & echo up >&9; sleep 1000",
        60000);

    expect_line(f, "up");
    kill(wrapper, SIGKILL);
    expect_nothing_left(LONG_MS);
}

static void test_run_guard_deaths__guard_stopped_and_wrapper_killed__nothing_is_left(void **state)
{
    struct guarded *f = *state;
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

static void test_run_guard_deaths__wrapper_killed_on_lost_ignore__nothing_is_left(void **state)
{
    struct guarded *f = *state;

    f->options.on_lost = ON_LOST_IGNORE;
    pid_t wrapper = start_wrapper(f, IGNORES_TERM, 60000);
    expect_line(f, "up");
    kill(wrapper, SIGKILL);
    expect_nothing_left(LONG_MS);
}

static void
test_run_guard_deaths__wrapper_stopped__command_is_gone_after_deadline_and_grace(void **state)
{
    struct guarded *f = *state;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARDED_TEST(test_run_guard_deaths__guard_killed__command_dies_and_rest_is_cleared),
        GUARDED_TEST(test_run_guard_deaths__guard_stopped__tend_makes_it_go_on),
        GUARDED_TEST(test_run_guard_deaths__wrapper_killed__nothing_is_left),
        GUARDED_TEST(test_run_guard_deaths__guard_stopped_and_wrapper_killed__nothing_is_left),
        GUARDED_TEST(test_run_guard_deaths__wrapper_killed_on_lost_ignore__nothing_is_left),
        GUARDED_TEST(
            test_run_guard_deaths__wrapper_stopped__command_is_gone_after_deadline_and_grace),
    };

    return cmocka_run_group_tests(tests, guarded_group_setup, NULL);
}
