/*
 * pgkeeper/job_registry.h - the running jobs registry: has a job begun, has it ended?
 *
 * Seen at once by all processes of the cluster. Writes are fenced when it is opened under a token;
 * PGK_UNFENCED opens it without a fence. Threads, blocking, lost answers and faults of the
 * database: as in job_graph.h. A DBA sees it in stat_jobs and in the table job_status.
 */
#ifndef PGKEEPER_JOB_REGISTRY_H
#define PGKEEPER_JOB_REGISTRY_H

#include <pgkeeper/election.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_job_registry pgk_job_registry;

/* Values are part of the ABI. */
typedef enum pgk_scheduling_status {
    PGK_SCHEDULING_PENDING = 0, /* unknown to the registry */
    PGK_SCHEDULING_RUNNING = 1,
    PGK_SCHEDULING_DONE = 2
} pgk_scheduling_status;

/* "PENDING", "RUNNING", "DONE"; "?" for none. Static. Since 0.1. */
PGK_API const char *pgk_scheduling_status_text(pgk_scheduling_status status);

/* One job of an enumeration; as pgk_job_result_fn. */
typedef pgk_status (*pgk_job_registry_fn)(void *user, const pgk_uuid *job_id,
                                          pgk_scheduling_status status);

/* Makes a registry; as pgk_ha_job_graphs. Needs no start. Since 0.1. */
PGK_API pgk_status pgk_ha_job_registry(pgk_ha *ha, const pgk_token *token,
                                       pgk_job_registry **ret_registry, pgk_error *err);

/*
 * RUNNING from now on, whatever it was. FENCED, OUTCOME_UNKNOWN (again is safe). A call whose answer
 * was lost, and so with the other two, undoes nothing that another wrote of the job since. Since 0.1.
 */
PGK_API pgk_status pgk_job_registry_set_running(pgk_job_registry *registry, const pgk_uuid *job_id,
                                                pgk_error *err);

/* DONE from now on, whatever it was. FENCED, OUTCOME_UNKNOWN (again is safe). Since 0.1. */
PGK_API pgk_status pgk_job_registry_set_finished(pgk_job_registry *registry, const pgk_uuid *job_id,
                                                 pgk_error *err);

/* PENDING for a job that the registry does not know. Since 0.1. */
PGK_API pgk_status pgk_job_registry_get(pgk_job_registry *registry, const pgk_uuid *job_id,
                                        pgk_scheduling_status *ret_status, pgk_error *err);

/* Back to PENDING; idempotent. FENCED, OUTCOME_UNKNOWN (again is safe). Since 0.1. */
PGK_API pgk_status pgk_job_registry_clear(pgk_job_registry *registry, const pgk_uuid *job_id,
                                          pgk_error *err);

/* Hands every RUNNING and DONE job to `fn`, in order of job id. Since 0.1. */
PGK_API pgk_status pgk_job_registry_list(pgk_job_registry *registry, pgk_job_registry_fn fn,
                                         void *user, pgk_error *err);

/* Frees the registry; nothing stored changes; NULL is fine. Since 0.1. */
PGK_API void pgk_job_registry_free(pgk_job_registry *registry);

#ifdef __cplusplus
}
#endif

#endif
