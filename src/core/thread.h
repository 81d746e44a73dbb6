/*
 * core/thread.h - the only place that creates threads; locks' companions and a wake-up descriptor.
 *
 * Threads made here have all signals blocked, so that the application's handlers run on the
 * application's threads and SIGPIPE of a broken connection harms nobody.
 */
#ifndef PGK_CORE_THREAD_H
#define PGK_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pgkeeper/status.h>

/* Zeroed: not started. Owned by whoever starts and joins it. */
struct thread {
    pthread_t id;
    bool started;
};

/* Starts fn(arg) on a new thread; name: at most 15 bytes, as debuggers and top show it.
 * PGK_ERR_NO_MEMORY or PGK_ERR_RESOURCE, with the reason, when the system has no thread to give. */
pgk_status thread_start(struct thread *thread, const char *name, void (*fn)(void *arg), void *arg,
                        pgk_error *err);

/* Waits for its end; does nothing if not started. Not from the thread itself. */
void thread_join(struct thread *thread);

/* Lets it go: nobody joins it any more. */
void thread_detach(struct thread *thread);

/* Is this the calling thread? False if not started. */
bool thread_is_self(const struct thread *thread);

/* A mutex of the default kind, and a condition variable that waits by the monotonic clock.
 * PGK_ERR_NO_MEMORY. Destroy them with pthread_mutex_destroy and pthread_cond_destroy. */
pgk_status mutex_init(pthread_mutex_t *mutex, pgk_error *err);
pgk_status cond_init(pthread_cond_t *cond, pgk_error *err);

/* Waits until signalled or until clock_now_ns() reaches deadline_ns (CLOCK_NEVER: only signalled);
 * may wake for no reason. False when the deadline has passed. `cond` is of cond_init. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns);

/* A descriptor that polls readable from wake_set to wake_clear, however often it is set. */
struct wake {
    int fd; /* -1: closed */
};

pgk_status wake_init(struct wake *wake, pgk_error *err);
/* Any thread; never blocks. */
void wake_set(struct wake *wake);
void wake_clear(struct wake *wake);
void wake_close(struct wake *wake);

#endif
