/*
 * run_loop.c - the events of `pgkeeper run`: grants and revokes, reports of the guard, signals, time. One thread,
 * the main one. Must never let a revoke return while anything of CMD lives, unless --on-lost ignore: the lock
 * is freed after it.
 */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often a lease that was lost is noticed here, should both library and guard be late. */
#define LOOK_MS 100
#define PUBLISH_AGAIN_MS 1000
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 10000
/* A run of CMD that lasted this long was a good one: the next back-off is short again. */
#define GOOD_RUN_MS 10000

void run_tell(const struct run *run, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    if (run->options.quiet) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    say(run->cli, "%s", line);
}

void run_finish(struct run *run, int exit_code)
{
    if (!run->finished) {
        run->finished = true;
        run->exit_code = exit_code;
    }
}

static int64_t in_ms(int64_t ms)
{
    return boottime_ns() + ms * RUN_NS_PER_MS;
}

/* ---- CMD ---- */

static void start_command(struct run *run)
{
    int64_t deadline_ns = pgk_election_deadline_ns(run->election, &run->token.session_id);

    if (deadline_ns == 0) {
        return; /* the revoke is on its way */
    }
    run_lease_follow(run->lease, &run->token.session_id);
    int error = run_guard_run(run->guard, &run->token);
    if (error != 0) {
        say(run->cli, "cannot reach the guard process: %s", strerror(error));
        run_finish(run, RUN_EXIT_OWN_FAILURE);
        return;
    }
    run->active = true;
    run->hangup_passed = false;
    run->losing = false;
    run->active_since_ns = boottime_ns();
    run->overdue_ns = RUN_NEVER;
}

static void end_command(struct run *run)
{
    if (!run->active || run->losing || run->options.on_lost == ON_LOST_IGNORE) {
        return;
    }
    int grace_ms = run->options.on_lost == ON_LOST_KILL ? 0 : run->options.grace_ms;
    run->losing = true;
    run->overdue_ns = in_ms(grace_ms + RUN_TAKE_OVER_FROM_GUARD_MS);
    run_guard_lose(run->guard);
}

/* Makes the address known; a fault that passes is tried again, others are for a person to mend. */
static void publish(struct run *run)
{
    pgk_error error;

    run->publish_at_ns = RUN_NEVER;
    if (!run->granted || run->published) {
        return;
    }
    pgk_status status =
        pgk_election_confirm(run->election, &run->token.session_id, run->address, &error);
    if (status == PGK_OK) {
        run->published = true;
    } else if ((error.flags & (PGK_ERROR_RETRYABLE | PGK_ERROR_OUTCOME_UNKNOWN)) != 0) {
        run->publish_at_ns = in_ms(PUBLISH_AGAIN_MS);
    } else if (status != PGK_ERR_FENCED) {
        say(run->cli, "address not published: %s", error.message);
    }
}

static int exit_code_of_child(int wait_status)
{
    return WIFSIGNALED(wait_status) ? RUN_EXIT_SIGNAL + WTERMSIG(wait_status)
                                    : WEXITSTATUS(wait_status);
}

static void command_not_executed(struct run *run, int error)
{
    const char *name = run->options.command[0];

    switch (error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        say(run->cli, "cannot start a process for %s: %s", name, strerror(error));
        run_finish(run, RUN_EXIT_OWN_FAILURE);
        break;
    case ENOENT:
        say(run->cli, "%s: not found", name);
        run_finish(run, RUN_EXIT_NOT_FOUND);
        break;
    default:
        say(run->cli, "cannot execute %s: %s", name, strerror(error));
        run_finish(run, RUN_EXIT_NOT_EXECUTABLE);
    }
}

static void plan_respawn(struct run *run, const char *how)
{
    if (boottime_ns() - run->active_since_ns >= GOOD_RUN_MS * RUN_NS_PER_MS) {
        run->backoff_ms = 0;
    }
    run->backoff_ms = run->backoff_ms == 0 ? BACKOFF_FIRST_MS : run->backoff_ms * 2;
    if (run->backoff_ms > BACKOFF_MAX_MS) {
        run->backoff_ms = BACKOFF_MAX_MS;
    }
    run->start_at_ns = in_ms(run->backoff_ms);
    run_tell(run, "%s %s; starting it again in %d ms", run->options.command[0], how,
             run->backoff_ms);
}

static void command_ended(struct run *run, const struct run_report *report)
{
    char how[64];
    int code = exit_code_of_child(report->wait_status);
    bool hung_up = run->hangup_passed && code == RUN_EXIT_SIGNAL + SIGHUP;

    run->active = run->losing = false;
    run->overdue_ns = RUN_NEVER;
    run_lease_forget(run->lease);
    if (report->exec_errno != 0) {
        command_not_executed(run, report->exec_errno);
        return;
    }
    if (WIFSIGNALED(report->wait_status)) {
        snprintf(how, sizeof(how), "was ended by signal %d", WTERMSIG(report->wait_status));
    } else {
        snprintf(how, sizeof(how), "ended with code %d", code);
    }
    if (report->lost && (!run->options.respawn || run->stop_signal != 0)) {
        run_tell(run, "%s %s, because leadership was lost", run->options.command[0], how);
        run_finish(run, RUN_EXIT_LOST);
    } else if (report->lost && !run->granted) {
        run_tell(run, "%s %s; contending again", run->options.command[0], how);
    } else if (!report->lost && (!run->options.respawn || run->stop_signal != 0 || hung_up)) {
        run_tell(run, "%s %s", run->options.command[0], how);
        run_finish(run, code);
    } else {
        plan_respawn(run, how);
    }
}

static void guard_gone(struct run *run)
{
    bool losing = run->losing;

    run_guard_kill(run->guard);
    run->active = run->losing = false;
    run->overdue_ns = RUN_NEVER;
    say(run->cli, "the guard process is gone; nothing of %s is left", run->options.command[0]);
    run_finish(run, losing ? RUN_EXIT_LOST : RUN_EXIT_OWN_FAILURE);
}

static void take_reports(struct run *run)
{
    struct run_report report;

    while (!run->finished && run_guard_receive(run->guard, &report)) {
        switch (report.kind) {
        case RUN_STARTED:
            run->publish_at_ns = boottime_ns();
            break;
        case RUN_LEFTOVERS:
            run_tell(run, "%s has ended and left processes behind; ending them",
                     run->options.command[0]);
            break;
        case RUN_ENDED:
            command_ended(run, &report);
            break;
        case RUN_GUARD_GONE:
            guard_gone(run);
            break;
        }
    }
}

/* ---- Signals ---- */

static bool asks_to_stop(const struct run *run, int number, bool from_kernel)
{
    if (number == SIGHUP) { /* sent by a person it often means: read your configuration again */
        return from_kernel || !run->active;
    }
    return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

static void take_signal(struct run *run, int number, bool from_kernel)
{
    if (number == SIGCHLD) {
        run_guard_tend(run->guard);
        return;
    }
    if (asks_to_stop(run, number, from_kernel)) {
        run->stop_signal = number;
        if (!run->active) {
            run_finish(run, RUN_EXIT_SIGNAL + number);
        }
    }
    /* The terminal has sent it to CMD as well, which is of the same process group. */
    if (run->active && !from_kernel) {
        run->hangup_passed = run->hangup_passed || number == SIGHUP;
        run_guard_signal(run->guard, number);
    }
}

static void take_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        take_signal(run, (int)info.ssi_signo, info.ssi_code == SI_KERNEL);
    }
}

/* ---- Time ---- */

static void take_time(struct run *run)
{
    int64_t now = boottime_ns();

    if (run->active && run->granted &&
        pgk_election_deadline_ns(run->election, &run->token.session_id) == 0) {
        end_command(run);
    }
    if (run->active && now >= run->overdue_ns) {
        say(run->cli, "the guard process did not end %s in time; killing both",
            run->options.command[0]);
        guard_gone(run);
    }
    if (!run->granted && now >= run->give_up_at_ns) {
        say(run->cli, "not the leader of %s within --wait%s%s", run->options.component,
            run->fault.status != PGK_OK ? ": " : "",
            run->fault.status != PGK_OK ? run->fault.message : "");
        run_finish(run, RUN_EXIT_NOT_ACQUIRED);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int poll_timeout_ms(const struct run *run)
{
    int64_t now = boottime_ns();
    int64_t next =
        run->active ? earlier(run->overdue_ns, now + LOOK_MS * RUN_NS_PER_MS) : RUN_NEVER;

    next = earlier(next, run->publish_at_ns);
    if (run->granted && !run->active) {
        next = earlier(next, run->start_at_ns);
    } else if (!run->granted) {
        next = earlier(next, run->give_up_at_ns);
    }
    if (next == RUN_NEVER) {
        return -1;
    }
    return next <= now ? 0 : (int)((next - now + RUN_NS_PER_MS - 1) / RUN_NS_PER_MS);
}

/* Waits for one round of events and handles all but those of the election, so that a revoke can use it too;
 * true when callbacks of the election are due. */
static bool pump(struct run *run, bool with_election)
{
    struct pollfd fds[] = {{run->signals, POLLIN, 0},
                           {run_guard_fd(run->guard), POLLIN, 0},
                           {with_election ? pgk_ha_fd(run->ha) : -1, POLLIN, 0}};

    poll(fds, sizeof(fds) / sizeof(fds[0]), poll_timeout_ms(run));
    take_signals(run);
    take_reports(run);
    take_time(run);
    return fds[2].revents != 0;
}

/* ---- The election ---- */

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct run *run = user;
    pgk_token token;

    (void)epoch;
    run->granted = true;
    run->published = false;
    run->give_up_at_ns = RUN_NEVER;
    run->fault.status = PGK_OK;
    /* It fails when the tenure has ended already; the revoke follows, and nothing is started. */
    run->may_start = pgk_election_token(run->election, &token, NULL) == PGK_OK &&
                     pgk_uuid_compare(&token.session_id, session_id) == 0;
    if (!run->may_start) {
        return;
    }
    run->token = token;
    run_tell(run, "leader of %s, epoch %s", run->options.component, token.epoch_text);
    if (run->active) { /* --on-lost ignore: CMD of an earlier tenure still runs */
        run->publish_at_ns = boottime_ns();
        run_tell(run, "%s goes on with the epoch it was started with", run->options.command[0]);
    }
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct run *run = user;

    (void)session_id;
    (void)epoch;
    run->granted = run->may_start = false;
    run->publish_at_ns = RUN_NEVER;
    if (run->finished && !run->active) {
        return; /* our own closing */
    }
    const char *fate = !run->active                             ? "contending again"
                       : run->options.on_lost == ON_LOST_IGNORE ? "leaving running "
                                                                : "ending ";
    run_tell(run, "lost leadership of %s; %s%s", run->options.component, fate,
             run->active ? run->options.command[0] : "");
    end_command(run);
    while (run->active && run->losing) {
        pump(run, false);
    }
}

static bool needs_a_person(const pgk_error *error)
{
    return (error->flags & PGK_ERROR_RETRYABLE) == 0 &&
           (error->status == PGK_ERR_ACCESS || error->status == PGK_ERR_SCHEMA ||
            error->status == PGK_ERR_CONFIG || error->status == PGK_ERR_UNSUPPORTED);
}

static void on_error(void *user, const pgk_error *error)
{
    struct run *run = user;

    run->fault = *error;
    if (!run->granted && !run->active && needs_a_person(error)) {
        say(run->cli, "%s", error->message);
        run_finish(run, RUN_EXIT_OWN_FAILURE);
    } else {
        run_tell(run, "%s", error->message);
    }
}

const pgk_contender run_contender = {sizeof(pgk_contender), NULL, on_grant, on_revoke, on_error};

static void start_if_due(struct run *run)
{
    if (!run->finished && run->may_start && !run->active && run->stop_signal == 0 &&
        boottime_ns() >= run->start_at_ns) {
        start_command(run);
    }
}

void run_loop(struct run *run)
{
    pgk_error error;
    pgk_contender contender = run_contender;

    contender.user = run;
    if (pgk_election_start(run->election, &contender, &error) != PGK_OK) {
        say(run->cli, "%s", error.message);
        run_finish(run, RUN_EXIT_OWN_FAILURE);
    }
    while (!run->finished) {
        bool callbacks_due = pump(run, true);
        if (callbacks_due && !run->finished && pgk_ha_dispatch(run->ha, &error) != PGK_OK) {
            say(run->cli, "%s", error.message);
            run_finish(run, RUN_EXIT_OWN_FAILURE);
        }
        if (!run->finished && boottime_ns() >= run->publish_at_ns) {
            publish(run);
        }
        start_if_due(run);
    }
}
