/*
 * pgkeeper/job_result.h - the job result store: what has ended, and whether it is cleaned up.
 *
 * A result is dirty from the end of its job until everything the job left behind is removed, then
 * clean. Opened under a token its writes are fenced; PGK_UNFENCED opens it without a fence. There
 * is one entry per job, dirty or clean. Threads, blocking, lost answers and faults of the database:
 * as in job_graph.h. A DBA sees the entries in stat_results.
 */
#ifndef PGKEEPER_JOB_RESULT_H
#define PGKEEPER_JOB_RESULT_H

#include <stddef.h>

#include <pgkeeper/election.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_job_results pgk_job_results;

#define PGK_JOB_NAME_MAX_BYTES 1024
#define PGK_FAILURE_MAX_BYTES ((size_t)1024 * 1024)
#define PGK_ACCUMULATORS_MAX_BYTES ((size_t)256 * 1024 * 1024)
/* The format of entries that this library writes, and the newest that it reads. */
#define PGK_RESULT_FORMAT_VERSION 1

/*
 * X(name, value, text): the states of a job. A result is FINISHED, FAILED, CANCELED or UNKNOWN; the
 * first three are globally terminal: no master will run the job again. Values are part of the ABI.
 */
#define PGK_JOB_STATUS_LIST(X)                                                                     \
    X(PGK_JOB_UNKNOWN, 0, "UNKNOWN")                                                               \
    X(PGK_JOB_FINISHED, 1, "FINISHED")                                                             \
    X(PGK_JOB_FAILED, 2, "FAILED")                                                                 \
    X(PGK_JOB_CANCELED, 3, "CANCELED")                                                             \
    X(PGK_JOB_SUSPENDED, 4, "SUSPENDED")                                                           \
    X(PGK_JOB_RUNNING, 5, "RUNNING")

typedef enum pgk_job_status {
#define PGK_JOB_STATUS_ENUM(name, value, text) name = value,
    PGK_JOB_STATUS_LIST(PGK_JOB_STATUS_ENUM)
#undef PGK_JOB_STATUS_ENUM
} pgk_job_status;

/* The text of a job status ("FINISHED"); "?" for none. Static. Since 0.1. */
PGK_API const char *pgk_job_status_text(pgk_job_status status);

/* Set size and what applies, zero the rest; strings and bytes are borrowed for the call. */
typedef struct pgk_job_result {
    size_t size; /* sizeof(pgk_job_result) */
    pgk_uuid job_id;
    pgk_job_status status;    /* FINISHED, FAILED, CANCELED or UNKNOWN */
    const char *job_name;     /* UTF-8, at most PGK_JOB_NAME_MAX_BYTES; NULL: "" */
    int64_t started_ms;       /* milliseconds since 1970 UTC; negative: not known */
    int64_t ended_ms;         /* likewise */
    int64_t net_runtime_ms;   /* milliseconds, not negative */
    const char *failure;      /* UTF-8, at most PGK_FAILURE_MAX_BYTES; NULL: none */
    const void *accumulators; /* opaque, at most PGK_ACCUMULATORS_MAX_BYTES; NULL: none */
    size_t accumulators_bytes;

    /* Set by the library when it hands an entry out; not read when it is given one. */
    int32_t format_version;
    bool dirty;
    pgk_status entry_status; /* PGK_OK; PGK_ERR_CORRUPT: only job_id, dirty and reason are set */
    const char *reason;      /* what is damaged: the digest, or an unknown format; NULL: nothing */
    int64_t epoch;           /* of the leader that wrote it; 0: without a fence, or by hand */
} pgk_job_result;

/*
 * One entry of an enumeration. Runs in the calling thread, in order of job id; `result` lives for
 * the call. Must not call the store that enumerates. PGK_OK: go on; anything else ends the
 * enumeration, which answers the same status.
 */
typedef pgk_status (*pgk_job_result_fn)(void *user, const pgk_job_result *result);

/* Makes a store; as pgk_ha_job_graphs. Needs no start. Free: pgk_job_results_free. Since 0.1. */
PGK_API pgk_status pgk_ha_job_results(pgk_ha *ha, const pgk_token *token,
                                      pgk_job_results **ret_store, pgk_error *err);

/*
 * Stores a dirty entry. PGK_ERR_ALREADY_EXISTS: there is one, dirty or clean.
 * PGK_ERR_INVALID_ARGUMENT: wrong size, a status that is not terminal, text that is not UTF-8, a
 * negative runtime. PGK_ERR_TOO_LARGE, PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN. Since 0.1.
 */
PGK_API pgk_status pgk_job_results_create_dirty(pgk_job_results *store,
                                                const pgk_job_result *result, pgk_error *err);

/*
 * Ends a job: the result is stored dirty, the graph removed, whoever owns it, and the registry says
 * DONE; all or nothing, so that leadership lost in between neither drops the result nor brings the
 * job back. Statuses as create_dirty; with ALREADY_EXISTS nothing at all has changed. Since 0.1.
 */
PGK_API pgk_status pgk_job_results_finish_job(pgk_job_results *store, const pgk_job_result *result,
                                              pgk_error *err);

/*
 * Dirty becomes clean; clean stays so. With `job-result-store.delete-on-commit: true` the entry is
 * deleted instead, else it stays for job-result-store.retention. PGK_ERR_NOT_FOUND,
 * PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN. Since 0.1.
 */
PGK_API pgk_status pgk_job_results_mark_clean(pgk_job_results *store, const pgk_uuid *job_id,
                                              pgk_error *err);

/* Is there an entry, dirty or clean, of this job? Since 0.1. */
PGK_API pgk_status pgk_job_results_has_entry(pgk_job_results *store, const pgk_uuid *job_id,
                                             bool *ret_has, pgk_error *err);
/* Is there a dirty entry of this job? Since 0.1. */
PGK_API pgk_status pgk_job_results_has_dirty(pgk_job_results *store, const pgk_uuid *job_id,
                                             bool *ret_has, pgk_error *err);
/* Is there a clean entry of this job? Since 0.1. */
PGK_API pgk_status pgk_job_results_has_clean(pgk_job_results *store, const pgk_uuid *job_id,
                                             bool *ret_has, pgk_error *err);

/*
 * Hands the entry of one job to `fn`, once. PGK_ERR_NOT_FOUND. A damaged one is handed over with
 * PGK_ERR_CORRUPT in entry_status, and that is what this answers too. Since 0.1.
 */
PGK_API pgk_status pgk_job_results_get(pgk_job_results *store, const pgk_uuid *job_id,
                                       pgk_job_result_fn fn, void *user, pgk_error *err);

/* Hands all dirty entries to `fn`, damaged ones too (see entry_status). Since 0.1. */
PGK_API pgk_status pgk_job_results_list_dirty(pgk_job_results *store, pgk_job_result_fn fn,
                                              void *user, pgk_error *err);
/* Hands all clean entries to `fn`, damaged ones too (see entry_status). Since 0.1. */
PGK_API pgk_status pgk_job_results_list_clean(pgk_job_results *store, pgk_job_result_fn fn,
                                              void *user, pgk_error *err);

/*
 * Deletes clean entries that were marked longer than job-result-store.retention ago, in batches.
 * *ret_purged: how many, also when a later batch failed. PGK_ERR_FENCED. Since 0.1.
 */
PGK_API pgk_status pgk_job_results_purge(pgk_job_results *store, int64_t *ret_purged,
                                         pgk_error *err);

/* Frees the store; nothing stored changes; NULL is fine. Since 0.1. */
PGK_API void pgk_job_results_free(pgk_job_results *store);

#ifdef __cplusplus
}
#endif

#endif
