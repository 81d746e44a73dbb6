/*
 * backend/embedded/checkpoints.h - checkpoints of jobs in memory, as others of the backend see them.
 * With the space's lock but for dropping and handing out.
 */
#ifndef PGK_EMBEDDED_CHECKPOINTS_H
#define PGK_EMBEDDED_CHECKPOINTS_H

#include "backend/embedded/shelf.h"

/* Removes all entries; returns how many were discarding. */
int64_t checkpoints_clear(struct checkpoint_list *list);

/* Removes up to `limit` entries, of any state, the latest first; returns how many. */
int64_t checkpoints_trim(struct checkpoint_list *list, int64_t limit);

/* The completed entry of the largest id; NULL: none. */
const struct checkpoint *checkpoint_latest(const struct job *job);

/* A row that holds its content. */
struct held_checkpoint {
    struct checkpoint_row row;
    struct parcel *content;
};
/* with_content false: without metadata and digest. */
void checkpoint_hold(const struct job *job, const struct checkpoint *checkpoint, bool with_content,
                     struct held_checkpoint *ret_held);
/* Without the lock. */
void checkpoint_drop(struct held_checkpoint *held);

/* Entries that are discarding of all jobs: *ret_held (free it, and drop each), without content. NO_MEMORY. */
pgk_status checkpoint_hold_discards(const struct shelf *shelf, struct held_checkpoint **ret_held,
                                    size_t *ret_count, pgk_error *err);
#endif
