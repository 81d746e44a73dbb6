/* tests/unit/guarded.c - see guarded.h. Owns the guard, the pipe that the command writes to, and what is left of it. */
#include "guarded.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descendants.h"

/* Where CMD writes to, so that the test sees what it does. */
#define TALK_FD 9

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

int guarded_group_setup(void **state)
{
    (void)state;
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int guarded_setup(void **state)
{
    struct guarded *f = calloc(1, sizeof(*f));
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

int guarded_teardown(void **state)
{
    struct guarded *f = *state;

    run_guard_free(f->guard);
    descendants_kill_all();
    close(f->talk);
    close(TALK_FD);
    free(f);
    return 0;
}

void use_script(struct guarded *f, const char *script)
{
    f->command[0] = "/bin/sh";
    f->command[1] = "-c";
    f->command[2] = script;
}

void begin(struct guarded *f, int64_t deadline_ns)
{
    pgk_token token = sample_token();

    if (f->guard == NULL) {
        assert_int_equal(run_guard_new(&f->options, &f->guard), 0);
    }
    run_guard_publish(f->guard, deadline_ns);
    assert_int_equal(run_guard_run(f->guard, &token), 0);
}

void begin_script(struct guarded *f, const char *script, int64_t lease_ms)
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
static void read_line(struct guarded *f, char *line, size_t size)
{
    size_t length = 0;

    do {
        await_readable(f->talk, "line from CMD");
        assert_int_equal(read(f->talk, line + length, 1), 1);
    } while (line[length] != '\n' && ++length < size - 1);
    line[length] = '\0';
}

void expect_line(struct guarded *f, const char *expected)
{
    char line[512];

    read_line(f, line, sizeof(line));
    assert_string_equal(line, expected);
}

pid_t read_pid(struct guarded *f)
{
    char line[64];

    read_line(f, line, sizeof(line));
    return (pid_t)strtol(line, NULL, 10);
}

struct run_report expect_report(struct guarded *f, enum run_report_kind kind)
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

void expect_nothing_left(int within_ms)
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
