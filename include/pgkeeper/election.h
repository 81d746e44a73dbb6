/*
 * pgkeeper/election.h - contending for the leadership of a component, and proving it.
 *
 * An election handle belongs to one component of one handle. With `leader-election.scope: process`
 * (default) all components of a process share the group "master", so that one process leads them
 * all; with `component` each is its own group; pgk_ha_election_in_group names a group. The group
 * is the unit of leadership: one lock, one session id, one epoch.
 *
 * Order for one contender: grant, revoke, grant, revoke ... Every grant is followed by exactly one
 * revoke, also at close; a grant that is out of date when its turn comes is never delivered.
 *
 * What leadership is worth, and what to do about side effects that no fence covers:
 * docs/election.md.
 */
#ifndef PGKEEPER_ELECTION_H
#define PGKEEPER_ELECTION_H

#include <stddef.h>

#include <pgkeeper/ha.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_election pgk_election;

#define PGK_ADDRESS_MAX_BYTES 1024
#define PGK_EPOCH_TEXT_SIZE 24

/*
 * The callbacks of a contender. All run on the notifier thread (with `dispatch: manual` inside
 * pgk_ha_dispatch, or for a last revoke inside the call that closes), one at a time for the whole
 * handle, never under a lock of the library. They may block: heartbeats and the loss of leadership
 * do not wait for them, but a resignation waits for the revoke to return. They may call anything of
 * the library, also close and free. None comes after pgk_election_close or pgk_ha_close returned.
 */
typedef struct pgk_contender {
    size_t size; /* sizeof(pgk_contender) */
    void *user;  /* handed to each callback; the caller's */

    /* This process leads now. Required. The id lives for the call only. */
    void (*grant)(void *user, const pgk_uuid *session_id, int64_t epoch);

    /*
     * This process does not lead any more. Required. By the time it runs has_leadership is false
     * and the fence may have closed; stop what was started under this id, then return.
     */
    void (*revoke)(void *user, const pgk_uuid *session_id, int64_t epoch);

    /*
     * The backend has a fault: a code, an SQLSTATE and a sentence. Optional (NULL). Once per
     * change of the fault, not once per retry; contending goes on. Faults that come faster than
     * this returns are merged, the last one counts. The error lives for the call only.
     */
    void (*error)(void *user, const pgk_error *error);
} pgk_contender;

/*
 * Proof of leadership, to be checked by whoever receives a write: see docs/election.md, "fence".
 * It is good in the cluster id in which it was granted; a store of another one is PGK_ERR_FENCED.
 */
typedef struct pgk_token {
    pgk_uuid session_id;                  /* of this tenure */
    int64_t epoch;                        /* larger in every later tenure of the group */
    int32_t leadership_id;                /* first argument of the SQL function fence() */
    char epoch_text[PGK_EPOCH_TEXT_SIZE]; /* "timeline.counter", for people */
} pgk_token;

/*
 * The token of a store that is opened without a fence on purpose, for tools and tests: what it
 * writes is not stopped by any take-over. Recognised by its address, so no copy of it works and no
 * zeroed token passes for it. Static. Since 0.1.
 */
PGK_API const pgk_token *pgk_token_unfenced(void);
#define PGK_UNFENCED (pgk_token_unfenced())

/*
 * Makes an election handle for a component. Touches nothing remote. `component` is copied. Free it
 * with pgk_election_free. PGK_ERR_INVALID_ARGUMENT: name empty, over 200 bytes or not UTF-8.
 * PGK_ERR_ILLEGAL_STATE: handle closed, opened for retrieval only, or of another process. Since
 * 0.1.
 */
PGK_API pgk_status pgk_ha_election(pgk_ha *ha, const char *component, pgk_election **ret_election,
                                   pgk_error *err);

/*
 * As pgk_ha_election, in a group that the caller names (1..200 bytes of UTF-8), whatever the
 * configured scope. Different groups may be led by different processes. Since 0.1.
 */
PGK_API pgk_status pgk_ha_election_in_group(pgk_ha *ha, const char *component, const char *group,
                                            pgk_election **ret_election, pgk_error *err);

/*
 * Starts to contend. `contender` is copied. Returns at once; the keeper does the rest. If the group
 * already leads in this handle, the contender is granted with the same session id.
 * PGK_ERR_INVALID_ARGUMENT: contender, grant or revoke is NULL, or size is wrong.
 * PGK_ERR_ILLEGAL_STATE: started before, closed, or the handle already has a contender for this
 * component. A DBA sees it in stat_contenders. Since 0.1.
 */
PGK_API pgk_status pgk_election_start(pgk_election *election, const pgk_contender *contender,
                                      pgk_error *err);

/*
 * Publishes the address of the component for this tenure: what retrievers then announce.
 * `address` is opaque UTF-8 of 1..1024 bytes. Blocks for one round trip, at most
 * high-availability.postgres.statement-timeout; may be called from any thread, also in a callback.
 * The same address again: PGK_OK without a write. Another address in one tenure, or not started:
 * PGK_ERR_ILLEGAL_STATE. The session id is not the current one or leadership has passed on:
 * PGK_ERR_FENCED, nothing written. PGK_ERR_CONFLICT: another group publishes this component.
 * PGK_ERR_OUTCOME_UNKNOWN: sent, and the answer stayed out; calling again is safe.
 * A DBA sees it in the table leader. Since 0.1.
 */
PGK_API pgk_status pgk_election_confirm(pgk_election *election, const pgk_uuid *session_id,
                                        const char *address, pgk_error *err);

/*
 * As pgk_election_confirm, without blocking: returns at once, and `done` says how it ended; see
 * pgk_done_fn for its thread and its order. `address` is copied. Not tried again but within
 * statement-timeout. Calls of one election are made in the order in which they were begun, and before
 * clean-ups. pgk_election_close, pgk_election_free: what was not begun ends with
 * PGK_ERR_ILLEGAL_STATE, what is under way at once with PGK_ERR_OUTCOME_UNKNOWN (its record is
 * cleared), and the completions have returned when they return, unless they are called from one.
 * PGK_OK: begun. PGK_ERR_INVALID_ARGUMENT: as pgk_election_confirm, or done is NULL.
 * PGK_ERR_ILLEGAL_STATE: not started, or closed. PGK_ERR_NO_MEMORY, PGK_ERR_RESOURCE (no thread).
 * FENCED and whatever else the database says goes to `done`. Since 0.1.
 */
PGK_API pgk_status pgk_election_confirm_async(pgk_election *election, const pgk_uuid *session_id,
                                              const char *address, pgk_done_fn done, void *user,
                                              pgk_error *err);

/*
 * True only while the group's lease has not run out AND session_id is that of the current tenure
 * AND the contender is started. No I/O, no lock; any thread, at any rate. False from the instant
 * the deadline passes, even if every thread of the library is stalled. False for NULL. Since 0.1.
 */
PGK_API bool pgk_election_has_leadership(const pgk_election *election, const pgk_uuid *session_id);

/*
 * Until when has_leadership(session_id) is certain to be true if nothing else ends the tenure:
 * nanoseconds of CLOCK_BOOTTIME; 0 when it is false now. Each heartbeat moves it on. INT64_MAX
 * where there is no lease: in the embedded and the standalone mode. For callers
 * that guard something outside the process. No I/O, no lock, any thread. Since 0.1.
 */
PGK_API int64_t pgk_election_deadline_ns(const pgk_election *election, const pgk_uuid *session_id);

/*
 * The current token. No I/O. PGK_ERR_FENCED when this process does not lead now,
 * PGK_ERR_ILLEGAL_STATE when the election is not started or closed. Since 0.1.
 *
 * In a transaction of the application's own, READ COMMITTED, before COMMIT:
 *     SELECT pgkeeper.fence($1, $2, $3)    -- token.leadership_id, token.epoch, the cluster id
 * raises SQLSTATE PK001 when leadership has passed on, and else keeps a successor from
 * taking over before the transaction has ended.
 */
PGK_API pgk_status pgk_election_token(const pgk_election *election, pgk_token *ret_token,
                                      pgk_error *err);

/*
 * Gives the leadership of the group to another contender, and goes on contending. The revoke
 * callbacks of the group run, then the lock is freed. Returns at once. For one session timeout this
 * process stands back, so that another one, if there is one, takes over; if none does it leads
 * again. (In embedded mode it takes its place behind all others, without a time; in standalone mode
 * it leads again at once.) PGK_ERR_ILLEGAL_STATE when the group does not lead here. Since 0.1.
 */
PGK_API pgk_status pgk_election_resign(pgk_election *election, pgk_error *err);

/*
 * Leaves the election. If the contender is granted, its revoke is delivered before this returns,
 * and its leader record is cleared; the last contender of a group to leave resigns the group. Other
 * components go on. close without start, and close twice: PGK_OK, nothing happens. Waits for a
 * callback of this contender that is running, unless called from a callback. Does not wait for the
 * database: the record is cleared and the lock freed right after. Since 0.1.
 */
PGK_API pgk_status pgk_election_close(pgk_election *election, pgk_error *err);

/* Closes the election if need be and frees the handle; NULL is fine. Since 0.1. */
PGK_API void pgk_election_free(pgk_election *election);

#ifdef __cplusplus
}
#endif

#endif
