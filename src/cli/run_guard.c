/*
 * run_guard.c - the wrapper's side of the guard of `pgkeeper run`: starting it, orders, reports, and clearing
 * away what is left when the guard itself was killed. Must never block on the guard, which may be
 * stopped or dead.
 */
#include "run_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descendants.h"
#include "run_guard_wire.h"

struct run_guard {
    pid_t pid; /* 0 once it has been reaped: the id is not ours any more */
    int socket;
    struct run_guard_page *page;
};

/* Forks with all signals blocked, so that none can hit the guard before it is ready for them. */
static int fork_guard(struct run_guard *guard, const struct run_guard_options *options,
                      const int sockets[2])
{
    sigset_t all;
    sigset_t before;
    struct run_guard_task task = {options, guard->page, sockets[1], getpid()};

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    int error = pid < 0 ? errno : 0;
    if (pid == 0) {
        close(sockets[0]);
        run_guard_process(&task);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    guard->pid = error == 0 ? pid : 0;
    return error;
}

int run_guard_new(const struct run_guard_options *options, struct run_guard **ret_guard)
{
    int sockets[2] = {-1, -1};
    int error = ENOSYS;
    struct run_guard *guard = calloc(1, sizeof(*guard));

    if (guard == NULL) {
        return ENOMEM;
    }
    guard->socket = -1;
    guard->page =
        mmap(NULL, sizeof(*guard->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (guard->page == MAP_FAILED) {
        error = errno;
        guard->page = NULL;
        goto fail;
    }
    if (!descendants_visible()) {
        goto fail;
    }
    /* An inherited SIG_IGN would have the kernel reap children behind our back. */
    signal(SIGCHLD, SIG_DFL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) != 0) {
        error = errno;
        goto fail;
    }
    guard->socket = sockets[0];
    error = fork_guard(guard, options, sockets);
    close(sockets[1]);
    if (error != 0) {
        goto fail;
    }
    *ret_guard = guard;
    return 0;
fail:
    run_guard_free(guard);
    return error;
}

void run_guard_publish(struct run_guard *guard, int64_t deadline_ns)
{
    atomic_store_explicit(&guard->page->deadline_ns, deadline_ns, memory_order_release);
}

static int send_order(struct run_guard *guard, const struct run_order *order)
{
    ssize_t sent;

    do {
        sent = send(guard->socket, order, sizeof(*order), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

int run_guard_run(struct run_guard *guard, const pgk_token *token)
{
    struct run_order order;

    memset(&order, 0, sizeof(order));
    order.kind = RUN_ORDER_START;
    order.token = *token;
    return send_order(guard, &order);
}

/* An order that cannot be sent is for a guard that is dead or stopped; the caller notices that anyway. */
void run_guard_signal(struct run_guard *guard, int signal_number)
{
    struct run_order order;

    memset(&order, 0, sizeof(order));
    order.kind = RUN_ORDER_SIGNAL;
    order.signal_number = signal_number;
    (void)send_order(guard, &order);
}

void run_guard_lose(struct run_guard *guard)
{
    struct run_order order;

    run_guard_publish(guard, 0);
    memset(&order, 0, sizeof(order));
    order.kind = RUN_ORDER_LOSE;
    (void)send_order(guard, &order);
}

int run_guard_fd(const struct run_guard *guard)
{
    return guard->socket;
}

bool run_guard_receive(struct run_guard *guard, struct run_report *ret_report)
{
    ssize_t length;

    do {
        length = recv(guard->socket, ret_report, sizeof(*ret_report), MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return false;
    }
    if (length != (ssize_t)sizeof(*ret_report)) {
        memset(ret_report, 0, sizeof(*ret_report));
        ret_report->kind = RUN_GUARD_GONE;
    }
    return true;
}

void run_guard_tend(struct run_guard *guard)
{
    int status;
    pid_t pid;

    /* Any child: as process 1 of a container the wrapper inherits strangers, too. */
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid != guard->pid) {
            continue;
        }
        if (WIFSTOPPED(status)) {
            kill(guard->pid, SIGCONT);
        } else {
            guard->pid = 0;
        }
    }
}

static void reap_guard(struct run_guard *guard)
{
    while (guard->pid != 0 && waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    guard->pid = 0;
}

void run_guard_kill(struct run_guard *guard)
{
    if (guard->pid != 0) {
        kill(guard->pid, SIGKILL);
        reap_guard(guard);
    }
    /* CMD went with the guard, by its parent death signal; what it had started is now ours. */
    descendants_kill_all();
}

void run_guard_free(struct run_guard *guard)
{
    if (guard == NULL) {
        return;
    }
    if (guard->socket >= 0) {
        close(guard->socket);
    }
    if (guard->pid != 0) {
        kill(guard->pid, SIGCONT); /* it may be stopped, and must see that its socket is closed */
        reap_guard(guard);
    }
    if (guard->page != NULL) {
        munmap(guard->page, sizeof(*guard->page));
    }
    free(guard);
}
