/*
 * tests/lib/completions.h - what the completions of asynchronous calls said, one slot for each call: how
 * often, on which thread, with what. Any thread.
 */
#ifndef PGK_TESTS_COMPLETIONS_H
#define PGK_TESTS_COMPLETIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include <pgkeeper/pgkeeper.h>

struct completed {
    atomic_int times;  /* set last */
    _Atomic int order; /* of all completions of the program, from 1 */
    pgk_status status;
    pgk_error error;
    int attempts;
    int64_t dropped;
    pthread_t thread;
    int64_t at_ns;
    /* Runs inside the completion, before it counts; or NULL. */
    void (*hook)(struct completed *completed);
    void *user;
};

/* The completion; `user` is a struct completed. */
void completed_done(void *user, const pgk_completion *completion);
int completed_times(struct completed *completed);
/* Waits for it; fails the test unless it came once, with that status. */
void completed_expect(struct completed *completed, pgk_status status);

#endif
