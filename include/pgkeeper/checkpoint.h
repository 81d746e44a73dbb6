/*
 * pgkeeper/checkpoint.h - the checkpoints of a job, and the counter that numbers them.
 *
 * A checkpoint here is an entry: an id, a kind, and either opaque metadata or the text that points
 * to it. What it stands for lies elsewhere and is the application's. An entry is in one of three
 * states: completed (in the list), discarding (out of the list, its external data still to be
 * removed), retained (out of the list, its external data is never removed by anybody here).
 *
 * What leaves the list when one is added: the oldest, while more than the maximum remain; but never
 * the latest, and never the latest that is not a savepoint, unless the latest is a
 * stop-with-savepoint, and never the one just added: out of order, below the latest, it leaves with
 * a later one. With a maximum of 1 (c: checkpoint, s: savepoint): c1, c2, s1, s2, s3 leaves
 * {c2, s3}; c1, s1, c2 leaves {c2}; c1, s1, stop-savepoint leaves {stop-savepoint}. A checkpoint
 * that leaves is discarding, a savepoint retained.
 *
 * One store per job at a time: it keeps the list in memory, and what another store, process or DBA
 * does to the job it notices only when it adds the next one, and not always.
 *
 * Threads, blocking, lost answers and faults of the database: as in job_graph.h. A DBA sees the
 * entries in stat_checkpoints and the counters in the table checkpoint_counter.
 */
#ifndef PGKEEPER_CHECKPOINT_H
#define PGKEEPER_CHECKPOINT_H

#include <stddef.h>

#include <pgkeeper/election.h>
#include <pgkeeper/job_result.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_checkpoints pgk_checkpoints;
typedef struct pgk_checkpoint_counter pgk_checkpoint_counter;

#define PGK_METADATA_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define PGK_POINTER_MAX_BYTES ((size_t)4096)

/* Values are part of the ABI. */
typedef enum pgk_checkpoint_kind {
    PGK_CHECKPOINT = 0,
    PGK_SAVEPOINT = 1,
    PGK_STOP_SAVEPOINT = 2 /* stop-with-savepoint: the last of a job's run */
} pgk_checkpoint_kind;

/*
 * What a globally terminal job does with the external data of a checkpoint. Savepoints are always
 * kept. Values are part of the ABI.
 */
typedef enum pgk_retention {
    PGK_NEVER_RETAINED = 0,
    PGK_RETAIN_ON_FAILURE = 1,     /* kept when the job FAILED */
    PGK_RETAIN_ON_CANCELLATION = 2 /* kept when the job was CANCELED, FAILED or SUSPENDED */
} pgk_retention;

/* Set size and what applies, zero the rest; strings and bytes are borrowed for the call. */
typedef struct pgk_checkpoint {
    size_t size;           /* sizeof(pgk_checkpoint) */
    int64_t checkpoint_id; /* not negative; from the counter */
    pgk_checkpoint_kind kind;
    pgk_retention retention;
    int64_t completed_ms; /* milliseconds since 1970 UTC, not negative */
    /* Exactly one of the two: 1..PGK_METADATA_MAX_BYTES opaque bytes, or */
    const void *metadata;
    size_t metadata_bytes;
    const char *pointer; /* UTF-8 of 1..PGK_POINTER_MAX_BYTES bytes, for instance a path */

    /* Set by the library when it hands an entry out; not read when it is given one. */
    pgk_uuid job_id;
    pgk_status status;  /* PGK_OK; PGK_ERR_CORRUPT: metadata and pointer are then NULL */
    const char *reason; /* what is damaged; NULL: nothing */
    int64_t epoch;      /* of the leader that added it; 0: without a fence, or by hand */
} pgk_checkpoint;

/*
 * One entry of an enumeration. Runs in the calling thread, ascending by id; the entry lives for the
 * call. Must not call the store that enumerates. PGK_OK: go on; anything else ends the enumeration,
 * which answers the same status.
 */
typedef pgk_status (*pgk_checkpoint_fn)(void *user, const pgk_checkpoint *checkpoint);

/*
 * Removes the external data of one entry that is discarding. Runs in the thread of the call that
 * discards, with no database session held; may block and may call anything but the same store.
 * PGK_OK: it is gone, also when it was gone before; only then is the entry deleted. Anything else:
 * the entry stays, and is tried again by a later call, in this process or the next leader's. So it
 * may be called several times for one entry. A damaged entry comes with its id and no metadata.
 */
typedef pgk_status (*pgk_discard_fn)(void *user, const pgk_checkpoint *checkpoint);

typedef struct pgk_checkpoints_options {
    size_t size;            /* sizeof(pgk_checkpoints_options) */
    pgk_uuid job_id;        /* of the job; any id, also all zero */
    int max_retained;       /* how many completed entries to keep, at least 1 */
    pgk_discard_fn discard; /* NULL: entries stay discarding until somebody discards them */
    void *user;             /* handed to discard; the caller's */
} pgk_checkpoints_options;

/*
 * Opens the checkpoints of one job, recovered: the ids, kinds and policies of all completed entries
 * are read in one query. `token` and `options` are copied; PGK_UNFENCED: no fence. Free it with
 * pgk_checkpoints_free. PGK_ERR_INVALID_ARGUMENT: token NULL or all zero, options of a wrong size,
 * max_retained below 1. Since 0.1.
 */
PGK_API pgk_status pgk_ha_checkpoints(pgk_ha *ha, const pgk_token *token,
                                      const pgk_checkpoints_options *options,
                                      pgk_checkpoints **ret_store, pgk_error *err);

/*
 * Adds an entry; what that moves out of the list (see above) leaves it in the same transaction.
 * Then, if the store has a discard callback, what is discarding is handed to it; its failure is not
 * this call's. PGK_ERR_ALREADY_EXISTS: the job has an entry of this id, in any state.
 * PGK_ERR_INVALID_ARGUMENT: negative id, unknown kind or policy, neither or both of metadata and
 * pointer, or an empty one. PGK_ERR_TOO_LARGE, PGK_ERR_FENCED. PGK_ERR_ILLEGAL_STATE after
 * shutdown. But for PGK_OK nothing has changed. PGK_ERR_OUTCOME_UNKNOWN: again is safe. Since 0.1.
 */
PGK_API pgk_status pgk_checkpoints_add(pgk_checkpoints *store, const pgk_checkpoint *checkpoint,
                                       pgk_error *err);

/*
 * Hands the completed entry of the largest id to `fn`, once. PGK_ERR_NOT_FOUND: there is none.
 * PGK_ERR_CORRUPT: it is damaged, `fn` was told; pgk_checkpoints_all finds the one before.
 * Since 0.1.
 */
PGK_API pgk_status pgk_checkpoints_latest(pgk_checkpoints *store, pgk_checkpoint_fn fn, void *user,
                                          pgk_error *err);

/* Hands all completed entries to `fn`, damaged ones too, in one query. Since 0.1. */
PGK_API pgk_status pgk_checkpoints_all(pgk_checkpoints *store, pgk_checkpoint_fn fn, void *user,
                                       pgk_error *err);

/*
 * execution.checkpointing.num-retained of the handle's configuration, for max_retained; 0 for NULL.
 * No I/O. Since 0.1.
 */
PGK_API int pgk_ha_num_retained(const pgk_ha *ha);

/* How many completed entries the store knows of. No I/O. Since 0.1. */
PGK_API size_t pgk_checkpoints_count(const pgk_checkpoints *store);

/*
 * Hands what is discarding to the store's callback, oldest first, and deletes what it answers
 * PGK_OK for. *ret_left: how many are left. PGK_ERR_ILLEGAL_STATE: the store has no callback.
 * PGK_ERR_FENCED. May be called after shutdown. Since 0.1.
 */
PGK_API pgk_status pgk_checkpoints_discard_pending(pgk_checkpoints *store, int64_t *ret_left,
                                                   pgk_error *err);

/*
 * The job is over for this store. FINISHED, FAILED, CANCELED: in one transaction every completed
 * entry leaves the list, discarding or retained as its policy says; then the discard callback runs
 * as in add. Any other status: everything stays as it is. Idempotent; after an error it may be
 * called again. PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN: nothing is known to be changed. Since 0.1.
 */
PGK_API pgk_status pgk_checkpoints_shutdown(pgk_checkpoints *store, pgk_job_status job_status,
                                            pgk_error *err);

/* Frees the store; nothing stored changes; NULL is fine. Since 0.1. */
PGK_API void pgk_checkpoints_free(pgk_checkpoints *store);

/*
 * Hands what is discarding, of one job or (job_id NULL) of all jobs of the cluster, to `fn`, also
 * of jobs that nobody opens any more: what a new leader does after it has recovered. Otherwise as
 * pgk_checkpoints_discard_pending. PGK_ERR_FENCED comes before `fn` is told of anything more.
 * Since 0.1.
 */
PGK_API pgk_status pgk_ha_discard_pending(pgk_ha *ha, const pgk_token *token,
                                          const pgk_uuid *job_id, pgk_discard_fn fn, void *user,
                                          int64_t *ret_left, pgk_error *err);

/*
 * Makes the counter of a job. Touches nothing remote. `token` and job_id are copied. Free it with
 * pgk_checkpoint_counter_free. PGK_ERR_INVALID_ARGUMENT: token NULL or all zero. Since 0.1.
 */
PGK_API pgk_status pgk_ha_checkpoint_counter(pgk_ha *ha, const pgk_token *token,
                                             const pgk_uuid *job_id,
                                             pgk_checkpoint_counter **ret_counter, pgk_error *err);

/*
 * Issues the next number; the first is 1. None is ever issued twice, by any number of threads and
 * processes. PGK_ERR_RESOURCE: INT64_MAX is reached, which itself is never issued. PGK_ERR_FENCED.
 * PGK_ERR_OUTCOME_UNKNOWN: a number may have been used up. Since 0.1.
 */
PGK_API pgk_status pgk_checkpoint_counter_get_and_increment(pgk_checkpoint_counter *counter,
                                                            int64_t *ret_value, pgk_error *err);

/* The number that will be issued next; 1 when none was. Since 0.1. */
PGK_API pgk_status pgk_checkpoint_counter_get(pgk_checkpoint_counter *counter, int64_t *ret_value,
                                              pgk_error *err);

/*
 * Sets the number to be issued next, also to a smaller one. Once, also when its answer was lost:
 * nothing that others did since is undone. PGK_ERR_INVALID_ARGUMENT: negative.
 * PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN. Since 0.1.
 */
PGK_API pgk_status pgk_checkpoint_counter_set(pgk_checkpoint_counter *counter, int64_t value,
                                              pgk_error *err);

/*
 * The job is over for this counter. FINISHED, FAILED, CANCELED: deleted; otherwise kept. Every
 * other call answers PGK_ERR_ILLEGAL_STATE from then on. Idempotent; after an error it may be
 * called again. PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN. Since 0.1.
 */
PGK_API pgk_status pgk_checkpoint_counter_shutdown(pgk_checkpoint_counter *counter,
                                                   pgk_job_status job_status, pgk_error *err);

/* Frees the counter; nothing stored changes; NULL is fine. Since 0.1. */
PGK_API void pgk_checkpoint_counter_free(pgk_checkpoint_counter *counter);

#ifdef __cplusplus
}
#endif

#endif
