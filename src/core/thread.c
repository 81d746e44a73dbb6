/*
 * core/thread.c - threads, condition variables and the wake-up descriptor; see the header.
 *
 * Owns no state. Nobody else in the library calls pthread_create.
 */
#include "core/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/text.h"

#define THREAD_NAME_SIZE 16 /* the kernel's limit */

struct start {
    void (*fn)(void *arg);
    void *arg;
    char name[THREAD_NAME_SIZE];
};

static void *run_thread(void *user)
{
    struct start *handed = user;
    struct start start = *handed;
    free(handed);
    pthread_setname_np(pthread_self(),
                       start.name); /* a name is a courtesy: a failure changes nothing */
    start.fn(start.arg);
    return NULL;
}

/* All signals but those that a thread raises by its own fault: blocked, these kill without a
 * trace. */
static void block_signals(sigset_t *ret_former)
{
    sigset_t blocked;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGTRAP);
    sigdelset(&blocked, SIGSYS);
    sigdelset(&blocked, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &blocked, ret_former);
}

pgk_status thread_start(struct thread *thread, const char *name, void (*fn)(void *arg), void *arg,
                        pgk_error *err)
{
    struct start *start = malloc(sizeof(*start));
    if (start == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "thread.start", "no memory for thread %s", name);
    }
    start->fn = fn;
    start->arg = arg;
    text_copy(start->name, sizeof(start->name), name);
    sigset_t former;
    block_signals(&former); /* the new thread inherits the mask of this one */
    int failure = pthread_create(&thread->id, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (failure != 0) {
        free(start);
        return error_set(err, failure == ENOMEM ? PGK_ERR_NO_MEMORY : PGK_ERR_RESOURCE,
                         "thread.start", "thread %s cannot be started: %s; see ulimit -u", name,
                         strerrordesc_np(failure));
    }
    thread->started = true;
    return PGK_OK;
}

void thread_join(struct thread *thread)
{
    if (thread->started) {
        pthread_join(thread->id, NULL);
        thread->started = false;
    }
}

void thread_detach(struct thread *thread)
{
    if (thread->started) {
        pthread_detach(thread->id);
        thread->started = false;
    }
}

bool thread_is_self(const struct thread *thread)
{
    return thread->started && pthread_equal(thread->id, pthread_self());
}

pgk_status mutex_init(pthread_mutex_t *mutex, pgk_error *err)
{
    int failure = pthread_mutex_init(mutex, NULL);
    if (failure != 0) {
        return error_set(err, PGK_ERR_NO_MEMORY, "thread.mutex", "no mutex: %s",
                         strerrordesc_np(failure));
    }
    return PGK_OK;
}

pgk_status cond_init(pthread_cond_t *cond, pgk_error *err)
{
    pthread_condattr_t attributes;
    int failure = pthread_condattr_init(&attributes);
    if (failure == 0) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        failure = pthread_cond_init(cond, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (failure != 0) {
        return error_set(err, PGK_ERR_NO_MEMORY, "thread.cond", "no condition variable: %s",
                         strerrordesc_np(failure));
    }
    return PGK_OK;
}

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    if (deadline_ns == CLOCK_NEVER) {
        pthread_cond_wait(cond, mutex);
        return true;
    }
    struct timespec until = clock_monotonic_deadline(deadline_ns);
    pthread_cond_timedwait(cond, mutex, &until);
    return clock_now_ns() < deadline_ns;
}

pgk_status wake_init(struct wake *wake, pgk_error *err)
{
    wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake->fd < 0) {
        return error_set(err, PGK_ERR_RESOURCE, "thread.wake", "no descriptor: %s; see ulimit -n",
                         strerrordesc_np(errno));
    }
    return PGK_OK;
}

void wake_set(struct wake *wake)
{
    uint64_t one = 1;
    /* EAGAIN means that it is set as it can be; EINTR does not occur with EFD_NONBLOCK. */
    ssize_t written = write(wake->fd, &one, sizeof(one));
    (void)written;
}

void wake_clear(struct wake *wake)
{
    uint64_t count;
    ssize_t taken = read(wake->fd, &count, sizeof(count)); /* EAGAIN: it was not set */
    (void)taken;
}

void wake_close(struct wake *wake)
{
    if (wake->fd >= 0) {
        close(wake->fd);
        wake->fd = -1;
    }
}
