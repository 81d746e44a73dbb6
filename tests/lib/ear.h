/*
 * tests/lib/ear.h - a listener of a job graph store that writes down what it is told: "added <hex>", "removed <hex>".
 * Callbacks come on the notifier's thread; the rest is the test's.
 */
#ifndef PGK_TESTS_EAR_H
#define PGK_TESTS_EAR_H

#include <pgkeeper/pgkeeper.h>
#include <pthread.h>

#include "wait.h"

struct ear {
    pthread_mutex_t lock;
    size_t count;
    struct ear_word {
        bool added;
        pgk_uuid job_id;
    } words[4096];
    void (*hook)(struct ear *ear, const pgk_uuid *job_id); /* inside each callback; or NULL */
    void *user;
};

/* Zeroes it and gives the listener. */
pgk_job_graph_listener ear_open(struct ear *ear);
/* How often it was told so of a job. */
size_t ear_count(struct ear *ear, bool added, const pgk_uuid *job_id);
/* All words. */
size_t ear_total(struct ear *ear);
#define EAR_WAIT(ear, added, job_id, times)                                                        \
    WAIT_UNTIL(ear_count(ear, added, job_id) >= (times), WAIT_LONG_MS)

#endif
