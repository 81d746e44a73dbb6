/*
 * run_guard_process.c - the guard process of `pgkeeper run`: starts CMD, passes signals to it, and ends it
 * with all its descendants when the deadline in the shared page has passed, the wrapper says so or the
 * wrapper is gone. One thread. Must never write to a terminal or pipe of the user's, which could block it,
 * and never wait for the wrapper.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descendants.h"
#include "run_guard_wire.h"

/* Between two rounds of SIGKILL, for processes forked while the one before went on. */
#define KILL_AGAIN_NS INT64_C(5000000)
#define NEVER INT64_MAX
#define NS_PER_S INT64_C(1000000000)

struct guard_state {
    const struct run_guard_task *task;
    int signals; /* SIGCHLD, and SIGCONT from the kernel when the wrapper dies */
    int timer;

    bool running; /* from START until nothing of the run is left */
    pid_t child;  /* CMD; 0 once it has been reaped: the id is not ours any more */
    int exec_fd;  /* end of file: CMD has been executed; -1: known */
    int exec_errno;
    int wait_status;
    bool losing; /* for good: a later renewal changes nothing */
    bool lost;   /* what the wrapper is told: CMD lived when leadership was lost */
    bool leftovers_told;
    int64_t kill_at_ns;
};

static void report(const struct guard_state *guard, enum run_report_kind kind)
{
    struct run_report message;

    memset(&message, 0, sizeof(message));
    message.kind = kind;
    message.exec_errno = guard->exec_errno;
    message.wait_status = guard->wait_status;
    message.lost = guard->lost;
    /* Fails only if the wrapper is gone, which the loop finds out by itself. */
    (void)send(guard->task->socket, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Nothing may outlive the wrapper, whatever on_lost says: nobody would be left to watch the lease. */
_Noreturn static void end_orphaned(void)
{
    descendants_kill_all();
    _exit(0);
}

static int64_t deadline_ns(const struct guard_state *guard)
{
    return atomic_load_explicit(&guard->task->page->deadline_ns, memory_order_acquire);
}

static void kill_by(struct guard_state *guard, int64_t at_ns)
{
    if (at_ns < guard->kill_at_ns) {
        guard->kill_at_ns = at_ns;
    }
}

static void begin_loss(struct guard_state *guard, int64_t lost_at_ns)
{
    guard->losing = true;
    guard->lost = guard->child != 0;
    if (guard->task->options->on_lost == ON_LOST_KILL) {
        kill_by(guard, 0);
        return;
    }
    kill_by(guard, lost_at_ns + guard->task->options->grace_ns);
    if (guard->child != 0 && guard->kill_at_ns > boottime_ns()) {
        kill(guard->child, SIGTERM);
        kill(guard->child, SIGCONT); /* a stopped process would not see it */
    }
}

static bool enforces_lease(const struct guard_state *guard)
{
    return guard->running && !guard->losing && guard->task->options->on_lost != ON_LOST_IGNORE;
}

static void check_lease(struct guard_state *guard)
{
    int64_t now = boottime_ns();
    int64_t deadline = deadline_ns(guard);

    if (enforces_lease(guard) && deadline <= now) {
        begin_loss(guard, deadline > 0 ? deadline : now);
    }
}

static void start_command(struct guard_state *guard, const pgk_token *token)
{
    int fds[2];
    pid_t self = getpid();

    guard->running = true;
    guard->losing = guard->lost = guard->leftovers_told = false;
    guard->wait_status = guard->exec_errno = 0;
    guard->kill_at_ns = NEVER;
    /* The wrapper may have been stopped since it looked: then somebody else may lead. */
    if (enforces_lease(guard) && deadline_ns(guard) <= boottime_ns()) {
        guard->losing = guard->lost = true;
        return;
    }
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
        guard->exec_errno = errno;
        return;
    }
    guard->child = fork();
    if (guard->child < 0) {
        guard->exec_errno = errno;
        guard->child = 0;
        close(fds[0]);
    } else if (guard->child == 0) {
        run_guard_exec(guard->task->options, token, self, fds[1]);
    } else {
        guard->exec_fd = fds[0];
    }
    close(fds[1]);
}

static void learn_exec_result(struct guard_state *guard)
{
    int error = 0;
    ssize_t length = read(guard->exec_fd, &error, sizeof(error));

    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    close(guard->exec_fd);
    guard->exec_fd = -1;
    if (length == (ssize_t)sizeof(error)) {
        guard->exec_errno = error;
    } else {
        report(guard, RUN_STARTED);
    }
}

static void obey(struct guard_state *guard, const struct run_order *order)
{
    if (order->kind == RUN_ORDER_START) {
        if (!guard->running) {
            start_command(guard, &order->token);
        }
    } else if (!guard->running) {
        return; /* crossed the report of the run's end */
    } else if (order->kind == RUN_ORDER_SIGNAL) {
        if (guard->child != 0) {
            kill(guard->child, order->signal_number);
        }
    } else if (!guard->losing) {
        begin_loss(guard, boottime_ns());
    }
}

static void take_orders(struct guard_state *guard)
{
    struct run_order order;

    for (;;) {
        ssize_t length = recv(guard->task->socket, &order, sizeof(order), MSG_DONTWAIT);
        if (length == (ssize_t)sizeof(order)) {
            obey(guard, &order);
        } else if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else if (length >= 0 || errno != EINTR) {
            end_orphaned();
        }
    }
}

/* Reaps what has ended; true when nothing is left below this process. */
static bool reap(struct guard_state *guard)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0 && pid == guard->child) {
            guard->child = 0;
            guard->wait_status = status;
        } else if (pid == 0) {
            return false;
        } else if (pid < 0 && errno != EINTR) {
            return true;
        }
    }
}

/* CMD has ended and processes of its have not: they get the same order of things as CMD at a loss. */
static void end_leftovers(struct guard_state *guard)
{
    guard->leftovers_told = true;
    report(guard, RUN_LEFTOVERS);
    kill_by(guard, boottime_ns() + guard->task->options->grace_ns);
    descendants_signal(SIGTERM);
    descendants_signal(SIGCONT);
}

static void advance(struct guard_state *guard)
{
    bool nothing_left = reap(guard);

    if (!guard->running) {
        return;
    }
    check_lease(guard);
    if (guard->exec_fd >= 0) {
        learn_exec_result(guard);
    }
    if (nothing_left && guard->exec_fd < 0) {
        guard->running = false;
        report(guard, RUN_ENDED);
        return;
    }
    if (boottime_ns() >= guard->kill_at_ns) {
        descendants_signal(SIGKILL);
    } else if (guard->child == 0 && !guard->leftovers_told) {
        end_leftovers(guard);
    }
}

/* Sets the timer to the next moment at which something is due without an event. */
static void set_timer(const struct guard_state *guard)
{
    struct itimerspec when;
    int64_t now = boottime_ns();
    int64_t next = guard->running ? guard->kill_at_ns : NEVER;

    if (next <= now) {
        next = now + KILL_AGAIN_NS;
    }
    if (enforces_lease(guard)) {
        int64_t deadline = deadline_ns(guard);
        next = deadline < next ? deadline : next;
        next = next > 0 ? next : 1; /* 0 would disarm */
    }
    memset(&when, 0, sizeof(when));
    if (next != NEVER) {
        when.it_value.tv_sec = (time_t)(next / NS_PER_S);
        when.it_value.tv_nsec = (long)(next % NS_PER_S);
    }
    timerfd_settime(guard->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void wait_for_event(const struct guard_state *guard)
{
    struct signalfd_siginfo signals[8];
    struct pollfd fds[] = {{guard->task->socket, POLLIN, 0},
                           {guard->signals, POLLIN, 0},
                           {guard->timer, POLLIN, 0},
                           {guard->exec_fd, POLLIN, 0}};

    poll(fds, sizeof(fds) / sizeof(fds[0]), -1);
    /* Only to empty it: what a signal means is looked up in advance() and below. */
    while (read(guard->signals, signals, sizeof(signals)) > 0) {
    }
    if (getppid() != guard->task->wrapper) {
        end_orphaned();
    }
}

_Noreturn void run_guard_process(const struct run_guard_task *task)
{
    struct guard_state guard;
    sigset_t watched;

    memset(&guard, 0, sizeof(guard));
    guard.task = task;
    guard.exec_fd = -1;
    guard.kill_at_ns = NEVER;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGCONT);
    guard.signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    guard.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    /* A name of its own, so that a signal sent to all of the wrapper's name spares the guard. */
    prctl(PR_SET_NAME, "pgk-run-guard", 0, 0, 0);
    if (guard.signals < 0 || guard.timer < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        _exit(125); /* the wrapper sees the socket close */
    }
    /* SIGCONT, so that a guard that is stopped sees it too. */
    prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0);
    while (getppid() == task->wrapper) {
        take_orders(&guard);
        advance(&guard);
        set_timer(&guard);
        wait_for_event(&guard);
    }
    end_orphaned();
}
