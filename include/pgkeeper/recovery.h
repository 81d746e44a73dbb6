/*
 * pgkeeper/recovery.h - what a new leader finds, in one look; and cleaning up for good.
 *
 * Threads, blocking, lost answers and faults of the database: as in job_graph.h.
 */
#ifndef PGKEEPER_RECOVERY_H
#define PGKEEPER_RECOVERY_H

#include <pgkeeper/checkpoint.h>
#include <pgkeeper/job_graph.h>
#include <pgkeeper/job_result.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A job to be run: its graph, and where it stood. Made by the library. */
typedef struct pgk_recovered_job {
    const pgk_job_graph *graph;
    /* The completed entry of the largest id; NULL: none. If it is damaged its status says so, and
     * pgk_checkpoints_all gives the ones before. */
    const pgk_checkpoint *checkpoint;
    int64_t next_checkpoint_id; /* what the counter issues next */
} pgk_recovered_job;

/*
 * What a recovery hands out, in this order: all dirty results, all jobs, all entries that are
 * discarding. Each callback runs in the calling thread; what it is given lives for the call; it may
 * block, must not call the store that recovers, and ends the recovery by an answer other than
 * PGK_OK. One that is NULL is skipped, and its part not read.
 */
typedef struct pgk_recovery {
    size_t size; /* sizeof(pgk_recovery) */
    void *user;  /* handed to each callback; the caller's */
    /* A job that has ended and is still to be cleaned up. It has no graph, or a leftover one that
     * is not handed out. */
    pgk_status (*dirty_result)(void *user, const pgk_job_result *result);
    /* A job without any result: to be run. Damaged graphs too: look at graph->status. */
    pgk_status (*job)(void *user, const pgk_recovered_job *job);
    /* External data that a former leader did not get to remove: see pgk_ha_discard_pending. The
     * entry comes without its metadata. */
    pgk_status (*pending_discard)(void *user, const pgk_checkpoint *checkpoint);
} pgk_recovery;

/*
 * Reads all that from one consistent snapshot, in one round trip. `graphs`, which must be started,
 * owns each graph that was handed out undamaged; NULL: nothing is owned. Memory: that of one job.
 * After an error a part may have been handed out; calling again is safe.
 * PGK_ERR_INVALID_ARGUMENT: recovery NULL or of a wrong size. PGK_ERR_ILLEGAL_STATE: graphs not
 * started, or of another handle. Since 0.1.
 */
PGK_API pgk_status pgk_ha_recover(pgk_ha *ha, pgk_job_graphs *graphs, const pgk_recovery *recovery,
                                  pgk_error *err);

/*
 * Removes every trace of a job but its result entry: graph, whoever owns it, resource requirements,
 * checkpoints in any state, counter, registry entry, and the leader record of its job master.
 * All or nothing; idempotent; PGK_OK for an unknown job. Entries that are discarding go too, with
 * what they know of external data: discard first (pgk_ha_discard_pending), *ret_dropped (may be
 * NULL) says how many were dropped. PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN: again is safe.
 * A call whose answer was lost removes nothing that was written since; *ret_dropped may then be 0.
 * It is one try, at most statement-timeout long, whatever cleanup-strategy is. Since 0.1.
 */
PGK_API pgk_status pgk_ha_cleanup_job(pgk_ha *ha, const pgk_token *token, const pgk_uuid *job_id,
                                      int64_t *ret_dropped, pgk_error *err);

/*
 * As pgk_ha_cleanup_job, without blocking: returns at once, and `done` says how it ended; see
 * pgk_done_fn for its thread and its order. A try that fails is followed by others as
 * cleanup-strategy says (see docs/configuration.md; by default after 1 s, 2 s, 4 s ... 1 h, until
 * one succeeds), if the fault may pass: its error is PGK_ERROR_RETRYABLE (no connection, a lock or a
 * statement timed out, read-only, out of resources), or PGK_ERR_OUTCOME_UNKNOWN, for half an hour:
 * all tries are one clean-up, which removes nothing that was written after it was done. Other
 * faults, like PGK_ERR_FENCED, end it at once. So do a close of the handle and the end of the
 * tenure of `token`, if that is one of this handle: PGK_ERR_FENCED. After the last try the completion
 * has its status; PGK_ERR_OUTCOME_UNKNOWN if any try may have been done. The job's result is left
 * dirty: mark it clean in the completion. Each failed try is a line of the log.
 * PGK_OK: begun. PGK_ERR_INVALID_ARGUMENT: the token or a NULL. PGK_ERR_ILLEGAL_STATE: closed, or
 * opened for retrieval only. PGK_ERR_NO_MEMORY, PGK_ERR_RESOURCE (no thread). Since 0.1.
 */
PGK_API pgk_status pgk_ha_cleanup_job_async(pgk_ha *ha, const pgk_token *token,
                                            const pgk_uuid *job_id, pgk_done_fn done, void *user,
                                            pgk_error *err);

/*
 * Removes everything stored under this cluster id: graphs first, then checkpoints, counters,
 * registry, results, and the leader records of groups that nobody leads; in batches, so that it
 * never holds much at once, and in an order in which no entry points to what is gone. Other cluster
 * ids stay untouched. Stays: the epochs (or old tokens would pass the fence again), history and
 * audit. *ret_removed (may be NULL): rows, also when a later batch failed; calling again goes on
 * where it stopped. PGK_ERR_FENCED. PGK_ERR_CONFLICT: others go on writing under the cluster id, so
 * that it does not become empty. Since 0.1.
 */
PGK_API pgk_status pgk_ha_cleanup_all(pgk_ha *ha, const pgk_token *token, int64_t *ret_removed,
                                      pgk_error *err);

/*
 * pgk_ha_cleanup_all if `cleanup`, and pgk_ha_close in any case, also when the clean-up failed.
 * `token` is not looked at without `cleanup`. The error is the clean-up's if that failed, and names
 * that of the close too. Since 0.1.
 */
PGK_API pgk_status pgk_ha_close_with_optional_cleanup(pgk_ha *ha, bool cleanup,
                                                      const pgk_token *token, pgk_error *err);

#ifdef __cplusplus
}
#endif

#endif
