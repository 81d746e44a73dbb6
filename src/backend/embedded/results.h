/* backend/embedded/results.h - a job's result in memory. With the space's lock but for freeing. */
#ifndef PGK_EMBEDDED_RESULTS_H
#define PGK_EMBEDDED_RESULTS_H

#include "backend/embedded/shelf.h"

struct result {
    pgk_job_result entry; /* but for job_id and its texts */
    struct parcel *name;  /* never NULL */
    struct parcel *failure;
    struct parcel *accumulators;
    int64_t clean_at_ns; /* when it is clean */
};

void result_free(struct result *result);

/* A row that holds what it points to. */
struct held_result {
    struct result_row row;
    struct parcel *name;
    struct parcel *failure;
    struct parcel *accumulators;
};
void result_hold(const struct job *job, struct held_result *ret_held);
/* Without the lock. */
void result_drop(struct held_result *held);

/* Those in one state (RESULT_NONE: in any), ascending by job, of one moment: *ret_held (free it,
 * and drop each). NO_MEMORY. */
pgk_status result_hold_all(const struct shelf *shelf, enum result_state state,
                           struct held_result **ret_held, size_t *ret_count, pgk_error *err);
#endif
