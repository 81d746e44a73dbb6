/*
 * run_lease.c - see run_lease.h. The mutex is held for the copying of one number; the guard process never
 * takes part in it.
 */
#include "run_lease.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct run_lease {
    const pgk_election *election;
    struct run_guard *guard;
    int interval_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool following;
    bool stop;
    pgk_uuid session_id;
};

static void copy_deadline(struct run_lease *lease)
{
    if (lease->following) {
        run_guard_publish(lease->guard,
                          pgk_election_deadline_ns(lease->election, &lease->session_id));
    }
}

static void wait_interval(struct run_lease *lease)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)lease->interval_ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&lease->wake, &lease->lock, &until);
}

static void *lease_thread(void *argument)
{
    struct run_lease *lease = argument;

    pthread_mutex_lock(&lease->lock);
    while (!lease->stop) {
        copy_deadline(lease);
        if (lease->following) {
            wait_interval(lease);
        } else {
            pthread_cond_wait(&lease->wake, &lease->lock);
        }
    }
    pthread_mutex_unlock(&lease->lock);
    return NULL;
}

static int start_thread(struct run_lease *lease)
{
    sigset_t all;
    sigset_t before;

    /* Signals are for the main thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&lease->thread, NULL, lease_thread, lease);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int run_lease_new(const pgk_election *election, struct run_guard *guard, int interval_ms,
                  struct run_lease **ret_lease)
{
    pthread_condattr_t attributes;
    struct run_lease *lease = calloc(1, sizeof(*lease));

    if (lease == NULL) {
        return ENOMEM;
    }
    lease->election = election;
    lease->guard = guard;
    lease->interval_ms = interval_ms;
    pthread_mutex_init(&lease->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lease->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    int error = start_thread(lease);
    if (error != 0) {
        free(lease);
        return error;
    }
    *ret_lease = lease;
    return 0;
}

void run_lease_follow(struct run_lease *lease, const pgk_uuid *session_id)
{
    pthread_mutex_lock(&lease->lock);
    lease->session_id = *session_id;
    lease->following = true;
    copy_deadline(lease);
    pthread_cond_signal(&lease->wake);
    pthread_mutex_unlock(&lease->lock);
}

void run_lease_forget(struct run_lease *lease)
{
    pthread_mutex_lock(&lease->lock);
    lease->following = false;
    run_guard_publish(lease->guard, 0);
    pthread_mutex_unlock(&lease->lock);
}

void run_lease_free(struct run_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    pthread_mutex_lock(&lease->lock);
    lease->stop = true;
    pthread_cond_signal(&lease->wake);
    pthread_mutex_unlock(&lease->lock);
    pthread_join(lease->thread, NULL);
    pthread_cond_destroy(&lease->wake);
    pthread_mutex_destroy(&lease->lock);
    free(lease);
}
