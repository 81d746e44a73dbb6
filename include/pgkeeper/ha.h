/*
 * pgkeeper/ha.h - the handle: one per process and cluster, from which all services come.
 *
 * What keeps leadership and what is stored is for high-availability.type to say. `postgres`, the
 * default: the database; what headers say of sessions, heartbeats and leases is about this mode.
 * `embedded`: the memory of this process, among all handles opened with one cluster id, see
 * pgkeeper/embedded.h; leadership is lost by closing, resigning or such a call alone. `standalone`
 * and `none`: one master, fixed leaders; each contender is granted at its start, with the nil session
 * id and epoch 0, addresses are those of the configuration, and confirming one publishes nothing. In
 * these no call blocks for a server, and fork takes nothing along.
 *
 * A handle may be used from any number of threads. It runs at most two threads of its own: the
 * keeper (all background connections) and the notifier (the application's callbacks), plus one for
 * each connection while it is being made, so that names and logins never delay a heartbeat, plus at
 * most four for calls with a completion (pgk_done_fn), once there was one. With
 * `dispatch: manual` there is no notifier: the application polls pgk_ha_fd() in its own loop and
 * calls pgk_ha_dispatch(); heartbeats go on regardless.
 *
 * fork(): a handle works in the process that opened it, and only there. In a child every call on it
 * answers PGK_ERR_ILLEGAL_STATE, has_leadership is false, and pgk_ha_free() releases
 * the child's copies of the descriptors without disturbing the parent's sessions.
 */
#ifndef PGKEEPER_HA_H
#define PGKEEPER_HA_H

#include <pgkeeper/config.h>
#include <pgkeeper/status.h>
#include <pgkeeper/uuid.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_ha pgk_ha;

/* Names of the usual components. Any other name of 1..200 bytes of UTF-8 is a component too. */
#define PGK_COMPONENT_RESOURCE_MANAGER "resource_manager"
#define PGK_COMPONENT_DISPATCHER "dispatcher"
#define PGK_COMPONENT_REST_ENDPOINT "rest_endpoint"
#define PGK_COMPONENT_MAX_BYTES 200

/* "job-", 32 hex digits and a terminator. */
#define PGK_JOB_COMPONENT_SIZE 37

/* Writes the component name of a job's master, "job-<32 hex>", into out. Since 0.1. */
PGK_API void pgk_component_of_job(const pgk_uuid *job_id, char out[PGK_JOB_COMPONENT_SIZE]);

/*
 * Opens a handle that can contend for leadership and follow leaders. `config` is copied.
 *
 * Blocks until the database has been reached once and found fit, at most
 * high-availability.postgres.connect-timeout (15 s by default); passing faults (server starting,
 * too many connections) are retried within that time, lasting ones are reported at once:
 * PGK_ERR_CONFIG, PGK_ERR_ACCESS (login, TLS, missing database, permission), PGK_ERR_SCHEMA
 * (missing, too old, too new: the message names the command to run), PGK_ERR_UNSUPPORTED (server
 * before 14, a transaction pooler), PGK_ERR_CONNECTION or PGK_ERR_TIMEOUT when the time is up,
 * PGK_ERR_NO_MEMORY. In the other modes it does not block; in `standalone` a host name of the
 * configuration that is none is PGK_ERR_CONFIG. Nothing is left behind on error. A DBA sees the
 * process in the view stat_contenders once it contends, and its sessions as application_name
 * pgkeeper:<cluster>:<role>:<id>. Since 0.1.
 */
PGK_API pgk_status pgk_ha_open(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err);

/*
 * Opens a handle that only follows leaders: no lock is ever taken, one database session to follow.
 * pgk_ha_election() on it answers PGK_ERR_ILLEGAL_STATE, and so do the stores that a leader alone
 * needs: results, registry, checkpoints, counters, discards and clean-up. It opens job graphs and
 * blobs, on work sessions of their own, for who submits jobs or fetches files: with the token of a
 * leader that was handed to it, whose fence holds as with him, or PGK_UNFENCED; a token of its own
 * it cannot get. Otherwise as pgk_ha_open; with `retrieval.mode: poll` it also works through a
 * transaction pooler. Since 0.1.
 */
PGK_API pgk_status pgk_ha_open_client(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err);

/*
 * Closes the handle: leaves all elections (revoking what is granted, resigning gracefully), stops
 * all retrievers, ends the sessions and threads. Stored data stays. Idempotent. Waits for a
 * callback that is running, for calls of other threads and tries of calls with a completion that are
 * under way (statement-timeout each), for the resignation (at most two session timeouts), for the
 * report why a tenure was lost if that was not written yet (at most one), and for a host name
 * look-up that is under way. When it returns, no callback runs and none will. Called from inside a
 * callback it delivers the outstanding revokes and completions on that thread, and does not
 * deadlock. Everything is closed even if a part fails; the first error is reported with the count
 * of the others: usually PGK_ERR_CONNECTION, when the resignation could not be written (the
 * successor then waits the grace in exclusive mode). Since 0.1.
 */
PGK_API pgk_status pgk_ha_close(pgk_ha *ha, pgk_error *err);

/*
 * Closes the handle if it is open and gives up the caller's reference; NULL is fine. Elections and
 * retrievers of the handle stay valid objects (closed) until they are freed too. Since 0.1.
 */
PGK_API void pgk_ha_free(pgk_ha *ha);

/*
 * With `dispatch: manual`: the descriptor that becomes readable when callbacks are due, valid until
 * the handle is closed; -1 otherwise. Do not read from it. Since 0.1.
 */
PGK_API int pgk_ha_fd(const pgk_ha *ha);

/*
 * With `dispatch: manual`: runs the callbacks that are due when it is called, on the calling thread,
 * and returns. Those that become due meanwhile, for example because a completion begins the next
 * call, are left for the next time: pgk_ha_fd() stays readable then. (A close inside a callback runs
 * what it has to.) Never blocks but in the callbacks themselves. Calls from several threads take turns.
 * PGK_ERR_ILLEGAL_STATE when the handle has a notifier thread, is closed, or when called from
 * inside a callback. Since 0.1.
 */
PGK_API pgk_status pgk_ha_dispatch(pgk_ha *ha, pgk_error *err);

/*
 * What a call with a completion (its name ends in _async) came to. Made by the library; it and what
 * it points to live for the callback.
 */
typedef struct pgk_completion {
    pgk_status status;      /* what the blocking form would have answered, or see below */
    const pgk_error *error; /* never NULL; says why when status is not PGK_OK */
    int attempts;           /* how often it was tried; 0: it ended before its first try */
    int64_t dropped;        /* pgk_ha_cleanup_job_async: its *ret_dropped; else 0 */
} pgk_completion;

/*
 * Says how such a call ended. When the call answered PGK_OK this runs exactly once, whatever
 * happens; when it answered anything else, never. It runs where all callbacks of the handle do: on
 * the notifier thread, or with `dispatch: manual` in pgk_ha_dispatch(); one at a time, never under a
 * lock of the library, never inside the call that began it. Completions come in the order in
 * which their calls ended; callbacks of elections, retrievers and stores that are due go first, so
 * that a revoke may come before the completion of a confirm of that tenure. It may block and may
 * call anything of the library, also begin the next call, close and free.
 *
 * Closing ends what is not done: pgk_ha_close waits for tries that are under way and delivers all
 * completions before it returns, on its own thread with `dispatch: manual` or inside a callback.
 * What was not begun gets PGK_ERR_ILLEGAL_STATE with attempts 0; what waited for its next try, the
 * status of the last one.
 *
 * The tries are made by threads of the library, at most four for each handle, which it makes with
 * the first such calls and ends at close; clean-ups use at most three. Calls queue for them without
 * a limit, in less than 2 KiB of memory each.
 */
typedef void (*pgk_done_fn)(void *user, const pgk_completion *completion);

/* The library's version, "0.1.0"; static. Since 0.1. */
PGK_API const char *pgk_version(void);

#ifdef __cplusplus
}
#endif

#endif
