/*
 * pgserver/guard.c - the guard process and the owner's end of it. See guard.h.
 * The functions named in_guard_* run in the forked guard: async-signal-safe calls only, no allocation.
 */
#include "pgserver/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "pgserver.guard"
/* The descriptors that the guard keeps, besides the standard ones. */
#define GUARD_FD 3
#define OWNER_FD 4
/* Of postmaster.pid: "<key> <id>" of the System V segment, in every version. */
#define SEGMENT_LINE 7

enum message_kind {
    MESSAGE_SPAWN = 1, /* to the guard */
    MESSAGE_SIGNAL,    /* to the guard: value is the signal */
    MESSAGE_SPAWNED,   /* from it: value is the pid */
    MESSAGE_EXITED,    /* from it: value is the wait status */
    MESSAGE_FAILED     /* from it: value is errno */
};

struct message {
    int32_t kind;
    int32_t value;
};

struct in_guard {
    const struct guard_task *task;
    pid_t postmaster; /* 0: none */
    bool watch_owner; /* OWNER_FD is a pidfd */
};

static void on_child(int signal_number)
{
    (void)signal_number;
}

static void in_guard_tell(enum message_kind kind, int value)
{
    struct message message = {.kind = (int32_t)kind, .value = value};

    while (send(GUARD_FD, &message, sizeof(message), MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

static void in_guard_default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
}

static void in_guard_exec(const struct in_guard *self, pid_t guard)
{
    sigset_t none;

    in_guard_default_signals();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != guard)
        _exit(126);
    close(GUARD_FD);
    close(OWNER_FD);
    execve(self->task->argv[0], self->task->argv, self->task->env);
    _exit(127);
}

static void in_guard_spawn(struct in_guard *self)
{
    pid_t guard = getpid();

    if (self->postmaster > 0) {
        in_guard_tell(MESSAGE_FAILED, EALREADY);
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        in_guard_exec(self, guard);
    if (pid < 0) {
        in_guard_tell(MESSAGE_FAILED, errno);
        return;
    }
    self->postmaster = pid;
    in_guard_tell(MESSAGE_SPAWNED, pid);
}

static void in_guard_reap(struct in_guard *self)
{
    int status = 0;
    pid_t pid = 0;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != self->postmaster)
            continue;
        self->postmaster = 0;
        in_guard_tell(MESSAGE_EXITED, status);
    }
}

/* False: the owner is gone. */
static bool in_guard_serve(struct in_guard *self)
{
    struct message message;
    ssize_t got = recv(GUARD_FD, &message, sizeof(message), MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got != (ssize_t)sizeof(message))
        return false;
    if (message.kind == MESSAGE_SPAWN)
        in_guard_spawn(self);
    if (message.kind == MESSAGE_SIGNAL && self->postmaster > 0)
        kill(self->postmaster, message.value);
    return true;
}

static void in_guard_loop(struct in_guard *self)
{
    sigset_t none;
    struct pollfd pollers[2] = {{.fd = GUARD_FD, .events = POLLIN},
                                {.fd = self->watch_owner ? OWNER_FD : -1, .events = POLLIN}};

    sigemptyset(&none);
    for (;;) {
        /* SIGCHLD is let in only here, so none is missed between the reaping and the waiting. */
        int ready = ppoll(pollers, 2, NULL, &none);
        bool failed = ready < 0 && errno != EINTR;
        in_guard_reap(self);
        if (failed)
            return;
        if (ready <= 0)
            continue;
        if ((pollers[1].revents & (POLLIN | POLLERR | POLLHUP)) != 0)
            return;
        if (pollers[0].revents != 0 && !in_guard_serve(self))
            return;
    }
}

/* Waits up to `seconds` for the postmaster's end. */
static bool in_guard_await_exit(struct in_guard *self, int seconds)
{
    sigset_t none;
    int64_t deadline = clock_now_ns() + seconds * NS_PER_S;

    sigemptyset(&none);
    in_guard_reap(self);
    while (self->postmaster > 0) {
        int64_t left = deadline - clock_now_ns();
        if (left <= 0)
            return false;
        struct timespec wait = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
        ppoll(NULL, 0, &wait, &none);
        in_guard_reap(self);
    }
    return true;
}

/* The number at *at and the blanks before it, which *at then passes; -1: none. */
static int64_t in_guard_number(const char **at)
{
    int64_t number = -1;

    while (**at == ' ')
        (*at)++;
    for (; **at >= '0' && **at <= '9' && number <= UINT32_MAX; (*at)++)
        number = (number < 0 ? 0 : number * 10) + (**at - '0');
    return number;
}

/*
 * A postmaster that was killed leaves its file behind, and the small System V segment that keeps a second one from
 * its data: line 7 has key and id. The data goes, so the segment may; its last user ends it.
 */
static void in_guard_free_segment(const char *pid_file)
{
    char text[2048];
    int fd = pid_file != NULL ? open(pid_file, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *at = text;
    for (int line = 1; line < SEGMENT_LINE && at != NULL; line++) {
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    int64_t key = at != NULL ? in_guard_number(&at) : -1;
    int64_t id = key >= 0 ? in_guard_number(&at) : -1;
    if (id >= 0 && id <= INT_MAX)
        shmctl((int)id, IPC_RMID, NULL);
}

static void in_guard_remove(const char *dir)
{
    char *const argv[] = {(char *)"rm", (char *)"-rf", (char *)"--", (char *)dir, NULL};
    char *const env[] = {NULL};

    /* Again while it is there: children of a killed postmaster may still be writing their last. */
    for (int i = 0; i < 100 && access(dir, F_OK) == 0; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execve("/bin/rm", argv, env);
            _exit(127);
        }
        if (pid < 0)
            return;
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        if (i > 0)
            poll(NULL, 0, 20);
    }
}

static bool in_guard_prepare(const struct guard_task *task, int control, int owner)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigset_t child_only;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    in_guard_default_signals();
    static const int ignored[] = {SIGINT, SIGHUP, SIGTERM, SIGQUIT, SIGPIPE, SIGTSTP};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        sigaction(ignored[i], &action, NULL);
    action.sa_handler = on_child;
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&child_only);
    sigaddset(&child_only, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child_only, NULL);

    setsid();
    prctl(PR_SET_NAME, "pgserver-guard");
    if (!run_as_apply(&task->run_as) || chdir("/") != 0)
        return false;
    int log = open(task->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* Move what is kept out of the way first, then into place, whatever their numbers were. */
    control = fcntl(control, F_DUPFD, 16);
    owner = owner < 0 ? fcntl(null, F_DUPFD, 16) : fcntl(owner, F_DUPFD, 16);
    log = fcntl(log, F_DUPFD, 16);
    null = fcntl(null, F_DUPFD, 16);
    if (control < 0 || owner < 0 || log < 0 || null < 0)
        return false;
    if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || dup2(control, GUARD_FD) < 0 ||
        dup2(owner, OWNER_FD) < 0)
        return false;
    /* Nothing else of the owner's may stay open here: its sockets and pipes would never end. */
    return syscall(SYS_close_range, OWNER_FD + 1, ~0U, 0) == 0;
}

static void in_guard_main(const struct guard_task *task, int control, int owner)
{
    struct in_guard self = {.task = task, .watch_owner = owner >= 0};

    if (!in_guard_prepare(task, control, owner)) {
        struct message message = {.kind = MESSAGE_FAILED, .value = errno};
        send(control, &message, sizeof(message), MSG_NOSIGNAL);
        _exit(1);
    }
    in_guard_tell(MESSAGE_SPAWNED, 0);
    in_guard_loop(&self);
    if (self.postmaster > 0) {
        kill(self.postmaster, SIGCONT);
        kill(self.postmaster, SIGQUIT);
        if (!in_guard_await_exit(&self, 8)) {
            kill(self.postmaster, SIGKILL);
            in_guard_await_exit(&self, 5);
        }
    }
    in_guard_free_segment(task->pid_file);
    in_guard_remove(task->remove_dir);
    _exit(0);
}

/* Waits for one report of the guard. */
static pgk_status await_report(struct guard *guard, struct message *ret_message, pgk_error *err)
{
    ssize_t got = 0;

    do {
        got = recv(guard->fd, ret_message, sizeof(*ret_message), 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(*ret_message))
        return error_set(err, PGK_ERR_IO, ORIGIN,
                         "the guard process %ld of the private server is gone", (long)guard->pid);
    if (ret_message->kind == MESSAGE_FAILED)
        return error_set(err, PGK_ERR_IO, ORIGIN, "the guard of the private server failed: %s",
                         strerror(ret_message->value));
    return PGK_OK;
}

pgk_status guard_start(const struct guard_task *task, struct guard *ret_guard, pgk_error *err)
{
    int fds[2];
    sigset_t all;
    sigset_t before;
    struct message message;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot make a socket pair: %s", strerror(errno));
    /* Tells the guard of our death even while copies of the socket live in children of ours. Where the
     * kernel has none (before 5.3) the socket alone must do. */
    int owner = (int)syscall(SYS_pidfd_open, getpid(), 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        in_guard_main(task, fds[1], owner);
    int fork_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    if (owner >= 0)
        close(owner);
    if (pid < 0) {
        close(fds[0]);
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot fork: %s", strerror(fork_errno));
    }
    *ret_guard = (struct guard){.pid = pid, .owner = getpid(), .fd = fds[0]};
    pgk_status status = await_report(ret_guard, &message, err);
    if (status != PGK_OK)
        guard_close(ret_guard);
    return status;
}

static pgk_status order(struct guard *guard, enum message_kind kind, int value, pgk_error *err)
{
    struct message message = {.kind = (int32_t)kind, .value = value};

    while (send(guard->fd, &message, sizeof(message), MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return error_set(err, PGK_ERR_IO, ORIGIN,
                             "the guard process %ld of the private server is gone: %s",
                             (long)guard->pid, strerror(errno));
    }
    return PGK_OK;
}

static void take_in(struct guard *guard, const struct message *message)
{
    if (message->kind == MESSAGE_SPAWNED)
        guard->postmaster = message->value;
    if (message->kind == MESSAGE_EXITED) {
        guard->postmaster = 0;
        guard->exit_status = message->value;
    }
}

pgk_status guard_spawn(struct guard *guard, pgk_error *err)
{
    struct message message = {0};

    guard_pump(guard, 0);
    pgk_status status = order(guard, MESSAGE_SPAWN, 0, err);
    while (status == PGK_OK && message.kind != MESSAGE_SPAWNED) {
        status = await_report(guard, &message, err);
        if (status == PGK_OK)
            take_in(guard, &message);
    }
    return status;
}

pgk_status guard_signal(struct guard *guard, int signal_number, pgk_error *err)
{
    return order(guard, MESSAGE_SIGNAL, signal_number, err);
}

void guard_pump(struct guard *guard, int timeout_ms)
{
    struct message message;
    struct pollfd poller = {.fd = guard->fd, .events = POLLIN};

    if (timeout_ms != 0)
        poll(&poller, 1, timeout_ms);
    for (;;) {
        ssize_t got = recv(guard->fd, &message, sizeof(message), MSG_DONTWAIT);
        if (got == (ssize_t)sizeof(message))
            take_in(guard, &message);
        else if (got == 0)
            guard->postmaster = 0; /* the guard was killed, and its child with it */
        if (got != (ssize_t)sizeof(message) && !(got < 0 && errno == EINTR))
            return;
    }
}

void guard_close(struct guard *guard)
{
    if (guard->pid <= 0)
        return;
    if (guard->owner == getpid()) {
        /* Not close alone: a forked child may hold a copy. */
        shutdown(guard->fd, SHUT_RDWR);
        while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    close(guard->fd);
    guard->pid = 0;
}
